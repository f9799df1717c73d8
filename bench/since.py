"""What this version makes of hosts of 0.1.0: memory of idle clients, mail in and out, before it and after.

    measure(rounds) -> lines     of Markdown: what was measured, each with the median of the rounds' ratios

The hosts are those of tests/lab/hosts_of_0_1_0, as 0.1.0 left them, Debian 12 and 13 without the filter. In each round
all is measured, an apply brings what is new, all is measured again, and a rollback takes it back: the same hosts on the
same cores, before and after in turn.

Memory: 50 strangers connect to port 587, say EHLO and wait. What that costs is the difference in the sum of all
processes' proportional set sizes (PSS in proc(5): what processes share counts once). Mail: messages for one and for ten
recipients (ana+1@ …), into port 25 and, by a user, into port 587 and on to the other host. Times end when all is in the
mailbox, or when the queue is empty. The filters that users have are out of the way.
Raises BenchFailed.
"""

from __future__ import annotations

import json
import statistics
import subprocess
from pathlib import Path

from bench.commands import mailprov
from bench.measure import BenchFailed
from mailprov import lab
from tests.lab import earlier
from tests.lab.labs import silent

NAME = "bench-since"
CLIENTS = 50
# host → its release, who gets and sends mail there, and whom he writes to
HOSTS = {
    "mx3": ("Debian 12", "ana@class.alpha.test", "eva@beta.test"),
    "mx2": ("Debian 13", "eva@beta.test", "ana@class.alpha.test"),
}
# Deliveries in all are so many; with ten recipients there are a tenth of the messages.
DELIVERIES, SUBMITTED, SESSIONS = 200, 50, 5
MEMORY = f"memory of {CLIENTS} idle clients on 587"

# No filters, no old mail; and Dovecot 2.4 takes ten messages at once for one user, of whom there are hundreds here:
# a local setting, which every apply leaves alone.
_PREPARE = """
rm -f /var/vmail/*/*/.dovecot.sieve
find /var/vmail -path '*/new/*' -type f -delete
echo 'lmtp_user_concurrency_limit = 1000' >/etc/dovecot/local.conf
doveadm reload
"""
# Runs on the host; prints a number.
WORK = r"""
import glob, os, smtplib, socket, ssl, subprocess, sys, threading, time, json

job = json.loads(sys.argv[1])
user, domain = job["user"].split("@")
maildir = "/var/vmail/%s/%s/Maildir" % (domain, user)


def memory():
    total = 0
    for path in glob.glob("/proc/[0-9]*/smaps_rollup"):
        if path.split("/")[2] != str(os.getpid()):
            try:
                with open(path) as lines:
                    total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
            except OSError:
                continue
    return total / 1024


def idle():
    time.sleep(2)
    before = memory()
    clients = []
    for _ in range(job["clients"]):
        client = socket.create_connection(("127.0.0.1", 587), timeout=120)
        answers = client.makefile("rb")
        for word in (b"", b"EHLO client.example\r\n"):
            client.sendall(word)
            line = answers.readline()
            while line[3:4] == b"-":
                line = answers.readline()
            if line[:1] != b"2":
                sys.exit("a client was told: %r" % line)
        clients.append(client)
    time.sleep(3)
    return memory() - before


def queued():
    return [name for kind in ("maildrop", "incoming", "active", "deferred")
            for _, _, names in os.walk("/var/spool/postfix/" + kind) for name in names]


def send(number, failed):
    try:
        for count in range(job["messages"] // job["sessions"]):
            if job["way"] == "in":
                names = ["%s+%d@%s" % (user, each, domain) for each in range(job["recipients"])]
                with smtplib.SMTP("127.0.0.1", 25, timeout=120) as smtp:
                    smtp.sendmail("bench@elsewhere.example", names, "Subject: bench\r\n\r\n" + "x" * 4000)
            else:
                to, there = job["to"].split("@")
                names = ["%s+%d@%s" % (to, each, there) for each in range(job["recipients"])]
                with smtplib.SMTP("127.0.0.1", 587, timeout=120) as smtp:
                    smtp.starttls(context=ssl._create_unverified_context())
                    smtp.login(job["user"], job["user"] + " of 0.1.0")
                    text = "From: %s\r\nSubject: bench\r\n\r\n%s" % (job["user"], "x" * 4000)
                    smtp.sendmail(job["user"], names, text)
    except BaseException as error:
        failed.append(repr(error))


def mail():
    failed, began = [], time.monotonic()
    threads = [threading.Thread(target=send, args=(number, failed)) for number in range(job["sessions"])]
    [thread.start() for thread in threads], [thread.join() for thread in threads]
    if failed:
        sys.exit("a message was not taken: " + failed[0])
    deliveries = job["messages"] * job["recipients"]
    while queued() or (job["way"] == "in" and len(os.listdir(maildir + "/new")) < deliveries):
        if time.monotonic() > began + 300:
            sys.exit("not all was delivered: %d in the queue" % len(queued()))
        time.sleep(0.02)
    seconds = time.monotonic() - began
    for path in glob.glob("/var/vmail/*/*/Maildir/new/*"):
        os.unlink(path)
    return seconds


print(idle() if job["way"] == "idle" else mail())
"""


def measure(rounds: int) -> list[str]:
    seen: dict[tuple[str, str], list[tuple[float, float]]] = {}
    where = earlier.boot(NAME)
    try:
        earlier.lay(where)
        for host in HOSTS:
            _on(where, host, _PREPARE)
        path = earlier.inventory(where)
        _all(where)  # not counted: caches
        for _ in range(rounds):
            before = _all(where)
            _mailprov("apply", path)
            after = _all(where)
            _mailprov("rollback", path)
            for key, value in before.items():
                seen.setdefault(key, []).append((value, after[key]))
                print(f"  {key[0]}, {key[1]}: {value:.2f} before, {after[key]:.2f} after", flush=True)
    finally:
        lab.down(NAME, silent)
    return _lines(seen)


def _mailprov(command: str, path: Path) -> None:
    words = [command, "--yes", *(["--no-verify"] if command == "apply" else [])]
    mailprov(*words, *(f"--host={host}" for host in HOSTS), str(path))


def _all(where: lab.Lab) -> dict[tuple[str, str], float]:
    """(release, what) → MiB or seconds."""
    found = {}
    for host, (release, user, to) in HOSTS.items():
        job = {"user": user, "to": to, "clients": CLIENTS, "sessions": SESSIONS, "way": "idle"}
        found[release, MEMORY] = _job(where, host, job)
        for way, all_of_them in (("in", DELIVERIES), ("out", SUBMITTED)):
            for recipients in (1, 10):
                more = {"way": way, "recipients": recipients, "messages": all_of_them // recipients}
                word = "one recipient each" if recipients == 1 else "ten recipients each"
                found[release, f"mail {way}, {word}"] = _job(where, host, {**job, **more})
    return found


def _job(where: lab.Lab, host: str, job: dict[str, object]) -> float:
    return float(_on(where, host, f"python3 - '{json.dumps(job)}'", WORK))


def _on(where: lab.Lab, host: str, command: str, text: str = "") -> str:
    done = subprocess.run(
        where.ssh_argv(host, [command]), input=text, capture_output=True, text=True, check=False, timeout=900
    )
    if done.returncode:
        raise BenchFailed(f"bench: since 0.1.0, on {host}: {done.stderr.strip()[-2000:]}")
    return done.stdout


def _lines(seen: dict[tuple[str, str], list[tuple[float, float]]]) -> list[str]:
    lines = [
        "Hosts of 0.1.0, and the same hosts as this version leaves them (phase `since`):",
        "",
        "| host | what | n | 0.1.0 | now | now, of 0.1.0 |",
        "|---|---|---|---|---|---|",
    ]
    for (release, what), pairs in sorted(seen.items()):
        unit = "MiB" if what == MEMORY else "s"
        old, new = (statistics.median(each) for each in zip(*pairs, strict=True))
        ratio = statistics.median(after / before for before, after in pairs)
        lines.append(
            f"| {release} | {what} | {len(pairs)} | {old:.2f} {unit} | {new:.2f} {unit} | {ratio:.2f} × |"
        )
    return [*lines, ""]
