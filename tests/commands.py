"""sealpin's commands, given in this process."""

import click
from click.testing import CliRunner, Result

from sealpin.cli import main


def invoke(*words: object, given: str | None = None, program: click.Command = main) -> Result:
    """The command's exit code and what it printed; `given` is its standard input."""
    return CliRunner().invoke(program, [str(word) for word in words], input=given)


def call(*words: object) -> Result:
    """A command that must succeed."""
    done = invoke(*words)
    assert done.exit_code == 0, done.output
    return done
