"""Which function answers a method and a path; what has none gets a 404, 405 or redirect as MLflow's server gives it."""

import json
from collections.abc import Callable, Mapping
from typing import Generic, TypeVar

from podium.web.messages import Response, header_lines

Answerer = TypeVar("Answerer", bound=Callable[..., object])


def detail(status: int, text: str, headers: bytes = b"") -> Response:
    """A JSON body `{"detail": text}`: the shape of whatever goes wrong before a protocol is known."""
    return Response(status, json.dumps({"detail": text}, separators=(",", ":")).encode(), headers=headers)


class Routes(Generic[Answerer]):
    """An immutable table of paths. A path that ends in a slash too many is redirected with 307, the query kept."""

    def __init__(self, table: Mapping[str, Mapping[str, Answerer]]) -> None:
        self._table = {path: dict(methods) for path, methods in table.items()}

    def find(self, method: str, path: str, query: str = "") -> Answerer | Response:
        """The function for this method and path, or the answer that says there is none."""
        methods = self._table.get(path)
        if methods is None:
            other = path[:-1]
            if path.endswith("/") and other in self._table:
                location = f"{other}?{query}" if query else other
                return Response(307, content_type="text/plain; charset=utf-8", headers=header_lines(("location", location)))
            return detail(404, "Not Found")
        answerer = methods.get(method)
        if answerer is not None:
            return answerer
        return detail(405, "Method Not Allowed", header_lines(("allow", ", ".join(sorted(methods)))))
