"""Commands for the engineer who commissions a line: doctor, status, teach-camera."""

import json
import urllib.request
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from .config import StationConfig
from .errors import EnvironmentFault, InputError
from .program import answer, json_option, with_config

PLACE = click.Path(path_type=Path)


@click.command()
@with_config
@json_option
def preflight(config: StationConfig, as_json: bool) -> None:
    """Prove a release on this machine without touching the one that runs: config, model, golden photos, database."""
    from .preflight import preflight as prove

    found = prove(config)
    text = f"{found.golden} golden photos as they should be, at most {found.slowest_ms} ms of {found.budget_ms:g}"
    answer(asdict(found), as_json, text)


@click.command()
@with_config
@json_option
def doctor(config: StationConfig, as_json: bool) -> None:
    """Look over an installation: PLC, camera, servers, clock, disk; say what is wrong and what to do.

    Puts a small file, sealpin-doctor.txt, on the photo server. A running station is not disturbed.
    """
    from .doctor import examine
    from .logs import set_up_logging

    set_up_logging()
    findings = []
    for one in examine(config):
        findings.append(one)
        if not as_json:
            click.echo(f"{one.state:<8} {one.what:<14} {one.found}")
            for label, text in (("advice", one.advice), ("next", one.hint)):
                if text:
                    click.echo(f"{'':<24}{label}: {text}")
    faults = sum(one.state == "fault" for one in findings)
    text = f"{faults} faults" if faults else "a line can run on this"
    answer({"findings": [asdict(one) for one in findings], "faults": faults}, as_json, text)
    if faults:
        raise SystemExit(1)


@click.command()
@with_config
@json_option
def status(config: StationConfig, as_json: bool) -> None:
    """Say how the running station is; exit code 1 when it would not take a part, or is degraded."""
    address = config.display.address
    if address == "off":
        raise InputError("this station tells nothing", where="[display] address", found='"off"', allowed="an address")
    try:
        with urllib.request.urlopen(f"http://{address}/health", timeout=5) as reply:
            health: dict[str, Any] = json.load(reply)
    except (OSError, ValueError) as error:
        raise EnvironmentFault(
            "the station does not answer",
            where=f"http://{address}/health",
            found=str(error),
            hint="journalctl -u sealpin-edge -e",
        ) from None
    last, box = health["last"], health["outbox"]
    verdicts = ", ".join(f"{count} {verdict}" for verdict, count in health["counts"].items())
    newest = f"{last['verdict']}, {last['age_s']:.0f} s ago, {last['cycle_ms']} ms" if last else "no part yet"
    rows = [
        f"station   {health['station']}, version {health['version']}, up {health['uptime_s']} s",
        f"state     {health['state']}" + (f", {health['error']}" if health["error"] else ""),
        f"PLC       {health['plc']}",
        f"model     {health['model_sha256'][:12]}",
        f"shift     {verdicts} since {health['shift_since'][11:16]}",
        f"outbox    {box['photos']} photos, {box['results']} results, {box['aside']} aside; {box['oldest_s']} s old",
        f"last      {newest}",
    ]
    if health["degraded"]:
        rows.append(f"degraded  a server or the disk lags behind; {health['lost']} lost")
    answer(health, as_json, "\n".join(rows))
    if health["degraded"] or health["plc"] != "connected" or health["state"] in ("fault", "not ready", "halted"):
        raise SystemExit(1)


@click.command("teach-camera")
@with_config
@click.option("--shots", type=click.IntRange(min=5), default=20, show_default=True, help="How many photos to take.")
@click.argument("photos", type=PLACE, required=False)
def teach_camera(config: StationConfig, shots: int, photos: Path | None) -> None:
    """Learn from good parts what a photo should look like: light, focus, size, and that there is a part.

    From the folder PHOTOS, as the station stores them, or from photos that its camera takes now, one for each Enter.
    """
    from .camera import Frame, make_camera
    from .camera.folder import ENDINGS
    from .checks import learn, save_limits
    from .photo import read_photo

    def taken() -> Iterator[Frame]:
        camera = make_camera(config.camera, config.timers.capture_ms / 1000)
        try:
            for number in range(1, shots + 1):
                click.prompt(f"part {number} of {shots} in place? Enter", default="", show_default=False, err=True)
                yield camera.capture()
                camera.prepare()
        finally:
            camera.close()

    if photos:
        files = sorted(file for file in photos.glob("*") if file.suffix.lower() in ENDINGS)
        limits = learn(read_photo(file) for file in files)
    else:
        limits = learn(frame.photo for frame in taken())
    path = save_limits(limits, config.station.data_dir)
    click.echo(
        f"{path}: {limits.width}x{limits.height}, mean grey {limits.darkest:.0f} to {limits.brightest:.0f}, "
        f"sharpness from {limits.sharpness:.0f}, likeness from {limits.likeness:.2f}"
    )
    click.echo("next: sudo systemctl restart sealpin-edge")
