"""Sound hosts for mutations: put one in, look with `mailprov verify`, take it back.

    INVENTORY                      two hosts with the default filter, Debian 12 and 13, and all that verify looks at
    Hosts(lab)                     .sound(): a first look; its findings are no sign of a mutation
        .tried(mutation)           what verify said on each host, put back as it was before
    Seen                           the findings of one host: whether a wanted probe objected, and what else did

Raises AssertionError where a mutation cannot be put in or taken back, with what the host said.
"""

from __future__ import annotations

import contextlib
import ipaddress
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import dns.message
import dns.query
import dns.rcode
import dns.reversename
import dns.tsigkeyring
import dns.update

from mailprov import lab
from mailprov.probe.checks import probes
from tests.lab.program import Result, run
from tests.mutations.catalogue import HELPERS, Edit, Mutation

INVENTORY = """\
tls: {mode: self-signed}
web: true
hosts:
  mx1: {address: 192.0.2.11, fqdn: mx1.alpha.test, lab: {release: debian-12}}
  mx2: {address: 192.0.2.12, fqdn: mx2.beta.test, lab: {release: debian-13}}
domains:
  alpha.test:
    hosts: [mx1]
    quota: 500M
    accounts:
      ana: {password: {env: ANA}, quota: 200M}
      luis: {password: {env: LUIS}, forward: {to: [luis@beta.test], keep: true}}
      sol: {password: {env: SOL}, state: no-login}
    aliases: {postmaster: ana, ventas: ana}
    lists: {profes: [ana, luis, eva@beta.test]}
    domain_aliases: [alfa.test]
    dmarc: {policy: quarantine, rua: postmaster}
    tls_rpt: postmaster
    srv: true
    webmail: roundcube
  beta.test:
    hosts: [mx2]
    accounts:
      eva: {password: {env: EVA}, quota: 200M}
      luis: {password: {env: LUIS2}}
      paz: {password: {env: PAZ}, forward: {to: [ana@alpha.test], keep: false}}
    aliases: {postmaster: eva, ventas: eva}
    lists: {grupo: [eva, luis]}
    catch_all: eva
    dmarc: {policy: reject}
    srv: true
    webmail: roundcube
"""
_NAMES = {
    "mx1": {
        "FQDN": "mx1.alpha.test",
        "D": "alpha.test",
        "A": "ana",
        "B": "luis",
        "C": "sol",
        "OD": "beta.test",
        "OA": "eva",
    },
    "mx2": {
        "FQDN": "mx2.beta.test",
        "D": "beta.test",
        "A": "eva",
        "B": "luis",
        "C": "paz",
        "OD": "alpha.test",
        "OA": "ana",
    },
}
_OF = {"mx1": ("alpha.test", "alfa.test"), "mx2": ("beta.test",)}
_COPIED = "postfix dovecot rspamd mailprov"
_KEEP = f"mkdir -p /root/sound && cd /etc && cp -a {_COPIED} /root/sound/ && cp -aL resolv.conf /root/sound/"
_BACK = (
    f"cd /etc && for d in {_COPIED}; do rm -rf $d && cp -a /root/sound/$d $d; done; cp -a /root/sound/resolv.conf "
    "resolv.conf; cp /etc/resolv.conf /var/spool/postfix/etc/resolv.conf"
)
_READY = (  # what was started again answers; a reader of the log would see no more
    "for i in $(seq 600); do ss -Hltn | grep -q ':25 ' && ss -Hltn | grep -q ':993 ' && ss -Hltn | grep -q ':443 '"
    " && rspamc -h /run/rspamd/controller.sock stat >/dev/null 2>&1 && exit 0; sleep 0.2; done; exit 1"
)
RED = ("fail", "warn", "error")


@dataclass
class Seen:
    """`wanted`: findings of the probes that must object. `others`: what else is red and was not before."""

    host: str
    wanted: list[dict[str, Any]]
    others: list[dict[str, Any]]
    severe: bool  # one of `wanted` is at least as bad as it must be

    @property
    def good(self) -> bool:
        return bool(self.wanted) and self.severe


class Hosts:
    def __init__(self, where: lab.Lab) -> None:
        self.lab = where
        self.inventory = str(where.inventory_path)
        self._before: set[tuple[str, ...]] = set()

    def shell(self, host: str, command: str) -> str:
        done = subprocess.run(
            self.lab.ssh_argv(host, ["sh", "-s"]), input=command, capture_output=True, text=True, timeout=600
        )
        assert done.returncode == 0, f"{host}: {command}\n{done.stdout}{done.stderr}"
        return done.stdout

    def sound(self) -> Result:
        for host in _NAMES:
            self.shell(host, _KEEP)
        result = self._verify()
        self._before = {_key(each) for each in result.of("found") if each["verdict"] in RED}
        return result

    def tried(self, mutation: Mutation) -> list[Seen]:
        try:
            for host in mutation.hosts:
                if mutation.put:
                    self.shell(host, self._prelude(host) + mutation.put + "\n" + self._restart(mutation))
            with self._edited(mutation.records):
                return self._looked(mutation)
        finally:
            for host in mutation.hosts:
                if mutation.put:
                    self.shell(host, self._prelude(host) + f"( {mutation.back or ':'} )\n{_BACK}\n")
                    self.shell(host, self._restart(mutation) + "postsuper -d ALL >/dev/null 2>&1\n")

    def _looked(self, mutation: Mutation) -> list[Seen]:
        """By the probes that are for it; where they do not say so everywhere, by all."""
        known = {each.entry.id for each in probes()}
        only = [word for name in mutation.seen_by if name in known for word in ("--probe", name)]
        for words in [only, []] if only else [[]]:
            said = self._verify(*words).of("found")
            found = [each for each in said if each["verdict"] in RED and _key(each) not in self._before]
            seen = [_seen(mutation, host, found) for host in mutation.hosts]
            if all(each.good for each in seen):
                break
        return seen

    def _verify(self, *words: str) -> Result:
        return run("verify", self.inventory, *words)

    def _prelude(self, host: str) -> str:
        other = next(name for name in _NAMES if name != host)
        words = {
            **_NAMES[host],
            "OIP": self.lab.host(other).address,
            "DOVECOT": "2.3" if host == "mx1" else "2.4",
        }
        return "".join(f"{name}={value}\n" for name, value in words.items()) + HELPERS

    @staticmethod
    def _restart(mutation: Mutation) -> str:
        again = "".join(
            f"systemctl reset-failed {name}; systemctl restart {name}\n" for name in mutation.restart
        )
        return again + (f"( {_READY} )\n" if mutation.restart else "")

    @contextlib.contextmanager
    def _edited(self, edits: tuple[Edit, ...]) -> Iterator[None]:
        put: list[tuple[str, str, list[str], list[str]]] = []
        for name, kind, pattern, new in edits:
            if name == "{ip}":
                name = str(dns.reversename.from_address(self.lab.host("mx1").address))
            old = self._answers(name, kind)
            changed = [re.sub(pattern, new, each, count=1) for each in old] if pattern else [*old, new]
            assert changed != old, f"{name} {kind}: {pattern} is in none of {old}"
            put.append((name, kind, old, changed))
        try:
            for name, kind, __, changed in put:
                self._replace(name, kind, changed)
            yield
        finally:
            for name, kind, old, __ in put:
                self._replace(name, kind, old)

    @property
    def _name_server(self) -> str:
        return str(ipaddress.ip_network(self.lab.subnet)[2])

    def _answers(self, name: str, kind: str) -> list[str]:
        answer = dns.query.tcp(dns.message.make_query(name, kind), self._name_server, timeout=60)
        return [rdata.to_text() for rrset in answer.answer for rdata in rrset]

    def _replace(self, name: str, kind: str, values: list[str]) -> None:
        secret = (self.lab.directory / "secrets" / "tsig").read_text().strip()
        keyring = dns.tsigkeyring.from_text({"mailprov-lab": secret})
        query = dns.message.make_query(name, "SOA")
        said = dns.query.tcp(query, self._name_server, timeout=60)
        zone = next(rrset.name for part in (said.answer, said.authority) for rrset in part)
        update = dns.update.UpdateMessage(zone, keyring=keyring, keyalgorithm="hmac-sha256")
        update.delete(name, kind)
        for value in values:
            update.add(name, 3600, kind, value)
        assert dns.query.tcp(update, self._name_server, timeout=60).rcode() == dns.rcode.NOERROR


def _key(finding: dict[str, Any]) -> tuple[str, ...]:
    target = finding["target"]
    return (finding["id"], *(str(target[name]) for name in ("host", "address", "port", "domain", "account")))


def _is_of(finding: dict[str, Any], host: str) -> bool:
    target = finding["target"]
    return target["host"] == host or any(name in target["domain"].split("->") for name in _OF[host])


def _seen(mutation: Mutation, host: str, found: list[dict[str, Any]]) -> Seen:
    mine = [each for each in found if _is_of(each, host)]
    wanted = [each for each in mine if each["id"] in mutation.seen_by]
    enough = {"fail": {"fail"}, "error": {"fail", "error"}, "warn": {"fail", "error", "warn"}}[mutation.only]
    severe = any(each["verdict"] in enough for each in wanted)
    return Seen(host, wanted, [each for each in mine if each not in wanted], severe)
