"""Which limits apply to whom, and how running jobs are counted."""

from bridge.core import accounting_limits, accounting_start
from bridge.core.accounting import Account, Association, Book, Limits, Qos, empty_book
from bridge.core.accounting_limits import FREE, Demand, Rules, Tally
from bridge.core.job import Share
from bridge.core.reasons import Reason


def a_book(**limits: Limits) -> Book:
    """root > phys > lab, with bob and eve in lab; QOS `lim`. Limits by account, user or QOS."""
    book = accounting_start.add_qos(empty_book(), Qos(0, "lim", limits=limits.get("lim", Limits())))
    for name, parent in (("phys", "root"), ("lab", "phys")):
        own = Association(0, name, parent=parent, limits=limits.get(name, Limits()))
        book = accounting_start.add_account(book, Account(name, name, name), own)
    for user in ("bob", "eve"):
        book = accounting_start.add_user(book, Association(0, "lab", user, limits=limits.get(user, Limits())))
    return book


def a_demand(cpus: int = 1, minutes: int | None = 10, nodes: int = 1) -> Demand:
    return Demand({"cpu": cpus, "mem": 100, "node": nodes}, minutes, nodes)


def running(rules: Rules, *jobs: tuple[str, int, str]) -> Tally:
    """(user, CPUs, node) of jobs in lab with the QOS lim."""
    tally = Tally()
    for user, cpus, node in jobs:
        tally.add(rules.of(user, "lab", "main", "lim"), a_demand(cpus), [node])
    return tally


def test_a_book_without_limits_costs_nothing():
    assert Rules(a_book()).of("bob", "lab", "main", "lim") is FREE
    assert Rules(None).of("bob", None, "main", None) is FREE
    assert Rules(a_book(lab=Limits(grp_jobs=1)), enforced=False).of("bob", "lab", "main", "lim") is FREE


def test_the_limit_of_an_account_counts_the_jobs_of_all_below_it():
    rules = Rules(a_book(phys=Limits(grp_tres=(("cpu", 4),))))
    tally = running(rules, ("bob", 2, "n1"), ("eve", 1, "n1"))
    terms = rules.of("bob", "lab", "main", "normal")
    assert tally.reason(terms, a_demand(1)) is None
    assert tally.reason(terms, a_demand(2)) is Reason.ASSOC_GRP_CPU


def test_a_limit_for_each_user_does_not_mix_users():
    rules = Rules(a_book(lim=Limits(max_jobs_per_user=1)))
    tally = running(rules, ("bob", 1, "n1"))
    assert tally.reason(rules.of("bob", "lab", "main", "lim"), a_demand()) is Reason.QOS_MAX_JOBS_PER_USER
    assert tally.reason(rules.of("eve", "lab", "main", "lim"), a_demand()) is None


def test_what_an_account_allows_its_users_is_inherited_and_the_nearest_counts():
    rules = Rules(a_book(phys=Limits(max_jobs=1, max_wall_minutes=5), bob=Limits(max_jobs=2)))
    tally = running(rules, ("bob", 1, "n1"), ("eve", 1, "n1"))
    bob, eve = (rules.of(user, "lab", "main", "lim") for user in ("bob", "eve"))
    assert tally.reason(bob, a_demand()) is None
    assert tally.reason(eve, a_demand()) is Reason.ASSOC_MAX_JOBS
    assert accounting_limits.job_reason(bob, a_demand(minutes=6)) is Reason.ASSOC_MAX_WALL
    assert accounting_limits.job_reason(bob, a_demand(minutes=5)) is None
    assert accounting_limits.job_reason(bob, a_demand(minutes=None)) is Reason.ASSOC_MAX_WALL


def test_a_limit_of_the_qos_counts_instead_of_the_association_s():
    rules = Rules(
        a_book(
            lim=Limits(max_wall_minutes=60, max_tres=(("cpu", 8),), grp_jobs=5),
            lab=Limits(max_wall_minutes=5, max_tres=(("cpu", 2), ("node", 1)), grp_jobs=0),
        )
    )
    under_qos, without = (rules.of("bob", "lab", "main", qos) for qos in ("lim", "normal"))
    assert accounting_limits.job_reason(under_qos, a_demand(4, 30)) is None
    assert Tally().reason(under_qos, a_demand(4, 30)) is None
    assert accounting_limits.job_reason(under_qos, a_demand(4, 30, nodes=2)) is Reason.ASSOC_MAX_NODE
    assert accounting_limits.job_reason(without, a_demand(4, 3)) is Reason.ASSOC_MAX_CPU
    assert Tally().reason(without, a_demand(1, 3)) is Reason.ASSOC_GRP_JOBS


def test_jobs_that_share_a_node_count_it_once():
    rules = Rules(a_book(lab=Limits(grp_tres=(("node", 1),))))
    terms = rules.of("bob", "lab", "main", "lim")
    tally = running(rules, ("bob", 1, "n1"), ("eve", 1, "n1"))
    assert tally.reason_of_shares(terms, (Share("n1", 1, 100, 1),), 60) is None
    assert tally.reason_of_shares(terms, (Share("n2", 1, 100, 1),), 60) is Reason.ASSOC_GRP_NODE
    assert tally.nodes_left(terms) == {"n1"}


def test_submitted_jobs_are_counted_up_to_the_accounts_above():
    rules = Rules(a_book(phys=Limits(grp_submit_jobs=4), eve=Limits(max_submit_jobs=1)))
    submitted = rules.submitted([("bob", "lab", "main", "lim", 2), ("eve", "lab", "main", "normal", 1)])
    bob, eve = (rules.of(user, "lab", "main", "lim") for user in ("bob", "eve"))
    assert accounting_limits.refusal(bob, a_demand(), 1, submitted) is None
    assert accounting_limits.refusal(bob, a_demand(), 2, submitted) is Reason.ASSOC_GRP_SUBMIT
    assert accounting_limits.refusal(eve, a_demand(), 1, submitted) is Reason.ASSOC_MAX_SUBMIT


def test_minutes_that_running_jobs_have_left_are_counted():
    rules = Rules(a_book(lim=Limits(grp_tres_run_minutes=(("cpu", 30),))))
    terms = rules.of("bob", "lab", "main", "lim")
    tally = running(rules, ("bob", 2, "n1"))
    assert tally.reason(terms, a_demand(1, 10)) is None
    assert tally.reason(terms, a_demand(1, 11)) is Reason.QOS_GRP_RUN_CPU
    assert tally.reason(terms, a_demand(1, None)) is Reason.QOS_GRP_RUN_CPU
