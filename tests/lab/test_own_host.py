"""A first apply on hosts with a past: packages that nobody touched, and servers that somebody built by hand.

mx1 (Debian 12) and mx2 (Debian 13) are hand-built with mail, a domain, aliases and Dovecot settings of their own; on
mx3 the same packages are as their installation left them. What is theirs is told file by file and needs
--take-over-host; mx3 is provisioned all the while. The tests of this file build on each other in their order.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mailprov import lab
from tests.lab.labs import run_on, wait_until
from tests.lab.program import Result, act_when, run

INVENTORY = """\
filter: none
hosts:
  mx1: {address: 192.0.2.1, fqdn: mx1.alpha.test, lab: {release: debian-12}}
  mx2: {address: 192.0.2.2, fqdn: mx2.beta.test, lab: {release: debian-13}}
  mx3: {address: 192.0.2.3, fqdn: mx3.gamma.test, lab: {release: debian-13}}
domains:
  alpha.test: {hosts: [mx1], accounts: {ana: {password: {env: ANA}}}}
  beta.test: {hosts: [mx2], accounts: {eva: {password: {env: EVA}}}}
  gamma.test: {hosts: [mx3], accounts: {pepa: {password: {env: PEPA}}}}
"""
BY_HAND = """
set -e
useradd -m ana
echo ana:una-clave | chpasswd
postconf -e 'relayhost = [192.0.2.25]:25' 'virtual_alias_domains = old.test'
postconf -e 'virtual_alias_maps = inline:{x@old.test=ana}'
postconf -M 'submission/inet=submission inet n - y - - smtpd'
echo 'sales: ana' >>/etc/aliases
newaliases
cat >/etc/dovecot/conf.d/99-by-hand.conf <<'END'
auth_verbose = yes
END
systemctl restart postfix dovecot
for n in 1 2 3; do echo "message $n" | sendmail -f ana ana; done
"""
BUILT = ("mx1", "mx2")
TREE = (
    "find /etc/postfix /etc/dovecot /etc/aliases /etc/mailname /var/mail -type f -exec sha256sum {} + | sort"
)
SHOWN = "doveadm search -u ana mailbox INBOX all | wc -l"


@pytest.fixture(scope="module")
def hosts(ready_lab_factory: Callable[[str], lab.Lab]) -> lab.Lab:
    made = ready_lab_factory(INVENTORY)
    for host in BUILT:
        run_on(made, host, BY_HAND)
        wait_until(lambda host=host: count(made, host) == 3, f"3 messages of ana on {host}")
    return made


def count(made: lab.Lab, host: str) -> int:
    return int(run_on(made, host, "grep -c '^From ' /var/mail/ana || true", check=False) or 0)


def apply(inventory: Path | str, *words: str) -> Result:
    return run("apply", "--yes", "--no-verify", *words, str(inventory))


def losses(result: Result, host: str) -> list[str]:
    return list(result.of("planned", subject=host)[-1]["takes_over"])


SENTENCES = [
    "3 messages of ana in /var/mail/ana will no longer be shown by IMAP",
    "/etc/postfix/main.cf is replaced, and with it the settings relayhost, virtual_alias_domains and "
    "virtual_alias_maps of this host's own",
    "/etc/postfix/master.cf is replaced, and with it the service submission/inet of this host's own",
    "/etc/dovecot/conf.d/99-by-hand.conf, which comes from no package, is no longer read",
    "/etc/aliases is no longer read, and with it the alias sales",
]


def test_the_plan_says_what_would_be_hidden_and_replaced(hosts: lab.Lab) -> None:
    result = run("plan", "--only", "hosts", str(hosts.inventory_path))

    assert result.code == 0
    for host in BUILT:
        assert losses(result, host) == SENTENCES
    assert losses(result, "mx3") == []


def test_a_saved_plan_stops_there_and_goes_on_elsewhere(hosts: lab.Lab, tmp_path: Path) -> None:
    saved = tmp_path / "plan.json"
    assert run("plan", "--only", "hosts", "--out", str(saved), str(hosts.inventory_path)).code == 0
    before = {host: run_on(hosts, host, TREE) for host in BUILT}

    result = run("apply", "--no-verify", str(saved))

    assert result.code == 1
    for host in BUILT:
        end = result.ended(host)
        assert (end["status"], end["changed"]) == ("failed", 0)
        assert "3 messages of ana in /var/mail/ana" in end["error"]
        assert "--take-over-host" in end["error"]
    assert result.ended("mx3")["status"] == "ok"
    assert {host: run_on(hosts, host, TREE) for host in BUILT} == before
    assert run_on(hosts, "mx1", SHOWN).strip() == "3"


def test_an_untouched_host_whose_first_apply_was_killed_is_not_taken_for_somebodys(hosts: lab.Lab) -> None:
    """What lies there half written is our own work."""
    assert run("rollback", "--yes", "--host", "mx3", str(hosts.inventory_path)).code == 0
    run_on(hosts, "mx3", "rm -rf /var/lib/mailprov")
    words = ("apply", "--yes", "--no-verify", "--only", "hosts", "--host", "mx3", str(hosts.inventory_path))

    def checking(event: dict[str, object]) -> bool:
        return event["event"] == "progress" and str(event["text"]).startswith("checking the configuration")

    act_when(checking, lambda process: process.kill(), *words)
    wait_until(lambda: not busy(hosts), "the agent on mx3 has come to its end")

    result = run("plan", "--only", "hosts", "--host", "mx3", str(hosts.inventory_path))
    assert (result.code, losses(result, "mx3")) == (0, [])
    assert apply(hosts.inventory_path, "--only", "hosts", "--host", "mx3").code == 0


def busy(hosts: lab.Lab) -> bool:
    return "MAILPROV" in run_on(hosts, "mx3", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '", check=False)


def test_told_to_take_over_it_does_and_a_rollback_gives_everything_back(hosts: lab.Lab) -> None:
    before = {host: run_on(hosts, host, TREE) for host in BUILT}
    words = ("--only", "hosts", "--host", "mx1", "--host", "mx2")

    result = apply(hosts.inventory_path, "--take-over-host", *words)
    assert result.code == 0, result.events[-3:]
    assert losses(result, "mx1") == SENTENCES
    for host in BUILT:
        assert run_on(hosts, host, "postconf -h relayhost").strip() == ""
        assert count(hosts, host) == 3
    # It is ours now: nobody is asked again.
    again = apply(hosts.inventory_path, *words)
    assert (again.code, losses(again, "mx1")) == (0, [])
    assert run("rollback", "--yes", "--host", "mx1", "--host", "mx2", str(hosts.inventory_path)).code == 0
    assert {host: run_on(hosts, host, TREE) for host in BUILT} == before
    wait_until(lambda: run_on(hosts, "mx1", SHOWN, check=False).strip() == "3", "ana reads her mail again")
