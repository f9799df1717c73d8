"""Hosts that stop at their own plan, and plans that were saved: what is applied, what is not, and what is said."""

from __future__ import annotations

from mailprov.errors import HostUnreachable
from mailprov.model.events import Action, Change, Notice, Planned, RunEnded
from mailprov.plan.changes import fingerprint
from mailprov.run import as_saved
from tests.unit.run.scripted import FACTS, FILE, ScriptedAgent, end, hello, plan
from tests.unit.run.test_deploy import GOOD, NOTHING, Run

DRIFT = {**FILE, "action": "update", "drift": True, "edit": "+by hand"}
STOPPED = [
    hello(),
    {"t": "facts", "facts": FACTS},
    {**plan(DRIFT), "waits": False},
    end("failed", "/etc/postfix/main.cf was changed by hand"),
]


def prints(*hosts: str) -> dict[str, str]:
    made = Change("", "file", Action.CREATE, "/etc/postfix/main.cf", "", "+x")
    return {host: fingerprint((Change(host, *list(vars(made).values())[1:]),)) for host in hosts}


def said(run: Run) -> str:
    return "\n".join(event.text for event in run.events if isinstance(event, Notice))


def test_a_host_with_an_edit_is_not_asked_about_and_stops_no_other() -> None:
    asked: list[dict[str, int]] = []

    def yes(counts: dict[str, int]) -> bool:
        asked.append(counts)
        return True

    run = Run({"mx1": ScriptedAgent(STOPPED), "mx2": ScriptedAgent(GOOD)}, confirm=yes)

    assert run.code == 1
    assert asked == [{"create": 1, "update": 0, "delete": 0}]
    assert (run.sent("mx1"), run.sent("mx2")) == (["desired"], ["desired", "go"])
    assert (run.ended("mx1").status, run.ended("mx2").status) == ("failed", "ok")
    (planned,) = (e for e in run.events if isinstance(e, Planned) and e.subject == "mx1")
    assert (planned.changes[0].drift, planned.changes[0].edit) == (True, "+by hand")


def test_with_edits_everywhere_nothing_is_asked() -> None:
    asked: list[dict[str, int]] = []
    run = Run({"mx1": ScriptedAgent(STOPPED)}, confirm=lambda counts: bool(asked.append(counts)))

    assert (run.code, asked) == (1, [])


def test_a_saved_plan_that_is_still_true_is_applied() -> None:
    run = Run({"mx1": ScriptedAgent(GOOD), "mx2": ScriptedAgent(GOOD)}, saved=prints("mx1", "mx2"))

    assert run.code == 0
    assert run.sent("mx1") == run.sent("mx2") == ["desired", "go"]


def test_a_saved_plan_is_refused_everywhere_when_one_host_has_moved() -> None:
    run = Run(
        {"mx1": ScriptedAgent(GOOD), "mx2": ScriptedAgent(GOOD)}, saved={**prints("mx1"), "mx2": "other"}
    )

    assert run.code == 1
    assert run.sent("mx1") == run.sent("mx2") == ["desired", "cancel"]
    assert "different since the plan was saved: mx2;" in said(run)
    assert isinstance(run.events[-1], RunEnded)


def test_a_saved_plan_that_is_done_already_is_in_force() -> None:
    run = Run({"mx1": ScriptedAgent(NOTHING)}, saved=prints("mx1"))

    assert run.code == 0
    assert isinstance(run.events[-1], RunEnded)
    assert run.events[-1].summary == "this plan is already in force, so nothing was changed"
    assert "saved" not in said(run)


def test_a_saved_plan_that_is_done_on_one_host_only_is_refused() -> None:
    run = Run(
        {"mx1": ScriptedAgent(NOTHING), "mx2": ScriptedAgent(GOOD)}, saved={**prints("mx1"), **prints("mx2")}
    )

    assert run.code == 1
    assert "different since the plan was saved: mx1;" in said(run)


def test_a_saved_plan_without_changes_is_done_when_there_still_are_none() -> None:
    assert Run({"mx1": ScriptedAgent(NOTHING)}, saved={"mx1": fingerprint(())}).code == 0


def test_a_saved_plan_is_refused_when_a_host_or_zone_is_new_or_missing() -> None:
    for saved, named in (({}, "mx1"), ({**prints("mx1"), "zone alpha.test": "x"}, "zone alpha.test")):
        run = Run({"mx1": ScriptedAgent(GOOD)}, saved=saved)
        assert run.code == 1
        assert f"saved: {named};" in said(run)
        assert "go" not in run.sent("mx1")


def test_a_saved_plan_is_not_applied_in_parts_when_a_host_cannot_be_reached() -> None:
    down = HostUnreachable("mx1", "connection refused")
    run = Run({"mx1": down, "mx2": ScriptedAgent(GOOD)}, saved=prints("mx1", "mx2"))

    assert run.code == 1
    assert run.sent("mx2") == ["desired", "cancel"]
    assert "saved: mx1;" in said(run)


OLD, NEW = "p=MIIB…aaaaaaIDAQAB", "p=MIIB…bbbbbbIDAQAB"
ANEW = Change("mx1", "key", Action.CREATE, "alpha.test.mx1-rsa-1", "DKIM, rsa")


def record(new: str) -> Change:
    name = "mx1-rsa-1._domainkey.alpha.test TXT"
    return Change("zone alpha.test", "record", Action.UPDATE, name, f"new key ({OLD} → {new})")


def test_a_key_that_the_apply_makes_is_as_the_plan_said() -> None:
    """`plan` makes no key, so it cannot say which it will be."""
    zone = "zone alpha.test"
    saved = {"mx1": fingerprint([ANEW]), zone: fingerprint([record("made by the apply")])}
    assert as_saved.moved(saved, {"mx1": [ANEW], zone: [record(NEW)]}) == []

    # Where the host has made none now, another key than the plan's is another plan.
    other = {"mx1": fingerprint(()), zone: fingerprint([record(OLD)])}
    assert as_saved.moved(other, {"mx1": [], zone: [record(NEW)]}) == [zone]
    assert as_saved.moved(saved, {"mx1": [ANEW]}) == [zone]


def test_postmaster_that_goes_to_somebody_else_is_a_line_of_its_own() -> None:
    lines = ("-# postmaster@alpha.test is not in the inventory; it goes to ana@alpha.test.",
             "+# postmaster@alpha.test is not in the inventory; it goes to zoe@alpha.test.")  # fmt: skip
    change = {**FILE, "action": "update", "name": "/etc/postfix/mailprov/virtual", "diff": "\n".join(lines)}
    script = [hello(), {"t": "facts", "facts": FACTS}, plan(change)]
    run = Run({"mx1": ScriptedAgent(script)}, confirm=lambda counts: False)

    assert "postmaster@alpha.test goes to zoe@alpha.test instead of ana@alpha.test" in said(run)


def test_a_host_with_mail_of_its_own_stops_alone_and_a_saved_plan_goes_on_elsewhere() -> None:
    loss = "3 messages of ana in /var/mail/ana will no longer be shown by IMAP"
    stopped = [
        hello(),
        {"t": "facts", "facts": FACTS},
        {**plan(FILE), "waits": False, "takes_over": [loss]},
        end("failed", f"this host has mail or settings of its own, so nothing was changed on it: {loss}"),
    ]
    saved = prints("mx1", "mx2")
    run = Run({"mx1": ScriptedAgent(stopped), "mx2": ScriptedAgent(GOOD)}, saved=saved)

    assert run.code == 1
    assert (run.ended("mx1").status, run.ended("mx2").status) == ("failed", "ok")
    (planned,) = (e for e in run.events if isinstance(e, Planned) and e.subject == "mx1")
    assert planned.takes_over == (loss,)
