"""preprocessor.proto: the steps of data_augmentation_options."""

from dataclasses import dataclass

from .treatment import idle

_KEYPOINTS = "a dataset of boxes has no keypoints"


@dataclass(frozen=True)
class RandomHorizontalFlip:
    keypoint_flip_permutation: tuple[int, ...] = idle((), _KEYPOINTS)
    probability: float = 0.5


@dataclass(frozen=True)
class RandomVerticalFlip:
    keypoint_flip_permutation: tuple[int, ...] = idle((), _KEYPOINTS)
    probability: float = 0.5


@dataclass(frozen=True)
class RandomRotation90:
    keypoint_rot_permutation: tuple[int, ...] = idle((), _KEYPOINTS)
    probability: float = 0.5


@dataclass(frozen=True)
class RandomRotation:
    """sealpin's own: a turn by up to so many degrees either way, with the edge pixels repeated outside."""

    max_degrees: float = 5.0
    probability: float = 1.0


@dataclass(frozen=True)
class RandomPixelValueScale:
    minval: float = 0.9
    maxval: float = 1.1


@dataclass(frozen=True)
class RandomImageScale:
    min_scale_ratio: float = 0.5
    max_scale_ratio: float = 2.0


@dataclass(frozen=True)
class RandomRGBtoGray:
    probability: float = 0.1


@dataclass(frozen=True)
class RGBtoGray:
    pass


@dataclass(frozen=True)
class AdjustGamma:
    gamma: float = 1.0
    gain: float = 1.0


@dataclass(frozen=True)
class RandomAdjustBrightness:
    max_delta: float = 0.2


@dataclass(frozen=True)
class RandomAdjustContrast:
    min_delta: float = 0.8
    max_delta: float = 1.25


@dataclass(frozen=True)
class RandomAdjustHue:
    max_delta: float = 0.02


@dataclass(frozen=True)
class RandomAdjustSaturation:
    min_delta: float = 0.8
    max_delta: float = 1.25


@dataclass(frozen=True)
class RandomDistortColor:
    color_ordering: int = 0


@dataclass(frozen=True)
class RandomCropImage:
    min_object_covered: float = 1.0
    min_aspect_ratio: float = 0.75
    max_aspect_ratio: float = 1.33
    min_area: float = 0.1
    max_area: float = 1.0
    overlap_thresh: float = 0.3
    clip_boxes: bool = True
    random_coef: float = 0.0


@dataclass(frozen=True)
class RandomPadImage:
    min_image_height: int = 0
    min_image_width: int = 0
    max_image_height: int = 0
    max_image_width: int = 0
    pad_color: tuple[float, ...] = ()


@dataclass(frozen=True)
class RandomBlackPatches:
    max_black_patches: int = 10
    probability: float = 0.5
    size_to_image_ratio: float = 0.1


@dataclass(frozen=True)
class RandomJpegQuality:
    random_coef: float = 0.0
    min_jpeg_quality: int = 0
    max_jpeg_quality: int = 100


@dataclass(frozen=True)
class SSDRandomCropOperation:
    min_object_covered: float = 0.0
    min_aspect_ratio: float = 0.0
    max_aspect_ratio: float = 0.0
    min_area: float = 0.0
    max_area: float = 0.0
    overlap_thresh: float = 0.0
    clip_boxes: bool = True
    random_coef: float = 0.0


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
