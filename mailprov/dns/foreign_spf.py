"""An SPF record of somebody else at a name of ours: our terms are added to it, and only these leave again. Pure.

    settle(key, before, wanted, ours, owned, facts, take_over) -> Settled
    Facts                                       what is known beside the zone (spf_facts.py)
    missing(text, goal, mine, name, facts)      which wanted terms are to be added

There can be only one SPF record at a name (RFC 7208 section 3.2), so what is wanted and what stands become one. What
others wrote stays, byte for byte: their terms, the order, and above all how it ends, though it be weaker than what the
inventory wants; that is told. Nothing is added that it has or does already: a term that stands there, hosts whose
addresses pass by what others wrote.

Ours are known by the marker (ownership.py), so the owner may change everything else meanwhile. A term that he took out
is wanted as before, and planned again. A term that another inventory added as well belongs to both.

Nothing is added, and that is a conflict, where the record cannot be understood or would not work: spf_merge.flaw says
when; and above ten lookups, or when it were too long. A record that another inventory wrote as a whole is not for
adding either: diff.py refuses it, as it refuses several records.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from mailprov.dns import ownership, spf_merge
from mailprov.dns.rrsets import Key
from mailprov.dns.shown import shown
from mailprov.i18n import N_, _, ngettext
from mailprov.model.values import dataclass, field
from mailprov.records.spf_check import NotEvaluated, check_host
from mailprov.records.spf_text import LOOKUP_LIMIT, USUAL_SIZE, SpfError, is_spf

_OR_TAKE_OVER = N_("{advice}, or run again with --take-over to replace it")
_HOSTS = ("a", "mx", "ip4", "ip6")


@dataclass(frozen=True)
class Facts:
    """`senders`: by name, the addresses of the hosts that send its mail; none where they are not all known. `wanted`:
    what the inventory publishes, by key. `texts`: as spf_merge.Known, of the records that others' records include.
    """

    senders: Mapping[str, Sequence[str]] = field(default_factory=dict)
    wanted: Mapping[Key, Sequence[str]] = field(default_factory=dict)
    texts: spf_merge.Known = field(default_factory=dict)


@dataclass(frozen=True)
class Settled:
    """`wanted`: with the changed record in place of ours. `replaced`: that of others which makes way for it. `merged`:
    the changed record, where terms of ours are in it. `entries`: of these. `conflict`: what, and advice.
    """

    wanted: dict[str, int]
    replaced: frozenset[str] = frozenset()
    merged: str = ""
    entries: frozenset[ownership.Entry] = frozenset()
    notices: tuple[str, ...] = ()
    conflict: tuple[str, str] | None = None

    def stands_for(self, value: str, added: Collection[str]) -> bool:
        """Whether this wanted value is in the changed record, which is added."""
        return bool(self.merged) and self.merged in added and is_spf(value)


@dataclass(frozen=True)
class _Answer:
    values: Sequence[str]


class _NotKnown(Exception):
    """For evaluating, something would have to be looked up that was not."""


def settle(
    key: Key,
    before: Mapping[str, int],
    wanted: dict[str, int],
    ours: Collection[str],
    owned: ownership.Ownership,
    facts: Facts,
    take_over: bool,
) -> Settled:
    """`before`: what stands, with its TTL, and `wanted` what should. `ours`: what of it we own as a whole. With
    `take_over` the record of others makes way for ours, which is for diff.py.
    """
    name, kind = key
    left_alone = Settled(wanted)
    there = [value for value in before if is_spf(value)]
    goal = next((value for value in wanted if is_spf(value)), "")
    mine = owned.terms(name)
    if kind != "TXT" or not (goal or mine) or (goal and take_over):
        return left_alone
    if any(value in ours or owned.shared(name, kind, value) for value in there):
        return left_alone
    others = ownership.terms_of(owned.others, name)
    if not goal:
        return _leaving(name, before, wanted, [term for term in mine if term not in others])
    if len(there) != 1:
        return left_alone
    (text,) = there
    if owned.owns(name, kind, goal):  # they changed the record that we wrote: what is left of it is ours
        mine = [*mine, *(one.text for one in spf_merge.counting(goal))]
    if text == goal and not mine:
        return left_alone
    return _Merge(name, text, goal, mine, others, facts).settle(before, wanted)


def _leaving(name: str, before: Mapping[str, int], wanted: dict[str, int], terms: Sequence[str]) -> Settled:
    """The domain is not the inventory's any more."""
    for text in filter(is_spf, before):
        rest = spf_merge.without(text, terms, name)
        if rest != text:
            return Settled({**wanted, rest: before[text]}, frozenset({text}), rest)
    return Settled(wanted)


class _Merge:
    """`mine`: terms that are ours. `others`: those of other inventories."""

    def __init__(
        self, name: str, text: str, goal: str, mine: Sequence[str], others: Sequence[str], facts: Facts
    ) -> None:
        self._name, self._text, self._goal, self._facts = name, text, goal, facts
        self._terms = [one.text for one in spf_merge.counting(goal)]
        known = {spf_merge.same(term, name) for term in (*mine, *others)}
        self._known = known
        keep = {spf_merge.same(term, name) for term in (*self._terms, *others)}
        self._base = spf_merge.without(
            text, [term for term in mine if spf_merge.same(term, name) not in keep], name
        )
        self._missing = missing(self._base, goal, mine, name, facts)
        had = {spf_merge.same(term, name) for term in mine}
        self._gone = [term for term in self._missing if spf_merge.same(term, name) in had]

    def settle(self, before: Mapping[str, int], wanted: dict[str, int]) -> Settled:
        name, text = self._name, self._text
        new = spf_merge.added(self._base, self._missing)
        if self._missing and (conflict := self._conflict(new)):
            return Settled(wanted, conflict=conflict)
        claimed = [
            term
            for term in self._terms
            if term in self._missing
            or (spf_merge.same(term, name) in self._known and spf_merge.holds(new, term, name))
        ]
        rest = {value: ttl for value, ttl in wanted.items() if value != self._goal}
        return Settled(
            {**rest, new: before[text]},
            frozenset({text} - {new}),
            new if claimed or new != text else "",
            frozenset(ownership.term_entry(name, term) for term in claimed),
            tuple(self._notices(new)),
        )

    def _conflict(self, new: str) -> tuple[str, str] | None:
        name = self._name
        why, advice = spf_merge.flaw(self._base, self._missing, name)
        if not why and spf_merge.count(new, self._facts.texts).number > LOOKUP_LIMIT:
            form = _("it would take more than {limit} DNS lookups, and receivers stop there")
            why, advice = form.format(limit=LOOKUP_LIMIT), _("Take out what is not needed any more")
        octets = len(name) + len(new.encode("utf-8", "surrogateescape"))
        if not why and octets > USUAL_SIZE:
            form = _("with its name it would have {count} octets, and {limit} are sure to fit in an answer")
            why = form.format(count=octets, limit=USUAL_SIZE)
            advice = _("Take out what is not needed any more")
        if not why:
            return None
        what = _(
            "{name} has SPF that mailprov did not write: {value}; {terms} cannot be added to it, because {reason}"
        ).format(name=name, value=shown(self._text), terms=" ".join(self._missing), reason=why)
        return what, _(_OR_TAKE_OVER).format(advice=advice)

    def _notices(self, new: str) -> list[str]:
        name, found = self._name, []
        end, asked = spf_merge.end_of(new), spf_merge.end_of(self._goal)
        if end and end.qualifier == "+":
            form = _(
                "{name}: the SPF record of somebody else ends in {all}, so anybody may send mail as {name}; mailprov "
                "leaves that: change it by hand"
            )
            found.append(form.format(name=name, all=end.text))
        if not self._missing:
            return found
        if self._gone:
            form = _(
                "{name}: somebody took {terms} out of the SPF record, which mailprov had added; the inventory wants it"
            )
            found.append(form.format(name=name, terms=" ".join(self._gone)))
        if not (end and end.qualifier == "+") and (end.text if end else "") != (asked.text if asked else ""):
            form = (
                _(
                    "{name}: the SPF record goes on ending in {all}, as somebody else wrote it ({wanted} by itself)"
                )
                if end
                else _(
                    "{name}: the SPF record has no {wanted} at its end, and gets none: somebody else wrote it"
                )
            )
            wanted = asked.text if asked else "-all"
            found.append(form.format(name=name, all=end.text if end else "", wanted=wanted))
        lookups = spf_merge.count(new, self._facts.texts)
        if lookups.broken:
            form = ngettext(
                "{name}: the SPF record includes {names}, which has no single SPF record: receivers may take all of "
                "it for broken",
                "{name}: the SPF record includes {names}, which have no single SPF record: receivers may take all of "
                "it for broken",
                len(lookups.broken),
            )
            found.append(form.format(name=name, names=", ".join(map(shown, lookups.broken))))
        if lookups.unknown:
            form = _(
                "{name}: how many DNS lookups the SPF record takes is not known ({number} or more, 10 are allowed), "
                "because there was no answer about {names}"
            )
            names = ", ".join(map(shown, lookups.unknown))
            found.append(form.format(name=name, number=lookups.number, names=names))
        return found


def missing(base: str, goal: str, mine: Sequence[str], name: str, facts: Facts) -> list[str]:
    """Which terms of the wanted record this one needs."""
    needed = [one for one in spf_merge.counting(goal) if not spf_merge.holds(base, one.text, name)]
    if any(one.mechanism in _HOSTS for one in needed):
        theirs = spf_merge.without(base, mine, name)
        if _all_pass(theirs, name, facts):
            needed = [one for one in needed if one.mechanism not in _HOSTS]
    return [one.text for one in needed]


def _all_pass(text: str, name: str, facts: Facts) -> bool:
    """Whether what others wrote, without its `all`, lets all hosts of the domain send, as far as that is known."""
    end = spf_merge.end_of(text)
    body = text[: end.start] if end else text

    def ask(asked: str, kind: str) -> _Answer:
        if (asked, kind) == (name, "TXT"):
            return _Answer([body])
        values = facts.texts.get(asked.lower()) if kind == "TXT" else facts.wanted.get((asked.lower(), kind))
        if values is None:
            raise _NotKnown
        return _Answer(values)

    addresses = facts.senders.get(name, ())
    try:
        return bool(addresses) and all(check_host(one, name, ask) == "pass" for one in addresses)
    except (_NotKnown, SpfError, NotEvaluated):
        return False
