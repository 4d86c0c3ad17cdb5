"""sealpin-edge: the programs that run on the station."""

import logging
import signal
import sys
import threading
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import click

from . import __version__
from .outbox_cli import outbox
from .plc import DRIVERS
from .program import Program, answer, json_option

EXISTING_OR_NOT = click.Path(path_type=Path)
PLC_PATIENCE_S = 5.0
# How long a thread that records or sends may keep the interpreter from the PLC loop; Python's own 5 ms is a poll
SWITCH_S = 0.001


@click.group(cls=Program, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="sealpin-edge")
def main() -> None:
    """Judge parts on a line: PLC trigger in, photo taken, OK or NG out."""


main.add_command(outbox)


@main.command()
@click.option("--config", type=EXISTING_OR_NOT, required=True, help="The station's station.toml.")
@click.option("--wait-for-plc", is_flag=True, help="Start although the PLC does not answer, and wait for it.")
def run(config: Path, wait_for_plc: bool) -> None:
    """Run the station until it is stopped (Ctrl-C, SIGTERM)."""
    from .config_file import load_config
    from .logs import set_up_logging
    from .station import Station

    set_up_logging()
    sys.setswitchinterval(SWITCH_S)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    Station(load_config(config)).run(stop, plc_patience_s=float("inf") if wait_for_plc else PLC_PATIENCE_S)


@main.command("teach-camera")
@click.option("--config", type=EXISTING_OR_NOT, required=True, help="The station's station.toml.")
@click.option("--shots", type=click.IntRange(min=5), default=20, show_default=True, help="How many photos to take.")
@click.argument("photos", type=EXISTING_OR_NOT, required=False)
def teach_camera(config: Path, shots: int, photos: Path | None) -> None:
    """Learn from good parts what a photo should look like: light, focus, size, and that there is a part.

    From the folder PHOTOS, as the station stores them, or from photos that its camera takes now, one for each Enter.
    """
    from .camera import Frame, make_camera
    from .camera.folder import ENDINGS
    from .checks import learn, save_limits
    from .config_file import load_config
    from .photo import read_photo

    settings = load_config(config)

    def taken() -> Iterator[Frame]:
        camera = make_camera(settings.camera, settings.timers.capture_ms / 1000)
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
    path = save_limits(limits, settings.station.data_dir)
    click.echo(
        f"{path}: {limits.width}x{limits.height}, mean grey {limits.darkest:.0f} to {limits.brightest:.0f}, "
        f"sharpness from {limits.sharpness:.0f}, likeness from {limits.likeness:.2f}"
    )
    click.echo("next: restart the station")


@main.command()
@click.argument("bundle", type=EXISTING_OR_NOT)
@click.argument("out", type=EXISTING_OR_NOT)
def unpack(bundle: Path, out: Path) -> None:
    """Verify BUNDLE and unpack it into the new folder OUT."""
    from .bundle import STATION
    from .bundle import unpack as unpack_bundle

    manifest = unpack_bundle(bundle, out)
    click.echo(f"model {manifest['model']['run']} ({', '.join(manifest['model']['classes'])}) is in {out}")
    click.echo(f"next: sealpin-edge run --config {out / STATION}")


@main.command()
@click.argument("model", type=EXISTING_OR_NOT)
@click.option("--against", type=EXISTING_OR_NOT, help="Another model file, timed in turns with MODEL.")
@click.option("--threads", default="2", show_default=True, help="Threads of the runtime: a number, or several: 1,2,4.")
@click.option("--photos", type=click.IntRange(min=10), default=200, show_default=True, help="How many, for each.")
@click.option("--photo", type=EXISTING_OR_NOT, help="A photo of a part; else a made-up one of 1024x1024.")
@click.option("--labels", type=EXISTING_OR_NOT, help="A label a line, for a model that carries none.")
@json_option
def benchmark(
    model: Path,
    against: Path | None,
    threads: str,
    photos: int,
    photo: Path | None,
    labels: Path | None,
    as_json: bool,
) -> None:
    """Time MODEL on this machine: load, each stage of a photo's way, memory."""
    from .benchmark import benchmark as time_models
    from .benchmark import machine, table
    from .card import read_labels
    from .photo import read_photo

    counts = [int(text) if text.strip().isdecimal() else 0 for text in threads.split(",")]
    if min(counts) < 1:
        raise click.BadParameter(f"{threads!r} is no list of numbers above 0", param_hint="--threads")
    models = [model, against] if against else [model]
    timings = time_models(models, counts, photos, read_photo(photo) if photo else None, read_labels(labels))
    results = [asdict(one) for one in timings]
    answer({**results[0], "machine": machine(), "results": results}, as_json, f"{machine()}\n{table(timings)}")


@main.command("plc-sim")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=1102, show_default=True, help="Port to listen on; a real S7 has 102.")
@click.option("--driver", type=click.Choice(sorted(DRIVERS)), default="s7", show_default=True, help="The PLC's family.")
@click.option("--block", default="", help="Full mode: the shared block, e.g. DB100.")
@click.option("--trigger", default="", help="Simple mode: the trigger bit, e.g. M76.6.")
@click.option("--ok", default="", help="Simple mode: the OK bit, e.g. M77.0.")
@click.option("--parts", default=10, show_default=True, help="How many parts to place.")
@click.option("--interval", default=1.0, show_default=True, help="Seconds between parts.")
@click.option("--verdict-timeout", default=7.0, show_default=True, help="Seconds the line waits for a verdict.")
@click.option("--ready-timeout", default=60.0, show_default=True, help="Seconds the line waits for a station.")
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
    from .simulation.line import Line

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
