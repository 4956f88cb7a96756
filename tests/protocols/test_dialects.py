"""One request in the dialects: as MLflow answers, and stricter."""

import json
from typing import Any

import pytest

from podium.domain.dialect import Dialect
from podium.domain.signature import Signature
from podium.errors import InvalidInput, Misconfigured, PodiumError
from podium.flavors.contract import RowIndependence
from podium.models.predictor import Predictor
from podium.protocols.mlflow.codec import decode, encode

STRICT = Dialect(mode="strict")
COLUMNS: list[dict[str, Any]] = [
    {"type": "long", "name": "n", "required": True},
    {"type": "string", "name": "s", "required": True},
    {"type": "boolean", "name": "b", "required": False},
    {"type": "binary", "name": "y", "required": False},
]
SIGNATURE = Signature.from_dict({"inputs": json.dumps(COLUMNS)})


class Echo:
    native = None

    def predict(self, data: Any, params: Any = None) -> Any:
        rows = data.to_dict(orient="records")
        return [
            repr({name: bytes(cell) if isinstance(cell, bytes) else cell for name, cell in row.items()}) for row in rows
        ]


def answer(body: Any, dialect: Dialect, signature: Signature = SIGNATURE, kind: str = "application/json") -> Any:
    predictor = Predictor(Echo(), signature, "x", RowIndependence(False, ""), {}, dialect=dialect)
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    decoded = decode(raw, kind, signature, dialect)
    return json.loads(encode(predictor.predict(decoded.data, decoded.params), decoded.is_enveloped, dialect))["predictions"]


def forms(row: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {"dataframe_split": {"columns": list(row), "data": [list(row.values())]}},
        {"dataframe_records": [row]},
        {"inputs": {name: [value] for name, value in row.items()}},
        {"inputs": [row]},
        {"instances": [row]},
        {"instances": {name: [value] for name, value in row.items()}},
    ]


@pytest.mark.parametrize("form", range(6))
def test_what_fits_is_answered_alike_in_both_modes(form: int) -> None:
    body = forms({"n": 5, "s": "a", "b": True})[form]

    assert answer(body, STRICT) == answer(body, Dialect()) == ["{'n': 5, 's': 'a', 'b': True}"]


@pytest.mark.parametrize("form", range(6))
@pytest.mark.parametrize(
    ("name", "value", "got"),
    [("n", 1.5, "a number with a fraction"), ("n", "7", "text"), ("n", True, "true or false"), ("s", 7, "a whole number"),
     ("s", None, "null"), ("b", "false", "text"), ("b", 1, "a whole number"), ("y", "!!", "other text")],
)  # fmt: skip
def test_strict_names_the_column_and_the_kind_of_the_value(form: int, name: str, value: Any, got: str) -> None:
    body = forms({"n": 5, "s": "a", name: value})[form]

    with pytest.raises(InvalidInput) as refused:
        answer(body, STRICT)

    assert refused.value.message.startswith(f"Invalid input. Input '{name}' of type ")
    assert refused.value.message.endswith(f", got {got}.")


@pytest.mark.parametrize("form", range(6))
def test_an_extra_column_is_dropped_or_refused(form: int) -> None:
    body = forms({"n": 5, "s": "a", "zz": 1})[form]

    assert answer(body, Dialect()) == ["{'n': 5, 's': 'a'}"]
    with pytest.raises(InvalidInput, match="no input 'zz'"):
        answer(body, STRICT)


def test_an_extra_column_of_a_table_is_dropped_or_refused() -> None:
    body = b"n,s,zz\n5,a,1\n"

    assert answer(body, Dialect(), kind="text/csv") == ["{'n': 5, 's': 'a'}"]
    with pytest.raises(PodiumError, match=r"no inputs \['zz'\]"):
        answer(body, STRICT, kind="text/csv")


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b'{"dataframe_records": [{"n": 5, "s": "a"}], "foo": 1}', r"nothing reads: \['foo'\]"),
        (b'{"dataframe_records": [{"n": 5, "s": "a", "n": 6}]}', "the name 'n' more than once"),
        (b'{"inputs": {}, "inputs": {"n": [5], "s": ["a"]}}', "the name 'inputs' more than once"),
        (b'{"dataframe_records": [{"n": 5, "s": "a"}], "params": {"p": 1}}', r"no params \['p'\]"),
    ],
)
def test_names_that_nobody_reads_are_ignored_or_refused(body: bytes, why: str) -> None:
    assert len(answer(body, Dialect())) == 1
    with pytest.raises(PodiumError, match=why):
        answer(body, STRICT)


@pytest.mark.parametrize("form", range(6))
def test_null_for_an_optional_column_stays_none_in_strict(form: int) -> None:
    body = forms({"n": 5, "s": "a", "b": None})[form]

    assert answer(body, STRICT) == ["{'n': 5, 's': 'a', 'b': None}"]
    assert answer(body, Dialect()) == ["{'n': 5, 's': 'a', 'b': False}"]


@pytest.mark.parametrize(
    ("dialect", "expected"), [(Dialect(), b"aGkA"), (Dialect(inputs_base64=True), b"hi\x00"), (STRICT, b"hi\x00")]
)
@pytest.mark.parametrize("form", range(2, 6))
def test_base64_in_inputs_is_decoded_on_request(form: int, dialect: Dialect, expected: bytes) -> None:
    body = forms({"n": 5, "s": "a", "y": "aGkA"})[form]

    assert answer(body, dialect) == [repr({"n": 5, "s": "a", "y": expected})]


@pytest.mark.parametrize(
    ("nan", "expected"),
    [
        ("bare", '{"predictions": [NaN, Infinity, -Infinity, "NaN", 1.5, {"a": NaN}]}'),
        ("null", '{"predictions": [null, null, null, "NaN", 1.5, {"a": null}]}'),
        ("string", '{"predictions": ["NaN", "Infinity", "-Infinity", "NaN", 1.5, {"a": "NaN"}]}'),
    ],
)
def test_nan_has_the_form_that_was_asked_for(nan: Any, expected: str) -> None:
    infinity = float("inf")
    prediction = [float("nan"), infinity, -infinity, "NaN", 1.5, {"a": float("nan")}]

    assert encode(prediction, dialect=Dialect(nan=nan)).decode() == expected


def test_a_word_that_is_no_dialect_is_refused() -> None:
    with pytest.raises(Misconfigured, match="mode = 'lax': must be one of compat, strict"):
        Dialect(mode="lax")  # type: ignore[arg-type]
