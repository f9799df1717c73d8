"""Which probes a word of --probe or --skip means."""

from __future__ import annotations

import pytest

from mailprov import probe
from mailprov.probe import selects

IDS = [entry.id for entry in probe.catalogue()]


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("dns.mx", {"dns.mx"}),
        ("dns.dnssec", {"dns.dnssec"}),
        ("net", {each for each in IDS if each.split(".")[0] == "net"}),
        ("net.", {each for each in IDS if each.split(".")[0] == "net"}),
        ("web", {each for each in IDS if each.split(".")[0] == "web"}),
        ("web.*", {each for each in IDS if each.split(".")[0] == "web"}),
        ("web*", {each for each in IDS if each.split(".")[0] in ("web", "webmail")}),
        ("*.mx", {"dns.mx", "hosted.mx", "zone.mx"}),
        ("dns.[mn]x", {"dns.mx"}),
        ("*", set(IDS)),
        ("we", set()),
        ("", set()),
        (".", set()),
        ("dns.mx.x", set()),
    ],
)
def test_ids_families_by_whole_parts_and_patterns(word: str, meant: set[str]) -> None:
    assert {each for each in IDS if selects(word, each)} == meant
    assert meant or word in ("we", "", ".", "dns.mx.x")
