"""DKIM keys made on the host: what is in their files, that a no leaves none, and that a key is not made twice."""

from __future__ import annotations

import base64
import dataclasses
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from mailprov.agent import files
from mailprov.agent.resources import dkim_keys
from mailprov.model.host_state import SigningKey
from tests.agent.driver import Agent, converse, job, of_kind, snapshot, state

FOLDER = "/etc/mailprov/dkim"
RSA = SigningKey(
    "a.test.mx1-rsa-1", "rsa", f"{FOLDER}/a.test.mx1-rsa-1.key", f"{FOLDER}/a.test.mx1-rsa-1.txt", "dkim"
)
EDWARDS = SigningKey(
    "a.test.mx1-ed25519-2",
    "ed25519",
    f"{FOLDER}/a.test.mx1-ed25519-2.key",
    f"{FOLDER}/a.test.mx1-ed25519-2.txt",
    "dkim",
    raw=f"{FOLDER}/a.test.mx1-ed25519-2.raw",
)
PARTS = (EDWARDS.key, EDWARDS.raw, EDWARDS.public)


def content(root: Path, path: str) -> bytes:
    return (root / path.lstrip("/")).read_bytes()


def plan(messages: list[dict[str, Any]]) -> dict[str, Any]:
    return of_kind(messages, "plan")[0]


def test_pairs_belong_together_and_the_controller_gets_the_public_halves_with_the_plan(root: Path) -> None:
    messages = converse(root, state(keys=(RSA, EDWARDS)))

    assert [change["name"] for change in plan(messages)["changes"]] == [RSA.name, EDWARDS.name]
    told = plan(messages)["keys"]
    assert told == {key.name: content(root, key.public).decode().strip() for key in (RSA, EDWARDS)}
    rsa = load_pem_private_key(content(root, RSA.key), None)
    assert isinstance(rsa, RSAPrivateKey)
    assert rsa.key_size == 2048
    public = rsa.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert told[RSA.name] == f"v=DKIM1; k=rsa; p={base64.b64encode(public).decode()}"
    edwards = load_pem_private_key(content(root, EDWARDS.key), None)
    assert isinstance(edwards, Ed25519PrivateKey)
    bare = edwards.public_key().public_bytes_raw()
    assert told[EDWARDS.name] == f"v=DKIM1; k=ed25519; p={base64.b64encode(bare).decode()}"
    assert base64.b64decode(content(root, EDWARDS.raw)) == edwards.private_bytes_raw() + bare
    modes = {
        path: (root / path.lstrip("/")).stat().st_mode & 0o777 for path in (RSA.key, RSA.public, EDWARDS.raw)
    }
    assert modes == {RSA.key: 0o640, RSA.public: 0o644, EDWARDS.raw: 0o640}
    assert "PRIVATE" not in str(messages)

    again = converse(root, state(keys=(RSA, EDWARDS)))
    assert (plan(again)["changes"], plan(again)["keys"]) == ([], told)
    facts = of_kind(again, "facts")[0]["facts"]["dkim"]
    assert facts["public"] == told


def test_a_plan_makes_no_key_and_neither_does_a_no(root: Path) -> None:
    planned = converse(root, state(keys=(RSA,)), mode="plan")
    assert plan(planned)["keys"] == {RSA.name: ""}

    agent = Agent(None, job(str(root)))
    agent.until("facts")
    agent.send("desired", state=state(keys=(RSA,)))
    message = agent.until("plan")
    assert message["keys"][RSA.name].startswith("v=DKIM1; k=rsa; p=MII")
    assert message["changes"] == plan(planned)["changes"]
    agent.send("cancel")
    agent.end()
    assert not (root / FOLDER.lstrip("/")).exists()


def test_a_pair_that_was_damaged_is_made_anew_and_one_that_left_goes(root: Path) -> None:
    converse(root, state(keys=(RSA, EDWARDS)))
    (root / "var/lib/mailprov/manifest.json").unlink()
    text = root / RSA.public.lstrip("/")
    text.write_text(text.read_text().replace("p=MII", "p=MIX"))

    (change,) = plan(converse(root, state(keys=(RSA, EDWARDS))))["changes"]
    assert (change["action"], change["detail"]) == ("update", "private and public key do not belong together")

    gone = plan(converse(root, state(keys=(RSA,))))["changes"]
    assert {change["name"] for change in gone} == {EDWARDS.key, EDWARDS.public, EDWARDS.raw}
    assert not [change for change in gone if "PRIVATE" in change["diff"]]
    left = sorted(path.name for path in (root / FOLDER.lstrip("/")).iterdir())
    assert left == ["a.test.mx1-rsa-1.key", "a.test.mx1-rsa-1.txt"]


def test_a_pair_of_which_a_part_is_missing_is_made_anew(root: Path) -> None:
    converse(root, state(keys=(EDWARDS,)))
    tree, manifest = (
        files.Tree(str(root)),
        {path: {"sha256": files.sha256(content(root, path))} for path in PARTS},
    )
    spec = dataclasses.asdict(EDWARDS)
    assert dkim_keys.inspect(tree, spec, manifest, False).action == ""
    for path, action in zip(PARTS, ("create", "update", "update"), strict=True):
        file = root / path.lstrip("/")
        kept = file.read_bytes()
        file.unlink()
        assert dkim_keys.inspect(tree, spec, manifest, False).action == action, path
        file.write_bytes(kept)


def test_the_keys_can_be_asked_for_and_nothing_is_written(root: Path) -> None:
    converse(root, state(keys=(RSA,)))
    before = snapshot(root)
    agent = Agent(None, job(str(root), "keys"))
    (told,) = [agent.until("keys")]
    agent.end()
    assert set(told["dkim"]["public"]) == {RSA.name}
    assert snapshot(root) == before
