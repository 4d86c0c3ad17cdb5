"""sealpin-edge outbox: what the station still holds, to be looked at, sent again or carried away."""

import shutil
from pathlib import Path, PurePosixPath

import click

from ..config.station import StationConfig
from ..delivery.outbox import Item, Outbox
from ..files import new_folder
from .program import Ordered, answer, json_option, with_config

PLACE = click.Path(path_type=Path)


@click.group(cls=Ordered, short_help="Look after what could not be delivered yet.")
def outbox() -> None:
    """Look at what could not be delivered yet, and at what servers refused."""


def _store(config: StationConfig) -> Outbox:
    return Outbox(config.station.data_dir, owns=False)


@outbox.command("list", short_help="List what waits and what was set aside.")
@with_config
@json_option
def list_items(config: StationConfig, as_json: bool) -> None:
    """List what waits and what was set aside, oldest first."""
    items = list(_store(config).items())
    rows = [f"{'stored':<25}{'lane':<9}{'state':<9}{'tries':>6}{'kB':>8}  name"]
    rows += [
        f"{one.stored_at[:23]:<25}{one.lane:<9}{one.state:<9}{one.attempts:>6}{one.bytes / 1000:>8.0f}  {one.name}"
        + (f"\n    {one.reason.splitlines()[-1].strip()}" if one.reason else "")
        for one in items
    ]
    aside = sum(one.state == "aside" for one in items)
    rows.append(f"{len(items) - aside} to be sent, {aside} set aside")
    if aside:
        rows.append(f"next: sealpin-edge outbox retry {config.options}")
    answer({"items": [_document(one) for one in items]}, as_json, "\n".join(rows))


@outbox.command(short_help="Send again what servers refused, and at once what waits.")
@with_config
def retry(config: StationConfig) -> None:
    """Send again what a server has refused, and at once what waits; a running station takes it up within seconds."""
    aside, waiting = _store(config).retry()
    click.echo(f"{aside} items that were set aside are to be sent again; {waiting} that wait are to be tried now")


@outbox.command(short_help="Copy what is still here into a folder.")
@with_config
@click.argument("out", type=PLACE)
def export(config: StationConfig, out: Path) -> None:
    """Copy everything that is still here into the new folder OUT, named as on the servers; nothing is deleted."""
    photos = results = 0
    with new_folder(out) as folder:
        for one in _store(config).items():
            if one.lane == "results":
                target = folder / "results" / f"{one.id}.json"
                target.parent.mkdir(exist_ok=True)
                target.write_text(one.result, encoding="utf-8")
                results += 1
            elif one.file.is_file():
                name = PurePosixPath(one.name)
                target = folder / "photos" / name.parent.name / name.name
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(one.file, target)
                photos += 1
    click.echo(f"{photos} photos and {results} results are in {out}")


def _document(one: Item) -> dict[str, object]:
    return {
        "id": one.id,
        "lane": one.lane,
        "name": one.name,
        "state": one.state,
        "stored_at": one.stored_at,
        "bytes": one.bytes,
        "attempts": one.attempts,
        "reason": one.reason,
    }
