"""Tensors that fit a model's input plan exactly, as its records: bytes that came as bytes are not looked at one by one.

As `quick_reading.py` it takes a part of what the long way takes (`protocols/tensor_inputs.py`), and there says the same.
"""

from collections.abc import Mapping, Sequence
from itertools import chain

from podium.domain.inputs.plan import TEXT, InputPlan
from podium.domain.open_inference import ARRAYS, COLUMNS
from podium.domain.signature import DataType
from podium.errors import MalformedBody
from podium.protocols.mlflow.fast_packing import Packed
from podium.protocols.tensors import BYTES, SIZES, Tensor, split_bytes

_MOST_ROWS = 1 << 16
_MOST_PIECES = 1 << 12  # each is cut by itself, and here everybody else waits
_MOST_TEXT = 1 << 16
_TRUTHS = b"\0\1"
# The last byte of a NaN, of an infinity, and of the largest finite numbers, which go the long way with them: a record never
# holds one, for shortcuts are proven on finite numbers, and what a model makes of others, it says itself.
_NOT_FINITE: Mapping[str, bytes] = {
    "FP16": bytes((*range(0x7C, 0x80), *range(0xFC, 0x100))),
    "FP32": b"\x7f\xff",
    "FP64": b"\x7f\xff",
}


class RecordMaker:
    """Makes records for one plan.

    Args:
        plan: Of the model.
    """

    __slots__ = ("_datatypes", "_only", "_plan", "_sizes", "_tail")

    def __init__(self, plan: InputPlan) -> None:
        self._plan = plan
        self._datatypes = datatypes_of(plan)
        kinds = set(self._datatypes.values())
        # What one tensor may hold by itself: all columns of one type, or the only tensor there is.
        self._only = kinds.pop() if len(kinds) == 1 and (plan.kind == "columns" or len(plan.fields) == 1) else BYTES
        self._tail = (len(plan.fields),) if plan.kind == "columns" else plan.fields[0].shape
        self._sizes = [SIZES.get(datatype, 0) for datatype in self._datatypes.values()]

    def of(self, tensors: Sequence[Tensor]) -> Packed | None:
        """The request's rows; None for what the plan does not take, or is better not cut up here."""
        try:
            found = self._one(tensors[0]) if len(tensors) == 1 else None
            return self._several(tensors) if found is None else found
        except (MalformedBody, UnicodeDecodeError):
            return None

    def _one(self, tensor: Tensor) -> Packed | None:
        """All of a row's values in one tensor."""
        shape, plan = tensor.shape, self._plan
        if self._only == BYTES or tensor.datatype != self._only or not shape or shape[1:] != self._tail:
            return None
        if plan.kind == "columns":
            if len(plan.fields) == 1 or tensor.name in self._datatypes:
                return None
        elif plan.kind == "tensors" and tensor.name not in self._datatypes:
            return None
        if not 0 < shape[0] <= _MOST_ROWS or not _is_sound(tensor):
            return None
        return Packed(shape[0], tensor.data, [])  # type: ignore[arg-type]  # joined, never changed

    def _several(self, tensors: Sequence[Tensor]) -> Packed | None:
        """A tensor for each input."""
        given = {each.name: each for each in tensors}
        plan = self._plan
        if given.keys() != self._datatypes.keys() or len(tensors) != len(given) or plan.kind == "tensor":
            return None
        rows = tensors[0].shape[0] if tensors[0].shape else 0
        if not 0 < rows <= _MOST_ROWS or (rows > 1 and rows * len(plan.fields) > _MOST_PIECES):
            return None
        parts = [given[str(field.name)] for field in plan.fields]
        for field, each in zip(plan.fields, parts, strict=True):
            fits = each.shape in ((rows,), (rows, 1)) if plan.kind == "columns" else each.shape == (rows, *field.shape)
            if not fits or each.datatype != self._datatypes[each.name] or not _is_sound(each):
                return None
        texts = [[cell.decode() for cell in split_bytes(parts[i].data, rows)] for i in plan.texts]
        numbers = [_rows_of(parts[i], self._sizes[i] * plan.fields[i].size) for i in plan.record]
        block = b"".join(chain.from_iterable(zip(*numbers, strict=True)))
        return Packed(rows, block, [*chain.from_iterable(zip(*texts, strict=True))])


def datatypes_of(plan: InputPlan) -> Mapping[str, str]:
    """The protocol's datatype of each input."""
    if plan.kind == "columns":
        return {str(field.name): BYTES if field.type == TEXT else COLUMNS[DataType(field.type)] for field in plan.fields}
    return {str(field.name): ARRAYS[field.type] for field in plan.fields}


def _is_sound(tensor: Tensor) -> bool:
    """Whether all of it means what the long way would take it for, and so much of it may be looked at here."""
    if tensor.datatype == BYTES:
        return len(tensor.data) <= _MOST_TEXT
    marks = _NOT_FINITE.get(tensor.datatype)
    if marks is not None:
        size = SIZES[tensor.datatype]
        tops = bytes(tensor.data)[size - 1 :: size]  # of a view it takes seven times as long
        return not any(mark in tops for mark in marks)
    if tensor.datatype == "BOOL":
        return len(tensor.data) <= _MOST_TEXT and not bytes(tensor.data).translate(None, _TRUTHS)
    return True


def _rows_of(tensor: Tensor, size: int) -> list[bytes | bytearray | memoryview]:
    data = tensor.data
    return [data[start : start + size] for start in range(0, len(data), size)]
