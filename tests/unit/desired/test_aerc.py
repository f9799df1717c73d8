"""aerc for users with a shell: a file of each user's own, a program that asks in aerc's place, and room for it."""

from __future__ import annotations

import configparser
import dataclasses
import imaplib
import io
import json
import os
import stat
import sys
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from desired_cases import BOOKWORM, alpha, delta, facts, host, inventory

from mailprov import desired
from mailprov.components.shell.component import TEXT_MUA
from mailprov.model.host_state import HostState
from mailprov.model.shell import Shell
from mailprov.model.shell_users import placed

ASK, WANTED = "/etc/mailprov/shell/ask", "/etc/mailprov/shell/users.json"
LIMITS, MANAGE = "/etc/security/limits.d/90-mailprov-shell.conf", "/etc/mailprov/shell/manage.py"
OWN = ".config/aerc/accounts.conf"


def built(*programs: str) -> HostState:
    ana, luis, marta, ohara = alpha().accounts
    accounts = (
        dataclasses.replace(ana, shell=Shell("ana")),
        dataclasses.replace(luis, shell=Shell("luis2", False, ("ssh-ed25519 AAAA luis",), True)),
        marta,
        dataclasses.replace(ohara, shell=Shell("ohara")),
    )
    having = dataclasses.replace(alpha(), accounts=accounts)
    (on,) = placed((TEXT_MUA.on(host(), programs),), (having, delta()))
    seen = facts({**BOOKWORM, "nftables": "1.0.6-2", "alpine": "2.26", "aerc": "0.14.0-1", "mutt": "2.2.12"})
    return desired.build(inventory(having, delta(), on=on), on, seen)


def files(state: HostState) -> dict[str, str]:
    return {file.path: file.content for file in state.files}


def run_as_module(text: str, name: str = "program") -> dict[str, Any]:
    space: dict[str, Any] = {"__name__": name}
    exec(compile(text, name, "exec"), space)
    return space


def test_each_user_with_a_shell_has_an_account_and_no_password_in_it() -> None:
    people = json.loads(files(built("aerc"))[WANTED])["users"]
    for name, address in (("ana", "ana@alpha.test"), ("ohara", "o'hara=x@alpha.test")):
        parser = configparser.ConfigParser(interpolation=None)
        parser.read_string(people[name]["files"][OWN])
        own = parser[address]
        source = urlsplit(own["source"])
        assert own["source"].count("@") == 1
        assert (source.scheme, unquote(source.username or ""), source.password) == ("imaps", address, None)
        assert (source.hostname, source.port) == (host().fqdn, 993)
        assert (own["source-cred-cmd"], own["from"]) == (ASK, f"<{address}>")


def test_the_menu_has_alpine_and_no_aerc() -> None:
    state = built("aerc")
    assert json.loads(files(state)[WANTED])["users"]["luis2"]["files"] == {}
    assert {"aerc", "alpine"} <= set(state.packages)


def test_aerc_has_addresses_to_reserve_and_no_more_to_write_to() -> None:
    """It ends with `pthread_create failed` where it has a gigabyte of addresses; the menu's users keep that."""
    limits = files(built("aerc"))[LIMITS].splitlines()
    assert {"ana hard as 4194304", "ana hard data 1048576", "luis2 hard as 1048576"} <= set(limits)
    assert "luis2 hard data 1048576" not in limits


def test_without_aerc_nothing_is_about_it() -> None:
    state = built("alpine", "mutt")
    assert not [path for path, text in files(state).items() if "aerc" in text or path == ASK]
    assert "aerc" not in state.packages


def test_a_file_that_is_there_is_never_written_again(tmp_path: Path) -> None:
    text = files(built("aerc"))
    seed, ana = run_as_module(text[MANAGE])["seed"], json.loads(text[WANTED])["users"]["ana"]
    seed(str(tmp_path), ana)
    own = tmp_path / OWN
    assert (own.read_text(), stat.S_IMODE(own.stat().st_mode)) == (ana["files"][OWN], 0o600)
    own.write_text("[mine]\n")
    seed(str(tmp_path), ana)
    assert own.read_text() == "[mine]\n"


class Terminal(io.StringIO):
    def close(self) -> None:
        """Read afterwards."""


class Asked:
    """The program that asks, with somebody who types `words`, and a server that answers by `says`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, words: list[str], says: dict[bytes, str]) -> None:
        self.space = run_as_module(files(built("aerc"))[ASK])
        self.terminal, self.out, self.signals = Terminal(), io.BytesIO(), []
        typed = io.BytesIO("".join(f"{word}\n" for word in words).encode())

        class Server:
            def __init__(self, *where: Any, **more: Any) -> None:
                assert where == (host().fqdn, 993)

            def authenticate(self, mechanism: str, answer: Any) -> None:
                nobody, address, word = answer(b"").split(b"\0")
                assert (mechanism, nobody, address) == ("PLAIN", b"", b"ana@alpha.test")
                if word in says:
                    raise imaplib.IMAP4.error(says[word])

            def logout(self) -> None:
                pass

        gecos = "ana,,,,mailprov-account=ana@alpha.test"
        user = dataclasses.make_dataclass("user", ["pw_gecos"])(gecos)
        monkeypatch.setitem(
            self.space, "open", lambda path, mode, **more: self.terminal if mode == "w" else typed
        )
        monkeypatch.setattr(self.space["imaplib"], "IMAP4_SSL", Server)
        monkeypatch.setattr(self.space["pwd"], "getpwuid", lambda _: user)
        monkeypatch.setattr(self.space["termios"], "tcgetattr", lambda _: [0, 0, 0, 0xFF, 0, 0, []])
        self.modes: list[int] = []
        monkeypatch.setattr(
            self.space["termios"], "tcsetattr", lambda _, when, modes: self.modes.append(modes[3])
        )
        monkeypatch.setattr(self.space["socket"], "setdefaulttimeout", lambda _: None)
        monkeypatch.setattr(os, "kill", lambda *which: self.signals.append(which))
        Imap = self.space["imaplib"].IMAP4_SSL
        Imap.error = imaplib.IMAP4.error
        monkeypatch.setattr(sys, "stdout", dataclasses.make_dataclass("out", ["buffer"])(self.out))
        self.code = self.space["main"]()


def test_a_wrong_password_is_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    says = {b"wrong": "b'[AUTHENTICATIONFAILED] Authentication failed.'"}
    asked = Asked(monkeypatch, ["wrong", "right"], says)
    assert (asked.code, asked.out.getvalue(), asked.signals) == (0, b"right", [])
    assert asked.terminal.getvalue().count("Password for ana@alpha.test: ") == 2
    assert "That is not the password." in asked.terminal.getvalue()
    assert asked.modes[-1] == 0xFF
    assert asked.modes[0] != 0xFF


def test_what_the_server_does_not_say_is_aercs_to_show(monkeypatch: pytest.MonkeyPatch) -> None:
    says = {b"any": "b'[UNAVAILABLE] Temporary authentication failure.'"}
    asked = Asked(monkeypatch, ["any"], says)
    assert (asked.code, asked.out.getvalue()) == (0, b"any")


def test_who_gives_up_ends_aerc_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Asked(monkeypatch, [], {})
    assert (asked.code, asked.out.getvalue(), asked.signals) == (1, b"", [(0, 2)])
    assert asked.modes[-1] == 0xFF
