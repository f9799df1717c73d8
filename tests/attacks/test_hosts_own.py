"""What guards a host: fail2ban's counting, ufw's openings and the filter's controller, against strangers who choose the words
that are logged and against users with a shell there. Debian 12 and 13, so both lines of Dovecot.
"""

from __future__ import annotations

import base64
import contextlib
import json
import re
import secrets
import socket
import ssl
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from ipaddress import ip_network
from itertools import product

import pytest

from mailprov import lab
from tests.attacks.places import provisioned
from tests.attacks.tries import LONG, Tries, some
from tests.lab import post
from tests.lab.labs import run_on, wait_until
from tests.lab.test_abuse import OPEN

INVENTORY = """\
fail2ban: {ignore: [192.0.2.77]}
hosts:
  mx1: {address: 192.0.2.1, fqdn: mx1.alpha.test, firewall: ufw, lab: {release: debian-12}}
  mx2: {address: 192.0.2.2, fqdn: mx2.beta.test, firewall: ufw, lab: {release: debian-13}}
domains:
  alpha.test: {hosts: [mx1], accounts: {ana: {password: {env: ANA}}}}
  beta.test: {hosts: [mx2], accounts: {eva: {password: {env: EVA}}}}
"""
HOSTS = ("mx1", "mx2")
VICTIM = "198.51.100.9"


@pytest.fixture(scope="module")
def where(ready_lab_factory: Callable[[str], lab.Lab]) -> lab.Lab:
    """This machine's own address is exempt, so that it can go on; and there is a user `stu` with a shell."""
    made = provisioned(ready_lab_factory, INVENTORY)
    for host in HOSTS:
        run_on(made, host, "id stu 2>/dev/null || useradd -m -s /bin/bash stu")
    return made


def _both(work: Callable[[str], None]) -> None:
    with ThreadPoolExecutor(len(HOSTS)) as pool:
        list(pool.map(work, HOSTS))


# Login names, M being this try's mark and V the address that somebody wants to have shut out.
LOGINS: list[bytes] = [
    b"M", b"M,V", b"M,V,<x>", b"M,V,<x>): Password mismatch", b"M,V): Password mismatch", b"M): x(M,V): unknown user", b"M,V,sasl:plain)<x>: passwd-file: Password mismatch",
    b"M\nauth: passwd-file(a,V): Password mismatch", b"M\r\nauth: passwd-file(a,V): unknown user", b"M\0auth: passwd-file(a,V): unknown user", b"M\nNov 29 02:10:00 mx1 dovecot[1]: auth: x(a,V): unknown user",
    b"M[V]: SASL PLAIN authentication failed: x", b"M\nwarning: x[V]: SASL PLAIN authentication failed: x", b"warning:M[V]", b"unknown[V]: SASL LOGIN authentication failed: M", b"M, sasl_username=x[V]",
    b"M Connection lost to authentication server", b"M: Connection lost", b"M\x1b[2J", b"M\x08\x08\x08V", b"M\x7f", b"\xffM", b"M\xed\xa0\x80", b"\xe2\x80\xa8M(a,V)", b"M\xc2\x85auth(a,V): x: unknown user", b"M\x0bauth(a,V): x: unknown user",
    b"M%{rip}", b"M%s%n", b"M%u", b"M$(id)", b"M\\,V", b"M,", b"(M", b")M", b"<M>", b"M<V>", b"M (given password: x)", b"M@alpha.test,V", b"M@beta.test", b"ana@alpha.test,M", b"ana+M@alpha.test", b"M ", b" M", b"M\t1\trip=V", b"M\trip=V", b"M rip=V",
    b"M" + b"x" * 300, b"M" + b"," * 300, b"M" + b"x" * 900 + b",V", b"M*root", b"root*M", b"M/../root", b"M:x", b"M'--", b'M"', b"?M", b"M=V", b"M#", b"M;", b"M|V", b"M&", b"?,V,M",
]  # fmt: skip
# How a name gets there, and what else was said before.
WAYS = ("imap", "plain", "smtp", "authzid", "id", "xclient", "proxy")


def _mech(name: bytes, word: bytes, authzid: bytes = b"") -> bytes:
    return base64.b64encode(authzid + b"\0" + name + b"\0" + word)


def log_in(where: lab.Lab, host: str, way: str, name: bytes, word: bytes) -> bytes:
    """What the server said to the login."""
    member, context = where.host(host), post.context(where)
    filled = name.replace(b"V", VICTIM.encode())
    authzid = filled if way == "authzid" else b""
    first = b"PROXY TCP4 %s 192.0.2.5 4000 25\r\n" % VICTIM.encode() if way == "proxy" else b""
    smtp = way in ("smtp", "xclient")
    with (
        socket.create_connection((member.address, 465 if smtp else 993), timeout=60) as raw,
        context.wrap_socket(raw, server_hostname=member.fqdn) as peer,
    ):
        lines = peer.makefile("rb")

        def ask(text: bytes, until: bytes) -> bytes:
            peer.sendall(text)
            while line := lines.readline():
                if re.match(until, line):
                    return line
            return b""

        ask(b"", rb"220 |\*")
        if smtp:
            helo = filled if b"\n" not in filled and b"\r" not in filled and b"\0" not in filled else b"x"
            ask(b"EHLO " + helo.replace(b" ", b"_")[:200] + b"\r\n", rb"[245]\d\d ")
            if way == "xclient":
                ask(b"XCLIENT ADDR=%s NAME=x LOGIN=%s\r\n" % (VICTIM.encode(), b"x"), rb"[245]\d\d ")
            ask(b"EHLO x\r\n", rb"[245]\d\d ")
            return ask(b"AUTH PLAIN " + _mech(filled, word) + b"\r\n", rb"[245]\d\d ")
        if way == "id":
            ident = b'("name" "M" "x-originating-ip" "V" "x-originating-port" "1" "x-session-id" "y,V): Password mismatch" "x-proxy-ttl" "9" "x-forward-rip" "V")'
            ask(b"i ID " + ident.replace(b"V", VICTIM.encode()) + b"\r\n", rb"i ")
        if first:
            ask(first, rb"PROXY |\*")
        if way == "imap" and b"\0" not in filled:
            return ask(
                b"a LOGIN {%d+}\r\n%s {%d+}\r\n%s\r\n" % (len(filled), filled, len(word), word), rb"a "
            )
        return ask(
            b"a AUTHENTICATE PLAIN "
            + _mech(filled if way != "authzid" else b"x-" + filled[:20], word, authzid)
            + b"\r\n",
            rb"a ",
        )


def counted(where: lab.Lab, host: str, daemon: str) -> tuple[set[str], list[str]]:
    """Which addresses fail2ban counts in the journal, and the lines for which it does; both as the jail looks."""
    jail = f"sed -n '/mailprov-{daemon}]/,/^port/s/^journalmatch = //p' /etc/fail2ban/jail.d/mailprov.local"
    match = run_on(where, host, jail).strip()
    look = f"fail2ban-regex -m '{match}' systemd-journal /etc/fail2ban/filter.d/mailprov-{daemon}.conf "
    lines = run_on(where, host, look + "--print-all-matched").split("\n")
    return set(run_on(where, host, look + "-o ip").split()), [
        line for line in lines if line.startswith("|  ")
    ]


def test_names_that_are_logged(where: lab.Lab, tries: Tries) -> None:
    """Each wrong password is counted, for the address it came from and for no other; no password is in any log."""

    def on(host: str) -> None:
        own = str(ip_network(where.subnet)[1])
        every = some(list(product(LOGINS, WAYS)), 24)
        run_id = secrets.token_hex(3)
        marks = {f"q{run_id}n{number}q": each for number, each in enumerate(every)}

        def attempt(mark: str, name: bytes, way: str, host: str = host) -> bytes:
            with contextlib.suppress(OSError, ssl.SSLError):
                return log_in(
                    where,
                    host,
                    way,
                    name.replace(b"M", mark.encode()),
                    b"Pw0rd-" + mark.encode() + b"-" + VICTIM.encode(),
                )
            return b""

        with ThreadPoolExecutor(24) as pool:
            said = dict(
                zip(marks, pool.map(lambda each: attempt(each[0], *each[1]), marks.items()), strict=True)
            )
        seen = {daemon: counted(where, host, daemon) for daemon in ("dovecot", "postfix")}
        log = run_on(where, host, f"journalctl -q --no-pager -a | grep -aF {run_id} || true")
        for mark, each in marks.items():
            answer = said[mark]
            tries.held((host, each, "not let in"), not re.match(rb"235|a OK", answer), answer)
            tries.held(
                (host, each, "no password logged"),
                f"Pw0rd-{mark}" not in log and base64.b64encode(mark.encode()).decode()[:8] not in log,
                "",
            )
            if each[1] == "authzid" or b"\0" in each[0]:
                continue  # no password is looked at: there are no master users, and a third NUL is a wrong form
            lines = [line for line in seen["dovecot"][1] if mark in line]
            refused = re.match(rb"535|a NO \[AUTHENTICATIONFAILED\]", answer)
            tries.held(
                (host, each, "counted"),
                lines or not refused,
                (answer, [line for line in log.splitlines() if mark in line]),
            )
        for daemon, (addresses, _) in seen.items():
            tries.held((host, daemon, "nobody else"), addresses <= {own}, addresses)
        lines = [line for line in seen["dovecot"][1] if run_id in line]
        tries.held((host, "counted at all"), len(lines) > len(every) // 2, (len(lines), len(every)))

    _both(on)


# On the host: a user's process that calls itself what it likes and logs what it likes.
LOGGER = """
import ctypes, os, socket, sys, time
name, ident, words = sys.argv[1:]
ctypes.CDLL(None).prctl(15, name.encode(), 0, 0, 0)
log = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
log.connect("/dev/log")
for number in range(12):
    log.send(("<38>%s[%d]: %s" % (ident, os.getpid(), words)).encode())
time.sleep(0.5)
"""
FORGED = {
    "Failed password for root from {ip} port 22 ssh2": (
        "sshd",
        "sshd-session",
        "sshd-auth",
        "ssh",
        "dropbear",
    ),
    "Invalid user x from {ip} port 22": ("sshd", "sshd-session"),
    "warning: x[{ip}]: SASL PLAIN authentication failed: x": (
        "postfix/smtpd",
        "smtpd",
        "postfix/submission/smtpd",
        "master",
        "postfix",
    ),
    "auth: passwd-file(ana@alpha.test,{ip}): Password mismatch": ("dovecot", "auth", "imap-login"),
    "auth(ana@alpha.test,{ip},sasl:plain): passwd-file: unknown user": ("dovecot", "auth"),
}


def test_users_of_the_host_get_nobody_shut_out(where: lab.Lab, tries: Tries) -> None:
    _both(partial(get_somebody_shut_out, where, tries))


def get_somebody_shut_out(where: lab.Lab, tries: Tries, host: str) -> None:
    """By what users log under the names of daemons, and by commands that Postfix might run for them (aliases(5))."""
    run_on(where, host, f"cat >/srv/say.py <<'END'\n{LOGGER}END")
    # Without a journal on disk all users' lines are in one file with those of the system.
    conf = "/etc/systemd/journald.conf.d/attack.conf"
    fresh = "systemctl restart systemd-journald fail2ban"
    run_on(
        where,
        host,
        f"mkdir -p /etc/systemd/journald.conf.d; printf '[Journal]\\nStorage=volatile\\n' >{conf}",
    )
    run_on(where, host, f"fail2ban-client unban --all; {fresh}", check=False)
    wait_until(lambda: "pong" in run_on(where, host, "fail2ban-client ping", check=False), "fail2ban is up")
    every = [
        (user, words, name)
        for user in ("www-data", "stu", "nobody")
        for words, names in FORGED.items()
        for name in names
    ]
    tried, script = {}, []
    for number, (user, words, name) in enumerate(some(every, 17), 20):
        ip = f"198.51.100.{number}"
        tried[ip] = (user, words, name)
        script.append(
            f"setpriv --reuid={user} --clear-groups -- python3 /srv/say.py '{name[-15:]}' '{name}' '{words.format(ip=ip)}' &"
        )
    run_on(where, host, "\n".join([*script, "wait"]))
    # A command of the user's in Postfix's own unit: where it ran, its words were in the log of Postfix.
    forward = []
    for number, (words, names) in enumerate(FORGED.items(), 1):
        ip = f"203.0.113.{number}"
        tried[ip] = ("stu", words, ".forward")
        forward.append(f'|"python3 /srv/say.py {names[0][-15:]} {names[0]} \\"{words.format(ip=ip)}\\""')
    lines = "\n".join(forward)
    run_on(
        where,
        host,
        f"cat >/home/stu/.forward <<'END'\n{lines}\nEND\nchown stu /home/stu/.forward; echo x | runuser -u stu -- /usr/sbin/sendmail stu",
    )
    settled = "postqueue -p | grep -q empty && journalctl -q --no-pager -n 300 | grep -c 'postfix/local.*orig_to=<stu>' || true"
    wait_until(
        lambda: run_on(where, host, settled).strip() not in ("", "0"), "the mail to stu came to its end"
    )
    # One that must be counted: it comes last, so all before it were looked at.
    marker = "192.0.2.200"
    run_on(
        where,
        host,
        f"python3 /srv/say.py sshd sshd 'Failed password for root from {marker} port 22 ssh2'",
    )
    status = "for jail in sshd mailprov-postfix mailprov-dovecot; do fail2ban-client status $jail; done"
    wait_until(lambda: marker in run_on(where, host, status), "what root's sshd says is counted")
    banned = run_on(where, host, status)
    for ip, each in tried.items():
        tries.held((host, each), not re.search(rf"\b{re.escape(ip)}\b", banned), banned[-300:])
    run_on(where, host, f"fail2ban-client set sshd unbanip {marker}; rm /home/stu/.forward {conf}; {fresh}")


# Argument: the first port. Opens a port for each user, trick and family, and tells which.
PRETENDERS = """
import ctypes, itertools, json, os, pwd, shutil, socket, subprocess, sys
port, told = int(sys.argv[1]), {}
folder = "/srv/pretend"
os.makedirs(folder, exist_ok=True)
serve = '''
import ctypes, os, socket, sys
family, port, name, how = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]
if how == "root of one's own":
    ctypes.CDLL(None).unshare(0x10000000)
server = socket.socket(family); server.bind(("", port)); server.listen()
ctypes.CDLL(None).prctl(15, name.encode(), 0, 0, 0)
if how == "parent gone" and os.fork(): os._exit(0)
if how == "connected too":
    others = [socket.create_connection(("127.0.0.1", 22)) for _ in range(1)]
server.accept()
'''
open(folder + "/serve.py", "w").write(serve)
programs = ["sshd", "sshd-session", "dropbear", "sshd (deleted)", "sshd x", "x sshd", "sshd\\n0"]
for program in programs:
    shutil.copy(os.path.realpath(sys.executable), folder + "/" + program)
    os.chmod(folder + "/" + program, 0o755)
tricks = [(program, program[:15], "plain") for program in programs] + [
    (None, "sshd", "plain"), (None, "sshd-session", "plain"), (None, 'd",pid=1,fd=3', "plain"), (None, "sshd) S 1 0 0", "plain"),
    ("sshd", "sshd", "root of one's own"), ("sshd", "sshd", "parent gone"), ("sshd", "sshd", "connected too"), ("dropbear", "x\\nUid:\\t0\\t0", "plain")]
for user, (program, name, how), family in itertools.product(("nobody", "stu"), tricks, (socket.AF_INET, socket.AF_INET6)):
    port += 1
    told[port] = (user, program, name, how, int(family))
    who = pwd.getpwnam(user)
    def become(who=who):
        os.setsid(); os.setgroups([]); os.setgid(who.pw_gid); os.setuid(who.pw_uid)
    argv = [folder + "/" + program if program else sys.executable, folder + "/serve.py", str(int(family)), str(port), name, how]
    if len(sys.argv) < 3 or port % 4 == 0:
        subprocess.Popen(argv, preexec_fn=become, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    else:
        del told[port]
print(json.dumps(told))
"""


def _listen(where: lab.Lab, host: str, told: dict[str, object]) -> bool:
    """Most of them: some programs do not start under some names."""
    there = run_on(where, host, "ss -Hltn | awk '{ print $4 }'")
    return sum(f":{port}\n" in there for port in told) >= len(told) * 3 // 4


def test_users_of_the_host_open_no_port(where: lab.Lab, tries: Tries) -> None:
    show = "sed -n 's/^### tuple ### allow tcp \\([0-9]*\\).*/\\1/p' /etc/ufw/user.rules"

    def on(host: str) -> None:
        run_on(where, host, f"cat >/srv/pretenders.py <<'END'\n{PRETENDERS}END")
        told = json.loads(
            run_on(
                where,
                host,
                f"systemd-run -q --wait --pipe --unit=pretenders -p KillMode=process python3 /srv/pretenders.py 31400 {'' if LONG else 'few'}",
            )
        )
        try:
            wait_until(partial(_listen, where, host, told), "they listen")
            open_ports = {
                int(port)
                for port in run_on(where, host, f"systemctl restart mailprov-firewall && {show}").split()
            }
            for port, each in told.items():
                tries.held((host, each), int(port) not in open_ports, sorted(open_ports - OPEN))
            tries.held((host, "all in all"), open_ports == OPEN, open_ports)
        finally:
            run_on(
                where,
                host,
                "for pid in $(pgrep -f '^[^ ]*/[^ ]* /srv/pretend/serve.py|/srv/pretend/serve.py'); do kill $pid; done",
                check=False,
            )

    _both(on)


# On the host: every user there is asks everything of every door.
DOORS = """
import json, os, pwd, socket, sys
doors = ["/run/rspamd/controller.sock", "/var/run/rspamd/controller.sock", ("127.0.0.1", 11334), ("::1", 11334), ("127.0.0.1", 11333), ("127.0.0.1", 11332), ("127.0.0.1", 11335)]
asked = ["GET /stat", "GET /", "POST /learnspam", "GET /history", "GET /getmap?map=1", "POST /saveactions", "GET /%2e%2e/stat", "GET /auth", "GET /errors", "POST /fuzzyadd", "GET /metrics"]
seen = []
for who in pwd.getpwall():
    if who.pw_uid == 0 and "root" not in sys.argv:
        continue
    if who.pw_uid and "root" in sys.argv:
        continue
    read, write = os.pipe()
    if os.fork() == 0:
        os.setgroups(os.getgrouplist(who.pw_name, who.pw_gid)); os.setgid(who.pw_gid); os.setuid(who.pw_uid)
        found = []
        for door in doors:
            for what in asked:
                for more in ("", "Password: q1\\r\\n", "X-Real-IP: 127.0.0.1\\r\\n"):
                    try:
                        peer = socket.socket(socket.AF_UNIX if isinstance(door, str) else socket.AF_INET6 if ":" in door[0] else socket.AF_INET)
                        peer.settimeout(5); peer.connect(door if isinstance(door, str) else door)
                        peer.sendall((what + " HTTP/1.1\\r\\nHost: x\\r\\n" + more + "Content-Length: 0\\r\\n\\r\\n").encode())
                        said = peer.recv(2000).decode("latin-1")
                    except OSError as error:
                        said = "error " + type(error).__name__
                        if isinstance(door, str) or type(error).__name__ == "ConnectionRefusedError":
                            found.append([str(door), what, said]); break
                    found.append([str(door), what, said[:60]])
        os.write(write, json.dumps(found).encode()); os._exit(0)
    os.close(write)
    told = b""
    while part := os.read(read, 65536):
        told += part
    os.close(read); os.wait()
    seen += [[who.pw_name, *each] for each in json.loads(told)]
print(json.dumps(seen))
"""


def test_the_filters_controller_knows_root_alone(where: lab.Lab, tries: Tries) -> None:
    def on(host: str) -> None:
        run_on(where, host, f"cat >/srv/doors.py <<'END'\n{DOORS}END")
        root = json.loads(run_on(where, host, "python3 /srv/doors.py root"))
        assert any("200" in said for _, _, what, said in root if what == "GET /stat"), root[:5]
        for user, door, what, said in json.loads(run_on(where, host, "python3 /srv/doors.py")):
            # The owner of the filter's own processes has its files and its memory anyhow.
            tries.held((host, user, door, what), " 200" not in said or user == "_rspamd", said)

    _both(on)
