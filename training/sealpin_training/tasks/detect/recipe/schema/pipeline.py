"""pipeline.proto, train.proto, optimizer.proto, input_reader.proto and eval.proto: a whole recipe."""

from dataclasses import dataclass
from enum import Enum

from .augment import PreprocessingStep
from .model import DetectionModel
from .treatment import LARGE, MOST_PHOTOS, MOST_RATE, MOST_STEPS, TINY, fixed, idle, within

_QUEUE = "the reader keeps its own queues"
_COMMAND_LINE = "paths are given on the command line: --dataset"
_NOT_BOXES = "a dataset of boxes has none"
_PICTURES = "it draws pictures, and scores nothing"


class CheckpointVersion(Enum):
    """TensorFlow version that wrote a fine-tune checkpoint."""

    UNKNOWN = 0
    V1 = 1
    V2 = 2


class MixedPrecision(Enum):
    """Type that convolutions compute in; weights stay float32."""

    NONE = 0
    BFLOAT16 = 1
    FLOAT16 = 2


class InstanceMaskType(Enum):
    """How masks are stored."""

    DEFAULT = 0
    NUMERICAL_MASKS = 1
    PNG_MASKS = 2


class InputType(Enum):
    """Kind of record."""

    INPUT_DEFAULT = 0
    TF_EXAMPLE = 1
    TF_SEQUENCE_EXAMPLE = 2


@dataclass(frozen=True)
class ConstantLearningRate:
    learning_rate: float = within(0.002, TINY, MOST_RATE)


@dataclass(frozen=True)
class ExponentialDecayLearningRate:
    initial_learning_rate: float = within(0.002, TINY, MOST_RATE)
    decay_steps: int = within(4_000_000, 1, MOST_STEPS)
    decay_factor: float = within(0.95, TINY, 1)
    staircase: bool = True
    burnin_learning_rate: float = within(0.0, 0, MOST_RATE)
    burnin_steps: int = within(0, 0, MOST_STEPS)
    min_learning_rate: float = within(0.0, 0, MOST_RATE)


@dataclass(frozen=True)
class LearningRateSchedule:
    step: int = within(0, 1, MOST_STEPS)
    learning_rate: float = within(0.002, 0, MOST_RATE)


@dataclass(frozen=True)
class ManualStepLearningRate:
    initial_learning_rate: float = within(0.002, 0, MOST_RATE)
    schedule: tuple[LearningRateSchedule, ...] = ()
    warmup: bool = False


@dataclass(frozen=True)
class CosineDecayLearningRate:
    learning_rate_base: float = within(0.002, TINY, MOST_RATE)
    total_steps: int = within(4_000_000, 1, MOST_STEPS)
    warmup_learning_rate: float = within(0.0002, 0, MOST_RATE)
    warmup_steps: int = within(10_000, 0, MOST_STEPS)
    hold_base_rate_steps: int = within(0, 0, MOST_STEPS)


@dataclass(frozen=True)
class LearningRate:
    constant_learning_rate: ConstantLearningRate | None = None
    exponential_decay_learning_rate: ExponentialDecayLearningRate | None = None
    manual_step_learning_rate: ManualStepLearningRate | None = None
    cosine_decay_learning_rate: CosineDecayLearningRate | None = None


@dataclass(frozen=True)
class RMSPropOptimizer:
    learning_rate: LearningRate | None = None
    momentum_optimizer_value: float = within(0.9, 0, 0.99999)
    decay: float = within(0.9, 0, 1)
    epsilon: float = within(1.0, TINY, LARGE)


@dataclass(frozen=True)
class MomentumOptimizer:
    learning_rate: LearningRate | None = None
    momentum_optimizer_value: float = within(0.9, 0, 0.99999)


@dataclass(frozen=True)
class AdamOptimizer:
    learning_rate: LearningRate | None = None
    epsilon: float = within(1e-8, TINY, LARGE)


@dataclass(frozen=True)
class Optimizer:
    rms_prop_optimizer: RMSPropOptimizer | None = None
    momentum_optimizer: MomentumOptimizer | None = None
    adam_optimizer: AdamOptimizer | None = None
    use_moving_average: bool = True
    moving_average_decay: float = within(0.9999, 0, 1)


@dataclass(frozen=True)
class TrainConfig:
    batch_size: int = within(32, 1, MOST_PHOTOS)
    data_augmentation_options: tuple[PreprocessingStep, ...] = ()
    sync_replicas: bool = idle(False, "replicas always step together")
    keep_checkpoint_every_n_hours: float = idle(10000.0, "the best and the last checkpoints are kept")
    optimizer: Optimizer | None = None
    gradient_clipping_by_norm: float = within(0.0, 0, LARGE)
    fine_tune_checkpoint: str = ""
    fine_tune_checkpoint_type: str = ""
    fine_tune_checkpoint_version: CheckpointVersion = idle(CheckpointVersion.V1, "a checkpoint shows its version")
    from_detection_checkpoint: bool = False
    load_all_detection_checkpoint_vars: bool = idle(False, "the API reads it in TensorFlow 1 only")
    run_fine_tune_checkpoint_dummy_computation: bool = idle(True, "the network is built before weights are loaded")
    num_steps: int = within(0, 1, MOST_STEPS)
    startup_delay_steps: float = idle(15.0, "replicas start together")
    bias_grad_multiplier: float = idle(0.0, "the API reads it in TensorFlow 1 only")
    update_trainable_variables: tuple[str, ...] = idle((), "all weights are trained, as the API does in TensorFlow 2")
    freeze_variables: tuple[str, ...] = idle((), "all weights are trained, as the API does in TensorFlow 2")
    replicas_to_aggregate: int = idle(1, "all replicas are always aggregated")
    batch_queue_capacity: int = idle(150, _QUEUE)
    num_batch_queue_threads: int = idle(8, _QUEUE)
    prefetch_queue_capacity: int = idle(5, _QUEUE)
    merge_multiple_label_boxes: bool = fixed(False, "each box has one label")
    use_multiclass_scores: bool = fixed(False, "labels are certain")
    add_regularization_loss: bool = True
    max_number_of_boxes: int = within(100, 1, 10_000)
    unpad_groundtruth_tensors: bool = idle(True, "padding never matches an anchor")
    retain_original_images: bool = idle(False, _PICTURES)
    use_bfloat16: bool = idle(False, "the API reads it on TPUs only; elsewhere it is mixed_precision: BFLOAT16")
    summarize_gradients: bool = idle(False, "it adds pictures to TensorBoard")
    # sealpin's own
    mixed_precision: MixedPrecision = MixedPrecision.NONE
    use_xla: bool = False
    precise_batch_norm: bool = False


@dataclass(frozen=True)
class TfRecordInputReader:
    input_path: tuple[str, ...] = idle((), _COMMAND_LINE)


@dataclass(frozen=True)
class InputReader:
    name: str = idle("", "a name")
    label_map_path: str = idle("", _COMMAND_LINE)
    shuffle: bool = idle(True, "training photos are always in random order, the others never")
    shuffle_buffer_size: int = idle(2048, "every epoch is a random order of all photos")
    filenames_shuffle_buffer_size: int = idle(100, "every epoch is a random order of all photos")
    num_epochs: int = idle(0, "num_steps says when training ends; an evaluation is one epoch")
    sample_1_of_n_examples: int = fixed(1, "all photos are used")
    num_readers: int = idle(64, _QUEUE)
    num_parallel_batches: int = idle(8, _QUEUE)
    num_prefetch_batches: int = idle(2, _QUEUE)
    queue_capacity: int = idle(2000, _QUEUE)
    min_after_dequeue: int = idle(1000, _QUEUE)
    read_block_length: int = idle(32, _QUEUE)
    prefetch_size: int = idle(512, _QUEUE)
    num_parallel_map_calls: int = idle(64, _QUEUE)
    drop_remainder: bool = idle(True, "an epoch's last photos go into a batch with the next epoch's first")
    num_additional_channels: int = fixed(0, "photos have three channels")
    num_keypoints: int = idle(0, _NOT_BOXES)
    max_number_of_boxes: int = idle(100, "train_config's max_number_of_boxes decides")
    load_multiclass_scores: bool = idle(False, _NOT_BOXES)
    load_context_features: bool = idle(False, _NOT_BOXES)
    load_context_image_ids: bool = idle(False, _NOT_BOXES)
    load_instance_masks: bool = idle(False, "an SSD without mask head does not read them")
    mask_type: InstanceMaskType = idle(InstanceMaskType.NUMERICAL_MASKS, _NOT_BOXES)
    load_dense_pose: bool = idle(False, _NOT_BOXES)
    load_track_id: bool = idle(False, _NOT_BOXES)
    load_keypoint_depth_features: bool = idle(False, _NOT_BOXES)
    use_display_name: bool = idle(False, "names are those of the dataset")
    include_source_id: bool = idle(False, "records hold it anyway")
    input_type: InputType = idle(InputType.TF_EXAMPLE, "`sealpin dataset convert` writes tf.train.Example")
    frame_index: int = idle(-1, _NOT_BOXES)
    use_keypoint_label_map: bool = idle(False, _NOT_BOXES)
    tf_record_input_reader: TfRecordInputReader | None = None
    sample_from_datasets_weights: tuple[float, ...] = fixed((), "a photo is drawn as often as any other")
    expand_labels_hierarchy: bool = fixed(False, "each box has its own label only")


@dataclass(frozen=True)
class EvalConfig:
    batch_size: int = idle(1, "it changes no figure")
    num_visualizations: int = idle(10, _PICTURES)
    num_examples: int = idle(5000, "the whole split is always evaluated")
    eval_interval_secs: int = idle(300, "`sealpin train --evaluate-every` counts in steps")
    max_evals: int = idle(0, "`sealpin train --evaluate-every` counts in steps")
    save_graph: bool = idle(False, _PICTURES)
    visualization_export_dir: str = idle("", _PICTURES)
    eval_master: str = idle("", "evaluation runs where training does")
    metrics_set: tuple[str, ...] = idle((), "COCO's metrics and the line's are always computed")
    export_path: str = idle("", _PICTURES)
    ignore_groundtruth: bool = idle(False, "an evaluation needs labels")
    use_moving_averages: bool = idle(False, "the averages are judged when train_config's optimizer keeps them")
    eval_instance_masks: bool = idle(False, _NOT_BOXES)
    min_score_threshold: float = idle(0.5, _PICTURES)
    max_num_boxes_to_visualize: int = idle(20, _PICTURES)
    skip_scores: bool = idle(False, _PICTURES)
    skip_labels: bool = idle(False, _PICTURES)
    visualize_groundtruth_boxes: bool = idle(False, _PICTURES)
    groundtruth_box_visualization_color: str = idle("black", _PICTURES)
    keep_image_id_for_visualization_export: bool = idle(False, _PICTURES)
    retain_original_images: bool = idle(True, _PICTURES)
    include_metrics_per_category: bool = idle(False, "`sealpin evaluate` has them by category")
    all_metrics_per_category: bool = idle(False, "`sealpin evaluate` has them by category")
    recall_lower_bound: float = idle(0.0, "COCO's metrics take the whole curve")
    recall_upper_bound: float = idle(1.0, "COCO's metrics take the whole curve")
    force_no_resize: bool = idle(False, "photos are resized as in training")
    use_dummy_loss_in_eval: bool = idle(False, "an evaluation computes no loss")
    retain_original_image_additional_channels: bool = idle(False, _PICTURES)
    image_classes_field_map_empty_to_ones: bool = idle(True, "every photo was looked at for every category")
    skip_predictions_for_unlabeled_class: bool = idle(False, "every photo was looked at for every category")


@dataclass(frozen=True)
class Pipeline:
    """A whole recipe (the API's TrainEvalPipelineConfig)."""

    model: DetectionModel | None = None
    train_config: TrainConfig | None = None
    train_input_reader: InputReader | None = None
    eval_config: EvalConfig | None = None
    eval_input_reader: tuple[InputReader, ...] = ()
