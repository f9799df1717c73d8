"""What users have of their mailboxes: quotas and their warnings, filters, folders, receipts, attachments, POP's names.

On the hosts of test_delivery_matrix (Debian 12 and 13, both Dovecot lines); every test looks at both.
"""

from __future__ import annotations

import base64
import email
import email.header
import hashlib
import os
import poplib
import re
import smtplib
import subprocess
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from mailprov import lab
from tests.lab import post
from tests.lab.labs import run_on, wait_until
from tests.lab.matrix import FQDN, address
from tests.lab.program import run
from tests.lab.test_delivery_matrix import INVENTORY

PLACES = (("mx1", "alpha.test"), ("mx2", "beta.test"))
STRANGER = "stranger@else.test"


@pytest.fixture(scope="module")
def hosts(ready_lab_factory: Callable[[str], lab.Lab]) -> lab.Lab:
    made = ready_lab_factory(INVENTORY)
    result = run("apply", "--yes", "--no-verify", str(made.inventory_path))
    assert result.code == 0, result.events[-3:]
    return made


def found(hosts: lab.Lab, host: str, box: str, word: str) -> list[tuple[str, str]]:
    """(folder, headers) of the messages in this mailbox whose headers have the word."""
    return [(folder, head) for name, folder, head in post.stored(hosts, host) if name == box and word in head]


def message(subject: str, size: int = 0, extra: str = "") -> str:
    body = "".join("x" * 70 + "\n" for _ in range(size // 72 + 1))
    return f"Subject: {subject}\n{extra}\n{body}"


def send(
    hosts: lab.Lab, host: str, to: Iterable[str], text: str, *, user: str = "", parameters: str = ""
) -> None:
    where = address(hosts, host)
    with post.inside(hosts, where, user) if user else post.outside(where) as client:
        client.ehlo_or_helo_if_needed()
        sender = user or STRANGER
        post.transaction(client, sender, to, f"From: <{sender}>\n{text}", parameters)


def test_a_burst_for_one_mailbox_is_stored_at_once(hosts: lab.Lab) -> None:
    """Dovecot 2.4 takes ten messages at a time for one user, and Postfix puts off for minutes what is over that."""
    count = 250
    for host, domain in PLACES:
        box = f"eva@{domain}"
        source = f"smtp-source -s 50 -m {count} -l 500 -f burst@else.test -t {box} 127.0.0.1:25"
        run_on(hosts, host, f"pkill -STOP qmgr && {source}; pkill -CONT qmgr")  # all of it at once
    for host, domain in PLACES:
        box = f"eva@{domain}"
        log = f"journalctl --no-pager -o cat SYSLOG_IDENTIFIER=postfix/lmtp | grep 'to=<{box}>' | grep -c '{{}}'; true"
        put_off = log.format("status=deferred")
        stored = log.format("status=sent")
        wait_until(
            lambda: int(run_on(hosts, host, put_off)) + int(run_on(hosts, host, stored)) >= count,  # noqa: B023
            f"the burst for {box}",
        )
        assert int(run_on(hosts, host, put_off)) == 0, f"{host}: put off, to be tried again minutes later"


def test_a_mailbox_warns_and_then_refuses_by_all_its_names(hosts: lab.Lab) -> None:
    for host, domain in PLACES:
        box = f"small@{domain}"
        for size, percent in ((53000, 85), (6000, 95)):
            send(hosts, host, [box], message("filling", size))
            mark = f"Subject: Your mailbox is {percent} % full"
            wait_until(lambda: found(hosts, host, box, mark), f"the warning at {percent} %")  # noqa: B023
        (warning,) = found(hosts, host, box, "is 85 % full")
        assert warning[0] == "INBOX"
        assert "Auto-Submitted: auto-generated" in warning[1]

        names = [box, f"tiny@{domain}", f"small+x@{domain}", f"small@also.{domain}", f"tiny+x@also.{domain}"]
        with post.outside(address(hosts, host)) as client:
            assert client.docmd(f"MAIL FROM:<{STRANGER}> SIZE=9000")[0] == 250
            for name in names:
                code, reply = client.docmd(f"RCPT TO:<{name}>")
                assert (code, reply.split()[0]) == (552, b"5.2.2"), (name, reply)
            assert client.docmd(f"RCPT TO:<team@{domain}>")[0] == 250
        with post.imap(hosts, address(hosts, host), box) as client:
            kind, (roots, quota) = client.getquotaroot("INBOX")
            assert kind == "OK"
            assert b"user" in roots[0]
            used, limit = map(int, re.findall(rb"STORAGE (\d+) (\d+)", quota[0])[0])
            assert limit == 60
            assert 57 <= used <= 63  # the warnings are stored whether there is room or not


BRIM = """\
doveadm expunge -u {box} mailbox '*' all
python3 - <<'END'
import subprocess
def save(octets):
    head = "Subject: x\\r\\n\\r\\n"
    text = head + "y" * (octets - len(head) - 2) + "\\r\\n"
    subprocess.run(["doveadm", "save", "-u", "{box}"], input=text.encode(), check=True)
save({quota} - 1000)
save(900)
END
doveadm -f tab fetch -u {box} size.virtual all | awk 'NR > 1 {{sum += $1}} END {{print sum}}'
"""


def test_at_the_brim_what_is_accepted_is_stored_and_then_all_is_refused(hosts: lab.Lab) -> None:
    """No SIZE, so nobody can know before the message is there. It came back as a bounce, each time anew."""
    for host, domain in PLACES:
        box = f"small@{domain}"
        # The warnings that this brings must not take the room that is left.
        run_on(hosts, host, "chmod 0644 /etc/dovecot/mailprov-quota-warning")
        try:
            filled = run_on(hosts, host, BRIM.format(box=box, quota=60 << 10))
            assert int(filled) == (60 << 10) - 100
            with post.outside(address(hosts, host)) as client:
                assert client.docmd(f"MAIL FROM:<{STRANGER}>")[0] == 250
                assert client.docmd(f"RCPT TO:<{box}>")[0] == 250
                client.data(message("over the brim", 3000))
            wait_until(lambda: found(hosts, host, box, "Subject: over the brim"), "the last message")  # noqa: B023
            with post.outside(address(hosts, host)) as client:
                assert client.docmd(f"MAIL FROM:<{STRANGER}>")[0] == 250
                code, reply = client.docmd(f"RCPT TO:<{box}>")
                assert (code, reply.split()[0]) == (552, b"5.2.2"), reply
        finally:
            run_on(hosts, host, "chmod 0755 /etc/dovecot/mailprov-quota-warning")


def test_users_filters_run_and_vacation_answers_once(hosts: lab.Lab) -> None:
    script = """\
require ["fileinto", "subaddress", "envelope", "vacation", "copy"];
if envelope :detail "to" "shop" { fileinto "Shop"; stop; }
if header "subject" "away?" { vacation :days 7 "I am not here"; stop; }
if header "subject" "on" { redirect :copy "%s"; }
"""
    for (host, domain), (other, elsewhere) in zip(PLACES, PLACES[::-1], strict=True):
        far = f"far@{elsewhere}"
        session = post.Sieve(hosts, address(hosts, host), f"eva@{domain}")
        assert session.clear.startswith("NO (ENCRYPT-NEEDED)")
        session.activate(script % far)
        session.close()
        send(hosts, host, [f"eva+shop@{domain}"], message("shop"))
        send(hosts, host, [f"eva@{domain}"], message("on"))
        for _ in range(2):
            text = message("away?", extra=f"To: eva@{domain}\n")
            send(hosts, other, [f"eva@{domain}"], text, user=far)

        wait_until(lambda: found(hosts, host, f"eva@{domain}", "Subject: shop"), "the filed message")  # noqa: B023
        assert [folder for folder, _ in found(hosts, host, f"eva@{domain}", "Subject: shop")] == ["Shop"]
        with post.imap(hosts, address(hosts, host), f"eva@{domain}") as client:
            assert any(b"Shop" in line for line in client.lsub()[1] if isinstance(line, bytes))
        wait_until(lambda: found(hosts, other, far, "Auto-Submitted: auto-replied"), "the vacation's answer")  # noqa: B023
        wait_until(lambda: len(found(hosts, host, f"eva@{domain}", "away?")) == 2, "both questions")  # noqa: B023
        assert len(found(hosts, other, far, "Auto-Submitted: auto-replied")) == 1
        wait_until(lambda: found(hosts, other, far, "Subject: on"), "the redirected message")  # noqa: B023
        ((_, headers),) = found(hosts, other, far, "Subject: on")
        assert "Return-Path: <SRS0=" in headers


def test_a_redirect_in_a_users_filter_vouches_for_no_stranger(hosts: lab.Lab) -> None:
    """A forged message that she sends on is neither signed with our key nor sent under the sender that was forged; what
    her filter writes itself is signed.
    """
    script = """\
require ["vacation", "copy"];
if header "subject" "who?" { vacation "It is me"; stop; }
if header "subject" "forged" { redirect "%s"; redirect "away@%s"; redirect "catcher@%s"; }
"""
    for (host, domain), (other, elsewhere) in zip(PLACES, PLACES[::-1], strict=True):
        far, victim = f"far@{elsewhere}", f"catcher@{domain}"
        session = post.Sieve(hosts, address(hosts, host), f"eva@{domain}")
        session.activate(script % (far, domain, domain))  # `away` is forwarded there
        session.close()
        for sender in (victim, ""):
            with post.outside(address(hosts, host)) as client:
                client.ehlo_or_helo_if_needed()
                text = f"From: <{victim}>\n" + message("forged")
                post.transaction(client, sender, [f"eva@{domain}"], text)
        send(hosts, other, [f"eva@{domain}"], message("who?", extra=f"To: eva@{domain}\n"), user=far)

        wait_until(lambda: len(found(hosts, other, far, "Subject: forged")) == 4, "both, each in two ways")  # noqa: B023
        for _, headers in found(hosts, other, far, "Subject: forged"):
            assert "DKIM-Signature:" not in headers
            assert re.match(r"Return-Path: <(SRS0=[^>]+)?>", headers), headers[:200]
        wait_until(lambda: len(found(hosts, host, victim, "Subject: forged")) == 2, "both here, too")  # noqa: B023
        wait_until(lambda: found(hosts, other, far, "Auto-Submitted: auto-replied"), "the vacation's answer")  # noqa: B023
        headers = found(hosts, other, far, "Auto-Submitted: auto-replied")[-1][1]
        assert "DKIM-Signature:" in headers


def test_folders_have_their_uses_and_imap_its_extensions(hosts: lab.Lab) -> None:
    uses = {b"\\Sent": b"Sent", b"\\Drafts": b"Drafts", b"\\Junk": b"Junk", b"\\Trash": b"Trash"}
    for host, domain in PLACES:
        with post.imap(hosts, address(hosts, host), f"catcher@{domain}") as client:
            announced = set(client.capability()[1][0].decode().split())  # there are more after the login
            assert {"IDLE", "QUOTA", "UIDPLUS", "MOVE", "SPECIAL-USE"} <= announced
            lines = [line for line in client.list()[1] if isinstance(line, bytes)]
            for use, name in {**uses, b"\\Archive": b"Archive"}.items():
                assert any(use in line and line.endswith(name) for line in lines), lines


def test_the_names_of_messages_in_pop_survive_the_loss_of_the_indexes(hosts: lab.Lab) -> None:
    def names(user: str, host: str) -> list[bytes]:
        client = poplib.POP3_SSL(address(hosts, host), 995, context=post.context(hosts), timeout=post.TIMEOUT)
        client.user(user)
        client.pass_(post.password(hosts, user))
        listed = client.uidl()[1]
        client.quit()
        return listed

    for host, domain in PLACES:
        user = f"catcher@{domain}"
        for number in range(2):
            send(hosts, host, [user], message(f"pop {number}"))
        wait_until(lambda: len(found(hosts, host, user, "Subject: pop ")) >= 2, "two messages")  # noqa: B023
        before = names(user, host)
        run_on(
            hosts,
            host,
            f"rm $(find /var/vmail/{domain}/catcher -name 'dovecot*index*' -o -name 'dovecot.list*')",
        )
        assert names(user, host) == before
        assert len(before) >= 2


def test_an_attachment_is_the_same_in_every_copy_and_bcc_is_seen_by_nobody(hosts: lab.Lab) -> None:
    data = bytes(range(256)) * 64 + os.urandom(1_000_000)
    encoded = base64.encodebytes(data).decode()
    for host, domain in PLACES:
        to, copy, hidden = (f"{name}@{domain}" for name in ("ana", "eva", "catcher"))
        text = (
            f"To: <{to}>\nCc: <{copy}>\nBcc: <{hidden}>\nSubject: three of us\n"
            f"Disposition-Notification-To: <{to}>\nMIME-Version: 1.0\n"
            f"Content-Type: application/octet-stream\nContent-Transfer-Encoding: base64\n\n{encoded}"
        )
        send(hosts, host, [to, copy, hidden], text, user=to)
        for box in (to, copy, hidden):
            wait_until(lambda: found(hosts, host, box, "Subject: three of us"), f"a copy for {box}")  # noqa: B023
            with post.imap(hosts, address(hosts, host), box) as client:
                client.select("INBOX", readonly=True)
                _, (numbers,) = client.search(None, "SUBJECT", '"three of us"')
                _, parts = client.fetch(numbers.split()[-1].decode(), "(RFC822)")
            assert isinstance(parts[0], tuple)
            got = email.message_from_bytes(parts[0][1])
            content = got.get_payload(decode=True)
            assert isinstance(content, bytes)
            assert hashlib.sha256(content).digest() == hashlib.sha256(data).digest()
            assert hidden not in str(got["To"]) + str(got["Cc"]) + str(got["Bcc"])
            assert got["Disposition-Notification-To"] == f"<{to}>"


def offered(client: smtplib.SMTP, user: str, header: str) -> tuple[int, str]:
    """What a message with these lines as its header is answered at its end: code and enhanced code."""
    for command in (f"MAIL FROM:<{user}>", f"RCPT TO:<{user}>"):
        code, reply = client.docmd(command)
        if code != 250:
            return code, reply.split()[0].decode()
    code, reply = client.data(f"{header}Subject: names\n\n".replace("\n", "\r\n").encode())
    client.rset()
    return code, reply.split()[0].decode()


def test_users_write_under_their_own_names_only(hosts: lab.Lab) -> None:
    for host, domain in PLACES:
        user = f"ana@{domain}"
        own = [user, f"Sales <office@also.{domain}>", f"ana+x@{domain}", f"A. <{user.upper()}>"]
        others = [
            f"eva@{domain}",
            STRANGER,
            f'"{user}" <eva@{domain}>',
            f"{user}, eva@{domain}",
            f"team@{domain}",
        ]
        fields = ("Sender", "Resent-From", "Resent-Sender", "sender ")
        with post.inside(hosts, address(hosts, host), user) as client:
            for name in own:
                assert offered(client, user, f"From: {name}\n") == (250, "2.0.0"), name
                for field in fields:
                    assert offered(client, user, f"From: {user}\n{field}: {name}\n") == (250, "2.0.0")
        for name in others:  # Postfix ends a session after twenty errors
            with post.inside(hosts, address(hosts, host), user) as client:
                assert offered(client, user, f"From: {name}\n") == (550, "5.7.1"), name
                for field in fields:
                    assert offered(client, user, f"From: {user}\n{field}: {name}\n") == (550, "5.7.1"), field
        with post.inside(hosts, address(hosts, host), user) as client:
            assert offered(client, user, "") == (
                250,
                "2.0.0",
            )  # Postfix writes the user's own (RFC 6409 section 8)
            for header in (
                f"From: {user}\nfrom: {user}\n",
                f"From: {user}\nSender: {user}\nSender: {user}\n",
            ):
                assert offered(client, user, header) == (550, "5.6.0"), header
            for sign in "\0\r":  # readers may show what is behind them, or take a CR for the end of the line
                for rest in (f", eva@{domain}", f"From: eva@{domain}"):
                    assert offered(client, user, f"From: {user}{sign}{rest}\n") == (550, "5.7.1"), (
                        sign,
                        rest,
                    )
            assert client.docmd(f"MAIL FROM:<eva@{domain}>")[0] == 250
            assert client.docmd(f"RCPT TO:<{user}>")[0] == 553


# What some mail program could read as results of this host: whoever writes it, and however.
FORGED = (
    "Authentication-Results: {fqdn}; dkim=pass",
    "authentication-results:\n\t{FQDN} 1 ; dkim=pass",
    "Authentication-Results : {fqdn}; dkim=pass",
    "Authentication-Results\t: {fqdn}; dkim=pass",
    "Authentication-Results\0: {fqdn}; dkim=pass",
    "Authentication-Results: \0{fqdn}; dkim=pass",
    "Authentication-Results: (;) {fqdn}; dkim=pass",
    "Authentication-Results:\n (a (nested; \\) one)\n\t;) ()\n {fqdn}\n (x) 1 (y) ; dkim=pass",
    "Authentication-Results: {fqdn}(;); dkim=pass",
    'Authentication-Results: "{fqdn}"; dkim=pass',
    'Authentication-Results: "{escaped}"; dkim=pass',
    "Authentication-Results: {escaped}; dkim=pass",
    "Authentication-Results: {fqdn}.; dkim=pass",
    "Authentication-Results: {fqdn}/1; dkim=pass",
    "Authentication-Results: {fqdn}\t1; dkim=pass",
    "Authentication-Results: {fqdn}",
    "Authentication-Results: ;{fqdn}; dkim=pass",
    "Authentication-Results: \x1c{fqdn}; dkim=pass",
    "Authentication-Results: \xa0{fqdn}; dkim=pass",
    "Authentication-Results: =?utf-8?q?{fqdn}?=; dkim=pass",
    "Authentication-Results: m=?utf-8?q?{rest}?=; dkim=pass",
    "X-Other: x\rAuthentication-Results: {fqdn}; dkim=pass",
)
HONEST = (
    "Authentication-Results: other.test; dkim=pass",
    "Authentication-Results: other.test (it; is) 1; spf=pass smtp.mailfrom=a@{fqdn}",
    "Authentication-Results: x{fqdn}; dkim=pass",
    "Authentication-Results: spf=pass (sender IP is 192.0.2.1) smtp.helo={fqdn}; dkim=none",  # as Microsoft writes
    "X-Other: Authentication-Results: {fqdn}; dkim=pass",
)


def test_nobody_forges_results_of_our_own_checks(hosts: lab.Lab) -> None:
    """`filter: none`: no milter looks at what comes in. Each form alone, or the first could hide the others."""
    for host, domain in PLACES:
        fqdn, box = FQDN[host], f"catcher@{domain}"
        words = {
            "fqdn": fqdn,
            "FQDN": fqdn.upper(),
            "rest": fqdn[1:],
            "escaped": "".join(f"\\{sign}" for sign in fqdn),
        }
        attached = "Authentication-Results: {fqdn}; in=attachment"
        with post.outside(address(hosts, host)) as client:
            for number, form in enumerate((*FORGED, *HONEST)):
                text = f"{form}\nFrom: <x@else.test>\nSubject: results {number}.\nMIME-Version: 1.0\n"
                text += f"Content-Type: message/rfc822\n\n{attached}\nSubject: inside\n\nx\n"
                for command in (f"MAIL FROM:<{STRANGER}>", f"RCPT TO:<{box}>"):
                    assert client.docmd(command)[0] == 250
                sent = text.format(**words).replace("\n", "\r\n").encode()
                assert client.data(sent)[0] == 250, form
        with post.inside(hosts, address(hosts, host), f"ana@{domain}") as client:
            for number, form in enumerate(FORGED, 100):
                header = f"{form}\nFrom: <ana@{domain}>\nSubject: results {number}.\n\n"
                for command in (f"MAIL FROM:<ana@{domain}>", f"RCPT TO:<{box}>"):
                    assert client.docmd(command)[0] == 250
                sent = header.format(**words).replace("\n", "\r\n").encode()
                assert client.data(sent)[0] == 250, form
        seen: dict[int, str] = {}

        def all_there(host: str = host, domain: str = domain, seen: dict[int, str] = seen) -> bool:
            show = f"cd /var/vmail/{domain}/catcher/Maildir && {HEADS}"
            heads = (head for head in run_on(hosts, host, show).split("== \n") if "Subject: results " in head)
            seen.update(
                (int(head.partition("Subject: results ")[2].partition(".")[0]), head) for head in heads
            )
            return len(seen) == 2 * len(FORGED) + len(HONEST)

        wait_until(all_there, "all of them arrived")
        left = [
            form
            for number, form in enumerate(FORGED)
            for at in (number, number + 100)
            if claims(seen[at], fqdn)
        ]
        assert left == [], host
        for number, form in enumerate(HONEST, len(FORGED)):
            assert form.format(**words) in seen[number], form
        kept = run_on(
            hosts,
            host,
            f"grep -rlF 'Authentication-Results: {fqdn}; in=attachment' /var/vmail/{domain} | wc -l",
        )
        assert int(kept) == len(FORGED) + len(HONEST), "attachments stay as they are"


# Of each message, without the signs that end a text for awk.
HEADS = "for file in new/* cur/*; do [ -f $file ] && echo '== ' && tr -d '\\000' <$file | sed '/^\\r*$/q'; done; true"


def claims(head: str, fqdn: str) -> bool:
    """Whether a program that is lenient about all of it finds results of ours in this header."""
    head = re.sub("\r(?!\n)", "\n", head.replace("\0", ""))
    for name, _, value in (line.partition(":") for line in re.sub(r"\n[ \t]+", " ", head).split("\n")):
        if name.strip(" \t\0").lower() == "authentication-results":
            value = str(email.header.make_header(email.header.decode_header(value)))
            while "(" in value:
                value, before = re.sub(r"\((?:[^()\\]|\\.)*\)", " ", value), value
                if value == before:
                    return True
            first = value.replace("\\", "").strip(' ;"\xa0\x1c\t').lower()
            if re.match(re.escape(fqdn) + "(?![a-z0-9-])", first):
                return True
    return False


def checker(hosts: lab.Lab, host: str) -> int:
    """The number of the process that looks at submitted mail."""
    return int(run_on(hosts, host, "systemctl show -p MainPID --value mailprov-submission.service"))


def test_who_connects_and_says_nothing_takes_no_memory_of_the_check(hosts: lab.Lab) -> None:
    """It was a Python for each of them, 11 MB each, before any login."""
    for host, _ in PLACES:
        waiting = []
        try:
            for _ in range(40):
                client = smtplib.SMTP(address(hosts, host), 587, timeout=post.TIMEOUT)
                waiting.append(client)
                client.ehlo()
            pythons = run_on(hosts, host, "ps -eo rss=,args= | grep 'python3 -I[S]'").splitlines()
        finally:
            for client in waiting:
                client.close()
        assert sum(int(line.split()[0]) for line in pythons) < 40_000, pythons  # KiB; it is 13,000


def test_no_submitted_mail_goes_on_unlooked_at(hosts: lab.Lab) -> None:
    """Killed, it is there again by itself; stopped, users are told to try again, and mail from elsewhere comes in."""
    for host, domain in PLACES:
        user, header = f"ana@{domain}", f"From: <ana@{domain}>\n"
        where = address(hosts, host)
        with post.inside(hosts, where, user) as client:
            assert offered(client, user, header)[0] == 250
            before = checker(hosts, host)
            run_on(hosts, host, f"kill -9 {before}")
            assert offered(client, user, header)[0] // 100 == 4
        wait_until(lambda: checker(hosts, host) not in (0, before), "it is started again")  # noqa: B023
        with post.inside(hosts, where, user) as client:
            assert offered(client, user, header)[0] == 250
            assert offered(client, user, f"From: <eva@{domain}>\n")[0] == 550
        run_on(hosts, host, "systemctl stop mailprov-submission.service")
        try:
            with pytest.raises(smtplib.SMTPAuthenticationError) as refused, post.inside(hosts, where, user):
                pass  # Postfix does not wait for the message to say so
            assert refused.value.smtp_code // 100 == 4
            send(hosts, host, [user], message("from elsewhere"))
            planned = run("plan", "--exit-code", "--host", host, str(hosts.inventory_path))
            assert planned.changes(host) == [("update", "service", "mailprov-submission.service")]
        finally:
            run_on(hosts, host, "systemctl start mailprov-submission.service")
        with post.inside(hosts, where, user) as client:
            assert offered(client, user, header)[0] == 250


def test_the_check_of_submitted_mail_is_shut_in(hosts: lab.Lab) -> None:
    """A user of its own who may write nothing, no network, no privileges; and nobody but Postfix reaches its socket."""
    properties = "NoNewPrivileges PrivateNetwork ProtectSystem DynamicUser Restart"
    for host, _ in PLACES:
        shown = run_on(
            hosts, host, f"systemctl show -p {' -p '.join(properties.split())} mailprov-submission.service"
        )
        assert set(shown.split()) == {
            "NoNewPrivileges=yes",
            "PrivateNetwork=yes",
            "ProtectSystem=strict",
            "DynamicUser=yes",
            "Restart=always",
        }
        process = f"/proc/{checker(hosts, host)}"
        status = dict(
            line.split(":\t", 1) for line in run_on(hosts, host, f"cat {process}/status").splitlines()
        )
        assert int(status["Uid"].split()[0]) >= 61184  # systemd's own numbers, nobody's account
        assert (status["NoNewPrivs"], int(status["CapEff"], 16), status["Seccomp"]) == ("1", 0, "2")
        inside = f"readlink {process}/ns/net /proc/1/ns/net"
        first, second = run_on(hosts, host, inside).split()
        assert first != second
        socket_file = "/var/spool/postfix/private/mailprov-submission"
        assert run_on(hosts, host, f"stat -c '%a %U' {socket_file}").split() == ["600", "postfix"]


def test_the_size_limit_is_announced_and_kept(hosts: lab.Lab) -> None:
    for host, domain in PLACES:
        with post.outside(address(hosts, host)) as client:
            assert client.esmtp_features["size"] == str(20 * 2**20)
            code, reply = client.docmd(f"MAIL FROM:<{STRANGER}> SIZE={20 * 2**20 + 1}")
            assert (code, reply.split()[0]) == (552, b"5.3.4")
            assert client.docmd(f"MAIL FROM:<{STRANGER}> SIZE={20 * 2**20}")[0] == 250
            assert client.docmd(f"RCPT TO:<eva@{domain}>")[0] == 250


def test_a_receipt_comes_for_who_asks_and_only_then(hosts: lab.Lab) -> None:
    for (host, domain), (_, elsewhere) in zip(PLACES, PLACES[::-1], strict=True):
        user = f"ana@{domain}"
        to = [f"catcher@{domain}", f"catcher@{elsewhere}"]
        send(hosts, host, to, message("receipt"), user=user, parameters=" NOTIFY=SUCCESS")
        send(hosts, host, to, message("no receipt"), user=user)
        report = "Content-Type: multipart/report; report-type=delivery-status"
        wait_until(lambda: len(found(hosts, host, user, report)) >= 2, "a receipt from each host")  # noqa: B023
        for there, box in ((host, to[0]), (PLACES[1][0] if host == "mx1" else "mx1", to[1])):
            wait_until(lambda: found(hosts, there, box, "Subject: no receipt"), "the other message")  # noqa: B023
        assert len(found(hosts, host, user, report)) == 2


# Asks Dovecot without a pause about a user, until a time; each answer behind the time of its question.
WATCHER = """
import subprocess, sys, time
while time.time() < float(sys.argv[2]):
    began = time.time()
    said = subprocess.run(["doveadm", "user", sys.argv[1]], capture_output=True, text=True).stdout
    print(began, *said.split(), flush=True)
    time.sleep(0.02)
"""


def asked(line: str) -> float:
    return float(line.split(maxsplit=1)[0])


def test_dovecot_knows_what_was_applied_when_the_apply_is_done(hosts: lab.Lab) -> None:
    """It looks once in a second of the clock whether the accounts' file has changed. Four times, for the second may
    just be over by itself; the hosts have the clock of this machine.
    """
    inventory = Path(hosts.inventory_path)
    copy = inventory.with_name("quotas.yml")
    watchers: dict[str, subprocess.Popen[str]] = {}
    said: dict[str, list[str]] = {host: [] for host, _ in PLACES}

    def listen(host: str) -> None:
        stream = watchers[host].stdout
        assert stream is not None
        for line in stream:
            said[host].append(line)

    for host, domain in PLACES:
        run_on(hosts, host, f"cat >/root/watch.py <<'END'\n{WATCHER}END")
        watch = f"python3 /root/watch.py small@{domain} {time.time() + 1500:.0f}"
        watchers[host] = subprocess.Popen(
            hosts.ssh_argv(host, [watch]), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        threading.Thread(target=listen, args=[host], daemon=True).start()
    done: list[tuple[float, int]] = []
    try:
        for octets in (71_001, 71_002, 71_003, 71_004):
            copy.write_text(inventory.read_text().replace(f"quota: {60 << 10}", f"quota: {octets}"))
            applied = run("apply", "--yes", "--no-verify", "--only", "hosts", str(copy))
            done.append((time.time(), octets))
            assert [applied.ended(host)["changed"] > 0 for host, _ in PLACES] == [True, True], (
                applied.code,
                applied.stderr,
                applied.events[-4:],
            )
            for answers in said.values():
                wait_until(
                    lambda: [each for each in answers if asked(each) > done[-1][0]],  # noqa: B023
                    "an answer to what was asked before the next change",
                )
    finally:
        for watcher in watchers.values():
            watcher.kill()
        assert run("apply", "--yes", "--no-verify", "--only", "hosts", str(inventory)).code == 0
    for host, answers in said.items():
        for when, octets in done:
            (first, *_) = (line for line in answers if asked(line) > when)
            assert str(octets) in first, (host, octets, first)
