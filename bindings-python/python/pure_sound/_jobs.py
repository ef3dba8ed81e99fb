"""`Jobs`: work that survives the program that asked for it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, Unpack, cast

from . import _native
from ._engine import Engine, default_engine
from ._exit import close_at_exit
from ._io import dump, dump_request
from ._record import Record

if TYPE_CHECKING:
    from . import types


class Job(Record):
    """A request and how far it is."""

    title = "Job"


class Jobs:
    """Jobs in a file, in a PostgreSQL database (``postgres://...``, where this build has that), or, without `database`, in memory.

    >>> with pure_sound.Jobs("jobs.db") as jobs:
    ...     made = jobs.submit({"input": "a.wav", "output": "a.opus", "preset": "podcast"})
    ...     jobs.start(workers=2)
    ...     jobs.wait(job["id"] for job in made["jobs"])

    Jobs in a file survive the program; other programs with the same file see them and may do them, such as ``puresound worker``. May be used
    by several threads at once; not in a process made by fork.
    """

    def __init__(self, database: str | os.PathLike[str] | None = None, *, engine: Engine | None = None) -> None:
        engine = engine or default_engine()
        self._native = _native.Jobs(engine.native, None if database is None else os.fspath(database))
        close_at_exit(self)

    def submit(
        self, *work: types.Request | Mapping[str, Any], **options: Unpack[types.Submission]
    ) -> types.Submitted:
        """Queues recordings to be processed, a job for each request in `work`: all of them, or none.

        Requests are those of `Engine.process`, with ``input`` and ``output`` (or ``outputs``) as paths. Options: ``batch`` (a name),
        ``queue``, ``tenant``, ``priority``, ``run_at_ms``, ``unique_key``, ``replace``, ``max_attempts``, ``timeout_run_ms``, ``timeout_total_ms``.
        """
        submission: dict[str, Any] = {**options}
        if work:
            submission["requests"] = [*submission.get("requests", []), *work]
        return cast("types.Submitted", json.loads(self._native.submit(dump_request(submission))))

    def get(self, id: str) -> types.Job:
        """A job."""
        return cast("types.Job", Job(json.loads(self._native.get(id))))

    def history(self, id: str) -> list[types.HistoryEntry]:
        """The steps of a job's life, the first one first."""
        return cast("list[types.HistoryEntry]", json.loads(self._native.history(id)))

    def list(self, **filter: Unpack[types.JobFilter]) -> list[types.Job]:
        """Jobs in the order of their making: those that fit the filter, at most ``limit`` (default 100), after the job ``after``."""
        return cast("list[types.Job]", [Job(job) for job in json.loads(self._native.list(dump(filter)))])

    def __iter__(self) -> Iterator[types.Job]:
        """All jobs, page after page."""
        page = self.list(limit=500)
        while page:
            yield from page
            page = self.list(limit=500, after=page[-1]["id"])

    def batch(self, id: str) -> types.Batch:
        """A batch and how far it is."""
        return cast("types.Batch", json.loads(self._native.batch(id)))

    def cancel(self, id: str, why: str = "cancelled by the program") -> Literal["cancelled", "asked", "over"]:
        """Stops a job: at once when it waits; a running one is asked to, and ends within a block of audio."""
        return cast("Literal['cancelled', 'asked', 'over']", json.loads(self._native.cancel(id, why)))

    def retry(self, id: str) -> None:
        """Makes a dead or cancelled job wait again, with counters at 0."""
        self._native.retry(id)

    def set_gate(self, scope: str, gate: Literal["open", "paused", "draining"]) -> None:
        """Opens, pauses or drains ``all``, ``queue:NAME``, ``kind:NAME`` or ``tenant:NAME``."""
        self._native.set_gate(scope, gate)

    def stats(self) -> types.Stats:
        """How many jobs there are, where."""
        return cast("types.Stats", json.loads(self._native.stats()))

    def start(self, **options: Unpack[types.WorkOptions]) -> None:
        """Starts threads that do jobs, until `stop` or `close`: ``workers`` (0 is one per core), ``queues``, ``name``."""
        self._native.start(dump(options))

    def stop(self, patience_s: float | None = None) -> int:
        """Takes no more jobs, and waits up to `patience_s` (default: as configured) for those that run.

        What is not done by then is handed back, at nobody's charge; returns how many that were.
        """
        return self._native.stop(patience_s)

    def wait(
        self,
        ids: Iterable[str] | str | None = None,
        timeout_s: float | None = None,
        *,
        cancel: _native.CancelToken | None = None,
    ) -> bool:
        """Waits until these jobs are over, whoever does them; without any, until the threads of this have nothing left to do.

        False when `timeout_s` passed before. Ctrl-C ends the waiting, not the jobs.
        """
        chosen = None if ids is None else json.dumps([ids] if isinstance(ids, str) else [*ids])
        return True if chosen == "[]" else self._native.wait(chosen, timeout_s, cancel)

    def close(self) -> None:
        """Stops its threads, which hand back what they have, and lets go of the store. Closing again does nothing."""
        self._native.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
