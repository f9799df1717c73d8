"""The file of passwords for a lab: what it may say, and that a mistake is told without telling a password."""

from __future__ import annotations

from pathlib import Path

import pytest

from mailprov.errors import InputError
from mailprov.lab.passwords import MADE_UP, read


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "passwords"


def test_an_accounts_own_password_goes_before_that_of_all(file: Path) -> None:
    file.write_text("\ufeff# class\n\nAna@Alpha.test   plum cake # 7 \r\n*\tcourse2026\n")
    chosen = read(file)
    assert chosen.of("ana@alpha.test") == "plum cake # 7"
    assert chosen.of("eva@alpha.test") == "course2026"
    chosen.check(["ana@alpha.test", "eva@alpha.test"])
    assert "plum" not in repr(chosen)


def test_what_is_not_chosen_is_made_up_and_differs() -> None:
    assert len({MADE_UP.of("ana@alpha.test") for _ in range(8)}) == 8


def test_an_account_that_is_not_there_is_refused(file: Path) -> None:
    file.write_text("ana@alpha.test one\nluis@alpha.test two\n")
    with pytest.raises(InputError, match=r"passwords: the inventory has no account luis@alpha\.test"):
        read(file).check(["ana@alpha.test"])


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("ana@alpha.test", ":1: there is no password for ana@alpha.test"),
        ("*", ":1: there is no password for *"),
        ("# x\nplum-cake\n", ":2: does not begin with an address or *"),
        ("ana@alpha.test pl\x07um", ":1: the password for ana@alpha.test has a control character in it"),
        ("ana@alpha.test plum\nANA@alpha.test cake", ":2: ANA@alpha.test is there twice"),
    ],
)
def test_a_mistake_is_told_with_its_line_and_no_password(file: Path, text: str, told: str) -> None:
    file.write_text(text)
    with pytest.raises(InputError) as caught:
        read(file)
    assert told in str(caught.value)
    assert "plum" not in str(caught.value)


def test_a_file_that_cannot_be_read_is_told(file: Path) -> None:
    with pytest.raises(InputError, match="cannot be read: No such file"):
        read(file)
    file.write_bytes(b"ana@alpha.test \xff")
    with pytest.raises(InputError, match="not text in UTF-8"):
        read(file)
