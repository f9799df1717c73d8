"""Which hop has added which line of a header, by its place: of filters that put theirs below the Received line, and of
OpenDKIM, which puts its signature above that of the host that signs.
"""

from __future__ import annotations

import pytest

from mailprov.trace.headers import added

SIGNED = "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/simple; d=alpha.test; s=mx1-1; b=abc"
SECOND = "DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/simple; d=alpha.test; s=mx1-e1; b=def"
ARRIVED = (
    "Received: from mx1.alpha.test (mx1.alpha.test [192.0.2.1]) by mx2.beta.test (Postfix) with ESMTPS id B2C3D4E5F6 "
    "for <e@beta.test>; now"
)
RESULTS = "Authentication-Results: mx2.beta.test; dkim=pass header.d=alpha.test"
MDA = ("Return-Path: <ana@alpha.test>", "Delivered-To: e@beta.test")
LETTER = ("From: ana@alpha.test", "Subject: x")


def taken(protocol: str) -> str:
    by = "by mx1.alpha.test (Postfix)"
    return f"Received: from [192.0.2.9] (unknown [192.0.2.9]) {by} with {protocol} id A1B2C3D4E5; now"


PICKED_UP = "Received: by mx1.alpha.test (Postfix, from userid 1000) id A1B2C3D4E5; now"


@pytest.mark.parametrize("received", [taken("ESMTPSA"), taken("ESMTPA"), PICKED_UP])
@pytest.mark.parametrize("signatures", [(SIGNED,), (SIGNED, SECOND)])
def test_a_signature_on_top_of_who_took_it_from_its_user_is_that_hosts(
    received: str, signatures: tuple[str, ...]
) -> None:
    """As OpenDKIM writes it (Debian 12 and 13, `filter: none`)."""
    hops = added((*MDA, ARRIVED, RESULTS, *signatures, received, *LETTER)).by
    assert {name: hop.others for name, hop in hops.items()} == {
        "B2C3D4E5F6": (RESULTS,),
        "A1B2C3D4E5": signatures,
    }


def test_a_signature_below_the_hosts_own_line_stays_there() -> None:
    """As Rspamd writes it."""
    hops = added((*MDA, ARRIVED, RESULTS, taken("ESMTPSA"), SIGNED, *LETTER)).by
    assert {name: hop.others for name, hop in hops.items()} == {
        "B2C3D4E5F6": (RESULTS,),
        "A1B2C3D4E5": (SIGNED,),
    }


def test_who_has_signed_below_has_not_signed_above_as_well() -> None:
    hops = added((*MDA, ARRIVED, RESULTS, SECOND, taken("ESMTPSA"), SIGNED, *LETTER)).by
    assert {name: hop.others for name, hop in hops.items()} == {
        "B2C3D4E5F6": (RESULTS, SECOND),
        "A1B2C3D4E5": (SIGNED,),
    }


def test_what_came_from_another_server_was_signed_by_nobody_that_the_place_tells() -> None:
    hops = added((*MDA, ARRIVED, SIGNED, taken("ESMTPS"), *LETTER)).by
    assert {name: hop.others for name, hop in hops.items()} == {"B2C3D4E5F6": (SIGNED,), "A1B2C3D4E5": ()}


def test_lines_that_are_no_signature_stay_where_they_are() -> None:
    hops = added((*MDA, ARRIVED, SIGNED, RESULTS, taken("ESMTPSA"), *LETTER)).by
    assert {name: hop.others for name, hop in hops.items()} == {
        "B2C3D4E5F6": (SIGNED, RESULTS),
        "A1B2C3D4E5": (),
    }
