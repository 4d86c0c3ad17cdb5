"""What may skip: nothing that can be installed, where everything is said to be installed."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from .skips import ALLOWED, PACKAGES, not_installed

ROOT = Path(__file__).parents[1]
SKIPPING = f"""
import pytest

@pytest.fixture
def server():
    pytest.skip({not_installed("proftpd")!r})

def test_of_a_server(server): pass
def test_of_the_same_server(server): pass
def test_in_its_midst(): pytest.skip("other runtimes are not installed: make peers")
@pytest.mark.skipif(True, reason="it takes root")
def test_marked(): pass
def test_allowed(): pytest.skip({next(iter(ALLOWED))!r} + " today")
@pytest.mark.xfail
def test_known_to_fail(): assert False
def test_good(): pass
"""


def outcome(folder: Path, peers: str, *options: str) -> "subprocess.CompletedProcess[str]":
    """A run of pytest over tests that skip in every way."""
    (folder / "test_one.py").write_text(SKIPPING)
    (folder / "test_whole.py").write_text("import pytest\npytest.importorskip('no_such_package')\n")
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{os.environ.get('PYTHONPATH', '')}", "SEALPIN_PEERS": peers}
    command = [sys.executable, "-m", "pytest", "-p", "tests.skips", "-p", "no:cacheprovider", "-q", *options, folder]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


@pytest.mark.parametrize("options", [(), ("--numprocesses", "1")])
def test_where_everything_is_installed_only_what_is_allowed_skips(tmp_path: Path, options: tuple[str, ...]) -> None:
    done = outcome(tmp_path, "all", *options, "--continue-on-collection-errors")
    assert done.returncode == 1, done.stdout
    assert "1 failed, 1 passed, 1 skipped, 1 xfailed, 4 errors" in done.stdout
    assert "proftpd-core is not installed" in done.stdout
    assert "no_such_package" in done.stdout


def test_elsewhere_it_passes_and_says_what_would_install_what_was_wanted(tmp_path: Path) -> None:
    done = outcome(tmp_path, "")
    assert done.returncode == 0, done.stdout
    summary = done.stdout.partition("4 tests skipped for want of")[2].splitlines()[1:6]
    assert summary[0] == "   2  proftpd-core"
    assert sorted(summary[1:3]) == ["   1  other runtimes", "   1  root"]
    assert summary[3:] == ["next: sudo make packages", "next: make peers"]


def test_what_is_wanted_is_installed_by_make_packages() -> None:
    recipe = (ROOT / "Makefile").read_text().partition("\npackages:")[2].partition("\n\n")[0]
    assert set(PACKAGES.values()) <= set(re.findall(r"[\w.-]+", recipe))


def test_every_allowed_skip_is_one_of_a_test() -> None:
    text = "".join(file.read_text() for file in (ROOT / "tests").rglob("test_*.py"))
    assert [reason for reason in ALLOWED if reason not in text] == []
