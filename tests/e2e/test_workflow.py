"""Workflows: planned, run, interrupted, resumed, cancelled."""

import base64
import hashlib
import hmac
import http.server
import json
import os
import shutil
import signal
import subprocess
import threading
import time

import pytest

from conftest import BIN, MUSIC, SPEECH, ffmpeg_loudness, ffprobe, names, puresound

MANY = """
name: many
inputs: {files: {type: files}, out: {type: folder, default: out}}
steps:
  - id: each
    type: fan_out
    files: ${inputs.files}
    steps:
      - {id: make, type: process, recipe: {preset: podcast, input: '${item}', output: '${inputs.out}/${item.stem}.opus'}, retry: {crashes: 100}}
  - {id: done, type: notify, message: '${steps.each.count} made'}
"""


@pytest.fixture
def many(tmp_path):
    """A workflow over 16 recordings, and its folder."""
    (tmp_path / "in").mkdir()
    for i in range(16):
        shutil.copy(MUSIC, tmp_path / "in" / f"{i:02}.mp3")
    (tmp_path / "many.yaml").write_text(MANY)
    return tmp_path


def workflow(folder, *args, check=0):
    return puresound("workflow", *args, "--db", folder / "jobs.db", check=check, cwd=folder)


def popen(folder, *args):
    return subprocess.Popen([BIN, "workflow", *args, "--db", str(folder / "jobs.db"), "--lease-ms", "1000"], cwd=folder,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def test_a_built_in_workflow_publishes_an_episode(tmp_path):
    result = workflow(tmp_path, "run", "podcast_publish", "--input", f"file={SPEECH}", "--input", "out=pub", "--json")
    assert result.json["state"] == "succeeded"
    states = {step["step"]: step["state"] for step in result.json["steps"]}
    assert states["announce"] == "done" and states["warn"] == "skipped" and states["refuse"] == "skipped"
    assert names(tmp_path / "pub") == ["speech.mp3", "speech.opus"]
    integrated, peak = ffmpeg_loudness(tmp_path / "pub" / "speech.mp3")
    # Apple Podcasts for Creators: -16 LKFS +/-1 dB, at most -1 dBTP; 0.1 dB for the oversampling of another meter.
    assert abs(integrated + 16) <= 1 and peak <= -0.9


def test_a_plan_tells_what_would_happen_and_leaves_nothing(tmp_path):
    plan = puresound("workflow", "plan", "podcast_publish", "-i", f"file={SPEECH}", "--json", cwd=tmp_path).json
    assert [step["id"] for step in plan["steps"]][0] == "look"
    assert any("speech.mp3" in step["what"] for step in plan["steps"])
    dry = puresound("workflow", "run", "podcast_publish", "-i", f"file={SPEECH}", "--dry-run", cwd=tmp_path)
    assert b"steps.look.loudness.integrated_lufs < -60" in dry.out
    assert names(tmp_path) == []


@pytest.mark.parametrize("text, words", [
    ("{name: a, stepz: []}", "did you mean 'steps'?"),
    ("{name: a, steps: [{id: x, type: measure, input: y, retires: 3}]}", "steps.x.retires: unknown field"),
    ("{name: a, steps: [{id: x, type: notify, message: m, after: [x]}]}", "circle: x -> x"),
    ("{name: a, steps: [{id: x, type: custom, action: upload}]}", "nothing is registered as 'upload'"),
    ("{name: [", "line "),
])
def test_mistakes_are_named_with_the_file(tmp_path, text, words):
    (tmp_path / "bad.yaml").write_text(text)
    result = workflow(tmp_path, "run", "bad.yaml", "--json", check=5)
    assert words in result.json["error"]["message"], result.json
    assert names(tmp_path) == ["bad.yaml"]


def test_inputs_are_checked(tmp_path):
    told = workflow(tmp_path, "run", "podcast_publish", "-i", "fil=x", check=5).err
    assert "did you mean 'file'?" in told and "inputs.file: is missing" in told
    assert "did you mean 'podcast_publish'?" in workflow(tmp_path, "run", "podcast_publsh", check=5).err


@pytest.mark.parametrize("sig", [signal.SIGINT, signal.SIGKILL], ids=["SIGINT", "SIGKILL"])
def test_an_interrupted_run_goes_on_where_it_was(many, sig):
    process = popen(many, "run", "many.yaml", "-i", "files=in/*.mp3", "--jsonl")
    run = json.loads(process.stdout.readline())["run"]
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and len(list((many / "out").glob("*.opus"))) < 3:
        time.sleep(0.02)
    process.send_signal(sig)
    assert process.wait(timeout=30) in (130, -signal.SIGKILL)
    process.communicate()
    done = {p.name: (p.stat().st_ino, p.stat().st_mtime_ns) for p in (many / "out").glob("*.opus")}
    assert 3 <= len(done) < 16
    # Not even a hidden file is half there.
    assert all(n.endswith(".opus") for n in names(many / "out"))
    result = workflow(many, "resume", run, "--lease-ms", "1000", "--json")
    assert result.json["state"] == "succeeded" and result.json["run"] == run
    after = {p.name: (p.stat().st_ino, p.stat().st_mtime_ns) for p in (many / "out").glob("*.opus")}
    assert len(after) == 16 and all(after[n] == stamp for n, stamp in done.items()), "what was there was not touched"
    assert ffprobe(many / "out" / "15.opus")[0]["codec_name"] == "opus"
    assert workflow(many, "resume", run, check=8).err.startswith("error:")


def test_a_run_is_cancelled_from_elsewhere_and_listed(many):
    process = popen(many, "run", "many.yaml", "-i", "files=in/*.mp3", "--jsonl")
    run = json.loads(process.stdout.readline())["run"]
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not list((many / "out").glob("*.opus")):
        time.sleep(0.02)
    assert [r["state"] for r in workflow(many, "list", "--json").json] == ["running"]
    workflow(many, "cancel", run)
    assert process.wait(timeout=30) == 130
    process.communicate()
    shown = workflow(many, "show", run, "--json").json
    assert shown["state"] == "cancelled"
    assert {step["state"] for step in shown["steps"]} <= {"done", "cancelled", "open"}
    workflow(many, "cancel", run, check=8)
    # By hand it may go on.
    assert workflow(many, "resume", run, "--json").json["state"] == "succeeded"
    assert len(names(many / "out")) == 16


def test_a_run_may_be_left_to_another_process(many):
    asked = workflow(many, "run", "many.yaml", "-i", "files=in/00.mp3", "--detach", "--json").json
    assert asked["state"] == "waiting" and not (many / "out").exists()
    # The definition is kept with the run.
    (many / "many.yaml").unlink()
    done = workflow(many, "resume", asked["run"])
    assert b"1 made" in done.out and names(many / "out") == ["00.opus"]


def worker(folder, *args):
    return subprocess.Popen([BIN, "worker", "--db", str(folder / "jobs.db"), "--workers", "2", "--jsonl", *args], cwd="/",
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, "PURESOUND_JOBS__LEASE_MS": "1000"})


def test_workers_do_runs_and_go_on_with_those_of_killed_ones(many):
    run = workflow(many, "run", "many.yaml", "-i", "files=in/*.mp3", "--detach", "--json").json["run"]
    # Beside other jobs.
    puresound("jobs", "submit", SPEECH, "-o", many / "beside.opus", "--db", many / "jobs.db")
    made = lambda: {p.name: (p.stat().st_ino, p.stat().st_mtime_ns) for p in (many / "out").glob("*.opus")}
    seen = {}
    for wanted in (3, 8):
        workers = [worker(many) for _ in range(2)]
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and len(made()) < wanted:
            time.sleep(0.02)
        for process in workers:
            process.kill()
            process.communicate()
        now = made()
        assert wanted <= len(now) < 16 and all(now[name] == stamp for name, stamp in seen.items())
        seen = now
    last = worker(many, "--until-idle")
    out, err = last.communicate(timeout=120)
    assert last.returncode == 0, err
    lines = [json.loads(line) for line in out.splitlines()]
    assert [line["notice"]["message"] for line in lines if line["event"] == "notice"] == ["16 made"]
    after = made()
    assert len(after) == 16 and all(after[name] == stamp for name, stamp in seen.items()), "what was there was not touched"
    assert (many / "beside.opus").exists()
    report = workflow(many, "show", run, "--json").json
    assert report["state"] == "succeeded" and all(step["state"] == "done" for step in report["steps"])


def test_a_worker_tells_of_runs_that_failed(tmp_path):
    (tmp_path / "w.yaml").write_text("{name: w, inputs: {file: {type: file}}, steps: [{id: a, type: measure, input: '${inputs.file}'}]}")
    (tmp_path / "no.wav").write_bytes(b"no audio")
    run = workflow(tmp_path, "run", "w.yaml", "-i", "file=no.wav", "--detach", "--json").json["run"]
    puresound("worker", "--until-idle", "--db", tmp_path / "jobs.db", check=1)
    shown = workflow(tmp_path, "show", run, "--json").json
    assert shown["state"] == "failed" and "not a recognised audio file" in shown["error"]["message"]


class Listener(http.server.BaseHTTPRequestHandler):
    """Takes notices: the first one gets 503, the others 204."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.seen.append((self.path, dict(self.headers), body))
        self.send_response(503 if len(self.server.seen) == 1 else 204)
        self.end_headers()

    def log_message(self, *_):
        pass


def test_a_webhook_is_called_when_it_is_allowed(tmp_path):
    program = os.environ.get("PURESOUND_OBJECTS_BIN", BIN)
    server = http.server.HTTPServer(("127.0.0.1", 0), Listener)
    server.seen = []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    base = f"http://127.0.0.1:{server.server_port}/hooks"
    (tmp_path / "w.yaml").write_text(f"""
name: w
steps:
  - {{id: tell, type: notify, message: it is ready, data: {{n: 1}}, webhook: '{base}/done', retry: {{base_ms: 10, max_ms: 10}}}}
""")

    def run(*args):
        command = [program, "workflow", "run", "w.yaml", "--db", "jobs.db", "--json", *args]
        return subprocess.run(command, capture_output=True, cwd=tmp_path, timeout=60, env={**os.environ, "KEY": "key"})

    refused = run()
    if b"feature webhook" in refused.stdout + refused.stderr:
        assert "PURESOUND_OBJECTS_BIN" not in os.environ, f"{program} was built without the feature webhook"
        pytest.skip("the program was built without the feature webhook")
    assert refused.returncode == 1 and b"not among the webhooks that are allowed" in refused.stderr, refused
    private = run("--webhook", base)
    assert private.returncode == 1 and b"no public address" in private.stderr, private
    assert server.seen == []
    done = run("--webhook", base, "--webhook-private", "--webhook-secret", "env:KEY")
    assert done.returncode == 0, done.stderr
    (step,) = json.loads(done.stdout)["steps"]
    assert step["claims"] == 2 and [path for path, _, _ in server.seen] == ["/hooks/done"] * 2
    for _, headers, body in server.seen:
        notice = json.loads(body)
        assert (notice["message"], notice["data"], notice["key"]) == ("it is ready", {"n": 1}, headers["webhook-id"])
        signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        mac = base64.b64encode(hmac.new(b"key", signed, hashlib.sha256).digest()).decode()
        assert headers["webhook-signature"] == f"v1,{mac}"
    assert server.seen[0][1]["webhook-id"] == server.seen[1][1]["webhook-id"], "the same for both tries"
    server.shutdown()


def test_failures_are_told_by_the_exit_code(tmp_path):
    (tmp_path / "w.yaml").write_text("""
name: w
inputs: {file: {type: file}}
steps:
  - {id: a, type: measure, input: '${inputs.file}', on_failure: continue}
  - {id: b, type: notify, message: 'it is ${steps.a.integrated_lufs}'}
""")
    (tmp_path / "no.wav").write_bytes(b"no audio")
    result = workflow(tmp_path, "run", "w.yaml", "-i", "file=no.wav", "--json", check=1)
    assert result.json["state"] == "partial"
    assert [step["state"] for step in result.json["steps"]] == ["failed", "skipped"]
    (tmp_path / "w.yaml").write_text((tmp_path / "w.yaml").read_text().replace(", on_failure: continue", ""))
    result = workflow(tmp_path, "run", "w.yaml", "-i", "file=no.wav", check=1)
    assert "step 'a' failed: not a recognised audio file" in result.err


def test_the_library_is_listed_and_can_be_copied(tmp_path):
    library = puresound("workflow", "list", "--library", "--json").json
    assert {w["name"] for w in library} == {"archive_ingest", "audiobook_acx", "course_batch", "podcast_publish"}
    (tmp_path / "own.yaml").write_bytes(puresound("workflow", "show", "course_batch").out)
    shutil.copy(SPEECH, tmp_path / "one.flac")
    result = workflow(tmp_path, "run", "own.yaml", "-i", "files=*.flac", "-i", "out=c", "--json")
    assert result.json["state"] == "succeeded" and names(tmp_path / "c") == ["one.m4a"]
