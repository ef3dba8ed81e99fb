"""Tags, pictures and chapters: carried over, or named in the report."""

import mutagen
import mutagen.id3
import mutagen.mp4
import pytest

from conftest import MUSIC, SPEECH, puresound

FORMATS = ["wav", "aiff", "flac", "mp3", "m4a", "opus"]


KEYS = {
    "id3": {"title": "TIT2", "artist": "TPE1", "album": "TALB", "genre": "TCON"},
    "mp4": {"title": "\xa9nam", "artist": "\xa9ART", "album": "\xa9alb", "genre": "\xa9gen"},
    "vorbis": {"title": "title", "artist": "artist", "album": "album", "genre": "genre"},
}


def easy(path):
    """Title, artist, album, genre as mutagen reads them, and the number of pictures."""
    file = mutagen.File(path)
    tags = file.tags
    if tags is None:
        return {}, 0
    if isinstance(tags, mutagen.id3.ID3):
        kind, pictures = "id3", len(tags.getall("APIC"))
    elif isinstance(tags, mutagen.mp4.MP4Tags):
        kind, pictures = "mp4", len(tags.get("covr", []))
    else:
        kind, pictures = "vorbis", len(getattr(file, "pictures", None) or tags.get("metadata_block_picture", []))

    def first(key):
        value = tags.get(key)
        value = getattr(value, "text", value)
        return str(value[0]) if value else None

    return {name: first(key) for name, key in KEYS[kind].items()}, pictures


@pytest.mark.parametrize("ext", FORMATS)
@pytest.mark.parametrize("media", [SPEECH, MUSIC], ids=["speech", "music"])
def test_common_tags_survive_as_mutagen_reads_them(ext, media, tmp_path):
    path = tmp_path / f"a.{ext}"
    report = puresound("convert", media, "-o", path, "--json").json
    want, pictures = easy(media)
    got, got_pictures = easy(path)
    lost = {loss["field"] for loss in report["outputs"][0]["losses"]}
    for key, value in want.items():
        assert got.get(key) == value or key in lost, f"{key}: {got.get(key)!r}, not {value!r}, and not listed as lost"
    assert pictures == 1 and (got_pictures == 1 or "picture" in lost)


@pytest.mark.parametrize("ext", FORMATS)
def test_nothing_is_lost_silently(ext, tmp_path):
    path = tmp_path / f"a.{ext}"
    report = puresound("convert", SPEECH, "-o", path, "--json").json
    before = puresound("probe", SPEECH, "--json").json["metadata"]
    after = puresound("probe", path, "--json").json["metadata"]
    lost = {loss["field"] for loss in report["outputs"][0]["losses"]}
    kept = {f["key"]: f["values"] for f in after["fields"]}
    for field in before["fields"]:
        assert kept.get(field["key"]) == field["values"] or field["key"] in lost, field
    chapters = [c["title"] for c in before["chapters"]]
    assert len(chapters) == 2
    assert [c["title"] for c in after["chapters"]] == chapters or {"chapter", "chapters"} & lost
    assert len(after["pictures"]) == 1 or {"picture", "pictures"} & lost


def test_set_remove_and_policies(tmp_path):
    path = tmp_path / "a.mp3"
    puresound("convert", SPEECH, "-o", path, "--tag", "title=New = title", "--tag", "comment=", "--tag", "artist=\u00c4\u4e2d")
    tags = puresound("tags", path, "--json").json
    assert tags["title"] in ("New = title", ["New = title"]) and tags["artist"] in ("\u00c4\u4e2d", ["\u00c4\u4e2d"])
    assert "comment" not in tags
    puresound("convert", SPEECH, "-o", path, "--tags", "none")
    fields, pictures = easy(path)
    assert not any(fields.values()) and pictures == 0


def test_tags_json_has_the_promised_names():
    tags = puresound("tags", SPEECH, "--json").json
    assert {"title", "artist", "album", "album_artist", "genre", "composer", "date", "track"} <= set(tags)
