"""Text that a person wrote on any system: a byte-order mark is no part of it, another encoding is told as one."""

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealpin_edge.config.file import load_config
from sealpin_edge.errors import InputError
from sealpin_edge.files import read_text
from sealpin_edge.model.label_file import parse_labels, read_labels
from sealpin_edge.release.golden import GOLDEN_FILE, golden_photos
from sealpin_edge.release.signature import allowed_signers, new_key, public_key, sign, verify
from sealpin_edge.secret import read_secret
from sealpin_export.deploy.inventory import Device, add_device, load_inventory
from sealpin_simulation.servers import free_port

from .peers import program
from .test_config import GOOD

MARK = b"\xef\xbb\xbf"
EDGE = "from sealpin_edge.cli.main import main; main()"


def write(path: Path, text: str, encoding: str = "utf-8-sig") -> Path:
    path.write_bytes(text.encode(encoding))
    return path


def test_a_byte_order_mark_is_no_part_of_any_file_that_a_person_writes(tmp_path: Path) -> None:
    config = load_config(write(tmp_path / "station.toml", GOOD), own=write(tmp_path / "own.toml", "[plc]\nslot = 2\n"))
    assert (config.station.name, config.plc.slot) == ("welding 1", 2)
    assert read_secret(write(tmp_path / "secret", "hunter2\n"), "key") == "hunter2"
    assert read_labels(write(tmp_path / "labels.txt", "PR\nQA\n")) == ("PR", "QA")
    write(tmp_path / GOLDEN_FILE, json.dumps({"photos": []}))
    assert golden_photos(tmp_path) == []
    assert public_key(write(tmp_path / "key.pub", "ssh-ed25519 AAAA me").with_suffix("")) == "ssh-ed25519 AAAA"
    inventory = write(tmp_path / "stations.toml", '[line1]\naddress = "pi@192.0.2.17"\nport = 22\n')
    add_device(Device("line2", "pi@192.0.2.18"), inventory)
    assert list(load_inventory(inventory)) == ["line1", "line2"]


@pytest.mark.parametrize(
    ("text", "classes"),
    [
        ("PR\nQA\n", ("PR", "QA")),
        ("0  person\n1  bicycle\n3  car\n", ("person", "bicycle", "???", "car")),
        ("0:person\n1: bicycle\n", ("person", "bicycle")),
        ("1 PR\n2 QA\n", ("???", "PR", "QA")),  # the first place is the background's, as of a model with one more label
        ("1 euro\n2 euro\n", ("1 euro", "2 euro")),
        ("10 cent\n20 cents\n", ("10 cent", "20 cents")),
        ("0 person\nbicycle\n", ("0 person", "bicycle")),
        ("item {\n  id: 1\n  name: 'PR'\n}\nitem {\n  id: 2\n  name: \"Q A\"\n}\n", ("PR", "Q A")),
        ('item { name: "/m/1" id: 1 display_name: "person" }  item: { id: 3, name: "car" }', ("person", "???", "car")),
        ("item { id: 1 name: 'it\\'s' }", ("it's",)),
        ("", ()),
    ],
)  # fmt: skip
def test_labels_are_lines_numbered_lines_or_a_label_map(text: str, classes: tuple[str, ...], tmp_path: Path) -> None:
    assert read_labels(write(tmp_path / "labels", text)) == classes


@pytest.mark.parametrize(
    "item", ["id: 0 name: 'a'", "name: 'a'", "id: 1", "id: 1 name: 'a' } item { id: 1 name: 'b'", ""]
)
def test_a_label_map_with_a_fault_is_refused(item: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="this label map cannot be read"):
        read_labels(write(tmp_path / "label_map.pbtxt", f"item {{ {item} }}\n"))


@given(st.text(max_size=200))
def test_any_text_gives_labels_or_is_refused(text: str) -> None:
    with contextlib.suppress(InputError):
        assert all(isinstance(label, str) for label in parse_labels(text, "labels"))


def test_a_byte_order_mark_before_the_trusted_keys_makes_none_of_them_untrusted(tmp_path: Path) -> None:
    program("ssh-keygen")
    public = new_key(tmp_path / "key", "me")
    signers = write(tmp_path / "signers", allowed_signers([public]))
    verify(b"data", sign(b"data", tmp_path / "key"), signers, "it")
    with pytest.raises(InputError, match="not one that this station trusts"):
        verify(b"other", sign(b"data", tmp_path / "key"), signers, "it")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_utf_16_is_told_as_what_windows_writes(encoding: str, tmp_path: Path) -> None:
    path = write(tmp_path / "own.toml", "[plc]\nslot = 2\n", encoding)
    with pytest.raises(InputError, match=r"own.toml: this text is not in UTF-8\s+found: +UTF-16") as caught:
        read_text(path)
    assert "PowerShell" in str(caught.value)
    with pytest.raises(InputError, match="UTF-16"):
        load_config(write(tmp_path / "station.toml", GOOD), own=path)
    with pytest.raises(InputError, match="UTF-16"):
        read_secret(write(tmp_path / "secret", "hunter2\n", encoding), "key")


def test_another_encoding_is_told_with_its_line_and_without_its_text(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_bytes("one\ntwo\nhunter2 \xfc\n".encode("latin-1"))
    with pytest.raises(InputError, match=r"secret:3: this text is not in UTF-8") as caught:
        read_text(path)
    assert "hunter2" not in str(caught.value) and "0xfc" not in str(caught.value)


@pytest.mark.parametrize("command", ["--help", "doctor"])
def test_a_reader_that_goes_away_is_no_error_to_tell(command: str, tmp_path: Path) -> None:
    text = GOOD.partition("[photos]")[0].replace("192.0.2.10", "127.0.0.1")
    write(tmp_path / "station.toml", text.replace('block = "DB100"', f'block = "DB100"\nport = {free_port()}'))
    reader, writer = os.pipe()
    os.close(reader)
    arguments = [command] if command == "--help" else [command, "--config", "station.toml"]
    program = [sys.executable, "-c", EDGE, *arguments]
    done = subprocess.run(program, stdout=writer, stderr=subprocess.PIPE, text=True, timeout=60, cwd=tmp_path)
    os.close(writer)
    assert (done.returncode, done.stderr) == (1, "")


@pytest.mark.parametrize(
    ("module", "extra", "command"),
    [
        ("pymodbus", "modbus", "plc-sim --driver modbus --block HR100 --port {port}"),
        ("pymodbus", "modbus", "simulate --driver modbus --model model --photos photos"),
    ],
)
def test_a_simulation_that_lacks_a_package_says_what_to_install(
    module: str, extra: str, command: str, toy_model: Path, tmp_path: Path
) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "model").write_bytes(toy_model.read_bytes())
    program = [sys.executable, "-c", f"import sys; sys.modules['{module}'] = None; {EDGE}"]
    arguments = command.format(port=free_port()).split()
    done = subprocess.run([*program, *arguments], capture_output=True, text=True, timeout=60, cwd=tmp_path)
    assert done.returncode == 3
    assert "pip install" in done.stderr and f"sealpin-edge[{extra}]" in done.stderr
    assert "Traceback" not in done.stderr
