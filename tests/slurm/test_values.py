"""Values of options, each as a real sbatch 25.11 took or refused it."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.slurm import choices, values
from adapters.slurm.values import BadValue, Nodes, SignalOption
from bridge.core.request import UNLIMITED_SECONDS, Gres, SignalWish


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        *(("02:30:00", 9000), ("1-12:00:00", 129600), ("1-12:00", 129600), ("2-6", 194400), ("45", 2700)),
        *(("30:00", 1800), ("1:0:0", 3600), ("100:00:00", 360000), ("0:20", 60), ("0:90", 120), ("007", 420)),
        *(("2-", 172800), ("1-0:0:61", 86520), ("1:02:03", 3780)),
        *((text, UNLIMITED_SECONDS) for text in ("0", "-1", "-0", "UNLIMITED", "infinite", "00:00:00", "0-0:0:0")),
        *(("99999999999", UNLIMITED_SECONDS), ("4294967295", UNLIMITED_SECONDS)),
    ],
)
def test_time_limits(text, seconds):
    assert values.time_limit(text) == seconds


@pytest.mark.parametrize(
    "text",
    ["", " 5", "5 ", "+5", "5m", "1.5", "1:2:3:4", "5:", ":5", "10:00x", "-", "1--2", "-5", "1:-2", "٣", "unlim"],
)
def test_what_is_no_time_limit(text):
    with pytest.raises(BadValue) as bad:
        values.time_limit(text)
    assert (bad.value.lines("time"), bad.value.exit_code) == (["Invalid --time specification"], 255)


@pytest.mark.parametrize(
    ("text", "mebibytes"),
    [
        *(("8G", 8192), ("8GB", 8192), ("8gb", 8192), ("8g", 8192), ("500M", 500), ("500MB", 500), ("4000", 4000)),
        *(("0", 0), ("0G", 0), ("1T", 1048576), ("512K", 1), ("1025K", 2), ("1KB", 1), ("+5", 5), (" 5", 5)),
    ],
)
def test_memory(text, mebibytes):
    assert values.memory(text) == mebibytes


@pytest.mark.parametrize("text", ["", "1GiB", "1.5G", "lots", "5X", "1 G", "G1", "-5", "0x10", "1P", "1B", "5 ", "٣G"])
def test_what_is_no_memory(text):
    with pytest.raises(BadValue):
        values.memory(text)


@pytest.mark.parametrize(
    ("text", "nodes"),
    [
        *(("3", Nodes(3)), ("+2", Nodes(2)), (" 2", Nodes(2)), ("1k", Nodes(1024)), ("1M", Nodes(1048576))),
        *(("1-3", Nodes(1, 3)), ("2-2", Nodes(2, 2)), ("-2", Nodes(1, 2)), ("-1", Nodes(1, 1)), ("0", Nodes(0))),
        *(("1k-2k", Nodes(1024, 2048)), ("1,3", Nodes(1, 3, (1, 3))), ("3,1", Nodes(1, 3, (1, 3)))),
        *(("1-8:2", Nodes(1, 7, (1, 3, 5, 7))), ("1-3,5", Nodes(1, 5, (1, 2, 3, 5))), ("2,2", Nodes(2, sizes=(2,)))),
        *(("1-7:2", Nodes(1, 5, (1, 3, 5))), ("1-3:2", Nodes(1, sizes=(1,))), ("1-4:1", Nodes(1, 3))),
        ("1-2,3-4", Nodes(1, 4)),
    ],
)
def test_node_counts(text, nodes):
    assert values.node_count(text) == nodes


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("two", '"two" is not a valid node count'),
        ("1.5", '"1.5" is not a valid node count'),
        ("1-3-5", '"3-5" is not a valid node count'),
        ("2-", "Maximum node count -1 is less than minimum node count 2"),
        ("3-1", "Maximum node count 1 is less than minimum node count 3"),
        ("1-3:0", '"1-3:0" is not a valid node count'),
        ("99999999999", '"99999999999" is not a valid node count'),
    ],
)
def test_what_is_no_node_count(text, said):
    with pytest.raises(BadValue) as bad:
        values.node_count(text)
    assert (bad.value.lines("nodes"), bad.value.exit_code) == ([said], 255)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        *(
            (text, f'Invalid numeric value "{text}" for --ntasks.')
            for text in ("0", "many", "2.5", "1k", "-2", "2 ", "")
        ),
        ("99999999999", "Numeric argument (99999999999) too large for --ntasks."),
    ],
)
def test_what_is_no_count(text, said):
    with pytest.raises(BadValue) as bad:
        values.count(text)
    assert (bad.value.lines("ntasks"), bad.value.exit_code) == ([said], 1)


def test_a_value_that_looks_like_a_placeholder_is_said_as_it_is():
    with pytest.raises(BadValue) as bad:
        values.count("VALUE OPTION {0}")
    assert bad.value.lines("ntasks") == ['Invalid numeric value "VALUE OPTION {0}" for --ntasks.']


@pytest.mark.parametrize(
    ("text", "option"),
    [
        ("B:USR1@120", SignalOption(SignalWish(10, 120, True))),
        ("USR1@60", SignalOption(SignalWish(10, 60))),
        ("15@180", SignalOption(SignalWish(15, 180))),
        ("SIGUSR1", SignalOption(SignalWish(10, 60))),
        ("b:usr2", SignalOption(SignalWish(12, 60, True))),
        ("RB:10@", SignalOption(SignalWish(10, 60, True), reservation_only=True)),
        ("65535@65535", SignalOption(SignalWish(65535, 65535))),
        ("10 @5", SignalOption(SignalWish(10, 5))),
    ],
)
def test_signals(text, option):
    assert values.signal_wish(text) == option


@pytest.mark.parametrize(
    "text", ["", "0", "FOO", "B", "B:", "65536", "10@x", "10@65536", "10@-5", "@5", "USR1x", "X:10"]
)
def test_what_is_no_signal(text):
    with pytest.raises(BadValue):
        values.signal_wish(text)


@pytest.mark.parametrize(
    ("text", "prefix", "gres"),
    [
        ("gpu:2", "", (Gres("gpu", None, 2),)),
        ("gpu:a100:4", "", (Gres("gpu", "a100", 4),)),
        ("gpu:a100", "", (Gres("gpu", "a100", 1),)),
        ("gpu,tmpdisk:10G", "", (Gres("gpu"), Gres("tmpdisk", None, 10 * 1024**3))),
        ("gres/gpu:1k", "", (Gres("gpu", None, 1024),)),
        ("gpu::2", "", (Gres("gpu", None, 2),)),
        ("none", "", ()),
        ("", "", ()),
        ("4", "gpu", (Gres("gpu", None, 4),)),
        ("h100:4", "gpu", (Gres("gpu", "h100", 4),)),
        ("many", "gpu", (Gres("gpu", "many", 1),)),
        ("0", "gpu", (Gres("gpu", None, 0),)),
    ],
)
def test_generic_resources(text, prefix, gres):
    assert values.gres_list(text, prefix) == gres


@pytest.mark.parametrize("text", ["gpu:", "gpu:a:b:c"])
def test_a_resource_that_cannot_be_read(text):
    with pytest.raises(BadValue) as bad:
        values.gres_list(text)
    assert (bad.value.lines("gres"), bad.value.exit_code) == (["Invalid Trackable RESource (TRES) specification"], 1)


@pytest.mark.parametrize(("text", "number"), [("", 100), ("5", 5), ("-5", -5), ("x", 0), ("5x", 5), ("+7", 7)])
def test_nice(text, number):
    assert values.nice(text) == number


def test_a_nice_value_out_of_range():
    with pytest.raises(BadValue) as bad:
        values.nice("2147483646")
    assert bad.value.lines("nice") == ["Invalid --nice value, out of range (+/- 2147483645)"]


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("begin,fail", ("BEGIN", "FAIL")),
        ("END,NOPE", ("END",)),
        ("ALL", ("INVALID_DEPEND", "BEGIN", "END", "FAIL", "REQUEUE", "STAGE_OUT")),
        ("END,NONE", ()),
        ("ARRAY_TASKS,END", ("ARRAY_TASKS", "END")),
    ],
)
def test_mail_types(text, kinds):
    assert choices.mail_types(text) == kinds


TEXTS = st.text(max_size=40) | st.from_regex(r"[-+0-9:.,@BRkKMGT ]{0,20}", fullmatch=True)
READERS = [
    *(values.time_limit, values.memory, values.node_count, values.count, values.whole_number, values.signal_wish),
    *(values.gres_list, values.nice, values.priority, values.signal_number, choices.exclusive, choices.append),
    *(choices.no_kill, choices.mail_types, choices.distribution, choices.hint, choices.propagate, choices.profile),
    *(choices.acctg_freq, choices.cpu_freq, choices.gpu_freq, choices.gpu_bind, choices.mem_bind),
    *(choices.gres_flags, choices.zero_one, choices.yes_no),
]


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.__name__)
@given(text=TEXTS)
def test_a_reader_answers_or_refuses_and_never_fails_otherwise(reader, text):
    with contextlib.suppress(BadValue):
        reader(text)


@given(st.integers(1, 400), st.integers(0, 23), st.integers(0, 59), st.integers(0, 59))
def test_a_full_time_limit_is_its_seconds_in_whole_minutes(days, hours, minutes, seconds):
    exact = ((days * 24 + hours) * 60 + minutes) * 60 + seconds
    assert values.time_limit(f"{days}-{hours}:{minutes}:{seconds}") == -(-exact // 60) * 60
