"""What the machine and our control group give us, read from made-up /proc and /sys."""

import os

import pytest

from podium.fleet.host.machine import OomKills, available_memory, cpu_limit, oom_kills, resident_bytes, started_at
from podium.fleet.workers.causes import cause_of_death, signal_name

GIB = 1 << 30


@pytest.fixture
def root(tmp_path):
    """A root folder; call it with path to text."""

    def filled(files: dict[str, str]):
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return tmp_path

    return filled


def test_without_a_control_group_the_machine_counts(root):
    """MemAvailable, in bytes."""
    assert available_memory(root({"proc/meminfo": "MemTotal: 99 kB\nMemAvailable:    2048 kB\n"})) == 2048 * 1024


def test_the_limit_of_a_v2_group_counts_without_its_idle_cache(root):
    """Limit less what is used, and what is used for files that nobody looked at lately is to be had."""
    files = {
        "proc/meminfo": f"MemAvailable: {8 * GIB // 1024} kB\n",
        "proc/self/cgroup": "0::/pod/mine\n",
        "sys/fs/cgroup/pod/mine/memory.max": f"{2 * GIB}\n",
        "sys/fs/cgroup/pod/mine/memory.current": f"{GIB}\n",
        "sys/fs/cgroup/pod/mine/memory.stat": f"anon 5\ninactive_file {GIB // 4}\n",
    }

    assert available_memory(root(files)) == GIB + GIB // 4


def test_a_parents_limit_counts_too(root):
    """A pod's limit above an unlimited container."""
    files = {
        "proc/self/cgroup": "0::/pod/mine\n",
        "sys/fs/cgroup/pod/mine/memory.max": "max\n",
        "sys/fs/cgroup/pod/mine/memory.current": "1\n",
        "sys/fs/cgroup/pod/memory.max": f"{GIB}\n",
        "sys/fs/cgroup/pod/memory.current": "0\n",
    }

    assert available_memory(root(files)) == GIB


def test_the_limit_of_a_v1_group_counts(root):
    """Where the path is the host's and only our part is mounted, the mount is ours."""
    files = {
        "proc/self/cgroup": "5:cpu,cpuacct:/docker/abc\n4:memory:/docker/abc\n",
        "sys/fs/cgroup/memory/memory.limit_in_bytes": f"{GIB}\n",
        "sys/fs/cgroup/memory/memory.usage_in_bytes": f"{GIB // 2}\n",
        "sys/fs/cgroup/memory/memory.stat": "total_inactive_file 1024\n",
    }

    assert available_memory(root(files)) == GIB // 2 + 1024


def test_a_v1_group_without_a_limit_says_a_huge_number(root):
    """Which is none."""
    files = {
        "proc/meminfo": "MemAvailable: 4 kB\n",
        "proc/self/cgroup": "4:memory:/\n",
        "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
        "sys/fs/cgroup/memory/memory.usage_in_bytes": "5\n",
    }

    assert available_memory(root(files)) == 4096


@pytest.mark.parametrize(
    "files",
    [
        {"proc/self/cgroup": "0::/mine\n", "sys/fs/cgroup/mine/cpu.max": "50000 100000\n"},
        {
            "proc/self/cgroup": "3:cpu,cpuacct:/\n",
            "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "50000\n",
            "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
        },
    ],
    ids=["v2", "v1"],
)
def test_a_processor_limit_counts(root, files):
    """Half a processor."""
    assert cpu_limit(root(files)) == 0.5


def test_without_a_processor_limit_the_affinity_counts(root):
    """`max` and -1 are no limits."""
    files = {
        "proc/self/cgroup": "0::/mine\n3:cpu:/\n",
        "sys/fs/cgroup/mine/cpu.max": "max 100000\n",
        "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
        "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
    }

    assert cpu_limit(root(files)) == len(os.sched_getaffinity(0))


def test_out_of_memory_kills_are_read_from_both_versions(root):
    """memory.events of v2, memory.oom_control of v1, and the machine's own count."""
    files = {
        "proc/vmstat": "foo 1\noom_kill 7\n",
        "proc/self/cgroup": "0::/mine\n4:memory:/\n",
        "sys/fs/cgroup/mine/memory.events": "low 0\noom 9\noom_kill 3\n",
        "sys/fs/cgroup/memory/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n",
    }

    assert oom_kills(root(files)) == OomKills(group=3, machine=7)


def test_an_empty_root_answers_all_the_same(root):
    """No /proc at all, as in some sandboxes: no limit is known, nothing raises."""
    assert available_memory(root({})) == 1 << 60
    assert oom_kills(root({})) == OomKills(0, 0)
    assert resident_bytes(1, root({})) == 0
    assert started_at(1, root({})) is None


def test_our_own_process_is_seen():
    """Resident memory and start time of whoever runs this."""
    assert resident_bytes(os.getpid()) > 1 << 20
    assert started_at(os.getpid()) == started_at(os.getpid()) is not None


def test_a_name_with_brackets_does_not_confuse_the_start_time(root):
    """The command's name is free text."""
    fields = " ".join(str(number) for number in range(3, 30))

    assert started_at(5, root({"proc/5/stat": f"5 (evil) name 1 2) {fields}\n"})) == 22


QUIET = OomKills(0, 0)


@pytest.mark.parametrize(
    ("status", "after", "name", "words"),
    [
        (-9, OomKills(1, 1), "out_of_memory", "control group's memory limit"),
        (-9, OomKills(0, 1), "out_of_memory", "the machine had no memory left"),
        (-9, QUIET, "killed", "SIGKILL"),
        (-11, OomKills(1, 1), "signal", "SIGSEGV"),
        (-7, QUIET, "signal", "SIGBUS"),
        (3, QUIET, "exit", "status 3"),
        (0, QUIET, "exit", "status 0"),
    ],
)
def test_a_death_has_a_cause(status, after, name, words):
    """SIGKILL while the kernel's counter grew is out of memory; other signals keep their names."""
    cause = cause_of_death(status, QUIET, after, "/logs/worker-7.log")

    assert cause.name == name
    assert words in cause.message
    assert cause.message.endswith("See /logs/worker-7.log.")


def test_a_signal_without_a_name_has_its_number():
    """Real-time signals."""
    assert signal_name(40) == "signal 40"
