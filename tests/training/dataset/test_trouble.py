"""What goes wrong around a dataset: folders that are none, a full disk, Ctrl-C, a process that is ended."""

import os
import resource
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import psutil
import pytest
from click.testing import CliRunner

from sealpin.cli import main
from sealpin_edge.errors import EnvironmentFault
from sealpin_training.dataset.survey import Rules, survey
from sealpin_training.parallel import Workers, workers

from .corpus import add, box, picture, write_clean

PROGRAM = Path(sys.executable).with_name("sealpin")
COMMANDS = {"check": 1, "stats": 1, "fix": 2, "convert": 2, "preview": 2}


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("case", ["missing", "empty", "no photos", "no labels", "a file"])
def test_a_folder_that_is_no_dataset_is_told_with_what_was_looked_for(tmp_path: Path, command: str, case: str) -> None:
    src = tmp_path / "src"
    if case == "a file":
        src.write_text("")
    elif case != "missing":
        src.mkdir()
    if case == "no photos":
        (src / "notes.txt").write_text("nothing")
    if case == "no labels":
        picture(1).save(src / "a.jpg")
    targets = [str(tmp_path / "out")] * (COMMANDS[command] - 1)
    told = CliRunner().invoke(main, ["dataset", command, str(src), *targets])
    assert told.exit_code == 2
    assert str(src) in told.output
    assert {"no labels": "COCO", "no photos": ".jpg", "empty": ".jpg"}.get(case, "a folder with photos") in told.output
    assert not (tmp_path / "out").exists()


def small_files() -> None:
    """No file may grow beyond 40 kB: writing fails as on a full disk."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000))


@pytest.mark.parametrize("command", ["fix", "convert", "preview"])
@pytest.mark.parametrize("processes", ["1", "2"])
def test_a_full_disk_leaves_nothing_behind(tmp_path: Path, command: str, processes: str) -> None:
    for number in range(4):
        add(tmp_path / "src", f"p{number}", (box(number),), number)
    picture(9, 3000, 2000).save(tmp_path / "src/p0.jpg", quality=95)
    (tmp_path / "src/p0.xml").write_text(
        (tmp_path / "src/p0.xml").read_text().replace("400", "3000").replace("360", "2000")
    )
    done = subprocess.run(
        [PROGRAM, "dataset", command, "src", "out", "--workers", processes],
        cwd=tmp_path,
        preexec_fn=small_files,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 3, done.stderr
    assert done.stderr.startswith("error: out")
    assert "Traceback" not in done.stderr
    assert [entry.name for entry in tmp_path.iterdir()] == ["src"]


def test_a_read_only_source_is_no_trouble(tmp_path: Path) -> None:
    write_clean(tmp_path / "src")
    for path in [*(tmp_path / "src").iterdir(), tmp_path / "src"]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    for command in ("fix", "convert", "preview"):
        told = CliRunner().invoke(main, ["dataset", command, str(tmp_path / "src"), str(tmp_path / command)])
        assert told.exit_code == 0, told.output
    (tmp_path / "fix/p01.xml").write_text("the copy may be changed")


def test_files_that_may_not_be_read_are_findings() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        for number in range(3):
            add(folder, f"p{number}", (box(number),), number)
        survey(folder, Rules(), Workers(None, 1))  # what is imported on the way must be read before
        for file in ("more.csv", "more.json"):
            (folder / file).touch()
        for file in ("more.csv", "more.json", "p1.jpg", "p2.xml"):
            (folder / file).chmod(0)
        root = os.geteuid() == 0
        if root:  # may read everything: be somebody else for a moment
            os.seteuid(65534)
        try:
            found = survey(folder, Rules(), Workers(None, 1)).findings
        finally:
            if root:
                os.seteuid(0)
    assert [one.file for one in found if one.kind == "file-unreadable"] == [
        "more.csv", "more.json", "p1.jpg", "p2.xml"
    ]  # fmt: skip


@pytest.mark.parametrize("processes", ["1", "2"])
def test_ctrl_c_ends_a_conversion_and_leaves_nothing(tmp_path: Path, processes: str) -> None:
    write_clean(tmp_path / "src")
    for number in range(5000):  # enough to be at it for seconds
        (tmp_path / f"src/again{number}.jpg").hardlink_to(tmp_path / "src/p01.jpg")
    process = subprocess.Popen(
        [PROGRAM, "dataset", "convert", "src", "out", "--workers", processes],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    while not any(tmp_path.glob(".out.*.part")):
        assert process.poll() is None
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: every process gets it
    _, told = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "stopped" in told
    assert [entry.name for entry in tmp_path.iterdir()] == ["src"]


def end_at_three(items: list[int]) -> int:
    if 3 in items:
        os._exit(9)
    return sum(items)


def fail_at_three(items: list[int]) -> int:
    if 3 in items:
        raise ValueError("three")
    return sum(items)


def test_results_come_in_order_and_a_lost_process_is_told() -> None:
    for count in (1, 2):
        with workers(count) as pool:
            assert list(pool.map(sum, list(range(100)), 7)) == [
                sum(range(n, min(n + 7, 100))) for n in range(0, 100, 7)
            ]
            with pytest.raises(ValueError, match="three"):
                list(pool.map(fail_at_three, list(range(9)), 2))
    with workers(2) as pool, pytest.raises(EnvironmentFault, match="a working process was ended"):
        list(pool.map(end_at_three, list(range(9)), 2))


def test_the_processes_of_a_killed_program_end_with_it() -> None:
    code = (
        "from sealpin_training.parallel import workers\n"
        "with workers(2) as pool:\n"
        "    print(*pool.map(len, [1, 2], 1), flush=True)\n"
        "    input()\n"
    )
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", code], stdin=pipe, stdout=pipe, text=True) as program:
        assert program.stdout and program.stdout.readline() == "1 1\n"
        processes = psutil.Process(program.pid).children(recursive=True)
        assert len(processes) >= 2
        program.kill()
        _, left = psutil.wait_procs(processes, timeout=30)
    for process in left:
        process.kill()
    assert not left


@pytest.mark.parametrize("module", ["dataset", "train"])
def test_ctrl_c_while_the_program_is_loaded_ends_it_without_a_traceback(module: str) -> None:
    program = f"""
import builtins, os, signal
load = builtins.__import__
def interrupted(name, *rest):
    if name == {module!r}:
        os.kill(os.getpid(), signal.SIGINT)
    return load(name, *rest)
builtins.__import__ = interrupted
import sealpin.cli
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (-signal.SIGINT, "")


def test_ctrl_c_is_what_it_was_once_the_program_is_loaded() -> None:
    program = "import signal, sealpin.cli; assert signal.getsignal(signal.SIGINT) is signal.default_int_handler"
    subprocess.run([sys.executable, "-c", program], check=True)
