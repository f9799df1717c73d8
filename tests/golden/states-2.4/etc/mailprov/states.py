#!/usr/bin/python3 -IS
# Managed by mailprov: do not edit, the inventory is where this file comes from.
"""What accounts may do at this moment, for Dovecot and Postfix: their states, and what has expired by the host's clock.

The inventory's word is in two files in the form of Dovecot's passwd-files, which mailprov keeps: the states, a line for
each account that is not just active, and passwords for single programs. What is in force now this program writes into a
folder of its own, so that nothing that mailprov compares changes when a date comes:

    denied          accounts that nobody logs in to (a passdb that denies)
    app-passwords   ADDRESS/PROTOCOL/NUMBER, for the passdbs of these numbers
    refused         recipients that are refused: access(5); other names of such an account, and a catch-all, as well
    undeliverable   what reaches such an account all the same, through a list or a forward: transport(5)
    stopped         its own forward: virtual(5)
    logged-out      logins that may go on with nothing in a session that has begun: access(5)

Then sessions of those who have lost a login or a password end: Dovecot's at once, and those of submission at their next
message, by what stands in /run/mailprov-states/ended (mailprov-submission.service). systemd runs it at boot before Postfix and Dovecot
start, after each change, and at each date (mailprov-expiry.timer).
"""

import fcntl
import grp
import os
import subprocess
import sys
import time

STATES = "/etc/mailprov/states"
NAMES = "/etc/mailprov/states-names"
APPS = "/etc/mailprov/app-passwords"
FOLDER = "/var/lib/mailprov-states"
ENDED = "/run/mailprov-states/ended"
# What the inventory calls a protocol, and what Dovecot does.
SERVICES = {"imap": "imap", "pop3": "pop3", "submission": "smtp", "managesieve": "sieve"}
REFUSED = "5.2.1 mailbox disabled, not accepting messages"  # RFC 3463 section 3.3
NO_LOGIN = ("no-login", "suspended")
NO_MAIL = ("no-receive", "suspended")


def lines(path):
    """Of a file that may not be there."""
    try:
        with open(path, encoding="utf-8") as file:
            return [line for line in file.read().split("\n") if line and not line.startswith("#")]
    except FileNotFoundError:
        return []


def entries(path):
    """(name, hash, fields) of a passwd-file."""
    for line in lines(path):
        name, hashed, rest = line.split(":", 2)
        yield name, hashed, dict(field.partition("=")[::2] for field in rest.lstrip(":").split())


def plain(name):
    """As the rest of the world writes it: in a passwd-file a quote is escaped."""
    return name.replace("\\'", "'")


def over(fields, now):
    return "expires" in fields and now >= int(fields["expires"])


def allowed(now):
    """Who cannot log in, and who gets no mail."""
    denied, deaf = [], []
    for name, _, fields in entries(STATES):
        states = [fields["state"], *([fields["then"]] if over(fields, now) else [])]
        if any(state in NO_LOGIN for state in states):
            denied.append(name)
        if any(state in NO_MAIL for state in states):
            deaf.append(plain(name))
    return denied, deaf


def app_passwords(now):
    """The lines of the passwords that are good now."""
    numbers, found = {}, []
    for name, hashed, fields in sorted(entries(APPS), key=lambda each: each[0]):
        user, _, app = name.rpartition("/")
        if over(fields, now):
            continue
        for protocol in fields["protocols"].split(","):
            key = "%s/%s" % (user, SERVICES[protocol])
            numbers[key] = numbers.get(key, 0) + 1
            found.append("%s/%d:%s::::::app_password=%s" % (key, numbers[key], hashed, app))
    return found


def tables(denied, deaf):
    """Postfix's, by the name of the file."""
    refused = {address: "550 " + REFUSED for address in deaf}
    for line in lines(NAMES):
        what, name, account = line.split()
        if account in deaf and what == "keep":
            refused.setdefault(name, "DUNNO")
        elif account in deaf:
            refused[name] = "550 " + REFUSED
    return {
        "refused": refused,
        "undeliverable": {address: "error:" + REFUSED for address in deaf},
        "stopped": {address: address for address in deaf},
        "logged-out": {plain(name): "550 5.7.1 this account may not log in" for name in denied},
    }


def good(text):
    """(account and protocol, hash) of each line of app-passwords, whatever its number."""
    found = set()
    for line in text.split("\n"):
        name, _, rest = line.partition(":")
        if name:
            found.add((name.rpartition("/")[0], rest.partition(":")[0]))
    return found


def read(name):
    try:
        with open(os.path.join(FOLDER, name), encoding="utf-8") as file:
            return file.read()
    except FileNotFoundError:
        return ""


def write(name, text, mode=0o644, group="root"):
    """Whether it was another text; all at once."""
    if read(name) == text and os.path.exists(os.path.join(FOLDER, name)):
        return False
    path = os.path.join(FOLDER, name)
    with open(path + ".new", "w", encoding="utf-8") as file:
        os.fchmod(file.fileno(), mode)
        os.fchown(file.fileno(), 0, grp.getgrnam(group).gr_gid)
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.rename(path + ".new", path)
    return True


def end_submission(names):
    """Sessions that have begun until now are over: name and time.monotonic(), the clock of all programs since boot."""
    folder = os.path.dirname(ENDED)
    os.makedirs(folder, exist_ok=True)
    os.chmod(folder, 0o755)
    since = dict(line.split() for line in lines(ENDED))
    since.update((name, "%.3f" % time.monotonic()) for name in names)
    with open(ENDED + ".new", "w", encoding="utf-8") as file:
        os.fchmod(file.fileno(), 0o644)
        file.write("".join("%s %s\n" % row for row in sorted(since.items())))
    os.rename(ENDED + ".new", ENDED)


def run(*words):
    return subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def main():
    now = time.time()
    denied, deaf = allowed(now)
    apps = app_passwords(now)
    before, after = read("denied"), "".join("%s:\n" % name for name in denied)
    lost = set(denied) - {line.rstrip(":") for line in before.split("\n")}
    for name in sorted(map(plain, lost)):
        print("%s may not log in from now on" % name)
    back = {line.rstrip(":") for line in before.split("\n") if line} - set(denied)
    for name in sorted(map(plain, back)):
        print("%s may log in again" % name)
    had = read("app-passwords")
    text = "".join(line + "\n" for line in apps)
    taken = {key.rpartition("/")[0] for key, _ in good(had) - good(text)}
    for name in sorted(map(plain, taken)):
        print("%s: a password of a program is no longer good" % name)
    pending = set(read("pending").split("\n")) - {""} | set(map(plain, lost | taken))
    write("pending", "".join(name + "\n" for name in sorted(pending)), 0o600)
    changed = [write("denied", after, 0o640, "dovecot"), write("app-passwords", text, 0o640, "dovecot")]
    postfix = False
    for name, rows in tables(denied, deaf).items():
        postfix |= write(name, "".join("%s %s\n" % (key, rows[key]) for key in sorted(rows)))
    # What Postfix reads is read once, and by processes that a reload replaces.
    if (postfix or pending) and run("postfix", "status").returncode == 0:
        run("postfix", "reload")
    if pending:
        # Dovecot looks once in each second of its clock whether these files have changed: who comes back in the same
        # second would be let in by the old ones.
        if any(changed):
            time.sleep(1.1)
        end_submission(pending)
        for name in sorted(pending):
            run("doveadm", "kick", name)
    write("pending", "", 0o600)
    return 0


if __name__ == "__main__":
    os.umask(0o077)
    with open(os.path.join(FOLDER, "lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        sys.exit(main())
