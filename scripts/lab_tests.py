"""The tests on real hosts, run by `make test`: all as root on Linux, else one line that says what was left out."""

from __future__ import annotations

import os
import subprocess
import sys


def main() -> int:
    if sys.platform != "linux" or os.geteuid() != 0:
        print(
            "left out: tests/lab and tests/faults (real hosts in systemd-nspawn), "
            "which need root on Linux: run `sudo make test`"
        )
        return 0
    # Two labs at a time: much of a test on hosts is waiting. The campaign times its faults: it has the machine alone.
    pytest = [sys.executable, "-m", "pytest", "-rs", "--durations=10"]
    codes = [
        subprocess.call([*pytest, "tests/lab", "-n", "2", "--dist", "loadfile"]),
        subprocess.call([*pytest, "tests/faults"]),
    ]
    return max(codes)


if __name__ == "__main__":
    sys.exit(main())
