"""What the demo leaves behind: a table, the contact sheet of what the operator saw, and an HTML page of both."""

from pathlib import Path

import numpy as np

from sealpin_edge.files import write_whole
from sealpin_edge.model.photo import decode_photo
from sealpin_training import html
from sealpin_training.dataset.preview import encode_sheet

from .line import DemoPart, LineRun

COLUMNS = 6
TILE = 320


def table(line_run: LineRun) -> str:
    """One line a part: truth, verdict, PLC bits, FTP server, API."""
    rows = [f"\n{'part':<15}{'truth':<17}{'verdict':<9}{'PLC':<5}{'ms':>6}  {'FTP server':<17}{'API':<5}"]
    for part in line_run.parts:
        cells = _cells(part)
        late = "  stored, sent later" if part.while_cut else ""
        rows.append(
            f"{cells[0]:<15}{cells[1]:<17}{cells[2]:<9}{cells[3]:<5}{cells[4]:>6}  {cells[5]:<17}{cells[6]:<5}{late}"
            + "".join(f"  <-- {remark}" for remark in (part.mistake, *part.faults) if remark)
        )
    return "\n".join(rows)


def write_report(out: Path, line_run: LineRun, figure: str) -> None:
    """Write contact_sheet.png and report.html; `figure` is the model's on the parts, in words."""
    sheet = contact_sheet([part.marked for part in line_run.parts if part.marked])
    write_whole(out / "contact_sheet.png", sheet)
    head = ("part", "truth", "verdict", "PLC bit", "trigger to verdict, ms", "FTP server", "API", "")
    rows = [
        [
            *_cells(part),
            "; ".join(filter(None, (part.mistake, *part.faults))) or ("stored, sent later" if part.while_cut else ""),
        ]
        for part in line_run.parts
    ]
    broken = "; ".join(line_run.violations) or "none"
    parts = (
        html.paragraph(
            f"{figure}; {len(line_run.parts)} of them on the line. Broken rules of the handshake: {broken}."
        ),
        html.heading("What the operator saw"),
        html.picture(sheet, "marked photos of all parts, in order"),
        html.heading("What everybody got"),
        html.table(head, rows),
    )
    write_whole(out / "report.html", html.page("sealpin demo", parts))


def contact_sheet(marked: list[bytes]) -> bytes:
    """JPEG photos as one PNG, COLUMNS in a row, each TILE pixels."""
    import cv2

    tiles = [cv2.resize(decode_photo(data), (TILE, TILE), interpolation=cv2.INTER_AREA) for data in marked]
    return encode_sheet([np.asarray(tile, np.uint8) for tile in tiles], COLUMNS)


def _cells(part: DemoPart) -> list[str]:
    bit = "+".join(name for name in ("OK", "NG") if part.bits.get(name)) or "-"
    truth = ", ".join(part.truth) or "good"
    return [part.photo, truth, part.verdict, bit, f"{part.latency_ms:.0f}", ", ".join(part.ftp) or "-", part.api]
