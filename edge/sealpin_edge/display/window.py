"""The operator's display as a native window, for a Pi without a browser: a program of its own, fed by the station.

It draws what the page does: the screen that the station has chosen (screen.py), by colour, word, shape and frame.
"""

import contextlib
import json
import time
import unicodedata
from datetime import datetime
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError

import numpy as np

from ..ask import ask_station
from ..errors import EnvironmentFault, InputError
from ..model.photo import Photo, decode_photo
from .screen import LOADING, NO_CONNECTION, SILENT_S, Look

# A station that is gone is told from one that answers within 2 s: SILENT_S, and what a question may take beyond it
REFRESH_S = 0.1
ASK_S = 0.35
WIDTH, HEIGHT = 1280, 800
SIDE, SIDE_IN_TROUBLE = 540, 920
RECENT, FOOT, BESIDE = 64, 116, 44
ROOM = HEIGHT - FOOT - RECENT
EVENTS = 3
RIM = 16
# At 1.0 a capital is some 21 pixels high: those of HUGE and BIG are read from 3 m, and those of PLAIN at 2 m
HUGE, BIG, PLAIN, SMALL = 4.8, 1.95, 1.5, 0.62
SIGNS = {"OK": "OK", "NG": "NG", "NOT": "?"}
Colour = tuple[int, int, int]
BLACK, WHITE, GREY = (0, 0, 0), (255, 255, 255), (119, 119, 119)
_FILL: dict[str, Colour] = {
    Look.OK: (0, 112, 47),
    Look.NG: (163, 13, 23),
    Look.NOT_INSPECTED: WHITE,
    Look.READY: (7, 32, 60),
    Look.BUSY: (51, 51, 51),
    Look.TROUBLE: (255, 210, 31),
}
_INK: dict[str, Colour] = {Look.NOT_INSPECTED: BLACK, Look.READY: (191, 224, 255), Look.TROUBLE: BLACK}
_PART: dict[str, Look] = {"OK": Look.OK, "NG": Look.NG, "NOT": Look.NOT_INSPECTED}
# Strokes on a square of 100, as on the page
_SHAPES: dict[str, list[list[tuple[int, int]]]] = {
    Look.OK: [[(14, 55), (40, 80), (86, 22)]],
    Look.NG: [[(20, 20), (80, 80)], [(80, 20), (20, 80)]],
    Look.NOT_INSPECTED: [[(50, 10), (95, 88), (5, 88), (50, 10)], [(50, 38), (50, 62)], [(50, 75), (50, 76)]],
    Look.READY: [[(50, 8), (50, 56)], [(26, 34), (50, 58), (74, 34)], [(8, 62), (8, 90), (92, 90), (92, 62)]],
    Look.BUSY: [
        [(22, 8), (78, 8)], [(22, 92), (78, 92)],
        [(30, 8), (30, 26), (70, 74), (70, 92)], [(70, 8), (70, 26), (30, 74), (30, 92)],
    ],
    Look.TROUBLE: [
        [(32, 6), (68, 6), (94, 32), (94, 68), (68, 94), (32, 94), (6, 68), (6, 32), (32, 6)],
        [(50, 26), (50, 56)], [(50, 74), (50, 75)],
    ],
}  # fmt: skip


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
                photo = None
                photo = _photo(address, health["last"]["id"])
                shown = health["last"]["id"]
        screen = draw_screen(health, photo, time.monotonic() - heard)
        cv2.imshow("sealpin", cv2.cvtColor(screen, cv2.COLOR_RGB2BGR))
    cv2.destroyAllWindows()


def _photo(address: str, part: str) -> Photo | None:
    """A part's marked photo, or None where there is none. Raises OSError when the station does not answer in time."""
    try:
        return decode_photo(ask_station(address, f"/photo/{part}.jpg", ASK_S))
    except (HTTPError, InputError):
        return None


def draw_screen(health: dict[str, Any] | None, photo: Photo | None, silent_s: float) -> Photo:
    """What is to be seen, HEIGHT x WIDTH; `silent_s` since `health`, None when there was none yet."""
    shown = LOADING if health is None else health["screen"]
    shown = NO_CONNECTION if silent_s > SILENT_S else shown
    screen = shown if isinstance(shown, dict) else vars(shown)
    look, last = screen["look"], health["last"] if health else None
    its_own = look in _PART.values()
    image = np.full((HEIGHT, WIDTH, 3), 17, np.uint8)
    room = image[:ROOM]
    if beside := "; ".join(screen.get("beside", ())):
        room[:BESIDE] = WHITE
        _text(room, beside, (12, 32), 1.0, BLACK)
        room = room[BESIDE:]
    edge = WIDTH - (SIDE_IN_TROUBLE if look == Look.TROUBLE else SIDE)
    if photo is not None:
        _draw_photo(room[:, :edge], photo, grey=not its_own)
    age = ""
    if last:
        age = _since(last["age_s"] + silent_s)
        age = age if its_own else f"last part: {last['verdict']}, {age}"
        part = _tail(last["part"], 10 if look == Look.TROUBLE else 20)
        _text(room, f"part {part}", (8, room.shape[0] - 12), PLAIN, WHITE)
    _draw_side(room[:, edge:], screen, age)
    if health:
        recent = image[ROOM : ROOM + RECENT]
        _draw_recent(recent, health["recent"])
        if look == Look.TROUBLE:
            recent[:] = (recent.mean(axis=2, keepdims=True) * 0.6).astype(np.uint8)
        _draw_foot(image[ROOM + RECENT :], health)
    return image


def _draw_photo(place: Photo, photo: Photo, *, grey: bool) -> None:
    import cv2

    height, width = place.shape[:2]
    scale = min(width / photo.shape[1], height / photo.shape[0])
    small = cv2.resize(photo, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)[:height, :width]
    if grey:
        small = (small.mean(axis=2, keepdims=True) * 0.6).astype(np.uint8)
    x, y = (width - small.shape[1]) // 2, (height - small.shape[0]) // 2
    place[y : y + small.shape[0], x : x + small.shape[1]] = small


def _since(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f}\u00a0s\u00a0ago"
    return f"{seconds // 60:.0f}\u00a0min\u00a0ago" if seconds < 7200 else f"{seconds // 3600:.0f}\u00a0h\u00a0ago"


def _tail(text: str, length: int) -> str:
    """The end of a long text: serials differ there."""
    return text if len(text) <= length else ".." + text[2 - length :]


def _draw_side(side: Photo, screen: dict[str, Any], age: str) -> None:
    """Shape and words, one below the other; smaller when there are so many that they do not fit."""
    import cv2

    look, height, width = screen["look"], side.shape[0], side.shape[1]
    ink = _INK.get(look, WHITE)
    rim = _draw_rim(side, look)
    word = HUGE if len(screen["word"]) <= 5 else 2.2
    texts = [(screen["word"], word), (screen["told"], BIG), (screen["advice"], PLAIN), (age, BIG)]
    shrink = 1.0
    while True:
        rows = [(line, size * shrink) for text, size in texts for line in _lines(text, size * shrink, width - 4 * rim)]
        figure = round((220 if look in (Look.OK, Look.NG, Look.READY, Look.BUSY) else 110) * shrink)
        free = height - 4 * rim - figure - sum(round(34 * size) for _, size in rows)
        if free >= 0 or shrink < 0.4:
            break
        shrink *= 0.95
    y = 2 * rim + max(0, free) // 3
    for stroke in _SHAPES[look]:
        points = np.array(stroke) * figure / 100 + ((width - figure) / 2, y)
        cv2.polylines(side, [points.astype(np.int32).reshape(-1, 1, 2)], False, ink, max(6, figure // 11), cv2.LINE_AA)
    y += figure + max(0, free) // 3
    for line, size in rows:
        y += round(34 * size)
        _text(side, line, ((width - _width(line, size)) // 2, y - round(8 * size)), size, ink)


def _draw_rim(side: Photo, look: str) -> int:
    """Fill the side, and frame it as its look is: none, white, dashed, or striped. Returns the frame's width."""
    import cv2

    height, width = side.shape[:2]
    side[:] = _FILL[look]
    inner = np.s_[RIM : height - RIM, RIM : width - RIM]
    if look == Look.NG:
        side[:] = WHITE
    elif look == Look.READY:
        side[:] = np.where((np.add.outer(np.arange(height), np.arange(width)) // 40 % 2)[..., None], _INK[look], side)
    elif look == Look.TROUBLE:
        for x in range(-height, width, 80):
            cv2.line(side, (x, height), (x + height, 0), BLACK, 28)
    side[inner] = _FILL[look]
    return RIM


def _draw_recent(row: Photo, parts: list[dict[str, Any]]) -> None:
    import cv2

    for place, part in enumerate(parts):
        kind = part["verdict"].split()[0]
        corner, width = (8 + place * 63, 4), 58
        end = (corner[0] + width, corner[1] + RECENT - 8)
        cv2.rectangle(row, corner, end, _FILL[_PART[kind]], -1)
        cv2.rectangle(row, corner, end, WHITE if kind == "NG" else GREY, 2)
        ink = _INK.get(_PART[kind], WHITE)
        _text(row, SIGNS[kind], (corner[0] + 12, corner[1] + 28), 0.8, ink)
        _text(row, part["part"][-6:], (corner[0] + 6, corner[1] + 48), 0.42, ink)


def _draw_foot(foot: Photo, health: dict[str, Any]) -> None:
    """The last events on the left, counters and what is in arrears on the right."""
    for place, event in enumerate(reversed(health["events"][-EVENTS:])):
        at = datetime.fromisoformat(event["at"]).astimezone()
        _text(
            foot[:, : WIDTH // 2 - 10],
            f"{at:%H:%M:%S} {event['kind']}: {event['text'].splitlines()[0]}",
            (12, 30 + 34 * place),
            SMALL,
        )
    counts, box = health["counts"], health["outbox"]
    waiting = (box["photos"] or 0) + (box["results"] or 0)
    told = [
        f"{waiting} waiting" if waiting else "",
        f"{health['missed_triggers']} missed" if health["missed_triggers"] else "",
        f"{box['aside']} refused" if box["aside"] else "",
        f"{health['lost']} lost" if health["lost"] else "",
        *health["hints"],
        *health["degraded_by"],
    ]
    rows = [
        f"{health['station'][:26]}   since {health['shift_since'][11:16]}",
        f"OK {counts['OK']}   NG {counts['NG']}   not inspected {counts['NOT INSPECTED']}",
        "   ".join(filter(None, told)),
    ]
    for place, text in enumerate(rows):
        _text(foot[:, WIDTH // 2 :], text, (12, 30 + 34 * place), SMALL)


def _lines(text: str, size: float, width: int) -> list[str]:
    """The text, broken into lines of at most that width where its words allow it."""
    lines: list[str] = []
    for word in text.split(" ") if text else ():
        if lines and _width(f"{lines[-1]} {word}", size) <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


def _width(text: str, size: float) -> int:
    import cv2

    return int(cv2.getTextSize(_plain(text), cv2.FONT_HERSHEY_SIMPLEX, size, _thickness(size))[0][0])


def _text(image: Photo, text: str, place: tuple[int, int], size: float, colour: Colour = (238, 238, 238)) -> None:
    import cv2

    cv2.putText(image, _plain(text), place, cv2.FONT_HERSHEY_SIMPLEX, size, colour, _thickness(size), cv2.LINE_AA)


def _thickness(size: float) -> int:
    return max(1, round(3 * size))


def _plain(text: str) -> str:
    """The text as OpenCV can write it: before its version 5 that is ASCII."""
    import cv2

    text = text.replace("\u00a0", " ")
    return (
        text
        if int(cv2.__version__.split(".")[0]) >= 5
        else unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    )
