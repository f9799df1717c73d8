"""Where a trace begins: who may hand the message over, at which server and port, and how.

    Options                                         what the command line says of the trace
    Entrance                                        host, port, login
    entrance(inventory, letter, options) -> Entrance

Raises InputError for senders and recipients of whom nothing could be seen.
"""

from __future__ import annotations

from mailprov.errors import InputError
from mailprov.i18n import _
from mailprov.model.accounts import Account
from mailprov.model.inventory import Host, Inventory
from mailprov.model.ports import Port
from mailprov.model.values import dataclass
from mailprov.run.trace_letter import Letter

WAIT = 30.0  # seconds for a message to arrive
_SUBMISSION = (587, 465)


@dataclass(frozen=True)
class Options:
    """`password`: of the sender, where the inventory has only a hash; None: it was not asked for.

    `wire`: the hosts' Postfix tells more about the message meanwhile (run/trace_wire.py).
    """

    password: str | None = None
    keep: bool = False
    wait: float = WAIT
    wire: bool = False


@dataclass(frozen=True)
class Entrance:
    """Where the message is handed over. `login` is a user and a password; `why` it is not one, where it could be."""

    host: Host
    port: Port
    login: tuple[str, str] | None = None
    why: str = ""


def entrance(inventory: Inventory, letter: Letter, options: Options) -> Entrance:
    from mailprov.probe.context import port_numbered
    from mailprov.trace.expected import account_of, domain_of

    served = [domain for each in letter.recipients if (domain := domain_of(inventory, each)) and domain.hosts]
    home = domain_of(inventory, letter.sender)
    account = account_of(inventory, letter.sender)
    if home is not None and home.hosts and account is None:
        raise InputError(
            letter.sender,
            _("is no account of {domain}").format(domain=home.name),
            _("Name one that is in the inventory, or a sender of another domain"),
        )
    why = ""
    if account is not None and home is not None and home.hosts:
        host = inventory.host(home.hosts[0])
        password = _password(account, options)
        port = next((each for each in map(port_numbered, _SUBMISSION) if host.offers(each)), None)
        if password is not None and port is not None:
            return Entrance(host, port, (account.login_name, password))
        why = (
            _("{host} offers no submission").format(host=host.name)
            if password is not None
            else _("the password of {sender} is not known here (--password asks for it)").format(
                sender=letter.sender
            )
        )
    if not served:
        raise InputError(
            letter.recipients[0],
            _("neither the sender nor a recipient can be followed: {reason}").format(
                reason=why or _("none of them is in the inventory")
            ),
            _("Give --password, or name an account of the inventory"),
        )
    ours = next((each.host for each in served[0].exchangers if each.ours), served[0].hosts[0])
    return Entrance(inventory.host(ours), port_numbered(25), None, why)


def _password(account: Account, options: Options) -> str | None:
    """A password that its user owns may be another one by now: the prompt wins."""
    if options.password is not None:
        return options.password
    return account.password.reveal() if account.password is not None else None
