"""The cache from the command line: the same result again, never another one, and nothing where none was asked for."""

import os

import pytest

from conftest import MUSIC, SPEECH, ffmpeg_md5, puresound


def run(tmp_path, name, *more, **kwargs):
    """One run through the cache: report and bytes of the output."""
    args = ["process", SPEECH, "-o", tmp_path / name, "--preset", "podcast", "--json", "--cache", tmp_path / "cache"]
    report = puresound(*args, *more, **kwargs).json
    return report, (tmp_path / name).read_bytes()


def kept(tmp_path):
    """Files of values in the cache."""
    return [p for p in (tmp_path / "cache").rglob("*") if p.is_file()]


def test_a_second_process_takes_what_the_first_has_made(tmp_path):
    first, made = run(tmp_path, "a.flac")
    again, same = run(tmp_path, "b.flac")
    assert (first["from_cache"], again["from_cache"]) == (False, True)
    assert made == same and ffmpeg_md5(tmp_path / "a.flac") == ffmpeg_md5(tmp_path / "b.flac")
    assert again["outputs"][0].pop("path") == str(tmp_path / "b.flac")
    assert first["outputs"][0].pop("path") == str(tmp_path / "a.flac")
    assert first["outputs"] == again["outputs"] and first["timing"] == again["timing"]
    assert first["before"] == again["before"]
    assert b"from the cache" in puresound("process", SPEECH, "-o", tmp_path / "c.flac", "--preset", "podcast", "--cache",
                                          tmp_path / "cache").out
    plain = puresound("process", SPEECH, "-o", tmp_path / "d.flac", "--preset", "podcast", "--json").json
    assert plain["from_cache"] is False and (tmp_path / "d.flac").read_bytes() == made
    # Another sound is another result; the same recording from standard input is the same.
    assert run(tmp_path, "e.flac", "--loudness", "-20")[0]["from_cache"] is False
    piped = puresound("process", "-", "-o", tmp_path / "f.flac", "--preset", "podcast", "--json", "--cache",
                      tmp_path / "cache", input=SPEECH.read_bytes())
    assert piped.json["from_cache"] is True and (tmp_path / "f.flac").read_bytes() == made


@pytest.mark.parametrize("command", [["loudness"], ["analyse", "--series"], ["check"]], ids=lambda c: c[0])
def test_figures_from_the_cache_are_the_same_to_the_last_digit(command, tmp_path):
    args = [*command, MUSIC, "--json"]
    metrics = tmp_path / "metrics.txt"
    plain = puresound(*args).out
    made = puresound(*args, "--cache", tmp_path / "cache").out
    again = puresound(*args, "--cache", tmp_path / "cache", "--metrics", metrics).out
    assert plain == made == again
    assert 'pure_sound_cache_hits_total{layer="disk"} 1\n' in metrics.read_text()


def test_damage_in_the_folder_is_noticed_and_mended(tmp_path):
    _, made = run(tmp_path, "a.flac")
    for path in kept(tmp_path):
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 0x10
        path.write_bytes(data)
    metrics = tmp_path / "metrics.txt"
    report, again = run(tmp_path, "b.flac", "--metrics", metrics)
    assert report["from_cache"] is False and again == made
    assert 'pure_sound_cache_bad_total{layer="disk"} 1\n' in metrics.read_text()
    mended, same = run(tmp_path, "c.flac")
    assert mended["from_cache"] is True and same == made


def test_a_secret_keeps_strangers_out(tmp_path):
    env = {**os.environ, "PURESOUND_CACHE__SECRET": "env:CACHE_SECRET", "CACHE_SECRET": "one"}
    run(tmp_path, "a.flac", env=env)
    assert run(tmp_path, "b.flac", env=env)[0]["from_cache"] is True
    assert run(tmp_path, "b.flac", env={**env, "CACHE_SECRET": "two"})[0]["from_cache"] is False


def test_nothing_is_kept_unless_it_is_asked_for(tmp_path):
    env = {**os.environ, "PURESOUND_CACHE__DIR": str(tmp_path / "cache")}
    args = ["loudness", SPEECH, "--json"]
    puresound(*args, "--no-cache", env=env)
    puresound(*args)
    assert not (tmp_path / "cache").exists()
    puresound(*args, env=env)
    assert len(kept(tmp_path)) == 1
    assert puresound(*args, "--cache", tmp_path / "x", "--no-cache", check=2).err


@pytest.mark.skipif(os.name == "nt", reason="Unix permissions")
def test_a_folder_for_everybody_is_refused(tmp_path):
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache").chmod(0o777)
    result = puresound("loudness", SPEECH, "--cache", tmp_path / "cache", check=7)
    assert "others may write" in result.err
