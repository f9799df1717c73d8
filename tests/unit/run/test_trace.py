"""`mailprov trace` before and after the hosts: where it begins, the message, and what the command ends with."""

from __future__ import annotations

import email
import email.policy
from pathlib import Path

import pytest

from mailprov.errors import InputError
from mailprov.inventory import load
from mailprov.model.inventory import Inventory
from mailprov.model.trace import Arrival, Outcome, Trace
from mailprov.run.trace import exit_code
from mailprov.run.trace_entrance import Options, entrance
from mailprov.run.trace_letter import Letter, make

HASH = "{SHA512-CRYPT}$6$" + "a" * 8 + "$" + "b" * 86
INVENTORY = f"""\
hosts:
  mx1: {{address: 192.0.2.1, fqdn: mx1.alpha.test}}
  mx2: {{address: 192.0.2.2, fqdn: mx2.beta.test}}
domains:
  alpha.test:
    hosts: [mx1]
    accounts:
      ana: {{password: {{env: PATH}}}}
      hashed: {{password: {{hash: '{HASH}'}}}}
  beta.test:
    hosts: [mx2]
    accounts: {{eva: {{password: {{env: PATH}}}}}}
"""


@pytest.fixture
def inventory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Inventory:
    monkeypatch.setenv("PATH", "a password that is long enough")
    path = tmp_path / "mail.yml"
    path.write_text(INVENTORY)
    return load(path)


def begins(inventory: Inventory, sender: str, to: str, password: str | None = None) -> tuple[str, int, str]:
    found = entrance(inventory, Letter(sender, (to,)), Options(password))
    return found.host.name, found.port.number, found.login[0] if found.login else ""


def test_who_has_a_password_sends_as_a_mail_program_does(inventory: Inventory) -> None:
    assert begins(inventory, "ana@alpha.test", "x@else.test") == ("mx1", 587, "ana@alpha.test")
    assert begins(inventory, "hashed@alpha.test", "x@else.test", "asked") == ("mx1", 587, "hashed@alpha.test")


def test_others_begin_at_port_25_of_the_recipient_and_it_is_said_why(inventory: Inventory) -> None:
    assert begins(inventory, "x@else.test", "eva@beta.test") == ("mx2", 25, "")
    found = entrance(inventory, Letter("hashed@alpha.test", ("ana@alpha.test",)), Options())
    assert (found.host.name, found.port.number, found.login) == ("mx1", 25, None)
    assert "is not known here (--password asks for it)" in found.why


@pytest.mark.parametrize(
    ("sender", "to", "what"),
    [
        ("nobody@alpha.test", "ana@alpha.test", "is no account of alpha.test"),
        ("x@else.test", "y@else.test", "neither the sender nor a recipient can be followed"),
        ("hashed@alpha.test", "y@else.test", "neither the sender nor a recipient can be followed"),
    ],
)
def test_what_nobody_could_see_is_refused_before_anything_is_sent(
    inventory: Inventory, sender: str, to: str, what: str
) -> None:
    with pytest.raises(InputError, match=what):
        begins(inventory, sender, to)


def test_the_message_is_marked_and_bcc_stands_nowhere() -> None:
    letter = Letter(
        "ana@a.test", ("b@b.test",), ("c@c.test",), ("d@d.test",), (("ä.bin", bytes(range(256))),)
    )
    made = make(letter)
    read = email.message_from_bytes(made.data, policy=email.policy.default)

    assert letter.recipients == ("b@b.test", "c@c.test", "d@d.test")
    assert b"d@d.test" not in made.data
    assert read["Message-ID"] == made.message_id == f"<{made.mark}@a.test>"
    assert read["X-Mailprov-Probe"] == made.mark
    assert read["Auto-Submitted"] == "auto-generated"
    (attached,) = read.iter_attachments()
    assert (attached.get_filename(), attached.get_content()) == ("ä.bin", bytes(range(256)))
    assert all(len(line) <= 998 and line.isascii() for line in made.data.split(b"\r\n"))
    assert b"\n" not in made.data.replace(b"\r\n", b"")
    assert make(letter).mark != made.mark


@pytest.mark.parametrize(
    ("outcomes", "code"),
    [
        (["delivered"], 0),
        (["delivered", "handed on"], 0),
        (["delivered", "deferred"], 3),
        (["unknown"], 3),
        (["held"], 3),
        (["delivered", "bounced"], 1),
        (["deferred", "refused"], 1),
        (["deleted"], 1),
        ([], 3),
    ],
)
def test_the_exit_code_is_the_worst_copys(outcomes: list[str], code: int) -> None:
    arrivals = tuple(Arrival("a@x", "a@x", Outcome(each), "") for each in outcomes)
    assert exit_code(Trace("<a@x>", "b@x", ("a@x",), 0.0, (), arrivals)) == code
