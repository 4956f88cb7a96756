"""In thousands of random days: nothing is told twice, each firing ends at most once, and a restart changes nothing."""

from alert_world import CONDITIONS, fact, rule, through_json
from hypothesis import given, settings
from hypothesis import strategies as st

from podium.domain.monitoring.alerting.alerts import AlertBook, AlertPolicy, AlertState, News, step
from podium.domain.monitoring.alerting.judging import Condition
from podium.domain.monitoring.alerting.silences import Silence, parse_matchers

RULES = [
    rule("page"),
    rule("slow", for_s=120.0, keep_s=60.0),
    rule("kept", keep_s=300.0, inhibited_by=("page",)),
    rule("other", inhibited_by=("page", "kept")),
]
SILENCES = [
    Silence("1", parse_matchers(["rule=page"]), "ana", "known", 400.0, 900.0),
    Silence("2", parse_matchers(["model~c*"]), "ana", "known", 0.0, 300.0),
]
POLICY = AlertPolicy(repeat_s=600.0)
PLACES = [(its, model) for its in RULES for model in ("fraud", "churn")]

letters = st.sampled_from([*CONDITIONS, "."])
turns = st.tuples(st.lists(letters, min_size=len(PLACES), max_size=len(PLACES)), st.integers(1, 400))
days = st.lists(turns, min_size=1, max_size=25)


def found(row):
    return [fact(its, letter, model=model) for (its, model), letter in zip(PLACES, row, strict=True) if letter != "."]


def live(day, keep=lambda book: book, silences=SILENCES):
    """The book at the end and all that was told: (time, news, alert)."""
    book, now, heard = AlertBook(), 0.0, []
    for row, seconds in day:
        book, told = step(keep(book), found(row), now, silences, POLICY)
        heard += [(now, news, alert) for each in told for news, alert in each.items]
        now += seconds
    return book, now, heard


@settings(max_examples=60, deadline=None)
@given(days)
def test_of_each_alert_people_hear_that_it_fires_then_that_it_ended_and_so_on(day):
    """No firing twice, no end without a beginning, no end twice; repeats only in between and after their time."""
    _, _, heard = live(day)
    last = {}
    for now, news, alert in heard:
        before, at = last.get(alert.fingerprint, (None, 0.0))
        if news is News.FIRING:
            assert before in {None, News.RESOLVED}
        else:
            assert before in {News.FIRING, News.REPEAT}
        assert news is not News.REPEAT or now - at >= POLICY.repeat_s
        assert (alert.state is AlertState.FIRING) is (news is not News.RESOLVED)
        last[alert.fingerprint] = news, now


@settings(max_examples=40, deadline=None)
@given(days)
def test_a_restart_after_every_step_changes_nothing(day):
    """What is kept is all that the next step needs."""
    assert live(day) == live(day, keep=through_json)


@settings(max_examples=40, deadline=None)
@given(days)
def test_a_step_that_is_done_again_tells_nothing(day):
    """At the same time with the same facts, from what the step gave."""
    book, now, _ = live(day)
    row = day[-1][0]
    once, _ = step(book, found(row), now, SILENCES, POLICY)
    twice, told = step(once, found(row), now, SILENCES, POLICY)

    assert told == ()
    assert through_json(twice) == twice


@settings(max_examples=40, deadline=None)
@given(days)
def test_when_all_is_good_for_long_every_alert_that_was_told_has_ended_and_all_is_forgotten(day):
    """Whatever happened before."""
    book, now, heard = live(day)
    for _ in range(60):
        now += 120
        book, told = step(book, found(["g"] * len(PLACES)), now, SILENCES, POLICY)
        heard += [(now, news, alert) for each in told for news, alert in each.items]
    last = {alert.fingerprint: news for _, news, alert in heard}

    assert book == AlertBook(now)
    assert set(last.values()) <= {News.RESOLVED}


@settings(max_examples=40, deadline=None)
@given(days)
def test_what_is_bad_for_long_is_told_unless_something_worse_is(day):
    """Whatever happened before, and once no silence is left."""
    book, now, heard = live(day)
    now += 1000
    for _ in range(20):
        now += 60
        book, told = step(book, found(["b"] * len(PLACES)), now, SILENCES, POLICY)
        heard += [(now, news, alert) for each in told for news, alert in each.items]
    open_ = {alert.rule for alert in book.alerts.values() if alert.is_open}

    assert {"page", "slow"} <= open_
    assert all(alert.state is AlertState.FIRING for alert in book.alerts.values())


@settings(max_examples=30, deadline=None)
@given(days)
def test_nothing_fires_of_which_nothing_bad_was_found(day):
    """And nothing is told of a place that no fact was of."""
    bad = {(each.rule.name, each.labels) for row, _ in day for each in found(row) if each.condition is Condition.BAD}
    _, _, heard = live(day, silences=[])

    assert {(alert.rule, alert.labels) for _, _, alert in heard} <= bad
