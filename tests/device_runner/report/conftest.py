"""One browser, and one page of a store that has everything in it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from edgedeploy.cli import main
from edgedeploy.record import RunRecord
from tests.device_runner.report import stores
from tests.device_runner.report.chromium import Page, chromium


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with chromium(tmp_path_factory.mktemp("chromium")) as page:
        yield page


@pytest.fixture(scope="session")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[RunRecord]]:
    """(the store, its runs); nothing in it is changed by a test."""
    root = tmp_path_factory.mktemp("drawn") / "runs"
    return root, stores.write(root)


def report(*arguments: str | Path) -> int:
    """`edgedeploy report` in this process; its exit code."""
    with pytest.raises(SystemExit) as ended:
        main(["report", *map(str, arguments)])
    return int(ended.value.code or 0)


@pytest.fixture(scope="session")
def html(drawn: tuple[Path, list[RunRecord]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of it, as the command writes it."""
    file = tmp_path_factory.mktemp("page") / "report.html"
    assert report("--runs", drawn[0], "--out", file) == 0
    return file
