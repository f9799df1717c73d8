"""mailprov dns providers: each that can be named in an inventory, on narrow and wide terminals, and as JSON."""

from __future__ import annotations

import json

from mailprov.dns.providers import NAMES, every
from tests.unit.cli.program import mailprov


def test_every_provider_has_its_line() -> None:
    done = mailprov("dns", "providers")
    lines = done.stdout.splitlines()
    assert [line.split()[0] for line in lines[1 : len(NAMES) + 1]] == list(NAMES)
    route53 = next(line for line in lines if line.startswith("route53"))
    assert route53.split()[:4] == ["route53", "yes", "yes", "by"]


def test_where_the_cost_grows_with_the_zone_that_is_said() -> None:
    """Whether it does on the provider is shown by `large zone` of tests/unit/dns/test_fault_matrix.py."""
    lines = mailprov("dns", "providers").stdout.splitlines()
    of = {line.split()[0]: " ".join(line.split()[3:5]) for line in lines[1 : len(NAMES) + 1]}
    for one in every():
        if one.abilities is not None:
            assert of[one.name] == ("by name" if one.abilities.reads_sets else "whole zones")
    assert "takes longer the larger it is" in " ".join(lines)


def test_as_json_with_what_its_driver_can_do() -> None:
    *told, end = map(json.loads, mailprov("dns", "providers", "--json").stdout.splitlines())
    assert end["event"] == "run_ended"
    for one, provider in zip(told, every(), strict=True):
        assert (one["event"], one["name"]) == ("dns_provider", provider.name)
        assert one["keys"] == list(provider.entry().model_fields)
        assert one["publishes"] == (provider.abilities is not None)
        if provider.abilities is not None:
            assert one["compare_and_swap"] == provider.abilities.compare_and_swap
            assert one["atomic"] == provider.abilities.atomic
        assert one["install"] == (f"pip install 'mailprov[{provider.name}]'" if provider.extra else "")


def test_one_in_detail_and_one_that_is_not_there() -> None:
    text = mailprov("dns", "providers", "route53").stdout
    assert "route53:ChangeResourceRecordSets" in text
    assert "pip install 'mailprov[route53]'" in text
    done = mailprov("dns", "providers", "route5")
    assert (done.returncode, "Did you mean route53" in done.stderr) == (2, True)
