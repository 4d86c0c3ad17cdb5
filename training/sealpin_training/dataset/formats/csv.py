"""The CSV of the xml_to_csv.py scripts that go with Object Detection API tutorials: a line for each box.

    filename,width,height,class,xmin,ymin,xmax,ymax

Spreadsheets write it with semicolons or tabs, with a first line `sep=;`, or in UTF-16. A photo without boxes has no
line in such a file; it is an unlabelled photo.
"""

import csv
import io
import re

from sealpin_edge.tasks.finding import Edges

from ..faults import Fault
from ..files import PHOTO_ENDINGS, TABLES, Files, PhotoNames, read_label_text, undecoded
from ..labels import LabelSource, RawLabels, RawObject, real_number, whole_number
from .foreign import pass_over

LOOKS_LIKE = "CSV files with the columns filename, width, height, class, xmin, ymin, xmax, ymax"
EDGES = ("xmin", "ymin", "xmax", "ymax")
COLUMNS = {"filename", "class", *EDGES}
MAX_BYTES = 1 << 30
OUR_CHANGES = ("file", "object", "fault", "found", "change")  # which `dataset fix` lists beside its copy
# Columns that only labels have, in the CSV files of other programs and competitions
LABEL_COLUMNS = {*EDGES, "x_min", "y_min", "x1", "y1", "bbox", "encodedpixels", "region_shape_attributes"}

Row = dict[str, str]


def find(files: Files) -> LabelSource | None:
    """The photos that CSV files list, with their boxes; None where no CSV file has the columns."""
    names = PhotoNames(files.photos)
    of_photo: dict[str, list[RawLabels]] = {}
    findings: list[Fault] = []
    found = False
    for file in (name for ending in TABLES for name in files.labels.get(ending, ())):
        rows = _rows(files, file)
        if rows is None:
            continue
        found = True
        # By the name as it is written: train/1.jpg and val/1.jpg are two photos, though one of them may not be here
        listed: dict[tuple[str, str], RawLabels] = {}
        for number, row in enumerate(rows, start=1):
            if not any(row.values()):  # a spreadsheet's empty line
                continue
            name = row.get("filename", "")
            photo = names.find(name, file)
            if photo is None:
                findings.append(Fault(file, "labels-without-photo", name or "no filename", number))
            else:
                _add(listed.setdefault((photo, name), RawLabels(file)), photo, number, row)
        for (photo, _), labels in listed.items():
            of_photo.setdefault(photo, []).append(labels)
    return LabelSource("csv", of_photo, findings) if found else None


def _add(labels: RawLabels, photo: str, number: int, row: Row) -> None:
    """Add one line's object, or say why it is none."""

    def fault(kind: str, found: str) -> None:
        labels.findings.append(Fault(labels.file, kind, found, number))

    if more := row.get(""):
        fault("line-unreadable", f"more cells than columns: {more}"[:80])
        return
    width, height = (whole_number(row.get(side)) for side in ("width", "height"))
    if width and height:
        size = (width, height)
        if labels.size not in (None, size):
            fault("labels-differ", f"{photo}: {width}x{height} here, {labels.size} on an earlier line")
        labels.size = size
    elif not any(one.kind == "size-missing" for one in labels.findings):
        fault("size-missing", photo)
    if not row["class"]:
        fault("class-missing", "nothing")
        return
    try:
        xmin, ymin, xmax, ymax = (real_number(row[edge]) for edge in EDGES)
    except ValueError:
        fault("box-not-number", ", ".join(f"{edge} {row[edge]!r}" for edge in EDGES))
        return
    labels.objects.append(RawObject(number, row["class"], Edges(xmin, ymin, xmax, ymax)))


def _rows(files: Files, file: str) -> list[Row] | None:
    """The file's lines by column, without blanks around the cells, when its columns are right; else a finding says why.

    Under "" is what a line has beyond its columns.
    """
    text = read_label_text(files, file, MAX_BYTES)
    if text is None:
        return None
    head, _, rest = text.partition("\n")
    if told := re.fullmatch(r'"?sep=(.)"?[,;\s]*', head):  # Excel's own line
        separator, text = told[1], rest
    else:
        # A spreadsheet of a country with a decimal comma writes semicolons
        separator = max(",", ";", "\t", key=head.count)
    try:
        lines = csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True)
        columns = [cell.strip() for cell in next(lines, [])]
        if not set(columns) >= COLUMNS:
            if tuple(columns) != OUR_CHANGES:
                _pass_over(files, file, columns)
            return None
        if len(set(columns)) < len(columns):
            pass_over(files, file, f"two columns of one name among {', '.join(columns)}")
            return None
        if wrong := undecoded(text):
            pass_over(files, file, f"{wrong}: save it as CSV UTF-8")
            return None
        rows = []
        for cells in filter(None, lines):
            if any("\n" in cell or "\r" in cell for cell in cells):
                # The cell of a quote that nobody closed has eaten the lines of other photos
                pass_over(files, file, f"a cell that goes on over several lines, up to line {lines.line_num}: a quote")
                return None
            rows.append(_row(columns, [cell.strip() for cell in cells]))
    except csv.Error as error:
        pass_over(files, file, f"no CSV: {error}")
        return None
    if rows and not text.endswith(("\n", "\r")):
        files.findings.append(Fault(file, "labels-cut", text[-60:].rpartition("\n")[2]))
    return rows


def _row(columns: list[str], cells: list[str]) -> Row:
    missing = [""] * (len(columns) - len(cells))
    return {**dict(zip(columns, [*cells, *missing], strict=False)), "": " ".join(cells[len(columns) :]).strip()}


def _pass_over(files: Files, file: str, columns: list[str]) -> None:
    """Name a file without the columns: as labels when its columns, or the cells in their place, are those of some."""
    told = f"the columns {', '.join(columns)}"[:120]
    lowered = {column.lower() for column in columns}
    words = set(re.findall(r"\w+", " ".join(lowered)))  # a separator of its own leaves all columns in one
    headless = len(columns) > len(EDGES) and any(column.lower().endswith(PHOTO_ENDINGS) for column in columns)
    missing = ", ".join(column for column in (*sorted(COLUMNS - {*EDGES}), *EDGES) if column not in columns)
    boxes = words & LABEL_COLUMNS or words >= {"x", "y", "w", "h"} or words >= {"x", "y", "width", "height"}
    reason = f"{told}, without {missing}" if boxes or headless else None
    pass_over(files, file, reason, told)
