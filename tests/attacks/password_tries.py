"""What is tried against changes of passwords: dialogues, arguments, answers, and programs that are run on the hosts.

In the lists O is the attacker's own address, P her password, F the colleague's address, N a new password.
"""

from __future__ import annotations

from tests.users.test_passwords import OWN, SOCKET

# Sends each text of a list on a connection of its own, all at once, with its end closed, and prints what comes back.
SENDER = f"""
import base64, json, socket, sys
from concurrent.futures import ThreadPoolExecutor
def send(data):
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
    return answer.decode("utf-8", "replace")
with ThreadPoolExecutor(8) as pool:
    print(json.dumps(list(pool.map(send, json.load(sys.stdin)))))
"""
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
    "doveadm auth test -a /run/dovecot/auth-client O x && echo in", "python3 -c 'import socket; s = socket.socket(1); s.connect(\"/run/dovecot/auth-client\"); print(\"in\")'", "cat /proc/$(pgrep -f [c]hange_password.py | head -1)/environ >/dev/null 2>&1 && echo in", "grep -q . /etc/dovecot/mailprov-users && echo in",
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


# Opens connections of a kind and holds them; says what came of them, and what others then meet.
FLOOD = f"""
import json, socket, subprocess, sys, time
kind, count = sys.argv[1], int(sys.argv[2])
held, refused = [], 0
for number in range(count):
    one = socket.socket(socket.AF_UNIX)
    one.settimeout(20)
    try:
        one.connect("{SOCKET}")
        if kind == "half-open":
            one.sendall(b"user x\\npass y\\n")
        elif kind == "endless":
            one.sendall(b"user " + b"x" * 900)
        elif kind == "banner":
            one.sendall(b"quit\\n" * 19)
    except OSError:
        refused += 1
    held.append(one)
time.sleep(1)
units = subprocess.run(["systemctl", "list-units", "--plain", "--no-legend", "mailprov-passwd@*"], stdout=subprocess.PIPE, text=True).stdout.splitlines()
sizes = []
for unit in units:
    shown = subprocess.run(["systemctl", "show", "-P", "MemoryCurrent", unit.split()[0]], stdout=subprocess.PIPE, text=True).stdout.strip()
    sizes.append(int(shown) if shown.isdigit() else 0)
for one in held:
    one.close()
print(json.dumps({{"units": len(units), "memory": sum(sizes), "refused": refused}}))
"""
KINDS_OF_FLOOD = ("silent", "half-open", "endless", "banner")
# What is typed at the four questions of the SSH user; each must change nothing, end, and show no more than a sentence.
ANSWERS: list[bytes] = [
    b"", b"\n", b"\n\n\n\n", b"O\n", b"O\nP\n", b"O\nP\nN\n", b"O\nP\nN\nN", b"\0\n\0\n\0\n\0\n", b"O\0F\nP\nN\nN\n", b"F\nP\nN\nN\n", b"F\r\nP\r\nN\r\nN\r\n", b"O\rF\nP\nN\nN\n", b"F\x1b[2J\nP\nN\nN\n", b"F\nP\nN\nother\n", b"F\nP\nshort\nshort\n", b"F\nx\tresp=\nN\nN\n",
    b"a" * 1023 + b"\nP\nN\nN\n", b"a" * 1024 + b"\nP\nN\nN\n", b"a" * 1025 + b"\nP\nN\nN\n", b"a" * 1_000_000, b"a" * 1_000_000 + b"\nP\nN\nN\n", b"F\n" + b"b" * 1_000_000 + b"\nN\nN\n", b"F\nP\n" + b"c" * 1_000_000 + b"\n", b"F\nP\n" + b"c" * 1018 + b"\n" + b"c" * 1018 + b"\n", b"\n" * 100_000, b"\xff\xfe" * 300 + b"\nP\nN\nN\n", b"F\nP\n\xff\xfe\xff\xfe\xff\xfe\xff\n\xff\xfe\xff\xfe\xff\xfe\xff\n", bytes(range(256)) * 100,
    b"user F\npass P\nnewpass N\nN\n", b"F\nP\nN\nuser F\n", b"client 192.0.2.1\nF\nP\nN\n", b"F\nP\nN\rquit\nN\rquit\n", b"quit\nquit\nquit\nquit\n", b"$(id)\n$(id)\n$(id)$(id)$(id)\n$(id)$(id)$(id)\n", b"%s%n\n%s%n\n%s%n%s%n%s%n\n%s%n%s%n%s%n\n", b"~.\n~?\n~C\n~#\n", b"\x03\n\x04\n\x1a\n\x1c\n", b"../../etc/shadow\nP\nN\nN\n", b"root\nP\nN\nN\n", b"O,F\nP\nN\nN\n", b"O F\nP\nN\nN\n", b"*@DOMAIN\nP\nN\nN\n",
]  # fmt: skip
# What the web server's user, in foreign hands, says of whose browser it is, to have that address banned or shut out.
LIES = (
    "client 198.51.100.9", "client 2001:db8::9", "client ::ffff:198.51.100.9", "client 127.0.0.1", "client ::1", "client 198.51.100.9 ", "CLIENT 198.51.100.9",
    "client 198.51.100.9\tnologin", "client 198.51.100.9,x", "client 0.0.0.0", "client 255.255.255.255", "client 198.51.100.09", "client 0xc6336409", "client 3325256713",
)  # fmt: skip

SESSIONS = """
import json, os, subprocess, sys, time
words = sys.argv[2:]
argv = ["ssh", "-F", "none", "-i", "/srv/id", "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no",
        "-o", "UserKnownHostsFile=/dev/null", *words, "mailprov-passwd@localhost"]
held = []
for number in range(int(sys.argv[1])):
    held.append(subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
    time.sleep(0.05)
def processes():
    listed = subprocess.run(["ps", "-o", "comm=", "-u", "mailprov-passwd"], stdout=subprocess.PIPE, text=True).stdout.split()
    return sum(name.startswith("sshd") for name in listed), len(listed)
most, last, quiet = (0, 0), None, 0
while quiet < 5:
    now = processes()
    most = max(most, now)
    quiet = quiet + 1 if now == last else 0
    last = now
    time.sleep(1)
for one in held:
    one.kill()
print(json.dumps(most))
"""
