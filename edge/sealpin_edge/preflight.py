"""What a release must show on a station before it may replace the one that runs, without touching that one."""

import json
import sqlite3
import tempfile
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .bundle import MANIFEST
from .camera import is_live
from .checks import Checks, load_limits
from .config import StationConfig
from .errors import EnvironmentFault, InputError
from .golden import golden_photos, proven_model
from .model import Model
from .photo import Photo
from .plc import family
from .results import ResultsApi
from .store_schema import open_store
from .upload import make_uploader

TRIES = 3
MADE_UP_PHOTO = (1024, 1024, 3)


@dataclass(frozen=True)
class Preflight:
    """What was found: photos proven, the slowest one's milliseconds, the database's rows that a copy kept.

    `checks` is "taught", "not taught" (then no part will be judged) or "off".
    """

    golden: int
    slowest_ms: float
    budget_ms: float
    inspections: int
    checks: str


def preflight(config: StationConfig) -> Preflight:
    """Prove and time the model on its golden photos, rehearse the database's migration, look at packages and secrets.

    Raises InputError or EnvironmentFault at the first thing that would keep the station from working.
    """
    model, _ = proven_model(config)
    family(config.plc.driver)
    timeout_s = config.timers.server_ms / 1000
    if config.photos:
        make_uploader(config.photos, timeout_s)
    if config.results:
        ResultsApi(config.results, timeout_s)
    limits = load_limits(config.station.data_dir, config.folder)
    checks = Checks(limits, live=is_live(config.camera), wanted=config.camera.checks == "taught")
    photos = golden_photos(config.model.golden) if config.model.golden else [np.full(MADE_UP_PHOTO, 127, np.uint8)]
    slowest_ms = max(_milliseconds(model, photo) for photo in photos)
    budget_ms = float(_about(config.folder).get("budget_ms") or config.timers.inference_ms)
    if slowest_ms > budget_ms:
        raise InputError(
            "the model is too slow on this station",
            where="budget_ms",
            found=f"{slowest_ms:.0f} ms a photo",
            allowed=f"at most {budget_ms:g} ms",
            advice="a smaller input (sealpin recipe new --size 320), or int8 (sealpin export --quantize int8)",
        )
    return Preflight(
        len(photos) if config.model.golden else 0,
        round(slowest_ms, 1),
        budget_ms,
        _rehearse(config.station.data_dir),
        checks.state,
    )


def _about(folder: Path) -> dict[str, Any]:
    """The manifest that was unpacked beside the config; nothing for a config that came of no bundle."""
    try:
        found: dict[str, Any] = json.loads((folder / MANIFEST).read_bytes())
    except FileNotFoundError:
        return {}
    return found


def _milliseconds(model: Model, photo: Photo) -> float:
    """The best of a few tries: the running station goes before us."""
    times = []
    for _ in range(TRIES):
        begin = time.perf_counter()
        model.detect(photo)
        times.append((time.perf_counter() - begin) * 1000)
    return min(times)


def _rehearse(data_dir: Path) -> int:
    """Open a copy of the station's database as this release would; the number of inspections that are in it still."""
    if not (data_dir / "station.db").exists():
        return 0
    # Not /tmp, which is memory on some
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        copy = Path(folder, "station.db")
        try:
            with closing(sqlite3.connect(data_dir / "station.db")) as live, closing(sqlite3.connect(copy)) as db:
                live.backup(db)
                before = _count(db)
            open_store(copy, lambda db: None)
            with closing(sqlite3.connect(copy)) as db:
                after = _count(db)
        except sqlite3.Error as error:
            raise EnvironmentFault(
                "the station's database cannot be copied", where=str(data_dir / "station.db"), found=str(error)
            ) from None
    if after != before:
        raise InputError(
            "this release would lose records of the database",
            where=str(data_dir / "station.db"),
            found=f"{after} inspections of {before}",
        )
    return after


def _count(db: sqlite3.Connection) -> int:
    return int(db.execute("SELECT count(*) FROM inspection").fetchone()[0])
