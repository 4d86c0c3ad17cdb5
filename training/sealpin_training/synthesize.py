"""Rendered seal-pin parts as a folder of photos and LabelImg XML, as if an engineer had labelled them."""

from functools import partial
from pathlib import Path

from sealpin_edge.errors import InputError
from sealpin_edge.files import new_folder
from sealpin_edge.model.photo import encode_jpeg

from .dataset.formats import voc
from .parallel import workers
from .progress import progress_bar
from .synth import render_part

JPEG_QUALITY = 92


def synthesize(out: Path, parts: int, seed: int, size: int = 1024) -> int:
    """Render `parts` photos of `size` x `size` pixels into the new folder `out`; returns how many have a burr.

    The same seed gives the same photos, and part N is the same whatever the number of parts.
    """
    if parts < 1:
        raise InputError("too few parts", where="--parts", found=str(parts), allowed="1 or more")
    bad = 0
    with new_folder(out) as folder, workers() as pool, progress_bar(parts, "render", "part") as bar:
        for is_bad in pool.map(partial(_write_part, folder, seed, size), range(parts), 1):
            bad += is_bad
            bar.update()
    return bad


def _write_part(folder: Path, seed: int, size: int, indices: list[int]) -> bool:
    (index,) = indices
    part = render_part(seed, index, size)
    name = f"part_{index:04d}"
    (folder / f"{name}.jpg").write_bytes(encode_jpeg(part.photo, JPEG_QUALITY))
    voc.write(folder / f"{name}.xml", f"{name}.jpg", size, size, part.burrs)
    return bool(part.burrs)
