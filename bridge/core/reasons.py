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
    RESERVATION_DELETED = "ReservationDeleted"
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
    # Limits of accounting. What is counted by resource ends in the resource's name: see `limit_reason`.
    ASSOC_MAX_JOBS = "AssocMaxJobsLimit"
    ASSOC_GRP_JOBS = "AssocGrpJobsLimit"
    ASSOC_MAX_SUBMIT = "AssocMaxSubmitJobLimit"
    ASSOC_GRP_SUBMIT = "AssocGrpSubmitJobsLimit"
    ASSOC_MAX_WALL = "AssocMaxWallDurationPerJobLimit"
    QOS_GRP_JOBS = "QOSGrpJobsLimit"
    QOS_MAX_JOBS_PER_USER = "QOSMaxJobsPerUserLimit"
    QOS_MAX_JOBS_PER_ACCOUNT = "MaxJobsPerAccount"
    QOS_GRP_SUBMIT = "QOSGrpSubmitJobsLimit"
    QOS_MAX_SUBMIT_PER_USER = "QOSMaxSubmitJobPerUserLimit"
    QOS_MAX_SUBMIT_PER_ACCOUNT = "MaxSubmitJobsPerAccount"
    QOS_MAX_WALL = "QOSMaxWallDurationPerJobLimit"
    ASSOC_GRP_CPU = "AssocGrpCpuLimit"
    ASSOC_GRP_MEM = "AssocGrpMemLimit"
    ASSOC_GRP_NODE = "AssocGrpNodeLimit"
    ASSOC_GRP_GRES = "AssocGrpGRES"
    ASSOC_GRP_BILLING = "AssocGrpBilling"
    ASSOC_GRP_LICENSE = "AssocGrpLicense"
    ASSOC_GRP_RUN_CPU = "AssocGrpCPURunMinutesLimit"
    ASSOC_GRP_RUN_MEM = "AssocGrpMemRunMinutes"
    ASSOC_GRP_RUN_NODE = "AssocGrpNodeRunMinutes"
    ASSOC_GRP_RUN_GRES = "AssocGrpGRESRunMinutes"
    ASSOC_GRP_RUN_BILLING = "AssocGrpBillingRunMinutes"
    ASSOC_GRP_RUN_LICENSE = "AssocGrpLicenseRunMinutes"
    ASSOC_GRP_WALL = "AssocGrpWallLimit"
    ASSOC_GRP_MINUTES_CPU = "AssocGrpCPUMinutesLimit"
    ASSOC_GRP_MINUTES_MEM = "AssocGrpMemMinutes"
    ASSOC_GRP_MINUTES_NODE = "AssocGrpNodeMinutes"
    ASSOC_GRP_MINUTES_GRES = "AssocGrpGRESMinutes"
    ASSOC_GRP_MINUTES_BILLING = "AssocGrpBillingMinutes"
    ASSOC_GRP_MINUTES_LICENSE = "AssocGrpLicenseMinutes"
    ASSOC_MAX_CPU = "AssocMaxCpuPerJobLimit"
    ASSOC_MAX_MEM = "AssocMaxMemPerJob"
    ASSOC_MAX_NODE = "AssocMaxNodePerJobLimit"
    ASSOC_MAX_GRES = "AssocMaxGRESPerJob"
    ASSOC_MAX_BILLING = "AssocMaxBillingPerJob"
    ASSOC_MAX_LICENSE = "AssocMaxLicensePerJob"
    ASSOC_NODE_CPU = "AssocMaxCpuPerNode"
    ASSOC_NODE_MEM = "AssocMaxMemPerNode"
    ASSOC_NODE_GRES = "AssocMaxGRESPerNode"
    ASSOC_NODE_BILLING = "AssocMaxBillingPerNode"
    ASSOC_MINUTES_CPU = "AssocMaxCpuMinutesPerJobLimit"
    ASSOC_MINUTES_MEM = "AssocMaxMemMinutesPerJob"
    ASSOC_MINUTES_NODE = "AssocMaxNodeMinutesPerJob"
    ASSOC_MINUTES_GRES = "AssocMaxGRESMinutesPerJob"
    ASSOC_MINUTES_BILLING = "AssocMaxBillingMinutesPerJob"
    ASSOC_MINUTES_LICENSE = "AssocMaxLicenseMinutesPerJob"
    QOS_GRP_CPU = "QOSGrpCpuLimit"
    QOS_GRP_MEM = "QOSGrpMemLimit"
    QOS_GRP_NODE = "QOSGrpNodeLimit"
    QOS_GRP_GRES = "QOSGrpGRES"
    QOS_GRP_BILLING = "QOSGrpBilling"
    QOS_GRP_LICENSE = "QOSGrpLicense"
    QOS_GRP_RUN_CPU = "QOSGrpCPURunMinutesLimit"
    QOS_GRP_RUN_MEM = "QOSGrpMemoryRunMinutes"
    QOS_GRP_RUN_NODE = "QOSGrpNodeRunMinutes"
    QOS_GRP_RUN_GRES = "QOSGrpGRESRunMinutes"
    QOS_GRP_RUN_BILLING = "QOSGrpBillingRunMinutes"
    QOS_GRP_RUN_LICENSE = "QOSGrpLicenseRunMinutes"
    QOS_GRP_WALL = "QOSGrpWallLimit"
    QOS_GRP_MINUTES_CPU = "QOSGrpCPUMinutesLimit"
    QOS_GRP_MINUTES_MEM = "QOSGrpMemoryMinutes"
    QOS_GRP_MINUTES_NODE = "QOSGrpNodeMinutes"
    QOS_GRP_MINUTES_GRES = "QOSGrpGRESMinutes"
    QOS_GRP_MINUTES_BILLING = "QOSGrpBillingMinutes"
    QOS_GRP_MINUTES_LICENSE = "QOSGrpLicenseMinutes"
    QOS_MAX_CPU = "QOSMaxCpuPerJobLimit"
    QOS_MAX_MEM = "QOSMaxMemoryPerJob"
    QOS_MAX_NODE = "QOSMaxNodePerJobLimit"
    QOS_MAX_GRES = "QOSMaxGRESPerJob"
    QOS_MAX_BILLING = "QOSMaxBillingPerJob"
    QOS_MAX_LICENSE = "QOSMaxLicensePerJob"
    QOS_NODE_CPU = "QOSMaxCpuPerNode"
    QOS_NODE_MEM = "QOSMaxMemoryPerNode"
    QOS_NODE_GRES = "QOSMaxGRESPerNode"
    QOS_NODE_BILLING = "QOSMaxBillingPerNode"
    QOS_MINUTES_CPU = "QOSMaxCpuMinutesPerJobLimit"
    QOS_MINUTES_MEM = "QOSMaxMemoryMinutesPerJob"
    QOS_MINUTES_NODE = "QOSMaxNodeMinutesPerJob"
    QOS_MINUTES_GRES = "QOSMaxGRESMinutesPerJob"
    QOS_MINUTES_BILLING = "QOSMaxBillingMinutesPerJob"
    QOS_MINUTES_LICENSE = "QOSMaxLicenseMinutesPerJob"
    QOS_MIN_CPU = "QOSMinCpuNotSatisfied"
    QOS_MIN_MEM = "QOSMinMemory"
    QOS_MIN_NODE = "QOSMinNode"
    QOS_MIN_GRES = "QOSMinGRES"
    QOS_MIN_BILLING = "QOSMinBilling"
    QOS_MIN_LICENSE = "QOSMinLicense"
    QOS_USER_CPU = "QOSMaxCpuPerUserLimit"
    QOS_USER_MEM = "QOSMaxMemoryPerUser"
    QOS_USER_NODE = "QOSMaxNodePerUserLimit"
    QOS_USER_GRES = "QOSMaxGRESPerUser"
    QOS_USER_BILLING = "QOSMaxBillingPerUser"
    QOS_USER_LICENSE = "QOSMaxLicensePerUser"
    QOS_ACCOUNT_CPU = "MaxCpuPerAccount"
    QOS_ACCOUNT_MEM = "MaxMemoryPerAccount"
    QOS_ACCOUNT_NODE = "MaxNodePerAccount"
    QOS_ACCOUNT_GRES = "MaxGRESPerAccount"
    QOS_ACCOUNT_BILLING = "MaxBillingPerAccount"
    QOS_ACCOUNT_LICENSE = "MaxLicensePerAccount"
    QOS_USER_RUN_CPU = "MaxCpuRunMinsPerUser"
    QOS_USER_RUN_MEM = "MaxMemoryRunMinsPerUser"
    QOS_USER_RUN_NODE = "MaxNodeRunMinsPerUser"
    QOS_USER_RUN_GRES = "MaxGRESRunMinsPerUser"
    QOS_USER_RUN_BILLING = "MaxBillingRunMinsPerUser"
    QOS_USER_RUN_LICENSE = "MaxLicenseRunMinsPerUser"
    QOS_ACCOUNT_RUN_CPU = "MaxCpuRunMinsPerAccount"
    QOS_ACCOUNT_RUN_MEM = "MaxMemoryRunMinsPerAccount"
    QOS_ACCOUNT_RUN_NODE = "MaxNodeRunMinsPerAccount"
    QOS_ACCOUNT_RUN_GRES = "MaxGRESRunMinsPerAccount"
    QOS_ACCOUNT_RUN_BILLING = "MaxBillingRunMinsPerAccount"
    QOS_ACCOUNT_RUN_LICENSE = "MaxLicenseRunMinsPerAccount"


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
    Reason.RESERVATION_DELETED: "its reservation is no more",
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
    Reason.ASSOC_MAX_JOBS: "as many jobs of its association run as that allows",
    Reason.ASSOC_GRP_JOBS: "as many jobs run under an account of its as that allows",
    Reason.ASSOC_MAX_SUBMIT: "its association has as many jobs as it may",
    Reason.ASSOC_GRP_SUBMIT: "an account of its has as many jobs as it may",
    Reason.ASSOC_MAX_WALL: "its time limit is over its association's",
    Reason.QOS_GRP_JOBS: "as many jobs of its QOS run as that allows",
    Reason.QOS_MAX_JOBS_PER_USER: "as many jobs of its user run in its QOS as that allows",
    Reason.QOS_MAX_JOBS_PER_ACCOUNT: "as many jobs of its account run in its QOS as that allows",
    Reason.QOS_GRP_SUBMIT: "its QOS has as many jobs as it may",
    Reason.QOS_MAX_SUBMIT_PER_USER: "its user has as many jobs in its QOS as that allows",
    Reason.QOS_MAX_SUBMIT_PER_ACCOUNT: "its account has as many jobs in its QOS as that allows",
    Reason.ASSOC_GRP_WALL: "its time limit is over what an account of its allows all its jobs",
    Reason.QOS_GRP_WALL: "its time limit is over what its QOS allows all its jobs",
    Reason.QOS_MAX_WALL: "its time limit is over its QOS's",
}

_OF_LIMITS: dict[str, str] = {
    "ASSOC_GRP": "jobs under an account of its hold as many {} as that allows",
    "ASSOC_GRP_RUN": "running jobs under an account of its may use as many minutes of {} as that allows",
    "ASSOC_GRP_MINUTES": "it asks for more minutes of {} than an account of its allows all its jobs",
    "QOS_GRP_MINUTES": "it asks for more minutes of {} than its QOS allows all its jobs",
    "ASSOC_MAX": "it asks for more {} than its association allows a job",
    "ASSOC_NODE": "it asks for more {} of a node than its association allows",
    "ASSOC_MINUTES": "it asks for more minutes of {} than its association allows a job",
    "QOS_GRP": "jobs of its QOS hold as many {} as that allows",
    "QOS_GRP_RUN": "running jobs of its QOS may use as many minutes of {} as that allows",
    "QOS_MAX": "it asks for more {} than its QOS allows a job",
    "QOS_NODE": "it asks for more {} of a node than its QOS allows",
    "QOS_MINUTES": "it asks for more minutes of {} than its QOS allows a job",
    "QOS_MIN": "it asks for fewer {} than its QOS wants of a job",
    "QOS_USER": "its user's jobs in its QOS hold as many {} as that allows",
    "QOS_ACCOUNT": "its account's jobs in its QOS hold as many {} as that allows",
    "QOS_USER_RUN": "its user's running jobs in its QOS may use as many minutes of {} as that allows",
    "QOS_ACCOUNT_RUN": "its account's running jobs in its QOS may use as many minutes of {} as that allows",
}
"""Family of limits → sentence, to be filled with the resource."""

_RESOURCES = {
    "CPU": "CPUs",
    "MEM": "memory",
    "NODE": "nodes",
    "GRES": "devices",
    "BILLING": "billing units",
    "LICENSE": "licences",
}

SENTENCES |= {
    Reason[f"{family}_{resource}"]: sentence.format(name)
    for family, sentence in _OF_LIMITS.items()
    for resource, name in _RESOURCES.items()
    if f"{family}_{resource}" in Reason.__members__
}


def is_of_limits(reason: Reason) -> bool:
    """Whether a limit of accounting makes the job wait: neither its size nor its turn."""
    return reason.name.startswith(("ASSOC_", "QOS_"))


def limit_reason(family: str, resource: str) -> Reason | None:
    """For a family of `_OF_LIMITS` and a resource such as cpu, gres/gpu, license/matlab; None: Slurm has none."""
    return Reason.__members__.get(f"{family}_{resource.partition('/')[0].upper()}")
