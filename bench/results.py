"""What the bench found, as text: verdicts on the bounds first, then every row, then how it was measured."""

from __future__ import annotations

import itertools
import os
import platform
import subprocess
import time
from pathlib import Path

from bench import cpu, demo
from bench.measure import Need, Table
from bench.peers import VERSIONS
from mailprov import __version__

NEEDS = (
    Need("mailprov --version", "empty Python", 2, "`mailprov --version`, of an empty Python"),
    Need("mailprov --help", "empty Python", 2, "`mailprov --help`, of an empty Python"),
    Need("cpu: plan, hosts alone", "cpu: ssh true", 2, "no-change plan of one host, of a cold `ssh HOST true`"),
    Need("first install: mailprov", "first install: bare apt-get", 1.10, "first install, of bare apt-get"),
    Need("first install: mailprov", "first install: pyinfra", 1, "first install, of pyinfra"),
    Need("first install: mailprov", "first install: ansible", 1, "first install, of Ansible"),
    *(
        Need(f"{work}, {where}: mailprov", f"{work}, {where}: {peer}", 1 / bound, f"{work}, {where}, of {name}")
        for work in ("no change", "one alias")
        for where, bounds in (("near", (20, 8)), ("100 ms away", (25, 10)))
        for (peer, name), bound in zip((("ansible", "Ansible"), ("pyinfra", "pyinfra")), bounds, strict=True)
    ),
    Need("10,000 accounts, no change: mailprov", "10 accounts, no change: mailprov", 2, "10,000 accounts, of 10"),
    Need("1,000 domains, no change: mailprov", "10 domains, no change: mailprov", 2, "1,000 domains, of 10"),
    *(
        Need(f"{work}: mailprov, no filter", f"{work}: stock", 1 / 0.9, f"{work}, time of the stock configuration")
        for work in ("mail in", "submitted and read")
    ),
)  # fmt: skip

_HOW = """\
## How it was measured, and what not to read into it

- The hosts are systemd-nspawn machines of `mailprov lab` **on the same cores** as the controller. Their disks do not
  wait for the medium (a lab's overlay does not sync), which makes installing quicker than on a real host for every
  tool alike.
- All tools reach the same end state: the peers' play and deploy are generated from mailprov's own desired state of that
  host (packages, user, directories, files with owner and mode, services). mailprov also runs the daemons' checkers
  before a reload and reads the state again after it; the peers' descriptions do not. DNS and verification are left out.
- Best settings of the peers: Ansible with pipelining, forks, the interpreter named, no facts gathered; pyinfra with a
  cache time on apt's update.
- The demo's steps are single commands; its first apply also publishes DNS records. Wanted times are those of the lab.
- Every connection is cold, also Ansible's: its control sockets end with each run. Someone who runs it twice within
  a minute sees it a little faster.
- Every no-change run was checked to have changed nothing, every alias to have been written.
- 100 ms: a proxy in front of the host's sshd that delays each direction by 50 ms; bandwidth is not limited.
- Tools take turns; what counts is the median of the rounds' ratios. With a few rounds the span says how far to trust
  it.
- Many hosts share the controller's cores, so their wall time is no fleet's. The controller's CPU and memory are the
  honest figures.
- The simulated hosts are one real sshd of this machine with the real agent in a temporary root for each host; packages,
  users and services are left out there, because under a root the agent refuses them.
- The load average counts everything on the machine. Where others use its cores, mailprov suffers more in ratio than
  peers that mostly wait: its no-change run is three quarters CPU of the controller, pyinfra's a fifth.
- Load: the clients run on the host itself, and all on the same cores. A stock host and three provisioned ones take
  turns and get the same messages: 500 of 4 KiB for ten mailboxes, one session each, into port 25, and 4 people who each
  submit a message on 587 and fetch and delete it on 993, 10 times. Times end when the last message is in its Maildir.
  The stock host limits no mailbox, checks no sender and signs nothing; the one that is compared limits none either, and
  what limits (counted at RCPT and when a message is stored) and the filter cost
  (Rspamd, without the DNS blocklists, of which there are none here) is shown beside it.
- Hosts of 0.1.0 (`since`) are those of tests/lab/hosts_of_0_1_0: in each round all is measured, this version applied,
  all measured again, and that apply rolled back. Memory is the sum of all processes' PSS (proc(5)) with 50 clients on
  port 587 that have said EHLO, less that without them. Mail with ten recipients each is as many deliveries in a tenth
  of the messages; all in one mailbox, so Dovecot's limit for one user is raised on both.
- Rounds and questions (`zones`) are counted in the program, before BIND on a loopback port; 0.1.0's once, on its code.
- CPU and peak memory are of the command's process and of the children it waited for, peak that of the largest one
  and never below the bench's own size (about 55 MiB), which the kernel counts before the command begins.
"""


def write(
    table: Table, path: Path, *, full: bool, minutes: float, failed: list[str], more: list[str]
) -> None:
    """Also printed. `more`: tables that phases have made themselves."""
    verdicts = [line for need in NEEDS if (line := need.line(table))]
    text = "\n".join(
        [
            f"# Results of {time.strftime('%d %B %Y')}",
            "",
            f"`make bench{' FULL=1' if full else ''}`, {minutes:.0f} minutes. "
            f"mailprov {__version__}, {', '.join(VERSIONS)}; {_machine()}, {_load(table)}.",
            "",
            *(f"**Not measured whole**: {each}\n" for each in failed),
            "| bound | wanted at most | seen | |",
            "|---|---|---|---|",
            *verdicts,
            "",
            *cpu.lines(table),
            *demo.lines(table),
            *more,
            *_fleet(table),
            table.markdown(),
            "",
            _HOW,
        ]
    )
    print("\n" + text)
    path.write_text(text)


def _fleet(table: Table) -> list[str]:
    """CPU and memory for each further host: flat when these do not grow."""
    counts = [int(name.split()[0]) for name in table.rows if "simulated hosts" in name]
    rows = {count: f"{count} simulated hosts, no change: mailprov" for count in counts}
    lines = []
    for less, more in itertools.pairwise(counts):
        cpu = (table.cpu(rows[more]) - table.cpu(rows[less])) / (more - less) * 1000
        peak = (table.peak(rows[more]) - table.peak(rows[less])) / (more - less)
        lines.append(
            f"From {less} to {more} simulated hosts: {cpu:.0f} ms of CPU and {peak:.2f} MiB for each further host."
        )
    return [*lines, ""] if lines else []


def _machine() -> str:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    ssh = subprocess.run(["ssh", "-V"], capture_output=True, text=True, check=False).stderr.split(",")[0]
    return (
        f"{platform.system()} {platform.release()}, {os.cpu_count()} cores, {memory:.0f} GiB, "
        f"Python {platform.python_version()}, {ssh}"
    )


def _load(table: Table) -> str:
    """Hosts and controller alone make a load of one to three; more than that comes from others."""
    if not table.loads:
        return "nothing measured"
    return f"load average {min(table.loads):.1f}–{max(table.loads):.1f} during the runs"
