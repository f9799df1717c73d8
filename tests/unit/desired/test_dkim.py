"""DKIM keys on a host: which there must be, what each is for, and how a rotation moves them on."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from desired_cases import BOOKWORM, alpha, facts, host, inventory

from mailprov import desired
from mailprov.components import dkim
from mailprov.desired import RotationStep, Step
from mailprov.model.dkim import Key, State, of_host, read, selector, write
from mailprov.model.inventory import Dkim, Filter

NOW = 1795507200.0  # 2026-11-24T08:00:00Z
ALPHA = frozenset({"alpha.test"})


def told(*keys: Key, without: str = "", time: float = NOW) -> dict[str, Any]:
    """Facts of a host with these keys; the files of `without` are lost."""
    public = {key.name: "v=DKIM1; k=rsa; p=AAAA" for key in keys if key.selector != without}
    return {"time": time, "dkim": {"state": write(keys), "public": public}}


def after(
    seen: dict[str, Any], rotation: RotationStep | None = None, **domain: Any
) -> list[tuple[str, str, str]]:
    served = dataclasses.replace(alpha(), **domain)
    return [
        (key.selector, key.state.value, key.since) for key in dkim.keys((served,), host(), seen, rotation)
    ]


SIGNING = Key("alpha.test", "mx1-rsa-1")
WAITING = Key("alpha.test", "mx1-rsa-2", State.WAITING, "2026-11-24T07:00:00Z")


def test_a_first_key_signs_at_once_and_a_saved_plan_of_it_does_not_age() -> None:
    assert after({"time": NOW}) == after({"time": NOW + 86400}) == [("mx1-rsa-1", "signing", "-")]


def test_without_a_move_nothing_moves() -> None:
    assert after(told(SIGNING, WAITING)) == [
        ("mx1-rsa-1", "signing", "-"),
        ("mx1-rsa-2", "waiting", "2026-11-24T07:00:00Z"),
    ]


def test_a_rotation_publishes_then_switches_and_each_step_can_be_repeated() -> None:
    publish, switch = RotationStep(Step.PUBLISH, ALPHA), RotationStep(Step.SWITCH, ALPHA)
    first = [("mx1-rsa-1", "signing", "-"), ("mx1-rsa-2", "waiting", "2026-11-24T08:00:00Z")]
    assert after(told(SIGNING), publish) == first
    assert after(told(SIGNING, WAITING), publish) == after(told(SIGNING, WAITING))
    second = [("mx1-rsa-1", "retired", "2026-11-24"), ("mx1-rsa-2", "signing", "-")]
    assert after(told(SIGNING, WAITING), switch) == second
    done = told(*(Key("alpha.test", name, State(state), since) for name, state, since in second))
    assert after(done, switch) == second
    assert after(told(SIGNING), RotationStep(Step.PUBLISH, frozenset({"delta.test"}))) == [
        ("mx1-rsa-1", "signing", "-")
    ]


def test_a_retired_key_goes_when_no_mail_under_way_can_need_it() -> None:
    old = Key("alpha.test", "mx1-rsa-1", State.RETIRED, "2026-11-24")
    new = Key("alpha.test", "mx1-rsa-2")
    day = 86400.0
    assert [name for name, _, _ in after(told(old, new, time=NOW + 6 * day))] == ["mx1-rsa-1", "mx1-rsa-2"]
    assert [name for name, _, _ in after(told(old, new, time=NOW + 8 * day))] == ["mx1-rsa-2"]


def test_a_key_whose_file_is_lost_is_replaced_under_another_name() -> None:
    assert after(told(SIGNING, without="mx1-rsa-1")) == [("mx1-rsa-2", "signing", "-")]
    assert after(told(SIGNING, WAITING, without="mx1-rsa-1")) == [("mx1-rsa-2", "signing", "-")]


def test_another_algorithm_comes_beside_and_one_that_is_not_wanted_retires() -> None:
    both = Dkim(("rsa", "ed25519"), "corp")
    assert after(told(SIGNING), dkim=both) == [
        ("mx1-rsa-1", "signing", "-"),
        ("corp-mx1-ed25519-2", "signing", "-"),
    ]
    edwards = Key("alpha.test", "corp-mx1-ed25519-2")
    assert after(told(SIGNING, edwards)) == [
        ("mx1-rsa-1", "signing", "-"),
        ("corp-mx1-ed25519-2", "retired", "2026-11-24"),
    ]


def test_selectors_of_hosts_never_meet() -> None:
    names = [selector("", name, "rsa", 1) for name in ("mx1", "MX1", "mx.1", "mx-1", "a" * 60, "a" * 61)]
    assert len(set(names)) == len(names)
    assert all(len(name) <= 63 and name.replace("-", "").isalnum() and name == name.lower() for name in names)


@pytest.mark.parametrize(
    ("name", "host", "its"),
    [
        ("mx1-rsa-1._domainkey.a.test", "mx1", True),
        ("corp-mx1-ed25519-12._domainkey.a.test", "mx1", True),
        ("mx1-rsa-1._domainkey.a.test", "x1", False),
        ("mx2-rsa-1._domainkey.a.test", "mx1", False),
        ("mx1-rsa-1.a.test", "mx1", False),
        ("mail._domainkey.a.test", "mx1", False),
    ],
)
def test_whose_selector_a_record_name_is(name: str, host: str, its: bool) -> None:
    assert of_host(name, host) is its


def test_the_file_of_states_can_be_read_back_and_nonsense_in_it_is_passed_over() -> None:
    keys = (SIGNING, WAITING)
    assert read(write(keys)) == keys
    assert read("alpha.test mx1-rsa-1 whatever -\n\nalpha.test ../../x signing -\nalpha.test\n") == ()


def test_the_milter_that_signs_gets_the_key_and_its_group_alone_can_read_it() -> None:
    for which, group in ((Filter.NONE, "opendkim"), (Filter.RSPAMD, "_rspamd")):
        where = dataclasses.replace(host(), filter=which)
        state = desired.build(inventory(alpha(), on=where), where, facts({**BOOKWORM, "rspamd": "3.4-1"}))
        (key,) = state.keys
        assert (key.name, key.algorithm, key.group) == ("alpha.test.mx1-rsa-1", "rsa", group)
        assert any(
            key.key in service.files
            for service in state.services
            if service.unit in ("rspamd.service", "opendkim.service")
        )
        text = "".join(file.content for file in state.files)
        for name in ("alpha.test", "alfa.test"):  # a domain alias is signed with its domain's key
            assert f'"{name}" {{' in text if group == "_rspamd" else f"{name}:mx1-rsa-1:{key.key}" in text


def test_a_waiting_key_is_there_and_does_not_sign() -> None:
    seen = {**facts(BOOKWORM), **told(SIGNING, WAITING)}
    state = desired.build(inventory(alpha()), host(), seen)
    assert [key.name for key in state.keys] == ["alpha.test.mx1-rsa-1", "alpha.test.mx1-rsa-2"]
    table = next(file.content for file in state.files if file.path.endswith("opendkim.keys"))
    assert "mx1-rsa-1" in table
    assert "mx1-rsa-2" not in table


def test_mail_from_outside_passes_the_filter_and_goes_past_the_signer() -> None:
    def main_cf(which: Filter) -> str:
        where = dataclasses.replace(host(), filter=which)
        state = desired.build(inventory(on=where), where, facts(BOOKWORM))
        return next(file.content for file in state.files if file.path == "/etc/postfix/main.cf")

    assert "\nsmtpd_milters =\n" in main_cf(Filter.NONE)
    assert "\nsmtpd_milters = $filter_milter\n" in main_cf(Filter.RSPAMD)
    for which in Filter:
        assert ", $filter_milter\n" in main_cf(which)
        assert "default_action=accept" in main_cf(which)
