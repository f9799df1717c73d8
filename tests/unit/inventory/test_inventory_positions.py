"""Where things stand in the file; keys as text; anchors, aliases and merge keys; both parsers alike."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mailprov.errors import InventoryError
from mailprov.inventory import SecretMode, composer, load
from mailprov.inventory.composer import events, events_in_python, parse
from mailprov.model.inventory import Inventory
from mailprov.schema.document import Map, Plain, Seq, show, show_path

BAD = Path(__file__).resolve().parents[2] / "bad"
EXAMPLES = Path(__file__).resolve().parents[3] / "inventories"

TEXT = """\
a: 1
b:
  c: [x, "y", {d: z}]
  'e f':
    - |
      text
"""


def test_every_key_and_value_knows_its_place() -> None:
    source = parse(TEXT, "t.yml")
    at = source.position
    assert (at(("a",), key=True), at(("a",))) == ((1, 1), (1, 4))
    assert (at(("b", "c"), key=True), at(("b", "c"))) == ((3, 3), (3, 6))
    assert (at(("b", "c", 1)), at(("b", "c", 2, "d"), key=True), at(("b", "c", 2, "d"))) == (
        (3, 10),
        (3, 16),
        (3, 19),
    )
    assert at(("b", "e f", 0)) == (5, 7)
    assert at(("b", "gone", "further")) == (2, 1), "the nearest that is there"
    assert at(()) == (1, 1)
    assert source.node(("b", "c", 2, "d")) == "z"
    assert source.node(("b", "x", 1)) is None


def test_columns_count_characters_not_bytes() -> None:
    assert parse("ñandú: {é: x}", "t.yml").position(("ñandú", "é")) == (1, 12)


def test_quoted_and_plain_scalars_differ_and_both_are_text() -> None:
    data = parse('a: [1, "1", true, !!str 2, 2024-01-01, 0x10, 1e3, ~x]', "t.yml").data
    assert data["a"] == ["1", "1", "true", "2", "2024-01-01", "0x10", "1e3", "~x"]
    assert [type(each) is Plain for each in data["a"]] == [True, False, True, False, True, True, True, True]


def test_show_keeps_a_line_a_line() -> None:
    assert show("a\n\x1b[31m\u202e") == "a\\n\\x1b[31m\\u202e"
    assert show("x" * 100) == "x" * 80 + "…"
    assert show_path(("hosts", "mx1", "ipv4", 0)) == "hosts.mx1.ipv4[0]"
    assert show_path(("accounts", "ana", "password", "hunter2")) == "accounts.ana.password.…"
    assert show_path(("accounts", "password", "quotta")) == "accounts.password.quotta"


def read(folder: Path, text: str) -> Inventory:
    path = folder / "mail.yml"
    path.write_text(text)
    return load(path, SecretMode.IGNORE)


def test_names_that_yaml_would_take_for_something_else_are_names(tmp_path: Path) -> None:
    odd = ["no", "on", "null", "true", "1234", "007", "0x10", "1e3", "2024-01-01", ".5e1"[1:], "12_3"]
    lines = [
        "hosts:",
        "  1: {address: 10.0.0.1, fqdn: 1.a.test}",
        "domains:",
        "  2024-01-01.test:",
        "    hosts: [1]",
    ]
    lines += ["    accounts:", *(f"      {name}: {{password: {{env: 1}}}}" for name in odd)]
    lines += [
        "    aliases:",
        *(f"      a{index}: {name}" for index, name in enumerate(odd) if name != "null"),
    ]
    (domain,) = read(tmp_path, "\n".join(lines)).domains
    assert [account.local_part for account in domain.accounts] == [name.lower() for name in odd]
    assert domain.hosts == ("1",)
    assert domain.aliases[0][1] == "no@2024-01-01.test"


def test_anchors_aliases_and_merge_keys(tmp_path: Path) -> None:
    text = """\
hosts:
  mx1: {address: 10.0.0.1, fqdn: &name mx1.a.test, ssh: &ssh {user: ops, port: 22}}
  mx2: {address: *name, fqdn: mx2.a.test, ssh: {<<: *ssh, port: 2222}}
domains:
  a.test:
    hosts: [mx1]
    accounts:
      ana: &one {password: {env: X}, quota: 1G}
      eva: {<<: [{quota: 2G}, *one]}
      "<<": {password: {env: X}}
"""
    with pytest.raises(InventoryError, match=r'10:7: domains.a.test.accounts.<<: "<<" contains "<"'):
        read(tmp_path, text)
    found = read(tmp_path, text.replace('"<<"', "sol"))
    assert [(host.address, host.ssh.user, host.ssh.port) for host in found.hosts] == [
        ("10.0.0.1", "ops", 22),
        ("mx1.a.test", "ops", 2222),
    ]
    assert [account.quota for account in found.domains[0].accounts] == [2**30, 2**31, None]


def test_ssh_and_tls_of_a_host_change_single_keys_of_the_top(tmp_path: Path) -> None:
    text = """\
ssh: {user: ops, port: 2222, identity_file: ~/key, known_hosts: known, password: {env: A}}
tls: {mode: files, certificate: c.pem, key: k.pem, ca_file: /ca.pem}
hosts:
  mx1: {address: 10.0.0.1, fqdn: mx1.a.test}
  mx2:
    address: 2001:db8::2
    fqdn: mx2.a.test
    ssh: {port: 22, password: {env: B}}
    tls: {certificate: d.pem}
  mx3: {address: mx3.a.test, fqdn: mx3.a.test, tls: {mode: self-signed}, ipv4: [192.0.2.3], ipv6: []}
domains: {a.test: {hosts: [mx1]}}
"""
    one, two, three = read(tmp_path, text).hosts
    assert (one.ssh.user, one.ssh.port, one.ssh.known_hosts) == ("ops", 2222, tmp_path / "known")
    assert one.ssh.identity_file == Path("~/key").expanduser()
    assert (two.ssh.user, two.ssh.port) == ("ops", 22)
    assert one.ssh.password
    assert two.ssh.password
    assert (one.ssh.password.origin, two.ssh.password.origin) == ("env:A", "env:B")
    assert (one.tls.certificate, two.tls.certificate) == (tmp_path / "c.pem", tmp_path / "d.pem")
    assert two.tls.key == tmp_path / "k.pem"
    assert (three.tls.mode.value, three.tls.certificate, three.tls.key) == ("self-signed", None, None)
    assert str(three.tls.ca_file) == "/ca.pem"
    assert [(host.ipv4, host.ipv6) for host in (one, two, three)] == [
        (("10.0.0.1",), ()),
        ((), ("2001:db8::2",)),
        (("192.0.2.3",), ()),
    ]


def test_problems_come_in_the_order_of_the_file_and_one_hides_no_other(tmp_path: Path) -> None:
    with pytest.raises(InventoryError) as caught:
        read(
            tmp_path,
            """\
hosts:
  mx1: {adress: 10.0.0.1, fqdn: mx1.a.test}
domains:
  a.test:
    hosts: [mx1, mx2]
    accounts:
      ana: {quotta: 1}
    aliases: {x: ana, y: nobody}
    domain_aliases: [b]
""",
        )
    assert [problem.line for problem in caught.value.problems] == [2, 5, 7, 7, 8, 9]


def shape(node: Any) -> Any:
    if isinstance(node, Map):
        return {key: (node.marks[key], shape(value)) for key, value in node.items()}
    if isinstance(node, Seq):
        return [(mark, shape(value)) for mark, value in zip(node.marks, node, strict=True)]
    return type(node).__name__, str(node)


def test_libyaml_is_installed_and_used() -> None:
    assert "_ruamel_yaml" in str(type(next(iter(events("a: 1"))).start_mark))


@pytest.mark.parametrize(
    "path", [*sorted(EXAMPLES.glob("*.yml")), *sorted(BAD.glob("*.yml"))], ids=lambda path: path.name
)
def test_the_parser_in_python_reads_the_same(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def outcome() -> Any:
        try:
            source = parse(path.read_text(), "t.yml")
        except InventoryError:
            return "refused"  # the words and the place may differ a little
        return shape(source.data), source.problems, source.empty

    fast = outcome()
    monkeypatch.setattr(composer, "events", events_in_python)
    slow = outcome()
    if path.name == "url-in-braces.yml":
        return  # YAML 1.2 allows what libyaml, which is 1.1, refuses: `https:` unquoted within braces
    assert slow == fast
