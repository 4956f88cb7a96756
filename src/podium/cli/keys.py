"""`podium keys`: who may ask a server that was started with --require-keys."""

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from podium.cli.output import print_json, print_table, say

if TYPE_CHECKING:
    from podium.access.keys import Key

_JSON = click.option("--json", "is_json", is_flag=True, help="Print JSON, for programs.")


@click.group()
def keys() -> None:
    """Make, list and revoke the API keys of servers that run with --require-keys.

    They are kept under PODIUM_HOME, as digests; running servers hear of a change within a second.
    """


@keys.command()
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    required=True,
    metavar="SCOPE",
    help="score:NAME, score:* (every model), read (status, metrics, metadata), admin (load, unload, moves, and read).",
)
@click.option("--name", default="", metavar="TEXT", help="Whose it is.")
@click.option("--expires", metavar="TIME", help="90d, 12h, 2027-01-31; for ever where it is left out.")
@click.option("--low", "is_low", is_flag=True, help="Its requests give way to others when a bound is near.")
@_JSON
def create(scopes: tuple[str, ...], name: str, expires: str | None, is_low: bool, is_json: bool) -> None:
    """Make a key and print it, this once: only its digest is kept."""
    from podium.api.keys import create as create_key

    key, secret = create_key(scopes, name, expires, is_low)
    if is_json:
        print_json({"key": secret, **_facts(key)})
        return
    say(secret)
    until = "for ever" if key.expires is None else f"until {_day(key.expires)}"
    say(f"id {key.id}, {', '.join(key.scopes)}, {until}. It is not shown again.", err=True)


@keys.command("list")
@_JSON
def list_(is_json: bool) -> None:
    """List all keys: their ids, never the keys."""
    from podium.api.keys import listed

    found = listed()
    if is_json:
        print_json([_facts(key) for key in found])
        return
    now = time.time()
    rows = [
        (key.id, key.name, " ".join(key.scopes), _day(key.created), _day(key.expires) or "never", key.state(now))
        for key in found
    ]
    print_table(("id", "name", "scopes", "created", "expires", "state"), rows)


@keys.command()
@click.argument("identity", metavar="ID")
@_JSON
def revoke(identity: str, is_json: bool) -> None:
    """Make a key worthless, for good. Running servers refuse it within a second."""
    from podium.api.keys import revoke as revoke_key

    key = revoke_key(identity)
    if is_json:
        print_json(_facts(key))
        return
    say(f"revoked {key.id}{f' ({key.name})' if key.name else ''}")


def _facts(key: "Key") -> dict[str, Any]:
    return {
        "id": key.id,
        "name": key.name,
        "scopes": list(key.scopes),
        "is_low": key.is_low,
        "created": _day(key.created),
        "expires": _day(key.expires),
        "revoked": _day(key.revoked),
        "state": key.state(time.time()),
    }


def _day(when: float | None) -> str | None:
    return None if when is None else datetime.fromtimestamp(when, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
