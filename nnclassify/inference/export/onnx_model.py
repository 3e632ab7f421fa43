"""The network as an ONNX model, with texts in and class names out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from nnclassify.errors import InputError, ModelError, one_line, root_cause
from nnclassify.inference.export.about import Comparison, Export, about
from nnclassify.inference.export.columns import TextColumn, codes_of_texts, input_name, is_text
from nnclassify.inference.export.examples import Batch
from nnclassify.inference.export.network import Kind
from nnclassify.inference.export.programs import program_of, quiet

TEXTS = "ai.onnx.ml"
"""The operators of ONNX that take and return texts."""
INNER = "network/"
"""The beginning of the names of all values inside a model of columns, so that none is the name of a column."""
LARGEST_FILE = 2**31 - 1
"""A protobuf file is no larger."""


def write_onnx(export: Export, path: Path) -> None:
    """Write an ONNX file.

    Raises:
        ModelError: ONNX or torch's exporter does not support the network.
    """
    import onnx

    program = program_of(export)
    try:
        with quiet():
            made = torch.onnx.export(
                program,
                input_names=["inputs"],
                output_names=["probabilities", "class_index"],
                dynamo=True,
                external_data=False,
                verbose=False,
            )
        assert made is not None
        model = made.model_proto
    except Exception as cause:
        why = one_line(root_cause(cause))  # the exporter's own message says whom to write to, in colors
        raise ModelError(f"--to onnx: torch's exporter does not support the network ({why})") from cause
    if model.ByteSize() > LARGEST_FILE:
        raise ModelError(f"--to onnx: {model.ByteSize() / 1e9:.1f} GB; an ONNX file holds at most 2 GB")
    if export.examples.taken.kind is Kind.COLUMNS:
        onnx.compose.add_prefix(model, INNER, inplace=True)
    _rename_ends(model, export)
    _describe(model, export)
    onnx.checker.check_model(model)
    onnx.save(model, path)


def _rename_ends(model: Any, export: Export) -> None:
    """Give inputs and outputs their names, texts for numbers where columns have texts, and names of the classes."""
    import onnx

    graph, kind = model.graph, export.examples.taken.kind
    answers = "labels" if export.classifier.is_multi_hot else "class_index"
    inner = INNER if kind is Kind.COLUMNS else ""
    renamed = {f"{inner}probabilities": "probabilities", f"{inner}class_index": answers}
    if kind is not Kind.COLUMNS:
        renamed["inputs"] = kind.value
    for node in graph.node:
        for names in (node.input, node.output):
            names[:] = [renamed.get(name, name) for name in names]
    for value in (*graph.input, *graph.output):
        value.name = renamed.get(value.name, value.name)
    if kind is Kind.COLUMNS:
        _take_columns(graph, export)
    if not export.classifier.is_multi_hot:
        names = export.classifier.class_names
        graph.node.append(
            onnx.helper.make_node(
                "LabelEncoder",
                [answers],
                ["class_name"],
                f"{INNER}class_name",
                domain=TEXTS,
                keys_int64s=range(len(names)),
                values_strings=names,
                default_string="",
            )
        )
        batch = graph.output[0].type.tensor_type.shape.dim[0].dim_param or "N"
        graph.output.append(onnx.helper.make_tensor_value_info("class_name", onnx.TensorProto.STRING, [batch]))
    model.opset_import.append(onnx.helper.make_opsetid(TEXTS, 3))


def _take_columns(graph: Any, export: Export) -> None:
    """Replace the one input of numbers by an input `(N, 1)` per column: texts for categories, numbers for the rest."""
    import onnx

    encoder = export.classifier.transform.encoder
    assert encoder is not None
    given = graph.input.pop()
    batch = given.type.tensor_type.shape.dim[0].dim_param or "N"
    nodes, parts = [], []
    for place, column in enumerate(encoder.columns):
        name = input_name(column.name)
        kind = onnx.TensorProto.STRING if is_text(column) else onnx.TensorProto.DOUBLE
        graph.input.append(onnx.helper.make_tensor_value_info(name, kind, [batch, 1]))
        if isinstance(column, TextColumn):
            codes, others = codes_of_texts(column)
            found, name = f"{INNER}code_{place}", f"{INNER}number_{place}"
            nodes.append(
                onnx.helper.make_node(
                    "LabelEncoder",
                    [input_name(column.name)],
                    [found],
                    domain=TEXTS,
                    keys_strings=list(codes),
                    values_floats=list(codes.values()),
                    default_float=others,
                )
            )
            nodes.append(onnx.helper.make_node("Cast", [found], [name], to=onnx.TensorProto.DOUBLE))
        parts.append(name)
    nodes.append(onnx.helper.make_node("Concat", parts, [given.name], axis=1))
    rest = list(graph.node)
    del graph.node[:]
    graph.node.extend([*nodes, *rest])


def _describe(model: Any, export: Export) -> None:
    told = about(export)
    entries = {
        "nnclassify": json.dumps(told),
        "classes": json.dumps(told["classes"]),
        "license": export.license or "not stated",
        "version": told["nnclassify"],
    }
    model.producer_name, model.producer_version = "nnclassify", told["nnclassify"]
    del model.metadata_props[:]
    for key, value in entries.items():
        model.metadata_props.add(key=key, value=value)


def compare_onnx(export: Export, path: Path) -> Comparison:
    """Load an ONNX file in onnxruntime and compare it with the classifier.

    Raises:
        InputError: It gives other answers, or onnxruntime does not take it.
    """
    import onnxruntime

    comparison = Comparison(export, "onnx")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        for batch in export.examples.batches:
            for count in {1, len(batch.inputs)}:
                probabilities, predictions, *_ = session.run(None, _feed(export, batch, count))
                comparison.add(torch.from_numpy(probabilities), torch.from_numpy(predictions), batch, count)
    except InputError:
        raise
    except Exception as cause:
        raise InputError(f"--to onnx: onnxruntime does not run the network ({one_line(cause)})") from cause
    return comparison


def _feed(export: Export, batch: Batch, count: int) -> dict[str, Any]:
    """Return what onnxruntime takes of the first examples of a batch."""
    import numpy as np

    encoder, kind = export.classifier.transform.encoder, export.examples.taken.kind
    if kind is not Kind.COLUMNS or encoder is None or batch.texts is None:
        return {kind.value: batch.inputs[:count].numpy()}
    columns = zip(encoder.columns, zip(*batch.texts[:count], strict=True), batch.inputs[:count].T, strict=True)
    return {
        input_name(column.name): np.array(texts, dtype=object)[:, None] if is_text(column) else codes[:, None].numpy()
        for column, texts, codes in columns
    }
