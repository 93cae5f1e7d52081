"""scontrol's texts, whole records as 25.11 prints them (ids, times and hosts aside)."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.slurm import scontrol, scontrol_config, scontrol_settings, scontrol_show, scontrol_update
from adapters.slurm.answer import Answer
from adapters.slurm.scontrol_config import Installation
from adapters.slurm.scontrol_show import NodeUse, joined
from adapters.slurm.selectors import Selected
from bridge.core import dag
from bridge.core.change import Change
from bridge.core.indexset import parse
from bridge.core.job import End, Share
from bridge.core.nodes import Host, NodeState
from bridge.core.reasons import Reason
from bridge.core.request import UNLIMITED_SECONDS, Files, Gres, Program
from tests.builders import NOON, a_job, a_node
from tests.slurm.views import NODES, SITE, a_view


def shown(job, *, details=False, one_line=False):
    return joined(scontrol_show.job(job, a_view(), details=details), one_line=one_line)


def asked(**fields):
    return {
        "name": "job.sh",
        "account": "physics",
        "program": Program(command="/w/job.sh"),
        "working_directory": "/w",
        "submit_host": "login",
        **fields,
    }


PENDING = """\
JobId=12 JobName=job.sh
   UserId=alice(1001) GroupId=alice(1001) MCS_label=N/A
   Priority=0 Nice=0 Account=physics QOS=normal
   JobState=PENDING Reason=JobHeldUser Dependency=(null)
   Requeue=1 Restarts=0 BatchFlag=1 Reboot=0 ExitCode=0:0
   RunTime=00:00:00 TimeLimit=00:10:00 TimeMin=N/A
   SubmitTime=2023-11-14T22:13:20 EligibleTime=Unknown
   AccrueTime=Unknown
   StartTime=Unknown EndTime=Unknown Deadline=N/A
   SuspendTime=None SecsPreSuspend=0 LastSchedEval=2023-11-14T22:13:20 Scheduler=Main
   Partition=main AllocNode:Sid=login:0
   ReqNodeList=(null) ExcNodeList=(null)
   NodeList=
   NumNodes=1-1 NumCPUs=2 NumTasks=2 CPUs/Task=1 ReqB:S:C:T=0:0:*:*
   ReqTRES=cpu=2,mem=512M,node=1,billing=2
   AllocTRES=(null)
   Socks/Node=* NtasksPerN:B:S:C=0:0:*:* CoreSpec=*
   MinCPUsNode=1 MinMemoryCPU=256M MinTmpDiskNode=0
   Features=(null) DelayBoot=00:00:00
   OverSubscribe=OK Contiguous=0 Licenses=(null) LicensesAlloc=(null) Network=(null)
   Command=/w/job.sh
   SubmitLine=sbatch -H -n2 -t 10 job.sh
   WorkDir=/w
   StdErr=
   StdIn=/dev/null
   StdOut=/w/slurm-12.out

"""


def a_held_job(**fields):
    request = asked(tasks=2, submit_line="sbatch -H -n2 -t 10 job.sh", **fields)
    return a_job(priority=0, reason=Reason.HELD_USER, time_limit_seconds=600, asked=request)


def test_a_held_job():
    assert shown(a_held_job()) == PENDING


def test_one_line():
    lines = PENDING.strip("\n").split("\n")
    assert shown(a_held_job(), one_line=True) == " ".join(line.strip() for line in lines) + "\n"


RUNNING = """\
JobId=12 JobName=job.sh
   SLUID=s0000000000000C
   UserId=alice(1001) GroupId=alice(1001) MCS_label=N/A
   Priority=1 Nice=0 Account=physics QOS=normal
   JobState=RUNNING Reason=None Dependency=(null)
   Requeue=1 Restarts=0 BatchFlag=1 Reboot=0 ExitCode=0:0
   DerivedExitCode=0:0
   RunTime=00:01:39 TimeLimit=00:30:00 TimeMin=N/A
   SubmitTime=2023-11-14T22:13:20 EligibleTime=2023-11-14T22:13:20
   AccrueTime=2023-11-14T22:13:20
   StartTime=2023-11-14T22:13:21 EndTime=2023-11-14T22:43:21 Deadline=N/A
   SuspendTime=None SecsPreSuspend=0 LastSchedEval=2023-11-14T22:13:21 Scheduler=Main
   Partition=main AllocNode:Sid=login:0
   ReqNodeList=(null) ExcNodeList=(null)
   NodeList=n[1-2]
   BatchHost=n1
   NumNodes=2 NumCPUs=3 NumTasks=3 CPUs/Task=1 ReqB:S:C:T=0:0:*:*
   ReqTRES=cpu=3,mem=768M,node=2,billing=3
   AllocTRES=cpu=3,mem=768M,node=2,billing=3
   Socks/Node=* NtasksPerN:B:S:C=0:0:*:* CoreSpec=*
   JOB_GRES=(null)
     Nodes=n1 CPU_IDs=0-1 Mem=512 GRES=
     Nodes=n2 CPU_IDs=0 Mem=256 GRES=
   MinCPUsNode=1 MinMemoryCPU=256M MinTmpDiskNode=0
   Features=(null) DelayBoot=00:00:00
   OverSubscribe=OK Contiguous=0 Licenses=(null) LicensesAlloc=(null) Network=(null)
   Command=/w/job.sh
   SubmitLine=sbatch -N2 -n3 job.sh
   WorkDir=/w
   StdErr=
   StdIn=/dev/null
   StdOut=/w/slurm-12.out

"""


def test_a_running_job_in_detail():
    request = asked(nodes_min=2, tasks=3, submit_line="sbatch -N2 -n3 job.sh")
    shares = (Share("n1", 2, 512, 2), Share("n2", 1, 256, 1))
    job = a_job(state="RUNNING", nodes=shares, asked=request, eligible_at=NOON)
    assert shown(job, details=True) == RUNNING


def line_with(text, key):
    return next(line.strip() for line in text.split("\n") if key in line)


def test_a_place_s_own_words_about_a_job_are_its_system_comment():
    told = 'pods "x" is forbidden: exceeded quota: none'
    job = a_job(asked=asked(comment="mine"), reason=Reason.RESOURCES, reason_detail=told)
    assert f"\n   SystemComment={told}\n   Comment=mine\n" in shown(job)


def test_what_keeps_a_job_from_starting_on_its_nodes_is_its_reason():
    job = a_job(state="CONFIGURING", reason_detail="ErrImagePull: not found")
    assert line_with(shown(job), "JobState") == (
        "JobState=CONFIGURING Reason=ErrImagePull:_not_found Dependency=(null)"
    )


def test_gpus_in_detail():
    share = Share("n4", 1, 8000, 1, (("gpu", "a100", (0, 2, 3)),))
    wish = (Gres("gpu", "a100", 3),)
    text = shown(a_job(state="RUNNING", partition="gpu", nodes=(share,), asked=asked(gres_per_node=wish)), details=True)
    assert "   JOB_GRES=gpu:a100:3\n     Nodes=n4 CPU_IDs=0 Mem=8000 GRES=gpu:a100:3(IDX:0,2-3)\n" in text
    assert "   TresPerNode=gres/gpu:a100:3\n" in text
    assert line_with(text, "AllocTRES") == "AllocTRES=cpu=1,mem=8000M,node=1,billing=1,gres/gpu=3"


def test_a_count_that_was_not_written_is_not_shown():
    request = asked(gres_per_node=(Gres("gpu", "a100", bare=True), Gres("disk", None, 2)))
    assert "   TresPerNode=gres/gpu:a100,gres/disk:2\n" in shown(a_job(asked=request))


def test_what_was_asked_for_and_recorded_only():
    recorded = {
        "delay-boot": "5",
        "contiguous": "1",
        "network": "foo",
        "extra": "hello",
        "segment": "1",
        "switches": "2@00:10:00",
        "oom-kill-step": "1",
        "tres-bind": "gres/gpu:closest",
        "container": "/no",
    }
    text = shown(a_job(asked=asked(constraint="amd", prefer="ib", recorded=tuple(recorded.items()))))
    assert (
        "   Features=amd DelayBoot=00:05:00\n   Prefer=ib\n"
        "   OverSubscribe=OK Contiguous=1 Licenses=(null) LicensesAlloc=(null) Network=foo\n"
    ) in text
    assert text.endswith(
        "   WorkDir=/w\n   Extra=hello\n   StdErr=\n   StdIn=/dev/null\n   StdOut=/w/slurm-12.out\n"
        "   SegmentSize=1\n   Switches=2@00:05:00\n   OOMKillStep=1\n   TresBind=gres/gpu:closest\n"
        "   Container=/no ContainerID=(null)\n\n"
    )


@pytest.mark.parametrize(("text", "shown_as"), [("1@1:00", "1@00:01:00"), ("1", "1@00:05:00"), ("3@99", "3@00:05:00")])
def test_switches_are_waited_for_five_minutes_at_most(text, shown_as):
    job = a_job(asked=asked(recorded=(("switches", text),)))
    assert line_with(shown(job), "Switches") == f"Switches={shown_as}"


@pytest.mark.parametrize(
    ("fields", "request_fields", "expected"),
    [
        ({"priority": 0}, {}, "NumNodes=1-1 NumCPUs=1 NumTasks=1"),
        ({"priority": 0, "restarts": 1}, {}, "NumNodes=1 NumCPUs=1 NumTasks=1"),
        ({}, {"node_sizes": (1, 3)}, "NumNodes=1,3 NumCPUs=1 NumTasks=1"),
        ({"state": "CANCELLED"}, {}, "NumNodes=1 NumCPUs=1 NumTasks=N/A"),
        ({"state": "DEADLINE"}, {"nodes_min": 2}, "NumNodes=2 NumCPUs=2 NumTasks=N/A"),
        ({"state": "CANCELLED"}, {"tasks": 2}, "NumNodes=1 NumCPUs=2 NumTasks=2"),
    ],
)
def test_counts_of_jobs_that_never_began(fields, request_fields, expected):
    if "state" in fields:
        fields = {**fields, "ended_at": NOON, "nodes": ()}
    assert line_with(shown(a_job(asked=asked(**request_fields), **fields)), "NumNodes").startswith(expected)


def test_the_node_that_failed_is_named():
    share = Share("n4", 1, 256, 1)
    job = a_job(state="NODE_FAIL", nodes=(share,), ended_at=NOON, reason_detail="node n4 is down", end=End(signal=1))
    assert "   FailedNode=n4\n" in shown(job)


def test_wishes_counted_by_gpu():
    request = asked(
        gres_per_job=(Gres("gpu", None, 2),),
        gres_per_node=(Gres("gpu", None, 1),),
        cpus_per_gpu=2,
        memory_per_gpu_mib=100,
    )
    text = shown(a_job(partition="gpu", asked=request))
    assert (
        "   CpusPerTres=gres/gpu:2\n   MemPerTres=gres/gpu:100\n   TresPerJob=gres/gpu:2\n   TresPerNode=gres/gpu:1\n"
        in text
    )
    assert "MinMemoryTRES=100M" in text


def test_an_array_and_its_tasks():
    array = a_job(asked=asked(array="0-3%2"))
    assert shown(array).startswith("JobId=12 ArrayJobId=12 ArrayTaskId=0-3%2 ArrayTaskThrottle=2 JobName=job.sh\n")
    assert line_with(shown(array), "StdOut") == "StdOut=/w/slurm-12_4294967294.out"
    waiting = dataclasses.replace(array, id=15, array_id=12, task_index=2, waiting=None)
    assert shown(waiting).startswith("JobId=12 ArrayJobId=12 ArrayTaskId=2 ArrayTaskThrottle=2 JobName=job.sh\n")
    assert shown(waiting.changed()).startswith("JobId=15 ArrayJobId=12 ArrayTaskId=2 ArrayTaskThrottle=2 ")


def test_what_a_failed_job_says():
    end = End(signal=11)
    job = a_job(state="FAILED", reason=Reason.RAISED_SIGNAL, end=end, started_at=NOON, ended_at=NOON + 5)
    assert line_with(shown(job), "JobState") == (
        "JobState=FAILED Reason=RaisedSignal:11(Segmentation_fault) Dependency=(null)"
    )
    assert "ExitCode=0:11" in shown(job)
    unstarted = dataclasses.replace(job, reason=Reason.LAUNCH_FAILURE, end=End(signal=53, cause="launch_failed"))
    assert line_with(shown(unstarted), "JobState") == (
        "JobState=FAILED Reason=RaisedSignal:53(Real-time_signal_19) Dependency=(null)"
    )


def test_no_node_is_shown_as_asked_for():
    job = a_job(priority=0, asked={"nodes_min": 0})
    assert line_with(shown(job), "NumNodes") == "NumNodes=0 NumCPUs=0 NumTasks=0 CPUs/Task=1 ReqB:S:C:T=0:0:*:*"
    assert "ReqTRES=(null)" in shown(job)


def test_a_job_that_begins_later_says_when():
    text = shown(a_job(reason=Reason.BEGIN_TIME, begin_at=NOON + 3600))
    assert line_with(text, "StartTime") == "StartTime=2023-11-14T23:13:20 EndTime=2023-11-14T23:43:20 Deadline=N/A"
    assert line_with(text, "EligibleTime").endswith("EligibleTime=2023-11-14T23:13:20")


def test_comment_files_and_mail():
    request = asked(
        comment="c2", files=Files("o.%j", "e.%j", "/in"), mail_types=("END", "FAIL"), dependency=dag.Dependency(())
    )
    assert shown(a_job(asked=request)).endswith(
        "   WorkDir=/w\n   Comment=c2\n   StdErr=/w/e.12\n   StdIn=/in\n   StdOut=/w/o.12\n"
        "   MailUser=alice MailType=END,FAIL\n\n"
    )


def test_no_limit_is_unlimited():
    assert "TimeLimit=UNLIMITED" in shown(a_job(time_limit_seconds=UNLIMITED_SECONDS))


NODE = """\
NodeName=n4 Arch=x86_64 CoresPerSocket=4 
   CPUAlloc=2 CPUEfctv=8 CPUTot=8 CPULoad=1.47
   AvailableFeatures=amd
   ActiveFeatures=amd
   Gres=gpu:a100:4
   NodeAddr=127.0.0.1 NodeHostName=vm Version=25.11.8
   OS=Linux 6.1.0 #1 SMP 
   RealMemory=16000 AllocMem=512 FreeMem=19742 Sockets=2 Boards=1
   State=MIXED+DRAIN ThreadsPerCore=1 TmpDisk=0 Weight=1 Owner=N/A MCS_label=N/A
   Partitions=gpu 
   BootTime=2023-11-14T10:00:00 SlurmdStartTime=2023-11-14T22:13:20
   LastBusyTime=2023-11-14T22:13:20 ResumeAfterTime=None
   CfgTRES=cpu=8,mem=16000M,billing=8,gres/gpu=4
   AllocTRES=cpu=2,mem=512M,gres/gpu=1
   CurrentWatts=0 AveWatts=0
   Reason=bad disk [root@2023-11-14T22:13:20]

"""  # noqa: W291 — the blanks at the ends of lines are Slurm's


HOST = Host("vm", "127.0.0.1", "x86_64", "Linux 6.1.0 #1 SMP", NOON - 44000, NOON, 1.4719, 19742)


def test_a_node():
    node = dataclasses.replace(
        NODES[3], state=NodeState.DRAIN, reason="bad disk", reason_by="root", reason_at=NOON, host=HOST
    )
    use = NodeUse(node, 2, 512, (("gpu", "a100", 1),))
    assert joined(scontrol_show.node(use, a_view()), one_line=False) == NODE


def test_what_nobody_saw_of_a_node_is_not_made_up():
    text = joined(scontrol_show.node(NodeUse(NODES[0], 2), a_view()), one_line=True)
    for part in ("CPULoad=N/A", "FreeMem=N/A", "NodeAddr=n1 NodeHostName=n1", "BootTime=None", "LastBusyTime=Unknown"):
        assert part in text
    assert "OS=" not in text


PARTITION = """\
PartitionName=main
   AllowGroups=ALL AllowAccounts=ALL AllowQos=ALL
   AllocNodes=ALL Default=YES QoS=N/A
   DefaultTime=00:30:00 DisableRootJobs=NO ExclusiveUser=NO ExclusiveTopo=NO GraceTime=0 Hidden=NO
   MaxNodes=UNLIMITED MaxTime=1-00:00:00 MinNodes=0 LLN=NO MaxCPUsPerNode=UNLIMITED MaxCPUsPerSocket=UNLIMITED
   Nodes=n[1-3]
   PriorityJobFactor=1 PriorityTier=1 RootOnly=NO ReqResv=NO OverSubscribe=NO
   OverTimeLimit=NONE PreemptMode=OFF
   State=UP TotalCPUs=24 TotalNodes=3 SelectTypeParameters=NONE
   JobDefaults=(null)
   DefMemPerCPU=256 MaxMemPerNode=UNLIMITED
   TRES=cpu=24,mem=48000M,node=3,billing=24

"""


def test_a_partition():
    assert joined(scontrol_show.partition(SITE.partitions[0], NODES, SITE), one_line=False) == PARTITION


def test_memory_is_written_in_the_largest_unit_that_keeps_it_exact():
    nodes = [dataclasses.replace(node, memory_mib=16384 + 512 * (node.name == "n1")) for node in NODES]
    text = joined(scontrol_show.partition(SITE.partitions[0], nodes, SITE), one_line=True)
    assert "TRES=cpu=24,mem=48.50G,node=3,billing=24" in text


def test_the_clusters_default_of_memory_is_not_the_partitions():
    site = dataclasses.replace(SITE, default_memory_per_cpu_mib=256)
    text = joined(scontrol_show.partition(site.partitions[0], NODES, site), one_line=True)
    assert " DefMemPerNode=UNLIMITED MaxMemPerNode=UNLIMITED " in text
    config = scontrol_config.text(site, NODES, HERE, a_view().clock)
    assert "\nDefMemPerCPU            = 256\n" in config


HERE = Installation("vm", NOON, "127.0.0.1", 7443, "root", 0, "/var/lib/bridge", "/etc/bridge/site.toml")

CONFIG = """\
Configuration data as of 2023-11-14T22:15:00
AccountingStorageEnforce = none
AccountingStorageTRES   = cpu,mem,node,billing,gres/gpu
AccountingStorageType   = accounting_storage/slurmdbd
AccountingStoreFlags    = job_comment,job_script
BOOT_TIME               = 2023-11-14T22:13:20
ClusterName             = oracle
CompleteWait            = 0 sec
DefMemPerNode           = UNLIMITED
DependencyParameters    = (null)
DisableRootJobs         = no
EnforcePartLimits       = NO
FederationParameters    = (null)
FirstJobId              = 1
GresTypes               = gpu
JobAcctGatherFrequency  = task=30
JobFileAppend           = 0
JobRequeue              = 1
JobSubmitPlugins        = (null)
KillOnBadExit           = 0
KillWait                = 30 sec
Licenses                = matlab:4
MailProg                = (null)
MaxArraySize            = 1001
MaxMemPerNode           = UNLIMITED
MaxNodeCount            = 4
MinJobAge               = 300 sec
MpiDefault              = (null)
OverTimeLimit           = 0 min
PreemptMode             = OFF
PreemptType             = (null)
PriorityType            = priority/multifactor
PriorityWeightAge       = 0
PriorityWeightAssoc     = 0
PriorityWeightFairShare = 0
PriorityWeightJobSize   = 0
PriorityWeightPartition = 0
PriorityWeightQOS       = 0
PrivateData             = none
SchedulerType           = sched/backfill
SelectType              = select/cons_tres
SelectTypeParameters    = CR_CPU_MEMORY
SlurmUser               = root(0)
SlurmctldHost[0]        = vm(127.0.0.1)
SlurmctldPort           = 7443
SlurmdUser              = root(0)
SLURM_CONF              = /etc/bridge/site.toml
SLURM_VERSION           = 25.11.8
StateSaveLocation       = /var/lib/bridge
TrackWCKey              = no

"""


def test_config_is_laid_out_as_slurms():
    assert scontrol_config.text(SITE, NODES, HERE, a_view().clock) == CONFIG


def test_config_leaves_out_what_is_not_there():
    site = dataclasses.replace(SITE, accounts=(("alice", ("physics",)),), qos=(("alice", ("normal",)),))
    text = scontrol_config.text(site, NODES, Installation("vm"), a_view().clock)
    assert "SlurmctldPort" not in text and "StateSaveLocation" not in text
    assert "\nSlurmctldHost[0]        = vm\n" in text
    assert "\nAccountingStorageEnforce = associations,limits,qos\n" in text


# ── command lines ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("argv", "answer"),
    [
        (["show", "unicorn"], Answer(stderr="invalid entity:unicorn for keyword:show\n", exit_code=1)),
        (["frobnicate"], Answer(stderr="invalid keyword: frobnicate\n", exit_code=1)),
        (["abort"], Answer(stderr="invalid keyword: abort\n", exit_code=1)),
        (["ping", "x"], Answer(stderr="too many arguments for keyword:ping\n", exit_code=1)),
        (["completing", "x"], Answer(stderr="too many arguments for keyword:completing\n", exit_code=1)),
        (["notify", "1"], Answer(stderr="too few arguments for keyword:notify\n", exit_code=1)),
        (["shutdown", "x"], Answer(stderr="invalid shutdown argument:x\n", exit_code=1)),
        (["reboot"], Answer(stderr="Missing node list. Specify ALL|<NodeList>", exit_code=1)),
        (["show"], Answer(stderr="too few arguments for keyword:show\n", exit_code=1)),
        (["show", "job", "5", "4"], Answer(stderr="too many arguments for keyword:show\n", exit_code=1)),
        (["hold"], Answer(stderr="too few arguments for keyword:hold\n", exit_code=1)),
        (["--version"], Answer("slurm 25.11.8\n")),
        (["version"], Answer("slurm 25.11.8\n")),
        (["show", "topology"], Answer()),
        (["show", "federation"], Answer()),
        (["show", "hostnames", "n[1-3],m7"], Answer("n1\nn2\nn3\nm7\n")),
        (["show", "hostname", "n[1-2]"], Answer("n1\nn2\n")),
        (["show", "hostnames", "n[1-"], Answer(stderr="Invalid hostlist: n[1-\n")),
        (["show", "hostlist", "n1,n2,n4,m7"], Answer("n[1-2,4],m7\n")),
        (["show", "hostlistsorted", "n3,n1"], Answer("n[1,3]\n")),
        (["errnumstr", "2017"], Answer("Invalid job id specified\n")),
        (["write", "foo"], Answer(stderr="invalid write argument:foo\n", exit_code=1)),
        (["token", "foo=1"], Answer(stderr="Invalid option: `foo=1`\n", exit_code=1)),
        (
            ["token", "lifespan=x"],
            Answer(stderr='scontrol: error: Invalid numeric value "x" for lifespan.\n', exit_code=1),
        ),
        (["update"], Answer(stderr="too few arguments for update keyword\n", exit_code=1)),
        (["update", "JobId=12"], Answer(stderr="No changes specified\n", exit_code=1)),
        (
            ["update", "JobId=12", "Bogus=1"],
            Answer(stderr="Update of this parameter is not supported: Bogus=1\nRequest aborted\n", exit_code=1),
        ),
        (
            ["update", "Name=x"],
            Answer(
                stderr="No valid entity in update command\nInput line must include "
                '"NodeName", "PartitionName", "Reservation", "JobId", or "SlurmctldDebug"\n',
                exit_code=1,
            ),
        ),
        (
            ["update", "NodeName=n1", "State=DRAIN"],
            Answer(stderr="You must specify a reason when DOWNING or DRAINING a node. Request denied\n", exit_code=1),
        ),
    ],
)
def test_answers_that_need_no_job(argv, answer):
    assert scontrol.read(argv, {}) == answer


def test_hostnames_come_from_slurm_nodelist_only():
    assert scontrol.read(["show", "hostnames"], {"SLURM_NODELIST": "a[08-10]"}) == Answer("a08\na09\na10\n")
    nothing = Answer(stderr="scontrol: error: host list is empty\n")
    assert scontrol.read(["show", "hostnames"], {"SLURM_JOB_NODELIST": "a[08-10]"}) == nothing


@pytest.mark.parametrize(
    ("argv", "order"),
    [
        (["show", "job"], scontrol.Show("job", None)),
        (["show", "job", "12", "-o"], scontrol.Show("job", "12", one_line=True)),
        (["-d", "show", "jobid=12"], scontrol.Show("job", "12", details=True)),
        (["show", "nodes=n1"], scontrol.Show("node", "n1")),
        (["show", "part", "main"], scontrol.Show("partition", "main")),
        (["hold", "12_2,13"], scontrol.Act("hold", (("12_2", Selected(12, parse("2"))), ("13", Selected(13))))),
        (["release", "abc"], scontrol.Act("release", (("abc", None),))),
        (
            ["requeuehold", "State=SpecialExit", "5"],
            scontrol.Act("requeuehold", (("5", Selected(5)),), special_exit=True),
        ),
        (["write", "batch_script", "12", "-"], scontrol.WriteScript("12", Selected(12), "-")),
        (["token", "lifespan=60", "username=bob"], scontrol.Token("bob", 60)),
        (["ping"], scontrol.Ping()),
        (
            ["update", "nodename=n[1-2]", "state=down", "reason=bad disk"],
            scontrol_update.Update(nodes=scontrol_update.NodeUpdate(("n1", "n2"), "DOWN", "bad disk")),
        ),
    ],
)
def test_orders(argv, order):
    assert scontrol.read(argv, {}) == order


def change_of(*words, job=None):
    update = scontrol.read(["update", "JobId=12", *words], {})
    assert isinstance(update, scontrol_update.Update), update
    return scontrol_settings.change_for(update.settings, job or a_job(), a_view().clock)


@pytest.mark.parametrize(
    ("words", "change"),
    [
        (["JobName=x"], Change(request={"name": "x"})),
        (["name=x", "COMMENT=a b"], Change(request={"name": "x", "comment": "a b"})),
        (["TimeLimit=5"], Change(time_limit_seconds=300)),
        (["TimeLimit=+5"], Change(time_limit_delta_seconds=300)),
        (["TimeLimit-=5"], Change(time_limit_delta_seconds=-300)),
        (["TimeLimit=UNLIMITED"], Change(time_limit_seconds=UNLIMITED_SECONDS)),
        (["Part=short"], Change(component={"partitions": ("short",)})),
        (["NumNodes=1-3"], Change(component={"nodes_min": 1, "nodes_max": 3, "node_sizes": None})),
        (["Nice=5"], Change(request={"nice": 5})),
        (["Priority=7"], Change(priority=7)),
        (["Requeue=0"], Change(request={"requeue": False})),
        (["Dependency="], Change(request={"dependency": None})),
        (["StartTime=now+1hour"], Change(request={"begin_at": NOON + 3700})),
        (["ReqNodeList=n[1-2]", "ExcNodeList="], Change(component={"node_list": ("n1", "n2"), "exclude": ()})),
        (["StdOut=/o.%j"], Change(request={"files": Files(stdout="/o.%j")})),
    ],
)
def test_settings(words, change):
    assert change_of(*words) == change


def test_a_throttle_is_for_arrays():
    assert change_of("ArrayTaskThrottle=5", job=a_job(asked={"array": "0-9%2"})) == Change(array_throttle=5)
    with pytest.raises(scontrol_settings.BadSetting, match="only allowed on ArrayJobId"):
        change_of("ArrayTaskThrottle=5")


def test_cpus_are_counted_in_tasks():
    assert change_of("NumCPUs=8", job=a_job(asked={"cpus_per_task": 3})) == Change(component={"tasks": 3})


@pytest.mark.parametrize(
    ("word", "text"),
    [
        ("TimeLimit=x", "scontrol: error: Invalid TimeLimit value\n"),
        ("MailType=BOGUS", "Invalid MailType: BOGUS\n"),
        (
            "TimeLimit-=300",
            "scontrol: error: TimeLimit decrement larger than current time limit (300 > 30)\n",
        ),
        ("Priority=x", "scontrol: error: Invalid Priority value: x\n"),
        ("Clusters=x", "Unspecified error for job {}\n"),
        ("StartTime=zz", "Invalid time specification (pos=0): zz\nNo changes specified\n"),
        ("Dependency=afterok", "Job dependency problem for job {}\n"),
        ("EndTime=now", "Job is not running for job {}\n"),
    ],
)
def test_bad_settings(word, text):
    with pytest.raises(scontrol_settings.BadSetting) as caught:
        change_of(word)
    assert str(caught.value) == text


PAIRS = st.builds(
    lambda name, value: f"{name}={value}",
    st.sampled_from([*scontrol_settings.SETTINGS, "JobId", "NodeName", "State", "Reason", "Job", "x"]),
    st.text(max_size=10),
)


@given(st.lists(st.one_of(PAIRS, st.text(max_size=10)), max_size=5))
def test_any_update_is_read_or_refused(words):
    update = scontrol.read(["update", *words], {})
    if not isinstance(update, scontrol_update.Update) or update.nodes is not None:
        return
    try:
        change = scontrol_settings.change_for(update.settings, a_job(), a_view().clock)
    except scontrol_settings.BadSetting:
        return
    assert isinstance(change, Change)


@given(st.lists(st.text(max_size=10), max_size=5))
def test_any_command_line_is_read_or_refused(words):
    assert scontrol.read(words, {}) is not None


def test_nodes_without_features_or_devices():
    lines = scontrol_show.node(NodeUse(a_node("x9")), a_view())
    assert "Gres=(null)" in lines and "AvailableFeatures=(null)" in lines


@pytest.mark.parametrize(("wish", "lines"), [(True, ["Yes"]), (False, ["No"]), (None, [])])
def test_what_becomes_of_a_job_that_can_never_start_is_shown_where_it_was_said(wish, lines):
    text = shown(a_held_job(kill_on_invalid_dependency=wish))
    assert [line.strip() for line in text.splitlines() if "Kill" in line] == [
        f"KillOnInvalidDependent={said}" for said in lines
    ]


# ── settings of jobs, as a real 25.11 takes and refuses them ──────────────────────────────────────


def recorded_after(*words, **fields):
    update = scontrol_update.read(["JobId=12", *words])
    assert isinstance(update, scontrol_update.Update), update
    return scontrol_settings.change_for(update.settings, a_job(**fields), a_view().clock)


@pytest.mark.parametrize(
    ("word", "change"),
    [
        ("Prefer=amd", Change(component={"prefer": "amd"})),
        ("ReqSockets=2", Change(component={"sockets_per_node": 2})),
        ("ReqCores=3", Change(component={"cores_per_socket": 3})),
        ("ReqThreads=1", Change(component={"threads_per_core": 1})),
        ("TresPerJob=gres/gpu:2", Change(component={"gres_per_job": (Gres("gpu", None, 2),)})),
        (
            "TresPerTask=cpu:2,gres/gpu:1",
            Change(component={"cpus_per_task": 2, "gres_per_task": (Gres("gpu", None, 1),)}),
        ),
        ("CpusPerTres=gres/gpu:2", Change(component={"cpus_per_gpu": 2})),
        (
            "MemPerTres=gres/gpu:100",
            Change(
                component={"memory_per_gpu_mib": 100, "memory_per_node_mib": None, "memory_per_cpu_mib": None},
            ),
        ),
        ("MailType=NONE", Change(request={"mail_types": ()})),
        ("Extra=e", Change(request={"recorded": (("extra", "e"),)})),
        ("DelayBoot=5", Change(request={"recorded": (("delay-boot", "5"),)})),
        ("Switches=1", Change(request={"recorded": (("switches", "1"),)})),
        ("wait-for-switch=65", Change(request={"recorded": (("switches", "0@1:05"),)})),
    ],
)
def test_further_settings(word, change):
    assert recorded_after(word, asked={"gres_per_node": (Gres("gpu", None, 1),)}) == change


def test_what_is_no_node_count_is_told_without_an_exit_code():
    said = 'scontrol: error: "x" is not a valid node count\n'
    assert scontrol_update.read(["JobId=12", "NumNodes=x"]) == Answer(stderr=said)


def test_files_stay_where_they_were_when_the_directory_changes():
    job = a_job(asked={"working_directory": "/a", "files": Files(stdout="o", stderr="/e")})
    change = change_of("WorkDir=/b", job=job)
    assert change.request == {"working_directory": "/b", "files": Files(stdout="/a/o", stderr="/e")}


def test_what_is_recorded_is_added_to_what_was():
    change = recorded_after("Extra=e", "wait-for-switch=5", asked={"recorded": (("switches", "2@9"), ("hint", "x"))})
    assert dict(change.request["recorded"]) == {"switches": "2@0:05", "hint": "x", "extra": "e"}


@pytest.mark.parametrize(
    ("word", "text"),
    [
        ("MinMemoryCPU=1G", "scontrol: error: Invalid MinMemoryCPU value: 1G\n"),
        ("TresBind=x", "Invalid Trackable RESource (TRES) specification for job {}\n"),
        ("TresPerSocket=gres/gpu:1", "Invalid generic resource (gres) specification for job {}\n"),
        ("CpusPerTres=gres/gpu:1", "Invalid generic resource (gres) specification for job {}\n"),
        ("CpusPerTres=gres/disk:1", "Invalid generic resource (gres) specification for job {}\n"),
    ],
)
def test_settings_that_are_refused(word, text):
    with pytest.raises(scontrol_settings.BadSetting) as bad:
        recorded_after(word)
    assert str(bad.value) == text


@pytest.mark.parametrize(
    ("word", "answer"),
    [
        ("MinNodes=1", "Update of this parameter is not supported: MinNodes=1\nRequest aborted\n"),
        ("ReqCPUs=1", "Update of this parameter is not supported: ReqCPUs=1\nRequest aborted\n"),
        ("BurstBuffer=x", "Requested operation not supported on this system for job 12\n"),
        ("ResetAccrueTime=", "Update of this parameter is not supported: ResetAccrueTime=\nRequest aborted\n"),
        ("UserID=0", "No changes specified\n"),
    ],
)
def test_settings_that_nothing_has(word, answer):
    assert scontrol_update.read(["JobId=12", word]) == Answer(stderr=answer, exit_code=1)


def test_ages_that_count_for_nothing_may_be_set_back():
    assert scontrol_update.read(["JobId=12", "ResetAccrueTime"]) == Answer()
