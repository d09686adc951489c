"""Records of a faulty CSV file: which can be used, which cannot and why, with physical lines and raw text."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mqlml.history.findings import Fault, FaultyRow

if TYPE_CHECKING:
    from mqlml.history.findings import Findings

LARGEST_CELL = 1_000_000
"""Characters a CSV record may have; longer ones are set aside."""

_UNDECODABLE = re.compile("[\ud800-\udfff]")
_LATIN_LETTER = re.compile("[\udce0-\udcf6\udcf8-\udcfc\udcc4\udcc9\udcd6\udcdc\udcdf](?![\udc80-\udcbf])")
_RAGGED = "ragged"


@dataclass
class Records:
    """What splitting a file into records found.

    Parameters
    ----------
    records : int
        Data records, the faulty ones included.
    faulty : dict of Fault to list of FaultyRow
    widths : Counter
        How many records have how many cells.
    unclosed : int or None
        Line at which a quote opens that never closes.
    cut_off : bool
        The last record is short and the file does not end with a line end.
    latin : tuple of (int, int) or None
        Line and byte of the first letter that looks like Latin-1.
    """

    records: int = 0
    faulty: dict[Fault, list[FaultyRow]] = field(default_factory=dict)
    widths: Counter[int] = field(default_factory=Counter)
    unclosed: int | None = None
    cut_off: int | None = None
    latin: tuple[int, int] | None = None
    accented: bool = False

    def set_aside(self, fault: Fault, raw: str, *, line: int) -> None:
        """Keep a record that cannot be used."""
        text = raw.rstrip("\r\n").encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
        self.faulty.setdefault(fault, []).append(FaultyRow(self.records, line, text))

    def problems(self, findings: Findings, *, section: str, file: str, cells: int) -> bool:
        """Report what makes the whole file unusable; False when the good records can be used."""
        before = len(findings.problems)
        if self.unclosed is not None:
            what = f"a quote opened in line {self.unclosed} is never closed"
            findings.problem("unclosed-quote", file, what, "close the quote, or export the file again")
        if self.cut_off is not None:
            what = f"the file looks cut off: its last line {self.cut_off} is incomplete and has no line end"
            findings.problem("cut-off", file, what, "export the file again")
        if self.latin is not None:
            line, byte = self.latin
            mixed = ", although other lines are UTF-8: the file mixes encodings" if self.accented else ""
            findings.problem(
                "encoding",
                file,
                f"line {line}, byte {byte} is not UTF-8, most likely Latin-1{mixed}",
                f'export the file as UTF-8, or set encoding = "latin-1" in [{section}]',
            )
        width, count = self.widths.most_common(1)[0] if self.widths else (cells, 0)
        if width != cells and count > self.records / 2:
            findings.problem(
                "cells",
                file,
                f"header {cells}, rows {width}: the rows have {width} cells and the header has {cells}",
                "make the header and the rows match",
                count=count,
                total=self.records,
            )
        return len(findings.problems) > before


def split_records(
    lines: Iterable[str], *, delimiter: str, cells: int, keep: Callable[[Sequence[object]], object]
) -> Records:
    """Walk through a CSV file behind its header and ``keep`` every record (row, line, cells...) that can be used.

    Parameters
    ----------
    lines : iterable of str
        Physical lines with their line ends, undecodable bytes as surrogates.
    delimiter : str
    cells : int
        Cells of the header.
    keep : callable
        Receives ``[row, line, *values]``; rows count from 1 behind the header, lines from 1 at the top.
    """
    found = Records()
    source = _Taken(iter(lines))
    reader = csv.reader(source, delimiter=delimiter, strict=True)
    header_seen = False
    while True:
        source.taken.clear()
        start = source.line + 1
        try:
            record = next(reader)
        except StopIteration:
            return found
        except csv.Error as error:
            found.records += 1
            if _is_unclosed(str(error), source.taken):
                found.unclosed = start
                return found
            found.set_aside(_malformed(str(error)), "".join(source.taken), line=start)
            continue
        if not record:
            continue
        if not header_seen:
            header_seen = True
            continue
        _judge(found, record, "".join(source.taken), line=start, cells=cells, keep=keep)


class _Taken(Iterator[str]):
    """Hands lines to the csv module and remembers those of the record at hand."""

    def __init__(self, lines: Iterator[str]) -> None:
        self._lines = lines
        self.taken: list[str] = []
        self.line = 0

    def __next__(self) -> str:
        line = next(self._lines)
        self.line += 1
        self.taken.append(line)
        return line


def _is_unclosed(error: str, taken: list[str]) -> bool:
    return "unexpected end of data" in error or ("field larger" in error and len(taken) > 1)


def _malformed(error: str) -> Fault:
    if "field larger" in error:
        return Fault(
            "long-cell", f"a cell is longer than {LARGEST_CELL:,} characters", "shorten or leave out that column"
        )
    return Fault("quotes", "quotes are not closed or doubled as CSV demands", "double each quote inside a quoted value")


def _judge(
    found: Records, record: list[str], raw: str, *, line: int, cells: int, keep: Callable[[Sequence[object]], object]
) -> None:
    found.records += 1
    found.widths[len(record)] += 1
    fault = None
    if _UNDECODABLE.search(raw):
        fault = Fault("encoding", "bytes that are not UTF-8", "export the file as UTF-8")
        letter = _LATIN_LETTER.search(raw)
        if letter is not None and found.latin is None:
            found.latin = (line, len(raw[: letter.start()].encode("utf-8", "surrogateescape")) + 1)
    elif "\x00" in raw:
        fault = Fault("nul", "NUL bytes", "export the file again without NUL bytes")
    elif max(map(len, record)) >= LARGEST_CELL:
        fault = _malformed("field larger")
    elif len(record) != cells:
        fault = Fault(
            "cells", f"{len(record)} cells where the header has {cells}", "quote values that hold the delimiter"
        )
        if len(record) < cells and not raw.endswith(("\n", "\r")):
            found.cut_off = line
    found.accented = found.accented or (fault is None and not raw.isascii())
    if fault is None:
        keep([found.records, line, *record])
    else:
        found.set_aside(fault, raw, line=line)
