"""What a firewall drops is told from what nobody listens on, and both from a host that does not answer at all."""

from __future__ import annotations

import contextlib
import dataclasses
import socket
import threading
from collections.abc import Iterator

from mailprov.components.postfix import settings as postfix
from mailprov.model.findings import Verdict
from mailprov.probe.checks.stray_ports import STRAY
from mailprov.probe.clients.connection import Deadline
from mailprov.probe.clients.sweep import Door, sweep
from mailprov.selftest.scripted_lab import ScriptedLab


@contextlib.contextmanager
def dropping() -> Iterator[int]:
    """A port that answers nobody: its queue is full, so the kernel drops what comes, as a firewall does."""
    with contextlib.ExitStack() as held:
        listening = held.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        port = listening.getsockname()[1]
        for _ in range(4):
            sock = held.enter_context(socket.socket())
            sock.setblocking(False)
            sock.connect_ex(("127.0.0.1", port))
        yield port


def test_open_closed_and_silent_ports_are_told_apart() -> None:
    with dropping() as mute, socket.create_server(("127.0.0.1", 0)) as opened, socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        doors = [("127.0.0.1", number) for number in (opened.getsockname()[1], bound.getsockname()[1], mute)]
        found = sweep(doors, Deadline(60, threading.Event()), 0.5)
    assert [found[door] for door in doors] == [Door.OPEN, Door.CLOSED, Door.SILENT]


def test_where_all_answer_nobody_waits() -> None:
    with socket.create_server(("127.0.0.1", 0)) as opened:
        door = opened.getsockname()[:2]
        assert sweep([door], Deadline(3600), 3600) == {door: Door.OPEN}


def test_what_a_firewall_drops_is_not_open(lab: ScriptedLab) -> None:
    lab.start()
    with dropping() as mute:
        lab.world.port_map["127.0.0.1", 6379] = mute
        (found,) = lab.verify("net.stray", hosts=["mx1"])
    assert (found.verdict, found.observed) == (
        Verdict.PASS,
        f"{len(STRAY) - 1} of {len(STRAY)} ports refuse, the others do not answer",
    )


def test_of_a_host_that_does_not_answer_nothing_is_known(lab: ScriptedLab) -> None:
    lab.start()
    with dropping() as mute:
        for door in lab.world.port_map:
            lab.world.port_map[door] = mute
        (found,) = lab.verify("net.stray", hosts=["mx1"])
    assert (found.verdict, found.observed) == (
        Verdict.ERROR,
        "no port answers on 127.0.0.1, so nothing is known",
    )
    assert found.waits_for.startswith("net.tcp mx1")


def test_what_the_inventory_adds_to_master_cf_is_no_stray(lab: ScriptedLab) -> None:
    lab.spoil("stray-2525 stray-10026", "")
    own = postfix.Settings(
        master_cf=(("2525/inet", "n - n - - smtpd"), ("192.0.2.1:10026/inet", "n - n - - smtpd"))
    )
    hosts = tuple(dataclasses.replace(host, settings={"postfix": own}) for host in lab.inventory.hosts)
    assert {item.verdict for item in lab.verify("net.stray")} == {Verdict.FAIL}
    lab.inventory = dataclasses.replace(lab.inventory, hosts=hosts)
    assert {item.verdict for item in lab.verify("net.stray")} == {Verdict.PASS}


def test_on_a_server_of_others_it_is_a_warning(lab: ScriptedLab) -> None:
    lab.spoil("stray-8080", "")
    hosts = tuple(dataclasses.replace(host, managed=False) for host in lab.inventory.hosts)
    lab.inventory = dataclasses.replace(lab.inventory, hosts=hosts)
    found = lab.verify("net.stray")
    assert {item.verdict for item in found} == {Verdict.WARN}
    assert all("mailprov" not in item.advice for item in found)
