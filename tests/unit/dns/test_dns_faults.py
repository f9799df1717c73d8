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
import dns.opcode
import dns.rcode
import dns.rdatatype
import dns.rrset
import pytest

from mailprov import dns as driver
from mailprov.dns.providers.rfc2136 import session
from mailprov.dns.providers.rfc2136.settings import Rfc2136Settings, Tsig
from mailprov.errors import DnsFailed, DnsUnreachable, InputError, MailprovError
from mailprov.model.dns import DnsSettings
from mailprov.model.inventory import Inventory
from mailprov.model.secret import Secret
from tests.unit.dns.servers import SECRET, STRANGER, NameServer, free_port, inventory

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
    own = settings.provider
    assert isinstance(own, Rfc2136Settings)
    assert own.tsig is None or own.tsig.secret.reveal() not in text
    return text.replace(f" port {own.port}", "")


# PowerDNS does not tell what is wrong with a signature.
UNSIGNED = (
    "DNS server 127.0.0.1: it answered NOTAUTH without a signature, asked for _dmarc.create.test TXT with TSIG key {}. "
    "Correct dns.tsig.name, dns.tsig.algorithm and dns.tsig.secret, and set both clocks: PowerDNS answers so when any "
    "of them is wrong, and its log says which."
)


def test_wrong_key_name(name_server: NameServer) -> None:
    known = (
        "DNS server 127.0.0.1: it knows no TSIG key nobody with hmac-sha256 (BADKEY), asked for _dmarc.create.test TXT"
        ". Correct dns.tsig.name and dns.tsig.algorithm, or add the key there (Knot: also to an acl of the zone)."
    )
    text = told(DnsFailed, name_server.settings(tsig=tsig("nobody")))
    assert text == {"powerdns": UNSIGNED.format("nobody")}.get(name_server.kind, known)


def test_wrong_algorithm(name_server: NameServer) -> None:
    known = "it knows no TSIG key mailprov with hmac-sha512 (BADKEY)"
    text = told(DnsFailed, name_server.settings(tsig=tsig(algorithm="hmac-sha512")))
    assert {"powerdns": UNSIGNED.format("mailprov")}.get(name_server.kind, known) in text


def test_wrong_secret(name_server: NameServer) -> None:
    wrong = base64.b64encode(b"not the secret").decode()
    known = (
        "DNS server 127.0.0.1: the secret of TSIG key mailprov is not the one it has (BADSIG), "
        "asked for _dmarc.create.test TXT. Correct dns.tsig.secret."
    )
    text = told(DnsFailed, name_server.settings(tsig=tsig(secret=wrong)))
    assert text == {"powerdns": UNSIGNED.format("mailprov")}.get(name_server.kind, known)


@pytest.mark.parametrize(
    ("ahead", "says"), [(3600, r"(3599|3600|3601) s behind"), (-7200, r"(7199|7200|7201) s ahead of")]
)
def test_clock(name_server: NameServer, monkeypatch: pytest.MonkeyPatch, ahead: int, says: str) -> None:
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + ahead)
    text = told(DnsFailed, name_server.settings())
    if name_server.kind == "powerdns":
        assert text == UNSIGNED.format("mailprov")
        return
    assert text.startswith(
        "DNS server 127.0.0.1: the clocks differ too much for TSIG (BADTIME): its clock is "
    )
    assert re.search(f"{says} this machine's, asked for _dmarc.create.test TXT", text)


def test_update_refused(name_server: NameServer) -> None:
    refused = "zone {}: DNS server 127.0.0.1: it refused the update (REFUSED). Allow updates"
    by_key = (
        "DNS server 127.0.0.1: it does not let TSIG key {} do that (BADKEY), asked to update zone {}. "
        "Allow updates of this zone with this key (Knot: action update in an acl)."
    )
    for zone, key, secret in (("locked.test", "mailprov", SECRET), ("stranger.test", "stranger", STRANGER)):
        text = told(DnsFailed, name_server.settings(tsig=tsig(key, secret)), zone)
        assert text.startswith(
            by_key.format(key, zone) if name_server.kind == "knot" else refused.format(zone)
        )
    assert name_server.values("stranger.test", "MX") == set()


def test_a_secondary_takes_no_update(name_server: NameServer) -> None:
    """BIND refuses; the others pass the update on to the primary, which does not answer here."""
    says = {
        "bind": "it refused the update (REFUSED). Allow updates of this zone with this TSIG key, on the zone's primary",
        "knot": "SERVFAIL without a signature, asked to update zone copy.test with TSIG key mailprov. Look at the "
        "server's log; a secondary that cannot reach its primary answers so",
        "powerdns": "it failed to do the update (SERVFAIL). Look at the server's log; often it cannot write the zone's "
        "journal, or it is not the zone's primary and cannot reach that",
    }
    assert says[name_server.kind] in told(DnsFailed, name_server.settings(), "copy.test")


def test_a_zone_that_could_not_be_loaded(name_server: NameServer) -> None:
    text = told(DnsFailed, name_server.settings(), "broken.test")
    if name_server.kind == "powerdns":  # a zone without SOA is none to it
        assert "the zone of broken.test is not there" in text
    else:
        assert "it answered SERVFAIL when asked for the SOA of _dmarc.broken.test" in text


def test_server_down() -> None:
    text = told(DnsUnreachable, DnsSettings(Rfc2136Settings(server="127.0.0.1", port=free_port())))
    assert text.startswith(
        "DNS server 127.0.0.1: no connection (Connection refused) on TCP, asked for _dmarc.create.test TXT and 7 more. "
        "Start the name server"
    )


def test_server_name_does_not_resolve() -> None:
    text = told(DnsUnreachable, DnsSettings(Rfc2136Settings(server="no such host", tsig=tsig())))
    assert text.startswith("DNS server no such host: the name does not resolve (")
    assert text.endswith("Correct dns.server.")


@pytest.mark.parametrize("secret", ["not base64!", "abc", ""])
def test_malformed_secret(secret: str) -> None:
    with pytest.raises(InputError) as caught:
        driver.plan(
            inventory(
                "a.test",
                DnsSettings(Rfc2136Settings(server="127.0.0.1", tsig=tsig(secret=secret))),
            )
        )
    assert caught.value.exit_code == 2
    assert str(caught.value) == (
        "dns.tsig.secret: the value from env:MAILPROV_TSIG is not base64. "
        "Give the secret exactly as `tsig-keygen` or the name server's key file shows it."
    )


def test_unknown_algorithm_and_missing_server() -> None:
    settings = DnsSettings(Rfc2136Settings(server="127.0.0.1", tsig=tsig(algorithm="rot13")))
    assert "rot13 is not known. Use one of hmac-sha1, " in told(InputError, settings)
    assert told(InputError, DnsSettings(Rfc2136Settings())).startswith("dns.server: is not set")


def test_silence(tcp_server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "ANSWER_SECONDS", 0.2)
    port = tcp_server(lambda connection: drain(connection))
    text = told(DnsUnreachable, DnsSettings(Rfc2136Settings(server="127.0.0.1", port=port)))
    assert text.startswith(
        "DNS server 127.0.0.1: no answer within 0.2 s on TCP, asked for _dmarc.create.test TXT and 7 more. "
    )


def test_an_answer_that_trickles_is_no_answer(tcp_server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "ANSWER_SECONDS", 0.2)

    def trickle(connection: socket.socket) -> None:
        connection.sendall(b"\x40\x00")
        while True:  # ends when the client hangs up
            connection.sendall(b"x")
            time.sleep(0.02)

    port = tcp_server(trickle)
    assert "no answer within" in told(
        DnsUnreachable, DnsSettings(Rfc2136Settings(server="127.0.0.1", port=port))
    )


def test_answers_that_come_at_the_last_moment_are_too_late_together(
    tcp_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of them is in time."""
    monkeypatch.setattr(session, "ROUND_SECONDS", 0.5)
    monkeypatch.setattr(session, "QUESTION_SECONDS", 0.0)

    def slowly(connection: socket.socket) -> None:
        while head := connection.recv(2, socket.MSG_WAITALL):
            wire = connection.recv(int.from_bytes(head, "big"), socket.MSG_WAITALL)
            time.sleep(0.2)
            body = dns.message.make_response(dns.message.from_wire(wire)).to_wire()
            connection.sendall(len(body).to_bytes(2, "big") + body)

    settings = DnsSettings(Rfc2136Settings(server="127.0.0.1", port=tcp_server(slowly)))
    assert re.search(r"[0-3] of 8 answers within 0.5 s on TCP, asked for ", told(DnsUnreachable, settings))


def test_an_answer_that_is_cut_short_is_not_taken_for_whole(tcp_server: Server) -> None:
    def short(connection: socket.socket) -> None:
        while head := connection.recv(2, socket.MSG_WAITALL):
            question = dns.message.from_wire(connection.recv(int.from_bytes(head, "big"), socket.MSG_WAITALL))
            answer = dns.message.make_response(question)
            answer.flags |= dns.flags.AA
            answer.authority.append(dns.rrset.from_text("create.test.", 60, "IN", "SOA", "a. b. 1 2 3 4 5"))
            if question.question[0].rdtype == dns.rdatatype.MX:
                answer.flags |= dns.flags.TC
            body = answer.to_wire()
            connection.sendall(len(body).to_bytes(2, "big") + body)

    settings = DnsSettings(Rfc2136Settings(server="127.0.0.1", port=tcp_server(short)))
    assert told(DnsFailed, settings).startswith(
        "DNS server 127.0.0.1: it cut its answer short, asked for create.test MX. "
    )


def test_records_of_another_class_are_none_that_were_asked_for(tcp_server: Server) -> None:
    """Put into the UPDATE, as what stands at a name of ours, they were an error of the program."""
    updates: list[dns.message.Message] = []

    def chaotic(connection: socket.socket) -> None:
        while head := connection.recv(2, socket.MSG_WAITALL):
            asked = dns.message.from_wire(connection.recv(int.from_bytes(head, "big"), socket.MSG_WAITALL))
            answer = dns.message.make_response(asked)
            answer.flags |= dns.flags.AA
            if asked.opcode() == dns.opcode.UPDATE:
                updates.append(asked)
                answer.set_rcode(dns.rcode.REFUSED)
            else:
                name = asked.question[0].name
                answer.answer.append(dns.rrset.from_text(name, 60, "CH", "TXT", "x"))
                answer.authority.append(
                    dns.rrset.from_text("create.test.", 60, "IN", "SOA", "a. b. 1 2 3 4 5")
                )
            body = answer.to_wire()
            connection.sendall(len(body).to_bytes(2, "big") + body)

    settings = DnsSettings(Rfc2136Settings(server="127.0.0.1", port=tcp_server(chaotic)))
    assert "it refused the update (REFUSED)" in told(DnsFailed, settings)
    assert updates


def test_hang_up(tcp_server: Server) -> None:
    port = tcp_server(lambda connection: None)
    text = told(DnsUnreachable, DnsSettings(Rfc2136Settings(server="127.0.0.1", port=port)))
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
    settings = DnsSettings(Rfc2136Settings(server="127.0.0.1", port=port, tsig=tsig() if signed else None))
    text = told(DnsUnreachable, settings)
    assert (
        "does not speak DNS, asked for _dmarc.create.test TXT and 7 more. Correct" in text
        or "no answer within 0.2 s" in text
    )


def unsigned(connection: socket.socket, code: dns.rcode.Rcode, upstream: int = 0, only: str = "") -> None:
    """Answer with this code, a SOA and no signature; with `upstream` pass on what is not about the name `only`."""
    while head := connection.recv(2, socket.MSG_WAITALL):
        wire = connection.recv(int.from_bytes(head, "big"), socket.MSG_WAITALL)
        question = dns.message.from_wire(wire, keyring=False)
        name = question.question[0].name
        if upstream and name.to_text(omit_final_dot=True) != only:
            with socket.create_connection(("127.0.0.1", upstream)) as server:
                server.sendall(head + wire)
                head = server.recv(2, socket.MSG_WAITALL)
                body = server.recv(int.from_bytes(head, "big"), socket.MSG_WAITALL)
        else:
            answer = dns.message.make_response(question)
            answer.flags |= dns.flags.AA
            answer.set_rcode(code)
            answer.tsig = None
            answer.answer.append(dns.rrset.from_text(name, 60, "IN", "SOA", "a. b. 1 2 3 4 5"))
            body = answer.to_wire()
        connection.sendall(len(body).to_bytes(2, "big") + body)


@pytest.mark.parametrize("code", [dns.rcode.NOERROR, dns.rcode.SERVFAIL])
def test_answers_without_a_signature_are_not_believed(tcp_server: Server, code: dns.rcode.Rcode) -> None:
    port = tcp_server(lambda connection: unsigned(connection, code))
    settings = DnsSettings(Rfc2136Settings(server="127.0.0.1", port=port, tsig=tsig()))
    name = dns.rcode.to_text(code)
    assert (
        f"it answered {name} without a signature, asked for _dmarc.create.test TXT with TSIG key mailprov. "
    ) in told(DnsFailed, settings)


def test_of_a_refusal_without_a_signature_nothing_more_is_believed(tcp_server: Server) -> None:
    """Knot has keys zone by zone, so it signs nothing about a name outside its zones."""
    port = tcp_server(lambda connection: unsigned(connection, dns.rcode.REFUSED))
    settings = DnsSettings(Rfc2136Settings(server="127.0.0.1", port=port, tsig=tsig()))
    assert told(DnsFailed, settings).startswith(
        "DNS server 127.0.0.1: the zone of create.test is not there (looked for create.test, test; it answered REFUSED "
        "without a signature). Create the zone on that server"
    )


def test_a_refusal_without_a_signature_below_a_zone_moves_nothing_up(
    name_server: NameServer, tcp_server: Server
) -> None:
    """Forged for the zone's own name, it would have the records written into the zone above."""
    only = "sub.split.test"
    port = tcp_server(lambda connection: unsigned(connection, dns.rcode.REFUSED, name_server.port, only))
    assert told(DnsFailed, name_server.settings(port=port), only).startswith(
        "DNS server 127.0.0.1: it answered REFUSED without a signature when asked for sub.split.test MX, though it "
        "has the zone. "
    )


def drain(connection: socket.socket) -> None:
    while connection.recv(4096):
        pass
