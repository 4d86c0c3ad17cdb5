"""What a release must show on a station before it may replace the one that runs, without touching that one."""

import platform
import re
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from .. import __version__
from ..config.station import CONFIG_VERSION, StationConfig
from ..delivery.results import ResultsApi
from ..delivery.store_schema import VERSION as SCHEMA
from ..delivery.store_schema import newer_database, open_store
from ..errors import EnvironmentFault, InputError
from ..inspection.checks import station_checks
from ..model.photo import Photo
from ..plc import family
from ..plc.block import BLOCK_VERSION
from ..tasks.model import Model
from ..upload import make_uploader
from .bundle import MANIFEST, manifest_of, version_order
from .golden import golden_photos, proven_model

TRIES = 3
# Not /tmp, which is memory on some
COPIES = Path("/var/tmp")  # noqa: S108  a folder of its own is made in it
# What a bundle's manifest says of the program that it was made for
VERSIONS = {"config": CONFIG_VERSION, "database": SCHEMA, "plc_block": BLOCK_VERSION}
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
    manifest = manifest_of(config.folder)
    about = manifest.content if manifest else {}
    _check_versions(about)
    model, _ = proven_model(config)
    family(config.plc.driver)
    timeout_s = config.timers.server_ms / 1000
    if config.photos:
        make_uploader(config.photos, timeout_s)
    if config.results:
        ResultsApi(config.results, timeout_s)
    checks = station_checks(config)
    photos = golden_photos(config.model.golden) if config.model.golden else [np.full(MADE_UP_PHOTO, 127, np.uint8)]
    slowest_ms = max(_milliseconds(model, photo) for photo in photos)
    budget_ms = float(about.get("budget_ms") or config.timers.inference_ms)
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


def _check_versions(about: Mapping[str, Any]) -> None:
    """Raise InputError when the bundle was made for another program than runs here, or needs a newer runtime."""
    for what, ours in VERSIONS.items():
        wanted = about.get("versions", {}).get(what, ours)
        if wanted != ours:
            raise InputError(
                "this bundle was made for another sealpin-edge than the one that is installed here",
                where=f"{MANIFEST}, versions: {what}",
                found=f"version {wanted}",
                allowed=f"version {ours}, of sealpin-edge {__version__}",
                advice="make the bundle with the packages that it needs, without --no-wheels",
                hint="sealpin bundle make MODEL --station STATION --out FILE",
            )
    for name, least in about.get("minimum_runtime", {}).items():
        found = _installed(name)
        if found and version_order(found) < version_order(str(least)):
            raise InputError(
                "what this bundle needs is too old here",
                where=f"{MANIFEST}, minimum_runtime: {name}",
                found=found,
                allowed=f"{least} or newer",
                advice="make the bundle with the packages that it needs, without --no-wheels",
                hint="sealpin bundle make MODEL --station STATION --out FILE",
            )


def _installed(name: str) -> str:
    """The version of a package or of Python, its numbers alone; "" for a package that is not here."""
    try:
        told = platform.python_version() if name == "python" else version(name)
    except PackageNotFoundError:  # another runtime does its work, and the golden photos prove it
        return ""
    found = re.match(r"\d+(\.\d+){0,3}", told)
    return found[0] if found else ""


def _milliseconds(model: Model, photo: Photo) -> float:
    """The best of a few tries: the running station goes before us."""
    times = []
    for _ in range(TRIES):
        begin = time.perf_counter()
        model.read(photo)
        times.append((time.perf_counter() - begin) * 1000)
    return min(times)


def _rehearse(data_dir: Path) -> int:
    """Migrate a copy of the station's database as this release would; the inspections that are in it still.

    Raises InputError for a database of a newer release, EnvironmentFault when there is no room for a copy.
    """
    database = data_dir / "station.db"
    if not database.exists():
        return 0
    try:
        with closing(sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True)) as live:
            before, version = _count(live), live.execute("PRAGMA user_version").fetchone()[0]
            if version > SCHEMA:
                raise newer_database(database, version)
            after = _migrated(live, database) if version < SCHEMA else before
    except sqlite3.Error as error:
        raise EnvironmentFault(
            "the station's database cannot be copied", where=str(database), found=str(error)
        ) from None
    if after != before:
        raise InputError(
            "this release would lose records of the database",
            where=str(data_dir / "station.db"),
            found=f"{after} inspections of {before}",
        )
    return after


def _migrated(live: sqlite3.Connection, database: Path) -> int:
    """How many inspections a migrated copy has."""
    needed = 2 * sum(path.stat().st_size for path in database.parent.glob(f"{database.name}*"))
    free = shutil.disk_usage(COPIES).free
    if free < needed:
        raise EnvironmentFault(
            "there is no room to try the database's migration",
            where=str(COPIES),
            found=f"{free / 1e6:.0f} MB free",
            allowed=f"{needed / 1e6:.0f} MB",
            hint="apt clean",
        )
    with tempfile.TemporaryDirectory(dir=COPIES) as folder:
        copy = Path(folder, "station.db")
        with closing(sqlite3.connect(copy)) as db:
            live.backup(db)
        open_store(copy, lambda db: None)
        with closing(sqlite3.connect(copy)) as db:
            return _count(db)


def _count(db: sqlite3.Connection) -> int:
    return int(db.execute("SELECT count(*) FROM inspection").fetchone()[0])
