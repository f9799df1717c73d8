"""The program with which users change passwords that they own, beside a Dovecot that says what a test wants."""

from __future__ import annotations

import base64
import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from desired_cases import BOOKWORM, facts, host, inventory, owned

from mailprov import desired
from mailprov.agent.resources import passwd_file
from mailprov.components.dovecot import passwd
from mailprov.components.webmail import refusals

ANA, OLD, NEW = "ana@alpha.test", "the initial one", "a brand new one"
USERS = f"{ANA}:{passwd.LOCKED}::::::{passwd.HANDED_ON} userdb_quota_rule=*:bytes=1\nluis@alpha.test:{{CRYPT}}x::::::\n"


def text_of(name: str) -> str:
    state = desired.build(inventory(owned()), host(), facts(BOOKWORM))
    return next(file.content for file in state.files if Path(file.path).name == name)


class Place:
    """A host's files for the program, and a Dovecot that knows `passwords` (address → password)."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.own, self.users = folder / "own" / "passwords", folder / "users"
        self.own.parent.mkdir()
        self.own.write_text(f"{ANA}:{{CRYPT}}one::::::\nzoe@alpha.test:{{CRYPT}}zoes::::::\n")
        self.users.write_text(USERS)
        self.passwords: dict[str, str] = {ANA: OLD, "luis@alpha.test": OLD}
        self.answer = ""  # in place of what Dovecot would say
        self.asked: list[str] = []
        self.meanwhile = lambda: None
        text = text_of("change_password.py")
        places = {
            passwd.OWN: self.own, passwd.USERS: self.users, "/run/mailprov": folder,
            "/run/dovecot/auth-client": folder / "auth", "/run/mailprov-passwd/ended": folder / "ended",
        }  # fmt: skip
        for was, now in places.items():
            text = text.replace(f'"{was}"', f'"{now}"')
        self.script = folder / "change_password.py"
        self.script.write_text(text)
        self.names: dict[str, Any] = {"__name__": "change_password"}
        exec(compile(text, "change_password.py", "exec"), self.names)
        self.names["end_sessions"] = lambda address: None
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(folder / "auth"))
        self._listener.listen(16)
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._one, args=(connection,), daemon=True).start()

    def _one(self, connection: socket.socket) -> None:
        lines = connection.makefile("rwb", buffering=0)
        lines.write(b"VERSION\t1\t2\nMECH\tPLAIN\tplaintext\nSPID\t1\nCUID\t1\nCOOKIE\tx\nDONE\n")
        for line in lines:
            words = line.decode().rstrip("\n").split("\t")
            if words[0] == "AUTH":
                self.asked.append(line.decode())
                _, user, password = base64.b64decode(words[-1].partition("=")[2]).decode().split("\0")
                good = self.passwords.get(user) == password
                self.meanwhile()
                lines.write(
                    (self.answer or (f"OK\t1\tuser={user}" if good else f"FAIL\t1\tuser={user}")).encode()
                    + b"\n"
                )
                return

    def change(
        self,
        address: str = ANA,
        old: str = OLD,
        new: str = NEW,
        client: str = "192.0.2.7",
        who: str = "mailprov-passwd",
    ) -> str:
        """Empty where it was changed, else why not."""
        try:
            self.names["change"](address, old, new, client, who)
        except (self.names["Refused"], self.names["Unclear"]) as refused:
            return str(refused)
        return ""

    def hashes(self) -> dict[str, str]:
        return {user: one[0] for user, one in passwd_file.logins(self.own.read_bytes()).items()}

    def talk(self, data: bytes) -> tuple[str, str]:
        """What a whole connection is answered, and what is logged of it."""
        ours, theirs = socket.socketpair()
        with ours, theirs:
            program = subprocess.Popen(
                [sys.executable, "-IS", str(self.script)], stdin=theirs, stdout=theirs, stderr=subprocess.PIPE
            )
            theirs.close()
            try:
                ours.sendall(data)
                ours.shutdown(socket.SHUT_WR)
            except OSError:  # it has heard enough
                pass
            answer = b""
            try:
                while part := ours.recv(65536):
                    answer += part
            except ConnectionResetError:
                pass
            log = program.communicate(timeout=120)[1].decode()
        return answer.decode(), log


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path)
    yield made
    made.close()


def test_the_hash_of_the_new_password_takes_the_old_ones_place_and_no_other_line_changes(
    place: Place,
) -> None:
    before = place.hashes()
    place.own.chmod(0o640)
    assert place.change() == ""
    after = place.hashes()
    assert passwd_file._verify(NEW, after.pop(ANA))
    before.pop(ANA)
    assert after == before
    assert oct(place.own.stat().st_mode)[-3:] == "640"
    assert sorted(path.name for path in place.own.parent.iterdir()) == ["passwords"]


def test_dovecot_hears_who_asks_so_that_it_counts_a_guess_as_one_of_that_address(place: Place) -> None:
    assert "wrong" in place.change(old="a wrong one")
    assert "service=mailprov-passwd\tsecured\trip=192.0.2.7\t" in place.asked[0]
    assert place.hashes()[ANA] == "{CRYPT}one"


@pytest.mark.parametrize(
    ("new", "why"),
    [
        ("short", "at least 12 characters"), ("x" * 256, "at most 255 bytes"), ("é" * 128, "at most 255 bytes"),
        ("aaaaaaaaaaaaaaa", "easy to guess"), (ANA, "easy to guess"), (f" {NEW}", "a blank"),
        ("tab\tinside the word", "no keyboard"),
        ("colon and\nline end", "no keyboard"), ("nul\0inside the word", "no keyboard"), (OLD, "the old one"),
        ("no utf-8 \udcff here", "no keyboard"),
    ],
)  # fmt: skip
def test_a_password_that_is_no_good_is_refused_before_anybody_is_asked(
    place: Place, new: str, why: str
) -> None:
    assert why in place.change(new=new)
    assert place.asked == []


def test_one_that_the_inventory_owns_is_said_to_be_so_to_who_knows_it_and_to_nobody_else(
    place: Place,
) -> None:
    assert place.change("luis@alpha.test") == (
        "this password is set by your administrator, in mailprov's inventory; ask there for another one"
    )
    assert place.change("luis@alpha.test", "a wrong one") == place.change("nobody@alpha.test")
    assert "luis@alpha.test" not in place.hashes()


@pytest.mark.parametrize(
    "address", ["", "ana", "ana@alpha.test:x", "*@alpha.test", "-x@alpha.test/..", "a\nb@c", "é@alpha.test"]
)
def test_what_is_no_address_reaches_nobody(place: Place, address: str) -> None:
    assert place.change(address) == "that is no address of an account here"
    assert place.asked == []


def test_an_account_that_may_not_log_in_hears_dovecots_own_reason(place: Place) -> None:
    place.answer = "FAIL\t1\tuser=x\tuser_disabled\treason=the account is suspended"
    assert place.change() == "the account is suspended"
    place.answer = "OK\t1\tuser=x\tnologin\treason=the account is closed"
    assert place.change() == "the account is closed"
    for told in (
        "FAIL\t1\tuser=x\tuser_disabled",
        "FAIL\t1\tuser=x\tcode=user_disabled",
        "OK\t1\tuser=x\tnologin",
    ):
        place.answer = told
        assert place.change() == "this account may not log in at present; ask your administrator"
    assert place.hashes()[ANA] == "{CRYPT}one"


def test_where_dovecot_cannot_tell_nothing_changes_and_it_counts_as_no_guess(place: Place) -> None:
    place.answer = "FAIL\t1\tuser=x\ttemp"
    for _ in range(6):
        assert place.change() == "Dovecot could not check the password"
    place.answer = ""
    assert place.change() == ""


def test_five_wrong_ones_of_one_client_are_enough_for_this_account_and_for_nobody_else(place: Place) -> None:
    assert {place.change(old=f"wrong {number}") for number in range(5)} == {
        "the address or the old password is wrong"
    }
    asked = len(place.asked)
    assert place.change() == "too many wrong passwords; try again in 10 minutes"
    assert len(place.asked) == asked, "a guess behind the limit is not even looked at"
    assert place.change(client="192.0.2.8") == ""
    assert "192.0.2.7" not in (place.folder / "password-tries").read_text()


def test_a_network_of_ipv6_is_one_client_and_no_program_speaks_for_those_of_another(place: Place) -> None:
    for last in range(5):
        assert "wrong" in place.change(old="a wrong one", client=f"2001:db8::{last}")
    assert "too many" in place.change(client="2001:db8::ffff")
    assert "too many" in place.change(client="2001:db8:0:0:1::")
    assert place.change(client="2001:db8:0:1::", new="another new one") == ""
    for _ in range(5):
        assert "wrong" in place.change(old="a wrong one", client="192.0.2.7", who="mailprov-webmail")
    assert "too many" in place.change(client="192.0.2.7", who="mailprov-webmail")
    assert place.change(client="192.0.2.7", new="one more new one") == ""


def test_dovecot_is_told_the_address_by_ssh_and_no_other_programs_word(place: Place) -> None:
    """fail2ban bans whom Dovecot names, so a web server in foreign hands could have anybody banned."""
    for who, told in (
        ("mailprov-passwd", True),
        ("root", True),
        ("mailprov-webmail", False),
        ("nobody", False),
    ):
        place.change(old="a wrong one", client="192.0.2.99", who=who)
        assert ("rip=192.0.2.99" in place.asked[-1]) is told, who


def test_each_refusal_has_its_words_for_a_page_in_spanish() -> None:
    text = re.sub(r'"\n\s+"', "", text_of("change_password.py"))
    said = set(re.findall(r'(?:Refused\(|CLOSED = |answer\(500, )"([^"]+)"', text))
    protocol = {
        "say user, pass and newpass, in this order",
        "a line has a NUL in it",
        "that are too many lines",
        # To users with a shell, at their socket: no page asks there.
        "this is for users with a mailbox and a shell",
        "here you can change the password of your own account alone",
    }
    assert len(said) >= 14
    known = {english for english, _ in refusals.SPANISH}
    assert said - known == protocol
    assert known - said == {"the server does not answer; try again later"}
    assert all(english.count("%d") == spanish.count("%d") for english, spanish in refusals.SPANISH)


def test_a_password_that_changed_while_the_old_one_was_being_checked_is_not_overwritten(place: Place) -> None:
    place.meanwhile = lambda: place.own.write_text(f"{ANA}:{{CRYPT}}two::::::\n")
    assert "changed meanwhile" in place.change()
    assert place.hashes() == {ANA: "{CRYPT}two"}


def test_an_account_that_an_apply_gives_to_the_inventory_meanwhile_keeps_that(place: Place) -> None:
    place.meanwhile = lambda: place.users.write_text(f"{ANA}:{{CRYPT}}x::::::\n")
    assert "set by your administrator" in place.change()


def test_two_at_once_are_one_after_the_other_and_the_second_is_refused(place: Place) -> None:
    said: list[str] = []
    both = threading.Barrier(2)
    place.meanwhile = lambda: both.wait(60)  # both have the right old password, and no lock yet
    threads = [
        threading.Thread(target=lambda n=n: said.append(place.change(new=f"{NEW} {n}"))) for n in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(bool, said)) == [False, True]
    assert "zoe@alpha.test" in place.hashes()


def test_it_waits_for_an_apply_and_says_so_where_that_takes_long(place: Place) -> None:
    import fcntl

    with (place.folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        place.names["LOCK_PATIENCE"] = 0.2
        assert "being set up" in place.change()
        place.names["LOCK_PATIENCE"] = 120
        threading.Timer(0.3, lambda: fcntl.flock(lock, fcntl.LOCK_UN)).start()
        assert place.change() == ""
    assert json.loads((place.folder / "lock").read_text())["brief"] is True


def test_a_disk_that_is_full_leaves_the_old_password(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, os.strerror(28))

    before = place.own.read_bytes()
    for name in ("fsync", "rename", "fchown"):
        with monkeypatch.context() as patch:
            patch.setattr(os, name, full)
            with pytest.raises(OSError, match="No space"):
                place.names["change"](ANA, OLD, NEW, "192.0.2.7", "root")
        assert place.own.read_bytes() == before
        assert [path.name for path in place.own.parent.iterdir()] == ["passwords"]


def test_a_link_in_the_files_place_is_followed_nowhere(place: Place) -> None:
    elsewhere = place.folder / "elsewhere"
    elsewhere.write_text(place.own.read_text())
    place.own.unlink()
    place.own.symlink_to(elsewhere)
    with pytest.raises(OSError, match="symbolic link"):
        place.names["change"](ANA, OLD, NEW, "192.0.2.7", "root")
    assert NEW not in elsewhere.read_text()
    assert "one" in elsewhere.read_text()


def test_the_dialogue_is_poppassds_and_the_log_has_who_and_no_password(place: Place) -> None:
    text = f"client 192.0.2.9\r\nuser {ANA}\r\npass {OLD}\r\nnewpass {NEW}\r\nquit\r\n"
    answer, log = place.talk(text.encode())
    assert [line[:4] for line in answer.splitlines()] == ["200 "] * 6
    assert log.startswith(f"{ANA}, from 192.0.2.9 by ")
    ((user, since),) = [line.split() for line in (place.folder / "ended").read_text().splitlines()]
    assert user == ANA
    assert 0 < float(since) <= float(f"{time.monotonic():.3f}")  # it is rounded, maybe upwards
    assert "changed" in log
    assert OLD not in log
    assert NEW not in log


@pytest.mark.parametrize(
    "data",
    [
        b"", b"\n", b"\0" * 100, b"x" * 2_000_000, b"user x\n" * 100_000, b"pass x\n", b"newpass x\n",
        b"user a\npass b\nuser c\n",
        b"\xff\xfe\n", b"user " + b"\xff" * 500 + b"\npass x\nnewpass " + b"y" * 20 + b"\n",
        b"USER a\nPASS b\nNEWPASS c",
        b"GET / HTTP/1.1\r\n\r\n", b"user ana@alpha.test\npass a\0b\n", bytes(range(256)) * 4000, b"client x\n" * 30,
    ],
)  # fmt: skip
def test_nonsense_is_answered_with_one_sentence_and_changes_nothing(place: Place, data: bytes) -> None:
    before = place.own.read_bytes()
    answer, log = place.talk(data)
    assert not answer or answer.splitlines()[0].startswith("200 ")
    assert "Traceback" not in log
    assert len(log) < 2000
    assert place.own.read_bytes() == before


def test_a_line_that_was_cut_off_is_no_password(place: Place) -> None:
    before = place.own.read_bytes()
    answer, _ = place.talk(f"user {ANA}\npass {OLD}\nnewpass {NEW} and mo".encode())
    assert answer.splitlines()[-1] == "500 a line is too long, or has no end"
    assert place.own.read_bytes() == before


@pytest.mark.parametrize("seconds", [0.0, 0.05, 0.1, 0.2, 0.4])
def test_killed_at_any_moment_the_file_is_the_old_one_or_the_new_one(place: Place, seconds: float) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        program = subprocess.Popen([sys.executable, "-IS", str(place.script)], stdin=theirs, stdout=theirs)
        ours.sendall(f"user {ANA}\npass {OLD}\nnewpass {NEW}\n".encode())
        deadline = time.monotonic() + 60
        while not place.asked and time.monotonic() < deadline:
            time.sleep(0.001)
        time.sleep(seconds)
        program.kill()
        program.wait()
    hashes = place.hashes()
    assert hashes.pop("zoe@alpha.test") == "{CRYPT}zoes"
    assert hashes[ANA] == "{CRYPT}one" or passwd_file._verify(NEW, hashes[ANA])
    place.passwords[ANA] = NEW if hashes[ANA] != "{CRYPT}one" else OLD
    assert place.change(old=place.passwords[ANA], new="and on it goes") == ""


def test_the_agent_and_the_controller_mean_the_same_words() -> None:
    assert passwd_file.HANDED_ON == passwd.HANDED_ON
