"""The bodies of a batch, cut from one text, are those of its parts."""

from typing import Any

import numpy as np
import pandas
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from podium.protocols.mlflow.encoding import encode
from podium.protocols.mlflow.pieces import encode_pieces
from podium.worker.rows import split


def objects(*values: Any) -> Any:
    """An array of one axis, whatever its elements are."""
    made = np.empty(len(values), dtype=object)
    made[:] = list(values)
    return made


AWKWARD = ["a, b", "], [", '"', "\\", "\n", "é", "\ud800", "", "[", "null", "\0x", "}\n{"]
SIZES = st.one_of(st.integers(1, 6).map(lambda count: [1] * count), st.lists(st.integers(1, 4), min_size=1, max_size=5))


def by_parts(output: Any, sizes: list[int]) -> list[bytes]:
    return [encode(part) for part in split(output, sizes)]


@given(st.data(), SIZES, st.sampled_from(["f8", "f4", "f2", "i8", "i4", "u1", "?", "U5"]))
def test_arrays_are_cut_as_their_parts_are_written(data: Any, sizes: list[int], dtype: str) -> None:
    """Numbers (NaN and the infinities too), truth and text, of one and two axes."""
    rows = sum(sizes)
    shape = data.draw(st.sampled_from([(rows,), (rows, 1), (rows, 3), (rows, 0)]))
    output = data.draw(arrays.arrays(dtype, shape))

    assert by_parts(output, sizes) == encode_pieces(output, sizes)


@given(SIZES, st.data())
def test_text_that_holds_separators_is_not_cut_in_two(sizes: list[int], data: Any) -> None:
    """As numpy's text, as objects, beside numbers and None, alone and by name."""
    texts = data.draw(st.lists(st.sampled_from(AWKWARD), min_size=sum(sizes), max_size=sum(sizes)))
    mixed = np.empty(sum(sizes), dtype=object)
    mixed[:] = [text if len(text) != 1 else data.draw(st.sampled_from([None, 1.5, 7, True])) for text in texts]

    for output in (
        np.array(texts),
        np.array(texts, dtype=object),
        mixed,
        np.array([texts, texts]).T,
        {"a": mixed, '"': mixed},
    ):
        assert by_parts(output, sizes) == encode_pieces(output, sizes)


@given(SIZES)
def test_named_arrays_and_frames(sizes: list[int]) -> None:
    """What ONNX sessions and pyfunc models return."""
    rows = sum(sizes)
    scores = np.linspace(0, 1, rows * 2).reshape(rows, 2).astype("f4")
    frame = pandas.DataFrame(
        {"n": np.arange(rows), "x": scores[:, 0], "s": ["a, b"] * rows, "o": [None, *[1] * (rows - 1)]}
    )
    outputs = [{"label": np.arange(rows), "scores, ": scores}, frame, frame["x"], frame["s"], pandas.Series(scores[:, 1])]

    for output in outputs:
        assert by_parts(output, sizes) == encode_pieces(output, sizes)


@pytest.mark.parametrize(
    "output",
    [
        np.array(1.5),
        np.zeros(2),
        np.zeros((3, 1, 1)),
        np.array([1 + 2j] * 3),
        np.array(["2024-01-02"] * 3, dtype="M8[ns]"),
        np.array([b"x"] * 3),
        np.array([{}, [], ()], dtype=object),
        objects([1, 2], [3, 4], [5, 6]),
        objects([1], [2], [3]),
        objects([1, 2], 5, None),
        {"tokens": objects([1, 2], [3], [])},
        np.array([10**5000] * 3, dtype=object),
        {"n": np.array([10**5000] * 3, dtype=object)},
        np.zeros(3, dtype=np.longdouble),
        np.ma.masked_array([1, 2, 3]),
        [1, 2, 3],
        {},
        {"a": [1, 2, 3]},
        {"a": np.zeros(3), "b": np.zeros(2)},
        {1: np.zeros(3)},
        pandas.DataFrame({"a": [1, 2, 3]}, index=[1, 2, 3]),
        pandas.DataFrame({"a": [1, 2]}),
        pandas.DataFrame([[1, 2]] * 3, columns=["a", "a"]),
        pandas.DataFrame({"a": [object()] * 3}),
        "abc",
        None,
    ],
    ids=lambda output: type(output).__name__,
)
def test_what_has_no_rows_or_a_form_of_its_own_is_left(output: Any) -> None:
    """`rows.split` and `encode` say what becomes of it."""
    assert encode_pieces(output, [1, 2]) is None


def test_a_request_without_rows_is_left() -> None:
    """An empty part of an array of two axes is written otherwise than one with rows."""
    assert encode_pieces(np.zeros((2, 2)), [2, 0]) is None
