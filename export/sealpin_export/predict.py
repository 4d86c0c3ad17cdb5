"""A model file over a folder of photos: what it finds as overlays, as labels for the next round, or as JSON."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sealpin_edge.cli.program import check_place
from sealpin_edge.display.overlay import draw_overlay
from sealpin_edge.errors import InputError, NoJudgement
from sealpin_edge.files import check_apart, write_whole
from sealpin_edge.model.photo import encode_jpeg, read_photo
from sealpin_edge.tasks.finding import Edges, Finding
from sealpin_edge.tasks.heat import hot_boxes
from sealpin_edge.tasks.model import Model
from sealpin_edge.tasks.verdict import Rule, Verdict, judge
from sealpin_training.dataset.boxes import clip
from sealpin_training.dataset.faults import KINDS, Fault
from sealpin_training.dataset.files import LABEL_ENDINGS, PHOTO_ENDINGS, find_files
from sealpin_training.dataset.formats import voc
from sealpin_training.dataset.labels import Box
from sealpin_training.progress import progress

# In a photo's place, and nothing of it is to be had
NOT_OPENED = ("link-broken", "link-outside", "file-special", "file-unreadable")


@dataclass(frozen=True)
class Prediction:
    """What a model makes of one photo: its verdict, the findings that count, and why it was not inspected.

    `heat_boxes` are where the model looked, for the eye, of a model that has a heat map and found something.
    """

    photo: str
    verdict: Verdict
    findings: tuple[Finding, ...]
    why: str = ""
    heat_boxes: Sequence[Edges] = ()

    def as_dict(self) -> dict[str, Any]:
        """For JSON; boxes are pixels of the photo: xmin, ymin, xmax, ymax."""
        return {
            "photo": self.photo,
            "verdict": self.verdict.value,
            "detections": [one.as_dict() for one in self.findings],
            "why": self.why,
            "heat_boxes": [[round(edge, 2) for edge in box] for box in self.heat_boxes],
        }


def predict(
    model: Model,
    photos: Path,
    *,
    rule: Rule | None = None,
    overlays: Path | None = None,
    xml: Path | None = None,
    force: bool = False,
) -> Iterator[Prediction]:
    """Judge a photo, or every photo below a folder; the model's own thresholds hold unless a `rule` is given.

    `overlays` and `xml` are folders for marked photos and Pascal VOC labels, named and nested as the photos are; with
    `force`, what an earlier call has written there is overwritten. Raises InputError when there are no photos, the
    model gives no boxes for `xml`, or something would be overwritten: labels that a person has saved never are. A photo
    that cannot be read, or of which the model gives no judgement, is NOT INSPECTED; so is what a folder has in a
    photo's place, such as a link that leads elsewhere.
    """
    if xml:
        model.check_boxes(f"--xml {xml}")
    files, unread = _photos(photos)
    folder = photos if photos.is_dir() else photos.parent
    rule = rule or model.rule()
    _check_places(photos, files, overlays, xml, force)
    for name in progress(files, "predict", "photo"):
        try:
            photo = read_photo(folder / name)
            reading = model.read(photo)
            verdict, found = judge(reading.findings, rule)
        except (InputError, NoJudgement) as fault:
            told = (fault.problem, fault.found, fault.allowed and f"allowed: {fault.allowed}")
            why = ", ".join(text for text in told if text)
            yield Prediction(name, Verdict.NOT_INSPECTED, (), why)
            continue
        if overlays:
            _write(_place(overlays, name, ".jpg"), encode_jpeg(draw_overlay(photo, verdict, found, reading.heat_map)))
        if xml:
            height, width = photo.shape[:2]
            boxes = [Box(one.category, *clip(one.edges, width, height)) for one in found]
            _write(_place(xml, name, ".xml"), voc.encode(Path(name).name, width, height, boxes, proposed=True))
        hot = hot_boxes(reading.heat_map, *photo.shape[:2]) if found and reading.heat_map is not None else ()
        yield Prediction(name, verdict, found, heat_boxes=hot)
    for one in unread:
        why = f"{KINDS[one.kind].problem}, {one.found}"
        yield Prediction(one.file, Verdict.NOT_INSPECTED, (), why)


def _photos(photos: Path) -> tuple[Sequence[str], Sequence[Fault]]:
    """The photos to judge, and what may be more of them but cannot be read."""
    if photos.is_file():
        return [photos.name], []
    files = find_files(photos) if photos.is_dir() else None
    found = files.photos if files else []
    unread = [
        one
        for one in (files.findings if files else [])
        if one.kind in NOT_OPENED and not one.file.lower().endswith(LABEL_ENDINGS)
    ]
    if not found and not unread:
        raise InputError(
            "no photos here", where=str(photos), allowed="a photo, or a folder of photos: " + ", ".join(PHOTO_ENDINGS)
        )
    return found, unread


def _check_places(photos: Path, files: Sequence[str], overlays: Path | None, xml: Path | None, force: bool) -> None:
    source = photos if photos.is_dir() else photos.parent
    for option, out in (("--overlays", overlays), ("--xml", xml)):
        if out:
            check_apart(out, source, where=f"{option} {out}", or_inside=True)
    stems = Counter(str(Path(name).with_suffix("")) for name in files)
    twice = [name for name in files if stems[str(Path(name).with_suffix(""))] > 1]
    if twice and (overlays or xml):
        raise InputError("two photos differ only by their ending", where=str(photos), found=", ".join(twice[:2]))
    for out, ending, ours, sort in (
        (overlays, ".jpg", Path.is_file, ""),
        (xml, ".xml", _is_proposal, "a model's proposal: labels that a person has saved are never overwritten"),
    ):
        places = [_place(out, name, ending) for name in files] if out else []
        check_place(*filter(Path.exists, places), force=force, ending=ending, ours=ours, sort=sort)


def _is_proposal(path: Path) -> bool:
    return voc.read(path.parent, path.name).proposed


def _place(out: Path, name: str, ending: str) -> Path:
    return out / Path(name).with_suffix(ending)


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, data)
