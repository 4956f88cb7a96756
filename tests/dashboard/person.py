"""Somebody who looks at pages and sends their forms, as a browser does that runs no script."""

import html
import re
from urllib.parse import urlencode

from site_asking import ask


class Person:
    """Somebody with a browser: looks at pages, keeps cookies, sends the form of the page that was looked at."""

    def __init__(self, app, **headers: str) -> None:
        self._app, self._headers, self._cookies = app, headers, {}

    def look(self, address: str, method: str = "GET", body: bytes = b"", **headers: str):
        kept = {"cookie": "; ".join(f"{name}={value}" for name, value in self._cookies.items())}
        answered = ask(self._app, address, method, body, **self._headers, **kept, **headers)
        for cookie in answered.cookies:
            name, _, value = cookie.partition(";")[0].partition("=")
            self._cookies[name] = value
        return answered

    def form(self, address: str) -> dict[str, str]:
        """What the page's form would send; the form leads where the page is."""
        page = self.look(address)
        assert page.status == 200, page.text
        return fields_of(page.text)

    def send(self, address: str, form: dict[str, str], **headers: str):
        return self.look(address, "POST", urlencode(form).encode(), **headers)


def fields_of(text: str) -> dict[str, str]:
    found = re.findall(r'<input[^>]* name="([^"]*)"[^>]* value="([^"]*)"', text)
    chosen = re.findall(r'<select[^>]* name="([^"]*)">.*?<option value="([^"]*)"', text)
    typed = re.findall(r'<textarea[^>]* name="([^"]*)"[^>]*>\n(.*?)</textarea>', text, re.DOTALL)
    return {name: html.unescape(value) for name, value in [*found, *chosen, *typed]}
