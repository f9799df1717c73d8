"""Local settings that somebody made on the host: merged, checked for who may write them, and never taken for drift."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from mailprov.agent.resources import local_settings
from tests.agent.driver import converse, file, of_kind, state

MAIN = "# head\nbiff = no\nmynetworks = 127.0.0.0/8\nlong = a,\n  # why\n  b\n"
OWN = "/etc/postfix/local.cf"


def wanted(content: str = MAIN) -> dict[str, Any]:
    main = file("/etc/postfix/main.cf", content, local=OWN, merges=True, guarded=("mynetworks",))
    conf = file("/etc/dovecot.conf", "ssl = required\n", local="/etc/dovecot.local", guarded=("ssl",))
    return state(files=(main, conf))


def put(root: Path, path: str, text: str) -> Path:
    real = root / path.lstrip("/")
    real.parent.mkdir(parents=True, exist_ok=True)
    real.write_text(text)
    real.chmod(0o644)
    return real


def planned(messages: list[dict[str, Any]]) -> list[tuple[str, bool]]:
    return [(one["name"], one["drift"]) for one in of_kind(messages, "plan")[0]["changes"]]


def test_settings_of_the_host_stand_last_and_replaced_ones_become_comments() -> None:
    own = b"# mine\nlong = c\n  d\n\nnew=1\n"
    assert local_settings.merged(MAIN, own, OWN) == (
        "# head\nbiff = no\nmynetworks = 127.0.0.0/8\n"
        "# replaced below: long = a,\n#   # why\n#   b\n"
        f"\n# Local settings of this host, from {OWN}.\nlong = c\n  d\nnew=1\n"
    )


def test_of_one_name_only_the_last_counts_also_within_the_inventorys_part() -> None:
    text = local_settings.merged("a = 1\nb = 2\n\n# Local\na = 3\n", b"a = 4\na = 5\n", OWN)
    assert [line for line in text.splitlines() if line.startswith("a =")] == ["a = 5"]
    assert "b = 2" in text


def test_without_local_settings_the_file_is_as_it_is_rendered() -> None:
    for own in (None, b"", b"# nothing yet\n"):
        assert local_settings.merged(MAIN, own, OWN).splitlines() == MAIN.splitlines()


@pytest.mark.parametrize("line", ["no setting at all", " continues = nothing", "two words = x"])
def test_a_line_that_is_no_setting_is_named(line: str) -> None:
    with pytest.raises(local_settings.AgentError, match="not a setting"):
        local_settings.merged(MAIN, line.encode(), OWN)


def test_overridden_tells_first_and_last_values_and_only_differences() -> None:
    text = "ssl = required\nblock {\n  ssl = yes\n}\nlong = a,\n  b\nssl = no\nlong = a, b\n"
    assert local_settings.overridden(text, ("ssl", "long", "other")) == [("ssl", "required", "no")]


def test_local_settings_are_merged_shown_and_stay(root: Path) -> None:
    """A new line is a change and no drift; then there is nothing to do; without it, it goes."""
    converse(root, wanted())
    put(root, OWN, "message_size_limit = 1\n")

    first = converse(root, wanted())
    assert (planned(first), first[-1]["status"]) == ([("/etc/postfix/main.cf", False)], "ok")
    assert "message_size_limit = 1" in (root / "etc/postfix/main.cf").read_text()
    assert planned(converse(root, wanted())) == []
    assert planned(converse(root, wanted(MAIN + "x = y\n"))) == [("/etc/postfix/main.cf", False)]
    assert "message_size_limit = 1" in (root / "etc/postfix/main.cf").read_text()

    (root / OWN.lstrip("/")).unlink()
    assert planned(converse(root, wanted())) == [("/etc/postfix/main.cf", False)]
    assert (root / "etc/postfix/main.cf").read_text() == MAIN


def test_a_notice_says_when_security_depends_on_a_replaced_setting(root: Path) -> None:
    put(root, OWN, "mynetworks = 0.0.0.0/0\nbiff = yes\n")
    put(root, "/etc/dovecot.local", "ssl = no\n")
    for mode in ("plan", "apply", "apply"):
        notices = [one["text"] for one in of_kind(converse(root, wanted(), mode=mode), "notice")]
        assert notices == [
            "/etc/postfix/main.cf: a local setting makes mynetworks `0.0.0.0/0` instead of `127.0.0.0/8`, "
            "and security depends on it",
            "/etc/dovecot.conf: a local setting makes ssl `no` instead of `required`, and security depends on it",
        ]
    assert (root / "etc/dovecot.conf").read_text() == "ssl = required\n"


@pytest.mark.parametrize("mode", [0o666, 0o664])
def test_a_file_that_others_could_write_is_refused(root: Path, mode: int) -> None:
    put(root, OWN, "a = b\n").chmod(mode)
    end = converse(root, wanted())[-1]

    assert (end["status"], end["changed"]) == ("failed", 0)
    assert end["what"] == (f"{OWN} can be changed by others than root, and it configures the mail service")


def test_a_file_of_another_user_is_refused(root: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give files away")
    os.chown(put(root, OWN, "a = b\n"), 1, -1)

    assert converse(root, wanted())[-1]["status"] == "failed"


def test_an_edit_between_plan_and_go_stops_the_run(root: Path) -> None:
    from tests.agent.driver import Agent, job

    put(root, OWN, "a = b\n")
    agent = Agent(None, job(str(root)))
    agent.until("facts")
    agent.send("desired", state=wanted())
    plan = agent.until("plan")
    put(root, OWN, "a = c\n")
    agent.send("go", fingerprint=plan["fingerprint"])
    end = agent.end()

    assert end["status"] == "failed"
    assert end["what"].startswith(f"{OWN} was changed after the plan was made")
    assert not (root / "etc/postfix/main.cf").exists()
