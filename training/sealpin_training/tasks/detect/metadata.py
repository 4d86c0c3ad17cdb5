"""TFLite metadata of a detector's file, as the Task Library's ObjectDetector and MediaPipe read it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

OUTPUTS = {"location", "category", "score", "number of detections"}


def add_metadata(model: bytes, name: str, description: str, labels: Path, threshold: float) -> bytes:
    """The file with names, normalisation, output meanings and one threshold for all; `labels` is a label file.

    The graph takes a photo's bytes as they are, so the normalisation that others read is mean 0, deviation 1.
    """
    from tensorflow_lite_support.metadata import metadata_schema_py_generated as schema
    from tensorflow_lite_support.metadata.python.metadata_writers import metadata_info, object_detector, writer_utils

    class Score(metadata_info.ClassificationTensorMd):  # type: ignore[misc]
        """The writer's own has no place for a threshold."""

        def create_metadata(self) -> Any:
            found = super().create_metadata()
            unit = schema.ProcessUnitT()
            unit.optionsType = schema.ProcessUnitOptions.ScoreThresholdingOptions
            unit.options = schema.ScoreThresholdingOptionsT()
            unit.options.globalScoreThreshold = threshold
            found.processUnits = [unit]
            return found

    writer = object_detector.MetadataWriter.create_from_metadata_info(
        bytearray(model),
        metadata_info.GeneralMd(name=name, description=description),
        metadata_info.InputImageTensorMd(
            name="image",
            description="A photo's bytes, RGB",
            norm_mean=[0.0],
            norm_std=[1.0],
            color_space_type=schema.ColorSpaceType.RGB,
            tensor_type=writer_utils.get_input_tensor_types(bytearray(model))[0],
        ),
        output_category_md=metadata_info.CategoryTensorMd(
            name="category",
            description="The class of each box",
            label_files=[metadata_info.LabelFileMd(file_path=str(labels))],
        ),
        output_score_md=Score(name="score", description="The score of each box"),
    )
    return bytes(writer.populate())


def described(told: Mapping[str, Any], threshold: float) -> bool:
    """Whether outputs' metadata that were read back, by name, are what `add_metadata` writes."""
    score = told["score"].score_threshold if set(told) == OUTPUTS else None
    return score is not None and abs(score - threshold) < 1e-6  # it is kept as float32
