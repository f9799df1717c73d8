"""The probe of TLSA records: each thing that is wrong, and what it says of it.

Public: TLSA (which tests have one by one), fixtures(). Raises nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

from mailprov.model.findings import Verdict
from mailprov.selftest.broken import described
from mailprov.selftest.fixture import Fixture, Wanted, on_lab

PASS, WARN, FAIL, ERROR, SKIP = Verdict.PASS, Verdict.WARN, Verdict.FAIL, Verdict.ERROR, Verdict.SKIP

# faults, certificate, verdict, words
TLSA = [
    ("", "", PASS, "the chain of trust above it could not be looked at here"),
    ("validates", "", PASS, "this machine's resolver found it valid"),
    ("", "self-signed", FAIL, "but the key that is served is 3 1 1"),
    ("validates", "unknown-ca", FAIL, "but the key that is served is 3 1 1"),
    ("tlsa-pkix", "", FAIL, "none of them is of a kind that is used for mail"),
    ("tlsa-issuer", "", ERROR, "they name an issuer"),
    ("tlsa-absent", "", WARN, "has no TLSA record, and its zone is signed"),
    ("tlsa-absent unsigned-zone", "", SKIP, "is not signed with DNSSEC"),
    ("unsigned-zone", "", WARN, "senders take no notice of its TLSA records"),
    ("tlsa-servfail", "", FAIL, "answers SERVFAIL for _25._tcp.mx"),
    # Also where there should be none: such senders cannot tell.
    ("tlsa-servfail unsigned-zone", "", FAIL, "answers SERVFAIL for _25._tcp.mx"),
    ("bogus", "", FAIL, "its signatures are not valid"),
    ("no-ds", "", WARN, "the zone above has no DS record"),
]


def fixtures() -> Iterator[Fixture]:
    for faults, certificate, verdict, words in TLSA:
        sound = verdict is PASS
        name = "+".join([*faults.split(), *([f"certificate-{certificate}"] if certificate else [])])
        yield Fixture(
            f"dane-{name or 'sound'}",
            () if sound else described(faults, certificate),
            (Wanted("dane.tlsa", verdict, words),),
            on_lab(faults=faults, certificate=certificate),
        )
