"""Route 53: what only it has, what it refuses, and that nothing of anybody else is ever harmed."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailprov import dns as zones
from mailprov.dns import providers
from mailprov.dns.api.pace import Pace
from mailprov.dns.driver import Result
from mailprov.dns.providers.route53 import calls, text
from mailprov.dns.providers.route53.settings import Route53Settings
from mailprov.dns.rrsets import Edit
from mailprov.errors import DnsFailed, DnsUnreachable, InputError, MailprovError
from mailprov.model.events import Applied, Event, Notice
from mailprov.model.hostnames import inside
from tests.unit.dns.api_server import Answer, Fault
from tests.unit.dns.route53_backend import Route53, route53
from tests.unit.dns.route53_server import KEY_ID, SECRET, XMLNS, error
from tests.unit.dns.servers import inventory


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[Route53]:
    with route53(tmp_path) as made:
        yield made


def publish(backend: Route53, zone: str = "contract1.test") -> list[Event]:
    events: list[Event] = []
    for plan in zones.plan(inventory(zone, backend.settings())):
        zones.apply(plan, events.append)
    return events


def told(kind: type[MailprovError], backend: Route53, **changes: object) -> str:
    def run() -> None:
        for plan in zones.plan(inventory("contract1.test", backend.settings(**changes))):  # type: ignore[arg-type]
            zones.apply(plan, lambda event: None)

    with pytest.raises(kind) as caught:
        run()
    assert type(caught.value) is kind
    return str(caught.value)


WRITING = "^POST"


def alias(backend: Route53, zone: str, name: str) -> None:
    there = backend.server.zones[backend.zone_id(zone)]
    there.put({"Name": f"{name}.", "Type": "A", "AliasTarget": "lb.cloud.example."})


def weighted(backend: Route53, zone: str, name: str, kind: str, *values: str) -> None:
    there = backend.server.zones[backend.zone_id(zone)]
    for number, value in enumerate(values):
        one = {"Name": f"{name}.", "Type": kind, "TTL": 60, "Values": [value], "SetIdentifier": f"s{number}"}
        there.put(one)


def test_an_alias_at_a_hosts_name_is_a_conflict_also_for_take_over(backend: Route53) -> None:
    alias(backend, "contract1.test", "mx1.contract1.test")
    before = backend.whole("contract1.test")
    for take_over in (False, True):
        with pytest.raises(
            DnsFailed, match=r"mx1\.contract1\.test A is an alias of lb\.cloud\.example, so 10"
        ):
            zones.plan(inventory("contract1.test", backend.settings()), take_over=take_over)
    assert backend.whole("contract1.test") == before


def test_an_alias_and_weighted_sets_where_nothing_is_wanted_stay(backend: Route53) -> None:
    alias(backend, "contract1.test", "contract1.test")
    weighted(backend, "contract1.test", "contract1.test", "AAAA", "2001:db8::1", "2001:db8::2")
    before = backend.whole("contract1.test")
    publish(backend)
    after = backend.whole("contract1.test")
    assert before.items() <= after.items()
    assert after["contract1.test", "MX"] == (300, frozenset({"10 mx1.contract1.test."}))


def test_weighted_sets_are_a_conflict_and_never_harmed(backend: Route53) -> None:
    weighted(backend, "contract1.test", "contract1.test", "TXT", '"one"', '"two"')
    before = backend.whole("contract1.test")
    assert "contract1.test TXT is a set with a routing policy, so v=spf1 mx -all cannot" in told(
        DnsFailed, backend
    )
    assert backend.whole("contract1.test") == before


def test_an_alias_that_comes_since_the_plan_is_not_harmed(backend: Route53) -> None:
    (plan,) = zones.plan(inventory("contract1.test", backend.settings()))
    alias(backend, "contract1.test", "mx1.contract1.test")
    before = backend.whole("contract1.test")
    with pytest.raises(DnsFailed, match=r"is an alias of lb\.cloud\.example"):
        zones.apply(plan, lambda event: None)
    assert backend.whole("contract1.test") == before


def test_nothing_is_ever_written_into_a_special_set(backend: Route53) -> None:
    """Whoever asks for it."""
    alias(backend, "contract1.test", "mx1.contract1.test")
    key = ("mx1.contract1.test", "A")
    with providers.open_driver(backend.settings()) as driver:
        snapshot = driver.query([key]).answers[key].sets
        outcome = driver.write(
            "contract1.test", dict(snapshot), [Edit(*key, 60, (), ("10.0.0.1",))], None, lambda told: None
        )
    assert outcome.result is Result.REFUSED
    assert not backend.server.calls(WRITING)


def test_private_zones_are_left_out(backend: Route53) -> None:
    backend.server.add("contract1.test", private=True)
    backend.server.add("inner.example", private=True)
    publish(backend)
    assert backend.texts("contract1.test", "contract1.test", "MX")
    with pytest.raises(DnsFailed, match=r"the zone of inner\.example is not there"):
        zones.plan(inventory("inner.example", backend.settings()))


def test_several_zones_of_one_name_are_refused_unless_one_is_chosen(backend: Route53) -> None:
    first, second = backend.zone_id("contract1.test"), backend.server.add("contract1.test")
    assert told(DnsFailed, backend) == (
        f"Route 53: it has several public hosted zones contract1.test: {first}, {second}. "
        "Say in dns.zone_id which one the domain's registrar names."
    )
    before = backend.server.zones[first].sets.copy()
    for plan in zones.plan(inventory("contract1.test", backend.settings(zone_id=second))):
        zones.apply(plan, lambda event: None)
    assert backend.server.zones[first].sets == before
    assert ("contract1.test.", "MX", "") in backend.server.zones[second].sets
    assert "no public hosted zone ZNONE" in told(DnsFailed, backend, zone_id="ZNONE")
    assert not zones.plan(inventory("contract9.test", backend.settings()))[
        0
    ].notices  # nothing to choose there


labels = st.sampled_from(["a", "b", "a-x", "_a"])
names = st.lists(labels, max_size=3).map(lambda found: ".".join([*found, "contract1.test"]))
wild = names.map(lambda name: f"*.{name}")


def test_whatever_the_pages_are_all_is_read(backend: Route53) -> None:
    backend.server.most = 2
    backend.server.zones_on_page = 100
    apex = backend.server.zones[backend.zone_id("contract1.test")].sets
    empty = dict(apex)
    driver = providers.open_driver(backend.settings())

    @settings(max_examples=80, deadline=None)
    @given(there=st.sets(names | wild, max_size=12), asked=st.sets(names | wild, max_size=8))
    def holds(there: set[str], asked: set[str]) -> None:
        apex.clear()
        apex.update(empty)
        for name in there:
            backend.put("contract1.test", name, 60, "TXT", '"x"', '"y"')
            owner = text.written(name).rstrip(".")
            weighted(backend, "contract1.test", owner, "A", "10.0.0.1", "10.0.0.2", "10.0.0.3")
        keys = [(name, kind) for name in asked for kind in ("TXT", "A")]
        for (name, kind), answer in driver.query(keys).answers.items():
            assert ((name, kind) in answer.sets) == (name in there), name
            assert answer.exists == any(inside(other, name) for other in {*there, "ns.contract1.test"}), name
            if name in there:
                assert len(answer.sets[name, kind].stored) == (2 if kind == "TXT" else 3)

    with driver:
        holds()


def test_a_name_that_is_only_above_others_exists_also_where_a_page_ends_before_it(backend: Route53) -> None:
    backend.server.most = 2
    weighted(backend, "contract1.test", "a.contract1.test", "A", "10.0.0.1", "10.0.0.2")
    backend.put("contract1.test", "b.b.contract1.test", 60, "TXT", '"x"')
    with providers.open_driver(backend.settings()) as driver:
        keys = [("a.contract1.test", "A"), ("b.contract1.test", "A")]
        assert [driver.query(keys).answers[key].exists for key in keys] == [True, True]


@given(
    st.text(
        st.characters(
            min_codepoint=0x21, max_codepoint=0x7E, exclude_characters=".\\ABCDEFGHIJKLMNOPQRSTUVWXYZ"
        )
    )
)
def test_names_there_and_back(label: str) -> None:
    name = f"{label or 'x'}.alpha.test"
    assert text.plain(text.written(name)) == name
    assert text.plain(text.written(name).upper()) == name


def test_names_and_values_as_the_documentation_has_them() -> None:
    assert text.written("*.alpha.test") == r"\052.alpha.test."
    assert text.plain(r"\052.Alpha.test.") == "*.alpha.test"
    assert text.plain(r"a\056b.alpha.test.") == r"a\046b.alpha.test"
    assert text.to_value(r'"\200 \" \\200"') == r'"\310 \" \\200"'
    assert text.from_value(r'"\310 \" \\200"') == r'"\200 \" \\200"'


@given(st.binary(max_size=600))
def test_any_octets_of_a_text_there_and_back(octets: bytes) -> None:
    from mailprov.records import types

    value = octets.decode("utf-8", "surrogateescape")
    assert types.parse("TXT", text.from_value(text.to_value(types.render("TXT", value)))) == value


def test_the_order_of_names_is_that_of_the_api_reference() -> None:
    names = ["b.alpha.test", "alpha.test", "a-x.alpha.test", "z.a.alpha.test", "a.alpha.test"]
    assert sorted(names, key=text.order) == [
        "alpha.test",
        "a-x.alpha.test",
        "a.alpha.test",
        "z.a.alpha.test",
        "b.alpha.test",
    ]


DENIED = "User: arn:aws:iam::1:user/x is not authorized to perform: route53:{} on resource: *"
REFUSALS: dict[str, tuple[str, Answer, str]] = {
    "list": (
        "/hostedzone$",
        error(403, "AccessDenied", DENIED.format("ListHostedZones")),
        "Route 53: it refused to list its hosted zones (AccessDenied: User: arn:aws:iam::1:user/x is not authorized to "
        "perform: route53:ListHostedZones on resource: *). Allow that in the IAM policy",
    ),
    "write": (
        WRITING,
        error(403, "AccessDenied", DENIED.format("ChangeResourceRecordSets")),
        "it refused to change the records of Z0001TEST (AccessDenied",
    ),
    "secret": (
        "",
        error(403, "SignatureDoesNotMatch", "The request signature we calculated does not match"),
        "the secret is not that of the access key (SignatureDoesNotMatch",
    ),
    "clock": ("", error(403, "RequestExpired", "x"), "Set this machine's clock"),
    "gone": (WRITING, error(404, "NoSuchHostedZone", "x"), "the hosted zone is not there any more"),
    "batch": (
        WRITING,
        error(400, "InvalidChangeBatch", "[The record has a resource record set protection]"),
        "it refused to change the records of Z0001TEST: [The record has a resource record set protection]",
    ),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_refused(backend: Route53, case: str) -> None:
    """The token's scope is too small, or it was revoked since the plan: nothing is done, and it is told which."""
    about, instead, says = REFUSALS[case]
    before = backend.whole("contract1.test")
    backend.server.faults.append(Fault(about, instead))
    assert says in told(DnsFailed, backend)
    assert backend.whole("contract1.test") == before


def test_a_wrong_key(backend: Route53) -> None:
    assert "it does not know the access key (InvalidClientTokenId" in told(
        DnsFailed, backend, access_key_id="AKIAX"
    )


@pytest.mark.parametrize(
    "instead",
    [
        error(400, "Throttling", "Rate exceeded"),
        error(
            400, "PriorRequestNotComplete", "The request was rejected because Route 53 was still processing"
        ),
        error(500, "InternalFailure", ""),
        Answer(503, b"<html>busy</html>"),
        None,
        Answer(200, b"no XML"),
    ],
    ids=["rate", "prior", "500", "503", "lost", "garbage"],
)
def test_busy_or_broken(backend: Route53, instead: Answer | None) -> None:
    before = backend.whole("contract1.test")
    backend.server.faults.append(Fault(WRITING, instead))
    assert "read back, nothing of it was done" in told(DnsUnreachable, backend)
    backend.server.faults.append(Fault("rrset", instead))
    told(DnsUnreachable, backend)
    assert backend.whole("contract1.test") == before


def test_what_was_throttled_is_tried_again(backend: Route53, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "ATTEMPTS", 3)
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda seconds: None)
    busy = error(400, "Throttling", "Rate exceeded")
    backend.server.faults += [Fault("", busy), Fault(WRITING, busy)]
    assert any(isinstance(event, Applied) for event in publish(backend))


def test_an_answer_that_is_lost_after_the_change(backend: Route53) -> None:
    backend.server.faults.append(Fault(WRITING, after=True))
    events = publish(backend)
    assert "read back from the server, all of it stands" in " ".join(
        event.text for event in events if isinstance(event, Notice)
    )
    assert backend.texts("contract1.test", "contract1.test", "MX") == {"10 mx1.contract1.test."}


def test_the_second_try_meets_its_own_work(backend: Route53, monkeypatch: pytest.MonkeyPatch) -> None:
    """boto3 sends a batch again that was done, and whose answer was lost: Route 53 refuses it."""
    monkeypatch.setattr(calls, "ATTEMPTS", 3)
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda seconds: None)
    (plan,) = zones.plan(inventory("contract1.test", backend.settings()))
    backend.server.faults.append(Fault(WRITING, after=True))
    events: list[Event] = []
    zones.apply(plan, events.append)
    assert {e.change for e in events if isinstance(e, Applied)} == set(plan.changes)
    assert len(backend.server.calls(WRITING)) == 2


def test_a_stale_batch_is_refused_whole_in_both_forms_of_the_error(backend: Route53) -> None:
    publish(backend)
    key = ("contract1.test", "TXT")
    with providers.open_driver(backend.settings()) as driver:
        snapshot = dict(driver.query([key]).answers[key].sets)
        backend.put("contract1.test", "contract1.test", 60, "TXT", '"since"')
        before = backend.whole("contract1.test")
        edits = [Edit("new.contract1.test", "TXT", 60, (), ("x",)), Edit(*key, 60, (), ("y",))]

        def write() -> Result:
            return driver.write("contract1.test", snapshot, edits, None, lambda told: None).result

        assert write() is Result.CHANGED
        listed = f'<InvalidChangeBatch xmlns="{XMLNS}"><Messages><Message>Tried to delete resource record set x type '
        listed += "TXT but it was not found</Message></Messages></InvalidChangeBatch>"
        backend.server.faults.append(Fault(WRITING, Answer(400, listed.encode())))
        assert write() is Result.CHANGED
    assert backend.whole("contract1.test") == before


def test_what_a_batch_takes(backend: Route53) -> None:
    with providers.open_driver(backend.settings()) as driver:
        many = [Edit(f"h{n}.contract1.test", "A", 60, (), ("10.0.0.1",)) for n in range(1001)]
        assert driver.weigh("contract1.test", {}, many[:1000]) == driver.abilities.capacity
        assert driver.weigh("contract1.test", {}, many) > (driver.abilities.capacity or 0)
        assert driver.write("contract1.test", {}, many, None, print).result is Result.REFUSED
        assert (
            driver.weigh("contract1.test", {}, [Edit("a.contract1.test", "TXT", 60, (), ("x" * 40_000,))])
            > 40_000
        )


def test_the_secret_is_in_no_log_and_no_error(
    backend: Route53, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.DEBUG)
    publish(backend)
    monkeypatch.setenv("AWS_ENDPOINT_URL_ROUTE_53", "http://127.0.0.1:1")
    sentence = told(DnsUnreachable, backend)
    assert "no usable answer" in sentence
    assert "botocore" in {record.name.partition(".")[0] for record in caplog.records}
    assert SECRET not in caplog.text + sentence + repr(backend.settings())


def test_no_redirect_is_followed(backend: Route53) -> None:
    backend.server.faults.append(Fault("", Answer(302, b"", {"Location": f"{backend.server.url}/elsewhere"})))
    told(DnsFailed, backend)
    assert [request.path for request in backend.server.requests] == ["/2013-04-01/hostedzone"]


def test_the_credentials_that_boto3_finds(backend: Route53, monkeypatch: pytest.MonkeyPatch) -> None:
    own = {"access_key_id": "", "secret_access_key": None}
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    assert told(InputError, backend, **own) == (
        "dns.default_credentials: Unable to locate credentials. Give it some, or name an access key in the inventory "
        "(dns.access_key_id)."
    )
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    assert "The config profile (nobody) could not be found" in told(InputError, backend, **own)
    monkeypatch.delenv("AWS_PROFILE")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAMAILPROVTESTS")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    (plan,) = zones.plan(inventory("contract1.test", backend.settings(**own)))  # type: ignore[arg-type]
    assert plan.changes


def test_without_boto3_it_is_said_what_to_install(backend: Route53, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "boto3", None)
    assert told(InputError, backend) == (
        "dns.provider: route53 needs the Python library boto3, which is not installed. "
        "Run `pip install 'mailprov[route53]'` in mailprov's environment."
    )


def test_five_calls_a_second_over_all_connections(backend: Route53, monkeypatch: pytest.MonkeyPatch) -> None:
    """Route 53 throttles whoever makes more, also a short run of them, and other programs of the account with it."""
    now, naps = [0.0], list[float]()

    def nap(seconds: float) -> None:
        naps.append(seconds)
        now[0] += seconds

    wanted: list[tuple[str, float, float]] = []
    paces: dict[str, Pace] = {}

    def shared(key: str, rate: float, burst: float) -> Pace:
        wanted.append((key, rate, burst))
        return paces.setdefault(key, Pace(rate, lambda: now[0], nap, burst))

    monkeypatch.setattr(calls, "shared", shared)
    own = backend.settings().provider
    assert isinstance(own, Route53Settings)
    first, second = calls.Calls(own), calls.Calls(own)
    for _number in range(10):
        first.zones()
        second.zones()
    assert wanted == [(f"route53 {KEY_ID}", 5.0, 1.0)] * 2
    made = len(backend.server.requests)
    assert made >= 20
    assert now[0] == pytest.approx((made - 5) / 5)
