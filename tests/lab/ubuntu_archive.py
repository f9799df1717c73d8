"""A package archive on loopback, laid out and signed as Ubuntu's: dists/noble{,-updates,-security} × main, universe.

    Archive(folder, root)    builds it, of the packages that a minimal Debian has (`root`: a lab's root of one)
    .keyring                 whose signature it has
    .sign(key)               signs anew: with the archive's own key, with another one, or not at all
    .serve()                 a `with` block in which it answers; gives its address
    .asked                   the paths that were asked for

Suites and components are told apart by packages of its own, `lab-main` and `lab-universe`: version 1 is in the release,
2 in its updates, 3 in its security updates.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

SUITES = ("noble", "noble-updates", "noble-security")
COMPONENTS = ("main", "universe")
OWN, OTHER = "archive@ubuntu.test", "stranger@else.test"


class Archive:
    def __init__(self, folder: Path, root: Path) -> None:
        self.tree = folder / "web/ubuntu"
        self.asked: list[str] = []
        self.keyring = folder / "ubuntu.gpg"
        self.strangers = folder / "stranger.gpg"
        self._home = folder / "gnupg"
        self._home.mkdir(mode=0o700)
        for name, ring in ((OWN, self.keyring), (OTHER, self.strangers)):
            self._gpg("--quick-generate-key", name, "ed25519", "sign", "never")
            self._gpg("--output", str(ring), "--export", name)
        architecture = _out("dpkg", "--print-architecture").strip()
        indexes = {(suite, component): "" for suite in SUITES for component in COMPONENTS}
        indexes["noble", "main"] = self._debian(folder / "debs", root)
        for version, suite in enumerate(SUITES, 1):
            for component in COMPONENTS:
                indexes[suite, component] += self._own(folder, component, f"lab-{component}", str(version))
        for (suite, component), text in indexes.items():
            place = self.tree / f"dists/{suite}/{component}/binary-{architecture}"
            place.mkdir(parents=True)
            (place / "Packages").write_text(text)
        self._architecture = architecture
        self.sign()

    def sign(self, key: str | None = OWN) -> None:
        """Every suite's InRelease; without a key a Release that nobody has signed."""
        for suite in SUITES:
            place = self.tree / "dists" / suite
            for old in ("InRelease", "Release"):
                (place / old).unlink(missing_ok=True)
            sums = [
                f" {hashlib.sha256(body := path.read_bytes()).hexdigest()} {len(body)} {path.relative_to(place)}"
                for path in sorted(place.glob("*/*/Packages"))
            ]
            (place / "Release").write_text(
                f"Origin: Ubuntu\nLabel: Ubuntu\nSuite: {suite}\nVersion: 24.04\nCodename: noble\n"
                f"Date: Thu, 25 Apr 2024 15:10:33 UTC\nArchitectures: {self._architecture}\n"
                f"Components: {' '.join(COMPONENTS)}\nSHA256:\n" + "\n".join(sums) + "\n"
            )
            if key:
                self._gpg(
                    "--local-user",
                    key,
                    "--clear-sign",
                    "-o",
                    str(place / "InRelease"),
                    str(place / "Release"),
                )
                (place / "Release").unlink()

    @contextmanager
    def serve(self) -> Iterator[str]:
        """Its address, as an archive's is given: http://127.0.0.1:PORT/ubuntu."""
        asked = self.asked

        class Handler(SimpleHTTPRequestHandler):
            def log_message(self, *words: Any) -> None:
                asked.append(self.path)

        server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(self.tree.parent)))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/ubuntu"
        finally:
            server.shutdown()
            server.server_close()

    def _debian(self, debs: Path, root: Path) -> str:
        """The packages of a minimal system, fetched as the root's own apt would; their stanzas for the index."""
        (debs / "partial").mkdir(parents=True)
        nothing = debs / "status"
        nothing.touch()
        _out(
            "apt-get", "-qy", "--no-install-recommends", "--download-only",
            "-o", f"Dir::State::Lists={root}/var/lib/apt/lists", "-o", f"Dir::State::status={nothing}",
            "-o", f"Dir::Etc::sourcelist={root}/etc/apt/sources.list", "-o", "Dir::Etc::sourceparts=/dev/null",
            "-o", f"Dir::Cache::archives={debs}", "-o", "Dir::Cache::pkgcache=", "-o", "Dir::Cache::srcpkgcache=",
            "-o", "Debug::NoLocking=true", "-o", "APT::Sandbox::User=root",
            "install", "?essential", "apt", "gpgv",
        )  # fmt: skip
        return "".join(self._put(path, "main") for path in sorted(debs.glob("*.deb")))

    def _own(self, folder: Path, component: str, name: str, version: str) -> str:
        made = folder / "made"
        (made / "DEBIAN").mkdir(parents=True, exist_ok=True)
        (made / "DEBIAN/control").write_text(
            f"Package: {name}\nVersion: {version}\nArchitecture: all\nMaintainer: lab <lab@alpha.test>\n"
            "Description: tells where it is from\n"
        )
        deb = folder / f"{name}_{version}.deb"
        _out("dpkg-deb", "--root-owner-group", "--build", str(made), str(deb))
        return self._put(deb, component)

    def _put(self, deb: Path, component: str) -> str:
        place = self.tree / "pool" / component / deb.name.replace("%3a", "-")
        place.parent.mkdir(parents=True, exist_ok=True)
        deb.rename(place)
        body = place.read_bytes()
        return (
            f"{_out('dpkg-deb', '--field', str(place)).rstrip()}\nFilename: {place.relative_to(self.tree)}\n"
            f"Size: {len(body)}\nSHA256: {hashlib.sha256(body).hexdigest()}\n\n"
        )

    def _gpg(self, *words: str) -> None:
        _out("gpg", "--batch", "--quiet", "--no-autostart" if "--export" in words else "--yes", "--passphrase", "",
             "--homedir", str(self._home), *words)  # fmt: skip


def _out(*argv: str) -> str:
    done = subprocess.run(
        argv, capture_output=True, text=True, env={**os.environ, "LC_ALL": "C"}, check=False
    )
    assert done.returncode == 0, f"{argv}: {done.stderr}"
    return done.stdout
