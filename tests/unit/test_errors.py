"""Errors are one printable sentence, whatever a file or a server put into them."""

from __future__ import annotations

from mailprov.errors import HostFailed, InventoryError, Problem


def test_where_what_and_advice_make_one_sentence() -> None:
    error = HostFailed("mx1", "apt-get failed.", "Look at the last lines, then run it again.")

    assert str(error) == "mx1: apt-get failed. Look at the last lines, then run it again."


def test_a_question_keeps_its_mark() -> None:
    assert str(HostFailed("mx1", "no answer", "Is it on?")) == "mx1: no answer. Is it on?"


def test_what_a_server_says_cannot_command_the_terminal() -> None:
    assert str(HostFailed("mx1", "said \x1b[2Jhello\r\n")) == "mx1: said \\x1b[2Jhello\\r\\n."


def test_all_problems_of_an_inventory_in_the_order_of_the_file() -> None:
    error = InventoryError([Problem("m.yml", 9, 1, "b", "two"), Problem("m.yml", 2, 5, "", "one\x07")])

    assert str(error) == "m.yml:2:5: one\\x07\nm.yml:9:1: b: two"
