"""mailprov account: what it refuses, what it edits, and what becomes of the inventory where an apply fails.

Agents are scripted here; on real hosts it is tried in tests/users/test_account.py.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mailprov.cli.new_password import weak
from mailprov.cli.reports import Reports
from mailprov.inventory import SecretMode, load
from mailprov.model.inventory import Host
from mailprov.schema.sha512_crypt import sha512_crypt
from mailprov.transport import connections
from tests.unit.cli.program import mailprov
from tests.unit.cli.terminal import Terminal
from tests.unit.run.scripted import FACTS, ScriptedAgent, end, hello, plan

INVENTORY = """\
# ours
hosts:
  mx1: {address: 127.0.0.1, fqdn: mx1.alpha.test, ssh: {port: 1, config: none, known_hosts: known}}
  mx2: {address: 127.0.0.2, fqdn: mx2.beta.test, ssh: {port: 1, config: none, known_hosts: known}}
domains:
  alpha.test:
    hosts: [mx1]
    domain_aliases: [alias.test]
    accounts:
      ana: {password: {env: HOME}}   # the boss
      luis: {password: {env: HOME}}
    aliases: {boss: ana}
    lists: {staff: [ana, luis]}
  beta.test: {hosts: [mx2], accounts: {eva: {password: {env: HOME}}}}
"""
CHANGE = {"kind": "account", "action": "create", "name": "eva@alpha.test", "detail": "", "diff": ""}
HASH = "{SHA512-CRYPT}$6$saltsaltsalt$YZ"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "mail.yml").write_text(INVENTORY)
    return tmp_path


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return mailprov("account", *words, cwd=folder)


def scripted(
    monkeypatch: pytest.MonkeyPatch, *on_go: dict[str, Any], changes: tuple[dict[str, Any], ...] = (CHANGE,)
) -> None:
    """Every host plans `changes`, and says `on_go` when it is told to go. `seen` has which hosts were asked."""

    class Connections:
        interrupt: Callable[[], None] = staticmethod(lambda: None)

        def __init__(self, hosts: Any, others: Any = ()) -> None:
            self.hosts = hosts

        def __enter__(self) -> Connections:
            return self

        def __exit__(self, *_error: object) -> None: ...

        def direct(self, host: Host) -> bool:
            return True

        def start(self, host: Host, job: dict[str, Any]) -> ScriptedAgent:
            Path("asked").write_text(host.name)
            before = [hello(), {"t": "facts", "facts": FACTS}, plan(*changes)]
            return ScriptedAgent(before if changes else [*before, end()], list(on_go))

    monkeypatch.setattr(connections, "Connections", Connections)


def test_an_account_is_added_and_its_host_alone_is_asked(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripted(monkeypatch, end(changed=1))
    done = run(folder, "add", "eva@alpha.test", "--hash", HASH, "--quota", "1G", "--yes", "--no-verify")

    assert done.returncode == 0, done
    line = f'      eva: {{password: {{hash: "{HASH}"}}, quota: 1G}}\n'
    assert (folder / "mail.yml").read_text() == INVENTORY.replace("    aliases", f"{line}    aliases")
    assert (folder / "asked").read_text() == "mx1"
    assert 'mail.yml:12:\n  + eva: {password: {hash: "{SHA512-CRYPT}…"}, quota: 1G}\n' in done.stdout
    assert HASH not in done.stdout + done.stderr
    assert {each.name for each in folder.iterdir()} == {"mail.yml", "asked"}


@pytest.mark.parametrize(
    "words",
    [
        ("add", "eva@alpha.test", "--hash", HASH),
        ("set", "ana@alpha.test", "--quota", "1G"),
        ("suspend", "ana@alpha.test"),
        ("remove", "nora@alpha.test"),
    ],
    ids=lambda words: words[0],
)
def test_a_failed_apply_puts_the_inventory_back(
    words: tuple[str, ...], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = INVENTORY.replace("      luis", "      nora: {password: {env: HOME}}\r\n      luis")
    (folder / "mail.yml").write_bytes(text.encode())
    (folder / "mail.yml").chmod(0o604)
    before = (folder / "mail.yml").stat()
    scripted(monkeypatch, end("failed", "dovecot does not start"))
    done = run(folder, *words, "--yes", "--json")

    after = (folder / "mail.yml").stat()
    assert done.returncode == 1, done
    assert (folder / "mail.yml").read_bytes() == text.encode()
    assert (after.st_ino, after.st_mode, after.st_mtime) == (before.st_ino, before.st_mode, before.st_mtime)
    events = [json.loads(line) for line in done.stdout.splitlines()]
    edits = [(each["action"], each["state"]) for each in events if each["event"] == "inventory_edited"]
    assert edits == [(words[0], "written"), (words[0], "restored")]
    told = [each["text"] for each in events if each["event"] == "notice"]
    assert "mail.yml is as it was before, because not every host could be changed" in told
    assert events[-1]["event"] == "run_ended"
    assert [each["event"] for each in events].count("run_ended") == 1


def test_a_weak_password_that_stands_elsewhere_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scripted(monkeypatch, end(changed=1))
    monkeypatch.setenv("EVA", "short")
    done = run(folder, "add", "eva@alpha.test", "--password-env", "EVA", "--yes", "--no-verify")
    assert done.returncode == 0, done
    told = "the password of eva@alpha.test was taken as it is, but it has 5 characters; the least is 12"
    assert told in done.stdout
    monkeypatch.setenv("EVA", "correct horse")
    done = run(folder, "set", "eva@alpha.test", "--quota", "1G", "--yes", "--no-verify")
    assert "the password of" not in done.stdout


def test_a_host_that_has_it_already_needs_no_question(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After an edit with --no-apply, or on another machine."""
    scripted(monkeypatch, changes=())
    done = run(folder, "add", "eva@alpha.test", "--hash", HASH, "--yes")
    assert done.returncode == 0, done
    assert "eva: {password" in (folder / "mail.yml").read_text()


def test_who_says_no_changes_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scripted(monkeypatch, end(changed=1))
    monkeypatch.setattr(Reports, "confirm", lambda *_words: lambda counts: False)
    before = (folder / "mail.yml").stat()
    done = run(folder, "add", "eva@alpha.test", "--hash", HASH, "--json")
    assert done.returncode == 1, done
    assert (folder / "mail.yml").read_text() == INVENTORY
    assert (folder / "mail.yml").stat().st_ino == before.st_ino
    assert "inventory_edited" not in done.stdout
    assert json.loads(done.stdout.splitlines()[-1])["declined"]


def test_a_host_that_cannot_be_asked_changes_nothing(folder: Path) -> None:
    done = run(folder, "set", "ana@alpha.test", "--quota", "1G", "--yes")
    assert done.returncode == 3
    assert (folder / "mail.yml").read_text() == INVENTORY


def test_with_no_apply_no_host_is_asked(folder: Path) -> None:
    done = run(folder, "set", "ana@alpha.test", "--forward", "x@y.test", "--no-keep", "--no-apply")
    assert done.returncode == 0
    assert (
        "      ana: {password: {env: HOME}, forward: {to: [x@y.test], keep: false}}   # the boss\n"
        in (folder / "mail.yml").read_text()
    )
    run(folder, "set", "ana@alpha.test", "--forward", "z@y.test", "--no-apply")
    assert "forward: {to: [z@y.test], keep: false}" in (folder / "mail.yml").read_text()
    run(folder, "set", "ana@alpha.test", "--keep", "--no-apply")
    assert "forward: {to: [z@y.test]}" in (folder / "mail.yml").read_text()
    run(folder, "set", "ana@alpha.test", "--no-forward", "--no-apply")
    assert (folder / "mail.yml").read_text() == INVENTORY


def test_a_password_goes_to_its_user_and_comes_back(folder: Path) -> None:
    def ana() -> str:
        return next(line for line in (folder / "mail.yml").read_text().splitlines() if " ana:" in line)

    run(folder, "set", "ana@alpha.test", "--owner", "user", "--no-apply")
    assert ana() == "      ana: {password: {initial: {env: HOME}, owner: user}}   # the boss"
    done = run(folder, "set", "ana@alpha.test", "--hash", HASH, "--no-apply")
    assert (done.returncode, "the password belongs to the user" in done.stderr) == (2, True)
    run(folder, "set", "ana@alpha.test", "--hash", HASH, "--owner", "inventory", "--no-apply")
    assert ana() == f'      ana: {{password: {{hash: "{HASH}"}}}}   # the boss'
    run(folder, "set", "ana@alpha.test", "--owner", "user", "--no-apply")
    assert ana() == f'      ana: {{password: {{initial: {{hash: "{HASH}"}}, owner: user}}}}   # the boss'
    run(folder, "add", "eva@alpha.test", "--hash", HASH, "--owner", "user", "--no-apply")
    line = f'      eva: {{password: {{initial: {{hash: "{HASH}"}}, owner: user}}}}\n'
    assert line in (folder / "mail.yml").read_text()


def test_a_state_and_when_it_expires(folder: Path) -> None:
    def now() -> str:
        return (folder / "mail.yml").read_text()

    assert run(folder, "suspend", "ana@alpha.test", "--no-apply").returncode == 0
    assert "ana: {password: {env: HOME}, state: suspended}   # the boss\n" in now()
    done = run(folder, "set", "ana@alpha.test", "--state", "active", "--expires", "2030-06-30", "--no-apply")
    assert done.returncode == 0, done
    assert "ana: {password: {env: HOME}, state: active, expires: 2030-06-30}   # the boss\n" in now()
    (folder / "mail.yml").write_text(now().replace("2030-06-30", "{date: 2030-06-30, state: no-login}"))
    run(folder, "set", "ana@alpha.test", "--expires", "2031-01-01T18:00Z", "--no-apply")
    assert 'expires: {date: "2031-01-01T18:00Z", state: no-login}}   # the boss\n' in now()
    assert run(folder, "set", "ana@alpha.test", "--expires", "none", "--no-apply").returncode == 0
    assert "ana: {password: {env: HOME}, state: active}   # the boss\n" in now()
    assert run(folder, "set", "ana@alpha.test", "--state", "asleep", "--no-apply").returncode == 2


REFUSED = {
    "an account": (("add", "ana@alpha.test"), "ana@alpha.test is an account already (mail.yml:10:7)"),
    "an alias": (("add", "Boss@Alpha.test"), "boss@alpha.test is an alias already (mail.yml:12:15)"),
    "a list": (("add", "staff@alpha.test"), "staff@alpha.test is a list already (mail.yml:13:13)"),
    "a domain alias": (
        ("add", "eva@alias.test"),
        "alias.test is another name of alpha.test (domain_aliases), so this means eva@alpha.test",
    ),
    "another domain": (("add", "eva@gamma.example"), "there is no domain gamma.example in it. Add the domain first"),
    "a quoted name": (("add", '"eva x"@alpha.test'), "is quoted before the @"),
    "a detail": (("add", "eva+x@alpha.test"), 'contains "+"'),
    "letters outside ASCII": (("add", "peña@alpha.test"), "has letters outside ASCII before the @"),
    "no word at all": (("set", "--quota", "1G"), "account set: whose account is not given. Give a whole address."),
    "no address": (("add", "eva@"), 'account add "eva@": has a wrong domain'),
    "a quota that is none": (
        ("add", "eva@alpha.test", "--quota", "much"),
        "account add eva@alpha.test: domains.alpha.test.accounts.eva.quota: ",
    ),
    "a variable that is not set": (("set", "ana@alpha.test", "--password-env", "NO_SUCH"), "NO_SUCH is not set"),
    "two passwords": (
        ("set", "ana@alpha.test", "--password-env", "A", "--hash", HASH),
        "only one of --password-env, --hash can be given",
    ),
    "nothing to change": (("set", "ana@alpha.test"), "nothing that should change is given"),
    "a list is no account": (("set", "staff@alpha.test", "--quota", "1G"), "is a list (mail.yml:13:13), not"),
    "nobody": (("remove", "anna@alpha.test"), "there is no account anna@alpha.test in it. Did you mean ana@"),
    "somebody others need": (
        ("remove", "ana@alpha.test"),
        "mail still goes there by alias boss@alpha.test (mail.yml:12:21) and list staff@alpha.test (mail.yml:13:21)",
    ),
    "an owner that is none": (("set", "ana@alpha.test", "--owner", "me"), '--owner: "me" is not user or inventory'),
    "keep without forward": (("set", "luis@alpha.test", "--keep"), "luis@alpha.test sends nothing on"),
    "generate without a terminal": (
        ("set", "luis@alpha.test", "--generate"),
        "--generate: there is no terminal to show the password on",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_it_is_refused_in_one_sentence_and_nothing_changes(name: str, folder: Path) -> None:
    words, told = REFUSED[name]
    more = ("--hash", HASH) if words[0] == "add" else ()
    for how in ("--yes", "--no-apply"):
        done = run(folder, *words, *more, how)
        assert done.returncode == 2
        assert told in done.stderr
        assert done.stderr.startswith("inventory: mail.yml\nmailprov: ")
        assert len(done.stderr.splitlines()) == 2
        assert (folder / "mail.yml").read_text() == INVENTORY
        assert {each.name for each in folder.iterdir()} == {"mail.yml"}


def test_without_a_terminal_nothing_is_asked(folder: Path) -> None:
    done = run(folder, "add", "eva@alpha.test")
    assert (done.returncode, "there is no terminal to ask on" in done.stderr) == (2, True)
    done = run(folder, "add", "eva@alpha.test", "--yes")
    assert (done.returncode, "there is no terminal to ask for the password on" in done.stderr) == (2, True)
    assert (folder / "mail.yml").read_text() == INVENTORY


def test_what_was_wrong_before_is_told_with_its_own_place(folder: Path) -> None:
    wrong = INVENTORY.replace("boss: ana", "boss: anna")
    (folder / "mail.yml").write_text(wrong)
    done = run(folder, "add", "eva@alpha.test", "--hash", HASH, "--no-apply")
    assert done.returncode == 2
    assert "mail.yml:12:21: domains.alpha.test.aliases.boss:" in done.stderr
    assert (folder / "mail.yml").read_text() == wrong


def test_the_password_is_asked_for_twice_and_a_weak_one_again(folder: Path) -> None:
    with Terminal("account", "add", "eva@alpha.test", "--no-apply", cwd=folder) as terminal:
        terminal.answer("Password of eva@alpha.test: ", "short")
        terminal.wait_for("It has 5 characters; the least is 12.")
        terminal.wait_for("Password of eva@alpha.test: ")
        terminal.press("correct horse\n")
        terminal.answer("The same again: ", "correct house")
        terminal.wait_for("These are two different ones.")
        terminal.answer("Password of eva@alpha.test: ", "correct horse")
        terminal.answer("The same again: ", "correct horse")
        assert terminal.end() == 0
    assert "correct" not in terminal.shown
    (eva,) = [
        account
        for domain in load(folder / "mail.yml", SecretMode.IGNORE).domains
        for account in domain.accounts
        if account.address == "eva@alpha.test"
    ]
    assert eva.password_hash is not None
    _scheme, _six, rounds, salt, _hash = eva.password_hash.reveal().split("$")
    assert eva.password_hash.reveal() == sha512_crypt("correct horse", salt, int(rounds.partition("=")[2]))
    assert "correct" not in (folder / "mail.yml").read_text()


def test_the_least_length_is_the_inventorys(folder: Path) -> None:
    file = folder / "mail.yml"
    file.write_text(file.read_text().replace("hosts:\n", "passwords: {min_length: 20}\nhosts:\n", 1))
    with Terminal("account", "set", "ana@alpha.test", "--password", "--no-apply", cwd=folder) as terminal:
        terminal.answer("Password of ana@alpha.test: ", "correct horse")
        terminal.wait_for("It has 13 characters; the least is 20.")
        assert terminal.interrupt() == 130
    assert "hash" not in file.read_text()


def test_a_made_up_one_is_shown_once(folder: Path) -> None:
    with Terminal("account", "set", "ana@alpha.test", "--generate", "--no-apply", cwd=folder) as terminal:
        terminal.wait_for("The password of ana@alpha.test (shown only now): ")
        assert terminal.end() == 0
    made = terminal.shown.rpartition(": ")[2].strip()
    assert len(made) == 20
    assert made not in (folder / "mail.yml").read_text()


def test_ctrl_c_at_a_question_changes_nothing(folder: Path) -> None:
    with Terminal("account", "add", "eva@alpha.test", cwd=folder) as terminal:
        terminal.wait_for("Password of eva@alpha.test: ")
        assert terminal.interrupt() == 130
    assert (folder / "mail.yml").read_text() == INVENTORY
    assert {each.name for each in folder.iterdir()} == {"mail.yml"}


@pytest.mark.parametrize(
    ("password", "reason"),
    [
        ("short", "has 5 characters"),
        ("x" * 1025, "has more than 1024"),
        ("with\ttabs in it", "contains a control character"),
        ("eva.alpha.test", "is easily guessed"),
        ("aaaaaaaaaaaaaaaa", "is easily guessed"),
        ("qwertyuiop123456", "is easily guessed"),
        ("Password12345678", "is easily guessed"),
        ("correct horse", ""),
        ("ñandú, ñandú, eh?", ""),
        ("hT5-kk2_pQ0zz3", ""),
    ],
)
def test_a_weak_password_is_told(password: str, reason: str) -> None:
    found = weak(password, "eva@alpha.test")
    assert found.startswith(reason) if reason else found == ""


# "Unix crypt using SHA-256 and SHA-512", the test vectors of its source.
VECTORS = [
    ("Hello world!", "saltstring", 5000,
     "$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1"),
    ("Hello world!", "saltstringsaltst", 10000,
     "$6$rounds=10000$saltstringsaltst$OW1/O6BYHV6BcXZu8QVeXbDWra3Oeqh0sbHbbMCVNSnCM/UrjmM0Dp8vOuZeHBy/YTBmSK6H9qs/y3RnOaw"
     "5v."),
    ("we have a short salt string but not a short password", "short", 77777,
     "$6$rounds=77777$short$WuQyW2YR.hBNpjjRhpYD/ifIw05xdfeEyQoMxIXbkvr0gge1a1x3yRULJ5CCaUeOxFmtlcGZelFl5CxtgfiAc0"),
]  # fmt: skip


@pytest.mark.parametrize(("password", "salt", "rounds", "wanted"), VECTORS)
def test_hashes_are_those_of_crypt(password: str, salt: str, rounds: int, wanted: str) -> None:
    assert sha512_crypt(password, salt, rounds) == f"{{SHA512-CRYPT}}{wanted}"


def test_a_made_salt_is_another_one_each_time() -> None:
    assert sha512_crypt("x", rounds=1000) != sha512_crypt("x", rounds=1000)
    assert sha512_crypt("x", rounds=1000).startswith("{SHA512-CRYPT}$6$rounds=1000$")
