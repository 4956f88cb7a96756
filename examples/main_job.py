"""The main job, end to end: train two versions, register, promote, serve, predict, swap under load, and leave it serving.

`python3 tasks.py demo` runs this in an environment of its own. By hand, where podium and scikit-learn are installed:

    PODIUM_HOME=~/.podium python examples/main_job.py
"""

import contextlib
import http.client
import json
import os
import shlex
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

HOME = Path(os.environ.get("PODIUM_HOME", ".podium")).expanduser().resolve()
NAME = "breast-cancer"
URI = f"models:/{NAME}/production"
PODIUM = shutil.which("podium", path=str(Path(sys.executable).parent)) or "podium"
_STARTED = time.monotonic()


def say(text: str) -> None:
    """One line of progress, with the seconds since the start."""
    print(f"[{time.monotonic() - _STARTED:5.1f} s] {text}", flush=True)


def podium(*arguments: str, check: bool = True) -> str:
    """Run a podium command as a person would, showing it and what it says; returns what it printed on stdout."""
    say(f"$ podium {shlex.join(arguments)}")
    talk = None if check else subprocess.DEVNULL
    done = subprocess.run([PODIUM, *arguments], stdout=subprocess.PIPE, stderr=talk, text=True, timeout=180, check=False)
    if check and done.returncode != 0:
        raise SystemExit(f"podium {shlex.join(arguments)} exited {done.returncode}\n{done.stdout}")
    return done.stdout.strip()


def train_and_register() -> tuple[int, int, dict[str, Any]]:
    """Log two models of scikit-learn's breast cancer data; returns their version numbers and a request."""
    say("importing scikit-learn and podium")
    from sklearn.datasets import load_breast_cancer
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import train_test_split
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC

    import podium.sklearn

    data, target = load_breast_cancer(return_X_y=True, as_frame=True)
    train, test, train_labels, test_labels = train_test_split(data, target, random_state=0)
    versions: list[int] = []
    for estimator in (LogisticRegression(), SVC()):
        say(f"training {type(estimator).__name__} on {len(train)} rows of the breast cancer data set")
        model = make_pipeline(StandardScaler(), estimator)
        model.fit(train, train_labels)
        say(f"accuracy on {len(test)} held-out rows: {model.score(test, test_labels):.3f}; logging and registering it")
        info = podium.sklearn.log_model(
            model,
            name=type(estimator).__name__,
            signature=podium.infer_signature(train, model.predict(train)),
            input_example=test.head(2),
            registered_model_name=NAME,
        )
        versions.append(info.registered_model_version)
    return versions[0], versions[1], {"dataframe_split": test.head(1).to_dict(orient="split", index=False)}


def serve() -> int:
    """Start a server that outlives this script, in place of one that an earlier run left; returns its port."""
    if '"pid"' in podium("status", "--json", check=False):
        podium("stop")
    port = 5000 if is_free(5000) else free_port()
    if port != 5000:
        say(f"port 5000 is taken; using {port}")
    command = ["serve", "-m", URI, "-p", str(port)]
    say(f"$ podium {shlex.join(command)} &")
    log = HOME / "main-job-server.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [PODIUM, *command], stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, start_new_session=True
        )
    deadline = time.monotonic() + 120
    shown = time.monotonic()
    while "Try it:" not in log.read_text() or not answers(port):
        if process.poll() is not None or time.monotonic() > deadline:
            raise SystemExit(f"the server did not start; it said:\n{log.read_text()}")
        if time.monotonic() - shown > 2:
            shown = time.monotonic()
            say("waiting for the model to load")
        time.sleep(0.05)
    print("".join(f"          | {line}\n" for line in log.read_text().splitlines()), end="", flush=True)
    return port


def is_free(port: int) -> bool:
    """Whether nobody listens there."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return True
    return False


def free_port() -> int:
    """Any port that is free."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answers(port: int) -> bool:
    """Whether a model is loaded and takes requests."""
    try:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        with contextlib.closing(connection):
            connection.request("GET", "/readyz")
            return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False


def predict(connection: http.client.HTTPConnection, request: dict[str, Any]) -> tuple[int, str, Any]:
    """Score over HTTP: status, the version that answered, and the predictions."""
    connection.request("POST", "/invocations", json.dumps(request), {"Content-Type": "application/json"})
    response = connection.getresponse()
    answer = json.loads(response.read())
    return response.status, response.headers.get("x-podium-version", "?"), answer.get("predictions", answer)


class Client(threading.Thread):
    """Keeps asking, one request after another, and counts what it gets."""

    def __init__(self, port: int, request: dict[str, Any]) -> None:
        super().__init__(daemon=True)
        self.seen: Counter[str] = Counter()
        self.failed = 0
        self.is_over = threading.Event()
        self._port, self._request = port, request

    def run(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        while not self.is_over.is_set():
            try:
                status, version, _ = predict(connection, self._request)
            except (OSError, http.client.HTTPException, ValueError):
                self.failed += 1
                connection.close()
                continue
            self.seen[version] += status == 200
            self.failed += status != 200


def swap(port: int, request: dict[str, Any], version: int) -> None:
    """Promote while a client keeps asking; every request must be answered."""
    client = Client(port, request)
    client.start()
    podium("models", "promote", NAME, str(version))
    podium("status", "--wait", "-p", str(port))
    before = client.seen[str(version)]
    deadline = time.monotonic() + 30
    while client.seen[str(version)] <= before + 10 and time.monotonic() < deadline:
        time.sleep(0.02)
    client.is_over.set()
    client.join(30)
    answered = ", ".join(f"{count} by version {label}" for label, count in client.seen.items())
    say(f"during the swap: {answered}; {client.failed} failed")
    if client.failed or not client.seen[str(version)]:
        raise SystemExit("the swap was not clean")


def show_what_next(port: int, request: dict[str, Any], first: int) -> None:
    """The commands that a reader may type now."""
    here = f"PODIUM_HOME={shlex.quote(str(HOME))} {shlex.quote(PODIUM)}"
    body = shlex.quote(json.dumps(request))
    print(f"""
It keeps serving {URI} at http://127.0.0.1:{port} . Next, type:

  curl http://127.0.0.1:{port}/invocations -H 'Content-Type: application/json' -d {body}

  {here} status -p {port}
  {here} models promote {NAME} {first}      # version {first} takes over, live
  {here} models rollback {NAME}       # and back
  {here} models history {NAME}
  {here} logs {NAME}
  curl http://127.0.0.1:{port}/metrics
  {here} stop -p {port}
""")


def main() -> None:
    """Do it all; a failure of any step ends with its reason and exit code 1."""
    os.environ["PODIUM_HOME"] = str(HOME)
    say(f"PODIUM_HOME is {HOME}")
    first, second, request = train_and_register()
    podium("models", "promote", NAME, str(first))
    port = serve()
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
        status, version, predictions = predict(connection, request)
        say(f"POST /invocations: {status}, predictions {predictions}, answered by version {version}")
        swap(port, request, second)
        status, version, predictions = predict(connection, request)
        show_what_next(port, request, first)
        print(f"Live prediction from {URI}: {predictions}, answered by version {version} (HTTP {status})")


if __name__ == "__main__":
    main()
