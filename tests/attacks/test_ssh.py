"""Hostile SSH servers: jump hosts that want keys, passwords and the way to the host behind them, hosts that are not the host,
servers that say what no server should and end at the worst moment. Real connections on loopback, by mailprov's own client
and by the ssh program; and real OpenSSH jump hosts, two hops.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import paramiko
import pytest
from paramiko.common import OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED

from mailprov.errors import MailprovError
from mailprov.model.inventory import Host, SshSettings, Tls, Transport
from mailprov.model.jumps import parse_jumps
from mailprov.model.secret import Secret
from tests.attacks.hostile_ssh import Hostile
from tests.attacks.tries import Tries, some
from tests.lab.sshd import Sshd, make_key
from tests.lab.starting import start
from tests.lab.test_transport import echo, job

__all__ = ["echo"]  # a fixture: a small agent in place of the real one
pytestmark = pytest.mark.usefixtures("echo")

LOGIN, BECOME, PASSPHRASE = "login-s3cret", "become-s3cret", "passphrase-s3cret"
SECRETS = (LOGIN, BECOME, PASSPHRASE)


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> dict[str, paramiko.PKey]:
    folder = tmp_path_factory.mktemp("keys")
    made: dict[str, paramiko.PKey] = {}
    for name, kind in (("one", "ed25519"), ("two", "ed25519"), ("curve", "ecdsa"), ("rsa", "rsa")):
        path = make_key(folder / name, kind)
        made[name] = paramiko.PKey.from_path(path)
    return made


@pytest.fixture(scope="module")
def login(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_key(tmp_path_factory.mktemp("login") / "id")


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_key(tmp_path_factory.mktemp("locked") / "id", passphrase=PASSPHRASE)


def host(known: Path, port: int, identity: Path, transport: Transport, **more: Any) -> Host:
    settings: dict[str, Any] = {
        "user": "ops", "port": port, "identity_file": identity, "known_hosts": known, "transport": transport,
        "passphrase": Secret("env:P", PASSPHRASE), "become_password": Secret("env:B", BECOME), "ignore_config": True,
        **({"password": Secret("env:L", LOGIN)} if transport is Transport.BUILTIN else {}), **more,
    }  # fmt: skip
    return Host("mx1", "127.0.0.1", "mx1.alpha.test", SshSettings(**settings), Tls())


def attempt(target: Host) -> tuple[str, float]:
    """What a start of the agent ends with, in words, and in how many seconds; "" when it began."""
    began = time.monotonic()
    try:
        channel = start(target, job(), connect_timeout=5)
        try:
            channel.send({"t": "go"})
            list(channel.messages())
        finally:
            channel.close()
        return "", time.monotonic() - began
    except MailprovError as error:
        return str(error), time.monotonic() - began


def said_well(text: str) -> bool:
    """One sentence that a terminal does not obey, without a secret."""
    return (
        bool(text)
        and text.isprintable()
        and len(text) < 2000
        and not any(secret in text for secret in SECRETS)
    )


BOTH = (Transport.BUILTIN, Transport.OPENSSH)
METHODS = (
    "publickey",
    "password",
    "keyboard-interactive",
    "password,keyboard-interactive",
    "publickey,password",
    "gssapi-with-mic",
    "",
)


def test_an_unknown_or_changed_host_learns_nothing(
    tmp_path: Path, keys: dict[str, paramiko.PKey], login: Path, locked: Path, tries: Tries
) -> None:
    """It accepts everything and is not the host: not a login may come, not even a user's name."""
    every = list(itertools.product(BOTH, keys, ("none", "other", "pin"), (login, locked)))
    for number, (transport, name, known_as, identity) in enumerate(some(every, 10)):
        with Hostile(keys[name], accepts=("none", "publickey", "password", "keyboard-interactive")) as server:
            known = tmp_path / f"known{number}"
            other = keys["two" if name == "one" else "one"]
            known.write_text(
                ""
                if known_as != "other"
                else server.line.split(" ")[0] + f" {other.get_name()} {other.get_base64()}\n"
            )
            pin = {"host_key": "SHA256:" + "A" * 43} if known_as == "pin" else {}
            said, _ = attempt(host(known, server.port, identity, transport, **pin))
            tries.held(
                (transport, name, known_as), said_well(said) and not server.heard, (said, server.heard)
            )


def test_a_jump_host_gets_no_password(
    tmp_path: Path, keys: dict[str, paramiko.PKey], login: Path, locked: Path, tries: Tries
) -> None:
    """The bastion is known, and in an attacker's hands. What is the host's is not told to it, in whatever way it asks."""
    questions = (
        (("Password: ", False),),
        (("sudo password for ops: ", False), ("Passphrase: ", True)),
        (),
        (("x" * 5000, True),) * 3,
    )
    every = list(itertools.product(BOTH, METHODS, questions, ((), ("publickey",), ("none",))))
    for number, (transport, allowed, asked, half) in enumerate(some(every, 10)):
        with Hostile(keys["one"], allowed=allowed, questions=asked, half_accepts=half) as jump:
            known = tmp_path / f"known{number}"
            known.write_text(jump.line + "\n")
            target = host(
                known,
                2,
                locked if number % 2 else login,
                transport,
                proxy_jump=parse_jumps(f"127.0.0.1:{jump.port}"),
            )
            said, _ = attempt(target)
            told = [secret for secret in SECRETS if secret in jump.secrets]
            tries.held((transport, allowed, asked, half), said_well(said) and not told, (said, told))
            methods = {words[0] for words in jump.logins()}
            tries.held(
                (transport, "methods"), methods <= {"none", "publickey", "keyboard-interactive"}, methods
            )


def test_a_jump_host_is_no_man_in_the_middle(
    tmp_path: Path, keys: dict[str, paramiko.PKey], login: Path, tries: Tries
) -> None:
    """It lets everybody in and leads every connection to a server of its own, which lets everybody in, too."""
    every = list(
        itertools.product(
            BOTH,
            ("two", "curve", "rsa", "one"),
            ("known", "unknown", "pin", "authority", "wildcard of the jump's"),
        )
    )
    for number, (transport, shown, known_as) in enumerate(some(every, 10)):
        anything = ("none", "publickey", "password", "keyboard-interactive")
        with (
            Hostile(keys[shown], accepts=anything) as trap,
            Hostile(keys["one"], accepts=anything, goal=trap.port) as jump,
        ):
            known, right = tmp_path / f"known{number}", keys["curve" if shown != "curve" else "rsa"]
            lines = {
                "known": f"[127.0.0.1]:2 {right.get_name()} {right.get_base64()}\n",
                "unknown": "", "pin": "",
                "authority": f"@cert-authority [127.0.0.1]:2 {keys[shown].get_name()} {keys[shown].get_base64()}\n",
                # The jump host's own key proves the jump host.
                "wildcard of the jump's": f"bastion,10.0.0.* {keys[shown].get_name()} {keys[shown].get_base64()}\n",
            }  # fmt: skip
            known.write_text(jump.line + "\n" + lines[known_as])
            pin = {"host_key": "SHA256:" + "B" * 43} if known_as == "pin" else {}
            said, _ = attempt(
                host(known, 2, login, transport, proxy_jump=parse_jumps(f"127.0.0.1:{jump.port}"), **pin)
            )
            told = [secret for secret in SECRETS if secret in trap.secrets + jump.secrets]
            led = any(words[0] == "forward" for words in jump.heard)
            tries.held(
                (transport, shown, known_as),
                said_well(said) and led and not trap.heard and not told,
                (said, led, trap.heard, told),
            )


ODD = "\x1b]0;owned\x07\x1b[2J\x9b31m\r\n\u202eevil\u2066"


def test_channels_and_words_of_a_hostile_server(
    tmp_path: Path, keys: dict[str, paramiko.PKey], login: Path, tries: Tries
) -> None:
    """A host or jump host that is known opens channels back, and talks to the terminal."""
    kinds = ("auth-agent@openssh.com", "auth-agent", "x11", "forwarded-tcpip", "direct-tcpip", "session",
             "forwarded-streamlocal@openssh.com", "direct-streamlocal@openssh.com", "tun@openssh.com", "x" * 3000)  # fmt: skip
    for number, (transport, kind, as_jump) in enumerate(
        some(list(itertools.product(BOTH, kinds, (False, True))), 8)
    ):
        with Hostile(
            keys["one"], accepts=("publickey",), opens=[kind], goal=1, listens=0.5, answer=b"noise\n"
        ) as server:
            known = tmp_path / f"known{number}"
            known.write_text(server.line + "\n")
            if as_jump:
                target = host(known, 2, login, transport, proxy_jump=parse_jumps(f"127.0.0.1:{server.port}"))
            else:
                target = host(known, server.port, login, transport)
            before = known.read_text()
            said, took = attempt(target)
            tries.held(
                (transport, kind[:30], as_jump),
                not server.opened and said_well(said) and took < 90,
                (server.opened, said, took),
            )
            tries.held("known_hosts stays", known.read_text() == before)
    places = ("banner", "version", "answer", "questions", "refusal")
    for number, (transport, place, as_jump) in enumerate(
        some(list(itertools.product(BOTH, places, (False, True))), 8)
    ):
        more: dict[str, Any] = {
            "banner": {"banner": ODD * 200}, "version": {"version": "SSH-2.0-" + ODD.replace("\r\n", "")},
            "answer": {"answer": (ODD * 100).encode(), "accepts": ("publickey",)},
            "questions": {"questions": ((ODD, True),) * 3, "allowed": "keyboard-interactive"},
            "refusal": {"accepts": ("publickey",), "forwards": OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED},
        }[place]  # fmt: skip
        with Hostile(keys["one"], listens=0.3, **more) as server:
            known = tmp_path / f"odd{number}"
            known.write_text(server.line + "\n")
            jump = {"proxy_jump": parse_jumps(f"127.0.0.1:{server.port}")} if as_jump else {}
            said, took = attempt(host(known, 2 if as_jump else server.port, login, transport, **jump))
            tries.held((transport, place, as_jump), said_well(said) and took < 90, (said, took))


RAW: tuple[list[bytes], ...] = (
    [], [b"SSH-2.0-x"], [b"SSH-2.0-x\r\n"], [b"SSH-2.0-x\r\n\0\0\0\x0c\x06"], [b"SSH-1.0-old\r\n"], [b"HTTP/1.1 200 OK\r\n\r\n"],
    [b"SSH-2.0-x\r\n\xff\xff\xff\xff"], [b"SSH-2.0-x\r\n" + b"\0" * 4000], [b"\x1b]0;x\x07\r\n" * 50], [b"220 smtp ESMTP\r\n"],
    [b"A" * 200000], [(ODD + "\n").encode() * 40], [b"SSH-2.0-" + b"x" * 100000 + b"\r\n"], [b"\0" * 300], [b"SSH-2.0-x\n\n\n\n"],
    [b"SSH-9.9-x\r\n"], [b"Exceeded MaxStartups\r\n"], [b"SSH-2.0-x\r\n", b"\0\0\0\x0c\x0a\x01\0\0\0\x0b\0\0\0\0\0\0"], [b"\r\n" * 5000],
)  # fmt: skip


def test_servers_that_break_off(
    tmp_path: Path, login: Path, keys: dict[str, paramiko.PKey], tries: Tries
) -> None:
    """Garbage, silence and the end in the middle, of a host and of a jump host: one sentence, and soon."""
    for number, (transport, raw, as_jump) in enumerate(
        some(list(itertools.product(BOTH, RAW, (False, True))), 12)
    ):
        with Hostile(keys["one"], raw=raw) as server:
            known = tmp_path / f"known{number}"
            known.write_text(server.line + "\n")
            jump = {"proxy_jump": parse_jumps(f"127.0.0.1:{server.port}")} if as_jump else {}
            said, took = attempt(host(known, 2 if as_jump else server.port, login, transport, **jump))
            tries.held(
                (transport, [part[:30] for part in raw], as_jump), said_well(said) and took < 90, (said, took)
            )


class TwoHops:
    """Two real jump hosts and the host: the second is reached from the first alone."""

    def __init__(self, folder: Path) -> None:
        self.servers = [Sshd(folder / name) for name in ("first", "second", "goal")]
        self.key = self.servers[0].identity
        for server in self.servers[1:]:
            server.authorized_keys.write_text(Path(f"{self.key}.pub").read_text())

    def lines(self) -> list[str]:
        return [server.line(kind) for server in self.servers for kind in server.host_keys]

    def target(self, known: Path, transport: Transport, **more: Any) -> Host:
        first, second, goal = (server.port for server in self.servers)
        user = self.servers[0].host().ssh.user
        way = parse_jumps(f"{user}@127.0.0.1:{first},{user}@127.0.0.1:{second}")
        return host(
            known,
            goal,
            self.key,
            transport,
            **{"user": user, "proxy_jump": way, "become_password": None, **more},
        )


@pytest.fixture(scope="module")
def hops(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwoHops]:
    made = TwoHops(tmp_path_factory.mktemp("hops"))
    with contextlib.ExitStack() as stack:
        for server in made.servers:
            stack.enter_context(server)
        yield made


def test_each_of_two_hops_is_checked(
    hops: TwoHops, tmp_path: Path, keys: dict[str, paramiko.PKey], tries: Tries
) -> None:
    """Unknown, changed, revoked, swapped: at every place of the way, and nobody behind it hears of us."""
    faults = ("right", "unknown", "changed", "revoked", "swapped", "authority only", "other port")
    every = list(itertools.product(BOTH, (0, 1, 2), faults))
    for number, (transport, place, fault) in enumerate(some(every, 17)):
        known = tmp_path / f"known{number}"
        mine = [hops.servers[place].line(kind) for kind in hops.servers[place].host_keys]
        others = [line for line in hops.lines() if line not in mine]
        at, stranger = mine[0].split(" ")[0], f"{keys['one'].get_name()} {keys['one'].get_base64()}"
        next_one = hops.servers[(place + 1) % 3]
        faulty = {
            "right": mine, "unknown": [], "changed": [f"{at} {stranger}"],
            "revoked": [*mine, *("@revoked * " + line.split(" ", 1)[1] for line in mine)],
            "swapped": [f"{at} {next_one.line(kind).split(' ', 1)[1]}" for kind in next_one.host_keys],
            "authority only": [f"@cert-authority {line}" for line in mine],
            "other port": [line.replace(at, at + "0") for line in mine],
        }[fault]  # fmt: skip
        known.write_text("\n".join([*others, *faulty]) + "\n")
        before = [server.log.read_text().count("Accepted") for server in hops.servers]
        said, _ = attempt(hops.target(known, transport))
        after = [server.log.read_text().count("Accepted") for server in hops.servers]
        if fault == "right":
            tries.held(
                (transport, place, fault),
                all(b > a for a, b in zip(before, after, strict=True)),
                (said, before, after),
            )
        else:
            reached = [b > a for a, b in zip(before, after, strict=True)][place:]
            tries.held((transport, place, fault), said_well(said) and not any(reached), (said, before, after))


def test_nothing_secret_is_left_behind(
    tmp_path: Path, keys: dict[str, paramiko.PKey], locked: Path, tries: Tries
) -> None:
    """In no file below the home, the temporary directory and the arguments of any process."""
    for transport in BOTH:
        with Hostile(keys["one"], accepts=("publickey", "password"), listens=1.5, answer=b"x\n") as server:
            known = tmp_path / f"known-{transport.value}"
            known.write_text(server.line + "\n")
            found: list[str] = []
            done = threading.Event()

            def watch(found: list[str] = found, done: threading.Event = done) -> None:
                while not done.is_set():
                    for entry in Path("/proc").iterdir():
                        if entry.name.isdigit() and entry.name != str(os.getpid()):
                            for part in ("cmdline", "environ"):
                                with contextlib.suppress(OSError):
                                    data = (entry / part).read_bytes().decode("utf-8", "replace")
                                    found += [f"{entry.name} {part}" for secret in SECRETS if secret in data]
                    time.sleep(0.02)

            watcher = threading.Thread(target=watch)
            watcher.start()
            try:
                said, _ = attempt(host(known, server.port, locked, transport))
            finally:
                done.set()
                watcher.join()
            tries.held((transport, "processes"), not found, found[:3])
            tries.held((transport, "words"), said_well(said), said)
    left = list(Path(tempfile.gettempdir()).glob("mailprov-ssh-*"))
    tries.held("temporary folders", not left, left)
