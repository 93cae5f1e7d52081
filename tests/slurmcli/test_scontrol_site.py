"""scontrol create, update, delete and show of reservations and partitions, in the words of a real 25.11."""

from dataclasses import replace

import pytest

from bridge.core.errors import Refused
from bridge.core.job import Share
from bridge.service.service import Service
from bridge.slurmcli.wire import Reply
from tests.builders import NOON
from tests.slurmcli.bridge import ALICE, BOB, ROOT, Bridge

pytestmark = pytest.mark.anyio

CREATED = "Reservation created: {}\n"


async def scontrol(bridge: Bridge, line: str) -> Reply:
    return await bridge.run("scontrol", *line.split(), caller=ROOT)


async def reserve(bridge: Bridge, words: str, name: str = "r") -> None:
    reply = await scontrol(bridge, f"create reservationname={name} {words}")
    assert reply == Reply(CREATED.format(name))


# ── reservations ──────────────────────────────────────────────────────────────────────────────────


async def test_a_reservation_is_shown_as_slurm_shows_it(bridge: Bridge):
    assert await bridge.out("scontrol", "show", "reservation") == "No reservations in the system\n"
    await reserve(
        bridge, "starttime=now+1hour endtime=now+3hours users=root nodes=ALL flags=MAINT,IGNORE_JOBS", "maint"
    )
    text = (
        "ReservationName=maint StartTime=2023-11-14T23:13:20 EndTime=2023-11-15T01:13:20 Duration=02:00:00\n"
        "   Nodes=n[1-4] NodeCnt=4 CoreCnt=32 Features=(null) PartitionName=(null) "
        "Flags=MAINT,IGNORE_JOBS,SPEC_NODES,ALL_NODES\n"
        "   TRES=cpu=32\n"
        "   AllowedPartitions=(null) QOS=(null)\n"
        "   Users=root Groups=(null) Accounts=(null) Licenses=(null) State=INACTIVE BurstBuffer=(null)\n"
        "   MaxStartDelay=(null)\n"
        "\n"
    )
    assert await bridge.out("scontrol", "show", "res", "maint") == text
    assert await bridge.out("scontrol", "-o", "show", "reservation=maint") == (
        " ".join(line.strip() for line in text.splitlines()[:-1]) + "\n"
    )
    assert await scontrol(bridge, "show res nosuch") == Reply("Reservation nosuch not found\n", exit_code=1)


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("create reservation", "scontrol: error: A start time must be given.  No reservation created.\n"),
        (
            "create reservation starttime=now users=bob nodecnt=1",
            "scontrol: error: An end time or duration must be given.  No reservation created.\n",
        ),
        (
            "create reservation starttime=now duration=10 users=bob",
            "scontrol: error: CoreCnt, Nodes, NodeCnt, TRES or Watts must be specified.  No reservation created.\n",
        ),
        (
            "create reservation starttime=now duration=10 nodecnt=1",
            "scontrol: error: Either Users/Groups, AllowedPartitions, QOS and/or Accounts must be specified.  "
            "No reservation created.\n",
        ),
        (
            "create reservation starttime=now duration=10 users=bob nodecnt=1 flags=bogus",
            "scontrol: error: Error parsing flags bogus.  No reservation created.\n",
        ),
        (
            "create reservation starttime=now duration=10 users=bob nodecnt=1 bogus=1",
            "scontrol: error: Unknown parameter bogus=1.  No reservation created.\n",
        ),
        (
            "create reservation StartTime=bogus duration=10 users=bob nodecnt=1",
            "Invalid time specification (pos=0): bogus\n"
            "scontrol: error: Invalid start time StartTime=bogus.  No reservation created.\n",
        ),
        (
            "create reservation starttime=now duration=bogus users=bob nodecnt=1",
            "scontrol: error: Invalid duration duration=bogus.  No reservation created.\n",
        ),
        (
            "create reservation starttime=now duration=10 users=nosuch nodecnt=1",
            "Error creating the reservation: Unspecified error\n",
        ),
        (
            "create reservation starttime=now duration=10 accounts=nosuch nodecnt=1",
            "Error creating the reservation: Invalid account or account/partition combination specified\n",
        ),
        (
            "create reservation starttime=now duration=10 users=bob nodes=n9",
            "Error creating the reservation: Invalid node name specified\n",
        ),
        (
            "create reservation starttime=now duration=10 users=bob nodecnt=1 partition=nosuch",
            "Error creating the reservation: Invalid partition name specified\n",
        ),
        (
            "create reservation starttime=now-1hour endtime=now-30minutes users=bob nodecnt=1",
            "Error creating the reservation: Invalid time specified\n",
        ),
        ("update reservationname=nosuch duration=60", "slurm_update error: Requested reservation is invalid\n"),
        ("delete reservation=nosuch", "delete_reservation reservation=nosuch: Requested reservation is invalid\n"),
        ("delete reservation x", "delete_reservation reservation: Requested reservation is invalid\n"),
        ("delete bogus=x", "Invalid deletion entity: bogus=x\n"),
        ("delete", "too few arguments for delete keyword\n"),
        ("create", "too few arguments for create keyword\n"),
        ("create bogus=1", "scontrol: error: Invalid creation entity: bogus=1\n"),
    ],
)
async def test_what_is_refused(bridge: Bridge, line: str, text: str):
    assert await scontrol(bridge, line) == Reply(stderr=text, exit_code=1)


async def test_nodes_are_chosen_by_number_and_features(bridge: Bridge):
    await reserve(bridge, "starttime=now duration=10 users=bob features=amd nodecnt=1")
    assert [one.nodes for one in await bridge.service.runtime.reservations()] == [("n3",)]
    await reserve(bridge, "starttime=now duration=10 users=bob nodecnt=2", "s")
    assert await scontrol(bridge, "create reservation starttime=now duration=10 users=bob nodecnt=1") == Reply(
        "Note, unless nodes are directly requested a reservation must exist in a single partition.\n"
        "If no partition is requested the default partition is assumed.\n",
        "Error creating the reservation: Requested nodes are busy\n",
        1,
    )


async def test_reservations_do_not_overlap_unless_told_to(bridge: Bridge):
    await reserve(bridge, "starttime=now duration=10 users=bob nodes=n1")
    words = "starttime=now duration=10 users=bob nodes=n1"
    assert await scontrol(bridge, f"create reservation=x {words}") == Reply(
        stderr="Error creating the reservation: Requested reservation overlaps with another reservation\n", exit_code=1
    )
    assert await scontrol(bridge, f"create reservation=r {words}") == Reply(
        stderr="Error creating the reservation: Duplicate reservation name\n", exit_code=1
    )
    await reserve(bridge, f"{words} flags=overlap", "x")


async def test_a_reservation_of_nodes_in_use_is_refused_unless_jobs_are_ignored(bridge: Bridge):
    job = await bridge.submit(time_limit_seconds=3600)
    await bridge.start(job, (Share("n1", 1, 256, 1),))
    words = "duration=10 users=bob nodes=n1"
    assert await scontrol(bridge, f"create reservation=r starttime=now {words}") == Reply(
        stderr="Error creating the reservation: Requested nodes are busy\n", exit_code=1
    )
    await reserve(bridge, f"starttime=now {words} flags=ignore_jobs", "r")
    await reserve(bridge, f"starttime=now+2hours {words}", "later")


async def test_a_reservation_is_changed(bridge: Bridge):
    await reserve(bridge, "starttime=now duration=2:00:00 users=bob nodes=n1,n2")
    for words in ("duration=60", "users+=alice", "users-=bob", "nodes=n3", "nodes+=n4", "flags=daily", "flags+=maint"):
        assert await scontrol(bridge, f"update reservationname=r {words}") == Reply("Reservation updated.\n")
    [one] = await bridge.service.runtime.reservations()
    assert (one.end_at - one.start_at, one.users, one.nodes, one.flags) == (
        3600.0,
        ("alice",),
        ("n3", "n4"),
        ("MAINT", "DAILY", "SPEC_NODES"),
    )
    assert await scontrol(bridge, "update reservationname=r users=") == Reply(
        stderr="slurm_update error: Reservation request lacks users, groups or accounts\n", exit_code=1
    )
    assert await scontrol(bridge, "delete reservationname=r") == Reply()
    assert await bridge.service.runtime.reservations() == ()


async def test_only_operators_make_reservations(bridge: Bridge):
    words = ("starttime=now", "duration=10", "users=bob", "nodes=n1")
    assert await bridge.run("scontrol", "create", "reservation", *words, caller=ALICE) == Reply(
        stderr="Error creating the reservation: Invalid user id\n", exit_code=1
    )
    await reserve(bridge, " ".join(words))
    assert await bridge.run("scontrol", "update", "reservationname=r", "duration=10", caller=ALICE) == Reply(
        stderr="slurm_update error: Invalid user id\n", exit_code=1
    )
    assert await bridge.run("scontrol", "delete", "reservation=r", caller=ALICE) == Reply(
        stderr="delete_reservation reservation=r: Invalid user id\n", exit_code=1
    )


async def test_jobs_ask_for_a_reservation_that_is_for_them(bridge: Bridge):
    await reserve(bridge, "starttime=now duration=30 users=bob nodes=n1")
    codes = {}
    for name, caller, fields in (
        ("unknown", BOB, {"reservation": "nosuch"}),
        ("not mine", ALICE, {"reservation": "r"}),
        ("too many nodes", BOB, {"reservation": "r", "nodes_min": 2}),
        ("another node", BOB, {"reservation": "r", "node_list": ("n2",)}),
    ):
        with pytest.raises(Refused) as refused:
            await bridge.submit(caller=caller, **fields)
        codes[name] = refused.value.code
    assert codes == {
        "unknown": "invalid_reservation",
        "not mine": "reservation_access",
        "too many nodes": "not_available",
        "another node": "not_available",
    }
    await bridge.submit(caller=BOB, reservation="r")
    assert await scontrol(bridge, "delete reservation=r") == Reply(
        stderr="delete_reservation reservation=r: Requested reservation is in use\n", exit_code=1
    )


async def test_reservations_and_partitions_outlive_the_service_until_they_end(bridge: Bridge):
    await reserve(bridge, "starttime=now duration=30 users=bob nodes=n1")
    await reserve(bridge, "starttime=now duration=30 users=bob nodes=n2 flags=daily", "daily")
    await scontrol(bridge, "create partition=extra nodes=n1")
    again = Service(
        bridge.store, bridge.service.site, {"local": bridge.backend}, lambda uid: None, now=lambda: bridge.now
    )
    assert [one.name for one in await again.runtime.reservations()] == ["daily", "r"]
    assert again.site.partition("extra") is not None
    bridge.now += 3600
    [daily] = await again.runtime.reservations()
    assert (daily.name, daily.start_at) == ("daily", NOON + 86400)


async def test_sinfo_shows_reservations_and_the_nodes_that_they_keep(bridge: Bridge):
    assert await bridge.out("sinfo", "-T") == "No reservations in the system\n"
    await reserve(bridge, "starttime=now duration=30 users=bob nodes=n1")
    await reserve(bridge, "starttime=now duration=30 users=root nodes=n2 flags=maint", "mm")
    await reserve(bridge, "starttime=now+1hour duration=30 users=bob nodes=n3", "later")
    assert await bridge.out("sinfo", "-T") == (
        "RESV_NAME     STATE           START_TIME             END_TIME     DURATION  NODELIST\n"
        "mm           ACTIVE  2023-11-14T22:13:20  2023-11-14T22:43:20     00:30:00  n2\n"
        "r            ACTIVE  2023-11-14T22:13:20  2023-11-14T22:43:20     00:30:00  n1\n"
        "later      INACTIVE  2023-11-14T23:13:20  2023-11-14T23:43:20     00:30:00  n3\n"
    )
    assert await bridge.out("sinfo", "-h", "-p", "main", "-o", "%P %t %D %N") == (
        "main* maint 1 n2\nmain* resv 1 n1\nmain* idle 1 n3\n"
    )
    assert "State=IDLE+MAINTENANCE+RESERVED " in await bridge.out("scontrol", "show", "node", "n2")
    assert await bridge.out("sinfo", "-h", "-t", "resv", "-o", "%N", "-p", "main") == "n1\n"


# ── partitions ────────────────────────────────────────────────────────────────────────────────────


async def test_a_partition_is_made_changed_and_deleted(bridge: Bridge):
    words = (
        "nodes=n[1-2] MaxTime=60 DefaultTime=10 State=UP MaxNodes=1 AllowAccounts=phys AllowGroups=bob PriorityTier=3"
    )
    assert await scontrol(bridge, f"create partitionname=p2 {words}") == Reply()
    made = bridge.service.site.partition("p2")
    assert made is not None and (made.nodes, made.max_time_seconds, made.allow_accounts) == (
        ("n1", "n2"),
        3600,
        ("phys",),
    )
    assert "Nodes=n[1-2]" in await bridge.out("scontrol", "show", "partition", "p2")
    assert await scontrol(bridge, "update partitionname=p2 MaxTime=120 nodes=n3 AllowAccounts=all") == Reply()
    changed = bridge.service.site.partition("p2")
    assert changed is not None and (changed.nodes, changed.max_time_seconds, changed.allow_accounts) == (
        ("n3",),
        7200,
        None,
    )
    assert await scontrol(bridge, "delete partition=p2") == Reply()
    assert bridge.service.site.partition("p2") is None


async def test_a_partition_of_the_site_file_can_be_changed_and_deleted(bridge: Bridge):
    assert await scontrol(bridge, "update partition=short state=down") == Reply()
    assert await bridge.out("sinfo", "-h", "-p", "short", "-o", "%a") == "down\n"
    assert await scontrol(bridge, "delete partition=short") == Reply()
    assert await bridge.run("scontrol", "show", "partition", "short") == Reply(
        "Partition short not found\n", exit_code=1
    )
    assert await scontrol(bridge, "create partition=short nodes=n1 default=yes") == Reply()
    assert [one.name for one in bridge.service.site.partitions if one.is_default] == ["short"]


async def test_a_partition_that_is_changed_back_is_the_site_files_again(bridge: Bridge):
    for state in ("down", "up"):
        await scontrol(bridge, f"update partition=short state={state}")
    others = (one for one in bridge.service.site.partitions if one.name != "short")
    longer = replace(bridge.service.site.partition("short"), max_time_seconds=7200)
    bridge.service.replace_site(replace(bridge.service.site, partitions=(*others, longer)))
    assert await bridge.out("sinfo", "-h", "-p", "short", "-o", "%a %l") == "up 2:00:00\n"


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("create partition", "scontrol: error: Invalid input: partition  Request aborted\n"),
        ("create partition=main", "Error creating the partition: Invalid partition name specified\n"),
        ("create partition=p3 nodes=n9", "Error creating the partition: Invalid node name specified\n"),
        (
            "create partition=p3 bogus=1",
            "scontrol: error: Update of this parameter is not supported: bogus=1\n\nscontrol: error: Request aborted\n",
        ),
        ("create partition=p3 MaxTime=abc", "scontrol: error: Invalid input MaxTime=abc\n"),
        (
            "update partition=main state=bogus",
            "scontrol: error: Invalid input: state=bogus\n"
            "scontrol: error: Acceptable State values are UP, DOWN, DRAIN and INACTIVE\n",
        ),
        ("update partition=nosuch state=down", "slurm_update error: Invalid partition name specified\n"),
        ("update partition=main nodes=n9", "slurm_update error: Invalid node name specified\n"),
        ("delete partition=nosuch", "delete_partition partition=nosuch: Invalid partition name specified\n"),
    ],
)
async def test_what_is_refused_of_partitions(bridge: Bridge, line: str, text: str):
    assert await scontrol(bridge, line) == Reply(stderr=text, exit_code=1)


async def test_a_partition_with_jobs_stays(bridge: Bridge):
    await bridge.submit(hold=True)
    assert await scontrol(bridge, "delete partition=main") == Reply(
        stderr="delete_partition partition=main: Partition is in use\n", exit_code=1
    )
    assert await bridge.run("scontrol", "update", "partition=main", "state=down", caller=ALICE) == Reply(
        stderr="slurm_update error: Invalid user id\n", exit_code=1
    )
