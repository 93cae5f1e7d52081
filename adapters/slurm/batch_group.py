"""From a placed job to the group that its backend is asked to run. Pure, given blobs and tokens."""

from adapters.slurm import environment, filenames
from bridge.core import group, nodes
from bridge.core.job import Job
from bridge.core.request import UNLIMITED_SECONDS
from bridge.core.users import User


def make_group(
    job: Job, *, instance: str, user: User, site: nodes.Site, script: bytes, submitted: bytes, key: str, job_token: str
) -> group.Group:
    """`submitted`: the environment blob (NAME=value joined by NUL)."""
    request = job.request
    partition = site.partition(job.partition)
    # Memory that the job asked for is enforced; what it merely got by default or as a whole node is not its promise.
    limits = tuple(share.memory_mib or None for share in job.nodes)
    return group.Group(
        instance=instance,
        job_id=job.id,
        display_id=job.display_id,
        attempt=job.attempt,
        array_id=job.array_id,
        task_index=job.task_index,
        job_name=request.name,
        user=user.name,
        uid=user.uid,
        gid=request.gid,
        groups=user.groups,
        home=user.home,
        shell=user.shell,
        nodes=job.nodes,
        node_environment=tuple(environment.for_node(job, k) for k in range(len(job.nodes))),
        batch=group.Batch(
            script=script,
            arguments=request.program.arguments,
            environment=environment.for_batch(job, job.nodes, user, site, parse_environment(submitted)),
            working_directory=request.working_directory,
            umask=request.umask,
            rlimits=request.rlimits,
            stdin=filenames.stdin_path(job),
            stdout=filenames.stdout_path(job),
            stderr=filenames.stderr_path(job),
            append=site.default_append if request.files.append is None else request.files.append,
            load_login_environment=request.load_login_environment,
        ),
        time_limit_seconds=None if job.time_limit_seconds >= UNLIMITED_SECONDS else job.time_limit_seconds,
        kill_wait_seconds=site.kill_wait_seconds,
        signal=_signal(job),
        memory_limit_mib=limits,
        patience_seconds=partition.patience_seconds if partition else 300,
        key=key,
        job_token=job_token,
        partition=job.partition,
        mpi_default=site.mpi_default,
        requeue=request.requeue is not False,
        group_names=user.group_names,
        container_image=request.container_image,
        temporary_disk_mib=request.component.temporary_disk_mib or 0,
    )


def _signal(job: Job) -> group.Signal | None:
    wish = job.request.signal
    return group.Signal(wish.number, wish.before_seconds, wish.batch_shell_only) if wish else None


def parse_environment(blob: bytes) -> dict[str, str]:
    """The blob as the store keeps it. Bytes that are no UTF-8 survive as surrogates."""
    found = {}
    for entry in blob.split(b"\0"):
        name, separator, value = entry.partition(b"=")
        if separator:
            found[name.decode("utf-8", "surrogateescape")] = value.decode("utf-8", "surrogateescape")
    return found
