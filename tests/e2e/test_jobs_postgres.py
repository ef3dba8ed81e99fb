"""Jobs in PostgreSQL, as programs on several machines share them: `tests/with_services --only postgres` starts a server.

Needs a program with the feature postgres; see test_objects.py for which one is taken.
"""

import json
import os
import re
import signal
import subprocess
import time

import pytest

from conftest import BIN, SPEECH, names

SERVER = os.environ.get("PURESOUND_TEST_POSTGRES", "")
PROGRAM = os.environ.get("PURESOUND_OBJECTS_BIN", BIN)
pytestmark = pytest.mark.skipif(not SERVER, reason="no PostgreSQL: set PURESOUND_TEST_POSTGRES, or use tests/with_services")


def url():
    """The server's connection string as a URL."""
    parts = dict(re.findall(r"(\w+)=(\S+)", SERVER))
    return f"postgres://{parts['user']}@{parts['host']}:{parts['port']}/{parts['dbname']}"


def command(*args):
    return [PROGRAM, *map(str, args), "--db", url()]


def run(*args, check=0, **kwargs):
    done = subprocess.run(command(*args), capture_output=True, text=True, timeout=120, **kwargs)
    assert done.returncode == check and "panicked at" not in done.stderr, done.stderr
    return done


@pytest.fixture(scope="module", autouse=True)
def capable():
    done = subprocess.run(command("jobs", "stats"), capture_output=True, text=True, timeout=60)
    if "feature postgres" in done.stderr:
        assert "PURESOUND_OBJECTS_BIN" not in os.environ, f"{PROGRAM} was built without the feature postgres"
        pytest.skip("the program was built without the feature postgres")


def work(name):
    # A lease that ends soon, so that nobody has to wait for it.
    env = {**os.environ, "PURESOUND_JOBS__LEASE_MS": "2000"}
    args = command("worker", "--name", name, "--workers", 1, "--jsonl")
    return subprocess.Popen(args, stdout=subprocess.PIPE, text=True, env=env)


def test_two_workers_share_a_batch_and_one_of_them_is_killed(tmp_path):
    files = []
    for n in range(12):
        files.append(tmp_path / f"in{n:02}.flac")
        files[-1].write_bytes(SPEECH.read_bytes())
    out = tmp_path / "out"
    out.mkdir()
    submitted = run("jobs", "submit", *files, "-o", out, "--format", "opus", "--json")
    ids = {job["id"] for job in json.loads(submitted.stdout)["jobs"]}
    assert len(ids) == 12
    first = work("first")
    begun = json.loads(first.stdout.readline())
    assert begun["state"] == "running"
    first.send_signal(signal.SIGKILL)
    first.wait()
    # What the dead one had is done by the others, once its lease is over.
    others = [work(name) for name in ("second", "third")]
    deadline = time.monotonic() + 100
    while json.loads(run("jobs", "stats", "--json").stdout)["states"].get("succeeded", 0) < 12:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    for other in others:
        other.send_signal(signal.SIGTERM)
        assert other.wait(30) == 0
        assert '"event":"summary"' in other.stdout.read().replace(" ", "")
    assert names(out) == sorted(f"in{n:02}.opus" for n in range(12))
    crashed = json.loads(run("jobs", "show", begun["id"], "--json").stdout)
    assert crashed["state"] == "succeeded" and crashed["claims"] >= 2


def test_where_it_is_may_be_kept_secret(tmp_path):
    env = {**os.environ, "PURESOUND_JOBS__POSTGRES": url(), "XDG_STATE_HOME": str(tmp_path)}
    args = [PROGRAM, "jobs", "stats", "--json"]
    done = subprocess.run(args, capture_output=True, text=True, timeout=60, env=env)
    assert done.returncode == 0 and "states" in json.loads(done.stdout)
    assert not (tmp_path / "puresound" / "jobs.db").exists()
    shown = subprocess.run([PROGRAM, "config", "show"], capture_output=True, text=True, timeout=60, env=env)
    assert shown.returncode == 0 and url() not in shown.stdout and "***" in shown.stdout


def test_a_server_that_is_not_there_is_named():
    args = [PROGRAM, "jobs", "list", "--db", "postgres://me:secret@127.0.0.1:1/none", "--json"]
    done = subprocess.run(args, capture_output=True, text=True, timeout=60)
    error = json.loads(done.stdout or done.stderr)["error"]
    assert error["name"] == "UNAVAILABLE" and "127.0.0.1:1" in error["message"] and "secret" not in done.stdout + done.stderr
