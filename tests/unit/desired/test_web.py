"""The web corner as a component: what is served names nobody, and a host with another server gets none of it."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

import pytest
from desired_cases import BOOKWORM, alpha, delta, facts, host, inventory

from mailprov import desired
from mailprov.components import ufw
from mailprov.components.web import place
from mailprov.model.host_state import HostState
from mailprov.model.inventory import Domain
from mailprov.model.web import with_webmail

ON = ufw.SETTING.on(place.SETTING.on(host(), True), True)
NAMED = dataclasses.replace(alpha(), mail_name="mail.alpha.test")
UNIT = "nginx.service"


def built(*domains: Domain, seen: dict[str, Any] | None = None, installed: str = "") -> HostState:
    told = facts(BOOKWORM)
    told["packages"]["nginx-light"] = {"installed": None, "candidate": "1.22.1-9"}
    if installed:
        told["packages"][installed] = {"installed": "1.18.0-6", "candidate": None}
    return desired.build(inventory(*domains, on=ON), ON, {**told, **({"web": seen} if seen else {})})


def text(state: HostState, path: str) -> str:
    return next(file.content for file in state.files if file.path == path)


def served(state: HostState) -> dict[str, str]:
    return {file.path: file.content for file in state.files if file.path.startswith(place.SITES)}


def test_no_file_names_an_account() -> None:
    found = served(built(NAMED, delta()))
    aliases = len(NAMED.domain_aliases)
    assert aliases
    assert len(found) == 3 + 3 + 2 + 3 * aliases
    for path, content in found.items():
        assert "@" not in content.replace("%EMAILLOCALPART%@alpha.test", ""), path
        for account in (*alpha().accounts, *delta().accounts):
            assert not re.search(rf"\b{re.escape(account.local_part)}\b", content), path


def test_domains_with_one_mail_name_share_what_is_nobodys_own() -> None:
    other = dataclasses.replace(delta(), mail_name="mail.alpha.test")
    found = served(built(NAMED, other))
    alone = f"{place.SITES}/mail.alpha.test/autodiscover.xml"
    alias = "<DomainName>alpha.test</DomainName>"  # of its domain alias, whose users are those of the domain
    same = {text for path, text in found.items() if path.endswith("autodiscover.xml") and alias not in text}
    assert alone in found
    assert len(same) == 1, "nothing in the answer to Outlook is a domain's own"
    configuration = text(built(NAMED, other), f"{place.FOLDER}/nginx.conf")
    names = re.findall(r"^    (\S+\.test) (\S+\.test);$", configuration, re.MULTILINE)
    assert len(dict(names)) == len(names), "each name has one site"
    assert dict(names)["autoconfig.delta.test"] == dict(names)["delta.test"] == "delta.test"
    assert dict(names)["mail.alpha.test"] == "mail.alpha.test"


def test_each_name_shows_the_certificate_that_it_has() -> None:
    configuration = text(built(NAMED), f"{place.FOLDER}/nginx.conf")
    first, *others = configuration.split("listen 443 ssl")[1:]
    assert "default_server" in first
    assert "/etc/mailprov/tls/mx1.alpha.test.self-signed.crt" in first
    assert [re.findall("server_name (.*);", each) for each in others] == [["mail.alpha.test"]]
    assert "/etc/mailprov/tls/mail.alpha.test.self-signed.crt" in others[0]


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        ({"taken": {"80": "apache2", "443": "apache2"}, "boots": ["apache2.service"]}, "apache2 on port 443"),
        ({"taken": {"443": ""}, "boots": []}, "a program on port 443"),
        ({"taken": {}, "boots": ["caddy.service"]}, "starts when this host boots (caddy.service)"),
    ],
)
def test_where_another_server_is_there_is_none_of_it_and_the_plan_says_so(
    seen: dict[str, Any], words: str
) -> None:
    state = built(seen=seen)
    (notice,) = state.notices
    assert words in notice
    assert notice.endswith("or write `web: false` for this host")
    assert "nginx-light" not in state.packages
    assert not served(state)
    assert UNIT not in {each.unit for each in state.services}
    assert UNIT in {each.unit for each in state.retired}
    assert re.search('^wanted="(.*)"$', text(state, "/etc/mailprov/firewall"), re.MULTILINE)
    assert not {"80", "443"} & set(
        text(state, "/etc/mailprov/firewall").split('wanted="')[1].split('"')[0].split()
    )


def test_a_flavour_of_nginx_that_is_installed_stays() -> None:
    """On Debian 11 they exclude each other, and apt would remove the one that is there."""
    assert "nginx-light" in built().packages
    for flavour in ("nginx-full", "nginx-extras", "nginx-core", "nginx"):
        found = [name for name in built(installed=flavour).packages if name.startswith("nginx")]
        assert found == [flavour]
    assert {"?nginx-full", "nginx-light"} <= set(desired.wanted_packages(inventory(on=ON), ON))


@pytest.mark.parametrize(
    ("version", "installed", "taken", "says"),
    [
        ("1.18.0-6", "", "nginx-core", True),
        ("1.18.0-6", "nginx-light", "nginx-core", True),
        ("1.18.0-6", "nginx-core", "nginx-core", False),
        ("1.18.0-6", "nginx-full", "nginx-full", False),
        ("1.22.1-9", "", "nginx-light", False),
    ],
)
def test_webmail_gets_a_nginx_that_counts(version: str, installed: str, taken: str, says: bool) -> None:
    """Without limit_req, which the smallest one of Debian 11 lacks, nobody who guesses passwords would wait."""
    having = dataclasses.replace(alpha(), webmail="roundcube")
    (on,), told = with_webmail((ON,), (having,)), facts(BOOKWORM)
    told["packages"]["nginx-light"] = {"installed": None, "candidate": version}
    if installed:
        told["packages"][installed] = {"installed": version, "candidate": None}
    state = desired.build(inventory(having, on=on), on, told)
    assert [name for name in state.packages if name.startswith("nginx")] == [taken]
    assert [taken in notice for notice in state.notices] == [True] * says
    assert "limit_req zone" in text(state, "/etc/mailprov/webmail/nginx.conf")


def test_a_host_without_the_key_has_nothing_of_it() -> None:
    plain = desired.build(inventory(), host(), facts(BOOKWORM))
    assert not [name for name in (*plain.packages, *(file.path for file in plain.files)) if "nginx" in name]
    assert plain.notices == ()
    assert "nginx-light" not in desired.wanted_packages(inventory(), host())
