"""Inventory, ssh_config and defaults: who has the say, asked of the ssh program and read without it."""

from __future__ import annotations

import shutil
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from mailprov.errors import HostUnreachable
from mailprov.model.inventory import Host, SshSettings, Tls, Transport
from mailprov.model.jumps import Jump, parse_jumps
from mailprov.model.secret import Secret
from mailprov.transport import config_files, ssh_config
from mailprov.transport.endpoint import Endpoint
from mailprov.transport.openssh.program import command
from mailprov.transport.resolve import Resolver
from mailprov.transport.ssh_config import Answers, SshConfig

SSH = shutil.which("ssh")


def host(address: str = "mx1", name: str = "mx1", **ssh: object) -> Host:
    return Host(name, address, "mx1.alpha.test", SshSettings(**ssh), Tls())  # type: ignore[arg-type]


def endpoint(of: Host, *others: Host) -> Endpoint:
    resolver = Resolver((of, *others))
    try:
        return resolver.endpoint(of)
    finally:
        resolver.close()


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The tester's own configuration and the system's play no part."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(config_files, "SYSTEM", tmp_path / "system")
    (tmp_path / "home" / ".ssh").mkdir(parents=True)
    return tmp_path / "home"


@pytest.fixture(params=["ssh", "without ssh"])
def reader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways to read the files must say the same."""
    if request.param == "without ssh":
        monkeypatch.setattr(shutil, "which", lambda name: None)
    elif SSH is None:
        pytest.skip("there is no ssh program on this machine")
    return str(request.param)


def write(home: Path, text: str, name: str = "config") -> Path:
    path = home / ".ssh" / name
    path.write_text(text)
    return path


@pytest.mark.skipif(SSH is None, reason="there is no ssh program on this machine")
def test_the_ssh_program_goes_by_the_same_files(home: Path) -> None:
    """ssh looks into the password database for ~, not into HOME: it read /root/.ssh/config and knew no alias."""
    write(
        home,
        "Include more\nHost studi3\n  ProxyCommand nc %h %p\n  IdentityFile ~/.ssh/id_studi\nHost other\n  User no\n",
    )
    write(home, "Host studi3\n  HostName 192.0.2.3\n", "more")
    with closing(Resolver()) as resolver:
        made = resolver.endpoint(host("studi3"))
        words = [command(made, 10.0)[0], "-G", *command(made, 10.0)[1:]]
        said = subprocess.run(words, capture_output=True, text=True, check=True).stdout.splitlines()

    assert {"hostname 192.0.2.3", "proxycommand nc %h %p", "user root"} <= set(said)
    files = [line.partition(" ")[2] for line in said if line.startswith("identityfile ")]
    assert files[0] == str(home / ".ssh" / "id_studi"), (
        "what the file names ~ is HOME for us, so it is for ssh"
    )


@pytest.mark.usefixtures("reader")
class TestFiles:
    def test_all_that_is_asked(self, home: Path) -> None:
        write(
            home,
            """
            Host mx*
              HostName %h.example.org
              User ana
              Port 2222
              IdentityFile ~/.ssh/%r-key
              IdentityFile /keys/two
              CertificateFile /keys/two-cert.pub
              IdentitiesOnly yes
              IdentityAgent /agent.sock
              ProxyJump bob@bastion:2200
              UserKnownHostsFile /known /more/known
              HostKeyAlias the-alias
            """,
        )
        made = endpoint(host())
        assert (made.address, made.port, made.user, made.written) == ("mx1.example.org", 2222, "ana", "mx1")
        assert made.keys == (home / ".ssh" / "ana-key", Path("/keys/two"))
        assert made.certificates == (Path("/keys/two-cert.pub"),)
        assert made.only_named_keys
        assert made.agent == "/agent.sock"
        assert made.user_known_hosts == (Path("/known"), Path("/more/known"))
        assert made.lookup_name == "the-alias"
        assert [(hop.user, hop.address, hop.port) for hop in made.jumps] == [("bob", "bastion", 2200)]
        assert not made.jumps_said_here

    def test_the_inventory_wins(self, home: Path) -> None:
        write(
            home, "Host *\n User ana\n Port 2222\n IdentityFile /k\n ProxyJump b\n UserKnownHostsFile /kh\n"
        )
        said = host(
            user="ops", port=22, identity_file=Path("/mine"), known_hosts=Path("/known"), proxy_jump=()
        )
        made = endpoint(said)
        assert (made.user, made.port, made.only_key, made.jumps) == ("ops", 22, Path("/mine"), ())
        assert made.user_known_hosts == (Path("/known"),)
        assert made.global_known_hosts == ()

    def test_the_user_is_root_only_where_nobody_says(self, home: Path) -> None:
        write(home, "Host mx1\n User ana\nHost mx2\n Port 23\n")
        assert endpoint(host()).user == "ana"
        assert (endpoint(host("mx2")).user, endpoint(host("mx2")).port) == ("root", 23)

    def test_include_in_its_block_and_what_follows(self, home: Path) -> None:
        write(home, "Host mx1\n Include more\n Port 24\nHost *\n IdentityFile /k\n")
        write(home, "User ana\n", "more")
        assert (endpoint(host()).user, endpoint(host()).port) == ("ana", 24)
        assert (endpoint(host("mx2")).user, endpoint(host("mx2")).port) == ("root", 22)

    def test_include_with_a_pattern_and_the_systems_file(self, home: Path, tmp_path: Path) -> None:
        write(home, "Include conf.d/*\n")
        (home / ".ssh" / "conf.d").mkdir()
        write(home, "Host mx1\n User ana\n", "conf.d/one")
        write(home, "Host mx1\n User eva\n Port 25\n", "conf.d/two")
        (tmp_path / "system").write_text("Host *\n User bob\n HostKeyAlias everywhere\n")
        made = endpoint(host())
        assert (made.user, made.port, made.lookup_name) == ("ana", 25, "everywhere")
        assert endpoint(host("mx9")).user == "bob"

    def test_one_file_in_place_of_the_usual_ones_and_none(self, home: Path, tmp_path: Path) -> None:
        write(home, "User ana\n")
        own = write(home, "Port 26\n", "own")
        assert (endpoint(host(config=own)).user, endpoint(host(config=own)).port) == ("root", 26)
        assert endpoint(host(ignore_config=True)).user == "root"
        with pytest.raises(HostUnreachable, match=r"mx1: the ssh_config file .*nowhere does not exist"):
            endpoint(host(config=tmp_path / "nowhere"))

    def test_a_proxy_command_is_for_the_ssh_program(self, home: Path) -> None:
        write(home, "Host mx1\n ProxyCommand nc %h %p\n")
        assert endpoint(host()).transport is Transport.OPENSSH
        assert endpoint(host("mx2")).transport is Transport.BUILTIN
        assert endpoint(host(transport=Transport.BUILTIN)).transport is Transport.BUILTIN
        assert endpoint(host(proxy_jump=parse_jumps("b"))).transport is Transport.BUILTIN

    def test_match(self, home: Path, reader: str) -> None:
        write(home, 'Match host mx1 exec "true"\n User ana\nMatch host mx1 exec "false"\n Port 27\n')
        if reader == "ssh":
            assert (endpoint(host()).user, endpoint(host()).port) == ("ana", 22)
        else:
            with pytest.raises(HostUnreachable, match="`Match exec` in ssh_config needs the ssh program"):
                endpoint(host())
        write(home, "Match host mx1\n User ana\nMatch host mx2\n Port 27\n")
        assert (endpoint(host()).user, endpoint(host()).port) == ("ana", 22)


@pytest.mark.skipif(SSH is None, reason="needs the ssh program")
class TestProgram:
    def test_it_is_not_run_where_nothing_is_said(self, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        write(home, "# User ana\nHost *\n SendEnv LANG\n HashKnownHosts yes\n")

        def run(*words: object, **more: object) -> None:
            raise AssertionError("the ssh program was run")

        monkeypatch.setattr(subprocess, "run", run)
        assert endpoint(host()).address == "mx1"
        write(home, "Host *\n User ana\n")
        with pytest.raises(AssertionError):
            endpoint(host())

    def test_once_for_each_host(self, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        write(home, "User ana\n")
        asked = []
        ask = SshConfig.ask
        monkeypatch.setattr(SshConfig, "ask", lambda *words: asked.append(words) or ask(*words))
        resolver = Resolver()
        assert {resolver.endpoint(host()).user for _ in range(5)} == {"ana"}
        resolver.close()
        assert len(asked) == 1

    def test_a_file_that_ssh_refuses(self, home: Path) -> None:
        path = write(home, "User ana\nNoSuchThing 1\n")
        with pytest.raises(HostUnreachable) as caught:
            endpoint(host())
        assert str(caught.value) == (
            f"mx1: ssh refuses its configuration ({path}: line 2: Bad configuration option: nosuchthing). "
            "Fix that file, or set `ssh: {config: none}` in the inventory."
        )

    def test_a_match_that_hangs(self, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(ssh_config, "_TIMEOUT", 0.3)
        write(home, 'Match exec "sleep 3"\n User ana\n')
        with pytest.raises(HostUnreachable, match="gave no answer within 0 s"):
            endpoint(host())

    def test_paths_with_spaces_and_canonical_names(self, home: Path) -> None:
        write(home, 'UserKnownHostsFile "/a b/c" /d\nIdentityFile "/my keys/one"\n')
        made = endpoint(host())
        assert made.user_known_hosts == (Path("/a b/c"), Path("/d"))
        assert made.keys == (Path("/my keys/one"),)

    def test_relative_includes_of_the_system_stand_beside_it(self, tmp_path: Path) -> None:
        text = config_files.absolute(Path("/etc/ssh/ssh_config"))
        assert "Include " not in text.replace('Include "/', "")
        assert SshConfig(ignore=True).ask("mx1", "mx1") == Answers()


class TestJumps:
    def test_words(self) -> None:
        assert parse_jumps("ops@b:2200, [::1]:22 ,ssh://c,fe80::1%eth0") == (
            Jump("b", "ops", 2200),
            Jump("::1", None, 22),
            Jump("c"),
            Jump("fe80::1%eth0"),
        )
        assert parse_jumps("none") == ()
        assert ",".join(str(jump) for jump in parse_jumps("ops@b:2200,[::1]:22")) == "ops@b:2200,[::1]:22"
        for wrong in ("", "a,,b", "a b", "a:0", "a:x", "-oProxyCommand=x", "u@v@w"):
            with pytest.raises(ValueError, match=r"jump host|port"):
                parse_jumps(wrong)

    def test_what_a_hop_has_of_the_host_behind_it(self) -> None:
        secret = Secret("env:X", "x")
        behind = host(
            user="ops",
            identity_file=Path("/key"),
            known_hosts=Path("/known"),
            password=secret,
            become_password=secret,
            host_key="SHA256:x",
            proxy_jump=parse_jumps("first,root@second:23"),
        )
        made = endpoint(behind)
        first, second = made.jumps
        assert (first.user, first.port, second.user, second.port) == ("ops", 22, "root", 23)
        for hop in (first, second):
            assert hop.only_key == Path("/key")
            assert hop.user_known_hosts == (Path("/known"),)
            assert (hop.password, hop.become_password, hop.host_key) == (None, None, None)
        assert first.name == "jump host first"
        assert made.jumps_said_here

    def test_a_host_of_the_inventory(self) -> None:
        bastion = host("10.0.0.1", "bastion", user="jim", port=2222, host_key="SHA256:x")
        made = endpoint(host(proxy_jump=parse_jumps("bastion")), bastion)
        (hop,) = made.jumps
        assert (hop.address, hop.user, hop.port, hop.host_key) == ("10.0.0.1", "jim", 2222, "SHA256:x")
        assert (hop.name, hop.host) == ("jump host bastion", "mx1")

    def test_the_way_to_the_first_hop_is_its_own(self) -> None:
        outer = host("outer", "outer")
        inner = host("inner", "inner", proxy_jump=parse_jumps("outer"))
        made = endpoint(host(proxy_jump=parse_jumps("inner,last")), outer, inner)
        assert [hop.address for hop in made.jumps] == ["outer", "inner", "last"]
        assert all(hop.jumps == () for hop in made.jumps)

    def test_equal_ways_are_one_connection(self) -> None:
        one = endpoint(host(proxy_jump=parse_jumps("b")))
        two = endpoint(host("mx2", "mx2", proxy_jump=parse_jumps("b")))
        assert one.jumps == two.jumps
        assert hash(one.jumps) == hash(two.jumps)
        assert one.jumps != endpoint(host(proxy_jump=parse_jumps("ana@b"))).jumps

    def test_circles(self, home: Path) -> None:
        a = host("a", "a", proxy_jump=parse_jumps("b"))
        b = host("b", "b", proxy_jump=parse_jumps("a"))
        with pytest.raises(HostUnreachable, match=r"the jump hosts go round in a circle \(a → b → a\)"):
            endpoint(a, b)
        write(home, "Host *\n ProxyJump bastion\n")
        with pytest.raises(HostUnreachable, match=r"jump host bastion: .*(jumphost loop|in a circle)"):
            endpoint(host())
