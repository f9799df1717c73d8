"""A domain that moves, at any provider of drivers.py, with hosts that only remember what they are asked to be, and a
clock that waits.

Machine          somebody's computer with the inventory: runs the command
Clock            the time of run/move.py: sleeping moves it on
waiting(…)       makes run/move.py go by such a clock
killing(…)       makes it end in one place, as by kill -9
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mailprov import dns as zones
from mailprov.inventory import load
from mailprov.model.dkim import STATE_FILE, read
from mailprov.model.events import Event, Notice, RunEnded
from mailprov.model.inventory import Host, Inventory
from mailprov.run import deploy, move
from mailprov.run.move import Move, Waiting, domain_to_move
from mailprov.run.select import select
from mailprov.transport.channel import Channel
from tests.unit.dns.backend import Backend, Zone
from tests.unit.dns.servers import SECRET
from tests.unit.dns.test_hosted import KEY
from tests.unit.dns.updates_backend import PowerDnsApi, Updates
from tests.unit.run.every_message import record
from tests.unit.run.scripted import FACTS, FILE, ScriptedAgent, end, hello, plan

HOSTED = {
    "google-workspace": (
        "{provider: google-workspace, verification: google-site-verification="
        f'abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG, dkim: {{google: "{KEY}"}}}}'
    ),
    "google-workspace, old form": (
        "{provider: google-workspace, mx: [1 aspmx.l.google.com, 5 alt1.aspmx.l.google.com, 5 alt2.aspmx.l.google.com, "
        "10 alt3.aspmx.l.google.com, 10 alt4.aspmx.l.google.com]}"
    ),
    "exchange-online": (
        "{{provider: exchange-online, verification: MS=ms12345678, mx: {dashes}.mail.protection.outlook.com, dkim: "
        "{{selector1: selector1-{dashes}._domainkey.contoso.n-v1.dkim.mail.microsoft, "
        "selector2: selector2-{dashes}._domainkey.contoso.n-v2.dkim.mail.microsoft}}}}"
    ),
    "exchange-online, old form": (
        "{{provider: exchange-online, mx: {dashes}.mail.protection.outlook.com, dkim: "
        "{{selector1: selector1-{dashes}._domainkey.contoso.onmicrosoft.com}}}}"
    ),
    "other": "{provider: other, mx: [10 in1.mail.example, 20 in2.mail.example], dkim: {key1: key1.keys.mail.example}}",
}


class Killed(BaseException):
    """What no `except` of the program meets: as kill -9."""


class Clock:
    """In place of the module `time`."""

    def __init__(self) -> None:
        self.now = float(int(time.time()))
        self.slept = 0.0

    def time(self) -> float:
        return self.now

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.slept += seconds


def waiting(backend: Backend, zone: str, patch: pytest.MonkeyPatch) -> Clock:
    """Resolvers know of a key what the provider has."""
    made = Clock()
    patch.setattr(move, "time", made)

    def not_yet(dns: Any, wanted: dict[str, str]) -> dict[str, str]:
        stands = {name: {text.strip('"') for text in backend.texts(zone, name, "TXT")} for name in wanted}
        return {name: f"{name} is not there" for name, text in wanted.items() if text not in stands[name]}

    patch.setattr(move, "not_yet", not_yet)
    patch.setenv("MAILPROV_TSIG", SECRET)
    patch.setattr(deploy.dns, "apply", deploy.dns.apply)
    return made


PLACES = ("before the hosts", "before the zone", "behind the zone", "while it waits")


def killing(place: str, number: int, clock: Clock, patch: pytest.MonkeyPatch) -> None:
    """Where this place of PLACES is come to once more than `number` times."""
    left = number
    deployed, slept = move.toward_desired, clock.sleep

    def now(where: str) -> None:
        nonlocal left
        if where == place:
            left -= 1
            if left == -1:
                raise Killed

    def deploying(*given: Any) -> Any:
        now("before the hosts")
        made = deployed(*given)
        run, publish = made.run, made._publish

        def publishing() -> None:
            now("before the zone")
            publish()

        def running() -> int:
            code = run()
            now("behind the zone")
            return code

        made.run, made._publish = running, publishing
        return made

    def sleep(seconds: float) -> None:
        if clock.slept % 700 < 2:
            now("while it waits")
        slept(seconds)

    patch.setattr(move, "toward_desired", deploying)
    patch.setattr(clock, "sleep", sleep)


class StandIn(ScriptedAgent):
    """A host for one conversation. `memory` outlives it: the files it has, and what zones were (`images`)."""

    def __init__(self, memory: dict[str, Any]) -> None:
        super().__init__([])
        self.memory = memory

    def messages(self) -> Iterator[dict[str, Any]]:
        yield hello()
        state = self.memory.get("files", {}).get(STATE_FILE, "")
        public = {key.name: record() for key in read(state)}
        if self.memory["mode"] == "zones":
            yield end()
            return
        yield {"t": "facts", "facts": {**FACTS, "dkim": {"state": state, "public": public}}}
        wanted = {file["path"]: file["content"] for file in self.sent[-1]["state"]["files"]}
        changed = wanted != self.memory.get("files")
        keys = {key.name: record() for key in read(wanted.get(STATE_FILE, ""))}
        yield {**plan(*([FILE] if changed else [])), "keys": keys}
        if self.memory["mode"] == "plan" or (not changed and self.sent[-1]["t"] != "go"):
            yield end()
        elif self.sent[-1]["t"] == "go":
            self.memory["files"] = wanted
            self.memory["images"] += self.sent[-1].get("zones", [])
            yield end(changed=1)
        else:
            yield end("cancelled", "interrupted")


class Machine:
    """`folder`: where its copy of the inventory is. `hosts`: their memories, shared by all machines."""

    def __init__(self, folder: Path, backend: Backend, zone: str, hosts: dict[str, dict[str, Any]]) -> None:
        self.folder, self.backend, self.zone, self.hosts = folder, backend, zone, hosts
        self.events: list[Event] = []
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / "mail.yml"
        (folder / "password").write_text("a pass phrase\n")

    def write(self, hosted: str | None, *, hosts: bool = True, more: str = "") -> None:
        """The inventory. `hosted`: a key of HOSTED, or the text."""
        text = HOSTED.get(hosted or "", hosted or "")
        if "{{" in text:
            text = text.format(dashes=self.zone.replace(".", "-"))
        account = "{password: {file: password}}"
        served = f"hosts: [mx1], accounts: {{ana: {account}, luis: {account}}}, aliases: {{info: ana}}"
        parts = [served] * hosts + [f"hosted: {text}"] * bool(hosted) + [more] * bool(more)
        self.path.write_text(
            f"{self._dns()}"
            f"hosts: {{mx1: {{address: 192.0.2.1, fqdn: mx1.{self.zone}, filter: none}}}}\n"
            f"domains: {{{self.zone}: {{{', '.join(parts)}}}}}\n"
        )

    def _dns(self) -> str:
        """Where it can be written in an inventory; elsewhere the tests' servers are not where the provider's are."""
        if not isinstance(self.backend, Updates) or isinstance(self.backend, PowerDnsApi):
            return ""
        return (
            f"dns: {{provider: rfc2136, server: 127.0.0.1, port: {self.backend.server.port}, ttl: 3600, "
            "tsig: {name: mailprov, secret: {env: MAILPROV_TSIG}}}\n"
        )

    def read(self) -> Inventory:
        inventory = load(self.path)
        return inventory if self._dns() else replace(inventory, dns=self.backend.settings(3600))

    def whole(self) -> Zone:
        return self.backend.whole(self.zone)

    def start(self, host: Host, job: dict[str, Any]) -> Channel:
        memory = self.hosts.setdefault(host.name, {"images": []})
        memory["mode"] = job["mode"]
        memory["images"] += job.get("zones", [])
        return StandIn(self.hosts[host.name])

    def move(self, to: str, *, look: bool = False, **waiting: Any) -> int:
        self.events.clear()
        options = deploy.Options(command="dns move", verify=False)
        inventory = self.read()
        domain = domain_to_move(inventory, None, to, looks=look)
        chosen = select(inventory, None, [domain.name])
        run = Move(inventory, domain, to, chosen, options, Waiting(**waiting), self.start, self.events.append)
        return run.preview() if look else run.run()

    def apply(self) -> int:
        self.events.clear()
        inventory, options = self.read(), deploy.Options(verify=False)
        return deploy.apply(
            inventory, select(inventory), options, start=self.start, report=self.events.append
        )

    def undo(self) -> None:
        """The last step, in the zone."""
        image = self.hosts["mx1"]["images"].pop()
        plans = zones.plan_undo(self.read(), [json.loads(json.dumps({**image, "told": ["mx1"]}))])
        for one in plans:
            zones.apply(one, lambda event: None)

    @property
    def said(self) -> str:
        return "\n".join(event.text for event in self.events if isinstance(event, Notice))

    @property
    def ended(self) -> str:
        return [event.summary for event in self.events if isinstance(event, RunEnded)][-1]

    def texts(self, name: str, kind: str) -> set[str]:
        found = self.backend.texts(self.zone, name, kind)
        return {text.replace('" "', "").strip('"') for text in found}

    def ttl(self, name: str, kind: str) -> int:
        return self.whole()[name, kind][0]

    def table(self, name: str) -> str:
        """A table of Postfix on mx1, without comments."""
        text = self.hosts["mx1"]["files"].get(f"/etc/postfix/mailprov/{name}", "")
        return "\n".join(line for line in text.splitlines() if not line.startswith("#"))

    @property
    def mx(self) -> str:
        """`mx1`, or anything else."""
        return ", ".join(sorted(self.texts(self.zone, "MX"))).replace(f".{self.zone}.", "")

    @property
    def spf(self) -> str:
        (text,) = (text for text in self.texts(self.zone, "TXT") if text.startswith("v=spf1"))
        return text

    @property
    def step(self) -> str:
        """As the zone says it; empty without a move."""
        return ", ".join(text.split("; ")[2] for text in self.texts(f"_mailprov-move.{self.zone}", "TXT"))
