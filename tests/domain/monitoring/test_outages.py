"""Days of a model's traffic, from counters to what people hear: each trouble once, named right, and ended when mended."""

import pytest
from reading_world import Reading, line_of

from podium.domain.monitoring.alerting.alerts import AlertBook, step
from podium.domain.monitoring.alerting.default_rules import burn_rule_name, rules_of
from podium.domain.monitoring.alerting.judging import fact_of_burn
from podium.domain.monitoring.objectives import BURN_WINDOWS, Slo

SLO = Slo()
RULES = {rule.name: rule for rule in rules_of((SLO,))}
EVERY_S, A_TURN = 120, 1200


def hear(*spans):
    """What is told in spans of (hours, share of failing requests): (hour, news, rule), oldest first."""
    readings = [Reading(0, 0, 0)]
    for hours, share in spans:
        for _ in range(round(hours * 3600 / EVERY_S)):
            last = readings[-1]
            readings.append(Reading(last.at + EVERY_S, last.total + A_TURN, last.bad + share * A_TURN))
    line, book, heard = line_of(readings), AlertBook(), []
    for reading in readings:
        facts = [
            fact_of_burn(RULES[burn_rule_name(SLO, windows)], "fraud", SLO, line, reading.at) for windows in BURN_WINDOWS
        ]
        book, told = step(book, facts, reading.at)
        heard += [(reading.at / 3600, news.value, alert.rule) for each in told for news, alert in each.items]
    return heard


def test_a_quiet_day_is_quiet():
    """With half of its budget spent evenly."""
    assert hear((24, 0.0005)) == []


@pytest.mark.parametrize(("before", "minutes", "share"), [(7, 5, 1.0), (7, 30, 1.0), (73, 120, 0.05)])
def test_an_outage_is_one_page_that_ends_soon_after_it(before, minutes, share):
    """However long the slower windows remember it."""
    heard = hear((before, 0), (minutes / 60, share), (14, 0))
    (began, *begun), (ended, *over) = heard

    assert (begun, over) == (["firing", "error-budget-fast"], ["resolved", "error-budget-fast"])
    assert before < began < before + minutes / 60 <= ended < before + minutes / 60 + 0.25


def test_a_leak_is_a_ticket():
    """Three times too many for a day and a half; told once, and over when mended, as far as six hours can tell."""
    heard = hear((72, 0), (36, 0.003), (12, 0))

    assert [(news, rule) for _, news, rule in heard if news != "repeat"] == [
        ("firing", "error-budget-slow"),
        ("resolved", "error-budget-slow"),
    ]


def test_an_outage_that_turns_into_a_leak_is_told_of_as_one():
    """The page ends, and what is left is a ticket once the page's own errors are out of its six hours."""
    told = [(news, rule) for _, news, rule in hear((7, 0), (0.5, 0.5), (12, 0.002)) if news != "repeat"]

    assert told == [
        ("firing", "error-budget-fast"),
        ("resolved", "error-budget-fast"),
        ("firing", "error-budget-slow"),
    ]
