import struct
from pathlib import Path

import numpy as np
import pytest

from device_runner import samples
from edgedeploy.errors import InternalError


def write(path: Path, warmup: list[tuple[int, int]], steady: list[tuple[int, int]], capacity: int = 8) -> bytes:
    data = b"EDGS" + struct.pack("<IQQQ", 1, capacity, capacity, 0)
    for records in (warmup, steady):
        padded = records + [(0, 0)] * (capacity - len(records))
        data += b"".join(struct.pack("<qq", *record) for record in padded)
    path.write_bytes(data)
    return data


def test_regions_end_at_the_first_record_never_written(tmp_path: Path) -> None:
    write(tmp_path / "s", [(10, 1), (20, 2)], [(30, 3)])
    read = samples.read(tmp_path / "s")
    assert read.warmup.tolist() == [[10, 1], [20, 2]]
    assert read.steady.tolist() == [[30, 3]]


def test_full_and_empty_regions(tmp_path: Path) -> None:
    write(tmp_path / "s", [], [(index + 1, 5) for index in range(8)])
    read = samples.read(tmp_path / "s")
    assert len(read.warmup) == 0
    assert np.array_equal(read.steady[:, 0], np.arange(1, 9))


def test_a_file_cut_short_gives_what_is_in_it(tmp_path: Path) -> None:
    data = write(tmp_path / "s", [(index + 1, 1) for index in range(8)], [(100, 7), (200, 8)])
    for end in range(32, len(data), 5):
        (tmp_path / "cut").write_bytes(data[:end])
        read = samples.read(tmp_path / "cut")
        whole = (end - 32) // 16
        assert len(read.warmup) == min(8, whole)
        assert len(read.steady) == min(2, max(0, whole - 8))


@pytest.mark.parametrize("data", [b"", b"EDGS", b"X" * 64, b"EDGS" + struct.pack("<IQQQ", 2, 1, 1, 0)])
def test_another_file_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "s").write_bytes(data)
    with pytest.raises(InternalError):
        samples.read(tmp_path / "s")


def test_a_file_whose_runner_ended_before_it_wrote_its_header_has_no_samples(tmp_path: Path) -> None:
    for size in (32, 4096):
        (tmp_path / "s").write_bytes(bytes(size))
        read = samples.read(tmp_path / "s")
        assert (len(read.warmup), len(read.steady)) == (0, 0)


def test_capacities_that_lie_read_nothing_beyond_the_file(tmp_path: Path) -> None:
    (tmp_path / "s").write_bytes(b"EDGS" + struct.pack("<IQQQ", 1, 2**63, 2**63, 0) + struct.pack("<qq", 5, 6))
    read = samples.read(tmp_path / "s")
    assert (read.warmup.tolist(), len(read.steady)) == ([[5, 6]], 0)
