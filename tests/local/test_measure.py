"""What runs is measured task by task, and one step can be signalled alone."""

import signal as signals

from tests.local.ground import Bench, Ground

TWO_STEPS = """\
SLURM_STEP_ID=3 SLURM_PROCID=1 sh -c 'echo ready; exec sleep 100' & three=$!
SLURM_STEP_ID=4 sh -c 'echo ready; exec sleep 100' & four=$!
wait $three; echo three $?
wait $four; echo four $?
"""


def test_tasks_are_told_by_their_steps(ground: Ground) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.start(TWO_STEPS)
        await bench.said("ready\nready\n")
        found = await bench.backend.measure(1, 1)
        assert [(one.node, one.step, one.task, len(one.pids)) for one in found] == [
            (0, "3", 1, 1),
            (0, "4", 0, 1),
            (0, "batch", 0, 1),
        ]
        assert all(one.rss_kib > 100 and one.vm_kib >= one.rss_kib and one.read_bytes > 0 for one in found)
        await bench.backend.stop(1, 1, "cancel")
        await bench.ended()

    ground.run(scenario)


def test_a_signal_to_a_step_reaches_no_other(ground: Ground) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.start(TWO_STEPS)
        await bench.said("ready\nready\n")
        await bench.backend.signal(1, 1, signals.SIGTERM, "step:3")
        await bench.said("three 143\n")
        await bench.backend.signal(1, 1, signals.SIGKILL, "step:4")
        await bench.ended()
        told = [line for line in bench.text().splitlines() if line.startswith(("three", "four"))]
        assert told == ["three 143", "four 137"]

    ground.run(scenario)
