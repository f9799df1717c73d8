"""`mailprov trust` against real OpenSSH servers on loopback: what is new is shown and added, and what contradicts a key
that is known, revoked or pinned is refused, also with --yes, and says which line of which file does.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.lab.program import COMMAND
from tests.lab.sshd import Sshd, make_key
from tests.lab.test_transport import no_agent_no_home
from tests.unit.cli.terminal import Terminal

__all__ = ["no_agent_no_home"]  # a fixture
pytestmark = pytest.mark.lab


@dataclass
class Done:
    code: int
    out: str
    err: str

    @property
    def both(self) -> str:
        return self.out + self.err


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    with Sshd(tmp_path_factory.mktemp("goal")) as running:
        yield running


@pytest.fixture(scope="module")
def jump(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    with Sshd(tmp_path_factory.mktemp("jump")) as running:
        yield running


class Desk:
    """A user's place: an inventory, and a known_hosts file to be filled."""

    def __init__(self, folder: Path, server: Sshd) -> None:
        self.folder, self.server = folder, server
        self.known = folder / "known_hosts"
        self.identity = server.identity

    def hold(self, *lines: str) -> None:
        self.known.write_text("".join(f"{line}\n" for line in ("# mine", *lines)))

    def inventory(
        self, *, host_key: str = "", jump: str = "", config: str = "none", known: bool = True
    ) -> Path:
        words = {
            "port": str(self.server.port),
            "identity_file": str(self.identity),
            "config": config,
            **({"known_hosts": str(self.known)} if known else {}),
            **({"host_key": f'"{host_key}"'} if host_key else {}),
            **({"proxy_jump": f'"{jump}"'} if jump else {}),
        }
        ssh = ", ".join(f"{key}: {value}" for key, value in words.items())
        path = self.folder / "mail.yml"
        path.write_text(
            f"hosts:\n  mx1: {{address: 127.0.0.1, fqdn: mx1.alpha.test, ssh: {{{ssh}}}}}\n"
            "domains: {alpha.test: {hosts: [mx1], accounts: {ana: {password: {env: HOME}}}}}\n"
        )
        return path

    def trust(self, path: Path, *words: str) -> Done:
        done = subprocess.run(
            [*COMMAND, "trust", *words, str(path), "mx1"],
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=120,
            env=dict(os.environ),
            check=False,
        )
        assert "Traceback" not in done.stderr, done.stderr
        return Done(done.returncode, done.stdout, " ".join(done.stderr.split()))


@pytest.fixture
def desk(server: Sshd, tmp_path: Path) -> Desk:
    return Desk(tmp_path, server)


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Keys that no server here has: type and key as known_hosts has them, by kind."""
    folder = tmp_path_factory.mktemp("strangers")
    made = {}
    for kind in ("ed25519", "ecdsa", "rsa"):
        make_key(folder / kind, kind)
        made[kind] = " ".join((folder / f"{kind}.pub").read_text().split()[:2])
    return made


def at(port: int) -> str:
    return f"[127.0.0.1]:{port}"


def key_of(server: Sshd, kind: str) -> str:
    return server.line(kind).split(" ", 1)[1]


def refused(done: Done, desk: Desk, *words: str) -> None:
    """Nothing was added, the exit code says that something failed, and each of `words` is there."""
    assert done.code == 1, done.both
    for word in words:
        assert word in done.err, done.both
    assert "Added" not in done.both
    assert "Nothing was added" in done.err


EITHER = pytest.mark.parametrize("yes", [("--yes",), ()], ids=["yes", "asking"])


class TestNew:
    def test_unknown_keys_are_shown_and_added(self, desk: Desk) -> None:
        done = desk.trust(desk.inventory(), "--yes")
        assert done.code == 0, done.both
        for kind in ("ed25519", "ecdsa", "rsa"):
            assert desk.server.fingerprint(kind) in done.out
            assert key_of(desk.server, kind) in desk.known.read_text()

    def test_without_a_terminal_and_without_yes_nothing_is_added(self, desk: Desk) -> None:
        done = desk.trust(desk.inventory())
        assert done.code == 2
        assert not desk.known.exists()

    def test_a_further_type_of_a_host_that_is_known(self, desk: Desk) -> None:
        desk.hold(desk.server.line("rsa"))
        assert desk.trust(desk.inventory(), "--yes").code == 0
        assert desk.server.line("ed25519") in desk.known.read_text()

    def test_one_of_two_known_keys_of_a_type_is_enough(self, desk: Desk, stranger: dict[str, str]) -> None:
        desk.hold(f"{at(desk.server.port)} {stranger['ed25519']}", desk.server.line("ed25519"))
        assert desk.trust(desk.inventory(), "--yes").code == 0

    def test_a_line_without_a_port_contradicts_nothing(self, desk: Desk, stranger: dict[str, str]) -> None:
        desk.hold(f"127.0.0.1 {stranger['ed25519']}")
        assert desk.trust(desk.inventory(), "--yes").code == 0

    def test_of_a_pinned_host_only_what_the_pin_proves_is_added(self, desk: Desk) -> None:
        pin = desk.server.fingerprint("ecdsa")
        done = desk.trust(desk.inventory(host_key=pin), "--yes")
        assert done.code == 0, done.both
        assert desk.known.read_text() == desk.server.line("ecdsa") + "\n"
        assert desk.server.fingerprint("ed25519") not in done.out


@EITHER
class TestChanged:
    def test_another_key_is_known(self, desk: Desk, stranger: dict[str, str], yes: tuple[str, ...]) -> None:
        desk.hold(f"{at(desk.server.port)} {stranger['ed25519']}")
        before = desk.known.read_text()
        done = desk.trust(desk.inventory(), *yes)
        refused(done, desk, "HAS CHANGED", desk.server.fingerprint("ed25519"), f"remove {desk.known}:2")
        assert desk.known.read_text() == before

    def test_all_lines_that_contradict_are_named(
        self, desk: Desk, stranger: dict[str, str], yes: tuple[str, ...]
    ) -> None:
        desk.hold(*(f"{at(desk.server.port)} {stranger[kind]}" for kind in ("ed25519", "ecdsa", "rsa")))
        refused(desk.trust(desk.inventory(), *yes), desk, *(f"{desk.known}:{line}" for line in (2, 3, 4)))

    def test_one_type_changed_and_the_others_as_known(
        self, desk: Desk, stranger: dict[str, str], yes: tuple[str, ...]
    ) -> None:
        desk.hold(desk.server.line("ed25519"), f"{at(desk.server.port)} {stranger['rsa']}")
        refused(desk.trust(desk.inventory(), *yes), desk, "HAS CHANGED", f"remove {desk.known}:3")

    def test_the_name_is_hashed(self, desk: Desk, stranger: dict[str, str], yes: tuple[str, ...]) -> None:
        desk.hold(f"{at(desk.server.port)} {stranger['ecdsa']}")
        subprocess.run(["ssh-keygen", "-q", "-H", "-f", str(desk.known)], check=True, capture_output=True)
        refused(desk.trust(desk.inventory(), *yes), desk, "HAS CHANGED", f"remove {desk.known}:2")

    def test_a_pattern_with_wildcards(
        self, desk: Desk, stranger: dict[str, str], yes: tuple[str, ...]
    ) -> None:
        desk.hold(f"[127.0.0.*]:* {stranger['ed25519']}")
        refused(desk.trust(desk.inventory(), *yes), desk, "HAS CHANGED", f"remove {desk.known}:2")

    def test_the_known_type_is_gone(self, desk: Desk, tmp_path: Path, yes: tuple[str, ...]) -> None:
        with Sshd(tmp_path / "small", kinds=("ed25519",)) as small:
            desk.hold(f"{at(small.port)} {key_of(desk.server, 'rsa')}")
            desk.server = small
            refused(desk.trust(desk.inventory(), *yes), desk, "HAS CHANGED", f"remove {desk.known}:2")

    def test_the_key_is_in_the_file_for_all_users(
        self, desk: Desk, stranger: dict[str, str], tmp_path: Path, yes: tuple[str, ...]
    ) -> None:
        everybody = tmp_path / "everybody"
        everybody.write_text(f"{at(desk.server.port)} {stranger['ed25519']}\n")
        config = tmp_path / "config"
        config.write_text(f"Host *\n GlobalKnownHostsFile {everybody}\n UserKnownHostsFile {desk.known}\n")
        done = desk.trust(desk.inventory(config=str(config), known=False), *yes)
        refused(done, desk, "HAS CHANGED", f"remove {everybody}:1")
        assert not desk.known.exists()

    def test_a_host_key_alias(
        self, desk: Desk, stranger: dict[str, str], tmp_path: Path, yes: tuple[str, ...]
    ) -> None:
        config = tmp_path / "config"
        config.write_text("Host *\n HostKeyAlias the-alias\n")
        desk.hold(f"the-alias {stranger['ed25519']}")
        done = desk.trust(desk.inventory(config=str(config)), *yes)
        refused(done, desk, "HAS CHANGED", f"remove {desk.known}:2")


@EITHER
class TestRevoked:
    @pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
    def test_for_every_host(self, desk: Desk, kind: str, yes: tuple[str, ...]) -> None:
        desk.hold(f"@revoked * {key_of(desk.server, kind)}")
        done = desk.trust(desk.inventory(), *yes)
        refused(done, desk, "REVOKED", f"{desk.known}:2", desk.server.fingerprint(kind))

    def test_although_it_is_known(self, desk: Desk, yes: tuple[str, ...]) -> None:
        desk.hold(desk.server.line("ed25519"), f"@revoked * {key_of(desk.server, 'ed25519')}")
        refused(desk.trust(desk.inventory(), *yes), desk, "REVOKED", f"{desk.known}:3")

    def test_although_it_is_pinned(self, desk: Desk, yes: tuple[str, ...]) -> None:
        desk.hold(f"@revoked {at(desk.server.port)} {key_of(desk.server, 'ed25519')}")
        pin = desk.server.fingerprint("ed25519")
        refused(desk.trust(desk.inventory(host_key=pin), *yes), desk, "REVOKED", f"{desk.known}:2")

    def test_by_a_line_without_the_port(self, desk: Desk, yes: tuple[str, ...]) -> None:
        desk.hold(f"@revoked 127.0.0.1 {key_of(desk.server, 'rsa')}")
        refused(desk.trust(desk.inventory(), *yes), desk, "REVOKED", f"{desk.known}:2")


@EITHER
class TestPinned:
    def test_to_another_key(self, desk: Desk, yes: tuple[str, ...]) -> None:
        wrong = "SHA256:" + "A" * 43
        done = desk.trust(desk.inventory(host_key=wrong), *yes)
        refused(done, desk, "HAS CHANGED", wrong, "correct `host_key` of mx1")
        assert not desk.known.exists()

    def test_to_another_key_although_the_files_know_this_one(self, desk: Desk, yes: tuple[str, ...]) -> None:
        desk.hold(desk.server.line("ed25519"))
        refused(desk.trust(desk.inventory(host_key="SHA256:" + "A" * 43), *yes), desk, "HAS CHANGED")


@EITHER
class TestJumpHosts:
    """The same for each hop on the way, before anything goes through it."""

    @pytest.fixture
    def desk(self, server: Sshd, jump: Sshd, tmp_path: Path) -> Desk:
        jump.authorized_keys.write_text(Path(f"{server.identity}.pub").read_text())
        return Desk(tmp_path, server)

    def test_changed(self, desk: Desk, jump: Sshd, stranger: dict[str, str], yes: tuple[str, ...]) -> None:
        before = jump.log.read_text().count("Accepted")
        desk.hold(f"{at(jump.port)} {stranger['ed25519']}")
        done = desk.trust(desk.inventory(jump=f"127.0.0.1:{jump.port}"), *yes)
        refused(done, desk, "jump host 127.0.0.1", "HAS CHANGED", f"remove {desk.known}:2")
        assert jump.log.read_text().count("Accepted") == before, "no login at a host that is in doubt"
        assert desk.server.fingerprint("ed25519") not in done.both, "nothing went through it"

    def test_known_by_one_type_and_changed_in_another(
        self, desk: Desk, jump: Sshd, stranger: dict[str, str], yes: tuple[str, ...]
    ) -> None:
        desk.hold(jump.line("ed25519"), f"{at(jump.port)} {stranger['ecdsa']}")
        done = desk.trust(desk.inventory(jump=f"127.0.0.1:{jump.port}"), *yes)
        refused(done, desk, "jump host 127.0.0.1", "HAS CHANGED", f"remove {desk.known}:3")

    def test_revoked(self, desk: Desk, jump: Sshd, yes: tuple[str, ...]) -> None:
        desk.hold(jump.line("ed25519"), f"@revoked * {key_of(jump, 'rsa')}")
        done = desk.trust(desk.inventory(jump=f"127.0.0.1:{jump.port}"), *yes)
        refused(done, desk, "jump host 127.0.0.1", "REVOKED", f"{desk.known}:3")

    def test_the_host_behind_it_changed(
        self, desk: Desk, jump: Sshd, stranger: dict[str, str], yes: tuple[str, ...]
    ) -> None:
        desk.hold(jump.line("ed25519"), f"{at(desk.server.port)} {stranger['ed25519']}")
        done = desk.trust(desk.inventory(jump=f"127.0.0.1:{jump.port}"), *yes)
        refused(done, desk, "mx1: ", "HAS CHANGED", f"remove {desk.known}:3")


class TestAllHosts:
    """Without HOST: each host's keys are shown, one question; what is wrong with one keeps none of the others."""

    @pytest.fixture
    def path(self, server: Sshd, jump: Sshd, tmp_path: Path) -> Path:
        """mx1 and mx2 are servers, at mx3 nobody listens, mx4 is no matter of SSH."""
        ports = {"mx1": server.port, "mx2": jump.port, "mx3": 1}
        lines = [
            f"  {name}: {{address: 127.0.0.1, fqdn: {name}.alpha.test, ssh: {{port: {port}}}}}\n"
            for name, port in ports.items()
        ]
        path = tmp_path / "mail.yml"
        path.write_text(
            f"ssh: {{config: none, known_hosts: {tmp_path / 'known_hosts'}}}\nhosts:\n{''.join(lines)}"
            "  mx4: {address: localhost, fqdn: mx4.alpha.test, ssh: {transport: local}}\n"
            "domains: {alpha.test: {hosts: [mx1, mx2, mx3, mx4]}}\n"
        )
        return path

    def trust(self, path: Path, *words: str) -> Done:
        done = subprocess.run(
            [*COMMAND, "trust", *words],
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            cwd=path.parent,
            timeout=120,
            check=False,
        )
        assert "Traceback" not in done.stderr, done.stderr
        return Done(done.returncode, done.stdout, " ".join(done.stderr.split()))

    def test_all_that_can_be_reached_are_added(self, path: Path, server: Sshd, jump: Sshd) -> None:
        done = self.trust(path, "--yes")
        known = (path.parent / "known_hosts").read_text()

        assert done.code == 3, done.both
        assert "mx3: 127.0.0.1 port 1 refused the connection" in done.err
        assert "mx4" not in done.both
        for one in (server, jump):
            for kind in ("ed25519", "ecdsa", "rsa"):
                assert one.fingerprint(kind) in done.out
                assert one.line(kind) in known
        again = self.trust(path, "mx1", "mx2")
        assert again.code == 0, "what is known needs no answer"
        assert again.out.count("its keys are known already") == 2

    def test_one_that_has_changed_is_refused_alone(
        self, path: Path, server: Sshd, jump: Sshd, stranger: dict[str, str]
    ) -> None:
        known = path.parent / "known_hosts"
        known.write_text(f"{at(server.port)} {stranger['ed25519']}\n")
        done = self.trust(path, "--yes", "mx1", "mx2")

        assert done.code == 1, done.both
        assert "mx1: THE HOST KEY OF" in done.err
        assert "HAS CHANGED" in done.err
        assert jump.line("rsa") in known.read_text()
        assert server.fingerprint("ed25519") not in done.out
        assert key_of(server, "ed25519") not in known.read_text()

    def test_one_question_for_all_of_them(self, path: Path, server: Sshd, jump: Sshd) -> None:
        with Terminal("trust", "mx1", "mx2", cwd=path.parent) as terminal:
            terminal.answer("Add these 6 keys of 2 hosts to", "y")
            assert terminal.end() == 0
        assert terminal.shown.count("[y/N]") == 1
        assert terminal.shown.startswith("inventory: mail.yml\n")
        assert (path.parent / "known_hosts").read_text().count("\n") == 6

    def test_a_no_adds_nothing(self, path: Path) -> None:
        with Terminal("trust", "mx1", cwd=path.parent) as terminal:
            terminal.answer("Add them to", "n")
            assert terminal.end() == 1
        assert not (path.parent / "known_hosts").exists()

    def test_events_tell_each_key(self, path: Path, server: Sshd) -> None:
        done = self.trust(path, "--yes", "--json", "mx1")
        events = [json.loads(line) for line in done.out.splitlines()]
        keys = [event for event in events if event["event"] == "host_key"]

        assert [key["status"] for key in keys] == ["new"] * 3 + ["added"] * 3
        assert {key["fingerprint"] for key in keys} == {
            server.fingerprint(kind) for kind in ("ed25519", "ecdsa", "rsa")
        }

    def test_hosts_behind_one_unknown_jump_host(self, server: Sshd, jump: Sshd, tmp_path: Path) -> None:
        """The jump host first, once; then those behind it."""
        jump.authorized_keys.write_text(Path(f"{server.identity}.pub").read_text())
        path = tmp_path / "mail.yml"
        ssh = (
            f"{{port: {server.port}, proxy_jump: '127.0.0.1:{jump.port}', identity_file: {server.identity}}}"
        )
        path.write_text(
            f"ssh: {{config: none, known_hosts: {tmp_path / 'known_hosts'}}}\nhosts:\n"
            f"  mx1: {{address: 127.0.0.1, fqdn: mx1.alpha.test, ssh: {ssh}}}\n"
            f"  mx2: {{address: localhost, fqdn: mx2.alpha.test, ssh: {ssh}}}\n"
            "domains: {alpha.test: {hosts: [mx1, mx2]}}\n"
        )
        done = self.trust(path, "--yes")

        assert done.code == 0, done.both
        assert done.out.count("jump host 127.0.0.1") == 1
        known = (tmp_path / "known_hosts").read_text()
        assert known.count("\n") == 9


def test_the_advice_leads_back_to_a_host_that_is_trusted(desk: Desk, stranger: dict[str, str]) -> None:
    desk.hold(f"{at(desk.server.port)} {stranger['ed25519']}")
    path = desk.inventory()
    said = desk.trust(path, "--yes").err
    place, number = said.partition("remove ")[2].split()[0].rstrip(".,").rsplit(":", 1)
    lines = Path(place).read_text().splitlines(keepends=True)
    del lines[int(number) - 1]
    Path(place).write_text("".join(lines))
    assert desk.trust(path, "--yes").code == 0
    assert desk.server.line("ed25519") in desk.known.read_text()
