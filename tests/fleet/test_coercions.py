"""What a signature converted of one request, said afterwards of what was kept: planned and raw bodies alike."""

import http.client
import json
from contextlib import closing
from typing import Any

import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression
from tinyhouse import House, Server, until

import podium.sklearn
from podium.api.registering import Registry
from podium.api.requests import show
from podium.domain.signature import Column, ColumnSchema, DataType, Signature
from podium.monitoring.payloads.files import files_of
from podium.settings.home import Home

pytestmark = pytest.mark.slow


def asked(server: Server, name: str, columns: list[str], row: list[Any]) -> int:
    body = json.dumps({"dataframe_split": {"columns": columns, "data": [row]}})
    with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=240)) as connection:
        connection.request("POST", "/invocations", body, {"Content-Type": "application/json", "X-Request-ID": name})
        return connection.getresponse().status


def test_what_the_signature_converted_is_said_of_planned_and_raw_requests(house: House) -> None:
    table = pd.DataFrame({"a": [0.5, 1.5, 2.5, 4.0], "n": [1, 2, 3, 5]})
    model = LinearRegression().fit(table, [1.0, 2.0, 3.0, 4.0])
    signature = Signature(ColumnSchema((Column(DataType.DOUBLE, "a"), Column(DataType.LONG, "n"))))
    podium.sklearn.save_model(model, house.folder / "model", signature=signature)
    Registry(house.home).register(house.folder / "model", "tiny")
    house.promote(1)
    with house.serving("--payload-log", "jsonl") as server:
        assert asked(server, "planned", ["a", "n"], [3, 7]) == 200
        assert asked(server, "raw", ["a", "n", "note"], ["0.25", 7, "x"]) == 200
        assert asked(server, "as-declared", ["a", "n"], [0.5, 7]) == 200
        assert asked(server, "refused", ["a"], [0.5]) == 400
        place = house.home / "payloads"
        until(lambda: sum(path.read_text().count("\n") for path in files_of(place)) == 4, "the rows")
        home = Home(house.home)
        found = {name: show(name, home) for name in ("planned", "raw", "as-declared", "refused")}
        told = house.command("requests", "show", "raw")
        assert server.stop() == 0

    assert found["planned"]["coercions"] == [{"column": "a", "sent": "long", "taken": "double", "values": 1}]
    assert found["raw"]["coercions"] == [
        {"column": "a", "sent": "string", "taken": "double", "values": 1},
        {"column": "note", "sent": "string", "taken": "left out", "values": 1},
    ]
    assert found["as-declared"]["coercions"] == []
    assert found["refused"]["coercions"] is None
    assert found["refused"]["coercions_unknown"] == "the request was refused before the model was asked"
    assert all("wanted" not in (each["serving"] or {}) for each in found.values())
    assert "a: string → double, note: string → left out" in told.stdout, told.stderr
