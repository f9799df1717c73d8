"""A user writes a filter (Sieve) whose own mail shall look as if somebody else had sent it: `vacation :mime` writes header
fields as it likes. What Dovecot runs to send it (mailprov-sendmail) must leave one author, the user.

Its output is read as mail programs might: by both of Python's readers, the strict and the old one, and by one that takes
whatever stands between angle brackets or looks like an address.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator
from email import message_from_bytes, policy
from email.utils import getaddresses
from typing import Any

import pytest

from mailprov.components.dovecot import sieve
from tests.attacks.tries import Tries, some

USER, BOSS = "luis@alpha.test", "boss@alpha.test"
OWN = {USER, "sales@alpha.test"}
# What Pigeonhole writes itself, with the From: of `vacation :from`, before the script's own fields.
HEAD = b"X-Sieve: Pigeonhole Sieve\r\nMessage-ID: <x@mx1.alpha.test>\r\nFrom: %s\r\nTo: <far@beta.test>\r\nSubject: Auto: x\r\n"
GIVEN = (USER.encode(), BOSS.encode(), b"The Boss <boss@alpha.test>", b"Sales <sales+x@alpha.test>")
NAMES = (
    "From",
    "FROM",
    "from ",
    "From\t",
    "Sender",
    "sender",
    "Resent-From",
    "Resent-Sender",
    "resent-FROM ",
)
ADDRESSES = (
    BOSS,
    f"<{BOSS}>",
    f"The Boss <{BOSS}>",
    f'"{USER}" <{BOSS}>',
    f"{USER} <{BOSS}>",
    f"<{USER}> <{BOSS}>",
    f"{USER}, {BOSS}",
    f"{USER}; {BOSS}",
    f"team: {USER}, {BOSS};",
    f"({USER}) {BOSS}",
    f"{BOSS} ({USER})",
    f'"{USER} <{BOSS}>',
    f'"a\\" <{USER}>" <{BOSS}>',
    f"<@else.test:{BOSS}>",
    "BOSS@ALPHA.TEST",
    "boss @ alpha.test",
    "boss@ alpha . test",
    "boss+x@alpha.test",
    '"boss"@alpha.test',
    f"=?utf-8?q?x?= <{BOSS}>",
    f"\x00<{BOSS}>",
    f"\u202e<{BOSS}>",
    "root",
    "",
    "<>",
    f"{USER}\x00@x.test",
)
FOLDS = (
    "{name}: {value}",
    "{name}:{value}",
    "{name}:\r\n {value}",
    "{name}:\n\t{value}",
    "{name}: \r{value}",
)
AROUND = ("{field}", "X: y\r\n{field}", "X: y\r{field}", "X: y\n{field}", "X-Sieve-Redirected-From: a@b.test\r\n{field}", "{field}\r\n{field}", " folded\r\n{field}")  # fmt: skip


def fields() -> list[bytes]:
    made = itertools.product(NAMES, ADDRESSES, FOLDS, AROUND)
    return [
        around.format(field=fold.format(name=name, value=value)).encode("utf-8", "surrogateescape") + b"\r\n"
        for name, value, fold, around in made
    ]


@pytest.fixture(scope="module")
def of_user(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, list[bytes]], list[bytes]]:
    folder = tmp_path_factory.mktemp("maps")
    rows = [*(f"{address} {USER}" for address in sorted(OWN)), f"{BOSS} {BOSS}"]
    (folder / "logins").write_text("\n".join(rows) + "\n")
    (file,) = sieve.files(False, str(folder), "+")
    program: dict[str, Any] = {"__name__": "mailprov_sendmail"}
    exec(compile(file.content, "mailprov-sendmail", "exec"), program)
    chosen = [name for name, _ in program["fields"](HEAD.splitlines(keepends=True))[:2]]
    assert chosen != program["MARKS"]
    return program["of_user"]  # type: ignore[no-any-return]


def named(text: bytes) -> Iterator[tuple[str, str]]:
    """(field, address) of who is named as an author or sender, in the eyes of all readers."""
    wanted = ("from", "sender", "resent-from", "resent-sender")
    for reader in (policy.default, policy.compat32):
        message = message_from_bytes(text, policy=reader)
        for name in wanted:
            for value in message.get_all(name, []):
                yield from ((name, address) for _, address in getaddresses([str(value)]) if address)
    for line in re.split(rb"\r\n(?![ \t])|\n(?![ \t])|\r(?![ \t\n])", text.partition(b"\r\n\r\n")[0]):
        name, _, value = line.decode("utf-8", "replace").partition(":")
        if name.strip().lower() in wanted:
            plain = re.sub(r'"(?:[^"\\]|\\.)*"(?=\s*<)', "", value)
            yield from ((name, each) for each in re.findall(r"[^\s<>,;:()\"]+@[^\s<>,;:()\"]+", plain))


def ours(address: str) -> bool:
    return re.sub(r"\+[^@]*", "", address.lower()) in OWN


def test_what_a_script_writes_into_the_header_of_its_own_mail(
    tries: Tries, of_user: Callable[[str, list[bytes]], list[bytes]]
) -> None:
    every = [(given, more) for more in fields() for given in GIVEN]
    for given, more in some(every, 400):
        head = re.findall(rb"[^\n]*\n", HEAD % given + more + b"\r\n")
        made = b"".join(of_user(USER, head)) + b"text\r\n"
        found = list(named(made))
        authors = re.findall(rb"(?im)^from[ \t]*:", made.partition(b"\r\n\r\n")[0])
        good = len(authors) == 1 and all(ours(address) for _, address in found)
        tries.held((given, more), good, found)


def test_the_user_is_not_troubled(of_user: Callable[[str, list[bytes]], list[bytes]]) -> None:
    """What is the user's own goes as it is: else the tries above would hold for nothing."""
    for name in ("Luis <luis@alpha.test>", "sales+news@ALPHA.test", '"L. <x>" <luis@alpha.test>'):
        head = re.findall(rb"[^\n]*\n", HEAD % name.encode() + b"Reply-To: <boss@alpha.test>\r\n\r\n")
        assert of_user(USER, head) == head
