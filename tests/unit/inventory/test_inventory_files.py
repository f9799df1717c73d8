"""What is no inventory at all ends at once, with one sentence that says why."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mailprov.errors import SAME_KIND, InputError, InventoryError
from mailprov.inventory import SecretMode, composer, load
from mailprov.inventory.files import MAX_BYTES
from mailprov.schema.context import MAX_PROBLEMS


@pytest.fixture
def _at_once() -> Iterator[None]:
    began = time.process_time()
    yield
    assert time.process_time() - began < 20


def said(path: str | Path) -> str:
    with pytest.raises(InputError) as caught:
        load(path)
    assert not isinstance(caught.value, InventoryError)
    return str(caught.value)


@pytest.mark.usefixtures("_at_once")
def test_a_missing_file_names_the_nearest_one(tmp_path: Path) -> None:
    (tmp_path / "mail.yml").touch()
    assert (
        said(tmp_path / "mial.yml") == f"{tmp_path}/mial.yml: no such file. Did you mean {tmp_path}/mail.yml."
    )
    assert said(tmp_path / "x") == f"{tmp_path}/x: no such file. Check the path."
    gone = tmp_path / "gone" / "mail.yml"
    assert said(gone) == f"{gone}: no such file. There is no folder {tmp_path}/gone either."
    below = tmp_path / "mail.yml" / "x"
    assert said(below) == f"{below}: no such file; a part of this path is a file, not a directory."


@pytest.mark.usefixtures("_at_once")
def test_a_directory_names_a_file_in_it(tmp_path: Path) -> None:
    assert said(tmp_path) == f"{tmp_path}: is a directory. Give an inventory file."
    (tmp_path / "mail.yml").touch()
    assert said(tmp_path) == f"{tmp_path}: is a directory. Give a file in it, such as {tmp_path}/mail.yml."


@pytest.mark.usefixtures("_at_once")
def test_a_fifo_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    assert "is not a regular file" in said(tmp_path / "fifo")
    assert "is not a regular file" in said("/dev/zero")


@pytest.mark.usefixtures("_at_once")
def test_ten_megabytes_of_garbage_are_not_parsed(tmp_path: Path) -> None:
    path = tmp_path / "big"
    path.write_bytes(os.urandom(10 * 1024 * 1024))
    assert (
        said(path)
        == f"{path}: is 10.0 MiB; an inventory is at most 8 MiB. Check that this is the right file."
    )


@pytest.mark.usefixtures("_at_once")
def test_eight_megabytes_of_garbage_end_in_time(tmp_path: Path) -> None:
    path = tmp_path / "big"
    path.write_bytes(os.urandom(MAX_BYTES // 2).hex().encode())
    with pytest.raises(InventoryError, match="the top level must be a mapping"):
        load(path)
    path.write_bytes(b"[" * MAX_BYTES)
    with pytest.raises(InventoryError, match="the top level must be a mapping"):
        load(path)
    path.write_bytes(b"a: " + b"[" * (MAX_BYTES - 3))
    with pytest.raises(InventoryError, match="nested more than"):
        load(path)
    path.write_bytes(b"\0" * MAX_BYTES)
    with pytest.raises(
        InventoryError, match="big:1:1: this is a NUL byte, not text; an inventory is YAML in UTF-8"
    ):
        load(path)


@pytest.mark.usefixtures("_at_once")
def test_a_path_that_cannot_be_one_is_said_to_be(tmp_path: Path) -> None:
    assert said("a\0b") == "a\\x00b: cannot be read (not a usable path)."
    assert "File name too long" in said("x" * 5000)


@pytest.mark.usefixtures("_at_once")
def test_a_file_of_somebody_else_is_said_to_be(tmp_path: Path) -> None:
    path = tmp_path / "mail.yml"
    path.write_text("hosts: {}\n")
    path.chmod(0)
    if os.geteuid() != 0:
        text = said(path)
    else:  # root may read everything, so be somebody else for a moment
        os.seteuid(65534)
        try:
            text = said(path)
        finally:
            os.seteuid(0)
    assert text == f"{path}: may not be read by this user. Check the permissions of the file."


def test_a_byte_order_mark_and_crlf_are_read(tmp_path: Path) -> None:
    path = tmp_path / "mail.yml"
    lines = [
        "hosts:",
        "  mx1: {address: 10.0.0.1, fqdn: mx1.a.test}",
        "domains:",
        "  a.test: {hosts: [mx1]}",
        "",
    ]
    path.write_bytes(b"\xef\xbb\xbf" + "\r\n".join(lines).encode())
    assert load(path).hosts[0].name == "mx1"


def test_importing_the_package_imports_no_parser() -> None:
    code = (
        "import sys, mailprov.inventory as i\n"
        "slow = {'pydantic', 'ruamel.yaml', 'subprocess', 'dns', 'logging'}\n"
        "print(sorted(slow & set(sys.modules)), i.SecretMode.CHECK)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[] SecretMode.CHECK\n"


def large(accounts: int) -> str:
    lines = [
        "hosts:",
        "  mx1: {address: 10.0.0.1, fqdn: mx1.a.test}",
        "domains:",
        "  a.test:",
        "    hosts: [mx1]",
    ]
    lines += ["    accounts:"]
    for number in range(accounts):
        to = f"u{number + 1}@b.test"
        lines += [
            f"      u{number}:",
            "        password: {env: ANA}",
            "        quota: 1G",
            f"        forward: {{to: [{to}]}}",
        ]
    lines += ["    aliases:", *(f"      a{number}: u{number}" for number in range(accounts))]
    return "\n".join(lines)


def test_thousands_of_accounts_are_read_in_time_that_grows_with_them(tmp_path: Path) -> None:
    def seconds(accounts: int) -> float:
        path = tmp_path / f"{accounts}.yml"
        path.write_text(large(accounts))
        began = time.process_time()
        inventory = load(path, SecretMode.IGNORE)
        assert len(inventory.domains[0].accounts) == len(inventory.domains[0].aliases) == accounts
        return time.process_time() - began

    seconds(10)  # imports
    few, many = seconds(300), seconds(3000)
    assert many < 40 * max(few, 0.01)  # ten times as many; were it quadratic, a hundred times as long


def test_an_endless_list_of_mistakes_is_not_told_to_the_end(tmp_path: Path) -> None:
    path = tmp_path / "mail.yml"
    top = "hosts: {mx1: {address: 10.0.0.1, fqdn: mx1.a.test}}\ndomains: {a.test: {hosts: [mx1], domain_aliases: ["
    path.write_text(top + "a," * (MAX_PROBLEMS + 100) + "]}}\n")
    with pytest.raises(InventoryError) as caught:
        load(path)
    assert len(caught.value.problems) == MAX_PROBLEMS + 1
    assert caught.value.problems[-1].what.startswith("more than 10,000 problems")
    path.write_text("".join(f"key{number}: x\n" for number in range(MAX_PROBLEMS + 100)))
    with pytest.raises(InventoryError) as caught:
        load(path)
    assert len(caught.value.problems) == MAX_PROBLEMS + 1
    assert caught.value.problems[-1].what.startswith("more than 10,000 problems")


def test_more_values_than_an_inventory_holds_are_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(composer, "MAX_EVENTS", 100)
    path = tmp_path / "mail.yml"
    path.write_text("hosts: [" + "a," * 200 + "]\n")
    with pytest.raises(InventoryError, match="more than an inventory holds"):
        load(path)


def test_thousands_of_equal_mistakes_are_told_in_a_screen(tmp_path: Path) -> None:
    path = tmp_path / "mail.yml"
    lines = [
        "hosts:",
        "  mx1: {address: 192.0.2.1, fqdn: mx1.a.test}",
        "domains:",
        "  a.test:",
        "    hosts: [mx1]",
    ]
    lines += [
        "    lists:",
        *(f"      list{number}: [nobody{number}]" for number in range(4000)),
        "    quta: 1G",
    ]
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(InventoryError) as caught:
        load(path)
    shown = str(caught.value).splitlines()
    assert len(caught.value.problems) == 4001, "reports get all of them"
    assert len(shown) == SAME_KIND + 2
    assert shown[-2].startswith(
        f'{path}:4007:5: domains.a.test.quta: unknown key "quta"; did you mean "quota"?'
    )
    assert shown[-1].startswith(f"{path}: and 3,980 more such problems, up to line 4006: ")
