"""Whatever the file holds: a valid inventory comes back as meant, all else is refused, without secrets.

The properties are tried with generated inventories, with texts and bytes, with mutations of the examples, and
with secrets written where they should not be.
"""

from __future__ import annotations

import io
import json
import os
import re
import tempfile
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from mailprov.dns.providers.rfc2136.settings import Rfc2136Settings, Tsig
from mailprov.errors import InputError, InventoryError
from mailprov.inventory import SecretMode, json_schema, load
from mailprov.model.accounts import Account, Forward
from mailprov.model.dns import DnsSettings
from mailprov.model.inventory import Dmarc, Domain, Filter, Host, Inventory, SshSettings, Tls
from mailprov.model.secret import Secret

EXAMPLES = Path(__file__).resolve().parents[3] / "inventories"
QUICK = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@contextmanager
def written(content: str | bytes) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "mail.yml"
        path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass"))
        yield path


# --- a valid inventory comes back as it was meant ---

local_parts = st.sampled_from(
    [
        "no",
        "on",
        "null",
        "true",
        "1234",
        "007",
        "1e3",
        "0x1f",
        "2024-01-01",
        "12_3",
        "a.b-c_d",
        "o'brien",
        "_",
        "=",
    ]
) | st.from_regex(r"[a-z0-9][a-z0-9_=-]{0,12}(\.[a-z0-9]{1,5})?", fullmatch=True)
labels = st.sampled_from(["no", "1234", "null", "xn--seal-hqa"]) | st.from_regex(
    r"[a-z0-9]([a-z0-9-]{0,1}[a-z0-9]){0,8}", fullmatch=True
).filter(lambda label: label[2:4] != "--")
domain_names = st.builds(
    lambda *parts: ".".join(parts), labels, st.sampled_from(["test", "example.org", "b.test"])
)
outside = st.builds(lambda local: f"{local}+x@outside.invalid", local_parts)
secret_characters = st.characters(min_codepoint=33, max_codepoint=0x2FF, exclude_categories=["Cc"])
secret_values = st.text(secret_characters).map("p{}".format)


@st.composite
def meant(draw: st.DrawFn) -> tuple[Inventory, dict[str, str]]:
    """An inventory, and the environment that its secrets come from."""
    environment: dict[str, str] = {}

    def secret(value: str | None = None) -> Secret:
        name = f"MAILPROV_TEST_{len(environment)}"
        environment[name] = draw(secret_values) if value is None else value
        return Secret(f"env:{name}", environment[name])

    hosts = []
    for number, name in enumerate(draw(st.lists(labels, min_size=1, max_size=3, unique=True))):
        ssh = SshSettings(
            user=draw(st.sampled_from(["root", "ops", "1234"])),
            port=draw(st.integers(1, 65535)),
            become_password=secret() if draw(st.booleans()) else None,
        )
        address, v4, v6 = draw(
            st.sampled_from(
                [
                    (f"10.0.0.{number}", (f"10.0.0.{number}",), ()),
                    (f"2001:db8::{number + 1}", (), (f"2001:db8::{number + 1}",)),
                    (f"host{number}", (), ()),
                ]
            )
        )
        release = draw(st.sampled_from([None, "debian-12", "ubuntu-24.04"]))
        host = Host(name, address, f"mx{number}.hosts.test", ssh, Tls(), v4, v6, lab_release=release)
        hosts.append(replace(host, filter=Filter.RSPAMD))  # what a file that says nothing gets
    domains = []
    for name in draw(st.lists(domain_names, min_size=1, max_size=3, unique=True)):
        own = [
            f"{local}@{name}" for local in draw(st.lists(local_parts, min_size=1, max_size=8, unique=True))
        ]
        cut = draw(st.integers(1, len(own)))
        accounts = []
        for address in own[:cut]:
            to = draw(st.lists(outside, max_size=2, unique=True))
            accounts.append(
                Account(
                    address,
                    secret(),
                    quota=draw(st.none() | st.integers(1, 2**50)),
                    forward=Forward(tuple(to), draw(st.booleans())) if to else None,
                )
            )
        aliases, lists, known = [], [], own[:cut]
        for address in own[cut:]:  # what is defined before is all they lead to, so there are no loops
            if draw(st.booleans()):
                aliases.append((address, draw(st.sampled_from(known) | outside)))
            else:
                members = st.lists(st.sampled_from(known) | outside, min_size=1, max_size=4, unique=True)
                lists.append((address, tuple(draw(members))))
            known = [*known, address]
        served = draw(st.lists(st.sampled_from([h.name for h in hosts]), min_size=1, unique=True))
        dmarc = Dmarc(draw(st.sampled_from(["none", "reject"])), draw(st.sampled_from([None, own[0]])))
        domains.append(
            Domain(
                name,
                tuple(served),
                tuple(accounts),
                tuple(aliases),
                tuple(lists),
                (f"alias-{name}",) if draw(st.booleans()) and len(name) < 50 else (),
                draw(st.sampled_from([dmarc, None, Dmarc(asked=False)])),
                catch_all=draw(st.sampled_from([None, own[-1]])),
            )
        )
    dns = DnsSettings()
    if draw(st.booleans()):
        tsig = Tsig("mailprov", "hmac-sha512", secret("c2VjcmV0"))
        dns = DnsSettings(Rfc2136Settings("10.0.0.2", 5353, tsig), draw(st.integers(1, 10**6)))
    return Inventory("", tuple(hosts), tuple(domains), dns), environment


def as_written(inventory: Inventory, draw: Any) -> dict[str, Any]:
    """The inventory as the data of a file, in one of the ways to write it."""

    def reference(secret: Secret | None) -> dict[str, str]:
        assert secret
        return {"env": secret.origin.removeprefix("env:")}

    def name_for(address: str, domain: str) -> str:
        local, _, at = address.rpartition("@")
        return local if at == domain and draw(st.booleans()) else address

    def size(quota: int) -> int | str:
        for unit, power in (("G", 30), ("M", 20), ("K", 10)):
            if quota % 2**power == 0 and draw(st.booleans()):
                return f"{quota >> power}{unit}"
        return quota

    hosts: dict[str, Any] = {}
    for host in inventory.hosts:
        ssh: dict[str, Any] = {"user": host.ssh.user, "port": host.ssh.port}
        if host.ssh.become_password:
            ssh["become_password"] = reference(host.ssh.become_password)
        hosts[host.name] = {"address": host.address, "fqdn": host.fqdn.upper(), "ssh": ssh}
        if host.lab_release:
            hosts[host.name]["lab"] = {"release": host.lab_release}
    domains: dict[str, Any] = {}
    for domain in inventory.domains:
        entry: dict[str, Any] = {"hosts": list(domain.hosts), "accounts": {}, "aliases": {}, "lists": {}}
        common = draw(st.sampled_from([None, *(account.quota for account in domain.accounts)]))
        if common:
            entry["quota"] = size(common)
        if domain.catch_all:
            entry["catch_all"] = name_for(domain.catch_all, domain.name)
        for account in domain.accounts:
            one: dict[str, Any] = {"password": reference(account.password)}
            if account.quota != common:
                one["quota"] = size(account.quota) if account.quota else "none"
            if account.forward:
                one["forward"] = {"to": list(account.forward.to), "keep": account.forward.keep}
            entry["accounts"][account.local_part] = one
        for address, to in domain.aliases:
            entry["aliases"][address.rpartition("@")[0]] = name_for(to, domain.name)
        for address, members in domain.lists:
            entry["lists"][address.rpartition("@")[0]] = [name_for(each, domain.name) for each in members]
        if domain.domain_aliases:
            entry["domain_aliases"] = list(domain.domain_aliases)
        if domain.dmarc is None:
            entry["dmarc"] = "off"
        elif domain.dmarc.asked:
            entry["dmarc"] = {"policy": domain.dmarc.policy}
            if domain.dmarc.rua:
                entry["dmarc"]["rua"] = name_for(domain.dmarc.rua, domain.name)
        domains[domain.name] = entry
    data: dict[str, Any] = {"hosts": hosts, "domains": domains}
    own = inventory.dns.provider
    if isinstance(own, Rfc2136Settings) and (tsig := own.tsig):
        data["dns"] = {
            "provider": "rfc2136",
            "server": own.server,
            "port": own.port,
            "ttl": inventory.dns.ttl,
            "tsig": {"name": tsig.name, "algorithm": tsig.algorithm, "secret": reference(tsig.secret)},
        }
    return data


def dumped(data: Any) -> str:
    """By ruamel.yaml, which quotes the keys that YAML would take for something else."""
    stream = io.StringIO()
    yaml = YAML(typ="safe", pure=True)
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    yaml.dump(data, stream)
    return stream.getvalue()


def by_hand(data: Any, indent: str = "") -> str:
    """As people write: in blocks, without quotes wherever YAML lets a text stand (`no:`, `1234:`)."""

    def scalar(value: Any) -> str:
        text = (
            {True: "true", False: "false"}.get(value, str(value)) if isinstance(value, bool) else str(value)
        )
        plain = re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9@.+_=/:'-]*", text) and not text.endswith(":")
        empty = text in ("null", "Null", "NULL")
        return text if plain and not empty else "'" + text.replace("'", "''") + "'"

    lines = ""
    for key, value in data.items():
        if isinstance(value, dict):
            lines += f"{indent}{scalar(key)}:{by_hand(value, indent + '  ') if value else ' {}'}"
        elif isinstance(value, list):
            lines += f"{indent}{scalar(key)}:" + "".join(f"\n{indent}- {scalar(item)}" for item in value)
        else:
            lines += f"{indent}{scalar(key)}: {scalar(value)}"
        lines += "\n" if not lines.endswith("\n") else ""
    return ("\n" if indent else "") + lines


@given(meant(), st.data(), st.sampled_from([dumped, by_hand]))
@settings(QUICK, max_examples=20)
def test_a_valid_inventory_comes_back_as_it_was_meant(
    case: tuple[Inventory, dict[str, str]], data: st.DataObject, write: Any
) -> None:
    inventory, environment = case
    text = write(as_written(inventory, data.draw))
    with written(text) as path, mock.patch.dict(os.environ, environment):
        found = load(path)
        assert found.hosts == inventory.hosts
        assert found.domains == inventory.domains
        assert found.dns == inventory.dns
        assert found.source == str(path)


# --- all else is refused in words ---


def refused_or_read(content: str | bytes) -> None:
    with written(content) as path:
        began = time.process_time()
        try:
            # CHECK: what mutation makes of a command must not run.
            assert isinstance(load(path, SecretMode.CHECK), Inventory)
        except InputError as error:
            lines = str(error).splitlines()
            assert lines
            assert all(line.startswith(str(path)) for line in lines), "each problem on one line"
            assert all(line.isprintable() for line in lines)
        assert time.process_time() - began < 20, "it did not end in any reasonable time"


@given(
    st.text()
    | st.binary()
    | st.text("hostsdomain:{}[],-*&!|>'\"%@`#? \n\t0").map(lambda text: f"hosts:\n {text}")
)
@QUICK
def test_any_text_and_any_bytes_are_refused_in_words(content: str | bytes) -> None:
    refused_or_read(content)


KNOWN = [key for entry in [json_schema(), *json_schema()["$defs"].values()] for key in entry["properties"]]
WORDS = [
    "mx1",
    "alpha.test",
    "ana",
    "ana@alpha.test",
    "10.0.0.1",
    "acme",
    "files",
    "rfc2136",
    "zonefile",
    "debian-12",
]
ODD = ["hosted", "proxy_jump", "200M", "true", "25", "<<", "null", "~", "SHA256:x", "{PLAIN}x"]
KEYS = st.sampled_from([*KNOWN, *WORDS, *ODD]) | st.text(max_size=3)
TREES = st.recursive(
    st.none() | st.booleans() | st.integers() | KEYS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=30,
)
SECTION = st.dictionaries(KEYS, st.dictionaries(KEYS, TREES, max_size=6) | TREES, max_size=3)
FILES = st.fixed_dictionaries(
    {},
    optional={"ssh": TREES, "dns": SECTION, "tls": TREES, "hosts": SECTION, "domains": SECTION, "odd": TREES},
)


@given(FILES)
@settings(QUICK, max_examples=25)
def test_any_data_with_known_keys_is_refused_in_words(data: Any) -> None:
    refused_or_read(json.dumps(data, ensure_ascii=False, indent=1))


ORIGINALS = [path.read_text() for path in sorted(EXAMPLES.glob("*.yml"))]
YAML_SIGNS = [
    "*x",
    "&x ",
    "!x ",
    "<<: *x\n",
    "- ",
    ": ",
    "? ",
    "{",
    "}",
    "[",
    "]",
    "'",
    '"',
    "|\n",
    "---\n",
    "#",
    ", ",
    "~",
]
ODD_SIGNS = [
    "%",
    "@",
    "\\",
    "\t",
    "\n",
    "\x00",
    "\x85",
    "\u2028",
    "\ufeff",
    "\ud800",
    "\r",
    " " * 9,
    "a" * 300,
    "\x1b",
]
PIECES = st.sampled_from([*YAML_SIGNS, *ODD_SIGNS]) | st.text(max_size=4)


@given(
    st.sampled_from(ORIGINALS),
    st.lists(st.tuples(st.integers(0, 10**4), st.integers(0, 60), PIECES), min_size=1, max_size=4),
)
@QUICK
def test_a_mutated_inventory_is_refused_in_words(text: str, changes: list[tuple[int, int, str]]) -> None:
    for at, length, piece in changes:
        start = at % len(text)
        text = text[:start] + piece + text[start + length :] or "x"
    refused_or_read(text)


# --- no secret in any text ---

SECRET = "Xq7vZk2wHUNTER2pLm9"
AROUND = st.text("*&!|>@`%{}[]\"'-?:,# =+x\\", max_size=4)
PLACES = [
    "domains: {{a.test: {{hosts: [mx1], accounts: {{ana: {{password: {0}, quota: 1G}}}}}}}}",
    "domains:\n  a.test:\n    hosts: [mx1]\n    accounts:\n      a:\n        password: {0}\n        quota: 1",
    "domains:\n  a.test:\n    hosts: [mx1]\n    accounts:\n      ana: {{quota: 1G, password: {{hash: {0}}}}}",
    "ssh: {{become_password: {0}, user: ops}}\ndomains: {{a.test: {{hosts: [mx1]}}}}",
    "ssh:\n  password: {0}\ndomains: {{a.test: {{hosts: [mx1]}}}}",
    "dns:\n  provider: rfc2136\n  server: 10.0.0.2\n  tsig:\n    name: k\n    secret: {0}\ndomains: {{}}",
]


@given(st.sampled_from(PLACES), AROUND, AROUND)
@settings(QUICK, max_examples=40)
def test_a_secret_written_in_the_file_is_in_no_error(place: str, before: str, after: str) -> None:
    text = (
        "hosts: {mx1: {address: 10.0.0.1, fqdn: mx1.a.test}}\n" + place.format(before + SECRET + after) + "\n"
    )
    with written(text) as path:
        with suppress(InventoryError):
            load(path, SecretMode.CHECK)
            return
        with pytest.raises(InventoryError) as caught:
            load(path, SecretMode.CHECK)
        assert SECRET not in str(caught.value) + repr(caught.value) + repr(caught.value.problems)
        assert SECRET not in "".join(traceback.format_exception(caught.value))


@given(
    st.sampled_from(
        ["{{env: MAILPROV_TEST}}", "{{file: secret}}", '{{command: "tee /dev/stderr <secret; exit {0}"}}']
    ),
    st.sampled_from(["", "\n", "\n\n", "\nsecond", "\x07", "\xff"]),
    st.sampled_from(
        ["    aliases: {{ana: ana}}", "    lists: {{l: []}}", "    colour: {{env: MAILPROV_TEST}}", ""]
    ),
    st.integers(0, 2),
)
@settings(QUICK, max_examples=25)
def test_a_resolved_secret_is_in_no_error(reference: str, end: str, also: str, status: int) -> None:
    text = f"""\
hosts: {{{{mx1: {{{{address: 10.0.0.1, fqdn: mx1.a.test}}}}}}}}
dns:
  provider: rfc2136
  server: 10.0.0.2
  tsig: {{{{name: k, secret: {reference}}}}}
domains:
  a.test:
    hosts: [mx1]
    accounts:
      ana: {{{{password: {reference}}}}}
{also}
"""
    environment = {"MAILPROV_TEST": f"{SECRET}!{end}"}  # the `!` is not base64, so that TSIG complains
    with written(text.format(status)) as path, mock.patch.dict(os.environ, environment):
        (path.parent / "secret").write_bytes(f"{SECRET}!{end}".encode("latin-1"))
        with pytest.raises(InventoryError) as caught:
            load(path)
        assert SECRET not in str(caught.value) + repr(caught.value.problems)
