"""
Conversions to the Rust crate. Use the package `pure_sound`, which is built on this.
"""

from numpy import float32
from numpy.typing import NDArray
from os import PathLike
from typing import Any, IO, SupportsFloat, SupportsIndex, final
from typing_extensions import disjoint_base

__all__ = ["CancelToken", "Chain", "Decoder", "Encoder", "Engine", "Jobs", "Meter", "Poller", "Resampler", "Subscription", "analysis_page", "classify", "compare", "comparison_page", "error_table", "filters", "panic_for_tests", "recommend", "schema", "shut_logs", "spectrogram_png", "version", "waveform_peaks", "waveform_png"]

@final
class CancelToken:
    """
    Cancels calls from any thread. One token may serve several calls.
    """
    def __new__(cls, /) -> CancelToken: ...
    def __repr__(self, /) -> str: ...
    def cancel(self, /) -> None:
        """
        Asks the calls that were given this token to stop. They do so within one block.
        """
    @property
    def is_cancelled(self, /) -> bool:
        """
        True after `cancel`.
        """

@disjoint_base
class Chain:
    """
    Filters in series on a stream of samples.
    """
    def __new__(cls, /, filters: str, rate_hz: SupportsIndex, channels: SupportsIndex, layout: str | None = None, max_frames: SupportsIndex = 2048, engine: Engine | None = None) -> Chain:
        """
        A chain of filters (JSON list of objects and short forms), which works in blocks of at most `max_frames` frames. The engine
        loads the recordings that filters name.
        """
    def apply(self, /, samples: NDArray[float32]) -> NDArray[float32]:
        """
        Filters an array of (channels, frames) into a new one, which has as many frames as the filters gave.
        """
    @property
    def channels(self, /) -> int:
        """
        Channels of the output.
        """
    def finish(self, /) -> NDArray[float32]:
        """
        After the last block: the frames that filters held back.
        """
    @property
    def is_realtime(self, /) -> bool:
        """
        True when no filter is for files only.
        """
    @property
    def latency_frames(self, /) -> int:
        """
        Frames by which the output is behind the input.
        """
    @property
    def layout(self, /) -> str:
        """
        Layout of the output.
        """
    @property
    def non_finite_samples(self, /) -> int:
        """
        Samples that were NaN or infinite and became silence, so far.
        """
    def parameter(self, /, filter: SupportsIndex, name: str) -> float:
        """
        The value that a parameter has or is on its way to.
        """
    def process(self, /, samples: NDArray[float32]) -> None:
        """
        Filters an array of (channels, frames) where it lies. For chains that keep rate, channels and number of frames.
        """
    def process_interleaved(self, /, samples: NDArray[float32]) -> None:
        """
        As `process`, for an array of (frames, channels).
        """
    @property
    def rate_hz(self, /) -> int:
        """
        Sample rate of the output in Hz.
        """
    def reset(self, /) -> None:
        """
        Forgets the signal.
        """
    def set_glide_ms(self, /, glide_ms: SupportsFloat | SupportsIndex) -> None:
        """
        Time over which parameters come to their values, in ms, 0 to 1000.
        """
    def set_parameter(self, /, filter: SupportsIndex, name: str, value: SupportsFloat | SupportsIndex) -> None:
        """
        Sets a parameter of the filter at place `filter` in the list; it glides there.
        """
    @property
    def tail_frames(self, /) -> int:
        """
        Frames of sound that may follow the end of the input.
        """

@final
class Decoder:
    """
    Reads one input in blocks.
    """
    @property
    def channels(self, /) -> int: ...
    def close(self, /) -> None:
        """
        Lets go of the input. What follows fails with CLOSED; closing again does nothing.
        """
    @property
    def closed(self, /) -> bool: ...
    def damage(self, /) -> str:
        """
        Damage met so far.
        """
    def info(self, /) -> str:
        """
        What is being decoded. The duration may become more exact while reading.
        """
    @property
    def layout(self, /) -> str: ...
    @property
    def rate_hz(self, /) -> int: ...
    def read(self, /, max_frames: SupportsIndex) -> NDArray[float32]:
        """
        The next frames, at most `max_frames`; none at the end. A new array of (channels, frames).
        """
    def read_interleaved(self, /, max_frames: SupportsIndex) -> NDArray[float32]:
        """
        As `read`, (frames, channels).
        """
    def read_into(self, /, out: NDArray[float32]) -> int:
        """
        Fills `out`, (channels, frames), with the next frames; gives their number, which is less than its length at the end only.
        """
    def seek(self, /, frame: SupportsIndex) -> None:
        """
        Continues at exactly this frame.
        """

@final
class Encoder:
    """
    Encodes blocks of samples.
    """
    def abort(self, /) -> None:
        """
        Gives up: no file is left. Does nothing after `finish` and the second time.
        """
    @property
    def closed(self, /) -> bool: ...
    def finish(self, /) -> tuple[str, bytes | None]:
        """
        Ends the stream: (record, bytes when the target is memory).
        """
    @property
    def frames(self, /) -> int:
        """
        Frames written so far.
        """
    def negotiated(self, /) -> str:
        """
        What is written: rate, layout, settings with every default filled in, and why they differ from the samples.
        """
    def write(self, /, samples: NDArray[float32]) -> None:
        """
        Encodes the frames of an array of (channels, frames).
        """
    def write_interleaved(self, /, samples: NDArray[float32]) -> None:
        """
        Encodes the frames of an array of (frames, channels).
        """

@final
class Engine:
    """
    An audio engine: options and results as JSON text.
    """
    def __new__(cls, /, settings: str | None = None) -> Engine:
        """
        An engine with settings shaped like a configuration file, as JSON text.
        """
    def analyse(self, /, source: str | PathLike[str] | bytes | bytearray | memoryview | IO[bytes] | tuple[Any, int, str | None], options: str | None = None, progress: Any | None = None, cancel: CancelToken | None = None, tenant: str | None = None) -> str:
        """
        Tells what an input is like.
        """
    def check(self, /, source: str | PathLike[str] | bytes | bytearray | memoryview | IO[bytes] | tuple[Any, int, str | None], specifications: str, options: str | None = None, progress: Any | None = None, cancel: CancelToken | None = None, tenant: str | None = None) -> str:
        """
        Looks for faults; holds the input against specifications.
        """
    def config(self, /) -> str:
        """
        The settings, every value filled in.
        """
    def decode(self, /, source: str | PathLike[str] | bytes | bytearray | memoryview | IO[bytes] | tuple[Any, int, str | None], options: str | None = None, progress: Any | None = None, cancel: CancelToken | None = None, tenant: str | None = None) -> tuple[NDArray[float32], int, str]:
        """
        Decodes a whole input: (samples, rate_hz, layout).
        """
    def encode(self, /, samples: NDArray[float32], rate_hz: SupportsIndex, path: str | PathLike[str], format: str | None = None, metadata: str | None = None, layout: str | None = None, interleaved: bool = False) -> str:
        """
        Encodes samples to a file, which appears whole or not at all.
        """
    def encode_to_memory(self, /, samples: NDArray[float32], rate_hz: SupportsIndex, format: str, metadata: str | None = None, layout: str | None = None, interleaved: bool = False) -> tuple[str, bytes]:
        """
        Encodes samples to bytes: (record, bytes).
        """
    def encoder(self, /, target: Any | None, rate_hz: SupportsIndex, channels: SupportsIndex, format: str | None = None, metadata: str | None = None, layout: str | None = None, overwrite: bool = True) -> Encoder:
        """
        An encoder for blocks, to a path, a seekable binary file object, or (None) memory.
        """
    def features(self, /, source: str | PathLike[str] | bytes | bytearray | memoryview | IO[bytes] | tuple[Any, int, str | None], options: str | None = None, progress: Any | None = None, cancel: CancelToken | None = None, tenant: str | None = None) -> tuple[str, list[tuple[str, NDArray[float32]]]]:
        """
        Tells what an input is like: the record, and each feature over time by name, `(frames,)` or `(bands, frames)`.
        """
    def health(self, /, probe: str | None = None) -> str:
        """
        What a probe (live, ready, startup; without: everything) answers.
        """
    def log(self, /, level: str, callback: Any | None = None) -> None:
        """
        Calls `callback` with each log record of `level` and above, as JSON text, from any thread of the engine; without it: sets the
        level.
        """
    def measure(self, /, source: str | PathLike[str] | bytes | bytearray | memoryview | IO[bytes] | tuple[Any, int, str | None], options: str | None = None, progress: Any | None = None, cancel: CancelToken | None = None, tenant: str | None = None) -> str:
        """
        Measures a whole input.
        """
    def metrics(self, /) -> str:
        """
        The figures of this engine as OpenMetrics text.
        """
    def open(self, /, source: str | PathLike[str] | bytes | bytearray | memoryview | IO[bytes] | tuple[Any, int, str | None], options: str | None = None) -> Decoder:
        """
        Opens an input for reading blocks.
        """
    def plan(self, /, source: str | PathLike[str] | bytes | bytearray | memoryview | IO[bytes] | tuple[Any, int, str | None], request: str) -> str:
        """
        Tells what `process` would do.
        """
    def poll(self, /, pattern: str, lane_events: SupportsIndex | None = None, from_oldest: bool = False) -> Poller:
        """
        Queues deliveries until they are asked for.
        """
    def preset(self, /, name: str) -> str:
        """
        One preset.
        """
    def presets(self, /) -> str:
        """
        All presets.
        """
    def probe(self, /, source: str | PathLike[str] | bytes | bytearray | memoryview | IO[bytes] | tuple[Any, int, str | None], options: str | None = None) -> str:
        """
        Tells what an input is.
        """
    def process(self, /, source: str | PathLike[str] | bytes | bytearray | memoryview | IO[bytes] | tuple[Any, int, str | None], request: str, progress: Any | None = None, cancel: CancelToken | None = None, tenant: str | None = None) -> str:
        """
        Runs a request whose outputs are paths.
        """
    def process_to_memory(self, /, source: str | PathLike[str] | bytes | bytearray | memoryview | IO[bytes] | tuple[Any, int, str | None], request: str, progress: Any | None = None, cancel: CancelToken | None = None, tenant: str | None = None) -> tuple[str, list[bytes]]:
        """
        Runs a request whose outputs have formats and no paths, and gives their bytes.
        """
    def publish(self, /, topic: str, payload: str, key: str | None = None) -> int:
        """
        Publishes an event of the host (payload as JSON text) and gives its number.
        """
    def recipe(self, /, request: str) -> str:
        """
        The recipe that a request asks for.
        """
    def subscribe(self, /, pattern: str, callback: Any, lane_events: SupportsIndex | None = None) -> Subscription:
        """
        Calls `callback` with each delivery, as JSON text, from a thread of the engine.
        """
    def tags(self, /, source: str | PathLike[str] | bytes | bytearray | memoryview | IO[bytes] | tuple[Any, int, str | None], options: str | None = None) -> str:
        """
        Reads tags, pictures and chapters.
        """
    def usage(self, /) -> str:
        """
        What is held of the budgets that jobs share.
        """

@final
class Jobs:
    """
    Jobs in a file, a database or memory: options and records as JSON text.
    """
    def __new__(cls, /, engine: Engine, database: str | PathLike[str] | None = None) -> Jobs:
        """
        Jobs in a file or database; without, in memory.
        """
    def batch(self, /, id: str) -> str:
        """
        A batch.
        """
    def cancel(self, /, id: str, why: str) -> str:
        """
        Stops a job.
        """
    def close(self, /) -> None:
        """
        Stops, and lets go of the store.
        """
    def get(self, /, id: str) -> str:
        """
        A job.
        """
    def history(self, /, id: str) -> str:
        """
        The steps of a job's life.
        """
    def list(self, /, filter: str | None = None) -> str:
        """
        Jobs, a page at a time.
        """
    def retry(self, /, id: str) -> None:
        """
        Makes a dead or cancelled job wait again.
        """
    def set_gate(self, /, scope: str, gate: str) -> None:
        """
        Opens, pauses or drains a scope.
        """
    def start(self, /, options: str | None = None) -> None:
        """
        Starts threads that do jobs.
        """
    def stats(self, /) -> str:
        """
        How many jobs there are, where.
        """
    def stop(self, /, patience_s: SupportsFloat | SupportsIndex | None = None) -> int:
        """
        Ends them; how many jobs were handed back.
        """
    def submit(self, /, submission: str) -> str:
        """
        Queues recordings.
        """
    def wait(self, /, ids: str | None = None, timeout_s: SupportsFloat | SupportsIndex | None = None, cancel: CancelToken | None = None) -> bool:
        """
        Waits until jobs (a JSON list of names) are over; without any, until nothing is left to do.
        """

@disjoint_base
class Meter:
    """
    Measures a stream of samples.
    """
    def __new__(cls, /, rate_hz: SupportsIndex, channels: SupportsIndex, layout: str | None = None, options: str | None = None) -> Meter:
        """
        A meter, with options as JSON text.
        """
    @property
    def frames(self, /) -> int:
        """
        Frames measured so far.
        """
    @property
    def integrated_lufs(self, /) -> float:
        """
        Integrated loudness so far in LUFS; -inf for silence.
        """
    @property
    def momentary_lufs(self, /) -> float:
        """
        Loudness of the last 400 ms in LUFS; -inf for silence.
        """
    def push(self, /, samples: NDArray[float32]) -> None:
        """
        Adds the frames of an array of (channels, frames).
        """
    def push_interleaved(self, /, samples: NDArray[float32]) -> None:
        """
        Adds the frames of an array of (frames, channels).
        """
    def reset(self, /) -> None:
        """
        Forgets the signal.
        """
    @property
    def short_term_lufs(self, /) -> float:
        """
        Loudness of the last 3 s in LUFS; -inf for silence.
        """
    def summary(self, /) -> str:
        """
        All results so far.
        """

@final
class Poller:
    """
    Keeps events until they are asked for.
    """
    def close(self, /) -> None:
        """
        Ends it; a `next` that waits gives None.
        """
    def next(self, /, timeout_s: SupportsFloat | SupportsIndex | None = None) -> str | None:
        """
        The next delivery as JSON text; waits for it at most `timeout_s`, without it for ever. None after that time, or when nothing
        will come any more.
        """

@disjoint_base
class Resampler:
    """
    Converts the rate of a stream of samples.
    """
    def __new__(cls, /, in_rate_hz: SupportsIndex, out_rate_hz: SupportsIndex, channels: SupportsIndex, quality: str = "good") -> Resampler:
        """
        A resampler of quality `fast`, `good` or `best`.
        """
    def finish(self, /) -> NDArray[float32]:
        """
        The last frames, (channels, frames).
        """
    def finish_interleaved(self, /) -> NDArray[float32]:
        """
        The last frames, (frames, channels).
        """
    def max_output_frames(self, /, frames: SupportsIndex) -> int:
        """
        Most frames that one `process` of so many frames, or `finish`, can give.
        """
    def process(self, /, samples: NDArray[float32]) -> NDArray[float32]:
        """
        Converts the frames of an array of (channels, frames); gives what is ready, at first nothing.
        """
    def process_interleaved(self, /, samples: NDArray[float32]) -> NDArray[float32]:
        """
        As `process`, from and to (frames, channels).
        """
    def reset(self, /) -> None:
        """
        Forgets the signal.
        """

@final
class Subscription:
    """
    Calls a function with events until it is closed.
    """
    def close(self, /) -> None:
        """
        Ends it. When this returns, no callback of it runs or will run. May be called from within the callback.
        """
    def stats(self, /) -> str:
        """
        What it did so far.
        """

def analysis_page(engine: Engine, source: str | PathLike[str] | bytes | bytearray | memoryview | IO[bytes] | tuple[Any, int, str | None], options: str | None = None, progress: Any | None = None, cancel: CancelToken | None = None, tenant: str | None = None) -> str:
    """
    A page of an input, with what stands on it.
    """

def classify(engine: Engine, source: str | PathLike[str] | bytes | bytearray | memoryview | IO[bytes] | tuple[Any, int, str | None], options: str | None = None, progress: Any | None = None, cancel: CancelToken | None = None, tenant: str | None = None) -> str:
    """
    What an input is made of.
    """

def compare(engine: Engine, reference: str | PathLike[str] | bytes | bytearray | memoryview | IO[bytes] | tuple[Any, int, str | None], degraded: str | PathLike[str] | bytes | bytearray | memoryview | IO[bytes] | tuple[Any, int, str | None], options: str | None = None, progress: Any | None = None, cancel: CancelToken | None = None, tenant: str | None = None) -> str:
    """
    How far an input lies off its reference.
    """

def comparison_page(engine: Engine, before: str | PathLike[str] | bytes | bytearray | memoryview | IO[bytes] | tuple[Any, int, str | None], after: str | PathLike[str] | bytes | bytearray | memoryview | IO[bytes] | tuple[Any, int, str | None], report: str | None = None, options: str | None = None, progress: Any | None = None, cancel: CancelToken | None = None, tenant: str | None = None) -> str:
    """
    A page of a recording before and after it was processed.
    """

def error_table() -> list[tuple[int, str, str]]:
    """
    (number, name, kind) of every error.
    """

def filters() -> str:
    """
    All filters as a JSON list.
    """

def panic_for_tests() -> None:
    """
    Panics, for the test that a panic becomes an exception.
    """

def recommend(engine: Engine, source: str | PathLike[str] | bytes | bytearray | memoryview | IO[bytes] | tuple[Any, int, str | None], options: str | None = None, progress: Any | None = None, cancel: CancelToken | None = None, tenant: str | None = None) -> str:
    """
    What to do with an input.
    """

def schema(name: str | None = None) -> str:
    """
    The JSON Schema called `name`, or an object of all by name.
    """

def shut_logs() -> None:
    """
    Ends all callbacks of logs: for the end of the interpreter.
    """

def spectrogram_png(engine: Engine, source: str | PathLike[str] | bytes | bytearray | memoryview | IO[bytes] | tuple[Any, int, str | None], options: str | None = None, progress: Any | None = None, cancel: CancelToken | None = None, tenant: str | None = None) -> bytes:
    """
    A spectrogram as PNG.
    """

def version() -> str:
    """
    Version of the library.
    """

def waveform_peaks(engine: Engine, source: str | PathLike[str] | bytes | bytearray | memoryview | IO[bytes] | tuple[Any, int, str | None], options: str | None = None, progress: Any | None = None, cancel: CancelToken | None = None, tenant: str | None = None) -> str:
    """
    Waveform peaks.
    """

def waveform_png(engine: Engine, source: str | PathLike[str] | bytes | bytearray | memoryview | IO[bytes] | tuple[Any, int, str | None], options: str | None = None, progress: Any | None = None, cancel: CancelToken | None = None, tenant: str | None = None) -> bytes:
    """
    The waveform as PNG.
    """
