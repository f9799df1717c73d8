"""trace --wire on the host: what verbose clients logged becomes dialogues, and passwords are in none of them."""

from __future__ import annotations

import base64
import os
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailprov.agent import commands, files, journal, manifest
from mailprov.agent.apt import dpkg_lock
from mailprov.agent.errors import AgentError
from mailprov.agent.modes import wire
from mailprov.agent.transaction import recovery
from mailprov.agent.verbose import clones, dialogue, overlay
from mailprov.agent.verbose.dialogue import Dialogue, Dialogues, Masked
from tests.agent.driver import Agent, job

HERE = Path(__file__).parent / "verbose"


def recorded(name: str, *wanted: str) -> list[Dialogue]:
    """As `-v` of this Postfix logged it on a real host."""
    heard = Dialogues(wanted)
    for line in (HERE / name).read_text().splitlines():
        pid, program, text = (line + "  ").split(" ", 2)
        heard.hear(int(pid), program, text.rstrip(" "))
    return heard.found


def said(one: Dialogue, source: str) -> list[str]:
    return [line["text"] for line in one.lines if line["source"] == source]


def test_smtp_inside_tls_as_postfix_3_7_logs_it() -> None:
    (one,) = recorded("postfix-3.7.log", "C4EEAFD8396")

    assert (one.program, one.queue_id, one.recipients) == ("smtp", "C4EEAFD8396", ["bob@two.test"])
    assert one.peer == "mx.two.test[fd30:f931:7f3f:1::c]:25"
    assert said(one, "sent") == [
        "EHLO mx.one.test", "STARTTLS", "EHLO mx.one.test", "MAIL FROM:<ana@one.test> SIZE=514",
        "RCPT TO:<bob@two.test> ORCPT=rfc822;bob@two.test", "DATA", ".", "QUIT",
    ]  # fmt: skip
    assert said(one, "received")[-1] == "250 2.0.0 Ok: queued as 91CD4FD2034"
    (tls,) = said(one, "log")
    assert "TLSv1.3" in tls


def test_lmtp_as_postfix_3_10_logs_it() -> None:
    (one,) = recorded("postfix-3.10.log", "91CD4FD2034")

    assert (one.program, one.peer) == ("lmtp", "mx.two.test[private/dovecot-lmtp]")
    assert said(one, "sent")[0] == "LHLO mx.two.test"
    assert said(one, "received")[-2:] == [
        "250 2.0.0 <bob@two.test> 12mxMCHaDGtjCQAAWcWlFg Saved",
        "221 2.0.0 Bye",
    ]


def test_what_is_said_about_other_messages_is_dropped() -> None:
    assert recorded("postfix-3.7.log", "AAAA") == []

    heard = Dialogues({"AAAA"})
    for queue_id in ("AAAA", "BBBB", "AAAA"):
        heard.hear(7, "smtp", "input attribute name: queue_id")
        heard.hear(7, "smtp", f"input attribute value: {queue_id}")
        heard.hear(7, "smtp", f"> mx[192.0.2.1]:25: MAIL FROM:<{queue_id}@x.test>")
    assert [said(one, "sent") for one in heard.found] == [["MAIL FROM:<AAAA@x.test>"]] * 2


def test_processes_that_log_at_the_same_time_are_told_apart() -> None:
    heard = Dialogues({"AAAA", "BBBB"})
    for pid, queue_id in ((1, "AAAA"), (2, "BBBB")):
        heard.hear(pid, "smtp", "input attribute name: queue_id")
        heard.hear(pid, "smtp", f"input attribute value: {queue_id}")
    for pid, text in ((1, "EHLO one"), (2, "EHLO two"), (1, "QUIT one"), (2, "QUIT two")):
        heard.hear(pid, "smtp", f"> mx[192.0.2.1]:25: {text}")
    assert [(one.queue_id, said(one, "sent")) for one in heard.found] == [
        ("AAAA", ["EHLO one", "QUIT one"]),
        ("BBBB", ["EHLO two", "QUIT two"]),
    ]


def test_an_answer_that_postfix_has_cut_says_so() -> None:
    heard = Dialogues({"AAAA"})
    heard.hear(1, "smtp", "input attribute name: queue_id")
    heard.hear(1, "smtp", "input attribute value: AAAA")
    heard.hear(1, "smtp", "< mx[192.0.2.1]:25: " + "5" * 100)
    heard.hear(1, "smtp", "> mx[192.0.2.1]:25: " + "M" * 100)
    (one,) = heard.found
    assert (said(one, "received"), said(one, "sent")) == (["5" * 100 + "…"], ["M" * 100])


PASSWORDS = st.text(
    st.characters(
        min_codepoint=0x21, max_codepoint=0x17F, exclude_categories=["Cc", "Zs"], exclude_characters="*"
    ),
    min_size=8,
)


def _logins(user: str, password: str) -> list[list[Sequence[str]]]:
    """Every form of AUTH in which a password, or what stands for it, is sent (RFC 4954, RFC 4616, RFC 7628)."""

    def coded(text: str) -> str:
        return base64.b64encode(text.encode()).decode()

    plain, name, secret = coded(f"\0{user}\0{password}"), coded(user), coded(password)
    token = coded(f"user={user}\1auth=Bearer {password}\1\1")
    return [
        [("sent", f"AUTH PLAIN {plain}"), ("received", "235 ok")],
        [("sent", f"auth plain {plain}"), ("received", "235 ok")],
        [("sent", "AUTH PLAIN"), ("received", "334 "), ("sent", plain), ("received", "535 no")],
        [("sent", "AUTH LOGIN"), ("received", "334 VXNlcm5hbWU6"), ("sent", name), ("received", "334 UGFzc3dvcmQ6"),
         ("sent", secret), ("received", "235 ok")],
        [("sent", f"AUTH LOGIN {name}"), ("received", "334 UGFzc3dvcmQ6"), ("sent", secret), ("received", "235 ok")],
        [("sent", f"AUTH XOAUTH2 {token}"), ("received", f"334 {token}"), ("sent", ""), ("received", "535 no")],
        [("sent", f"AUTH OAUTHBEARER {token}"), ("received", "235 ok")],
        [("sent", "AUTH CRAM-MD5"), ("received", "334 PDE+"), ("sent", secret), ("received", "235 ok")],
        [("sent", f"AUTH  PLAIN\t{plain}"), ("received", "235 ok")],
        [("sent", f"AUTH={password}"), ("received", "501 no")],
    ]  # fmt: skip


@given(password=PASSWORDS)
def test_no_password_survives_in_any_form_of_auth(password: str) -> None:
    for lines in _logins("ana@one.test", password):
        masked = Masked()
        shown = [masked(source, text) for source, text in lines]
        for text in shown:
            for form in (password, base64.b64encode(password.encode()).decode().rstrip("=")):
                assert form not in text
            assert not any(len(word) > 12 and word in text for _, line in lines for word in line.split()[2:])
        assert masked("sent", "MAIL FROM:<ana@one.test>") == "MAIL FROM:<ana@one.test>"


def test_lists_of_main_cf_are_cut_at_their_commas_and_not_within_braces() -> None:
    assert clones.tables("a, texthash:/b c") == ["a", "texthash:/b", "c"]
    assert clones.tables("inline:{ {a = b, c}, d=e }, f") == ["inline:{ {a = b, c}, d=e }", "f"]
    assert clones.tables("") == []


MASTER = {
    "smtp": "smtp unix - - y - - smtp",
    "lmtp": "lmtp unix - - y - - lmtp",
    "dovecot": "dovecot unix - n n - - pipe flags=DRhu argv=/bin/false",
}


class Postfix:
    """postconf(1) and postmap(1) of a host with this configuration."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **settings: str) -> None:
        self.settings = {
            "queue_directory": "/q", "recipient_delimiter": "+",
            "sender_dependent_default_transport_maps": "texthash:/own",
            "default_transport": "srs:[127.0.0.1]:10027",
            "virtual_mailbox_domains": "texthash:/domains",
            "virtual_transport": "lmtp:unix:private/dovecot-lmtp", "smtp_sasl_auth_enable": "no",
            "lmtp_sasl_auth_enable": "no", "lmtp_destination_recipient_limit": "1",
            "default_destination_concurrency_limit": "20", "default_destination_recipient_limit": "50", **settings,
        }  # fmt: skip
        self.edits: list[str] = []
        monkeypatch.setattr(commands, "run", self.run)

    def run(self, argv: Sequence[str], **_more: object) -> commands.Outcome:
        code, out = 0, ""
        tables: dict[str, dict[str, str]] = {
            "texthash:/own": {"@one.test": "smtp:"},
            "texthash:/domains": {"two.test": "x"},
        }
        if argv[:2] == ["postconf", "-c"]:
            self.edits += argv[4:]
        elif argv[:2] == ["postconf", "-x"]:
            out = "".join(f"{name} = {self.settings.get(name, '')}\n" for name in argv[2:])
        elif argv[:2] == ["postconf", "-M"]:
            out = MASTER.get(argv[2].partition("/")[0], "")
        elif argv[0] == "postmap":
            out = tables.get(argv[3], {}).get(argv[2], "")
            code = 0 if out else 1
        return commands.Outcome(code, out, "")


@pytest.fixture
def tree(tmp_path: Path) -> files.Tree:
    (tmp_path / "etc/postfix").mkdir(parents=True)
    (tmp_path / "wire").mkdir()
    for name in ("main.cf", "master.cf"):
        (tmp_path / "etc/postfix" / name).write_text("# as it is\n")
    return files.Tree(str(tmp_path))


def made(tree: files.Tree, senders: Sequence[str], recipients: Sequence[str]) -> clones.Clones:
    return clones.make(tree, tree.root + "/wire", senders, recipients)


def table(tree: files.Tree, name: str) -> str:
    path = Path(tree.root, "wire", name)
    return path.read_text() if path.exists() else ""


def test_only_the_name_of_the_client_changes(tree: files.Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    postfix = Postfix(monkeypatch)
    found = made(tree, ["ana.b@one.test"], ["bob@two.test", "who@elsewhere.test"])

    assert (found.services, found.queue, found.gaps) == (
        ("mailprov-wire-smtp", "mailprov-wire-lmtp"),
        "/q",
        (),
    )
    assert table(tree, "senders") == "/^ana[.]b@one[.]test$/ mailprov-wire-smtp:\n"
    assert (
        table(tree, "recipients")
        == "/^bob(([+])[^@]*)?@two[.]test$/ mailprov-wire-lmtp:unix:private/dovecot-lmtp\n"
    )
    assert any(
        edit.startswith("mailprov-wire-smtp/unix = mailprov-wire-smtp unix - - y - - smtp -v ")
        for edit in postfix.edits
    )
    assert "mailprov-wire-lmtp_destination_recipient_limit = 1" in postfix.edits
    senders = f"sender_dependent_default_transport_maps = regexp:{tree.root}/wire/senders, texthash:/own"
    assert senders in postfix.edits
    assert Path(tree.root, "etc/postfix/main.cf").read_text() == "# as it is\n"


def test_a_client_that_logs_in_is_never_made_verbose(
    tree: files.Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    Postfix(monkeypatch, smtp_sasl_auth_enable="yes")
    found = made(tree, ["ana@one.test"], ["bob@two.test"])

    assert found.services == ("mailprov-wire-lmtp",)
    assert [gap for gap in found.gaps if "smtp logs in" in gap]
    assert table(tree, "senders") == ""


def test_what_is_no_client_of_smtp_is_left_alone(tree: files.Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    Postfix(monkeypatch, virtual_transport="dovecot")
    found = made(tree, [], ["bob@two.test"])
    assert (found.services, len(found.gaps)) == ((), 1)


@pytest.mark.parametrize(
    "address", ['"a b"@one.test', "a/b@one.test", "a\\b@one.test", "ana@one.test\n/x/ y", "ña@one.test"]
)
def test_a_strange_address_gets_into_no_table(
    tree: files.Tree, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    Postfix(monkeypatch)
    assert made(tree, [address], [address.replace("one", "two")]).services == ()


def test_where_postfix_logs_to_a_file_nothing_is_changed(
    tree: files.Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    Postfix(monkeypatch, maillog_file="/var/log/x")
    found = made(tree, ["ana@one.test"], [])
    assert (found.services, len(found.gaps)) == ((), 1)


class Told:
    """As much of a session as the recovery needs."""

    def __init__(self, tree: files.Tree) -> None:
        self.tree = tree
        self.notices: list[str] = []

    def notice(self, text: str) -> None:
        self.notices.append(text)


@pytest.mark.parametrize("laid", [True, False])
def test_a_killed_trace_is_told_by_a_plan_and_taken_back_by_an_apply(
    tree: files.Tree, monkeypatch: pytest.MonkeyPatch, laid: bool
) -> None:
    back: list[str] = []
    monkeypatch.setattr(overlay, "is_on", lambda: laid)
    monkeypatch.setattr(overlay, "take_back", back.append)
    record = journal.begin(tree, "ana@laptop: trace", run="1", kind="wire")
    record.remember(["/etc/postfix/main.cf"])
    record.note({"r": "wire", "queue": "/q", "services": ["mailprov-wire-smtp"]})
    told = Told(tree)

    seen = recovery.recover(told, writes=False, tells=False)  # type: ignore[arg-type]
    assert (back, "by the next apply" in told.notices[0]) == ([], True)
    # A plan looks through the copy that lies over main.cf; without it, what stands there was edited by somebody.
    assert seen.excused == (frozenset({"/etc/postfix/main.cf"}) if laid else frozenset())
    Path(tree.root, "etc/postfix/main.cf").write_text("# edited since\n")

    recovery.recover(told, writes=True, tells=False)  # type: ignore[arg-type]
    assert (back, journal.unfinished(tree), journal.finished(tree)) == (["/q"], None, [])
    assert Path(tree.root, "etc/postfix/main.cf").read_text() == "# edited since\n"


def test_the_guard_begins_before_there_is_anything_to_guard(
    tree: files.Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who is killed after the first file would leave it to nobody; where there can be no guard, nothing begins."""
    asked: list[list[str]] = []

    def run(argv: Sequence[str], **_more: object) -> commands.Outcome:
        asked.append(list(argv))
        assert journal.unfinished(tree) is None
        return commands.Outcome(1 if argv[0] == "systemd-run" else 0, "", "no systemd here")

    monkeypatch.setattr(commands, "run", run)
    monkeypatch.setattr(dpkg_lock, "take", lambda *_: os.open(os.devnull, os.O_RDONLY))
    Path(tree.at(manifest.PATH)).parent.mkdir(parents=True, exist_ok=True)
    Path(tree.at(manifest.PATH)).write_text("{}")
    session = SimpleNamespace(
        tree=tree, say=None, check=None, job=SimpleNamespace(seconds=60, owner="ana@laptop: trace", run="1")
    )
    with pytest.raises(AgentError, match="it stays as it was"):
        wire.work(session)  # type: ignore[arg-type]
    assert [words[0] for words in asked] == ["systemctl", "systemd-run"]
    assert asked[0] == ["systemctl", "stop", overlay.GUARD], "one that is left tidies up first"
    assert asked[1][-2:] == ["sleep", "90"], "longer than what it guards"
    assert journal.unfinished(tree) is None


def test_what_is_laid_over_is_found_in_mountinfo() -> None:
    """proc(5): root of the mount within its file system, then where it is mounted."""
    line = (
        "6985 9637 0:645 /mailprov/wire/main.cf /etc/postfix/main.cf ro,nosuid shared:3426 - tmpfs tmpfs rw"
    )
    assert overlay._LAID.search(line)
    assert not overlay._LAID.search(line.replace("/mailprov/wire/", "/other/"))
    assert dialogue.MOST_LINES > 100


def test_a_foreign_apply_at_work_refuses_as_it_refuses_an_apply(tmp_path: Path) -> None:
    applying = Agent(None, job(str(tmp_path), owner="eva@desk: mailprov apply"))
    applying.until("facts")
    refused = Agent(None, job(str(tmp_path), "wire", seconds=5)).end()
    applying.send("cancel")
    applying.end()
    assert refused["status"] == "failed"
    assert refused["what"].startswith("locked by eva@desk: mailprov apply since 20")


def test_a_host_that_mailprov_never_set_up_is_left_alone(tmp_path: Path) -> None:
    agent = Agent(None, job(str(tmp_path), "wire", seconds=60))
    assert "has not set up this host" in agent.until("verbose")["gaps"][0]["text"]
    agent.send("collect", queue_ids=["AAAA"])
    assert agent.until("dialogues")["dialogues"] == []
    assert agent.end()["status"] == "ok"
    assert [path.name for path in (tmp_path / "var/lib").rglob("*")] == []


def test_who_asks_for_nothing_in_time_is_not_waited_for(tmp_path: Path) -> None:
    end = Agent(None, job(str(tmp_path), "wire", seconds=1)).end()
    assert end["status"] == "failed"
    assert "nobody asked" in end["what"]
