"""ModelCounts add up, whoever counted, and refuse what was counted otherwise."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from profile_world import counted, profile_of

from podium.domain.monitoring.counting import BatchCounter, Layout
from podium.domain.monitoring.counts import ColumnCounts, CountsWentBack, ModelCounts, OtherProfile

RNG = np.random.default_rng(3)
ROWS = 800
COLUMNS = {
    "age": np.where(RNG.random(ROWS) < 0.1, np.nan, RNG.normal(40, 9, ROWS)),
    "visits": RNG.integers(0, 6, ROWS),
    "plan": RNG.choice(np.array(["basic", "pro", "team", None], dtype=object), ROWS),
    "note": np.array([f"note number {i}" * (i % 3) for i in range(ROWS)], dtype=object),
    "is_new": RNG.random(ROWS) < 0.3,
}
SCORE = RNG.random(ROWS)
PROFILE = profile_of(COLUMNS, value=SCORE > 0.5, score=SCORE)


def cut(rows):
    return {name: values[rows] for name, values in COLUMNS.items()}


def answers(rows):
    return {"classes": (SCORE > 0.5)[rows], "score": SCORE[rows]}


@settings(max_examples=25)
@given(st.lists(st.integers(0, ROWS), max_size=9))
def test_shards_add_up_to_one_pass(places):
    """Nine workers at most, some without a row."""
    ends = sorted(places)
    shards = [slice(first, last) for first, last in zip([0, *ends], [*ends, ROWS], strict=True)]
    whole = counted(PROFILE, COLUMNS, answers(slice(None)))

    parts = [counted(PROFILE, cut(rows), answers(rows)) for rows in shards]

    assert sum(parts[1:], parts[0]) == whole


def test_a_profile_counts_its_own_rows_as_it_was_made():
    assert counted(PROFILE, COLUMNS, answers(slice(None))) == PROFILE.counts()


def test_what_was_counted_since_is_the_difference():
    counter = BatchCounter(Layout(PROFILE))
    counter.add(300, cut(slice(0, 300)), answers(slice(0, 300)))
    before = counter.counts()

    counter.add(500, cut(slice(300, ROWS)), answers(slice(300, ROWS)))

    assert counter.counts() - before == counted(PROFILE, cut(slice(300, ROWS)), answers(slice(300, ROWS)))


def test_a_counter_that_began_anew_is_told_from_one_that_went_on():
    earlier, later = counted(PROFILE, COLUMNS), counted(PROFILE, cut(slice(0, 10)))

    with pytest.raises(CountsWentBack, match="10 rows were counted"):
        later - earlier


@pytest.mark.parametrize("operation", [ModelCounts.__add__, ModelCounts.__sub__])
def test_counts_by_another_profile_are_refused(operation):
    other = profile_of(cut(slice(0, 700)))

    with pytest.raises(OtherProfile) as refusal:
        operation(counted(PROFILE, COLUMNS), counted(other, COLUMNS))

    assert (refusal.value.ours, refusal.value.theirs) == (PROFILE.profile_id, other.profile_id)


def test_a_column_s_rows_are_those_in_bins_the_unseen_and_the_missing():
    counts = ColumnCounts((3, 4), missing=5, non_finite=2, below=1, above=1, unseen=6)

    assert (counts.known, counts.rows) == (13, 18)
    assert ColumnCounts.from_cells(counts.cells) == counts


def test_two_processes_with_one_profile_have_the_same_cells():
    """What one writes, the other reads."""
    writer, reader = Layout(PROFILE), Layout(PROFILE)
    cells = np.zeros(writer.size, np.int64)

    BatchCounter(writer, cells).add(ROWS, COLUMNS, answers(slice(None)))

    assert reader.counts(cells) == counted(PROFILE, COLUMNS, answers(slice(None)))
