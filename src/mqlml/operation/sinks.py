"""Scores into files and databases: whole or not at all, each key once, the manifest last."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from mqlml.errors import UsageError, masked, shown
from mqlml.history.databases import upsert_table
from mqlml.history.postgres import Address, is_postgres
from mqlml.history.writing import publish, table_writer
from mqlml.operation.bundle import moment_name
from mqlml.operation.server import write_to_server
from mqlml.operation.spreadsheets import for_spreadsheets, spreadsheet_schema

TABLE = "scores"
KEY = ("lead_id", "as_of", "model_version", "policy_version")
_UNDATED = "__HIVE_DEFAULT_PARTITION__"


def write_scores(
    batches: Iterable[pa.RecordBatch], schema: pa.Schema, out: Path | str, *, manifest: Mapping[str, Any]
) -> None:
    """Publish scores in the form that ``out`` names; memory holds a few batches at a time.

    Parameters
    ----------
    batches : iterable of pyarrow.RecordBatch
        Rows of ``schema``, one per lead; read once.
    schema : pyarrow.Schema
        Its metadata (units, descriptions) are kept in Parquet.
    out : Path or str
        ``.parquet`` (zstd); ``.csv`` (UTF-8, ISO timestamps, safe to open in a spreadsheet: text that would start a
        formula gets an apostrophe in front); ``.duckdb`` (table ``scores``, whose rows of the same lead, as-of, model
        and policy are replaced); ``postgresql://user@host/database#table`` (the same, table ``scores`` unless named);
        or a folder, without a suffix, which gets ``as_of=<moment>/scores.parquet``.
    manifest : mapping
        What was done, as plain values, times and paths. Read after the last batch, so that it may be filled on the
        way; ``rows_written`` is added. Written last, to ``<out>.manifest.json``; in a folder to ``_manifest.json``
        beside each ``scores.parquet``, since readers of folders skip names with an underscore; in PostgreSQL to the
        table ``<table>_manifests``, in the same transaction.

    Raises
    ------
    UsageError
        ``out`` has another suffix, or a partition cannot be named.
    DataRefused
        A row has no value in a key column of the database, or a key stands twice.
    EngineError
        Writing failed; what stood at ``out`` before is unchanged.
    """
    if is_postgres(out):
        address = Address.of(str(out))
        write_to_server(
            batches, schema, address, table=TABLE, key=KEY, manifest=manifest, text=lambda n: _text(manifest, n)
        )
        return
    if "://" in str(out):
        raise UsageError(f"'{masked(str(out))}' is no place for scores.", hint="name a file, a folder or postgresql://")
    out = Path(out)
    suffix = out.suffix.lower()
    if out.is_dir() or not suffix:
        _write_folder(batches, schema, out, manifest)
        return
    if suffix not in {".parquet", ".csv", ".duckdb"}:
        raise UsageError(
            f"'{shown(out)}' does not say how to write scores.",
            hint="end the name in .parquet, .csv or .duckdb, name a folder, or a table as postgresql://host/base#table",
        )
    # The manifest lies complete beside its place before the scores take theirs: only a rename is left to do.
    with publish(out.with_name(f"{out.name}.manifest.json")) as staged:
        if suffix == ".duckdb":
            upsert_table(
                batches, schema, out, table=TABLE, key=KEY, before_commit=lambda n: _stage(manifest, n, staged)
            )
            return
        plain = schema if suffix == ".parquet" else spreadsheet_schema(schema)
        with table_writer(out, plain) as add:
            rows = 0
            for batch in batches:
                piece = batch.select(schema.names)
                add(pa.Table.from_batches([piece if suffix == ".parquet" else for_spreadsheets(piece, plain)]))
                rows += batch.num_rows
            _stage(manifest, rows, staged)


def _write_folder(batches: Iterable[pa.RecordBatch], schema: pa.Schema, out: Path, manifest: Mapping[str, Any]) -> None:
    """Write Hive partitions by ``as_of``; each appears, or replaces its predecessor, on its own."""
    partitions: dict[str, _Partition] = {}
    with ExitStack() as stack:

        def partition(name: str) -> _Partition:
            if name not in partitions:
                partitions[name] = _Partition(out / f"as_of={name}", schema, stack)
            return partitions[name]

        for batch in batches:
            for name, piece in _by_moment(batch):
                partition(name).add(piece)
        if not partitions and "as_of" in manifest:  # no lead to score replaces yesterday's leads too
            partition(_moment_text(manifest["as_of"]))
        for each in partitions.values():
            _stage(manifest, each.rows, each.staged)


class _Partition:
    """One ``as_of=...`` folder on its way; published when ``stack`` closes."""

    def __init__(self, folder: Path, schema: pa.Schema, stack: ExitStack) -> None:
        self._schema = schema.remove(schema.get_field_index("as_of"))  # its value is the folder's name
        self.staged = stack.enter_context(publish(folder / "_manifest.json"))
        self._add = stack.enter_context(table_writer(folder / "scores.parquet", self._schema))
        self.rows = 0

    def add(self, piece: pa.RecordBatch) -> None:
        self._add(pa.Table.from_batches([piece.select(self._schema.names)]))
        self.rows += piece.num_rows


def _by_moment(batch: pa.RecordBatch) -> Iterator[tuple[str, pa.RecordBatch]]:
    moments = batch.column("as_of")
    for moment in pc.unique(moments):
        chosen = pc.equal(moments, moment) if moment.is_valid else pc.is_null(moments)
        yield _moment_text(moment.as_py()), batch.filter(chosen)


def _moment_text(moment: datetime | date | str | None) -> str:
    if moment is None:
        return _UNDATED
    try:
        text = moment if isinstance(moment, str) else moment.isoformat()
        parsed = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(
            f"'{shown(moment)}' in column 'as_of' is not a moment, so no folder can be named after it.",
            hint="write to a .parquet or .csv file",
        ) from None
    return moment_name(parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC))


def _stage(manifest: Mapping[str, Any], rows: int, path: Path) -> None:
    """Write the manifest through to the disk, so that no space can be lacking once the scores are in place."""
    text = _text(manifest, rows)
    with path.open("wb") as file:
        file.write(text.encode("utf-8") + b"\n")
        file.flush()
        os.fsync(file.fileno())


def _text(manifest: Mapping[str, Any], rows: int) -> str:
    return json.dumps(
        {**manifest, "rows_written": rows},
        indent=2,
        sort_keys=True,
        ensure_ascii=False,
        allow_nan=False,
        default=_plain,
    )


def _plain(value: object) -> object:
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Mapping):
        return dict(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    if isinstance(value, Path):
        return str(value)
    item = getattr(value, "item", None)  # a NumPy or Arrow number
    if callable(item):
        return item()
    raise TypeError(f"a manifest cannot hold a {type(value).__name__}")
