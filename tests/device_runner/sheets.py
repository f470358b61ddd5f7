"""Spreadsheets for tests, written part by part, so that what no office program would write can be written too."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

_XML = '<?xml version="1.0" encoding="UTF-8"?>'
_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_TYPES = "application/vnd.openxmlformats-officedocument.spreadsheetml"


class Raw(str):
    """XML of a whole cell."""


Cell = str | float | bool | None
Rows = Sequence[Sequence[Cell]]


def column(at: int) -> str:
    """A, B, ... of the column `at`, from 0."""
    return (column(at // 26 - 1) if at >= 26 else "") + chr(ord("A") + at % 26)


def _xlsx_cell(value: Cell, place: str) -> str:
    if value is None:
        return ""
    if isinstance(value, Raw):
        return value.replace("PLACE", place)
    if isinstance(value, bool):
        return f'<c r="{place}" t="b"><v>{int(value)}</v></c>'
    if isinstance(value, str):
        return f'<c r="{place}" t="inlineStr"><is><t>{escape(value)}</t></is></c>'
    return f'<c r="{place}"><v>{value!r}</v></c>'


def xlsx_rows(rows: Rows, first: int = 1) -> str:
    """XML of rows, from row number `first` on."""
    return "".join(
        f'<row r="{first + at}">{"".join(_xlsx_cell(cell, f"{column(x)}{first + at}") for x, cell in enumerate(row))}</row>'
        for at, row in enumerate(rows)
    )


def xlsx(
    file: Path, sheets: Mapping[str, Rows | str], *, hidden: Sequence[str] = (), before: str = "", after: str = "",
    parts: Mapping[str, bytes] = {}
) -> Path:  # fmt: skip
    """Write a workbook. A sheet is rows, or the XML of its rows. before, after: XML before each sheet,
    and after its rows. parts: files
    that are put in as well. Style 1 is a date's."""
    entries, relations, types = "", "", ""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for at, (name, rows) in enumerate(sheets.items(), 1):
            state = ' state="hidden"' if name in hidden else ""
            entries += f'<sheet name="{escape(name)}" sheetId="{at}"{state} r:id="rId{at}"/>'
            relations += f'<Relationship Id="rId{at}" Type="{_OFFICE}/worksheet" Target="worksheets/sheet{at}.xml"/>'
            types += f'<Override PartName="/xl/worksheets/sheet{at}.xml" ContentType="{_TYPES}.worksheet+xml"/>'
            data = rows if isinstance(rows, str) else xlsx_rows(rows)
            sheet = f'{_XML}{before}<worksheet xmlns="{_MAIN}"><sheetData>{data}</sheetData>{after}</worksheet>'
            archive.writestr(f"xl/worksheets/sheet{at}.xml", sheet)
        archive.writestr(
            "[Content_Types].xml",
            f'{_XML}<Types xmlns="{_PACKAGE}/content-types"><Default Extension="xml" ContentType="application/xml"/>'
            '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
            f'<Override PartName="/xl/workbook.xml" ContentType="{_TYPES}.sheet.main+xml"/>{types}</Types>',
        )
        archive.writestr(
            "_rels/.rels",
            f'{_XML}<Relationships xmlns="{_PACKAGE}/relationships"><Relationship Id="rId1" Type="{_OFFICE}/officeDocument" '
            'Target="xl/workbook.xml"/></Relationships>',
        )
        archive.writestr(
            "xl/workbook.xml", f'{_XML}<workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}"><sheets>{entries}</sheets></workbook>'
        )
        archive.writestr(
            "xl/_rels/workbook.xml.rels",
            f'{_XML}<Relationships xmlns="{_PACKAGE}/relationships">{relations}'
            f'<Relationship Id="rId99" Type="{_OFFICE}/styles" Target="styles.xml"/></Relationships>',
        )
        archive.writestr(
            "xl/styles.xml",
            f'{_XML}<styleSheet xmlns="{_MAIN}"><cellXfs count="2"><xf numFmtId="0"/><xf numFmtId="14"/></cellXfs>'
            "</styleSheet>",
        )
        for name, content in parts.items():
            archive.writestr(name, content)
    return file


def _ods_cell(value: Cell) -> str:
    if value is None:
        return "<table:table-cell/>"
    if isinstance(value, Raw):
        return value
    if isinstance(value, str):
        return f'<table:table-cell office:value-type="string"><text:p>{escape(value)}</text:p></table:table-cell>'
    return f'<table:table-cell office:value-type="float" office:value="{float(value)!r}"/>'


def ods(file: Path, sheets: Mapping[str, Rows], *, after: str = "") -> Path:
    """Write an OpenDocument spreadsheet. after: XML that follows the rows of each sheet."""
    tables = "".join(
        f'<table:table table:name="{escape(name)}">'
        + "".join(f"<table:table-row>{''.join(map(_ods_cell, row))}</table:table-row>" for row in rows)
        + f"{after}</table:table>"
        for name, rows in sheets.items()
    )
    spaces = " ".join(
        f'xmlns:{each}="urn:oasis:names:tc:opendocument:xmlns:{each}:1.0"' for each in ("office", "table", "text", "manifest")
    )
    kind = "application/vnd.oasis.opendocument.spreadsheet"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo("mimetype"), kind)
        archive.writestr(
            "META-INF/manifest.xml",
            f'{_XML}<manifest:manifest {spaces}><manifest:file-entry manifest:full-path="/" manifest:media-type="{kind}"/>'
            "</manifest:manifest>",
        )
        archive.writestr(
            "content.xml",
            f"{_XML}<office:document-content {spaces}><office:body><office:spreadsheet>{tables}</office:spreadsheet>"
            "</office:body></office:document-content>",
        )
    return file


def lying(file: Path, member: str, said: int) -> None:
    """Let a part of a zip say of itself that it unpacks to `said` bytes."""
    with zipfile.ZipFile(file) as archive:
        size = archive.getinfo(member).file_size
    file.write_bytes(file.read_bytes().replace(size.to_bytes(4, "little"), said.to_bytes(4, "little")))
