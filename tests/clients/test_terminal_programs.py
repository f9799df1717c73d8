"""mutt and Alpine with the settings of docs/programs.md, to the letter: they read and send, and a copy is in Sent.

What the page shows for a program is cut out of it, with the names of the host and the user in place of the page's own.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.clients.places import Place
from tests.clients.screen import Screen, begin

PAGE = Path(__file__).parents[2] / "docs/programs.md"
TEXT = "A line of text.\nAnd one with ñ.\n"


def settings(program: str, place: Place, user: str) -> str:
    """The block of the page below this program's heading."""
    _, _, section = PAGE.read_text().partition(f"\n### {program}\n")
    found = re.search(r"```text\n(.*?)```", section.partition("\n### ")[0], re.DOTALL)
    assert found, program
    text = found[1].replace("mx1.example.org", place.name).replace("example.org", place.domain)
    return text.replace("ana", user).replace("Ana", user.title())


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path


def test_mutt_reads_and_sends(place: Place, home: Path) -> None:
    if shutil.which("mutt") is None:
        pytest.skip("no mutt here (apt-get install mutt)")
    place.deliver("ben", "eva", "To mutt", TEXT)
    (home / ".muttrc").write_text(settings("mutt", place, "eva"))
    with Screen(home, place, ["mutt"]) as screen:
        screen.shows(f"Password for {place.of('eva')}@{place.name}:")
        screen.types(place.password("eva"))
        screen.presses("Enter")
        screen.shows(r"To mutt")
        screen.types("/To mutt")
        screen.presses("Enter", "Enter")
        assert "And one with ñ." in screen.shows("A line of text")
    file = home / "data.bin"
    file.write_bytes(bytes(range(256)) * 100)
    # It asks for the password once for IMAP and once for SMTP, and cannot where its input is the message.
    known = [f'set {key}_pass="{place.password("eva")}"' for key in ("imap", "smtp")]
    (home / ".muttrc").write_text("\n".join([settings("mutt", place, "eva"), *known, ""]))
    sent = ["mutt", "-s", "From mutt", "-a", str(file), "--", place.of("ben")]
    done = subprocess.run(
        [*begin(home, place), *sent], input=TEXT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr + done.stdout
    for message in (place.waits("ben", "INBOX", "From mutt"), place.waits("eva", "Sent", "From mutt")):
        body = message.get_body(("plain",))
        assert body is not None
        assert body.get_content().replace("\r\n", "\n").strip() == TEXT.strip()
        assert [part.get_content() for part in message.iter_attachments()] == [file.read_bytes()]
        assert place.of("eva") in message["From"]


def test_alpine_reads_and_sends(place: Place, home: Path) -> None:
    place.deliver("ben", "eva", "To Alpine", TEXT)
    (home / ".pinerc").write_text(settings("Alpine", place, "eva"))
    with Screen(home, place, ["alpine"]) as screen:
        screen.shows("This message will appear only once")
        screen.presses("E")
        screen.shows(r"USER: \S+ +ENTER PASSWORD:")
        screen.types(place.password("eva"))
        screen.presses("Enter")
        screen.shows(r"Folder: INBOX +\d+ Message")
        screen.presses("I")
        screen.shows("To Alpine")
        screen.presses("W")  # to the newest
        screen.shows("Whereis|Word")
        screen.types("To Alpine")
        screen.presses("Enter", "Enter")
        assert "And one with ñ." in screen.shows("A line of text")
        screen.presses("C")
        screen.shows(r"^Subject")
        screen.types(place.of("ben"))
        screen.presses("Enter", "Enter", "Enter")
        screen.types("From Alpine")
        screen.presses("Enter")
        screen.types("A line of text.")
        screen.presses("C-x")
        screen.shows("Send message")
        screen.types("y")
        screen.shows("ENTER PASSWORD:")
        screen.types(place.password("eva"))
        screen.presses("Enter")
        screen.shows("Message sent|Writing Fcc DONE")  # whichever stands there at that moment
    for message in (place.waits("ben", "INBOX", "From Alpine"), place.waits("eva", "Sent", "From Alpine")):
        assert message.get_content().strip() == "A line of text."
        assert place.of("eva") in message["From"]
