"""LabelImg's XML files (Pascal VOC): read one, write one.

Format: the Pascal VOC development kit's annotation, as labelImg 1.8 writes it. Boxes are pixels of the photo as
stored; sealpin reads them as edges, 0 <= xmin < xmax <= width, as the Object Detection API's own scripts do.
"""

from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import defusedxml
import defusedxml.ElementTree

from sealpin_edge.errors import InputError

MAX_XML_BYTES = 4 << 20


@dataclass(frozen=True)
class Box:
    """One labelled object: its category and its edges in pixels of the photo."""

    category: str
    xmin: float
    ymin: float
    xmax: float
    ymax: float


@dataclass(frozen=True)
class Annotation:
    """What one XML file says of one photo. `width` and `height` are 0 where the XML has no size."""

    photo: str
    width: int
    height: int
    boxes: tuple[Box, ...] = ()


def read_annotation(path: Path) -> Annotation:
    """Read one labelImg XML file.

    Raises InputError when it is no XML, no VOC annotation, lacks a number, or has a box that is empty or (where the
    XML gives the photo's size) lies outside the photo. Entities and DTDs are refused, so a hostile file cannot expand.
    """
    allowed = "an XML file as labelImg saves it in Pascal VOC mode"

    def refuse(problem: str, found: str = "", rule: str = allowed) -> InputError:
        return InputError(
            problem, where=str(path), found=found, allowed=rule, hint="open the photo in labelImg and save it again"
        )

    if path.stat().st_size > MAX_XML_BYTES:
        raise refuse("this file is too large for an annotation", f"{path.stat().st_size} bytes", "up to 4 MB")
    try:
        root = defusedxml.ElementTree.fromstring(path.read_bytes(), forbid_dtd=True)
    except ElementTree.ParseError as error:
        raise refuse("this file is not XML", str(error)) from None
    except defusedxml.DefusedXmlException:
        raise refuse(
            "this XML declares a document type or entities", rule="plain XML without <!DOCTYPE> or entities"
        ) from None
    if root.tag != "annotation":
        raise refuse("this XML is not a Pascal VOC annotation", f"<{root.tag}>", "<annotation> as its first element")

    def number(parent: ElementTree.Element, tag: str, what: str) -> float:
        text = (parent.findtext(tag) or "").strip()
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if value != value or value in (float("inf"), float("-inf")):
            raise refuse(f"{what}: <{tag}> is not a number", repr(text), "a number of pixels")
        return value

    size = root.find("size")
    width = int(number(size, "width", "size")) if size is not None else 0
    height = int(number(size, "height", "size")) if size is not None else 0
    boxes = []
    for index, item in enumerate(root.findall("object"), start=1):
        what = f"object {index}"
        category = (item.findtext("name") or "").strip()
        if not category:
            raise refuse(f"{what} has no name", rule="<name> with the burr's category")
        corners = item.find("bndbox")
        if corners is None:
            raise refuse(f"{what} has no <bndbox>")
        box = Box(category, *(number(corners, tag, what) for tag in ("xmin", "ymin", "xmax", "ymax")))
        if not (box.xmin < box.xmax and box.ymin < box.ymax):
            raise refuse(f"{what} is an empty or inverted box", str(box), "xmin < xmax and ymin < ymax")
        if box.xmin < -1 or box.ymin < -1 or (width and box.xmax > width + 1) or (height and box.ymax > height + 1):
            raise refuse(f"{what} lies outside the photo", str(box), f"0..{width} by 0..{height}, give or take a pixel")
        boxes.append(box)
    return Annotation((root.findtext("filename") or "").strip(), width, height, tuple(boxes))


def write_annotation(path: Path, annotation: Annotation) -> None:
    """Write one XML file that labelImg opens; boxes are rounded to whole pixels, as labelImg does."""
    root = ElementTree.Element("annotation")

    def add(parent: ElementTree.Element, tag: str, text: object = None) -> ElementTree.Element:
        element = ElementTree.SubElement(parent, tag)
        element.text = None if text is None else str(text)
        return element

    add(root, "folder")  # left empty: the file may be written elsewhere and moved, and nothing reads it
    add(root, "filename", annotation.photo)
    add(root, "path", annotation.photo)
    add(add(root, "source"), "database", "Unknown")
    size = add(root, "size")
    for tag, value in (("width", annotation.width), ("height", annotation.height), ("depth", 3)):
        add(size, tag, value)
    add(root, "segmented", 0)
    for box in annotation.boxes:
        item = add(root, "object")
        for tag, text in (("name", box.category), ("pose", "Unspecified"), ("truncated", 0), ("difficult", 0)):
            add(item, tag, text)
        corners = add(item, "bndbox")
        for tag in ("xmin", "ymin", "xmax", "ymax"):
            add(corners, tag, round(getattr(box, tag)))
    ElementTree.indent(root, "\t")
    path.write_bytes(ElementTree.tostring(root, encoding="utf-8") + b"\n")
