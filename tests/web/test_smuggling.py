"""What two readers could read in two ways: bytes, and the answers that they get, on a real connection.

Behind each row's bytes comes `NEXT`, which a row that keeps the connection gets answered and one that closes it does not.
The refusals are those of llhttp in its strict form, tightened where that leaves a choice (RFC 9112 §11.2).
"""

import socket

import pytest

LINE = b"POST /echo HTTP/1.1\r\n"
POST = LINE + b"Host: x\r\n"
GET = b"GET /echo HTTP/1.1\r\nHost: x\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
NEXT = b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nnext"
HIDDEN = b"GET /admin HTTP/1.1\r\nHost: x\r\n\r\n"


def cl(value: bytes, body: bytes = b"ab") -> bytes:
    return POST + b"Content-Length: " + value + b"\r\n\r\n" + body


def te(value: bytes, body: bytes = b"0\r\n\r\n") -> bytes:
    return POST + b"Transfer-Encoding: " + value + b"\r\n\r\n" + body


def line(start: bytes) -> bytes:
    return start + b"\r\nHost: x\r\n\r\n"


def header(text: bytes) -> bytes:
    return GET + text + b"\r\n\r\n"


KEPT = {
    "content length": (cl(b"2"), b"ab"),
    "content length with blanks round it": (cl(b" \t2 \t"), b"ab"),
    "content length with zeros before it": (cl(b"002"), b"ab"),
    "no body": (POST + b"\r\n", b""),
    "a request in the body": (cl(b"%d" % len(HIDDEN), HIDDEN), HIDDEN),
    "a request in a chunk": (CHUNKED + b"%x\r\n%s\r\n0\r\n\r\n" % (len(HIDDEN), HIDDEN), HIDDEN),
    "chunked, any case": (te(b"CHUNKED"), b""),
    "chunked with blanks": (te(b"\tchunked "), b""),
    "chunk size with zeros": (CHUNKED + b"0001\r\na\r\n000\r\n\r\n", b"a"),
    "chunk extension": (CHUNKED + b'1;a=b;c="d e"\r\na\r\n0;x\r\n\r\n', b"a"),
    "trailers": (CHUNKED + b"1\r\na\r\n0\r\nX: y\r\nHost: z\r\n\r\n", b"a"),
    "chunks of one byte": (CHUNKED + b"1\r\na\r\n" * 3000 + b"0\r\n\r\n", b"a" * 3000),
    "a header that only looks like it": (POST + b"Transfer_Encoding: chunked\r\nContent-Length: 2\r\n\r\nab", b"ab"),
    "absolute form": (line(b"GET http://other:80/echo HTTP/1.1"), b""),
    "latin-1 in a value": (header(b"X: \xff"), b""),
    "host of an address": (b"GET /echo HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", b""),
    "blank lines before": (b"\r\n\r\n" + GET + b"\r\n", b""),
}

REFUSED = {
    # CL: one number of decimal digits
    "plus": (cl(b"+2"), 400),
    "minus": (cl(b"-2"), 400),
    "hex": (cl(b"0x2"), 400),
    "blank inside": (cl(b"1 2"), 400),
    "empty": (cl(b""), 400),
    "fraction": (cl(b"2.0"), 400),
    "exponent": (cl(b"1e1"), 400),
    "underscore": (cl(b"1_0"), 400),
    "list of the same": (cl(b"2, 2"), 400),
    "list": (cl(b"2, 3"), 400),
    "list with nothing": (cl(b"2,"), 400),
    "overflow": (cl(b"18446744073709551618"), 400),
    "thousands of digits": (cl(b"9" * 5000), 400),
    "other digits": (cl("\uff12".encode()), 400),
    "vertical tab": (cl(b"\x0b2"), 400),
    "quoted": (cl(b'"2"'), 400),
    "two the same": (POST + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\nab", 400),
    "two that differ": (POST + b"Content-Length: 2\r\ncontent-length: 0\r\n\r\nab", 400),
    "over the limit": (cl(b"99999999999"), 413),
    # CL.TE, TE.CL
    "cl.te": (POST + b"Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nG", 400),
    "te.cl": (POST + b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n5c\r\n", 400),
    "cl.0 with te": (POST + b"Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    "cl.te hidden by case": (POST + b"content-length: 5\r\ntRANSFER-eNCODING: chunked\r\n\r\n0\r\n\r\n", 400),
    # TE.TE
    "unknown coding": (te(b"xchunked"), 400),
    "identity": (te(b"identity"), 400),
    "gzip": (te(b"gzip, chunked"), 400),
    "chunked not last": (te(b"chunked, identity"), 400),
    "chunked twice": (te(b"chunked, chunked"), 400),
    "parameter": (te(b"chunked;q=1"), 400),
    "quoted chunked": (te(b'"chunked"'), 400),
    "nothing before": (te(b", chunked"), 400),
    "nothing behind": (te(b"chunked,"), 400),
    "vertical tab before": (te(b"\x0bchunked"), 400),
    "nul": (te(b"chunke\0d"), 400),
    "empty te": (te(b""), 400),
    "te with an accent": (te(b"chunk\xc3\xa9d"), 400),
    "two te": (POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    "two te, second unknown": (POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n0\r\n\r\n", 400),
    "two te, first unknown": (POST + b"Transfer-Encoding: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    "folded te": (POST + b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n", 400),
    "te in http/1.0": (b"POST /echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    # names and values
    "blank before the colon": (header(b"X : y"), 400),
    "tab before the colon": (header(b"X\t: y"), 400),
    "te blank before the colon": (POST + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", 400),
    "cl blank before the colon": (POST + b"Content-Length : 2\r\n\r\nab", 400),
    "blank before the name": (header(b" X: y"), 400),
    "blank in the name": (header(b"X y: z"), 400),
    "folded": (header(b"X: y\r\n z"), 400),
    "first header folded": (b"GET /echo HTTP/1.1\r\n Host: x\r\n\r\n", 400),
    "no colon": (header(b"X"), 400),
    "no name": (header(b": y"), 400),
    "name of brackets": (header(b"X(y): z"), 400),
    "name with an accent": (header(b"X\xe9: z"), 400),
    "nul in a name": (header(b"X\0: y"), 400),
    "nul in a value": (header(b"X: \0"), 400),
    "control in a value": (header(b"X: \x01"), 400),
    "delete in a value": (header(b"X: \x7f"), 400),
    # ends of lines
    "bare lf": (b"GET /echo HTTP/1.1\nHost: x\n\n", 400),
    "bare lf after the line": (b"GET /echo HTTP/1.1\nHost: x\r\n\r\n", 400),
    "bare lf in the headers": (POST + b"X: y\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    "bare lf at the end": (GET + b"\n", 400),
    "bare cr": (b"GET /echo HTTP/1.1\rHost: x\r\r", 400),
    "bare cr in a value": (POST + b"X: y\rTransfer-Encoding: chunked\r\n\r\n", 400),
    "cr before a name": (POST + b"\rContent-Length: 2\r\n\r\nab", 400),
    "lf cr": (b"GET /echo HTTP/1.1\r\nHost: x\n\r\n\r", 400),
    # the line
    "method in lower case": (line(b"post /echo HTTP/1.1"), 400),
    "unknown method": (line(b"FOO /echo HTTP/1.1"), 400),
    "nul in the method": (line(b"GET\0 /echo HTTP/1.1"), 400),
    "tabs in the line": (line(b"GET\t/echo\tHTTP/1.1"), 400),
    "blank in the target": (line(b"GET /e cho HTTP/1.1"), 400),
    "tab in the target": (line(b"GET /e\tcho HTTP/1.1"), 400),
    "nul in the target": (line(b"GET /e\0cho HTTP/1.1"), 400),
    "high byte in the target": (line(b"GET /e\xff HTTP/1.1"), 400),
    "blank at the end": (line(b"GET /echo HTTP/1.1 "), 400),
    "no slash": (line(b"GET echo HTTP/1.1"), 400),
    "fragment": (line(b"GET /echo#x HTTP/1.1"), 400),
    "another scheme": (line(b"GET ftp://x/echo HTTP/1.1"), 400),
    "user in the target": (line(b"GET http://u:p@x/echo HTTP/1.1"), 400),
    "no authority": (line(b"GET http:///echo HTTP/1.1"), 400),
    "authority form": (line(b"GET x:80 HTTP/1.1"), 400),
    "asterisk": (line(b"GET * HTTP/1.1"), 400),
    "connect": (line(b"CONNECT x:80 HTTP/1.1"), 400),
    "http/0.9": (b"GET /echo\r\n\r\n", 400),
    "http/1.2": (line(b"GET /echo HTTP/1.2"), 400),
    "http/2.0": (line(b"GET /echo HTTP/2.0"), 400),
    "http/1.10": (line(b"GET /echo HTTP/1.10"), 400),
    "http in lower case": (line(b"GET /echo http/1.1"), 400),
    "http/2 by prior knowledge": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    "tls": (b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03", 400),
    # host
    "no host": (LINE + b"\r\n", 400),
    "two hosts": (LINE + b"Host: x\r\nHost: x\r\n\r\n", 400),
    "a list of hosts": (LINE + b"Host: x, y\r\n\r\n", 400),
    "a host with a path": (LINE + b"Host: x/y\r\n\r\n", 400),
    "a host with a user": (LINE + b"Host: u@x\r\n\r\n", 400),
    "a host with a blank": (LINE + b"Host: x y\r\n\r\n", 400),
    "two hosts in http/1.0": (b"GET /echo HTTP/1.0\r\nHost: x\r\nHost: y\r\n\r\n", 400),
    # chunks
    "chunk size with a blank": (CHUNKED + b"1 \r\na\r\n0\r\n\r\n", 400),
    "blank before it": (CHUNKED + b" 1\r\na\r\n0\r\n\r\n", 400),
    "chunk size with a sign": (CHUNKED + b"+1\r\na\r\n0\r\n\r\n", 400),
    "in hex notation": (CHUNKED + b"0x1\r\na\r\n0\r\n\r\n", 400),
    "negative chunk": (CHUNKED + b"-1\r\na\r\n0\r\n\r\n", 400),
    "no chunk size": (CHUNKED + b"\r\na\r\n0\r\n\r\n", 400),
    "chunk size overflows": (CHUNKED + b"10000000000000001\r\na\r\n0\r\n\r\n", 400),
    "chunk longer than said": (CHUNKED + b"1\r\nab\r\n0\r\n\r\n", 400),
    "no end of chunk": (CHUNKED + b"1\r\na0\r\n\r\n", 400),
    "lf behind the size": (CHUNKED + b"1\na\r\n0\r\n\r\n", 400),
    "lf behind the data": (CHUNKED + b"1\r\na\n0\r\n\r\n", 400),
    "lf at the last chunk": (CHUNKED + b"1\r\na\r\n0\n\n", 400),
    "lf in an extension": (CHUNKED + b"1;a\nb\r\na\r\n0\r\n\r\n", 400),
    "cr in an extension": (CHUNKED + b"1;a\rb\r\na\r\n0\r\n\r\n", 400),
    "nul in an extension": (CHUNKED + b"1;\0\r\na\r\n0\r\n\r\n", 400),
    "length in the trailers": (CHUNKED + b"0\r\nContent-Length: 5\r\n\r\n", 400),
    "encoding in the trailers": (CHUNKED + b"0\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
    "folded trailer": (CHUNKED + b"0\r\nX: y\r\n z\r\n\r\n", 400),
    "nul in a trailer": (CHUNKED + b"0\r\nX: \0\r\n\r\n", 400),
    "endless trailers": (CHUNKED + b"0\r\n" + b"X: yyyyyyyyyyyyyyyyyyyyyyyy\r\n" * 3000 + b"\r\n", 431),
    # expectations
    "another expectation": (POST + b"Expect: 200-ok\r\nContent-Length: 1\r\n\r\na", 417),
    "two expectations": (POST + b"Expect: 100-continue\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\na", 400),
}


@pytest.fixture(scope="module")
def everywhere(serve_module):
    """One server for all rows: none of them may leave a mark on it."""
    return serve_module(linger_s=60.0)


@pytest.mark.parametrize("name", KEPT)
def test_what_has_one_meaning_is_answered_and_so_is_what_follows(everywhere, read_answers, name):
    sent, body = KEPT[name]
    with everywhere.connect() as sock:
        sock.sendall(sent + NEXT)

        answers = read_answers(sock, 2)

    assert [(status, answered) for status, _, answered in answers] == [(200, body), (200, b"next")]


@pytest.mark.parametrize("name", REFUSED)
def test_what_could_have_two_is_refused_and_nothing_follows(everywhere, read_answers, name):
    """One answer, `Connection: close`, and the end: what comes behind is nobody's request."""
    sent, expected = REFUSED[name]
    before = len(everywhere.handler.seen)
    with everywhere.connect() as sock:
        sock.sendall(sent + NEXT + HIDDEN)

        [(status, headers, _)] = read_answers(sock)

        assert (status, headers["connection"]) == (expected, "close")
        sock.shutdown(socket.SHUT_WR)
        assert sock.recv(100) == b""
    assert len(everywhere.handler.seen) == before


@pytest.mark.parametrize("name", REFUSED)
def test_it_is_refused_behind_a_request_and_with_warm_memory_too(everywhere, read_answers, name):
    """Pipelined behind good requests whose heads are remembered: those are answered, it is not."""
    sent, expected = REFUSED[name]
    with everywhere.connect() as sock:
        for _ in range(3):
            sock.sendall(NEXT)
            read_answers(sock)
        sock.sendall(NEXT + sent + NEXT)

        answers = read_answers(sock, 2)

    assert [status for status, _, _ in answers] == [200, expected]


def test_extensions_without_end_are_refused(serve, read_answers):
    """They carry nothing, are kept nowhere, and would be read for ever."""
    # Whoever sends so much has to be read to the end, or the connection is reset under it.
    with serve(linger_s=60.0).connect() as sock:
        sock.sendall(CHUNKED + b"1;" + b"a" * 1_000_000)

        assert read_answers(sock)[0][0] == 400
