"""The CSV of the xml_to_csv.py scripts that go with Object Detection API tutorials: a line for each box.

    filename,width,height,class,xmin,ymin,xmax,ymax

A photo without boxes has no line in such a file; it is an unlabelled photo.
"""

import csv
from pathlib import Path

from ..files import Files, PhotoNames
from ..findings import Finding
from ..labels import LabelSource, RawLabels, RawObject

LOOKS_LIKE = "CSV files with the columns filename, width, height, class, xmin, ymin, xmax, ymax"
EDGES = ("xmin", "ymin", "xmax", "ymax")
COLUMNS = {"filename", "class", *EDGES}


def find(files: Files) -> LabelSource | None:
    """The photos that CSV files list, with their boxes; None where no CSV file has the columns."""
    if not files.labels.get(".csv"):
        return None
    names = PhotoNames(files.photos)
    of_photo: dict[str, RawLabels] = {}
    findings: list[Finding] = []
    found = False
    for file in files.labels[".csv"]:
        rows = _rows(files.root / file)
        if rows is None:
            continue
        found = True
        for number, row in enumerate(rows, start=1):
            name = row.get("filename") or ""
            photo = names.find(name, file)
            if photo is None:
                findings.append(Finding(file, "labels-without-photo", name, number))
                continue
            labels = of_photo.setdefault(photo, RawLabels(file))
            width, height = (row.get("width") or "").strip(), (row.get("height") or "").strip()
            if all(side.isdecimal() and len(side) < 9 and int(side) for side in (width, height)):
                labels.size = (int(width), int(height))
            elif not any(fault.kind == "size-missing" for fault in labels.findings):
                labels.findings.append(Finding(file, "size-missing", name or "nothing", number))
            _add(labels, file, number, row)
    return LabelSource("csv", of_photo, findings) if found else None


def _add(labels: RawLabels, file: str, number: int, row: dict[str, str | None]) -> None:
    category = row.get("class") or ""
    if not category.strip():
        labels.findings.append(Finding(file, "class-missing", "nothing", number))
        return
    try:
        xmin, ymin, xmax, ymax = (float(row.get(edge) or "") for edge in EDGES)
    except ValueError:
        found = ", ".join(f"{edge} {row.get(edge)!r}" for edge in EDGES)
        labels.findings.append(Finding(file, "box-not-number", found, number))
        return
    labels.objects.append(RawObject(number, category, (xmin, ymin, xmax, ymax)))


def _rows(path: Path) -> list[dict[str, str | None]] | None:
    """The file's lines when its columns are right."""
    try:
        with open(path, encoding="utf-8-sig", errors="replace", newline="") as file:
            head = file.readline()
            file.seek(0)
            # A spreadsheet of a country with a decimal comma writes semicolons
            reader = csv.DictReader(file, delimiter=";" if head.count(";") > head.count(",") else ",")
            if not set(reader.fieldnames or ()) >= COLUMNS:
                return None
            return list(reader)
    except (OSError, ValueError, csv.Error):
        return None
