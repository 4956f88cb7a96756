"""Which method scores a column: what was said of it, else of all, else PSI; what cannot be is said and not done."""

from datetime import UTC, datetime

import pandas as pd
import pytest

from podium.domain.monitoring.choosing import SaidMethod, all_said, choices_of
from podium.domain.monitoring.drift import OWN_METHODS
from podium.domain.monitoring.drift.contract import Thresholds
from podium.errors import InvalidInput
from podium.models.profiles import make_profile
from podium.models.reference_data import ReferenceData

METHODS = {method.name: method for method in OWN_METHODS}
ROWS = pd.DataFrame({
    "age": [float(i % 61) for i in range(1200)],
    "a=b:c": [float(i % 89) for i in range(1200)],
    "town": [("Oslo", "Rome", "Lima")[i % 3] for i in range(1200)],
})  # fmt: skip
PROFILE = make_profile(ReferenceData(ROWS, predictions=False), None, None, datetime(2026, 1, 1, tzinfo=UTC)).profile


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("js", SaidMethod("js")),
        ("age=ks", SaidMethod("ks", "age")),
        ("psi:0.15:0.3", SaidMethod("psi", None, Thresholds(0.15, 0.3))),
        ("a=b:c=wasserstein:0.2:0.4", SaidMethod("wasserstein", "a=b:c", Thresholds(0.2, 0.4))),
    ],
)
def test_what_is_said_is_a_method_with_a_column_before_and_thresholds_behind(text: str, expected: SaidMethod):
    assert SaidMethod.of(text) == expected


@pytest.mark.parametrize("text", ["", "=ks", "age=", "age=KS", "ks:0.1", "ks:0.3:0.1", "ks:a:b", "ks:nan:1", "ks:0:1"])
def test_anything_else_is_refused_with_the_form(text: str):
    with pytest.raises(InvalidInput, match=r"age=ks:0\.1:0\.2"):
        SaidMethod.of(text)


def test_a_method_that_there_is_not_is_refused_with_those_that_there_are():
    with pytest.raises(InvalidInput, match=r"no drift method 'kss'\. Did you mean 'ks'.*psi, js, ks, wasserstein, chi2"):
        all_said(["kss"], list(METHODS))


@pytest.mark.parametrize(("texts", "whose"), [(["js", "ks"], "all columns"), (["age=js", "js", "age=ks"], "column 'age'")])
def test_two_methods_of_the_same_are_refused(texts: list[str], whose: str):
    with pytest.raises(InvalidInput, match=whose):
        all_said(texts, list(METHODS))


def test_one_for_numbers_that_is_said_of_all_leaves_categories_alone():
    found = choices_of(all_said(["ks", "a=b:c=js:0.2:0.4"], list(METHODS)), METHODS, PROFILE)

    assert {name: choice.method.name for name, choice in found.by_column.items()} == {"age": "ks", "a=b:c": "js"}
    assert found.by_column["a=b:c"].thresholds == Thresholds(0.2, 0.4)
    assert found.problems == ()


def test_what_cannot_be_is_said_and_the_others_are_chosen():
    said = all_said(["town=wasserstein", "agee=js", "age=hellinger", "chi2"], [*METHODS, "hellinger"])

    found = choices_of(said, METHODS, PROFILE)

    assert {name: choice.method.name for name, choice in found.by_column.items()} == {"a=b:c": "chi2"}
    assert sorted(found.problems) == [
        "drift: 'town' has categories, and wasserstein compares numbers only.",
        "drift: the method hellinger is not installed here.",
        "drift: there is no column 'agee', for which js was chosen.",
    ]
