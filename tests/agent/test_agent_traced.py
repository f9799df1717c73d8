"""Mode trace: the file of a message is found by its header alone, and what a name server sends is read, or refused."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import pytest

from mailprov.agent.files import Tree
from mailprov.agent.traced import maildir, resolver

ID = "<mark@alpha.test>"


def put(root: Path, folder: str, name: str, text: str) -> Path:
    path = root / "var/vmail/alpha.test/ana/Maildir" / folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.replace("\n", "\r\n").encode())
    return path


def find(root: Path, message_id: str = ID, address: str = "ana@alpha.test") -> maildir.Found | None:
    return maildir.find(Tree(str(root)), "/var/vmail", address, message_id)


def test_the_file_is_found_in_its_folder_by_its_header(tmp_path: Path) -> None:
    put(tmp_path, "new", "1.other", f"Subject: x\n\nMessage-ID: {ID}\n")
    put(tmp_path, ".Junk/cur", "2.reply:2,S", f"Message-ID: <another@x>\nIn-Reply-To: {ID}\n\nx\n")
    assert find(tmp_path) is None

    path = put(tmp_path, ".Junk.Old/cur", "3.mine:2,", f"Subject: x\nMessage-ID: {ID}\n\nx\n")
    found = find(tmp_path)
    assert found is not None
    assert (found.folder, found.size) == ("Junk/Old", path.stat().st_size)
    assert found.path == "/var/vmail/alpha.test/ana/Maildir/.Junk.Old/cur/3.mine:2,"
    assert found.t == path.stat().st_ctime_ns // 1000
    assert find(tmp_path, "<mark@alpha.tes.>") is None, "no pattern"


def test_a_message_of_the_past_is_found_among_many_with_its_header(tmp_path: Path) -> None:
    """Newer ones are more than are looked at; no byte of the body is told."""
    received = "Received: from x\n\tby mx1 (Postfix) with ESMTP id 4AE2AFC462F"
    text = f"Return-Path: <a@x>\n{received}\nSubject: folded\n  twice\nMessage-ID: {ID}\n\nbody\n"
    mine = put(tmp_path, "cur", "1.mine:2,S", text)
    os.utime(mine, (1_700_000_000, 1_700_000_000))
    changed = mine.stat().st_ctime_ns
    later = 0
    while later < 310:  # the file system's clock ticks every few milliseconds
        path = put(tmp_path, "cur", f"2.{later}", "Subject: x\n\n")
        later += path.stat().st_ctime_ns > changed

    assert find(tmp_path) is None
    tree = Tree(str(tmp_path))
    found = maildir.find(tree, "/var/vmail", "ana@alpha.test", ID, near=1_700_000_060, headers=True)
    assert found is not None
    one = "Received: from x by mx1 (Postfix) with ESMTP id 4AE2AFC462F"
    assert found.headers == ("Return-Path: <a@x>", one, "Subject: folded twice", f"Message-ID: {ID}")
    assert found.t == 1_700_000_000_000_000, "when it came, and not when somebody last read it"


def test_no_link_is_followed_and_no_name_leads_out_of_the_mail_root(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    (outside / "new").mkdir(parents=True)
    (outside / "new/1.secret").write_text(f"Message-ID: {ID}\n\n")
    box = put(tmp_path, "new", "1.other", "Subject: x\n\n").parents[1]
    (box / ".Link").symlink_to(outside)
    (box / "new/2.link").symlink_to(outside / "new/1.secret")
    os.mkfifo(box / "new/3.pipe")

    assert find(tmp_path) is None
    for address in ("../../outside@x", "ana@../..", "@alpha.test", "ana@.", "..@alpha.test"):
        assert find(tmp_path, address=address) is None


def reply(answers: list[bytes], questions: int = 1) -> bytes:
    name = b"\x04beta\x04test\x00"
    head = struct.pack(">6H", 1, 0x8180, questions, len(answers), 0, 0)
    return head + (name + struct.pack(">2H", 15, 1)) * questions + b"".join(answers)


def test_an_answer_is_read_with_its_pointers() -> None:
    data = struct.pack(">H", 10) + b"\x03mx2\xc0\x0c"
    mx = b"\xc0\x0c" + struct.pack(">2HIH", 15, 1, 300, len(data)) + data
    assert resolver._read(reply([mx]), resolver.KINDS["MX"]) == ("NOERROR", ["10 mx2.beta.test"], 300)
    assert resolver._read(reply([mx]), resolver.KINDS["A"]) == ("NOERROR", [], 0)


def test_an_answer_that_leads_in_a_circle_ends() -> None:
    circle = b"\xc0\x1b" + struct.pack(">2HIH", 15, 1, 300, 2) + b"\x00\x00"
    with pytest.raises((ValueError, IndexError, struct.error)):
        resolver._read(reply([circle]), resolver.KINDS["MX"])


def test_without_a_name_server_there_is_no_answer(tmp_path: Path) -> None:
    assert resolver.ask(Tree(str(tmp_path)), "beta.test", "MX").answer == "NOSERVER"
