"""sealpin-edge: the programs that run on the station."""

import signal
import sys
import threading
from dataclasses import asdict
from importlib.metadata import entry_points
from pathlib import Path

import click

from .. import __version__
from ..config.station import StationConfig
from ..errors import quote
from .commission import doctor, preflight, status, teach_camera
from .outbox import outbox
from .program import Program, answer, json_option, with_config
from .results import part, results

EXISTING_OR_NOT = click.Path(path_type=Path)
PLC_PATIENCE_S = 5.0
# How long a thread that records or sends may keep the interpreter from the PLC loop; Python's own 5 ms is a poll
SWITCH_S = 0.001
# For trying, of another distribution that no station has: those of sealpin-simulation, where it is installed
MORE = "sealpin_edge.commands"


@click.group(cls=Program, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="sealpin-edge")
def main() -> None:
    """Judge parts on a line: PLC trigger in, photo taken, OK or NG out."""


@click.command(short_help="Run the station until it is stopped.")
@with_config
@click.option("--wait-for-plc", is_flag=True, help="Start although the PLC does not answer, and wait for it.")
def run(config: StationConfig, wait_for_plc: bool) -> None:
    """Run the station until it is stopped (Ctrl-C, SIGTERM)."""
    from ..inspection.station import Station
    from ..watch.logs import set_up_logging

    set_up_logging()
    sys.setswitchinterval(SWITCH_S)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    Station(config).run(stop, plc_patience_s=float("inf") if wait_for_plc else PLC_PATIENCE_S)


@click.command(short_help="Show the operator's display full screen.")
@click.option("--address", default="127.0.0.1:8080", show_default=True, help="The station's [display] address.")
def window(address: str) -> None:
    """Show the operator's display in a window of its own, full screen, instead of in a browser."""
    from ..display.window import show

    show(address)


@click.command(short_help="Verify a bundle and unpack it.")
@click.argument("bundle", type=EXISTING_OR_NOT)
@click.argument("out", type=EXISTING_OR_NOT)
def unpack(bundle: Path, out: Path) -> None:
    """Verify the hashes of BUNDLE and unpack it into the new folder OUT; `sealpin deploy` verifies its signature."""
    from ..release.bundle import STATION
    from ..release.bundle import unpack as unpack_bundle

    manifest = unpack_bundle(bundle, out)
    card = manifest.content["model"]
    click.echo(f"model {card['run']} ({', '.join(card['classes'])}), release {manifest.release}, is in {out}")
    click.echo(f"next: sealpin-edge run --config {quote(out / STATION)}")


@click.command(short_help="Time a model file on this machine.")
@click.argument("model", type=EXISTING_OR_NOT)
@click.option("--against", type=EXISTING_OR_NOT, help="Another model file, timed in turns with MODEL.")
@click.option("--threads", default="2", show_default=True, help="Threads of the runtime: a number, or several: 1,2,4.")
@click.option("--photos", type=click.IntRange(min=10), default=200, show_default=True, help="How many, for each.")
@click.option("--photo", type=EXISTING_OR_NOT, help="A photo of a part; else a made-up one of 1024x1024.")
@click.option("--labels", type=EXISTING_OR_NOT, help="A label file, for a MODEL that carries none.")
@click.option("--against-labels", type=EXISTING_OR_NOT, help="A label file for the other model.")
@click.option("--good", multiple=True, metavar="CLASS", help="A class of good parts, for a model that needs it told.")
@json_option
def benchmark(
    model: Path,
    against: Path | None,
    threads: str,
    photos: int,
    photo: Path | None,
    labels: Path | None,
    against_labels: Path | None,
    good: tuple[str, ...],
    as_json: bool,
) -> None:
    """Time MODEL on this machine: load, each stage of a photo's way, memory."""
    from ..model.label_file import read_labels
    from ..model.photo import read_photo
    from ..tasks.benchmark import benchmark as time_models
    from ..tasks.benchmark import machine, table

    counts = [int(text) if text.strip().isdecimal() else 0 for text in threads.split(",")]
    if min(counts) < 1:
        raise click.BadParameter(f"{threads!r} is no list of numbers above 0", param_hint="--threads")
    if against_labels and not against:
        raise click.UsageError("--against-labels belongs to --against")
    models = [model, against] if against else [model]
    named = [read_labels(labels), *([read_labels(against_labels)] if against else [])]
    timings = time_models(models, counts, photos, read_photo(photo) if photo else None, named, good or None)
    results = [asdict(one) for one in timings]
    answer({**results[0], "machine": machine(), "results": results}, as_json, f"{machine()}\n{table(timings)}")


main.add_section("Set a station up", unpack, preflight, teach_camera, doctor)
main.add_section("Run it", run, window, status)
main.add_section("What was judged, and what waits", results, part, outbox)
main.add_section("Without a line", *(one.load() for one in entry_points(group=MORE)), benchmark)
