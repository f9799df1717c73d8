"""DKIM key pairs, which are made on the host; a private key never leaves it.

    facts(tree) -> {"state", "public"}      what the controller must know of the keys that are there
    compare(tree, spec, …) -> Inspection    whether a pair must be made
    make(spec) -> {path: bytes}             RSA with 2048 bits (RFC 8301) or Ed25519 (RFC 8463), all files of the pair
    public_keys(tree, state, made)          name → text of the TXT record, for all keys of the state
    paths(spec)                             the files of a pair, the private key first

The keys of an apply are made before its plan is shown, because DNS records are planned with their public halves; they
exist in memory alone until it is go. Raises Stop.
"""

from __future__ import annotations

import base64
import os
from typing import Any, Dict, List, NamedTuple

from mailprov.agent import commands, files
from mailprov.agent.trouble import Stop

FOLDER = "/etc/mailprov/dkim"
STATE_FILE = FOLDER + "/keys"
_HEAD = "v=DKIM1; k="
# RFC 8410: what stands before the 32 octets of an Ed25519 key in PKCS #8 and in SubjectPublicKeyInfo.
_ED25519_PRIVATE = bytes.fromhex("302e020100300506032b657004220420")
_ED25519_PUBLIC = bytes.fromhex("302a300506032b6570032100")


class Inspection(NamedTuple):
    """`action` is "", create or update; `digests` of the files that are there."""

    action: str
    detail: str
    digests: Dict[str, str]


def paths(spec: Dict[str, Any]) -> List[str]:
    """The private key in its forms, then the public one."""
    return [path for path in (spec["key"], spec["raw"], spec["public"]) if path]


def facts(tree: files.Tree) -> Dict[str, Any]:
    """The file of states, and the public half of each private key that is there."""
    public: Dict[str, str] = {}
    folder = tree.at(FOLDER)
    names = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
    for name in names:
        if name.endswith(".key"):
            text = _text(files.read(os.path.join(folder, name[:-4] + ".txt")))
            if text:
                public[name[:-4]] = text
    return {"state": (files.read(tree.at(STATE_FILE)) or b"").decode("utf-8", "replace"), "public": public}


def _text(data: Any) -> str:
    text = (data or b"").decode("ascii", "replace").strip()
    return text if text.startswith(_HEAD) and "\n" not in text else ""


def compare(
    tree: files.Tree, spec: Dict[str, Any], manifest: Dict[str, Dict[str, Any]], may_lack_openssl: bool
) -> Inspection:
    """Missing, or halves that do not belong together. A pair with the manifest's digests is not looked at again."""
    data = {path: files.read(tree.at(path)) for path in paths(spec)}
    digests = {path: files.sha256(content) for path, content in data.items() if content is not None}
    if data[spec["key"]] is None:
        return Inspection("create", f"DKIM, {spec['algorithm']}", digests)
    if len(digests) < len(data):
        return Inspection("update", "a part of the pair is missing", digests)
    if all(manifest.get(path, {}).get("sha256") == digest for path, digest in digests.items()):
        return Inspection("", "", digests)
    if not commands.have("openssl"):
        if may_lack_openssl:
            return Inspection("update", "made anew: nothing on this host can read the old one yet", digests)
        raise Stop(f"{spec['key']} cannot be read without openssl", "install openssl on the host")
    try:
        wanted = _pair(spec, data[spec["key"]] or b"")
    except Stop:
        return Inspection("update", "the private key cannot be read", digests)
    if any(wanted[path] != content for path, content in data.items()):
        return Inspection("update", "private and public key do not belong together", digests)
    return Inspection("", "", digests)


def make(spec: Dict[str, Any]) -> Dict[str, bytes]:
    """A new pair, in memory."""
    argv = ["openssl", "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"]
    if spec["algorithm"] == "ed25519":
        argv = ["openssl", "genpkey", "-algorithm", "ED25519"]
    outcome = commands.run(argv)
    if outcome.code != 0 or "PRIVATE KEY" not in outcome.out:
        raise Stop(
            f"openssl made no key for {spec['name']}", "look at the output", outcome.err.splitlines()[-8:]
        )
    return _pair(spec, outcome.out.encode("ascii"))


def _pair(spec: Dict[str, Any], private: bytes) -> Dict[str, bytes]:
    """All files that belong to this private key."""
    outcome = commands.run(
        ["openssl", "pkey", "-pubout", "-outform", "PEM", "-passin", "pass:"], stdin=private
    )
    if outcome.code != 0:
        raise Stop(
            f"openssl cannot read the key of {spec['name']}",
            "look at the output",
            outcome.err.splitlines()[-8:],
        )
    public = _body(outcome.out.encode("ascii"))
    pair = {spec["key"]: private}
    if spec["algorithm"] == "ed25519":
        # RFC 8463 section 4: the record holds the bare key, without the ASN.1 around it.
        public = public[len(_ED25519_PUBLIC) :]
        if spec["raw"]:
            seed = _body(private)[len(_ED25519_PRIVATE) :]
            pair[spec["raw"]] = base64.b64encode(seed + public) + b"\n"
    text = f"{_HEAD}{spec['algorithm']}; p={base64.b64encode(public).decode('ascii')}\n"
    return {**pair, spec["public"]: text.encode("ascii")}


def _body(pem: bytes) -> bytes:
    return base64.b64decode(b"".join(line for line in pem.splitlines() if not line.startswith(b"-----")))


def public_keys(tree: files.Tree, state: Dict[str, Any], made: Dict[str, bytes]) -> Dict[str, str]:
    """`made`: new files by path. A key that is still to be made has an empty text."""
    return {
        spec["name"]: _text(made.get(spec["public"]) or files.read(tree.at(spec["public"])))
        for spec in state["keys"]
    }
