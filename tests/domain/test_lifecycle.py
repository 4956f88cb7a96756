"""The life of a replica."""

import itertools

import pytest

from podium.domain.lifecycle import IllegalTransition, ReplicaState, advance

LEGAL = {
    ("starting", "ready"),
    ("starting", "stopped"),
    ("starting", "failed"),
    ("ready", "draining"),
    ("ready", "failed"),
    ("draining", "stopped"),
    ("draining", "failed"),
}


@pytest.mark.parametrize(("now", "to"), list(itertools.product(ReplicaState, ReplicaState)))
def test_every_transition_is_legal_or_refused_by_the_table(now, to):
    """All 25 pairs: seven are legal."""
    if (now.value, to.value) in LEGAL:
        assert to == advance(now, to)
    else:
        with pytest.raises(IllegalTransition):
            advance(now, to)


def test_a_refusal_names_what_may_follow():
    """The error teaches the table."""
    with pytest.raises(IllegalTransition) as caught:
        advance(ReplicaState.READY, ReplicaState.STARTING)

    assert "ready cannot become starting; what may follow is draining, failed." in caught.value.message


def test_nothing_follows_the_end():
    """A stopped or failed replica stays that; a new try has a new id."""
    assert [state for state in ReplicaState if state.is_over] == [ReplicaState.STOPPED, ReplicaState.FAILED]
