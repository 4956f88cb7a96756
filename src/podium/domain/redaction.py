"""What of a text may leave a machine: secrets that have a form, or stand behind a name that says so, are blotted out.

What a model prints of the data that it is asked about has no form. Whoever hands logs on reads them before.
"""

import re
from collections.abc import Iterable
from typing import Any

from podium.domain.masking import without_passwords

BLOT = "***"
_LONGEST = 4096

_WORDS = (
    "password", "passwd", "passphrase", "secret", "token", r"api[_\-]?key", r"access[_\-]?key", r"private[_\-]?key",
    "credential", "authorization", "cookie", "dsn", r"\bpwd", "sharedaccess", "otlp_headers",
    r"(?:account|encryption|hmac|integration|routing|service|session|shared|signing)[_\-]?key",
)  # fmt: skip
_QUOTED = (
    r'"""[\s\S]*?"""', r"'''[\s\S]*?'''", r'"(?:[^"\\\n]|\\.)*"', r"'(?:[^'\\\n]|\\.)*'", r"\[[^\]]*\]", r"[^\s,;}\]\"']+",
)  # fmt: skip
_NAMED = re.compile(rf"(?i)((?:{'|'.join(_WORDS)})[\w.\-]{{0,40}}[\"']?\s{{0,4}}[:=]\s{{0,4}})({'|'.join(_QUOTED)})")
_NAME = re.compile(rf"(?i)(?:{'|'.join(_WORDS)})[\w\-]{{0,40}}$")
_SCHEME = re.compile(r"(?i)\b(bearer|basic|digest|negotiate)\s+[a-z0-9+/=._~\-]{6,}")
_BLOCK = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL)
_FORMED = re.compile(
    r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"  # Amazon
    r"|\bgh[pousr]_[A-Za-z0-9]{20,}"  # GitHub
    r"|\bxox[abprs]-[A-Za-z0-9\-]{10,}"  # Slack
    r"|\bAIza[A-Za-z0-9_\-]{30,}"  # Google
    r"|\bdapi[a-f0-9]{32}\b"  # Databricks
    r"|\bpodium_[A-Za-z0-9_\-]{16,}"
    r"|\beyJ[A-Za-z0-9_\-]{8,}\.[A-Za-z0-9_\-]{8,}\.[A-Za-z0-9_\-]*"  # a JSON web token
    r"|\bglpat-[A-Za-z0-9_\-]{16,}"  # GitLab
    r"|\bgithub_pat_[A-Za-z0-9_]{20,}"
    r"|\bhf_[A-Za-z0-9]{20,}"  # Hugging Face
    r"|\bsk-[A-Za-z0-9_\-]{20,}"  # OpenAI, Anthropic
    r"|\bSG\.[A-Za-z0-9_\-]{16,}\.[A-Za-z0-9_\-]{16,}"  # SendGrid
    r"|\bhttps?://[^\s\"'<>]{0,200}hook[^\s\"'<>]*"  # an incoming webhook of Slack, Discord, Teams …
)
_COOKIES = re.compile(r"(?i)\b((?:set-)?cookie[\"']?\s{0,4}[:=]\s{0,4}[\"']?)[^\n\"']+")
_SHORTEST_KNOWN = 6


def redacted(text: str, known: Iterable[str] = ()) -> str:
    """The text without what is a secret by its form, or by the name before it, and without passwords in addresses.

    Quotes round a value stay, so that JSON stays JSON. What is too long for a line of a log is cut.

    Args:
        text: Any.
        known: Secrets that are known as such, whatever their form; very short ones are not, for they are words as well.
    """
    # The longest first: one may be part of another.
    for secret in sorted(known, key=len, reverse=True):
        if len(secret) >= _SHORTEST_KNOWN:
            text = text.replace(secret, BLOT)
    text = _SCHEME.sub(lambda found: f"{found[1]} {BLOT}", _BLOCK.sub(BLOT, text))
    text = _NAMED.sub(_blotted, _COOKIES.sub(rf"\1{BLOT}", text))
    return "\n".join(_line(line) for line in text.split("\n"))


def redacted_values(value: Any, known: Iterable[str] = (), is_secret: bool = False) -> Any:
    """The same for what JSON has: each text by itself, so that JSON stays JSON.

    Args:
        value: Any JSON.
        known: As for `redacted`.
        is_secret: Whether it stands under a name that says so; then no text of it is left.
    """
    match value:
        case dict():
            return {
                name: redacted_values(each, known, is_secret or is_secret_by(str(name))) for name, each in value.items()
            }
        case list() | tuple():
            return [redacted_values(each, known, is_secret) for each in value]
        case str():
            return BLOT if is_secret else redacted(value, known)
        case _:
            return value


def is_secret_by(name: str) -> bool:
    """Whether what has this name is a secret."""
    return _NAME.search(name) is not None


def _blotted(found: re.Match[str]) -> str:
    value = found[2]
    quote = value[0] if value[0] in "\"'" else ""
    return f"{found[1]}{quote}{BLOT}{quote}"


def _line(line: str) -> str:
    if len(line) > _LONGEST:
        # At a blank: half a secret has no form.
        line = line[:_LONGEST].rpartition(" ")[0] + f" … {len(line)} characters"
    return _FORMED.sub(BLOT, without_passwords(line))
