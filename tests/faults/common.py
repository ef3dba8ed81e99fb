"""What the fault scripts share: the program, jobs as the database has them, recordings, lines of results."""

import json
import os
import random
import shutil
import signal
import sqlite3
import struct
import subprocess
import sys
import tempfile
import time
import wave
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BIN = os.environ.get("PURESOUND_BIN", str(ROOT / "target" / "release" / "puresound"))
# The configuration of whoever runs this is none of its business.
ENV = {**os.environ, "PURESOUND_CONFIG": ""}
failed = False


def line(id, what, value, goal, good):
    """One figure beside its goal."""
    global failed
    failed |= not good
    print(f"{id} {what}: {value}, goal {goal}: {'PASS' if good else 'FAIL'}", flush=True)


def end():
    sys.exit(1 if failed else 0)


def puresound(*args, **settings):
    """Runs the program; settings are of the section `jobs`. Its JSON."""
    done = subprocess.run([BIN, *map(str, args), "--json"], capture_output=True, env=env(settings), timeout=600)
    if done.returncode != 0:
        raise SystemExit(f"{args}: exit code {done.returncode}: {done.stderr.decode()}")
    return json.loads(done.stdout)


def env(settings):
    return {**ENV, **{f"PURESOUND_JOBS__{key.upper()}": str(value) for key, value in settings.items()}}


class Worker:
    """A worker process."""

    def __init__(self, db, threads, log, *args, **settings):
        self.log = open(log, "ab")
        self.process = subprocess.Popen(
            [BIN, "worker", "--db", str(db), "--workers", str(threads), "--jsonl", *map(str, args)],
            stdout=self.log, stderr=self.log, env=env(settings))
        self.name = f"worker-{self.process.pid}"

    def kill(self):
        """kill -9; when, in ms since 1970."""
        now = time.time_ns() // 1_000_000
        self.process.kill()
        self.process.wait()
        self.log.close()
        return now

    def terminate(self, timeout):
        """SIGTERM; when it was sent, in ms since 1970, and how long it took to end, in seconds."""
        now, begun = time.time_ns() // 1_000_000, time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=timeout)
        self.log.close()
        return now, time.monotonic() - begun

    def alive(self):
        return self.process.poll() is None


class Store:
    """Reads the database of jobs; never writes."""

    def __init__(self, path):
        self.db = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30)

    def jobs(self):
        """All jobs: {id: status}, with the specification as `spec`."""
        rows = self.db.execute("select id, spec, status from jobs order by id").fetchall()
        return {id: {**json.loads(status), "spec": json.loads(spec)} for id, spec, status in rows}

    def count_over(self):
        return self.db.execute("select count(*) from jobs where state >= 4").fetchone()[0]

    def history(self):
        """Steps by job, in order."""
        steps = {}
        for id, entry in self.db.execute("select job, entry from history order by rowid"):
            steps.setdefault(id, []).append(json.loads(entry))
        return steps

    def integrity(self):
        return self.db.execute("pragma integrity_check").fetchall() == [("ok",)]


def tone(path, seconds=1.0, rate=16000):
    """A square wave with a little noise: 16 bits, mono."""
    noise = random.Random(7)
    with wave.open(str(path), "wb") as out:
        out.setparams((1, 2, rate, 0, "NONE", ""))
        frames = int(seconds * rate)
        out.writeframes(b"".join(
            struct.pack("<h", (6000 if n // 20 % 2 else -6000) + noise.randrange(-500, 500)) for n in range(frames)))


@contextmanager
def folder():
    """A folder for one script, on the disk of the project: the system's folder for temporary files may be in memory."""
    base = Path(os.environ.get("PURESOUND_FAULTS_DIR", ROOT / "target"))
    path = Path(tempfile.mkdtemp(prefix="faults-", dir=base))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
