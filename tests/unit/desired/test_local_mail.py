"""What users with a shell send on the host itself: the table for postdrop(1), and the milter's second socket."""

from __future__ import annotations

import dataclasses
import re
import struct
from pathlib import Path
from typing import Any

import pytest
from desired_cases import BOOKWORM, alpha, delta, facts, host, inventory
from test_submission_check import OTHERS, OWN, hello, packet, unpacked

from mailprov import desired
from mailprov.components.versions import parse
from mailprov.model.host_state import HostState
from mailprov.model.inventory import Host
from mailprov.model.shell import Shell
from mailprov.model.shell_users import placed

MAPS = "/etc/postfix/mailprov"


def _state(version: str = "3.7.11-0+deb12u1") -> HostState:
    ana, *others = alpha().accounts
    domain = dataclasses.replace(alpha(), accounts=(dataclasses.replace(ana, shell=Shell("anita")), *others))
    on: Host
    (on,) = placed((host(),), (domain, delta()))
    known = facts({**BOOKWORM, "postfix": version})
    return desired.build(inventory(domain, delta(), on=on), on, known)


def _text(state: HostState, path: str) -> str:
    return next(file.content for file in state.files if file.path == path)


def _senders(state: HostState, user: str) -> list[str]:
    """As regexp_table(5) reads it: the first row that matches."""
    for line in _text(state, f"{MAPS}/local_logins_checks").splitlines():
        row = re.match(r"/(.*)/ (.*)", line)
        if row and re.search(row[1], user, re.IGNORECASE):
            return row[2].split()
    return []


def test_the_envelope_of_a_user_is_the_accounts_and_everybody_elses_is_free() -> None:
    state = _state()
    found = _senders(state, "anita")
    assert {"ana@alpha.test", "ventas@alpha.test", "info@alfa.test", "anita"} <= set(found)
    assert not {"*", "<>", "luis@alpha.test", "profes@alpha.test", "@alpha.test"} & set(found)
    assert [_senders(state, name) for name in ("root", "www-data", "anitas", "xanita")] == [["*"]] * 4
    assert _senders(state, "uid:100000") == ["nobody@invalid"], (
        "a number without a name is no user of the system"
    )
    assert "anita@mx1.alpha.test ana@alpha.test" in _text(state, f"{MAPS}/local_senders")
    assert "\nanita ana@alpha.test\n" in _text(state, f"{MAPS}/virtual"), "what the system writes to the user"


def test_an_older_postfix_refuses_them_at_sendmail() -> None:
    main = _text(_state("3.5.6-1+b1"), "/etc/postfix/main.cf")
    assert "\nauthorized_submit_users = !anita, static:all\n" in main
    assert "local_login_sender_maps" not in main.replace("no local_login_sender_maps", "")
    assert not parse("3.5.6-1+b1").at_least(3, 6)


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    state = _state()
    names: dict[str, Any] = {"__name__": "submission_check"}
    exec(compile(_text(state, "/etc/mailprov/submission_check.py"), "check.py", "exec"), names)
    logins = tmp_path_factory.mktemp("maps") / "logins"
    logins.write_text(_text(state, f"{MAPS}/logins"))
    names["LOGINS"] = str(Path(logins))
    return names


def _answers(
    program: dict[str, Any], sender: str, *fields: tuple[str, str], local: bool = True
) -> list[bytes]:
    lines = b"".join(packet(b"L", *field) for field in (("Subject", "x"), *fields))
    said = (
        hello() + packet(b"DM", "i", "4F") + packet(b"M", f"<{sender}>") + lines + packet(b"N") + packet(b"E")
    )
    negotiated, *found = unpacked(program["Session"](local=local).feed(said + packet(b"Q")))
    assert struct.unpack("!III", negotiated[1:])[1] == (0x10 if local else 0)
    return found


@pytest.mark.parametrize("value", OWN)
def test_own_addresses_go_through(program: dict[str, Any], value: str) -> None:
    assert _answers(program, "ana@alpha.test", ("From", value)) == [b"c", b"c", b"c"]
    assert _answers(program, "Ventas+x@alpha.test", ("From", value)) == [b"c", b"c", b"c"]


@pytest.mark.parametrize(
    "value", [*OTHERS, "root (Cron Daemon), luis@alpha.test", "luis@alpha.test (Cron Daemon)"]
)
def test_others_do_not(program: dict[str, Any], value: str) -> None:
    assert _answers(program, "ana@alpha.test", ("From", value))[1].startswith(b"y550 5.")


def test_the_system_writes_what_it_likes(program: dict[str, Any]) -> None:
    for sender in ("root@mx1.alpha.test", "", "www-data@mx1.alpha.test"):
        assert _answers(program, sender, ("From", "root (Cron Daemon)")) == [b"c", b"c", b"c"]


@pytest.mark.parametrize("value", ["root (Cron Daemon)", "root@mx1.alpha.test (Cron Daemon)"])
def test_mail_of_a_users_cron_gets_the_users_address(program: dict[str, Any], value: str) -> None:
    *before, changed, last = _answers(program, "ana@alpha.test", ("From", value))
    assert (before, last) == ([b"c", b"c"], b"c")
    assert changed == b"m" + struct.pack("!I", 1) + b"From\0ana@alpha.test (Cron Daemon)\0"
    two = _answers(program, "ana@alpha.test", ("From", value), ("Sender", "luis@alpha.test"))
    assert two[1].startswith(b"y550")
    two = _answers(program, "ana@alpha.test", ("From", value), ("From", value))
    assert two[1].startswith(b"y550")


def test_what_comes_by_smtp_is_looked_at_as_ever(program: dict[str, Any]) -> None:
    """Without a login nothing goes through there, whatever the envelope says."""
    assert _answers(program, "ana@alpha.test", ("From", "ana@alpha.test"), local=False)[1] == b"t"
