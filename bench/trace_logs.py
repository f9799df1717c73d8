"""Finding a message of the past in a host's log: time beside `journalctl --grep`, and the agent's memory.

    measure(folder, rounds) -> lines     of Markdown

One host each of Debian 12 and 13. Records of other people's messages go through the real journald (/dev/log), five for
each message; in the middle a real message goes through the real Postfix and Dovecot. First there are 1,000 records of
others, then 100,000. The agent runs on the host, by the loader that every run has, without SSH; its peak is VmHWM of
proc(5), of its own process. journalctl's argument is the key alone, as an operator types it. Raises BenchFailed.
"""

from __future__ import annotations

import json
import statistics
import subprocess
from pathlib import Path

from bench.commands import apply
from bench.measure import BenchFailed
from mailprov import lab
from mailprov.inventory import SecretMode, load
from mailprov.wire import bundle
from tests.lab.labs import silent

NAME = "bench-trace"
RELEASES = {"mx1": "debian-12", "mx2": "debian-13"}
# With one message of its own to find, by its addresses as well.
SIZES = {1_000: ("ana", "luis"), 100_000: ("luis", "ana")}
_TAG = "0123456789abcdef"
_FILL = """
import socket, sys
count, start = int(sys.argv[1]) // 5, int(sys.argv[2])
log = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
log.connect("/dev/log")
for number in range(start, start + count):
    sent = f"to=<eva@else.test>, relay=mx.else.test[192.0.2.8]:25, delay=0.2, delays=0.06/0.02/0.06/0.03, dsn=2.0.0, " \
        f"status=sent (250 2.0.0 Ok: queued as {number:06X}EEE)"
    for program, text in (
        ("smtpd", "client=mx.other.test[192.0.2.7]"),
        ("cleanup", f"message-id=<{number}.{number * 7919:x}@other.test>"),
        ("qmgr", f"from=<bo{number % 997}@other.test>, size=300, nrcpt=1 (queue active)"),
        ("smtp", sent),
        ("qmgr", "removed"),
    ):
        log.send(f"<22>postfix/{program}[{1000 + number % 3000}]: {number:06X}FC4A: {text}".encode())
"""
_UNLIMITED = "systemd-run --quiet --wait -p LogRateLimitIntervalSec=0 python3 /root/fill.py {count} {start}"
_SEND = (
    "printf 'From: {sender}\\nSubject: bench\\nMessage-ID: <needle-{size}@{domain}>\\n\\nhello\\n' "
    "| sendmail -f {sender} {recipient}; for i in $(seq 300); do "
    "journalctl -q -o cat -t dovecot -g 'needle-{size}@.*(saved|stored) mail' | grep -q . && break; sleep 0.2; done"
)
# Both by turns. What the agent says of itself comes on stderr when it ends.
_TURNS = """
import json, subprocess, sys, time
keys, rounds = json.load(open("/root/keys.json")), int(sys.argv[1])
told = {name: {"agent": [], "grep": [], "kB": 0, "records": 0} for name in keys}
for turn in range(rounds + 1):
    for name, pattern in keys.items():
        start = time.monotonic()
        subprocess.run(["journalctl", "-q", "--no-pager", "--grep", pattern], stdout=subprocess.DEVNULL)
        grep = time.monotonic() - start
        start = time.monotonic()
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        run = subprocess.Popen(["python3", "-I", "-u", "/root/agent.py"], **pipes)
        run.stdin.write(open(f"/root/{name}.job", "rb").read())
        run.stdin.flush()  # and stays open: its end is a lost controller
        out, err = run.stdout.read(), run.stderr.read()
        run.wait()
        agent = time.monotonic() - start
        lines = [line.split(b" ", 1)[1] for line in out.splitlines() if line.startswith(b"TAG {")]
        answer = next((m for m in map(json.loads, lines) if m["t"] == "maillog"), {"records": []})
        peak = next(int(line.split()[1]) for line in err.decode().splitlines() if line.startswith("VmHWM"))
        if turn:  # the first one warms the page cache
            told[name]["agent"].append(agent)
            told[name]["grep"].append(grep)
        told[name]["kB"] = max(told[name]["kB"], peak)
        told[name]["records"] = len(answer["records"])
print(json.dumps(told))
""".replace("TAG", _TAG)
_PEAK = """
import os as _os, sys as _sys
def _end(code, _really=_os._exit):
    _sys.stderr.write("".join(line for line in open("/proc/self/status") if line.startswith("VmHWM")))
    _sys.stderr.flush()
    _really(code)
_os._exit = _end
"""


def measure(folder: Path, rounds: int) -> list[str]:
    path = folder / "trace.yml"
    path.write_text(_inventory())
    read = load(path, SecretMode.IGNORE)
    from mailprov.desired import needed_packages

    packages = {host.name: needed_packages(read, host) for host in read.hosts}
    made = lab.up(read, name=NAME, packages=packages, emit=silent)
    lines = [
        "A message of the past (phase `trace`), found in the journal among other people's records:",
        "",
        "| host | others' records | key | n | `journalctl --grep`, s | agent, s | ratio | agent's peak | found |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    try:
        apply(made.inventory_path, "Done", "--only", "hosts")
        for host, release in RELEASES.items():
            before = 0
            for size in SIZES:
                lines += _of(made, host, release, before, size, rounds)
                before = size
    finally:
        lab.down(NAME, silent)
    return [*lines, ""]


def _of(made: lab.Lab, host: str, release: str, before: int, size: int, rounds: int) -> list[str]:
    domain = f"{host}.test"
    sender, recipient = (f"{user}@{domain}" for user in SIZES[size])
    _put(made, host, "/root/fill.py", _FILL.encode())
    half = (size - before) // 2
    _on(made, host, _UNLIMITED.format(count=half, start=before))
    _on(made, host, _SEND.format(domain=domain, size=size, sender=sender, recipient=recipient))
    _on(made, host, _UNLIMITED.format(count=half, start=before + half))
    message_id = f"<needle-{size}@{domain}>"
    told = _on(made, host, f"journalctl -q -o cat -g 'message-id={message_id}' | head -1")
    queue_id = told.partition(":")[0]
    keys = {
        "message_id": ({"message_ids": [message_id]}, message_id),
        "queue_id": ({"queue_ids": [queue_id]}, queue_id),
        "envelope": (
            {"from": sender, "to": recipient}, f"from=<{sender}>|to=<{recipient}>",
        ),
    }  # fmt: skip
    for name, (wanted, _pattern) in keys.items():
        job = {"tag": _TAG, "mode": "maillog", "owner": "bench", "keys": wanted}
        _put(made, host, f"/root/{name}.job", bundle.start_payload(job))
    _put(
        made,
        host,
        "/root/keys.json",
        json.dumps({name: pattern for name, (_, pattern) in keys.items()}).encode(),
    )
    _put(made, host, "/root/agent.py", (_PEAK + bundle.loader()).encode())
    _put(made, host, "/root/turns.py", _TURNS.encode())
    measured = json.loads(_on(made, host, f"python3 /root/turns.py {rounds}"))
    lines = []
    for name, each in measured.items():
        if not each["records"]:
            raise BenchFailed(f"bench: {host}: nothing was found by {name}")
        ratio = statistics.median(a / g for a, g in zip(each["agent"], each["grep"], strict=True))
        grep, agent = statistics.median(each["grep"]), statistics.median(each["agent"])
        lines.append(
            f"| {release} | {size:,} | {name.replace('_', '-')} | {rounds} | {grep:.2f} | {agent:.2f} | {ratio:.2f} "
            f"| {each['kB'] / 1024:.1f} MiB | {each['records']} |"
        )
    return lines


def _inventory() -> str:
    lines = ["filter: none", "hosts:"]
    for number, (host, release) in enumerate(RELEASES.items(), 1):
        lines.append(
            f"  {host}: {{address: 192.0.2.{number}, fqdn: {host}.{host}.test, lab: {{release: {release}}}}}"
        )
    lines.append("domains:")
    for host in RELEASES:
        users = "{ana: {password: {env: P}}, luis: {password: {env: P}}}"
        lines.append(f"  {host}.test: {{hosts: [{host}], accounts: {users}}}")
    return "\n".join(lines) + "\n"


def _put(made: lab.Lab, host: str, path: str, data: bytes) -> None:
    subprocess.run(made.ssh_argv(host, [f"cat > {path}"]), input=data, check=True, timeout=120)


def _on(made: lab.Lab, host: str, command: str) -> str:
    done = subprocess.run(
        made.ssh_argv(host, [command]), capture_output=True, text=True, check=False, timeout=900
    )
    if done.returncode:
        raise BenchFailed(f"bench: trace, on {host}: {done.stderr.strip()[-2000:]}")
    return done.stdout
