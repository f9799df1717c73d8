"""One look into a mailbox for what a run left there, on clocks of its own: the run may have been stopped.

    remove(run, host, account, searches, end) -> {search: count}     what each found, which was removed

Raises the errors of `clients`, and ProbeError where something cannot be removed.
"""

from __future__ import annotations

from collections.abc import Collection

from mailprov.i18n import _
from mailprov.model.accounts import Account
from mailprov.model.inventory import Host
from mailprov.model.values import dataclass, field
from mailprov.probe.clients.connection import Deadline
from mailprov.probe.clients.errors import ProbeError
from mailprov.probe.clients.imap import Imap
from mailprov.probe.context import Context, Run, port_numbered
from mailprov.probe.registry import reachability
from mailprov.probe.targets import imap_port


@dataclass
class _Cleaning(Context):
    end: Deadline = field(kw_only=True)

    def new_deadline(self, seconds: float) -> Deadline:
        return self.end


def remove(
    run: Run, host: Host, account: Account, searches: Collection[str], end: Deadline
) -> dict[str, int]:
    port, addresses = imap_port(host), run.addresses.get(host.name)
    if port is None or not addresses or account.password is None:
        raise ProbeError(_("the mailbox cannot be opened from here"))
    context = _Cleaning(run, reachability().entry, end=end)
    context.transcript.hide(account.password.reveal())
    client = context.open(host, addresses[0], port_numbered(port.number), secret=True)
    found: dict[str, int] = {}
    assert isinstance(client, Imap)
    with client.connection:
        login = client.login(account.login_name, account.password.reveal())
        if not login.accepted:
            raise ProbeError(context.transcript.clean(login.words))
        for folder in client.folders():
            for search in searches:
                uids = client.search_in(folder, search)
                if uids and (left := client.remove(uids)):
                    raise ProbeError(context.transcript.clean(left))
                found[search] = found.get(search, 0) + len(uids)
        client.quit()
    return found
