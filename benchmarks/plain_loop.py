"""The loop that every tutorial has: parse XML, read the photo's bytes, write a tf.train.Example. It checks nothing.

    .venv/bin/python benchmarks/plain_loop.py SRC OUT.tfrecord

Prints the seconds that the loop took, without the import of TensorFlow.
"""

import sys
import time
from pathlib import Path
from xml.etree import ElementTree

import tensorflow as tf


def example(photo: Path, xml: Path, labels: dict[str, int]) -> bytes:
    """One photo's tf.train.Example, serialized."""
    root = ElementTree.parse(xml).getroot()
    width, height = (int(root.findtext(f"size/{side}")) for side in ("width", "height"))
    edges: dict[str, list[float]] = {"xmin": [], "ymin": [], "xmax": [], "ymax": []}
    texts, numbers = [], []
    for item in root.iter("object"):
        name = item.findtext("name")
        texts.append(name.encode())
        numbers.append(labels.setdefault(name, len(labels) + 1))
        for edge, values in edges.items():
            values.append(float(item.findtext(f"bndbox/{edge}")) / (width if edge[0] == "x" else height))

    def of_bytes(*values: bytes) -> tf.train.Feature:
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))

    def of_ints(*values: int) -> tf.train.Feature:
        return tf.train.Feature(int64_list=tf.train.Int64List(value=values))

    feature = {
        "image/height": of_ints(height),
        "image/width": of_ints(width),
        "image/filename": of_bytes(photo.name.encode()),
        "image/source_id": of_bytes(photo.name.encode()),
        "image/encoded": of_bytes(photo.read_bytes()),
        "image/format": of_bytes(b"jpeg"),
        "image/object/class/text": of_bytes(*texts),
        "image/object/class/label": of_ints(*numbers),
    }
    for edge, values in edges.items():
        feature[f"image/object/bbox/{edge}"] = tf.train.Feature(float_list=tf.train.FloatList(value=values))
    return tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString()


def main() -> None:
    """Convert a folder with photos and XML side by side."""
    src, out = map(Path, sys.argv[1:])
    began = time.perf_counter()
    labels: dict[str, int] = {}
    with tf.io.TFRecordWriter(str(out)) as writer:
        for photo in sorted(src.glob("*.jpg")):
            writer.write(example(photo, photo.with_suffix(".xml"), labels))
    print(time.perf_counter() - began)


if __name__ == "__main__":
    main()
