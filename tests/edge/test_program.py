"""What both command lines share: Ctrl-C ends a command wherever it comes."""

import time
import weakref

import click
from click.testing import CliRunner

from sealpin_edge.cli.program import Program


class Thing:
    """What is looked at weakly."""


def test_ctrl_c_that_comes_in_a_callback_of_pythons_own_is_not_lost() -> None:
    def pressed(_: object) -> None:
        raise KeyboardInterrupt

    @click.group(cls=Program)
    def program() -> None:
        """A program."""

    @program.command
    def work() -> None:
        """Work for long."""
        thing = Thing()
        watched = weakref.ref(thing, pressed)
        del thing
        assert watched() is None
        until = time.monotonic() + 60
        while time.monotonic() < until:
            pass
        raise AssertionError("Ctrl-C was lost")

    ended = CliRunner().invoke(program, ["work"])
    assert (ended.exit_code, ended.stderr) == (130, "stopped\n")
