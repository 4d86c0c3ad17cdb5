"""Debian roots for stand-in machines that are not to be like this one, made once, from the mirror that apt knows."""

import os
import subprocess
from pathlib import Path

from sealpin_edge.device.environment import platform
from tests.deploy.workshop import ROOT

BINFMT = Path("/proc/sys/fs/binfmt_misc")


def debian_root(name: str, architecture: str, packages: str) -> Path:
    """A Debian 12 with these packages, in .venv/NAME."""
    assert os.geteuid() == 0, "chroots want root"
    image = ROOT / ".venv" / name
    if architecture == "arm64" and not platform().endswith("aarch64"):
        _emulate()
    if not (image / "complete").exists():
        _run("rm", "-rf", str(image))
        options = ["--foreign", f"--arch={architecture}", "--variant=minbase", f"--include={packages}"]
        _run("debootstrap", *options, "bookworm", str(image))
        _run("chroot", str(image), "/debootstrap/debootstrap", "--second-stage")
        (image / "complete").touch()
    return image


def _emulate() -> None:
    if not (BINFMT / "register").exists():
        _run("mount", "-t", "binfmt_misc", "binfmt_misc", str(BINFMT))
    if not (BINFMT / "qemu-aarch64").exists():
        _run("update-binfmts", "--enable", "qemu-aarch64")


def _run(*command: str) -> None:
    """A program of the system's, its output to be seen."""
    subprocess.run(command, check=True)
