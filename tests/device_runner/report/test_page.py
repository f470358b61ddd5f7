"""The page as a browser without a network shows it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edgedeploy.record import RunRecord
from tests.device_runner.report import stores
from tests.device_runner.report.chromium import Page

Drawn = tuple[Path, list[RunRecord]]

_TEXTS = """
(() => {
  const found = [], walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode, parent = node.parentElement;
    if (!node.textContent.trim() || ["SCRIPT", "title"].includes(parent.tagName) || !parent.checkVisibility()) continue;
    const box = document.createRange();
    box.selectNodeContents(node);
    if (!box.getClientRects().length) continue;
    const style = getComputedStyle(parent);
    const paper = (element) => getComputedStyle(element).backgroundColor, bare = "rgba(0, 0, 0, 0)";
    let behind = parent;
    while (behind.parentElement && paper(behind) === bare) behind = behind.parentElement;
    found.push([node.textContent.trim().slice(0, 60), parent instanceof SVGElement ? style.fill : style.color, paper(behind)]);
  }
  return found;
})()
"""


def _luminance(colour: str) -> float:
    parts = [float(part) / 255 for part in colour[colour.index("(") + 1 : -1].split(",")[:3]]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(one: str, other: str) -> float:
    low, high = sorted([_luminance(one), _luminance(other)])
    return (high + 0.05) / (low + 0.05)


def _tab_to(page: Page, condition: str, most: int = 400) -> None:
    """Press Tab until what is focused fits; the keyboard alone gets there, or this fails."""
    for _ in range(most):
        page.tab()
        if page.evaluate(f"(e => {condition})(document.activeElement)"):
            return
    raise AssertionError(f"{most} tabs do not reach {condition}")


def test_it_loads_alone_and_without_complaint(browser: Page, html: Path) -> None:
    browser.console.clear()
    browser.requests.clear()
    browser.open(html)
    assert browser.console == []
    assert browser.requests == [html.resolve().as_uri()]
    assert browser.evaluate("performance.getEntriesByType('resource').length") == 0


def test_the_policy_refuses_what_is_not_ours(browser: Page, html: Path, tmp_path: Path) -> None:
    changed = tmp_path / "changed.html"
    extra = (
        "<script>window.theirs = 1</script><img id='x' src='x' onerror='window.theirs = 2'><p style='color: red' id='s'>x</p>"
    )
    changed.write_text(html.read_text("utf-8").replace("</main>", f"</main>{extra}", 1), "utf-8")
    browser.open(changed)
    assert browser.evaluate("window.theirs === undefined")
    assert browser.evaluate("getComputedStyle(document.getElementById('s')).color") != "rgb(255, 0, 0)"
    assert any("Content Security Policy" in line for line in browser.console)
    browser.console.clear()


def test_the_answers_are_there(browser: Page, html: Path) -> None:
    browser.open(html)
    first = browser.evaluate("document.querySelector('.answer').innerText")
    assert "at most 1 point" in first
    # the fastest of what loses at most a point, and it is on the faster device
    assert "sptq on tflite-xnnpack" in first
    assert "phone, 1 thread" in first
    assert "ms [" in first
    assert browser.evaluate("document.querySelectorAll('.answer').length") == 3


def _runs_in(browser: Page, figure: str) -> list[str]:
    found: list[str] = browser.evaluate(
        f"Array.from(document.querySelectorAll('svg.{figure}.wide a.mark'), m => data.runs[m.dataset.run].id)".replace(
            "data.runs", "JSON.parse(document.getElementById('data').textContent).runs"
        )
    )
    return found


def test_every_mark_is_a_run_and_every_run_a_mark(browser: Page, html: Path, drawn: Drawn) -> None:
    browser.open(html)
    valid = sorted(record.id for record in drawn[1] if record.valid)
    assert sorted(_runs_in(browser, "scatter")) == valid
    others = sorted(r.id for r in drawn[1] if r.valid and r.artifact.operator != "identity")
    assert sorted(_runs_in(browser, "forest")) == others
    assert sorted(_runs_in(browser, "distributions")) == sorted(record.id for record in drawn[1])
    assert browser.evaluate("document.querySelectorAll('svg.scatter.wide').length") == len(stores.DEVICES)
    curves = browser.evaluate("document.querySelectorAll('svg.distributions.wide .curve').length")
    assert curves == sum(len(record.launches) for record in drawn[1])
    bad = browser.evaluate("document.querySelectorAll('svg.distributions.wide .curve.invalid').length")
    assert bad == sum(not launch.valid for record in drawn[1] for launch in record.launches)


def test_marks_stand_where_their_numbers_are(browser: Page, html: Path) -> None:
    """Left to right as the medians are, top to bottom as the accuracies are, with both bars."""
    browser.open(html)
    seen: list[dict[str, Any]] = browser.evaluate(
        "(() => { const d = JSON.parse(document.getElementById('data').textContent).runs;"
        "return Array.from(document.querySelector('svg.scatter.wide').querySelectorAll('a.mark'), m => {"
        "const b = m.querySelector('.solid, .hollow').getBoundingClientRect(), r = d[m.dataset.run];"
        "return {x: b.x + b.width / 2, y: b.y + b.height / 2, ms: r.median_ms.estimate, "
        "acc: r.accuracy && r.accuracy.value}; }) })()"
    )
    by_time = sorted(seen, key=lambda mark: mark["ms"])
    assert [mark["x"] for mark in by_time] == sorted(mark["x"] for mark in seen)
    measured = [mark for mark in seen if mark["acc"]]
    # shapes of different heights have their centres up to a pixel apart
    for one in measured:
        assert all(one["y"] < other["y"] + 2 for other in measured if other["acc"] < one["acc"])
    assert all(mark["y"] > max(m["y"] for m in measured) for mark in seen if not mark["acc"])
    assert browser.evaluate("document.querySelector('svg.scatter.wide').querySelectorAll('.bar').length") == len(seen) + len(
        measured
    )


def test_what_is_not_valid_is_said_and_not_counted(browser: Page, html: Path, drawn: Drawn) -> None:
    browser.open(html)
    text = browser.evaluate("document.body.innerText")
    assert "Not drawn, because not valid: pruned on onnx-cpu (no launch is valid)" in text
    row = browser.evaluate(
        "Array.from(document.querySelectorAll('table.runs tr'), r => r.innerText).find(t => t.includes('not valid'))"
    )
    assert "no launch is valid" in row
    bad = next(r for r in drawn[1] if (r.devices[0].name, r.artifact.runtime, r.artifact.operator) == stores.BAD_LAUNCH[:3])
    entry = browser.evaluate(
        "(id => { const r = JSON.parse(document.getElementById('data').textContent).runs;"
        f"return Object.entries(r).find(e => e[1].id === id); }})('{bad.id}')"
    )
    rows = browser.evaluate(f"document.querySelectorAll('#{entry[0]} tbody tr.invalid').length")
    assert rows == 1
    assert stores.WHY in browser.evaluate(f"document.querySelector('#{entry[0]} tbody tr.invalid').textContent")
    # the median of the four that are valid: a third as long as with the slow one
    valid = sorted(launch.steady_median_ns / 1e6 for launch in bad.launches if launch.valid and launch.steady_median_ns)
    assert valid[0] < entry[1]["median_ms"]["estimate"] < valid[-1]


def test_the_conditions_are_under_the_times(browser: Page, html: Path) -> None:
    browser.open(html)
    text = browser.evaluate("Array.from(document.querySelectorAll('svg.series.wide'), s => s.textContent).join()")
    assert "hottest sensor, °C" in text
    assert "fastest core, GHz" in text
    dots = browser.evaluate("document.querySelector('svg.series.wide').querySelectorAll('.dot').length")
    assert dots == 2 * 2 * stores.LAUNCHES


def test_a_device_that_says_nothing_is_said(browser: Page, drawn: Drawn, tmp_path: Path) -> None:
    from tests.device_runner.report.conftest import report

    assert report("--runs", drawn[0], "--device", "board", "--out", tmp_path / "a.html") == 0
    browser.open(tmp_path / "a.html")
    assert "The device, board, did not say: hottest sensor (°C), fastest core (GHz)." in browser.evaluate(
        "document.body.innerText"
    )


def test_every_run_has_its_digest_and_is_linked_to(browser: Page, html: Path, drawn: Drawn) -> None:
    browser.open(html)
    appendix = browser.evaluate("document.getElementById('appendix').textContent")
    for record in drawn[1]:
        assert record.id in appendix
        assert record.artifact.digest in appendix
    links = "Array.from(document.querySelectorAll('a[href^=\"#\"]'))"
    dead = f"{links}.filter(a => !document.querySelector(a.getAttribute('href'))).length"
    assert browser.evaluate(dead) == 0
    captions: list[str] = browser.evaluate("Array.from(document.querySelectorAll('figcaption'), c => c.textContent)")
    assert captions
    for caption in captions:
        assert stores.EXPERIMENT in caption
        assert any(record.artifact.digest[:12] in caption for record in drawn[1])


def test_the_table_sorts_by_keyboard(browser: Page, html: Path, drawn: Drawn) -> None:
    browser.open(html)
    _tab_to(browser, "e.matches('button.sort') && e.textContent === 'median, ms'")
    browser.enter()
    state = "document.activeElement.closest('th').getAttribute('aria-sort')"
    column = "Array.from(document.querySelectorAll('#table0 tbody tr'), r => r.cells[3].dataset.sort || null)"
    assert browser.evaluate(state) == "ascending"
    up = [float(value) for value in browser.evaluate(column) if value is not None]
    assert up == sorted(up)
    assert len(up) == sum(record.valid for record in drawn[1])
    browser.enter()
    assert browser.evaluate(state) == "descending"
    down = browser.evaluate(column)
    # what has no number stays last
    assert [float(value) for value in down[: len(up)]] == up[::-1]
    assert down[len(up) :] == [None]
    assert browser.evaluate("document.querySelectorAll('#table0 th[aria-sort=descending]').length") == 1


def test_the_table_filters_by_keyboard(browser: Page, html: Path) -> None:
    browser.open(html)
    _tab_to(browser, "e.matches('input[type=search]')")
    assert browser.evaluate("document.activeElement.labels[0].textContent") == "Filter these runs"
    browser.type("dsptq phone")
    shown = browser.evaluate(
        "Array.from(document.querySelectorAll('#table0 tbody tr')).filter(r => !r.hidden).map(r => r.innerText)"
    )
    assert len(shown) == len(stores.RUNTIMES)
    assert all("dsptq" in row and "phone" in row for row in shown)
    assert browser.evaluate("document.getElementById('table0-count').textContent").startswith("2 of ")


def test_a_mark_leads_to_its_run_by_keyboard(browser: Page, html: Path) -> None:
    browser.open(html)
    _tab_to(browser, "e.matches('a.mark')")
    key = browser.evaluate("document.activeElement.dataset.run")
    detail = browser.evaluate("document.getElementById('detail').innerText")
    assert browser.evaluate(f"JSON.parse(document.getElementById('data').textContent).runs['{key}'].id") in detail
    browser.enter()
    browser.until(f"document.getElementById('{key}').open")
    browser.until(f"document.activeElement.closest('details')?.id === '{key}'")


def test_figures_can_be_skipped_by_keyboard(browser: Page, html: Path) -> None:
    browser.open(html)
    _tab_to(browser, "e.textContent === 'Skip this figure'")
    assert browser.evaluate("document.activeElement.getBoundingClientRect().left") >= 0
    browser.enter()
    browser.until("location.hash === '#past1'")
    browser.tab()
    assert browser.evaluate("document.activeElement.textContent") == "Skip this figure"


@pytest.mark.parametrize("width", [390, 1100])
def test_nothing_is_wider_than_the_window(browser: Page, html: Path, width: int) -> None:
    browser.open(html, width)
    browser.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true; })")
    assert browser.evaluate("document.documentElement.scrollWidth") <= width
    outside = (
        f"Array.from(document.querySelectorAll('body *')).filter(e => e.checkVisibility() && !e.closest('.scroll') && "
        f"!e.matches('.skip, title') && e.getBoundingClientRect().right > {width} + 1).map(e => e.outerHTML.slice(0, 200))"
    )
    assert browser.evaluate(outside) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1100])
def test_text_can_be_read(browser: Page, html: Path, scheme: str, width: int) -> None:
    """WCAG's 4.5 to 1 for every text that is seen, in the system's colours and after the toggle."""
    browser.open(html, width, scheme=scheme)
    browser.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true; })")
    backgrounds = set()
    for _ in range(2):
        texts = browser.evaluate(_TEXTS)
        assert len(texts) > 200
        poor = [(text, ink, paper) for text, ink, paper in texts if _contrast(ink, paper) < 4.5]
        assert poor == []
        backgrounds.add(browser.evaluate("getComputedStyle(document.documentElement).backgroundColor"))
        browser.evaluate("document.getElementById('scheme').click()")
    assert len(backgrounds) == 2, "the toggle changes nothing"


def test_text_of_figures_is_large_enough_on_a_phone(browser: Page, html: Path) -> None:
    browser.open(html, 390)
    small = browser.evaluate(
        "Array.from(document.querySelectorAll('svg text')).filter(t => t.checkVisibility())"
        ".filter(t => { const s = t.ownerSVGElement; return parseFloat(getComputedStyle(t).fontSize) * "
        "s.getBoundingClientRect().width / s.viewBox.baseVal.width < 10; }).length"
    )
    assert small == 0
    assert browser.evaluate("document.querySelectorAll('svg.narrow')[0].checkVisibility()")


def test_it_prints(browser: Page, html: Path) -> None:
    browser.open(html, scheme="dark")
    assert browser.pdf().startswith(b"%PDF")
    browser.view(1100, media="print", scheme="dark")
    assert browser.evaluate("getComputedStyle(document.documentElement).backgroundColor") == "rgb(255, 255, 255)"
    assert not browser.evaluate("document.querySelector('.tools').checkVisibility()")
    assert browser.evaluate("document.querySelector('svg.wide').checkVisibility()")
    assert browser.evaluate("document.querySelector('thead th').innerText.trim()") == "operator"
    browser.view(1100)


def test_it_tells_without_a_script(browser: Page, html: Path, drawn: Drawn) -> None:
    browser.call("Emulation.setScriptExecutionDisabled", value=True)
    try:
        browser.open(html)
    finally:
        browser.call("Emulation.setScriptExecutionDisabled", value=False)
    assert browser.evaluate("document.querySelectorAll('#table0 tbody tr').length") == len(drawn[1])
    assert not browser.evaluate("document.getElementById('scheme').checkVisibility()")
    browser.console.clear()


def test_where_the_time_goes_is_drawn_to_scale(browser: Page, html: Path) -> None:
    browser.open(html)
    bars = browser.evaluate(
        "[...document.querySelectorAll('svg.profile.wide a.mark')].map(a => [a.querySelector('title').textContent,"
        " a.querySelector('rect').getBoundingClientRect().width, a.querySelector('rect').classList[0], a.textContent])"
    )
    # six runs, each with four kinds and the rest
    assert len(bars) == 6 * 5
    convolution, softmax, *_, rest = bars[:5]
    assert "53 Conv (float), 70.0 % on CPUExecutionProvider" in convolution[0]
    assert "6 more kinds, 15.0 %" in rest[0]
    assert (convolution[2], softmax[2]) == ("solid", "hollow")
    assert convolution[1] / softmax[1] == pytest.approx(7, rel=0.02)
    assert "10 runs with a profile" in browser.evaluate("document.querySelector('svg.profile').parentElement.innerText")


def test_cold_starts_are_in_the_table_and_the_answers(browser: Page, html: Path, drawn: Drawn) -> None:
    browser.open(html)
    answer = browser.evaluate("document.querySelector('.answer').innerText")
    chosen = next(
        r for r in drawn[1] if (r.devices[0].name, r.artifact.runtime, r.artifact.operator) == ("phone", "tflite", "sptq")
    )
    assert chosen.cold_start_ms is not None
    assert f"{chosen.cold_start_ms.estimate:.1f} ms" in answer
    column = "[...document.querySelectorAll('table.runs th button')].findIndex(b => b.textContent === 'cold start, ms')"
    cells = browser.evaluate(f"[...document.querySelectorAll('table.runs tbody tr')].map(r => r.cells[{column}].textContent)")
    assert sum(cell == "–" for cell in cells) == sum(r.cold_start_ms is None or not r.valid for r in drawn[1])
