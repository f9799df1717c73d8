"""Secrets: what each reference gives, what it says when it gives nothing, and that no value is ever seen."""

from __future__ import annotations

import dataclasses
import os
import signal
import threading
import time
from pathlib import Path

import pytest

from mailprov.errors import InventoryError
from mailprov.inventory import SecretMode, load
from mailprov.model.accounts import Account
from mailprov.model.inventory import Inventory
from mailprov.schema.command import CommandFailed, output_of
from mailprov.schema.secrets import MAX_SECRET

VALUE = "correct horse:battery'staple\tñ"


def inventory(folder: Path, *references: str, mode: SecretMode = SecretMode.RESOLVE) -> Inventory:
    lines = [
        "hosts:",
        "  mx1: {address: 10.0.0.1, fqdn: mx1.a.test}",
        "domains:",
        "  a.test:",
        "    hosts: [mx1]",
    ]
    lines += ["    accounts:", *(f"      u{n}: {{password: {each}}}" for n, each in enumerate(references))]
    path = folder / "mail.yml"
    path.write_text("\n".join(lines))
    return load(path, mode)


def accounts(folder: Path, *references: str, mode: SecretMode = SecretMode.RESOLVE) -> tuple[Account, ...]:
    return inventory(folder, *references, mode=mode).domains[0].accounts


def wrong(folder: Path, reference: str, mode: SecretMode = SecretMode.RESOLVE) -> str:
    with pytest.raises(InventoryError) as caught:
        accounts(folder, reference, mode=mode)
    (problem,) = caught.value.problems
    assert (problem.line, problem.column) == (7, 28 + reference.index(": ") - 4)
    return problem.what


def revealed(account: Account) -> str:
    assert account.password
    return account.password.reveal()


def test_each_form_gives_its_value(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAILPROV_TEST", VALUE)
    (tmp_path / "plain").write_text(VALUE)
    (tmp_path / "lines").write_text(f"{VALUE}\r\nurl: https://a.test\n")
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "own").write_text(f"{VALUE}\n")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    found = accounts(
        tmp_path,
        "{env: MAILPROV_TEST}",
        "{file: plain}",
        "{file: lines}",
        "{file: ~/own}",
        "{command: cat plain}",
        "{command: [cat, plain]}",
        '{command: "cat plain | cat; echo"}',
    )
    assert [revealed(account) for account in found] == [VALUE] * len(found)
    origins = [account.password.origin for account in found if account.password]
    assert origins[0] == "env:MAILPROV_TEST"
    assert origins[1] == "file:plain"
    assert origins[4:] == ["command:cat"] * 3


def test_a_hash_is_kept_as_it_is_and_not_shown(tmp_path: Path) -> None:
    text = "{SHA512-CRYPT}$6$salt$hashhashhash"
    (account,) = accounts(tmp_path, f'{{hash: "{text}"}}')
    assert account.password is None
    assert account.password_hash
    assert account.password_hash.reveal() == text
    assert "hashhash" not in repr(account)


def test_no_value_is_in_the_model_s_texts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAILPROV_TEST", VALUE)
    whole = inventory(tmp_path, "{env: MAILPROV_TEST}")
    assert "MAILPROV_TEST" in repr(whole)
    assert "battery" not in repr(whole) + str(whole) + f"{whole}"
    assert "battery" in str(dataclasses.asdict(whole)), "or this test could not see it"


def test_check_looks_without_running_or_keeping(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAILPROV_TEST", VALUE)
    (tmp_path / "plain").write_text(VALUE)
    found = accounts(
        tmp_path, "{env: MAILPROV_TEST}", "{file: plain}", "{command: touch ran}", mode=SecretMode.CHECK
    )
    assert [revealed(account) for account in found] == ["", "", ""]
    assert not (tmp_path / "ran").exists()
    assert "is not set" in wrong(tmp_path, "{env: MAILPROV_TEST_UNSET}", SecretMode.CHECK)
    assert "does not exist" in wrong(tmp_path, "{file: nothing}", SecretMode.CHECK)


def test_ignore_only_parses(tmp_path: Path) -> None:
    found = accounts(tmp_path, "{env: UNSET}", "{file: none}", "{command: touch ran}", mode=SecretMode.IGNORE)
    assert [revealed(account) for account in found] == ["", "", ""]
    assert not (tmp_path / "ran").exists()


def test_a_command_runs_once_for_all_who_name_it(tmp_path: Path) -> None:
    command = '{command: "echo x >> ran; echo value"}'
    accounts(tmp_path, command, command, command)
    assert (tmp_path / "ran").read_text() == "x\n"


def test_no_command_runs_for_an_inventory_that_is_wrong_anyway(tmp_path: Path) -> None:
    with pytest.raises(InventoryError) as caught:
        accounts(tmp_path, "{command: touch ran}", "{env: MAILPROV_TEST_UNSET, file: x}")
    assert len(caught.value.problems) == 1
    assert not (tmp_path / "ran").exists()


def test_a_file_that_gives_nothing_usable_is_told_why(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("")
    (tmp_path / "blank").write_text(" \n")
    (tmp_path / "second").write_text("\nsecond\n")
    (tmp_path / "latin").write_bytes(b"se\xf1al")
    (tmp_path / "binary").write_bytes(b"a\0b")
    (tmp_path / "large").write_bytes(b"a" * (MAX_SECRET + 1))
    os.mkfifo(tmp_path / "fifo")
    assert wrong(tmp_path, "{file: empty}") == "the secret file empty is empty; put the secret there"
    assert "is empty" in wrong(tmp_path, "{file: blank}")
    assert "is empty" in wrong(tmp_path, "{file: second}")
    assert "is empty" in wrong(tmp_path, "{file: fifo}")
    assert "no text in UTF-8" in wrong(tmp_path, "{file: latin}")
    assert "control characters" in wrong(tmp_path, "{file: binary}")
    assert "larger than 64 KiB" in wrong(tmp_path, "{file: large}")
    assert "larger than 64 KiB" in wrong(tmp_path, "{file: /dev/zero}")
    assert "is a directory" in wrong(tmp_path, "{file: .}")
    assert "does not exist" in wrong(tmp_path, "{file: none}")
    assert "cannot be read" in wrong(tmp_path, "{file: empty/below}")


def test_an_environment_that_is_not_text_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environb, b"MAILPROV_TEST", b"\xff\xfe")
    assert "no text in UTF-8" in wrong(tmp_path, "{env: MAILPROV_TEST}")
    monkeypatch.setenv("MAILPROV_TEST", "a\nb")
    assert "more than one line" in wrong(tmp_path, "{env: MAILPROV_TEST}")


def ends(arguments: list[str], folder: Path, seconds: float = 60) -> str:
    with pytest.raises(CommandFailed) as caught:
        output_of(arguments, folder, limit=MAX_SECRET, seconds=seconds, name="pass")
    said = str(caught.value)
    assert said.startswith("the command pass ")
    return said.removeprefix("the command pass ")


def shell(line: str) -> list[str]:
    return ["/bin/sh", "-c", line]


def test_a_command_that_never_ends_is_ended_with_its_children(tmp_path: Path) -> None:
    line = "(sleep 600 & echo $! > child.new; mv child.new child; wait) | cat"
    for seconds in (0.5, 5, 50):  # until it was given the time to begin, on a busy machine
        assert ends(shell(line), tmp_path, seconds=seconds) == f"did not end within {seconds:g} s"
        if (tmp_path / "child").exists():
            break
    child = int((tmp_path / "child").read_text())
    until = time.monotonic() + 60
    while Path(f"/proc/{child}").exists() and "State:\tZ" not in Path(f"/proc/{child}/status").read_text():
        assert time.monotonic() < until, "the child lives"
        time.sleep(0.01)


def test_a_command_that_closes_its_output_and_stays_is_ended(tmp_path: Path) -> None:
    line = "exec >&- 2>&-; sleep 60"
    assert ends(shell(line), tmp_path, seconds=0.3) == "did not end within 0.3 s"


def test_a_child_in_the_background_is_not_waited_for(tmp_path: Path) -> None:
    assert output_of(shell("sleep 20 & echo $! > child; echo value"), tmp_path, limit=100) == b"value\n"
    os.kill(int((tmp_path / "child").read_text()), 15)  # it lives


def test_a_command_that_prints_without_end_is_stopped(tmp_path: Path) -> None:
    assert ends(["yes"], tmp_path) == "printed more than 64 KiB; a secret is one line"


def test_a_command_gets_no_input_and_its_complaint_is_told_but_not_its_output(tmp_path: Path) -> None:
    assert output_of(["cat"], tmp_path, limit=10) == b""
    told = ends(shell("echo first >&2; echo 'no entry \x1b[31m' >&2; exit 2"), tmp_path)
    assert told == "ended with status 2: no entry [31m"
    assert ends(shell("echo secret; echo 'se\x07cret is bad' >&2; exit 2"), tmp_path) == "ended with status 2"
    assert ends(shell("kill -9 $$"), tmp_path) == "was ended by signal 9"
    assert ends(["mailprov-no-such-program"], tmp_path) == "is not installed, or not in PATH"
    assert "cannot be run" in ends([str(tmp_path)], tmp_path)


def test_ctrl_c_ends_the_commands_at_once(tmp_path: Path) -> None:
    main = threading.main_thread().ident
    assert main

    def interrupt() -> None:
        until = time.monotonic() + 120
        while len(list(tmp_path.glob("started*"))) < 2 and time.monotonic() < until:
            time.sleep(0.01)
        signal.pthread_kill(main, signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        accounts(
            tmp_path,
            '{command: "touch started1; sleep 600"}',
            '{command: "touch started2; sleep 600; echo x"}',
        )
    thread.join()


def test_distinct_commands_run_side_by_side(tmp_path: Path) -> None:
    # Each waits for the other: one after the other they would not end.
    line = (
        "touch {0}; n=0; until [ -e {1} ]; do n=$((n+1)); [ $n -lt 400 ] || exit 1; sleep 0.02; done; echo x"
    )
    found = accounts(
        tmp_path, *(f'{{command: "{line.format(one, other)}"}}' for one, other in (("a", "b"), ("b", "a")))
    )
    assert [revealed(account) for account in found] == ["x", "x"]
