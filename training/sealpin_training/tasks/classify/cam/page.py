"""The page: `streamlit run page.py -- STORE DATASET RUN...`.

Streamlit runs it from top to bottom again with each click; networks and judgements are kept in between.
"""

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import streamlit as st

from sealpin_edge.display.overlay import heated
from sealpin_edge.errors import SealpinError
from sealpin_edge.model.photo import Photo
from sealpin_edge.tasks.finding import Edges
from sealpin_edge.tasks.heat import HOT_SHARE, hot_boxes
from sealpin_training.run import load_run
from sealpin_training.tasks.classify.cam import photos
from sealpin_training.tasks.classify.cam.look import Look
from sealpin_training.tasks.classify.cam.methods import METHODS, Explainer

ROWS = 6
TILE = 320  # pixels of a picture's longer side
LABELLED, HOT = (30, 110, 255), (255, 255, 255)
LIKELIEST = "the likeliest"


@st.cache_resource  # type: ignore[untyped-decorator]
def load(name: str) -> tuple[Any, Explainer]:
    """A run and its network."""
    run = replace(load_run(name, STORE), dataset=DATASET)
    return run, Explainer(run)


@st.cache_resource  # type: ignore[untyped-decorator]
def records_of(split: str) -> list[Any]:
    """The split's photos."""
    return photos.split_records(load(RUNS[0])[0], split)


@st.cache_data(show_spinner="judging the photos ...")  # type: ignore[untyped-decorator]
def judged(name: str, split: str) -> list[str]:
    """How a run judged a split's photos."""
    return photos.judged(load(name)[0], records_of(split))


@st.cache_data(show_spinner=False)  # type: ignore[untyped-decorator]
def worth(
    name: str, split: str, chosen: Sequence[int], look: Look, category: int | None, layer: str, hot: float
) -> Any:
    """What a run's maps are worth on some photos of a split."""
    records, bar = records_of(split), st.progress(0.0, f"{name}: maps of {len(chosen)} photos")
    found = photos.worth(load(name)[1], [records[one] for one in chosen], look, category, layer, hot, bar.progress)
    bar.empty()
    return found


def framed(photo: Photo, boxes: Sequence[Edges], colour: tuple[int, int, int]) -> Photo:
    """A photo at the page's size with boxes on it."""
    scale = TILE / max(photo.shape[:2])
    size = max(1, round(photo.shape[1] * scale)), max(1, round(photo.shape[0] * scale))
    tile = cv2.resize(photo, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    for box in boxes:
        xmin, ymin, xmax, ymax = (round(edge * scale) for edge in box)
        cv2.rectangle(tile, (xmin, ymin), (max(xmin, xmax - 1), max(ymin, ymax - 1)), colour, 2)
    return np.asarray(tile, np.uint8)


def main() -> None:
    """The page."""
    st.set_page_config(page_title="sealpin cam", layout="wide")
    st.title("Where the network looked")
    first, _ = load(RUNS[0])
    bar = st.sidebar
    split = bar.radio("Photos of", ("val", "test", "train"), horizontal=True)
    by = bar.selectbox("Judged by", RUNS) if len(RUNS) > 1 else RUNS[0]
    kinds = bar.multiselect("How they were judged", (photos.ESCAPE, photos.FALSE_REJECT, photos.NG, photos.OK))
    methods = bar.multiselect("Methods", tuple(METHODS), ["CAM"])
    category = bar.selectbox("What speaks for class", (LIKELIEST, *first.classes))
    number = None if category == LIKELIEST else first.classes.index(category)
    layers = dict.fromkeys(layer for name in RUNS for layer in load(name)[1].layers)
    layer = bar.selectbox("Layer that gradients are taken at", ("the last", *layers))
    hot = bar.slider("Boxes from this share of the hottest place", 0.05, 0.95, HOT_SHARE, 0.05)
    bar.subheader("What the network is shown")
    augmented = bar.checkbox("augmented as in training")
    seed = int(bar.number_input("drawn from", 0, 10**6, 0, disabled=not augmented))
    look = Look(
        seed if augmented else None,
        bar.slider("turned by degrees", -180, 180, 0),
        bar.checkbox("mirrored"),
        bar.slider("brightness", 0.2, 2.0, 1.0, 0.05),
        bar.slider("contrast", 0.2, 2.0, 1.0, 0.05),
    )
    records, verdicts = records_of(split), judged(by, split)
    counts = {kind: verdicts.count(kind) for kind in (photos.ESCAPE, photos.FALSE_REJECT, photos.NG, photos.OK)}
    st.write(f"{len(records)} photos of {split}: " + ", ".join(f"{count} {kind}" for kind, count in counts.items()))
    chosen = tuple(place for place, verdict in enumerate(verdicts) if not kinds or verdict in kinds)
    if not chosen:
        st.info("No photo was judged so.")
        return
    pages = -(-len(chosen) // ROWS)
    page = int(st.number_input(f"Page, of {pages}", 1, pages, 1))
    for place in chosen[(page - 1) * ROWS : page * ROWS]:
        row(records[place], verdicts[place], methods, look, number, layer, hot)
    st.subheader("Against labelled boxes")
    labelled = tuple(place for place in chosen if records[place].boxes)
    if not labelled:
        st.write("None of these photos has a labelled place.")
    elif st.toggle(f"measure on {len(labelled)} photos"):
        told = {name: worth(name, split, labelled, look, number, at(name, layer), hot) for name in RUNS}
        st.table(
            [
                {
                    "run": name,
                    "method": method,
                    "photos": one.photos,
                    "pointing game": f"{one.pointing:.3f}",
                    "mean IoU of boxes": f"{one.overlap:.3f}",
                }
                for name, by_method in told.items()
                for method, one in by_method.items()
                if method in methods
            ]
        )


def at(name: str, layer: str) -> str:
    """The layer of a run that is as large as the chosen one; the last where it has none such."""
    return layer if layer in load(name)[1].layers else ""


def row(
    record: Any, verdict: str, methods: Sequence[str], look: Look, number: int | None, layer: str, hot: float
) -> None:
    """A photo with its labelled boxes, and beside it the map of each run by each method."""
    classes = load(RUNS[0])[0].classes
    columns = st.columns(1 + len(RUNS) * len(methods))
    for place, name in enumerate(RUNS):
        seen = photos.see(load(name)[1], record, look, number, at(name, layer))
        height, width = seen.photo.shape[:2]
        if place == 0:
            caption = f"{record.name}: {record.category}, {verdict}"
            columns[0].image(framed(seen.photo, seen.boxes, LABELLED), caption, "stretch")
        likely = int(np.argmax(seen.probabilities))
        for index, method in enumerate(methods):
            heat = seen.maps[method]
            tile = framed(heated(seen.photo, heat), hot_boxes(heat, height, width, hot), HOT)
            caption = f"{name}, {method}: {classes[likely]} {seen.probabilities[likely]:.0%}"
            columns[1 + place * len(methods) + index].image(tile, caption, "stretch")


STORE, DATASET, RUNS = Path(sys.argv[1]), sys.argv[2], tuple(sys.argv[3:])
try:
    main()
except SealpinError as error:  # its words are made for a user
    st.error(str(error))
