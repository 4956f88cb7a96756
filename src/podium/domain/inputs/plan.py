"""The compiled input plan: which inputs a gateway may decode itself, and the records that it makes of them.

The plan follows from the signature alone. What fits it exactly travels as fixed-size records and texts; everything else
goes to the worker's reference codec as it came.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any, Literal

from podium.domain.signature import ColumnSchema, DataType, Signature, TensorSchema
from podium.errors import PodiumError

Kind = Literal["columns", "tensor", "tensors"]

TEXT = "string"
# Element types by name: struct's code, bytes. Columns use MLflow's names, tensors numpy's.
COLUMN_CODES: Mapping[str, tuple[str, int]] = {
    "double": ("d", 8), "long": ("q", 8), "float": ("f", 4), "integer": ("i", 4), "boolean": ("?", 1),
}  # fmt: skip
TENSOR_CODES: Mapping[str, tuple[str, int]] = {
    "float64": ("d", 8), "float32": ("f", 4), "float16": ("e", 2), "bool": ("?", 1),
    "int64": ("q", 8), "int32": ("i", 4), "int16": ("h", 2), "int8": ("b", 1),
    "uint64": ("Q", 8), "uint32": ("I", 4), "uint16": ("H", 2), "uint8": ("B", 1),
}  # fmt: skip

MOST_FIELDS = 4096
MOST_RECORD_BYTES = 2**20


class BrokenPlan(PodiumError):
    """What should be an input plan is none; whoever sent it is decoded for by the worker."""

    code = "BROKEN_PLAN"


@dataclass(frozen=True, slots=True)
class Field:
    """One input: a column, or a tensor of which a row has the `shape`.

    Args:
        name: None for the one tensor of a plan of kind `tensor`.
        type: A name in `COLUMN_CODES` or `string` for columns, in `TENSOR_CODES` for tensors.
        shape: Sizes of all axes but the first; empty for columns.
    """

    name: str | None
    type: str
    shape: tuple[int, ...] = ()

    @property
    def size(self) -> int:
        """Elements in one row."""
        return prod(self.shape)


@dataclass(frozen=True, slots=True)
class InputPlan:
    """Inputs that have the same number of bytes in every row, apart from texts.

    A record holds one row: all fields but the texts, little-endian, without padding, in the order of `record`. Records of
    several requests may be put one after another. Texts travel beside, row by row, in the fields' order.

    Args:
        kind: `columns` becomes a data frame, `tensor` an array, `tensors` a dict of arrays.
        fields: In the signature's order.
    """

    kind: Kind
    fields: tuple[Field, ...]

    @property
    def codes(self) -> Mapping[str, tuple[str, int]]:
        """The code in `struct` and the size of each element type."""
        return COLUMN_CODES if self.kind == "columns" else TENSOR_CODES

    @property
    def record(self) -> tuple[int, ...]:
        """Positions of the fields in a record: columns of one type stand together, the largest types first."""
        if self.kind != "columns":
            return tuple(range(len(self.fields)))
        order = list(COLUMN_CODES)
        numbers = [i for i, field in enumerate(self.fields) if field.type != TEXT]
        return tuple(sorted(numbers, key=lambda i: order.index(self.fields[i].type)))

    @property
    def texts(self) -> tuple[int, ...]:
        """Positions of the text fields."""
        return tuple(i for i, field in enumerate(self.fields) if field.type == TEXT)

    @property
    def record_bytes(self) -> int:
        """Bytes of one row's record."""
        codes = self.codes
        return sum(codes[field.type][1] * field.size for field in self.fields if field.type != TEXT)

    @property
    def texts_per_row(self) -> int:
        return len(self.texts)

    def to_json(self) -> dict[str, Any]:
        """The plan as a JSON object."""
        fields = [{"name": field.name, "type": field.type, "shape": list(field.shape)} for field in self.fields]
        return {"kind": self.kind, "fields": fields}

    @classmethod
    def from_json(cls, data: Any) -> "InputPlan":
        """Read a plan that came from a worker, which nobody has to believe.

        Raises:
            BrokenPlan: What is wrong with it.
        """
        if not isinstance(data, dict) or data.keys() != {"kind", "fields"} or not isinstance(data["fields"], list):
            raise BrokenPlan("An input plan is an object with `kind` and a list of `fields`; got something else.")
        if data["kind"] not in ("columns", "tensor", "tensors"):
            raise BrokenPlan("The kind of an input plan is columns, tensor or tensors; got something else.")
        plan = cls(data["kind"], tuple(_field_from_json(field) for field in data["fields"][: MOST_FIELDS + 1]))
        if why := _fault(plan):
            raise BrokenPlan(f"An input plan cannot be used: {why}.")
        return plan


def plan_for(signature: Signature | None) -> InputPlan | None:
    """The plan of a signature; None where its inputs have no fixed-size rows, no names, or too many of them.

    Optional columns are in it: a body that leaves one out does not fit.
    """
    if signature is None or signature.inputs is None or signature.is_from_type_hint:
        return None
    plan = _of_columns(signature.inputs) if isinstance(signature.inputs, ColumnSchema) else _of_tensors(signature.inputs)
    return None if plan is None or _fault(plan) else plan


def _of_columns(schema: ColumnSchema) -> InputPlan | None:
    fields = []
    for column in schema.columns:
        if not isinstance(column.type, DataType) or not isinstance(column.name, str):
            return None
        fields.append(Field(column.name, column.type.value))
    return InputPlan("columns", tuple(fields))


def _of_tensors(schema: TensorSchema) -> InputPlan | None:
    fields = []
    for tensor in schema.tensors:
        if tensor.shape[:1] != (-1,):
            return None
        fields.append(Field(tensor.name, tensor.dtype, tuple(tensor.shape[1:])))
    return InputPlan("tensors" if schema.is_named else "tensor", tuple(fields))


def _field_from_json(data: Any) -> Field:
    if not isinstance(data, dict) or data.keys() != {"name", "type", "shape"}:
        raise BrokenPlan("A field of an input plan is an object with `name`, `type` and `shape`; got something else.")
    name, kind, shape = data["name"], data["type"], data["shape"]
    is_shape = isinstance(shape, list) and len(shape) <= 32 and all(type(size) is int for size in shape)
    if not (name is None or isinstance(name, str)) or not isinstance(kind, str) or not is_shape:
        raise BrokenPlan("A field of an input plan has a name, a type or a shape of the wrong kind.")
    return Field(name, kind, tuple(shape))


def _fault(plan: InputPlan) -> str | None:
    """Why a plan cannot be used; None where it can."""
    fields, codes = plan.fields, plan.codes
    if not 1 <= len(fields) <= MOST_FIELDS:
        return f"it needs 1 to {MOST_FIELDS} fields"
    if plan.kind == "tensor":
        if len(fields) != 1 or fields[0].name is not None:
            return "the kind tensor has one field without a name"
    elif not all(field.name is not None and _is_text(field.name) for field in fields):
        return "each field needs a name"
    elif len({field.name for field in fields}) != len(fields):
        return "two fields have the same name"
    for field in fields:
        if field.type not in codes and not (plan.kind == "columns" and field.type == TEXT):
            return "a field's type has no fixed size"
        if any(size < 1 for size in field.shape) or (plan.kind == "columns" and field.shape):
            return "a field's shape is not fixed"
    return None if plan.record_bytes <= MOST_RECORD_BYTES else f"a row has more than {MOST_RECORD_BYTES} bytes"


def _is_text(name: str) -> bool:
    """Whether a name can be written as UTF-8 (half a surrogate pair cannot)."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
