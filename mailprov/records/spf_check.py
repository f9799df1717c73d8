"""SPF evaluation (RFC 7208 section 4) on DNS answers: small, without macros and without `ptr`.

Public: check_host, SpfError, NotEvaluated. Raises SpfError for a permanent error in a record, NotEvaluated for what it
does not evaluate, and lets pass through what `ask` raises.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Sequence
from typing import Protocol

from mailprov.i18n import _
from mailprov.records.spf_text import LOOKUP_LIMIT, VOID_LIMIT, SpfError, Term, parse, records

_RESULTS = {"+": "pass", "-": "fail", "~": "softfail", "?": "neutral"}


class Answer(Protocol):
    """`values`: addresses (A, AAAA), `10 mx.example.org` (MX), whole strings (TXT)."""

    @property
    def values(self) -> Sequence[str]: ...


Ask = Callable[[str, str], Answer]


class NotEvaluated(Exception):
    """Something valid that this evaluation leaves out (macros, ptr)."""


def check_host(address: str, domain: str, ask: Ask) -> str:
    """pass, fail, softfail, neutral or none, for mail from `address` with a sender in `domain`."""
    return _Evaluation(ipaddress.ip_address(address), ask).check(domain)


class _Evaluation:
    def __init__(self, address: ipaddress.IPv4Address | ipaddress.IPv6Address, ask: Ask) -> None:
        self._address = address
        self._ask = ask
        self._lookups = 0
        self._voids: list[str] = []

    def _count(self, term: str) -> None:
        self._lookups += 1
        if self._lookups > LOOKUP_LIMIT:
            raise SpfError(
                _("more than {limit} DNS lookups, at {term}").format(limit=LOOKUP_LIMIT, term=term)
            )

    def _void(self, term: str) -> None:
        self._voids.append(term)
        if len(self._voids) > VOID_LIMIT:
            raise SpfError(
                _("more than {limit} DNS lookups find nothing: {terms}").format(
                    limit=VOID_LIMIT, terms=", ".join(self._voids)
                )
            )

    def check(self, domain: str) -> str:
        found = records(self._ask(domain, "TXT").values)
        if not found:
            return "none"
        if len(found) > 1:
            raise SpfError(
                _("several SPF records ({count}) at {domain}").format(count=len(found), domain=domain)
            )
        # A syntax error anywhere is a permanent error, also behind a term that matches (section 4.6).
        terms = parse(found[0])
        for term in terms:
            if term.mechanism and self._matches(term, domain):
                return _RESULTS[term.qualifier]
        redirect = next((term.value for term in reversed(terms) if term.modifier == "redirect"), "")
        if redirect:
            self._count(f"redirect={redirect}")
            result = self.check(redirect)
            if result == "none":
                raise SpfError(_("redirect={redirect} leads to no SPF record").format(redirect=redirect))
            return result
        return "neutral"

    def _matches(self, one: Term, domain: str) -> bool:
        term, mechanism, value, cidr = one.text, one.mechanism, one.value, one.cidr
        if "%" in term or mechanism == "ptr":
            raise NotEvaluated(_("mailprov does not evaluate {term}").format(term=term))
        if mechanism == "all":
            return True
        if mechanism in {"ip4", "ip6"}:
            return self._in_network(term, mechanism, value + cidr)
        self._count(term)
        if mechanism == "include":
            result = self.check(value)
            if result == "none":
                raise SpfError(_("{term} leads to no SPF record").format(term=term))
            return result == "pass"
        if mechanism == "exists":
            there = bool(self._ask(value, "A").values)
            if not there:
                self._void(term)
            return there
        names = [value or domain]
        if mechanism == "mx":
            names = [item.split()[1] for item in self._ask(value or domain, "MX").values]
            if len(names) > LOOKUP_LIMIT:
                raise SpfError(
                    _("{term} has more than {limit} MX records").format(term=term, limit=LOOKUP_LIMIT)
                )
        if not names or (mechanism == "a" and not self._has_address(names[0])):
            self._void(term)
        return any(self._is_host(name, cidr) for name in names)

    def _has_address(self, name: str) -> bool:
        """Of either family: which one is asked for hangs on the sender, and the record is judged for all of them."""
        return bool(self._ask(name, "A").values or self._ask(name, "AAAA").values)

    def _in_network(self, term: str, mechanism: str, text: str) -> bool:
        try:
            network = ipaddress.ip_network(text, strict=False)
        except ValueError:
            raise SpfError(_("{term} holds no address").format(term=term)) from None
        if network.version != int(mechanism[2]):
            raise SpfError(
                _("{term} and its address are of different families (IPv4, IPv6)").format(term=term)
            )
        return self._address in network

    def _is_host(self, name: str, cidr: str) -> bool:
        kind = "A" if self._address.version == 4 else "AAAA"
        four, __, six = (
            cidr.removeprefix("/").partition("//") if not cidr.startswith("//") else ("", "", cidr[2:])
        )
        length = (four or "32") if self._address.version == 4 else (six or "128")
        addresses = self._ask(name, kind).values
        return any(
            self._address in ipaddress.ip_network(f"{item}/{length}", strict=False) for item in addresses
        )
