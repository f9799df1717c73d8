# Managed by mailprov: do not edit, the inventory is where this file comes from.
"""Makes the users with a shell what /etc/mailprov/shell/users.json says, and everybody else whom mailprov made powerless.

    manage.py apply      passwords, homes, limits, what they may connect to; locks those who are not in the file
    manage.py passwords  their passwords alone, when Dovecot's have changed
    manage.py undo       locks all of them

mailprov's agent makes the users, before this runs; the last field of their GECOS (passwd(5)), which only root can
change (chfn(1)), says whose they are, so that a user of somebody else's is never touched. Their password is the mailbox's: the
hash is copied from Dovecot's files. systemd runs this at each boot, and whenever a file here has changed, also when an
apply is rolled back.
"""

import fcntl
import glob
import json
import os
import pwd
import re
import shutil
import signal
import stat
import subprocess
import sys
import time

WANTED = "/etc/mailprov/shell/users.json"
MARK = "mailprov-account="
HASHES = ["/etc/dovecot/mailprov-users", "/var/lib/mailprov-passwd/passwords"]
TABLE = "mailprov_shell"
# What they may connect to on this host: DNS, SSH, the web, mail programs' ports. Not what trusts this host: port 25,
# what Postfix has for itself, a filter, a database.
OPEN = (22, 53, 80, 110, 143, 443, 465, 587, 853, 993, 995, 4190)
FOR_RESTRICTED = (53, 143, 465, 587, 993)
LIMITS = ("MemoryMax=512M", "MemorySwapMax=0", "TasksMax=128", "CPUWeight=20", "CPUQuota=50%", "IOWeight=20")
STORE = "/usr/local/share/ca-certificates/mailprov-own"  # and a number
NEVER = "99999"  # days


def run(*argv, **more):
    """RuntimeError with what it said."""
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True, **more)
    if done.returncode:
        raise RuntimeError("%s: %s" % (" ".join(argv[:3]), done.stdout.strip()[-500:]))
    return done.stdout


def ours():
    """{name: passwd entry} of all users that mailprov has made for accounts."""
    found = {}
    with open("/etc/passwd", errors="surrogateescape") as source:
        for line in source:
            fields = line.rstrip("\n").split(":")
            mark = ",".join(fields[4:5]).split(",", 4)[4:]
            if len(fields) == 7 and mark and mark[0].startswith(MARK) and int(fields[2]) > 0:
                found[fields[0]] = pwd.struct_passwd(fields[:2] + [int(fields[2]), int(fields[3])] + fields[4:])
    return found


def shadow():
    """{name: (hash, day of expiry, days until passwd(1) changes it)}"""
    found = {}
    with open("/etc/shadow", errors="surrogateescape") as source:
        for line in source:
            fields = line.rstrip("\n").split(":")
            if len(fields) == 9:
                found[fields[0]] = (fields[1], fields[7], fields[3])
    return found


def hashes():
    """{address: a hash as crypt(5) has it}, of accounts that may log in; the later file is of users' own passwords."""
    found = {}
    for path in HASHES:
        try:
            with open(path, errors="surrogateescape") as source:
                rows = [line.rstrip("\n").split(":") for line in source if not line.startswith("#")]
        except FileNotFoundError:
            continue
        for row in (row for row in rows if len(row) > 1):
            scheme, _, plain = row[1].lstrip("{").partition("}")
            if scheme.upper() in ("SHA512-CRYPT", "SHA256-CRYPT", "BLF-CRYPT", "CRYPT") and plain.startswith("$"):
                found[row[0].replace("\\'", "'")] = plain
    return found


def set_passwords(users, mine):
    known, now = hashes(), shadow()
    for name, user in users.items():
        plain = known.get(user["address"], "*") if user["password"] else "*"
        if name in mine and now.get(name, ("",))[0] != plain:
            run("usermod", "-p", plain, "--", name)
        # The mailbox's password is the password: passwd(1) would make another one. After usermod, which forgets the days
        # where it does not know them any more.
        if name in mine and shadow()[name][2] != NEVER:
            never_by_passwd(name)


def never_by_passwd(name):
    """PAM goes by the days, also where shadow (4.20, Debian testing) has no program any more that sets them."""
    if "--mindays" in run("chage", "--help"):
        run("chage", "-m", NEVER, name)
        return
    with open("/etc/.pwd.lock", "w") as held:  # lckpwdf(3), as programs of shadow take it
        fcntl.lockf(held, fcntl.LOCK_EX)
        with open("/etc/shadow", errors="surrogateescape") as source:
            lines = [line.split(":") for line in source]
            told = os.fstat(source.fileno())
        for fields in lines:
            if fields[0] == name and len(fields) == 9:
                fields[3] = NEVER
        handle = os.open("/etc/shadow.mailprov", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        with open(handle, "w", errors="surrogateescape") as new:
            new.write("".join(":".join(fields) for fields in lines))
            new.flush()
            os.fchown(handle, told.st_uid, told.st_gid)
            os.fchmod(handle, stat.S_IMODE(told.st_mode))
            os.fsync(handle)
        os.rename("/etc/shadow.mailprov", "/etc/shadow")


def make_home(name, user, entry):
    """0700 and the user's own. A restricted one's belongs to root: what programs read in a home before anybody has
    logged in (~/.ssh, ~/.pam_environment, ~/.config) is not the user's to write; mail/ in it is.
    """
    root, home = (0, entry.pw_gid), entry.pw_dir
    if not os.path.lexists(home):
        os.mkdir(home, 0o700)
    told = os.lstat(home)
    if not stat.S_ISDIR(told.st_mode) or told.st_uid not in (0, entry.pw_uid):
        raise RuntimeError("%s is not a directory of %s" % (home, name))
    handle = os.open(home, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        owner = root if user["restricted"] else (entry.pw_uid, entry.pw_gid)
        os.fchown(handle, *owner)
        os.fchmod(handle, 0o750 if user["restricted"] else 0o700)
        if user["restricted"]:
            try:
                os.mkdir("mail", 0o700, dir_fd=handle)
                os.chown("mail", entry.pw_uid, entry.pw_gid, dir_fd=handle, follow_symlinks=False)
            except FileExistsError:
                pass
    finally:
        os.close(handle)
    child = os.fork()
    if child == 0:  # as the user: what stands there may be a link to anywhere
        code = 1
        try:
            os.setgroups([])
            os.setgid(entry.pw_gid)
            os.setuid(entry.pw_uid)
            os.umask(0o077)
            seed(os.path.join(home, "mail") if user["restricted"] else home, user)
            code = 0
        finally:
            os._exit(code)
    os.waitpid(child, 0)


def seed(folder, user):
    """Files that a program needs to begin well; they are the user's, and never written again."""
    for name, text in user["files"].items():
        path = os.path.join(folder, name)
        try:
            os.makedirs(os.path.dirname(path), 0o700, exist_ok=True)
            with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600), "w") as out:
                out.write(text)
        except OSError:
            pass


def rules(users, mine):
    """nft(8). Who connects is known by the socket's user, so a wrapper, a script or a timer is no way around."""
    free = [mine[name].pw_uid for name, user in users.items() if not user["restricted"]]
    held = [mine[name].pw_uid for name, user in users.items() if user["restricted"]]
    lines = ["table inet %s {}" % TABLE, "delete table inet %s" % TABLE, "table inet %s {" % TABLE]
    ports = lambda numbers: "{ %s }" % ", ".join(map(str, numbers))  # noqa: E731
    lines += [" chain free {", "  tcp dport 25 reject with tcp reset", "  meta l4proto sctp reject"]
    lines += ['  oifname "lo" tcp dport != %s reject with tcp reset' % ports(OPEN), " }"]
    lines += [" chain held {", '  oifname "lo" tcp dport %s accept' % ports(FOR_RESTRICTED)]
    lines += ["  meta l4proto udp udp dport 53 accept", "  reject", " }"]
    lines += [" chain output {", "  type filter hook output priority -10; policy accept;"]
    lines += ["  meta skuid %s jump %s" % (ports(sorted(uids)), name) for name, uids in (("free", free), ("held", held)) if uids]
    return "\n".join([*lines, " }", "}", ""])


def load_rules(users, mine):
    run("nft", "-f", "-", input=rules({name: user for name, user in users.items() if name in mine}, mine))


def expire(name, user, out=False):
    """The day after which nobody logs in (shadow(5)): what ends at a second, ends by watch.py; this is for when that is
    not running. One in the past: nobody, by no password or key.
    """
    at = user["ends"]
    day = "1" if out or (at is not None and time.time() >= at) else "" if at is None else str(-(-at // 86400))
    if shadow()[name][1] != day:
        run("usermod", "-e", time.strftime("%Y-%m-%d", time.gmtime(86400 * int(day))) if day else "", "--", name)
        if shadow()[name][2] != NEVER:
            never_by_passwd(name)
    return day == "1"


def kernel_quota(name, user, home):
    """Where the file system of the home has quotas of users, the kernel holds to them (setquota(8)). Nothing is mounted
    or switched on for that.
    """
    best = ("", [])
    with open("/proc/self/mounts") as source:
        for fields in (line.split() for line in source):
            if (home + "/").startswith(fields[1].rstrip("/") + "/") and len(fields[1]) >= len(best[0]):
                best = (fields[1], fields[3].split(","))
    on = [one for one in best[1] if one in ("usrquota", "uquota", "quota") or one.startswith("usrjquota=")]
    if on and shutil.which("setquota"):
        blocks, files = user["quota"] // 1024, max(10000, user["quota"] // 10000) if user["quota"] else 0
        run("setquota", "-u", name, "0", str(blocks), "0", str(files), best[0])


def end(entry):
    """The user's sessions, timers and processes."""
    for argv in (["loginctl", "disable-linger", entry.pw_name], ["loginctl", "terminate-user", entry.pw_name]):
        subprocess.run(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for _ in range(50):
        found = []
        for each in filter(str.isdigit, os.listdir("/proc")):
            try:
                if os.stat("/proc/" + each).st_uid == entry.pw_uid:
                    os.kill(int(each), signal.SIGKILL)
                    with open("/proc/%s/stat" % each) as source:
                        found += [each] if source.read().rpartition(")")[2].split()[0] != "Z" else []
            except OSError:
                pass
        if not found:
            return
        time.sleep(0.1)


def lock(entry):
    """No password, no key, no timer gets past an expired user (pam_unix(8)). The home stays."""
    run("usermod", "-p", "!*", "-e", "1", "-s", "/usr/sbin/nologin", "--", entry.pw_name)
    end(entry)


def trust(paths):
    """The host's own certificate, where no authority has issued it, for programs that look into the system's store."""
    wanted = {}
    for path in paths:
        with open(path) as source:
            for one in re.findall(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----\n?", source.read(), re.S):
                wanted["%s-%d.crt" % (STORE, len(wanted))] = one
    found = {}
    for path in glob.glob(STORE + "-*.crt"):
        with open(path) as source:
            found[path] = source.read()
    if wanted == found:
        return
    for path in set(found) - set(wanted):
        os.unlink(path)
    os.makedirs(os.path.dirname(STORE), exist_ok=True)
    for path, text in wanted.items():
        with open(path, "w") as out:
            out.write(text)
    run("update-ca-certificates", *(["--fresh"] if set(found) - set(wanted) else []))


def apply():
    with open(WANTED) as source:
        wanted = json.load(source)
    users, mine = wanted["users"], ours()
    absent = sorted(name for name in users if name not in mine)
    if absent:
        raise RuntimeError("no users of mailprov's: %s; run mailprov apply again" % ", ".join(absent))
    trust(wanted["trust"])
    for name, entry in mine.items():
        if name not in users and (entry.pw_shell, shadow()[name][1]) != ("/usr/sbin/nologin", "1"):
            lock(entry)
    # Nobody logs in before the rules are there.
    if users:
        load_rules(users, mine)
    else:
        subprocess.run(["nft", "delete", "table", "inet", TABLE], stderr=subprocess.DEVNULL)
    for name, user in users.items():
        entry = mine[name]
        make_home(name, user, entry)
        if entry.pw_shell != user["shell"]:
            run("usermod", "-s", user["shell"], "--", name)
        if expire(name, user):
            end(entry)
        try:
            run("systemctl", "set-property", "--runtime", "user-%d.slice" % entry.pw_uid, *LIMITS)
        except RuntimeError as error:  # an old systemd, or a container: ulimits are there besides
            print(error, file=sys.stderr)
        try:
            kernel_quota(name, user, entry.pw_dir)
        except RuntimeError as error:  # watch.py is there besides
            print(error, file=sys.stderr)
    set_passwords(users, mine)


def undo():
    for entry in ours().values():
        lock(entry)
    subprocess.run(["nft", "delete", "table", "inet", TABLE], stderr=subprocess.DEVNULL)
    trust([])


def main():
    if sys.argv[1:] == ["--check"]:
        return 0
    try:
        if sys.argv[1:] == ["passwords"]:
            with open(WANTED) as source:
                set_passwords(json.load(source)["users"], ours())
        else:
            {"apply": apply, "undo": undo}[sys.argv[1]]()
    except (OSError, RuntimeError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
