"""What is written is never one of its own sources, and a walk with blanks in every name tells commands that run."""

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from sealpin.cli import main
from sealpin_edge.cli import main as edge
from sealpin_edge.errors import InputError
from sealpin_edge.files import check_apart, new_folder

from .conftest import write_parts
from .edge.test_config import GOOD
from .test_next import fault
from .training.dataset.corpus import write_clean


def run(*words: object, program: object = main) -> Result:
    return CliRunner().invoke(program, [str(word) for word in words])  # type: ignore[arg-type]


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", ["src", "./src/../src", "link", "src/inside"])
def test_a_new_folder_is_neither_its_source_nor_inside_of_it(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("src").mkdir()
    Path("link").symlink_to("src")
    told = "this lies inside its own source" if "inside" in name else "this is the source itself"
    with pytest.raises(InputError, match=told), new_folder(Path(name), Path("src")):
        pass
    assert list(Path("src").iterdir()) == []
    with new_folder(Path("source"), Path("src")):
        pass
    check_apart(Path("src/recipe.config"), Path("src"), None)


def test_no_command_writes_into_what_it_reads(toy_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_clean(Path("src"))
    write_parts(Path("parts"), [[("PR", 2, 3)]])
    Path("model.tflite").write_bytes(toy_model.read_bytes())
    Path("station.toml").write_text(GOOD)
    before = content(tmp_path)
    for words in (
        ("dataset", "fix", "src", "src"),
        ("dataset", "convert", "src", "src"),
        ("dataset", "preview", "src", "src"),
        ("dataset", "preview", "src", "src/sheets"),
        ("predict", "model.tflite", "parts", "--overlays", "parts"),
        ("predict", "model.tflite", "parts", "--xml", "parts/xml"),
        ("bundle", "model.tflite", "--station", "station.toml", "--out", "model.tflite"),
        ("bundle", "model.tflite", "--station", "station.toml", "--out", "station.toml"),
    ):
        done = run(*words)
        assert done.exit_code == 2, words
        assert re.search("this is the source itself|this lies inside its own source", done.output), done.output
        assert "rm " not in done.output
    done = run("results", "export", "--config", "station.toml", "--csv", "station.toml", program=edge)
    assert (done.exit_code, "this is the source itself" in done.output) == (2, True)
    assert content(tmp_path) == before


def test_commands_that_are_told_take_names_with_blanks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_clean(Path("my photos"))
    for words in (
        ("dataset", "check", "my photos"),
        ("dataset", "fix", "my photos", "my copy"),
        ("dataset", "convert", "my photos", "my set"),
        ("recipe", "new", "my set", "my recipe.config", "--size", "320"),
    ):
        told = [line for line in run(*words).output.splitlines() if line.startswith("next: ")]
        assert told, words
        for command in re.split(" && |; ", told[0].removeprefix("next: ")):
            assert not fault(command), command
        names = [word for word in shlex.split(told[0]) if " " in word]
        assert names and all(Path(name).exists() for name in names), told
