"""What models cost, by what they used and at somebody's prices."""

from typing import Any

import pytest

from podium.domain.costs import Prices, Spent, costs_of, read_prices
from podium.errors import Misconfigured

PRICES = Prices(cpu_hour=0.36, memory_gib_hour=0.036, gpu_hour=3.6, currency="EUR")


def test_a_version_costs_what_it_used_at_the_price_of_an_hour() -> None:
    (cost,) = costs_of([Spent("fraud", "7", 3600.0, 10 * 3600.0 * 2**30, 1800.0, 5, 4000)], PRICES)

    assert (round(cost.cpu, 9), round(cost.memory, 9), round(cost.gpu, 9)) == (0.36, 0.36, 1.8)
    assert (round(cost.total, 9), round(cost.of_1000_rows or 0, 9), cost.is_idle) == (2.52, 0.63, False)


def test_who_costs_and_answers_nobody_is_idle_and_the_dearest_stands_first() -> None:
    found = costs_of([Spent("a", "1", 1.0, rows=1, requests=1), Spent("b", "1", 100.0), Spent("c", "1")], PRICES)

    assert [(each.spent.model, each.is_idle, each.of_1000_rows is None) for each in found] == [
        ("b", True, True),
        ("a", False, False),
        ("c", False, True),
    ]


@pytest.mark.parametrize(
    ("entries", "why"),
    [
        ({}, "no price above 0"),
        ({"cpu_hour": 0}, "no price above 0"),
        ({"cpu_hours": 1}, "there is no price cpu_hours"),
        ({"cpu_hour": -1}, "expected a number of at least 0"),
        ({"cpu_hour": float("nan")}, "expected a number of at least 0"),
        ({"cpu_hour": True}, "expected a number of at least 0"),
        ({"cpu_hour": "1"}, "expected a number of at least 0"),
        ({"cpu_hour": 1, "currency": 3}, "expected a text"),
    ],
)
def test_what_is_no_price_is_refused(entries: dict[str, Any], why: str) -> None:
    with pytest.raises(Misconfigured, match=f"prices.toml: .*{why}"):
        read_prices(entries, "prices.toml")
