"""The released programs at work, see `python -m tests.clients`."""

import pytest

from tests.clients import programs, trial
from tests.e2e import conftest, harness

each_bridge = conftest.each_bridge


@pytest.mark.clients
@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("name", programs.PROGRAMS)
def test_a_program_of_others_finds_what_it_knows(each_bridge: harness.Bridge, name: str) -> None:
    try:
        programs.install(programs.PROGRAMS[name])
    except programs.NotInstalled as error:
        pytest.skip(f"the package index does not give {name}: {error}")
    assert trial.run(programs.PROGRAMS[name], each_bridge) == ""
