"""What the ssh program says on stderr when it does not come through, in mailprov's sentences.

    explain(endpoint, status, noise) -> HostUnreachable | None     None: it was not ssh that failed
    is_other_key(noise), no_common_type(noise)

ssh exits with 255 for its own failures. Its words only choose between sentences and give fingerprints; words that are
not recognised are quoted. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from mailprov.errors import HostUnreachable
from mailprov.i18n import N_, _
from mailprov.transport import config_files
from mailprov.transport.endpoint import Endpoint

_OWN_FAILURE = 255
_FINGERPRINT = re.compile(r"(SHA256:[A-Za-z0-9+/]{43})")
_OFFENDING = re.compile(r"Offending (\S+) key in (.+:\d+)")

_Sentence = Callable[[Endpoint, str, re.Match[str]], tuple[str, str]]


def is_other_key(noise: Sequence[str]) -> bool:
    """The server showed a key that nothing vouches for."""
    return any("Host key verification failed" in line for line in noise)


def no_common_type(noise: Sequence[str]) -> bool:
    """The server has no host key of the types that were asked for."""
    return any("no matching host key type" in line for line in noise)


def explain(endpoint: Endpoint, status: int | None, noise: Sequence[str]) -> HostUnreachable | None:
    if status != _OWN_FAILURE:
        return None
    text = "\n".join(noise)
    for pattern, sentence in _SENTENCES:
        found = re.search(pattern, text)
        if found:
            return HostUnreachable(endpoint.name, *sentence(endpoint, text, found))
    said = f" ({noise[-1]})" if noise else ""
    return HostUnreachable(
        endpoint.name,
        _("ssh could not connect to {at}{said}").format(at=endpoint.at, said=said),
        _("Try it by hand: ssh {address}").format(address=endpoint.written or endpoint.address),
    )


def _at(endpoint: Endpoint, text: str, found: re.Match[str]) -> str:
    """The place ssh speaks of: with jump hosts it may be one of them."""
    if not endpoint.jumps:
        return endpoint.at
    place, port = found.groupdict().get("place") or "", found.groupdict().get("port")
    hops = (*endpoint.jumps, endpoint)
    exact = [
        each for each in hops if place == each.lookup_name or (place, port) == (each.address, str(each.port))
    ]
    near = [each for each in hops if place in (each.address, each.written)]
    hop = [*exact, *near, endpoint][0]
    return endpoint.at if hop is endpoint else hop.name


def _changed(endpoint: Endpoint, text: str, found: re.Match[str]) -> tuple[str, str]:
    shown, line = _FINGERPRINT.search(text), _OFFENDING.search(text)
    shows = _(": it shows {key}").format(key=shown[1]) if shown else ""
    expected = _(", but {place} has another").format(place=line[2]) if line else ""
    advice = (
        _("remove {place}, and trust the new key").format(place=line[2])
        if line
        else _("remove the old key, and trust the new one")
    )
    return (
        _("THE HOST KEY OF {at} HAS CHANGED{shows}{expected}").format(
            at=_at(endpoint, text, found), shows=shows, expected=expected
        ),
        _(
            "Somebody may be listening in between, or the host was installed anew. Nothing was "
            "sent. Only if you know why it changed, {advice}"
        ).format(advice=advice),
    )


def _unknown(endpoint: Endpoint, text: str, found: re.Match[str]) -> tuple[str, str]:
    if endpoint.host_key is not None and not endpoint.jumps:
        return (
            _(
                "THE HOST KEY OF {at} HAS CHANGED: the inventory's host_key says {host_key}, and no "
                "key that it shows is that one"
            ).format(at=endpoint.at, host_key=endpoint.host_key),
            _(
                "Somebody may be listening in between, or the host was installed anew. Nothing was sent. "
                "Only if you know why it changed, correct `host_key` in the inventory"
            ),
        )
    return (
        _("the host key of {at} is not known").format(at=_at(endpoint, text, found)),
        _("Compare it with the host's own, then run `mailprov trust {host}`").format(host=endpoint.host),
    )


def _revoked(endpoint: Endpoint, text: str, found: re.Match[str]) -> tuple[str, str]:
    return (
        _("the host key of {at} is REVOKED").format(at=_at(endpoint, text, found)),
        _("Do not connect: somebody else may have this key. Give the host a new one"),
    )


def _refused(endpoint: Endpoint, text: str, found: re.Match[str]) -> tuple[str, str]:
    return (
        _("the login as {user} was refused (ssh tried all its keys; the server takes {methods})").format(
            user=found["who"], methods=found["kinds"]
        ),
        _(
            "Name the right key with `ssh.identity_file`, load it into the agent, or put it into authorized_keys there"
        ),
    )


def _unknown_name(endpoint: Endpoint, text: str, found: re.Match[str]) -> tuple[str, str]:
    """An alias that stands in another file than those which are read, most often."""
    if endpoint.ignore_config:
        what = _("ssh does not know `{name}`; it reads no ssh_config").format(name=found["place"])
    elif endpoint.config:
        what = _("ssh does not know `{name}`; it reads {file}").format(
            name=found["place"], file=endpoint.config
        )
    else:
        what = _("ssh does not know `{name}`; it reads {file} and {system}").format(
            name=found["place"], file=config_files.user_file(), system=config_files.SYSTEM
        )
    return what, _("Check `address`, HostName in such a file, or the name service of this machine")


def _is(what: str, advice: str) -> _Sentence:
    return lambda endpoint, text, found: (
        _(what).format(at=_at(endpoint, text, found), said=found[0].strip()),
        _(advice),
    )


_SENTENCES: tuple[tuple[str, _Sentence], ...] = (
    (r"REVOKED HOST KEY|is revoked|marked as revoked", _revoked),
    (r"REMOTE HOST IDENTIFICATION HAS CHANGED|differs from the key", _changed),
    (
        r"Certificate invalid: (?P<why>.*)",
        _is(N_("the host certificate of {at} is not accepted ({said})"), N_("Sign the host's key again")),
    ),
    (r"No \S+ host key is known for (?P<place>\S+)", _unknown),
    (r"Host key verification failed", _unknown),
    (r"(?P<who>\S+@(?P<place>\S+)): Permission denied \((?P<kinds>[^)]*)\)", _refused),
    (
        r"Could not resolve hostname (?P<place>[^:\s]+)",
        _unknown_name,
    ),
    (
        r"open failed: administratively prohibited.*",
        _is(
            N_("a jump host forwards no connection to {at} ({said})"),
            N_("Allow it there: AllowTcpForwarding and PermitOpen in sshd_config"),
        ),
    ),
    (
        r"open failed: connect failed.*",
        _is(
            N_("the last jump host cannot connect to {at} ({said})"),
            N_("Check that the host is up with sshd on that port, and `address` as seen from the jump host"),
        ),
    ),
    (
        r"connect to host (?P<place>\S+) port (?P<port>\d+): Connection refused",
        _is(N_("{at} refused the connection"), N_("Check `ssh.port`, and that sshd runs on the host")),
    ),
    (
        r"connect to host (?P<place>\S+) port (?P<port>\d+): (No route to host|Network is unreachable)",
        _is(
            N_("there is no route to {at}"),
            N_("Check that the host is up, `address`, and the network between"),
        ),
    ),
    (
        r"(connect to host (?P<place>\S+) port (?P<port>\d+): \S+ timed out|timed out during banner exchange)",
        _is(
            N_("{at} did not answer in time"),
            N_("Check that the host is up, `address`, and firewalls between"),
        ),
    ),
    (
        r"no matching [a-z ]+ found.*",
        _is(
            N_("the SSH server at {at} has no algorithm in common with ssh ({said})"),
            N_("Update the SSH server"),
        ),
    ),
    (
        r"kex_exchange_identification: .*",
        _is(
            N_("{at} closed the connection without sending anything ({said})"),
            N_(
                "It is not an SSH server, is overloaded (MaxStartups), or has banned this machine (fail2ban): "
                "look at the host's sshd log"
            ),
        ),
    ),
    (
        r"(Connection to (?P<place>\S+) closed by remote host|Connection reset|Broken pipe|Connection closed by).*",
        _is(
            N_("the connection was lost while the agent was started ({said})"),
            N_("Try again; look at the host's sshd log"),
        ),
    ),
    (
        r"(?m)^(?P<place>.*): (?:terminating, \d+ bad configuration options|.*Bad configuration option.*)",
        _is(
            N_("ssh refuses its configuration ({said})"),
            N_("Fix that file, or set `ssh: {config: none}` in the inventory"),
        ),
    ),
)
