"""The probes of webmail against a scripted Roundcube: the right one passes, and each thing that is wrong is seen."""

from __future__ import annotations

import dataclasses
import socket
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from urllib.parse import parse_qs

import pytest

from mailprov.components.fail2ban import SETTING, Fail2ban
from mailprov.components.web import place
from mailprov.components.webmail import checks
from mailprov.model.findings import Finding, Verdict
from mailprov.model.inventory import Host
from mailprov.model.web import with_webmail
from mailprov.probe import Bans
from mailprov.selftest.certificates import Authority
from mailprov.selftest.scripted_lab import ScriptedLab
from mailprov.selftest.servers import refusing
from mailprov.selftest.state import PASSWORDS
from tests.unit.probe.test_web_probes import Web

PASS, WARN, FAIL, ERROR, SKIP = Verdict.PASS, Verdict.WARN, Verdict.FAIL, Verdict.ERROR, Verdict.SKIP
PROBES = ("webmail.page", "webmail.closed", "webmail.login")
NAME = "webmail.alpha.test"
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'self'",
    "X-Frame-Options": "SAMEORIGIN",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


class Roundcube(Web):
    """As much of it as a login needs. `keeps`: whether it can write its sessions; `served`: paths that it gives."""

    def __init__(self, authority: Authority) -> None:
        self.headers, self.keeps, self.php, self.takes = dict(HEADERS), True, True, True
        self.served: set[str] = set()
        self.inbox, self.first = b'{"env":{"mailbox":"INBOX"}}', b""
        self.sessions: dict[str, str] = {}  # id → token, or "in" once logged in
        self.count = 0
        super().__init__(authority, {})

    def _answer(self, sock: socket.socket, secure: bool) -> None:
        with suppress(OSError):
            sock = self._tls(sock) if secure else sock
            data = b""
            while b"\r\n\r\n" not in data:
                data += sock.recv(4096) or b"\r\n\r\n"
            head, _, body = data.partition(b"\r\n\r\n")
            if not head:  # it does not like the certificate
                raise ConnectionResetError
            first, *lines = head.decode().split("\r\n")
            fields = dict(line.split(": ", 1) for line in lines if ": " in line)
            while len(body) < int(fields.get("Content-Length", 0)):
                body += sock.recv(4096)
            self.requests.append(f"{first} {body.decode()}")
            status, told, content = self._page(first.split(" ")[1], fields.get("Cookie", ""), body.decode())
            told = {**self.headers, **told, "Content-Length": str(len(content))}
            lines = [f"HTTP/1.1 {status} Word", *(f"{name}: {value}" for name, value in told.items()), "", ""]
            sock.sendall("\r\n".join(lines).encode() + content)
        sock.close()

    def _page(self, path: str, cookie: str, body: str) -> tuple[int, dict[str, str], bytes]:
        if path in self.served:
            return 200, {}, b"secret"
        if path != "/" and not path.startswith("/?"):
            return 404, {}, b""
        if not self.php:
            return 502, {}, b"not available"
        session = cookie.rpartition("sid=")[2]
        known = self.sessions.get(session)
        if path == "/?_task=login":
            form = {name: value[0] for name, value in parse_qs(body).items()}
            right = PASSWORDS["ana@alpha.test"] == form["_pass"] and form["_user"] == "ana@alpha.test"
            if not (known == form["_token"] and right and self.takes):
                return 401, {}, b"no"
            self.sessions[f"{session}in"] = "in"
            return 302, {"Set-Cookie": f"sid={session}in; path=/", "Location": "/?_task=mail"}, b""
        if path == "/?_task=mail":
            return 200, {}, b'"request_token":"abc"' if known == "in" else b""
        if "_action=list" in path:
            return 200, {}, self.inbox
        if known is None:
            self.count += 1
            session, known = f"s{self.count}", f"token{self.count}"
            if self.keeps:
                self.sessions[session] = known
        page = self.first or f'<input name="_token" value="{known}">'.encode()
        return 200, {"Set-Cookie": f"sid={session}; path=/"}, page


@pytest.fixture
def roundcube(lab: ScriptedLab, authority: Authority) -> Iterator[Roundcube]:
    """mx1 has webmail for alpha.test."""
    first, second = lab.inventory.hosts
    domains = tuple(
        dataclasses.replace(domain, webmail="roundcube") if domain.name == "alpha.test" else domain
        for domain in lab.inventory.domains
    )
    hosts = with_webmail((place.SETTING.on(first, True), second), domains)
    lab.inventory = dataclasses.replace(lab.inventory, hosts=hosts, domains=domains)
    lab.world.records[NAME, "A"] = ["127.0.0.1"]
    made = Roundcube(authority)
    lab.start()
    lab.world.port_map.update(made.ports)
    try:
        yield made
    finally:
        made.close()


def look(lab: ScriptedLab) -> dict[str, Finding]:
    found = {item.id: item for item in lab.verify("webmail")}
    assert {item.target.domain for item in found.values()} == {"alpha.test"}
    return found


def test_a_right_one_passes_and_the_inbox_was_seen(lab: ScriptedLab, roundcube: Roundcube) -> None:
    found = look(lab)
    assert {name: item.verdict for name, item in found.items()} == dict.fromkeys(PROBES, PASS), found
    assert "saw the inbox" in found["webmail.login"].observed
    asked = [line.split(" ")[1] for line in roundcube.requests]
    assert "/installer/" in asked
    assert any("_task=logout" in path for path in asked)
    password = PASSWORDS["ana@alpha.test"]
    assert not any(password in line for item in found.values() for line in item.evidence)


def test_no_password_is_sent_where_the_host_cannot_show_who_it_is(
    lab: ScriptedLab, roundcube: Roundcube
) -> None:
    roundcube.certificate = "unknown-ca"
    found = look(lab)
    assert found["webmail.login"].verdict is ERROR
    assert not any(line.startswith("POST") for line in roundcube.requests)


def _set(**values: object) -> Callable[[ScriptedLab, Roundcube], None]:
    def act(lab: ScriptedLab, roundcube: Roundcube) -> None:
        for name, value in values.items():
            setattr(roundcube, name, value)

    return act


def no_name(lab: ScriptedLab, roundcube: Roundcube) -> None:
    del lab.world.records[NAME, "A"]


def led_away(lab: ScriptedLab, roundcube: Roundcube) -> None:
    lab.world.records[NAME, "A"] = ["192.0.2.77"]


def hashes_only(lab: ScriptedLab, roundcube: Roundcube) -> None:
    domains = tuple(
        dataclasses.replace(
            domain, accounts=tuple(dataclasses.replace(one, password=None) for one in domain.accounts)
        )
        for domain in lab.inventory.domains
    )
    lab.inventory = dataclasses.replace(lab.inventory, domains=domains)


def lacks(name: str) -> Callable[[ScriptedLab, Roundcube], None]:
    return _set(headers={each: value for each, value in HEADERS.items() if each != name})


# What is wrong, the verdicts of page, closed and login, and words that must be seen.
CASES = {
    **{f"no {name}": (lacks(name), (FAIL, PASS, PASS), name.lower()) for name in HEADERS},
    **{
        f"{path} is served": (_set(served={path}), (PASS, FAIL, PASS), path)
        for path in sorted(checks._CLOSED)
    },
    "no PHP": (_set(php=False), (FAIL, PASS, FAIL), "PHP does not (502); mail goes on"),
    "a database that is locked": (_set(keeps=False), (PASS, PASS, FAIL), "database is locked"),
    "a password that is refused": (_set(takes=False), (PASS, PASS, FAIL), "refuses the login"),
    "another page": (_set(first=b"It works!"), (FAIL, PASS, FAIL), "not Roundcube's login page"),
    "no inbox": (_set(inbox=b"{}"), (PASS, PASS, FAIL), "the inbox is not listed"),
    "no name": (no_name, (WARN, WARN, WARN), "does not exist"),
    "a name that leads elsewhere": (led_away, (WARN, WARN, WARN), "192.0.2.77"),
    "a certificate for other names": (_set(certificate="wrong-name"), (WARN, PASS, ERROR), "not valid for"),
    "nobody who could log in": (hashes_only, (PASS, PASS, SKIP), "only a hash"),
}


@pytest.mark.parametrize("case", CASES)
def test_each_thing_that_is_wrong_is_seen(case: str, lab: ScriptedLab, roundcube: Roundcube) -> None:
    act, verdicts, words = CASES[case]
    act(lab, roundcube)
    found = look(lab)
    assert tuple(found[name].verdict for name in PROBES) == verdicts, found
    assert any(words in item.observed for item in found.values() if item.verdict is not PASS), found


def test_a_ban_at_the_web_is_one_error_and_each_probe_says_it_was_skipped(
    lab: ScriptedLab, roundcube: Roundcube, request: pytest.FixtureRequest
) -> None:
    one, *others = lab.inventory.hosts
    lab.inventory = dataclasses.replace(lab.inventory, hosts=(SETTING.on(one, Fail2ban()), *others))
    lab.start()
    dead = refusing("127.0.0.1")
    request.addfinalizer(dead.close)
    lab.world.port_map.update(dict.fromkeys([("127.0.0.1", 443), ("127.0.0.1", 80)], dead.getsockname()[1]))
    asked: list[str] = []

    def ask(hosts: Collection[Host]) -> dict[str, Bans]:
        asked.extend(host.name for host in hosts)
        return {host.name: Bans("127.0.0.1", ((jail, "127.0.0.1"),)) for host in hosts}

    jail = "mailprov-dovecot"
    down = lab.verify("webmail", bans=ask)
    assert {item.verdict for item in down} == {ERROR}
    assert not [item for item in down if "fail2ban" in item.observed]
    jail = "mailprov-webmail"
    first, *rest = lab.verify("webmail", bans=ask)
    assert (first.id, first.verdict, first.target.host) == ("webmail.page", ERROR, one.name)
    assert "has banned this machine's address 127.0.0.1 from the web" in first.observed
    assert first.advice.startswith(
        f"on {one.name}: fail2ban-client unban 127.0.0.1; then add 127.0.0.1 to fail2ban."
    )
    assert [(item.id, item.verdict) for item in rest] == [(name, SKIP) for name in PROBES]
    assert asked == [one.name] * 2


def test_without_the_key_nothing_is_looked_at(lab: ScriptedLab) -> None:
    lab.start()
    found = lab.verify("webmail")
    assert [(item.id, item.verdict) for item in found] == [(name, SKIP) for name in PROBES]
