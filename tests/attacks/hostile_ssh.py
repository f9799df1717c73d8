"""An SSH server in an attacker's hands: it learns what it can, opens what it likes, and ends when it hurts.

with Hostile(key, …) as server:
    server.port, server.line (for known_hosts), server.secrets (all that a client has told it)

`allowed` are the login methods it offers, `accepts` those that it lets in; `goal` is where it leads connections that are to
go through it, whatever the client asked for; `opens` are channels it opens to the client; `answer` is what a command "prints".
"""

from __future__ import annotations

import base64
import contextlib
import socket
import threading
from collections.abc import Sequence

import paramiko
from paramiko.common import AUTH_FAILED, AUTH_PARTIALLY_SUCCESSFUL, AUTH_SUCCESSFUL, OPEN_SUCCEEDED
from paramiko.server import InteractiveQuery


class _Session(paramiko.ServerInterface):
    def __init__(self, owner: Hostile) -> None:
        self.owner = owner

    def get_allowed_auths(self, username: str) -> str:
        return self.owner.allowed

    def get_banner(self) -> tuple[str | None, str | None]:
        return (self.owner.banner, "en") if self.owner.banner else (None, None)

    def _answer(self, method: str) -> int:
        if method in self.owner.accepts:
            return AUTH_SUCCESSFUL
        return AUTH_PARTIALLY_SUCCESSFUL if method in self.owner.half_accepts else AUTH_FAILED

    def check_auth_none(self, username: str) -> int:
        self.owner.told("none", username)
        return self._answer("none")

    def check_auth_password(self, username: str, password: str) -> int:
        self.owner.told("password", username, password)
        return self._answer("password")

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        self.owner.told("publickey", username, key.get_base64())
        return self._answer("publickey")

    def check_auth_interactive(self, username: str, submethods: str) -> InteractiveQuery:
        self.owner.told("keyboard-interactive", username)
        return InteractiveQuery("Password", "for this host and the one behind it", *self.owner.questions)

    def check_auth_interactive_response(self, responses: list[str]) -> int:
        self.owner.told("answers", *responses)
        return self._answer("keyboard-interactive")

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return OPEN_SUCCEEDED

    def check_channel_direct_tcpip_request(self, chanid: int, origin: object, destination: object) -> int:
        self.owner.told("forward", repr(destination))
        return self.owner.forwards

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        self.owner.told("exec", command.decode("utf-8", "replace"))
        threading.Thread(target=self._run, args=(channel,), daemon=True).start()
        return True

    def _run(self, channel: paramiko.Channel) -> None:
        with contextlib.suppress(OSError, EOFError, paramiko.SSHException):
            channel.sendall(self.owner.answer)
            channel.settimeout(self.owner.listens)
            with contextlib.suppress(TimeoutError):
                while data := channel.recv(65536):
                    self.owner.told("input", data.decode("utf-8", "replace"))
            channel.send_exit_status(0)
            channel.close()


class Hostile:
    def __init__(
        self,
        key: paramiko.PKey,
        *,
        allowed: str = "publickey,password,keyboard-interactive",
        accepts: Sequence[str] = (),
        half_accepts: Sequence[str] = (),
        banner: str = "",
        version: str = "SSH-2.0-OpenSSH_9.9",
        questions: Sequence[tuple[str, bool]] = (("Password: ", False),),
        forwards: int = OPEN_SUCCEEDED,
        goal: int = 0,
        opens: Sequence[str] = (),
        answer: bytes = b"",
        listens: float = 2.0,
        raw: Sequence[bytes] | None = None,
    ) -> None:
        self.key, self.allowed, self.accepts, self.half_accepts = key, allowed, accepts, half_accepts
        self.banner, self.version, self.questions, self.forwards = banner, version, questions, forwards
        self.goal, self.opens, self.answer, self.listens, self.raw = goal, opens, answer, listens, raw
        self.heard: list[tuple[str, ...]] = []
        self.opened: list[str] = []  # channels that the client agreed to
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._socket.getsockname()[1])
        self._transports: list[paramiko.Transport] = []
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def told(self, *words: str) -> None:
        self.heard.append(words)

    @property
    def secrets(self) -> str:
        return "\n".join(" ".join(words) for words in self.heard)

    def logins(self) -> list[tuple[str, ...]]:
        return [words for words in self.heard if words[0] not in ("forward", "exec", "input")]

    @property
    def line(self) -> str:
        name, blob = self.key.get_name(), base64.b64encode(self.key.asbytes()).decode()
        return f"[127.0.0.1]:{self.port} {name} {blob}"

    def __enter__(self) -> Hostile:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for transport in self._transports:
            transport.close()

    def _serve(self) -> None:
        while True:
            try:
                peer, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._meet, args=(peer,), daemon=True).start()

    def _meet(self, peer: socket.socket) -> None:
        if self.raw is not None:
            with contextlib.suppress(OSError), peer:
                for part in self.raw:
                    peer.sendall(part)
                peer.settimeout(1)
                while self.raw and peer.recv(65536):
                    pass
            return
        with contextlib.suppress(Exception):
            transport = paramiko.Transport(peer)
            transport.local_version = self.version
            transport.add_server_key(self.key)
            self._transports.append(transport)
            transport.start_server(server=_Session(self))
            while transport.is_active():
                channel = transport.accept(0.2)
                if transport.is_authenticated():
                    self._open(transport)
                if channel is not None and self.goal and channel.get_name() != "session":
                    threading.Thread(target=self._relay, args=(channel,), daemon=True).start()

    def _open(self, transport: paramiko.Transport) -> None:
        while self.opens:
            kind, *self.opens = self.opens
            with contextlib.suppress(Exception):
                source = ("127.0.0.1", 1)
                transport.open_channel(kind, source, source, timeout=2)
                self.opened.append(kind)

    def _relay(self, channel: paramiko.Channel) -> None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.goal)) as there:

            def back() -> None:
                with contextlib.suppress(OSError):
                    while data := there.recv(65536):
                        channel.sendall(data)
                channel.close()

            threading.Thread(target=back, daemon=True).start()
            with contextlib.suppress(OSError):
                while data := channel.recv(65536):
                    there.sendall(data)
        channel.close()
