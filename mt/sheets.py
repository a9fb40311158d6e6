"""Write sheets as an OpenDocument spreadsheet: what every office program opens, with the standard library alone.

A row is written as it comes, so sheets may be long.  Text is text whatever it
looks like; numbers are numbers.
"""

from __future__ import annotations

import io
import re
import zipfile
from xml.sax.saxutils import escape, quoteattr

from mt.replacing import replacing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

_TYPE = "application/vnd.oasis.opendocument.spreadsheet"
_OASIS = "urn:oasis:names:tc:opendocument:xmlns"
_MANIFEST = f"""<?xml version="1.0" encoding="UTF-8"?>
<manifest:manifest xmlns:manifest="{_OASIS}:manifest:1.0" manifest:version="1.2">
<manifest:file-entry manifest:full-path="/" manifest:version="1.2" manifest:media-type="{_TYPE}"/>
<manifest:file-entry manifest:full-path="content.xml" manifest:media-type="text/xml"/>
</manifest:manifest>
"""
_HEAD = f"""<?xml version="1.0" encoding="UTF-8"?>
<office:document-content xmlns:office="{_OASIS}:office:1.0" xmlns:table="{_OASIS}:table:1.0" \
xmlns:text="{_OASIS}:text:1.0" office:version="1.2"><office:body><office:spreadsheet>
"""
_TAIL = "</office:spreadsheet></office:body></office:document-content>\n"
#: what XML 1.0 cannot hold
_BAD = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
#: what a sheet's name may not hold; the longest name that other programs take
_NOT_IN_NAMES = re.compile(r"[\[\]*?:/\\']")
_LONGEST = 31
#: a date for every file in the archive, so that equal sheets give equal bytes
_LONG_AGO = (1980, 1, 1, 0, 0, 0)


def write_ods(path: str, sheets: Mapping[str, Iterable[Sequence[object]]]) -> None:
    """Write {name: rows}; a cell is a number, a text, or nothing (None).  The file takes its place by rename.

    Names that an office program would refuse are changed.  Raises MtError when
    the file cannot be written.
    """
    with replacing(path) as made, zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        _store(archive, sheets)


def _store(archive: zipfile.ZipFile, sheets: Mapping[str, Iterable[Sequence[object]]]) -> None:
    """The parts of the file; its type comes first and is not packed, so that programs know it by its first bytes."""
    archive.writestr(zipfile.ZipInfo("mimetype", _LONG_AGO), _TYPE, zipfile.ZIP_STORED)
    archive.writestr(_entry("META-INF/manifest.xml"), _MANIFEST)
    with archive.open(_entry("content.xml"), "w", force_zip64=True) as raw, io.TextIOWrapper(raw, "utf-8") as out:
        for text in _content(sheets):
            out.write(text)


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, _LONG_AGO)
    entry.compress_type = zipfile.ZIP_DEFLATED
    return entry


def _content(sheets: Mapping[str, Iterable[Sequence[object]]]) -> Iterator[str]:
    yield _HEAD
    for name, rows in zip(sheet_names(sheets), sheets.values(), strict=True):
        yield f"<table:table table:name={quoteattr(name)}>\n"
        for row in rows:
            cells = "".join(map(_cell, row)) or "<table:table-cell/>"
            yield f"<table:table-row>{cells}</table:table-row>\n"
        yield "</table:table>\n"
    yield _TAIL


def _cell(value: object) -> str:
    if value is None or value == "":
        return "<table:table-cell/>"
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < float("inf"):
        kind = f'office:value-type="float" office:value="{value}"'
        return f"<table:table-cell {kind}><text:p>{value}</text:p></table:table-cell>"
    lines = escape(_BAD.sub("\ufffd", str(value))).splitlines()
    shown = "".join(f"<text:p>{_spaced(line)}</text:p>" for line in lines)
    return f'<table:table-cell office:value-type="string">{shown}</table:table-cell>'


def _spaced(line: str) -> str:
    """Tabs and runs of blanks as elements, since XML readers join them otherwise."""
    line = re.sub(r"^ | (?= )", "<text:s/>", line)
    return line.replace("\t", "<text:tab/>")


def sheet_names(names: Iterable[str]) -> list[str]:
    """Names that may stand side by side: short, without special characters, each its own."""
    found: list[str] = []
    taken: set[str] = set()
    for name in names:
        plain = _NOT_IN_NAMES.sub("_", _BAD.sub("_", name)).strip()[:_LONGEST] or "Sheet"
        chosen, n = plain, 1
        while chosen.lower() in taken:
            n += 1
            chosen = f"{plain[: _LONGEST - len(str(n)) - 1]}_{n}"
        taken.add(chosen.lower())
        found.append(chosen)
    return found
