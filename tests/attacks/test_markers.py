"""A neighbour in a zone who may write TXT there, and a name server that lies.

Ownership markers are texts that anybody may have written who may write texts (mailprov/dns/ownership.py). Real BIND, Knot
and PowerDNS in the long form; whatever is forged, mailprov says what it will do before it does it, deletes nothing that
mailprov never writes, nothing outside what the marker's own place can speak of, and ends in a sentence.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from mailprov import dns as driver
from mailprov.dns import ownership
from mailprov.dns.ownership import digest
from mailprov.dns.providers.rfc2136.rdata import from_rdata
from mailprov.errors import MailprovError
from tests.attacks.tries import LONG, Tries, some
from tests.unit.dns.servers import KINDS, NameServer, inventory, serving

ZONE, OTHER = "left1.test", "left2.test"


@pytest.fixture(scope="module", params=[kind for kind in KINDS if LONG or kind == next(iter(KINDS))])
def name_server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[NameServer]:
    with serving(request.param, tmp_path_factory.mktemp(request.param)) as server:
        yield server


FOREIGN = {
    ("www", "A"): "192.0.2.200", ("www", "TXT"): "theirs", ("@", "CAA"): '0 issue "ca.test"', ("_25._tcp.www", "TLSA"): "3 1 1 " + "ab" * 32,
    ("_imaps._tcp", "SRV"): "0 1 993 www", ("alias", "CNAME"): f"www.{ZONE}.", ("sub", "NS"): "ns.sub", ("ns.sub", "A"): "192.0.2.201", ("@", "TXT"): "google-site-verification=x", ("_acme-challenge", "TXT"): "challenge", ("*.wild", "A"): "192.0.2.202", ("web", "AAAA"): "2001:db8::99",
}  # fmt: skip


def plant(name_server: NameServer) -> None:
    def edit(message: object) -> None:
        for (name, kind), value in FOREIGN.items():
            message.add(
                name if name != "@" else f"{ZONE}.", 300, kind, f'"{value}"' if kind == "TXT" else value
            )  # type: ignore[attr-defined]

    name_server.change(ZONE, edit)


def full(name: str) -> str:
    return ZONE if name == "@" else f"{name}.{ZONE}"


def forged() -> list[tuple[str, str]]:
    """(name, text) of markers that a neighbour writes."""
    head = f"v=mailprov2 zone={ZONE} for={ZONE}"
    found: list[tuple[str, str]] = []
    for place in (ZONE, f"www.{ZONE}", f"mx1.{ZONE}"):
        for kind in (
            "NS",
            "SOA",
            "CNAME",
            "CAA",
            "TLSA",
            "SRV",
            "ANY",
            "AXFR",
            "IXFR",
            "OPT",
            "TSIG",
            "DNSKEY",
            "TYPE65280",
            "TYPE99999",
            "",
            "A\x1b",
            "a",
            "Ä",
            "*",
            "MAILA",
            "NONE",
            "A A",
            "0",
            "RRSIG",
            "DNAME",
        ):
            found.append((place, f"{head} @/{kind}={digest(kind or 'A', 'x')}"))
        for label in (
            "..",
            "a..b",
            ".",
            "-",
            "*",
            "a" * 64,
            ".".join(["a" * 60] * 5),
            "\\",
            "\\300",
            "\\000",
            "@.@",
            "www.",
            ".www",
            "x y",
            "é",
            "xn--",
            "_",
            "a/b",
            "/",
            "",
            "=",
            "\\046",
            "@",
            "www.other.test.",
        ):
            found.append((place, f"{head} {label}/A={digest('A', '192.0.2.200')}"))
    for names in (
        "",
        ",",
        ",,,",
        "..",
        "a..b",
        "a" * 300,
        "\\",
        "\\300.test",
        "*",
        ".",
        "@",
        "host/",
        "host/x",
        "/",
        "é.test",
        "xn--\x80",
        "x" * 64 + ".test",
        ".".join(["x" * 60] * 5),
        "test",
        OTHER,
        f"{OTHER},{ZONE}",
        ",".join(f"d{n}.{ZONE}" for n in range(200)),
        "localhost",
        "_mailprov." + ZONE,
        f"www.{ZONE}",
        "10.in-addr.arpa",
    ):
        found.append((ZONE, f"v=mailprov2 zone={ZONE} for={ZONE},{names} @/MX=x"))
        found.append((f"zz.{ZONE}", f"v=mailprov2 zone={ZONE} for={names}"))
    for zone in (
        "",
        ".",
        "test",
        OTHER,
        f"sub.{ZONE}",
        "..",
        "a" * 300,
        "\\300",
        "é",
        ZONE.upper(),
        f"{ZONE}.",
        f"www.{ZONE}",
        "*",
    ):
        found.append((ZONE, f"v=mailprov2 zone={zone} for={ZONE} @/MX=x www/A={digest('A', '192.0.2.200')}"))
        found.append((f"mx1.{ZONE}", f"v=mailprov2 zone={zone} for={ZONE} @/A=x"))
    for text in (
        "v=mailprov",
        "v=mailprov3",
        "v=mailprov4",
        "v=mailprov3 for=" + ZONE + " @/TXT=+mx,+all,+,+-all,+exists:%{i},+include:" + "a" * 300 + ",++mx",
        "v=mailprov2",
        "v=mailprov1",
        "v=mailprov1 for=" + ZONE,
        "v=mailprov2 ",
        "v=mailprov2  zone= for=",
        "v=mailprov22 x",
        "v=mailprov2 for=" + ZONE + " @/MX=" + ",".join(["A" * 12] * 3000),
        "v=mailprov2 for=" + ZONE + " " + " ".join(f"h{n}/A=xxxxxxxxxxxx" for n in range(1500)),
        "v=mailprov2 for=" + ZONE + " =/=/=/= /=/ @/=, @/MX @MX=,",
        "v=mailprov\x00",
        "v=mailprov2\tfor=" + ZONE,
        "v=mailprov2 for=" + ZONE + " @/MX=\x1b]0;x\x07",
        "v=mailprov1 zone= for=" + ZONE + " mx1/A=* www/A=*",
    ):
        found.append((ZONE, text))
    return found


def texts(text: str) -> str:
    """As master-file text: pieces of at most 255 octets."""
    raw = text.encode("utf-8", "surrogateescape")
    pieces = [raw[at : at + 255] for at in range(0, len(raw), 255)] or [b""]
    return " ".join(
        '"'
        + "".join(
            f"\\{byte:03d}" if byte < 33 or byte > 126 or byte in b'"\\;' else chr(byte) for byte in piece
        )
        + '"'
        for piece in pieces
    )


def test_forged_markers(name_server: NameServer, tries: Tries) -> None:
    """mailprov's own records stand; then each forgery, a plan, and an apply."""
    wanted = inventory(ZONE, name_server.settings())
    for plan in driver.plan(wanted):
        driver.apply(plan, lambda event: None)
    every = forged()
    plant(name_server)
    for name, kind in FOREIGN:  # just as if mailprov had written them
        for rrset in name_server.ask(full(name), kind).answer:
            entry = f"{name}/{kind}={','.join(digest(kind, from_rdata(rdata)) for rdata in rrset)}"
            every.insert(0, (ZONE, f"v=mailprov2 zone={ZONE} for={ZONE} {entry}"))
    real = {marker: name_server.values(marker, "TXT") for marker in (f"_mailprov.{ZONE}",)}
    plant(name_server)
    stood = {key: name_server.values(full(key[0]), key[1]) for key in FOREIGN}
    for place, text in [*every[:12], *some(every[12:], 30)]:
        name = ownership.marker_name(place)

        def write(message: object) -> None:
            message.add(f"{name}.", 300, "TXT", texts(text))  # type: ignore[attr-defined]  # noqa: B023

        try:
            name_server.change(ZONE, write)
        except Exception as error:
            tries.held((place, text[:80]), True, f"refused by the server: {error}")
            continue
        began = time.monotonic()
        planned: list[str] = []
        try:
            plans = driver.plan(wanted)
            planned = [f"{c.action.value} {c.name}" for plan in plans for c in plan.changes]
            for plan in plans:
                driver.apply(plan, lambda event: None)
            tries.held((place, text[:80]), True)
        except MailprovError as error:
            tries.held((place, text[:80]), str(error).isprintable() and "internal" not in str(error), error)
        except Exception as error:
            tries.held((place, text[:80]), False, repr(error))
        tries.held((place, text[:80], "in time"), time.monotonic() - began < 20, time.monotonic() - began)
        for key, values in stood.items():
            now = name_server.values(full(key[0]), key[1])
            if not values <= now:
                shown = any(f"{full(key[0])} {key[1]}" in line for line in planned)
                tries.held(
                    (place, text[:80], key),
                    shown and key[1] in ("A", "AAAA", "MX", "TXT", "SRV", "TLSA"),
                    (values, now, planned),
                )
        name_server.change(ZONE, lambda message: message.delete(f"{name}.", "TXT"))  # noqa: B023
        for marker, values in real.items():
            name_server.change(
                ZONE,
                lambda message: [message.add(f"{marker}.", 300, "TXT", one) for one in values],  # noqa: B023
            )
        plant(name_server)
    left = [f"{c.action.value} {c.name}" for plan in driver.plan(wanted) for c in plan.changes]
    tries.held("afterwards", all("marker" in one or "_mailprov" in one for one in left), left)
