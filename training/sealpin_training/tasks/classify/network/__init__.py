"""The network: TF-Vision's classification model, weights for it, and its class activation map."""
