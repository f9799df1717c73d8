"""Keys and self-signed certificates that are made on the host; a key never leaves it.

    Certificate                                             the pair as a resource
    inspect(tree, spec, known, may_lack_openssl) → Inspection
    make(spec, directory, key) -> (certificate PEM, key PEM)     ECDSA P-256 or RSA, SHA-256, RFC 5280 extensions
    describe(pem_path) -> {"names", "expires"}              for the manifest: no openssl runs next time

A certificate that is made anew keeps its key where it has one, for there may be TLSA records of it (RFC 7671 section
8.1). Another key comes by `mailprov tls rotate` alone: first beside it (tls_keys.candidate), where nobody serves it
until its record is known, then in its place. Raises AgentError.
"""

from __future__ import annotations

import calendar
import os
import time
from typing import Any, Dict, Iterator, NamedTuple, Optional, Sequence, Tuple

from mailprov.agent import commands, files
from mailprov.agent.changes import Change, change
from mailprov.agent.context import ApplyContext
from mailprov.agent.errors import AgentError
from mailprov.agent.manifest import Entry
from mailprov.agent.resources.base import Look, Spec, Staged, State, root_ids
from mailprov.agent.resources.packages import Package
from mailprov.agent.resources.tls_keys import candidate
from mailprov.agent.sentences import _, joined, ngettext
from mailprov.agent.transaction.staging import Stage

# openssl-req(1). RSA below 3072 bits is being phased out.
_NEW_KEY = {
    "ecdsa": ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
    "rsa": ["-newkey", "rsa:3072"],
}


class Certificate(Staged):
    """A certificate and its key; it is made anew where `renew`, with a new key unless `keeps`, else owners or modes
    differ.
    """

    def __init__(self, spec: Spec, changes: Sequence[Change], *, renew: bool, keeps: bool = False) -> None:
        super().__init__(spec, changes)
        self.renew, self.keeps = renew, keeps

    @classmethod
    def count(cls, state: State) -> int:
        return len(state["certificates"]) + len(state.get("issued", ()))

    @classmethod
    def entries(cls, state: State) -> Iterator[Entry]:
        for spec in state["certificates"]:
            yield from _entries(spec)

    @classmethod
    def compare(cls, look: Look) -> Iterator["Certificate"]:
        may_lack_openssl = bool(look.of(Package))
        for spec in look.state["certificates"]:
            name = spec["certificate"]
            waiting = files.read(look.tree.at(candidate(name))) is not None
            if spec.get("rotate") == "switch" and waiting:
                edits = [look.edit(name), look.edit(spec["key"])]
                told = [_("the new key is put into service"), *(edit.note for edit in edits if edit.note)]
                drift = any(edit.stops for edit in edits)
                detail = joined(dict.fromkeys(told))
                yield Successor(spec, [change("certificate", "update", name, detail, drift=drift)])
                continue
            if spec.get("rotate") == "prepare" and not waiting:
                detail = _("a certificate with a new key, not in service yet")
                yield Candidate(spec, [change("certificate", "create", candidate(name), detail)])
            found = inspect(look.tree, spec, look.manifest.files, may_lack_openssl)
            look.digests.update(found.digests)
            edits = [look.edit(name), look.edit(spec["key"])]
            if found.action:
                told = [found.detail, *(edit.note for edit in edits if edit.note)]
                detail, drift = joined(dict.fromkeys(told)), any(edit.stops for edit in edits)
                made = [change("certificate", found.action, name, detail, drift=drift)]
                yield Certificate(spec, made, renew=True, keeps=found.keeps)
                continue
            look.known[name] = found.known
            details = look.owners(_entries(spec))
            if details:
                by_hand = list(dict.fromkeys(edit.note for edit in edits if edit.note and not edit.content))
                detail = joined([*by_hand, *details])
                made = [change("certificate", "update", name, detail, drift=bool(by_hand))]
                yield Certificate(spec, made, renew=False)

    def paths(self) -> Sequence[str]:
        return self.spec["certificate"], self.spec["key"]

    def rewrites(self) -> Sequence[str]:
        return self.paths() if self.renew else ()

    def stage(self, run: ApplyContext, stage: Stage) -> None:
        certificate, key = self.paths()
        owner = root_ids(run.tree)
        if not self.renew:
            stage.own(certificate, 0o644, *owner)
            stage.own(key, 0o600, *owner)
            return
        kept = files.read(run.tree.at(key)) if self.keeps else None
        made = make(self.spec, run.private, kept)
        run.known[certificate] = describe(stage.put(certificate, made[0], 0o644, *owner))
        stage.put(key, made[1], 0o600, *owner)
        run.digests.update({certificate: files.sha256(made[0]), key: files.sha256(made[1])})


class Candidate(Certificate):
    """Its successor, beside it: certificate and key in one file, for root alone."""

    def __init__(self, spec: Spec, changes: Sequence[Change]) -> None:
        super().__init__(spec, changes, renew=True)

    def paths(self) -> Sequence[str]:
        return (candidate(self.spec["certificate"]),)

    def rewrites(self) -> Sequence[str]:
        return ()  # nobody reads it

    def stage(self, run: ApplyContext, stage: Stage) -> None:
        (path,) = self.paths()
        certificate, key = make(self.spec, run.private)
        stage.put(path, certificate + key, 0o600, *root_ids(run.tree))


class Successor(Certificate):
    """Takes the place of the one that was served until now."""

    def __init__(self, spec: Spec, changes: Sequence[Change]) -> None:
        super().__init__(spec, changes, renew=True)

    def paths(self) -> Sequence[str]:
        return *super().paths(), candidate(self.spec["certificate"])

    def rewrites(self) -> Sequence[str]:
        return super().paths()

    def stage(self, run: ApplyContext, stage: Stage) -> None:
        certificate, key, path = self.paths()
        owner = root_ids(run.tree)
        made = _halves(files.read(run.tree.at(path)) or b"")
        run.known[certificate] = describe(stage.put(certificate, made[0], 0o644, *owner))
        stage.put(key, made[1], 0o600, *owner)
        stage.drop(path)
        run.digests.update({certificate: files.sha256(made[0]), key: files.sha256(made[1])})


def _halves(both: bytes) -> Tuple[bytes, bytes]:
    """Certificate and key out of a candidate."""
    end = b"-----END CERTIFICATE-----\n"
    certificate, _end, key = both.partition(end)
    return certificate + end, key


def _entries(spec: Spec) -> Sequence[Entry]:
    return (
        Entry(spec["certificate"], "certificate", "root", "root", "0644"),
        Entry(spec["key"], "key", "root", "root", "0600"),
    )


class Inspection(NamedTuple):
    """`action` is "", create or update; `known`: {"names", "expires"} of a good one; `digests` of both. `keeps`: its
    key is good, whatever is to be done about the certificate.
    """

    action: str
    detail: str
    known: Dict[str, Any]
    digests: Dict[str, str]
    keeps: bool = False


def inspect(
    tree: files.Tree, spec: Dict[str, Any], manifest: Dict[str, Dict[str, Any]], may_lack_openssl: bool
) -> Inspection:
    """Whether the certificate must be made: missing, without its key, for other names, or close to expiry.

    `manifest` are the manifest's files: a certificate and key with the same digests are not read again.
    """
    pem, key = files.read(tree.at(spec["certificate"])), files.read(tree.at(spec["key"]))
    paths = ((spec["certificate"], pem), (spec["key"], key))
    digests = {path: files.sha256(data) for path, data in paths if data is not None}
    if pem is None:
        return Inspection(
            "create", _("self-signed for {names}").format(names=", ".join(spec["names"])), {}, digests
        )
    if key is None:
        return Inspection("update", _("its key is missing"), {}, digests)
    entries = [manifest.get(path, {}) for path, _data in paths]
    known: Optional[Dict[str, Any]] = None
    if [entry.get("sha256") for entry in entries] == [digests[path] for path, _data in paths]:
        known = {name: entries[0][name] for name in ("names", "expires") if name in entries[0]}
    if not known or len(known) != 2:
        if not commands.have("openssl"):
            if may_lack_openssl:
                return Inspection(
                    "update", _("made again: nothing on this host can read the old one yet"), {}, digests
                )
            raise AgentError(
                _("{path} cannot be read without openssl").format(path=spec["certificate"]),
                _("install openssl on the host"),
            )
        if not _belong(tree.at(spec["certificate"]), tree.at(spec["key"])):
            return Inspection("update", _("certificate and key do not belong together"), {}, digests)
        known = describe(tree.at(spec["certificate"]))
    if sorted(set(known["names"])) != sorted(set(spec["names"])):
        return Inspection(
            "update",
            _("names {old} → {new}").format(old=", ".join(known["names"]), new=", ".join(spec["names"])),
            {},
            digests,
            keeps=True,
        )
    days = int((known["expires"] - time.time()) // 86400)
    if days < min(30, spec["days"] // 3):
        return Inspection(
            "update",
            ngettext("expires in {count} day", "expires in {count} days", days).format(count=days)
            if days >= 0
            else _("has expired"),
            {},
            digests,
            keeps=True,
        )
    return Inspection("", "", known, digests)


def describe(certificate: str) -> Dict[str, Any]:
    """Names and expiry (unix seconds) of the certificate in this file; no names when it is not one."""
    argv = ["openssl", "x509", "-in", certificate, "-noout", "-enddate", "-ext", "subjectAltName"]
    outcome = commands.run(argv)
    known: Dict[str, Any] = {"names": [], "expires": 0}
    for line in outcome.out.splitlines():
        if line.startswith("notAfter="):
            known["expires"] = calendar.timegm(time.strptime(line[9:].strip(), "%b %d %H:%M:%S %Y GMT"))
        elif "DNS:" in line:
            known["names"] = [part.strip()[4:] for part in line.split(",") if part.strip().startswith("DNS:")]
    return known


def _belong(certificate: str, key: str) -> bool:
    one = commands.run(["openssl", "x509", "-in", certificate, "-noout", "-pubkey"])
    two = commands.run(["openssl", "pkey", "-in", key, "-pubout", "-passin", "pass:"])
    return one.code == 0 and two.code == 0 and one.out.strip() == two.out.strip()


def make(spec: Dict[str, Any], directory: str, kept: Optional[bytes] = None) -> Tuple[bytes, bytes]:
    """A certificate with this key, else with a new one, by way of files in `directory`, which only root may enter."""
    names = spec["names"]
    certificate, key, settings = (
        os.path.join(directory, name) for name in ("cert.pem", "key.pem", "req.cnf")
    )
    # Settings of our own: the host's openssl.cnf would make it a CA certificate. RFC 5280: a common name has
    # at most 64 characters; the names that count are the alternative ones (RFC 9525).
    subject = f"CN={names[0]}" if len(names[0]) <= 64 else "O=mailprov"
    alternatives = ",".join(f"DNS:{name}" for name in names)
    text = f"""[req]
prompt=no
distinguished_name=subject
x509_extensions=extensions
[subject]
{subject}
[extensions]
subjectAltName={alternatives}
basicConstraints=critical,CA:FALSE
keyUsage=critical,digitalSignature
extendedKeyUsage=serverAuth
subjectKeyIdentifier=hash
authorityKeyIdentifier=keyid
"""
    files.write(settings, text.encode("ascii"), 0o600)
    argv = ["openssl", "req", "-x509", "-sha256", "-nodes", "-config", settings, "-days", str(spec["days"])]
    if kept:
        files.write(key, kept, 0o600)
        argv += ["-key", key, "-out", certificate]
    else:
        argv += [*_NEW_KEY[spec.get("key_type", "ecdsa")], "-keyout", key, "-out", certificate]
    try:
        outcome = commands.run(argv)
        pem, secret = files.read(certificate), files.read(key)
        if outcome.code != 0 or not pem or not secret:
            what = _("openssl could not make a certificate for {names}").format(names=", ".join(names))
            raise AgentError(what, _("look at the output"), outcome.lines())
        return pem, secret
    finally:
        for path in (certificate, key, settings):
            files.remove(path)
