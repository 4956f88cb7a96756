"""A profile of the first rows in production, which says where it is from."""

import numpy as np
import pytest

from podium.domain.monitoring.bootstrap import Bootstrap
from podium.domain.monitoring.features import Feature, Features
from podium.domain.monitoring.profile_reading import read_profile

MORNING = 1_767_225_600.0  # 2026-01-01T00:00:00Z
FEATURES = Features((Feature("x", "double", "x"),), {"image": "1024 values in each row"})


def taken(batches, rows, features=FEATURES, seconds=60.0):
    bootstrap = Bootstrap(features, MORNING)
    for batch in range(batches):
        values = np.arange(batch * rows, (batch + 1) * rows, dtype=float)
        predictions = {"value": values % 3, "classes": values % 3, "score": np.full(rows, 0.9)}
        bootstrap.add(rows, {"x": values}, predictions, MORNING + batch * seconds)
    return bootstrap


def test_ten_thousand_rows_make_a_profile_that_is_marked():
    bootstrap = taken(40, 250)

    assert bootstrap.is_ready(MORNING + 1)
    profile = bootstrap.profile()
    assert profile.is_bootstrapped
    assert profile.source.rows == 10_000
    assert (profile.source.since, profile.source.until) == ("2026-01-01T00:00:00Z", "2026-01-01T00:39:00Z")
    assert profile.left_out == {"image": "1024 values in each row"}
    assert set(profile.predictions.present()) == {"classes", "score"}
    assert read_profile(profile.to_json().encode()) == profile


@pytest.mark.parametrize(("rows", "hours", "is_ready"), [(9_999, 23, False), (500, 25, True), (499, 25, False)], ids=str)
def test_a_day_is_enough_where_it_has_rows(rows, hours, is_ready):
    assert taken(1, rows).is_ready(MORNING + hours * 3600) is is_ready


def test_rows_beyond_are_passed_over():
    assert taken(50, 250).profile() == taken(40, 250).profile()


def test_rows_without_columns_count():
    bootstrap = Bootstrap(Features((), {"image": "1024 values in each row"}), MORNING)
    bootstrap.add(10_000, {}, {"value": np.arange(10_000.0)}, MORNING)

    assert bootstrap.is_ready(MORNING)
    assert bootstrap.profile().columns == {}
