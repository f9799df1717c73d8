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
    # One after the other: a campaign times faults, and wants the machine for itself.
    codes = [
        subprocess.call([sys.executable, "-m", "pytest", folder, "-rs", "--durations=10"])
        for folder in ("tests/lab", "tests/faults")
    ]
    return max(codes)


if __name__ == "__main__":
    sys.exit(main())
