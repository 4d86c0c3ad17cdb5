"""Where photos go: one file and one line in section.py's table each."""

import contextlib
import posixpath
import uuid
from collections.abc import Callable
from importlib import import_module
from typing import Protocol, cast
from urllib.parse import urlsplit

from ..deadline import Deadline
from ..errors import NotTaken, Refused, Unavailable
from .section import UPLOADERS, PhotosSection

PROBE = b"sealpin asks whether anything is taken here"


class Target(Protocol):
    """What a place for photos must do. Names are relative, with forward slashes."""

    server: str
    """Its address without user and folder, for messages."""

    def put(self, name: str, data: bytes, deadline: Deadline) -> None:
        """Put a file there whole, replacing one of the same name: written as `.part`, its size checked, renamed.

        Returns when the server has confirmed the whole file. Every connection is watched by the `deadline`. Raises
        Unavailable when another try may help, NotTaken when the server answered but it may be this file that it does
        not want, Refused when it will not have this file.
        """

    def remove(self, name: str) -> None:
        """Delete a file that has just been put there."""

    def close(self) -> None:
        """Drop the connection; the next file makes a new one."""


class Uploader:
    """Photos to one target: each within its deadline, on a kept connection that any trouble drops."""

    def __init__(self, target: Target, timeout_s: float) -> None:
        """`timeout_s` bounds each answer, and with the photo's size the whole transfer (see Deadline)."""
        self._target, self._timeout_s = target, timeout_s

    def upload(self, name: str, data: bytes) -> None:
        """Put a file there whole (see Target.put).

        Raises Refused only when the server takes another file at the same place: one that takes none has a fault of
        its own, a right or a command that is missing, which is Unavailable.
        """
        try:
            self._put(name, data)
        except Refused as fault:
            self._prove(name)
            raise fault from None

    def close(self) -> None:
        """Drop the connection; the next upload makes a new one."""
        self._target.close()

    def _put(self, name: str, data: bytes) -> None:
        try:
            with Deadline(self._timeout_s, len(data), self._target.server) as deadline:
                self._target.put(name, data, deadline)
        except BaseException:
            self._target.close()
            raise

    def _prove(self, refused: str) -> None:
        ending = posixpath.splitext(refused)[1]
        probe = posixpath.join(posixpath.dirname(refused), f"sealpin-{uuid.uuid4().hex[:12]}{ending}")
        try:
            self._put(probe, PROBE)
        except Refused as fault:
            raise Unavailable(
                "the server takes no photo at all",
                where=self._target.server,
                found=fault.found,
                advice="give the user of [photos] url the right to make folders there, and to write, rename and "
                "replace files",
                hint="sealpin-edge doctor --config CONFIG",
            ) from None
        with contextlib.suppress(Exception):  # a server that deletes nothing keeps it
            self._target.remove(probe)


def make_uploader(photos: PhotosSection, timeout_s: float) -> Uploader:
    """The uploader for [photos] `url`, by its scheme (a key of UPLOADERS).

    Raises InputError when a file that it names is missing, EnvironmentFault when a package is.
    """
    module, name = UPLOADERS[urlsplit(photos.url).scheme].split(":")
    return Uploader(cast(Target, getattr(import_module(module), name)(photos, timeout_s)), timeout_s)


def login_refused(server: str, found: str) -> Unavailable:
    """The fault of a server that does not let us in."""
    return Unavailable(
        "the server does not accept the user of [photos] url, or the secret of [photos] password_file or key_file",
        where=server,
        found=found,
        advice="mend the file or the url",
        hint="sealpin-edge doctor --config CONFIG",
    )


def check_size(found: int | None, data: bytes, where: str) -> None:
    """Raise NotTaken unless the server has all of the photo, Unavailable when it does not say how much it has."""
    if found is None:
        raise Unavailable(
            "the server does not tell the size of a file", where=where, advice="enable that on the server"
        )
    if found != len(data):
        raise NotTaken("the server kept only a part of the photo", where=where, found=f"{found} of {len(data)} bytes")


def put_in_place(rename: Callable[[], object], remove: Callable[[], object], fault: type[Exception]) -> None:
    """Give a whole file its name where a server may rename over nothing: then its older version goes first.

    Raises the `fault` of renaming when there is no older version that could be removed.
    """
    try:
        rename()
    except fault as refusal:
        try:
            remove()
        except fault:
            raise refusal from None
        rename()
