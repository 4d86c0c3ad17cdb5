"""Rendered seal-pin parts as a folder of photos and LabelImg XML, as if an engineer had labelled them."""

import os
import signal
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from sealpin_edge.errors import InputError
from sealpin_edge.files import new_folder
from sealpin_edge.photo import encode_jpeg

from .progress import progress_bar
from .synth import render_part
from .voc import Annotation, write_annotation

JPEG_QUALITY = 92


def synthesize(out: Path, parts: int, seed: int, size: int = 1024) -> int:
    """Render `parts` photos of `size` x `size` pixels into the new folder `out`; returns how many have a burr.

    The same seed gives the same photos, and part N is the same whatever the number of parts.
    """
    if parts < 1:
        raise InputError("too few parts", where="--parts", found=str(parts), allowed="1 or more")
    # spawn, not fork: OpenCV's threads do not survive a fork. A Pool, since leaving its block ends the workers at once
    with (
        new_folder(out) as folder,
        progress_bar(parts, "render", "part") as bar,
        get_context("spawn").Pool(os.cpu_count(), _start_worker) as pool,
    ):
        bad = 0
        for has_burr in pool.imap(partial(_write_part, folder, seed, size), range(parts), chunksize=4):
            bad += has_burr
            bar.update()
    return bad


def _start_worker() -> None:
    import cv2

    cv2.setNumThreads(1)  # the pool already uses every core
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends its workers


def _write_part(folder: Path, seed: int, size: int, index: int) -> bool:
    part = render_part(seed, index, size)
    name = f"part_{index:04d}"
    (folder / f"{name}.jpg").write_bytes(encode_jpeg(part.photo, JPEG_QUALITY))
    write_annotation(folder / f"{name}.xml", Annotation(f"{name}.jpg", size, size, part.burrs))
    return bool(part.burrs)
