"""How mailboxes look whose accounts are gone, and homes of users who had a shell: tables, host by host."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Iterator

from rich.filesize import decimal
from rich.table import Table

from mailprov.i18n import N_, _
from mailprov.model.answers import KeptHome, KeptMailbox


def render(kept: Iterable[KeptMailbox | KeptHome]) -> Iterator[Table]:
    """One line for each; `mailprov purge INVENTORY ADDRESS` deletes what an address has left. Nothing, no table."""
    every = list(kept)
    boxes = [one for one in every if isinstance(one, KeptMailbox)]
    homes = [one for one in every if isinstance(one, KeptHome)]
    if boxes:
        table = _table(N_("host"), N_("mailbox"), N_("messages"), N_("size"), N_("last message"))
        for box in boxes:
            row = (box.subject, box.address, str(box.messages), decimal(box.bytes), _time(box.changed))
            table.add_row(*row)
        yield table
    if homes:
        table = _table(N_("host"), N_("account"), N_("home"), N_("files"), N_("size"), N_("last change"))
        for home in homes:
            row = (home.subject, home.address, home.path, str(home.files), decimal(home.bytes))
            table.add_row(*row, _time(home.changed))
        yield table


def _table(*names: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in names:
        right = name in ("messages", "files", "size")
        table.add_column(_(name), justify="right" if right else "left", overflow="fold")
    return table


def _time(seconds: int) -> str:
    if not seconds:
        return _("none")
    return f"{datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc):%Y-%m-%d %H:%M} UTC"
