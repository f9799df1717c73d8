"""Labs for real: what comes up, what it can do, and that nothing stays, however it ends."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ClassVar

import dns.exception
import dns.message
import dns.query
import dns.rcode
import dns.reversename
import dns.tsigkeyring
import dns.update
import dns.zone
import pytest

from mailprov import lab
from mailprov.errors import InputError, LabError
from mailprov.inventory import SecretMode, load
from mailprov.lab.cleanup import traces
from mailprov.lab.hosts import stop_hosts
from mailprov.lab.mounts import delete_tree
from mailprov.lab.network import links, release
from mailprov.lab.paths import paths
from mailprov.lab.releases import RELEASES
from mailprov.model.events import Event
from tests.lab.labs import lab_name, run_on, silent, wait_until

pytestmark = pytest.mark.lab

PAIR = """
filter: none
hosts:
  mx1: {address: 192.0.2.1, fqdn: mx1.alpha.test, lab: {release: debian-12}}
  mx2: {address: 192.0.2.2, fqdn: mx2.beta.test, lab: {release: debian-13}}
domains:
  alpha.test: {hosts: [mx1], accounts: {ana: {password: {env: ANA}}}, domain_aliases: [alfa.test]}
  beta.test: {hosts: [mx2], accounts: {eva: {password: {env: EVA}}}}
"""
ONE = """
hosts: {only: {address: 192.0.2.1, fqdn: only.gamma.test}}
domains: {gamma.test: {hosts: [only], accounts: {ana: {password: {env: ANA}}}}}
"""
# A worker of a test session; hosts that run take longer to go than this orphan, which has none.
REMOVE = """
import time
from mailprov.lab import lifecycle
from tests.lab.labs import remove_orphans
clean_up = lifecycle.clean_up
lifecycle.clean_up = lambda where: (time.sleep(1), clean_up(where))
remove_orphans()
"""
UP = """
import sys
from mailprov import lab
from mailprov.errors import Interrupted
from mailprov.inventory import SecretMode, load
def emit(event):
    print(event.subject, event.text, flush=True)
try:
    lab.up(load(sys.argv[1], SecretMode.IGNORE), name=sys.argv[2], emit=emit)
except Interrupted as error:
    print(error, flush=True)
    sys.exit(error.exit_code)
print("all up", flush=True)
"""


@pytest.fixture
def pair(lab_factory: Callable[[str], lab.Lab]) -> lab.Lab:
    return lab_factory(PAIR)


@pytest.fixture
def inventory(tmp_path: Path) -> Path:
    path = tmp_path / "one.yml"
    path.write_text(ONE)
    return path


def machine_wide(name: str) -> dict[str, set[str]]:
    """What a lab of this name could leave behind anywhere on this machine, by whatever it is called there."""
    where = paths(name)
    marks = (where.tag, where.link_prefix, where.machine(0)[:-1], str(where.directory))

    def ours(text: str) -> bool:
        return any(mark in text for mark in marks)

    processes = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                words = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                groups = (entry / "cgroup").read_text()
                ended = (entry / "stat").read_text().rpartition(")")[2].split()[0] == "Z"
            except OSError:
                continue
            if not ended and (ours(words) or ours(groups)):
                processes.add(f"{entry.name} {words}")
    tools = {
        "links": ["ip", "-o", "link"],
        "addresses": ["ip", "-o", "address"],
        "routes": ["ip", "route", "show", "table", "all"],
        "routes6": ["ip", "-6", "route", "show", "table", "all"],
        "rules": ["nft", "list", "ruleset"],
    }
    found = {
        what: {line for line in subprocess.check_output(argv, text=True).splitlines() if ours(line)}
        for what, argv in tools.items()
    }
    found["mounts"] = {line for line in Path("/proc/self/mountinfo").read_text().splitlines() if ours(line)}
    found["processes"] = processes
    roots = ("/sys/fs/cgroup", "/run/mailprov-lab", "/run/systemd/nspawn", str(where.directory.parent))
    found["paths"] = {
        os.path.join(parent, child)
        for root in roots
        for parent, directories, files in os.walk(root)
        for child in (*directories, *files)
        if ours(os.path.join(parent, child))
    }
    return {what: lines for what, lines in found.items() if lines}


def nspawn_directories() -> set[str]:
    return {path.name for path in Path("/tmp").glob("nspawn-root-*")}


class Rising:
    """A `lab up` in a process of its own, to be ended from outside."""

    running: ClassVar[list[Rising]] = []

    def __init__(self, inventory: Path, name: str, environment: dict[str, str] | None = None) -> None:
        self.lines: list[str] = []
        self.process = subprocess.Popen(
            [sys.executable, "-c", UP, str(inventory), name],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, **(environment or {})},
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.running.append(self)

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.strip())

    def until(self, word: str) -> None:
        wait_until(
            lambda: word in self.text() or self.process.poll() is not None, f"{word!r} from lab up", 180
        )
        assert word in self.text(), self.text()

    def text(self) -> str:
        return "\n".join(self.lines)

    def end(self, with_signal: signal.Signals) -> int:
        self.process.send_signal(with_signal)
        status = self.process.wait(timeout=120)
        self._reader.join(timeout=60)
        return status


@pytest.fixture
def doomed() -> Iterator[str]:
    """The name of a lab that the test takes down; what it forgets is taken down after it."""
    name = lab_name("doomed")
    yield name
    for rising in Rising.running:
        if rising.process.poll() is None:
            rising.end(signal.SIGKILL)
    Rising.running.clear()
    if paths(name).directory.exists() or traces(paths(name)):
        lab.down(name, silent)


def test_up_answers_and_down_leaves_nothing(inventory: Path, doomed: str) -> None:
    before = nspawn_directories()
    progress: list[str] = []
    begin = time.monotonic()
    made = lab.up(load(inventory, SecretMode.IGNORE), name=doomed, emit=lambda e: progress.append(str(e)))
    assert run_on(made, "only", "systemctl is-system-running").strip() == "running"
    assert {"processes", "mounts", "links", "rules", "routes", "paths"} <= set(machine_wide(doomed))
    assert doomed in lab.names()
    assert any("up at" in text for text in progress)
    now = lab.status(doomed)
    assert [host.state for host in (*now.hosts, now.dns)] == ["up", "up"]
    assert now.hosts[0].uptime is not None
    assert now.hosts[0].uptime <= time.monotonic() - begin
    with pytest.raises(LabError, match=rf"it is up already, since .*mailprov lab status --name {doomed}"):
        lab.up(load(inventory, SecretMode.IGNORE), name=doomed, emit=silent)
    assert run_on(made, "only", "echo still here").strip() == "still here"
    assert lab.down(doomed, silent)
    assert machine_wide(doomed) == {}
    assert nspawn_directories() <= before
    assert doomed not in lab.names()
    assert not lab.down(doomed, silent), (
        "a second down, or one with a wrong name, must not say that a lab went"
    )
    with pytest.raises(LabError, match="there is no such lab"):
        lab.status(doomed)


@pytest.mark.parametrize("moment", ["state", "bridge", "booting", "up at"])
def test_down_clears_up_after_a_killed_up(moment: str, inventory: Path, doomed: str) -> None:
    where = paths(doomed)
    rising = Rising(inventory, doomed)
    if moment == "state":
        wait_until((where.directory / "state.json").exists, "the state file")
    elif moment == "bridge":
        wait_until(Path(f"/sys/class/net/{where.bridge}").exists, "the bridge")
    else:
        rising.until(moment)
    rising.end(signal.SIGKILL)
    assert traces(where)
    lab.down(doomed, silent)
    assert machine_wide(doomed) == {}


@pytest.mark.parametrize("damage", ["missing", "garbage", "no directory"])
def test_down_needs_no_state_file(damage: str, inventory: Path, doomed: str) -> None:
    where = paths(doomed)
    lab.up(load(inventory, SecretMode.IGNORE), name=doomed, emit=silent)
    state = where.directory / "state.json"
    if damage == "garbage":
        state.write_bytes(os.urandom(100))
        with pytest.raises(LabError, match="its state cannot be read"):
            lab.status(doomed)
    else:
        state.unlink()
    if damage == "no directory":
        where.directory.rename(where.directory.with_name("moved"))
    try:
        lab.down(doomed, silent)
        left = machine_wide(doomed)
    finally:
        if damage == "no directory":
            delete_tree(where.directory.with_name("moved"))
    assert left == {}


def test_ctrl_c_cleans_up_by_itself(inventory: Path, doomed: str) -> None:
    rising = Rising(inventory, doomed)
    rising.until("booting")
    assert rising.end(signal.SIGINT) == 130
    assert "nothing of it is left" in rising.text()
    assert "Traceback" not in rising.text()
    assert machine_wide(doomed) == {}


def test_a_failed_up_cleans_up_by_itself(
    inventory: Path, doomed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mailprov.lab.hosts.IPv4Network", lambda text: {1: "not an address"})
    with pytest.raises((LabError, AttributeError)):
        lab.up(load(inventory, SecretMode.IGNORE), name=doomed, emit=silent)
    assert machine_wide(doomed) == {}


def test_up_removes_the_remains_of_a_killed_one(inventory: Path, doomed: str) -> None:
    rising = Rising(inventory, doomed)
    rising.until("booting")
    rising.end(signal.SIGKILL)
    made = lab.up(load(inventory, SecretMode.IGNORE), name=doomed, emit=silent)
    assert run_on(made, "only", "hostname -f").strip() == "only.gamma.test"


def test_workers_of_one_test_session_take_a_killed_ones_lab_away_together() -> None:
    ended = subprocess.Popen(["true"])
    ended.wait()
    (paths(f"test-{ended.pid}-1").directory / "hosts").mkdir(parents=True)
    workers = [
        subprocess.Popen([sys.executable, "-c", REMOVE], stderr=subprocess.PIPE, text=True) for _ in range(4)
    ]
    assert [(worker.communicate(timeout=300)[1], worker.returncode) for worker in workers] == [("", 0)] * 4
    assert f"test-{ended.pid}-1" not in lab.names()


def test_two_at_work_on_one_lab_are_told(inventory: Path, doomed: str) -> None:
    rising = Rising(inventory, doomed)
    wait_until((paths(doomed).directory / "state.json").exists, "the state file")
    with pytest.raises(LabError, match="another mailprov is working on it"):
        lab.down(doomed, silent)
    rising.until("all up")
    assert rising.process.wait(timeout=120) == 0


def test_two_labs_side_by_side(pair: lab.Lab, inventory: Path, doomed: str) -> None:
    other = lab.up(load(inventory, SecretMode.IGNORE), name=doomed, emit=silent)
    assert other.subnet != pair.subnet
    assert run_on(other, "only", "getent hosts only.lab.internal | wc -l").strip() == "1"
    for there in (other.dns.address, other.host("only").address):
        refused = run_on(
            pair, "mx1", f"timeout 3 bash -c '</dev/tcp/{there}/22' && echo reached || echo not", check=False
        )
        assert refused.strip() == "not"
    lab.down(doomed, silent)
    assert run_on(pair, "mx1", "getent hosts mx2.lab.internal >/dev/null && echo fine").strip() == "fine"


def test_hosts_are_the_releases_asked_for(pair: lab.Lab) -> None:
    assert run_on(pair, "mx1", ". /etc/os-release; echo $ID-$VERSION_ID").strip() == "debian-12"
    assert run_on(pair, "mx2", ". /etc/os-release; echo $ID-$VERSION_ID").strip() == "debian-13"
    # a dozen systemds need more than the kernel's 128
    assert int(Path("/proc/sys/fs/inotify/max_user_instances").read_text()) >= 8192
    assert run_on(pair, "mx1", "hostname; hostname -f").split() == ["mx1", "mx1.alpha.test"]
    for host in ("mx1", "mx2"):
        assert run_on(pair, host, "systemctl is-system-running").strip() == "running"
        assert run_on(pair, host, "dpkg -l | grep -cE 'postfix|dovecot|exim'", check=False).strip() == "0"
        run_on(pair, host, "python3 -c 'import ssl, json' && sudo -n true && getent services submission")


def test_ssh_wants_the_pinned_key(pair: lab.Lab, tmp_path: Path) -> None:
    assert run_on(pair, "mx1", "id -u").strip() == "0"
    wrong = tmp_path / "known_hosts"
    wrong.write_text(pair.known_hosts.read_text().replace(pair.host("mx1").address + ",", "192.0.2.9,"))
    argv = [word.replace(str(pair.known_hosts), str(wrong)) for word in pair.ssh_argv("mx1", ["true"])]
    assert argv != pair.ssh_argv("mx1", ["true"])
    done = subprocess.run(argv, capture_output=True, text=True)
    assert done.returncode == 255
    assert "verification failed" in done.stderr
    with pytest.raises(InputError, match="Its hosts are mx1, mx2, ns1"):
        pair.ssh_argv("mx9")


def keyring(where: lab.Lab) -> dict[str, object]:
    secret = (where.directory / "secrets" / "tsig").read_text().strip()
    return {"keyring": dns.tsigkeyring.from_text({"mailprov-lab": secret}), "keyalgorithm": "hmac-sha256"}


def lookup(where: lab.Lab, name: str, kind: str) -> list[str]:
    answer = dns.query.udp(dns.message.make_query(name, kind), where.dns.address, timeout=120).answer
    return sorted(str(record) for rrset in answer for record in rrset)


def test_dns_takes_signed_updates_only(pair: lab.Lab) -> None:
    assert pair.zones == ("alfa.test", "alpha.test", "beta.test")
    for zone in pair.zones:
        assert lookup(pair, zone, "NS") == [f"ns1.{zone}."]
        assert lookup(pair, f"ns1.{zone}", "A") == [pair.dns.address]
        assert int(lookup(pair, zone, "SOA")[0].split()[-1]) <= 60
    assert lookup(pair, "mx1.alpha.test", "A") == []

    unsigned = dns.update.Update("alpha.test")
    unsigned.add("mx1", 60, "A", "192.0.2.66")
    assert dns.query.tcp(unsigned, pair.dns.address, timeout=120).rcode() == dns.rcode.REFUSED
    bad = {"keyring": dns.tsigkeyring.from_text({"mailprov-lab": "AAAA"}), "keyalgorithm": "hmac-sha256"}
    forged = dns.update.Update("alpha.test", **bad)  # type: ignore[arg-type]
    forged.add("mx1", 60, "A", "192.0.2.66")
    with pytest.raises(dns.exception.DNSException):
        dns.query.tcp(forged, pair.dns.address, timeout=120)
    assert lookup(pair, "mx1.alpha.test", "A") == []

    signed = dns.update.Update("alpha.test", **keyring(pair))  # type: ignore[arg-type]
    signed.add("mx1", 60, "A", pair.host("mx1").address)
    assert dns.query.tcp(signed, pair.dns.address, timeout=120).rcode() == dns.rcode.NOERROR
    assert lookup(pair, "mx1.alpha.test", "A") == [pair.host("mx1").address]
    assert pair.host("mx1").address in run_on(pair, "mx2", "getent ahostsv4 mx1.alpha.test")

    transferred = dns.zone.from_xfr(dns.query.xfr(pair.dns.address, "alpha.test", **keyring(pair)))  # type: ignore[arg-type]
    assert transferred.get_node("mx1") is not None
    with pytest.raises(dns.exception.DNSException):
        dns.zone.from_xfr(dns.query.xfr(pair.dns.address, "alpha.test"))


def test_hosts_resolve_each_other_and_the_world_forward_and_reverse(pair: lab.Lab) -> None:
    for here, there in (("mx1", "mx2"), ("mx2", "mx1")):
        assert pair.host(there).address in run_on(pair, here, f"getent ahostsv4 {there}")
        assert run_on(pair, here, f"ping -c1 -W2 {there} >/dev/null && echo fine").strip() == "fine"
    reverse = dns.message.make_query(dns.reversename.from_address(pair.dns.address), "PTR")
    assert "ns1.lab.internal." in str(dns.query.udp(reverse, pair.dns.address, timeout=120).answer[0])
    if pair.subnet6:
        assert (
            run_on(
                pair, "mx1", f"ping -6 -c1 -W2 {pair.host('mx2').address6} >/dev/null && echo fine"
            ).strip()
            == "fine"
        )


def test_packages_come_through_the_cache(pair: lab.Lab) -> None:
    fetch = "cd /tmp && rm -f hello_*.deb && apt-get download -o Debug::Acquire::http=true hello 2>&1"
    assert "X-Cache: " in run_on(pair, "mx1", fetch)
    assert "X-Cache: HIT" in run_on(pair, "mx1", fetch)
    installed = run_on(pair, "mx1", "apt-get install -qy hello >/dev/null 2>&1; hello")
    assert installed.strip() == "Hello, world!"


@pytest.fixture
def world() -> Iterator[str]:
    """The address of a host outside all labs, with servers on 25 and 80, behind this machine as a router."""
    space, near, far = f"w{os.getpid()}", *(f"10.96.{os.getpid() % 256}.{n}" for n in (1, 2))
    server = (
        "import socket, select\n"
        "every = [socket.create_server(('', port)) for port in (25, 80)]\n"
        "while True:\n"
        "    for one in select.select(every, [], [])[0]:\n"
        "        peer, address = one.accept()\n"
        "        peer.sendall(address[0].encode())\n"
        "        peer.close()\n"
    )
    commands = (
        f"ip netns add {space}",
        f"ip link add {space}v type veth peer name w0 netns {space}",
        f"ip address add {near}/30 dev {space}v",
        f"ip link set {space}v up",
        f"ip -n {space} address add {far}/30 dev w0",
        f"ip -n {space} link set w0 up",
    )
    for command in commands:
        subprocess.run(command.split(), check=True)
    listening = subprocess.Popen(["ip", "netns", "exec", space, sys.executable, "-c", server])
    yield far
    listening.kill()
    listening.wait()
    subprocess.run(["ip", "netns", "delete", space], check=True)


def test_mail_does_not_leave_the_lab(pair: lab.Lab, world: str) -> None:
    def reach(port: int) -> str:
        return run_on(
            pair, "mx1", f"timeout 5 bash -c 'cat </dev/tcp/{world}/{port}' 2>&1", check=False
        ).strip()

    wait_until(
        lambda: reach(80) == f"{world.removesuffix('2')}1",
        "an answer from outside, asked under this machine's address",
    )
    assert "unreachable" in reach(25) or "No route" in reach(25) or "refused" in reach(25)


def test_a_host_that_reboots_comes_back(pair: lab.Lab) -> None:
    run_on(pair, "mx2", "touch /root/kept")
    before = run_on(pair, "mx2", "cat /proc/sys/kernel/random/boot_id; hostname -I")
    assert lab.status(pair.name).hosts[1].boots == 1
    run_on(pair, "mx2", "systemctl reboot", check=False)
    wait_until(
        lambda: (now := lab.status(pair.name).hosts[1]).boots == 2 and now.state == "up",
        "a second boot of mx2",
    )
    after = run_on(
        pair, "mx2", "ls /root/kept; hostname -I; ping -c1 -W2 mx1 >/dev/null && echo fine"
    ).split()
    assert after == ["/root/kept", *before.split()[1:], "fine"]


def test_reset_makes_hosts_pristine(pair: lab.Lab) -> None:
    packages = run_on(pair, "mx2", "dpkg-query -W")
    keep = {
        path: path.read_bytes()
        for kept in ("secrets", "tls", "ssh", "*")
        for path in pair.directory.glob(f"{kept}/*" if kept != "*" else "*")
        # The authority's root is new at each start; the file keeps the older ones, too.
        if path.is_file() and path.name not in ("state.json", "acme-ca.pem")
    }
    run_on(pair, "mx1", "touch /root/written; rm /etc/services")
    run_on(pair, "mx2", "touch /root/written; dpkg -P less vim-tiny >/dev/null 2>&1")
    assert run_on(pair, "mx2", "dpkg-query -W") != packages
    lab.reset(pair.name, ["mx2"], silent)
    assert run_on(pair, "mx2", "ls /root/").strip() == ""
    assert run_on(pair, "mx2", "dpkg-query -W") == packages
    assert run_on(pair, "mx1", "ls /root/").strip() == "written"

    update = dns.update.Update("beta.test", **keyring(pair))  # type: ignore[arg-type]
    update.add("left", 60, "TXT", "over")
    assert dns.query.tcp(update, pair.dns.address, timeout=120).rcode() == dns.rcode.NOERROR
    lab.reset(pair.name, (), silent)
    assert run_on(pair, "mx1", "ls /root/ /etc/services").split() == ["/etc/services", "/root/:"]
    assert lookup(pair, "left.beta.test", "TXT") == []
    assert keep == {path: path.read_bytes() for path in keep}
    assert [host.boots for host in lab.status(pair.name).hosts] == [1, 1]
    with pytest.raises(InputError, match="it has no host mx7"):
        lab.reset(pair.name, ["mx7"], silent)


def states(name: str) -> list[str]:
    now = lab.status(name)
    return [host.state for host in (now.dns, *now.hosts)]


def leave_marks(where: lab.Lab) -> None:
    """On each disk what only a host that goes on has, also where a new host would be written anew."""
    for host in ("mx1", "mx2"):
        run_on(where, host, "echo here >/root/kept; echo 192.0.2.7 seven.test >>/etc/hosts; dpkg -P less")
    update = dns.update.Update("beta.test", **keyring(where))  # type: ignore[arg-type]
    update.replace("kept", 60, "TXT", "here")
    assert dns.query.tcp(update, where.dns.address, timeout=120).rcode() == dns.rcode.NOERROR


def marks(where: lab.Lab) -> list[str]:
    found = [
        run_on(where, host, "cat /root/kept; getent hosts seven.test; ls /usr/bin/less 2>&1", check=False)
        for host in ("mx1", "mx2")
    ]
    return [*found, *lookup(where, "kept.beta.test", "TXT")]


KEPT = [
    *["here\n192.0.2.7       seven.test\nls: cannot access '/usr/bin/less': No such file or directory\n"] * 2,
    '"here"',
]


def test_a_lab_that_is_stopped_goes_on_where_it_was(pair: lab.Lab, inventory: Path, tmp_path: Path) -> None:
    leave_marks(pair)
    assert lab.stop(pair.name, (), silent)
    assert states(pair.name) == ["down", "down", "down"]
    assert lab.status(pair.name).phase == "stopped"
    left = machine_wide(pair.name)
    assert (left.get("processes"), left.get("mounts")) == (None, None)
    assert not lab.stop(pair.name, (), silent), "it is off already"
    with pytest.raises(LabError, match=rf"mx1: it is off. Boot it: mailprov lab start --name {pair.name}"):
        lab.ssh_argv(pair.name, "mx1")
    text = tmp_path / "pair.yml"
    text.write_text(PAIR)
    with pytest.raises(LabError, match=r"its hosts are off. Boot as it was left: mailprov lab start"):
        lab.up(load(text, SecretMode.IGNORE), name=pair.name, emit=silent)

    assert lab.start(pair.name, (), silent)
    assert (states(pair.name), marks(pair)) == (["up", "up", "up"], KEPT)
    assert not lab.start(pair.name, (), silent), "it is up already"
    lab.reset(pair.name, (), silent)


def test_a_host_that_was_powered_off_is_said_to_be_off_and_boots_as_it_was(
    pair: lab.Lab, tmp_path: Path
) -> None:
    leave_marks(pair)
    for host in ("mx1", "mx2"):
        run_on(pair, host, "systemctl poweroff", check=False)
    wait_until(lambda: states(pair.name) == ["up", "down", "down"], "both are off")
    text = tmp_path / "pair.yml"
    text.write_text(PAIR)
    with pytest.raises(LabError, match=r"mx1, mx2 are off. Boot as it was left: mailprov lab start"):
        lab.up(load(text, SecretMode.IGNORE), name=pair.name, emit=silent)
    assert f"2 off; boot as left: mailprov lab start --name {pair.name}" in str(lab.status(pair.name))

    said: list[Event] = []
    assert lab.start(pair.name, ["mx2"], said.append)
    assert states(pair.name) == ["up", "down", "up"]
    assert lab.start(pair.name, (), said.append)
    assert (states(pair.name), marks(pair)) == (["up", "up", "up"], KEPT)
    lab.reset(pair.name, (), silent)


def test_a_lab_goes_on_after_a_restart_of_this_machine(inventory: Path, doomed: str) -> None:
    """As far as a restart can be played: every process, mount and link of the lab ends at once."""
    made = lab.up(load(inventory, SecretMode.IGNORE), name=doomed, emit=silent)
    run_on(made, "only", "echo here >/root/kept; sync")
    where = paths(doomed)
    stop_hosts(where, [(host.name, 0) for host in (*made.hosts, made.dns)])
    release(where)
    delete_tree(where.run)
    assert where.bridge not in links()
    with pytest.raises(LabError, match=r"its hosts are off. Boot as it was left"):
        lab.up(load(inventory, SecretMode.IGNORE), name=doomed, emit=silent)

    said: list[Event] = []
    assert lab.start(doomed, (), said.append)
    assert "this machine was restarted while it ran" in str(said[0])
    assert run_on(made, "only", "cat /root/kept; hostname -I").split()[:2] == [
        "here",
        made.host("only").address,
    ]


def test_the_subnet_of_a_stopped_lab_stays_its_own(inventory: Path, doomed: str) -> None:
    made = lab.up(load(inventory, SecretMode.IGNORE), name=doomed, emit=silent)
    lab.stop(doomed, (), silent)
    release(paths(doomed))  # as a restart of this machine would
    second = lab_name("second")
    try:
        other = lab.up(load(inventory, SecretMode.IGNORE), name=second, emit=silent)
        assert other.subnet != made.subnet
    finally:
        lab.down(second, silent)


def test_passwords_of_ones_own_choice(inventory: Path, doomed: str, tmp_path: Path) -> None:
    chosen = tmp_path / "passwords"
    chosen.write_text("# the class of 2026\nana@gamma.test\tplum cake 7\n*  course2026\n")
    asked = inventory.read_text().replace("accounts: {", "accounts: {eva: {password: {env: EVA}}, ")
    inventory.write_text(asked)
    made = lab.up(
        load(inventory, SecretMode.IGNORE), name=doomed, passwords=lab.passwords.read(chosen), emit=silent
    )
    accounts = load(made.inventory_path).domains[0].accounts
    assert {a.local_part: a.password.reveal() for a in accounts if a.password} == {
        "ana": "plum cake 7",
        "eva": "course2026",
    }


def stand_in(directory: Path, script: str) -> dict[str, str]:
    """An environment where mmdebstrap is `script`, and the cache is empty."""
    tool = directory / "bin" / "mmdebstrap"
    tool.parent.mkdir()
    tool.write_text(f"#!/bin/sh\nfor target; do :; done\n{script}\n")
    tool.chmod(0o755)
    return {"PATH": f"{tool.parent}:{os.environ['PATH']}", "MAILPROV_LAB_CACHE": str(directory / "cache")}


def test_a_killed_build_leaves_no_process_and_no_root(inventory: Path, doomed: str, tmp_path: Path) -> None:
    environment = stand_in(tmp_path, 'mkdir -p "$target/half"; touch "$target/half/made"; sleep 543.21')
    building = tmp_path / "cache/roots/debian-12/.building/half/made"
    for kill, status in ((signal.SIGKILL, -9), (signal.SIGINT, 130)):
        rising = Rising(inventory, doomed, environment)
        wait_until(building.exists, "the build")
        wait_until(_sleepers, "the build's sleep")
        assert rising.end(kill) == status
        wait_until(lambda: not _sleepers(), "the end of what the build had started")
        lab.down(doomed, silent)
        assert machine_wide(doomed) == {}
        assert {path.name for path in building.parents[2].iterdir()} <= {".building"}
        building.unlink(missing_ok=True)


def _sleepers() -> list[str]:
    return subprocess.run(["pgrep", "-f", "^sleep 543.21$"], capture_output=True, text=True).stdout.split()


def test_a_build_that_fails_is_told_in_one_sentence(
    inventory: Path, doomed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = "case $* in *trixie*) sleep 543.21;; esac; echo 'E: said no' >&2; echo E: failed >&2; exit 25"
    for key, value in stand_in(tmp_path, script).items():
        monkeypatch.setenv(key, value)
    asked = load(inventory, SecretMode.IGNORE)
    with pytest.raises(LabError, match=r"debian-12: mmdebstrap could not build the root: E: said no\."):
        lab.up(asked, name=doomed, emit=silent)
    monkeypatch.setattr(
        "mailprov.lab.lifecycle.releases.DNS_ROOT", RELEASES["debian-13"]
    )  # builds, and is ended
    with pytest.raises(LabError, match=r"ubuntu-24.04: Ubuntu's archive .*Use debian-12 or debian-13"):
        lab.up(asked, name=doomed, release="ubuntu-24.04", emit=silent)
    assert not _sleepers()
    with pytest.raises(InputError, match="'ubuntu-1' is not known"):
        lab.up(asked, name=doomed, release="ubuntu-1", emit=silent)
    assert machine_wide(doomed) == {}


def test_a_second_lab_of_the_same_hosts_builds_nothing(pair: lab.Lab, doomed: str, tmp_path: Path) -> None:
    """How long it takes is measured by the bench."""
    path = tmp_path / "pair.yml"
    path.write_text(PAIR)
    said: list[Event] = []
    lab.up(load(path, SecretMode.IGNORE), name=doomed, emit=said.append)
    assert [str(event) for event in said if "building" in str(event)] == []


DOCKER = """
import subprocess, sys
from mailprov.lab import network
from mailprov.lab.paths import place
def rules():
    return subprocess.check_output(["iptables", "-S", "DOCKER-USER"], text=True).count("-j ACCEPT")
subprocess.run(["iptables", "-P", "FORWARD", "DROP"], check=True)
subprocess.run(["iptables", "-N", "DOCKER-USER"], check=True)
network._pass_docker(place("x"), "-I")
between = rules()
network._pass_docker(place("x"), "-D")
print(between, rules())
"""


@pytest.mark.skipif(shutil.which("iptables") is None, reason="no iptables here, so no Docker either")
def test_docker_lets_the_lab_pass() -> None:
    done = subprocess.run(["unshare", "--net", sys.executable, "-c", DOCKER], capture_output=True, text=True)
    assert done.stdout.split() == ["2", "0"], done.stderr
