"""`python -m mailprov` and the console script."""

from __future__ import annotations


def main() -> None:
    from mailprov.cli import run

    run()


if __name__ == "__main__":
    main()
