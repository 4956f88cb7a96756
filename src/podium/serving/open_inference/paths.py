"""The Open Inference Protocol (V2) over HTTP: paths of health, metadata and inference (`infer.py`)."""

from collections.abc import Callable
from typing import Any

import msgspec

from podium._version import __version__
from podium.domain.open_inference import server_metadata
from podium.serving.open_inference.infer import Inferring
from podium.serving.pages import Pages, Paths
from podium.serving.standing import Standing
from podium.serving.walks.scoring import Scoring
from podium.web.messages import Response


def open_inference_paths(scoring: Scoring, standing: Standing, pages: Pages) -> Paths:
    """Where clients of the protocol ask; `/v2/` is answered like `/v2`, for the specification has both."""
    infer = Inferring(scoring, standing, pages)
    page = pages.page
    server = page(lambda: _json(200, server_metadata(__version__)))
    ready, metadata = page(_readiness(standing)), page(standing.metadata_of)
    return {
        "/v2": server,
        "/v2/": server,
        "/v2/health/live": page(lambda: _json(200, {"live": True})),
        "/v2/health/ready": page(lambda: _json(200 if standing.takes_traffic else 503, {"ready": standing.takes_traffic})),
        "/v2/models": page(lambda: _json(200, {"models": standing.names()})),
        "/v2/models/{name}": metadata,
        "/v2/models/{name}/versions/{version}": metadata,
        "/v2/models/{name}/ready": ready,
        "/v2/models/{name}/versions/{version}/ready": ready,
        "/v2/models/{name}/infer": {"POST": infer.find},
        "/v2/models/{name}/versions/{version}/infer": {"POST": infer.find},
    }


def _readiness(standing: Standing) -> Callable[..., Response]:
    def readiness_of(name: str, version: str | None = None) -> Response:
        absence = standing.absence_of(name, version)
        if absence is not None and absence.status == 404:
            return absence
        is_ready = absence is None and standing.readiness_of(name).status == 200
        return _json(200 if is_ready else 503, {"name": name, "ready": is_ready})

    return readiness_of


def _json(status: int, told: Any) -> Response:
    return Response(status, msgspec.json.encode(told) + b"\n")
