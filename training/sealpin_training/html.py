"""Reports as one HTML file that opens anywhere: pictures are inside. What it looks like is in page.html.jinja."""

import base64
import io
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment

_TEMPLATE = Environment(autoescape=True, trim_blocks=True).from_string(
    Path(__file__).with_name("page.html.jinja").read_text(encoding="utf-8")
)
_PARTS: Any = _TEMPLATE.module


def page(title: str, parts: Iterable[str]) -> bytes:
    """A whole page of HTML parts, as UTF-8."""
    return _TEMPLATE.render(title=title, parts=list(parts)).lstrip().encode(errors="replace")


def heading(text: str) -> str:
    """A section's heading."""
    return str(_PARTS.heading(text))


def paragraph(text: str) -> str:
    """A paragraph of plain text."""
    return str(_PARTS.paragraph(text))


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table of plain text."""
    return str(_PARTS.table(head, list(rows)))


def picture(png: bytes, alt: str) -> str:
    """A PNG picture, inside the page."""
    return str(_PARTS.picture(_inside(png), alt))


def warning(text: str) -> str:
    """A paragraph of plain text that nobody overlooks."""
    return str(_PARTS.warning(text))


def details(summary: str, part: str) -> str:
    """A part that is folded away until somebody asks for it."""
    return str(_PARTS.details(summary, part))


def gallery(pictures: Iterable[tuple[bytes, str]]) -> str:
    """PNG pictures side by side, inside the page, each with its caption."""
    return str(_PARTS.gallery([(_inside(png), caption) for png, caption in pictures]))


def _inside(png: bytes) -> str:
    return base64.b64encode(png).decode()


def chart(draw: Callable[[Any], None]) -> bytes:
    """A chart as PNG; `draw` draws it into a figure of matplotlib's."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 4.5), layout="constrained")
    draw(figure)
    data = io.BytesIO()
    figure.savefig(data, format="png", dpi=90)
    return data.getvalue()
