"""Whether two answers say the same."""

import math

import pytest

from podium.domain.rollouts.agreement import Agreement, agree

NAN = math.nan


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ({"predictions": ["a", "b"]}, {"predictions": ["a", "b"]}, Agreement(True)),
        ({"predictions": ["a", "b"]}, {"predictions": ["a", "c"]}, Agreement(False)),
        ([1, 2], [1, 2], Agreement(True, 0.0)),
        ([1000], [1001], Agreement(False, 1 / 1001)),
        ([1000.0], [1001.0], Agreement(True, 1 / 1001)),
        ([1000], [1001.0], Agreement(True, 1 / 1001)),
        ([1.0, 100.0], [1.0, 98.0], Agreement(False, 0.02)),
        ([0.0], [0.0], Agreement(True, 0.0)),
        ([0.0], [1e-300], Agreement(True, 0.0)),
        ([0.5], [-0.5], Agreement(False, 2.0)),
        ([NAN], [NAN], Agreement(True, 0.0)),
        ([NAN], [1.0], Agreement(False, 2.0)),
        ([math.inf], [math.inf], Agreement(True, 0.0)),
        ([math.inf], [1.0], Agreement(False, 2.0)),
        ([10**400], [1.0], Agreement(False)),
        ([True], [1], Agreement(False)),
        ([None], [None], Agreement(True)),
        ([None], [0], Agreement(False)),
        ([1.0], [1.0, 2.0], Agreement(False, 0.0)),
        ({"a": 1.0}, {"b": 1.0}, Agreement(False)),
        ({"a": 1.0}, {"a": 1.0, "b": 2.0}, Agreement(False, 0.0)),
        ([[1.0]], [1.0], Agreement(False)),
        ([b"x"], [b"x"], Agreement(True)),
    ],
)
def test_labels_are_exact_and_numbers_within_the_tolerance(one, other, expected):
    """One percent here; whole numbers may be labels."""
    for found in (agree(one, other, 0.01), agree(other, one, 0.01)):
        assert found.is_same == expected.is_same
        assert found.distance == (None if expected.distance is None else pytest.approx(expected.distance))


def test_deep_answers_are_compared_without_recursion():
    one, other = [1.0], [2.0]
    for _ in range(5000):
        one, other = [one], [other]

    assert agree(one, other, 0.01) == Agreement(False, 0.5)
