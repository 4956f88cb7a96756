"""Asking a server once."""

import contextlib
import socket
import threading

import pytest

from podium.api.http_asking import NO_ANSWER, ask_http

REFUSAL = b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nno!"


@pytest.mark.parametrize("answer", [REFUSAL, b""], ids=["a refusal", "nothing"])
def test_who_hangs_up_before_a_body_was_sent_is_heard_all_the_same(answer: bytes) -> None:
    """Whatever it said; where that is nothing, there is no answer."""

    def refuse() -> None:
        connection, _ = listener.accept()
        with connection:
            heard = b""
            while b"\r\n\r\n" not in heard:
                heard += connection.recv(100)
            connection.sendall(answer)

    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as listener:
        thread = threading.Thread(target=refuse)
        thread.start()
        try:
            url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
            if answer:
                assert ask_http("POST", url, bytes(64 << 20), timeout_s=60).status == 413
            else:
                with pytest.raises(NO_ANSWER):
                    ask_http("POST", url, bytes(64 << 20), timeout_s=60)
        finally:
            thread.join(60)
