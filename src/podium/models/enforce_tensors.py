"""The arrays that a tensor signature declares: shape and dtype checked, frames turned into arrays."""

import sys
from typing import Any

import numpy as np

from podium.domain.frames import is_frame
from podium.domain.signature import TensorSchema, TensorSpec
from podium.errors import SchemaMismatch


def enforce_tensors(data: Any, schema: TensorSchema) -> Any:
    """One array, or a dict of the named ones; extra names are dropped. All names are known to be present.

    Raises:
        SchemaMismatch: Expected and actual shape or dtype, or a form that holds no tensors.
    """
    is_table = is_frame(data)
    if not schema.is_named:
        return _frame_to_tensor(data, schema.tensors[0]) if is_table else _unnamed(data, schema.tensors[0])
    if is_table:
        return {tensor.name: _column_to_tensor(tensor.name, data[tensor.name], tensor) for tensor in schema.tensors}
    if isinstance(data, dict):
        return {tensor.name: _named(data[tensor.name], tensor) for tensor in schema.tensors}
    raise SchemaMismatch(
        "This model contains a tensor-based model signature with input names, which suggests a dictionary input "
        "mapping input name to tensor, or a pandas DataFrame input containing columns mapping input name to flattened "
        f"list value from tensor, but an input of type {type(data)} was found."
    )


def check_tensor(array: Any, tensor: TensorSpec) -> Any:
    """The array itself if its shape and dtype are the declared ones; ragged arrays of objects pass where sizes vary.

    Raises:
        SchemaMismatch: Expected and actual.
    """
    expected, actual = tensor.shape, array.shape
    dtype = array.dtype if isinstance(array, np.ndarray) else array.data.dtype
    if expected == (-1,) and tensor.dtype == "object":
        return array
    if len(expected) > 1 and -1 in expected[1:] and len(actual) == 1 and dtype.kind == "O":
        return array
    if len(expected) != len(actual) or any(want not in (-1, got) for want, got in zip(expected, actual, strict=True)):
        raise SchemaMismatch(f"Shape of input {actual} does not match expected shape {expected}.")
    name = {"U": "str", "S": "bytes"}.get(dtype.kind) or dtype.name
    if name != tensor.dtype and np.dtype(tensor.dtype) != dtype:
        raise SchemaMismatch(f"dtype of input {dtype} does not match expected dtype {np.dtype(tensor.dtype)}")
    return array


def _named(value: Any, tensor: TensorSpec) -> Any:
    if not isinstance(value, np.ndarray):
        raise SchemaMismatch(
            "This model contains a tensor-based model signature with input names, which suggests a dictionary input "
            f"mapping input name to a numpy array, but a dict with value type {type(value)} was found."
        )
    return check_tensor(value, tensor)


def _unnamed(data: Any, tensor: TensorSpec) -> Any:
    sparse = sys.modules.get("scipy.sparse")
    if isinstance(data, np.ndarray) or (sparse is not None and isinstance(data, sparse.csr_matrix | sparse.csc_matrix)):
        return check_tensor(data, tensor)
    raise SchemaMismatch(
        "This model contains a tensor-based model signature with no input names, which suggests a numpy array input or "
        f"a pandas dataframe input with proper column values, but an input of type {type(data)} was found."
    )


def _frame_to_tensor(frame: Any, tensor: TensorSpec) -> Any:
    width = len(frame.columns)
    if frame.empty:
        raise SchemaMismatch("Input DataFrame is empty.")
    if width == 1:
        return _column_to_tensor(None, frame.iloc[:, 0], tensor)
    if tensor.shape != (-1, width):
        raise SchemaMismatch(
            "This model contains a model signature with an unnamed input. Since the input data is a pandas DataFrame "
            "containing multiple columns, the input shape must be of the structure (-1, number_of_dataframe_columns). "
            f"Instead, the input DataFrame passed had {width} columns and an input shape of {tensor.shape} with all "
            "values within the DataFrame of scalar type. Please adjust the passed in DataFrame to match the expected "
            "structure"
        )
    return check_tensor(frame.to_numpy(), tensor)


def _column_to_tensor(name: str | None, column: Any, tensor: TensorSpec) -> Any:
    """A column of scalars, lists or arrays as one tensor, a row of it for each cell."""
    shape = tensor.shape
    if shape[0] != -1 or -1 in shape[1:]:
        raise SchemaMismatch(
            "For pandas dataframe input, the first dimension of shape must be a variable dimension and other "
            "dimensions must be fixed, but in model signature the shape of "
            f"{'input ' + name if name else 'the unnamed input'} is {shape}."
        )
    # By its label, as MLflow: a frame whose index has no 0 is refused, with pandas' own word for it.
    first = column[0]
    if np.isscalar(first):
        if shape in ((-1,), (-1, 1)):
            return check_tensor(np.array(column, dtype=tensor.dtype).reshape(shape), tensor)
        raise SchemaMismatch(
            f"The input pandas dataframe column '{name}' contains scalar values, which requires the shape to be (-1,) "
            f"or (-1, 1), but got tensor spec shape of {shape}."
        )
    if isinstance(first, list) and np.isscalar(first[0]):
        # Lists carry no shape and no type of their own: both are the signature's.
        return _stack(
            name, column, tensor, "list elements are of uniform length and that the data can be coerced to the tensor "
            f"type '{np.dtype(tensor.dtype)}'", is_cast=True,
        )  # fmt: skip
    if isinstance(first, np.ndarray):
        # Arrays have a type of their own, which MLflow lets through whatever it is.
        return _stack(
            name, column, tensor, "numpy array elements are of uniform length and can be reshaped to above expected shape.",
            is_cast=False,
        )  # fmt: skip
    raise SchemaMismatch(
        "Because the model signature requires tensor spec input, the input pandas dataframe values should be either "
        "scalar value, python list containing scalar values or numpy array containing scalar values, other types are "
        "not supported."
    )


def _stack(name: str | None, column: Any, tensor: TensorSpec, ensure: str, is_cast: bool) -> Any:
    try:
        stacked = np.vstack(column.tolist()).reshape(tensor.shape)
        stacked = stacked.astype(tensor.dtype) if is_cast else stacked
    except ValueError:
        stacked = None
    if stacked is None or len(stacked) != len(column):
        raise SchemaMismatch(
            f"The value in the Input DataFrame column '{name}' could not be converted to the expected shape of: "
            f"'{tensor.shape}'. Ensure that each of the input {ensure}"
        )
    return stacked
