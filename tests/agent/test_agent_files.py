"""What the real agent does to files: links, hand-made hosts, secrets, accounts, undo to the mode and time."""

from __future__ import annotations

import json
import os
import ssl
import subprocess
from pathlib import Path

import pytest

from mailprov.agent import files
from mailprov.agent.resources import certificates, passwd_file
from mailprov.model.host_state import AccountEntry, Certificate
from tests.agent.driver import (
    Agent,
    account_file,
    contents,
    converse,
    file,
    job,
    of_kind,
    snapshot,
    state,
    whole_state,
)


def users(root: Path) -> dict[str, str]:
    lines = (root / "etc/users").read_text().splitlines()
    return {line.split(":")[0]: line.split(":", 1)[1] for line in lines}


@pytest.mark.parametrize("target", ["/etc/victim", "/etc/nothing-there", "/etc"])
def test_a_link_is_replaced_and_never_written_through(root: Path, target: str) -> None:
    (root / "etc").mkdir()
    (root / "etc/victim").write_text("precious\n")
    (root / "etc/victim").chmod(0o600)
    (root / "etc/a").symlink_to(root / target.lstrip("/"))
    assert converse(root, state(files=(file("/etc/a", "new\n", mode="0644"),)))[-1]["status"] == "ok"

    assert not (root / "etc/a").is_symlink()
    assert (root / "etc/a").read_text() == "new\n"
    assert ((root / "etc/victim").read_text(), (root / "etc/victim").stat().st_mode & 0o777) == (
        "precious\n",
        0o600,
    )
    assert not (root / "etc/nothing-there").exists()


def test_a_temporary_name_that_is_a_link_is_not_followed(root: Path) -> None:
    (root / "etc").mkdir()
    (root / "etc/victim").write_text("precious\n")
    (root / "etc/.a.mailprov").symlink_to("victim")
    assert converse(root, state(files=(file("/etc/a", "new\n"),)))[-1]["status"] == "ok"

    assert (root / "etc/victim").read_text() == "precious\n"
    assert (root / "etc/a").read_text() == "new\n"


def test_a_link_to_a_directory_that_another_user_made_is_refused(root: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can make a link of another user")
    (root / "var").mkdir()
    (root / "target").mkdir(mode=0o700)
    (root / "var/vmail").symlink_to("../target")
    os.lchown(root / "var/vmail", 65534, 65534)
    directory = {"path": "/var/vmail", "owner": "root", "group": "root", "mode": "0755"}
    end = converse(root, {**state(), "directories": [directory]})[-1]

    assert (end["status"], end["what"]) == ("failed", "/var/vmail is not a directory")
    assert (root / "target").stat().st_mode & 0o777 == 0o700


def test_a_failure_half_way_puts_back_content_mode_time_and_links(root: Path) -> None:
    """The last file cannot be written: its owner does not exist."""
    (root / "etc/old").mkdir(parents=True)
    (root / "etc/old/file").write_text("old\n")
    (root / "etc/old/file").chmod(0o4711)
    os.utime(root / "etc/old/file", ns=(10**18, 10**18))
    (root / "etc/old/link").symlink_to("file")
    before = contents(root)
    wanted = [
        file("/etc/old/file", "new\n"),
        file("/etc/old/link", "new\n"),
        file("/etc/new/deep/file", "new\n"),
    ]
    wanted.append(file("/etc/z", "x", owner="mailprov-nobody-has-this"))
    end = converse(root, state(files=tuple(wanted)))[-1]

    assert (end["status"], end["changed"]) == ("failed", 0)
    assert "mailprov-nobody-has-this" in end["what"]
    assert end["what"].endswith("everything was put back, and the host serves as before")
    assert contents(root) == before
    assert (root / "etc/old/file").stat().st_mtime_ns == 10**18


def test_a_host_that_is_already_as_wanted_is_taken_over_without_a_change(root: Path) -> None:
    (root / "etc").mkdir()
    (root / "etc/a").write_text("x\n")
    (root / "etc/a").chmod(0o644)
    first = converse(root, state(files=(file("/etc/a", "x\n"),)))
    before = snapshot(root)
    second = converse(root, state(files=(file("/etc/a", "x\n"),)))
    assert snapshot(root) == before
    gone = converse(root, state())

    assert [message[-1]["changed"] for message in (first, second)] == [0, 0]
    assert list(json.loads(before["/var/lib/mailprov/manifest.json"][-1])["files"]) == ["/etc/a"]
    assert [change["action"] for change in of_kind(gone, "plan")[0]["changes"]] == ["delete"]
    assert not (root / "etc/a").exists()


def test_no_secret_leaves_the_host(python: str, root: Path) -> None:
    """Not in plans, not in errors, not in the journal; and only root may read what is kept."""
    password = "un gato: {raro} é#"
    (root / "etc/keys").mkdir(parents=True)
    (root / "etc/keys/dkim.pem").write_text("-----BEGIN PRIVATE KEY-----\nMIIoldoldoldold\n")
    wanted = whole_state()
    wanted["files"].append({**wanted["files"][0], "path": "/etc/pw", "content": f"pw = {password}\n"})
    said = json.dumps(converse(root, wanted, python=python), ensure_ascii=False)

    secrets = (password, "MIIsecretsecretsecret", "MIIoldoldoldold", "$6$")
    assert [secret for secret in secrets if secret in said] == []
    assert "pw = ********" in said
    kept = root / "var/lib/mailprov"
    assert kept.stat().st_mode & 0o777 == 0o700
    for path in kept.rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path
        if path.is_file():
            assert password.encode() not in path.read_bytes()


def test_hashes_are_stable_and_right(python: str, root: Path) -> None:
    passwords = {"ana@a.test": "uno dos", "eva@a.test": "é:{}%$'\"\\#", "leo@a.test": "x" * 300}

    def wanted(**changed: str) -> dict[str, object]:
        entries = [AccountEntry(user, password=text) for user, text in {**passwords, **changed}.items()]
        return state(account_files=(account_file("/etc/users", *entries),))

    converse(root, wanted(), python=python)
    first = users(root)
    again = converse(root, wanted(), python=python)
    changed = converse(root, wanted(**{"ana@a.test": "tres"}), python=python)
    second = users(root)

    assert list(first) == sorted(passwords)
    for user, line in first.items():
        hashed = line.partition(":")[0]
        assert hashed.startswith("{SHA512-CRYPT}$6$")
        assert passwd_file._verify(passwords[user], hashed)
        assert not passwd_file._verify(passwords[user] + "x", hashed)
    assert of_kind(again, "plan")[0]["changes"] == []
    (change,) = of_kind(changed, "plan")[0]["changes"]
    assert (change["name"], change["detail"]) == ("ana@a.test", "password changed")
    assert {user for user in first if first[user] != second[user]} == {"ana@a.test"}


def test_a_hash_edited_by_hand_is_made_right_again(root: Path) -> None:
    wanted = state(account_files=(account_file("/etc/users", AccountEntry("ana@a.test", password="uno")),))
    converse(root, wanted)
    path = root / "etc/users"
    path.write_text(path.read_text().replace("$6$", "$6$x"))
    plan = of_kind(converse(root, wanted, accept_drift=True), "plan")[0]["changes"]

    assert [(change["name"], change["detail"]) for change in plan] == [
        ("/etc/users", "edited by hand since the last apply"),
        ("ana@a.test", "password changed"),
    ]
    assert passwd_file._verify("uno", users(root)["ana@a.test"].partition(":")[0])


def test_an_account_that_left_loses_its_login_and_the_others_keep_theirs(root: Path) -> None:
    entries = [AccountEntry(user, hash="{PLAIN}x") for user in ("ana@a.test", "eva@a.test")]
    converse(root, state(account_files=(account_file("/etc/users", *entries),)))
    messages = converse(root, state(account_files=(account_file("/etc/users", entries[1]),)))

    assert messages[-1]["status"] == "ok"
    assert [(one["kind"], one["action"]) for one in of_kind(messages, "plan")[0]["changes"]] == [
        ("account", "delete")
    ]
    assert users(root) == {"eva@a.test": "{PLAIN}x::::::"}


def test_lost_fingerprints_are_found_again_without_a_change(root: Path) -> None:
    wanted = state(account_files=(account_file("/etc/users", AccountEntry("ana@a.test", password="uno")),))
    converse(root, wanted)
    (root / "var/lib/mailprov/passwords.json").unlink()
    (root / "var/lib/mailprov/pepper").unlink()
    before = users(root)

    assert of_kind(converse(root, wanted), "plan")[0]["changes"] == []
    assert users(root) == before
    assert (root / "var/lib/mailprov/passwords.json").exists()


def test_hashing_with_openssl_alone_gives_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """openssl and libcrypt accept each other's hashes, and either will do."""
    (made,) = passwd_file.hash_passwords(["un gato é"])
    monkeypatch.setattr(passwd_file.commands, "have", lambda name: False)
    (by_libcrypt,) = passwd_file.hash_passwords(["un gato é"])
    monkeypatch.undo()

    def no_libcrypt(password: str, setting: str) -> str:
        raise passwd_file.AgentError("none")

    monkeypatch.setattr(passwd_file, "_crypt", no_libcrypt)
    assert passwd_file._verify("un gato é", made)
    assert passwd_file._verify("un gato é", by_libcrypt)
    assert not passwd_file._verify("un gato e", by_libcrypt)


def test_of_ten_thousand_unchanged_accounts_none_is_hashed(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = files.Tree(str(root))
    hashed = passwd_file.hash_passwords(["uno"])[0]
    names = [f"user{number:05}@a.test" for number in range(10_000)]
    (root / "etc").mkdir()
    (root / "var/lib/mailprov").mkdir(parents=True)
    (root / "etc/users").write_text("".join(f"{name}:{hashed}::::::\n" for name in names))
    (root / "etc/users").chmod(0o640)
    known = passwd_file.Passwords(tree)
    for name in names:
        known.remember("/etc/users", name, "uno", hashed)
    known.save()
    entries = [AccountEntry(name, password="uno") for name in names]

    def hashing(*arguments: object) -> None:
        raise AssertionError("an unchanged password was hashed again")

    monkeypatch.setattr(passwd_file, "hash_passwords", hashing)
    monkeypatch.setattr(passwd_file, "_verify", hashing)
    monkeypatch.setattr(passwd_file, "_crypt", hashing)
    messages = converse(root, state(account_files=(account_file("/etc/users", *entries),)))

    assert of_kind(messages, "plan")[0]["changes"] == []
    assert messages[-1]["status"] == "ok"


def test_accounts_hashed_in_several_parts_come_with_their_own_hashes(root: Path) -> None:
    entries = [AccountEntry(f"u{number:04}@a.test", password=f"pw {number}") for number in range(8)]
    wanted = state(account_files=(account_file("/etc/users", *entries),))
    converse(root, wanted, before="from mailprov.agent.resources import passwd_file; passwd_file._BATCH = 3")
    found = users(root)

    for number in range(8):
        assert passwd_file._verify(f"pw {number}", found[f"u{number:04}@a.test"].partition(":")[0])


def certificate(names: tuple[str, ...], days: int = 3650) -> dict[str, object]:
    return state(certificates=(Certificate(names, "/etc/tls/c.pem", "/etc/tls/c.key", days),))


def test_certificates_verify_and_are_made_again_only_when_needed(root: Path) -> None:
    long = "a" * 60 + ".alpha.test"
    converse(root, certificate(("mx1.alpha.test", long)))
    pem = root / "etc/tls/c.pem"
    first = pem.read_bytes()
    context = ssl.create_default_context(cafile=str(pem))
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(pem, root / "etc/tls/c.key")
    for name in ("mx1.alpha.test", long):
        assert handshake(context, server, name) == ""
    assert "mismatch" in handshake(context, server, "mx2.alpha.test")

    (root / "var/lib/mailprov/manifest.json").unlink()
    assert of_kind(converse(root, certificate((long, "mx1.alpha.test"))), "plan")[0]["changes"] == []
    (change,) = of_kind(converse(root, certificate(("mx1.alpha.test",))), "plan")[0]["changes"]
    assert change["detail"] == f"names mx1.alpha.test, {long} → mx1.alpha.test"
    assert pem.read_bytes() != first


def handshake(context: ssl.SSLContext, server: ssl.SSLContext, name: str) -> str:
    """A TLS handshake in memory; what the client says against it, or nothing."""
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(to_client, to_server, server_hostname=name)
    peer = server.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(5):
        for side in (client, peer):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLCertVerificationError as error:
                return error.verify_message
    return ""


@pytest.mark.parametrize(("days", "detail"), [(20, "expires in "), (29, "expires in "), (31, "")])
def test_a_certificate_close_to_expiry_is_made_again(root: Path, days: int, detail: str) -> None:
    (root / "etc/tls").mkdir(parents=True)
    spec = {"names": ["mx1.alpha.test"], "days": days}
    made = certificates.make(spec, str(root))
    for name, data in zip(("c.pem", "c.key"), made, strict=True):
        (root / "etc/tls" / name).write_bytes(data)
    changes = of_kind(converse(root, certificate(("mx1.alpha.test",))), "plan")[0]["changes"]

    assert [change["detail"].startswith(detail) for change in changes] == ([True] if detail else [])


def test_a_key_of_another_certificate_is_noticed(root: Path) -> None:
    converse(root, certificate(("mx1.alpha.test",)))
    argv = ["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]
    other = subprocess.run(argv, check=True, capture_output=True).stdout
    (root / "etc/tls/c.key").write_bytes(other)
    messages = converse(root, certificate(("mx1.alpha.test",)), accept_drift=True)
    (change,) = of_kind(messages, "plan")[0]["changes"]

    assert (change["detail"], change["drift"]) == (
        "certificate and key do not belong together, edited by hand since the last apply",
        True,
    )
    assert (root / "etc/tls/c.key").read_bytes() != other


def test_a_disk_that_is_full_is_one_sentence_and_undone(root: Path) -> None:
    full = (
        "import os, errno\nreal = os.fchmod\ncount = [0]\n"
        "def fchmod(handle, mode):\n"
        "    count[0] += 1\n"
        "    if count[0] > 8: os.fchmod = real; raise OSError(errno.ENOSPC, 'No space left on device')\n"
        "    return real(handle, mode)\n"
        "os.fchmod = fchmod\n"
    )
    many = tuple(file(f"/etc/many/{number}", "x") for number in range(20))
    agent = Agent(None, job(str(root)), full)
    agent.go(state(files=many))
    end = agent.end()

    assert end["status"] == "failed"
    assert "/etc/many/" in end["what"]
    assert "No space left on device; everything was put back" in end["what"]
    assert contents(root) == {}


def test_a_disk_without_room_for_a_journal_is_no_run_that_was_interrupted(root: Path) -> None:
    full = (
        "import os, errno\nreal = os.write\n"
        "def write(handle, data):\n"
        '    if b\'"r": "begin"\' in bytes(data): raise OSError(errno.ENOSPC, "No space left on device")\n'
        "    return real(handle, data)\n"
        "os.write = write\n"
    )
    agent = Agent(None, job(str(root)), full)
    agent.go(state(files=(file("/etc/one", "x"),)))
    end = agent.end()

    assert end["status"] == "failed"
    assert "the journal" in end["what"]
    assert "No space left on device" in end["what"]
    assert not (root / "var/lib/mailprov/journal").exists()


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ("userdb_quota_rule=*:bytes=209715200", "quota 200M"),
        ("userdb_quota/user/storage_size=1073741824B", "quota 1G"),
        ("userdb_quota_rule=*:bytes=1000", "quota 1000"),
        ("", ""),
        ("userdb_other=1", "userdb_other=1"),
    ],
)
def test_a_plan_says_a_quota_in_words(fields: str, words: str) -> None:
    assert passwd_file.in_words(fields) == words
