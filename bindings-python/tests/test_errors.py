"""Exceptions: two bases, data, a way through pickle."""

from __future__ import annotations

import builtins
import pickle
from pathlib import Path

import pytest
from conftest import SPEECH

import pure_sound
from pure_sound import _native


def test_there_is_a_class_for_every_error_and_no_other() -> None:
    table = {name: (code, kind) for code, name, kind in pure_sound.error_table()}
    assert table.keys() == pure_sound.errors.by_name.keys()
    for name, cls in pure_sound.errors.by_name.items():
        builtin = [base for base in cls.__bases__ if base.__module__ == "builtins"]
        assert len(builtin) == 1 and hasattr(builtins, builtin[0].__name__), name
        assert issubclass(cls, pure_sound.PureSoundError)
        assert getattr(pure_sound, cls.__name__) is cls


def test_a_missing_file_is_both() -> None:
    with pytest.raises(FileNotFoundError) as raised:
        pure_sound.decode("/no/such/file.wav")
    error = raised.value
    assert isinstance(error, pure_sound.NotFoundError)
    assert (error.code, error.name, error.kind) == (601, "NOT_FOUND", "io")
    assert error.details["path"] == error.filename == "/no/such/file.wav"
    assert error.errno == 2
    assert "no such file" in str(error)


def test_errors_carry_data() -> None:
    with pytest.raises(ValueError) as raised:
        pure_sound.Chain([{"type": "highpass", "cutoff_hz": 0.0}], 48_000, 2)
    assert isinstance(raised.value, pure_sound.OutOfRangeError)
    assert raised.value.details["value"] == 0 and raised.value.details["max"] > 0
    with pytest.raises(LookupError) as unknown:
        pure_sound.preset("podcats")
    assert isinstance(unknown.value, pure_sound.UnknownNameError)
    assert unknown.value.details["suggestion"] == "podcast"


def test_errors_survive_pickle() -> None:
    for cls in pure_sound.errors.by_name.values():
        error = cls({"code": 7, "name": cls.name, "kind": "io", "message": "words", "details": {"path": "x"}, "causes": ["y"]})
        again = pickle.loads(pickle.dumps(error))
        assert type(again) is cls
        assert (str(again), again.code, again.details, again.causes) == ("words: y", 7, {"path": "x"}, ["y"])


def test_a_panic_is_an_exception() -> None:
    with pytest.raises(pure_sound.PanicError, match="for the test") as raised:
        _native.panic_for_tests()
    assert "tables.rs" in raised.value.details["place"]


def test_settings_with_mistakes_tell_all() -> None:
    with pytest.raises(pure_sound.InvalidError) as raised:
        pure_sound.Engine({"engine": {"thread": 2}, "spool": {"memory_mib": -1}})
    assert len(raised.value.details["problems"]) == 2


def test_a_folder_is_no_input(tmp_path: Path) -> None:
    with pytest.raises(pure_sound.InvalidValueError):
        pure_sound.probe(tmp_path)


def test_an_object_in_use_is_busy_and_does_not_wait() -> None:
    # The file object uses its own decoder while that reads from it.
    import io

    class Meddling(io.BytesIO):
        decoder: pure_sound.Decoder | None = None
        seen: Exception | None = None

        def read(self, size: int | None = -1, /) -> bytes:
            if self.decoder is not None and self.seen is None:
                try:
                    self.decoder.seek(0)
                except pure_sound.BusyError as error:
                    self.seen = error
            return super().read(size)

    file = Meddling(SPEECH.read_bytes())
    decoder = pure_sound.Decoder(file)
    file.decoder = decoder
    for _ in decoder:
        pass
    decoder.seek(0)
    decoder.read(100)
    assert isinstance(file.seen, RuntimeError)


def test_a_closed_engine_says_so() -> None:
    engine = pure_sound.Engine()
    with engine:
        engine.presets()
    with pytest.raises(pure_sound.ClosedError):
        engine.presets()
    engine.close()
