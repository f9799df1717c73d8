"""known_hosts as OpenSSH writes and reads it: ssh-keygen makes the data, and is the judge where it can be."""

from __future__ import annotations

import base64
import subprocess
from pathlib import Path

import pytest

from mailprov.transport import known_hosts
from mailprov.transport.endpoint import known_name
from mailprov.transport.ssh.hostkeys import append


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Public keys `type base64` by name, made by ssh-keygen."""
    folder = tmp_path_factory.mktemp("keys")
    made = {}
    for name, kind in (("one", "ed25519"), ("two", "ed25519"), ("curve", "ecdsa"), ("rsa", "rsa")):
        bits = ["-b", "2048"] if kind == "rsa" else []
        subprocess.run(
            ["ssh-keygen", "-q", "-t", kind, *bits, "-N", "", "-C", "", "-f", str(folder / name)], check=True
        )
        made[name] = (folder / f"{name}.pub").read_text().strip()
        made[f"{name}.file"] = str(folder / f"{name}.pub")
    return made


def read(tmp_path: Path, text: str) -> list[known_hosts.KnownKey]:
    path = tmp_path / "known_hosts"
    path.write_text(text)
    return known_hosts.read([path])


def found(lines: list[known_hosts.KnownKey], address: str, port: int = 22) -> list[str]:
    name = known_name(address, port)
    return [
        f"{key.type} {base64.b64encode(key.blob).decode()}"
        for key in lines
        if key.covers(name) and not key.authority
    ]


def test_plain_names_addresses_and_ports(tmp_path: Path, keys: dict[str, str]) -> None:
    lines = read(
        tmp_path,
        f"mx1.alpha.test,10.0.0.11 {keys['one']} a comment\n"
        f"[mx2]:2222,[::1]:2222 {keys['rsa']}\n"
        f"fe80::1 {keys['two']}\n",
    )
    assert found(lines, "mx1.alpha.test") == [keys["one"]]
    assert found(lines, "MX1.Alpha.Test") == [keys["one"]]
    assert found(lines, "10.0.0.11") == [keys["one"]]
    assert found(lines, "mx1.alpha.test", 2222) == []
    assert found(lines, "mx2", 2222) == [keys["rsa"]]
    assert found(lines, "::1", 2222) == [keys["rsa"]]
    assert found(lines, "mx2") == []
    assert found(lines, "fe80::1") == [keys["two"]]


def test_names_hashed_by_ssh_keygen(tmp_path: Path, keys: dict[str, str]) -> None:
    path = tmp_path / "known_hosts"
    path.write_text(f"mx1.alpha.test,10.0.0.11 {keys['one']}\n[mx2]:2222 {keys['curve']}\n")
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", str(path)], check=True, capture_output=True)
    assert "mx1" not in path.read_text()
    assert path.read_text().count("|1|") == 3
    lines = known_hosts.read([path])
    assert found(lines, "mx1.alpha.test") == [keys["one"]]
    assert found(lines, "10.0.0.11") == [keys["one"]]
    assert found(lines, "mx2", 2222) == [keys["curve"]]
    assert found(lines, "mx3") == []


@pytest.mark.parametrize(
    ("patterns", "matching", "other"),
    [
        ("*.alpha.test", ["mx1.alpha.test", "a.b.alpha.test"], ["alpha.test", "mx1.beta.test"]),
        ("mx?.alpha.test", ["mx1.alpha.test"], ["mx10.alpha.test"]),
        ("*.alpha.test,!mx2.alpha.test", ["mx1.alpha.test"], ["mx2.alpha.test"]),
        ("!mx2.alpha.test,*.alpha.test", ["mx1.alpha.test"], ["mx2.alpha.test"]),
        ("!mx2.alpha.test", [], ["mx1.alpha.test", "mx2.alpha.test"]),
        ("10.0.*", ["10.0.0.11"], ["10.1.0.11"]),
    ],
)
def test_wildcards_and_negation_as_ssh_keygen_finds_them(
    tmp_path: Path, keys: dict[str, str], patterns: str, matching: list[str], other: list[str]
) -> None:
    lines = read(tmp_path, f"{patterns} {keys['one']}\n")
    for name in matching + other:
        assert found(lines, name) == ([keys["one"]] if name in matching else []), name
        judge = subprocess.run(
            ["ssh-keygen", "-F", name, "-f", str(tmp_path / "known_hosts")], capture_output=True, check=False
        )
        assert (judge.returncode == 0) == (name in matching), name


def test_a_bad_line_does_not_hide_the_others(tmp_path: Path, keys: dict[str, str]) -> None:
    kind, blob = keys["one"].split()
    bad = [
        "# a comment",
        "",
        "mx1",
        f"mx1 {kind}",
        f"mx1 {kind} not*base64",
        f"mx1 {kind} {blob[:-3]}!",
        f"mx1 ssh-rsa {blob}",
        f"mx1 {kind} AAAA",
        "mx1 1024 35 1234567890",
        f"@cert-authority mx1 {keys['two']}",
        f"@unheard-of mx1 {keys['two']}",
        f"|1|broken {keys['two']}",
        f"|2|a|b {keys['two']}",
        "\x00\xff binary",
    ]
    path = tmp_path / "known_hosts"
    path.write_bytes("\n".join([*bad, f"mx1 {keys['one']}", *bad]).encode("latin-1"))
    lines = known_hosts.read([path])
    assert found(lines, "mx1") == [keys["one"]]


def test_revoked_keys_are_marked(tmp_path: Path, keys: dict[str, str]) -> None:
    lines = read(tmp_path, f"@revoked * {keys['one']}\nmx1 {keys['one']}\n")
    assert [key.revoked for key in lines] == [True, False]
    assert lines[0].place.endswith("known_hosts:1")


def test_files_that_do_not_exist_hold_nothing(tmp_path: Path) -> None:
    assert known_hosts.read([tmp_path / "none", tmp_path]) == []


@pytest.mark.parametrize("name", ["one", "curve", "rsa"])
def test_fingerprints_as_ssh_keygen_prints_them(keys: dict[str, str], name: str) -> None:
    blob = base64.b64decode(keys[name].split()[1])
    printed = subprocess.run(
        ["ssh-keygen", "-l", "-f", keys[f"{name}.file"]], capture_output=True, text=True, check=True
    )
    assert known_hosts.fingerprint(blob) == printed.stdout.split()[1]


def test_append_keeps_what_is_there(tmp_path: Path, keys: dict[str, str]) -> None:
    path = tmp_path / "new" / "known_hosts"
    append(path, f"mx1 {keys['one']}")
    assert path.read_text() == f"mx1 {keys['one']}\n"
    assert path.stat().st_mode & 0o777 == 0o600
    path.write_text(f"# mine\nodd line\nmx1 {keys['one']}")  # no newline at the end
    append(path, f"mx2 {keys['two']}")
    append(path, f"mx2 {keys['two']}")
    append(path, f"mx1 {keys['one']}")
    assert path.read_text() == f"# mine\nodd line\nmx1 {keys['one']}\nmx2 {keys['two']}\n"
