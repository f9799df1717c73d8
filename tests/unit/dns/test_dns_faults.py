"""Each way a name server can be wrong for us: one clear sentence, the right exit code, no secret in it."""

from __future__ import annotations

import base64
import random
import re
import socket
import time
from collections.abc import Callable

import dns.flags
import dns.message
import dns.rcode
import pytest

from mailprov import dns as driver
from mailprov.dns import session
from mailprov.errors import DnsFailed, DnsUnreachable, InputError, MailprovError
from mailprov.model.inventory import DnsProvider, DnsSettings, Inventory, Secret, Tsig
from tests.unit.dns.named_server import SECRET, STRANGER, Named, free_port, inventory

Server = Callable[[Callable[[socket.socket], None]], int]


def tsig(name: str = "mailprov", secret: str = SECRET, algorithm: str = "hmac-sha256") -> Tsig:
    return Tsig(name, algorithm, Secret("env:MAILPROV_TSIG", secret))


def publish(wanted: Inventory) -> None:
    for plan in driver.plan(wanted):
        driver.apply(plan, lambda event: None)


def told(kind: type[MailprovError], settings: DnsSettings, zone: str = "create.test") -> str:
    """The sentence that planning and applying end with."""
    with pytest.raises(kind) as caught:
        publish(inventory(zone, settings))
    text = str(caught.value)
    assert type(caught.value) is kind
    assert settings.tsig is None or settings.tsig.secret.reveal() not in text
    return text.replace(f" port {settings.port}", "")


def test_wrong_key_name(named: Named) -> None:
    assert told(DnsFailed, named.settings(tsig=tsig("nobody"))) == (
        "DNS server 127.0.0.1: it knows no TSIG key nobody with hmac-sha256 (BADKEY). "
        "Correct dns.tsig.name and dns.tsig.algorithm, or add the key there."
    )


def test_wrong_algorithm(named: Named) -> None:
    text = told(DnsFailed, named.settings(tsig=tsig(algorithm="hmac-sha512")))
    assert "it knows no TSIG key mailprov with hmac-sha512 (BADKEY)" in text


def test_wrong_secret(named: Named) -> None:
    wrong = base64.b64encode(b"not the secret").decode()
    assert told(DnsFailed, named.settings(tsig=tsig(secret=wrong))) == (
        "DNS server 127.0.0.1: the secret of TSIG key mailprov is not the one it has (BADSIG). "
        "Correct dns.tsig.secret."
    )


@pytest.mark.parametrize(
    ("ahead", "says"), [(3600, r"(3599|3600|3601) s behind"), (-7200, r"(7199|7200|7201) s ahead of")]
)
def test_clock(named: Named, monkeypatch: pytest.MonkeyPatch, ahead: int, says: str) -> None:
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + ahead)
    text = told(DnsFailed, named.settings())
    assert text.startswith(
        "DNS server 127.0.0.1: the clocks differ too much for TSIG (BADTIME): its clock is "
    )
    assert re.search(f"{says} this machine's", text)


def test_update_refused(named: Named) -> None:
    text = told(DnsFailed, named.settings(), "locked.test")
    assert text.startswith(
        "zone locked.test: DNS server 127.0.0.1: it refused the update (REFUSED). Allow updates"
    )
    text = told(DnsFailed, named.settings(tsig=tsig("stranger", STRANGER)), "stranger.test")
    assert "it refused the update (REFUSED)" in text
    assert named.values("stranger.test", "MX") == set()


def test_a_secondary_takes_no_update(named: Named) -> None:
    assert "on the zone's primary" in told(DnsFailed, named.settings(), "copy.test")


def test_a_zone_that_could_not_be_loaded(named: Named) -> None:
    text = told(DnsFailed, named.settings(), "broken.test")
    assert "it answered SERVFAIL when asked for the SOA of" in text


def test_server_down() -> None:
    text = told(
        DnsUnreachable, DnsSettings(server="127.0.0.1", port=free_port(), provider=DnsProvider.RFC2136)
    )
    assert text.startswith(
        "DNS server 127.0.0.1: no connection (Connection refused) on TCP. Start the name server"
    )


def test_server_name_does_not_resolve() -> None:
    text = told(DnsUnreachable, DnsSettings(server="no such host", provider=DnsProvider.RFC2136, tsig=tsig()))
    assert text.startswith("DNS server no such host: the name does not resolve (")
    assert text.endswith("Correct dns.server.")


@pytest.mark.parametrize("secret", ["not base64!", "abc", ""])
def test_malformed_secret(secret: str) -> None:
    with pytest.raises(InputError) as caught:
        driver.plan(
            inventory(
                "a.test",
                DnsSettings(server="127.0.0.1", provider=DnsProvider.RFC2136, tsig=tsig(secret=secret)),
            )
        )
    assert caught.value.exit_code == 2
    assert str(caught.value) == (
        "dns.tsig.secret: the value from env:MAILPROV_TSIG is not base64. "
        "Give the secret exactly as `tsig-keygen` or the name server's key file shows it."
    )


def test_unknown_algorithm_and_missing_server() -> None:
    settings = DnsSettings(server="127.0.0.1", provider=DnsProvider.RFC2136, tsig=tsig(algorithm="rot13"))
    assert "rot13 is not known. Use one of hmac-sha1, " in told(InputError, settings)
    assert told(InputError, DnsSettings(provider=DnsProvider.RFC2136)).startswith("dns.server: is not set")


def test_silence(tcp_server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "ANSWER_SECONDS", 0.2)
    port = tcp_server(lambda connection: drain(connection))
    text = told(DnsUnreachable, DnsSettings(server="127.0.0.1", port=port, provider=DnsProvider.RFC2136))
    assert text.startswith("DNS server 127.0.0.1: no answer within 0.2 s on TCP")


def test_an_answer_that_trickles_is_no_answer(tcp_server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "ANSWER_SECONDS", 0.2)

    def trickle(connection: socket.socket) -> None:
        connection.sendall(b"\x40\x00")
        while True:  # ends when the client hangs up
            connection.sendall(b"x")
            time.sleep(0.02)

    port = tcp_server(trickle)
    assert "no answer within" in told(
        DnsUnreachable, DnsSettings(server="127.0.0.1", port=port, provider=DnsProvider.RFC2136)
    )


def test_hang_up(tcp_server: Server) -> None:
    port = tcp_server(lambda connection: None)
    text = told(DnsUnreachable, DnsSettings(server="127.0.0.1", port=port, provider=DnsProvider.RFC2136))
    assert "the connection was closed before any answer came" in text


@pytest.mark.parametrize(
    "answer",
    [b"\x00\x04junk", b"\x00\x00", b"\x00\x40" + random.Random(64).randbytes(64), b"220 mail ESMTP\r\n"],
    ids=["short", "empty", "noise", "another protocol"],
)
@pytest.mark.parametrize("signed", [True, False])
def test_garbage(tcp_server: Server, monkeypatch: pytest.MonkeyPatch, answer: bytes, signed: bool) -> None:
    monkeypatch.setattr(session, "ANSWER_SECONDS", 0.2)  # a greeting looks like the start of a long message
    port = tcp_server(lambda connection: (connection.sendall(answer), drain(connection)))  # type: ignore[func-returns-value]
    settings = DnsSettings(
        server="127.0.0.1", port=port, provider=DnsProvider.RFC2136, tsig=tsig() if signed else None
    )
    text = told(DnsUnreachable, settings)
    assert "does not speak DNS. Correct dns.server or dns.port." in text or "no answer within 0.2 s" in text


@pytest.mark.parametrize("code", [dns.rcode.NOERROR, dns.rcode.REFUSED])
def test_answers_without_a_signature_are_not_believed(tcp_server: Server, code: dns.rcode.Rcode) -> None:
    def unsigned(connection: socket.socket) -> None:
        while head := connection.recv(2, socket.MSG_WAITALL):
            wire = connection.recv(int.from_bytes(head, "big"), socket.MSG_WAITALL)
            answer = dns.message.make_response(dns.message.from_wire(wire, keyring=False))
            answer.flags |= dns.flags.AA
            answer.set_rcode(code)
            answer.tsig = None
            body = answer.to_wire()
            connection.sendall(len(body).to_bytes(2, "big") + body)

    settings = DnsSettings(
        server="127.0.0.1", port=tcp_server(unsigned), provider=DnsProvider.RFC2136, tsig=tsig()
    )
    name = dns.rcode.to_text(code)
    assert f"it answered {name} without a signature to a question signed with mailprov" in told(
        DnsFailed, settings
    )


def drain(connection: socket.socket) -> None:
    while connection.recv(4096):
        pass
