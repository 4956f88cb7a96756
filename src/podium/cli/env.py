"""`podium env`: the Pythons that are built for models."""

import dataclasses
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from podium.cli.env_asking import JSON, asking, chosen, for_a_model
from podium.cli.env_audit import audit
from podium.cli.output import counted, print_facts, print_json, print_table, say
from podium.domain.sizes import size_text
from podium.settings.environments import environment_order

if TYPE_CHECKING:
    from podium.environments.kept import KeptEnvironment


@click.group()
def env() -> None:
    """Build, list, audit, lock, export and remove the Pythons that models run in.

    MODEL is what `podium serve -m` takes: a folder, models:/NAME/STAGE, models:/NAME/VERSION.
    """


env.add_command(audit)


@env.command()
@for_a_model
@JSON
def build(model: str, env_manager: str, install_mlflow: bool, is_json: bool, **_given: Any) -> None:
    """Build a model's Python, load the model in it and score its example; print the interpreter's path."""
    from podium.api.environments import built

    environment = built(asking(model, env_manager, install_mlflow))
    if is_json:
        print_json(
            {
                "key": environment.key,
                "python": environment.python,
                "reason": environment.reason,
                "notices": list(environment.notices),
            }
        )
        return
    say(environment.reason, err=True)
    say(environment.python)


@env.command("list")
@JSON
def list_(is_json: bool) -> None:
    """List the Pythons that are kept, the one that was used last first."""
    from podium.environments.kept import kept

    found = kept(_root())
    if is_json:
        print_json([dataclasses.asdict(each) for each in found])
        return
    rows = [
        (
            each.key[:12],
            each.version,
            each.tool,
            len(each.packages),
            size_text(each.size_bytes),
            _ago(each.used_at),
            _use(each),
        )
        for each in found
    ]
    print_table(("key", "python", "built by", "packages", "size", "last used", "in use"), rows)


@env.command()
@click.argument("what", metavar="KEY|MODEL")
@JSON
def show(what: str, is_json: bool) -> None:
    """Say what one of them holds: by its key, or the beginning of that, or by a model.

    Exit code 1 where none is built for the model.
    """
    from podium.api.environments import found_by_key, found_for
    from podium.errors import NotFound

    found = found_by_key(_root(), what) or found_for(asking(what, "virtualenv", install_mlflow=False))
    if found is None:
        raise NotFound(f"No environment is built for {what}. Build one: podium env build {what}")
    if is_json:
        print_json(dataclasses.asdict(found))
        return
    print_facts(
        {
            "key": found.key,
            "python": f"{found.version}, {found.python}",
            "built by": f"{found.tool}, {_ago(found.built_at)}",
            "as of": found.as_of,
            "size": size_text(found.size_bytes),
            "last used": _ago(found.used_at),
            "in use": _use(found) or "by nobody",
            "models": f"{counted(found.models, 'model')} tried in it",
            "notice": "; ".join(found.notices) or None,
            "log": found.log,
        }
    )
    for line in found.packages:
        say(f"  {line}")


@env.command()
@click.option("--older-than", "days", type=click.FloatRange(min=0), metavar="DAYS", help="Not used for so many days.")
@click.option("--unused", is_flag=True, help="All that nobody uses now.")
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
@JSON
def prune(days: float | None, unused: bool, dry_run: bool, is_json: bool) -> None:
    """Remove Pythons that no running server uses.

    With neither --older-than nor --unused: what builds that died have left, and the least recently used beyond
    --env-cache-size (env_cache_size in podium.toml).
    """
    from podium.api.environments import prune as prune_them

    most_bytes = None if unused or days is not None else chosen()["serve.env_cache_size"] or None
    pruned = prune_them(_root(), older_than_days=days, is_unused=unused, most_bytes=most_bytes, is_dry=dry_run)
    if is_json:
        print_json(dataclasses.asdict(pruned) | {"size_bytes": pruned.size_bytes, "is_dry": dry_run})
        return
    for each in pruned.environments:
        say(f"{each.key}  {size_text(each.size_bytes)}, last used {_ago(each.used_at)}")
    for key in pruned.remnants:
        say(f"{key}  left by a build that died")
    done = "would be removed" if dry_run else "removed"
    in_use = f"; {counted(len(pruned.in_use), 'environment')} in use" if pruned.in_use else ""
    if not pruned.environments and not unused and days is None:
        in_use += "; --unused or --older-than removes what fits into --env-cache-size"
    say(f"{counted(len(pruned.environments), 'environment')} {done}, {size_text(pruned.size_bytes)}{in_use}", err=True)


@env.command()
@for_a_model
@JSON
def lock(model: str, env_manager: str, install_mlflow: bool, is_json: bool, **_given: Any) -> None:
    """Write down exact versions with the digest of each file; --require-hashes installs nothing else.

    The lock is kept beside the environments, and every build for the model follows it. The version never changes.
    """
    from podium.api.environments import lock as lock_it

    locked = lock_it(asking(model, env_manager, install_mlflow))
    if is_json:
        print_json({"path": str(locked.path), "packages": list(locked.packages), "as_of": locked.as_of})
        return
    say(f"{counted(len(locked.packages), 'package')}, each file by its digest", err=True)
    say(locked.path)


@env.command()
@for_a_model
@click.option("-o", "--output", metavar="FILE", help="Where the list goes. [default: stdout]")
@click.option(
    "--wheels", "tar", metavar="FILE.tar", help="Write a tar of the wheels instead, for a machine without an index."
)
def export(model: str, env_manager: str, install_mlflow: bool, output: str | None, tar: str | None, **_given: Any) -> None:
    """Print what a model's Python holds, as a requirements file; or write its wheels.

    On the other machine: unpack the tar into a folder, and podium env build MODEL --env-wheels FOLDER.
    """
    from podium.api.environments import requirements, wheels
    from podium.settings.whole_files import write_whole

    ordered = asking(model, env_manager, install_mlflow)
    if tar is not None:
        say(f"{tar}: {counted(wheels(ordered, Path(tar)), 'wheel')}", err=True)
    elif output is not None:
        write_whole(Path(output).absolute(), requirements(ordered).encode())
    else:
        say(requirements(ordered), nl=False)


def _root() -> Path:
    from podium.environments.choice import root_of
    from podium.settings.home import find_home

    return root_of(environment_order("virtualenv", os.environ), find_home())


def _use(each: "KeptEnvironment") -> str:
    pids = ", ".join(map(str, each.users))
    return (f"by process {pids}" if pids else "yes") if each.is_used else ""


def _ago(when: float) -> str:
    seconds = max(0.0, time.time() - when)
    for unit, length in (("day", 86_400), ("hour", 3600), ("minute", 60)):
        if seconds >= length:
            return f"{counted(int(seconds // length), unit)} ago"
    return "now"
