"""The tests on real hosts, run by `make test`: all as root on Linux, else one line that says what was left out."""

from __future__ import annotations

import os
import subprocess
import sys


def main() -> int:
    if sys.platform != "linux" or os.geteuid() != 0:
        print(
            "left out: tests/lab (real hosts in systemd-nspawn), which need root on Linux: run `sudo make test`"
        )
        return 0
    return subprocess.call([sys.executable, "-m", "pytest", "tests/lab", "-rs", "--durations=10"])


if __name__ == "__main__":
    sys.exit(main())
