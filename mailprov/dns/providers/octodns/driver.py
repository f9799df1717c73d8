"""The driver: reads a zone as a whole, and writes set by set, with the zone read anew before each of them.

Each reading is by a new instance of the class: what some of them keep for later calls (zones, records) is never what
counts. Just before a set is written it is compared with what was planned on, and nothing is done where it is another
one; what octoDNS then takes for the existing set is what was compared. A zone that is not there is an error: octoDNS
would create it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from mailprov.dns.abilities import Abilities
from mailprov.dns.api.records import plain
from mailprov.dns.driver import Outcome, Result, Say, ZoneDriver
from mailprov.dns.guard import as_read
from mailprov.dns.ownership import is_marker
from mailprov.dns.providers.octodns import contents, powerdns, sessions, steps
from mailprov.dns.providers.octodns.contents import Contents
from mailprov.dns.providers.octodns.failures import failure
from mailprov.dns.providers.octodns.loading import Maker
from mailprov.dns.providers.octodns.settings import OctodnsSettings
from mailprov.dns.rrsets import Edit, Key, RRset, Snapshot, after, ancestors
from mailprov.errors import DnsFailed, DnsUnreachable, InputError
from mailprov.i18n import _
from mailprov.model.hostnames import below
from mailprov.records import types

# By the module of octoDNS: what `dns.provider` is for it.
_OURS = {
    "octodns_bind": "rfc2136",
    **{
        f"octodns_{name}": name
        for name in ("cloudflare", "digitalocean", "gandi", "hetzner", "ovh", "powerdns", "route53")
    },
}


class OctodnsDriver(ZoneDriver):
    def __init__(self, settings: OctodnsSettings, abilities: Abilities) -> None:
        self._maker = Maker(settings)
        self._listed = settings.zone_names
        self.where = self._maker.where
        with self._one() as (provider, __):
            kinds = frozenset(kind for kind in map(str, provider.SUPPORTS) if kind.isalpha())
            lowest = getattr(provider, "min_ttl", None)
            floor = lowest if isinstance(lowest, int) and lowest > 0 else abilities.ttls[0]
            self.abilities = replace(abilities, types=kinds, ttls=(floor, abilities.ttls[1]))
            self._lists = callable(getattr(provider, "list_zones", None))
        self._zones: Collection[str] | None = None
        self.weaker = self._promises()

    def _promises(self) -> tuple[str, ...]:
        unseen = sorted((types.published() | {"NS", "DNAME"}) - (self.abilities.types or frozenset()))
        said = _(
            "{provider} guarantees less than mailprov's own drivers: record sets are written one by one; what somebody "
            "else changes in a set in the very moment of a write may be lost; and how a text of somebody else is cut "
            "into strings may change"
        ).format(provider=self.where)
        told = [said]
        if unseen:
            text = _(
                "{provider} does not know these types, so what stands there of them is not seen: {types}"
            )
            told.append(text.format(provider=self.where, types=", ".join(unseen)))
        if own := _OURS.get(self._maker.module.partition(".")[0]):
            text = _("mailprov has a driver of its own for this provider, without these limits: {key}")
            told.append(text.format(key=f"`provider: {own}`"))
        return tuple(told)

    @contextmanager
    def _one(self) -> Iterator[tuple[Any, powerdns.Answers]]:
        """A new instance, and what it was answered."""
        answers = powerdns.Answers()
        provider = self._maker.make(answers)
        try:
            yield provider, answers
        finally:
            sessions.close(provider)

    @contextmanager
    def _asked(self, task: str) -> Iterator[None]:
        try:
            yield
        except InputError:
            raise
        except Exception as error:
            raise failure(error, self.where, task, self._maker.secrets) from None

    def find_zones(self) -> Collection[str]:
        if self._zones is None:
            self._zones = self._listed or self._list()
        return self._zones

    def _list(self) -> Collection[str]:
        if not self._lists:
            what = _("{provider} cannot list its zones").format(provider=self.where)
            raise InputError("dns.class", what, _("Name them in dns.zone_names"))
        with self._one() as (provider, __), self._asked(_("list its zones")):
            return self._names(provider)

    def _names(self, provider: Any) -> Collection[str]:
        return [plain(str(name)) for name in provider.list_zones()]

    def read(self, zone: str, keys: Collection[Key]) -> Snapshot:
        with self._one() as (provider, answers):
            return self._contents(provider, answers, zone).snapshot

    def _contents(self, provider: Any, answers: powerdns.Answers, zone: str) -> Contents:
        with self._asked(_("read zone {zone}").format(zone=zone)):
            found = contents.read(provider, zone, answers)
            if found is None and self._lists and zone in self._names(provider):
                return contents.empty(zone)
        if kind := answers.copy():
            raise DnsFailed(
                f"zone {zone}",
                _("{server} has only a copy of it, from another server ({kind})").format(
                    server=self.where, kind=kind
                ),
                _("Name the server that the records come from"),
            )
        if found is None:
            raise DnsFailed(
                f"zone {zone}",
                _("it is not at {provider}; nothing was written").format(provider=self.where),
                _("Create the zone there, or correct dns.zone_names"),
            )
        return found

    def write(
        self, zone: str, snapshot: Snapshot, edits: Sequence[Edit], version: RRset | None, say: Say
    ) -> Outcome:
        for number, edit in enumerate(edits):
            done = tuple(edits[:number])
            try:
                if not self._write(zone, after(snapshot, done), edit, say if not number else None):
                    return Outcome(Result.CHANGED, done=done)
            except DnsUnreachable as lost:
                return Outcome(Result.UNKNOWN, lost)
            except DnsFailed as lost:
                return Outcome(Result.REFUSED, lost)
        return Outcome(Result.DONE)

    def _write(self, zone: str, expected: Snapshot, edit: Edit, say: Say | None) -> bool:
        """False where the set is not as expected."""
        key = (edit.name, edit.type)
        with self._one() as (provider, answers):
            found = self._contents(provider, answers, zone)
            now, then = found.snapshot.get(key), expected.get(key)
            if not is_marker(edit.name) and not (as_read(now, then) and _ttl(now) == _ttl(then)):
                return False
            if edit.add and _moved(zone, found.snapshot, key):
                return False
            if now and (why := now.special or now.fixed):
                what = _("{record} is or has {what}; nothing was written there")
                raise DnsFailed(
                    f"zone {zone}",
                    what.format(record=" ".join(key), what=why),
                    _("Look at a new plan"),
                )
            if say and answers.keeps_serial():
                say(
                    _(
                        "{server} does not raise the serial of {zone} when records are written over HTTP, so its "
                        "secondaries do not fetch them; this changes it: {command}"
                    ).format(
                        server=self.where,
                        zone=zone,
                        command=f"pdnsutil set-meta {zone} SOA-EDIT-API DEFAULT",
                    )
                )
            task = _("write {record}").format(record=" ".join(key))
            with self._asked(task):
                cuts = self._maker.module == powerdns.MODULE
                step = steps.change(provider, found, edit, cuts=cuts)
                if step.new is None and step.existing is None:
                    return True  # a marker that somebody else removed already
                steps.apply(provider, found, step)
        return True


def _ttl(rrset: RRset | None) -> int | None:
    return rrset.ttl if rrset else None


def _moved(zone: str, snapshot: Snapshot, key: Key) -> bool:
    """Whether a CNAME stands at the name now, or it leads out of the zone."""
    name, kind = key
    if kind != "CNAME" and (name, "CNAME") in snapshot:
        return True
    return any(
        below(one, zone) and ((one, "NS") in snapshot or (one != name and (one, "DNAME") in snapshot))
        for one in ancestors(name)
    )
