"""Inventories and facts that the tests of this directory share: built from the model, no YAML."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from mailprov.model.accounts import Account, Forward
from mailprov.model.inventory import Domain, Host, Inventory, SshSettings, Tls
from mailprov.model.secret import Secret

BOOKWORM = {"postfix": "3.7.11-0+deb12u1", "dovecot-core": "1:2.3.19.1+dfsg1-2.1+deb12u7"}
TRIXIE = {"postfix": "3.10.13-0+deb13u1", "dovecot-core": "1:2.4.1+dfsg1-6+deb13u7"}


def facts(versions: dict[str, str], ipv6: tuple[str, ...] = ()) -> dict[str, Any]:
    return {
        "packages": {
            name: {"installed": None, "candidate": version}
            for name, version in {"postsrsd": "1.10-2+b1", **versions}.items()
        },
        "ipv4": ["10.0.0.11"],
        "ipv6": list(ipv6),
    }


def host(name: str = "mx1", fqdn: str = "mx1.alpha.test", tls: Tls | None = None) -> Host:
    return Host(name, "10.0.0.11", fqdn, SshSettings(), tls or Tls())


def account(address: str, quota: int | None = None, forward: Forward | None = None) -> Account:
    return Account(address, password=Secret("env:PASSWORD", "correct horse"), quota=quota, forward=forward)


def alpha() -> Domain:
    """One of everything that a domain can have."""
    return Domain(
        "alpha.test",
        ("mx1",),
        accounts=(
            account("ana@alpha.test", quota=200 * 1024**2),
            account("luis@alpha.test", forward=Forward(("luis@beta.test",), keep=True)),
            account(
                "marta@alpha.test", quota=1000, forward=Forward(("eva@beta.test", "m@else.test"), keep=False)
            ),
            account("o'hara=x@alpha.test"),
        ),
        aliases=(
            ("postmaster@alpha.test", "ana@alpha.test"),
            ("ventas@alpha.test", "ana@alpha.test"),
            ("info@alpha.test", "ventas@alpha.test"),
            ("todos@alpha.test", "profes@alpha.test"),
        ),
        lists=(("profes@alpha.test", ("ana@alpha.test", "luis@alpha.test", "x+y#z@else.test")),),
        domain_aliases=("alfa.test",),
    )


def delta() -> Domain:
    """A small second domain on the same host: nobody is postmaster."""
    return Domain("delta.test", ("mx1",), accounts=(account("zoe@delta.test"), account("adam@delta.test")))


def owned() -> Domain:
    """The same with two passwords that their users own, one of them given as a hash."""
    ana, luis, marta, ohara = alpha().accounts
    ready = Secret("hash", "{SHA512-CRYPT}$6$abc$def")
    own = replace(ohara, password=None, password_hash=ready, owner="user")
    return replace(alpha(), accounts=(replace(ana, owner="user"), luis, marta, own))


def inventory(*domains: Domain, on: Host | None = None) -> Inventory:
    return Inventory("inv.yml", (on or host(),), domains or (alpha(), delta()))
