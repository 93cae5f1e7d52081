"""Numbers and texts of refusals, held against the library of a real Slurm."""

import ctypes
import shutil
from pathlib import Path

import pytest

from adapters.slurm import errors
from adapters.slurm.rest import envelope
from tests.slurmrest.real import Real

pytestmark = [pytest.mark.root, pytest.mark.slow]


def test_every_number_has_slurms_own_text(real: Real) -> None:
    squeue = shutil.which("squeue", path=real.slurm.exported["PATH"])
    assert squeue is not None
    library = ctypes.CDLL(str(Path(squeue).parents[1] / "lib" / "libslurm.so"))
    library.slurm_strerror.restype = ctypes.c_char_p
    told = {number: library.slurm_strerror(number).decode() for number, _ in errors.ERRORS.values()}
    assert dict(errors.ERRORS.values()) == told
    assert {number: envelope.text_of(number) for number in told} == told
