"""The tests on real hosts: all as root on Linux, else one line that says what was left out.

scripts/lab_tests.py            `make test`: on Debian 12 and 13, and the short fault campaign
scripts/lab_tests.py releases   `make test-releases`: on the oldest and the newest release
"""

from __future__ import annotations

import os
import subprocess
import sys

RELEASES = "tests/lab/test_releases.py"


def main() -> int:
    if sys.platform != "linux" or os.geteuid() != 0:
        print(
            "left out: tests/lab and tests/faults (real hosts in systemd-nspawn), "
            "which need root on Linux: run `sudo make test`"
        )
        return 0
    # Two labs at a time: much of a test on hosts is waiting. The campaign times its faults: it has the machine alone.
    pytest = [sys.executable, "-m", "pytest", "-rs", "--durations=10"]
    if sys.argv[1:] == ["releases"]:
        return subprocess.call([*pytest, RELEASES])
    codes = [
        subprocess.call([*pytest, "tests/lab", f"--ignore={RELEASES}", "-n", "2", "--dist", "loadfile"]),
        subprocess.call([*pytest, "tests/faults"]),
    ]
    return max(codes)


if __name__ == "__main__":
    sys.exit(main())
