"""Paths, bytes, file objects, audio: what goes in and out."""

from __future__ import annotations

import importlib
import io
import os
import sys
from pathlib import Path
from typing import Any

import numpy
import pytest
from conftest import MUSIC, SPEECH
from numpy.typing import NDArray

import pure_sound

Samples = NDArray[numpy.float32]


class Pipe(io.RawIOBase):
    """Bytes that come in small pieces and cannot be sought in."""

    def __init__(self, data: bytes) -> None:
        self._data = io.BytesIO(data)

    def readable(self) -> bool:
        return True

    def readinto(self, out: Any) -> int:
        return self._data.readinto(memoryview(out)[:1000])


def test_all_forms_of_an_input_give_the_same() -> None:
    data = SPEECH.read_bytes()
    want = pure_sound.decode(SPEECH).samples
    with SPEECH.open("rb") as file:
        inputs = [str(SPEECH), data, bytearray(data), memoryview(data), io.BytesIO(data), file, Pipe(data)]
        for given in inputs:
            got = pure_sound.decode(given)  # type: ignore[arg-type]
            numpy.testing.assert_array_equal(got.samples, want, str(type(given)))


def test_urls_are_read_by_fsspec(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = importlib.import_module("fsspec").filesystem("memory")
    memory.pipe("/talks/one.flac", SPEECH.read_bytes())
    want = pure_sound.decode(SPEECH).samples
    numpy.testing.assert_array_equal(pure_sound.decode("memory://talks/one.flac").samples, want)
    assert pure_sound.probe(SPEECH.resolve().as_uri())["stream"]["container"] == "flac"
    with pytest.raises(FileNotFoundError):
        pure_sound.decode("memory://talks/two.flac")
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(ImportError, match="pip install fsspec"):
        pure_sound.decode("memory://talks/one.flac")


def test_a_file_object_is_read_from_where_it_stands() -> None:
    file = io.BytesIO(b"something before" + SPEECH.read_bytes())
    file.seek(16)
    assert pure_sound.probe(file)["stream"]["container"] == "flac"


def test_what_a_file_object_raises_comes_out_unchanged() -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            raise ZeroDivisionError("in read")

    with pytest.raises(ZeroDivisionError, match="in read"):
        pure_sound.decode(Broken(SPEECH.read_bytes()))


def test_a_text_file_is_refused_with_the_reason() -> None:
    with pytest.raises(TypeError, match="rb"):
        pure_sound.probe(io.StringIO("text"))  # type: ignore[arg-type]


def test_what_is_no_input_is_refused() -> None:
    with pytest.raises(TypeError, match="an input is a path"):
        pure_sound.probe(3.5)  # type: ignore[arg-type]


def test_outputs_are_paths_or_file_objects(tmp_path: Path) -> None:
    path = tmp_path / "a.flac"
    out = io.BytesIO()
    pure_sound.process(SPEECH, path, filters=["gain:gain_db=-3"])
    pure_sound.process(SPEECH, out, format="flac", filters=["gain:gain_db=-3"])
    assert out.getvalue() == path.read_bytes()
    _, [data] = pure_sound.default_engine().process_to_memory(SPEECH, "flac", filters=["gain:gain_db=-3"])
    assert data == path.read_bytes()
    with pytest.raises(ValueError, match="format"):
        pure_sound.process(SPEECH, out)


def test_encode_to_path_memory_and_file_object(tmp_path: Path, noise: Samples) -> None:
    audio = pure_sound.Audio(noise, 48_000)
    told = pure_sound.encode(audio, tmp_path / "a.wav", format={"format": "wav", "sample": "f32"})
    assert told["frames"] == 48_000
    numpy.testing.assert_array_equal(pure_sound.decode(tmp_path / "a.wav").samples, noise)
    out = io.BytesIO()
    pure_sound.encode(audio, out, format={"format": "wav", "sample": "f32"})
    assert out.getvalue() == (tmp_path / "a.wav").read_bytes()


def test_an_encoder_writes_to_a_file_object(noise: Samples) -> None:
    out = io.BytesIO()
    with pure_sound.Encoder(out, 48_000, 2, format={"format": "wav", "sample": "f32"}) as encoder:
        encoder.write(noise[:, :1000])
        encoder.write_interleaved(numpy.ascontiguousarray(noise[:, 1000:].T))
        assert encoder.frames == 48_000
    assert encoder.encoded is not None and encoder.encoded["frames"] == 48_000
    numpy.testing.assert_array_equal(pure_sound.decode(out.getvalue()).samples, noise)


def test_an_encoder_whose_block_raises_leaves_nothing(tmp_path: Path, noise: Samples) -> None:
    with pytest.raises(ZeroDivisionError), pure_sound.Encoder(tmp_path / "a.flac", 48_000, 2) as encoder:
        encoder.write(noise)
        raise ZeroDivisionError
    assert os.listdir(tmp_path) == []
    assert encoder.closed


def test_decoder_reads_seeks_and_closes() -> None:
    whole = pure_sound.decode(MUSIC).samples
    with pure_sound.Decoder(MUSIC) as decoder:
        assert decoder.info["codec"] == "mp3"
        numpy.testing.assert_array_equal(numpy.concatenate(list(decoder), axis=1), whole)
        decoder.seek(5000)
        numpy.testing.assert_array_equal(decoder.read_interleaved(100).T[:, :50], whole[:, 5000:5050])
        decoder.seek(100)
        out = numpy.zeros((decoder.channels, 3000), numpy.float32)
        assert decoder.read_into(out) == 3000
        numpy.testing.assert_array_equal(out, whole[:, 100:3100])
        assert decoder.damage["event_count"] == 0
    assert decoder.closed
    with pytest.raises(pure_sound.ClosedError):
        decoder.read(10)
