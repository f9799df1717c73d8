"""Certificates of the names that a web server has for a domain: what is asked for, left out, retried and retired."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from mailprov.agent import commands, files
from mailprov.agent.errors import AgentError
from mailprov.agent.resources import acme, certificate_names, certificates, refused_names
from mailprov.agent.resources.left_certificates import LeftCertificate
from mailprov.agent.transaction.staging import Stage, swap
from tests.agent.looking import look_at

NAME = "alpha.test-web"
HERE, THERE = "192.0.2.1", "198.51.100.7"
ALL = ["autoconfig.alpha.test", "autodiscover.alpha.test", "mta-sts.alpha.test"]
SPEC: dict[str, Any] = {
    "name": NAME,
    "names": ALL,
    "path": f"/etc/mailprov/tls/{NAME}.pem",
    "server": "https://ca.test/directory",
    "authenticator": "webroot",
    "arguments": ["certonly"],
    "hook": "/bin/true",
    "ports": [],
    "key_type": "ecdsa",
    "roots": "",
    "rotate": "",
    "webroot": "",
    "may_lack": True,
    "addresses": [HERE, "2001:db8::1"],
}


class Dns(dict[str, set[str]]):
    """What the host's resolver says; `asked` counts."""

    asked = 0

    def __call__(self, name: str) -> set[str]:
        self.asked += 1
        return self.get(name, set())


@pytest.fixture
def dns(monkeypatch: pytest.MonkeyPatch) -> Dns:
    found = Dns({name: {HERE, "2001:db8::1"} for name in ALL})
    monkeypatch.setattr(certificate_names, "addresses", found)
    return found


def issued(root: Path, *names: str) -> files.Tree:
    """A host on which certbot has a certificate for these, and which serves it."""
    live, archive, renewal = (root / "etc/letsencrypt" / part for part in ("live", "archive", "renewal"))
    folder = root / "etc/mailprov/tls"
    for one in (live / NAME, archive / NAME, renewal, folder):
        one.mkdir(parents=True, exist_ok=True)
    chain, key = certificates.make({"names": list(names), "days": 90}, str(root))
    (archive / NAME / "fullchain1.pem").write_bytes(chain)
    (archive / NAME / "privkey1.pem").write_bytes(key)
    for part in ("fullchain", "privkey"):
        (live / NAME / f"{part}.pem").unlink(missing_ok=True)
        (live / NAME / f"{part}.pem").symlink_to(f"../../archive/{NAME}/{part}1.pem")
    text = f"[renewalparams]\nserver = {SPEC['server']}\nauthenticator = webroot\n"
    (renewal / f"{NAME}.conf").write_text(text)
    (folder / f"{NAME}.pem").write_bytes(key + chain)
    return files.Tree(str(root))


def test_a_complete_certificate_asks_nobody(root: Path, dns: Dns) -> None:
    assert acme.need(issued(root, *ALL), SPEC) == ("", "")
    assert dns.asked == 0


def test_what_leads_elsewhere_is_left_out_and_told_and_what_comes_back_is_issued(
    root: Path, dns: Dns
) -> None:
    tree = issued(root, *ALL[1:])
    dns[ALL[0]] = {THERE}
    look = look_at(tree, issued=[SPEC])
    assert list(acme.Issue.compare(look)) == []
    assert look.notices == [f"{ALL[0]} leads to {THERE}, so it is in no certificate of this host"]
    dns[ALL[0]] = {HERE, THERE}  # an authority may take either
    assert acme.need(tree, SPEC) == ("", "")
    dns[ALL[0]] = set()
    look = look_at(tree, issued=[SPEC])
    assert list(acme.Issue.compare(look)) == []
    assert "has no address in DNS" in look.notices[0]
    dns[ALL[0]] = {HERE}
    (issue,) = acme.Issue.compare(look_at(tree, issued=[SPEC]))
    assert issue.todo == "issue"
    assert f"names {', '.join(ALL[1:])} → {', '.join(ALL)}" in issue.changes[0]["detail"]


def test_before_the_first_issue_only_names_that_may_come_are_worth_asking_for(root: Path, dns: Dns) -> None:
    tree = files.Tree(str(root))
    dns.clear()  # the records are published by this very run
    assert acme.need(tree, SPEC).todo == "issue"
    dns.update({name: {THERE} for name in ALL})
    told: list[str] = []
    assert acme.need(tree, SPEC, told) == ("", "")
    assert len(told) == 3
    dns[ALL[1]] = {HERE}
    assert acme.need(tree, SPEC).todo == "issue"


def test_a_name_that_is_not_wanted_any_more_leaves_the_certificate(root: Path, dns: Dns) -> None:
    assert acme.need(issued(root, *ALL, "x.alpha.test"), SPEC).todo == "issue"


SAID = """Certbot failed to authenticate some domains (authenticator: webroot). The authority reported these problems:
  Domain: autodiscover.alpha.test
  Type:   caa
  Detail: CAA record for autodiscover.alpha.test prevents issuance

Successfully received certificate.
"""


class Run:
    """As much of an ApplyContext as an issue needs."""

    def __init__(self, tree: files.Tree) -> None:
        self.tree, self.session, self.notices = tree, self, []  # type: files.Tree, Run, list[str]

    def say(self, text: str) -> None:
        pass

    def notice(self, text: str) -> None:
        self.notices.append(text)


def test_the_authority_refuses_one_name_and_the_others_are_served(
    root: Path, dns: Dns, monkeypatch: pytest.MonkeyPatch
) -> None:
    dns[ALL[2]] = {THERE}
    asked: list[list[str]] = []

    def certbot(argv: list[str], **more: Any) -> commands.Outcome:
        if argv[0] == "certbot":
            asked.append(argv)
            issued(root, ALL[0])
            return commands.Outcome(0, SAID, "")
        return real(argv, **more)

    real = commands.run
    monkeypatch.setattr(commands, "run", certbot)
    monkeypatch.setattr(acme, "_deploy", lambda spec: None)
    run = Run(files.Tree(str(root)))
    (root / "etc/mailprov/tls").mkdir(parents=True)
    (root / "var/lib/mailprov").mkdir(parents=True, exist_ok=True)
    refused = acme._do(run, SPEC, "issue")  # type: ignore[arg-type]
    assert asked == [["certbot", "certonly", "-d", ALL[0], "-d", ALL[1]]]
    assert refused == [
        "autodiscover.alpha.test (CAA record for autodiscover.alpha.test prevents issuance)",
    ]
    assert run.notices == [f"{ALL[2]} leads to {THERE}, so it is in no certificate of this host"]


def refused_once(root: Path, dns: Dns, monkeypatch: pytest.MonkeyPatch, *served: str) -> list[list[str]]:
    """After a try in which the authority gave out a certificate for these alone; what certbot was asked."""
    asked: list[list[str]] = []

    def certbot(argv: list[str], **more: Any) -> commands.Outcome:
        if argv[0] != "certbot":
            return real(argv, **more)
        asked.append([name for name in argv if name.endswith(".test")])
        if served:
            issued(root, *served)
        said = "".join(
            f"  Domain: {name}\n  Type: caa\n  Detail: CAA prevents it\n"
            for name in asked[-1]
            if name not in served
        )
        return commands.Outcome(0 if served else 1, said, "")

    real = commands.run
    monkeypatch.setattr(commands, "run", certbot)
    monkeypatch.setattr(acme, "_deploy", lambda spec: None)
    (root / "etc/mailprov/tls").mkdir(parents=True)
    (root / "var/lib/mailprov").mkdir(parents=True, exist_ok=True)
    try:
        acme._do(Run(files.Tree(str(root))), SPEC, "issue")  # type: ignore[arg-type]
    except AgentError:
        assert not served
    return asked


def test_what_was_refused_is_not_asked_for_at_each_apply(
    root: Path, dns: Dns, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused_once(root, dns, monkeypatch, ALL[0], ALL[2])
    tree = files.Tree(str(root))
    look = look_at(tree, issued=[SPEC])
    assert list(acme.Issue.compare(look)) == []
    (told,) = look.notices
    assert told.startswith(
        f"{ALL[1]} was refused by https://ca.test/directory (CAA prevents it), and is asked for"
    )
    assert told.endswith("or when it leads to another address; to ask at once, remove " + refused_names.FILE)


@pytest.mark.parametrize(
    "change",
    [
        lambda root, dns, spec: dns.update({ALL[1]: {HERE}}),
        lambda root, dns, spec: spec.update(server="https://other.test/directory"),
        lambda root, dns, spec: spec.update(authenticator="dns-rfc2136"),
        lambda root, dns, spec: (root / refused_names.FILE.lstrip("/")).unlink(),
        lambda root, dns, spec: (root / refused_names.FILE.lstrip("/")).write_text('{"alpha.test-web": [1]}'),
    ],
    ids=["where it leads", "authority", "way of answering", "the note is removed", "the note is not ours"],
)
def test_it_is_asked_for_again_when_something_has_changed(
    change: Any, root: Path, dns: Dns, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused_once(root, dns, monkeypatch, ALL[0], ALL[2])
    spec = dict(SPEC)
    change(root, dns, spec)
    assert acme.need(files.Tree(str(root)), spec).todo == "issue"


def test_it_is_asked_for_again_after_two_days(root: Path, dns: Dns, monkeypatch: pytest.MonkeyPatch) -> None:
    refused_once(root, dns, monkeypatch, ALL[0], ALL[2])
    now = time.time()
    for hours, todo in ((47, ""), (49, "issue"), (-49, "issue")):
        monkeypatch.setattr(refused_names.time, "time", lambda hours=hours: now + hours * 3600)
        assert acme.need(files.Tree(str(root)), SPEC).todo == todo, hours


def test_where_all_were_refused_nothing_is_asked_either(
    root: Path, dns: Dns, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = refused_once(root, dns, monkeypatch)
    assert asked == [ALL]
    told: list[str] = []
    assert acme.need(files.Tree(str(root)), SPEC, told) == ("", "")
    assert len(told) == 3
    dns[ALL[0]] = {HERE}
    with pytest.raises(AgentError):
        acme._do(Run(files.Tree(str(root))), SPEC, "issue")  # type: ignore[arg-type]
    assert asked == [ALL, ALL[:1]]


def test_what_is_issued_is_no_longer_noted(root: Path, dns: Dns, monkeypatch: pytest.MonkeyPatch) -> None:
    refused_once(root, dns, monkeypatch, ALL[0], ALL[2])
    refused_names.note(files.Tree(str(root)), SPEC, {})
    assert "{}" in (root / refused_names.FILE.lstrip("/")).read_text()


def test_no_key_is_kept_that_certbot_would_remove(
    root: Path, dns: Dns, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It begins anew where it leaves out a name, and removes the key file that it would have used again."""
    refused_once(root, dns, monkeypatch, ALL[0], ALL[2])
    assert "reuse_key" not in (root / f"etc/letsencrypt/renewal/{NAME}.conf").read_text()


def test_where_no_name_leads_here_the_authority_is_not_asked(root: Path, dns: Dns) -> None:
    dns.clear()
    with pytest.raises(
        AgentError, match=r"no certificate for the web server: autoconfig\.alpha\.test has no"
    ):
        acme._do(Run(files.Tree(str(root))), SPEC, "issue")  # type: ignore[arg-type]


def test_of_a_domain_that_has_left_everything_goes(root: Path) -> None:
    tree = issued(root, *ALL)
    (root / "etc/mailprov/tls/mx1.alpha.test.acme.pem").write_text("the host's own")
    assert list(LeftCertificate.compare(look_at(tree, issued=[SPEC]))) == []
    (left,) = LeftCertificate.compare(look_at(tree))
    assert (left.changes[0]["action"], left.changes[0]["name"]) == ("delete", NAME)
    stage = Stage(tree)
    left.stage(None, stage)  # type: ignore[arg-type]
    swap(tree, stage.moves, [])
    kept = sorted(str(one.relative_to(root)) for one in root.rglob("*") if one.is_file() or one.is_symlink())
    assert kept == ["etc/mailprov/tls/mx1.alpha.test.acme.pem"]
    assert not (root / "etc/letsencrypt/live" / NAME).exists()
    assert list(LeftCertificate.compare(look_at(tree))) == []
