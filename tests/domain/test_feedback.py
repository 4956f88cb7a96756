"""What a report on an answer says, and what is none."""

import pytest

from podium.domain.feedback import FeedbackReport, read_report, reports_in
from podium.errors import InvalidInput


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"request_id": "a", "reward": 1}, FeedbackReport("a", 1.0)),
        ({"request_id": "a", "reward": 0}, FeedbackReport("a", 0.0)),
        ({"request_id": "a", "reward": 0.25, "label": "cat"}, FeedbackReport("a", 0.25, "cat")),
        ({"request_id": "a", "label": 0}, FeedbackReport("a", None, 0)),
        ({"request_id": "a", "ground_truth": False}, FeedbackReport("a", None, False)),
        ({"request_id": "a", "ground_truth": [1, 2], "reward": None}, FeedbackReport("a", None, [1, 2])),
        ({"request_id": "a", "actual": 2, "row": 0, "weight": 3}, FeedbackReport("a", None, 2, 0, 3.0)),
        ({"request_id": "a", "label": [1, None]}, FeedbackReport("a", None, [1, None])),
        ({"request_id": "a", "label": {"x": 1}, "actual": {"x": 1}}, FeedbackReport("a", None, {"x": 1})),
        ({"request_id": "a", "label": 1, "at": "1970-01-02T00:00:00Z"}, FeedbackReport("a", None, 1, at=86_400.0)),
        ({"request_id": "a", "label": 1, "at": "1970-01-02T01:00:00+01:00"}, FeedbackReport("a", None, 1, at=86_400.0)),
        ({"request_id": "a", "label": 1, "at": "1970-01-02"}, FeedbackReport("a", None, 1, at=86_400.0)),
        ({"request_id": "a", "label": 1, "at": 12.5}, FeedbackReport("a", None, 1, at=12.5)),
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
        ({"request_id": "a", "label": 1, "actual": 2}, "label and actual differ"),
        ({"request_id": "a", "label": [[[[[[[[[1]]]]]]]]]}, "8 deep"),
        ({"request_id": "a", "label": 1, "row": -1}, "row: expected"),
        ({"request_id": "a", "label": 1, "row": 1.0}, "row: expected"),
        ({"request_id": "a", "label": 1, "row": True}, "row: expected"),
        ({"request_id": "a", "label": 1, "row": 10**30}, "row: expected"),
        ({"request_id": "a", "label": 1, "weight": 0}, "weight: expected"),
        ({"request_id": "a", "label": 1, "weight": 10**400}, "weight: expected"),
        ({"request_id": "a", "label": 1, "weight": float("nan")}, "weight: expected"),
        ({"request_id": "a", "label": 1, "weight": "1"}, "weight: expected"),
        ({"request_id": "a", "label": 1, "at": "soon"}, "at: expected"),
        ({"request_id": "a", "label": 1, "at": float("inf")}, "at: expected"),
        ({"request_id": "a", "label": 1, "at": 10**400}, "at: expected"),
        ({"request_id": "a", "label": 1, "at": "9" * 200}, "at: expected"),
        ({"request_id": "a", "label": 1, "at": True}, "at: expected"),
    ],
)
def test_whatever_else_is_refused_with_what_was_expected(entry, said):
    with pytest.raises(InvalidInput, match=said):
        read_report(entry)


def test_reports_come_one_by_one_as_a_list_or_as_items():
    one = {"request_id": "a", "reward": 1}

    assert reports_in(one) == reports_in([one]) == reports_in({"items": [one]}) == [one]
    assert reports_in({"items": []}) == []


@pytest.mark.parametrize(
    ("told", "said"), [({"items": 1}, "not a number"), ({"items": [], "model": "x"}, "model: unknown")]
)
def test_items_that_are_none_are_refused(told, said):
    with pytest.raises(InvalidInput, match=said):
        reports_in(told)
