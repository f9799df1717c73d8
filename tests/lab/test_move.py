"""A domain moves from a real host to a provider and back while mail comes every second: none is lost or returned.

The provider is another host of the lab, by its MX. The mail comes from a third one, whose resolver keeps answers for
their TTL, and from the moving host's own users; that host serves another domain as well, which stays.
"""

from __future__ import annotations

import ipaddress
import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from mailprov import lab
from tests.lab import post
from tests.lab.labs import run_on, wait_until
from tests.lab.program import run

TTL = 6  # seconds: what the test waits for, several times
INVENTORY = """\
filter: none
dns: {{provider: zonefile, ttl: {ttl}}}
hosts:
  mx1: {{address: 192.0.2.1, fqdn: mx1.beta.test, lab: {{release: {own}}}}}
  mx2: {{address: 192.0.2.2, fqdn: mx2.provider.test, lab: {{release: {other}}}}}
  mx3: {{address: 192.0.2.3, fqdn: mx3.gamma.test, lab: {{release: debian-12}}}}
domains:
  alpha.test: {{hosts: [mx1], accounts: {{ana: {{password: {{env: P}}}}}}, aliases: {{info: ana}}}}
  beta.test: {{hosts: [mx1], accounts: {{bob: {{password: {{env: P}}}}}}, aliases: {{old: ana@alpha.test}}}}
  provider.test: {{hosts: [mx2], accounts: {{pia: {{password: {{env: P}}}}}}}}
  gamma.test: {{hosts: [mx3], accounts: {{gus: {{password: {{env: P}}}}}}}}
"""
SENDS = """\
n=0
while :; do
  n=$((n + 1))
  printf 'From: %s\\nSubject: {word}-%s-end\\n\\ntext\\n' {sender} $n | /usr/sbin/sendmail -f {sender} {to}
  echo $n > /run/sent-{word}
  sleep 1
done
"""


class Move:
    """`own` moves alpha.test; `provider` is the inventory of those at mx2."""

    def __init__(self, hosts: lab.Lab) -> None:
        self.hosts = hosts
        self.own = hosts.directory / "own.yml"
        self.provider = hosts.directory / "provider.yml"
        made = self._read()
        made["hosts"] = {"mx2": made["hosts"]["mx2"]}
        made["domains"] = {
            name: {**made["domains"][name], "hosts": ["mx2"]} for name in ("alpha.test", "provider.test")
        }
        made["dns"] = {"provider": "zonefile"}
        self._write(self.provider, made)
        self.state(hosted=False)

    def _read(self) -> dict:  # type: ignore[type-arg]
        return YAML(typ="safe").load(self.hosts.inventory_path.read_text())  # type: ignore[no-any-return]

    def _write(self, path: Path, made: dict) -> None:  # type: ignore[type-arg]
        with path.open("w") as file:
            YAML(typ="safe").dump(made, file)

    def state(self, *, hosted: bool = True, hosts: bool = True) -> None:
        """What the inventory says of alpha.test."""
        made = self._read()
        made["hosts"]["mx2"]["managed"] = False
        moving = made["domains"]["alpha.test"] if hosts else {}
        if hosted:
            moving = {**moving, "hosted": {"provider": "other", "mx": "mx2.provider.test"}}
            moving["spf"] = {"include": ["provider.test"]}
        made["domains"]["alpha.test"] = moving
        self._write(self.own, made)

    def on(self, host: str, command: str) -> str:
        return run_on(self.hosts, host, command)

    def send(self, host: str, word: str, sender: str, to: str) -> None:
        script = SENDS.format(word=word, sender=sender, to=to).replace("'", "'\\''")
        self.on(host, f"systemd-run -q --unit send-{word} sh -c '{script}'")

    def sent(self, host: str, word: str) -> int:
        return int(self.on(host, f"cat /run/sent-{word}"))

    def arrived(self, host: str, word: str) -> set[int]:
        heads = [head for box, _, head in post.stored(self.hosts, host) if box == "ana@alpha.test"]
        return {int(found[1]) for head in heads if (found := re.search(rf"Subject: {word}-(\d+)-end", head))}


@pytest.fixture(params=[("debian-12", "debian-13"), ("debian-13", "debian-12")], ids=lambda each: each[0])
def move(request: pytest.FixtureRequest, ready_lab_factory: Callable[[str], lab.Lab]) -> Move:
    own, other = request.param
    made = Move(ready_lab_factory(INVENTORY.format(own=own, other=other, ttl=TTL)))
    for path in (made.provider, made.own):
        result = run("apply", "--yes", "--no-verify", str(path))
        assert result.code == 0, result.events[-3:]
    resolver = (Path(__file__).parent / "caching_resolver.py").read_text()
    made.on("mx3", f"cat > /root/resolver.py <<'END'\n{resolver}\nEND")
    server = made.on("mx3", "awk '/^nameserver/ { print $2; exit }' /etc/resolv.conf").strip()
    made.on(
        "mx3",
        f"systemd-run -q --unit resolver python3 /root/resolver.py {server}; "
        "rm -f /etc/resolv.conf; echo nameserver 127.0.0.1 > /etc/resolv.conf; "
        "cp /etc/resolv.conf /var/spool/postfix/etc/resolv.conf; systemctl restart postfix",
    )
    return made


def test_none_is_lost_or_returned(move: Move) -> None:
    words = {"far": "mx3", "near": "mx1", "old": "mx3"}
    move.send("mx3", "far", "gus@gamma.test", "ana@alpha.test")
    move.send("mx1", "near", "bob@beta.test", "info@alpha.test")
    move.send(
        "mx3", "old", "gus@gamma.test", "old@beta.test"
    )  # a name of the domain that stays leads to the other

    move.state()
    done = run("dns", "move", "--to", "other", "--yes", str(move.own), "alpha.test")
    assert done.code == 4, done.events[-5:]  # a week for the last step
    away = move.sent("mx1", "near")
    wait_until(lambda: move.sent("mx1", "near") > away + 3, "a message a second")
    assert max(move.arrived("mx1", "near")) <= away + 1, "what users of the host send goes by the MX"
    with post.outside(str(ipaddress.ip_network(move.hosts.subnet)[11])) as client:
        client.mail("gus@gamma.test")
        assert client.rcpt("ana@alpha.test")[0] == 450, "who has the old MX is to come again"
        assert client.rcpt("bob@beta.test")[0] == 250
    # Rolled back, the host takes its mail again, as before that step; the same command goes on from there.
    assert run("rollback", "--yes", str(move.own)).code == 0
    with post.outside(str(ipaddress.ip_network(move.hosts.subnet)[11])) as client:
        client.mail("gus@gamma.test")
        assert client.rcpt("ana@alpha.test")[0] == 250
    done = run("dns", "move", "--to", "other", "--wait", "0", "--yes", str(move.own), "alpha.test")
    assert done.code == 0, done.events[-5:]
    move.state(hosts=False)
    assert run("apply", "--yes", "--no-verify", str(move.own)).code == 0
    assert "ana@alpha.test" not in move.on("mx1", "cat /etc/postfix/mailprov/logins")

    move.state()
    done = run("dns", "move", "--to", "hosts", "--yes", str(move.own), "alpha.test")
    assert done.code == 4, done.events[-5:]
    refused = run("rollback", "--yes", str(move.own))  # the host would take no more of what still comes to it
    assert refused.code == 1
    assert any("--to other` turns back" in event["error"] for event in refused.of("ended"))
    done = run("dns", "move", "--to", "hosts", "--wait", "0", "--yes", str(move.own), "alpha.test")
    assert done.code == 0, done.events[-5:]
    move.state(hosted=False)
    assert run("apply", "--yes", "--no-verify", str(move.own)).code == 0
    time.sleep(2 * TTL)

    for word, host in words.items():
        move.on(host, f"systemctl stop send-{word}")
    for host in ("mx1", "mx2", "mx3"):
        move.on(host, "postqueue -f")
    sent = {word: move.sent(host, word) for word, host in words.items()}

    def missing() -> dict[str, set[int]]:
        got = {word: move.arrived("mx1", word) | move.arrived("mx2", word) for word in words}
        return {word: set(range(1, sent[word] + 1)) - got[word] for word in words}

    wait_until(lambda: not any(missing().values()), "all that was sent is there", timeout=60)
    for word in words:
        assert min(sent.values()) > 20
        assert move.arrived("mx1", word), word
        assert move.arrived("mx2", word), word
    for host in ("mx1", "mx3"):
        returned = [head for box, _, head in post.stored(move.hosts, host) if "MAILER-DAEMON" in head]
        assert not returned, returned[:1]
