"""Tables that are safe to open in a spreadsheet."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["for_spreadsheets", "spreadsheet_schema", "table_for_spreadsheets"]

# A spreadsheet runs a cell that starts so; it may skip blanks first, and folds full-width forms.
_FORMULA = r"^([\t\r\n\x00]|[\s\v\x{A0}\x{3000}\x{200B}\x{FEFF}]*[=+\-@\x{FF1D}\x{FF0B}\x{FF0D}\x{FF20}])"


def spreadsheet_schema(schema: pa.Schema) -> pa.Schema:
    """Of rows that ``for_spreadsheets`` made: times are texts, categories are spelt out, names start no formula."""
    names = _without_formulas(pa.array(schema.names, pa.string())).to_pylist()
    return pa.schema([(name, _spreadsheet_type(field.type)) for name, field in zip(names, schema, strict=True)])


def table_for_spreadsheets(table: pa.Table) -> pa.Table:
    """Make a table safe to open in a spreadsheet: text that would be a formula gets an apostrophe in front."""
    schema = spreadsheet_schema(table.schema)
    return pa.Table.from_batches([for_spreadsheets(batch, schema) for batch in table.to_batches()], schema)


def _spreadsheet_type(kind: pa.DataType) -> pa.DataType:
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return pa.string() if pa.types.is_timestamp(kind) or _is_text(kind) else kind


def for_spreadsheets(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """Put an apostrophe before text that would start a formula, and write times as ISO text.

    Parameters
    ----------
    batch : pa.RecordBatch
    schema : pa.Schema
        Of ``spreadsheet_schema``.
    """
    columns = [_spreadsheet_column(c, f.type) for c, f in zip(batch.columns, schema, strict=True)]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _spreadsheet_column(column: pa.Array, kind: pa.DataType) -> pa.Array:
    if pa.types.is_timestamp(column.type):
        return _iso(column)
    plain = column.cast(kind)
    return _without_formulas(plain) if _is_text(kind) else plain


def _iso(moments: pa.Array) -> pa.Array:
    zone = "Z" if moments.type.tz else ""
    utc = moments.cast(pa.timestamp("us", "UTC" if zone else None))
    text = pc.strftime(utc, format=f"%Y-%m-%dT%H:%M:%S{zone}")
    return pc.replace_substring_regex(text, pattern=r"\.000000(Z?)$", replacement=r"\1")


def _without_formulas(text: pa.Array) -> pa.Array:
    return pc.replace_substring_regex(text, pattern=_FORMULA, replacement=r"'\1")


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))
