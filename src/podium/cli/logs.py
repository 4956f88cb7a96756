"""`podium logs`: what an endpoint's processes wrote."""

import os
import time
from pathlib import Path

import click

from podium.cli.output import say
from podium.cli.servers import the_server
from podium.cli.streams import is_output_over
from podium.errors import NotFound
from podium.fleet.host.logs import SERVER
from podium.settings.home import Home, find_home

_LOOK_S = 0.2


@click.command()
@click.argument("name", required=False)
@click.option("-f", "--follow", is_flag=True, help="Go on printing what is written.")
@click.option("-n", "--lines", default=100, show_default=True, help="Lines of each file to begin with.")
@click.option("--access", is_flag=True, help="The access log instead.")
def logs(name: str | None, follow: bool, lines: int, access: bool) -> None:
    """Print what the endpoint's supervisor, gateways and workers wrote, each line with its file's name before it.

    Of a server with several models, NAME has what its workers wrote, and `server` what the supervisor and gateways did.
    Without NAME: all that belongs to the server that runs.
    """
    home = find_home()
    folders = [_folder(home, name)] if name is not None else _running(home)
    tails: dict[Path, Tail] = {}
    is_first = True
    while True:
        for path in sorted((path for folder in folders for path in folder.glob("*.log")), key=lambda path: path.name):
            if (path.name == "access.log") != access:
                continue
            if path not in tails:
                tails[path] = Tail(path)
                shown = tails[path].last(lines) if is_first else tails[path].more()
            else:
                shown = tails[path].more()
            for line in shown:
                subject = path.stem if len(folders) == 1 else f"{path.parent.name}/{path.stem}"
                say(line if access else f"{subject}: {line}")
        if not follow or is_output_over():
            return
        is_first = False
        time.sleep(_LOOK_S)


def _folder(home: Home, name: str) -> Path:
    folder = home.logs / name
    if "/" in name or name in {"", ".", ".."} or not folder.is_dir():
        known = sorted(path.name for path in home.logs.iterdir() if path.is_dir()) if home.logs.is_dir() else []
        there = f"endpoints with logs: {', '.join(known) or 'none'}"
        raise NotFound(f"No endpoint {name!r} has written a log.", [f"{home.logs}: {there}"])
    return folder


def _running(home: Home) -> list[Path]:
    server = the_server(home, None)
    return [home.logs / name for name in dict.fromkeys([*server.endpoints, server.facts.get("logs", SERVER)])]


class Tail:
    """Reads on in a file that grows, is cut short in place, or is replaced. Only whole lines are returned."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._position = 0
        self._file_id: int | None = None
        self._rest = b""

    def last(self, count: int) -> list[str]:
        """The last lines; reading goes on after them."""
        lines = self.more()
        return lines[-count:] if count > 0 else []

    def more(self) -> list[str]:
        """The lines that are new since the last call."""
        try:
            with self._path.open("rb") as file:
                state = os.fstat(file.fileno())
                if state.st_ino != self._file_id or state.st_size < self._position:
                    self._position, self._rest, self._file_id = 0, b"", state.st_ino
                file.seek(self._position)
                data = file.read()
        except FileNotFoundError:
            return []
        self._position += len(data)
        *lines, self._rest = (self._rest + data).split(b"\n")
        return [line.decode(errors="replace") for line in lines]
