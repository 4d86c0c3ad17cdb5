"""Label formats. One module each, with

    LOOKS_LIKE                           what it looks for, in words
    find(files) -> LabelSource | None    the labels of a folder; None where it has none of this format
    read(root, file, classes, keypoints) what one label file says (formats with a file for each photo)

All are read; the one that labels most photos goes before the others, the first of equals. `foreign` names the labels of
programs that have no module here.
"""

from types import ModuleType

from . import coco, csv, voc, yolo

FORMATS: dict[str, ModuleType] = {"voc": voc, "coco": coco, "csv": csv, "yolo": yolo}
