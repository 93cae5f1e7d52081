"""All paths that are served."""

from collections.abc import Mapping

from adapters.slurm.rest import (
    accounts,
    cluster,
    diagnostics,
    history,
    job_record,
    kills,
    nodes,
    reservations,
    submission,
)
from adapters.slurm.rest.description import DESCRIPTION
from adapters.slurm.rest.job_words import KILL_FLAGS, SHOW_FLAGS, STATE
from adapters.slurm.rest.paths import SWITCH, TIME, Choices, Path
from adapters.slurm.rest.shapes import BOOLEAN, TEXT, Field, Record, Shape, since, until

_JOBS_EMPTY = {"jobs": [], "last_backfill": 0, "last_update": 0}

_LOOK: Mapping[str, Shape] = {"update_time": TIME, "flags": SHOW_FLAGS}

_CONTROLLER = (
    Path(
        *("slurm", "GET", "ping", "get_ping", "whether the controller answers", cluster.PING_ANSWER),
        slash=True,
        asks_nobody=True,
    ),
    Path(
        *("slurm", "GET", "diag", "get_diag", "what the controller counts", diagnostics.ANSWER),
        slash=True,
        failure="slurm_get_statistics() failed to get slurmctld statistics",
        source="op_handler_diag",
    ),
    Path(
        *("slurm", "GET", "nodes", "get_nodes", "all nodes", nodes.NODES_ANSWER),
        query=Record("", _LOOK),
        query_parser="OPENAPI_NODES_QUERY",
        slash=True,
        failure="Failure to query nodes",
        source="_dump_nodes",
    ),
    Path(
        *("slurm", "GET", "node/{node_name}", "get_node", "one node", nodes.NODES_ANSWER),
        query=Record("", _LOOK),
        query_parser="OPENAPI_NODES_QUERY",
        failure="Failure to query node {node_name}",
        source="_dump_nodes",
    ),
    Path(
        *("slurm", "POST", "node/{node_name}", "post_node", "drain a node or take it back", cluster.PLAIN_ANSWER),
        body=nodes.CHANGE,
        failure="Failure to update node {node_name}",
        source="_update_node",
    ),
    Path(
        *("slurm", "POST", "nodes", "post_nodes", "drain nodes or take them back", cluster.PLAIN_ANSWER),
        body=nodes.CHANGE,
        slash=True,
        failure="Failure to update nodes",
        source="_update_nodes",
    ),
    Path(
        *("slurm", "GET", "partitions", "get_partitions", "all partitions", nodes.PARTITIONS_ANSWER),
        query=Record("", _LOOK),
        query_parser="OPENAPI_PARTITIONS_QUERY",
        slash=True,
    ),
    Path(
        *("slurm", "GET", "partition/{partition_name}", "get_partition", "one partition", nodes.PARTITIONS_ANSWER),
        query=Record("", _LOOK),
        query_parser="OPENAPI_PARTITIONS_QUERY",
        failure="Unable to query partitions",
        source="op_handler_partition",
    ),
    Path(
        *("slurm", "GET", "reservations", "get_reservations", "all reservations", nodes.RESERVATIONS_ANSWER),
        query=Record("", {"update_time": TIME}),
        query_parser="OPENAPI_RESERVATION_QUERY",
        slash=True,
        failure="Unable to query reservations",
        source="slurm_load_reservations()",
    ),
    Path(
        *("slurm", "GET", "reservation/{reservation_name}", "get_reservation", "one reservation"),
        nodes.RESERVATIONS_ANSWER,
        query=Record("", {"update_time": TIME}),
        query_parser="OPENAPI_RESERVATION_QUERY",
        failure="Unable to query reservations",
        source="slurm_load_reservations()",
    ),
    Path(
        *("slurm", "POST", "reservation", "post_reservation", "create or change a reservation", reservations.ANSWER),
        body=reservations.DESCRIPTION,
        since=43,
        failure="Error in reservation",
        source="_mod_reservation",
    ),
    Path(
        *("slurm", "POST", "reservations", "post_reservations", "create or change reservations", reservations.ANSWER),
        body=reservations.BODY,
        since=43,
        slash=True,
        failure="Error in reservations",
        source="_mod_reservation",
    ),
    Path(
        *("slurm", "DELETE", "reservation/{reservation_name}", "delete_reservation", "delete a reservation"),
        cluster.PLAIN_ANSWER,
        failure="Error deleting reservation {reservation_name}",
        source="slurm_delete_reservation",
    ),
    Path(
        *("slurm", "GET", "licenses", "get_licenses", "licences and their use", nodes.LICENSES_ANSWER),
        slash=True,
        failure="slurm_load_licenses() was unable to load licenses",
        source="op_handler_licenses",
        empty={"last_update": 0},
    ),
    Path(
        *("slurm", "GET", "shares", "get_shares", "shares of associations", cluster.SHARES_ANSWER),
        query=Record("", {"accounts": TEXT, "users": TEXT}),
        query_parser="SHARES_REQ_MSG",
        failure="slurm_associations_get_shares() failed: GET",
        source="_dump_shares",
    ),
    Path(
        *("util", "POST", "hostnames", "post_hostnames", "the names in a host list"),
        cluster.HOSTNAMES_ANSWER,
        body=cluster.HOSTLIST,
        since=44,
        asks_nobody=True,
    ),
    Path(
        *("util", "POST", "hostlist", "post_hostlist", "names as a host list"),
        cluster.HOSTLIST_ANSWER,
        body=cluster.HOSTNAMES,
        since=44,
        asks_nobody=True,
    ),
)

_JOBS = (
    Path(
        *("slurm", "GET", "jobs", "get_jobs", "all jobs that the controller remembers", job_record.JOBS_ANSWER),
        query=Record("", {"update_time": TIME, "flags": SHOW_FLAGS}),
        query_parser="OPENAPI_JOB_INFO_QUERY",
        slash=True,
        failure="Unable to query jobs",
        source="slurm_load_jobs()",
        empty=_JOBS_EMPTY,
    ),
    Path(
        *("slurm", "GET", "jobs/state", "get_jobs_state", "states of jobs", job_record.STATES_ANSWER),
        query=Record("", {"job_id": TEXT}),
        query_parser="OPENAPI_JOB_STATE_QUERY",
        slash=True,
        failure="Unable to query job states",
        source="slurm_load_job_state()",
        empty={"jobs": None},
    ),
    Path(
        *("slurm", "DELETE", "jobs", "delete_jobs", "cancel or signal jobs", job_record.KILL_MANY_ANSWER),
        body=kills.BODY,
        slash=True,
        failure="Signal request failed",
        source="slurm_kill_jobs()",
        empty={"status": []},
    ),
    Path(
        *("slurm", "POST", "job/allocate", "post_job_allocate", "an allocation without a script; refused here"),
        submission.ALLOCATE_ANSWER,
        body=submission.ALLOCATE_BODY,
        failure="Job allocation request failed",
        source="slurm_allocate_resources()",
    ),
    Path(
        *("slurm", "POST", "job/submit", "post_job_submit", "submit a batch job", submission.ANSWER),
        body=submission.BODY,
        failure="Batch job submission failed",
        source="slurm_submit_batch_job()",
    ),
    Path(
        *("slurm", "GET", "job/{job_id}", "get_job", "one job", job_record.JOBS_ANSWER),
        query=Record("", {"update_time": TIME, "flags": SHOW_FLAGS}),
        query_parser="OPENAPI_JOB_INFO_QUERY",
        failure="Unable to query JobId={job_id}",
        source="_handle_job_get",
        empty=_JOBS_EMPTY,
    ),
    Path(
        *("slurm", "POST", "job/{job_id}", "post_job", "change a job", job_record.CHANGE_ANSWER),
        body=DESCRIPTION,
        failure="Job update requested failed",
        source="slurm_update_job2()",
        empty={"results": [], "job_id": "", "step_id": "", "job_submit_user_msg": ""},
    ),
    Path(
        *("slurm", "DELETE", "job/{job_id}", "delete_job", "cancel or signal a job", job_record.KILL_ANSWER),
        query=Record("", {"signal": TEXT, "flags": KILL_FLAGS}),
        query_parser="OPENAPI_JOB_DELETE_QUERY",
        failure="Signal request failed",
        source="slurm_kill_jobs()",
        empty={"status": []},
    ),
)

_SWITCHES_OF_ASSOCIATIONS = {
    "Include deleted associations": "with_deleted",
    "Include usage": "with_usage",
    "Filter to only defaults": "only_defaults",
    "Include the raw QOS or delta_qos": "with_raw_qos",
    "Include sub acct information": "with_sub_accts",
    "Exclude parent id/name": "without_parent_info",
    "Exclude limits from parents": "without_parent_limits",
}
"""Their names since v0.0.42, and before."""
_ASSOCIATIONS: Mapping[str, Shape | Field] = {
    **{name: since(42, SWITCH) for name in _SWITCHES_OF_ASSOCIATIONS},
    **{name: until(41, BOOLEAN) for name in _SWITCHES_OF_ASSOCIATIONS.values()},
    "account": TEXT,
    "cluster": TEXT,
    "default_qos": TEXT,
    "format": TEXT,
    "id": TEXT,
    "parent_account": TEXT,
    "partition": TEXT,
    "qos": TEXT,
    "usage_end": TIME,
    "usage_start": TIME,
    "user": TEXT,
}
_CLUSTER: Mapping[str, Shape] = {
    "classification": TEXT,
    "cluster": TEXT,
    "federation": TEXT,
    "flags": TEXT,
    "format": TEXT,
    "rpc_version": TEXT,
    "usage_end": TIME,
    "usage_start": TIME,
    "with_deleted": TEXT,
    "with_usage": TEXT,
}
_HISTORY: Mapping[str, Shape | Field] = {
    "account": TEXT,
    "association": TEXT,
    "cluster": TEXT,
    "constraints": TEXT,
    "scheduler_unset": SWITCH,
    "scheduled_on_submit": SWITCH,
    "scheduled_by_main": SWITCH,
    "scheduled_by_backfill": SWITCH,
    "job_started": SWITCH,
    "job_altered": since(44, SWITCH),
    "exit_code": TEXT,
    "show_duplicates": SWITCH,
    "skip_steps": SWITCH,
    "disable_truncate_usage_time": SWITCH,
    "whole_hetjob": SWITCH,
    "disable_whole_hetjob": SWITCH,
    "disable_wait_for_result": SWITCH,
    "usage_time_as_submit_time": SWITCH,
    "show_batch_script": SWITCH,
    "show_job_environment": SWITCH,
    "format": TEXT,
    "groups": TEXT,
    "job_name": TEXT,
    "partition": TEXT,
    "qos": TEXT,
    "reason": TEXT,
    "reservation": TEXT,
    "reservation_id": TEXT,
    "state": Choices(STATE),
    "step": TEXT,
    "end_time": TIME,
    "start_time": TIME,
    "node": TEXT,
    "users": TEXT,
    "wckey": TEXT,
}
_WCKEYS: Mapping[str, Shape] = dict.fromkeys(
    (
        *("cluster", "format", "id", "name", "only_defaults", "usage_end", "usage_start", "user", "with_usage"),
        "with_deleted",
    ),
    TEXT,
)
_INSTANCES: Mapping[str, Shape] = dict.fromkeys(
    ("cluster", "extra", "format", "instance_id", "instance_type", "node_list", "time_end", "time_start"), TEXT
)
_QOS: Mapping[str, Shape | Field] = {
    "description": TEXT,
    "Include deleted QOS": since(42, SWITCH),
    "with_deleted": until(41, BOOLEAN),
    "id": TEXT,
    "format": TEXT,
    "name": TEXT,
    "preempt_mode": TEXT,
}

_DATABASE = (
    Path(
        *("slurmdb", "GET", "ping", "get_ping", "whether the database answers", accounts.PING_ANSWER),
        since=42,
        slash=True,
    ),
    Path(
        *("slurmdb", "GET", "jobs", "get_jobs", "jobs as they were", history.ANSWER),
        query=Record("", _HISTORY),
        query_parser="JOB_CONDITION",
        slash=True,
    ),
    Path(*("slurmdb", "GET", "job/{job_id}", "get_job", "one job as it was", history.ANSWER)),
    Path(
        *("slurmdb", "GET", "users", "get_users", "users", accounts.USERS_ANSWER),
        query=Record(
            "",
            {
                "admin_level": accounts.ADMIN_LEVEL,
                "default_account": TEXT,
                "default_wckey": TEXT,
                "with_assocs": BOOLEAN,
                "with_coords": BOOLEAN,
                "with_deleted": BOOLEAN,
                "with_wckeys": BOOLEAN,
                "without_defaults": BOOLEAN,
            },
        ),
        query_parser="USER_CONDITION",
        slash=True,
    ),
    Path(
        *("slurmdb", "GET", "user/{name}", "get_user", "one user", accounts.USERS_ANSWER),
        query=Record("", dict.fromkeys(("with_deleted", "with_assocs", "with_coords", "with_wckeys"), BOOLEAN)),
        query_parser="OPENAPI_USER_QUERY",
    ),
    Path(
        *("slurmdb", "GET", "accounts", "get_accounts", "accounts", accounts.ACCOUNTS_ANSWER),
        query=Record(
            "",
            {
                "description": TEXT,
                **dict.fromkeys(
                    ("DELETED", "WithAssociations", "WithCoordinators", "NoUsersAreCoords", "UsersAreCoords"), SWITCH
                ),
            },
        ),
        query_parser="ACCOUNT_CONDITION",
        slash=True,
    ),
    Path(
        *("slurmdb", "GET", "account/{account_name}", "get_account", "one account", accounts.ACCOUNTS_ANSWER),
        query=Record("", dict.fromkeys(("with_assocs", "with_coords", "with_deleted"), BOOLEAN)),
        query_parser="OPENAPI_ACCOUNT_QUERY",
    ),
    Path(
        *("slurmdb", "GET", "associations", "get_associations", "associations", accounts.ASSOCIATIONS_ANSWER),
        query=Record("", _ASSOCIATIONS),
        query_parser="ASSOC_CONDITION",
        slash=True,
    ),
    Path(
        *("slurmdb", "GET", "association", "get_association", "the one association that is meant"),
        accounts.ASSOCIATIONS_ANSWER,
        query=Record("", _ASSOCIATIONS),
        query_parser="ASSOC_CONDITION",
        slash=True,
    ),
    Path(
        *("slurmdb", "GET", "qos", "get_qos", "qualities of service", accounts.QOS_ANSWER),
        query=Record("", _QOS),
        query_parser="QOS_CONDITION",
        slash=True,
    ),
    Path(
        *("slurmdb", "GET", "qos/{qos}", "get_single_qos", "one quality of service", accounts.QOS_ANSWER),
        query=Record("", {"with_deleted": BOOLEAN}),
        query_parser="OPENAPI_SLURMDBD_QOS_QUERY",
    ),
    Path(
        *("slurmdb", "GET", "clusters", "get_clusters", "clusters", accounts.CLUSTERS_ANSWER),
        query=Record("", {"update_time": TIME}),
        query_parser="CLUSTER_CONDITION",
        slash=True,
    ),
    Path(
        *("slurmdb", "GET", "cluster/{cluster_name}", "get_cluster", "one cluster", accounts.CLUSTERS_ANSWER),
        query=Record("", _CLUSTER),
        query_parser="CLUSTER_CONDITION",
    ),
    Path(*("slurmdb", "GET", "tres", "get_tres", "kinds of resources", accounts.TRES_ANSWER), slash=True),
    Path(
        *("slurmdb", "GET", "wckeys", "get_wckeys", "workload keys; none are kept", accounts.WCKEYS_ANSWER),
        query=Record("", _WCKEYS),
        query_parser="WCKEY_CONDITION",
        slash=True,
    ),
    Path(*("slurmdb", "GET", "wckey/{id}", "get_wckey", "one workload key; none are kept", accounts.WCKEYS_ANSWER)),
    Path(
        *("slurmdb", "GET", "instances", "get_instances", "instances of a cloud; there are none"),
        accounts.INSTANCES_ANSWER,
        query=Record("", _INSTANCES),
        query_parser="INSTANCE_CONDITION",
        slash=True,
    ),
    Path(
        *("slurmdb", "GET", "instance", "get_instance", "one instance of a cloud; there is none"),
        accounts.INSTANCES_ANSWER,
        query=Record("", _INSTANCES),
        query_parser="INSTANCE_CONDITION",
        slash=True,
    ),
    Path(*("slurmdb", "GET", "config", "get_config", "the whole accounting", accounts.CONFIG_ANSWER)),
)

_BOOK = (
    Path(
        *("slurmdb", "POST", "users", "post_users", "add or change users", cluster.PLAIN_ANSWER),
        body=accounts.USERS_ANSWER,
        slash=True,
    ),
    Path(
        *("slurmdb", "POST", "accounts", "post_accounts", "add or change accounts", cluster.PLAIN_ANSWER),
        body=accounts.ACCOUNTS_ANSWER,
        slash=True,
    ),
    Path(
        *("slurmdb", "POST", "associations", "post_associations", "add or change associations", cluster.PLAIN_ANSWER),
        body=accounts.ASSOCIATIONS_ANSWER,
        slash=True,
    ),
    Path(
        *("slurmdb", "POST", "qos", "post_qos", "add or change qualities of service", cluster.PLAIN_ANSWER),
        body=accounts.QOS_ANSWER,
        query=Record("", _QOS),
        query_parser="QOS_CONDITION",
        slash=True,
    ),
    Path(
        *("slurmdb", "POST", "clusters", "post_clusters", "add clusters; there is one", cluster.PLAIN_ANSWER),
        body=accounts.CLUSTERS_ANSWER,
        query=Record("", {"update_time": TIME}),
        slash=True,
    ),
    Path(*("slurmdb", "POST", "tres", "post_tres", "refused, as by slurmdbd", cluster.PLAIN_ANSWER), slash=True),
    Path(
        *("slurmdb", "POST", "config", "post_config", "all of these at once", cluster.PLAIN_ANSWER),
        body=accounts.CONFIG_ANSWER,
    ),
    Path(
        *("slurmdb", "POST", "users_association", "post_users_association", "add users with their associations"),
        accounts.USERS_ADDED,
        body=accounts.USERS_WANTED,
        query=Record("", {"update_time": TIME, "flags": TEXT}),
        slash=True,
    ),
    Path(
        *("slurmdb", "POST", "accounts_association", "post_accounts_association"),
        *("add accounts with their associations", accounts.ACCOUNTS_ADDED),
        body=accounts.ACCOUNTS_WANTED,
        slash=True,
    ),
    Path(*("slurmdb", "DELETE", "user/{name}", "delete_user", "delete a user", accounts.USERS_REMOVED)),
    Path(
        *("slurmdb", "DELETE", "account/{account_name}", "delete_account", "delete an account"),
        accounts.ACCOUNTS_REMOVED,
    ),
    Path(
        *("slurmdb", "DELETE", "associations", "delete_associations", "delete associations"),
        accounts.ASSOCIATIONS_REMOVED,
        query=Record("", _ASSOCIATIONS),
        query_parser="ASSOC_CONDITION",
        slash=True,
    ),
    Path(
        *("slurmdb", "DELETE", "association", "delete_association", "delete associations"),
        accounts.ASSOCIATIONS_REMOVED,
        query=Record("", _ASSOCIATIONS),
        query_parser="ASSOC_CONDITION",
        slash=True,
    ),
    Path(
        *("slurmdb", "DELETE", "qos/{qos}", "delete_single_qos", "delete a quality of service", accounts.QOS_REMOVED),
        empty={"removed_qos": []},
    ),
    Path(
        *("slurmdb", "DELETE", "cluster/{cluster_name}", "delete_cluster", "delete a cluster; the one there is stays"),
        accounts.CLUSTERS_REMOVED,
        query=Record("", _CLUSTER),
        query_parser="CLUSTER_CONDITION",
    ),
)

PATHS: tuple[Path, ...] = (*_CONTROLLER, *_JOBS, *_DATABASE, *_BOOK)
