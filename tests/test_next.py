"""What is called the next command is one: it stands on a command line that our programs, or the system's, take."""

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from sealpin_edge.errors import quote

from .test_house import FOLDERS, all_commands

PROGRAMS = (
    "apt", "apt-get", "cat", "journalctl", "mkdir", "pip", "rpicam-hello", "sha256sum", "ssh-keygen",
    "ssh-keyscan",
    "systemctl", "timedatectl", "umask",
)  # fmt: skip
# What variables that are no names of anybody's hold
SAID_FOR = {"config.options": "--config VALUE", "fetch": "sealpin pretrained get VALUE && "}
# What passes on what was given elsewhere
PASSED_ON = ("hint", "fault.hint", "item.metadata.get('get', '')")
# A `cp`, or nothing: tests/training/test_runs.py runs it
PASSED_ON += ("self.put_back(path.name)", "self.put_back('run.json')")
# No names of anybody's
OUR_OWN = ("2 * state.step", "split")
FILES = [file for package in FOLDERS for file in sorted(FOLDERS[package].rglob("*.py"))]


def quoted(source: str) -> bool:
    """Whether an expression is a name that quote() was asked for, or words that are put together of such."""
    return source.startswith(("quote(", "run_words(")) or source.endswith((".options", ".words"))


def said(node: ast.expr, where: str) -> Iterator[str]:
    """The texts that an expression can be, VALUE for what is put into them; each must be quoted for a shell."""
    if isinstance(node, ast.Constant):
        yield str(node.value)
    elif isinstance(node, ast.IfExp):
        yield from said(node.body, where)
        yield from said(node.orelse, where)
    elif isinstance(node, ast.JoinedStr):
        text = ""
        for part in node.values:
            if isinstance(part, ast.Constant):
                text += str(part.value)
                continue
            assert isinstance(part, ast.FormattedValue)
            source = ast.unparse(part.value)
            if text.rpartition("\n")[2].startswith("next: "):
                told = quoted(source) or source.isupper() or source in SAID_FOR or source in OUR_OWN
                assert told, f"{where}: {source} may have a blank in it"
            text += SAID_FOR.get(source, "VALUE")
        yield text
    else:
        assert ast.unparse(node) in PASSED_ON, f"{where}: {ast.unparse(node)} is no text that can be looked at"


def commands(file: Path) -> Iterator[tuple[str, str]]:
    """Everything in a file that is called the next command, and where."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    hints: list[ast.expr] = []
    pieces = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        where = f"{file.name}:{getattr(node, 'lineno', 0)}"
        if isinstance(node, ast.Call):
            hints += [given.value for given in node.keywords if given.arg in ("hint", "get")]
        elif isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "hint":
            hints.append(node.value)
        elif isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and id(node) not in pieces):
            lines = [line for text in said(node, where) for line in text.splitlines()]
            yield from ((where, line.removeprefix("next: ")) for line in lines if line.startswith("next: "))
    for value in hints:
        where = f"{file.name}:{value.lineno}"
        prefixed = ast.JoinedStr([ast.Constant("next: "), *value.values]) if isinstance(value, ast.JoinedStr) else value
        for text in said(prefixed, where):
            yield where, text.removeprefix("next: ")


def fault(line: str) -> str:
    """Why a line is none that a shell can run; "" when it is one."""
    words = shlex.split(line)
    words = words[1:] if words[:1] == ["sudo"] else words
    if not words:
        return "nothing to run"
    program, *arguments = words
    if program in PROGRAMS:
        return ""
    from sealpin.cli import main as toolkit
    from sealpin_edge.cli.main import main as edge

    command: click.Command | None = {"sealpin": toolkit, "sealpin-edge": edge}.get(program)
    if command is None:
        return f"{program} is no program"
    while isinstance(command, click.Group):
        name = arguments.pop(0) if arguments else ""
        command = command.commands.get(name)
        if command is None:
            return f"there is no command {name}"
    try:
        given = command.make_parser(click.Context(command)).parse_args(list(arguments))[0]
    except click.UsageError as error:
        return error.format_message()
    values = {str(one.name): given.get(str(one.name)) for one in command.params if one.required}
    missing = [name for name, value in values.items() if not (value and isinstance(value, str | tuple | list))]
    return f"it lacks {', '.join(missing)}" if missing else ""


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(file.parents[2])))
def test_every_next_command_can_be_run(file: Path) -> None:
    for where, text in commands(file):
        for line in re.split(r";|&&", text) if text else ():
            assert not fault(line), f"{where}: {line.strip()}: {fault(line)}"


# What ends in the midst of a command: `sealpin train {recipe} --dataset {dataset}` does so twice
FIRST_WORDS = "|".join(sorted({path.split()[1] for path, _ in all_commands()}))
COMMAND = re.compile(rf"\b(sealpin(-edge)? ({FIRST_WORDS})|mkdir|ssh-keygen|ssh-keyscan|cd) [^.;:,()\n]*$")


@pytest.mark.parametrize("package", FOLDERS)
def test_every_name_in_a_command_is_quoted_by_the_one_function(package: str) -> None:
    for file in FOLDERS[package].rglob("*.py"):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            assert not (isinstance(node, ast.ImportFrom) and node.module == "shlex"), f"{file}: errors.quote does it"
            for value in after_a_command(node) if isinstance(node, ast.JoinedStr) else ():
                assert quoted(value) or value in OUR_OWN, f"{file}:{node.lineno}: {value} may have a blank in it"


def after_a_command(text: ast.JoinedStr) -> Iterator[str]:
    """The expressions in an f-string that are words of a command."""
    said = ""
    for part in text.values:
        if isinstance(part, ast.FormattedValue) and COMMAND.search(said):
            yield ast.unparse(part.value)
        said += str(part.value) if isinstance(part, ast.Constant) else "VALUE"


@pytest.mark.parametrize("name", ["exp first", "-x", "it's", "$(rm)", "a\nb", "plain", "~", "*"])
def test_a_quoted_name_is_one_word_and_no_option(name: str) -> None:
    (word,) = shlex.split(quote(Path(name)))
    assert Path(word) == Path(name)
    assert not word.startswith("-")


@pytest.mark.parametrize(
    "line",
    [
        "restart the station",
        "/dev/video0",
        "sealpin bundle",
        "sealpin-edge run",
        "sealpin-edge doctor --conf VALUE",
        "sealpin-edge outbox send --config VALUE",
        "sealpin deploy",
        "sealpin export RUN",
        "",
    ],
)
def test_what_is_no_command_is_told_from_one(line: str) -> None:
    assert fault(line)
