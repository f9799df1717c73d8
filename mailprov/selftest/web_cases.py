"""The probes of the web corner: each thing that is wrong there, and what they say of it.

Public: PROBES, NAMES, PATHS, CASES (which tests have one by one), web_corner, files, fixtures(). Raises nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace

from mailprov.client.autoconfig import autoconfig
from mailprov.client.autodiscover import autodiscover
from mailprov.client.mobileconfig import mobileconfig
from mailprov.client.pacc import pacc as pacc_file
from mailprov.client.settings import of_domain
from mailprov.components.web import place
from mailprov.i18n import N_, _
from mailprov.model import pacc
from mailprov.model.findings import Finding, Verdict
from mailprov.model.inventory import Inventory
from mailprov.selftest.broken import described
from mailprov.selftest.certificates import Authority
from mailprov.selftest.fixture import Fixture, Wanted
from mailprov.selftest.scripted_lab import ScriptedLab
from mailprov.selftest.web_server import Web

PASS, WARN, FAIL, ERROR, SKIP = Verdict.PASS, Verdict.WARN, Verdict.FAIL, Verdict.ERROR, Verdict.SKIP
Act = Callable[[ScriptedLab, Web], None]
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


@contextmanager
def web_corner(lab: ScriptedLab, authority: Authority) -> Iterator[Web]:
    """mx1 has the web corner, mx2 has none; the names of alpha.test lead to mx1."""
    first, second = lab.inventory.hosts
    lab.inventory = replace(lab.inventory, hosts=(place.SETTING.on(first, True), second))
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


def spoil(*pages: tuple[int, str, bytes]) -> Act:
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
    web.pages = {path: (status, "text/plain", body) for path, (status, _kind, body) in web.pages.items()}


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
        replace(
            domain,
            accounts=tuple(replace(one, password=None) for one in domain.accounts),
        )
        for domain in lab.inventory.domains
    )
    lab.inventory = replace(lab.inventory, domains=domains)


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
CASES: dict[str, tuple[Act, tuple[Verdict, ...], str]] = {
    N_("no file"): (spoil(), (FAIL, FAIL, FAIL, FAIL), "404 Word"),
    N_("another program's page"): (
        spoil((200, "text/html", b"<html>It works!</html>")),
        (FAIL,) * 4,
        "",
    ),
    N_("a server of somebody else"): (other_server, (FAIL,) * 4, ""),
    N_("a type that programs pass over"): (other_type, (FAIL,) * 4, "text/plain"),
    N_("an answer that is no HTTP"): (spoil((0, "", b"")), (ERROR,) * 4, "not HTTP"),
    N_("no name"): (no_name, (WARN,) * 4, "does not exist"),
    N_("a name that leads elsewhere"): (led_away, (WARN,) * 4, "192.0.2.77"),
    N_("a certificate for other names"): (certificate, (PASS, WARN, WARN, WARN), ""),
    N_("a certificate of tomorrow"): (not_yet, (PASS, WARN, WARN, WARN), "certificate is not yet valid"),
    N_("a password that is refused"): (refused, (FAIL,) * 4, "there it is refused"),
    N_("nobody who could log in"): (hashes_only, (SKIP,) * 4, "only a hash"),
    N_("nothing on its ports"): (nobody_there, (ERROR,) * 4, ""),
    N_("no digest"): (no_digest, (PASS, PASS, PASS, WARN), "no record with its digest"),
    N_("neither digest nor file"): (no_digest_and_no_file, (PASS, PASS, PASS, WARN), "404 Word"),
    N_("no digest of this file"): (other_digests, (PASS, PASS, PASS, FAIL), "programs refuse the file"),
    N_("an octet too many"): (blank_at_the_end, (PASS, PASS, PASS, FAIL), "programs refuse the file"),
    N_("another file that follows"): (follows, (PASS, PASS, PASS, WARN), "another file follows"),
    N_("another file with its digest"): (left_alone, (PASS, PASS, PASS, FAIL), "another file"),
}


# What port 443 agrees to, and words that must be seen.
_AGREES = {
    "agrees-tls-1.0": "TLS 1.0 is agreed to",
    "agrees-tls-1.1 agrees-tls-1.0": "TLS 1.1 and TLS 1.0 are agreed to",
    "agrees-3DES": "agreed to: 3DES",
    "agrees-aNULL": "agreed to: aNULL",
}


def _agreeing(words: str) -> Act:
    def act(lab: ScriptedLab, web: Web) -> None:
        web.faults = frozenset(words.split())

    return act


def fixtures() -> Iterator[Fixture]:
    right = tuple(Wanted(probe, PASS, place="alpha.test") for probe in PROBES)
    sound = Wanted("web.tls", PASS, place="mx1")
    yield Fixture("web-sound", (), (*right, sound), _looked(lambda lab, web: None))
    for words, said in _AGREES.items():
        agrees = (Wanted("web.tls", FAIL, said, "mx1"),)
        yield Fixture(f"web-{words.replace(' ', '+')}", described(words), agrees, _looked(_agreeing(words)))
    for number, (case, (act, verdicts, words)) in enumerate(CASES.items(), 1):
        wanted = tuple(
            Wanted(probe, verdict, "" if verdict is PASS else words, "alpha.test")
            for probe, verdict in zip(PROBES, verdicts, strict=True)
        )
        yield Fixture(f"web-{number}", (_(case),), wanted, _looked(act))


def _looked(act: Act) -> Callable[[Authority, Collection[str]], list[Finding]]:
    def look(authority: Authority, probes: Collection[str]) -> list[Finding]:
        lab = ScriptedLab(authority)
        try:
            with web_corner(lab, authority) as web:
                act(lab, web)
                return lab.verify(" ".join(probes))
        finally:
            lab.close()

    return look
