"""Paths: who answers them, what stands in them, and what is said of those that nobody answers."""

import pytest

from podium.web.messages import Response
from podium.web.routes import Route, Routes


def score():
    pass


def ready():
    pass


ROUTES = Routes(
    {
        "/score": {"POST": score},
        "/models/{name}/score": {"POST": score},
        "/models/{name}/versions/{version}": {"GET": ready, "HEAD": ready},
        "/models/all/score": {"POST": ready},
    }
)


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("POST", "/score", Route(score, (), "/score")),
        ("POST", "/models/fraud/score", Route(score, ("fraud",), "/models/{name}/score")),
        ("POST", "/models/fraud 2.1/score", Route(score, ("fraud 2.1",), "/models/{name}/score")),
        ("GET", "/models/fraud/versions/7", Route(ready, ("fraud", "7"), "/models/{name}/versions/{version}")),
        ("POST", "/models/all/score", Route(ready, (), "/models/all/score")),
    ],
)
def test_a_path_is_answered_with_what_stands_in_it(method, path, expected):
    """A path that is written out goes before one with places in it."""
    assert ROUTES.find(method, path) == expected


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/score", 405),
        ("GET", "/models/fraud/score", 405),
        ("POST", "/models/score", 404),
        ("POST", "/models//score", 404),
        ("POST", "/models/a/b/score", 404),
        ("POST", "/models/fraud/scorex", 404),
        ("POST", "/models/fraud/score/", 307),
        ("GET", "/models/fraud/versions/", 404),
    ],
)
def test_what_nobody_answers_is_said(method, path, status):
    """A place holds one segment, never an empty one, never a slash."""
    found = ROUTES.find(method, path)

    assert isinstance(found, Response)
    assert found.status == status
