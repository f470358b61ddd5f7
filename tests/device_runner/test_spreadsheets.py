"""`results import` of .xlsx and .ods: the same study as in CSV, and files that mean harm or were made with too little care."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from device_runner.results.outside import sheet_process
from tests.device_runner import sheets
from tests.device_runner.recorded import Invoke, invoked
from tests.device_runner.sheets import Raw, Rows
from tests.device_runner.test_results_import import MAPPED, STUDY

HEAD = ["Model", "Op", "Round", "Seconds", "Acc"]
ROW = ["a", "b", 0, 1.5, 80.0]
#: as LibreOffice fills a sheet to its end
TO_THE_END = (
    '<table:table-row table:number-rows-repeated="1048000"><table:table-cell table:number-columns-repeated="1024"/>'
    "</table:table-row>"
)


def _study() -> Rows:
    lines = [line.split(",") for line in STUDY.splitlines()]
    return [lines[0], *([model, op, float(launch), float(sec), float(acc)] for model, op, launch, sec, acc in lines[1:])]


@pytest.fixture
def invoke(capsys: pytest.CaptureFixture[str]) -> Invoke:
    return invoked(capsys)


@pytest.mark.parametrize("form", ["xlsx", "ods"])
def test_a_spreadsheet_gives_what_its_csv_gives(form: str, tmp_path: Path, invoke: Invoke) -> None:
    (tmp_path / "study.csv").write_text(STUDY)
    sheet = sheets.xlsx(tmp_path / "study.xlsx", {"T": _study()}) if form == "xlsx" else None
    sheet = sheet or sheets.ods(tmp_path / "study.ods", {"T": _study()}, after=TO_THE_END)
    taken = []
    for file in (tmp_path / "study.csv", sheet):
        out = ("--out", str(tmp_path / file.suffix), "--json")
        done = invoke("results", "import", str(file), *MAPPED, *out)
        assert done.returncode == 0, done.stderr
        runs = json.loads(done.stdout)["runs"]
        labels = [(run["label"], run["launches"]) for run in runs]
        taken.append((labels, [json.loads(invoke("results", "samples", run["id"], *out).stdout)["samples"] for run in runs]))
    assert taken[0] == taken[1]
    assert [launches for _, launches in taken[1][0]] == [5, 5, 5]


def _take(file: Path, invoke: Invoke, *more: str) -> tuple[int, str]:
    """Import it: exit code, what was said. Nothing may be written where that is not 0."""
    runs = file.parent / "runs"
    done = invoke("results", "import", str(file), *MAPPED, *more, "--out", str(runs), "--json")
    assert runs.exists() == (done.returncode == 0)
    return done.returncode, done.stdout or done.stderr


def test_formulas_are_what_they_gave_when_saved(tmp_path: Path, invoke: Invoke) -> None:
    harm = Raw('<c r="PLACE" t="str"><f>WEBSERVICE("http://127.0.0.1:9/")</f><v>b</v></c>')
    saved = Raw('<c r="PLACE"><f>1+1</f><v>2</v></c>')
    code, said = _take(sheets.xlsx(tmp_path / "t.xlsx", {"T": [HEAD, ["a", harm, 0, saved, 80]]}), invoke)
    assert (code, json.loads(said)["runs"][0]["label"]) == (0, "a b on unknown-unknown")


def test_one_sheet_of_several_is_named(tmp_path: Path, invoke: Invoke) -> None:
    file = sheets.xlsx(tmp_path / "t.xlsx", {"Notes": [["by hand"]], "T": [HEAD, ROW], "Old": [HEAD]}, hidden=["Old"])
    code, said = _take(file, invoke)
    assert (code, "say which with --sheet: 'Notes', 'T'" in said) == (2, True)
    code, said = _take(file, invoke, "--sheet", "t")
    assert (code, "no sheet 't', but 'Notes', 'T'" in said) == (2, True)
    code, said = _take(file, invoke, "--sheet", "T")
    assert code == 0, said
    run = json.loads(said)["runs"][0]["id"]
    shown = json.loads(invoke("results", "show", run, "--out", str(tmp_path / "runs"), "--json").stdout)["record"]
    assert shown["software"]["imported_sheet"] == "T"


def test_a_single_shown_sheet_needs_no_name_and_a_csv_file_has_none(tmp_path: Path, invoke: Invoke) -> None:
    assert _take(sheets.xlsx(tmp_path / "t.xlsx", {"Old": [HEAD], "T": [HEAD, ROW]}, hidden=["Old"]), invoke)[0] == 0
    (tmp_path / "b").mkdir()
    (tmp_path / "b/t.csv").write_text(STUDY)
    code, said = _take(tmp_path / "b/t.csv", invoke, "--sheet", "T")
    assert (code, "no sheets" in said) == (2, True)


def test_what_stands_around_the_table_is_left_out(tmp_path: Path, invoke: Invoke) -> None:
    """Empty rows and columns before it and in it, a remark in a column without a name, a heading nobody maps."""
    rows: Rows = [[], [], [None, *HEAD, None, "Date"], [None, *ROW, "was hot", DATE], [], [None, *ROW, None, None]]
    code, said = _take(sheets.xlsx(tmp_path / "t.xlsx", {"T": rows}), invoke)
    assert code == 0, said
    run = json.loads(said)["runs"][0]["id"]
    kept = json.loads(invoke("results", "samples", run, "--out", str(tmp_path / "runs"), "--json").stdout)["samples"]
    assert [sample[5] for sample in kept] == [1_500_000_000] * 2


#: 31 January 2026, as a spreadsheet has it: a number that is shown as a date
DATE = Raw('<c r="PLACE" s="1"><v>46053</v></c>')
FAULT = Raw('<c r="PLACE" t="e"><v>#DIV/0!</v></c>')


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([], "the first line"),
        ([HEAD], "no rows"),
        ([["Model", "Model"], ["a", "b"]], "each once"),
        ([HEAD[:3], ["a", "b", 1]], "no column 'Seconds'"),
        ([HEAD, ["a", "b", 0, "fast", 80]], "row 2: latency_s 'fast' is not a number"),
        ([HEAD, ["a", "b", 0, DATE, 80]], "row 2: latency_s '2026-01-31' is not a number"),
        ([HEAD, ["a", "b", 0, True, 80]], "row 2: latency_s 'TRUE' is not a number"),
        ([HEAD, ["a", "b", 0, FAULT, 80]], "row 2: latency_s '' is not a number"),
        ([HEAD, ["a", "b", 0, Raw('<c r="PLACE"><f>1+1</f></c>'), 80]], "row 2: latency_s '' is not a number"),
        ([HEAD, ["a", "b", 0, -1.0, 80]], "row 2: latency_s '-1' is not a time"),
        ([HEAD, ["a", "b", 0, 1.5, 101]], "row 2: accuracy_percent '101' is out of range"),
        ([HEAD, ROW, [None, *ROW[1:]]], "row 3: no subject or no operator (of cells that were merged"),
        ([HEAD, ROW, ["a", "b", None, 1.5, 80]], "row 3: no launch (of cells that were merged"),
        ([HEAD, ["a" * 201, *ROW[1:]]], "over 200 characters"),
        ([[f"c{at}" for at in range(1001)]], "over 1000 columns"),
    ],
)
@pytest.mark.parametrize("form", ["xlsx", "ods"])
def test_a_sheet_that_is_not_as_it_should_be_is_a_sentence(
    rows: Rows, said: str, form: str, tmp_path: Path, invoke: Invoke
) -> None:
    if form == "xlsx":
        file = sheets.xlsx(tmp_path / "t.xlsx", {"T": rows})
    else:
        file = sheets.ods(tmp_path / "t.ods", {"T": [[OF_ODS.get(cell, cell) for cell in row] for row in rows]})
    code, told = _take(file, invoke)
    assert (code, said in told) == (2, True), told


_CELL = "<table:table-cell {}/>"
OF_ODS = {
    DATE: Raw(_CELL.format('office:value-type="date" office:date-value="2026-01-31"')),
    FAULT: Raw(_CELL.format('table:formula="of:=1/0"')),
    Raw('<c r="PLACE"><f>1+1</f></c>'): Raw(_CELL.format('table:formula="of:=1+1"')),
    True: Raw(_CELL.format('office:value-type="boolean" office:boolean-value="true"')),
}


def test_merged_cells_are_not_guessed_at(tmp_path: Path, invoke: Invoke) -> None:
    file = sheets.xlsx(
        tmp_path / "t.xlsx", {"T": [HEAD, ROW, [None, *ROW[1:]]]}, after='<mergeCells><mergeCell ref="A2:A3"/></mergeCells>'
    )
    code, told = _take(file, invoke)
    assert (code, "row 3: no subject" in told) == (2, True), told
    (tmp_path / "b").mkdir()
    covered = Raw("<table:covered-table-cell/>")
    code, told = _take(sheets.ods(tmp_path / "b/t.ods", {"T": [HEAD, ROW, [covered, *ROW[1:]]]}), invoke)
    assert (code, "row 3: no subject" in told) == (2, True), told


@pytest.mark.parametrize("place", ["XFD1048576", "ZZZZZ99999999999"])
def test_a_cell_at_the_end_of_the_sheet_is_not_given_all_memory(place: str, tmp_path: Path, invoke: Invoke) -> None:
    far = f'<row r="{place.lstrip("XFDZ")}"><c r="{place}"><v>1</v></c></row>'
    code, told = _take(sheets.xlsx(tmp_path / "t.xlsx", {"T": sheets.xlsx_rows([HEAD, ROW]) + far}), invoke)
    assert (code, "more than the 3 GB of memory" in told) == (2, True), told


def test_repeated_cells_that_are_not_empty_are_counted(tmp_path: Path, invoke: Invoke) -> None:
    many = _CELL.format('office:value-type="float" office:value="1" table:number-columns-repeated="16384"')
    after = f'<table:table-row table:number-rows-repeated="1048576">{many}</table:table-row>'
    code, told = _take(sheets.ods(tmp_path / "t.ods", {"T": [HEAD, ROW]}, after=after), invoke)
    assert code == 2
    assert "t.ods cannot be read: " in told
    assert "Traceback" not in told


def test_a_zip_that_swells_is_not_unpacked(tmp_path: Path, invoke: Invoke) -> None:
    file = sheets.xlsx(tmp_path / "t.xlsx", {"T": [HEAD, ROW]}, parts={"xl/media/a": b"a" * 12345})
    sheets.lying(file, "xl/media/a", 2**31)
    code, told = _take(file, invoke)
    assert (code, "it unpacks to 7 parts of 2,147," in told) == (2, True), told


def test_a_zip_that_says_less_than_it_has_is_bounded_all_the_same(tmp_path: Path, invoke: Invoke) -> None:
    file = sheets.xlsx(tmp_path / "t.xlsx", {"T": sheets.xlsx_rows([HEAD, ROW]) + " " * 2**26})
    sheets.lying(file, "xl/worksheets/sheet1.xml", 100)
    code, told = _take(file, invoke)
    assert (code, "t.xlsx cannot be read: " in told) == (2, True), told


def test_what_is_told_is_bounded(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A string of the workbook is written once and meant a million times."""
    from python_calamine import CalamineWorkbook

    file = sheets.xlsx(tmp_path / "t.xlsx", {"T": [["name"], *[["x" * 200]] * 100]})
    rows = sheet_process.rows(CalamineWorkbook.from_filelike, file.read_bytes(), None)
    assert sheet_process.tell(rows, 2000) == "its text is over 0 MB; import it in parts"
    assert len(capsys.readouterr().out) < 2000


@pytest.mark.parametrize(
    "content", [b"", b"Model,Op\n1,2\n", bytes.fromhex("d0cf11e0a1b11ae1") + bytes(512), b"PK\x05\x06" + bytes(18)]
)
def test_no_spreadsheet_by_its_content(content: bytes, tmp_path: Path, invoke: Invoke) -> None:
    (tmp_path / "t.xlsx").write_bytes(content)
    code, told = _take(tmp_path / "t.xlsx", invoke)
    assert (code, "no .xlsx or .ods" in told or "no spreadsheet" in told) == (2, True), told


def test_entities_are_not_expanded(tmp_path: Path, invoke: Invoke) -> None:
    entity = '<!DOCTYPE worksheet [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
    file = sheets.xlsx(
        tmp_path / "t.xlsx", {"T": [HEAD, [Raw('<c r="PLACE" t="inlineStr"><is><t>&x;</t></is></c>'), *ROW[1:]]]}, before=entity
    )
    code, told = _take(file, invoke)
    assert (code, "root" in told) == (2, False), told
