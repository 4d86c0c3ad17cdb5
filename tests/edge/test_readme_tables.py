"""The station's README, its page for the PLC's programmer, and its parsers say the same."""

import re
import typing
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

import pytest

from sealpin_edge.cli.main import main
from sealpin_edge.config.station import StationConfig
from sealpin_edge.error_code import ErrorCode
from sealpin_edge.plc import DRIVERS, family

from ..test_house import commands
from ..test_next import fault

README = (Path(__file__).parents[2] / "edge/README.md").read_text()
PLC_PAGE = (Path(__file__).parents[2] / "edge/PLC.md").read_text()
PORTS = {str(family(kind).PORT) for kind in DRIVERS}


def rows(heading: str, text: str = README) -> list[list[str]]:
    """The cells of the table under a heading line."""
    lines = text.split(heading, 1)[1].partition("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in lines]


def toml(value: Any) -> str:
    """A default as it is written in a station.toml."""
    if isinstance(value, tuple):
        return "[" + ", ".join(map(toml, value)) + "]"
    return f'"{value}"' if isinstance(value, str | Path) else f"{value:g}"


def sections() -> dict[str, dict[str, Any]]:
    """Every key of every section with its default, MISSING where it must be given."""
    found = {}
    for name, hint in typing.get_type_hints(StationConfig).items():
        cls = hint if isinstance(hint, type) else typing.get_args(hint)[0]
        if cls.__module__.startswith("sealpin_edge"):
            found[name] = {item.name: item.default for item in fields(cls)}
    return found


def documented() -> dict[tuple[str, str], str]:
    """What the table has as the default of each section and key."""
    section, found = "", {}
    for first, meaning, *default in rows("| key | meaning | default |"):
        section = m[1] if (m := re.search(r"`\[(\w+)\]`", first)) else section
        keys = {name: (default or [""])[0] for name in re.findall(r"`([a-z0-9_]+)`", first)}
        keys |= dict(re.findall(r"`([a-z0-9_]+)` (\d+)", meaning)) if not keys else {}
        found |= {(section, name): text for name, text in keys.items()}
    return found


def test_the_table_has_every_key_and_no_other() -> None:
    assert set(documented()) == {(section, key) for section, keys in sections().items() for key in keys}


def test_the_table_has_every_default() -> None:
    for (section, key), text in documented().items():
        default = sections()[section][key]
        if default is not MISSING and default and default != Path():
            assert toml(default) in text, f"[{section}] {key} is {toml(default)}, not {text}"
        of_row = {other for (its, other), same in documented().items() if (its, same) == (section, text)}
        known = {toml(sections()[section][one]) for one in of_row if isinstance(sections()[section][one], int | float)}
        numbers = set(re.findall(r"(?<![\w\".:])\d+(?![\w\".:])", text))
        assert numbers <= known | PORTS, f"[{section}] {key}: {text}"


def test_every_error_code_stands_in_the_table_and_no_other() -> None:
    table = rows("| ErrorCode | meaning | what to do |", PLC_PAGE)
    told = [int(code) for first, *_ in table for code in re.findall(r"\d+", first)]
    assert sorted(told) == sorted(code.value for code in ErrorCode if code)


@pytest.mark.parametrize("line", sorted(set(re.findall(r"`(sealpin-edge [^`]+)`", README + PLC_PAGE))))
def test_every_command_line_is_one_that_the_station_takes(line: str) -> None:
    trouble = fault(line)
    assert not trouble or trouble.startswith("it lacks"), f"{line}: {trouble}"


def test_every_option_of_a_row_is_one_of_its_command() -> None:
    found = commands(main, "sealpin-edge")
    options = {path: {name for one in command.params for name in one.opts} for path, command in found}
    for first, does in rows("| command | does |"):
        path = next(path for path in options if f"`{path}" in first)
        assert set(re.findall(r"--[a-z-]+", first + does)) <= options[path], path
    assert set(re.findall(r"`(--[a-z-]+)", README)) <= set().union(*options.values())
