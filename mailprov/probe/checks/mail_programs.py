"""The probe `imap.programs`: what mail programs look for once they have logged in. It only reads. Errors of `clients`
pass through; the runner makes them errors.
"""

from __future__ import annotations

from collections.abc import Iterator

from mailprov.i18n import N_, _, all_of
from mailprov.model.findings import Finding
from mailprov.probe.accounts import lacking
from mailprov.probe.context import PortContext
from mailprov.probe.registry import IMAP_PORTS, Scope, probe

_SETTING = "imap_capability"
_WANTED = ("IDLE", "MOVE", "UIDPLUS", "SPECIAL-USE", "NAMESPACE")
_FOLDERS = {"\\DRAFTS": "Drafts", "\\SENT": "Sent", "\\JUNK": "Junk", "\\TRASH": "Trash"}


@probe(
    "imap.programs",
    Scope.PORT_ACCOUNT,
    N_("Mail programs find what they need: new mail at once, moving, folders for drafts and junk"),
    expected=N_(
        "IDLE, MOVE, UIDPLUS, SPECIAL-USE and NAMESPACE, and folders for drafts, sent mail, junk and trash"
    ),
    steps=(
        N_("Log in; ask for the capabilities that hold then."),
        N_("SELECT INBOX, begin IDLE and end it."),
        N_("LIST the folders that have a special use. Nothing is changed."),
    ),
    verdicts={
        "pass": N_("all of it is there"),
        "warn": N_("something is missing: some programs poll, or make folders of their own"),
        "fail": N_("INBOX cannot be opened, or IDLE is offered and refused"),
        "error": N_("the login is refused, silence, or a dropped connection"),
        "skip": N_("no account with a known password"),
    },
    refs=("RFC 2177", "RFC 6851", "RFC 4315", "RFC 6154", "RFC 2342"),
    ports=IMAP_PORTS,
)
def programs(context: PortContext) -> Iterator[Finding]:
    account = context.account
    if account is None or account.password is None:
        yield context.skip(lacking(context.domain))
        return
    context.transcript.hide(account.password.reveal())
    client = context.imap(secret=True)
    folders: dict[str, str] = {}
    with client.connection:
        login = client.login(account.login_name, account.password.reveal())
        if not login.accepted:
            yield context.error(
                _("cannot tell, because the login is refused: {reply}").format(reply=login.words)
            )
            return
        offered = client.capabilities()
        selected = client.select("INBOX")
        idle = client.idle() if "IDLE" in offered and selected.status == "OK" else None
        if "SPECIAL-USE" in offered:
            folders = client.special_folders()
        client.quit()
    log = _("see the server's log for the reason")
    missing = [name for name in _WANTED if name not in offered]
    absent = [name for use, name in _FOLDERS.items() if use not in folders]
    if selected.status != "OK":
        yield context.failed(_("SELECT INBOX gets {reply}").format(reply=selected), log)
    elif idle is not None and idle.status != "OK":
        yield context.failed(_("IDLE is offered and gets {reply}").format(reply=idle), log)
    elif missing:
        yield context.warn(
            _("not offered after the login: {capabilities}").format(capabilities=" ".join(missing)),
            _("use a server that knows them (Dovecot does), and see {setting}").format(setting=_SETTING),
        )
    elif absent:
        block = f"mailbox {absent[0]} {{ auto = subscribe, special_use = \\{absent[0]} }}"
        yield context.warn(
            _("no folder is marked for {uses}").format(uses=all_of(absent)),
            _("in dovecot.conf, in the namespace of INBOX: {setting}").format(setting=block),
        )
    else:
        yield context.passed(
            _("{capabilities}; {folders}").format(
                capabilities=" ".join(_WANTED), folders=", ".join(folders[use].strip('"') for use in _FOLDERS)
            )
        )
