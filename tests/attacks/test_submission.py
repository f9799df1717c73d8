"""A user with a password wants to write as a colleague, a stranger wants in, and both want the milter out of the way.

Submitted mail on ports 465 and 587 (templates/submission/), on Debian 12 and 13. What was accepted is looked at where it
lies in the mailbox, by the eyes of several readers: Dovecot's ENVELOPE, both parsers of Python, and one that ends a line
at a lone CR or LF as well.
"""

from __future__ import annotations

import contextlib
import email
import email.policy
import re
import smtplib
from collections.abc import Callable, Iterator

import pytest

from mailprov import lab
from tests.attacks.places import provisioned
from tests.attacks.tries import LONG, Tries, some
from tests.lab import post
from tests.lab.labs import run_on, wait_until
from tests.lab.matrix import address
from tests.lab.test_ways_out import INVENTORY, PLACES

UNIT = "mailprov-submission"
SOCKET = f"/var/spool/postfix/private/{UNIT}"


@pytest.fixture(scope="module")
def hosts(ready_lab_factory: Callable[[str], lab.Lab]) -> lab.Lab:
    return provisioned(ready_lab_factory, INVENTORY)


# Headers that some reader could take for another author's. O: the user's own address, F: the colleague's.
HEADERS: list[bytes] = [
    b"From: F", b"From: <F>", b"from:F", b"FROM:\tF", b"From : F", b"From\t: F", b"From  \t :<F>", b"From:\r\n F", b"From:\r\n\t<F>",
    b"From: O, F", b"From: F, O", b"From: O; F", b"From: O F", b"From: F O", b"From: O <F>", b"From: F <O>", b"From: <O> <F>", b"From: <F> <O>",
    b"From: <O>, <F>", b"From: <O>\r\n <F>", b"From: O\r\nFrom: F", b"From: F\r\nFrom: O", b"From: O\r\nfrom : F", b"From: O\r\nFrom\t:\r\n F",
    b"From: team: F;", b"From: team: O, F;", b"From: O, team: F;", b"From: team:;", b"From: F:;", b"From: undisclosed: ;, F", b"From: team: O;, x: F;",
    b"From: (O) F", b"From: F (O)", b"From: <(O)F>", b"From: ana(O)@alpha.test(x)", b"From: ana (x) @ (y) DOMAIN", b"From: ana @ DOMAIN", b"From: (<O>) <F>",
    b"From: ((((O)) F", b"From: (\\) F (<O>)", b"From: \"O\" <F>", b"From: \"<O>\" <F>", b"From: \"<O> <F>", b"From: '<O>' <F>", b"From: \"x\\\" <O>\" <F>", b"From: \"x\" <O> \"y\" <F>",
    b"From: \"ana\"@DOMAIN", b"From: <\"ana\"@DOMAIN>", b"From: \"ana\\@DOMAIN\"@DOMAIN", b"From: \"a\\na\"@DOMAIN", b"From: a.n.a@DOMAIN, F", b"From: <@DOMAIN:F>", b"From: <@x,@y:F>", b"From: <@O:F>", b"From: @DOMAIN:F",
    b"From: =?utf-8?q?=3CF=3E?=", b"From: =?utf-8?q?F?=", b"From: =?utf-8?q?ana=40DOMAIN?=", b"From: <=?utf-8?q?ana=40DOMAIN?=>", b"From: =?utf-8?q?ana?=@DOMAIN", b"From: <=?us-ascii?q?ana?=@DOMAIN>",
    b"From: O <=?utf-8?b?YW5hQGFscGhhLnRlc3Q=?=>", b"From: =?utf-8?q?O=00?= <F>", b"From: =?utf-8?q?x=0D=0AFrom=3A_F?= <O>, F", b"From: =?utf-8?q?x_=3CF=3E=2C?= F",
    b"From: O\0, F", b"From: O\0F", b"From: O\0\r\nFrom: F", b"Fr\0om: F\r\nFrom: O", b"From\0: F", b"From:\0 F", b"\0From: F\r\nFrom: O", b"From: F\0<O>", b"X: y\0\r\nFrom: F", b"Subject: x\0\r\nFrom: F\r\nFrom: O",
    b"From: O\rFrom: F", b"X: y\rFrom: F\r\nFrom: O", b"X: y\r\rFrom: F\r\nFrom: O", b"From: O\r\nX: y\rFrom: F", b"\rFrom: F\r\nFrom: O", b"From: O\r\nX: y\nFrom: F", b"From: O\nFrom: F", b"X: y\n\nFrom: F\r\nFrom: O",
    b"From: O\r\nX: y\x0bFrom: F", b"From: O\r\nX: y\x0cFrom: F", b"From: O\r\nX: y\x85From: F", b"From: O\r\nX: y\xe2\x80\xa8From: F", b"From: O\r\nX: y\x1cFrom: F", b"From: O\x0bF", b"From: O\x0c, F", b"From: O\x1c<F>",
    b"From: \xffF", b"From: F\xff", b"From: <F\xc2\xa0>", b"From: <\xc2\xa0F>", b"From: <ana\xef\xbc\xa0DOMAIN>", b"From: <ana@DOMAIN\xe3\x80\x82>", b"From: \xe2\x80\xae<F>", b"From: <\xef\xbb\xbfF>", b"\xef\xbb\xbfFrom: F\r\nFrom: O", b"Fr\xc2\xadom: F\r\nFrom: O",
    b"From: <F", b"From: F>", b"From: O <F", b"From: <O <F>>", b"From: <<F>>", b"From: <O><F", b"From: >F< <O>", b"From: <O>F", b"From: F<O>", b"From: <F>O", b"From: <O,F>", b"From: <O F>", b"From: <O>,", b"From: ,F", b"From: ,,O,,F,",
    b"From: mailto:F", b"From: <mailto:F>", b"From: [F]", b"From: {F}", b"From: F.", b"From: <F.>", b"From: ANA@DOMAIN", b"From: ana@DOMAIN.", b"From: ana@alpha.TEST", b"From: ana+x@DOMAIN", b"From: luis+x@DOMAIN, ana+x@DOMAIN", b"From: +luis@DOMAIN", b"From: ana@also.DOMAIN",
    b"From: luis@[F]", b"From: O@F", b"From: F@O", b"From: luis%ana@DOMAIN", b"From: DOMAIN!ana", b"From: ana", b"From: root", b"From: postmaster@DOMAIN", b"From: <>", b"From:", b"From:  ", b"From: <O>\r\n ,\r\n <F>", b"From: O\r\n ,F", b"From: O\r\n \r\n F", b"From: O,\r\n \r\nFrom: F",
    b"Sender: F\r\nFrom: O", b"From: O\r\nSender: O, F", b"From: O\r\nSender : F", b"From: O\r\nSender: O\r\nSender: F", b"Resent-From: F\r\nFrom: O", b"Resent-Sender: F\r\nFrom: O", b"From: O\r\nResent-From : F", b"From: O\r\nResent-From: O\r\nResent-From: F", b"From: O\r\nSender:\r\n\tF", b"From: O\r\nSENDER:F",
    b"x\r\nFrom: F", b"From F\r\nFrom: O", b">From F\r\nFrom: O", b" From: F\r\nFrom: O", b"\tFrom: F", b"From\r\n : F\r\nFrom: O", b"From\r\n: F\r\nFrom: O", b": F\r\nFrom: O", b"From:: F", b"From;: F\r\nFrom: O", b"From: O\r\n\r\nFrom: F", b"From: O\r\nno field\r\nFrom: F", b"no field\r\nFrom: F\r\nFrom: O",
    b"From: O\r\n-- \r\nFrom: F", b"Content-Type: message/rfc822\r\nFrom: O\r\n\r\nFrom: F", b"From: O\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\nFrom: F\r\n", b"Content-Type: message/external-body\r\nFrom: O\r\n\r\nFrom: F",
    b"From: " + b"x" * 8300 + b" <F>", b"From: O" + b" " * 8300 + b"<F>", b"From: O," + b"\r\n " * 3000 + b"F", b"From: " + b"O," * 700 + b"F", b"From: \"" + b"x" * 8100 + b"\" <O>, F", b"X: " + b"y" * 120000 + b"\r\nFrom: F\r\nFrom: O",
    b"From: O\r\n" + b"X: y\r\n" * 3000 + b"From: F", b"From: O" + b"\r\n x" * 30000 + b"\r\n <F>", b"From: O\r\nX" + b"y" * 9000 + b": F\r\nFrom: F", b"From: " + b"(" * 3000 + b"F" + b")" * 3000, b"From: " + b"\\" * 4000 + b"F", b"From: " + b"\"" * 4001 + b"<F>", b"From: <O>" + b"<" * 4000 + b"F>",
    b"From: " + b"a:" * 2000 + b"F;", b"From: " + b"[" * 4000 + b"F", b"From: O" + b"\0" * 4000 + b"F", b"From: O" + b"\r" * 2000 + b"From: F",
]  # fmt: skip


def written(header: bytes, own: str, foreign: str, number: int) -> bytes:
    domain = own.partition("@")[2]
    filled = re.sub(
        rb"\b(O|F)(?=[^a-z]|$)", lambda found: {b"O": own, b"F": foreign}[found[1]].encode(), header
    )
    return filled.replace(b"DOMAIN", domain.encode()) + b"\r\nX-Try: %d\r\n\r\nbody\r\n" % number


def submit(client: smtplib.SMTP, sender: str, to: str, data: bytes) -> tuple[int, bytes]:
    for line in (f"MAIL FROM:<{sender}>", f"RCPT TO:<{to}>", "DATA"):
        code, reply = client.docmd(line)
        if code not in (250, 354):
            client.docmd("RSET")
            return code, reply
    client.send(re.sub(rb"(?m)^\.", b"..", data) + b".\r\n")
    return client.getreply()


@contextlib.contextmanager
def logged_in(where: lab.Lab, host: str, user: str, port: int = 465) -> Iterator[smtplib.SMTP]:
    at, context = address(where, host), post.context(where)
    client = (
        smtplib.SMTP_SSL(at, port, timeout=60, context=context)
        if port == 465
        else smtplib.SMTP(at, port, timeout=60)
    )
    with client:
        if port != 465:
            client.starttls(context=context)
        client.login(user, post.password(where, user))
        yield client


def eyes(raw: bytes) -> set[str]:
    """Every address that a reader of this message could see as its author's or sender's."""
    seen: set[str] = set()
    for policy in (email.policy.compat32, email.policy.default):
        parsed = email.message_from_bytes(raw, policy=policy)  # type: ignore[arg-type]
        for name in ("from", "sender", "resent-from", "resent-sender"):
            for value in parsed.get_all(name, []):
                with contextlib.suppress(Exception):
                    seen |= {found.addr_spec for found in value.addresses}
                # A name may be anything, in quotation marks as well as in a comment.
                outside = re.sub(r'"(?:[^"\\]|\\.)*"|\([^()<>"\\]*\)\s*$', "", str(value))
                seen |= set(re.findall(r"[^\s<>,;:()\"]+@[^\s<>,;:()\"]+", re.sub(r"=\?.*?\?=", "", outside)))
    head = re.split(rb"\r?\n\r?\n|\r\r", raw, maxsplit=1)[0]
    for line in re.split(rb"\r\n|\r|\n", head):
        if re.match(rb"(?i)(resent-)?(from|sender)\s*:", line):
            seen |= set(re.findall(r"<([^<>]*@[^<>]*)>", re.sub(r'"[^"]*"', "", line.decode("latin-1"))))
            seen |= set(re.findall(r"^[^:]*:\s*(\S+@\S+)\s*$", line.decode("latin-1")))
    return {one.lower().strip("<>,. ") for one in seen}


def delivered(where: lab.Lab, host: str, user: str) -> dict[int, tuple[bytes, str]]:
    """Of each try: the message as it lies there, and Dovecot's ENVELOPE of it."""
    found = {}
    with post.imap(where, address(where, host), user) as client:
        client.select("INBOX")
        _, data = client.fetch("1:*", "(ENVELOPE BODY.PEEK[])")
        for part, closing in zip(data[::2], data[1::2], strict=False):
            if isinstance(part, tuple):
                number = re.search(rb"(?m)^X-Try: (\d+)", part[1])
                envelope = part[0] + (closing if isinstance(closing, bytes) else b"")
                found[int(number[1]) if number else -1] = (part[1], envelope.decode("latin-1"))
    return found


def emptied(where: lab.Lab, host: str, user: str) -> None:
    with post.imap(where, address(where, host), user) as client:
        client.select("INBOX")
        if client.search(None, "ALL")[1][0]:
            client.store("1:*", "+FLAGS", r"(\Deleted)")
            client.expunge()


def queue_empty(where: lab.Lab, host: str) -> None:
    wait_until(lambda: "is empty" in run_on(where, host, "postqueue -p"), f"an empty queue on {host}")


@pytest.mark.parametrize(("host", "domain"), PLACES)
def test_a_colleague_as_author_in_every_way_of_writing_it(
    hosts: lab.Lab, host: str, domain: str, tries: Tries
) -> None:
    own, foreign, to = f"luis@{domain}", f"ana@{domain}", f"eva@{domain}"
    emptied(hosts, host, to)
    chosen = some(list(enumerate(HEADERS)), 60)
    replies = {}
    for at in range(0, len(chosen), 8):  # after ten errors Postfix slows down
        with logged_in(hosts, host, own) as client:
            for number, header in chosen[at : at + 8]:
                replies[number] = submit(client, own, to, written(header, own, foreign, number))
    queue_empty(hosts, host)
    there = delivered(hosts, host, to)
    accepted = {number for number, (code, _) in replies.items() if code == 250}
    assert -1 not in there or len(there) >= len(accepted)
    for number, header in chosen:
        code, reply = replies.get(number, (0, b"not tried"))
        if number not in there:
            tries.held(header[:80], code // 100 == 5, (code, reply))
            continue
        raw, envelope = there[number]
        others = {one for one in eyes(raw) if "ana" in one} | set(
            re.findall(r'"ana" "[^"]*"', envelope.partition("NIL")[0])
        )
        tries.held(header[:80], not others, (others, raw[-len(header) - 60 :][:200]))


# Between one message and the next on a connection: what a user does before he names the colleague. Each step is a command,
# or the data of a message.
STATES: dict[str, list[bytes]] = {
    "after a good message": [b"GOOD", b"BAD"],
    "after RSET": [b"MAIL FROM:<O>", b"RSET", b"BAD"],
    "after RSET of a message": [b"MAIL FROM:<O>", b"RCPT TO:<T>", b"RSET", b"BAD"],
    "after a refused one": [b"BAD", b"GOOD", b"BAD"],
    "after EHLO": [b"GOOD", b"EHLO again.test", b"BAD"],
    "after HELO": [b"HELO again.test", b"BAD"],
    "MAIL twice": [b"MAIL FROM:<O>", b"MAIL FROM:<F>", b"RSET", b"BAD"],
    "AUTH again": [b"AUTH PLAIN AGFuYQB4", b"BAD"],
    "AUTH in a message": [b"MAIL FROM:<O>", b"AUTH LOGIN", b"*", b"RSET", b"BAD"],
    "AUTH= of another": [b"MAIL FROM:<O> AUTH=F", b"RSET", b"BAD"],
    "STARTTLS again": [b"STARTTLS", b"BAD"],
    "XCLIENT": [b"XCLIENT LOGIN=F", b"BAD"],
    "XFORWARD": [b"XFORWARD IDENT=F", b"BAD"],
    "unknown commands": [b"NOOP", b"HELP", b"VRFY F", b"EXPN F", b"BAD"],
    "no recipient": [b"MAIL FROM:<O>", b"RCPT TO:<nobody@nowhere.invalid>", b"DATA", b"RSET", b"BAD"],
    "too large": [b"MAIL FROM:<O> SIZE=99999999999", b"BAD"],
    "null sender": [b"MAIL FROM:<>", b"RSET", b"BAD"],
    "BDAT": [b"BDAT-BAD"],
    "BDAT after good": [b"GOOD", b"BDAT-BAD"],
    "BDAT by bytes": [b"BDAT-BYTES"],
    "BDAT given up": [b"MAIL FROM:<O>", b"RCPT TO:<T>", b"BDAT-GIVEN-UP", b"RSET", b"BAD"],
    "BDAT then DATA": [b"MAIL FROM:<O>", b"RCPT TO:<T>", b"BDAT-GIVEN-UP", b"DATA", b"RSET", b"BAD"],
    "DATA while BDAT": [b"BDAT-MIXED", b"RSET", b"BAD"],
    "pipelined": [b"PIPELINED"],
    "pipelined, two messages": [b"PIPELINED-TWO"],
    "smuggled, LF": [b"SMUGGLED \n.\n"],
    "smuggled, CR": [b"SMUGGLED \r.\r"],
    "smuggled, LF CRLF": [b"SMUGGLED \n.\r\n"],
    "smuggled, CRLF CR": [b"SMUGGLED \r\n.\r"],
    "smuggled, NUL": [b"SMUGGLED \r\n\0.\r\n"],
    "smuggled, blank": [b"SMUGGLED \r\n. \r\n"],
}


def act(client: smtplib.SMTP, step: bytes, own: str, foreign: str, to: str, number: int) -> None:
    names = {b"<O>": f"<{own}>", b"<F>": f"<{foreign}>", b"<T>": f"<{to}>", b"=F": f"={foreign}"}
    bad = written(b"From: F", own, foreign, number)
    opening = f"MAIL FROM:<{own}>\r\nRCPT TO:<{to}>\r\n".encode()
    if step in (b"GOOD", b"BAD"):
        header = b"From: O\r\nX-Good: yes" if step == b"GOOD" else b"From: F"
        submit(client, own, to, written(header, own, foreign, number))
    elif step in (b"BDAT-BAD", b"BDAT-BYTES", b"BDAT-MIXED"):
        for line in opening.decode().splitlines():
            client.docmd(line)
        size = 1 if step == b"BDAT-BYTES" else 11
        for at in range(0, len(bad), size):
            chunk = bad[at : at + size]
            last = b" LAST" if at + size >= len(bad) else b""
            client.send(b"BDAT %d%s\r\n%s" % (len(chunk), last, chunk))
            client.getreply()
            if step == b"BDAT-MIXED":
                client.docmd("DATA")
                break
    elif step == b"BDAT-GIVEN-UP":
        client.send(b"BDAT 6\r\nFrom: ")
        client.getreply()
    elif step in (b"PIPELINED", b"PIPELINED-TWO"):
        count = 2 if step == b"PIPELINED-TWO" else 1
        client.send(b"RSET\r\n" + (opening + b"DATA\r\n" + bad + b".\r\n") * count)
        for _ in range(1 + 4 * count):
            client.getreply()
    elif step.startswith(b"SMUGGLED "):
        for line in [*opening.decode().splitlines(), "DATA"]:
            client.docmd(line)
        end = step.partition(b" ")[2]
        good = written(b"From: O\r\nX-Good: yes", own, foreign, number).rstrip(b"\r\n")
        client.send(good + end + opening + b"DATA\r\n" + bad + b".\r\n")
        client.getreply()
        client.docmd("NOOP")
    else:
        line = re.sub(b"<[OFT]>|=F", lambda found: names[found[0]].encode(), step)
        client.docmd(line.decode())


@pytest.mark.parametrize(("host", "domain"), PLACES)
def test_a_colleague_named_in_every_state_of_a_connection(
    hosts: lab.Lab, host: str, domain: str, tries: Tries
) -> None:
    """Only messages whose author is the user may lie there afterwards; on both ports."""
    own, foreign, to = f"luis@{domain}", f"ana@{domain}", f"far@{domain}"
    emptied(hosts, host, to)
    every = [(port, name) for port in (465, 587) for name in STATES]
    for number, (port, name) in enumerate(some(every, 16)):
        with contextlib.suppress(smtplib.SMTPException, OSError), logged_in(hosts, host, own, port) as client:
            client.sock.settimeout(15)
            for step in STATES[name]:
                act(client, step, own, foreign, to, number)
    queue_empty(hosts, host)
    there = delivered(hosts, host, to)
    for number, (port, name) in enumerate(some(every, 16)):
        raw = there.get(number, (b"", ""))[0]
        tries.held((port, name), not raw or (b"X-Good: yes" in raw and foreign not in eyes(raw)), raw[-200:])
    tries.held("others", -1 not in there, there.get(-1, ""))
    tries.held("as the colleague", not any(foreign in eyes(raw) for raw, _ in there.values()))


FUZZ = """
import random, socket, struct, sys, time
PATH, OWN, OTHER, SEED, ROUNDS = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5])
dice = random.Random(SEED)
def packet(kind, *parts):
    data = kind + b"".join(part + b"\\0" for part in parts)
    return struct.pack("!I", len(data)) + data
HELLO = struct.pack("!IcIII", 13, b"O", 6, 0x1FF, 0x1FFFFF)
own, other = OWN.encode(), OTHER.encode()
KINDS = [packet(b"DM", b"{auth_authen}", own), packet(b"DM", b"{auth_authen}", other), packet(b"DM"), packet(b"DM", b"{auth_authen}"),
    packet(b"DE", b"{auth_authen}", other), packet(b"DN", b"i", b"x"), packet(b"M", b"<" + own + b">"), packet(b"A"), packet(b"K"), packet(b"E"), packet(b"N"),
    packet(b"L", b"From", own), packet(b"L", b"From", other), packet(b"L", b"FROM ", other), packet(b"L", b"Sender", other),
    packet(b"L", b"X", b"y"), packet(b"L"), packet(b"L", b"From"), packet(b"L", b"From", b"<" + own + b">", other), packet(b"B", b"body"), packet(b"Z"), packet(b"\\xff")]
def expected(packets):
    # what E must not be answered with c for: a model of its own
    login, fields, looked, said = b"", [], False, []
    for one in packets:
        kind, data = one[4:5], one[5:]
        parts = data[1 if kind == b"D" else 0:].split(b"\\0")[:-1]
        if kind == b"D" and data[:1] == b"M":
            login = dict(zip(parts[::2], parts[1::2])).get(b"{auth_authen}", b"")
        elif kind in b"MAK":
            fields, looked = [], False
            if kind == b"K": login = b""
        elif kind == b"L":
            name, value = (parts + [b"", b""])[:2]
            fields.append((name.strip().lower(), value))
        elif kind == b"N":
            naming = [(n, v) for n, v in fields if n in (b"from", b"sender", b"resent-from", b"resent-sender")]
            looked = bool(login) and [n for n, _ in naming].count(b"from") == 1 and all(v.strip(b"<>") == login for _, v in naming)
            fields = []
        elif kind == b"E":
            said.append(looked); fields, looked = [], False
    return said
def talk(data, pieces, wanted):
    client = socket.socket(socket.AF_UNIX); client.settimeout(20); client.connect(PATH)
    got, at = b"", 0
    try:
        while at < len(data):
            size = dice.choice(pieces); client.sendall(data[at:at + size]); at += size
        client.shutdown(socket.SHUT_WR)
        while True:
            more = client.recv(65536)
            if not more: break
            got += more
    except (ConnectionError, BrokenPipeError):
        pass
    except socket.timeout:
        print("SILENT", data[:80]); sys.exit(1)
    client.close()
    return got
def answers(got):
    found = []
    while len(got) >= 4:
        size = struct.unpack("!I", got[:4])[0]; found.append(got[4:4 + size]); got = got[4 + size:]
    return found
held = broken = 0
for number in range(ROUNDS):
    packets = [dice.choice(KINDS) for _ in range(dice.randint(1, 40))]
    allowed = expected(packets)
    data = HELLO + b"".join(packets)
    got = answers(talk(data, dice.choice(([1, 3], [7, 100], [100000])), 0))
    # as many answers as questions, in their order: find those of E
    asks = [one[4:5] for one in packets if one[4:5] not in (b"D", b"L", b"A", b"K")]
    ends = [answer for ask, answer in zip(asks, got[1:]) if ask == b"E"]
    bad = [i for i, (answer, ok) in enumerate(zip(ends, allowed)) if answer == b"c" and not ok]
    held += 1
    if bad or len(ends) > len(allowed):
        broken += 1; print("PASSED", bad, packets)
for number in range(ROUNDS):
    packets = [dice.choice(KINDS[:1] + KINDS[6:7] + KINDS[11:]) for _ in range(10)]
    data = bytearray(HELLO + b"".join(packets) + packet(b"L", b"From", other) + packet(b"N") + packet(b"E"))
    for _ in range(dice.randint(1, 6)):
        what = dice.randint(0, 3); at = dice.randrange(len(data))
        if what == 0: data[at] = dice.randrange(256)
        elif what == 1: del data[at:at + dice.randint(1, 9)]
        elif what == 2: data[at:at] = bytes(dice.randrange(256) for _ in range(dice.randint(1, 9)))
        else: data[at:at + 4] = struct.pack("!I", dice.choice([0, 1, 2**31, 2**32 - 1, 8191, 8192, 8193, 65536]))
    talk(bytes(data), [1000], 0); held += 1
for size in (0, 1, 8192, 8193, 2**24, 2**31, 2**32 - 1):
    for kind in b"LOMNEDAKQB\\0":
        talk(HELLO + struct.pack("!I", size) + bytes([kind]) + b"x" * min(size, 200000), [8192], 0); held += 1
print(held, broken)
"""
USAGE = "systemctl show -p MainPID --value mailprov-submission.service"


@pytest.mark.parametrize(("host", "domain"), PLACES)
def test_the_milters_socket_hears_nonsense(hosts: lab.Lab, host: str, domain: str, tries: Tries) -> None:
    """Packets in every order against a model, packets with bytes changed, lengths that lie. It is the same process after."""
    before = run_on(hosts, host, USAGE)
    rounds = 600 if LONG else 60
    run_on(hosts, host, f"cat >/root/fuzz.py <<'END'\n{FUZZ}\nEND")
    seen = run_on(
        hosts, host, f"python3 /root/fuzz.py {SOCKET} luis@{domain} ana@{domain} 7 {rounds}", check=False
    )
    held, broken = seen.split()[-2:] if seen.split() else ["0", "1"]
    assert held.isdigit(), seen[-500:]
    assert int(held) > rounds
    for number in range(int(held)):
        tries.held(number, number >= int(broken), seen[:400])
    tries.held("the process goes on", run_on(hosts, host, USAGE) == before, "it ended")


BUSY = """
import socket, struct, sys, time
path, own, count = sys.argv[1], sys.argv[2].encode(), int(sys.argv[3])
def packet(kind, *parts):
    data = kind + b"".join(part + b"\\0" for part in parts)
    return struct.pack("!I", len(data)) + data
made = []
for number in range(count):
    one = socket.socket(socket.AF_UNIX); one.settimeout(60); one.connect(path); made.append(one)
    one.sendall(struct.pack("!IcIII", 13, b"O", 6, 0x1FF, 0x1FFFFF) + packet(b"DM", b"{auth_authen}", own) + packet(b"M", b"<>"))
    if number % 2:
        one.sendall(packet(b"L", b"From", b"x" * 8100)[:8000])
        continue
    for _ in range(20):
        one.sendall(packet(b"L", b"Resent-From", b"(" * 4000 + own))
    one.sendall(struct.pack("!I", 2**31) + b"L" + b"y" * 60000)
pid = sys.argv[4]
print([line.split()[1] for line in open("/proc/%s/status" % pid) if line.startswith("VmRSS")][0])
began = time.monotonic()
last = socket.socket(socket.AF_UNIX); last.settimeout(60); last.connect(path)
last.sendall(struct.pack("!IcIII", 13, b"O", 6, 0x1FF, 0x1FFFFF) + packet(b"DM", b"{auth_authen}", own) + packet(b"M", b"<>") + packet(b"L", b"From", own) + packet(b"N") + packet(b"E"))
got = b""
while len(got) < 17 + 15: got += last.recv(1000)
print(got[-1:].decode())
"""


@pytest.mark.parametrize(("host", "domain"), PLACES)
def test_sessions_that_wait_and_sessions_that_work_cost_little(
    hosts: lab.Lab, host: str, domain: str, tries: Tries
) -> None:
    run_on(hosts, host, f"cat >/root/busy.py <<'END'\n{BUSY}\nEND")
    pid = run_on(hosts, host, USAGE).strip()
    for count in (100, 200, 500):
        seen = run_on(hosts, host, f"python3 /root/busy.py {SOCKET} luis@{domain} {count} {pid}")
        kib, answer = seen.split()
        tries.held((count, "memory"), int(kib) < 40_000, f"{kib} KiB")
        tries.held((count, "the next is served"), answer == "c", seen)


HARM = {
    "stopped": "systemctl stop mailprov-submission.service",
    "killed": "kill -9 $(systemctl show -p MainPID --value mailprov-submission.service)",
    "stopped, socket too": "systemctl stop mailprov-submission.socket mailprov-submission.service",
    "socket gone": f"rm -f {SOCKET}",
    "socket that nobody serves": f"systemctl stop mailprov-submission.socket; python3 -c \"import socket; s = socket.socket(socket.AF_UNIX); s.bind('{SOCKET}')\"; chown postfix {SOCKET}",
    "a file instead": f"systemctl stop mailprov-submission.socket; touch {SOCKET}; chown postfix {SOCKET}",
    "program gone": "mv /etc/mailprov/submission_check.py /root/; systemctl restart mailprov-submission.service",
    "map gone": "mv /etc/postfix/mailprov/logins /root/",
    "map unreadable": "chmod 000 /etc/postfix/mailprov /etc/postfix/mailprov/logins; chmod 711 /etc/postfix/mailprov",
    "program broken": "cp /etc/mailprov/submission_check.py /root/; echo 'x = (' >>/etc/mailprov/submission_check.py; systemctl restart mailprov-submission.service",
    "frozen": "kill -STOP $(systemctl show -p MainPID --value mailprov-submission.service)",
}
MEND = (
    "for file in submission_check.py logins; do test -e /root/$file || continue; "
    "case $file in logins) mv /root/$file /etc/postfix/mailprov/;; *) mv -f /root/$file /etc/mailprov/;; esac; done; "
    "chmod 755 /etc/postfix/mailprov; chmod 644 /etc/postfix/mailprov/logins; "
    "kill -CONT $(systemctl show -p MainPID --value mailprov-submission.service) 2>/dev/null; "
    f"systemctl stop mailprov-submission.socket mailprov-submission.service 2>/dev/null; rm -f {SOCKET}; "
    "systemctl reset-failed mailprov-submission.service mailprov-submission.socket 2>/dev/null; "
    "systemctl start mailprov-submission.service; systemctl is-active mailprov-submission.socket"
)


@pytest.mark.parametrize(("host", "domain"), PLACES)
def test_without_the_milter_nothing_goes_unlooked_at(
    hosts: lab.Lab, host: str, domain: str, tries: Tries
) -> None:
    """It is harmed before a connection, before a message, and in the middle of one: 4xx, or the answer that is due."""
    own, foreign, to = f"luis@{domain}", f"ana@{domain}", f"eva@{domain}"
    modes = stat_of(hosts, host)
    chosen = [(name, when) for name in HARM for when in ("before", "between", "within")]
    if not LONG:  # a few on each host, all of them on both together
        quick = [name for name in HARM if name != "frozen"]
        half = [host for host, _ in PLACES].index(host)
        chosen = [(name, ("before", "between", "within")[place % 3]) for place, name in enumerate(quick)][
            half::2
        ]
    try:
        for number, (name, when) in enumerate(chosen):
            code = attempt_while(
                hosts, host, HARM[name], when, own, to, written(b"From: F", own, foreign, number)
            )
            tries.held((name, when), code != 250, code)
            run_on(hosts, host, MEND, check=False)
            with logged_in(hosts, host, own) as client:
                code, reply = submit(client, own, to, written(b"From: O", own, foreign, 9000 + number))
            tries.held((name, when, "and after"), code == 250, (code, reply))
    finally:
        run_on(hosts, host, MEND, check=False)
        run_on(hosts, host, modes, check=False)
    queue_empty(hosts, host)
    there = delivered(hosts, host, to)
    tries.held("as the colleague", not any(foreign in eyes(raw) for raw, _ in there.values()))


def stat_of(hosts: lab.Lab, host: str) -> str:
    """A command that gives the map its owner and mode again."""
    paths = "/etc/postfix/mailprov /etc/postfix/mailprov/logins /etc/mailprov/submission_check.py"
    return run_on(hosts, host, f"stat -c 'chmod %a %n; chown %u:%g %n;' {paths}").replace("\n", " ")


def attempt_while(hosts: lab.Lab, host: str, harm: str, when: str, own: str, to: str, data: bytes) -> int:
    if when == "before":
        run_on(hosts, host, harm, check=False)
    try:
        with logged_in(hosts, host, own) as client:
            client.docmd("NOOP")
            if when == "between":
                run_on(hosts, host, harm, check=False)
            for line in (f"MAIL FROM:<{own}>", f"RCPT TO:<{to}>", "DATA"):
                code, _ = client.docmd(line)
                if code not in (250, 354):
                    return code
            client.send(data[:10])
            if when == "within":
                run_on(hosts, host, harm, check=False)
            client.send(data[10:] + b".\r\n")
            return client.getreply()[0]
    except smtplib.SMTPResponseException as error:
        return error.smtp_code
    except (smtplib.SMTPException, OSError):
        return 0


@pytest.mark.parametrize(("host", "domain"), PLACES)
def test_other_users_of_the_host_at_the_milter(hosts: lab.Lab, host: str, domain: str, tries: Tries) -> None:
    """Whoever may connect there learns whose an address is; whoever may write there is the milter."""
    users = run_on(hosts, host, "getent passwd | cut -d: -f1").split()
    pid = run_on(hosts, host, USAGE).strip()
    connect = f"import socket; s = socket.socket(socket.AF_UNIX); s.connect('{SOCKET}'); print('in')"
    ways = {
        "connect": f'python3 -c "{connect}"',
        "list": f"ls {SOCKET}",
        "remove": f"rm -f {SOCKET} && echo in",
        "rename": f"mv {SOCKET} {SOCKET}.old && echo in",
        "rewrite": "echo x >>/etc/mailprov/submission_check.py && echo in",
        "units": "touch /etc/systemd/system/mailprov-submission.service.d && echo in",
        "map": "echo x >>/etc/postfix/mailprov/logins && echo in",
        "kill": f"kill -9 {pid} && echo in",
        "stop": f"kill -STOP {pid} && echo in",
        "memory": f"head -c1 /proc/{pid}/mem && echo in",
        "files": f"ls /proc/{pid}/fd && echo in",
        "manager": "systemctl stop mailprov-submission.service && echo in",
    }
    outsiders = [user for user in users if user not in ("root", "postfix")]
    for user in some(outsiders, 5):
        script = "; ".join(
            f"({command}) >/tmp/out 2>/dev/null </dev/null; grep -q . /tmp/out && echo WAY-{name}"
            for name, command in ways.items()
        )
        script = script.replace("/tmp/out", f"/tmp/out-{user}")
        seen = run_on(
            hosts,
            host,
            f"timeout 60 setpriv --reuid={user} --regid=nogroup --init-groups -- sh -c '{script.replace(chr(39), chr(39) + chr(92) + chr(39) + chr(39))}'; true",
        )
        for name in ways:
            tries.held((user, name), f"WAY-{name}" not in seen.split(), seen)
