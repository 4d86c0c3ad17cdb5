"""Faults of photos, not of their labels, entered into the corpus's table."""

import zlib
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from sealpin_training.dataset.formats import voc

from .corpus import HEIGHT, PHOTOS, PLANTS, WIDTH, box, encoded, labelled, picture, plants

__all__ = ["PLANTS"]


@plants("photo-mask", "masks/p01.png")
def a_mask_among_photos(folder: Path) -> None:
    (folder / "masks").mkdir()
    Image.new("P", (WIDTH, HEIGHT)).save(folder / "masks/p01.png")


@plants("photo-empty", "p01.jpg")
def an_empty_photo(folder: Path) -> None:
    (folder / "p01.jpg").write_bytes(b"")


@plants("photo-unreadable", "p01.jpg")
def a_page_instead_of_a_photo(folder: Path) -> None:
    (folder / "p01.jpg").write_text("<html>Not found</html>")


@plants("photo-truncated", "p01.jpg")
def a_photo_cut_off(folder: Path) -> None:
    data = (folder / "p01.jpg").read_bytes()
    (folder / "p01.jpg").write_bytes(data[: len(data) // 2])


@plants("photo-truncated", "p01.jpg")
def a_photo_without_its_last_bytes(folder: Path) -> None:
    (folder / "p01.jpg").write_bytes((folder / "p01.jpg").read_bytes()[:-2])


@plants("photo-truncated", "shot.png")
def a_png_cut_off(folder: Path) -> None:
    data = encoded(picture(906), "PNG")
    (folder / "shot.png").write_bytes(data[: len(data) // 2])


@plants("photo-corrupt", "p01.jpg")
def a_photo_with_bytes_overwritten(folder: Path) -> None:
    data = bytearray((folder / "p01.jpg").read_bytes())
    data[len(data) // 2 : len(data) // 2 + 6] = b"\xff\xff\x12\x00\xfa\x31"
    (folder / "p01.jpg").write_bytes(data)


@plants("photo-corrupt", "shot.png")
def a_png_with_a_wrong_check_sum(folder: Path) -> None:
    data = bytearray(encoded(picture(906), "PNG"))
    data[len(data) // 2] ^= 0xFF
    (folder / "shot.png").write_bytes(data)


@plants("photo-corrupt", "p01.jpg")
def a_photo_with_bytes_too_many(folder: Path) -> None:
    data = (folder / "p01.jpg").read_bytes()
    (folder / "p01.jpg").write_bytes(data[:-2] + bytes(range(1, 13)) + data[-2:])


@plants("photo-too-large", "huge.png")
def a_picture_that_unpacks_to_gigabytes(folder: Path) -> None:
    data = bytearray(encoded(Image.new("L", (8, 8)), "PNG"))
    data[16:24] = (50_000).to_bytes(4, "big") * 2
    data[29:33] = zlib.crc32(data[12:29]).to_bytes(4, "big")
    (folder / "huge.png").write_bytes(data)


@plants("photo-format", "shot.bmp")
def a_bmp(folder: Path) -> None:
    labelled(folder, "shot.bmp", encoded(picture(907), "BMP"))


@plants("photo-ending", "shot.jpg")
def a_png_called_jpg(folder: Path) -> None:
    labelled(folder, "shot.jpg", encoded(picture(908), "PNG"))


@plants("photo-animated", "shot.png")
def an_animation(folder: Path) -> None:
    labelled(folder, "shot.png", encoded(picture(909), "PNG", save_all=True, append_images=[picture(910)]))


@plants("photo-cmyk", "shot.jpg")
def a_photo_for_the_printer(folder: Path) -> None:
    labelled(folder, "shot.jpg", encoded(picture(911).convert("CMYK"), "JPEG"))


@plants("photo-16-bit", "shot.png")
def a_photo_of_16_bits(folder: Path) -> None:
    deep = np.asarray(picture(912).convert("L"), np.uint16) * 256
    labelled(folder, "shot.png", encoded(Image.fromarray(deep), "PNG"))


@plants("photo-16-bit", "shot.png")
def a_colour_photo_of_16_bits(folder: Path) -> None:
    deep = np.asarray(picture(912), np.uint16) * 256
    labelled(folder, "shot.png", cv2.imencode(".png", deep)[1].tobytes())


@plants("photo-alpha", "shot.png")
def a_photo_that_is_half_transparent(folder: Path) -> None:
    half = picture(913)
    half.putalpha(128)
    labelled(folder, "shot.png", encoded(half, "PNG"))


@plants("photo-grey", "shot.jpg")
def a_grey_photo(folder: Path) -> None:
    labelled(folder, "shot.jpg", encoded(picture(914).convert("L"), "JPEG"))


@plants("photo-rotated", "shot.jpg")
def a_photo_from_a_phone(folder: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    labelled(folder, "shot.jpg", encoded(picture(915), "JPEG", exif=exif), (HEIGHT, WIDTH))


@plants("photo-small", "shot.jpg")
def a_small_photo(folder: Path) -> None:
    labelled(folder, "shot.jpg", encoded(picture(916, 200, 160), "JPEG"), (200, 160))


@plants("photo-duplicate", "p50.jpg")
def the_same_photo_twice(folder: Path) -> None:
    (folder / "p50.jpg").write_bytes((folder / "p01.jpg").read_bytes())
    (folder / "p50.xml").write_text((folder / "p01.xml").read_text().replace("p01.", "p50."))


@plants("photo-duplicate-labels", "p50.jpg")
def the_same_photo_with_other_labels(folder: Path) -> None:
    (folder / "p50.jpg").write_bytes((folder / "p01.jpg").read_bytes())
    voc.write(folder / "p50.xml", "p50.jpg", WIDTH, HEIGHT, [box(7)])


@plants("photo-good-and-bad", "p50.jpg")
def a_good_part_that_is_a_bad_one_elsewhere(folder: Path) -> None:
    (folder / "p50.jpg").write_bytes((folder / "p01.jpg").read_bytes())
    voc.write(folder / "p50.xml", "p50.jpg", WIDTH, HEIGHT, [])


@plants("photo-near-duplicate", "p50.jpg")
def the_same_photo_saved_again(folder: Path) -> None:
    labelled(folder, "p50.jpg", encoded(Image.open(folder / "p01.jpg"), "JPEG", quality=60))


@plants("photo-near-duplicate", "p50.jpg")
def the_same_photo_brighter_and_smaller(folder: Path) -> None:
    smaller = Image.open(folder / "p01.jpg").resize((360, 324)).point(lambda value: value * 0.8 + 40)
    labelled(folder, "p50.jpg", encoded(smaller, "JPEG"), (360, 324))


def in_splits(folder: Path) -> None:
    """Move the clean photos into train and test."""
    for number in range(PHOTOS):
        home = folder / ("test" if number >= 36 else "train")
        home.mkdir(exist_ok=True)
        for ending in ("jpg", "xml"):
            (folder / f"p{number:02d}.{ending}").rename(home / f"p{number:02d}.{ending}")


@plants("photo-across-splits", "train/p01.jpg")
def the_same_photo_in_train_and_test(folder: Path) -> None:
    in_splits(folder)
    for ending in ("jpg", "xml"):
        (folder / f"test/p01.{ending}").write_bytes((folder / f"train/p01.{ending}").read_bytes())


@plants("photo-near-across-splits", "train/p01.jpg")
def nearly_the_same_photo_in_train_and_test(folder: Path) -> None:
    in_splits(folder)
    labelled(folder / "test", "p01.jpg", encoded(Image.open(folder / "train/p01.jpg"), "JPEG", quality=60))


@plants("photo-near-good-and-bad", "p98.jpg")
def a_brighter_copy_of_a_bad_part_called_good(folder: Path) -> None:
    voc.write(folder / "p98.xml", "p98.jpg", WIDTH, HEIGHT, [])
    brighter = np.asarray(Image.open(folder / "p01.jpg")).astype(np.int16) + 20
    Image.fromarray(np.clip(brighter, 0, 255).astype(np.uint8)).save(folder / "p98.jpg", quality=95)
