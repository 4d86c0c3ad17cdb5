"""What was judged, kept until the servers have it."""
