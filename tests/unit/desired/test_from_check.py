"""The milter that compares From: with the login, as Postfix would start it: packets in, packets out."""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import Any

import pytest
from desired_cases import BOOKWORM, facts, host, inventory

from mailprov import desired


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The script's names, with the maps of the same host."""
    state = desired.build(inventory(), host(), facts(BOOKWORM))
    files = {Path(file.path).name: file.content for file in state.files}
    names: dict[str, Any] = {"__name__": "from_check"}
    exec(compile(files["from_check.py"], "from_check.py", "exec"), names)
    logins = tmp_path_factory.mktemp("maps") / "logins"
    logins.write_text(files["logins"])
    names["LOGINS"] = str(logins)
    return names


def packet(command: bytes, *parts: str) -> bytes:
    data = command + b"".join(part.encode() + b"\0" for part in parts)
    return struct.pack("!I", len(data)) + data


def answers(program: dict[str, Any], login: str, *headers: str) -> list[bytes]:
    hello = struct.pack("!IcIII", 13, b"O", 6, 0x1FF, 0x1FFFFF)
    macros = packet(b"DM", "i", "4F", "{auth_authen}", login)
    lines = b"".join(packet(b"L", "Subject", "x") + packet(b"L", "From", header) for header in headers)
    out = io.BytesIO()
    program["main"](
        io.BytesIO(
            hello + macros + packet(b"M", "<a@b>") + lines + packet(b"N") + packet(b"E") + packet(b"Q")
        ),
        out,
    )
    data, found = out.getvalue(), []
    while data:
        size = struct.unpack("!I", data[:4])[0]
        found.append(data[4 : 4 + size])
        data = data[4 + size :]
    assert found[0][:1] == b"O"
    assert struct.unpack("!III", found[0][1:])[2] & 0x40 == 0  # the end of the headers must be told
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
    "profes@alpha.test",  # a list is nobody's
    "ana+shop@else.test",
    "nobody at all",
    "",
)


@pytest.mark.parametrize("header", OWN)
def test_own_names_pass(program: dict[str, Any], header: str) -> None:
    assert answers(program, "ana@alpha.test", header) == [b"c", b"c", b"c"]


@pytest.mark.parametrize("header", OTHERS)
def test_other_names_do_not(program: dict[str, Any], header: str) -> None:
    _, verdict, _ = answers(program, "ana@alpha.test", header)
    assert verdict.startswith(b"y550 5.7.1 From: <")
    assert verdict.endswith(b"is not an address of the user ana@alpha.test\0")


def test_every_from_header_counts_and_none_is_none_of_its_business(program: dict[str, Any]) -> None:
    assert answers(program, "ana@alpha.test", "ana@alpha.test", "luis@alpha.test")[1][:1] == b"y"
    assert answers(program, "ana@alpha.test") == [b"c", b"c", b"c"]


def test_what_a_sender_wrote_cannot_break_the_reply(program: dict[str, Any]) -> None:
    _, verdict, _ = answers(program, "ana@alpha.test", "<é%s\r\n250 ok@x>")
    assert verdict.count(b"\r") == verdict.count(b"\n") == verdict.count(b"%") == 0
    assert verdict.isascii()
