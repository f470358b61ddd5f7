"""The lab over three of Ray's nodes on this machine: a head and two lab hosts, each with a device of its own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from device_runner.results.opening import open_store
from device_runner.results.store import Store
from tests.bench_hosts import swift
from tests.device_runner import tiny
from tests.device_runner.lab.hosts import Cluster, cluster, listeners, until

BRIEF = {"mode": "quick", "launches": 2, "warmup_count": 1, "warmup_ms": 0, "min_count": 5, "min_ms": 5}


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[swift.Swift]:
    with swift.running(tmp_path_factory.mktemp("swift")) as running:
        yield running


@pytest.fixture(scope="module")
def many(bucket: swift.Swift, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with cluster(tmp_path_factory.mktemp("hosts"), ["lab1", "lab2"], bucket.environment) as made:
        yield made


def written(root: Path, *entries: dict[str, Any], **more: Any) -> Path:
    """A plan, as JSON, which is YAML, and an artifact that it can name."""
    tiny.write_bundle(root / "one")
    file = root / "plan.yaml"
    file.write_text(json.dumps({"name": root.name, "experiments": list(entries), "out": str(root / "runs"), **more}))
    return file


def status(many: Cluster, host: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(many.hosts[host].call("status", "--cluster", many.address, "--json"))
    return document


def check_nothing_lost_or_doubled(store: Store, jobs: list[dict[str, Any]]) -> None:
    assert [job["state"] for job in jobs] == ["done"] * len(jobs), jobs
    assert sorted(run for job in jobs for run in job["runs"]) == store.ids()
    for run in store.ids():
        record = store.read(run)
        assert record.valid
        positions = [launch.position for launch in record.launches if launch.valid]
        assert len(positions) == len(set(positions)) == 2


def test_a_plan_is_worked_through_on_all_hosts_and_lands_in_one_store(many: Cluster, tmp_path: Path) -> None:
    entries = {"artifacts": ["one"], "devices": ["local@*"]}, {"artifacts": ["one"], "devices": ["label:lab2"], "repeats": 2}
    plan = written(tmp_path, *entries, plan=BRIEF)
    document = json.loads(many.hosts["lab2"].output_of("run", plan, "--cluster", many.address, "--json"))
    # the first of the repeats is what lab2 is asked for anyway
    assert sorted(job["device"] for job in document["jobs"]) == ["local@lab1", "local@lab2", "local@lab2"]
    check_nothing_lost_or_doubled(Store(tmp_path / "runs"), document["jobs"])
    names = {Store(tmp_path / "runs").read(run).devices[0].name for job in document["jobs"] for run in job["runs"]}
    assert names == {"local"}
    # asked for again, from another host, it costs nothing
    again = json.loads(many.hosts["lab1"].output_of("run", plan, "--cluster", many.address, "--json"))
    assert [job["runs"] for job in again["jobs"]] == [job["runs"] for job in document["jobs"]]


def test_the_store_may_be_a_bucket(many: Cluster, bucket: swift.Swift, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"s3://{swift.BUCKET}/cluster"
    plan = written(tmp_path, {"artifacts": ["one"], "devices": ["local@*"]}, plan=BRIEF, out=url)
    document = json.loads(many.hosts["lab1"].output_of("run", plan, "--cluster", many.address, "--json"))
    assert sorted(job["device"] for job in document["jobs"]) == ["local@lab1", "local@lab2"]
    for name, value in bucket.environment.items():
        monkeypatch.setenv(name, value)
    check_nothing_lost_or_doubled(open_store(url), document["jobs"])


def test_a_node_that_is_killed_joins_again_and_nothing_is_lost_or_doubled(many: Cluster, tmp_path: Path) -> None:
    plan = written(tmp_path, {"artifacts": ["one"], "devices": ["local@lab1", "local@lab2"]}, plan=BRIEF | {"min_ms": 1500})
    lab1, store = many.hosts["lab1"], Store(tmp_path / "runs")
    # Ctrl-C ends the command, and not the work
    lab1.start_aside("run", plan, "--cluster", many.address)
    until(lambda: len(list(store.root.glob("*/run.partial.json"))) == 2, many.said)
    assert lab1.stop_aside() == 130
    many.hosts["lab2"].kill_node()
    until(lambda: "host lab2 is gone" in many.head.said(), many.said)
    states = {device["name"]: device["state"] for device in status(many, "lab1")["devices"]}
    assert states["local@lab2"] in ("dead", "running", "free")
    document = json.loads(lab1.output_of("run", plan, "--cluster", many.address, "--json"))
    check_nothing_lost_or_doubled(store, document["jobs"])
    assert "host lab1 is gone" not in many.head.said()


def test_what_is_of_another_version_or_has_another_token_is_refused(many: Cluster) -> None:
    lab1 = many.hosts["lab1"]
    said = lab1.call(
        "status", "--cluster", many.address, code=2, before="import edgedeploy; edgedeploy.__version__ = '0.0.7'; "
    )
    assert "this host has edgedeploy 0.0.7, the head has" in said
    token = lab1.root / "state/cluster/host/token"
    kept = token.read_text()
    try:
        token.write_text("ab" * 32)
        said = lab1.call("status", "--cluster", many.address, code=2)
    finally:
        token.write_text(kept)
    assert "does not take this host's token" in said


def test_all_ports_are_on_the_loopback(many: Cluster) -> None:
    ours = {pid for machine in (many.head, *many.hosts.values()) for pid in machine.processes()}
    listening = [address for pid, address in listeners() if pid in ours]
    assert len(listening) >= 7
    assert set(listening) == {"127.0.0.1"}


def test_ctrl_c_ends_a_host_and_the_head_with_everything_that_they_started(many: Cluster) -> None:
    for machine in (many.hosts["lab2"], many.head):
        assert machine.processes()
        assert machine.stop() == 130, machine.said()
        until(lambda machine=machine: not machine.processes(), machine.said, 30)
    assert "the same command goes on" in many.head.said()
