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
from collections.abc import Callable
from pathlib import Path

import pytest

from mailprov import lab
from tests.attacks.places import provisioned
from tests.attacks.tries import LONG, Tries, some
from tests.lab import post
from tests.lab.labs import run_on
from tests.users.test_passwords import OWN, SOCKET, Place, inventory

RELEASES = ("debian-12", "debian-13") if LONG else ("debian-13",)
NEW = "an evil new one"
# Sends each text of a list on a connection of its own, with its end closed, and prints what comes back.
_SENDER = f"""
import base64, json, socket, sys
said = []
for data in json.load(sys.stdin):
    answer = b""
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(120)
            connection.connect("{SOCKET}")
            try:
                connection.sendall(base64.b64decode(data))
                connection.shutdown(socket.SHUT_WR)
            except OSError:
                pass
            while True:
                part = connection.recv(65536)
                if not part:
                    break
                answer += part
    except OSError as error:
        answer += str(error).encode()
    said.append(answer.decode("utf-8", "replace"))
print(json.dumps(said))
"""
# O: the attacker's own address, P: her password, F: the colleague's address, N: a new password.
DIALOGUES: list[bytes] = [
    b"user F\npass P\nnewpass N\n", b"user O\nuser F\npass P\nnewpass N\n", b"user O\npass P\nuser F\nnewpass N\n", b"pass P\nuser F\nnewpass N\n", b"newpass N\nuser F\n", b"user F\nnewpass N\n", b"user F\npass\nnewpass N\n", b"user F\npass \nnewpass N\n",
    b"user O\0F\npass P\nnewpass N\n", b"user F\0O\npass P\nnewpass N\n", b"user O F\npass P\nnewpass N\n", b"user F O\npass P\nnewpass N\n", b"user O,F\npass P\nnewpass N\n", b"user O:F\npass P\nnewpass N\n", b"user F:\npass P\nnewpass N\n", b"user F::::::\npass P\nnewpass N\n", b"user O\tF\npass P\nnewpass N\n",
    b"user O\rF\npass P\nnewpass N\n", b"user O\rF:{PLAIN}x::::::\npass P\nnewpass N\n", b"user O\x0bF\npass P\nnewpass N\n", b"user O\xc2\x85F\npass P\nnewpass N\n", b"user O\xe2\x80\xa8F\npass P\nnewpass N\n", b"user O\\nF\npass P\nnewpass N\n", b"user O%0aF\npass P\nnewpass N\n",
    b"user *\npass P\nnewpass N\n", b"user *@DOMAIN\npass P\nnewpass N\n", b"user ?va@DOMAIN\npass P\nnewpass N\n", b"user [e]va@DOMAIN\npass P\nnewpass N\n", b"user @DOMAIN\npass P\nnewpass N\n", b"user O*F\npass P\nnewpass N\n", b"user -A\npass P\nnewpass N\n", b"user --help\npass P\nnewpass N\n", b"user -u F\npass P\nnewpass N\n",
    b"user ../../etc/shadow\npass P\nnewpass N\n", b"user /etc/shadow@DOMAIN\npass P\nnewpass N\n", b"user eva@../DOMAIN\npass P\nnewpass N\n", b"user root\npass P\nnewpass N\n", b"user root@localhost\npass P\nnewpass N\n", b"user vmail@DOMAIN\npass P\nnewpass N\n", b"user mailprov-passwd\npass P\nnewpass N\n",
    b"user $(id)@DOMAIN\npass P\nnewpass N\n", b"user `id`@DOMAIN\npass P\nnewpass N\n", b"user ;id;@DOMAIN\npass P\nnewpass N\n", b"user |id@DOMAIN\npass P\nnewpass N\n", b"user %s%n@DOMAIN\npass P\nnewpass N\n", b"user {0.__class__}@DOMAIN\npass P\nnewpass N\n", b"user eva+x@DOMAIN\npass P\nnewpass N\n", b"user eva@DOMAIN.\npass P\nnewpass N\n", b"user eva\xef\xbc\xa0DOMAIN\npass P\nnewpass N\n",
    b"user O\npass P\nnewpass short\n", b"user O\npass P\nnewpass x\0yyyyyyyyyyyyyyy\n", b"user O\npass P\nnewpass good enough\rF:{PLAIN}x::::::\n", b"user O\npass P\nnewpass good enough\x0bF:{PLAIN}x\n", b"user O\npass P\nnewpass good\tenough it is\n", b"user O\npass P\nnewpass \xff\xfegood enough it is\n", b"user O\npass P\nnewpass " + b"x" * 300 + b"\n", b"user O\npass P\nnewpass P\n", b"user O\npass P\nnewpass O\n", b"user O\npass P\nnewpass  leading blanks\n", b"user O\npass P\nnewpass " + b"ab" * 40 + b"\n",
    b"user O\npass x\tresp=\nnewpass N\n", b"user O\npass P\0\nnewpass N\n", b"user O\npass {PLAIN}P\nnewpass N\n", b"user O\npass {CRYPT}!\nnewpass N\n", b"user O\npass !\nnewpass N\n", b"user luis@DOMAIN\npass P\nnewpass N\n", b"user gone@DOMAIN\npass P\nnewpass N\n",
    b"client 192.0.2.1\tnologin\nuser F\npass P\nnewpass N\n", b"client 192.0.2.1\nclient F\nuser F\npass P\nnewpass N\n", b"client " + b"1" * 900 + b"\nuser F\npass P\nnewpass N\n", b"client ::1%lo\nuser F\npass P\nnewpass N\n", b"master O\nuser F\npass P\nnewpass N\n", b"user F\nmaster O\npass P\nnewpass N\n", b"user O*F\npass P\nnewpass N\n",
    b"", b"\n" * 1000, b"\0" * 5000, b"quit\n" * 500, b"x" * 1_000_000, b"user " + b"a" * 1_000_000 + b"\n", b"user O\npass " + b"b" * 1_000_000, b"user O\npass P\nnewpass " + b"c" * 1_000_000 + b"\n", bytes(range(256)) * 4000, b"--check\n", b"GET / HTTP/1.0\r\n\r\n", b"EHLO x\r\n", b"\x16\x03\x01\x02\x00\x01", b"AUTH\t1\tPLAIN\tresp=\n", b"{\"user\": 1}\n", b"user O\n" * 100, b"USER F\nPASS P\nNEWPASS N\n",
]  # fmt: skip
# What a user of the host in no group tries; each prints `in` where it came through. O: her address.
LOCAL: list[str] = [
    f"python3 -c 'import socket; s = socket.socket(1); s.connect(\"{SOCKET}\"); print(\"in\")'", f"cat {OWN} && echo in", f"ls {OWN.rpartition('/')[0]} && echo in", f"echo x >>{OWN} && echo in", f"mv {OWN} /tmp/ && echo in", f"ln -sf /tmp/x {OWN} && echo in", f"rm -f {SOCKET} && test ! -e {SOCKET} && echo in", "mv /run/mailprov-passwd /tmp/ && echo in", "mkdir -p /run/mailprov-passwd/x && echo in",
    "ls /run/mailprov && echo in", "cat /run/mailprov/password-tries && echo in", "flock -n /run/mailprov/lock echo in", "touch /run/mailprov/lock && echo in", "systemctl stop mailprov-passwd.socket && echo in", "systemctl start mailprov-passwd@x.service && echo in", "systemctl kill mailprov-passwd.socket && echo in", "echo x >>/etc/mailprov/change_password.py && echo in", "echo x >>/etc/mailprov/mailprov-passwd && echo in", "touch /etc/ssh/sshd_config.d/x.conf && echo in",
    "su -c 'echo in' mailprov-passwd </dev/null", "su -s /bin/sh -c 'echo in' mailprov-passwd </dev/null", "sudo -n -u mailprov-passwd echo in", "newgrp mailprov-passwd -c 'echo in' </dev/null", "sg mailprov-passwd 'echo in' </dev/null", "crontab -u mailprov-passwd -l && echo in", "journalctl -q -t mailprov-passwd | grep -q . && echo in",
    "printf 'a\\nb\\nc\\nc\\n' | SSH_CONNECTION='1.2.3.4 1 2 3' /etc/mailprov/mailprov-passwd | grep -q 'was changed' && echo in", "printf 'user O\\npass x\\nnewpass an evil new one\\n' | python3 -IS /etc/mailprov/change_password.py 2>&1 | grep -q 'is changed' && echo in", "python3 -IS /etc/mailprov/change_password.py --check --own=/tmp/x && test -e /tmp/x && echo in", "PYTHONPATH=/tmp PYTHONSTARTUP=/tmp/x.py /etc/mailprov/mailprov-passwd </dev/null | grep -q in$ && echo in",
    "doveadm auth test -a /run/dovecot/auth-client O x && echo in", "python3 -c 'import socket; s = socket.socket(1); s.connect(\"/run/dovecot/auth-client\"); print(\"in\")'", "cat /proc/$(pgrep -f change_password.py | head -1)/environ >/dev/null 2>&1 && echo in", "grep -q . /etc/dovecot/mailprov-users && echo in",
]  # fmt: skip
# Arguments of ssh(1) and the command, to the SSH user: none may get more than the questions. `{port}`: a free one.
SSH: list[tuple[str, ...]] = [
    ("", "id"), ("", "sh"), ("", "sh -i"), ("", "bash -c id"), ("", "; id"), ("", "$(id)"), ("", "`id`"), ("", "| id"), ("", "&& id"), ("", "\nid"), ("", "-c id"), ("", "--help"), ("", "/etc/mailprov/mailprov-passwd; id"), ("", "/bin/sh -c id"), ("", "python3 -c 'import os; os.system(\"id\")'"), ("", "exec id"), ("", "env"), ("", "cat /etc/passwd"), ("", "'"), ("", "\\"),
    ("", "scp -t /tmp"), ("", "scp -f /etc/passwd"), ("", "rsync --server --sender . /etc/passwd"), ("", "internal-sftp"), ("", "/usr/lib/openssh/sftp-server"), ("", "git-upload-pack /etc"), ("", "true"), ("", "nc 127.0.0.1 25"), ("", "x" * 100_000), ("-s", "sftp"), ("-s", "id"), ("-s", "netconf"),
    ("-tt", ""), ("-tt", "id"), ("-tt -o RequestTTY=force", "sh"), ("-A", "env"), ("-X", "env"), ("-Y", "env"), ("-o ForwardX11Trusted=yes -X", "xterm"), ("-w 0:0 -o ExitOnForwardFailure=yes", "id"), ("-o Tunnel=ethernet -w any", "id"),
    ("-W 127.0.0.1:25", ""), ("-W 127.0.0.1:143", ""), ("-W [::1]:25", ""), ("-W localhost:22", ""), ("-W /run/dovecot/auth-client", ""), ("-N -o ExitOnForwardFailure=yes -R {port}:127.0.0.1:25", ""), ("-N -o ExitOnForwardFailure=yes -R /tmp/evil:127.0.0.1:25", ""), ("-o ExitOnForwardFailure=yes -R 0.0.0.0:{port}:127.0.0.1:25", "id"), ("-o ExitOnForwardFailure=yes -R {port}", "id"),
    ("-o SendEnv=LD_PRELOAD -o SetEnv=LD_PRELOAD=/tmp/x.so", "id"), ("-o SetEnv=PYTHONPATH=/tmp", "id"), ("-o SetEnv=PYTHONSTARTUP=/etc/passwd", "id"), ("-o SetEnv=PATH=/tmp", "id"), ("-o SetEnv=BASH_ENV=/etc/passwd", "id"), ("-o SetEnv=SHELL=/bin/sh", "id"), ("-o SetEnv=SSH_CONNECTION=1.2.3.4", "id"), ("-o SetEnv=SSH_ORIGINAL_COMMAND=id", "id"), ("-o SetEnv=LANG=../../../../tmp", "id"), ("-o SetEnv=LC_ALL=$(id)", "id"), ("-o SetEnv=TERM=x;id", "id"),
    ("-l root", "id"), ("-l vmail", "id"), ("-l nobody", "id"), ("-l postfix", "id"), ("-l mailprov-passwd/root", "id"), ("-l 'mailprov-passwd '", "id"), ("-l mailprov-passwd@root", "id"),
    ("-o PubkeyAuthentication=no -o PreferredAuthentications=none", "id"), ("-o PubkeyAuthentication=no -o PreferredAuthentications=password", "id"), ("-o PubkeyAuthentication=no -o PreferredAuthentications=keyboard-interactive", "id"), ("-o PubkeyAuthentication=no -o PreferredAuthentications=hostbased", "id"), ("-o PubkeyAuthentication=no -o PreferredAuthentications=gssapi-with-mic", "id"),
]  # fmt: skip


@pytest.fixture(scope="module")
def hosts(ready_lab_factory: Callable[[str], lab.Lab]) -> lab.Lab:
    made = provisioned(ready_lab_factory, inventory(RELEASES))
    for number in range(1, len(RELEASES) + 1):
        run_on(
            made,
            f"mx{number}",
            f"id stu >/dev/null 2>&1 || useradd -m stu; cat >/srv/send.py <<'END'\n{_SENDER}\nEND",
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
    for dialogue in some(DIALOGUES, 8):
        data = dialogue
        for sign in (b"DOMAIN", b"O", b"F", b"P", b"N"):
            data = b"".join(_replaced(data, sign, filled[sign].encode()))
        sent = json.dumps([base64.b64encode(data).decode()])
        # The limit of wrong passwords is what `flood` below is about.
        (answer,) = json.loads(_sent(place, sent))
        after = state(place)
        good = "is changed" not in answer and after == before and "Traceback" not in answer
        tries.held(dialogue[:80], good, answer)
    log = place.on("journalctl -q -o cat -t mailprov-passwd")
    tries.held("a password in the log", place.password not in log and NEW not in log, "it is there")
    tries.held("a traceback in the log", "Traceback" not in log, log[-300:])


def _sent(place: Place, data: str) -> str:
    """What `_SENDER` prints for it; by standard input, since a megabyte is no argument."""
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
