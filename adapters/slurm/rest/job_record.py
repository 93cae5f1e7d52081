"""A job's shape in slurmrestd's answers, and that of the answers about jobs."""

from adapters.slurm.rest import job_words
from adapters.slurm.rest.envelope import answer
from adapters.slurm.rest.shapes import (
    BOOLEAN,
    F64,
    INT32,
    INT64,
    STRINGS,
    TEXT,
    U16,
    U32,
    U64,
    Anything,
    Flags,
    List,
    Nullable,
    Record,
    flags,
    since,
    until,
)

EXIT_CODE = Record(
    "process_exit_code_verbose",
    {
        "status": job_words.EXIT_STATUS,
        "return_code": U32,
        "signal": Record("", {"id": U16, "name": TEXT}),
    },
)
RESOURCES = Record(
    "job_res",
    {
        "select_type": flags(
            "CPU SOCKET CORE BOARD MEMORY ONE_TASK_PER_CORE PACK_NODES CORE_DEFAULT_DIST_BLOCK LLN LINEAR"
        ),
        "nodes": Record(
            "",
            {
                "count": INT32,
                "select_type": flags("AVAILABLE ONE_ROW RESERVED"),
                "list": TEXT,
                "whole": BOOLEAN,
                "allocation": List(
                    Record(
                        "job_res_node",
                        {
                            "index": INT32,
                            "name": TEXT,
                            "cpus": Record("", {"count": INT32, "used": INT32}),
                            "memory": Record("", {"used": INT64, "allocated": INT64}),
                            "sockets": List(
                                Record(
                                    "job_res_socket",
                                    {
                                        "index": INT32,
                                        "cores": List(
                                            Record(
                                                "job_res_core",
                                                {
                                                    "index": INT32,
                                                    "status": flags("INVALID UNALLOCATED ALLOCATED IN_USE"),
                                                },
                                            )
                                        ),
                                    },
                                )
                            ),
                        },
                    )
                ),
            },
        ),
        "cpus": INT32,
        "threads_per_core": U16,
    },
)
STEP_ID = Record("slurm_step_id", {"sluid": TEXT, "job_id": U32, "step_het_component": U32, "step_id": TEXT})

JOB = Record(
    "job_info",
    {
        "account": TEXT,
        "accrue_time": U64,
        "admin_comment": TEXT,
        "allocating_node": TEXT,
        "array_job_id": U32,
        "array_task_id": U32,
        "array_max_tasks": U32,
        "array_task_string": TEXT,
        "association_id": INT32,
        "batch_features": TEXT,
        "batch_flag": BOOLEAN,
        "batch_host": TEXT,
        "flags": job_words.JOB_FLAGS,
        "burst_buffer": TEXT,
        "burst_buffer_state": TEXT,
        "cluster": TEXT,
        "cluster_features": TEXT,
        "command": TEXT,
        "comment": TEXT,
        "container": TEXT,
        "container_id": TEXT,
        "contiguous": BOOLEAN,
        "core_spec": INT32,
        "thread_spec": INT32,
        "cores_per_socket": U16,
        "billable_tres": F64,
        "cpus_per_task": U16,
        "cpu_frequency_minimum": U32,
        "cpu_frequency_maximum": U32,
        "cpu_frequency_governor": U32,
        "cpus_per_tres": TEXT,
        "cron": TEXT,
        "deadline": U64,
        "delay_boot": U32,
        "dependency": TEXT,
        "derived_exit_code": EXIT_CODE,
        "eligible_time": U64,
        "end_time": U64,
        "excluded_nodes": TEXT,
        "exit_code": EXIT_CODE,
        "extra": TEXT,
        "failed_node": TEXT,
        "features": TEXT,
        "federation_origin": TEXT,
        "federation_siblings_active": TEXT,
        "federation_siblings_viable": TEXT,
        "gres_detail": STRINGS,
        "group_id": INT32,
        "group_name": TEXT,
        "het_job_id": U32,
        "het_job_id_set": TEXT,
        "het_job_offset": U32,
        "job_id": INT32,
        "job_resources": Nullable(RESOURCES),
        "job_size_str": STRINGS,
        "job_state": Flags(job_words.STATE),
        "last_sched_evaluation": U64,
        "licenses": TEXT,
        "licenses_allocated": since(43, TEXT),
        "mail_type": job_words.MAIL,
        "mail_user": TEXT,
        "max_cpus": U32,
        "max_nodes": U32,
        "mcs_label": TEXT,
        "memory_per_tres": TEXT,
        "name": TEXT,
        "network": TEXT,
        "nodes": TEXT,
        "nice": INT32,
        "tasks_per_core": U16,
        "tasks_per_tres": U16,
        "tasks_per_node": U16,
        "tasks_per_socket": U16,
        "tasks_per_board": U16,
        "cpus": U32,
        "node_count": U32,
        "tasks": U32,
        "partition": TEXT,
        "prefer": TEXT,
        "memory_per_cpu": U64,
        "memory_per_node": U64,
        "minimum_cpus_per_node": U16,
        "minimum_tmp_disk_per_node": U32,
        "power": Record("", {"flags": Anything({"type": "array", "items": {}})}),
        "preempt_time": U64,
        "preemptable_time": U64,
        "pre_sus_time": U64,
        "hold": BOOLEAN,
        "priority": U32,
        "priority_by_partition": since(42, List(Record("part_prio", {"partition": TEXT, "priority": INT32}))),
        "profile": job_words.PROFILE,
        "qos": TEXT,
        "reboot": BOOLEAN,
        "required_nodes": TEXT,
        "required_switches": since(42, INT32),
        "requeue": BOOLEAN,
        "resize_time": U64,
        "restart_cnt": INT32,
        "resv_name": TEXT,
        "scheduled_nodes": TEXT,
        "segment_size": since(43, INT32),
        "selinux_context": TEXT,
        "shared": job_words.SHARING,
        "step_id": since(44, STEP_ID),
        "sockets_per_board": INT32,
        "sockets_per_node": U16,
        "start_time": U64,
        "state_description": TEXT,
        "state_reason": TEXT,
        "standard_input": TEXT,
        "standard_output": TEXT,
        "standard_error": TEXT,
        "stdin_expanded": since(43, TEXT),
        "stdout_expanded": since(43, TEXT),
        "stderr_expanded": since(43, TEXT),
        "submit_time": U64,
        "submit_line": since(44, TEXT),
        "suspend_time": U64,
        "system_comment": TEXT,
        "time_limit": U32,
        "time_minimum": U32,
        "threads_per_core": U16,
        "tres_bind": TEXT,
        "tres_freq": TEXT,
        "tres_per_job": TEXT,
        "tres_per_node": TEXT,
        "tres_per_socket": TEXT,
        "tres_per_task": TEXT,
        "tres_req_str": TEXT,
        "tres_alloc_str": TEXT,
        "user_id": INT32,
        "user_name": TEXT,
        "maximum_switch_wait_time": INT32,
        "wckey": TEXT,
        "current_working_directory": TEXT,
        "minimum_switches": until(41, INT32),
        "exclusive": until(41, flags("true false user mcs topo")),
        "oversubscribe": until(41, BOOLEAN),
        "show_flags": until(41, flags("ALL DETAIL MIXED LOCAL SIBLING FEDERATION FUTURE")),
    },
)
JOBS_ANSWER = answer("openapi_job_info_resp", {"jobs": List(JOB), "last_backfill": U64, "last_update": U64})


LISTED_STATE = Record("", {"job_id": TEXT, "state": Flags(job_words.STATE)})
STATES_ANSWER = answer("job_state_resp", {"jobs": Nullable(List(LISTED_STATE))})
"""slurmrestd's schema takes it for an answer of `jobs`; what it really sends is this."""

KILLED = Record(
    "kill_jobs_resp_job",
    {
        "error": Record("", {"string": TEXT, "code": INT32, "message": TEXT}),
        "step_id": TEXT,
        "job_id": U32,
        "federation": Record("", {"sibling": TEXT}),
    },
)
KILL_ANSWER = answer("openapi_kill_job_resp", {"status": since(42, List(KILLED))})
KILL_MANY_ANSWER = answer("openapi_kill_jobs_resp", {"status": List(KILLED)})
CHANGED = Record(
    "job_array_response_msg_entry",
    {"job_id": INT32, "step_id": TEXT, "error": TEXT, "error_code": INT32, "why": TEXT},
)
CHANGE_ANSWER = answer(
    "openapi_job_post_response",
    {
        "results": List(CHANGED),
        "job_id": until(41, TEXT),
        "step_id": until(41, TEXT),
        "job_submit_user_msg": until(41, TEXT),
    },
    required=False,
)
