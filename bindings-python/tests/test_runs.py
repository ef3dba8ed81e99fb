"""Long calls: progress, cancelling, Ctrl-C, other threads."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import numpy
import pytest
from conftest import SPEECH
from numpy.typing import NDArray

import pure_sound

Samples = NDArray[numpy.float32]
RunPython = Callable[..., subprocess.CompletedProcess[str]]


def test_progress_is_told_in_the_thread_of_the_caller(tmp_path: Path) -> None:
    heard: list[pure_sound.Progress] = []
    threads = set()

    def tell(progress: pure_sound.Progress) -> None:
        heard.append(progress)
        threads.add(threading.get_ident())

    pure_sound.process(SPEECH, tmp_path / "a.opus", progress=tell)
    assert threads == {threading.get_ident()}
    fractions = [progress.fraction for progress in heard]
    assert fractions == sorted(fractions) and fractions[-1] == 1.0
    assert {"analyse", "encode"} & {progress.stage for progress in heard}


def test_progress_bars_of_tqdm_are_taken(tmp_path: Path) -> None:
    tqdm = pytest.importorskip("tqdm")
    with tqdm.tqdm(total=1, disable=False, file=open(os.devnull, "w")) as bar:  # noqa: SIM115
        pure_sound.process(SPEECH, tmp_path / "a.flac", progress=bar)
    # Sums of differences of doubles.
    assert bar.n == pytest.approx(1.0, abs=1e-9)


def test_a_callback_cancels_by_false_and_nothing_is_left(tmp_path: Path, long_audio: pure_sound.Audio) -> None:
    with pytest.raises(pure_sound.CancelledError):
        pure_sound.process(long_audio, tmp_path / "a.flac", progress=lambda progress: False)
    assert os.listdir(tmp_path) == []


def test_what_a_callback_raises_comes_out_unchanged(tmp_path: Path, long_audio: pure_sound.Audio) -> None:
    class Mine(Exception):
        pass

    def tell(progress: pure_sound.Progress) -> None:
        raise Mine("from the callback")

    with pytest.raises(Mine, match="from the callback"):
        pure_sound.process(long_audio, tmp_path / "a.flac", progress=tell)
    assert os.listdir(tmp_path) == []


def test_a_token_cancels_from_another_thread(tmp_path: Path, long_audio: pure_sound.Audio) -> None:
    token = pure_sound.CancelToken()
    timer = threading.Timer(0.05, token.cancel)
    timer.start()
    with pytest.raises(pure_sound.CancelledError):
        pure_sound.process(long_audio, tmp_path / "a.flac", cancel=token)
    assert token.is_cancelled
    assert os.listdir(tmp_path) == []


def test_a_token_works_without_the_main_thread(tmp_path: Path, long_audio: pure_sound.Audio) -> None:
    token = pure_sound.CancelToken()
    raised: list[BaseException] = []

    def work() -> None:
        try:
            pure_sound.process(long_audio, tmp_path / "a.flac", cancel=token)
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    token.cancel()
    thread.join(60)
    assert [type(error) for error in raised] == [pure_sound.CancelledError]


def test_a_run_is_an_iterator_of_its_progress(tmp_path: Path) -> None:
    with pure_sound.default_engine().start(SPEECH, tmp_path / "a.flac") as run:
        fractions = [progress.fraction for progress in run]
        report = run.result()
    assert fractions == sorted(fractions) and fractions[-1] == 1.0
    assert run.done and list(run) == []
    assert Path(report["outputs"][0]["path"]) == tmp_path / "a.flac"


def test_leaving_a_run_cancels_it(tmp_path: Path, long_audio: pure_sound.Audio) -> None:
    with pure_sound.default_engine().start(long_audio, tmp_path / "a.flac") as run:
        pass
    assert run.done
    with pytest.raises(pure_sound.CancelledError):
        run.result()
    assert os.listdir(tmp_path) == []


def test_ctrl_c_ends_a_long_call_as_keyboard_interrupt(tmp_path: Path, run_python: RunPython) -> None:
    result = run_python(
        """
        import os, signal, sys, threading, numpy, pure_sound
        # A shell has jobs in the background ignore it.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        audio = pure_sound.Audio(numpy.tile(numpy.random.default_rng(1).uniform(-.2, .2, (2, 2880000)).astype("f4"), 20), 48000)
        begun = threading.Event()
        def interrupt():
            begun.wait(60)
            os.kill(os.getpid(), signal.SIGINT)
        threading.Thread(target=interrupt, daemon=True).start()
        with pure_sound.default_engine().subscribe("process.started", lambda event: begun.set()):
            try:
                pure_sound.process(audio, sys.argv[1] + "/a.flac")
            except KeyboardInterrupt:
                print("interrupted", os.listdir(sys.argv[1]))
        """,
        str(tmp_path),
    )
    assert result.stdout.strip() == "interrupted []", result.stderr


def test_other_threads_run_meanwhile(long_audio: pure_sound.Audio) -> None:
    # While the main thread measures, another one must come to run: it counts until it is told to stop.
    counted = 0
    begun, stop = threading.Event(), threading.Event()

    def count() -> None:
        nonlocal counted
        begun.wait()
        while not stop.is_set():
            counted += 1

    thread = threading.Thread(target=count)
    thread.start()
    before = counted
    begun.set()
    pure_sound.measure(long_audio)
    during = counted - before
    stop.set()
    thread.join()
    # A call that kept the lock would leave none; switches alone would leave a few.
    assert during > 10_000


def test_one_engine_serves_many_threads(tmp_path: Path) -> None:
    names = [tmp_path / f"{index}.flac" for index in range(8)]
    threads = [threading.Thread(target=pure_sound.process, args=(SPEECH, name)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({name.read_bytes() for name in names}) == 1
