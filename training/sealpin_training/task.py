"""TF-Vision's RetinaNet task with sealpin's input: photos are stretched first, as the station does, then normalised.

TF-Vision normalises a photo at full size and resizes it afterwards; on photos of a megapixel that takes longer than the
training step itself. A random crop still sees the full photo.
"""

from typing import Any

from official.common import dataset_fn
from official.core import input_reader
from official.vision.dataloaders import tf_example_decoder
from official.vision.tasks import retinanet

from .augment import augmentations, crops
from .recipe import Recipe


class DetectionTask(retinanet.RetinaNetTask):  # type: ignore[misc]
    """RetinaNetTask's network, losses and steps, fed with photos that are augmented as the recipe says."""

    def __init__(self, recipe: Recipe, config: Any) -> None:
        """`config` is the task's part of `experiment_config(recipe, ...)`."""
        super().__init__(config)
        self._recipe = recipe

    def build_inputs(self, params: Any, input_context: Any = None) -> Any:
        """The training dataset: batches of normalised photos and anchor targets."""
        import tensorflow as tf

        model, parser = self.task_config.model, params.parser
        height, width = model.input_size[:2]
        decoder = tf_example_decoder.TfExampleDecoder()
        steps = augmentations(self._recipe)
        full_size = crops(self._recipe)
        assign_anchors = retinanet.retinanet_input.Parser(
            output_size=[height, width],
            min_level=model.min_level,
            max_level=model.max_level,
            num_scales=model.anchor.num_scales,
            aspect_ratios=model.anchor.aspect_ratios,
            anchor_size=model.anchor.anchor_size,
            dtype=params.dtype,
            match_threshold=parser.match_threshold,
            unmatched_threshold=parser.unmatched_threshold,
            box_coder_weights=model.detection_generator.box_coder_weights,
            max_num_instances=parser.max_num_instances,
            pad=parser.pad,
            keep_aspect_ratio=parser.keep_aspect_ratio,
        ).parse_fn(params.is_training)

        def decode(record: Any) -> Any:
            decoded = decoder.decode(record)
            if full_size:
                return decoded
            stretched = tf.cast(tf.round(tf.image.resize(decoded["image"], (height, width))), tf.uint8)
            return {**decoded, "image": stretched}

        def augment(decoded: Any) -> Any:
            photo, boxes = decoded["image"], decoded["groundtruth_boxes"]
            for step in steps:
                photo, boxes = step(photo, boxes)
            return assign_anchors({**decoded, "image": photo, "groundtruth_boxes": boxes})

        def augment_and_batch(dataset: Any, context: Any) -> Any:
            size = context.get_per_replica_batch_size(params.global_batch_size) if context else params.global_batch_size
            # Not in parallel: then the order of random draws, and with it the run, would hang on who is first. It takes
            # a tenth of a training step, and goes on beside it
            return dataset.map(augment).batch(size, drop_remainder=True)

        # What `params.cache` keeps in memory lies between the two: decoded and stretched, not yet augmented
        reader = input_reader.InputReader(
            params,
            dataset_fn=dataset_fn.pick_dataset_fn(params.file_type),
            decoder_fn=decode,
            transform_and_batch_fn=augment_and_batch,
        )
        return reader.read(input_context=input_context)
