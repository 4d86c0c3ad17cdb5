"""What a TFLite file is: inputs, outputs and their roles, quantisation, metadata, operators, and who can run it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ai_edge_litert import schema_py_generated as schema

from sealpin_edge.errors import InputError
from sealpin_edge.model.card import CARD_NAME, read_card
from sealpin_edge.model.runtime import load_interpreter, read_model
from sealpin_edge.model.tflite_file import DAMAGED, TfliteFile, read_tflite
from sealpin_edge.tasks.model import Model
from sealpin_edge.tasks.task import TASKS, task_of


def describe_model(
    path: Path, labels: Sequence[str] | None = None, good: Sequence[str] | None = None
) -> dict[str, Any]:
    """Everything that the file tells, for JSON. Raises InputError when it is no TFLite file."""
    data = read_model(path)
    file = read_tflite(data, str(path))
    card, refused, roles = None, "", dict[int, str]()
    try:
        roles |= TASKS[task_of(file, read_card(file, str(path)), str(path))](file, str(path)).roles
        card = Model(path, labels=labels, good=good).card
    except InputError as error:
        refused = ": ".join(text for text in (error.problem, error.found) if text)
    return {
        "file": str(path),
        "bytes": len(data),
        "task": card.task if card else None,
        **_graph(data, str(path), file, roles),
        "labels": list(card.classes if card else file.labels() or ()),
        "thresholds": dict(card.thresholds) if card else {},
        "good": list(card.good) if card else [],
        "notice": list(card.notice) if card else [],
        "metadata": {
            "inputs": [asdict(one) for one in file.input_metadata],
            "outputs": [asdict(one) for one in file.output_metadata],
            "files": sorted(file.files),
        },
        CARD_NAME: asdict(card) if card and CARD_NAME in file.files else None,
        "runs_on_station": not refused,
        "refused": refused,
    }


def _graph(data: bytes, name: str, file: TfliteFile, roles: Mapping[int, str]) -> dict[str, Any]:
    """Inputs, outputs, operators and quantisation, whether or not the runtime here understands them."""
    try:  # the sizes of custom operators' outputs, which only the runtime knows
        sizes = {one["index"]: one["shape"].tolist() for one in load_interpreter(data, name).get_output_details()}
    except InputError:
        sizes = {}
    try:
        model = schema.Model.GetRootAs(data, 0)
        graph = model.Subgraphs(0)
        tensors = [graph.Tensors(index) for index in range(graph.TensorsLength())]
        operators = Counter(
            _operator(model.OperatorCodes(graph.Operators(index).OpcodeIndex()))
            for index in range(graph.OperatorsLength())
        )
        inside = {_TYPES[one.Type()] for index, one in enumerate(tensors) if index not in file.inputs}
        return {
            "inputs": [_tensor(tensors[index], "photo" if len(file.inputs) == 1 else "") for index in file.inputs],
            "outputs": [
                _tensor(tensors[index], roles.get(index, "")) | ({"shape": sizes[index]} if index in sizes else {})
                for index in file.outputs
            ],
            "quantisation": " and ".join(sorted(inside & {"int8", "uint8", "float16"})) or "none",
            "operators": dict(operators.most_common()),
        }
    except DAMAGED as error:
        raise InputError("this is not a whole TFLite file", where=name, found=f"damaged: {error}") from None


def _tensor(tensor: Any, role: str) -> dict[str, Any]:
    quantised = tensor.Quantization()
    scales = quantised.ScaleLength() if quantised else 0
    return {
        "name": tensor.Name().decode("utf-8", "replace"),
        "type": _TYPES[tensor.Type()],
        "role": role,
        "shape": [tensor.Shape(axis) for axis in range(tensor.ShapeLength())],
        "scale": float(quantised.Scale(0)) if scales == 1 else 0.0,
        "zero_point": int(quantised.ZeroPoint(0)) if scales == 1 and quantised.ZeroPointLength() else 0,
    }


def _operator(code: Any) -> str:
    """An operator's name; older files have its number in a field of their own."""
    if code.CustomCode():
        return str(code.CustomCode().decode("utf-8", "replace"))
    number = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
    return _BUILTINS.get(number, f"operator {number}")


def _names(kind: type) -> dict[int, str]:
    return {value: name for name, value in vars(kind).items() if isinstance(value, int)}


_TYPES = {value: name.lower() for value, name in _names(schema.TensorType).items()}
_BUILTINS = _names(schema.BuiltinOperator)


def text(description: dict[str, Any]) -> str:
    """The description for a person."""
    lines = [f"{description['file']}: {description['bytes'] / 1e6:.2f} MB, quantised: {description['quantisation']}"]
    for kind in ("inputs", "outputs"):
        for one in description[kind]:
            quantised = f", scale {one['scale']:.6g}, zero point {one['zero_point']}" if one["scale"] else ""
            lines.append(f"  {kind[:-1]:<7} {one['type']} {one['shape']}{quantised}  {one['role']}  ({one['name']})")
    lines.append(f"  labels  {', '.join(description['labels']) or 'none in the file'}")
    if description["good"]:
        lines.append(f"  good    {', '.join(description['good'])}")
    for name, threshold in description["thresholds"].items():
        shown_only = ", shown only" if name in description["notice"] else ""
        lines.append(f"  threshold of {name}: {threshold:g}{shown_only}")
    for one in description["metadata"]["inputs"]:
        lines.append(f"  metadata: {one['name']}, mean {list(one['mean'])}, deviation {list(one['std'])}")
    if not any(one["mean"] for one in description["metadata"]["inputs"]) and description["runs_on_station"]:
        lines.append("  metadata: no normalisation; a station gives uint8 inputs bytes, others pixels in -1..1")
    outputs = [one["name"] for one in description["metadata"]["outputs"]]
    lines.append(f"  metadata: outputs {', '.join(outputs) or 'not described'}")
    lines.append(f"  files inside: {', '.join(description['metadata']['files']) or 'none'}")
    if card := description[CARD_NAME]:
        lines.append(f"  run {card['run']}, dataset {card['dataset_digest'][:12]}, sealpin {card['sealpin_version']}")
    operators = (f"{count} {name}" for name, count in description["operators"].items())
    lines.append(f"  operators: {', '.join(operators)}")
    lines.append(
        "a station can run it" if description["runs_on_station"] else f"no station can run it: {description['refused']}"
    )
    return "\n".join(lines)
