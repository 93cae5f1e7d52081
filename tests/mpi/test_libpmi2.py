"""PMI version 2 as Slurm's own library speaks it, four ranks over two nodes. Where a real Slurm 25.11 lies."""

from pathlib import Path

import pytest

from tests.agent.step_ground import an_allocation

LIBRARY = "/opt/slurm-25.11/lib/libpmi2.so.0"
pytestmark = pytest.mark.program(LIBRARY)

PROGRAM = f"""
import ctypes
pmi = ctypes.CDLL("{LIBRARY}")
numbers = [ctypes.c_int() for _ in range(4)]
pmi.PMI2_Init(*map(ctypes.byref, numbers))
_, size, rank, _ = (number.value for number in numbers)
job, found, length = ctypes.create_string_buffer(256), ctypes.create_string_buffer(1024), ctypes.c_int()
told = []
def tell(status, *values):
    told.append((status, *values))
tell(pmi.PMI2_Job_GetId(job, 256))
tell(pmi.PMI2_KVS_Put(b"card-%d" % rank, b"a;b=%d" % rank))
if rank == 0:
    pmi.PMI2_Nameserv_publish(b"svc", None, b"port 1")
tell(pmi.PMI2_KVS_Fence())
tell(pmi.PMI2_KVS_Get(job, -1, b"card-%d" % ((rank + 1) % size), found, 1024, ctypes.byref(length)), found.value)
tell(pmi.PMI2_Nameserv_lookup(b"svc", None, found, 1024), found.value)
if rank % 2 == 1:
    pmi.PMI2_Info_PutNodeAttr(b"segment", b"of rank %d" % rank)
tell(pmi.PMI2_Info_GetNodeAttr(b"segment", found, 1024, ctypes.byref(length), 1), found.value)
tell(pmi.PMI2_Finalize())
print(rank, size, told)
"""


def test_put_fence_get_names_and_what_a_node_shares(tmp_path: Path):
    (tmp_path / "program.py").write_text(PROGRAM)
    with an_allocation(2, 2) as made:
        ran = made.srun("--mpi=pmi2", "-n4", "python3", str(tmp_path / "program.py"))
    expected = []
    for rank, next_one, shared in ((0, 1, 1), (1, 2, 1), (2, 3, 3), (3, 0, 3)):
        card, name, segment = b"a;b=%d" % next_one, b"port 1", b"of rank %d" % shared
        expected.append(f"{rank} 4 {[(0,), (0,), (0,), (0, card), (0, name), (0, segment), (0,)]}")
    assert (sorted(ran.out.splitlines()), ran.code) == (expected, 0), ran.err
