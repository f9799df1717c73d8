"""The way from mailprov to each provider, with the faults of test_fault_matrix.py put into it.

    Wire        what a driver must be given for that: settings, credentials, what becomes of a write, what it asks
    WIRES       name, as in BACKENDS → context manager that gives one

A write is what the driver sends as one: an UPDATE of a zone, a batch, or a record.
"""

from __future__ import annotations

import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import urllib3

from mailprov.dns.api import client
from mailprov.dns.api.pace import Pace
from mailprov.dns.providers.powerdns.settings import PowerDnsSettings
from mailprov.dns.providers.rfc2136 import session
from mailprov.dns.providers.rfc2136.settings import Tsig
from mailprov.dns.providers.route53 import calls as route53_calls
from mailprov.model.dns import DnsSettings
from mailprov.model.secret import Secret
from tests.unit.dns import hetzner_server, route53_server, servers
from tests.unit.dns.api_backends import STAND_INS, ApiBackend, standing_in
from tests.unit.dns.api_server import Answer, ApiServer, Fault, Request
from tests.unit.dns.api_server import serving as serving_api
from tests.unit.dns.backend import Backend
from tests.unit.dns.between import Between, listening
from tests.unit.dns.drivers import PowerDnsApi, Updates
from tests.unit.dns.hetzner_backend import Hetzner, hetzner
from tests.unit.dns.octodns_backend import OctodnsPowerDns, octodns_cloudflare, octodns_powerdns
from tests.unit.dns.route53_backend import Route53, route53
from tests.unit.dns.rows import Row
from tests.unit.dns.servers import API_KEY, AT_PROVIDERS, STRANGER, serving

WRONG = "c29tZWJvZHkncyBvd24="  # what somebody else's secret may look like


class Wire(ABC):
    """`notes`: so many writes come last by which the driver only notes that it is done."""

    backend: Backend
    notes = 0

    def settings(self, ttl: int = 300) -> DnsSettings:
        return self.backend.settings(ttl)

    @abstractmethod
    def with_wrong_key(self) -> DnsSettings: ...

    def with_narrow_key(self) -> DnsSettings:
        """Of somebody who may read the zones, and not write them."""
        raise NotImplementedError

    def revoked(self) -> AbstractContextManager[None]:
        """As long as this lasts, the key is none."""
        raise NotImplementedError

    @abstractmethod
    def strike(self, what: str, skip: int = 0) -> None:
        """What becomes of the next write behind `skip` others: `lost`: it is done, and no answer comes. `dropped`: it
        is not, and none comes. `refused`. `broken`: it is done, and the answer says that the server failed. `ignored`:
        it is not done, and said to be. `late`: likewise, and it is done by catch_up(), unless it was forgotten.
        """

    @abstractmethod
    def catch_up(self) -> None:
        """And there are no faults any more."""

    @abstractmethod
    def forget(self) -> None: ...

    @abstractmethod
    def writes(self) -> int:
        """So far."""

    def asked(self) -> int:
        """Calls or questions so far."""
        raise NotImplementedError

    def throttle(self, times: int) -> None:
        """The next calls are too many, and it says after how long to come again; then so many writes."""
        raise NotImplementedError

    def pages(self, items: int | None) -> None:
        """So many are on one page of a list; None: as usual."""
        raise NotImplementedError

    def fill(self, zone: str, numbers: range) -> None:
        """With an address of others at each `h{number}`."""
        raise NotImplementedError


class UpdatesWire(Wire):
    def __init__(self, backend: Updates, between: Between, port: int) -> None:
        self.backend, self._server, self._between, self._port = backend, backend.server, between, port

    def settings(self, ttl: int = 300) -> DnsSettings:
        return self._server.settings(ttl=ttl, port=self._port)

    def with_wrong_key(self) -> DnsSettings:
        return self._server.settings(tsig=Tsig("mailprov", "hmac-sha256", Secret("env:MAILPROV_TSIG", WRONG)))

    def with_narrow_key(self) -> DnsSettings:
        return self._server.settings(
            tsig=Tsig("stranger", "hmac-sha256", Secret("env:MAILPROV_TSIG", STRANGER))
        )

    @contextmanager
    def revoked(self) -> Iterator[None]:
        """The same server, started again with another secret for the key."""
        with ExitStack() as stack:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(servers, "SECRET", WRONG)
                folder = stack.enter_context(tempfile.TemporaryDirectory())
                other = stack.enter_context(serving(self._server.kind, Path(folder), AT_PROVIDERS))
            before, self._between.upstream = self._between.upstream, other.port
            yield
            self._between.upstream = before

    def strike(self, what: str, skip: int = 0) -> None:
        self._between.struck = (skip, what)

    def catch_up(self) -> None:
        self._between.struck = None
        self._between.catch_up()

    def forget(self) -> None:
        self._between.put_off.clear()

    def writes(self) -> int:
        return self._between.updates

    def asked(self) -> int:
        return session.TRAFFIC.questions

    def fill(self, zone: str, numbers: range) -> None:
        assert isinstance(self.backend, Updates)
        self.backend.fill(zone, numbers)


@contextmanager
def _updates(kind: str, folder: Path) -> Iterator[Wire]:
    with serving(kind, folder, AT_PROVIDERS) as server:
        between = Between(server.port)
        with listening(between) as port:
            yield UpdatesWire(Updates(server), between, port)


class Through(ApiServer):
    """Passes calls on to a real server."""

    def __init__(self, upstream: str) -> None:
        super().__init__()
        self._upstream = upstream

    def handle(self, request: Request) -> Answer:
        headers = {
            name: value for name, value in request.headers.items() if name in ("x-api-key", "content-type")
        }
        url = self._upstream + request.url.removeprefix(self.url)
        reply = urllib3.request(
            request.method, url, body=request.raw or None, headers=headers, timeout=120, retries=False
        )
        return Answer(reply.status, reply.data)

    def pretended(self, request: Request) -> Answer:
        return Answer(204, b"")


class ApiWire(Wire):
    """An API over HTTP. `refusal`, `busy`: as the provider says so."""

    api: ApiServer
    writing = "^(POST|PUT|PATCH|DELETE) (?!.*/refresh)"
    refusal = Answer(422, {"message": "not today"})
    busy = Answer(429, {"message": "slow down"}, {"Retry-After": "3"})

    def strike(self, what: str, skip: int = 0) -> None:
        html = Answer(502, b"<html>bad gateway</html>")
        fault = {
            "lost": Fault(self.writing, None, after=True),
            "dropped": Fault(self.writing, None),
            "refused": Fault(self.writing, self.refusal),
            "broken": Fault(self.writing, html, after=True),
            "ignored": Fault(self.writing, pretend=True),
            "late": Fault(self.writing, pretend=True),
        }[what]
        fault.skip = skip
        self.api.faults = [fault]

    def catch_up(self) -> None:
        self.api.faults = []
        self.api.catch_up()

    def forget(self) -> None:
        self.api.put_off.clear()

    def writes(self) -> int:
        return len(self.api.calls(self.writing))

    def asked(self) -> int:
        return len(self.api.requests)

    def throttle(self, times: int) -> None:
        self.api.faults = [
            Fault("GET", self.busy, times=times),
            Fault(self.writing, self.busy, times=times),
        ]


class ClientWire(ApiWire):
    """One that mailprov's own client calls."""

    def __init__(self, backend: ApiBackend) -> None:
        self.backend: ApiBackend = backend
        self.api = backend.api
        self.naps = backend.naps
        self.notes = 1 if backend.name == "ovh" else 0

    def with_wrong_key(self) -> DnsSettings:
        return self.backend.settings(token="a-wrong-token-of-somebody")

    def with_narrow_key(self) -> DnsSettings:
        self.backend.api.rights["reading-token-of-somebody"] = "read"
        return self.backend.settings(token="reading-token-of-somebody")

    @contextmanager
    def revoked(self) -> Iterator[None]:
        rights = dict(self.backend.api.rights)
        self.backend.api.rights.clear()
        yield
        self.backend.api.rights.update(rights)

    def catch_up(self) -> None:
        super().catch_up()
        if isinstance(self.backend, ApiBackend):
            self.backend.api.published()

    def pages(self, items: int | None) -> None:
        self.backend.api.most_in_page = items or 10_000

    def fill(self, zone: str, numbers: range) -> None:
        self.backend.api.zones[zone] += [
            Row(10**6 + number, f"h{number}.{zone}", "A", 600, "192.0.2.1") for number in numbers
        ]
        self.backend.api.published()


@contextmanager
def _api(name: str, folder: Path) -> Iterator[Wire]:
    with standing_in(name, folder) as backend:
        yield ClientWire(backend)


class PowerDnsWire(ClientWire):
    def __init__(self, backend: PowerDnsApi, api: ApiServer, naps: list[float]) -> None:
        self._backend, self.api, self.naps = backend, api, naps
        self.backend = backend  # type: ignore[assignment]

    def settings(self, ttl: int = 300, key: str = API_KEY) -> DnsSettings:
        return DnsSettings(PowerDnsSettings(Secret("env:DNS_TOKEN", key), self.api.url), ttl)

    def with_wrong_key(self) -> DnsSettings:
        return self.settings(key="another-key-of-somebody")

    def fill(self, zone: str, numbers: range) -> None:
        self._backend.fill(zone, numbers)

    @contextmanager
    def revoked(self) -> Iterator[None]:
        """A server that was started again with another one."""
        gone = Answer(401, b"Unauthorized")
        self.api.faults = [Fault("", gone, times=10**6)]
        yield
        self.api.faults = []


class OctodnsPowerDnsWire(PowerDnsWire):
    def settings(self, ttl: int = 300, key: str = API_KEY) -> DnsSettings:
        assert isinstance(self._backend, OctodnsPowerDns)
        return self._backend.settings(ttl, key, port=urlsplit(self.api.url).port)


@contextmanager
def _octodns_powerdns(folder: Path) -> Iterator[Wire]:
    with octodns_powerdns(folder) as backend:
        through = Through(backend.server.api())
        with serving_api(through):
            yield OctodnsPowerDnsWire(backend, through, [])


@contextmanager
def _octodns_cloudflare(folder: Path) -> Iterator[Wire]:
    with octodns_cloudflare(folder) as backend:
        yield ClientWire(backend)


@contextmanager
def _powerdns(folder: Path) -> Iterator[Wire]:
    naps: list[float] = []
    before = client.sleep, client.shared
    client.sleep, client.shared = naps.append, lambda key, rate: Pace(None)  # type: ignore[assignment]
    try:
        with serving("powerdns", folder, AT_PROVIDERS) as server:
            through = Through(server.api())
            with serving_api(through):
                yield PowerDnsWire(PowerDnsApi(server), through, naps)
    finally:
        client.sleep, client.shared = before


class Route53Wire(ApiWire):
    refusal = route53_server.error(400, "InvalidChangeBatch", "[The record set is protected]")
    busy = route53_server.error(400, "Throttling", "Rate exceeded")

    def __init__(self, backend: Route53) -> None:
        self.backend: Route53 = backend
        self.api = self.server = backend.server
        self._attempts = route53_calls.ATTEMPTS

    def with_wrong_key(self) -> DnsSettings:
        return self.backend.settings(
            access_key_id="AKIAOFSOMEBODYELSE", secret_access_key=Secret("env:MAILPROV_AWS_SECRET", WRONG)
        )

    def with_narrow_key(self) -> DnsSettings:
        return self.backend.settings(access_key_id=route53_server.READS)

    @contextmanager
    def revoked(self) -> Iterator[None]:
        self.server.revoked = True
        yield
        self.server.revoked = False

    def throttle(self, times: int) -> None:
        super().throttle(times)
        route53_calls.ATTEMPTS = 4

    def catch_up(self) -> None:
        super().catch_up()
        route53_calls.ATTEMPTS = self._attempts

    def pages(self, items: int | None) -> None:
        self.server.most, self.server.zones_on_page = items or 300, items or 100

    def fill(self, zone: str, numbers: range) -> None:
        there = self.server.zones[self.backend.zone_id(zone)]
        for number in numbers:
            there.put({"Name": f"h{number}.{zone}.", "Type": "A", "TTL": 600, "Values": ["192.0.2.1"]})


@contextmanager
def _route53(folder: Path) -> Iterator[Wire]:
    with pytest.MonkeyPatch.context() as patch, route53(folder) as backend:
        patch.setattr("botocore.endpoint.time.sleep", lambda seconds: None)
        backend.server.zones_on_page = 100
        yield Route53Wire(backend)


class HetznerWire(ApiWire):
    refusal = hetzner_server.error(422, "invalid_input", "not today")
    busy = hetzner_server.error(429, "rate_limit_exceeded", "rate limit exceeded")

    def __init__(self, backend: Hetzner) -> None:
        self.backend: Hetzner = backend
        self.api = self.server = backend.server

    def with_wrong_key(self) -> DnsSettings:
        return self.backend.settings(token="a-wrong-token-of-somebody")

    def with_narrow_key(self) -> DnsSettings:
        return self.backend.settings(token=hetzner_server.READ_ONLY)

    @contextmanager
    def revoked(self) -> Iterator[None]:
        self.server.revoked = True
        yield
        self.server.revoked = False

    def pages(self, items: int | None) -> None:
        self.server.most = items or 50

    def fill(self, zone: str, numbers: range) -> None:
        for number in numbers:
            self.server.put(zone, f"h{number}", "A", 600, "192.0.2.1")


@contextmanager
def _hetzner(folder: Path) -> Iterator[Wire]:
    with hetzner(folder) as backend:
        yield HetznerWire(backend)


WIRES: dict[str, Callable[[Path], AbstractContextManager[Wire]]] = {
    **{f"rfc2136-{kind}": partial(_updates, kind) for kind in ("bind", "knot", "powerdns")},
    "powerdns": _powerdns,
    "route53": _route53,
    "hetzner": _hetzner,
    "octodns-powerdns": _octodns_powerdns,
    "octodns-cloudflare": _octodns_cloudflare,
    **{name: partial(_api, name) for name in STAND_INS},
}
