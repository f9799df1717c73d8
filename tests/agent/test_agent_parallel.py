"""Work on all processors: in order, to be stopped, with its errors; and what keys cost."""

from __future__ import annotations

import os
import threading
from typing import Any

import pytest

from mailprov.agent import commands, parallel
from mailprov.agent.errors import AgentError, Cancelled
from mailprov.agent.resources import dkim_keys
from tests.agent.test_agent_dkim_keys import EDWARDS, RSA


@pytest.fixture(params=[1, 3])
def processors(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    count: int = request.param
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(count)))
    return count


def test_results_are_in_order_and_the_last_count_is_told(processors: int) -> None:
    told: list[int] = []
    assert parallel.each(lambda each: each * 2, range(20), told=told.append) == list(range(0, 40, 2))
    assert told == sorted(told)
    assert told[-1] == 20
    assert parallel.each(str, []) == []


def test_as_many_at_once_as_there_are_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1, 2})
    together = threading.Barrier(3, timeout=120)  # breaks, and fails the test, unless three meet
    parallel.each(lambda _: together.wait(), range(3))


def test_the_first_error_ends_it(processors: int) -> None:
    begun: list[int] = []

    def work(number: int) -> None:
        begun.append(number)
        raise AgentError(f"number {number}")

    with pytest.raises(AgentError, match="number"):
        parallel.each(work, range(100))
    assert len(begun) <= processors


def test_a_cancel_is_heeded_while_work_goes_on(processors: int) -> None:
    go, done = threading.Event(), []

    def check() -> None:
        go.set()
        raise Cancelled("cancelled")

    def work(number: int) -> None:
        assert go.wait(120)
        done.append(number)

    with pytest.raises(Cancelled):
        parallel.each(work, range(100), check)
    assert len(done) <= processors


def test_an_rsa_key_is_one_process_and_its_public_half_that_of_openssl(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls: list[str] = []
    run = commands.run

    def counted(argv: Any, **more: Any) -> Any:
        calls.append(argv[1])
        return run(argv, **more)

    monkeypatch.setattr(commands, "run", counted)
    made = dkim_keys.make(vars(RSA))
    edwards = dkim_keys.make(vars(EDWARDS))
    assert calls == ["genpkey", "genpkey", "pkey"]

    assert dkim_keys._pair(vars(RSA), made[RSA.key]) == made
    der = dkim_keys._body(made[RSA.key])
    for cut in (0, 1, 2, 30, len(der) - 1):
        assert dkim_keys._rsa_public(der[:cut]) == b""
    assert dkim_keys._rsa_public(dkim_keys._body(edwards[EDWARDS.key])) == b""


def test_of_many_keys_it_is_said_how_many_are_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dkim_keys, "make", lambda spec: {spec["key"]: b"x"})
    said: list[str] = []
    specs = [{"name": f"k{number}", "key": f"/{number}"} for number in range(30)]
    assert dkim_keys.make_all(specs, said.append, lambda: None) == [
        {f"/{number}": b"x"} for number in range(30)
    ]
    assert said[-1] == "making DKIM keys: 30 of 30"
    dkim_keys.make_all(specs[:1], said.append, lambda: None)
    assert said[-1] == "making the DKIM key k0"
