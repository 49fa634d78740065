"""Commands: each parses its arguments and calls one function of the package.

A module here imports nothing heavy at its top, so that `--help` answers at once.
"""

from __future__ import annotations

import errno
import logging
import os
import signal
import sys
import traceback
from collections.abc import Callable
from typing import NoReturn

# What the savers that are not Python's own say when the disk is full or a quota is used up.
_DISK_FULL = (
    "no space left",
    "storagefull",
    "file write failed",
    "quota exceeded",
    # torch.save, whose reason is lost when its small last pieces are flushed
    "iostream error",
    "unexpected pos",
)


def run(main: Callable[[list[str] | None], None], prog: str) -> NoReturn:
    """Call `main(None)` and leave with its status: 0, 1 for a user's fault, 130 for Ctrl-C.

    `ValueError` and `OSError` are faults in data, settings or disk, for which a traceback helps
    nobody: they become `prog: error: message` on stderr. With `--log_level DEBUG` the traceback
    comes too. All other exceptions are faults of the program and keep their traceback.
    """
    try:
        main(None)
        sys.stdout.flush()
    except KeyboardInterrupt:
        _leave(prog, "interrupted", 128 + signal.SIGINT)
    except BrokenPipeError:
        # The reader (`| head`) has gone: say nothing, and keep the exit from flushing into it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(128 + signal.SIGPIPE)
    except (ValueError, OSError) as error:
        _leave(prog, describe(error), 1)
    except Exception as error:
        if not _is_disk_full(error):
            raise
        _leave(prog, describe(error), 1)
    sys.exit(0)


def describe(error: Exception) -> str:
    """What went wrong in the words of a user: `place: what`, without Python's error numbers."""
    if _is_disk_full(error):
        place = getattr(error, "filename", None)
        where = f"{place}: " if place else ""
        reason = getattr(error, "strerror", None) or error
        return f"{where}no space left on the disk ({reason}); free some space and run it again"
    if isinstance(error, OSError) and error.strerror:
        place = f"{error.filename}: " if error.filename is not None else ""
        return f"{place}{error.strerror}"
    return str(error) or type(error).__name__


def _is_disk_full(error: Exception) -> bool:
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return True
    # safetensors and torch have their own errors for it, with the reason in the text only.
    text = str(error).lower()
    return not isinstance(error, (ValueError, OSError)) and any(s in text for s in _DISK_FULL)


def _leave(prog: str, message: str, status: int) -> NoReturn:
    if logging.getLogger().isEnabledFor(logging.DEBUG):
        traceback.print_exc()
    try:
        sys.stdout.flush()
    except OSError:
        pass
    print(f"{prog}: error: {message}", file=sys.stderr)
    sys.exit(status)
