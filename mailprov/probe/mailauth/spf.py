"""SPF evaluation (RFC 7208 section 4) on DNS answers: small, without macros and without `ptr`.

Public: check_host, records, USUAL_SIZE, SpfError, NotEvaluated. Raises SpfError for a permanent error in a record,
NotEvaluated for what it does not evaluate, and lets NoAnswer of `resolver` pass through.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable

from mailprov.i18n import _
from mailprov.probe.clients.resolver import Answer

Ask = Callable[[str, str], Answer]

_TERM = re.compile(
    r"([+?~-]?)(all|include|a|mx|ptr|ip4|ip6|exists)(?::([^/]*[^/:\s][^/]*))?((?:/\d+)?(?://\d+)?)$", re.I
)
_MODIFIER = re.compile(r"([a-z][a-z0-9._-]*)=(.*)", re.I)
_RESULTS = {"+": "pass", "-": "fail", "~": "softfail", "?": "neutral"}
_LOOKUP_LIMIT = 10  # RFC 7208 section 4.6.4
_VOID_LIMIT = 2  # the same section: lookups that find nothing
USUAL_SIZE = 450  # octets that always fit into an answer (section 3.4)


class SpfError(Exception):
    """A permanent error: receivers treat the domain as if its record were broken."""


class NotEvaluated(Exception):
    """Something valid that this evaluation leaves out (macros, ptr)."""


def records(answer: Answer) -> list[str]:
    """The SPF records among TXT values: `v=spf1` alone, or followed by a blank (section 4.5)."""
    return [value for value in answer.values if re.match(r"v=spf1( |$)", value, re.I)]


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
        if self._lookups > _LOOKUP_LIMIT:
            raise SpfError(
                _("more than {limit} DNS lookups, at {term}").format(limit=_LOOKUP_LIMIT, term=term)
            )

    def _void(self, term: str) -> None:
        self._voids.append(term)
        if len(self._voids) > _VOID_LIMIT:
            raise SpfError(
                _("more than {limit} DNS lookups find nothing: {terms}").format(
                    limit=_VOID_LIMIT, terms=", ".join(self._voids)
                )
            )

    def check(self, domain: str) -> str:
        found = records(self._ask(domain, "TXT"))
        if not found:
            return "none"
        if len(found) > 1:
            raise SpfError(
                _("several SPF records ({count}) at {domain}").format(count=len(found), domain=domain)
            )
        redirect = ""
        # A syntax error anywhere is a permanent error, also behind a term that matches (section 4.6).
        terms = []
        for term in found[0].split()[1:]:
            if match := _TERM.match(term):
                terms.append((term, match))
            elif modifier := _MODIFIER.fullmatch(term):
                redirect = modifier[2] if modifier[1].lower() == "redirect" else redirect
            else:
                raise SpfError(_("unknown term {term}").format(term=term))
        for term, match in terms:
            if self._matches(term, match[2].lower(), match[3] or "", match[4] or "", domain):
                return _RESULTS[match[1] or "+"]
        if redirect:
            self._count(f"redirect={redirect}")
            result = self.check(redirect)
            if result == "none":
                raise SpfError(_("redirect={redirect} leads to no SPF record").format(redirect=redirect))
            return result
        return "neutral"

    def _matches(self, term: str, mechanism: str, value: str, cidr: str, domain: str) -> bool:
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
            if len(names) > _LOOKUP_LIMIT:
                raise SpfError(
                    _("{term} has more than {limit} MX records").format(term=term, limit=_LOOKUP_LIMIT)
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
