"""Packages that an interrupted installation left half installed: by a kill, a lost power, a full disk.

    finish(tree, options, say) -> bool     under dpkg's lock; whether something is broken that only apt-get can mend

dpkg configures what it had unpacked. A package that was torn while it was unpacked is fetched and unpacked once more,
for which nothing else need be in order. What then lacks another package is left, and the caller told. `options` select
apt's lists. Raises AgentError when a program is missing.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import stat
import tempfile
from typing import List, NamedTuple, Sequence

from mailprov.agent import commands, files
from mailprov.agent.apt import packages, policy_rc_d
from mailprov.agent.sentences import _

# It tells dpkg that its caller holds the frontend lock, dpkg(1).
_ENVIRONMENT = {**packages.ENVIRONMENT, "DPKG_FRONTEND_LOCKED": "1"}
_LONG = 1800  # seconds


def finish(tree: files.Tree, options: Sequence[str], say: packages.Say) -> bool:
    """Bring the installation to its end, as far as dpkg can."""
    if not _broken():
        return False
    say(_("finishing an interrupted package installation (dpkg --configure -a)"))
    policy_rc_d.hold(tree)
    try:
        torn = _torn()
        if torn:
            say(
                _("unpacking again what was unpacked only in part: {packages}").format(
                    packages=", ".join(torn)
                )
            )
            _unpack(torn, options)
        _dpkg("--configure", "-a")
    finally:
        policy_rc_d.drop(tree)
    return _broken()


def _broken() -> bool:
    return bool(commands.run(["dpkg", "--audit"]).out.strip())


def _torn() -> List[str]:
    """Packages that "must be reinstalled", as apt names them: libvbr2:amd64."""
    form = "${db:Status-Eflag} ${Package}:${Architecture}\n"
    rows = commands.run(["dpkg-query", "-W", "-f", form]).out.split("\n")
    # apt knows packages for all architectures by their name alone.
    return [row.split()[1].replace(":all", "") for row in rows if row.startswith("reinstreq ")]


def _unpack(names: Sequence[str], options: Sequence[str]) -> None:
    """What cannot be fetched stays as it is; the installation will name it.

    apt downloads as the user _apt, into a folder of that user, who can put another file there, or a link, at any time
    after apt has checked what it fetched. So what is unpacked is a copy in a folder of root's own, and only if it is
    what the signed package lists say.
    """
    download = ["apt-get", "-q", *options, "download"]
    expected = _expected(
        commands.run([*download, "--print-uris", *names], _LONG, env=packages.ENVIRONMENT).out
    )
    folder, own = (tempfile.mkdtemp(prefix="mailprov-packages-") for _each in range(2))
    os.chmod(folder, 0o755)  # apt must pass  # noqa: S103
    if files.ids_or_none("_apt", "root"):
        shutil.chown(folder, "_apt")
    try:
        script = 'cd "$1" && shift && exec "$@"'
        commands.run(["sh", "-c", script, "sh", folder, *download, *names], _LONG, env=packages.ENVIRONMENT)
        found = [os.path.join(own, one.name) for one in expected if _take(folder, own, one)]
        if found:
            _dpkg("--unpack", *found)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        shutil.rmtree(own, ignore_errors=True)


class _Expected(NamedTuple):
    name: str
    size: int
    algorithm: str
    digest: str


# apt-get(8), --print-uris: 'http://…/libvbr2_2.11_amd64.deb' libvbr2_2.11_amd64.deb 10320 SHA256:0f4c…
_URI = re.compile(r"'[^']*' ([A-Za-z0-9][^/\s]*\.deb) (\d+) (SHA256|SHA512):([0-9a-f]+)")


def _expected(printed: str) -> List[_Expected]:
    """The files that apt is about to fetch, as its lists have them."""
    found = map(_URI.fullmatch, printed.splitlines())
    return [_Expected(one[1], int(one[2]), one[3].lower(), one[4]) for one in found if one]


def _take(folder: str, own: str, wanted: _Expected) -> bool:
    """Copy a file into our own folder, if it is the one that was wanted; False otherwise."""
    try:
        source = os.open(
            os.path.join(folder, wanted.name), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        )
    except OSError:
        return False
    seen = os.fstat(source)
    if not stat.S_ISREG(seen.st_mode) or seen.st_size != wanted.size:
        os.close(source)
        return False
    with open(source, "rb") as data:
        digest = hashlib.new(wanted.algorithm)
        with open(os.path.join(own, wanted.name), "xb") as copy:
            left = wanted.size
            while left > 0:
                piece = data.read(min(left, 1 << 20))
                if not piece:
                    return False
                left -= len(piece)
                digest.update(piece)
                copy.write(piece)
    return digest.hexdigest() == wanted.digest


def _dpkg(*words: str) -> None:
    commands.run(["dpkg", "--force-confold", *words], _LONG, env=_ENVIRONMENT)
