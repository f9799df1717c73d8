"""Where hosts are, told before the file is checked: as the checked file has them, or nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from mailprov.inventory import SecretMode, example_text, load
from mailprov.inventory.composer import parse
from mailprov.inventory.unchecked import hosts
from mailprov.model.inventory import Host, Transport

ROOT = Path(__file__).resolve().parents[3]
PIN = "SHA256:uNiVztksCsDhcc0u9e8BrrJXVGDhYIr3Jv2VxTjKdEM"
PLAIN = """\
ssh: &all {user: ops, port: 2222, identity_file: ~/key, known_hosts: known, proxy_jump: "ops@bastion:22"}
managed: true
hosts:
  mx1: {address: 192.0.2.1, fqdn: mx1.alpha.test}
  mx2: {address: "2001:DB8::2", fqdn: mx2.alpha.test, managed: false, ssh: {config: none, port: 22}}
  mx3: {address: MX3.alpha.test, fqdn: mx3.alpha.test, ssh: {<<: *all, user: root, proxy_jump: none}}
  mx4: {address: 192.0.2.4, fqdn: mx4.alpha.test, ssh: {transport: local}}
  mx5: {address: 192.0.2.5, fqdn: mx5.alpha.test, ssh: {host_key: "{PIN}="}}
domains: {alpha.test: {hosts: [mx1], accounts: {ana: {password: {env: X}}}}}
""".replace("{PIN}", PIN)


def seeming(text: str, folder: Path) -> tuple[Host, ...]:
    return hosts(parse(text, "mail.yml"), folder)


def places(found: tuple[Host, ...]) -> list[tuple[object, ...]]:
    return [(host.name, host.address, host.ssh, host.managed) for host in found]


def test_plain_hosts_are_told_as_the_checked_file_has_them(tmp_path: Path) -> None:
    (tmp_path / "mail.yml").write_text(PLAIN)
    read = load(tmp_path / "mail.yml", SecretMode.IGNORE)
    told = seeming(PLAIN, tmp_path)

    assert places(told) == places(read.hosts)
    assert [host.name for host in told if not host.managed] == ["mx2"]
    assert told[3].ssh.transport is Transport.LOCAL


@pytest.mark.parametrize(
    "ssh",
    [
        "{password: {env: X}}",
        "{passphrase: {command: pass show x}}",
        "{become_password: {file: x}}",
        "{config: its-own}",  # `Match exec` in it would run a program
        "{port: 70000}",
        "{port: ssh}",
        "{port: ²}",
        "{transport: telnet}",
        "{proxy_jump: a b}",
        "{usr: root}",
        "{user: {env: X}}",
        "{user: [root]}",
        '{user: ""}',
        "{user: root, user: ops}",
        "{user: }",
        "root",
    ],
)
@pytest.mark.parametrize("at_top", [True, False])
def test_of_what_is_not_plain_nothing_is_told(ssh: str, at_top: bool, tmp_path: Path) -> None:
    top, own = (f"ssh: {ssh}\n", "") if at_top else ("", f", ssh: {ssh}")
    good = "domains: {alpha.test: {hosts: [mx1], accounts: {ana: {password: {env: X}}}}}\n"
    text = f"{top}hosts: {{mx1: {{address: 192.0.2.1, fqdn: mx1.alpha.test{own}}}}}\n{good}"

    assert seeming(text, tmp_path) == ()


@pytest.mark.parametrize(
    "text",
    [
        "hosts: mx1\n",
        "hosts: {mx1: 192.0.2.1}\n",
        "hosts: {mx1: {fqdn: mx1.alpha.test}}\n",
        "hosts: {mx1: {address: root@192.0.2.1}}\n",
        "hosts: {mx 1: {address: 192.0.2.1}}\n",
        "hosts: {mx1: {address: 192.0.2.1, managed: maybe}}\n",
        "hosts: {mx1: {address: [192.0.2.1]}}\n",
        "domains: {alpha.test: {hosted: {provider: other}}}\n",
    ],
)
def test_of_hosts_without_a_place_nothing_is_told(text: str, tmp_path: Path) -> None:
    assert seeming(text, tmp_path) == ()


@pytest.mark.parametrize("path", sorted((ROOT / "tests/bad").glob("*.yml")), ids=lambda path: path.stem)
def test_no_wrong_file_makes_it_stumble(path: Path) -> None:
    from mailprov.errors import InventoryError

    try:
        document = parse(path.read_text("utf-8", "replace"), path.name)
    except InventoryError:
        return
    hosts(document, path.parent)


def test_the_example_has_a_secret_and_so_nothing_is_told(tmp_path: Path) -> None:
    assert seeming(example_text(), tmp_path) == ()


def test_whoever_loads_is_given_them_before_the_check(tmp_path: Path) -> None:
    path = tmp_path / "mail.yml"
    path.write_text(PLAIN)
    told: list[tuple[Host, ...]] = []
    load(path, SecretMode.IGNORE, early=told.append)
    assert [len(each) for each in told] == [5]

    path.write_text(PLAIN.replace("user: ops", "user: {env: X}"))
    with pytest.raises(Exception, match="user"):
        load(path, SecretMode.IGNORE, early=told.append)
    assert len(told) == 1
