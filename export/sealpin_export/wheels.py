"""The packages that a station needs, as wheels: sealpin-edge's own made here, the others from the package index."""

import base64
import hashlib
import re
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from importlib.metadata import distribution
from pathlib import Path

import sealpin_edge
from sealpin_edge.command import run_program
from sealpin_edge.config.station import StationConfig
from sealpin_edge.errors import EnvironmentFault, InputError

# Raspberry Pi OS Bookworm and Trixie
PLATFORMS = ("cp311-aarch64", "cp313-aarch64")
_PLATFORM = re.compile(r"cp3(\d{1,2})-(aarch64|x86_64)")
# Their C libraries are 2.36 and 2.41; wheels of these and of older ones run there
_GLIBC = ("2_36", "2_35", "2_34", "2_31", "2_28", "2_27", "2_26", "2_24", "2_17")
_TIMESTAMP = (1980, 1, 1, 0, 0, 0)
# The extras of sealpin-edge are called as the driver or the address that wants them
EXTRAS = {"mc", "modbus", "sftp", "smb"}


def extras_for(config: StationConfig) -> list[str]:
    """The extras of sealpin-edge that a station of this config needs."""
    scheme = config.photos.url.partition("://")[0] if config.photos else ""
    return sorted(EXTRAS & {config.plc.driver, scheme})


def edge_wheel() -> tuple[str, bytes]:
    """The wheel of the sealpin-edge that is installed here, from a checkout too: its name and bytes.

    Format: https://packaging.python.org/specifications/binary-distribution-format. The same code, the same bytes.
    """
    package = Path(sealpin_edge.__file__).parent
    about = distribution("sealpin-edge")
    info = f"sealpin_edge-{about.version}.dist-info"
    files = {
        f"sealpin_edge/{path.relative_to(package)}": path.read_bytes()
        for path in sorted(package.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }
    for name in ("METADATA", "entry_points.txt"):
        files[f"{info}/{name}"] = (about.read_text(name) or "").encode()
    files[f"{info}/WHEEL"] = b"Wheel-Version: 1.0\nGenerator: sealpin\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    record = [f"{name},sha256={_digest(data)},{len(data)}" for name, data in files.items()]
    files[f"{info}/RECORD"] = "\n".join([*record, f"{info}/RECORD,,", ""]).encode()
    name = f"sealpin_edge-{about.version}-py3-none-any.whl"
    with tempfile.TemporaryFile() as file:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            for path, data in files.items():
                entry = zipfile.ZipInfo(path, _TIMESTAMP)
                entry.external_attr = 0o644 << 16
                archive.writestr(entry, data, zipfile.ZIP_DEFLATED)
        file.seek(0)
        return name, file.read()


def download_wheels(platforms: Sequence[str], extras: Sequence[str]) -> dict[str, bytes]:
    """Everything that sealpin-edge needs on these platforms, pinned by edge/constraints.txt: names and bytes.

    Raises InputError for a platform that is none, EnvironmentFault when a package cannot be had for one.
    """
    found: dict[str, bytes] = {}
    wheel_name, wheel = edge_wheel()
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, wheel_name).write_bytes(wheel)
        package = f"{folder}/{wheel_name}" + (f"[{','.join(extras)}]" if extras else "")
        for one in platforms:
            out = Path(folder, one)
            _download(package, one, out)
            found |= {path.name: path.read_bytes() for path in sorted(out.glob("*.whl"))}
    return dict(sorted({**found, wheel_name: wheel}.items()))


def _download(package: str, platform: str, out: Path) -> None:
    if not (named := _PLATFORM.fullmatch(platform)):
        raise InputError("no such platform", found=platform, allowed="cp311-aarch64, cp313-aarch64, cp311-x86_64 ...")
    minor, machine = named.groups()
    tags = [f"manylinux_{glibc}_{machine}" for glibc in _GLIBC] + [f"manylinux2014_{machine}", f"linux_{machine}"]
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--dest", str(out)]
    command += ["--only-binary=:all:", "--implementation", "cp", "--python-version", f"3.{minor}"]
    command += [f"--platform={tag}" for tag in tags] + ["--constraint", str(constraints()), package]
    try:
        run_program(command)
    except EnvironmentFault as fault:
        fault.where = platform
        fault.advice = "without internet: --no-wheels, and packages that the station has already"
        raise


def constraints() -> Path:
    """edge/constraints.txt of a checkout, or the copy that an installed sealpin-edge carries."""
    package = Path(sealpin_edge.__file__).parent
    return next(path for path in (package / "constraints.txt", package.parent / "constraints.txt") if path.is_file())


def unit() -> bytes:
    """The systemd unit, from a checkout or an installed sealpin-edge."""
    package = Path(sealpin_edge.__file__).parent
    name = "systemd/sealpin-edge.service"
    return next(path for path in (package / name, package.parent / name) if path.is_file()).read_bytes()


def _digest(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
