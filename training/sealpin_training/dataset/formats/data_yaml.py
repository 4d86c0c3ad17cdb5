"""data.yaml, which goes with YOLO's text files: the names of the classes, and how many key points a line has.

Format: Ultralytics' "Detection Datasets Overview" and "Pose Estimation Datasets Overview".
"""

from pathlib import Path
from typing import Any, NamedTuple

import yaml

from sealpin_edge.errors import InputError, in_words
from sealpin_edge.files import read_text

from ...plain_yaml import PlainNodes
from ..files import read_whole

MAX_BYTES = 1 << 20
MAX_CLASSES = 10_000
MAX_KEYPOINTS = 1_000


class DataYaml(NamedTuple):
    """What one data.yaml says. `keypoints`: how many numbers follow the box on each line; None where it does not say.

    `names` is None where it names no classes.
    """

    names: tuple[str, ...] | None
    keypoints: int | None


def read_data_yaml(path: Path) -> DataYaml:
    """Read one YAML file, whatever it is for. One without the words that matter may be as broken as it likes.

    Raises InputError with the line and the reason when it may name the classes and cannot be read.
    """
    try:
        data = read_whole(str(path), MAX_BYTES)
    except OSError as error:
        raise InputError("this file cannot be opened", where=str(path), found=in_words(error)) from None
    if isinstance(data, int):
        raise _fault(path, 1, f"{data} bytes", "up to 1 MB")
    words = data.replace(b"\0", b"")  # as good as UTF-16 is for finding a word
    if b"names" not in words and b"kpt_shape" not in words:
        return DataYaml(None, None)
    text = read_text(path)
    try:
        document = yaml.load(text, _PlainLoader)  # noqa: S506  it makes text, lists and dictionaries only
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise _fault(path, line, str(error.problem)) from None
    except yaml.reader.ReaderError as error:
        raise _fault(path, text.count("\n", 0, error.position) + 1, str(error.reason)) from None
    except (ValueError, OverflowError) as error:  # PyYAML lets pass what Python says of a letter beyond Unicode
        raise _fault(path, 1, str(error)) from None
    if not isinstance(document, dict):
        return DataYaml(None, None)
    names, count = _names(path, text, document.get("names")), document.get("nc")
    if names is not None and isinstance(count, str) and count != str(len(names)):
        raise _fault(path, _line(text, "nc"), f"nc: {count[:80]}, and {len(names)} names", "as many names as nc says")
    return DataYaml(names, _keypoints(path, text, document.get("kpt_shape")))


class _PlainLoader(PlainNodes, yaml.BaseLoader):  # type: ignore[misc]
    """All values stay text, as they are written: in YAML 1.1 a class called NO would be False."""


def _names(path: Path, text: str, found: Any) -> tuple[str, ...] | None:
    """The names in the order of their numbers."""
    if found is None:
        return None
    if isinstance(found, list) and all(isinstance(name, str) for name in found):
        return tuple(map(_writable, found))
    if isinstance(found, dict) and all(_is_class(number, name) for number, name in found.items()):
        named = {int(number): _writable(name) for number, name in found.items()}
        missing = [number for number in range(len(named)) if number not in named]
        if missing:  # counted from 1, or one left out: nobody knows whether the others have moved up
            raise _fault(path, _line(text, "names"), f"no name for {missing[0]}", "a name for each number from 0 on")
        return tuple(named[number] for number in range(len(named)))
    raise _fault(
        path, _line(text, "names"), f"names: {str(found)[:80]}", "names: [burr, spatter], or a number and a name a line"
    )


def _is_class(number: Any, name: Any) -> bool:
    numbered = isinstance(number, str) and number.isdecimal() and len(number) < 9 and int(number) < MAX_CLASSES
    return numbered and isinstance(name, str)


def _keypoints(path: Path, text: str, found: Any) -> int | None:
    """How many numbers the key points of a line are."""
    if found is None:
        return None
    if isinstance(found, list) and len(found) == 2 and all(isinstance(one, str) and one.isdecimal() for one in found):
        count, each = (int(one[:9]) for one in found)
        if 0 < count <= MAX_KEYPOINTS and each in (2, 3):
            return count * each
    raise _fault(
        path, _line(text, "kpt_shape"), f"kpt_shape: {str(found)[:80]}", "[points, 2], or [points, 3] with visibility"
    )


def _line(text: str, key: str) -> int:
    before, _, _ = text.partition(key)
    return before.count("\n") + 1


def _writable(name: str) -> str:
    """YAML has ways to spell what is no text."""
    return name.encode(errors="replace").decode()


def _fault(path: Path, line: int, found: str, allowed: str = "YAML that names the classes") -> InputError:
    escape = "in double quotes a backslash begins a code: write 'C:\\photos' in single quotes"
    return InputError(
        "this list of classes cannot be read",
        where=f"{path}:{line}",
        found=found.encode("unicode_escape").decode(),
        allowed=allowed,
        advice=escape if "escape" in found else "mend the line, or take the file out of the folder",
    )
