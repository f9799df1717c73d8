"""A browser's session at a webmail without a browser: the login form, and the list of the inbox."""

from __future__ import annotations

import http.client
import re
import socket
import ssl
import urllib.parse


class Visitor:
    """`address`: where to connect; `name`: whom to ask for. Its certificate is nobody's business here."""

    def __init__(self, address: str, name: str) -> None:
        self.address, self.name = address, name
        self.cookies: dict[str, str] = {}

    def ask(
        self, path: str, form: dict[str, str] | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, str]:
        """Status and body; 0 where the connection ended without an answer."""
        plain = socket.create_connection((self.address, 443), timeout=120)
        connection = http.client.HTTPSConnection(self.name, timeout=120)
        connection.sock = ssl._create_unverified_context().wrap_socket(plain, server_hostname=self.name)
        fields = {"Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())}
        if form is not None:
            fields["Content-Type"] = "application/x-www-form-urlencoded"
        try:
            body = urllib.parse.urlencode(form) if form is not None else None
            connection.request("GET" if form is None else "POST", path, body, {**fields, **(headers or {})})
            answer = connection.getresponse()
            for name, value in answer.getheaders():
                if name.lower() == "set-cookie":
                    key, _, content = value.partition(";")[0].partition("=")
                    self.cookies[key] = content
            return answer.status, answer.read().decode("utf-8", "replace")
        except (http.client.RemoteDisconnected, ConnectionResetError):
            return 0, ""
        finally:
            connection.close()

    def status(self) -> int:
        return self.ask("/")[0]

    def log_in(self, user: str, password: str, headers: dict[str, str] | None = None) -> bool:
        status, page = self.ask("/", headers=headers)
        assert status == 200, (status, page)
        token = re.search(r'name="_token" value="([^"]*)"', page)
        assert token is not None, page
        form = {
            "_task": "login",
            "_action": "login",
            "_timezone": "_default_",
            "_url": "",
            "_token": token[1],
        }
        return self.ask("/?_task=login", {**form, "_user": user, "_pass": password}, headers)[0] == 302

    def inbox(self) -> str:
        _status, page = self.ask("/?_task=mail")
        token = re.search(r'"request_token":"([^"]*)"', page)
        assert token is not None, page
        return self.ask(
            "/?_task=mail&_action=list&_mbox=INBOX&_remote=1", headers={"X-Roundcube-Request": token[1]}
        )[1]
