"""Logits moved and scaled by what val says of them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sealpin_training.tasks.classify.calibration import fit_gauge


def entropy(logits: np.ndarray, truth: np.ndarray) -> float:
    told = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    return float(-told[np.arange(len(truth)), truth].mean())


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.floats(-3, 3), st.floats(0.2, 5))
def test_what_was_moved_and_scaled_is_put_back(seed: int, shift: float, factor: float) -> None:
    """Truth is drawn by honest logits: no others are more honest, whatever was done to them."""
    random = np.random.default_rng(seed)
    honest = random.normal(0, 2, 4000)
    truth = (random.random(4000) < 1 / (1 + np.exp(-honest))).astype(np.int64)
    logits = np.stack([np.zeros(4000), honest / factor - shift], axis=1)
    moved, scaled = fit_gauge(logits, truth, balanced=False, shifted=True)
    assert moved[0] == 0.0 and scaled == pytest.approx(factor, rel=0.15)
    assert moved[1] == pytest.approx(shift, abs=0.25 / factor)
    scaled_alone = fit_gauge(honest_pair(honest, factor), truth, balanced=False, shifted=False)
    assert list(scaled_alone[0]) == [0.0, 0.0] and scaled_alone[1] == pytest.approx(factor, rel=0.15)


def honest_pair(honest: np.ndarray, factor: float) -> np.ndarray:
    return np.stack([np.zeros(len(honest)), honest / factor], axis=1)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 6), st.booleans())
def test_it_is_never_less_honest_and_stays_finite(seed: int, classes: int, balanced: bool) -> None:
    random = np.random.default_rng(seed)
    truth = random.integers(0, classes, 60)
    logits = random.normal(0, 1, (60, classes)) + 3 * np.eye(classes)[truth] * (seed % 2)
    shift, factor = fit_gauge(logits, truth, balanced=balanced, shifted=True)
    assert np.isfinite(shift).all() and 0 < factor < 1e4
    if not balanced:
        assert entropy((logits + shift) * factor, truth) <= entropy(logits, truth) + 0.05


def test_photos_that_are_told_rightly_ask_for_no_infinite_factor_and_one_class_for_nothing() -> None:
    truth = np.array([0, 1] * 20)
    logits = np.stack([np.zeros(40), np.where(truth, 1.0, -1.0)], axis=1)
    shift, factor = fit_gauge(logits, truth, balanced=True, shifted=True)
    told = 1 / (1 + np.exp(-(1.0 + shift[1]) * factor))
    assert told == pytest.approx(21 / 22, abs=0.01), "Platt's target"
    shift, factor = fit_gauge(logits, np.zeros(40, np.int64), balanced=True, shifted=True)
    assert list(shift) == [0.0, 0.0] and factor == 1.0


def test_rare_classes_weigh_as_much_where_they_are_balanced() -> None:
    random = np.random.default_rng(0)
    truth = (random.random(2000) < 0.05).astype(np.int64)
    logits = np.stack([np.zeros(2000), random.normal(2.0 * truth, 1.0) - 3.0], axis=1)
    for balanced, share in ((False, 0.05), (True, 0.5)):
        shift, factor = fit_gauge(logits, truth, balanced=balanced, shifted=True)
        told = 1 / (1 + np.exp(-(logits[:, 1] + shift[1]) * factor))
        weights = np.where(truth, 0.5 / 0.05, 0.5 / 0.95) if balanced else np.ones(2000)
        assert np.average(told, weights=weights) == pytest.approx(share, abs=0.05)
