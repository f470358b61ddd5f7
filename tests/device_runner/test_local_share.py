"""A share of this host: real control groups, and affinity where none can be made."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from device_runner import cgroups, inventory, transports
from device_runner.deadline import Deadline
from device_runner.session import open_session
from device_runner.transports.base import Target
from device_runner.transports.local_share import SharedTransport
from edgedeploy.errors import UserError

# what it was given, by the kernel's own accounts
_SPIN = "import time, os\nend = time.monotonic() + 0.6\nwhile time.monotonic() < end: pass\nprint(time.process_time())"
_TAKE = "data = bytearray(300 * 10**6)\nfor place in range(0, len(data), 4096): data[place] = 1\nprint(len(data))"


def soon() -> Deadline:
    return Deadline.after(30)


@contextlib.contextmanager
def share(**settings: str) -> Iterator[SharedTransport]:
    transport = transports.connect(Target("local", "", settings))
    assert isinstance(transport, SharedTransport)
    with contextlib.closing(transport):
        yield transport


def python(transport: SharedTransport, program: str) -> tuple[int, str]:
    done = transport.run([sys.executable, "-S", "-c", program], soon())
    return done.exit_code, done.text.strip()


def test_half_a_cpu_is_half_of_the_time() -> None:
    with share(cpus="0.5") as half, share(cpus="0.1") as tenth:
        assert half.facts == {"cpus": 0.5, "by": f"a control group, version {half.facts['by'][-1]}", "period_us": 10_000}
        spent = [float(python(transport, _SPIN)[1]) for transport in (half, tenth)]
    # the kernel lets none have more than its share; less, on a busy machine
    assert spent[0] <= 0.6 * 0.6
    assert spent[1] <= 0.2 * 0.6


def test_memory_beyond_the_share_is_refused_by_the_kernel() -> None:
    with share(memory_mb="100") as little, share(memory_mb="1000") as enough:
        assert python(little, _TAKE)[0] == 128 + 9
        assert python(enough, _TAKE) == (0, "300000000")


def test_what_a_program_starts_is_in_the_share_and_the_group_goes_when_it_is_empty() -> None:
    with share(cpus="1", memory_mb="500") as transport:
        assert transport._group is not None
        directories = transport._group.directories
        script = "sh -c 'cat /proc/self/cgroup'"
        listed = transport.run(["sh", "-c", script], soon()).text
        assert all(directory.name in listed for directory in directories)
        assert list(transport.stream(["echo", "two words"], soon())) == [b"two words"]
        assert transport.run(["no-such-program"], soon()).exit_code == 127
        assert transport.run(["sh", "-c", "exit 7"], soon()).exit_code == 7
    assert not any(directory.exists() for directory in directories)


def test_where_no_group_can_be_made_affinity_and_a_limit_stand_in_and_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(cpus: float | None, memory_mb: int | None) -> cgroups.Group:
        raise cgroups.NoGroup("/sys/fs/cgroup/cpu/x: Permission denied")

    monkeypatch.setattr(cgroups, "make", refused)
    with share(cpus="0.5", memory_mb="150") as transport:
        assert transport.facts["cpus"] == 1
        assert transport.facts["asked"] == {"cpus": 0.5, "memory_mb": 150}
        assert "affinity" in transport.facts["by"]
        assert "Permission denied" in transport.facts["by"]
        assert python(transport, "import os\nprint(len(os.sched_getaffinity(0)))") == (0, "1")
        code, said = python(transport, _TAKE)
        assert (code, said) == (1, "")


def test_groups_of_version_2_are_made_where_the_controllers_are(tmp_path: Path) -> None:
    # this kernel's version 2 has neither controller: its files, without a kernel behind them
    (tmp_path / "cgroup.controllers").write_text("cpuset cpu io memory pids")
    (tmp_path / "cgroup.subtree_control").write_text("")
    group = cgroups._version_2(tmp_path, "/user.slice/session.scope", ["cpu", "memory"], 0.5, 1500)
    (directory,) = group.directories
    assert directory.parent == tmp_path
    assert (tmp_path / "cgroup.subtree_control").read_text() == "+cpu +memory"
    assert (directory / "cpu.max").read_text() == "5000 10000"
    assert (directory / "memory.max").read_text() == "1500000000"
    (tmp_path / "cgroup.controllers").write_text("hugetlb")
    with pytest.raises(cgroups.NoGroup, match="no cpu and memory controllers"):
        cgroups._version_2(tmp_path, "/", ["cpu"], 0.5, None)


def test_groups_of_processes_that_are_gone_are_removed(tmp_path: Path) -> None:
    left, ours = tmp_path / "edgedeploy-4194999-0", tmp_path / f"edgedeploy-{os.getpid()}-999"
    left.mkdir()
    ours.mkdir()
    cgroups._child(tmp_path)
    assert (left.exists(), ours.exists()) == (False, True)


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"cpus": "half"}, "cpus 'half': give a number from 0.1 to 4096"),
        ({"cpus": "0"}, "give a number"),
        ({"cpus": "nan"}, "give a number"),
        ({"memory_mb": "1"}, "memory_mb '1': give a number from 16"),
        ({"cores": "1"}, "there is cpus, memory_mb, stands_for"),
        ({"stands_for": "a phone"}, "has cpus, memory_mb or both"),
    ],
)
def test_a_share_that_is_none_is_refused(settings: dict[str, str], why: str) -> None:
    with pytest.raises(UserError, match=why):
        transports.connect(Target("local", "", settings))


def test_the_runner_runs_in_a_share_of_an_inventory_and_the_facts_say_it(tmp_path: Path) -> None:
    file = tmp_path / "devices.yaml"
    file.write_text(
        "devices:\n  mobile: {transport: local, tier: mobile, settings: {cpus: 0.5, memory_mb: 1500, stands_for: a phone}}\n"
    )
    with open_session(inventory.resolve("mobile", file)) as session:
        assert session.facts["share"] == {
            "cpus": 0.5, "memory_mb": 1500, "by": session.facts["share"]["by"], "period_us": 10_000,
            "stands_for": "a phone",
        }  # fmt: skip
        assert "control group" in session.facts["share"]["by"]
