"""The command to paste that `podium serve` shows."""

import json
import shlex
from pathlib import Path
from typing import Any, cast

import pytest

from podium.cli.serve import credential_of, curl_line
from podium.environments.choice import Environment
from podium.fleet.telling.served_version import ServedVersion
from podium.fleet.workers.copies import Prepared

URL = "http://127.0.0.1:1"


def served(tmp_path: Path, body: Any) -> ServedVersion:
    folder = tmp_path / "it's here" / "copy"
    folder.mkdir(parents=True)
    if body is not None:
        (folder / "serving_input_example.json").write_text(json.dumps(body, indent=2))
    mlmodel = {"saved_input_example_info": {"artifact_path": "input_example.json"}}
    return ServedVersion(
        Prepared(folder, "sha256:0", False, mlmodel, [], [], Environment("python", "a test")), cast("Any", None)
    )


def test_a_short_example_is_in_the_line_itself(tmp_path: Path) -> None:
    """On one line, quoted for a shell."""
    body = {"inputs": ["it's", 1]}

    words = shlex.split(curl_line(URL, served(tmp_path, body)))

    assert words[:4] == ["curl", f"{URL}/invocations", "-H", "Content-Type: application/json"]
    assert json.loads(words[-1]) == body


@pytest.mark.parametrize("columns", [40, 5000])
def test_a_long_example_is_in_a_file_that_is_there(tmp_path: Path, columns: int) -> None:
    """By its absolute path, beside the version's own copy, which another version's start would remove."""
    body = {"inputs": [[0.123456] * columns]}
    model = served(tmp_path, body)

    line = curl_line(URL, model)

    sign, file = shlex.split(line)[-1][0], Path(shlex.split(line)[-1][1:])
    assert len(line) < 300 + len(str(tmp_path))
    assert sign == "@"
    assert file.is_absolute()
    assert model.prepared.folder not in file.parents
    assert json.loads(file.read_text()) == body


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"access.require_keys": {"value": "true"}, "access.jwks": {"value": "k.json"}}, "X-API-Key: $PODIUM_API_KEY"),
        ({"access.require_keys": {"value": "false"}, "access.jwks": {"value": "k.json"}}, "Authorization: Bearer $TOKEN"),
    ],
)
def test_a_server_that_asks_who_asks_shows_where_the_key_goes(tmp_path: Path, settings: Any, word: str) -> None:
    """As a variable that the shell fills in: no key is known to the server."""
    line = curl_line(URL, served(tmp_path, [1]), credential=credential_of({"settings": settings}))

    assert f'-H "{word}"' in line
    assert credential_of({"settings": {"access.require_keys": {"value": "false"}}}) == ""


def test_without_an_example_there_is_a_line_all_the_same(tmp_path: Path) -> None:
    """It asks whether the server lives."""
    assert curl_line(URL, served(tmp_path, None)) == f"curl {URL}/ping"
