"""What this machine must have to run a lab, and how its tools are called.

    require_machine   raises LabError unless this is Linux, we are root, and the tools are there
    run_tool          runs one tool and gives its standard output
    environment       the environment all tools run in

Raises LabError.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from mailprov.errors import LabError
from mailprov.i18n import _
from mailprov.model.events import Emit, Progress

# tool → the Debian package that has it (Ubuntu's names are the same)
TOOLS = {
    "mmdebstrap": "mmdebstrap",
    "systemd-nspawn": "systemd-container",
    "nft": "nftables",
    "ip": "iproute2",
    "ssh": "openssh-client",
    "mount": "mount",
    "nsenter": "util-linux",
    "unshare": "util-linux",
    "setpriv": "util-linux",
}
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_SBIN = "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin"


def environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """Our environment with C locale, no questions, and the sbin directories in PATH."""
    return {
        **os.environ,
        "PATH": f"{os.environ.get('PATH', '')}:{_SBIN}".lstrip(":"),
        "LC_ALL": "C",
        "DEBIAN_FRONTEND": "noninteractive",
        **(more or {}),
    }


def run_tool(
    argv: Sequence[str], *, stdin: str | None = None, timeout: float = 60, where: str = "lab"
) -> str:
    """The tool's standard output. Raises LabError with the last line of its standard error when it fails."""
    try:
        done = subprocess.run(
            list(argv),
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
            env=environment(),
            check=False,
        )
    except FileNotFoundError as error:
        raise LabError(
            where, _("{program} is not installed").format(program=argv[0]), _install_advice([argv[0]])
        ) from error
    except subprocess.TimeoutExpired as error:
        raise LabError(
            where, _("{program} did not end within {seconds:.0f} s").format(program=argv[0], seconds=timeout)
        ) from error
    if done.returncode != 0:
        raise LabError(
            where,
            _("`{command}` failed: {line}").format(
                command=" ".join(argv[:4]), line=telling_line(done.stderr or done.stdout)
            ),
        )
    return done.stdout


def telling_line(text: str) -> str:
    """The line that tells most: the first with `E:`, which is the cause of the rest, or else the last."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    telling = [line for line in lines if line.startswith(("E:", "error:", "Error:"))]
    return (telling[:1] or lines[-1:] or [_("it said nothing")])[0]


def require_machine(emit: Emit, *, install: bool = True) -> None:
    """Raises LabError unless a lab can run here.

    With `install`, missing Debian packages are installed where there is apt-get (and we are root, which
    comes first).
    """
    if platform.system() != "Linux":
        raise LabError(
            "lab",
            _("a lab needs Linux, and this is {system}").format(system=platform.system()),
            _("Use a Linux machine or a virtual machine with root"),
        )
    if os.geteuid() != 0:
        raise LabError(
            "lab",
            _("a lab needs root, for it mounts file systems and makes networks"),
            _("Run the same command with sudo"),
        )
    missing = missing_tools()
    if not missing:
        return
    if not install or shutil.which("apt-get", path=environment()["PATH"]) is None:
        raise LabError(
            "lab",
            _("{packages} missing on this machine").format(packages=", ".join(missing)),
            _install_advice(missing),
        )
    packages = sorted({TOOLS.get(tool, "debian-archive-keyring") for tool in missing})
    emit(Progress("lab", _("installing {packages} on this machine").format(packages=", ".join(packages))))
    install_argv = ["apt-get", "install", "-qy", "--no-install-recommends", *packages]
    try:
        run_tool(install_argv, timeout=900)
    except LabError:  # most often package lists that are old or not there at all
        run_tool(["apt-get", "update", "-q"], timeout=600)
        run_tool(install_argv, timeout=900)
    still = missing_tools()
    if still:
        raise LabError(
            "lab",
            _("{packages} still missing after {command}").format(
                packages=", ".join(still), command=" ".join(install_argv)
            ),
            _install_advice(still),
        )


def missing_tools() -> list[str]:
    """The tools a lab needs that are not here, and the name of Debian's keyring when that is not here."""
    path = environment()["PATH"]
    missing = [tool for tool in TOOLS if shutil.which(tool, path=path) is None]
    return missing if KEYRING.exists() else [*missing, "debian-archive-keyring"]


def _install_advice(missing: Sequence[str]) -> str:
    packages = sorted({TOOLS.get(tool, tool) for tool in missing})
    return _("Run: apt-get install {packages}").format(packages=" ".join(packages))
