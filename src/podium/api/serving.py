"""`podium.serve`: a server for as long as a block, a test or a notebook needs it.

with podium.serve("models:/fraud/production") as server:
    server.predict(frame)

with podium.serve({"fraud": "models:/fraud/production", "churn": fitted}) as server:
    server.predict(frame, model="churn")

The server is processes of its own, whatever loop or threads run here; they end with the block, and with this process
however that ends.
"""

import contextlib
import inspect
import json
import os
import secrets
import select
import shutil
import signal
import site
import socket
import subprocess
import sys
import tempfile
import time
import warnings
import weakref
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Self
from urllib.parse import quote

from podium.access.keys import digest_of
from podium.api.endpoint import SETTINGS, choose
from podium.api.http_asking import NO_ANSWER, HttpAnswer, ask_http
from podium.api.packaging import save_model
from podium.client.values import answer_of, error_of, made_again, request_of
from podium.domain.nearest import did_you_mean
from podium.errors import Misconfigured, PodiumError, Unavailable
from podium.settings.provenance import MODEL_NAME, MODELS_NAMED, Chosen, Said
from podium.settings.source_tree import environ_for_children

__all__ = ["Server", "serve"]

_START_S = 90.0
_STOP_S = 10.0
_ANSWER_S = 10.0
_SHOWN = 2000


class Server:
    """A running server; `podium.serve` makes it. Use it in a `with` block, or call `stop`.

    Attributes:
        url: `http://host:port`.
        pid: Of the supervisor, which owns the other processes.
        models: The names of what it serves; `predict` asks the first one where none is named.
    """

    def __init__(self, process: "subprocess.Popen[bytes]", chosen: Chosen, status: Mapping[str, Any], key: str) -> None:
        self.url: str = status["url"]
        self._key = key
        self._certificate: str | None = chosen["access.tls_cert"]
        self.pid = process.pid
        self._owner = os.getpid()
        self._process = process
        default: str = status["default"]
        self.models: tuple[str, ...] = (default, *(name for name in status["endpoints"] if name != default))
        self._nan = {name: str(chosen.of_model(name)["serve.nan"]) for name in self.models}
        self._timeout_s = chosen["serve.timeout"] + chosen["limits.pending_timeout"] + _ANSWER_S
        # Runs at the interpreter's end too, and when nobody holds the server any more.
        limit_s = chosen["serve.drain_timeout"] + _STOP_S
        self._finalizer = weakref.finalize(self, _end, self._owner, process, limit_s)

    def predict(self, data: Any, params: Mapping[str, Any] | None = None, *, model: str | None = None) -> Any:
        """Ask the server for predictions. May be called from several threads, and from forked children.

        Args:
            data: A DataFrame or Series, one row each; an array with rows along axis 0; a dict of such arrays; a list, a
                dict or a scalar; or a dict that is a request of the protocol already. NaN and None are missing values.
            params: The model's params.
            model: Which one, where several are served; None is the server's default.

        Returns: What the model predicted: an array with rows along axis 0 for numbers (missing ones are NaN) and for
            text, a DataFrame for records if `data` is one, a dict of arrays for named outputs, else what JSON holds.

        Raises:
            NotFound: No model is served under this name.
            InvalidInput: The input does not fit; SchemaMismatch, MalformedBody and its other children say how.
            PredictFailed: The model's own code raised.
            Overloaded, Unavailable, DeadlineExceeded: No answer now; Unavailable also when the server has ended.
            PodiumError: Whatever else the server answered.
        """
        body = request_of(data, params)
        path = "/invocations" if model is None else f"/models/{quote(model, safe='')}/invocations"
        answer = self._ask("POST", path, body)
        if answer.status != 200:
            raise error_of(answer.status, answer.body, answer.headers)
        return answer_of(answer.body, data, self._nan[model or self.models[0]])

    def status(self) -> dict[str, Any]:
        """The status document: what serves, how it is, with which settings.

        Raises:
            Unavailable: The server has ended.
        """
        content: dict[str, Any] = json.loads(self._ask("GET", "/status").body)
        return content

    def stop(self) -> None:
        """Finish the requests in flight and end every process of the server; called again, it does nothing.

        Raises:
            Misconfigured: Called in a forked child; only the process that started a server stops it.
        """
        if os.getpid() != self._owner:
            raise Misconfigured(f"Process {self._owner} started this server; stop it there.")
        self._finalizer()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        # A forked child leaves the block too, by its own exit.
        if os.getpid() == self._owner:
            self.stop()

    def __repr__(self) -> str:
        return f"<podium.Server {self.url}{'' if self._finalizer.alive else ' (stopped)'}>"

    def _ask(self, method: str, path: str, body: bytes | None = None) -> HttpAnswer:
        headers, certificate = {"x-api-key": self._key}, self._certificate
        if body is not None:
            headers["content-type"] = "application/json"
        try:
            return ask_http(method, self.url + path, body, headers, timeout_s=self._timeout_s, certificate=certificate)
        except NO_ANSWER as error:
            has_ended = os.getpid() == self._owner and self._process.poll() is not None
            state = "has ended" if has_ended else f"does not answer ({type(error).__name__})"
            raise Unavailable(f"The server at {self.url} {state}.") from error


def serve(
    model: Any,
    *,
    port: int = 0,
    flavor: str | None = None,
    signature: Any = None,
    input_example: Any = None,
    code_paths: Sequence[str | Path] | None = None,
    **settings: Any,
) -> Server:
    """Start a server and wait until it serves. Works in scripts, tests and a notebook's running event loop.

    Args:
        model: `models:/NAME/STAGE` and whatever else `podium serve -m` takes; a folder; or a model itself, as for
            `podium.save_model`: a fitted scikit-learn estimator, an ONNX model, a PythonModel, a function, a .py file.
            A stage or alias is followed while the server runs. Or a mapping of names to any of these: several models in
            one server, each in processes of its own.
        port: 0 takes any free one.
        flavor: For a single model itself, as for `podium.save_model`.
        signature: Likewise.
        input_example: Likewise.
        code_paths: Likewise.
        settings: Any other setting of `podium serve` by its key, such as `workers=2` or `max_body="10MiB"`. They win
            over variables, and these over podium.toml; what that says of one model, under [models.NAME], wins over all.

    Returns: The server, for a `with` block; or call its `stop`.

    Raises:
        Misconfigured: A setting does not fit, or the port is taken.
        NotFound, InvalidModel, RegistryError: There is no such model.
        LoadFailed: It does not load here; says why. Of several models, one that does not is only warned of.
        InvalidInput, MissingDependency: The model itself cannot be saved.
        Unavailable: The server did not start.
    """
    keys = {setting.key: setting for setting in SETTINGS if setting.key != "model_uri"}
    for key in settings:
        if key not in keys:
            raise Misconfigured(f"podium.serve({key}=…): there is no such setting.{did_you_mean(key, keys)}")
    given = {**settings, "port": port}
    said = [Said(keys[key].path, value, f"podium.serve({key}=…)") for key, value in given.items() if value is not None]
    # What is wrong with the settings is said before a model is saved.
    choose(said)
    models = _named(model)
    for_one = (flavor, signature, input_example, code_paths)
    if None not in models and any(each is not None for each in for_one):
        raise Misconfigured("podium.serve: flavor, signature, input_example and code_paths are for a single model.")
    place = Path(tempfile.mkdtemp(prefix="podium-serve-"))
    try:
        uris, beneath = [], []
        for number, (name, each) in enumerate(models.items()):
            uri = str(each)
            if not _is_address(each):
                uri = str(place / f"model-{number}")
                _save(each, uri, flavor=flavor, signature=signature, input_example=input_example, code_paths=code_paths)
                beneath += [Said("serve.name", type(each).__name__, "podium.serve")] if name is None else []
            uris.append(uri if name is None else f"{name}={uri}")
        chosen = choose([*said, Said(MODELS_NAMED, uris, "podium.serve")], beneath)
        server = _start(chosen, place, is_own=not all(_is_address(each) for each in models.values()))
    except BaseException:
        shutil.rmtree(place, ignore_errors=True)
        raise
    return server


def _named(model: Any) -> dict[str | None, Any]:
    """The models by name; None is the name of one that was given without."""
    if not isinstance(model, Mapping):
        return {None: model}
    if not model:
        raise Misconfigured("podium.serve({}): no model is named.")
    for name in model:
        if not isinstance(name, str) or not MODEL_NAME.fullmatch(name):
            raise Misconfigured(
                f"podium.serve: a model cannot be called {name!r}; use letters, digits, '_', '-' and '.', at most 100."
            )
    return dict(model)


def _is_address(model: Any) -> bool:
    """Whether it says where a model is, and is none itself."""
    return isinstance(model, str | Path) and Path(model).suffix != ".py"


def _save(model: Any, path: str, **options: Any) -> None:
    with _pickled_whole(model):
        # Nobody asks this folder what it needs: it is served here and now, by this interpreter.
        save_model(model, path, pip_requirements=[], **options)


@contextlib.contextmanager
def _pickled_whole(model: Any) -> Iterator[None]:
    """Put the module of the user's own class or function into the pickle: a test's module cannot be imported elsewhere."""
    import cloudpickle

    owner = model if inspect.isroutine(model) else type(model)
    module = sys.modules.get(getattr(owner, "__module__", None) or "")
    path = getattr(module, "__file__", None)
    if module is None or path is None or module.__name__ == "__main__" or not _is_own(path):
        yield
        return
    cloudpickle.register_pickle_by_value(module)
    try:
        yield
    finally:
        cloudpickle.unregister_pickle_by_value(module)


def _is_own(path: str) -> bool:
    """Whether this is neither the interpreter's nor installed."""
    return not any(Path(path).is_relative_to(top) for top in (sys.prefix, sys.base_prefix, *site.getsitepackages()))


def _environ(paths: Sequence[str]) -> dict[str, str]:
    """What can be imported here can be imported there."""
    own = [os.path.abspath(path) for path in paths if _is_own(os.path.abspath(path))]
    given = os.environ.get("PYTHONPATH")
    return environ_for_children({**os.environ, "PYTHONPATH": os.pathsep.join([*own, *([given] if given else [])])})


def _start(chosen: Chosen, temporary: Path, *, is_own: bool) -> Server:
    ours, theirs = socket.socketpair()
    with ours, tempfile.TemporaryFile() as log:
        with theirs:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "podium.api.tethered", str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=_environ(sys.path if is_own else ()),
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
            )
        try:
            said = [(each.path, each.raw, each.source) for each in chosen.said()]
            # The key itself stays in this process: no file, no command line and no log ever has it.
            key = secrets.token_urlsafe(32)
            order = {"owner": os.getpid(), "said": said, "remove": str(temporary), "owner_digest": digest_of(key)}
            ours.sendall(json.dumps(order).encode() + b"\n")
            heard = _hear(ours, 2 * chosen["serve.load_timeout"] + _START_S)
            if heard is None:
                raise _silent(process, log)
            if "failed" in heard:
                raise made_again(heard["failed"], heard["message"], heard["facts"])
            for name, endpoint in heard["serving"]["endpoints"].items():
                if endpoint["state"] == "failed":
                    failure = endpoint["wanted_failure"] or {"message": endpoint["source"]["error"]}
                    warnings.warn(f"{name} is not served: {failure['message']}", RuntimeWarning, stacklevel=3)
            return Server(process, chosen, heard["serving"], key)
        except BaseException:
            _end(os.getpid(), process, _STOP_S)
            raise


def _hear(sock: socket.socket, limit_s: float) -> dict[str, Any] | None:
    """The one line that the server's process says of its start; None where it ended without, or says nothing."""
    deadline, received = time.monotonic() + limit_s, b""
    while not received.endswith(b"\n"):
        left_s = deadline - time.monotonic()
        if left_s <= 0 or not select.select([sock], [], [], left_s)[0]:
            return None
        chunk = sock.recv(1 << 16)
        if not chunk:
            return None
        received += chunk
    content: dict[str, Any] = json.loads(received)
    return content


def _silent(process: "subprocess.Popen[bytes]", log: IO[bytes]) -> PodiumError:
    try:
        state = f"ended with status {process.wait(1)}"
    except subprocess.TimeoutExpired:
        state = "did not come up in time"
    log.seek(0)
    text = log.read()[-_SHOWN:].decode("utf-8", "replace").strip()
    return Unavailable(f"The server's process {state}." + (f" It wrote:\n{text}" if text else ""))


def _end(owner: int, process: "subprocess.Popen[bytes]", limit_s: float) -> None:
    """Drain; then without waiting for requests; then by force, whereupon its children end by themselves."""
    if os.getpid() != owner:
        return
    for number, wait_s in _steps(limit_s):
        if process.poll() is not None:
            return
        process.send_signal(number)
        try:
            process.wait(wait_s)
        except subprocess.TimeoutExpired:
            continue
        except KeyboardInterrupt:
            # Whoever is waiting has no more patience, and still wants no process left.
            process.send_signal(signal.SIGTERM)
            process.wait(_STOP_S)
            raise


def _steps(limit_s: float) -> Iterator[tuple[int, float]]:
    yield signal.SIGTERM, limit_s
    yield signal.SIGTERM, _STOP_S
    yield signal.SIGKILL, _STOP_S
