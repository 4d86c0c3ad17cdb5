"""What a model says of a photo, and what that means for the part."""
