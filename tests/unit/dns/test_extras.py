"""A library that is not there: what to install, and nothing that looks like another mistake."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mailprov.dns import extras
from mailprov.errors import InputError


def test_a_library_that_is_missing_is_named_with_what_installs_it() -> None:
    with pytest.raises(InputError) as caught:
        extras.library("elsewhere", "no_such_library.client")
    assert str(caught.value) == (
        "dns.provider: elsewhere needs the Python library no_such_library, which is not installed. "
        "Run `pip install 'mailprov[elsewhere]'` in mailprov's environment."
    )


def test_what_the_library_itself_lacks_is_not_hidden(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "halflib.py").write_text("import no_such_library")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="no_such_library"):
        extras.library("elsewhere", "halflib")


def test_who_uses_none_of_them_loads_none_of_them() -> None:
    """Reading an inventory, and writing its zones by updates."""
    code = (
        "import sys; import mailprov.inventory.schema, mailprov.dns.publishing, mailprov.cli.dns\n"
        "from mailprov.dns import providers\n"
        "from mailprov.dns.providers.rfc2136.settings import Rfc2136Settings\n"
        "from mailprov.model.dns import DnsSettings\n"
        "providers.open_driver(DnsSettings(Rfc2136Settings('127.0.0.1')))\n"
        "print(sorted({'boto3', 'botocore', 'hcloud', 'octodns', 'requests', 'urllib3'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
