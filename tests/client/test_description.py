"""`/openapi.json` and `/docs` of a real server: the document is true, and the page is only text."""

import html.parser
import http.client
import json
import os
import subprocess
import sys
import urllib.parse

import jsonschema_rs
import pytest
from models_asked import served

from podium.domain.description.document import describe
from podium.serving.description.docs_page import page_of


def get(url, path, method="GET"):
    place = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(place.hostname, place.port, timeout=240)
    try:
        connection.request(method, path)
        response = connection.getresponse()
        return response.status, dict(response.getheaders()), response.read()
    finally:
        connection.close()


@pytest.fixture(scope="module")
def document(server):
    status, _, body = get(server.url, "/openapi.json")
    assert status == 200
    return json.loads(body)


def test_the_document_is_openapi_and_has_every_model_in_every_protocol(document):
    """With an example that fits its own schema; the default model at /invocations."""
    assert document["openapi"] == "3.1.0"
    for name in ("flowers", "echo", "slow", "doubled"):
        for path in (f"/models/{name}/invocations", f"/v2/models/{name}/infer", f"/v1/models/{name}:predict"):
            assert "post" in document["paths"][path]
        media = document["paths"][f"/models/{name}/invocations"]["post"]["requestBody"]["content"]["application/json"]
        assert jsonschema_rs.Draft202012Validator(media["schema"]).is_valid(media["example"])
    assert document["paths"]["/invocations"]["post"]["summary"] == "Predict with flowers, the default model"


def test_each_documented_page_answers_as_documented(server, document):
    """Status and type, GET and HEAD, for every path without a body; an unknown model is a 404."""
    for path, methods in document["paths"].items():
        for method in methods.keys() & {"get", "head"}:
            status, headers, body = get(server.url, path.replace("{name}", "echo"), method.upper())
            said = methods[method]["responses"][str(status)]["content"]
            assert headers["content-type"] in said, path
            assert (body == b"") is (method == "head"), path
            assert "{name}" not in path or get(server.url, path.replace("{name}", "no"))[0] == 404


class Page(html.parser.HTMLParser):
    """What a page consists of."""

    def __init__(self):
        super().__init__()
        self.tags, self.attributes, self.words = set(), set(), []

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data):
        self.words.append(data)


def test_the_page_is_one_file_without_scripts(server):
    """Its policy allows its own style and nothing else; it needs nothing from elsewhere."""
    status, headers, body = get(server.url, "/docs")
    page = Page()
    page.feed(body.decode())

    assert status == 200
    assert headers["content-security-policy"].startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in headers["content-security-policy"]
    assert not page.tags & {"script", "img", "link", "iframe", "form", "object"}
    assert page.attributes <= {"lang", "charset", "name", "content", "href", "id"}
    assert b"http://" not in body.replace(b"http://127.0.0.1", b"")
    assert "/models/echo/invocations" in page.words


def test_hostile_names_are_text():
    """Of models, columns, params, and in examples."""
    evil = "</style></pre><script>alert(1)</script>\"'><img src=x onerror=alert(1)>"
    columns = json.dumps([{"type": "double", "name": evil, "required": True}])
    params = json.dumps([{"name": evil, "type": "string", "default": evil, "shape": None}])
    facts = {
        "version": evil, "flavor": evil, "mode": "compat", "signature": {"inputs": columns, "params": params},
        "example": json.dumps({"dataframe_records": [{evil: 1.0}]}),
    }  # fmt: skip

    document = describe({evil: facts}, evil, "1")
    page = Page()
    page.feed(page_of(document))

    assert not page.tags & {"script", "img"}
    assert any(evil in word for word in page.words)
    assert all("<" not in path and '"' not in path for path in document["paths"])


@pytest.mark.parametrize(
    "facts",
    [
        {},
        {"version": None},
        {"version": "1", "signature": {"inputs": "no json"}},
        {"version": "1", "signature": {"inputs": "[]"}, "example": "{"},
        {"version": "1", "signature": {"inputs": json.dumps([{"type": "string"}])}, "is_from_type_hint": True},
    ],
)
def test_a_model_that_says_little_is_described_as_far_as_it_goes(facts):
    """The rest of the document does not suffer."""
    document = describe({"m": facts}, "m", "1")

    for path in ("/invocations", "/v2/models/m/infer", "/v1/models/m:predict"):
        schema = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]
        jsonschema_rs.Draft202012Validator(schema)


@pytest.mark.slow
def test_schemathesis_finds_nothing(tmp_path):
    """All checks of its own: statuses, types, schemas, what is taken and what is refused, methods.

    But for what unloads a model, after which there would be nothing to ask, and for other names of `/invocations`.
    """
    command = [os.path.join(os.path.dirname(sys.executable), "st"), "run", "--max-examples", "3", "--seed", "1", "-w", "1"]
    command += ["--exclude-path-regex", "/unload$|/invoke$|^/endpoints/", "--exclude-method", "DELETE"]

    with served(tmp_path, "flowers", "echo", "doubled", gateways=1) as server:
        done = subprocess.run(
            [*command, "--no-color", f"{server.url}/openapi.json"],
            capture_output=True, text=True, check=False, cwd=tmp_path,
        )  # fmt: skip

    assert done.returncode == 0, done.stdout[-6000:]


def test_a_model_that_refuses_missing_numbers_blames_the_request(server):
    """In the Open Inference Protocol as at /invocations: null is NaN, and whoever sent it can do something about it."""
    body = {"inputs": [{"name": "input", "shape": [1, 3], "datatype": "FP32", "data": [1.0, None, 2.0]}]}
    place = urllib.parse.urlsplit(server.url)
    connection = http.client.HTTPConnection(place.hostname, place.port, timeout=240)
    try:
        connection.request("POST", "/v2/models/doubled/infer", json.dumps(body), {"content-type": "application/json"})
        status = connection.getresponse().status
    finally:
        connection.close()

    assert status == 400
