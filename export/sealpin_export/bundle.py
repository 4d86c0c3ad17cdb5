"""Pack a model and a station's config into a bundle."""

import hashlib
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

import tomlkit

from sealpin_edge import bundle
from sealpin_edge.config_file import load_config
from sealpin_edge.files import write_whole
from sealpin_edge.model import Model, read_model

from .metadata import with_labels


def make_bundle(model: Path, station: Path, out: Path, labels: Sequence[str] | None = None) -> None:
    """Write the bundle `out`; [model] file and sha256 of the station's config are filled in, the rest stays as it is.

    `labels` are packed into a model of someone else's that carries none. Raises InputError when a station cannot run
    the model, or the config has a fault.
    """
    load_config(station, template=True)
    data = read_model(model)
    card = Model(model, labels=labels).card
    if labels:
        data = with_labels(data, labels, str(model))
    document = tomlkit.parse(station.read_text(encoding="utf-8"))
    section = document.setdefault("model", tomlkit.table())
    section["file"] = bundle.MODEL
    section["sha256"] = hashlib.sha256(data).hexdigest()
    members = {bundle.MODEL: data, bundle.STATION: tomlkit.dumps(document).encode()}
    with tempfile.TemporaryDirectory() as folder:
        partial = Path(folder, "bundle")
        bundle.write_bundle(partial, members, {"sealpin": version("sealpin"), "model": asdict(card)})
        write_whole(out, partial.read_bytes())
