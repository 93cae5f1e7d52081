"""sacctmgr's language and lists, against what a real 25.11 printed of the same accounts."""

import json
from typing import Any

import pytest

from adapters.slurm import sacctmgr, sacctmgr_data, sacctmgr_fields, sacctmgr_list
from adapters.slurm.answer import Answer
from adapters.slurm.data import Asked
from adapters.slurm.sacctmgr_fields import ClusterFacts
from bridge.core import accounting_start
from bridge.core.accounting import Account, Association, Book, Limits, Qos, empty_book

FACTS = ClusterFacts("tryout", "127.0.0.1", 27817, tres=(("cpu", 16), ("mem", 32000), ("node", 4), ("gres/gpu", 4)))


def a_book() -> Book:
    """root, astro > abc > adam, chem: alice, bob; physics: alice, bob, zoe; physics > optics."""
    book = empty_book()
    for name, parent in (
        ("chem", "root"),
        ("physics", "root"),
        ("optics", "physics"),
        ("astro", "root"),
        ("abc", "astro"),
    ):
        organization = name if parent == "root" else parent
        own = Association(0, name, parent=parent)
        book = accounting_start.add_account(book, Account(name, name, organization), own)
    for user, account, is_default in (
        ("zoe", "physics", True),
        ("bob", "physics", False),
        ("alice", "physics", False),
        ("bob", "chem", True),
        ("alice", "chem", True),
        ("adam", "abc", True),
    ):
        book = accounting_start.add_user(book, Association(0, account, user, is_default=is_default))
    return accounting_start.add_qos(book, Qos(0, "high", "high", priority=50, limits=Limits(max_wall_minutes=90)))


def out(line: str, book: Book | None = None) -> str:
    order = sacctmgr.read(line.split())
    assert isinstance(order, sacctmgr.List), order
    return sacctmgr_list.text(order, book or a_book(), FACTS)


def refusal(line: str) -> str:
    answer = sacctmgr.read(line.split())
    assert isinstance(answer, Answer) and answer.exit_code == 1 and answer.stdout == ""
    return answer.stderr


def test_users_in_columns():
    assert out("list user") == (
        "      User   Def Acct     Admin \n"
        "---------- ---------- --------- \n"
        "      adam        abc      None \n"
        "     alice       chem      None \n"
        "       bob       chem      None \n"
        "      root       root Administ+ \n"
        "       zoe    physics      None \n"
    )


def test_parsable_with_and_without_the_last_bar():
    assert out("-P list user zoe") == "User|Def Acct|Admin\nzoe|physics|None\n"
    assert out("-p list user zoe") == "User|Def Acct|Admin|\nzoe|physics|None|\n"
    assert out("show -n -P users where names=zoe,") == "zoe|physics|None\n"


def test_accounts_with_their_associations():
    fields = "format=account,user,parentname,parentid,id,lineage"
    assert out(f"-n -P list account optics abc withassoc {fields}") == (
        "abc||astro|6|7|/astro/abc/\nabc|adam||7|13|/astro/abc/0-adam/\noptics||physics|4|5|/physics/optics/\n"
    )


def test_associations_hang_below_their_accounts():
    assert out("-n -P list assoc format=account,user") == (
        "root|\nroot|root\nastro|\nabc|\nabc|adam\nchem|\nchem|alice\nchem|bob\n"
        "physics|\nphysics|alice\nphysics|bob\nphysics|zoe\noptics|\n"
    )
    assert out("-n -P list assoc tree format=account,user").splitlines()[:5] == [
        "root|",
        " root|root",
        " astro|",
        "  abc|",
        "   abc|adam",
    ]


@pytest.mark.parametrize(
    ("condition", "rows"),
    [
        ("user=bob,alice", "chem|alice\nchem|bob\nphysics|alice\nphysics|bob\n"),
        ("user=", "root|\nastro|\nabc|\nchem|\nphysics|\noptics|\n"),
        ("account=physics", "physics|\nphysics|alice\nphysics|bob\nphysics|zoe\n"),
        ("account=physics withsubaccounts", "physics|\nphysics|alice\nphysics|bob\nphysics|zoe\noptics|\n"),
        ("parent=physics", "optics|\n"),
        ("where id=3,4", "chem|\nphysics|\n"),
        ("onlydefaults", "root|root\nabc|adam\nchem|alice\nchem|bob\nphysics|zoe\n"),
        ("cluster=other", ""),
    ],
)
def test_conditions_on_associations(condition: str, rows: str):
    assert out(f"-n -P list assoc {condition} format=account,user") == rows


def test_widths_of_a_format():
    assert out("list user bob format=user%3,defaultaccount%-10,admin%2") == (
        "Use Def Acct   Ad \n--- ---------- -- \nbob chem       N+ \n"
    )
    assert out("-n list user bob format=user%,defaultaccount%x,admin%0") == "       bob       chem      None \n"
    assert out("-P list user bob format=user%3 format=admin") == "User|Admin\nbob|None\n"


def test_a_user_without_a_matching_association_keeps_a_row():
    assert out("-n -P list user account=chem withassoc format=user,defaultaccount,account") == (
        "adam||\nalice|chem|chem\nbob|chem|chem\nroot||\nzoe||\n"
    )


def test_qos_by_number():
    assert out("-n -P list qos format=name,priority,maxwall") == "normal|0|\nhigh|50|01:30:00\n"
    assert out("-n -P list qos high") == "high|50|00:00:00|||cluster|||1.000000||||||||||01:30:00|||||||||\n"


def test_limits_are_inherited_by_resource():
    book = a_book()
    chem = book.associations["chem", "", ""]
    bob = book.associations["chem", "bob", ""]
    book = accounting_start.add_association(
        book, Association(0, "chem", parent="root", limits=Limits(max_jobs=9, max_tres=(("cpu", 7), ("mem", 4096))))
    )
    book = accounting_start.add_association(book, Association(0, "chem", "bob", limits=Limits(max_tres=(("cpu", 2),))))
    fields = "format=id,maxjobs,maxtres,maxcpus"
    assert out(f"-n -P list assoc account=chem user=bob, {fields}", book) == f"{bob.id}|9|cpu=2,mem=4G|2\n"
    assert out(f"-n -P list assoc account=chem user=bob, wopinfo {fields}", book) == f"{bob.id}||cpu=2|2\n"
    assert out(f"-n -P list assoc account=chem user= {fields}", book) == f"{chem.id}|9|cpu=7,mem=4G|7\n"


def test_the_cluster_and_its_resources():
    assert out("-n -P list cluster format=cluster,controlhost,controlport,rpc,qos") == (
        "tryout|127.0.0.1|27817|11264|normal\n"
    )
    assert out("-n -P list cluster other") == ""
    assert out("show tres") == (
        "    Type            Name     ID \n"
        "-------- --------------- ------ \n"
        "     cpu                      1 \n"
        "     mem                      2 \n"
        "  energy                      3 \n"
        "    node                      4 \n"
        " billing                      5 \n"
        "      fs            disk      6 \n"
        "    vmem                      7 \n"
        "   pages                      8 \n"
        "    gres             gpu   1001 \n"
    )


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("bogus", "invalid keyword: bogus\n"),
        ("sh user", "invalid keyword: sh\n"),
        ("list users format=bogus", "Unknown field 'bogus'\n"),
        ("list users format=", "Unknown field ''\n"),
        ("list users where bogus=1", " Unknown condition: bogus=1\n Use keyword 'set' to modify value\n"),
        ("list assoc bob", "sacctmgr: error: Invalid value for AssocId (bob)\n"),
        ("list wckey", "sacctmgr: error: the bridge keeps no wckeys\n"),
        ("-r add account x", "Can't run this command in readonly mode.\n"),
        ("-z", "sacctmgr: invalid option -- 'z'\nTry \"sacctmgr --help\" for more information\n"),
        (
            "add",
            'No valid entity in add command\nInput line must include "Account", "Cluster", "Coordinator", '
            '"Federation", "QOS", "Resource", or "User"\n',
        ),
    ],
)
def test_what_is_no_order(line: str, text: str):
    assert refusal(line) == text


def test_conditions_on_associations_need_a_question_where_none_are_listed():
    for line, needs in (("list user account=x", True), ("list user account=x withassoc", False), ("list user", False)):
        order = sacctmgr.read(line.split())
        assert isinstance(order, sacctmgr.List)
        assert sacctmgr_list.needs_question(order) is needs


@pytest.mark.parametrize(
    ("word", "title"),
    [
        ("acc", "Account"),
        ("grpcpu", "GrpCPUs"),
        ("grpcpum", "GrpCPUMins"),
        ("grptres", "GrpTRES"),
        ("maxtresp", None),
        ("maxtresperj", "MaxTRES"),
        ("MaxTRESPerU", "MaxTRESPU"),
        ("maxsubmitjobsp", "MaxSubmitPU"),
        ("maxsubmitp", "MaxSubmitPU"),
        ("maxtresrunminsp", "MaxTRESRunMinsPA"),
        ("maxtresrunminspe", "MaxTRESRunMinsPU"),
        ("f", None),
        ("fa", "Share"),
        ("parentn", "ParentName"),
        ("defaulta", "Def Acct"),
        ("u", "User"),
    ],
)
def test_fields_may_be_cut_short(word: str, title: str | None):
    field = sacctmgr_fields.find(word)
    assert (field and field.title) == title


def data(line: str, book: Book | None = None) -> Any:
    order = sacctmgr.read(["--json", *line.split()])
    assert isinstance(order, sacctmgr.List) and order.data is not None
    asked = Asked((), "root", "root", "tryout")
    return json.loads(sacctmgr_data.text(order, order.data, book or a_book(), FACTS, asked))


def test_lists_as_documents():
    found = data("list user bob withassoc")
    assert list(found) == ["users", "meta", "errors", "warnings"]
    assert (found["users"][0]["name"], found["users"][0]["default"]) == (
        "bob",
        {"qos": 0, "account": "chem", "wckey": ""},
    )
    assert [one["account"] for one in found["users"][0]["associations"]] == ["chem", "physics"]
    assert data("list user bob")["users"][0]["default"]["account"] == "chem"
    assert [one["name"] for one in data("list account")["accounts"]] == sorted(a_book().accounts)
    assert [one["qos"] for one in data("list assoc user=zoe")["associations"]] == [["normal"]]
    assert [one["name"] for one in data("list qos")["qos"]] == ["normal", "high"]
    assert data("list user nosuch")["users"] == []
    assert [one["id"] for one in data("list tres")["TRES"]] == [*range(1, 9), 1001]
    assert data("list cluster")["clusters"][0]["name"] == "tryout"
