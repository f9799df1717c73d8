"""mailprov dns providers: where zones can be written, what each needs, and what can be relied on there."""

from __future__ import annotations

import difflib
from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated

import typer

from mailprov.cli.options import Json
from mailprov.cli.streams import print_text
from mailprov.i18n import N_, _, ngettext

if TYPE_CHECKING:
    from mailprov.dns.provider import Provider
    from mailprov.model.answers import DnsProvider


def providers(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="PROVIDER", help=N_("One of them, such as route53, in detail."), show_default=False
        ),
    ] = None,
    json: Json = False,
) -> None:
    """List the DNS providers: what each needs, and what can be relied on there."""
    from mailprov.cli.reports import Reports
    from mailprov.dns.providers import NAMES, every
    from mailprov.errors import InputError

    reports = Reports(json=json, text=False)
    shown = [each for each in every() if name in (None, each.name)]
    if not shown:
        near = difflib.get_close_matches(name or "", NAMES, n=1)
        raise InputError(
            "dns providers",
            _('there is no provider "{name}"').format(name=name),
            _("Did you mean {near}").format(near=near[0]) if near else _("See mailprov dns providers"),
        )
    found = [_told(each) for each in shown]
    if json:
        for one in found:
            reports.emit(one)
        count = len(found)
        summary = ngettext("{count} provider", "{count} providers", count).format(count=count)
        raise typer.Exit(reports.end(0, summary))
    if name is None:
        _table(found)
    else:
        _details(found[0])


def _told(provider: Provider) -> DnsProvider:
    from mailprov.model.answers import DnsProvider

    can = provider.abilities
    return DnsProvider(
        provider.name,
        _(provider.title),
        f"pip install 'mailprov[{provider.name}]'" if provider.extra else "",
        all(find_spec(module) is not None for module in provider.libraries),
        tuple(provider.entry().model_fields),
        _(provider.scope) if provider.scope else "",
        publishes=can is not None,
        atomic=can is not None and can.atomic,
        compare_and_swap=can is not None and can.compare_and_swap,
        lists_zones=can is not None and can.lists_zones,
        reads_sets=can is not None and can.reads_sets,
        types=tuple(sorted(can.types)) if can is not None and can.types is not None else (),
        ttls=can.ttls if can is not None else (0, 0),
        calls_per_second=float(can.calls_per_second or 0) if can is not None else 0.0,
        limits=_(provider.limits) if provider.limits else "",
        dns_01=bool(provider.dns_01),
    )


def _table(found: list[DnsProvider]) -> None:
    yes, no = _("yes"), _("no")
    head = [_("provider"), _("atomic"), _("conditional"), _("reads"), _("installed"), ""]
    rows = [
        [
            one.name,
            *(
                [
                    yes if one.atomic else no,
                    yes if one.compare_and_swap else no,
                    _("by name") if one.reads_sets else _("whole zones"),
                ]
                if one.publishes
                else ["-", "-", "-"]
            ),
            yes if one.installed else no,
            one.title,
        ]
        for one in found
    ]
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
    for row in [head, *rows]:
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print_text(line.rstrip(), indent=sum(widths[:-1]) + 2 * len(widths[:-1]))
    print_text("")
    print_text(_("atomic: a write is done as a whole or not at all; elsewhere the next apply does the rest"))
    print_text(
        _(
            "conditional: a write is refused if the same records were changed since they were read; elsewhere they "
            "are read once more just before it, and a change in the moment between may be lost"
        )
    )
    print_text(
        _(
            "reads: whether the names in question are read, or the whole zone, which takes longer the larger it is"
        )
    )
    print_text(_("More: mailprov dns providers PROVIDER"))


def _details(one: DnsProvider) -> None:
    print_text(f"{one.name}: {one.title}\n")
    rows = [
        (_("needs"), _("{command} (done)") if one.installed else "{command}") if one.install else ("", ""),
        (_("keys"), ", ".join(one.keys)),
        (_("rights"), one.scope),
    ]
    rows[0] = (rows[0][0], rows[0][1].format(command=one.install))
    if one.publishes:
        rows += [
            (
                _("atomic"),
                _("yes: a write is done as a whole or not at all")
                if one.atomic
                else _("no: set by set; what is half done is told, and the next apply does the rest"),
            ),
            (
                _("conditional"),
                _("yes: a write is refused if the same records were changed since they were read")
                if one.compare_and_swap
                else _("no: the records are read once more just before, and afterwards"),
            ),
            (
                _("reads"),
                _("the names in question") if one.reads_sets else _("the whole zone"),
            ),
            (
                _("zones"),
                _("found by their list") if one.lists_zones else _("found by asking for each name"),
            ),
            (_("types"), ", ".join(one.types) or _("all")),
            (
                _("TTL"),
                _("{lowest} to {highest} s").format(lowest=one.ttls[0], highest=one.ttls[1])
                if one.ttls[0]
                else "",
            ),
            (_("calls"), _("{number} a second").format(number=f"{one.calls_per_second:g}"))
            if one.calls_per_second
            else ("", ""),
        ]
    rows.append((_("limits"), one.limits))
    rows.append((_("dns-01"), _("yes") if one.dns_01 else _("no: use http-01 for certificates")))
    width = max(len(label) for label, text in rows)
    for label, text in rows:
        if text:
            print_text(f"  {label.ljust(width)}  {text}", indent=width + 4)
