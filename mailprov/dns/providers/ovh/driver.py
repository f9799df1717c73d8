"""The driver for OVHcloud: reads the records of one name at a time, each by its id, and writes record by record.

What is written is stored at first, and published when the zone is refreshed: that is done after each write, also after
one that ended in the middle, and again when it fails, since nothing can go wrong by that. Only what is stored can be
read. So that a zone that was stored and never published is not taken for done, its markers have a second text until the
refresh has succeeded: the next plan finds that and removes it.

SPF, DKIM and DMARC are types of OVH's own, and TXT in DNS: they are read as such. mailprov makes TXT only; a record of
those types that gets another value keeps its type, and DKIM and DMARC are written without quotes then. A TTL of 0 is
that of the zone, an hour.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace

from mailprov.dns.api import client as api
from mailprov.dns.api.client import part
from mailprov.dns.api.driver import RecordsDriver
from mailprov.dns.api.records import TARGETS, Item, absolute, plain, relative, sets, unquoted, whole_target
from mailprov.dns.driver import Outcome, Say
from mailprov.dns.ownership import is_marker
from mailprov.dns.rrsets import Edit, Key, RRset, Snapshot, ancestors
from mailprov.errors import DnsFailed, DnsUnreachable, MailprovError
from mailprov.i18n import _
from mailprov.model.hostnames import inside
from mailprov.records import types

_TEXTS = frozenset({"SPF", "DKIM", "DMARC"})
_UNQUOTED = frozenset({"DKIM", "DMARC"})
_HOUR = 3600
_WAITING = "unpublished=1"  # a word that ownership.py does not know, and skips
_PAUSES = (2.0, 10.0, 30.0)  # seconds before the zone is refreshed again


class OvhDriver(RecordsDriver):
    def list_zones(self) -> Mapping[str, str]:
        return {plain(str(name)): str(name) for name in self.client.get("/domain/zone").data}

    def read(self, zone: str, keys: Collection[Key]) -> Snapshot:
        names = {step for key in keys for step in ancestors(key[0]) if inside(step, zone)}
        items: dict[str, Item] = {}
        for name in sorted(names):
            for item in self._records(zone, name, items):
                items[item.id] = item
        return sets(self.noted(zone, items.values(), keys))

    def _records(self, zone: str, name: str, known: Mapping[str, Item]) -> Iterator[Item]:
        """The filter is a LIKE of SQL, so it may find more than this name; what is read is kept all the same."""
        path = self._path(zone)
        for number in self.client.get(path, [("subDomain", relative(name, zone, ""))]).data:
            if str(number) in known:
                continue
            reply = self.client.get(f"{path}/{part(str(number))}", absent=True)
            if reply.status == 404:
                continue  # somebody has removed it in between
            told = reply.data
            native = str(told["fieldType"])
            kind = "TXT" if native in _TEXTS else native
            text = str(told["target"])
            text = unquoted(text) if kind == "TXT" else whole_target(text, zone) if kind in TARGETS else text
            key = (absolute(str(told.get("subDomain") or ""), zone), kind)
            yield Item(key, int(told.get("ttl") or 0) or _HOUR, text, str(told["id"]), told)

    def make(self, zone: str, edit: Edit, value: str, about: str) -> Item:
        text = types.render(edit.type, value)
        body = {
            "fieldType": edit.type,
            "subDomain": relative(edit.name, zone, ""),
            "target": text,
            "ttl": edit.ttl,
        }
        made = self.client.call("POST", self._path(zone), about, body=body).data
        return Item((edit.name, edit.type), edit.ttl, text, str(made["id"]), made)

    def alter(self, zone: str, edit: Edit, item: Item, value: str, about: str) -> None:
        same = value == item.value
        text = str(item.raw.get("target", item.text)) if same else types.render(edit.type, value)
        if not same and item.raw.get("fieldType") in _UNQUOTED:
            text = value
        body = {"subDomain": relative(edit.name, zone, ""), "target": text, "ttl": edit.ttl}
        self.client.call("PUT", f"{self._path(zone)}/{part(item.id)}", about, body=body)

    def remove(self, zone: str, item: Item, about: str) -> None:
        self.client.call("DELETE", f"{self._path(zone)}/{part(item.id)}", about)

    def write(
        self, zone: str, snapshot: Snapshot, edits: Sequence[Edit], version: RRset | None, say: Say
    ) -> Outcome:
        """Raises DnsFailed where the zone could not be refreshed: what is read back is what is stored."""
        self._unpublished: MailprovError | None = None
        outcome = super().write(zone, snapshot, edits, version, say)
        if self._unpublished is None:
            return outcome
        raise DnsFailed(
            f"zone {zone}",
            _("{server} has stored the records but not published them: {reason}").format(
                server=self.where, reason=self._unpublished.what
            ),
            _(
                "Run `mailprov dns apply` again; if it finds nothing to do, refresh the zone in the provider's panel"
            ),
        )

    def change(self, zone: str, snapshot: Snapshot, edits: Sequence[Edit], say: Say) -> bool:
        markers = [edit for edit in edits if is_marker(edit.name)]
        waiting = {edit: tuple(f"{text} {_WAITING}" for text in edit.add) for edit in markers}
        first = [replace(edit, remove=(), add=(*edit.add, *waiting[edit])) for edit in markers if edit.add]
        try:
            self.each(zone, [*first, *(edit for edit in edits if edit not in markers)])
        finally:
            self._refresh(zone)
        if self._unpublished is None:
            self.each(
                zone, [replace(edit, remove=(*edit.remove, *waiting[edit]), add=()) for edit in markers]
            )
            self._refresh(zone)
        return True

    def _refresh(self, zone: str) -> None:
        path = f"/domain/zone/{part(self.zones[zone])}/refresh"
        for pause in (*_PAUSES, 0.0):
            try:
                self.client.call("POST", path)
                self._unpublished = None
                return
            except (DnsFailed, DnsUnreachable) as error:
                self._unpublished = error
            api.sleep(pause)

    def _path(self, zone: str) -> str:
        return f"/domain/zone/{part(self.zones[zone])}/record"
