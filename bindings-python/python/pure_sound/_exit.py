"""What must end before the interpreter does: threads that would wait for its lock when it is gone."""

from __future__ import annotations

import atexit
import weakref
from typing import Protocol

from . import _native


class Closable(Protocol):
    """What can be ended."""

    def close(self) -> None: ...


_open: weakref.WeakSet[Closable] = weakref.WeakSet()


def close_at_exit(thing: Closable) -> None:
    """Calls ``thing.close()`` when the interpreter ends, if the thing is still there."""
    _open.add(thing)


@atexit.register
def _close_all() -> None:
    for thing in list(_open):
        try:
            thing.close()
        except Exception:
            # After a fork, of the parent: there is nothing of it here to end.
            continue
    # Last, so that what was ended above is told.
    _native.shut_logs()
