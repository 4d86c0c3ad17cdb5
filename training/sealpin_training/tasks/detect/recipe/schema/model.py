"""model.proto, ssd.proto and what they hold: the network, its anchors, targets, losses and post-processing."""

from dataclasses import dataclass
from enum import Enum

from .layers import Hyperparams
from .treatment import LARGE, TINY, fixed, idle, within


class ScoreConverter(Enum):
    """What turns class logits into scores."""

    IDENTITY = 0
    SIGMOID = 1
    SOFTMAX = 2


class ResizeType(Enum):
    """How a photo is brought to the network's size."""

    BILINEAR = 0
    NEAREST_NEIGHBOR = 1
    BICUBIC = 2
    AREA = 3


class ExpectedLossWeights(Enum):
    """Ways to weigh negatives in the loss."""

    NONE = 0
    EXPECTED_SAMPLING = 1
    REWEIGHTING_UNMATCHED_ANCHORS = 2


@dataclass(frozen=True)
class FeaturePyramidNetworks:
    min_level: int = within(3, 2, 5)
    max_level: int = within(7, 2, 8, "min_level")
    additional_layer_depth: int = within(256, 1, 4096)


@dataclass(frozen=True)
class SsdFeatureExtractor:
    type: str = ""
    depth_multiplier: float = within(1.0, 0.01, 10)
    min_depth: int = within(16, 1, 4096)
    conv_hyperparams: Hyperparams | None = None
    override_base_feature_extractor_hyperparams: bool = False
    pad_to_multiple: int = fixed(1, "photos are not padded: the resizer's size is a multiple of 32 already")
    use_explicit_padding: bool = False
    use_depthwise: bool = False
    fpn: FeaturePyramidNetworks | None = None
    replace_preprocessor_with_placeholder: bool = fixed(False, "photos are normalised as the extractor wants")
    num_layers: int = idle(6, "an FPN's levels are those of fpn { min_level max_level }")


@dataclass(frozen=True)
class FixedShapeResizer:
    height: int = 300
    width: int = 300
    resize_method: ResizeType = fixed(ResizeType.BILINEAR, "photos are resized bilinearly")
    convert_to_grayscale: bool = fixed(False, "photos keep their colours")


@dataclass(frozen=True)
class ImageResizer:
    fixed_shape_resizer: FixedShapeResizer | None = None


@dataclass(frozen=True)
class FasterRcnnBoxCoder:
    y_scale: float = within(10.0, 0.001, 1000)
    x_scale: float = within(10.0, 0.001, 1000)
    height_scale: float = within(5.0, 0.001, 1000)
    width_scale: float = within(5.0, 0.001, 1000)


@dataclass(frozen=True)
class BoxCoder:
    faster_rcnn_box_coder: FasterRcnnBoxCoder | None = None


@dataclass(frozen=True)
class ArgMaxMatcher:
    matched_threshold: float = within(0.5, 0, 1)
    unmatched_threshold: float = within(0.5, 0, 1)
    ignore_thresholds: bool = False
    negatives_lower_than_unmatched: bool = True
    force_match_for_each_row: bool = False
    use_matmul_gather: bool = idle(False, "a way to gather on TPUs")


@dataclass(frozen=True)
class Matcher:
    argmax_matcher: ArgMaxMatcher | None = None


@dataclass(frozen=True)
class IouSimilarity:
    pass


@dataclass(frozen=True)
class RegionSimilarityCalculator:
    iou_similarity: IouSimilarity | None = None


@dataclass(frozen=True)
class MultiscaleAnchorGenerator:
    min_level: int = within(3, 2, 5)
    max_level: int = within(7, 2, 8)
    anchor_scale: float = within(4.0, 0.01, 1000)
    aspect_ratios: tuple[float, ...] = within((), 0.001, 1000)
    scales_per_octave: int = within(2, 1, 32)
    normalize_coordinates: bool = idle(True, "anchors are the same boxes in either unit")


@dataclass(frozen=True)
class AnchorGenerator:
    multiscale_anchor_generator: MultiscaleAnchorGenerator | None = None


@dataclass(frozen=True)
class BoxEncodingsClipRange:
    min: float = within(0.0, -LARGE, LARGE)
    max: float = within(0.0, -LARGE, LARGE, "min")


@dataclass(frozen=True)
class WeightSharedConvolutionalBoxPredictor:
    conv_hyperparams: Hyperparams | None = None
    apply_conv_hyperparams_to_heads: bool = False
    apply_conv_hyperparams_pointwise: bool = False
    num_layers_before_predictor: int = within(0, 0, 64)
    depth: int = within(0, 1, 4096)
    kernel_size: int = within(3, 1, 31)
    box_code_size: int = fixed(4, "a box is four numbers")
    class_prediction_bias_init: float = within(0.0, -100, 100)
    use_dropout: bool = False
    dropout_keep_probability: float = within(0.8, 0.01, 1)
    share_prediction_tower: bool = False
    use_depthwise: bool = False
    score_converter: ScoreConverter = fixed(ScoreConverter.IDENTITY, "post_processing's score_converter is used alone")
    box_encodings_clip_range: BoxEncodingsClipRange | None = None


@dataclass(frozen=True)
class BoxPredictor:
    weight_shared_convolutional_box_predictor: WeightSharedConvolutionalBoxPredictor | None = None


@dataclass(frozen=True)
class SigmoidFocalClassificationLoss:
    anchorwise_output: bool = idle(False, "the API does not read it")
    gamma: float = within(2.0, 0, 100)
    alpha: float | None = within(None, TINY, 1)  # left out, the API weighs both kinds alike


@dataclass(frozen=True)
class ClassificationLoss:
    weighted_sigmoid_focal: SigmoidFocalClassificationLoss | None = None


@dataclass(frozen=True)
class SmoothL1LocalizationLoss:
    anchorwise_output: bool = idle(False, "the API does not read it")
    delta: float = within(1.0, TINY, LARGE)


@dataclass(frozen=True)
class LocalizationLoss:
    weighted_smooth_l1: SmoothL1LocalizationLoss | None = None


@dataclass(frozen=True)
class Loss:
    localization_loss: LocalizationLoss | None = None
    classification_loss: ClassificationLoss | None = None
    classification_weight: float = within(1.0, TINY, LARGE)
    localization_weight: float = within(1.0, 0, LARGE)
    expected_loss_weights: ExpectedLossWeights = fixed(ExpectedLossWeights.NONE, "all anchors weigh the same")
    min_num_negative_samples: float = idle(0.0, "only expected_loss_weights reads it")
    desired_negative_sampling_ratio: float = idle(3.0, "only expected_loss_weights reads it")


@dataclass(frozen=True)
class BatchNonMaxSuppression:
    score_threshold: float = within(0.0, 0, 0.999)
    iou_threshold: float = within(0.6, 0, 1)
    max_detections_per_class: int = within(100, 1, 10_000)
    max_total_detections: int = within(100, 1, 10_000)
    use_static_shapes: bool = idle(False, "a matter of TPUs: the detections are the same")
    use_class_agnostic_nms: bool = False
    max_classes_per_detection: int = fixed(1, "a box gets its best class")
    soft_nms_sigma: float = fixed(0.0, "overlapping boxes are dropped, not faded")
    use_partitioned_nms: bool = idle(False, "another way to the same detections")
    use_combined_nms: bool = idle(False, "another way to the same detections")
    change_coordinate_frame: bool = idle(True, "a stretched photo fills the network's input")
    use_hard_nms: bool = idle(False, "it is hard already")
    use_cpu_nms: bool = idle(False, "another way to the same detections")


@dataclass(frozen=True)
class PostProcessing:
    batch_non_max_suppression: BatchNonMaxSuppression | None = None
    score_converter: ScoreConverter = ScoreConverter.IDENTITY
    logit_scale: float = within(1.0, 0.001, 1000)


@dataclass(frozen=True)
class Ssd:
    num_classes: int = within(0, 1, 10_000)
    image_resizer: ImageResizer | None = None
    feature_extractor: SsdFeatureExtractor | None = None
    box_coder: BoxCoder | None = None
    matcher: Matcher | None = None
    similarity_calculator: RegionSimilarityCalculator | None = None
    encode_background_as_zeros: bool = False
    negative_class_weight: float = within(1.0, 0, LARGE)
    box_predictor: BoxPredictor | None = None
    anchor_generator: AnchorGenerator | None = None
    post_processing: PostProcessing | None = None
    normalize_loss_by_num_matches: bool = True
    normalize_loc_loss_by_codesize: bool = False
    loss: Loss | None = None
    freeze_batchnorm: bool = False
    inplace_batchnorm_update: bool = idle(False, "moving averages are always updated in the step")
    add_background_class: bool = fixed(True, "column 0 of the class scores is the background")
    explicit_background_class: bool = fixed(False, "labels do not hold the background")
    use_confidences_as_targets: bool = fixed(False, "labels are certain")
    implicit_example_weight: float = idle(1.0, "only use_confidences_as_targets reads it")
    return_raw_detections_during_predict: bool = idle(False, "it adds an output, and changes none")


@dataclass(frozen=True)
class DetectionModel:
    ssd: Ssd | None = None
