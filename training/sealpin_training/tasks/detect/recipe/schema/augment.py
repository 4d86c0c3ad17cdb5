"""preprocessor.proto: the steps of data_augmentation_options."""

from dataclasses import dataclass

from .treatment import TINY, idle, within

_KEYPOINTS = "a dataset of boxes has no keypoints"


@dataclass(frozen=True)
class RandomHorizontalFlip:
    keypoint_flip_permutation: tuple[int, ...] = idle((), _KEYPOINTS)
    probability: float = within(0.5, 0, 1)


@dataclass(frozen=True)
class RandomVerticalFlip:
    keypoint_flip_permutation: tuple[int, ...] = idle((), _KEYPOINTS)
    probability: float = within(0.5, 0, 1)


@dataclass(frozen=True)
class RandomRotation90:
    keypoint_rot_permutation: tuple[int, ...] = idle((), _KEYPOINTS)
    probability: float = within(0.5, 0, 1)


@dataclass(frozen=True)
class RandomRotation:
    """sealpin's own: a turn by up to so many degrees either way, with the edge pixels repeated outside."""

    max_degrees: float = within(5.0, 0, 180)
    probability: float = within(1.0, 0, 1)


@dataclass(frozen=True)
class RandomPixelValueScale:
    minval: float = within(0.9, 0, 100)
    maxval: float = within(1.1, 0, 100, "minval")


@dataclass(frozen=True)
class RandomImageScale:
    min_scale_ratio: float = within(0.5, 0.01, 10)
    max_scale_ratio: float = within(2.0, 0.01, 10, "min_scale_ratio")


@dataclass(frozen=True)
class RandomRGBtoGray:
    probability: float = within(0.1, 0, 1)


@dataclass(frozen=True)
class RGBtoGray:
    pass


@dataclass(frozen=True)
class AdjustGamma:
    gamma: float = within(1.0, 0.01, 100)
    gain: float = within(1.0, 0.01, 100)


@dataclass(frozen=True)
class RandomAdjustBrightness:
    max_delta: float = within(0.2, 0, 1)


@dataclass(frozen=True)
class RandomAdjustContrast:
    min_delta: float = within(0.8, 0, 100)
    max_delta: float = within(1.25, 0, 100, "min_delta")


@dataclass(frozen=True)
class RandomAdjustHue:
    max_delta: float = within(0.02, 0, 0.5)


@dataclass(frozen=True)
class RandomAdjustSaturation:
    min_delta: float = within(0.8, 0, 100)
    max_delta: float = within(1.25, 0, 100, "min_delta")


@dataclass(frozen=True)
class RandomDistortColor:
    color_ordering: int = within(0, 0, 1)


@dataclass(frozen=True)
class RandomCropImage:
    min_object_covered: float = within(1.0, 0, 1)
    min_aspect_ratio: float = within(0.75, 0.001, 1000)
    max_aspect_ratio: float = within(1.33, 0.001, 1000, "min_aspect_ratio")
    min_area: float = within(0.1, TINY, 1)
    max_area: float = within(1.0, TINY, 1, "min_area")
    overlap_thresh: float = within(0.3, 0, 1)
    clip_boxes: bool = True
    random_coef: float = within(0.0, 0, 1)


@dataclass(frozen=True)
class RandomPadImage:
    min_image_height: int = within(0, 0, 10_000)
    min_image_width: int = within(0, 0, 10_000)
    max_image_height: int = within(0, 0, 10_000)
    max_image_width: int = within(0, 0, 10_000)
    pad_color: tuple[float, ...] = within((), 0, 255)


@dataclass(frozen=True)
class RandomBlackPatches:
    max_black_patches: int = within(10, 0, 1000)
    probability: float = within(0.5, 0, 1)
    size_to_image_ratio: float = within(0.1, 0, 1)


@dataclass(frozen=True)
class RandomJpegQuality:
    random_coef: float = within(0.0, 0, 1)
    min_jpeg_quality: int = within(0, 0, 100)
    max_jpeg_quality: int = within(100, 0, 100, "min_jpeg_quality")


@dataclass(frozen=True)
class SSDRandomCropOperation:
    min_object_covered: float = within(0.0, 0, 1)
    min_aspect_ratio: float = within(0.0, 0.001, 1000)
    max_aspect_ratio: float = within(0.0, 0.001, 1000, "min_aspect_ratio")
    min_area: float = within(0.0, TINY, 1)
    max_area: float = within(0.0, TINY, 1, "min_area")
    overlap_thresh: float = within(0.0, 0, 1)
    clip_boxes: bool = True
    random_coef: float = within(0.0, 0, 1)


@dataclass(frozen=True)
class SSDRandomCrop:
    operations: tuple[SSDRandomCropOperation, ...] = ()


@dataclass(frozen=True)
class PreprocessingStep:
    random_horizontal_flip: RandomHorizontalFlip | None = None
    random_vertical_flip: RandomVerticalFlip | None = None
    random_rotation90: RandomRotation90 | None = None
    random_rotation: RandomRotation | None = None
    random_pixel_value_scale: RandomPixelValueScale | None = None
    random_image_scale: RandomImageScale | None = None
    random_rgb_to_gray: RandomRGBtoGray | None = None
    rgb_to_gray: RGBtoGray | None = None
    adjust_gamma: AdjustGamma | None = None
    random_adjust_brightness: RandomAdjustBrightness | None = None
    random_adjust_contrast: RandomAdjustContrast | None = None
    random_adjust_hue: RandomAdjustHue | None = None
    random_adjust_saturation: RandomAdjustSaturation | None = None
    random_distort_color: RandomDistortColor | None = None
    random_crop_image: RandomCropImage | None = None
    random_pad_image: RandomPadImage | None = None
    random_black_patches: RandomBlackPatches | None = None
    random_jpeg_quality: RandomJpegQuality | None = None
    ssd_random_crop: SSDRandomCrop | None = None
