"""station.toml: what is read, and that every fault is told with its key."""

from pathlib import Path

import pytest

from sealpin_edge.config_file import load_config
from sealpin_edge.errors import InputError

GOOD = """
[station]
name = "welding 1"
mode = "full"
[plc]
host = "192.0.2.10"
block = "DB100"
[camera]
driver = "folder"
path = "photos"
[model]
file = "model.tflite"
sha256 = "{sha256}"
notice = ["QA"]
[photos]
url = "ftp://station@192.0.2.20/line1"
password_file = "ftp.secret"
""".format(sha256="ab" * 32)


def write(folder: Path, text: str) -> Path:
    path = folder / "station.toml"
    path.write_text(text)
    return path


def test_a_good_config_has_defaults_and_paths_relative_to_its_file(tmp_path: Path) -> None:
    config = load_config(write(tmp_path, GOOD))
    assert (config.plc.port, config.plc.slot, config.timers.poll_ms) == (0, 1, 3)
    assert config.camera.path == tmp_path / "photos"
    assert config.station.data_dir == tmp_path / "data"
    assert config.photos is not None
    assert config.photos.password_file == tmp_path / "ftp.secret"
    assert config.model.notice == ("QA",)
    assert str(config.plc.address("block")) == "DB100"


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('mode = "full"', 'mode = "ful"', r"\[station\] mode"),
        ('mode = "full"', 'mode = "simple"', r"\[plc\] block"),
        ('block = "DB100"', 'block = "DB100"\nok = "M1.0"', r"\[plc\] ok"),
        ('block = "DB100"', 'block = "M76.6"', r"\[plc\] block"),
        ('block = "DB100"', 'block = "IB0"', r"\[plc\] block"),
        ('block = "DB100"', 'block = "IR100"\ndriver = "modbus"', r"\[plc\] block"),
        ('block = "DB100"', 'block = "DB100"\nport = "102"', r"\[plc\] port"),
        ('block = "DB100"', 'block = "DB100"\nport = 70000', r"\[plc\] port"),
        ('host = "192.0.2.10"', "", r"\[plc\] host"),
        ('driver = "folder"', 'driver = "webcam"', r"\[camera\] driver"),
        ('notice = ["QA"]', 'notice = "QA"', r"\[model\] notice"),
        ('notice = ["QA"]', "threshold = 1.5", r"\[model\] threshold"),
        ('block = "DB100"', 'block = "DB100"\nseries = "iq-r"', r"\[plc\] series"),
        ('block = "DB100"', 'block = "D100"\ndriver = "mc"', r"\[plc\] series"),
        ('block = "DB100"', 'block = "DB100"\ndriver = "modbus"', r"\[plc\] block"),
        ('block = "DB100"', 'block = "DB100"\nok_pulse_ms = 20000', "1 to 10000 milliseconds"),
        ('path = "photos"', 'path = "photos"\ncrop = [0, 0, 640]', r"\[camera\] crop"),
        ('path = "photos"', 'path = "photos"\nwhite_balance = ["a"]', r"\[camera\] white_balance"),
        ('path = "photos"', 'path = "photos"\nrotate = 45', r"\[camera\] rotate"),
        ('path = "photos"', 'path = "photos"\nwidth = 640', r"\[camera\] width"),
        ('driver = "folder"', 'driver = "opencv"', r"\[camera\] source"),
        ('driver = "folder"', 'driver = "opencv"\nsource = "rtsp://x/y"', r"\[camera\] latency_ms"),
        ("[photos]", "[timers]\nplc_dead_ms = 400\n[photos]", r"\[timers\] plc_dead_ms"),
        ("[photos]", "[timers]\nplc_operation_ms = 3001\nplc_dead_ms = 5000\n[photos]", "1 to 3000 milliseconds"),
        ("abab", "xyzz", r"\[model\] sha256"),
        ("ftp://station@", "ftp://station:secret@", r"\[photos\] url"),
        ("ftp://station@", "gopher://station@", r"\[photos\] url"),
        ("192.0.2.20/", "192.0.2.20:port/", r"\[photos\] url"),
        ("ftp://station@", "ftp://[", r"\[photos\] url"),
        ("[photos]", "[fotos]", r"\[fotos\]"),
        ("[photos]", "[timers]\npoll = 10\n[photos]", r"\[timers\] poll"),
        ("[photos]", "[timers]\npoll_ms = 0\n[photos]", r"\[timers\] poll_ms"),
        ("[photos]", '[display]\naddress = "8080"\n[photos]', r"\[display\] address"),
        ("[photos]", "[photos", "not TOML"),
    ],
)
def test_every_fault_is_told_with_its_key(tmp_path: Path, old: str, new: str, told: str) -> None:
    assert old in GOOD
    with pytest.raises(InputError, match=told):
        load_config(write(tmp_path, GOOD.replace(old, new, 1)))


def test_all_faults_are_told_at_once(tmp_path: Path) -> None:
    text = GOOD.replace('host = "192.0.2.10"', "hots = 1").replace('path = "photos"', "path = 3")
    text = text.replace("[photos]", "[timers]\npoll_ms = 0\n[photos]").replace("ftp://", "gopher://")
    with pytest.raises(InputError) as caught:
        load_config(write(tmp_path, text))
    for place in (
        ":6: [plc] hots",
        ":5: [plc] host",
        ":10: [camera] path",
        ":16: [timers] poll_ms",
        ":18: [photos] url",
    ):
        assert place in str(caught.value)


def test_a_template_may_leave_out_what_a_bundle_fills_in(tmp_path: Path) -> None:
    text = GOOD.partition("[model]")[0] + "[photos]" + GOOD.partition("[photos]")[2]
    with pytest.raises(InputError, match=r"\[model\]"):
        load_config(write(tmp_path, text))
    load_config(write(tmp_path, text), template=True)


def test_a_password_in_an_address_is_refused_and_not_repeated(tmp_path: Path) -> None:
    for scheme in ("ftp", "sftp"):
        with pytest.raises(InputError) as caught:
            load_config(write(tmp_path, GOOD.replace("ftp://station@", f"{scheme}://station:hunter2@")))
        assert "hunter2" not in str(caught.value)


def test_a_stations_own_keys_replace_the_releases_and_paths_are_its_own(tmp_path: Path) -> None:
    release, home = tmp_path / "release", tmp_path / "home"
    release.mkdir()
    home.mkdir()
    write(release, GOOD)
    (home / "station.toml").write_text(
        '[station]\nname = "welding 7"\n[plc]\nhost = "192.0.2.77"\n'
        '[model]\nthreshold = 0.4\n[display]\naddress = "off"\n'
    )
    config = load_config(release / "station.toml", own=home / "station.toml")
    assert (config.station.name, config.station.mode, config.plc.host) == ("welding 7", "full", "192.0.2.77")
    assert (config.model.threshold, config.model.notice, config.display.address) == (0.4, ("QA",), "off")
    assert config.model.file == release / "model.tflite"
    assert (config.station.data_dir, config.camera.path) == (home / "data", home / "photos")
    assert config.photos and config.photos.password_file == home / "ftp.secret"
    assert load_config(release / "station.toml", own=home / "none.toml").station.name == "welding 1"


def test_a_stations_own_config_brings_no_other_model_and_its_faults_are_told_with_their_file(
    tmp_path: Path,
) -> None:
    write(tmp_path, GOOD)
    own = tmp_path / "own.toml"
    own.write_text(f'[model]\nfile = "other.tflite"\nsha256 = "{"cd" * 32}"\n[timers]\npoll = 3\n')
    with pytest.raises(InputError) as caught:
        load_config(tmp_path / "station.toml", own=own)
    for place in ("own.toml:2: [model] file", "own.toml:3: [model] sha256", "own.toml:5: [timers] poll"):
        assert place in str(caught.value)
    own.write_text("[plc\n")
    with pytest.raises(InputError, match=r"own.toml: this is not TOML"):
        load_config(tmp_path / "station.toml", own=own)
