"""Calls of Route 53's API, and what its errors mean.

    Calls(settings).zones() -> {name: [ids]}                 public ones
    Calls.sets(zone_id, name) -> Page                        the sets at a name, and some that Route 53 lists after it
    Calls.change(zone_id, changes)                           one batch: all of it, or Changed, DnsFailed, DnsUnreachable

An account has five calls a second, whoever makes them; ours keep to that together, over all threads of a run. boto3
itself tries again what was throttled all the same, or failed on the way; a batch that was done already is then met as
Changed.
Raises DnsFailed, DnsUnreachable, InputError (credentials that boto3 does not find). A credential is in none of them;
boto3's log, which nobody turns on, has signatures only.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Sequence
from functools import cache
from typing import Any

from mailprov.dns.api.pace import shared
from mailprov.dns.extras import library
from mailprov.dns.providers.route53 import text
from mailprov.dns.providers.route53.settings import NAME, Route53Settings
from mailprov.dns.shown import shown
from mailprov.errors import DnsFailed, DnsUnreachable, InputError
from mailprov.i18n import N_, _
from mailprov.model.values import dataclass

WHERE = "Route 53"
ATTEMPTS = 6
CONNECT_SECONDS, READ_SECONDS = 10, 30
MOST_IN_PAGE = 300
CALLS_PER_SECOND = 5.0  # Developer Guide, "Quotas": of an account, and no more in any second
# Code → what it means, what to do.
_DENIED = ("", N_("Allow that in the IAM policy of the key; the documentation of mailprov has one"))
_UNKNOWN = (
    N_("it does not know the access key"),
    N_("Correct dns.access_key_id and dns.secret_access_key"),
)
_OLD = (N_("the credentials have expired"), N_("Get new ones"))
_REFUSALS = {
    **dict.fromkeys(("AccessDenied", "AccessDeniedException", "NotAuthorized"), _DENIED),
    **dict.fromkeys(("InvalidClientTokenId", "UnrecognizedClientException"), _UNKNOWN),
    **dict.fromkeys(("ExpiredToken", "ExpiredTokenException"), _OLD),
    "SignatureDoesNotMatch": (N_("the secret is not that of the access key"), _UNKNOWN[1]),
    "RequestExpired": (N_("the clocks differ too much"), N_("Set this machine's clock")),
    "NoSuchHostedZone": (N_("the hosted zone is not there any more"), N_("Look at a new plan")),
}
_BUSY = ("Throttling", "ThrottlingException", "PriorRequestNotComplete", "TooManyRequestsException")
# In the messages of InvalidChangeBatch: a set is not what it was.
_CHANGED = re.compile("already exists|not found|do not match|conflict")
_LOCK = threading.Lock()


class Changed(Exception):
    """A set is not as it was read; nothing of the batch was done."""


@dataclass(frozen=True)
class Page:
    """`sets`: as Route 53 gives them. `first` and `end`: all names that are listed from the one to before the other are
    in it; `end` is empty where that was the last.
    """

    sets: Sequence[dict[str, Any]]
    first: str
    end: str

    def covers(self, name: str) -> bool:
        """Whether all that stands at this name is in it."""
        if not all(map(text.orderly, filter(None, (name, self.first, self.end)))):
            return False
        after = text.order(name)
        return text.order(self.first) <= after and (not self.end or after < text.order(self.end))


@cache
def _loader() -> Any:
    """Descriptions of the API, which take their time to be read."""
    return library(NAME, "botocore.loaders").create_loader()


def _client(settings: Route53Settings) -> Any:
    boto3, session = library(NAME, "boto3"), library(NAME, "botocore.session")
    config = library(NAME, "botocore.config").Config(
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
    )
    with _LOCK:  # what boto3 sets up is not for several threads
        core = session.get_session()
        core.register_component("data_loader", _loader())
        own = {}
        if settings.secret_access_key:
            own = {
                "aws_access_key_id": settings.access_key_id,
                "aws_secret_access_key": settings.secret_access_key.reveal(),
            }
        # One place for all of it, whatever region people have set.
        made = boto3.session.Session(botocore_session=core, region_name="us-east-1")
        return made.client("route53", config=config, **own)


class Calls:
    def __init__(self, settings: Route53Settings) -> None:
        self._errors = library(NAME, "botocore.exceptions")
        self._pace = shared(f"{NAME} {settings.access_key_id}", CALLS_PER_SECOND, burst=1.0)
        self._unreadable = library(NAME, "botocore.parsers").ResponseParserError
        try:
            self._api = _client(settings)
        except self._errors.BotoCoreError as error:  # such as a profile that is not there
            raise InputError(
                "dns.default_credentials", _said(error), _("Correct what boto3 is set to")
            ) from None

    def close(self) -> None:
        self._api.close()

    def zones(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        more: dict[str, str] = {}
        while True:
            answer = self._call("list_hosted_zones", _("list its hosted zones"), **more)
            for zone in answer["HostedZones"]:
                if not zone.get("Config", {}).get("PrivateZone"):
                    found.setdefault(text.plain(zone["Name"]), []).append(zone["Id"].rpartition("/")[2])
            if not answer["IsTruncated"]:
                return found
            more = {"Marker": answer["NextMarker"]}

    def sets(self, zone_id: str, name: str) -> Page:
        sets: list[dict[str, Any]] = []
        more = {"StartRecordName": text.written(name)}
        while True:
            answer = self._call(
                "list_resource_record_sets",
                _("list the records of {zone}").format(zone=zone_id),
                HostedZoneId=zone_id,
                MaxItems=str(MOST_IN_PAGE),
                **more,
            )
            sets += answer["ResourceRecordSets"]
            if not answer["IsTruncated"]:
                return Page(sets, name, "")
            end = text.plain(answer["NextRecordName"])
            if end != name:
                return Page(sets, name, end)
            keys = {
                "Name": "StartRecordName",
                "Type": "StartRecordType",
                "Identifier": "StartRecordIdentifier",
            }
            nexts = {start: answer.get(f"NextRecord{what}") for what, start in keys.items()}
            more = {start: value for start, value in nexts.items() if value}

    def change(self, zone_id: str, changes: Sequence[dict[str, Any]]) -> None:
        self._call(
            "change_resource_record_sets",
            _("change the records of {zone}").format(zone=zone_id),
            HostedZoneId=zone_id,
            ChangeBatch={"Changes": list(changes)},
        )

    def _call(self, operation: str, doing: str, **given: Any) -> Any:
        self._pace.wait()
        try:
            return getattr(self._api, operation)(**given)
        except self._errors.ClientError as error:
            raise self._refused(error, doing) from None
        except (
            self._errors.NoCredentialsError,
            self._errors.PartialCredentialsError,
            self._errors.CredentialRetrievalError,
        ) as error:
            advice = _("Give it some, or name an access key in the inventory (dns.access_key_id)")
            raise InputError("dns.default_credentials", _said(error), advice) from None
        except (self._errors.BotoCoreError, self._unreadable, OSError) as error:
            what = _("no usable answer ({error}) when asked to {task}").format(error=_said(error), task=doing)
            raise DnsUnreachable(
                WHERE, what, _("Look at this machine's connection to the Internet")
            ) from None

    def _refused(self, error: Any, doing: str) -> Exception:
        told = error.response.get("Error", {})
        messages = error.response.get("Messages")
        code, said = str(told.get("Code", "")), shown(str(told.get("Message", "")))[:400]
        refused = _("it refused to {task}").format(task=doing)
        if messages is not None or code == "InvalidChangeBatch":
            said = said or shown(str(messages))[:400]
            if _CHANGED.search(said):
                return Changed(said)
            return DnsFailed(WHERE, f"{refused}: {said}", _("Change what it names"))
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        if code in _BUSY:
            what = _("it has too much to do ({code}) when asked to {task}").format(code=code, task=doing)
            advice = _(
                "Wait a minute, then run the command again: it takes five requests a second of an account"
            )
            return DnsUnreachable(WHERE, what, advice)
        if status >= 500:
            what = _("it failed ({code}) when asked to {task}").format(code=code or status, task=doing)
            return DnsUnreachable(WHERE, what, _("Try again later"))
        what, advice = _REFUSALS.get(code, ("", N_("Change what it names")))
        return DnsFailed(WHERE, f"{_(what) if what else refused} ({code}: {said})", _(advice))


def _said(error: Exception) -> str:
    return " ".join(str(error).split())[:400].rstrip(".")
