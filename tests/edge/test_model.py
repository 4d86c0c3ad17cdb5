"""Model files: what they tell, what they find, and which files are refused."""

import json
import struct
import subprocess
import sys
import tracemalloc
import zipfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from sealpin_edge.errors import InputError
from sealpin_edge.model.tflite_file import read_tflite
from sealpin_edge.tasks.model import Model
from sealpin_edge.tasks.verdict import departures
from sealpin_export.metadata import add_metadata
from tests.conftest import CELL, part_photo, toy_card


def test_finds_burrs_with_category_score_and_box_in_the_photos_own_pixels(toy_model: Path) -> None:
    model = Model(toy_model)
    found = [one for one in model.read(part_photo(("PR", 2, 3), ("QA", 5, 6))).findings if one.score > 0.5]
    assert sorted((one.category, *map(round, one.edges)) for one in found) == [
        ("PR", 2 * CELL, 3 * CELL, 3 * CELL, 4 * CELL),
        ("QA", 5 * CELL, 6 * CELL, 6 * CELL, 7 * CELL),
    ]
    wide = part_photo(("PR", 2, 3)).repeat(3, axis=1)
    (burr,) = [one for one in model.read(wide).findings if one.score > 0.5]
    assert (burr.edges.xmin, burr.edges.xmax) == pytest.approx((2 * CELL * 3, 3 * CELL * 3))


NOISY = """
import os, sys, sealpin_edge.model.runtime as runtime
from pathlib import Path
from typing import Any
from sealpin_edge.tasks.model import Model
kind = runtime._interpreter_class()

def noisy(**options):
    os.write(2, b"INFO: Created TensorFlow Lite XNNPACK delegate for CPU.\\nWARNING: old file\\n")
    return kind(**options)

runtime._interpreter_class = lambda: noisy
Model(Path(sys.argv[1]))
print("after", file=sys.stderr)
"""


def test_the_runtimes_notes_are_no_news_and_all_else_is_passed_on(toy_model: Path) -> None:
    words = [sys.executable, "-c", NOISY, str(toy_model)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "WARNING: old file\nafter\n")


@pytest.mark.parametrize("closed", ["", "2>&-"])
def test_a_model_is_loaded_without_a_word_also_where_nobody_listens(toy_model: Path, closed: str) -> None:
    code = "import sys; from pathlib import Path; from sealpin_edge.tasks.model import Model; Model(Path(sys.argv[1]))"
    words = ["/bin/sh", "-c", f'exec "$@" {closed}', "sh", sys.executable, "-c", code, str(toy_model)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("place", ["nowhere", ""])
def test_what_cannot_be_read_is_told_in_words(place: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no such file" if place else "a folder, where a file should be"):
        Model(tmp_path / place)


def test_a_clean_part_has_no_detection_that_counts(toy_model: Path) -> None:
    assert all(one.score < 0.5 for one in Model(toy_model).read(part_photo()).findings)


def test_the_metadata_names_labels_for_other_readers(toy_model: Path) -> None:
    with zipfile.ZipFile(toy_model) as archive:
        assert archive.read("labels.txt").decode().split() == ["PR", "QA"]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "0 bytes that do not begin as a TFLite file"),
        (b"PK\x03\x04" * 10, "do not begin as a TFLite file"),
        (b"\0\0\0\0TFL3" + bytes(100), "not a whole TFLite file"),
    ],
)
def test_a_file_that_is_no_model_is_refused(tmp_path: Path, content: bytes, told: str) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(content)
    with pytest.raises(InputError, match=told):
        Model(path)


def test_a_truncated_model_is_refused(toy_model: Path, tmp_path: Path) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(toy_model.read_bytes()[: toy_model.stat().st_size // 2])
    with pytest.raises(InputError):
        Model(path)


@pytest.mark.parametrize("newer", [{"format": 99}, {"task": "smell"}])
def test_a_card_of_a_newer_sealpin_is_refused(toy_tflite: bytes, newer: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(toy_tflite)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("sealpin.json", json.dumps(asdict(toy_card(**newer))))
    with pytest.raises(InputError, match="newer sealpin"):
        Model(path)


def test_adding_metadata_twice_gives_the_same_bytes(toy_tflite: bytes) -> None:
    assert add_metadata(toy_tflite, toy_card()) == add_metadata(toy_tflite, toy_card())


@pytest.mark.parametrize(
    "change",
    [
        {"classes": None},
        {"classes": ["PR", "PR"]},
        {"classes": ["PR", 7]},
        {"classes": ["PR", "QA", "XX"], "thresholds": {"PR": 0.5, "QA": 0.5, "XX": 0.5}},
        {"thresholds": None},
        {"thresholds": {"PR": 7, "QA": 0.5}},
        {"thresholds": {"PR": "0.5", "QA": 0.5}},
        {"thresholds": {"PR": float("nan"), "QA": 0.5}},
        {"interpolation": "nearest"},
        {"input_height": "256"},
        {"notice": "QA"},
        {"notice": ["XX"]},
        {"notice": ["PR", "QA"]},
    ],
)
def test_a_card_that_makes_no_sense_is_refused(toy_tflite: bytes, tmp_path: Path, change: dict[str, object]) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(toy_tflite)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("sealpin.json", json.dumps(asdict(toy_card()) | change))
    with pytest.raises(InputError):
        Model(path)


def test_a_threshold_below_all_that_the_model_tells_is_refused(toy_model: Path) -> None:
    model = Model(toy_model)
    assert model.rule().thresholds == {"PR": 0.5, "QA": 0.5}
    assert model.rule(0.2).thresholds == {"PR": 0.2, "QA": 0.2}
    for low in (0.01, {"PR": 0.01}):
        with pytest.raises(InputError, match=r"\[model\] threshold: .*so low a score"):
            model.rule(low, where="[model] {}")


@pytest.mark.parametrize("wrong", [0, -0.1, 1.1, float("nan"), {"PR": 0.0}, {"XX": 0.5}])
def test_what_is_no_threshold_is_refused(toy_model: Path, wrong: float | dict[str, float]) -> None:
    with pytest.raises(InputError, match=r"\[model\] threshold: (this is no threshold|the model knows no such)"):
        Model(toy_model).rule(wrong, where="[model] {}")


def test_a_threshold_by_category_leaves_the_others_the_models_own(toy_model: Path) -> None:
    model = Model(toy_model)
    assert model.rule({"PR": 0.3}).thresholds == {"PR": 0.3, "QA": 0.5}
    assert model.rule({"PR": 1.0}).thresholds == {"PR": 1.0, "QA": 0.5}


def test_the_models_own_notice_holds_until_another_is_given(toy_tflite: bytes, toy_model: Path, tmp_path: Path) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(add_metadata(toy_tflite, toy_card(notice=("QA",))))
    model = Model(path)
    assert (model.rule().notice, model.rule(notice=()).notice, model.rule(notice=["PR"]).notice) == (
        {"QA"}, set(), {"PR"},
    )  # fmt: skip
    own = model.rule()
    assert departures(own, own) == departures(model.rule(notice=()), own) == []
    assert departures(model.rule({"PR": 0.6}, ["PR"]), own) == [
        "PR counts from 60%, above the model's own score", "PR never rejects",
    ]  # fmt: skip
    older = {key: value for key, value in asdict(toy_card()).items() if key != "notice"}
    path.write_bytes(toy_tflite)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("sealpin.json", json.dumps(older))
    assert Model(path).rule() == Model(toy_model).rule()


@pytest.mark.parametrize(
    ("notice", "told"), [({"PR", "QA"}, "no part would ever be rejected"), ({"XX"}, "knows no such category")]
)
def test_a_notice_that_leaves_nothing_to_reject_is_refused(toy_model: Path, notice: set[str], told: str) -> None:
    assert Model(toy_model).rule(notice={"QA"}).notice == {"QA"}
    with pytest.raises(InputError, match=rf"\[model\] notice: .*{told}"):
        Model(toy_model).rule(notice=notice, where="[model] {}")


def test_packed_files_that_swell_are_refused_whatever_they_say_of_their_size(toy_tflite: bytes, tmp_path: Path) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(toy_tflite)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("labels.txt", bytes(50_000_000))
    honest = path.read_bytes()
    size = honest.rindex(b"PK\x01\x02") + 24  # of the unpacked file, in the archive's directory
    lying = honest[:size] + struct.pack("<I", 100) + honest[size + 4 :]
    for data in (honest, lying):
        tracemalloc.start()
        with pytest.raises(InputError, match="the files packed with it"):
            read_tflite(data, "swelling")
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert most < 10_000_000
