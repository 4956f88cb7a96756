"""A classifier that is asked to tell rows of now from the reference's."""

import sys

import numpy as np
import pytest
from profile_world import profile_of

from podium.domain.monitoring.findings import ColumnVerdict
from podium.errors import InvalidInput, MissingDependency
from podium.models.telling_apart import area_of, tell_apart


def drawn(rows, seed, is_torn=False):
    """Numbers and categories of one source, and a text that says nothing."""
    draw = np.random.default_rng(seed)
    source = draw.normal(size=rows)
    columns = {
        "x": source + 0.2 * draw.normal(size=rows),
        "y": np.where(draw.random(rows) < 0.1, np.nan, draw.normal(size=rows)),
        "is_high": source > 0.5,
        "plan": np.where(source > 0, "pro", "basic").astype(object),
        "note": np.array([f"note {each:06}" for each in draw.permutation(rows)], dtype=object),
    }
    return columns | {"x": draw.permutation(columns["x"])} if is_torn else columns


BEFORE = drawn(600, 1)
PROFILE = profile_of(BEFORE)


def test_rows_whose_columns_go_together_otherwise_are_told_apart_by_these():
    """Each column has the values that it had; the one that was torn from the others tells the most."""
    told = tell_apart(PROFILE.columns, BEFORE, drawn(500, 2, is_torn=True))

    assert told.finding.verdict is ColumnVerdict.ALERT
    assert told.low > told.finding.high
    assert told.p_value < 1e-9
    assert told.columns[0][0] == "x"
    assert {"y", "note"}.isdisjoint(name for name, _ in told.columns)
    assert (told.reference_rows, told.current_rows) == (600, 500)


def test_rows_of_the_same_source_are_not_and_the_same_rows_say_the_same_again():
    """Guessing is a half."""
    now = drawn(500, 3)
    told = tell_apart(PROFILE.columns, BEFORE, now, seed=7)

    assert told.finding.verdict is ColumnVerdict.OK
    assert told.low < 0.5 + 0.05
    assert told.finding.score == pytest.approx(0.5, abs=0.05)
    assert tell_apart(PROFILE.columns, BEFORE, now, seed=7) == told


def test_the_area_is_how_often_one_of_now_is_above_one_of_before():
    """Equal scores count half."""
    assert area_of(np.array([0.1, 0.4, 0.4, 0.9]), np.array([0, 0, 1, 1])) == (1.5 + 2) / 4


def test_what_cannot_be_told_apart_is_refused():
    """No column in both; fewer rows than folds."""
    with pytest.raises(InvalidInput, match="no column in common"):
        tell_apart(PROFILE.columns, BEFORE, {"other": np.zeros(100)})
    with pytest.raises(InvalidInput, match="expected 5 rows of each, got 4"):
        tell_apart(PROFILE.columns, BEFORE, {name: values[:4] for name, values in BEFORE.items()})


def test_without_scikit_learn_it_says_what_to_install(monkeypatch):
    """Nothing else of monitoring needs it."""
    monkeypatch.setitem(sys.modules, "sklearn.ensemble", None)

    with pytest.raises(MissingDependency, match=r"podium\[sklearn\]"):
        tell_apart(PROFILE.columns, BEFORE, BEFORE)
