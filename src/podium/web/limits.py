"""How much and how long a client may take."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on what one client can make the server hold or wait for. Sizes in bytes, times in seconds.

    Args:
        url_bytes: Longer request targets get 414.
        header_bytes: Names and values together, 32 more for each header; more gets 431.
        headers: More different names get 431.
        body_bytes: More gets 413, from Content-Length alone where there is one.
        buffered_bytes: All bodies that are being received, over all connections; more gets 503.
        connections: More are answered 503 and closed.
        idle_s: Between two requests.
        head_s: From a request's first byte to the end of its headers.
        body_s: From there to the end of its body, plus a second for each `bytes_per_s` received.
        send_s: Until a client has taken its answer, plus a second for each `bytes_per_s` of it.
        linger_s: After a connection's last answer what still comes is read and dropped, until nothing came for so long and
            the client has taken the answer, or `body_s` is over: closing at once would reset the connection and could take
            the answer with it.
    """

    url_bytes: int = 8 * 1024
    header_bytes: int = 64 * 1024
    headers: int = 128
    body_bytes: int = 100 * 1024 * 1024
    buffered_bytes: int = 1024 * 1024 * 1024
    connections: int = 20_000
    idle_s: float = 75.0
    head_s: float = 15.0
    body_s: float = 30.0
    send_s: float = 30.0
    bytes_per_s: int = 64 * 1024
    linger_s: float = 2.0
