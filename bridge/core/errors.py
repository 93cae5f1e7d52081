"""The errors of the bridge, one small tree.

BridgeError                 code, sentence, the field it is about
├── Refused                 the request cannot be accepted as it stands
│   ├── NotFound            no such job, node, partition ...
│   ├── NotPermitted        the caller may not do this
│   └── Conflict            legal, but not in the state the thing is in
├── Unavailable             a backend or the database cannot be asked now; keep state, try again
├── Gone                    the backend no longer has what it was asked about
└── IllegalStep             a bug: the state machine was fed an event that its state has no step for

`code` is a short stable word for programs; front ends map it to HTTP status, Slurm's text or exit code.
"""


class BridgeError(Exception):
    """Base of all; `sentence` is for people, `code` and `field` for programs."""

    default_code: str = "error"

    def __init__(self, sentence: str, *, code: str | None = None, field: str | None = None) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.code = code or self.default_code
        self.field = field
        self.member: int | None = None
        """Which of several that were asked for together, counted from 0."""


class Refused(BridgeError):
    """The request cannot be accepted. `code` is one of `adapters.slurm.errors` where Slurm has a number."""

    default_code = "refused"


class NotFound(Refused):
    default_code = "not_found"


class NotPermitted(Refused):
    default_code = "not_permitted"


class Conflict(Refused):
    default_code = "conflict"


class Unavailable(BridgeError):
    default_code = "unavailable"


class Gone(BridgeError):
    default_code = "gone"


class IllegalStep(BridgeError):
    """Carries the job's id, state and the event, so that a log line tells the story."""

    default_code = "illegal_step"
