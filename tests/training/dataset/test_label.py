"""LabelImg as `sealpin label` starts it: a box is drawn with a mouse, saved, and read back."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from sealpin.cli import main
from sealpin_training.dataset.formats import voc
from tests.skips import not_installed

from .corpus import picture

PROGRAM = Path(sys.executable).with_name("sealpin")
DEADLINE_S = 60
REACH_SCREEN = "from PyQt5.QtWidgets import QApplication; QApplication([])"

NO_QT = "a library of Qt's is not installed: make packages"


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(3):
        picture(number, 600, 400).save(folder / f"p{number}.jpg")
    return folder


@pytest.fixture(scope="module")
def qt() -> None:
    """LabelImg finds the libraries that it loads."""
    if subprocess.run([sys.executable, "-c", "import labelImg.labelImg"], capture_output=True).returncode:
        pytest.skip(NO_QT)


@pytest.fixture
def screen(qt: None) -> Iterator[dict[str, str]]:
    """The environment of a virtual screen."""
    for program in ("Xvfb", "xdotool"):
        if shutil.which(program) is None:
            pytest.skip(not_installed(program))
    read, write = os.pipe()
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(write), "-screen", "0", "1280x900x24", "-nolisten", "tcp"],
        pass_fds=[write],
        stderr=subprocess.DEVNULL,
    )
    os.close(write)
    with os.fdopen(read) as told:
        display = f":{told.readline().strip()}"
    environment = {**os.environ, "DISPLAY": display}
    try:
        if subprocess.run([sys.executable, "-c", REACH_SCREEN], env=environment, capture_output=True).returncode:
            pytest.skip(NO_QT)
        yield environment
    finally:
        server.terminate()
        server.wait()


def drive(screen: dict[str, str], *words: str) -> str:
    done = subprocess.run(["xdotool", *words], env=screen, capture_output=True, text=True, timeout=DEADLINE_S)
    return done.stdout.strip()


def press_until(screen: dict[str, str], key: str, file: Path) -> None:
    """Press a key until labelImg has written the file: it takes keys only when it has come to rest."""
    end = time.monotonic() + DEADLINE_S
    while not file.exists():
        assert time.monotonic() < end, f"{file.name} was never written"
        drive(screen, "key", "--clearmodifiers", key)


def test_a_box_drawn_on_a_screen_is_saved_beside_its_photo(
    photos: Path, screen: dict[str, str], tmp_path: Path
) -> None:
    home = {**screen, "HOME": str(tmp_path)}
    label = subprocess.Popen(
        [PROGRAM, "label", photos, "--classes", "burr"], env=home, stdout=subprocess.PIPE, text=True
    )
    window = drive(screen, "search", "--sync", "--name", "labelImg .*p0").splitlines()[0]
    drive(screen, "windowfocus", "--sync", window)
    drive(screen, "key", "w")
    drive(screen, "mousemove", "420", "400", "mousedown", "1", "mousemove", "460", "440", "mousemove", "520", "470")
    drive(screen, "mouseup", "1", "key", "ctrl+plus", "keydown", "ctrl", "click", "4", "click", "5", "keyup", "ctrl")
    press_until(screen, "ctrl+s", photos / "p0.xml")
    drive(screen, "key", "d")
    press_until(screen, "space", photos / "p1.xml")
    drive(screen, "key", "ctrl+q")
    told, _ = label.communicate(timeout=DEADLINE_S)
    assert label.returncode == 0
    assert f"sealpin dataset check {photos}" in told
    (box,) = voc.read_boxes(photos / "p0.xml")
    assert box.category == "burr"
    assert box.xmax - box.xmin > 20 and box.ymax - box.ymin > 20
    assert voc.read_boxes(photos / "p1.xml") == ()
    checked = CliRunner().invoke(main, ["dataset", "check", str(photos), "--workers", "1"])
    assert checked.exit_code == 0, checked.output


DRAW = """
import sys
from PyQt5.QtCore import QEvent, QPointF, Qt
from PyQt5.QtGui import QMouseEvent
from sealpin_training.dataset.label import make_window

app, window = make_window(sys.argv[1], sys.argv[2])
app.processEvents()
window.display_label_option.setChecked(True)
window.toggle_paint_labels_option()
window.create_shape()
canvas = window.canvas

def mouse(kind, off, button):
    at = QPointF(canvas.width() / 2 + off, canvas.height() / 2 + off)
    app.sendEvent(canvas, QMouseEvent(kind, at, button, button, Qt.NoModifier))
    canvas.repaint()

mouse(QEvent.MouseMove, 0, Qt.NoButton)
mouse(QEvent.MouseButtonPress, 0, Qt.LeftButton)
for off in (11, 37, 71):
    mouse(QEvent.MouseMove, off, Qt.NoButton)
mouse(QEvent.MouseButtonRelease, 71, Qt.LeftButton)
window.zoom_request(240)
window.scroll_request(-77, Qt.Vertical)
canvas.repaint()
window.save_file()
"""


@pytest.mark.usefixtures("qt")
def test_drawing_zooming_and_scrolling_survive_python_3_11(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "classes.txt").write_text("burr\n")
    done = subprocess.run(
        [sys.executable, "-c", DRAW, photos, tmp_path / "classes.txt"],
        env={**os.environ, "QT_QPA_PLATFORM": "offscreen", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
    )
    assert done.returncode == 0, done.stderr
    (box,) = voc.read_boxes(photos / "p0.xml")
    assert box.category == "burr"


def test_without_a_screen_it_says_so(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for key in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"):
        monkeypatch.delenv(key, raising=False)
    told = CliRunner().invoke(main, ["label", str(photos)])
    assert told.exit_code == 3
    assert "no screen" in told.output


@pytest.mark.usefixtures("qt")
def test_an_error_of_labelimg_is_told(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QT_QPA_PLATFORM", "no-such-platform")
    told = CliRunner().invoke(main, ["label", str(photos)])
    assert told.exit_code == 3
    assert "no-such-platform" in told.output


def test_a_folder_without_photos_is_told(tmp_path: Path) -> None:
    told = CliRunner().invoke(main, ["label", str(tmp_path)])
    assert told.exit_code == 2
    assert "no photos here" in told.output
