"""Tapes made by Spark: facts and marks under their keys, sorted on the executors and played there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from mqlml.tape.build import known_at_creation
from mqlml.tape.engine import Played
from mqlml.tape.kernel import EVENT, MARK, recipe_of
from mqlml.tape.local import TypeCount, leads_of, sorted_tape, type_codes
from mqlml.tape.spark.events import SparkEvents, ddl
from mqlml.tape.spark.playing import Applying, Playing
from mqlml.tape.spark.session import translated

if TYPE_CHECKING:
    from mqlml.history.contract import History
    from mqlml.tape.features import FeatureSet

__all__ = ["SparkTape"]

_BATCH_ROWS = 131_072
# Rows of one file on their way back: few enough to be put in order in memory.
_ROWS_PER_BUCKET = 65_536
_COLUMNS = ("key", "time", "kind", "lead", "type", "asset", "name", "channel", "value", "known", "side")
# ORDER of tape.local; assets and channels without a code are sorted by their text, which is the order of local codes.
# Spark sorts nulls first, and texts by their bytes.
_ORDER = ("key", "time", "kind", "lead", "type", "asset", "name", "channel", "value", "known")


@dataclass
class SparkTape(SparkEvents):
    """Events that Spark keeps, and the tapes it makes of them."""

    def count_event_types(self, until: datetime | None) -> list[TypeCount]:
        """Count the events of known leads by type, strictly before ``until`` in ``recorded_at`` too."""
        counts = (c for c in self.counts(until) if c.used)
        return [TypeCount(c.event_type, c.events, c.values, c.assets) for c in counts]

    def play(self, history: History, marks: pa.Table, features: FeatureSet) -> Played:
        """Play the tape of the leads in ``marks``; Spark writes the feature table, which is then read in parts."""
        width = recipe_of(features).width
        schema = pa.schema([("position", pa.int64()), *((f"f{i}", pa.float64()) for i in range(width))])
        with translated("computing features"):
            rows, levels = self._rows(history, marks, features, side=None)
            played = rows.mapInArrow(Playing(features, schema), ddl(schema))
            played.write.mode("overwrite").parquet(self.folder.spark("features"))
        return Played(self._played(), levels)

    def apply(
        self,
        history: History,
        marks: pa.Table,
        features: FeatureSet,
        function: Callable[[pa.Table], pa.Table],
        schema: pa.Schema,
    ) -> Iterator[pa.RecordBatch]:
        """Compute features and apply ``function`` to them on the executors; rows come in the order of ``marks``."""
        known = known_at_creation(history, marks, features)
        places = pa.array(np.arange(marks.num_rows, dtype=np.int64))
        dated = pa.table({"lead_id": marks["lead_id"], "time": known["at"].cast(pa.int64()), "position": places})
        made = pa.schema([pa.field("position", pa.int64()), *(pa.field(f.name, f.type) for f in schema)])
        with translated("computing features and scores"):
            rows, levels = self._rows(history, dated, features, side=_plain(known))
            work = Applying(features, levels, _restored(known.schema), function, made)
            self._ordered(rows.mapInArrow(work, ddl(made)), marks.num_rows)
        for part in self.folder.parts("applied"):
            table = self.folder.read_whole(part)
            table = table.take(pc.sort_indices(table["position"])).select(schema.names).cast(schema)
            yield from table.combine_chunks().to_batches()

    def _ordered(self, frame: Any, rows: int) -> None:
        """Write rows so that each stretch of positions is one file; within it they are put in order when it is read."""
        from pyspark.sql import functions as f

        bucket = f.expr(f"format_string('%09d', position div {_ROWS_PER_BUCKET})")
        spread = frame.withColumn("bucket", bucket).repartition(-(-rows // _ROWS_PER_BUCKET), "bucket")
        spread.write.mode("overwrite").partitionBy("bucket").parquet(self.folder.spark("applied"))

    def _played(self) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]]:
        for part in self.folder.parts("features"):
            for batch in self.folder.read(part):
                position, *values = (column.to_numpy() for column in batch.columns)
                yield position, np.array(values)

    def _rows(
        self, history: History, marks: pa.Table, features: FeatureSet, *, side: pa.Table | None
    ) -> tuple[Any, dict[str, tuple[str, ...]]]:
        """All rows of the tape, in order within each partition, no key in two of them."""
        with sorted_tape(history, marks, features, batch_rows=_BATCH_ROWS) as tape:
            resting = _resting(tape.batches, side)
            rows = self.read(self.folder.write("marks", resting), ddl(resting.schema))
            leads, levels = leads_of(history), tape.levels
        if features.named_types:
            end = pc.max(marks["time"]).as_py()
            rows = rows.unionByName(self._event_rows(features, leads, end=end), allowMissingColumns=True)
        rows = rows.select(*(c for c in _COLUMNS if side is not None or c != "side"))
        return rows.repartition("key").sortWithinPartitions(*_ORDER), levels

    def _event_rows(self, features: FeatureSet, leads: pa.Table, *, end: int) -> Any:
        from pyspark.sql import functions as f

        events = self.good().where(f"occurred_at < {end}").join(self.small("leads", leads), "lead_id")
        codes = f.broadcast(self.small("types", type_codes(features)))
        beyond = f.lit(len(features.event_types))
        rows = events.join(codes, "event_type", "left").where("code IS NULL OR code >= 0")
        asset = f.when(f.col("asset").isNull(), -1).otherwise(0) if features.assets else f.lit(-1)
        name = f.col("asset") if features.assets else f.lit(None).cast("string")
        return rows.select(
            "key",
            f.col("occurred_at").alias("time"),
            f.lit(EVENT).cast("tinyint").alias("kind"),
            "lead",
            f.coalesce("code", beyond).alias("type"),
            asset.cast("bigint").alias("asset"),
            name.alias("name"),
            "channel",
            f.coalesce("value", f.lit(0.0)).alias("value"),
            f.coalesce("recorded_at", "occurred_at").alias("known"),
        )


def _resting(batches: Any, side: pa.Table | None) -> pa.RecordBatchReader:
    """Rows that this machine makes, in the columns of the executors, each mark with what was known at creation."""
    fields = [
        ("key", pa.int32()),
        ("time", pa.int64()),
        ("kind", pa.int8()),
        ("lead", pa.int64()),
        ("type", pa.int32()),
        ("asset", pa.int64()),
        ("name", pa.string()),
        ("channel", pa.string()),
        ("value", pa.float64()),
        ("known", pa.int64()),
    ]
    struct = None if side is None else side.to_struct_array().combine_chunks()
    if struct is not None:
        fields.append(("side", struct.type))
    schema = pa.schema(fields)

    def made() -> Iterator[pa.RecordBatch]:
        for batch in batches:
            nothing = pa.nulls(batch.num_rows, pa.string())
            columns = {c: batch[c] for c in batch.schema.names} | {"name": nothing, "channel": nothing}
            if struct is not None:
                place = pc.if_else(pc.equal(batch["kind"], MARK), batch["asset"], None)
                columns["side"] = struct.take(place)
            yield pa.record_batch([columns[name].cast(kind) for name, kind in fields], schema=schema)

    return pa.RecordBatchReader.from_batches(schema, made())


def _plain(known: pa.Table) -> pa.Table:
    """Types that pass through Spark as they are, under names that cannot clash."""
    columns = []
    for column in known.columns:
        kind = column.type
        kind = pa.string() if pa.types.is_dictionary(kind) else pa.int64() if pa.types.is_timestamp(kind) else kind
        columns.append(column.cast(kind))
    return pa.table(columns, names=[f"k{i}" for i in range(len(columns))])


def _restored(schema: pa.Schema) -> pa.Schema:
    """The types that the feature table is made from again."""
    return pa.schema([(f.name, pa.string() if pa.types.is_dictionary(f.type) else f.type) for f in schema])
