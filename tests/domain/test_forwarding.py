"""Whom a trusted proxy speaks for."""

import pytest

from podium.domain.clients.forwarding import FORWARDED, X_FORWARDED_FOR, client_of, is_within, parse_networks
from podium.errors import InvalidInput

TRUSTED = parse_networks(["10.0.0.0/8", "fd00::/8", "192.168.1.7"])
PEER = "10.0.0.1"


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (None, PEER),
        ("203.0.113.5", "203.0.113.5"),
        ("203.0.113.5, 10.0.0.2", "203.0.113.5"),
        ("1.2.3.4, 203.0.113.5", "203.0.113.5"),
        ("1.2.3.4, 203.0.113.5, 10.0.0.2, 192.168.1.7", "203.0.113.5"),
        ("10.0.0.3, 10.0.0.2", "10.0.0.3"),
        ("1.2.3.4, unknown", PEER),
        ("1.2.3.4, unknown, 10.0.0.2", "10.0.0.2"),
        ("1.2.3.4,", PEER),
        ("", PEER),
        ("203.0.113.5:4711", "203.0.113.5"),
        ("[2001:db8::5]:4711", "2001:db8::5"),
        ("2001:db8::5", "2001:db8::5"),
        ("203.0.113.5, fd00::1", "203.0.113.5"),
        ("::ffff:203.0.113.5", "203.0.113.5"),
        ("1.2.3.4, ::ffff:10.0.0.9", "1.2.3.4"),
        ("203.0.113.5\t", "203.0.113.5"),
        ("0x7f.1", PEER),
        ("127.1", PEER),
    ],
)
def test_the_last_address_that_is_no_trusted_proxys_asks(said, expected):
    """What stands before it was written by somebody who is not trusted."""
    headers = {} if said is None else {X_FORWARDED_FOR: said.encode()}

    assert client_of(headers, X_FORWARDED_FOR, PEER, TRUSTED) == expected


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("for=203.0.113.5", "203.0.113.5"),
        ('for="[2001:db8::5]:47";proto=https', "2001:db8::5"),
        ("For=1.2.3.4, proto=http;FOR=203.0.113.5;by=10.0.0.1, for=10.0.0.2", "203.0.113.5"),
        ("for=1.2.3.4, for=_hidden", PEER),
        ("for=1.2.3.4, by=10.0.0.1", PEER),
        ('for="1.2.3.4, for=203.0.113.5"', PEER),
    ],
)
def test_the_standards_own_header_is_read_the_same_way(said, expected):
    """RFC 7239; what cannot be read ends the chain at the nearest proxy."""
    assert client_of({FORWARDED: said.encode()}, FORWARDED, PEER, TRUSTED) == expected


def test_the_header_that_proxies_do_not_write_is_not_read():
    """It came from the client as it is."""
    headers = {FORWARDED: b"for=1.2.3.4", X_FORWARDED_FOR: b"203.0.113.5"}

    assert client_of(headers, X_FORWARDED_FOR, PEER, TRUSTED) == "203.0.113.5"
    assert client_of({FORWARDED: b"for=1.2.3.4"}, X_FORWARDED_FOR, PEER, TRUSTED) == PEER


@pytest.mark.parametrize(
    ("address", "expected"),
    [("10.1.2.3", True), ("::ffff:10.1.2.3", True), ("11.0.0.1", False), ("fd00::1", True), ("", False), ("a", False)],
)
def test_an_address_belongs_to_a_network_or_not(address, expected):
    assert is_within(address, TRUSTED) is expected


@pytest.mark.parametrize("text", ["", "10.0.0.0/33", "10.0.0.1/8", "localhost", "10.0.0.0-10.0.0.9"])
def test_what_is_no_network_is_refused(text):
    """Also one with bits beyond its mask: it may be meant otherwise."""
    with pytest.raises(InvalidInput, match="no network"):
        parse_networks([text])
