"""HTTP as a client, on the standard library: bounded in time and size, and careful with secrets.

- Secrets (`Access`) go to the places that the user configured, each a scheme, host and port, and to no other; a redirect
  elsewhere goes without them, and from https to http it does not go at all.
- Who only *named* an address (a registry, a redirect) reaches no link-local one: that is where clouds hand out the
  machine's own credentials. Nothing is sent before the peer's address was looked at.
- A request has a deadline for its head, a longest pause for its body, and the body a bound.
"""

import base64
import contextlib
import http.client
import ipaddress
import json
import os.path
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

from podium._version import __version__
from podium.domain.masking import masked
from podium.errors import RegistryError
from podium.settings.mlflow import MlflowSettings

_MOST_REDIRECTS = 5
_MOST_JSON_BYTES = 32 << 20
_REDIRECTS = {301, 302, 303, 307, 308}
_CHUNK = 1 << 20
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
# AWS and Google over IPv6; Alibaba, Oracle and Azure over IPv4.
_METADATA = tuple(
    ipaddress.ip_network(each)
    for each in ("fd00:ec2::/32", "fd20:ce::/32", "100.100.100.200", "192.0.0.192", "168.63.129.16")
)


class Unreachable(RegistryError):
    """A server cannot be reached, or does not answer as it should, for now at least."""


@dataclass(frozen=True, slots=True)
class Access:
    """What is shown to which places. `trusted` are origins such as `https://mlflow:443`, `source` says all of it."""

    trusted: frozenset[str] = frozenset()
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    is_insecure: bool = False
    ca_path: str | None = None
    ca_setting: str = "MLFLOW_TRACKING_SERVER_CERT_PATH"
    source: str = "MLflow's variables"
    client_cert: str | None = None
    workspace: str | None = None

    @classmethod
    def of(cls, settings: MlflowSettings) -> "Access":
        """The access that MLflow's variables give to the places that MLflow's variables name."""
        places = [uri for uri in (settings.tracking_uri, settings.registry_uri) if uri and uri.startswith("http")]
        return cls(
            frozenset(origin_of(uri) for uri in places),
            settings.username,
            settings.password,
            settings.token,
            settings.is_insecure,
            settings.ca_path,
            client_cert=settings.client_cert,
            workspace=settings.workspace,
        )

    def headers(self, url: str) -> dict[str, str]:
        """What a request to this URL may carry."""
        user, at, _ = urlsplit(url).netloc.rpartition("@")
        if at:
            return {"Authorization": "Basic " + base64.b64encode(unquote(user).encode()).decode()}
        if origin_of(url) not in self.trusted:
            return {}
        headers = {"X-MLFLOW-WORKSPACE": self.workspace} if self.workspace else {}
        if self.username and self.password:
            secret = base64.b64encode(f"{self.username}:{self.password}".encode()).decode()
            return {**headers, "Authorization": f"Basic {secret}"}
        return {**headers, "Authorization": f"Bearer {self.token}"} if self.token else headers


def origin_of(url: str) -> str:
    """Scheme, host and port.

    Raises:
        Unreachable: It is no http(s) URL with a host.
    """
    try:
        parts = urlsplit(url)
        port = parts.port or {"http": 80, "https": 443}[parts.scheme]
    except (KeyError, ValueError):
        raise Unreachable(f"{masked(url)} is not an http or https URL.") from None
    if not parts.hostname or any(ord(character) <= 32 or ord(character) == 127 for character in parts.hostname):
        raise Unreachable(f"{masked(url)} names no host.")
    return f"{parts.scheme}://{parts.hostname.lower()}:{port}"


@dataclass(frozen=True, slots=True)
class _Terms:
    """What errors call an address, and the setting that names whom to trust."""

    shown: Callable[[str], str]
    ca_setting: str


class RemoteReply:
    """The head of an answer, and its body as it comes."""

    def __init__(self, response: http.client.HTTPResponse, url: str, terms: "_Terms") -> None:
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.getheaders()}
        self.url = url
        self._terms = terms
        self._response = response

    def chunks(self) -> Iterator[bytes]:
        """The body. Raises Unreachable when it ends early or pauses for too long."""
        with _as_unreachable(self.url, self._terms):
            while chunk := self._response.read1(_CHUNK):
                yield chunk
            if self._response.length:
                raise Unreachable(f"{self._terms.shown(self.url)} hung up in the middle of its answer.")

    def content(self, most_bytes: int = _MOST_JSON_BYTES) -> bytes:
        """The whole body, if it is not longer than that."""
        gathered = bytearray()
        for chunk in self.chunks():
            gathered += chunk
            if len(gathered) > most_bytes:
                raise Unreachable(f"{self._terms.shown(self.url)} answered with more than {most_bytes} bytes.")
        return bytes(gathered)


class Wire:
    """Sends requests, in each thread one at a time; `abort`, from any thread, ends those under way and all that follow.

    Args:
        access: Secrets, and for whom.
        timeout_s: For connecting, for the head of an answer and for each pause in its body.
        shown: What errors call an address; some are secret as a whole.
    """

    def __init__(self, access: Access, timeout_s: float, shown: Callable[[str], str] = masked) -> None:
        self.access = access
        self._shown = shown
        self._terms = _Terms(shown, access.ca_setting)
        self._timeout_s = timeout_s
        self._lock = threading.Lock()
        # By thread: what one of them does is not to end what another does.
        self._open: dict[int, socket.socket] = {}
        self._over = threading.Event()
        self.date: str | None = None
        """The `Date` header of the last answer to `ask`: the server's clock, in whole seconds."""

    def abort(self) -> None:
        """End what is under way; what is asked later fails."""
        with self._lock:
            self._over.set()
            for sock in self._open.values():
                _shut(sock)

    @contextlib.contextmanager
    def get(self, url: str, headers: Mapping[str, str] | None = None) -> Iterator[RemoteReply]:
        """GET, redirects followed. Any status; the body is for the block to read.

        Raises:
            Unreachable: No answer, or none that is HTTP.
        """
        for _ in range(_MOST_REDIRECTS + 1):
            with self._request("GET", url, None, headers or {}) as reply:
                target = reply.headers.get("location")
                if reply.status not in _REDIRECTS or target is None:
                    yield reply
                    return
            try:
                following = urljoin(url, target)
            except ValueError as error:
                raise Unreachable(f"{self._shown(url)} redirects to what is no URL.") from error
            if origin_of(following) != origin_of(url):
                # What the caller added for this server (a range is no secret) is not for another one.
                headers = {name: value for name, value in (headers or {}).items() if name.lower() in {"range", "accept"}}
            if origin_of(url).startswith("https:") and not origin_of(following).startswith("https:"):
                raise Unreachable(
                    f"{self._shown(url)} redirects to an address without TLS, {self._shown(following)}; refused."
                )
            url = following
        raise Unreachable(f"{self._shown(url)}: more than {_MOST_REDIRECTS} redirects.")

    def ask(self, method: str, url: str, body: Mapping[str, Any] | None = None) -> tuple[int, Any]:
        """Status and JSON of an answer; not JSON is None. Nothing is redirected: a question stays where it was asked."""
        content = None if body is None else json.dumps(body).encode()
        headers = {"Accept": "application/json", **({} if body is None else {"Content-Type": "application/json"})}
        with self._request(method, url, content, headers) as reply, self._in_time(url):
            answer = reply.content()
            self.date = reply.headers.get("date")
        try:
            return reply.status, json.loads(answer)
        except (ValueError, RecursionError):
            return reply.status, None

    def post(self, url: str, content: bytes, headers: Mapping[str, str]) -> tuple[int, dict[str, str]]:
        """Status and headers of the answer, whose body is nobody's; nothing is redirected."""
        with self._request("POST", url, content, headers) as reply:
            return reply.status, reply.headers

    @contextlib.contextmanager
    def _request(self, method: str, url: str, body: bytes | None, headers: Mapping[str, str]) -> Iterator[RemoteReply]:
        connection = self._connection(url)
        parts = urlsplit(url)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        own = {"User-Agent": f"podium/{__version__}", "Connection": "close", **self.access.headers(url), **headers}
        try:
            with self._in_time(url), _as_unreachable(url, self._terms):
                self._connect(connection, url)
                connection.request(method, target, body, own)
                response = connection.getresponse()
            # Since the server is to hang up, the socket is the response's now, and closed with it.
            with contextlib.closing(response):
                yield RemoteReply(response, url, self._terms)
                if self._over.is_set():
                    # An answer that announced no length seems to be whole when its socket is shut.
                    raise Unreachable(f"{self._shown(url)} was not read to its end: podium is stopping.")
        finally:
            with self._lock:
                self._open.pop(threading.get_ident(), None)
            connection.close()

    @contextlib.contextmanager
    def _in_time(self, url: str) -> Iterator[None]:
        """Shut what is open when the time is over; whatever that then looks like, it is told as what it is."""
        thread, late, over = threading.get_ident(), threading.Event(), threading.Event()

        def end() -> None:
            with self._lock:
                # A watch that wakes as its question ends is not to shut what is asked next.
                if not over.is_set():
                    late.set()
                    _shut(self._open.get(thread))

        watch = threading.Timer(self._timeout_s, end)
        watch.daemon = True
        watch.start()
        try:
            yield
        except Unreachable as error:
            if late.is_set():
                raise Unreachable(f"{self._shown(url)} does not answer in time.") from error
            raise
        finally:
            with self._lock:
                over.set()
            watch.cancel()
        if late.is_set():
            raise Unreachable(f"{self._shown(url)} does not answer in time.")

    def _connection(self, url: str) -> http.client.HTTPConnection:
        # Always with its port: without one http.client looks for it in the host, and an IPv6 address has colons.
        port = int(origin_of(url).rpartition(":")[2])
        parts = urlsplit(url)
        host = parts.hostname or ""
        if parts.scheme == "http":
            return http.client.HTTPConnection(host, port, timeout=self._timeout_s)
        return http.client.HTTPSConnection(host, port, timeout=self._timeout_s, context=self._tls(url))

    def _connect(self, connection: http.client.HTTPConnection, url: str) -> None:
        if self._over.is_set():
            raise Unreachable(f"{self._shown(url)} was not asked: podium is stopping.")
        plain = self._dial(connection, url)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sock = plain
        with self._lock:
            self._open[threading.get_ident()] = plain
            if self._over.is_set():
                _shut(plain)
        if isinstance(connection, http.client.HTTPSConnection):
            secure = self._tls(url).wrap_socket(plain, server_hostname=connection.host, do_handshake_on_connect=False)
            connection.sock = secure
            with self._lock:
                self._open[threading.get_ident()] = secure
                if self._over.is_set():
                    _shut(secure)
            secure.do_handshake()

    def _dial(self, connection: http.client.HTTPConnection, url: str) -> socket.socket:
        """Connect to one of the host's addresses, each of them looked at before; the name is not looked up again."""
        last: OSError = OSError("it has no address")
        for _, _, _, _, address in socket.getaddrinfo(connection.host, connection.port, type=socket.SOCK_STREAM):
            peer = ipaddress.ip_address(str(address[0]).partition("%")[0])
            if is_handing_out_credentials(peer) and origin_of(url) not in self.access.trusted:
                raise Unreachable(
                    f"{self._shown(url)} is at {peer}, a link-local address; podium fetches nothing from there."
                )
            try:
                return socket.create_connection((str(address[0]), connection.port), self._timeout_s)
            except OSError as error:
                last = error
        raise last

    def _tls(self, url: str) -> ssl.SSLContext:
        ca_path = self.access.ca_path
        try:
            if ca_path is None:
                context = ssl.create_default_context()
            elif os.path.isdir(ca_path):
                context = ssl.create_default_context(capath=ca_path)
            else:
                context = ssl.create_default_context(cafile=ca_path)
            if origin_of(url) in self.access.trusted:
                if self.access.client_cert:
                    context.load_cert_chain(self.access.client_cert)
                if self.access.is_insecure:
                    context.check_hostname = False
                    context.verify_mode = ssl.CERT_NONE
        except (OSError, ssl.SSLError) as error:
            raise Unreachable(
                f"{self._shown(url)}: the certificates of {self.access.source} cannot be used: {error}."
            ) from error
        return context


@contextlib.contextmanager
def _as_unreachable(url: str, terms: _Terms) -> Iterator[None]:
    try:
        yield
    except RegistryError:
        raise
    except ssl.SSLCertVerificationError as error:
        raise Unreachable(
            f"{terms.shown(url)} shows a certificate that is not trusted: {error.verify_message}. Trust its issuer with "
            f"{terms.ca_setting}."
        ) from error
    except TimeoutError as error:
        raise Unreachable(f"{terms.shown(url)} does not answer in time.") from error
    except OSError as error:
        raise Unreachable(f"{terms.shown(url)} cannot be reached: {error.strerror or type(error).__name__}.") from error
    except (http.client.HTTPException, ValueError) as error:
        raise Unreachable(f"{terms.shown(url)} does not answer in HTTP: {type(error).__name__}.") from error


def is_handing_out_credentials(peer: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """Whether a cloud's machines ask there who they are: link-local addresses and the few others, however written."""
    if isinstance(peer, ipaddress.IPv6Address):
        inner = peer.ipv4_mapped or peer.sixtofour
        if peer in _NAT64:
            inner = ipaddress.IPv4Address(int(peer) & 0xFFFFFFFF)
        if inner is not None:
            return is_handing_out_credentials(inner)
    return peer.is_link_local or any(peer in network for network in _METADATA)


def _shut(sock: socket.socket | None) -> None:
    if sock is None:
        return
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)
