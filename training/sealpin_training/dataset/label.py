"""LabelImg, started so that it works on Python 3.10 and later and saves Pascal VOC XML beside each photo.

LabelImg 1.8.6 hands floats to Qt where Qt wants whole numbers, which Python rounded until 3.9 and refuses since 3.10:
the program aborts while a box is being drawn. Its painter and scroll bars are replaced here by ones that round; nothing
of the installed package is changed.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sealpin_edge.errors import EnvironmentFault, InputError

from .files import PHOTO_ENDINGS, find_files
from .formats import voc

DEFAULT_CLASS = "burr"


def label(photos: Path, classes: Sequence[str] = ()) -> None:
    """Open labelImg on a folder and wait until it is closed.

    `classes` is the list to choose from; else the classes that the folder's XML has, else burr. With one class every
    box gets it without a question. Raises InputError when the folder has no photos, EnvironmentFault when labelImg is
    not installed, there is no screen, or it ends with an error.
    """
    files = find_files(photos)
    if not files.photos:
        raise InputError("no photos here", where=str(photos), allowed="photos that end in " + ", ".join(PHOTO_ENDINGS))
    names = list(classes) or _classes_of(photos, files.labels.get(".xml", [])) or [DEFAULT_CLASS]
    if sys.platform == "linux" and not any(
        os.environ.get(key) for key in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")
    ):
        raise EnvironmentFault("there is no screen here", where="DISPLAY", advice="run this on a desktop, or ssh -X")
    with tempfile.TemporaryDirectory() as folder:
        class_file = Path(folder, "classes.txt")
        class_file.write_text("".join(f"{name}\n" for name in names), encoding="utf-8")
        done = subprocess.run(  # noqa: S603  our own program
            [sys.executable, "-m", __name__, str(photos.absolute()), str(class_file)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        )
    if done.returncode:
        told = [line for line in done.stderr.splitlines() if line.strip()]
        raise EnvironmentFault(
            "labelImg ended with an error",
            found="\n".join(told[-5:]) or f"exit code {done.returncode}",
            hint="pip install 'sealpin[label]' && sudo apt install libgl1 libxkbcommon-x11-0 libxcb-xinerama0 "
            "libxcb-icccm4 libxcb-image0 libxcb-keysyms1 libxcb-render-util0",
        )


def make_window(photos: str, class_file: str) -> tuple[Any, Any]:
    """The Qt application and labelImg's window, open on the folder `photos`."""
    import libs.canvas
    from labelImg import labelImg
    from PyQt5.QtGui import QPainter
    from PyQt5.QtWidgets import QApplication

    class WholePainter(QPainter):
        def drawLine(self, *edges: Any) -> None:
            super().drawLine(*map(round, edges))

        def drawRect(self, *edges: Any) -> None:
            super().drawRect(*map(round, edges))

        def drawText(self, *place_and_text: Any) -> None:
            x, y, text = place_and_text
            super().drawText(round(x), round(y), text)

    class Window(labelImg.MainWindow):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__(photos, class_file, None)
            self.scroll_bars: dict[Any, Any] = {way: _WholeBar(bar) for way, bar in self.scroll_bars.items()}
            self.set_format(labelImg.FORMAT_PASCALVOC)
            if len(self.label_hist) == 1:
                self.default_label_text_line.setText(self.label_hist[0])
                self.use_default_label_checkbox.setChecked(True)

        def set_zoom(self, value: float) -> None:
            super().set_zoom(round(value))

        def open_dir_dialog(self, _value: bool = False, dir_path: str | None = None, silent: bool = False) -> None:
            if silent:
                self.last_open_dir = dir_path  # else it opens the folder of the last time
            super().open_dir_dialog(_value, dir_path, silent)

        def load_file(self, file_path: str | None = None) -> Any:
            if file_path:
                self.default_save_dir = str(Path(file_path).absolute().parent)
            return super().load_file(file_path)

    libs.canvas.QPainter = WholePainter
    app = QApplication([labelImg.__appname__])
    app.setWindowIcon(labelImg.new_icon("app"))
    window = Window()
    if screen := app.primaryScreen():
        window.resize(screen.availableSize())  # without a window manager nothing is maximised
    window.showMaximized()
    return app, window


class _WholeBar:
    """A scroll bar whose value may be set to any number."""

    def __init__(self, bar: Any) -> None:
        self._bar = bar

    def setValue(self, value: float) -> None:
        self._bar.setValue(round(value))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._bar, name)


def _classes_of(photos: Path, files: Sequence[str]) -> list[str]:
    return sorted({item.name.strip() for file in files for item in voc.read(photos, file).objects})


if __name__ == "__main__":
    program, _window = make_window(*sys.argv[1:])
    sys.exit(program.exec_())
