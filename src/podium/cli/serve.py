"""`podium serve`: one model or several behind HTTP, followed as their stages or aliases move."""

import asyncio
import shlex
import sys
from collections.abc import Mapping
from typing import Any

import click

from podium.api.endpoint import SETTINGS, choose, server_of
from podium.cli.output import counted, devices_of, print_table, say
from podium.cli.setting_options import said_by_flags, setting_options
from podium.domain.masking import masked
from podium.fleet.site import Programs, ServerOrder
from podium.fleet.supervisor import Supervisor
from podium.fleet.telling.events import Event
from podium.fleet.telling.served_version import ServedVersion
from podium.fleet.workers.audits import notice_of
from podium.settings.home import find_home

_QUIET_S = 2.0
_LONGEST_CURL = 300
_MOST_SHOWN = 20


class ServeCommand(click.Command):
    """Says how a model is named to whoever wrote it without its flag."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            if error.message.startswith("Got unexpected extra argument"):
                raise click.UsageError(
                    f"{error.message}. A model is named with -m: {ctx.command_path} -m URI", ctx
                ) from error
            raise


@click.command(cls=ServeCommand)
@setting_options(SETTINGS)
@click.option("--show-settings", is_flag=True, help="Print each setting, its value and who said so; serve nothing.")
@click.option("--front-fd", type=int, hidden=True, help="Hand gateways over there: serving/asgi.py.")
def serve(show_settings: bool, front_fd: int | None, **_given: Any) -> None:
    """Serve a model over HTTP and follow its stage or alias: move it and the new version takes over.

    Several models at once, each in processes of its own: -m NAME=URI for each, or [models.NAME] in podium.toml.

    Each flag can be said in podium.toml or by a variable too; flags win over variables, and these over the file.

    Ctrl-C or SIGTERM finishes the requests in flight and ends with 0; a second one ends at once.
    """
    beneath, said = said_by_flags(SETTINGS)
    chosen = choose(said, beneath)
    if show_settings:
        rows = [(path, each["value"], each["source"]) for path, each in chosen.shown().items()]
        print_table(("setting", "value", "source"), rows)
        return
    Foreground(server_of(chosen, find_home()), front_fd).run()


class Foreground:
    """A supervisor in this process, and what a person is told about it.

    Args:
        order: What to serve, and how.
        front: A socket to somebody else's server that will be the gateway; when that hangs up, this one ends.
    """

    def __init__(self, order: ServerOrder, front: int | None = None) -> None:
        self._is_shown = False
        self._front = front
        programs = None if front is None else Programs(gateway=("podium.serving.asgi_host.handover",), front=front)
        self._supervisor = Supervisor(order, self._tell, programs)

    def run(self) -> None:
        """Serve until told to stop."""
        asyncio.run(self._run())

    async def _run(self) -> None:
        progress = asyncio.create_task(self._show_progress())
        if self._front is not None:
            asyncio.get_running_loop().add_reader(self._front, self._front_hung_up)
        try:
            await self._supervisor.run()
        finally:
            progress.cancel()
            await asyncio.gather(progress, return_exceptions=True)

    def _front_hung_up(self) -> None:
        """Nothing is ever written to us there, so that only its end makes it readable."""
        if self._front is not None:
            asyncio.get_running_loop().remove_reader(self._front)
            self._supervisor.stop()

    async def _show_progress(self) -> None:
        """A line every two seconds while nothing serves yet; in a file or a log one for each step."""
        waited_s, said = 0.0, dict[str, str]()
        while True:
            await asyncio.sleep(_QUIET_S)
            waited_s += _QUIET_S
            endpoints = self._supervisor.status.get("endpoints", {})
            for name, status in endpoints.items():
                if status["state"] == "starting":
                    steps = [replica["step"] for replica in status["replicas"] if replica["step"]]
                    subject = f"{name}: " if len(endpoints) > 1 else ""
                    doing = steps[0] if steps else "wait"
                    step = f"{subject}loading version {status['wanted']}: {doing}"
                    if said.get(name) != step or sys.stderr.isatty():
                        said[name] = step
                        say(f"{step}, {waited_s:.0f} s", err=True)

    def _tell(self, event: Event) -> None:
        is_one = len(self._supervisor.endpoints) == 1
        if event.kind == "ready":
            self._is_shown = True
            served = {name: endpoint.served for name, endpoint in self._supervisor.endpoints.items()}
            # At once: who waits for its end has seen all of it, whatever else this machine does between two lines.
            say("\n".join(banner(self._supervisor.status, served)))
            sys.stdout.flush()
        elif event.kind == "load_failed" and not self._is_shown and is_one:
            pass  # The error that ends the command says it.
        elif event.kind == "stopping" and not self._is_shown:
            say("stopping: nothing was served yet", err=True)
        elif event.kind not in {"loading", "serving"} or self._is_shown:
            subject = f"{event.endpoint}: " if event.endpoint and not is_one else ""
            say(f"{'! ' if event.is_problem else ''}{subject}{event.text}", err=True)


def banner(status: dict[str, Any], served: Mapping[str, ServedVersion | None]) -> list[str]:
    """What is said once a server is ready: where, what, from which environments, how far each can be trusted."""
    if len(served) == 1:
        [(name, only)] = served.items()
        [first, *rest] = _of_one({**status, **status["endpoints"][name]}, only)
        return [first, *_of_grpc(status), *rest]
    lines = [f"podium serves {counted(len(served), 'model')} at {status['url']}", *_of_grpc(status)]
    for name, each in list(served.items())[:_MOST_SHOWN]:
        own = {**status, **status["endpoints"][name]}
        asked = f"/models/{name}/invocations" + (" and /invocations" if name == status["default"] else "")
        lines += [f"{name}: {asked}", *[f"  {line}" for line in _of_one(own, each, f"/models/{name}/invocations")]]
    more = [f"and {len(served) - _MOST_SHOWN} more: podium status"] if len(served) > _MOST_SHOWN else []
    trial = [] if served else [f"Try it: podium load NAME=URI -p {status['port']}"]
    return [*lines, *more, *trial]


def _of_grpc(status: dict[str, Any]) -> list[str]:
    address = status.get("grpc_address")
    return [] if address is None else [f"  gRPC          {address}, Open Inference Protocol"]


def _of_one(status: dict[str, Any], served: ServedVersion | None, path: str = "/invocations") -> list[str]:
    model = status["model"]
    if status["state"] == "asleep":
        line = f"  curl {status['url']}{path}{credential_of(status)}"
        return [f"{status['uri']} sleeps, and is loaded when it is asked. Try it:", line]
    if model is None or served is None:
        failure = status["wanted_failure"]
        return [f"{status['uri']} is not served: {failure['message'] if failure else status['source']['error']}"]
    requirements = model["requirements"]
    check = "verified against the registry" if model["is_verified"] else "unverified: no record of its content exists"
    batching = model["batching"]
    lines = [
        f"podium serves {status['uri']} at {status['url']}",
        f"  version       {model['version']}, {check} ({model['digest'][:19]})",
        f"  flavor        {model['flavor']}",
        f"  interpreter   Python {model['python']}, {model['executable']}",
        f"  requirements  {'met' if requirements['are_met'] else 'NOT met:'}",
        *[f"                  {sentence}" for sentence in requirements["mismatches"]],
        *(
            []
            if requirements["are_met"]
            else ["                  to build a Python that meets them: --env-manager virtualenv"]
        ),
        *([f"  audit         {notice}"] if (notice := notice_of(served.findings, masked(status["uri"]))) else []),
        f"  batching      {'on' if batching['is_on'] else 'off'}: {batching['reason']}",
        f"  runtime       {model['runtime']}",
        f"  device        {devices_of(status['replicas']) or 'unknown yet'}",
        f"  processes     {counted(status['replicas_wanted'], 'replica')}, {counted(len(status['gateways']), 'gateway')}",
        *[f"  warning       {sentence}" for sentence in model["warnings"]],
    ]
    is_wrong = any("input example did not score" in sentence for sentence in model["warnings"])
    trial = "Try it, with data that fit (the model's example does not score):" if is_wrong else "Try it:"
    return [*lines, trial, f"  {curl_line(status['url'], served, path, credential_of(status))}"]


def credential_of(status: Mapping[str, Any]) -> str:
    """What a request needs of a server that asks who asks, for curl; a variable, as no key is known here."""
    settings = status.get("settings", {})
    if settings.get("access.require_keys", {}).get("value") == "true":
        return ' -H "X-API-Key: $PODIUM_API_KEY"'
    return ' -H "Authorization: Bearer $TOKEN"' if settings.get("access.jwks", {}).get("value", "none") != "none" else ""


def curl_line(url: str, served: ServedVersion, path: str = "/invocations", credential: str = "") -> str:
    """A command that a person can paste: the model's own example, in a file where it is long."""
    from podium.models.examples import serving_example

    folder = served.prepared.folder
    body = serving_example(folder, served.prepared.mlmodel)
    if body is None:
        return f"curl {url}/ping"
    short = " ".join(body.split())
    if len(short) > _LONGEST_CURL:
        # Beside the server's copy of the model: there as long as the server is, whatever becomes of this version.
        file = folder.parent / "example.json"
        try:
            file.write_text(body, encoding="utf-8")
        except OSError:
            return f"curl {url}/ping"
        short = f"@{file.absolute()}"
    return f"curl {url}{path}{credential} -H 'Content-Type: application/json' -d {shlex.quote(short)}"
