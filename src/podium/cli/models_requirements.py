"""`podium models update-pip-requirements`: what a model asks of pip, changed in its folder."""

from pathlib import Path

import click

from podium.cli.mlflow_options import MODEL_URI
from podium.cli.output import say
from podium.errors import InvalidInput


@click.command("update-pip-requirements")
@MODEL_URI
@click.argument("operation", type=click.Choice(["add", "remove"]))
@click.argument("requirements", nargs=-1, metavar="REQUIREMENT...")
def update_pip_requirements(uri: str, operation: str, requirements: tuple[str, ...]) -> None:
    """Add requirements to requirements.txt and conda.yaml of the model in a folder, or remove them.

    One that is added takes the place of what was there for the same package; versions do not count when removing.
    A registered model stays what was registered: change the folder, and register it again.
    """
    from podium.domain.references import FolderRef, parse_reference
    from podium.models.requirement_edits import add_requirements, remove_requirements
    from podium.registry.resolve import model_folder
    from podium.settings.home import find_home

    if uri.startswith("models:/"):
        raise InvalidInput(
            f'Failed to set requirements on "{uri}". Model URIs with the `models:/` scheme are not supported.'
        )
    reference = parse_reference(uri)
    if not isinstance(reference, FolderRef):
        raise InvalidInput(f'Failed to set requirements on "{uri}". Only a model in a folder of yours can be changed.')
    if Path(reference.path).expanduser().is_file():
        raise InvalidInput(f'Failed to set requirements on "{uri}". Change the folder, and pack it again.')
    folder = model_folder(reference, find_home())
    unknown: list[str] = []
    if operation == "add":
        lines = add_requirements(folder, requirements)
    else:
        lines, unknown = remove_requirements(folder, requirements)
    for name in unknown:
        say(f'"{name}" not found in requirements, ignoring', err=True)
    say(f"Successfully updated the requirements for the model at {uri}!", err=True)
    for line in lines:
        say(line)
