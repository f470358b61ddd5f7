"""Text from devices, manifests and imports that wants to be more than text, in every field of a record that takes text."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from markdown_it import MarkdownIt
from pydantic import ValidationError

from device_runner.results.report.escape import markdown, markup, plain, script_json
from device_runner.results.store import Store
from edgedeploy.record import RunRecord
from edgedeploy.terminal import clean
from tests.device_runner.recorded import keep
from tests.device_runner.report.chromium import Page
from tests.device_runner.report.conftest import report

Drawn = tuple[Path, list[RunRecord]]
HACK = "window.hacked=1"
PAYLOADS = (
    f"</script><script>{HACK}</script>",
    f'"><img src=x onerror="{HACK}">',
    f"'><svg onload='{HACK}'>",
    f"<!--<script>{HACK}//-->",
    f"javascript:{HACK}",
    "]]></title></text></svg><iframe srcdoc='<script>parent.hacked=1</script>'>",
    f"<style>body{{display:none}}</style><a href='javascript:{HACK}'>x</a>",
    '=HYPERLINK("http://evil.example/","x")',
    "+1|' /C calc'!A0",
    "-1+1",
    "@SUM(A1:A9)",
    "\t=1+1",
    "| x | y |\n\n# heading\n\n- item\n> quote",
    "`code` **bold** _it_ ~~no~~ [x](http://evil.example) ![i](http://evil.example/i.png)",
    "@someone #12 GH-12 www.evil.example https://evil.example a@b.example <b>",
    "1. one\n2) two",
    "\x1b[31mred\x1b]0;title\x07\r\n\u202eesrever\u2028\u2029\u200b",
    "&lt;script&gt;&#60;b&#62; &amp;",
    "x" * 450,
    "__proto__",
    "]\\\\|\\`*",
)
#: what a record holds to a pattern or a list of words, so that no other text gets in; all the rest takes any
HELD = {"id", "artifact.digest", "artifact.kind", "artifact.drop.against", "experiment.id", "experiment.runs.*"}


def _leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if isinstance(value, dict):
        for key, entry in value.items():
            yield from _leaves(entry, (*path, key))
    elif isinstance(value, list):
        for at, entry in enumerate(value):
            yield from _leaves(entry, (*path, at))
    elif isinstance(value, str):
        yield path


def _put(document: Any, path: tuple[Any, ...], text: str) -> Any:
    changed = copy.deepcopy(document)
    inner = changed
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = text
    return changed


def _full(record: RunRecord) -> dict[str, Any]:
    """The record with something in every field that may be empty, so that it can be made hostile."""
    document = record.model_dump(mode="json")
    document["warnings"] = document["artifact"]["warnings"] = ["w"]
    document["artifact"]["transforms"] = ["t"]
    document["artifact"]["int8_reason"] = "r"
    document["artifact"]["accuracy"] = {"metric": "m", "value": 0.9, "low": 0.89, "high": 0.91, "n": 100}
    document["device_accuracy"] = document["artifact"]["accuracy"]
    document["software"] = {"s": "v"}
    document["devices"][0]["facts"] = {"cpu": {"model": "c", "isa": ["i"]}, "abi": "a", "kernel": "k"}
    for launch in document["launches"]:
        launch["flags"] = launch["invalid_because"] = ["f"]
        launch["conformance_detail"], launch["error"] = "d", {"code": "e"}
        for context in ("before", "after"):
            launch[context] |= {"governors": {"g": "n"}, "throttling": ["t"], "temperatures_c": {"z": 40.0}}
            launch[context]["frequencies_khz"] = {"q": 1_800_000}
    document["launches"][1]["valid"] = False
    return document


def _named(path: tuple[Any, ...]) -> str:
    return ".".join("*" if isinstance(step, int) else step for step in path)


def _hostile(record: RunRecord, shift: int) -> tuple[RunRecord, list[str]]:
    """Every text field with a payload, keys of dictionaries too; and the fields that took one."""
    document, taken = _full(record), []
    for number, path in enumerate(_leaves(document)):
        changed = _put(document, path, PAYLOADS[(number + shift) % len(PAYLOADS)])
        try:
            RunRecord.model_validate(changed)
        except ValidationError:
            assert any(re.fullmatch(held.replace(".", r"\.").replace("*", ".*"), _named(path)) for held in HELD), _named(path)
            continue
        document = changed
        taken.append(_named(path))
    for launch in document["launches"]:
        for context in ("before", "after"):
            launch[context]["temperatures_c"] = {PAYLOADS[shift % len(PAYLOADS)]: 40.0}
            launch[context]["frequencies_khz"] = {PAYLOADS[(shift + 1) % len(PAYLOADS)]: 1_800_000}
            launch[context]["governors"] = {PAYLOADS[(shift + 2) % len(PAYLOADS)]: PAYLOADS[(shift + 3) % len(PAYLOADS)]}
    document["software"] = {PAYLOADS[(shift + 4) % len(PAYLOADS)]: PAYLOADS[(shift + 5) % len(PAYLOADS)]}
    document["devices"][0]["facts"][PAYLOADS[(shift + 6) % len(PAYLOADS)]] = PAYLOADS[(shift + 7) % len(PAYLOADS)]
    return RunRecord.model_validate(document), taken


@pytest.fixture(scope="module")
def hostile(drawn: Drawn, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[RunRecord]]:
    """As many runs as there are payloads, so that every field has had each of them; one has samples."""
    root = tmp_path_factory.mktemp("hostile") / "runs"
    found = []
    for shift in range(len(PAYLOADS)):
        record = drawn[1][shift % 4].model_copy(update={"id": f"hostile.{shift:02d}"})
        made, taken = _hostile(record, shift)
        assert {"artifact.subject", "artifact.operator", "artifact.runtime", "devices.*.name", "warnings.*"} <= set(taken)
        found.append(made)
    keep(root, *found)
    source = Store(drawn[0]).directory(drawn[1][0].id) / "samples.parquet"
    (root / found[0].id / "samples.parquet").write_bytes(source.read_bytes())
    return root, found


def test_nothing_is_executed_and_all_of_it_is_text(hostile: Drawn, browser: Page, tmp_path: Path) -> None:
    root, records = hostile
    file = tmp_path / "hostile.html"
    outside = (
        "Array.from(document.querySelectorAll('body *')).filter(e => e.checkVisibility() && !e.closest('.scroll') && "
        "!e.matches('.skip, title') && e.getBoundingClientRect().right > 391).map(e => e.outerHTML.slice(0, 200))"
    )
    runs = [record.id for record in records]
    assert report("--runs", root, "--out", file, *runs, "--baseline", runs[0]) == 0
    browser.console.clear()
    browser.requests.clear()
    browser.open(file, 390)
    browser.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true; })")
    for scheme in ("light", "dark"):
        browser.view(390, scheme=scheme)
        assert browser.evaluate("document.documentElement.scrollWidth") <= 390
        assert browser.evaluate(outside) == []
    browser.evaluate("document.querySelectorAll('button.sort').forEach(b => b.click())")
    browser.evaluate("document.querySelectorAll('a.mark').forEach(m => m.focus())")
    assert browser.evaluate("window.hacked === undefined")
    assert browser.console == []
    assert browser.requests == [file.resolve().as_uri()]
    assert browser.evaluate("document.querySelectorAll('script').length") == 2
    assert browser.evaluate("document.querySelectorAll('img, iframe, base, object, embed, form, body style').length") == 0
    links = browser.evaluate("Array.from(document.querySelectorAll('[href], [src]'), e => e.getAttribute('href') || e.src)")
    assert all(re.fullmatch(r"#[a-z0-9]+", link) for link in links), links
    assert (
        browser.evaluate("Array.from(document.querySelectorAll('*')).some(e => e.getAttributeNames().some(n => /^on/.test(n)))")
        is False
    )
    text = browser.evaluate("document.body.textContent")
    for payload in PAYLOADS:
        assert clean(payload, 400) in text
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", text)


def test_a_saved_table_has_no_formula(hostile: Drawn, browser: Page, tmp_path: Path) -> None:
    import csv
    import io

    root, records = hostile
    file = tmp_path / "hostile.html"
    assert report("--runs", root, "--out", file, *(record.id for record in records)) == 0
    browser.open(file)
    saved = browser.evaluate(
        "(async () => { const made = []; URL.createObjectURL = (blob) => { made.push(blob); return '#'; };"
        "HTMLAnchorElement.prototype.click = () => {};"
        "document.querySelectorAll('button.csv').forEach(b => b.click());"
        "return Promise.all(made.map(blob => blob.text())); })()"
    )
    rows = [row for text in saved for row in csv.reader(io.StringIO(text))]
    assert len(rows) == len(saved) + len(records)
    for row in rows:
        assert len(row) == len(rows[0])
        assert not [cell for cell in row if cell[:1] in ("=", "+", "-", "@", "\t", "\r")]
    assert any(cell.startswith("'=") for row in rows for cell in row)


def _rendered(text: str) -> list[Any]:
    parser = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    return [token for block in parser.parse(text) for token in [block, *(block.children or [])]]


@pytest.mark.parametrize("part", range(3))
def test_markdown_has_only_our_markup(hostile: Drawn, part: int, capsys: pytest.CaptureFixture[str]) -> None:
    root, records = hostile[0], hostile[1][part::3]
    assert report("--runs", root, "--format", "markdown", *(r.id for r in records), "--baseline", records[0].id) == 0
    text = capsys.readouterr().out
    tokens = _rendered(text)
    kinds = {token.type for token in tokens}
    ours = {"heading", "paragraph", "bullet_list", "list_item", "table", "thead", "tbody", "tr", "th", "td", "strong"}
    allowed = {f"{kind}_{end}" for kind in ours for end in ("open", "close")} | {"inline", "text", "html_block", "softbreak"}
    assert kinds - allowed <= {"text_special"}
    blocks = {token.content.strip() for token in tokens if token.type == "html_block"}
    assert all(re.fullmatch(r"<details><summary>\d+ notes</summary>|</details>", block) for block in blocks), blocks
    subjects = len({record.artifact.subject for record in records})
    assert sum(token.type == "table_open" for token in tokens) == subjects
    shown = "".join(token.content for token in tokens if token.type in ("text", "text_special"))
    assert clean(records[-1].artifact.subject, 400) in shown.replace("\u200b", "")
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]", text)
    # GitHub turns these into mentions, references and links whatever is escaped, unless they are broken
    assert not re.search(r"@[A-Za-z]|#\d|(?i:www\.)|https?://", shown)


def test_the_summary_for_machines_is_plain_ascii(hostile: Drawn, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root, records = hostile
    assert report("--runs", root, "--out", tmp_path / "a.html", "--json", records[0].id) == 0
    said = capsys.readouterr().out
    assert said.isascii()
    assert json.loads(said)["subjects"][0]["runs"][0]["run"] == records[0].id


@pytest.mark.parametrize("payload", PAYLOADS)
def test_each_way_out(payload: str) -> None:
    assert not set("<>\"'") & set(markup(payload))
    inside = script_json(plain({payload: [payload, {"k": payload}]}))
    assert not set("<>&") & set(inside)
    assert inside.isascii()
    cut = clean(payload, 400)
    assert json.loads(inside) == {cut: [cut, {"k": cut}]}
    inline = _rendered(f"- {markdown(payload)}")
    text = "".join(token.content for token in inline if token.type in ("text", "text_special"))
    assert {t.type for t in inline} <= {
        "bullet_list_open", "bullet_list_close", "list_item_open", "list_item_close", "paragraph_open", "paragraph_close",
        "inline", "text", "text_special",
    }  # fmt: skip
    assert text.replace("\u200b", "").strip() == cut.replace("\u200b", "").strip()
