"""`mailprov queue` on Debian 12 and 13: what waits is shown with its reasons, and acted on one message at a time.

The next host is down: to its address there is no route. Every test puts its own messages into the queues.
"""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Callable
from typing import Any

import pytest

from mailprov import lab
from tests.lab.labs import run_on, wait_until
from tests.lab.program import COMMAND, act_when, run

INVENTORY = """
filter: none
hosts:
  mx1: {address: 192.0.2.1, fqdn: mx1.alpha.test, lab: {release: debian-12}}
  mx2: {address: 192.0.2.2, fqdn: mx2.beta.test, lab: {release: debian-13}}
domains:
  alpha.test: {hosts: [mx1], accounts: {ana: {password: {env: P}}}}
  beta.test: {hosts: [mx2], accounts: {eva: {password: {env: P}}}}
"""
HOSTS = ("mx1", "mx2")


@pytest.fixture(scope="module")
def hosts(ready_lab_factory: Callable[[str], lab.Lab]) -> lab.Lab:
    made = ready_lab_factory(INVENTORY)
    result = run("apply", "--yes", "--no-verify", str(made.inventory_path))
    assert result.code == 0, result.events[-3:]
    for host in HOSTS:
        run_on(made, host, "ip route replace unreachable 203.0.113.9/32")
    run_on(made, "mx2", "postconf -e enable_long_queue_ids=yes && postfix reload")
    return made


@pytest.fixture
def inventory(hosts: lab.Lab) -> str:
    return str(hosts.inventory_path)


def recorded(hosts: lab.Lab, host: str) -> dict[str, dict[str, Any]]:
    """The queue as Postfix itself tells it: id → message."""
    lines = run_on(hosts, host, "postqueue -j").splitlines()
    return {each["queue_id"]: each for each in map(json.loads, lines)}


def send(hosts: lab.Lab, host: str, word: str, count: int = 1) -> list[str]:
    """Messages to `word` on the host that is down; their ids, once they are deferred."""
    to = f"{word}@[203.0.113.9]"
    text = f"printf 'Subject: {word}\\n\\nfor {word}\\n' | sendmail -i -f news@{word}.test '{to}'"
    run_on(hosts, host, f"for n in $(seq {count}); do {text}; done")

    def mine() -> list[str]:
        return [
            name
            for name, each in recorded(hosts, host).items()
            if each["recipients"][0]["address"] == to and each["queue_name"] == "deferred"
        ]

    wait_until(lambda: len(mine()) == count, f"{count} deferred messages for {word} on {host}")
    return mine()


def where(hosts: lab.Lab, host: str, name: str) -> str:
    found = recorded(hosts, host).get(name)
    return str(found["queue_name"]) if found else ""


def test_what_waits_is_told_with_its_reason_and_the_next_try(hosts: lab.Lab, inventory: str) -> None:
    names = {host: send(hosts, host, f"seen{host}") for host in HOSTS}
    result = run("queue", inventory)

    assert result.code == 0
    for host in HOSTS:
        (name,) = names[host]
        (message,) = result.of("queued_message", subject=host, queue_id=name)
        theirs = recorded(hosts, host)[name]
        assert (message["arrived"], message["size"]) == (theirs["arrival_time"], theirs["message_size"])
        assert message["recipients"][0]["reason"] == theirs["recipients"][0]["delay_reason"]
        path = run_on(hosts, host, f"find /var/spool/postfix/deferred -name {name}").strip()
        assert message["next_try"] == int(run_on(hosts, host, f"stat -c %Y {path}"))
        assert message["given_up"] - message["arrived"] == 5 * 86400
        (state,) = result.of("queue_state", subject=host)
        assert state["running"]
        assert state["deferred"] == state["messages"] >= 1
        assert any("203.0.113.9:25" in reason["text"] for reason in state["reasons"])
    narrowed = run("queue", inventory, "--recipient", "SEENMX1@", "--host", "mx1")
    assert [each["queue_id"] for each in narrowed.of("queued_message")] == names["mx1"]
    over = run("queue", inventory, "--max-deferred", "0", "--max-age", "1d")
    assert over.code == 1
    assert [len(state["over"]) for state in over.of("queue_state")] == [1, 1]


def test_each_action_is_seen_on_the_host_and_in_the_history(hosts: lab.Lab, inventory: str) -> None:
    for host in HOSTS:
        name, other = send(hosts, host, f"act{host}", 2)
        assert run("queue", inventory, "--hold", name, "--yes").code == 0
        assert (where(hosts, host, name), where(hosts, host, other)) == ("hold", "deferred")
        assert run("queue", inventory, "--hold", name, "--yes").code == 0  # it is so already
        assert run("queue", inventory, "--flush", "--id", name, "--yes").code == 1
        assert run("queue", inventory, "--release", name, "--yes").code == 0
        assert where(hosts, host, name) != "hold"
        tries = f"journalctl --no-pager -o cat | grep -c '{other}: to=<.*status=deferred'; true"
        before = int(run_on(hosts, host, tries))
        assert run("queue", inventory, "--flush", "--id", other, "--yes").code == 0
        wait_until(lambda: int(run_on(hosts, host, tries)) > before, f"one more try of {other}")  # noqa: B023

        deleted = run("queue", inventory, "--delete", name, "--yes")
        assert deleted.code == 0
        assert (where(hosts, host, name), bool(where(hosts, host, other))) == ("", True)
        (notice,) = deleted.of("notice", subject=host)
        path, command = re.findall(r"ended there: (\S+);.* on the host: (.*)$", notice["text"])[0]
        assert run_on(hosts, host, f"stat -c %a {path}").strip() == "600"
        run_on(hosts, host, command)  # as the notice says: it is sent again
        again = f"grep -c 'for act{host}'"
        assert int(run_on(hosts, host, f"{again} {path}")) == 1

        def back(host: str = host, other: str = other) -> bool:
            found = [
                each
                for key, each in recorded(hosts, host).items()
                if key != other and each["recipients"][0]["address"].startswith(f"act{host}@")
            ]
            return len(found) == 1

        wait_until(back, f"the message that was sent again on {host}")
        assert run("queue", inventory, "--delete", name, "--yes").code == 1  # it is in no queue any more
        runs = run("history", inventory, "--host", host).of("past_run", ids=[name])
        assert [one["action"] for one in runs] == ["hold", "release", "delete"]
        assert not any(one["next"] for one in runs)
    undone = run("rollback", inventory)  # only shown
    assert any("was about messages of the queue" in each["text"] for each in undone.of("notice"))


def test_words_for_all_of_them_are_refused(hosts: lab.Lab, inventory: str) -> None:
    before = {host: set(recorded(hosts, host)) for host in HOSTS}
    for word in ("ALL", "*"):
        assert run("queue", inventory, f"--delete={word}", "--yes").code == 2
    assert {host: set(recorded(hosts, host)) for host in HOSTS} == before


def test_a_killed_agent_leaves_nothing_held(hosts: lab.Lab, inventory: str) -> None:
    """SIGKILL while it keeps the copy: between holding and deleting."""
    for host in HOSTS:
        (name,) = send(hosts, host, f"kill{host}")
        slow = (
            "mkdir -p /usr/local/sbin && printf '%s\\n' '#!/bin/sh' "
            "'case \"$*\" in *-b*) kill -9 $PPID; sleep 1;; esac' 'exec /usr/sbin/postcat \"$@\"' "
            ">/usr/local/sbin/postcat && chmod 755 /usr/local/sbin/postcat"
        )
        run_on(hosts, host, slow)
        try:
            killed = run("queue", inventory, "--delete", name, "--yes", "--host", host)
            assert killed.code == 1
            assert "the agent on the host was killed" in killed.ended(host)["error"]
        finally:
            run_on(hosts, host, "rm /usr/local/sbin/postcat")
        assert where(hosts, host, name) not in ("", "hold")
        runs = run("history", inventory, "--host", host).of("past_run", ids=[name])
        assert [one["status"] for one in runs] == ["interrupted"]
        assert run("queue", inventory, "--delete", name, "--yes", "--host", host).code == 0
        assert where(hosts, host, name) == ""


def test_two_controllers_at_once_do_it_once(hosts: lab.Lab, inventory: str) -> None:
    for host in HOSTS:
        (name,) = send(hosts, host, f"two{host}")
        words = [*COMMAND, "queue", inventory, "--delete", name, "--yes", "--host", host, "--json"]
        both = [
            subprocess.Popen([*words, "--lock-timeout", "120"], stdout=subprocess.PIPE, text=True)
            for _each in range(2)
        ]
        codes = sorted((one.communicate(timeout=300), one.returncode)[1] for one in both)

        assert codes == [0, 1]  # the second finds it gone
        assert where(hosts, host, name) == ""
        runs = run("history", inventory, "--host", host).of("past_run", ids=[name])
        assert [one["changed"] for one in runs] == [1]


def test_postfix_that_is_stopped_or_broken_or_gone_is_one_sentence(hosts: lab.Lab, inventory: str) -> None:
    names = send(hosts, "mx1", "stopped") + send(hosts, "mx2", "stopped")
    for host in HOSTS:
        run_on(hosts, host, "systemctl stop postfix")
    try:
        stopped = run("queue", inventory)
        assert stopped.code == 0
        assert set(names) <= {each["queue_id"] for each in stopped.of("queued_message")}
        for host in HOSTS:
            (notice,) = stopped.of("notice", subject=host)
            assert notice["text"] == "Postfix is not running here, so nothing is being delivered"
    finally:
        for host in HOSTS:
            run_on(hosts, host, "systemctl start postfix")
    for host in HOSTS:
        run_on(
            hosts,
            host,
            "cp -a /etc/postfix/main.cf /root/kept; echo 'hash_queue_depth = x' >>/etc/postfix/main.cf",
        )
    try:
        broken = run("queue", inventory)
        assert broken.code == 1
        for host in HOSTS:
            error = broken.ended(host)["error"]
            assert "bad numerical configuration: hash_queue_depth = x" in error
            assert error.endswith("Run `postfix check` on the host.")
    finally:
        for host in HOSTS:
            run_on(hosts, host, "mv /root/kept /etc/postfix/main.cf")
    run_on(hosts, "mx1", "mv /usr/sbin/postqueue /usr/sbin/postqueue.kept")
    try:
        gone = run("queue", inventory)
        assert gone.code == 1
        assert gone.ended("mx1")["error"].startswith(
            "mx1: Postfix is not installed on this host, so it has no queue."
        )
        assert gone.ended("mx2")["status"] == "ok"
    finally:
        run_on(hosts, "mx1", "mv /usr/sbin/postqueue.kept /usr/sbin/postqueue")


def test_thousands_are_counted_and_a_few_are_shown(hosts: lab.Lab, inventory: str) -> None:
    count = 2000
    run_on(
        hosts,
        "mx1",
        f"smtp-source -s 20 -m {count} -l 300 -f burst@alpha.test -t 'burst@[203.0.113.9]' 127.0.0.1:25",
    )
    wait_until(
        lambda: int(run_on(hosts, "mx1", "find /var/spool/postfix/deferred -type f | wc -l")) >= count,
        "the burst",
        600,
    )
    whole = run("queue", inventory, "--host", "mx1", "--recipient", "burst@")
    assert len(whole.of("queued_message")) == count == whole.of("queue_state")[0]["messages"]
    shown = subprocess.run(
        [*COMMAND, "queue", inventory, "--host", "mx1"],
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    ).stdout
    assert len(shown.splitlines()) < 40
    assert re.search(r"2,\d\d\d × connect to 203\.0\.113\.9:25: ", shown)
    assert "not shown: " in shown


def test_a_controller_that_is_killed_after_the_go_changes_nothing_else(
    hosts: lab.Lab, inventory: str
) -> None:
    (name,) = send(hosts, "mx2", "cut")
    act_when(
        lambda event: event["event"] == "planned",
        lambda process: process.kill(),
        *("queue", inventory, "--hold", name, "--yes", "--host", "mx2"),
    )
    deadline = time.monotonic() + 300
    while (
        run_on(hosts, "mx2", "ls -d /var/lib/mailprov/journal 2>/dev/null; true")
        and time.monotonic() < deadline
    ):
        time.sleep(0.5)
    assert where(hosts, "mx2", name) in ("hold", "deferred", "active")  # done, or not begun
    assert run("queue", inventory, "--host", "mx2", "--id", name).code == 0
