"""What the operator sees: the page, the window, the boxes drawn on a photo."""
