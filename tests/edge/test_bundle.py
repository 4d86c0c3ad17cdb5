"""Bundles: the same bytes for the same content, and nothing but a whole and true one is unpacked."""

import hashlib
import io
import json
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import zipfile
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st

from sealpin.cli import main as toolkit
from sealpin_edge.cli.main import main
from sealpin_edge.config.file import load_config
from sealpin_edge.delivery.outbox import Outbox
from sealpin_edge.delivery.store_schema import _FIRST
from sealpin_edge.errors import EnvironmentFault, InputError
from sealpin_edge.inspection.checks import learn, load_limits, save_limits
from sealpin_edge.inspection.station import Station
from sealpin_edge.release.bundle import Bundle, parse_manifest, release_of, unpack, version_order, write_bundle
from sealpin_edge.release.golden import prove_on_golden, proven_model
from sealpin_edge.release.preflight import preflight
from sealpin_edge.release.signature import allowed_signers, fingerprint, new_key, verify
from sealpin_export.bundle import Contents, make_bundle
from sealpin_export.deploy.connection import agent_archive
from sealpin_export.gate import GATE
from sealpin_export.metadata import add_metadata
from sealpin_export.wheels import edge_wheel, extras_for
from tests.conftest import part_photo, toy_card, write_parts
from tests.edge.classifiers import CLASSES, converted, network, own

from .peers import program

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
checks = "off"
path = "photos"
"""
MEMBERS = {"model.tflite": b"model", "station.toml": b"[station]", "sealpin-edge.service": b"[Unit]"}
ABOUT = {"version": "1", "model": {}}


@pytest.fixture
def contents(toy_model: Path, tmp_path: Path) -> Contents:
    """Without packages."""
    (tmp_path / "template.toml").write_text(TEMPLATE)
    write_parts(tmp_path / "golden", [[], [("PR", 2, 3)]])
    return Contents(toy_model, tmp_path / "template.toml", "1.2", golden=tmp_path / "golden")


@pytest.fixture
def bundle(contents: Contents, tmp_path: Path) -> Path:
    make_bundle(contents, tmp_path / "one.sealpin")
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
    assert config.model.golden
    model, thresholds = proven_model(config)
    assert prove_on_golden(model, thresholds, config.model.golden) == 2
    assert release_of(tmp_path / "out") == Bundle(bundle).manifest.release


def test_the_same_content_gives_the_same_bytes(contents: Contents, bundle: Path, tmp_path: Path) -> None:
    program("ssh-keygen")
    key = tmp_path / "key"
    new_key(key, "test")
    for again in ("again.sealpin", "signed.sealpin", "signed_again.sealpin"):
        make_bundle(contents, tmp_path / again, key if "signed" in again else None)
    assert (tmp_path / "again.sealpin").read_bytes() == bundle.read_bytes()
    assert (tmp_path / "signed.sealpin").read_bytes() == (tmp_path / "signed_again.sealpin").read_bytes()


def test_a_signature_is_of_one_key_and_one_manifest(contents: Contents, tmp_path: Path) -> None:
    program("ssh-keygen")
    keys = [new_key(tmp_path / name, "test") for name in ("ours", "theirs")]
    make_bundle(contents, tmp_path / "signed.sealpin", tmp_path / "ours")
    made = Bundle(tmp_path / "signed.sealpin")
    signers = tmp_path / "signers"
    signers.write_text(allowed_signers(keys[:1]))
    verify(made.manifest.head, made.signature, signers, "it")
    for head, signature in ((made.manifest.head + b" ", made.signature), (made.manifest.head, b"")):
        with pytest.raises(InputError, match=r"not one that this station trusts|not signed"):
            verify(head, signature, signers, "it")
    signers.write_text(allowed_signers(keys[1:]))
    with pytest.raises(InputError, match="not one that this station trusts"):
        verify(made.manifest.head, made.signature, signers, "it")
    with pytest.raises(InputError, match=r"a key already(.|\n)*--out PATH"):
        new_key(tmp_path / "ours", "test")
    assert (tmp_path / "ours").stat().st_mode & 0o077 == 0


def test_a_bundle_that_no_station_would_take_any_more_is_not_made(contents: Contents, tmp_path: Path) -> None:
    words = ["bundle", "make", str(contents.model), "--station", str(contents.station), "--no-wheels"]
    words += ["--out", str(tmp_path / "old.sealpin"), "--expires"]
    for day, told in (("2020-02-29", "this day is over"), ("2021-02-29", "this is no day")):
        said = CliRunner().invoke(toolkit, [*words, day])
        assert said.exit_code == 2 and told in said.output
    assert not (tmp_path / "old.sealpin").exists()
    today = datetime.now(UTC).date().isoformat()
    assert CliRunner().invoke(toolkit, [*words, today]).exit_code == 0


def test_a_signature_of_something_else_is_none(contents: Contents, tmp_path: Path) -> None:
    program("ssh-keygen")
    public = new_key(tmp_path / "ours", "test")
    make_bundle(contents, tmp_path / "signed.sealpin", tmp_path / "ours")

    def show() -> Result:
        return CliRunner().invoke(toolkit, ["bundle", "show", str(tmp_path / "signed.sealpin")])

    assert f"signed     by {fingerprint(public)}" in show().output
    with zipfile.ZipFile(tmp_path / "signed.sealpin") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    said = json.loads(members["manifest.json"])
    members["station.toml"] = members["station.toml"].replace(b"[model]", b"[model]\nthreshold = 1")
    said["members"]["station.toml"] = {
        "sha256": hashlib.sha256(members["station.toml"]).hexdigest(),
        "bytes": len(members["station.toml"]),
    }
    members["manifest.json"] = json.dumps(said).encode()
    with zipfile.ZipFile(tmp_path / "signed.sealpin", "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    assert show().exit_code == 2
    assert "the signature in this bundle is not of what is in it" in show().output


@settings(max_examples=200)
@given(
    st.lists(st.integers(0, 99), min_size=1, max_size=4),
    st.lists(st.integers(0, 99), min_size=1, max_size=4),
)
def test_versions_are_ordered_as_numbers(one: list[int], other: list[int]) -> None:
    texts = [".".join(map(str, version)) for version in (one, other)]
    assert (version_order(texts[0]) < version_order(texts[1])) == (one < other)


@pytest.mark.parametrize("version", ["", "v1", "1.", "1.2.3.4.5", "1 2", "latest", "-1", "1e3", "../1"])
def test_what_is_no_version_is_refused(contents: Contents, tmp_path: Path, version: str) -> None:
    with pytest.raises(InputError, match="no version"):
        make_bundle(replace(contents, version=version), tmp_path / "x.sealpin")


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
        ({"manifest__json": b'{"format": 1}'}, "another format"),
        ({"manifest__json": b'{"format": 2, "version": "1", "members": {"../x": {}}}'}, "not a whole bundle"),
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
    write_bundle(path, MEMBERS, ABOUT)
    whole = path.read_bytes()
    start = whole.index(b"model.tflite") + len("model.tflite")
    for position in range(start, whole.index(b"PK\x01\x02"), 3):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 0x10]) + whole[position + 1 :])
        try:
            assert dict(Bundle(path).members()) == MEMBERS
        except InputError:
            continue
    for length in range(0, len(whole) - 1, 7):
        path.write_bytes(whole[:length])
        with pytest.raises(InputError):
            dict(Bundle(path).members())


PLAIN_NAMES = st.from_regex(r"(golden|wheels)/[A-Za-z0-9][A-Za-z0-9_.+!-]{0,20}", fullmatch=True)


@settings(max_examples=300)
@given(
    st.one_of(st.text(max_size=30), st.builds("{}{}".format, PLAIN_NAMES, st.sampled_from(["", "/x", "/../x", "\0"])))
)
def test_no_name_leads_out_of_a_release(name: str) -> None:
    listed = {one: {"sha256": "0" * 64, "bytes": 1} for one in (*MEMBERS, name)}
    head = json.dumps({"format": 2, "version": "1", "members": listed}).encode()
    try:
        members = parse_manifest(head, "x").members
    except InputError:
        return
    for one in members:
        assert Path("/release", one).resolve().is_relative_to("/release")
        assert one.count("/") <= 1 and not one.startswith((".", "/"))


def test_a_link_in_the_archive_becomes_a_plain_file(tmp_path: Path) -> None:
    members = {**MEMBERS, "golden/link": b"/etc/hostname"}
    write_bundle(tmp_path / "one.sealpin", members, ABOUT)
    with zipfile.ZipFile(tmp_path / "one.sealpin") as old, zipfile.ZipFile(tmp_path / "two.sealpin", "w") as new:
        for entry in old.infolist():
            if entry.filename == "golden/link":
                entry.external_attr = 0o120777 << 16
            new.writestr(entry, old.read(entry))
    unpack(tmp_path / "two.sealpin", tmp_path / "out")
    assert not (tmp_path / "out/golden/link").is_symlink()
    assert (tmp_path / "out/golden/link").read_bytes() == b"/etc/hostname"


def test_the_manifest_tells_what_is_inside(bundle: Path) -> None:
    result = CliRunner().invoke(toolkit, ["bundle", "show", str(bundle), "--json"])
    assert result.exit_code == 0, result.output
    manifest = json.loads(result.stdout)
    assert (manifest["format"], manifest["version"], manifest["signed"]) == (2, "1.2", False)
    assert manifest["model"]["classes"] == ["PR", "QA"]
    assert manifest["versions"] == {"config": 1, "database": 3, "plc_block": 1}
    assert {"model.tflite", "station.toml", "sealpin-edge.service", "golden/golden.json"} <= set(manifest["members"])
    shown = CliRunner().invoke(toolkit, ["bundle", "show", str(bundle)])
    assert "release    1.2-" in shown.output


def test_the_packages_a_config_needs_are_named(contents: Contents, tmp_path: Path) -> None:
    contents.station.write_text(TEMPLATE + '[photos]\nurl = "sftp://u@h/x"\n')
    assert extras_for(load_config(contents.station, template=True)) == ["sftp"]
    assert make_bundle(contents, tmp_path / "x.sealpin").content["extras"] == ["sftp"]


def test_the_stations_own_wheel_is_reproducible_and_whole(tmp_path: Path) -> None:
    name, data = edge_wheel()
    assert (name, data) == edge_wheel()
    with zipfile.ZipFile(io.BytesIO(data)) as wheel:
        names = wheel.namelist()
        record = wheel.read(next(one for one in names if one.endswith("RECORD"))).decode().splitlines()
        assert {line.rsplit(",", 2)[0] for line in record} == set(names)
        assert not any("simulation" in one for one in names), "no Pi gets emulators"
        assert "sealpin_edge/cli/main.py" in names and "sealpin_edge/display/page.html" in names
        wheel.extractall(tmp_path)
    code = "import sealpin_edge.device.agent, sealpin_edge; print(sealpin_edge.__file__)"
    done = subprocess.run([sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, {str(tmp_path)!r}); {code}"],
                          capture_output=True, text=True, check=True)  # fmt: skip
    assert done.stdout.startswith(str(tmp_path))


def test_the_agent_needs_only_pythons_library() -> None:
    """It runs on stations that have nothing else."""
    code = (
        "import sys; before = set(sys.modules); sys.path.insert(0, sys.argv[1]); import sealpin_edge.device.agent; "
        "new = {name.partition('.')[0] for name in set(sys.modules) - before}; "
        "print(sorted(new - sys.stdlib_module_names - {'sealpin_edge'}))"
    )
    with tempfile.NamedTemporaryFile(suffix=".pyz") as file:
        file.write(agent_archive())
        file.flush()
        done = subprocess.run([sys.executable, "-I", "-c", code, file.name], capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stderr


def test_a_folder_that_is_taken_is_left_alone(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/precious").touch()
    with pytest.raises(InputError, match="in the way"):
        unpack(bundle, tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["precious"]


def test_a_template_with_a_fault_is_refused(contents: Contents, tmp_path: Path) -> None:
    contents.station.write_text(TEMPLATE.replace("DB100", "DB"))
    with pytest.raises(InputError, match=r"\[plc\] block"):
        make_bundle(contents, tmp_path / "one.sealpin")
    assert not (tmp_path / "one.sealpin").exists()


def test_what_could_let_a_bad_part_pass_is_told_when_a_bundle_is_made(
    contents: Contents, toy_model: Path, toy_tflite: bytes, tmp_path: Path
) -> None:
    def told(**changes: Any) -> list[str]:
        said: list[str] = []
        make_bundle(replace(contents, **changes), tmp_path / "one.sealpin", None, True, said.append)
        return said

    assert ["no gate.json of it" in one for one in told()] == [True]
    gate = {"file": toy_model.name, "passed": True, "sha256": hashlib.sha256(toy_model.read_bytes()).hexdigest()}
    shutil.copy(toy_model, tmp_path)
    for gates, proven in (([gate | {"file": "other.tflite"}], False), ([gate], True)):
        (tmp_path / GATE).write_text(json.dumps(gates))
        assert (told(model=tmp_path / toy_model.name) == []) == proven
    contents = replace(contents, model=tmp_path / toy_model.name)
    assert "no golden photos" in told(golden=None)[0]
    for ap50, said in ((0.016, ["this network finds almost nothing: AP50 0.016 on val"]), (0.9, []), ("0", [])):
        (tmp_path / "other.tflite").write_bytes(add_metadata(toy_tflite, toy_card(metrics={"val/AP50": ap50})))
        assert told(model=tmp_path / "other.tflite")[1:] == said
    for auroc, said in ((0.5, ["this network hardly tells bad parts from good ones: AUROC 0.500 on val"]), (0.99, [])):
        classifier = own(converted(network()), tmp_path, metrics={"val/auroc": auroc})
        assert told(model=classifier, golden=None)[1:-1] == said
    (tmp_path / "foreign.tflite").write_bytes(converted(network(mapped=False)))
    contents.station.write_text(TEMPLATE + '[model]\ngood = ["ok"]\n')
    foreign = told(model=tmp_path / "foreign.tflite", labels=CLASSES, golden=None)
    assert "nothing in the model file says how it wants its pixels: it is given -1..1" in foreign
    contents.station.write_text(TEMPLATE + "[model]\nthreshold = 1\n")
    assert [one.partition(":")[0] for one in told()] == [
        "PR counts from 100%, QA counts from 100%, above the model's own score",
        "none of the 2 golden photos is NG",
    ]


def test_what_a_camera_was_taught_travels_in_the_bundle(contents: Contents, tmp_path: Path) -> None:
    limits = learn(part_photo(seed=seed) for seed in range(5))
    given = replace(contents, camera_limits=save_limits(limits, tmp_path / "other"))
    make_bundle(given, tmp_path / "b.sealpin")
    unpack(tmp_path / "b.sealpin", tmp_path / "out")
    assert load_limits(tmp_path / "nothing", tmp_path / "out") == limits
    (tmp_path / "broken.json").write_text("{")
    with pytest.raises(InputError, match="what the camera was taught cannot be read"):
        make_bundle(replace(contents, camera_limits=tmp_path / "broken.json"), tmp_path / "c.sealpin")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"versions": {"database": 99}}, "another sealpin-edge"),
        ({"minimum_runtime": {"python": "9.1"}}, "too old here"),
        ({"minimum_runtime": {"ai-edge-litert": "99"}}, "too old here"),
        ({"minimum_runtime": {"of nobody": "99"}}, ""),
    ],
)
def test_a_bundle_that_needs_another_program_is_refused_before_it_runs(
    contents: Contents, tmp_path: Path, change: dict[str, object], told: str
) -> None:
    make_bundle(contents, tmp_path / "b.sealpin")
    unpack(tmp_path / "b.sealpin", tmp_path / "out")
    manifest = json.loads((tmp_path / "out/manifest.json").read_text())
    (tmp_path / "out/manifest.json").write_text(json.dumps(manifest | change))
    config = load_config(tmp_path / "out/station.toml")
    if not told:
        assert preflight(config).golden
        return
    with pytest.raises(InputError, match=told):
        preflight(config)


@pytest.mark.parametrize("name", ["golden/golden.json", "golden/00.jpg", "camera_limits.json", "station.toml"])
def test_only_the_config_of_an_unpacked_bundle_is_for_the_station_to_change(
    contents: Contents, tmp_path: Path, name: str
) -> None:
    limits = save_limits(learn(part_photo(seed=seed) for seed in range(5)), tmp_path / "other")
    make_bundle(replace(contents, camera_limits=limits), tmp_path / "b.sealpin")
    unpack(tmp_path / "b.sealpin", tmp_path / "out")
    config = load_config(tmp_path / "out/station.toml")
    (tmp_path / "out" / name).write_bytes((tmp_path / "out" / name).read_bytes() + b"\n")
    if name == "station.toml":
        assert proven_model(config)
        return
    with pytest.raises(InputError, match=f"{name} in this bundle is not what the manifest says"):
        proven_model(config)
    (tmp_path / "out" / name).unlink()
    with pytest.raises(InputError, match=f"{name}: this file of the bundle cannot be read"):
        preflight(config)


def test_a_database_of_a_newer_release_is_refused_in_words_and_stays_as_it_is(
    contents: Contents, tmp_path: Path
) -> None:
    make_bundle(contents, tmp_path / "b.sealpin")
    unpack(tmp_path / "b.sealpin", tmp_path / "out")
    config = load_config(tmp_path / "out/station.toml")
    outbox = Outbox(config.station.data_dir)
    outbox.open()
    outbox.close()  # whoever collects it later would write the database once more
    with closing(sqlite3.connect(config.station.data_dir / "station.db")) as db:
        db.execute("PRAGMA user_version = 99")
    before = (config.station.data_dir / "station.db").read_bytes()
    for attempt in (lambda: preflight(config), lambda: Station(config)):
        with pytest.raises(InputError, match="of a newer sealpin"):
            attempt()
    assert (config.station.data_dir / "station.db").read_bytes() == before


def test_an_older_database_is_migrated_on_a_copy_first_where_there_is_room(
    contents: Contents, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_bundle(contents, tmp_path / "b.sealpin")
    unpack(tmp_path / "b.sealpin", tmp_path / "out")
    config = load_config(tmp_path / "out/station.toml")
    config.station.data_dir.mkdir()
    with closing(sqlite3.connect(config.station.data_dir / "station.db")) as db, db:
        db.executescript(_FIRST)
        db.execute("INSERT INTO inspection VALUES ('a', 1, '2026-05-04', '', 'OK', '{}')")
    assert preflight(config).inspections == 1
    with closing(sqlite3.connect(config.station.data_dir / "station.db")) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (0,), "only the copy was touched"
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1000))
    with pytest.raises(EnvironmentFault, match="no room to try"):
        preflight(config)
