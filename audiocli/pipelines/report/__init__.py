"""A web page of a recording, with all that the tasks find in it.

A recording is decoded twice: once for its length and level, once for all analyses together
(:mod:`audiocli.pipelines.analyze.streams`). The page itself is :mod:`audiocli.page`.

Melody: the notes of the recording where it is one voice, else those of the vocals that are
separated from it, if there are any.

Limits: each answer has those of the task that it comes from. Of long recordings the page holds
sounds of less quality, then no stems, then no sound, and says so.
"""

from audiocli.page.sections import SECTIONS
from audiocli.pipelines.report.files import ReportRequest, declare, report_files
from audiocli.pipelines.report.reporter import Reporter

__all__ = ["SECTIONS", "ReportRequest", "Reporter", "declare", "report_files"]
