"""`podium serve`: one model behind HTTP, followed as its stage or alias moves."""

import asyncio
import os
import re
import shlex
import sys
from pathlib import Path
from typing import Any

import click

from podium.cli.output import shown
from podium.domain.references import FolderRef, ModelRef, parse_reference
from podium.errors import Misconfigured
from podium.fleet.events import Event
from podium.fleet.logs import access_log
from podium.fleet.machine import cpu_limit
from podium.fleet.status import Served
from podium.fleet.supervisor import Supervisor
from podium.registry.observe import RegistryObserver
from podium.registry.resolve import Resolved, resolve
from podium.settings.environments import environment_order
from podium.settings.home import Home, find_home
from podium.settings.serve import BATCHING, ServeSettings

_QUIET_S = 2.0
_LONGEST_CURL = 300


@click.command()
@click.option("-m", "--model-uri", "uri", required=True, help="models:/NAME/STAGE, models:/NAME@ALIAS, a folder ...")
@click.option("-p", "--port", default=8000, show_default=True, help="0 takes any free port.")
@click.option("-h", "--host", default="127.0.0.1", show_default=True, help="0.0.0.0 serves to the network.")
@click.option("-w", "--workers", "replicas", default=1, show_default=True, help="Replicas of the model.")
@click.option("--gateways", default=None, type=int, help="Front processes. [default: one for each 4 processors]")
@click.option("-t", "--timeout", default=60.0, show_default=True, help="Seconds from a request to its answer.")
@click.option("--batching", default="auto", show_default=True, type=click.Choice(BATCHING), help="Merge requests.")
@click.option("--row-independent", is_flag=True, help="Declare that each row is answered by itself: --batching on.")
@click.option("--load-timeout", default=300.0, show_default=True, help="Seconds for a version to load.")
@click.option("--drain-timeout", default=30.0, show_default=True, help="Seconds for requests in flight to finish.")
@click.option("--max-body", default="100MiB", show_default=True, help="Largest request body.")
@click.option("--max-batch-rows", default=256, show_default=True, help="Largest batch.")
@click.option("--max-queue-rows", default=4096, show_default=True, help="Rows that may wait for a replica.")
@click.option("--threads", default=1, show_default=True, help="Threads of each worker's numeric libraries.")
@click.option("--env-manager", "env_manager", default="local", show_default=True, help="Python of the workers.")
@click.option("--install-mlflow", is_flag=True, help="Build mlflow into the environment.")
@click.option("--name", "endpoint", default=None, help="Public name of the endpoint. [default: the model's]")
def serve(
    uri: str,
    port: int,
    host: str,
    replicas: int,
    gateways: int | None,
    timeout: float,
    batching: str,
    row_independent: bool,
    load_timeout: float,
    drain_timeout: float,
    max_body: str,
    max_batch_rows: int,
    max_queue_rows: int,
    threads: int,
    env_manager: str,
    install_mlflow: bool,
    endpoint: str | None,
) -> None:
    """Serve a model over HTTP and follow its stage or alias: move it and the new version takes over.

    Ctrl-C or SIGTERM finishes the requests in flight and ends with 0; a second one ends at once.
    """
    if row_independent and batching == "off":
        raise Misconfigured("--row-independent and --batching off contradict each other; leave one of them out.")
    home = find_home()
    reference = parse_reference(uri)
    first = resolve(reference, home)
    name = _endpoint_name(endpoint, first)
    settings = ServeSettings(
        host=host,
        port=port,
        replicas=replicas,
        gateways=gateways if gateways is not None else max(1, int(cpu_limit() // 4)),
        timeout_s=timeout,
        batching="on" if row_independent else batching,
        max_batch_rows=max_batch_rows,
        max_queue_rows=max_queue_rows,
        threads=threads,
        load_timeout_s=load_timeout,
        drain_timeout_s=drain_timeout,
        environment=environment_order(env_manager, os.environ, install_mlflow),
        gateway_settings=_gateway_settings(home, name, timeout, drain_timeout, _size_in_bytes(max_body)),
    )
    Server(home, reference, first, name, settings).run()


class Server:
    """A supervisor and what a person is told about it."""

    def __init__(self, home: Home, reference: ModelRef, first: Resolved, endpoint: str, settings: ServeSettings) -> None:
        self._reference = reference
        self._settings = settings
        self._is_shown = False
        self._supervisor = Supervisor(home, reference, first, endpoint, settings, RegistryObserver(home), self._tell)

    def run(self) -> None:
        """Serve until told to stop."""
        asyncio.run(self._run())

    async def _run(self) -> None:
        progress = asyncio.create_task(self._show_progress())
        try:
            await self._supervisor.run()
        finally:
            progress.cancel()
            await asyncio.gather(progress, return_exceptions=True)

    async def _show_progress(self) -> None:
        """A line every two seconds while nothing serves yet."""
        waited_s = 0.0
        while True:
            await asyncio.sleep(_QUIET_S)
            waited_s += _QUIET_S
            status = self._supervisor.status
            if status.get("state") == "starting":
                steps = [replica["step"] for replica in status["replicas"] if replica["step"]]
                click.echo(
                    f"loading version {status['wanted']}: {steps[0] if steps else 'wait'}, {waited_s:.0f} s", err=True
                )

    def _tell(self, event: Event) -> None:
        if event.kind == "serving" and not self._is_shown and self._supervisor.served is not None:
            self._is_shown = True
            for line in banner(self._supervisor.status, self._supervisor.served, self._reference):
                click.echo(shown(line))
            sys.stdout.flush()
        elif event.kind == "load_failed" and not self._is_shown:
            pass  # The error that ends the command says it.
        elif event.kind != "loading" or self._is_shown:
            click.echo(f"{'! ' if event.is_problem else ''}{shown(event.text)}", err=True)


def banner(status: dict[str, Any], served: Served, reference: ModelRef) -> list[str]:
    """What is said once a server serves: where, what, from which environment, how far it can be trusted."""
    model = status["model"]
    requirements = model["requirements"]
    check = "verified against the registry" if model["is_verified"] else "unverified: no record of its content exists"
    batching = model["batching"]
    lines = [
        f"podium serves {reference} at {status['url']}",
        f"  version       {model['version']}, {check} ({model['digest'][:19]})",
        f"  flavor        {model['flavor']}",
        f"  interpreter   Python {model['python']}, {model['executable']}",
        f"  requirements  {'met' if requirements['are_met'] else 'NOT met:'}",
        *[f"                  {sentence}" for sentence in requirements["mismatches"]],
        f"  batching      {'on' if batching['is_on'] else 'off'}: {batching['reason']}",
        f"  processes     {_count(status['replicas_wanted'], 'replica')}, {_count(len(status['gateways']), 'gateway')}",
        *[f"  warning       {sentence}" for sentence in model["warnings"]],
    ]
    return [*lines, "Try it:", f"  {curl_line(status['url'], served)}"]


def curl_line(url: str, served: Served) -> str:
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
    return f"curl {url}/invocations -H 'Content-Type: application/json' -d {shlex.quote(short)}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")


def _endpoint_name(chosen: str | None, first: Resolved) -> str:
    """A name that is safe as a folder's and as a metric's label."""
    name = chosen if chosen is not None else first.name or _folder_name(first)
    if chosen is not None and not re.fullmatch(r"[\w.\-]{1,100}", chosen.lstrip(".")):
        raise Misconfigured(f"--name {chosen}: use letters, digits, '_', '-' and '.', at most 100.")
    return re.sub(r"[^\w.\-]+", "-", name).strip(".-")[:100] or "model"


def _folder_name(first: Resolved) -> str:
    return Path(first.folder).name if isinstance(first.reference, FolderRef) else str(first.reference).rpartition("/")[2]


def _gateway_settings(home: Home, endpoint: str, timeout_s: float, drain_s: float, body_bytes: int) -> str:
    from podium.serving.settings import GatewaySettings

    return GatewaySettings(
        timeout_s=timeout_s,
        max_body_bytes=body_bytes,
        drain_limit_s=drain_s,
        access_log=str(access_log(home.logs / endpoint)),
    ).to_json()


def _size_in_bytes(text: str) -> int:
    found = re.fullmatch(r"(\d+)\s*([KMG]i?)?B?", text.strip(), re.IGNORECASE)
    if not found or int(found[1]) == 0:
        raise Misconfigured(f"--max-body {text}: write a size such as 100MiB, 512K or 1048576.")
    power = {"": 0, "K": 1, "M": 2, "G": 3}[(found[2] or "").upper().rstrip("I")]
    return int(found[1]) << (10 * power)
