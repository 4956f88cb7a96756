"""The file: small, the same for the same data, without anything that is somebody's, and read without being trusted."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from profile_world import profile_of, repeated

from podium.domain.monitoring.columns import Privacy
from podium.domain.monitoring.counting import BatchCounter, Layout
from podium.domain.monitoring.profile import Calibration, Multivariate, Predictions
from podium.domain.monitoring.profile_reading import MOST_BYTES, InvalidProfile, read_profile
from podium.domain.monitoring.quality.tasks import SaidTask, Task

RNG = np.random.default_rng(11)
ROWS = 5000
PLANS = np.array(["basic", "pro", "team", "enterprise", "a secret"], dtype=object)
COLUMNS = (
    {f"feature_{i}": RNG.normal(size=ROWS) for i in range(14)}
    | {f"plan_{i}": RNG.choice(PLANS, ROWS, p=[0.5, 0.3, 0.1, 0.0995, 0.0005]) for i in range(3)}
    | {"label": RNG.integers(0, 5, ROWS), "is_new": RNG.random(ROWS) < 0.2}
    | {"note": np.array([f"free text {i}" for i in range(ROWS)], dtype=object)}
)
SCORE = RNG.random(ROWS)


def whole_profile():
    """All that a profile may have."""
    made = profile_of(COLUMNS, value=SCORE > 0.5, score=SCORE)
    names = tuple(f"feature_{i}" for i in range(3))
    return replace(
        made,
        source=replace(made.source, since="2026-01-01T00:00:00Z", until="2026-02-01T00:00:00Z", run_id="abc"),
        columns=dict(made.columns) | {"feature_0": replace(made.columns["feature_0"], chunk_psi_q99=0.03)},
        quality={"accuracy": 0.9, "rows": 5000.0},
        calibration=Calibration((0.0, 0.5, 1.0), (0.1, 0.4, 0.95)),
        multivariate=Multivariate(names, (0.0, 0.5, 1.0), (1.0, 1.0, 2.5), ((1.0, 0.0, 0.5),), 0.9, 0.01),
        left_out={"image": "784 values in each row; up to 200 are monitored"},
        said=SaidTask(Task.BINARY, "true"),
    )


PROFILE = whole_profile()


def test_twenty_columns_take_twenty_kilobytes():
    text = profile_of(COLUMNS).to_json()

    assert len(COLUMNS) == 20
    assert len(text) <= 20_000
    assert "secret" not in text
    assert "free text" not in text


def test_what_was_written_reads_back():
    assert read_profile(PROFILE.to_json().encode()) == PROFILE


@pytest.mark.parametrize("privacy", [Privacy(hides_range=True), Privacy(hash_key=b"key"), Privacy(True, b"key")])
def test_a_private_profile_reads_back(privacy):
    profile = profile_of(COLUMNS, privacy=privacy)

    assert read_profile(profile.to_json().encode()) == profile
    assert ("enterprise" in profile.to_json()) is (privacy.hash_key is None)


CELLS = st.floats() | st.none() | st.text(max_size=3) | st.booleans()


@settings(max_examples=30)
@given(st.dictionaries(st.text(max_size=5), st.lists(CELLS, min_size=12, max_size=12), max_size=2), st.booleans())
def test_whatever_the_columns_hold_reads_back(columns, hides):
    """And the file has the same bytes when it is written again."""
    arrays = {"": np.arange(12)} | {name: np.array(values, dtype=object) for name, values in columns.items()}
    profile = profile_of(arrays, privacy=Privacy(hides_range=hides))

    text = profile.to_json()

    assert read_profile(text.encode()).to_json() == text


def test_the_same_data_give_the_same_id_whenever_it_is_made():
    again = profile_of(COLUMNS)

    assert profile_of(COLUMNS) == again
    assert replace(again, created_at="2030-01-01T00:00:00Z").profile_id == again.profile_id
    assert replace(again, quality={"accuracy": 0.9}).profile_id != again.profile_id
    assert profile_of(COLUMNS | {"label": COLUMNS["label"] + 1}).profile_id != again.profile_id


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        (("columns", "feature_0", "counts", 3), 1, "count is 5000; expected the 4751 rows"),
        (("columns", "feature_0", "mean"), 0.5, "it was changed since"),
        (("columns", "feature_0", "edges", 3), -9.0, "edges is a list; expected each number to be greater"),
        (("columns", "feature_0", "counts"), [1], "expected a list of 20 whole numbers"),
        (("columns", "feature_0", "counts", 0), -1, "expected a list of 20 whole numbers"),
        (("columns", "feature_0", "min"), 9.0, "expected both min and max"),
        (("columns", "feature_0", "type"), "<img>", "type is '<img>'; expected number, category or text"),
        (("columns", "feature_0", "non_finite"), 7, "at most the 0 that are missing"),
        (("columns", "feature_0"), 7, "is 7; expected an object"),
        (("columns", "plan_0", "categories", 1, 0), "basic", "different names"),
        (("columns", "plan_0", "categories", 1, 1), 5000, "expected the most frequent first"),
        (("columns", "label", "categories", 1, 0), "03", "different names of the integer values"),
        (("columns", "label", "categories", 1, 0), "9" * 100, "different names of the integer values"),
        (("columns", "is_new", "categories", 1, 0), "yes", "different names of the boolean values"),
        (("columns", "plan_0", "of"), "list", "of is 'list'; expected one of text, integer, boolean"),
        (("source", "rows"), 4999, "has 5000 rows, and the source 4999"),
        (("source", "rows"), 10**30, "expected a whole number from 0"),
        (("source", "rows"), True, "rows is True"),
        (("source", "kind"), "dream", "expected one of training"),
        (("podium_profile",), 2, "its schema is 2, and this podium reads 1"),
        (("predictions", "classes", "type"), "number", "is missing"),
        (("predictions", "odd"), {"type": "text", "dtype": "str", "length": 1}, "length is 1; expected an object"),
        (("calibration", "isotonic_y"), [0.9, 0.1, 0.2], "none smaller than the one before"),
        (("calibration", "isotonic_y"), [0.1, 0.2, 1.2], "probabilities"),
        (("multivariate", "mean"), [1.0], "a vector of another length"),
        (("multivariate", "components"), [[1.0, 2.0]], "a vector of another length"),
        (("quality", "accuracy"), "good", "accuracy is 'good'; expected a finite number"),
        (("said", "task"), "guess", "the file.said names no task"),
        (("said", "task"), "regression", "or none that has such a positive class"),
        (("said", "positive"), 1, "positive is 1; expected a text"),
        (("private",), 1, "private is 1; expected true or false"),
        (("profile_id",), "sha256:0", "says sha256:0: it was changed since"),
        (("created_at",), "x" * 1000, "expected a text of at most 256 characters"),
    ],
)
def test_a_file_that_was_changed_is_refused_by_its_place(path, value, says):
    content = json.loads(PROFILE.to_json())
    part = content
    for name in path[:-1]:
        part = part[name]
    part[path[-1]] = value

    with pytest.raises(InvalidProfile) as refusal:
        read_profile(json.dumps(content).encode())

    assert says in refusal.value.message
    assert len(refusal.value.message) < 600


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"", "it is not JSON"),
        (b"\xff\xfe\x00", "it is not JSON"),
        (b"[]", "the file is a list; expected an object"),
        (b"{}", "podium_profile is missing"),
        (b'{"a":1,"a":2}', "a name stands twice"),
        (b'{"a":NaN}', "NaN is no number in JSON"),
        (b"[" * 200_000, "it is not JSON"),
        (b'{"podium_profile":' + b"9" * 5000 + b"}", "it is not JSON"),
        (b" " * (MOST_BYTES + 1), "bytes; expected at most"),
    ],
    ids=lambda each: repr(each)[:20],
)
def test_what_is_no_profile_is_refused(text, says):
    with pytest.raises(InvalidProfile) as refusal:
        read_profile(text)

    assert says in refusal.value.message


def places_in(content, path=()):
    """Each place of a JSON value."""
    yield path
    inner = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    for name, part in inner:
        yield from places_in(part, (*path, name))


SMALL = json.loads(
    replace(
        profile_of({"x": np.arange(30.0), "y": repeated(a=20, b=10), "z": repeated(**{f"t{i}": 1 for i in range(30)})}),
        calibration=PROFILE.calibration,
        multivariate=PROFILE.multivariate,
        said=PROFILE.said,
    ).to_json()
)
PLACES = sorted(places_in(SMALL), key=repr)
JUNK = st.sampled_from([None, True, 0, -1, 1.5, 1e308, 10**40, "", "x", "x" * 500, [], {}, [[]], [1] * 300, {"a": {}}])


@given(st.lists(st.tuples(st.sampled_from(PLACES), JUNK, st.booleans()), min_size=1, max_size=3))
def test_whatever_is_changed_is_refused_or_can_be_counted_by(changes):
    content = json.loads(json.dumps(SMALL))
    for path, junk, is_removed in changes:
        try:
            part = content
            for name in path[:-1]:
                part = part[name]
            if path and is_removed:
                del part[path[-1]]
            elif path:
                part[path[-1]] = junk
        except (KeyError, IndexError, TypeError):
            continue

    read = read_or_none(content)

    if read is not None:
        counter = BatchCounter(Layout(read, b"key"))
        counter.add(4, {"x": np.array([0.0, 7.5, -1e300, np.nan])}, {})
        assert counter.counts().columns.keys() == read.columns.keys()
        assert read_profile(read.to_json().encode()) == read


def read_or_none(content):
    """A profile by somebody who knows how its id is made; None where it is refused for something else."""
    try:
        return read_profile(json.dumps(content).encode())
    except InvalidProfile as refusal:
        claimed = re.search(r"its content has the id (\S+),", refusal.message)
    if claimed is None:
        return None
    return read_profile(json.dumps(content | {"profile_id": claimed[1]}).encode())


def test_predictions_are_named_only_where_there_are_some():
    assert Predictions().present() == {}
    assert set(PROFILE.predictions.present()) == {"classes", "score"}
    assert set(PROFILE.counts().predictions) == {"classes", "score"}
