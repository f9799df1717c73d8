"""A lab's life: up, stop, start, reset, down, and what is to be known in between.

    up(inventory, name=, release=, packages=, passwords=, emit=) -> Lab
    stop(name, hosts, emit), start(name, hosts, emit) -> whether there was something to do
    reset(name, hosts, emit), down(name, emit)
    status(name) -> LabStatus, load(name) -> Lab
    ssh_argv(name, host, command) -> list[str]

Raises LabError (the machine or the lab), InputError (a name that is not one), Interrupted (Ctrl-C, after
taking away what was begun).
"""

from __future__ import annotations

import dataclasses
import os
import signal
import threading
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from ipaddress import IPv4Network, IPv6Network

from mailprov.errors import Interrupted, LabError
from mailprov.i18n import _, ngettext
from mailprov.lab import acme_server, network, private, releases
from mailprov.lab.booting import boot, hosts_of, known, now, wait_for_dns
from mailprov.lab.cleanup import clean_up, traces
from mailprov.lab.facts import Lab, LabStatus, lab_of, status_of
from mailprov.lab.hosts import boot_of, drop_aside, power_off, set_aside, start_host, stop_hosts, wait_for
from mailprov.lab.keys import give, make_keys
from mailprov.lab.lab_inventory import app_secret, rehearse
from mailprov.lab.nameserver import nameserver_label, zones_of
from mailprov.lab.passwords import MADE_UP, Passwords
from mailprov.lab.paths import LabPaths, paths, state_root
from mailprov.lab.preflight import require_machine
from mailprov.lab.rootfs import ensure_roots
from mailprov.lab.state import LabHost, LabState, every, lab_lock, save
from mailprov.lab.state import load as load_state
from mailprov.model import web
from mailprov.model.events import Emit, Event, Notice, Progress
from mailprov.model.inventory import Host, Inventory, TlsMode

DNS_INDEX = 2
FIRST_INDEX = 11
MOST_HOSTS = 240


def up(
    inventory: Inventory,
    *,
    name: str,
    release: str | None = None,
    packages: Mapping[str, Iterable[str]] | None = None,
    passwords: Passwords = MADE_UP,
    emit: Emit,
) -> Lab:
    """Boots one host per inventory host, and the DNS host; returns when all answer.

    `release` is for hosts that do not say (default debian-12). Hosts named in `packages` have these already, as their
    maintainers configure them. What was begun is taken away again upon an
    error or Ctrl-C. Remains of an earlier lab of this name that did not come up are removed first; a lab that did, also
    one that is stopped or that a restart of this machine ended, is left alone (LabError).
    """
    where = paths(name)
    chosen = _releases(inventory, release)
    named = {host: each.name for host, each in chosen.items()}
    chosen.update(
        {host: releases.with_packages(chosen[host], wanted) for host, wanted in (packages or {}).items()}
    )
    passwords.check(account.address for domain in inventory.domains for account in domain.accounts)
    require_machine(emit)
    private.close_off()
    with lab_lock(where) as lock:
        _make_room(where, emit)
        try:
            return _bring_up(where, inventory, chosen, named, passwords, emit)
        except KeyboardInterrupt:
            with _undisturbed():
                emit(Progress(f"lab {name}", _("interrupted; taking away what was begun")))
                clean_up(where)
                lock.forget()
            raise Interrupted(
                _("lab {name} did not come up, and nothing of it is left").format(name=name)
            ) from None
        except BaseException:
            with _undisturbed():
                clean_up(where)
                lock.forget()
            raise


def down(name: str, emit: Emit) -> bool:
    """Takes the lab away, also one that is damaged or half made. False, and fine, when there was none."""
    where = paths(name)
    require_machine(emit, install=False)
    private.close_off()
    with _undisturbed(), lab_lock(where) as lock:
        found = bool(traces(where))
        if found:
            emit(Progress(f"lab {name}", _("going down")))
        clean_up(where)
        lock.forget()
    return found


def reset(name: str, hosts: Sequence[str] = (), emit: Emit = lambda event: None) -> None:
    """Makes the named hosts pristine, or all hosts and the DNS zones. Keys, addresses and passwords stay."""
    where = paths(name)
    require_machine(emit, install=False)
    private.close_off()
    with lab_lock(where):
        state = known(where)
        chosen = hosts_of(state, hosts)
        stop_hosts(where, [(host.name, host.index) for host in chosen])
        for host in chosen:
            set_aside(where, host.name)
        boot(where, state, chosen, emit)
        for host in chosen:
            drop_aside(where, host.name)


def stop(name: str, hosts: Sequence[str] = (), emit: Emit = lambda event: None) -> bool:
    """Shuts down the named hosts, or all with the DNS host. Their disks stay; `start` boots them again.

    False when they were off already.
    """
    where = paths(name)
    require_machine(emit, install=False)
    private.close_off()
    with lab_lock(where):
        state = known(where)
        running = [host for host in hosts_of(state, hosts) if boot_of(where, host.name) is not None]
        power_off(where, hosts_of(state, hosts), lambda event: emit(event) if _of(event, running) else None)
        if not any(boot_of(where, host.name) for host in state.all_hosts):
            save(where, dataclasses.replace(state, phase="stopped", since=now()))
    return bool(running)


def start(name: str, hosts: Sequence[str] = (), emit: Emit = lambda event: None) -> bool:
    """Boots the named hosts, or all, that are off: stopped, powered off by themselves, or ended with this machine.

    Each goes on with what was on its disk. False when all of them were up.
    """
    where = paths(name)
    require_machine(emit, install=False)
    private.close_off()
    with lab_lock(where):
        state = known(where)
        if state.phase == "starting":
            raise LabError(
                f"lab {name}", _("it never came up completely"), _("Bring it up anew with `mailprov lab up`")
            )
        off = [host for host in hosts_of(state, hosts) if boot_of(where, host.name) is None]
        if where.bridge not in network.links() and state.phase == "up":
            emit(
                Notice(
                    f"lab {name}",
                    _("this machine was restarted while it ran: what its hosts wrote last may be lost"),
                )
            )
        stop_hosts(where, [(host.name, host.index) for host in off])
        boot(where, state, off, emit)
    return bool(off)


def _of(event: Event, hosts: Sequence[LabHost]) -> bool:
    return isinstance(event, Progress) and event.subject in {host.name for host in hosts}


def status(name: str) -> LabStatus:
    """What runs, where, since when."""
    private.close_off()
    where = paths(name)
    state = known(where)
    if not os.access(where.directory / "hosts", os.X_OK):
        raise private.refusal()
    return status_of(where, state)


def load(name: str) -> Lab:
    """The running lab `name`."""
    private.close_off()
    where = paths(name)
    return lab_of(where, known(where))


def ssh_argv(name: str, host: str, command: Sequence[str] = ()) -> list[str]:
    """The argument list of the ssh client that logs in on the host as root (or runs `command` there)."""
    argv = load(name).ssh_argv(host, command)
    if os.geteuid() == 0 and boot_of(paths(name), host) is None:
        raise LabError(host, _("it is off"), _("Boot it: mailprov lab start --name {name}").format(name=name))
    return argv


def _releases(inventory: Inventory, default: str | None) -> dict[str, releases.Release]:
    """The release of each host by name; InputError before anything is touched."""
    if not inventory.hosts:
        what = _("the inventory has no hosts to boot: the mail of its domains is at providers")
        raise LabError("lab", what, _("Give it a host and a domain on it"))
    if len(inventory.hosts) > MOST_HOSTS:
        raise LabError(
            "lab",
            _("{count} hosts do not fit in one lab").format(count=len(inventory.hosts)),
            _("It holds up to {count}").format(count=MOST_HOSTS),
        )
    fallback = default or releases.DEFAULT
    releases.release(fallback)
    return {host.name: releases.release(host.lab_release or fallback) for host in inventory.hosts}


def _make_room(where: LabPaths, emit: Emit) -> None:
    """Raises LabError when the lab is up; removes what is left of one that is not."""
    remains = traces(where)
    if not remains:
        return
    state = load_state(where)
    if state is not None and state.phase != "starting":
        off = [host.name for host in state.all_hosts if boot_of(where, host.name) is None]
        if not off:
            raise LabError(
                f"lab {where.name}",
                _("it is up already, since {since}").format(since=state.since),
                _("Look with `mailprov lab status --name {name}`, or choose another name with --name").format(
                    name=where.name
                ),
            )
        which = (
            _("it is there already, but its hosts are off")
            if len(off) == len(state.all_hosts)
            else ngettext(
                "it is there already, but {hosts} is off",
                "it is there already, but {hosts} are off",
                len(off),
            )
        )
        raise LabError(
            f"lab {where.name}",
            which.format(hosts=", ".join(off)),
            _(
                "Boot as it was left: mailprov lab start --name {name}. Begin anew: mailprov lab "
                "down --name {name}, then up"
            ).format(name=where.name),
        )
    emit(Progress(f"lab {where.name}", _("removing the remains of an earlier lab of this name")))
    clean_up(where)


def _bring_up(
    where: LabPaths,
    inventory: Inventory,
    chosen: dict[str, releases.Release],
    named: dict[str, str],
    passwords: Passwords,
    emit: Emit,
) -> Lab:
    zones = zones_of(inventory)
    dns_name = "ns1"
    while dns_name in chosen:
        dns_name = f"lab-{dns_name}"
    label = nameserver_label(inventory, zones)
    private.own(state_root())
    private.make_private(where.directory)
    state = LabState(
        name=where.name, phase="starting",
        since=now(),
        subnet="", subnet6="", nameserver_label=label, zones=zones,
        dns=_host(dns_name, DNS_INDEX, releases.DNS_ROOT.name, f"{label}.{zones[0]}"),
        hosts=tuple(
            _host(host.name, index, named[host.name], host.fqdn)
            for index, host in enumerate(inventory.hosts, FIRST_INDEX)
        ),
    )  # fmt: skip
    save(where, state)
    state = _with_roots(state, {dns_name: releases.DNS_ROOT, **chosen}, emit)

    def record(subnet: IPv4Network, subnet6: IPv6Network | None) -> None:
        nonlocal state
        state = _with_addresses(state, subnet, subnet6)
        save(where, state)

    network.claim(where, record, [IPv4Network(other.subnet) for other in every() if other.subnet])
    make_keys(
        where,
        state.all_hosts,
        _passwords(inventory, passwords),
        {host.name: _names(inventory, host) for host in inventory.hosts},
    )
    where.inventory.write_text(rehearse(inventory, where, state))
    give(where.inventory)
    private.admit(where)
    emit(
        Progress(
            f"lab {where.name}",
            _("booting {count} hosts in {subnet}").format(count=len(state.all_hosts), subnet=state.subnet),
        )
    )
    for host in state.all_hosts:
        start_host(where, state, host)
    wait_for(where, state.all_hosts, emit)
    wait_for_dns(state)
    acme_server.trust(where, state)
    state = dataclasses.replace(state, phase="up")
    save(where, state)
    return lab_of(where, state)


def _host(name: str, index: int, release: str, fqdn: str) -> LabHost:
    return LabHost(name, index, release, fqdn, address="", address6="", machine_id=uuid.uuid4().hex, root="")


def _passwords(inventory: Inventory, chosen: Passwords) -> dict[str, str]:
    """By what the lab calls them; those for single programs are made up."""
    accounts = [account for domain in inventory.domains for account in domain.accounts]
    own = {account.address: chosen.of(account.address) for account in accounts}
    return own | {app_secret(each, app): MADE_UP.of("") for each in accounts for app in each.app_passwords}


def _names(inventory: Inventory, host: Host) -> tuple[str, ...]:
    """Besides its fqdn: what mail programs connect to, and where they ask its web server."""
    # By certificates as the lab gives them, whatever the inventory has: of an authority that is trusted here.
    given = dataclasses.replace(host.tls, mode=TlsMode.FILES)
    there = dataclasses.replace(
        inventory, hosts=tuple(dataclasses.replace(each, tls=given) for each in inventory.hosts)
    )
    served = ((domain, web.host_of(there, domain)) for domain in there.domains)
    return (
        *inventory.mail_names(host.name),
        *(name for domain, at in served if at and at.name == host.name for name in web.names(there, domain)),
    )


def _with_addresses(state: LabState, subnet: IPv4Network, subnet6: IPv6Network | None) -> LabState:
    def addressed(host: LabHost) -> LabHost:
        second = str(subnet6[host.index]) if subnet6 else ""
        return dataclasses.replace(host, address=str(subnet[host.index]), address6=second)

    return dataclasses.replace(
        state, subnet=str(subnet), subnet6=str(subnet6 or ""), dns=addressed(state.dns),
        hosts=tuple(addressed(host) for host in state.hosts),
    )  # fmt: skip


def _with_roots(state: LabState, needed: dict[str, releases.Release], emit: Emit) -> LabState:
    """Builds what is missing, several at once, and notes on which root each host stands."""
    roots = ensure_roots(set(needed.values()), emit)

    def rooted(host: LabHost) -> LabHost:
        return dataclasses.replace(host, root=str(roots[needed[host.name].name]))

    return dataclasses.replace(
        state, dns=rooted(state.dns), hosts=tuple(rooted(host) for host in state.hosts)
    )


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Cleaning up goes on through Ctrl-C. Signals can only be set in the main thread, as Ctrl-C is."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
