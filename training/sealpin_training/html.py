"""Reports as one HTML file that opens anywhere: pictures are inside."""

import base64
import html
import io
from collections.abc import Callable, Iterable, Sequence
from typing import Any

_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>{title}</title>
<style>
body {{ font: 16px/1.5 system-ui, "DejaVu Sans", sans-serif; margin: 2em auto; max-width: 1100px; color: #222;
  padding: 0 1em }}
table {{ border-collapse: collapse; width: 100% }}
th, td {{ text-align: left; padding: .2em .8em; border-bottom: 1px solid #ddd; overflow-wrap: anywhere }}
th {{ white-space: nowrap }}
img {{ max-width: 100% }}
summary {{ cursor: pointer }}
.warning {{ border-left: .5em solid #d55e00; padding: .4em 1em; background: #fdf0e8; font-weight: bold }}
.gallery {{ display: grid; grid-template-columns: repeat(auto-fill, minmax(240px, 1fr)); gap: 1em }}
figure {{ margin: 0 }}
figure img {{ width: 100%; display: block }}
figcaption {{ overflow-wrap: anywhere }}
</style>
<h1>{title}</h1>
{body}
</html>
"""


def page(title: str, parts: Iterable[str]) -> bytes:
    """A whole page of HTML parts, as UTF-8."""
    return _PAGE.format(title=html.escape(title), body="\n".join(parts)).encode(errors="replace")


def heading(text: str) -> str:
    """A section's heading."""
    return f"<h2>{html.escape(text)}</h2>"


def paragraph(text: str) -> str:
    """A paragraph of plain text."""
    return f"<p>{html.escape(text)}</p>"


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table of plain text."""
    lines = ["".join(f"<th>{html.escape(str(cell))}</th>" for cell in head)]
    lines += ["".join(f"<td>{html.escape(str(cell))}</td>" for cell in row) for row in rows]
    return "<table>" + "\n".join(f"<tr>{line}</tr>" for line in lines) + "</table>"


def picture(png: bytes, alt: str) -> str:
    """A PNG picture, inside the page."""
    data = base64.b64encode(png).decode()
    return f'<p><img src="data:image/png;base64,{data}" alt="{html.escape(alt, quote=True)}"></p>'


def warning(text: str) -> str:
    """A paragraph of plain text that nobody overlooks."""
    return f'<p class="warning">{html.escape(text)}</p>'


def details(summary: str, part: str) -> str:
    """A part that is folded away until somebody asks for it."""
    return f"<details><summary>{html.escape(summary)}</summary>{part}</details>"


def gallery(pictures: Iterable[tuple[bytes, str]]) -> str:
    """PNG pictures side by side, inside the page, each with its caption."""
    figures = [
        f"<figure>{picture(png, caption)}<figcaption>{html.escape(caption)}</figcaption></figure>"
        for png, caption in pictures
    ]
    return f'<div class="gallery">{"".join(figures)}</div>'


def chart(draw: Callable[[Any], None]) -> bytes:
    """A chart as PNG; `draw` draws it into a figure of matplotlib's."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 4.5), layout="constrained")
    draw(figure)
    data = io.BytesIO()
    figure.savefig(data, format="png", dpi=90)
    return data.getvalue()
