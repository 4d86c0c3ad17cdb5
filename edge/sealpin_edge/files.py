"""Outputs that appear whole or not at all, written beside their place, then renamed; and text that a person wrote."""

import codecs
import errno
import json
import os
import re
import secrets
import shutil
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from .errors import InputError

SHOWN = 3
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def read_text(path: Path) -> str:
    """The text of a file that a person may have written on any system: UTF-8, with or without a byte-order mark.

    Raises InputError when it is in another encoding, without a word of it, since it may be a secret; OSError when it
    cannot be read.
    """
    data = path.read_bytes()
    # Windows' Notepad ("Unicode") and older PowerShells write it; the second byte of a plain letter is a zero in it
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or b"\0" in data[:2]:
        raise InputError(
            "this text is not in UTF-8",
            where=str(path),
            found="UTF-16, as Windows' Notepad and PowerShell can write it",
            allowed="UTF-8",
            advice="save it anew with the encoding UTF-8 (PowerShell: Set-Content -Encoding utf8)",
        )
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InputError(
            "this text is not in UTF-8",
            where=f"{path}:{line}",
            found="bytes that are no UTF-8",
            allowed="UTF-8",
            advice="save it anew with the encoding UTF-8",
        ) from None


def parse_json(text: str | bytes) -> Any:
    """The content of JSON from outside. Raises ValueError when it is none, or nested deeper than Python follows."""
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("brackets within brackets, too deep") from None


def parse_toml(text: str, path: Path) -> dict[str, Any]:
    """The content of a TOML file. Raises InputError that says where it is none, without a word of it."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        # Its message may quote what stands there, and name keys: both can be a password that was put in the wrong place
        reason = re.split(r"['\"(]", str(error))[0].strip().replace("Expected", "Something else was expected")
        place = re.search(r"at (line \d+, column \d+|end of document)", str(error))
        found = f"{reason} at {place[1]}" if place else reason
        raise InputError("this is not TOML", where=str(path), found=found) from None
    except (ValueError, RecursionError) as error:  # which tomllib lets pass
        found = (
            "brackets within brackets, too deep" if isinstance(error, RecursionError) else "a number that is too long"
        )
        raise InputError("this is not TOML", where=str(path), found=found) from None


def fsync_folder(folder: Path) -> None:
    """Make renames and new names in a folder survive a power cut."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def _called(path: Path) -> Iterator[None]:
    """Gives what a full disk raises while something is written its name: else it has none, or that of a source."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            error.filename, error.filename2 = str(path), None
        raise


def write_whole(path: Path, data: bytes) -> None:
    """Write a file so that it holds all of `data`, on the disk itself, or does not appear; replaces an older one."""
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with _called(path), open(partial, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    fsync_folder(path.parent)


def check_apart(out: Path, *sources: Path | None, where: str = "", or_inside: bool = False) -> None:
    """Raise InputError when what is to be written is one of its own sources; with `or_inside`, also inside of one.

    `where` is how messages call `out`; else its path.
    """
    place = out.resolve()
    for source in (one.resolve() for one in sources if one):
        if place == source or (or_inside and source in place.parents):
            raise InputError(
                "this is the source itself" if place == source else "this lies inside its own source",
                where=where or str(out),
                found=f"to be made from {source}, which is never changed",
                allowed="another place",
            )


@contextmanager
def new_text_file(path: Path, encoding: str = "utf-8") -> Iterator[TextIO]:
    """A text file to write, however long, which gets its name when the block ends well; replaces an older one."""
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with _called(path), open(partial, "x", encoding=encoding, newline="") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def in_the_way(*paths: Path, allowed: str = "") -> InputError:
    """What is said of outputs whose names are taken; `allowed`, if not any name that is free."""
    more = f" and {len(paths) - SHOWN} more" if len(paths) > SHOWN else ""
    return InputError(
        "this is in the way" if len(paths) == 1 else "these are in the way",
        where=", ".join(map(str, paths[:SHOWN])) + more,
        allowed=allowed or "a name that is free" + (", or an empty folder" if paths[0].is_dir() else ""),
        advice="choose another name, or look whether it may be removed"
        + ("" if allowed else "; --force, where a command has it, overwrites it"),
    )


@contextmanager
def new_folder(path: Path, *sources: Path | None, over: str = "") -> Iterator[Path]:
    """A folder to fill, which gets its name when the block ends well and vanishes when it does not.

    A folder with a file `over` in it is an older one of the same kind: it makes way when the new one is whole. Raises
    InputError when anything else is at `path` already, other than an empty folder, or it is one of the `sources` that
    it is made from, or inside of one.
    """
    check_apart(path, *sources, or_inside=True)
    old = bool(over) and (path / over).is_file()
    if path.exists() and not old and not (path.is_dir() and not any(path.iterdir())):
        raise in_the_way(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        partial.mkdir(mode=0o700)  # within: a Ctrl-C right after it leaves nothing either
        with _called(path):
            yield partial
        partial.chmod(0o755)
        if old:
            aside = partial.with_suffix(".old")
            os.replace(path, aside)
            os.replace(partial, path)
            shutil.rmtree(aside)
            return
        try:
            if path.exists():
                path.rmdir()
            os.replace(partial, path)
        except OSError as error:
            if error.errno in (errno.ENOTEMPTY, errno.EEXIST):  # since then: by another program
                raise in_the_way(path) from None
            raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)
