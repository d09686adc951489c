"""Scores that earlier runs wrote, read back: single files, several, or a folder of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from mqlml.errors import DataRefused, Problem, UsageError
from mqlml.history.postgres import is_postgres
from mqlml.operation.scoring import SCORES
from mqlml.workflows.served_scores import served_scores

if TYPE_CHECKING:
    from mqlml.config import Config

__all__ = ["COLUMNS", "stored_scores"]

COLUMNS = ("lead_id", "as_of", "probability", "is_mql", "control", "model_version")
_WANTED = pa.schema([pa.field(name, SCORES.field(name).type) for name in COLUMNS])
_PARTITION = "as_of="
_FIX = "name files that mqlml score wrote (.parquet or .csv), or a folder of them"


def stored_scores(paths: Sequence[Path | str], config: Config) -> pa.Table:
    """Read scores of any number of moments.

    Parameters
    ----------
    paths : sequence of Path or str
        Parquet or CSV files as ``mqlml score`` wrote them, folders with such files or ``as_of=...`` partitions, or a
        table of PostgreSQL as ``postgresql://user@host/database#table``.
    config : Config
        Says the zone of a moment that names none.

    Returns
    -------
    pa.Table
        ``COLUMNS``, sorted by moment and lead; of rows with the same lead and moment the last one read.

    Raises
    ------
    UsageError
        A path does not exist, or a folder holds no scores.
    DataRefused
        A file cannot be read as scores.
    """
    tables = [table for path in paths for table in _tables(path, config)]
    if not tables:
        return pa.schema([SCORES.field(name) for name in COLUMNS]).empty_table()
    every = pa.concat_tables(tables)
    every = every.append_column("row", pa.array(range(every.num_rows)))
    last = every.group_by(["lead_id", "as_of"]).aggregate([("row", "max")])["row_max"]
    kept = every.take(last).drop_columns(["row"])
    return kept.sort_by([("as_of", "ascending"), ("lead_id", "ascending")]).combine_chunks()


def _tables(path: Path | str, config: Config) -> Iterable[pa.Table]:
    if isinstance(path, str) and is_postgres(path):
        return [served_scores(path, COLUMNS).cast(_WANTED)]
    return [_read(file, config) for file in _files(Path(path))]


def _files(path: Path) -> Iterable[Path]:
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise UsageError(f"--scores {path}: there is no such file or folder.", hint=_FIX)
    found = sorted(f for f in path.rglob("*") if f.suffix in (".parquet", ".csv") and not f.name.startswith((".", "_")))
    if not found:
        raise UsageError(f"--scores {path}: the folder holds no scores.", hint=_FIX)
    return found


def _read(file: Path, config: Config) -> pa.Table:
    try:
        table = _as_arrow(file)
        if "as_of" not in table.column_names and file.parent.name.startswith(_PARTITION):
            moment = _moment(file.parent.name.removeprefix(_PARTITION), config)
            table = table.append_column("as_of", pa.array([moment] * table.num_rows, SCORES.field("as_of").type))
        absent = [name for name in COLUMNS if name not in table.column_names and name != "control"]
        if absent:
            raise KeyError(f"no column '{absent[0]}'")  # noqa: TRY301 - said in one place with all other faults
        if "control" not in table.column_names:
            table = table.append_column("control", pa.array([False] * table.num_rows))
        table = table.select(COLUMNS).cast(_WANTED)
    except (pa.ArrowException, KeyError, ValueError) as error:
        what = f"cannot be read as scores: {str(error).splitlines()[0]}"
        raise DataRefused([Problem("scores", str(file), what, _FIX)]) from error
    return table.filter(pc.and_(table["as_of"].is_valid(), table["lead_id"].is_valid()))


def _as_arrow(file: Path) -> pa.Table:
    if file.suffix == ".parquet":
        # By name alone: a folder called as_of=... must not become a column of its own.
        with pq.ParquetFile(file) as opened:
            return opened.read([name for name in opened.schema_arrow.names if name in COLUMNS])
    text = pa_csv.ConvertOptions(column_types={name: pa.string() for name in ("lead_id", "model_version")})
    table = pa_csv.read_csv(file, convert_options=text)
    # An apostrophe that keeps spreadsheets from running a cell is no part of an id.
    ids = pc.replace_substring_regex(table["lead_id"], pattern=r"^'([=+\-@\t\r\n])", replacement=r"\1")
    return table.set_column(table.column_names.index("lead_id"), "lead_id", ids)


def _moment(text: str, config: Config) -> datetime:
    return config.moment(text.replace("Z", "+00:00") if "T" not in text else _with_colons(text))


def _with_colons(text: str) -> str:
    """``2026-03-01T093000Z``, as folders are named, in the form that is read everywhere."""
    day, _, clock = text.removesuffix("Z").partition("T")
    return f"{day}T{clock[:2]}:{clock[2:4]}:{clock[4:]}+00:00"
