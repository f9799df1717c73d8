"""What the command line of `mailprov queue` refuses, before any host is asked."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.cli.program import mailprov
from tests.unit.cli.test_exit_codes import NOWHERE

ONE, TWO = "4F0A1B2C3D", "4jd6bZ6tFsz2RBGG"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--delete", "ALL", "--yes"], '"ALL" is not a queue id'),
        (["--hold", ONE, "--delete", TWO, "--yes"], "does not go together with --hold"),
        (["--flush", "--hold", ONE, "--yes"], "does not go together with --flush"),
        (["--delete", ONE, "--sender", "x", "--yes"], "takes the ids of messages, and no option that looks for some"),
        (["--delete", ONE, "--id", TWO, "--yes"], "takes the ids of messages"),
        (["--flush", "--all", "--yes"], "takes the ids of messages"),
        (["--hold", ONE, "--max-deferred", "0", "--yes"], "takes the ids of messages"),
        (["--max-age", "soon"], '"soon" is not a time'),
        (["--delete", ONE], "there is no terminal to ask on"),
        ([f"--hold=4F0A1B{number:04X}" for number in range(201)], "201 messages are named"),
    ],
)  # fmt: skip
def test_it_is_refused_with_its_reason(words: list[str], said: str, tmp_path: Path) -> None:
    (tmp_path / "mail.yml").write_text(NOWHERE)
    done = mailprov("queue", *words, cwd=tmp_path)

    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_both_forms_of_ids_go_on_to_the_hosts(tmp_path: Path) -> None:
    (tmp_path / "mail.yml").write_text(NOWHERE)

    assert mailprov("queue", "--hold", ONE, "--hold", TWO, "--yes", cwd=tmp_path).returncode == 3
