"""The /etc/hosts of a virtual node."""

import os

from bridge.agent import launch, node_names

NODES = (launch.Node("n1", "127.0.0.1", 1), launch.Node("n2", "127.0.0.1", 2))


def test_the_job_s_nodes_stand_before_what_the_machine_says():
    assert node_names.hosts_text(NODES, "10.0.0.1 n1 other\n") == "127.0.0.1\tn1\n127.0.0.1\tn2\n10.0.0.1 n1 other\n"


def test_the_file_may_be_read_by_everybody_whatever_the_umask(tmp_path):
    before = os.umask(0o077)
    folder = os.open(tmp_path, os.O_RDONLY)
    try:
        node_names.write(folder, NODES)
    finally:
        os.close(folder)
        os.umask(before)
    file = tmp_path / node_names.FILE
    assert file.stat().st_mode & 0o777 == 0o644
    assert file.read_text().startswith("127.0.0.1\tn1\n127.0.0.1\tn2\n")
