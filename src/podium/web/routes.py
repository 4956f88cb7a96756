"""Which function answers a method and a path; what has none gets a 404, 405 or redirect as MLflow's server gives it."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from podium.web.messages import Response, header_lines

Answerer = TypeVar("Answerer", bound=Callable[..., object])
_PART = re.compile(r"\{\w+\}")


def detail(status: int, text: str, headers: bytes = b"") -> Response:
    """A JSON body `{"detail": text}`: the shape of whatever goes wrong before a protocol is known."""
    return Response(status, json.dumps({"detail": text}, separators=(",", ":")).encode(), headers=headers)


@dataclass(frozen=True, slots=True)
class Route(Generic[Answerer]):
    """Who answers, and what stands in the path where the route has `{name}`: never empty, never with a slash.

    Args:
        answerer: Who.
        parts: What stands there, in order.
        path: The route as the table has it.
    """

    answerer: Answerer
    parts: tuple[str, ...] = ()
    path: str = ""

    @property
    def named(self) -> dict[str, str]:
        """The parts by the names that the route gives them."""
        return dict(zip((text[1:-1] for text in _PART.findall(self.path)), self.parts, strict=True))


class Routes(Generic[Answerer]):
    """An immutable table of paths. A path that ends in a slash too many is redirected with 307, the query kept.

    Args:
        table: By path and method. `{name}` stands for any one segment; a path without it goes before those with.
    """

    def __init__(self, table: Mapping[str, Mapping[str, Answerer]]) -> None:
        self._table = {path: dict(methods) for path, methods in table.items() if "{" not in path}
        self._patterns = [(_pattern(path), path, dict(methods)) for path, methods in table.items() if "{" in path]

    def find(self, method: str, path: str, query: str = "") -> Route[Answerer] | Response:
        """The route for this method and path, or the answer that says there is none."""
        found = self._look(path)
        if found is None:
            other = path[:-1]
            if path.endswith("/") and self._look(other) is not None:
                location = f"{other}?{query}" if query else other
                return Response(307, content_type="text/plain; charset=utf-8", headers=header_lines(("location", location)))
            return detail(404, "Not Found")
        methods, parts, route = found
        answerer = methods.get(method)
        if answerer is not None:
            return Route(answerer, parts, route)
        return detail(405, "Method Not Allowed", header_lines(("allow", ", ".join(sorted(methods)))))

    def methods_of(self, path: str) -> tuple[str, dict[str, str], tuple[str, ...]] | None:
        """The route of a path as the table has it, its parts by name, and the methods that it takes; None without one."""
        found = self._look(path)
        if found is None:
            return None
        methods, parts, route = found
        names = (text[1:-1] for text in _PART.findall(route))
        return route, dict(zip(names, parts, strict=True)), tuple(methods)

    def _look(self, path: str) -> tuple[dict[str, Answerer], tuple[str, ...], str] | None:
        methods = self._table.get(path)
        if methods is not None:
            return methods, (), path
        for pattern, route, other in self._patterns:
            if found := pattern.fullmatch(path):
                return other, found.groups(), route
        return None


def _pattern(path: str) -> re.Pattern[str]:
    return re.compile("([^/]+)".join(re.escape(text) for text in _PART.split(path)))
