"""Pack a model, a station's config and what both need into a bundle."""

import hashlib
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import tomlkit

from sealpin_edge.cli.program import check_place
from sealpin_edge.config.file import load_config
from sealpin_edge.config.station import StationConfig
from sealpin_edge.errors import InputError
from sealpin_edge.files import check_apart, read_text, write_whole
from sealpin_edge.inspection.checks import read_limits
from sealpin_edge.model.runtime import read_model
from sealpin_edge.release import bundle
from sealpin_edge.release.bundle import Manifest, make_manifest, version_order, write_bundle
from sealpin_edge.release.golden import GOLDEN_FILE
from sealpin_edge.release.preflight import VERSIONS
from sealpin_edge.release.signature import sign
from sealpin_edge.tasks.model import Model
from sealpin_edge.tasks.verdict import Verdict, departures
from sealpin_training.tasks.task import task_named

from .gate import GATE, check_proven
from .metadata import with_labels
from .predict import predict
from .wheels import download_wheels, extras_for, unit

MAX_GOLDEN = 50


@dataclass(frozen=True)
class Contents:
    """What goes into a bundle: `golden` a folder of photos, `platforms` whose wheels, `expires` a day (YYYY-MM-DD).

    `camera_limits` is what another station's camera was taught (camera_limits.json); a station's own go before them.
    `labels` are packed into a model of someone else's that carries none; `budget_ms` is what a photo may take on the
    station, by default the config's inference_ms.
    """

    model: Path
    station: Path
    version: str
    labels: Sequence[str] | None = None
    golden: Path | None = None
    camera_limits: Path | None = None
    platforms: Sequence[str] = ()
    expires: str = ""
    budget_ms: int = 0


def make_bundle(
    contents: Contents,
    out: Path,
    key: Path | None = None,
    force: bool = False,
    tell: Callable[[str], None] = lambda _: None,
) -> Manifest:
    """Write the bundle `out`, signed with `key` where there is one; the same contents give the same bytes.

    [model] file, sha256 and golden of the station's config are filled in, the rest stays as it is. With `force`, an
    earlier bundle at `out` is overwritten. `tell` hears of what may let a bad part pass. Raises InputError when a
    station cannot run the model or it is another than was proven, when config, version or golden photos have a fault,
    or `out` is taken.
    """
    check_apart(out, contents.model, contents.station, contents.golden, contents.camera_limits, key)
    check_place(out, force=force, ending=".sealpin")
    version_order(contents.version)
    config = load_config(contents.station, template=True)
    model = read_model(contents.model)
    proven = check_proven(contents.model, hashlib.sha256(model).hexdigest())
    card = Model(contents.model, labels=contents.labels, good=config.model.good).card
    if contents.labels:
        model = with_labels(model, contents.labels, str(contents.model))
    golden = _golden(contents, model, config)
    for doubt in _doubts(contents, config, golden, proven):
        tell(doubt)
    members = {bundle.MODEL: model, bundle.STATION: _config(contents.station, model, bool(golden)), bundle.UNIT: unit()}
    extras = extras_for(config)
    wheels = download_wheels(contents.platforms, extras) if contents.platforms else {}
    if contents.camera_limits:
        read_limits(contents.camera_limits)
        members[bundle.LIMITS] = contents.camera_limits.read_bytes()
    members |= golden | {f"{bundle.WHEELS}/{name}": data for name, data in wheels.items()}
    about = _about(contents, config, extras) | {"model": asdict(card)}
    signature = {}
    if key:
        signature = {bundle.SIGNATURE: sign(make_manifest(members, about).head, key)}
    with tempfile.TemporaryDirectory() as folder:
        partial = Path(folder, "bundle")
        manifest = write_bundle(partial, members, about, signature)
        write_whole(out, partial.read_bytes())
    return manifest


def _doubts(contents: Contents, config: StationConfig, golden: Mapping[str, bytes], proven: bool) -> Iterator[str]:
    """What a station with this bundle could let pass, by the rules that its doctor has."""
    if not proven:
        yield f"nothing says that this model file judges as its network does: there is no {GATE} of it beside it"
    model = Model(contents.model, labels=contents.labels, good=config.model.good)
    if model.assumes_range:
        yield "nothing in the model file says how it wants its pixels: it is given -1..1"
    metrics = {
        name.removeprefix("val/"): value
        for name, value in model.card.metrics.items()
        if isinstance(value, int | float)  # a model of someone else's may carry anything
    }
    if metrics:
        yield from task_named(model.card.task).shortcomings({"split": "val", "metrics": metrics})
    rule = model.rule(config.model.threshold, config.model.notice, where="[model] {}")
    yield from departures(rule, model.rule())
    if not golden:
        yield "no golden photos, so no station can prove its arithmetic: --golden PHOTOS"
        return
    photos = json.loads(golden[f"{bundle.GOLDEN}/{GOLDEN_FILE}"])["photos"]
    if not any(photo["verdict"] == Verdict.NG.value for photo in photos):
        yield f"none of the {len(photos)} golden photos is NG: no start can tell that a bad part would pass"


def _about(contents: Contents, config: StationConfig, extras: Sequence[str]) -> dict[str, Any]:
    return {
        "version": contents.version,
        "expires": contents.expires,
        "sealpin": version("sealpin"),
        "versions": VERSIONS,
        "minimum_runtime": {"python": "3.11", "ai-edge-litert": "2.0"},
        "budget_ms": contents.budget_ms or config.timers.inference_ms,
        "extras": list(extras),
        "platforms": sorted(contents.platforms),
    }


def _config(station: Path, model: bytes, has_golden: bool) -> bytes:
    document = tomlkit.parse(read_text(station))
    section = document.setdefault("model", tomlkit.table())
    section["file"] = bundle.MODEL
    section["sha256"] = hashlib.sha256(model).hexdigest()
    section.pop("golden", None)
    if has_golden:
        section["golden"] = bundle.GOLDEN
    return str(tomlkit.dumps(document)).encode()


def _golden(contents: Contents, model: bytes, config: StationConfig) -> dict[str, bytes]:
    """The golden photos, and what they are by the station's config; numbered, so that their names can be anything."""
    if contents.golden is None:
        return {}
    members: dict[str, bytes] = {}
    photos = []
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "model.tflite")
        file.write_bytes(model)
        detector = Model(file, good=config.model.good)
        rule = detector.rule(config.model.threshold, config.model.notice, where="[model] {}")
        for number, found in enumerate(predict(detector, contents.golden, rule=rule)):
            if number >= MAX_GOLDEN:
                raise InputError(
                    "these are many golden photos", where=str(contents.golden), allowed=f"up to {MAX_GOLDEN}"
                )
            source = contents.golden / found.photo if contents.golden.is_dir() else contents.golden
            if found.verdict.value == "NOT INSPECTED":
                raise InputError("this golden photo cannot be read", where=str(source))
            name = f"{number:02d}{source.suffix.lower()}"
            photos.append({**found.as_dict(), "photo": name})
            members[f"{bundle.GOLDEN}/{name}"] = source.read_bytes()
    members[f"{bundle.GOLDEN}/{GOLDEN_FILE}"] = json.dumps({"photos": photos}, indent=1).encode()
    return members
