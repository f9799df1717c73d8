"""A trace that was interrupted takes its message out of the mailboxes again, and says where it may still be.

    owner_password(owner, login) -> password        None where nobody here knows it
    home(inventory, address) -> Host                where an account's mailbox is; None where it is elsewhere
    take_back(inventory, sent, desk, removed, say)  what was removed, and what is left, with the command that removes it

`sent` is what is known of the message (Sent). A message may still be on its way when it is looked for; so each mailbox
is looked into for some seconds, until it was there. Nothing else is touched: it is found by the mark of this trace.
Raises nothing of its own; KeyboardInterrupt passes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection

from mailprov.i18n import _
from mailprov.model.accounts import Account
from mailprov.model.inventory import Host, Inventory
from mailprov.model.values import dataclass
from mailprov.probe.clients.errors import ProbeError
from mailprov.probe.mailauth.message import MARK
from mailprov.run.trace_letter import Letter, Ready
from mailprov.run.trace_sending import Desk
from mailprov.trace.expected import account_of, domain_of, ends
from mailprov.trace.observed import Dialogue

PATIENCE = 10.0  # seconds for a message that is on its way; Ctrl-C ends that
_PAUSE = 0.5


@dataclass(frozen=True)
class Sent:
    """`dialogue` is None where the interruption came before the server's last word: it may have taken it or not."""

    letter: Letter
    ready: Ready
    login: tuple[str, str] | None
    dialogue: Dialogue | None = None

    @property
    def recipients(self) -> tuple[str, ...]:
        """Whom the server took, as far as it has spoken."""
        return self.letter.recipients if self.dialogue is None else self.dialogue.taken


def owner_password(owner: Account, login: tuple[str, str] | None) -> str | None:
    """`login`: with what the message was handed over; its password may have been asked for."""
    if login is not None and login[0] == owner.login_name:
        return login[1]
    if owner.password is None or owner.owner == "user":
        return None
    return owner.password.reveal()


def home(inventory: Inventory, address: str) -> Host | None:
    domain = domain_of(inventory, address)
    return inventory.host(domain.hosts[0]) if domain is not None and domain.hosts else None


def take_back(
    inventory: Inventory,
    sent: Sent,
    desk: Desk,
    removed: Collection[str],
    say: Callable[[str], None],
    patience: float = PATIENCE,
) -> None:
    """Each sentence as soon as it is known. `removed`: accounts out of whose mailboxes it was removed before."""
    waiting: dict[str, tuple[Host, Account, str]] = {}
    left: dict[str, str] = {}  # account → why
    for address in dict.fromkeys(end for each in sent.recipients for end in ends(inventory, each)):
        owner, host = account_of(inventory, address), home(inventory, address)
        if address in removed:
            continue
        if owner is None or host is None:
            say(_("what goes to {address} cannot be taken back").format(address=address))
        elif (password := owner_password(owner, sent.login)) is None:
            left[address] = _("its password is not known here")
        else:
            waiting[address] = (host, owner, password)
            left[address] = _("it was not there yet; mailprov queue shows whether it waits")
    end = time.monotonic() + patience
    try:
        while waiting:
            for address, (host, owner, password) in list(waiting.items()):
                try:
                    count = desk.clear(host, owner, password, MARK, sent.ready.mark)
                except ProbeError as error:
                    left[address] = str(error)
                    continue
                if count:
                    del waiting[address], left[address]
                    say(_("the message was removed from the mailbox of {account}").format(account=address))
            if not waiting or time.monotonic() >= end:
                break
            time.sleep(_PAUSE)
    finally:  # also where it is interrupted once more
        for address, why in left.items():
            say(_left(inventory, address, why, sent.ready.mark))


def _left(inventory: Inventory, address: str, why: str, mark: str) -> str:
    host = home(inventory, address)
    assert host is not None
    text = _(
        "the message may be in the mailbox of {account} or still come into it ({reason}); this removes it, on {host}: "
        "{command}"
    )
    command = f"doveadm expunge -u {address} mailbox '*' header {MARK} {mark}"
    return text.format(account=address, reason=why.rstrip("."), host=host.name, command=command)
