"""The operator's display as a native window, for a Pi without a browser: a program of its own, fed by the station.

OK, NG and NOT INSPECTED differ by colour, word and shape, as on the page.
"""

import contextlib
import json
import time
from http.client import HTTPException
from typing import Any

import numpy as np

from .ask import ask_station
from .errors import EnvironmentFault, InputError
from .photo import Photo, decode_photo

REFRESH_S = 0.1
STALE_S = 30.0
SILENT_S = 5.0
ASK_S = 2.0
WIDTH, HEIGHT = 1280, 720
SIDE, FOOT, RECENT = 360, 48, 64
ROOM = HEIGHT - FOOT - RECENT
SIGNS = {"OK": "OK", "NG": "NG", "NOT": "?"}
_COLOURS = {"OK": (0, 112, 47), "NG": (163, 13, 23), "NOT": (255, 255, 255)}
# Strokes on a square of 100, as on the page
_SHAPES = {
    "OK": [(14, 55), (40, 80), (86, 22)],
    "NG": [(20, 20), (80, 80), (50, 50), (80, 20), (20, 80)],
    "NOT": [(50, 10), (95, 88), (5, 88), (50, 10)],
}


def show(address: str) -> None:
    """Show the station at `address` (host:port) full screen until Escape or q. Raises EnvironmentFault."""
    import cv2

    try:
        cv2.namedWindow("sealpin", cv2.WINDOW_NORMAL)
        cv2.moveWindow("sealpin", 0, 0)
        cv2.resizeWindow("sealpin", WIDTH, HEIGHT)  # without a window manager nothing makes it full screen
        cv2.setWindowProperty("sealpin", cv2.WND_PROP_FULLSCREEN, cv2.WINDOW_FULLSCREEN)
    except cv2.error as error:
        raise EnvironmentFault(
            "OpenCV opens no window here",
            found=str(error).strip().splitlines()[-1],
            advice="on a desktop another build of OpenCV; without one, the page in a browser",
            hint="pip uninstall opencv-python-headless; pip install opencv-python",
        ) from None
    health: dict[str, Any] | None = None
    photo, shown, heard = None, "", time.monotonic()
    while cv2.waitKey(round(REFRESH_S * 1000)) not in (27, ord("q")):
        with contextlib.suppress(OSError, ValueError, HTTPException):
            health = json.loads(ask_station(address, "/health", ASK_S))
            heard = time.monotonic()
            if health["last"] and health["last"]["id"] != shown:
                shown, photo = health["last"]["id"], None
                with contextlib.suppress(OSError, InputError, HTTPException):
                    photo = decode_photo(ask_station(address, f"/photo/{shown}.jpg", ASK_S))
        screen = draw_screen(health, photo, time.monotonic() - heard)
        cv2.imshow("sealpin", cv2.cvtColor(screen, cv2.COLOR_RGB2BGR))
    cv2.destroyAllWindows()


def draw_screen(health: dict[str, Any] | None, photo: Photo | None, silent_s: float) -> Photo:
    """The screen, HEIGHT x WIDTH: marked photo, verdict, counters, and an alarm; `silent_s` since the last health."""
    import cv2

    screen = np.full((HEIGHT, WIDTH, 3), 17, np.uint8)
    last = health["last"] if health else None
    alarms = ["no connection to the station"] if health is None or silent_s > SILENT_S else health["alarms"]
    stale = False
    if health and last:
        stale = max(silent_s / SILENT_S, (last["age_s"] + silent_s) / STALE_S) > 1 or health["plc"] != "connected"
    if photo is not None:
        scale = min((WIDTH - SIDE) / photo.shape[1], ROOM / photo.shape[0])
        small = cv2.resize(photo, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        if stale:
            small = (small.mean(axis=2, keepdims=True) / 2).astype(np.uint8).repeat(3, axis=2)
        x, y = (WIDTH - SIDE - small.shape[1]) // 2, (ROOM - small.shape[0]) // 2
        screen[y : y + small.shape[0], x : x + small.shape[1]] = small
    _draw_side(screen[:ROOM, WIDTH - SIDE :], last, stale, silent_s)
    if health:
        _draw_recent(screen[ROOM : ROOM + RECENT], health["recent"])
        _text(screen, _foot(health), (16, HEIGHT - 16), 0.8, (238, 238, 238))
    if alarms:
        cv2.rectangle(screen, (0, 0), (WIDTH, 64), (255, 255, 255), -1)
        _text(screen, "; ".join(alarms), (16, 44), 1.2 if len(alarms) == 1 else 0.8, (0, 0, 0), 3)
    return screen


def _foot(health: dict[str, Any]) -> str:
    counts, box = health["counts"], health["outbox"]
    waiting = (box["photos"] or 0) + (box["results"] or 0)
    told = [
        f"{health['station']}   since {health['shift_since'][11:16]}",
        f"OK {counts['OK']}   NG {counts['NG']}   not inspected {counts['NOT INSPECTED']}",
        f"{waiting} waiting" if waiting else "",
        f"{box['aside']} refused" if box["aside"] else "",
        f"{health['lost']} lost" if health["lost"] else "",
        "photos are judged unchecked" if health["checks"] == "off" else "",
    ]
    return "   ".join(filter(None, told))


def _draw_recent(row: Photo, parts: list[dict[str, Any]]) -> None:
    import cv2

    for place, part in enumerate(parts):
        kind = part["verdict"].split()[0]
        corner, width = (8 + place * 63, 4), 58
        end = (corner[0] + width, corner[1] + RECENT - 8)
        cv2.rectangle(row, corner, end, _COLOURS[kind], -1)
        if kind == "NG":
            cv2.rectangle(row, corner, end, (255, 255, 255), 2)
        ink = (0, 0, 0) if kind == "NOT" else (255, 255, 255)
        _text(row, SIGNS[kind], (corner[0] + 12, corner[1] + 28), 0.8, ink)
        _text(row, part["part"][-6:], (corner[0] + 6, corner[1] + 48), 0.42, ink, 1)


def _draw_side(side: Photo, last: dict[str, Any] | None, stale: bool, silent_s: float) -> None:
    import cv2

    side[:] = (51, 51, 51)
    if last is None:
        _text(side, "no part yet", (80, 300), 1.0, (238, 238, 238))
        return
    kind = last["verdict"].split()[0]
    ink = (150, 150, 150) if stale else (0, 0, 0) if kind == "NOT" else (255, 255, 255)
    if not stale:
        side[:] = _COLOURS[kind]
        if kind == "NG":
            cv2.rectangle(side, (0, 0), (side.shape[1] - 1, side.shape[0] - 1), ink, 16)
    points = np.array(_SHAPES[kind], np.int32) * 2 + (side.shape[1] // 2 - 100, 90)
    cv2.polylines(side, [points.reshape(-1, 1, 2)], False, ink, 20, cv2.LINE_AA)
    if kind == "NOT":
        _text(side, "!", (side.shape[1] // 2 - 18, 245), 3.0, ink, 10)
        _text(side, "NOT", (100, 380), 2.4, ink, 7)
        _text(side, "INSPECTED", (20, 450), 1.9, ink, 6)
    else:
        _text(side, kind, (side.shape[1] // 2 - 80, 420), 3.6, ink, 14)
    found = last["reason"] or ", ".join(f"{one['category']} {one['score']:.0%}" for one in last["detections"][:3])
    _text(side, found, (24, 510), 0.8, ink)
    _text(side, f"{'old: ' if stale else ''}{last['age_s'] + silent_s:.0f} s ago", (24, 565), 0.8, ink)


def _text(
    image: Photo, text: str, place: tuple[int, int], size: float, colour: tuple[int, ...], thickness: int = 2
) -> None:
    import cv2

    cv2.putText(image, text, place, cv2.FONT_HERSHEY_SIMPLEX, size, colour, thickness, cv2.LINE_AA)
