"""What is to be done about certificates of an authority: from files alone, in the agent's own process."""

from __future__ import annotations

import http.server
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from mailprov.agent import commands, files
from mailprov.agent.errors import AgentError
from mailprov.agent.resources import acme, certificates, challenges, renewal
from tests.agent.looking import look_at

NAME = "mx1.alpha.test"
SPEC: dict[str, Any] = {
    "name": NAME,
    "names": [NAME],
    "path": "/etc/mailprov/tls/mx1.acme.pem",
    "server": "https://ca.test/directory",
    "authenticator": "standalone",
    "arguments": ["certonly"],
    "hook": "/bin/true",
    "ports": [],
    "key_type": "ecdsa",
    "roots": "",
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, bytes]:
    return certificates.make({"names": [NAME], "days": 90}, str(tmp_path_factory.mktemp("made")))


def lineage(root: Path, chain: bytes, key: bytes, **settings: str) -> files.Tree:
    """A host on which certbot has a certificate."""
    live, renewal = root / "etc/letsencrypt/live" / NAME, root / "etc/letsencrypt/renewal"
    for folder in (live, renewal, root / "etc/mailprov/tls"):
        folder.mkdir(parents=True)
    (live / "fullchain.pem").write_bytes(chain)
    (live / "privkey.pem").write_bytes(key)
    kept = {"server": SPEC["server"], "authenticator": "standalone", "reuse_key": "True", **settings}
    lines = ["# renew_before_expiry = 30 days", "[renewalparams]", *(f"{k} = {v}" for k, v in kept.items())]
    (renewal / f"{NAME}.conf").write_text("\n".join(lines))
    return files.Tree(str(root))


def test_what_is_as_wanted_is_left_alone(root: Path, made: tuple[bytes, bytes]) -> None:
    tree = lineage(root, *made)
    (root / SPEC["path"][1:]).write_bytes(made[1] + made[0])
    assert acme.need(tree, SPEC) == ("", "")
    assert list(acme.Placeholder.compare(look_at(tree, issued=[SPEC]))) == []
    assert list(acme.Issue.compare(look_at(tree, issued=[SPEC]))) == []


def test_a_pristine_host_needs_a_placeholder_and_an_issue(root: Path) -> None:
    tree = files.Tree(str(root))
    assert acme.need(tree, SPEC) == ("issue", "not issued yet")
    (placeholder,) = acme.Placeholder.compare(look_at(tree, issued=[SPEC]))
    (root / "etc/mailprov/tls").mkdir(parents=True)
    placeholder.make(tree, str(root))
    pem = root / SPEC["path"][1:]
    assert pem.stat().st_mode & 0o777 == 0o600
    assert pem.read_text().startswith("-----BEGIN PRIVATE KEY-----")
    assert certificates.describe(str(pem))["names"] == [NAME]
    assert list(acme.Placeholder.compare(look_at(tree, issued=[SPEC]))) == []


# As certbot 2.1 writes it, of a certificate that 0.1.0 asked for; [acme] with something behind it is certbot's, too.
OF_0_1_0 = """# renew_before_expiry = 30 days
version = 2.1.0
archive_dir = /etc/letsencrypt/archive/mx1.alpha.test
cert = /etc/letsencrypt/live/mx1.alpha.test/cert.pem

# Options used in the renewal process
[renewalparams]
account = 5b2e1d3a
authenticator = standalone
server = https://ca.test/directory
key_type = ecdsa
[[webroot_map]]
mx1.alpha.test = /var/www
[acme_renewal_info]
ari_retry_after = 2026-01-01T00:00:00
"""


def test_the_key_of_a_certificate_of_0_1_0_stays_from_now_on(root: Path, made: tuple[bytes, bytes]) -> None:
    tree = lineage(root, *made)
    path = root / SPEC["path"][1:]
    path.write_bytes(made[1] + made[0])
    conf = root / "etc/letsencrypt/renewal" / f"{NAME}.conf"
    conf.write_text(OF_0_1_0)
    (issue,) = acme.Issue.compare(look_at(tree, issued=[SPEC]))
    assert (issue.todo, issue.changes[0]["detail"]) == (
        "keep",
        "its key stays the same at each renewal from now on",
    )
    renewal.keep_key(tree, SPEC, True)
    wanted = OF_0_1_0.replace("[renewalparams]\n", "[renewalparams]\nreuse_key = True\n")
    assert conf.read_text() == wanted
    assert acme.need(tree, SPEC) == ("", "")
    renewal.keep_key(tree, SPEC, True)
    assert conf.read_text() == wanted
    renewal.keep_key(tree, SPEC, False)
    assert conf.read_text() == OF_0_1_0


WEBROOT = "/var/lib/mailprov-web"
BY_WEB = {**SPEC, "authenticator": "webroot", "webroot": WEBROOT}


def test_a_certificate_goes_to_the_web_server_and_back_without_being_issued(
    root: Path, made: tuple[bytes, bytes]
) -> None:
    """0.1.0's is standalone. What else certbot has written down stays, but for other folders."""
    tree = lineage(root, *made)
    (root / SPEC["path"][1:]).write_bytes(made[1] + made[0])
    conf = root / "etc/letsencrypt/renewal" / f"{NAME}.conf"
    conf.write_text(OF_0_1_0.replace("[renewalparams]\n", "[renewalparams]\nreuse_key = True\n"))
    (issue,) = acme.Issue.compare(look_at(tree, issued=[BY_WEB]))
    assert (issue.todo, issue.changes[0]["detail"]) == (
        "answer",
        "renewals answer the authority another way from now on, the certificate stays: "
        "authenticator standalone → webroot",
    )
    renewal.answer_by(tree, BY_WEB)
    by_web = conf.read_text()
    assert by_web == OF_0_1_0.replace("authenticator = standalone\n", "").replace(
        "[renewalparams]\n",
        f"[renewalparams]\nauthenticator = webroot\nwebroot_path = {WEBROOT},\nreuse_key = True\n",
    ).replace("[[webroot_map]]\nmx1.alpha.test = /var/www\n", "")
    assert acme.need(tree, BY_WEB) == ("", "")
    # As certbot writes it at the next renewal.
    conf.write_text(by_web.replace("[acme_renewal", f"[[webroot_map]]\n{NAME} = {WEBROOT}\n[acme_renewal"))
    assert acme.need(tree, BY_WEB) == ("", "")
    assert acme.need(tree, SPEC) == ("answer", "authenticator webroot → standalone")
    renewal.answer_by(tree, SPEC)
    assert acme.need(tree, SPEC) == ("", "")
    assert "webroot" not in conf.read_text()


def test_another_folder_is_told_and_dns_01_still_issues(root: Path, made: tuple[bytes, bytes]) -> None:
    tree = lineage(root, *made, authenticator="webroot", webroot_path="/srv/www,")
    (root / SPEC["path"][1:]).write_bytes(made[1] + made[0])
    assert acme.need(tree, BY_WEB) == ("answer", f"webroot /srv/www → {WEBROOT}")
    by_dns = {**SPEC, "authenticator": "dns-rfc2136"}
    assert acme.need(tree, by_dns) == ("issue", "authenticator webroot → dns-rfc2136")


@pytest.mark.parametrize(
    ("hook", "before", "after"),
    [
        ("webroot", "standalone", ("webroot", WEBROOT)),
        ("standalone", "webroot", ("standalone", "")),
        ("webroot", "dns-rfc2136", ("dns-rfc2136", "")),
    ],
)
def test_a_run_that_is_undone_takes_the_challenge_back_with_it(
    root: Path, made: tuple[bytes, bytes], hook: str, before: str, after: tuple[str, str]
) -> None:
    """By the deploy hook, which the rollback has brought back."""
    from mailprov.components.templates import render

    tree = lineage(root, *made, authenticator=before, webroot_path=f"{WEBROOT},")
    text = render(
        "acme/deploy.j2", certificates=[SPEC], web=True, webroot=WEBROOT if hook == "webroot" else ""
    )
    path = root / acme.HOOK[1:]
    path.parent.mkdir(parents=True)
    path.write_text(text)
    renewal.follow(tree, acme.HOOK)
    assert renewal.answers_by(renewal.settings(tree, NAME), NAME) == after


def test_a_challenge_is_tried_out_before_the_authority_is_asked(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    class Web(http.server.SimpleHTTPRequestHandler):
        def translate_path(self, path: str) -> str:
            asked.append(self.headers["Host"])
            return str(root) + WEBROOT + path if self.headers["Host"] == NAME else str(root / "nothing")

        def log_message(self, format: str, *args: Any) -> None:
            pass

    monkeypatch.setattr(challenges, "_PATIENCE", 0.3)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Web) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        port = server.server_address[1]
        try:
            challenges.try_out(files.Tree(str(root)), WEBROOT, [NAME], port)
            with pytest.raises(
                AgentError, match=r"does not give out challenges.* for b\.test \(status 404\)"
            ):
                challenges.try_out(files.Tree(str(root)), WEBROOT, [NAME, "b.test"], port)
        finally:
            server.shutdown()
    assert set(asked) == {NAME, "b.test"}
    assert not list((root / WEBROOT[1:]).rglob("mailprov-*"))
    with pytest.raises(AgentError, match="Connection refused"):
        challenges.try_out(files.Tree(str(root)), WEBROOT, [NAME], port)


def test_what_was_served_stays_until_an_authority_has_issued(root: Path, made: tuple[bytes, bytes]) -> None:
    """There may be TLSA records of its key, and mail programs know it."""
    tree = files.Tree(str(root))
    folder = root / "etc/mailprov/tls"
    folder.mkdir(parents=True)
    (folder / f"{NAME}.self-signed.crt").write_bytes(made[0])
    (folder / f"{NAME}.self-signed.key").write_bytes(made[1])
    (placeholder,) = acme.Placeholder.compare(look_at(tree, issued=[SPEC]))
    assert "that was served" in placeholder.changes[0]["detail"]
    placeholder.make(tree, str(root))
    assert (root / SPEC["path"][1:]).read_bytes() == made[1] + made[0]


@pytest.mark.parametrize(
    ("changed", "todo", "why"),
    [
        (
            {"server": "https://other.test/"},
            "issue",
            "server https://ca.test/directory → https://other.test/",
        ),
        ({"authenticator": "dns-rfc2136"}, "issue", "authenticator standalone → dns-rfc2136"),
        ({"names": ["mail.alpha.test"]}, "issue", "names mx1.alpha.test → mail.alpha.test"),
        ({}, "deploy", "issued, and not in service yet"),
    ],
)
def test_each_difference_says_itself(
    root: Path, made: tuple[bytes, bytes], changed: dict[str, Any], todo: str, why: str
) -> None:
    assert acme.need(lineage(root, *made), {**SPEC, **changed}) == (todo, why)


def test_an_expired_one_is_issued_again(
    root: Path, made: tuple[bytes, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = lineage(root, *made)
    later = time.time() + 91 * 86400
    monkeypatch.setattr(acme.time, "time", lambda: later)
    assert acme.need(tree, SPEC).todo == "issue"


def test_a_refusal_says_what_the_authority_found(monkeypatch: pytest.MonkeyPatch) -> None:
    said = """Saving debug log to /var/log/letsencrypt/letsencrypt.log
Certbot failed to authenticate some domains
  Domain: mx1.alpha.test
  Type:   dns
  Detail: DNS problem: NXDOMAIN looking up A for mx1.alpha.test
Some challenges have failed.
Ask for help or search for solutions at https://community.letsencrypt.org.
"""
    monkeypatch.setattr(commands, "run", lambda argv, **more: commands.Outcome(1, said, ""))
    with pytest.raises(AgentError) as caught:
        acme._issue(files.Tree(), SPEC)
    assert caught.value.what == (
        "https://ca.test/directory issued no certificate for mx1.alpha.test: DNS problem: NXDOMAIN looking up A "
        "for mx1.alpha.test; mail goes on with the certificate that was there before"
    )
    assert acme._reason(commands.Outcome(1, "", "requests.exceptions.ConnectionError: refused\n")) == (
        "requests.exceptions.ConnectionError: refused"
    )
    assert acme._reason(commands.Outcome(9, "", "")) == "certbot ended with code 9"
