"""What `--help` lists can be read: each command has a line of its own, none is cut off or left out."""

import click
import pytest
from click.testing import CliRunner

from .test_house import commands

WIDTH = 80


def groups() -> list[tuple[str, click.Group]]:
    from sealpin.cli import main as toolkit
    from sealpin_edge.cli.main import main as edge

    found: list[tuple[str, click.Group]] = []
    for name, program in (("sealpin", toolkit), ("sealpin-edge", edge)):
        inner = [(f"{name} {one}", command) for one, command in program.commands.items()]
        found += [(name, program), *((path, one) for path, one in inner if isinstance(one, click.Group))]
    return found


@pytest.mark.parametrize(("path", "group"), groups(), ids=lambda one: one if isinstance(one, str) else "")
def test_a_list_of_commands_has_each_on_one_whole_line(path: str, group: click.Group) -> None:
    told = CliRunner().invoke(group, ["--help"], prog_name=path, terminal_width=WIDTH)
    assert told.exit_code == 0
    lines = told.output.partition("--help")[2].splitlines()
    listed = [line.split(maxsplit=1) for line in lines[1:] if line.startswith("  ")]
    assert [name for name, _ in listed] == list(group.commands)  # in the order of work
    assert not [line for line in lines if "..." in line or len(line) > WIDTH]


def test_no_two_commands_are_told_with_the_same_line() -> None:
    for _, group in groups():
        told = [command.get_short_help_str(WIDTH) for _, command in commands(group, "")]
        assert len(set(told)) == len(told)
