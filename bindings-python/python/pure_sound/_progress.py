"""Progress out of long calls."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, Self, cast

from . import _native
from ._exit import close_at_exit

if TYPE_CHECKING:
    from .types import Report


class Progress(NamedTuple):
    """State of a running call."""

    #: What is being done: analyse, solve, encode, verify, publish.
    stage: str
    #: Share of the whole that is done, 0 to 1; never falls.
    fraction: float
    #: Seconds of audio handled per second in this stage.
    speed: float
    #: Estimated seconds until the end, when the duration is known.
    eta_s: float | None


class Bar(Protocol):
    """A progress bar such as ``tqdm(total=1)``."""

    n: Any
    total: Any

    def update(self, n: Any = ..., /) -> Any: ...


#: A function that is called with a `Progress` and cancels by returning False, or a bar such as ``tqdm(total=1)``.
ProgressLike = Callable[[Progress], object] | Bar
#: What the extension calls.
Native = Callable[[str, float, float, float | None], object]


def native(progress: ProgressLike | None) -> Native | None:
    """The callback that the extension takes."""
    if progress is None:
        return None
    if not hasattr(progress, "update"):
        call = progress
        return lambda *state: call(Progress(*state))
    bar = cast("Bar", progress)

    def update(stage: str, fraction: float, speed: float, eta_s: float | None) -> None:
        bar.update(fraction * (bar.total or 1) - bar.n)

    return update


class Run:
    """A call that goes on in a thread of its own. Iterate over it for its progress, then take `result`.

    >>> with engine.start("talk.mp3", "talk.opus", preset="podcast") as run:
    ...     for progress in run:
    ...         print(f"{progress.fraction:4.0%} {progress.stage}")
    ...     report = run.result()
    """

    def __init__(self, work: Callable[[Native, _native.CancelToken], Report]) -> None:
        self._token = _native.CancelToken()
        self._steps: queue.SimpleQueue[Progress | None] = queue.SimpleQueue()
        self._report: Report | None = None
        self._error: BaseException | None = None

        def run() -> None:
            try:
                self._report = work(lambda *state: self._steps.put(Progress(*state)), self._token)
            except BaseException as error:
                self._error = error
            finally:
                self._steps.put(None)

        self._thread = threading.Thread(target=run, name="pure-sound-run", daemon=True)
        self._thread.start()
        close_at_exit(self)

    def __iter__(self) -> Iterator[Progress]:
        while (step := self._steps.get()) is not None:
            yield step
        self._steps.put(None)  # for the next who asks

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Cancels it when it still runs, and waits for its end."""
        self.cancel()
        self._thread.join()

    @property
    def done(self) -> bool:
        """True when it has ended, well or not."""
        return not self._thread.is_alive()

    def cancel(self) -> None:
        """Asks it to stop. It does within one block, and nothing is left of its outputs. Does nothing once it is done."""
        self._token.cancel()

    def result(self) -> Report:
        """Waits for the end and gives the report; raises what the call raised."""
        self._thread.join()
        if self._error is not None:
            raise self._error
        assert self._report is not None
        return self._report
