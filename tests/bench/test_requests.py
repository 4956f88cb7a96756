"""Addresses and bodies."""

import pytest

from podium.bench.requests import Address, Payload, find_address, read_bodies
from podium.errors import Misconfigured


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://127.0.0.1:5000", Address("127.0.0.1", "127.0.0.1", 5000, "/invocations", False)),
        ("http://127.0.0.1/", Address("127.0.0.1", "127.0.0.1", 80, "/invocations", False)),
        ("https://127.0.0.1/x/y?z=1", Address("127.0.0.1", "127.0.0.1", 443, "/x/y?z=1", True)),
        ("http://[::1]:81/p", Address("::1", "::1", 81, "/p", False)),
    ],
)
def test_a_url_without_a_path_means_invocations(url, expected):
    """The port is the scheme's where none is given."""
    assert find_address(url, is_remote_allowed=False) == expected


def test_another_machine_is_asked_only_when_that_is_said():
    """192.0.2.1 is nobody's."""
    with pytest.raises(Misconfigured, match="--allow-remote"):
        find_address("http://192.0.2.1/", is_remote_allowed=False)
    assert find_address("http://192.0.2.1/", is_remote_allowed=True).ip == "192.0.2.1"


@pytest.mark.parametrize(
    "url", ["ftp://127.0.0.1", "http://", "http://me:secret@127.0.0.1/", "http://127.0.0.1:x", "http://127.0.0.1/a b\r\n"]
)
def test_what_is_no_url_of_ours_is_refused_without_repeating_a_secret(url):
    """A password does not belong on a command line, nor in a message."""
    with pytest.raises(Misconfigured) as raised:
        find_address(url, is_remote_allowed=True)
    assert "secret" not in str(raised.value)


def test_a_request_is_whole():
    """One head, one body, its length."""
    address = find_address("http://[::1]:81/p", is_remote_allowed=False)

    head, _, body = address.request(Payload("text/csv", b"a\n1\n")).partition(b"\r\n\r\n")

    assert head.split(b"\r\n")[:2] == [b"POST /p HTTP/1.1", b"Host: [::1]:81"]
    assert b"Content-Length: 4" in head
    assert body == b"a\n1\n"


@pytest.mark.parametrize(
    ("name", "text", "payloads"),
    [
        ("one.json", '{"inputs":\n [[1]]}', [b'{"inputs":\n [[1]]}']),
        ("lines.jsonl", '{"a": 1}\n\n{"a": 2}\n', [b'{"a": 1}', b'{"a": 2}']),
        ("rows.csv", 'a,b\n1,"x, y"\n2,z\n', [b'a,b\n1,"x, y"\n', b"a,b\n2,z\n"]),
    ],
)
def test_a_file_is_one_request_or_many(tmp_path, name, text, payloads):
    """JSON as it stands, JSON lines one by one, CSV row by row under its header."""
    path = tmp_path / name
    path.write_text(text)

    assert [body.payload for body in read_bodies(path)] == payloads


@pytest.mark.parametrize(("name", "text"), [("a.json", ""), ("a.csv", "a,b\n"), ("a.json", '{"a": 1}\n{"a": ')])
def test_a_file_without_a_request_is_refused(tmp_path, name, text):
    """And a broken line is named by its number."""
    path = tmp_path / name
    path.write_text(text)

    with pytest.raises(Misconfigured, match="line 2" if "{" in text else "holds no request"):
        read_bodies(path)


def test_a_file_that_is_not_there_is_asked_wrongly(tmp_path):
    """Its name is in the message."""
    with pytest.raises(Misconfigured, match=r"nowhere\.json"):
        read_bodies(tmp_path / "nowhere.json")


def test_a_key_goes_along_unless_it_would_be_more_than_a_header():
    """One line of the head; a line break in it would begin another."""
    address = find_address("http://127.0.0.1:1/invocations", is_remote_allowed=False)

    head, _, _ = address.request(Payload("text/csv", b"a\n1\n"), "pk.1").partition(b"\r\n\r\n")

    assert b"Authorization: Bearer pk.1" in head.split(b"\r\n")
    with pytest.raises(Misconfigured, match="PODIUM_API_KEY"):
        address.request(Payload("text/csv", b""), "a\r\nb: c")
