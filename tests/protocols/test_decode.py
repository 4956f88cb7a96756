"""What a model receives for a request, and what is refused before it is asked."""

import json
import subprocess
import sys
from typing import Any

import numpy as np
import pandas as pd
import pytest

from podium.domain.signature import Column, ColumnSchema, DataType, Param, Signature, TensorSchema, TensorSpec
from podium.errors import InvalidInput, MalformedBody, UnsupportedContentType
from podium.protocols.mlflow.codec import Codec, codec_for, decode

JSON = "application/json"
LONG = "x" * 200_000
TEXT = (DataType.STRING, DataType.BINARY)
AB = Signature(ColumnSchema((Column(DataType.DOUBLE, "a"), Column(DataType.DOUBLE, "b"))))
TENSOR = Signature(TensorSchema((TensorSpec("float32", (-1, 3)),)))


def decoded(body: Any, signature: Signature | None = None, content_type: str | None = JSON) -> Any:
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    return decode(text, content_type, signature).data


def x(kind: DataType, required: bool = True) -> Signature:
    return Signature(ColumnSchema((Column(kind, "x", required),)))


def refused(body: Any, signature: Signature | None = None, content_type: str | None = JSON) -> str:
    with pytest.raises(InvalidInput) as caught:
        decoded(body, signature, content_type)
    return caught.value.message


@pytest.mark.parametrize(
    "body",
    [
        {"dataframe_split": {"columns": ["a", "b"], "data": [[1, 2], [3, 4]]}},
        {"dataframe_records": [{"a": 1, "b": 2}, {"a": 3, "b": 4}]},
    ],
)
def test_frames_have_the_types_of_the_signature(body: Any) -> None:
    """Whole numbers in JSON become floats where the column is a double."""
    frame = decoded(body, AB)

    pd.testing.assert_frame_equal(pd.DataFrame({"a": [1.0, 3.0], "b": [2.0, 4.0]}), frame)


@pytest.mark.parametrize(
    "body", [{"inputs": {"a": [1, 3], "b": [2, 4]}}, {"instances": [{"a": 1, "b": 2}, {"a": 3, "b": 4}]}]
)
def test_inputs_and_instances_give_the_same_arrays(body: Any) -> None:
    """Columns by name, an array each."""
    arrays = decoded(body, AB)

    assert {name: array.tolist() for name, array in arrays.items()} == {"a": [1.0, 3.0], "b": [2.0, 4.0]}
    assert {np.dtype("float64")} == {array.dtype for array in arrays.values()}


def test_a_tensor_signature_gives_one_array_and_no_frame() -> None:
    """The array has the declared dtype."""
    array = decoded({"inputs": [[1, 2, 3]]}, TENSOR)

    assert (np.float32, (1, 3)) == (array.dtype, array.shape)


def test_a_missing_content_type_is_refused_in_mlflows_words() -> None:
    """MLflow's server crashes on it; the sentence is the one for an empty header."""
    with pytest.raises(UnsupportedContentType) as caught:
        decode(b"{}", None, None)

    assert caught.value.message.endswith(
        "Types: ['text/csv', 'application/json', 'application/vnd.apache.parquet']. Got ''."
    )


def test_a_unified_body_keeps_everything_but_the_declared_params() -> None:
    """`messages`, `prompt` or `input` at the top: the whole dict is the data, and the answer has no envelope."""
    signature = Signature(params=(Param("temperature", DataType.DOUBLE, 1.0),))
    body = {"messages": [{"role": "user"}], "temperature": 0.5, "inputs": [1]}

    request = decode(json.dumps(body).encode(), JSON, signature)

    assert (request.data, request.params) == ({"messages": [{"role": "user"}], "inputs": [1]}, {"temperature": 0.5})
    assert not request.is_enveloped


def test_a_type_hint_takes_inputs_as_they_are() -> None:
    """Nothing is converted: the model's own predict() checks the data against its hint."""
    signature = Signature(ColumnSchema((Column(DataType.STRING),)), is_from_type_hint=True)

    assert decoded({"inputs": ["a", 5]}, signature) == ["a", 5]
    assert refused({"instances": []}, signature).endswith("Found keys in payload: dict_keys(['instances']).")


@pytest.mark.parametrize("kind", [DataType.INTEGER, DataType.LONG])
@pytest.mark.parametrize(
    "body",
    [
        {"dataframe_split": {"columns": ["x"], "data": [[2**63]]}},
        {"dataframe_records": [{"x": 1e20}]},
        {"dataframe_records": [{"x": float(2**63)}]},
        {"inputs": {"x": [2**63]}},
        {"instances": [{"x": -(2**64)}]},
    ],
)
def test_whole_numbers_out_of_bounds_are_refused(kind: DataType, body: Any) -> None:
    """pandas would wrap them into other numbers without a word."""
    assert "Invalid input." in refused(body, x(kind))


@pytest.mark.parametrize("form", ["split", "inputs", "instances", "csv"])
def test_datetimes_with_a_time_zone_become_utc_in_every_form(form: str) -> None:
    """The column has nanoseconds and no zone, as for datetimes without one."""
    text = "2024-01-02T03:04:05.000000001+02:00"
    bodies = {
        "split": {"dataframe_split": {"columns": ["x"], "data": [[text]]}},
        "inputs": {"inputs": {"x": [text]}},
        "instances": {"instances": [{"x": text}]},
        "csv": f"x\n{text}\n".encode(),
    }

    data = decoded(bodies[form], x(DataType.DATETIME), "text/csv" if form == "csv" else JSON)

    moments = np.asarray(data["x"])
    assert (str(moments.dtype), moments.astype(str).tolist()) == ("datetime64[ns]", ["2024-01-02T01:04:05.000000001"])


def test_several_forms_of_datetimes_fit_into_one_column() -> None:
    """A day, a moment, and a moment in a zone."""
    texts = ["2024-01-02", "2024-01-02T03:04:05", "2024-01-02T03:04:05Z"]

    frame = decoded({"dataframe_split": {"columns": ["x"], "data": [[text] for text in texts]}}, x(DataType.DATETIME))

    assert frame["x"].astype(str).tolist() == ["2024-01-02 00:00:00", "2024-01-02 03:04:05", "2024-01-02 03:04:05"]


@pytest.mark.parametrize("kind", [DataType.INTEGER, DataType.LONG])
def test_null_is_accepted_where_a_whole_number_is_optional(kind: DataType) -> None:
    """As floats with NaN; a required column still refuses it."""
    split = {"dataframe_split": {"columns": ["x"], "data": [[1], [None]]}}
    inputs = {"inputs": {"x": [1, None]}}

    for body in (split, inputs):
        assert str(np.asarray(decoded(body, x(kind, required=False))["x"]).tolist()) == "[1.0, nan]"
        assert refused(body, x(kind))


def test_large_optional_whole_numbers_keep_every_digit_beside_null() -> None:
    """A float could not hold 2**53 + 1, so the column holds objects."""
    data = decoded({"inputs": {"x": [2**53 + 1, None]}}, x(DataType.LONG, required=False))

    assert data["x"].tolist() == [2**53 + 1, None]


@pytest.mark.parametrize(
    "values", [["x" * 200_000, *["y"] * 2_000], [5, "x" * 200_000, *[1] * 2_000]], ids=["texts", "mixed"]
)
def test_no_request_makes_an_array_many_times_its_own_size(values: list[Any]) -> None:
    """With no signature, and with text or bytes in it: numpy gives every value the room of the longest."""
    tensor = Signature(TensorSchema((TensorSpec("str", (-1,)),)))

    arrays = [decoded({"inputs": values}), *(decoded({"inputs": {"x": values}}, x(kind))["x"] for kind in TEXT)]

    assert [np.dtype(object)] * 3 == [array.dtype for array in arrays]
    assert "too long" in refused({"inputs": values}, tensor)


def test_one_long_text_among_many_short_ones_costs_no_more_than_its_length() -> None:
    """numpy would give every text the room of the longest."""
    texts = ["x" * 200_000, *["y"] * 2_000]

    data = decoded({"inputs": {"x": texts}}, x(DataType.STRING))

    assert (np.dtype(object), texts) == (data["x"].dtype, data["x"].tolist())


@pytest.mark.parametrize("depth", [200, 100_000])
def test_deep_nesting_is_refused_not_crashed_on(depth: int) -> None:
    """numpy has at most 64 dimensions, and the JSON parser a limited stack."""
    assert refused(b'{"inputs": ' + b"[" * depth + b"]" * depth + b"}", TENSOR)


def test_numbers_of_thousands_of_digits_are_refused() -> None:
    """Python refuses to read them; MLflow's server answers 500."""
    assert "valid JSON" in refused(b'{"inputs": ' + b"9" * 5000 + b"}")


@pytest.mark.parametrize(
    ("content_type", "body"),
    [(JSON, b'{"inputs": "\xff0123456789"}'), ("text/csv", b"a\n\xff0123456789\n")],
)
def test_a_body_that_is_not_utf8_is_refused_without_being_quoted(content_type: str, body: bytes) -> None:
    """Python's own error would hold the whole body."""
    message = refused(body, None, content_type)

    assert "UnicodeDecodeError" in message
    assert "0123456789" not in message


def test_csv_reads_optional_whole_numbers_with_and_without_gaps() -> None:
    """Without gaps they have the declared type, with gaps they are floats; a fraction is refused."""
    signature = x(DataType.INTEGER, required=False)

    dtypes = [str(decoded(body, signature, "text/csv")["x"].dtype) for body in (b"x\n1\n", b'x\n1\n""\n')]

    assert dtypes == ["int32", "float64"]
    with pytest.raises(MalformedBody, match="cannot safely convert passed user dtype of int32"):
        decoded(b"x\n1.5\n", signature, "text/csv")


def test_params_come_as_they_were_sent() -> None:
    """The predictor checks them; a CSV request has none."""
    body = {"inputs": [1], "params": [1]}

    assert decode(json.dumps(body).encode(), JSON, None).params == [1]
    assert None is decode(b"a\n1\n", "text/csv", None).params


def test_a_signature_keeps_its_codec() -> None:
    """Preparing happens once for each signature object; another object of equal value has another codec."""
    signature = Signature(AB.inputs)

    first, second, other = codec_for(signature), codec_for(signature), codec_for(Signature(AB.inputs))

    assert first is second
    assert first is not other
    assert isinstance(codec_for(None), Codec)


def test_garbage_is_not_parquet() -> None:
    """The text of the reader's error is kept, which quotes nothing."""
    with pytest.raises(MalformedBody, match=r"valid Parquet Pandas DataFrame"):
        decode(b"PAR1 garbage PAR1", "application/vnd.apache.parquet", None)


WITHOUT_PANDAS = """
import json, sys
sys.modules["pandas"] = sys.modules["pyarrow"] = None
import numpy
from podium.domain.signature import Column, ColumnSchema, DataType, Signature, TensorSpec, TensorSchema
from podium.errors import MissingDependency
from podium.flavors.contract import RowIndependence
from podium.models.predictor import Predictor
from podium.protocols.mlflow.codec import decode, encode

class Double:
    native = None
    def predict(self, data, params=None):
        return data * 2

tensor = Signature(TensorSchema((TensorSpec("float32", (-1,)),)))
columns = Signature(ColumnSchema((Column(DataType.DOUBLE, "a"),)))
request = decode(b'{"inputs": [1, 2]}', "application/json", tensor)
answers = [encode(Predictor(Double(), tensor, "x", RowIndependence(False, ""), {}).predict(request.data)).decode()]
for body, kind, signature in (
    (b'{"dataframe_split": {"data": [[1]]}}', "application/json", None),
    (b"a\\n1\\n", "text/csv", None),
    (b"PAR1", "application/vnd.apache.parquet", None),
    (b'{"inputs": {"a": [1]}}', "application/json", columns),
):
    try:
        request = decode(body, kind, signature)
        Predictor(Double(), signature, "x", RowIndependence(False, ""), {}).predict(request.data)
    except MissingDependency as error:
        answers.append(error.message)
print(json.dumps(answers))
"""


def test_tensors_need_no_pandas_and_frames_say_that_they_do() -> None:
    """With numpy alone: arrays are decoded, enforced and encoded; everything with a frame names what to install."""
    done = subprocess.run([sys.executable, "-c", WITHOUT_PANDAS], capture_output=True, text=True, timeout=550, check=False)

    assert done.returncode == 0, done.stderr
    first, *others = json.loads(done.stdout)
    assert first == '{"predictions": [2.0, 4.0]}'
    assert len(others) == 4
    assert all('needs pandas, which is not installed. Run: pip install "podium[pandas]"' in text for text in others)
