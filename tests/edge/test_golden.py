"""Golden photos: a model that finds anything else than it did, and a config that blinds it, are refused."""

import hashlib
import json
import logging
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sealpin_edge.config.file import load_config
from sealpin_edge.errors import InputError
from sealpin_edge.model.photo import encode_jpeg, read_photo
from sealpin_edge.release.golden import (
    BOX_TOLERANCE,
    GOLDEN_FILE,
    SCORE_TOLERANCE,
    golden_photos,
    golden_verdicts,
    prove_on_golden,
    proven_model,
)
from sealpin_edge.tasks.model import Model
from sealpin_edge.tasks.verdict import Verdict
from tests.conftest import part_photo

SIDE, WIDE = 256, 512
A_LITTLE = 1e-4


@pytest.fixture
def model(toy_model: Path) -> Model:
    return Model(toy_model)


@pytest.fixture
def folder(tmp_path: Path, model: Model) -> Path:
    """A bad part and a good one, on photos that are wider than high, and what the model finds in them."""
    folder, photos = tmp_path / "golden", []
    folder.mkdir()
    for number, burrs in enumerate([[("PR", 2, 3)], []]):
        path = folder / f"part_{number}.jpg"
        path.write_bytes(encode_jpeg(np.repeat(part_photo(*burrs, seed=number), 2, axis=1)))
        found = [
            {"category": one.category, "score": one.score, "box": list(one.edges)}
            for one in model.read(read_photo(path)).findings
        ]
        photos.append({"photo": path.name, "verdict": "NG" if burrs else "OK", "detections": found})
    (folder / GOLDEN_FILE).write_text(json.dumps({"photos": photos}))
    return folder


def change(folder: Path, edit: Callable[[list[dict[str, Any]]], object]) -> None:
    """Edit what is expected of the bad part: its detections."""
    known = json.loads((folder / GOLDEN_FILE).read_text())
    edit(known["photos"][0]["detections"])
    (folder / GOLDEN_FILE).write_text(json.dumps(known))


def shift(folder: Path, pixels: float, edge: int) -> None:
    def edit(found: list[dict[str, Any]]) -> None:
        found[0]["box"][edge] += pixels

    change(folder, edit)


def refusal(model: Model, folder: Path) -> str:
    with pytest.raises(InputError) as caught:
        prove_on_golden(model, model.rule(), folder)
    return str(caught.value)


def test_what_was_found_is_found_again(model: Model, folder: Path) -> None:
    assert prove_on_golden(model, model.rule(), folder) == 2
    assert golden_verdicts(folder) == Counter({Verdict.NG: 1, Verdict.OK: 1})
    assert [photo.shape for photo in golden_photos(folder)] == [(SIDE, WIDE, 3)] * 2


def test_another_place_category_or_number_is_told_beside_what_was_found(model: Model, folder: Path) -> None:
    whole = (folder / GOLDEN_FILE).read_text()
    edits: list[Callable[[list[dict[str, Any]]], object]] = [
        lambda found: found[0].update(box=[0, 0, 9, 9]),
        lambda found: found[0].update(category="QA"),
        lambda found: found.append({"category": "PR", "score": 0.9, "box": [400, 9, 450, 40]}),
        lambda found: found.append(dict(found[0])),
    ]
    for edit in edits:
        change(folder, edit)
        told = refusal(model, folder)
        assert "what it found when it was released" in told
        assert "found:   PR 1.000 at " in told
        (folder / GOLDEN_FILE).write_text(whole)
    change(folder, lambda found: found[0].update(box=[0, 0, 9, 9], score=0.625))
    assert "allowed: PR 0.625 at 0, 0, 9, 9" in refusal(model, folder)
    change(folder, lambda found: found.clear())
    assert "allowed: nothing" in refusal(model, folder)


def test_what_is_found_besides_is_refused_when_it_counts_for_certain(model: Model, folder: Path) -> None:
    score = model.read(read_photo(folder / "part_0.jpg")).findings[0].score
    change(folder, lambda found: found.clear())
    known = json.loads((folder / GOLDEN_FILE).read_text())
    known["photos"][0]["verdict"] = "OK"
    (folder / GOLDEN_FILE).write_text(json.dumps(known))
    doubtful = model.rule(score - SCORE_TOLERANCE + A_LITTLE)
    assert prove_on_golden(model, doubtful, folder) == 2
    with pytest.raises(InputError, match="released"):
        prove_on_golden(model, model.rule(score - SCORE_TOLERANCE - A_LITTLE), folder)


@pytest.mark.parametrize("sign", [1, -1])
def test_scores_and_edges_may_differ_by_what_another_processor_does(model: Model, folder: Path, sign: int) -> None:
    whole = (folder / GOLDEN_FILE).read_text()
    found = model.read(read_photo(folder / "part_0.jpg")).findings[0]
    limit = BOX_TOLERANCE * WIDE
    for edge in range(4):
        shift(folder, sign * (limit - A_LITTLE), edge)
        assert prove_on_golden(model, model.rule(), folder) == 2
        shift(folder, sign * 2 * A_LITTLE, edge)
        assert "released" in refusal(model, folder)
        (folder / GOLDEN_FILE).write_text(whole)
    for near, allowed in ((A_LITTLE, True), (-A_LITTLE, False)):
        at = found.score - SCORE_TOLERANCE + near
        change(folder, lambda known, at=at: known[0].update(score=at))  # type: ignore[misc]
        assert allowed or "released" in refusal(model, folder)
        assert not allowed or prove_on_golden(model, model.rule(), folder) == 2


@pytest.mark.parametrize(
    "odd", [{"score": 1.01}, {"score": -0.01}, {"box": [0, 0, float("nan"), 9]}, {"box": [0, float("inf"), 9, 9]}]
)
def test_a_detection_that_no_model_could_give_is_refused(model: Model, folder: Path, odd: dict[str, Any]) -> None:
    change(folder, lambda found: found[0].update(odd))
    told = refusal(model, folder)
    assert "cannot be used" in told
    (folder / GOLDEN_FILE).write_text("{}")
    assert "cannot be used" in refusal(model, folder)


@pytest.mark.parametrize("score", [0, 1])
def test_scores_of_0_and_1_are_scores(folder: Path, score: int) -> None:
    change(folder, lambda found: found[0].update(score=score))
    assert golden_verdicts(folder)


@pytest.mark.parametrize(("threshold", "notice"), [(0.9999, set()), (None, {"PR"})])
def test_a_config_that_makes_a_golden_bad_part_good_is_refused(
    model: Model, folder: Path, threshold: float | None, notice: set[str]
) -> None:
    with pytest.raises(InputError, match="a golden photo of a bad part would be OK on this station"):
        prove_on_golden(model, model.rule(threshold, notice), folder)
    assert prove_on_golden(model, model.rule(notice={"QA"}), folder) == 2


def test_a_station_takes_the_model_that_its_config_names_and_proves_it(
    toy_model: Path, folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)

    def taken(golden: str = "", sha256: str = hashlib.sha256(toy_model.read_bytes()).hexdigest()) -> object:
        (tmp_path / "station.toml").write_text(
            f'[station]\nname = "a"\nmode = "full"\n[plc]\nhost = "127.0.0.1"\nblock = "DB100"\n'
            f'[camera]\ndriver = "folder"\npath = "photos"\n'
            f'[model]\nfile = "{toy_model}"\nsha256 = "{sha256}"\n{golden}'
        )
        return proven_model(load_config(tmp_path / "station.toml"))

    with pytest.raises(InputError, match="not the model that the station was given"):
        taken(sha256="0" * 64)
    assert taken()
    assert "golden" not in caplog.text
    proven = f'golden = "{folder}"'
    assert taken(proven)
    assert "2 golden photos are judged as they should be" in caplog.text
    change(folder, lambda found: found.clear())
    with pytest.raises(InputError, match="released"):
        taken(proven)
