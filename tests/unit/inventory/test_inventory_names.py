"""Names and addresses: what is one, in which form it is kept, and why something is none."""

from __future__ import annotations

import pytest

from mailprov.schema import names

LABEL = "a" * 63


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("alpha.test", "alpha.test"),
        ("Alpha.TEST", "alpha.test"),
        ("alpha.test.", "alpha.test"),
        ("1.alpha.test", "1.alpha.test"),
        ("señal.test", "xn--seal-hqa.test"),
        ("SEÑAL.test", "xn--seal-hqa.test"),
        ("例え。テスト", "xn--r8jz45g.xn--zckzah"),
        ("xn--strae-oqa.test", "xn--strae-oqa.test"),
        (f"{LABEL}.{LABEL}.{LABEL}.{'a' * 61}", f"{LABEL}.{LABEL}.{LABEL}.{'a' * 61}"),
    ],
)
def test_a_domain_is_kept_as_lower_case_a_labels_without_a_final_dot(text: str, kept: str) -> None:
    assert names.domain(text) == kept


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "is empty"),
        (".", "is empty"),
        ("alpha", "only one label"),
        ("alpha..test", "empty label"),
        (".alpha.test", "empty label"),
        (f"{LABEL}a.test", "64 characters"),
        (f"{LABEL}.{LABEL}.{LABEL}.{'a' * 62}", "254 characters long"),
        ("alpha-.test", "hyphen"),
        ("al_pha.test", 'contains "_"'),
        ("al pha.test", "space"),
        ("10.0.0.1", "IP address"),
        ("2001:db8::1", "IP address"),
        ("[2001:db8::1]", "IP address"),
        ("10.0.0.300", "not a valid IPv4 address"),
        ("ana@alpha.test", "mail address"),
        ("https://alpha.test", "without http"),
        ("alpha.test/x", "without http"),
        ("faß.test", "differently"),
        ("a\u200db.test", "invisible joiner"),
        ("ñ .test", "space"),
        ("ñ\\.test", "no domain has"),
        ("aא.test", "IDNA"),
        ("a\uff0fb.test", 'contains "/"'),
        ("a\u2488b.test", "contains"),
        ("ab--c.test", "reserved"),
    ],
)
def test_what_is_no_domain_is_told_why(text: str, reason: str) -> None:
    with pytest.raises(names.BadName, match=reason):
        names.domain(text)


def test_addresses_are_lower_case_with_the_domain_in_a_labels() -> None:
    assert names.address("Ana.Smith+Shop@SEÑAL.test") == "ana.smith+shop@xn--seal-hqa.test"
    assert names.address("o'brien@alpha.test") == "o'brien@alpha.test"
    longest = f"{'a' * 64}@{LABEL}.{LABEL}.{'a' * 61}"
    assert len(longest) == 254
    assert names.address(longest) == longest


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("ana", "has no @"),
        ("@alpha.test", "nothing before the @"),
        ("ana@", "wrong domain: it is empty"),
        ("ana@eva@alpha.test", "more than one @"),
        ('"ana eva"@alpha.test', "quoted"),
        ("ana@[10.0.0.1]", "IP address behind the @"),
        (".ana@alpha.test", "dot"),
        ("ana.@alpha.test", "dot"),
        ("a..na@alpha.test", "two in a row"),
        ("an a@alpha.test", "a space"),
        ("ana\n@alpha.test", "control character"),
        ("ana,eva@alpha.test", 'contains ","'),
        ("josé@alpha.test", "outside ASCII"),
        ("|sh@alpha.test", "take for a command"),
        ("/etc/passwd@alpha.test", "a file"),
        ("-f@alpha.test", "an option"),
        (f"{'a' * 65}@alpha.test", "65 characters before"),
        (f"{'a' * 64}@{LABEL}.{LABEL}.{'a' * 62}", "255 characters long"),
    ],
)
def test_what_is_no_address_is_told_why(text: str, reason: str) -> None:
    with pytest.raises(names.BadName, match=reason):
        names.address(text)


@pytest.mark.parametrize("text", ["ana", "a", "no", "1234", "2024-01-01", "a_b-c.d=e", "o'brien", "a" * 64])
def test_names_before_the_at_sign(text: str) -> None:
    assert names.local_part(text.upper()) == text


@pytest.mark.parametrize(
    "text", ["", "..", "../../etc", "a/b", "a+b", "-a", "a b", "a:b", "a#b", "*", "%", "a@b.c", "é"]
)
def test_no_name_can_leave_its_directory_or_table(text: str) -> None:
    with pytest.raises(names.BadName):
        names.local_part(text)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("10.0.0.11", "10.0.0.11"),
        ("2001:DB8:0::1", "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1%eth0"),
        ("localhost", "localhost"),
        ("MX1.alpha.test.", "mx1.alpha.test"),
    ],
)
def test_what_ssh_can_connect_to(text: str, kept: str) -> None:
    assert names.host_address(text) == kept


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("root@mx1", "a user"),
        ("mx1:22", "a port"),
        ("10.0.0.1:22", "a port"),
        ("[::1]", "brackets"),
        ("10.0.0", "not a valid IPv4 address"),
        ("010.0.0.1", "not a valid IPv4 address"),
        ("", "empty"),
    ],
)
def test_what_ssh_cannot_connect_to(text: str, reason: str) -> None:
    with pytest.raises(names.BadName, match=reason):
        names.host_address(text)


def test_published_addresses_are_of_their_family_and_without_a_zone() -> None:
    assert names.ip("2001:DB8::0", 6) == "2001:db8::"
    for text, version in (("10.0.0.1", 6), ("::1", 4), ("fe80::1%eth0", 6), ("x", 4)):
        with pytest.raises(names.BadName):
            names.ip(text, version)
