"""The whole chain on rendered parts, in one go: `sealpin demo`."""

from .chain import run_demo

__all__ = ["run_demo"]
