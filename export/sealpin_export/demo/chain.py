"""The demo: every command that a user would type, run one after the other, and the result checked.

labelled/  160 rendered parts    dataset/  TFRecords    mlruns/  the run    model.tflite  bundle.sealpin
photos/    24 unseen parts       station/  the unpacked bundle, and what the station stored
ftp/       what it uploaded      report.html, contact_sheet.png
"""

import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import click

from sealpin_edge.errors import InputError, SealpinError, quote
from sealpin_edge.tasks.model import Model
from sealpin_simulation.servers import free_port
from sealpin_training.dataset.manifest import load_dataset
from sealpin_training.tasks.recipe import shipped_recipes

from .line import LineRun, run_line
from .report import table, write_report
from .show import SHOWS, Show

TRAINING_PARTS, TRAINING_SEED = 160, 1
UNSEEN_PARTS, UNSEEN_SEED = 24, 4
RUN = "demo"
MARK = ".sealpin-demo"

STATION = """\
# A station as the demo runs it. On a real line: the PLC's address, driver = "picamera2", the line's servers.

[station]
name = "demo"
mode = "full"
data_dir = "data"

[plc]
driver = "s7"
host = "127.0.0.1"
port = {plc}
block = "DB100"

[camera]
driver = "folder"
path = "../photos"

# [model] file and sha256 are filled in by `sealpin bundle`

[photos]
url = "ftp://station@127.0.0.1:{ftp}/line1"
password_file = "../ftp.secret"
first = "upload"

[results]
url = "http://127.0.0.1:{api}/results"
token_file = "../api.secret"

[display]
address = "127.0.0.1:{display}"
"""


def run_demo(out: Path, task: str = "detect") -> None:
    """Make everything anew in the folder `out`, print what happens, and check it; `task` is one of SHOWS.

    Raises SealpinError when a step fails, when verdict, PLC, FTP server and API do not agree or the model is bad,
    InputError when `out` holds something that is not an earlier demo.
    """
    began = time.monotonic()
    out = _fresh(out)
    show = SHOWS[task]
    recipe = shipped_recipes() / show.recipe
    ports = {name: free_port() for name in ("plc", "ftp", "api", "display")}
    (out / "station.toml").write_text(STATION.format(**ports), encoding="utf-8")
    for command in (
        ("sealpin", "dataset", "synth", "labelled", "--parts", str(TRAINING_PARTS), "--seed", str(TRAINING_SEED)),
        ("sealpin", "dataset", "synth", "photos", "--parts", str(UNSEEN_PARTS), "--seed", str(UNSEEN_SEED)),
        ("sealpin", "dataset", "convert", "labelled", "dataset", *show.convert),
        ("sealpin", "train", str(recipe), "--dataset", "dataset", "--run", RUN),
        ("sealpin", "evaluate", RUN, "--split", "test"),
        ("sealpin", "export", RUN, "--out", "export", "--quantize", "int8", *show.export),
    ):
        _command(command, out)
    shutil.copyfile(out / "export/model.tflite", out / "model.tflite")
    # Without packages: the station of the demo runs with those that are here
    packed = ("--station", "station.toml", "--golden", "photos", "--no-wheels", "--out", "bundle.sealpin")
    _command(("sealpin", "bundle", "model.tflite", *packed), out)
    _command(("sealpin-edge", "unpack", "bundle.sealpin", "station"), out)
    _command(("sealpin-edge", "teach-camera", "--config", "station/station.toml", "labelled"), out)
    line_run = run_line(out, ports, UNSEEN_PARTS)
    unseen = unseen_photos(out)
    figure = show.measure(Model(out / "model.tflite"), unseen)
    told = f"{show.figure} {figure:.3f} on {len(unseen)} unseen parts"
    click.echo(table(line_run))
    write_report(out, line_run, told)
    _check(line_run, show, figure)
    right = sum(not part.mistake for part in line_run.parts)
    click.echo(
        f"\n{told}; {right} of {UNSEEN_PARTS} on the line judged right; PLC, FTP server and API agree;"
        f" {time.monotonic() - began:.0f} s"
    )
    click.echo(f"what the operator saw:  {out / 'contact_sheet.png'}\nthe whole report:       {out / 'report.html'}")
    click.echo(
        f"the training run:       cd {quote(out)} && mlflow ui --backend-store-uri sqlite:///mlruns/mlflow.db\n\n"
        "next, with your own photos and labelImg's XML beside them:\n"
        f"  sealpin dataset convert PHOTOS DATASET --task {quote(task)}\n"
        f"  sealpin train {quote(recipe)} --dataset DATASET --run NAME"
    )


def unseen_photos(out: Path) -> list[Path]:
    """The photos that chose nothing: the line's and those of the test split. Of one of them alone, AP is half noise."""
    splits = load_dataset(out / "dataset").splits
    labelled = [path for path in sorted((out / "labelled").glob("*.jpg")) if splits.get(path.name) == "test"]
    return sorted((out / "photos").glob("*.jpg")) + labelled


def _fresh(out: Path) -> Path:
    if out.exists() and not (out / MARK).exists() and any(out.iterdir()):
        raise InputError(
            "this folder is not an earlier demo", where=str(out), allowed="a new folder, or an earlier demo's"
        )
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    (out / MARK).touch()
    return out.resolve()


def _command(command: Sequence[str], folder: Path) -> None:
    click.secho(f"\n$ {' '.join(command)}", bold=True)
    began = time.monotonic()
    program = Path(sys.executable).with_name(command[0])
    done = subprocess.run([program, *command[1:]], cwd=folder)  # noqa: S603  our own programs, our own arguments
    click.echo(f"  ({time.monotonic() - began:.1f} s)")
    if done.returncode:
        raise SealpinError(
            "this step of the demo failed", where=" ".join(command), found=f"exit code {done.returncode}"
        )


def _check(line_run: LineRun, show: Show, figure: float) -> None:
    faults = [*line_run.violations]
    for part in line_run.parts:
        faults += [f"{part.photo}: {fault}" for fault in part.faults]
    if len(line_run.parts) != UNSEEN_PARTS:
        faults.append(f"{len(line_run.parts)} of {UNSEEN_PARTS} parts were judged")
    if figure < show.least:
        faults.append(f"{show.figure} is {figure:.3f}, at least {show.least} is wanted")
    if faults:
        raise SealpinError("the demo does not agree with itself", found="\n".join(faults))
