"""Certificates from a certificate authority by ACME (RFC 8555), which certbot gets and its timer renews.

    Issue                       a certificate that is to be issued or deployed; its plan is made from files alone, so
                                no plan and no run without changes asks anybody
    Placeholder                 a self-signed one where the daemons need one and none has been issued yet
    obtain(run, issues)         the end of an apply: waits until the controller has published the records, then issues

certbot keeps key and chain in its own folder; the deploy hook, one of the host's managed files, joins both in the one
file that the daemons read and reloads them. So a renewal by the timer does all by itself, and a refusal by the
authority leaves the old certificate in service.

The key stays at each renewal (`reuse_key` in certbot's renewal configuration), for there may be TLSA records of it;
0.1.0 did not ask certbot for that. `mailprov tls rotate` has certbot issue with a new key (prepare), which stays out of
service by tls_keys.hold until its record is known everywhere (switch). Raises AgentError.
"""

from __future__ import annotations

import re
import time
from typing import Any, Dict, Iterator, List, NamedTuple, Sequence

from mailprov.agent import commands, files
from mailprov.agent.changes import Change, change
from mailprov.agent.context import ApplyContext
from mailprov.agent.errors import AgentError, joined
from mailprov.agent.resources import certificates, tls_keys
from mailprov.agent.resources.base import Look, Made, Resource, Spec
from mailprov.agent.sentences import _

CERTBOT = "/etc/letsencrypt"
_SYSTEM_ROOTS = "/etc/ssl/certs/ca-certificates.crt"
_ROOTS = "/run/mailprov-acme-roots.pem"  # the drop-in of certbot.service makes the same
_REUSE = "--reuse-key"
_REUSES = re.compile(r"\s*reuse_key\s*=")
_SERVED = 15.0  # seconds in which the daemons must serve a new certificate


class Need(NamedTuple):
    """`todo` is issue, deploy, keep (the key, from now on), prepare, switch or "", and `why` says it."""

    todo: str
    why: str


class Placeholder(Made):
    """Made in its place: nothing reads the file before this run's configuration is in force. It is what was served for
    the name until now, if there is such: mail programs trust it, and there may be TLSA records of its key.
    """

    @classmethod
    def compare(cls, look: Look) -> Iterator["Placeholder"]:
        for spec in look.state.get("issued", ()):
            if files.read(look.tree.at(spec["path"])) is None:
                form = _("self-signed for {names}, until it is issued")
                if _former(look.tree, spec):
                    form = _("the one that was served for {names}, until it is issued")
                detail = form.format(names=", ".join(spec["names"]))
                yield Placeholder(spec, [change("certificate", "create", spec["path"], detail)])

    def put(self, run: ApplyContext) -> None:
        self.make(run.tree, run.private)

    def make(self, tree: files.Tree, private: str) -> None:
        """By way of files in `private`."""
        wanted = {"names": self.spec["names"], "days": 365, "key_type": self.spec["key_type"]}
        both = _former(tree, self.spec)
        if not both:
            certificate, key = certificates.make(wanted, private)
            both = key + certificate
        files.write(tree.at(self.spec["path"]), both, 0o600)


def _former(tree: files.Tree, spec: Spec) -> bytes:
    """Key and certificate that the daemons read for this name before an authority was named; b"" for none."""
    kind = "" if spec["key_type"] == "ecdsa" else f"-{spec['key_type']}"
    for stem in (f"{spec['names'][0]}.self-signed{kind}", spec["names"][0]):
        key, certificate = (files.read(tree.at(f"{tls_keys.FOLDER}/{stem}.{end}")) for end in ("key", "crt"))
        if key and certificate:
            return key + certificate
    return b""


class Issue(Resource):
    """`todo` as of Need. It is done last, when the records are published."""

    def __init__(self, spec: Spec, changes: Sequence[Change], todo: str) -> None:
        super().__init__(spec, changes)
        self.todo = todo

    @classmethod
    def compare(cls, look: Look) -> Iterator["Issue"]:
        for spec in look.state.get("issued", ()):
            found = need(look.tree, spec)
            if found.todo:
                how = _("put into service: {why}")
                if found.todo in ("issue", "prepare"):
                    how = _("{server} issues it for {names}: {why}")
                elif found.todo == "keep":
                    how = _("its key stays the same at each renewal from now on")
                detail = how.format(server=spec["server"], names=", ".join(spec["names"]), why=found.why)
                made = [change("certificate", "run", spec["name"], detail)]
                yield Issue(spec, made, found.todo)


def need(tree: files.Tree, spec: Spec) -> Need:
    """Compare certbot's records and files with the spec; certbot itself is not called."""
    live = tree.at(f"{CERTBOT}/live/{spec['name']}")
    chain = files.read(live + "/fullchain.pem", follow=True)
    key = files.read(live + "/privkey.pem", follow=True)
    if not chain or not key:
        return Need("issue", _("not issued yet"))
    renewal = _settings(files.read(tree.at(f"{CERTBOT}/renewal/{spec['name']}.conf")) or b"")
    for name in ("server", "authenticator"):
        if renewal.get(name) != spec[name]:
            return Need("issue", f"{name} {renewal.get(name, '?')} → {spec[name]}")
    if not commands.have("openssl"):
        return Need("issue", _("nothing on this host can read the old one yet"))
    known = certificates.describe(live + "/fullchain.pem")
    if sorted(known["names"]) != sorted(spec["names"]):
        names = _("names {old} → {new}").format(old=", ".join(known["names"]), new=", ".join(spec["names"]))
        return Need("issue", names)
    if known["expires"] < time.time():
        return Need("issue", _("it has expired, so the timer of certbot does not renew it"))
    held = is_held(tree, spec)
    if spec.get("rotate") == "switch" and held:
        return Need("switch", _("the new key"))
    if files.read(tree.at(spec["path"])) != key + chain and not held:
        return Need("deploy", _("issued, and not in service yet"))
    if renewal.get("reuse_key") != "True":
        return Need("keep", "")
    if spec.get("rotate") == "prepare" and not held:
        return Need("prepare", _("with a new key, not in service yet"))
    return Need("", "")


def is_held(tree: files.Tree, spec: Spec) -> bool:
    """Whether certbot has a new key that is not to be served yet."""
    if files.read(tree.at(tls_keys.hold(spec["path"]))) is None:
        return False
    served = tls_keys.digest(files.read(tree.at(spec["path"])))
    return served != tls_keys.issued(tree, spec["name"])


def _settings(data: bytes) -> Dict[str, str]:
    """`name = value` lines of certbot's renewal configuration."""
    found = {}
    for line in data.decode("utf-8", "replace").splitlines():
        name, equals, value = line.partition("=")
        if equals and not line.lstrip().startswith(("#", "[")):
            found[name.strip()] = value.strip()
    return found


def obtain(run: ApplyContext, issues: Sequence[Issue]) -> None:
    """Issue or deploy what is planned. The service runs; the names must be in DNS first, so the controller is told."""
    run.channel.say("ready")
    run.channel.wait("issue")
    failures: List[AgentError] = []
    for work in issues:
        run.check()
        try:
            _do(run, work.spec, work.todo)
            left = need(run.tree, work.spec)
            if left.todo in ("keep", "prepare"):
                _do(run, work.spec, left.todo)
                left = need(run.tree, work.spec)
            if left.todo:
                raise AgentError(
                    _("the certificate {name} is not as it must be: {why}").format(
                        name=work.spec["name"], why=left.why
                    )
                )
        except AgentError as error:
            failures.append(error)
            continue
        run.applied(work.changes)
    if failures:
        raise joined(failures)


def _do(run: ApplyContext, spec: Spec, todo: str) -> None:
    """`todo` as of Need; what is issued is served, unless it is held."""
    tree, held = run.tree, run.tree.at(tls_keys.hold(spec["path"]))
    if todo in ("issue", "prepare"):
        if spec.get("rotate") == "prepare":
            files.write(held, b"Made by mailprov tls rotate, which ends it.\n", 0o600)
        run.say(
            _("asking {server} for {names}").format(server=spec["server"], names=", ".join(spec["names"]))
        )
        if todo == "prepare":
            keep_key(tree, spec, False)
            spec = {**spec, "arguments": [one for one in spec["arguments"] if one != _REUSE]}
        try:
            _issue(tree, spec)
        finally:
            keep_key(tree, spec, True)
    keep_key(tree, spec, True)
    if todo == "switch" or not is_held(tree, spec):
        files.remove(held)
        if todo != "keep":
            _deploy(spec)


def keep_key(tree: files.Tree, spec: Spec, keep: bool) -> None:
    """`reuse_key` of certbot's renewal configuration: `certbot reconfigure`, which could set it, is too new (2.3)."""
    path = tree.at(f"{CERTBOT}/renewal/{spec['name']}.conf")
    data = files.read(path)
    if data is None or (_settings(data).get("reuse_key") == "True") is keep:
        return
    lines = [line for line in data.decode("utf-8", "surrogateescape").splitlines() if not _REUSES.match(line)]
    if keep:
        lines.insert(_section(lines), "reuse_key = True")
    text = "".join(f"{line}\n" for line in lines)
    files.write(path, text.encode("utf-8", "surrogateescape"), 0o644)


def _section(lines: Sequence[str]) -> int:
    """The place behind the head of the section that certbot reads its settings from; after a further section's head
    they would be something else.
    """
    places = [number for number, line in enumerate(lines) if line.strip() == "[renewalparams]"]
    return places[0] + 1 if places else len(lines)


def _issue(tree: files.Tree, spec: Dict[str, Any]) -> None:
    environment = {}
    if spec["roots"]:
        roots = (files.read(_SYSTEM_ROOTS, follow=True) or b"") + (files.read(tree.at(spec["roots"])) or b"")
        files.write(_ROOTS, roots, 0o644)
        environment["REQUESTS_CA_BUNDLE"] = _ROOTS
    outcome = commands.run(["certbot", *spec["arguments"]], timeout=600, env=environment)
    if outcome.code != 0:
        what = _(
            "{server} issued no certificate for {names}: {reason}; mail goes on with the certificate that was "
            "there before"
        ).format(server=spec["server"], names=", ".join(spec["names"]), reason=_reason(outcome))
        raise AgentError(
            what,
            _("fix that, then apply again: only the certificate is left to do"),
            outcome.lines(),
        )


def _reason(outcome: commands.Outcome) -> str:
    """certbot's own sentence: what the authority found, else what went wrong on the way there."""
    lines = [line.strip() for line in (outcome.out + "\n" + outcome.err).splitlines() if line.strip()]
    details = [line.partition(":")[2].strip() for line in lines if line.startswith("Detail:")]
    if details:
        return "; ".join(dict.fromkeys(details))
    telling = [
        line for line in lines if not line.startswith(("Ask for help", "See the logfile", "Saving debug"))
    ]
    return telling[-1] if telling else _("certbot ended with code {code}").format(code=outcome.code)


def _deploy(spec: Dict[str, Any]) -> None:
    """The same hook that certbot runs after a renewal, then the proof that both daemons serve the certificate."""
    lineage = f"{CERTBOT}/live/{spec['name']}"
    outcome = commands.run([spec["hook"]], timeout=180, env={"RENEWED_LINEAGE": lineage})
    if outcome.code != 0:
        raise AgentError(
            _("the certificate for {names} was issued, and {program} could not deploy it").format(
                names=", ".join(spec["names"]), program=spec["hook"]
            ),
            _("look at the output, then apply again"),
            outcome.lines(),
        )
    import ssl

    wanted = ssl.PEM_cert_to_DER_cert(_first(files.read(lineage + "/fullchain.pem", follow=True) or b""))
    deadline = time.monotonic() + _SERVED
    for port in spec["ports"]:
        while _served(port, spec) != wanted:
            if time.monotonic() > deadline:
                raise AgentError(
                    _("port {port} does not serve the new certificate for {name} within {seconds} s").format(
                        port=port, name=spec["names"][0], seconds=f"{_SERVED:.0f}"
                    ),
                    _("look at the logs of postfix and dovecot"),
                )
            time.sleep(0.1)


def _first(chain: bytes) -> str:
    """The leaf of a PEM chain."""
    end = "-----END CERTIFICATE-----"
    return chain.decode("ascii", "replace").partition(end)[0] + end + "\n"


def _served(port: int, spec: Dict[str, Any]) -> bytes:
    """The leaf that a client gets which asks for this name and takes this kind of key only; b"" for none."""
    import socket
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.maximum_version = ssl.TLSVersion.TLSv1_2  # TLS 1.3 has no suites for one kind of key
    context.set_ciphers("ECDHE+aRSA" if spec["key_type"] == "rsa" else "ECDHE+aECDSA")
    try:
        plain = socket.create_connection(("127.0.0.1", port), timeout=5)
        with plain, context.wrap_socket(plain, server_hostname=spec["names"][0]) as secured:
            return secured.getpeercert(binary_form=True) or b""
    except (OSError, ValueError):
        return b""
