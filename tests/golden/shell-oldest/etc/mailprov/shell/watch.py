# Managed by mailprov: do not edit, the inventory is where this file comes from.
"""Holds the users with a shell to what /etc/mailprov/shell/users.json says, as long as the host runs.

disk     What a user has in the home, and wherever everybody may write, is measured whenever these file systems have got
         fuller, and every two seconds while such a user runs anything. Who has more than `quota` bytes can write no further byte (RLIMIT_FSIZE of each process is 0), but
         delete, until it is less. Who grows all the same (by maps of holes, by empty files), or has more than twice as much,
         is out: processes end, nobody logs in, until somebody of the host deletes something. Space that was only reserved (fallocate(2)) and holds
         nothing goes back then; no octet of a file does.
rules    Rules of nft that are gone or changed (`nft flush ruleset`) are there again.
dates    A login ends at the second at which its account's does.
"""

import importlib.util
import json
import os
import pwd
import resource
import stat
import subprocess
import sys
import threading
import time

sys.dont_write_bytecode = True
SCRIPT = "/etc/mailprov/shell/manage.py"
# Where everybody may write, or a program of everybody's does it for a user.
PLACES = ("/tmp", "/var/tmp", "/dev/shm", "/run/lock", "/var/spool/cron", "/var/mail", "/var/spool/postfix/maildrop")
TICK, BUSY, LONGEST, RULES = 0.5, 2, 60, 5  # seconds
STEP = 8 << 20  # bytes by which a file system may get fuller without a look, where nobody is near the quota
GROWTH = 16 << 20  # bytes that may still come when writing was stopped: what was under way
SMALL_FILES = 10000  # bytes: so many files as there would be of this size
MANAGERS = ("/lib/systemd/systemd", "/usr/lib/systemd/systemd")


def loaded():
    spec = importlib.util.spec_from_file_location("manage", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def readable(size):
    return "%.1f MB" % (size / (1 << 20))


class Disk:
    """users: {name: (uid, home, most bytes)}."""

    def __init__(self, users, shut):
        self.users, self.shut = users, shut
        self.full = {}  # name: (bytes, files) when writing had been stopped; before that None
        self.out = set()
        self._told = set()  # terminals
        self._looked, self._took, self._free = 0.0, 0.0, {}

    def places(self):
        homes = [home for _, home, _ in self.users.values()]
        own = ["/run/user/%d" % uid for uid, _, _ in self.users.values()]
        return [path for path in (*PLACES, *homes, *own) if os.path.isdir(path)]

    def free(self):
        """{file system: bytes that are free}"""
        found = {}
        for path in self.places():
            try:
                told = os.statvfs(path)
                found[os.stat(path).st_dev] = told.f_bfree * told.f_frsize
            except OSError:
                pass
        return found

    def due(self, now):
        if now - self._looked < 2 * self._took:
            return False
        if self.full or self.out or now - self._looked > LONGEST:
            return True
        for device, left in self.free().items():  # others delete something meanwhile
            self._free[device] = max(left, self._free.get(device, left))
            if self._free[device] - left >= STEP:
                return True
        # Ten times as long as a look takes: whoever has a million files has not the processor, too.
        return now - self._looked > max(BUSY, 10 * self._took) and next(self.processes(), None) is not None

    def look(self):
        began, self._free = time.monotonic(), self.free()
        used = self.used()
        self._looked, self._took = time.monotonic(), time.monotonic() - began
        for name, (uid, _, most) in self.users.items():
            if not most or uid not in used:
                continue
            size, count = used[uid]
            over = size > most or count > self.files(most)
            if not over and name in (*self.full, *self.out):
                self.free_again(name, size)
            elif over and name not in self.full:
                print("%s has %s in %d files, and may have %s: nothing more can be written" % (name, readable(size), count, readable(most)), flush=True)
                self.full[name] = None
            elif over and self.full[name] is None:  # held by now
                self.full[name] = (size, count)
            if over and name not in self.out:
                at, had = self.full[name] or (size, count)
                if size > at + GROWTH or count > had + 1000 or self.far(most, size, count):
                    print("%s has got to %s in %d files: sessions end, and logins are refused" % (name, readable(size), count), flush=True)
                    self.out.add(name)
                    self.shut(name, True)
                    self.reclaim(uid)

    @classmethod
    def far(cls, most, size, count):
        return size > 2 * most + GROWTH or count > 2 * cls.files(most) + 1000

    @staticmethod
    def files(most):
        return max(10000, most // SMALL_FILES)

    def free_again(self, name, size):
        print("%s has %s by now, and may write again" % (name, readable(size)), flush=True)
        self.full.pop(name, None)
        if name in self.out:
            self.out.discard(name)
            self.shut(name, False)
        self.limit(self.users[name][0], None)

    def used(self):
        """{uid: (bytes on disk, files)}, files without a name that are open among them. It ends at the first user who is far
        beyond, and tells of that one alone: whoever makes files as fast as they can be counted is not counted to the end.
        """
        total = {uid: [0, 0] for uid, _, _ in self.users.values()}
        far = {uid: most for name, (uid, _, most) in self.users.items() if most and name not in self.out}
        seen = set()

        def count(uid, blocks, device, number, links):
            if uid in total and (links == 1 or (device, number) not in seen):
                total[uid][0] += 512 * blocks
                total[uid][1] += 1
                if links != 1:
                    seen.add((device, number))

        who = " ".join("-o -uid %d" % uid for uid in total).split()[1:]
        argv = ["find", *self.places(), "-xdev", "(", *who, ")", "-printf", "%U %b %D %i %n %y\n"]
        with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as finding:
            late = threading.Timer(120, finding.kill)
            late.start()
            for line in finding.stdout:
                if not line.endswith(b"\n"):  # it took too long
                    break
                uid, blocks, device, number, links, kind = line.split()
                count(int(uid), int(blocks), int(device), int(number), 1 if kind == b"d" else int(links))
                if int(uid) in far and self.far(far[int(uid)], *total[int(uid)]):
                    finding.kill()
                    late.cancel()
                    return {int(uid): total[int(uid)]}
            late.cancel()
        devices = set(self._free)
        for process in self.processes():
            for told in nameless(process):
                if stat.S_ISREG(told.st_mode) and told.st_nlink == 0 and told.st_dev in devices:
                    count(told.st_uid, told.st_blocks, told.st_dev, told.st_ino, 0)
        return total

    def processes(self, of=None):
        uids = {uid for uid, _, _ in self.users.values()} if of is None else {of}
        for each in filter(str.isdigit, os.listdir("/proc")):
            try:
                if os.stat("/proc/" + each).st_uid in uids:
                    yield each
            except OSError:
                pass

    def hold(self):
        """New processes of whoever is full: a login, a job."""
        for name in self.full:
            uid, _, most = self.users[name]
            for _ in range(10):
                if not self.limit(uid, 0):
                    break
            self.tell(uid, most)

    def limit(self, uid, most):
        """None: as limits.conf(5) has it. How many had another one: there may be children of theirs."""
        usual = next(1 << 30 if not size else min(1 << 30, size) for one, _, size in self.users.values() if one == uid)
        wanted = usual if most is None else most
        others, refused = 0, []
        for process in self.processes(uid):
            try:
                if os.readlink("/proc/%s/exe" % process) not in MANAGERS:
                    before = resource.prlimit(int(process), resource.RLIMIT_FSIZE)
                    if before != (wanted, wanted):
                        others += 1
                        resource.prlimit(int(process), resource.RLIMIT_FSIZE, (wanted, wanted))
            except PermissionError:
                refused.append(int(process))
            except (OSError, ValueError):
                pass
        if refused and most is not None:
            lower(uid, refused, wanted)
        return others

    def tell(self, uid, most):
        for each in os.listdir("/dev/pts"):
            path = "/dev/pts/" + each
            try:
                told = os.stat(path)
                if told.st_uid != uid or (path, told.st_ctime) in self._told:
                    continue
                self._told.add((path, told.st_ctime))
                handle = os.open(path, os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK)
                try:
                    os.write(handle, b"\r\nYour files are more than %s: nothing can be written until you delete some.\r\n" % readable(most).encode())
                finally:
                    os.close(handle)
            except OSError:
                pass

    def reclaim(self, uid):
        """Space that holds nothing: holes that were reserved, and what was reserved behind the end."""
        argv = ["find", *self.places(), "-xdev", "-uid", str(uid), "-type", "f", "-size", "+1k", "-print0"]
        behind = ["find", *self.places(), "-xdev", "-uid", str(uid), "-type", "f", "-size", "-2k", "-print0"]
        for command in (argv, behind):
            told = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
            for path in filter(None, told.split(b"\0")):
                try:
                    handle = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
                except OSError:
                    continue
                try:
                    told_of = os.fstat(handle)
                    if stat.S_ISREG(told_of.st_mode) and told_of.st_uid == uid:
                        dig(handle, told_of.st_size)
                except OSError:
                    pass
                finally:
                    os.close(handle)


def lower(uid, processes, size):
    """As the user, who may lower the limits of the own processes: a container's root may have no CAP_SYS_RESOURCE. There
    a session that was stopped once stays so until the next login.
    """
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setgid(pwd.getpwuid(uid).pw_gid)
            os.setuid(uid)
            for process in processes:
                try:
                    resource.prlimit(process, resource.RLIMIT_FSIZE, (size, size))
                except (OSError, ValueError):
                    pass
        finally:
            os._exit(0)
    os.waitpid(child, 0)


def dig(handle, size):
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    place = 0
    while place < size:
        try:
            data = os.lseek(handle, place, os.SEEK_DATA)
        except OSError:  # nothing but a hole
            data = size
        if data > place:  # PUNCH_HOLE | KEEP_SIZE in fallocate(2)
            libc.fallocate(handle, 3, ctypes.c_longlong(place), ctypes.c_longlong(data - place))
        if data >= size:
            break
        place = os.lseek(handle, data, os.SEEK_HOLE)
    os.ftruncate(handle, size)


def nameless(process):
    """What is open or mapped there and has no name any more."""
    folder = "/proc/%s/" % process
    paths = []
    try:
        paths += [folder + "fd/" + each for each in os.listdir(folder + "fd")]
        with open(folder + "maps", errors="replace") as source:
            gone = [line.split(" ", 1)[0] for line in source if line.endswith("(deleted)\n")]
        # maps has leading zeros, map_files has none
        paths += [folder + "map_files/" + "-".join("%x" % int(end, 16) for end in each.split("-")) for each in gone]
    except OSError:
        pass
    for path in paths:
        try:
            yield os.stat(path)
        except OSError:
            pass


def wanted():
    try:
        with open("/etc/mailprov/shell/users.json") as source:
            return source.read()
    except FileNotFoundError:  # it is being taken away
        return '{"users": {}}'


def rules_now():
    done = subprocess.run(["nft", "list", "table", "inet", "mailprov_shell"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    return done.stdout


def main():
    if sys.argv[1:] == ["--check"]:
        return 0
    manage = loaded()
    read = wanted()
    users = json.loads(read)["users"]
    mine = manage.ours()
    here = {name: user for name, user in users.items() if name in mine}
    ends = {name: user["ends"] for name, user in here.items() if user["ends"] is not None}

    def shut(name, out):
        try:
            manage.expire(name, users[name], out=out)
            if out:
                manage.end(mine[name])
        except RuntimeError as error:
            print(error, file=sys.stderr, flush=True)

    disk = Disk({name: (mine[name].pw_uid, mine[name].pw_dir, user["quota"]) for name, user in here.items()}, shut)
    if here:
        manage.load_rules(users, mine)
    loaded_rules, looked = rules_now(), 0.0
    while wanted() == read:  # else it begins anew: nothing is put back that is not wanted any more
        now = time.monotonic()
        for name, at in list(ends.items()):
            if time.time() >= at:
                del ends[name]
                print("%s: the account has expired, and so has the login" % name, flush=True)
                shut(name, True)
        if here and now - looked >= RULES:
            looked = now
            if rules_now() != loaded_rules and wanted() == read:
                print("the rules of nft were gone or changed, and are loaded again", flush=True)
                manage.load_rules(users, mine)
                loaded_rules = rules_now()
        disk.hold()
        if disk.due(now):
            disk.look()
            disk.hold()
        time.sleep(TICK)
    os.execv(sys.executable, [sys.executable, "-IS", sys.argv[0]])


if __name__ == "__main__":
    sys.exit(main())
