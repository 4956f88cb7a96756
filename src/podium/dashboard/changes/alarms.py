"""Silence an alert, end a silence, and see whether a channel would reach anybody."""

from podium.api.alerting import Alerts, settings_here, tell_test
from podium.api.registering import actor
from podium.dashboard.changes.proposals import Done, FormField, PageChange, Proposal, WantedChange
from podium.dashboard.sources import DashboardSources
from podium.dashboard.wording import moment
from podium.domain.monitoring.alerting.alerts import Alert
from podium.domain.monitoring.alerting.silences import Silence
from podium.errors import InvalidInput, Misconfigured, NotFound
from podium.settings.declared import Setting, ValueKind
from podium.settings.provenance import read

_BACK = "/alerts"
_FOR = Setting("silence", "for", ValueKind.SECONDS, None, "", "")
_FOR_HINT = "30m, 2h, 7d; a year at most"
_WHOSE_HINT = "One matcher a line, all must fit: model=fraud, severity!=page, column~age*, model!~test-*"


def _propose_silence(sources: DashboardSources, asked: WantedChange) -> Proposal:
    fields = [
        FormField("for", "For how long", asked.said("for", "2h"), _FOR_HINT),
        FormField("reason", "Why", asked.said("reason"), "For whoever wonders why nobody was told"),
    ]
    effects = ["Nobody is told of it for that time; it fires nonetheless, and stands on the page of alerts."]
    alert = _alert(sources, asked)
    if alert is None:
        whose = FormField("matchers", "Of which alerts", asked.said("matchers"), _WHOSE_HINT, is_long=True)
        effects = ["Nobody is told of them for that time; they fire nonetheless, and stand on the page of alerts."]
        return Proposal("Silence alerts", "alerts", _BACK, "Silence them", effects, fields=[whose, *fields])
    of = [f"This alert: {', '.join(_matchers(alert))}."]
    return Proposal(f"Silence {alert.rule}", "alerts", _BACK, "Silence it", [*of, *effects], fields=fields)


def _silence(sources: DashboardSources, asked: WantedChange) -> Done:
    alert = _alert(sources, asked)
    lines = [line.strip() for line in asked.said("matchers").splitlines() if line.strip()]
    matchers = lines if alert is None else _matchers(alert)
    if not asked.said("for") or not asked.said("reason"):
        raise InvalidInput("Say for how long and why: 2h, the upstream is being mended.")
    try:
        for_s = read(_FOR, asked.said("for"), "the form", "the time")
    except Misconfigured as error:  # as a setting it would be; here somebody has typed it
        raise InvalidInput(error.message) from error
    made = _alerts(sources, asked).silence(matchers, for_s, asked.said("reason"))
    return Done(f"Nobody is told of {_named(made)} until {moment(made.ends_at)}.", _BACK)


def _propose_end(sources: DashboardSources, asked: WantedChange) -> Proposal:
    silence = _found(sources, asked)
    effects = [
        f"The silence {silence.id} of {_named(silence)} ends now, and not at {moment(silence.ends_at)}.",
        f"{silence.author} began it: {silence.reason}",
        "People are told again of whatever it covers, also of what fires now.",
    ]
    return Proposal(f"End the silence {silence.id}", "alerts", _BACK, "End it", effects)


def _end(sources: DashboardSources, asked: WantedChange) -> Done:
    silence = _found(sources, asked)
    _alerts(sources, asked).end_silence(silence.id)
    return Done(f"The silence of {_named(silence)} is over.", _BACK)


def _propose_test(sources: DashboardSources, asked: WantedChange) -> Proposal:  # noqa: ARG001
    names = [each.name for each in settings_here().channels]
    title, verb = "Send a test notification", "Send it"
    if not names:
        effects = ["There is no channel. Channels stand in podium.toml, under [alerts.channels.NAME]."]
        return Proposal(title, "alerts", _BACK, verb, effects, is_possible=False)
    chosen = asked.said("channel")
    field = FormField("channel", "Channel", chosen if chosen in names else names[0], choices=names)
    return Proposal(
        title, "alerts", _BACK, verb, ["Whoever the channel reaches gets a message that says it is a test."], fields=[field]
    )


def _test(sources: DashboardSources, asked: WantedChange) -> Done:
    name = asked.said("channel")
    tell_test(settings_here(), name, sources.clock, f"{asked.author or actor()} from the dashboard")
    return Done(f"{name} took the test notification.", _BACK)


SILENCE = PageChange(_propose_silence, _silence)
END_OF_SILENCE = PageChange(_propose_end, _end)
TEST = PageChange(_propose_test, _test)


def _alerts(sources: DashboardSources, asked: WantedChange) -> Alerts:
    return Alerts(sources.home, sources.clock, sources.monitor, asked.author)


def _alert(sources: DashboardSources, asked: WantedChange) -> Alert | None:
    """The one that is asked for; None where none is."""
    fingerprint = asked.values.get("alert", "")
    if not fingerprint:
        return None
    standing = _alerts(sources, asked).standing()
    found = next((each for each in standing if each.fingerprint == fingerprint), None)
    if found is None:
        raise NotFound("This alert is over and forgotten: there is nothing to silence.")
    return found


def _matchers(alert: Alert) -> list[str]:
    return [f"rule={alert.rule}", *(f"{name}={value}" for name, value in alert.labels)]


def _found(sources: DashboardSources, asked: WantedChange) -> Silence:
    known = _alerts(sources, asked).silences()
    silence = next((each for each in known if each.id == asked.path["id"]), None)
    if silence is None:
        raise NotFound(f"No silence {asked.path['id'][:60]!r} is in force: it is over, or somebody ended it.")
    return silence


def _named(silence: Silence) -> str:
    return ", ".join(map(str, silence.matchers))
