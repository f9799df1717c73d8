"""The milter that compares From: and Sender: with the login, as Postfix speaks to it: packets in, packets out."""

from __future__ import annotations

import random
import socket
import struct
import threading
import time
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from desired_cases import BOOKWORM, facts, host, inventory, owned

from mailprov import desired

LOGIN = "ana@alpha.test"
FINE = [b"c", b"c", b"c"]


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The script's names, with the maps of the same host."""
    state = desired.build(inventory(), host(), facts(BOOKWORM))
    files = {Path(file.path).name: file.content for file in state.files}
    names: dict[str, Any] = {"__name__": "submission_check"}
    exec(compile(files["submission_check.py"], "submission_check.py", "exec"), names)
    logins = tmp_path_factory.mktemp("maps") / "logins"
    logins.write_text(files["logins"])
    names["LOGINS"] = str(logins)
    return names


@pytest.fixture
def ending(tmp_path: Path) -> tuple[dict[str, Any], Path]:
    """The program of a host where users own passwords, and the file of whose sessions are over."""
    state = desired.build(inventory(owned()), host(), facts(BOOKWORM))
    files = {Path(file.path).name: file.content for file in state.files}
    names: dict[str, Any] = {"__name__": "submission_check"}
    exec(compile(files["submission_check.py"], "submission_check.py", "exec"), names)
    assert names["ENDED"] == ["/run/mailprov-passwd/ended"]
    names["ENDED"] = [str(tmp_path / "gone"), str(tmp_path / "ended")]
    return names, tmp_path / "ended"


def packet(command: bytes, *parts: str) -> bytes:
    data = command + b"".join(part.encode() + b"\0" for part in parts)
    return struct.pack("!I", len(data)) + data


def hello(offered: int = 0x1FFFFF) -> bytes:
    return struct.pack("!IcIII", 13, b"O", 6, 0x1FF, offered)


def message(login: str, *fields: tuple[str, str]) -> bytes:
    macros = packet(b"DM", "i", "4F", "{auth_authen}", login)
    lines = b"".join(packet(b"L", *field) for field in (("Subject", "x"), *fields))
    return macros + packet(b"M", "<a@b>") + lines + packet(b"N") + packet(b"E")


def unpacked(data: bytes) -> list[bytes]:
    found = []
    while data:
        size = struct.unpack("!I", data[:4])[0]
        found.append(data[4 : 4 + size])
        data = data[4 + size :]
    return found


def answers(program: dict[str, Any], login: str, *fields: tuple[str, str]) -> list[bytes]:
    """What MAIL, the end of the header and the end of the message are answered."""
    found = unpacked(program["Session"]().feed(hello() + message(login, *fields) + packet(b"Q")))
    assert found[0][:1] == b"O"
    assert struct.unpack("!III", found[0][1:])[2] & 0x40 == 0  # the end of the header must be told
    return found[1:]


OWN = (
    "ana@alpha.test",
    "Ana <ANA@Alpha.Test>",
    "ventas@alpha.test",
    "=?utf-8?q?=C3=A9?= <info@alfa.test>",
    "ana+shop@alpha.test",
    '"luis@alpha.test" <ana@alpha.test>',
    '"\\"<luis@alpha.test>\\"" <ana@alpha.test>',
)
OTHERS = (
    "luis@alpha.test",
    "x@else.test",
    "ana@alpha.test, luis@alpha.test",
    '"ana@alpha.test" <x@else.test>',
    "<x@else.test> <ana@alpha.test>",
    "<ana@alpha.test> <x@else.test>",
    '"<luis@alpha.test> <ana@alpha.test>',
    "<luis@alpha.test luis@alpha.test\nana@alpha.test>",  # a piece of the map, with the row of another before one's own
    "profes@alpha.test",  # a list is nobody's
    "ana+shop@else.test",
    "nobody at all",
    "",
)


@pytest.mark.parametrize("field", OWN)
def test_own_names_pass(program: dict[str, Any], field: str) -> None:
    assert answers(program, LOGIN, ("From", field)) == FINE
    assert answers(program, LOGIN.upper(), ("from ", field)) == FINE
    also = [("Sender", field), ("Resent-From", field), ("Resent-From", field), ("Resent-Sender", field)]
    assert answers(program, LOGIN, ("From", LOGIN), *also) == FINE


@pytest.mark.parametrize("field", OTHERS)
def test_other_names_do_not(program: dict[str, Any], field: str) -> None:
    verdict = answers(program, LOGIN, ("FROM", field))[1]
    assert verdict.startswith(b"y550 5.7.1 From: <")
    assert verdict.endswith(b"is not an address of the user ana@alpha.test\0")
    for name in ("Sender", "resent-from", "Resent-Sender "):
        verdict = answers(program, LOGIN, ("From", LOGIN), (name, field))[1]
        assert verdict.startswith(b"y550 5.7.1 %s: <" % name.strip().title().encode()), name


def test_one_from_and_no_more_is_there(program: dict[str, Any]) -> None:
    for fields in (
        [],
        [("From", LOGIN), ("from", LOGIN)],
        [("From", LOGIN), ("Sender", LOGIN), ("Sender", LOGIN)],
    ):
        assert answers(program, LOGIN, *fields)[1].startswith(b"y550 5.6.0 a message "), fields


def test_the_reply_is_one_line_whatever_the_sender_wrote(program: dict[str, Any]) -> None:
    verdict = answers(program, LOGIN, ("From", "<é%s\r\n250 ok@x>"))[1]
    assert verdict.count(b"\r") == verdict.count(b"\n") == verdict.count(b"%") == 0
    assert verdict.isascii()


def test_nothing_that_cannot_be_looked_at_passes(program: dict[str, Any], tmp_path: Path) -> None:
    """No login, no map, no header at all: 4xx. Too long, too many, a Python that stumbles: 5xx."""
    assert answers(program, "", ("From", "nobody@else.test"))[1:] == [b"t", b"t"]
    session = program["Session"]()
    session.feed(hello())
    assert unpacked(session.feed(packet(b"M", "<a@b>") + packet(b"E"))) == [b"c", b"t"]
    where = program["LOGINS"]
    program["LOGINS"] = str(tmp_path / "gone")
    try:
        assert answers(program, LOGIN, ("From", LOGIN))[1:] == [b"t", b"t"]
    finally:
        program["LOGINS"] = where
    many = ", ".join(f"a{number}@b" for number in range(101))
    for value in ("x" * 9000, f"{'x' * 9000} <{LOGIN}>", "(" * 5000, many):
        assert answers(program, LOGIN, ("From", value))[1].startswith(b"y550 "), value[:9]
    assert answers(program, LOGIN, *[("Resent-From", LOGIN)] * 800, ("From", LOGIN))[1].startswith(b"y550 ")
    assert answers(program, LOGIN, ("From", LOGIN), ("X-Long", "x" * 100_000)) == FINE


def test_a_session_that_is_older_than_the_end_of_its_password_is_over(
    ending: tuple[dict[str, Any], Path],
) -> None:
    program, ended = ending
    mail = packet(b"DM", "{auth_authen}", "Ana@alpha.test") + packet(b"M", "<a@b>")

    def said(session: Any) -> bytes:
        return unpacked(session.feed(mail))[0]

    old = program["Session"]()
    old.feed(hello())
    assert said(old) == b"c", "nobody's has ended"
    ended.write_text(f"luis@alpha.test {time.monotonic() + 100}\nana@alpha.test {time.monotonic()}\n")
    assert said(old).startswith(b"y421 4.7.0 the password of this session")
    new = program["Session"]()
    new.feed(hello())
    assert said(new) == b"c"
    ended.write_text(f"ana@alpha.test {time.monotonic()}\nana@alpha.test\n\nx y z\n")
    assert said(new).startswith(b"y421")
    ended.write_text("ana@alpha.test never\n")
    assert said(new) == b"t"
    ended.unlink()
    ended.mkdir()
    assert said(new) == b"t"


def test_each_message_of_a_session_is_looked_at_by_itself(program: dict[str, Any]) -> None:
    session = program["Session"]()
    session.feed(hello())
    given_up = packet(b"M", "<a@b>") + packet(b"L", "From", "luis@alpha.test") + packet(b"A")
    assert unpacked(session.feed(given_up)) == [b"c"]
    assert unpacked(session.feed(message(LOGIN, ("From", LOGIN)))) == FINE
    assert unpacked(session.feed(message(LOGIN)))[1].startswith(b"y550 5.6.0")
    assert unpacked(session.feed(message("luis@alpha.test", ("From", LOGIN))))[1].startswith(b"y550 5.7.1")


def test_bytes_may_come_in_any_pieces(program: dict[str, Any]) -> None:
    fields = (("X-Long", "x" * 20_000), ("From", LOGIN), ("X", ""), ("Sender", "luis@alpha.test"))
    whole = hello() + message(LOGIN, *fields) + message(LOGIN, *fields[:3])
    wanted = program["Session"]().feed(whole)
    assert [each[:1] for each in unpacked(wanted)] == [b"O", b"c", b"y", b"t", b"c", b"c", b"c"]
    dice = random.Random(7)
    for _ in range(50):
        session, at, got = program["Session"](), 0, b""
        while at < len(whole):
            size = dice.choice((1, 2, 3, 5, 100, 5000))
            got += session.feed(whole[at : at + size])
            at += size
        assert got == wanted


def test_an_older_postfix_gets_an_answer_for_each_field(program: dict[str, Any]) -> None:
    session = program["Session"]()
    session.feed(hello(offered=0x7F))
    assert unpacked(session.feed(message(LOGIN, ("From", LOGIN)))) == [b"c"] * 5


@pytest.mark.parametrize(
    "data", [struct.pack("!I", 0), packet(b"M", "x" * 9000), struct.pack("!Ic", 1, b"O")]
)
def test_what_is_no_milter_protocol_ends_the_session(program: dict[str, Any], data: bytes) -> None:
    with pytest.raises(program["Unclear"]):
        program["Session"]().feed(data)


def test_a_client_cannot_make_it_keep_much_or_work_long(program: dict[str, Any]) -> None:
    session = program["Session"]()
    session.feed(hello() + packet(b"DM", "{auth_authen}", LOGIN) + packet(b"M", "<a@b>"))
    tracemalloc.start()
    session.feed(struct.pack("!I", 2**31) + b"Lx-huge\0" + b"x" * 8192)
    for _ in range(300):
        session.feed(b"x" * 8192)
    session = program["Session"]()
    for _ in range(300):
        session.feed(packet(b"L", "From", "x" * 8000))
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 100_000
    began = time.process_time()
    for nasty in ('"\\', '"', "<", "(", "@", "[", ":;", "a@b,", '"a@b" <c@d>,'):
        for value in (nasty * (8000 // len(nasty)), '"' + nasty * (7000 // len(nasty)) + "\\"):
            assert answers(program, LOGIN, ("From", value))[1].startswith(b"y550 ")
    assert time.process_time() - began < 10  # a tenth of that; the quadratic way took a second for one


def test_idle_sessions_cost_little_and_stop_nobody(program: dict[str, Any], tmp_path: Path) -> None:
    """One thread serves all: two hundred say nothing, some half a packet, one is gone, and the next is answered."""
    path = str(tmp_path / "socket")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(300)
    server = program["Server"](listener)
    over = threading.Event()

    def serve() -> None:
        while not over.is_set():
            server.step(0.1)

    thread = threading.Thread(target=serve)
    thread.start()

    def connected() -> socket.socket:
        made = socket.socket(socket.AF_UNIX)
        made.settimeout(300)
        made.connect(path)
        return made

    idle = [connected() for _ in range(200)]
    try:
        for each in idle[:100]:
            each.sendall(hello()[:7])
        idle.pop().close()
        with connected() as client:
            client.sendall(hello() + message(LOGIN, ("From", LOGIN)))
            got = b""
            while len(unpacked_safely(got)) < 4:
                got += client.recv(4096)
            assert unpacked(got)[1:] == FINE
        for each in idle[:100]:
            each.sendall(hello()[7:])
            assert each.recv(4096)[4:5] == b"O"
    finally:
        over.set()
        thread.join()
        for each in idle:
            each.close()
        listener.close()


def unpacked_safely(data: bytes) -> list[bytes]:
    """`unpacked` of what is whole already."""
    found = []
    while len(data) >= 4 and len(data) >= 4 + struct.unpack("!I", data[:4])[0]:
        size = struct.unpack("!I", data[:4])[0]
        found.append(data[4 : 4 + size])
        data = data[4 + size :]
    return found
