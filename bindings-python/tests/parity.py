"""Runs tests/parity/cases.json with this package: see tests/parity/README.md.

python parity.py            prints `parity: N cases`; fails when one differs, is skipped, or has an operation that is not known
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy
from numpy.typing import NDArray

import pure_sound
from pure_sound import Audio, Engine, PureSoundError

ROOT = Path(__file__).parents[2]
CASES = ROOT / "tests" / "parity" / "cases.json"
Samples = NDArray[numpy.float32]
Args = dict[str, Any]


class Different(Exception):
    """A case came out differently."""


# Inputs.


def signal(spec: Args) -> Audio:
    """A signal that is exact in every language."""
    frames, channels = spec["frames"], spec.get("channels", 1)
    gain = spec.get("gain", 1)
    index = numpy.arange(frames)
    rows = []
    for channel in range(channels):
        match spec["kind"]:
            case "noise":
                row = _noise(spec["seed"] + channel, frames) * gain
            case "square":
                high = index % spec["period_frames"] < spec["period_frames"] // 2
                row = numpy.where(high, gain, -gain) * (1 if channel % 2 == 0 else -1)
            case "ramp":
                row = ((index + channel) % 256 / 128 - 1) * gain
            case "impulse":
                row = numpy.where(index == spec["at"], gain, 0)
            case "silence":
                row = numpy.zeros(frames)
            case other:
                raise Different(f"unknown signal '{other}'")
        rows.append(row.astype(numpy.float32))
    return Audio(numpy.stack(rows), spec.get("rate_hz", 48_000), spec.get("layout"))


def _noise(seed: int, frames: int) -> NDArray[numpy.float64]:
    # The generator jumps: s[n] = a^n s[0] + c (a^n - 1)/(a - 1), all modulo 2^32, which wrapping 32-bit numbers do by themselves.
    steps = numpy.full(frames, 1664525, numpy.uint32)
    powers = numpy.multiply.accumulate(steps, dtype=numpy.uint32)
    sums = numpy.concatenate([[1], powers[:-1]]).astype(numpy.uint32)
    sums = numpy.add.accumulate(sums, dtype=numpy.uint32)
    state = powers * numpy.uint32(seed % 2**32) + sums * numpy.uint32(1013904223)
    return (state >> numpy.uint32(8)) / 8388608 - 1


def source(spec: Args) -> Any:
    """The input of a case as the package takes it."""
    if "signal" in spec:
        return signal(spec["signal"])
    if "base64" in spec:
        return base64.b64decode(spec["base64"])
    if "path" in spec:
        return spec["path"]
    path = ROOT / spec["file"]
    if not {"memory", "damage", "keep_bytes"} & spec.keys():
        return path
    data = bytearray(path.read_bytes()[: spec.get("keep_bytes")])
    for damage in spec.get("damage", []):
        for at in range(damage["at"], min(damage["at"] + damage["count"], len(data))):
            data[at] ^= damage["xor"]
    return bytes(data)


def digest(blocks: list[Samples], interleaved: bool = False) -> str:
    """SHA-256 of the interleaved little-endian samples."""
    hashed = hashlib.sha256()
    for block in blocks:
        hashed.update(numpy.ascontiguousarray(block if interleaved else block.T, "<f4").tobytes())
    return hashed.hexdigest()


def hash_bytes(data: bytes) -> str:
    """SHA-256 of bytes."""
    return hashlib.sha256(data).hexdigest()


def number(value: float) -> float | None:
    """A level as JSON has it."""
    return value if math.isfinite(value) else None


# Operations.


def engine(args: Args) -> Engine:
    """The engine with the settings of the case."""
    return Engine(args["settings"]) if "settings" in args else Engine()


def process(args: Args, **more: Any) -> tuple[Any, list[bytes]]:
    """Runs the request of a case."""
    host = engine(args)
    request = args["request"]
    recipe = host.recipe(request)
    given = source(args["input"]) if "input" in args else ROOT / recipe["input"]
    if recipe["outputs"] and not any(output.get("path") for output in recipe["outputs"]):
        return host.process_to_memory(given, **request, **more)
    report = host.process(given, **request, **more)
    return report, [Path(output["path"]).read_bytes() for output in report["outputs"]]


def op_process(args: Args) -> Any:
    report, outputs = process(args)
    return {"report": report, "outputs": [{"bytes": len(data), "sha256": hash_bytes(data)} for data in outputs]}


def op_schema(args: Args) -> Any:
    return pure_sound.schema(args["schema"]) if "schema" in args else {"names": list(pure_sound.schema())}


def op_filters(args: Args) -> Any:
    result = {"count": len(pure_sound.filters())}
    return {**result, "filter": pure_sound.filters(args["filter"])} if "filter" in args else result


def op_decode(args: Args) -> Any:
    audio = engine(args).decode(source(args["input"]), **args.get("options", {}))
    return {
        "rate_hz": audio.rate_hz,
        "channels": audio.channels,
        "layout": audio.layout,
        "frames": audio.frames,
        "sha256": digest([audio.samples]),
    }


def op_encode(args: Args) -> Any:
    host, audio = engine(args), signal(args["signal"])
    options = {key: args[key] for key in ("format", "metadata") if key in args}
    if "path" in args:
        encoded = host.encode(audio, args["path"], **options)
        data = Path(args["path"]).read_bytes()
    else:
        encoded, data = host.encode_to_memory(audio, **options)
    return {"encoded": encoded, "bytes": len(data), "sha256": hash_bytes(data)}


def op_events(args: Args) -> Any:
    host, heard = engine(args), []
    pattern = args.get("pattern", "process.*")
    again = {**args}
    recipe = host.recipe(args["request"])
    given = source(args["input"])

    def run() -> None:
        if recipe["outputs"] and not any(output.get("path") for output in recipe["outputs"]):
            host.process_to_memory(given, **again["request"])
        else:
            host.process(given, **again["request"])

    if args.get("poll"):
        with host.poll(pattern) as poller:
            run()
            while (event := poller.next(0)) is not None:
                heard.append(event)
    else:
        import threading

        finished = threading.Event()

        def hear(event: Any) -> None:
            heard.append(event)
            if event["topic"] == "process.finished":
                finished.set()

        with host.subscribe(pattern, hear) as subscription:
            run()
            if not finished.wait(30):
                raise Different("no process.finished")
            while subscription.stats()["waiting"]:
                finished.wait(0.001)
    heard.sort(key=lambda event: event["sequence"])
    last = [event for event in heard if event["topic"] == "process.finished"]
    return {
        "topics": [event["topic"] for event in heard],
        "stages": [event["payload"]["stage"] for event in heard if event["topic"] == "process.stage"],
        "outcome": last[-1]["payload"]["outcome"] if last else None,
    }


def op_progress(args: Args) -> Any:
    heard: list[float] = []

    def tell(progress: pure_sound.Progress) -> None:
        heard.append(progress.fraction)

    if args.get("of") == "measure":
        engine(args).measure(source(args["input"]), progress=tell, **args.get("options", {}))
    elif args.get("of") == "check":
        engine(args).check(source(args["input"]), progress=tell, **args.get("options", {}))
    elif args.get("of") == "analyse":
        engine(args).analyse(source(args["input"]), progress=tell, **args.get("options", {}))
    elif args.get("of") == "decode":
        engine(args).decode(source(args["input"]), progress=tell, **args.get("options", {}))
    else:
        process(args, progress=tell)
    return {
        "called": bool(heard),
        "monotone": heard == sorted(heard),
        "in_range": all(0 <= fraction <= 1 for fraction in heard),
        "last": heard[-1] if heard else None,
    }


def op_picture(args: Args) -> Any:
    made = engine(args)
    draw = made.waveform_png if args["of"] == "waveform" else made.spectrogram_png
    png = draw(source(args["input"]), **args.get("options", {}))
    width, height = (int.from_bytes(png[at : at + 4], "big") for at in (16, 20))
    return {"bytes": len(png), "sha256": hashlib.sha256(png).hexdigest(), "width": width, "height": height}


def op_page(args: Args) -> Any:
    page = engine(args).analysis_page(source(args["input"]), **args.get("options", {}))
    found = {text: text in page["html"] for text in args.get("find", [])}
    return {"found": found, "analysis": page["analysis"], "check": page["check"]}


def op_page_of_two(args: Args) -> Any:
    made, more = engine(args), dict(args.get("options", {}))
    before = source(args["before"])
    if "request" in args:
        more["report"], [after] = made.process_to_memory(before, **args["request"])
    else:
        after = source(args["after"])
    html = made.comparison_page(before, after, **more)
    return {"found": {text: text in html for text in args.get("find", [])}}


def op_cancel(args: Args) -> Any:
    token = pure_sound.CancelToken()
    match args["when"]:
        case "before":
            token.cancel()
            process(args, cancel=token)
        case "progress":
            process(args, cancel=token, progress=lambda progress: token.cancel())
        case other:
            raise Different(f"cancel at '{other}'")
    return {}


def blocks_of(audio: Audio, size: int, borders: list[int]) -> Iterator[tuple[int, Samples]]:
    """Blocks with their places; shorter where a border comes first."""
    at = 0
    while at < audio.frames:
        end = min([at + size, audio.frames, *[border for border in borders if border > at]])
        yield at, audio.samples[:, at:end]
        at = end


def op_chain(args: Args) -> Any:
    audio = signal(args["signal"])
    size: int = args.get("block_frames", 480)
    chain = pure_sound.Chain(
        args["filters"],
        audio.rate_hz,
        audio.channels,
        layout=audio.layout,
        max_frames=args.get("max_frames", size),
    )
    changes = args.get("changes", [])

    def once() -> list[Samples]:
        out = []
        for at, block in blocks_of(audio, size, [change["at_frame"] for change in changes]):
            for change in changes:
                if change["at_frame"] == at:
                    chain.set_parameter(change["filter"], change["parameter"], change["value"])
            if args.get("interleaved"):
                work = numpy.ascontiguousarray(block.T)
                chain.process_interleaved(work)
                out.append(work.T)
            else:
                work = block.copy()
                chain.process(work)
                out.append(work)
        return out

    done = once()
    if args.get("finish"):
        done.append(chain.finish())
    result = {
        "rate_hz": chain.rate_hz,
        "channels": chain.channels,
        "frames": sum(block.shape[1] for block in done),
        "latency_frames": chain.latency_frames,
        "tail_frames": chain.tail_frames,
        "sha256": digest(done),
    }
    if args.get("reset"):
        chain.reset()
        result["again"] = digest(once())
    return result


def op_meter(args: Args) -> Any:
    audio = signal(args["signal"])
    meter = pure_sound.Meter(audio.rate_hz, audio.channels, layout=audio.layout, **args.get("options", {}))
    for _, block in blocks_of(audio, args.get("block_frames", 480), []):
        if args.get("interleaved"):
            meter.push_interleaved(numpy.ascontiguousarray(block.T))
        else:
            meter.push(block)
    return {
        "momentary_lufs": number(meter.momentary_lufs),
        "short_term_lufs": number(meter.short_term_lufs),
        "integrated_lufs": number(meter.integrated_lufs),
        "summary": meter.summary(),
    }


def op_resample(args: Args) -> Any:
    audio = signal(args["signal"])
    quality = {"quality": args["quality"]} if "quality" in args else {}
    resampler = pure_sound.Resampler(audio.rate_hz, args["to_rate_hz"], audio.channels, **quality)
    interleaved = bool(args.get("interleaved"))
    done = []
    for _, block in blocks_of(audio, args.get("block_frames", 480), []):
        if interleaved:
            done.append(resampler.process_interleaved(numpy.ascontiguousarray(block.T)))
        else:
            done.append(resampler.process(block))
    done.append(resampler.finish_interleaved() if interleaved else resampler.finish())
    return {
        "frames": sum(block.shape[0 if interleaved else 1] for block in done),
        "sha256": digest(done, interleaved),
    }


def op_stream_decode(args: Args) -> Any:
    interleaved = bool(args.get("interleaved"))
    with pure_sound.Decoder(source(args["input"]), engine=engine(args), **args.get("options", {})) as decoder:
        if "seek" in args:
            decoder.seek(args["seek"])
        done: list[Samples] = []
        frames = 0
        while frames < args.get("limit_frames", math.inf):
            size = min(args.get("max_frames", 4096), args.get("limit_frames", math.inf) - frames)
            block = decoder.read_interleaved(int(size)) if interleaved else decoder.read(int(size))
            count = block.shape[0 if interleaved else 1]
            if count == 0:
                break
            frames += count
            done.append(block)
        return {
            "info": decoder.info,
            "frames": frames,
            "sha256": digest(done, interleaved),
            "damage": decoder.damage,
        }


def op_stream_encode(args: Args) -> Any:
    audio = signal(args["signal"])
    options = {key: args[key] for key in ("format", "metadata") if key in args}
    encoder = pure_sound.Encoder(
        args.get("path"), audio.rate_hz, audio.channels, layout=audio.layout, engine=engine(args), **options
    )
    stop = args.get("abort_at_frame")
    for at, block in blocks_of(audio, args.get("block_frames", 480), [] if stop is None else [stop]):
        if at == stop:
            break
        if args.get("interleaved"):
            encoder.write_interleaved(numpy.ascontiguousarray(block.T))
        else:
            encoder.write(block)
    if stop is not None:
        encoder.abort()
        return {"aborted": True}
    encoded = encoder.finish()
    data = Path(args["path"]).read_bytes() if "path" in args else encoder.data
    assert data is not None
    return {"encoded": encoded, "bytes": len(data), "sha256": hash_bytes(data)}


def run_first(host: Engine, args: Args) -> None:
    """Runs the request of the case, when there is one, so that there is something to tell."""
    if "request" in args:
        host.process_to_memory(source(args["input"]), **args["request"])


def op_metrics(args: Args) -> Any:
    host = engine(args)
    run_first(host, args)
    text = host.metrics()
    lines = text.splitlines()
    plain = [line for line in lines if not line.startswith("#") and " # " not in line]
    return {
        "families": dict(line.removeprefix("# TYPE ").split(" ", 1) for line in lines if line.startswith("# TYPE ")),
        "samples": dict(line.rsplit(" ", 1) for line in plain),
        "ended": text.endswith("# EOF\n"),
    }


def op_usage(args: Args) -> Any:
    host = engine(args)
    run_first(host, args)
    return host.usage()


def op_jobs(args: Args) -> Any:
    host = engine(args)
    if "signal" in args:
        host.encode(signal(args["signal"]), args["path"])
    with pure_sound.Jobs(args.get("database"), engine=host) as jobs:
        if "gate" in args:
            jobs.set_gate(args["gate"]["scope"], args["gate"]["gate"])
        if "get" in args:
            return jobs.get(args["get"])
        made = jobs.submit(**args["submission"])
        ids = [job["id"] for job in made["jobs"]]
        cancelled = [jobs.cancel(ids[index], "by the case") for index in args.get("cancel", [])]
        for index in args.get("retry", []):
            jobs.retry(ids[index])
        listed = len(jobs.list(**args.get("filter", {})))
        over, handed_back = False, 0
        if "start" in args:
            jobs.start(**args["start"])
            over = jobs.wait(ids, 60)
            handed_back = jobs.stop()
        records = [jobs.get(id) for id in ids]
        batch = None if made["batch"] is None else jobs.batch(made["batch"])
        return {
            "duplicates": [job["duplicate"] for job in made["jobs"]],
            "cancelled": cancelled,
            "listed": listed,
            "over": over,
            "handed_back": handed_back,
            "states": [record["state"] for record in records],
            "errors": [record["error"] and record["error"]["name"] for record in records],
            "priorities": [record["spec"]["priority"] for record in records],
            "steps": [[step["to"] for step in jobs.history(id)] for id in ids],
            "batch": batch and {"name": batch["name"], "states": batch["states"]},
            "stats": jobs.stats()["states"],
        }


OPERATIONS: dict[str, Callable[[Args], Any]] = {
    "version": lambda args: {"version": pure_sound.version()},
    "error_table": lambda args: {
        "errors": [{"code": code, "name": name, "kind": kind} for code, name, kind in pure_sound.error_table()]
    },
    "metrics": op_metrics,
    "health": lambda args: engine(args).health(args.get("probe")),
    "usage": op_usage,
    "presets": lambda args: {"names": [preset["name"] for preset in engine(args).presets()]},
    "preset": lambda args: engine(args).preset(args["preset"]),
    "filters": op_filters,
    "schema": op_schema,
    "recipe": lambda args: engine(args).recipe(args["request"]),
    "config": lambda args: engine(args).config(),
    "probe": lambda args: engine(args).probe(source(args["input"]), **args.get("options", {})),
    "tags": lambda args: engine(args).tags(source(args["input"]), **args.get("options", {})),
    "measure": lambda args: engine(args).measure(source(args["input"]), **args.get("options", {})),
    "analyse": lambda args: engine(args).analyse(source(args["input"]), **args.get("options", {})),
    "check": lambda args: engine(args).check(
        source(args["input"]), *args.get("specifications", []), **args.get("options", {})
    ),
    "classify": lambda args: engine(args).classify(source(args["input"]), **args.get("options", {})),
    "recommend": lambda args: engine(args).recommend(source(args["input"]), **args.get("options", {})),
    "compare": lambda args: engine(args).compare(
        source(args["reference"]), source(args["degraded"]), **args.get("options", {})
    ),
    "waveform_peaks": lambda args: engine(args).waveform_peaks(source(args["input"]), **args.get("options", {})),
    "picture": op_picture,
    "page": op_page,
    "page_of_two": op_page_of_two,
    "plan": lambda args: engine(args).plan(source(args["input"]), **args["request"]),
    "process": op_process,
    "decode": op_decode,
    "encode": op_encode,
    "events": op_events,
    "progress": op_progress,
    "cancel": op_cancel,
    "jobs": op_jobs,
    "chain": op_chain,
    "meter": op_meter,
    "resample": op_resample,
    "stream_decode": op_stream_decode,
    "stream_encode": op_stream_encode,
}


# Comparing.


def compare(wanted: Any, got: Any, tolerance: float, place: str = "") -> None:
    """Raises `Different` unless all of `wanted` is in `got`."""
    if isinstance(wanted, dict) and isinstance(got, dict):
        for key, value in wanted.items():
            if key not in got:
                raise Different(f"{place}.{key} is missing")
            compare(value, got[key], tolerance, f"{place}.{key}")
    elif isinstance(wanted, list) and isinstance(got, list):
        if len(wanted) != len(got):
            raise Different(f"{place}: {len(got)} items, not {len(wanted)}")
        for index, (one, other) in enumerate(zip(wanted, got, strict=True)):
            compare(one, other, tolerance, f"{place}[{index}]")
    elif _is_number(wanted) and _is_number(got):
        if not abs(wanted - got) <= tolerance:
            raise Different(f"{place} is {got!r}, not {wanted!r}")
    elif type(wanted) is not type(got) or wanted != got:
        raise Different(f"{place} is {got!r}, not {wanted!r}")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _in_folder(value: Any, folder: str) -> Any:
    if isinstance(value, str):
        return value.replace("{dir}", folder)
    if isinstance(value, list):
        return [_in_folder(item, folder) for item in value]
    if isinstance(value, dict):
        return {key: _in_folder(item, folder) for key, item in value.items()}
    return value


def run_case(case: Args) -> None:
    """Runs one case; raises `Different` when it comes out differently."""
    operation = OPERATIONS.get(case["op"])
    if operation is None:
        raise Different(f"unknown operation '{case['op']}'")
    with tempfile.TemporaryDirectory() as folder:
        args = _in_folder(case["args"], folder)
        tolerance = case.get("tolerance", 0.0)
        try:
            got = json.loads(json.dumps(operation(args)))
        except PureSoundError as error:
            if "error" not in case:
                raise
            record = {
                "code": error.code,
                "name": error.name,
                "kind": error.kind,
                "message": error.message,
                "details": error.details,
                "causes": error.causes,
            }
            compare(_in_folder(case["error"], folder), record, tolerance, "error")
        else:
            if "error" in case:
                raise Different(f"no error, but {str(got)[:200]}")
            compare(_in_folder(case["expect"], folder), got, tolerance)
        if "files" in case:
            compare(case["files"], sorted(path.name for path in Path(folder).iterdir()), 0, "files")


def cases() -> list[Args]:
    """All cases."""
    listed: list[Args] = json.loads(CASES.read_text(encoding="utf-8"))["cases"]
    return listed


def main() -> None:
    failed = 0
    listed = cases()
    for case in listed:
        try:
            run_case(case)
        except Exception as error:
            failed += 1
            print(f"{case['name']}: {type(error).__name__}: {error}")
    print(f"parity: {len(listed) - failed if failed else len(listed)} cases" + (f", {failed} failed" if failed else ""))
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
