"""Rendered parts: repeatable, labelled truly, and about half of them bad."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sealpin_training.dataset.formats.voc import read_boxes
from sealpin_training.dataset.labels import Box
from sealpin_training.synth import RenderedPart, render_part
from sealpin_training.synthesize import synthesize

LONGEST_SIDE = {"PR": (88, 136), "QA": (56, 80)}  # pixels of a 1024 photo


def longest_side(box: Box) -> float:
    return max(box.xmax - box.xmin, box.ymax - box.ymin)


def bad_parts(count: int, size: int) -> Iterator[tuple[int, RenderedPart]]:
    """The first parts with burrs of one series."""
    found = 0
    for index in range(1000):
        part = render_part(11, index, size)
        if part.burrs:
            yield index, part
            found += 1
        if found == count:
            return


def assert_valid(part: RenderedPart, size: int) -> None:
    assert part.photo.shape == (size, size, 3)
    assert part.photo.dtype == np.uint8
    assert part.photo.std() > 15, "a photo is not one tone"
    assert len(part.burrs) <= 4
    for box in part.burrs:
        assert 0 <= box.xmin < box.xmax <= size
        assert 0 <= box.ymin < box.ymax <= size
        smallest, largest = LONGEST_SIDE[box.category]
        slack = 2 * 1024 / size  # a box may reach one more pixel at either end
        assert smallest - slack <= longest_side(box) * 1024 / size <= largest + slack
    for one, other in combinations(part.burrs, 2):
        assert min(one.xmax, other.xmax) <= max(one.xmin, other.xmin) or (
            min(one.ymax, other.ymax) <= max(one.ymin, other.ymin)
        ), "burrs are apart"


def test_the_same_part_is_the_same_bytes_whatever_was_rendered_before() -> None:
    first = render_part(3, 5, 256)
    render_part(3, 6, 256)
    again = render_part(3, 5, 256)
    assert first.photo.tobytes() == again.photo.tobytes()
    assert first.burrs == again.burrs


def test_another_index_or_seed_is_another_part() -> None:
    photos = {render_part(seed, index, 128).photo.tobytes() for seed in (1, 2) for index in (0, 1)}
    assert len(photos) == 4


def test_the_default_is_a_full_size_photo() -> None:
    assert_valid(render_part(1, 0), 1024)


def test_a_part_has_the_same_burrs_at_every_size() -> None:
    index, small = next(bad_parts(1, 256))
    large = render_part(11, index, 512)
    assert [box.category for box in small.burrs] == [box.category for box in large.burrs]
    for one, other in zip(small.burrs, large.burrs, strict=True):
        edges = np.array([one.xmin, one.ymin, one.xmax, one.ymax])
        assert edges * 2 == pytest.approx(np.array([other.xmin, other.ymin, other.xmax, other.ymax]), abs=4)


def test_about_half_of_the_parts_are_bad_and_most_burrs_are_large() -> None:
    parts = [render_part(2024, index, 128) for index in range(60)]
    assert 0.35 <= np.mean([bool(part.burrs) for part in parts]) <= 0.65
    categories = [box.category for part in parts for box in part.burrs]
    assert set(categories) == {"PR", "QA"}
    assert 0.4 <= categories.count("PR") / len(categories) <= 0.8


def test_a_burr_stands_in_its_box_and_fills_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Against its own twin without burrs: the photo differs strongly in the box, up to all of its four edges."""
    size = 256
    with_burrs = list(bad_parts(8, size))
    monkeypatch.setattr("sealpin_training.synth.part.draw_burrs", lambda rng, scene: ())
    for index, part in with_burrs:
        twin = render_part(11, index, size)
        assert twin.burrs == (), "a good part has no boxes"
        change = np.abs(part.photo.astype(np.int16) - twin.photo).max(axis=2)
        far = np.ones_like(change, dtype=bool)
        for box in part.burrs:
            top, bottom, left, right = int(box.ymin), int(box.ymax), int(box.xmin), int(box.xmax)
            burr = change[top:bottom, left:right]
            assert np.percentile(burr, 80) > 25, "a person sees the burr"
            for edge in (burr[:2], burr[-2:], burr[:, :2], burr[:, -2:]):
                assert edge.max() > 12, "the box is tight"
            far[max(0, top - 40) : bottom + 40, max(0, left - 40) : right + 40] = False
        assert change[far].mean() < 0.5, "a burr changes nothing but its surroundings"


@settings(max_examples=12, deadline=None)
@example(seed=1, index=1046, size=64)
@given(seed=st.integers(0, 2**32 - 1), index=st.integers(0, 10**6), size=st.sampled_from([64, 101, 128, 160]))
def test_any_part_is_valid(seed: int, index: int, size: int) -> None:
    assert_valid(render_part(seed, index, size), size)


def test_parts_are_written_with_their_labels_and_the_same_whatever_their_number(tmp_path: Path) -> None:
    bad = synthesize(tmp_path / "few", 3, 7, size=128)
    synthesize(tmp_path / "more", 6, 7, size=128)
    names = sorted(path.name for path in (tmp_path / "few").iterdir())
    assert names == sorted(f"part_{number:04d}.{ending}" for number in range(3) for ending in ("jpg", "xml"))
    for name in names:
        assert (tmp_path / "few" / name).read_bytes() == (tmp_path / "more" / name).read_bytes()
    assert bad == sum(bool(read_boxes(path)) for path in (tmp_path / "few").glob("*.xml"))


def test_ctrl_c_ends_at_once_and_leaves_nothing(tmp_path: Path) -> None:
    program = Path(sys.executable).with_name("sealpin")
    process = subprocess.Popen(
        [program, "dataset", "synth", "out", "--parts", "500"], cwd=tmp_path, stderr=subprocess.PIPE, text=True
    )
    while not any(tmp_path.glob(".out.*.part/*.xml")):
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "stopped" in told
    assert list(tmp_path.iterdir()) == []
