"""Slurm's refusals: our code → its number and text (slurm_errno.h of 25.11, seen in answers of the real one)."""

ERRORS: dict[str, tuple[int, str]] = {
    "invalid_partition": (2000, "Invalid partition name specified"),
    "no_partition": (2001, "No partition specified or system default partition"),
    "access_denied": (2002, "Access/permission denied"),
    "group_not_permitted": (2003, "User's group not permitted to use this partition"),
    "too_many_cpus": (2005, "More processors requested than permitted"),
    "bad_node_count": (2006, "Node count specification invalid"),
    "script_missing": (2009, "Job script not specified"),
    "invalid_user_id": (2010, "Invalid user id"),
    "not_available": (2014, "Requested node configuration is not available"),
    "invalid_job_id": (2017, "Invalid job id specified"),
    "invalid_node_name": (2018, "Invalid node name specified"),
    "io_error": (2019, "I/O error writing script/environment to file"),
    "cannot_alter": (2020, "Job can not be altered now, try again later"),
    "already_done": (2021, "Job/step already completing or completed"),
    "job_pending": (2024, "Job is pending execution"),
    "bad_feature": (2029, "Invalid feature specification"),
    "disabled": (2037, "Requested operation is presently disabled"),
    "bad_dependency": (2038, "Job dependency problem"),
    "invalid_account": (2045, "Invalid account or account/partition combination specified"),
    "invalid_license": (2048, "Invalid license specification"),
    "policy_limit": (
        2050,
        "Job violates accounting/QOS policy (job submit limit, user's size and/or time limits)",
    ),
    "invalid_time_limit": (2051, "Requested time limit is invalid (missing or exceeds some limit)"),
    "nodes_busy": (2016, "Requested nodes are busy"),
    "invalid_time": (2054, "Invalid time specified"),
    "reservation_busy": (2055, "Requested reservation is in use"),
    "reservation_overlap": (2058, "Requested reservation overlaps with another reservation"),
    "partition_busy": (2075, "Partition is in use"),
    "reservation_for_nobody": (2080, "Reservation request lacks users, groups or accounts"),
    "reservation_exists": (2082, "Duplicate reservation name"),
    "unspecified": (-1, "Unspecified error"),
    "reservation_access": (2052, "Access denied to requested reservation"),
    "invalid_reservation": (2053, "Requested reservation is invalid"),
    "path_too_long": (2012, "Pathname of a file, directory or other parameter too long"),
    "invalid_qos": (2066, "Invalid qos specification"),
    "job_held": (2042, "Job is in held state, pending scheduler release"),
    "circular_dependency": (2071, "Circular job dependency"),
    "invalid_gres": (2072, "Invalid generic resource (gres) specification"),
    "invalid_node_state": (2180, "Invalid node state transition"),
    "not_pending": (2073, "Job is no longer pending execution"),
    "invalid_array": (2081, "Invalid job array specification"),
    "already_started": (2083, "Job has already started"),
    "already_finished": (2084, "Job has already finished"),
    "invalid_tres": (2115, "Invalid Trackable RESource (TRES) specification"),
    "invalid_prefer": (2133, "Invalid preferred feature specification"),
    "invalid_nice": (2123, "Invalid --nice value"),
    "invalid_time_min": (2124, "Invalid time-min specification (exceeds job's time or other limits)"),
    "environment_missing": (2127, "Environment is missing in job"),
    "preemption_off": (2179, "Preemption is required but is disabled on this system"),
    "not_supported": (2036, "Requested operation not supported on this system"),
    "invalid_acctg_freq": (4003, "Invalid accounting frequency requested"),
    "unavailable": (1800, "Unable to contact slurm controller (connect failure)"),
}


def number_of(code: str) -> int:
    """Slurm's number, or -1 (SLURM_ERROR) for an error that is ours alone."""
    return ERRORS.get(code, (-1, ""))[0]


def text_of(code: str, fallback: str) -> str:
    return ERRORS[code][1] if code in ERRORS else fallback
