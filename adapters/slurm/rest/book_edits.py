"""POST and DELETE of slurmdb: users, accounts, associations and QOS into the accounting book and out of it. Pure.

Each takes a book and gives another; None: nothing would change. Failed says what slurmrestd would say.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from adapters.slurm import errors, sacctmgr_add, sacctmgr_settings
from adapters.slurm import sacctmgr_texts as texts
from adapters.slurm.rest import accounts, book_words, envelope, parsing
from adapters.slurm.rest.envelope import Error, Said
from adapters.slurm.rest.parsing import Failed
from adapters.slurm.rest.shapes import Json, Record
from adapters.slurm.sacctmgr_settings import Known, Names, Settings
from adapters.slurm.sacctmgr_texts import Asker
from bridge.core import accounting, accounting_edits, accounting_start
from bridge.core.accounting import Account, AccountUser, Association, Book, Qos

DENIED = errors.number_of("access_denied")


@dataclass(frozen=True, slots=True)
class Writing:
    """Who writes, and how the request is read."""

    asker: Asker
    version: int
    said: Said

    def known(self, book: Book) -> Known:
        names = Known(book.qos).tres | {name for name, _ in self.asker.facts.tres}
        return Known(book.qos, names)

    def check_cluster(self, named: Json, failure: str, source: str) -> None:
        """Ours is meant where none is named."""
        own = self.asker.facts.name
        if isinstance(named, str) and named and named.lower() != own.lower():
            sentence = f"the bridge is one cluster, {own}, and keeps no others"
            raise Failed(Error(failure, -1, source, sentence))


def listed(body: Json, name: str) -> list[Json]:
    given = parsing.an_object({} if body is None else body, "#/")
    if name not in given:
        raise _missing(name, "#/")
    value = given[name]
    return value if isinstance(value, list) else [value]


def _missing(name: str, place: str) -> Failed:
    described = f"Missing required field '{name}' in dictionary"
    return Failed(Error(described, envelope.NO_SUCH_PLACE, f"{place}{name}/"))


def _record(value: Json, shape: Record, parser: str, place: str, writing: Writing) -> Mapping[str, Json]:
    given = parsing.an_object(value, place)
    parsing.warn_of_unknown(given, shape.of_version(writing.version).keys(), place, writing.said, parser)
    return given


def _name(given: Mapping[str, Json], field: str, place: str, said: Said) -> str:
    return (parsing.text(given.get(field), f"{place}{field}/", said) or "").lower()


# ── users ─────────────────────────────────────────────────────────────────────────────────────────


def users(book: Book, given: Sequence[Json], writing: Writing) -> Book:
    source = "_foreach_update_user"
    for index, value in enumerate(given):
        place = f"#/users[{index}]/"
        one = _record(value, accounts.USER, "USER", place, writing)
        name = _name(one, "name", place, writing.said)
        if not name:
            raise Failed(Error("ambiguous user modify request", envelope.AMBIGUOUS_CHANGE, source))
        if not writing.asker.is_operator:
            raise Failed(Error("slurmdb_users_add() failed", DENIED, source))
        level = _level(one, place, writing)
        if level is not None and not writing.asker.is_administrator:
            raise Failed(Error("slurmdb_users_add() failed", DENIED, source))
        user = book.users.get(name, AccountUser(name))
        book = accounting_edits.with_users(book, {name: user if level is None else replace(user, admin_level=level)})
        default = one.get("default")
        account = default.get("account") if isinstance(default, Mapping) else None
        if isinstance(account, str) and account:
            book = accounting_edits.set_default(book, name, account.lower())
    return book


def _level(one: Mapping[str, Json], place: str, writing: Writing) -> str | None:
    """None: not said."""
    if one.get("administrator_level") is None:
        return None
    words = parsing.flags(
        one["administrator_level"],
        accounts.ADMIN_LEVEL,
        writing.version,
        f"{place}administrator_level/",
        writing.said,
    )
    return next((word for word in words if word != "Not Set"), None)


# ── accounts ──────────────────────────────────────────────────────────────────────────────────────


def accounts_(book: Book, given: Sequence[Json], writing: Writing) -> Book:
    """Without a place in the tree: that comes with the account's association."""
    source = "_foreach_update_acct"
    for index, value in enumerate(given):
        place = f"#/accounts[{index}]/"
        one = _record(value, accounts.ACCOUNT, "ACCOUNT", place, writing)
        for field in ("name", "description", "organization"):
            if field not in one:
                raise _missing(field, place)
        name = _name(one, "name", place, writing.said)
        if not texts.may_edit(book, writing.asker, [name]):
            raise Failed(Error("slurmdb_accounts_add() failed", DENIED, source))
        described = Account(
            name,
            parsing.text(one["description"], f"{place}description/", writing.said) or "",
            parsing.text(one["organization"], f"{place}organization/", writing.said) or "",
            book.accounts[name].coordinators if name in book.accounts else (),
        )
        book = replace(book, accounts={**book.accounts, name: described})
        book = _coordinated(book, name, one.get("coordinators"), source)
    return book


def _coordinated(book: Book, account: str, given: Json, source: str) -> Book:
    named = [one.get("name") for one in given or () if isinstance(one, Mapping)]
    names = [name.lower() for name in named if isinstance(name, str) and name]
    unknown = [name for name in names if name not in book.users]
    if unknown:
        sentence = f"no user is named {unknown[0]}"
        raise Failed(Error("slurmdb_coord_add() failed", -1, source, sentence))
    return accounting_edits.with_coordinators(book, [account], names, ()) if names else book


# ── associations ──────────────────────────────────────────────────────────────────────────────────


def associations(book: Book, given: Sequence[Json], writing: Writing) -> Book:
    told = Error("slurmdb_associations_add() failed", -1, "_foreach_update_assoc")
    for index, value in enumerate(given):
        place = f"#/associations[{index}]/"
        one = _record(value, accounts.ASSOCIATION, "ASSOC", place, writing)
        if not one:
            continue
        if "user" not in one:
            raise _missing("user", place)
        account, user = (_name(one, field, place, writing.said) for field in ("account", "user"))
        partition = parsing.text(one.get("partition"), f"{place}partition/", writing.said) or ""
        writing.check_cluster(one.get("cluster"), told.description, told.source)
        if not texts.may_edit(book, writing.asker, [account]):
            raise Failed(told)
        _must_be_known(book, account, user, told)
        words = sacctmgr_settings.ADD_WORDS["account" if not user else "user"]
        s = book_words.settings_of(one, book_words.ASSOCIATION, words, writing.known(book), told)
        book = _placed(book, (account, user, partition), s, told)
        if one.get("is_default") is True and user:
            book = accounting_edits.set_default(book, user, account)
    return book


def _must_be_known(book: Book, account: str, user: str, failure: Error) -> None:
    """slurmdbd passes such a record over without a word; here it is said."""
    if account not in book.accounts:
        raise Failed(replace(failure, text=f"no account is named {account}"))
    if user and user not in book.users:
        raise Failed(replace(failure, text=f"no user is named {user}"))


def _placed(book: Book, key: tuple[str, str, str], s: Settings, failure: Error) -> Book:
    account, user, partition = key
    there = book.associations.get(key)
    parent = s.parent or (there.parent if there is not None else accounting.ROOT)
    if not user and parent not in book.accounts:
        raise Failed(replace(failure, text=f"no account is named {parent}"))
    if user and book.of_account(account) is None:
        book = accounting_start.add_association(book, Association(0, account, parent=accounting.ROOT))
    one = there or Association(
        0,
        account,
        user,
        partition,
        parent="" if user else parent,
        is_default=bool(user) and book.default_of(user) is None,
    )
    one = sacctmgr_settings.onto_association(one, s)
    if not user and account != accounting.ROOT:
        one = replace(one, parent=parent)
    changed = accounting_start.add_association(book, one)
    if accounting_edits.lacks_default_qos(changed, [changed.associations[key]]):
        raise Failed(replace(failure, text=texts.NO_ACCESS))
    return changed


# ── QOS ───────────────────────────────────────────────────────────────────────────────────────────


def qos(book: Book, given: Sequence[Json], writing: Writing) -> Book:
    source = "_foreach_update_qos"
    for index, value in enumerate(given):
        place = f"#/qos[{index}]/"
        one = _record(value, accounts.QOS, "QOS", place, writing)
        name = _qos_name(book, one, place, source, writing)
        failure = Error("slurmdb_qos_add() failed", DENIED, source)
        if not writing.asker.is_operator:
            raise Failed(failure)
        s = book_words.settings_of(one, book_words.QOS, sacctmgr_settings.QOS_WORDS, writing.known(book), failure)
        s.flags = Names(tuple(_qos_flags(one, place, writing)))
        s.preempt_mode = s.preempt_mode or "cluster"  # like the flags, set anew each time
        s.description = parsing.text(one.get("description"), f"{place}description/", writing.said)
        if isinstance(one.get("preempt"), Mapping) and one["preempt"].get("exempt_time") is not None:
            seconds = parsing.optional(one["preempt"]["exempt_time"], f"{place}preempt/exempt_time/", writing.said)
            s.preempt_exempt_seconds = None if seconds is None else -1 if seconds < 0 else int(seconds)
        known = book.qos.get(name, Qos(0, name))
        book = accounting_start.add_qos(book, sacctmgr_settings.onto_qos(known, s))
    return book


def _qos_name(book: Book, one: Mapping[str, Json], place: str, source: str, writing: Writing) -> str:
    name = _name(one, "name", place, writing.said)
    if name:
        return name
    number = one.get("id")
    if not number:
        raise Failed(Error("Cannot create a QOS without a name", envelope.INVALID_QUERY, source))
    found = next((known.name for known in book.qos.values() if known.id == number), None)
    if found is None:
        raise Failed(Error("QOS was not found for the requested ID", envelope.INVALID_QUERY, source))
    return found


def _qos_flags(one: Mapping[str, Json], place: str, writing: Writing) -> Collection[str]:
    """None at all where none are said: slurmrestd sets them anew each time."""
    if one.get("flags") is None:
        return ()
    shape = accounts.QOS.of_version(writing.version)["flags"]
    words = parsing.flags(one["flags"], shape, writing.version, f"{place}flags/", writing.said)  # type: ignore[arg-type]
    return [own for own, spelled in accounts.QOS_FLAGS.items() if spelled in words]


# ── users and accounts with their associations ────────────────────────────────────────────────────


def condition(body: Json, entity: str, book: Book, writing: Writing) -> Settings:
    """The body of users_association and accounts_association as what `sacctmgr add` was told."""
    given = parsing.an_object({} if body is None else body, "#/")
    if "association_condition" not in given:
        raise _missing("association_condition", "#/")
    wanted = parsing.an_object(given["association_condition"], "#/association_condition/")
    failure = Error(f"slurmdb_{entity}s_add_cond() failed", -1, f"_add_{entity}s_association")
    association = wanted.get("association")
    s = book_words.settings_of(
        association if isinstance(association, Mapping) else {},
        book_words.CONDITION,
        sacctmgr_settings.ADD_WORDS[entity],
        writing.known(book),
        failure,
    )
    fields = {"accounts": "names" if entity == "account" else "accounts", "users": "names"}
    for name in ("accounts", "users", "clusters", "partitions"):
        names = parsing.strings(wanted.get(name), f"#/association_condition/{name}/", writing.said) or []
        if names:
            lower = names if name == "partitions" else [one.lower() for one in names]
            s.lists[fields.get(name, name)] = tuple(lower)
    about = given.get(entity)
    if isinstance(about, Mapping):
        _about(s, about, entity, writing)
    return s


def _about(s: Settings, about: Mapping[str, Json], entity: str, writing: Writing) -> None:
    if entity == "account":
        s.description = parsing.text(about.get("description"), "#/account/description/", writing.said)
        s.organization = parsing.text(about.get("organization"), "#/account/organization/", writing.said)
        return
    if about.get("adminlevel") is not None:
        levels = parsing.flags(
            about["adminlevel"], accounts.ADMIN_LEVEL, writing.version, "#/user/adminlevel/", writing.said
        )
        s.admin_level = next((word for word in levels if word != "Not Set"), None)
    s.default_account = parsing.text(about.get("defaultaccount"), "#/user/defaultaccount/", writing.said)


def added(entity: str, book: Book, s: Settings, writing: Writing) -> texts.Planned:
    """As sacctmgr does it; of limits slurmrestd's text says nothing."""
    s.was_said = False
    planned = sacctmgr_add.put(entity, book, writing.asker, s)
    return replace(planned, stdout=planned.stdout.partition(" Non Default Settings\n")[0])


# ── removal ───────────────────────────────────────────────────────────────────────────────────────


def without_user(book: Book, name: str, asker: Asker) -> Book | None:
    _may(asker, Error("slurmdb_users_remove failed", DENIED, "_delete_user"))
    if name not in book.users:
        return None
    _no_jobs([job for job in asker.jobs if job.user == name], "slurmdb_users_remove failed", "_delete_user")
    return accounting_edits.without_users(book, [name])


def without_account(book: Book, name: str, asker: Asker) -> Book | None:
    failure, source = "slurmdb_accounts_remove failed", "_delete_account"
    _may(asker, Error(failure, DENIED, source))
    if name not in book.accounts:
        return None
    if name == accounting.ROOT:
        raise Failed(Error(failure, -1, source, "the account root is the top of the tree and stays"))
    changed = accounting_edits.without_accounts(book, [name])
    gone = book.accounts.keys() - changed.accounts.keys()
    _no_jobs([job for job in asker.jobs if job.account in gone], failure, source)
    return changed


def without_qos(book: Book, name: str, asker: Asker) -> Book | None:
    failure, source = "slurmdb_qos_remove failed", "_op_handler_qos"
    _may(asker, Error(failure, DENIED, source))
    if name not in book.qos:
        return None
    _no_jobs([job for job in asker.jobs if (job.qos or accounting.NORMAL).lower() == name], failure, source)
    return accounting_edits.without_qos(book, [name])


def without_associations(book: Book, chosen: Sequence[Association], asker: Asker) -> Book | None:
    failure, source = "slurmdb_associations_remove failed", "_delete_assoc"
    _may(asker, Error(failure, DENIED, source))
    if not chosen:
        return None
    if any(one.account == accounting.ROOT and not one.user for one in chosen):
        raise Failed(Error(failure, -1, source, "the association of the account root is the top of the tree and stays"))
    keys = {one.key for one in chosen}
    for one in chosen:
        if not one.user:
            keys |= {lower.key for lower in accounting_edits.below(book, one.account)}
    places = {key[:2] for key in keys}
    _no_jobs([job for job in asker.jobs if (job.account, job.user) in places], failure, source)
    return accounting_edits.without_associations(book, keys)


def removed_place(cluster: str, one: Association) -> str:
    """As slurmdbd names what it removed."""
    if one.user:
        return texts.short_place(cluster, one)
    return f"C = {cluster:<10} A = {one.account} of {one.parent}"


def _may(asker: Asker, denied: Error) -> None:
    if not asker.is_operator:
        raise Failed(denied)


def _no_jobs(jobs: Sequence[Any], failure: str, source: str) -> None:
    if jobs:
        raise Failed(Error(failure, envelope.ACTIVE_JOBS, source))
