"""The inventory as it is written, second part: mail domains and their addresses.

Part of `schema`, which says what these classes are for.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import ConfigDict, Field
from pydantic_core import PydanticCustomError

from mailprov.i18n import N_, _
from mailprov.inventory.schema_hosted import HostedEntry
from mailprov.inventory.schema_shell import ShellOrFlag
from mailprov.inventory.schema_states import DATE_ALONE, AppPasswordEntry, ExpiresEntry, StateWord
from mailprov.model.dkim import ALGORITHMS
from mailprov.schema.document import Seq
from mailprov.schema.entry import Entry
from mailprov.schema.scalars import OR_OFF, Boolean, Quota, Reads, Size, Text, choice, said, text, whole
from mailprov.schema.secret_entry import PasswordEntry


class ForwardEntry(Entry):
    """Mail for the account goes on to other addresses."""

    to: list[Text] = Field(
        description=N_("addresses; a name alone is one of this domain"),
        examples=[["luis@example.net"]],
        min_length=1,
    )
    keep: Boolean = Field(
        default=True, description=N_("whether a copy stays in the mailbox; true if not given")
    )


class AccountEntry(Entry):
    """A mailbox with a login, which is the full address if `login` is not given."""

    password: PasswordEntry = Field(
        description=N_("the account's password"), examples=[{"env": "ANA_PASSWORD"}]
    )
    quota: Quota | None = Field(
        default=None,
        description=N_(
            "the mailbox's size: 500K, 200M, 1G or bytes; none: no limit; the domain's if not given"
        ),
        examples=["200M"],
    )
    forward: ForwardEntry | None = Field(
        default=None, description=N_("sends mail for the account on to other addresses")
    )
    login: Text | None = Field(
        default=None,
        description=N_(
            "what the account logs in as on hosts with `managed: false`, such as the name of a system user; "
            "the full address if not given"
        ),
        examples=["ana"],
    )
    state: StateWord = Field(
        "active",
        description=N_(
            "active; no-login (mail arrives, nobody logs in); no-receive (mail for it is refused, it logs in and "
            "sends); suspended (both); active if not given"
        ),
    )
    expires: Annotated[ExpiresEntry | None, DATE_ALONE] = Field(
        default=None,
        description=N_("when it expires: a date, or a mapping; never if not given"),
        examples=["2027-06-30"],
    )
    app_passwords: dict[str, AppPasswordEntry] = Field(
        default={},
        description=N_(
            "more passwords, each for one program or device and for some protocols: name → password"
        ),
    )
    probe: Boolean = Field(
        default=False,
        description=N_(
            "true: an account for tests, whose mail nobody needs: `mailprov verify` fills its mailbox, deletes mail in "
            "it by POP, and empties it of what it put there; false if not given"
        ),
    )
    shell: ShellOrFlag = Field(
        default=None,
        description=N_(
            "true: a system user on the first of the domain's hosts, who logs in by SSH with the mailbox's password, "
            "and sends as this account alone; or a mapping"
        ),
    )


class DmarcEntry(Entry):
    """What others should do with mail that only claims to come from this domain (RFC 9989)."""

    policy: Annotated[str, choice("none", "quarantine", "reject")] = Field(
        "none", description=N_("none, quarantine or reject")
    )
    rua: Text | None = Field(
        default=None, description=N_("who gets the reports: a name in this domain, or an address")
    )


class SpfEntry(Entry):
    """Who may send mail of this domain beside its hosts (RFC 7208)."""

    include: list[Text] = Field(
        default=[],
        description=N_(
            "domains whose SPF records say who else may send, as a newsletter service or a hosted mail "
            "service names them"
        ),
        examples=[["_spf.example.net"]],
    )
    all: Annotated[str, choice("fail", "soft")] = Field(
        "fail", description=N_("what mail from elsewhere is: fail (-all) or soft (~all); fail if not given")
    )


def _preference(value: Any) -> int | None:
    if value == "none":
        return None
    try:
        return _NUMBER.function(value)  # type: ignore[no-any-return]
    except PydanticCustomError:
        raise said(_("must be a whole number from 0 to 65535, without quotes, or none")) from None


_NUMBER = whole(0, 65535)
Preference = Annotated[
    int | None,
    Reads(_preference, {"anyOf": [_NUMBER.schema, {"type": "string", "enum": ["none"]}]}),
]


class MxEntry(Entry):
    """One MX of the domain: another preference for a host of it, or a host of somebody else."""

    host: Text = Field(
        description=N_(
            "a host of this domain, by its name in this file, or the full name of somebody else's"
        ),
        examples=["mx.example.net"],
    )
    preference: Preference = Field(
        description=N_("the lowest is tried first; none: a host of this domain that is no MX"), examples=[30]
    )


class DkimEntry(Entry):
    """How mail of this domain is signed (RFC 6376). The keys are made on the hosts and never leave them."""

    algorithms: list[Annotated[str, choice(*ALGORITHMS)]] = Field(
        default=["rsa"],
        description=N_("rsa (2048 bits), ed25519 (RFC 8463; beside rsa, by Rspamd only); rsa if not given"),
        json_schema_extra={"minItems": 1},
    )
    selector: Text | None = Field(
        default=None,
        description=N_("what the names of the keys in DNS begin with, before the host's name"),
        examples=["corp"],
    )


def _one_target(value: Any) -> Any:
    if isinstance(value, Seq):
        raise said(_("an alias leads to one address; for several use `lists`"))
    return text(value)


Target = Annotated[str, Reads(_one_target, {"type": "string", "minLength": 1})]


class DomainEntry(Entry):
    """A mail domain: what stands behind the @. It has `hosts`, or `hosted`, or both while it moves."""

    model_config = ConfigDict(
        json_schema_extra={"anyOf": [{"required": ["hosts"]}, {"required": ["hosted"]}]}
    )  # checked in `validation`, so that what is missing hides nothing else

    hosts: list[Text] = Field(
        default=[],
        description=N_(
            "the hosts that serve it, by their names in this file; the order is the MX preference"
        ),
        examples=[["mx1"]],
        json_schema_extra={"minItems": 1},
    )
    hosted: HostedEntry | None = Field(
        default=None,
        description=N_(
            "its mail is at a provider, in place of `hosts`: then it has DNS records, and no accounts here; with "
            "`hosts` it moves from one to the other (`mailprov dns move`)"
        ),
    )
    quota: Size | None = Field(
        default=None,
        description=N_("the size of each mailbox whose account says nothing else; no limit if not given"),
        examples=["1G"],
    )
    accounts: dict[str, AccountEntry] = Field(
        default={}, description=N_("mailboxes, by the name before the @")
    )
    aliases: dict[str, Target] = Field(
        default={}, description=N_("other names: alias → an account, list or alias here, or an address")
    )
    lists: dict[str, list[Text]] = Field(
        default={},
        description=N_("names that reach several: list → names in this domain, or addresses"),
        examples=[{"team": ["ana"]}],
    )
    catch_all: Target | None = Field(
        default=None,
        description=N_("who gets mail for names that the domain does not have; it is refused if not given"),
    )
    domain_aliases: list[Text] = Field(
        default=[],
        description=N_("domains in which every name of this domain is valid, too"),
        examples=[["example.net"]],
    )
    mail_name: Text | None = Field(
        default=None,
        description=N_(
            "a name of its own for its users' programs, which leads to the first of `hosts`: "
            "published, and with a certificate that is served to who asks for it"
        ),
        examples=["mail.example.org"],
    )
    mx: list[MxEntry] = Field(
        default=[],
        description=N_(
            "further MX hosts, those of others too, and other preferences than 10, 20, … for `hosts`"
        ),
    )
    spf: SpfEntry = Field(
        default=SpfEntry(all="fail"), description=N_("who may send mail of the domain beside its hosts")
    )
    dkim: DkimEntry = Field(default=DkimEntry(), description=N_("how mail of the domain is signed"))
    dmarc: Annotated[DmarcEntry | None, OR_OFF] = Field(
        default=None,
        description=N_("the domain's DMARC record, or off; if not given, p=none where nothing stands there"),
    )
    tls_rpt: Annotated[Text | None, OR_OFF] = Field(
        default=None,
        description=N_(
            "who gets other servers' reports of failed TLS (TLS-RPT): a name here, or an address; nobody if off or "
            "not given"
        ),
        examples=["postmaster"],
    )
    mta_sts: Annotated[str, choice("testing", "enforce", "off")] | None = Field(
        default=None,
        description=N_(
            "MTA-STS, where a host of the domain has `web` and certificates that others trust: testing (failures are "
            "reported), enforce (senders that know it deliver over verified TLS alone) or off (senders are told so "
            "until they have forgotten what was before); testing if not given"
        ),
    )
    srv: Boolean = Field(
        default=False,
        description=N_("whether SRV records tell mail programs where the servers are; false if not given"),
    )
    webmail: Annotated[str, choice("roundcube")] | None = Field(
        default=None,
        description=N_(
            "roundcube: users read and write mail in a browser, at https://webmail.DOMAIN/ on the first of `hosts`, "
            "which has `web`; none if not given"
        ),
    )
