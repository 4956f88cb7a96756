"""Sums of how far a worker's rows are from what the profile's directions keep of them."""

from dataclasses import replace

import numpy as np
import pytest
from profile_world import counted, profile_of

from podium.domain.monitoring.counting import BatchCounter, Layout
from podium.domain.monitoring.counts import CountsWentBack, ErrorSums
from podium.domain.monitoring.findings import Check, ColumnVerdict, Role, judge
from podium.domain.monitoring.multivariate import can_be_together, fitted, found_together
from podium.domain.monitoring.reconstruction import (
    ENOUGH_ROWS,
    GATHERED_ROWS,
    MOST_LOOKED_AT,
    ONE_IN,
    encoded,
    errors,
)
from podium.domain.monitoring.standing import StandingFinding
from podium.domain.monitoring.windows import HOUR_S, Span

DRAW = np.random.default_rng(17)


def drawn(rows, is_torn=False, at=None):
    """Two columns that go together, one that does not, and categories of three kinds."""
    draw = at or DRAW
    source = draw.normal(size=rows)
    columns = {
        "x": source + 0.3 * draw.normal(size=rows),
        "y": 2 * source + 0.5 * draw.normal(size=rows),
        "z": draw.normal(size=rows),
        "flag": source > 0.5,
        "grade": np.clip(np.round(source) + 3, 1, 5).astype(np.int64),
        "plan": np.where(source > 0, "pro", "basic").astype(object),
    }
    return columns | {"x": draw.permutation(columns["x"])} if is_torn else columns


REFERENCE = drawn(4000)
ALONE = profile_of(REFERENCE)
NAMES = can_be_together(ALONE.columns)
PROFILE = replace(ALONE, multivariate=fitted(NAMES, encoded(ALONE.columns, NAMES, REFERENCE)))
HOUR = Span(0, HOUR_S)


def summed(columns, sizes, counter=None):
    """Counted in slices of these sizes, as a tap cuts them."""
    counter = counter or BatchCounter(Layout(PROFILE))
    start = 0
    for size in sizes:
        counter.add(size, {name: values[start : start + size] for name, values in columns.items()}, {})
        start += size
    return counter.counts()


def test_a_slice_s_errors_are_summed_up():
    """All its rows, where there are no more than are looked at; to the 1024th."""
    columns = drawn(200)
    found = errors(PROFILE.multivariate, encoded(PROFILE.columns, NAMES, columns))

    sums = counted(PROFILE, columns).together

    assert NAMES == ["x", "y", "z", "flag", "grade", "plan"]
    assert sums.rows == 200
    assert sums.mean == pytest.approx(found.mean(), abs=1e-4)
    assert sums.deviation == pytest.approx(found.std(), abs=1e-3)


def test_of_a_large_slice_an_even_sample_is_looked_at():
    """Every fourth row of 1,024."""
    columns = drawn(1024)

    sums = counted(PROFILE, columns).together

    assert sums.rows == MOST_LOOKED_AT
    assert sums == counted(PROFILE, {name: values[::4] for name, values in columns.items()}).together


def test_in_each_five_minutes_the_first_rows_are_looked_at_and_then_one_slice_in_sixteen():
    """2,000 rows are 20 slices of a hundred; the clock says when there are more."""
    now = [0.0]
    counter = BatchCounter(Layout(PROFILE), clock=lambda: now[0])
    columns = drawn(100)
    seen = []
    for moment in (0.0, 299.0, 300.0):
        now[0] = moment
        before = counter.counts().together.rows
        for _ in range(20 + ONE_IN):
            counter.add(100, columns, {})
        seen.append(counter.counts().together.rows - before)

    assert ENOUGH_ROWS == 2000
    assert seen[0] == ENOUGH_ROWS + 100
    assert 100 <= seen[1] <= 300
    assert seen[2] == ENOUGH_ROWS + 100


def test_slices_of_few_rows_are_put_together_first():
    """Those that are too few yet are not in the sums."""
    columns = drawn(3 * GATHERED_ROWS + 5)
    first = {name: values[:GATHERED_ROWS] for name, values in columns.items()}

    sums = summed(columns, [1] * len(columns["x"])).together

    assert sums.rows == 3 * GATHERED_ROWS
    assert summed(first, [8] * (GATHERED_ROWS // 8)).together == counted(PROFILE, first).together


def test_a_column_that_is_not_there_is_missing():
    """In a slice, in some of those that are put together, and in values."""
    columns = drawn(GATHERED_ROWS)
    without = {name: values for name, values in columns.items() if name not in ("y", "plan")}
    nothing = columns | {"y": np.full(GATHERED_ROWS, np.nan), "plan": np.full(GATHERED_ROWS, None, object)}
    half = GATHERED_ROWS // 2
    mixed = BatchCounter(Layout(PROFILE))
    for start in range(0, GATHERED_ROWS, 16):
        given = columns if start < half else without
        mixed.add(16, {name: values[start : start + 16] for name, values in given.items()}, {})
    gone = columns | {name: columns[name].astype(object) for name in ("y", "plan")}
    for name in ("y", "plan"):
        gone[name][half:] = None

    assert counted(PROFILE, without).together == counted(PROFILE, nothing).together
    assert mixed.counts().together == counted(PROFILE, gone).together


def test_categories_are_read_as_they_are_counted():
    """Truth values and whole numbers, whichever way they come; what is not named has no share."""
    shares = encoded(PROFILE.columns, ["flag", "grade"], {"flag": [True, 0.0, None], "grade": [3, 3.0, 9]})

    flag, grade = PROFILE.columns["flag"], PROFILE.columns["grade"]
    of_flag = dict(zip(flag.bins.names, flag.counts.bins, strict=True))
    of_grade = dict(zip(grade.bins.names, grade.counts.bins, strict=True))
    assert shares[:, 0] * 4000 == pytest.approx([of_flag["true"], of_flag["false"], max(of_flag.values())])
    assert shares[:, 1] * 4000 == pytest.approx([of_grade["3"], of_grade["3"], 0])


def test_one_row_that_is_anything_does_not_fill_a_cell():
    """Infinite numbers are missing, huge ones cut."""
    columns = drawn(100)
    usual = counted(PROFILE, columns).together.mean
    columns["z"][:3] = [np.inf, -1e308, 1e308]

    assert counted(PROFILE, columns).together.mean == pytest.approx(usual, abs=0.1)


def test_sums_add_up_and_go_back_like_all_counts():
    """Of two workers; of one before and now."""
    one, other = counted(PROFILE, drawn(100)), counted(PROFILE, drawn(150))

    assert (one + other).together == one.together + other.together
    assert ((one + other) - one).together == other.together
    with pytest.raises(CountsWentBack):
        replace(one, together=ErrorSums()) - one


def test_a_profile_without_or_of_unknown_rows_has_no_cells_for_it():
    """Profiles that were made before nobody measures errors by."""
    unknown = replace(PROFILE, multivariate=replace(PROFILE.multivariate, rows=0))

    assert Layout(ALONE).size == Layout(unknown).size == Layout(PROFILE).size - 3
    assert counted(unknown, drawn(100)).together == ErrorSums()
    assert found_together(unknown, counted(unknown, drawn(100)), HOUR) is None
    assert found_together(ALONE, counted(ALONE, drawn(100)), HOUR) is None


def judged(is_torn, seed, hour=0, profile=PROFILE):
    """An hour of 20,000 rows in slices of 800."""
    columns = drawn(20_000, is_torn, np.random.default_rng(seed))
    return found_together(profile, summed(columns, [800] * 25), Span(hour * HOUR_S, (hour + 1) * HOUR_S))


def test_columns_that_were_torn_apart_are_found_in_the_sums_alone():
    """And nothing is where they were not."""
    torn, usual = judged(True, 1), judged(False, 2)

    assert (torn.role, torn.check, torn.method, torn.verdict) == (Role.TOGETHER, Check.DRIFT, "pca", ColumnVerdict.ALERT)
    assert torn.score > torn.alert > torn.warn > torn.usual == PROFILE.multivariate.error_mean
    assert usual.verdict is ColumnVerdict.OK
    assert (usual.rows, usual.reference_rows) == (11 * 200, 4000)


def test_rows_that_are_nearer_than_usual_are_an_alert_too_and_its_limits_are_on_that_side():
    """Columns that are copies of each other have no error: something before the model fills in one for all."""
    columns = drawn(20_000, at=np.random.default_rng(5))
    same = columns | {"y": 2 * columns["x"], "z": np.zeros(20_000)}

    found = found_together(PROFILE, summed(same, [800] * 25), HOUR)

    assert found.verdict is ColumnVerdict.ALERT
    assert found.score < found.alert < found.warn < found.usual


def test_too_few_rows_that_were_looked_at_are_not_judged():
    found = found_together(PROFILE, summed(drawn(1600, is_torn=True), [800] * 2), HOUR)

    assert (found.score, found.verdict, found.rows) == (None, ColumnVerdict.INSUFFICIENT_DATA, 400)


def test_it_stands_after_two_windows_and_is_over_after_two_good_ones():
    """As of any column."""
    held, seen = StandingFinding(), []
    for hour, is_torn in enumerate([True, True, False, False]):
        held = held.and_then(judged(is_torn, 30 + hour, hour))
        seen.append(held.is_alert)

    assert seen == [False, True, True, False]


def test_each_column_alone_says_nothing_of_it():
    from podium.domain.monitoring.findings import watch

    window = summed(drawn(20_000, True, np.random.default_rng(1)), [800] * 25)

    assert {each.verdict for each in judge(watch(PROFILE, window), HOUR)} == {ColumnVerdict.OK}
