"""What an inventory's file says of an address, and where: read from its data alone, right or not.

    Addresses(document)
        .domain(address)            the key of its domain
        .account(address)           the path of the account; for others InputError says what it is
        .free(address)              raises InputError where it is something already
        .references(address)        what else leads to it, each with its place
        .value(address, key)        what stands under a key of its account
        .least(address)             how many characters a new password of it has
        .place(at)                  file:line:column

Addresses are given in canonical form (schema/names.py); in the file they stand as somebody wrote them. Pure.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from mailprov.errors import InputError
from mailprov.i18n import N_, _
from mailprov.schema import names
from mailprov.schema.document import Document, KeyPath, Map, Position
from mailprov.schema.names import BadName

_LEAST = 12  # as components/passwords.py has it
# What an address is in a domain's part of the file, by the key that it stands under.
_IS = {
    "accounts": N_("{address} is an account already ({place})"),
    "aliases": N_("{address} is an alias already ({place}), and an address is one thing only"),
    "lists": N_("{address} is a list already ({place}), and an address is one thing only"),
}
_IS_NOT = {
    "aliases": N_("{address} is an alias ({place}), not an account"),
    "lists": N_("{address} is a list ({place}), not an account"),
}


class Reference(NamedTuple):
    """Something that leads to an account: `what` names it, such as `alias postmaster@example.org`."""

    what: str
    place: str


class Addresses:
    def __init__(self, document: Document) -> None:
        self.document, self.file = document, document.file

    def place(self, at: Position) -> str:
        return f"{self.file}:{at[0]}:{at[1]}"

    def domain(self, address: str) -> str:
        """The key of the domain; `address` is in canonical form. Raises InputError where the file does not have it."""
        wanted = address.rpartition("@")[2]
        by_name: dict[str, str] = {}
        for key, entry in self._domains().items():
            if (name := _canonical(key, names.domain)) == wanted:
                return key
            if name:
                by_name[name] = key
            for alias in _list(entry, "domain_aliases"):
                if _canonical(alias, names.domain) == wanted:
                    what = _("{domain} is another name of {other} (domain_aliases), so this means {address}")
                    local = address.rpartition("@")[0]
                    meant = f"{local}@{name or key}"
                    raise InputError(
                        self.file,
                        what.format(domain=wanted, other=name or key, address=meant),
                        _("Give that address"),
                    )
        from mailprov.schema.scalars import nearest

        near = nearest(wanted, by_name)
        advice = (
            _("Did you mean {address}?").format(address=f"{address.rpartition('@')[0]}@{near}")
            if near
            else _("Add the domain first, or give an address in one of these: {domains}").format(
                domains=", ".join(list(by_name)[:10])
            )
        )
        raise InputError(self.file, _("there is no domain {domain} in it").format(domain=wanted), advice)

    def free(self, address: str) -> None:
        domain, local = self.domain(address), address.rpartition("@")[0]
        for kind, what in _IS.items():
            if (found := self._name(domain, kind, local)) is not None:
                place = self.place(self.document.position(("domains", domain, kind, found), key=True))
                advice = (
                    _("`mailprov account set` changes it")
                    if kind == "accounts"
                    else _("Remove that first, or give another address")
                )
                raise InputError(self.file, _(what).format(address=address, place=place), advice)

    def references(self, address: str) -> list[Reference]:
        found = []
        for path, text, what in self._targets():
            domain = _canonical(str(path[1]), names.domain) or str(path[1])
            if self._meant(text, domain) == address and not (
                path[2] == "accounts" and f"{str(path[3]).lower()}@{domain}" == address
            ):
                found.append(Reference(what, self.place(self.document.position(path))))
        return found

    def value(self, address: str, key: str) -> Any:
        """What stands there, by whatever way; None where nothing does."""
        return self.document.node((*self.account(address), key))

    def least(self, address: str) -> int:
        """How many characters a new password has: `passwords.min_length`, of its hosts the longest."""
        told = [self.document.node(("passwords", "min_length"))]
        for host in _list(self.document.node(("domains", self.domain(address))), "hosts"):
            told.append(self.document.node(("hosts", str(host), "passwords", "min_length")))
        given = [int(each) for each in told if isinstance(each, str) and each.isdigit() and len(each) < 4]
        return max(given, default=_LEAST)

    def account(self, address: str) -> KeyPath:
        domain, local = self.domain(address), address.rpartition("@")[0]
        if (found := self._name(domain, "accounts", local)) is not None:
            return ("domains", domain, "accounts", found)
        for kind, what in _IS_NOT.items():
            if (other := self._name(domain, kind, local)) is not None:
                place = self.place(self.document.position(("domains", domain, kind, other), key=True))
                raise InputError(self.file, _(what).format(address=address, place=place))
        from mailprov.schema.scalars import nearest

        known = [_canonical(key, names.local_part) or key for key in self._names(domain, "accounts")]
        near = nearest(local, known)
        raise InputError(
            self.file,
            _("there is no account {address} in it").format(address=address),
            _("Did you mean {address}?").format(address=f"{near}@{address.rpartition('@')[2]}")
            if near
            else "",
        )

    def _domains(self) -> dict[str, Any]:
        """Those that have no value, too."""
        domains = self.document.node(("domains",))
        return {key: domains.get(key) for key in domains.marks} if isinstance(domains, Map) else {}

    def _names(self, domain: str, kind: str) -> list[str]:
        found = self.document.node(("domains", domain, kind))
        return list(found.marks) if isinstance(found, Map) else []

    def _name(self, domain: str, kind: str, local: str) -> str | None:
        """The key under which the file has this name."""
        every = self._names(domain, kind)
        if local in every:
            return local
        return next((key for key in every if key.lower() == local), None)

    def _targets(self) -> list[tuple[KeyPath, str, str]]:
        """Every name that mail goes to: where it stands, its text, and what it stands in."""
        found: list[tuple[KeyPath, str, str]] = []
        for key, entry in self._domains().items():
            domain = _canonical(key, names.domain) or key
            path: KeyPath = ("domains", key)

            def take(where: KeyPath, values: Any, what: str, path: KeyPath = path) -> None:
                several = values if isinstance(values, list) else [values]
                for index, each in enumerate(several):
                    if isinstance(each, str):
                        at = (*path, *where, index) if isinstance(values, list) else (*path, *where)
                        found.append((at, each, what))

            for name, to in _dict(entry, "aliases").items():
                take(("aliases", name), to, _("alias {address}").format(address=f"{name}@{domain}"))
            for name, to in _dict(entry, "lists").items():
                take(("lists", name), to, _("list {address}").format(address=f"{name}@{domain}"))
            for name, account in _dict(entry, "accounts").items():
                to = account.get("forward") if isinstance(account, dict) else None
                what = _("forward of {address}").format(address=f"{name}@{domain}")
                take(
                    ("accounts", name, "forward", "to"), to.get("to") if isinstance(to, dict) else None, what
                )
            if isinstance(entry, dict):
                take(("catch_all",), entry.get("catch_all"), _("catch-all of {domain}").format(domain=domain))
                take(("tls_rpt",), entry.get("tls_rpt"), _("tls_rpt of {domain}").format(domain=domain))
                rua = _dict(entry, "dmarc").get("rua")
                take(("dmarc", "rua"), rua, _("dmarc.rua of {domain}").format(domain=domain))
        return found

    def _meant(self, text: str, domain: str) -> str | None:
        """The address that a name in `domain` means."""
        if "@" not in text:
            local = _canonical(text, names.local_part)
            return f"{local}@{domain}" if local else None
        address = _canonical(text, names.address)
        if address is None:
            return None
        local, _at, at = address.rpartition("@")
        for key, entry in self._domains().items():
            if at in [_canonical(alias, names.domain) for alias in _list(entry, "domain_aliases")]:
                return f"{local}@{_canonical(key, names.domain) or key}"
        return address


def _canonical(text: Any, form: Callable[[str], str]) -> str | None:
    if not isinstance(text, str):
        return None
    try:
        return form(text)
    except BadName:
        return None


def _dict(entry: Any, key: str) -> dict[str, Any]:
    found = entry.get(key) if isinstance(entry, dict) else None
    return found if isinstance(found, dict) else {}


def _list(entry: Any, key: str) -> list[Any]:
    found = entry.get(key) if isinstance(entry, dict) else None
    return found if isinstance(found, list) else []
