"""What a plan says of record sets is compared in English and shown in the user's language."""

from __future__ import annotations

import pytest

from mailprov import i18n
from mailprov.dns.diff import change_of
from mailprov.dns.rrsets import Edit
from mailprov.plan import zone_details


class Shouting:
    """A language that writes everything large, but for placeholders."""

    def gettext(self, text: str) -> str:
        return "".join(part if part.startswith("{") else part.upper() for part in _parts(text))

    def ngettext(self, one: str, many: str, count: int) -> str:
        return self.gettext(one if count == 1 else many)


def _parts(text: str) -> list[str]:
    return text.replace("{", "\0{").replace("}", "}\0").split("\0")


@pytest.fixture
def _large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(i18n, "_looked", True)
    monkeypatch.setattr(i18n, "_catalogue", Shouting())


def _detail(old: list[str], new: list[str], ttl_note: str) -> str:
    return change_of("alpha.test", Edit("k.alpha.test", "TXT", 60, (), ()), old, new, ttl_note).detail


KEY, OTHER = "v=DKIM1; k=rsa; p=MIIB" + "a" * 60, "v=DKIM1; k=rsa; p=MIIB" + "b" * 60
TO_COME = "v=DKIM1; k=rsa; p=(made by the apply)"
DETAILS = {
    "a new key": (
        lambda: _detail([KEY], [OTHER], " (ttl 60 → 300)"),
        "new key (p=MIIB…aaaaaaaaaaaa → p=MIIB…bbbbbbbbbbbb) (ttl 60 → 300)",
        "NEW KEY (p=MIIB…aaaaaaaaaaaa → p=MIIB…bbbbbbbbbbbb) (ttl 60 → 300)",
    ),
    "a key to come": (
        lambda: _detail([KEY], [TO_COME], ""),
        "new key (p=MIIB…aaaaaaaaaaaa → made by the apply)",
        "NEW KEY (p=MIIB…aaaaaaaaaaaa → MADE BY THE APPLY)",
    ),
    "keys that look alike": (
        lambda: _detail([KEY, KEY + "c"], [OTHER, KEY + "d"], ""),
        "v=DKIM1; k=rsa; p=…, v=DKIM1; k=rsa; p=… → v=DKIM1; k=rsa; p=…, v=DKIM1; k=rsa; p=… (another key)",
        "v=DKIM1; k=rsa; p=…, v=DKIM1; k=rsa; p=… → v=DKIM1; k=rsa; p=…, v=DKIM1; k=rsa; p=… (ANOTHER KEY)",
    ),
    "one value": (
        lambda: zone_details.marker(1, replaces_first=False),
        "ownership marker: 1 value",
        "OWNERSHIP MARKER: 1 VALUE",
    ),
    "a marker of 0.1.0": (
        lambda: zone_details.marker(12, replaces_first=True),
        "ownership marker: 12 values, and replaces the one that mailprov 0.1.0 wrote for the whole zone",
        "OWNERSHIP MARKER: 12 VALUES, AND REPLACES THE ONE THAT MAILPROV 0.1.0 WROTE FOR THE WHOLE ZONE",
    ),
    "no value": (
        lambda: zone_details.marker(0, replaces_first=False),
        "ownership marker: says that the domains' own markers stand below",
        "OWNERSHIP MARKER: SAYS THAT THE DOMAINS' OWN MARKERS STAND BELOW",
    ),
    "no value, and one of 0.1.0": (
        lambda: zone_details.marker(0, replaces_first=True),
        "ownership marker: says that the domains' own markers stand below, and replaces the one that mailprov 0.1.0 "
        "wrote for the whole zone",
        "OWNERSHIP MARKER: SAYS THAT THE DOMAINS' OWN MARKERS STAND BELOW, AND REPLACES THE ONE THAT MAILPROV 0.1.0 "
        "WROTE FOR THE WHOLE ZONE",
    ),
    "put back": (
        lambda: zone_details.restored_marker(2),
        "ownership marker: as before, 2 values",
        "OWNERSHIP MARKER: AS BEFORE, 2 VALUES",
    ),
}  # fmt: skip


@pytest.mark.usefixtures("_large")
@pytest.mark.parametrize("name", DETAILS)
def test_a_detail_is_english_where_it_is_compared_and_translated_where_it_is_shown(name: str) -> None:
    make, english, shown = DETAILS[name]
    detail = make()  # with that language in force

    assert detail == english
    assert zone_details.in_language(detail) == shown


@pytest.mark.usefixtures("_large")
@pytest.mark.parametrize(
    "value",
    [
        "10 mx1.alpha.test",
        "v=spf1 mx -all (another key)",
        "new key (my key → yours)",
        "ownership marker: many values",
    ],
)
def test_values_of_records_stay_as_they_are(value: str) -> None:
    assert zone_details.in_language(value) == value
