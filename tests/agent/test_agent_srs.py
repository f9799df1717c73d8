"""What a host tells of its sender rewriting: of the files that components/srs.py has written, and of no others."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest

from mailprov.agent import files
from mailprov.agent import srs as on_the_host
from mailprov.components import srs, versions


@pytest.mark.parametrize("version", [(1, 10), (2, 4, 1)])
@pytest.mark.parametrize("until", [None, datetime.date(2026, 12, 20)])
def test_what_is_written_is_told(
    tmp_path: Path, version: tuple[int, ...], until: datetime.date | None
) -> None:
    (file,) = srs.make("mx1.alpha.test", versions.version(*version), until).files
    real = tmp_path / file.path.lstrip("/")
    real.parent.mkdir(parents=True)
    real.write_text(file.content)
    told = {"length": 8, "short_until": str(until or "")}
    assert on_the_host.facts(files.Tree(str(tmp_path))) == told

    of_0_1_0 = "\n".join(
        line
        for line in file.content.replace("= 8", "= 4").replace("=8", "=4").splitlines()
        if "horter" not in line
    )
    real.write_text(of_0_1_0 + "\n")
    assert on_the_host.facts(files.Tree(str(tmp_path))) == {"length": 4, "short_until": ""}
    real.write_text(file.content.partition("\n")[2])  # not ours
    assert on_the_host.facts(files.Tree(str(tmp_path))) == {"length": 0, "short_until": ""}
