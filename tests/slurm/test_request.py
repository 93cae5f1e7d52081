"""sbatch read as a whole: needs, sources and their strength, scripts, files of options, refusals, reports."""

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.slurm import options, request
from bridge.core.nodes import Site
from bridge.core.report import Entry, Treatment
from bridge.core.request import Component, Files, JobRequest, Program
from bridge.core.users import User
from tests.slurm.calls import DIRECTORY, PLAIN, a_call, answered, parsed, refused
from tests.slurm.recorded import SITE


class TestNeeds:
    def test_a_script_is_asked_for_by_the_name_given(self):
        assert request.read(a_call("sub/job.sh"), SITE) == request.Needs(("script: sub/job.sh",))

    def test_without_an_operand_standard_input_is_the_script(self):
        assert request.read(a_call("-n2"), SITE) == request.Needs(("stdin",))

    def test_bad_options_are_refused_before_the_script_is_asked_for(self):
        assert isinstance(request.read(a_call("--time=soon", "job.sh"), SITE), request.Answer)

    def test_a_script_that_is_not_there_is_looked_for_in_path(self):
        call = a_call("job.sh", files={"script: job.sh": "ENOENT"})
        assert request.read(call, SITE) == request.Needs(("script: /usr/bin/job.sh", "script: /bin/job.sh"))
        found = answered(a_call("job.sh"), {"/bin/job.sh": PLAIN})
        assert found.request.program.command == "/bin/job.sh"

    def test_a_script_given_as_a_path_is_not(self):
        call = a_call("./job.sh", files={"script: ./job.sh": "ENOENT"})
        assert request.read(call, SITE) == request.Answer("", "sbatch: error: Unable to open file ./job.sh\n", 1)

    def test_a_file_named_by_a_directive_is_asked_for_after_the_script(self):
        script = "#!/bin/sh\n#SBATCH -w ./nodes\n"
        call = a_call("job.sh", files={"script: job.sh": script.encode()})
        assert request.read(call, SITE) == request.Needs(("file: ./nodes",))
        assert answered(
            a_call("job.sh"), {"job.sh": script, "nodes": "n1\n# no\nn2 # two\n"}
        ).request.component.node_list == (
            "n1",
            "n2",
        )


class TestWhereTheScriptIs:
    """`files` as the client finds them from DIRECTORY."""

    @pytest.mark.parametrize(
        ("argv", "found_at", "command", "working_directory"),
        [
            ("job.sh", "job.sh", "/home/alice/job.sh", DIRECTORY),
            ("sub/../job.sh", "sub/../job.sh", "/home/alice/sub/../job.sh", DIRECTORY),
            ("./job.sh", "./job.sh", "./job.sh", DIRECTORY),
            ("-D sub job.sh", "/home/alice/sub/job.sh", "/home/alice/sub/job.sh", "/home/alice/sub"),
            ("-D sub job.sh", "/usr/bin/job.sh", "/usr/bin/job.sh", "/home/alice/sub"),
            ("-D sub job.sh", "job.sh", "job.sh", "/home/alice/sub"),
            ("-D . ./job.sh", "./job.sh", "./job.sh", "/home/alice/."),
            ("-D /tmp /a/job.sh", "/a/job.sh", "/a/job.sh", "/tmp"),
        ],
    )
    def test_the_folder_of_chdir_comes_first_and_names_stay_as_written(
        self, argv, found_at, command, working_directory
    ):
        given: dict[str, bytes | str] = {}
        while isinstance(found := request.read(a_call(*argv.split(), files=given), SITE), request.Needs):
            given |= {name: PLAIN.encode() if name == f"script: {found_at}" else "ENOENT" for name in found.files}
        assert isinstance(found, request.Parsed)
        assert found.request.program == Program(command=command)
        assert found.request.working_directory == working_directory

    def test_a_directory_named_in_the_script_comes_too_late(self):
        found = answered(a_call("job.sh"), {"job.sh": "#!/bin/sh\n#SBATCH -D sub -J main\n", "sub/job.sh": PLAIN})
        assert (found.request.name, found.request.program.command) == ("main", "/home/alice/job.sh")


def test_directives_in_wrapped_text_are_the_shells():
    found = answered(a_call("--wrap", "#SBATCH -J inner\n#PBS -N pbs\ntrue"))
    assert isinstance(found, request.Parsed)
    assert (found.request.name, found.stderr, found.report.entries) == ("wrap", "", found.report.entries[:1])


def test_an_array_of_nothing_is_none_with_the_output_of_one():
    asked = parsed("-a", "").request
    assert (asked.array, asked.files) == (None, Files(stdout="slurm-%A_%a.out"))
    assert parsed("-a", "", "-o", "x").request.files == Files(stdout="x")


class TestDevices:
    _LOST = (
        "sbatch: error: Failed to validate job spec. --gpus-per-task or --tres-per-task used without either --gpus or "
        "-n/--ntasks is not allowed.\nsbatch: error: Invalid generic resource (gres) specification\n"
    )
    _MIXED = "sbatch: error: Invalid GRES specification (with and without type identification)\n"

    @pytest.mark.parametrize(
        "words", ["--gpus-per-task=1", "--tres-per-task=gres/gpu:1", "--gpus-per-task=1 --ntasks-per-node=2"]
    )
    def test_devices_for_each_of_nobody_knows_how_many_tasks(self, words):
        assert refused(*words.split()) == (1, self._LOST)
        assert refused(*words.split(), environ={"SLURM_EXIT_ERROR": "7"}) == (7, self._LOST)

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            ("--mem-per-gpu=1G", "Requested mem_per_tres=gres/gpu:1024 but did not request any GPU."),
            ("--cpus-per-gpu=2", "Requested cpus_per_tres=gres/gpu:2 but did not request any GPU."),
            ("--gpus-per-socket=1", "--gpus-per-socket option requires --sockets-per-node specification"),
            ("-N 4 --gpus=3", "Failed to validate job spec, --gpus < -N"),
            (
                "--ntasks-per-gpu=1",
                "gres_job_state_validate: --ntasks-per-tres needs either a GRES GPU specification or a node/ntask "
                "specification",
            ),
            (
                "--ntasks-per-gpu=2 -n 3",
                "Failed to validate job spec, -n/--ntasks has to be a multiple of --ntasks-per-gpu.",
            ),
        ],
    )
    def test_what_hangs_on_devices_that_were_not_asked_for(self, words, said):
        lines = (said, "Invalid generic resource (gres) specification")
        assert refused(*words.split()) == (1, "".join(f"sbatch: error: {line}\n" for line in lines))

    @pytest.mark.parametrize(
        "words",
        [
            "--mem-per-gpu=1G --gres=gpu:1",
            "--cpus-per-gpu=2 --tres-per-task=gres/gpu=1 -n 2",
            "--ntasks-per-gpu=1 -N 2",
            "--gpus-per-socket=1 -B 2:1",
            "-N 2 --gpus=2",
        ],
    )
    def test_devices_that_were_asked_for_carry_what_hangs_on_them(self, words):
        assert parsed(*words.split()).request

    @pytest.mark.parametrize("words", ["-n 2", "-N 2", "--gpus=2"])
    def test_how_many_tasks_may_follow_from_other_options(self, words):
        assert parsed("--gpus-per-task=1", *words.split()).request.component.gres_per_task

    @pytest.mark.parametrize("words", ["--gres=gpu:1,gpu:a100:1", "--gpus=a100:1 --gpus-per-node=1", "--gpus=1,a100:1"])
    def test_with_and_without_a_type(self, words):
        assert refused(*words.split()) == (1, self._MIXED)


class TestEmptyWishes:
    def test_an_empty_option_is_a_wish(self):
        found = parsed("--account=", "--qos=", "--comment=", "-C", "", "-o", "").request
        assert (found.account, found.qos, found.comment, found.component.constraint) == ("", "", "", "")
        assert found.files == Files(stdout="")

    def test_an_empty_variable_is_none_but_for_features(self):
        names = ("SBATCH_ACCOUNT", "SBATCH_QOS", "SBATCH_COMMENT", "SBATCH_OUTPUT", "SBATCH_CONSTRAINT")
        found = parsed(environ=dict.fromkeys(names, "")).request
        assert (found.account, found.qos, found.comment, found.files) == (None, None, None, Files())
        assert found.component.constraint == ""


def test_the_longest_wait_for_switches_has_a_variable_of_its_own():
    assert dict(parsed("--switches=1@10").request.recorded) == {"switches": "1@10"}
    assert dict(parsed(environ={"SBATCH_REQ_SWITCH": "2"}).request.recorded) == {"switches": "2"}
    said = 'sbatch: error: Invalid numeric value "1@10" for --switches.\n'
    assert refused(environ={"SBATCH_REQ_SWITCH": "1@10"}) == (1, said)


def test_ports_are_refused_once_the_script_is_found():
    said = "sbatch: error: Slurmstepd step management must be enabled to use --resv-ports for job allocations\n"
    assert refused("--resv-ports") == refused("--resv-ports=2") == (1, said)


def test_the_names_of_excluded_nodes_are_read_by_the_controller():
    said = "sbatch: error: Batch job submission failed: Invalid node name specified\n"
    assert refused("-x", "n[3-1]") == (1, said)


def test_a_whole_request():
    script = """#!/bin/bash
#SBATCH --job-name=train --nodes=2 --ntasks-per-node=4
#SBATCH -c 8 --mem=32G -t 2:30:00 -p main,all
#SBATCH --output=logs/%x-%j.out
srun train
"""
    found = parsed("-d", "singleton", "--begin=now+60", script=script)
    assert found.request == JobRequest(
        name="train",
        user="alice",
        uid=1001,
        gid=1001,
        program=Program(command=f"{DIRECTORY}/job.sh"),
        components=(
            Component(
                nodes_min=2, tasks_per_node=4, cpus_per_task=8, memory_per_node_mib=32768, partitions=("main", "all")
            ),
        ),
        dependency=found.request.dependency,
        time_limit_seconds=9000,
        begin_at=1_700_000_060.0,
        files=Files(stdout="logs/%x-%j.out"),
        working_directory=DIRECTORY,
        umask=0o022,
        rlimits=(("RLIMIT_NOFILE", 1024, 4096), ("RLIMIT_STACK", 8388608, -1)),
        submit_line="sbatch -d singleton --begin=now+60 job.sh",
        submit_directory=DIRECTORY,
        submit_host="login1",
    )
    assert found.script == script.encode()
    assert b"HOME=/home/alice" in found.environment.split(b"\0")


class TestStrength:
    def test_command_line_over_environment_over_directive(self):
        script = "#!/bin/sh\n#SBATCH -J directive -t 5 -q low\n"
        found = parsed("-J", "command", script=script, environ={"SBATCH_JOB_NAME": "variable", "SBATCH_TIMELIMIT": "6"})
        assert (found.request.name, found.request.time_limit_seconds, found.request.qos) == ("command", 360, "low")

    def test_a_bad_value_counts_even_where_it_is_overridden(self):
        assert refused("-t3", environ={"SBATCH_TIMELIMIT": "soon"}) == (
            255,
            "sbatch: error: Invalid --time specification\n",
        )

    def test_of_two_options_for_one_thing_the_last_counts(self):
        assert parsed("--requeue", "--no-requeue").request.requeue is False

    @pytest.mark.parametrize(("text", "wish"), [("1", False), ("", False), ("yes", False), ("0", None), ("x", None)])
    def test_a_variable_of_a_flag_counts_unless_it_says_no(self, text, wish):
        assert parsed(environ={"SBATCH_NO_REQUEUE": text}).request.requeue is wish

    def test_an_empty_variable_of_a_name_is_no_wish(self):
        names = ("SBATCH_PARTITION", "SBATCH_ACCOUNT", "SBATCH_QOS", "SBATCH_RESERVATION", "SBATCH_CONSTRAINT")
        found = parsed(environ=dict.fromkeys(names, "")).request
        assert (found.account, found.qos, found.reservation, found.component) == (
            None,
            None,
            None,
            Component(constraint=""),
        )

    def test_first_pass_options_do_nothing_in_directives(self):
        script = "#!/bin/sh\n#SBATCH --wrap=x -Q --version --help -v\n"
        found = parsed(script=script)
        assert (found.script, found.quiet, found.verbose, found.stderr) == (script.encode(), False, 0, "")

    def test_what_sbatch_itself_does_may_stand_in_directives(self):
        found = parsed(script="#!/bin/sh\n#SBATCH --parsable --wait --test-only\n")
        assert (found.parsable, found.wait, found.test_only) == (True, True, True)

    def test_an_exclusive_wish_of_the_environment_beats_a_directive_and_loses_to_the_command_line(self):
        environ = {"SBATCH_EXCLUSIVE": ""}
        directive = parsed(script="#!/bin/sh\n#SBATCH -s\n", environ=environ).request.component
        assert (directive.exclusive, directive.oversubscribe) == ("node", False)
        command = parsed("-s", environ=environ).request.component
        assert (command.exclusive, command.oversubscribe) == (None, True)


CLASHES = {
    "--mem=1 --mem-per-cpu=1": "--mem, --mem-per-cpu, and --mem-per-gpu are mutually exclusive.",
    "--exclusive -s": "--exclusive and --oversubscribe options are mutually exclusive",
    "-S1 --thread-spec=2": "-S/--core-spec and --thred-spec options are mutually exclusive",
    "-c2 --cpus-per-gpu=3": "--cpus-per-task, --tres-per-task=cpu:#, and --cpus-per-gpu are mutually exclusive",
    "-c2 --tres-per-task=cpu=3": (
        "You can not have --tres-per-task=cpu= and --cpus-per-task please use one or the other"
    ),
    "--gpus-per-task=2 --tres-per-task=gres/gpu=1": (
        "You can not have --tres-per-task=gres/gpu= and --gpus-per-task please use one or the other"
    ),
    "--ntasks-per-gpu=2 --gpus-per-task=2": (
        "--gpus-per-task is mutually exclusive with --ntasks-per-gpu and SLURM_NTASKS_PER_GPU"
    ),
    "--ntasks-per-gpu=2 --ntasks-per-node=2": (
        "--ntasks-per-node is mutually exclusive with --ntasks-per-gpu and SLURM_NTASKS_PER_GPU"
    ),
    "--tres-per-task=mem=1": "Invalid TRES for --tres-per-task: mem",
    "--tres-per-task=cpu=x": "Invalid --tres-per-task=cpu=0",
    "-w n[1-": "Invalid node list specified",
}


@pytest.mark.parametrize("words", CLASHES)
def test_clashes(words):
    assert refused(*words.replace("-w ", "-w").split()) == (1, f"sbatch: fatal: {CLASHES[words]}\n")


class TestRefusalsOfTheController:
    """Those of values that cannot be read at all."""

    TEXTS = {
        "-a3-1": "Invalid job array specification",
        "-dafterok": "Job dependency problem",
        "-Cintel&&ib": "Invalid feature specification",
        "--signal=R:10": "Preemption is required but is disabled on this system",
    }

    @pytest.mark.parametrize("word", TEXTS)
    def test_in_its_words(self, word):
        assert refused(word) == (1, f"sbatch: error: Batch job submission failed: {self.TEXTS[word]}\n")

    @pytest.mark.parametrize("word", TEXTS)
    def test_with_the_asked_exit_code(self, word):
        assert refused(word, environ={"SLURM_EXIT_ERROR": "77"})[0] == 77

    @pytest.mark.parametrize("word", TEXTS)
    def test_of_a_dry_run(self, word):
        assert refused("--test-only", word) == (1, f"allocation failure: {self.TEXTS[word]}\n")

    def test_a_useless_exit_code_is_told(self):
        found = parsed(environ={"SLURM_EXIT_ERROR": "x"})
        assert (found.exit_error, found.stderr) == (1, "sbatch: error: SLURM_EXIT_ERROR has zero value\n")


class TestHeterogeneousJobs:
    SAID = (
        1,
        "sbatch: error: Batch job submission failed: jobs of several components (hetjob) cannot be run here yet; "
        "submit the 2 components one by one\n",
    )

    def test_of_directives(self):
        assert refused(script="#!/bin/sh\n#SBATCH -n2\n#SBATCH hetjob\n#SBATCH -n3\n") == self.SAID

    def test_of_the_command_line(self):
        assert refused("-n2", ":", "-n3") == self.SAID

    def test_a_bad_option_of_any_component_comes_first(self):
        said = (1, 'sbatch: error: Invalid numeric value "3x" for --ntasks.\n')
        assert refused("-n2", ":", "-n3x") == said
        assert refused(script="#!/bin/sh\n#SBATCH -n2\n#SBATCH hetjob\n#SBATCH -n3x\n") == said


class TestFilesOfOptions:
    def test_a_missing_node_file(self):
        assert refused("-Fgone") == (
            255,
            "sbatch: error: slurm_allocate_resources error opening file gone, No such file or directory\n"
            "sbatch: error: Invalid --nodefile node file\n",
        )

    def test_a_missing_environment_file(self):
        assert refused("--export-file=gone") == (1, "sbatch: error: Could not open user environment file gone\n")

    def test_an_environment_file_replaces_the_environment(self):
        found = answered(a_call("--export-file=env", "job.sh"), {"job.sh": PLAIN, "env": b"A=1\0B=2\0"})
        assert found.environment == b"A=1\0B=2"


class TestUsers:
    def test_only_root_may_name_another_user(self):
        assert refused("--uid=bob") == (255, "sbatch: error: --uid only permitted by root user\n")
        assert refused("--gid=0") == (255, "sbatch: error: --gid only permitted by root user\n")

    def test_root_may(self):
        root, bob = User("root", 0, 0, (0,), ("root",)), User("bob", 1002, 1002)
        found = parsed("--uid=bob", "--gid=7", user=root, is_root=True, find_user={"bob": bob}.get)
        assert (found.request.user, found.request.uid, found.request.gid) == ("bob", 1002, 7)

    def test_an_unknown_user(self):
        call = a_call("--uid=nobody", "job.sh", is_root=True, find_user=lambda _: None)
        assert answered(call, {"job.sh": PLAIN}) == request.Answer(
            "", "sbatch: error: Invalid --uid specification\n", 255
        )


class TestSizes:
    @pytest.mark.parametrize(
        ("words", "fields"),
        [
            ("-B2:3:4", {"sockets_per_node": 2, "cores_per_socket": 3, "threads_per_core": 4}),
            ("-B*:2", {"cores_per_socket": 2}),
            # A task on each place of a shape that is given by -B or beside -N.
            ("-B2", {"tasks": 2}),
            ("-B*:2", {"tasks": 2}),
            ("-B2:2 -N3", {"tasks": 12}),
            ("-B2:1 -n1", {"tasks": 1}),
            ("-N2 --cores-per-socket=2", {"tasks": 4}),
            ("--sockets-per-node=2 --cores-per-socket=2", {"tasks": None}),
            ("--gres=gpu:a100:2 --gpus-per-node=a100:1", {"gres_per_node": ("gpu:a100:1", "gpu:a100:2")}),
            ("--tres-per-task=cpu=2,gres/gpu:a=1 -n1", {"cpus_per_task": 2, "gres_per_task": ("gpu:a:1",)}),
            ("--hint=nomultithread", {"threads_per_core": 1}),
            ("--hint=memory_bound --cores-per-socket=2", {"threads_per_core": 1, "cores_per_socket": 2}),
            ("-C intel,ib", {"constraint": "intel&ib"}),
            ("-N3 -n2", {"nodes_min": 2, "nodes_max": None, "tasks": 2}),
            ("-N3-5 -n2", {"nodes_min": 2, "nodes_max": 2, "tasks": 2}),
            ("-N1,3", {"nodes_min": 1, "nodes_max": 3, "node_sizes": (1, 3)}),
        ],
    )
    def test_fields(self, words, fields):
        component = parsed(*words.split()).request.component
        found = {name: getattr(component, name) for name in fields}
        assert {name: _shown(value) for name, value in found.items()} == fields

    def test_fewer_tasks_than_nodes_are_told(self):
        assert parsed("-N3", "-n2").stderr == (
            "sbatch: warning: can't run 2 processes on 3 nodes, setting nnodes to 2\n"
        )


def _shown(value: object) -> object:
    if isinstance(value, tuple) and value and hasattr(value[0], "name"):
        return tuple(":".join(str(part) for part in (g.name, g.type, g.count) if part is not None) for g in value)
    return value


class TestWhatTheJobFinds:
    @pytest.mark.parametrize(
        ("words", "variables"),
        [
            ("--hint=nomultithread", {"SLURM_HINT": "nomultithread"}),
            ("--hint=multithread", {"SLURM_HINT": "multithread", "SLURM_NTASKS_PER_CORE": "65535"}),
            ("-m cyclic:block", {"SLURM_DISTRIBUTION": "cyclic:block"}),
            ("-m plane=4", {"SLURM_DISTRIBUTION": "plane", "SLURM_DIST_PLANESIZE": "4"}),
            ("--gpus-per-node=2", {"SLURM_GPUS_PER_NODE": "2"}),
            ("--gpu-bind=closest --network=x", {"SLURM_TRES_BIND": "gres/gpu:closest", "SLURM_NETWORK": "x"}),
            ("--gpus-per-task=2 -n1", {"SLURM_TRES_BIND": "gres/gpu:per_task:2"}),
            ("--gpus-per-task=2 -n1 --gpu-bind=none", {"SLURM_TRES_BIND": "gres/gpu:none"}),
            ("--gpus=2 --tres-bind=gres/gpu:single:1", {"SLURM_TRES_BIND": "gres/gpu:single:1"}),
            ("--open-mode=append", {"SLURM_OPEN_MODE": "a"}),
            ("--open-mode=Truncate", {"SLURM_OPEN_MODE": "t"}),
            ("--export=NONE", {"SLURM_EXPORT_ENV": "NONE", "SLURM_GET_USER_ENV": "1"}),
            ("--profile=task,ENERGY", {"SLURM_PROFILE": "Energy,Task"}),
            ("--profile=all", {"SLURM_PROFILE": "Energy,Lustre,Network,Task"}),
            ("--profile=none", {"SLURM_PROFILE": "None"}),
            ("--cpu-freq=low-highm1:performance", {"SLURM_CPU_FREQ_REQ": "Low-Highm1:Performance"}),
            ("--cpu-freq=OnDemand", {"SLURM_CPU_FREQ_REQ": "OnDemand"}),
            ("--cpu-freq=2000", {"SLURM_CPU_FREQ_REQ": "2000"}),
            ("-n2", {}),
        ],
    )
    def test_variables_of_options(self, words, variables):
        assert dict(parsed(*words.split()).request.environment_of_options) == variables

    def test_a_quote_of_export_that_stays_open_is_told(self):
        assert parsed("--export=A='1,2").stderr == ("sbatch: error: Improperly formed environment variable (A='1,2)\n")

    def test_limits_named_by_propagate(self):
        assert parsed("--propagate=NOFILE").request.rlimits == (("RLIMIT_NOFILE", 1024, 4096),)
        assert parsed("--propagate=NONE").request.rlimits == ()


class TestReport:
    def test_one_entry_for_each_occurrence_in_order(self):
        script = "#!/bin/sh\n#SBATCH --mem=1G\n#SBATCH -m block -N 2\n"
        found = parsed("--mem", "2G", script=script, environ={"SBATCH_PARTITION": "all"})
        assert [(entry.text, entry.source, entry.treatment) for entry in found.report.entries] == [
            ("--mem=1G", "job.sh:2", Treatment.RECORDED),
            ("-m block", "job.sh:3", Treatment.APPROXIMATED),
            ("-N 2", "job.sh:3", Treatment.ACTED_ON),
            ("SBATCH_PARTITION=all", "environment SBATCH_PARTITION", Treatment.ACTED_ON),
            ("--mem 2G", "command line", Treatment.ACTED_ON),
        ]
        assert found.report.entries[0].sentence == "overridden by --mem 2G (command line)"

    def test_what_changes_results_is_marked(self):
        (entry,) = parsed("--container=/bundle").report.entries
        assert entry == Entry(
            "--container=/bundle",
            "command line",
            Treatment.RECORDED,
            "not obeyed: the script runs outside of any container",
            changes_results=True,
        )

    def test_a_wish_that_gives_way_is_told(self):
        found = parsed("--mem=1G", environ={"SBATCH_MEM_PER_CPU": "100"})
        assert found.report.entries[0].sentence == "gives way to a stronger wish that excludes it"
        assert (found.request.component.memory_per_node_mib, found.request.component.memory_per_cpu_mib) == (1024, None)

    @pytest.mark.parametrize(
        ("line", "warning"),
        [
            (
                "#SBATCH --output=$HOME/a.out",
                "--output=$HOME/a.out: sbatch expands no variables; write %u, %j, %x or a plain path",
            ),
            ("#SBATCH -p=gpu", "-p=gpu: the value is '=gpu'; write -p gpu"),
            ("#SBATCH --account=<yours>", "--account=<yours>: looks like a left-over of a template"),
            ("#SBATCH -A {{account}}", "-A {{account}}: looks like a left-over of a template"),
            (
                "#SBATCH --mail-type=END --mail-type=FAIL",
                "--mail-type=END: only the last --mail-type counts; join the words with commas",
            ),
        ],
    )
    def test_slips(self, line, warning):
        assert parsed(script=f"#!/bin/sh\n{line}\n").report.warnings == (f"job.sh:2: {warning}",)

    def test_a_usual_script_has_none(self):
        script = "#!/bin/sh\n#SBATCH -o logs/%x-%j.out -C [a|b] --mail-type=END,FAIL\n# a comment\necho\n"
        assert parsed(script=script).report.warnings == ()


def test_verbose_lists_what_is_set():
    rule = "sbatch: -------------------- --------------------\n"
    assert parsed("-v", "-H", "-t5", "--mem=5G").stderr == (
        f"sbatch: defined options\n{rule}sbatch: hold                : set\nsbatch: mem                 : 5G\n"
        f"sbatch: time                : 00:05:00\nsbatch: verbose             : 1\n{rule}"
        "sbatch: end of defined options\n"
    )


def test_a_cluster_of_another_name_is_refused():
    code, said = refused("-M", "mars")
    assert (code, said.splitlines()[0]) == (1, "sbatch: error: No cluster 'mars' known by database.")
    assert parsed("-M", "oracle").clusters == "oracle"


def test_words_after_the_script_are_its_arguments():
    found = answered(a_call("job.sh", "-t", "--x", "a b"), {"job.sh": PLAIN})
    assert found.request.program.arguments == ("-t", "--x", "a b")


def test_options_that_end_with_two_dashes():
    assert answered(a_call("-n2", "--", "job.sh"), {"job.sh": PLAIN}).request.component.tasks == 2


def test_bytes_that_are_no_text_are_kept():
    assert parsed("-J", "a\udcff").request.name == "a\udcff"


WORDS = st.sampled_from(
    [f"--{option.name}" for option in options.OPTIONS]
    + [f"-{option.short}" for option in options.OPTIONS if option.short]
    + [":", "--", "-", "job.sh", "=", "--wrap=true"]
)
VALUES = st.sampled_from(
    ["", "1", "x", "now", "1:2", "a,b", "0", "-1", "ALL", "gpu:1", "1-3", "/x", "=", "[", "*", "%"]
)
ARGV = st.lists(
    WORDS | st.text(max_size=12) | st.builds("{}={}".format, WORDS, VALUES | st.text(max_size=8)), max_size=6
)


def is_an_outcome(found: object) -> bool:
    if isinstance(found, request.Answer):
        return found.exit_code in range(256)
    return isinstance(found, request.Parsed) and isinstance(found.environment, bytes)


@given(ARGV, st.text(max_size=120))
@settings(max_examples=400)
def test_any_command_line_has_an_outcome(argv, body):
    assert is_an_outcome(answered(a_call(*argv), {"job.sh": f"#!/bin/sh\n#SBATCH {body}\n"}, stdin=PLAIN))


@given(st.dictionaries(st.sampled_from(sorted(options.VARIABLES)), VALUES | st.text(max_size=10), max_size=3))
def test_any_environment_has_an_outcome(environ):
    assert is_an_outcome(answered(a_call("job.sh", environ=environ), {"job.sh": PLAIN}))


@given(st.binary(max_size=300))
def test_any_script_has_an_outcome(script):
    assert is_an_outcome(answered(a_call("job.sh"), {"job.sh": b"#!" + script}))


@given(st.lists(WORDS | VALUES, max_size=8))
def test_any_directive_has_an_outcome(words):
    script = "#!/bin/sh\n" + "".join(f"#SBATCH {word}\n" for word in words)
    assert is_an_outcome(answered(a_call("job.sh"), {"job.sh": script}))


def test_the_site_decides_the_size_of_arrays():
    site = dataclasses.replace(Site(), max_array_size=5)
    assert isinstance(answered(a_call("-a5", "job.sh"), {"job.sh": PLAIN}, site=site), request.Answer)


@pytest.mark.parametrize("text", ["30", "task=1,energy=60", "energy=99", "network=0"])
def test_tasks_may_be_looked_at_as_often_as_the_site_does(text):
    assert parsed(f"--acctg-freq={text}").stderr == ""


@pytest.mark.parametrize("text", ["31", "0", "task=60", "energy=1,task=0"])
def test_tasks_are_not_looked_at_less_often(text):
    said = "sbatch: error: Batch job submission failed: Invalid accounting frequency requested\n"
    assert refused(f"--acctg-freq={text}") == (1, said)
