"""An inventory of one server that no file describes: what `mailprov verify --server` looks at.

    Login                     one who logs in there: address, and where the password is
    parse_login(text)         from the command line: ADDRESS, or ADDRESS=env:NAME, =file:PATH, =command:COMMAND
    of_server(…) -> Inventory

It is what a file with `managed: false`, this host, these domains and these accounts would be. Nobody's passwords are
in it but those that were given. Raises InputError.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from mailprov.errors import InputError, InventoryError
from mailprov.i18n import _
from mailprov.inventory import load
from mailprov.model.accounts import Account
from mailprov.model.dns import DnsSettings, NameServer, ProviderSettings
from mailprov.model.inventory import Inventory, Tls, TlsMode
from mailprov.model.secret import Secret
from mailprov.model.values import dataclass
from mailprov.schema import names

_FORMS = ("env", "file", "command")
_NOBODYS = "{SHA512-CRYPT}$6$nobodyspassword$" + "." * 86


@dataclass(frozen=True)
class _NamedServer(ProviderSettings):
    """A name server that is only asked."""

    address: str = ""

    @property
    def name_server(self) -> NameServer:
        return NameServer(self.address)


@dataclass(frozen=True)
class Login:
    """`reference`: where the password is, as the inventory has it; None: it is asked for. `probe`: it is for tests."""

    address: str
    reference: tuple[str, str] | None = None
    probe: bool = False

    @property
    def domain(self) -> str:
        return self.address.rpartition("@")[2]


def parse_login(text: str, *, probe: bool = False) -> Login:
    option = "--probe-account" if probe else "--account"
    word, given, where = text.partition("=")
    try:
        address = names.address(word)
    except names.BadName as error:
        what = _("is no address: it {reason}").format(reason=error)
        raise InputError(f"{option} {word}", what, _("Write it as ana@example.org")) from None
    if not given:
        return Login(address, probe=probe)
    form, colon, value = where.partition(":")
    if form not in _FORMS or not colon or not value:
        # Not what stands there: it may be the password itself.
        raise InputError(
            f"{option} {address}",
            _("what follows the = does not say where the password is"),
            _(
                "Write {address}=env:NAME, {address}=file:PATH or {address}=command:COMMAND, or the address alone to "
                "be asked"
            ).format(address=address),
        )
    return Login(address, (form, value), probe)


def of_server(
    server: str,
    domains: Sequence[str],
    logins: Sequence[Login],
    *,
    by_name: bool = False,
    address: str = "",
    name_server: str = "",
    ca_file: Path | None = None,
    self_signed: bool = False,
    ask: Callable[[str], str],
) -> Inventory:
    """`server` is its name, as in MX and certificate; `address` is where it is, if that is not in DNS. `name_server`
    is asked first for every record. `by_name`: accounts log in by what stands before the @, as system users do.
    `ask(address)` gets a password that no reference tells.
    """
    fqdn = _checked("--server", server, names.fqdn, _("Give the name that its certificate has"))
    where = _checked("--address", address, names.host_address, _("Give an IP address")) if address else fqdn
    wanted = [
        _checked("--domain", each, names.domain, _("Write it as in an address, behind the @"))
        for each in domains
    ]
    wanted = list(dict.fromkeys((*wanted, *(login.domain for login in logins))))
    if not wanted:
        raise InputError(
            "--server",
            _("needs a domain whose mail it has"),
            _("Name it with --domain, or an account of it with --account"),
        )
    if ca_file is not None:
        _read(ca_file)
    body: dict[str, object] = {
        "managed": False,
        "hosts": {fqdn: {"address": where, "fqdn": fqdn}},
        "domains": {each: {"hosts": [fqdn], "accounts": _accounts(each, logins, by_name)} for each in wanted},
    }
    made = _loaded(body)
    first = _checked("--name-server", name_server, _ip, _("Give its IP address")) if name_server else ""
    mode = TlsMode.SELF_SIGNED if self_signed else TlsMode.FILES
    host = replace(made.hosts[0], tls=Tls(mode, ca_file=ca_file))
    asked = {
        login.address: Secret("asked", ask(login.address)) for login in logins if login.reference is None
    }

    def with_asked(account: Account) -> Account:
        known = asked.get(account.address)
        return account if known is None else replace(account, password=known, password_hash=None)

    served = tuple(
        replace(domain, accounts=tuple(map(with_asked, domain.accounts))) for domain in made.domains
    )
    asked_first = DnsSettings(_NamedServer(address=first)) if first else made.dns
    return replace(made, source="", hosts=(host,), domains=served, dns=asked_first)


def _accounts(domain: str, logins: Sequence[Login], by_name: bool) -> dict[str, object]:
    found: dict[str, object] = {}
    for login in logins:
        local, _at, home = login.address.rpartition("@")
        if home != domain:
            continue
        form, value = login.reference or ("hash", _NOBODYS)  # the place of one that is asked for
        found[local] = {
            "password": {form: value},
            **({"login": local} if by_name else {}),
            **({"probe": True} if login.probe else {}),
        }
    return found


def _loaded(body: dict[str, object]) -> Inventory:
    """There is no file in which a line could be named: an account or a domain tells where it is."""
    try:
        return load(Path("--server"), text=json.dumps(body))
    except InventoryError as error:
        problem = error.problems[0]
        option = "--account" if ".accounts." in problem.path else "--server"
        raise InputError(option, problem.what) from None


def _read(ca_file: Path) -> None:
    try:
        ssl.create_default_context(cafile=str(ca_file))
    except OSError as error:
        no_pem = isinstance(error, ssl.SSLError)
        reason = _("there is no certificate in it") if no_pem else error.strerror or str(error)
        raise InputError(
            f"--ca-file {ca_file}",
            _("cannot be used: {reason}").format(reason=reason),
            _("Give a file with the authority's certificate (PEM)"),
        ) from None


def _ip(text: str) -> str:
    return names.ip(text, 6 if ":" in text else 4)


def _checked(option: str, text: str, check: Callable[[str], str], advice: str) -> str:
    try:
        return check(text)
    except names.BadName as error:
        what = _("cannot be used: it {reason}").format(reason=error)
        raise InputError(f"{option} {text}", what, advice) from None
