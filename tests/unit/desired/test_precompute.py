"""What is made before the facts are known: made once, and the state is the same with it."""

from __future__ import annotations

import threading

import pytest

from mailprov import desired
from mailprov.components.postfix import addresses
from tests.unit.desired.desired_cases import BOOKWORM, facts, host, inventory


def test_the_state_is_the_same_when_precomputed() -> None:
    precomputed = desired.Precomputed(inventory(), host())
    precomputed.mail()
    told = facts(BOOKWORM)
    assert desired.build(inventory(), host(), told, None, precomputed) == desired.build(
        inventory(), host(), told
    )


def test_it_is_made_once_whoever_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    whole = addresses.tables

    def counted(domains: object, fqdn: str, people: object) -> dict[str, str]:
        made.append(fqdn)
        return whole(domains, fqdn, people)  # type: ignore[arg-type]

    monkeypatch.setattr(addresses, "tables", counted)
    precomputed = desired.Precomputed(inventory(), host())
    threads = [threading.Thread(target=precomputed.mail) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    desired.build(inventory(), host(), facts(BOOKWORM), None, precomputed)
    assert made == [host().fqdn]
