"""What users with a shell, or with a menu in its place, may try on their host: to send as a colleague or as the system, to
read what is others', to get out of the menu, to take the host away from others. Debian 12 and 13.

ana has a shell, eva a menu; luis is the colleague, pia reads. What was forged is looked for in her mailbox.
"""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mailprov import lab
from tests.attacks import local_users
from tests.attacks.places import provisioned
from tests.attacks.tries import LONG, Tries, some
from tests.lab.labs import run_on, wait_until
from tests.lab.post import stored

HOSTS = ("mx1", "mx2") if LONG else ("mx1",)
RELEASES = {"mx1": "debian-12" if LONG else "debian-13", "mx2": "debian-13"}
OWN = re.compile(r"<?(ana|a\.lopez|postmaster|abuse)(\+[^@]*)?@alpha\.test>?", re.IGNORECASE)
# Fields by which readers could take somebody else for the sender.
NAMING = re.compile(
    r"^(?:Return-Path|From|Sender|Resent-From|Resent-Sender):[ \t]*(.*(?:\n[ \t].*)*)", re.M | re.I
)


def _text(host: str, key: str) -> str:
    return f"""\
filter: none
text_mua: alpine
hosts:
  {host}: {{address: 192.0.2.1, fqdn: {host}.alpha.test, lab: {{release: {RELEASES[host]}}}}}
domains:
  alpha.test:
    hosts: [{host}]
    accounts:
      ana: {{password: {{env: P}}, shell: {{keys: ["{key}"]}}}}
      eva: {{password: {{env: P}}, shell: {{keys: ["{key}"], restricted: true}}}}
      luis: {{password: {{env: P}}}}
      pia: {{password: {{env: P}}}}
    aliases: {{a.lopez: ana}}
"""


class Place:
    def __init__(self, made: lab.Lab, host: str, key: Path) -> None:
        self.lab, self.host, self.key = made, host, key

    @property
    def address(self) -> str:
        return self.lab.host(self.host).address

    def ssh(
        self, user: str, *words: str, options: Iterable[str] = (), stdin: bytes = b"", timeout: float = 90
    ) -> tuple[int, str]:
        """Exit code and all that was said; 124 where it did not end."""
        argv = [
            "ssh",
            "-F",
            "none",
            "-i",
            str(self.key),
            "-o",
            "StrictHostKeyChecking=no",
            "-o",
            "BatchMode=yes",
        ]
        argv += ["-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR", "-o", "IdentityAgent=none"]
        try:
            done = subprocess.run(
                [*argv, *options, f"{user}@{self.address}", *words],
                input=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=timeout, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired as error:
            return 124, (error.stdout or b"").decode("utf-8", "replace")
        return done.returncode, done.stdout.decode("utf-8", "replace")

    def root(self, command: str, *, check: bool = False) -> str:
        return run_on(self.lab, self.host, command, check=check)


@pytest.fixture(scope="module", params=HOSTS)
def place(
    request: pytest.FixtureRequest,
    ready_lab_factory: Callable[[str], lab.Lab],
    tmp_path_factory: pytest.TempPathFactory,
) -> Place:
    key = tmp_path_factory.mktemp("key") / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    public = " ".join(key.with_suffix(".pub").read_text().split()[:2])
    return Place(provisioned(ready_lab_factory, _text(request.param, public)), request.param, key)


# Each with M for its mark, which is in the subject. HEAD is a header without From:.
HEAD = r"Subject: M\nTo: pia@alpha.test\n"
ENVELOPES = [
    "luis@alpha.test", "LUIS@ALPHA.TEST", "luis", "root", "root@localhost", "MAILER-DAEMON", "<>", "", "postmaster@HOST", "root@HOST", "www-data", "luis+x@alpha.test", "ana@alpha.test,luis@alpha.test", "ana@alpha.test luis@alpha.test", "<luis@alpha.test>", "luis@alpha.test ", "@alpha.test:luis@alpha.test", "luis%alpha.test@HOST", "ana@HOST", "ana+@alpha.test", "x@else.test", "pia@alpha.test", "anax", "'luis'@alpha.test", '"luis"@alpha.test', "ana@alpha.test\nluis@alpha.test", "uid:0", "nobody@invalid",
]  # fmt: skip
HEADERS = [
    r"From: luis@alpha.test\n", r"from: luis@alpha.test\n", r"From: Luis <luis@alpha.test>\n", r"From: ana@alpha.test\nFrom: luis@alpha.test\n", r"From: luis@alpha.test\nFrom: ana@alpha.test\n", r"From: ana@alpha.test\nSender: luis@alpha.test\n", r"From: ana@alpha.test\nResent-From: luis@alpha.test\n", r"From: ana@alpha.test\nResent-Sender: luis@alpha.test\n", r"From: luis@alpha.test, ana@alpha.test\n", r"From: ana@alpha.test, luis@alpha.test\n", r"From: ana@alpha.test <luis@alpha.test>\n", r"From: \"ana@alpha.test\" <luis@alpha.test>\n", r"From: luis@alpha.test (ana@alpha.test)\n", r"From:\n luis@alpha.test\n", r"From:\n\t<luis@alpha.test>\n", r"From : luis@alpha.test\n", r"From: root\n", r"From: root@HOST\n", r"From: MAILER-DAEMON@HOST (Mail Delivery System)\n", r"From: luis\n", r"From: us:ana@alpha.test,luis@alpha.test;\n", r"From: <@else.test:luis@alpha.test>\n", r"From: =?utf-8?q?luis=40alpha.test?= <luis@alpha.test>\n", r"From: luis@alpha.test\r\n", r"From: ana@alpha.test\rFrom: luis@alpha.test\n", r"From: ana@alpha.test\000, luis@alpha.test\n", r"From: postmaster@HOST\n", r"From: root (Cron Daemon)\nFrom: luis@alpha.test\n", r"From: luis@alpha.test (Cron Daemon)\n", r"From: root (Cron Daemon), luis@alpha.test\n", r"From: root (Cron Daemon)\nSender: luis@alpha.test\n", r"From: Cron Daemon <luis@alpha.test>\n", r"From:\n", r"From: ;\n", r"From: <>\n", r"Resent-From: luis@alpha.test\nResent-To: pia@alpha.test\n",
]  # fmt: skip
# Shell commands; T is a file with a message whose subject is M and whose author is luis.
WAYS = [
    "(sleep 1; echo EHLO x; sleep 1; echo 'MAIL FROM:<luis@alpha.test>'; sleep 1; echo 'RCPT TO:<pia@alpha.test>'; sleep 1; echo DATA; sleep 1; cat T; echo .; sleep 1; echo QUIT) | /usr/sbin/sendmail -bs",
    "(sleep 1; echo EHLO x; sleep 1; echo 'MAIL FROM:<ana@alpha.test>'; sleep 1; echo 'RCPT TO:<pia@alpha.test>'; sleep 1; echo DATA; sleep 1; cat T; echo .; sleep 1; echo QUIT) | /usr/sbin/sendmail -bs",
    "MAIL_CONFIG=~/evil /usr/sbin/sendmail -f luis@alpha.test pia@alpha.test <T", "/usr/sbin/sendmail -C ~/evil -f luis@alpha.test pia@alpha.test <T", "/usr/sbin/sendmail -G -t <T", "/usr/sbin/sendmail -XV -f luis@alpha.test pia@alpha.test <T", "/usr/sbin/postdrop -c ~/evil <R", "/usr/sbin/postdrop -r <R", "/usr/sbin/postdrop -r <RR", "/usr/sbin/postdrop -r <RF",
    "(crontab -l; echo '* * * * * /usr/sbin/sendmail -f luis@alpha.test pia@alpha.test <T') | crontab -", "systemd-run --user --wait -q sh -c '/usr/sbin/sendmail -f luis@alpha.test pia@alpha.test <T'", "unshare -Ur /usr/sbin/sendmail -f luis@alpha.test pia@alpha.test <T", "unshare -Ur --map-users=0,1000,1 /usr/sbin/sendmail -f root pia@alpha.test <T", "setpriv --reuid 0 /usr/sbin/sendmail -f root pia@alpha.test <T", "LOGNAME=root USER=root /usr/sbin/sendmail -f root pia@alpha.test <T", "cp T /var/spool/postfix/maildrop/", "cp R /var/spool/postfix/maildrop/0123456789", "cp R /var/spool/postfix/incoming/0123456789", "cp T /var/vmail/alpha.test/pia/Maildir/new/1", "/usr/lib/dovecot/deliver -d pia@alpha.test <T", "/usr/lib/dovecot/dovecot-lda -d pia@alpha.test <T", "/etc/dovecot/mailprov-sendmail luis@alpha.test -f luis@alpha.test -- pia@alpha.test <T", "newgrp postdrop </dev/null; sg postdrop 'cp R /var/spool/postfix/maildrop/x'", "python3 ~/smtp.py 465 T ana-own", "exec -a sendmail /usr/sbin/postdrop -r <R",
]  # fmt: skip
# (address, port) that trust this host, or that would take it for a mail server of the domain.
PORTS = [
    (address, port)
    for address in ("127.0.0.1", "127.0.0.2", "0.0.0.0", "::1", "::ffff:127.0.0.1", "SELF", "NS")
    for port in (25, 10027, 10028, 11332, 11333, 11334, 8891, 6379, 24, 12345)
    if address != "NS" or port == 25
]  # fmt: skip
_CONNECT = """
import json, socket, sys
told = {}
for address, port in json.loads(sys.stdin.readline()):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    for way in ("plain", "bound", "fast"):
        with socket.socket(family) as peer:
            peer.settimeout(5)
            try:
                if way == "bound": peer.bind(("::1" if ":" in address else "127.0.0.1", 0))
                if way == "fast": peer.sendto(b"EHLO x\\r\\n", 0x20000000, (address, port))
                else: peer.connect((address, port))
                told["%s %d %s" % (address, port, way)] = peer.recv(100).decode("latin-1")
            except OSError as error:
                pass
print(json.dumps(told))
"""
_RECORDS = """
import sys, time
def record(kind, text):
    data, size, out = text.encode(), len(text.encode()), b""
    while True:
        size, low = size >> 7, size & 127
        out += bytes([low | (128 if size else 0)])
        if not size: break
    return kind.encode() + out + data
def message(*senders):
    head = record("T", str(int(time.time()))) + b"".join(record("S", each) for each in senders) + record("R", "pia@alpha.test")
    return head + record("M", "") + b"".join(record("N", each) for each in ("Subject: M", "From: luis@alpha.test", "", "x")) + record("X", "") + record("E", "")
for name, senders in (("R", ["luis@alpha.test"]), ("RR", ["ana@alpha.test", "luis@alpha.test"]), ("RF", ["ana@alpha.test"])):
    open(sys.argv[1] + name, "wb").write(message(*senders).replace(b"Subject: M", b"Subject: " + sys.argv[2].encode()).replace(b"N\\x0aSubject", b"N" + bytes([9 + len(sys.argv[2])]) + b"Subject"))
"""


def _forged(place: Place) -> dict[str, str]:
    """mark → the field of a message with that subject that names anybody but ana."""
    found = {}
    for mailbox, _, head in stored(place.lab, place.host):
        mark = re.search(r"^Subject: (q\d+q)", head, re.M)
        if not mark or mailbox != "pia@alpha.test":
            continue
        for value in NAMING.findall(head):
            words = re.findall(r"[^\s<>(),;:\"]+@[^\s<>(),;\"]+|<>", value) or [value]
            if not all(OWN.fullmatch(word) for word in words):
                found[mark[1]] = value
    return found


def _settled(place: Place) -> None:
    """All that was handed over is delivered or returned."""
    wait_until(lambda: "Mail queue is empty" in place.root("postqueue -p"), "the queue is empty", 180)


def test_sending_as_somebody_else(place: Place, tries: Tries) -> None:
    """By sendmail, its relatives, cron, timers, and by files in Postfix's folders."""
    fqdn = place.lab.host(place.host).fqdn
    place.ssh(
        "ana",
        f"mkdir -p evil; printf 'myhostname = evil\\n' >evil/main.cf; cat >records.py <<'X'\n{_RECORDS}\nX",
    )
    commands = {}
    for number, envelope in enumerate(some(ENVELOPES, 8)):
        sender = shlex.quote(envelope.replace("HOST", fqdn))
        commands[f"q{number}q"] = (
            f"printf {shlex.quote(HEAD)} | sed s/M$/MARK/ | /usr/sbin/sendmail -f {sender} pia@alpha.test"
        )
    for number, header in enumerate(some(HEADERS, 8), 100):
        text = shlex.quote(header.replace("HOST", fqdn) + HEAD.replace("M", "MARK", 1) + r"\nx\n")
        commands[f"q{number}q"] = f"printf {text} | /usr/sbin/sendmail pia@alpha.test"
    ways = [way for way in WAYS if LONG or "crontab" not in way]  # which takes a minute
    for number, way in enumerate(ways, 200):
        message = r"From: luis@alpha.test\nSubject: MARK\nTo: pia@alpha.test\n\nx\n"
        made = re.sub(r"\b(RR|RF|R|T)\b", r"~/MARK.\1", way)
        commands[f"q{number}q"] = f"printf '{message}' >~/MARK.T; python3 records.py ~/MARK. MARK; {made}"
    # One that waits for something holds none of the others up.
    script = "\n".join(
        f"timeout -k 1 10 bash -c {shlex.quote(command.replace('MARK', mark))} </dev/null >/dev/null 2>&1"
        for mark, command in commands.items()
    )
    script += "\necho all were tried\n"
    _, said = place.ssh("ana", "bash -s", stdin=script.encode(), timeout=500)
    assert "all were tried" in said
    # The crontab's minute, and mail of its own that shows that what is sent does arrive.
    place.ssh(
        "ana",
        f"sleep {61 if LONG else 1}; printf 'Subject: q999q\\n\\nx\\n' | /usr/sbin/sendmail pia@alpha.test",
        timeout=200,
    )
    wait_until(
        lambda: any("Subject: q999q" in head for *_, head in stored(place.lab, place.host)), "honest mail"
    )
    _settled(place)
    place.root("crontab -r -u ana")
    forged = _forged(place)
    assert "q999q" not in forged
    for mark, command in commands.items():
        tries.held(command[:200], mark not in forged, forged.get(mark))


def test_ports_that_trust_the_host(place: Place, tries: Tries) -> None:
    import json

    name_server = place.lab.host("ns1").address if "ns1" in str(place.lab.hosts) else place.address
    ports = [(a.replace("SELF", place.address).replace("NS", name_server), p) for a, p in PORTS]
    asked = json.dumps(ports).encode() + b"\n"
    place.root(f"cat >/srv/connect25.py <<'X'\n{_CONNECT}\nX", check=True)
    _, said = place.ssh("ana", "python3 /srv/connect25.py", stdin=asked, timeout=400)
    told = json.loads(said.strip().splitlines()[-1])
    for address, port in ports:
        for way in ("plain", "bound", "fast"):
            seen = told.get(f"{address} {port} {way}", "")
            tries.held(f"{address} {port} {way}", not seen, seen)
    code, said = place.ssh("ana", "unshare -Urn python3 /srv/connect25.py", stdin=asked, timeout=400)
    tries.held("a network of one's own", code != 0 or said.strip().endswith("{}"), said)
    assert place.root(
        "python3 - <<'X'\nimport socket; print(socket.create_connection(('127.0.0.1', 25)).recv(99))\nX"
    ).startswith("b'220")


def test_sockets_and_commands_that_are_for_root(place: Place, tries: Tries) -> None:
    for path in local_users.connections(place.lab, place.host, ["ana"])["ana"]:
        tries.held(path, path in local_users.HARMLESS, "ana can connect")
    every = [each.replace("stu", "ana") for each in some(local_users.CONTROLS, 12)]
    script = "".join(
        f"echo '== {number}'; ( {re.sub(r'(?<![A-Z])O(?![A-Z])', 'luis@alpha.test', each)} ) </dev/null 2>/dev/null\n"
        for number, each in enumerate(every)
    )
    _, said = place.ssh("ana", "bash -s", stdin=script.encode(), timeout=500)
    parts = dict(re.findall(r"^== (\d+)\n((?:(?!== ).*\n?)*)", said, re.M))
    for number, each in enumerate(every):
        seen = parts.get(str(number), "").split("\n")
        # Dovecot has no such cache here (auth_cache_size), so whoever empties it changes nothing.
        tries.held(each, "in" not in seen or "0 cache entries flushed" in seen, seen)


READS = [
    "cat /etc/shadow", "cat /etc/gshadow", "cat /etc/dovecot/mailprov-users", "cat /etc/mailprov/shell/users.json", "ls /var/vmail/alpha.test/luis", "ls /var/vmail/alpha.test/ana", "ls /home/eva", "ls /home/eva/mail", "cat /etc/mailprov/tls/*.key", "cat /etc/mailprov/dkim/*", "ls /root", "cat /var/lib/mailprov/manifest.json", "ls /var/lib/mailprov/journal", "cat /etc/ssh/ssh_host_ed25519_key", "cat /proc/1/environ", "cat /proc/$(pgrep -o master)/environ", "head -c1 /proc/$(pgrep -o master)/mem", "cat /proc/$(pgrep -u dovecot -o .)/environ", "kill $(pgrep -u eva -o .)", "kill -9 $(pgrep -o master)", "cat /var/spool/postfix/active/*", "ls /run/user/$(id -u eva)", "cat /var/log/mail.log", "dmesg", "sudo -n true", "su -c true </dev/null", "pkexec true </dev/null", "newgrp sudo </dev/null", "newgrp shadow </dev/null", "sg postdrop id </dev/null", "chfn -o x ana </dev/null", "chfn -f x ana </dev/null", "mount -t tmpfs x /mnt", "echo x >/etc/mailprov/shell/keys/ana", "touch /etc/ssh/sshd_config.d/00.conf", "nft flush ruleset", "nft list ruleset", "systemctl stop mailprov-shell.service </dev/null", "systemctl set-property --runtime user-$(id -u).slice TasksMax=infinity </dev/null", "loginctl terminate-user eva </dev/null", "ulimit -u 10000", "crontab -u luis -l", "crontab -u root -l", "ln /etc/shadow ~/shadow", "chown eva ~/.profile", "setcap cap_net_raw+ep ~/x", "ping -f -c1 127.0.0.1", "cp /bin/bash ~/b && chmod 4755 ~/b && test \"$(~/b -pc 'id -un')\" != ana", "capsh --print | grep -q 'Current:.*cap'",
]  # fmt: skip


def test_reading_and_rising(place: Place, tries: Tries) -> None:
    script = "".join(
        f"echo '== {n}'; ( {each} ) >/dev/null 2>&1 && echo in\n" for n, each in enumerate(READS)
    )
    _, said = place.ssh("ana", "bash -s", stdin=script.encode(), timeout=300)
    for number, each in enumerate(READS):
        part = said.partition(f"== {number}\n")[2].partition("== ")[0]
        tries.held(each, "in" not in part.split(), part)
    assert "== 3\n" in said


FORWARDS = [
    ["-W", "127.0.0.1:25"], ["-W", "127.0.0.1:22"], ["-N", "-L", "10077:127.0.0.1:25"], ["-N", "-R", "10078:127.0.0.1:22"], ["-N", "-D", "10079"], ["-N", "-w", "any"], ["-N", "-L", "/tmp/x.sock:/run/dovecot/auth-client"],
]  # fmt: skip


@pytest.mark.parametrize("user", ["ana", "eva"])
def test_forwarding(place: Place, tries: Tries, user: str, tmp_path: Path) -> None:
    code, said = place.ssh(user, options=["-W", "127.0.0.1:25"], stdin=b"EHLO x\r\nQUIT\r\n", timeout=20)
    tries.held("-W 25", "220 " not in said, said)
    code, said = place.ssh(user, options=["-W", "127.0.0.1:22"], timeout=20)
    tries.held("-W 22", "SSH-" not in said, said)
    for word in (["-R", "10078:127.0.0.1:22"], ["-R", "/tmp/r.sock:127.0.0.1:22"], ["-w", "any"]):
        code, said = place.ssh(user, options=["-N", "-o", "ExitOnForwardFailure=yes", *word], timeout=8)
        tries.held(word, code not in (0, 124), said)
    local = tmp_path / "l.sock"
    argv = ["-N", "-L", f"{local}:127.0.0.1:25"]
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(place.ssh, user, options=argv, timeout=10)
        import socket

        wait_until(local.exists, "ssh listens")
        with socket.socket(socket.AF_UNIX) as peer:
            peer.settimeout(8)
            peer.connect(str(local))
            try:
                seen = peer.recv(100)
            except OSError:
                seen = b""
        tries.held("-L", b"220" not in seen, seen)
        running.result()


WORDS = [
    "id", "bash -i", "/bin/sh -c id", "sh", "true; id", "$(id)", "`id`", "id # 1", "-c id", "--", "scp -f /etc/passwd", "scp -t /tmp/x", "/usr/lib/openssh/sftp-server", "internal-sftp", "rsync --server . /", "git-upload-pack /", "python3 -c 'import os; os.system(\"id\")'", "env", "/etc/mailprov/shell/menu -c id", "alpine -p /tmp/x", "crontab -l", "exec id", "cat /etc/passwd", "PATH=/tmp id",
]  # fmt: skip
TYPED = [
    b"!sh\n", b"!id\n", b"1;id\n", b"1|id\n", b"$(id)\n", b"`id`\n", b"\x1bid\n", b"2\nid\n", b"sh\n", b"\x03\x03id\n", b"\x1a id\n", b"\x1cid\n", b"0;id\n", b"1 && id\n", b"-1\nid\n", b"\x00id\n", b"\xff\xfeid\n", b"A" * 5000 + b"\nid\n", b"../../bin/sh\n", b"/bin/sh\n", b"\x04id\n", b"~!id\n", b"|id\n", b"\x15id\n",
]  # fmt: skip
WRITES = [
    ".ssh/rc", ".ssh/authorized_keys", ".ssh/environment", ".pam_environment", ".profile", ".bashrc", ".bash_profile", ".config/systemd/user/x.service", ".forward", ".procmailrc", ".mailcap", ".pinerc", ".hushlogin", ".terminfo/v/vt100", ".inputrc", "x",
]  # fmt: skip


def test_out_of_the_menu(place: Place, tries: Tries) -> None:
    _, honest = place.ssh("eva", options=["-tt"], stdin=b"0\n", timeout=60)
    assert "Read and write mail" in honest
    for words in some(WORDS, 8):
        for tty in ([], ["-tt"]):
            _, said = place.ssh("eva", words, options=tty, stdin=b"id\n0\n", timeout=60)
            tries.held(f"{words} {tty}", "uid=" not in said and "root:x" not in said, said)
    for words in some(TYPED, 8):
        _, said = place.ssh("eva", options=["-tt"], stdin=words + b"0\n", timeout=40)
        tries.held(words[:40], "uid=" not in said, said)
    for option in ("-s sftp", "-s exec", "-s /bin/sh"):
        _, said = place.ssh("eva", option.split()[1], options=["-s"], stdin=b"id\n", timeout=40)
        tries.held(option, "uid=" not in said, said)
    for name in (
        "LD_PRELOAD=/tmp/x.so",
        "PYTHONSTARTUP=/tmp/x",
        "TERM=../../tmp/x",
        "SHELL=/bin/sh",
        "PINECONF=/tmp/x",
    ):
        _, said = place.ssh("eva", options=["-tt", "-o", f"SetEnv={name}"], stdin=b"0\n", timeout=40)
        tries.held(name, "Read and write mail" in said and "uid=" not in said, said)
    for path in WRITES:
        place.root(
            f"runuser -u eva -- mkdir -p /home/eva/{path.rpartition('/')[0]}; runuser -u eva -- touch /home/eva/{path}"
        )
        there = place.root(f"ls /home/eva/{path}")
        tries.held(f"write {path}", not there.strip(), there)
    # A program that runs where Alpine does: whatever it is led to, it makes no process and gains no rights.
    probe = r"""
import os, resource, runpy, sys
menu = runpy.run_path("/etc/mailprov/shell/menu", run_name="menu")
menu["bound"](); resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
for way in (os.fork, lambda: os.system("id"), lambda: os.posix_spawn("/bin/sh", ["sh", "-c", "id"], {}), lambda: os.popen("id").read()):
    try: print("made", way())
    except OSError as error: print("refused", error.errno)
try: resource.setrlimit(resource.RLIMIT_NPROC, (9, 9)); print("raised")
except (OSError, ValueError): print("kept")
print([line for line in open("/proc/self/status") if line.startswith("NoNewPrivs")])
"""
    place.root(f"cat >/srv/probe.py <<'X'\n{probe}\nX")
    said = place.root("setpriv --reuid eva --regid eva --clear-groups python3 -B /srv/probe.py 2>&1")
    tries.held("a process of the program's", "uid=" not in said and said.count("refused") >= 3, said)
    tries.held("a higher limit", "kept" in said, said)
    tries.held("rights gained", "NoNewPrivs:\\t1" in said, said)


def test_taking_the_host_away_from_others(place: Place, tries: Tries) -> None:
    """Within bounds: as many processes as it gets, more memory than it may have, all its descriptors."""
    forks = "import os,time\nn=0\ntry:\n  while n<1000:\n    if os.fork()==0: time.sleep(20); os._exit(0)\n    n+=1\nexcept OSError: pass\nprint(n)"
    _, said = place.ssh("ana", f"python3 -c {shlex.quote(forks)}", timeout=200)
    number = int((re.findall(r"^\d+$", said, re.M) or ["9999"])[0])
    tries.held("a thousand processes", number <= 128, said)
    _, said = place.ssh("ana", "python3 -c 'x = bytearray(2 << 30); print(\"got\")'", timeout=100)
    tries.held("2 GB of memory", "got" not in said.split(), said)
    _, said = place.ssh(
        "ana", "dd if=/dev/zero of=x bs=1M count=0 seek=2000; stat -c %s x; rm -f x", timeout=100
    )
    tries.held("a file of 2 GB", "2097152000" not in said, said)
    files = "import os\nn=0\ntry:\n  while n<5000: os.open('/',0); n+=1\nexcept OSError: pass\nprint(n)"
    _, said = place.ssh("ana", f"python3 -c {shlex.quote(files)}", timeout=100)
    tries.held("5000 descriptors", int((re.findall(r"^\d+$", said, re.M) or ["9999"])[0]) <= 1024, said)
    _, said = place.ssh("eva", options=["-tt"], stdin=b"0\n", timeout=60)
    tries.held("others log in meanwhile", "Read and write mail" in said, said)
    place.root("pkill -KILL -u ana")
