"""A real Thunderbird sets itself up from name and password alone, by the file that the host serves; it sends and reads.

One program reads by IMAP, another one of another user by POP; both begin with an empty profile. A third one meets a
file that is wrong.
"""

from __future__ import annotations

from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path

import pytest

from tests.clients.places import Place
from tests.clients.thunderbird import BY_PASSWORD, SSL_TLS, STARTTLS, Letter, Thunderbird

FILE = "config-v1.1.xml"
TEXT = "Good morning,\n\nthe figures are attached: 12 € for piñatas.\n.\nA line of one dot stands above.\n"
BYTES = bytes(range(256)) * 400


@pytest.fixture(scope="module")
def folders(place: Place, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp(place.host)


@pytest.fixture(scope="module")
def online(place: Place, folders: Path) -> Iterator[Thunderbird]:
    with Thunderbird(folders / "online", place.dns, place.authority) as program:
        yield program


@pytest.fixture(scope="module")
def offline(place: Place, folders: Path) -> Iterator[Thunderbird]:
    with Thunderbird(folders / "offline", place.dns, place.authority) as program:
        yield program


def attached(message: EmailMessage) -> dict[str | None, bytes]:
    return {part.get_filename(): part.get_content() for part in message.iter_attachments()}


def written(message: EmailMessage) -> str:
    body = message.get_body(("plain",))
    assert body is not None
    return str(body.get_content()).replace("\r\n", "\n")


def test_name_and_password_are_enough_and_the_settings_come_from_our_file(
    place: Place, online: Thunderbird
) -> None:
    before = len(place.asked())
    shown = online.find("Ana Álvarez", place.of("ana"))
    made = online.sign_in(place.password("ana"))
    assert f"SERVER: {place.name} PORT: 993" in shown
    assert (made.name, made.address) == ("Ana Álvarez", place.of("ana"))
    assert made.incoming == ("imap", place.name, 993, SSL_TLS, BY_PASSWORD, place.of("ana"))
    assert made.outgoing == ("smtp", place.name, 465, SSL_TLS, BY_PASSWORD, place.of("ana"))
    asked = place.asked()[before:]
    fetched = [
        line for line in asked if f"autoconfig.{place.domain}/mail/{FILE}" in line and "Thunderbird/" in line
    ]
    assert fetched, asked
    assert all('" 200 "' in line for line in fetched), fetched
    assert not any(place.of("ana") in line for line in asked), "the log has no user's address"


def test_the_same_by_pop(place: Place, offline: Thunderbird) -> None:
    offline.find("Ben", place.of("ben"))
    made = offline.sign_in(place.password("ben"), pop=True)
    assert made.incoming == ("pop3", place.name, 995, SSL_TLS, BY_PASSWORD, place.of("ben"))
    assert made.outgoing == ("smtp", place.name, 465, SSL_TLS, BY_PASSWORD, place.of("ben"))


def test_what_one_sends_the_other_reads_whole_and_a_copy_is_in_sent(
    place: Place, online: Thunderbird, offline: Thunderbird, folders: Path
) -> None:
    file = folders / "Año 2026.bin"
    file.write_bytes(BYTES)
    online.send(Letter(place.of("ben"), "Figures: ñ and €", TEXT, (file,)))
    copies = [place.waits("ana", "Sent", "Figures: ñ and €"), online.arrived("Figures: ñ and €", "Sent")]
    for message in (offline.arrived("Figures: ñ and €"), *copies):
        assert written(message).rstrip() == TEXT.rstrip()
        assert attached(message) == {file.name: BYTES}
        assert (message["From"], message["To"]) == (f"Ana Álvarez <{place.of('ana')}>", place.of("ben"))


def test_the_answer_of_who_reads_by_pop_is_read_by_imap(
    place: Place, online: Thunderbird, offline: Thunderbird, folders: Path
) -> None:
    file = folders / "answer.txt"
    file.write_text("a text as an attachment\n")
    offline.send(Letter(place.of("ana"), "Answer", TEXT, (file,)))
    message = online.arrived("Answer")
    assert written(message).rstrip() == TEXT.rstrip()
    assert attached(message)["answer.txt"] == file.read_text()


def test_with_another_file_it_is_set_up_otherwise(place: Place, folders: Path) -> None:
    """So it is the file that decides, and not what a program guesses: it would find port 993 by itself."""
    other = "0,/>993</s//>143</; 0,/>SSL</s//>STARTTLS</"
    with (
        place.served_otherwise(FILE, other),
        Thunderbird(folders / "led", place.dns, place.authority) as program,
    ):
        shown = program.find("Eva", place.of("eva"))
        assert f"SERVER: {place.name} PORT: 143" in shown
        made = program.sign_in(place.password("eva"))
    assert made.incoming == ("imap", place.name, 143, STARTTLS, BY_PASSWORD, place.of("eva"))
