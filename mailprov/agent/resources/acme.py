"""Certificates from a certificate authority by ACME (RFC 8555), which certbot gets and its timer renews.

    Issue                       a certificate that is to be issued or deployed; its plan is made from files alone, so
                                no plan and no run without changes asks anybody
    Placeholder                 a self-signed one where the daemons need one and none has been issued yet
    obtain(run, issues)         the end of an apply: waits until the controller has published the records, then issues

certbot keeps key and chain in its own folder; the deploy hook, one of the host's managed files, joins both in the one
file that the daemons read and reloads them. So a renewal by the timer does all by itself, and a refusal by the
authority leaves the old certificate in service.

Where a web server has port 80, certbot answers the authority by a file in its folder (webroot), else on the port itself
(standalone); a certificate goes from one to the other by certbot's renewal configuration (renewal.py) and is not issued
for that, since authorities count (challenges.py tries it out before).

The key stays at each renewal (`reuse_key` in that configuration), for there may be TLSA records of it, but not that of
a certificate which may lack names: of these there are none, and where certbot leaves a name out that was refused, it
removes the key that it would have used again, the one in service;
0.1.0 did not ask certbot for that. `mailprov tls rotate` has certbot issue with a new key (prepare), which stays out of
service by tls_keys.hold until its record is known everywhere (switch). Raises AgentError.
"""

from __future__ import annotations

import time
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Sequence

from mailprov.agent import commands, files
from mailprov.agent.changes import Change, change
from mailprov.agent.context import ApplyContext
from mailprov.agent.errors import AgentError, joined
from mailprov.agent.resources import (
    certificate_names,
    certificates,
    challenges,
    refused_names,
    renewal,
    tls_keys,
)
from mailprov.agent.resources.base import Look, Made, Resource, Spec
from mailprov.agent.sentences import _

CERTBOT = "/etc/letsencrypt"
HOOK = f"{CERTBOT}/renewal-hooks/deploy/mailprov"
_SYSTEM_ROOTS = "/etc/ssl/certs/ca-certificates.crt"
_ROOTS = "/run/mailprov-acme-roots.pem"  # the drop-in of certbot.service makes the same
_REUSE = "--reuse-key"
_SERVED = 15.0  # seconds in which the daemons must serve a new certificate


class Need(NamedTuple):
    """`todo` is issue, deploy, answer (the challenge another way, from now on), keep (the key, likewise), prepare,
    switch or "", and `why` says it.
    """

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
            found = need(look.tree, spec, look.notices)
            if found.todo:
                how = _("put into service: {why}")
                if found.todo in ("issue", "prepare"):
                    how = _("{server} issues it for {names}: {why}")
                elif found.todo == "keep":
                    how = _("its key stays the same at each renewal from now on")
                elif found.todo == "answer":
                    how = _(
                        "renewals answer the authority another way from now on, the certificate stays: {why}"
                    )
                detail = how.format(server=spec["server"], names=", ".join(spec["names"]), why=found.why)
                made = [change("certificate", "run", spec["name"], detail)]
                yield Issue(spec, made, found.todo)


def need(tree: files.Tree, spec: Spec, notices: Optional[List[str]] = None) -> Need:
    """Compare certbot's records and files with the spec; certbot itself is not called. Names that the certificate may
    lack are looked up, and `notices` gets those that do not lead here: nothing is to be done about them.
    """
    live = tree.at(f"{CERTBOT}/live/{spec['name']}")
    chain = files.read(live + "/fullchain.pem", follow=True)
    key = files.read(live + "/privkey.pem", follow=True)
    if not chain or not key:
        if spec.get("may_lack"):
            here, elsewhere, nowhere = certificate_names.sort_out(spec, spec["names"])
            here, refused = refused_names.leave_out(tree, spec, here)
            if not here and not nowhere:  # what is nowhere may be published by this very run
                _left_out(notices, elsewhere, refused)
                return Need("", "")
        return Need("issue", _("not issued yet"))
    now = renewal.settings(tree, spec["name"])
    if now.get("server") != spec["server"]:
        return Need("issue", f"server {now.get('server', '?')} → {spec['server']}")
    wanted = (spec["authenticator"], spec.get("webroot", ""))
    answers = renewal.answers_by(now, spec["names"][0])
    why = f"authenticator {answers[0]} → {wanted[0]}"
    if answers != wanted and not {answers[0], wanted[0]} <= set(renewal.BY_HTTP):
        return Need("issue", why)
    if not commands.have("openssl"):
        return Need("issue", _("nothing on this host can read the old one yet"))
    known = certificates.describe(live + "/fullchain.pem")
    if sorted(known["names"]) != sorted(spec["names"]) and not _may_stay(tree, spec, known["names"], notices):
        names = _("names {old} → {new}").format(old=", ".join(known["names"]), new=", ".join(spec["names"]))
        return Need("issue", names)
    if known["expires"] < time.time():
        return Need("issue", _("it has expired, so the timer of certbot does not renew it"))
    held = is_held(tree, spec)
    if spec.get("rotate") == "switch" and held:
        return Need("switch", _("the new key"))
    if files.read(tree.at(spec["path"])) != key + chain and not held:
        return Need("deploy", _("issued, and not in service yet"))
    if answers != wanted:
        return Need("answer", why if answers[0] != wanted[0] else f"webroot {answers[1]} → {wanted[1]}")
    if now.get("reuse_key") != "True" and not spec.get("may_lack"):
        return Need("keep", "")
    if spec.get("rotate") == "prepare" and not held:
        return Need("prepare", _("with a new key, not in service yet"))
    return Need("", "")


def _may_stay(tree: files.Tree, spec: Spec, has: Sequence[str], notices: Optional[List[str]]) -> bool:
    """Whether all that the certificate lacks are names that do not lead here, or were refused not long ago."""
    lacking = [name for name in spec["names"] if name not in has]
    if not spec.get("may_lack") or not set(has) <= set(spec["names"]):
        return False
    here, elsewhere, nowhere = certificate_names.sort_out(spec, lacking)
    here, refused = refused_names.leave_out(tree, spec, here)
    if not here:
        _left_out(notices, {**elsewhere, **nowhere}, refused)
    return not here


def _left_out(notices: Optional[List[str]], reasons: Dict[str, str], refused: Dict[str, str]) -> None:
    if notices is not None:
        form = _("{why}, so it is in no certificate of this host")
        notices.extend([form.format(why=why) for why in reasons.values()] + list(refused.values()))


def is_held(tree: files.Tree, spec: Spec) -> bool:
    """Whether certbot has a new key that is not to be served yet."""
    if files.read(tree.at(tls_keys.hold(spec["path"]))) is None:
        return False
    served = tls_keys.digest(files.read(tree.at(spec["path"])))
    return served != tls_keys.issued(tree, spec["name"])


def obtain(run: ApplyContext, issues: Sequence[Issue]) -> None:
    """Issue or deploy what is planned. The service runs; the names must be in DNS first, so the controller is told."""
    run.channel.say("ready")
    run.channel.wait("issue")
    failures: List[AgentError] = []
    for work in issues:
        run.check()
        try:
            refused = _do(run, work.spec, work.todo)
            if refused:
                raise AgentError(
                    _("{server} refused {reasons}; the other names are served").format(
                        server=work.spec["server"], reasons="; ".join(refused)
                    ),
                    _(
                        "fix that, then apply again; of a later apply the plan says when they are asked for anew"
                    ),
                )
            left = need(run.tree, work.spec)
            for follows in ("answer", "keep", "prepare"):
                if left.todo == follows:
                    _do(run, work.spec, follows)
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


def _do(run: ApplyContext, spec: Spec, todo: str) -> List[str]:
    """`todo` as of Need; what is issued is served, unless it is held. The names that the authority refused, each with
    its reason, where it issued for others.
    """
    tree, held = run.tree, run.tree.at(tls_keys.hold(spec["path"]))
    refused: List[str] = []
    if todo == "issue" and spec.get("may_lack"):
        spec = _leading_here(run, spec)
    if todo in ("issue", "prepare", "answer") and spec.get("webroot"):
        challenges.try_out(tree, spec["webroot"], spec["names"])
    if todo == "answer":
        renewal.answer_by(tree, spec)
    if todo in ("issue", "prepare"):
        if spec.get("rotate") == "prepare":
            files.write(held, b"Made by mailprov tls rotate, which ends it.\n", 0o600)
        run.say(
            _("asking {server} for {names}").format(server=spec["server"], names=", ".join(spec["names"]))
        )
        if todo == "prepare":
            renewal.keep_key(tree, spec, False)
            spec = {**spec, "arguments": [one for one in spec["arguments"] if one != _REUSE]}
        try:
            refused = _issue(tree, spec)
        finally:
            renewal.keep_key(tree, spec, not spec.get("may_lack"))
    renewal.keep_key(tree, spec, not spec.get("may_lack"))
    if todo == "switch" or not is_held(tree, spec):
        files.remove(held)
        if todo not in ("keep", "answer"):
            _deploy(spec)
    return refused


def _leading_here(run: ApplyContext, spec: Spec) -> Spec:
    """The spec for those of its names that lead here now."""
    here, elsewhere, nowhere = certificate_names.sort_out(spec, spec["names"])
    here, refused = refused_names.leave_out(run.tree, spec, here)
    reasons = [*elsewhere.values(), *nowhere.values(), *refused.values()]
    if not here:
        raise AgentError(
            _("no certificate for the web server: {reasons}").format(reasons="; ".join(reasons)),
            _("publish these names, then apply again"),
        )
    told: List[str] = []
    _left_out(told, {**elsewhere, **nowhere}, refused)
    for sentence in told:
        run.session.notice(sentence)
    names = [argument for name in here for argument in ("-d", name)]
    return {**spec, "names": here, "arguments": [*spec["arguments"], *names]}


def _issue(tree: files.Tree, spec: Dict[str, Any]) -> List[str]:
    """Each name that the authority refused while it issued for others, with its reason."""
    environment = {}
    if spec["roots"]:
        roots = (files.read(_SYSTEM_ROOTS, follow=True) or b"") + (files.read(tree.at(spec["roots"])) or b"")
        files.write(_ROOTS, roots, 0o644)
        environment["REQUESTS_CA_BUNDLE"] = _ROOTS
    outcome = commands.run(["certbot", *spec["arguments"]], timeout=600, env=environment)
    said = _details(outcome)
    if outcome.code != 0:
        if spec.get("may_lack"):
            refused_names.note(tree, spec, {name: said[name] for name in spec["names"] if name in said})
        what = _(
            "{server} issued no certificate for {names}: {reason}; mail goes on with the certificate that was "
            "there before"
        ).format(server=spec["server"], names=", ".join(spec["names"]), reason=_reason(outcome))
        raise AgentError(
            what,
            _("fix that, then apply again: only the certificate is left to do"),
            outcome.lines(),
        )
    if not spec.get("may_lack"):
        return []
    has = certificates.describe(tree.at(f"{CERTBOT}/live/{spec['name']}/fullchain.pem"))["names"]
    refused = {name: said.get(name, _("no reason told")) for name in spec["names"] if name not in has}
    refused_names.note(tree, spec, refused)
    return [f"{name} ({why})" for name, why in refused.items()]


def _details(outcome: commands.Outcome) -> Dict[str, str]:
    """Name → what the authority found, of each that certbot tells."""
    found, name = {}, ""
    for line in (outcome.out + "\n" + outcome.err).splitlines():
        key, colon, value = (part.strip() for part in line.partition(":"))
        if key == "Domain" and colon:
            name = value
        elif key == "Detail" and colon:
            found[name] = value
    return found


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
