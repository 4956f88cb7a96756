"""Changes from the page: nothing without permission, a form of this site, and things as they were when it was made."""

import html
import json
import re
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote, urlencode

import pytest
from alerted import write_alerts
from dashboard_home import HOSTILE, SCRIPT, endpoint, registered, running
from person import Person, fields_of
from receivers import receiving
from site_asking import ask

from podium import Registry
from podium.access.keys import KeyFile
from podium.api.alerting import Alerts
from podium.api.registering import actor
from podium.dashboard.app import site
from podium.dashboard.changing import CHANGES
from podium.dashboard.doors import Doorkeeper
from podium.dashboard.seals import FORM_S
from podium.dashboard.sources import DashboardSources
from podium.domain.stages import Stage
from podium.errors import ChangedMeanwhile
from podium.serving.guard.known import KeysKnown
from podium.settings.home import Home

NOW = 1_790_000_000.0


class Clock:
    now = NOW

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def home(tmp_path) -> Home:
    return Home(tmp_path / "home").create()


@pytest.fixture
def registry(home, tmp_path) -> Registry:
    """Version 3 is in Production."""
    return registered(home, tmp_path / "folder", "fraud")


@pytest.fixture
def app(home, clock):
    """Of this machine's own users."""
    return site(DashboardSources(home, clock), Doorkeeper(None, clock), allows_changes=True)


@pytest.fixture
def guarded(home, clock):
    """Where keys are asked for."""
    return site(DashboardSources(home, clock), Doorkeeper(KeysKnown(home.keys), clock), is_local=False, allows_changes=True)


def in_production(registry: Registry, name: str = "fraud") -> list[int]:
    return [each.version for each in registry.versions(name) if each.stage is Stage.PRODUCTION]


PROMOTE = "/registry/fraud/versions/2/promote"


def test_a_dashboard_that_was_not_told_so_changes_nothing(home, registry):
    """Its pages have no button, the addresses say why, and every form is refused."""
    shown = site(DashboardSources(home), Doorkeeper(None, lambda: NOW))
    for path in CHANGES:
        address = path.format(name="fraud", version=2, id="s1", follows="production", action="undo")
        assert ask(shown, address, "POST", b"token=x").status == 405
        assert (ask(shown, address).status, "--allow-changes" in ask(shown, address).text) == (403, True)
    assert "Promote" not in ask(shown, "/registry/fraud").text
    assert in_production(registry) == [3]


def test_a_promotion_is_told_in_words_confirmed_and_recorded(app, registry):
    """Looking changes nothing; the next page says what was done."""
    person = Person(app)
    assert PROMOTE in person.look("/registry/fraud").text
    page = person.look(PROMOTE).text
    for words in (
        "Version 2 of fraud goes from Archived to Production.",
        "Version 3 goes from Production to Archived.",
        actor(),
    ):
        assert words in html.unescape(page)
    assert in_production(registry) == [3]

    sent = person.send(PROMOTE, person.form(PROMOTE))

    assert sent.status == 303
    assert "Version 2 of fraud is in Production. Version 3 is archived." in person.look(sent.headers["location"]).text
    assert in_production(registry) == [2]
    assert registry.history("fraud")[-1].actor == actor()


def test_a_rollback_restores_what_its_page_named(app, registry):
    """The previous live version."""
    person, address = Person(app), "/registry/fraud/rollback"

    sent = person.send(address, person.form(address))

    assert sent.status == 303
    assert in_production(registry) == [2]
    assert registry.history("fraud")[-1].action.value == "rollback"


@pytest.mark.parametrize("address", [PROMOTE, "/registry/fraud/rollback"])
def test_what_somebody_else_moved_meanwhile_is_not_moved_back(app, registry, address):
    """It is refused with what is now, and may be confirmed anew."""
    person = Person(app)
    form = person.form(address)
    registry.promote("fraud", 1)

    refused = person.send(address, form)

    assert refused.status == 409
    assert "Production holds version 1, and held version 3 when this was decided" in refused.text
    assert in_production(registry) == [1]
    assert person.send(address, fields_of(refused.text)).status == 303
    assert in_production(registry) != [1]


def test_a_form_that_is_sent_twice_is_done_once(app, registry):
    """Two clicks lead to the same page."""
    person = Person(app)
    form = person.form(PROMOTE)
    with ThreadPoolExecutor(2) as clicks:
        answered = list(clicks.map(lambda _: person.send(PROMOTE, form), range(2)))

    assert 303 in {each.status for each in answered} <= {303, 409}
    assert person.send(PROMOTE, form).headers["location"] == next(
        each.headers["location"] for each in answered if each.status == 303
    )
    assert [each.action.value for each in registry.history("fraud")].count("transition") == 4


def test_a_form_that_was_not_made_here_for_this_browser_and_page_is_refused(app, registry, clock):
    """Neither without its token, nor with another's, of another page, too old, or sent by another site's page."""
    person, other = Person(app), Person(app)
    form, stolen = person.form(PROMOTE), other.form(PROMOTE)
    elsewhere = person.form("/registry/fraud/versions/1/promote")
    [name] = [each for each in person.look(PROMOTE).cookies if each.startswith("podium_forms=")]
    assert all(word in name.lower() for word in ("httponly", "samesite=strict", "path=/"))

    untold = {key: value for key, value in form.items() if key != "token"}
    for wrong in (
        untold,
        {**untold, "token": ""},
        {**untold, "token": "é.1.2"},
        {**untold, "token": "9" * 150},
        stolen,
        elsewhere,
    ):
        assert person.send(PROMOTE, wrong).status == 403
    for told in ({"origin": "https://evil.example"}, {"sec_fetch_site": "cross-site"}, {"sec_fetch_site": "same-site"}):
        assert person.send(PROMOTE, form, **told).status == 403
    assert ask(app, PROMOTE, "POST", urlencode(form).encode()).status == 403
    clock.now += FORM_S
    assert person.send(PROMOTE, form).status == 403

    assert in_production(registry) == [3]
    assert person.send(PROMOTE, person.form(PROMOTE), sec_fetch_site="same-origin").status == 303


@pytest.mark.parametrize("body", [b"", b"\xff" * 100, b"x=" + b"x" * 100_000, b"&".join([b"a=b"] * 50)])
def test_a_form_that_is_none_is_refused(app, registry, body):
    """Whatever its bytes are."""
    assert Person(app).look(PROMOTE, "POST", body).status in {400, 403}
    assert in_production(registry) == [3]


def test_whoever_may_only_read_sees_no_button_and_changes_nothing(guarded, home, registry):
    """Changing needs the scope that loading needs, by a key in a header as by a session."""
    _, reader = KeyFile(home.keys).create(["read"], NOW)
    person = Person(guarded)
    person.look("/sign-in", "POST", f"key={reader}".encode())

    assert "Promote" not in person.look("/registry/fraud").text
    assert person.look(PROMOTE).status == 403
    assert person.send(PROMOTE, {"token": "x", "expected": "3"}).status == 403
    assert Person(guarded, x_api_key=reader).look(PROMOTE).status == 403
    assert Person(guarded).send(PROMOTE, {"token": "x", "expected": "3"}).status == 303
    assert in_production(registry) == [3]


def test_a_change_by_a_key_is_recorded_by_its_name_and_ends_with_it(guarded, home, registry):
    """A form belongs to the session that it was made in: it is worth nothing in the next, nor after the key was revoked."""
    keys = KeyFile(home.keys)
    key, secret = keys.create(["admin"], NOW)
    person = Person(guarded)
    person.look("/sign-in", "POST", f"key={secret}".encode())
    before = person.form(PROMOTE)
    person.look("/sign-in", "POST", f"key={secret}".encode())
    assert person.send(PROMOTE, before).status == 403

    assert person.send(PROMOTE, person.form(PROMOTE)).status == 303
    assert registry.history("fraud")[-1].actor == f"key:{key.id} via {actor()}"

    form = person.form("/registry/fraud/rollback")
    keys.revoke(key.id, NOW)
    assert person.send("/registry/fraud/rollback", form).headers["location"].startswith("/sign-in")
    assert in_production(registry) == [2]


def test_hostile_names_are_text_and_the_change_is_theirs(app, home, tmp_path):
    """A model of any name can be promoted; nothing of it becomes markup."""
    registry = registered(home, tmp_path / "folder", HOSTILE)
    folder = running(home, endpoint(HOSTILE, f"models:/{HOSTILE}/production", pin={"version": SCRIPT}))
    person, address = Person(app), f"/registry/{quote(HOSTILE, safe='')}/versions/1/promote"
    try:
        page = person.look(address).text
        assert "<img" not in page
        assert "<script>" not in page
        assert "is held at version" in page
        sent = person.send(address, fields_of(page))
        assert sent.status == 303
        assert "<img" not in person.look(sent.headers["location"]).text
    finally:
        folder.remove()

    assert in_production(registry, HOSTILE) == [1]


def test_there_is_no_form_where_there_is_nothing_to_change(app, registry):
    """What is live already, versions that there are not, and a model that never was live."""
    person = Person(app)
    assert '<form method="post" action="/registry' not in person.look("/registry/fraud/versions/3/promote").text
    for wrong in ("9", "x", "1" * 30):
        assert person.look(f"/registry/fraud/versions/{wrong}/promote").status == 404
    registry.create("new")
    assert person.look("/registry/new/rollback").status == 404


def test_a_first_promotion_expects_that_nothing_is_live(app, home, registry, tmp_path):
    """An expectation of nobody is one, too."""
    registry.register(tmp_path / "folder", "fresh")
    registry.register(tmp_path / "folder", "fresh")
    person, address = Person(app), "/registry/fresh/versions/1/promote"
    form = person.form(address)
    registry.promote("fresh", 2)

    assert person.send(address, form).status == 409
    assert in_production(registry, "fresh") == [2]
    with pytest.raises(ChangedMeanwhile, match="held no version"):
        Registry(home).promote("fresh", 1, expected=[])
    assert Registry(home).promote("fresh", 2, expected=[]).is_change is False


def test_an_alert_is_silenced_and_the_silence_ended(app, home):
    """Exactly this alert, whatever its column is called; by whom, for how long and why."""
    write_alerts(home, NOW)
    person = Person(app)
    addresses = [
        html.unescape(each) for each in re.findall(r'href="(/alerts/silence\?[^"]*)"', person.look("/alerts").text)
    ]
    [address] = [each for each in addresses if "drift-column" in each]
    form = person.form(address)
    page = person.look(address).text
    assert "<img" not in page

    for wrong in ({"for": "soon"}, {"for": "0"}, {"for": "2000d"}, {"reason": ""}, {"reason": "x" * 1001}):
        refused = person.send(address, {**person.form(address), "for": "2h", "reason": SCRIPT, **wrong})
        assert refused.status == 400
        assert SCRIPT not in refused.text
    sent = person.send(address, {**form, "for": "90m", "reason": HOSTILE})

    assert sent.status == 303
    assert "<img" not in person.look(sent.headers["location"]).text
    [made] = [each for each in Alerts(home, Clock()).silences() if each.id != "s1"]
    assert (made.author, made.reason, made.ends_at) == (actor(), HOSTILE, NOW + 5400)
    assert [alert.rule for alert in Alerts(home, Clock()).standing() if made.covers(alert.all_labels(), NOW)] == [
        "drift-column"
    ]

    end = f"/alerts/silences/{made.id}/end"
    assert end in person.look("/alerts").text
    assert person.send(end, person.form(end)).status == 303
    assert [each.id for each in Alerts(home, Clock()).silences()] == ["s1"]
    assert person.look(end).status == 404


def test_alerts_are_silenced_by_matchers_of_ones_own(app, home):
    """One a line; what would silence everything is refused."""
    write_alerts(home, NOW)
    person = Person(app)
    for wrong in ("", "model", "model=~x", "rule~*"):
        form = {**person.form("/alerts/silence"), "matchers": wrong, "reason": "a test"}
        assert person.send("/alerts/silence", form).status == 400

    form = {**person.form("/alerts/silence"), "matchers": "model=fraud\r\n rule~drift-* \r\n", "reason": "a test"}
    assert person.send("/alerts/silence", form).status == 303

    [made] = [each for each in Alerts(home, Clock()).silences() if each.id != "s1"]
    assert [str(each) for each in made.matchers] == ["model=fraud", "rule~drift-*"]


def test_a_test_notification_reaches_its_channel(app, tmp_path, monkeypatch):
    """One of this folder's podium.toml; that it was not taken is told, and so is that there is none."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PODIUM_CONFIG", raising=False)
    person, address = Person(app), "/alerts/test"
    assert "There is no channel" in person.look(address).text
    (tmp_path / "podium.toml").write_text('[alerts.channels.oncall]\nkind = "webhook"\nurl_env = "HOOK"\n')
    with receiving(200, 404) as box:
        monkeypatch.setenv("HOOK", box.url)
        sent = person.send(address, person.form(address))
        _, _, body = box.next()
        refused = person.send(address, person.form(address))

    assert "oncall took the test notification." in person.look(sent.headers["location"]).text
    assert json.loads(body)["alerts"][0]["sentence"] == f"Sent by {actor()} from the dashboard."
    assert (refused.status, "404" in refused.text) == (503, True)
    assert person.send(address, {**person.form(address), "channel": SCRIPT}).status == 404


def test_nobody_writes_a_message_into_a_page_by_its_address(app, registry):
    """Only what was done here is told, and not for ever."""
    person = Person(app)
    assert 'role="status"' not in person.look("/registry/fraud?said=Version%209%20is%20live").text
    place = person.send(PROMOTE, person.form(PROMOTE)).headers["location"]
    assert 'role="status"' in person.look(place).text
