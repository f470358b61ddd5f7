"""What a subject from Python code depends on, noted by the process that ran it, so that a note can answer for it.

The modules that were imported are seen; what the code reads is not, so the subject says it (`Subject.reads`), and without that
there is no note. A note holds while every file has the content it had, every package its version, and every module is found
where it was.
"""

from __future__ import annotations

import functools
import importlib.metadata
import sys
import sysconfig
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

from edgedeploy import bundle
from exporter.subjects.base import Subject

#: a file system's clock may be this far behind that of the process: its own tick
_CLOCK_NS = 20_000_000
#: what packages write into a folder of the moment as they are imported: torch.distributed's template, filled in
_WRITTEN_ANEW = ("_remote_module_non_scriptable",)
_OWN = Path(__file__).resolve().parent.parent


def source_of(name: str) -> Path | None:
    """The Python file of a subject as typed (`my_model.py:attribute`); None for any other subject."""
    return Path(name.rpartition(":")[0]) if ".py:" in name else None


def inside(path: Path) -> Iterator[Path]:
    """The file itself, or all files of the folder, in order. Raises FileNotFoundError for a pipe, a device, or nothing."""
    if not path.is_dir():
        if not path.is_file():
            raise FileNotFoundError(path)
        yield path
        return
    yield from sorted(each for each in path.rglob("*") if each.is_file())


@dataclass(frozen=True)
class Depends:
    """files: path -> sha256; folders: path -> the files in it; packages: name -> version; modules: name -> where it is found.

    Nothing at all for subjects that are not Python code.
    """

    files: Mapping[str, str] = field(default_factory=dict)
    folders: Mapping[str, list[str]] = field(default_factory=dict)
    packages: Mapping[str, str] = field(default_factory=dict)
    modules: Mapping[str, list[str]] = field(default_factory=dict)

    def hold(self) -> bool:
        """Whether all is as it was. Raises OSError where a file is gone."""
        return (
            all(_found(name) == where for name, where in self.modules.items())
            and all(_version(name) == version for name, version in self.packages.items())
            and all([str(each) for each in inside(Path(path))] == files for path, files in self.folders.items())
            and all(bundle.file_sha256(Path(path)) == digest for path, digest in self.files.items())
        )

    def and_also(self, other: Depends) -> Depends:
        """What both depend on."""
        return Depends(*({**getattr(self, name), **getattr(other, name)} for name in self.__dataclass_fields__))

    def document(self) -> dict[str, Any]:
        """As JSON can hold it; `Depends(**document)` is it again."""
        return {name: dict(getattr(self, name)) for name in self.__dataclass_fields__}


class Watched:
    """The Python code of subjects that this process is about to load and to export. names: of the subjects, as typed."""

    def __init__(self, names: Iterable[str]) -> None:
        self._began = time.time_ns() - _CLOCK_NS
        #: as it is when a note is looked at: the folders that a converter puts in front (ONNX Runtime's) are not there then
        self._path = list(sys.path)
        self._sources = {name: source.resolve() for name in names if (source := source_of(name)) is not None}
        self._subjects: dict[Path, list[Subject]] = {}
        #: path -> digest, of what is known before the export
        self._first = {str(path): bundle.file_sha256(path) for path in self._sources.values() if path.is_file()}

    def loaded(self, subjects: Mapping[str, Subject]) -> None:
        """The subjects were loaded, by the names; what they say they read is looked at now, before they read it."""
        for name, source in self._sources.items():
            self._subjects.setdefault(source, []).append(subjects[name])
        for path in self._files():
            self._first.setdefault(str(path), bundle.file_sha256(path))

    def depends(self) -> Depends | str:
        """What their export depended on, now that it is done; or, in a sentence, why that is not known."""
        for source, subjects in self._subjects.items():
            if any(subject.reads is None for subject in subjects):
                return (
                    f"{source.name}: every export of it is worked out anew, as its code may read anything. With "
                    "reads=[...] in its Subject, the files and folders it reads ([] for none), one asked for again is answered "
                    "at once"
                )
        if not self._subjects:
            return Depends()
        try:
            files = {str(path): bundle.file_sha256(path) for path in self._files()}
            changed = [path for path, digest in files.items() if not self._as_it_was(path, digest)]
            changed += [path for path in self._first if path not in files]
        except OSError as error:
            changed, files = [str(error.filename)], {}
        if changed:
            return f"{changed[0]} changed while it was exported, so the next export is worked out anew"
        names = {name.partition(".")[0] for name in list(sys.modules)} - {*_WRITTEN_ANEW}
        of = _packages()
        packages = sorted({package for name in names for package in of.get(name, ())})
        folders = [path for path in self._read() if path.is_dir()]
        return Depends(
            files,
            {str(path): [str(each) for each in inside(path)] for path in folders},
            {package: version for package in packages if (version := _version(package)) is not None},
            {name: where for name in sorted(names) if (where := _found(name, self._path))},
        )

    def _files(self) -> set[Path]:
        """The subjects' own files, all that they say they read, and the modules outside of any package."""
        read = (each for path in self._read() for each in inside(path))
        return {*self._subjects, *read, *(_modules() if self._subjects else ())}

    def _read(self) -> list[Path]:
        return [Path(path) for subjects in self._subjects.values() for subject in subjects for path in subject.reads or ()]

    def _as_it_was(self, path: str, digest: str) -> bool:
        """Whether a file has the content it began with; one that was not known then, whether it is older than that."""
        return self._first[path] == digest if path in self._first else Path(path).stat().st_ctime_ns < self._began


def _modules() -> Iterator[Path]:
    """The files of imported modules that are no package's, not Python's and not ours."""
    of = _packages()
    installed = [Path(sysconfig.get_path(which)).resolve() for which in ("purelib", "platlib")]
    python = [Path(sysconfig.get_path(which)).resolve() for which in ("stdlib", "platstdlib")]
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__dict__", {}).get("__file__")
        if name in ("__main__", *_WRITTEN_ANEW) or not isinstance(file, str):
            continue
        path = Path(file).resolve()
        if not path.is_file() or any(path.is_relative_to(_OWN / each) for each in ("exporter", "edgedeploy")):
            continue
        if any(path.is_relative_to(folder) for folder in installed):
            if name.partition(".")[0] not in of:
                yield path
        elif not any(path.is_relative_to(folder) for folder in python):
            yield path


@functools.cache
def _packages() -> Mapping[str, list[str]]:
    """Module -> the packages that bring it; reads what every package says of itself, so once is enough."""
    return importlib.metadata.packages_distributions()


def _found(name: str, path: Sequence[str] | None = None) -> list[str]:
    """Where a module of this name would be imported from, by sys.path or another one; nothing where no file is."""
    try:
        spec = PathFinder.find_spec(name, path)
    except (ImportError, ValueError):
        return []
    if spec is None:
        return []
    return [spec.origin] if spec.origin is not None else list(spec.submodule_search_locations or ())


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
