"""The OpenAPI document as a page: one file of HTML and style, without scripts and without anything from elsewhere."""

import base64
import hashlib
import html
import json
from collections.abc import Mapping
from typing import Any

from podium.web.messages import header_lines

# Only the page's own style, by its digest; nothing else is loaded, run, framed or sent anywhere.
_STYLE = """
:root{color-scheme:light dark;--line:#8884;--soft:#8881}
body{font:16px/1.5 system-ui,sans-serif;margin:0 auto;max-width:60rem;padding:1rem 1rem 4rem}
h1{font-size:1.6rem}h2{font-size:1.2rem;margin:2rem 0 .5rem;border-bottom:1px solid var(--line)}
code,pre{font:13px/1.45 ui-monospace,monospace}pre{background:var(--soft);padding:.6rem;overflow:auto;max-height:24rem}
details{border:1px solid var(--line);border-radius:4px;margin:.4rem 0;padding:.4rem .7rem}summary{cursor:pointer}
summary b{display:inline-block;min-width:3.2rem}table{border-collapse:collapse}
td,th{text-align:left;vertical-align:top;padding:.15rem .8rem .15rem 0}nav a{margin-right:.8rem}
p,td{overflow-wrap:anywhere}
"""
_METHODS = ("get", "post", "delete", "put", "patch")
_LONGEST = 20_000


def _policy() -> bytes:
    digest = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    return header_lines(
        ("content-security-policy", policy),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cache-control", "no-store"),
    )


POLICY = _policy()


def page_of(document: Mapping[str, Any]) -> str:
    """The page. Whatever a model's author wrote is text on it, and nothing else."""
    info, paths = document["info"], document["paths"]
    tags = [tag["name"] for tag in document["tags"]]
    by_tag: dict[str, list[str]] = {tag: [] for tag in tags}
    for path, methods in paths.items():
        for method in _METHODS:
            if method in methods:
                for tag in methods[method]["tags"]:
                    by_tag[tag].append(_operation(path, method, methods[method]))
    links = "".join(f'<a href="#t{at}">{_text(tag)}</a>' for at, tag in enumerate(tags))
    sections = "".join(f'<h2 id="t{at}">{_text(tag)}</h2>{"".join(by_tag[tag])}' for at, tag in enumerate(tags))
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{_text(info['title'])}</title><style>{_STYLE}</style></head><body>"
        f"<h1>{_text(info['title'])} {_text(info['version'])}</h1><p>{_text(info['description'])}</p>"
        f'<p><a href="openapi.json">openapi.json</a></p><nav>{links}</nav>{sections}</body></html>\n'
    )


def _operation(path: str, method: str, operation: Mapping[str, Any]) -> str:
    parts = [f"<p>{_text(operation['description'])}</p>"] if "description" in operation else []
    for parameter in operation.get("parameters", ()):
        values = ", ".join(map(str, parameter["schema"].get("enum", ())))
        parts.append(f"<p><code>{_text(parameter['name'])}</code>: {_text(values)}</p>")
    content = operation.get("requestBody", {}).get("content", {})
    for media_type, media in content.items():
        parts.append(f"<p>Body: <code>{_text(media_type)}</code></p>")
        if "example" in media:
            parts.append(f"<p>For example</p>{_json(media['example'])}")
        if media.get("schema", {}).keys() - {"type"}:
            parts.append(f"<details><summary>Schema</summary>{_json(media['schema'])}</details>")
    rows = "".join(
        f"<tr><th>{_text(status)}</th><td>{_text(answer['description'])}</td>"
        f"<td><code>{_text(', '.join(answer.get('content', {})))}</code></td></tr>"
        for status, answer in operation["responses"].items()
    )
    head = f"<b>{method.upper()}</b> <code>{_text(path)}</code> {_text(operation['summary'])}"
    return f"<details><summary>{head}</summary>{''.join(parts)}<table>{rows}</table></details>"


def _json(value: Any) -> str:
    text = json.dumps(value, indent=2, ensure_ascii=False)
    return f"<pre>{_text(text if len(text) <= _LONGEST else text[:_LONGEST] + ' …')}</pre>"


def _text(value: object) -> str:
    return html.escape(str(value))
