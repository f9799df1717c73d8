"""Mode trusts: which of some addresses Postfix and Dovecot of this host trust more than strangers, and by what."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest

from mailprov.agent import commands, facts, files, trusted_networks
from mailprov.agent.job import Job
from mailprov.agent.session import Session

US = "192.0.2.9"


def never(address: str, table: str) -> bool:
    raise AssertionError((address, table))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("127.0.0.0/8 192.0.2.0/24", "192.0.2.0/24"),
        ("127.0.0.0/8, 192.0.2.9", "192.0.2.9"),
        ("!192.0.2.9 192.0.2.0/24", ""),
        ("192.0.2.0/24 !192.0.2.9", "192.0.2.0/24"),
        ("192.0.2.0/28 [2001:db8::]/64", "192.0.2.0/28"),
        ("192.0.2.16/28 [::1]/128", ""),
        ("[::ffff:192.0.2.0]/120", ""),
        ("0.0.0.0/0", "0.0.0.0/0"),
        ("nonsense 300.1.1.1/8", ""),
        ("", ""),
    ],
)
def test_the_first_item_that_has_the_address_decides(text: str, found: str) -> None:
    assert trusted_networks.trusted(US, text, never) == found


def test_addresses_of_both_families_and_what_is_written_in_the_other_one() -> None:
    text = "192.0.2.0/24 [2001:db8::]/64"
    assert trusted_networks.trusted("2001:db8::7", text, never) == "[2001:db8::]/64"
    assert trusted_networks.trusted("2001:db8:1::7", text, never) == ""
    assert trusted_networks.trusted("::ffff:192.0.2.9", text, never) == "192.0.2.0/24"


def test_a_file_stands_for_its_lines_and_a_table_is_asked(tmp_path: Path) -> None:
    listed = tmp_path / "networks"
    listed.write_text("# ours\n10.0.0.0/8\n192.0.2.0/24\n")
    assert trusted_networks.trusted(US, f"127.0.0.0/8 {listed}", never) == "192.0.2.0/24"
    assert trusted_networks.trusted(US, f"!{listed} 0.0.0.0/0", never) == ""
    assert trusted_networks.trusted(US, f"{tmp_path}/nowhere 192.0.2.9", never) == "192.0.2.9"
    listed.write_text(str(listed))  # itself
    assert trusted_networks.trusted(US, str(listed), never) == ""
    assert trusted_networks.trusted(US, "cidr:/etc/own", lambda address, table: True) == "cidr:/etc/own"


class Heard:
    def __init__(self) -> None:
        self.said: dict[str, Any] = {}

    def say(self, t: str, **fields: Any) -> None:
        self.said = {"t": t, **fields}


POSTCONF = """
case "$*" in
*-P*) echo "$OVERRIDES" ;;
*mynetworks*) echo "127.0.0.0/8 192.0.2.0/24" ;;
esac
"""


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "tools"
    folder.mkdir()
    monkeypatch.setattr(commands, "PATH", f"{folder}:/usr/bin:/bin")
    monkeypatch.setattr(facts, "ssh_ends", lambda: (US, "192.0.2.1"))
    return folder


def program(tools: Path, name: str, script: str) -> None:
    (tools / name).write_text(f"#!/bin/sh\n{script}\n")
    (tools / name).chmod(0o755)


def told(root: Path, **more: Any) -> dict[str, Any]:
    heard = Heard()
    session = Session.__new__(Session)
    session.job = Job("tag", "trusts", "ana", **more)
    session.channel, session.tree = heard, files.Tree(str(root))  # type: ignore[assignment]
    trusted_networks.tell(session)
    return heard.said


def test_each_port_has_what_its_service_has(tools: Path, tmp_path: Path) -> None:
    overrides = "smtp/inet/mynetworks = 127.0.0.0/8\nsubmission/inet/smtpd_sasl_auth_enable = yes"
    program(tools, "postconf", POSTCONF.replace("$OVERRIDES", overrides))
    program(tools, "doveconf", "echo 192.0.2.8/29")
    said = told(tmp_path, addresses=("198.51.100.7",))
    assert (said["peer"], said["at"]) == (US, "192.0.2.1")
    inside = {(row["port"], row["setting"], row["address"], row["network"]) for row in said["inside"]}
    assert inside == {
        *((port, "mynetworks", US, "192.0.2.0/24") for port in (465, 587)),
        *((port, "login_trusted_networks", US, "192.0.2.8/29") for port in (143, 110, 4190)),
    }


def test_behind_postscreen_it_is_the_service_that_gets_the_connection(tools: Path, tmp_path: Path) -> None:
    overrides = "smtpd/pass/mynetworks = 198.51.100.0/24"
    program(tools, "postconf", POSTCONF.replace("$OVERRIDES", overrides))
    said = told(tmp_path, addresses=("198.51.100.7",))
    rows = [row for row in said["inside"] if row["port"] == 25]
    assert [(row["address"], row["network"]) for row in rows] == [("198.51.100.7", "198.51.100.0/24")]


def test_a_host_without_postfix_and_dovecot_trusts_nobody(tools: Path, tmp_path: Path) -> None:
    assert told(tmp_path)["inside"] == []


def test_where_the_host_itself_takes_mail(
    tools: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = socket.socket.connect
    with socket.create_server(("127.0.0.1", 0)) as listener:
        number = listener.getsockname()[1]
        monkeypatch.setattr(
            socket.socket,
            "connect",
            lambda sock, place: real(sock, (place[0], number if place[1] == 25 else place[1])),
        )
        assert told(tmp_path, own=("127.0.0.1", "127.0.0.2"))["answers"] == ["127.0.0.1"]
