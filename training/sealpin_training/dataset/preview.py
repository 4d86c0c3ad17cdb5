"""Contact sheets: photos with their boxes drawn, many to a page, for a look with one's own eyes."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from sealpin_edge.files import new_folder
from sealpin_edge.model.photo import Photo, decode_photo

from ..parallel import workers
from ..progress import progress_bar
from .labels import LabelledPhoto
from .survey import Rules, survey

COLUMNS, ROWS = 6, 4
TILE = 320
CAPTION = 24
BACKGROUND = 30
# Colours that a colour-blind eye tells apart (Okabe and Ito, 2008)
COLOURS = ((230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (213, 94, 0), (204, 121, 167), (0, 114, 178))


def preview(src: Path, out: Path, rules: Rules | None = None, *, processes: int | None = None) -> int:
    """Write every photo of `src` with its boxes onto `sheet-001.png` and so on in the new folder `out`.

    Returns the number of sheets. Photos that cannot be decoded and boxes with errors are not shown.
    """
    with new_folder(out, src) as folder, workers(processes) as pool:
        found = survey(src, rules or Rules(), pool)
        boxed = {box.category for photo in found.photos for box in photo.boxes}
        names = sorted(boxed | {photo.category for photo in found.photos if photo.category})
        each = COLUMNS * ROWS
        pages = [found.photos[start : start + each] for start in range(0, len(found.photos), each)]
        with progress_bar(len(pages), "preview", "sheet") as bar:
            for _ in pool.map(partial(_write, found.source.root, names, folder), list(enumerate(pages, 1)), 1):
                bar.update()
    return len(pages)


def sheet(root: Path, photos: Sequence[LabelledPhoto], names: Sequence[str]) -> bytes:
    """One sheet as PNG; `names` are all classes, so that each keeps its colour."""
    return encode_sheet([_tile(root, photo, names) for photo in photos], COLUMNS)


def encode_sheet(tiles: Sequence[Photo], columns: int) -> bytes:
    """Tiles of one size as a PNG, `columns` in a row."""
    import cv2

    empty = np.full_like(tiles[0], BACKGROUND)
    filled = [*tiles, *[empty] * (-len(tiles) % columns)]
    rows = [np.hstack(filled[start : start + columns]) for start in range(0, len(filled), columns)]
    return bytes(cv2.imencode(".png", cv2.cvtColor(np.vstack(rows), cv2.COLOR_RGB2BGR))[1])


def _write(root: Path, names: Sequence[str], folder: Path, pages: list[tuple[int, list[LabelledPhoto]]]) -> None:
    for number, photos in pages:
        (folder / f"sheet-{number:03d}.png").write_bytes(sheet(root, photos, names))


def _tile(root: Path, photo: LabelledPhoto, names: Sequence[str]) -> Photo:
    """The photo within TILE x TILE, its boxes, and its name below."""
    import cv2

    tile = np.full((TILE + CAPTION, TILE, 3), BACKGROUND, np.uint8)
    pixels = decode_photo((root / photo.name).read_bytes(), photo.name)
    scale = min(TILE / photo.width, TILE / photo.height)
    width, height = max(1, round(photo.width * scale)), max(1, round(photo.height * scale))
    left, top = (TILE - width) // 2, (TILE - height) // 2
    tile[top : top + height, left : left + width] = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)
    for box in photo.boxes:
        colour = COLOURS[names.index(box.category) % len(COLOURS)]
        xmin, ymin, xmax, ymax = (round(edge * scale) for edge in box.edges)
        cv2.rectangle(tile, (left + xmin - 1, top + ymin - 1), (left + xmax, top + ymax), colour, 2)
        at = (left + xmin, top + ymin - 4 if ymin > 14 else top + ymax + 12)
        _write_text(tile, box.category, at, colour)
    if photo.category:
        _write_text(tile, photo.category, (4, 16), COLOURS[names.index(photo.category) % len(COLOURS)])
    _write_text(tile, photo.name[-44:], (4, TILE + CAPTION - 8), (220, 220, 220))
    return tile


def _write_text(tile: Photo, text: str, at: tuple[int, int], colour: tuple[int, int, int]) -> None:
    """Text with a dark rim. OpenCV has ASCII letters only."""
    import cv2

    shown = text.encode("ascii", "replace").decode()
    for tone, thickness in (((0, 0, 0), 3), (colour, 1)):
        cv2.putText(tile, shown, at, cv2.FONT_HERSHEY_SIMPLEX, 0.42, tone, thickness, cv2.LINE_AA)
