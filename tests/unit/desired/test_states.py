"""The program on a host that makes the states of accounts true: run here, on files in a folder of its own."""

from __future__ import annotations

import dataclasses
import os
import re
import time
import types
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from desired_cases import BOOKWORM, account, facts, host, inventory

from mailprov import desired
from mailprov.model.accounts import Account, Forward
from mailprov.model.host_state import HostState
from mailprov.model.inventory import Domain
from mailprov.model.secret import Secret
from mailprov.model.states import AppPassword, Expiry, State

NOW = 1_800_000_000
PATHS = re.compile(r'^(STATES|NAMES|APPS|FOLDER|ENDED) = "(.*)"$', re.MULTILINE)


class Host(NamedTuple):
    """`at(now)` runs the program at that time and gives the commands that it ran."""

    folder: Path
    program: dict[str, Any]
    ran: list[str]
    pytest: pytest.MonkeyPatch

    def at(self, now: float, postfix: bool = True) -> list[str]:
        self.ran.clear()

        def run(words: tuple[str, ...], **_: Any) -> Any:
            self.ran.append(" ".join(words))
            return types.SimpleNamespace(returncode=0 if postfix or words[0] != "postfix" else 1)

        waiting = types.SimpleNamespace(
            time=lambda: now, sleep=lambda seconds: self.ran.append("wait"), monotonic=time.monotonic
        )
        self.program.update(time=waiting, subprocess=types.SimpleNamespace(run=run, PIPE=1, STDOUT=2))
        self.pytest.setattr(os, "fchown", lambda *_: None)
        assert self.program["main"]() == 0
        return [each for each in self.ran if each != "postfix status"]

    def rows(self, name: str) -> dict[str, str]:
        lines = (self.folder / name).read_text().splitlines()
        return {key: value for key, _, value in (line.partition(" ") for line in lines)}

    def denied(self) -> list[str]:
        return [line.rstrip(":") for line in (self.folder / "denied").read_text().splitlines()]

    def passwords(self) -> list[str]:
        return [line.split(":")[0] for line in (self.folder / "app-passwords").read_text().splitlines()]


def state_of(*accounts: Account, **domain: Any) -> HostState:
    return desired.build(
        inventory(Domain("alpha.test", ("mx1",), accounts=accounts, **domain)), host(), facts(BOOKWORM)
    )


def give(state: HostState, folder: Path) -> None:
    """The files of the inventory's word, as the agent writes them."""
    for file in state.files:
        if file.path == "/etc/mailprov/states-names":
            (folder / "names").write_text(file.content)
    for each in state.account_files:
        if each.path != "/etc/dovecot/mailprov-users":
            lines = [f"{e.user}:{e.hash or '{X}' + e.password}::::::{e.fields}\n" for e in each.entries]
            (folder / each.path.rpartition("/")[2]).write_text("".join(lines))


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    def make(*accounts: Account, **domain: Any) -> Host:
        state = state_of(*accounts, **domain)
        give(state, tmp_path)
        (text,) = (file.content for file in state.files if file.path == "/etc/mailprov/states.py")
        places = {
            "STATES": "states",
            "NAMES": "names",
            "APPS": "app-passwords-wanted",
            "FOLDER": "now",
            "ENDED": "run/ended",
        }
        text = PATHS.sub(lambda found: f'{found[1]} = "{tmp_path / places[found[1]]}"', text)
        text = text.replace("app-passwords-wanted", "app-passwords")
        (tmp_path / "now").mkdir()
        (folder,) = (each for each in state.directories if each.holds)
        for name, _, _ in folder.holds:
            (tmp_path / "now" / name).touch()
        program: dict[str, Any] = {"__name__": "program"}
        exec(compile(text, "states.py", "exec"), program)
        program["grp"] = types.SimpleNamespace(getgrnam=lambda name: types.SimpleNamespace(gr_gid=0))
        return Host(tmp_path / "now", program, [], monkeypatch)

    return make


def with_state(name: str, state: State = State.ACTIVE, **more: Any) -> Account:
    return dataclasses.replace(account(f"{name}@alpha.test"), state=state, **more)


def test_each_state_is_denied_or_refused_as_it_says(made: Any) -> None:
    host = made(
        with_state("ana"),
        with_state("nolog", State.NO_LOGIN),
        with_state("norec", State.NO_RECEIVE),
        with_state("susp", State.SUSPENDED),
    )
    host.at(NOW)
    assert host.denied() == ["nolog@alpha.test", "susp@alpha.test"]
    text = "550 5.2.1 mailbox disabled, not accepting messages"
    assert host.rows("refused") == {"norec@alpha.test": text, "susp@alpha.test": text}
    assert host.rows("undeliverable") == {
        "norec@alpha.test": "error:5.2.1 mailbox disabled, not accepting messages",
        "susp@alpha.test": "error:5.2.1 mailbox disabled, not accepting messages",
    }
    assert set(host.rows("logged-out")) == {"nolog@alpha.test", "susp@alpha.test"}


def test_an_account_expires_at_its_second_and_its_sessions_end(made: Any) -> None:
    host = made(with_state("ana", expires=Expiry(NOW, State.SUSPENDED)), with_state("boss"))
    assert host.at(NOW - 1) == []
    assert (host.denied(), host.rows("refused")) == ([], {})
    assert host.at(NOW) == ["postfix reload", "wait", "doveadm kick ana@alpha.test"]
    assert host.denied() == ["ana@alpha.test"]
    assert host.at(NOW + 60) == [], "nothing is done twice"
    # Those of submission end by what the milter reads.
    ended = host.folder.parent / "run" / "ended"
    ((name, since),) = [line.split() for line in ended.read_text().splitlines()]
    assert name == "ana@alpha.test"
    assert 0 < float(since) <= float(f"{time.monotonic():.3f}")  # it is rounded, maybe upwards
    assert (ended.stat().st_mode & 0o777, ended.parent.stat().st_mode & 0o777) == (0o644, 0o755)


def test_a_later_date_brings_the_account_back(made: Any, tmp_path: Path) -> None:
    host = made(with_state("ana", expires=Expiry(NOW, State.NO_LOGIN)))
    host.at(NOW)
    give(state_of(with_state("ana", expires=Expiry(NOW + 100, State.NO_LOGIN))), tmp_path)
    assert host.at(NOW) == ["postfix reload"]
    assert host.denied() == []


def test_expiry_adds_to_a_state_and_takes_nothing_from_it(made: Any) -> None:
    host = made(with_state("ana", State.NO_RECEIVE, expires=Expiry(NOW, State.NO_LOGIN)), with_state("boss"))
    host.at(NOW)
    assert host.denied() == ["ana@alpha.test"]
    assert set(host.rows("refused")) == {"ana@alpha.test"}


def test_other_names_are_refused_and_a_catch_all_leaves_the_others_alone(made: Any) -> None:
    host = made(
        with_state("ana", State.SUSPENDED),
        with_state("boss", forward=Forward(("x@else.test",), keep=True)),
        aliases=(("info@alpha.test", "ana@alpha.test"), ("sales@alpha.test", "boss@alpha.test")),
        lists=(("team@alpha.test", ("ana@alpha.test", "boss@alpha.test")),),
        catch_all="ana@alpha.test",
        domain_aliases=("sub.alpha.test",),
    )
    host.at(NOW)
    refused = {name for name, action in host.rows("refused").items() if action.startswith("550 ")}
    left = {name for name, action in host.rows("refused").items() if action == "DUNNO"}
    assert refused == {
        "alpha.test",
        "ana@alpha.test",
        "ana@sub.alpha.test",
        "info@alpha.test",
        "info@sub.alpha.test",
    }
    assert {"boss@alpha.test", "sales@alpha.test", "team@alpha.test", "sub.alpha.test"} <= left
    assert "postmaster@alpha.test" in left, "it falls to the first account that gets mail"


def test_passwords_of_programs_are_numbered_by_protocol_and_end_at_their_date(made: Any) -> None:
    word = Secret("env:X", "word")
    host = made(
        with_state(
            "ana",
            app_passwords=(
                AppPassword("phone", ("imap", "submission"), password=word, expires=NOW),
                AppPassword("tablet", ("imap", "managesieve"), password=Secret("env:Y", "other")),
            ),
        )
    )
    host.at(NOW - 1)
    assert host.passwords() == [
        "ana@alpha.test/imap/1",
        "ana@alpha.test/smtp/1",
        "ana@alpha.test/imap/2",
        "ana@alpha.test/sieve/1",
    ]
    assert host.at(NOW) == ["postfix reload", "wait", "doveadm kick ana@alpha.test"]
    assert host.passwords() == ["ana@alpha.test/imap/1", "ana@alpha.test/sieve/1"]
    assert "{X}other" in (host.folder / "app-passwords").read_text()
    assert host.at(NOW + 1) == []


def test_who_is_to_be_logged_out_is_not_forgotten_by_a_run_that_is_killed(made: Any) -> None:
    host = made(with_state("ana", State.NO_LOGIN))
    run = host.program["main"]

    def killed(*_: Any) -> Any:
        raise KeyboardInterrupt

    host.program["tables"], tables = killed, host.program["tables"]
    with pytest.raises(KeyboardInterrupt):
        host.at(NOW)
    host.program["tables"] = tables
    assert "doveadm kick ana@alpha.test" in host.at(NOW)
    assert run


def test_before_postfix_runs_nothing_is_reloaded(made: Any) -> None:
    assert "postfix reload" not in made(with_state("ana", State.SUSPENDED)).at(NOW, postfix=False)


def test_a_name_with_a_quote_is_denied_in_dovecots_spelling(made: Any) -> None:
    host = made(with_state("o'hara", State.SUSPENDED))
    assert host.at(NOW)[-1] == "doveadm kick o'hara@alpha.test"
    assert host.denied() == ["o\\'hara@alpha.test"]
    assert set(host.rows("refused")) >= {"o'hara@alpha.test"}


def test_without_such_keys_a_host_has_none_of_it() -> None:
    state = state_of(with_state("ana"))
    assert [file.path for file in state.files if "states" in file.path] == []
    assert [each.path for each in state.account_files] == ["/etc/dovecot/mailprov-users"]
    assert "mailprov-states" not in "".join(file.content for file in state.files)


def test_the_timer_has_each_date_once() -> None:
    state = state_of(
        with_state("ana", expires=Expiry(NOW)),
        with_state("eva", expires=Expiry(NOW)),
        with_state("luis", expires=Expiry(NOW + 86400)),
    )
    (timer,) = (file.content for file in state.files if file.path.endswith("mailprov-expiry.timer"))
    assert re.findall("OnCalendar=(.*)", timer) == [
        "2027-01-15 08:00:00 UTC",
        "2027-01-16 08:00:00 UTC",
        "daily",
    ]
