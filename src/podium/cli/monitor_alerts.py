"""`podium monitor alerts`, `silence` and `test`: what fires, who is left in peace, and whether people would hear of it."""

from collections.abc import Sequence
from datetime import datetime

import click

from podium.api.alerting import Alerts, alert_json, settings_here, tell_test
from podium.cli.output import local_time, print_json, print_table, say
from podium.domain.monitoring.alerting.alerts import Alert, AlertState
from podium.domain.monitoring.alerting.silences import Silence
from podium.domain.monitoring.staleness import spoken
from podium.errors import InvalidInput
from podium.settings.declared import Setting, ValueKind
from podium.settings.provenance import read

_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
_store = click.option(
    "--monitor-store", metavar="URL", help="postgresql://… where servers keep their history. [PODIUM_SERVE_MONITOR_STORE]"
)
_FOR = Setting("silence", "for", ValueKind.SECONDS, None, "", "")


@click.command()
@click.argument("name", required=False)
@click.option("--history", "is_history", is_flag=True, help="What became of alerts, newest first.")
@click.option("--deliveries", "is_deliveries", is_flag=True, help="Who was told of what, newest first.")
@click.option("-n", "--most", type=click.IntRange(1, 10_000), default=100, show_default=True, help="So many lines at most.")
@_store
@_json
def alerts(
    name: str | None, is_history: bool, is_deliveries: bool, most: int, monitor_store: str | None, as_json: bool
) -> None:
    """Print the alerts of the model NAME, or of all: what fires, what is about to, what ended within the hour.

    Exit code 0 whatever fires; --json is for scripts. Each rule is explained in docs/runbooks.
    """
    if is_history and is_deliveries:
        raise InvalidInput("--history and --deliveries are two questions: ask one of them.")
    found = Alerts(store=monitor_store)
    if is_history:
        _print_history(found, name, most, as_json)
    elif is_deliveries:
        _print_deliveries(found, name, most, as_json)
    else:
        _print_alerts(found.standing(name)[:most], found.silences(), as_json)


@click.command()
@click.argument("matchers", nargs=-1, metavar="[LABEL=VALUE]...")
@click.option("--for", "duration", metavar="TIME", help="For how long: 30m, 2h, 7d.")
@click.option("--reason", default="", help="For whoever wonders why nobody was told.")
@click.option("--end", "ended", metavar="ID", help="End this silence now.")
@_store
@_json
def silence(
    matchers: tuple[str, ...],
    duration: str | None,
    reason: str,
    ended: str | None,
    monitor_store: str | None,
    as_json: bool,
) -> None:
    """Tell nobody of some alerts for a while; without anything, list the silences.

    LABEL is rule, severity, model, version, column, variant or metric; = is, != is not, ~ is like, !~ is not like, where *
    stands for any text: model=fraud column~age*. All must fit. They fire nonetheless, and podium monitor alerts says so.
    """
    found = Alerts(store=monitor_store)
    if ended is not None:
        if matchers or duration or reason:
            raise InvalidInput("--end ends a silence that is there; nothing else is said with it.")
        found.end_silence(ended)
        say(f"silence {ended} is over", err=True)
    elif matchers:
        if duration is None or not reason:
            raise InvalidInput("Say for how long and why: --for 2h --reason 'the upstream is being mended'.")
        made = found.silence(matchers, read(_FOR, duration, "--for", "the time"), reason)
        _print_silences([made], as_json)
    elif duration or reason:
        raise InvalidInput("Say whose alerts: podium monitor silence model=NAME --for 2h --reason '…'.")
    else:
        _print_silences(found.silences(), as_json)


@click.command("test")
@click.argument("channel")
def test_channel(channel: str) -> None:
    """Tell CHANNEL of podium.toml something that says it is a test; exit 0 once it was taken."""
    tell_test(settings_here(), channel)
    say(f"{channel} took it", err=True)


def _print_alerts(alerts: Sequence[Alert], silences: Sequence[Silence], as_json: bool) -> None:
    now = datetime.now().astimezone().timestamp()
    quiet = {
        alert.fingerprint: next((each.id for each in silences if each.covers(alert.all_labels(), now)), None)
        for alert in alerts
    }
    if as_json:
        print_json([{**alert_json(alert), "silence": quiet[alert.fingerprint]} for alert in alerts])
        return
    rows = []
    for alert in alerts:
        state = alert.state.value + (f" (silence {quiet[alert.fingerprint]})" if quiet[alert.fingerprint] else "")
        rows.append((state, alert.severity.value, alert.rule, _where(alert), _lasted(alert, now), alert.sentence))
    print_table(("STATE", "SEVERITY", "RULE", "WHERE", "FOR", "WHAT"), rows)
    if not alerts:
        say("no alerts", err=True)


def _print_history(found: Alerts, name: str | None, most: int, as_json: bool) -> None:
    turns = found.history(name, most)
    if as_json:
        print_json(
            [{"at": turn.at, "before": turn.before, "after": turn.after, "alert": alert_json(turn.alert)} for turn in turns]
        )
        return
    rows = [
        (local_time(turn.at), f"{turn.before or 'ok'} -> {turn.after or 'ok'}", turn.alert.rule, _where(turn.alert),
         turn.alert.sentence)
        for turn in turns
    ]  # fmt: skip
    print_table(("WHEN", "STATE", "RULE", "WHERE", "WHAT"), rows)


def _print_deliveries(found: Alerts, name: str | None, most: int, as_json: bool) -> None:
    deliveries = [each for each in found.deliveries(most) if name is None or each.notification.group == name]
    if as_json:
        print_json(
            [
                {
                    "channel": each.channel,
                    "notification": each.notification.id,
                    "model": each.notification.group,
                    "decided_at": each.notification.at,
                    "result": each.result.value,
                    "tries": each.tries,
                    "at": each.at,
                    "error": each.error or None,
                    "news": [{"news": news.value, "rule": alert.rule} for news, alert in each.notification.items],
                }
                for each in deliveries
            ]
        )
        return
    rows = [
        (local_time(each.notification.at), each.channel, each.result.value, each.tries,
         ", ".join(f"{alert.rule} {news.value}" for news, alert in each.notification.items[:5]), each.error)
        for each in deliveries
    ]  # fmt: skip
    print_table(("DECIDED", "CHANNEL", "RESULT", "TRIES", "WHAT", "ERROR"), rows)


def _print_silences(silences: Sequence[Silence], as_json: bool) -> None:
    if as_json:
        print_json(
            [
                {
                    "id": each.id,
                    "matchers": list(map(str, each.matchers)),
                    "by": each.author,
                    "reason": each.reason,
                    "begins_at": each.begins_at,
                    "ends_at": each.ends_at,
                }
                for each in silences
            ]
        )
        return
    rows = [
        (each.id, " ".join(map(str, each.matchers)), local_time(each.ends_at), each.author, each.reason)
        for each in silences
    ]
    print_table(("SILENCE", "OF", "UNTIL", "BY", "REASON"), rows)


def _where(alert: Alert) -> str:
    return " ".join(f"{name}={value}" for name, value in alert.labels if value) or "the server"


def _lasted(alert: Alert, now: float) -> str:
    end = alert.resolved_at if alert.state is AlertState.RESOLVED and alert.resolved_at is not None else now
    return spoken(max(0.0, end - (alert.fired_at if alert.fired_at is not None else alert.since)))
