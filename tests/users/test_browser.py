"""The webmail as a person uses it, in a real browser: on a desktop in English, on a phone in Spanish.

Log in, a wrong password, read, send with an attachment, a filter, a vacation answer, log out and back. What each page
looks like is in build/screenshots.
"""

from __future__ import annotations

import contextlib
import imaplib
import os
import re
import smtplib
import ssl
from collections.abc import Callable
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from mailprov import lab
from tests.lab.labs import run_on, wait_until
from tests.users.browser import DESKTOP, PHONE, Browser, Size
from tests.users.conftest import LONG, RELEASES
from tests.users.webmail import Site, inventory, provisioned

# Every octet, the ends of lines of all kinds, dots alone on a line; 300 KB.
ATTACHMENT = (bytes(range(256)) + b"\r\n.\r\n\n\r\rFrom \x00\xff") * 1100
NAME = "año <1> & 'dos'.pdf"


class Case(NamedTuple):
    """`user`: of whom nobody else makes filters."""

    size: Size
    language: str
    user: str
    wrong: str
    sent: str
    saved: str
    not_theirs: str


CASES = [
    Case(
        DESKTOP,
        "en-US",
        "ana",
        "Login failed.",
        "Message sent successfully.",
        "saved",
        "by the administrator",
    ),
    Case(
        PHONE,
        "es",
        "zoe",
        "Contraseña o nombre de usuario incorrecto.",
        "Mensaje enviado",
        "guardad",
        "la establece el administrador",
    ),
]


@pytest.fixture(scope="module")
def hosts(ready_lab_factory: Callable[[str], lab.Lab]) -> lab.Lab:
    return provisioned(ready_lab_factory, inventory(RELEASES))


@pytest.fixture(params=RELEASES)
def site(request: pytest.FixtureRequest, hosts: lab.Lab) -> Site:
    return Site(hosts, request.param)


class Person:
    """Somebody at a browser; `shot` is what the pictures are called."""

    def __init__(self, site: Site, browser: Callable[..., Browser], case: Case) -> None:
        self.site, self.case, self.url = site, case, f"https://{site.name}/"
        self.page = browser(
            names={site.name: site.address},
            authorities=(site.lab.ca_file,),
            size=case.size,
            language=case.language,
        )
        self.seen: list[str] = []

    def shot(self, what: str) -> None:
        self.page.screenshot(f"webmail-{self.site.release}-{what}")
        self.seen += self.page.console()

    def go(self, query: str) -> None:
        self.page.forget()
        self.page.open(f"{self.url}?{query}")

    def type(self, css: str, text: str) -> None:
        field = self.page.find(css)
        field.clear()
        field.send_keys(text)

    def choose(self, css: str, value: str) -> None:
        """By its value, as a click on the list does; the skin puts a list of its own over it."""
        script = """
            const field = document.querySelector(arguments[0]);
            field.value = arguments[1];
            field.dispatchEvent(new Event('change', {bubbles: true}));
            return field.value;
        """
        self.page.find(css)
        assert self.page.driver.execute_script(script, css, value) == value

    def click(self, css: str) -> None:
        """What lies a moment over it, such as a message that fades, is waited for."""
        from selenium.common.exceptions import ElementClickInterceptedException

        def clicked() -> bool:
            with contextlib.suppress(ElementClickInterceptedException):
                self.page.find(css).click()
                return True
            return False

        self.page.wait(clicked, f"{css} can be clicked")

    def reads(self, text: str) -> None:
        """In the page, for a moment at least, or in the frame that a message is shown in."""

        def shown() -> bool:
            if text in self.page.text() or text in self.page.said():
                return True
            for frame in self.page.driver.find_elements("css selector", "iframe"):
                self.page.driver.switch_to.frame(frame)
                try:
                    if text in self.page.text():
                        return True
                finally:
                    self.page.driver.switch_to.default_content()
            return False

        self.page.wait(shown, f"{text!r} is shown")

    def log_in(self, user: str, password: str) -> None:
        self.type("#rcmloginuser", user)
        self.type("#rcmloginpwd", password)
        self.click("#rcmloginsubmit")


def sent_by_luis(site: Site, to: str, subject: str, text: str) -> None:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = f"luis@{site.domain}", f"{to}@{site.domain}", subject
    message.set_content(text)
    context = ssl.create_default_context(cafile=str(site.lab.ca_file))
    context.check_hostname = False
    with smtplib.SMTP_SSL(site.address, context=context, timeout=120) as client:
        client.login(f"luis@{site.domain}", site.password("luis"))
        client.send_message(message)


def arrived(site: Site, user: str, subject: str, folder: str = "INBOX") -> Any:
    """The newest message with this in its subject; waits for it."""
    found: list[Any] = []

    def there() -> bool:
        client = site.imap(user)
        try:
            client.select(folder, readonly=True)
            numbers = client.search(None, "SUBJECT", f'"{subject}"')[1][0].split()
            if numbers:
                raw = client.fetch(numbers[-1], "(BODY.PEEK[])")[1][0][1]
                found.append(message_from_bytes(raw, policy=policy.default))
            return bool(numbers)
        finally:
            client.logout()

    wait_until(there, f"{subject!r} is in {folder} of {user}")
    return found[0]


@pytest.mark.parametrize("case", CASES if LONG else CASES[1:], ids=lambda case: case.size.name)
def test_a_person_uses_the_webmail(
    site: Site, browser: Callable[..., Browser], case: Case, tmp_path: Path
) -> None:
    person = Person(site, browser, case)
    page, user = person.page, case.user
    person.go("")
    person.shot("login")
    assert page.too_wide() == []
    person.log_in(user, "not the password")
    person.reads(case.wrong)
    person.shot("wrong-password")
    person.log_in(user, site.password(user))  # the address without its domain is enough
    page.wait(lambda: "_task=mail" in page.driver.current_url, "the mailbox is shown")

    word = f"Paella on {case.size.name}"
    sent_by_luis(site, user, word, "Who brings the rice? ¿Quién trae el arroz?")
    arrived(site, user, word)
    person.go("_task=mail&_mbox=INBOX")
    page.wait(lambda: word in page.text(), "the message is in the list")
    person.shot("inbox")
    person.click("#messagelist td.subject a")
    person.reads("¿Quién trae el arroz?")
    person.shot("message")

    _sends(person, tmp_path / NAME, f"With a file from {case.size.name}")
    _filters(person)
    _is_on_vacation(person)

    # The administrator's, and not to be changed here.
    person.go("_task=settings&_action=plugin.password")
    person.reads(case.not_theirs)
    person.shot("password-of-the-inventory")

    person.go("_task=mail&_mbox=INBOX")
    page.wait(lambda: word in page.text(), "the message is in the list")
    page.driver.execute_script("document.querySelector('a.button-logout, a.logout').click()")
    page.find("#rcmloginuser")
    person.shot("logged-out")
    page.driver.back()
    page.wait(
        lambda: page.driver.execute_script("return document.readyState") == "complete", "the page before"
    )
    assert word not in page.text()
    person.shot("back")
    person.go("_task=mail&_mbox=INBOX")
    page.find("#rcmloginuser")
    assert word not in page.driver.page_source
    person.shot("end")
    assert [each for each in person.seen if "Content Security Policy" in each or "Refused to" in each] == []


def test_who_owns_the_password_changes_it_and_ends_all_other_sessions(
    site: Site, browser: Callable[..., Browser]
) -> None:
    case = CASES[0]._replace(user="eva")
    person, elsewhere = Person(site, browser, case), Person(site, browser, case._replace(size=PHONE))
    first, new = site.password("eva"), "Nueve gatos 'y' <dos> perros?"
    for each in (person, elsewhere):
        each.go("")
        each.log_in("eva", first)
        each.page.wait(lambda each=each: "_task=mail" in each.page.driver.current_url, "the mailbox is shown")
    program = site.imap("eva")
    for now, word, again, said in (
        (new, new, new, "Current password incorrect."),
        (first, new, f"{new}?", "Passwords do not match"),
        (first, "short", "short", "12 characters long"),
        (
            first,
            f"eva@{site.domain}",
            f"eva@{site.domain}",
            "Could not save new password. The new password is too easy to guess.",
        ),
        (first, new, new, "Successfully saved."),
    ):
        person.go("_task=settings&_action=plugin.password")
        for field, text in (("curpasswd", now), ("newpasswd", word), ("confpasswd", again)):
            person.type(f"#{field}", text)
        person.click(".formbuttons .submit")
        person.reads(said)
        person.shot(f"password-{said.split()[0]}")
    person.go("_task=mail&_mbox=INBOX")
    page = person.page
    page.find("#mailboxlist")
    person.shot("new-password")
    # The helper knows whose browser it was.
    log = run_on(site.lab, site.host, "journalctl -q -o cat -t mailprov-passwd")
    assert re.search(
        rf"^eva@{site.domain}, from (?!local)\S+ by mailprov-webmail: the password was changed$", log, re.M
    )
    elsewhere.go("_task=mail&_mbox=INBOX")
    elsewhere.page.find("#rcmloginuser")
    elsewhere.shot("ended")

    def over() -> bool:
        try:
            program.noop()
        except (imaplib.IMAP4.error, OSError):
            return True
        return False

    wait_until(over, "the mail program's session has ended")
    with pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"):
        site.imap("eva", password=first)
    site.imap("eva", password=new).logout()

    # In Spanish, by the same program.
    person.go("_task=settings&_action=plugin.password")
    page.driver.execute_script(
        "fetch('?_task=settings&_action=save-prefs', {method: 'POST', body: new URLSearchParams({_token: "
        "rcmail.env.request_token, _section: 'general', _language: 'es_ES'})}).then(() => document.title = 'saved')"
    )
    page.wait(lambda: page.driver.title == "saved", "the language is set")
    person.go("_task=settings&_action=plugin.password")
    for field, text in (("curpasswd", new), ("newpasswd", "a" * 40), ("confpasswd", "a" * 40)):
        person.type(f"#{field}", text)
    person.click(".formbuttons .submit")
    person.reads("La contraseña nueva es demasiado fácil de adivinar.")
    person.shot("password-spanish")


def _sends(person: Person, file: Path, subject: str) -> None:
    page, site = person.page, person.site
    file.write_bytes(ATTACHMENT)
    person.go("_task=mail&_action=compose")
    person.type("#compose_to .recipient-input input, ul.recipient-input input", f"luis@{site.domain},")
    person.type("#compose-subject", subject)
    person.type("#composebody", "Aquí está.\n.\nFrom me")
    page.driver.find_element("css selector", "#uploadformInput").send_keys(str(file))
    done = "#attachment-list li:not(.uploading) a"  # on a phone behind a button
    page.wait(lambda: page.driver.find_elements("css selector", done), "the file is there")
    person.shot("compose")
    person.click("button.send, a.send")
    person.reads(person.case.sent)
    # Then it goes back to the list by itself.
    page.wait(lambda: "_action=compose" not in page.driver.current_url, "the mailbox is shown again")
    person.shot("sent")
    for who, folder in (("luis", "INBOX"), (person.case.user, "Sent")):
        message = arrived(site, who, subject, folder)
        lines = (
            message.get_body().get_content().splitlines()
        )  # a space before "From" is format=flowed (RFC 3676)
        assert [line.strip() for line in lines] == ["Aquí está.", ".", "From me"]
        (attached,) = message.iter_attachments()
        assert attached.get_filename() == NAME
        assert attached.get_payload(decode=True) == ATTACHMENT


def _filters(person: Person) -> None:
    page, user = person.page, person.case.user
    person.go("_task=settings&_action=plugin.managesieve")
    page.driver.execute_script("rcmail.command('plugin.managesieve-add')")
    page.driver.switch_to.frame(page.find("#filter-box, iframe[name=filter-box]"))
    name = f"Facturas {os.getpid()}"
    person.type("input[name=_name]", name)
    person.choose("#header0", "subject")
    person.choose("#rule_op0", "contains")
    person.type("input[name^='_rule_target[0]']", "Factura")
    person.choose("#action_type0", "fileinto")
    person.choose("#action_mailbox0", "Archive")
    page.driver.execute_script("document.querySelector('button.submit').click()")
    page.driver.switch_to.default_content()
    page.wait(lambda: name in page.driver.page_source, "the filter is in the list")
    person.reads(person.case.saved)
    person.shot("filters")
    sent_by_luis(person.site, user, f"Factura 7 {user}", "Por favor")
    arrived(person.site, user, f"Factura 7 {user}", "Archive")


def _is_on_vacation(person: Person) -> None:
    page, user = person.page, person.case.user
    person.go("_task=settings&_action=plugin.managesieve-vacation")
    subject = f"De viaje ({user})"
    person.type("#vacation_subject", subject)
    person.type("#vacation_reason", "Vuelvo el martes, después de la feria.")
    person.choose("#vacation_status", "on")
    person.shot("vacation")
    page.driver.execute_script("document.querySelector('button.submit').click()")
    person.reads(person.case.saved)
    sent_by_luis(person.site, user, f"Are you there, {user}?", "Hello")
    answer = arrived(person.site, "luis", subject)
    assert "Vuelvo el martes, después de la feria." in answer.get_body().get_content()
    assert answer["From"].addresses[0].addr_spec == f"{user}@{person.site.domain}"
