"""After an apply: what a change can have touched is verified, and whatever nobody has thought of touches everything."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from mailprov import probe
from mailprov.inventory import load
from mailprov.model.events import Action, Change
from mailprov.model.inventory import Inventory
from mailprov.run.select import select
from mailprov.run.verify_scope import (
    ADDRESSES,
    CERTIFICATES,
    EVERYTHING,
    LOGINS,
    RECORDS,
    Scope,
    after,
    scope_of,
)

GOLDEN = Path(__file__).resolve().parents[2] / "golden"
MAPS = "/etc/postfix/mailprov/"
TEXT = """
hosts:
  mx1: {address: 192.0.2.1, fqdn: mx1.alpha.test, tls: {mode: self-signed}}
  mx2: {address: 192.0.2.2, fqdn: mx2.beta.test, tls: {mode: self-signed}}
domains:
  alpha.test:
    hosts: [mx1]
    accounts: {ana: {password: {env: P}}}
    domain_aliases: [alfa.test]
  gamma.test: {hosts: [mx1], accounts: {gus: {password: {env: P}}}}
  beta.test: {hosts: [mx2], accounts: {eva: {password: {env: P}}}}
"""


@pytest.fixture
def inventory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Inventory:
    monkeypatch.setenv("P", "secret word")
    path = tmp_path / "mail.yml"
    path.write_text(TEXT)
    return load(path)


def diff(*lines: str) -> str:
    return "\n".join(["--- a", "+++ a", "@@ -1,2 +1,3 @@", " postmaster ana@alpha.test", *lines])


def file(name: str, diff: str = "", action: Action = Action.UPDATE, host: str = "mx1") -> Change:
    return Change(host, "file", action, name, diff=diff)


def record(name: str) -> Change:
    return Change("zone alpha.test", "record", Action.UPDATE, name)


RELOAD = Change(
    "mx1", "service", Action.RUN, "postfix.service", "reload because of /etc/postfix/mailprov/virtual"
)
ALIAS = file(f"{MAPS}virtual", diff("+sales@alpha.test ana@alpha.test"))
MX1 = Scope(hosts=("mx1",))


def of(*domains: str, probes: tuple[str, ...] = ADDRESSES) -> Scope:
    return Scope(probes, (), domains)


@pytest.mark.parametrize(
    ("changes", "scope"),
    [
        ([ALIAS, file(f"{MAPS}logins", diff("+sales@alpha.test ana@alpha.test")), RELOAD], of("alpha.test")),
        ([file(f"{MAPS}virtual", diff("-sales@alfa.test x@alpha.test"))], of("alpha.test")),
        ([file(f"{MAPS}virtual", diff("+a@gamma.test x", "+@alpha.test x"))], of("alpha.test", "gamma.test")),
        ([file(f"{MAPS}mailboxes", diff("-# c@x.test", "+c@gamma.test mailbox"))], of("gamma.test")),
        # A user of the system, a domain that has left, a map that is made, or was edited by hand.
        ([file(f"{MAPS}virtual", diff("+root ana@alpha.test"))], MX1),
        ([file(f"{MAPS}virtual", diff("-a@left.test ana@alpha.test"))], MX1),
        ([file(f"{MAPS}virtual")], MX1),
        ([file(f"{MAPS}virtual", ALIAS.diff, Action.CREATE)], MX1),
        ([dataclasses.replace(ALIAS, drift=True)], MX1),
        ([Change("mx1", "account", Action.CREATE, "zed@gamma.test")], of("gamma.test", probes=ADDRESSES + LOGINS)),
        ([Change("mx1", "certificate", Action.UPDATE, "mx1.alpha.test")], Scope(CERTIFICATES, ("mx1",))),
        ([file("/etc/mailprov/tls/mx1.pem")], Scope(CERTIFICATES, ("mx1",))),
        ([record("alpha.test MX")], of("alpha.test", probes=RECORDS)),
        ([record("_dmarc.alfa.test TXT")], of("alpha.test", probes=RECORDS)),
        ([record("_25._tcp.mx1.alpha.test TLSA")], of("alpha.test", "gamma.test", probes=RECORDS)),
        ([record("mx1.alpha.test A")], MX1),
        ([record("1.2.0.192.in-addr.arpa PTR")], EVERYTHING),
        # Together: whatever one of them can have touched.
        ([ALIAS, file("/etc/postfix/main.cf")], MX1),
        ([ALIAS, file("/etc/postfix/main.cf", host="mx2")], EVERYTHING),
        ([file("/etc/postfix/main.cf", host="mx2"), record("beta.test MX")], Scope(hosts=("mx2",))),
        ([ALIAS, file("/etc/mailprov/tls/mx1.pem")], Scope(tuple(dict.fromkeys(ADDRESSES + CERTIFICATES)), ("mx1",))),
        ([Change("mx3", "file", Action.UPDATE, f"{MAPS}virtual")], EVERYTHING),
        # What only follows from something says nothing of its own, and a restart touches all that the service does.
        ([RELOAD], EVERYTHING),
        ([ALIAS, dataclasses.replace(RELOAD, detail="restart because of x")], MX1),
        ([ALIAS, dataclasses.replace(RELOAD, action=Action.UPDATE)], MX1),
        ([Change("mx1", "package", Action.CREATE, "postfix")], MX1),
        ([], EVERYTHING),
    ],
)  # fmt: skip
def test_what_a_change_can_have_touched(changes: list[Change], scope: Scope, inventory: Inventory) -> None:
    assert scope_of(changes, inventory) == scope


def test_every_other_file_of_a_host_touches_all_of_it(inventory: Inventory) -> None:
    small = {f"{MAPS}{name}" for name in ("virtual", "mailboxes", "logins", "redirects", "sent_on")}
    names = {
        f"/{'/'.join(p.relative_to(GOLDEN).parts[1:])}" for p in GOLDEN.glob("*/etc/**/*") if p.is_file()
    }
    assert names > small
    for name in names - small:
        narrow = name.startswith("/etc/mailprov/tls/") or name.startswith("/etc/letsencrypt/")
        wanted = Scope(CERTIFICATES, ("mx1",)) if narrow else MX1
        assert scope_of([file(name, ALIAS.diff)], inventory) == wanted, name


def test_each_family_of_a_scope_has_probes() -> None:
    ids = [entry.id for entry in probe.catalogue()]
    words = {*ADDRESSES, *LOGINS, *CERTIFICATES, *RECORDS}
    assert {word for word in words if not any(probe.selects(word, each) for each in ids)} <= {"address"}


def test_what_is_left_out_is_one_line(inventory: Inventory) -> None:
    selection, probes, said = after([ALIAS], inventory, select(inventory))
    assert (selection.whole, selection.domains, selection.looked_at, probes) == (
        False,
        ("alpha.test",),
        (),
        ADDRESSES,
    )
    assert said == (
        "this change can have touched net, smtp.vrfy, relay, unknown, spoof, delivery, address, dsn of alpha.test "
        "alone, so nothing else was probed; `mailprov verify` looks at everything, and so does --verify-scope full"
    )
    whole, probes, said = after([RELOAD], inventory, select(inventory))
    assert (whole.whole, probes, said) == (True, (), "")


def test_what_the_user_narrowed_stays_narrow(inventory: Inventory) -> None:
    chosen = select(inventory, ["mx1"])
    selection, __, __ = after([ALIAS], inventory, chosen)
    assert ([host.name for host in selection.looked_at], selection.domains) == (["mx1"], ("alpha.test",))
    elsewhere = file("/etc/postfix/main.cf", host="mx2")
    assert after([elsewhere], inventory, chosen) == (chosen, (), "")  # rather all of it than nothing
