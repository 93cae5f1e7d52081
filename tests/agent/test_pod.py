"""What the agent does in a pod before it is the monitor there."""

import os
from pathlib import Path

from bridge.agent import pod


class TestCopyInto:
    def test_brings_everything_and_leaves_the_folder_itself_as_it_is(self, tmp_path: Path) -> None:
        """The folder is a volume's, which belongs to somebody else."""
        source, target = tmp_path / "agent", tmp_path / "copy"
        (source / "bin").mkdir(parents=True)
        (source / "bin" / "python3").write_text("x")
        (source / "bin" / "python3").chmod(0o755)
        (source / "agent.pyz").write_text("y")
        (source / "link").symlink_to("agent.pyz")
        source.chmod(0o700)
        target.mkdir()
        target.chmod(0o777)
        pod.copy_into(str(source), str(target))
        assert sorted(os.listdir(target)) == ["agent.pyz", "bin", "link"]
        assert (target.stat().st_mode & 0o777, (target / "bin" / "python3").stat().st_mode & 0o777) == (0o777, 0o755)
        assert os.readlink(target / "link") == "agent.pyz"
