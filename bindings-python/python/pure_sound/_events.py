"""What an engine tells."""

from __future__ import annotations

import json
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Self, cast

from . import _native
from ._exit import close_at_exit

#: An event: ``sequence``, ``time_ms``, ``topic``, ``priority``, ``key``, ``payload``, ``replay``. A notice of lost events has the
#: topic ``lagged`` or ``gap``.
Event = dict[str, Any]


class Subscription:
    """Calls a function with events until it is closed, also by the end of a ``with`` block."""

    def __init__(self, native: _native.Subscription) -> None:
        self._native = native
        close_at_exit(self)

    def stats(self) -> dict[str, Any]:
        """What it did so far."""
        return cast("dict[str, Any]", json.loads(self._native.stats()))

    def close(self) -> None:
        """Ends it. When this returns, no callback of it runs or will run."""
        self._native.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Poller:
    """Events that wait until they are asked for. Iterating waits for the next one, until it is closed."""

    def __init__(self, native: _native.Poller) -> None:
        self._native = native

    def next(self, timeout_s: float | None = None) -> Event | None:
        """The next event; waits for it at most `timeout_s`, without it for ever. None after that time or at the end."""
        text = self._native.next(timeout_s)
        return None if text is None else cast("Event", json.loads(text))

    def __iter__(self) -> Iterator[Event]:
        while (event := self.next()) is not None:
            yield event

    def close(self) -> None:
        """Ends it; whoever waits gets None."""
        self._native.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
