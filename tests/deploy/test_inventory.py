"""stations.toml, and which stations a command means."""

from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from sealpin.cli import main
from sealpin_edge.errors import InputError
from sealpin_export.deploy.deploy import DEPLOYED, REFUSED, ROLLED_BACK, Outcome
from sealpin_export.deploy.fleet import in_waves
from sealpin_export.deploy.inventory import Device, add_device, choose, load_inventory

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIOdr6yr2uBT3I4d"
FLEET = {
    name: Device(name, f"pi@192.0.2.{number}", groups=groups)
    for number, (name, groups) in enumerate(
        {"one": ("canary",), "two": ("hall",), "three": ("hall", "canary"), "four": ()}.items()
    )
}


def test_what_is_added_is_read_again_and_comments_stay(tmp_path: Path) -> None:
    path = tmp_path / "stations.toml"
    path.write_text("# our hall\n")
    for device in FLEET.values():
        add_device(Device(**{**vars(device), "host_keys": (KEY,), "key": "~/.ssh/line"}), path)
    found = load_inventory(path)
    assert list(found) == list(FLEET)
    assert found["three"] == Device("three", "pi@192.0.2.2", 22, (KEY,), ("hall", "canary"), "~/.ssh/line")
    assert path.read_text().startswith("# our hall\n")
    with pytest.raises(InputError, match="a station of this name"):
        add_device(FLEET["one"], path)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[a", "not TOML"),
        ("a = 1", "no station"),
        ('["../a"]\naddress = "pi@host"', "cannot name a station"),
        ('["-oProxyCommand=x"]\naddress = "pi@host"', "cannot name a station"),
        ('[a]\naddress = "pi@host"\nprot = 22', "unknown key"),
        ('[a]\naddress = "pi@host"\nport = "22"', "wrong kind"),
        ('[a]\naddress = "host"', "no address"),
        ('[a]\naddress = "-oProxyCommand=x@host"', "no address"),
        ('[a]\naddress = "pi@-oProxyCommand=x"', "no address"),
        ('[a]\naddress = "pi@host; rm -rf /"', "no address"),
        ('[a]\naddress = "pi@host"\nhost_keys = ["a\\nb"]', "list of texts"),
        ('[a]\naddress = "pi@host"\ngroups = [1]', "list of texts"),
    ],
)
def test_a_wrong_inventory_is_told_and_reaches_no_ssh(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "stations.toml").write_text(text)
    with pytest.raises(InputError, match=told):
        load_inventory(tmp_path / "stations.toml")


def test_groups_follow_each_other_and_no_station_comes_twice() -> None:
    waves = choose(FLEET, ["four"], ["canary", "hall"])
    assert [[device.name for device in wave] for wave in waves] == [["four"], ["one", "three"], ["two"]]
    for names, groups, told in (
        ([], [], "no station is named"),
        (["five"], [], "no such station"),
        ([], ["x"], "no such group"),
    ):
        with pytest.raises(InputError, match=told):
            choose(FLEET, names, groups)


@given(
    st.lists(st.lists(st.sampled_from([DEPLOYED, ROLLED_BACK, REFUSED]), min_size=1, max_size=4), max_size=5),
    st.integers(0, 5),
)
def test_waves_stop_after_too_many_failures_and_every_station_is_told_of(
    results: list[list[str]], max_fail: int
) -> None:
    waves = [[Device(f"{n}.{m}", "pi@h") for m in range(len(wave))] for n, wave in enumerate(results)]
    begun = []

    def change(device: Device) -> Outcome:
        begun.append(device.name)
        n, m = map(int, device.name.split("."))
        return Outcome(device.name, "old", "new", results[n][m])

    outcomes = in_waves(waves, change, max_fail)
    assert [one.station for one in outcomes] == [device.name for wave in waves for device in wave]
    failed, expected = 0, []
    for number, wave in enumerate(results):
        if failed > max_fail:
            break
        expected += [f"{number}.{place}" for place in range(len(wave))]
        failed += sum(result != DEPLOYED for result in wave)
    assert sorted(begun) == sorted(expected)


def test_commands_tell_what_is_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for arguments, told in (
        (["deploy", "none.sealpin", "one"], "no such bundle"),
        (["rollback", "one"], "no such station"),
        (["station", "prepare", "one"], "no such station"),
        (["station", "add", "one", "nobody"], "no address"),
        (["bundle", "show", "none.sealpin"], "no such bundle"),
    ):
        result = CliRunner().invoke(main, arguments)
        assert result.exit_code in (2, 3), result.output
        assert any(text in result.output for text in told.split("|")), result.output
        assert "Traceback" not in result.output
    assert CliRunner().invoke(main, ["station", "list"]).output.startswith("no stations yet")
    assert list(tmp_path.iterdir()) == []
