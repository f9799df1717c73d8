"""How the process ends: every error becomes one sentence on stderr and the right exit code."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from mailprov.errors import InventoryError, MailprovError

BUG = 3  # we cannot tell what would have happened; never 1, which means "tested, and failed"


@contextmanager
def ended_well() -> Iterator[None]:
    """Everything raised inside becomes SystemExit; a broken pipe (`| head`) is not an error."""
    signal.signal(signal.SIGTERM, _as_ctrl_c)
    try:
        yield
    except KeyboardInterrupt:
        print("mailprov: interrupted; nothing is left half done by this command", file=sys.stderr)
        raise SystemExit(130) from None
    except BrokenPipeError:
        os.dup2(
            os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno()
        )  # else the interpreter complains at exit
        raise SystemExit(141) from None
    except InventoryError as error:
        count = len(error.problems)
        print(error, file=sys.stderr)
        print(
            f"mailprov: {count} problem{'' if count == 1 else 's'} in the inventory; nothing was done",
            file=sys.stderr,
        )
        raise SystemExit(error.exit_code) from None
    except MailprovError as error:
        print(f"mailprov: {error}", file=sys.stderr)
        raise SystemExit(error.exit_code) from None
    except Exception as error:
        if os.environ.get("MAILPROV_DEBUG"):
            traceback.print_exc()
        print(
            f"mailprov: this is a bug in mailprov, not your mistake: {type(error).__name__}: {error}. "
            "Run it again with MAILPROV_DEBUG=1 and report what it prints.",
            file=sys.stderr,
        )
        raise SystemExit(BUG) from None


def _as_ctrl_c(signum: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
