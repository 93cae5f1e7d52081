"""Which groups become one Job, and how its members are written down."""

import pytest

from adapters.kubernetes import bundle
from bridge.core.job import Share
from tests.kubernetes.makers import a_group, a_task


class TestGathering:
    def test_tasks_that_look_alike_share_a_wave_and_all_else_stands_alone(self) -> None:
        plain, wide = a_group(), a_group(nodes=2, array_id=20, task_index=9, job_id=30)
        thick = a_task(5, shares=(Share("n1", 4, 4096, 1),))
        tasks = [a_task(0), a_task(1), thick, a_task(2)]
        found = bundle.gather([plain, *tasks, wide])
        assert [one.members for one in found] == ["12.1", "30.1", "21-23.1", "26.1"]
        assert [one.pods for one in found] == [1, 2, 3, 1]
        assert [one.is_wave for one in found] == [False, False, True, True]

    def test_a_wave_has_a_thousand_pods_at_most(self) -> None:
        assert [one.pods for one in bundle.gather([a_task(k) for k in range(2500)])] == [1000, 1000, 500]

    def test_names_follow_from_the_members(self) -> None:
        first, again, other = (
            bundle.gather(tasks)[0].name
            for tasks in ([a_task(0), a_task(1)], [a_task(0), a_task(1)], [a_task(0), a_task(2)])
        )
        assert first == again != other
        assert first.startswith("array-20-") and first.endswith("-abcd1234") and len(first) < 54


class TestMembers:
    @pytest.mark.parametrize(
        ("text", "members"),
        [
            ("12.1", ((12, 1),)),
            ("21-23.1", ((21, 1), (22, 1), (23, 1))),
            ("21-22.1,23.2,30.1", ((21, 1), (22, 1), (23, 2), (30, 1))),
        ],
    )
    def test_are_read_as_written(self, text: str, members: tuple[tuple[int, int], ...]) -> None:
        groups = [a_task(0, job_id=job_id, attempt=attempt) for job_id, attempt in members]
        assert bundle.members_text(groups) == text
        assert bundle.parse_members(text) == members

    @pytest.mark.parametrize("text", ["", "x", "1", "1.", ".1", "1-.1.2"])
    def test_of_somebody_elses_are_refused(self, text: str) -> None:
        with pytest.raises(ValueError):
            bundle.parse_members(text)
