"""The few calls of Google's JSON API that its library makes for podium, as that API's reference has them, over HTTP.

The emulator that there is keeps no generations and takes no odd names; this keeps objects in memory and takes any.
"""

import base64
import hashlib
import json
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

from object_stores import HOSTILE, QUICK

from podium.artifacts.remote.objects import Patience
from podium.settings.stores import ObjectStores


class GoogleStore:
    """One bucket, `models`. `status` is what every question is answered with, once it is set."""

    def __init__(self) -> None:
        self.objects: dict[str, tuple[int, bytes]] = {}
        self.status = 0
        self.pages = 0
        self._generation = 1000
        store = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                store.answer(self)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join(60)
        self._server.server_close()

    def put(self, key: str, content: bytes) -> None:
        self._generation += 1
        self.objects[key] = (self._generation, content)

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        parts = urlsplit(request.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        _, _, name = parts.path.partition("/b/")
        bucket, _, rest = name.partition("/o")
        if self.status:
            _send(request, self.status, b'{"error": {"message": "a text that nobody should repeat"}}')
        elif bucket != "models":
            _send(request, 404, b'{"error": {"code": 404, "message": "The specified bucket does not exist."}}')
        elif rest:
            self._send_content(request, unquote(rest[1:]), query)
        else:
            self._send_list(request, query)

    def _send_list(self, request: BaseHTTPRequestHandler, query: dict[str, str]) -> None:
        self.pages += 1
        first, most = int(query.get("pageToken", 0)), int(query.get("maxResults", 1000))
        keys = sorted(key for key in self.objects if key.startswith(query.get("prefix", "")))
        answer: dict[str, object] = {"kind": "storage#objects", "items": []}
        for key in keys[first : first + most]:
            generation, content = self.objects[key]
            md5 = base64.b64encode(hashlib.md5(content).digest()).decode()
            facts = {
                "name": key,
                "bucket": "models",
                "size": str(len(content)),
                "generation": str(generation),
                "md5Hash": md5,
            }
            answer["items"].append(facts)
        if first + most < len(keys):
            answer["nextPageToken"] = str(first + most)
        _send(request, 200, json.dumps(answer).encode())

    def _send_content(self, request: BaseHTTPRequestHandler, key: str, query: dict[str, str]) -> None:
        if key not in self.objects:
            return _send(request, 404, b"No such object")
        generation, content = self.objects[key]
        if query.get("ifGenerationMatch", str(generation)) != str(generation):
            return _send(request, 412, b"Precondition Failed")
        first, _, last = request.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")
        part = content[int(first) : int(last) + 1 if last else None]
        if not part:
            return _send(request, 416, b"")
        span = f"bytes {first}-{int(first) + len(part) - 1}/{len(content)}"
        return _send(request, 206, part, {"Content-Range": span, "X-Goog-Generation": str(generation)})


class GoogleShelf:
    """Folders in that bucket."""

    hostile = HOSTILE
    markers = ("", "data/")
    secrets = ()

    def __init__(self, store: GoogleStore) -> None:
        self._store = store

    def put(self, name: str, files: Mapping[str, bytes]) -> None:
        for path, content in files.items():
            self._store.put(f"{name}/{path}", content)

    def remove(self, name: str, path: str) -> None:
        del self._store.objects[f"{name}/{path}"]

    def open(self, name: str, patience: Patience = QUICK):
        from podium.artifacts.remote.gcs import GoogleFolder

        return GoogleFolder(f"gs://models/{name}", ObjectStores(), patience, page=7)


def _send(request: BaseHTTPRequestHandler, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
    request.send_response(status)
    for name, value in {"Content-Type": "application/json", **(headers or {}), "Content-Length": str(len(body))}.items():
        request.send_header(name, value)
    request.end_headers()
    request.wfile.write(body)
