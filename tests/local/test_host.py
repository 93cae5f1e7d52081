from pathlib import Path

from bridge.backends.local import host


class TestTheWayToAFile:
    def test_is_open_where_everybody_may_pass(self) -> None:
        assert host.closed_to_users("/usr/bin/env") is None

    def test_is_closed_by_a_folder_of_its_own_or_behind_a_link(self, tmp_path: Path) -> None:
        closed = tmp_path / "closed"
        (closed / "bin").mkdir(parents=True)
        closed.chmod(0o700)
        link = Path("/tmp") / f"bridge-{tmp_path.parent.name}-{tmp_path.name}"
        link.symlink_to(closed / "bin")
        try:
            first = next(folder for folder in (*reversed(tmp_path.parents), tmp_path, closed) if _is_closed(folder))
            assert host.closed_to_users(f"{closed}/bin/python") == str(first)
            assert host.closed_to_users(f"{link}/python") == str(first)
        finally:
            link.unlink()

    def test_that_is_not_there_is_told_by_the_last_that_is_asked_for(self) -> None:
        assert host.closed_to_users("/nothing/here/python") == "/nothing"


def _is_closed(folder: Path) -> bool:
    return not folder.stat().st_mode & 0o001
