"""Each kind of channel tells a real receiver, ends in time, and gives no secret away."""

import base64
import contextlib
import hashlib
import hmac
import json
import socket
import ssl
import threading
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import pytest
from alert_world import rule
from certificates import Issuer
from ports import free_port
from receivers import HOSTILE, Post, channel, firing, hanging, mailing, receiving, send, standing, told

from podium.domain.monitoring.alerting.alerts import Notification
from podium.monitoring.channels.contract import Told, Undelivered

SECRET = "T000/hunter2"


@pytest.fixture(scope="module")
def issuer(tmp_path_factory):
    return Issuer(tmp_path_factory.mktemp("certificates"))


def test_a_webhook_is_told_in_podiums_own_json():
    """With the notification's id beside it, so that the same one told twice can be dropped."""
    message = told("bg")
    with receiving() as box:
        send(channel("webhook", url=f"{box.url}/hook?x=1"), message)
        path, headers, body = box.next()

    assert path == "/hook?x=1"
    assert headers["Content-Type"] == "application/json"
    assert headers["X-Podium-Notification"] == message.notification.id
    assert [alert["news"] for alert in json.loads(body)["alerts"]] == ["resolved"]


def test_a_webhook_may_be_told_as_alertmanager_tells():
    """Version 4 of its body."""
    with receiving() as box:
        send(channel("webhook", url=box.url, format="alertmanager"), told())
        body = json.loads(box.next()[2])

    assert (body["version"], body["status"], body["receiver"]) == ("4", "firing", "oncall")


def test_a_shared_secret_signs_the_time_and_the_body():
    """Whoever has it can tell that podium wrote it, and when."""
    environ = {"HOOK_SECRET": "s3cret"}
    with receiving() as box:
        send(channel("webhook", environ, url=box.url, secret_env="HOOK_SECRET"), told(), environ)
        _, headers, body = box.next()
    at, mac = (part.partition("=")[2] for part in headers["X-Podium-Signature"].split(","))

    assert mac == hmac.new(b"s3cret", at.encode() + b"." + body, hashlib.sha256).hexdigest()


def test_a_secret_that_was_changed_is_the_one_that_is_sent(tmp_path):
    """Nothing is read once and kept."""
    file = tmp_path / "token"
    file.write_text("old\n")
    with receiving() as box:
        opened = channel("webhook", url=box.url, token_file=str(file))
        file.write_text("new\n")
        send(opened, told())

        assert box.next()[1]["Authorization"] == "Bearer new"


def test_slack_reads_no_markup_in_names():
    """`<!channel>` in a model's name calls nobody."""
    with receiving() as box:
        environ = {"SLACK": f"{box.url}/services/{SECRET}"}
        send(channel("slack", environ, url_env="SLACK"), told(model=HOSTILE), environ)
        path, _, body = box.next()

    assert path == f"/services/{SECRET}"
    assert b"<!channel>" not in body
    assert "&lt;!channel&gt;" in json.loads(body)["text"]


def test_alertmanager_is_told_what_fires_until_when():
    """And by whom; without empty labels."""
    environ = {"AM": "pass:word"}
    opened = channel("alertmanager", environ, url="http://127.0.0.1:1", username="ana", password_env="AM")
    with receiving() as box:
        opened = channel("alertmanager", environ, url=f"{box.url}/", username="ana", password_env="AM")
        send(opened, standing(told(), until=2000.0), environ)
        path, headers, body = box.next()

    assert path == "/api/v2/alerts"
    assert headers["Authorization"] == "Basic " + base64.b64encode(b"ana:pass:word").decode()
    assert [(each["labels"]["model"], each["endsAt"]) for each in json.loads(body)] == [
        ("fraud", "1970-01-01T00:33:20.000Z")
    ]


@pytest.mark.parametrize(
    ("status", "is_final"), [(500, False), (503, False), (429, False), (408, False), (404, True), (401, True), (302, True)]
)
def test_what_a_receiver_answers_says_whether_it_is_told_again(status, is_final):
    """A refusal stays one; nothing is redirected; what it says is not quoted."""
    with receiving(status, headers={"Location": "http://127.0.0.1:1/", "Retry-After": "7"}) as box:
        environ = {"SLACK": f"{box.url}/services/{SECRET}?token=hunter3"}
        with pytest.raises(Undelivered) as caught:
            send(channel("slack", environ, url_env="SLACK"), told(), environ)

    assert (caught.value.is_final, caught.value.retry_after_s) == (is_final, 7.0)
    assert caught.value.message == f"{box.url} answered with HTTP {status}."


@pytest.mark.parametrize("kind", ["webhook", "slack", "alertmanager"])
@pytest.mark.parametrize("place", ["closed", "hanging", "no URL", "metadata", "plain for TLS"])
def test_no_receiver_holds_it_up_and_no_error_shows_more_than_the_host(kind, place):
    """Its path, query, user and password are secrets, wherever it fails."""
    with hanging() as port, receiving() as box:
        host = {
            "closed": f"http://user:hunter1@127.0.0.1:{free_port()}",
            "hanging": f"http://user:hunter1@127.0.0.1:{port}",
            "no URL": "hooks.example:hunter1@",
            "metadata": "http://user:hunter1@169.254.169.254",
            "plain for TLS": box.url.replace("http://", "https://user:hunter1@"),
        }[place]
        is_following = kind == "alertmanager"
        url = f"{host.replace('user:hunter1@', '') if is_following else host}/{SECRET}?token=hunter3"
        opened = channel(kind, {"URL": url}, **({"url": url} if is_following else {"url_env": "URL"}))
        with pytest.raises(Undelivered) as caught:
            send(opened, standing(told()) if is_following else told(), {"URL": url}, timeout_s=0.2)

    error = caught.value
    assert "hunter" not in error.message
    assert "user" not in error.message
    assert error.__cause__ is None
    assert box.sent.empty()


def test_a_certificate_is_looked_at_and_an_issuer_can_be_named(issuer):
    """By `ca_file`, which the error names."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(issuer.issue("receiver"))
    with receiving(tls=context) as box:
        with pytest.raises(Undelivered, match=r"not trusted: .*ca_file of the channel"):
            send(channel("webhook", url=box.url), told())
        send(channel("webhook", url=box.url, ca_file=str(issuer.pem)), told())

        assert box.next()[0] == "/"


def mail(port, **options):
    given = {"host": "127.0.0.1", "port": port, "sender": "Podium <podium@example.com>", "to": ["ana@example.com"]}
    return {**given, "tls": "none", **options}


def test_a_letter_says_what_fires_and_where_it_is_explained():
    """Told again it has the same Message-ID."""
    post, message = Post(), told("b", start=1_800_000_000.0)
    with mailing(post) as port:
        opened = channel("email", **mail(port, to=["ana@example.com", "bo@example.com"]))
        send(opened, message)
        send(opened, message)
        (sender, receivers, letter), (_, _, again) = post.next(), post.next()

    assert (sender, receivers) == ("podium@example.com", ["ana@example.com", "bo@example.com"])
    assert letter["Subject"] == "[podium] fraud: 1 FIRING"
    assert letter["Message-ID"] == again["Message-ID"] == f"<{message.notification.id}@podium>"
    assert parsedate_to_datetime(letter["Date"]) == datetime.fromtimestamp(1_800_000_000, UTC)
    assert "https://runbooks.example/drift-column.md" in letter.get_content()
    assert "It is so." in letter.get_content()


def test_no_name_makes_a_header_of_a_letter():
    """Nor a second letter."""
    post = Post()
    with mailing(post) as port:
        send(channel("email", **mail(port)), told(model=HOSTILE, its=rule(labels=("model",))))
        _, receivers, letter = post.next()

    assert receivers == ["ana@example.com"]
    assert letter["Bcc"] is None
    assert letter["Subject"].startswith("[podium] <!channel>  Bcc: eve@example.com")
    assert "\nBcc" not in letter.get_content()


def test_a_password_is_sent_over_tls_alone(issuer):
    """And a server that is not who it should be does not get it."""
    post, environ = Post(), {"MAIL": "hunter2"}
    with mailing(post, issuer.issue("mail"), password="hunter2") as port:
        terms = mail(port, tls="starttls", username="podium", password_env="MAIL")
        send(channel("email", environ, **terms, ca_file=str(issuer.pem)), told(), environ)
        assert post.next()[0] == "podium@example.com"
        with pytest.raises(Undelivered, match="certificate that is not trusted"):
            send(channel("email", environ, **terms), told(), environ)
        with pytest.raises(Undelivered, match="without TLS, and a password is not sent that way"):
            send(channel("email", environ, **{**terms, "tls": "none"}), told(), environ)
        wrong = {"MAIL": "hunter3"}
        with pytest.raises(Undelivered, match=r"does not take username and password \(535\)") as caught:
            send(channel("email", wrong, **terms, ca_file=str(issuer.pem)), told(), wrong)

    assert caught.value.is_final
    assert "hunter" not in caught.value.message


def test_receivers_who_are_refused_are_told_of():
    """All of them or some: it is not sent again to the others."""
    with mailing(Post(refuses=["bo@example.com"])) as port:
        with pytest.raises(Undelivered, match=r"refused all receivers \(550\)") as all_of_them:
            send(channel("email", **mail(port, to=["bo@example.com"])), told())
        with pytest.raises(Undelivered, match="refused 1 of 2 receivers") as one:
            send(channel("email", **mail(port, to=["bo@example.com", "ana@example.com"])), told())

    assert (all_of_them.value.is_final, one.value.is_final) == (True, True)


def test_no_mail_server_holds_it_up():
    """One that says nothing, is not there, or speaks something else."""
    with hanging() as port, receiving() as box:
        for where in (port, free_port(), int(box.url.rpartition(":")[2])):
            with pytest.raises(Undelivered) as caught:
                send(channel("email", **mail(where)), told(), timeout_s=0.2)
            assert not caught.value.is_final


def test_a_mail_server_that_never_stops_talking_fills_no_memory():
    """Python's client would keep each line of a reply until the channel's time is over."""

    def babble():
        connection, _ = listener.accept()
        with connection, contextlib.suppress(OSError):
            while True:
                connection.sendall(b"220-and so on\r\n" * 100)

    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as listener:
        thread = threading.Thread(target=babble)
        thread.start()
        try:
            with pytest.raises(Undelivered, match="ReplyTooLong"):
                send(channel("email", **mail(listener.getsockname()[1])), told())
        finally:
            thread.join(60)


def test_a_notification_of_ten_thousand_alerts_is_cut():
    """And says how many are not in it."""
    items = tuple((news, firing(f"{number:064}")) for number in range(10_000) for news, _ in told().notification.items)
    many = Told(Notification("x", "fraud", 1000.0, items), "oncall", "", "")
    post = Post()
    with receiving() as box, mailing(post) as port:
        send(channel("webhook", url=box.url), many)
        send(channel("webhook", url=box.url, format="alertmanager"), many)
        send(channel("slack", {"URL": box.url}, url_env="URL"), many, {"URL": box.url})
        send(channel("email", **mail(port)), many)
        bodies = [box.next()[2] for _ in range(3)]
        letter = post.next()[2].get_content()

    assert max(map(len, bodies)) < 100_000
    assert json.loads(bodies[0])["left_out"] == json.loads(bodies[1])["truncatedAlerts"] == 9_900
    assert "and 9900 more" in letter
