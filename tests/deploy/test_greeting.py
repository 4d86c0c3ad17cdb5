"""A station whose login shell prints something before our agent answers."""

import os
import stat
from pathlib import Path

import pytest

from sealpin_edge.errors import InputError
from sealpin_export.deploy.connection import ConnectionLost, connect
from sealpin_export.deploy.inventory import Device

# In the place of ssh: the login shell's own words, then the command that ssh was given, or what stands for it
SSH = "#!/bin/sh\n{greeting}\nfor last; do :; done\n{then}\n"
DEVICE = Device("line1", "root@192.0.2.17")
NO_RELEASE = "there is nothing to go back to"


@pytest.fixture
def ssh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "bin/ssh"
    path.parent.mkdir()
    path.touch()
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{path.parent}:{os.environ['PATH']}")
    return path


def choose() -> None:
    """Ask the agent on this machine for a release that it cannot have; it changes nothing."""
    with connect(DEVICE) as talk:
        talk.ask("choose", version="no-such-version")


@pytest.mark.parametrize(
    "greeting",
    [
        "echo Welcome to line 1; echo",
        "printf 'no end of line: '",
        "echo 42; echo null; echo '[1]'; echo '{\"motd\": 1}'",
        "printf '\\377\\376 binary\\n'",
    ],
)
def test_a_greeting_of_the_login_shell_is_skipped(ssh: Path, greeting: str) -> None:
    ssh.write_text(SSH.format(greeting=greeting, then='exec sh -c "$last"'))
    with pytest.raises(InputError, match=NO_RELEASE):
        choose()


def test_a_login_shell_that_greets_and_lets_nobody_in_is_told_with_its_words(ssh: Path) -> None:
    ssh.write_text(SSH.format(greeting="echo This account is not available.", then="exit 1"))
    with pytest.raises(ConnectionLost, match="cannot be reached") as caught:
        choose()
    assert "the login shell of root@192.0.2.17 prints: This account is not available." in caught.value.found
    assert "non-interactive" in caught.value.advice


def test_a_login_shell_that_never_ends_to_print_is_given_up(ssh: Path) -> None:
    ssh.write_text(SSH.format(greeting="yes line | head -20000", then="cat > /dev/null"))
    with pytest.raises(ConnectionLost, match="prints: line line"):
        choose()


def test_what_the_station_says_is_next_names_it_as_we_do(ssh: Path) -> None:
    error = '{"error": {"kind": "InputError", "problem": "it says", "hint": "sealpin station prepare NAME"}}'
    ssh.write_text(SSH.format(greeting="", then=f"head -c 9 > /dev/null; echo '{error}'; cat > /dev/null"))
    with pytest.raises(InputError, match=r"next: +sealpin station prepare line1$"):
        choose()


def test_a_key_that_the_station_does_not_know_leads_to_its_preparation(ssh: Path) -> None:
    ssh.write_text(SSH.format(greeting="echo 'Permission denied (publickey).' >&2", then="exit 255"))
    with pytest.raises(ConnectionLost, match=r"next: +sealpin station prepare line1$"):
        choose()
