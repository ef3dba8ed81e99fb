"""The log of an engine, handed on to Python's `logging`."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from . import types

#: How much is told: each with those before it.
Level = Literal["off", "error", "warn", "info", "debug", "trace"]

#: The same in `logging`, which has no name for what is below DEBUG.
LEVELS: dict[Level, int] = {
    "error": logging.ERROR,
    "warn": logging.WARNING,
    "info": logging.INFO,
    "debug": logging.DEBUG,
    "trace": 5,
}


def _logger(logger: logging.Logger | str) -> logging.Logger:
    return logging.getLogger(logger) if isinstance(logger, str) else logger


def level_of(logger: logging.Logger | str) -> Level:
    """The level that a logger lets through."""
    through = _logger(logger).getEffectiveLevel()
    return next((name for name, number in reversed(LEVELS.items()) if number >= through), "off")


def forward(logger: logging.Logger | str) -> Callable[[types.LogRecord], None]:
    """A callback for `Engine.log` that hands records on to `logger` and its children."""
    root = _logger(logger)

    def hand_on(record: types.LogRecord) -> None:
        # pure_sound::engine::retry comes from the child engine.retry.
        speaker = root.getChild(".".join(record["target"].split("::")[1:])) if "::" in record["target"] else root
        level = LEVELS[record["level"]]
        if not speaker.isEnabledFor(level):
            return
        fields: dict[str, Any] = record["fields"]
        words = " ".join([record["message"], *(f"{name}={value}" for name, value in fields.items())])
        extra = {"fields": fields, "spans": record["spans"]}
        told = speaker.makeRecord(speaker.name, level, "(pure_sound)", 0, "%s", (words,), None, extra=extra)
        told.created = record["time_ms"] / 1000
        told.msecs = record["time_ms"] % 1000
        speaker.handle(told)

    return hand_on
