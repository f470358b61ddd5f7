"""A user's own subject from a Python file: the example that the README shows, and what people get wrong."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from edgedeploy.errors import UserError
from exporter.subjects import load, names
from exporter.subjects.disjoint import KEEP_LAST, require_disjoint
from exporter.training.evaluate import logits_of, right_of

ROOT = Path(__file__).parents[3]


def test_the_example_is_a_subject_that_learns_its_task() -> None:
    subject = load(f"{ROOT}/examples/my_model.py:subject")
    require_disjoint({name: subject.split(name) for name in KEEP_LAST})
    made = subject.model(False, None)
    evaluation = subject.split("evaluation")
    assert right_of(made.model, evaluation, ("image",)).mean() > 0.9
    assert made.digest == subject.model(False, None).digest, "it is seeded"
    assert tuple(logits_of(made.model, evaluation.take([0]), ("image",)).shape) == subject.signature.outputs[0].shape


@pytest.mark.parametrize(
    ("content", "reference", "says"),
    [
        ("x = 1", "missing.py:subject", "there is no file"),
        ("x = 1", "mine.py:subject", "has no 'subject'"),
        ("import nothing_of_this_name", "mine.py:subject", "could not be imported: ModuleNotFoundError"),
        ("subject = = 1", "mine.py:subject", "could not be imported: SyntaxError"),
        ("subject = 3", "mine.py:subject", "is a int"),
        ("def subject(): return 'text'", "mine.py:subject", "is a str"),
        ("def subject(): return 1 / 0", "mine.py:subject", "failed when called: ZeroDivisionError"),
        ("raise SystemExit(7)", "mine.py:subject", "could not be imported: SystemExit"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str, reference: str, says: str
) -> None:
    (tmp_path / "mine.py").write_text(content)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=says):
        load(reference)


EXAMPLE = (ROOT / "examples/my_model.py").read_text()


@pytest.mark.parametrize("name", ["../../evil", "my model", "", ".", "a" * 101])
def test_a_name_that_would_be_a_path_is_refused_before_any_work(tmp_path: Path, name: str) -> None:
    (tmp_path / "mine.py").write_text(EXAMPLE.replace('name="my-model"', f"name={name!r}"))
    with pytest.raises(UserError, match=r"cannot be a subject.s name"):
        load(f"{tmp_path}/mine.py:subject")


@pytest.mark.parametrize("what", ["model", "split"])
def test_what_the_users_own_functions_raise_is_said_with_the_line(tmp_path: Path, what: str) -> None:
    broken = "\n\ndef broken(*given):\n    return {}['nothing']\n\nimport dataclasses\n"
    (tmp_path / "mine.py").write_text(f"{EXAMPLE}{broken}subject = dataclasses.replace(subject, {what}=broken)\n")
    line = f"{EXAMPLE}{broken}"[: f"{EXAMPLE}{broken}".index("return {}")].count("\n") + 1
    subject = load(f"{tmp_path}/mine.py:subject")
    with pytest.raises(UserError, match=f"line {line}: the subject's {what} raised KeyError: 'nothing'"):
        subject.model(False, None) if what == "model" else subject.split("evaluation")


def test_a_function_that_makes_the_subject_will_do(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text((ROOT / "examples/my_model.py").read_text() + "\n\ndef made():\n    return subject\n")
    assert load(f"{tmp_path}/mine.py:made").name == "my-model"


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(UserError, match="fashion-lite0, fashion-lite2, film-minilm"):
        load("resnet")
    assert names() == ("fashion-lite0", "fashion-lite2", "film-minilm", "news-minilm")


@pytest.mark.parametrize("name", ["fashion-lite0", "mine.py:subject"])
def test_data_is_for_programs_only(name: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--data is for"):
        load(name, tmp_path / "data.npz")


def test_asking_for_a_subject_by_name_does_not_import_torch_before_it_must() -> None:
    code = "import sys, exporter.subjects, exporter.subjects.base, exporter.fetch; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, timeout=60).returncode == 0
