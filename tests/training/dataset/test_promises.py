"""What holds for any folder: no bad part becomes a good one, and what check lets pass is converted."""

import json
import shlex
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sealpin.cli import main
from sealpin_edge.errors import InputError
from sealpin_training.dataset.fix import fix
from sealpin_training.dataset.survey import Rules, Survey, survey
from sealpin_training.parallel import Workers

from .corpus import encoded, picture

WIDTH, HEIGHT = 96, 64
# Objects as they are in files: a sound one, and every way not to be one; in pixels, or what stands in a YOLO line
EDGES = {
    "sound": (10, 12, 40, 50),
    "another": (50, 8, 80, 40),
    "no area": (30, 20, 30, 40),
    "beside the photo": (200, 10, 220, 30),
    "over the edge": (70, 20, 140, 50),
    "inverted": (60, 50, 20, 10),
    "not a number": (float("nan"), 10, 30, 30),
    "sliver": (10, 10, 11, 40),
    "in words": ("left", 10, 30, 30),
    "without a name": (10, 12, 40, 50),
    "of no class": (10, 12, 40, 50),
}


@dataclass(frozen=True)
class Photo:
    """`shot` is which picture, `objects` keys of EDGES, None for no labels; `resized`: the labels tell another size."""

    shot: int
    objects: tuple[str, ...] | None
    folder: str = ""
    resized: bool = False


photos = st.builds(
    Photo,
    st.integers(0, 4),
    st.none() | st.lists(st.sampled_from(sorted(EDGES)), max_size=3).map(tuple),
    st.sampled_from(("train", "val", "test")),
    st.sampled_from((False, False, False, True)),
)
formats = st.sampled_from(("voc", "yolo", "coco", "csv"))


@cache
def shot(number: int) -> bytes:
    return encoded(picture(number, WIDTH, HEIGHT), "JPEG")


def names(folder_of: list[Photo], split: bool) -> list[str]:
    return [f"{photo.folder}/p{number}.jpg" if split else f"p{number}.jpg" for number, photo in enumerate(folder_of)]


@contextmanager
def written(kind: str, items: list[Photo], split: bool, astray: bool) -> Iterator[Path]:
    """A folder of these photos with labels in one format; `astray`: COCO's file has a box of an image that it lacks."""
    with tempfile.TemporaryDirectory() as place:
        src = Path(place, "my photos")
        for name, photo in zip(names(items, split), items, strict=True):
            (src / name).parent.mkdir(parents=True, exist_ok=True)
            (src / name).write_bytes(shot(photo.shot))
        {"voc": as_voc, "yolo": as_yolo, "coco": as_coco, "csv": as_csv}[kind](src, items, split)
        if kind == "coco" and astray:
            document = json.loads((src / "labels.json").read_text())
            document["annotations"].append({"image_id": 99, "category_id": 1, "bbox": [1, 1, 9, 9]})
            (src / "labels.json").write_text(json.dumps(document))
        yield src


def size(photo: Photo) -> tuple[int, int]:
    return (WIDTH + 40, HEIGHT) if photo.resized else (WIDTH, HEIGHT)


def as_voc(src: Path, items: list[Photo], split: bool) -> None:
    for name, photo in zip(names(items, split), items, strict=True):
        if photo.objects is None:
            continue
        text = "<size><width>{}</width><height>{}</height></size>".format(*size(photo))
        for kind in photo.objects:
            corners = zip(("xmin", "ymin", "xmax", "ymax"), EDGES[kind], strict=True)
            edges = "".join(f"<{tag}>{edge}</{tag}>" for tag, edge in corners)
            called = "" if kind == "without a name" else "burr"
            text += f"<object><name>{called}</name><bndbox>{edges}</bndbox></object>"
        text = f"<annotation><filename>{Path(name).name}</filename>{text}</annotation>"
        (src / name).with_suffix(".xml").write_text(text)


def as_yolo(src: Path, items: list[Photo], split: bool) -> None:
    (src / "classes.txt").write_text("burr\n\nspatter\n")
    for name, photo in zip(names(items, split), items, strict=True):
        if photo.objects is None:
            continue
        text = ""
        for kind in photo.objects:
            xmin, ymin, xmax, ymax = EDGES[kind]
            called = {"without a name": 1, "of no class": 7}.get(kind, 0)
            if isinstance(xmin, str):
                text += f"{called} {xmin} 0.5 0.1 0.1\n"
            else:
                centre = (xmin + xmax) / 2 / WIDTH, (ymin + ymax) / 2 / HEIGHT
                text += f"{called} {centre[0]} {centre[1]} {(xmax - xmin) / WIDTH} {(ymax - ymin) / HEIGHT}\n"
        (src / name).with_suffix(".txt").write_text(text)


def as_coco(src: Path, items: list[Photo], split: bool) -> None:
    images, annotations = [], []
    for number, (name, photo) in enumerate(zip(names(items, split), items, strict=True)):
        if photo.objects is None:
            continue
        width, height = size(photo)
        images.append({"id": number, "file_name": name, "width": width, "height": height})
        for kind in photo.objects:
            xmin, ymin, xmax, ymax = EDGES[kind]
            box: list[Any] = ["left", 1, 2, 3] if isinstance(xmin, str) else [xmin, ymin, xmax - xmin, ymax - ymin]
            category = 5 if kind in ("without a name", "of no class") else 1
            annotations.append({"id": len(annotations), "image_id": number, "category_id": category, "bbox": box})
    document = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "burr"}]}
    (src / "labels.json").write_text(json.dumps(document))


def as_csv(src: Path, items: list[Photo], split: bool) -> None:
    lines = ["filename,width,height,class,xmin,ymin,xmax,ymax"]
    for name, photo in zip(names(items, split), items, strict=True):
        for kind in photo.objects or ():
            called = "" if kind == "without a name" else "burr"
            lines.append(f"{name},{','.join(map(str, size(photo)))},{called},{','.join(map(str, EDGES[kind]))}")
    (src / "labels.csv").write_text("\n".join(lines) + "\n")


def look(folder: Path) -> Survey:
    return survey(folder, Rules(), Workers(None, 1))


@given(formats, st.lists(photos, min_size=1, max_size=5), st.booleans(), st.booleans())
@example("coco", [Photo(0, ()), Photo(1, ("sound",))], False, True)
@example("voc", [Photo(0, ()), Photo(0, ("no area",)), Photo(1, ("sound",))], False, False)
@example("voc", [Photo(0, ("another",)), Photo(0, ("another",)), Photo(0, ())], False, False)
@example("voc", [Photo(0, (), "test"), Photo(0, ("sound",), "train"), Photo(1, (), "val")], True, False)
@example("voc", [Photo(0, ()), Photo(0, ("sound",), resized=True), Photo(1, ("sound",))], False, False)
@example("voc", [Photo(0, None), Photo(0, ("sound",)), Photo(1, ("sound",))], False, False)
@example("coco", [Photo(0, ()), Photo(0, ("sound",)), Photo(1, ("sound",))], False, False)
@settings(deadline=None, max_examples=60)
def test_no_bad_part_becomes_a_good_one_by_being_fixed(
    kind: str, items: list[Photo], split: bool, astray: bool
) -> None:
    with written(kind, items, split, astray) as src:
        out = src.parent / "fixed"
        try:
            before = look(src)
            _, changes = fix(src, out, processes=1)
            copy = look(out)
        except InputError:  # no labels to begin with, or none is left
            return
    of = dict(zip(names(items, split), items, strict=True))
    good = {photo.name for photo in copy.photos if not photo.boxes} - copy.unlabelled
    shots = {photo.shot for photo in items if photo.objects}
    for name in good:
        assert of[name].objects == (), name
        assert of[name].shot not in shots, "the same shot is a bad part's"
        assert not (kind == "coco" and astray), "it may be this photo's box"
    # Nor with --unlabelled good: what lost its boxes waits for a person
    for name in {photo.name for photo in copy.photos if not photo.boxes} - copy.unplaced:
        assert not of[name].objects, name
        assert of[name].shot not in shots, "the same shot is a bad part's"
    for name in {photo.name for photo in before.photos if not photo.boxes} & before.unlabelled - before.unplaced:
        assert of[name].shot not in shots, "--unlabelled good takes it"
    # What lost its labels is told by its own name
    told = {change.file for change in changes if change.kind == "labels-proposed"}
    assert {name for name in copy.unlabelled if of[name].objects} <= told


def test_a_folder_of_good_parts_alone_is_refused_by_both_and_leads_to_labelling() -> None:
    with written("coco", [Photo(0, ()), Photo(1, ())], False, False) as src:
        told = run(f"sealpin dataset check {shlex.quote(str(src))}", src)
        assert told.exit_code == 1
        assert "no photo has a box" in told.output
        refused = run(f"sealpin dataset convert {shlex.quote(str(src))} OUT", src.parent / "out")
        assert refused.exit_code == 2
        assert "no photo has a box" in refused.output
        assert f"next:    sealpin dataset check {shlex.quote(str(src))}" in refused.output
        mended = run(next_command(told), src.parent / "xml")  # labelImg reads XML
        again = run(next_command(mended), src.parent / "out")
        assert next_command(again) == f"sealpin label {shlex.quote(str(src.parent / 'xml'))}"


def test_the_next_command_holds_the_folder_against_the_same_classes(tmp_path: Path) -> None:
    for number, called in enumerate(("Crack", "crack", "two words")):
        with written("voc", [Photo(number, ("sound",))], False, False) as src:
            label = (src / "p0.xml").read_text().replace("burr", called)
            (tmp_path / f"p{number}.xml").write_text(label)
            (tmp_path / f"p{number}.jpg").write_bytes(shot(number))
    told = run(f"sealpin dataset check {tmp_path} --classes 'Crack,crack,two words'", tmp_path)
    assert told.exit_code == 0, told.output
    assert run(f"sealpin dataset check {tmp_path}", tmp_path).exit_code == 1
    assert run(next_command(told), tmp_path.parent / "out").exit_code == 0
    classes = "'Crack,crack,two words'"
    told = run(f"sealpin dataset fix {tmp_path} OUT --classes {classes}", tmp_path.parent / "fixed")
    assert next_command(told) == f"sealpin dataset check {tmp_path.parent / 'fixed'} --classes {classes}"
    line = f"sealpin dataset fix {tmp_path} OUT --classes {classes} --rename crack=Crack"
    told = run(line, tmp_path.parent / "renamed")
    assert next_command(told).endswith("--classes 'Crack,two words'")


@pytest.mark.parametrize(("form", "command"), [("voc", "sealpin label"), ("coco", "sealpin dataset check")])
def test_a_dataset_that_cannot_be_trained_leads_to_more_labels(form: str, command: str) -> None:
    with written(form, [Photo(0, ("sound",))], False, False) as src:
        told = run(f"sealpin dataset convert {shlex.quote(str(src))} OUT", src.parent / "out")
        assert "so that nothing can be trained: label more" in told.output
        assert next_command(told) == f"{command} {shlex.quote(str(src))}"


def test_a_dataset_without_a_test_photo_is_trained_and_says_what_is_missing() -> None:
    with written("voc", [Photo(number, ("sound",)) for number in range(3)], False, False) as src:
        told = run(f"sealpin dataset convert {shlex.quote(str(src))} OUT", src.parent / "out")
        assert "2 train, 1 val, 0 test photos" in told.output
        assert "no photo is in test: val chooses checkpoint and thresholds, so that its figures flatter" in told.output
        assert next_command(told).startswith("sealpin train")


def run(line: str, out: Path) -> Result:
    """The command of a "next:" line, with what stands in capitals filled in."""
    words = {"OUT": str(out), "OLD=NEW": "7=burr"}
    return CliRunner().invoke(main, [*(words.get(word, word) for word in shlex.split(line)[1:]), "--workers", "1"])


def next_command(told: Result) -> str:
    last = told.output.splitlines()[-1]
    return last.removeprefix("next: ") if last.startswith("next: ") else ""


@given(formats, st.lists(photos, min_size=1, max_size=5), st.booleans(), st.booleans())
@example("voc", [Photo(0, ())], False, False)
@example("coco", [Photo(0, ()), Photo(1, ())], False, False)
@example("yolo", [Photo(0, ("of no class", "sound"))], False, False)
@settings(deadline=None, max_examples=25)
def test_what_check_lets_pass_is_converted_and_what_it_advises_leads_on(
    kind: str, items: list[Photo], split: bool, astray: bool
) -> None:
    with written(kind, items, split, astray) as src:
        command = f"sealpin dataset check {shlex.quote(str(src))}"
        for step in range(8):
            told = run(command, out := src.parent / f"out {step}")
            assert not isinstance(told.exception, Exception), told.output
            if "no labels here" in told.output and step == 0:
                return  # none were drawn
            if command.startswith("sealpin dataset check") and told.exit_code == 1:
                assert run(f"{command} OUT".replace("check", "convert", 1), out).exit_code == 2
            else:
                assert told.exit_code == 0, told.output
            if command.startswith("sealpin dataset convert"):
                return
            before, command = command, next_command(told)
            if command in ("", before) or command.startswith("sealpin label"):
                return  # the rest is done by hand
    pytest.fail("the next commands go in circles")
