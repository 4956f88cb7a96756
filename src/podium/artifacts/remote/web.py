"""Models on an ordinary web server: one archive, or a folder that says by itself what is in it.

HTTP has no listing. A page of links is made for people and looks different everywhere, so it is not read; a folder's files
are those that its `SHA256SUMS` names, as `sha256sum` writes it, and each is checked against it.
"""

import contextlib
import re
from collections.abc import Iterator
from urllib.parse import quote, urlsplit, urlunsplit

from podium.artifacts.remote.contract import RemoteFile
from podium.artifacts.remote.names import MOST_FILES, checked_list
from podium.artifacts.remote.wire import RemoteReply, Unreachable, Wire
from podium.domain.masking import masked
from podium.errors import InvalidModel, NotFound

SUMS = "SHA256SUMS"
_MOST_SUMS_BYTES = 8 << 20
_LINE = re.compile(r"([0-9A-Fa-f]{64}) [ *](.+)")
# As many digits as a size can have: Python refuses to read thousands of them.
_RANGE = re.compile(r"bytes (\d{1,18})-\d+/(\d{1,18}|\*)", re.ASCII)
_SIZE = re.compile(r"\d{1,18}", re.ASCII)
_GONE = {404, 410}


class WebArchive:
    """A `RemoteFolder` of one file, the archive at an address."""

    def __init__(self, url: str, wire: Wire) -> None:
        self.place = masked(url)
        self._url = url
        self._wire = wire

    def files(self) -> list[RemoteFile]:
        # One byte is asked for: an address that was signed for GET answers no HEAD.
        with self._wire.get(self._url, {"Range": "bytes=0-0"}) as reply:
            if reply.status in _GONE:
                return []
            if reply.status == 416:
                raise InvalidModel(f"{self.place} is empty.")
            _check_status(reply, {200, 206}, self.place)
            if reply.status == 206:
                span = _RANGE.fullmatch(reply.headers.get("content-range", ""))
                size = span[2] if span else ""
            else:
                size = reply.headers.get("content-length", "")
            return [RemoteFile("archive", int(size) if _SIZE.fullmatch(size) else None, _tag(reply))]

    @contextlib.contextmanager
    def read(self, file: RemoteFile, start: int = 0) -> Iterator[Iterator[bytes]]:
        headers = {"Range": f"bytes={start}-", "If-Range": file.tag} if start else {}
        with self._wire.get(self._url, headers) as reply:
            if reply.status in _GONE:
                raise NotFound(f"{self.place} is gone.", [self.place])
            _check_status(reply, {200, 206}, self.place)
            if _tag(reply) != file.tag:
                raise Unreachable(f"{self.place} was changed while it was fetched. Try again.")
            yield _from(reply, start, self.place)

    def abort(self) -> None:
        self._wire.abort()


class WebFolder:
    """A `RemoteFolder` at an address below which a `SHA256SUMS` names the files."""

    def __init__(self, url: str, wire: Wire) -> None:
        self.place = masked(url)
        self._url = url
        self._wire = wire

    def files(self) -> list[RemoteFile]:
        with self._wire.get(self._below(SUMS)) as reply:
            if reply.status in _GONE:
                raise NotFound(
                    f"{self.place} has no {SUMS}, so nobody can know its files; podium does not read a page of links. "
                    f"Put the model there as an archive (tar -C FOLDER -czf model.tar.gz .), or add the list: "
                    f"cd FOLDER && find . -type f ! -name {SUMS} -exec sha256sum {{}} + > {SUMS}",
                    [masked(self._below(SUMS))],
                )
            _check_status(reply, {200}, f"{self.place}: {SUMS}")
            text = reply.content(_MOST_SUMS_BYTES)
        return checked_list(self._lines(text), self.place)

    @contextlib.contextmanager
    def read(self, file: RemoteFile, start: int = 0) -> Iterator[Iterator[bytes]]:
        with self._wire.get(self._below(file.path), {"Range": f"bytes={start}-"} if start else {}) as reply:
            if reply.status in _GONE:
                raise NotFound(f"{self.place}: {file.path}, which {SUMS} names, is not there.", [self.place])
            _check_status(reply, {200, 206}, f"{self.place}: {file.path}")
            yield _from(reply, start, self.place)

    def abort(self) -> None:
        self._wire.abort()

    def _below(self, path: str) -> str:
        parts = urlsplit(self._url)
        return urlunsplit((parts.scheme, parts.netloc, f"{parts.path.rstrip('/')}/{quote(path)}", parts.query, ""))

    def _lines(self, text: bytes) -> Iterator[RemoteFile]:
        try:
            lines = text.decode().splitlines()
        except UnicodeDecodeError as error:
            raise InvalidModel(f"{self.place}: {SUMS} is not UTF-8.") from error
        if len(lines) > MOST_FILES:
            raise InvalidModel(f"{self.place} holds more than {MOST_FILES} files; a model has some dozens.")
        for number, line in enumerate(lines, 1):
            match = _LINE.fullmatch(line)
            if match is None:
                raise InvalidModel(f"{self.place}: line {number} of {SUMS} is not one that sha256sum writes.")
            digest = match[1].lower()
            yield RemoteFile(match[2].removeprefix("./"), None, sha256=digest)


def _check_status(reply: RemoteReply, right: set[int], what: str) -> None:
    if reply.status in {401, 403}:
        raise Unreachable(
            f"{what} is refused (HTTP {reply.status}). podium sends MLflow's credentials to MLflow's server only; "
            "for another, sign the address."
        )
    if reply.status not in right:
        raise Unreachable(f"{what} was answered with HTTP {reply.status}.")


def _tag(reply: RemoteReply) -> str:
    """What names these very bytes; a weak ETag names only what people would take for the same."""
    etag = reply.headers.get("etag", "")
    return etag if etag.startswith('"') else reply.headers.get("last-modified", "")


def _from(reply: RemoteReply, start: int, place: str) -> Iterator[bytes]:
    """The body from an offset on, whether or not the server took notice of the range."""
    skipped = 0
    if reply.status == 206:
        span = _RANGE.fullmatch(reply.headers.get("content-range", ""))
        if span is None or int(span[1]) != start:
            raise Unreachable(f"{place} answered with another range than it was asked for.")
        skipped = start
    for chunk in reply.chunks():
        left_out = min(len(chunk), start - skipped)
        skipped += left_out
        if left_out < len(chunk):
            yield chunk[left_out:]
