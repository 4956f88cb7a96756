"""Arrays and tables of numbers as bytes instead of JSON, where that is answered alike.

    an array    numpy's .npy
    a table     an Arrow stream, where pyarrow is installed

The values are those that JSON would have told: every whole number as int64, every other number as float64. What JSON
tells differently (missing values, infinities, whole numbers beyond int64) stays JSON, and so do small inputs.

No server is asked what it takes: `KnownForms` hears from the answers. An input goes as bytes where podium answered one of
the same kind, sent as JSON, before; each version of a model is heard anew. A server of MLflow's is so never sent bytes.
"""

import importlib.util
import io
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from podium.client.exchanges import Received
from podium.domain.frames import is_frame
from podium.protocols.mlflow.content_types import ARROW, NPY

# Fewer are as quick in JSON, which the server's gateway reads; an Arrow stream has a dearer frame around its numbers.
_FEWEST_OF_ARRAY, _FEWEST_OF_TABLE = 256, 1024
_MOST_KINDS = 1024
_MOST_VERSIONS = 16
_MOST_ITEM_BYTES = 8
_REFUSED = frozenset({400, 413, 415})
# How an error begins that the model itself raised: it ran, and would raise it again.
_RAN = b"Encountered an unexpected error while evaluating the model"
_LOOKED_AT = 2000
_WIDE = {"b": np.dtype("?"), "i": np.dtype("<i8"), "u": np.dtype("<i8"), "f": np.dtype("<f8")}
_MOST_WHOLE = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True)
class Binary:
    """An input that can go as bytes.

    Args:
        kind: Inputs of one kind are taken alike, whatever their numbers are.
        content_type: Of its body.
        write: The body; None where a value is told differently in JSON.
    """

    kind: Hashable
    content_type: str
    write: Callable[[], bytes | None] = field(repr=False)


def binary_of(data: Any) -> Binary | None:
    """The input as bytes; None for what is no array or table of numbers, or a small one."""
    if type(data) is np.ndarray:
        return _array(data) if data.ndim and data.size >= _FEWEST_OF_ARRAY and _is_plain(data.dtype) else None
    if not is_frame(data) or data.size < _FEWEST_OF_TABLE or not data.columns.is_unique:
        return None
    if not all(isinstance(name, str) for name in data.columns) or not all(map(_is_plain, data.dtypes)):
        return None
    return _table(data) if importlib.util.find_spec("pyarrow") is not None else None


class KnownForms:
    """What a server's answers have shown of how a kind of input may go. For all threads of one client.

    Args:
        kinds: Of so many it is kept; then it begins anew.
    """

    def __init__(self, kinds: int = _MOST_KINDS) -> None:
        self._kinds = kinds
        self._versions: dict[Hashable, dict[str, bool]] = {}

    def takes(self, kind: Hashable) -> bool:
        """Whether an input of this kind goes as bytes."""
        versions = self._versions.get(kind, {})
        return bool(versions) and all(versions.values())

    def stands(self, kind: Hashable, received: Received) -> bool:
        """Whether what bytes were answered is what JSON would have been; else the same is asked in JSON.

        A refusal may be one of the bytes only, or would be worded differently; a version that was not heard before may
        take the kind in JSON differently, or not at all.
        """
        if received.status == 200:
            return self._versions.get(kind, {}).get(_version(received), False)
        start = received.body[:_LOOKED_AT]
        return _RAN in start or (received.status not in _REFUSED and b"pyarrow" not in start)

    def learn(self, kind: Hashable, received: Received, was_refused: bool) -> None:
        """Take in the answer to an input of this kind in JSON.

        Args:
            kind: Of the input.
            received: The answer.
            was_refused: Whether the same was refused as bytes just before.
        """
        version = _version(received)
        if received.status != 200 or not version:
            return
        if len(self._versions) >= self._kinds and kind not in self._versions:
            self._versions = {}
        # A new dict each time, for other threads may be reading the one before.
        known = self._versions.get(kind, {})
        if version not in known:
            known = {each: takes for each, takes in known.items() if takes} if len(known) < _MOST_VERSIONS else {}
        self._versions[kind] = {**known, version: known.get(version, True) and not was_refused}


def _version(received: Received) -> str:
    """Which version of which model answered; empty where the server does not say, as MLflow's."""
    version = received.headers.get("x-podium-version", "")
    return f"{received.headers.get('x-podium-model', '')}/{version}" if version else ""


def _is_plain(dtype: Any) -> bool:
    return isinstance(dtype, np.dtype) and dtype.kind in _WIDE and dtype.itemsize <= _MOST_ITEM_BYTES


def _array(array: "np.ndarray[Any, Any]") -> Binary:
    def write() -> bytes | None:
        wide = _widened(array)
        if wide is None:
            return None
        file = io.BytesIO()
        np.lib.format.write_array(file, wide, version=(1, 0), allow_pickle=False)
        return file.getvalue()

    return Binary((NPY, _WIDE[array.dtype.kind].kind, array.shape[1:]), NPY, write)


def _table(frame: Any) -> Binary:
    def write() -> bytes | None:
        columns = {}
        for name in frame.columns:
            column = _widened(frame[name].to_numpy())
            if column is None:
                return None
            columns[name] = column
        import pyarrow
        import pyarrow.ipc

        table = pyarrow.table(columns)
        sink = pyarrow.BufferOutputStream()
        with pyarrow.ipc.new_stream(sink, table.schema) as stream:
            stream.write_table(table)
        return bytes(sink.getvalue())

    kinds = "".join(_WIDE[dtype.kind].kind for dtype in frame.dtypes)
    return Binary((ARROW, kinds, tuple(frame.columns)), ARROW, write)


def _widened(array: "np.ndarray[Any, Any]") -> "np.ndarray[Any, Any] | None":
    """The numbers in the type that JSON's become; None where JSON tells one of them differently."""
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        return None
    if array.dtype.kind == "u" and array.itemsize == _MOST_ITEM_BYTES and array.max() > _MOST_WHOLE:
        return None
    return np.ascontiguousarray(array, _WIDE[array.dtype.kind])
