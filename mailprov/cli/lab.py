"""mailprov lab: throw-away hosts on this machine."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mailprov.cli import complete
from mailprov.cli.commands import Command, Commands, Plain
from mailprov.cli.inventory_argument import USUAL
from mailprov.cli.options import Inventory, Json, LabName, Quiet, Verbose
from mailprov.cli.streams import print_text
from mailprov.i18n import N_, _

if TYPE_CHECKING:
    from mailprov.model.events import Event

app = Commands(
    Plain,
    no_args_is_help=True,
    rich_markup_mode=None,
    help=N_(
        "Throw-away hosts on this machine (root on Linux): real systemd hosts, DNS and CA, to rehearse an inventory."
    ),
)

OnlyHosts = Annotated[
    list[str] | None,
    typer.Option(
        "--host",
        metavar="HOST",
        help=N_("Only this host (may be repeated)."),
        show_default=False,
        autocompletion=complete.lab_hosts,
    ),
]
LabOf = Annotated[
    Path | None,
    typer.Argument(
        metavar="INVENTORY",
        help=N_("The inventory the lab was made from (default: the only lab)."),
        show_default=False,
    ),
]


@app.command(cls=Command, short_help=N_("Boot the hosts of an inventory, with DNS and a CA."))
def up(
    inventory: Inventory = USUAL,
    name: LabName = None,
    release: Annotated[
        str | None,
        typer.Option(
            "--release",
            metavar="RELEASE",
            help=N_("For hosts that do not say: debian-12, ubuntu-24.04, …"),
            show_default=False,
        ),
    ] = None,
    installed: Annotated[
        bool,
        typer.Option(
            "--installed", help=N_("Hosts that have the packages already: the first apply takes seconds.")
        ),
    ] = False,
    passwords: Annotated[
        Path | None,
        typer.Option(
            "--passwords",
            metavar="FILE",
            help=N_(
                "Passwords of your choice: a line `ADDRESS PASSWORD` each, * for all others; - reads them from stdin."
            ),
            show_default=False,
        ),
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Boot one host per inventory host, a DNS host and a CA, and write the inventory that apply needs."""
    from mailprov import lab
    from mailprov.desired import needed_packages
    from mailprov.inventory import SecretMode, load

    said = _Said("up", json, quiet)
    read = load(inventory, SecretMode.IGNORE)
    made = lab.up(
        read,
        name=name or inventory.stem,
        release=release,
        packages={host.name: needed_packages(read, host) for host in read.hosts} if installed else None,
        passwords=lab.passwords.read(passwords) if passwords else lab.passwords.MADE_UP,
        emit=said.emit,
    )
    said.how(made.name)
    said.last(
        _("Lab {name} is up. Its inventory: {path}").format(name=made.name, path=made.inventory_path),
        _("Next: {command}").format(command=f"mailprov apply {made.inventory_path}"),
    )


@app.command(short_help=N_("Take the lab away; a cache for the next one stays."))
def down(inventory: LabOf = None, name: LabName = None, json: Json = False, quiet: Quiet = False) -> None:
    """Take the lab down: no process, mount, bridge, rule or route stays."""
    from mailprov import lab

    said = _Said("down", json, quiet)
    which = _which(inventory, name)
    found = lab.down(which, said.emit)
    others = ", ".join(lab.names())
    if found:
        result = _("Lab {name} is gone. What the next one needs stays: mailprov lab cache")
    elif others:
        result = _("There is no lab {name}. There is {others}.")
    else:
        result = _("There is no lab {name}.")
    said.last(result.format(name=which, others=others))


@app.command(short_help=N_("Shut hosts down; their disks stay."))
def stop(
    inventory: LabOf = None,
    host: OnlyHosts = None,
    name: LabName = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Shut the hosts down; their disks, addresses and keys stay, for `lab start`."""
    from mailprov import lab

    said = _Said("stop", json, quiet)
    which = _which(inventory, name)
    were_up = lab.stop(which, host or (), said.emit)
    result = (
        _("{subject}: stopped. Boot again: mailprov lab start --name {name}")
        if were_up
        else _("{subject}: off already.")
    )
    said.last(result.format(subject=_subject(which, host), name=which))


@app.command(short_help=N_("Boot hosts that are off, as they were left."))
def start(
    inventory: LabOf = None,
    host: OnlyHosts = None,
    name: LabName = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Boot hosts that are off, each with what was on its disk: stopped, powered off, or ended with this machine."""
    from mailprov import lab

    said = _Said("start", json, quiet)
    which = _which(inventory, name)
    were_off = lab.start(which, host or (), said.emit)
    result = _("{subject}: up.") if were_off else _("{subject}: up already.")
    said.last(result.format(subject=_subject(which, host)))


@app.command(short_help=N_("Make hosts pristine; addresses and keys stay."))
def reset(
    inventory: LabOf = None,
    host: OnlyHosts = None,
    name: LabName = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Make the hosts pristine again; addresses, keys and certificates stay."""
    from mailprov import lab

    said = _Said("reset", json, quiet)
    which = _which(inventory, name)
    lab.reset(which, host or (), said.emit)
    said.last(_("Lab {name} is pristine.").format(name=which))


@app.command()
def status(inventory: LabOf = None, name: LabName = None, json: Json = False) -> None:
    """What runs, where, and the settings for a mail client."""
    from mailprov import lab

    said = _Said("status", json)
    which = [_which(inventory, name)] if inventory or name else lab.names()
    for each in which:
        said.how(each)
    said.last(
        *([] if which else [_("No lab is up. Start one: mailprov lab up INVENTORY")]),
        *([] if json else (str(lab.status(each)) for each in which)),
    )


@app.command(short_help=N_("What is kept for the next lab; --clean deletes it."))
def cache(
    clean: Annotated[bool, typer.Option("--clean", help=N_("Delete what no lab needs."))] = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """What labs leave on this machine for the next one, and its size; `lab down` leaves it alone."""
    from mailprov import lab
    from mailprov.lab.paths import cache_root
    from mailprov.model.answers import LabCache

    said = _Said("cache", json, quiet and clean)
    if clean:
        freed = lab.cache.clean(said.emit)
        said.last(_("{size} of {path} are free again.").format(size=lab.cache.size(freed), path=cache_root()))
        return
    kept = lab.cache.contents()
    for each in kept:
        said.event(LabCache(str(each), each.bytes, tuple(each.labs)))
    total = lab.cache.size(sum(each.bytes for each in kept))
    unused = lab.cache.size(sum(each.bytes for each in kept if not each.labs))
    said.last(
        *(f"  {each}" for each in kept),
        _("{path}: {total}, {unused} that no lab needs now").format(
            path=cache_root(), total=total, unused=unused
        ),
        _("Delete that: mailprov lab cache --clean. The next lab makes anew what it needs"),
    )


@app.command("inventory", short_help=N_("Print the path of the inventory for apply and verify."))
def inventory_(inventory: LabOf = None, name: LabName = None, json: Json = False) -> None:
    """Print the path of the lab's own inventory, the one for plan, apply and verify."""
    from mailprov import lab

    said = _Said("inventory", json)
    which = _which(inventory, name)
    path = lab.load(which).inventory_path
    said.how(which)
    said.last(str(path))


@app.command(context_settings={"ignore_unknown_options": True})
def ssh(
    host: Annotated[
        str, typer.Argument(metavar="HOST", show_default=False, autocompletion=complete.lab_hosts)
    ],
    command: Annotated[list[str] | None, typer.Argument(metavar="COMMAND", show_default=False)] = None,
    name: LabName = None,
) -> None:
    """A root shell on a lab host, or one command there."""
    from mailprov import lab

    argv = lab.ssh_argv(_which(None, name), host, command or [])
    os.execvp(argv[0], argv)  # noqa: S606 - the user's own terminal goes to ssh


def _subject(name: str, hosts: list[str] | None) -> str:
    return ", ".join(hosts) if hosts else _("Lab {name}").format(name=name)


def _which(inventory: Path | None, name: str | None) -> str:
    """The lab that is meant: by name, by inventory, or the only one there is."""
    from mailprov import lab
    from mailprov.errors import InputError

    if name and inventory and inventory.stem != name:
        # A host's name in the inventory's place would have the whole lab reset instead of that host.
        raise InputError(
            "lab",
            _("--name says {name}, and `{word}` is read as an inventory, of lab {other}").format(
                name=name, word=inventory, other=inventory.stem
            ),
            _("Give one of the two; a host is given with --host"),
        )
    if name:
        return name
    if inventory:
        return inventory.stem
    names = lab.names()
    if len(names) == 1:
        return names[0]
    if not names:
        raise InputError("lab", _("no lab is up"), _("Start one: mailprov lab up INVENTORY"))
    raise InputError(
        "lab",
        _("there are {count} labs ({names})").format(count=len(names), names=", ".join(names)),
        _("Say which: the inventory it was made from, or --name NAME"),
    )


class _Said:
    """What a command says: lines for people, events with --json. `quiet`: errors alone."""

    def __init__(self, command: str, json: bool, quiet: bool = False) -> None:
        from mailprov.cli.reports import Reports
        from mailprov.report.fanout import fan_out

        self._json, self._quiet = json, quiet
        self._reports = Reports(json=json, text=False)
        self._reports.begin(f"lab {command}", "")
        self.emit = self._reports.emit if json else fan_out([self._print])

    def event(self, event: Event) -> None:
        """For programs alone."""
        self._reports.emit(event)

    def how(self, name: str) -> None:
        """How this lab is doing, for programs: people read `lab status`."""
        if not self._json:
            return
        from mailprov import lab
        from mailprov.model.answers import LabHost, LabStatus

        now = lab.status(name)
        hosts = tuple(
            LabHost(one.name, one.fqdn, one.release, one.address, one.state) for one in (*now.hosts, now.dns)
        )
        self.event(
            LabStatus(now.name, now.phase, now.since, now.subnet, str(now.inventory_path), now.zones, hosts)
        )

    def last(self, *lines: str) -> None:
        """The result. The command is over."""
        if not self._json and not self._quiet:
            for line in lines:
                print_text(line)
        self._reports.end(0, lines[0] if lines else _("done"))

    def _print(self, event: Event) -> None:
        from mailprov.model.events import Notice, Progress

        if isinstance(event, (Progress, Notice)) and not self._quiet:
            print_text(f"  {event.subject}: {event.text}" if event.subject else f"  {event.text}")
