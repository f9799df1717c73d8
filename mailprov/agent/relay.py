"""Mode relay: the controller's probes look from this host. TCP and DNS, to targets that were declared, and no others.

    work(session)     hello, relaying, then what the controller asks for, until it ends

Targets are declared once, in one message; what is asked for is then `open` (a connection to one of them, whose octets
go both ways as they are: TLS ends where the controller is) and `query` (one question to a name server, over UDP or
TCP). Never a target: this host's own loopback, link-local and multicast addresses, whoever declares them. A question
goes to port 53, or to a name server of the job, and must be one; on loopback only to the resolvers that this host has.

Limits: CONNECTIONS at once, OCTETS in all, WINDOW octets that the other side has not taken yet, the job's `seconds`, at
most LIMIT. Nothing is written. It ends with the SSH channel, as the others do. Raises AgentError or Cancelled.
"""

from __future__ import annotations

import base64
import errno
import ipaddress
import os
import selectors
import socket
import time
from typing import Any, Dict, List, Optional, Set, Tuple

from mailprov.agent.errors import AgentError
from mailprov.agent.sentences import _
from mailprov.agent.session import Session

CONNECTIONS = 200
QUESTIONS = 200
OCTETS = 256 * 2**20
WINDOW = 256 * 1024
LIMIT = 3 * 3600
_PIECE = 32 * 1024
_LONGEST = 60.0  # seconds that one connection or question may be waited for
_RESOLV_CONF = "/etc/resolv.conf"


def work(session: Session) -> None:
    relay = Relay(session)
    session.channel.say("relaying", resolvers=relay.resolvers)
    try:
        relay.run(time.monotonic() + max(1.0, min(float(session.job.seconds), LIMIT)))
    finally:
        relay.close()


class _Flow:
    """One connection: `out` is on its way to the target, `credit` what the controller is still ready to take."""

    def __init__(self, number: int, sock: socket.socket, until: float) -> None:
        self.number, self.sock, self.until = number, sock, until
        self.opened = False
        self.credit, self.out = WINDOW, bytearray()


class _Question:
    def __init__(self, number: int, sock: socket.socket, until: float, out: bytes, tcp: bool) -> None:
        self.number, self.sock, self.until, self.tcp = number, sock, until, tcp
        self.out, self.got = out, bytearray()


class Relay:
    def __init__(self, session: Session) -> None:
        self._session, self._say = session, session.channel.say
        self.resolvers = _resolvers(session.tree.at(_RESOLV_CONF))
        self._servers = {(each["address"], each["port"]) for each in session.job.servers}
        self._targets: Optional[Set[Tuple[str, int]]] = None
        self._flows: Dict[int, _Flow] = {}
        self._questions: Dict[int, _Question] = {}
        self._octets = 0
        self._selector = selectors.DefaultSelector()
        self._read, self._wake = os.pipe()
        os.set_blocking(self._wake, False)
        os.set_blocking(self._read, False)
        self._selector.register(self._read, selectors.EVENT_READ, None)
        session.channel.on_message = self._ring
        self._ring()

    def _ring(self) -> None:
        try:
            os.write(self._wake, b".")
        except (BlockingIOError, OSError):
            pass

    def close(self) -> None:
        self._session.channel.on_message = lambda: None
        for flow in self._flows.values():
            flow.sock.close()
        for asked in self._questions.values():
            asked.sock.close()
        self._selector.close()

    def run(self, until: float) -> None:
        while True:
            now = time.monotonic()
            if now >= until:
                raise AgentError(_("the time of this relay is over"), _("run the same command again"))
            ends = [each.until for each in self._flows.values()]
            ends += [each.until for each in self._questions.values()]
            for key, events in self._selector.select(max(0.0, min([until, now + 1.0, *ends]) - now)):
                if key.data is None:
                    self._messages()
                # What came first in this round may have ended what comes now.
                elif isinstance(key.data, _Flow):
                    if self._flows.get(key.data.number) is key.data:
                        self._flow(key.data, events)
                elif isinstance(key.data, _Question) and key.data.number in self._questions:
                    self._question(key.data, events)
            self._expire()

    # What the controller says.

    def _messages(self) -> None:
        try:
            os.read(self._read, 65536)
        except BlockingIOError:
            pass
        while True:
            message = self._session.channel.next()
            if message is None:
                return
            what = getattr(self, "_on_" + str(message["t"]), None)
            if what is not None:
                try:
                    what(message)
                except (KeyError, TypeError, ValueError):
                    raise AgentError(
                        _("a message of the controller makes no sense"), _("report this as a bug in mailprov")
                    ) from None

    def _on_targets(self, message: Dict[str, Any]) -> None:
        if self._targets is None:
            self._targets = {
                (each["address"], port)
                for each in message["targets"]
                for port in each["ports"]
                if not _forbidden(each["address"])
            }

    def _on_open(self, message: Dict[str, Any]) -> None:
        number, address, port = int(message["id"]), str(message["address"]), int(message["port"])
        if (address, port) not in (self._targets or ()):
            return self._refused(number, "undeclared", 0)
        if len(self._flows) >= CONNECTIONS or number in self._flows:
            return self._refused(number, "busy", 0)
        sock = _socket(address, socket.SOCK_STREAM)
        code = sock.connect_ex((address, port))
        if code not in (0, errno.EINPROGRESS):
            sock.close()
            return self._refused(number, "", code)
        flow = _Flow(number, sock, time.monotonic() + min(float(message["seconds"]), _LONGEST))
        self._flows[number] = flow
        self._selector.register(sock, selectors.EVENT_WRITE, flow)

    def _on_data(self, message: Dict[str, Any]) -> None:
        flow = self._flows.get(int(message["id"]))
        if flow is not None and flow.opened:
            data = base64.b64decode(message["data"])
            self._count(len(data))
            if len(flow.out) + len(data) > WINDOW:
                return self._end(flow, "reset")
            flow.out += data
            self._watch(flow)

    def _on_taken(self, message: Dict[str, Any]) -> None:
        flow = self._flows.get(int(message["id"]))
        if flow is not None:
            flow.credit = min(WINDOW, flow.credit + int(message["octets"]))
            self._watch(flow)

    def _on_close(self, message: Dict[str, Any]) -> None:
        flow = self._flows.get(int(message["id"]))
        if flow is not None:
            self._forget(flow)

    def _on_source(self, message: Dict[str, Any]) -> None:
        address, source = str(message["address"]), ""
        try:
            with _socket(address, socket.SOCK_DGRAM) as sock:
                sock.connect((address, 9))
                source = str(sock.getsockname()[0])
        except OSError:
            pass
        self._say("source", id=int(message["id"]), address=source)

    def _on_query(self, message: Dict[str, Any]) -> None:
        number, address, port = int(message["id"]), str(message["address"]), int(message["port"])
        data, tcp = base64.b64decode(message["data"]), bool(message["tcp"])
        mine = port == 53 and address in self.resolvers
        known = mine or (address, port) in self._servers or (port == 53 and not _forbidden(address))
        if not known or not _is_question(data):
            return self._failed(number, "undeclared")
        if len(self._questions) >= QUESTIONS or number in self._questions:
            return self._failed(number, "busy")
        self._count(len(data))
        sock = _socket(address, socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM)
        code = sock.connect_ex((address, port))
        if code not in (0, errno.EINPROGRESS):
            sock.close()
            return self._failed(number, os.strerror(code))
        out = len(data).to_bytes(2, "big") + data if tcp else data
        until = time.monotonic() + min(float(message["seconds"]), _LONGEST)
        self._questions[number] = asked = _Question(number, sock, until, out, tcp)
        self._selector.register(sock, selectors.EVENT_WRITE, asked)

    # What sockets say.

    def _flow(self, flow: _Flow, events: int) -> None:
        if not flow.opened:
            return self._connected(flow)
        try:
            if events & selectors.EVENT_WRITE and flow.out:
                sent = flow.sock.send(flow.out)
                del flow.out[:sent]
                self._say("taken", id=flow.number, octets=sent)
            if events & selectors.EVENT_READ and flow.credit > 0:
                data = flow.sock.recv(min(_PIECE, flow.credit))
                if not data:
                    return self._end(flow, "end")
                flow.credit -= len(data)
                self._count(len(data))
                self._say("data", id=flow.number, data=base64.b64encode(data).decode("ascii"))
        except BlockingIOError:
            pass
        except OSError:
            return self._end(flow, "reset")
        self._watch(flow)

    def _connected(self, flow: _Flow) -> None:
        code = flow.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            self._forget(flow)
            return self._refused(flow.number, "", code)
        flow.opened, flow.until = True, float("inf")
        flow.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._say("opened", id=flow.number, address=str(flow.sock.getsockname()[0]))
        self._watch(flow)

    def _watch(self, flow: _Flow) -> None:
        if not flow.opened:
            return
        events = (selectors.EVENT_READ if flow.credit > 0 else 0) | (selectors.EVENT_WRITE if flow.out else 0)
        known = flow.sock.fileno() in self._selector.get_map()
        if events and known:
            self._selector.modify(flow.sock, events, flow)
        elif events:
            self._selector.register(flow.sock, events, flow)
        elif known:
            self._selector.unregister(flow.sock)

    def _question(self, asked: _Question, events: int) -> None:
        try:
            if events & selectors.EVENT_WRITE:
                asked.out = asked.out[asked.sock.send(asked.out) :]
                if not asked.out:
                    self._selector.modify(asked.sock, selectors.EVENT_READ, asked)
                return
            data = asked.sock.recv(65535)
        except BlockingIOError:
            return
        except OSError as error:
            return self._answer(asked, b"", os.strerror(error.errno or 0))
        if not asked.tcp:
            return self._answer(asked, data, "" if data else "empty")
        if not data:
            return self._answer(asked, b"", "closed")
        asked.got += data
        if len(asked.got) >= 2 and len(asked.got) >= 2 + int.from_bytes(asked.got[:2], "big"):
            self._answer(asked, bytes(asked.got[2 : 2 + int.from_bytes(asked.got[:2], "big")]), "")

    def _expire(self) -> None:
        now = time.monotonic()
        for flow in [each for each in self._flows.values() if each.until <= now]:
            self._forget(flow)
            self._refused(flow.number, "", errno.ETIMEDOUT)
        for asked in [each for each in self._questions.values() if each.until <= now]:
            self._answer(asked, b"", "timeout")

    # What the controller gets.

    def _count(self, octets: int) -> None:
        self._octets += octets
        if self._octets > OCTETS:
            raise AgentError(
                _("more than {count} MiB went through this relay").format(count=OCTETS >> 20),
                _("look at what the servers send"),
            )

    def _refused(self, number: int, how: str, code: int) -> None:
        if not how:
            silent = code in (errno.ETIMEDOUT,)
            how = "refused" if code == errno.ECONNREFUSED else "silent" if silent else "unreachable"
        self._say("refused", id=number, how=how, why=os.strerror(code) if code else "")

    def _answer(self, asked: _Question, data: bytes, why: str) -> None:
        self._selector.unregister(asked.sock)
        asked.sock.close()
        del self._questions[asked.number]
        self._count(len(data))
        self._say("answered", id=asked.number, data=base64.b64encode(data).decode("ascii"), why=why)

    def _failed(self, number: int, why: str) -> None:
        self._say("answered", id=number, data="", why=why)

    def _end(self, flow: _Flow, how: str) -> None:
        self._forget(flow)
        self._say("ended", id=flow.number, how=how)

    def _forget(self, flow: _Flow) -> None:
        if flow.sock.fileno() in self._selector.get_map():
            self._selector.unregister(flow.sock)
        flow.sock.close()
        del self._flows[flow.number]


def _socket(address: str, kind: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, kind)
    sock.setblocking(False)
    return sock


def _forbidden(text: str) -> bool:
    """What leads to this host itself, or to its wire alone; and what is no address."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return True
    mapped = getattr(address, "ipv4_mapped", None)
    address = mapped or address
    return address.is_loopback or address.is_link_local or address.is_multicast or address.is_unspecified


def _is_question(data: bytes) -> bool:
    """One question and no answer, by its header (RFC 1035 section 4.1.1); no zone transfer (RFC 5936)."""
    if not 17 <= len(data) <= 4096 or data[2] & 0xF8 or data[4:8] != b"\0\1\0\0" or data[8:10] != b"\0\0":
        return False
    at = 12
    while at < len(data) and data[at]:
        at += 1 + data[at]
    return data[at + 1 : at + 3] not in (b"\0\xfb", b"\0\xfc")


def _resolvers(path: str) -> List[str]:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            rows = [line.split() for line in file]
    except OSError:
        return []
    found = [row[1] for row in rows if len(row) > 1 and row[0] == "nameserver"]
    return [each for each in found if _is_address(each)][:3]


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
