"""Tapes made by Spark: facts and marks under their keys, sorted on the executors and played there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mqlml.history.leads import USED
from mqlml.tape.build import known_at_creation
from mqlml.tape.engine import Played, Use
from mqlml.tape.local import TypeCount, codes_of, leads_of, tape_rows, type_codes
from mqlml.tape.playing import tally_dropped
from mqlml.tape.spark.events import SparkEvents, ddl
from mqlml.tape.spark.playing import Applying, Playing
from mqlml.tape.spark.session import translated
from mqlml.tape.state import EVENT, MARK, SKIPPED
from mqlml.tape.traffic import RULES

if TYPE_CHECKING:
    from mqlml.history.contract import History
    from mqlml.tape.features import FeatureSet
    from mqlml.tape.state import Float64, Int64
    from mqlml.tape.traffic import Tally

__all__ = ["SparkTape"]

_BATCH_ROWS = 131_072
# Rows of one file on their way back: few enough to be put in order in memory.
_ROWS_PER_BUCKET = 65_536
_COLUMNS = ("key", "time", "kind", "lead", "type", "asset", "name", "channel", "value", "known", "side")
# ORDER of tape.rows; assets without a code are sorted by their text, which is the order of their codes there. Spark
# sorts nulls first, and texts by their bytes.
_ORDER = ("key", "time", "kind", "lead", "type", "asset", "name", "channel", "value", "known")


@dataclass
class SparkTape(SparkEvents):
    """Events that Spark keeps, and the tapes it makes of them."""

    def count_event_types(self, until: datetime | None) -> list[TypeCount]:
        """Count the events of known leads by type, strictly before ``until`` in ``recorded_at`` too."""
        counts = (c for c in self.counts(until) if c.used)
        return [TypeCount(c.event_type, *c[2:]) for c in counts]

    def count_names(self, column: str, *, until: datetime | None, without: Sequence[str]) -> dict[str, Use]:
        """Count the events of known leads by the asset or channel they name, those of some event types left out."""
        from pyspark.sql import functions as f

        with translated("counting events"):
            events = self.good(until).where(f"status = {USED}").where(f.col(column).isNotNull())
            if without:
                events = events.where(~f.col("event_type").isin(*without))
            time = f.col("occurred_at")
            found = events.groupBy(column).agg(f.count(f.lit(1)), f.min(time), f.max(time))
            return {row[0]: Use(*row[1:]) for row in found.collect()}

    def count_events(self, lead_ids: pa.ChunkedArray, types: Sequence[str], *, end: int) -> tuple[int, int]:
        """Count the events of some types and their leads, strictly before ``end`` (microseconds)."""
        from pyspark.sql import functions as f

        with translated("counting events"):
            leads = self.small("asked", pa.table({"lead_id": lead_ids}))
            events = self.good().where(f"occurred_at < {end}").where(f.col("event_type").isin(*types))
            known = events.join(leads, "lead_id", "left_semi")
            row = known.agg(f.count(f.lit(1)), f.count_distinct("lead_id")).collect()[0]
        return row[0], row[1]

    def play(self, history: History, marks: pa.Table, features: FeatureSet, *, tally: Tally | None) -> Played:
        """Play the tape of the leads in ``marks``; Spark writes the feature table, which is then read in parts."""
        work = Playing(features)
        with translated("computing features"):
            rows, levels = self._rows(history, marks, features, side=None)
            rows.mapInArrow(work, ddl(work.schema)).write.mode("overwrite").parquet(self.folder.spark("features"))
        return Played(self._played(features, tally), levels)

    def apply(
        self,
        history: History,
        marks: pa.Table,
        features: FeatureSet,
        function: Callable[[pa.Table], pa.Table],
        schema: pa.Schema,
        *,
        tally: Tally | None = None,
    ) -> Iterator[pa.RecordBatch]:
        """Compute features and apply ``function`` to them on the executors; rows come in the order of ``marks``."""
        known = known_at_creation(history, marks, features)
        places = pa.array(np.arange(marks.num_rows, dtype=np.int64))
        dated = pa.table({"lead_id": marks["lead_id"], "time": known["at"].cast(pa.int64()), "position": places})
        tally_dropped(tally, history, dated["lead_id"], features, end=pc.max(dated["time"]).as_py())
        with translated("computing features and scores"):
            rows, levels = self._rows(history, dated, features, side=_plain(known))
            work = Applying(features, levels, _restored(known.schema), function, schema)
            self._in_stretches(rows.mapInArrow(work, ddl(work.schema)), marks.num_rows)
        for part in self.folder.parts("applied"):
            table = self.folder.read_whole(part)
            _add_counts(tally, features, table["counts"])
            table = table.take(pc.sort_indices(table["position"])).select(schema.names).cast(schema)
            yield from table.combine_chunks().to_batches()

    def _in_stretches(self, frame: Any, rows: int) -> None:
        """Write rows so that each stretch of positions is one file; within it they are put in order when it is read."""
        from pyspark.sql import functions as f

        bucket = f.expr(f"format_string('%09d', position div {_ROWS_PER_BUCKET})")
        spread = frame.withColumn("bucket", bucket).repartition(-(-rows // _ROWS_PER_BUCKET), "bucket")
        spread.write.mode("overwrite").partitionBy("bucket").parquet(self.folder.spark("applied"))

    def _played(self, features: FeatureSet, tally: Tally | None) -> Iterator[tuple[Int64, Float64]]:
        for part in self.folder.parts("features"):
            for batch in self.folder.read(part):
                _add_counts(tally, features, batch["counts"])
                columns = [column.to_numpy() for column in batch.columns[2:]]
                yield batch["position"].to_numpy(), np.array(columns).reshape(-1, batch.num_rows)

    def _rows(
        self, history: History, marks: pa.Table, features: FeatureSet, *, side: pa.Table | None
    ) -> tuple[Any, dict[str, tuple[str, ...]]]:
        """All rows of the tape, in order within each partition, no key in two of them."""
        with tape_rows(history, marks, features, batch_rows=_BATCH_ROWS) as tape:
            resting = _resting(tape.batches, side)
            rows = self.read(self.folder.write("marks", resting), ddl(resting.schema))
            leads, levels = leads_of(history), tape.levels
        if features.named_types:
            end = pc.max(marks["time"]).as_py()
            rows = rows.unionByName(self._event_rows(features, leads, end=end), allowMissingColumns=True)
        rows = rows.select(*(c for c in _COLUMNS if side is not None or c != "side"))
        return rows.repartition("key").sortWithinPartitions(*_ORDER), levels

    def _event_rows(self, features: FeatureSet, leads: pa.Table, *, end: int) -> Any:
        """What the leads did before ``end``, as ``tape.rows.event_rows`` says it in SQL."""
        from pyspark.sql import functions as f

        named = features.named_assets if features.counts_assets else ()
        rows = self.good().where(f"occurred_at < {end}").join(self.small("leads", leads), "lead_id")
        rows = self._coded(rows, "event_type", type_codes(features))
        rows = self._coded(rows, "asset", codes_of("asset", named))
        rows = self._coded(rows, "channel", codes_of("channel", features.channels))
        return rows.where("event_type_code >= 0 OR event_type_code IS NULL").select(
            "key",
            f.col("occurred_at").alias("time"),
            _kind(features).cast("tinyint").alias("kind"),
            "lead",
            f.coalesce("event_type_code", f.lit(len(features.event_types))).alias("type"),
            (_code("asset", len(named)) if features.tells_assets else f.lit(-1)).cast("bigint").alias("asset"),
            (_nameless("asset") if features.tells_assets else f.lit(None)).cast("string").alias("name"),
            (_code("channel", len(features.channels)) if features.uses_channels else f.lit(-1)).alias("channel"),
            f.coalesce("value", f.lit(0.0)).alias("value"),
            f.greatest("recorded_at", "occurred_at").alias("known"),
        )

    def _coded(self, rows: Any, column: str, codes: pa.Table) -> Any:
        """Add the code of a column's named values."""
        named = self.small(f"codes-{column}", codes).withColumnRenamed("code", f"{column}_code")
        return rows.join(named, column, "left")


def _add_counts(tally: Tally | None, features: FeatureSet, counts: pa.Array | pa.ChunkedArray) -> None:
    if tally is not None:
        for told in counts.drop_null().to_pylist():
            tally.add_counts(features, np.reshape(told, (len(RULES), -1)))


def _kind(features: FeatureSet) -> Any:
    """Events of named agents are on the tape, but not counted."""
    from pyspark.sql import functions as f

    if features.traffic is None or not features.knows_agents:
        return f.lit(EVENT)
    return f.when(f.col("agent").rlike(f"(?iu){features.traffic.agent_pattern}"), SKIPPED).otherwise(EVENT)


def _code(column: str, beyond: int) -> Any:
    """The code of a named value, one for all others, -1 for none."""
    from pyspark.sql import functions as f

    return f.coalesce(f"{column}_code", f.when(f.col(column).isNull(), -1).otherwise(beyond))


def _nameless(column: str) -> Any:
    """The text of a value that has no code of its own."""
    from pyspark.sql import functions as f

    return f.when(f.col(f"{column}_code").isNull(), f.col(column))


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
        ("channel", pa.int32()),
        ("value", pa.float64()),
        ("known", pa.int64()),
    ]
    struct = None if side is None else side.to_struct_array().combine_chunks()
    if struct is not None:
        fields.append(("side", struct.type))
    schema = pa.schema(fields)

    def made() -> Iterator[pa.RecordBatch]:
        for batch in batches:
            columns = {c: batch[c] for c in batch.schema.names} | {"name": pa.nulls(batch.num_rows, pa.string())}
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
