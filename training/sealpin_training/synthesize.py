"""Rendered seal-pin parts as a folder of photos and LabelImg XML, as if an engineer had labelled them."""

import os
import signal
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import cast

from sealpin_edge.errors import EnvironmentFault, InputError
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
    context = get_context("spawn")  # not fork: OpenCV's threads do not survive it
    cores = min(parts, os.cpu_count() or 1)
    with new_folder(out) as folder, progress_bar(parts, "render", "part") as bar:
        readers, workers, rendered = [], [], []
        try:
            for core in range(cores):
                reader, writer = context.Pipe(duplex=False)
                worker = context.Process(
                    target=_render_parts, args=(folder, seed, size, range(core, parts, cores), writer), daemon=True
                )
                worker.start()
                writer.close()
                readers.append(reader)
                workers.append(worker)
            while readers:
                for reader in cast(list[Connection], wait(readers)):
                    try:
                        told = reader.recv()
                    except EOFError:
                        readers.remove(reader)
                        continue
                    if isinstance(told, Exception):
                        raise told
                    rendered.append(told)
                    bar.update()
        finally:
            for worker in workers:
                worker.kill()
                worker.join()
        if len(rendered) < parts:
            raise EnvironmentFault("a renderer was ended", found=f"{len(rendered)} of {parts} parts", hint="try again")
    return sum(rendered)


def _render_parts(folder: Path, seed: int, size: int, indices: range, writer: Connection) -> None:
    """One process's share; tells for each part whether it is bad, or what went wrong."""
    import cv2

    cv2.setNumThreads(1)  # the processes already use every core
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends this process
    try:
        for index in indices:
            writer.send(_write_part(folder, seed, size, index))
    except Exception as error:
        writer.send(error)


def _write_part(folder: Path, seed: int, size: int, index: int) -> bool:
    part = render_part(seed, index, size)
    name = f"part_{index:04d}"
    (folder / f"{name}.jpg").write_bytes(encode_jpeg(part.photo, JPEG_QUALITY))
    write_annotation(folder / f"{name}.xml", Annotation(f"{name}.jpg", size, size, part.burrs))
    return bool(part.burrs)
