"""Advisory databases and package indexes: what they say, and that one which does not say it is never taken for clean."""

import json
import zipfile

import pytest
from advisory_server import REQUESTS, SISTER, advisory, index_routes, osv_routes
from hosts import hosting

from podium.environments import audit_advisories, audit_index
from podium.environments.audit_advisories import advisories_of, is_affected
from podium.environments.audit_index import configured_indexes, releases_of
from podium.errors import InvalidInput

HTML = b"""<!DOCTYPE html><html><body>
<a href="../../requests-2.19.0-py3-none-any.whl#sha256=0" data-yanked="leaks">requests-2.19.0</a>
<a href="/x/requests-2.31.0.tar.gz" data-requires-python="&gt;=3.7">requests-2.31.0.tar.gz</a>
<a href="/x/requests-9.0.0.tar.gz" data-requires-python="&gt;=3.99">requests-9.0.0.tar.gz</a>
<a href="/x/requests-10.0rc1.tar.gz">no final version</a><a href="/x/requests.exe">no package</a>
</body></html>"""


def ids(found):
    return {pair: [each.id for each in advisories] for pair, advisories in found.items()}


def test_an_osv_server_is_asked_for_every_version():
    """And for each advisory that it names; what it knows nothing of has an empty list."""
    known = {("requests", "2.19.0"): [REQUESTS, SISTER]}
    with hosting(osv_routes(known)) as host:
        found = advisories_of(host.url, {"requests": "2.19.0", "torch": "2.1.0+cpu"}, 60.0)

    assert ids(found) == {("requests", "2.19.0"): ["PYSEC-2018-28", "GHSA-x84v-xcm2-53pg"], ("torch", "2.1.0+cpu"): []}
    first, second = found["requests", "2.19.0"]
    assert (first.fixed, first.score, first.summary[:14], second.score) == ("2.20.0", None, "Requests sends", 7.5)


def test_pages_of_an_answer_are_followed():
    """A package with many advisories has them on several."""

    def batch(handler):
        (query,) = json.loads(handler.rfile.read(int(handler.headers["Content-Length"])))["queries"]
        page = {"vulns": [{"id": "B"}]} if query.get("page_token") else {"vulns": [{"id": "A"}], "next_page_token": "2"}
        return 200, {}, json.dumps({"results": [page]}).encode()

    routes = {"/v1/querybatch": batch, "/v1/vulns/A": json.dumps(advisory("A", "x", "2")).encode()}
    with hosting(routes) as host:
        found = advisories_of(host.url, {"x": "1"}, 60.0)

    # B's own entry is not there: that it exists is known all the same.
    assert ids(found) == {("x", "1"): ["A", "B"]}


@pytest.mark.parametrize(
    "answer",
    [
        (404, {}, b"{}"),
        (500, {}, b""),
        (200, {}, b"<html>log in</html>"),
        (200, {}, b"[]"),
        (200, {}, b"{}"),
        (200, {}, b'{"results": []}'),
        (200, {}, b'{"results": [{"vulns": [{}]}]}'),
        (200, {}, b'{"results": [{"vulns": [{"id": "../../x"}]}]}'),
        (200, {}, b'{"results": [{"next_page_token": "again"}]}'),
        (302, {"Location": "http://127.0.0.1:1/"}, b""),
    ],
)
def test_a_server_that_does_not_answer_for_each_package_is_no_clean_bill(answer):
    """Whatever it says instead."""
    with hosting({"/v1/querybatch": answer}) as host, pytest.raises(audit_advisories.NoAdvice):
        advisories_of(host.url, {"x": "1"}, 5.0)


def test_a_secret_in_an_address_is_not_told():
    with pytest.raises(audit_advisories.NoAdvice) as caught:
        advisories_of("http://user:hunter2@127.0.0.1:9", {"x": "1"}, 2.0)

    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("kind", ["folder", "zip"])
def test_a_database_is_read_from_a_folder_or_a_zip(tmp_path, kind):
    """As OSV has it for download: one JSON file for each advisory."""
    entries = [REQUESTS, SISTER, advisory("W", "requests", "9", withdrawn="2024-01-01T00:00:00Z")]
    for entry in entries:
        (tmp_path / f"{entry['id']}.json").write_text(json.dumps(entry))
    (tmp_path / "broken.json").write_text("{")
    source = tmp_path
    if kind == "zip":
        source = tmp_path / "all.zip"
        with zipfile.ZipFile(source, "w") as archive:
            for entry in entries:
                archive.writestr(f"{entry['id']}.json", json.dumps(entry))

    found = advisories_of(str(source), {"Requests": "2.19.0", "numpy": "1.0"}, 5.0)

    assert {each.id for each in found["Requests", "2.19.0"]} == {"PYSEC-2018-28", "GHSA-x84v-xcm2-53pg"}
    assert found["numpy", "1.0"] == []
    assert advisories_of(str(source), {"requests": "2.20.0"}, 5.0) == {("requests", "2.20.0"): []}


@pytest.mark.parametrize("content", [None, b"{}", b'{"affected": [{"package": {"ecosystem": "npm", "name": "x"}}]}'])
def test_a_database_without_an_advisory_of_python_packages_is_no_clean_bill(tmp_path, content):
    """An empty folder knows of no vulnerability either."""
    if content is not None:
        (tmp_path / "a.json").write_bytes(content)

    with pytest.raises(audit_advisories.NoAdvice):
        advisories_of(str(tmp_path), {"x": "1"}, 5.0)


def test_a_file_that_is_no_zip_or_not_there_is_an_error(tmp_path):
    (tmp_path / "all.zip").write_bytes(b"PK no")

    with pytest.raises(audit_advisories.NoAdvice):
        advisories_of(str(tmp_path / "all.zip"), {"x": "1"}, 5.0)
    with pytest.raises(InvalidInput):
        advisories_of(str(tmp_path / "none.zip"), {"x": "1"}, 5.0)


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("0.9", False),
        ("1.0", True),
        ("1.9.post1", True),
        ("2.0", False),
        ("2.5", False),
        ("3.0", True),
        ("3.1", True),
        ("3.2", False),
        ("7.0", True),
        ("no version", False),
    ],
)
def test_ranges_and_lists_of_versions_are_read_as_osv_says(version, expected):
    """The events of a range are a walk along the versions; what is listed is affected whatever ranges say."""
    events = [{"fixed": "2.0"}, {"introduced": "1.0"}, {"introduced": "3.0"}, {"last_affected": "3.1"}]
    affected = {"versions": ["7.0"], "ranges": [{"type": "ECOSYSTEM", "events": events}, {"type": "GIT", "events": [{}]}]}

    assert is_affected(affected, version) is expected


def test_an_index_says_what_was_yanked_and_what_is_newer():
    """As JSON; what it does not know is told as that."""
    projects = {"requests": {"2.19.0": "leaks", "2.31.0": False, "2.32.0": True}, "numpy": {"1.0": False}}
    with hosting(index_routes(projects)) as host:
        answers = releases_of([f"{host.url}/simple/"], {"requests": "2.19.0", "numpy": "1.0", "own": "1"}, "3.11.7", 60.0)

    requests, numpy = answers.releases
    assert (requests.is_yanked, requests.reason, requests.newest) == (True, "leaks", "2.31.0")
    assert (numpy.is_yanked, numpy.newest) == (False, None)
    assert answers.unknown == ("own",)


@pytest.mark.parametrize("kind", ["http", "file"])
def test_an_index_of_html_is_read_as_well(tmp_path, kind):
    """As many private ones are; what is not for this Python, or not final, is not newer."""
    (tmp_path / "requests").mkdir()
    (tmp_path / "requests" / "index.html").write_bytes(HTML)
    with hosting({"/simple/requests/": (200, {"Content-Type": "text/html"}, HTML)}) as host:
        index = f"{host.url}/simple" if kind == "http" else tmp_path.as_uri()
        (release,) = releases_of([index], {"requests": "2.19.0"}, "3.11.7", 60.0).releases

    assert (release.is_yanked, release.reason, release.newest) == (True, "leaks", "2.31.0")


@pytest.mark.parametrize("answer", [(500, {}, b""), (200, {}, b"{}"), (200, {}, b"no JSON"), (200, {}, b'{"files": [{}]}')])
def test_an_index_that_does_not_answer_is_no_clean_bill(answer):
    with hosting({"/simple/x/": answer}) as host, pytest.raises(audit_index.NoIndexAnswer):
        releases_of([f"{host.url}/simple"], {"x": "1"}, "3.11.7", 5.0)


def test_an_index_that_is_down_is_asked_once(tmp_path):
    with pytest.raises(audit_index.NoIndexAnswer) as caught:
        releases_of(["http://user:hunter2@127.0.0.1:9/simple"], {f"x{number}": "1" for number in range(50)}, "3.11.7", 2.0)

    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, [audit_index.PUBLIC]),
        ({"PIP_INDEX_URL": "https://a/simple"}, ["https://a/simple"]),
        ({"PIP_INDEX_URL": "https://a/simple", "UV_INDEX_URL": "https://b/simple"}, ["https://b/simple"]),
        ({"UV_DEFAULT_INDEX": "mine=https://c/simple"}, ["https://c/simple"]),
        ({"PIP_EXTRA_INDEX_URL": "https://a/s https://b/s"}, [audit_index.PUBLIC, "https://a/s", "https://b/s"]),
        ({"PIP_NO_INDEX": "1", "PIP_INDEX_URL": "https://a/simple"}, []),
        ({"UV_NO_INDEX": "false"}, [audit_index.PUBLIC]),
    ],
)
def test_the_index_is_the_one_that_pip_and_uv_are_told_of(variables, expected):
    assert configured_indexes({"PIP_CONFIG_FILE": "/dev/null", **variables}) == expected


def test_pips_file_names_the_index_where_no_variable_does(tmp_path):
    (tmp_path / "pip.conf").write_text("[global]\nindex-url = https://mine/simple\n")

    assert configured_indexes({"PIP_CONFIG_FILE": str(tmp_path / "pip.conf")}) == ["https://mine/simple"]


@pytest.mark.parametrize("index", ["http://[", "ftp://x/simple", "no address", "http://127.0.0.1:99999/simple"])
def test_an_address_that_is_none_is_no_clean_bill(index):
    with pytest.raises(audit_index.NoIndexAnswer):
        releases_of([index], {"x": "1"}, "3.11.7", 2.0)


def test_the_certificates_of_pips_file_are_trusted(tmp_path):
    (tmp_path / "pip.conf").write_text("[global]\ncert = /ca.pem\n")

    assert audit_index.configured_certificates({"PIP_CONFIG_FILE": str(tmp_path / "pip.conf")}) == "/ca.pem"
    assert audit_index.configured_certificates({"PIP_CERT": "/own.pem", "PIP_CONFIG_FILE": "/dev/null"}) == "/own.pem"
