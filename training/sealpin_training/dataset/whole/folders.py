"""The class of a photo by the folder that it lies in."""

import re

from ..split import SPLIT_NAMES

# What folders are called that hold photos, whatever is on them
GENERIC = re.compile(r"^(?:images?|imgs?|photos?|pictures?|jpe?g(?:images)?|png|bmp|data|dataset|raw|input|all)$")


def class_folder(name: str) -> str:
    """The nearest folder above a photo that may be a class, by the photo's name; "" when there is none."""
    for folder in reversed(name.split("/")[:-1]):
        if folder.lower() not in SPLIT_NAMES and not GENERIC.match(folder.lower()):
            return folder
    return ""
