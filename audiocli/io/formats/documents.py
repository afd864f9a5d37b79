"""Documents of other programs: JAMS, and layers of Sonic Visualiser.

References
----------
.. [1] E. J. Humphrey et al., "JAMS: A JSON Annotated Music Specification for Reproducible MIR
   Research", Proc. ISMIR, 2014. https://jams.readthedocs.io
.. [2] C. Cannam, C. Landone and M. Sandler, "Sonic Visualiser: An Open Source Application for
   Viewing, Analysing, and Annotating Music Audio Files", Proc. ACM Multimedia, 2010. Its layer
   files have no schema; what it reads is in ``framework/SVFileReader.cpp`` of its library svapp.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from typing import Any
from xml.etree import ElementTree

import numpy as np

from audiocli import __version__
from audiocli.dsp.keys import note_name
from audiocli.io.formats.annotations import Annotation, Instants, Notes, Options, Segments

__all__ = ["WRITERS"]

_JAMS_VERSION = "0.3.5"  # of the specification and its namespaces
_NAMESPACES = frozenset({"beat", "chord", "onset"})  # JAMS calls them as we do
_DEFAULT_RATE = 44100  # Hz, where the rate of the recording is not known
_COLOUR = {"colourName": "Purple", "colour": "#c832ff", "darkBackground": "false"}  # its default
_ILLEGAL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def _jams(annotation: Annotation, options: Options) -> str:
    if annotation.duration is None:
        raise ValueError("a JAMS document cannot do without the duration of the recording")
    observations, sandbox = _observations(annotation)
    document = {
        "file_metadata": {
            "title": annotation.file or "",
            "artist": "",
            "release": "",
            "duration": annotation.duration,
            "identifiers": {},
            "jams_version": _JAMS_VERSION,
        },
        "annotations": [
            {
                "namespace": options.namespace or _namespace(annotation),
                "data": observations,
                "annotation_metadata": {
                    "annotation_tools": f"audiocli {__version__}",
                    "annotator": dict(annotation.metadata),
                    "data_source": "program",
                },
                "sandbox": sandbox,
                "time": 0.0,
                "duration": annotation.duration,
            }
        ],
        "sandbox": {},
    }
    return json.dumps(document, ensure_ascii=False, allow_nan=False, indent=1) + "\n"


def _namespace(annotation: Annotation) -> str:
    if annotation.name in _NAMESPACES:
        return annotation.name
    if isinstance(annotation, Notes):
        return "note_midi"
    return "onset" if isinstance(annotation, Instants) else "segment_open"


def _observations(annotation: Annotation) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Give the observations, and what they have no place for."""
    table: dict[str, Any] = annotation.table()
    nothing = [None] * len(annotation)
    if isinstance(annotation, Instants):
        times, confidences = table.pop("time"), table.pop("strength", nothing)
        durations, values = [0.0] * len(times), nothing
        if annotation.name == "beat":  # whose value is the position in the bar
            values = table.pop("position", nothing)
    else:
        times, ends = table.pop("start"), table.pop("end")
        confidences = table.pop("confidence", nothing)
        values = table.pop("pitch" if isinstance(annotation, Notes) else "label")
        if annotation.name == "key":  # which JAMS writes with a colon
            values = [value.replace(" ", ":") for value in values]
        durations = [_duration(start, end) for start, end in zip(times, ends, strict=True)]
    rows = zip(times, durations, values, confidences, strict=True)
    names = ("time", "duration", "value", "confidence")
    return [dict(zip(names, row, strict=True)) for row in rows], table


def _duration(start: float, end: float) -> float:
    """Give the shortest number that, added to the start, is the end to the last bit.

    Readers add them up, and take segments that meet for overlapping ones if they differ at all.
    """
    whole = end - start
    for decimals in range(6, 17):
        if start + round(whole, decimals) == end:
            return round(whole, decimals)
    while start + whole != end:  # within one or two of the finer steps that differences have
        whole = math.nextafter(whole, math.inf if start + whole < end else 0.0)
    return whole


def _sv(annotation: Annotation, options: Options) -> str:
    rate = annotation.sample_rate or _DEFAULT_RATE
    if isinstance(annotation, Instants):
        points, layer, ends = _instant_points(annotation, rate), "timeinstants", annotation.times
        kind = {"dimensions": "1"}
    elif isinstance(annotation, Notes):
        points, layer, ends = _note_points(annotation, rate), "notes", annotation.ends
        kind = {"dimensions": "3", "subtype": "note", "valueQuantization": "0", "units": "MIDI"}
        pitches = annotation.pitches if len(annotation) else np.zeros(1)
        kind |= {"minimum": f"{pitches.min():.2f}", "maximum": f"{pitches.max():.2f}"}
    else:
        points, layer, ends = _region_points(annotation, rate), "regions", annotation.ends
        kind = {"dimensions": "3", "subtype": "region", "valueQuantization": "0", "units": ""}
        kind |= {"minimum": "0", "maximum": str(max(len(set(annotation.labels)) - 1, 0))}
    last = max([annotation.duration or 0.0, *ends.tolist()])
    model = {"id": "1", "name": annotation.name, "sampleRate": str(rate), "start": "0"}
    model |= {"end": str(round(last * rate)), "type": "sparse", **kind}
    model |= {"resolution": "1", "notifyOnAdd": "true", "dataset": "0"}

    root = ElementTree.Element("sv")
    data = ElementTree.SubElement(root, "data")
    ElementTree.SubElement(data, "model", _legal(model))
    # The dataset must follow its model, and come before the layer.
    dataset = ElementTree.SubElement(data, "dataset", id="0", dimensions=kind["dimensions"])
    for point in points:
        ElementTree.SubElement(dataset, "point", _legal(point))
    display = ElementTree.SubElement(root, "display")
    shown = {"id": "2", "type": layer, "name": annotation.name, "model": "1", **_COLOUR}
    ElementTree.SubElement(display, "layer", _legal(shown))
    ElementTree.indent(root)
    body = ElementTree.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE sonic-visualiser>\n{body}\n'


def _instant_points(instants: Instants, rate: int) -> list[dict[str, str]]:
    return [{"frame": str(round(time * rate)), "label": ""} for time in instants.times.tolist()]


def _region_points(segments: Segments, rate: int) -> list[dict[str, str]]:
    """Give each label a height of its own."""
    heights = {label: str(height) for height, label in enumerate(dict.fromkeys(segments.labels))}
    points = []
    spans = zip(segments.starts.tolist(), segments.ends.tolist(), segments.labels, strict=True)
    for start, end, label in spans:
        first, last = round(start * rate), round(end * rate)
        point = {"frame": str(first), "value": heights[label], "duration": str(last - first)}
        points.append({**point, "label": label})
    return points


def _note_points(notes: Notes, rate: int) -> list[dict[str, str]]:
    """Give each note its pitch as a MIDI note number."""
    points, names = [], notes.names
    spans = zip(notes.starts.tolist(), notes.ends.tolist(), notes.pitches.tolist(), strict=True)
    for start, end, pitch in spans:
        first, last = round(start * rate), round(end * rate)
        point = {"frame": str(first), "value": f"{pitch:.2f}", "duration": str(last - first)}
        points.append({**point, "level": "0.8", "label": note_name(pitch, names)})
    return points


def _legal(attributes: dict[str, str]) -> dict[str, str]:
    """Replace the few characters that XML 1.0 cannot hold in any way."""
    return {name: _ILLEGAL.sub("\ufffd", value) for name, value in attributes.items()}


Writer = Callable[[Annotation, Options], str]

WRITERS: Mapping[str, Writer] = {"jams": _jams, "sv": _sv}
"""What each of these formats makes of an annotation and options, by name."""
