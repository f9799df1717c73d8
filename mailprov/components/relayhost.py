"""A smarthost: what Postfix needs to hand all mail that leaves to one host, over TLS, after a login.

    Relay        what the inventory says of it; `SETTING.of(host)` is None where mail leaves directly
    PASSWORD     the table with the login there
    roots(host)  what Postfix checks certificates of other hosts with
    COMPONENT

Pure, but for reading `relayhost.ca_file`. Raises InputError when that cannot be read.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from mailprov.components.base import Build, Component, Parts
from mailprov.components.postfix.addresses import MAPS
from mailprov.components.setting import Rehearsal, Setting
from mailprov.components.templates import MANAGED
from mailprov.errors import InputError
from mailprov.i18n import N_, _
from mailprov.model.host_state import File
from mailprov.model.inventory import Host, Inventory
from mailprov.model.secret import Secret
from mailprov.model.values import dataclass
from mailprov.schema import names
from mailprov.schema.context import Context
from mailprov.schema.document import KeyPath, show
from mailprov.schema.entry import Entry
from mailprov.schema.scalars import Text, whole
from mailprov.schema.secret_entry import SecretEntry

PASSWORD = f"{MAPS}/relay_password"
_ROOTS = f"{MAPS}/relay_roots.pem"
SYSTEM_ROOTS = "/etc/ssl/certs/ca-certificates.crt"


class RelayEntry(Entry):
    """A smarthost for all mail that leaves: where the provider blocks port 25."""

    host: Text = Field(description=N_("its name, as in its certificate"), examples=["smtp.example.net"])
    port: Annotated[int, whole(1, 65535)] = Field(
        587, description=N_("587 (STARTTLS) or 465 (TLS at once); 587 if not given")
    )
    user: Text = Field(description=N_("the login there"))
    password: SecretEntry = Field(description=N_("its password"), examples=[{"env": "RELAY_PASSWORD"}])
    ca_file: Text | None = Field(
        default=None, description=N_("PEM with the roots of its certificate; the system's store if not given")
    )


@dataclass(frozen=True)
class Relay:
    """A smarthost: all mail that leaves goes there, over TLS, after a login."""

    host: str
    port: int
    user: str
    password: Secret
    ca_file: Path | None = None  # what its certificate is checked with, in place of the system's store

    @property
    def implicit_tls(self) -> bool:
        return self.port == 465  # RFC 8314 section 3.3

    @property
    def nexthop(self) -> str:
        """As Postfix writes it: the host itself, not its MX."""
        return f"[{self.host}]:{self.port}"


def _resolve(entry: RelayEntry, path: KeyPath, base: Relay | None, context: Context) -> Relay:
    host = context.checked((*path, "host"), entry.host, names.fqdn) or ""
    if re.search(r"[\s:]", entry.user):
        what = _('"{name}" is not a valid login name; it contains a space or a colon').format(
            name=show(entry.user)
        )
        context.problem((*path, "user"), what)
    password = context.secret(entry.password, (*path, "password"), check=_not_in_a_table)
    if entry.port == 25:
        what = _("port 25 takes no logins; a smarthost for customers listens on 587 or 465")
        context.problem((*path, "port"), what)
    return Relay(host, entry.port, entry.user, password, context.path(entry.ca_file))


def _not_in_a_table(value: str) -> str:
    """Postfix takes blanks off the ends of a table's values."""
    if value != value.strip() or not value.isprintable():
        return _("gives a password that begins or ends with a blank, or has a control character in it")
    return ""


def _rehearse(relay: Relay | None, lab: Rehearsal) -> dict[str, Any] | None:
    """A smarthost outside would send the lab's mail into the world; one of the lab's own hosts is kept."""
    users = {account.address for domain in lab.inventory.domains for account in domain.accounts}
    if not relay or relay.user not in users or relay.host not in {host.fqdn for host in lab.inventory.hosts}:
        return None
    return {
        "host": relay.host,
        "port": relay.port,
        "user": relay.user,
        "password": lab.password(relay.user),
        "ca_file": lab.ca_file,
    }


SETTING: Setting[Relay | None] = Setting(
    "relayhost",
    RelayEntry,
    N_("a smarthost for all mail that leaves"),
    _resolve,
    default=None,
    if_missing=N_("mail goes to its destination directly if not given"),
    wins=N_("wins as a whole"),
    sets_up=True,
    rehearse=_rehearse,
)


class _Relayhost(Component):
    name = "relayhost"
    about = N_("hands all mail that leaves to a smarthost")
    settings = (SETTING,)
    credentials = ("relayhost.password",)

    def wanted(self, host: Host) -> bool:
        return SETTING.of(host) is not None

    def packages(self, inventory: Inventory, host: Host) -> tuple[str, ...]:
        return ("libsasl2-modules",)  # what Postfix logs in with

    def parts(self, build: Build) -> Parts:
        return Parts(packages=self.packages(build.inventory, build.host), files=files(build.host))


COMPONENT = _Relayhost()


def roots(host: Host) -> str:
    """What Postfix checks certificates of others with."""
    relay = SETTING.of(host)
    return _ROOTS if relay and relay.ca_file else SYSTEM_ROOTS


def files(host: Host) -> tuple[File, ...]:
    """The password's table, for root alone, and the smarthost's roots. Postfix opens both before it gives up root and
    enters its chroot.
    """
    relay = SETTING.of(host)
    if relay is None:
        return ()
    row = f"{relay.nexthop} {relay.user}:{relay.password.reveal()}"
    text = f"# {MANAGED}\n# The login at the smarthost (SASL_README).\n{row}\n"
    made = [File(PASSWORD, text, mode="0600", secret=True)]
    if relay.ca_file:
        try:
            made.append(File(_ROOTS, relay.ca_file.read_text(encoding="ascii")))
        except (OSError, UnicodeDecodeError) as error:
            reason = (isinstance(error, OSError) and error.strerror) or _("it is not PEM")
            where = f"host {host.name}"
            raise InputError(
                where,
                _("cannot read {path}: {reason}").format(path=relay.ca_file, reason=reason),
                _("Check relayhost.ca_file"),
            ) from None
    return tuple(made)
