"""What goes to a station as one signed file, and the proof that it judges as it should."""
