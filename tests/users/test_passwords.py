"""Passwords that users own, on real hosts: set once, changed by SSH and by the socket, and by nobody else ever after.

Of each host: ana and eva own theirs, luis's is the inventory's. The tests go on from each other, in their order.
"""

from __future__ import annotations

import contextlib
import imaplib
import json
import poplib
import re
import smtplib
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mailprov import lab
from tests.lab import post
from tests.lab.labs import run_on, silent, wait_until
from tests.lab.program import Result, run
from tests.users.conftest import LONG, RELEASES
from tests.users.screen import Screen

OWN = "/var/lib/mailprov-passwd/passwords"
SOCKET = "/run/mailprov-passwd/socket"
TIMEOUT = 120.0
BEGINS = "it begins with the initial password of the inventory"
long_form = pytest.mark.skipif(not LONG, reason="the long form only: make test-users")
# Says lines to the socket, as a member of the group would, and prints the answers.
CLIENT = f"""
import socket, sys
with socket.socket(socket.AF_UNIX) as connection:
    connection.settimeout(120)
    connection.connect("{SOCKET}")
    lines = connection.makefile("rwb", buffering=0)
    print(lines.readline().decode().strip())
    for line in sys.stdin.buffer.read().splitlines():
        lines.write(line + b"\\r\\n")
        answer = lines.readline().decode().strip()
        print(answer)
        if not answer.startswith("2"):
            break
"""


def inventory(releases: tuple[str, ...], *, ssh: bool = True) -> str:
    hosts = "".join(
        f"  mx{n}: {{address: 192.0.2.{n}, fqdn: mx{n}.{_domain(n)}, lab: {{release: {release}}}}}\n"
        for n, release in enumerate(releases, 1)
    )
    domains = "".join(
        f"  {_domain(n)}:\n    hosts: [mx{n}]\n    accounts:\n"
        "      ana: {quota: 50M, password: {initial: {env: ANA}, owner: user}}\n"
        "      eva: {password: {initial: {env: EVA}, owner: user}}\n"
        "      luis: {password: {env: LUIS}}\n"
        for n in range(1, len(releases) + 1)
    )
    return f"filter: none\npasswords: {{min_length: 12, ssh: {str(ssh).lower()}}}\nhosts:\n{hosts}domains:\n{domains}"


def _domain(number: int) -> str:
    return f"{('alpha', 'beta')[number - 1]}.test"


class Place:
    """One host with its domain; what ana's password is by now."""

    def __init__(self, where: lab.Lab, number: int) -> None:
        self.lab, self.host, self.domain = where, f"mx{number}", _domain(number)
        self.address = where.host(self.host).address
        self.ana = f"ana@{self.domain}"
        self.password = post.password(where, self.ana)
        run_on(where, self.host, f"cat >/srv/client.py <<'END'\n{CLIENT}\nEND")

    def on(self, command: str) -> str:
        return run_on(self.lab, self.host, command)

    def logins(self, password: str, user: str = "") -> list[bool]:
        """By IMAP, POP and submission, side by side: a refusal takes Dovecot five seconds."""
        user = user or self.ana
        context = post.context(self.lab)
        told: dict[str, bool] = {}

        def one(name: str) -> None:
            try:
                if name == "imap":
                    with imaplib.IMAP4_SSL(self.address, 993, timeout=TIMEOUT, ssl_context=context) as client:
                        client.login(user, password)
                elif name == "pop":
                    pop = poplib.POP3_SSL(self.address, 995, timeout=TIMEOUT, context=context)
                    pop.user(user)
                    pop.pass_(password)
                else:
                    with smtplib.SMTP_SSL(self.address, 465, timeout=TIMEOUT, context=context) as smtp:
                        smtp.login(user, password)
                told[name] = True
            except (imaplib.IMAP4.error, poplib.error_proto, smtplib.SMTPAuthenticationError):
                told[name] = False

        threads = [threading.Thread(target=one, args=(name,)) for name in ("imap", "pop", "smtp")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return [told["imap"], told["pop"], told["smtp"]]

    def by_ssh(self, *lines: str, key: Path, words: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
        told = "".join(f"{line}\n" for line in lines)
        return subprocess.run(
            [
                "ssh", "-F", "none", "-i", str(key), "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes",
                "-o", f"UserKnownHostsFile={self.lab.known_hosts}", "-o", "GlobalKnownHostsFile=none",
                *words, f"mailprov-passwd@{self.address}",
            ],
            input=told, capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip

    def by_socket(self, *lines: str, user: str = "nobody", group: str = "mailprov-passwd") -> list[str]:
        told = "\n".join(lines)
        command = f"runuser -u {user} -G {group} -- python3 /srv/client.py <<'END'\n{told}\nEND"
        return run_on(self.lab, self.host, command).splitlines()

    def change(self, new: str, old: str = "") -> str:
        """By the socket; the last answer."""
        said = self.by_socket(f"user {self.ana}", f"pass {old or self.password}", f"newpass {new}")[-1]
        if said.startswith("200"):
            self.password = new
        return said


@pytest.fixture(scope="module")
def hosts(ready_lab_factory: Callable[[str], lab.Lab]) -> lab.Lab:
    return ready_lab_factory(inventory(RELEASES))


@pytest.fixture(scope="module")
def first(hosts: lab.Lab) -> Result:
    return applied(hosts)


@pytest.fixture(scope="module")
def places(hosts: lab.Lab, first: Result) -> list[Place]:
    return [Place(hosts, number) for number in range(1, len(RELEASES) + 1)]


@pytest.fixture(params=range(len(RELEASES)), ids=RELEASES)
def place(request: pytest.FixtureRequest, places: list[Place]) -> Place:
    return places[request.param]


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of nobody in particular."""
    path = tmp_path_factory.mktemp("key") / "id"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)
    return path


def applied(where: lab.Lab, *words: str) -> Result:
    done = run("apply", "--yes", "--no-verify", *words, str(where.inventory_path))
    assert done.code == 0, done.events[-3:]
    return done


@contextlib.contextmanager
def edited(where: lab.Lab, old: str, new: str) -> Iterator[None]:
    """The lab's inventory with another text in it; put back at the end."""
    text = where.inventory_path.read_text()
    assert old in text
    where.inventory_path.write_text(text.replace(old, new))
    try:
        yield
    finally:
        where.inventory_path.write_text(text)


def ended(session: imaplib.IMAP4) -> bool:
    try:
        session.noop()
    except (imaplib.IMAP4.abort, OSError):
        return True
    return False


def submitting(place: Place, user: str, password: str = "") -> smtplib.SMTP_SSL:
    client = smtplib.SMTP_SSL(place.address, 465, timeout=TIMEOUT, context=post.context(place.lab))
    client.login(user, password or post.password(place.lab, user))
    return client


def details(done: Result, host: str, kind: str = "password") -> dict[str, str]:
    changes = [each for one in done.of("planned", subject=host) for each in one["changes"]]
    return {each["name"]: each["detail"] for each in changes if each["kind"] == kind}


def test_the_first_apply_says_what_passwords_begin_with_and_they_let_users_in(
    first: Result, place: Place
) -> None:
    assert details(first, place.host) == {place.ana: BEGINS, f"eva@{place.domain}": BEGINS}
    assert any("new to mailprov" in each["text"] for each in first.of("notice", subject=place.host))
    assert place.logins(place.password) == [True] * 3
    assert (
        place.logins(post.password(place.lab, f"luis@{place.domain}"), f"luis@{place.domain}") == [True] * 3
    )


def test_a_user_with_any_key_and_the_password_changes_it_by_ssh(place: Place, key: Path) -> None:
    old, new = place.password, "chosen by ana, 1"
    session = imaplib.IMAP4_SSL(place.address, 993, timeout=TIMEOUT, ssl_context=post.context(place.lab))
    session.login(place.ana, old)
    luis = f"luis@{place.domain}"
    sending = [submitting(place, user) for user in (place.ana, luis)]
    done = place.by_ssh(place.ana, old, new, new, key=key)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "The password was changed.")
    wait_until(lambda: ended(session), "the session that was open is ended")
    assert sending[0].mail(place.ana)[0] == 421
    assert sending[1].mail(luis)[0] == 250
    place.password = new
    assert place.logins(new) == [True] * 3
    assert place.logins(old) == [False] * 3
    assert submitting(place, place.ana, new).mail(place.ana)[0] == 250


@long_form
def test_the_line_of_the_docs_keeps_passwords_off_the_screen(place: Place, key: Path, tmp_path: Path) -> None:
    """And brings the terminal back, also where somebody gives up."""
    page = (Path(__file__).parents[2] / "docs/passwords.md").read_text()
    (line,) = re.findall(r"^\$ (.*ssh -T mailprov-passwd@\S+\))$", page, re.M)
    options = (
        f"-F none -i {key} -o IdentitiesOnly=yes -o BatchMode=yes -o UserKnownHostsFile={place.lab.known_hosts} "
        "-o GlobalKnownHostsFile=none"
    )
    line = re.sub(r"ssh -T mailprov-passwd@[^)]*", f"ssh -T {options} mailprov-passwd@{place.address}", line)
    script = tmp_path / "line"
    script.write_text(f"{line}\n")
    new = "typed at a terminal"
    with Screen(tmp_path, ["sh"]) as screen:
        for answers in ((place.ana, "given up"), (place.ana, place.password, new, new)):
            screen.enter(f"clear; . {script}")
            screen.see("Address:")
            for number, answer in enumerate(answers):
                screen.enter(answer)
                screen.see(("Password of now:", "New password:", "again:", "was changed")[number])
            if len(answers) < 4:
                screen.press("C-c")
            shown = screen.shown()
            assert not [each for each in answers if each in shown]
            screen.enter("echo it is ba''ck")
            screen.see(r"echo it is ba''ck\nit is back")
    place.password = new
    assert place.logins(new) == [True] * 3


def test_a_program_of_the_host_changes_it_by_the_socket(place: Place) -> None:
    old = place.password
    said = place.by_socket(
        "client 192.0.2.9", f"user {place.ana}", f"pass {old}", "newpass chosen by ana, 2", "quit"
    )
    assert [each[:3] for each in said] == ["200"] * 6
    place.password = "chosen by ana, 2"
    assert place.logins(place.password) == [True] * 3
    assert place.logins(old) == [False] * 3
    log = place.on("journalctl -q -o cat -t mailprov-passwd")
    assert f"{place.ana}, from 192.0.2.9 by nobody: the password was changed" in log
    assert not {old, place.password, post.password(place.lab, place.ana)} & set(log.split("\n"))
    assert old not in log
    assert place.password not in log


def test_what_is_not_the_users_own_is_refused_with_the_reason(place: Place) -> None:
    luis = f"luis@{place.domain}"
    said = place.by_socket(
        f"user {luis}", f"pass {post.password(place.lab, luis)}", "newpass another one of luis"
    )
    assert said[-1].startswith("500 this password is set by your administrator")
    assert place.change("too short") == "500 the new password is too short: it needs at least 12 characters"
    assert place.change("long enough for it", "a wrong one") == "500 the address or the old password is wrong"
    assert place.logins(place.password) == [True] * 3


def test_the_next_plan_is_empty_whatever_users_did(hosts: lab.Lab, places: list[Place]) -> None:
    done = run("plan", "--exit-code", str(hosts.inventory_path))
    assert (done.code, [done.changes(each.host) for each in places]) == (0, [[]] * len(places))


@long_form
def test_verify_leaves_such_accounts_out_and_says_why(hosts: lab.Lab, places: list[Place]) -> None:
    done = run("verify", "--probe", "auth.ok", str(hosts.inventory_path))
    assert done.code == 0, done.events[-3:]
    said = " ".join(each["observed"] for each in done.of("found", verdict="skip"))
    assert f"not tried, as their users own the passwords: {places[0].ana}" in said


def test_a_rollback_keeps_the_password_and_no_record_has_its_hash(
    hosts: lab.Lab, places: list[Place]
) -> None:
    with edited(hosts, "quota: 52428800", "quota: 62914560"):
        applied(hosts)
    for place in places:
        assert place.change("chosen by ana, 3").startswith("200")
    done = run("rollback", "--yes", str(hosts.inventory_path))
    assert done.code == 0, done.events[-3:]
    for place in places:
        hashed = place.on(f"grep '^ana@' {OWN} | cut -d: -f2").strip()
        assert hashed.startswith("{SHA512-CRYPT}$6$")
        place.on(f"! grep -rqF '{hashed}' /var/lib/mailprov /etc")
        assert place.logins(place.password) == [True] * 3


@long_form
def test_an_initial_password_that_changes_changes_nothing(hosts: lab.Lab, places: list[Place]) -> None:
    secret = hosts.directory / "secrets" / places[0].ana
    was = secret.read_text()
    secret.write_text("another initial one\n")
    try:
        done = run("plan", "--exit-code", str(hosts.inventory_path))
    finally:
        secret.write_text(was)
    assert done.code == 0
    assert any("another one in the inventory now" in each["text"] for each in done.of("notice"))


@long_form
def test_changes_and_applies_wait_for_each_other_and_nothing_is_lost(place: Place) -> None:
    """An apply that is at work is a lock that is held, and so is a change."""
    place.on("systemd-run -q --unit held flock /run/mailprov/lock sleep 3; sleep 0.3")
    assert place.change("chosen by ana, 4").startswith("200")
    brief = json.dumps({"owner": "a change of a password", "since": "now", "pid": 1, "brief": True})
    place.on(
        f"printf %s '{brief}' >/run/mailprov/lock; "
        "systemd-run -q --unit brief flock /run/mailprov/lock sleep 2; sleep 0.3"
    )
    applied(place.lab, "--host", place.host)
    assert place.logins(place.password) == [True] * 3


@long_form
def test_a_password_that_changes_while_applies_run_stays_the_last_one(
    hosts: lab.Lab, places: list[Place]
) -> None:
    """Applies that change the accounts' file, one after the other, beside changes of a password."""
    over = threading.Event()

    def change() -> None:
        number = 0
        while not over.is_set():
            number += 1
            for place in places:
                place.change(f"changed beside applies, {number}")

    beside = threading.Thread(target=change)
    beside.start()
    try:
        for size in ("62914560", "73400320"):
            with edited(hosts, "quota: 52428800", f"quota: {size}"):
                applied(hosts, "--lock-timeout", "60")
    finally:
        over.set()
        beside.join()
    for place in places:
        assert place.password.startswith("changed beside applies")
        assert place.logins(place.password) == [True] * 3
    applied(hosts)


@long_form
def test_a_helper_that_is_killed_leaves_the_old_password_or_the_new_one(place: Place) -> None:
    new = "chosen and then killed"
    for number in range(6):
        told = f"user {place.ana}\npass {place.password}\nnewpass {new} {number}"
        place.on(
            f"(python3 /srv/client.py <<'END'\n{told}\nEND\n) >/dev/null 2>&1 & sleep 0.{number * 3 + 1}; "
            "systemctl kill -s KILL 'mailprov-passwd@*.service'; wait; sleep 2"  # Dovecot looks once a second
        )
        if place.logins(f"{new} {number}")[0]:
            place.password = f"{new} {number}"
        assert place.logins(place.password) == [True] * 3
        assert place.on(f"ls -A {OWN.rpartition('/')[0]}").split() in (
            ["passwords"],
            [".passwords.mailprov", "passwords"],
        )
    assert place.change("chosen after that").startswith("200")


def test_a_full_disk_leaves_the_old_password_and_says_so_to_the_user(place: Place) -> None:
    folder = OWN.rpartition("/")[0]
    place.on(
        f"cp -a {OWN} /srv/kept; mount -t tmpfs -o size=8k,mode=0750,gid=dovecot full {folder}; cp -a /srv/kept {OWN}; "
        f"head -c 100000 /dev/zero >{folder}/filler 2>/dev/null || true"
    )
    try:
        assert place.change("there is no room") == "500 the password could not be changed; try again later"
        assert place.logins(place.password) == [True] * 3
    finally:
        place.on(f"umount -l {folder}")
    assert place.logins(place.password) == [True] * 3


@long_form
def test_a_host_that_is_built_anew_says_that_initial_passwords_are_valid_again(
    hosts: lab.Lab, places: list[Place]
) -> None:
    place = places[-1]
    kept = place.on(f"cat {OWN}")
    lab.reset(hosts.name, [place.host], silent)
    plan = run("plan", "--host", place.host, str(hosts.inventory_path))
    assert details(plan, place.host)[place.ana] == BEGINS
    assert any("takes the place of another host" in each["text"] for each in plan.of("notice"))
    run_on(hosts, place.host, f"mkdir -p {OWN.rpartition('/')[0]}; printf %s '{kept}' >{OWN}")
    done = applied(hosts, "--host", place.host)
    assert details(done, place.host) == {}
    assert place.logins(place.password) == [True] * 3
