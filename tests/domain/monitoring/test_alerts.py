"""When an alert fires, is resolved, repeated, kept quiet: each law as a small day."""

import hashlib

import pytest
from alert_world import QUIET, fact, play, rule, through_json

from podium.domain.monitoring.alerting.alert_memory import dumped_alert, loaded_alert
from podium.domain.monitoring.alerting.alerts import AlertBook, AlertPolicy, AlertState, fingerprint_of, step
from podium.domain.monitoring.alerting.history import turns
from podium.domain.monitoring.alerting.rules import AlertSeverity
from podium.domain.monitoring.alerting.silences import Silence, parse_matchers
from podium.errors import InvalidInput

HOUR = 60


@pytest.mark.parametrize(
    ("text", "terms", "expected"),
    [
        ("ggg", {}, []),
        ("gbbg", {}, [(1, "firing"), (3, "resolved")]),
        ("gbb.", {}, [(1, "firing"), (3, "resolved")]),
        ("bbbbg", {"for_s": 180}, [(3, "firing"), (4, "resolved")]),
        ("bbgbbg", {"for_s": 180}, []),
        ("bb~bbb", {"for_s": 180}, []),
        ("bb?bb", {"for_s": 180}, [(4, "firing")]),
        ("bb??b", {"for_s": 180}, []),
        ("bggb", {"keep_s": 180}, [(0, "firing")]),
        ("bgggg", {"keep_s": 180}, [(0, "firing"), (4, "resolved")]),
        ("bg?ggg", {"keep_s": 180}, [(0, "firing"), (5, "resolved")]),
        ("b~~~~g", {}, [(0, "firing"), (5, "resolved")]),
        ("bg~ggg", {"keep_s": 120}, [(0, "firing"), (5, "resolved")]),
        ("b????", {}, [(0, "firing")]),
        ("?????", {}, []),
        ("~~~~~", {}, []),
        ("bgb", {}, [(0, "firing"), (1, "resolved"), (2, "firing")]),
        ("b" + "~" * 240 + "b", {}, [(0, "firing"), (241, "repeat")]),
    ],
    ids=[
        "nothing is wrong", "something is, and ends", "what is not said any more has ended", "it must last",
        "what does not last tells nobody", "what is between begins again", "a minute in which nobody looked is waited for",
        "which does not count as lasting", "good for a moment is not over", "good for long enough is",
        "nobody looking is not good", "between holds what fires", "and begins the good time again",
        "not knowing resolves nothing", "and begins nothing", "nor does being between", "it may come again",
        "nothing is told again of what may be over",
    ],
)  # fmt: skip
def test_what_is_told_of_what_is_found(text, terms, expected):
    """One row, one sentence."""
    assert play(text, rule(**terms))[1] == expected


def test_what_is_told_for_the_first_time_is_so_then():
    """What something worse has kept from being told, and may be over when that ends, is told once it is so again."""
    many, ticket = rule("many", keep_s=0.0), rule("column", inhibited_by=("many",))
    book, heard = AlertBook(), []
    for turn, letters in enumerate(("bb", "b~", "g~", "g~", "gb")):
        facts = [fact(its, letter) for its, letter in zip((many, ticket), letters, strict=True)]
        book, told = step(book, facts, 60.0 * turn, (), QUIET)
        heard += [(turn, news.value, alert.rule) for each in told for news, alert in each.items]

    assert heard == [(0, "firing", "many"), (2, "resolved", "many"), (4, "firing", "column")]


def test_a_flap_of_ten_windows_is_one_alert_that_ends_once():
    """With the default of ten minutes' keeping and windows of five minutes."""
    _, heard = play("g" + "bg" * 5 + "g" * 6, rule(keep_s=600.0), every_s=300.0)

    assert heard == [(1, "firing"), (12, "resolved")]


def test_what_comes_and_goes_fires_until_it_is_quiet_for_long():
    """The third time in an hour; it is resolved half an hour after the last."""
    policy = AlertPolicy(group_wait_s=0)
    _, heard = play("bgbgbgbgbg" + "g" * 40, policy=policy)

    assert heard == [(0, "firing"), (1, "resolved"), (2, "firing"), (3, "resolved"), (4, "firing"), (39, "resolved")]


def test_news_of_a_model_wait_half_a_minute_for_others_of_it():
    """And go out as one; another model's apart."""
    one, other = fact(model="fraud", column="age"), fact(model="fraud", column="plan")
    third = fact(model="churn", column="age")
    book, told = AlertBook(), []
    for now, facts in ((0, [one]), (15, [one, other]), (29, [one, other, third]), (30, [one, other, third])):
        book, notifications = step(book, facts, now)
        told += [(now, each.group, len(each.items)) for each in notifications]
    book, notifications = step(book, [one, other, third], 59)

    assert told == [(30, "fraud", 2)]
    assert [(each.group, len(each.items)) for each in notifications] == [("churn", 1)]


def test_what_ends_before_it_was_told_is_not_told():
    """Within the half minute."""
    policy = AlertPolicy()

    assert play("bg" + "g" * 10, policy=policy, every_s=10)[1] == []


def test_that_it_ended_is_told_though_it_began_long_ago():
    """It is remembered until its end was told, half a minute later."""
    _, heard = play("b" * 180 + "gg", policy=AlertPolicy())

    assert heard == [(1, "firing"), (181, "resolved")]


def test_what_fires_is_told_again_after_four_hours():
    """Not before, and not once it is over."""
    _, heard = play("b" * (9 * HOUR) + "g")

    assert heard == [(0, "firing"), (4 * HOUR, "repeat"), (8 * HOUR, "repeat"), (9 * HOUR, "resolved")]


def silence(*matchers, begins_at=0.0, ends_at=600.0):
    return Silence("1", parse_matchers(matchers), "ana", "known", begins_at, ends_at)


def test_nobody_hears_of_what_is_silenced_until_the_silence_ends():
    """It fires all the same."""
    book, heard = play("b" * 15, silences=[silence("model=fraud")])

    assert heard == [(10, "firing")]
    assert [alert.state for alert in book.alerts.values()] == [AlertState.FIRING]


def test_a_silenced_alert_that_ends_meanwhile_is_never_told():
    """Neither that it began nor that it ended."""
    assert play("bbbgg", silences=[silence("rule~drift-*")])[1] == []


def test_that_it_ended_is_told_through_a_silence():
    """Whoever was told that it began would wait for ever."""
    assert play("bbbgg", silences=[silence("model=fraud", begins_at=60.0)])[1] == [(0, "firing"), (3, "resolved")]


def test_a_silence_is_held_against_the_severity_too():
    """It silences pages and no tickets."""
    assert play("bb", silences=[silence("severity=page")])[1] == [(0, "firing")]
    assert play("bb", rule(severity=AlertSeverity.PAGE), silences=[silence("severity=page")])[1] == []


def hear(*minutes):
    """Facts of each minute, and who is told of."""
    book, heard = AlertBook(), []
    for turn, facts in enumerate(minutes):
        book, told = step(book, facts, 60.0 * turn, (), QUIET)
        heard.append(sorted((news.value, alert.rule) for each in told for news, alert in each.items))
    return heard


def test_a_page_keeps_its_ticket_quiet_and_hands_over_when_it_ends():
    """The ticket is told of as soon as it is all that is left."""
    page = fact(rule("many", severity=AlertSeverity.PAGE), model="fraud")
    ticket = fact(rule("column", inhibited_by=("many",)), model="fraud", column="age")

    heard = hear([page, ticket], [page, ticket], [ticket], [])

    assert heard == [[("firing", "many")], [], [("firing", "column"), ("resolved", "many")], [("resolved", "column")]]


def test_a_page_of_another_model_keeps_nothing_quiet():
    """All labels that both have must be the same."""
    page = fact(rule("many"), model="churn")
    ticket = fact(rule("column", inhibited_by=("many",)), model="fraud", column="age")

    assert hear([page, ticket])[0] == [("firing", "column"), ("firing", "many")]


def test_a_pending_page_keeps_nothing_quiet():
    """It may never fire."""
    page = fact(rule("many", for_s=600.0), model="fraud")
    ticket = fact(rule("column", inhibited_by=("many",)), model="fraud")

    assert hear([page, ticket])[0] == [("firing", "column")]


def test_what_still_remembers_the_same_trouble_is_not_told_after_it():
    """Its windows are longer; told is what lasts longer than they do."""
    page = fact(rule("fast"))
    slow = fact(rule("slow", inhibited_by=("fast",), linger_s=120.0))

    assert hear([page, slow], [slow], [slow], [])[1:] == [[("resolved", "fast")], [], []]
    assert hear([page, slow], [slow], [slow], [slow])[3] == [("firing", "slow")]


def test_a_history_has_each_turn_of_an_alert_once():
    """From nothing to pending, firing, resolved and nothing again."""
    book, seen = AlertBook(), []
    for turn, letter in enumerate("bbg" + "g" * 62):
        before, (book, _) = book, step(book, [fact(rule(for_s=60.0), letter)], 60.0 * turn, (), QUIET)
        seen += [(each.at, each.before, each.after) for each in turns(before, book)]

    pending, firing, resolved = AlertState.PENDING, AlertState.FIRING, AlertState.RESOLVED
    assert seen == [(0, None, pending), (60, pending, firing), (120, firing, resolved), (3660, resolved, None)]


def test_a_restart_with_what_was_kept_repeats_nothing():
    """Neither at the same moment nor later."""
    book, _ = play("bbb")
    again = through_json(book)

    assert again == book
    assert step(again, [fact()], 120.0, (), QUIET)[1] == ()
    assert step(again, [fact()], 180.0, (), QUIET)[1] == ()


def test_an_alert_that_ended_while_nobody_looked_is_told_as_ended():
    """The monitor was away for a day."""
    book, _ = play("b")

    _, told = step(through_json(book), [fact(condition="g")], 86_400.0, (), QUIET)

    assert [news.value for each in told for news, _ in each.items] == ["resolved"]


def test_what_nobody_saw_did_not_last():
    """Bad before and after an hour without a look is not bad for an hour."""
    its = rule(for_s=1800.0)
    book, _ = play("b", its)
    book, told = step(book, [fact(its)], 3600.0, (), QUIET)
    _, later = step(book, [fact(its)], 3600.0 + 290, (), QUIET)

    assert (told, later) == ((), ())
    assert len(play("b" * 12, its, every_s=240.0)[1]) == 1


def test_steps_that_are_far_apart_still_come_to_an_end():
    """Of each only the longest step counts, but it does."""
    assert play("bbbbb", rule(for_s=900.0), every_s=3600.0)[1] == [(3, "firing")]


def test_a_clock_that_goes_back_a_little_stands_still():
    """Nothing is told twice."""
    book, _ = play("bbbbb", rule(for_s=120.0))

    book, told = step(book, [fact(rule(for_s=120.0))], 200.0, (), QUIET)

    assert (told, book.at) == ((), 240.0)


def test_a_clock_that_was_set_a_year_back_does_not_stop_the_alerts():
    """What lasted goes on lasting."""
    its = rule(for_s=600.0)
    year = 365 * 86_400.0
    book, _ = play("bbbbb", its, start=year)

    _, heard = play("b" * 8, its, book=book, start=0.0)

    assert heard == [(6, "firing")]


def test_of_several_facts_of_one_place_the_worst_counts():
    """In whichever order they come."""
    for facts in ([fact(condition="g"), fact()], [fact(), fact(condition="g")]):
        assert len(step(AlertBook(), facts, 0.0, (), QUIET)[1]) == 1


def test_an_alert_is_the_same_one_whatever_is_measured():
    """Its fingerprint is that of the rule and the labels, in any order."""
    labels = (("model", "fraud"), ("column", "age"))

    assert fingerprint_of("drift", labels) == fingerprint_of("drift", labels[::-1])
    expected = hashlib.sha256(b'["drift",[["column","age"],["model","fraud"]]]').hexdigest()
    assert fingerprint_of("drift", labels) == expected
    assert fingerprint_of("drift", (("a", 'b","c'),)) != fingerprint_of("drift", (("a", "b"), ("c", "")))


def test_an_alert_has_the_severity_that_its_rule_has_now():
    """It was made a page while it fired."""
    book, _ = play("b")
    book, _ = step(book, [fact(rule(severity=AlertSeverity.PAGE))], 60.0, (), QUIET)

    assert [alert.severity for alert in book.firing()] == [AlertSeverity.PAGE]


def test_there_is_a_bound_to_how_many_alerts_there_are():
    """Those that are there go on; how many were left out is said."""
    policy = AlertPolicy(group_wait_s=0, most_alerts=3)
    book, told = step(AlertBook(), [fact(model="m", column=str(column)) for column in range(5)], 0.0, (), policy)

    assert (len(book.alerts), book.left_out, len(told[0].items)) == (3, 2, 3)


def test_pages_come_first():
    """In what fires and in what is told."""
    facts = [fact(rule("a"), model="m"), fact(rule("b", severity=AlertSeverity.PAGE), model="m")]
    book, told = step(AlertBook(), facts, 0.0, (), QUIET)

    assert [alert.rule for alert in book.firing()] == ["b", "a"]
    assert [alert.rule for _, alert in told[0].items] == ["b", "a"]


def test_an_alert_that_comes_again_before_its_end_was_told_is_the_same_one():
    """People heard of one that began once."""
    book, heard = play("bbbbbgb" + "bbbb", policy=AlertPolicy(), every_s=15)

    assert heard == [(2, "firing")]
    assert next(iter(book.alerts.values())).fired_at == 0.0


def test_a_notification_that_is_made_again_has_the_same_id():
    """Whoever was stopped before it was kept sends it twice, and the receiver can tell."""
    book, _ = play("b", policy=AlertPolicy())
    first, second = (step(book, [fact()], now)[1][0] for now in (30.0, 31.0))

    assert first.id == second.id


def test_what_was_resolved_is_forgotten_after_an_hour():
    """Nothing grows for ever."""
    book, _ = play("bg" + "g" * 61)

    assert book.alerts == {}


@pytest.mark.parametrize("kept", [{}, {"labels": 1}, {"labels": [], "severity": "loud"}])
def test_what_no_podium_kept_is_refused(kept):
    """Rather than beginning anew and telling everything again."""
    with pytest.raises(InvalidInput, match="kept alerts"):
        loaded_alert(kept)


def test_kept_alerts_with_an_unknown_field_are_refused():
    """A newer podium's."""
    [alert] = play("b")[0].alerts.values()
    kept = {**dumped_alert(alert), "colour": "red"}

    with pytest.raises(InvalidInput, match="colour"):
        loaded_alert(kept)
