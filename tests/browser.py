"""Chromium without a screen, driven over its DevTools protocol on a pipe: no package, no port."""

import base64
import json
import os
import select
import shutil
import subprocess
import tempfile
import threading
import time
from shlex import join
from typing import Any

import cv2
import numpy as np

from sealpin_edge.model.photo import Photo

WIDTH, HEIGHT = 1280, 800
ANSWER_S = 30.0
CHROMIUM = shutil.which("chromium") or ""


class Browser:
    """One page at a time. `faults` are the page's uncaught exceptions."""

    def __init__(self) -> None:
        self._profile = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        theirs, self._write = os.pipe()
        self._read, answers = os.pipe()
        command = [
            CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
            f"--user-data-dir={self._profile.name}", f"--window-size={WIDTH},{HEIGHT}", "--remote-debugging-pipe",
            "about:blank",
        ]  # fmt: skip
        self._process = subprocess.Popen(
            ["bash", "-c", f"exec {join(command)} 3<&{theirs} 4>&{answers}"],
            pass_fds=(theirs, answers),
            stderr=subprocess.DEVNULL,
        )
        os.close(theirs)
        os.close(answers)
        self._unread, self._number, self._session = b"", 0, ""
        self.faults: list[str] = []
        target = self._ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self._ask("Runtime.enable")
        self._ask("Emulation.setDeviceMetricsOverride", width=WIDTH, height=HEIGHT, deviceScaleFactor=1, mobile=False)

    def open(self, address: str) -> None:
        """Go to a page; also to one that does not answer."""
        self._ask("Page.navigate", url=address)

    def value(self, script: str) -> Any:
        """What an expression is on the page."""
        answer = self._ask("Runtime.evaluate", expression=script, returnByValue=True)
        return answer["result"].get("value")

    def wait_for(self, script: str, timeout_s: float = 20.0) -> float:
        """Wait until an expression is true on the page; returns the seconds that it took."""
        began = time.monotonic()
        while not self.value(script):
            assert time.monotonic() - began < timeout_s, f"{script} did not come; the page: {self.text()!r}"
            threading.Event().wait(0.02)
        return time.monotonic() - began

    def text(self) -> str:
        """All that the page says."""
        return str(self.value("document.body.innerText"))

    def picture(self) -> Photo:
        """The page as it is drawn."""
        data = base64.b64decode(self._ask("Page.captureScreenshot", format="png")["data"])
        return np.asarray(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB))

    def click(self, element: str) -> None:
        """Press the mouse on the middle of an element, a script's value, as a user does, once it is there."""
        self.wait_for(f"!!({element})")
        script = (
            f"(e => {{ e.scrollIntoView({{block: 'center'}}); return e.getBoundingClientRect().toJSON() }})({element})"
        )
        box = self.value(script)
        place = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}
        for kind in ("mousePressed", "mouseReleased"):
            self._ask("Input.dispatchMouseEvent", type=kind, button="left", clickCount=1, **place)

    def type(self, text: str) -> None:
        """Type into what has the focus, and press Enter."""
        self._ask("Input.insertText", text=text)
        for kind in ("keyDown", "keyUp"):
            self._ask(
                "Input.dispatchKeyEvent", type=kind, key="Enter", code="Enter", windowsVirtualKeyCode=13, text="\r"
            )

    def close(self) -> None:
        """End the browser."""
        self._process.kill()
        self._process.wait()
        os.close(self._read)
        os.close(self._write)
        self._profile.cleanup()

    def _ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while (answer := self._hear()).get("id") != self._number:
            if answer.get("method") == "Runtime.exceptionThrown":
                self.faults.append(str(answer["params"]["exceptionDetails"]))
        assert "error" not in answer, answer
        return dict(answer["result"])

    def _hear(self) -> dict[str, Any]:
        while b"\0" not in self._unread:
            assert select.select([self._read], [], [], ANSWER_S)[0], "the browser does not answer"
            data = os.read(self._read, 1 << 16)
            assert data, "the browser has ended"
            self._unread += data
        message, _, self._unread = self._unread.partition(b"\0")
        return dict(json.loads(message))


def colourful(picture: Photo) -> dict[str, float]:
    """Which share of a picture is green, and which red; yellow, orange and blue are neither."""
    red, green, blue = (picture[..., channel].astype(int) for channel in range(3))
    return {
        "green": float((green > 1.6 * np.maximum(red, blue) + 20).mean()),
        "red": float((red > 1.6 * np.maximum(green, blue) + 20).mean()),
    }
