"""sealpin-edge results and part: what the station has judged and what has happened, without any server."""

import csv
import sys
from collections.abc import Iterable
from contextlib import nullcontext
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TextIO

import click

from ..config.station import StationConfig
from ..errors import InputError
from .program import Ordered, answer, check_place, json_option, with_config

PLACE = click.Path(path_type=Path)
COLUMNS = (
    "station_seq", "part_seq", "created_at", "barcode", "verdict", "error", "reason", "detections", "image_path",
    "cycle_ms", "model_ms", "thresholds", "notice", "model_sha256", "run_id", "station", "id",
)  # fmt: skip
from_option = click.option("--from", "begin", default="", help="A day or a time of it, e.g. 2026-05-04T06:00.")
to_option = click.option("--to", "end", default="", help="The last day, or a time.")


@click.group(cls=Ordered, short_help="Read what was judged here, and what has happened.")
def results() -> None:
    """What was judged here, and what has happened, out of the station's own database."""


@results.command(short_help="Write the results of a time as CSV.")
@with_config
@from_option
@to_option
@click.option("--csv", "out", type=PLACE, required=True, help="The file to write, or - for standard output.")
@click.option("--force", is_flag=True, help="Overwrite what an earlier call has written there.")
def export(config: StationConfig, begin: str, end: str, out: Path, force: bool) -> None:
    """Write the results of a time as CSV, which spreadsheets read; nothing is deleted."""
    from ..delivery.archive import Archive
    from ..files import check_apart, new_text_file

    check_apart(out, config.path, config.own)
    found = Archive(config.station.data_dir).results(*_period(begin, end))
    check_place(None if str(out) == "-" else out, force=force, ending=".csv")
    target = nullcontext(sys.stdout) if str(out) == "-" else new_text_file(out, encoding="utf-8-sig")
    with target as file:
        count = _write(file, found)
    click.echo(f"{count} results are in {out}", err=str(out) == "-")


@results.command(short_help="Tell what has happened in a time.")
@with_config
@from_option
@to_option
@json_option
def events(config: StationConfig, begin: str, end: str, as_json: bool) -> None:
    """Tell what has happened in a time: faults and their ends, the PLC, camera, servers, starts and stops."""
    from ..delivery.archive import Archive

    found = Archive(config.station.data_dir).events(*_period(begin, end))
    rows = [f"{_local(one.at)}  {one.kind:<9} {one.text}" for one in found] or ["nothing has happened"]
    answer({"events": [vars(one) for one in found]}, as_json, "\n".join(rows))


@click.command(short_help="Tell all that is known of a part.")
@with_config
@click.argument("name")
@json_option
def part(config: StationConfig, name: str, as_json: bool) -> None:
    """Tell all that is known of a part, by its number, serial, id, or the PLC's PartSeq."""
    from ..delivery.archive import Archive

    found = Archive(config.station.data_dir).part(name) if name else []
    if not found:
        raise InputError(
            "no part of this name is on record",
            found=name,
            allowed="a number of the station's, a serial, an id, or a PartSeq of the PLC",
        )
    rows = []
    for one in found:
        said = one.result
        rows += [
            f"station_seq {said['station_seq']}, PartSeq {said.get('part_seq', 0)}, serial {said['barcode'] or '-'}, "
            f"id {said['id']}",
            f"  {_local(said['created_at'])}  {said['description']}",
            f"  photo {said['image_path'] or '-'} of {said.get('photo') or '-'}; verdict after {said['cycle_ms']} ms, "
            f"model {said.get('model_ms')} ms",
            f"  counted from {said.get('thresholds')}, shown only {said.get('notice')}; "
            f"model {said['model_sha256'][:12]}",
            *(f"  {text}" for text in one.waiting or ("everything is delivered",)),
            *(f"  {_local(event.at)}  {event.kind}: {event.text}" for event in one.events),
        ]
    answer({"parts": [asdict(one) for one in found]}, as_json, "\n".join(rows))


def _write(file: TextIO, found: Iterable[dict[str, Any]]) -> int:
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(COLUMNS)
    written = 0
    for said in found:
        writer.writerow(_cell(column, said.get(column, "")) for column in COLUMNS)
        written += 1
    return written


def _cell(column: str, value: Any) -> Any:
    if column == "detections":
        value = "; ".join(f"{one['categories'][0]['category_name']} {one['categories'][0]['score']}" for one in value)
    elif isinstance(value, dict):
        value = "; ".join(f"{name} {score}" for name, score in value.items())
    elif isinstance(value, list):
        value = "; ".join(value)
    # A spreadsheet must not take a barcode for a formula
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@") else value


def _period(begin: str, end: str) -> tuple[str, str]:
    """From and until when, as the database has times: ISO 8601, UTC. A day ends when the next one begins."""
    first = _utc(_moment(begin, "--from")) if begin else ""
    last = _moment(end, "--to") + timedelta(days=len(end) <= len("2026-05-04")) if end else None
    until = _utc(last) if last else "9999"
    if until <= first:
        raise InputError("there is no such time", where="--to", found=end, allowed=f"later than --from {begin}")
    return first, until


def _moment(text: str, option: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise InputError(
            "this is no time", where=option, found=repr(text), allowed="2026-05-04, or 2026-05-04T06:00"
        ) from None


def _utc(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")


def _local(text: str) -> str:
    return f"{datetime.fromisoformat(text).astimezone():%Y-%m-%d %H:%M:%S}"
