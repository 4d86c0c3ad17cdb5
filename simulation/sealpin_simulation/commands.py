"""Commands that stand in for what surrounds a station: plc-sim, simulate."""

import logging
import tempfile
from dataclasses import asdict
from pathlib import Path

import click

from sealpin_edge.cli.program import Number, answer, json_option
from sealpin_edge.errors import InputError
from sealpin_edge.plc import DRIVERS

from .line import VERDICT_S

PLACE = click.Path(path_type=Path)
driver_option = click.option(
    "--driver", type=click.Choice(sorted(DRIVERS)), default="s7", show_default=True, help="The PLC's family."
)


@click.command(short_help="Run a whole site, servers and all, on this machine.")
@click.option("--model", type=PLACE, required=True, help="A model that the station runs.")
@click.option("--photos", type=PLACE, required=True, help="Photos that play camera, in name order, then again.")
@click.option("--good", multiple=True, metavar="CLASS", help="A class of good parts, where the model does not tell.")
@driver_option
@click.option("--parts", default=50, show_default=True, help="How many parts to place.")
@click.option("--interval", type=Number(0), default=0.05, show_default=True, help="Seconds between parts.")
@click.option("--cut", multiple=True, help="Parts during which both servers are away, e.g. 10-20; repeatable.")
@click.option("--kill", multiple=True, type=int, help="Part before which the station is killed (-9); repeatable.")
@click.option(
    "--first", type=click.Choice(["upload", "store"]), default="store", show_default=True, help="[photos] first."
)
@click.option("--store-mb", default=4096, show_default=True, help="[station] store_mb.")
@click.option("--disk-mb", default=0, help="The station's data lie on a disk of this size, which fills.")
@click.option("--keep", type=PLACE, help="A new folder for logs, database and uploads; else they are gone afterwards.")
@json_option
def simulate(
    model: Path,
    photos: Path,
    good: tuple[str, ...],
    driver: str,
    parts: int,
    interval: float,
    cut: tuple[str, ...],
    kill: tuple[int, ...],
    first: str,
    store_mb: int,
    disk_mb: int,
    keep: Path | None,
    as_json: bool,
) -> None:
    """Run a whole site on this machine: PLC and line, FTP server, results API, and a station whose world breaks.

    Exit code 1 when a rule of the handshake was broken, a part was not inspected, or something that the station had
    stored did not arrive.
    """
    from sealpin_edge.tasks.model import Model

    from .rehearsal import rehearse
    from .site import BUSY_MS, Site

    if keep and keep.exists():
        raise InputError("this is in the way", where=str(keep), allowed="a name that is free")
    Model(model, good=good or None)  # what no station runs is told here, and not waited for
    with tempfile.TemporaryDirectory() as folder:
        site = Site(
            keep or Path(folder, "site"),
            model,
            photos,
            good=good,
            driver=driver,
            first=first,
            store_mb=store_mb,
            disk_mb=disk_mb,
            trigger_low_ms=BUSY_MS,
        )
        try:
            rehearsal = rehearse(site, parts, cuts=[_range(text) for text in cut], kills=kill, interval_s=interval)
        finally:
            site.close()
    document = rehearsal.document()
    audit = document["audit"]
    rows = [
        f"{document['parts']} parts: "
        + ", ".join(f"{count} {verdict}" for verdict, count in document["verdicts"].items()),
        f"trigger to verdict: {document['p50_ms']} ms in the middle, {document['max_ms']} at most",
        f"reported as stored: {audit['reported']}; results missing {len(audit['missing_results'])}, photos missing "
        f"{len(audit['missing_photos'])}, photos with other bytes {len(audit['wrong_photos'])}",
        f"parts that the PLC has and nobody else {len(audit['unrecorded'])}, good to one and bad to the other "
        f"{len(audit['contradicted'])}, numbers left out {len(audit['left_out'])}",
        f"photos dropped from a full store {document['dropped']}, lost {document['lost']}",
        *(f"rule broken: {text}" for text in document["violations"]),
    ]
    answer(document, as_json, "\n".join(rows))
    if not rehearsal.ok:
        raise SystemExit(1)


def _range(text: str) -> range:
    first, _, last = text.partition("-")
    if not (first.isdecimal() and (last or first).isdecimal()):
        raise click.BadParameter(f"{text!r} is no range such as 10-20", param_hint="--cut")
    return range(int(first), int(last or first) + 1)


@click.command("plc-sim", short_help="Emulate the PLC and its line.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=1102, show_default=True, help="Port to listen on; a real S7 has 102.")
@driver_option
@click.option("--block", default="", help="Full mode: the shared block, e.g. DB100.")
@click.option("--trigger", default="", help="Simple mode: the trigger bit, e.g. M76.6.")
@click.option("--ok", default="", help="Simple mode: the OK bit, e.g. M77.0.")
@click.option("--parts", default=10, show_default=True, help="How many parts to place.")
@click.option("--interval", type=Number(0), default=1.0, show_default=True, help="Seconds between parts.")
@click.option(
    "--verdict-timeout",
    type=Number(0),
    default=VERDICT_S,
    show_default=True,
    help="Seconds the line waits for a verdict: more than the station's decision_deadline_ms + ok_pulse_ms.",
)
@click.option(
    "--ready-timeout", type=Number(0), default=60.0, show_default=True, help="Seconds the line waits for a station."
)
@json_option
def plc_sim(
    host: str,
    port: int,
    driver: str,
    block: str,
    trigger: str,
    ok: str,
    parts: int,
    interval: float,
    verdict_timeout: float,
    ready_timeout: float,
    as_json: bool,
) -> None:
    """Emulate the PLC and its line: place parts, raise the trigger, check the handshake, report."""
    from .line import Line

    logging.getLogger("snap7").setLevel(logging.CRITICAL)
    line = Line(
        host,
        port,
        driver=driver,
        block=block,
        trigger=trigger,
        ok=ok,
        interval_s=interval,
        verdict_timeout_s=verdict_timeout,
    )
    line.start()
    click.echo(f"PLC on {host}:{port}, waiting for a station", err=True)
    try:
        report = line.run(parts, ready_timeout_s=ready_timeout)
    finally:
        line.stop()
    rows = [f"{'part':>5}  {'verdict':<14}{'ms':>8}  defects"]
    for part in report.parts:
        late = "" if part.latency_ms is None else f"{part.latency_ms:.1f}"
        rows.append(f"{part.number:>5}  {part.verdict:<14}{late:>8}  {part.defects}")
    rows += [f"rule broken: {text}" for text in report.violations] or ["no rule of the handshake was broken"]
    answer({**asdict(report), "ok": report.ok}, as_json, "\n".join(rows))
    if not report.ok or len(report.parts) < parts:
        raise SystemExit(1)
