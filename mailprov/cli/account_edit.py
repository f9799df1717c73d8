"""What the commands of `mailprov account` share: edit the inventory, show that, apply; put it back where that fails.

    Account(command, inventory, address, flags)
        .run(edit, note) -> int     `edit(file)` gives the new text; the exit code

The order, in which nothing can be lost:
1. The new file is made beside the old one, and read as an inventory. What is wrong with it is told now.
2. The hosts of the domain are planned by the new text. Until somebody says yes the inventory has not changed.
3. It takes its place, and the hosts are applied to. Where one fails, which then is as it was, the inventory is put back
   as well; where all hosts have it and only verification fails, it stays, for the file must say what the hosts have.

Raises InputError and what the commands plan and apply raise.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from mailprov.cli.streams import print_text
from mailprov.errors import InputError, InventoryError
from mailprov.i18n import _, all_of
from mailprov.model.answers import InventoryEdited
from mailprov.model.events import Event, Notice, RunEnded
from mailprov.model.values import dataclass

if TYPE_CHECKING:
    from mailprov.cli.reports import Reports
    from mailprov.inventory.edit.accounts import Edited
    from mailprov.inventory.edit.accounts import Inventory as Text
    from mailprov.inventory.edit.file import Editing
    from mailprov.model.inventory import Inventory
    from mailprov.run.deploy import Deployment

_HASH = re.compile(r"(\{[A-Za-z0-9.-]+\})[^\s'\",}]{8,}")


@dataclass(frozen=True)
class Flags:
    """Of the command line, as `apply` has them; `only_edit`: no host is asked."""

    yes: bool = False
    only_edit: bool = False
    verify: bool | None = None
    accept_drift: bool = False
    lock_timeout: float = 0
    json: bool = False
    quiet: bool = False
    diff: bool = False
    verbose: bool = False


def checked(command: str, address: str | None) -> str:
    """In canonical form. Raises InputError for what is no address, and where there is none."""
    if address is None:
        raise InputError(command, _("whose account is not given"), _("Give a whole address"))
    from mailprov.schema.names import BadName
    from mailprov.schema.names import address as canonical

    try:
        return canonical(address)
    except BadName as error:
        raise InputError(f'{command} "{address}"', str(error), _("Give one whole address")) from None


class Account:
    def __init__(self, command: str, inventory: Path, address: str, flags: Flags) -> None:
        from mailprov.cli.reports import Reports

        self.command, self.path, self.address, self.flags = command, inventory, address, flags
        self._action = command.partition(" ")[2]
        self._reports: Reports = Reports(
            json=flags.json, quiet=flags.quiet, verbose=flags.verbose, diff=flags.diff
        )
        # Before anything is asked, and before any host is.
        self._confirm = None if flags.only_edit else self._reports.confirm(flags.yes, command)
        self.kept = False  # the inventory has it now
        self._line = 0
        self._refused: InputError | None = None
        self._end: RunEnded | None = None

    def run(self, edit: Callable[[Text], Edited], told: Callable[[Inventory], str] = lambda read: "") -> int:
        """`told`: what to say once it is done, as one sentence or none."""
        from mailprov.inventory.edit.accounts import Inventory as Text
        from mailprov.inventory.edit.file import Editing
        from mailprov.schema.document import show

        if self.flags.only_edit:
            self._reports.begin(self.command, self.path)
        with Editing(self.path) as editing:
            edited = edit(Text(editing.text, show(str(self.path), 1000)))
            self._line = edited.line
            same = edited.text == editing.text
            editing.prepare(edited.text)
            read = self._read(editing, edited)
            self._show(editing.text, edited.text)
            if self.flags.only_edit:
                if not same:
                    self._written(editing)
                editing.keep()
                self.kept = True
                self._say(told(read))
                summary = _("the inventory was edited, and no host was asked")
                self._reports.emit(self._ended(0, _("nothing to edit") if same else summary))
                return 0
            deployment = self._deployed(editing, read, same)
            code = self._end.exit_code if self._end is not None else 0
            failed = [one for one in deployment.sessions if one.outcome.status != "ok"]
            if self._refused is not None:
                raise self._refused
            if not failed and not deployment.declined:
                if (
                    not same and not editing.written
                ):  # the hosts had it already, as after --no-apply elsewhere
                    self._written(editing)
                editing.keep()
                self.kept = True
                self._say(told(read))
            elif editing.written:
                self._put_back(editing, deployment)
            if self._end is not None:
                self._reports.emit(self._end)
            return code

    def _deployed(self, editing: Editing, read: Inventory, same: bool) -> Deployment:
        from mailprov.run import deploy
        from mailprov.run.select import select
        from mailprov.transport.connections import Connections

        confirm = self._confirm

        def go(counts: dict[str, int]) -> bool:
            if confirm is not None and not confirm(counts):
                return False
            if same:
                return True
            try:
                self._written(editing)
            except InputError as error:
                self._refused = error
                return False
            return True

        def report(event: Event) -> None:
            if isinstance(event, RunEnded):  # what becomes of the inventory is told before
                self._end = event
            else:
                self._reports.emit(event)

        domain = self.address.rpartition("@")[2]
        chosen = select(read, None, [domain], ["hosts"])
        if not chosen.hosts:
            raise InputError(
                str(self.path),
                _("the hosts of {domain} have `managed: false`: others built them").format(domain=domain),
                _("Give --no-apply to edit the inventory alone"),
            )
        with Connections(chosen.hosts, others=read.hosts) as connections:
            options = deploy.Options(
                command=self.command,
                confirm=go,
                verify=self.flags.verify,
                verify_scope="changed",
                lock_timeout=self.flags.lock_timeout,
                accept_drift=self.flags.accept_drift,
                on_interrupt=connections.interrupt,
                direct=connections.direct,
            )
            deployment = deploy.toward_desired(read, chosen, options, "apply", connections.start, report)
            deployment.run()
        return deployment

    def _read(self, editing: Editing, edited: Edited) -> Inventory:
        """The inventory as it will be. What was wrong before is told with its place; else what the edit brings."""
        from mailprov.inventory import SecretMode, load

        mode = SecretMode.CHECK if self.flags.only_edit else SecretMode.RESOLVE
        try:
            return load(self.path, mode, text=edited.text)
        except InventoryError as error:
            load(self.path, mode, text=editing.text)
            first = error.problems[0]
            raise InputError(
                f"{self.command} {self.address}",
                f"{first.path}: {first.what}",
                _("Nothing was changed"),
            ) from None

    def _written(self, editing: Editing) -> None:
        editing.write()
        self._reports.emit(InventoryEdited(str(self.path), self._line, self.address, self._action, "written"))

    def _put_back(self, editing: Editing, deployment: Deployment) -> None:
        editing.restore()
        self._reports.emit(
            InventoryEdited(str(self.path), self._line, self.address, self._action, "restored")
        )
        what = _("{file} is as it was before, because not every host could be changed").format(file=self.path)
        done = [one.host.name for one in deployment.sessions if one.outcome.status == "ok"]
        if done:
            what = _(
                "{file} is as it was before, because not every host could be changed; {hosts} has the change, and the "
                "next apply takes it back there"
            ).format(file=self.path, hosts=all_of(done))
        self._reports.emit(Notice("", what))

    def _say(self, sentence: str) -> None:
        if sentence:
            self._reports.emit(Notice("", sentence))

    def _show(self, old: str, new: str) -> None:
        """The lines of the file that change, as a diff has them; hashes are not shown."""
        if self.flags.json or self.flags.quiet or old == new:
            return
        print_text(f"{self.path}:{self._line}:")
        for line in difflib.unified_diff(old.splitlines(), new.splitlines(), n=0, lineterm=""):
            if not line.startswith(("---", "+++", "@@")):
                print_text(_HASH.sub(r"\1…", f"  {line[0]} {line[1:].strip()}"), indent=6)

    def _ended(self, code: int, summary: str) -> RunEnded:
        import time

        from mailprov.cli import clock

        return RunEnded(code, summary, time.monotonic() - clock.STARTED)
