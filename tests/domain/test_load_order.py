"""Whose turn it is to load: a truth table."""

import pytest

from podium.domain.capacity.load_order import Waiting, next_to_load


def waiting(text):
    """`1:a@10 2:b@5!`: replica, endpoint, since when, and `!` where somebody waits for it."""
    found = []
    for word in text.split():
        replica, _, rest = word.partition(":")
        endpoint, _, since = rest.partition("@")
        found.append(Waiting(int(replica), endpoint, float(since.rstrip("!")), since.endswith("!")))
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
