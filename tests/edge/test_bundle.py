"""Bundles: the same bytes for the same content, and nothing but a whole and true one is unpacked."""

import json
import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner

from sealpin_edge.bundle import MANIFEST, read_bundle, unpack, write_bundle
from sealpin_edge.cli import main
from sealpin_edge.config_file import load_config
from sealpin_edge.errors import InputError
from sealpin_export.bundle import make_bundle

TEMPLATE = """
# our line
[station]
name = "one"
mode = "full"
[plc]
host = "192.0.2.1"
block = "DB100"
[camera]
driver = "folder"
path = "photos"
"""
MEMBERS = {"model.tflite": b"model", "station.toml": b"[station]"}


@pytest.fixture
def bundle(toy_model: Path, tmp_path: Path) -> Path:
    (tmp_path / "template.toml").write_text(TEMPLATE)
    make_bundle(toy_model, tmp_path / "template.toml", tmp_path / "one.sealpin")
    return tmp_path / "one.sealpin"


def test_what_is_packed_is_unpacked_and_the_config_knows_its_model(
    bundle: Path, toy_model: Path, tmp_path: Path
) -> None:
    result = CliRunner().invoke(main, ["unpack", str(bundle), str(tmp_path / "out")])
    assert result.exit_code == 0, result.output
    assert "sealpin-edge run --config" in result.output
    assert (tmp_path / "out/model.tflite").read_bytes() == toy_model.read_bytes()
    config = load_config(tmp_path / "out/station.toml")
    assert config.model.file == tmp_path / "out/model.tflite"
    assert "# our line" in (tmp_path / "out/station.toml").read_text()


def test_the_same_content_gives_the_same_bytes(bundle: Path, toy_model: Path, tmp_path: Path) -> None:
    make_bundle(toy_model, tmp_path / "template.toml", tmp_path / "again.sealpin")
    assert (tmp_path / "again.sealpin").read_bytes() == bundle.read_bytes()


def rewritten(bundle: Path, **changes: bytes | None) -> Path:
    """A copy with members replaced (bytes), dropped (None) or added; dots in names are written as `__`."""
    with zipfile.ZipFile(bundle) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    for name, data in changes.items():
        members.pop(name.replace("__", "."), None)
        if data is not None:
            members[name.replace("__", ".")] = data
    path = bundle.with_name("rewritten.sealpin")
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"model__tflite": b"another"}, "not what the manifest says"),
        ({"station__toml": b"another"}, "not what the manifest says"),
        ({"station__toml": None}, "other members"),
        ({"../escape": b"x"}, "other members"),
        ({"manifest__json": None}, "not a whole bundle"),
        ({"manifest__json": b"[]"}, "not a whole bundle"),
        ({"manifest__json": b'{"format": 2}'}, "another format"),
        ({"manifest__json": b'{"format": 1, "members": {"../x": {}}}'}, "other members"),
    ],
)
def test_a_bundle_that_was_tampered_with_is_refused_and_nothing_is_written(
    bundle: Path, tmp_path: Path, changes: dict[str, bytes | None], told: str
) -> None:
    result = CliRunner().invoke(main, ["unpack", str(rewritten(bundle, **changes)), str(tmp_path / "out")])
    assert result.exit_code == 2
    assert told in result.output
    assert "Traceback" not in result.output
    assert not (tmp_path / "out").exists()
    assert not (tmp_path.parent / "escape").exists()


def test_every_flipped_or_missing_byte_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "small.sealpin"
    write_bundle(path, MEMBERS, {"model": {}})
    whole = path.read_bytes()
    start = whole.index(b"model.tflite") + len("model.tflite")
    for position in range(start, whole.index(b"PK\x01\x02"), 3):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 0x10]) + whole[position + 1 :])
        try:
            assert read_bundle(path)[1] == MEMBERS
        except InputError:
            continue
    for length in range(0, len(whole) - 1, 7):
        path.write_bytes(whole[:length])
        with pytest.raises(InputError):
            read_bundle(path)


def test_the_manifest_tells_what_is_inside(bundle: Path) -> None:
    with zipfile.ZipFile(bundle) as archive:
        manifest = json.loads(archive.read(MANIFEST))
    assert manifest["format"] == 1
    assert manifest["model"]["classes"] == ["PR", "QA"]
    assert set(manifest["members"]) == {"model.tflite", "station.toml"}


def test_a_folder_that_is_taken_is_left_alone(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/precious").touch()
    with pytest.raises(InputError, match="in the way"):
        unpack(bundle, tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["precious"]


def test_a_template_with_a_fault_is_refused(toy_model: Path, tmp_path: Path) -> None:
    (tmp_path / "template.toml").write_text(TEMPLATE.replace("DB100", "DB"))
    with pytest.raises(InputError, match=r"\[plc\] block"):
        make_bundle(toy_model, tmp_path / "template.toml", tmp_path / "one.sealpin")
    assert not (tmp_path / "one.sealpin").exists()
