"""#SBATCH lines found and split as sbatch 25.11 does it, and the slips that it does not tell."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.slurm import directives


def words_of(*lines: str) -> list[str]:
    script = "\n".join(["#!/bin/bash", *lines, "echo done", ""])
    found = directives.scan(script.encode(), "job.sh")
    return [word for component in found.components for word in component.words]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("#SBATCH -N 2 --ntasks-per-node=8", ["-N", "2", "--ntasks-per-node=8"]),
        ("#SBATCH\t-J\ttabbed\t", ["-J", "tabbed"]),
        ("#SBATCH-J glued", ["-J", "glued"]),
        ("#SBATCH -t 10:00   # ten minutes", ["-t", "10:00"]),
        ("#SBATCH --comment=a#b -J no", ["--comment=a"]),
        ('#SBATCH --comment="a#b"', ["--comment=a#b"]),
        ("#SBATCH --comment=a\\#b", ["--comment=a#b"]),
        ('#SBATCH --job-name="my run"', ["--job-name=my run"]),
        ("#SBATCH -C 'a|b'", ["-C", "a|b"]),
        ("#SBATCH --comment=a\\ b", ["--comment=a b"]),
        ("#SBATCH --comment=a\\nb\\\\c", ["--comment=anb\\c"]),
        ('#SBATCH --comment="q\\"z"', ['--comment=q"z']),
        ("#SBATCH -J x\\", ["-J", "x"]),
        ("#SBATCH --job-name=$USER-${HOME}", ["--job-name=$USER-${HOME}"]),
        ('#SBATCH --comment "" -J x', ["--comment"]),
        ("#SBATCH", []),
        ("##SBATCH -J no", []),
        ("# SBATCH -J no", []),
        ("#sbatch -J no", []),
        (" #SBATCH -J no", []),
        ("#SBATCH -J a\u00a0b", ["-J", "a\u00a0b"]),
    ],
)
def test_the_words_of_a_line(line, words):
    assert words_of(line) == words


def test_comments_and_blank_lines_do_not_end_the_search():
    assert words_of("#SBATCH -J", "", "# a comment", "  \t", "#SBATCH next") == ["-J", "next"]


def test_a_command_ends_the_search_in_any_language():
    assert words_of('"""a docstring"""', "#SBATCH -J no") == []


def test_a_last_line_without_a_newline_counts():
    assert directives.scan(b"#!/bin/sh\n#SBATCH -J x", "job.sh").components[0].words == ["-J", "x"]


def test_each_word_has_its_line():
    found = directives.scan(b"#!/bin/sh\n#SBATCH -J x\n\n#SBATCH -N 2 -n 3\n", "job.sh")
    assert found.components[0].lines == [2, 2, 4, 4, 4, 4]


def test_bytes_that_are_no_text_are_kept():
    word = directives.scan(b"#!/bin/sh\n#SBATCH -J \xff\xfe\n", "job.sh").components[0].words[1]
    assert word.encode("utf-8", "surrogateescape") == b"\xff\xfe"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('#SBATCH --comment="open', 'Unmatched `"` in [--comment="open]'),
        ('#SBATCH --comment=a -J "x y', 'Unmatched `"` in [ "x y]'),
        ("#SBATCH -J 'x", "Unmatched `'` in [ 'x]"),
        ("#SBATCH : -J x", "Unexpected `:` in [: -J x]"),
        ("#SBATCH -J x :y", "Unexpected `:` in [ :y]"),
    ],
)
def test_lines_that_end_it_all(line, said):
    with pytest.raises(directives.Unreadable) as unreadable:
        words_of(line)
    assert str(unreadable.value) == f"job.sh: line 2: {said}"


def test_the_old_magic_word_is_taken_and_complained_of_once():
    found = directives.scan(b"#!/bin/sh\n#SLURM -J old\n#SLURM -n2\n", "job.sh")
    assert found.components[0].words == ["-J", "old", "-n2"]
    assert len(found.complaints) == 1


def test_hetjob_starts_the_next_component():
    found = directives.scan(b"#!/bin/sh\n#SBATCH -n 2\n#SBATCH hetjob\n#SBATCH -n 3\n#SBATCH packjob -n 4\n", "job.sh")
    assert [component.words for component in found.components] == [["-n", "2"], ["-n", "3"], ["-n", "4"]]


@pytest.mark.parametrize(
    ("script", "warning"),
    [
        ("#SBTACH -N2\n", "job.sh:2: #SBTACH is a comment to sbatch; #SBATCH was meant?"),
        ("#sbatch -N2\n", "job.sh:2: #sbatch is a comment to sbatch; #SBATCH was meant?"),
        (
            "  #SBATCH -N2\n",
            "job.sh:2: blanks before #SBATCH make the line a comment; it has to begin the line",
        ),
        ("cd x\n#SBATCH --mem=9G\n", "job.sh:3: #SBATCH --mem=9G stands after the first command and is ignored"),
    ],
)
def test_slips_are_told_with_their_line(script, warning):
    assert directives.scan(f"#!/bin/sh\n{script}echo\n".encode(), "job.sh").warnings == [warning]


def test_many_late_directives_are_counted():
    found = directives.scan(b"#!/bin/sh\necho\n" + b"#SBATCH -n 1\n" * 1000, "job.sh")
    assert len(found.warnings) == 21
    assert found.warnings[-1] == "job.sh: 980 more directives stand after the first command and are ignored"


def test_lines_of_other_systems_count_wherever_they_stand():
    script = b"#!/bin/sh\n#PBS -N x\necho\n#BSUB -J y\n"
    assert directives.scan(script, "job.sh").foreign == [(2, "PBS", b" -N x"), (4, "BSUB", b" -J y")]
    assert directives.scan(script, "job.sh", with_foreign=False).foreign == []


@given(
    st.binary(max_size=200), st.lists(st.sampled_from([b"#SBATCH ", b"#PBS ", b"\n", b'"', b"\\", b"#", b":", b"x"]))
)
def test_any_bytes_are_read_or_refused(data, pieces):
    with contextlib.suppress(directives.Unreadable):
        found = directives.scan(b"#!/bin/sh\n" + data + b"".join(pieces), "job.sh")
        assert all(len(one.words) == len(one.lines) for one in found.components)


@given(st.lists(st.text(st.characters(exclude_characters="\n\0", codec="utf-8"), min_size=1, max_size=10), max_size=6))
def test_quoted_words_come_back(words):
    quoted = " ".join("".join(f"\\{character}" for character in word) for word in words)
    assert directives.split(quoted.encode(), "job.sh", 1) == words
