"""Why a job is in its state: one enumeration, each with Slurm's word and a sentence for people."""

from enum import StrEnum


class Reason(StrEnum):
    """Values are Slurm's words, as squeue and scontrol print them."""

    NONE = "None"
    PRIORITY = "Priority"
    RESOURCES = "Resources"
    DEPENDENCY = "Dependency"
    DEPENDENCY_NEVER_SATISFIED = "DependencyNeverSatisfied"
    BEGIN_TIME = "BeginTime"
    HELD_USER = "JobHeldUser"
    HELD_ADMIN = "JobHeldAdmin"
    ARRAY_TASK_LIMIT = "JobArrayTaskLimit"
    LICENSES = "Licenses"
    PARTITION_TIME_LIMIT = "PartitionTimeLimit"
    PARTITION_NODE_LIMIT = "PartitionNodeLimit"
    PARTITION_DOWN = "PartitionDown"
    PARTITION_INACTIVE = "PartitionInactive"
    PARTITION_CONFIG = "PartitionConfig"
    NODES_NOT_AVAILABLE = "ReqNodeNotAvail"
    BAD_CONSTRAINTS = "BadConstraints"
    RESERVATION = "Reservation"
    REQUEUED_HELD = "job_requeued_in_held_state"
    LAUNCH_FAILED_HELD = "launch_failed_requeued_held"
    HOLD_MAX_REQUEUE = "JobHoldMaxRequeue"
    NON_ZERO_EXIT = "NonZeroExitCode"
    RAISED_SIGNAL = "RaisedSignal"
    TIME_LIMIT = "TimeLimit"
    NODE_DOWN = "NodeDown"
    LAUNCH_FAILURE = "JobLaunchFailure"
    OUT_OF_MEMORY = "OutOfMemory"
    DEADLINE = "DeadLine"
    SYSTEM_FAILURE = "SystemFailure"


SENTENCES: dict[Reason, str] = {
    Reason.NONE: "nothing stands in its way",
    Reason.PRIORITY: "jobs of higher priority wait for the same nodes",
    Reason.RESOURCES: "it waits for room on the nodes",
    Reason.DEPENDENCY: "it waits for other jobs",
    Reason.DEPENDENCY_NEVER_SATISFIED: "what it waits for can no longer happen",
    Reason.BEGIN_TIME: "its begin time is still to come",
    Reason.HELD_USER: "its owner holds it",
    Reason.HELD_ADMIN: "an operator holds it",
    Reason.ARRAY_TASK_LIMIT: "as many tasks of the array run as it allows",
    Reason.LICENSES: "it waits for licences",
    Reason.PARTITION_TIME_LIMIT: "its time limit is over the partition's",
    Reason.PARTITION_NODE_LIMIT: "it asks for more nodes than the partition allows",
    Reason.PARTITION_DOWN: "the partition is down",
    Reason.PARTITION_INACTIVE: "the partition is inactive",
    Reason.PARTITION_CONFIG: "the partition has not what it asks for",
    Reason.NODES_NOT_AVAILABLE: "nodes that it needs are drained or down",
    Reason.BAD_CONSTRAINTS: "no node meets its constraints",
    Reason.RESERVATION: "it waits for its reservation",
    Reason.REQUEUED_HELD: "it was requeued and is held",
    Reason.LAUNCH_FAILED_HELD: "it could not be started, was requeued and is held",
    Reason.HOLD_MAX_REQUEUE: "it was requeued too often and is held",
    Reason.NON_ZERO_EXIT: "the script ended with a status other than 0",
    Reason.RAISED_SIGNAL: "a signal ended the script",
    Reason.TIME_LIMIT: "it reached its time limit",
    Reason.NODE_DOWN: "a node that it ran on was lost",
    Reason.LAUNCH_FAILURE: "the script could not be started",
    Reason.OUT_OF_MEMORY: "it used more memory than it asked for",
    Reason.DEADLINE: "it could not end before its deadline",
    Reason.SYSTEM_FAILURE: "the backend failed",
}
