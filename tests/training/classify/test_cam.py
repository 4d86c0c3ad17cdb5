"""Where a classifier looked: methods against their formulas, boxes that follow a photo, and the page in a browser."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealpin_edge.model.photo import encode_jpeg, stretch
from sealpin_edge.tasks.finding import Edges
from sealpin_simulation.servers import free_port
from sealpin_training.dataset.formats import voc
from sealpin_training.dataset.labels import Box
from sealpin_training.run import load_run
from sealpin_training.tasks.classify.cam.look import Look
from sealpin_training.tasks.classify.cam.methods import METHODS, Explainer
from sealpin_training.tasks.classify.cam.places import best_overlap, points_at
from tests.browser import CHROMIUM, Browser
from tests.commands import call
from tests.skips import not_installed

from .small import write_small_recipe

SIDE = 96


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A classifier that was trained for two steps on photos with labelled boxes, with one unit and with two."""
    root = tmp_path_factory.mktemp("cam")
    random = np.random.default_rng(0)
    for number in range(40):
        photo = random.integers(90, 150, (SIDE, SIDE, 1), np.uint8).repeat(3, axis=2)
        x, y = random.integers(4, SIDE - 28, 2).tolist()
        bad = number % 2
        photo[y : y + 24 * bad, x : x + 24 * bad] = (20, 20, 240)
        path = root / f"photos/{number:02}.jpg"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(encode_jpeg(photo, 90))
        boxes = [Box("burr", x, y, x + 24, y + 24)] if bad else []
        voc.write(path.with_suffix(".xml"), path.name, SIDE, SIDE, boxes)
    call("dataset", "convert", root / "photos", root / "set", "--task", "classify", "--workers", 1)
    write_small_recipe(root / "set", root / "one.yaml", "--aug", "light")
    (root / "two.yaml").write_text(
        (root / "one.yaml")
        .read_text()
        .replace("num_classes: 1", "num_classes: 2")
        .replace("cross_entropy: true", "cross_entropy: false")
    )
    for name in ("one", "two"):
        recipe, trained = root / f"{name}.yaml", ("--dataset", root / "set", "--steps", 2, "--mlruns", root / "mlruns")
        call("train", recipe, "--run", name, *trained)
    return root / "mlruns"


@pytest.fixture(scope="module", params=["one", "two"])
def explainer(request: pytest.FixtureRequest, store: Path) -> Explainer:
    return Explainer(load_run(request.param, store))


def noise(seed: int, side: int = 64) -> Any:
    return np.random.default_rng(seed).integers(0, 256, (side, side, 3), np.uint8)


def test_maps_of_the_last_layer_are_what_their_papers_say(explainer: Explainer) -> None:
    """By NumPy: behind pooling and a dense layer the gradient is known, the layer's weights by the number of places."""
    from sealpin_training.tasks.classify.network.model import head_layers, preprocess

    model = explainer._model
    head, gauge = head_layers(model)
    factor = np.asarray(gauge.factor)
    kernel = np.asarray(head.kernel)[0, 0] * factor
    kernel = np.concatenate([np.zeros_like(kernel), kernel], axis=1) if kernel.shape[1] == 1 else kernel
    bias = (np.asarray(head.bias) + np.asarray(gauge.shift)) * factor
    for seed, category in ((0, 0), (1, 1)):
        photo = noise(seed)
        endpoints = model.backbone(preprocess(photo[None]), training=False)
        features = endpoints[max(endpoints)][0].numpy().astype(np.float64)
        weights = kernel[:, category] - kernel[:, 1 - category]
        offset = bias[category] - bias[1 - category] if bias.size == 2 else (bias[0] if category else -bias[0])
        gradient = np.broadcast_to(weights / features[..., 0].size, features.shape)
        share = gradient**2 / (2 * gradient**2 + features.sum((0, 1)) * gradient**3)
        expected = {
            "CAM": features @ weights + offset,
            "Grad-CAM": (features * gradient.mean((0, 1))).sum(-1),
            "Grad-CAM++": (features * (share * np.maximum(gradient, 0)).sum((0, 1))).sum(-1),
            "LayerCAM": (features * np.maximum(gradient, 0)).sum(-1),
        }
        probabilities, found = explainer.explain(photo, category)
        assert set(found) == set(METHODS) == set(expected) and sum(probabilities) == pytest.approx(1, abs=1e-5)
        for name, heat in expected.items():
            positive = np.maximum(heat, 0) / max(np.maximum(heat, 0).max(), 1e-12)
            np.testing.assert_allclose(found[name], positive, atol=2e-3, err_msg=name)


def test_gradients_are_taken_at_every_layer_and_of_the_likeliest_class_unless_asked(explainer: Explainer) -> None:
    assert len(explainer.layers) > 2 and explainer.layers[-1] == "2x2"
    for layer in explainer.layers:
        probabilities, found = explainer.explain(noise(2), None, layer)
        likeliest = int(np.argmax(probabilities))
        rows, columns = map(int, layer.split("x"))
        assert found["LayerCAM"].shape == (rows, columns) and found["CAM"].shape == (2, 2)
        assert found["LayerCAM"].max() == pytest.approx(1.0)
        _, asked = explainer.explain(noise(2), likeliest, layer)
        _, other = explainer.explain(noise(2), 1 - likeliest, layer)
        np.testing.assert_array_equal(found["LayerCAM"], asked["LayerCAM"])
        assert not np.array_equal(found["LayerCAM"], other["LayerCAM"])


@given(st.integers(0, 5), st.integers(0, 7), st.floats(-50, 50), st.floats(-50, 50))
def test_what_is_pointed_at_lies_in_a_box_or_a_margin_beside(row: int, column: int, dx: float, dy: float) -> None:
    heat = np.zeros((6, 8), np.float32)
    heat[row, column] = 1
    x, y = (column + 0.5) * 10 + dx, (row + 0.5) * 20 + dy  # a photo of 120 rows and 80 columns
    box = Edges(x - 4, y - 3, x + 4, y + 3)
    inside = abs(dx) <= 4 + 10 and abs(dy) <= 3 + 10
    if min(abs(abs(dx) - 14), abs(abs(dy) - 13)) > 1e-6:
        assert points_at(heat, [box], 120, 80) == inside
    assert not points_at(heat, [], 120, 80) and not points_at(np.zeros_like(heat), [box], 120, 80)


def test_hot_boxes_are_worth_their_overlap_with_each_labelled_one() -> None:
    one, other = Edges(0, 0, 10, 10), Edges(20, 20, 30, 30)
    assert best_overlap([one], [one, other]) == 0.5
    assert best_overlap([Edges(0, 0, 10, 5), one], [one]) == 1.0
    assert best_overlap([], [one]) == best_overlap([one], []) == 0.0


def test_nothing_done_to_a_photo_shows_what_the_station_sees(explainer: Explainer) -> None:
    photo = noise(3, SIDE)
    seen, boxes = Look().at(photo, explainer.recipe, [Edges(24, 12, 48, 96)])
    np.testing.assert_array_equal(seen, stretch(photo, 64, 64))
    assert boxes == [Edges(16, 8, 32, 64)]


@given(st.sampled_from([-90, 0, 90, 180]), st.booleans(), st.integers(10, 60), st.integers(10, 60))
def test_boxes_follow_a_photo_that_is_turned_and_mirrored(turned: int, mirrored: bool, x: int, y: int) -> None:
    recipe = type("Sized", (), {"height": SIDE, "width": SIDE})()
    photo = np.zeros((SIDE, SIDE, 3), np.uint8)
    photo[y : y + 20, x : x + 12] = 255
    look = Look(turned=turned, mirrored=mirrored)
    pixels, boxes = Look.at(look, photo, _with_classes(recipe), [Edges(x, y, x + 12, y + 20)])
    rows, columns = np.nonzero(pixels[..., 0] > 127)
    assert boxes[0] == pytest.approx((columns.min(), rows.min(), columns.max() + 1, rows.max() + 1), abs=1.01)


def _with_classes(recipe: Any) -> Any:
    task = type("Task", (), {"train_data": None, "losses": type("Losses", (), {"label_smoothing": 0.0})})
    recipe.experiment, recipe.num_classes, recipe.class_balance = type("Experiment", (), {"task": task}), 2, "none"
    return recipe


def test_brightness_contrast_and_augmentation_change_what_is_shown(explainer: Explainer) -> None:
    photo = noise(4, SIDE)
    plain = stretch(photo, 64, 64).astype(float)
    bright, _ = Look(brightness=0.5).at(photo, explainer.recipe)
    np.testing.assert_allclose(bright, plain / 2, atol=0.51)
    flat, _ = Look(contrast=0.5).at(photo, explainer.recipe)
    np.testing.assert_allclose(flat, plain.mean() + (plain - plain.mean()) / 2, atol=0.51)
    shown = [Look(seed=seed).at(photo, explainer.recipe)[0] for seed in (0, 0, 1)]
    np.testing.assert_array_equal(shown[0], shown[1])
    assert not np.array_equal(shown[0], shown[2])


def sealpin(*words: object) -> "subprocess.Popen[str]":
    program = Path(sys.executable).with_name("sealpin")
    return subprocess.Popen(
        [program, *map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, bufsize=1
    )


@pytest.fixture(scope="module")
def page(store: Path) -> Iterator[Browser]:
    """The page in a browser, of both runs."""
    if not CHROMIUM:
        pytest.skip(not_installed("chromium"))
    port = free_port()
    program = sealpin("cam", "one", "two", "--port", port, "--mlruns", store)
    browser = Browser()
    try:
        assert program.stdout and any(f"http://127.0.0.1:{port}" in line for line in program.stdout)
        browser.open(f"http://127.0.0.1:{port}/")
        browser.wait_for("document.querySelectorAll('img').length >= 9", 120)
        yield browser
        taken = sealpin("cam", "one", "--port", port, "--mlruns", store)
        told, _ = taken.communicate(timeout=60)
        assert taken.returncode == 2 and "another program has this port" in told
    finally:
        browser.close()
        program.send_signal(signal.SIGINT)
        program.communicate(timeout=60)
    assert browser.faults == []


def widget(label: str) -> str:
    return f"[...document.querySelectorAll('input')].find(e => (e.ariaLabel || '').startsWith({label!r}))"


def says(text: str) -> str:
    return f"document.body.innerText.includes({text!r})"


def test_the_page_shows_photos_by_how_they_were_judged_and_maps_side_by_side(page: Browser) -> None:
    page.wait_for(says("photos of val"))
    assert all(says in page.text() for says in ("escape", "false reject", "one, CAM: ", "two, CAM: "))
    page.click(widget("Methods"))
    page.type("LayerCAM")
    page.wait_for(says("two, LayerCAM: "), 60)
    others = "/: (good|burr), (rightly|false)/.test(document.body.innerText)"
    assert page.value(others)
    page.click(widget("How they were judged"))
    page.type("escape")
    page.wait_for(f"!{others}", 60)


def test_what_is_shown_is_changed_live_and_measured_against_labelled_boxes(page: Browser) -> None:
    page.value("location.reload()")
    page.wait_for("document.querySelectorAll('img').length >= 9", 120)
    first = "document.querySelector('img').src"
    before = page.value(first)
    page.click(f"{widget('mirrored')}.closest('label')")
    page.wait_for(f"{first} != {before!r}", 60)
    page.click(f"{widget('measure on')}.closest('label')")
    page.wait_for(says("mean IoU of boxes"), 120)


def test_a_run_that_has_no_map_is_told() -> None:
    from dataclasses import dataclass

    from sealpin_edge.errors import InputError
    from sealpin_training.tasks.classify.cam.photos import check_runs

    @dataclass
    class Detector:
        name: str = "d"
        task: str = "detect"
        words: str = "d"

    with pytest.raises(InputError, match="no class activation map"):
        check_runs([Detector()])  # type: ignore[list-item]
