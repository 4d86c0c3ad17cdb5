"""What the fuzzer found in readers of files from outside, each as a small file with the right answer."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from sealpin_edge.config.file import load_config
from sealpin_edge.errors import InputError
from sealpin_edge.inspection import checks
from sealpin_edge.model.card import CARD_NAME, read_card
from sealpin_edge.model.label_file import read_labels
from sealpin_edge.model.tflite_file import TfliteFile
from sealpin_edge.release import bundle, golden
from sealpin_training.dataset.manifest import load_dataset
from sealpin_training.run import Run, State, load_run

NESTED = b"[" * 100_000
RUN = Run("r", "0" * 32, "demo", "0" * 64, 0, ("PR",), "data", "0" * 64, "sealpin train", 4, None, "")


@pytest.fixture
def run_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folder of the run RUN, without files."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "mlruns/runs/r"
    folder.mkdir(parents=True)
    return folder


def card(folder: Path) -> object:
    return read_card(TfliteFile((), (), (), (), (), (), {CARD_NAME: (folder / CARD_NAME).read_bytes()}), "model")


@pytest.mark.parametrize(
    ("name", "read"),
    [
        (golden.GOLDEN_FILE, golden.golden_verdicts),
        (checks.LIMITS_FILE, checks.load_limits),
        (bundle.MANIFEST, bundle.release_of),
        (CARD_NAME, card),
        ("dataset.json", load_dataset),
        ("run.json", lambda folder: load_run("r")),
        ("state.json", lambda folder: State.load(RUN)),
        ("evaluation_val.json", lambda folder: RUN.last_evaluation("val")),
    ],
)
def test_json_that_is_nested_too_deep_or_no_object_is_refused_in_words(
    name: str, read: Callable[[Path], object], run_folder: Path
) -> None:
    for data in (NESTED, b"4", b"[4]", b"null", b'"text"', b"NaN"):
        (run_folder / name).write_bytes(data)
        with pytest.raises(InputError):
            read(run_folder)


@pytest.mark.parametrize("number", ["1" + "0" * 400, "Infinity", "-1e999", "NaN"])
def test_numbers_that_no_float_or_int_holds_are_refused_in_words(number: str, tmp_path: Path) -> None:
    found = f'{{"category": "PR", "score": {number}, "box": [1, 2, 3, 4]}}'
    photo = f'{{"photo": "a.jpg", "verdict": "NG", "detections": [{found}]}}'
    (tmp_path / golden.GOLDEN_FILE).write_text(f'{{"photos": [{photo}]}}')
    limits = json.loads(checks.save_limits(checks.Limits(), tmp_path).read_text())
    text = json.dumps(limits | {"thumbnail": ["HERE"] * checks.THUMBNAIL**2}).replace('"HERE"', number)
    (tmp_path / checks.LIMITS_FILE).write_text(text)
    counts = f'{{"train": {{"photos": {number}}}, "val": {{"photos": 1}}, "test": {{"photos": 1}}}}'
    (tmp_path / "dataset.json").write_text(f'{{"photos": [], "classes": [], "digest": "", "counts": {counts}}}')
    for read in (golden.golden_verdicts, checks.load_limits, load_dataset):
        with pytest.raises(InputError):
            read(tmp_path)


LONG = "9" * 5000


@pytest.mark.parametrize(
    ("line", "key"),
    [
        (f"threshold = {LONG}", ""),
        ("threshold = " + "[" * 5000, ""),
        ("threshold = " + "9" * 400, "[model] threshold"),
        (f'[display]\naddress = "127.0.0.1:{LONG}"', "[display] address"),
    ],
    ids=["digits", "brackets", "no float", "port"],
)
def test_numbers_and_brackets_without_end_in_a_config_are_refused_in_words(tmp_path: Path, line: str, key: str) -> None:
    config = tmp_path / "station.toml"
    config.write_text(f'[station]\nname = "w"\n[model]\nfile = "m.tflite"\n{line}\n')
    with pytest.raises(InputError) as told:
        load_config(config)
    assert (key or f"{config}: this is not TOML") in str(told.value)


def test_a_golden_photo_or_a_label_of_a_name_that_none_can_have_is_refused_in_words(tmp_path: Path) -> None:
    for name in ("\\ud800.jpg", "\\u0000.jpg"):
        golden_json = f'{{"photos": [{{"photo": "{name}", "verdict": "NG", "detections": []}}]}}'
        (tmp_path / golden.GOLDEN_FILE).write_text(golden_json)
        with pytest.raises(InputError, match="no file can have this name"):
            golden.golden_photos(tmp_path)
    (tmp_path / "label_map.pbtxt").write_text(f"item {{ id: {LONG} name: 'burr' }}")
    with pytest.raises(InputError, match="this label map cannot be read"):
        read_labels(tmp_path / "label_map.pbtxt")


@pytest.mark.parametrize(
    "content",
    [{"name": "r", "seed": 0}, {"step": "4"}, {"step": None}, {"status": 1}, {"step": True}, {"steps": 4}, [4], 4],
)
def test_a_state_that_is_none_is_refused(content: object, run_folder: Path) -> None:
    (run_folder / "state.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"state\.json: this file of a run is damaged"):
        State.load(RUN)


def test_a_state_is_read_as_it_was_written(run_folder: Path) -> None:
    state = State(status="stopped", step=8, seconds=1.5, best_step=4, best_score=-1.0, why="enough")
    state.save(RUN)
    assert State.load(RUN) == state


def test_a_bundle_that_points_before_its_beginning_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "b.sealpin"
    bundle.write_bundle(path, {name: bytes(9) for name in bundle.REQUIRED}, {"version": "1"})
    data = path.read_bytes()
    end = data.rindex(b"PK\5\6")
    place = int.from_bytes(data[end + 16 : end + 20], "little")
    path.write_bytes(data[: end + 16] + (place + 5000).to_bytes(4, "little") + data[end + 20 :])
    with pytest.raises(InputError, match="this is not a whole bundle"):
        bundle.unpack(path, tmp_path / "out")
    assert [one.name for one in tmp_path.iterdir()] == ["b.sealpin"]


def test_a_bundle_whose_manifest_is_huge_is_refused_before_it_is_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "b.sealpin"
    members = {name: bytes(9) for name in bundle.REQUIRED}
    bundle.write_bundle(path, members, {"version": "1", "note": "x" * (bundle.MAX_HEAD_BYTES + 1)})
    with pytest.raises(InputError, match=r"manifest\.json is larger than"):
        bundle.Bundle(path)
