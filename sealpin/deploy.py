"""sealpin station, deploy, rollback, stations."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sealpin_edge.cli.program import Number, Ordered, answer, json_option
from sealpin_edge.errors import InputError, quote
from sealpin_edge.files import read_text

from .bundle import PATH, default_key

if TYPE_CHECKING:
    from sealpin_export.deploy.deploy import Outcome, Progress
    from sealpin_export.deploy.inventory import Device

group_option = click.option(
    "--group", "groups", multiple=True, help="Stations of this group; several follow each other."
)


@click.group(cls=Ordered, short_help="Keep the list of stations, and prepare blank machines.")
def station() -> None:
    """The stations that this machine deploys to, in stations.toml."""


@station.command(short_help="Put a station into the list.")
@click.argument("name")
@click.argument("address")
@click.option("--port", type=click.IntRange(1, 65535), default=22, show_default=True, help="Its SSH port.")
@click.option("--group", "groups", multiple=True, help="A group that it is of, such as canary.")
@click.option("--key", type=PATH, default=None, help="The SSH key to log in with [ssh's own choice].")
@click.option("--fingerprint", help="The host key's, SHA256:..., if you know it; else you are asked.")
def add(name: str, address: str, port: int, groups: tuple[str, ...], key: Path | None, fingerprint: str | None) -> None:
    """Put the station NAME at ADDRESS, user@host, into stations.toml, with the host key that it shows now."""
    from sealpin_edge.release import signature
    from sealpin_export.deploy.inventory import Device, add_device, load_inventory, scan_host_keys

    device = Device(name, address, port, groups=groups, key=str(key.expanduser().resolve()) if key else "")
    if name in load_inventory():
        raise InputError("there is a station of this name", found=name, allowed="another name")
    found = scan_host_keys(device.host, port)
    shown = signature.fingerprint(found[0])
    click.echo(f"{device.host} shows {found[0].split()[0]} {shown}")
    if fingerprint and fingerprint != shown:
        raise InputError("the station shows another key", where=address, found=shown, allowed=fingerprint)
    if not fingerprint:
        click.confirm("Is that its key? On the station: ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub", abort=True)
    add_device(Device(**{**vars(device), "host_keys": found}))
    click.echo(f"next: sealpin station prepare {quote(name)}")


@station.command("list", short_help="List the stations.")
@json_option
def list_stations(as_json: bool) -> None:
    """List the inventory."""
    from sealpin_export.deploy.inventory import load_inventory

    devices = load_inventory()
    rows = [f"{one.name:<20} {one.address}:{one.port}  {', '.join(one.groups)}" for one in devices.values()]
    document = {"stations": [{**vars(one), "host_keys": list(one.host_keys)} for one in devices.values()]}
    answer(document, as_json, "\n".join(rows) or "no stations yet: sealpin station add NAME user@host")


@station.command(short_help="Make a station of a blank machine.")
@click.argument("name")
@click.option("--key", "signing", type=PATH, multiple=True, help="Keys whose bundles it takes [that of `keys new`].")
def prepare(name: str, signing: tuple[Path, ...]) -> None:
    """Make a station of the blank machine NAME: user, folders, units, camera packages, trusted keys, your SSH key."""
    from sealpin_edge.release.signature import allowed_signers, public_key
    from sealpin_export.deploy.connection import connect

    (device,) = _chosen([name], [])[0]
    signers = allowed_signers([public_key(path) for path in signing or (default_key(),)])
    own = Path(f"{device.key}.pub") if device.key else None
    authorized = read_text(own).strip() if own and own.exists() else ""
    with connect(device, interactive=True) as talk:
        done = talk.ask("prepare", signers=signers, authorized_key=authorized)
    click.echo(f"{name} is ready; installed: {', '.join(done['packages']) or 'nothing that was not there'}")
    click.echo(
        "what is its own, such as [plc] host and secrets, belongs into /var/lib/sealpin on it, keys in station.toml"
    )
    click.echo(f"next: sealpin deploy BUNDLE {quote(name)}")


@click.command(short_help="Bring a bundle to stations, and watch them run it.")
@click.argument("bundle", type=PATH)
@click.argument("names", nargs=-1)
@group_option
@click.option(
    "--max-fail", type=click.IntRange(min=0), default=0, show_default=True, help="Begin no more groups after so many."
)
@click.option("--allow-downgrade", is_flag=True, help="Also when what runs there is newer.")
@click.option("--watch-s", type=Number(min=1), default=30, show_default=True, help="How long it must be well.")
@json_option
def deploy(
    bundle: Path,
    names: tuple[str, ...],
    groups: tuple[str, ...],
    max_fail: int,
    allow_downgrade: bool,
    watch_s: float,
    as_json: bool,
) -> None:
    """Bring BUNDLE to the stations NAMES; where it is not well there, what ran before runs again.

    Each is locked, sent what it lacks, lets the bundle prove itself beside the running release, finishes its part,
    swaps, and is watched. Exit code 0 when all have it, 1 when one went back, 2 or 3 when one refused or was lost.
    """
    from sealpin_edge.release.bundle import Bundle
    from sealpin_export.deploy import deploy as one
    from sealpin_export.deploy.fleet import in_waves

    opened = Bundle(bundle)
    for _ in opened.members():  # a broken file is told before any station is asked
        pass
    waves = _chosen(names, groups)
    with _steps() as told:
        outcomes = in_waves(
            waves,
            lambda device: one.deploy(device, opened, allow_downgrade=allow_downgrade, watch_s=watch_s, progress=told),
            max_fail,
        )
    _finish(outcomes, as_json)


@click.command(short_help="Put an earlier release back on a station.")
@click.argument("name")
@click.argument("version", default="")
@json_option
def rollback(name: str, version: str, as_json: bool) -> None:
    """Put an earlier release back on the station NAME: VERSION, or the last good one before what runs."""
    from sealpin_export.deploy import deploy as one

    (device,) = _chosen([name], [])[0]
    with _steps() as told:
        outcome = one.rollback(device, version, progress=told)
    _finish([outcome], as_json)


@click.command(short_help="Ask stations how they are.")
@click.argument("names", nargs=-1)
@group_option
@json_option
def stations(names: tuple[str, ...], groups: tuple[str, ...], as_json: bool) -> None:
    """Ask all stations, or NAMES, how they are: release, model, uptime, what waits, last verdict."""
    from sealpin_export.deploy.fleet import ask_all
    from sealpin_export.deploy.inventory import load_inventory

    every = list(load_inventory().values())
    devices = [device for wave in _chosen(names, groups) for device in wave] if names or groups else every
    found = ask_all(devices)
    head = f"{'station':<16} {'release':<24} {'model':<12} {'state':<24} {'up':>9} {'waiting':>8}  last"
    answer({"stations": found}, as_json, "\n".join([head, *(_row(name, one) for name, one in found.items())]))
    if any("error" in one for one in found.values()):
        raise SystemExit(1)


def _row(name: str, found: dict[str, Any]) -> str:
    if "error" in found:
        return f"{name:<16} not reached: {found['error'].splitlines()[0] if found['error'] else ''}"
    health = found["health"]
    release = str(found["release"] or "none") + (" (on trial)" if found["on_trial"] else "")
    if not health:
        return f"{name:<16} {release:<24} does not answer"
    waiting = sum(health["outbox"].get(lane) or 0 for lane in ("photos", "results"))
    last = f"{health['last']['verdict']}, {health['last']['age_s']:.0f} s ago" if health["last"] else "no part yet"
    return (
        f"{name:<16} {release:<24} {health['model_sha256'][:12]} {health['state']:<24} {health['uptime_s']:>7} s "
        f"{waiting:>8}  {last}"
    )


def _chosen(names: Sequence[str], groups: Sequence[str]) -> "list[list[Device]]":
    from sealpin_export.deploy.inventory import choose, load_inventory

    return choose(load_inventory(), names, groups)


def _finish(outcomes: "list[Outcome]", as_json: bool) -> None:
    _tell_mlflow(outcomes)
    rows = []
    for one in outcomes:
        # Of a refused one it may not be known what runs there
        change = f"{one.before or 'nothing'} -> {one.to}" if one.before or one.result != "refused" else one.to
        rows.append(f"{one.station}: {one.result} ({change})" if change else f"{one.station}: {one.result}")
        rows += [f"  {line}" for line in one.why.splitlines()]
        if one.warning:
            rows.append(f"  it says: {one.warning}")
    documents = [one.as_dict() for one in outcomes]
    alone = documents[0] if len(documents) == 1 else {}
    answer({**alone, "stations": documents}, as_json, "\n".join(rows))
    if code := max(one.exit_code for one in outcomes):
        raise SystemExit(code)


def _tell_mlflow(outcomes: "list[Outcome]") -> None:
    fine = [one for one in outcomes if one.result == "deployed" or (one.result == "unchanged" and not one.warning)]
    if not fine:
        return
    from sealpin_training.registry import deployed

    for run_id in dict.fromkeys(one.run_id for one in fine):
        if missed := deployed(run_id, {one.station: one.to for one in fine if one.run_id == run_id}):
            click.echo(f"MLflow was not told: {missed}", err=True)


@contextmanager
def _steps() -> "Iterator[Progress]":
    """Shows what is done: each step of a station a line, and a bar for what is sent, on a terminal only."""
    from tqdm import tqdm

    last: dict[str, str] = {}
    bars: dict[str, Any] = {}

    def tell(device: "Device", step: str, done: int, total: int) -> None:
        if step == "send":
            if device.name not in bars:
                bars[device.name] = tqdm(total=total, desc=device.name, unit="B", unit_scale=True, disable=None)
            bars[device.name].update(done - bars[device.name].n)
        if last.get(device.name) != step:
            last[device.name] = step
            click.echo(f"{device.name}: {step}", err=True)

    try:
        yield tell
    finally:
        for bar in bars.values():
            bar.close()
