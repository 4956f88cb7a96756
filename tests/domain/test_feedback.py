"""What a report on an answer says, and what is none."""

import pytest

from podium.domain.feedback import FeedbackReport, read_report
from podium.errors import InvalidInput


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"request_id": "a", "reward": 1}, FeedbackReport("a", 1.0, False)),
        ({"request_id": "a", "reward": 0}, FeedbackReport("a", 0.0, False)),
        ({"request_id": "a", "reward": 0.25, "label": "cat"}, FeedbackReport("a", 0.25, True)),
        ({"request_id": "a", "label": 0}, FeedbackReport("a", None, True)),
        ({"request_id": "a", "ground_truth": False}, FeedbackReport("a", None, True)),
        ({"request_id": "a", "ground_truth": [1, 2], "reward": None}, FeedbackReport("a", None, True)),
    ],
)
def test_a_report_says_a_reward_a_label_or_both(entry, said):
    assert read_report(entry) == said


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        (3, "not a number"),
        (None, "not null"),
        (["a"], "not a list"),
        ({}, "request_id"),
        ({"request_id": "", "reward": 1}, "request_id"),
        ({"request_id": "a" * 129, "reward": 1}, "request_id"),
        ({"request_id": 7, "reward": 1}, "request_id"),
        ({"request_id": "a"}, "both are missing"),
        ({"request_id": "a", "label": None}, "both are missing"),
        ({"request_id": "a", "reward": 1.01}, "from 0"),
        ({"request_id": "a", "reward": -1}, "from 0"),
        ({"request_id": "a", "reward": float("nan")}, "from 0"),
        ({"request_id": "a", "reward": True}, "from 0"),
        ({"request_id": "a", "reward": "1"}, "from 0"),
        ({"request_id": "a", "reward": 1, "rewrad": 1}, "rewrad: unknown"),
    ],
)
def test_whatever_else_is_refused_with_what_was_expected(entry, said):
    with pytest.raises(InvalidInput, match=said):
        read_report(entry)
