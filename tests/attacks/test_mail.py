"""Strangers and users against the mail service of the oldest and the newest release, Debian 11 and testing: relaying,
forged senders, smuggling, logins, headers, filters. On Debian 12 and 13 most of it is in tests/lab/test_abuse.py and
its neighbours.

mx1 (alpha.test) is Debian 11, mx2 (beta.test) testing; both send some addresses on to each other.
"""

from __future__ import annotations

import base64
import contextlib
import itertools
import os
import re
import smtplib
import socket
import ssl
import time
from collections.abc import Callable
from uuid import uuid4

import pytest

from mailprov import lab
from tests.attacks.tries import LONG, Tries, some
from tests.lab.labs import run_on
from tests.lab.post import Sieve, context, inside, outside, password, stored
from tests.lab.program import run

INVENTORY = """\
filter: none
hosts:
  mx1: {address: 192.0.2.1, fqdn: mx1.alpha.test, lab: {release: debian-11}}
  mx2: {address: 192.0.2.2, fqdn: mx2.beta.test, lab: {release: debian-testing}}
domains:
  alpha.test:
    hosts: [mx1]
    quota: 20M
    accounts:
      ana: {password: {env: A}}
      luis: {password: {env: L}, forward: {to: [far@beta.test], keep: true}}
    aliases: {postmaster: luis, sales: ana}
    lists: {staff: [ana, luis, eva@beta.test]}
    domain_aliases: [alfa.test]
  beta.test:
    hosts: [mx2]
    quota: 20M
    accounts:
      eva: {password: {env: E}}
      far: {password: {env: F}, forward: {to: [ana@alpha.test], keep: true}}
    aliases: {postmaster: far, sales: eva}
    lists: {staff: [eva, far, ana@alpha.test]}
    domain_aliases: [bata.test]
"""
# By host: domain, an account without and one with a forward, the domain alias.
OF = {"mx1": ("alpha.test", "ana", "luis", "alfa.test"), "mx2": ("beta.test", "eva", "far", "bata.test")}
EITHER = pytest.mark.parametrize("host", ["mx1", "mx2"])


@pytest.fixture(scope="module")
def where(ready_lab_factory: Callable[[str], lab.Lab]) -> lab.Lab:
    if name := os.environ.get(
        "MAILPROV_ATTACK_LAB"
    ):  # one that is up with this inventory, for work on this file
        return lab.load(name)
    made = ready_lab_factory(INVENTORY)
    done = run("apply", "--yes", "--no-verify", str(made.inventory_path))
    assert done.code == 0, done.of("ended")
    return made


class Peer:
    """A stranger's connection to port 25, opened anew before the server slows down (smtpd_soft_error_limit)."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.client: smtplib.SMTP | None = None
        self.refused = 0

    def ask(self, *commands: str) -> tuple[int, bytes]:
        """The last command's answer; the others must be taken. RSET goes before."""
        for _ in range(3):
            try:
                if self.client is None:
                    self.client = smtplib.SMTP(
                        self.address, 25, local_hostname="stranger.else.test", timeout=30
                    )
                    self.client.ehlo()
                self.client.docmd("RSET")
                for command in commands[:-1]:
                    answer = self.client.docmd(command)
                    if answer[0] >= 400 or answer[0] < 0:
                        break
                else:
                    answer = self.client.docmd(commands[-1])
                if answer[0] in (421, -1):
                    raise smtplib.SMTPServerDisconnected("enough")
                self.refused += answer[0] >= 400
                if self.refused >= 8:
                    self._close()
                return answer
            except (smtplib.SMTPException, OSError):
                self._close()
        pytest.fail(f"{self.address} does not answer: a try without an answer is none")

    def _close(self) -> None:
        if self.client is not None:
            self.client.close()
        self.client, self.refused = None, 0


@EITHER
def test_open_relay(where: lab.Lab, host: str, tries: Tries) -> None:
    domain, account, _, alias = OF[host]
    address, fqdn = where.host(host).address, where.host(host).fqdn
    senders = [
        "",
        "a@else.test",
        f"{account}@{domain}",
        f"root@{fqdn}",
        "postmaster",
        f"{account}@{alias}",
        "x@localhost",
    ]
    victim = "victim@far.example"
    recipients = [
        f"<{victim}>", victim, f"<@{domain}:{victim}>", f"<@{fqdn},@{domain}:{victim}>", f"<victim%far.example@{domain}>",
        f"<victim%far.example@{fqdn}>", "<victim%far.example>", f"<far.example!victim@{domain}>", "<far.example!victim>",
        f'<"{victim}">', f'<"{victim}"@{domain}>', f"<{victim}@{domain}>", f'<"victim%far.example"@{fqdn}>',
        "<victim@[192.0.2.99]>", "<victim@[IPv6:2001:db8::99]>", f"<victim@far.example@{fqdn}>", f"<{victim}:25>",
        "<victim@far.example.>", f"<{account}+{victim}@{domain}>" , f"<victim(@{domain})@far.example>",
        f"<victim@far.example,{account}@{domain}>", f"<{account}@{domain}>,<{victim}>", "<victim@localhost.far.example>",
        "<|/usr/bin/id>", "</etc/passwd>", "<:include:/etc/passwd>", '<"|touch /tmp/x">', "<victim@127.0.0.1>",
        f"<SRS0=AAAA=AA=far.example=victim@{fqdn}>", f"<SRS1=AAAA=far.example==AAAA=AA=far.example=victim@{fqdn}>",
        "<srs:victim@far.example>", "<smtp:[192.0.2.99]:25@far.example>", f"<victim@{'a' * 60}.example>",
        f"<victim@sub.{domain}>", f"<victim@not{domain}>",
    ]  # fmt: skip
    peer = Peer(address)
    every = list(itertools.product(senders, recipients))
    for sender, recipient in some(every, 40):
        code, reply = peer.ask(f"MAIL FROM:<{sender}>", f"RCPT TO:{recipient}")
        tries.held((host, sender, recipient), code >= 400, (code, reply))


@EITHER
def test_senders_of_ours_are_not_vouched_for(where: lab.Lab, host: str, tries: Tries) -> None:
    """Wherever the mail goes on to another host, a stranger is not one of us."""
    domain, account, forwarder, alias = OF[host]
    address, fqdn = where.host(host).address, where.host(host).fqdn
    senders = [f"{account}@{domain}", f"{account.upper()}@{domain.upper()}", f"{account}+x@{domain}", f"nobody@{domain}",
               f'"{account}"@{domain}', f"{account}@{alias}", f"root@{fqdn}", f"@x.test:{account}@{domain}", f"x@{fqdn}"]  # fmt: skip
    leading_off = [
        f"{forwarder}@{domain}", f"{forwarder}+tag@{domain}", f"{forwarder}@{alias}", f"{forwarder.upper()}@{domain.upper()}",
        f"staff@{domain}", f"staff+x@{domain}", f"staff@{alias}", f"postmaster@{domain}", f"abuse@{domain}",
        f"postmaster@{alias}", f'"{forwarder}"@{domain}', f"@y.test:{forwarder}@{domain}",
        # By the host's own names.
        "postmaster", "Postmaster", f"postmaster@[{address}]", f"abuse@[{address}]", f"root@{fqdn}", f"root+x@{fqdn}",
        f"postmaster@{fqdn}", "postmaster@localhost", f"root@[{address}]", "root", "abuse",
    ]  # fmt: skip
    peer = Peer(address)
    for sender, recipient in some(list(itertools.product(senders, leading_off)), 46):
        code, reply = peer.ask(f"MAIL FROM:<{sender}>", f"RCPT TO:<{recipient}>")
        tries.held((host, sender, recipient), code >= 400, (code, reply))
    code, reply = peer.ask("MAIL FROM:<stranger@else.test>", f"RCPT TO:<{forwarder}@{domain}>")
    assert code == 250, ("honest mail goes on", code, reply)


ENDS = [
    b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r.\r\n", b"\r\n.\r", b"\r\r\n.\r\r\n", b"\n\n.\n\n", b"\r\n\0.\r\n",
    b"\r\n.\0\r\n", b"\0\r\n.\r\n\0", b"\r\n. \r\n", b"\r\n.\t\r\n", b"\n.\r", b"\r\n..\r\n", b"\r\n.\x0b\n", b"\r\n.\x85\r\n",
    b"\xe2\x80\xa8.\xe2\x80\xa8", b"\r\n\x1a.\r\n", b"\x0c\n.\n", b"\r\n\r.\r\n", b"\n\r.\n\r", b"\n\r\n.\n\r\n", b"\r\n.\r\r\n",
]  # fmt: skip


def _smuggle(address: str, recipient: str, end: bytes, mark: str, how: str, sender: str) -> list[bytes]:
    """One message whose body holds a second one behind an odd end of data. What the server said."""
    second = (
        f"MAIL FROM:<{sender}>\r\nRCPT TO:<{recipient}>\r\nDATA\r\nFrom: {sender}\r\nSubject: smuggled-{mark}\r\n\r\nsecond\r\n.\r\n"
    ).encode()
    first = f"From: out@else.test\r\nSubject: honest-{mark}\r\n\r\nbody".encode()
    said: list[bytes] = []
    with contextlib.suppress(OSError), socket.create_connection((address, 25), timeout=20) as peer:
        lines = peer.makefile("rb")

        def ask(data: bytes) -> bytes:
            if data:
                peer.sendall(data)
            while True:
                line = lines.readline()
                said.append(line)
                if len(line) < 4 or line[3:4] != b"-":
                    return line

        ask(b"")
        ask(b"EHLO stranger.else.test\r\n")
        envelope = f"MAIL FROM:<out@else.test>\r\nRCPT TO:<{recipient}>\r\nDATA\r\n".encode()
        if how == "pipelined":
            peer.sendall(envelope + first + end + second + b"\r\n.\r\nQUIT\r\n")
        else:
            for command in envelope.splitlines(keepends=True):
                if not ask(command).startswith((b"250", b"354")):
                    return said
            peer.sendall(first + end + second if how == "whole" else first + end)
            if how == "slow":
                time.sleep(0.3)
                peer.sendall(second)
            peer.sendall(b"\r\n.\r\nQUIT\r\n")
        peer.settimeout(20)
        said += lines.readlines()
    return said


@EITHER
def test_smuggling(where: lab.Lab, host: str, tries: Tries) -> None:
    domain, account, _, _ = OF[host]
    recipient = f"{account}@{domain}"
    every = list(itertools.product(ENDS, ("whole", "slow", "pipelined")))
    run_id, marks = uuid4().hex[:8], {}
    for number, (end, how) in enumerate(some(every, 30)):
        mark = f"{run_id}-{number}x"
        marks[mark] = (end, how)
        _smuggle(where.host(host).address, recipient, end, mark, how, f"boss@{domain}")
    _settled(where, host)
    found = [headers for _, _, headers in stored(where, host)]
    for mark, (end, how) in marks.items():
        second = [headers for headers in found if re.search(rf"^Subject: smuggled-{mark}", headers, re.M)]
        tries.held((host, end, how), not second, second)
    run_on(
        where,
        host,
        "find /var/vmail -type f -path '*/new/*' -delete; postsuper -d ALL >/dev/null 2>&1",
        check=False,
    )


def _settled(where: lab.Lab, host: str) -> None:
    """Until nothing is on its way inside the host."""
    for _ in range(100):
        if "empty" in run_on(where, host, "postqueue -p"):
            return
        time.sleep(0.3)


@EITHER
def test_logins(where: lab.Lab, host: str, tries: Tries) -> None:
    domain, account, other, _ = OF[host]
    address = where.host(host).address
    right = password(where, f"{account}@{domain}")
    user = f"{account}@{domain}"

    def plain(*parts: str | bytes) -> str:
        return base64.b64encode(b"\0".join(p.encode() if isinstance(p, str) else p for p in parts)).decode()

    # Port 25 has no logins, and in clear there are none.
    for port in (25, 587):
        for words in (f"AUTH PLAIN {plain('', user, right)}", "AUTH LOGIN", "AUTH PLAIN", "AUTH CRAM-MD5", "AUTH EXTERNAL =",
                      "AUTH ANONYMOUS", f"XCLIENT LOGIN={user}", "XFORWARD NAME=x", "VRFY root", f"VRFY {user}", "EXPN staff", "ETRN x"):  # fmt: skip
            with smtplib.SMTP(address, port, local_hostname="s.else.test", timeout=30) as client:
                client.ehlo()
                code, reply = client.docmd(words)
                tries.held((host, port, words.split()[:2]), code >= 400 or b"252" in reply, (code, reply))
    clear = ssl.create_default_context(cafile=str(where.ca_file))
    clear.check_hostname = False
    for port, words in ((143, f"a AUTHENTICATE PLAIN {plain('', user, right)}"), (143, f'a LOGIN {user} "{right}"'),
                        (110, f"AUTH PLAIN {plain('', user, right)}"), (110, f"USER {user}"),
                        (4190, f'AUTHENTICATE "PLAIN" "{plain("", user, right)}"')):  # fmt: skip
        with socket.create_connection((address, port), timeout=30) as peer:
            peer.recv(4096)
            peer.sendall(words.encode() + b"\r\n")
            said = peer.recv(4096)
            tries.held(
                (host, port, words.split()[:2]), not said.lstrip(b"a ").startswith((b"OK", b"+OK")), said
            )
    # Who is let in as somebody else, or without the right password.
    guesses = [
        (f"{other}@{domain}", user, right), (f"{other}@{domain}", user, ""), ("", f"{other}@{domain}", right),
        (user, f"{other}@{domain}", right), ("", f"{user}\0", right), ("", user, ""), ("", user, right + " "),
        ("", user, right.swapcase()), ("", f"{user}*{other}@{domain}", right), ("", f"{other}@{domain}*{user}", right),
        ("", f"*@{domain}", right), ("", "%u", right), ("", f"{user}\n{other}@{domain}", right), ("", account, right),
        ("", f"../{domain}/{account}", right), ("", f"{user}:", right), ("", "root", ""), ("", "vmail", ""), ("", "", ""),
        ("", f"{user}\r\nX", right), ("", f"postmaster@{domain}", right), ("", f"sales@{domain}", right),
        ("", f"{account}@{OF[host][3]}", right), ("", f" {user}", right), ("", user, right[:8]), ("", user, "{PLAIN}" + right),
    ]  # fmt: skip
    for authzid, login, secret in some(guesses, 8):
        with (
            contextlib.suppress(smtplib.SMTPServerDisconnected),
            smtplib.SMTP_SSL(address, 465, timeout=60, context=context(where)) as client,
        ):
            client.ehlo()
            code, reply = client.docmd("AUTH PLAIN", plain(authzid, login, secret))
            tries.held((host, authzid, login), code >= 400, (code, reply))


def test_a_login_is_nobody_else(where: lab.Lab, tries: Tries) -> None:
    """In the envelope, in From: and in Sender:, on both hosts."""
    for host, (domain, account, other, alias) in OF.items():
        address, fqdn, user = where.host(host).address, where.host(host).fqdn, f"{account}@{domain}"
        # Not among them: the null sender, which notices of the user's own need (RFC 8098), with his From: as ever.
        envelopes = [
            f"{other}@{domain}", f"<{other}@{domain}", f"root@{fqdn}", f"nobody@{domain}", "x@else.test", f"postmaster@{domain}",
            f"{other}@{alias}", f'"{user}"@else.test', f"{user}@else.test", f"@{domain}:{other}@{domain}", f"{account}@sub.{domain}",
            f"{other} @{domain}", f"staff@{domain}", f"{other}+{account}@{domain}", f"{account}@{fqdn}", account,
        ]  # fmt: skip
        headers = [
            f"From: {other}@{domain}", f"From: <{user}> <{other}@{domain}>", f'From: "{user}" <{other}@{domain}>',
            f"From: {user}\r\nFrom: {other}@{domain}", f"from : {other}@{domain}", f"From: {user}, {other}@{domain}",
            f"FROM:{other}@{domain}", f"From:\r\n {other}@{domain}", f"From: =?utf-8?q?{other}=40{domain}?=",
            f"From: {other}@{domain} ({user})", f"From: ({other}) {other}@{domain}", f"From: group: {other}@{domain};",
            f"From: <@{domain}:{other}@{domain}>", f"From: {user}\r\nSender: {other}@{domain}",
            f"From: {user}\r\nResent-From: {other}@{domain}", f"From: {user}\0 <{other}@{domain}>", "Subject: no From at all",
            "From:", "From: <>", f"From: {user} <{other}@{domain}", f"From: {other}@{domain}>", f"From: ﹤{other}@{domain}﹥",
            f"From: {user}\r\nResent-Sender: {other}@{domain}", f"From: {user}\r\n\r\nFrom: {other}@{domain}",
        ]  # fmt: skip
        with inside(where, address, user) as client:
            for sender in some(envelopes, 6):
                client.docmd("RSET")
                code, reply = client.docmd(f"MAIL FROM:<{sender}>")
                if code == 250:
                    code, reply = client.docmd(f"RCPT TO:<{user}>")
                tries.held((host, "MAIL FROM", sender), code >= 400, (code, reply))
        for header in some(headers, 8):
            honest = header.endswith(f"\r\n\r\nFrom: {other}@{domain}")  # in the body it is text
            with inside(where, address, user) as client:
                client.docmd(f"MAIL FROM:<{user}>")
                client.docmd(f"RCPT TO:<{user}>")
                client.docmd("DATA")
                client.send(f"{header}\r\nSubject: x\r\n\r\nbody\r\n.\r\n".encode())
                code, reply = client.getreply()
                tries.held((host, header), (code == 250) if honest else (code >= 400), (code, reply))


RESULTS = [
    "Authentication-Results: {f}; dkim=pass header.d={d}", "authentication-results: {f}; spf=pass", "Authentication-Results : {f}; dkim=pass",
    "Authentication-Results:\r\n {f}; dkim=pass", "Authentication-Results:\t{f}\r\n\t; dkim=pass", "Authentication-Results: {F}; dkim=pass",
    "Authentication-Results: (c) {f}; dkim=pass", "Authentication-Results: (;) {f}; dkim=pass", "Authentication-Results: (a;b(c;d)) {f}; spf=pass",
    'Authentication-Results: "{f}"; dkim=pass', "Authentication-Results: {f} 1; dkim=pass", "Authentication-Results: {f}/1; dkim=pass",
    "Authentication-Results: {f}.; dkim=pass", "Authentication-Results: {f}(x); dkim=pass", "Authentication-Results:{f};dkim=pass",
    "Authentication-Results: (\\)) {f}; dkim=pass", "Authentication-Results: \r\n\t(;)\r\n\t{f}; dkim=pass", "Authentication-Results: ; {f}; dkim=pass",
    'Authentication-Results: "{f}" 1; dkim=pass', 'Authentication-Results: "\\{f}"; dkim=pass', "ARC-Authentication-Results: i=1; {f}; dkim=pass",
    "Authentication-Results: other.test; x=y, {f}; dkim=pass", "Authentication-Results: (;) (;) {f}; dkim=pass", "Authentication-Results: (\";\") {f}; dkim=pass",
]  # fmt: skip


@EITHER
def test_forged_results_of_checks(where: lab.Lab, host: str, tries: Tries) -> None:
    """What reads as a result by this host (RFC 8601 section 2.2) is taken out, from strangers and in submitted mail."""
    domain, account, _, _ = OF[host]
    address, fqdn, user = where.host(host).address, where.host(host).fqdn, f"{account}@{domain}"
    run_id, sent = uuid4().hex[:8], {}
    for number, form in enumerate(some(RESULTS, 10)):
        line = form.format(f=fqdn, d=domain, F=fqdn.upper())
        for way in ("stranger", "user"):
            mark = f"{run_id}-{number}-{way}x"
            sent[mark] = (line, way)
            who = user if way == "user" else "a@else.test"
            with inside(where, address, user) if way == "user" else outside(address) as client:
                client.docmd(f"MAIL FROM:<{who}>")
                client.docmd(f"RCPT TO:<{user}>")
                client.docmd("DATA")
                client.send(f"From: {who}\r\n{line}\r\nSubject: {mark}\r\n\r\nbody\r\n.\r\n".encode())
                client.getreply()
    _settled(where, host)
    found = [headers for _, _, headers in stored(where, host)]
    for mark, (line, way) in sent.items():
        mine = [re.sub(r"\r?\n[ \t]", " ", text) for text in found if f"Subject: {mark}" in text]
        forged = [
            each for text in mine for each in re.findall(r"(?im)^Authentication-Results\s*:(.*)$", text)
            if _speaker(each) == fqdn.lower()
        ]  # fmt: skip
        tries.held((host, way, line), not forged, forged)


def _speaker(value: str) -> str:
    """The authserv-id of a header's value, comments left out: nested, with quoted pairs (RFC 5322 section 3.2.2)."""
    plain, depth, position = "", 0, 0
    while position < len(value):
        sign = value[position]
        if sign == "\\" and depth:
            position += 2
            continue
        depth += (sign == "(") - (sign == ")" and depth > 0)
        if not depth and sign != ")":
            plain += sign
        position += 1
    word = plain.strip().partition(";")[0].strip()
    if word.startswith('"'):
        return re.sub(r"\\(.)", r"\1", word[1:].partition('"')[0]).lower()
    return re.split(r"[\s/]", word)[0].lower() if word else ""


SCRIPTS = [
    'require "enotify"; notify :message "x" "mailto:{v}";', 'require "enotify"; notify :from "{o}" "mailto:{v}";',
    'require ["vnd.dovecot.pipe"]; pipe "id";', 'require ["vnd.dovecot.execute"]; execute "id";', 'require ["vnd.dovecot.filter"]; filter "id";',
    'require ["include"]; include :global "../../../etc/passwd";', 'require ["include"]; include "../../{d}/{other}/sieve/mine";',
    'require ["editheader"]; addheader "Authentication-Results" "{f}; dkim=pass";', 'require ["vnd.dovecot.environment"];',
    'require ["vnd.dovecot.report"]; report "abuse" "x" "{v}";', 'require ["vnd.dovecot.debug"]; debug_log "x";',
    'require ["vnd.dovecot.config"];', 'require ["imapsieve"];', 'require ["vnd.dovecot.imapsieve"];', 'require ["extlists"]; redirect :list "x";',
    'require ["notify"]; notify :method "mailto" :options "{v}";', 'require ["imap4flags", "mboxmetadata"];',
    'require ["spamtestplus"];', 'require ["fileinto", "mailbox"]; fileinto :create "../../{other}/Maildir/INBOX";',
    'require ["fileinto", "mailbox"]; fileinto :create "/etc/cron.d/x";', 'require ["fileinto", "mailbox"]; fileinto :create "~{other}@{d}/INBOX";',
    'require ["fileinto"]; fileinto "";', 'require ["vacation"]; vacation :from "{o}" :handle "{m}" "away";',
    'require ["vacation"]; vacation :from "boss@else.test" :handle "{m}b" "away";', 'require ["vacation"]; vacation :addresses ["{o}"] :from "\\"Boss\\" <{o}>" :handle "{m}c" "x";',
]  # fmt: skip


@EITHER
def test_filters(where: lab.Lab, host: str, tries: Tries) -> None:
    """A user's Sieve script: what may not be there is refused, what may does nothing in another's name."""
    domain, account, other, _ = OF[host]
    address, fqdn, user = where.host(host).address, where.host(host).fqdn, f"{account}@{domain}"
    there = "mx2" if host == "mx1" else "mx1"
    listener = f"{OF[there][1]}@{OF[there][0]}"
    session = Sieve(where, address, user)
    names = [
        "../x",
        "../../other/sieve/x",
        "/etc/x",
        "x/../../y",
        "a\\0b",
        "\x7f",
        "x" * 3000,
        "..",
        ".",
        "~root",
        "%n",
        "$HOME",
    ]
    for name in some(names, 4):
        answer = session.command(f'PUTSCRIPT "{name}" {{5+}}\r\nkeep;')
        tries.held(
            (host, "script", name),
            answer.startswith(("NO", "BYE")) or ("/" not in name and ".." not in name),
            answer,
        )
    session.close()
    for form in some(SCRIPTS, 9):
        mark = uuid4().hex[:10]
        text = form.format(v=listener, o=f"{other}@{domain}", d=domain, other=other, f=fqdn, m=mark)
        session = Sieve(where, address, user)
        answer = session.command(f'PUTSCRIPT "mine" {{{len(text.encode())}+}}\r\n{text}')
        if answer.startswith("NO"):
            tries.held((host, text), True)
            session.close()
            continue
        session.command('SETACTIVE "mine"')
        sender = listener
        with outside(address) as client:
            client.docmd(f"MAIL FROM:<{sender}>")
            client.docmd(f"RCPT TO:<{user}>")
            client.docmd("DATA")
            client.send(
                f"From: {sender}\r\nTo: {user}\r\nSubject: trigger {mark}\r\nMessage-ID: <{mark}@else.test>\r\n\r\nx\r\n.\r\n".encode()
            )
            client.getreply()
        _settled(where, host)
        _settled(where, there)
        session.command('SETACTIVE ""')
        session.close()
        # What went out because of it is in nobody else's name, and what came in lies in the user's own mailbox.
        out = [text for _, _, text in stored(where, there) if f"trigger {mark}" in text]
        forged = [text for text in out if re.search(rf"(?im)^From:.*({re.escape(other)}@|boss@)", text)]
        tries.held((host, form), not forged, forged)
        strayed = [
            box for box, _, text in stored(where, host) if f"Subject: trigger {mark}" in text and box != user
        ]
        tries.held((host, form, "stored"), not strayed, strayed)
    assert run_on(where, host, "ls /etc/cron.d/x /tmp/x 2>/dev/null", check=False).strip() == ""


def test_the_long_form_is_long() -> None:
    """Both forms are of the same tries."""
    assert len(some(RESULTS, 10)) == (len(RESULTS) if LONG else 10)
