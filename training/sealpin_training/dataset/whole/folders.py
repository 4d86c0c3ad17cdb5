"""The class of a photo by the folder that it lies in."""

import re
from collections.abc import Collection, Sequence

from ..names import sounds_bad, sounds_good
from ..split import SPLIT_NAMES

# What folders are called that hold photos, whatever is on them
GENERIC = re.compile(r"^(?:images?|imgs?|photos?|pictures?|jpe?g(?:images)?|png|bmp|data|dataset|raw|input|all)$")


def class_folders(name: str) -> list[str]:
    """The folders above a photo that may be classes, by the photo's name, the nearest first."""
    folders = reversed(name.split("/")[:-1])
    return [one for one in folders if one.lower() not in SPLIT_NAMES and not GENERIC.match(one.lower())]


def outer_class(folders: Sequence[str], classes: Collection[str]) -> str:
    """Of a photo's folders, its own class first, an outer one that is another class; "" when there is none.

    That is one in which photos of its own lie, or around good parts one that is called as bad parts are.
    """
    own, *outer = folders or [""]
    others = [one for one in outer if one != own and (one in classes or (sounds_good(own) and sounds_bad(one)))]
    return others[0] if others else ""
