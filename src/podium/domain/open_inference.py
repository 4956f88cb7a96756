"""A model's metadata as the Open Inference Protocol (V2) has it."""

from collections.abc import Mapping, Sequence
from typing import Any

from podium.domain.signature import ColumnSchema, DataType, Schema

COLUMNS: Mapping[DataType, str] = {
    DataType.BOOLEAN: "BOOL", DataType.INTEGER: "INT32", DataType.LONG: "INT64", DataType.FLOAT: "FP32",
    DataType.DOUBLE: "FP64",
}  # fmt: skip
ARRAYS: Mapping[str, str] = {
    "bool": "BOOL", "float16": "FP16", "float32": "FP32", "float64": "FP64",
    **{f"{sign}int{bits}": f"{sign.upper()}INT{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)},
}  # fmt: skip


def outputs_of(schema: Schema | None) -> list[dict[str, Any]]:
    """Outputs, as `tensors_of`; but an only column without a name is a list of numbers to whoever asks."""
    told = tensors_of(schema, "output")
    if isinstance(schema, ColumnSchema) and len(schema.columns) == 1 and schema.columns[0].name is None:
        told[0]["shape"] = [-1]
    return told


def tensors_of(schema: Schema | None, unnamed: str) -> list[dict[str, Any]]:
    """Inputs or outputs: name, datatype and shape, -1 where a size varies. Whatever is no number or truth value is BYTES.

    Args:
        schema: None where the signature says nothing.
        unnamed: What an only tensor without a name is called, and columns without one begin with.
    """
    if schema is None:
        return []
    if isinstance(schema, ColumnSchema):
        return [
            {
                "name": f"{unnamed}-{i}" if column.name is None else str(column.name),
                "datatype": COLUMNS.get(column.type, "BYTES") if isinstance(column.type, DataType) else "BYTES",
                "shape": [-1, 1],
            }
            for i, column in enumerate(schema.columns)
        ]
    return [
        {
            "name": tensor.name or unnamed,
            "datatype": ARRAYS.get(tensor.dtype, "BYTES"),
            "shape": list(tensor.shape),
        }
        for tensor in schema.tensors
    ]


EXTENSIONS = ("binary_tensor_data", "model_repository", "parameters")
"""What of the protocol's extensions is here, as the server's metadata say."""


def server_metadata(version: str) -> dict[str, Any]:
    """The answer to `GET /v2`."""
    return {"name": "podium", "version": version, "extensions": list(EXTENSIONS)}


def model_metadata(name: str, model: Mapping[str, Any], versions: Sequence[str] = ()) -> dict[str, Any]:
    """The answer to `GET /v2/models/{name}`, from what the status says of what serves.

    Args:
        name: As clients know the model.
        model: `model` of the status.
        versions: All that may answer; without any the model's own.
    """
    inputs: Sequence[Any] = model["inputs"]
    outputs: Sequence[Any] = model["outputs"]
    return {
        "name": name,
        "versions": list(versions) or [model["version"]],
        "platform": f"mlflow_{model['flavor']}",
        "inputs": inputs,
        "outputs": outputs,
        "runtime": model["runtime"],
        "proof": model["proof"],
    }
