"""`make demo`, as somebody runs it who has just cloned mailprov; in a lab of its own name."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from mailprov import lab
from tests.lab.labs import lab_name, silent

ROOT = Path(__file__).resolve().parents[2]


def test_the_demo_ends_well_and_says_what_to_try(no_orphans: None) -> None:
    if os.geteuid():
        pytest.skip("needs root on Linux: it boots real systemd hosts")
    name = lab_name("demo")
    try:
        done = subprocess.run(
            [ROOT / "scripts/demo"],
            cwd=ROOT,
            env={**os.environ, "MAILPROV_DEMO_LAB": name},
            capture_output=True,
            text=True,
            check=False,
            timeout=1200,
        )
        assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
        assert "No changes" in done.stdout
        found = re.search(r"Probes: (.*)\.", done.stdout)
        assert found
        assert re.fullmatch(r"\d+ pass, \d+ skip", found[1]), found[1]
        assert "note: dns: PACC" not in done.stdout, "its record is published in the same run"
        assert f"lab ssh --name {name} mx1" in done.stdout
    finally:
        lab.down(name, silent)
