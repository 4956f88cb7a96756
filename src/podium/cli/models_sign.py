"""`podium models sign` and `verify`: a local key says who made a model, and that it is what was made."""

import os
from pathlib import Path

import click

from podium.cli.output import say

PASSWORD = "PODIUM_SIGNING_PASSWORD"  # noqa: S105 - the name of a variable


@click.command()
@click.argument("uri", metavar="URI_OR_DIR")
@click.option("--key", required=True, metavar="FILE", help="A private elliptic key (PEM).")
@click.option("--ask-password", is_flag=True, help=f"Ask for the key's password; {PASSWORD} may hold it instead.")
def sign(uri: str, key: str, ask_password: bool) -> None:
    """Sign a model with a key; the signature lies beside its folder and changes nothing of it."""
    from podium.api.registering import Registry
    from podium.artifacts.signing import sign as make

    password = click.prompt("Password of the key", hide_input=True, err=True) if ask_password else os.environ.get(PASSWORD)
    say(make(Registry().resolve(uri).folder, Path(key), password or None))


@click.command()
@click.argument("uri", metavar="URI_OR_DIR")
@click.option("--public-key", "--key", "key", required=True, metavar="FILE", help="The public key (PEM).")
def verify(uri: str, key: str) -> None:
    """Check that a model is what was signed with a key. Exit code 1 when it is not, or is not signed."""
    from podium.api.registering import Registry
    from podium.artifacts.signing import signature_of
    from podium.artifacts.signing import verify as check

    folder = Registry().resolve(uri).folder.absolute()
    check(folder, signature_of(folder), Path(key))
    say(f"{uri} is what was signed.", err=True)
