"""Which params a model gets."""

import datetime
from typing import Any

import numpy as np
import pytest

from podium.domain.signature import DataType, ObjectType, Param, Property
from podium.errors import InvalidParams
from podium.models.enforce_params import ParamsEnforcer

PARAMS = (
    Param("temp", DataType.DOUBLE, 0.5),
    Param("n", DataType.LONG, 1),
    Param("stop", DataType.STRING, ["a"], (-1,)),
    Param("flag", DataType.BOOLEAN, False),
    Param("when", DataType.DATETIME, "2024-01-01"),
    Param("opts", ObjectType((Property("k", DataType.STRING),)), {"k": "v"}),
)
DEFAULTS = {
    "temp": 0.5, "n": 1, "stop": ["a"], "flag": False, "when": datetime.date(2024, 1, 1), "opts": {"k": "v"},
}  # fmt: skip


def test_absent_params_have_their_defaults() -> None:
    """A datetime's default is a date, though the signature has it as text."""
    enforcer = ParamsEnforcer(PARAMS)

    assert DEFAULTS == enforcer.enforce(None) == enforcer.enforce({})


def test_a_model_cannot_change_the_defaults_of_later_requests() -> None:
    """Lists and dicts among them are copies."""
    enforcer = ParamsEnforcer(PARAMS)
    first = enforcer.enforce(None)
    assert first is not None

    first["stop"].append("b")
    first["opts"]["k"] = "w"

    assert enforcer.enforce(None) == DEFAULTS


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"temp": 1}, 1.0),
        ({"temp": np.float32(0.5)}, 0.5),
        ({"temp": None}, None),
        ({"n": np.int32(5)}, 5),
        ({"stop": ["x", "y"]}, ["x", "y"]),
        ({"stop": []}, []),
        ({"stop": np.array(["x"])}, ["x"]),
        ({"flag": True}, True),
        ({"when": "2024-02-03"}, datetime.date(2024, 2, 3)),
        ({"when": "2024-02-03T04:05:06"}, datetime.datetime.fromisoformat("2024-02-03T04:05:06")),
        ({"when": "2024-02-03T04:05:06+02:00"}, datetime.datetime.fromisoformat("2024-02-03T02:05:06")),
        ({"opts": {"k": "w"}}, {"k": "w"}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_loses_nothing_is_converted(given: dict[str, Any], expected: Any) -> None:
    """To Python's own types; null stays null."""
    (name,) = given

    values = ParamsEnforcer(PARAMS).enforce(given)

    assert values is not None
    assert (type(expected), expected) == (type(values[name]), values[name])


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"n": "a word"}, "error: Can not safely convert `<class 'str'>` to `DataType.long` for value `a word`"),
        ({"n": 1.5}, "Can not safely convert `<class 'float'>` to `DataType.long`"),
        ({"n": True}, "Can not safely convert `<class 'bool'>` to `DataType.long`"),
        ({"temp": [1.0]}, "Value must be a scalar for type `DataType.double`, got `…`"),
        ({"n": "a word", "temp": "a secret"}, "to `DataType.double` for value `…`"),
        ({"stop": "a secret"}, "Value must be a 1D array with shape (-1,)"),
        ({"stop": [["a secret"]]}, "Value must be a 1D array with shape (-1,)"),
        ({"when": "a word"}, "Failed to convert value `a word` from type `<class 'str'>` to `DataType.datetime`"),
        ({"when": 5}, "Failed to convert value `5` from type `<class 'int'>` to `DataType.datetime`"),
        ({"opts": {}}, "Missing required properties: {'k'}"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_does_not_fit_is_refused(given: dict[str, Any], said: str) -> None:
    """The param, its type and default, and what kind of thing came instead; of the values the first scalar."""
    with pytest.raises(InvalidParams) as caught:
        ParamsEnforcer(PARAMS).enforce(given)

    assert caught.value.message.startswith("Invalid parameters found: {(")
    assert said in caught.value.message.replace('\\"', '"').replace("\\'", "'")
    assert "secret" not in caught.value.message


def test_params_that_are_no_dictionary_are_refused() -> None:
    """By their type."""
    with pytest.raises(InvalidParams, match=r"Parameters must be a dictionary. Got type 'list'."):
        ParamsEnforcer(PARAMS).enforce([1])  # type: ignore[arg-type]


def test_unknown_params_are_dropped_and_told_once(caplog: pytest.LogCaptureFixture) -> None:
    """Not for each request."""
    enforcer = ParamsEnforcer(PARAMS)

    for _ in range(3):
        assert enforcer.enforce({"zzz": 1}) == DEFAULTS

    assert len(caplog.records) == 1
