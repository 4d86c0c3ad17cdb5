"""From this machine to the stations: their inventory, a conversation over OpenSSH, deploys and rollbacks."""
