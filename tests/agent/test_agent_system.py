"""Packages, facts, services and commands: what is read from the host's tools, and what is refused."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mailprov.agent import commands, facts, files, systemd
from mailprov.agent.apt import dpkg_lock, dpkg_repair, installation, packages, policy_rc_d
from mailprov.agent.errors import AgentError, Cancelled
from mailprov.agent.resources.users import User


class Tools:
    """Programs of the test's own, first in the agent's path."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        folder.mkdir()
        monkeypatch.setattr(commands, "PATH", f"{folder}:/usr/bin:/bin")

    def add(self, name: str, script: str) -> None:
        (self.folder / name).write_text(f'#!/bin/sh\necho "{name} $*" >> {self.folder}/calls\n{script}\n')
        (self.folder / name).chmod(0o755)

    def calls(self) -> list[str]:
        path = self.folder / "calls"
        return path.read_text().splitlines() if path.exists() else []


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tools:
    return Tools(tmp_path / "tools", monkeypatch)


INSTALLED = "printf 'postfix\\tinstall ok installed\\t3.7.11-0+deb12u1\\n'"
HALF = "printf 'postfix\\tinstall ok half-configured\\t3.7.11\\nbind9\\tunknown ok not-installed\\t\\n'"


def test_one_dpkg_query_and_no_apt_when_all_is_installed(tools: Tools) -> None:
    tools.add("dpkg-query", INSTALLED)
    tools.add("apt-cache", "exit 1")
    found = packages.query(["postfix", "?redis-server"], packages.Lists(), print)

    none = {"installed": None, "candidate": None}
    assert found == {"postfix": {"installed": "3.7.11-0+deb12u1", "candidate": None}, "redis-server": none}
    assert [call.split()[0] for call in tools.calls() if call[0] != " "] == ["dpkg-query"]


def test_a_half_configured_package_is_not_installed(tools: Tools) -> None:
    tools.add("dpkg-query", HALF)
    tools.add(
        "apt-cache", "printf 'postfix:\\n  Installed: 3.7.11\\n  Candidate: 3.7.11\\n  Version table:\\n'"
    )
    found = packages.query(["postfix"], packages.Lists(), print)

    assert found == {"postfix": {"installed": None, "candidate": "3.7.11"}}
    assert not [call for call in tools.calls() if "update" in call]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give apt's download folder to its user")
def test_lists_are_fetched_aside_when_a_package_is_unknown_and_leave_nothing(tools: Tools) -> None:
    said: list[str] = []
    tools.add("dpkg-query", "exit 1")
    tools.add("apt-get", "exit 0")
    tools.add(
        "apt-cache",
        'case "$*" in *Dir::State::lists=*) printf "postfix:\\n  Candidate: 3.10\\n";;'
        ' *) printf "postfix:\\n  Candidate: (none)\\n";; esac',
    )
    lists = packages.Lists()
    found = packages.query(["postfix"], lists, said.append)
    folder = lists.private

    assert found["postfix"]["candidate"] == "3.10"
    assert said == ["fetching the package lists"]
    (update,) = [call for call in tools.calls() if call.startswith("apt-get")]
    assert f"Dir::State::lists={folder}/lists" in update
    assert "Dir::Cache::pkgcache= " in update
    # apt downloads as the user _apt: all the way down must be open to it.
    assert [os.stat(path).st_mode & 0o777 for path in (folder, folder + "/lists")] == [0o755, 0o755]
    lists.close()
    assert not os.path.exists(folder)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give apt's download folder to its user")
def test_lists_that_cannot_be_fetched_are_named_with_apts_words(tools: Tools) -> None:
    tools.add("dpkg-query", "exit 1")
    tools.add("apt-get", "echo 'W: Failed to fetch http://x.test  Temporary failure resolving' >&2")
    tools.add("apt-cache", "exit 0")
    lists = packages.Lists()
    with pytest.raises(AgentError, match="lists cannot all be fetched, and postfix is in none") as stop:
        packages.query(["postfix"], lists, print)
    lists.close()

    assert stop.value.output == ["W: Failed to fetch http://x.test  Temporary failure resolving"]


@pytest.mark.parametrize(
    ("version", "prefix", "matches"),
    [
        ("1:2.3.19.1+dfsg1-2.1+deb12u1", "2.3", True),
        ("1:2.31.0-1", "2.3", False),
        ("2.4", "2.4", True),
        ("1:2.4.1-1", "2.3", False),
        ("3.10.13-0+deb13u1", "3.1", False),
        ("3.10.13-0+deb13u1", "3.", True),
        ("1:2.4.1", "1:2.4", True),
        ("2:2.4.1", "1:2.4", False),
        ("", "2.3", False),
    ],
)
def test_versions_match_by_whole_numbers(version: str, prefix: str, matches: bool) -> None:
    assert packages.version_matches(version, prefix) is matches


@pytest.mark.parametrize("admin", ["", "#!/bin/sh\nexit 0\n"])
def test_the_guard_comes_and_goes_and_the_administrators_own_comes_back(tmp_path: Path, admin: str) -> None:
    tree = files.Tree(str(tmp_path))
    script = tmp_path / "usr/sbin/policy-rc.d"
    script.parent.mkdir(parents=True)
    if admin:
        script.write_text(admin)
        script.chmod(0o755)
    for _ in range(2):  # the second time as after a crash
        policy_rc_d.hold(tree)
        assert subprocess.run([str(script)], check=False).returncode == 101
    policy_rc_d.release(tree, print)
    policy_rc_d.release(tree, print)

    assert sorted(path.name for path in script.parent.iterdir()) == (["policy-rc.d"] if admin else [])
    assert not admin or (script.read_text(), script.stat().st_mode & 0o777) == (admin, 0o755)


def test_a_unit_that_packages_bring_starts_at_no_boot_before_it_is_configured(tmp_path: Path) -> None:
    """A host that loses its power in the middle of a first install boots with what Debian set up."""
    tree = files.Tree(str(tmp_path))
    system = tmp_path / "etc/systemd/system"
    (system / "b.service.d").mkdir(parents=True)
    (system / "b.service.d/own.conf").write_text("the administrator's")

    installation.hold_units(tree, ["a.service", "b.service"])
    assert "\nConditionPathExists=!/etc\n" in (system / "a.service.d/mailprov-not-yet.conf").read_text()

    assert installation.release_units(tree, ["a.service", "b.service"])
    assert not installation.release_units(tree, ["a.service", "b.service"])
    assert [str(path.relative_to(system)) for path in system.rglob("*")] == [
        "b.service.d",
        "b.service.d/own.conf",
    ]


@pytest.mark.parametrize(
    ("path", "lock", "does"),
    [
        ("var/lib/dpkg/lock-frontend", "lockf", "has locked the package system"),
        ("var/lib/dpkg/lock", "lockf", "has locked dpkg's database"),  # its apt was killed
        ("var/cache/debconf/config.dat", "flock", "has locked debconf's database"),  # its dpkg was killed
    ],
)
def test_who_is_at_work_on_the_packages_is_named_and_waited_for(
    tmp_path: Path, path: str, lock: str, does: str
) -> None:
    for folder in ("var/lib/dpkg", "var/cache/debconf"):
        (tmp_path / folder).mkdir(parents=True)
    program = (
        f"import fcntl,sys; f=open({str(tmp_path / path)!r},'w'); fcntl.{lock}(f, fcntl.LOCK_EX);"
        "print('held', flush=True); sys.stdin.read()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout
    assert holder.stdin
    holder.stdout.readline()
    said: list[str] = []

    def say(text: str) -> None:
        said.append(text)
        holder.stdin.close()

    handle = dpkg_lock.take(files.Tree(str(tmp_path)), say, lambda: None)
    os.close(handle)
    holder.wait(60)
    holder.stdout.close()

    assert len(said) == 1
    assert f"(pid {holder.pid}), which {does}" in said[0]


def test_ctrl_c_ends_the_wait_for_another_package_manager(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dpkg_lock, "_remains", lambda tree: iter([("frontend (pid 7)", dpkg_lock._DPKGS)]))
    (tmp_path / "var/lib/dpkg").mkdir(parents=True)
    said: list[str] = []

    def check() -> None:
        if said:
            raise Cancelled("the user interrupted it")

    with pytest.raises(Cancelled):
        dpkg_lock.take(files.Tree(str(tmp_path)), said.append, check)
    assert said == ["waiting for frontend (pid 7), which has locked dpkg's database"]


def test_who_does_not_end_is_named_and_the_lock_is_let_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dpkg_lock, "LOCK_TIMEOUT", 0)
    monkeypatch.setattr(dpkg_lock, "_remains", lambda tree: iter([("frontend (pid 7)", dpkg_lock._DPKGS)]))
    (tmp_path / "var/lib/dpkg").mkdir(parents=True)
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(AgentError) as caught:
        dpkg_lock.take(files.Tree(str(tmp_path)), print, lambda: None)

    assert caught.value.what == "frontend (pid 7) has locked dpkg's database, and still after 0 s"
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize(
    ("missing", "init", "what"),
    [
        (
            "dpkg",
            "busybox",
            "this is Alpine Linux 3.20 without dpkg; mailprov needs Debian or Ubuntu with systemd",
        ),
        ("", "sysvinit", "this is Alpine Linux 3.20 with sysvinit as init; mailprov needs Debian or Ubuntu"),
        ("apt-get", "systemd", "this is Alpine Linux 3.20 without apt-get; mailprov needs Debian or Ubuntu"),
    ],
)
def test_unsupported_systems_are_named_by_what_they_lack(
    monkeypatch: pytest.MonkeyPatch, missing: str, init: str, what: str
) -> None:
    monkeypatch.setattr(facts.commands, "have", lambda name: name != missing)
    monkeypatch.setattr(facts, "init", lambda: init)
    monkeypatch.setattr(facts, "system", lambda tree: {"name": "Alpine Linux 3.20"})
    with pytest.raises(AgentError) as stop:
        facts.refuse_unsupported(files.Tree())

    assert stop.value.what.startswith(what)


def test_os_release_is_read_with_and_without_quotes(tmp_path: Path) -> None:
    (tmp_path / "usr/lib").mkdir(parents=True)
    (tmp_path / "usr/lib/os-release").write_text(
        'NAME="Ubuntu"\nVERSION_ID="24.04"\nID=ubuntu\nID_LIKE="debian x"\n#\n'
    )
    found = facts.system(files.Tree(str(tmp_path)))

    assert found == {"id": "ubuntu", "version": "24.04", "name": "Ubuntu 24.04", "like": ["debian", "x"]}


SHOW = "printf 'LoadState=loaded\\nActiveState=active\\nUnitFileState=enabled\\n\\nLoadState=not-found\\n"
SHOW += "ActiveState=inactive\\nUnitFileState=\\n'"


def test_one_systemctl_show_for_all_units(tools: Tools) -> None:
    tools.add("systemctl", SHOW)
    found = systemd.states(["postfix.service", "dovecot.service"])

    assert (found["postfix.service"].runs, found["postfix.service"].starts_at_boot) == (True, True)
    assert (found["dovecot.service"].load, found["dovecot.service"].runs) == ("not-found", False)
    assert len(tools.calls()) == 1


CHECK = {"unit": "postfix.service", "quiet_checks": True}


def test_a_checker_that_complains_stops_with_its_words(tools: Tools) -> None:
    tools.add("quiet", "echo settings; exit 0")
    tools.add("warns", "echo 'postconf: warning: unused parameter: foo=bar' >&2")
    tools.add("fails", "echo 'bad setting' >&2; exit 3")
    # As Postfix does: without a terminal it tells the system's log only.
    tools.add("shy", "test -t 2 && echo 'fatal: only for terminals' >&2; exit 1")
    systemd.check({**CHECK, "checks": [["quiet"]]})
    systemd.check({**CHECK, "checks": [["warns"]], "quiet_checks": False})
    with pytest.raises(AgentError, match="`fails` ended"):
        systemd.check({**CHECK, "checks": [["quiet"]], "tables": [["/etc/postfix/virtual", ["fails"]]]})
    for name, what, output in (
        (
            "warns",
            "Postfix does not know `foo` (postfix.main_cf)",
            "postconf: warning: unused parameter: foo=bar",
        ),
        ("fails", "`fails` ended with code 3", "bad setting"),
        ("shy", "`shy` ended with code 1", "fatal: only for terminals"),
    ):
        with pytest.raises(AgentError) as stop:
            systemd.check({**CHECK, "checks": [["quiet"], [name]]})
        assert stop.value.what == f"{what}: the new configuration of postfix.service is not accepted"
        assert stop.value.output == [output]


def test_listening_ports_are_those_of_this_host() -> None:
    import socket

    with socket.socket(socket.AF_INET) as four, socket.socket(socket.AF_INET6) as six:
        four.bind(("127.0.0.1", 0))
        four.listen()
        six.bind(("::1", 0))
        six.listen()
        ports = {four.getsockname()[1], six.getsockname()[1]}
        assert ports <= systemd.listening()
    assert not ports <= systemd.listening()


def test_sockets_that_take_connections_are_listed_by_their_paths(tmp_path: Path) -> None:
    import socket

    path = str(tmp_path / "a milter's socket")
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
        server.bind(path)
        assert path not in systemd.listening()
        server.listen()
        client.connect(path)
        assert path in systemd.listening()
    assert path not in systemd.listening()
    assert [systemd.door(port) for port in (25, path)] == ["port 25", path]


def test_a_unit_that_reloads_but_opens_no_port_is_restarted(
    tools: Tools, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And when its instance fails, its log is shown at once instead of when patience ends."""
    monkeypatch.setattr(systemd, "RELOAD_DEADLINE", 0.1)
    tools.add(
        "systemctl",
        'case "$1" in list-units) echo "postfix@-.service loaded failed failed Postfix";;'
        ' status) echo "fatal: bind 0.0.0.0 port 1: Address already in use";; esac',
    )
    spec = {"unit": "postfix.service", "reload": ["reloader", "x"], "ports": [1], "patience": 600}
    tools.add("reloader", "exit 0")
    started = time.monotonic()
    with pytest.raises(AgentError) as stop:
        systemd.act(spec, "reload")

    assert time.monotonic() - started < 300
    assert stop.value.what == "postfix.service has not come up after its restart; ports not listening: 1"
    assert stop.value.output == ["fatal: bind 0.0.0.0 port 1: Address already in use"]
    assert [call for call in tools.calls() if call.startswith(("reloader", "systemctl restart"))] == [
        "reloader x",
        "systemctl restart -- postfix.service",
    ]


@pytest.mark.parametrize(("exists", "group"), [(False, "root"), (False, "mailprov-none"), (True, "root")])
def test_users_are_made_with_a_group_of_the_same_name(tools: Tools, exists: bool, group: str) -> None:
    spec = {"name": group, "home": "/var/vmail", "shell": "/bin/false", "comment": "mail"}
    tools.add("useradd", "exit 0")
    tools.add("usermod", "exit 0")
    User(spec, [], exists=exists).make()
    (call,) = tools.calls()

    if exists:
        assert call == "usermod --home /var/vmail --shell /bin/false -- root"
    else:
        belongs = "--gid root" if group == "root" else "--user-group"
        assert call == (
            "useradd --system --no-create-home --home-dir /var/vmail --shell /bin/false "
            f"{belongs} --comment mail -- {group}"
        )


def test_children_speak_english_hear_nothing_and_end_in_time() -> None:
    os.environ["LC_MESSAGES"] = "es_ES.UTF-8"
    try:
        environment = commands.run(["env"]).out.splitlines()
    finally:
        del os.environ["LC_MESSAGES"]
    for seconds in (0.2, 2, 20):  # until it was given the time to begin, on a busy machine
        late = commands.run(["sh", "-c", "echo begun; sleep 600"], timeout=seconds)
        if late.out:
            break

    assert "LC_ALL=C.UTF-8" in environment
    assert not [line for line in environment if line.startswith("LC_MESSAGES")]
    assert commands.run(["cat"]).out == ""
    assert commands.run(["cat"], stdin=b"x" * 100_000).out == "x" * commands.TAIL
    assert (late.code, late.out) == (-9, "begun\n")
    with pytest.raises(AgentError, match="the program mailprov-none is not on this host"):
        commands.run(["mailprov-none"])


def test_a_daemon_that_keeps_the_output_open_keeps_nobody_waiting(tmp_path: Path) -> None:
    for outcome in (
        commands.run(["sh", "-c", "sleep 20 & echo $!"]),
        commands.run_on_terminal(["sh", "-c", "sleep 20 & echo $!"], 30),
        commands.follow(["sh", "-c", "sleep 20 & echo $!"], str(tmp_path / "log"), print),
    ):
        assert outcome.code == 0
        os.kill(int(outcome.out), signal.SIGKILL)  # it lives: nobody has waited for it


def test_lines_are_followed_as_they_come(tmp_path: Path) -> None:
    lines: list[str] = []
    outcome = commands.follow(
        ["sh", "-c", "echo one; echo two >&2; printf three; exit 4"], str(tmp_path / "log"), lines.append
    )

    assert (outcome.code, outcome.out, lines) == (4, "one\ntwo\nthree", ["one", "two"])
    assert (tmp_path / "log").read_text() == "one\ntwo\nthree"


def _audit(tools: Tools, clean_after: str) -> None:
    """dpkg whose --audit is clean once it was called with these words before."""
    tools.add(
        "dpkg",
        f'case "$1" in --audit) grep -q -- "{clean_after}" {tools.folder}/before || echo broken;; esac\n'
        f'echo "$*" >> {tools.folder}/before',
    )


def test_nothing_is_mended_where_nothing_is_broken(tools: Tools, tmp_path: Path) -> None:
    tools.add("dpkg", "")
    assert not dpkg_repair.finish(files.Tree(str(tmp_path)), [], print)
    assert tools.calls() == ["dpkg --audit"]


def test_what_was_interrupted_is_configured(tools: Tools, tmp_path: Path) -> None:
    (tmp_path / "usr/sbin").mkdir(parents=True)
    _audit(tools, "--configure -a")
    tools.add("dpkg-query", "")
    said: list[str] = []

    assert not dpkg_repair.finish(files.Tree(str(tmp_path)), [], said.append)
    assert said == ["finishing an interrupted package installation (dpkg --configure -a)"]
    assert list((tmp_path / "usr/sbin").iterdir()) == [], "no guard is left"


DEB = b"the package that the lists name"
URI = f"'http://deb.test/libvbr2_1_amd64.deb' libvbr2_1_amd64.deb {len(DEB)} SHA256:{hashlib.sha256(DEB).hexdigest()}"


def _download(tools: Tools, script: str, listed: str = URI) -> None:
    """apt-get that knows a file by its lists, and then fetches something."""
    tools.add(
        "apt-get",
        f'case "$*" in *--print-uris*) echo "Reading package lists..."; echo "{listed}"; exit;; esac\n{script}',
    )
    copy = f'case "$*" in *--unpack*) for last; do :; done; cat "$last" > {tools.folder}/unpacked;'
    stat = f'stat -c "%u %a" "$(dirname "$last")" > {tools.folder}/folder;; esac'
    tools.add("dpkg", f'{copy} {stat}\n[ "$1" = --audit ] && echo broken')
    tools.add("dpkg-query", "printf 'ok bash:amd64\\nreinstreq libvbr2:amd64\\nreinstreq tzdata:all\\n'")


def test_what_was_torn_is_fetched_and_unpacked_first(tools: Tools, tmp_path: Path) -> None:
    (tmp_path / "usr/sbin").mkdir(parents=True)
    _download(tools, f"printf %s '{DEB.decode()}' > libvbr2_1_amd64.deb")

    assert dpkg_repair.finish(files.Tree(str(tmp_path)), ["-o", "Dir::State::lists=/x"], print), (
        "still broken"
    )
    calls = tools.calls()
    assert "apt-get -q -o Dir::State::lists=/x download libvbr2:amd64 tzdata" in calls
    unpacked = next(call for call in calls if "--unpack" in call)
    assert unpacked.startswith("dpkg --force-confold --unpack /")
    assert unpacked.endswith("/libvbr2_1_amd64.deb")
    assert not Path(unpacked.split()[-1]).parent.exists()
    assert calls.index(unpacked) < calls.index("dpkg --force-confold --configure -a")
    assert (tools.folder / "unpacked").read_bytes() == DEB
    assert (tools.folder / "folder").read_text() == f"{os.geteuid()} 700\n", (
        "nobody else can put a file there"
    )


@pytest.mark.parametrize(
    "script",
    [
        "printf %s 'a package of somebody else!!!!!' > libvbr2_1_amd64.deb",
        "printf %s 'shorter' > libvbr2_1_amd64.deb",
        f"printf %s '{DEB.decode()}' > other.deb; ln -s other.deb libvbr2_1_amd64.deb",
        "mkfifo libvbr2_1_amd64.deb",
        "mkdir libvbr2_1_amd64.deb",
        f"printf %s '{DEB.decode()}' > evil.deb",
        "true",
    ],
    ids=["swapped", "cut", "link", "fifo", "directory", "not asked for", "nothing"],
)
def test_only_what_the_package_lists_name_is_unpacked(tools: Tools, tmp_path: Path, script: str) -> None:
    """apt's user owns the folder of the download, and could put anything there for root to unpack."""
    (tmp_path / "usr/sbin").mkdir(parents=True)
    _download(tools, script)

    assert dpkg_repair.finish(files.Tree(str(tmp_path)), [], print)
    assert not [call for call in tools.calls() if "--unpack" in call]


@pytest.mark.parametrize(
    "listed", ["", "no uri at all", URI.replace("libvbr2_1", "../../x"), URI.replace("SHA256", "MD5Sum")]
)
def test_without_a_word_of_the_lists_nothing_is_unpacked(tools: Tools, tmp_path: Path, listed: str) -> None:
    (tmp_path / "usr/sbin").mkdir(parents=True)
    _download(tools, f"printf %s '{DEB.decode()}' > libvbr2_1_amd64.deb", listed)

    assert dpkg_repair.finish(files.Tree(str(tmp_path)), [], print)
    assert not [call for call in tools.calls() if "--unpack" in call]


@pytest.mark.skipif(os.geteuid() != 0, reason="makes processes of two users")
def test_only_processes_of_root_are_installation_scripts() -> None:
    """By their names, anybody's are: nobody could hold every apply up for five minutes, and say it in ESC."""
    name = "/var/lib/dpkg/info/\x1b[2Jevil-{}.postinst"
    started = [
        subprocess.Popen(
            [
                name.format(user),
                "-c",
                "echo up; read end",
            ],  # no program is started: until its exec it has this name
            executable="/bin/sh",
            user=user,
            start_new_session=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for user in ("nobody", "root")
    ]
    try:
        for one in started:
            assert one.stdout
            one.stdout.readline()
        told = [holder for holder, _ in dpkg_lock._scripts() if "evil" in holder]
    finally:
        for one in started:
            os.killpg(one.pid, signal.SIGKILL)
            one.communicate()
    assert len(told) == 1, told
    assert f"(pid {started[1].pid})" in told[0]
