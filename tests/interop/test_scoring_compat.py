"""MLflow's own scoring server and podium's codec and predictor, asked the same requests."""

from typing import Any

import pytest
import scoring_cases as cases
from comparing import ours, theirs, without_echoes
from scoring_models import MODELS

CASES = cases.all_cases()

pytestmark = pytest.mark.mlflow


@pytest.fixture(scope="module")
def mlflow() -> dict[str, dict[str, Any]]:
    """MLflow's response to every case, by title."""
    return theirs(MODELS, CASES)


@pytest.mark.parametrize("case", CASES, ids=[case.title for case in CASES])
def test_podium_answers_as_mlflow_answers(case: Any, mlflow: dict[str, dict[str, Any]]) -> None:
    """Status, content type and body are equal, but for echoes of the data and the differences made on purpose."""
    their_body = mlflow[case.title]["body"]
    their_status = mlflow[case.title]["status"]

    status, content_type, body = ours(case, MODELS)

    if case.ours is not None:
        expected_status, part = case.ours
        assert (status, part in body.decode()) == (expected_status, True), (status, body, their_status, their_body)
        assert (status, body) != (their_status, their_body)
        return
    assert status == their_status, (body, their_body)
    if case.is_status_enough:
        return
    assert content_type == mlflow[case.title]["content_type"]
    if status != 200 and content_type == "application/json":
        assert without_echoes(body) == without_echoes(their_body)
    else:
        assert body == their_body


@pytest.mark.parametrize("case", [case for case in CASES if case.ours is None], ids=lambda case: case.title)
def test_no_error_quotes_the_body(case: Any) -> None:
    """Long text and numbers of a request are in no error body."""
    status, _, body = ours(case, MODELS)

    if status != 200:
        assert b"secret" not in body
        assert b"Traceback" not in body


def test_the_comparison_is_large() -> None:
    """At least 200 requests are compared, and most of them for full equality."""
    exact = [case for case in CASES if case.ours is None and not case.is_status_enough]

    assert len(CASES) >= 200
    assert len(exact) >= 0.85 * len(CASES)
