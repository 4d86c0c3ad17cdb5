"""Photos that must not be judged, and what is learned from good ones."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sealpin_edge.error_code import ErrorCode
from sealpin_edge.errors import InputError
from sealpin_edge.inspection.checks import LIMITS_FILE, Checks, Limits, learn, load_limits, save_limits
from sealpin_edge.model.photo import Photo
from tests.conftest import part_photo


def part(seed: int) -> Photo:
    """A bright disc on a dark ground, with noise: what a station would see of a roller."""
    chance = np.random.default_rng(seed)
    rows, columns = np.mgrid[:256, :256]
    disc = (rows - 128) ** 2 + (columns - 128) ** 2 < 100**2
    grey = np.where(disc, 150, 40) + chance.normal(0, 12, (256, 256)) + chance.integers(-6, 6)
    return np.repeat(grey.clip(0, 255).astype(np.uint8)[..., None], 3, axis=2)


@pytest.fixture(scope="module")
def taught() -> Limits:
    return learn(part(seed) for seed in range(10))


def test_other_good_photos_pass(taught: Limits) -> None:
    checks = Checks(taught, live=True)
    assert {checks.fault(part(seed)) for seed in range(100, 140)} == {ErrorCode.NONE}


def blurred(photo: Photo) -> Photo:
    import cv2

    return np.asarray(cv2.GaussianBlur(photo, (0, 0), 6), np.uint8)


@pytest.mark.parametrize(
    ("spoil", "fault"),
    [
        (lambda photo: photo // 4, ErrorCode.TOO_DARK),
        (lambda photo: (255 - (255 - photo.astype(int)) // 6).astype(np.uint8), ErrorCode.TOO_BRIGHT),
        (blurred, ErrorCode.OUT_OF_FOCUS),
        (lambda photo: np.full_like(photo, int(photo.mean())), ErrorCode.NO_PART),
        (lambda photo: np.roll(photo, 128, axis=1), ErrorCode.NO_PART),
        (lambda photo: photo[:200], ErrorCode.WRONG_SIZE),
    ],
)
def test_each_way_in_which_a_photo_is_bad_has_its_code(taught: Limits, spoil: object, fault: ErrorCode) -> None:
    assert Checks(taught, live=True).fault(spoil(part(200))) is fault  # type: ignore[operator]


def test_a_frozen_picture_is_refused_from_a_camera_and_not_from_a_replay() -> None:
    same = part(1)
    live, replay = Checks(Limits(), live=True), Checks(Limits(), live=False)
    assert [live.fault(same), live.fault(same.copy()), live.fault(part(2))] == [
        ErrorCode.NONE, ErrorCode.FROZEN, ErrorCode.NONE,
    ]  # fmt: skip
    assert replay.fault(same) is replay.fault(same) is ErrorCode.NONE


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 255))
def test_a_station_that_was_taught_nothing_refuses_black_and_white(grey: int) -> None:
    fault = Checks(Limits(), live=False).fault(np.full((32, 32, 3), grey, np.uint8))
    expected = ErrorCode.TOO_DARK if grey < 8 else ErrorCode.TOO_BRIGHT if grey > 247 else ErrorCode.NONE
    assert fault is expected


def test_limits_are_kept_and_broken_ones_are_told(tmp_path: Path, taught: Limits) -> None:
    assert load_limits(tmp_path) == Limits()
    save_limits(taught, tmp_path)
    assert load_limits(tmp_path) == taught
    for broken in ("{", '{"thumbnail": [1]}', '{"thumbnail": [], "width": "wide"}', "[]"):
        (tmp_path / LIMITS_FILE).write_text(broken)
        with pytest.raises(InputError, match="teach-camera"):
            load_limits(tmp_path)


def test_the_stations_own_limits_go_before_those_of_its_release(tmp_path: Path, taught: Limits) -> None:
    own, release = tmp_path / "own", tmp_path / "release"
    save_limits(taught, release)
    assert load_limits(own) == Limits()
    assert load_limits(own, release) == taught
    save_limits(learn(part(seed) for seed in range(20, 30)), own)
    assert load_limits(own, release) != taught


def test_an_untaught_station_is_unfit_unless_its_config_says_so(taught: Limits) -> None:
    assert Checks(Limits(), live=True).unfit is ErrorCode.NOT_TAUGHT
    assert Checks(taught, live=True).unfit is Checks(Limits(), live=True, wanted=False).unfit is ErrorCode.NONE
    assert Checks(taught, live=True, wanted=False).fault(blurred(part(1))) is ErrorCode.NONE


def test_photos_of_the_empty_fixture_are_told_from_parts_or_refused() -> None:
    def fixture(seed: int, contrast: int) -> Photo:
        """The part's surroundings are much of the picture, and the same without it."""
        empty = part(seed).astype(np.int16)
        empty[60:196, 60:196] = np.where(empty[60:196, 60:196] > 90, 150 - contrast, empty[60:196, 60:196])
        return empty.astype(np.uint8)

    good = [part(seed) for seed in range(10)]
    nearly = fixture(50, 40)
    assert Checks(learn(good), live=True).fault(nearly) is ErrorCode.NONE, "too like a part to be told without it"
    assert Checks(learn(good, [fixture(51, 40)]), live=True).fault(nearly) is ErrorCode.NO_PART
    with pytest.raises(InputError, match="an empty fixture looks like a part"):
        learn(good, good)


def test_too_few_photos_or_several_sizes_teach_nothing() -> None:
    with pytest.raises(InputError, match="4 photos"):
        learn(part(seed) for seed in range(4))
    with pytest.raises(InputError, match="2 sizes"):
        learn([*(part(seed) for seed in range(5)), part(9)[:100]])


def test_a_toy_part_passes_the_checks_of_an_untaught_station() -> None:
    assert Checks(Limits(), live=True).fault(part_photo(("PR", 1, 1))) is ErrorCode.NONE


@pytest.mark.parametrize(
    "change",
    [
        {"likeness": float("nan")},
        {"darkest": float("nan")},
        {"thumbnail": []},
        {"darkest": 0, "brightest": 255},
        {"likeness": -1},
        {"width": 0},
    ],
)
def test_limits_that_would_let_any_photo_pass_are_refused(
    tmp_path: Path, taught: Limits, change: dict[str, object]
) -> None:
    path = save_limits(taught, tmp_path)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(InputError, match="teach-camera"):
        load_limits(tmp_path)
