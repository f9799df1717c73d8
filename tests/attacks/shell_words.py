"""What users with a shell, or a menu, may say, write and type to get further than they should: lists for test_shell.py."""

from __future__ import annotations

# Each with M for its mark, which is in the subject. HEAD is a header without From:.
HEAD = r"Subject: M\nTo: pia@alpha.test\n"
ENVELOPES = [
    "luis@alpha.test", "LUIS@ALPHA.TEST", "luis", "root", "root@localhost", "MAILER-DAEMON", "<>", "", "postmaster@HOST", "root@HOST", "www-data", "luis+x@alpha.test", "ana@alpha.test,luis@alpha.test", "ana@alpha.test luis@alpha.test", "<luis@alpha.test>", "luis@alpha.test ", "@alpha.test:luis@alpha.test", "luis%alpha.test@HOST", "ana@HOST", "ana+@alpha.test", "x@else.test", "pia@alpha.test", "anax", "'luis'@alpha.test", '"luis"@alpha.test', "ana@alpha.test\nluis@alpha.test", "uid:0", "nobody@invalid",
]  # fmt: skip
HEADERS = [
    r"From: luis@alpha.test\n", r"from: luis@alpha.test\n", r"From: Luis <luis@alpha.test>\n", r"From: ana@alpha.test\nFrom: luis@alpha.test\n", r"From: luis@alpha.test\nFrom: ana@alpha.test\n", r"From: ana@alpha.test\nSender: luis@alpha.test\n", r"From: ana@alpha.test\nResent-From: luis@alpha.test\n", r"From: ana@alpha.test\nResent-Sender: luis@alpha.test\n", r"From: luis@alpha.test, ana@alpha.test\n", r"From: ana@alpha.test, luis@alpha.test\n", r"From: ana@alpha.test <luis@alpha.test>\n", r"From: \"ana@alpha.test\" <luis@alpha.test>\n", r"From: luis@alpha.test (ana@alpha.test)\n", r"From:\n luis@alpha.test\n", r"From:\n\t<luis@alpha.test>\n", r"From : luis@alpha.test\n", r"From: root\n", r"From: root@HOST\n", r"From: MAILER-DAEMON@HOST (Mail Delivery System)\n", r"From: luis\n", r"From: us:ana@alpha.test,luis@alpha.test;\n", r"From: <@else.test:luis@alpha.test>\n", r"From: =?utf-8?q?luis=40alpha.test?= <luis@alpha.test>\n", r"From: luis@alpha.test\r\n", r"From: ana@alpha.test\rFrom: luis@alpha.test\n", r"From: ana@alpha.test\000, luis@alpha.test\n", r"From: postmaster@HOST\n", r"From: root (Cron Daemon)\nFrom: luis@alpha.test\n", r"From: luis@alpha.test (Cron Daemon)\n", r"From: root (Cron Daemon), luis@alpha.test\n", r"From: root (Cron Daemon)\nSender: luis@alpha.test\n", r"From: Cron Daemon <luis@alpha.test>\n", r"From:\n", r"From: ;\n", r"From: <>\n", r"Resent-From: luis@alpha.test\nResent-To: pia@alpha.test\n",
]  # fmt: skip
# Shell commands; T is a file with a message whose subject is M and whose author is luis.
WAYS = [
    "(sleep 1; echo EHLO x; sleep 1; echo 'MAIL FROM:<luis@alpha.test>'; sleep 1; echo 'RCPT TO:<pia@alpha.test>'; sleep 1; echo DATA; sleep 1; cat T; echo .; sleep 1; echo QUIT) | /usr/sbin/sendmail -bs",
    "(sleep 1; echo EHLO x; sleep 1; echo 'MAIL FROM:<ana@alpha.test>'; sleep 1; echo 'RCPT TO:<pia@alpha.test>'; sleep 1; echo DATA; sleep 1; cat T; echo .; sleep 1; echo QUIT) | /usr/sbin/sendmail -bs",
    "MAIL_CONFIG=~/evil /usr/sbin/sendmail -f luis@alpha.test pia@alpha.test <T", "/usr/sbin/sendmail -C ~/evil -f luis@alpha.test pia@alpha.test <T", "/usr/sbin/sendmail -G -t <T", "/usr/sbin/sendmail -XV -f luis@alpha.test pia@alpha.test <T", "/usr/sbin/postdrop -c ~/evil <R", "/usr/sbin/postdrop -r <R", "/usr/sbin/postdrop -r <RR", "/usr/sbin/postdrop -r <RF",
    "(crontab -l; echo '* * * * * /usr/sbin/sendmail -f luis@alpha.test pia@alpha.test <T') | crontab -", "systemd-run --user --wait -q sh -c '/usr/sbin/sendmail -f luis@alpha.test pia@alpha.test <T'", "unshare -Ur /usr/sbin/sendmail -f luis@alpha.test pia@alpha.test <T", "unshare -Ur --map-users=0,1000,1 /usr/sbin/sendmail -f root pia@alpha.test <T", "setpriv --reuid 0 /usr/sbin/sendmail -f root pia@alpha.test <T", "LOGNAME=root USER=root /usr/sbin/sendmail -f root pia@alpha.test <T", "cp T /var/spool/postfix/maildrop/", "cp R /var/spool/postfix/maildrop/0123456789", "cp R /var/spool/postfix/incoming/0123456789", "cp T /var/vmail/alpha.test/pia/Maildir/new/1", "/usr/lib/dovecot/deliver -d pia@alpha.test <T", "/usr/lib/dovecot/dovecot-lda -d pia@alpha.test <T", "/etc/dovecot/mailprov-sendmail luis@alpha.test -f luis@alpha.test -- pia@alpha.test <T", "newgrp postdrop </dev/null; sg postdrop 'cp R /var/spool/postfix/maildrop/x'", "python3 ~/smtp.py 465 T ana-own", "exec -a sendmail /usr/sbin/postdrop -r <R",
]  # fmt: skip
# (address, port) that trust this host, or that would take it for a mail server of the domain.
PORTS = [
    (address, port)
    for address in ("127.0.0.1", "127.0.0.2", "0.0.0.0", "::1", "::ffff:127.0.0.1", "SELF", "NS")
    for port in (25, 10027, 10028, 11332, 11333, 11334, 8891, 6379, 24, 12345)
    if address != "NS" or port == 25
]  # fmt: skip
CONNECT = """
import json, socket, sys
told = {}
for address, port in json.loads(sys.stdin.readline()):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    for way in ("plain", "bound", "fast"):
        with socket.socket(family) as peer:
            peer.settimeout(5)
            try:
                if way == "bound": peer.bind(("::1" if ":" in address else "127.0.0.1", 0))
                if way == "fast": peer.sendto(b"EHLO x\\r\\n", 0x20000000, (address, port))
                else: peer.connect((address, port))
                told["%s %d %s" % (address, port, way)] = peer.recv(100).decode("latin-1")
            except OSError as error:
                pass
print(json.dumps(told))
"""
RECORDS = """
import sys, time
def record(kind, text):
    data, size, out = text.encode(), len(text.encode()), b""
    while True:
        size, low = size >> 7, size & 127
        out += bytes([low | (128 if size else 0)])
        if not size: break
    return kind.encode() + out + data
def message(*senders):
    head = record("T", str(int(time.time()))) + b"".join(record("S", each) for each in senders) + record("R", "pia@alpha.test")
    return head + record("M", "") + b"".join(record("N", each) for each in ("Subject: M", "From: luis@alpha.test", "", "x")) + record("X", "") + record("E", "")
for name, senders in (("R", ["luis@alpha.test"]), ("RR", ["ana@alpha.test", "luis@alpha.test"]), ("RF", ["ana@alpha.test"])):
    open(sys.argv[1] + name, "wb").write(message(*senders).replace(b"Subject: M", b"Subject: " + sys.argv[2].encode()).replace(b"N\\x0aSubject", b"N" + bytes([9 + len(sys.argv[2])]) + b"Subject"))
"""

READS = [
    "cat /etc/shadow", "cat /etc/gshadow", "cat /etc/dovecot/mailprov-users", "cat /etc/mailprov/shell/users.json", "ls /var/vmail/alpha.test/luis", "ls /var/vmail/alpha.test/ana", "ls /home/eva", "ls /home/eva/mail", "cat /etc/mailprov/tls/*.key", "cat /etc/mailprov/dkim/*", "ls /root", "cat /var/lib/mailprov/manifest.json", "ls /var/lib/mailprov/journal", "cat /etc/ssh/ssh_host_ed25519_key", "cat /proc/1/environ", "cat /proc/$(pgrep -o master)/environ", "head -c1 /proc/$(pgrep -o master)/mem", "cat /proc/$(pgrep -u dovecot -o .)/environ", "kill $(pgrep -u eva -o .)", "kill -9 $(pgrep -o master)", "cat /var/spool/postfix/active/*", "ls /run/user/$(id -u eva)", "cat /var/log/mail.log", "dmesg", "sudo -n true", "su -c true </dev/null", "pkexec true </dev/null", "newgrp sudo </dev/null", "newgrp shadow </dev/null", "sg postdrop id </dev/null", "chfn -o x ana </dev/null", "chfn -f x ana </dev/null", "mount -t tmpfs x /mnt", "echo x >/etc/mailprov/shell/keys/ana", "touch /etc/ssh/sshd_config.d/00.conf", "nft flush ruleset", "nft list ruleset", "systemctl stop mailprov-shell.service </dev/null", "systemctl set-property --runtime user-$(id -u).slice TasksMax=infinity </dev/null", "loginctl terminate-user eva </dev/null", "ulimit -u 10000", "crontab -u luis -l", "crontab -u root -l", "ln /etc/shadow ~/shadow", "chown eva ~/.profile", "setcap cap_net_raw+ep ~/x", "ping -f -c1 127.0.0.1", "cp /bin/bash ~/b && chmod 4755 ~/b && test \"$(~/b -pc 'id -un')\" != ana", "capsh --print | grep -q 'Current:.*cap'",
]  # fmt: skip

WORDS = [
    "id", "bash -i", "/bin/sh -c id", "sh", "true; id", "$(id)", "`id`", "id # 1", "-c id", "--", "scp -f /etc/passwd", "scp -t /tmp/x", "/usr/lib/openssh/sftp-server", "internal-sftp", "rsync --server . /", "git-upload-pack /", "python3 -c 'import os; os.system(\"id\")'", "env", "/etc/mailprov/shell/menu -c id", "alpine -p /tmp/x", "crontab -l", "exec id", "cat /etc/passwd", "PATH=/tmp id",
    "/bin/bash --norc -i", "bash -lc id", "su - eva -s /bin/sh", "git-receive-pack /tmp/x", "git-shell -c id", "rsync --server --sender -e.LsfxC . /etc/passwd", "rsync --server -vlogDtprze.iLsfxC . /home/eva/", "scp -r -f /etc", "sftp-server -e", "mosh-server new -- id", "nc 127.0.0.1 25", "vim -c ':!id'", "less /etc/passwd", "man -P id id", "env -i id", "nohup id", "setsid id", "script -c id /dev/null", "at now", "systemd-run --user id", "busctl --user", "tmux", "screen", "mutt -e '!id'", "alpine -x /etc/passwd", "alpine -passfile /home/eva/mail/p", "1", "1; id", "\nid\n", "\x1b[A id", "a" * 9000 + "; id", "-i", "--version; id", "$SSH_CONNECTION; id", "{id,}", "<(id)", ">&2 id",
]  # fmt: skip
TYPED = [
    b"!sh\n", b"!id\n", b"1;id\n", b"1|id\n", b"$(id)\n", b"`id`\n", b"\x1bid\n", b"2\nid\n", b"sh\n", b"\x03\x03id\n", b"\x1a id\n", b"\x1cid\n", b"0;id\n", b"1 && id\n", b"-1\nid\n", b"\x00id\n", b"\xff\xfeid\n", b"A" * 5000 + b"\nid\n", b"../../bin/sh\n", b"/bin/sh\n", b"\x04id\n", b"~!id\n", b"|id\n", b"\x15id\n",
]  # fmt: skip
WRITES = [
    ".ssh/rc", ".ssh/authorized_keys", ".ssh/environment", ".pam_environment", ".profile", ".bashrc", ".bash_profile", ".config/systemd/user/x.service", ".forward", ".procmailrc", ".mailcap", ".pinerc", ".hushlogin", ".terminfo/v/vt100", ".inputrc", "x",
]  # fmt: skip

# Variables of the environment that a client may ask for (SetEnv); Debian's sshd takes LANG and LC_*.
ENVIRONMENT = [
    "LD_PRELOAD=/tmp/x.so", "LD_LIBRARY_PATH=/tmp", "LD_AUDIT=/tmp/x.so", "GLIBC_TUNABLES=glibc.malloc.check=3", "GCONV_PATH=/tmp", "LOCPATH=/tmp", "NLSPATH=/tmp/%N", "MALLOC_TRACE=/tmp/x", "PYTHONSTARTUP=/tmp/x", "PYTHONPATH=/tmp", "PYTHONHOME=/tmp", "PYTHONINSPECT=1", "PYTHONIOENCODING=x", "PYTHONWARNINGS=error", "PYTHONPLATLIBDIR=/tmp",
    "TERM=../../tmp/x", "TERM=$(id)", "TERMINFO=/tmp", "TERMINFO_DIRS=/tmp", "TERMCAP=/tmp/x", "SHELL=/bin/sh", "PINECONF=/tmp/x", "PINERC=/tmp/x", "EDITOR=/bin/sh", "VISUAL=/bin/sh", "PAGER=/bin/sh", "LESSOPEN=|id", "HOME=/tmp", "MAIL=/etc/shadow", "MAILCAPS=/tmp/x", "PATH=/tmp", "BASH_ENV=/tmp/x", "ENV=/tmp/x", "IFS=/", "SSH_ORIGINAL_COMMAND=id", "SSH_AUTH_SOCK=/tmp/x", "DISPLAY=:0", "XDG_CONFIG_HOME=/tmp", "TMPDIR=/etc", "HOSTALIASES=/tmp/x", "RES_OPTIONS=x", "LOCALDOMAIN=evil.test", "TZ=:/tmp/x", "LINES=-1", "COLUMNS=999999999",
    "LANG=../../../tmp/x", "LANG=$(id)", "LANG=C;id", "LC_ALL=/tmp/x", "LC_ALL=../../tmp", "LC_MESSAGES=../../../../tmp/x", "LC_ALL=" + "A" * 5000, "LC_X=() { :; }; id", "LC_CTYPE=%s%s%n", "LANGUAGE=../../../tmp/x:en",
]  # fmt: skip
# What somebody tries who has a shell, to write more than it may: F is a file's name that changes. Each goes on for some
# seconds; KiB that the disk has lost afterwards are counted.
FILLS = [
    "dd if=/dev/zero of=~/F bs=1M count=2000", "for i in $(seq 400); do dd if=/dev/zero of=~/F.$i bs=1M count=10 2>/dev/null; done", "for d in /tmp /var/tmp /dev/shm; do dd if=/dev/zero of=$d/F bs=1M count=900; done", "fallocate -l 59M ~/F; for i in $(seq 30); do fallocate -l 59M ~/F.$i; done; sleep 8", "touch ~/F; fallocate -n -l 2G ~/F; sleep 8", "for i in $(seq 20); do touch /var/tmp/F.$i; fallocate -n -l 200M /var/tmp/F.$i; done; sleep 8",
    "python3 -c \"import mmap,os\nfor n in range(40):\n h=os.open(os.path.expanduser('~/F.%d'%n),os.O_RDWR|os.O_CREAT); os.ftruncate(h,50<<20); m=mmap.mmap(h,50<<20); m.write(b'x'*(50<<20))\"", "python3 -c \"import os\nfor n in range(60):\n h=os.open(os.path.expanduser('~/F'),os.O_RDWR|os.O_CREAT); os.unlink(os.path.expanduser('~/F')); os.write(h,b'x'*(50<<20))\"", "python3 -c \"import mmap,os,time\nk=[]\nfor n in range(40):\n h=os.open(os.path.expanduser('~/F'),os.O_RDWR|os.O_CREAT); os.unlink(os.path.expanduser('~/F')); os.ftruncate(h,50<<20); m=mmap.mmap(h,50<<20); os.close(h); m.write(b'x'*(50<<20)); k.append(m)\ntime.sleep(8)\"",
    "mkdir -p ~/F; cd ~/F; python3 -c \"import os\nfor n in range(400000): os.close(os.open('x'*200+str(n),os.O_CREAT))\"", "mkdir -p ~/F; cd ~/F; python3 -c \"import os\nfor n in range(400000): os.symlink('x'*200,str(n))\"", "cd ~; python3 -c \"import os\nfor n in range(200000): os.mkdir('F%d'%n)\"", "setsid -f sh -c 'for i in $(seq 300); do head -c 20M /dev/zero >~/F.$i; done' >/dev/null 2>&1 </dev/null; sleep 8", "for n in 1 2 3 4 5 6 7 8; do (for i in $(seq 60); do head -c 20M /dev/zero >~/F.$n.$i; done) & done; wait", "systemd-run --user -q sh -c 'head -c 2G /dev/zero >~/F' </dev/null; sleep 8", "echo \"* * * * * head -c 3G /dev/zero >/var/tmp/F\" | crontab -; sleep 75; crontab -r", "(echo '# '; head -c 2G /dev/zero | tr '\\0' '#') | crontab -", "ulimit -f unlimited; head -c 2G /dev/zero >~/F", "prlimit --fsize=unlimited --pid $$; head -c 2G /dev/zero >~/F", "head -c 2G /dev/zero >/var/lock/F", "head -c 2G /dev/zero >/run/user/$(id -u)/F", "for i in $(seq 50); do head -c 9M /dev/zero | base64 | /usr/sbin/sendmail ana@alpha.test; done", "for i in $(seq 500); do logger \"$(head -c 100000 /dev/zero | tr '\\0' x)\"; done",
]  # fmt: skip
# Against what watches over them.
WATCHER = [
    "systemctl stop mailprov-shell-watch.service </dev/null", "systemctl kill mailprov-shell-watch.service </dev/null", "kill $(pgrep -f shell/watch.py)", "kill -STOP $(pgrep -f shell/watch.py)", "gdb -p $(pgrep -f shell/watch.py) -batch", "cat /etc/mailprov/shell/users.json", "echo x >>/etc/mailprov/shell/watch.py", "touch /etc/mailprov/shell/x", "renice -n -20 $$", "ionice -c1 -p $$", "prlimit --fsize=unlimited --pid $$", "prlimit --nproc=unlimited --pid $$", "setquota -u ana 0 0 0 0 /", "chage -E -1 ana </dev/null", "passwd -u ana </dev/null", "chsh -s /bin/zsh </dev/null", "chfn -o mailprov-account=luis@alpha.test </dev/null", "usermod -aG sudo ana", "loginctl enable-linger luis </dev/null", "touch /etc/security/limits.d/99-x.conf", "nft add rule inet mailprov_shell output accept", "cat /proc/$(pgrep -f shell/watch.py)/environ", "touch /var/lib/mailprov/x", "mv /etc/mailprov/shell /tmp/",
]  # fmt: skip
# Lines to the socket for changes of passwords; OWN is the own address, OLD its password.
SOCKET = [
    ["user luis@alpha.test"], ["user LUIS@alpha.test"], ["user OWN", "user luis@alpha.test"], ["user OWN\x00luis@alpha.test"], ["user luis@alpha.test "], [" user luis@alpha.test"], ["USER luis@alpha.test"], ["user OWN,luis@alpha.test"], ["user luis"], ["user '; id"], ["user *"], ["user %u"], ["user " + "a" * 2000], ["user OWN\tmaster=luis@alpha.test"], ["user OWN", "pass x\x00y", "newpass a-new-long-password"], ["user OWN", "pass wrong", "newpass a-new-long-password"], ["user OWN", "newpass a-new-long-password"], ["pass OLD", "newpass a-new-long-password"], ["newpass a-new-long-password"], ["user OWN", "pass OLD", "newpass short"], ["user OWN", "pass OLD", "newpass " + "x" * 2000], ["user OWN", "pass OLD", "newpass OLD"], ["user OWN", "pass OLD", "newpass OWN"], ["user OWN", "pass OLD", "newpass a:b:{PLAIN}x\x07longer"], ["client 192.0.2.66", "user OWN", "pass wrong", "newpass a-new-long-password"], ["client ../../x", "user OWN", "pass wrong", "newpass another-long-one"], ["quit"], [""] * 30, ["x" * 900] * 25, ["user OWN"] * 25,
]  # fmt: skip
# Says dialogues to that socket, and prints the answers.
SAY = """
import json, socket, sys
for lines in json.load(sys.stdin):
    said = []
    with socket.socket(socket.AF_UNIX) as peer:
        peer.settimeout(100)
        try:
            peer.connect("/run/mailprov-passwd/shell")
            file = peer.makefile("rwb", buffering=0)
            said.append(file.readline().decode("utf-8", "replace"))
            for line in lines:
                file.write(line.encode() + b"\\r\\n")
                said.append(file.readline().decode("utf-8", "replace"))
        except OSError as error:
            said.append(str(error))
    print(json.dumps(said), flush=True)
"""
