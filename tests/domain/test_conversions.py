"""What a strict server refuses, value by value."""

from typing import Any

import pytest

from podium.domain.inputs.conversions import decoded, is_exact, loss, without_zone
from podium.domain.signature import AnyType, Column, DataType, TensorSpec

FITS: list[tuple[str, list[Any]]] = [
    ("boolean", [True, False]),
    ("integer", [1, -(2**31), 2**31 - 1]),
    ("long", [1, 2**53 + 1, 2**63 - 1]),
    ("float", [1, 2.5, 2**24, None, float("nan"), float("inf"), 0.1]),
    ("double", [1, 2.5, 2**53, None, float("nan")]),
    ("string", ["a", ""]),
    ("binary", ["aGkA", "", "aGkA\n"]),
    ("datetime", ["2024-01-02", None]),
]
LOSES: list[tuple[str, list[tuple[Any, str]]]] = [
    ("boolean", [("false", "text"), (1, "a whole number"), (0.5, "a number with a fraction"), (None, "null")]),
    ("integer", [(1.5, "a number with a fraction"), (1.0, "a number with a fraction"), ("7", "text"),
                 (True, "true or false"), (2**31, "a whole number that it cannot hold"), (None, "null"),
                 ([1, "2"], "text")]),
    ("long", [(2**63, "a whole number that it cannot hold"), ({}, "an object")]),
    ("float", [("2.5", "text"), (2**24 + 1, "a whole number that it cannot hold"),
               (1e300, "a number that it cannot hold")]),
    ("double", [("x", "text"), (True, "true or false"), (2**53 + 1, "a whole number that it cannot hold")]),
    ("string", [(1, "a whole number"), (None, "null"), ({"k": 1}, "an object")]),
    ("binary", [("aGk", "other text"), ("é", "other text"), (5, "a whole number")]),
    ("datetime", [(1704164645000, "a whole number"), (True, "true or false")]),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "value"), [(kind, value) for kind, values in FITS for value in values])
def test_a_value_of_the_declared_kind_loses_nothing(kind: str, value: Any) -> None:
    assert loss(value, Column(DataType(kind), "x")) is None


@pytest.mark.parametrize(("kind", "value", "got"), [(kind, *each) for kind, values in LOSES for each in values])
def test_another_value_is_named_by_its_kind_alone(kind: str, value: Any, got: str) -> None:
    """The sentence names the type and the kind that was sent, never the value."""
    why = loss(value, Column(DataType(kind), "x"))

    assert why is not None
    assert why.startswith(f"type {kind} takes ")
    assert why.endswith(f", got {got}")


@pytest.mark.parametrize("kind", DataType)
def test_an_optional_column_takes_null(kind: DataType) -> None:
    assert loss([None], Column(kind, "x", required=False)) is None


def test_a_nested_type_is_left_to_the_enforcer() -> None:
    assert loss({"any": 1}, Column(AnyType(), "x")) is None


@pytest.mark.parametrize(
    ("dtype", "value", "got"),
    [
        ("float32", [[1.5, 2, None]], None),
        ("float32", [["1"]], "text"),
        ("float32", [[True]], "true or false"),
        ("int8", [[127]], None),
        ("int8", [[128]], "a whole number that it cannot hold"),
        ("int32", [[1.5]], "a number with a fraction"),
        ("uint8", [[-1]], "a whole number that it cannot hold"),
        ("bool", [1], "a whole number"),
        ("str", [1], "a whole number"),
        ("object", [1, "a", None], None),
    ],
)
def test_a_tensor_takes_what_its_dtype_holds(dtype: str, value: Any, got: str | None) -> None:
    why = loss(value, TensorSpec(dtype, (-1,)))

    assert got == (None if why is None else why.partition(", got ")[2])


def test_whole_numbers_are_exact_up_to_the_mantissa() -> None:
    assert [is_exact(2**53, DataType.DOUBLE), is_exact(2**53 + 1, DataType.DOUBLE), is_exact(1, DataType.STRING)] == [
        True, False, False,
    ]  # fmt: skip


def test_base64_with_other_characters_is_refused() -> None:
    assert decoded("aGkA\n") == b"hi\x00"
    with pytest.raises(ValueError, match="Only base64"):
        decoded("aG!kA")


def test_a_time_zone_is_taken_into_account() -> None:
    found = [without_zone(text) for text in ("2024-01-02T03:04:05Z", "2024-01-02T03:04:05+02:00", "2024-01-02", "xx")]

    assert found == ["2024-01-02T03:04:05", "2024-01-02T01:04:05", "2024-01-02", "xx"]
