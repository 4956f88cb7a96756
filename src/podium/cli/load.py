"""`podium load` and `podium unload`: models that a running server serves, and serves no more."""

import click

from podium.api import moving
from podium.cli.output import say
from podium.cli.servers import the_server
from podium.settings.home import find_home


@click.command()
@click.argument("model", metavar="NAME=URI|NAME")
@click.option("-p", "--port", type=int, default=None, help="Which server, where several run.")
@click.option("--timeout", default=600.0, show_default=True, help="Seconds to wait; the server goes on loading.")
def load(model: str, port: int | None, timeout: float) -> None:
    """Have a running server load a model, and wait until it serves: a new one, one that sleeps, another under its name.

    What serves under this name does so until the new one is ready, and goes on if that does not load. A server loads the
    models that it was started with; others where podium serve was told --allow-load.

    Where the server requires a key, PODIUM_API_KEY holds one with the scope admin.
    """
    server = the_server(find_home(), port)
    told = moving.load(str(server.facts["url"]), model, timeout, server.certificate)
    say(f"{told['name']} serves version {told['version']} ({server.facts['url']})")


@click.command()
@click.argument("name")
@click.option("-p", "--port", type=int, default=None, help="Which server, where several run.")
@click.option("--timeout", default=90.0, show_default=True, help="Seconds to wait for the requests in flight.")
def unload(name: str, port: int | None, timeout: float) -> None:
    """Have a running server unload a model: its requests get 404 at once, those in flight are finished.

    It comes back with podium load.
    """
    server = the_server(find_home(), port)
    moving.unload(str(server.facts["url"]), name, timeout, server.certificate)
    say(f"{name} is unloaded ({server.facts['url']})")
