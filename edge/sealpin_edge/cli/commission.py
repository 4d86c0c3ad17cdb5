"""Commands for the engineer who commissions a line: doctor, status, teach-camera."""

import json
from dataclasses import asdict
from http.client import HTTPException
from pathlib import Path
from typing import Any

import click

from ..ask import ask_station
from ..config.station import StationConfig
from ..errors import EnvironmentFault, InputError
from .program import answer, json_option, with_config

PLACE = click.Path(path_type=Path)
ASK_S = 5.0
REFUSED_SHOWN = 5


@click.command(short_help="Prove a release without touching the one that runs.")
@with_config
@json_option
def preflight(config: StationConfig, as_json: bool) -> None:
    """Prove a release on this machine without touching the one that runs: config, model, golden photos, database."""
    from ..release.preflight import preflight as prove

    found = prove(config)
    text = (
        f"{found.golden or 'NO'} golden photos as they should be, "
        f"at most {found.slowest_ms} ms of {found.budget_ms:g}; camera checks: {found.checks}"
    )
    answer(asdict(found), as_json, text)


@click.command(short_help="Look over an installation, and say what to do.")
@with_config
@json_option
def doctor(config: StationConfig, as_json: bool) -> None:
    """Look over an installation: PLC, camera, servers, clock, disk; say what is wrong and what to do.

    Puts a small file, sealpin-doctor.txt, on the photo server, and one into its folder of today. A running station
    is not disturbed.
    """
    from ..watch.doctor import examine
    from ..watch.logs import set_up_logging

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


@click.command(short_help="Say how the running station is.")
@with_config
@json_option
def status(config: StationConfig, as_json: bool) -> None:
    """Say how the running station is; exit code 1 when it would not take a part, or is degraded."""
    from ..inspection.checks import CHECKS_TOLD
    from ..tasks.verdict import Rule

    address = config.display.address
    if address == "off":
        raise InputError("this station tells nothing", where="[display] address", found='"off"', allowed="an address")
    try:
        health: dict[str, Any] = json.loads(ask_station(address, "/health", ASK_S))
    except (OSError, ValueError, HTTPException) as error:
        raise EnvironmentFault(
            "the station does not answer",
            where=f"http://{address}/health",
            found=str(error),
            hint="journalctl -u sealpin-edge -e",
        ) from None
    last, box = health["last"], health["outbox"]
    rule = Rule(health["thresholds"], frozenset(health["notice"]))
    verdicts = ", ".join(f"{count} {verdict}" for verdict, count in health["counts"].items())
    newest = f"{last['verdict']}, {last['age_s']:.0f} s ago, {last['cycle_ms']} ms" if last else "no part yet"
    rows = [
        f"station   {health['station']}, version {health['version']}, up {health['uptime_s']} s",
        f"state     {health['state']}" + (f", {health['error']}" if health["error"] else ""),
        f"PLC       {health['plc']}" + (f"; no serials: {health['serial']}" if health["serial"] != "ok" else ""),
        f"camera    {health['camera']}; {CHECKS_TOLD[health['checks']]}",
        f"model     {health['model_sha256'][:12]}, counts {rule}",
        f"shift     {verdicts} since {health['shift_since'][11:16]}",
        f"outbox    {box['photos']} photos, {box['results']} results, {box['aside']} aside; {box['oldest_s']} s old",
        f"last      {newest}",
    ]
    if health["degraded"]:
        rows += [f"degraded  {why}" for why in health["degraded_by"]]
    if health["lost"] or health["missed_triggers"]:
        rows.append(f"lost      {health['lost']} records or photos; {health['missed_triggers']} triggers missed")
    rows += [f"note      {text}" for text in health["hints"]]
    if health["alarms"]:
        rows += [f"alarm     {text}" for text in health["alarms"]]
    answer(health, as_json, "\n".join(rows))
    if health["degraded"] or health["alarms"] or health["state"] in ("fault", "not ready", "halted"):
        raise SystemExit(1)


@click.command("teach-camera", short_help="Learn from good parts what a photo should look like.")
@with_config
@click.option("--shots", type=click.IntRange(min=5), default=20, show_default=True, help="How many photos to take.")
@click.option("--empty", type=PLACE, help="A folder of photos of the empty fixture: the limits must refuse them.")
@click.argument("photos", type=PLACE, required=False)
def teach_camera(config: StationConfig, shots: int, empty: Path | None, photos: Path | None) -> None:
    """Learn from good parts what a photo should look like: light, focus, size, and that there is a part.

    From the folder PHOTOS, as the station stores them, or from photos that its camera takes now, one for each Enter,
    and then one of the empty fixture. Photos that the model does not call good are refused. Twenty different parts are
    enough; from fewer, limits are a guess.
    """
    from ..camera import make_camera
    from ..inspection.checks import ENOUGH_PHOTOS
    from ..inspection.lock import DataLock
    from ..inspection.teach import Teacher, teach
    from ..model.photo import Photo, read_photo

    nothing: list[Photo] = [read_photo(file) for file in _photos(empty)] if empty else []
    if photos:
        taught = teach(config, ((file.name, read_photo(file)) for file in _photos(photos)), nothing)
    else:
        lock, teacher = DataLock(config.station.data_dir), Teacher(config)
        camera = make_camera(config.camera, config.timers.capture_ms / 1000)
        try:
            number = 1
            while number <= shots:
                _wait_for_enter(f"good part {number} of {shots} in place? Enter")
                refused = teacher.show(f"photo {number}", camera.capture().photo)
                camera.prepare()
                if refused:
                    click.echo(f"refused, {refused}: take another part", err=True)
                else:
                    number += 1
            if not nothing and camera.live:
                _wait_for_enter("the fixture empty? Enter")
                nothing = [camera.capture().photo]
        finally:
            camera.close()
            lock.free()
        taught = teacher.finish(nothing)
    for refused in taught.refused[:REFUSED_SHOWN]:
        click.echo(f"refused: {refused}")
    if len(taught.refused) > REFUSED_SHOWN:
        click.echo(f"refused: {len(taught.refused) - REFUSED_SHOWN} more, which the model does not call good either")
    click.echo(f"{taught.file}: {taught.limits}, from {taught.photos} photos")
    if not taught.enough:
        click.echo(f"these are few: limits mean something from {ENOUGH_PHOTOS} photos of different good parts on")
    if not nothing:
        click.echo("an empty fixture was not shown: --empty FOLDER proves that it is told from a part")
    click.echo("next: systemctl restart sealpin-edge")


def _wait_for_enter(text: str) -> None:
    click.prompt(text, default="", show_default=False, err=True)


def _photos(folder: Path) -> list[Path]:
    from ..camera.folder import ENDINGS

    return sorted(file for file in folder.glob("*") if file.suffix.lower() in ENDINGS)
