from typing import Any

import pytest

from podium.domain.inputs.unified import is_unified


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"messages": []}, True),
        ({"prompt": "x", "temperature": 1}, True),
        ({"input": "x"}, True),
        ({"input": None, "inputs": [1]}, True),
        ({"inputs": [1]}, False),
        ({"instances": [{"input": 1}]}, False),
        ({}, False),
        (["messages"], False),
        ("prompt", False),
        (None, False),
    ],
)
def test_a_body_is_unified_by_the_names_at_its_top(body: Any, expected: bool) -> None:
    assert expected is is_unified(body)
