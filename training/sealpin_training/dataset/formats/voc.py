"""LabelImg's XML files (Pascal VOC): read one, write one.

Format: the Pascal VOC development kit's annotation, as labelImg 1.8 writes it.
"""

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lxml import etree

from sealpin_edge.errors import raise_all
from sealpin_edge.tasks.finding import Edges

from ..boxes import check_boxes
from ..faults import Fault
from ..files import Files, match, read_whole
from ..labels import Box, LabelSource, RawLabels, RawObject, real_number, whole_number
from .foreign import has_numbers, has_words, pass_over, xml_program

MAX_BYTES = 4 << 20
LOOKS_LIKE = "Pascal VOC XML as labelImg saves it"
PROPOSAL = "sealpin proposal"

# What XML 1.0, 2.2, has no way to write
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

# What would be passed over otherwise, so that its box would be missed. <part> is VOC's own: heads and hands of a person
_STRAYS = etree.XPath(
    "//object[parent::*/parent::*] | //bndbox[not(parent::object or parent::part)] | /annotation/size[2]"
    " | //object/name[2] | //object/bndbox[2]"
    " | //bndbox/xmin[2] | //bndbox/ymin[2] | //bndbox/xmax[2] | //bndbox/ymax[2]"
)
_COMMENTS = etree.XPath("//comment()")
# What labelImg and the kit write into <annotation>
_KNOWN = {"folder", "filename", "path", "source", "owner", "size", "segmented", "object"}
_UNREAD = re.compile(rb"(<(?:folder|path)>)([^<]*)(</)")

# Nothing is fetched or expanded; libxml2's own limits against bombs stay on
_PARSER = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, remove_pis=True)


def find(files: Files) -> LabelSource | None:
    """The XML files of a folder, each with its photo; None where there are none."""
    if not files.labels.get(".xml"):
        return None
    labels, orphans = match(files.labels[".xml"], files.photos)
    others = {name: program for name in orphans if (program := xml_program(files.root / name))}
    for name, program in others.items():
        pass_over(files, name, program)
    if len(others) == len(files.labels[".xml"]):
        return None
    of_photo = {photo: (given,) for photo, given in labels.items()}
    return LabelSource("voc", of_photo, orphans=[name for name in orphans if name not in others])


def read(root: Path, file: str, classes: Sequence[str] = (), keypoints: int = 0) -> RawLabels:
    """What one XML file says, and what is wrong with it as a file. Entities and DTDs are refused, never expanded."""
    labels = RawLabels(file)

    def fault(kind: str, found: str = "", number: int | None = None, allowed: str = "") -> None:
        labels.findings.append(Fault(file, kind, found, number, allowed))

    try:
        data = read_whole(os.path.join(root, file), MAX_BYTES)
    except PermissionError:
        fault("file-unreadable", "no permission")
        return labels
    if isinstance(data, int):
        fault("labels-too-large", f"{data} bytes")
        return labels
    try:
        tree, mended = _parse(data)
        if mended:
            fault("xml-encoding", mended)
    except etree.XMLSyntaxError as error:
        # libxml2 stops at an entity that multiplies before there is a tree to look at
        fault("xml-entities" if b"<!DOCTYPE" in data or b"<!ENTITY" in data else "xml-unparsable", _first_line(error))
        return labels
    if tree.getroottree().docinfo.doctype:
        fault("xml-entities", tree.getroottree().docinfo.doctype[:80])
        return labels
    if tree.tag != "annotation":
        fault("xml-not-voc", f"<{tree.tag}>")
        return labels
    hidden = [one.sourceline for one in _COMMENTS(tree) if has_words(one.text)]
    if hidden:
        fault("xml-not-voc", f"an object in a comment, line {hidden[0]}", None, "objects that are there or gone")
        return labels
    etree.strip_tags(tree, etree.Comment)
    if strays := _STRAYS(tree):
        where = strays[0].getparent()
        found = f"<{strays[0].tag}> once more, or out of place, in <{where.tag}>, line {strays[0].sourceline}"
        fault(
            "xml-not-voc", found, None, "<object> in <annotation> alone, with one <name> and one <bndbox> of four edges"
        )
        return labels
    if tree.find("size") is None and tree.find("object") is None:
        fault("xml-not-voc", "neither <size> nor <object> in <annotation>", None, "a photo's size, at the least")
        return labels
    if unknown := _unknown(tree):
        fault("xml-not-voc", unknown, None, "objects as <object> with <name> and <bndbox>")
        return labels
    labels.filename, labels.path = tree.findtext("filename") or "", tree.findtext("path")
    labels.proposed = (tree.findtext("source/annotation") or "").strip() == PROPOSAL
    labels.size, labels.depth = _size(tree, fault)
    for number, item in enumerate(tree.iterchildren("object"), start=1):
        name = item.findtext("name") or ""
        if not name.strip():
            fault("class-missing", f"line {item.sourceline}", number)
            continue
        edges = _edges(item, number, fault)
        if edges:
            labels.objects.append(RawObject(number, name, edges, _flag(item, "difficult"), _flag(item, "truncated")))
    if _flag(tree, "segmented") and tree.find("object") is None:
        fault("box-missing", "<segmented> 1, and no <object>")
    return labels


def read_boxes(path: Path) -> tuple[Box, ...]:
    """The boxes of one XML file that must be in order. Raises InputError that lists what is wrong with it."""
    labels = read(path.parent, path.name)
    boxes, findings = check_boxes(labels, *(labels.size or (0, 0)))
    raise_all([found.as_error(path.parent) for found in (*labels.findings, *findings) if found.severity == "error"])
    return boxes


def write(path: Path, photo: str, width: int, height: int, boxes: Sequence[Box]) -> None:
    """Write one XML file that labelImg opens."""
    path.write_bytes(encode(photo, width, height, boxes))


def encode(
    photo: str, width: int, height: int, boxes: Sequence[Box], *, depth: int = 3, proposed: bool = False
) -> bytes:
    """One XML file as bytes; edges are rounded to whole pixels, as labelImg does.

    `photo` is the photo's name, `depth` its number of channels. A proposal is marked as such until labelImg saves the
    file: it drops the mark.
    """
    root = etree.Element("annotation")

    def add(parent: Any, tag: str, text: object = None) -> Any:
        element = etree.SubElement(parent, tag)
        element.text = None if text is None else _FORBIDDEN.sub("?", str(text))
        return element

    add(root, "folder")  # left empty: the file may be written elsewhere and moved, and nothing reads it
    add(root, "filename", photo)
    add(root, "path", photo)
    source = add(root, "source")
    add(source, "database", "Unknown")
    if proposed:
        add(source, "annotation", PROPOSAL)
    size = add(root, "size")
    for tag, value in (("width", width), ("height", height), ("depth", depth)):
        add(size, tag, value)
    add(root, "segmented", 0)
    for box in boxes:
        item = add(root, "object")
        flags = (("truncated", int(box.truncated)), ("difficult", int(box.difficult)))
        for tag, text in (("name", box.category), ("pose", "Unspecified"), *flags):
            add(item, tag, text)
        corners = add(item, "bndbox")
        for tag, edge in zip(("xmin", "ymin", "xmax", "ymax"), box.edges, strict=True):
            add(corners, tag, round(edge))
    etree.indent(root, "\t")
    return bytes(etree.tostring(root, encoding="utf-8")) + b"\n"


def _unknown(tree: Any) -> str:
    """What stands in <annotation> and may be an object in words of another program; "" when nothing does.

    One plain value under a name of its own, as of a camera or the weather, is none.
    """
    loose = [text.strip() for text in (tree.text, *(child.tail for child in tree)) if text and text.strip()]
    if loose:
        return f"the text {loose[0][:60]!r} in <annotation>"
    for child in tree:
        if child.tag not in _KNOWN and (
            len(child) or child.attrib or child.tag.casefold() in _KNOWN or has_numbers(child.text or "")
        ):
            return f"<{child.tag}>, line {child.sourceline}, which nothing reads"
    return ""


def _parse(data: bytes) -> tuple[Any, str]:
    """The document, and what was put right so that it is one. Raises XMLSyntaxError.

    Windows programs write <folder> and <path> in the system's code page into an XML that says it is UTF-8. Nothing
    reads the two, so that the boxes are worth keeping.
    """
    try:
        return etree.fromstring(data, _PARSER), ""
    except etree.XMLSyntaxError:
        if _is_utf8(data):
            raise
        mended = _UNREAD.sub(lambda found: found[1] + _as_utf8(found[2]) + found[3], data)
        first = next((found[2] for found in _UNREAD.finditer(data) if not _is_utf8(found[2])), b"")
        return etree.fromstring(mended, _PARSER), first.decode("cp1252", errors="replace")


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _as_utf8(text: bytes) -> bytes:
    return text if _is_utf8(text) else text.decode("cp1252", errors="replace").encode("utf-8")


def _size(tree: Any, fault: Any) -> tuple[tuple[int, int] | None, int | None]:
    """Width and height, and depth."""
    texts = [(tree.findtext(f"size/{tag}") or "").strip() for tag in ("width", "height", "depth")]
    width, height, depth = (whole_number(text) for text in texts)
    if width is None or height is None:
        fault("size-missing", "nothing" if not any(texts) else f"{texts[0]!r} x {texts[1]!r}")
        return None, depth
    if not width or not height:
        fault("size-zero", f"{width}x{height}")
        return None, depth
    return (width, height), depth


def _edges(item: Any, number: int, fault: Any) -> Edges | None:
    corners = item.find("bndbox")
    if corners is None:
        fault("box-missing", f"line {item.sourceline}", number)
        return None
    values = []
    for tag in ("xmin", "ymin", "xmax", "ymax"):
        text = (corners.findtext(tag) or "").strip()
        try:
            values.append(real_number(text))
        except ValueError:
            fault("box-not-number", f"<{tag}> {text!r}, line {corners.sourceline}", number)
            return None
    return Edges(*values)


def _flag(item: Any, tag: str) -> bool:
    return (item.findtext(tag) or "").strip() == "1"


def _first_line(error: etree.XMLSyntaxError) -> str:
    """libxml2's message, with line and column."""
    return (error.msg or "nothing").splitlines()[0]
