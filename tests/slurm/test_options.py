"""The table of sbatch's options against the list that a real sbatch 25.11 has."""

import pathlib

import pytest

from adapters.slurm import options
from adapters.slurm.options import Place
from bridge.core.nodes import Partition, Site
from bridge.core.report import Treatment
from tests.slurm.calls import a_call, answered, parsed, refused

RECORDED = [
    line.split("\t")
    for line in (pathlib.Path(__file__).parent / "sbatch_options.tsv").read_text(encoding="utf-8").splitlines()
]
"""(long name, argument, letter) as the real one told by its errors, and the order in which it lists possibilities."""


def test_no_option_is_missing_and_none_is_ours_alone():
    assert list(options.table().long) == [name for name, _, _ in RECORDED]


@pytest.mark.parametrize(("name", "argument", "letter"), RECORDED, ids=[name for name, _, _ in RECORDED])
def test_each_option_is_spelled_as_there(name, argument, letter):
    option = options.table().long[name]
    assert option.argument == argument
    if letter:
        assert options.table().short[letter] is option


def test_no_letter_is_ours_alone():
    assert set(options.table().short) == {letter for _, _, letter in RECORDED if letter}


def test_every_option_says_what_becomes_of_it():
    assert all(option.sentence and option.treatment in Treatment for option in options.OPTIONS)


def test_only_recorded_options_are_kept_as_text():
    assert {option.treatment for option in options.OPTIONS if option.place is Place.RECORDED} == {Treatment.RECORDED}


def test_a_prefix_of_one_option_stands_for_it():
    assert parsed("--out=a.txt", "--err", "b.txt").request.files.stdout == "a.txt"


def test_the_prefix_of_an_alias_stands_for_its_option():
    assert parsed("--tasks=3").request.component.tasks_per_node == 3


def test_an_ambiguous_prefix_is_refused_with_all_possibilities():
    assert refused("--no") == (
        255,
        "sbatch: option '--no' is ambiguous; possibilities: '--no-kill' '--no-requeue' '--nodefile' '--nodelist' "
        "'--nodes'\nTry \"sbatch --help\" for more information\n",
    )


def test_an_option_of_a_site_plug_in_is_refused_unless_the_site_allows_it():
    code, said = refused("--container-image=ubuntu")
    assert (code, said.splitlines()[0]) == (255, "sbatch: unrecognized option '--container-image=ubuntu'")


def test_an_allowed_option_of_a_site_plug_in_is_recorded_and_said():
    site = Site(accept_options=("container-image", "container-writable"))
    call = a_call("--container-image", "ubuntu", "--container-writable", "job.sh")
    found = answered(call, {"job.sh": "#!/bin/sh\n"}, site=site)
    assert found.request.recorded == (("container-image", "ubuntu"), ("container-writable", "1"))
    assert [(entry.treatment, entry.changes_results) for entry in found.report.entries] == [
        (Treatment.RECORDED, True),
        (Treatment.RECORDED, True),
    ]


def test_help_names_every_option():
    said = answered(a_call("--help"))
    assert (said.exit_code, said.stderr) == (0, "")
    assert all(f"--{option.name}" in said.stdout for option in options.OPTIONS)


def test_usage_is_wrapped():
    said = answered(a_call("--usage"))
    assert said.exit_code == 0
    assert max(map(len, said.stdout.splitlines())) <= 80


@pytest.mark.parametrize(
    ("given", "image"),
    [
        ("ubuntu", "ubuntu"),
        ("docker://ubuntu:22.04", "ubuntu:22.04"),
        ("docker://nvcr.io#nvidia/pytorch:24.01-py3", "nvcr.io/nvidia/pytorch:24.01-py3"),
        ("docker://$oauthtoken@nvcr.io#nvidia/pytorch", "nvcr.io/nvidia/pytorch"),
        ("registry.example.org:5000/a/b@sha256:" + "0" * 64, "registry.example.org:5000/a/b@sha256:" + "0" * 64),
    ],
)
def test_an_image_is_called_as_its_registry_does(given: str, image: str) -> None:
    site = Site(partitions=(Partition("pods", "k", ("n1",), is_default=True, images=("*",)),))
    found = answered(a_call("--container-image", given, "job.sh"), {"job.sh": "#!/bin/sh\n"}, site=site)
    assert (found.request.container_image, found.request.recorded) == (image, ())


@pytest.mark.parametrize("given", ["/images/a.sqsh", "./a.sqsh", "docker://", "A B", "a;b", "../x", "dockerd://a"])
def test_what_is_no_image_of_a_registry_is_refused(given: str) -> None:
    site = Site(partitions=(Partition("pods", "k", ("n1",), is_default=True, images=("*",)),))
    said = answered(a_call(f"--container-image={given}", "job.sh"), {"job.sh": "#!/bin/sh\n"}, site=site)
    assert (said.exit_code, said.stderr) == (
        255,
        f"sbatch: error: --container-image takes the name of an image in a registry, not {given}\n",
    )
