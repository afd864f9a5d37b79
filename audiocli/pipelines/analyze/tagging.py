"""Write what was found into the metadata of files, and take it back."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audiocli.errors import AudioCliError, UsageError
from audiocli.io.metadata import Tags, read_values, write_tags
from audiocli.pipelines.analyze.fields import Value
from audiocli.pipelines.analyze.harmony import tag_name

__all__ = ["Undone", "tags_of", "undo", "write"]

#: What a recording is brought to by its gain, in LUFS: ReplayGain 2, and R128 in Opus.
REPLAYGAIN, R128 = -18.0, -23.0
OPUS = b"OpusHead"


def tags_of(values: Mapping[str, Value], *, opus: bool = False) -> dict[str, list[str]]:
    """Make tags, by their names in lower case, of what is known of a recording."""
    made: dict[str, list[str]] = {}
    tempo, loudness, peak = (values.get(name) for name in ("tempo", "loudness", "true_peak"))
    if isinstance(tempo, float):
        made["bpm"] = [f"{tempo:.0f}"]
    if values.get("key"):
        made["initialkey"] = [tag_name(str(values["key"]))]
    if values.get("genre"):
        made["genre"] = [str(values["genre"])]
    if values.get("mood"):
        made["mood"] = str(values["mood"]).split(", ")
    if isinstance(loudness, float) and opus:
        made["r128_track_gain"] = [str(round(256 * (R128 - loudness)))]  # Q7.8
    elif isinstance(loudness, float):
        made["replaygain_track_gain"] = [f"{REPLAYGAIN - loudness:+.2f} dB"]
        if isinstance(peak, float):
            made["replaygain_track_peak"] = [f"{10 ** (peak / 20):.6f}"]
    return made


def write(
    source: Path,
    target: Path,
    values: Mapping[str, Value],
    *,
    name: str,
    overwrite: bool,
    note: Callable[[Mapping[str, Any]], None] = lambda facts: None,
) -> dict[str, Any]:
    """Write tags into a copy, or into the file itself; give what stood there before and does now.

    What is given is ready for JSON; it is what :func:`undo` needs. `note` gets it before the target
    is there: were the run killed after that, nobody would know what stood in it.
    """
    with source.open("rb") as stream:
        opus = OPUS in stream.read(64)
    tags = tags_of(values, opus=opus)
    before = read_values(source, list(tags))
    tagged = Tags(tags)
    facts: dict[str, Any] = {"in_place": target == source, "tags_before": before}

    def about_to(written: Path) -> None:
        facts["tags_written"] = read_values(written, list(tags))
        if facts["in_place"]:
            note(facts)

    write_tags(source, target, tagged, remove=list(tags), name=name, overwrite=overwrite,
               before_it_is_there=about_to)  # fmt: skip
    return facts


@dataclass(frozen=True)
class Undone:
    """What became of a file whose tags were to be taken back."""

    path: Path
    status: str  # "restored", "unchanged" or "failed"
    reason: str = ""


def undo(manifest: Path, report: Callable[[Undone], None] = lambda outcome: None) -> list[Undone]:
    """Give files the tags back that they had before they were written in place.

    The latest writing is taken back first. A tag that was changed since by another program is left
    as it is, and so is all else in its file; that counts as failed.

    Parameters
    ----------
    manifest : Path
        Of the runs that wrote.
    report : callable
        Told of each file.

    Returns
    -------
    list of Undone

    Raises
    ------
    UsageError
        If the manifest cannot be read, or no file was written in place.
    """
    found = list(_written(manifest))
    if not found:
        raise UsageError(f"{manifest}: tells of no file whose tags were written in place")
    done = []
    for path, facts in reversed(found):
        try:
            outcome = _restored(path, facts["tags_before"], facts["tags_written"])
        except (AudioCliError, OSError) as error:
            outcome = Undone(path, "failed", str(error))
        report(outcome)
        done.append(outcome)
    return done


def _restored(
    path: Path, before: Mapping[str, list[str]], written: Mapping[str, list[str]]
) -> Undone:
    now = read_values(path, list(written))
    if now == before:  # or the run was killed before it wrote
        return Undone(path, "unchanged")
    if now != written:
        names = ", ".join(name for name in written if now[name] != written[name])
        return Undone(path, "failed", f"{path}: {names}: changed since by another program; "
                      "the file was left as it is")  # fmt: skip
    kept = {name: texts for name, texts in before.items() if texts}
    write_tags(path, path, Tags(kept), remove=list(written))
    return Undone(path, "restored")


def _written(manifest: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Give the files that were written in place, and what stood in them."""
    try:
        lines = manifest.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{manifest}: cannot be read as a manifest ({error})") from error
    latest: dict[Path, dict[str, Any]] = {}
    for line in lines:
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            continue  # cut off, as a run that was killed leaves it
        facts: Any = record.get("facts") if isinstance(record, dict) else None
        if not _is_complete(facts):
            continue
        path = Path(str(record.get("path")))
        if latest.get(path) != facts:  # else it is what was noted before the writing
            latest[path] = facts
            yield path, facts


def _is_complete(facts: Any) -> bool:
    """Tell whether a manifest says what stood in a file and what was written."""
    if not isinstance(facts, dict) or not facts.get("in_place"):
        return False
    tags = [facts.get("tags_before"), facts.get("tags_written")]
    return all(
        isinstance(each, dict) and all(isinstance(texts, list) for texts in each.values())
        for each in tags
    )
