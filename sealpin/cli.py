"""sealpin: the program on the data scientist's machine. One module per command group; parse, call, print."""

import signal
import sys
import threading
import warnings
from typing import Any

# Until everything is imported there is nothing to end in good order: Ctrl-C ends the program, without a traceback
_INTERRUPT = signal.getsignal(signal.SIGINT)
if _INTERRUPT is signal.default_int_handler and threading.current_thread() is threading.main_thread():
    signal.signal(signal.SIGINT, signal.SIG_DFL)

# Before anything of Google's is imported: that Python 3.11 will be old one day is no news to a user
warnings.filterwarnings("ignore", category=FutureWarning, module="google")

import click  # noqa: E402

from sealpin_edge import __version__  # noqa: E402
from sealpin_edge.cli.main import benchmark  # noqa: E402
from sealpin_edge.cli.program import ENVIRONMENT, Program  # noqa: E402

from .bundle import bundle, keys  # noqa: E402
from .cam import cam  # noqa: E402
from .dataset import dataset  # noqa: E402
from .demo import demo  # noqa: E402
from .deploy import deploy, rollback, station, stations  # noqa: E402
from .evaluate import compare, evaluate, promote  # noqa: E402
from .export import export  # noqa: E402
from .label import label  # noqa: E402
from .model import model, predict  # noqa: E402
from .pretrained import pretrained  # noqa: E402
from .recipe import recipe  # noqa: E402
from .runs import runs  # noqa: E402
from .train import train  # noqa: E402


class Toolkit(Program):
    """Also tells what TensorFlow meets on the way, a full disk above all, without a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except Exception as error:
            # By name: importing TensorFlow to compare classes would take seconds
            if type(error).__module__ != "tensorflow.python.framework.errors_impl":
                raise
            from sealpin_training.quiet import reason

            click.echo(f"error: {reason(error)}", err=True)
            sys.exit(ENVIRONMENT)


@click.group(cls=Toolkit, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="sealpin")
def main() -> None:
    """From labelled photos to the OK bit in a PLC.

    Commands stand below in the order of work; sealpin-edge is what runs on the station.
    """


if signal.getsignal(signal.SIGINT) is not _INTERRUPT:
    signal.signal(signal.SIGINT, _INTERRUPT)

main.add_section("Photos and labels", label, dataset)
main.add_section("Training", recipe, pretrained, train, runs)
main.add_section("How good it is", evaluate, cam, compare, promote)
main.add_section("Model files", export, model, predict, benchmark)
main.add_section("Stations", keys, bundle, station, deploy, rollback, stations)
main.add_section("All of it, to begin with", demo)
