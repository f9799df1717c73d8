"""Sender rewriting: which mail goes that way, and how either version of PostSRSd is asked."""

from __future__ import annotations

import datetime
import re

import pytest
from desired_cases import BOOKWORM, TRIXIE, alpha, facts, host, inventory

from mailprov import desired
from mailprov.components import srs, versions
from mailprov.model.inventory import Domain, Host, Inventory

OLD = facts(BOOKWORM)
NEW = facts({**TRIXIE, "postsrsd": "2.4.1-1"})


def content(seen: dict[str, object], path: str) -> str:
    state = desired.build(inventory(), host(), seen)
    return next(file.content for file in state.files if file.path == path)


def test_senders_of_this_host_and_bounces_leave_as_they_are_and_nobody_else() -> None:
    rows = dict(
        line.split()
        for line in content(OLD, "/etc/postfix/mailprov/own_senders").splitlines()
        if line[0] != "#"
    )
    # Without the host's own name PostSRSd would give its mail back unchanged, and it would go round.
    own = {"<>", "@alpha.test", "@alfa.test", "@delta.test", "@mx1.alpha.test"}
    assert rows == dict.fromkeys(own, "smtp:")


@pytest.mark.parametrize(
    ("seen", "path", "forward", "reverse", "ports"),
    [
        (OLD, "/etc/default/postsrsd", "tcp:127.0.0.1:10001", "tcp:127.0.0.1:10002", (10001, 10002)),
        (
            NEW,
            "/etc/postsrsd.conf",
            "socketmap:inet:127.0.0.1:10003:forward",
            "socketmap:inet:127.0.0.1:10003:reverse",
            (10003,),
        ),
    ],
)
def test_either_version_is_asked_where_it_listens(
    seen: dict[str, object], path: str, forward: str, reverse: str, ports: tuple[int, ...]
) -> None:
    text = content(seen, path)
    assert all(f"{port}\n" in text for port in ports)
    assert "mx1.alpha.test" in text
    assert f"-o sender_canonical_maps={forward}\n" in content(seen, "/etc/postfix/master.cf")
    main = content(seen, "/etc/postfix/main.cf")
    assert (
        f"\nrecipient_canonical_maps = pipemap:{{regexp:/etc/postfix/mailprov/srs_checks, {reverse}}}\n"
        in main
    )
    state = desired.build(inventory(), host(), seen)
    (service,) = (service for service in state.services if service.unit == "postsrsd.service")
    assert (service.restart_on, service.ports) == ((path,), ports)


def test_postsrsd_is_asked_about_rewritten_senders_only() -> None:
    """Else no mail at all would come in while it is down."""
    pattern = srs.rewritten().splitlines()[1].split("/")[1]
    assert re.match(pattern, "srs0=3hfq=jn=else.test=out@mx1.alpha.test", re.IGNORECASE)
    assert re.match(pattern, "SRS1=3hFq=a.test==3hFq=JN=else.test=out@mx1.alpha.test", re.IGNORECASE)
    for address in ("ana@alpha.test", "srs0@alpha.test", "ana+srs0=a@alpha.test"):
        assert not re.match(pattern, address, re.IGNORECASE)


DAY = 86400.0
CHANGE = datetime.date(2026, 11, 29)
NOON = 20786 * DAY + DAY / 2  # of that day, which PostSRSd calls JS


@pytest.mark.parametrize("seen", [OLD, NEW])
def test_hashes_become_longer_and_short_ones_end_after_the_days_that_an_address_is_good(
    seen: dict[str, object],
) -> None:
    path = next(
        file.path for file in desired.build(inventory(), host(), seen).files if "postsrsd" in file.path
    )
    fresh = content(seen, path)
    minimum = "SRS_HASHMIN=" if seen is OLD else "hash-minimum = "
    assert (minimum + "8\n" in fresh, "short" in fresh) == (True, False)

    before = {**seen, "time": NOON, "srs": {"length": 4, "short_until": ""}}
    first = content(before, path)
    assert (minimum + "4\n" in first, "shorter hashes until 2026-12-20," in first) == (True, True)
    checks = content(before, "/etc/postfix/mailprov/srs_checks")
    for days in (0, 1, 20, 21):  # the text stays what it is, so no plan has anything to change
        later = {**seen, "time": NOON + days * DAY, "srs": {"length": 8, "short_until": "2026-12-20"}}
        assert (content(later, path), content(later, "/etc/postfix/mailprov/srs_checks")) == (first, checks)
    over = {**later, "time": NOON + 22 * DAY}
    assert content(over, path) == fresh
    assert content(over, "/etc/postfix/mailprov/srs_checks") == srs.rewritten()


@pytest.mark.parametrize(
    ("told", "until"),
    [
        ({}, None),
        ({"length": 0, "short_until": ""}, None),
        ({"length": 8, "short_until": ""}, None),
        ({"length": 4, "short_until": ""}, "2026-12-20"),
        ({"length": 8, "short_until": "2027-11-29"}, "2026-12-20"),
        ({"length": 8, "short_until": "2026-02-31"}, "2026-12-20"),
        ({"length": 8, "short_until": "2026-11-28"}, None),
        ({"length": 8, "short_until": "2026-11-29"}, "2026-11-29"),
    ],
)
def test_until_when_short_hashes_are_taken(told: dict[str, object], until: str | None) -> None:
    found = srs.short_until({"time": NOON, "srs": told})
    assert (str(found) if found else None) == until
    srs.short_until({"time": 253_402_300_799.0, "srs": told})  # the last second that a host may have


def test_short_hashes_are_those_of_days_before_the_change() -> None:
    lines = srs.rewritten(CHANGE + datetime.timedelta(days=21)).splitlines()[2:]
    patterns = [re.compile(line.split("/")[1], re.IGNORECASE) for line in lines]

    def asked(address: str) -> bool:
        return any(pattern.search(address) for pattern in patterns)

    assert asked("SRS0=X3do=JS=else.test=far@mx1.alpha.test")
    assert asked("srs0=x3do=i5=else.test=far@mx1.alpha.test")  # 21 days before
    assert not asked("SRS0=X3do=I4=else.test=far@mx1.alpha.test")
    assert not asked("SRS0=X3do=JT=else.test=far@mx1.alpha.test")  # the day after
    assert not asked("SRS0=X3d=JS=else.test=far@mx1.alpha.test")
    assert asked("SRS0=X3doBKyG=JT=else.test=far@mx1.alpha.test")
    assert asked("SRS1=X3do=a.test==3hFq=JN=else.test=out@mx1.alpha.test")
    assert not asked("ana@alpha.test")


def test_what_is_made_for_one_version_is_not_put_beside_the_other() -> None:
    assert ("postsrsd", "1") in versions.choose(OLD, "mx1").rendered_for()
    assert ("postsrsd", "2") in versions.choose(NEW, "mx1").rendered_for()


def test_strangers_senders_of_our_own_are_known_and_those_of_subdomains_are_not() -> None:
    rows = [
        (re.compile(line[1 : line.index("$/") + 1], re.IGNORECASE), line.partition("$/ ")[2])
        for line in content(OLD, "/etc/postfix/mailprov/own_domains_checks").splitlines()
        if line[0] == "/"
    ]

    def refused(sender: str) -> bool:
        return any(action.startswith("REJECT 5.7.1 ") for pattern, action in rows if pattern.search(sender))

    for own in ("ana@alpha.test", "Nobody@ALFA.test", "x@delta.test", "root@mx1.alpha.test"):
        assert refused(own), own
    for other in ("", "x@news.alpha.test", "x@alphaxtest", "x@alpha.test.else.test", "alpha.test@else.test"):
        assert not refused(other), other
    main = content(OLD, "/etc/postfix/main.cf")
    assert "\nsmtpd_sender_restrictions = permit_mynetworks, check_recipient_access texthash:" in main
    # Users who log in, and what is sent on, are not asked.
    for port in content(OLD, "/etc/postfix/master.cf").split("\n\n"):
        if "smtpd_sasl_auth_enable" in port:
            assert "-o smtpd_sender_restrictions=" in port


def test_where_the_hosts_name_is_a_mail_domain_another_name_is_behind_what_it_sends_on() -> None:
    named = host(fqdn="alpha.test")
    for seen, path in ((OLD, "/etc/default/postsrsd"), (NEW, "/etc/postsrsd.conf")):
        files = {file.path: file.content for file in desired.build(inventory(on=named), named, seen).files}
        assert "srs.alpha.test" in files[path]
        assert "@srs.alpha.test smtp:\n" in files["/etc/postfix/mailprov/own_senders"]
        assert "\n<> bounces:\n" in files["/etc/postfix/mailprov/own_senders"]
        assert "\nbounces " in files["/etc/postfix/master.cf"]
        assert "-o smtp_helo_name=srs.alpha.test\n" in files["/etc/postfix/master.cf"]
        assert "\nmyhostname = alpha.test\n" in files["/etc/postfix/main.cf"]
        checks = files["/etc/postfix/mailprov/incoming_header_checks"]
        assert "srs.*[.].*alpha" in checks


def test_a_mail_domain_of_another_host_that_has_this_hosts_name_is_not_its_own() -> None:
    """Mail for it goes there, and a sender of it is a stranger's here."""
    named = host(fqdn="beta.test")
    domains = (alpha(), Domain("beta.test", ("mx2",)))
    whole = Inventory("i", (named, Host("mx2", "10.0.0.2", "mx2.z.test", named.ssh, named.tls)), domains)
    files = {file.path: file.content for file in desired.build(whole, named, OLD).files}
    assert "\nmydestination = $myorigin, localhost\n" in files["/etc/postfix/main.cf"]
    assert "@beta.test" not in files["/etc/postfix/mailprov/own_senders"]
    assert "beta" not in files["/etc/postfix/mailprov/own_domains_checks"].replace(
        "srs.beta.test", ""
    ).replace("srs\\.beta\\.test", "")
