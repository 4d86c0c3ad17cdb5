"""sealpin's station: what runs on the Pi. No TensorFlow, no pandas; the toolkit runs models through this same code."""

import sys

__version__ = "0.1.0"

if sys.platform == "win32":  # file locks and signals are POSIX's
    print("error: sealpin runs on Linux; on Windows inside WSL2: wsl --install, then as on Debian", file=sys.stderr)
    raise SystemExit(3)
