"""What the shell offers after TAB: names from the inventory of the line, probes, labs, runs.

    hosts, domains, accounts, labs, runs                    for `autocompletion=` of an argument or option
    probes, probe_families, profiles, explained             the same
    report_kinds                                            the same
    inventory_or(names)                                     for INVENTORY, which may be left out

Nothing is asked that is not on this machine's disk: the inventory is read without its secrets and need not be right,
and of runs those are known that `mailprov history` showed last. Whatever goes wrong, nothing is offered: a line that is
being typed is no place for errors.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from mailprov.cli.inventory_argument import USUAL
from mailprov.i18n import _

Names = list[tuple[str, str]]  # each with a word of explanation
Completer = Callable[[Any, str], Names]


def _silent(found: Callable[[Any], Names]) -> Completer:
    def names(ctx: Any, incomplete: str) -> Names:  # typer goes by the names of these parameters
        try:
            return [(name, why) for name, why in found(ctx) if name.startswith(incomplete)]
        except Exception:
            return []

    return names


@_silent
def hosts(ctx: Any) -> Names:
    return [
        (name, str(entry.get("fqdn") or "") if isinstance(entry, dict) else "")
        for name, entry in _part(ctx, "hosts").items()
    ]


@_silent
def domains(ctx: Any) -> Names:
    found = []
    for name, entry in _part(ctx, "domains").items():
        found.append((name, ""))
        aliases = entry.get("domain_aliases") if isinstance(entry, dict) else None
        found += [(str(alias), _("alias of {name}").format(name=name)) for alias in aliases or []]
    return found


@_silent
def accounts(ctx: Any) -> Names:
    return [
        (f"{name}@{domain}", "")
        for domain, entry in _part(ctx, "domains").items()
        if isinstance(entry, dict) and isinstance(entry.get("accounts"), dict)
        for name in entry["accounts"]
    ]


@_silent
def probes(ctx: Any) -> Names:
    from mailprov import probe

    return [(entry.id, _(entry.title)) for entry in probe.catalogue()]


@_silent
def report_kinds(ctx: Any) -> Names:
    from mailprov.report.report_files import KINDS

    return [(f"{kind}=", _(about)) for kind, about in KINDS.items()]


@_silent
def explained(ctx: Any) -> Names:
    """All that `mailprov explain` knows: probes, components of a host, types of DNS records."""
    from mailprov import probe
    from mailprov.components import registry
    from mailprov.records.types import TYPES

    return [
        *((entry.id, _(entry.title)) for entry in probe.catalogue()),
        *((each.name, _(each.about)) for each in registry.components()),
        *((each.name.lower().replace(" ", "-"), _(each.why)) for each in TYPES),
    ]


@_silent
def probe_families(ctx: Any) -> Names:
    """For options that take the beginning of an id: the families (`tls`), then the probes."""
    from mailprov import probe

    ids = [(entry.id, _(entry.title)) for entry in probe.catalogue()]
    families = dict.fromkeys(name.partition(".")[0] for name, title in ids)
    return [*((family, _("all {family} probes").format(family=family)) for family in families), *ids]


@_silent
def profiles(ctx: Any) -> Names:
    from mailprov.probe.profiles import RULES

    return [(name.value, _(rules.what)) for name, rules in RULES.items()]


@_silent
def labs(ctx: Any) -> Names:
    from mailprov import lab

    return [(name, "") for name in lab.names()]


@_silent
def lab_hosts(ctx: Any) -> Names:
    """Of the lab that is named, or of all."""
    from mailprov import lab

    wanted = ctx.params.get("name")
    found = [lab.load(name) for name in lab.names() if wanted in (None, name)]
    return [(host.name, host.fqdn) for each in found for host in (*each.hosts, each.dns)]


@_silent
def runs(ctx: Any) -> Names:
    from mailprov.cli import seen_runs

    return seen_runs.of(_inventory(ctx))


def inventory_or(names: Completer) -> Completer:
    """Of a first word that may be something else than the inventory; with nothing to offer the shell offers files."""

    def either(ctx: Any, incomplete: str) -> Names:
        if "/" in incomplete:
            return []
        try:
            files = sorted(path.name for kind in ("*.yml", "*.yaml") for path in Path().glob(kind))
        except OSError:
            files = []
        others = names(ctx, incomplete)
        return [*((name, _("inventory")) for name in files if name.startswith(incomplete)), *others]

    return either


def _inventory(ctx: Any) -> Path:
    return Path(ctx.params.get("inventory") or USUAL)


def _part(ctx: Any, key: str) -> dict[str, Any]:
    """What stands under this key of the file, right or not."""
    from mailprov.inventory.composer import parse
    from mailprov.inventory.files import read
    from mailprov.schema.document import Map

    path = _inventory(ctx)
    found = parse(read(path), str(path)).data.get(key)
    # `marks` has the keys that have no value yet, too.
    return {name: found.get(name) for name in found.marks} if isinstance(found, Map) else {}
