"""Every kind of fault that a dataset can have, and one fault that was found.

An error makes training wrong or impossible: convert refuses it. A warning may be meant so. A note tells what happens.
"""

from typing import Literal, NamedTuple

from sealpin_edge.errors import InputError

Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")

LABEL_AGAIN = "open the photo in labelImg and save it again"
COPY_AGAIN = "copy it again from the camera, or take it out of the folder"
LOOK = "look at it in labelImg"
WRITTEN = "nothing reads it; sealpin dataset fix writes it"
DROP = "drop it: photos that it may be about count as unlabelled"


class Kind(NamedTuple):
    """One row of the table: how bad, what is wrong, what is allowed, what to do, and what `dataset fix` does."""

    severity: Severity
    problem: str
    allowed: str
    hint: str
    fix: str = ""

    @property
    def advice(self) -> str:
        """What to do: first what the summary's next command does, then by hand what a hand can do better."""
        if not self.fix:
            return self.hint
        mended = f"let dataset fix {self.fix}" + ("" if " " in self.fix else " it")
        return mended if self.hint in ("", LABEL_AGAIN, LOOK, WRITTEN) else f"{mended}; or by hand: {self.hint}"


KINDS: dict[str, Kind] = {
    # Files
    "photo-unlabelled": Kind(
        "warning",
        "this photo has no labels",
        "a label file for each photo, without objects for a good part",
        "label it; convert leaves it out, or takes it as a good part with --unlabelled good",
    ),
    "labels-without-photo": Kind(
        "error", "these labels have no photo", "a photo of the same name", "bring the photo, or remove the file", DROP
    ),
    "labels-several": Kind(
        "error", "this photo has several label files", "one", "remove all but the right one", "leave the photo out"
    ),
    "photos-several": Kind(
        "error", "several photos share one label file", "one", "rename one of the photos", "leave the photos out"
    ),
    "labels-astray": Kind(
        "error",
        "this photo's labels lie among other photos: they may be those of a photo that is gone",
        "labels beside their photo, or in a folder of labels",
        "put them beside it if they are its own, else remove them",
        "leave the photo out",
    ),
    "labels-other-format": Kind(
        "warning",
        "labels of another format lie here too",
        "one format in a folder",
        "they are read too: where both label a photo, they must say the same",
    ),
    "labels-proposed": Kind(
        "warning",
        "these labels are a proposal, or fix left no object of them: nobody has looked at them",
        "labels that a person has looked at",
        "look at it in labelImg and save it (Ctrl+S, or Space when all is right); until then it counts as unlabelled",
    ),
    "labels-given-twice": Kind(
        "note", "this photo's labels are given twice", "once", "they say the same, and count once", "write them once"
    ),
    "labels-differ": Kind(
        "error",
        "this photo's labels are given twice and differ",
        "the same class and edges in both, give or take a pixel",
        "remove the wrong ones",
        "leave the photo out",
    ),
    "labels-not-read": Kind(
        "error",
        "these labels cannot be read",
        "labelImg's XML, COCO, YOLO, or the CSV of xml_to_csv.py",
        "export them as Pascal VOC or COCO, and take this file out of the folder",
        DROP,
    ),
    "file-passed-over": Kind(
        "note",
        "this file is called like labels and holds none that are known",
        "labelImg's XML, COCO, YOLO, or the CSV of xml_to_csv.py",
        "nothing reads it",
    ),
    "labels-aside": Kind(
        "warning",
        "labels may lie in here, where nothing reads them",
        "labels beside their photos, or in a folder of labels",
        "unpack or move them, or take them out if they are others; until then what has no labels is no good part",
    ),
    "labels-cut": Kind(
        "warning",
        "this list may have been cut off: its last line has no line end",
        "a line end behind each line",
        "add a line end when nothing is missing; until then what it does not list is no good part",
    ),
    "file-unreadable": Kind("error", "this file cannot be opened", "a file that may be read", "chmod u+r", DROP),
    "file-special": Kind("error", "this is no file but a pipe or device", "a file", "remove it", DROP),
    "file-hidden": Kind(
        "note", "a hidden file (macOS makes ._ copies)", "names that do not begin with a dot", "it is not read"
    ),
    "link-outside": Kind(
        "error", "this link leads out of the folder", "files in the folder", "copy the file here", DROP
    ),
    "link-broken": Kind("error", "this link leads nowhere", "a file", "bring the file, or remove the link", DROP),
    "link-folder": Kind("note", "a link to a folder", "the folder itself", "it is not followed"),
    "name-clash": Kind("warning", "two names differ only by case", "names that Windows can tell apart", "rename one"),
    "name-not-nfc": Kind(
        "warning",
        "this name is spelled with combining characters, as macOS does",
        "the composed spelling (Unicode NFC), which other systems write",
        "rename it; the labels were found all the same",
        "rename",
    ),
    "name-not-utf8": Kind(
        "error", "this name is no text (UTF-8)", "a name that every system can write", "rename it", "rename"
    ),
    # Label files
    "labels-too-large": Kind(
        "error", "this file is too large for labels", "up to 4 MB a photo", "remove it", "leave the photo out"
    ),
    "xml-unparsable": Kind(
        "error", "this file is not XML", "an XML file as labelImg saves it", LABEL_AGAIN, "leave the photo out"
    ),
    "xml-entities": Kind(
        "error",
        "this XML declares a document type or entities",
        "plain XML without <!DOCTYPE> or entities",
        LABEL_AGAIN,
        "leave the photo out",
    ),
    "xml-not-voc": Kind(
        "error",
        "this XML is not a Pascal VOC annotation",
        "<annotation> as its first element",
        LABEL_AGAIN,
        "leave the photo out",
    ),
    "line-unreadable": Kind(
        "error", "this line is no label", "as the format wants it", "correct the line", "drop the line"
    ),
    "xml-encoding": Kind(
        "warning",
        "bytes of <path> or <folder> are not of this XML's encoding",
        "one encoding in a file",
        WRITTEN,
        "write it",
    ),
    "id-missing": Kind(
        "error",
        "this image has no id, so that no box can be its own",
        "an id, a number or a text",
        "export the labels again",
        "leave the photo out",
    ),
    "id-twice": Kind(
        "error",
        "one id stands for several things",
        "each id once in a file",
        "export the labels again, or give the others ids of their own",
        "leave the photo out",
    ),
    "annotation-astray": Kind(
        "error",
        "this annotation belongs to no image of its file",
        "the id of one of the images",
        "export the labels again; until then any photo of the file without boxes counts as unlabelled",
        DROP,
    ),
    "annotation-id-twice": Kind(
        "warning",
        "annotations share an id",
        "each id once in a file",
        "all their boxes are used; other programs may keep one of them",
    ),
    "size-missing": Kind("warning", "the size of the photo is missing", "its size", LABEL_AGAIN, "write the size"),
    "size-zero": Kind("warning", "the size of the photo is 0", "its size", LABEL_AGAIN, "write the size"),
    "size-swapped": Kind(
        "error",
        "width and height are swapped",
        "the photo's size",
        "was the photo turned after it was labelled? " + LABEL_AGAIN,
        "leave the photo out",
    ),
    "size-differs": Kind(
        "error",
        "the labels give another size than the photo has",
        "the photo's size",
        "was the photo resized after it was labelled? " + LABEL_AGAIN,
        "scale the boxes where the aspect ratio is the same, else leave the photo out",
    ),
    "depth-differs": Kind(
        "warning",
        "the labels give another number of channels than the photo has",
        "the photo's",
        WRITTEN,
        "write it",
    ),
    "filename-missing": Kind("warning", "<filename> is missing", "the photo's name", LABEL_AGAIN, "write it"),
    "filename-ending": Kind("warning", "<filename> has no ending, or another", "the photo's name", WRITTEN, "write it"),
    "filename-case": Kind("warning", "<filename> differs by case", "the photo's name", WRITTEN, "write it"),
    "filename-spelling": Kind(
        "warning", "<filename> spells an accent in another way (Unicode)", "the photo's name", WRITTEN, "write it"
    ),
    "filename-folder": Kind("warning", "<filename> holds a path", "the photo's name alone", WRITTEN, "write it"),
    "filename-differs": Kind(
        "warning",
        "<filename> names another photo",
        "the photo's name",
        "make sure that these are this photo's labels; the name of the file decides, not <filename>",
        "write it",
    ),
    "path-differs": Kind(
        "warning", "<path> names another photo", "the photo's name", "make sure that these are its labels", "write it"
    ),
    "path-moved": Kind(
        "note",
        "<path> is a place on another computer or an earlier folder",
        "where the photo lies",
        WRITTEN,
        "write the name",
    ),
    # Objects
    "class-missing": Kind("error", "this object has no name", "the object's category", LABEL_AGAIN, "drop the object"),
    "class-unknown": Kind(
        "error", "this class is not in the list", "the classes of the list", "dataset fix --rename OLD=NEW"
    ),
    "class-spelling": Kind(
        "error",
        "this class is another one spelled differently",
        "one spelling",
        "if it is a class of its own, give --classes with both; else the commonest is right",
        "rename",
    ),
    "class-typo": Kind(
        "error",
        "this rare class looks like a typing error",
        "one spelling",
        "if it is a class of its own, give --classes with both; else the commonest is right",
        "rename",
    ),
    "class-scripts": Kind(
        "error",
        "this class mixes letters of several alphabets that look the same",
        "letters of one alphabet",
        "dataset fix --rename OLD=NEW",
    ),
    "class-list-short": Kind(
        "error",
        "the list of classes has no name for this number",
        "a name for each number",
        "add the name to classes.txt or data.yaml, in its place",
    ),
    "classes-unnamed": Kind(
        "warning",
        "no list names the classes, which are called by their numbers",
        "names in data.yaml, or a name a line in classes.txt",
        "put the list that the labels were made with beside them",
    ),
    "class-good": Kind(
        "warning",
        "this class sounds like a good part, and a box of any class rejects its part",
        "classes of faults; a good part has labels without an object",
        "take these objects out, or let the station only show the class: --notice",
    ),
    "class-few": Kind(
        "warning", "this class has too few boxes to learn", "20 and more", "label more, or fold it: --merge OLD=NEW"
    ),
    "class-differs": Kind(
        "error",
        "this photo is given two classes",
        "one class for each photo",
        "remove the wrong line, or the wrong folder's copy",
        "leave the photo out",
    ),
    "folders-mixed": Kind(
        "note",
        "every folder has marked and unmarked photos, so that folders are no classes",
        "a folder for each class",
        "masks tell what is good; with a table of file and class, that does",
    ),
    "class-rare": Kind(
        "warning", "this class has too few photos to learn", "20 and more", "take more, or fold it: --merge OLD=NEW"
    ),
    "class-alone": Kind(
        "error", "there is one class, and nothing to tell it from", "two and more", "bring photos of the others"
    ),
    "class-reserved": Kind(
        "error",
        "this class is called as parts are of which nobody is sure that they are good",
        "another name",
        "give it another: dataset fix --rename OLD=NEW",
    ),
    "good-missing": Kind(
        "error",
        "no class is called as good parts are",
        "a class of good parts, by which a part is OK",
        'name it: --good CLASS; with --good "" no part is ever OK; convert takes photos without labels as good parts by'
        " --unlabelled good",
    ),
    "good-none": Kind(
        "warning", "no class is good: every part will be NG", "a class of good parts", "name it: --good CLASS"
    ),
    "good-ambiguous": Kind(
        "error",
        "several classes are called as good parts are",
        "one, or those that are named",
        "name each that is good: --good CLASS; or make them one: dataset fix --rename OLD=NEW",
    ),
    "good-unknown": Kind(
        "error", "no photo has a class that is said to be good", "a class of this folder", "correct --good"
    ),
    "good-alone": Kind(
        "error", "all classes are good: no part would ever be rejected", "a class of bad parts", "correct --good"
    ),
    "good-marked": Kind(
        "error",
        "this photo's class is good, and something is marked on it",
        "no marks on a good part",
        "move it to its class, or remove the marks",
        "leave the photo out",
    ),
    "mask-without-photo": Kind(
        "error", "this mask has no photo", "a photo of the same name", "bring the photo, or remove the mask"
    ),
    "box-missing": Kind("error", "this object has no box", "<bndbox> with four edges", LABEL_AGAIN, "drop the object"),
    "box-crowd": Kind(
        "warning",
        "this box is a crowd (iscrowd), which is no object",
        "a box for each object",
        "it is not used: what lies in it counts as background",
        "drop the object",
    ),
    "box-crowd-alone": Kind(
        "error",
        "this photo has crowds (iscrowd) and no object: it is neither bad nor good",
        "a box for each object",
        "mark each one by itself, or take the photo out",
        "leave the photo out",
    ),
    "box-from-outline": Kind(
        "note", "outlines without a box (bbox) are read as the box around them", "bbox", "nothing to do"
    ),
    "box-not-number": Kind("error", "an edge of this box is no number", "pixels", LABEL_AGAIN, "drop the object"),
    "box-nan": Kind("error", "an edge of this box is not finite", "pixels", LABEL_AGAIN, "drop the object"),
    "box-shares": Kind(
        "error",
        "this box is within one pixel: its edges may be shares of the photo's size",
        "pixels",
        "export the labels again, in pixels or as YOLO",
        "drop the object",
    ),
    "box-inverted": Kind("error", "this box is inverted", "xmin < xmax and ymin < ymax", LABEL_AGAIN, "swap its edges"),
    "box-empty": Kind("error", "this box has no area", "xmin < xmax and ymin < ymax", LABEL_AGAIN, "drop the object"),
    "box-outside": Kind("error", "this box reaches out of the photo", "inside, give or take a pixel", LOOK, "clip it"),
    "box-off-photo": Kind("error", "this box lies outside the photo", "inside", LOOK, "drop the object"),
    "box-sliver": Kind("warning", "this box is a sliver", "2 pixels and more on each side", LOOK, "drop the object"),
    "box-whole-photo": Kind("warning", "this box covers the whole photo", "a box around one object", LOOK),
    "box-duplicate": Kind(
        "warning", "this box is there twice", "one box an object", "remove one", "drop all but the first"
    ),
    "box-two-classes": Kind(
        "warning", "this box is there with another class too", "one class an object", "remove the wrong one"
    ),
    "box-near-duplicate": Kind(
        "warning", "this box is nearly another one", "one box an object", "remove one if both mean the same object"
    ),
    "box-small": Kind(
        "warning",
        "this box is under 8 pixels at the model's input",
        "8 and more",
        "take photos from nearer, or choose a recipe with a larger input",
    ),
    # Photos
    "photo-empty": Kind("error", "this photo is an empty file", "a JPEG or PNG", COPY_AGAIN, "leave it out"),
    "photo-unreadable": Kind("error", "this is no photo", "a JPEG or PNG", COPY_AGAIN, "leave it out"),
    "photo-truncated": Kind(
        "error", "this photo ends before its last row", "a whole JPEG or PNG", COPY_AGAIN, "leave it out"
    ),
    "photo-corrupt": Kind("error", "this photo is damaged", "a sound JPEG or PNG", COPY_AGAIN, "leave it out"),
    "photo-too-large": Kind(
        "error", "this photo is too large to open", "up to 100 megapixels and 64 MB", "make it smaller", "leave it out"
    ),
    "photo-mask": Kind(
        "warning",
        "this has no labels, and is called a mask or has as few colours as one",
        "photos alone",
        "write them as labels and take them out; until then what has no labels is no good part",
    ),
    "photo-format": Kind(
        "error", "records cannot hold a photo of this format", "JPEG or PNG", "convert it to PNG", "write it as PNG"
    ),
    "photo-ending": Kind(
        "warning",
        "this photo is of another format than its name says",
        "the ending of its format",
        "rename it",
        "rename",
    ),
    "photo-animated": Kind(
        "error", "this photo is animated", "a single picture", "save one frame", "keep the first frame"
    ),
    "photo-cmyk": Kind(
        "error", "this photo has printing colours (CMYK)", "RGB or grey", "convert it to RGB", "convert it to RGB"
    ),
    "photo-16-bit": Kind("error", "this photo has 16 bits a channel", "8 bits", "convert it", "write it with 8 bits"),
    "photo-alpha": Kind(
        "warning", "this photo has transparency, which is ignored", "opaque photos", LOOK, "write it opaque, on black"
    ),
    "photo-grey": Kind(
        "note", "this photo is grey among colour photos", "photos of one kind", "it is read with three equal channels"
    ),
    "photo-rotated": Kind(
        "error",
        "a tag (EXIF) asks to turn this photo, which labelImg does and training does not: the boxes are elsewhere",
        "photos stored upright",
        "",
        "turn the pixels",
    ),
    "photo-small": Kind(
        "warning", "this photo is far smaller than the model's input", "at least half of it", "use a smaller recipe"
    ),
    "photo-duplicate": Kind(
        "warning", "this photo is there twice", "each photo once", "remove one", "drop all but the first"
    ),
    "photo-duplicate-labels": Kind(
        "warning",
        "this photo is there twice with different labels",
        "one set of labels",
        "remove the wrong one; convert keeps both in one split",
    ),
    "photo-good-and-bad": Kind(
        "error",
        "this photo is there twice: as a good part here, with objects elsewhere",
        "one set of labels",
        "remove the wrong one",
        "leave out the good one",
    ),
    "photo-near-good-and-bad": Kind(
        "warning",
        "this photo is nearly another one: one of the two is a good part, the other has objects",
        "each part once",
        "look at both: are the labels of one wrong? convert keeps both in one split",
    ),
    "photo-near-duplicate": Kind(
        "warning", "this photo is nearly another one", "each part once", "convert keeps both in one split"
    ),
    "photo-across-splits": Kind(
        "error",
        "this photo is in another split too: its score would be a lie",
        "each photo in one split",
        "remove one",
        "keep one: with boxes, else labelled, else in test",
    ),
    "photo-near-across-splits": Kind(
        "error",
        "this photo is nearly one of another split: its score would be a lie",
        "each part in one split",
        "remove one",
        "keep one: with boxes, else labelled, else in test",
    ),
    "split-incomplete": Kind(
        "warning",
        "folders called train, val or test are not taken as the split",
        "every photo in one of the three, and none of them empty",
        "convert deals the photos anew; move them, or give the folders other names",
    ),
    "no-boxes": Kind(
        "error",
        "no photo has a box",
        "boxes on some photos",
        "label them; a proposal counts when a person has saved it",
    ),
    "no-good-parts": Kind(
        "note", "no photo shows a good part", "some", "without them nobody knows how many good parts are rejected"
    ),
}


class Fault(NamedTuple):
    """One fault: `file` below the folder (the folder itself: "."), what was found, the object's number from 1."""

    file: str
    kind: str
    found: str = ""
    number: int | None = None
    allowed: str = ""

    @property
    def severity(self) -> Severity:
        """error, warning or note."""
        return KINDS[self.kind].severity

    def as_dict(self) -> dict[str, object]:
        """The fault as `dataset check --json` prints it."""
        kind = KINDS[self.kind]
        return {
            "file": self.file,
            "object": self.number,
            "kind": self.kind,
            "severity": kind.severity,
            "found": self.found,
            "allowed": self.allowed or kind.allowed,
            "hint": kind.advice,
        }

    def as_error(self, src: object) -> InputError:
        """The fault as an error of folder `src`."""
        kind = KINDS[self.kind]
        problem = f"object {self.number}: {kind.problem}" if self.number else kind.problem
        return InputError(
            problem,
            where=f"{src}/{self.file}",
            found=self.found,
            allowed=self.allowed or kind.allowed,
            advice=kind.advice,
        )
