"""Somebody at a WordPress site: what a browser's forms would send, with the standard library.

Owned here: installing a site, writing a post. Left to others: what a browser shows of it
(test_application.py). A program of its own, because it runs in the lab's network.
"""

from __future__ import annotations

import json
import sys
import urllib.parse
import urllib.request
from http.cookiejar import CookieJar
from typing import Any

USER = "editor"
PATIENCE = 180.0
"""Seconds for one page; the first ones on hosts short of CPU take some."""


class Visitor:
    """Keeps its cookies, as a browser does. site: address, like `http://203.0.113.10`."""

    def __init__(self, site: str) -> None:
        self.site = site.rstrip("/")
        self._opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))

    def page(self, path: str, data: bytes | None = None, **headers: str) -> str:
        """A page's text, or what came of sending `data`; raises OSError, also for an answer above 399."""
        request = urllib.request.Request(  # noqa: S310 - of a host of the lab
            self.site + path, data, {name.replace("_", "-"): value for name, value in headers.items()}
        )
        with self._opener.open(request, timeout=PATIENCE) as answer:
            text: str = answer.read().decode()
        return text

    def form(self, path: str, **fields: str) -> str:
        """What came of a form that was filled in and sent."""
        return self.page(path, urllib.parse.urlencode(fields).encode())

    def install(self, title: str, password: str) -> str:
        """The page at the end of WordPress' own installation."""
        return self.form(
            "/wp-admin/install.php?step=2",
            weblog_title=title,
            user_name=USER,
            admin_password=password,
            admin_password2=password,
            pw_weak="1",
            admin_email="editor@example.com",
            blog_public="0",
            language="",
        )

    def log_in(self, password: str) -> str:
        """Log in; what later requests must show as `X-WP-Nonce`."""
        self.page("/wp-login.php")
        nonce = self.form(
            "/wp-login.php",
            log=USER,
            pwd=password,
            testcookie="1",
            redirect_to=f"{self.site}/wp-admin/admin-ajax.php?action=rest-nonce",
        )
        if not nonce.isalnum():
            raise OSError(f"the login brought no nonce but {nonce[:200]!r}")
        return nonce

    def write(self, title: str, text: str, password: str) -> dict[str, Any]:
        """Log in and publish a post; what the site says of it."""
        nonce = self.log_in(password)
        post = {"title": title, "content": text, "status": "publish"}
        told: dict[str, Any] = json.loads(
            self.page(
                "/?rest_route=/wp/v2/posts",
                json.dumps(post).encode(),
                X_WP_Nonce=nonce,
                Content_Type="application/json",
            )
        )
        return told


def main(argv: list[str]) -> int:
    """`install SITE PASSWORD TITLE` prints the last page, `post SITE PASSWORD TITLE TEXT` the number."""
    what, site, password, title, *text = argv
    visitor = Visitor(site)
    if what == "install":
        print(visitor.install(title, password))
    else:
        print(visitor.write(title, text[0], password)["id"])
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
