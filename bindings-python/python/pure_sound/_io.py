"""Inputs, outputs and options as Python people have them."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from importlib import import_module
from typing import IO, TYPE_CHECKING, Any, cast

from ._audio import Audio

if TYPE_CHECKING:
    from . import types

#: An input: a path, a URL such as ``s3://bucket/talk.mp3`` (by fsspec), bytes, a binary file object (read from where it stands), or
#: audio in memory.
Source = str | os.PathLike[str] | bytes | bytearray | memoryview | IO[bytes] | Audio
#: An output: a path or a binary file object.
Target = str | os.PathLike[str] | IO[bytes]

if TYPE_CHECKING:
    #: A format by its name (``"opus"``) or with settings (``{"format": "opus", ...}``).
    Format = str | types.Format


def as_input(source: Source) -> Any:
    """The input as the extension takes it."""
    if isinstance(source, Audio):
        return (source.samples, source.rate_hz, source.layout)
    if isinstance(source, str) and _is_url(source):
        return _open_url(source)
    return source


def _is_url(text: str) -> bool:
    scheme, colon, _ = text.partition("://")
    return colon != "" and scheme.isascii() and scheme.replace("+", "").isalnum()


def _open_url(url: str) -> IO[bytes]:
    try:
        fsspec = import_module("fsspec")
    except ImportError:
        # As pandas and others do: stores and their credentials are its business.
        raise ImportError(f"{url}: URLs are read with fsspec; pip install fsspec, and the package for that store, such as s3fs") from None
    return cast("IO[bytes]", fsspec.open(url, "rb").open())


def is_file_object(target: Target) -> bool:
    """True for what can be written to, false for paths."""
    return hasattr(target, "write")


def format_of(format: Format) -> types.Format:
    """A format as an object."""
    return cast("types.Format", {"format": format}) if isinstance(format, str) else format


def format_json(format: Format | None) -> str | None:
    """A format as JSON text."""
    return None if format is None else json.dumps(format_of(format))


def _plain(value: Any) -> Any:
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    raise TypeError(f"options are numbers, texts, lists and dicts, not {type(value).__name__}")


def dump(options: Mapping[str, Any] | None) -> str | None:
    """Options as JSON text; none for no options."""
    # What is no mapping goes on as well: the library says what is wrong with it.
    return None if options is None or options == {} else json.dumps(options, default=_plain)


def dump_request(request: Mapping[str, Any]) -> str:
    """A request as JSON text."""
    return json.dumps(request, default=_plain)
