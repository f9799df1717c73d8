"""Strangers and users against the mail service of the oldest and the newest release, Debian 11 and testing: relaying,
forged senders, smuggling, logins, headers, filters. On Debian 12 and 13 most of it is in tests/lab/test_abuse.py and
its neighbours.

mx1 (alpha.test) is Debian 11, mx2 (beta.test) testing; both send some addresses on to each other.
"""

from __future__ import annotations

import base64
import contextlib
import itertools
import re
import shlex
import smtplib
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_network
from uuid import uuid4

import pytest

from mailprov import lab
from tests.attacks.local_users import CONTROLS, HARMLESS, SENDMAIL, connections
from tests.attacks.places import provisioned
from tests.attacks.test_hosts_own import get_somebody_shut_out, log_in
from tests.attacks.test_ways_out import lead_out_by_imap
from tests.attacks.tries import LONG, Tries, some
from tests.lab.labs import run_on, wait_until
from tests.lab.post import Sieve, context, inside, outside, password, stored
from tests.lab.signer import signed

INVENTORY = """\
filter: none
fail2ban: {ignore: [192.0.2.77]}
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
    return provisioned(ready_lab_factory, INVENTORY)


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
            with smtplib.SMTP(address, port, local_hostname="s.else.test", timeout=120) as client:
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
    run_id, sent, programs = uuid4().hex[:8], {}, []
    for number, form in enumerate(some(RESULTS, 10)):
        line = form.format(f=fqdn, d=domain, F=fqdn.upper())
        for way in ("stranger", "user", "program"):
            mark = f"{run_id}-{number}-{way}x"
            sent[mark] = (line, way)
            if way == "program":  # of another user of the host, by sendmail(1)
                text = f"From: {user}\n{line}\nSubject: {mark}\n\nbody\n".replace("\r\n", "\n")
                programs.append(f"printf %s {shlex.quote(text)} | sendmail {user}")
                continue
            who = user if way == "user" else "a@else.test"
            with inside(where, address, user) if way == "user" else outside(address) as client:
                client.docmd(f"MAIL FROM:<{who}>")
                client.docmd(f"RCPT TO:<{user}>")
                client.docmd("DATA")
                client.send(f"From: {who}\r\n{line}\r\nSubject: {mark}\r\n\r\nbody\r\n.\r\n".encode())
                client.getreply()
    _each(where, host, "www-data", programs)
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


@pytest.fixture(scope="module")
def shells(where: lab.Lab) -> list[str]:
    """Users of the host: one with a shell, and those who run services."""
    for host in OF:
        run_on(where, host, "id stu 2>/dev/null || useradd -m -s /bin/bash stu")
        evil = "mkdir -p /home/stu/evil && printf 'queue_directory = /home/stu/evil\\ncommand_directory = /home/stu/evil\\n"
        evil += "authorized_mailq_users = static:anyone\\n' >/home/stu/evil/main.cf && chown -R stu /home/stu"
        run_on(where, host, f"{evil}; echo stu@localhost >/root/list; chmod 600 /root/list")
    return ["stu", "www-data", "nobody"]


def _each(where: lab.Lab, host: str, user: str, commands: Iterable[str]) -> list[str]:
    """What each of these commands of this user prints; none has more than ten seconds."""
    steps = [
        f"timeout 10 sh -c {shlex.quote(command)} 2>/dev/null </dev/null; echo; echo END-$$"
        for command in commands
    ]
    script = f"/tmp/each-{user}.sh"
    run_on(where, host, f"cat >{script} <<'SCRIPT'\ncd /\n" + "\n".join(steps) + "\nSCRIPT")
    act = f"setpriv --reuid={user} --regid=nogroup --init-groups -- sh {script}"
    said = re.split(r"\nEND-[0-9]+\n", run_on(where, host, act, check=False))
    assert len(said) == len(steps) + 1, said[-1]
    return said[:-1]


@EITHER
def test_what_users_of_the_host_are_let_in_to(
    where: lab.Lab, shells: list[str], host: str, tries: Tries
) -> None:
    """Sockets of daemons, and commands that are for root."""
    domain, account, other, _ = OF[host]
    users = [*shells, "mail", "daemon"]
    found = connections(where, host, users)
    assert len(found["root"]) > 10
    for user in users:
        for path in found["root"]:
            tries.held((host, user, path), path not in found[user] or path in HARMLESS, "connected")
    places: list[int | str] = [8891, 11332, "/var/spool/postfix/opendkim/milter.sock"]
    every = run_on(where, host, "getent passwd | cut -d: -f1").split()
    got = signed(where, host, every, places, f"{account}@{domain}")
    for user, place in itertools.product(every, places):
        mine = user in ("root", "postfix", "opendkim") and place == places[-1]
        tries.held((host, user, place, "signed"), ((user, place) in got) == mine, "a signature")
    # A message of somebody else's that waits.
    run_on(where, host, "postconf -e 'defer_transports = smtp, srs' && postfix reload")
    try:
        run_on(
            where,
            host,
            f"printf 'Subject: x\\n\\nsecret-body\\n' | sendmail -f {account}@{domain} x@far.example",
        )
        queue = 'postqueue -j | grep far.example | sed \'s/.*queue_id": "\\([^"]*\\)".*/\\1/\' | head -1'
        wait_until(lambda: run_on(where, host, queue).strip(), "it waits")
        waiting = run_on(where, host, queue).strip()
        for user in shells:
            chosen = [
                form.replace("Q", waiting).replace("O", f"{other}@{domain}") for form in some(CONTROLS, 20)
            ]
            done = _each(where, host, user, chosen)
            for command, said in zip(chosen, done, strict=True):
                tries.held((host, user, command), "in" not in said.split("\n"), said)
        assert waiting in run_on(where, host, "postqueue -p")
    finally:
        run_on(where, host, "postconf -X defer_transports; postfix reload; postsuper -d ALL", check=False)


@EITHER
def test_sendmail_by_users_of_the_host(where: lab.Lab, shells: list[str], host: str, tries: Tries) -> None:
    """No file, no program, no list of root's, and no other configuration, by whatever arguments."""
    domain, account, other, _ = OF[host]
    run_on(where, host, "rm -f /tmp/got /etc/cron.d/got /etc/cron.d/x")
    made = "ls /tmp/got /etc/cron.d/got /etc/cron.d/x /home/stu/evil/*/ 2>/dev/null"
    message = f"From: {other}@{domain}\\nTo: {account}@{domain}\\nSubject: by-a-program\\n\\nx\\n"
    since = run_on(where, host, "date +%s").strip()
    for user in shells:
        chosen = [form.replace("O", f"{account}@{domain}") for form in some(SENDMAIL, 14)]
        commands = [f"printf '{message}' | sendmail {form} >/dev/null; {made}" for form in chosen]
        for form, said in zip(chosen, _each(where, host, user, commands), strict=True):
            tries.held((host, user, form), not said.strip(), said)
    _settled(where, host)
    log = run_on(where, host, f"journalctl -q --no-pager --since=@{since} | grep -c 'to=<stu@.*list' || true")
    tries.held((host, "root's list"), log.strip() == "0", log)
    run_on(where, host, "postsuper -d ALL >/dev/null 2>&1", check=False)


@EITHER
def test_imap_that_leads_out(where: lab.Lab, host: str, tries: Tries) -> None:
    domain, account, other, _ = OF[host]
    lead_out_by_imap(where, host, f"{account}@{domain}", other, tries)


# RFC 4468: text of a message is to be taken from an IMAP server. U is the user, O a colleague, H the host.
BURL = [
    "BURL imap://O@H/INBOX/;UID=1;URLAUTH=submit+U:internal:91354a473744909de610943775f92038 LAST", "BURL imap://O@H/INBOX/;UID=1;URLAUTH=anonymous:INTERNAL:0 LAST", "BURL imap://O@localhost/INBOX;UID=1 LAST", "BURL imap://localhost:143/O/INBOX/;UID=1", "BURL imap:///INBOX/;UID=1 LAST", "BURL /INBOX/;UID=1 LAST", "BURL file:///etc/passwd LAST", "BURL http://127.0.0.1/ LAST", "BURL imap://127.0.0.1:25/INBOX LAST", "BURL", "BURL LAST", "BURL x", "burl imap://H/ last", " BURL imap://H/ LAST", "BURL\timap://H/ LAST", "BURL imap://H/ LAST LAST", "BURL imap://H/\0 LAST", "BURL imap://%0d%0aRCPT LAST", "X-BURL imap://H/ LAST", "BDAT 0 BURL", "BDAT BURL LAST", "BURLDATA imap://H/",
]  # fmt: skip


@EITHER
def test_messages_out_of_others_mailboxes(where: lab.Lab, host: str, tries: Tries) -> None:
    """BURL is offered to nobody, and whatever is said of it is refused, at every point of a session; nothing is sent."""
    domain, account, other, _ = OF[host]
    user, member = f"{account}@{domain}", where.host(host)
    names = {"U": user, "O": f"{other}@{domain}", "H": member.fqdn}
    before = [[], [f"MAIL FROM:<{user}>"], [f"MAIL FROM:<{user}>", f"RCPT TO:<{user}>"]]
    known = len([box for box, _, _ in stored(where, host) if box == user])
    for form in some(BURL, 8):
        line = re.sub(r"\b[UOH]\b", lambda found: names[found[0]], form)
        with inside(where, member.address, user) as client:
            tries.held((host, form, "offered"), "burl" not in client.esmtp_features, client.esmtp_features)
            for commands in before:
                with contextlib.suppress(smtplib.SMTPServerDisconnected):
                    for command in ("RSET", *commands):
                        client.docmd(command)
                    code, reply = client.docmd(line)
                    tries.held((host, form, len(commands)), code >= 500, (code, reply))
        with contextlib.suppress(smtplib.SMTPServerDisconnected), outside(member.address) as client:
            code, reply = client.docmd(line)
            tries.held((host, form, "port 25"), code >= 500, (code, reply))
    _settled(where, host)
    now = len([box for box, _, _ in stored(where, host) if box == user])
    tries.held((host, "nothing came of it"), now == known, now - known)


def test_ssh_jail(where: lab.Lab, shells: list[str], tries: Tries) -> None:
    """Who really tries to log in is counted; nobody is for what a user of the host logs as `sshd`, or as a mail daemon."""
    for host in OF:
        member = where.host(host)
        run_on(where, host, "journalctl --rotate -q; journalctl --vacuum-time=1s -q", check=False)
        for number in range(3):
            ssh = ["ssh", "-F", "none", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no"]
            ssh += ["-o", "UserKnownHostsFile=/dev/null", f"nosuch{number}@{member.address}", "true"]
            subprocess.run(ssh, capture_output=True, check=False, timeout=60)
        own = str(ip_network(where.subnet)[1])
        match = "sed -n '/^.sshd]/,$s/^journalmatch = //p' /etc/fail2ban/jail.d/mailprov.local"
        look = f'fail2ban-regex -m "$({match})" systemd-journal sshd -o ip'
        wait_until(lambda: own in run_on(where, host, look).split(), "who tries is counted")  # noqa: B023
        tries.held((host, "nobody else"), set(run_on(where, host, look).split()) == {own})
        get_somebody_shut_out(where, tries, host)


# Arguments: an address and a number of connections. Each is a line and more in the log of the service.
FLOOD = """
import socket, sys
from concurrent.futures import ThreadPoolExecutor
address, count = sys.argv[1], int(sys.argv[2])
words = b"EHLO x\\r\\n" + b"MAIL FROM:<a@b.test>\\r\\nRCPT TO:<x@far.example>\\r\\nRSET\\r\\n" * 8 + b"QUIT\\r\\n"
def one(number):
    try:
        with socket.create_connection((address, 25 if number % 4 == 0 else 143), timeout=10) as peer:
            if number % 4 == 0:
                peer.recv(200); peer.sendall(words)
                while peer.recv(4096): pass
    except OSError: pass
with ThreadPoolExecutor(40) as pool:
    list(pool.map(one, range(count)))
"""


def test_guesses_while_the_log_is_flooded(where: lab.Lab, tries: Tries) -> None:
    """journald passes over what a service logs too fast (journald.conf(5), RateLimitBurst): no guess may be among that."""
    count = 4_000 if LONG else 400
    for host in OF:
        address, run_id = where.host(host).address, uuid4().hex[:6]
        since = run_on(where, host, "date +%s").strip()
        flood = subprocess.Popen([sys.executable, "-c", FLOOD, address, str(count)])
        marks = [f"q{run_id}n{number}q" for number in range(50 if LONG else 6)]

        def guess(mark: str, host: str = host) -> bytes:
            with contextlib.suppress(OSError, ssl.SSLError):
                return log_in(where, host, "imap", mark.encode(), b"wrong")
            return b""

        with ThreadPoolExecutor(25) as pool:
            said = dict(zip(marks, pool.map(guess, marks), strict=True))
        flood.wait(timeout=600)
        seen = f"journalctl -q --no-pager -a -o cat --since=@{since}"
        refusals = run_on(where, host, f"{seen} | grep -aF {run_id} || true").splitlines()
        lines = "\n".join(line for line in refusals if re.search("unknown user|disallowed by", line))
        for mark, answer in said.items():
            refused = b"AUTHENTICATIONFAILED" in answer
            tries.held((host, mark), mark in lines or not refused, answer)
        tries.held(
            (host, "refused at all"), any(b"AUTHENTICATIONFAILED" in one for one in said.values()), said
        )
        log = run_on(where, host, f"{seen} | grep -c . || true")
        dropped = run_on(where, host, f"{seen} | grep -i 'suppressed' || true")
        tries.held((host, "lines", log.strip()), not dropped, dropped)
