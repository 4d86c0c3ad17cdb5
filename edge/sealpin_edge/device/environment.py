"""A release's Python environment, installed offline from the wheels in its bundle."""

import hashlib
import json
import platform as machine
import sys
from pathlib import Path

from ..command import run_program
from ..errors import InputError, quote
from ..release.bundle import WHEELS, Manifest
from .layout import COMPLETE, CURRENT, ENVIRONMENTS, complete, discard


def platform() -> str:
    """This machine as a bundle's `platforms` name it, for example cp311-aarch64."""
    return f"cp{sys.version_info.major}{sys.version_info.minor}-{machine.machine()}"


def check_platform(manifest: Manifest) -> None:
    """Raise InputError when the bundle's packages are not for this machine and Python, or none are here or in it."""
    if not manifest.wheels:
        if not (CURRENT / "venv").exists():
            raise InputError(
                "this bundle has no packages, and this station has none yet",
                advice="make the bundle without --no-wheels",
            )
        return
    has = manifest.content.get("platforms", [])
    if platform() not in has:
        raise InputError(
            "this bundle has no packages for this station",
            where="platforms",
            found=", ".join(has) or "none",
            allowed=platform(),
            hint=f"sealpin bundle make MODEL --station STATION --out FILE --platform {quote(platform())}",
        )


def environment_key(manifest: Manifest) -> str:
    """What names the environment that a bundle wants here: its packages, and this Python."""
    wheels = sorted((name, member.sha256) for name, member in manifest.wheels.items())
    return hashlib.sha256(json.dumps([platform(), wheels, manifest.content.get("extras", [])]).encode()).hexdigest()[
        :16
    ]


def install(manifest: Manifest, folder: Path) -> Path:
    """Make the environment of a release unpacked in `folder`, or find it made already; link it as `folder`/venv.

    A bundle without packages takes those of the release that runs. Raises EnvironmentFault with pip's last words.
    """
    path = ENVIRONMENTS / environment_key(manifest) if manifest.wheels else (CURRENT / "venv").resolve()
    if not (path / COMPLETE).exists():
        if not manifest.wheels:
            raise InputError("the packages that run here are not whole", advice="make the bundle without --no-wheels")
        discard(path)
        extras = ",".join(manifest.content.get("extras", []))
        package = f"sealpin-edge[{extras}]" if extras else "sealpin-edge"
        # The camera's packages are the system's: Raspberry Pi OS has them nowhere else
        run_program(
            [sys.executable, "-m", "venv", "--system-site-packages", str(path)], hint="sudo apt install python3-venv"
        )
        pip = [str(path / "bin/python"), "-m", "pip", "--isolated", "--disable-pip-version-check"]
        wheels = str(folder / WHEELS)
        run_program([*pip, "install", "--quiet", "--no-index", "--ignore-installed", "--find-links", wheels, package])
        complete(path)
    link = folder / "venv"
    link.unlink(missing_ok=True)
    link.symlink_to(f"../../envs/{path.name}")
    return path
