"""The command tree. A command's module is imported when the command runs, so that `podium --help` stays quick."""

import contextlib
import errno
import importlib
import io
import sys
import traceback
from typing import NoReturn

import click

from podium._version import __version__
from podium.cli.output import say
from podium.cli.streams import lasting_streams
from podium.domain.masking import without_passwords
from podium.domain.nearest import did_you_mean
from podium.errors import InvalidInput, Misconfigured, PodiumError

EXIT_FAILED, EXIT_ASKED_WRONGLY = 1, 2
_WAYS_OUT = {
    errno.EACCES: ". This user may not; podium's own files are where PODIUM_HOME says.",
    errno.ENOSPC: ". Free some space; podium's own files are where PODIUM_HOME says.",
}

# What podium itself needs, by what is imported: it may be put into a model's environment without all of it.
_NAMED_ALIKE = ("click", "cloudpickle", "httptools", "msgspec", "numpy", "packaging", "uvloop")
LIBRARIES = {"yaml": "pyyaml", **{name: name for name in _NAMED_ALIKE}}

# command: (module, attribute, what the help says)
_COMMANDS = {
    "doctor": ("podium.cli.doctor", "doctor", "Say what is wrong with this machine, and how to put it right."),
    "bench": ("podium.cli.bench", "bench", "Measure an endpoint: so many requests a second, answered in time?"),
    "dashboard": ("podium.cli.dashboard", "dashboard", "Show what serves, and how good it still is, on a web page."),
    "env": ("podium.cli.env", "env", "Build, audit, lock and remove the Pythons that models run in."),
    "keys": ("podium.cli.keys", "keys", "Make, list and revoke the API keys of a server."),
    "load": ("podium.cli.load", "load", "Have a running server load a model, or another under its name."),
    "logs": ("podium.cli.logs", "logs", "Print what an endpoint's processes wrote."),
    "models": ("podium.cli.models", "models", "Package, register and promote models."),
    "monitor": ("podium.cli.monitor", "monitor", "Say whether models in service are still what they were."),
    "pin": ("podium.cli.pin", "pin", "Hold what serves at a version, against every change of the registry."),
    "plugins": ("podium.cli.plugins", "plugins", "List and check what other packages add to podium."),
    "rollout": ("podium.cli.rollout", "rollout", "Move traffic to another version by steps, and back if it is worse."),
    "predict": ("podium.cli.predict", "predict", "Score a CSV, JSON lines or Parquet file by a server or a model."),
    "requests": ("podium.cli.requests", "requests", "Look into one answer, ask another version the same, or forget it."),
    "serve": ("podium.cli.serve", "serve", "Serve a model over HTTP; follows its stage or alias."),
    "status": ("podium.cli.status", "status", "Say what a running server serves, and how it is."),
    "support-bundle": (
        "podium.cli.support_bundle",
        "support_bundle",
        "Gather what a helper needs, without secrets.",
    ),
    "unpin": ("podium.cli.pin", "unpin", "Let what was pinned follow the registry again."),
    "stop": ("podium.cli.stop", "stop", "Drain and stop a running server."),
    "unload": ("podium.cli.load", "unload", "Have a running server serve a model no more."),
}

# Of the first sentence of a command's help.
_LONGEST = 300


class OfferingGroup(click.Group):
    """Offers a near name for one that it does not know: click looks only among the commands that it holds itself."""

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        known = self.list_commands(ctx)
        if args and args[0] not in known and not args[0].startswith("-"):
            raise click.UsageError(f"No such command {args[0]!r}.{did_you_mean(args[0], known)}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Whole first sentences, on as many lines as they take: click cuts them to what fits on one."""
        commands = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl([(name, each.get_short_help_str(_LONGEST)) for name, each in commands if each is not None])


class LazyGroup(OfferingGroup):
    """Knows its commands' names and help from a table, and imports one only to run it."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module, attribute, _ = _COMMANDS[cmd_name]
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry[2]) for name, entry in sorted(_COMMANDS.items())])


@click.command(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, "--version", message="podium %(version)s")
def podium() -> None:
    """Serve MLflow models in production: package, register, promote, swap without losing a request.

    Exit codes: 0 done, 1 failed, 2 asked wrongly.
    """


def main() -> None:
    """Run the command line; a PodiumError becomes one message on stderr and an exit code, never a traceback."""
    with lasting_streams():
        _run()


def _run() -> NoReturn:
    try:
        # click gives back the status of a command that raised Exit, and what any other command returned.
        status = podium.main(standalone_mode=False)
        sys.exit(status if isinstance(status, int) else 0)
    except click.exceptions.Abort:
        sys.exit(130)
    except click.ClickException as error:
        told = io.StringIO()
        error.show(told)  # which repeats what was typed
        _end(told.getvalue().rstrip(), error.exit_code)
    except (InvalidInput, Misconfigured) as error:
        _end(f"error: {error.message}", EXIT_ASKED_WRONGLY)
    except PodiumError as error:
        _end(f"error: {error.message}", EXIT_FAILED)
    except OSError as error:
        # A full disk, a folder of somebody else's: what the system says of which file, and what may be done.
        said = f"{error.filename or 'the system says'}: {error.strerror or error}"
        _end(f"error: {said}{_WAYS_OUT.get(error.errno or 0, '')}", EXIT_FAILED)
    except Exception as error:  # noqa: BLE001 - Python itself would tell it when the streams are over, to nobody
        _end(_unexpected(error), EXIT_FAILED)


def _unexpected(error: Exception) -> str:
    """What is podium's own mistake, with its place; or a library that was not installed with it."""
    name = (error.name or "").partition(".")[0] if isinstance(error, ModuleNotFoundError) else ""
    if name in LIBRARIES:
        library = LIBRARIES[name]
        return (
            f"error: This needs {library}, which is not installed in {sys.executable}. "
            f"Run: {sys.executable} -m pip install {library}"
        )
    return f"error: podium failed as it should not; please report this.\n{''.join(traceback.format_exception(error))}"


def _end(text: str, status: int) -> NoReturn:
    with contextlib.suppress(OSError):
        say(without_passwords(text), err=True)
    sys.exit(status)
