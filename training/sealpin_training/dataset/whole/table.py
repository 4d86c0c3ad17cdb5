"""Tables that give each photo a class: a CSV of file and class, or DAGM's Labels.txt."""

import csv
import io

from ..faults import Fault
from ..files import TABLES, Files, PhotoNames, read_label_text, undecoded
from ..labels import RawLabels
from .masks import DEFECT

FILE_COLUMNS = {"file", "filename", "file_name", "image", "image_name", "imageid", "image_id", "photo", "name", "path"}
CLASS_COLUMNS = {"class", "label", "category", "target", "classname", "class_name", "defect"}
MAX_BYTES = 1 << 28
DAGM_NAME = "labels.txt"


def take_tables(files: Files, good: str) -> dict[str, list[RawLabels]]:
    """What tables say of photos, by the photo; the tables are taken out of `files.labels`.

    `good` is what parts without a defect are called, where a table only tells whether there is one.
    """
    names = PhotoNames(files.photos)
    found: dict[str, list[RawLabels]] = {}
    for ending in (*TABLES, ".txt"):
        for file in list(files.labels.get(ending, ())):
            rows = _dagm(files, file, good) if ending == ".txt" else _csv(files, file)
            if rows is None:
                continue
            files.labels[ending].remove(file)
            for number, name, category in rows:
                photo = names.find(name, file) if name else None
                if photo is None:
                    files.findings.append(Fault(file, "labels-without-photo", name or "no file name", number))
                elif not category:
                    files.findings.append(Fault(file, "class-missing", photo, number))
                else:
                    found.setdefault(photo, []).append(RawLabels(file, category=category))
    return found


def _csv(files: Files, file: str) -> list[tuple[int, str, str]] | None:
    """Line number, file name and class of each line; None when the columns are not those."""
    text = read_label_text(files, file, MAX_BYTES)
    if text is None:
        return None
    head = text.partition("\n")[0]
    separator = max(",", ";", "\t", key=head.count)
    try:
        lines = csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True, strict=True)
        columns = [cell.strip().casefold() for cell in next(lines, [])]
        files_at = [at for at, name in enumerate(columns) if name in FILE_COLUMNS]
        classes_at = [at for at, name in enumerate(columns) if name in CLASS_COLUMNS]
        if files_at and classes_at and (wrong := undecoded(text)):
            files.findings.append(Fault(file, "labels-not-read", f"{wrong}: save it as CSV UTF-8"))
            return []
        if len(files_at) != 1 or len(classes_at) != 1 or len(columns) > len(set(columns)) or len(columns) > 4:
            return None
        rows = []
        for cells in filter(None, lines):
            cells = [*(cell.strip() for cell in cells), *[""] * len(columns)]
            if any("\n" in cell for cell in cells):
                return None
            rows.append((lines.line_num, cells[files_at[0]], cells[classes_at[0]]))
        return rows
    except csv.Error:
        return None


def _dagm(files: Files, file: str, good: str) -> list[tuple[int, str, str]] | None:
    """DAGM's lines `number 0|1 photo 0 mask|0`, below a first line `1`; None for any other text."""
    if file.rpartition("/")[2].casefold() != DAGM_NAME:
        return None
    text = read_label_text(files, file, MAX_BYTES)
    first, *lines = [line.split() for line in (text or "").splitlines() if line.strip()] or [[]]
    if first != ["1"] or not all(len(cells) == 5 and cells[1] in ("0", "1") for cells in lines):
        return None
    return [(number, cells[2], DEFECT if cells[1] == "1" else good) for number, cells in enumerate(lines, start=2)]
