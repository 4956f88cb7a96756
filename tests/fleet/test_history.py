"""History: the last minutes of whoever serves, in bounded memory."""

from podium.domain.rollouts.evidence import Evidence
from podium.fleet.rollouts.history import History


def watched(rate, seconds, errors=0):
    """What is known after so many seconds of so many requests each."""
    now = [0.0]
    history = History(lambda: now[0])
    for second in range(seconds + 1):
        now[0] = float(second)
        counted = Evidence(int(rate * second), errors * second)
        history.look("1", lambda _, counted=counted: counted)
    return history, now


def test_it_keeps_moments_of_two_seconds_for_five_minutes():
    """However long it has been watching."""
    history, _ = watched(100, 1000, errors=1)

    moments = history.moments()

    assert len(moments) == 150
    assert {(each.seconds, each.answers, each.errors) for each in moments} == {(2.0, 200, 2)}


def test_where_little_is_asked_it_goes_back_further():
    """One request in ten seconds: moments of twenty answers."""
    history, _ = watched(0.1, 1000)

    assert [each.answers for each in history.moments()] == [20] * 5
    assert all(190 <= each.seconds <= 200 for each in history.moments())


def test_another_version_has_a_history_of_its_own():
    """What serves after a promotion is not what served before."""
    history, now = watched(100, 20)
    now[0] += 2
    history.look("2", lambda _: Evidence(77))

    assert history.moments() == ()


def test_it_counts_only_when_a_look_is_due():
    """It is asked several times a second, for every endpoint."""
    history, _ = watched(100, 20)

    def never(_version):
        raise AssertionError("asked")

    history.look("1", never)
