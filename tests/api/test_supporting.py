"""A support bundle has what helps, and none of the secrets that a home is full of."""

import json
import tarfile
from pathlib import Path

import pytest

from podium.api.supporting import write_bundle
from podium.domain.audits.diagnosis import Finding, Level
from podium.errors import InvalidInput
from podium.settings.home import Home

FINDING = Finding("memory", Level.WARNING, "little is left", "free some")
SECRET = "hunter2hunter2"


def bundle(folder: Path, monkeypatch: pytest.MonkeyPatch, *, has_logs: bool = True) -> dict[str, str]:
    """The files of a bundle of a home that is full of secrets."""
    home = Home(folder / "home").create()
    logs = home.logs / "iris"
    logs.mkdir()
    (logs / "worker-1.log").write_text("x" * 300_000 + f"{SECRET}\nloaded with token={SECRET}\nready\n")
    (logs / "access.log").write_text('{"client": "10.0.0.1"}\n')
    (logs / "stranger.log").symlink_to("/etc/passwd")
    (folder / "podium.toml").write_text(
        f'[alerts.slack]\nurl = "https://hooks.slack.com/services/{SECRET}"\nname = "mine"\n'
    )
    (home.payloads / "iris").mkdir(parents=True)
    (home.payloads / "iris" / "2026-03-01.jsonl").write_text(SECRET)
    home.payload_key.write_text(SECRET)
    monkeypatch.chdir(folder)
    environ = {"PODIUM_ALERTS_SLACK_URL": SECRET, "PODIUM_HOME": str(home.root), "OTHER": "nobody's business"}

    names = write_bundle(folder / "bundle.tar.gz", home, environ, has_logs=has_logs, doctor=lambda *_: [FINDING])

    found = contents(folder / "bundle.tar.gz")
    assert names == list(found)
    return found


def contents(bundle_file: Path) -> dict[str, str]:
    """The files of a bundle by name."""
    found = {}
    with tarfile.open(bundle_file) as files:
        for each in files.getmembers():
            content = files.extractfile(each)
            assert content is not None
            found[each.name.removeprefix("podium-support/")] = content.read().decode()
    return found


def test_it_has_what_helps_and_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = bundle(tmp_path, monkeypatch)

    assert set(found) == {"versions.json", "variables.json", "doctor.json", "podium.toml", "logs/iris/worker-1.log"}
    assert not any(SECRET in text or "10.0.0.1" in text or "nobody's" in text for text in found.values())
    assert json.loads(found["variables.json"]) == {"PODIUM_ALERTS_SLACK_URL": "***", "PODIUM_HOME": str(tmp_path / "home")}
    assert 'name = "mine"' in found["podium.toml"]
    assert found["logs/iris/worker-1.log"].splitlines()[1:] == ["loaded with token=***", "ready"]
    assert any(package.startswith("msgspec==") for package in json.loads(found["versions.json"])["packages"])
    assert [entry["fact"] for entry in json.loads(found["doctor.json"])] == ["little is left"]
    assert (tmp_path / "bundle.tar.gz").stat().st_mode & 0o077 == 0


def test_logs_are_left_out_where_somebody_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not any(name.startswith("logs/") for name in bundle(tmp_path, monkeypatch, has_logs=False))


def test_no_file_is_written_over(tmp_path: Path) -> None:
    (tmp_path / "there").write_text("mine")

    with pytest.raises(InvalidInput, match="is there already"):
        write_bundle(tmp_path / "there", Home(tmp_path / "home"), {})

    assert (tmp_path / "there").read_text() == "mine"


def test_no_secret_that_the_settings_name_is_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever form it has, and whoever wrote it where."""
    home = Home(tmp_path / "home").create()
    (tmp_path / "signs").write_text("signs-bodies\n")
    (tmp_path / "podium.toml").write_text(
        '[alerts.channels.a]\nkind = "webhook"\nurl = "https://in.example/v1/path-of-the-hook"\n'
        f'token_env = "A_TOKEN_OF_MINE"\nsecret_file = "{tmp_path}/signs"\n'
        '[alerts.channels.b]\nkind = "slack"\nurl_env = "MY_PAGER"\n'
    )
    environ = {
        "A_TOKEN_OF_MINE": "token-of-a-hook",
        "MY_PAGER": "https://pager.example/x/path-of-the-pager",
        "MLFLOW_TRACKING_PASSWORD": "knows-mlflow",
        "OTEL_EXPORTER_OTLP_HEADERS": "x-team=knows-otlp,x-other=knows%20more",
        "PODIUM_TELEMETRY_PAYLOAD_URL": "https://user:knows-payloads@events.example/a/path-of-payloads",
    }
    secrets = ["path-of-the", "token-of", "signs-bodies", "knows", "path-of-payloads"]
    said = "\n".join(
        f"{value} was sent" for value in [*environ.values(), "signs-bodies", "knows more", "knows-otlp", "fine"]
    )
    (home.logs / "iris").mkdir()
    (home.logs / "iris" / "worker-1.log").write_text(said)
    monkeypatch.chdir(tmp_path)

    write_bundle(tmp_path / "b.tar.gz", home, environ, doctor=lambda *_: [Finding("x", Level.WARNING, said, said)])

    texts = contents(tmp_path / "b.tar.gz")
    assert {(name, secret) for name, text in texts.items() for secret in secrets if secret in text} == set()
    assert "fine was sent" in texts["logs/iris/worker-1.log"]
    assert 'kind = "slack"' in texts["podium.toml"]
