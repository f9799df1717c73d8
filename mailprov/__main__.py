"""`python -m mailprov` and the console script. Written so that a Python that is too old can read it, and say so."""

import sys

OLDEST = (3, 10)  # as pyproject.toml says; the agent, on hosts, runs on 3.8


def main() -> None:
    if sys.version_info < OLDEST:
        sys.stderr.write(
            f"mailprov: this is Python {sys.version_info[0]}.{sys.version_info[1]}, and mailprov needs 3.10 or newer: "
            "make its venv with one, such as python3.11 -m venv.\n"
        )
        sys.exit(2)
    from mailprov.cli import run

    run()


if __name__ == "__main__":
    main()
