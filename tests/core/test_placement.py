"""Placement: by example, and never more than there is."""

import time
from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.core import constraint, placement, sizing
from bridge.core.fitting import Candidate
from bridge.core.job import JobKey, Share
from bridge.core.nodes import Node, NodeState, Partition
from bridge.core.placement import FOREVER, RESERVED, Running
from bridge.core.reasons import Reason
from bridge.core.request import Component, Gres
from tests.builders import a_node

NOW = 1000.0
NODES = (a_node("n1", cpus=4), a_node("n2", cpus=4))
MAIN = Partition("main", "local", ("n1", "n2", "n3", "n4"), is_default=True)
FIRST = Partition("first", "local", ("n1", "n2"), priority_tier=2)


def a_candidate(number: int = 1, limit: int = 600, partition: Partition = MAIN, **fields: object) -> Candidate:
    keys = fields.pop("keys", (JobKey(number),))
    rest = {
        k: fields.pop(k)
        for k in ("priority", "nice", "licenses", "constraint", "preference", "partitions")
        if k in fields
    }
    component = Component(**fields)
    rest.setdefault("partitions", (partition.name,))
    return Candidate(
        keys=keys,
        size=sizing.size_of(component, partition),
        component=component,
        time_limit_seconds=limit,
        submitted_at=float(number),
        **rest,
    )


def a_running(number: int, ends_at: float, *shares: Share, **fields: object) -> Running:
    return Running(JobKey(number), shares, ends_at, **fields)


def plan(
    candidates: Sequence[Candidate], running: Sequence[Running] = (), nodes: Sequence[Node] = NODES, **licenses: int
) -> placement.Plan:
    return placement.plan(candidates, running, nodes, (MAIN, FIRST), licenses, NOW)


def placed(found: placement.Plan) -> dict[int, list[tuple[str, int, int]]]:
    """job id → (node, CPUs, tasks)"""
    return {p.key.id: [(s.node, s.cpus, s.tasks) for s in p.shares] for p in found.placements}


class TestRoom:
    def test_tasks_are_packed_on_as_few_nodes_as_their_cpus_allow(self):
        assert placed(plan([a_candidate(1, tasks=3)])) == {1: [("n1", 3, 3)]}

    def test_more_tasks_than_a_node_has_cpus_go_over_two(self):
        assert placed(plan([a_candidate(1, tasks=6)])) == {1: [("n1", 4, 4), ("n2", 2, 2)]}

    def test_nodes_asked_for_get_one_task_each_and_the_rest_in_order(self):
        assert placed(plan([a_candidate(1, nodes_min=2, tasks=3)])) == {1: [("n1", 2, 2), ("n2", 1, 1)]}

    def test_a_fixed_number_a_node(self):
        assert placed(plan([a_candidate(1, nodes_min=2, tasks_per_node=2)])) == {1: [("n1", 2, 2), ("n2", 2, 2)]}

    def test_exclusive_takes_all_of_a_node_and_only_an_empty_one(self):
        busy = a_running(9, NOW + 50, Share("n1", 1, 0, 1))
        assert placed(plan([a_candidate(1, exclusive="node")], [busy])) == {1: [("n2", 4, 1)]}

    def test_nothing_joins_a_job_that_has_its_node_to_itself(self):
        alone = a_running(9, NOW + 50, Share("n1", 1, 0, 1), whole_nodes=True)
        assert placed(plan([a_candidate(1)], [alone])) == {1: [("n2", 1, 1)]}

    def test_memory_is_counted(self):
        found = plan([a_candidate(k, memory_per_node_mib=600) for k in (1, 2, 3)])
        assert placed(found) == {1: [("n1", 1, 1)], 2: [("n2", 1, 1)]}
        assert found.reasons == {JobKey(3): (Reason.RESOURCES, "")}

    def test_mem_0_is_all_memory_of_a_node(self):
        found = plan([a_candidate(1, memory_per_node_mib=0)])
        assert found.placements[0].shares == (Share("n1", 1, 1000, 1),)

    def test_devices_are_given_by_number(self):
        nodes = (a_node("n1", gres=(("gpu", "a100", 2), ("gpu", "h100", 1))),)
        found = plan(
            [
                a_candidate(1, gres_per_node=(Gres("gpu", None, 1),)),
                a_candidate(2, gres_per_node=(Gres("gpu", "h100"),)),
            ],
            nodes=nodes,
        )
        assert [p.shares[0].gres for p in found.placements] == [(("gpu", "a100", (0,)),), (("gpu", "h100", (2,)),)]

    def test_gpus_of_a_job_are_spread_over_its_nodes(self):
        nodes = tuple(a_node(n, gres=(("gpu", None, 2),)) for n in ("n1", "n2"))
        found = plan([a_candidate(1, nodes_min=2, gres_per_job=(Gres("gpu", None, 3),))], nodes=nodes)
        assert [len(s.gres[0][2]) for s in found.placements[0].shares] == [2, 1]

    def test_gpus_of_a_job_take_a_further_node_where_one_has_too_few(self):
        nodes = tuple(a_node(n, gres=(("gpu", None, 2),)) for n in ("n1", "n2", "n3"))
        found = plan([a_candidate(1, gres_per_job=(Gres("gpu", None, 3),))], nodes=nodes)
        assert [(s.node, len(s.gres[0][2])) for s in found.placements[0].shares] == [("n1", 2), ("n2", 1)]

    def test_named_nodes_are_taken_and_excluded_ones_are_not(self):
        assert placed(plan([a_candidate(1, node_list=("n2",))])) == {1: [("n2", 1, 1)]}
        assert placed(plan([a_candidate(1, exclude=("n1",))])) == {1: [("n2", 1, 1)]}

    def test_features_decide(self):
        nodes = (a_node("n1", features=("old",)), a_node("n2", features=("new",)))
        assert placed(plan([a_candidate(1, constraint=constraint.parse("new"))], nodes=nodes)) == {1: [("n2", 1, 1)]}

    def test_a_preference_is_tried_before_the_constraint_and_given_up(self):
        nodes = [a_node("n1", features=("old",)), a_node("n2", features=("new",))]
        wish = {"preference": constraint.parse("new"), "constraint": constraint.parse("old")}
        assert placed(plan([a_candidate(1, **wish)], nodes=nodes)) == {1: [("n2", 1, 1)]}
        assert placed(plan([a_candidate(1, **wish)], nodes=nodes[:1])) == {1: [("n1", 1, 1)]}

    def test_alternatives_in_brackets_hold_for_all_nodes_together(self):
        nodes = (a_node("n1", features=("a",)), a_node("n2", features=("b",)), a_node("n3", features=("b",)))
        found = plan([a_candidate(1, nodes_min=2, constraint=constraint.parse("[a|b]"))], nodes=nodes)
        assert [s.node for s in found.placements[0].shares] == ["n2", "n3"]

    def test_counts_name_how_many_nodes_have_what(self):
        nodes = (a_node("n1", features=("a",)), a_node("n2", features=("a",)), a_node("n3", features=("b",)))
        found = plan([a_candidate(1, nodes_min=2, constraint=constraint.parse("[a*1&b*1]"))], nodes=nodes)
        assert [s.node for s in found.placements[0].shares] == ["n1", "n3"]

    def test_the_largest_allowed_number_of_nodes_that_fits_is_taken(self):
        assert len(plan([a_candidate(1, node_sizes=(1, 2, 3))]).placements[0].shares) == 2

    def test_a_range_takes_as_many_nodes_as_it_can_but_none_without_a_task(self):
        nodes = tuple(a_node(f"n{k}", cpus=4) for k in (1, 2, 3))
        wide = a_candidate(1, nodes_min=1, nodes_max=3)
        assert placed(plan([wide], nodes=nodes)) == {1: [("n1", 1, 1), ("n2", 1, 1), ("n3", 1, 1)]}
        two = a_candidate(1, nodes_min=1, nodes_max=3, tasks=2)
        assert placed(plan([two], nodes=nodes)) == {1: [("n1", 1, 1), ("n2", 1, 1)]}
        pairs = a_candidate(1, nodes_min=1, nodes_max=2, tasks_per_node=2)
        assert placed(plan([pairs], nodes=nodes)) == {1: [("n1", 2, 2), ("n2", 2, 2)]}

    def test_nodes_are_numbered_in_the_partitions_order_whichever_was_named_first(self):
        assert placed(plan([a_candidate(1, nodes_min=2, node_list=("n2",))])) == {1: [("n1", 1, 1), ("n2", 1, 1)]}

    def test_mincpus_is_given_on_each_node(self):
        assert placed(plan([a_candidate(1, nodes_min=2, cpus_per_node_min=3)])) == {1: [("n1", 3, 1), ("n2", 3, 1)]}

    def test_overcommitted_tasks_are_spread_evenly(self):
        assert placed(plan([a_candidate(1, nodes_min=2, tasks=7, overcommit=True)])) == {
            1: [("n1", 1, 4), ("n2", 1, 3)]
        }

    def test_licences_are_counted(self):
        found = plan([a_candidate(k, licenses=(("matlab", 2),)) for k in (1, 2)], matlab=3)
        assert (list(placed(found)), found.reasons) == ([1], {JobKey(2): (Reason.LICENSES, "")})

    def test_overcommit_takes_one_cpu_a_node_for_many_tasks(self):
        assert placed(plan([a_candidate(1, tasks=9, overcommit=True)])) == {1: [("n1", 1, 9)]}

    def test_pieces_of_an_array_start_in_order_while_there_is_room(self):
        keys = tuple(JobKey(1, k) for k in range(10))
        found = plan([a_candidate(1, keys=keys)])
        assert [p.key for p in found.placements] == list(keys[:8])
        assert found.reasons == {JobKey(1, 8): (Reason.RESOURCES, "")}


class TestOrder:
    def test_the_tier_then_priority_then_nice_then_submission(self):
        nodes = (a_node("n1", cpus=1),)
        order = [
            a_candidate(4),
            a_candidate(3, nice=-5),
            a_candidate(2, priority=7),
            a_candidate(1, partition=FIRST),
        ]
        waiting = list(order)
        started = []
        while waiting:
            key = plan(waiting, nodes=nodes).placements[0].key
            started.append(key.id)
            waiting = [c for c in waiting if c.keys[0] != key]
        assert started == [1, 2, 3, 4]

    def test_the_first_without_room_says_resources_the_rest_behind_it_priority(self):
        full = a_running(9, NOW + 50, Share("n1", 4, 0, 4), Share("n2", 4, 0, 4))
        assert plan([a_candidate(k) for k in (1, 2, 3)], [full]).reasons == {
            JobKey(1): (Reason.RESOURCES, ""),
            JobKey(2): (Reason.PRIORITY, ""),
            JobKey(3): (Reason.PRIORITY, ""),
        }

    def test_each_partition_has_its_own_first_in_line(self):
        full = a_running(9, NOW + 50, Share("n1", 4, 0, 4), Share("n2", 4, 0, 4))
        other = Partition("other", "local", ("n2",))
        waiting = [
            a_candidate(1, partition=FIRST),
            a_candidate(2, partition=FIRST),
            a_candidate(3, partition=other),
            a_candidate(4, partition=other),
        ]
        found = placement.plan(waiting, [full], NODES, (FIRST, other), {}, NOW)
        assert {key.id: reason for key, (reason, _) in found.reasons.items()} == {
            1: Reason.RESOURCES,
            2: Reason.PRIORITY,
            3: Reason.RESOURCES,
            4: Reason.PRIORITY,
        }

    def test_a_short_job_is_backfilled_and_a_long_one_is_not(self):
        half = a_running(9, NOW + 100, Share("n1", 4, 0, 4))
        large = a_candidate(1, nodes_min=2, exclusive="node")
        short, long = a_candidate(2, limit=100), a_candidate(3, limit=101)
        found = plan([large, short, long], [half])
        assert placed(found) == {2: [("n2", 1, 1)]}
        assert found.reasons == {JobKey(1): (Reason.RESOURCES, ""), JobKey(3): (Reason.PRIORITY, "")}
        assert found.estimates[JobKey(1)][0] == NOW + 100

    def test_a_long_job_is_backfilled_where_the_reservation_needs_nothing(self):
        half = a_running(9, NOW + 100, Share("n1", 4, 0, 4))
        found = plan([a_candidate(1, tasks=6, cpus_per_task=1), a_candidate(2, limit=9999, tasks=2)], [half])
        assert placed(found) == {2: [("n2", 2, 2)]}

    def test_nodes_that_are_away_are_named(self):
        nodes = (a_node("n1", state=NodeState.DRAIN), a_node("n2", state=NodeState.DOWN))
        assert plan([a_candidate(1)], nodes=nodes).reasons == {JobKey(1): (Reason.NODES_NOT_AVAILABLE, "n1,n2")}

    def test_who_is_behind_a_job_that_lacks_nodes_is_told_less_and_runs_where_there_is_room(self):
        nodes = (a_node("n1", cpus=1), a_node("n2", cpus=1, state=NodeState.DRAIN))
        found = plan(
            [a_candidate(job, nodes_min=2 if job < 3 else 1, tasks=1 + (job < 3)) for job in (1, 2, 3, 4)], nodes=nodes
        )
        assert placed(found) == {3: [("n1", 1, 1)]}
        assert found.reasons == {
            JobKey(1): (Reason.NODES_NOT_AVAILABLE, "n2"),
            JobKey(2): (Reason.NODES_NOT_AVAILABLE, RESERVED),
            JobKey(4): (Reason.PRIORITY, ""),
        }

    def test_which_nodes_are_away_is_told_to_who_wants_more_than_are_up_not_to_who_wants_others(self):
        nodes = (a_node("n1", cpus=4), a_node("n2", cpus=4, state=NodeState.DRAIN))
        named, many, wide = (
            a_candidate(1, node_list=("n2",)),
            a_candidate(2, tasks=5),
            a_candidate(3, nodes_min=2, tasks=2),
        )
        assert plan([named, many, wide], nodes=nodes).reasons == {
            JobKey(1): (Reason.NODES_NOT_AVAILABLE, RESERVED),
            JobKey(2): (Reason.NODES_NOT_AVAILABLE, RESERVED),
            JobKey(3): (Reason.NODES_NOT_AVAILABLE, "n2"),
        }

    def test_a_job_that_no_node_can_ever_hold_keeps_nobody_waiting(self):
        found = plan([a_candidate(1, memory_per_node_mib=10**6), a_candidate(2, tasks=99), a_candidate(3)])
        assert (placed(found), found.reasons) == (
            {3: [("n1", 1, 1)]},
            {JobKey(1): (Reason.BAD_CONSTRAINTS, ""), JobKey(2): (Reason.PARTITION_CONFIG, "")},
        )

    def test_a_partition_that_is_down_starts_nothing(self):
        down = Partition("main", "local", ("n1",), state="DOWN")
        found = placement.plan([a_candidate(1)], [], NODES, (down,), {}, NOW)
        assert found.reasons == {JobKey(1): (Reason.PARTITION_DOWN, "")}

    def test_a_list_of_partitions_is_tried_in_order(self):
        full = a_running(9, FOREVER, Share("n1", 4, 0, 4), Share("n2", 4, 0, 4))
        nodes = (*NODES, a_node("n3"))
        found = plan([a_candidate(1, partitions=("first", "main"))], [full], nodes)
        assert (found.placements[0].partition, found.placements[0].shares[0].node) == ("main", "n3")


components = st.one_of(
    st.builds(
        Component,
        tasks=st.integers(1, 9),
        cpus_per_task=st.integers(1, 3),
        memory_per_cpu_mib=st.sampled_from([None, 100]),
    ),
    st.builds(Component, nodes_min=st.integers(1, 3), tasks_per_node=st.integers(1, 3)),
    st.builds(
        Component,
        memory_per_node_mib=st.sampled_from([0, 100, 700]),
        gres_per_node=st.sampled_from([(), (Gres("gpu", None, 1),)]),
    ),
    st.builds(Component, nodes_min=st.integers(1, 2), exclusive=st.sampled_from([None, "node"])),
    st.builds(Component, nodes_min=st.just(1), nodes_max=st.integers(1, 3), tasks=st.sampled_from([None, 2, 5])),
    st.builds(Component, node_sizes=st.sampled_from([(1, 3), (2,)]), tasks=st.sampled_from([None, 4])),
    st.builds(Component, gres_per_job=st.sampled_from([(Gres("gpu", None, 1),), (Gres("gpu", None, 3),)])),
    st.builds(Component, tasks=st.integers(1, 3), gres_per_task=st.just((Gres("gpu", None, 1),))),
    st.builds(Component, node_list=st.sampled_from([("n2",), ("n1", "n3")]), exclude=st.sampled_from([(), ("n2",)])),
    st.builds(Component, nodes_min=st.integers(1, 2), tasks=st.integers(2, 9), overcommit=st.just(True)),
)
jobs = st.lists(st.tuples(components, st.integers(1, 500), st.integers(1, 3)), max_size=12)


def devices_asked_for(component: Component, nodes: int) -> list[Gres]:
    per_task = [Gres(g.name, g.type, g.count * (component.tasks or 1)) for g in component.gres_per_task]
    return [*component.gres_per_job, *per_task, *(Gres(g.name, g.type, nodes) for g in component.gres_per_node)]


@settings(max_examples=300)
@given(jobs)
def test_no_node_ever_gives_more_than_it_has_and_every_job_gets_its_size(wanted):
    nodes = tuple(a_node(f"n{k}", cpus=4, gres=(("gpu", None, 2),)) for k in (1, 2, 3))
    candidates = [
        Candidate((JobKey(k),), ("main",), sizing.size_of(c, MAIN), c, limit, float(k), priority)
        for k, (c, limit, priority) in enumerate(wanted)
    ]
    found = placement.plan(candidates, [], nodes, (MAIN,), {}, NOW)
    by_key = {c.keys[0]: c for c in candidates}
    for node in nodes:
        here = [(p, s) for p in found.placements for s in p.shares if s.node == node.name]
        assert sum(s.cpus for _, s in here) <= node.cpus
        assert sum(s.memory_mib for _, s in here) <= node.memory_mib
        devices = [i for _, s in here for _, _, indices in s.gres for i in indices]
        assert len(devices) == len(set(devices))
        if any(by_key[p.key].size.whole_nodes for p, _ in here):
            assert len(here) == 1
    for one in found.placements:
        size = by_key[one.key].size
        assert size.nodes_min <= len(one.shares) <= (size.nodes_max or 99)
        assert sum(s.tasks for s in one.shares) >= size.tasks
        assert size.overcommit or sum(s.cpus for s in one.shares) >= size.tasks * size.cpus_per_task
        component = by_key[one.key].component
        assert component.tasks is None or sum(s.tasks for s in one.shares) == component.tasks
        assert size.node_sizes is None or len(one.shares) in size.node_sizes
        assert all(s.tasks >= 1 and s.cpus >= size.cpus_per_node_min for s in one.shares)
        devices = sum(len(indices) for s in one.shares for _, _, indices in s.gres)
        assert devices == sum(g.count for g in devices_asked_for(component, len(one.shares)))
        names = {s.node for s in one.shares}
        assert not names & set(component.exclude)
        assert set(component.node_list) <= names or names < set(component.node_list)
    assert set(found.reasons) | {p.key for p in found.placements} == {c.keys[0] for c in candidates}
    assert found == placement.plan(candidates, [], nodes, (MAIN,), {}, NOW)


@settings(max_examples=200)
@given(jobs, st.lists(st.tuples(st.integers(1, 3), st.integers(1, 4), st.integers(1, 400)), max_size=3))
def test_backfill_never_delays_the_reserved_job(wanted, busy):
    nodes = tuple(a_node(f"n{k}", cpus=4, gres=(("gpu", None, 2),)) for k in (1, 2, 3))
    free = {n.name: 4 for n in nodes}
    running = []
    for k, (node, cpus, seconds) in enumerate(busy):
        if free[f"n{node}"] >= cpus:
            free[f"n{node}"] -= cpus
            running.append(a_running(900 + k, NOW + seconds, Share(f"n{node}", cpus, 0, cpus)))
    candidates = [
        Candidate((JobKey(k),), ("main",), sizing.size_of(c, MAIN), c, limit, float(k))
        for k, (c, limit, _) in enumerate(wanted)
    ]
    found = placement.plan(candidates, running, nodes, (MAIN,), {}, NOW)
    first = next((c for c in candidates if found.reasons.get(c.keys[0], (None,))[0] is Reason.RESOURCES), None)
    if first is None or first.keys[0] not in found.estimates:
        return
    ahead = [p for p in found.placements if p.key < first.keys[0]]
    limits = {c.keys[0]: c.time_limit_seconds for c in candidates}

    def starts_at(others: Sequence[placement.Placement]) -> float:
        world = [
            *running,
            *(
                a_running(p.key.id, NOW + limits[p.key], *p.shares, whole_nodes=candidates[p.key.id].size.whole_nodes)
                for p in others
            ),
        ]
        return placement.plan([first], world, nodes, (MAIN,), {}, NOW).estimates[first.keys[0]][0]

    assert starts_at(found.placements) <= starts_at(ahead)


def test_five_thousand_jobs_without_room_are_judged_quickly():
    full = a_running(9, NOW + 50, *(Share(f"n{k}", 4, 0, 4) for k in range(64)))
    nodes = tuple(a_node(f"n{k}", cpus=4) for k in range(64))
    everywhere = Partition("main", "local", tuple(n.name for n in nodes))
    candidates = [a_candidate(k, tasks=1 + k % 7, limit=60 * (1 + k % 5)) for k in range(5000)]
    began = time.perf_counter()
    found = placement.plan(candidates, [full], nodes, (everywhere,), {}, NOW)
    assert len(found.reasons) == 5000
    assert time.perf_counter() - began < 2  # 0.03 s on an idle machine; quadratic work would take minutes
