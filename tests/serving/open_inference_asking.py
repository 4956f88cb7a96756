"""Asking a server by the Open Inference Protocol over HTTP, and what is asked most."""

import http.client
import json
from typing import Any

HEADER = "Inference-Header-Content-Length"
X = {"name": "x", "shape": [1, 4], "datatype": "FP64", "data": [5.1, 3.5, 1.4, 0.2]}
Y = {"name": "y", "datatype": "INT64", "shape": [1], "data": [0]}


class Asked:
    """An answer."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()

    @property
    def json(self) -> Any:
        return json.loads(self.body, parse_constant=_refuse)

    @property
    def error(self) -> str:
        """The sentence of an error, which is all that its body has beside the request's id."""
        told = self.json
        assert set(told) <= {"error", "request_id"}, told
        assert isinstance(told["error"], str)
        return told["error"]


def _refuse(word: str) -> None:
    raise AssertionError(f"{word} is no JSON")


class House:
    """A server and one connection to it, which stays."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._connection = http.client.HTTPConnection(address, timeout=240)

    def close(self) -> None:
        self._connection.close()

    def ask(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Asked:
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        self._connection.request(method, path, data, headers or {})
        return Asked(self._connection.getresponse())

    def infer(self, model: str, body: Any, headers: dict[str, str] | None = None) -> Asked:
        return self.ask("POST", f"/v2/models/{model}/infer", body, headers)

    def outputs(self, model: str, *inputs: Any, **more: Any) -> Any:
        answer = self.infer(model, {"inputs": list(inputs), **more})
        assert answer.status == 200, answer.body
        return {each["name"]: each for each in answer.json["outputs"]}

    def mixed(self, model: str, told: Any, *parts: bytes, header: str | None = None) -> Asked:
        """Ask with the binary extension."""
        text = json.dumps(told).encode()
        return self.infer(model, text + b"".join(parts), {HEADER: str(len(text)) if header is None else header})
