"""What a test wants that is not here: it skips, the summary says what installs it, and CI lets no other skip pass."""

import os
import re
from collections import Counter
from collections.abc import Generator

import pytest

# Programs that tests talk to, and the Debian package of each
PACKAGES = {
    "Xvfb": "xvfb", "chromium": "chromium", "initdb": "postgresql", "openssl": "openssl", "pdbedit": "samba",
    "postgres": "postgresql", "proftpd": "proftpd-core", "smbd": "samba", "ssh-keygen": "openssh-client",
    "sshd": "openssh-server", "systemd-analyze": "systemd", "vsftpd": "vsftpd", "xdotool": "xdotool",
}  # fmt: skip
# Skips that remain where everything is installed, by how their reason begins, and why each may
ALLOWED = {
    "the API's reference checkpoint is not at hand": "the files are no part of the repository: see CONTRIBUTING.md",
    "the recovered ImageNet weights are not at hand": "the files are no part of the repository: see CONTRIBUTING.md",
    "no link to /dev/full is followed here": "some servers stay in their folder; the others are tried with it",
}
_WANTED = re.compile(r"(?P<what>[^:]+) (?:is|are) not installed(?:: (?P<command>make \w+))?")


def not_installed(program: str) -> str:
    """The reason of a test that skips for want of a program."""
    return f"{PACKAGES[program]} is not installed: make packages"


def _reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    told = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return told.removeprefix("Skipped: ")


def _forbid(report: pytest.TestReport | pytest.CollectReport) -> None:
    """Make a skip that is not allowed a failure, where everything is said to be installed."""
    if os.environ.get("SEALPIN_PEERS") != "all" or not report.skipped or hasattr(report, "wasxfail"):
        return
    reason = _reason(report)
    if not reason.startswith(tuple(ALLOWED)):
        report.outcome = "failed"
        report.longrepr = f"skipped, and by SEALPIN_PEERS=all only what ALLOWED in tests/skips.py names may: {reason}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A test that skips."""
    report = yield
    _forbid(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """A file that skips as a whole."""
    report = yield
    _forbid(report)
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """How many tests skipped for want of what, and the commands that install it."""
    wanted, commands = Counter[str](), set[str]()
    for report in terminalreporter.getreports("skipped"):
        reason = _reason(report)
        if match := _WANTED.match(reason):
            wanted[match["what"]] += 1
            commands.add(match["command"] or "make packages")
        elif reason.endswith("root"):
            wanted["root"] += 1
    if not wanted:
        return
    terminalreporter.section(f"{wanted.total()} tests skipped for want of")
    for what, count in wanted.most_common():
        terminalreporter.write_line(f"{count:4}  {what}")
    for command in sorted(commands):
        terminalreporter.write_line(f"next: {'sudo ' * (command == 'make packages')}{command}")
