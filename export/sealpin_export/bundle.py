"""Pack a model and a station's config into a bundle."""

import hashlib
import os
import tempfile
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

import tomlkit

from sealpin_edge import bundle
from sealpin_edge.config import load_config
from sealpin_edge.errors import InputError
from sealpin_edge.files import write_whole
from sealpin_edge.model import read_card


def make_bundle(model: Path, station: Path, out: Path) -> None:
    """Write the bundle `out`; [model] file and sha256 of the station's config are filled in, the rest stays as it is.

    Raises InputError when the model is none of sealpin's or the config has a fault.
    """
    load_config(station, template=True)
    try:
        data = model.read_bytes()
    except OSError as error:
        raise InputError("this model cannot be read", where=str(model), found=type(error).__name__) from None
    card = read_card(data, str(model))
    document = tomlkit.parse(station.read_text(encoding="utf-8"))
    section = document.setdefault("model", tomlkit.table())
    section["file"] = bundle.MODEL
    section["sha256"] = hashlib.sha256(data).hexdigest()
    members = {bundle.MODEL: data, bundle.STATION: tomlkit.dumps(document).encode()}
    handle, partial = tempfile.mkstemp(suffix=".sealpin")
    os.close(handle)
    try:
        bundle.write_bundle(Path(partial), members, {"sealpin": version("sealpin"), "model": asdict(card)})
        write_whole(out, Path(partial).read_bytes())
    finally:
        Path(partial).unlink()
