"""What is written is never one of its own sources, and a walk with blanks in every name tells commands that run."""

import re
import shlex
from pathlib import Path

import pytest

from sealpin_edge.cli.main import main as edge
from sealpin_edge.errors import InputError
from sealpin_edge.files import check_apart, new_folder
from sealpin_training.dataset.formats import voc
from sealpin_training.dataset.labels import Box
from tests.commands import invoke

from .conftest import SIDE, write_parts
from .edge.test_config import GOOD
from .test_next import fault
from .training.dataset.corpus import write_clean


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_folder_that_another_program_filled_meanwhile_is_left_as_it_is(tmp_path: Path) -> None:
    def fill() -> None:
        with new_folder(tmp_path / "out") as partial:
            (partial / "mine").touch()
            (tmp_path / "out").mkdir()
            (tmp_path / "out/theirs").touch()

    with pytest.raises(InputError, match="this is in the way"):
        fill()
    assert [path.name for path in tmp_path.rglob("*")] == ["out", "theirs"]


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
        done = invoke(*words)
        assert done.exit_code == 2, words
        assert re.search("this is the source itself|this lies inside its own source", done.output), done.output
        assert "rm " not in done.output
    done = invoke("results", "export", "--config", "station.toml", "--csv", "station.toml", program=edge)
    assert (done.exit_code, "this is the source itself" in done.output) == (2, True)
    assert content(tmp_path) == before


def test_what_is_there_is_overwritten_by_force_alone_and_by_its_own_sort(
    toy_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_parts(Path("parts"), [[("PR", 2, 3)]] * 5)
    Path("model.tflite").write_bytes(toy_model.read_bytes())
    Path("station.toml").write_text(GOOD)
    Path("dataset.json").write_text("{}")
    judge = ("predict", "model.tflite", "parts", "--overlays", "marked", "--xml", "labels")
    pack = ("bundle", "make", "model.tflite", "--station", "station.toml", "--no-wheels", "--out", "a.sealpin")
    for words, told in (
        (judge, r"marked/part_000.jpg, marked/part_001.jpg, marked/part_002.jpg and 2 more: these are in the way"),
        (pack, r"a.sealpin: this is in the way"),
    ):
        assert invoke(*words).exit_code == 0
        before = content(tmp_path)
        refused = invoke(*words)
        assert refused.exit_code == 2
        assert re.search(rf"{told}(.|\n)*--force", refused.output), refused.output
        assert content(tmp_path) == before
        assert invoke(*words, "--force").exit_code == 0
    drawn = [Path(f"labels/part_{number:03d}.xml") for number in (1, 4)]
    for path in drawn:
        voc.write(path, path.with_suffix(".jpg").name, SIDE, SIDE, [Box("PR", 1, 2, 30, 40)])
    before = content(tmp_path)
    for force in ((), ("--force",)):
        refused = invoke("predict", "model.tflite", "parts", "--xml", "labels", *force)
        assert refused.exit_code == 2, refused.output
        assert "labels/part_001.xml, labels/part_004.xml: these are in the way" in refused.output
        assert "labels that a person has saved are never overwritten" in refused.output
    for words in (
        (*pack[:-1], "dataset.json", "--force"),
        ("dataset", "stats", "parts", "--report", drawn[0], "--force"),
    ):
        refused = invoke(*words)
        assert refused.exit_code == 2, refused.output
        assert "in the way" in refused.output and "with --force that of a ." in refused.output
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
        told = [line for line in invoke(*words).output.splitlines() if line.startswith("next: ")]
        assert told, words
        for command in re.split(" && |; ", told[0].removeprefix("next: ")):
            assert not fault(command), command
        names = [word for word in shlex.split(told[0]) if " " in word]
        assert names and all(Path(name).exists() for name in names), told
