"""No secret that has a form, or a name that says so, is in a text that may leave the machine."""

import pytest

from podium.domain.redaction import redacted, redacted_values

SECRET = "hunter2hunter2"


@pytest.mark.parametrize(
    "text",
    [
        f"password={SECRET}",
        f'{{"db_password": "{SECRET}", "x": 1}}',
        f"AWS_SECRET_ACCESS_KEY: '{SECRET}'",
        f'webhook_token = """\n{SECRET}\n"""',
        f'api_keys = ["a", "{SECRET}"]',
        f'secret = "with \\" {SECRET}"',
        f"Authorization: Bearer {SECRET}",
        f"sent Basic {SECRET} to",
        f"Cookie: session={SECRET}",
        f"postgresql://user:{SECRET}@db/x",
        f"https://events.example/?sig={SECRET}",
        "key AKIA" + "HUNTER2HUNTER2XX" + " leaked",
        f"-----BEGIN RSA PRIVATE KEY-----\n{SECRET}\n-----END RSA PRIVATE KEY-----",
        f"-----BEGIN PRIVATE KEY-----\n{SECRET}\nand cut",
        f"podium_0123456789ab_{SECRET}{'x' * 29}",
        f"eyJ{SECRET}.eyJ{SECRET}.{SECRET}",
        f"https://hooks.slack.com/services/{SECRET}",
        f"dsn: 'https://{SECRET}@sentry'",
        f"https://discord.com/api/webhooks/1/{SECRET}",
        f"https://acme.webhook.office.com/webhookb2/{SECRET}/IncomingWebhook/x",
        f'routing_key = "{SECRET}"',
        f"DRIVER=x;PWD={SECRET}",
        f"SharedAccessSignature={SECRET}",
        f"DefaultEndpointsProtocol=https;AccountKey={SECRET}",
        f"cookie: theme=dark; session={SECRET}",
        f'otlp_headers = "x-team={SECRET}"',
        f"glpat-{SECRET}{SECRET}",
        f"hf_{SECRET}{SECRET}",
        f"sk-proj-{SECRET}{SECRET}",
    ],
)
def test_a_secret_is_blotted_out(text: str) -> None:
    found = redacted(text)

    assert ("hunter2" in found.lower(), "***" in found) == (False, True)


@pytest.mark.parametrize(
    "text",
    ["worker 3 of iris version 7 is ready", "models:/fraud@champion", "tokenizer loaded in 3 s", '{"x": 1, "y": [2]}', ""],
)
def test_what_is_none_stays(text: str) -> None:
    assert redacted(text) == text


def test_what_is_known_as_a_secret_needs_no_form() -> None:
    """The longer one first, of which the other is a part; and no word that is too short to be one."""
    text = f"posted {SECRET}/more and {SECRET} at on"

    assert redacted(text, [SECRET, f"{SECRET}/more", "on"]) == "posted *** and *** at on"
    assert redacted_values({"deep": [text]}, [SECRET]) == {"deep": ["posted ***/more and *** at on"]}


def test_what_stands_beside_a_secret_stays() -> None:
    assert redacted('{"token": "abc", "port": 5000}') == '{"token": "***", "port": 5000}'


@pytest.mark.parametrize(
    "piece", ["a", "token", "password = [", "'", 'secret="""', "token=" + " ", "://a:", "-----BEGIN PRIVATE KEY-----"]
)
def test_no_text_takes_for_ever(piece: str) -> None:
    """The test's own time-out is what fails it."""
    assert redacted(piece * (100_000 // len(piece))) is not None


def test_of_a_line_that_is_cut_no_half_of_a_secret_is_left() -> None:
    found = redacted("x " * 2030 + f"https://user:{SECRET * 10}@host rest")

    assert ("hunter" in found, found.endswith("characters")) == (False, True)


def test_json_stays_json() -> None:
    told = {"url": f"http://a?token={SECRET}", "deep": [{"api_key": SECRET, "port": 5000}], "tokens": [SECRET], "on": True}
    told["access.webhook_secret"] = {"value": SECRET, "is_set": True}

    found = redacted_values(told)

    assert found == {
        "url": "http://a?token=***",
        "deep": [{"api_key": "***", "port": 5000}],
        "tokens": ["***"],
        "on": True,
        "access.webhook_secret": {"value": "***", "is_set": True},
    }
