"""Every broken inventory in tests/bad gives exactly the text beside it: NAME.yml (or .bin) and NAME.txt."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from mailprov.errors import InputError
from mailprov.inventory import load

BAD = Path(__file__).resolve().parents[2] / "bad"
BROKEN = sorted(path for path in BAD.iterdir() if path.suffix != ".txt")
SECRET = "hunter2"  # every password in tests/bad, whatever way it gets there


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANA_PASSWORD", f"not base 64 {SECRET}")
    monkeypatch.setenv("P", SECRET)
    monkeypatch.setenv("MAILPROV_TEST_EMPTY", "")
    monkeypatch.delenv("MAILPROV_TEST_UNSET", raising=False)


@pytest.mark.parametrize("path", BROKEN, ids=lambda path: path.name)
def test_a_broken_inventory_gives_exactly_the_text_beside_it(path: Path) -> None:
    began = time.process_time()
    with pytest.raises(InputError) as caught:
        load(path)
    assert time.process_time() - began < 20
    said = str(caught.value).replace(f"{BAD}/", "")
    assert said + "\n" == path.with_suffix(".txt").read_text()
    assert SECRET not in said
    assert caught.value.exit_code == 2


def test_every_text_has_its_inventory() -> None:
    assert len(BROKEN) >= 30
    assert sorted(path.with_suffix(".txt") for path in BROKEN) == sorted(BAD.glob("*.txt"))
