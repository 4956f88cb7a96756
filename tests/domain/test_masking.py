"""What of an address may be shown."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podium.domain.masking import masked, without_passwords
from podium.domain.references import RemoteRef


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("http://host:5000/a", "http://host:5000/a"),
        ("http://ann:secret@host:5000/a", "http://***@host:5000/a"),
        ("http://ann:se/cret@host:5000/a", "http://***@host:5000/a"),
        ("http://ann:se@cret@host/a", "http://***@host/a"),
        ("postgresql://ann:secret@db/mlflow?sslpassword=x", "postgresql://***@db/mlflow?sslpassword=***"),
        ("https://host/m.zip?sig=abc%3D&se=2", "https://host/m.zip?sig=***&se=***"),
        ("s3://bucket/a@b/model", "s3://bucket/a@b/model"),
        ("http://[::1]:5000/a", "http://[::1]:5000/a"),
        ("abfss://box@account.dfs.core.windows.net/m", "abfss://box@account.dfs.core.windows.net/m"),
        ("s3://key:secret@bucket/model", "s3://***@bucket/model"),
        ("/a/folder@home", "/a/folder@home"),
    ],
)
def test_an_address_is_shown_without_its_secrets(address, expected):
    assert masked(address) == expected


@given(st.text("abc:/@%", min_size=1))
def test_no_password_is_shown_whatever_is_in_it(password):
    assert "hush" not in masked(f"http://ann:{password}hush{password}@host:5000/path")


def test_a_reference_shows_no_secret():
    reference = RemoteRef("https://ann:hush@host/model?sig=hush")

    assert "hush" not in f"{reference} {reference!r}"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("no model http://u:pw@h/m.", "no model http://***@h/m."),
        ("Not a URI: models://u:p/w@x. Write models:/N@A", "Not a URI: models://***@x. Write models:/N@A"),
        ("There is no folder x=http://u:pw@h/m\n  searched x=http:/u:pw@h/m: not there",
         "There is no folder x=http://***@h/m\n  searched x=http:/***@h/m: not there"),
        ("s3://***@b: 'u:pw@b' is no bucket", "s3://***@b: '***@b' is no bucket"),
        ("u:pw@127.0.0.1/m is not there", "***@127.0.0.1/m is not there"),
        ("https://h/m?token=pw&v=1 is gone", "https://h/m?token=***&v=*** is gone"),
        ("git+https://ghp_token@h/m.git, https://t@h:1/x@y", "git+https://***@h/m.git, https://***@h:1/x@y"),
        ("https://h/a@b, ssh://git@h/m, abfss://box@account/m", "https://h/a@b, ssh://git@h/m, abfss://box@account/m"),
        ("models:/fraud@champion at 12:30, runs:/a/b@c, a@b.c", "models:/fraud@champion at 12:30, runs:/a/b@c, a@b.c"),
    ],
)  # fmt: skip
def test_a_sentence_is_shown_without_the_passwords_in_it(text: str, shown: str):
    assert without_passwords(text) == shown


@pytest.mark.parametrize("part", ["-", "a:", "://a:", "://a", "http://", "http://a", "://a?", "a@", "u:@", "=", "/"])
def test_a_long_line_takes_no_longer_than_its_length(part: str):
    """One of a megabyte would otherwise take hours, and whoever writes the log with it."""
    line = part * (1_000_000 // len(part))

    assert len(without_passwords(f"{line}u:hush@host")) <= len(line) + len("u:***@host")
