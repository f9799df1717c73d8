"""Changes of passwords: one user wants another's mailbox, and whoever reaches the socket or the SSH user wants the host.

The socket's dialogue (templates/passwords/helper.py.j2) as a member of its group, who knows ana's password and wants
eva's; the SSH user with any key; users of the host who are in no group. Debian 12 and 13.
"""

from __future__ import annotations

import base64
import json
import re
import shlex
import socket
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mailprov import lab
from tests.attacks.password_tries import (
    ANSWERS,
    DIALOGUES,
    FLOOD,
    KINDS_OF_FLOOD,
    LIES,
    LOCAL,
    SENDER,
    SESSIONS,
    SSH,
)  # fmt: skip
from tests.attacks.places import provisioned
from tests.attacks.tries import LONG, Tries, some
from tests.lab import post
from tests.lab.labs import run_on, wait_until
from tests.users.test_passwords import OWN, SOCKET, Place, inventory

RELEASES = ("debian-12", "debian-13") if LONG else ("debian-13",)
NEW = "an evil new one"


@pytest.fixture(scope="module")
def hosts(ready_lab_factory: Callable[[str], lab.Lab]) -> lab.Lab:
    made = provisioned(ready_lab_factory, inventory(RELEASES))
    for number in range(1, len(RELEASES) + 1):
        run_on(
            made,
            f"mx{number}",
            f"id stu >/dev/null 2>&1 || useradd -m stu; cat >/srv/send.py <<'END'\n{SENDER}\nEND\n"
            f"cat >/srv/flood.py <<'END'\n{FLOOD}\nEND",
        )
    return made


@pytest.fixture(params=range(1, len(RELEASES) + 1), ids=RELEASES)
def place(request: pytest.FixtureRequest, hosts: lab.Lab) -> Place:
    made = Place(hosts, request.param)
    made.on("rm -f /run/mailprov/password-tries")
    return made


def state(place: Place) -> str:
    """What must not change: who has which password, and the list of accounts."""
    return place.on(f"sha256sum {OWN} /etc/dovecot/mailprov-users; stat -c '%a %U %G %N' {OWN} {SOCKET}")


def test_nobody_changes_a_colleagues_password_or_the_file_by_any_dialogue(place: Place, tries: Tries) -> None:
    filled = {
        b"O": place.ana,
        b"F": f"eva@{place.domain}",
        b"P": place.password,
        b"N": NEW,
        b"DOMAIN": place.domain,
    }
    before = state(place)
    every = some(DIALOGUES, 8)
    # Four at once: a wrong password takes its time, and fewer than five wrong ones are not yet too many.
    for first in range(0, len(every), 4):
        some_of_them = every[first : first + 4]
        sent = []
        for data in some_of_them:
            for sign in (b"DOMAIN", b"O", b"F", b"P", b"N"):
                data = b"".join(_replaced(data, sign, filled[sign].encode()))
            sent.append(base64.b64encode(data).decode())
        # The limit of wrong passwords is what `flood` below is about.
        answers = json.loads(_sent(place, json.dumps(sent)))
        after = state(place)
        for dialogue, answer in zip(some_of_them, answers, strict=True):
            good = "is changed" not in answer and after == before and "Traceback" not in answer
            tries.held(dialogue[:80], good and "too many wrong" not in answer, answer)
    log = place.on("journalctl -q -o cat -t mailprov-passwd")
    tries.held("a password in the log", place.password not in log and NEW not in log, "it is there")
    tries.held("a traceback in the log", "Traceback" not in log, log[-300:])


def _sent(place: Place, data: str) -> str:
    """What `SENDER` prints for it; by standard input, since a megabyte is no argument."""
    command = (
        "rm -f /run/mailprov/password-tries; cat >/srv/data; chmod 644 /srv/data; "
        "runuser -u nobody -G mailprov-passwd -- python3 /srv/send.py </srv/data"
    )
    argv = place.lab.ssh_argv(place.host, [command])
    return subprocess.run(argv, input=data, capture_output=True, text=True, timeout=300, check=True).stdout


def _replaced(data: bytes, sign: bytes, value: bytes) -> list[bytes]:
    """Only where the sign stands alone: commands and words have capitals as well."""
    return [re.sub(rb"(?<![A-Za-z{])" + sign + rb"(?![A-Za-z])", lambda _: value, data)]


def test_ssh_gives_the_questions_and_nothing_else(place: Place, tries: Tries, tmp_path: Path) -> None:
    key = tmp_path / "id"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    before = state(place)
    for words, command in some(SSH, 10):
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        told = shlex.split(words.replace("{port}", str(port)))
        user = [] if "-l" in told else ["-l", "mailprov-passwd"]
        done = subprocess.run(
            [
                "ssh", "-F", "none", "-i", str(key), "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes",
                "-o", f"UserKnownHostsFile={place.lab.known_hosts}", "-o", "GlobalKnownHostsFile=none",
                "-o", "ConnectTimeout=60", *user, *told, place.address, *([command] if command else []),
            ],
            input="x\n", capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip
        asked = done.stdout.replace("\r", "")
        fine = asked in ("", "Address: Password of now: \nNothing was changed: four lines are needed.\n")
        tries.held((words, command[:60]), fine and done.returncode != 0, done.stdout + done.stderr)
    tries.held("a file of the host", state(place) == before)
    listening = place.on("ss -Hltnx; ls /tmp")
    tries.held("something of the attacker's is left there", "/tmp/evil" not in listening, listening)


def test_users_of_the_host_reach_neither_the_socket_nor_the_files(place: Place, tries: Tries) -> None:
    before = state(place)
    for command in some(LOCAL, 10):
        said = run_on(
            place.lab,
            place.host,
            f"cd /tmp; timeout 60 runuser -u stu -- sh -c {shlex.quote(command.replace('O ', place.ana + ' '))} 2>&1",
            check=False,
        )
        tries.held(command, "in" not in said.splitlines() and state(place) == before, said)


@pytest.mark.skipif(not LONG, reason="a minute of waiting for answers: the long form has it")
def test_guesses_end_at_the_limit_and_others_are_not_shut_out(place: Place, tries: Tries) -> None:
    eva = f"eva@{place.domain}"
    for number in range(7):
        said = place.by_socket(
            "client 198.51.100.7", f"user {eva}", f"pass guess {number}", f"newpass {NEW}"
        )[-1]
        tries.held(f"guess {number}", ("too many" in said) == (number >= 5) and said.startswith("500"), said)
    right = post.password(place.lab, eva)
    said = place.by_socket("client 198.51.100.7", f"user {eva}", f"pass {right}", f"newpass {NEW}")[-1]
    tries.held("the right one behind the limit", "too many" in said, said)
    said = place.by_socket("client 198.51.100.8", f"user {eva}", f"pass {right}", "newpass eva's very own")[
        -1
    ]
    tries.held("eva herself, from elsewhere", said.startswith("200"), said)


def test_what_is_no_account_sounds_like_a_wrong_password(place: Place, tries: Tries) -> None:
    said = {
        name: place.by_socket(f"user {name}@{place.domain}", "pass a wrong one", f"newpass {NEW}")[-1]
        for name in ("ana", "luis", "nobody")
    }
    for name, answer in said.items():
        tries.held(name, answer == "500 the address or the old password is wrong", answer)


def test_a_thousand_connections_take_bounded_memory_and_others_come_after_them(
    place: Place, tries: Tries
) -> None:
    for kind in some(KINDS_OF_FLOOD, 1):
        count = 1000 if LONG else 100
        said = json.loads(
            place.on(f"runuser -u nobody -G mailprov-passwd -- python3 /srv/flood.py {kind} {count}")
        )
        for number in range(count):
            tries.held(f"{kind} {number}", said["units"] <= 40 and said["memory"] < 1_000_000_000, said)

        def served(kind: str = kind) -> bool:
            return place.by_socket(f"user nobody@{place.domain}", "pass x", "newpass short")[-1:] == [
                "500 the new password is too short: it needs at least 12 characters"
            ]

        wait_until(served, f"the program answers after the flood {kind}")


def test_what_is_typed_by_ssh_changes_nothing_without_the_right_password(
    place: Place, tries: Tries, tmp_path: Path
) -> None:
    key = tmp_path / "id"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    words = {
        b"O": place.ana,
        b"F": f"eva@{place.domain}",
        b"P": place.password,
        b"N": NEW,
        b"DOMAIN": place.domain,
    }
    before = state(place)
    for typed in some(ANSWERS, 4):
        data = typed
        for sign in (b"DOMAIN", b"O", b"F", b"P", b"N"):
            if sign == b"O" and b"\nN\nN" in typed and typed.startswith(b"O\nP"):
                continue  # ana's own change, whole: that would be none of an attack
            data = b"".join(_replaced(data, sign, words[sign].encode()))
        place.on("rm -f /run/mailprov/password-tries")
        done = _by_ssh(place, key, data)
        shown = done.stdout.decode("utf-8", "replace")
        fine = (
            "password was changed" not in shown
            and len(shown) < 400
            and b"Traceback" not in done.stdout + done.stderr
        )
        tries.held(
            typed[:60], fine and done.returncode != 0 and state(place) == before, (shown, done.stderr[-200:])
        )


def _by_ssh(
    place: Place, key: Path, data: bytes, *words: str, seconds: float = 300
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        _ssh(place, key, *words), input=data, capture_output=True, timeout=seconds, check=False
    )


def _ssh(place: Place, key: Path, *words: str) -> list[str]:
    return [
        "ssh", "-F", "none", "-i", str(key), "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes",
        "-o", f"UserKnownHostsFile={place.lab.known_hosts}", "-o", "GlobalKnownHostsFile=none",
        "-o", "ConnectTimeout=60", *words, f"mailprov-passwd@{place.address}",
    ]  # fmt: skip


@pytest.mark.skipif(not LONG, reason="half a minute each: the long form has it")
@pytest.mark.parametrize("words", ["", "-N"], ids=["with the questions", "without a session"])
def test_connections_by_ssh_that_stay_are_few(place: Place, tries: Tries, words: str) -> None:
    """From the host itself, so that what sshd holds against an address is not held against this machine."""
    count = 150
    place.on(
        f"cat >/srv/sessions.py <<'END'\n{SESSIONS}\nEND\nrm -f /srv/id; ssh-keygen -q -t ed25519 -N '' -f /srv/id; "
        "systemctl restart ssh"  # which forgets what it holds against an address, of an attack before
    )
    connections, processes = json.loads(place.on(f"python3 /srv/sessions.py {count} {words}"))
    for number in range(count):
        tries.held(number, 0 < connections <= 45 and processes <= 100, (connections, processes))
    wait_until(
        lambda: "mailprov-passwd" not in place.on("ps -eo user:30= | sort -u"), "all of them have ended", 300
    )


def test_a_web_server_in_foreign_hands_has_nobody_banned_or_shut_out(place: Place, tries: Tries) -> None:
    """What it says of addresses is neither in Dovecot's log, by which fail2ban bans, nor counts for who comes by SSH."""
    eva = f"eva@{place.domain}"
    for lie in some(LIES, 1):
        place.on("rm -f /run/mailprov/password-tries")
        began = place.on("date +%s").strip()
        said = place.by_socket(lie, f"user {eva}", "pass a guess", f"newpass {NEW}")
        log = place.on(f"journalctl -q -o cat -u dovecot --since @{began}")
        told = [
            line for line in log.splitlines() if eva in line and re.search(r"198\.51\.100|2001:db8::9", line)
        ]
        tries.held(lie, not told and not said[-1].startswith("200"), told or said)
    if not LONG:  # each guess takes Dovecot five seconds
        return
    place.on("rm -f /run/mailprov/password-tries")
    for _ in range(5):
        place.by_socket("client 127.0.0.1", f"user {eva}", "pass a guess", f"newpass {NEW}")
    shut = place.by_socket("client 127.0.0.1", f"user {eva}", "pass a guess", f"newpass {NEW}")[-1]
    tries.held("its own tries are limited", "too many" in shut, shut)
    typed = f"{eva}\na guess\n{NEW}\n{NEW}\n"
    said = place.on(
        f"printf %s {shlex.quote(typed)} | SSH_CONNECTION='127.0.0.1 1 127.0.0.1 22' runuser -u mailprov-passwd -- "
        "/etc/mailprov/mailprov-passwd || true"
    )
    tries.held("who comes by SSH from there", "old password is wrong" in said, said)


@pytest.mark.skipif(not LONG, reason="a minute of waiting for answers: the long form has it")
def test_guesses_from_a_thousand_addresses_end_at_the_accounts_limit(place: Place, tries: Tries) -> None:
    """A whole network of IPv6, and an address of IPv4 for each guess."""
    eva = f"eva@{place.domain}"

    def guess(number: int) -> str:
        client = f"2001:db8:1:2::{number:x}" if number < 10 else f"203.0.113.{number}"
        return place.by_socket(f"client {client}", f"user {eva}", f"pass guess {number}", f"newpass {NEW}")[
            -1
        ]

    said = [guess(number) for number in range(10)]
    tries.held("one network", sum("too many" in each for each in said) == 5, said)
    with ThreadPoolExecutor(10) as pool:
        said = list(pool.map(guess, range(10, 80)))
    asked = sum("old password is wrong" in each for each in said)
    for number, each in enumerate(said):
        tries.held(number, each.startswith("500") and asked <= 55, (asked, each))


@pytest.mark.skipif(not LONG, reason="two minutes of waiting for answers: the long form has it")
def test_the_time_of_an_answer_does_not_tell_who_exists(place: Place, tries: Tries) -> None:
    """Between who owns a password, whose is the inventory's, and nobody: no two groups lie apart from each other."""
    took: dict[str, list[float]] = {name: [] for name in ("eva", "luis", "nobody")}
    for turn in range(6):
        for name, times in took.items():
            place.on("rm -f /run/mailprov/password-tries")
            began = time.monotonic()
            said = place.by_socket(f"user {name}@{place.domain}", f"pass guess {turn}", f"newpass {NEW}")[-1]
            times.append(time.monotonic() - began)
            tries.held((name, turn), said == "500 the address or the old password is wrong", said)
    for one, other in (("eva", "nobody"), ("luis", "nobody"), ("eva", "luis")):
        apart = max(took[one]) < min(took[other]) or max(took[other]) < min(took[one])
        tries.held((one, other), not apart, took)
