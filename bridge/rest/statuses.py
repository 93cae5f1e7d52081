"""Our error codes → HTTP status: the one table of this front end. A test proves it total."""

from bridge.core.errors import BridgeError, Conflict, Gone, NotFound, NotPermitted, Refused, Unavailable
from bridge.identity.tokens import NotAuthenticated

STATUSES: dict[str, int] = {
    # what was asked for cannot be, as it was asked
    "bad_dependency": 422,
    "bad_feature": 422,
    "bad_node_count": 422,
    "circular_dependency": 422,
    "environment_missing": 422,
    "invalid_account": 422,
    "invalid_array": 422,
    "invalid_body": 422,
    "invalid_database_url": 422,
    "invalid_gres": 422,
    "invalid_license": 422,
    "invalid_lifespan": 422,
    "invalid_nice": 422,
    "invalid_node_name": 422,
    "invalid_node_state": 422,
    "invalid_option": 422,
    "invalid_partition": 422,
    "invalid_qos": 422,
    "invalid_reservation": 422,
    "invalid_site_file": 422,
    "invalid_time": 422,
    "invalid_time_limit": 422,
    "invalid_time_min": 422,
    "invalid_tres": 422,
    "invalid_user_id": 422,
    "invalid_value": 422,
    "no_partition": 422,
    "not_available": 422,
    "not_storable": 422,
    "one_job_needed": 422,
    "path_too_long": 422,
    "policy_limit": 422,
    "preemption_off": 422,
    "refused": 422,
    "reservation_for_nobody": 422,
    "script_missing": 422,
    "too_many_cpus": 422,
    "unspecified": 422,
    "no_json": 400,
    "body_too_large": 413,
    "range_not_satisfiable": 416,
    # who asks
    "not_authenticated": 401,
    "token_expired": 401,
    "token_revoked": 401,
    "access_denied": 403,
    "group_not_permitted": 403,
    "not_permitted": 403,
    "reservation_access": 403,
    "not_served": 403,
    "unknown_user": 403,
    # what is not there
    "invalid_job_id": 404,
    "no_output": 404,
    "not_found": 404,
    "method_not_allowed": 405,
    "not_allowed": 405,
    "expired": 410,
    "gone": 410,
    # the state it is in
    "already_done": 409,
    "already_finished": 409,
    "already_started": 409,
    "cannot_alter": 409,
    "conflict": 409,
    "disabled": 409,
    "fenced": 409,
    "exists": 409,
    "job_held": 409,
    "job_pending": 409,
    "partition_busy": 409,
    "reservation_exists": 409,
    "reservation_busy": 409,
    "nodes_busy": 409,
    "not_pending": 409,
    "reservation_overlap": 409,
    # our side
    "closed": 503,
    "database": 503,
    "disk_full": 503,
    "in_use": 503,
    "no_migrations": 503,
    "schema_new": 503,
    "schema_old": 503,
    "unavailable": 503,
    "error": 500,
    "illegal_step": 500,
    "internal": 500,
    "io_error": 500,
}

_OF_CLASS: tuple[tuple[type[BridgeError], int], ...] = (
    (NotAuthenticated, 401),
    (NotPermitted, 403),
    (NotFound, 404),
    (Conflict, 409),
    (Refused, 422),
    (Gone, 410),
    (Unavailable, 503),
)


def status_of(error: BridgeError) -> int:
    """By the code; a code that is not listed is answered by its class."""
    if error.code in STATUSES:
        return STATUSES[error.code]
    return next((status for kind, status in _OF_CLASS if isinstance(error, kind)), 500)
