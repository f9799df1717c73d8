"""systemd units: their state, enabling, starting, reloading, and the proof that their ports listen.

    states(units) -> {unit: State}          one `systemctl show` for all
    listening() -> set of ports             TCP, from /proc/net/tcp and tcp6; and paths of Unix sockets
    enable, act, wait_for_ports, check      AgentError with the daemon's own words when it does not come up
    disable, stop                           for a rollback; stop waits until the ports are closed
    snapshot(spec, …)                       how a unit is now, for the journal

act(spec, verb) does start, reload (by the unit's own command where it has one) or restart.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
import time
from typing import Any, Dict, List, NamedTuple, Sequence, Set, Union

from mailprov.agent import commands
from mailprov.agent.errors import AgentError
from mailprov.agent.sentences import N_, _

PORT_DEADLINE = 30.0  # seconds after a stop; after a start, unless the spec has its own `patience`
# What the two daemons say of a name that they do not know, and where such a name comes from.
_UNKNOWN = (
    (re.compile(r"master\.cf: unused parameter: ([^=\s]+)"), "Postfix", "postfix.master_cf"),
    (re.compile(r"unused parameter: ([^=\s]+)"), "Postfix", "postfix.main_cf"),
    (re.compile(r"Unknown setting: (\S+)"), "Dovecot", "dovecot.settings"),
)
_DID_NOT = {
    "start": N_("{unit} did not start"),
    "reload": N_("{unit} did not reload"),
    "restart": N_("{unit} did not restart"),
}
_NOT_UP = {
    "start": N_("{unit} has not come up after its start; ports not listening: {ports}"),
    "reload": N_("{unit} has not come up after its reload; ports not listening: {ports}"),
    "restart": N_("{unit} has not come up after its restart; ports not listening: {ports}"),
}
_ACCEPTS = "00010000"  # the flags of a socket that listens (__SO_ACCEPTCON)
RELOAD_DEADLINE = 10.0  # seconds after which a reload that opened no port becomes a restart


class State(NamedTuple):
    """systemctl show: LoadState, ActiveState, UnitFileState."""

    load: str
    active: str
    enabled: str

    @property
    def runs(self) -> bool:
        return self.active in ("active", "reloading", "activating")

    @property
    def starts_at_boot(self) -> bool:
        # static, indirect, alias and generated units cannot be enabled; something else starts them.
        return self.enabled not in ("disabled", "masked", "masked-runtime", "bad", "")


def states(units: Sequence[str]) -> Dict[str, State]:
    """The state of each unit; one that does not exist has load "not-found"."""
    if not units:
        return {}
    argv = ["systemctl", "show", "--property=LoadState,ActiveState,UnitFileState", "--", *units]
    outcome = commands.run(argv)
    blocks = outcome.out.strip("\n").split("\n\n")
    if outcome.code != 0 or len(blocks) != len(units):
        raise AgentError(
            _("systemctl show did not report the state of the services"),
            _("look at the output"),
            outcome.lines(),
        )
    found = {}
    for unit, block in zip(units, blocks):  # noqa: B905 (strict= is Python 3.10)
        values = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        load, active = values.get("LoadState", ""), values.get("ActiveState", "")
        found[unit] = State(load, active, values.get("UnitFileState", ""))
    return found


def listening() -> Set[Union[int, str]]:
    """TCP ports in state LISTEN (0A) on any address, and the paths of sockets that take connections (proc(5))."""
    ports: Set[Union[int, str]] = set()
    for path in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            with open(path, encoding="ascii") as file:
                next(file, None)
                for line in file:
                    fields = line.split()
                    if fields[3] == "0A":
                        ports.add(int(fields[1].rpartition(":")[2], 16))
        except OSError:
            continue
    with contextlib.suppress(OSError), open("/proc/net/unix", encoding="utf-8", errors="replace") as file:
        for line in file:
            words = line.split(None, 7)
            if len(words) == 8 and words[3] == _ACCEPTS:
                ports.add(words[7].rstrip("\n"))
    return ports


def door(port: Union[int, str]) -> str:
    """A port or a socket, in words."""
    return _("port {port}").format(port=port) if isinstance(port, int) else str(port)


def check(spec: Dict[str, Any], prefix: Sequence[str] = ()) -> None:
    """The daemon's own checkers, on the configuration that commands behind `prefix` see, then those of its tables.

    AgentError with their words.
    """
    for argv in [*spec["checks"], *(argv for _table, argv in spec.get("tables", ()))]:
        outcome = commands.run_on_terminal([*prefix, *argv], timeout=120)
        complaint = spec["quiet_checks"] and outcome.err.strip()
        if outcome.code != 0 or complaint:
            raise _refused(spec["unit"], argv, outcome)


def _refused(unit: str, argv: Sequence[str], outcome: commands.Outcome) -> AgentError:
    what = _("the new configuration of {unit} is not accepted").format(unit=unit)
    text = outcome.out + outcome.err
    for pattern, daemon, key in _UNKNOWN:
        names = list(dict.fromkeys(pattern.findall(text)))
        if names:
            listed = ", ".join(f"`{name}`" for name in names)
            return AgentError(
                _("{daemon} does not know {names} ({key}): {what}").format(
                    daemon=daemon, names=listed, key=key, what=what
                ),
                _("correct the name there or in the host's own file of local settings"),
                outcome.lines(),
            )
    seen = _("`{command}` printed a warning: {what}")
    if outcome.code:
        seen = _("`{command}` ended with code {code}: {what}")
    seen = seen.format(command=_command(argv), code=outcome.code, what=what)
    return AgentError(seen, _("fix what the output names"), outcome.lines())


def _command(argv: Sequence[str]) -> str:
    """As an administrator would type it, without the shell around it."""
    if list(argv[:2]) == ["sh", "-c"]:
        return re.split(r" (?:\d?>|&&)", argv[2])[0]
    return " ".join(argv)


def enable(unit: str) -> None:
    """Start at boot. Packages usually have done it, and systemctl enable is slow with an init script."""
    if states([unit])[unit].starts_at_boot:
        return
    outcome = commands.run(["systemctl", "enable", "--", unit])
    if outcome.code != 0:
        raise AgentError(
            _("{unit} cannot be enabled").format(unit=unit), _("look at the output"), outcome.lines()
        )


def disable(unit: str) -> None:
    """Do not start at boot."""
    outcome = commands.run(["systemctl", "disable", "--", unit])
    if outcome.code != 0:
        raise AgentError(
            _("{unit} cannot be disabled").format(unit=unit), _("look at the output"), outcome.lines()
        )


def stop(unit: str, ports: Sequence[Union[int, str]]) -> None:
    """AgentError, then wait until none of these ports listens any more."""
    outcome = commands.run(["systemctl", "stop", "--", unit], timeout=180)
    if outcome.code != 0:
        raise _failed(unit, _("{unit} did not stop").format(unit=unit), outcome.lines(8))
    deadline = time.monotonic() + PORT_DEADLINE
    while set(ports) & listening() or _busy(unit):
        if time.monotonic() > deadline:
            still = ", ".join(str(port) for port in sorted(set(ports) & listening()))
            what = _("{unit} was stopped and these ports still listen: {ports}")
            raise _failed(unit, what.format(unit=unit, ports=still or _("none")), [])
        time.sleep(0.05)
    commands.run(["systemctl", "reset-failed", "--", *_family(unit)])


def snapshot(spec: Dict[str, Any], verb: str, state: State, ports: Set[Union[int, str]]) -> Dict[str, Any]:
    """What a rollback must know: how the unit is before this run, and how it reads its files again."""
    return {
        "spec": spec,
        "verb": verb,
        "load": state.load,
        "enabled": state.starts_at_boot,
        "runs": state.runs,
        "listening": sorted(set(spec["ports"]) & ports),
    }


def reload_systemd() -> None:
    """Make systemd read unit files again."""
    commands.run(["systemctl", "daemon-reload"])


def act(spec: Dict[str, Any], verb: str) -> None:
    """start, reload or restart, then wait until the ports listen."""
    unit = spec["unit"]
    argv = ["systemctl", verb, "--", unit]
    if verb == "reload" and spec["reload"]:
        argv = list(spec["reload"])
    if verb != "reload":
        # A unit that failed often is refused further starts until its counter is reset.
        commands.run(["systemctl", "reset-failed", "--", *_family(unit)])
        for path in spec.get("stale_sockets", ()):
            _remove_socket(path)
    outcome = commands.run(argv, timeout=180)
    if outcome.code != 0 and verb == "restart":
        # After an upgrade of the system the old unit's instance still runs, and the new unit conflicts with it (Postfix
        # from Debian 12 to 13): one transaction cannot stop the one and start the other.
        commands.run(["systemctl", "stop", "--", *_family(unit)], timeout=180)
        outcome = commands.run(["systemctl", "start", "--", unit], timeout=180)
    if outcome.code != 0:
        raise _failed(unit, _(_DID_NOT[verb]).format(unit=unit), outcome.lines(8))
    if verb == "reload" and not wait_for_ports(unit, spec["ports"], RELOAD_DEADLINE):
        act(spec, "restart")
        return
    if not wait_for_ports(unit, spec["ports"], spec.get("patience", PORT_DEADLINE)):
        missing = ", ".join(str(port) for port in sorted(set(spec["ports"]) - listening())) or _("none")
        what = _(_NOT_UP[verb]).format(unit=unit, ports=missing)
        raise _failed(unit, what, [])


def _remove_socket(path: str) -> None:
    """Nothing but a socket is removed; a unit that still needs this one makes it anew when it starts."""
    try:
        if stat.S_ISSOCK(os.lstat(path).st_mode):
            os.unlink(path)
    except FileNotFoundError:
        pass


def wait_for_ports(unit: str, ports: Sequence[Union[int, str]], seconds: float) -> bool:
    """Poll until all ports listen and systemd has no job left for the unit or its instances.

    Without the second condition the old daemon, still on its way out in postfix@-.service, would count.
    """
    deadline = time.monotonic() + seconds
    while True:
        busy = _busy(unit)
        if not busy and not set(ports) - listening():
            return True
        if time.monotonic() > deadline or (not busy and _has_failed(unit)):
            return False
        time.sleep(0.05)


def _family(unit: str) -> List[str]:
    """The unit and its instances, as patterns: Debian 12 runs Postfix as postfix@-.service."""
    return [unit, f"{unit.partition('.')[0]}@*.service"]


def _busy(unit: str) -> bool:
    """Whether systemd still has a job to do for it."""
    return bool(commands.run(["systemctl", "list-jobs", "--no-legend", "--plain", "--", *_family(unit)]).out)


def _has_failed(unit: str) -> bool:
    argv = ["systemctl", "list-units", "--failed", "--no-legend", "--plain", "--", *_family(unit)]
    return bool(commands.run(argv).out.strip())


def _failed(unit: str, what: str, output: List[str]) -> AgentError:
    argv = ["systemctl", "status", "--no-pager", "--full", "--lines=15", "--", *_family(unit)]
    return AgentError(
        what,
        _(
            "fix what its log reports and apply again; the configuration passed the daemon's own check and stays"
        ),
        [*output, *commands.run(argv).lines(40)],
    )
