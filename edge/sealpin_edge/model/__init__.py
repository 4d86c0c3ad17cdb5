"""What a model file is: its bytes and card, and the photo that goes in."""
