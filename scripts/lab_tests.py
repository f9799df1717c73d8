"""The tests on real hosts: all as root on Linux, else one line that says what was left out.

scripts/lab_tests.py            `make test`: on Debian 12 and 13, and the short fault campaign
scripts/lab_tests.py releases   `make test-releases`: on the oldest and the newest release, and the upgrade in place
"""

from __future__ import annotations

import os
import subprocess
import sys

RELEASES = ["tests/lab/test_releases.py", "tests/lab/test_upgrade.py"]


def main() -> int:
    if sys.platform != "linux" or os.geteuid() != 0:
        print(
            "left out: tests/lab and tests/faults (real hosts in systemd-nspawn), "
            "which need root on Linux: run `sudo make test`"
        )
        return 0
    pytest = [sys.executable, "-m", "pytest", "-rs", "--durations=10"]
    # More labs at a time than cores: much of a test on hosts is waiting.
    side_by_side = ["--dist", "loadfile", "-n"]
    if sys.argv[1:] == ["releases"]:
        return subprocess.call([*pytest, *RELEASES, *side_by_side, str(len(RELEASES))])
    here = ["tests/lab", *(f"--ignore={path}" for path in RELEASES)]
    codes = [
        subprocess.call([*pytest, *here, *side_by_side, "3"]),
        # The campaign times its faults: it has the machine alone.
        subprocess.call([*pytest, "tests/faults"]),
    ]
    return max(codes)


if __name__ == "__main__":
    sys.exit(main())
