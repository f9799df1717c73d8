"""The JSON Schema, the examples, and that the two and the reader say the same."""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from mailprov.dns import providers
from mailprov.dns.providers.rfc2136.settings import Rfc2136Settings, Tsig
from mailprov.errors import InventoryError
from mailprov.inventory import SecretMode, example_text, json_schema, load
from mailprov.inventory.composer import parse
from mailprov.model.accounts import Forward
from mailprov.model.inventory import TlsMode
from mailprov.model.secret import Secret
from mailprov.schema.document import Map, Seq

EXAMPLES = Path(__file__).resolve().parents[3] / "inventories"


def objects(schema: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    yield "File", schema
    yield from schema["$defs"].items()


def keys_of(node: Any) -> Iterator[str]:
    if isinstance(node, Map):
        for key, value in node.items():
            yield key
            yield from keys_of(value)
    elif isinstance(node, Seq):
        for value in node:
            yield from keys_of(value)


def test_the_schema_describes_every_key_and_allows_no_other() -> None:
    schema = json_schema()
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    json.dumps(schema)
    for name, entry in objects(schema):
        assert entry["additionalProperties"] is False, name
        for key, value in entry["properties"].items():
            assert value.get("description"), f"{name}.{key}"
    assert '"null"' not in json.dumps(schema), "an empty value is refused, so no key may be null"


def test_the_schema_says_what_is_needed() -> None:
    schema = json_schema()
    assert schema["required"] == ["domains"]
    assert schema["properties"]["hosts"]["minProperties"] == 1
    defs = schema["$defs"]
    assert defs["HostEntry"]["required"] == ["address", "fqdn"]
    assert defs["DomainEntry"]["anyOf"] == [{"required": ["hosts"]}, {"required": ["hosted"]}]
    assert defs["HostedEntry"]["required"] == ["provider"]
    assert defs["DomainEntry"]["properties"]["hosts"]["minItems"] == 1
    assert defs["AccountEntry"]["required"] == ["password"]
    assert defs["SecretEntry"]["minProperties"] == defs["SecretEntry"]["maxProperties"] == 1
    assert set(defs["SecretEntry"]["properties"]) == {"env", "file", "command"}
    assert set(defs["InitialEntry"]["properties"]) == {"env", "file", "command", "hash"}
    assert set(defs["PasswordEntry"]["properties"]) == {"env", "file", "command", "hash", "initial", "owner"}
    assert defs["PasswordEntry"]["maxProperties"] == 2
    assert defs["TlsEntry"]["properties"]["mode"]["enum"] == [mode.value for mode in TlsMode]
    assert defs["DnsEntry"]["properties"]["provider"]["enum"] == list(providers.NAMES)
    assert defs["DnsEntry"]["anyOf"] == [{"required": ["provider"]}, {"required": ["zones"]}]
    assert defs["ZoneEntry"]["required"] == ["provider"]
    shared = defs["ZoneEntry"]["properties"].keys() ^ defs["DnsEntry"]["properties"].keys()
    assert shared == {"reverse", "zones"}  # every provider's keys are in both


def test_the_annotated_example_holds_every_key_with_a_comment() -> None:
    path = EXAMPLES / "example.yml"
    assert load(path, SecretMode.IGNORE).hosts
    text = path.read_text()
    known = {key for _, entry in objects(json_schema()) for key in entry["properties"]}
    # Keys of other DNS providers cannot stand beside those of the one it has.
    others = set(re.findall(r"^  #   (\w+): ", text, re.MULTILINE))
    assert others <= set(json_schema()["$defs"]["DnsEntry"]["properties"])
    assert known - set(keys_of(parse(text, "example").data)) - others == set()
    for key in known:
        lines = [line for line in text.splitlines() if re.search(rf"(^|[ {{#]){key}: ", f"{line} ")]
        assert any("#" in line for line in lines), f"{key} has no comment"


def test_the_example_comes_with_the_package() -> None:
    assert example_text() == (EXAMPLES / "example.yml").read_text()


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.yml")), ids=lambda path: path.name)
def test_every_example_is_valid(path: Path) -> None:
    assert load(path, SecretMode.IGNORE).domains


def refusals(schema: dict[str, Any], at: dict[str, Any], value: Any, path: str = "") -> Iterator[str]:
    """What an editor would underline, as far as types and keys go."""
    if "$ref" in at:
        at = schema["$defs"][at["$ref"].rpartition("/")[2]]
    if "anyOf" in at:
        tries = [list(refusals(schema, option, value, path)) for option in at["anyOf"]]
        yield from min(tries, key=len)
        return
    names = {dict: "object", list: "array", str: "string", bool: "boolean", int: "integer", float: "number"}
    types = at.get("type", [])
    types = types if isinstance(types, list) else [types]
    if isinstance(value, datetime.date):
        value = value.isoformat()  # for YAML 1.2, as editors read it, a date is text
    kind = names[type(value)]
    if types and kind not in types and not (kind == "integer" and "number" in types):
        yield f"{path}: {kind} is not {types}"
    elif isinstance(value, dict):
        for key, inner in value.items():
            below = at.get("properties", {}).get(key, at.get("additionalProperties", {}))
            if below is False:
                yield f"{path}.{key}: no such key"
            elif isinstance(below, dict):
                yield from refusals(schema, below, inner, f"{path}.{key}")
    elif isinstance(value, list):
        for inner in value:
            yield from refusals(schema, at.get("items", {}), inner, f"{path}[]")


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.yml")), ids=lambda path: path.name)
def test_an_editor_with_the_schema_finds_nothing_wrong_in_an_example(path: Path) -> None:
    schema = json_schema()
    as_an_editor_reads_it = YAML(typ="safe").load(path)

    assert list(refusals(schema, schema, as_an_editor_reads_it)) == []
    assert list(refusals(schema, schema, {"hosts": {"a": {"address": 5}}, "zzz": 1})) == [
        ".hosts.a.address: integer is not ['string']", ".zzz: no such key",
    ]  # fmt: skip


def test_the_demo_is_what_the_design_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ANA_PASSWORD", "LUIS_PASSWORD", "EVA_PASSWORD", "LUIS_BETA_PASSWORD"):
        monkeypatch.setenv(name, name.lower())
    monkeypatch.setenv("MAILPROV_TSIG", "c2VjcmV0")
    demo = load(EXAMPLES / "demo.yml")
    assert [(h.name, h.fqdn, h.address, h.ipv4, h.ipv6, h.lab_release) for h in demo.hosts] == [
        ("mx1", "mx1.alpha.test", "10.0.0.11", ("10.0.0.11",), (), "debian-12"),
        ("mx2", "mx2.beta.test", "10.0.0.12", ("10.0.0.12",), (), "debian-13"),
    ]
    alpha, beta = demo.domains
    ana, luis = alpha.accounts
    assert (ana.address, ana.quota, ana.forward) == ("ana@alpha.test", 200 * 2**20, None)
    assert ana.password == Secret("env:ANA_PASSWORD", "ana_password")
    assert luis.forward == Forward(("luis@beta.test",), keep=True)
    assert alpha.aliases == (
        ("postmaster@alpha.test", "ana@alpha.test"),
        ("ventas@alpha.test", "ana@alpha.test"),
    )
    assert alpha.lists == (("profes@alpha.test", ("ana@alpha.test", "luis@alpha.test", "eva@beta.test")),)
    assert alpha.domain_aliases == ("alfa.test",)
    assert [account.address for account in beta.accounts] == ["eva@beta.test", "luis@beta.test"]
    key = Tsig("mailprov", "hmac-sha256", Secret("env:MAILPROV_TSIG", "c2VjcmV0"))
    assert demo.dns.provider == Rfc2136Settings("10.0.0.2", 53, key)


def test_an_unknown_key_names_only_keys_that_the_schema_has(tmp_path: Path) -> None:
    path = tmp_path / "mail.yml"
    path.write_text(
        "hosts: {mx1: {address: 10.0.0.1, fqdn: mx1.a.test, zzz: 1}}\ndomains: {a.test: {hosts: [mx1]}}\n"
    )
    with pytest.raises(InventoryError) as caught:
        load(path, SecretMode.IGNORE)
    known = ", ".join(json_schema()["$defs"]["HostEntry"]["properties"])
    assert f'unknown key "zzz"; the keys here are {known}' in str(caught.value)
