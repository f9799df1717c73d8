"""Lays copies over main.cf and master.cf for a short time, and takes them away again, whatever happens.

    DIRECTORY                                 in memory: the copies, the tables, and the two scripts
    guard(seconds, owner)                     first of all: the host itself tidies up when that time is over
    turn_on(services, queue, seconds, owner)  AgentError, and nothing is changed, where the host does not allow it
    take_back(sockets)                        also what a kill or a loss of power left; does nothing where nothing is
    is_on() -> bool

Nothing on the disk is changed: the copies lie over the files by bind mounts (mount(8)), read only, so an editor is
refused and no edit is lost. The mounts belong to a transient unit of systemd, which lives in memory as well. When it
ends, its ExecStopPost takes everything back: because this program stops it, because its time is over (its main
process is a sleep of so many seconds), because that was killed, or because the host shuts down. A loss of power ends
mounts and unit with everything else, and leaves the clones' sockets in Postfix's queue, which nobody uses: those the
next run removes.

Until that unit begins nothing is in force, and there are the copies and a journal. These a second unit takes away, the
guard, which begins before them and needs no file: for the case that everybody is killed before there is more.

Postfix is told by SIGHUP, as `postfix reload` tells it; sessions go on. Twice each way: a client must be there before
mail is routed to it, and nothing may be routed to it when it goes.

Raises AgentError.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
from typing import List, Sequence

from mailprov.agent import commands, files
from mailprov.agent.errors import AgentError
from mailprov.agent.sentences import _
from mailprov.agent.verbose.clones import CONFIGURATION, PREFIX

DIRECTORY = "/run/mailprov/wire"
UNIT = "mailprov-wire.service"
GUARD = "mailprov-wire-guard.service"
QUEUE = "/var/spool/postfix"  # where nothing says otherwise
_JOURNAL = files.STATE + "/journal"
_LAID = re.compile(r" \S*/mailprov/wire/(?:main|master)\.cf \S+ ")  # mountinfo: what is mounted, and where

# What both have: paths, telling Postfix, and whether a copy lies over a file.
_COMMON = r"""
directory={directory} main={main} master={master} queue={queue}
tell() {{
  read -r pid < "$queue/pid/master.pid" && [ "$(cat "/proc/$pid/comm")" = master ] && kill -HUP "$pid"
}}
lies() {{ grep -q " [^ ]*/mailprov/wire/$1 $2 " /proc/self/mountinfo; }}
"""
_ON = r"""set -eu
lay() {{ mount --bind "$directory/$1" "$2" && mount -o remount,bind,ro "$2"; }}
lay master.cf "$master"
tell
for each in {services}; do
  tries=0
  until grep -q "private/$each\$" /proc/net/unix; do
    tries=$((tries + 1))
    [ "$tries" -lt 100 ] || exit 1
    sleep 0.1
  done
done
lay main.cf "$main"
tell
sleep 0.5
"""
_OFF = r"""
for each in main master; do
  eval "place=\$$each"
  if lies "$each.cf" "$place"; then
    umount -l "$place"
    tell
    sleep 0.5
  fi
done
tries=0
while grep -q private/{prefix} /proc/net/unix && [ "$tries" -lt 50 ]; do
  tries=$((tries + 1))
  sleep 0.1
done
rm -f "$queue"/private/{prefix}*
grep -qs '^{{"r": "begin".*"kind": "wire"' {journal}/log && rm -rf {journal}
rm -rf "$directory"
"""

# Within double quotes, as systemd reads them (systemd.service(5), Command lines); $ would mean something to it.
_GUARD = (
    r"systemctl stop {unit}; grep -qs '^{{\"r\": \"begin\".*\"kind\": \"wire\"' {journal}/log && rm -rf {journal}; "
    "rm -rf {directory}"
)
_AFTER = 30  # seconds that each waits longer than the one before it


def guard(seconds: int, owner: str) -> None:
    """One that an earlier run left is stopped before, and so tidies up."""
    commands.run(["systemctl", "stop", GUARD], timeout=120)
    script = _GUARD.format(unit=UNIT, journal=_JOURNAL, directory=DIRECTORY)
    argv = ["systemd-run", "--quiet", "--collect", f"--unit={GUARD}"]
    argv += [f"--description=Tidies up after mailprov trace --wire, {owner}"]
    argv += [f'--property=ExecStopPost=/bin/sh -c "{script}"', "--property=TimeoutStopSec=120"]
    done = commands.run([*argv, "sleep", str(seconds + _AFTER)], timeout=90)
    if done.code:
        raise _impossible(done.lines())


def turn_on(services: Sequence[str], queue: str, seconds: int, owner: str) -> None:
    """The copies are in DIRECTORY already (clones.make)."""
    values = {
        "directory": DIRECTORY,
        "queue": shlex.quote(queue),
        "main": shlex.quote(_real("main.cf")),
        "master": shlex.quote(_real("master.cf")),
        "services": " ".join(services),
        "prefix": PREFIX,
        "journal": _JOURNAL,
    }
    for name, script in (("on", _COMMON + _ON), ("off", _COMMON + _OFF)):
        text = script.format(**values).encode("utf-8")
        files.write(os.path.join(DIRECTORY, name), text, 0o700, sync=False)
    argv = ["systemd-run", "--quiet", "--collect", f"--unit={UNIT}"]
    argv += [f"--description=Postfix tells more for mailprov trace --wire, {owner}"]
    for unit in ("postfix.service", "postfix@-.service"):  # at a shutdown this one ends before Postfix
        argv.append(f"--property=After={unit}")
    argv += [
        f"--property=ExecStartPre=/bin/sh {DIRECTORY}/on",
        f"--property=ExecStopPost=/bin/sh {DIRECTORY}/off",
        f"--property=RuntimeMaxSec={seconds + _AFTER}",
        "--property=TimeoutStopSec=60",
    ]
    done = commands.run([*argv, "sleep", str(seconds)], timeout=90)
    if done.code or not _seen_by_postfix(queue):
        take_back(queue)
        raise _impossible(done.lines())


def _impossible(lines: Sequence[str]) -> AgentError:
    return AgentError(
        _("Postfix cannot be made to tell more on this host for a moment: it stays as it was"),
        _("leave --wire out; the trace shows what its log says"),
        lines,
    )


def _real(name: str) -> str:
    return os.path.realpath(f"{CONFIGURATION}/{name}")


def _seen_by_postfix(queue: str) -> bool:
    """Postfix's unit may have a view of its own of the file system (systemd.exec(5), ProtectSystem)."""
    try:
        with open(f"{queue}/pid/master.pid", encoding="ascii") as file:
            pid = int(file.read())
        with open(f"/proc/{pid}/root{_real('main.cf')}", "rb") as laid:
            theirs = laid.read()
    except (OSError, ValueError):
        return False
    return theirs == files.read(os.path.join(DIRECTORY, "main.cf"))


def is_on() -> bool:
    with open("/proc/self/mountinfo", encoding="utf-8", errors="replace") as file:
        return any(_LAID.search(line) for line in file)


def take_back(queue: str) -> None:
    """`queue`: Postfix's queue directory. Whoever else takes it back at the same time does no harm."""
    commands.run(["systemctl", "stop", UNIT, GUARD], timeout=120)
    script = os.path.join(DIRECTORY, "off")
    if os.path.exists(script):  # the unit had never begun, or did not come to its end
        commands.run(["/bin/sh", script], timeout=60)
    for path in _sockets(queue):
        files.remove(path)
    shutil.rmtree(DIRECTORY, ignore_errors=True)
    if is_on():
        raise AgentError(
            _("{path} is still laid over Postfix's configuration").format(path=DIRECTORY),
            _("on the host: umount -l /etc/postfix/main.cf /etc/postfix/master.cf && postfix reload"),
        )


def _sockets(queue: str) -> List[str]:
    folder = os.path.join(queue, "private")
    try:
        return [os.path.join(folder, name) for name in os.listdir(folder) if name.startswith(PREFIX)]
    except OSError:
        return []
