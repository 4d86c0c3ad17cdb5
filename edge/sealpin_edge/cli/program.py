"""What both command lines share: errors told without a traceback, exit codes, output for scripts."""

import _thread
import functools
import json
import sys
import threading
from collections.abc import Callable
from math import isfinite
from pathlib import Path
from typing import Any

import click

from ..errors import InputError, SealpinError, in_words, quote
from ..files import in_the_way

ENVIRONMENT = 3
PATH = click.Path(path_type=Path)


class Number(click.FloatRange):
    """A number within a range. Never nan, which no limit and no figure holds against, and never without an end."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The number. Fails as click's own types do."""
        number = super().convert(value, param, ctx)
        if not isfinite(number):
            self.fail(f"{value} is no number that anything could be held against.", param, ctx)
        return number


class Ordered(click.Group):
    """A command group that lists its commands in the order of work, which is the one they were added in."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Not by the alphabet, as click does."""
        return list(self.commands)


class Program(Ordered):
    """A command group that turns sealpin's errors into a message and an exit code: 1, 2 or 3 (see errors.py).

    Its help lists commands by what they are for.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._sections: dict[str, tuple[click.Command, ...]] = {}

    def add_section(self, title: str, *commands: click.Command) -> None:
        """Take commands in, under a title of their own in the help."""
        self._sections[title] = commands
        for command in commands:
            self.add_command(command)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the lists."""
        width = max(map(len, self.commands))
        for title, commands in self._sections.items():
            with formatter.section(title):
                formatter.write_dl([(f"{one.name:<{width}}", one.get_short_help_str(100)) for one in commands])

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        before, sys.unraisablehook = sys.unraisablehook, _unraisable
        try:
            return super().invoke(ctx)
        except SealpinError as error:
            click.echo(f"error: {error}", err=True)
            sys.exit(error.exit_code)
        except KeyboardInterrupt:
            click.echo("stopped", err=True)
            sys.exit(130)
        except BrokenPipeError:  # whoever read what is printed is gone, as after `| head`: click ends without a word
            raise
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            click.echo(f"error: {where}{in_words(error)}", err=True)
            sys.exit(ENVIRONMENT)
        finally:
            sys.unraisablehook = before


def _unraisable(what: Any) -> None:
    """Of what Python drops when it is raised where nobody can catch it, in a callback of its own: Ctrl-C comes again.

    A moment later, for this is still the callback.
    """
    if what.exc_type is KeyboardInterrupt:
        again = threading.Timer(0.01, _thread.interrupt_main)
        again.daemon = True
        again.start()
    else:
        sys.__unraisablehook__(what)


json_option: Callable[[Any], Any] = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON document to standard output."
)


def with_config(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options --config and --own, and the StationConfig that they name as `config`."""

    @click.option("--config", type=PATH, required=True, help="The station's station.toml.")
    @click.option("--own", type=PATH, help="Keys of this station alone, which replace those of --config.")
    @functools.wraps(command)
    def read(config: Path, own: Path | None, **others: Any) -> None:
        from ..config.file import load_config

        command(config=load_config(config, own=own), **others)

    return read


def check_place(
    *paths: Path | None,
    force: bool,
    ending: str,
    ours: Callable[[Path], bool] = Path.is_file,
    sort: str = "",
) -> None:
    """Raise InputError when a file to be written after long work would have no folder, or is there.

    With `force` it may be there, if it is of the same sort as what is written, `sort` in words: its name has the same
    `ending`, and it is one of `ours`.
    """
    there = [path for path in paths if path and path.exists()]
    if others := [path for path in there if not (path.is_file() and path.suffix.lower() == ending and ours(path))]:
        raise in_the_way(*others, allowed=f"a name that is free, or with --force that of {sort or f'a {ending} file'}")
    if there and not force:
        raise in_the_way(*there)
    for path in paths:
        if path and not path.parent.is_dir():
            hint = f"mkdir -p {quote(path.parent)}"
            raise InputError("there is no such folder to write into", where=str(path), hint=hint)


def answer(document: dict[str, Any], as_json: bool, text: str) -> None:
    """Print the answer: the document for a script, the text for a person."""
    click.echo(json.dumps(document, indent=1) if as_json else text)
