"""Kill runs, fill the disk, take the folder away: what is written is whole, --resume does the rest.

    python tests/faults.py [--files 200] [--kills 20] [--seed 0]     (make faults)

Each fault is put to a table (features) and to a folder of files (onsets). In the end all must equal
a run that nothing happened to, and no hidden, partial or temporary file may be left. Prints a
summary, and exits with 1 if anything was not as it must be. `test_faults.py` runs it small.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

RATE = 8000
KINDS = ("table", "files")


class Wrong(Exception):
    """Something is not as it must be."""


def require(holds: bool, what: str) -> None:
    if not holds:
        raise Wrong(what)


@dataclass(frozen=True)
class Case:
    """A command over a folder of short files, and where it writes."""

    folder: Path
    kind: str  # "table" or "files"

    @property
    def command(self) -> list[str]:
        task = (
            ["features", "in", "--set", "rms,mfcc", "-o", f"{self.out}/all.csv"]
            if self.kind == "table"
            else ["onsets", "in", "-o", self.out, "--format", "csv"]
        )
        return [sys.executable, "-m", "audiocli", *task, "-q", "-j", "2"]

    @property
    def out(self) -> str:
        return f"out-{self.kind}"

    @property
    def manifest(self) -> Path:
        name = "all.csv.manifest.jsonl" if self.kind == "table" else "audiocli.jsonl"
        return self.folder / self.out / name

    def start(self, *more: str, limit: int | None = None) -> subprocess.Popen[str]:
        def limited() -> None:
            import resource

            if limit is not None:
                signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
                resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

        return subprocess.Popen(
            [*self.command, *more], cwd=self.folder, text=True, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE, preexec_fn=limited if limit else None, start_new_session=True,
        )  # fmt: skip

    def finish(self, *more: str) -> None:
        """Run to the end, which must be a good one."""
        process = self.start(*more)
        _, err = process.communicate(timeout=600)
        require(process.returncode == 0, f"status {process.returncode}: {err.strip()}")

    def done(self) -> int:
        """Count the jobs that the manifest has."""
        with contextlib.suppress(OSError):
            return self.manifest.read_bytes().count(b'"record": "job"')
        return 0

    def wait_for(self, process: subprocess.Popen[str], jobs: int) -> bool:
        """Wait until so many jobs are done; tell whether the run is still at work."""
        while process.poll() is None and self.done() < jobs:
            time.sleep(0.01)
        return process.poll() is None

    def results(self) -> dict[str, bytes]:
        """Read all that was made, but for the manifest."""
        root = self.folder / self.out
        return {
            path.relative_to(root).as_posix(): path.read_bytes()
            for path in root.rglob("*")
            if path.is_file() and path != self.manifest
        }

    def clear(self) -> None:
        shutil.rmtree(self.folder / self.out, ignore_errors=True)


def ended(process: subprocess.Popen[str]) -> str:
    """Wait for the end of a run, and of all its workers; give what it printed."""
    _, err = process.communicate(timeout=600)
    for _ in range(1000):
        try:
            os.killpg(process.pid, 0)
        except (ProcessLookupError, PermissionError):
            break
        time.sleep(0.01)
    return err


def whole(case: Case, expected: dict[str, bytes]) -> None:
    """Resume, and compare with the run that nothing happened to."""
    case.finish("--resume")
    found = case.results()
    left = sorted(found.keys() - expected.keys())
    require(not left, f"left over: {left[:3]}")
    missing = sorted(expected.keys() - found.keys())
    require(not missing, f"missing: {missing[:3]}")
    other = sorted(name for name in expected if found[name] != expected[name])
    require(not other, f"other content: {other[:3]}")


# --- faults ----------------------------------------------------------------------------------


def killed(case: Case, expected: dict[str, bytes], dice: random.Random, kills: int) -> None:
    """Kill -9 at random moments, with workers or alone, again and again."""
    for number in range(kills):
        process = case.start(*(["--resume"] if number else []))
        if not case.wait_for(process, dice.randint(0, case.done() + 12)):
            ended(process)
            case.clear()  # it came to its end: begin anew
            continue
        time.sleep(dice.random() * 0.05)
        if dice.random() < 0.5:
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
        ended(process)
    whole(case, expected)


def asked_to_end(number: int) -> Callable[[Case, dict[str, bytes], random.Random, int], None]:
    def fault(case: Case, expected: dict[str, bytes], dice: random.Random, kills: int) -> None:
        """End a run by a signal: it cleans up and says so by its status."""
        process = case.start()
        require(case.wait_for(process, 3), "ended too early")
        process.send_signal(number)
        err = ended(process)
        require(process.returncode == 128 + number, f"status {process.returncode}: {err}")
        hidden = [name for name in case.results() if ".part" in name.replace(".partial", "")]
        require(not hidden, f"left over: {hidden[:3]}")
        whole(case, expected)

    return fault


def worker_killed(case: Case, expected: dict[str, bytes], dice: random.Random, kills: int) -> None:
    """Kill a worker: its file gets another try, and nothing fails."""
    process = case.start()
    require(case.wait_for(process, 2), "ended too early")
    for pid in workers_of(process.pid)[:1]:
        os.kill(pid, signal.SIGKILL)
    err = ended(process)
    require(process.returncode == 0, f"status {process.returncode}: {err}")
    whole(case, expected)


def workers_of(pid: int) -> list[int]:
    """Find the children of a process that were started for jobs."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            parent = int((folder / "stat").read_text().rsplit(")", 1)[1].split()[1])
            if parent == pid and b"spawn_main" in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
    return found


def two_at_once(case: Case, expected: dict[str, bytes], dice: random.Random, kills: int) -> None:
    """Start a second run on the same output: it is refused, and no file is done twice."""
    first = case.start()
    require(case.wait_for(first, 1), "ended too early")
    os.killpg(first.pid, signal.SIGSTOP)  # so that it does not end meanwhile
    second = case.start("--resume")
    err = ended(second)
    os.killpg(first.pid, signal.SIGCONT)
    require(second.returncode == 2 and "another audiocli" in err, f"not refused: {err}")
    require(first.wait(timeout=600) == 0, "the first run failed")
    require(case.done() == sum(1 for _ in (case.folder / "in").iterdir()), "a file was done twice")
    whole(case, expected)


def folder_removed(case: Case, expected: dict[str, bytes], dice: random.Random, kills: int) -> None:
    """Take the output folder away: the run ends and says why."""
    process = case.start()
    require(case.wait_for(process, 2), "ended too early")
    (case.folder / case.out).rename(case.folder / "taken")
    err = ended(process)
    shutil.rmtree(case.folder / "taken", ignore_errors=True)
    require(process.returncode == 1 and "Traceback" not in err, f"{process.returncode}: {err}")
    require("was removed or replaced" in err, f"no reason given: {err}")
    case.clear()
    case.finish()
    whole(case, expected)


def disk_full(case: Case, expected: dict[str, bytes], dice: random.Random, kills: int) -> None:
    """Let no file grow any more: the run ends and says why, and goes on when there is room."""
    process = case.start(limit=3000)
    err = ended(process)
    require(process.returncode == 1 and "Traceback" not in err, f"{process.returncode}: {err}")
    require("cannot be written" in err, f"no reason given: {err}")
    whole(case, expected)


FAULTS = {
    "kill -9": killed,
    "SIGTERM": asked_to_end(signal.SIGTERM),
    "SIGHUP": asked_to_end(signal.SIGHUP),
    "worker killed": worker_killed,
    "two runs at once": two_at_once,
    "folder removed": folder_removed,
    "disk full": disk_full,
}


def run_faults(
    files: int, kills: int, seed: int, names: list[str], kinds: list[str]
) -> Iterator[tuple[str, str]]:
    """Put every fault to kinds of output; give each with what is wrong, or nothing."""
    dice = random.Random(seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "in").mkdir()
        for number in range(files):
            noise = np.random.default_rng(number).normal(scale=0.1, size=RATE)
            soundfile.write(folder / "in" / f"{number:04}.wav", noise, RATE)
        for kind in kinds:
            case = Case(folder, kind)
            case.finish()
            expected = case.results()
            for fault in names:
                case.clear()
                try:
                    FAULTS[fault](case, expected, dice, kills)
                    yield f"{fault}, {kind}", ""
                except (Wrong, subprocess.TimeoutExpired) as error:
                    yield f"{fault}, {kind}", str(error)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--files", type=int, default=200)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="+", choices=FAULTS, default=list(FAULTS))
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    given = parser.parse_args()
    began, failed = time.monotonic(), 0
    for fault, wrong in run_faults(given.files, given.kills, given.seed, given.only, given.kinds):
        failed += bool(wrong)
        print(f"{fault:<28} {wrong or 'all whole, nothing left over'}", flush=True)
    seconds = time.monotonic() - began
    print(f"{given.files} files, {given.kills} kills, {seconds:.0f} s: {failed} faults with losses")
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
