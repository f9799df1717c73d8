"""The inventory as it is written: every key, its type, and what it is for.

These classes are the only definition of the file's shape: the reader checks with them, the messages about
unknown keys name their fields, and `json_schema()` is made from them. What the values mean together is
checked in `meaning`. `inventories/example.yml` shows every key.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import ConfigDict, Field, model_validator
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import PydanticCustomError, core_schema

from mailprov.inventory.entry import Entry
from mailprov.inventory.local import DovecotEntry, PostfixEntry
from mailprov.inventory.scalars import Boolean, Reads, Size, Text, choice, kind, said, text, whole
from mailprov.inventory.source import Map, Seq

RELEASES = (
    "debian-11",
    "debian-12",
    "debian-13",
    "debian-testing",
    "ubuntu-22.04",
    "ubuntu-24.04",
    "ubuntu-26.04",
)
ALGORITHMS = ("hmac-sha256", "hmac-sha384", "hmac-sha512", "hmac-sha224", "hmac-sha1")  # RFC 8945 section 6
_NOT_YET = "is not in this version"
_CLOUD = f"this provider {_NOT_YET}; use `rfc2136`, or `zonefile` and publish the printed records there"
_ACME = dict.fromkeys(
    ("acme", "letsencrypt"),
    f"mode acme {_NOT_YET}; use `self-signed`, or `files` with `certificate` and `key`",
)
_CLOUDS = ("azure", "cloudflare", "digitalocean", "gandi", "google", "hetzner", "ovh", "powerdns", "route53")
_FORMS = "`{env: NAME}`, `{file: path}` or `{command: …}`"


def _command(value: Any) -> str | list[str]:
    words = value if isinstance(value, Seq) else [value]
    if not words or not all(isinstance(word, str) for word in words) or not words[0].strip():
        raise said("must be a command line, or a list of a program and its arguments")
    if any("\0" in word or any("\ud800" <= c <= "\udfff" for c in word) for word in words):
        raise said("contains a character that no command line can have")
    return [str(word) for word in words] if isinstance(value, Seq) else str(value)


Command = Annotated[
    str | list[str],
    Reads(
        _command,
        {
            "anyOf": [
                {"type": "string", "minLength": 1},
                {"type": "array", "items": {"type": "string"}, "minItems": 1},
            ]
        },
    ),
]


class SecretEntry(Entry):
    """Where a secret comes from. Exactly one form."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1, "maxProperties": 1})
    _own: ClassVar[tuple[str, ...]] = ("env", "file", "command")

    env: Text | None = Field(
        default=None, description="name of an environment variable", examples=["ANA_PASSWORD"]
    )
    file: Text | None = Field(
        default=None,
        description="a file whose first line is the secret; a relative path begins at the inventory's folder",
        examples=["secrets/ana"],
    )
    command: Command | None = Field(
        default=None,
        description="a shell command line, or a list of program and arguments, that prints the secret",
        examples=["pass show mail/ana", ["pass", "show", "mail/ana"]],
    )

    @model_validator(mode="before")
    @classmethod
    def _one_form(cls, value: Any) -> Any:
        own = cls._own
        if isinstance(value, Map) and len(value.marks) == 1 and len(value) == 1 and next(iter(value)) in own:
            return value
        forms = (
            _FORMS if "hash" not in own else "`{env: NAME}`, `{file: path}`, `{command: …}` or `{hash: …}`"
        )
        if not isinstance(value, Map):
            if isinstance(value, str):
                raise said(f"a secret is never written in the inventory itself; write {forms}")
            raise said(f"must be {forms}, not {kind(value)}")
        if "hash" in value and "hash" not in own:
            raise said(f"a hash serves only for accounts; write {forms}")
        given = [name for name in own if name in value.marks]
        if len(given) > 1:
            raise said(f"has {' and '.join(f'`{name}`' for name in given)}; keep one")
        if not value:
            # A form without a value has been said to be one; `{hunter2}` and `{}` have not.
            raise said(f"must be {forms}") if not given else PydanticCustomError("said_before", "no value")
        return value


class PasswordEntry(SecretEntry):
    """An account's password: a reference, or a ready hash."""

    _own: ClassVar[tuple[str, ...]] = ("env", "file", "command", "hash")

    hash: Text | None = Field(
        default=None,
        description="a ready hash in Dovecot's spelling, as `doveadm pw` prints it",
        examples=["{SHA512-CRYPT}$6$…"],
    )


class SshEntry(Entry):
    """How to reach a host. What is not said comes from ssh_config, the SSH agent and the usual files."""

    user: Text | None = Field(
        default=None,
        description="login name; by ssh_config or root if not given, any other user needs sudo",
    )
    port: Annotated[int, whole(1, 65535)] | None = Field(
        default=None, description="TCP port; by ssh_config or 22 if not given"
    )
    identity_file: Text | None = Field(
        default=None, description="private key; a relative path begins at the inventory's folder"
    )
    passphrase: SecretEntry | None = Field(
        default=None, description="opens an encrypted private key; asked for on a terminal if not given"
    )
    password: SecretEntry | None = Field(default=None, description="login password, if there is no key")
    become_password: SecretEntry | None = Field(
        default=None, description="password for sudo, if it asks for one"
    )
    known_hosts: Text | None = Field(
        default=None, description="file with known host keys; ~/.ssh/known_hosts if not given"
    )
    host_key: Text | None = Field(
        default=None,
        description="the host key's fingerprint, as `ssh-keygen -lf` prints it",
        examples=["SHA256:uNiVztksCsDhcc0u9e8BrrJXVGDhYIr3Jv2VxTjKdEM"],
    )
    proxy_jump: Text | None = Field(
        default=None,
        description="jump hosts from here to there, user@host:port with commas between; "
        "a name of this file's hosts is that host; none: no jump, whatever ssh_config says",
        examples=["ops@bastion.example.org"],
    )
    transport: Annotated[str, choice("builtin", "openssh", "local")] | None = Field(
        default=None,
        description="builtin: mailprov's SSH client; openssh: this machine's ssh program; "
        "local: no SSH, the host is this machine; builtin if not given",
    )
    config: Text | None = Field(
        default=None,
        description="ssh_config file in place of ~/.ssh/config and /etc/ssh/ssh_config; none: no such file",
    )


class TlsEntry(Entry):
    """Which certificate the hosts show, and whom `verify` trusts."""

    mode: Annotated[str, choice("self-signed", "files", later=_ACME)] | None = Field(
        default=None, description="self-signed: made on the host; files: given here; self-signed if not given"
    )
    certificate: Text | None = Field(
        default=None, description="mode files: PEM with the certificate, then those between it and the root"
    )
    key: Text | None = Field(default=None, description="mode files: PEM with the private key")
    ca_file: Text | None = Field(
        default=None, description="PEM with root certificates that `verify` trusts besides the system's"
    )


class TsigEntry(Entry):
    """The key that signs DNS updates (RFC 8945)."""

    name: Text = Field(description="the key's name on the server", examples=["mailprov"])
    algorithm: Annotated[str, choice(*ALGORITHMS)] = Field(
        default="hmac-sha256", description="the key's algorithm; hmac-sha256 if not given"
    )
    secret: SecretEntry = Field(description="the key in base64", examples=[{"env": "MAILPROV_TSIG"}])


class DnsEntry(Entry):
    """How records are published."""

    provider: Annotated[str, choice("rfc2136", "zonefile", later=dict.fromkeys(_CLOUDS, _CLOUD))] = Field(
        description="rfc2136: updates to a name server; zonefile: only printed, you publish them"
    )
    server: Text | None = Field(
        default=None, description="rfc2136: address or name of the primary name server"
    )
    port: Annotated[int, whole(1, 65535)] = Field(
        53, description="rfc2136: the server's port; 53 if not given"
    )
    tsig: TsigEntry | None = Field(default=None, description="rfc2136: the key that signs the updates")
    ttl: Annotated[int, whole(1, 2**31 - 1)] = Field(
        3600, description="seconds that others may keep a record; 3600 if not given"
    )


class LabEntry(Entry):
    """What `mailprov lab` boots for this host. Other commands do not look at it."""

    release: Annotated[str, choice(*RELEASES)] = Field(
        description="the system to boot", examples=["debian-12"]
    )


class HostEntry(Entry):
    """A machine that serves mail."""

    address: Text = Field(description="what SSH connects to: a name, IPv4 or IPv6", examples=["10.0.0.11"])
    fqdn: Text = Field(
        description="the host's full name: in HELO, in the certificate and as MX target",
        examples=["mx1.example.org"],
    )
    ssh: SshEntry = Field(
        default=SshEntry(), description="differences from the top-level `ssh` for this host"
    )
    tls: TlsEntry = Field(
        default=TlsEntry(), description="differences from the top-level `tls` for this host"
    )
    ipv4: list[Text] | None = Field(
        default=None,
        description="IPv4 addresses to publish; `address` if not given",
        examples=[["192.0.2.11"]],
    )
    ipv6: list[Text] | None = Field(
        default=None,
        description="IPv6 addresses to publish; `address` if not given",
        examples=[["2001:db8::11"]],
    )
    postfix: PostfixEntry = Field(
        default=PostfixEntry(), description="as the top-level `postfix`, for this host; wins key by key"
    )
    dovecot: DovecotEntry = Field(
        default=DovecotEntry(),
        description="as the top-level `dovecot`, for this host; wins setting by setting",
    )
    lab: LabEntry | None = Field(default=None, description="for `mailprov lab` alone")


class ForwardEntry(Entry):
    """Mail for the account goes on to other addresses."""

    to: list[Text] = Field(
        description="addresses; a name alone is one of this domain",
        examples=[["luis@example.net"]],
        min_length=1,
    )
    keep: Boolean = Field(default=True, description="whether a copy stays in the mailbox; true if not given")


class AccountEntry(Entry):
    """A mailbox with a login, which is the full address."""

    password: PasswordEntry = Field(description="the account's password", examples=[{"env": "ANA_PASSWORD"}])
    quota: Size | None = Field(
        default=None,
        description="the mailbox's size: 500K, 200M, 1G or bytes; no limit if not given",
        examples=["200M"],
    )
    forward: ForwardEntry | None = Field(
        default=None, description="sends mail for the account on to other addresses"
    )


class DmarcEntry(Entry):
    """What others should do with mail that only claims to come from this domain (RFC 9989)."""

    policy: Annotated[str, choice("none", "quarantine", "reject")] = Field(
        "none", description="none, quarantine or reject"
    )
    rua: Text | None = Field(
        default=None, description="who gets the reports: a name in this domain, or an address"
    )


def _one_target(value: Any) -> Any:
    if isinstance(value, Seq):
        raise said("an alias leads to one address; for several use `lists`")
    return text(value)


Target = Annotated[str, Reads(_one_target, {"type": "string", "minLength": 1})]


class DomainEntry(Entry):
    """A mail domain: what stands behind the @."""

    hosts: list[Text] = Field(
        description="the hosts that serve it, by their names in this file; the order is the MX preference",
        examples=[["mx1"]],
        json_schema_extra={"minItems": 1},  # checked in `problems`, so that an empty list hides nothing else
    )
    accounts: dict[str, AccountEntry] = Field(default={}, description="mailboxes, by the name before the @")
    aliases: dict[str, Target] = Field(
        default={}, description="other names: alias → an account, list or alias here, or an address"
    )
    lists: dict[str, list[Text]] = Field(
        default={},
        description="names that reach several: list → names in this domain, or addresses",
        examples=[{"team": ["ana"]}],
    )
    domain_aliases: list[Text] = Field(
        default=[],
        description="domains in which every name of this domain is valid, too",
        examples=[["example.net"]],
    )
    dmarc: DmarcEntry | None = Field(default=None, description="the domain's DMARC record; none if not given")


class File(Entry):
    """An inventory of mailprov: hosts, and the mail domains on them."""

    ssh: SshEntry = Field(
        default=SshEntry(), description="how to reach the hosts, unless a host says otherwise"
    )
    dns: DnsEntry | None = Field(
        default=None, description="how records are published; only printed if not given"
    )
    tls: TlsEntry = Field(default=TlsEntry(), description="certificates, unless a host says otherwise")
    postfix: PostfixEntry = Field(
        default=PostfixEntry(), description="local settings of Postfix on all hosts"
    )
    dovecot: DovecotEntry = Field(
        default=DovecotEntry(), description="local settings of Dovecot on all hosts"
    )
    hosts: dict[str, HostEntry] = Field(
        description="the machines, by a name of your choice", json_schema_extra={"minProperties": 1}
    )
    domains: dict[str, DomainEntry] = Field(
        description="the mail domains", json_schema_extra={"minProperties": 1}
    )


# Keys that the design has and this version does not: (class, key) → what to do until then.
LATER: dict[tuple[str, str], str] = {
    ("TlsEntry", "email"): f"`email` belongs to mode acme, which {_NOT_YET}; use `self-signed` or `files`",
    (
        "TlsEntry",
        "directory",
    ): f"`directory` belongs to mode acme, which {_NOT_YET}; use `self-signed` or `files`",
    (
        "DomainEntry",
        "hosted",
    ): f"a domain whose mail is elsewhere {_NOT_YET}; list only domains served by `hosts` here",
}


class _Generator(GenerateJsonSchema):
    """Optional keys are left out of the file, not set to null: so no `null` beside their types."""

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        made = super().default_schema(schema)
        if not isinstance(made.get("default"), (str, int)):
            made.pop("default", None)
        return made


def json_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of the file, with a description on every key."""
    made = File.model_json_schema(schema_generator=_Generator)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **made, "title": "mailprov inventory"}
