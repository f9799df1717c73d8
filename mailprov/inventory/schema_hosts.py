"""The inventory as it is written, first part: a host.

Part of `schema`, which says what these classes are for.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from mailprov.i18n import N_
from mailprov.inventory.host_settings import HostSettings
from mailprov.schema.entry import Entry
from mailprov.schema.scalars import Text, choice

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


class LabEntry(Entry):
    """What `mailprov lab` boots for this host. Other commands do not look at it."""

    release: Annotated[str, choice(*RELEASES)] = Field(
        description=N_("the system to boot"), examples=["debian-12"]
    )


class HostEntry(HostSettings):
    """A machine that serves mail. What it does not say, the top of the file says for all hosts."""

    address: Text = Field(
        description=N_("what SSH connects to: a name, IPv4 or IPv6"), examples=["10.0.0.11"]
    )
    fqdn: Text = Field(
        description=N_("the host's full name: in HELO, in the certificate and as MX target"),
        examples=["mx1.example.org"],
    )
    ipv4: list[Text] | None = Field(
        default=None,
        description=N_("IPv4 addresses to publish; `address` if not given"),
        examples=[["192.0.2.11"]],
    )
    ipv6: list[Text] | None = Field(
        default=None,
        description=N_("IPv6 addresses to publish; `address` if not given"),
        examples=[["2001:db8::11"]],
    )
    lab: LabEntry | None = Field(default=None, description=N_("for `mailprov lab` alone"))
