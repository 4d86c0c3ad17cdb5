"""sealpin's station: what runs on the Pi. No TensorFlow, no pandas; the toolkit runs models through this same code."""

__version__ = "0.1.0"
