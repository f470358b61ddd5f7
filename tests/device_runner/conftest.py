"""The real runner, a private cache for its device directory, and tiny artifacts to feed it."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from device_runner import bundles, inventory
from device_runner.benching import Finished, bench
from device_runner.results.store import Store
from device_runner.session import Session, open_session
from edgedeploy.progress import StatusLine
from edgedeploy.record import Limits, Plan
from tests.device_runner import tiny
from tests.device_runner.native.conftest import models  # noqa: F401 - tiny models of each runtime

#: enough for a median, little enough for a suite
BRIEF = Plan(
    launches=3,
    warmup=Limits(min_count=2, min_ms=0, max_count=1000),
    steady=Limits(min_count=30, min_ms=5, max_count=10_000),
    max_seconds=30,
    max_memory_mb=2048,
)


@pytest.fixture(scope="session")
def runner() -> Path:
    """The built runner of this host: made once, kept in the cache as a user's is."""
    return bundles.build(bundles.host_abi()).root


@pytest.fixture(scope="session")
def cache(runner: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache of the tests' own that has the runner in it."""
    root = tmp_path_factory.mktemp("cache")
    (root / "runner").mkdir()
    (root / "runner" / runner.name).symlink_to(runner)
    return root


@pytest.fixture(autouse=True, scope="session")
def _own_cache(cache: Path) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGEDEPLOY_CACHE", str(cache))
        yield


@pytest.fixture
def session() -> Iterator[Session]:
    with open_session(inventory.resolve("local")) as opened:
        yield opened


@pytest.fixture(scope="session")
def fast(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle: identity, one layer."""
    return tiny.write_bundle(tmp_path_factory.mktemp("bundles") / "identity")


@pytest.fixture(scope="session")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle that says it is the int8 of `fast`, and is many times slower."""
    destination = tmp_path_factory.mktemp("bundles") / "sptq"
    kind = "[bold]product[/bold] \x1b[31mof two"
    return tiny.write_bundle(destination, operator="sptq", precision="int8-static", layers=40, left_float=kind)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "runs")


@pytest.fixture(scope="session")
def pair(fast: Path, slow: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Finished, Store]:
    """`fast` and `slow` in one experiment, for tests that only read what came of it."""
    store = Store(tmp_path_factory.mktemp("pair") / "runs")
    return bench([fast, slow], "local", BRIEF, store, 0, {}, StatusLine(io.StringIO()), lambda identifier: None), store


Bench = Callable[..., Finished]


@pytest.fixture
def run_bench(store: Store) -> Bench:
    """`bench` with brief defaults: `run_bench(path, path, how=...)`."""

    def run(*paths: Path, how: Plan = BRIEF, seed: int = 0, shapes: dict[str, tuple[int, ...]] | None = None) -> Finished:
        return bench(paths, "local", how, store, seed, shapes or {}, StatusLine(io.StringIO()), lambda identifier: None)

    return run
