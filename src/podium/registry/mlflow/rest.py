"""An MLflow server, asked over its REST API."""

import random
import time
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode

from podium.artifacts.remote.wire import Unreachable, Wire
from podium.domain.masking import masked
from podium.domain.rollouts.clocks import Reading
from podium.domain.stages import Stage
from podium.registry.clock import dated, ticks
from podium.registry.mlflow.contract import ListedModel, MlflowVersion, NotWritable

_API = "/api/2.0/mlflow/"
_TRANSIENT = {408, 429, 500, 502, 503, 504}
_MOST_NAMES = 500
_MOST_PAGES = 40
_SHOWN = 200
_ABSENT = "RESOURCE_DOES_NOT_EXIST"


class RefusedByServer(Unreachable):
    """The server understood the question and refuses to answer it."""


class RestStore:
    """A `Store` behind an MLflow server's address.

    Args:
        uri: The server's, `http://host:5000`, perhaps with a path.
        wire: Knows the credentials.
        retries: How often a question is asked again when the server fails; a poller asks again by itself.
        backoff_s, jitter_s: The pause before the n-th try again is `backoff_s * 2 ** n`, and up to `jitter_s` more.
    """

    def __init__(self, uri: str, wire: Wire, retries: int = 0, backoff_s: float = 0.5, jitter_s: float = 0.2) -> None:
        self.place = masked(uri)
        self._uri = uri.rstrip("/")
        self._wire = wire
        self._retries = retries
        self._backoff_s = backoff_s
        self._jitter_s = jitter_s

    def version(self, name: str, number: int) -> MlflowVersion | None:
        answer = self._ask("GET", "model-versions/get", {"name": name, "version": str(number)})
        return None if answer is None else self._version(answer.get("model_version"))

    def highest(self, name: str, stage: Stage | None) -> MlflowVersion | None:
        asked = {"name": name, **({} if stage is None else {"stages": [stage.value]})}
        answer = self._ask("POST", "registered-models/get-latest-versions", asked)
        versions = [self._version(each) for each in self._items(answer, "model_versions")]
        fitting = [version for version in versions if stage is None or version.stage is stage]
        return max(fitting, key=lambda version: version.number, default=None)

    def aliased(self, name: str, alias: str) -> MlflowVersion | None:
        answer = self._ask("GET", "registered-models/alias", {"name": name, "alias": alias}, f"alias {alias} not found")
        return None if answer is None else self._version(answer.get("model_version"))

    def location(self, version: MlflowVersion) -> str:
        asked = {"name": version.name, "version": str(version.number)}
        answer = self._ask("GET", "model-versions/get-download-uri", asked)
        uri = (answer or {}).get("artifact_uri")
        return uri if isinstance(uri, str) and uri else version.source

    def names(self) -> Sequence[str] | None:
        answer = self._ask("GET", "registered-models/search", {"max_results": str(_MOST_NAMES)})
        return [str(each.get("name")) for each in self._items(answer, "registered_models")]

    def listed(self) -> tuple[Sequence[ListedModel], Reading]:
        asked_at, models, token = ticks(), list[ListedModel](), ""
        for _ in range(_MOST_PAGES):
            asked = {"max_results": str(_MOST_NAMES), **({"page_token": token} if token else {})}
            answer = self._ask("GET", "registered-models/search", asked)
            if answer is None:
                raise self._odd("no list of models")
            models += [self._listed(each) for each in self._items(answer, "registered_models")]
            token = str(answer.get("next_page_token") or "")
            if not token:
                return models, dated(self._wire.date, asked_at, ticks())
        raise Unreachable(f"{self.place} lists more than {_MOST_PAGES * _MOST_NAMES} models; podium serves no more whole.")

    def versions(self, name: str) -> Sequence[MlflowVersion] | None:
        if self._model(name) is None:
            return None
        asked = {"filter": f"name = '{name}'" if "'" not in name else f'name = "{name}"', "max_results": "1000"}
        answer = self._ask("GET", "model-versions/search", asked)
        versions = [self._version(each) for each in self._items(answer, "model_versions")]
        return sorted(versions, key=lambda version: version.number)

    def aliases(self, name: str) -> dict[str, int]:
        return self._aliases(self._model(name) or {})

    def tags(self, name: str) -> tuple[dict[str, str] | None, Reading]:
        asked_at = ticks()
        model = self._model(name)
        reading = dated(self._wire.date, asked_at, ticks())
        if model is None:
            return None, reading
        return self._tags(model), reading

    def set_tag(self, name: str, key: str, value: str | None) -> None:
        try:
            if value is None:
                self._ask("DELETE", "registered-models/delete-tag", {"name": name, "key": key})
            else:
                self._ask("POST", "registered-models/set-tag", {"name": name, "key": key, "value": value})
        except RefusedByServer as error:
            raise NotWritable(self.place, error.message) from error

    def logged(self, model_id: str) -> str | None:
        answer = self._ask("GET", f"logged-models/{quote(model_id, safe='')}", {})
        return None if answer is None else self._logged_uri(answer.get("model"))

    def run(self, run_id: str) -> str | None:
        answer = self._ask("GET", "runs/get", {"run_id": run_id})
        return None if answer is None else self._text(self._map(self._map(answer.get("run")).get("info")), "artifact_uri")

    def logged_in(self, run_id: str, name: str) -> str | None:
        run = self._ask("GET", "runs/get", {"run_id": run_id})
        if run is None:
            return None
        outputs = self._map(self._map(run.get("run")).get("outputs"))
        found: list[tuple[int, str]] = []
        for output in self._items(outputs, "model_outputs"):
            answer = self._ask("GET", f"logged-models/{quote(str(output.get('model_id')), safe='')}", {})
            model = self._map((answer or {}).get("model"))
            info = self._map(model.get("info"))
            if info.get("name") == name:
                found.append((int(info.get("creation_timestamp_ms") or 0), self._logged_uri(model)))
        return max(found)[1] if found else None

    def abort(self) -> None:
        self._wire.abort()

    def _model(self, name: str) -> dict[str, Any] | None:
        answer = self._ask("GET", "registered-models/get", {"name": name})
        if answer is None:
            return None
        model = self._map(answer.get("registered_model"))
        self._text(model, "name")
        return model

    def _listed(self, model: Mapping[str, Any]) -> ListedModel:
        created = str(model.get("creation_timestamp", 0))
        return ListedModel(
            self._text(model, "name"),
            int(created) if created.isdecimal() and len(created) < 20 else 0,
            tuple(self._version(each) for each in self._items(model, "latest_versions")),
            self._aliases(model),
            self._tags(model),
        )

    def _aliases(self, model: Mapping[str, Any]) -> dict[str, int]:
        pairs = [(str(each.get("alias")), str(each.get("version"))) for each in self._items(model, "aliases")]
        return {alias: int(version) for alias, version in pairs if version.isdecimal()}

    def _tags(self, model: Mapping[str, Any]) -> dict[str, str]:
        return {str(tag.get("key")): str(tag.get("value", "")) for tag in self._items(model, "tags")}

    def _logged_uri(self, model: Any) -> str:
        return self._text(self._map(self._map(model).get("info")), "artifact_uri")

    def _version(self, answer: Any) -> MlflowVersion:
        entry = self._map(answer)
        number, created = str(entry.get("version", "")), str(entry.get("creation_timestamp", 0))
        if not number.isdecimal() or not created.isdecimal() or len(number + created) > 60:
            raise self._odd("a version without a number")
        stage = next((each for each in Stage if each.value == entry.get("current_stage")), None)
        return MlflowVersion(
            name=self._text(entry, "name"),
            number=int(number),
            stage=stage,
            created_ms=int(created),
            source=str(entry.get("source") or ""),
            run_id=str(entry.get("run_id") or "") or None,
        )

    def _ask(self, method: str, path: str, asked: Mapping[str, Any], absent: str | None = None) -> dict[str, Any] | None:
        """The answer's JSON; None when the server says that there is no such thing.

        `absent` is how it says so in a message, where MLflow calls it a bad argument.
        """
        url = self._uri + _API + path
        if method == "GET" and asked:
            url += "?" + urlencode(asked, quote_via=quote)
        for attempt in range(self._retries + 1):
            if attempt:
                time.sleep(self._backoff_s * 2 ** (attempt - 1) + random.uniform(0, self._jitter_s))
            try:
                status, answer = self._wire.ask(method, url, asked if method != "GET" else None)
            except RefusedByServer:
                raise
            except Unreachable:
                if attempt == self._retries:
                    raise
                continue
            if status not in _TRANSIENT or attempt == self._retries:
                return self._read(status, answer, absent)
        raise AssertionError("the last attempt returns or raises")

    def _read(self, status: int, answer: Any, absent: str | None) -> dict[str, Any] | None:
        if status == 200 and isinstance(answer, dict):
            return answer
        code = str(answer.get("error_code", "")) if isinstance(answer, dict) else ""
        message = " ".join(str(answer.get("message", "")).split())[:_SHOWN] if isinstance(answer, dict) else ""
        # A server that fails does not know what is absent, whatever it says.
        if status < 500 and (code == _ABSENT or (absent and absent in message)):
            return None
        if status in {401, 403}:
            raise RefusedByServer(
                f"{self.place} refuses this user (HTTP {status}). Set MLFLOW_TRACKING_USERNAME and "
                "MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN."
            )
        if not code:
            raise Unreachable(f"{self.place} does not answer as an MLflow server does (HTTP {status}).")
        raise Unreachable(f"{self.place} failed with HTTP {status}, {code}: {message}")

    def _items(self, answer: Mapping[str, Any] | None, key: str) -> list[Mapping[str, Any]]:
        """A repeated field, which is left out where it is empty."""
        items = (answer or {}).get(key, [])
        if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
            raise self._odd(key)
        return items

    def _map(self, value: Any) -> dict[str, Any]:
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise self._odd(type(value).__name__)
        return value

    def _text(self, entry: Mapping[str, Any], key: str) -> str:
        value = entry.get(key)
        if not isinstance(value, str) or not value:
            raise self._odd(f"no {key}")
        return value

    def _odd(self, what: str) -> Unreachable:
        return Unreachable(f"{self.place} answered with {what}, which is not what an MLflow server answers.")
