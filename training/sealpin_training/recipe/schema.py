"""What a recipe may say: the messages of the Object Detection API's `pipeline.config`, as frozen dataclasses.

Field names and defaults are those of the API's `object_detection/protos/*.proto` (TensorFlow Model Garden, research).
`None` stands for a message that the file leaves out. Only the SSD family is here; text.py derives the parser from
these classes, so a field that is added here can be read at once.
"""

from dataclasses import dataclass
from enum import Enum


class Activation(Enum):
    """Activation after a convolution."""

    NONE = 0
    RELU = 1
    RELU_6 = 2


class ScoreConverter(Enum):
    """What turns class logits into scores."""

    IDENTITY = 0
    SIGMOID = 1
    SOFTMAX = 2


class VarianceScalingMode(Enum):
    """Which fan a variance-scaling initialiser divides by."""

    FAN_IN = 0
    FAN_OUT = 1
    FAN_AVG = 2


class CheckpointVersion(Enum):
    """TensorFlow version that wrote a fine-tune checkpoint."""

    UNKNOWN = 0
    V1 = 1
    V2 = 2


@dataclass(frozen=True)
class L1Regularizer:
    weight: float = 1.0


@dataclass(frozen=True)
class L2Regularizer:
    weight: float = 1.0


@dataclass(frozen=True)
class Regularizer:
    l1_regularizer: L1Regularizer | None = None
    l2_regularizer: L2Regularizer | None = None


@dataclass(frozen=True)
class NormalInitializer:
    mean: float = 0.0
    stddev: float = 1.0


@dataclass(frozen=True)
class VarianceScalingInitializer:
    factor: float = 2.0
    uniform: bool = False
    mode: VarianceScalingMode = VarianceScalingMode.FAN_IN


@dataclass(frozen=True)
class Initializer:
    truncated_normal_initializer: NormalInitializer | None = None
    variance_scaling_initializer: VarianceScalingInitializer | None = None
    random_normal_initializer: NormalInitializer | None = None


@dataclass(frozen=True)
class BatchNorm:
    decay: float = 0.999
    center: bool = True
    scale: bool = False
    epsilon: float = 0.001
    train: bool = True


@dataclass(frozen=True)
class Hyperparams:
    regularizer: Regularizer | None = None
    initializer: Initializer | None = None
    activation: Activation = Activation.RELU
    batch_norm: BatchNorm | None = None
    regularize_depthwise: bool = False


@dataclass(frozen=True)
class FeaturePyramidNetworks:
    min_level: int = 3
    max_level: int = 7
    additional_layer_depth: int = 256


@dataclass(frozen=True)
class SsdFeatureExtractor:
    type: str = ""
    depth_multiplier: float = 1.0
    min_depth: int = 16
    conv_hyperparams: Hyperparams | None = None
    override_base_feature_extractor_hyperparams: bool = False
    pad_to_multiple: int = 1
    use_explicit_padding: bool = False
    use_depthwise: bool = False
    fpn: FeaturePyramidNetworks | None = None


@dataclass(frozen=True)
class FixedShapeResizer:
    height: int = 300
    width: int = 300


@dataclass(frozen=True)
class KeepAspectRatioResizer:
    min_dimension: int = 600
    max_dimension: int = 1024
    pad_to_max_dimension: bool = False


@dataclass(frozen=True)
class ImageResizer:
    fixed_shape_resizer: FixedShapeResizer | None = None
    keep_aspect_ratio_resizer: KeepAspectRatioResizer | None = None


@dataclass(frozen=True)
class FasterRcnnBoxCoder:
    y_scale: float = 10.0
    x_scale: float = 10.0
    height_scale: float = 5.0
    width_scale: float = 5.0


@dataclass(frozen=True)
class BoxCoder:
    faster_rcnn_box_coder: FasterRcnnBoxCoder | None = None


@dataclass(frozen=True)
class ArgMaxMatcher:
    matched_threshold: float = 0.5
    unmatched_threshold: float = 0.5
    ignore_thresholds: bool = False
    negatives_lower_than_unmatched: bool = True
    force_match_for_each_row: bool = False
    use_matmul_gather: bool = False


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
    min_level: int = 3
    max_level: int = 7
    anchor_scale: float = 4.0
    aspect_ratios: tuple[float, ...] = ()
    scales_per_octave: int = 2
    normalize_coordinates: bool = True


@dataclass(frozen=True)
class AnchorGenerator:
    multiscale_anchor_generator: MultiscaleAnchorGenerator | None = None


@dataclass(frozen=True)
class WeightSharedConvolutionalBoxPredictor:
    conv_hyperparams: Hyperparams | None = None
    num_layers_before_predictor: int = 0
    depth: int = 0
    kernel_size: int = 3
    box_code_size: int = 4
    class_prediction_bias_init: float = 0.0
    use_dropout: bool = False
    dropout_keep_probability: float = 0.8
    share_prediction_tower: bool = False
    use_depthwise: bool = False


@dataclass(frozen=True)
class BoxPredictor:
    weight_shared_convolutional_box_predictor: WeightSharedConvolutionalBoxPredictor | None = None


@dataclass(frozen=True)
class SigmoidFocalClassificationLoss:
    gamma: float = 2.0
    alpha: float = 0.0


@dataclass(frozen=True)
class ClassificationLoss:
    weighted_sigmoid_focal: SigmoidFocalClassificationLoss | None = None


@dataclass(frozen=True)
class SmoothL1LocalizationLoss:
    delta: float = 1.0


@dataclass(frozen=True)
class LocalizationLoss:
    weighted_smooth_l1: SmoothL1LocalizationLoss | None = None


@dataclass(frozen=True)
class Loss:
    localization_loss: LocalizationLoss | None = None
    classification_loss: ClassificationLoss | None = None
    classification_weight: float = 1.0
    localization_weight: float = 1.0


@dataclass(frozen=True)
class BatchNonMaxSuppression:
    score_threshold: float = 0.0
    iou_threshold: float = 0.6
    max_detections_per_class: int = 100
    max_total_detections: int = 100
    use_static_shapes: bool = False
    use_class_agnostic_nms: bool = False
    max_classes_per_detection: int = 1
    soft_nms_sigma: float = 0.0


@dataclass(frozen=True)
class PostProcessing:
    batch_non_max_suppression: BatchNonMaxSuppression | None = None
    score_converter: ScoreConverter = ScoreConverter.IDENTITY
    logit_scale: float = 1.0


@dataclass(frozen=True)
class Ssd:
    num_classes: int = 0
    image_resizer: ImageResizer | None = None
    feature_extractor: SsdFeatureExtractor | None = None
    box_coder: BoxCoder | None = None
    matcher: Matcher | None = None
    similarity_calculator: RegionSimilarityCalculator | None = None
    encode_background_as_zeros: bool = False
    negative_class_weight: float = 1.0
    box_predictor: BoxPredictor | None = None
    anchor_generator: AnchorGenerator | None = None
    post_processing: PostProcessing | None = None
    normalize_loss_by_num_matches: bool = True
    normalize_loc_loss_by_codesize: bool = False
    loss: Loss | None = None
    freeze_batchnorm: bool = False
    inplace_batchnorm_update: bool = False
    add_background_class: bool = True


@dataclass(frozen=True)
class DetectionModel:
    ssd: Ssd | None = None


@dataclass(frozen=True)
class RandomHorizontalFlip:
    probability: float = 0.5


@dataclass(frozen=True)
class RandomVerticalFlip:
    probability: float = 0.5


@dataclass(frozen=True)
class RandomRotation90:
    pass


@dataclass(frozen=True)
class RandomAdjustBrightness:
    max_delta: float = 0.2


@dataclass(frozen=True)
class RandomAdjustContrast:
    min_delta: float = 0.8
    max_delta: float = 1.25


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
class PreprocessingStep:
    random_horizontal_flip: RandomHorizontalFlip | None = None
    random_vertical_flip: RandomVerticalFlip | None = None
    random_rotation90: RandomRotation90 | None = None
    random_adjust_brightness: RandomAdjustBrightness | None = None
    random_adjust_contrast: RandomAdjustContrast | None = None
    random_crop_image: RandomCropImage | None = None


@dataclass(frozen=True)
class CosineDecayLearningRate:
    learning_rate_base: float = 0.002
    total_steps: int = 4_000_000
    warmup_learning_rate: float = 0.0002
    warmup_steps: int = 10_000
    hold_base_rate_steps: int = 0


@dataclass(frozen=True)
class LearningRate:
    cosine_decay_learning_rate: CosineDecayLearningRate | None = None


@dataclass(frozen=True)
class MomentumOptimizer:
    learning_rate: LearningRate | None = None
    momentum_optimizer_value: float = 0.9


@dataclass(frozen=True)
class AdamOptimizer:
    learning_rate: LearningRate | None = None
    epsilon: float = 1e-8


@dataclass(frozen=True)
class Optimizer:
    momentum_optimizer: MomentumOptimizer | None = None
    adam_optimizer: AdamOptimizer | None = None
    use_moving_average: bool = True
    moving_average_decay: float = 0.9999


@dataclass(frozen=True)
class TrainConfig:
    batch_size: int = 32
    data_augmentation_options: tuple[PreprocessingStep, ...] = ()
    sync_replicas: bool = False
    keep_checkpoint_every_n_hours: int = 1000
    optimizer: Optimizer | None = None
    gradient_clipping_by_norm: float = 0.0
    fine_tune_checkpoint: str = ""
    fine_tune_checkpoint_type: str = ""
    fine_tune_checkpoint_version: CheckpointVersion = CheckpointVersion.UNKNOWN
    num_steps: int = 0
    startup_delay_steps: float = 15
    replicas_to_aggregate: int = 1
    max_number_of_boxes: int = 100
    unpad_groundtruth_tensors: bool = True
    use_bfloat16: bool = False


@dataclass(frozen=True)
class TfRecordInputReader:
    input_path: tuple[str, ...] = ()


@dataclass(frozen=True)
class InputReader:
    label_map_path: str = ""
    shuffle: bool = True
    shuffle_buffer_size: int = 2048
    num_epochs: int = 0
    tf_record_input_reader: TfRecordInputReader | None = None


@dataclass(frozen=True)
class EvalConfig:
    batch_size: int = 1
    num_examples: int = 5000
    metrics_set: tuple[str, ...] = ()
    use_moving_averages: bool = False


@dataclass(frozen=True)
class Pipeline:
    """A whole recipe (the API's TrainEvalPipelineConfig)."""

    model: DetectionModel | None = None
    train_config: TrainConfig | None = None
    train_input_reader: InputReader | None = None
    eval_config: EvalConfig | None = None
    eval_input_reader: tuple[InputReader, ...] = ()
