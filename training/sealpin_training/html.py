"""Reports as one HTML file that opens anywhere: pictures are inside."""

import base64
import html
from collections.abc import Iterable, Sequence

_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>{title}</title>
<style>
body {{ font: 16px/1.5 system-ui, "DejaVu Sans", sans-serif; margin: 2em auto; max-width: 1100px; color: #222;
  padding: 0 1em }}
table {{ border-collapse: collapse; width: 100% }}
th, td {{ text-align: left; padding: .2em .8em; border-bottom: 1px solid #ddd; overflow-wrap: anywhere }}
th {{ white-space: nowrap }}
img {{ max-width: 100% }}
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
