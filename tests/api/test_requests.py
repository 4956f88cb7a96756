"""One answer looked into: what a command line may hold beside an id."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from podium.api.requests import erase, replay, show
from podium.errors import InvalidInput, NotFound
from podium.monitoring.payloads.files import PayloadFiles
from podium.monitoring.payloads.rows import PayloadRow
from podium.settings.environments import EnvironmentOrder
from podium.settings.home import Home

NO_TEXT = "r\udcff"
"""As Python has a command line's bytes that are no UTF-8."""


def test_an_id_that_is_no_text_is_refused_and_no_file_is_blamed(tmp_path: Path) -> None:
    home = Home(tmp_path / "home").create()
    (home.payloads / "iris").mkdir(parents=True)
    (home.payloads / "iris" / "2026-03-01.jsonl").write_text("")

    for ask in (lambda: show(NO_TEXT, home), lambda: erase(home, NO_TEXT, None)):
        with pytest.raises(InvalidInput, match="is no request id"):
            ask()


@pytest.mark.parametrize("request_id", ["", "../../keys.json", "' OR 1=1 --", "%", "r\x00\x1b[2J", "r" * 100_000])
def test_an_id_is_only_ever_compared(tmp_path: Path, request_id: str) -> None:
    home = Home(tmp_path / "home").create()

    with pytest.raises(NotFound):
        show(request_id, home)

    assert erase(home, request_id, None).payloads == 0


TENSOR = '"name": "a", "datatype": "FP64"'


@pytest.mark.parametrize(
    "body",
    [
        "no json",
        "[" * 100_000,
        "1" * 5000,
        '{"inputs": [{"datatype": "FP64", "shape": [1], "data": [1]}]}',
        f'{{"inputs": [{{{TENSOR}, "shape": [1]}}]}}',
        f'{{"inputs": [{{{TENSOR}, "shape": null, "data": [1]}}]}}',
        f'{{"inputs": [{{{TENSOR}, "shape": [{{}}], "data": [1]}}]}}',
    ],
)
def test_whatever_somebody_had_sent_is_refused_where_it_cannot_be_asked_again(tmp_path: Path, body: str) -> None:
    """What was kept is what strangers sent, also where it was answered with an error."""
    home = Home(tmp_path / "home").create()
    at = datetime(2026, 3, 1, tzinfo=UTC)
    row = PayloadRow(
        "r", at, "2026-03-01", 400, 1.0, 1.0, "iris", "1", "iris/1", "/invocations", "POST", body, "application/json",
        None, "", "", "", 0, 0, 0.0, 0.0, 1, [], [],
    )  # fmt: skip
    PayloadFiles(home.payloads, is_parquet=False, keep_days=10_000, most_bytes=1 << 30).write([row])

    with pytest.raises(InvalidInput, match="no JSON that a model can be asked offline"):
        replay("r", "1", None, EnvironmentOrder(), home, print, 1e-6, 60.0)
