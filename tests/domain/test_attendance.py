"""Where several servers write one history, a gap is when a monitor was away while its server was there."""

from podium.domain.monitoring.attendance import Presence, attended
from podium.domain.monitoring.windows import Span

SPAN = Span(600, 900)


def watched(**seconds):
    """`a1=30`: server a looked for 30 seconds of the second step."""
    return {(name[0], int(name[1:])): each for name, each in seconds.items()}


def test_one_server_is_what_its_monitor_watched():
    assert attended(SPAN, 60, [Presence("a", 630, 800)], watched(a0=30, a1=60, a3=20)) == {0: 30, 1: 60, 3: 20}


def test_two_that_look_at_the_same_time_are_one_time():
    presences = [Presence("a", 0, 1000), Presence("b", 0, 1000)]

    assert attended(SPAN, 300, presences, watched(a0=300, b0=300)) == {0: 300}


def test_a_monitor_that_was_away_is_a_gap_while_another_looked():
    presences = [Presence("a", 0, 1000), Presence("b", 0, 1000)]

    assert attended(SPAN, 60, presences, watched(a0=60, a1=60, a2=60, a3=60, a4=60, b0=60, b1=10, b4=60)) == {
        0: 60,
        1: 10,
        4: 60,
    }


def test_a_server_that_is_not_there_yet_or_any_more_is_no_gap():
    presences = [Presence("a", 0, 660), Presence("b", 720, 1000)]

    assert attended(SPAN, 60, presences, watched(a0=60, b2=60, b3=60, b4=60)) == {0: 60, 2: 60, 3: 60, 4: 60}


def test_one_that_took_over_within_a_step_adds_its_part():
    assert attended(SPAN, 300, [Presence("a", 0, 700), Presence("b", 700, 1000)], watched(a0=100, b0=200)) == {0: 300}
