"""`podium pin` and `podium unpin`: hold what serves, against every change of the registry, until a time."""

import re
import time
from datetime import datetime

import click

from podium.api.rolling import Rollouts, pin_json
from podium.cli.model_tables import done
from podium.cli.models import VersionNumber

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_FOR = re.compile(r"\+?(\d{1,6}(?:\.\d+)?)([smhd])")
_store = click.option(
    "--rollout-store", metavar="FILE|URL", help="A file or postgresql://… where pins are kept, not in the registry."
)
_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")


class Moment(click.ParamType[float]):
    """`2030-01-31T18:00`, with or without a zone, or `2h` from now."""

    name = "time"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Seconds of the Unix epoch."""
        text = str(value)
        if found := _FOR.fullmatch(text):
            return time.time() + float(found[1]) * _UNITS[found[2]]
        try:
            said = datetime.fromisoformat(text)
        except ValueError:
            self.fail(f"{text!r} is no time; write 2030-01-31T18:00, or 2h for two hours from now.", param, ctx)
        return said.astimezone().timestamp()


@click.command()
@click.argument("name")
@click.argument("version", type=VersionNumber())
@click.option("--until", required=True, type=Moment(), help="2030-01-31T18:00 or 2h; then the registry counts again.")
@click.option("--reason", required=True, help="For whoever wonders why nothing moves.")
@_store
@_json
def pin(name: str, version: int, until: float, reason: str, rollout_store: str | None, as_json: bool) -> None:
    """Hold every endpoint of NAME at VERSION, whatever is promoted, moved or rolled out, until a time.

    Rollouts that run are paused. Servers say in their status that they are held, by whom and why.
    """
    held = Rollouts(store=rollout_store).pin(name, version, until, reason)
    ends = datetime.fromtimestamp(until).astimezone().isoformat(timespec="seconds")
    done({"name": name, **pin_json(held)}, f"{name} is held at version {version} until {ends}: {reason}", as_json)


@click.command()
@click.argument("name")
@_store
@_json
def unpin(name: str, rollout_store: str | None, as_json: bool) -> None:
    """Let the endpoints of NAME follow the registry again. A rollout that was paused by it waits to be resumed."""
    Rollouts(store=rollout_store).unpin(name)
    done({"name": name, "pin": None}, f"{name} is not pinned any more.", as_json)
