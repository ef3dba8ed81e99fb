"""Exceptions. Each error of the library has a class of its own, which is also a built-in one.

So ``except FileNotFoundError`` and ``except pure_sound.NotFoundError`` both work. All carry data instead of only a sentence:
``code`` (stable number), ``name`` (stable, upper case), ``kind`` (coarse class), ``details`` (a dict), ``causes``.
"""

from __future__ import annotations

import errno
import json
from collections.abc import Callable
from typing import Any, ClassVar

__all__ = ["PureSoundError", "by_name", "from_json"]


class PureSoundError(Exception):
    """Whatever this library raises, but for mistakes in the types of arguments (TypeError)."""

    #: Stable upper-case name, as in every other language.
    name: ClassVar[str] = "INTERNAL"

    def __init__(self, record: dict[str, Any] | str) -> None:
        if isinstance(record, str):
            record = {"message": record}
        super().__init__(record.get("message", ""))
        self._record = record
        #: Stable number.
        self.code: int = record.get("code", 0)
        #: Coarse class: input, unsupported, out_of_range, limit, cancelled, io, denied, conflict, unavailable, internal.
        self.kind: str = record.get("kind", "internal")
        #: Data by name: ``name``, ``value``, ``min``, ``max``, ``path``, ``suggestion``, ``problems``, ...
        self.details: dict[str, Any] = record.get("details", {})
        #: What led to it, nearest first.
        self.causes: list[str] = record.get("causes", [])
        if isinstance(self, OSError):
            _as_os_error(self, type(self).name, self.details, self.message)

    @property
    def message(self) -> str:
        """The sentence, without causes."""
        return str(self._record.get("message", ""))

    def __str__(self) -> str:
        return ": ".join([self.message, *self.causes])

    def __reduce__(self) -> tuple[Callable[..., PureSoundError], tuple[dict[str, Any]]]:
        return type(self), (self._record,)


_ERRNO = {"NOT_FOUND": errno.ENOENT, "DENIED": errno.EACCES, "IO": errno.EIO}


def _as_os_error(error: OSError, name: str, details: dict[str, Any], message: str) -> None:
    error.errno = details.get("os_error", _ERRNO.get(name))
    error.filename = details.get("path")
    error.strerror = message


class NotAudioError(PureSoundError, ValueError):
    """The bytes are not audio in any known format."""

    name = "NOT_AUDIO"


class EmptyError(PureSoundError, ValueError):
    """The input holds no audio frame at all."""

    name = "EMPTY"


class MalformedError(PureSoundError, ValueError):
    """The file is damaged beyond what can be decoded around."""

    name = "MALFORMED"


class UnsupportedError(PureSoundError, NotImplementedError):
    """A codec, container or variant that this build cannot read or write."""

    name = "UNSUPPORTED"


class OutOfRangeError(PureSoundError, ValueError):
    """A number outside its range."""

    name = "OUT_OF_RANGE"


class InvalidValueError(PureSoundError, ValueError):
    """A value that is not one of the allowed ones, or cannot be parsed."""

    name = "INVALID_VALUE"


class UnknownNameError(PureSoundError, LookupError):
    """A preset, filter, format or field that does not exist."""

    name = "UNKNOWN_NAME"


class InvalidError(PureSoundError, ValueError):
    """A document with mistakes in it, all told at once in ``details["problems"]``."""

    name = "INVALID"


class InvalidHandleError(PureSoundError, ValueError):
    """A handle that is not one, or not any more."""

    name = "INVALID_HANDLE"


class LimitExceededError(PureSoundError, RuntimeError):
    """A limit was reached."""

    name = "LIMIT_EXCEEDED"


class CancelledError(PureSoundError, RuntimeError):
    """Cancelled by the caller. Nothing is left of the outputs."""

    name = "CANCELLED"


class IoError(PureSoundError, OSError):
    """Reading or writing failed."""

    name = "IO"


class NotFoundError(PureSoundError, FileNotFoundError):
    """The path does not exist."""

    name = "NOT_FOUND"


class DeniedError(PureSoundError, PermissionError):
    """Not allowed by the operating system or by a policy."""

    name = "DENIED"


class ConflictError(PureSoundError, RuntimeError):
    """The request contradicts itself or the state of things."""

    name = "CONFLICT"


class WouldDeadlockError(PureSoundError, RuntimeError):
    """A wait that could only end after itself."""

    name = "WOULD_DEADLOCK"


class ReentrantError(PureSoundError, RuntimeError):
    """A call that a callback may not make."""

    name = "REENTRANT"


class BusyError(PureSoundError, RuntimeError):
    """Used by two threads at once."""

    name = "BUSY"


class UnavailableError(PureSoundError, RuntimeError):
    """Something needed is gone."""

    name = "UNAVAILABLE"


class FullError(PureSoundError, RuntimeError):
    """A bounded queue or budget stayed full. Trying again later may work."""

    name = "FULL"


class ClosedError(PureSoundError, ValueError):
    """Used after it was closed. A ValueError, as for files."""

    name = "CLOSED"


class InternalError(PureSoundError, RuntimeError):
    """A bug in this library. Please report it."""

    name = "INTERNAL"


class PanicError(PureSoundError, RuntimeError):
    """A panic, caught at the border: a bug in this library. Please report it."""

    name = "PANIC"


#: Every class by its stable name.
by_name: dict[str, type[PureSoundError]] = {
    cls.name: cls for cls in list(globals().values()) if isinstance(cls, type) and issubclass(cls, PureSoundError) and cls is not PureSoundError
}
__all__ += [cls.__name__ for cls in by_name.values()]


def from_json(text: str) -> PureSoundError:
    """The exception for an error record in JSON."""
    record = json.loads(text)
    return by_name.get(record["name"], PureSoundError)(record)
