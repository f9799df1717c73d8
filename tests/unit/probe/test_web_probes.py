"""The probes of the web corner against scripted servers: right ones pass, and each thing that is wrong is seen."""

from __future__ import annotations

import dataclasses
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from mailprov.client import reading
from mailprov.client.autoconfig import autoconfig
from mailprov.client.autodiscover import autodiscover
from mailprov.client.mobileconfig import mobileconfig
from mailprov.client.pacc import pacc as pacc_file
from mailprov.client.settings import of_account, of_domain
from mailprov.components.web import place
from mailprov.model import pacc
from mailprov.model.findings import Finding, Verdict
from mailprov.model.inventory import Inventory
from mailprov.selftest.certificates import Authority
from mailprov.selftest.scripted_lab import ScriptedLab

PASS, WARN, FAIL, ERROR, SKIP = Verdict.PASS, Verdict.WARN, Verdict.FAIL, Verdict.ERROR, Verdict.SKIP
PROBES = ("web.autoconfig", "web.autodiscover", "web.mobileconfig", "web.pacc")
NAMES = ("autoconfig.alpha.test", "autodiscover.alpha.test", "ua-auto-config.alpha.test")
DIGESTS = ("_ua-auto-config.alpha.test", "TXT")
PATHS = {
    "web.autoconfig": "/mail/config-v1.1.xml",
    "web.autodiscover": "/autodiscover/autodiscover.xml",
    "web.mobileconfig": "/mail.mobileconfig",
    "web.pacc": pacc.PATH,
}
KINDS = {"web.mobileconfig": "application/x-apple-aspen-config", "web.pacc": pacc.KIND}


def files(inventory: Inventory) -> dict[str, bytes]:
    settings = of_domain(inventory, inventory.domains[0])
    made = (autoconfig(settings), autodiscover(settings), mobileconfig(settings), pacc_file(settings))
    return {name: text.encode() for name, text in zip(PROBES, made, strict=True)}


def quoted(*texts: str) -> list[str]:
    return [f'"{text}"' for text in texts]


class Web:
    """Ports 80 and 443 of one host. `pages`: path → (status, type, body); `requests`: first lines and bodies."""

    def __init__(self, authority: Authority, pages: dict[str, tuple[int, str, bytes]]) -> None:
        self.authority, self.pages, self.certificate = authority, pages, "right"
        self.requests: list[str] = []
        self.sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
        for number, one in enumerate(self.sockets):
            threading.Thread(target=self._serve, args=(one, bool(number)), daemon=True).start()

    @property
    def ports(self) -> dict[tuple[str, int], int]:
        plain, secure = (one.getsockname()[1] for one in self.sockets)
        return {("127.0.0.1", 80): plain, ("127.0.0.1", 443): secure}

    def _serve(self, listener: socket.socket, secure: bool) -> None:
        with suppress(OSError):
            while True:
                sock, _address = listener.accept()
                threading.Thread(target=self._answer, args=(sock, secure), daemon=True).start()

    def _answer(self, sock: socket.socket, secure: bool) -> None:
        with suppress(OSError):
            if secure:
                sock = self._tls(sock)
            data = b""
            while b"\r\n\r\n" not in data:
                data += sock.recv(4096) or b"\r\n\r\n"
            head, _, body = data.partition(b"\r\n\r\n")
            fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:] if ": " in line)
            while len(body) < int(fields.get("Content-Length", 0)):
                body += sock.recv(4096)
            first = head.decode().split("\r\n")[0]
            self.requests.append(
                f"{'https' if secure else 'http'}://{fields.get('Host')} {first} {body.decode()}"
            )
            status, kind, content = self.pages.get(first.split(" ")[1], (404, "text/html", b"none"))
            told = f"HTTP/1.1 {status} Word\r\nContent-Type: {kind}\r\nContent-Length: {len(content)}\r\n\r\n"
            sock.sendall(told.encode() + content)
        sock.close()

    def _tls(self, sock: socket.socket) -> ssl.SSLSocket:
        # Not one of those that the mail servers of this world have: each of them sets its own choice there.
        context = self.authority.context("web.alpha.test", self.certificate)

        def chosen(wrapped: ssl.SSLObject, name: str | None, _context: ssl.SSLContext) -> None:
            wrapped.context = self.authority.context(name or "mx1.alpha.test", self.certificate)

        context.sni_callback = chosen  # type: ignore[assignment]
        return context.wrap_socket(sock, server_side=True)

    def close(self) -> None:
        for one in self.sockets:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()


@pytest.fixture
def web(lab: ScriptedLab, authority: Authority) -> Iterator[Web]:
    """mx1 has the web corner, mx2 has none; the names of alpha.test lead to mx1."""
    first, second = lab.inventory.hosts
    lab.inventory = dataclasses.replace(lab.inventory, hosts=(place.SETTING.on(first, True), second))
    for name in NAMES:
        lab.world.records[name, "A"] = ["127.0.0.1"]
    right = files(lab.inventory)
    lab.world.records[DIGESTS] = quoted(pacc.record(right["web.pacc"].decode()))
    made = Web(authority, {PATHS[name]: (200, KINDS.get(name, "text/xml"), right[name]) for name in PROBES})
    lab.start()
    lab.world.port_map.update(made.ports)
    try:
        yield made
    finally:
        made.close()


def look(lab: ScriptedLab, only: str = "web.") -> dict[str, Finding]:
    """Of alpha.test; its alias is another test's."""
    found = lab.verify(only)
    assert {item.target.domain for item in found} == {"alpha.test", "alfa.test"}
    return {item.id: item for item in found if item.target.domain == "alpha.test"}


def test_what_is_served_right_passes_after_a_login_with_what_it_says(lab: ScriptedLab, web: Web) -> None:
    found = look(lab)
    assert {name: item.verdict for name, item in found.items()} == dict.fromkeys(PROBES, PASS), found
    assert "mail.alpha.test:993" in found["web.autoconfig"].observed
    assert "mail.alpha.test:995" in found["web.autoconfig"].observed
    assert "mail.alpha.test:465" in found["web.mobileconfig"].observed
    asked = sorted(line.split(" HTTP/")[0] for line in web.requests)
    assert asked == [
        "http://autoconfig.alpha.test GET /mail/config-v1.1.xml",
        "https://autoconfig.alpha.test GET /mail.mobileconfig",
        "https://autodiscover.alpha.test POST /autodiscover/autodiscover.xml",
        "https://ua-auto-config.alpha.test GET /.well-known/user-agent-configuration.json",
    ]
    assert not any("ana@" in line for line in web.requests), "nobody's address is told to a web server"


def spoil(*pages: tuple[int, str, bytes]) -> Callable[[ScriptedLab, Web], None]:
    """All pages are this one; of none, they are gone."""

    def act(lab: ScriptedLab, web: Web) -> None:
        web.pages = {path: page for path in PATHS.values() for page in pages}

    return act


def other_server(lab: ScriptedLab, web: Web) -> None:
    web.pages = {
        path: (status, kind, body.replace(b"mail.alpha.test", b"evil.example.net"))
        for path, (status, kind, body) in web.pages.items()
    }


def other_type(lab: ScriptedLab, web: Web) -> None:
    web.pages = {path: (status, "text/plain", body) for path, (status, _, body) in web.pages.items()}


def no_name(lab: ScriptedLab, web: Web) -> None:
    for name in NAMES:
        del lab.world.records[name, "A"]


def led_away(lab: ScriptedLab, web: Web) -> None:
    for name in NAMES:
        lab.world.records[name, "A"] = ["192.0.2.77"]


def certificate(lab: ScriptedLab, web: Web) -> None:
    web.certificate = "wrong-name"


def not_yet(lab: ScriptedLab, web: Web) -> None:
    """As where the host's clock is ahead of this machine's."""
    web.certificate = "early"


def refused(lab: ScriptedLab, web: Web) -> None:
    lab.spoil("nobody-gets-in", "")


def hashes_only(lab: ScriptedLab, web: Web) -> None:
    domains = tuple(
        dataclasses.replace(
            domain,
            accounts=tuple(dataclasses.replace(one, password=None) for one in domain.accounts),
        )
        for domain in lab.inventory.domains
    )
    lab.inventory = dataclasses.replace(lab.inventory, domains=domains)


def no_digest(lab: ScriptedLab, web: Web) -> None:
    del lab.world.records[DIGESTS]


def no_digest_and_no_file(lab: ScriptedLab, web: Web) -> None:
    no_digest(lab, web)
    del web.pages[pacc.PATH]


def other_digests(lab: ScriptedLab, web: Web) -> None:
    """Of another file, of another algorithm, and one with a tag twice: none that a program could take."""
    right = pacc.record(files(lab.inventory)["web.pacc"].decode())
    others = (pacc.record("{}"), right.replace("sha256", "md5"), f"{right}; d=AAAA", "v=spf1 -all")
    lab.world.records[DIGESTS] = quoted(*others)


def blank_at_the_end(lab: ScriptedLab, web: Web) -> None:
    """The same to whoever reads JSON, and not the octets of the digest."""
    status, kind, body = web.pages[pacc.PATH]
    web.pages[pacc.PATH] = (status, kind, body + b" ")


def follows(lab: ScriptedLab, web: Web) -> None:
    """The new file's digest stands beside that of the old one, which is given out until then."""
    status, kind, body = web.pages[pacc.PATH]
    old = body.replace(b"mail.alpha.test", b"mx1.alpha.test")
    web.pages[pacc.PATH] = (status, kind, old)
    lab.world.records[DIGESTS] = quoted(pacc.record(old.decode()), pacc.record(body.decode(), "2026112915"))


def left_alone(lab: ScriptedLab, web: Web) -> None:
    """Another file with its own digest: programs take it, and it is not what the host should serve."""
    follows(lab, web)
    lab.world.records[DIGESTS] = lab.world.records[DIGESTS][:1]


def nobody_there(lab: ScriptedLab, web: Web) -> None:
    web.close()


# What is wrong, the verdicts of the three in their order, and words that must be seen.
CASES = {
    "no file": (spoil(), (FAIL, FAIL, FAIL, FAIL), "404 Word"),
    "another program's page": (
        spoil((200, "text/html", b"<html>It works!</html>")),
        (FAIL,) * 4,
        "",
    ),
    "a server of somebody else": (other_server, (FAIL,) * 4, ""),
    "a type that programs pass over": (other_type, (FAIL,) * 4, "text/plain"),
    "an answer that is no HTTP": (spoil((0, "", b"")), (ERROR,) * 4, "not HTTP"),
    "no name": (no_name, (WARN,) * 4, "does not exist"),
    "a name that leads elsewhere": (led_away, (WARN,) * 4, "192.0.2.77"),
    "a certificate for other names": (certificate, (PASS, WARN, WARN, WARN), ""),
    "a certificate of tomorrow": (not_yet, (PASS, WARN, WARN, WARN), "certificate is not yet valid"),
    "a password that is refused": (refused, (FAIL,) * 4, "there it is refused"),
    "nobody who could log in": (hashes_only, (SKIP,) * 4, "only a hash"),
    "nothing on its ports": (nobody_there, (ERROR,) * 4, ""),
    "no digest": (no_digest, (PASS, PASS, PASS, WARN), "no record with its digest"),
    "neither digest nor file": (no_digest_and_no_file, (PASS, PASS, PASS, WARN), "404 Word"),
    "no digest of this file": (other_digests, (PASS, PASS, PASS, FAIL), "programs refuse the file"),
    "an octet too many": (blank_at_the_end, (PASS, PASS, PASS, FAIL), "programs refuse the file"),
    "another file that follows": (follows, (PASS, PASS, PASS, WARN), "another file follows"),
    "another file with its digest": (left_alone, (PASS, PASS, PASS, FAIL), "another file"),
}


@pytest.mark.parametrize("case", CASES)
def test_each_thing_that_is_wrong_is_seen(case: str, lab: ScriptedLab, web: Web) -> None:
    act, verdicts, words = CASES[case]
    act(lab, web)
    found = look(lab)
    assert tuple(found[name].verdict for name in PROBES) == verdicts, found
    assert all(words in item.observed for item in found.values() if item.verdict is not PASS), found
    if case in ("another program's page", "a server of somebody else"):
        assert all("another file" in found[name].observed for name in PROBES[:3])
        assert "programs refuse the file" in found["web.pacc"].observed
    if case == "a server of somebody else":
        assert not any("LOGIN" in line.upper() or "AUTH " in line.upper() for line in lab.world.commands)


def test_without_the_key_nothing_is_looked_at(lab: ScriptedLab) -> None:
    lab.start()
    found = lab.verify("web.")
    assert [(item.id, item.verdict) for item in found] == [(name, SKIP) for name in PROBES]
    assert all("web: true" in item.observed for item in found)


def test_a_program_reads_from_each_file_what_the_table_says(lab: ScriptedLab) -> None:
    inventory = lab.inventory
    for domain in inventory.domains:
        for account in domain.accounts:
            wanted, right = of_account(inventory, account.address), of_domain(inventory, domain)
            assert reading.of_autoconfig(autoconfig(right).encode(), account.address) == wanted.servers
            for settings in (right, wanted):
                read = (
                    reading.of_autodiscover(autodiscover(settings).encode(), account.address),
                    reading.of_mobileconfig(mobileconfig(settings).encode(), account.address),
                    reading.of_pacc(pacc_file(settings).encode(), account.address),
                )
                for servers in read:
                    assert servers
                    assert all(server == wanted.best(server.protocol) for server in servers)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<",
        b"<clientConfig/>",
        b'<!DOCTYPE a [<!ENTITY b "c">]><clientConfig/>',
        b"<clientConfig><emailProvider><incomingServer type='nntp'/></emailProvider></clientConfig>",
        b"\xff\xfe\x00",
        b"<plist/>",
        b"<plist><dict/></plist>",
        b"[]",
        b'{"protocols": {}, "authentication": {"password": true}}',
        b'{"protocols": {"imap": "mx1"}, "authentication": {"password": true}}',
        b'{"protocols": {"imap": {"host": "mx1"}}}',
    ],
)
def test_what_is_no_such_file_is_told_and_never_a_traceback(data: bytes) -> None:
    every = (reading.of_autoconfig, reading.of_autodiscover, reading.of_mobileconfig, reading.of_pacc)
    for read in every:
        with pytest.raises(reading.Unreadable):
            read(data, "ana@alpha.test")


def test_an_address_at_a_domain_alias_logs_in_as_the_account(lab: ScriptedLab, web: Web) -> None:
    """By each file that can say who that is; PACC has no place for it, so there is none."""
    settings = of_domain(lab.inventory, lab.inventory.domains[0], "alfa.test")
    for file, read in ((autoconfig, reading.of_autoconfig), (autodiscover, reading.of_autodiscover)):
        servers = read(file(settings).encode(), "ana@alfa.test")
        assert {one.user for one in servers} == {"ana@alpha.test"}
        web.pages[PATHS[f"web.{file.__name__}"]] = (200, "text/xml", file(settings).encode())
    for name in NAMES:
        lab.world.records[name.replace("alpha", "alfa"), "A"] = ["127.0.0.1"]
    found = {item.id: item for item in lab.verify("web") if item.target.domain == "alfa.test"}
    assert {name: found[name].verdict for name in PROBES[:3]} == dict.fromkeys(PROBES[:3], PASS), found
    assert "web.pacc" not in found or found["web.pacc"].verdict is SKIP
