"""Whose turn it is to load: a truth table."""

import pytest

from podium.domain.capacity.load_order import WaitingLoad, next_to_load


def waiting(text):
    """`1:a@10 2:b@5! 3:c@7+`: replica, endpoint, since when, `!`: awaited, `+`: beside."""
    found = []
    for word in text.split():
        replica, _, rest = word.partition(":")
        endpoint, _, since = rest.partition("@")
        when = float(since.rstrip("!+"))
        found.append(WaitingLoad(int(replica), endpoint, when, since.endswith("!"), since.endswith("+")))
    return found


@pytest.mark.parametrize(
    ("text", "loading", "most", "expected"),
    [
        ("", {}, 2, None),
        ("1:a@10", {}, 2, 1),
        ("1:a@10", {"b": 2}, 2, None),
        ("1:a@10 2:b@5", {"c": 1}, 2, 2),
        ("1:a@10 2:b@20!", {}, 2, 2),
        ("1:a@10 2:b@50!", {}, 2, 1),
        ("1:a@10 2:b@20", {"a": 1}, 2, 2),
        ("1:a@10 2:b@50", {"a": 1}, 2, 1),
        ("2:a@10 1:a@10", {}, 1, 1),
    ],
    ids=[
        "nobody waits", "alone", "as many load as may", "first come, first served", "who is awaited comes before",
        "but nobody waits for ever", "who loads one already comes after", "and not for ever either", "equals by age",
    ],
)  # fmt: skip
def test_whose_turn_it_is(text, loading, most, expected):
    """One row, one sentence."""
    chosen = next_to_load(waiting(text), loading, most)

    assert expected == (chosen and chosen.replica)


@pytest.mark.parametrize(
    ("text", "loading", "most", "beside", "expected"),
    [
        ("1:a@10+", {}, 1, 0, 1),
        ("1:a@10+", {"b": 1}, 2, 1, None),
        ("1:a@10+", {"b": 1}, 2, 0, 1),
        ("1:a@10+ 2:b@50", {"c": 1}, 2, 1, 2),
        ("1:a@10+", {"b": 1, "c": 1}, 5, 1, 1),
        ("1:a@10+", {"b": 1, "c": 1}, 5, 2, None),
    ],
    ids=[
        "one may always", "the second turn stays free", "who waits for requests is none of them",
        "and is for those that are down", "half of five are two", "and not three",
    ],
)  # fmt: skip
def test_what_serves_meanwhile_leaves_every_other_turn_free(text, loading, most, beside, expected):
    """A swap is in no hurry, and requests are to find a processor on which nobody loads."""
    chosen = next_to_load(waiting(text), loading, most, beside)

    assert expected == (chosen and chosen.replica)
