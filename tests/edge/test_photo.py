"""Photos from outside: what is decoded, what is refused before any decoder sees it, and in which words."""

import io
import json
import os
import re
import struct
import tempfile
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import event, given
from hypothesis import strategies as st
from PIL import Image

from sealpin.cli import main
from sealpin_edge.camera import make_camera
from sealpin_edge.camera.section import CameraSection
from sealpin_edge.errors import InputError, SealpinError
from sealpin_edge.model.jpeg import decode_jpeg
from sealpin_edge.model.photo import decode_photo, encode_jpeg, read_photo
from sealpin_edge.model.photo_header import FORMATS, MAX_PIXELS, read_header
from sealpin_edge.release.golden import GOLDEN_FILE, prove_on_golden
from sealpin_edge.tasks.model import Model
from sealpin_training.dataset.formats import voc
from sealpin_training.dataset.labels import Box
from sealpin_training.dataset.photos import inspect_photo, open_picture

from ..conftest import part_photo, write_parts
from .test_bundle import TEMPLATE

EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n(x) print\nshowpage\n%%EOF\n"
# The first bytes of formats that Pillow or OpenCV know, and that are not decoded
OTHERS = {
    "EPS": EPS,
    "EPS in a DOS wrapper": struct.pack("<I6I2x", 0xC6D3D0C5, 30, len(EPS), 0, 0, 0, 0) + EPS,
    "PDF": b"%PDF-1.4\n1 0 obj\n<< /Type /Catalog >>\n",
    "WMF": b"\xd7\xcd\xc6\x9a\0\0" + struct.pack("<4hH", 0, 0, 9, 9, 96),
    "FPX": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(504),
    "PPM": b"P6 2 2 255\n" + bytes(12),
    "Radiance": b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 1 +X 1\n" + bytes(4),
    "JPEG 2000": b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(64),
    "Sun raster": struct.pack(">8I", 0x59A66A95, 1, 1, 24, 4, 1, 0, 0) + bytes(4),
}  # fmt: skip


def encoded(kind: str, width: int, height: int, mode: str = "RGB") -> bytes:
    """A photo of noise, of one of FORMATS."""
    pixels = np.random.default_rng(width).integers(0, 255, (height, width, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(file, kind)
    return file.getvalue()


def png(width: int, height: int) -> bytes:
    """A PNG whose header promises so many pixels; its data are a few zeros."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(999))) + chunk(b"IEND", b"")


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_the_header_tells_what_the_decoder_finds(kind: str, mode: str) -> None:
    for width, height in ((1, 1), (3, 2), (37, 51), (300, 200)):
        data = encoded(kind, width, height, mode)
        assert read_header(data) == (kind, width, height)
        assert decode_photo(data).shape == (height, width, 3)


def test_the_other_ways_to_tell_a_size() -> None:
    pixels = Image.fromarray(np.zeros((51, 37, 3), np.uint8))
    for kind, options in (
        ("JPEG", {"progressive": True, "comment": b"\xff\xc0" * 9}),
        ("WEBP", {"lossless": True}),
        ("WEBP", {"exif": b"Exif\0\0MM\0*\0\0\0\x08\0\0"}),
    ):
        file = io.BytesIO()
        pixels.save(file, kind, **options)
        assert read_header(file.getvalue()) == (kind, 37, 51)
    upside_down = bytearray(encoded("BMP", 37, 51))
    upside_down[22:26] = struct.pack("<i", -51)
    assert read_header(bytes(upside_down)) == ("BMP", 37, 51)
    os2 = b"BM" + struct.pack("<IHHI", 32, 0, 0, 26) + struct.pack("<IHHHH", 12, 37, 51, 1, 24)
    assert read_header(os2) == ("BMP", 37, 51)


def test_other_formats_never_reach_a_decoder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, toy_model: Path) -> None:
    """By every way that a photo from outside takes; EPS would have Pillow start Ghostscript, which is laid out here."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/gs").write_text(f"#!/bin/sh\necho started >> {tmp_path}/started\nexit 1\n")
    (tmp_path / "bin/gs").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=":")
    photos = tmp_path / "photos"
    write_parts(photos, [[("PR", 1, 1)]])
    voc.write(photos / "part_000.xml", "part_000.jpg", 256, 256, [Box("PR", 32, 32, 64, 64)])
    for kind, data in OTHERS.items():
        (photos / f"{kind}.jpg").write_bytes(data)
        assert read_header(data) is None
        with pytest.raises(InputError, match="no photo"):
            read_photo(photos / f"{kind}.jpg")
        assert [one.kind for one in inspect_photo(photos, f"{kind}.jpg").findings] == ["photo-unreadable"]
        with pytest.raises(OSError, match="cannot identify"):
            open_picture(data)
    for command in (
        ["dataset", "fix", str(photos), str(tmp_path / "fixed"), "--workers", "1"],
        ["predict", str(toy_model), str(photos)],
    ):
        said = CliRunner().invoke(main, command)
        assert said.exit_code == 0, said.output
    assert said.output.count("NOT INSPECTED") == len(OTHERS) + 1
    assert [path.name for path in (tmp_path / "fixed").glob("*.jpg")] == ["part_000.jpg"]
    assert not (tmp_path / "started").exists()


def jpeg(width: int, height: int) -> bytes:
    """A small JPEG whose header says that it is so large."""
    small, size = encoded("JPEG", 37, 51), struct.pack(">HH", 51, 37)
    assert small.count(size) == 1
    return small.replace(size, struct.pack(">HH", height, width))


@pytest.mark.parametrize(
    "bomb",
    [
        png(50_000, 50_000), b"BM" + bytes(12) + struct.pack("<Iii", 40, 30_000, -30_000), b"GIF89a\xff\xff\xff\xff",
        jpeg(60_000, 60_000), png(10_001, 10_000), jpeg(10_001, 10_000),
    ],
    ids=["PNG", "BMP", "GIF", "JPEG", "PNG that Pillow would open", "JPEG that Pillow would open"],
)  # fmt: skip
def test_a_small_file_of_a_huge_photo_is_refused_by_its_header(bomb: bytes, tmp_path: Path) -> None:
    header = read_header(bomb)
    assert header is not None and header.too_large
    (tmp_path / "bomb.png").write_bytes(bomb)
    with pytest.raises(InputError) as caught:
        read_photo(tmp_path / "bomb.png")
    assert caught.value.problem == "this photo is too large to open"
    assert caught.value.found == f"{header.width} x {header.height} pixels"
    assert caught.value.allowed == f"{MAX_PIXELS:,} pixels"
    assert [one.kind for one in inspect_photo(tmp_path, "bomb.png").findings] == ["photo-too-large"]


def test_a_photo_of_just_so_many_pixels_is_decoded_up_to_its_end() -> None:
    assert not read_header(png(10_000, 10_000)).too_large  # type: ignore[union-attr]
    assert read_header(png(10_001, 10_000)).too_large  # type: ignore[union-attr]


def test_a_file_too_large_for_any_photo_is_not_read_whole(tmp_path: Path) -> None:
    with open(tmp_path / "film.jpg", "wb") as file:
        file.truncate(40 << 30)
    with pytest.raises(InputError, match="42949672960 bytes"):
        read_photo(tmp_path / "film.jpg")


def test_predict_says_why_a_photo_was_not_inspected(tmp_path: Path, toy_model: Path) -> None:
    (tmp_path / "bomb.jpg").write_bytes(png(50_000, 50_000))
    (tmp_path / "part.png").write_bytes(encoded("PNG", 64, 64))
    (tmp_path / "a\nOK            b.jpg").write_bytes(b"junk")
    said = CliRunner().invoke(main, ["predict", str(toy_model), str(tmp_path)])
    assert said.exit_code == 0, said.output
    told = "this photo is too large to open, 50000 x 50000 pixels, allowed: 100,000,000 pixels"
    assert f"NOT INSPECTED bomb.jpg  {told}" in said.output
    assert "NOT INSPECTED a\\nOK            b.jpg  this photo cannot be read" in said.output


def test_what_stands_in_a_photos_place_is_not_inspected_and_no_golden_photo(tmp_path: Path, toy_model: Path) -> None:
    photos = tmp_path / "photos"
    (photos / "more").mkdir(parents=True)
    for path in (tmp_path / "bad.jpg", photos / "good.jpg"):
        path.write_bytes(encoded("JPEG", 64, 64))
    (photos / "link.jpg").symlink_to(tmp_path / "bad.jpg")
    (photos / "gone.jpg").symlink_to("nowhere.jpg")
    (photos / "gone.xml").symlink_to("nowhere.xml")
    os.mkfifo(photos / "pipe.jpg")
    said = CliRunner().invoke(main, ["predict", str(toy_model), str(photos), "--json"])
    verdicts = {one["photo"]: one["verdict"] for one in json.loads(said.stdout)["photos"]}
    assert verdicts == {"good.jpg": "OK", **dict.fromkeys(("link.jpg", "gone.jpg", "pipe.jpg"), "NOT INSPECTED")}
    (tmp_path / "station.toml").write_text(TEMPLATE)
    packed = ["bundle", "make", str(toy_model), "--station", str(tmp_path / "station.toml"), "--golden", str(photos)]
    told = CliRunner().invoke(main, [*packed, "--no-wheels", "--out", str(tmp_path / "b.sealpin")])
    assert told.exit_code == 2 and "this golden photo cannot be read" in told.output


@given(
    st.integers(0, 99), st.integers(60, 98), st.sampled_from((0x111111, 0x211111, 0x221111, 0x121111, 0x411111)),
    st.booleans(), st.sampled_from((0, 4)), st.floats(0, 1), st.sampled_from((0, 512)),
)  # fmt: skip
def test_check_and_station_find_the_same_holes_and_give_the_pixels_of_sound_photos(
    seed: int, quality: int, sampling: int, progressive: bool, restart: int, place: float, zeros: int
) -> None:
    """A copy that failed leaves zeros or nothing, with the end marker in its place."""
    pixels = np.random.default_rng(seed).normal(128, 30, (96, 128, 3)).clip(0, 255).astype(np.uint8)
    options = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, sampling]
    options += [cv2.IMWRITE_JPEG_PROGRESSIVE, int(progressive), cv2.IMWRITE_JPEG_RST_INTERVAL, restart]
    data = cv2.imencode(".jpg", pixels, options)[1].tobytes()
    assert np.array_equal(decode_photo(data), cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB))
    first, last = data.find(b"\xff\xda") + 20, len(data) - 700
    begin = first + int(place * (last - first))
    damaged = data[:begin] + bytes(zeros) + data[begin + 512 :]
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "part.jpg").write_bytes(damaged)
        found = {one.kind for one in inspect_photo(Path(folder), "part.jpg").findings}
    event("found" if found else "not found")
    if found:
        assert found <= {"photo-corrupt", "photo-truncated"}
        with pytest.raises(InputError, match="damaged JPEG"):
            decode_photo(damaged)
    else:
        decode_photo(damaged)


def test_what_only_fills_a_photo_up_is_no_damage_and_what_a_hole_leaves_over_is(tmp_path: Path) -> None:
    data = cv2.imencode(".jpg", np.random.default_rng(5).integers(0, 255, (96, 128, 3), np.uint8))[1].tobytes()
    for filler, damaged in ((bytes(99), False), (b"\xff" * 30, False), (b"\x01" * 20, False), (b"\x01\x02" * 20, True)):
        (tmp_path / "part.jpg").write_bytes(data[:-2] + filler + data[-2:])
        assert bool(inspect_photo(tmp_path, "part.jpg").findings) == damaged
        if damaged:
            with pytest.raises(InputError, match="extraneous bytes"):
                read_photo(tmp_path / "part.jpg")
        else:
            assert np.array_equal(read_photo(tmp_path / "part.jpg"), decode_photo(data))


def test_what_turbojpeg_does_not_decode_is_left_to_opencv(tmp_path: Path) -> None:
    """A 4:1:1 stream of one MCU is a 4:4:1 stream when its header says so: a column for a row."""
    pixels = np.random.default_rng(5).integers(0, 255, (8, 32, 3), np.uint8)
    data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, 0x411111])[1].tobytes()
    assert data.count(b"\x00\x08\x00\x20\x03\x01\x41") == 1
    column = data.replace(b"\x00\x08\x00\x20\x03\x01\x41", b"\x00\x20\x00\x08\x03\x01\x14")
    (tmp_path / "441.jpg").write_bytes(column)
    (tmp_path / "rare.jpg").write_bytes(column.replace(b"\x03\x01\x14", b"\x03\x01\x31"))
    (tmp_path / "cmyk.jpg").write_bytes(encoded("JPEG", 37, 51, "CMYK"))
    for name, shape, kinds in (
        ("441.jpg", (32, 8, 3), []), ("rare.jpg", (32, 8, 3), []), ("cmyk.jpg", (51, 37, 3), ["photo-cmyk"])
    ):  # fmt: skip
        assert decode_jpeg((tmp_path / name).read_bytes()) is None
        assert read_photo(tmp_path / name).shape == shape
        assert [one.kind for one in inspect_photo(tmp_path, name).findings] == kinds


def test_a_photo_with_a_hole_is_not_judged(tmp_path: Path, toy_model: Path) -> None:
    """By what judges photos from files: predict, the folder camera and golden photos."""
    data = encode_jpeg(part_photo(("PR", 2, 3)))
    (tmp_path / "part.jpg").write_bytes(data[: len(data) // 2] + bytes(512) + data[len(data) // 2 + 512 :])
    said = CliRunner().invoke(main, ["predict", str(toy_model), str(tmp_path)])
    assert said.exit_code == 0, said.output
    assert re.search(
        r"NOT INSPECTED part\.jpg  this photo cannot be read, \d+ bytes that are a damaged JPEG", said.output
    )
    camera = make_camera(CameraSection("folder", path=tmp_path), 1.0)
    with pytest.raises(SealpinError, match="damaged JPEG"):
        camera.capture()
    golden = {"photos": [{"photo": "part.jpg", "verdict": "OK", "detections": []}]}
    (tmp_path / GOLDEN_FILE).write_text(json.dumps(golden))
    model = Model(toy_model)
    with pytest.raises(InputError, match="damaged JPEG"):
        prove_on_golden(model, model.rule(), tmp_path)


def test_stray_bytes_before_the_frame_header_cost_no_time() -> None:
    for filler in (b"\xff", b"\xff\x01", b"\xff\0", b"\0"):
        assert read_header(b"\xff\xd8\xff\xe0\0\x02" + filler * 4_000_000) is None
    data = encoded("JPEG", 37, 51)
    assert read_header(data[:2] + b"\xff\xff\xff\0" + data[2:]) == ("JPEG", 37, 51)
