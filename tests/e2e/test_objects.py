"""Recipes from and to objects, with a real server that speaks S3: `tests/with_services --only s3` starts one.

Needs a program with the feature object-store. PURESOUND_OBJECTS_BIN may name one beside the one that the other tests use; tests/run names the
one of the dev profile, which has all features, and then a missing feature is a failure.
"""

import json
import os
import signal
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
import uuid

import pytest

from conftest import BIN, SPEECH, ffprobe, puresound

SERVER = os.environ.get("PURESOUND_TEST_S3", "").rstrip("/")
PROGRAM = os.environ.get("PURESOUND_OBJECTS_BIN", BIN)
pytestmark = pytest.mark.skipif(not SERVER, reason="no S3 server: set PURESOUND_TEST_S3, or use tests/with_services")


def ask(method, path, data=None):
    """A plain request to the server; the body, or None when it says 404."""
    # Without a type urllib says that it is a form, and the server takes it apart as one. It asks that a reader has a name, and believes any.
    headers = {"Content-Type": "application/octet-stream", "Authorization": "AWS test:test"}
    request = urllib.request.Request(f"{SERVER}/{path}", data=data, method=method, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=60) as told:
            return told.read()
    except urllib.error.HTTPError as error:
        if error.code == 404:
            return None
        raise


def environment(endpoint=SERVER):
    return {**os.environ, "AWS_ENDPOINT": endpoint, "AWS_ALLOW_HTTP": "true", "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}


def run(*args, env=None):
    done = subprocess.run([PROGRAM, *map(str, args)], capture_output=True, timeout=300, env=env or environment())
    assert b"panicked at" not in done.stderr, done.stderr
    return done


@pytest.fixture(scope="module", autouse=True)
def capable():
    if b"object-store" in run("probe", "s3://none/none.wav").stderr:
        assert "PURESOUND_OBJECTS_BIN" not in os.environ, f"{PROGRAM} was built without the feature object-store"
        pytest.skip("the program was built without the feature object-store")


@pytest.fixture
def bucket():
    name = f"test-{uuid.uuid4()}"
    ask("PUT", name)
    ask("PUT", f"{name}/in.flac", SPEECH.read_bytes())
    return name


def test_from_an_object_to_an_object_is_as_from_file_to_file(bucket, tmp_path):
    done = run("process", f"s3://{bucket}/in.flac", "-o", f"s3://{bucket}/deep/out.opus", "--preset", "podcast")
    assert done.returncode == 0, done.stderr
    done = run("process", SPEECH, "-o", tmp_path / "near.opus", "--preset", "podcast")
    assert done.returncode == 0, done.stderr
    far = ask("GET", f"{bucket}/deep/out.opus")
    assert far == (tmp_path / "near.opus").read_bytes()
    (tmp_path / "far.opus").write_bytes(far)
    assert ffprobe(tmp_path / "far.opus")[0]["codec_name"] == "opus"


def test_a_workflow_stores_to_objects_and_reads_them(bucket, tmp_path):
    (tmp_path / "w.yaml").write_text("""
name: publish
inputs: {file: {type: file}, out: {type: folder}}
steps:
  - {id: look, type: measure, input: '${inputs.file}'}
  - {id: make, type: encode, input: '${inputs.file}', outputs: ['made/${inputs.file.stem}.opus']}
  - {id: put, type: store, files: '${steps.make.path}', to: '${inputs.out}/talks', name: first.opus}
  - {id: far, type: encode, input: '${steps.put.path}', outputs: ['${inputs.out}/second.flac'], after: [look]}
""")
    args = ["workflow", "run", str(tmp_path / "w.yaml"), "-i", f"file=s3://{bucket}/in.flac", "-i", f"out=s3://{bucket}/out",
            "--db", str(tmp_path / "jobs.db"), "--json"]
    done = subprocess.run([PROGRAM, *args], capture_output=True, timeout=300, env=environment(), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert {step["state"] for step in json.loads(done.stdout)["steps"]} == {"done"}
    assert ask("GET", f"{bucket}/out/talks/first.opus") == (tmp_path / "made" / "in.opus").read_bytes()
    (tmp_path / "second.flac").write_bytes(ask("GET", f"{bucket}/out/second.flac"))
    assert ffprobe(tmp_path / "second.flac")[0]["codec_name"] == "flac"


def test_what_is_missing_is_said(bucket):
    done = run("process", f"s3://{bucket}/no.flac", "-o", f"s3://{bucket}/out.opus")
    assert done.returncode != 0 and f"s3://{bucket}/no.flac: no such file" in done.stderr.decode(), done.stderr
    assert ask("GET", f"{bucket}/out.opus") is None


def test_an_object_is_not_its_own_output(bucket):
    done = run("process", f"s3://{bucket}/in.flac", "-o", f"s3://{bucket}/in.flac")
    assert done.returncode != 0 and b"is the input" in done.stderr, done.stderr
    assert ask("GET", f"{bucket}/in.flac") == SPEECH.read_bytes()


class SlowWay:
    """A way to the server that lets little through, and counts what goes up."""

    def __init__(self, bytes_per_s):
        self.up = 0
        self.bytes_per_s = bytes_per_s
        host, port = SERVER.removeprefix("http://").split(":")
        self.target = (host, int(port))
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            near, _ = self.listener.accept()
            far = socket.create_connection(self.target)
            threading.Thread(target=self.pump, args=(near, far, True), daemon=True).start()
            threading.Thread(target=self.pump, args=(far, near, False), daemon=True).start()

    def pump(self, source, target, upwards):
        try:
            while block := source.recv(65536):
                if upwards:
                    self.up += len(block)
                    time.sleep(len(block) / self.bytes_per_s)
                target.sendall(block)
        except OSError:
            pass
        for end in (source, target):
            end.close()


def test_kill_9_in_the_middle_of_an_upload_leaves_nothing(bucket, long_wav):
    way = SlowWay(4_000_000)
    args = [PROGRAM, "convert", str(long_wav), "-o", f"s3://{bucket}/long.wav"]
    process = subprocess.Popen(args, env=environment(way.url), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 120
    # More than all requests together: parts are on their way, but not all of them.
    while way.up < 4_000_000 and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    assert process.poll() is None, process.stderr.read()
    process.send_signal(signal.SIGKILL)
    process.wait(timeout=30)
    assert ask("GET", f"{bucket}/long.wav") is None
    done = run("convert", long_wav, "-o", f"s3://{bucket}/long.wav")
    assert done.returncode == 0, done.stderr
    assert len(ask("GET", f"{bucket}/long.wav")) > 8 << 20, "large enough for parts"


def test_without_the_feature_a_url_is_refused_by_its_name():
    done = puresound("probe", "s3://bucket/key.wav", check=None, env=environment())
    if PROGRAM == BIN:
        pytest.skip("the program has the feature")
    assert done.code != 0 and "object-store" in done.err
