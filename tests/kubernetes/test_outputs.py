"""Output that the bridge keeps: pieces told twice, too late, or after a crash."""

from pathlib import Path

import pytest

from bridge.backends.kubernetes.outputs import Outputs


@pytest.fixture
def outputs(tmp_path: Path) -> Outputs:
    found = Outputs(tmp_path / "output")
    found.begin(12, 1, appends=False)
    return found


class TestWriting:
    def test_takes_each_byte_once(self, outputs: Outputs) -> None:
        for at, data in ((0, b"0123"), (0, b"0123"), (2, b"2345"), (6, b"6789")):
            outputs.write(12, 1, "stdout", at, data)
        assert outputs.read(12, "stdout", 0, 100) == b"0123456789"
        assert (outputs.until(12, 1, "stdout"), outputs.lost(12, 1)) == (10, 0)

    def test_counts_what_is_missing_in_its_place(self, outputs: Outputs) -> None:
        outputs.write(12, 1, "stdout", 0, b"0123\n")
        outputs.write(12, 1, "stdout", 9, b"9\n")
        note = b"0123\n\n[4 bytes were lost here: nobody fetched them in time]\n9\n"
        assert (outputs.read(12, "stdout", 0, 100), outputs.lost(12, 1)) == (note, 4)

    def test_counts_what_is_missing_at_the_end(self, outputs: Outputs) -> None:
        outputs.write(12, 1, "stderr", 0, b"abc")
        assert (outputs.miss(12, 1, "stderr", 3), outputs.miss(12, 1, "stderr", 10)) == (0, 7)
        assert outputs.lost(12, 1) == 7

    def test_goes_on_after_a_crash_that_cut_it_short(self, outputs: Outputs, tmp_path: Path) -> None:
        outputs.write(12, 1, "stdout", 0, b"0123")
        with (tmp_path / "output" / "12" / "1.stdout").open("ab") as file:
            file.write(b"half of the nex")
        again = Outputs(tmp_path / "output")
        again.write(12, 1, "stdout", 4, b"4567")
        assert again.read(12, "stdout", 0, 100) == b"01234567"


class TestReading:
    @pytest.mark.parametrize(("appends", "expected"), [(True, b"one\ntwo\n"), (False, b"two\n")])
    def test_of_several_attempts(self, outputs: Outputs, appends: bool, expected: bytes) -> None:
        outputs.write(12, 1, "stdout", 0, b"one\n")
        outputs.begin(12, 2, appends=appends)
        outputs.write(12, 2, "stdout", 0, b"two\n")
        assert outputs.read(12, "stdout", 0, 100) == expected
        assert outputs.read(12, "stdout", 1, 2) == expected[1:3]
        assert outputs.read(12, "stdout", 6, 100) == expected[6:]

    def test_what_nobody_knows_is_nothing_and_what_is_empty_is_empty(self, outputs: Outputs) -> None:
        assert (outputs.read(13, "stdout", 0, 1), outputs.read(12, "stdout", 0, 1)) == (None, b"")


class TestForgetting:
    def test_leaves_what_is_still_known(self, outputs: Outputs) -> None:
        outputs.begin(13, 1, appends=False)
        assert (outputs.jobs, outputs.forget({13}), outputs.jobs) == ({12, 13}, 1, {13})
