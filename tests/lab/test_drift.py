"""What people do to hosts by hand, local settings, saved plans, and mail that accounts leave behind, on real hosts.

The tests of this file build on each other in their order. Debian 12 and 13: both Dovecot lines, and both ways in which
Debian runs Postfix.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mailprov import lab
from tests.lab.labs import run_on, wait_until
from tests.lab.program import Result, run

INVENTORY = """\
filter: none
hosts:
  mx1: {address: 192.0.2.1, fqdn: mx1.alpha.test, lab: {release: debian-12}}
  mx2: {address: 192.0.2.2, fqdn: mx2.beta.test, lab: {release: debian-13}}
domains:
  alpha.test:
    hosts: [mx1]
    accounts: {ana: {password: {env: ANA}}, gone: {password: {env: GONE}}}
  beta.test: {hosts: [mx2], accounts: {eva: {password: {env: EVA}}}}
"""
MAIN = "/etc/postfix/main.cf"
OWN = "/etc/postfix/local.cf"


@pytest.fixture(scope="module")
def hosts(ready_lab_factory: Callable[[str], lab.Lab]) -> lab.Lab:
    made = ready_lab_factory(INVENTORY)
    first = apply(made.inventory_path)
    assert first.code == 0, first.events[-3:]
    return made


def apply(inventory: Path | str, *words: str, hosts: str = "") -> Result:
    """Hosts only: records are not what this file is about."""
    narrowed = ("--host", hosts) if hosts else ()
    return run("apply", "--yes", "--no-verify", "--only", "hosts", *narrowed, *words, str(inventory))


def variant(hosts: lab.Lab, name: str, *changes: tuple[str, str], more: str = "") -> Path:
    """The lab's inventory with some lines changed, beside it."""
    text = hosts.inventory_path.read_text()
    for pattern, replacement in changes:
        text, count = re.subn(pattern, replacement, text, count=1)
        assert count, f"{pattern} is not in the inventory"
    path = hosts.inventory_path.with_name(f"{name}.yml")
    path.write_text(text + more)
    return path


def planned(result: Result, host: str) -> dict[str, Any]:
    return {change["name"]: change for change in result.of("planned", subject=host)[-1]["changes"]}


def notices(result: Result) -> str:
    return "\n".join(event["text"] for event in result.of("notice"))


def new_alias(hosts: lab.Lab, name: str) -> Path:
    """The same change on both hosts."""
    alias = f"    aliases: {{{name}: "
    return variant(
        hosts,
        name,
        (r"(alpha.test:\n)", rf"\1{alias}ana}}\n"),
        (r"(beta.test:\n)", rf"\1{alias}eva}}\n"),
    )


def test_an_edit_by_hand_stops_that_host_and_no_other(hosts: lab.Lab) -> None:
    run_on(hosts, "mx1", "echo 'biff = yes # by hand' >> /etc/postfix/main.cf; chmod 0600 /etc/mailname")
    state = "cat /etc/postfix/main.cf /etc/postfix/mailprov/virtual; ls /etc /var/lib/mailprov/runs"
    before = run_on(hosts, "mx1", state)
    changed = new_alias(hosts, "ventas")

    plan = run("plan", "--only", "hosts", "--exit-code", str(changed))
    result = apply(changed)

    assert (plan.code, result.code) == (4, 1)
    for seen in (plan, result):
        drifted = planned(seen, "mx1")
        assert [name for name in drifted if drifted[name]["drift"]] == ["/etc/mailname", MAIN]
        assert "+biff = yes # by hand" in drifted[MAIN]["edit"].splitlines()
        assert "-biff = yes # by hand" in drifted[MAIN]["diff"].splitlines()
        assert not any(change["drift"] for change in planned(seen, "mx2").values())
    error = result.ended("mx1")["error"]
    for word in ("/etc/mailname", MAIN, "local settings", "--accept-drift", "/var/lib/mailprov/runs/"):
        assert word in error
    assert run_on(hosts, "mx1", state) == before
    assert (result.ended("mx2")["status"], result.ended("mx2")["changed"] > 0) == ("ok", True)
    assert "ventas@beta.test" in run_on(hosts, "mx2", "cat /etc/postfix/mailprov/virtual")


def test_accepted_the_edit_goes_and_is_kept_on_the_host(hosts: lab.Lab) -> None:
    result = apply(new_alias(hosts, "ventas"), "--accept-drift", hosts="mx1")

    assert result.code == 0, result.events[-3:]
    assert "by hand" not in run_on(hosts, "mx1", f"cat {MAIN}")
    kept = re.search(
        rf"{MAIN} as it was edited by hand is kept in (/var/lib/mailprov/runs/\S+)", notices(result)
    )
    assert kept, notices(result)
    assert "biff = yes # by hand" in run_on(hosts, "mx1", f"cat {kept[1]}")
    assert run_on(hosts, "mx1", "cat /etc/mailname").strip() == "mx1.alpha.test"


def test_local_settings_of_host_and_inventory_win_and_stay(hosts: lab.Lab) -> None:
    """No drift, no lasting difference; the notice comes where security depends on what is replaced."""
    for host in ("mx1", "mx2"):
        run_on(hosts, host, f"printf 'message_size_limit = 1234567\\ndelay_warning_time=4h\\n' > {OWN}")
        run_on(hosts, host, "echo 'mail_max_userip_connections = 33' > /etc/dovecot/local.conf")
    settings = (
        "postfix: {main_cf: {message_size_limit: 999, smtpd_tls_mandatory_ciphers: medium}}\n"
        "dovecot: {settings: {protocol imap: {mail_max_userip_connections: 44}, login_greeting: hola}}\n"
    )
    own = (
        "    postfix: {main_cf: {default_process_limit: 77}, master_cf: {extra/unix: '- n n - 1 discard'}}\n"
    )
    inventory = variant(hosts, "settings", (r"(  mx2:\n)", rf"\1{own}"), more=settings)

    result = apply(inventory)

    assert result.code == 0, [event for event in result.events if event["event"] in ("ended", "run_ended")]
    for host in ("mx1", "mx2"):
        assert not any(change["drift"] for change in planned(result, host).values())
        values = run_on(
            hosts, host, "postconf -h message_size_limit delay_warning_time smtpd_tls_mandatory_ciphers"
        )
        assert values.split() == ["1234567", "4h", "medium"]
        assert run_on(hosts, host, "doveconf -h login_greeting mail_max_userip_connections").split() == [
            "hola",
            "33",
        ]
        assert run_on(hosts, host, "doveconf -h -f protocol=imap mail_max_userip_connections").strip() == "44"
        wait_until(
            lambda host=host: (
                "hola"
                in run_on(hosts, host, "timeout 5 bash -c 'head -1 < /dev/tcp/127.0.0.1/143'", check=False)
            ),
            f"{host}: the greeting is the new one",
        )
    assert run_on(hosts, "mx1", "postconf -h default_process_limit").strip() == "100"
    assert run_on(hosts, "mx2", "postconf -h default_process_limit").strip() == "77"
    assert "discard" in run_on(hosts, "mx2", "postconf -M extra/unix")
    assert "makes smtpd_tls_mandatory_ciphers `medium` instead of `high`" in notices(result)
    again = apply(inventory)
    assert (again.code, again.of("applied")) == (0, [])


def test_a_local_setting_that_the_daemon_does_not_know_never_goes_live(hosts: lab.Lab) -> None:
    inventory = hosts.inventory_path.with_name("settings.yml")
    run_on(hosts, "mx1", f"cp -p {OWN} /root/kept; echo 'mesage_size_limit = 1' >> {OWN}")
    live = run_on(hosts, "mx1", f"cat {MAIN}")
    try:
        result = apply(inventory, hosts="mx1")

        assert result.code == 1
        ended = result.ended("mx1")
        assert "mesage_size_limit" in ended["error"] + "".join(ended["output"])
        assert run_on(hosts, "mx1", f"cat {MAIN}") == live
    finally:
        run_on(hosts, "mx1", f"mv /root/kept {OWN}")
    assert apply(inventory, hosts="mx1").of("applied") == []


def test_a_setting_that_leaves_the_inventory_leaves_the_hosts(hosts: lab.Lab) -> None:
    for host in ("mx1", "mx2"):
        run_on(hosts, host, f"rm {OWN} /etc/dovecot/local.conf")
    result = apply(hosts.inventory_path)

    assert result.code == 0, result.events[-3:]
    assert run_on(hosts, "mx2", "postconf -h message_size_limit default_process_limit").split() == [
        "52428800",
        "100",
    ]
    assert run_on(hosts, "mx2", "doveconf -h mail_max_userip_connections").strip() == "20"


def test_a_saved_plan_is_done_once_and_without_a_question(hosts: lab.Lab, tmp_path: Path) -> None:
    saved = tmp_path / "plan.json"
    changed = new_alias(hosts, "compras")
    planning = run("plan", "--only", "hosts", "--out", str(saved), str(changed))
    assert (planning.code, saved.stat().st_mode & 0o777) == (0, 0o600)
    passwords = [path.read_text().strip() for path in (changed.parent / "secrets").iterdir()]
    assert not [one for one in passwords if one in saved.read_text()]
    assert set(json.loads(saved.read_text())["subjects"]) == {"mx1", "mx2"}

    run_on(hosts, "mx2", "touch /etc/postfix/mailprov/x; chmod 0600 /etc/mailname")
    moved = run("apply", "--no-verify", str(saved))
    assert (moved.code, moved.of("applied")) == (1, [])
    assert "different since the plan was saved: mx2;" in notices(moved)
    run_on(hosts, "mx2", "chmod 0644 /etc/mailname")

    kept = changed.read_text()
    changed.write_text(kept.replace("compras", "pedidos"))
    other = run("apply", "--no-verify", str(saved))
    assert (other.code, other.of("planned")) == (2, [])
    assert "has changed since the plan was saved" in other.stderr
    changed.write_text(kept)

    read = saved.read_text()
    saved.write_text(read.replace("/etc/postfix/mailprov/virtual", "/etc/passwd", 1))
    edited = run("apply", "--no-verify", str(saved))
    assert (edited.code, edited.of("applied")) == (2, [])
    assert "was edited after it was saved" in edited.stderr
    saved.write_text(read)

    done = run("apply", "--no-verify", str(saved))
    assert done.code == 0, done.events[-3:]
    for host, domain in (("mx1", "alpha.test"), ("mx2", "beta.test")):
        assert f"compras@{domain}" in run_on(hosts, host, "cat /etc/postfix/mailprov/virtual")
    again = run("apply", "--no-verify", str(saved))
    assert (again.code, again.of("applied"), notices(again)) == (0, [], "")
    assert "already in force" in again.of("run_ended")[0]["summary"]


def test_mail_of_an_account_that_is_gone_stays_until_it_is_purged(hosts: lab.Lab) -> None:
    for user in ("ana", "gone"):
        run_on(hosts, "mx1", f"printf 'Subject: hola\\n\\nhola\\n' | sendmail {user}@alpha.test")
        wait_until(
            lambda user=user: run_on(
                hosts, "mx1", f"ls /var/vmail/alpha.test/{user}/Maildir/new", check=False
            ),
            f"mail for {user} is stored",
        )
    inventory = variant(hosts, "without", (r"(?m)^ +gone:\n +password:\n +file: .*\n", ""))
    early = run("purge", "--yes", "--host", "mx1", str(inventory), "gone@alpha.test")
    assert (early.code, early.of("applied")) == (1, [])
    assert "can still log in on this host" in early.ended("mx1")["error"]
    assert apply(inventory, hosts="mx1").code == 0

    listed = run("purge", str(inventory))
    (kept,) = listed.of("kept_mailbox")
    assert (listed.code, kept["subject"], kept["address"], kept["messages"]) == (
        0,
        "mx1",
        "gone@alpha.test",
        1,
    )
    assert kept["bytes"] > 100

    alive = run("purge", "--yes", str(inventory), "ana@alpha.test")
    assert (alive.code, [event["event"] for event in alive.events]) == (2, ["error", "run_ended"])
    assert "is an account of the inventory on mx1" in alive.stderr
    assert run("purge", str(inventory), "gone@alpha.test").code == 2  # nobody to ask
    assert run("purge", "--yes", str(inventory), "*@alpha.test").code in (1, 2)
    never = run("purge", "--yes", str(inventory), "never@alpha.test")
    assert (never.code, never.of("applied")) == (1, [])
    assert run_on(hosts, "mx1", "ls /var/vmail/alpha.test").split() == ["ana", "gone"]

    done = run("purge", "--yes", str(inventory), "gone@alpha.test")
    assert (done.code, done.ended("mx1")["changed"]) == (0, 1)
    assert planned(done, "mx1")["gone@alpha.test"]["detail"].startswith("1 message, ")
    assert run_on(hosts, "mx1", "ls -A /var/vmail/alpha.test").split() == ["ana"]
    assert run_on(hosts, "mx1", "ls /var/vmail/alpha.test/ana/Maildir/new").strip()
    assert run("purge", str(inventory)).of("kept_mailbox") == []


def test_what_mailprov_keeps_on_a_host_is_for_root_alone(hosts: lab.Lab) -> None:
    """Every directory that is ours, and its mode; also when somebody has opened the one above them all."""
    ours = "find /var/lib/mailprov /run/mailprov /etc/mailprov /etc/postfix/mailprov -type d -printf '%m %u:%g %p\\n'"
    for host in ("mx1", "mx2"):
        run_on(hosts, host, "chmod 755 /var/lib/mailprov")
        assert apply(new_alias(hosts, "opened"), hosts=host).code == 0
        found = dict(reversed(line.rsplit(" ", 1)) for line in run_on(hosts, host, ours).splitlines())
        state = "/var/lib/mailprov"
        assert {state, f"{state}/runs", f"{state}/applied/etc", f"{state}/compiled"} <= set(found)
        compiled = run_on(hosts, host, f"find {state}/compiled -type f -printf '%m %u:%g %f\\n'").split()
        assert compiled[:2] == ["600", "root:root"], compiled
        assert len(compiled) == 3, "one, of this version"
        shared = {path for path in found if path.startswith("/etc/")}
        assert {found[path] for path in found if path not in shared} == {"700 root:root"}, found
        assert {found[path] for path in shared} == {"755 root:root"}, found
        assert run_on(hosts, host, "stat -c '%a %U:%G' /var/vmail").strip() == "750 vmail:vmail"
        readable = run_on(
            hosts,
            host,
            "setpriv --reuid=nobody --regid=nogroup --clear-groups -- sh -c "
            "'find /var/lib/mailprov /etc/mailprov /etc/dovecot/mailprov* /run/mailprov -type f -readable 2>/dev/null'",
            check=False,  # find ends with 1: it may not look everywhere
        )
        assert {path.rsplit("/", 1)[1].rsplit(".", 1)[-1] for path in readable.split()} <= {
            "crt",
            "conf",  # that Dovecot's penalty is off
            "py",  # the program that looks at submitted mail
            "txt",
            "keys",
            "domains",
            "senders",
            "mailprov-sendmail",
            "mailprov-quota-warning",
        }, readable
