"""Several processes: spawn and forkserver work, fork is told apart."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import subprocess
from collections.abc import Callable

import numpy
import pytest
from conftest import SPEECH

import pure_sound

RunPython = Callable[..., subprocess.CompletedProcess[str]]


def work(given: tuple[pure_sound.Engine, pure_sound.Chain, pure_sound.Audio, str]) -> tuple[int, bytes, float]:
    """In a worker: what came through pickle is used."""
    engine, chain, audio, path = given
    chain.process(audio.samples)
    loudness = engine.measure(path)["integrated_lufs"]
    assert loudness is not None
    return os.getpid(), audio.samples.tobytes(), loudness


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_workers_give_the_same_as_here(method: str) -> None:
    audio = pure_sound.decode(SPEECH).between(0, 1)
    chain = pure_sound.Chain(["highpass:cutoff_hz=90", {"type": "gain", "gain_db": -3}], audio.rate_hz, audio.channels)
    engine = pure_sound.Engine({"engine": {"threads": 1}})
    jobs = [(engine, chain, pure_sound.Audio(audio.samples.copy(), audio.rate_hz), str(SPEECH)) for _ in range(3)]
    with multiprocessing.get_context(method).Pool(2) as pool:
        results = pool.map(work, jobs)
    here = work(jobs[0])
    assert os.getpid() not in {pid for pid, _, _ in results}
    assert {result[1:] for result in results} == {here[1:]}


def test_records_and_specs_go_through_pickle() -> None:
    info = pure_sound.probe(SPEECH)
    again = pickle.loads(pickle.dumps(info))
    assert again == info and type(again) is type(info)
    audio = pickle.loads(pickle.dumps(pure_sound.decode(SPEECH)))
    numpy.testing.assert_array_equal(audio.samples, pure_sound.decode(SPEECH).samples)
    engine = pickle.loads(pickle.dumps(pure_sound.Engine({"engine": {"threads": 3}})))
    assert engine.config()["engine"]["threads"] == 3


def test_an_error_in_a_worker_comes_back_as_itself() -> None:
    with multiprocessing.get_context("spawn").Pool(1) as pool, pytest.raises(pure_sound.NotFoundError) as raised:
        pool.apply(pure_sound.measure, ("/no/such/file",))
    assert raised.value.details["path"] == "/no/such/file"


def test_after_a_fork_the_engine_says_what_to_do(run_python: RunPython) -> None:
    result = run_python(
        """
        import os, sys, warnings, pure_sound
        warnings.simplefilter("ignore", DeprecationWarning)
        engine = pure_sound.Engine()
        engine.presets()
        subscription = engine.subscribe("process.*", print)
        child = os.fork()
        if child == 0:
            for call in (engine.presets, lambda: engine.measure(sys.argv[1]), lambda: pure_sound.Decoder(sys.argv[1], engine=engine)):
                try:
                    call()
                except pure_sound.ConflictError as error:
                    print("spawn" in str(error), end=" ")
            # A new one works; a chain has no threads and goes on.
            print(round(pure_sound.Engine().measure(sys.argv[1])["integrated_lufs"]), flush=True)
            del engine, subscription
            sys.exit(0)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), len(engine.presets()) > 0)
        """,
        str(SPEECH),
    )
    loudness = pure_sound.measure(SPEECH)["integrated_lufs"]
    assert loudness is not None
    assert result.stdout.split() == ["True", "True", "True", str(round(loudness)), "0", "True"], result.stderr


def test_the_interpreter_ends_while_things_are_open(run_python: RunPython) -> None:
    result = run_python(
        """
        import sys, pure_sound
        engine = pure_sound.Engine()
        subscription = engine.subscribe("**", lambda event: None)
        poller = engine.poll("**")
        decoder = pure_sound.Decoder(sys.argv[1], engine=engine)
        decoder.read(100)
        run = engine.start(sys.argv[1], "/dev/null/none.flac")
        print("end")
        """,
        str(SPEECH),
    )
    assert (result.returncode, result.stdout.strip()) == (0, "end"), result.stderr
