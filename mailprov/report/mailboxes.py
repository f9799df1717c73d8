"""How mailboxes look whose accounts are gone: a table, host by host."""

from __future__ import annotations

import datetime
from collections.abc import Iterable

from rich.filesize import decimal
from rich.table import Table

from mailprov.i18n import N_, _
from mailprov.model.answers import KeptMailbox


def render(boxes: Iterable[KeptMailbox]) -> Table:
    """One line for each; `mailprov purge INVENTORY ADDRESS` deletes one."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in (N_("host"), N_("mailbox"), N_("messages"), N_("size"), N_("last message")):
        table.add_column(
            _(name), justify="right" if name in ("messages", "size") else "left", overflow="fold"
        )
    for box in boxes:
        last = datetime.datetime.fromtimestamp(box.changed, datetime.timezone.utc)
        table.add_row(
            box.subject,
            box.address,
            str(box.messages),
            decimal(box.bytes),
            f"{last:%Y-%m-%d %H:%M} UTC" if box.changed else _("none"),
        )
    return table
