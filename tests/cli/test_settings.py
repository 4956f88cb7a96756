"""Settings as a person says them: by flags, beside variables and a file."""

import pytest
from tinyhouse import House

from podium.api.endpoint import SETTINGS
from podium.cli.serve import serve


@pytest.fixture
def house(tmp_path):
    return House(tmp_path)


def lines(done):
    assert done.returncode == 0, done.stderr
    return {line.split()[0]: line.split(maxsplit=2)[1:] for line in done.stdout.splitlines()[1:]}


def test_show_settings_says_what_each_is_and_who_said_so(house):
    """All of them; flags over variables over the file, and nothing is served."""
    (house.folder / "podium.toml").write_text('[serve]\nworkers = 2\nthreads = 2\nmode = "strict"\n')
    house.environment |= {"PODIUM_SERVE_WORKERS": "3", "PODIUM_SERVE_THREADS": "3"}

    shown = lines(house.command("serve", "--show-settings", "-w", "4", "--nan", "null", "--no-access-log"))

    assert shown.keys() == {setting.path for setting in SETTINGS}
    assert shown["serve.workers"] == ["4", "--workers"]
    assert shown["serve.threads"] == ["3", "PODIUM_SERVE_THREADS"]
    assert shown["serve.mode"] == ["strict", "podium.toml:4"]
    assert shown["serve.nan"] == ["null", "--nan"]
    assert shown["serve.access_log"] == ["false", "--no-access-log"]
    assert shown["limits.max_body"] == ["100MiB", "default"]
    assert not house.home.exists()


def test_each_setting_has_its_flag():
    """Made from the declaration: no second list."""
    flags = {flag for option in serve.params for flag in option.opts}

    assert {setting.flag for setting in SETTINGS} <= flags


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--max-body", "ten"], "--max-body: limits.max_body is 'ten'; expected a size of at least 1"),
        (["-p", "80000"], "--port: serve.port is '80000'; expected a whole number"),
        (["--mode", "loose"], "--mode: serve.mode is 'loose'; expected one of compat, strict."),
        (["--row-independent", "--batching", "off", "-m", "x"], "contradict each other; leave one of them out."),
        ([], "No model is named. Say which: podium serve -m models:/NAME/production"),
    ],
)
def test_what_does_not_fit_ends_the_command_with_2(house, flags, message):
    """And with the flag, what was expected and what was found."""
    done = house.command("serve", *flags)

    assert (done.returncode, message in done.stderr) == (2, True), done.stderr
