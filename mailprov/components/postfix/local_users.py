"""What users with a shell may send on the host itself: mail of their account, in the envelope and in what readers see.

    settings(people, logins, domain, postfix) -> Local | None     None where the host has no such users
    Local              what main.cf and master.cf get
    sender_checks(…)   regexp_table(5): the user → senders of the envelope (postconf(5), local_login_sender_maps)

sendmail(1), and with it cron and every script, hands mail to postdrop(1), which asks `local_login_sender_maps` about
the sender of the envelope (Postfix 3.6 and later; before, these users cannot use it at all: authorized_submit_users).
What stands in the header is the business of the submission check, as for mail by SMTP: `cleanup` asks it about each
message, on a socket of its own, and there the sender of the envelope counts as the login. Everybody else on the host,
root, daemons, cron, sends as before. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from mailprov.components.templates import MANAGED
from mailprov.components.versions import Version
from mailprov.model.shell_users import ShellUser


class Local(NamedTuple):
    """`checks` and `senders` are texts of tables; `refused`: names for authorized_submit_users, on an older Postfix."""

    checks: str
    senders: dict[str, tuple[str, ...]]
    refused: tuple[str, ...]


def settings(people: Iterable[ShellUser], logins: str, domain: str, postfix: Version) -> Local | None:
    """`logins`: the table of that name; `domain`: of senders that the host makes itself."""
    every = tuple(people)
    if not every:
        return None
    refused = () if postfix.at_least(3, 6) else tuple(each.name for each in every)
    return Local(
        sender_checks(every, logins, domain),
        {f"{each.name}@{domain}": (each.address,) for each in every},
        refused,
    )


def sender_checks(people: Iterable[ShellUser], logins: str, domain: str) -> str:
    """`domain`: what sendmail(1) writes behind a name without one."""
    known = _addresses(logins)
    lines = [
        f"# {MANAGED}",
        "# regexp_table(5): the user → senders of mail that is handed to sendmail(1). Users with a shell send as their",
        "# account, and not as nobody (<>), either; uid: is somebody without a name.",
    ]
    for each in people:
        own = [each.address, *(name for name in known.get(each.address, ()) if name != each.address)]
        lines.append(f"/^{re.escape(each.name)}$/ {' '.join([*own, each.name, f'{each.name}@{domain}'])}")
    lines += ["/^uid:/ nobody@invalid", "/^/ *"]
    return "\n".join(lines).replace("\\-", "-") + "\n"


def _addresses(logins: str) -> Mapping[str, list[str]]:
    """login → its addresses, from the table that smtpd_sender_login_maps reads."""
    found: dict[str, list[str]] = {}
    for line in logins.splitlines():
        address, __, login = line.partition(" ")
        if login and not line.startswith("#") and not address.startswith("@"):
            found.setdefault(login.strip(), []).append(address)
    return found
