"""TLS contexts out of files."""

import ssl
from pathlib import Path

import pytest
from authority import Authority

from podium.access.certificates import TlsFiles, context_of
from podium.domain.clients.access import names_of
from podium.errors import Misconfigured


@pytest.fixture(scope="module")
def authority(tmp_path_factory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls"))


def test_old_versions_weak_ciphers_and_resumption_are_off(authority):
    """At least 1.2, forward secrecy and authenticated encryption; nobody resumes what they once proved."""
    certificate, key = authority.pair("server")

    context = context_of(TlsFiles(str(certificate), str(key)))

    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert {cipher["aead"] for cipher in context.get_ciphers()} == {True}
    assert context.num_tickets == 0
    assert context.verify_mode is ssl.CERT_NONE


def test_a_client_has_to_show_a_certificate_or_may(authority):
    certificate, key = authority.pair("server")
    ca = str(authority.file)

    assert context_of(TlsFiles(str(certificate), str(key), ca)).verify_mode is ssl.CERT_REQUIRED
    assert context_of(TlsFiles(str(certificate), str(key), ca, True)).verify_mode is ssl.CERT_OPTIONAL


def test_a_key_of_another_certificate_is_said(authority):
    certificate, _ = authority.pair("one")
    _, key = authority.pair("two")

    with pytest.raises(Misconfigured, match="another certificate's"):
        context_of(TlsFiles(str(certificate), str(key)))


def test_an_encrypted_key_is_refused_without_asking_anybody(authority):
    certificate, key = authority.pair("encrypted", password=b"secret")

    with pytest.raises(Misconfigured, match="encrypted"):
        context_of(TlsFiles(str(certificate), str(key)))


@pytest.mark.parametrize("content", [b"", b"nothing"])
def test_a_file_of_something_else_is_said_by_its_name(authority, content: bytes):
    _, key = authority.pair("server")
    other = Path(authority.folder) / "other.pem"
    other.write_bytes(content)

    with pytest.raises(Misconfigured, match=r"other\.pem"):
        context_of(TlsFiles(str(other), str(key)))
    with pytest.raises(Misconfigured, match=r"absent\.pem.*No such file"):
        context_of(TlsFiles(str(authority.folder / "absent.pem"), str(key)))


def test_the_kind_of_a_name_belongs_to_it():
    """A common name that looks like an URI is none."""
    shown = {
        "subject": ((("organizationName", "a"),), (("commonName", "URI:spiffe://a/b"),)),
        "subjectAltName": (("DNS", "a.example"), ("URI", "spiffe://a/c"), ("email", "a@b")),
    }

    assert names_of(shown) == ("URI:spiffe://a/c", "DNS:a.example", "CN:URI:spiffe://a/b")
    assert names_of(None) == names_of({}) == ()
