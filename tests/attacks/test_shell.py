"""What users with a shell, or with a menu in its place, may try on their host: to send as a colleague or as the system, to
read what is others', to get out of the menu, to take the host away from others, to fill its disk, to change somebody
else's password. Debian 12 and 13. What they try is in shell_words.py.

ana has a shell, eva a menu; luis is the colleague, pia reads. What was forged is looked for in her mailbox.
"""

from __future__ import annotations

import json
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
from tests.attacks.shell_words import (
    CONNECT,
    ENVELOPES,
    ENVIRONMENT,
    FILLS,
    HEAD,
    HEADERS,
    PORTS,
    READS,
    RECORDS,
    SAY,
    SOCKET,
    TYPED,
    WATCHER,
    WAYS,
    WORDS,
    WRITES,
)
from tests.attacks.tries import LONG, Tries, some
from tests.lab.labs import run_on, wait_until
from tests.lab.post import password, stored

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
      ana: {{password: {{env: P}}, shell: {{keys: ["{key}"], home_quota: 60M}}}}
      eva: {{password: {{initial: {{env: P}}, owner: user}}, shell: {{keys: ["{key}"], restricted: true}}}}
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
    wait_until(lambda: "Mail queue is empty" in place.root("postqueue -p"), "the queue is empty")


def test_sending_as_somebody_else(place: Place, tries: Tries) -> None:
    """By sendmail, its relatives, cron, timers, and by files in Postfix's folders."""
    fqdn = place.lab.host(place.host).fqdn
    place.ssh(
        "ana",
        f"mkdir -p evil; printf 'myhostname = evil\\n' >evil/main.cf; cat >records.py <<'X'\n{RECORDS}\nX",
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
    name_server = place.lab.host("ns1").address if "ns1" in str(place.lab.hosts) else place.address
    ports = [(a.replace("SELF", place.address).replace("NS", name_server), p) for a, p in PORTS]
    asked = json.dumps(ports).encode() + b"\n"
    place.root(f"cat >/srv/connect25.py <<'X'\n{CONNECT}\nX", check=True)
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


def test_reading_and_rising(place: Place, tries: Tries) -> None:
    script = "".join(
        f"echo '== {n}'; ( {each} ) >/dev/null 2>&1 && echo in\n" for n, each in enumerate(READS)
    )
    _, said = place.ssh("ana", "bash -s", stdin=script.encode(), timeout=300)
    for number, each in enumerate(READS):
        part = said.partition(f"== {number}\n")[2].partition("== ")[0]
        tries.held(each, "in" not in part.split(), part)
    assert "== 3\n" in said


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


def test_out_of_the_menu(place: Place, tries: Tries) -> None:
    _, honest = place.ssh("eva", options=["-tt"], stdin=b"0\n", timeout=60)
    assert "Read and write mail" in honest
    for words in some(WORDS, 5):
        for tty in ([], ["-tt"]):
            _, said = place.ssh("eva", words, options=tty, stdin=b"id\n0\n", timeout=60)
            tries.held(f"{words} {tty}", "uid=" not in said and "root:x" not in said, said)
    for words in some(TYPED, 6):
        _, said = place.ssh("eva", options=["-tt"], stdin=words + b"0\n", timeout=40)
        tries.held(words[:40], "uid=" not in said, said)
    for option in ("-s sftp", "-s exec", "-s /bin/sh"):
        _, said = place.ssh("eva", option.split()[1], options=["-s"], stdin=b"id\n", timeout=40)
        tries.held(option, "uid=" not in said, said)
    for name in some(ENVIRONMENT, 5):
        _, said = place.ssh("eva", options=["-tt", "-o", f'SetEnv="{name}"'], stdin=b"0\n", timeout=40)
        tries.held(name[:60], "Read and write mail" in said and "uid=" not in said, said)
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


def test_the_socket_for_passwords(place: Place, tries: Tries) -> None:
    """eva owns hers, ana's is the inventory's, nobody has no mailbox."""
    old = password(place.lab, "eva@alpha.test")
    place.root(f"cat >/srv/say.py <<'X'\n{SAY}\nX")

    def said(user: str, dialogues: list[list[str]]) -> list[list[str]]:
        place.root(f"cat >/srv/dialogues <<'X'\n{json.dumps(dialogues)}\nX")
        out = place.root(f"runuser -u {user} -- python3 /srv/say.py </srv/dialogues 2>&1")
        return [json.loads(line) for line in out.splitlines() if line.startswith("[")]

    every = some(SOCKET, 3)
    asked = [[line.replace("OWN", "eva@alpha.test").replace("OLD", old) for line in each] for each in every]
    answers = said("eva", asked)
    assert len(answers) == len(asked)
    for lines, each in zip(every, answers, strict=True):
        tries.held(("eva", lines[:4]), not any("changed" in one and "200" in one for one in each[1:]), each)
    for user in some(("ana", "nobody", "www-data"), 1):
        (each,) = said(user, [["user luis@alpha.test", "pass x", "newpass a-new-long-password"]])
        tries.held((user, "luis"), not any("go on" in one for one in each[1:]), each)
    (each,) = said("ana", [["user ana@alpha.test", f"pass {old}", "newpass a-new-long-password"]])
    tries.held("the inventory's password", not any("is changed" in one for one in each), each)
    log = place.root("journalctl -u 'mailprov-passwd-shell@*' -o cat --no-pager")
    tries.held("another address in the log", "192.0.2.66" not in log, log)
    tries.held("a password in the log", old not in log and "a-new-long-password" not in log, "it is there")
    checked = place.root(f"doveadm auth test eva@alpha.test {shlex.quote(old)} 2>&1")
    tries.held("eva's password is what it was", "auth succeeded" in checked, checked)
    if not LONG:
        return
    # All connections of the socket for users with a shell, and the one for programs of the host still answers.
    hold = (
        "import socket,time\nk=[]\nfor n in range(60):\n s=socket.socket(socket.AF_UNIX); s.settimeout(2)\n"
        " try: s.connect('/run/mailprov-passwd/shell'); k.append(s)\n except OSError: pass\ntime.sleep(15)"
    )
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(place.ssh, "ana", f"python3 -c {shlex.quote(hold)}")
        greeting = place.root(
            'sleep 4; python3 -c "import socket; s=socket.socket(socket.AF_UNIX); s.settimeout(60); '
            "s.connect('/run/mailprov-passwd/socket'); print(s.recv(99))\""
        )
        running.result()
    tries.held("60 connections", "200 mailprov-passwd" in greeting, greeting)


def test_who_watches_over_them(place: Place, tries: Tries) -> None:
    every = some(WATCHER, 8)
    script = "".join(
        f"echo '== {n}'; ( {each} ) </dev/null >/dev/null 2>&1 && echo in\n" for n, each in enumerate(every)
    )
    _, said = place.ssh("ana", "bash -s", stdin=script.encode(), timeout=300)
    assert f"== {len(every) - 1}\n" in said
    for number, each in enumerate(every):
        part = said.partition(f"== {number}\n")[2].partition("== ")[0]
        tries.held(each, "in" not in part.split(), part)
    watching = place.root("systemctl is-active mailprov-shell-watch.service")
    tries.held("it watches", watching.strip() == "active", watching)


@pytest.mark.skipif(
    not LONG, reason="the long form: each goes on for some seconds (tests/users has two of them)"
)
@pytest.mark.parametrize("number", range(len(FILLS)))
def test_filling_the_disk(place: Place, tries: Tries, number: int) -> None:
    """60 MB and 10,000 files; what is there afterwards is what was written before it was seen, and mail goes on."""
    way = FILLS[number]
    place.ssh("ana", "bash -s", stdin=f"{way}\n".encode(), timeout=120)
    counted = place.root(
        "sleep 4; find /home /tmp /var/tmp /dev/shm /run/lock /run/user /var/spool/cron -user ana -printf '%b\\n' | "
        "awk '{s += $1} END {print int(s / 2048), NR}'"
    )
    size, files = (int(word) for word in counted.split())
    tries.held(way, size < 600 and files < 60_000, f"{size} MB in {files} files")
    mark = f"q9{number:03d}q"
    place.root(f"printf 'Subject: {mark}\\n\\nx\\n' | sendmail luis@alpha.test")
    wait_until(
        lambda: any(f"Subject: {mark}" in head for *_, head in stored(place.lab, place.host)), "mail", 180
    )
    place.root(
        "pkill -KILL -u ana; crontab -r -u ana; cd /home/ana && find . -mindepth 1 -delete; "
        "find /tmp /var/tmp /dev/shm /run/lock /var/spool/cron /var/lib/systemd -user ana -delete"
    )
    wait_until(lambda: place.ssh("ana", "echo in >x && cat x")[1].strip() == "in", "ana logs in")


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
