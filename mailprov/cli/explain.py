"""mailprov explain: what a probe does and what its verdicts mean; what a component of a host is."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Annotated

import typer

from mailprov.cli import complete
from mailprov.cli.options import Json
from mailprov.cli.streams import print_text
from mailprov.i18n import N_, _, ngettext

if TYPE_CHECKING:
    from mailprov.probe.profiles import Rule
    from mailprov.probe.registry import Entry


def explain(
    probe_id: Annotated[
        str | None,
        typer.Argument(
            metavar="ID",
            help=N_(
                "A probe's id, such as tls.chain, a profile of verify, such as strict, a component, such as fail2ban, "
                "or a DNS record: dmarc."
            ),
            show_default=False,
            autocompletion=complete.explained,
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Explain a probe: what it proves, its steps, its verdicts, its sources. Without ID: list all probes."""
    from mailprov import probe
    from mailprov.cli.reports import Reports
    from mailprov.errors import InputError
    from mailprov.model.answers import Explained
    from mailprov.probe.vantage import WORDS, Vantage

    reports = Reports(json=json, text=False)
    entries = {entry.id: entry.translated() for entry in probe.catalogue()}
    if json and (probe_id is None or probe_id in entries):
        shown = list(entries.values()) if probe_id is None else [entries[probe_id]]
        for one in shown:
            reports.emit(
                Explained(
                    one.id,
                    one.title,
                    one.expected,
                    one.ports,
                    one.steps,
                    one.verdicts,
                    one.refs,
                    one.vantage.value,
                )
            )
        raise typer.Exit(
            reports.end(0, ngettext("{count} probe", "{count} probes", len(shown)).format(count=len(shown)))
        )
    if probe_id is None:
        width = max(len(name) for name in entries)
        for name, entry in entries.items():
            print_text(f"{name.ljust(width)}  {entry.title}", indent=width + 2)
        return
    if probe_id not in entries and (words := _profile(probe_id) or _component(probe_id) or _record(probe_id)):
        title, rows = words
        if json:
            told = tuple(f"{name}: {text}" for name, text in rows)
            reports.emit(Explained(probe_id, title, "", (), told, (), ()))
            raise typer.Exit(reports.end(0, _kind(probe_id)))
        return _print(probe_id, title, rows)
    if probe_id not in entries:
        near = difflib.get_close_matches(probe_id, entries, n=1)
        raise InputError(
            "explain",
            _('there is no probe "{probe_id}"').format(probe_id=probe_id),
            probe.new_name(probe_id)
            or (_("Did you mean {near}").format(near=near[0]) if near else _("See mailprov explain")),
        )
    entry = entries[probe_id]
    rows = [(_("expected"), entry.expected)]
    if entry.ports:
        rows.append((_("ports"), ", ".join(str(port) for port in entry.ports)))
    if entry.intrusive:
        rows.append((_("runs"), _("only with --intrusive, as it costs the server or others something")))
    if entry.vantage is not Vantage.ANYWHERE:
        rows.append((_("looks from"), _(WORDS[entry.vantage])))
    rows += [
        (_("step {number}").format(number=number), step) for number, step in enumerate(entry.steps, start=1)
    ]
    rows += [*entry.verdicts, *_by_profiles(entry), (_("sources"), ", ".join(entry.refs))]
    return _print(entry.id, entry.title, rows)


def _print(name: str, title: str, rows: list[tuple[str, str]]) -> None:
    print_text(f"{name}: {title}\n")
    width = max(9, *(len(label) for label, text in rows))
    for label, text in rows:
        print_text(f"  {label.ljust(width)} {text}", indent=width + 3)


def _by_profiles(entry: Entry) -> list[tuple[str, str]]:
    """What each profile makes of the probe."""
    from mailprov.probe.profiles import RULES, told

    return [(profile.value, _changes(rule, entry)) for profile in RULES for rule in told(profile, entry.id)]


def _changes(rule: Rule, entry: Entry | None = None) -> str:
    """ "warn becomes fail (the zone is not signed): internet.nl wants …"."""
    form = _("{verdicts} becomes {now}: {why}")
    when = dict(entry.cases).get(rule.case, "") if entry else ""
    if when:
        form = _("{verdicts} becomes {now} where {when}: {why}")
    verdicts = _("{one} or {other}") if len(rule.of) > 1 else "{one}"
    both = verdicts.format(one=rule.of[0].value, other=rule.of[-1].value)
    return form.format(verdicts=both, now=rule.becomes.value, when=when, why=_(rule.why))


def _kind(name: str) -> str:
    if _profile(name):
        return _("1 profile")
    return _("1 component") if _component(name) else _("1 record")


def _profile(name: str) -> tuple[str, list[tuple[str, str]]] | None:
    """The title and the words of a profile of `verify`; None where there is no such one."""
    from mailprov import probe
    from mailprov.probe.profiles import RULES

    found = next((rules for profile, rules in RULES.items() if profile.value == name), None)
    if found is None:
        return None
    bar, rows = found.bar, list[tuple[str, str]]()
    if bar.pins:
        text = _("passwords go to whoever shows the same certificate on all ports, whoever issued it")
        rows.append((_("certificates"), text))
    if bar.optional:
        rows.append(
            (_("ports"), _("need not be offered: {ports}").format(ports=", ".join(map(str, bar.optional))))
        )
    if bar.by_name:
        rows.append((_("logins"), _("with --server, by the name before the @")))
    if bar.also:
        rows.append((_("also"), _("runs {probes}").format(probes=", ".join(bar.also))))
    entries = {entry.id: entry.translated() for entry in probe.catalogue()}
    for rule in found.rules:
        entry = next((each for each in entries.values() if probe.selects(rule.probes, each.id)), None)
        rows.append((rule.probes, _changes(rule, entry)))
    return _("{what} (a profile of verify)").format(what=_(found.what)), rows


def _component(name: str) -> tuple[str, list[tuple[str, str]]] | None:
    """Its title and its words; None where there is no such component."""
    from mailprov.components import registry

    found = next((each for each in registry.components() if each.name == name), None)
    if found is None:
        return None
    where = _("every host") if found.everywhere else _("hosts whose inventory asks for it")
    rows = [(_("on"), where)]
    rows += [(_("key"), f"{key.key}: {_(key.about)}") for key in found.settings]
    if found.credentials:
        rows.append((_("gets"), ", ".join(found.credentials)))
    if units := ", ".join(service.unit for service in found.retired()):
        rows.append((_("stops"), _("{units}, when it leaves").format(units=units)))
    return _(found.about), rows


def _record(name: str) -> tuple[str, list[tuple[str, str]]] | None:
    """The same of a type of DNS record, by what people call it: spf, dkim-key."""
    from mailprov.model.records import NEEDS
    from mailprov.records.types import TYPES

    found = next((each for each in TYPES if each.name.lower().replace(" ", "-") == name.lower()), None)
    if found is None:
        return None
    rows = [(_("needed"), _(NEEDS[found.need.value])), (_("what for"), _(found.why))]
    if found.key:
        rows.append((_("key"), _(found.key)))
    return _("DNS record {label}").format(label=_(found.name)), rows
