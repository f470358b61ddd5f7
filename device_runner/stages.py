"""The stages of a bundle: what each of them is fed, what it takes of earlier ones, and what is kept of it."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from device_runner.workload import Feed, Part, Product, Wire
from edgedeploy.bundle import BundleError
from edgedeploy.signature import TensorSpec

if TYPE_CHECKING:
    from edgedeploy.artifact import Port
    from edgedeploy.bundle import Bundle

Arrays = dict[str, npt.NDArray[Any]]


def parts(bundle: Bundle) -> tuple[Part, ...]:
    """Every stage, fed with the golden inputs. Raises BundleError where ports, signature and arrays do not fit together."""
    return _Reader(bundle).parts()


def cases(bundle: Bundle, array: npt.NDArray[Any], spec: TensorSpec) -> npt.NDArray[Any]:
    """[cases, elements] of a stored array [cases, ...], which must be of the signature's dtype and shape."""
    if array.dtype != np.dtype(spec.dtype) or array.ndim < 1 or not len(array) or array.shape[1:] != spec.shape[1:]:
        found = f"{array.dtype} {list(array.shape)}"
        raise BundleError(f"{bundle.path}: {spec.name!r} is stored as {found}, not as cases of {spec.dtype} {list(spec.shape)}")
    return np.ascontiguousarray(array).reshape(len(array), -1)


class _Reader:
    def __init__(self, bundle: Bundle) -> None:
        manifest = bundle.manifest
        self._bundle, self._stages = bundle, manifest.stages
        self._given = {spec.name: spec for spec in manifest.signature.inputs}
        self._wanted = {spec.name: spec for spec in manifest.signature.outputs}
        # as they travel, which is in the bundle's own words and not in the signature's
        self._crossing = {spec.name: spec for spec in manifest.cut_tensors}
        self._inputs, self._expected = bundle.arrays("golden/inputs"), bundle.arrays("golden/expected")
        #: tensor -> which stage gives it, which of its outputs it is, and what it is as it travels
        self._sent: dict[str, tuple[int, int, TensorSpec]] = {}

    def parts(self) -> tuple[Part, ...]:
        made = []
        for index, stage in enumerate(self._stages):
            inputs = tuple(self._input(port) for port in stage.inputs)
            taken_later = {port.source for later in self._stages[index + 1 :] for port in later.inputs}
            outputs = tuple(self._output(port, port.source in taken_later) for port in stage.outputs)
            for place, (port, product) in enumerate(zip(stage.outputs, outputs, strict=True)):
                if port.source in taken_later:
                    self._sent[port.source] = (index, place, product.tensor)
            # not the bundle's own name: it might be one that means something to the runner
            name = f"stage{index}{PurePosixPath(stage.file).suffix}" if index else f"model{PurePosixPath(stage.file).suffix}"
            made.append(Part(self._bundle.file(stage.file), stage.sha256, name, inputs, outputs))
        self._check_counts(made)
        return tuple(made)

    def _input(self, port: Port) -> Feed | Wire:
        if port.source in self._sent:
            stage, output, spec = self._sent[port.source]
            return Wire(spec.model_copy(update={"name": port.name}), stage, output, port.adapters)
        spec = self._spec(self._given, port)
        if port.source not in self._inputs:
            raise BundleError(f"{self._bundle.path}: golden/inputs has no {port.source!r}")
        data = cases(self._bundle, self._inputs[port.source], spec)
        return Feed(spec.model_copy(update={"name": port.name}), data, port.adapters, port.source, port.tensor)

    def _output(self, port: Port, taken: bool) -> Product:
        specs = {**self._wanted, **self._crossing} if taken else self._wanted
        spec = self._spec(specs, port)
        kept, array = port.source in self._wanted, self._expected.get(port.source)
        expected = cases(self._bundle, array, spec) if kept and array is not None else None
        return Product(spec.model_copy(update={"name": port.name}), port.adapters, expected, kept, port.source, port.tensor)

    def _spec(self, specs: dict[str, TensorSpec], port: Port) -> TensorSpec:
        if port.source not in specs:
            known = "which neither the signature nor an earlier stage has"
            raise BundleError(f"{self._bundle.path}: a port stands for {port.source!r}, {known}")
        return specs[port.source]

    def _check_counts(self, made: list[Part]) -> None:
        feeds = [end for part in made for end in part.inputs if isinstance(end, Feed)]
        if len({len(feed.data) for feed in feeds}) != 1:
            raise BundleError(f"{self._bundle.path}: golden inputs differ in how many cases they have")
        for part in made:
            for product in part.outputs:
                if product.expected is not None and len(product.expected) != len(feeds[0].data):
                    raise BundleError(f"{self._bundle.path}: golden/expected has not one case per input")
