"""KServe's V1 protocol: `{"instances": …}` to `{"predictions": …}`, as TensorFlow Serving began it.

MLflow's `/invocations` reads and writes the same bodies, so a request goes there as it came; only errors are told in other
words.
"""

from functools import partial

import msgspec

from podium.protocols.open_inference.problems import as_error
from podium.serving.invocations import is_plain_json
from podium.serving.open_inference.translated import WayBack
from podium.serving.pages import Pages, Paths, Taker
from podium.serving.standing import Standing
from podium.serving.walks.scoring import Scoring
from podium.web.handling import Arrival
from podium.web.messages import Head, Request, Response


def v1_paths(scoring: Scoring, standing: Standing, pages: Pages) -> Paths:
    """Where V1's clients ask."""

    def find(head: Head, name: str) -> Taker:
        headers = {**head.headers, b"content-type": b"application/json"}
        inner = Head(head.method, head.path, head.query, headers)
        start = partial(scoring.start_json if is_plain_json(inner) else scoring.start, endpoint=name)

        def take(request: Request, exchange: Arrival) -> None:
            start(Request(inner, request.body), WayBack(exchange, _in_words, passes_raw=True))

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
        "/v1/models": pages.page(models),
        "/v1/models/{name}:predict": {"POST": find},
        "/v1/models/{name}": pages.page(model),
    }


def _in_words(response: Response) -> Response:
    if response.status == 200:
        return response
    return Response(response.status, as_error(response.body), headers=response.headers)
