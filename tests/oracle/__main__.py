"""`python -m tests.oracle FILE [--group G] [--id ID] [--version V] [--show]`: a real Slurm's answers, replayed.

Starts bridges whose site is the recorded cluster, does each case again with our commands, and prints what differs,
a table by group, and last `agree N of M`. Each case finds an idle cluster; several clusters work side by side.
"""

import argparse
import contextlib
import queue
import shutil
import signal
import sys
import tempfile
import threading
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from tests.e2e import person
from tests.oracle import compare, people, records, site
from tests.oracle.compare import Difference
from tests.oracle.people import People
from tests.oracle.records import Case
from tests.oracle.replay import Bridge, Replay

RECORDING = Path(__file__).parents[1] / "slurm-oracle.jsonl"
CLUSTERS = 6


@dataclass(frozen=True)
class Unit:
    """Cases that are done one after the other on one bridge."""

    variant: site.Variant
    cases: tuple[Case, ...]
    own_bridge: bool = False

    @property
    def seconds(self) -> float:
        """A rough guess of the waiting in it: what takes longest begins first."""
        return sum(map(_guess, self.cases))


def main(argv: Sequence[str] | None = None) -> int:
    arguments = _arguments(argv)
    signal.signal(signal.SIGTERM, _leave)
    try:
        recording = records.read(arguments.file)
    except (OSError, records.Unreadable) as error:
        print(f"oracle: {error}", file=sys.stderr)
        return 2
    # Cases of `rest` go on with ids that earlier cases of the group told: all of them are done, and the wanted told.
    wanted = records.chosen(recording.cases, version=arguments.version, groups=arguments.group, ids=arguments.id)
    done = records.chosen(recording.cases, version=arguments.version)
    http = [case for case in done if case.is_http] if any(case.is_http for case in wanted) else []
    found = _replay([case for case in wanted if not case.is_http], http, recording, arguments.clusters)
    not_done = [Difference("replay", "a replay", "not done: its cluster did not come up")]
    results = [(case, found.get(case.id, not_done)) for case in wanted]
    _print(results, show=arguments.show)
    return 0 if all(not differences for _, differences in results) else 1


def _leave(*_: object) -> NoReturn:
    """Bridges and jobs end with what started them."""
    raise KeyboardInterrupt


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.oracle", description=__doc__.partition(":")[2])
    parser.add_argument("file", nargs="?", type=Path, default=RECORDING, metavar="FILE")
    parser.add_argument("--group", action="append", default=[], metavar="G", help="may be given several times")
    parser.add_argument("--id", action="append", default=[], metavar="ID", help="may be given several times")
    parser.add_argument("--version", default=records.OURS, metavar="V", help=f"the recorded Slurm; {records.OURS}")
    parser.add_argument("--show", action="store_true", help="print every difference")
    parser.add_argument("--clusters", type=int, default=CLUSTERS, metavar="N", help="bridges side by side")
    return parser.parse_args(argv)


# ── doing ─────────────────────────────────────────────────────────────────────────────────────────


def _replay(
    cases: Sequence[Case], http: Sequence[Case], recording: records.Recording, clusters: int
) -> dict[str, list[Difference]]:
    """By case's id."""
    waiting: queue.SimpleQueue[Unit] = queue.SimpleQueue()
    units = _units(cases, http)
    for unit in units:
        waiting.put(unit)
    found: dict[str, list[Difference]] = {}
    root = Path(tempfile.mkdtemp(prefix="oracle-"))
    try:
        root.chmod(0o755)
        for name in ("home", "log"):
            (root / name).mkdir()
        everybody = people.make(root / "home")
        if not people.make_known_to_programs(everybody, root):
            print("oracle: the recording's users are known to the bridge alone, not to `id`", file=sys.stderr)
        workers = [
            threading.Thread(
                target=_work, args=(root / f"c{number}", root / "log", everybody, waiting, recording, found)
            )
            for number in range(min(clusters, len(units)))
        ]
        for worker in workers:
            worker.start()
        try:
            for worker in workers:
                worker.join()
        except KeyboardInterrupt:
            with contextlib.suppress(queue.Empty):
                while True:
                    waiting.get_nowait()
            for worker in workers:
                worker.join()
            raise
    finally:
        shutil.rmtree(root, ignore_errors=True)
    return found


def _units(cases: Sequence[Case], http: Sequence[Case]) -> list[Unit]:
    units = [Unit(site.USUAL, (case,)) for case in cases if site.variant_of(case.group) == site.USUAL]
    for variant in {site.variant_of(case.group) for case in cases} - {site.USUAL}:
        units.append(Unit(variant, tuple(case for case in cases if site.variant_of(case.group) == variant), True))
    if http:
        units.append(Unit(site.USUAL, tuple(http), True))
    return sorted(units, key=lambda unit: -unit.seconds)


def _guess(case: Case) -> float:
    words = " ".join(case.how.get("argv", ()))
    seconds: float = sum(step.get("sleep_s", 0) for step in case.how.get("then", ()))
    waits_for_an_end = any(step.get("until") == "final" for step in case.how.get("then", ()))
    return seconds + (70 if waits_for_an_end and ("-t " in words or "--time" in words) else 0)


def _work(
    root: Path,
    log_folder: Path,
    everybody: People,
    waiting: "queue.SimpleQueue[Unit]",
    recording: records.Recording,
    found: dict[str, list[Difference]],
) -> None:
    """One cluster, and for a unit that wants its own another beside it."""
    with contextlib.ExitStack() as stack:
        usual: Bridge | None = None
        number = 0
        while True:
            try:
                unit = waiting.get_nowait()
            except queue.Empty:
                return
            if unit.own_bridge:
                number += 1
                with _bridge(root / f"own{number}", log_folder, everybody, unit.variant) as bridge:
                    _do(unit, bridge, log_folder, everybody, recording, found)
                continue
            if usual is None:  # one that does not start ends this worker; the others go on
                usual = stack.enter_context(_bridge(root / "usual", log_folder, everybody, unit.variant))
            _do(unit, usual, log_folder, everybody, recording, found)


@contextlib.contextmanager
def _bridge(root: Path, log_folder: Path, everybody: People, variant: site.Variant) -> Iterator[Bridge]:
    (root / "work").mkdir(parents=True)
    root.parent.chmod(0o755)
    mail_program = site.write_mail_program(log_folder)
    text = site.text(variant, everybody.user, mail_program) + everybody.site_lines()
    bridge = Bridge(root, person.myself(), everybody.user, text)
    bridge.start()
    try:
        yield bridge
    finally:
        _empty(bridge)
        bridge.stop()


def _do(
    unit: Unit,
    bridge: Bridge,
    log_folder: Path,
    everybody: People,
    recording: records.Recording,
    found: dict[str, list[Difference]],
) -> None:
    replay = Replay(bridge, everybody, log_folder)
    for case in unit.cases:
        try:
            replayed = replay.run(case)
            found[case.id] = compare.differences(case, replayed, recording.left_out_when)
        except Exception:  # one case that cannot be done leaves the others alone, and disagrees
            found[case.id] = [Difference("replay", "a replay", traceback.format_exc())]
        if not case.is_http:
            _empty(bridge)


def _empty(bridge: Bridge) -> None:
    """The next case finds an idle cluster."""

    def jobs() -> list[str]:
        return bridge.ok("squeue", "--noheader", "--all", "-o", "%A", as_user=bridge.owner).split()

    left = jobs()
    if left:
        bridge.run("scancel", *dict.fromkeys(left), as_user=bridge.owner)
        bridge.until(lambda: not jobs(), seconds=60)


# ── telling ───────────────────────────────────────────────────────────────────────────────────────


def _print(results: Sequence[tuple[Case, list[Difference]]], *, show: bool) -> None:
    for case, differences in results if show else ():
        if differences:
            asked = case.how.get("argv") or (case.how["method"], case.how["path"])
            print(f"{case.group}/{case.id}: {' '.join(asked)!r}", *map(compare.sentence, differences), sep="\n")
    groups = list(dict.fromkeys(case.group for case, _ in results))
    width = max(map(len, groups), default=0)
    for group in groups:
        agreed = [not differences for case, differences in results if case.group == group]
        print(f"{group:<{width}}  {sum(agreed):4} of {len(agreed):4}  {100 * sum(agreed) // len(agreed):3}%")
    print(f"agree {sum(not differences for _, differences in results)} of {len(results)}")


if __name__ == "__main__":
    sys.exit(main())
