"""`podium monitor export`: the rules that podium alerts by, for Prometheus, Grafana and Datadog."""

from pathlib import Path

import click

from podium.api.alerting import OtherMonitor, exported, settings_here
from podium.cli.output import say
from podium.settings.whole_files import write_whole


@click.command("export")
@click.argument("destination", type=click.Choice([each.value for each in OtherMonitor]), metavar="DESTINATION")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write it to this file.  [default: standard output]")
@click.option(
    "--metrics-url",
    default="http://localhost:8000/metrics",
    show_default=True,
    help="Where Datadog's agent finds podium's metrics.",
)
@click.option("--notify", default="", help="Whom Datadog tells: @slack-models.")
def export(destination: str, output: Path | None, metrics_url: str, notify: str) -> None:
    """Print the alert rules of podium.toml in somebody else's words.

    prometheus: a rules file. grafana: a dashboard. datadog: monitors by key. datadog-agent: conf.d/openmetrics.d/conf.yaml.
    """
    text = exported(settings_here(), OtherMonitor(destination), metrics_url, notify)
    if output is None:
        say(text, nl=False)
    else:
        write_whole(output, text.encode())
