"""The program in another language: a made-up one that has accents on its vowels, so that what is not translated shows.

The catalogue is made of every text that `make messages` collects. The program is run in it, and every word of a screen
that has no accent must be a name or a value: those that each screen may have are listed with it.
"""

from __future__ import annotations

import dataclasses
import io
import json
import re
import struct
import sys
from pathlib import Path
from typing import Any

import pytest

from mailprov import i18n
from mailprov.agent import files
from mailprov.agent.changes import change, reread
from mailprov.agent.channel import _sent
from mailprov.agent.resources import drift
from mailprov.agent.resources.base import owner_mode
from mailprov.agent.sentences import _, joined, ngettext
from mailprov.components.templates import folders
from mailprov.errors import InputError
from mailprov.inventory import SecretMode, json_schema, load
from mailprov.model.trace import Agent, Arrival, Clock, Evidence, Outcome, Source, Trace, TraceLine
from mailprov.report import trace_page, trace_text
from mailprov.report.fanout import fan_out
from mailprov.report.plain_text import Plain
from mailprov.report.terminal import rich_console
from mailprov.report.text import TextReport
from mailprov.run import deploy
from mailprov.run.select import select
from tests.unit.cli.program import mailprov
from tests.unit.i18n.test_sentences import script
from tests.unit.report.test_hostile_text import filled
from tests.unit.report.test_screens import recorded
from tests.unit.report.test_trace_page import Parsed
from tests.unit.run.scripted import FACTS, ScriptedAgent, end, hello, inventory, plan

_ACCENTS = str.maketrans("aeiouAEIOU", "àèìòùÀÈÌÒÙ")


def foreign(text: str) -> str:
    """With its placeholders as they are."""
    parts = re.split(r"(\{[^{}]*\})", text)
    return "".join(part if part.startswith("{") else part.translate(_ACCENTS) for part in parts)


def compiled(texts: dict[str, str]) -> bytes:
    """As msgfmt writes it (GNU gettext manual, "The Format of GNU MO Files")."""
    rows = sorted((one.encode(), two.encode()) for one, two in texts.items())
    start = 28 + 16 * len(rows)
    tables, data = [b"", b""], b""
    for column in (0, 1):
        for row in rows:
            tables[column] += struct.pack("<II", len(row[column]), start + len(data))
            data += row[column] + b"\0"
    head = struct.pack("<7I", 0x950412DE, 0, len(rows), 28, 28 + 8 * len(rows), 0, start)
    return head + tables[0] + tables[1] + data


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    texts = {"": "Content-Type: text/plain; charset=UTF-8\nPlural-Forms: nplurals=2; plural=(n != 1);\n"}
    for one, many in script().messages():
        texts[f"{one}\0{many}" if many else one] = (
            f"{foreign(one)}\0{foreign(many)}" if many else foreign(one)
        )
    made = tmp_path_factory.mktemp("locale")
    path = made / "eo/LC_MESSAGES/mailprov.mo"
    path.parent.mkdir(parents=True)
    path.write_bytes(compiled(texts))
    return made


@pytest.fixture
def _anew(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LC_ALL", "LC_MESSAGES", "LANGUAGE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LANG", "C.UTF-8")
    monkeypatch.setattr(i18n, "FOLDER", str(folder))
    monkeypatch.setattr(i18n, "_looked", False)
    monkeypatch.setattr(i18n, "_catalogue", None)


@pytest.fixture
def _foreign(_anew: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANG", "eo.UTF-8")


def plain_words(text: str) -> set[str]:
    """Words with a vowel and no accent, in lower case; not those of paths, options, addresses and names with dots."""
    text = re.sub(r"\S*[/@_.=:-]\S*\w|[A-Z]{2,}", " ", text)
    return {word.lower() for word in re.findall(r"\b[A-Za-z]{3,}\b", text) if re.search("[aeiouAEIOU]", word)}


INVENTORY = """\
ssh: {user: root, host_key: "SHA256:uNiVztksCsDhcc0u9e8BrrJXVGDhYIr3Jv2VxTjKdEM"}
hosts: {mx1: {address: 127.0.0.1, fqdn: mx1.alpha.test, ssh: {port: 1}}}
domains: {alpha.test: {hosts: [mx1], accounts: {ana: {password: {env: HOME}}}}}
"""
# A zone file, and a name server that is not there.
TSIG = "tsig: {name: mailprov, secret: {env: HOME}}"
ZONE_FILE = INVENTORY.replace(
    "hosts: [mx1]",
    "hosts: [mx1], mx: [{host: mx.beta.test, preference: 20}], spf: {include: [_spf.beta.test]}",
)
DNS = f"dns: {{provider: rfc2136, server: 127.0.0.1, port: 1}}\n{INVENTORY}"
WRONG = INVENTORY.replace("ana: {", "ana: {quotta: 1G, ").replace("port: 1}", "port: many}")
# typer's own words: what its help and its mistakes look like.
TYPER = {
    "usage",
    "options",
    "arguments",
    "show",
    "this",
    "message",
    "and",
    "exit",
    "commands",
    "default",
    "mailprov",
}
TYPER |= {"path", "str", "list", "int"}

LAB = {"lab", "start", "stop", "reset", "status", "cache", "inventory", "down"}
INIT = ["init", "new.yml", "--domain", "beta.test", "--address", "192.0.2.1", "--yes"]
COMMANDS = {
    "init",
    "validate",
    "plan",
    "apply",
    "verify",
    "selftest",
    "trace",
    "rollback",
    "history",
    "purge",
    "queue",
    "account",
    "client",
    "trust",
    "schema",
    "explain",
}
SCREENS: dict[str, tuple[list[str], set[str]]] = {
    "the first page": (["--help"], COMMANDS | {"dkim", "lab"}),
    "help of a command": (["plan", "--help"], TYPER | {"plan"}),
    "help of a group": (["lab", "--help"], TYPER | LAB),
    "help with arguments": (["purge", "--help"], TYPER | {"purge", "range"}),
    "help of init": (["init", "--help"], TYPER | {"init"}),
    "no inventory": (["purge"], {"mailprov", "purge"}),
    "nobody to ask": (["apply", "mail.yml"], {"mailprov", "apply"}),
    "a good inventory": (["validate", "mail.yml"], {"mail"}),
    "a host that is not in it": (["plan", "mail.yml", "--host", "mx9"], {"mailprov"}),
    "a number that is none": (["verify", "mail.yml", "--accounts", "none"], {"mailprov", "none"}),
    "a component": (["explain", "fail2ban"], {"fail2ban", "verify"}),
    "a component with a key": (["explain", "relayhost"], {"relayhost"}),
    "a probe that is none": (["explain", "nothing.such"], {"mailprov", "explain"}),
    "no lab": (["lab", "reset", "--name", "a", "b.yml"], {"mailprov", "lab"}),
    "a first inventory": (INIT, {"mailprov", "plan", "trust"}),
    "flags that are missing": (["init", "other.yml", "--yes"], {"mailprov", "init"}),
    "a plan that cannot be saved": (["plan", "mail.yml", "--out", "mail.yml"], {"mailprov"}),
}  # fmt: skip


@pytest.mark.usefixtures("_foreign")
@pytest.mark.parametrize("name", SCREENS)
def test_a_screen_has_no_word_of_english_but_names(name: str, tmp_path: Path) -> None:
    words, names = SCREENS[name]
    if name != "no inventory":
        (tmp_path / "mail.yml").write_text(INVENTORY)

    done = mailprov(*words, cwd=tmp_path)

    shown = done.stdout + done.stderr
    assert plain_words(shown) <= names, shown
    assert re.search("[àèìòù]", shown), shown


# What the system says of a connection is its own; the sentences of transport wait.
SYSTEM = {"connection", "refused", "port", "the"}
INVENTORIES: dict[str, tuple[str, list[str], set[str]]] = {
    "a zone file": (ZONE_FILE, ["dns", "export", "mail.yml"], {"mail", "include", "none", "quarantine", "reject"}),
    "nothing is published": (ZONE_FILE, ["dns", "plan", "mail.yml"], {"mailprov", "export"}),
    "a wrong key": (WRONG, ["validate", "mail.yml"], {"mailprov", "quotta", "quota", "many"}),
    "no name server": (DNS, ["dns", "plan", "mail.yml"], {"mailprov", *SYSTEM}),
}  # fmt: skip


@pytest.mark.usefixtures("_foreign")
@pytest.mark.parametrize("name", INVENTORIES)
def test_an_inventory_is_spoken_of_without_a_word_of_english(name: str, tmp_path: Path) -> None:
    text, words, names = INVENTORIES[name]
    (tmp_path / "mail.yml").write_text(text)

    done = mailprov(*words, cwd=tmp_path)

    shown = done.stdout + done.stderr
    assert plain_words(shown) <= names, shown
    assert re.search("[àèìòù]", shown), shown


@pytest.mark.usefixtures("_foreign")
@pytest.mark.parametrize("name", ["first-plan", "small-change", "nothing-runs", "sound-hosts"])
def test_reports_have_no_word_of_english_but_what_the_events_say(name: str) -> None:
    out = io.StringIO()
    report = fan_out([TextReport(Plain(out, lambda: pytest.fail("rich")), quiet=False)])
    said = set()
    for event in recorded(name):
        said |= plain_words(repr(event)) | {word.lower() for word in re.findall(r"[A-Za-z]{3,}", repr(event))}
        try:
            report(event)
        except pytest.fail.Exception:  # tables are drawn by rich
            from mailprov.report.terminal import rich_console

            report = fan_out([TextReport(rich_console(out))])
    assert plain_words(out.getvalue()) <= said, plain_words(out.getvalue()) - said


# Kinds of changes, names of hosts, and what the inventory and these agents call things.
NAMES = {
    "package",
    "file",
    "account",
    "service",
    "postfix",
    "exim",
    "ana",
    "root",
    "mode",
    "mailprov",
    "apply",
    "plan",
}


def agents() -> dict[str, Any]:
    """mx1 plans what mailprov's agent would, and fails; mx2 is lost on the way; mx3 has a first apply before it."""
    counted = ngettext("{count} file", "{count} files", 2).format(count=2)
    spec = {"owner": "root", "group": "root", "mode": "0600"}
    seen = files.Seen("file", 0o644, 0, 0, 0, "")
    by_hand = joined([_(drift.BY_HAND), owner_mode(seen, spec)])
    changes = [
        change(
            "package",
            "create",
            "postfix",
            _("{version}; removes {packages}").format(version="3.7", packages="exim4"),
        ),
        change("file", "update", "/etc/a", by_hand, "-a\n+b\n… 12 more lines", drift=True, edit="-a\n+b"),
        change("account", "delete", "ana@alpha.test", _("its mail is kept")),
        change("service", "create", "dovecot.service", _("enable and start")),
        reread(
            "postfix.service", "reload", ["/etc/a", "/etc/b", "/etc/c"], [_("port {port}").format(port=25)]
        ),
        reread("rspamd.service", "restart", ["/etc/a"]),
    ]
    told = {**plan(*changes), "compared": counted}
    lost = _("{count} messages of {user} in {path} will not be shown by IMAP")
    takes = ngettext(str(lost).replace("messages", "message"), str(lost), 3).format(
        count=3, user="ana", path="/var/mail/ana"
    )
    ends = drift.stop(changes, "/var/lib/mailprov/runs/", [])
    stopped = _("{what}; everything was put back, and the host serves as before").format(what=ends.what)
    notice = _("at work on this host now: {owner}").format(owner=_("another run that has just begun"))
    failed = {**end("failed", stopped), "advice": ends.advice}
    facts = {"t": "facts", "facts": FACTS}
    return {
        "mx1": [{"t": "notice", "text": notice}, facts, told, failed],
        "mx2": [facts, {**told, "changes": []}],
        "mx3": [facts, {**told, "takes_over": [takes]}, {**end("cancelled", _("interrupted")), "changed": 0}],
    }


@pytest.mark.usefixtures("_foreign")
@pytest.mark.parametrize("command", ["plan", "apply"])
@pytest.mark.parametrize("verbose", [False, True])
def test_what_agents_say_has_no_word_of_english_but_names(command: str, verbose: bool) -> None:
    out = io.StringIO()
    report = TextReport(rich_console(out), verbose=verbose)
    scripts = {
        name: ScriptedAgent([hello(), *(json.loads(json.dumps(_sent(one))) for one in script)])
        for name, script in agents().items()
    }
    read = inventory(*scripts)
    options = deploy.Options(command=command, verify=False)
    verb = deploy.apply if command == "apply" else deploy.plan

    verb(read, select(read), options, start=lambda host, job: scripts[host.name], report=fan_out([report]))  # type: ignore[arg-type]

    # What waits for its own conversion: the notices of dns and of the inventory.
    shown = "\n".join(
        line for line in out.getvalue().splitlines() if "dns:" not in line and "alpha.test:" not in line
    )
    assert plain_words(shown) <= NAMES, shown
    assert (
        "3 fìlès chàngèd, pòrt 25" in shown
        if verbose
        else "3 fìlès chàngèd (-v lìsts thèm), pòrt 25" in shown
    )


@pytest.mark.usefixtures("_anew")
@pytest.mark.parametrize(
    ("environment", "found"),
    [
        ({}, False),
        ({"LANG": "eo.UTF-8"}, True),
        ({"LANG": "eo_XX.UTF-8@old"}, True),
        ({"LANG": "de_DE.UTF-8", "LC_MESSAGES": "eo"}, True),
        ({"LANG": "eo", "LC_ALL": "C"}, False),
        ({"LANG": "eo", "LC_ALL": "POSIX"}, False),
        ({"LANG": "de_DE.UTF-8", "LANGUAGE": "fr:eo"}, True),
        ({"LANG": "eo", "LANGUAGE": "en:eo"}, False),
        ({"LANGUAGE": "eo"}, False),  # as GNU gettext: not in the locale C
        ({"LANG": "../../eo"}, False),
    ],
)
def test_the_language_is_the_users(
    environment: dict[str, str], found: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    assert i18n._("note:") == ("nòtè:" if found else "note:")
    assert i18n.ngettext("{count} host", "{count} hosts", 2) == (
        "{count} hòsts" if found else "{count} hosts"
    )


@pytest.mark.usefixtures("_anew")
def test_without_a_catalogue_nothing_is_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANG", "de_DE.UTF-8")
    monkeypatch.delitem(sys.modules, "gettext", raising=False)

    assert i18n._("note:") == "note:"
    assert "gettext" not in sys.modules


@pytest.mark.usefixtures("_foreign")
def test_programs_read_the_same_in_every_language(tmp_path: Path) -> None:
    (tmp_path / "mail.yml").write_text(INVENTORY)

    done = mailprov("validate", "mail.yml", "--json", cwd=tmp_path)

    assert '"event":"run_ended"' in done.stdout.replace('": "', '":"')
    assert '"status":"ok"' in done.stdout.replace('": "', '":"')


BAD = Path(__file__).resolve().parents[2] / "bad"
KEY = r'"enum": \[([^]]*)\]|"(\w+)":'


@pytest.mark.usefixtures("_foreign")
@pytest.mark.parametrize("path", sorted(BAD.glob("*.yml")), ids=lambda path: path.stem)
def test_what_is_wrong_with_an_inventory_has_no_word_of_english(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beside the words of the file itself."""
    monkeypatch.setenv("ANA_PASSWORD", "not base 64 hunter2")
    monkeypatch.setenv("P", "hunter2")
    with pytest.raises(InputError) as caught:
        load(path, SecretMode.RESOLVE)
    shown = str(caught.value)
    own = {word.lower() for word in re.findall("[A-Za-z]{3,}", path.read_text(errors="replace"))}
    for key, words in re.findall(KEY, json.dumps(json_schema())):
        own |= {word.lower() for word in re.findall("[A-Za-z]{3,}", f"{key} {words}")}
    problems = getattr(caught.value, "problems", [])
    said = " ".join(re.sub('`[^`]*`|"[^"]*"', " ", problem.what) for problem in problems)
    assert plain_words(said) <= own, shown
    assert re.search("[àèìòù]", said), shown


@pytest.mark.usefixtures("_foreign")
def test_a_trace_is_shown_without_a_word_of_english_on_a_terminal_and_as_a_page() -> None:
    """All agents, grades, sources and ends; what the trace itself has to say is a number here."""
    one = filled(Trace, "7").steps[0]
    steps = [
        dataclasses.replace(
            one,
            number=number,
            after=number - 1,
            agent=agent,
            evidence=list(Evidence)[number % 4],
            seconds=200.0,
        )
        for number, agent in enumerate(Agent, start=1)
    ]
    steps += [
        dataclasses.replace(each, number=90 + n, after=2, recipient=str(n)) for n, each in enumerate(steps)
    ]
    steps = [
        dataclasses.replace(each, lines=tuple(TraceLine(source, "7") for source in Source)) for each in steps
    ]
    ends = tuple(Arrival("ana@alpha.test", "8", outcome, "7", 1, "", "7") for outcome in Outcome)
    clocks = (Clock("7", 9.0), Clock("8", 0.0), Clock("9", 0.0, known=False))
    trace = Trace("", "", ("eva@beta.test",), 7.0, tuple(steps), ends, "7", clocks, ("7",), ("7",))

    shown = "\n".join(part.plain for part in trace_text.render(trace, verbose=True, columns=False))
    assert plain_words(shown) == set(), shown
    page = Parsed(trace_page.page([trace], folders()))
    words = [page.text]
    for tag, attributes in page.elements:
        words += [
            text
            for name, text in attributes.items()
            if tag != "meta" and (name in ("title", "aria-label") or name.startswith("data-"))
        ]
    assert plain_words(" ".join(words)) <= {"number", "count", "esc"}, "placeholders of the script, and a key"
    assert dict(page.elements[0][1]) == {"lang": "eo"}
