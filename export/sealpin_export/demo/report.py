"""What the demo leaves behind: a table, the contact sheet of what the operator saw, and an HTML page of both."""

import html
from pathlib import Path

import numpy as np

from sealpin_edge.files import write_whole
from sealpin_edge.model import Model
from sealpin_edge.photo import decode_photo
from sealpin_training.dataset.formats.voc import read_boxes
from sealpin_training.dataset.records import Record
from sealpin_training.evaluate import coco_metrics

from .line import DemoPart, Shift

COLUMNS = 6
TILE = 320


def score_model(out: Path) -> float:
    """AP50 of the exported model, run by the station's own code, on the unseen parts."""
    model = Model(out / "model.tflite")
    records, found = [], []
    for photo in sorted((out / "photos").glob("*.jpg")):
        data = photo.read_bytes()
        pixels = decode_photo(data, str(photo))
        records.append(Record(photo.name, b"", pixels.shape[1], pixels.shape[0], read_boxes(photo.with_suffix(".xml"))))
        found.append(model.detect(pixels))
    return coco_metrics(records, found, model.card.classes)["AP50"]


def table(shift: Shift) -> str:
    """One line a part: truth, verdict, PLC bits, FTP server, API."""
    rows = [f"\n{'part':<15}{'truth':<17}{'verdict':<9}{'PLC':<5}{'ms':>6}  {'FTP server':<17}{'API':<5}"]
    for part in shift.parts:
        cells = _cells(part)
        late = "  stored, sent later" if part.while_cut else ""
        rows.append(
            f"{cells[0]:<15}{cells[1]:<17}{cells[2]:<9}{cells[3]:<5}{cells[4]:>6}  {cells[5]:<17}{cells[6]:<5}{late}"
            + "".join(f"  <-- {fault}" for fault in part.faults)
        )
    return "\n".join(rows)


def write_report(out: Path, shift: Shift, ap50: float) -> None:
    """Write contact_sheet.png and report.html."""
    write_whole(out / "contact_sheet.png", contact_sheet([part.marked for part in shift.parts if part.marked]))
    head = ("part", "truth", "verdict", "PLC bit", "trigger to verdict, ms", "FTP server", "API", "")
    rows = [
        [*_cells(part), "; ".join(part.faults) or ("stored, sent later" if part.while_cut else "")]
        for part in shift.parts
    ]
    cells = "\n".join("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    write_whole(
        out / "report.html",
        _PAGE.format(
            head="".join(f"<th>{name}</th>" for name in head),
            rows=cells,
            ap50=ap50,
            parts=len(shift.parts),
            broken="; ".join(map(html.escape, shift.violations)) or "none",
        ).encode(),
    )


def contact_sheet(marked: list[bytes]) -> bytes:
    """JPEG photos as one PNG, COLUMNS in a row, each TILE pixels."""
    import cv2

    tiles = [cv2.resize(decode_photo(data), (TILE, TILE), interpolation=cv2.INTER_AREA) for data in marked]
    tiles += [np.zeros((TILE, TILE, 3), np.uint8)] * (-len(tiles) % COLUMNS)
    sheet = np.vstack([np.hstack(tiles[start : start + COLUMNS]) for start in range(0, len(tiles), COLUMNS)])
    return bytes(cv2.imencode(".png", cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR))[1])


def _cells(part: DemoPart) -> list[str]:
    bit = "+".join(name for name in ("OK", "NG") if part.bits.get(name)) or "-"
    truth = ", ".join(part.truth) or "good"
    return [part.photo, truth, part.verdict, bit, f"{part.latency_ms:.0f}", ", ".join(part.ftp) or "-", part.api]


_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>sealpin demo</title>
<style>
body {{ font: 16px/1.5 system-ui, "DejaVu Sans", sans-serif; margin: 2em auto; max-width: 1100px; color: #222 }}
table {{ border-collapse: collapse; width: 100% }}
th, td {{ text-align: left; padding: .2em .8em; border-bottom: 1px solid #ddd }}
img {{ width: 100% }}
</style>
<h1>sealpin demo</h1>
<p>AP50 on {parts} unseen parts: <b>{ap50:.3f}</b>. Broken rules of the PLC handshake: {broken}.</p>
<h2>What the operator saw</h2>
<p><img src="contact_sheet.png" alt="marked photos of all parts, in order"></p>
<h2>What everybody got</h2>
<table><tr>{head}</tr>
{rows}
</table>
</html>
"""
