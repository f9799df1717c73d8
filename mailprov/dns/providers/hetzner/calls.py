"""Calls of Hetzner's Cloud API by hcloud, and what its errors mean.

    Calls(settings).zones() -> [zone of hcloud]
    Calls.sets(zone, name) -> [record set of hcloud]         at this name; without one, all of the zone
    Calls.add(zone, …), remove(zone, …), retime(zone, …)     finished when they return: what the API calls an action

hcloud itself tries again what the rate limit or a conflict refused, and what only reads also where a gateway or this
machine waited in vain. What writes may have been done then, so it is not tried again (`_Once`). Raises DnsFailed,
DnsUnreachable, InputError. The token is in none of them, nor in a log: it is in a header, and these are not logged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from mailprov.dns.api import records
from mailprov.dns.extras import library
from mailprov.dns.providers.hetzner.settings import NAME, HetznerSettings
from mailprov.dns.shown import shown
from mailprov.errors import DnsFailed, DnsUnreachable, InputError
from mailprov.i18n import N_, _

WHERE = "Hetzner"
ENDPOINT = "https://api.hetzner.cloud/v1"
SECONDS = 30  # for one answer
POLL_SECONDS, POLLS = 1.0, 60  # for what finishes later
T = TypeVar("T")
_TOKEN = N_("Correct dns.token ({origin}): an API token of the project that has the zone")
# Code → what it means, what to do.
_REFUSALS = {
    "unauthorized": (N_("it does not know the token"), _TOKEN),
    "token_readonly": (N_("the token may only read"), N_("Use one with the permission to read and write")),
    "forbidden": (N_("the token may not do that"), N_("Use one with the permission to read and write")),
    "protected": (
        N_("the record set is protected against changes"),
        N_("Take the protection away in the Cloud Console, or publish that record by hand"),
    ),
    "not_found": (N_("it is not there any more"), N_("Look at a new plan")),
    "incorrect_zone_mode": (
        N_("the zone is a secondary one"),
        N_("Name the server in dns that is its primary"),
    ),
}

_NOT_DONE = ("rate_limit_exceeded", "conflict")


class Calls:
    def __init__(self, settings: HetznerSettings) -> None:
        hcloud, self._requests = library(NAME, "hcloud"), library(NAME, "requests")
        self._zones = library(NAME, "hcloud.zones")
        self._api_error, self._any_error = hcloud.APIException, hcloud.HCloudException
        self._timeout = library(NAME, "hcloud.actions").ActionTimeoutException
        if settings.token is None:
            raise InputError(
                "dns.token", _("is not set"), _("Give a token of the project that has the zones")
            )
        self._origin = settings.token.origin
        self._api = hcloud.Client(
            token=settings.token.reveal(),
            api_endpoint=ENDPOINT,
            application_name="mailprov",
            poll_interval=POLL_SECONDS,
            poll_max_retries=POLLS,
            timeout=SECONDS,
        )
        # It has no setting for that: a redirect would be followed with the token.
        self._session = self._api._client._session
        self._session.max_redirects = 0
        _Once(self._api._client, self._requests.exceptions)

    def close(self) -> None:
        self._session.close()

    def zones(self) -> list[Any]:
        return self._told(self._api.zones.get_all, _("list its zones"))

    def sets(self, zone: Any, name: str | None = None) -> list[Any]:
        doing = _("list the records of {zone}").format(zone=zone.name)
        return self._told(lambda: self._api.zones.get_rrset_all(zone, name=name), doing)

    def add(self, zone: Any, name: str, kind: str, values: Iterable[str], ttl: int | None) -> None:
        """A set that is not there yet comes with this TTL; None: there is one, whose TTL stays."""
        added = [self._zones.ZoneRecord(value) for value in values]
        self._do(zone, lambda client, rrset: client.add_rrset_records(rrset, added, ttl), name, kind)

    def remove(self, zone: Any, name: str, kind: str, values: Iterable[str]) -> None:
        """A set of which nothing is left goes as well."""
        gone = [self._zones.ZoneRecord(value) for value in values]
        self._do(zone, lambda client, rrset: client.remove_rrset_records(rrset, gone), name, kind)

    def retime(self, zone: Any, name: str, kind: str, ttl: int) -> None:
        self._do(zone, lambda client, rrset: client.change_rrset_ttl(rrset, ttl), name, kind)

    def _do(self, zone: Any, begin: Callable[[Any, Any], Any], name: str, kind: str) -> None:
        rrset = self._zones.ZoneRRSet(name=name, type=kind, zone=zone)

        def run() -> None:
            action = begin(self._api.zones, rrset)
            if action.status != action.STATUS_SUCCESS:
                action.wait_until_finished()

        record = f"{records.absolute(name, zone.name)} {kind}"
        self._told(run, _("change {record}").format(record=record))

    def _told(self, call: Callable[[], T], doing: str) -> T:
        try:
            return call()
        except self._api_error as error:
            raise self._refused(error, doing) from None
        except self._timeout:
            what = _("it did not finish within {seconds} s when asked to {task}").format(
                seconds=round(POLL_SECONDS * POLLS), task=doing
            )
            raise DnsUnreachable(WHERE, what, _("Run the command again")) from None
        except self._any_error as error:  # an action that failed
            what = _("it failed to {task}: {error}").format(task=doing, error=_line(error))
            raise DnsFailed(WHERE, what, _("Run the command again")) from None
        except self._requests.exceptions.TooManyRedirects:
            what = _("it redirects elsewhere, where the token is not sent when asked to {task}").format(
                task=doing
            )
            raise DnsFailed(WHERE, what, _("Look at what is between here and Hetzner")) from None
        except (self._requests.exceptions.RequestException, KeyError, TypeError, OSError) as error:
            what = _("no usable answer ({error}) when asked to {task}").format(error=_line(error), task=doing)
            raise DnsUnreachable(
                WHERE, what, _("Look at this machine's connection to the Internet")
            ) from None

    def _refused(self, error: Any, doing: str) -> DnsFailed | DnsUnreachable:
        code, said = str(error.code), _line(error.message or "")
        if code == "rate_limit_exceeded":
            what = _("it is called too often ({code}) when asked to {task}").format(code=code, task=doing)
            return DnsUnreachable(WHERE, what, _("Run the command again in some minutes"))
        if code.isdigit() or code in (
            "service_error",
            "server_error",
            "unavailable",
            "timeout",
            "bad_gateway",
        ):
            what = _("it failed ({code}) when asked to {task}").format(code=code, task=doing)
            return DnsUnreachable(WHERE, what, _("Try again later"))
        what, advice = _REFUSALS.get(code, ("", N_("Change what it names")))
        refused = _("it refused to {task}").format(task=doing)
        why = f"{refused}: {_(what)} ({code}: {said})" if what else f"{refused} ({code}: {said})"
        return DnsFailed(WHERE, why, _(advice).format(origin=self._origin))


class _Once:
    """hcloud has no setting for this either. It would be told that the value that it added is there already, and that
    looks as if nothing had been done.
    """

    def __init__(self, client: Any, errors: Any) -> None:
        self._writing = False
        self._send, self._again, self._errors = client._session.request, client._retry_policy, errors
        client._session.request, client._retry_policy = self._request, self._may

    def _request(self, method: str, url: str, **more: Any) -> Any:
        self._writing = method != "GET"
        try:
            return self._send(method=method, url=url, **more)
        except self._errors.Timeout as late:
            if not self._writing:
                raise
            raise self._errors.ConnectionError(str(late)) from None

    def _may(self, error: Any) -> bool:
        return error.code in _NOT_DONE or (not self._writing and bool(self._again(error)))


def _line(error: object) -> str:
    return shown(" ".join(str(error).split())[:400].rstrip("."))
