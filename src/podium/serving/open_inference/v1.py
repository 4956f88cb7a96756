"""KServe's V1 protocol: `{"instances": …}` to `{"predictions": …}`, as TensorFlow Serving began it.

MLflow's `/invocations` reads and writes the same bodies, so a request for arrays goes there as it came; only errors are
told in other words. What else these clients send to any model is put into the form that MLflow has for it:

    instances                    of a model with            become
    objects                      columns                    dataframe_records: MLflow would make an array for each name, in
                                                            which rows that lack one vanish, and numbers become text
    lists                        columns that have names    dataframe_split, the values being in the signature's order
    anything                     a type hint                inputs, which alone such a model takes
"""

import re
from collections.abc import Mapping
from functools import partial
from typing import Any

import msgspec

from podium.errors import InvalidInput, SchemaMismatch
from podium.protocols.open_inference.problems import as_error, error_body
from podium.serving.invocations import is_plain_json
from podium.serving.open_inference.translated import WayBack
from podium.serving.pages import Pages, Paths, Taker
from podium.serving.standing import Standing
from podium.serving.walks.scoring import Scoring
from podium.web.handling import Arrival
from podium.web.messages import Head, Request, Response

_FIRST = re.compile(rb'\s*\{\s*("instances")\s*:\s*\[\s*(?P<row>.)', re.DOTALL)
_KEY = b'"instances"'
_MOST_LOOKED_AT = 1 << 20
_COLUMN = [-1, 1]
_SEVERAL = 2


def v1_paths(scoring: Scoring, standing: Standing, pages: Pages) -> Paths:
    """Where V1's clients ask."""

    def find(head: Head, name: str) -> Taker:
        headers = {**head.headers, b"content-type": b"application/json"}
        inner = Head(head.method, head.path, head.query, headers)
        start = partial(scoring.start_json if is_plain_json(inner) else scoring.start, endpoint=name)

        def take(request: Request, exchange: Arrival) -> None:
            try:
                body = in_its_form(request.body, standing.model_of(name))
            except InvalidInput as error:
                pages.answer(request, exchange, Response(400, error_body(error.message)))
                return
            start(Request(inner, body), WayBack(exchange, _in_words, passes_raw=True))

        return take

    def models() -> Response:
        return Response(200, msgspec.json.encode({"models": standing.names()}))

    def model(name: str) -> Response:
        absence = standing.absence_of(name)
        if absence is not None:
            return absence
        is_ready = standing.readiness_of(name).status == 200
        return Response(200 if is_ready else 503, msgspec.json.encode({"name": name, "ready": is_ready}))

    return {
        # Where KServe's clients of this protocol ask whether a server lives.
        "/": pages.page(lambda: Response(200, b'{"status":"alive"}\n')),
        "/v1/models": pages.page(models),
        "/v1/models/{name}:predict": {"POST": find},
        "/v1/models/{name}": pages.page(model),
    }


def in_its_form(body: bytes | bytearray, model: Mapping[str, Any] | None) -> bytes | bytearray:
    """A request in the form that MLflow has for such a model; as it is, where that is the one.

    Args:
        body: As the client sent it. One that does not begin with its instances is looked through up to a megabyte.
        model: What the status says of it.

    Raises:
        SchemaMismatch: As `in_columns`.
    """
    rows = None if model is None else model.get("rows")
    if rows not in {"columns", "hinted"}:
        return body
    found = _FIRST.match(body)
    if found is None and _KEY in body[:_MOST_LOOKED_AT] and len(body) <= _MOST_LOOKED_AT:
        body = _instances_first(body)
        found = _FIRST.match(body)
    if found is None:
        return body
    if rows == "hinted":
        return _renamed(body, found, b'"inputs"')
    if found["row"] == b"{":
        return _renamed(body, found, b'"dataframe_records"')
    return in_columns(body, model) if found["row"] == b"[" else body


def _renamed(body: bytes | bytearray, found: "re.Match[bytes]", name: bytes) -> bytes:
    return b"%s%s%s" % (body[: found.start(1)], name, body[found.end(1) :])


def _instances_first(body: bytes | bytearray) -> bytes | bytearray:
    """The same object, its instances before everything else."""
    told = _members(body)
    if told is None:
        return body  # whoever reads it says what is wrong with it
    instances = told.pop("instances")
    return msgspec.json.encode({"instances": instances, **told})


def in_columns(body: bytes | bytearray, model: Mapping[str, Any] | None) -> bytes | bytearray:
    """A request whose rows are lists, as one that names the columns; as it is, where the model has no such columns.

    Args:
        body: Begins with `{"instances": [[`.
        model: What the status says of it.

    Raises:
        SchemaMismatch: Its first row has not as many values as the model has columns: whose they are is anybody's guess.
    """
    inputs = () if model is None else model["inputs"]
    if len(inputs) < _SEVERAL or any(each["shape"] != _COLUMN for each in inputs):
        return body
    told = _members(body)
    if told is None:
        return body  # whoever reads it says what is wrong with it
    names = [each["name"] for each in inputs]
    rows = told.pop("instances")
    count = _values_in(rows)
    if count is not None and count != len(names):
        raise SchemaMismatch(
            f"instances[0] has {count} values; expected one for each column of the model, which are {', '.join(names)}. "
            "Give each row as an object by these names, to leave out any."
        )
    return msgspec.json.encode({"dataframe_split": {"columns": names, "data": rows}, **told})


def _members(body: bytes | bytearray) -> dict[str, msgspec.Raw] | None:
    """What a body with instances has, each as it stands; None where it is no such object."""
    try:
        told = _decode_members(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return told if "instances" in told else None


_decode_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def _values_in(rows: msgspec.Raw) -> int | None:
    """How many values the first row has; None where that takes too long to find out, or it is none."""
    text = bytes(rows)
    end = text.find(b"]")
    first = text[text.find(b"[", 1) : end + 1]
    if end < 0 or b'"' in first or first.count(b"[") != 1 or first[1:-1].strip(b" \t\r\n") == b"":
        return None  # texts and lists may hold brackets; whoever reads it counts
    return first.count(b",") + 1


def _in_words(response: Response) -> Response:
    if response.status == 200:
        return response
    return Response(response.status, as_error(response.body), headers=response.headers)
