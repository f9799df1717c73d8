"""Why a probe could not test, which is never a pass. All are ProbeErrors; the text is one clause without a final dot.

    ReadTimeout        nothing came before the deadline
    Mute               a ReadTimeout: the server has ended itself, and nobody answers until it is started again
    ConnectionClosed   the other side closed or reset the connection
    Refused            the connection was refused (RST)
    Unreachable        the connection could not be made from here (no route, filtered)
    ProtocolError      what came is not the protocol
    ResponseInjection  bytes came in clear between the reply to STARTTLS and the handshake
    TlsError           the TLS handshake failed
    TemporaryFailure   the server gave a temporary refusal: nothing was decided
    NoPasswords        the server refuses every password
    TurnedAway         a TemporaryFailure: the server greets with 4xx
    UntrustedCertificate    the certificate is not to be trusted, so the password was not sent
    Interrupted        the run was interrupted, or its time was used up

The runner makes them findings with the verdict error.
"""

from __future__ import annotations

from mailprov.i18n import _


class ProbeError(Exception):
    """The probe could not go on. The text is one clause without a final dot."""


class ReadTimeout(ProbeError):
    pass


class Mute(ReadTimeout):
    pass


class ConnectionClosed(ProbeError):
    pass


class Refused(ProbeError):
    pass


class Unreachable(ProbeError):
    pass


class ProtocolError(ProbeError):
    pass


class ResponseInjection(ProbeError):
    pass


class TlsError(ProbeError):
    pass


class TemporaryFailure(ProbeError):
    """The server gave a temporary refusal (4xx, [UNAVAILABLE], [SYS/TEMP], [IN-USE]): nothing was decided."""


class TurnedAway(TemporaryFailure):
    """It greets with 421 or the like: it is busy, or this address has connected too often."""


class Interrupted(ProbeError):
    pass


class NoPasswords(ProbeError):
    """The server refuses every password, as its users log in by OAuth (RFC 7628). `reply`: how it said so."""

    def __init__(self, reply: str) -> None:
        super().__init__(
            _(
                "the server takes no passwords from mail programs, only tokens (OAuth), so this cannot be tested: "
                "{reply}"
            ).format(reply=reply)
        )


class UntrustedCertificate(ProbeError):
    """The certificate is not to be trusted, so the password was not sent."""
