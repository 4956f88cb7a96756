"""`podium models`: register, promote, roll back, name and search models. Data to stdout, talk to stderr."""

import importlib
import shlex
from dataclasses import asdict

import click

from podium.api.registering import Registry
from podium.cli.main import EXIT_FAILED, OfferingGroup
from podium.cli.mlflow_options import ALLOW_CODE
from podium.cli.model_tables import (
    done,
    model_json,
    next_command,
    show_changes,
    show_model,
    show_models,
    show_move,
    show_validation,
    show_version,
    show_versions,
    version_json,
)
from podium.cli.output import print_json, print_table, say

_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")


class VersionNumber(click.ParamType[int]):
    """The number of a version."""

    name = "version"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The number that was typed."""
        text = str(value)
        if not (text.isascii() and text.isdecimal()) or int(text) < 1:
            self.fail(f"{text!r} is not a version's number; expected 1, 2, 3 … (see podium models show NAME).", param, ctx)
        return int(text)


_VERSION = VersionNumber()


# command: (module, attribute); imported when it runs, for `podium models list` needs no server.
_AS_IN_MLFLOW = {
    "accelerate": ("podium.cli.models_accelerate", "accelerate"),
    "build-docker": ("podium.cli.models_docker", "build_docker"),
    "compare": ("podium.cli.models_compare", "compare"),
    "generate-dockerfile": ("podium.cli.models_docker", "generate_dockerfile"),
    "predict": ("podium.cli.models_predict", "predict"),
    "prepare-env": ("podium.cli.models_predict", "prepare_env"),
    "serve": ("podium.cli.models_serve", "models_serve"),
    "sign": ("podium.cli.models_sign", "sign"),
    "verify": ("podium.cli.models_sign", "verify"),
    "update-pip-requirements": ("podium.cli.models_requirements", "update_pip_requirements"),
}


class ModelsGroup(OfferingGroup):
    """The commands of this file, and those that stand in files of their own."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted([*super().list_commands(ctx), *_AS_IN_MLFLOW])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _AS_IN_MLFLOW:
            return super().get_command(ctx, cmd_name)
        module, attribute = _AS_IN_MLFLOW[cmd_name]
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command


@click.group(cls=ModelsGroup, context_settings={"help_option_names": ["-h", "--help"]})
def models() -> None:
    """Register, promote, roll back, name and search models; serve and score them as `mlflow models` does.

    The registry lives under PODIUM_HOME (default: ~/.podium). Exit codes: 0 done, 1 failed, 2 asked wrongly.
    """


@models.command()
@click.argument("model", metavar="DIR")
@click.argument("name")
@click.option("--description", default="", help="Of the version.")
@click.option("--tag", "tags", multiple=True, metavar="KEY=VALUE", help="Of the version; may be repeated.")
@_json
def register(model: str, name: str, description: str, tags: tuple[str, ...], as_json: bool) -> None:
    """Record the model in DIR as the next version of NAME and print its number.

    DIR may also be the URI of a model that is here already: models:/m-<id>, models:/NAME/VERSION.
    """
    version = Registry().register(model, name, description, dict(_key_and_value(tag) for tag in tags))
    if as_json:
        print_json(version_json(version))
        return
    say(version.version)
    say(f"{name} version {version.version} is registered ({version.digest[:19]}…), in no stage yet.", err=True)
    next_command(f"podium models promote {shlex.quote(name)} {version.version}")


@models.command()
@click.argument("name")
@click.argument("version", type=_VERSION)
@click.argument("stage")
@click.option("--keep-existing", is_flag=True, help="Leave the versions that are in the stage where they are.")
@_json
def transition(name: str, version: int, stage: str, keep_existing: bool, as_json: bool) -> None:
    """Move VERSION of NAME into STAGE: None, Staging, Production or Archived, in any case.

    What was in Staging or Production before is archived, unless it is kept.
    """
    show_move(Registry().transition(name, version, stage, keep_existing), as_json)


@models.command()
@click.argument("name")
@click.argument("version", type=_VERSION)
@click.option("--keep-existing", is_flag=True, help="Leave the versions that are in Production where they are.")
@_json
def promote(name: str, version: int, keep_existing: bool, as_json: bool) -> None:
    """Move VERSION of NAME to Production; what serves models:/NAME/production follows."""
    show_move(Registry().promote(name, version, keep_existing), as_json)


@models.command()
@click.argument("name")
@click.option("--to", type=_VERSION, help="A version that was live before; the previous one unless told.")
@_json
def rollback(name: str, to: int | None, as_json: bool) -> None:
    """Put the previous live version of NAME back into Production.

    A version that was rolled back from is not what the next rollback restores; that goes further back.
    """
    show_move(Registry().rollback(name, to), as_json)


@models.command()
@click.argument("name", required=False)
@_json
def history(name: str | None, as_json: bool) -> None:
    """Print every change of NAME, or of all models: who, when, what, before, after."""
    show_changes(Registry().history(name), as_json)


@models.command()
@click.argument("name")
@click.argument("alias_name", metavar="ALIAS")
@click.argument("version", type=_VERSION, required=False)
@click.option("--remove", is_flag=True, help="Remove the alias instead.")
@_json
def alias(name: str, alias_name: str, version: int | None, remove: bool, as_json: bool) -> None:
    """Point ALIAS of NAME at VERSION (models:/NAME@ALIAS), or remove it."""
    if remove == (version is not None):
        raise click.UsageError("Give a VERSION to point the alias at, or --remove.")
    registry = Registry()
    if version is None:
        registry.delete_alias(name, alias_name)
        done({"name": name, "alias": alias_name, "version": None}, f"{name}@{alias_name} is removed.", as_json)
        return
    registry.set_alias(name, alias_name, version)
    said = f"models:/{name}@{alias_name} stands for version {version}."
    done({"name": name, "alias": alias_name, "version": version}, said, as_json)


@models.command("list")
@_json
def list_models(as_json: bool) -> None:
    """Print the registered models with what is live in each."""
    registry = Registry()
    show_models(registry.models(), registry.versions(), as_json)


@models.command()
@click.argument("name")
@click.option("--version", type=_VERSION, help="Show one version instead.")
@_json
def show(name: str, version: int | None, as_json: bool) -> None:
    """Print what is known about NAME and its versions."""
    registry = Registry()
    if version is not None:
        shown = registry.version(name, version)
        show_version(shown, registry.contents(shown), registry.conversions(shown), as_json)
    else:
        show_model(registry.model(name), registry.versions(name), as_json)


@models.command()
@click.argument("filter_string", metavar="[FILTER]", default="")
@click.option("--versions", "of_versions", is_flag=True, help="Search versions instead of models.")
@click.option("--order-by", multiple=True, metavar="KEY [ASC|DESC]", help="May be repeated.")
@click.option("--max-results", type=click.IntRange(min=1), help="All, unless told.")
@_json
def search(
    filter_string: str, of_versions: bool, order_by: tuple[str, ...], max_results: int | None, as_json: bool
) -> None:
    """Print the models that fit FILTER, in MLflow's grammar: "name LIKE 'fr%' AND tags.team = 'risk'".

    For versions: name, run_id, source_path, version_number and tags.
    """
    registry = Registry()
    if of_versions:
        show_versions(registry.search_versions(filter_string, order_by, max_results).items, as_json)
    else:
        show_models(registry.search(filter_string, order_by, max_results).items, registry.versions(), as_json)


@models.command()
@click.argument("name")
@click.argument("new_name")
@_json
def rename(name: str, new_name: str, as_json: bool) -> None:
    """Call NAME from now on NEW_NAME. Versions, aliases, tags and history go with it."""
    model = Registry().rename(name, new_name)
    done(model_json(model), f"{name} is now {new_name}. What serves models:/{name}/… must be told.", as_json)


@models.command()
@click.argument("name")
@click.argument("version", type=_VERSION, required=False)
@click.option("--force", is_flag=True, help="Also when it is in Production.")
@_json
def delete(name: str, version: int | None, force: bool, as_json: bool) -> None:
    """Delete VERSION of NAME, or NAME with all its versions. Numbers are never used again; the history stays."""
    registry = Registry()
    if version is None:
        registry.delete(name, force)
    else:
        registry.delete_version(name, version, force)
    what = name if version is None else f"{name} version {version}"
    said = f"{what} is deleted. Its files stay until: podium models clean"
    done({"name": name, "version": version, "deleted": True}, said, as_json)


@models.command()
@click.argument("name")
@click.argument("key")
@click.argument("value", required=False)
@click.option("--version", type=_VERSION, help="Tag one version instead of the model.")
@click.option("--remove", is_flag=True, help="Remove the tag instead.")
@_json
def tag(name: str, key: str, value: str | None, version: int | None, remove: bool, as_json: bool) -> None:
    """Set tag KEY of NAME, or of one of its versions, to VALUE, or remove it."""
    if remove == (value is not None):
        raise click.UsageError("Give a VALUE to set the tag to, or --remove.")
    registry = Registry()
    if value is None:
        registry.delete_tag(name, key, version)
    else:
        registry.set_tag(name, key, value, version)
    what = name if version is None else f"{name} version {version}"
    said = f"{what}: tag {key} is " + ("removed." if value is None else "set.")
    done({"name": name, "version": version, "key": key, "value": value}, said, as_json)


@models.command()
@click.argument("name")
@click.argument("description")
@click.option("--version", type=_VERSION, help="Describe one version instead of the model.")
@_json
def describe(name: str, description: str, version: int | None, as_json: bool) -> None:
    """Set the DESCRIPTION of NAME, or of one of its versions."""
    Registry().describe(name, description, version)
    what = name if version is None else f"{name} version {version}"
    done({"name": name, "version": version, "description": description}, f"{what} is described.", as_json)


@models.command()
@click.option("--yes", is_flag=True, help="Remove them; without it they are only listed.")
@_json
def clean(yes: bool, as_json: bool) -> None:
    """Remove the stored files of models that no version and no logged model needs any more."""
    removed = Registry().clean(dry_run=not yes)
    if as_json:
        print_json([{"digest": stored.digest, "size_bytes": stored.size_bytes, "removed": yes} for stored in removed])
        return
    print_table(["DIGEST", "BYTES"], [[stored.digest, stored.size_bytes] for stored in removed])
    if removed and not yes:
        next_command("podium models clean --yes")


@models.command()
@click.argument("model", metavar="URI_OR_DIR")
@click.option("--timeout", "timeout_s", type=click.FloatRange(min=1), default=120, show_default=True, help="Seconds.")
@ALLOW_CODE
@_json
def validate(model: str, timeout_s: float, allow_code: bool, as_json: bool) -> None:
    """Load a model in a clean process and score its input example. Exit code 1 when that fails."""
    from podium.api.validating import validate as run

    found = Registry().resolve(model)
    report = run(found.folder, timeout_s, allow_code)
    show_validation(found, asdict(report), as_json)
    if not report.is_valid:
        raise SystemExit(EXIT_FAILED)


def _key_and_value(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals:
        raise click.UsageError(f"--tag {text}: expected KEY=VALUE.")
    return key, value
