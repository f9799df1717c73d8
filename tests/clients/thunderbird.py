"""A real Thunderbird, without a screen, that is used as a person uses it: fields filled, buttons pressed, mail written.

    Thunderbird(folder, dns, authority)   a `with` block; a profile of its own, which knows nothing yet
    .find(name, address)                  the Account Hub is given name and address -> what it shows that it has found
    .sign_in(password, pop=False)         its next pages, to the end -> Account
    .send(letter)                         from a compose window, and waits until it is sent and its copy is filed
    .mail(folder)                         fetches, and gives every message of the folder as it was sent
    .arrived(subject, folder)             the one message with it, waited for
    missing()                             why there is none to use here, or ""

It sees the names of `dns` and trusts the certificates of `authority` (both of a lab). What it is told to do is done by
Marionette, Mozilla's protocol for that: JavaScript that runs in its own windows.

Sources: the modules of Thunderbird 140 to 153 (Account Hub, nsIMsgCompose, nsIMsgFolder).
"""

from __future__ import annotations

import email
import email.policy
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import warnings
from base64 import b64decode
from collections.abc import Callable
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

PROGRAM = Path(
    "/usr/lib/thunderbird/thunderbird-bin"
)  # Debian's; its script of the same name would look for sessions
# Beside mailprov's own libraries, not among them: requirements-clients.lock.
LIBRARIES = Path(sys.prefix) / "clients"
PATIENCE = 120.0  # s for whatever it is asked; on a busy machine each step takes its time
SSL_TLS, STARTTLS = 3, 2  # its names for them
BY_PASSWORD = 3

_PREFERENCES = {
    "app.update.enabled": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "mail.provider.suppress_dialog_on_startup": True,
    "mail.shell.checkDefaultClient": False,
    "mailnews.start_page.enabled": False,
    "mail.compose.dontWarnMail2Newsgroup": True,
    # Only the domain itself is to be asked. Mozilla's own list of providers is not reached from a lab.
    "mailnews.auto_config_url": "http://autoconfig.invalid/",
    "mailnews.mx_service_url": "http://autoconfig.invalid/",
    # Plain text, one part: so that what arrives can be compared.
    "mail.identity.default.compose_html": False,
}
_HUB = "const hub = document.querySelector('account-hub-container').shadowRoot;"
_VIEWS = """
    return [...hub.querySelector('account-hub-email').children]
      .filter(view => !view.hidden && view.localName.startsWith('email-')).map(view => view.id);
"""
_ACCOUNTS = """
    const { MailServices } = ChromeUtils.importESModule('resource:///modules/MailServices.sys.mjs');
    return MailServices.accounts.accounts.filter(one => one.incomingServer.type != 'none').map(one => {
      const coming = one.incomingServer, going = MailServices.outgoingServer.getServerByKey(
        one.defaultIdentity.smtpServerKey) ?? MailServices.outgoingServer.defaultServer;
      const smtp = going.QueryInterface(Ci.nsISmtpServer);
      return [one.defaultIdentity.fullName, one.defaultIdentity.email,
        [coming.type, coming.hostname, coming.port, coming.socketType, coming.authMethod, coming.username],
        ['smtp', smtp.hostname, smtp.port, smtp.socketType, smtp.authMethod, smtp.username]];
    });
"""
_OPEN_COMPOSE = """
    const { MailServices } = ChromeUtils.importESModule('resource:///modules/MailServices.sys.mjs');
    const [to, subject, body, files] = arguments;
    const fields = Cc['@mozilla.org/messengercompose/composefields;1'].createInstance(Ci.nsIMsgCompFields);
    Object.assign(fields, { to, subject, body });
    for (const path of files) {
      const file = Cc['@mozilla.org/file/local;1'].createInstance(Ci.nsIFile);
      file.initWithPath(path);
      const part = Cc['@mozilla.org/messengercompose/attachment;1'].createInstance(Ci.nsIMsgAttachment);
      part.url = Services.io.newFileURI(file).spec;
      part.name = file.leafName;
      part.size = file.fileSize;
      fields.addAttachment(part);
    }
    const params = Cc['@mozilla.org/messengercompose/composeparams;1'].createInstance(Ci.nsIMsgComposeParams);
    params.composeFields = fields;
    params.type = Ci.nsIMsgCompType.New;
    params.format = Ci.nsIMsgCompFormat.PlainText;
    params.identity = MailServices.accounts.defaultAccount.defaultIdentity;
    MailServices.compose.OpenComposeWindowWithParams(null, params);
"""
_SEND = """
    const compose = Services.wm.getMostRecentWindow('msgcompose');
    const button = compose?.document.getElementById('button-send');
    if (!compose?.gMsgCompose || compose.gWindowLocked || !button || button.disabled) return false;
    button.click();
    return true;
"""
_COMPOSING = "return Services.wm.getMostRecentWindow('msgcompose') !== null"
_FETCH = """
    const done = arguments[arguments.length - 1], name = arguments[0];
    const { MailServices } = ChromeUtils.importESModule('resource:///modules/MailServices.sys.mjs');
    const server = MailServices.accounts.defaultAccount.incomingServer, top = server.rootFolder;
    const finished = { OnStartRunningUrl() {}, OnStopRunningUrl(url, status) { read(); } };
    const inbox = top.getFolderWithFlags(Ci.nsMsgFolderFlags.Inbox);
    const folder = name == 'INBOX' ? inbox : top.getChildNamed(name);
    async function text(uri) {
      const service = MailServices.messageServiceFromURI(uri);
      return new Promise((resolve, reject) => service.streamMessage(uri, {
        all: '', QueryInterface: ChromeUtils.generateQI(['nsIStreamListener']), onStartRequest() {},
        onStopRequest(request, status) { Components.isSuccessCode(status) ? resolve(this.all) : reject(status); },
        onDataAvailable(request, stream, offset, count) {
          const bytes = Cc['@mozilla.org/binaryinputstream;1'].createInstance(Ci.nsIBinaryInputStream);
          bytes.setInputStream(stream);
          this.all += bytes.readBytes(count);
        },
      }, null, null, false, '', false));
    }
    async function read() {
      try {
        const found = [];
        for (const header of [...folder.messages]) found.push(btoa(await text(folder.getUriForMsg(header))));
        done(found);
      } catch (error) { done(String(error)); }
    }
    try {
      if (server.type == 'imap') folder.QueryInterface(Ci.nsIMsgImapMailFolder)
        .updateFolderWithListener(window.msgWindow ?? null, finished);
      else server.getNewMessages(inbox, window.msgWindow ?? null, finished);
    } catch (error) { done(String(error)); }
"""


@dataclass(frozen=True)
class Account:
    """`incoming`, `outgoing`: protocol, server, port, security, how one logs in, as whom."""

    name: str
    address: str
    incoming: tuple[str, str, int, int, int, str]
    outgoing: tuple[str, str, int, int, int, str]


@dataclass(frozen=True)
class Letter:
    to: str
    subject: str
    text: str
    files: tuple[Path, ...] = ()


class Thunderbird:
    def __init__(self, folder: Path, dns: str, authority: Path) -> None:
        self._folder, self._dns, self._authority = folder, dns, authority
        self._process: subprocess.Popen[bytes] | None = None
        self._marionette: Any = None

    def __enter__(self) -> Thunderbird:
        if why := missing():
            pytest.skip(why)
        if str(LIBRARIES) not in sys.path:
            sys.path.append(str(LIBRARIES))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # in what it imports
            from marionette_driver.marionette import Marionette

        profile = self._folder / "profile"
        profile.mkdir(parents=True)
        port = _free_port()
        wanted = {**_PREFERENCES, "marionette.port": port}
        lines = [f"user_pref({_js(key)}, {_js(value)});" for key, value in wanted.items()]
        (profile / "user.js").write_text("\n".join(lines) + "\n")
        resolver = self._folder / "resolv.conf"
        resolver.write_text(f"nameserver {self._dns}\n")
        # The names of the lab are told to this process alone.
        script = 'mount --bind "$0" /etc/resolv.conf && exec "$@"'
        program = [str(PROGRAM), "-no-remote", "-profile", str(profile), "-marionette"]
        with (self._folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [
                    "unshare",
                    "--mount",
                    "sh",
                    "-c",
                    script,
                    str(resolver),
                    *program,
                    "-remote-allow-system-access",
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, "MOZ_HEADLESS": "1", "HOME": str(self._folder), "LANG": "C.UTF-8"},
                start_new_session=True,
            )
        self._marionette = Marionette(host="127.0.0.1", port=port)
        self._marionette.raise_for_port(timeout=PATIENCE, check_process_status=False)
        self._marionette.start_session()
        self._marionette.set_context("chrome")
        self._marionette.timeout.script = PATIENCE
        for block in re.findall(
            r"-----BEGIN CERTIFICATE-----(.*?)-----END", self._authority.read_text(), re.S
        ):
            self._run(
                "Cc['@mozilla.org/security/x509certdb;1'].getService(Ci.nsIX509CertDB)"
                ".addCertFromBase64(arguments[0], 'C,C,C')",
                "".join(block.split()),
            )
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is None:
            return
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self._process.wait()

    def find(self, name: str, address: str) -> str:
        """All that it shows of the servers that it has found, as words in a row."""
        done = "const [done] = arguments; window.openAccountHub('MAIL').then(() => done(null), e => done(String(e)))"
        assert self._run_async(done) is None
        self._until("the Account Hub is open", lambda: self._views() == ["emailAutoConfigSubview"])
        self._fill("#realName", name)
        self._fill("#email", address)
        self._forward("emailConfigFoundSubview")
        shown: str = self._run(f"{_HUB} return hub.querySelector('#configFound').innerText")
        return " ".join(shown.split())

    def sign_in(self, password: str, *, pop: bool = False) -> Account:
        if pop:
            self._element("#pop3 input").click()
        self._forward("emailPasswordSubview")
        self._fill("#emailPasswordSubview input[type=password]", password)
        self._forward("emailAddedSuccessSubview")
        self._element("#emailFooter #forward").click()
        (made,) = self._run(_ACCOUNTS)
        return Account(made[0], made[1], tuple(made[2]), tuple(made[3]))

    def send(self, letter: Letter) -> None:
        self._run(_OPEN_COMPOSE, letter.to, letter.subject, letter.text, [str(path) for path in letter.files])
        self._until("the compose window can send", lambda: self._run(_SEND))
        self._until("the message is sent and its copy is filed", lambda: not self._run(_COMPOSING))

    def mail(self, folder: str = "INBOX") -> list[EmailMessage]:
        found = self._run_async(_FETCH, folder)
        assert isinstance(found, list), found
        policy = email.policy.default
        return [email.message_from_bytes(b64decode(each), policy=policy) for each in found]

    def arrived(self, subject: str, folder: str = "INBOX") -> EmailMessage:
        """The message with this subject, which is waited for."""
        found: list[EmailMessage] = []

        def look() -> bool:
            found[:] = [each for each in self.mail(folder) if each["Subject"] == subject]
            return bool(found)

        self._until(f"{subject!r} is in {folder}", look)
        assert len(found) == 1, [each["Message-ID"] for each in found]
        return found[0]

    def _views(self) -> list[str]:
        return list(self._run(_HUB + _VIEWS))

    def _forward(self, view: str) -> None:
        """To the next page, which is this one; else the words of the page that is there fail the test."""
        self._until("the button is ready", lambda: self._element("#emailFooter #forward").is_enabled())
        before = self._views()
        self._element("#emailFooter #forward").click()
        self._until(f"another page than {before}, with {view}", lambda: self._views() == [view])

    def _fill(self, field: str, text: str) -> None:
        element = self._element(field)
        element.clear()
        element.send_keys(text)

    def _element(self, selector: str) -> Any:
        return self._run(f"{_HUB} return hub.querySelector(arguments[0])", selector)

    def _run(self, script: str, *words: object) -> Any:
        return self._marionette.execute_script(script, script_args=list(words))

    def _run_async(self, script: str, *words: object) -> Any:
        return self._marionette.execute_async_script(script, script_args=list(words))

    def _until(self, what: str, condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not condition():
            if time.monotonic() > deadline:
                shown = self._run("return [...Services.wm.getEnumerator(null)].map(w => w.document.title)")
                pytest.fail(f"not within {PATIENCE:g} s: {what}; its windows: {shown}")
            time.sleep(0.2)


def missing() -> str:
    if not PROGRAM.exists():
        return "no Thunderbird here (apt-get install thunderbird)"
    if not LIBRARIES.is_dir():
        return "no marionette_driver here (make test-clients installs it)"
    return ""


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _js(value: object) -> str:
    return json.dumps(value)
