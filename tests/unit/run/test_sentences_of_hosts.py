"""Sentences of agents: what a good one is in another language, and that a hostile one is English, clean and no longer
than what was sent.
"""

from __future__ import annotations

import ast
import copy
import json
import re
from pathlib import Path
from typing import Any

import pytest

from mailprov import i18n
from mailprov.agent import sentences as agent
from mailprov.agent.changes import fingerprint, reread
from mailprov.agent.redaction import Redactor
from mailprov.model import cleaning
from mailprov.model.events import Notice, Planned
from mailprov.model.sentences import read, shown
from mailprov.report.language import translated
from mailprov.wire import shapes
from tests.unit.run.every_message import GOOD, changed, play
from tests.unit.run.test_believed import ended

AGENT = Path(agent.__file__).parent
FILES = ["{count} file changed", "{count} files changed"]


KNOWN = {
    "{path} is not a directory", "reload: {reasons}", "reload because of {reasons}", *FILES, "its key is missing",
}  # fmt: skip
WRONG = {"{unit} did not start": "{unit.__class__} DID NOT"}  # a translator's mistake


class Shouting:
    """A catalogue in which the texts of KNOWN are in capitals, but for their placeholders."""

    def gettext(self, text: str) -> str:
        loud = re.sub(r"\{\w+\}|.", lambda part: part[0] if part[0][0] == "{" else part[0].upper(), text)
        return WRONG.get(text, loud if text in KNOWN else text)

    def ngettext(self, one: str, many: str, count: int) -> str:
        return self.gettext(one if count == 1 else many)


@pytest.fixture
def _loud(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(i18n, "_looked", True)
    monkeypatch.setattr(i18n, "_catalogue", Shouting())


@pytest.mark.usefixtures("_loud")
@pytest.mark.parametrize(
    ("sent", "seen"),
    [
        ("its key is missing", "ITS KEY IS MISSING"),
        (["{path} is not a directory", "/etc/a"], "/etc/a IS NOT A DIRECTORY"),
        (["reload: {reasons}", ["{0}, {1}", [[*FILES, 2], 2], "port 25"]], "RELOAD: 2 FILES CHANGED, port 25"),
        (["reload: {reasons}", [[*FILES, 1], 1]], "RELOAD: 1 FILE CHANGED"),
        (["reload: {reasons}", ["its key is missing"]], "RELOAD: ITS KEY IS MISSING"),
        # A value is a name, whatever it is.
        (["reload: {reasons}", "its key is missing"], "RELOAD: its key is missing"),
        (["{path} is not a directory", "\x1b[31m/etc\u202e"], r"\x1b[31m/etc\u202e IS NOT A DIRECTORY"),
        # Not ours, or not as ours are: English, as it came.
        (["{what} is somebody's {text}", "this", "own"], "this is somebody's own"),
        (["\x1b[2J{what}", "\x9b1m"], r"\x1b[2J\x9b1m"),
        (["{0.__class__}", "x"], "{0.__class__}"),
        (["{path.__class__.__init__.__globals__} is not a directory", "x"],
         "{path.__class__.__init__.__globals__} is not a directory"),
        (["{path[0]}", "x"], "{path[0]}"),
        (["{path!r:>1000000}", "x"], "{path!r:>1000000}"),
        (["{path:>1000000}", "x"], "{path:>1000000}"),
        (["{} and {", "x"], "{} and {"),
        (["{path} is not a directory"], "{path} is not a directory"),
        (["{path} is not a directory", "/a", "/b"], "{path} is not a directory"),
        (["{a}{a}", "x"], "{a}{a}"),
        (["{a}{a}"], "{a}{a}"),
        (["{a}{a}", "x", "y"], "{a}{a}"),
        ([["{a} file", "{b} files", 2], 2], "{a} file"),
        (["{unit} did not start", "a.service"], "a.service did not start"),
        ([""], ""),
    ],
)  # fmt: skip
def test_what_is_shown_of_a_sentence(sent: Any, seen: str) -> None:
    said: list[str] = []

    def emit(event: Any) -> None:
        if isinstance(event, Notice) and event.subject == "mx1":
            said.append(cleaning.event(event).text)

    shapes.check({**GOOD["notice"], "text": sent})
    play("notice", {**GOOD["notice"], "text": sent}, emit)
    assert said[0] == seen

    # The same in a plan, where it stays English until it is shown, and is cleaned before that.
    message = changed(GOOD["plan"], ("changes", 0, "detail"), sent)
    plans = [event for event in play("plan", message).events if isinstance(event, Planned)]
    planned = next(event for event in plans if event.subject == "mx1")
    assert planned.changes[0].detail == read(sent)
    clean = translated(cleaning.event(planned))
    assert isinstance(clean, Planned)
    assert clean.changes[0].detail == seen


@pytest.mark.parametrize(
    "sent",
    [
        ["{path} is not a directory", "x" * 1_000_000],
        ["x" * 70_000],
        ["{a}", ["{a}", ["{a}", ["{a}", ["{a}", ["{a}", ["{a}", ["{a}", ["{a}", ["{a}"]]]]]]]]]],
        [1], [None], [["one", "many"], 1], [["one", "many", -1], 1], [["one", "many", True], 1], [{}, "x"],
        ["{a}", None], ["{a}", True], ["{a}", 1.5], ["{a}", -1], ["{a}", {"a": 1}], ["{a}", []], [],
    ],
    ids=lambda sent: repr(sent)[:40],
)  # fmt: skip
@pytest.mark.parametrize("field", [("notice", "text"), ("end", "what"), ("plan", "compared")])
def test_a_sentence_that_is_none_fails_its_host_alone(sent: Any, field: tuple[str, str]) -> None:
    kind, name = field
    with pytest.raises(shapes.Nonsense, match=f"{name} is (not a sentence|[0-9]+ characters long)"):
        shapes.check({**GOOD[kind], name: sent})
    if kind == "notice":
        run = play(kind, {**GOOD[kind], name: sent})
        assert "makes no sense" in ended(run, "mx1").error
        assert ended(run, "mx2").status == "ok"


def test_nothing_grows() -> None:
    """What is shown is no longer than what was sent: each placeholder stands once."""
    sent: Any = ["{a}{b}" * 100, *["x" * 300] * 2]
    assert len(read(sent)) < 1000


@pytest.mark.usefixtures("_loud")
def test_what_an_agent_says_arrives_whole() -> None:
    """English on both sides, byte for byte: fingerprints of saved plans are made of it."""
    made = [
        agent._("its key is missing"),
        agent._("{path} is not a directory").format(path="/etc/a"),
        agent.ngettext(*FILES, 1).format(count=1),
        agent.joined([agent.ngettext(*FILES, 3).format(count=3), "port 25", agent._("its key is missing")]),
        agent._("a {{brace}} and {name}").format(name="{x}"),
        agent._("{error}").format(error=OSError(2, "No such file")),
        reread("postfix.service", "reload", ["/etc/a", "/etc/b", "/etc/c"], [agent._("its key is missing")])["detail"],
        reread("postfix.service", "restart", ["/etc/a"])["detail"],
    ]  # fmt: skip
    for sentence in made:
        value = json.loads(json.dumps(agent.sent(sentence)))
        shapes.sentence(value, "text")
        assert read(value) == str(sentence) == json.loads(json.dumps(sentence))
        assert copy.deepcopy(read(value)) == sentence
    assert shown(read(agent.sent(made[-2]))) == "RELOAD: 3 FILES CHANGED, ITS KEY IS MISSING"


def test_a_plan_has_one_fingerprint_whatever_it_is_made_of() -> None:
    made = reread("postfix.service", "reload", ["/etc/a", "/etc/b", "/etc/c"])
    assert fingerprint([made]) == fingerprint([{**made, "detail": str(made["detail"])}])


def test_a_secret_in_a_sentence_takes_it_apart() -> None:
    """It could stand in a value, in the text, or across both; what is clean stays a sentence."""
    sentence = agent._("{path} is not a directory").format(path="/etc/hunter22")
    redact = Redactor(["hunter22 is"])
    assert agent.sent(redact(sentence)) == "/etc/******** not a directory"
    assert Redactor(["other"])(sentence) is sentence


def test_placeholders_of_the_agents_texts_are_plain_and_stand_once() -> None:
    """Else the controller would show the English text with its placeholders."""
    calls = [
        node
        for path in AGENT.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    ]
    texts = [
        arg.value
        for call in calls
        if isinstance(call.func, ast.Name) and call.func.id in ("_", "N_", "ngettext")
        for arg in call.args[:2]
        if isinstance(arg, ast.Constant) and isinstance(arg.value, str)
    ]
    assert len(texts) > 300
    for text in texts:
        inside = re.findall(r"\{([^{}]*)\}", text.replace("{{", "").replace("}}", ""))
        if "config: none" in text:
            continue
        assert all(re.fullmatch("[a-z0-9_]+", name) for name in inside), text
        assert len(set(inside)) == len(inside), text
