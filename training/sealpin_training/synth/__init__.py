"""Rendered photos of seal pins, for demonstrations and tests: no photo of a real part is needed to try sealpin."""

from .part import RenderedPart, render_part

__all__ = ["RenderedPart", "render_part"]
