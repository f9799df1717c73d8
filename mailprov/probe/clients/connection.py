"""A socket with a deadline, an exact line reader and a redacted transcript.

Public: Deadline, Transcript, Peer, Connection, printable, unanswered. Raises what `errors` has.

The standard library's smtplib, imaplib and poplib are not used: they hide surplus bytes and verify nothing by
default.
"""

from __future__ import annotations

import base64
import contextlib
import select
import socket
import ssl
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from mailprov.i18n import _, ngettext
from mailprov.model import cleaning
from mailprov.probe.clients.errors import (
    ConnectionClosed,
    Interrupted,
    Mute,
    ProbeError,
    ProtocolError,
    ReadTimeout,
    Refused,
    ResponseInjection,
    TlsError,
    Unreachable,
)
from mailprov.probe.clients.ways import HERE, Way

T = TypeVar("T")

# How long one wait lasts before the stop flag is looked at again, in seconds.
_SLICE = 0.25
_LINE_LIMIT = 64 * 1024
_SHOWN_LIMIT = 300
_TOTAL_LIMIT = 64 * 2**20  # octets in one connection: a reply of many lines, or a literal, has an end
_LINES_LIMIT = 200
_REPLY_LIMIT = 300_000  # lines of one reply: each is kept, and short ones take many times their octets
# How long a first word is waited for: where the server has closed a connection in the middle, where another service of
# the same server has greeted (both beyond what usual greetings take), and where another connection waited in vain.
_AFTER_A_DROP = 6.0
_BESIDE_ANOTHER = 15.0
_WHEN_MUTE = 2.0


class Deadline:
    """A moment after which waiting is over. `stop` ends every wait at once; `outer` is a deadline that also
    holds. `reached`: somebody waited until then.
    """

    def __init__(
        self, seconds: float, stop: threading.Event | None = None, outer: Deadline | None = None
    ) -> None:
        self.seconds = seconds
        self.reached = False
        self._end = time.monotonic() + seconds
        self._stop = stop
        self._outer = outer

    def left(self) -> float:
        """Seconds left, more than zero. Raises Interrupted or ReadTimeout when there are none."""
        if self._stop is not None and self._stop.is_set():
            raise Interrupted(_("interrupted before it was tested"))
        left = self._end - time.monotonic()
        if self._outer is not None:
            outer = self._outer._end - time.monotonic()
            if outer <= 0:
                self.reached = True
                raise Interrupted(
                    _("not tested: the {seconds:g} s for the whole run were used up").format(
                        seconds=self._outer.seconds
                    )
                )
            left = min(left, outer)
        if left <= 0:
            self.reached = True
            raise ReadTimeout(_("no answer within {seconds:g} s").format(seconds=self.seconds))
        return left

    def pause(self, seconds: float) -> None:
        """Wait between two polls. Raises as `left` does when the deadline comes first."""
        end = time.monotonic() + seconds
        while (rest := end - time.monotonic()) > 0:
            time.sleep(min(rest, self.left(), _SLICE))
        self.left()


def printable(text: str) -> str:
    """Server text made safe for a terminal and a report: control characters escaped, length bounded."""
    text = cleaning.line(text[: _SHOWN_LIMIT + 1])
    return text if len(text) <= _SHOWN_LIMIT else text[:_SHOWN_LIMIT] + "…"


class Transcript:
    """What was said on the wire, safe to show: passwords never enter it, in any encoding a server could
    echo.
    """

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._secrets: list[str] = []

    def hide(self, *secrets: str) -> None:
        """From now on these texts, and their base64, are shown as `****`."""
        for secret in secrets:
            if secret:
                self._secrets += [secret, base64.b64encode(secret.encode()).decode()]

    def clean(self, text: str) -> str:
        """`text` without secrets and control characters."""
        for secret in self._secrets:
            text = text.replace(secret, "****")
        return printable(text)

    def add(self, who: str, text: str) -> None:
        """One line; `who` is `C` (us), `S` (the server) or `-` (a remark)."""
        if len(self.lines) < _LINES_LIMIT:
            self.lines.append(f"{who}: {self.clean(text)}")
        elif len(self.lines) == _LINES_LIMIT:
            self.lines.append(f"-: … {_('(the rest is not shown)')}")


class Peer:
    """What all connections to one service, on all addresses of its host, learn together.

    Where a service ends itself in the middle, the kernel goes on taking connections, and nobody greets them for a long
    time: Postfix's master(8) starts a service that dies again after a minute (service_throttle_time), as it does with
    submission while Dovecot, which checks the logins, does not run. A server that is only slow with its greeting
    (postscreen, names of clients that are looked up) is waited for: how slow it is tells `like`, a service of the same
    server that greets no sooner, or else this one itself.
    """

    def __init__(self, like: Peer | None = None) -> None:
        self.slowest: float | None = None  # seconds until a first word came
        self._like = like
        self._dropped: float | None = None  # when (time.monotonic) a connection ended in the middle
        self._mute = False  # one has waited in vain

    def spoke(self, seconds: float) -> None:
        self.slowest = max(seconds, self.slowest or 0.0)
        self._mute = False

    def dropped(self) -> None:
        self._dropped = time.monotonic()

    def waited_in_vain(self) -> None:
        self._mute = True

    def check(self, began: float) -> None:
        """For a connection of that moment (time.monotonic) that has heard nothing. Raises Mute when waiting is over."""
        alike = self._like.slowest if self._like is not None else None
        usual = self.slowest if alike is None else alike
        if self._mute:
            patience, since = _WHEN_MUTE, began
        elif self._dropped is not None and usual is not None:
            patience, since = _AFTER_A_DROP + 2 * usual, max(began, self._dropped)
        elif alike is not None:
            patience, since = _BESIDE_ANOTHER + 2 * alike, began
        else:
            return
        if time.monotonic() - since > patience:
            self._mute = True
            raise Mute(_("no greeting, as on other connections to this port"))


class Connection:
    """One connection. Not for several threads at once. Close it, or use it as a context manager."""

    def __init__(
        self, sock: socket.socket, deadline: Deadline, transcript: Transcript, peer: Peer | None = None
    ) -> None:
        self.transcript = transcript
        self._peer = peer or Peer()
        self._began = time.monotonic()
        self._silent = True  # no word was heard yet; a handshake is none
        self._sock = sock
        self._deadline = deadline
        self._buffer = bytearray()
        self._heard = 0
        self._lines = 0  # since something was sent
        self._own = ""  # our address, where the way out has told it

    @classmethod
    def connect(
        cls,
        address: str,
        port: int,
        deadline: Deadline,
        transcript: Transcript,
        seconds: float = 10.0,
        peer: Peer | None = None,
        way: Way = HERE,
    ) -> Connection:
        """A connection to exactly this IP address. Raises Refused, Unreachable or ReadTimeout (after `seconds`).

        `peer` is shared by all connections to this service.
        """
        try:
            sock, own = way.connect(address, port, min(seconds, deadline.left()))
        except ConnectionRefusedError:
            raise Refused(_("connection refused")) from None
        except TimeoutError:
            deadline.left()
            deadline.reached = True
            raise Unreachable(
                _("no answer to the connection attempt within {seconds:g} s").format(seconds=seconds)
            ) from None
        except OSError as error:
            raise Unreachable(_("cannot connect: {error}").format(error=error.strerror or error)) from None
        transcript.add("-", _("connected to {address} port {port}").format(address=address, port=port))
        connection = cls(sock, deadline, transcript, peer)
        connection._own = own
        return connection

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Never raises."""
        with contextlib.suppress(OSError):
            self._sock.close()

    @property
    def local_address(self) -> str:
        return self._own or str(self._sock.getsockname()[0])

    @property
    def certificate(self) -> bytes:
        """The served leaf certificate in DER, after start_tls."""
        assert isinstance(self._sock, ssl.SSLSocket)
        return self._sock.getpeercert(binary_form=True) or b""

    @property
    def encrypted(self) -> bool:
        return isinstance(self._sock, ssl.SSLSocket)

    @property
    def tls_summary(self) -> str:
        """Version and cipher, such as `TLSv1.3 TLS_AES_256_GCM_SHA384`, after start_tls."""
        assert isinstance(self._sock, ssl.SSLSocket)
        cipher = self._sock.cipher()
        return f"{self._sock.version()} {cipher[0] if cipher else ''}".rstrip()

    def _wait(self, action: Callable[[], T]) -> T:
        """`action` on the socket, tried again in slices until the deadline."""
        while True:
            try:
                if self._silent:
                    self._peer.check(self._began)
                self._sock.settimeout(min(_SLICE, self._deadline.left()))
                return action()
            except ReadTimeout:
                if self._silent:
                    self._peer.waited_in_vain()
                raise
            except TimeoutError:
                continue
            except ssl.SSLCertVerificationError:
                raise
            except (ssl.SSLEOFError, ssl.SSLZeroReturnError, ConnectionError):
                self._peer.dropped()
                raise ConnectionClosed(_("the server closed the connection")) from None
            except ssl.SSLError as error:
                raise TlsError(_("TLS: {reason}").format(reason=_reason(error))) from None
            except OSError as error:
                raise ConnectionClosed(
                    _("the connection broke: {error}").format(error=error.strerror or error)
                ) from None

    def _fill(self, *, greeting: bool = True) -> None:
        chunk = self._wait(lambda: self._sock.recv(65536))
        if not chunk:
            self._peer.dropped()
            raise ConnectionClosed(_("the server closed the connection"))
        if greeting:
            self._hear()
        self._heard += len(chunk)
        if self._heard > _TOTAL_LIMIT:
            raise ProtocolError(_("more than {limit} MiB without an end").format(limit=_TOTAL_LIMIT >> 20))
        self._buffer += chunk

    def _hear(self) -> None:
        if self._silent:
            self._silent = False
            self._peer.spoke(time.monotonic() - self._began)

    def raw_line(self) -> bytes:
        """The next line with its line end, byte for byte. Raises ProtocolError for one that is too long, and for too
        many since something was sent; ReadTimeout, ConnectionClosed."""
        while (end := self._buffer.find(b"\n")) < 0:
            if len(self._buffer) > _LINE_LIMIT:
                raise ProtocolError(_("a line longer than 64 KiB"))
            try:
                self._fill()
            except (ReadTimeout, ConnectionClosed):
                if self._buffer:  # half a line is evidence, so it must not be lost
                    self._add_remark("S", bytes(self._buffer), _("(no line end)"))
                raise
        line = bytes(self._buffer[: end + 1])
        del self._buffer[: end + 1]
        self._lines += 1
        if self._lines > _REPLY_LIMIT:
            raise ProtocolError(_("more than {count} lines without an end").format(count=_REPLY_LIMIT))
        return line

    def line(self) -> str:
        """The next line as text without its line end, kept in the transcript."""
        text = self.raw_line().rstrip(b"\r\n").decode("utf-8", "replace")
        self.transcript.add("S", text)
        return text

    def _add_remark(self, who: str, data: bytes, remark: str) -> None:
        self.transcript.add(who, f"{data.decode('utf-8', 'replace')} {remark}")

    def exactly(self, count: int, *, greeting: bool = True) -> bytes:
        """The next `count` bytes. Raises ProtocolError for more than a connection may have. Not `greeting`: they belong
        to a handshake, so they tell nothing of how soon the server greets.
        """
        if count > _TOTAL_LIMIT:
            raise ProtocolError(_("a literal of {count} bytes is announced").format(count=count))
        while len(self._buffer) < count:
            self._fill(greeting=greeting)
        data = bytes(self._buffer[:count])
        del self._buffer[:count]
        return data

    def send(self, data: bytes, shown: str | None = None) -> None:
        """All of `data`. `shown` goes into the transcript in its place: use it for secrets and bodies."""
        text = data.rstrip(b"\r\n").decode("utf-8", "replace") if shown is None else shown
        self.transcript.add("C", text)
        self._lines = 0
        view = memoryview(data)
        while view:
            sent = self._wait(lambda view=view: self._sock.send(view))  # type: ignore[misc]
            view = view[sent:]

    def surplus(self) -> bytes:
        """What the server has sent beyond what was read: bytes already here; waits for none."""
        if not self.encrypted and select.select([self._sock], [], [], 0)[0]:
            with contextlib.suppress(OSError):
                self._buffer += self._sock.recv(65536)
        return bytes(self._buffer)

    def start_tls(self, tls_context: ssl.SSLContext, name: str | None) -> None:
        """The TLS handshake with SNI `name`; None: without.

        Raises ResponseInjection when bytes in clear are waiting: they would be taken for bytes of the protected
        session (response injection, RFC 3207 section 6). Raises ssl.SSLCertVerificationError when the context
        verifies and the certificate does not, TlsError or ConnectionClosed when the handshake fails otherwise.
        """
        if surplus := self.surplus():
            self._add_remark("S", surplus, _("(in clear, before the handshake)"))
            raise ResponseInjection(
                ngettext(
                    "{count} byte in clear came before the handshake: {text}",
                    "{count} bytes in clear came before the handshake: {text}",
                    len(surplus),
                ).format(count=len(surplus), text=printable(repr(surplus)))
            )
        plain = self._sock
        try:
            wrapped = self._wait(
                lambda: tls_context.wrap_socket(plain, server_hostname=name, do_handshake_on_connect=False)
            )
        except ValueError:  # a label that is too long, or empty
            raise TlsError(
                _("{name} is no name that a certificate can be asked for").format(name=name)
            ) from None
        self._sock = wrapped
        self._wait(wrapped.do_handshake)
        self.transcript.add(
            "-",
            _("{tls}, server name sent (SNI): {name}").format(tls=self.tls_summary, name=name or _("none")),
        )


def unanswered(address: str, number: int, seconds: float, way: Way = HERE) -> str:
    """Why nobody takes a connection there, or "". Whatever else is wrong with a server: that it answers is seen."""
    with contextlib.suppress(ProbeError):
        try:
            Connection.connect(address, number, Deadline(seconds), Transcript(), seconds, way=way).close()
        except (Refused, Unreachable) as error:
            return str(error)
    return ""


def _reason(error: ssl.SSLError) -> str:
    return (error.reason or str(error)).replace("_", " ").lower()
