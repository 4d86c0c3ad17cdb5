"""From labelled photos to an evaluated training run."""
