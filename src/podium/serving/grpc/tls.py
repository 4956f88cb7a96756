"""TLS for gRPC from the same files as HTTP's, read again when they change."""

import logging

import grpc

from podium.access.certificates import TlsFiles, context_of, has_revocations, marks_of
from podium.errors import Misconfigured

_log = logging.getLogger("podium.gateway")


def credentials_of(files: TlsFiles) -> grpc.ServerCredentials:
    """Credentials whose certificate is that of the files whenever a connection begins.

    gRPC's library knows no certificate that is optional: where a client may come without one, here none is asked for one.

    Raises:
        Misconfigured: A file cannot be used now.
    """
    newest = _Newest(files)
    is_mutual = files.client_ca is not None and not files.is_client_optional
    return grpc.dynamic_ssl_server_credentials(newest.configuration, newest.fetch, is_mutual)


class _Newest:
    """Looks at the files for each new connection; in a thread of gRPC's."""

    def __init__(self, files: TlsFiles) -> None:
        self._files = files
        self._marks = marks_of(files)
        self.configuration = _configuration(files)

    def fetch(self) -> grpc.ServerCertificateConfiguration:
        marks = marks_of(self._files)
        if marks != self._marks:
            self._marks = marks
            try:
                self.configuration = _configuration(self._files)
            except Misconfigured as error:
                _log.error("the TLS files have changed and gRPC keeps the ones before: %s", error.message)
        return self.configuration


def _configuration(files: TlsFiles) -> grpc.ServerCertificateConfiguration:
    context_of(files)  # says what is wrong with them, which gRPC does not
    read = {}
    for path in files.paths:
        try:
            with open(path, "rb") as file:
                read[path] = file.read()
        except OSError as error:
            raise Misconfigured(f"{path}: cannot be read: {error.strerror or error}.") from error
    authorities = None if files.client_ca is None else read[files.client_ca]
    if files.client_ca is not None and has_revocations(files.client_ca):
        raise Misconfigured(
            f"{files.client_ca} holds a revocation list, which gRPC's library does not read: serve without gRPC, or name "
            "in tls_identity who may come."
        )
    return grpc.ssl_server_certificate_configuration([(read[files.key], read[files.certificate])], authorities)
