import os
import subprocess
from pathlib import Path

from bridge.agent import launch, processes, strays


def test_what_a_job_left_behind_is_gone_when_its_end_is_told(tmp_path: Path):
    """Killed is not gone yet: on a busy machine a process was still seen after its job had been told lost."""
    marked = {"BRIDGE_KEY_FILE": f"{tmp_path}/{launch.KEY}", "PATH": os.environ["PATH"]}
    shell = "env -i sleep 1000 & env -i sh -c 'sleep 1000 & wait' & echo ready; wait"
    with subprocess.Popen(["sh", "-c", shell], env=marked, stdout=subprocess.PIPE, start_new_session=True) as leader:
        assert leader.stdout is not None
        assert leader.stdout.readline() == b"ready\n"
        tree = [leader.pid, *processes.descendants(leader.pid)]
        assert leader.pid in strays.end([str(tmp_path)])
        assert [pid for pid in tree if processes.started_ticks(pid) is not None] == []
    assert strays.end([str(tmp_path)]) == []


def test_the_process_that_a_journal_names_is_ended_only_if_it_is_the_same(tmp_path: Path):
    with subprocess.Popen(["sleep", "1000"], env={"PATH": os.environ["PATH"]}) as one:
        ticks = processes.started_ticks(one.pid)
        assert ticks is not None
        assert strays.end([str(tmp_path)], [{"pid": one.pid, "started_ticks": ticks + 1}]) == []
        assert strays.end([str(tmp_path)], [{"pid": one.pid, "started_ticks": ticks}]) == [one.pid]
        assert one.wait() == -9
