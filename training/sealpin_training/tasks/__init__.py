"""What only one task knows: a folder for each."""
