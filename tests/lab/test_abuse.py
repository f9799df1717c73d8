"""Protection on real hosts: failed logins, the firewall, a smarthost; what a stranger must not be able to do.

mx1 (Debian 12) has fail2ban and hands all mail to mx2 as its smarthost; mx2 (Debian 13) has fail2ban and ufw. The
machine that runs the tests is exempt, so whoever tries passwords is the other host.
"""

from __future__ import annotations

import contextlib
import imaplib
import re
import smtplib
import socket
import ssl
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from email import message_from_bytes, policy
from functools import partial
from ipaddress import ip_network

import pytest

from mailprov import lab
from tests.lab.labs import run_on, wait_until
from tests.lab.program import run

INVENTORY = """\
fail2ban: {ignore: [192.0.2.77]}
filter: none
hosts:
  mx1:
    address: 192.0.2.1
    fqdn: mx1.alpha.test
    relayhost: {host: mx2.beta.test, user: eva@beta.test, password: {env: EVA}}
    lab: {release: debian-12}
  mx2:
    address: 192.0.2.2
    fqdn: mx2.beta.test
    firewall: ufw
    postfix: {main_cf: {mua_sender_restrictions: reject_non_fqdn_sender, mua_milters: ""}}  # eva sends for others
    lab: {release: debian-13}
domains:
  alpha.test: {hosts: [mx1], accounts: {ana: {password: {env: ANA}}}}
  beta.test: {hosts: [mx2], accounts: {eva: {password: {env: EVA}}}}
"""
OPEN = {22, 25, 110, 143, 465, 587, 993, 995, 4190}
ATTACK = """
import imaplib, smtplib, ssl, sys, threading
host, kind, context = sys.argv[1], sys.argv[2], ssl.create_default_context()
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
def attempt():
    try:
        if kind == "imap":
            imaplib.IMAP4_SSL(host, ssl_context=context, timeout=60).login("ana@alpha.test", "wrong")
        else:
            smtplib.SMTP_SSL(host, context=context, timeout=60).login("ana@alpha.test", "wrong")
    except Exception:
        pass
crowd = [threading.Thread(target=attempt) for _ in range(14)]
[one.start() for one in crowd], [one.join() for one in crowd]
"""

# Lines as the journals of both Dovecot lines and both Postfixes gave them, with the address that must be counted; and
# what somebody who chooses the names could make of them.
RECORDED = {
    "mailprov-dovecot": [
        (
            "dovecot[1654]: auth: passwd-file(luis@alpha.test,192.0.2.1,<3GYBy2BhEtIKTgIM>): Password mismatch",
            "192.0.2.1",
        ),
        ("dovecot[1654]: auth: passwd-file(luis@alpha.test,192.0.2.2): Password mismatch", "192.0.2.2"),
        (
            "dovecot[1654]: auth: passwd-file(no@alpha.test,2001:db8::3,<3GYBy2BhEtIKTgIM>): unknown user",
            "2001:db8::3",
        ),
        (
            "dovecot[1654]: auth: plain(?,192.0.2.4,<3GYBy2BhEtIKTgIM>): Username character disallowed by "
            "auth_username_chars: 0x2c (username: a,198.51.100.1,<x>): Password mismatch)",
            "192.0.2.4",
        ),
        (
            "dovecot[1654]: auth: passwd-file(eva@alpha.test,192.0.2.5): Password mismatch (SHA1 of given password: 5)",
            "192.0.2.5",
        ),
        (
            "dovecot[1559]: auth(eva@beta.test,192.0.2.6,sasl:plain)<eLyuymBhUMEKTg>: passwd-file: Password mismatch",
            "192.0.2.6",
        ),
        (
            "dovecot[1559]: auth(luis@beta.test,192.0.2.7,sasl:login): passwd-file: Password mismatch",
            "192.0.2.7",
        ),
        (
            "dovecot[1559]: auth(no@beta.test,192.0.2.8,sasl:plain)<eLyuymBhUMEKTgIL>: passwd-file: unknown user",
            "192.0.2.8",
        ),
        (
            "dovecot[1559]: auth(?,192.0.2.9,sasl:plain)<eLyuymBhUMEKTgIL>: plain: Username character disallowed by "
            "auth_username_chars: 0x2c (username: b,198.51.100.1,sasl:plain): passwd-file: Password mismatch)",
            "192.0.2.9",
        ),
        (
            "dovecot[1654]: imap-login: Login: user=<auth(a,198.51.100.1): x: Password mismatch>, rip=192.0.2.10",
            "",
        ),
        (
            "dovecot[1654]: auth: passwd-file(a,198.51.100.1): Password mismatch,192.0.2.11): Password mismatch",
            "",
        ),
        (
            "dovecot[1559]: auth(a,198.51.100.1): x: unknown user,192.0.2.12,sasl:plain)<x>: passwd-file: unknown user",
            "",
        ),
        ("dovecot[1654]: imap(ana@alpha.test)<1675><x>: auth: x(a,198.51.100.1): Password mismatch", ""),
    ],
    "mailprov-postfix": [
        (
            "postfix/submissions/smtpd[1593]: warning: unknown[192.0.2.1]: SASL PLAIN authentication failed: "
            "(reason unavailable), sasl_username=luis@alpha.test",
            "192.0.2.1",
        ),
        (
            "postfix/submission/smtpd[1483]: warning: host.test[2001:db8::2]: SASL LOGIN authentication failed: "
            "UGFzc3dvcmQ6, sasl_username=x[198.51.100.1]: SASL PLAIN authentication failed: Connection lost",
            "2001:db8::2",
        ),
        (
            "postfix/submissions/smtpd[1603]: warning: unknown[198.51.100.1]: SASL PLAIN authentication failed: "
            "Connection lost to authentication server",
            "",
        ),
    ],
}


@pytest.fixture(scope="module")
def inventory(
    ready_lab_factory: Callable[[str], lab.Lab], tmp_path_factory: pytest.TempPathFactory
) -> tuple[lab.Lab, str]:
    """The lab's inventory, in which this machine's address in the lab is exempt from fail2ban."""
    where = ready_lab_factory(INVENTORY)
    text = where.inventory_path.read_text()
    own = [str(ip_network(net)[1]) for net in (where.subnet, where.subnet6) if net]
    assert "192.0.2.77" in text
    where.inventory_path.write_text(text.replace("192.0.2.77", "\n        - ".join(own)))
    return where, str(where.inventory_path)


def password(where: lab.Lab, address: str) -> str:
    return (where.directory / "secrets" / address).read_text().strip()


def trusting(where: lab.Lab) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(where.ca_file))


@contextlib.contextmanager
def mailbox(where: lab.Lab, host: str, address: str):  # type: ignore[no-untyped-def]
    member = where.host(host)
    context = trusting(where)
    context.check_hostname = False
    with imaplib.IMAP4_SSL(member.address, ssl_context=context, timeout=120) as client:
        client.login(address, password(where, address))
        client.select("INBOX")
        yield client


def test_apply_protects_and_the_second_does_nothing(inventory: tuple[lab.Lab, str]) -> None:
    where, path = inventory
    # As it is where mailprov installs it; on mx2 it ran before mailprov came.
    run_on(where, "mx1", "systemctl disable -q --now fail2ban")
    first = run("apply", "--yes", "--no-verify", path)
    assert first.code == 0, (first.stderr, first.of("ended"))
    assert run("plan", "--exit-code", path).code == 0
    assert "ufw" not in run_on(where, "mx1", "systemctl list-units --all 'mailprov-firewall*' --no-legend")


def test_the_firewall_lets_in_mail_and_ssh_and_nothing_else(inventory: tuple[lab.Lab, str]) -> None:
    where, _ = inventory
    rules = run_on(
        where, "mx2", "sed -n 's/^### tuple ### allow tcp \\([0-9]*\\).*/\\1/p' /etc/ufw/user.rules"
    )
    assert {int(port) for port in rules.split()} == OPEN
    run_on(where, "mx2", "systemd-run -q --unit=other python3 -m http.server 8080")
    wait_until(lambda: ":8080" in run_on(where, "mx2", "ss -Hltn"), "another server listens")
    for port in (22, 25, 993):
        socket.create_connection((where.host("mx2").address, port), timeout=60).close()
    with pytest.raises(OSError, match="timed out"):
        socket.create_connection((where.host("mx2").address, 8080), timeout=2)


# Somebody without rights names a process sshd, and another one so that it looks like the process of sshd in a listing;
# and runs the true program as oneself. A second SSH server of root's is one indeed.
PRETENDERS = """
import ctypes, os, socket, sys
port, name = int(sys.argv[1]), sys.argv[2]
server = socket.create_server(("", port))
ctypes.CDLL(None).prctl(15, name.encode(), 0, 0, 0)
server.accept()
"""


def test_the_firewall_knows_an_ssh_server_by_more_than_its_name(inventory: tuple[lab.Lab, str]) -> None:
    where, _ = inventory
    true = run_on(where, "mx2", "systemctl show -p MainPID --value ssh.service").strip()
    run_on(where, "mx2", f"cat >/tmp/pretend.py <<'END'\n{PRETENDERS}END")
    run_on(where, "mx2", "ssh-keygen -q -t ed25519 -N '' -f /tmp/own.key && chown nobody /tmp/own.key")
    nobody, key = "systemd-run -q --uid=nobody --unit", "/etc/ssh/ssh_host_ed25519_key"
    commands = {
        31337: f"{nobody} pretend-1 python3 /tmp/pretend.py 31337 sshd",
        31338: f"{nobody} pretend-2 python3 /tmp/pretend.py 31338 'd\",pid={true},fd=3'",
        31339: f"{nobody} pretend-3 /usr/sbin/sshd -D -f /dev/null -h /tmp/own.key -p 31339",
        2222: f"systemd-run -q --unit second-ssh /usr/sbin/sshd -D -f /dev/null -h {key} -p 2222",
    }
    for command in commands.values():
        run_on(where, "mx2", command)
    ports = "ss -Hltn | sed 's/ users.*//'"
    wait_until(lambda: all(f":{port} " in run_on(where, "mx2", ports) for port in commands), "all listen")
    show = "sed -n 's/^### tuple ### allow tcp \\([0-9]*\\).*/\\1/p' /etc/ufw/user.rules"
    rules = f"systemctl restart mailprov-firewall && {show}"
    try:
        assert {int(port) for port in run_on(where, "mx2", rules).split()} == {*OPEN, 2222}
    finally:
        run_on(where, "mx2", "systemctl stop 'pretend-*' second-ssh")
    assert {int(port) for port in run_on(where, "mx2", rules).split()} == OPEN


def sent_by_the_smarthost(where: lab.Lab, word: str) -> list[str]:
    """ana writes to eva through mx1; the Received lines with which it arrives."""
    context = trusting(where)
    context.check_hostname = False
    with smtplib.SMTP_SSL(where.host("mx1").address, context=context, timeout=120) as client:
        client.login("ana@alpha.test", password(where, "ana@alpha.test"))
        text = f"From: ana@alpha.test\r\nSubject: {word}\r\n\r\nx\r\n"
        client.sendmail("ana@alpha.test", ["eva@beta.test"], text)

    def arrived() -> bool:
        with mailbox(where, "mx2", "eva@beta.test") as box:
            return bool(box.search(None, "SUBJECT", word)[1][0])

    wait_until(arrived, "the message came by the smarthost")
    with mailbox(where, "mx2", "eva@beta.test") as box:
        number = box.search(None, "SUBJECT", word)[1][0].split()[-1]
        raw = box.fetch(number, "(BODY.PEEK[])")[1][0][1]
    return [*map(str, message_from_bytes(raw, policy=policy.default).get_all("Received", []))]


def handed_in_by_mx1(where: lab.Lab, service: str) -> int:
    """How many messages came to this service of the smarthost with mx1's login; probes come from this machine."""
    line = f"postfix/{service}/smtpd.*client=.*sasl_username=eva@beta.test"
    ours = " ".join(f"-e '[{address}]'" for address in _ours(where))
    lines = f"journalctl -q --no-pager | grep -E '{line}' | grep -vcF {ours}"
    return int(run_on(where, "mx2", lines, check=False))


def test_mail_leaves_through_the_smarthost_after_a_login_over_tls(inventory: tuple[lab.Lab, str]) -> None:
    where, _ = inventory
    hops = sent_by_the_smarthost(where, "smarthost")
    assert any("by mx2.beta.test" in hop and "with ESMTPSA" in hop for hop in hops), hops
    assert (handed_in_by_mx1(where, "submission"), handed_in_by_mx1(where, "submissions")) == (1, 0)
    assert run_on(where, "mx1", "stat -c '%a %U' /etc/postfix/mailprov/relay_password").strip() == "600 root"


def test_strangers_learn_nothing_and_smuggle_nothing(inventory: tuple[lab.Lab, str]) -> None:
    """Each probe goes red where the daemons are told to allow it (both hosts have that set against their defaults)."""
    where, path = inventory
    wanted = [f"--probe={probe}" for probe in ("smuggle", "smtp.vrfy", "relay", "unknown", "sieve")]
    verified = run("verify", *wanted, path)
    assert verified.code == 0, [event for event in verified.of("found") if event.get("verdict") != "pass"]
    lax = "smtpd_forbid_bare_newline=no smtpd_forbid_unauth_pipelining=no disable_vrfy_command=no"
    in_clear = {"mx1": "disable_plaintext_auth = no", "mx2": "auth_allow_cleartext = yes"}
    for host in ("mx1", "mx2"):
        run_on(where, host, "cp -a /etc/postfix/main.cf /root/main.cf")
        run_on(where, host, f"postconf -e {lax} && postfix reload")
        run_on(
            where,
            host,
            f"printf 'ssl = yes\\n{in_clear[host]}\\n' > /etc/dovecot/local.conf && doveadm reload",
        )
    try:
        red = run("verify", *wanted, path)
    finally:
        for host in ("mx1", "mx2"):
            run_on(where, host, "cp -a /root/main.cf /etc/postfix/main.cf && postfix reload")
            run_on(where, host, "rm /etc/dovecot/local.conf && doveadm reload")
    assert red.code == 1
    failed = {(each["target"]["host"], each["id"]) for each in red.of("found", verdict="fail")}
    assert failed == {
        (host, probe)
        for host in ("mx1", "mx2")
        for probe in ("smtp.vrfy", "smuggle.in", "smuggle.pipelining", "sieve.capability")
    }


def test_fail2ban_counts_what_the_daemons_log_and_nothing_that_somebody_makes_up(
    inventory: tuple[lab.Lab, str],
) -> None:
    where, _ = inventory
    for host in ("mx1", "mx2"):
        for name, lines in RECORDED.items():
            text = "\n".join(f"Nov 29 02:10:{number:02} mx1 {line}" for number, (line, _) in enumerate(lines))
            look = f"fail2ban-regex -o ip /root/lines /etc/fail2ban/filter.d/{name}.conf"
            run_on(where, host, f"cat >/root/lines <<'END'\n{text}\nEND")
            assert run_on(where, host, look).split() == [address for _, address in lines if address], name


# Three on each connection; IMAP and SMTP at the same time, as each answer takes five seconds.
GUESSES = """
import imaplib, smtplib, ssl, sys, threading
host, user, own, word = sys.argv[1:]
context = ssl.create_default_context()
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
imap = imaplib.IMAP4_SSL(host, ssl_context=context, timeout=120)
smtp = smtplib.SMTP_SSL(host, context=context, timeout=120)
said = {}
def guess(name, login):
    for number in range(3):
        try:
            login(user, "guess-%d" % number)
            said[name] = "let in"
            return
        except (imaplib.IMAP4.error, smtplib.SMTPAuthenticationError):
            pass
    said[name] = login(own, word)[0]
both = [threading.Thread(target=guess, args=each) for each in (("imap", imap.login), ("smtp", smtp.login))]
[one.start() for one in both], [one.join() for one in both]
print(said["imap"], said["smtp"])
"""


def failures(where: lab.Lab, host: str, jail: str) -> int:
    shown = run_on(where, host, f"fail2ban-client status {jail}")
    return int(shown.partition("Total failed:")[2].split()[0])


def test_wrong_passwords_before_a_right_one_are_counted(inventory: tuple[lab.Lab, str]) -> None:
    """Somebody with an account here guesses a colleague's password, and logs in before the connection ends: Dovecot's
    login processes say nothing of that. And what was typed is in no log.
    """
    where, _ = inventory
    tries = (("mx1", "mx2", "ana@alpha.test"), ("mx2", "mx1", "eva@beta.test"))
    before = {host: failures(where, host, "mailprov-dovecot") for host, _, _ in tries}

    def guess(victim: str, attacker: str, own: str) -> str:
        words = (
            f"{where.host(victim).address} postmaster@{own.partition('@')[2]} {own} '{password(where, own)}'"
        )
        return run_on(where, attacker, f"python3 - {words} <<'END'\n{GUESSES}END")

    with ThreadPoolExecutor() as pool:
        assert list(pool.map(lambda each: guess(*each), tries)) == ["OK 235\n"] * 2
    for host, attacker, _ in tries:
        # Python tries each word in two ways over SMTP.
        wait_until(
            lambda: failures(where, host, "mailprov-dovecot") >= before[host] + 3 + 6,  # noqa: B023
            f"{host}: nine wrong passwords are counted",
        )
        assert "guess-" not in run_on(where, host, "journalctl -q --no-pager")
        for jail in ("mailprov-dovecot", "mailprov-postfix"):
            run_on(
                where, host, f"fail2ban-client set {jail} unbanip {where.host(attacker).address}", check=False
            )


def test_the_right_password_is_good_at_once_whoever_guessed_from_that_address(
    inventory: tuple[lab.Lab, str],
) -> None:
    """Dovecot's penalty made it wait longer than Postfix waits: 454, again and again, and fail2ban counted it."""
    where, _ = inventory
    users = {"mx1": "ana@alpha.test", "mx2": "eva@beta.test"}
    context = trusting(where)
    context.check_hostname = False

    def guessed_then_right(host: str) -> None:
        """Each new wrong password raised the penalty, to its greatest of 15 s after the fourth."""
        user, address = users[host], where.host(host).address
        for number in range(5):
            with smtplib.SMTP_SSL(address, context=context, timeout=120) as client:
                client.ehlo()
                client.user, client.password = user, f"wrong {number}"
                with pytest.raises(smtplib.SMTPAuthenticationError, match=r"535"):
                    client.auth("PLAIN", client.auth_plain)
        with smtplib.SMTP_SSL(address, context=context, timeout=120) as client:
            assert client.login(user, password(where, user))[0] == 235

    with ThreadPoolExecutor() as pool:
        list(pool.map(guessed_then_right, users))


def test_who_tries_passwords_is_shut_out(inventory: tuple[lab.Lab, str]) -> None:
    """Both hosts at once, and both daemons of each."""
    where, _ = inventory
    jails = {"imap": "mailprov-dovecot", "smtp": "mailprov-postfix"}
    pairs = (("mx1", "mx2"), ("mx2", "mx1"))
    for _, attacker in pairs:
        run_on(where, attacker, f"cat > /tmp/attack.py <<'END'\n{ATTACK}\nEND")
    with ThreadPoolExecutor(4) as pool:
        for victim, attacker in pairs:
            for kind in jails:
                command = f"timeout 300 python3 /tmp/attack.py {where.host(victim).address} {kind}"
                pool.submit(run_on, where, attacker, command, check=False)
        for victim, attacker in pairs:
            for jail in jails.values():
                wait_until(
                    partial(_shut_out, where, victim, jail, where.host(attacker).address),
                    f"{jail} on {victim} shuts {attacker} out",
                )
        for _, attacker in pairs:  # whose connections now hang until they give up
            run_on(where, attacker, "pkill -f /tmp/attack.py", check=False)
    for victim, attacker in pairs:
        address = where.host(victim).address
        for port in (465, 993):
            attempt = f"timeout 5 bash -c '</dev/tcp/{address}/{port}' 2>&1 || echo shut"
            assert "shut" in run_on(where, attacker, attempt, check=False)
            socket.create_connection((address, port), timeout=60).close()
        for jail in jails.values():
            run_on(where, victim, f"fail2ban-client set {jail} unbanip {where.host(attacker).address}")


def _shut_out(where: lab.Lab, victim: str, jail: str, address: str) -> bool:
    return address in run_on(where, victim, f"fail2ban-client status {jail}")


def test_the_verifier_may_try_wrong_passwords(inventory: tuple[lab.Lab, str]) -> None:
    where, path = inventory
    verified = run("verify", "--probe", "auth.bad-password", path)
    assert verified.code == 0, [event for event in verified.of("found") if event.get("verdict") != "pass"]
    own = str(ip_network(where.subnet)[1])
    for host in ("mx1", "mx2"):
        for jail in ("mailprov-dovecot", "mailprov-postfix"):
            assert own not in run_on(where, host, f"fail2ban-client status {jail}")


def _ours(where: lab.Lab) -> list[str]:
    return [str(ip_network(net)[1]) for net in (where.subnet, where.subnet6) if net]


def test_a_ban_of_the_verifier_is_one_finding_and_an_apply_lifts_it(inventory: tuple[lab.Lab, str]) -> None:
    """By both jails on mx1, as after an apply of an inventory that did not name this machine yet; on mx2 by Dovecot's
    alone, which leaves SMTP open.
    """
    where, path = inventory
    own = _ours(where)
    jails = {"mx1": ("mailprov-dovecot", "mailprov-postfix"), "mx2": ("mailprov-dovecot",)}
    for host, names in jails.items():
        for jail in names:
            run_on(where, host, f"fail2ban-client set {jail} banip {' '.join(own)}")

    held = run("verify", "--probe", "net", "--probe", "auth", "--probe", "delivery", path)
    assert held.code == 3
    # From where it looks the host tells over SSH, bans or none.
    of_ports = [finding for finding in held.of("found") if finding["id"] != "net.vantage"]
    found = [(f["id"], f["target"]["host"], f["verdict"]) for f in of_ports]
    assert sorted(found) == [("net.tcp", host, "error") for host in sorted(jails)]
    for finding in of_ports:
        assert all(f" {each} " in finding["observed"] for each in own)
        assert f"fail2ban on {finding['target']['host']} has banned" in finding["observed"]
        command, _, _ = finding["advice"].partition(";")
        _, unban, addresses = command.partition("fail2ban-client unban ")
        assert (unban, sorted(addresses.split())) == ("fail2ban-client unban ", sorted(own))

    planned = run("plan", path)
    for host in jails:
        changes = [change for each in planned.of("planned", subject=host) for change in each["changes"]]
        assert [(c["action"], c["kind"], c["name"]) for c in changes] == [
            ("run", "service", "fail2ban.service")
        ]
        assert changes[0]["detail"] == f"unban {', '.join(sorted(own))}: in fail2ban.ignore"
    assert run("apply", "--yes", "--no-verify", path).code == 0
    assert run("plan", "--exit-code", path).code == 0
    free = run("verify", "--probe", "net", path)
    assert free.code == 0, [f for f in free.of("found") if f["verdict"] != "pass"]


def test_a_plan_proposes_the_address_that_the_host_sees(inventory: tuple[lab.Lab, str]) -> None:
    where, path = inventory
    own = _ours(where)
    text = where.inventory_path.read_text()
    unnamed = where.inventory_path.with_name("unnamed.yml")
    unnamed.write_text(text.replace("\n        - ".join(own), "192.0.2.77"))

    notices = [event["text"] for event in run("plan", str(unnamed)).of("notice")]
    (proposal,) = [text for text in notices if "fail2ban" in text]
    assert proposal.startswith("mx1, mx2: ")
    written = ", ".join(["192.0.2.77", *(f'"{each}"' if ":" in each else each for each in own)])
    assert f"fail2ban: {{ignore: [{written}]}}" in proposal
    assert not [event for event in run("plan", path).of("notice") if "fail2ban" in event["text"]]
    skipped = run("verify", "--probe", "auth.bad-password", str(unnamed)).of("found")
    assert {f["verdict"] for f in skipped} == {"skip"}
    assert {each for each in own if any(each in f["observed"] for f in skipped)} == set(own)


def test_the_address_of_a_users_device_is_told_to_nobody(inventory: tuple[lab.Lab, str]) -> None:
    where, _ = inventory
    with mailbox(where, "mx2", "eva@beta.test") as box:
        number = box.search(None, "SUBJECT", "smarthost")[1][0].split()[-1]
        raw = box.fetch(number, "(BODY.PEEK[HEADER])")[1][0][1]
    assert str(ip_network(where.subnet)[1]).encode() not in raw


def _protection(where: lab.Lab) -> dict[str, list[str]]:
    """What protects each host now: fail2ban at work and at boot, our jails, ufw and its rules (ours with a mark)."""
    look = (
        "systemctl is-active fail2ban; systemctl is-enabled fail2ban; ls /etc/fail2ban/jail.d | grep -c mailprov; "
        "command -v ufw >/dev/null || exit 0; ufw status | sed -n 's/^Status: //p'; "
        "systemctl is-active mailprov-firewall; "
        "sed -n -e 's/^### tuple ### allow tcp \\([0-9]*\\) .*=6d61696c70726f76$/\\1*/p' "
        "-e 's/^### tuple ### allow tcp \\([0-9]*\\) .* in$/\\1/p' /etc/ufw/user.rules | sort -n"
    )
    return {host: run_on(where, host, look, check=False).split() for host in ("mx1", "mx2")}


def test_what_left_the_inventory_protects_no_more_and_a_rollback_takes_rules_back(
    inventory: tuple[lab.Lab, str],
) -> None:
    """Both ways, and what is the user's own stays: a rule, one for a port of ours among them, and Debian's jail."""
    where, path = inventory
    ours = [f"{port}*" for port in (22, 25, 110, 143, 465, 587, 993, 995, 4190)]
    on = {"mx1": ["active", "enabled", "1"], "mx2": ["active", "enabled", "1", "active", "active", *ours]}
    assert _protection(where) == on
    run_on(where, "mx2", "ufw allow 8443/tcp && ufw allow 993/tcp comment ''")
    own = [port for port in ours if port != "993*"]
    on["mx2"][5:] = sorted([*own, "993", "8443"], key=lambda port: int(port.strip("*")))
    assert _protection(where) == on

    text = where.inventory_path.read_text()
    plain = where.inventory_path.with_name("plain.yml")
    plain.write_text(
        re.sub(r"(?m)^    fail2ban:.*\n(?:      .*\n)*", "", text).replace("firewall: ufw", "firewall: none")
    )
    applied = run("apply", "--yes", "--no-verify", str(plain))
    assert applied.code == 0, applied.events[-3:]
    gone = {("delete", "service", f"{unit}.service") for unit in ("fail2ban", "mailprov-firewall")}
    assert gone & set(applied.changes("mx1")) == {("delete", "service", "fail2ban.service")}
    assert ("delete", "service", "mailprov-firewall.service") in applied.changes("mx2")
    off = {
        "mx1": ["inactive", "disabled", "0"],
        "mx2": ["active", "enabled", "0", "inactive", "inactive", "993", "8443"],
    }
    assert _protection(where) == off
    assert "mailprov" not in run_on(where, "mx2", "fail2ban-client status")
    assert run("plan", "--exit-code", str(plain)).code == 0

    assert run("rollback", "--yes", path).code == 0
    assert _protection(where) == on
    assert "mailprov-dovecot" in run_on(where, "mx1", "fail2ban-client status")
    assert run("plan", "--exit-code", path).code == 0

    # Now the run that is undone is one that put the rules in.
    assert run("rollback", "--yes", str(plain)).code == 0
    assert _protection(where) == off
    assert run("plan", "--exit-code", str(plain)).code == 0


def test_the_smarthost_is_reached_with_tls_from_the_first_byte_too(inventory: tuple[lab.Lab, str]) -> None:
    """Port 465. Its certificate is checked there as well: the lab's authority is in `ca_file` alone."""
    where, _ = inventory
    copy = where.inventory_path.with_name("implicit.yml")
    text, count = re.subn("port: 587", "port: 465", where.inventory_path.with_name("plain.yml").read_text())
    assert count == 1
    copy.write_text(text)
    applied = run("apply", "--yes", "--no-verify", "--host", "mx1", str(copy))
    assert applied.code == 0, applied.events[-3:]
    hops = sent_by_the_smarthost(where, "implicit")
    assert any("by mx2.beta.test" in hop and "with ESMTPSA" in hop for hop in hops), hops
    assert (handed_in_by_mx1(where, "submission"), handed_in_by_mx1(where, "submissions")) == (1, 1)


def test_wrong_passwords_from_before_fail2ban_do_not_count(inventory: tuple[lab.Lab, str]) -> None:
    """A jail that starts reads what was logged in the last ten minutes."""
    where, path = inventory
    pairs = (("mx1", "mx2"), ("mx2", "mx1"))
    for victim, attacker in pairs:
        assert "mailprov" not in run_on(where, victim, "fail2ban-client status", check=False)
        run_on(where, attacker, f"cat > /tmp/attack.py <<'END'\n{ATTACK}\nEND")
    since = {victim: run_on(where, victim, "date +@%s").strip() for victim, _ in pairs}
    log = "journalctl -q --no-pager -u dovecot --since={} | grep -cE 'Password mismatch|unknown user'"
    with ThreadPoolExecutor(2) as pool:
        for victim, attacker in pairs:
            command = f"timeout 300 python3 /tmp/attack.py {where.host(victim).address} imap"
            pool.submit(run_on, where, attacker, command, check=False)
        for victim, _ in pairs:
            wait_until(
                lambda: int(run_on(where, victim, log.format(since[victim]), check=False)) >= 10,  # noqa: B023
                f"{victim}: wrong passwords are in the log",
            )
        for _, attacker in pairs:
            run_on(where, attacker, "pkill -f /tmp/attack.py", check=False)
    applied = run("apply", "--yes", "--no-verify", path)
    assert applied.code == 0, applied.events[-3:]
    jails = ("mailprov-dovecot", "mailprov-postfix", "sshd")
    for victim, attacker in pairs:
        ready = "tail -n 60 /var/log/fail2ban.log | grep -c 'Jail is in operation now'"
        wait_until(
            lambda: int(run_on(where, victim, ready, check=False)) >= 2,  # noqa: B023
            f"{victim}: the jails have read what was logged before",
        )
        for jail in jails:
            assert failures(where, victim, jail) == 0, jail
            assert where.host(attacker).address not in run_on(where, victim, f"fail2ban-client status {jail}")
