"""Hosts to attack.

provisioned(factory, text)    a lab of this inventory, applied; or the one that is up already and that MAILPROV_ATTACK_LAB
                              names, for work on the attacks themselves

192.0.2.77 in the text stands for this machine's own addresses in the lab: whom fail2ban must not shut out.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from ipaddress import ip_network

from mailprov import lab
from tests.lab.program import run


def provisioned(factory: Callable[[str], lab.Lab], text: str) -> lab.Lab:
    if name := os.environ.get("MAILPROV_ATTACK_LAB"):
        return lab.load(name)
    made = factory(text)
    own = [str(ip_network(net)[1]) for net in (made.subnet, made.subnet6) if net]
    read = made.inventory_path.read_text()
    made.inventory_path.write_text(read.replace("192.0.2.77", "\n        - ".join(own)))
    done = run("apply", "--yes", "--no-verify", str(made.inventory_path))
    assert done.code == 0, done.events[-3:]
    return made
