"""What a saved plan holds and refuses; the whole way through the program is in tests/lab/test_drift.py."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from mailprov.errors import InputError
from mailprov.inventory import load
from mailprov.model.events import Action, Change, Planned
from mailprov.model.inventory import Inventory
from mailprov.plan import saved
from mailprov.plan.changes import fingerprint

TEXT = """\
ssh: {user: ops, password: {env: SSH}}
hosts:
  mx1:
    address: 192.0.2.1
    fqdn: mx1.alpha.test
    tls: {mode: files, certificate: mx1.pem, key: mx1.key}
domains:
  alpha.test: {hosts: [mx1], accounts: {ana: {password: {env: ANA}}}, aliases: {ventas: ana}}
"""
CHANGES = (Change("mx1", "file", Action.UPDATE, "/etc/a", "", "-x\n+y"),)
PLANS = (Planned("mx1", CHANGES, "1 file"), Planned("zone alpha.test", (), "3 records"))
OPTIONS = {"host": None, "domain": ["alpha.test"], "only": None, "take_over": True}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ANA", "hunter2 ana")
    monkeypatch.setenv("SSH", "hunter2 ssh")
    monkeypatch.setattr(saved, "_COST", 16)  # nobody guesses the passwords of a test
    (tmp_path / "mx1.pem").write_text("certificate")
    (tmp_path / "mx1.key").write_text("hunter2 key")
    (tmp_path / "mail.yml").write_text(TEXT)
    return tmp_path


def inventory(folder: Path) -> Inventory:
    return load(folder / "mail.yml")


def text(folder: Path) -> str:
    return saved.text(inventory(folder), PLANS, version="1.2", made="now", options=OPTIONS)


def again(folder: Path) -> saved.SavedPlan:
    found = saved.read(text(folder), "plan.json")
    assert found is not None
    return found


def test_it_comes_back_as_it_was(folder: Path) -> None:
    found = again(folder)

    assert found.subjects == {"mx1": fingerprint(CHANGES), "zone alpha.test": fingerprint(())}
    assert (found.version, found.made, found.options) == ("1.2", "now", OPTIONS)
    assert found.path == folder / "mail.yml"
    assert saved.inventory_moved(found, inventory(folder)) == ""


def test_people_find_the_changes_in_it_and_nobody_a_secret(folder: Path) -> None:
    body = text(folder)

    assert json.loads(body)["subjects"]["mx1"]["changes"][0]["diff"] == "-x\n+y"
    assert "hunter2" not in body
    assert json.loads(body)["secrets"] != json.loads(text(folder))["secrets"], (
        "without a salt, equal passwords show"
    )


def test_comments_order_of_keys_and_ways_in_do_not_matter(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = again(folder)
    monkeypatch.setenv("SSH", "hunter2 new")
    (folder / "mail.yml").write_text("# a comment\n" + TEXT.replace("user: ops", "user: root"))

    assert saved.inventory_moved(found, inventory(folder)) == ""


@pytest.mark.parametrize(
    ("old", "new"),
    [("ventas: ana", "compras: ana"), ("mx1.alpha.test", "mx2.alpha.test"), ("{env: ANA}", "{env: SSH}")],
)
def test_another_meaning_is_noticed(folder: Path, old: str, new: str) -> None:
    found = again(folder)
    (folder / "mail.yml").write_text(TEXT.replace(old, new))

    assert saved.inventory_moved(found, inventory(folder)) == "has changed since the plan was saved"


def test_it_is_bound_to_each_provider_and_to_no_way_in(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dns = (
        "dns: {provider: rfc2136, server: 192.0.2.53, zones: {beta.test: {provider: powerdns, "
        "url: 'https://ns.beta.test', token: {env: TOKEN}}, gamma.test: {provider: cloudflare, token: {env: TOKEN}}}}\n"
    )
    monkeypatch.setenv("TOKEN", "a-token-of-mine")
    monkeypatch.setenv("OTHER", "another-token")
    (folder / "mail.yml").write_text(dns + TEXT)
    found = again(folder)
    for old, new, moved in (
        ("token: {env: TOKEN}", "token: {env: OTHER}", False),
        ("ns.beta.test", "ns2.beta.test", True),
        ("gamma.test", "delta.test", True),
        ("cloudflare", "gandi", True),
        ("192.0.2.53", "192.0.2.54", True),
    ):
        (folder / "mail.yml").write_text(dns.replace(old, new) + TEXT)
        assert bool(saved.inventory_moved(found, inventory(folder))) is moved, new


def test_another_password_certificate_or_key_is_noticed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = again(folder)
    what = "has another password, hash or certificate than when the plan was saved"
    for name in ("mx1.pem", "mx1.key"):
        kept = (folder / name).read_text()
        (folder / name).write_text("another")
        assert saved.inventory_moved(found, inventory(folder)) == what
        (folder / name).write_text(kept)
    monkeypatch.setenv("ANA", "hunter2 new")
    assert saved.inventory_moved(found, inventory(folder)) == what


def test_every_field_of_a_change_is_in_its_fingerprint_but_what_follows_from_the_others() -> None:
    """What a record is for is said in the language of who plans; who applies may have another."""
    other: dict[str, Any] = {"action": Action.DELETE, "drift": True, "because": ("/etc/a",)}
    (change,) = CHANGES
    for field in dataclasses.fields(change):
        moved = dataclasses.replace(change, **{field.name: other.get(field.name, "other")})
        same = fingerprint((moved,)) == fingerprint(CHANGES)
        assert same is (field.name in ("label", "need", "purpose")), field.name


@pytest.mark.parametrize(
    "content", ["", "hosts: {}\n", '{"hosts": {}}', "{not json", "[1]", "{mailprov_plan: 1}"]
)
def test_what_is_no_saved_plan_is_left_to_the_reader_of_inventories(content: str) -> None:
    assert saved.read(content, "x") is None


@pytest.mark.parametrize(
    ("edit", "what"),
    [
        ({"mailprov_plan": 99}, "another version"),
        ({"subjects": None}, "parts missing"),
        ({"salt": ...}, "parts missing"),
        ({"subjects": {"mx1": {}}}, "parts missing"),
    ],
)
def test_a_damaged_one_is_one_sentence(folder: Path, edit: dict[str, Any], what: str) -> None:
    body = {**json.loads(text(folder)), **edit}
    body = {key: value for key, value in body.items() if value is not ...}
    with pytest.raises(InputError, match=what):
        saved.read(json.dumps(body), "plan.json")


def test_an_inventory_that_is_elsewhere_now_is_found_by_its_name(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = dataclasses.replace(again(folder), inventory="mail.yml", absolute="/gone/mail.yml")
    monkeypatch.chdir(folder)

    assert found.path.read_text() == TEXT


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("subjects", "mx1", "changes", 0, "name"), "/etc/passwd"),
        (("subjects", "mx1", "changes", 0, "diff"), "-x\n+z"),
        (("subjects", "mx1", "changes", 0, "subject"), "mx2"),
        (("subjects", "mx1", "changes", 0, "action"), "delete"),
        (("subjects", "mx1", "compared"), "9 files"),
        (("subjects", "mx1", "fingerprint"), "0" * 16),
        (("options", "take_over"), False),
    ],
)
def test_a_file_that_was_edited_is_refused(folder: Path, path: tuple[Any, ...], value: Any) -> None:
    """A reviewer has read what stands there. It was taken, because the true changes were looked for by fingerprint."""
    body = json.loads(text(folder))
    place = body
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    with pytest.raises(InputError, match="was edited after it was saved") as caught:
        saved.read(json.dumps(body), "plan.json")
    assert caught.value.exit_code == 2

    body["text"] = saved._digest_of(body)
    if path[0] == "subjects" and path[-1] != "compared":
        with pytest.raises(InputError, match="was edited after it was saved"):
            saved.read(json.dumps(body), "plan.json")


def test_an_inventory_is_asked_for_where_a_saved_plan_is_given(folder: Path) -> None:
    """It was 15 times: unknown key "mailprov_plan"."""
    path = folder / "p2.plan"
    path.write_text(text(folder))
    with pytest.raises(InputError) as caught:
        load(path)
    assert str(caught.value) == f"{path}: is a saved plan, not an inventory. Use `mailprov apply {path}`."
