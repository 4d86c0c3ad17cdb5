"""Protobuf's text format into the dataclasses of schema/, and back.

Protobuf's own parser does the reading (comments, optional colons, numbers, line and column of an error); its message
types are made from the dataclasses at run time, since nobody packages the API's compiled protos. The text format
carries names, never field numbers, so the numbers given here are arbitrary.
"""

import dataclasses
import re
import types
import typing
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Any

from sealpin_edge.errors import InputError, in_words
from sealpin_edge.files import read_text

from .schema.pipeline import Pipeline

_PACKAGE = "sealpin.recipe"
MAX_RECIPE_BYTES = 1 << 20
# Parts of the API's pipeline.config that belong to other kinds of model or of training: fields of the same .proto files
_OTHER_FAMILIES = {
    "faster_rcnn": "Faster R-CNN",
    "center_net": "CenterNet",
    "experimental_model": "an experimental model",
    "bifpn": "EfficientDet (a bidirectional FPN)",
    "mask_head_config": "an SSD with masks",
    "spaghettinet_arch_name": "SpaghettiNet",
    "convolutional_box_predictor": "an SSD without FPN",
    "mask_rcnn_box_predictor": "Mask R-CNN",
    "rfcn_box_predictor": "R-FCN",
    "ssd_anchor_generator": "an SSD without FPN",
}
# Parts of an SSD without FPN that the API also takes in one with it, and what sealpin wants there
_FPN_HAS_INSTEAD = {
    "convolutional_box_predictor": "weight_shared_convolutional_box_predictor { ... }",
    "ssd_anchor_generator": "multiscale_anchor_generator { ... }",
}
_NOT_TRAINED = frozenset(
    {
        "keep_aspect_ratio_resizer",
        "identity_resizer",
        "conditional_shape_resizer",
        "pad_to_multiple_resizer",
        "group_norm",
        "keras_initializer_by_name",
        "mean_stddev_box_coder",
        "square_box_coder",
        "keypoint_box_coder",
        "bipartite_matcher",
        "neg_sq_dist_similarity",
        "ioa_similarity",
        "thresholded_iou_similarity",
        "grid_anchor_generator",
        "flexible_grid_anchor_generator",
        "calibration_config",
        "hard_example_miner",
        "random_example_sampler",
        "equalization_loss",
        "weighted_l2",
        "weighted_iou",
        "l1_localization_loss",
        "weighted_giou",
        "weighted_sigmoid",
        "weighted_softmax",
        "weighted_logits_softmax",
        "bootstrapped_sigmoid",
        "penalty_reduced_logistic_focal_loss",
        "weighted_dice_classification_loss",
        "normalize_image",
        "random_jitter_boxes",
        "random_crop_pad_image",
        "random_crop_to_aspect_ratio",
        "random_resize_method",
        "scale_boxes_to_pixel_coordinates",
        "resize_image",
        "subtract_channel_mean",
        "ssd_random_crop_pad",
        "ssd_random_crop_fixed_aspect_ratio",
        "ssd_random_crop_pad_fixed_aspect_ratio",
        "convert_class_logits_to_softmax",
        "random_absolute_pad_image",
        "random_self_concat_image",
        "autoaugment_image",
        "drop_label_probabilistically",
        "remap_labels",
        "random_downscale_to_target_pixels",
        "random_patch_gaussian",
        "random_square_crop_by_scale",
        "random_scale_crop_and_pad_to_square",
        "external_input_reader",
        "parameterized_metric",
        "super_categories",
        "keypoint_edge",
        "graph_rewriter",
        "keypoint_type_weight",
    }
)


def read_pipeline(path: Path) -> Pipeline:
    """Read the `pipeline.config` at `path`.

    Raises InputError when the file cannot be read, is no text, has a syntax error, or names a field that sealpin does
    not know; the message has line and column.
    """
    from google.protobuf import text_format

    try:
        if path.stat().st_size > MAX_RECIPE_BYTES:
            raise InputError("this is too large for a recipe", where=str(path), allowed="a pipeline.config below 1 MB")
        text = read_text(path)
    except FileNotFoundError:
        advice = "pipelines/ holds the recipes that come with sealpin; or write one"
        raise InputError(
            "no such recipe", where=str(path), advice=advice, hint="sealpin recipe new DATASET OUT"
        ) from None
    except OSError as error:
        raise InputError(
            "this recipe cannot be read",
            where=str(path),
            found=in_words(error),
            allowed="an Object Detection API pipeline.config",
        ) from None
    try:
        message = text_format.Parse(text, _message_class()())
    except text_format.ParseError as error:
        raise _refusal(path, text, str(error)) from None
    return typing.cast(Pipeline, _to_dataclass(Pipeline, message))


def pipeline_text(pipeline: Pipeline) -> str:
    """The pipeline.config that reads back as `pipeline`; fields that have their default are left out."""
    from google.protobuf import text_format

    return str(text_format.MessageToString(_to_message(pipeline, _message_class()())))


def _refusal(path: Path, text: str, error: str) -> InputError:
    line, _, detail = error.partition(" : ")
    where = f"{path}:{line}" if detail else str(path)
    found = (detail or error).replace(_PACKAGE + ".", "")
    unknown = re.search(r'has no field named "(\w+)"', found)
    name = unknown.group(1) if unknown else ""
    # What the parser met first may be a mere detail of another family
    families = [name] if name in _OTHER_FAMILIES else re.findall(r"^\s*(\w+)\s*:?\s*{", text, re.MULTILINE)
    family = next((one for one in families if one in _OTHER_FAMILIES), None)
    kind = re.search(r"\bfeature_extractor\s*:?\s*{[^{}]*?\btype\s*:\s*[\"'](\w*fpn\w*)[\"']", text)
    if name and family in _FPN_HAS_INSTEAD and kind:
        return InputError(
            f"this network has an FPN, and here a part that sealpin knows of {_OTHER_FAMILIES[family]} only",
            where=where,
            found=f"{family}, and a feature extractor {kind[1]}",
            allowed=_FPN_HAS_INSTEAD[family],
            advice="start from one of the recipes in pipelines/, or write one",
            hint="sealpin recipe new DATASET OUT",
        )
    if name and family:
        return InputError(
            f"this is a recipe for {_OTHER_FAMILIES[family]}",
            where=where,
            found=family,
            allowed="model { ssd { ... } } with an FPN: ssd_mobilenet_v2_fpn_keras or ssd_resnet50_v1_fpn_keras",
            advice="start from one of the recipes in pipelines/, or write one",
            hint="sealpin recipe new DATASET OUT",
        )
    if name in _NOT_TRAINED:
        return InputError(
            "the Object Detection API knows this field; sealpin does not train with it",
            where=where,
            found=name,
            advice="take it out, if the model can do without",
        )
    return InputError(
        "this recipe cannot be read",
        where=where,
        found=found,
        allowed="the text format of an Object Detection API pipeline.config",
        advice="mend the line; pipelines/ holds recipes to compare with",
    )


def _inner(hint: Any) -> tuple[Any, bool]:
    """The value type behind a field's annotation, and whether the field is repeated."""
    if typing.get_origin(hint) is tuple:
        return typing.get_args(hint)[0], True
    if isinstance(hint, types.UnionType):
        return typing.get_args(hint)[0], False
    return hint, False


@cache
def _message_class() -> Any:
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    proto = descriptor_pb2.FileDescriptorProto(name="sealpin_recipe.proto", package=_PACKAGE, syntax="proto2")
    scalar = {
        bool: descriptor_pb2.FieldDescriptorProto.TYPE_BOOL,
        int: descriptor_pb2.FieldDescriptorProto.TYPE_INT64,
        float: descriptor_pb2.FieldDescriptorProto.TYPE_DOUBLE,
        str: descriptor_pb2.FieldDescriptorProto.TYPE_STRING,
    }
    seen: set[type] = set()

    def add(cls: type) -> None:
        if cls in seen:
            return
        seen.add(cls)
        if issubclass(cls, Enum):
            # proto enum values share the scope of their enum's parent, so each enum gets a message around it
            holder = proto.message_type.add(name=cls.__name__ + "Holder").enum_type.add(name=cls.__name__)
            for member in cls:
                holder.value.add(name=member.name, number=member.value)
            return
        message = proto.message_type.add(name=cls.__name__)
        for number, (name, hint) in enumerate(typing.get_type_hints(cls).items(), start=1):
            kind, repeated = _inner(hint)
            field = message.field.add(name=name, number=number, label=3 if repeated else 1)
            if kind in scalar:
                field.type = scalar[kind]
            elif issubclass(kind, Enum):
                field.type, field.type_name = field.TYPE_ENUM, f".{_PACKAGE}.{kind.__name__}Holder.{kind.__name__}"
                add(kind)
            else:
                field.type, field.type_name = field.TYPE_MESSAGE, f".{_PACKAGE}.{kind.__name__}"
                add(kind)

    add(Pipeline)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(proto)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.Pipeline"))


@cache  # a recipe has forty messages, and Python looks through the classes anew each time
def _hints(cls: Any) -> dict[str, Any]:
    return typing.get_type_hints(cls)


def _to_dataclass(cls: Any, message: Any) -> Any:
    def value(kind: Any, raw: Any) -> Any:
        if dataclasses.is_dataclass(kind):
            return _to_dataclass(kind, raw)
        return kind(raw)

    found = {}
    for name, hint in _hints(cls).items():
        kind, repeated = _inner(hint)
        if repeated:
            if raws := getattr(message, name):
                found[name] = tuple(value(kind, raw) for raw in raws)
        elif message.HasField(name):
            found[name] = value(kind, getattr(message, name))
    return cls(**found)


def _to_message(value: Any, message: Any) -> Any:
    for field in dataclasses.fields(value):
        content = getattr(value, field.name)
        if content is None or content == field.default:
            continue
        if not isinstance(content, tuple):
            if dataclasses.is_dataclass(content):
                getattr(message, field.name).SetInParent()
                _to_message(content, getattr(message, field.name))
            else:
                setattr(message, field.name, content.value if isinstance(content, Enum) else content)
            continue
        for item in content:
            if dataclasses.is_dataclass(item):
                _to_message(item, getattr(message, field.name).add())
            else:
                getattr(message, field.name).append(item)
    return message
