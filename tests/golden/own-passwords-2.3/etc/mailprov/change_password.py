# Managed by mailprov: do not edit, the inventory is where this file comes from.
"""A user changes a password: one connection, its lines on standard input, answers on standard output.

    client 192.0.2.7         whose program it is, where that is known; limits and the log go by it, of IPv6 by its network
    user ana@example.org
    pass the old one         everything behind the first blank, up to the end of the line
    newpass the new one      200 it is changed, 500 it is not, and why
    quit

With --shell whoever is there is a user with a shell, and changes the own account's, which the user's GECOS says (only
root writes its last field, chfn(1)); nobody else is listened to.

This is poppassd's dialogue; systemd starts a process for each connection, as root (mailprov-passwd.socket says who may
connect). The old password is checked by Dovecot itself (doc.dovecot.org, "Authentication Protocol"), which counts, slows
and logs wrong ones as those of a login, on a socket: no password is ever on a command line. What is written is one file, which
mailprov only adds to (/var/lib/mailprov-passwd/passwords): its line of the account is replaced in a copy that takes the file's place when
it is on the disk. Writing is done under the lock that applies take. Whose account has such a password says /etc/dovecot/mailprov-users.

    main()     one connection; never a traceback to whoever is there
    change(…)  raises Refused with the sentence for the user
"""

import base64
import contextlib
import fcntl
import hashlib
import json
import os
import pwd
import re
import signal
import socket
import struct
import subprocess
import sys
import time

OWN = "/var/lib/mailprov-passwd/passwords"
ENDED = "/run/mailprov-passwd/ended"  # which Postfix asks about (mailprov-submission.service)
USERS = "/etc/dovecot/mailprov-users"
HANDED_ON = "noauthenticate"
MIN_LENGTH = 14  # characters: passwords.min_length in the inventory
RUN = "/run/mailprov"
LOCK = RUN + "/lock"  # as in mailprov/agent/lock.py
ENDED_LOCK = RUN + "/ended-lock"
TRIES = RUN + "/password-tries"
AUTH = "/run/dovecot/auth-client"
# Whose word for an address Dovecot is given, which counts guesses by it, and fail2ban with it: of who comes by SSH the
# system says it. Anybody else, such as a web server that is in foreign hands, could have others banned.
BELIEVED = ("root", "mailprov-passwd")
MARK = "mailprov-account="  # the beginning of what GECOS says last of a user with a shell: whose it is
PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
LONGEST = 1024  # bytes of a line
MOST_LINES = 20
PATIENCE = 60  # seconds for the whole dialogue with somebody who says nothing
LOCK_PATIENCE = 20  # seconds
LONGEST_PASSWORD = 255  # bytes: openssl cuts longer ones
# Wrong old passwords: so many in so many seconds; then nobody is asked any more.
LIMITS = {"pair": (5, 600), "client": (30, 600), "account": (50, 3600)}
CLOSED = "this account may not log in at present; ask your administrator"
# Every kind of account that the inventory allows; everything else has no line anywhere.
ADDRESS = re.compile(r"[A-Za-z0-9._='+-]{1,64}@[A-Za-z0-9.-]{1,255}")


class Refused(Exception):
    """The sentence is for the user; nothing was changed."""


class Unclear(Exception):
    """Something on this host does not work; the text is for the log."""


def logins(data):
    """login → (hash, extra fields), as mailprov reads such a file."""
    found = {}
    for line in data.decode("utf-8", "surrogateescape").split("\n"):
        user, colon, rest = line.partition(":")
        if colon and not line.startswith("#"):
            hashed, _, fields = rest.partition(":")
            found[user] = (hashed, fields[5:] if fields.startswith(":::::") else ":" + fields)
    return found


def read(path):
    """A regular file and nothing that a link leads to."""
    with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        return file.read()


def usable(address, old, new):
    """Refused for a new password that is no good, before anybody is asked anything."""
    local = address.partition("@")[0]
    if len(new) < MIN_LENGTH:
        raise Refused("the new password is too short: it needs at least %d characters" % MIN_LENGTH)
    if len(new.encode("utf-8", "surrogateescape")) > LONGEST_PASSWORD:
        raise Refused("the new password is too long: at most %d bytes" % LONGEST_PASSWORD)
    if any(sign < " " or sign == "\x7f" or "\ud800" <= sign <= "\udfff" for sign in new):
        raise Refused("the new password has a sign that no keyboard writes, or is no UTF-8")
    if new != new.strip():
        raise Refused("the new password begins or ends with a blank")
    if len(set(new)) < 5 or new.lower() in (address.lower(), local.lower() * (len(new) // max(len(local), 1))):
        raise Refused("the new password is too easy to guess")
    if new == old:
        raise Refused("the new password is the old one")


class Limits:
    """Wrong passwords of the last hour, on this host's memory; nobody but root reads or writes them."""

    def __init__(self, address, client, who):
        near = who + "\0" + network(client)  # what one program says of addresses shuts out nobody who comes by another
        both = (("pair", address + "\0" + near), ("client", near), ("account", address))
        self._keys = {kind: kind + ":" + hashlib.sha256(text.encode("utf-8", "replace")).hexdigest() for kind, text in both}

    def check(self):
        with self._open() as (tries, _):
            now = time.time()
            for kind, key in self._keys.items():
                most, seconds = LIMITS[kind]
                if len([one for one in tries.get(key, []) if now - one < seconds]) >= most:
                    raise Refused("too many wrong passwords; try again in %d minutes" % (seconds // 60))

    def failed(self):
        with self._open() as (tries, save):
            now, longest = time.time(), max(seconds for _, seconds in LIMITS.values())
            for key in self._keys.values():
                tries.setdefault(key, []).append(now)
            recent = {key: [one for one in times if now - one < longest] for key, times in tries.items()}
            save({key: times for key, times in recent.items() if times})

    @contextlib.contextmanager
    def _open(self):
        handle = os.open(TRIES, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with open(handle, "r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            try:
                tries = dict(json.loads(file.read() or b"{}"))
            except ValueError:  # a torn one
                tries = {}

            def save(after):
                file.seek(0)
                file.truncate()
                file.write(json.dumps(after).encode("ascii"))
                file.flush()

            yield tries, save


def dovecot_accepts(address, password, client):
    """What Dovecot says of this login: True, False, or a sentence of its own why the account may not log in. Unclear."""
    said = base64.b64encode(b"\0" + address.encode("utf-8") + b"\0" + password.encode("utf-8", "surrogateescape"))
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(40)
        try:
            connection.connect(AUTH)
            lines = connection.makefile("rwb", buffering=0)
            lines.write(b"VERSION\t1\t1\nCPID\t%d\n" % os.getpid())
            for _ in range(100):
                line = lines.readline(8192)
                if not line or line.startswith(b"DONE"):
                    break
            where = b"\trip=" + client.encode("ascii") if is_ip(client) else b""
            lines.write(b"AUTH\t1\tPLAIN\tservice=mailprov-passwd\tsecured" + where + b"\tresp=" + said + b"\n")
            answer = lines.readline(8192).decode("utf-8", "replace").rstrip("\n").split("\t")
        except (OSError, ValueError) as error:
            raise Unclear("Dovecot does not answer on %s: %s" % (AUTH, error)) from None
    fields = dict(part.partition("=")[::2] for part in answer[2:])
    if answer[0] == "OK":
        return (fields.get("reason") or CLOSED) if "nologin" in fields else True
    if answer[0] != "FAIL" or "temp" in fields:
        raise Unclear("Dovecot could not check the password")
    if "user_disabled" in fields or fields.get("code") == "user_disabled":
        return fields.get("reason") or CLOSED
    return False


def is_ip(text):
    for family in (socket.AF_INET, socket.AF_INET6):
        with contextlib.suppress(OSError, ValueError):
            socket.inet_pton(family, text)
            return True
    return False


def network(client):
    """Whoever has one address of IPv6 has 2**64 of them."""
    with contextlib.suppress(OSError, ValueError):
        packed = socket.inet_pton(socket.AF_INET6, client)
        mapped = packed[:12] == b"\0" * 10 + b"\xff\xff"
        return socket.inet_ntoa(packed[12:]) if mapped else packed[:8].hex()
    return client


def hash_of(password):
    argv = ["openssl", "passwd", "-6", "-stdin"]
    done = subprocess.run(argv, input=password.encode("utf-8") + b"\n", stdout=subprocess.PIPE, env={"PATH": PATH}, timeout=30)
    made = done.stdout.decode("ascii", "replace").strip()
    if done.returncode != 0 or not re.fullmatch(r"\$6\$[./0-9A-Za-z]+\$[./0-9A-Za-z]{86}", made):
        raise Unclear("openssl passwd made no hash")
    return "{SHA512-CRYPT}" + made


@contextlib.contextmanager
def locked():
    """As mailprov.agent.lock: an apply that is at work goes first, and one that begins waits a moment for this."""
    handle = os.open(LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        deadline = time.monotonic() + LOCK_PATIENCE
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError:
                if time.monotonic() > deadline:
                    raise Refused("the server is being set up at this moment; try again in some minutes") from None
                time.sleep(0.1)
        since = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime())
        text = {"owner": "a change of a password", "since": since, "pid": os.getpid(), "brief": True}
        os.ftruncate(handle, 0)
        os.pwrite(handle, json.dumps(text).encode("ascii"), 0)
        yield
    finally:
        os.close(handle)


def write(user, hashed):
    """The file with this line: whole and on the disk, or as it was. OSError."""
    lines = logins(read(OWN))
    lines[user] = (hashed, lines[user][1])
    text = "".join("%s:%s::::::%s\n" % (name, one[0], one[1]) for name, one in sorted(lines.items()))
    folder, name = os.path.split(OWN)
    waiting = os.path.join(folder, ".%s.mailprov" % name)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(waiting)
    was = os.lstat(OWN)
    handle = os.open(waiting, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with open(handle, "wb") as file:
            file.write(text.encode("utf-8", "surrogateescape"))
            os.fchown(file.fileno(), was.st_uid, was.st_gid)
            os.fchmod(file.fileno(), 0o640)
            file.flush()
            os.fsync(file.fileno())
        os.rename(waiting, OWN)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(waiting)
        raise
    above = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(above)
    finally:
        os.close(above)


def await_dovecot():
    """Dovecot looks at most once in each second whether the file has changed, and by its time in whole seconds: until
    that second is over the old password may still be good, and one more change in it could go unseen.
    """
    changed = int(os.stat(OWN).st_mtime)
    while int(time.time()) == changed:
        time.sleep(0.02)


def end_submission(address):
    """Sessions that have begun until now are over at their next message: address and time.monotonic(), the clock of all
    programs since the host was started. OSError, ValueError.
    """
    with open(os.open(ENDED_LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)) as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        since = {}
        with contextlib.suppress(FileNotFoundError):
            since = dict(line.split() for line in read(ENDED).decode("utf-8").splitlines())
        since[address] = "%.3f" % time.monotonic()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(ENDED + ".new")
        handle = os.open(ENDED + ".new", os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with open(handle, "w", encoding="utf-8") as file:
            os.fchmod(file.fileno(), 0o644)
            file.write("".join("%s %s\n" % row for row in sorted(since.items())))
        os.rename(ENDED + ".new", ENDED)


def end_sessions(address):
    """Whoever is logged in with the old password is not any more. The change is done, whatever comes of this."""
    try:
        end_submission(address)
    except (OSError, ValueError) as error:
        print("sessions of submission go on: %s" % error, file=sys.stderr, flush=True)
    for argv in (["doveadm", "auth", "cache", "flush", "--", address], ["doveadm", "kick", "--", address]):
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            quiet = subprocess.DEVNULL
            subprocess.run(argv, stdin=quiet, stdout=quiet, stderr=quiet, env={"PATH": PATH}, timeout=20)


def change(address, old, new, client, who):
    """Refused or Unclear: then everything is as it was."""
    if not ADDRESS.fullmatch(address):
        raise Refused("that is no address of an account here")
    address = address.lower()
    usable(address, old, new)
    limits = Limits(address, client, who)
    limits.check()
    user = address.replace("'", "\\'")  # as Dovecot looks for it
    before = logins(read(OWN)).get(user)
    accepted = dovecot_accepts(address, old, client if who in BELIEVED else "")
    if accepted is False:
        limits.failed()
        raise Refused("the address or the old password is wrong")
    if accepted is not True:
        raise Refused(accepted)
    hashed = hash_of(new)
    with locked():
        account = logins(read(USERS)).get(user)
        if account is None or account[1].split(" ", 1)[0] != HANDED_ON:
            raise Refused("this password is set by your administrator, in mailprov's inventory; ask there for another one")
        now = logins(read(OWN)).get(user)
        if now is None or now != before:
            raise Refused("the password was changed meanwhile by somebody else; try again with that one")
        write(user, hashed)
        await_dovecot()
    end_sessions(address)


def peer():
    """(uid, gid) of who is at the other end: SO_PEERCRED in unix(7)."""
    with socket.socket(fileno=os.dup(0)) as connection:
        size = struct.calcsize("3i")
        _, uid, gid = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))
    return uid, gid


def name_of(uid):
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return "uid %d" % uid


def printable(text):
    return "".join(sign if " " < sign <= "~" and sign not in "<>" else "?" for sign in text)[:320]


def answer(number, text):
    sys.stdout.buffer.write(b"%d %s\r\n" % (number, text.encode("utf-8", "replace")))
    sys.stdout.buffer.flush()


def lines():
    """(command, value) each. Refused for what is no such line."""
    for _ in range(MOST_LINES):
        line = sys.stdin.buffer.readline(LONGEST + 1)
        if not line:
            return
        if not line.endswith(b"\n"):
            raise Refused("a line is too long, or has no end")
        if b"\0" in line:
            raise Refused("a line has a NUL in it")
        command, _, value = line.rstrip(b"\r\n").decode("utf-8", "surrogateescape").partition(" ")
        yield command.lower(), value
    raise Refused("that are too many lines")


def own_address(uid):
    """Of a user with a shell; Refused for anybody else."""
    try:
        mark = pwd.getpwuid(uid).pw_gecos.split(",", 4)[4:]
    except KeyError:
        mark = []
    if not mark or not mark[0].startswith(MARK):
        raise Refused("this is for users with a mailbox and a shell")
    return mark[0][len(MARK):].lower()


def talk(who, of=None):
    """One dialogue; `of`: the one account that it may be about. Tells the log who changed what, and never a password."""
    given, client = {}, "local:" + who

    def log(result):
        print("%s, from %s by %s: %s" % (printable(given.get("user", "-")), printable(client), who, result), file=sys.stderr, flush=True)

    answer(200, "mailprov-passwd: user, pass, newpass")
    try:
        for command, value in lines():
            if command == "quit":
                answer(200, "bye")
                return
            if command == "client" and "user" not in given:
                client = value if of is None and is_ip(value) else client
            elif (command, set(given)) in (("user", set()), ("pass", {"user"})):
                given[command] = value
                if of not in (None, given["user"].lower()):
                    raise Refused("here you can change the password of your own account alone")
            elif command == "newpass" and set(given) == {"user", "pass"}:
                signal.alarm(0)  # from here on everything has a deadline of its own
                change(given["user"], given["pass"], value, client, who)
                log("the password was changed")
                answer(200, "the password is changed")
                given.clear()
                continue
            else:
                raise Refused("say user, pass and newpass, in this order")
            answer(200, "go on")
    except Refused as refused:
        log("refused: %s" % refused)
        answer(500, str(refused))
    except (Unclear, OSError, subprocess.SubprocessError) as trouble:
        log("could not be changed: %s" % trouble)
        answer(500, "the password could not be changed; try again later")


def main():
    if sys.argv[1:] == ["--check"]:  # it is Python, for this Python
        return 0
    os.umask(0o077)
    signal.alarm(PATIENCE)
    try:
        uid, _ = peer()
        try:
            of = own_address(uid) if sys.argv[1:] == ["--shell"] else None
        except Refused as refused:
            answer(500, str(refused))
            return 0
        talk(name_of(uid), of)
    except (BrokenPipeError, ConnectionError):
        pass
    return 0


if __name__ == "__main__":
    sys.exit(main())
