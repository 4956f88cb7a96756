"""Settings: where a value comes from, which place wins, what is refused and how."""

import dataclasses

import pytest

from podium.api.endpoint import SETTINGS, choose, server_of
from podium.api.protection import OWNERS as PROTECTING
from podium.errors import Misconfigured
from podium.serving.settings import GatewaySettings
from podium.settings.declared import ValueKind, settings_of
from podium.settings.home import Home
from podium.settings.model import ModelSettings
from podium.settings.provenance import Said
from podium.settings.serve import EndpointSettings, ServeSettings


def written(folder, text, name="podium.toml"):
    (folder / name).write_text(text)
    return folder


def refused(folder, text="", environ=None, said=()):
    with pytest.raises(Misconfigured) as caught:
        choose(said, environ=environ or {}, folder=written(folder, text))
    return caught.value.message.replace(f"{folder}/", "")


def test_a_later_place_wins_and_each_value_knows_its_own(tmp_path):
    """Default, file with its line, variable, flag: in rising order."""
    folder = written(tmp_path, "[serve]\nport = 1\nworkers = 2\ntimeout = 3\n\n[limits]\nmax_body = 4\n")
    environ = {"PODIUM_SERVE_WORKERS": "5", "PODIUM_SERVE_TIMEOUT": "6", "PODIUM_HOME": "/anywhere"}

    chosen = choose([Said("serve.timeout", "7", "--timeout")], environ=environ, folder=folder)

    paths = ("serve.host", "serve.port", "serve.workers", "serve.timeout", "limits.max_body")
    assert [(chosen[path], chosen.source(path).replace(f"{folder}/", "")) for path in paths] == [
        ("127.0.0.1", "default"),
        (1, "podium.toml:2"),
        (5, "PODIUM_SERVE_WORKERS"),
        (7.0, "--timeout"),
        (4, "podium.toml:7"),
    ]


def test_podium_config_names_the_file(tmp_path):
    """It is read in place of the one in the current folder."""
    written(tmp_path, "[serve]\nport = 1\n")
    written(tmp_path, "[serve]\nport = 2\n", "other.toml")

    chosen = choose([], environ={"PODIUM_CONFIG": str(tmp_path / "other.toml")}, folder=tmp_path)

    assert (chosen["serve.port"], chosen.source("serve.port")) == (2, f"{tmp_path}/other.toml:2")


def test_a_file_that_is_named_and_not_there_is_refused(tmp_path):
    """A server that starts without its configuration is worse than one that does not."""
    with pytest.raises(Misconfigured, match=r"PODIUM_CONFIG=.*gone.toml: there is no such file"):
        choose([], environ={"PODIUM_CONFIG": str(tmp_path / "gone.toml")}, folder=tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[serve]\nprot = 1", "podium.toml:2: there is no setting serve.prot. Did you mean 'port'?"),
        ("[serve]\n\n'max-batch-rows' = 1", "podium.toml:3: there is no setting serve.max-batch-rows. Did you mean 'max_"),
        ("[serve]\nmax_body = 1", "podium.toml:2: there is no setting serve.max_body. It belongs under [limits]."),
        ("[limit]\nmax_body = 1", "podium.toml:1: there is no table [limit]. Did you mean 'limits'?"),
        ("port = 1", "podium.toml:1: port stands outside of a table. It belongs under [serve]."),
        ("serve.prot = 1", "podium.toml:1: there is no setting serve.prot. Did you mean 'port'?"),
        ("[serve]\nport = x\n", "podium.toml is not TOML: Invalid value (at line 2, column 8)."),
        ("[serve]\nport = '80x'", "podium.toml:2: serve.port is '80x'; expected a whole number of at least 0 and"),
        ("[serve]\nport = true", "podium.toml:2: serve.port is True; expected a whole number"),
        ("[serve]\nport = 65536", "podium.toml:2: serve.port is 65536; expected a whole number"),
        ("[serve]\nworkers = 0", "podium.toml:2: serve.workers is 0; expected a whole number of at least 1."),
        ("[serve]\ntimeout = '9 parsecs'", "podium.toml:2: serve.timeout is '9 parsecs'; expected seconds above 0"),
        ("[serve]\ntimeout = nan", "podium.toml:2: serve.timeout is nan; expected seconds above 0"),
        ("[serve]\ntimeout = 0", "podium.toml:2: serve.timeout is 0; expected seconds above 0"),
        ("[serve]\nmode = 'loose'", "podium.toml:2: serve.mode is 'loose'; expected one of compat, strict."),
        ("[serve]\naccess_log = 'maybe'", "podium.toml:2: serve.access_log is 'maybe'; expected true or false."),
        ("[serve]\nhost = 7", "podium.toml:2: serve.host is 7; expected text."),
        ("[limits]\nmax_body = '10 rows'", "podium.toml:2: limits.max_body is '10 rows'; expected a size of at least 1"),
    ],
)  # fmt: skip
def test_a_mistake_in_the_file_is_refused_with_its_line(tmp_path, text, message):
    """Fact, place, expected and got; the nearest name."""
    assert message in refused(tmp_path, text)


def test_a_mistake_is_refused_also_where_a_flag_overrides_it(tmp_path):
    """A file with a mistake in it is not half good."""
    assert "podium.toml:2: serve.port is 'x'" in refused(
        tmp_path, "[serve]\nport = 'x'", said=[Said("serve.port", 1, "--port")]
    )


def test_a_variable_that_is_no_setting_is_refused_with_the_nearest_name(tmp_path):
    """Without its value: it may be a secret that was put into the wrong place."""
    message = refused(tmp_path, environ={"PODIUM_SERVE_WORKER": "hunter2"})

    assert "PODIUM_SERVE_WORKER: there is no such setting. Did you mean 'PODIUM_SERVE_WORKERS'?" in message
    assert "hunter2" not in message


def test_what_kubernetes_sets_for_a_service_called_podium_serve_is_no_setting(tmp_path):
    """Each container of the namespace gets these, wanted or not."""
    environ = {
        "PODIUM_SERVE_SERVICE_HOST": "10.0.0.1",
        "PODIUM_SERVE_SERVICE_PORT_HTTP": "80",
        "PODIUM_SERVE_PORT": "tcp://10.0.0.1:80",
        "PODIUM_SERVE_PORT_80_TCP_ADDR": "10.0.0.1",
    }

    assert choose([], environ=environ, folder=tmp_path).source("serve.port") == "default"


@pytest.mark.parametrize(
    ("path", "raw", "value"),
    [
        ("serve.timeout", "500ms", 0.5),
        ("serve.timeout", "2m", 120.0),
        ("serve.timeout", 1, 1.0),
        ("limits.max_body", "10MiB", 10 << 20),
        ("limits.max_body", "1k", 1024),
        ("limits.max_body", "7", 7),
        ("limits.drain_linger", "0", 0.0),
        ("serve.access_log", "off", False),
        ("serve.inputs_base64", "True", True),
    ],
)
def test_units_are_understood(tmp_path, path, raw, value):
    """As people write them."""
    assert choose([Said(path, raw, "--x")], environ={}, folder=tmp_path)[path] == value


def test_what_is_chosen_reaches_the_server_and_its_gateways(tmp_path):
    """Every setting fills its field; the derived ones follow."""
    (tmp_path / "MLmodel").write_text("flavors: {}\n")
    said = [
        Said("serve.model_uri", str(tmp_path), "-m"),
        Said("serve.name", "shop", "--name"),
        Said("serve.workers", 3, "--workers"),
        Said("serve.row_independent", True, "--row-independent"),
        Said("serve.mode", "strict", "--mode"),
        Said("serve.timeout", 9, "--timeout"),
        Said("limits.max_headers", 11, "--max-headers"),
        Said("serve.access_log", False, "--no-access-log"),
    ]

    server = server_of(choose(said, environ={}, folder=tmp_path), Home(tmp_path / "home"))
    gateway = GatewaySettings.from_json(server.settings.gateway_settings)

    [endpoint] = server.endpoints
    assert (endpoint.name, endpoint.settings.replicas, endpoint.settings.merges) == ("shop", 3, "on")
    assert (endpoint.settings.dialect.mode, gateway.timeout_s, gateway.limits.headers) == ("strict", 9.0, 11)
    assert gateway.access_log is None
    assert server.shown["serve.workers"] == {"value": "3", "source": "--workers"}


def test_settings_that_contradict_each_other_are_refused(tmp_path):
    """And both places are named."""
    said = [
        Said("serve.model_uri", str(tmp_path), "-m"),
        Said("serve.row_independent", True, "--row-independent"),
        Said("serve.batching", "off", "PODIUM_SERVE_BATCHING"),
    ]

    with pytest.raises(Misconfigured, match=r"--row-independent, PODIUM_SERVE_BATCHING"):
        server_of(choose(said, environ={}, folder=tmp_path), Home(tmp_path / "home"))


def test_every_field_that_is_no_setting_is_known_to_be_none():
    """A field that is added is declared, or named here with its reason."""
    # Derived from others: what the gateways get; the gateway's copies of the server's settings; values with their own;
    # what `podium.serve` makes for whoever holds its server.
    derived = {"gateway_settings", "certificate", "timeout_s", "drain_limit_s", "busy_wait_us", "access_log"}
    derived |= {"environments", "exports", "access", "clients", "every_model", "key_file", "models", "owner_digest"}
    derived |= {"alerts", "config", "dashboard_terms"}
    for owner in (EndpointSettings, ServeSettings, ModelSettings, GatewaySettings, *PROTECTING):
        named = {setting.field for setting in settings_of(owner)} | derived

        assert {item.name for item in dataclasses.fields(owner)} - named == set()


def test_keys_and_short_flags_are_used_once():
    """A flag has no table before it."""
    keys = [setting.key for setting in SETTINGS]
    letters = [setting.letter for setting in SETTINGS if setting.letter]

    assert len(set(keys)) == len(keys)
    assert len(set(letters)) == len(letters)
    assert all(setting.choices for setting in SETTINGS if setting.kind is ValueKind.WORD)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"[serve]\ntimeout = {'9' * 400}\n", "podium.toml:2: serve.timeout is 999"),
        (
            "[serve]\ntimeout = 1e10\n",
            "podium.toml:2: serve.timeout is 10000000000.0; expected seconds above 0, up to 31 years",
        ),
        (f"[serve]\nport = {'9' * 5000}\n", "podium.toml is not TOML: Exceeds the limit"),
        (f"[serve]\nport = {'[' * 3000}{']' * 3000}\n", "podium.toml holds tables or lists that are nested too deep"),
        (
            '[limits]\nmax_body = "501MiB"\n',
            "limits.max_body is '501MiB'; expected a size of at least 1 and at most 500MiB",
        ),
        ('[limits]\nmax_header = "999999999999G"\n', "limits.max_header is '999999999999G'; expected a size"),
        ('[serve]\nhost = "a\\u0000b"\n', "serve.host is 'a\\x00b'; expected text"),
    ],
)
def test_what_no_server_could_do_is_refused_with_its_place(tmp_path, text, said):
    """Not with a traceback at start, nor at the first request."""
    assert said in refused(tmp_path, text)


def test_a_home_that_nobody_has_is_a_file_that_is_not_there(tmp_path):
    with pytest.raises(Misconfigured, match="there is no such file"):
        choose([], environ={"PODIUM_CONFIG": "~nobody-of-this-name/podium.toml"}, folder=tmp_path)


def test_of_an_address_that_is_protected_by_its_path_only_the_host_is_shown(tmp_path):
    """In the settings that a server lists, which whoever may read its status sees."""
    said = [
        Said("telemetry.payload_url", "https://user:hunter2@events.example:8443/T00/hunter2?x=hunter2", "--payload-url")
    ]

    shown = choose(said, environ={}, folder=tmp_path).shown()

    assert shown["telemetry.payload_url"]["value"] == "https://***@events.example:8443/***"
