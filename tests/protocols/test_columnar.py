"""numpy's .npy and Arrow's IPC stream, both ways; and files that lie about themselves."""

import io
from typing import Any

import numpy as np
import pandas as pd
import pyarrow
import pyarrow.ipc
import pytest

from podium.errors import MalformedBody, UnencodableOutput
from podium.protocols.mlflow.columnar import ArrowWriter, NpyWriter, read_arrow, read_npy, without_answer
from podium.protocols.mlflow.content_types import ARROW, NPY, asked_for, with_answer
from podium.protocols.tensor_inputs import to_array


def npy(array: Any, **options: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, array, **options)
    return file.getvalue()


def stream(**columns: Any) -> bytes:
    sink = io.BytesIO()
    table = pyarrow.table(columns)
    with pyarrow.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6, dtype="<f4").reshape(2, 3),
        np.asfortranarray(np.arange(6).reshape(2, 3)),
        np.arange(3, dtype=">i8"),
        np.array([True, False]),
        np.empty((0, 4)),
        np.array(7.5),
    ],
)
def test_an_array_is_what_it_was(array: Any):
    tensor = read_npy(npy(array), "x")

    assert (tensor.name, tensor.shape) == ("x", array.shape)
    assert to_array(tensor).tolist() == array.tolist()
    assert np.load(io.BytesIO(NpyWriter().write(array))).tolist() == array.tolist()


def test_text_is_text():
    assert to_array(read_npy(npy(np.array(["a", "é"])), "x")).tolist() == [b"a", "é".encode()]
    assert np.load(io.BytesIO(NpyWriter().write(["a", "é"]))).tolist() == ["a", "é"]


@pytest.mark.parametrize(
    "hostile",
    [
        b"",
        b"\x93NUMPY",
        b"\x93NUMPY\x01\x00\xff\xff",
        npy(np.arange(3.0))[:-1],
        npy(np.arange(3.0)) + b"\0",
        npy(np.array([{}], dtype=object), allow_pickle=True),
        npy(np.zeros(2, dtype=[("a", "f4")])),
        npy(np.arange(3.0)).replace(b"(3,)", b"(9,)"),
        npy(np.arange(3.0)).replace(b"(3,), ", b"(-3,),"),
        npy(np.arange(3.0)).replace(b"(3,)", b"[3] "),
        npy(np.arange(3.0)).replace(b"'<f8'", b"'<f9'"),
        npy(np.arange(3.0)).replace(b"'descr'", b"'des" + b"\xff" + b"r'"),
        npy(np.arange(3.0)).replace(b"{'descr'", b"{[descr'"),
    ],
)
def test_an_array_that_lies_about_itself_is_refused(hostile: bytes):
    with pytest.raises(MalformedBody):
        read_npy(hostile, "x")


def test_a_table_is_what_it_was():
    found = read_arrow(stream(a=[1.5, None], n=[1, 2], t=["x", "é"]))

    assert found.fillna(0).to_dict("list") == {"a": [1.5, 0], "n": [1, 2], "t": ["x", "é"]}


@pytest.mark.parametrize("hostile", [b"", b"ARROW1", b"\xff\xff\xff\xff\xff\xff\xff\x7f", stream(a=[1])[:-40], b"\0" * 64])
def test_what_is_no_table_is_refused(hostile: bytes):
    with pytest.raises(MalformedBody):
        read_arrow(hostile)


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        (pd.DataFrame({"a": [1], "t": ["x"]}), {"a": [1], "t": ["x"]}),
        (np.array([1.5, 2]), {"predictions": [1.5, 2]}),
        (np.array([[1.5, 2]]), {"predictions": [[1.5, 2]]}),
        ({"p": np.array([[1], [2]]), "label": ["x", "y"]}, {"p": [1, 2], "label": ["x", "y"]}),
        (["x", None], {"predictions": ["x", None]}),
    ],
)
def test_predictions_are_tables(output: Any, expected: Any):
    with pyarrow.ipc.open_stream(ArrowWriter().write(output)) as found:
        assert found.read_all().to_pydict() == expected


@pytest.mark.parametrize(
    ("writer", "output"),
    [(NpyWriter(), {"a": 1, "b": 2}), (NpyWriter(), [[1], [2, 3]]), (NpyWriter(), None), (ArrowWriter(), 7)],
)
def test_what_has_no_form_is_said(writer: Any, output: Any):
    with pytest.raises(UnencodableOutput):
        writer.write(output)


def test_what_the_answer_is_to_be_is_said_with_the_content_type():
    assert asked_for("text/html, application/x-npy;q=0.9") == NPY
    assert asked_for(ARROW) == ARROW
    assert [asked_for(each) for each in ("", "*/*", "application/json", "text/html, */*;q=0.8")] == [None] * 4
    kind, writer = without_answer(with_answer("text/csv", ARROW))
    assert (kind, type(writer)) == ("text/csv", ArrowWriter)
    assert without_answer("application/json; accept=other") == ("application/json; accept=other", None)


def test_a_stream_that_unfolds_to_much_more_than_was_sent_is_refused():
    """Columns of nulls take no bytes at all, however many rows they have."""
    nulls = stream(a=pyarrow.nulls(50_000_000), b=pyarrow.nulls(50_000_000))

    with pytest.raises(MalformedBody, match="unfolds to more than"):
        read_arrow(nulls)
