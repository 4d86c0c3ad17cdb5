"""From a training run to what goes to the line: model file, bundle, and the demo that shows the whole way."""
