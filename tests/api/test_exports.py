"""What a server is told to export, out of its settings; and what is refused before anything starts."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from podium.api.endpoint import choose
from podium.api.exports import exports_of
from podium.errors import Misconfigured, MissingDependency
from podium.settings.exports import ExportSettings
from podium.settings.home import Home
from podium.settings.provenance import Said


def said(folder: Path, **values: Any) -> ExportSettings:
    chosen = choose([Said(f"telemetry.{key}", value, "test") for key, value in values.items()], environ={}, folder=folder)
    return exports_of(chosen, Home(folder / "home"))


def test_nothing_is_exported_and_no_key_made_until_somebody_asks(tmp_path: Path) -> None:
    assert (said(tmp_path).of_gateway, (tmp_path / "home").exists()) == (None, False)


def test_who_asks_for_payloads_gets_a_key_that_nobody_else_may_read_and_that_stays(tmp_path: Path) -> None:
    said(tmp_path, payload_log="jsonl", payload_sample=0.25)
    key = Home(tmp_path / "home").payload_key
    before = key.read_text()

    found = said(tmp_path, payload_log="jsonl", payload_sample=0.25)

    assert found.of_gateway is not None
    assert (found.of_gateway.payload_sample, key.stat().st_mode & 0o077, key.read_text()) == (0.25, 0, before)


def test_no_secret_of_an_address_reaches_a_gateway_which_is_told_on_its_command_line(tmp_path: Path) -> None:
    found = said(tmp_path, payload_url="https://user:hidden@events.example/?token=hidden")

    assert "hidden" not in repr(found.of_gateway)
    assert ExportSettings.from_json(found.to_json()) == found


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"payload_url": "events.example"}, "must begin with http"),
        ({"payload_url": "http://events.example", "payload_subject": "who"}, "no rows are kept"),
        ({"payload_log": "xml"}, "off, jsonl, parquet"),
        ({"payload_sample": 2}, "a number from 0 to 1"),
    ],
)
def test_what_cannot_work_is_said_before_anything_starts(tmp_path: Path, values: dict[str, Any], why: str) -> None:
    with pytest.raises(Misconfigured, match=why):
        said(tmp_path, **values)


def test_what_sends_traces_is_named_where_it_is_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("opentelemetry", "opentelemetry.proto"):
        monkeypatch.setitem(sys.modules, name, None)  # as if no package of that name were there

    with pytest.raises(MissingDependency, match=r"podium\[otel\]"):
        said(tmp_path, otlp_endpoint="http://localhost:4318")


@pytest.mark.parametrize("text", ["", "[]", json.dumps({"unknown": 1})])
def test_settings_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(Misconfigured, match="the exporter's settings cannot be read"):
        ExportSettings.from_json(text)
