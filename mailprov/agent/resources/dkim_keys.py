"""DKIM key pairs, which are made on the host; a private key never leaves it.

    facts(tree) -> {"state", "public"}      what the controller must know of the keys that are there
    DkimKey                                 the pair as a resource
    inspect(tree, spec, …) -> Inspection    whether a pair must be made
    make(spec) -> {path: bytes}             RSA with 2048 bits (RFC 8301) or Ed25519 (RFC 8463), all files of the pair
    make_all(specs, say, check)             many at once, on all processors
    public_keys(tree, state, made)          name → text of the TXT record, for all keys of the state
    paths(spec)                             the files of a pair, the private key first

The keys of an apply are made before its plan is shown, because DNS records are planned with their public halves; they
exist in memory alone until it is go. Raises AgentError.
"""

from __future__ import annotations

import base64
import os
import time
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Optional, Sequence

from mailprov.agent import commands, der, files, parallel
from mailprov.agent.changes import Change, change
from mailprov.agent.context import ApplyContext
from mailprov.agent.errors import AgentError
from mailprov.agent.manifest import Entry
from mailprov.agent.resources.base import Look, Spec, Staged, State, root_ids
from mailprov.agent.resources.packages import Package
from mailprov.agent.sentences import _, joined
from mailprov.agent.transaction.staging import Stage

FOLDER = "/etc/mailprov/dkim"
STATE_FILE = FOLDER + "/keys"
_HEAD = "v=DKIM1; k="
# RFC 8410: what stands before the 32 octets of an Ed25519 key in PKCS #8 and in SubjectPublicKeyInfo.
_ED25519_PRIVATE = bytes.fromhex("302e020100300506032b657004220420")
_ED25519_PUBLIC = bytes.fromhex("302a300506032b6570032100")


class DkimKey(Staged):
    """`pair`: path → content of a new pair, which is made before the plan is told; None where only owners or modes
    differ.
    """

    def __init__(self, spec: Spec, changes: Sequence[Change], pair: Optional[Dict[str, bytes]]) -> None:
        super().__init__(spec, changes)
        self.pair = pair

    @classmethod
    def count(cls, state: State) -> int:
        return len(state["keys"])

    @classmethod
    def entries(cls, state: State) -> Iterator[Entry]:
        for spec in state["keys"]:
            yield from _entries(spec)

    @classmethod
    def compare(cls, look: Look) -> Iterator["DkimKey"]:
        may_lack_openssl = bool(look.of(Package))
        for spec in look.state["keys"]:
            found = inspect(look.tree, spec, look.manifest.files, may_lack_openssl)
            look.digests.update(found.digests)
            edits = [
                look.drift.of(path, files.look(look.tree.at(path)), data) for path, data in found.data.items()
            ]
            if found.action:
                told = [found.detail, *(edit.note for edit in edits if edit.note)]
                detail, drift = joined(dict.fromkeys(told)), any(edit.stops for edit in edits)
                yield DkimKey(spec, [change("key", found.action, spec["name"], detail, drift=drift)], {})
                continue
            details = look.owners(_entries(spec))
            if details:
                yield DkimKey(spec, [change("key", "update", spec["name"], joined(details))], None)

    def paths(self) -> Sequence[str]:
        return paths(self.spec)

    def rewrites(self) -> Sequence[str]:
        return self.paths()

    def stage(self, run: ApplyContext, stage: Stage) -> None:
        for entry in _entries(self.spec):
            path, mode, owner = entry.path, int(entry.mode, 8), root_ids(run.tree, entry.group)
            if self.pair is None:
                stage.own(path, mode, *owner)
            else:
                stage.put(path, self.pair[path], mode, *owner)
                run.digests[path] = files.sha256(self.pair[path])


def _entries(spec: Spec) -> List[Entry]:
    return [
        Entry(path, "file", "root", "root", "0644")
        if path == spec["public"]
        else Entry(path, "key", "root", spec["group"], "0640")
        for path in paths(spec)
    ]


class Inspection(NamedTuple):
    """`action` is "", create or update; `digests` of the files that are there, `data` of all."""

    action: str
    detail: str
    digests: Dict[str, str]
    data: Dict[str, Optional[bytes]]


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


def inspect(
    tree: files.Tree, spec: Dict[str, Any], manifest: Dict[str, Dict[str, Any]], may_lack_openssl: bool
) -> Inspection:
    """Missing, or halves that do not belong together. A pair with the manifest's digests is not looked at again."""
    data = {path: files.read(tree.at(path)) for path in paths(spec)}
    digests = {path: files.sha256(content) for path, content in data.items() if content is not None}
    if data[spec["key"]] is None:
        return Inspection("create", _("DKIM, {algorithm}").format(algorithm=spec["algorithm"]), digests, data)
    if len(digests) < len(data):
        return Inspection("update", _("a part of the pair is missing"), digests, data)
    if all(manifest.get(path, {}).get("sha256") == digest for path, digest in digests.items()):
        return Inspection("", "", digests, data)
    if not commands.have("openssl"):
        if may_lack_openssl:
            why = _("made again: nothing on this host can read the old one yet")
            return Inspection("update", why, digests, data)
        raise AgentError(
            _("{path} cannot be read without openssl").format(path=spec["key"]),
            _("install openssl on the host"),
        )
    try:
        wanted = _pair(spec, data[spec["key"]] or b"")
    except AgentError:
        return Inspection("update", _("the private key cannot be read"), digests, data)
    if any(wanted[path] != content for path, content in data.items()):
        return Inspection("update", _("private and public key do not belong together"), digests, data)
    return Inspection("", "", digests, data)


def make(spec: Dict[str, Any]) -> Dict[str, bytes]:
    """A new pair, in memory."""
    argv = ["openssl", "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"]
    if spec["algorithm"] == "ed25519":
        argv = ["openssl", "genpkey", "-algorithm", "ED25519"]
    outcome = commands.run(argv)
    if outcome.code != 0 or "PRIVATE KEY" not in outcome.out:
        raise AgentError(
            _("openssl could not make a key for {name}").format(name=spec["name"]),
            _("look at the output"),
            outcome.err.splitlines()[-8:],
        )
    private = outcome.out.encode("ascii")
    if spec["algorithm"] == "rsa" and (public := _rsa_public(_body(private))):
        return _files(spec, private, public)
    return _pair(spec, private)


def make_all(
    specs: List[Dict[str, Any]], say: Callable[[str], None], check: Callable[[], None]
) -> List[Dict[str, bytes]]:
    """In the order of `specs`. `say` hears each second how far it is: a hundred keys take some seconds."""
    if len(specs) == 1:
        say(_("making the DKIM key {name}").format(name=specs[0]["name"]))
    last = [0.0]

    def told(done: int) -> None:
        if len(specs) > 1 and (done == len(specs) or time.monotonic() > last[0] + 1):
            last[0] = time.monotonic()
            say(_("making DKIM keys: {done} of {total}").format(done=done, total=len(specs)))

    return parallel.each(make, specs, check, told)


def _rsa_public(key: bytes) -> bytes:
    """SubjectPublicKeyInfo of an RSA key in PKCS #8; empty where it is not as openssl writes it.

    RFC 5208 section 5: SEQUENCE {version, algorithm, OCTET STRING of RSAPrivateKey}, whose beginning (RFC 8017 appendix
    A.1.2) is version, modulus, exponent. RFC 5280 section 4.1: SEQUENCE {algorithm, BIT STRING of RSAPublicKey}, which
    is a SEQUENCE of these two. It spares each key a second process.
    """
    try:
        _tag, outer = der.content(key)
        _version, after_version = der.split(outer)
        algorithm, rest = der.split(after_version)
        _tag, private = der.content(rest)
        _tag, inner = der.content(private)
        _version, after_version = der.split(inner)
        modulus, rest = der.split(after_version)
        exponent, _rest = der.split(rest)
    except IndexError:
        return b""
    if (algorithm[0], modulus[0], exponent[0]) != (0x30, 0x02, 0x02):
        return b""
    return der.wrapped(0x30, algorithm + der.wrapped(0x03, b"\0" + der.wrapped(0x30, modulus + exponent)))


def _pair(spec: Dict[str, Any], private: bytes) -> Dict[str, bytes]:
    """All files that belong to this private key."""
    outcome = commands.run(
        ["openssl", "pkey", "-pubout", "-outform", "PEM", "-passin", "pass:"], stdin=private
    )
    if outcome.code != 0:
        raise AgentError(
            _("openssl cannot read the key of {name}").format(name=spec["name"]),
            _("look at the output"),
            outcome.err.splitlines()[-8:],
        )
    return _files(spec, private, _body(outcome.out.encode("ascii")))


def _files(spec: Dict[str, Any], private: bytes, public: bytes) -> Dict[str, bytes]:
    """`public`: SubjectPublicKeyInfo in DER."""
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
