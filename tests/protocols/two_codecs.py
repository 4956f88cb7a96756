"""Bodies for a signature, right, nearly right and wrong, as text; and how two inputs are told apart."""

import json
from collections.abc import Sequence
from functools import cache, partial
from typing import Any, NamedTuple

import numpy as np
import pandas
from hypothesis import strategies as st

from podium.domain.dialect import Dialect, Mode
from podium.domain.inputs.plan import InputPlan, plan_for
from podium.domain.signature import Column, ColumnSchema, DataType, Signature, TensorSchema, TensorSpec
from podium.flavors.contract import RowIndependence
from podium.models.assemble import Assembler
from podium.models.predictor import Predictor
from podium.protocols.mlflow.codec import Codec
from podium.protocols.mlflow.fast_reading import FastReader

SCALARS = [DataType.DOUBLE, DataType.FLOAT, DataType.LONG, DataType.INTEGER, DataType.BOOLEAN, DataType.STRING]
NAMES = [
    "a",
    "b",
    "column c",
    "é",
    "x:y",
    "日本",
    'quo"te',
    "back\\slash",
    "line\nbreak",
    "data",
    "columns",
    "a:b:",
    "",
    " ",
]
DTYPES = ["float64", "float32", "float16", "int64", "int32", "int16", "int8", "uint64", "uint32", "uint16", "uint8", "bool"]


class Sides(NamedTuple):
    """Everything that one signature needs, kept between bodies, so that what a reader learned of one serves the next."""

    signature: Signature
    plan: InputPlan
    reader: FastReader
    assembler: Assembler
    compat: tuple[Codec, Predictor]
    strict: tuple[Codec, Predictor]

    def reference(self, body: bytes, is_strict: bool = False) -> Any:
        """What the worker makes of a body by itself; raises PodiumError for what it refuses."""
        codec, predictor = self.strict if is_strict else self.compat
        return predictor.enforce(codec.decode(body, "application/json").data)[0]


@cache
def sides(signature: Signature) -> Sides:
    plan = plan_for(signature)
    assert plan is not None
    return Sides(
        signature, plan, FastReader(plan), Assembler(plan), _reference(signature, "compat"), _reference(signature, "strict")
    )


def _reference(signature: Signature, mode: Mode) -> tuple[Codec, Predictor]:
    dialect = Dialect(mode=mode)
    rows = RowIndependence(False, "")
    return Codec(signature, dialect), Predictor(None, signature, "x", rows, {}, dialect=dialect)  # type: ignore[arg-type]


def columns(*kinds: DataType, names: Sequence[str] = NAMES, required: bool = True) -> Signature:
    return Signature(ColumnSchema(tuple(Column(kind, name, required) for kind, name in zip(kinds, names, strict=False))))


def tensors(*specs: TensorSpec) -> Signature:
    return Signature(TensorSchema(specs))


SIGNATURES = [
    *(columns(kind) for kind in SCALARS),
    *(columns(kind, required=False) for kind in SCALARS),
    *(columns(kind, kind, kind) for kind in SCALARS),
    columns(*SCALARS),
    columns(*reversed(SCALARS), *SCALARS),
    columns(DataType.DOUBLE, DataType.STRING, DataType.DOUBLE, names=['quo"te', "back\\slash", "line\nbreak"]),
    columns(DataType.LONG, DataType.STRING, names=["x:y", "a:b:"]),
    columns(DataType.LONG, DataType.DOUBLE, names=["data", "columns"]),
    columns(DataType.STRING, DataType.DOUBLE, names=["", " "]),
    *(tensors(TensorSpec(dtype, (-1, 2))) for dtype in DTYPES),
    tensors(TensorSpec("float64", (-1,))),
    tensors(TensorSpec("float32", (-1, 2, 1, 2))),
    tensors(TensorSpec("float64", (-1, 65))),
    tensors(TensorSpec("float32", (-1, 2), "x")),
    tensors(TensorSpec("int64", (-1,), "a"), TensorSpec("float32", (-1, 2, 2), "b"), TensorSpec("bool", (-1, 1), "x:y")),
]

_WHOLE = {"long": 64, "int64": 64, "integer": 32, "int32": 32, "int16": 16, "int8": 8}
_UNSIGNED = {"uint64": 64, "uint32": 32, "uint16": 16, "uint8": 8}
_REAL = {"double": 2**53, "float64": 2**53, "float": 2**24, "float32": 2**24, "float16": 2**11}
# Texts of values; some are right for some types, none for all.
ODD = [
    "-0", "-0.0", "0e5", "-0e-5", "1e400", "-1e400", "1e-400", "5e-324", "1e39", "3.4028235e38", "3.5e38", "1e-46",
    "9007199254740993", "9007199254740992", "9007199254740991", "16777217", "16777216", "16777215.9999999999",
    "9223372036854775807", "9223372036854775808", "-9223372036854775808", "-9223372036854775809",
    "18446744073709551615", "18446744073709551616", "2147483648", "-2147483648", "2049", "128", "256", "65536",
    "123456789012345678901234567890", "0.1234567890123456789", "8.41", "2.2250738585072011e-308", "1" * 400,
    "NaN", "Infinity", "-Infinity", "null", "true", "false", "1.0", "1e2", "1E+2", "1.5", "7", '"7"', '"1.5"', '"true"',
    '""', '"x"', '"\\u00e9"', '"é"', '"a:b"', '"\\u003a"', '"\\ud800"', '"\\udc00\\ud800"', '"\\ud83d\\ude00"',
    '"a\\u0000"', '"\\u0000a"', '"\\/"', '"a\tb"', '"\\x"', "[]", "[1]", "{}", "01", "1.", ".5", "+1", "--1", "1e", "tru",
    "", "1 2", "0x1",
]  # fmt: skip
SPACES = ["", "", "", " ", "\n", "\t \r\n", "\f", "\u00a0"]
JUNK = ["", "", "", "", "", " ", "\n", "}", "]", ",", "x", "\0", '{"inputs": []}']


# Made once: hypothesis looks through a strategy before it first draws from it, which costs more than the drawing.
_integers = cache(st.integers)
_ODD_VALUE, _SPACE, _JUNK = st.sampled_from(ODD), st.sampled_from(SPACES), st.sampled_from(JUNK)


@cache
def values(kind: str) -> st.SearchStrategy[str]:
    """Texts of values that lose nothing in a type."""
    if kind in _WHOLE:
        bits = _WHOLE[kind] - 1
        return st.integers(-(2**bits), 2**bits - 1).map(str)
    if kind in _UNSIGNED:
        return st.integers(0, 2 ** _UNSIGNED[kind] - 1).map(str)
    if kind in _REAL:
        bound = _REAL[kind] - 1
        return st.floats(-bound, bound).map(repr) | st.integers(-bound, bound).map(str)
    if kind in ("boolean", "bool"):
        return st.sampled_from(["true", "false"])
    texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=6).filter(lambda text: not text.endswith("\0"))
    return st.tuples(texts, st.booleans()).map(lambda each: json.dumps(each[0], ensure_ascii=each[1]))


def _one_of(odd: st.SearchStrategy[Any] | Sequence[Any]) -> st.SearchStrategy[Any]:
    return odd if isinstance(odd, st.SearchStrategy) else st.sampled_from(odd)


def _nested(shape: tuple[int, ...], cell: Any) -> str:
    if not shape:
        return cell()
    return "[" + ", ".join(_nested(shape[1:], cell) for _ in range(shape[0])) + "]"


@st.composite
def bodies(draw: Any, plan: InputPlan, is_clean: bool) -> str:
    """The text of a body for a plan. What is clean is written as json.dumps writes it and must be taken."""

    seldom = 0 if is_clean else draw(st.sampled_from([10, 50, 200]))

    def rarely(usual: Any, odd: st.SearchStrategy[Any] | Sequence[Any]) -> Any:
        return usual if is_clean or draw(_integers(0, seldom)) else draw(_one_of(odd))

    def space() -> str:
        return rarely("", _SPACE)

    def cell(kind: str) -> str:
        usual = draw(values(kind))
        return space() + str(rarely(usual, _ODD_VALUE)) + space()

    def name(text: str) -> str:
        escaped = "".join(f"\\u{ord(letter):04x}" for letter in text)
        written = rarely(json.dumps(text), [f'"{escaped}"', f'"{text}"', '"a"', '"other"', '"a"\n', "7", "null"])
        return space() + str(written)

    def row(fields: Sequence[Any]) -> list[str]:
        return [_nested(field.shape, partial(cell, field.type)) for field in fields]

    def members(pairs: list[tuple[str, str]]) -> str:
        pairs = rarely(pairs, [[*pairs, *pairs[:1]], pairs[1:], [*pairs, ("zz", "1")]])
        return "{" + ", ".join(f"{name(key)}: {value}" for key, value in pairs) + "}"

    def items(texts: list[str]) -> str:
        texts = rarely(texts, [[*texts, *texts[:1]], texts[1:], [], [*texts, "1"], [*texts, "null"]])
        return "[" + ", ".join(texts) + "]"

    rows = draw(st.integers(1, 4))
    fields = draw(st.permutations(plan.fields))
    forms = {"columns": ["split", "split", "records", "inputs", "instances", "rows"], "tensor": ["list"]}
    form = draw(st.sampled_from(forms.get(plan.kind, ["inputs", "instances", "rows"])))
    field_name = {"split": "dataframe_split", "records": "dataframe_records", "inputs": "inputs", "rows": "instances"}.get(
        form
    )
    field_name = field_name or draw(st.sampled_from(["inputs", "instances"]))
    match form:
        case "split":
            names = items([name(str(field.name)) for field in fields])
            pairs = [("columns", names), ("data", items([items(row(fields)) for _ in range(rows)]))]
            if draw(st.booleans()):
                counted = list(range(rows))
                others = [[], [0.0], [5], ["x"], None, counted[::-1], [*counted, rows], [False, True]]
                index = ("index", json.dumps(rarely(counted, others)))
                pairs = [index, *pairs] if draw(st.booleans()) else [pairs[0], index, pairs[1]]
            pairs = rarely(pairs, st.permutations(pairs))
            value = members(pairs)
        case "records" | "rows":
            value = items(
                [members([(str(f.name), text) for f, text in zip(fields, row(fields), strict=True)]) for _ in range(rows)]
            )
        case "list":
            value = items([row(fields)[0] for _ in range(rows)])
        case _:
            value = members([(str(field.name), items([row([field])[0] for _ in range(rows)])) for field in fields])
    others = [("params", "{}"), ("zz", "1"), ("inputs", "[[1, 2]]"), ("input", "1"), (field_name, value)]
    pairs = [(field_name, value)]
    pairs = rarely(pairs, st.sampled_from(others).map(lambda other: [other, *pairs]) | st.just([*pairs, others[0]]))
    return space() + members(pairs) + str(rarely("", _JUNK))


@st.composite
def spoiled(draw: Any, text: str) -> bytes:
    """Its bytes: mostly UTF-8, sometimes another encoding, cut short, or with a byte changed."""
    way = draw(st.sampled_from(["", "", "", "", "bom", "utf-16", "utf-16-le", "utf-32", "cut", "byte"]))
    raw = text.encode("utf-8", "surrogatepass")
    if way == "bom":
        return b"\xef\xbb\xbf" + raw
    if way.startswith("utf"):
        return text.encode(way, "surrogatepass")
    place = draw(st.integers(0, len(raw) - 1)) if raw else 0
    if way == "cut":
        return raw[:place]
    if way == "byte":
        return raw[:place] + bytes([draw(st.integers(0, 255))]) + raw[place + 1 :]
    return raw


def assert_same(expected: Any, got: Any, has_layout: bool = True) -> None:
    """Equal to the bit, in every way that a model could see."""
    assert type(expected) is type(got)
    if isinstance(expected, dict):
        assert list(expected) == list(got)
        for name in expected:
            assert_same(expected[name], got[name], has_layout)
    elif isinstance(expected, np.ndarray):
        assert (expected.dtype, expected.shape) == (got.dtype, got.shape)
        assert expected.dtype.isnative == got.dtype.isnative
        assert expected.tobytes() == got.tobytes()
        assert got.flags.writeable
        assert got.flags.aligned
        if has_layout:
            assert _layout(expected) == _layout(got)
    else:
        _assert_same_frame(expected, got, has_layout)


def _assert_same_frame(expected: Any, got: Any, has_layout: bool) -> None:
    assert type(expected.index) is type(got.index) is pandas.RangeIndex
    assert expected.index.equals(got.index)
    assert expected.index.name is got.index.name is None
    assert type(expected.columns) is type(got.columns)
    assert (expected.columns.dtype, expected.columns.names) == (got.columns.dtype, got.columns.names)
    assert list(expected.columns) == list(got.columns)
    assert list(expected.dtypes) == list(got.dtypes)
    for position in range(expected.shape[1]):
        one, other = expected.iloc[:, position], got.iloc[:, position]
        if one.dtype.kind in "biuf":
            assert one.to_numpy().tobytes() == other.to_numpy().tobytes()
        else:
            assert type(one.array) is type(other.array)
            assert [(type(value), value) for value in one] == [(type(value), value) for value in other]
    if has_layout:
        assert _layout(expected.to_numpy()) == _layout(got.to_numpy())
        assert _layout(np.asarray(expected.select_dtypes("number"))) == _layout(np.asarray(got.select_dtypes("number")))


def _layout(array: Any) -> tuple[Any, ...]:
    return array.dtype, array.flags.c_contiguous, array.flags.f_contiguous
