"""postmaster@ and abuse@ that the inventory does not name go to a domain's first account: who that is may change. Pure.

    moved(changes) -> [sentence]     of a host's plan: those whose mail goes to somebody else now

RFC 5321 section 4.5.1 and RFC 2142 want both answered. An account that is put above the others takes them over, and
with them the right to send under these names, which a diff of Postfix's tables tells to nobody who does not look.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from mailprov.i18n import _
from mailprov.model.events import Change

TABLE = "/etc/postfix/mailprov/virtual"
# As components/postfix/addresses.py writes them; the comment stands for each of these that is not in the inventory.
_COMMENT = re.compile(r"([+-])# ((?:postmaster|abuse)@\S+) is not in the inventory; it goes to (\S+)\.")
_LINE = re.compile(r"-((?:postmaster|abuse)@\S+) (.+)")


def moved(changes: Iterable[Change]) -> list[str]:
    """In the order of the table."""
    found = []
    for change in changes:
        if change.name != TABLE:
            continue
        lines = change.diff.splitlines()
        comments = [match.groups() for line in lines if (match := _COMMENT.fullmatch(line))]
        before = {match[1]: match[2] for line in lines if (match := _LINE.fullmatch(line))}
        before.update({address: target for sign, address, target in comments if sign == "-"})
        for sign, address, target in comments:
            was = before.get(address)
            if sign == "+" and was is not None and was != target:
                found.append(
                    _(
                        "{address} goes to {target} instead of {was}, and so does the right to send as it: "
                        "it is not in the inventory, so it has no place of its own; name it among the "
                        "aliases to keep it where it is"
                    ).format(address=address, target=target, was=was)
                )
    return found
