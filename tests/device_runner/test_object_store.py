"""A store in a bucket of a real object store (Swift, by its S3 API): what a store in a directory keeps, this one keeps."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from device_runner.results import compaction, index, pruning, pushing, shared_packs
from device_runner.results.object_store import ObjectStore
from device_runner.results.opening import open_store
from device_runner.results.store import RUN, Store
from edgedeploy.errors import TransientError, UserError
from tests.bench_hosts import swift
from tests.bench_hosts.fault_proxy import FaultProxy
from tests.device_runner.recorded import FIRST, SECOND, STEADY, Invoke, invoked, record
from tests.device_runner.test_compaction import answer, write
from tests.device_runner.test_prune import experiment

ROOT = Path(__file__).resolve().parents[2]
QUICK = ("--quick", "--min-ms", "20", "--warmup-ms", "1")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[swift.Swift]:
    with swift.running(tmp_path_factory.mktemp("swift")) as running:
        yield running


@pytest.fixture
def url(server: swift.Swift, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A folder of its own for each test, seen from a host of its own."""
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    on_host(tmp_path / "here", monkeypatch)
    return f"s3://{swift.BUCKET}/{tmp_path.name.replace('[', '-').replace(']', '-')}"


def on_host(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on as another host, which has nothing of what the others keep."""
    monkeypatch.setenv("EDGEDEPLOY_STATE", str(directory / "state"))
    if (cache := Path(os.environ["EDGEDEPLOY_CACHE"])).joinpath("runner").exists():
        (directory / "cache").mkdir(parents=True, exist_ok=True)
        if not (directory / "cache/runner").exists():
            (directory / "cache/runner").symlink_to((cache / "runner").resolve())
    monkeypatch.setenv("EDGEDEPLOY_CACHE", str(directory / "cache"))


@pytest.fixture
def invoke(capsys: pytest.CaptureFixture[str]) -> Invoke:
    return invoked(capsys)


def bucket_store(url: str) -> ObjectStore:
    store = open_store(url)
    assert isinstance(store, ObjectStore)
    return store


def test_bench_writes_it_and_every_command_reads_it(
    url: str, fast: Path, slow: Path, tmp_path: Path, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = invoke("bench", str(fast), str(slow), *QUICK, "--launches", "5", "--out", url, "--json")
    assert done.returncode == 0, done.stderr
    first, second = json.loads(done.stdout)["runs"]
    assert first["path"] == f"{url}/runs/{first['id']}.json"
    assert bucket_store(url).pending() == []
    on_host(tmp_path / "there", monkeypatch)
    listed = json.loads(invoke("results", "list", "--out", url, "--json").stdout)["runs"]
    assert [each["id"] for each in listed] == [first["id"], second["id"]]
    experiment = first["experiment"]
    assert experiment in invoke("results", "show", experiment, "--out", url, "--json").stdout
    assert invoke("results", "path", first["id"], "--out", url).stdout.strip() == first["path"]
    samples = invoke("results", "samples", first["id"], "--out", url).stdout.splitlines()
    counted = invoke("results", "query", "SELECT count(*) FROM samples GROUP BY run ORDER BY run", "--out", url).stdout
    assert int(counted.split()[1]) == len(samples) - 1 > 100
    compared = json.loads(invoke("compare", experiment, "--out", url, "--json").stdout)
    assert compared["verdict"] == "slower"
    recommended = json.loads(invoke("recommend", "--out", url, "--json").stdout)
    assert recommended["choice"]["run"] == first["id"]
    page = tmp_path / "report.html"
    assert invoke("report", "--runs", url, "--out", str(page)).returncode == 0
    assert first["digest"] in page.read_text()
    assert "no samples in this store" not in page.read_text()
    exported = tmp_path / "all.parquet"
    assert invoke("results", "export", experiment, "--format", "parquet", "--to", str(exported), "--out", url).returncode == 0
    # everything that a directory has is there, and its logs
    kept = bucket_store(url).bucket
    assert bucket_store(url).is_finished(first["id"])
    assert [name for name, _, _ in kept.list("experiments")] == [f"{experiment}.json"]


def test_an_experiment_is_gone_on_with_here_and_its_unfinished_run_is_no_run(
    url: str, fast: Path, invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "edgedeploy", "bench", str(fast), *QUICK, "--launches", "8", "--out", url]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as running:
        assert running.stderr is not None
        said = ""
        while "[2/8]" not in said and running.poll() is None:
            said += running.stderr.readline()
        running.send_signal(signal.SIGINT)
        said += running.stderr.read()
    (again,) = re.findall(r"bench --resume (\S+) --out", said)
    assert json.loads(invoke("results", "list", "--out", url, "--json").stdout)["runs"] == []
    assert f"bench --resume {again}" in invoke("results", "show", f"{again}.00", "--out", url).stderr
    done = invoke("bench", "--resume", again, "--out", url, "--json")
    assert json.loads(done.stdout)["runs"][0]["valid"], done.stderr
    on_host(tmp_path / "there", monkeypatch)
    # finished: another host only reads it
    assert json.loads(invoke("bench", "--resume", again, "--out", url, "--json").stdout)["runs"][0]["id"] == f"{again}.00"


def test_hosts_that_write_side_by_side_lose_nothing(url: str, tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "from device_runner.results.opening import open_store\n"
        "from device_runner.results import index\n"
        "from tests.device_runner.test_compaction import write\n"
        "store = open_store(sys.argv[1])\n"
        "for at in range(4):\n"
        "    write(store, f'20260201-000000-aaaaaa.{sys.argv[2]}{at}', 3)\n"
        "    assert not index.entries(store)[1]\n"
    )
    at_once = []
    for number in range(3):
        host = {"EDGEDEPLOY_STATE": str(tmp_path / f"{number}/state"), "EDGEDEPLOY_CACHE": str(tmp_path / f"{number}/cache")}
        environment = {**os.environ, **host, "PYTHONPATH": str(ROOT)}
        at_once.append(subprocess.Popen([sys.executable, "-c", program, url, str(number)], env=environment))
    assert [process.wait(300) for process in at_once] == [0, 0, 0]
    store = bucket_store(url)
    expected = [f"20260201-000000-aaaaaa.{number}{at}" for number in range(3) for at in range(4)]
    assert [entry.id for entry in index.entries(store)[0]] == expected
    assert answer(store) == dict.fromkeys(expected, 3)


def test_a_kill_in_the_middle_of_uploading_loses_no_finished_run(url: str) -> None:
    """SIGKILL at whatever moment it falls: what is listed is whole, and what was finished is there after a push."""
    program = (
        "import sys\n"
        "from device_runner.results.opening import open_store\n"
        "from tests.device_runner.test_compaction import write\n"
        "store = open_store(sys.argv[1])\n"
        "for at in range(10_000):\n"
        "    write(store, f'20260202-000000-bbbbbb.{at:04d}', at + 1); print(at, flush=True)\n"
    )
    written = 0
    writer = subprocess.Popen(
        [sys.executable, "-c", program, url], stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    assert writer.stdout is not None
    for _ in range(3):
        assert writer.stdout.readline()
    time.sleep(0.1)
    writer.kill()
    written = 3 + len(writer.stdout.read().split())
    writer.wait()
    store = bucket_store(url)
    listed = store.ids()
    assert len(listed) >= written
    finished_here = Store(store.root).ids()
    assert set(pushing.push(url, None).uploaded) == set(finished_here)
    store = bucket_store(url)
    assert set(store.ids()) == set(listed) | set(finished_here)
    assert store.pending() == []
    for run in store.ids():
        assert store.read(run).id == run
        assert [sample[5] for sample in store.samples(run)] == [int(run[-4:]) + 1]


def test_a_network_that_goes_away_keeps_the_run_here_until_it_is_back(
    url: str, server: swift.Swift, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = FaultProxy(server.port)
    try:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{proxy.port}")
        monkeypatch.setattr("device_runner.results.bucket._PATIENCE_SEC", 1)
        store = bucket_store(url)
        write(store, f"{FIRST}.00", 1)
        assert store.ids() == [f"{FIRST}.00"]
        # within what is uploaded, whichever request it is in
        proxy.plan("cut", 300, times=10_000)
        proxy.refuse()
        proxy.cut()
        with pytest.raises(TransientError):
            write(store, f"{FIRST}.01", 2)
        proxy.refuse(False)
        proxy.plan("cut", 10**12)
        store = bucket_store(url)
        if not (store.directory(f"{FIRST}.01") / RUN).is_file():
            # it was not even begun: whether it is there could not be asked
            write(store, f"{FIRST}.01", 2)
        pushing.push(url, None)
        assert answer(bucket_store(url)) == {f"{FIRST}.00": 1, f"{FIRST}.01": 2}
        assert bucket_store(url).pending() == []
    finally:
        proxy.close()


def test_a_run_that_could_not_be_uploaded_says_how_and_the_next_look_uploads_it(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = bucket_store(url)
    with monkeypatch.context() as away:
        away.setattr(ObjectStore, "upload", _away)
        with pytest.raises(TransientError, match="results push --out s3://"):
            write(store, f"{FIRST}.00", 1)
    with pytest.raises(UserError, match=f"results push --out {url}"):
        store.read(f"{FIRST}.00")
    assert store.is_finished(f"{FIRST}.00")
    assert store.ids() == [f"{FIRST}.00"]


def _away(self: ObjectStore, run: str, directory: Path) -> bool:
    raise TransientError("the network is away")


def test_no_host_replaces_what_another_has_finished(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = f"{FIRST}.00"
    write(bucket_store(url), run, 1)
    with pytest.raises(UserError, match="never written again"):
        write(bucket_store(url), run, 2)
    # one that did not see it, as it was measured before
    on_host(tmp_path / "there", monkeypatch)
    other = bucket_store(url)
    write(Store(other.root), run, 2)
    with pytest.raises(UserError, match="another host"):
        other.publish(run)
    assert (other.directory(run) / RUN).is_file()
    assert answer(bucket_store(url)) == {run: 1}


def test_samples_begun_by_another_host_are_not_mixed_with_ours(url: str) -> None:
    run, store = f"{FIRST}.00", bucket_store(url)
    store.bucket.put(f"samples/{run}.parquet", b"of another host that was killed")
    with pytest.raises(UserError, match="another host"):
        write(store, run, 1)
    assert store.ids() == []


def test_a_directory_can_be_uploaded_and_again(url: str, tmp_path: Path, invoke: Invoke) -> None:
    local = Store(tmp_path / "runs")
    runs = [f"{FIRST}.00", f"{FIRST}.01", f"{SECOND}.00"]
    for at, run in enumerate(runs):
        write(local, run, at)
    local.write_experiment(FIRST, {"artifacts": [{"run": run} for run in runs[:2]]})
    (local.directory(runs[0]) / "log/0000.stderr").write_text("said")
    first = invoke("results", "push", "--from", str(local.root), "--out", url, "--json")
    assert json.loads(first.stdout) == {"uploaded": runs, "there_already": []}
    again = invoke("results", "push", "--from", str(local.root), "--out", url)
    assert again.stdout == "0 run(s) uploaded, 3 there already\n"
    store = bucket_store(url)
    assert store.runs_of(FIRST) == runs[:2]
    assert local.ids() == runs
    assert store.bucket.get(f"logs/{runs[0]}/0000.stderr", 100) == b"said"


def test_an_index_of_many_is_shared_between_hosts(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index, "SHARED_FROM", 2)
    for at in range(4):
        write(bucket_store(url), f"{FIRST}.{at:02d}", at)
    expected = index.entries(bucket_store(url))
    on_host(tmp_path / "there", monkeypatch)
    read: list[str] = []
    plain = ObjectStore.read
    monkeypatch.setattr(ObjectStore, "read", lambda self, run: read.append(run) or plain(self, run))
    assert index.entries(bucket_store(url)) == expected
    assert read == []
    # derived: damaged, it is done without
    bucket_store(url).bucket.put("index.json.z", b"damaged")
    on_host(tmp_path / "elsewhere", monkeypatch)
    assert index.entries(bucket_store(url)) == expected
    assert len(read) == 4


def test_who_pushes_many_gives_their_index_too(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index, "SHARED_FROM", 2)
    local = Store(tmp_path / "runs")
    for at in range(4):
        write(local, f"{FIRST}.{at:02d}", at)
    write(bucket_store(url), f"{SECOND}.00", 7)
    pushing.push(url, str(local.root))
    read: list[str] = []
    plain = ObjectStore.read
    monkeypatch.setattr(ObjectStore, "read", lambda self, run: read.append(run) or plain(self, run))
    listed = index.entries(bucket_store(url))[0]
    assert listed[:4] == index.entries(local)[0]
    assert read == [f"{SECOND}.00"]


def test_a_record_that_is_none_is_named(url: str) -> None:
    write(bucket_store(url), f"{FIRST}.00", 1)
    store = bucket_store(url)
    store.bucket.put(f"runs/{FIRST}.01.json", b"{")
    store.bucket.put("runs/..json", b"{}")
    found, broken = index.entries(store)
    assert [entry.id for entry in found] == [f"{FIRST}.00"]
    assert len(broken) == 1
    assert f"{url}/runs/{FIRST}.01.json: not readable" in broken[0]


@pytest.mark.parametrize(
    "bad", ["s3://", "s3://x", "s3://lab//a", "s3://lab/../x", "s3://lab/a?b", "s3://LAB/a", "gs://lab/a", "https://lab/a"]
)
def test_an_url_that_is_none_is_said(bad: str, invoke: Invoke) -> None:
    done = invoke("results", "list", "--out", bad)
    assert done.returncode == 2
    assert "s3://BUCKET/FOLDER" in done.stderr


def test_what_is_wrong_with_the_way_there_is_a_sentence(url: str, invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    done = invoke("results", "list", "--out", "s3://no-such-bucket/x")
    assert (done.returncode, "no such bucket" in done.stderr) == (2, True), done.stderr
    with monkeypatch.context() as wrong:
        wrong.setenv("AWS_SECRET_ACCESS_KEY", "guessed")
        done = invoke("results", "list", "--out", url)
        assert (done.returncode, "access denied" in done.stderr) == (2, True), done.stderr
    with monkeypatch.context() as plain:
        plain.setenv("AWS_ENDPOINT_URL", "http://192.0.2.1")
        plain.delenv("AWS_ALLOW_HTTP")
        done = invoke("results", "list", "--out", url)
        assert (done.returncode, "not encrypted" in done.stderr) == (2, True), done.stderr


def test_who_measures_finds_out_first_that_the_bucket_is_not_there(fast: Path, url: str, invoke: Invoke) -> None:
    del url
    done = invoke("bench", str(fast), *QUICK, "--out", "s3://no-such-bucket/x")
    assert done.returncode == 2
    assert "no such bucket" in done.stderr
    assert "[1/" not in done.stderr


def test_what_is_fetched_can_be_thrown_away(url: str) -> None:
    store = bucket_store(url)
    for at in range(3):
        write(store, f"{FIRST}.{at:02d}", at)
    before = answer(store), index.entries(store)
    shutil.rmtree(store.beside)
    store = bucket_store(url)
    assert (answer(store), index.entries(store)) == before
    assert record(f"{FIRST}.00", STEADY).id == store.ids()[0]


def test_samples_that_one_host_packed_another_fetches_as_one(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compaction, "MIN_LOOSE", 3)
    monkeypatch.setattr(shared_packs, "_MIN_GAIN", 3)
    local = Store(tmp_path / "runs")
    runs = [f"{FIRST}.{at:02d}" for at in range(6)]
    for at, run in enumerate(runs):
        write(local, run, 1, 10**at)
    pushing.push(url, str(local.root))
    expected = {run: 1 + 10**at for at, run in enumerate(runs)}
    assert answer(bucket_store(url)) == expected
    on_host(tmp_path / "there", monkeypatch)
    store = bucket_store(url)
    assert answer(store) == expected
    assert not list((store.beside / "fetched").glob("*.parquet"))
    # what is not as it was when it was packed comes from itself, and what was pruned is gone
    write(Store(tmp_path / "other"), runs[0], 5)
    store.bucket.put(f"samples/{runs[0]}.parquet", Store(tmp_path / "other").directory(runs[0]) / "samples.parquet")
    assert answer(bucket_store(url)) == {**expected, runs[0]: 5}
    # a pack that was cut short is no pack, and of damaged ones the runs themselves are read
    (name,) = store.shared_packs()
    store.bucket.put(f"packs/{name}.parquet", b"PAR1")
    on_host(tmp_path / "third", monkeypatch)
    assert answer(bucket_store(url)) == {**expected, runs[0]: 5}
    store.bucket.put(f"packs/{name}.json", b"[[[")
    on_host(tmp_path / "fourth", monkeypatch)
    assert answer(bucket_store(url)) == {**expected, runs[0]: 5}
    for run in runs[:4]:
        store.take_away(run)
        store.discard(run)
    shared_packs.forget(store)
    assert store.shared_packs() == [name]


def test_a_bucket_is_pruned_of_what_nothing_names(url: str, tmp_path: Path, invoke: Invoke) -> None:
    """Also where an earlier prune was cut off at each of its steps; and nothing of a run is left."""
    local = Store(tmp_path / "runs")
    for name in ("a", "b", "c", "d", "e"):
        experiment(local, name, 100, unfinished=name == "e")
    assert invoke("results", "push", "--from", str(local), "--out", url).returncode == 0
    store = bucket_store(url)
    store.bucket.put("logs/a.00/0000.stderr", b"said")
    assert store.sizes()["a.00"] > store.sizes()["a.01"]
    assert invoke("report", "b", "--runs", url, "--out", str(tmp_path / "r.html")).returncode == 0
    # cut off: with a run that is named, with one that is not, and when there was no way back
    store.take_away("b.00")
    store.take_away("c.00")
    store.take_away("d.00")
    store.take_away("d.01")
    store.remove_experiment("d")
    pruning.finish(store)
    assert store.ids() == [f"{name}.{at:02d}" for name in "abce" for at in range(2)]
    done = invoke("results", "prune", "--older-than", "90d", "--yes", "--out", url, "--json")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["removed"] == ["a.00", "a.01", "c.00", "c.01"]
    assert [[each["experiment"] for each in said["stay"][why]] for why in ("named", "unfinished")] == [["b"], ["e"]]
    left = [f"{folder}/{name}" for folder in ("runs", "samples", "logs", "taken") for name, _, _ in store.bucket.list(folder)]
    kept = [f"{name}.{at:02d}" for name in "be" for at in range(2)]
    assert left == [f"runs/{run}.json" for run in kept] + [f"samples/{run}.parquet" for run in kept]
    assert not store.has_experiment("a")
    assert set(answer(store)) == set(kept)
    assert invoke("compare", "b", "--out", url).returncode == 0
