"""The check of what users submit: a milter of our own, in front of the filter, on ports 465 and 587 alone.

    MILTER       as in Postfix's smtpd_milters, from inside its chroot
    LOCAL        the same for mail that is handed to sendmail(1), on a host where accounts have a shell
    COMPONENT    the program, its unit and its socket's

Postfix compares the login with the sender of the envelope; what readers see is the header, which only a milter can look
at. It is one program for all sessions, so that who connects and waits takes no memory to speak of. It needs nothing but
Python, which a host has anyway: Debian's python3-milter would be one more package on each host, and libmilter behind it
takes a thread for each connection, and as much memory as a client's header has.

Pure.
"""

from __future__ import annotations

from mailprov.components import passwords, states
from mailprov.components.base import Build, Component, Parts
from mailprov.components.postfix.addresses import MAPS
from mailprov.components.templates import render
from mailprov.i18n import N_
from mailprov.model.host_state import File, Service
from mailprov.model.shell_users import users

UNIT = "mailprov-submission"
MILTER = f"unix:private/{UNIT}"
LOCAL = f"unix:private/{UNIT}-local"  # for what users with a shell send on the host itself
_SOCKET = f"/var/spool/postfix/private/{UNIT}"
_SCRIPT = "/etc/mailprov/submission_check.py"
_UNITS = "/etc/systemd/system"


class _Submission(Component):
    name = "submission"
    about = N_("sees to it that users send under their own addresses, in what readers see as well")
    everywhere = True
    before = "postfix"  # which would refuse submitted mail until it answers

    def parts(self, build: Build) -> Parts:
        files = _files(build.host.recipient_delimiter, bool(users(build.host)), _ended(build))
        return Parts(files=files, services=(_service(files),))


COMPONENT = _Submission()


def _ended(build: Build) -> tuple[str, ...]:
    """Who takes passwords back on this host notes there since when sessions with them are over."""
    from mailprov.components.dovecot import passwd

    own = (passwords.ENDED,) if passwd.own(build.mail.entries) else ()
    return (states.ENDED, *own) if build.made(states.of) else own


def _files(delimiter: str, local: bool, ended: tuple[str, ...]) -> tuple[File, ...]:
    """`delimiter` as in Postfix's recipient_delimiter. `local`: users of the host have accounts."""
    names = {"unit": UNIT, "script": _SCRIPT, "socket": _SOCKET, "local": local}
    return (
        File(
            _SCRIPT,
            render("submission/check.py.j2", maps=MAPS, delimiter=delimiter, local=local, ended=ended),
        ),
        File(f"{_UNITS}/{UNIT}.service", render("submission/check.service.j2", **names)),
        File(f"{_UNITS}/{UNIT}.socket", render("submission/check.socket.j2", **names)),
    )


def _service(ours: tuple[File, ...]) -> Service:
    """The socket comes and goes with the unit. The map of logins is read for each message: no reload is needed."""
    paths = tuple(file.path for file in ours)
    return Service(
        unit=f"{UNIT}.service",
        files=paths,
        restart_on=paths,
        checks=(("/usr/bin/python3", "-IS", _SCRIPT, "--check"),),
    )
