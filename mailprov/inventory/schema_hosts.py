"""The inventory as it is written, first part: how to reach hosts, their certificates, DNS servers.

Part of `schema`, which says what these classes are for.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from mailprov.inventory.local import DovecotEntry, PostfixEntry
from mailprov.inventory.schema_protection import Blocklists, Fail2banEntry, Firewall, RelayEntry
from mailprov.schema.entry import Entry
from mailprov.schema.scalars import Boolean, Reads, Text, choice, said, size_between, whole
from mailprov.schema.secret_entry import SecretEntry

RELEASES = (
    "debian-11",
    "debian-12",
    "debian-13",
    "debian-testing",
    "ubuntu-like",
    "ubuntu-22.04",
    "ubuntu-24.04",
    "ubuntu-26.04",
)
NOT_YET = "is not in this version"
_ACME = {"letsencrypt": "for certificates of Let's Encrypt write `mode: acme`"}


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

    mode: Annotated[str, choice("self-signed", "files", "acme", later=_ACME)] | None = Field(
        default=None,
        description="self-signed: made on the host; files: given here; "
        "acme: issued by an authority, renewed by certbot; self-signed if not given",
    )
    certificate: Text | None = Field(
        default=None, description="mode files: PEM with the certificate, then those between it and the root"
    )
    key: Text | None = Field(default=None, description="mode files: PEM with the private key")
    key_type: Annotated[str, choice("ecdsa", "rsa", "both")] | None = Field(
        default=None,
        description="what keys are made: ecdsa (P-256), rsa (3072 bits) or both; ecdsa if not given",
    )
    email: Text | None = Field(
        default=None, description="mode acme: whom the authority may write to", examples=["admin@example.org"]
    )
    directory: Text | None = Field(
        default=None,
        description="mode acme: URL of the authority's directory; Let's Encrypt if not given",
        examples=["https://acme.example.org/directory"],
    )
    challenge: Annotated[str, choice("http-01", "dns-01")] | None = Field(
        default=None,
        description="mode acme: how the host shows that the name is its own: http-01 (port 80) or "
        "dns-01 (the key in `dns`, which the host gets); http-01 if not given",
    )
    propagation: Annotated[int, whole(0, 3600)] | None = Field(
        default=None,
        description="dns-01: seconds until all servers of the zone have a new record; 60 if not given",
    )
    ca_file: Text | None = Field(
        default=None,
        description="PEM with root certificates that `verify`, and certbot in mode acme, trust besides the system's",
    )


DELIMITERS = ("+", "-", "=", ".")


def _delimiter(value: Any) -> str:
    if value == "none":
        return ""
    if isinstance(value, str) and value in DELIMITERS:
        return str(value)
    raise said('must be one of "+", "-", "=" and ".", or none')


Delimiter = Annotated[str, Reads(_delimiter, {"type": "string", "enum": [*DELIMITERS, "none"]})]
MessageSize = Annotated[int, size_between("64K", "2000M")]
DELIMITER_TEXT = 'what separates a detail from a name: with "+", ana+shop@ reaches ana@; none: no details'
SIZE_TEXT = "the largest message that is taken, as it is on the wire (half as much again as its attachments)"


MANAGED_TEXT = (
    "false: others built the server; `verify` looks at it, and no command changes anything there. Its `filter` is then "
    "none unless given"
)
FILTERS = ("rspamd", "none")
FILTER_TEXT = "rspamd: checks what arrives, spam to Junk; none: only signs (small labs)"


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
    managed: Boolean | None = Field(default=None, description="as the top-level `managed`, for this host")
    filter: Annotated[str, choice(*FILTERS)] | None = Field(
        default=None, description=f"{FILTER_TEXT}; as the top-level `filter` if not given"
    )
    blocklists: Blocklists | None = Field(
        default=None, description="as the top-level `blocklists`, for this host; wins as a whole"
    )
    postfix: PostfixEntry = Field(
        default=PostfixEntry(), description="as the top-level `postfix`, for this host; wins key by key"
    )
    dovecot: DovecotEntry = Field(
        default=DovecotEntry(),
        description="as the top-level `dovecot`, for this host; wins setting by setting",
    )
    recipient_delimiter: Delimiter | None = Field(
        default=None, description="as the top-level `recipient_delimiter`, for this host"
    )
    message_size_limit: MessageSize | None = Field(
        default=None, description="as the top-level `message_size_limit`, for this host"
    )
    fail2ban: Fail2banEntry | None = Field(
        default=None, description="as the top-level `fail2ban`, for this host; wins as a whole"
    )
    relayhost: RelayEntry | None = Field(
        default=None, description="as the top-level `relayhost`, for this host; wins as a whole"
    )
    firewall: Firewall | None = Field(default=None, description="as the top-level `firewall`, for this host")
    lab: LabEntry | None = Field(default=None, description="for `mailprov lab` alone")
