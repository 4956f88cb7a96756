"""Bodies that need no reading as text: numpy's .npy and Arrow's IPC stream, both ways.

    application/x-npy                       one array: the model's only tensor, or all its columns side by side
    application/vnd.apache.arrow.stream     a table: the model's columns by name; needs pyarrow where the model runs

Nothing in them is unpickled. An answer comes in one of them where the client's Accept asks for it; a gateway says so to
the worker by a parameter of the content type, which says nothing that a client may not say itself.
"""

import io
import math
import struct
from typing import Any

import numpy as np

from podium.domain.frames import is_frame, is_table
from podium.errors import MalformedBody, MissingDependency, UnencodableOutput
from podium.protocols.mlflow.content_types import ARROW, NPY, split_answer
from podium.protocols.mlflow.unfolding import CELL_BYTES, arrow_batch_size, arrow_cells, check_unfolded
from podium.protocols.tensor_outputs import tensor_of
from podium.protocols.tensors import Tensor

_FIRST_SAFE_ARROW = (14, 0, 1)  # before, a stream could have Python's pickles read (CVE-2023-47248)
_ONE_AXIS, _TWO_AXES = 1, 2


def without_answer(content_type: str) -> "tuple[str, NpyWriter | ArrowWriter | None]":
    """The content type alone, and who writes the answer; None for MLflow's JSON."""
    kind, wanted = split_answer(content_type)
    if wanted is None:
        return kind, None
    return kind, NpyWriter() if wanted == NPY else ArrowWriter()


def read_npy(body: bytes | memoryview, name: str) -> Tensor:
    """The array of a .npy file as a tensor of this name; no more memory is taken than its bytes need.

    Raises:
        MalformedBody: It is none, its size does not fit its shape, or its elements are Python objects.
    """
    file = io.BytesIO(body)
    try:
        version = np.lib.format.read_magic(file)
        if version == (1, 0):
            shape, is_fortran, dtype = np.lib.format.read_array_header_1_0(file)
        else:
            shape, is_fortran, dtype = np.lib.format.read_array_header_2_0(file)
    except Exception as error:  # whatever Python's own reader of literals says of a header
        raise MalformedBody("The body is no .npy file that can be read here (version 1.0 or 2.0).") from error
    data = memoryview(body)[file.tell() :]
    if dtype.kind not in "biufUSM":
        raise MalformedBody(f"A .npy file of {dtype} cannot be read: numbers, truth values, text and datetimes can.")
    if any(size < 0 for size in shape) or math.prod(shape) * dtype.itemsize != len(data) or not dtype.itemsize:
        raise MalformedBody("The .npy file's bytes do not fit its shape.")
    try:
        array = (
            np.frombuffer(data, dtype).reshape(shape, order="F" if is_fortran else "C")
            if len(data)
            else np.empty(shape, dtype)
        )
    except ValueError as error:
        raise MalformedBody("The .npy file has a shape that no array can have.") from error
    return tensor_of(name, array)


def read_arrow(body: bytes | memoryview) -> Any:
    """The table of an Arrow stream, as a data frame.

    Raises:
        MalformedBody: It is none.
        MissingDependency: pyarrow is not installed where the model runs, or an old one that is not safe.
    """
    pyarrow = _pyarrow("A body of Arrow")
    source = pyarrow.py_buffer(body)
    try:
        _check_messages(pyarrow, source)
        with pyarrow.ipc.open_stream(source) as stream:
            return _bounded(pyarrow, stream, len(body)).to_pandas()
    except (pyarrow.ArrowException, struct.error, OSError, ValueError, TypeError, NotImplementedError) as error:
        raise MalformedBody("The body is no stream of Arrow's IPC format that can be read here.") from error


def _check_messages(pyarrow: Any, source: Any) -> None:
    """See that the stream's buffers unfold to no more than they may, before one of them is decompressed.

    Raises:
        MalformedBody: They unfold to more.
    """
    total = 0
    for message in pyarrow.ipc.MessageReader.open_stream(source):
        total += arrow_batch_size(message)
        check_unfolded("stream", source.size, total)


def _bounded(pyarrow: Any, stream: Any, size: int) -> Any:
    """The stream's table, every offset of which was seen to stay within its buffers, given up where it has too many cells.

    Raises:
        MalformedBody: It does.
        ArrowException: It lies about where its values are: pyarrow would read whatever lies there.
    """
    bytes_, cells, batches = 0, 0, []
    for batch in stream:
        bytes_ += batch.get_total_buffer_size()
        cells += batch.num_rows + sum(arrow_cells(column) for column in batch.columns)
        check_unfolded("stream", size, max(bytes_, CELL_BYTES * cells))
        batch.validate(full=True)
        batches.append(batch)
    return pyarrow.Table.from_batches(batches, stream.schema)


class NpyWriter:
    """Answers with one array."""

    content_type = NPY

    def write(self, output: Any) -> bytes:
        """The body.

        Raises:
            UnencodableOutput: The prediction is not one array of numbers, truth values, text or datetimes.
        """
        if isinstance(output, dict) and len(output) == 1:
            (output,) = output.values()
        try:
            array = output.to_numpy() if is_table(output) else np.asarray(output)
        except ValueError:
            array = np.empty(0, dtype=object)  # lists of different lengths
        if array.dtype.kind == "O" and array.size and all(isinstance(each, str) for each in array.ravel()):
            array = array.astype(str)
        if array.dtype.kind not in "biufUSM":
            raise UnencodableOutput("The prediction is not one array, which .npy has no form for. Ask for JSON instead.")
        file = io.BytesIO()
        np.save(file, array, allow_pickle=False)
        return file.getvalue()


class ArrowWriter:
    """Answers with a table: a frame's columns, a dict's, or one that is called `predictions`."""

    content_type = ARROW

    def write(self, output: Any) -> bytes:
        """The body.

        Raises:
            UnencodableOutput: The prediction is no table.
            MissingDependency: pyarrow is not installed where the model runs.
        """
        pyarrow = _pyarrow("An answer of Arrow")
        try:
            table = pyarrow.table(_columns(output))
        except (pyarrow.ArrowException, ValueError, TypeError) as error:
            raise UnencodableOutput("The prediction is no table, which Arrow needs. Ask for JSON instead.") from error
        sink = pyarrow.BufferOutputStream()
        with pyarrow.ipc.new_stream(sink, table.schema) as stream:
            stream.write_table(table)
        return bytes(sink.getvalue())


def _columns(output: Any) -> dict[str, Any]:
    if is_frame(output):
        return {str(label): output.iloc[:, i].array for i, label in enumerate(output.columns)}
    if isinstance(output, dict):
        return {str(name): _cells(value) for name, value in output.items()}
    return {"predictions": _cells(output)}


def _cells(value: Any) -> Any:
    if isinstance(value, np.ndarray) and value.ndim == _TWO_AXES and value.shape[1] == 1:
        return value[:, 0]
    return list(value) if isinstance(value, np.ndarray) and value.ndim > _ONE_AXIS else value


def _pyarrow(what: str) -> Any:
    try:
        import pyarrow
        import pyarrow.ipc
    except ImportError as error:
        raise MissingDependency("pyarrow", what, "parquet") from error
    numbers = tuple(int(part) for part in pyarrow.__version__.split(".")[:3] if part.isdecimal())
    if numbers < _FIRST_SAFE_ARROW:
        raise MissingDependency("pyarrow", f"{what} (14.0.1 or later: what came before unpickles)", "parquet")
    return pyarrow
