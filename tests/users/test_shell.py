"""Users with a shell, on real hosts: they log in by SSH, read, answer and attach in a text program; who they are at the
other side; and what an account's leaving does.
"""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Callable

import pytest

from mailprov import lab
from tests.lab.labs import run_on, wait_until
from tests.lab.post import password, stored
from tests.lab.program import run
from tests.users.conftest import LONG
from tests.users.screen import Screen
from tests.users.shells import Place, arrived, text

# Opened by the menu: the first line of what it shows.
MENU = r"1  Read and write mail"
PROMPT = r"\$$"
MAIN = r"ALPINE .*MAIN MENU"
# What Alpine says last stands there for a moment: which of the two it is then, is chance.
SENT = r"Message sent|Writing Fcc DONE"


@pytest.fixture(scope="module")
def place(ready_lab_factory: Callable[[str], lab.Lab], tmp_path_factory: pytest.TempPathFactory) -> Place:
    folder = tmp_path_factory.mktemp("shell")
    key = folder / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "ana", "-f", str(key)], check=True)
    made = ready_lab_factory(text(key.with_suffix(".pub").read_text().strip()))
    done = run("apply", "--yes", "--no-verify", str(made.inventory_path), timeout=600)
    assert done.code == 0, done.events[-3:]
    return Place(made, key, folder)


def _write(screen: Screen, to: str, subject: str, attach: str, word: str) -> None:
    """In Alpine's main menu; the password of the second server is asked with the first message."""
    screen.press("c")
    screen.see("COMPOSE MESSAGE")
    screen.enter(to)
    screen.press("Down")
    screen.see(r"Attchmnt:")
    screen.enter(attach)
    screen.see(r"Attchmnt: 1\.")
    screen.enter(subject)
    screen.type("Hello, this was written at a terminal.")
    _send(screen, word)


def _send(screen: Screen, word: str) -> None:
    screen.press("C-x")
    screen.see("Send message")
    screen.press("y")
    if "ENTER PASSWORD" in screen.see(f"ENTER PASSWORD|Sending mail .*100%|{SENT}"):
        screen.enter(word)
    screen.see(SENT)


def test_a_second_plan_finds_nothing(place: Place) -> None:
    done = run("plan", "--exit-code", str(place.lab.inventory_path))
    assert done.code == 0, done.of("planned")


def test_alpine_with_a_key_then_an_answer_from_the_menu(place: Place) -> None:
    ana, eva = password(place.lab, "ana@alpha.test"), password(place.lab, "eva@beta.test")
    run_on(place.lab, "mx1", "install -o ana -g ana -m 600 /etc/hostname /home/ana/notes.txt")
    with place.screen(place.ssh("ana", "mx1"), "ana") as screen:
        screen.see(PROMPT)
        screen.enter("alpine")
        screen.see("USER: ana@alpha.test .*ENTER PASSWORD")
        screen.enter(ana)
        screen.see(MAIN)
        _write(screen, "eva@beta.test", "from alpine", "notes.txt", ana)
        head = arrived(place, "mx2", "eva@beta.test", "from alpine")
        assert re.search(r"^From: .*\bana@alpha\.test", head, re.M), head
        assert re.search(r"^Content-Type: multipart/mixed", head, re.M), head
        assert "Return-Path: <ana@alpha.test>" in head
        assert re.search(r"dkim=pass[^;]*header\.d=alpha\.test", head, re.S), head
    with place.screen(place.ssh("eva", "mx2", key=False), "eva") as screen:
        screen.see("password:")
        screen.enter(eva)
        screen.see(MENU)
        screen.enter("1")
        screen.see("USER: eva@beta.test .*ENTER PASSWORD")
        screen.enter(eva)
        screen.see(MAIN)
        screen.press("i")
        screen.see("from alpine")
        screen.press("Enter")
        screen.see("written at a terminal")
        screen.press("r")
        while re.search(
            r"\?|\[Yes\]", asked := screen.see("COMPOSE MESSAGE|Include original|Reply to all|Use ")
        ):
            if "COMPOSE MESSAGE" in asked:
                break
            screen.press("n")
        screen.type("Thank you.")
        _send(screen, eva)
        head = arrived(place, "mx1", "ana@alpha.test", "Re: from alpine")
        assert re.search(r"^From: .*\beva@beta\.test", head, re.M), head
        assert re.search(r"^DKIM-Signature: .*d=beta\.test", head, re.M | re.S), head
        screen.press("q")
        if "Really" in screen.see(f"Really quit|{MENU}"):
            screen.press("y")
        screen.see(MENU)
        screen.enter("0")
        screen.ended()


@pytest.mark.skipif(not LONG, reason="the long form")
def test_mutt_reads_and_sends(place: Place) -> None:
    word = password(place.lab, "ana@alpha.test")
    editor = "printf '#!/bin/sh\\necho hello >>\"$1\"\\n' >~/editor; chmod 700 ~/editor"
    assert place.said("ana", "mx1", editor).returncode == 0
    with place.screen(place.ssh("ana", "mx1"), "mutt") as screen:
        screen.see(PROMPT)
        screen.enter("EDITOR=./editor mutt -s 'from mutt' -a .profile -- ivo@beta.test")
        screen.see("To: ivo@beta.test")
        screen.press("Enter")
        screen.see("Subject: from mutt")
        screen.press("Enter")
        screen.see("y:Send")
        screen.press("y")
        # One password for sending, one for the copy in Sent.
        while "Password for" in screen.see(r"Password for ana@alpha\.test@mx1|\$$"):
            screen.enter(word)
            screen.see(r"^(?![\s\S]*Password for)")
        head = arrived(place, "mx2", "ivo@beta.test", "from mutt")
        assert re.search(r"^From: .*\bana@alpha\.test", head, re.M), head
        assert re.search(r"^Content-Type: multipart/mixed", head, re.M), head
        assert "dkim=pass" in head, head
        screen.enter("mutt")
        screen.see("Password for ana@alpha.test@mx1")
        screen.enter(word)
        screen.see("Mutt: .*INBOX")
        screen.press("q")
        screen.see(PROMPT)


@pytest.mark.skipif(not LONG, reason="the long form")
@pytest.mark.parametrize(
    ("host", "name", "domain", "other"),
    [("mx1", "ana", "alpha.test", "luis"), ("mx2", "leo", "beta.test", "ivo")],
    ids=["debian-12", "debian-13"],
)
def test_aerc_asks_for_the_password_reads_and_answers(
    place: Place, host: str, name: str, domain: str, other: str
) -> None:
    """A wrong password is asked for again, and Ctrl-C leaves; neither password is shown, or in a file afterwards."""
    word = password(place.lab, f"{name}@{domain}")
    editor = "printf '#!/bin/sh\\necho hello >>\"$1\"\\n' >~/editor; chmod 700 ~/editor; echo x >~/notes.txt"
    assert place.said(name, host, editor).returncode == 0
    letter = f"printf 'From: {other}@{domain}\\nTo: {name}@{domain}\\nSubject: for aerc\\n\\nread me\\n'"
    run_on(place.lab, host, f"{letter} | sendmail -f {other}@{domain} {name}@{domain}")
    arrived(place, host, f"{name}@{domain}", "for aerc")
    with place.screen(place.ssh(name, host), f"aerc-{name}") as screen:
        screen.see(PROMPT)
        screen.enter("EDITOR=./editor aerc")
        screen.see(r"Password for")
        screen.press("C-c")
        screen.see(PROMPT)
        screen.enter("clear; EDITOR=./editor aerc")
        screen.see(r"Password for .*\n?.*:$")
        screen.enter("not-this-one")
        assert "not-this-one" not in screen.see(r"not the password[\s\S]*Password for")
        screen.enter(word)
        screen.see(r"INBOX[\s\S]*for aerc|for aerc[\s\S]*INBOX")
        screen.press("Enter")
        assert word not in screen.see("read me")
        screen.type("rq")
        screen.see("Send this email")
        screen.type("a")
        screen.see("attach$")
        screen.enter("notes.txt")
        screen.see(r"Attached notes\.txt")
        screen.type("y")
        head = arrived(place, host, f"{other}@{domain}", "Re: for aerc")
        assert re.search(rf"^From: .*\b{name}@{domain}", head, re.M), head
        assert re.search(r"^Content-Type: multipart/mixed", head, re.M), head
        assert f"Return-Path: <{name}@{domain}>" in head
        assert re.search(rf"^DKIM-Signature: .*d={domain}", head, re.M | re.S), head
        arrived(place, host, f"{name}@{domain}", "Re: for aerc")  # the copy in Sent
        screen.see("read me")
        screen.type("q")
        screen.see("INBOX")
        screen.enter(":quit")
        screen.see(PROMPT)
    assert run_on(place.lab, host, f"grep -rlF -- '{word}' /home/{name} /tmp /var/tmp; true") == ""
    own = f"/home/{name}/.config/aerc/accounts.conf"
    run_on(place.lab, host, f"echo '# mine' >>{own}; systemctl restart mailprov-shell.service")
    kept = run_on(
        place.lab, host, f"stat -c '%a %U' {own}; tail -n 1 {own}; find /home/*/mail -name '*aerc*'; true"
    )
    assert kept.split("\n") == [f"600 {name}", "# mine", ""], kept


def test_what_is_sent_on_the_host_is_the_accounts(place: Place) -> None:
    """By sendmail and by cron, which writes as root."""
    sent = "printf 'Subject: by sendmail\\n\\nx\\n' | /usr/sbin/sendmail ivo@beta.test"
    assert place.said("ana", "mx1", sent).returncode == 0
    head = arrived(place, "mx2", "ivo@beta.test", "by sendmail")
    assert re.search(r"^From: .*<ana@alpha\.test>", head, re.M), head
    assert "dkim=pass" in head, head
    if not LONG:  # cron takes a minute
        return
    table = "printf 'MAILTO=ivo@beta.test\\n* * * * * echo by cron\\n' | crontab -"
    assert place.said("ana", "mx1", table).returncode == 0
    head = arrived(place, "mx2", "ivo@beta.test", "Cron <ana@mx1")
    run_on(place.lab, "mx1", "crontab -r -u ana")
    assert re.search(r"^From: ana@alpha\.test \(Cron Daemon\)", head, re.M), head
    assert "dkim=pass" in head, head


def test_the_system_sends_as_before_and_writes_to_the_account(place: Place) -> None:
    run_on(place.lab, "mx1", "printf 'From: root\\nSubject: for ana\\n\\nx\\n' | sendmail ana")
    assert re.search(
        r"^From: root@mx1\.alpha\.test", arrived(place, "mx1", "ana@alpha.test", "for ana"), re.M
    )
    run_on(place.lab, "mx1", "su -s /bin/sh -c 'echo x | sendmail -f www-data luis@alpha.test' www-data")
    wait_until(
        lambda: any("<www-data@mx1.alpha.test>" in head for *_, head in stored(place.lab, "mx1")),
        "a daemon's mail",
    )


def test_a_password_that_its_user_has_changed_logs_in_by_ssh(place: Place) -> None:
    """As soon as the file of users' own passwords says so, without an apply; and passwd(1) is no way to another one."""
    made = run_on(place.lab, "mx2", "echo another-long-word | openssl passwd -6 -stdin").strip()
    assert made.startswith("$6$"), made
    folder = "/var/lib/mailprov-passwd"
    before = run_on(place.lab, "mx2", "getent shadow eva").split(":")
    line = f"eva@beta.test:{{SHA512-CRYPT}}{made}::::::"
    run_on(place.lab, "mx2", f"cp -p {folder}/passwords /srv/kept; cat >>{folder}/passwords <<'X'\n{line}\nX")
    wait_until(lambda: made in run_on(place.lab, "mx2", "getent shadow eva"), "the new password is SSH's")
    run_on(
        place.lab, "mx2", f"mv /srv/kept {folder}/passwords; systemctl start mailprov-shell-passwords.service"
    )
    after = run_on(place.lab, "mx2", "getent shadow eva").split(":")
    assert (after[1], after[3]) == (before[1], "99999")


def _change_password(screen: Screen, old: str, new: str) -> str:
    """What was said at last; neither word was ever shown."""
    screen.see("Password of now:")
    screen.enter(old)
    screen.see("New password:")
    screen.enter(new)
    screen.see("New password again:")
    screen.enter(new)
    seen = screen.see("was changed|Nothing was changed")
    assert old not in seen
    assert new not in seen
    return seen


def test_the_menu_changes_a_password_and_shows_none(place: Place) -> None:
    """The new one is SSH's as well; a wrong old one changes nothing."""
    word = password(place.lab, "pia@beta.test")
    with place.screen(place.ssh("pia", "mx2", key=False), "pia") as screen:
        screen.see("password:")
        screen.enter(word)
        screen.see("2  Change the password")
        screen.enter("2")
        assert "the old password is wrong" in _change_password(screen, "not-this-one-1", "a-brand-new-word")
        screen.see(rf"wrong\.[\s\S]*{MENU}")
        screen.enter("2")
        screen.see(r"wrong\.[\s\S]*Password of now:")
        _change_password(screen, word, "a-brand-new-word")
        screen.see(r"The password was changed\.")

    def logs_in() -> bool:
        with place.screen(place.ssh("pia", "mx2", key=False), f"pia-{time.monotonic_ns()}") as again:
            again.see("password:")
            again.enter("a-brand-new-word")
            return bool(re.search(MENU, again.see(f"{MENU}|password:[\\s\\S]*password:")))

    wait_until(logs_in, "the new password is SSH's")


def test_nobody_changes_the_password_of_a_colleague_at_the_socket(place: Place) -> None:
    said = run_on(
        place.lab,
        "mx2",
        "cat >/srv/say.py <<'X'\nimport socket, sys\nwith socket.socket(socket.AF_UNIX) as s:\n"
        " s.settimeout(60); s.connect('/run/mailprov-passwd/shell'); f = s.makefile('rwb', buffering=0)\n"
        " print(f.readline().decode())\n"
        " for line in sys.argv[1:]: f.write(line.encode() + b'\\r\\n'); print(f.readline().decode())\nX\n"
        "chmod 644 /srv/say.py; runuser -u eva -- python3 /srv/say.py 'client 192.0.2.66' 'user pia@beta.test'; "
        "runuser -u nobody -- python3 /srv/say.py; journalctl -u 'mailprov-passwd-shell@*' -o cat --no-pager",
    )
    assert "500 here you can change the password of your own account alone" in said, said
    assert "500 this is for users with a mailbox and a shell" in said, said
    assert "192.0.2.66" not in said, said


def test_a_user_with_too_much_writes_no_more_and_the_mail_of_others_goes_on(place: Place) -> None:
    """60 MB; the disk of home and mail is a small one, and everything is tried that fills it at once."""
    run_on(
        place.lab,
        "mx1",
        "set -e; mkdir /srv/small; mount -t tmpfs -o size=400M small /srv/small; "
        "mkdir /srv/small/home /srv/small/vmail; "
        "cp -a /home/ana /srv/small/home/; chown vmail: /srv/small/vmail; mount --bind /srv/small/home /home; "
        "mount --bind /srv/small/vmail /var/vmail; mount --bind /srv/small/home/ana /home/ana",
    )
    try:
        steady = "for i in $(seq 60); do dd if=/dev/zero of=f$i bs=1M count=4 2>/dev/null || break; sleep 0.2; done; "
        steady += "echo x >g; cat g"
        done = place.said("ana", "mx1", steady)
        assert "x" not in done.stdout, done
        used = int(run_on(place.lab, "mx1", "du -sm /home/ana | cut -f1"))
        assert 60 <= used < 200, used
        freed = place.said("ana", "mx1", "rm -f f* g; sleep 5; echo done")
        assert freed.stdout.strip() == "done", freed
        wait_until(
            lambda: place.said("ana", "mx1", "echo again >g && cat g").stdout == "again\n",
            "it may write again",
        )
        words = "head -c 1000000 /dev/urandom >/var/tmp/keep; cd /var/tmp; sha256sum keep >sum; "
        words += "fallocate -n -o 2M -l 400M keep; sleep 60; echo still here"
        assert "still here" not in place.said("ana", "mx1", words).stdout
        wait_until(
            lambda: "writes" in place.said("ana", "mx1", "echo writes").stdout,
            "what was reserved is free again",
        )
        assert "keep: OK" in run_on(place.lab, "mx1", "cd /var/tmp; sha256sum -c sum")
        run_on(place.lab, "mx1", "printf 'Subject: goes on\\n\\nx\\n' | sendmail luis@alpha.test")
        arrived(place, "mx1", "luis@alpha.test", "goes on")
        if LONG:
            for folder in ("/var/tmp", "/tmp", "/dev/shm"):
                done = place.said("ana", "mx1", steady.replace("of=f", f"of={folder}/f"))
                assert "x" not in done.stdout, (folder, done)
                run_on(place.lab, "mx1", f"rm -f {folder}/f*")
                wait_until(
                    lambda: place.said("ana", "mx1", "echo again >g && cat g").stdout == "again\n", folder
                )
    finally:
        run_on(
            place.lab,
            "mx1",
            "pkill -KILL -u ana; umount -l /home/ana /home /var/vmail /srv/small; "
            "systemctl restart mailprov-shell-watch; sleep 1",
            check=False,
        )


def test_rules_that_somebody_flushes_are_there_again(place: Place) -> None:
    for command in ("nft flush ruleset", "nft flush chain inet mailprov_shell output"):
        run_on(place.lab, "mx1", command)
        wait_until(
            lambda: "skuid" in run_on(place.lab, "mx1", "nft list table inet mailprov_shell; true"), command
        )


def test_a_login_ends_at_the_second_at_which_the_account_does(place: Place) -> None:
    """Not on the day before; a session that is open ends as well."""
    wanted = "/etc/mailprov/shell/users.json"
    soon = (
        f"cp -p {wanted} /srv/users.json; sed -i 's/\"ends\": null/\"ends\": '$(($(date +%s) + 6))'/' {wanted}; "
        "systemctl restart mailprov-shell.service mailprov-shell-watch.service; getent shadow ana | cut -d: -f8"
    )
    with place.screen(place.ssh("ana", "mx1"), "expiry") as screen:
        screen.see(PROMPT)
        day = int(run_on(place.lab, "mx1", soon).split()[-1])
        assert day * 86400 >= time.time()
        screen.ended()
    assert place.said("ana", "mx1", "true").returncode == 255
    run_on(
        place.lab,
        "mx1",
        f"cp -p /srv/users.json {wanted}; systemctl restart mailprov-shell.service mailprov-shell-watch.service",
    )
    wait_until(lambda: place.said("ana", "mx1", "true").returncode == 0, "ana logs in again")


def test_a_user_of_somebody_elses_stops_the_plan_in_one_sentence(place: Place) -> None:
    run_on(place.lab, "mx2", "id ivo || useradd ivo")
    read = place.lab.inventory_path.read_text()
    with_ivo = place.lab.inventory_path.with_name("ivo.yml")
    with_ivo.write_text(
        read.replace("file: secrets/ivo@beta.test", "file: secrets/ivo@beta.test\n        shell: true")
    )
    done = run("plan", "--host", "mx2", str(with_ivo))
    assert done.code == 1
    assert "there is a user or a group ivo on this host that mailprov did not make" in str(done.ended("mx2"))
    run_on(place.lab, "mx2", "userdel ivo")


def test_who_leaves_is_out_at_once_and_a_rollback_lets_in_again(place: Place) -> None:
    """The last one, since it takes ana's shell away."""
    read = place.lab.inventory_path.read_text()
    before = read.index("        shell:\n          user: ana")
    end = re.search(r"\n(?! {9})", read[before:])
    assert end
    without = place.lab.inventory_path.with_name("without.yml")
    without.write_text(read[:before] + read[before + end.start() + 1 :])
    with place.screen(place.ssh("ana", "mx1"), "leaving") as screen:
        screen.see(PROMPT)
        done = run("apply", "--yes", "--no-verify", "--host", "mx1", str(without))
        assert done.code == 0, done.ended("mx1")
        screen.ended()
    assert ("delete", "user", "ana") in done.changes("mx1")
    assert place.said("ana", "mx1", "true").returncode == 255
    assert run_on(place.lab, "mx1", "ls /home/ana/.pinerc").strip() == "/home/ana/.pinerc"
    assert "mailprov_shell" not in run_on(place.lab, "mx1", "nft list tables; true")
    assert run("plan", "--exit-code", "--host", "mx1", str(without)).code == 0
    assert run("rollback", "--yes", "--host", "mx1", str(without)).code == 0
    wait_until(lambda: place.said("ana", "mx1", "true").returncode == 0, "ana logs in again")
    assert "skuid" in run_on(place.lab, "mx1", "nft list table inet mailprov_shell")
