"""All paths that are served."""

from adapters.slurm.rest import cluster, jobs, submission
from adapters.slurm.rest.description import DESCRIPTION
from adapters.slurm.rest.job_words import KILL_FLAGS, SHOW_FLAGS
from adapters.slurm.rest.paths import TIME, Path
from adapters.slurm.rest.shapes import TEXT

_JOBS_EMPTY = {"jobs": [], "last_backfill": 0, "last_update": 0}

_CONTROLLER = (
    Path(
        *("slurm", "GET", "ping", "get_ping", "whether the controller answers", cluster.PING_ANSWER),
        slash=True,
        asks_nobody=True,
    ),
)

_JOBS = (
    Path(
        *("slurm", "GET", "jobs", "get_jobs", "all jobs that the controller remembers", jobs.JOBS_ANSWER),
        query={"update_time": TIME, "flags": SHOW_FLAGS},
        query_parser="OPENAPI_JOB_INFO_QUERY",
        slash=True,
        failure="Unable to query jobs",
        source="slurm_load_jobs()",
        empty=_JOBS_EMPTY,
    ),
    Path(
        *("slurm", "GET", "jobs/state", "get_jobs_state", "states of jobs", jobs.STATES_ANSWER),
        query={"job_id": TEXT},
        query_parser="OPENAPI_JOB_STATE_QUERY",
        slash=True,
        failure="Unable to query job states",
        source="slurm_load_job_state()",
        empty={"jobs": None},
    ),
    Path(
        *("slurm", "POST", "job/submit", "post_job_submit", "submit a batch job", submission.ANSWER),
        body=submission.BODY,
        failure="Batch job submission failed",
        source="slurm_submit_batch_job()",
    ),
    Path(
        *("slurm", "GET", "job/{job_id}", "get_job", "one job", jobs.JOBS_ANSWER),
        query={"update_time": TIME, "flags": SHOW_FLAGS},
        query_parser="OPENAPI_JOB_INFO_QUERY",
        failure="Unable to query JobId={job_id}",
        source="_handle_job_get",
        empty=_JOBS_EMPTY,
    ),
    Path(
        *("slurm", "POST", "job/{job_id}", "post_job", "change a job", jobs.CHANGE_ANSWER),
        body=DESCRIPTION,
        failure="Job update requested failed",
        source="slurm_update_job2()",
        empty={"results": None, "job_id": "", "step_id": "", "job_submit_user_msg": ""},
    ),
    Path(
        *("slurm", "DELETE", "job/{job_id}", "delete_job", "cancel or signal a job", jobs.KILL_ANSWER),
        query={"signal": TEXT, "flags": KILL_FLAGS},
        query_parser="OPENAPI_JOB_DELETE_QUERY",
        failure="Signal request failed",
        source="slurm_kill_jobs()",
        empty={"status": []},
    ),
)

PATHS = (*_CONTROLLER, *_JOBS)
