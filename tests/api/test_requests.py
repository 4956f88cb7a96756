"""One answer looked into: what a command line may hold beside an id."""

from pathlib import Path

import pytest

from podium.api.requests import erase, show
from podium.errors import InvalidInput, NotFound
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
