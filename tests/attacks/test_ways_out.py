"""Out of a mailbox, and off a host, in a colleague's name: users' filters, strangers with a sender of ours, forged SRS.

Debian 12 and 13, so both lines of Dovecot. What left a host is looked at where it lies on the other one.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import smtplib
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from mailprov import lab
from mailprov.agent import files
from mailprov.agent.resources import sieve
from tests.attacks.places import provisioned
from tests.attacks.test_submission import HEADERS, eyes, queue_empty, written
from tests.attacks.tries import Tries, some
from tests.lab import post
from tests.lab.labs import run_on, wait_until
from tests.lab.matrix import address
from tests.lab.test_ways_out import EXTENSIONS, INVENTORY, PAIRS

Pair = tuple[tuple[str, str], tuple[str, str]]
BOTH = pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair[0][0])


@pytest.fixture(scope="module")
def hosts(ready_lab_factory: Callable[[str], lab.Lab]) -> lab.Lab:
    return provisioned(ready_lab_factory, INVENTORY)


def mailbox(where: lab.Lab, host: str, user: str) -> list[bytes]:
    with post.imap(where, address(where, host), user) as client:
        client.select("INBOX")
        if not client.search(None, "ALL")[1][0]:
            return []
        return [part[1] for part in client.fetch("1:*", "(BODY.PEEK[])")[1] if isinstance(part, tuple)]


def quoted(data: bytes) -> str:
    """As a string of Sieve that may hold every byte (encoded-character, RFC 5228 section 2.4.2.4)."""
    return '"${hex:' + " ".join(f"{byte:02x}" for byte in data) + '}"'


# What a vacation notice may be given besides a header of its own. O: the user's own address, F: the colleague's.
ACTIONS = [
    ':from "F"', ':from "Boss <F>"', ':from "F, O"', ':from "O, F"', ':from "team: F;"', ':from "team: F, O;"', ':from "<O> <F>"', ':from "F (O)"', ':from "O (F)"',
    ':from "=?utf-8?q?F?= <O>"', ':from "=?utf-8?q?ana?=@D"', ':from "\\"F\\" <O>"', ':from "<@D:F>"', ':from "ana@D."', ':from "ANA@D"', ':from "ana+x@D"', ':from "ana"', ':from ""', ':from "<>"',
    ':from "O${hex:0d 0a}From: F"', ':from "O${hex:0a}Sender: F"', ':from "O${hex:0d}From: F"', ':from "O${hex:00}F"', ':from "O${hex:2c}F"', ':from "F${hex:c2 a0}"', ':from "\xa0F"',
    ':subject "x${hex:0d 0a}From: F"', ':subject "x${hex:0a}From: F${hex:0a}"', ':subject "x${hex:0d}From: F"', ':subject "x${hex:0d 0a 0d 0a}From: F"', ':subject "x${hex:00 0a}From: F"', ':subject "${hex:e2 80 a8}From: F"', ':subject "x${hex:0d 0a 20}y"',
    ':addresses ["F"]', ':addresses ["F", "O"] :from "F"', ':addresses ["O${hex:0a}From: F"]', ':subject "${evil}"', ':from "${evil}"', ':from "${name}"', ':subject "From: F" :from "O"', ':handle "x${hex:0a}From: F"', ':days 0 :from "F"', ':days 365 :from "F"',
]  # fmt: skip
# What a stranger's message may bring that a notice copies: its subject and its id.
INCOMING = [
    "=?utf-8?q?x=0D=0AFrom:_F?=", "=?utf-8?b?eA0KRnJvbTogYW5hQGFscGhhLnRlc3Q=?=", "=?utf-8?q?x=0AFrom:_F?=", "=?utf-8?q?x=0DFrom:_F?=", "=?utf-8?q?=00=0AFrom:_F?=", "x\n From: F", "=?utf-8?q?x?=\n =?utf-8?q?=0D=0ASender:_F?=",
]  # fmt: skip


@BOTH
def test_a_filter_writes_as_a_colleague(hosts: lab.Lab, pair: Pair, tries: Tries) -> None:
    """Every way of test_submission as the header of a notice, and what else a notice and a rejection can be given."""
    (host, domain), (other, elsewhere) = pair
    own, foreign, far = f"luis@{domain}", f"ana@{domain}", f"far@{elsewhere}"
    run_, marks = secrets.token_hex(4), {}
    session = post.Sieve(hosts, address(hosts, host), own)
    required = 'require ["vacation", "reject", "variables", "encoded-character", "copy"];\n'
    required += f'set "evil" "x${{hex:0d 0a}}From: {foreign}"; set "name" "{foreign}";\n'
    branches = []

    def names(text: str) -> str:
        return re.sub(r"\b[OFD]\b", lambda found: {"O": own, "F": foreign, "D": domain}[found[0]], text)

    every: list[tuple[object, str]] = [
        (text, f'vacation :handle "H" {names(text)} "pay";') for text in ACTIONS
    ]
    for number, header in enumerate(HEADERS):
        if len(header) < 9000:
            data = written(header, own, foreign, number)
            every.append((header[:80], f'vacation :handle "H" :mime {quoted(data)};'))
    every += [
        (f"reject {text[:50]!r}", f"reject {quoted(names(text).encode())};")
        for text in [*INCOMING, "\r\nFrom: F\r\n\r\n", "\x00F", "--x\r\nFrom: F", "\x1b]0;x\x07"]
    ]
    every += [(f"copied {text[:50]!r}", 'vacation :handle "H" "pay";') for text in INCOMING]
    for number, (what, action) in enumerate(some(every, 24)):
        word = f"{run_}x{number}x"
        filled = action.replace('"H"', f'"{word}"', 1)
        text = required + filled
        answer = session.command(f"CHECKSCRIPT {{{len(text.encode())}+}}\r\n{text}")
        if answer.startswith("OK"):
            branches.append(f'if header :is "x-word" "{word}" {{ {filled} stop; }}')
            marks[word] = what
        else:
            tries.held(what, True, answer)
    for at in range(0, len(branches), 60):  # each script must be small
        session.activate(required + "\n".join(branches[at : at + 60]))
        with post.outside(address(hosts, host)) as client:
            for word in list(marks)[at : at + 60]:
                what = marks[word]
                subject = word
                if str(what).startswith("copied"):
                    subject = names({f"copied {text[:50]!r}": text for text in INCOMING}[str(what)])
                post.transaction(
                    client,
                    far,
                    [own],
                    f"From: {far}\nTo: {own}\nX-Word: {word}\nMessage-ID: <{word}@x>\nSubject: {subject}\n\n",
                )
        queue_empty(hosts, host)
    session.close()
    queue_empty(hosts, host)
    queue_empty(hosts, other)
    answers = [
        raw for raw in mailbox(hosts, other, far) if f"<{run_}x".encode() in raw or run_.encode() in raw
    ]
    assert len(answers) > len(marks) // 2
    for word, what in marks.items():
        mine = [raw for raw in answers if word.encode() in raw]
        bad = [raw for raw in mine if foreign in eyes(raw) or b"Return-Path: <ana" in raw]
        tries.held(what, not bad, bad[:1] and bad[0][:900])
    unknown = [raw for raw in answers if foreign in eyes(raw)]
    tries.held("in any of them", not unknown, unknown[:1])


# Names that lead out of one's own scripts and folders, and what sends or runs programs.
SCRIPTS = [
    *(f'require "{name}";' for name in ("enotify", "notify", "ereject", "editheader", "vacation-seconds", "imapsieve", "vnd.dovecot.imapsieve", "vnd.dovecot.report", "vnd.dovecot.pipe",
      "vnd.dovecot.filter", "vnd.dovecot.execute", "vnd.dovecot.environment", "vnd.dovecot.config", "vnd.dovecot.debug", "vnd.dovecot.duplicate", "mboxmetadata", "servermetadata", "extlists", "fcc", "replace", "enclose", "convert",
      "spamtest", "spamtestplus", "virustest", "imapflags", "vnd.sendmail", "redirect-dsn", "redirect-deliverby", "snooze", "processimap", "special-use", "mailboxid")),
    *(f'require "include"; include {kind} "{name}";' for kind in (":global", ":personal") for name in ("x", "../x", "../../ana/sieve/mine", "/etc/passwd", "..", "", "x/../../y", "x.sieve", "\\0x", "a" * 300)),
    *(f'redirect "{to}";' for to in ("|/bin/sh", "/etc/passwd", ":include:/etc/passwd", "-oQ/tmp", "-X/tmp/x", "ana", "", "<>", "a@b, c@d", "a@b\r\nRCPT TO:<c@d>", "a@b> SIZE=1", '\\"|x\\"@b', "team: a@b;", "a@b (c@d)", "@x:a@b")),
    *('require "copy";\n' + "\n".join(f'redirect :copy "x{number}@else.test";' for number in range(count)) for count in (5, 32, 33, 1000)),
    "\n".join("keep;" for _ in range(100)), "stop;" * 300000, "if true {" * 40 + "}" * 40, "# x\n" * 300000, "/*" * 200000, '"' * 100000, "[" * 100000, 'require ["' + '","'.join(["copy"] * 20000) + '"];',
    'require ["variables"];' + 'set "a" "${a}${a}xx";' * 60, 'require "regex"; if header :regex "subject" "(a+)+$" { keep; }', 'require "regex"; if header :regex "subject" "' + "(" * 5000 + '" { keep; }', 'if header :matches "subject" "' + "*a" * 3000 + '" { keep; }',
]  # fmt: skip


@BOTH
def test_scripts_that_lead_out(hosts: lab.Lab, pair: Pair, tries: Tries) -> None:
    """What is not refused is run on a message; then nothing may have left but four copies, and the message is there."""
    (host, domain), _ = pair
    own = f"luis@{domain}"
    started = run_on(hosts, host, "date +%s").strip()
    taken: list[str] = []
    session = post.Sieve(hosts, address(hosts, host), own)
    for script in some(SCRIPTS, 16):
        try:
            answer = session.command(f'PUTSCRIPT "try" {{{len(script.encode())}+}}\r\n{script}')
        except (OSError, AssertionError) as error:
            tries.held(script[:60], "timed out" not in str(error), f"the server ended the session: {error}")
            session = post.Sieve(hosts, address(hosts, host), own)
            continue
        if not answer.startswith("OK"):
            tries.held(script[:60], True)
            continue
        names = re.findall(r'require "([^"]*)"', script)
        tries.held(script[:60], set(names) <= EXTENSIONS, answer)
        session.command('SETACTIVE "try"')
        taken.append(script)
        word = secrets.token_hex(6)
        with post.outside(address(hosts, host)) as client:
            began = time.monotonic()
            subject = "a" * 900 if "subject" in script else "x"
            post.transaction(
                client, "stranger@else.test", [own], f"From: s@else.test\nX-W: {word}\nSubject: {subject}\n\n"
            )
        wait_until(
            lambda: f'"{own}"' not in run_on(hosts, host, "postqueue -j"),
            f"the delivery with {script[:60]}",
        )
        tries.held((script[:60], "in time"), time.monotonic() - began < 60, "over a minute")
    session.command('SETACTIVE ""')
    session.close()
    log = run_on(
        hosts,
        host,
        f"journalctl --no-pager -o cat --since=@{started} SYSLOG_IDENTIFIER=postfix/smtp SYSLOG_IDENTIFIER=postfix/srs/smtp | grep -c 'to=<x[0-9]*@else.test>' || true",
    )
    tries.held("copies", int(log) <= 4 * 8 * (1 + len(taken)), log)
    outside = run_on(
        hosts,
        host,
        f"find /var/vmail -newermt @{started} -type f -not -path '/var/vmail/{domain}/luis/*' -path '*sieve*' | head; ls /tmp | grep -v systemd | head -3",
    )
    tries.held("files elsewhere", "sieve" not in outside, outside)


IMAP = [
    "GETMETADATA INBOX /private/comment", 'SETMETADATA "" (/private/vendor/x "y")', 'SETMETADATA INBOX (/shared/comment "y")', "SETMETADATA INBOX (/private/vendor/dovecot/x NIL)",
    'GENURLAUTH "imap://luis@x/INBOX;UID=1;urlauth=anonymous" INTERNAL', 'URLFETCH "imap://ana@x/INBOX/;UID=1;urlauth=user+ana:INTERNAL:0"', "RESETKEY", "RESETKEY INBOX INTERNAL",
    "SETACL INBOX ana lrs", "GETACL INBOX", "MYRIGHTS INBOX", "LISTRIGHTS INBOX ana", 'APPEND INBOX CATENATE (URL "/INBOX/;UID=1")', 'SETQUOTA "" (STORAGE 1)', 'SETQUOTA "User quota" (STORAGE 999999)', "COMPRESS DEFLATE",
    "SELECT ../ana/INBOX", 'SELECT "../../ana"', 'SELECT "~ana/INBOX"', 'SELECT "/var/vmail/alpha.test/ana/Maildir"', 'SELECT "shared/ana/INBOX"', 'SELECT "user/ana"', 'SELECT "#shared/ana"', 'SELECT "Other Users/ana"', 'LIST "" "../*"', 'LIST "../../" "*"', 'LIST "/var/vmail" "*"', 'LSUB "" "../*"',
    'CREATE "../x"', 'CREATE "x/../../../ana/y"', 'CREATE "/tmp/x"', 'CREATE "~/x"', 'CREATE "cur"', 'CREATE "new"', 'CREATE "tmp"', 'CREATE ".."', 'CREATE "a/../b"', 'RENAME INBOX "../x"', 'RENAME INBOX "/tmp/x"', 'SUBSCRIBE "../../ana"', 'DELETE "../../ana"', 'COPY 1 "../../ana"', 'COPY 1 "../ana/INBOX"', 'STATUS "../ana/INBOX" (MESSAGES)',
    "X-DOVECOT", "XEXEC ls", 'ID ("x-session-ext-id" "a" "x-originating-ip" "127.0.0.1" "x-connected-name" "y")', "NOTIFY SET (PERSONAL (MessageNew))", "CONTEXT", "XAPPLEPUSHSERVICE x", "UNAUTHENTICATE", "AUTHENTICATE PLAIN AGFuYQB4", "LOGIN ana x", "STARTTLS", 'ENABLE UTF8=ACCEPT', 'SETANNOTATION INBOX x ("y" "z")', "PROXYAUTH ana",
]  # fmt: skip
MAY = ("APPEND", "NOTIFY", "ID", "CONTEXT", "ENABLE", "COMPRESS", "GETACL", "MYRIGHTS")


@BOTH
def test_imap_that_leads_out(hosts: lab.Lab, pair: Pair, tries: Tries) -> None:
    (host, domain), _ = pair
    lead_out_by_imap(hosts, host, f"luis@{domain}", "ana", tries)


def lead_out_by_imap(where: lab.Lab, host: str, own: str, other: str, tries: Tries) -> None:
    """A command that is taken has touched nothing but the user's own folders. `other`: the colleague's name."""
    user, _, domain = own.partition("@")
    before = run_on(where, host, f"date +%s; ls -d /var/vmail/{domain}/*").split("\n", 1)
    for form in some(IMAP, 16):
        names = {"alpha.test": domain, "luis": user, "ana": other}
        command = re.sub(r"\b(alpha\.test|luis|ana)\b", lambda found: names[found[0]], form)  # noqa: B023
        with contextlib.suppress(Exception), post.imap(where, address(where, host), own) as client:
            client.select("INBOX")
            client.send(f"x1 {command}\r\n".encode())
            client.sock.settimeout(15)
            got = b""
            while b"x1 " not in got and not got.startswith(b"+ "):
                more = client.sock.recv(65536)
                got += more
                if not more:
                    break
            taken = b"x1 OK" in got
            harmless = command.split()[0] in MAY or (
                command.split()[0] in ("LIST", "LSUB") and other.encode() not in got
            )
            inside = command.split()[0] in ("CREATE", "SUBSCRIBE", "RENAME")
            tries.held((host, command), not taken or harmless or inside, got[:200])
    changed = run_on(
        where,
        host,
        f"find /var/vmail /tmp -newermt @{before[0]} -not -path '/var/vmail/{domain}/{user}/*' -not -path '/var/vmail/{domain}/{user}' \\( -path '*{other}*' -o -name x -o -name y \\) | head",
    )
    tries.held((host, "files of others"), not changed.strip(), changed)
    after = run_on(where, host, f"ls -d /var/vmail/{domain}/*")
    tries.held((host, "homes"), set(after.split()) == set(before[1].split()), after)


def test_what_the_agent_reads_of_filters(tmp_path: Path, tries: Tries) -> None:
    """Files of a user in the place of his scripts, and texts made to be slow, looked at as root does it."""
    spec = {"root": "/vmail", "scripts": "sieve", "active": ".dovecot.sieve", "refused": ["enotify"]}
    tree = files.Tree(str(tmp_path))
    home = tmp_path / "vmail/alpha.test/luis"
    (home / "sieve").mkdir(parents=True)
    other = tmp_path / "vmail/alpha.test/ana"
    other.mkdir()
    (other / "secret").write_text('require "enotify";')
    (tmp_path / "shadow").write_text('require "enotify";')
    active = home / ".dovecot.sieve"

    def look(what: str, expected: bool = False) -> None:
        began = time.thread_time()  # of this thread alone, whatever else the machine does
        try:
            found = sieve.requiring(tree, spec, ["luis@alpha.test"])
            spent = time.thread_time() - began
            tries.held(what, bool(found) is expected and spent < 3, (found, spent))
        except Exception as error:
            tries.held(what, False, repr(error))
        with contextlib.suppress(OSError):
            active.rmdir() if active.is_dir() and not active.is_symlink() else active.unlink()

    links = (
        "../ana/secret",
        "/shadow",
        str(tmp_path / "shadow"),
        "../../../shadow",
        ".dovecot.sieve",
        "/dev/zero",
        "/dev/stdin",
        "/proc/self/mem",
        "sieve",
        "nowhere",
        "sieve/../../ana/secret",
        "x" * 250,
    )
    for target in links:
        active.symlink_to(target)
        look(f"link to {target}")
    active.mkdir()
    look("directory")
    os.mkfifo(active)
    look("fifo")
    os.mkfifo(home / "sieve/pipe.sieve")
    (home / "sieve/loop.sieve").symlink_to("loop.sieve")
    (home / "sieve/out.sieve").symlink_to("../../ana/secret")
    active.write_text('require "include"; include :personal "pipe";')
    look("include of fifo, loop and link")
    active.write_bytes(b'require "enotify";' + b"x" * 10_000_000)
    look("ten megabytes", expected=True)
    size = 1 << 20
    slow = [
        "/*" * (size // 2), "#" * size, "#\n" * (size // 2), " " * size, "/**" * (size // 3), "/* *" * (size // 4) + "/", "require" + " " * size, "require " + '"' * size, "require " + '"",' * (size // 3), "require [" + "[" * size,
        "require " + "/*x*/" * (size // 5), "require " + "#x\n" * (size // 3), "require;" * (size // 8), 'require "a";' * (size // 12), "require" * (size // 7), "require " + '"a" ' * (size // 4) + "x", "require [" + '"a",' * (size // 4), "require /*" + "*" * size, "require " + "/* " * (size // 3) + '"a";',
        "\0" * size, "\ufeff" + 'require "x";' + "é" * (size // 2), "require " + '"' + "a" * size, "require " + '"\\' * (size // 2), "/* x */" * (size // 7) + "x", "require " + "/*" + "x" * size + '*/"a"', "require\n" * (size // 8), ",;" * (size // 2), 'require ["' + '"; require ["' * (size // 13),
    ]  # fmt: skip
    for text in slow:
        active.write_text(text)
        look(text[:30])
    hidden = {
        'REQUIRE "enotify";': True, '/* x */ require # y\n ["copy", /* z */ "enotify"];': True, 'require "copy"; require "enotify";': True, '\ufeffrequire "enotify";': False, '# require "enotify";\n': False, '/* require "enotify"; */': False, 'require ["enotify"]': False, 'if true { } require "enotify";': False,
    }  # fmt: skip
    for text, expected in hidden.items():
        active.write_text(text)
        look(text, expected)


# Senders of ours in every form that RFC 5321 and its programs know; D is the domain, H the host, I its address.
SENDERS = [
    "ana@D", "ANA@D", "ana@DD", "Ana@d", "ana+x@D", '"ana"@D', '"a\\na"@D', "@else.test:ana@D", "@D:ana@D", "ana@also.D", "nobody@D", "root@H", "postmaster@H", "ana@H", "x@[I]", "x@[IPv6:::1]", "root@localhost", "root",
    "ana", "postmaster", "ana@D.", '"ana@D"', "ana%D@else.test", "else.test!ana@D", '"ana@D"@else.test', "ana@sub.D", "SRS0=abcd=12=D=ana@H", "SRS0=abcd=12=D=ana@D", "srs0+abcd=12=D=ana@H", "double-bounce@H", "MAILER-DAEMON@H", "ana@\tD", " ana@D", "ana @D", "<ana@D", "ana@D ",
]  # fmt: skip
# Addresses that lead off the host (postmaster and away do, so do root and the like), in as many forms.
RECIPIENTS = [
    "away@D", "AWAY@D", "away+x@D", '"away"@D', "@x:away@D", "away@also.D", "away@D.", "postmaster@D", "postmaster", "postmaster@H", "root", "root@H", "root@localhost", "root+x@H", "postmaster@[I]", "root@[I]", "Postmaster@also.D", "POSTMASTER+y@H", "hostmaster@H", "abuse@H", "webmaster@H", "MAILER-DAEMON@H", "away@[I]", "away@H", "away@localhost", '"root"@H', "away%D@H", "H!away@D", "postmaster@localhost", "double-bounce@H",
]  # fmt: skip


def _filled(text: str, domain: str, host: str, at: str) -> str:
    words = {"DD": domain.upper(), "D": domain, "d": domain.title(), "H": f"{host}.{domain}", "I": at}
    return re.sub(r"(?<![A-Za-z])(DD|D|d|H|I)(?![A-Za-z0-9])", lambda found: words[found[1]], text)


@BOTH
def test_a_stranger_with_a_sender_of_ours(hosts: lab.Lab, pair: Pair, tries: Tries) -> None:
    """Nothing may arrive at the next host under a sender of this one that this host has not made itself (SRS)."""
    (host, domain), (other, elsewhere) = pair
    at, far = address(hosts, host), f"far@{elsewhere}"
    run_ = secrets.token_hex(4)
    every = [(sender, to) for sender in SENDERS for to in RECIPIENTS]
    chosen = some(every, 60)
    for start in range(0, len(chosen), 40):
        with contextlib.suppress(smtplib.SMTPException, OSError):
            client = smtplib.SMTP(at, 25, local_hostname="stranger.else.test", timeout=120)
            client.ehlo()
            for number, (sender, to) in enumerate(chosen[start : start + 40], start):
                if number % 9 == 0:  # errors slow a session down
                    client.close()
                    client = smtplib.SMTP(at, 25, local_hostname="stranger.else.test", timeout=120)
                    client.ehlo()
                client.docmd(f"MAIL FROM:<{_filled(sender, domain, host, at)}>")
                code, _ = client.docmd(f"RCPT TO:<{_filled(to, domain, host, at)}>")
                if code == 250:
                    client.data(f"From: <ana@{domain}>\r\nX-Pair: {run_}-{number}-\r\n\r\nx\r\n")
                client.docmd("RSET")
            client.close()
    queue_empty(hosts, host)
    queue_empty(hosts, other)
    came: dict[int, str] = {}
    for raw in mailbox(hosts, other, far):
        found = re.search(rb"X-Pair: %s-(\d+)-" % run_.encode(), raw)
        path = re.search(rb"(?m)^Return-Path: <(.*)>", raw)
        if found and path:
            came[int(found[1])] = path[1].decode("latin-1")
    for number, each in enumerate(chosen):
        path = came.get(number, "").lower()
        name = path.rpartition("@")[2]
        rewritten = path.startswith("srs")
        ours = name in (domain, f"also.{domain}", f"{host}.{domain}") and not rewritten
        tries.held(each, not ours, path)


@BOTH
def test_forged_ways_back(hosts: lab.Lab, pair: Pair, tries: Tries) -> None:
    """An SRS address without its whole hash leads nowhere, and nothing but its own sender gets what comes to it."""
    (host, domain), (other, elsewhere) = pair
    at, far, word = address(hosts, host), f"far@{elsewhere}", secrets.token_hex(4)
    with post.outside(at) as client:
        post.transaction(client, "stranger@else.test", [f"away@{domain}"], f"X-Pair: {word}\n\n")
    wait_until(
        lambda: any(word.encode() in raw for raw in mailbox(hosts, other, far)), "what was sent on", 60
    )
    (raw,) = [raw for raw in mailbox(hosts, other, far) if word.encode() in raw]
    right = re.search(rb"Return-Path: <(SRS0[^>]*)>", raw)
    assert right
    local, _, name = right[1].decode().partition("@")
    _, hashed, day, forwarder, user = local.split("=", 4)
    forged = [f"SRS0={hashed[:length]}={day}={forwarder}={user}" for length in range(min(4, len(hashed)))]
    forged += [
        f"SRS0={hashed}={day}={forwarder}={other_}"
        for other_ in ("ana", "strange", "strangerx", "x=y", "", "stranger=")
    ]
    forged += [
        f"SRS0={hashed}={day}={there}={user}"
        for there in ("else.tes", "alpha.test", domain, elsewhere, "victim.test", "else.test.x", "")
    ]
    forged += [
        f"SRS0={hashed}={days}={forwarder}={user}"
        for days in ("AA", "ZZ", "77", "", "2", day + "A", day[::-1] + "B", "!!")
    ]
    forged += [
        f"SRS0={bad}={day}={forwarder}={user}"
        for bad in (
            "AAAA",
            "====",
            "abcd",
            hashed[::-1] + "x",
            "A" + hashed,
            "*" * len(hashed),
            "." * 4,
            "%s%s",
            "A" * 100,
            hashed[:-1] + ("A" if hashed[-1:] != "A" else "B"),
        )
    ]
    forged += [f"SRS1={bad}={name}==HHH=TT=victim.test=x" for bad in ("", "A", "AAAA", hashed, hashed[:4])]
    forged += [f"SRS1={hashed}=victim.test=={hashed}={day}={forwarder}={user}", f"SRS1={hashed}={forwarder}={day}=={user}", f"SRS0+{hashed[:2]}={day}={forwarder}={user}", f"SRS0-{hashed[:3]}={day}={forwarder}={user}", "SRS0", "SRS0=", "SRS1=", "SRS0==", "SRS0====", "SRS0=" + "=" * 60, f"SRS0=x=SRS0={hashed}={day}={forwarder}={user}", f"srs0={hashed[:3]}={day}={forwarder}={user}"]  # fmt: skip
    forged += [
        f"SRS0={hashed}={day}={forwarder}={user}\n",
        f"SRS0={hashed}={day}={forwarder}={user}%{domain}",
    ]
    forged = [one for one in forged if one != local]
    for start in range(0, len(forged), 8):
        with smtplib.SMTP(at, 25, local_hostname="stranger.else.test", timeout=120) as client:
            client.ehlo()
            client.docmd("MAIL FROM:<>")
            for one in forged[start : start + 8]:
                code, reply = client.docmd("RCPT", f"TO:<{one.strip()}@{name}>")
                tries.held(one[:60], code // 100 == 5 or one.strip() == local, (code, reply))
    with smtplib.SMTP(at, 25, local_hostname="stranger.else.test", timeout=120) as client:
        client.ehlo()
        client.docmd("MAIL FROM:<>")
        code, reply = client.docmd("RCPT", f"TO:<{local}@{name}>")
        assert code == 250, reply  # else nothing above was a try
