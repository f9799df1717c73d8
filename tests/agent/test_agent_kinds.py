"""One more kind of resource is one class and one line of the registry: nothing else in the agent is told of it."""

from __future__ import annotations

from pathlib import Path

from mailprov.agent.resources.registry import KINDS
from tests.agent.driver import converse, file, of_kind, state
from tests.agent.test_agent_rollback import everything, roll_back

# A line of text that the state wants in a file, with an owner and a mode that it keeps.
KIND = """
from mailprov.agent import files
from mailprov.agent.changes import change
from mailprov.agent.manifest import Entry
from mailprov.agent.resources import registry
from mailprov.agent.resources.base import Staged
class Motto(Staged):
    word = "motto"
    @classmethod
    def count(cls, state):
        return len(state["mottos"])
    @classmethod
    def entries(cls, state):
        for path, text in state["mottos"]:
            yield Entry(path, "file", "root", "root", "0644")
    @classmethod
    def compare(cls, look):
        for path, text in look.state["mottos"]:
            seen, data, edit = look.file(path)
            if data != text.encode():
                action = "create" if seen is None else "update"
                yield Motto({"path": path, "text": text}, [change("file", action, path, drift=edit.stops)])
    def paths(self):
        return (self.spec["path"],)
    as_planned = rewrites = paths
    def stage(self, run, stage):
        data = self.spec["text"].encode()
        stage.put(self.spec["path"], data, 0o644, -1, -1)
        run.digests[self.spec["path"]] = files.sha256(data)
registry.KINDS = (*registry.KINDS, Motto)
"""


def test_a_kind_of_the_tests_own_is_planned_applied_kept_and_rolled_back(root: Path) -> None:
    converse(root, {**state(files=(file("/etc/a", "a\n"),)), "mottos": []}, before=KIND)
    before = everything(root)
    wanted = {**state(files=(file("/etc/a", "a\n"),)), "mottos": [["/etc/motto", "festina lente\n"]]}

    messages = converse(root, wanted, before=KIND)
    assert messages[-1]["status"] == "ok", messages[-1]
    assert [(one["kind"], one["name"]) for one in of_kind(messages, "plan")[0]["changes"]] == [
        ("file", "/etc/motto")
    ]
    assert (root / "etc/motto").read_text() == "festina lente\n"
    assert of_kind(converse(root, wanted, before=KIND), "plan")[0]["changes"] == []

    (root / "etc/motto").write_text("by hand\n")
    assert "changed by hand since the last apply" in converse(root, wanted, before=KIND)[-1]["what"]
    (root / "etc/motto").write_text("festina lente\n")
    roll_back(root)
    assert everything(root) == before


def test_each_kind_compares_and_an_empty_state_wants_nothing_of_any() -> None:
    empty = state()
    for kind in KINDS:
        assert "compare" in vars(kind), kind
        assert (kind.count(empty), list(kind.entries(empty))) == (0, []), kind
