"""Protobuf's text format into the dataclasses of schema.py.

Protobuf's own parser does the reading (comments, optional colons, numbers, line and column of an error); its message
types are made from the dataclasses at run time, since nobody packages the API's compiled protos. The text format
carries names, never field numbers, so the numbers given here are arbitrary.
"""

import dataclasses
import types
import typing
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Any

from sealpin_edge.errors import InputError

from .schema import Pipeline

_PACKAGE = "sealpin.recipe"
MAX_RECIPE_BYTES = 1 << 20


def read_pipeline(path: Path) -> Pipeline:
    """Read the `pipeline.config` at `path`.

    Raises InputError when the file is missing, is no text, has a syntax error, or names a field that sealpin does not
    know; the message has line and column.
    """
    from google.protobuf import text_format

    try:
        if path.stat().st_size > MAX_RECIPE_BYTES:
            raise InputError("this is too large for a recipe", where=str(path), allowed="a pipeline.config below 1 MB")
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise InputError(
            "no such recipe", where=str(path), hint="pipelines/ holds the recipes that come with sealpin"
        ) from None
    except (UnicodeDecodeError, IsADirectoryError):
        raise InputError(
            "this is not a text file", where=str(path), allowed="an Object Detection API pipeline.config"
        ) from None
    try:
        message = text_format.Parse(text, _message_class()())
    except text_format.ParseError as error:
        line, _, detail = str(error).partition(" : ")
        raise InputError(
            "this recipe cannot be read",
            where=f"{path}:{line}" if detail else str(path),
            found=(detail or str(error)).replace(_PACKAGE + ".", ""),
            allowed="fields of an SSD pipeline.config that sealpin knows (training/sealpin_training/recipe/schema.py)",
            hint="mend the line, or delete the field if the model can do without it",
        ) from None
    return typing.cast(Pipeline, _to_dataclass(Pipeline, message))


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
    return message_factory.MessageFactory(pool).GetPrototype(pool.FindMessageTypeByName(f"{_PACKAGE}.Pipeline"))


def _to_dataclass(cls: Any, message: Any) -> Any:
    def value(kind: Any, raw: Any) -> Any:
        if dataclasses.is_dataclass(kind):
            return _to_dataclass(kind, raw)
        return kind(raw)

    found = {}
    for name, hint in typing.get_type_hints(cls).items():
        kind, repeated = _inner(hint)
        if repeated:
            if raws := getattr(message, name):
                found[name] = tuple(value(kind, raw) for raw in raws)
        elif message.HasField(name):
            found[name] = value(kind, getattr(message, name))
    return cls(**found)
