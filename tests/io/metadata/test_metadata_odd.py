"""Files of odd structure: their sound stays as it is, or they are refused and left alone."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from audiofiles import encode, tone

from audiocli.errors import AudioCliError, AudioError
from audiocli.io.metadata import Cover, Tags, put_tags, read_tags, read_values, sound, write_tags

TAGS = Tags({"genre": ["rock"], "mood": ["dark"]})
DATA = np.round(tone(0.5) * 32767).astype("<i2").T.tobytes()
WAV_SIZE = 36 + len(DATA)
UNKNOWN = 0xFFFFFFFF


def wav(riff: int = WAV_SIZE, data: int = len(DATA), rest: bytes = b"") -> bytes:
    """A WAV file of two channels whose header states these sizes."""
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 2, 44_100, 176_400, 4, 16)
    head = struct.pack("<4sI4s", b"RIFF", riff, b"WAVE") + form
    return head + struct.pack("<4sI", b"data", data) + DATA + rest


def aiff(path: Path, *, form: int = 0, stated: int = 0, sound: int | None = None) -> bytes:
    """An AIFF file whose FORM chunk is so much larger than it should state, or states this."""
    soundfile.write(path, tone(0.5).T, 44_100, format="AIFF", subtype="PCM_16")
    data = bytearray(path.read_bytes())
    right = struct.unpack(">I", data[4:8])[0]
    data[4:8] = struct.pack(">I", stated or right + form)
    if sound is not None:
        at = data.index(b"SSND") + 4
        data[at : at + 4] = struct.pack(">I", sound)
    return bytes(data)


def encoded(path: Path, kind: str, seconds: float = 1.0) -> bytes:
    forms = {"mp3": ("MP3", "MPEG_LAYER_III"), "flac": ("FLAC", "PCM_16"),
             "ogg": ("OGG", "VORBIS"), "opus": ("OGG", "OPUS")}  # fmt: skip
    container, coding = forms[kind]
    samples = tone(seconds, rate=48_000).T
    soundfile.write(path, samples, 48_000, format=container, subtype=coding)
    return path.read_bytes()


def fragmented(path: Path, flags: str) -> bytes:
    noise = np.random.default_rng(1).uniform(-0.5, 0.5, (2, 88_200)).astype(np.float32)
    options = {"movflags": flags, **({} if flags == "faststart" else {"frag_duration": "300000"})}
    encode(path, "aac", noise, format="mp4", options=options)
    return path.read_bytes()


def odd_files(folder: Path) -> dict[str, bytes]:
    scratch = folder / "scratch"
    made = {
        "riff-36.wav": wav(riff=36),
        "riff-1000-less.wav": wav(riff=WAV_SIZE - 1000),
        "riff-8-less.wav": wav(riff=WAV_SIZE - 8),
        "riff-1-less.wav": wav(riff=WAV_SIZE - 1),
        "riff-more.wav": wav(riff=WAV_SIZE + 1000),
        "riff-0.wav": wav(riff=0),
        "riff-unknown.wav": wav(riff=UNKNOWN),
        "data-unknown.wav": wav(data=UNKNOWN),
        "data-0.wav": wav(data=0),
        "all-unknown.wav": wav(UNKNOWN, UNKNOWN),
        "all-0.wav": wav(0, 0),
        "cut.wav": wav()[:-5001],
        "behind.wav": wav(rest=b"notes" * 99),
        "empty-id3.wav": wav(riff=WAV_SIZE + 18, rest=b"id3 \x0a\0\0\0ID3\4\0\0\0\0\0\0"),
        "rf64.wav": b"RF64" + wav(riff=UNKNOWN)[4:],
        "less.aiff": aiff(scratch, form=-1000),
        "more.aiff": aiff(scratch, form=1000),
        "46.aiff": aiff(scratch, stated=46),
        "unknown.aiff": aiff(scratch, stated=UNKNOWN),
        "sound-unknown.aiff": aiff(scratch, sound=UNKNOWN),
        "absolute.m4a": fragmented(scratch, "frag_keyframe+empty_moov"),
        "absolute-moov.m4a": fragmented(scratch, "frag_keyframe"),
        "relative.m4a": fragmented(scratch, "frag_keyframe+empty_moov+default_base_moof"),
        "dash.m4a": fragmented(scratch, "dash+global_sidx"),
        "faststart.m4a": fragmented(scratch, "faststart"),
    }
    for kind in ("mp3", "flac", "ogg", "opus"):
        data = encoded(scratch, kind)
        middle = len(data) // 2
        made |= {
            f"joined.{kind}": data + encoded(scratch, kind, 0.4),
            f"cut.{kind}": data[:middle],
            f"junk-within.{kind}": data[:middle] + b"junk" * 300 + data[middle:],
            f"zeros-behind.{kind}": data + bytes(5000),
            f"tag-behind.{kind}": data + b"TAG" + b"x" * 125,
            f"zeros-before.{kind}": bytes(1000) + data,
        }
    scratch.unlink()
    return made


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    return odd_files(tmp_path_factory.mktemp("odd"))


def test_the_sound_stays_or_the_file_is_refused(tmp_path: Path, odd: dict[str, bytes]) -> None:
    refused = set()
    for name, data in odd.items():
        song, copy = tmp_path / name, tmp_path / f"copy-{name}"
        song.write_bytes(data)
        before = sound.decoded(song)
        try:
            write_tags(song, copy, TAGS, name="shown")
        except AudioError as error:
            assert str(error).startswith("shown: ") and "\n" not in str(error)
            refused.add(name)
            assert not copy.exists()
        else:
            assert before and sound.decoded(copy) == before, name
            assert read_tags(copy).values["mood"] == ("dark",), name
        assert song.read_bytes() == data, name
        # In place too; what was refused is untouched.
        try:
            write_tags(song, song, TAGS)
        except AudioError:
            assert name in refused and song.read_bytes() == data
        else:
            assert name not in refused and sound.decoded(song) == before
        for path in (song, copy):
            path.unlink(missing_ok=True)
        assert not os.listdir(tmp_path), name  # nothing half done is left
    # Each of these was written into and lost sound before, or is no better than those.
    assert {"riff-36.wav", "riff-1000-less.wav", "data-unknown.wav", "absolute.m4a", "less.aiff",
            "absolute-moov.m4a", "46.aiff", "sound-unknown.aiff"} <= refused  # fmt: skip
    # These are sound, though odd.
    assert not {"relative.m4a", "faststart.m4a", "behind.wav", "joined.ogg", "joined.opus",
                "zeros-behind.mp3", "tag-behind.flac", "riff-more.wav"} & refused  # fmt: skip


def test_other_samples_of_the_same_count_are_found(tmp_path: Path) -> None:
    """The check itself: one sample of one channel is enough."""
    one, two, short = (tmp_path / f"{name}.wav" for name in ("one", "two", "short"))
    one.write_bytes(wav())
    changed = bytearray(wav())
    changed[-1] ^= 1
    two.write_bytes(changed)
    short.write_bytes(wav(WAV_SIZE - 4, len(DATA) - 4))
    before = sound.decoded(one)
    assert set(before) == {"FFmpeg", "libsndfile"}
    assert sound.difference(before, sound.decoded(one)) is None
    assert "other samples" in str(sound.difference(before, sound.decoded(two)))
    assert "22049 samples where there are 22050" in str(
        sound.difference(before, sound.decoded(short))
    )
    assert "no longer" in str(sound.difference(before, {}))


def test_eight_channels(tmp_path: Path) -> None:
    song = tmp_path / "a.flac"
    soundfile.write(song, tone(0.2, 8).T, 44_100, format="FLAC")
    write_tags(song, song, TAGS)
    assert {kind.frames for kind in sound.decoded(song).values()} == {8820}


def test_a_file_that_changes_meanwhile_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    song = tmp_path / "a.wav"
    song.write_bytes(wav())
    decoded = sound.decoded

    def changing(path: Path) -> dict[str, sound.Sound]:
        song.write_bytes(wav(rest=b"new!"))
        return decoded(path)

    monkeypatch.setattr(sound, "decoded", changing)
    with pytest.raises(AudioError, match="changed by another program"):
        write_tags(song, song, TAGS)
    assert song.read_bytes() == wav(rest=b"new!")


FAULTS = {
    "disk full": "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))",
    "killed while copying": (
        "import os, shutil\n"
        "def half(source, target):\n"
        "    open(target, 'wb').write(open(source, 'rb').read()[:10_000])\n"
        "    os.kill(os.getpid(), 9)\n"
        "shutil.copy2 = half"
    ),
    "killed while comparing": (
        "import os\nfrom audiocli.io.metadata import sound\n"
        "sound.decoded = lambda path: os.kill(os.getpid(), 9)"
    ),
}


@pytest.mark.skipif(os.name != "posix", reason="limits and signals of POSIX")
@pytest.mark.parametrize("fault", FAULTS)
def test_the_original_survives(tmp_path: Path, fault: str) -> None:
    song = tmp_path / "a.wav"
    song.write_bytes(wav())
    song.chmod(0o640)
    script = f"""
from pathlib import Path
from audiocli.errors import AudioCliError
from audiocli.io.metadata import Tags, write_tags
{FAULTS[fault]}
song = Path({str(song)!r})
try:
    write_tags(song, song, Tags({{"genre": ["rock"]}}))
except AudioCliError as error:
    print(error)
    raise SystemExit(1)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == (1 if fault == "disk full" else -9), done.stderr
    assert song.read_bytes() == wav() and song.stat().st_mode & 0o777 == 0o640
    if fault == "disk full":
        assert "cannot be written (File too large)" in done.stdout
        assert os.listdir(tmp_path) == ["a.wav"]


COVER = Cover(b"\x89PNG\r\n\x1a\n" + bytes(64), "image/png")
VALUES = {
    "title": ("Sông",), "artist": ("One", "Two"), "album": ("Album",), "date": ("1999",),
    "tracknumber": ("3/9",), "discnumber": ("1",), "composer": ("Who",), "genre": ("rock", "folk"),
    "comment": ("as it is",), "bpm": ("120",), "isrc": ("QZES52500001",),
    "musicbrainz_trackid": ("0a1b",), "lyrics": ("la la",),
}  # fmt: skip


@pytest.mark.parametrize("kind", ["mp3", "wav", "aiff", "flac", "ogg", "opus", "m4a"])
def test_tags_and_cover_come_through(tmp_path: Path, kind: str) -> None:
    stem = tmp_path / f"a.{kind}"
    if kind == "m4a":
        encode(stem, "aac", tone(0.3), format="ipod")
    elif kind in ("wav", "aiff"):
        soundfile.write(stem, tone(0.3).T, 44_100, subtype="PCM_16")
    else:
        stem.write_bytes(encoded(tmp_path / "scratch", kind, 0.3))
    before = sound.decoded(stem)
    put_tags(stem, Tags(VALUES, (COVER,)))
    again = read_tags(stem)
    assert dict(again.values) == VALUES
    assert again.covers == (COVER,)
    assert sound.decoded(stem) == before
    # What is written into the next file is all that was read.
    flac = tmp_path / "b.flac"
    flac.write_bytes(encoded(tmp_path / "scratch", "flac", 0.3))
    put_tags(flac, again)
    assert read_tags(flac) == again


def test_what_speaks_of_the_coding_is_left_out(tmp_path: Path) -> None:
    song = tmp_path / "a.flac"
    song.write_bytes(encoded(song, "flac", 0.2))
    put_tags(song, Tags({"title": ["a"], "replaygain_track_gain": ["-6 dB"], "encoder": ["x"]}))
    assert dict(read_tags(song).values) == {"title": ("a",)}


def test_riff_info_is_read(tmp_path: Path) -> None:
    song = tmp_path / "a.wav"
    name = b"INAM" + struct.pack("<I", 6) + b"A song"
    rest = b"LIST" + struct.pack("<I", 4 + len(name)) + b"INFO" + name
    song.write_bytes(wav(riff=WAV_SIZE + len(rest), rest=rest))
    assert dict(read_tags(song).values) == {"title": ("A song",)}
    write_tags(song, song, TAGS)
    assert name in song.read_bytes()


def test_nothing_is_read_from_what_is_no_audio(tmp_path: Path) -> None:
    playlist = tmp_path / "a.m4a"
    playlist.write_text("ffconcat version 1.0\nfile other.wav\n")
    (tmp_path / "other.wav").write_bytes(wav())
    assert not read_tags(playlist)
    with pytest.raises(AudioError):
        read_tags(tmp_path / "none.wav")
    with pytest.raises(AudioCliError, match="this kind of file"):
        put_tags(playlist, TAGS)
    shutil.copy(playlist, tmp_path / "b.m4a")
    with pytest.raises(AudioError, match="this kind of file"):
        write_tags(playlist, tmp_path / "c.m4a", TAGS)


def test_flac_behind_an_id3_tag_keeps_both(tmp_path: Path) -> None:
    song = tmp_path / "a.flac"
    flac = encoded(song, "flac", 0.2)
    song.write_bytes(b"ID3\x04\x00\x00\x00\x00\x01\x0a" + bytes(138) + flac)
    before = song.read_bytes()[:148]
    write_tags(song, song, Tags({"genre": ["Rock"]}))
    assert read_values(song, ["genre"]) == {"genre": ["Rock"]}
    assert song.read_bytes()[:148] == before
    assert song.read_bytes()[148:152] == b"fLaC"


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF])
def test_headers_that_were_never_finished_are_refused_with_the_way_out(
    tmp_path: Path, size: int
) -> None:
    song = tmp_path / "a.wav"
    song.write_bytes(wav(riff=size, data=size))
    content = song.read_bytes()
    with pytest.raises(AudioError, match="ffmpeg -i FILE -c copy NEW"):
        write_tags(song, song, TAGS)
    assert song.read_bytes() == content
