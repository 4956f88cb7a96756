"""TLS: contexts made from files, and made again when the files change, without a lost connection.

A connection keeps what it began with; a new one gets the newest files. While new files do not fit together (a certificate
was replaced and its key not yet), the ones before stay in force: nothing about an older certificate is less secret.
"""

import logging
import os
import ssl
from dataclasses import dataclass
from typing import NoReturn

from podium.errors import Misconfigured

_LIST = b"-----BEGIN X509 CRL-----"
_log = logging.getLogger("podium.gateway")
# TLS 1.2 with forward secrecy and authenticated encryption only; 1.3 has nothing else.
_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
_VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """What a TLS server is made from.

    Args:
        certificate: A PEM file: the server's certificate, then those between it and the root.
        key: Its private key, PEM, not encrypted.
        client_ca: Certificates of those who may vouch for clients; None asks no client for one.
        is_client_optional: A client without a certificate is let in and unknown; one with a bad one is not.
        minimum: Oldest version that is spoken: 1.2 or 1.3.
    """

    certificate: str
    key: str
    client_ca: str | None = None
    is_client_optional: bool = False
    minimum: str = "1.2"

    @property
    def paths(self) -> tuple[str, ...]:
        return tuple(path for path in (self.certificate, self.key, self.client_ca) if path is not None)


def context_of(files: TlsFiles) -> ssl.SSLContext:
    """A server's context.

    Raises:
        Misconfigured: A file cannot be read, holds something else, or the key is another certificate's.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = _VERSIONS[files.minimum]
    context.set_ciphers(_CIPHERS)
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION | ssl.OP_NO_TICKET
    # Whoever resumed a session would not show the certificate again, and outlive the authority that vouched for it.
    context.num_tickets = 0
    try:
        context.load_cert_chain(files.certificate, files.key, password=_refuse_password)
    except OSError as error:
        raise Misconfigured(
            f"The TLS certificate {files.certificate} and its key {files.key} cannot be used: {_why(error)}"
        ) from error
    if files.client_ca is not None:
        try:
            context.load_verify_locations(cafile=files.client_ca)
        except OSError as error:
            raise Misconfigured(f"The authorities of {files.client_ca} cannot be used: {_why(error)}") from error
        if has_revocations(files.client_ca):
            context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
        context.verify_mode = ssl.CERT_OPTIONAL if files.is_client_optional else ssl.CERT_REQUIRED
    context.set_alpn_protocols(["http/1.1"])
    return context


def has_revocations(path: str) -> bool:
    """Whether a file of authorities has revocation lists, too: then each authority needs one that is not out of date."""
    try:
        with open(path, "rb") as file:
            return _LIST in file.read()
    except OSError:
        return True  # it was read a moment ago: better nobody is let in than somebody who was put out


def context_for(certificate: str) -> ssl.SSLContext:
    """A client's context that believes the very certificate of a file and no other, whatever name it is for."""
    context = ssl.create_default_context(cafile=certificate)
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.check_hostname = False
    return context


class Certificates:
    """A server's TLS, kept current.

    Args:
        files: What it is made from.

    Attributes:
        context: For `create_server`: each handshake takes the newest context.
        version: Another number after each change.
        authorities: Another number after each change of who vouches for clients, and of whom they vouch for no more.

    Raises:
        Misconfigured: As `context_of`.
    """

    def __init__(self, files: TlsFiles) -> None:
        self._files = files
        self._marks = marks_of(files)
        self._current = context_of(files)
        self.version = self.authorities = 0
        self._authorities_mark = self._marks[2:]
        self.context = context_of(files)
        # Called for each handshake, also where the client names no server.
        self.context.sni_callback = self._take_newest

    def sweep(self) -> None:
        """Look whether the files have changed. Call it several times a second."""
        marks = marks_of(self._files)
        if marks == self._marks:
            return
        self._marks = marks
        try:
            self._current = context_of(self._files)
        except Misconfigured as error:
            _log.error("the TLS files have changed and the ones before stay in force: %s", error.message)
            return
        # A handshake takes the newest authorities from the newest context, and from the first whether lists are asked for.
        self.context.verify_flags = self._current.verify_flags
        self.version += 1
        if marks[2:] != self._authorities_mark:
            self._authorities_mark = marks[2:]
            self.authorities += 1
        _log.info("the TLS files have changed; new connections get the new certificate")

    def _take_newest(self, connection: ssl.SSLObject, name: str | None, context: ssl.SSLContext) -> None:  # noqa: ARG002
        connection.context = self._current


def marks_of(files: TlsFiles) -> tuple[object, ...]:
    """What changes when a file does, or a link on its way: orchestrators swap a whole folder behind one."""
    found: list[object] = []
    for path in files.paths:
        try:
            stat = os.stat(path)
        except OSError as error:
            found.append(error.errno)
        else:
            found.append((stat.st_dev, stat.st_ino, stat.st_mtime_ns, stat.st_size))
    return tuple(found)


def _refuse_password() -> NoReturn:
    raise OSError("the key is encrypted, and nobody is there to type its password; decrypt it into a file of mode 0600")


def _why(error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        reason = {"KEY_VALUES_MISMATCH": "the key is another certificate's", "NO_START_LINE": "no PEM is in it"}
        return f"{reason.get(error.reason or '', error.reason or 'not valid PEM')}."
    return f"{error.strerror or error}."
