"""station.toml: what is read, and that every fault is told with its key."""

import re
from pathlib import Path

import pytest

from sealpin_edge.config.file import load_config
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


def test_what_counts_is_the_models_own_where_the_config_does_not_say(tmp_path: Path) -> None:
    model = load_config(write(tmp_path, GOOD.replace('notice = ["QA"]', ""))).model
    assert (model.threshold, model.notice) == (None, None)
    by_name = load_config(write(tmp_path, GOOD.replace('["QA"]', "[]\nthreshold = { PR = 0.3, QA = 1 }"))).model
    assert (by_name.threshold, by_name.notice) == ({"PR": 0.3, "QA": 1.0}, ())
    one = load_config(write(tmp_path, GOOD.replace('["QA"]', '["QA"]\nthreshold = 1'))).model
    assert one.threshold == 1.0


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
        ('notice = ["QA"]', "threshold = 0", r"\[model\] threshold.*\n.*\n.*a score above 0, at most 1"),
        ('notice = ["QA"]', "threshold = { PR = 0.3, QA = 0.0 }", r"\[model\] threshold.*\n.*\n.*a score above 0"),
        ('notice = ["QA"]', 'threshold = { PR = "x" }', r"a number, or a table: { NAME = a number, ... }"),
        ('notice = ["QA"]', "threshold = {}", r"\[model\] threshold"),
        ('notice = ["QA"]', 'threshold = "0.3"', r"\[model\] threshold"),
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


def faults(folder: Path, text: str) -> str:
    """What a config is told; "" when it is good."""
    try:
        load_config(write(folder, text))
    except InputError as fault:
        return str(fault)
    return ""


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('host = "192.0.2.10"', 'host = "192.168.0.300"', r"\[plc\] host"),
        ('host = "192.0.2.10"', 'host = "10.0.1"', r"\[plc\] host"),
        ('host = "192.0.2.10"', 'host = ""', r"\[plc\] host"),
        ('host = "192.0.2.10"', 'host = " "', r"\[plc\] host"),
        ('host = "192.0.2.10"', 'host = "192.0.2.10 "', r"\[plc\] host"),
        ('host = "192.0.2.10"', 'host = "192.0.2.10:102"', r"\[plc\] host"),
        ('host = "192.0.2.10"', 'host = "tcp://192.0.2.10"', r"\[plc\] host"),
        ('host = "192.0.2.10"', 'host = "plc..line"', r"\[plc\] host"),
        ('block = "DB100"', 'block = "DB100.DBX0.0"', r"\[plc\] block"),
        ('block = "DB100"', 'block = "DB100.DBB3"', "the data block alone: DB100"),
        ('block = "DB100"', 'block = "DB100.STRING0"', "the data block alone: DB100"),
        ('block = "DB100"', 'block = "MB11"', "an even byte"),
        ('block = "DB100"', 'block = "MB65514"', "65512 at most"),
        ('block = "DB100"', 'block = "HR65525"\ndriver = "modbus"', "65524 at most"),
        ('block = "DB100"', 'block = "DB100"\nserial = "DB100.DBB20"', "outside of the block"),
        ('block = "DB100"', 'block = "DB100"\nserial = "DB100.STRING8"', "outside of the block"),
        ('block = "DB100"', 'block = "MB100"\nserial = "MB90"\nserial_length = 11', "outside of the block"),
        ('block = "DB100"', 'block = "HR100"\ndriver = "modbus"\nserial = "HR111"', "outside of the block"),
        ('block = "DB100"', 'block = "DB100"\nserial_ready = "DB100.DBX9.0"', r"\[plc\] serial_ready"),
        ('block = "DB100"', 'block = "DB100"\nserial_ready = "DB100.DBX7.7"', r"\[plc\] serial_ready"),
        ('mode = "full"', 'mode = "simple"', r"\[plc\] trigger"),
        ("[photos]", "[timers]\ncapture_ms = 3500\n[photos]", r"\[timers\] capture_ms"),
        ("[photos]", "[timers]\ndecision_deadline_ms = 2900\n[photos]", r"\[timers\] inference_ms"),
        ('path = "photos"', 'path = "photos"\nsource = -1', r"\[camera\] source"),
        ('path = "photos"', 'path = "photos"\nsource = "rtsp://["', r"\[camera\] source"),
        ('path = "photos"', 'path = "photos"\nchecks = "on"', r"\[camera\] checks"),
        ('sha256 = "', 'sha = "', "next: +sha256sum"),
        ("[station]\n", "[[station]]\n", r"\[station\]"),
    ],
)
def test_what_could_never_work_on_a_line_is_told_with_its_key(tmp_path: Path, old: str, new: str, told: str) -> None:
    assert old in GOOD
    assert re.search(told, faults(tmp_path, GOOD.replace(old, new, 1)))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('host = "192.0.2.10"', 'host = "plc-1.line_2"'),
        ('host = "192.0.2.10"', 'host = "plc.factory.example."'),
        ('host = "192.0.2.10"', 'host = "fe80::1"'),
        ('block = "DB100"', 'block = "DB100.DBB0"'),
        ('block = "DB100"', 'block = "MB65512"'),
        ('block = "DB100"', 'block = "HR65524"\ndriver = "modbus"'),
        ('block = "DB100"', 'block = "DB100"\nserial = "DB100.DBB24"\nserial_ready = "DB100.DBX40.0"'),
        ('block = "DB100"', 'block = "DB100"\nserial = "DB101.DBB0"\nrecipe = 3'),
        ('block = "DB100"', 'block = "MB100"\nserial = "MB90"\nserial_length = 10'),
        ('driver = "folder"', 'driver = "opencv"\nsource = 0'),
        ("[photos]", "[timers]\ncapture_ms = 3499\ninference_ms = 4000\n[photos]"),
    ],
)
def test_what_can_work_is_taken(tmp_path: Path, old: str, new: str) -> None:
    assert faults(tmp_path, GOOD.replace(old, new, 1)) == ""


SIMPLE = GOOD.replace('mode = "full"', 'mode = "simple"').replace('block = "DB100"', 'trigger = "I0.0"\nok = "M77.0"')


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('trigger = "I0.0"', 'trigger = "M77.0"', r"\[plc\] trigger"),
        ('trigger = "I0.0"', 'trigger = "I0.0"\nserial = "DB1"\nserial_ready = "M77.0"', r"\[plc\] serial_ready"),
        ('trigger = "I0.0"', 'trigger = "I0.0"\nserial = "MB70"', r"\[plc\] serial"),
        ('trigger = "I0.0"', 'trigger = "I0.0"\nrecipe = 1', "no recipe in simple mode"),
        ('ok = "M77.0"', 'ok = "I0.1"', "the station may write"),
    ],
)
def test_nothing_that_the_plc_writes_lies_on_the_ok_bit(tmp_path: Path, old: str, new: str, told: str) -> None:
    assert faults(tmp_path, SIMPLE) == ""
    assert re.search(told, faults(tmp_path, SIMPLE.replace(old, new, 1)))


def test_a_camera_of_a_number_may_be_written_as_one(tmp_path: Path) -> None:
    config = load_config(write(tmp_path, GOOD.replace('driver = "folder"', 'driver = "opencv"\nsource = 0')))
    assert config.camera.source == "0"


def test_a_wrong_value_hides_no_other_fault_of_its_section_or_of_another(tmp_path: Path) -> None:
    text = GOOD.replace('mode = "full"', 'mode = "simple"').replace('host = "192.0.2.10"', 'host = "192.168.0.300"')
    text = text.replace('block = "DB100"', 'port = "102"\ntrigger = "M1.0"\nok = "M1.0"\nrecipe = 2\nserial = "D5"')
    text = text.replace('path = "photos"', "path = 3\nwidth = 640\nrotate = 45").replace("abab", "xyzz")
    told = faults(tmp_path, text + "[timers]\npoll_ms = 0\nplc_dead_ms = 400\ncapture_ms = 3600\n")
    for place in (
        "[plc] host", "[plc] port", "[plc] trigger", "[plc] recipe", "[plc] serial", "[camera] path", "[camera] width",
        "[camera] rotate", "[model] sha256", "[timers] poll_ms", "[timers] plc_dead_ms", "[timers] capture_ms",
    ):  # fmt: skip
        assert place in told
    assert told.startswith("12 problems")


def test_what_depends_on_a_wrong_value_is_not_judged(tmp_path: Path) -> None:
    told = faults(tmp_path, GOOD.replace('block = "DB100"', 'block = "D654"\ndriver = "mcc"\nseries = "qnudv"'))
    assert "[plc] driver" in told and "problems" not in told
    told = faults(tmp_path, GOOD + '[timers]\nplc_operation_ms = "1"\nplc_dead_ms = 400\n')
    assert "[timers] plc_operation_ms" in told and "problems" not in told


def test_both_files_that_are_no_toml_are_told(tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text("[plc\n")
    with pytest.raises(InputError, match=r"(?s)station.toml: this is not TOML.*own.toml: this is not TOML"):
        load_config(write(tmp_path, "[plc\n"), own=own)


SECRET = "hunter2"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("[photos]", '[results]\npassword = "hunter2"\nurl = "http://x"\n[photos]'),
        ("[photos]", '[login]\npassword = "hunter2"\n[photos]'),
        ("[station]", 'password = "hunter2"\n[station]'),
        ("[photos]", '[photos.login]\npassword = "hunter2"\n[photos]'),
        ('password_file = "ftp.secret"', 'password_file = ["hunter2"]'),
        ('password_file = "ftp.secret"', 'password_file = { hunter2 = "hunter2" }'),
        ('host = "192.0.2.10"', 'host = ["hunter2"]'),
        ('host = "192.0.2.10"', 'host = "me:hunter2@192.0.2.10"'),
        ('password_file = "ftp.secret"', "password_file = hunter2"),
        ('password_file = "ftp.secret"', 'password_file = "hunter2'),
        ('password_file = "ftp.secret"', "hunter2"),
        ('password_file = "ftp.secret"', "[photos.hunter2]\n[photos.hunter2]"),
        ("ftp://station@", "ftp://station:hunter2@"),
        ("ftp://station@", "ftp://station:hunter2/3@"),
        ("ftp://station@", "ftp://station:hunter2#3@"),
        ("ftp://station@", "ftp://station:21?hunter2@"),
        ("ftp://station@", "ftp://station:21/hunter2@"),
        ("ftp://station@", "ftp://station:hunter2\u2100@"),
        ("ftp://station@", "station:hunter2@"),
        ('path = "photos"', 'source = "rtsp://me:hunter2@cam/1"\nlatency_ms = 5'),
        ('path = "photos"', 'source = "rtsp://me:hunter2/9@cam/1"\nlatency_ms = 5'),
        ("[photos]", '[display]\naddress = "me:hunter2@127.0.0.1"\n[photos]'),
    ],
)
def test_a_secret_in_the_wrong_place_is_not_repeated(tmp_path: Path, old: str, new: str) -> None:
    assert old in GOOD
    told = faults(tmp_path, GOOD.replace(old, new, 1))
    assert "station.toml" in told
    assert SECRET not in told.replace("[photos] hunter2", "")  # a key's name is told


def test_the_nearest_key_is_suggested(tmp_path: Path) -> None:
    told = faults(tmp_path, GOOD.replace("password_file", "pasword_file").replace("[model]", "[modell]"))
    assert "was password_file meant?" in told and "was model meant?" in told
