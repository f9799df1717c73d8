"""Talks to the real agent, sent by the real loader, in a process of its own.

pythons()               every interpreter from 3.8 on that is installed here: PATH and pyenv
state(**parts)          a HostState on the wire, empty but for `parts`
Agent(command, job)     started; send(), until(kind), end(), all messages in .messages
converse(...)           a whole run: desired, go → the messages
"""

from __future__ import annotations

import json
import os
import queue
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from mailprov.model.host_state import AccountEntry, AccountFile, Certificate, Directory, File, HostState
from mailprov.wire import bundle
from mailprov.wire.messages import decode_line, encode_control
from mailprov.wire.sentences import understood
from tests.agent.small import Fork

TAG = "0123456789abcdef"
DEADLINE = 180.0


@lru_cache(maxsize=1)
def pythons() -> list[str]:
    """One interpreter per minor version. None is started to ask: every test worker would ask all."""
    names = [f"python3.{minor}" for minor in range(8, 16)]
    root = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    places = [Path(path) for name in names if (path := shutil.which(name))]
    places += [path / "bin" / f"python{path.name.rpartition('.')[0]}" for path in sorted(root.glob("3.*.*"))]
    found = {place.name: str(place) for place in places if _is_program(place)}
    return [found[name] for name in names if name in found]


def _is_program(path: Path) -> bool:
    """It is there, and no script that picks a version by where it runs."""
    if not path.is_file():
        return False
    with path.open("rb") as stream:
        return stream.read(2) != b"#!"


def me() -> tuple[str, str]:
    """User and group that own what the agent writes in a test."""
    import grp
    import pwd

    return pwd.getpwuid(os.geteuid()).pw_name, grp.getgrgid(os.getegid()).gr_name


def file(path: str, content: str, **more: Any) -> File:
    owner, group = me()
    return File(path, content, **{"owner": owner, "group": group, **more})


def directory(path: str, mode: str = "0755") -> Directory:
    owner, group = me()
    return Directory(path, owner, group, mode)


def account_file(path: str, *entries: AccountEntry, mode: str = "0640") -> AccountFile:
    owner, group = me()
    return AccountFile(path, entries, owner, group, mode)


def state(**parts: Any) -> dict[str, Any]:
    return json.loads(json.dumps(HostState(host="mx1", hostname="mx1.alpha.test", **parts).to_wire()))


def whole_state() -> dict[str, Any]:
    """Some of everything that can be done under a root."""
    names = ("mx1.alpha.test", "mail.alpha.test")
    key = "-----BEGIN PRIVATE KEY-----\nMIIsecretsecretsecret\n"
    quota = "userdb_quota_rule=*:storage=3K"
    return state(
        directories=(directory("/var/vmail", "0750"),),
        certificates=(Certificate(names, "/etc/tls/mx1.pem", "/etc/tls/mx1.key"),),
        files=(
            file("/etc/postfix/main.cf", "myhostname = mx1.alpha.test\n"),
            file("/etc/postfix/virtual", "ana@alpha.test ana\n", mode="0640"),
            file(
                "/etc/keys/dkim.pem",
                key,
                secret=True,
                mode="0600",
            ),
        ),
        account_files=(
            account_file(
                "/etc/dovecot/users",
                AccountEntry("ana@alpha.test", password="un gato: {raro} é#"),
                AccountEntry(
                    "luis@alpha.test",
                    hash="{SHA512-CRYPT}$6$abc$def",
                    fields=quota,
                ),
            ),
        ),
    )


def job(root: str, mode: str = "apply", **more: Any) -> dict[str, Any]:
    return {
        "tag": TAG,
        "mode": mode,
        "owner": "ana@laptop mailprov apply",
        "packages": [],
        "root": root,
        "take_over_host": True,
        **more,
    }


class Agent:
    """A running agent. `command` is the interpreter; None is a fork of a process that has one ready.

    `before` is a test's own code that runs in the agent's process first: a fault to inject. After a message
    of kind `deaf_after` nobody reads the agent's stdout any more: its next write is an EPIPE.
    """

    def __init__(
        self, command: Sequence[str] | None, work: dict[str, Any], before: str = "", deaf_after: str = ""
    ) -> None:
        if command is None:
            self.process: Any = Fork(work, before)
        else:
            program = before + ("\n" if before else "") + bundle.loader()
            self.process = subprocess.Popen(
                [*command, "-I", "-u", "-c", program],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
        self.messages: list[dict[str, Any]] = []
        self.noise: list[str] = []
        self.arrived: list[float] = []
        self._deaf_after = deaf_after
        self._queue: queue.Queue[dict[str, Any] | None] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()
        if command is not None:
            self._write(bundle.start_payload(work))

    def _write(self, data: bytes) -> None:
        assert self.process.stdin
        try:
            self.process.stdin.write(data)
            self.process.stdin.flush()
        except BrokenPipeError:
            pass

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            message = decode_line(line, TAG)
            if message is not None:
                message = understood(message)
            if message is None:
                self.noise.append(line.decode("utf-8", "replace"))
            else:
                self.arrived.append(time.monotonic())
                if message["t"] == self._deaf_after:
                    self.process.stdout.close()  # before anybody can answer to it
                    self._queue.put(message)
                    return
                self._queue.put(message)
        self._queue.put(None)

    def send(self, t: str, **fields: Any) -> None:
        self._write(encode_control({"t": t, **fields}))

    def hang_up(self) -> None:
        """End of file on the agent's stdin: the controller is lost."""
        assert self.process.stdin
        self.process.stdin.close()

    def next(self) -> dict[str, Any] | None:
        message = self._queue.get(timeout=DEADLINE)
        if message is not None:
            self.messages.append(message)
        return message

    def until(self, *kinds: str) -> dict[str, Any]:
        """The next message of these kinds, or `end` when that comes first."""
        while True:
            message = self.next()
            assert message is not None, f"the agent died: {self.stderr()}"
            if message["t"] in (*kinds, "end"):
                return message

    def go(self, desired: dict[str, Any]) -> dict[str, Any]:
        """Facts, desired, plan, go. Returns the plan (or the end)."""
        if self.until("facts")["t"] == "end":
            return self.messages[-1]
        self.send("desired", state=desired)
        plan = self.until("plan")
        if plan["t"] == "plan":
            self.send("go", fingerprint=plan["fingerprint"])
        return plan

    def end(self) -> dict[str, Any]:
        """The last message; the process must then end by itself with code 0."""
        message = (
            self.messages[-1] if self.messages and self.messages[-1]["t"] == "end" else self.until("end")
        )
        assert self.process.wait(DEADLINE) == 0, self.stderr()
        self.close()
        return message

    def died(self) -> int:
        """Drains the messages of an agent that was killed; its exit code."""
        while self.next() is not None:
            pass
        code = self.process.wait(DEADLINE)
        self.close()
        return code

    def stderr(self) -> str:
        assert self.process.stderr
        return self.process.stderr.read().decode("utf-8", "replace")

    def close(self) -> None:
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            try:
                if stream:
                    stream.close()
            except OSError:
                pass


def converse(
    root: Path | str,
    desired: dict[str, Any],
    *,
    python: str = "",
    mode: str = "apply",
    before: str = "",
    **more: Any,
) -> list[dict[str, Any]]:
    """A whole run on a root; its messages, the last being `end`. Without `python` no interpreter is started for it.

    `more` goes into the job, such as `accept_drift=True`.
    """
    agent = Agent([python] if python else None, job(str(root), mode, **more), before)
    agent.go(desired)
    agent.end()
    return agent.messages


def of_kind(messages: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [message for message in messages if message["t"] == kind]


def snapshot(root: Path, without: str = r"/run(/mailprov(/lock)?)?$") -> dict[str, Any]:
    """Everything about every path below: type, mode, owner, inode, times, content."""
    seen: dict[str, Any] = {}
    for path in sorted(root.rglob("*")):
        name = "/" + str(path.relative_to(root))
        if re.search(without, name):
            continue
        stat = path.lstat()
        content = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
        seen[name] = (
            stat.st_mode,
            stat.st_uid,
            stat.st_gid,
            stat.st_ino,
            stat.st_mtime_ns,
            stat.st_ctime_ns,
            content,
        )
    return seen


def contents(
    root: Path, without: str = r"^/var(/lib(/mailprov.*)?)?$|^/run(/mailprov.*)?$"
) -> dict[str, Any]:
    """As `snapshot` for what serves: no inodes and times, and not the agent's own records."""
    return {name: (values[:3], values[-1]) for name, values in snapshot(root, without).items()}
