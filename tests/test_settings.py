# ruff: noqa: E501  # whole lines, as people see them
"""The site file: what it says, what it defaults to, and that all of its mistakes are told."""

import contextlib
import copy
import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.slurm import hostlist
from bridge import settings, settings_explain
from bridge.core.accounting import Limits
from bridge.core.errors import Refused
from bridge.core.nodes import Node, Partition, Site
from bridge.core.users import User
from bridge.settings_cluster import Machine, this_machine
from bridge.settings_mail import Mail
from bridge.settings_reader import SiteFileError

EXAMPLE = Path(__file__).parent.parent / "deploy" / "site.example.toml"
LAPTOP = Machine(cores=8, memory_mib=16000, uid=1001, home="/home/alice")
FILE = Path("site.toml")


def read(text: str, **environ: str) -> settings.Settings:
    return settings.read(text, FILE, environ, LAPTOP)


def mistakes(text: str) -> list[str]:
    with pytest.raises(SiteFileError) as caught:
        read(text)
    return [str(problem) for problem in caught.value.problems]


class TestDefaults:
    def test_no_file_gives_four_virtual_nodes_and_one_partition(self) -> None:
        found = settings.read("", None, {}, LAPTOP)
        names = ("n1", "n2", "n3", "n4")
        main = Partition("main", "local", names, is_default=True, default_memory_per_cpu_mib=1000)
        assert found == settings.Settings(
            file=None,
            server=settings.Server(
                data_directory=Path("/home/alice/.local/share/bridge"),
                socket=Path("/home/alice/.local/share/bridge/run/bridge.sock"),
            ),
            store=settings.Store("sqlite:////home/alice/.local/share/bridge/bridge.db"),
            backends=(settings.Backend("local", "local"),),
            nodes=tuple(Node(name, 4, 4000) for name in names),
            site=Site(partitions=(main,)),
        )

    def test_a_machine_of_one_core_has_nodes_of_one_cpu(self) -> None:
        found = settings.read("", None, {}, Machine(1, 1000, 0, "/root"))
        assert [(node.cpus, node.memory_mib) for node in found.nodes] == [(1, 250)] * 4

    def test_root_keeps_its_data_in_var(self) -> None:
        found = settings.read("", None, {}, Machine(1, 1000, 0, "/root"))
        assert found.server.data_directory == Path("/var/lib/bridge")
        assert found.store.url == "sqlite:////var/lib/bridge/bridge.db"

    def test_the_environment_moves_the_data_directory_and_the_file_overrules_it(self) -> None:
        assert read("", BRIDGE_DATA="/data").server.socket == Path("/data/run/bridge.sock")
        assert read("", XDG_DATA_HOME="/xdg").server.data_directory == Path("/xdg/bridge")
        named = read('[server]\ndata_directory = "/srv/b"', BRIDGE_DATA="/data")
        assert named.server.data_directory == Path("/srv/b")

    def test_this_machine_makes_a_site(self) -> None:
        assert len(settings.read("", None, {}, this_machine()).nodes) == 4


class TestFile:
    def test_the_one_on_the_command_line_comes_first(self, tmp_path: Path) -> None:
        own = tmp_path / "bridge" / "site.toml"
        own.parent.mkdir()
        own.write_text('[cluster]\nname = "own"')
        environ = {"XDG_CONFIG_HOME": str(tmp_path), "BRIDGE_SITE": "/from/environment"}
        assert settings.find_file("/given", environ, LAPTOP) == Path("/given")
        assert settings.find_file(None, environ, LAPTOP) == Path("/from/environment")
        del environ["BRIDGE_SITE"]
        if not settings.SYSTEM_SITE_FILE.exists():
            assert settings.load(None, environ, LAPTOP).site.cluster_name == "own"

    def test_a_named_file_that_is_not_there_is_refused(self) -> None:
        with pytest.raises(Refused, match=r"/nowhere\.toml cannot be read: No such file"):
            settings.load("/nowhere.toml", {}, LAPTOP)

    def test_the_example_holds(self) -> None:
        found = settings.load(str(EXAMPLE), {}, LAPTOP)
        assert [partition.name for partition in found.site.partitions] == ["main", "gpu"]
        assert found.nodes[0] == Node("n1", 4, 8000, features=("intel", "ib"))
        assert found.nodes[3] == Node("g1", 8, 16000, gres=(("gpu", "a100", 2),))
        assert found.site.licenses == (("matlab", 4),)
        assert found.users == (
            User("ci", 20001, 20001, (20001, 20010), ("builders",), home="/srv/ci", shell="/bin/bash"),
        )
        assert found.retention == settings.Retention(400 * 86400.0, 400 * 86400.0, 100 * 86400.0)

    def test_what_the_example_has_as_comments_holds_too(self) -> None:
        lines = [line for line in EXAMPLE.read_text().splitlines() if "postgresql" not in line]
        text = "\n".join(re.sub(r"^# (?=\[|\w+ = )", "", line) for line in lines)
        assert "known_accounts" not in EXAMPLE.read_text().replace("# known_accounts", "")
        found = read(text)
        assert found.site.known_accounts == ("physics", "chemistry")
        assert found.token_review == settings.TokenReview(
            "cluster", ("bridge",), (("system:serviceaccount:team-a:ci", "ci"), ("alice@example.org", "alice"))
        )
        assert [one.name for one in found.backends[1].profiles] == ["pods"]

    def test_accounts_and_qos_are_per_user(self) -> None:
        found = read('[accounts]\nalice = ["a", "b"]\n[qos]\nalice = ["high"]').site
        assert (found.accounts, found.qos) == ((("alice", ("a", "b")),), (("alice", ("high",)),))

    def test_accounting_starts_in_the_words_of_sacctmgr(self) -> None:
        text = """[accounting]
enforce = ["associations", "limits"]
start = ["add account physics GrpTRES=cpu=10,mem=4G", "add user bob account=physics MaxJobs=3"]"""
        site = read(text).site
        assert site.start is not None
        physics, bob = site.start.associations["physics", "", ""], site.start.associations["physics", "bob", ""]
        assert physics.limits == Limits(grp_tres=(("cpu", 10), ("mem", 4096)))
        assert (bob.limits, bob.is_default) == (Limits(max_jobs=3), True)
        assert site.enforced == {"associations", "limits"}
        assert read("").site.enforced == set()
        assert read('[accounts]\nalice = ["a"]').site.enforced == {"associations", "limits"}

    def test_tokens_of_kubernetes_need_a_cluster(self) -> None:
        with pytest.raises(Refused, match=r"token_review.backend: found nothing, expected a backend that is a Kuber"):
            read("[token_review]")
        assert read("").token_review is None

    def test_without_jobs_as_processes_of_its_own_a_bridge_serves_all(self) -> None:
        cluster = '[[backends]]\nname = "k"\nkind = "kubernetes"\n'
        local = '[[backends]]\nname = "l"\n'
        assert [read(text).serves_all for text in (cluster, local, cluster + local, "")] == [True, False, False, False]

    def test_mail_has_a_command(self) -> None:
        found = read('[mail]\ncommand = ["sendmail", "-t"]\nfrom = "a@b"\ndomain = "b"')
        assert found.mail == Mail(("sendmail", "-t"), "a@b", "b")
        assert (found.site.sends_mail, read("").site.sends_mail, read("").mail) == (True, False, None)


class TestMistakes:
    def test_all_are_told_at_once_each_with_key_value_and_expectation(self) -> None:
        text = """
            [server]
            tcp_port = 70000
            socket = "run/bridge.sock"
            [cluster]
            kill_wait_second = 5
            job_requeue = "yes"
            [[nodes]]
            name = "n[1-2"
            cpus = "four"
            [[partitions]]
            name = "main"
            nodes = "n9"
            max_time_seconds = 10
            default_time_seconds = 20
        """
        with pytest.raises(ValueError) as caught:
            hostlist.expand("n[1-2")
        why_no_host_list = str(caught.value)
        assert mistakes(text) == [
            "site.toml: server.socket: found 'run/bridge.sock', expected an absolute path",
            "site.toml: server.tcp_port: found 70000, expected a whole number from 0 to 65535",
            f"site.toml: nodes[0].name: found 'n[1-2', expected node names, such as \"n[1-4]\" ({why_no_host_list})",
            "site.toml: nodes[0].cpus: found 'four', expected a whole number from 1 to 65536",
            "site.toml: nodes[0].memory_mib: found nothing, expected how many a node has",
            "site.toml: partitions[0].nodes: found 'n9', expected nodes of the backend \"local\"",
            "site.toml: partitions[0].default_time_seconds: found 20, expected at most max_time_seconds, 10",
            "site.toml: cluster.job_requeue: found 'yes', expected true or false",
            "site.toml: cluster.kill_wait_second: found an unknown key, expected the key 'kill_wait_seconds'?",
        ]

    @pytest.mark.parametrize(
        ("text", "mistake"),
        [
            ("[servr]", "servr: found an unknown key, expected the key 'server'?"),
            ("server = 3", "server: found 3, expected a table: [server]"),
            ("nodes = 3", "nodes: found 3, expected tables: [[nodes]]"),
            ("nodes = [3]", "nodes: found [3], expected tables: [[nodes]]"),
            ("[[nodes]]\ncpus = 1\nmemory_mib = 1", 'nodes[0].name: found nothing, expected node names, such as "n[1-4]"'),
            ('[[backends]]\nname = "x"\nkind = "ray2"', "backends[0].kind: found 'ray2', expected one of \"local\", \"kubernetes\""),
            (
                '[[backends]]\nname = "k"\nkind = "kubernetes"\n[[nodes]]\nname = "n1"\ncpus = 1\nmemory_mib = 1\n'
                '[[partitions]]\nname = "a"',
                'partitions[0].kubernetes.image: found nothing, expected the image in which jobs run, such as '
                '"registry.example.org/hpc/base:12"',
            ),
            ('[[users]]\nname = "x"', "users[0].uid: found nothing, expected the user's number"),
            ("[cluster]\nmax_array_size = true", "cluster.max_array_size: found true, expected a whole number from 1 to 4000001"),
            ("[retention]\njobs_days = nan", "retention.jobs_days: found nan, expected a number of at least 0"),
            ('[store]\nurl = "mysql://x"', "store.url: found 'mysql://x', expected \"sqlite:////path/to/file\" or \"postgresql+psycopg://user@host/name\""),
            (
                "[store]\nrequeue_window_seconds = 60\n[cluster]\nmin_job_age_seconds = 600",
                "store.requeue_window_seconds: found 60, expected at least cluster.min_job_age_seconds, 600",
            ),
            ('[server]\ntls_key = "/k"', "server.tls_certificate: found nothing, expected tls_certificate and tls_key together, or neither"),
            (
                '[[partitions]]\nname = "a"\ndefault = true\n[[partitions]]\nname = "a"\ndefault = true',
                "partitions[1].name: found 'a', expected a name that is not given twice",
            ),
            (
                '[accounting]\nstart = ["add user bob account=x"]',
                "accounting.start: found 'add user bob account=x', expected an order of sacctmgr, such as "
                '"add account physics GrpTRES=cpu=100" (No account x on cluster bridge, skipping.)',
            ),
            (
                '[mail]\ndomain = "example.org"',
                "mail.command: found nothing, expected the command that sends mail",
            ),
            (
                '[accounting]\nstart = ["list user"]',
                "accounting.start: found 'list user', expected an order of sacctmgr, such as "
                '"add account physics GrpTRES=cpu=100"',
            ),
            (
                '[cluster]\nknown_accounts = ["a"]\ndefault_account = "b"',
                "cluster.default_account: found 'b', expected an account of cluster.known_accounts",
            ),
        ],
    )  # fmt: skip
    def test_one_mistake(self, text: str, mistake: str) -> None:
        assert mistakes(text)[0] == f"site.toml: {mistake}"

    def test_what_is_no_toml_is_told_with_its_line(self) -> None:
        assert mistakes("[server\n") == [
            "site.toml: found no TOML, expected TOML (Expected ']' at the end of a table declaration (at line 1, column 8))"
        ]

    def test_a_node_named_twice(self) -> None:
        twice = '[[nodes]]\nname = "n[1-2]"\ncpus = 1\nmemory_mib = 1\n'
        assert mistakes(twice + twice.replace("1-2", "2-3")) == [
            "site.toml: nodes[1].name: found 'n2', expected names that are not given twice"
        ]

    def test_a_path_too_long_for_a_socket(self) -> None:
        [mistake] = mistakes(f'[server]\ndata_directory = "/{"x" * 120}"')
        assert mistake.endswith("expected a path of at most 107 bytes: set a shorter server.socket or data_directory")

    @given(
        st.dictionaries(
            st.sampled_from(
                [
                    "server",
                    "store",
                    "cluster",
                    "nodes",
                    "partitions",
                    "users",
                    "accounts",
                    "accounting",
                    "mail",
                    "retention",
                    "x",
                ]
            ),
            st.recursive(
                st.one_of(st.integers(), st.text(max_size=5), st.booleans(), st.floats()),
                lambda inner: st.one_of(
                    st.lists(inner, max_size=3),
                    st.dictionaries(
                        st.sampled_from(["name", "uid", "groups", "cpus", "nodes", "gres", "url", "licenses"]), inner
                    ),
                ),
                max_leaves=8,
            ),
        )
    )
    def test_no_file_of_whatever_shape_ends_in_a_traceback(self, values: dict[str, Any]) -> None:
        with patch.object(settings.tomllib, "loads", return_value=values), contextlib.suppress(SiteFileError):
            read("")


class TestExplanation:
    def test_of_the_example(self) -> None:
        found = settings.load(str(EXAMPLE), {}, Machine(8, 16000, 0, "/root"))
        assert list(settings_explain.sentences(found, 0)) == [
            f"The site file is {EXAMPLE}.",
            "The state is kept in sqlite:////var/lib/bridge/bridge.db, other data in /var/lib/bridge.",
            "Everybody on this host may use the Unix socket /var/lib/bridge/run/bridge.sock; the kernel says who calls.",
            "It listens on 127.0.0.1 port 7443 with TLS (its own certificate, made at the first start); callers bring a "
            "token.",
            "Operators beside root: alice.",
            "Users known beside the host's: ci.",
            "Backend local has 3 nodes, n[1-3]: 4 CPUs and 8000 MiB each; features intel, ib.",
            "Backend local has 1 node, g1: 8 CPUs and 16000 MiB, 2 a100 gpu.",
            "Partition main has n[1-3], is the default, lets jobs run at most 1-00:00:00, at most 00:30:00 when they name "
            "no limit, gives 1000 MiB a CPU when they name no memory.",
            "Partition gpu has g1, lets jobs run at most 04:00:00.",
            "The cluster is called tryout; an array's indices stay below 1001; a job that is to end has 30 s between "
            "SIGTERM and SIGKILL.",
            "A job whose dependency can never be met stays in the queue with that reason.",
            "Licences: 4 of matlab.",
            "Jobs are forgotten 400 days after a job's end.",
            "Histories are forgotten 400 days after a job's end.",
            "Scripts are forgotten 100 days after a job's end.",
        ]

    def test_shows_no_password(self) -> None:
        found = read('[store]\nurl = "postgresql+psycopg://bridge:hush@db/bridge"')
        text = "\n".join(settings_explain.sentences(found, 1001))
        assert "hush" not in text
        assert "postgresql+psycopg://bridge@db/bridge" in text
        assert "Only uid 1001 is served" in text

    def test_says_whom_a_bridge_on_kubernetes_alone_lets_in(self) -> None:
        cluster = '[[backends]]\nname = "k"\nkind = "kubernetes"\n'
        found = read(cluster + '[token_review.users]\n"system:serviceaccount:a:ci" = "ci"')
        told = list(settings_explain.sentences(found, 1001))
        socket = found.server.socket
        assert f"Anybody with a token is served; only uid 1001 may use the Unix socket {socket}." in told
        assert "Tokens of the cluster of the backend k let in: system:serviceaccount:a:ci as ci." in told


WRONG = ("x", 5, -1, True, [], {}, 1.5, [1], "", 10**30, ["a", "a"], {"a": 1})


def _places(table: dict[str, Any], before: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    for key, value in table.items():
        yield (*before, key)
        if isinstance(value, dict):
            yield from _places(value, (*before, key))
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            yield from _places(value[0], (*before, key, 0))


def _toml(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {_toml(item)}" for key, item in value.items()) + "}"
    return "[" + ", ".join(map(_toml, value)) + "]" if isinstance(value, list) else json.dumps(value)


def test_every_wrong_value_is_told_with_file_key_what_is_there_and_what_was_expected() -> None:
    """Each key of the example with each kind of value that it does not take."""
    example = tomllib.loads(EXAMPLE.read_text())
    refused = 0
    for place in _places(example):
        for wrong in WRONG:
            changed = copy.deepcopy(example)
            holder: Any = changed
            for step in place[:-1]:
                holder = holder[step]
            holder[place[-1]] = wrong
            try:
                read("".join(f"{json.dumps(key)} = {_toml(value)}\n" for key, value in changed.items()))
            except SiteFileError as error:
                refused += 1
                for problem in error.problems:
                    assert re.fullmatch(r"site\.toml: \S+: found .+, expected .+", str(problem)), (place, wrong)
    assert refused > 300
