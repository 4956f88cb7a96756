"""`podium dashboard`: what serves, what is registered and how good it still is, as a web page."""

import click

from podium.cli.output import say
from podium.settings.home import find_home
from podium.settings.monitor_store import monitor_store_said


@click.command()
@click.option(
    "-h", "--host", default="127.0.0.1", show_default=True, help="Where it listens; from elsewhere it asks for a key."
)
@click.option("-p", "--port", default=8080, show_default=True, type=click.IntRange(0, 65535), help="0 takes any free port.")
@click.option("--require-keys", is_flag=True, help="Ask for an API key with the scope read on this machine, too.")
@click.option(
    "--allow-changes",
    is_flag=True,
    help="Let its pages promote, roll back, move rollouts and silence; with keys, by one of the scope admin.",
)
@click.option("--tls-cert", metavar="FILE", help="Its certificate (PEM); HTTPS only, then.")
@click.option("--tls-key", metavar="FILE", help="The certificate's private key (PEM, not encrypted).")
@click.option(
    "--monitor-store", metavar="URL", help="postgresql://… where servers keep their history. [PODIUM_SERVE_MONITOR_STORE]"
)
def dashboard(
    host: str,
    port: int,
    require_keys: bool,
    allow_changes: bool,
    tls_cert: str | None,
    tls_key: str | None,
    monitor_store: str | None,
) -> None:
    """Show the models of this PODIUM_HOME on a web page: health, rollouts, the registry, environments.

    It changes nothing without --allow-changes. Needs podium[dashboard].

    Every panel is to be had as CSV and JSON; every view is an address that can be kept.
    """
    from podium.dashboard.process import DashboardOrder, run

    store = monitor_store or monitor_store_said()
    run(DashboardOrder(find_home(), host, port, require_keys, tls_cert, tls_key, store, allow_changes), say)
