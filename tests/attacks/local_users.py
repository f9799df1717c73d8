"""What users with a shell on a host of ours try there, beside what they try from outside.

connections(where, host, users) -> {user: {path}}    which Unix sockets of the mail service each can connect to
HARMLESS                                             those that everybody may
CONTROLS                                             commands that are for root: none of them may do its work
SENDMAIL                                             arguments, recipients and messages given to sendmail(1)
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable

from mailprov import lab
from tests.lab.labs import run_on

_CONNECT = """
import json, os, pwd, re, socket, sys
paths = set()
for line in open("/proc/net/unix", errors="replace"):
    words = line.split(None, 7)
    if len(words) == 8 and words[3] == "00010000": paths.add(words[7].rstrip("\\n"))
ours = re.compile("/(var/)?run/(dovecot|rspamd|opendkim|postsrsd|redis|fail2ban)|/var/spool/postfix|/var/lib/postfix")
told = {}
for user in json.loads(sys.argv[1]):
    who = pwd.getpwnam(user)
    read, write = os.pipe()
    if os.fork() == 0:
        os.setgroups(os.getgrouplist(user, who.pw_gid)); os.setgid(who.pw_gid); os.setuid(who.pw_uid)
        found = []
        for path in filter(ours.match, sorted(paths)):
            peer = socket.socket(socket.AF_UNIX); peer.settimeout(5)
            try: peer.connect(path); found.append(path)
            except OSError: pass
        os.write(write, json.dumps(found).encode()); os._exit(0)
    os.close(write); told[user] = json.loads(os.read(read, 1 << 20)); os.close(read); os.wait()
told["root"] = sorted(filter(ours.match, paths))
print(json.dumps(told))
"""


def connections(where: lab.Lab, host: str, users: Iterable[str]) -> dict[str, set[str]]:
    """`root`: all there are."""
    run_on(where, host, f"cat >/srv/connect.py <<'END'\n{_CONNECT}\nEND")
    told = json.loads(run_on(where, host, f"python3 /srv/connect.py {shlex.quote(json.dumps(list(users)))}"))
    return {user: set(paths) for user, paths in told.items()}


# What Dovecot opens to everybody, and why that is nothing: auth-userdb tells a user of oneself (by SO_PEERCRED), the tokens
# of auth-token and imap-urlauth are made by a session of the user's, the others know no mail.
HARMLESS = {f"/run/dovecot/{name}" for name in ("auth-token", "auth-userdb", "dns-client", "imap-urlauth", "indexer", "stats-writer")}  # fmt: skip
# Each prints `in` where it has done what is for root. O is a colleague's address, Q the id of a queued message.
CONTROLS = [
    "postsuper -d ALL && echo in", "postsuper -h ALL && echo in", "postsuper -r Q && echo in", "postcat -q Q | grep -q secret-body && echo in", "cat /var/spool/postfix/*/*/Q /var/spool/postfix/*/Q | grep -q secret-body && echo in", "find /var/spool/postfix/deferred /var/spool/postfix/hold /var/spool/postfix/active -type f | grep -q . && echo in",
    "postconf -e myhostname=evil && echo in", "postfix reload && echo in", "postfix stop && echo in", "postfix flush && echo in", "postmap /etc/postfix/mailprov/virtual && echo in", "postalias /etc/aliases && echo in", "postlock /etc/postfix/main.cf true && echo in", "echo x >>/etc/postfix/main.cf && echo in", "postdrop -c /home/stu/evil </dev/null && echo in", "postqueue -c /home/stu/evil -p && echo in", "MAIL_CONFIG=/home/stu/evil postqueue -p && echo in", "MAIL_CONFIG=/home/stu/evil sendmail -bp | grep -q evil && echo in",
    "postqueue -i ../../../etc/passwd && echo in", "postlog -t postfix/smtpd x && journalctl -q -n 5 _SYSTEMD_UNIT=postfix.service _SYSTEMD_UNIT=postfix@-.service | grep -q ': x$' && echo in",
    "doveadm user O | grep -q uid && echo in", "doveadm user '*' | grep -q @ && echo in", "doveadm mailbox list -u O | grep -q INBOX && echo in", "doveadm fetch -u O hdr all | grep -q . && echo in", "doveadm who | grep -q @ && echo in", "doveadm kick O && echo in", "doveadm reload && echo in", "doveadm stop && echo in", "doveadm log errors | grep -q . && echo in", "doveadm penalty | grep -q [0-9] && echo in", "doveadm auth lookup O | grep -q password && echo in", "doveadm auth cache flush && echo in", "doveadm exec imap -u O </dev/null | grep -q OK && echo in", "doveadm dump /var/vmail && echo in", "doveconf -P ssl_server_key_file 2>/dev/null | grep -q PRIVATE && echo in", "/usr/lib/dovecot/imap -u O </dev/null | grep -q OK && echo in", "/usr/lib/dovecot/dovecot-lda -d O </dev/null && echo in", "/usr/lib/dovecot/deliver -d O </dev/null && echo in", "/etc/dovecot/mailprov-sendmail -f O x@else.test </dev/null && echo in", "/etc/dovecot/mailprov-quota-warning 95 O </dev/null && echo in",
    "head -c1 /etc/dovecot/mailprov-users && echo in", "ls /var/vmail/* && echo in", "cat /etc/mailprov/dkim/*.private && echo in", "cat /etc/mailprov/tls/*.key && echo in", "cat /etc/postsrsd.secret && echo in", "cat /etc/postfix/mailprov/relay_password && echo in", "ls /var/lib/mailprov/* && echo in", "fail2ban-client status && echo in", "fail2ban-client set sshd banip 192.0.2.1 && echo in", "systemctl stop postfix && echo in", "systemctl stop mailprov-submission.service && echo in", "opendkim-genkey -D /etc/mailprov/dkim && echo in", "certbot certificates && echo in", "journalctl -q -u dovecot | grep -q . && echo in",
]  # fmt: skip
# Arguments of sendmail(1), run in a directory of the user's with a main.cf that must count for nothing.
SENDMAIL = [
    "-C /home/stu/evil O", "-C /home/stu/evil/main.cf -bs", "-O QueueDirectory=/home/stu -t", "-oQ/home/stu -t", "-X /etc/cron.d/x O", "-oX/etc/cron.d/x O", "-L evil O", "-bi", "-I", "-q", "-qI../../etc/passwd", "-qRelse.test", "-qSx", "-N delay O", "-R full O", "-V 'x;id' O", "-V '../../x' O", "-h 0 O", "-F 'x\n y' O", "-f 'a\nb' O", "-f '|id' O", "-f '' O", "-r '<>' O", "-f 'x@[127.0.0.1]' O", "-B 8BITMIME O", "-o7 O", "-om O", "-oi O", "-U O", "-G O", "-n O", "-v O", "-bv O", "-bt", "-bm O", "-p x O", "-M x O", "-e m O",
    "'|touch /tmp/got'", "'\"|touch /tmp/got\"'", "'\"|touch /tmp/got\"@localhost'", "/etc/cron.d/got", "'/tmp/got@localhost'", "'\"/tmp/got\"'", ":include:/etc/shadow", "':include:/root/list@localhost'", "'\":include:/root/list\"@localhost'", "-- '-C/home/stu/evil'", "'O\nvictim@far.example'", "'stu+|touch /tmp/got'", "'O,|id'", "'(|id) O'",
]  # fmt: skip
