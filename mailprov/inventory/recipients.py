"""Accounts, aliases and lists of a domain, and where the mail for them ends.

`of_domain` reads them; `target` resolves one reference (a name of this domain, or an address anywhere) and
says when it leads to nobody. What is wrong goes to `context.problems`. Mail that would go round: loops.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import NamedTuple

from mailprov.i18n import N_, _, all_of
from mailprov.inventory.schema_domains import AccountEntry, DomainEntry
from mailprov.model.accounts import Account, Forward
from mailprov.model.inventory import Host
from mailprov.model.secret import Secret
from mailprov.schema import names
from mailprov.schema.context import Context
from mailprov.schema.document import KeyPath, show
from mailprov.schema.scalars import NO_QUOTA
from mailprov.schema.secret_entry import InitialEntry, PasswordEntry


class Recipients(NamedTuple):
    accounts: tuple[Account, ...]
    aliases: tuple[tuple[str, str], ...]
    lists: tuple[tuple[str, tuple[str, ...]], ...]
    catch_all: str | None


def of_domain(
    entry: DomainEntry, path: KeyPath, domain: str | None, hosts: Collection[Host], context: Context
) -> Recipients:
    """`domain` is None where its own name is wrong; then names are checked and references are not.

    `hosts`: those that serve the domain.
    """
    here = _Domain(path, domain, context, {})
    accounts = [here.account(name, account, entry.quota, hosts) for name, account in entry.accounts.items()]
    aliases = [here.alias(name, text) for name, text in entry.aliases.items()]
    lists = [here.mailing_list(name, members) for name, members in entry.lists.items()]
    catch_all = entry.catch_all and here.target(
        entry.catch_all, (*path, "catch_all"), _("the catch-all leads to nobody")
    )
    return Recipients(
        tuple(accounts),
        tuple(alias for alias in aliases if alias),
        tuple(each for each in lists if each),
        catch_all,
    )


# By what the address is: `account`, `alias`, `list`.
_ALREADY = {
    "account": N_("{address} is already an account (line {line}); an address is one thing only"),
    "alias": N_("{address} is already an alias (line {line}); an address is one thing only"),
    "list": N_("{address} is already a list (line {line}); an address is one thing only"),
}


class _Domain(NamedTuple):
    """The domain that is being read. `seen`: name before the @ → what it is, and where."""

    path: KeyPath
    name: str | None
    context: Context
    seen: dict[str, tuple[str, KeyPath]]

    def account(self, name: str, entry: AccountEntry, quota: int | None, hosts: Collection[Host]) -> Account:
        """`quota` is the domain's."""
        path: KeyPath = (*self.path, "accounts", name)
        address = self._own(name, "account", path)
        for sign in {host.recipient_delimiter for host in hosts}:
            if sign and sign in name and address and sign in address.rpartition("@")[0]:
                what = _(
                    '"{name}" contains "{sign}", which separates a name from its detail (recipient_delimiter); name '
                    "the account without it"
                ).format(name=show(name), sign=sign)
                self.context.problem(path, what, key=True)
        password, ready = self._password(entry.password, (*path, "password"), hosts)
        forward = None
        if entry.forward:
            itself = _("the account forwards to itself; leave that out, `keep: true` keeps a copy")
            to = self._several(entry.forward.to, (*path, "forward", "to"), _("the forward goes to nobody"))
            forward = Forward(
                self._without(address, to, (*path, "forward", "to"), itself), entry.forward.keep
            )
        limit = quota if entry.quota is None else entry.quota
        limit = None if limit == NO_QUOTA else limit
        login = self._login(entry.login, (*path, "login"), hosts)
        owner = entry.password.owner or "inventory"
        account = Account(address or "", password, ready, limit, forward, login, owner, probe=entry.probe)
        if entry.shell is not None:
            from mailprov.inventory import shell  # few inventories have any of these

            found = shell.resolve(entry.shell, (*path, "shell"), account, hosts, self.context)
            account = replace(account, shell=found)
        if entry.model_fields_set.isdisjoint(("state", "expires", "app_passwords")):
            return account
        from mailprov.inventory import states

        return states.of_account(account, entry, path, hosts, self.context)

    def _password(
        self, entry: PasswordEntry, path: KeyPath, hosts: Collection[Host]
    ) -> tuple[Secret | None, Secret | None]:
        """As a reference and as a hash; one of them is None."""
        if entry.owner is not None:
            if others := [host.name for host in hosts if not host.managed]:
                what = _(
                    "mailprov does not manage {host}, so it sets no password there; leave `owner` and `initial` out, "
                    "and give the password or a hash alone"
                ).format(host=others[0])
                self.context.problem((*path, "owner"), what)
            elif len(hosts) > 1:
                what = _(
                    "a password that its user owns is on one host, and {domain} is on {hosts}: a change on one would "
                    "not reach the others; leave `owner` and `initial` out, or give {domain} one host"
                ).format(domain=self.name or "", hosts=all_of(host.name for host in hosts))
                self.context.problem((*path, "owner"), what)
        form: InitialEntry = entry
        if entry.initial is not None:
            form, path = entry.initial, (*path, "initial")
        if form.hash is not None:
            from mailprov.inventory.hashes import password_hash

            return None, password_hash(form.hash, (*path, "hash"), self.context)
        return self.context.secret(form, path), None

    def _login(self, name: str | None, path: KeyPath, hosts: Collection[Host]) -> str | None:
        """Where mailprov makes the accounts, they log in with their addresses and nothing else."""
        if name is None:
            return None
        if managed := [host.name for host in hosts if host.managed]:
            what = _(
                "`login` is for servers of others; mailprov manages {host}, where the login is the address; leave it "
                "out, or give that host `managed: false`"
            ).format(host=managed[0])
            self.context.problem(path, what)
        elif not name.isprintable() or name != name.strip():
            what = _(
                '"{name}" is not a valid login name; it begins or ends with a blank or contains a control character'
            )
            self.context.problem(path, what.format(name=show(name)))
        return name

    def alias(self, name: str, text: str) -> tuple[str, str] | None:
        path: KeyPath = (*self.path, "aliases", name)
        address = self._own(name, "alias", path)
        to = self.target(text, path, _("the alias leads to nobody"))
        return (address, to) if address and to else None

    def mailing_list(self, name: str, members: list[str]) -> tuple[str, tuple[str, ...]] | None:
        path: KeyPath = (*self.path, "lists", name)
        address = self._own(name, "list", path)
        if not members:
            self.context.problem(path, _("the list has no members; name at least one"))
        members_at = self._several(members, path, _("this member does not exist"))
        found = self._without(address, members_at, path, _("the list contains itself; leave that out"))
        return (address, found) if address else None

    def _own(self, name: str, kind: str, path: KeyPath) -> str | None:
        """The address that `name` defines; None if it cannot be one, or is defined before."""

        local = self.context.checked(path, name, self._local_part, key=True)
        if local is None:
            return None
        if local in self.seen:
            other, where = self.seen[local]
            what = f"{local}@{self.name}" if self.name else local
            line = self.context.document.position(where, key=True)[0]
            seen = _(_ALREADY[other]).format(address=what, line=line)
            self.context.problem(path, seen, key=True)
            return None
        self.seen[local] = (kind, path)
        if self.name is None:
            return None
        self.context.defined[f"{local}@{self.name}"] = path
        return f"{local}@{self.name}"

    def _local_part(self, text: str) -> str:
        local = names.local_part(text)
        names.check_length(f"{local}@{self.name or ''}")
        return local

    def target(self, text: str, path: KeyPath, lead: str) -> str | None:
        return target(text, path, self.name, lead, context=self.context) if self.name else None

    def _several(self, texts: list[str], path: KeyPath, lead: str) -> dict[str, int]:
        """The addresses that `texts` mean, each with its place in the list."""
        found: dict[str, int] = {}
        for index, text in enumerate(texts):
            address = self.target(text, (*path, index), lead)
            if address in found:
                self.context.problem(
                    (*path, index), _("{address} is in this list twice; keep one").format(address=address)
                )
            elif address:
                found[address] = index
        return found

    def _without(self, own: str | None, found: dict[str, int], path: KeyPath, itself: str) -> tuple[str, ...]:
        if own in found:
            self.context.problem((*path, found[own]), itself)
        return tuple(address for address in found if address != own)


def target(text: str, path: KeyPath, domain: str, lead: str, *, context: Context) -> str | None:
    """The address that `text` means, not in a domain alias; None after saying what is wrong."""
    if "@" in text:
        address = context.checked(path, text, names.address)
    else:
        local = context.checked(path, text, names.local_part)
        address = f"{local}@{domain}" if local else None
    if address is None:
        return None
    address = context.names.canonical(address)
    if context.names.lacks(address):
        local, __, at = address.rpartition("@")
        near = context.hints.near(local, context.names.locals[at])
        shown = near if "@" not in text else f"{near}@{at}"
        if near:
            what = _('there is no {address}; did you mean "{near}"?').format(
                address=address, near=show(shown)
            )
        else:
            what = _("there is no {address}; define it in {domain}, or name another").format(
                address=address, domain=at
            )
        context.problem(path, f"{lead}: {what}")
        return None
    return address
