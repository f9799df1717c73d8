"""An account added to the text of an inventory, changed in it or removed from it.

    Inventory(text, file)
        .addresses                          what the file says of addresses
        .added(address, keys) -> Edited     `keys` as the file has them: {"password": {"hash": …}, "quota": "1G"}
        .changed(address, keys) -> Edited   these keys alone
        .removed(address) -> Edited

The result is read again, and must be what was read before with this one change; a form for which that is not so (an
alias that stands for accounts, an anchor that other places repeat, …) is refused with its place. Pure.

Raises InputError, and InventoryError where the file is no inventory.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from mailprov.errors import InputError, InventoryError
from mailprov.i18n import _
from mailprov.inventory.composer import parse
from mailprov.inventory.edit.addresses import Addresses
from mailprov.inventory.edit.nodes import Entry, Node, Tree
from mailprov.inventory.edit.splices import Unsafe, appended, filled, removed, replaced, replaced_pair
from mailprov.schema.document import Document, KeyPath, Map

_STEP = 2  # columns, where the file does not say how it is indented


class Edited(NamedTuple):
    text: str
    line: int  # where the account stands in the new text; where it stood, if it was removed


class Inventory:
    def __init__(self, text: str, file: str) -> None:
        self.text, self.file = text, file
        self.document: Document = parse(text, file)
        if self.document.problems:
            raise InventoryError(self.document.problems)
        self.tree = Tree(text)
        self.addresses = Addresses(self.document)

    def added(self, address: str, keys: dict[str, Any]) -> Edited:
        self.addresses.free(address)
        domain, local = self.addresses.domain(address), address.rpartition("@")[0]
        holder = self._own_entry(("domains", domain))
        accounts = holder.value.find("accounts")
        node = self.document.node(("domains", domain))
        written = node.marks.get("accounts") if isinstance(node, Map) else None
        if accounts is None and written is not None:
            raise self._unsafe(Unsafe(written[0], _("comes from somewhere else by `<<`")))

        def edit() -> str:
            if accounts is None:
                return appended(self.tree, holder.value, "accounts", {local: keys}, self._step(holder))
            if accounts.value.is_null:
                if holder.value.flow:
                    return replaced(self.tree, accounts, {local: keys})
                return filled(self.tree, accounts, local, keys, self._step(holder))
            self._is_own_map(accounts)
            return appended(self.tree, accounts.value, local, keys)

        def change(data: dict[str, Any]) -> None:
            accounts_of = data["domains"][domain]
            accounts_of["accounts"] = {**(accounts_of.get("accounts") or {}), local: keys}

        return self._checked(edit, change, ("domains", domain, "accounts", local))

    def changed(self, address: str, keys: dict[str, Any]) -> Edited:
        """Keys whose value is None are taken out."""
        edited = Edited(self.text, self.document.position(self.addresses.account(address), key=True)[0])
        for key, value in keys.items():
            edited = Inventory(edited.text, self.file)._changed(address, key, value)
        return edited

    def _changed(self, address: str, key: str, value: Any) -> Edited:
        path = self.addresses.account(address)
        account = self._own_entry(path)
        entry = account.value.find(key)

        def edit() -> str:
            if entry is None:
                return self.text if value is None else appended(self.tree, account.value, key, value)
            if value is None:
                return removed(self.tree, account, account.value, entry)
            return _new_value(self.tree, entry, value)

        def change(data: dict[str, Any]) -> None:
            mapping = data
            for step in path:
                mapping = mapping[str(step)]
            if value is None:
                mapping.pop(key, None)
            else:
                mapping[key] = value

        return self._checked(edit, change, path)

    def removed(self, address: str) -> Edited:
        path = self.addresses.account(address)
        holder, account = self._own_entry(path[:-1]), self._own_entry(path, whole=False)

        def change(data: dict[str, Any]) -> None:
            del data["domains"][str(path[1])]["accounts"][str(path[3])]

        edited = self._checked(lambda: removed(self.tree, holder, holder.value, account), change, path)
        return Edited(edited.text, account.key.at[0])

    def _own_entry(self, path: KeyPath, whole: bool = True) -> Entry:
        """The entry at `path` as it is written there; not what an alias or `<<` brings. `whole`: it is a mapping."""
        node = self.tree.top
        entry: Entry | None = None
        for index, step in enumerate(path):
            if entry is not None:
                self._is_own_map(entry)
                node = entry.value
            entry = node.find(str(step))
            if entry is None:
                at = self.document.position(path[: index + 1], key=True)
                raise self._unsafe(Unsafe(at, _("comes from somewhere else by `<<`")))
        assert entry is not None
        if whole:
            self._is_own_map(entry)
        return entry

    def _is_own_map(self, entry: Entry) -> None:
        if entry.value.kind == "alias":
            raise self._unsafe(Unsafe(entry.value.at, _("is an alias (`*`) of what stands somewhere else")))
        if entry.value.kind != "map":
            raise self._unsafe(Unsafe(entry.value.at, _("is not a mapping")))

    def _step(self, holder: Entry) -> int:
        """How much deeper a mapping in a domain stands than its key."""
        if not holder.value.entries:
            return _STEP
        for entry in holder.value.entries:
            if entry.value.kind == "map" and not entry.value.flow and entry.value.entries:
                return entry.value.entries[0].key.at[1] - entry.key.at[1]
        if holder.value.flow:
            return _STEP
        return max(1, holder.value.entries[0].key.at[1] - holder.key.at[1])

    def _checked(
        self, edit: Callable[[], str], change: Callable[[dict[str, Any]], None], path: KeyPath
    ) -> Edited:
        """What `edit` gives, if that is the same data with `change`."""
        at = self.document.position(path, key=True)
        try:
            text = edit()
            wanted = _copied(self.document.data)
            change(wanted)
            document = parse(text, self.file)
        except Unsafe as error:
            raise self._unsafe(error) from None
        except InventoryError:
            raise self._unsafe(Unsafe(at, _("cannot be edited so that the file stays YAML"))) from None
        if document.problems or _copied(document.data) != _copied(wanted):
            what = _("cannot be edited without a change of something else in the file")
            raise self._unsafe(Unsafe(at, what))
        return Edited(text, document.position(path, key=True)[0])

    def _unsafe(self, error: Unsafe) -> InputError:
        what = _("what stands here {reason}; nothing was changed").format(reason=error)
        return InputError(
            self.addresses.place(error.at), what, _("Edit the file by hand, then run `mailprov apply`")
        )


def _new_value(tree: Tree, entry: Entry, value: Any) -> str:
    """A secret in one form takes the place of another one's; of everything else the whole value is written anew."""
    old: Node = entry.value
    if (
        entry.key.text == "password"
        and isinstance(value, dict)
        and len(value) == 1
        and old.kind == "map"
        and len(old.entries) == 1
        and old.entries[0].key.text != "<<"
    ):
        ((name, text),) = value.items()
        return replaced_pair(tree, old.entries[0], name, text)
    return replaced(tree, entry, value)


def _copied(value: Any) -> Any:
    """Without positions, and what an alias repeats for each place by itself. Keys without a value are there, too."""
    if isinstance(value, dict):
        return {key: _copied(value.get(key)) for key in getattr(value, "marks", value)}
    if isinstance(value, list):
        return [_copied(each) for each in value]
    if isinstance(value, bool):
        return "true" if value else "false"
    return None if value is None else str(value)
