"""Events read by Spark: cleaned once on the executors, kept as Parquet, counted there."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from mqlml.errors import DataRefused, Problem, shown
from mqlml.history.contract import SIGNS, TOUCHED
from mqlml.history.files import CATALOGUE
from mqlml.history.leads import UNKNOWN, USED
from mqlml.history.session import ROW
from mqlml.history.touches import TOUCH_KINDS
from mqlml.tape.spark.session import OpenSession, translated

if TYPE_CHECKING:
    from mqlml.history.remote import Cleaning
    from mqlml.tape.spark.folder import WorkFolder

__all__ = ["SparkEvents", "ddl"]

_KEPT = "events"
_MINUTE_US = 60_000_000
# A table of at most this many rows is sent to every executor; else all events would have to be sorted by id.
_SENT_ALONG = 2_000_000
_SPARK_TYPES = {
    pa.string(): "string",
    pa.int64(): "bigint",
    pa.int32(): "int",
    pa.int8(): "tinyint",
    pa.float64(): "double",
    pa.bool_(): "boolean",
    pa.timestamp("us", "UTC"): "timestamp",
    pa.list_(pa.float64()): "array<double>",
    pa.list_(pa.int64()): "array<bigint>",
}


class EventCount(NamedTuple):
    """How many events there are of a type, of known leads or of others; with a value, an asset, a coarse time."""

    event_type: str
    used: bool
    events: int
    values: int
    assets: int
    whole_minutes: int
    whole_hours: int


@dataclass
class SparkEvents:
    """Reads, cleans and counts events with Spark; the ``RemoteReader`` of a history.

    Parameters
    ----------
    session : OpenSession
    folder : WorkFolder
    """

    session: OpenSession
    folder: WorkFolder
    _source: Any = field(default=None, repr=False)
    _numbered: bool = field(default=False, repr=False)
    _schema: str = field(default="", repr=False)
    _counts: dict[datetime | None, list[EventCount]] = field(default_factory=dict, repr=False)

    def fetch(self, name: str) -> Path:
        """Copy a table of the catalogue into one Parquet file on this machine.

        Raises
        ------
        DataRefused
            There is no such table.
        """
        copied = f"table-{name.removeprefix(CATALOGUE)}"
        with translated(f"reading {name}"):
            self._table(name).write.mode("overwrite").parquet(self.folder.spark(copied))
        target = Path(tempfile.mkdtemp(dir=self.folder.here), f"{copied}.parquet")
        parts = self.folder.parts(copied)
        with pq.ParquetWriter(target, self.folder.schema(parts[0])) as writer:
            for part in parts:
                for batch in self.folder.read(part):
                    writer.write_batch(batch)
        return target

    def open(self, path: str) -> pa.Schema:
        """Find the events and tell their columns.

        Raises
        ------
        DataRefused
            There is no such table, or Spark cannot read its times.
        """
        with translated(f"opening {path}"):
            if path.startswith(CATALOGUE):
                self._source = self._table(path)
            elif "://" in path:
                self._source = self.session.spark.read.parquet(path)
            else:
                self._source = self._files(Path(path))
            names = [c for c in self._source.columns if c != ROW]
            return self._source.select(*map(_named, names)).limit(0).toArrow().schema

    def clean(
        self, cleaning: Cleaning, *, known: pa.Table, links: pa.Table | None, suppressed: pa.Table | None
    ) -> list[dict[str, Any]]:
        """Clean all events once, keep them in the work folder and count them by what they are."""
        from pyspark.sql import functions as f

        with translated("reading the events"):
            row = _named(ROW) if self._numbered else f.lit(None).cast("bigint").alias(ROW)
            raw = self._source.select(*map(_named, cleaning.columns), row)
            rows = raw.mapInArrow(cleaning, ddl(cleaning.leaves))
            if links is not None:
                rows = _linked(rows, self.small("links", links))
            rows = _judged(rows, self.small("known", known))
            rows = _suppressed(rows, None if suppressed is None else self.small("suppressed", suppressed))
            rows.write.mode("overwrite").parquet(self.folder.spark(_KEPT))
            self._schema = ", ".join(f"{_quoted(c)} {kind}" for c, kind in rows.dtypes)
            flags = [f"flag{i}" for i in range(cleaning.flags)]
            counted = (f.sum(f.col(name).cast("bigint")).alias(name) for name in ("early", *flags))
            groups = self._kept().groupBy("fault", "status", f.col("event_type").alias("kind"))
            counts: list[dict[str, Any]] = groups.agg(f.count(f.lit(1)).alias("n"), *counted).toArrow().to_pylist()
        return [{**group, **{name: group[name] or 0 for name in ("early", *flags)}} for group in counts]

    def faulty_rows(self, fault: int, *, only_used: bool, most: int) -> list[int]:
        """Numbers of the first rows with a fault, from 1; none where rows have no numbers."""
        if not self._numbered:
            return []
        with translated("looking for faulty rows"):
            rows = self._kept().where(f"fault = {fault}" + (f" AND status = {USED}" if only_used else ""))
            return [row[0] for row in rows.orderBy("row").select("row").limit(most).collect()]

    def type_counts(self, until: datetime | None) -> dict[str, int]:
        """Count events by type, those of unknown leads included, known strictly before ``until``."""
        totals: dict[str, int] = {}
        for count in self.counts(until):
            totals[count.event_type] = totals.get(count.event_type, 0) + count.events
        return dict(sorted(totals.items(), key=lambda item: (-item[1], item[0])))

    def counts(self, until: datetime | None) -> list[EventCount]:
        """Count events known strictly before ``until``; asked for the same moment again, Spark is not."""
        from pyspark.sql import functions as f

        if until not in self._counts:
            with translated("counting events"):
                used = (f.col("status") == USED).alias("used")
                groups = self.good(until).groupBy("event_type", used)
                coarse = (f.count_if(f.col("occurred_at") % unit == 0) for unit in (_MINUTE_US, 60 * _MINUTE_US))
                rows = groups.agg(f.count(f.lit(1)), f.count("value"), f.count("asset"), *coarse).collect()
            self._counts[until] = [EventCount(*row) for row in rows]
        return self._counts[until]

    def signs_of_life(self, spans: pa.Table, *, until: int, without: Sequence[str]) -> pa.RecordBatchReader:
        """Find the events that became known within the spans of their leads, as ``history.queries`` says it in SQL."""
        from pyspark.sql import functions as f

        with translated("looking for signs of life"):
            events = self.good().withColumn("known", f.greatest("occurred_at", "recorded_at"))
            events = events.where(f"known < {until}").where(~f.col("event_type").isin(*without))
            found = events.join(self.small("spans", spans), "lead_id").where("known > after AND known <= upto")
            found.select("lead", "known").write.mode("overwrite").parquet(self.folder.spark("signs"))
        parts = self.folder.parts("signs")
        batches = (batch.select(SIGNS.names).cast(SIGNS) for part in parts for batch in self.folder.read(part))
        return pa.RecordBatchReader.from_batches(SIGNS, batches)

    def touches(self, seen: pa.Table, *, without: Sequence[str]) -> pa.RecordBatchReader:
        """Sum up the events known before each lead's own moment, as ``history.touches`` says it in SQL."""
        from pyspark.sql import functions as f

        with translated("summing up touches"):
            events = self.good().join(self.small("seen", seen), "lead_id").where(~f.col("event_type").isin(*without))
            events = events.where("greatest(occurred_at, recorded_at) < before")
            named = (f.struct(f.lit(kind).alias("kind"), f.col(kind).alias("name")) for kind in TOUCH_KINDS)
            touched = events.select("lead", "occurred_at", f.explode(f.array(*named)).alias("of"))
            groups = touched.where("of.name IS NOT NULL").groupBy(f.col("of.kind"), "lead", f.col("of.name"))
            ends = (f.min("occurred_at").alias("first"), f.max("occurred_at").alias("last"))
            summed = groups.agg(f.count(f.lit(1)).alias("times"), *ends).select(*TOUCHED.names)
            summed.write.mode("overwrite").parquet(self.folder.spark("touched"))
        parts = self.folder.parts("touched")
        batches = (batch.select(TOUCHED.names).cast(TOUCHED) for part in parts for batch in self.folder.read(part))
        return pa.RecordBatchReader.from_batches(TOUCHED, batches)

    def good(self, until: datetime | None = None) -> Any:
        """Cleaned events without fault as a data frame; times are microseconds UTC."""
        rows = self._kept().where("fault IS NULL AND NOT suppressed")
        if until is None:
            return rows
        moment = pa.scalar(until.astimezone(UTC), pa.timestamp("us", "UTC")).cast(pa.int64()).as_py()
        return rows.where(f"occurred_at < {moment} AND (recorded_at IS NULL OR recorded_at < {moment})")

    def small(self, name: str, table: pa.Table) -> Any:
        """Hand a table of this machine to Spark."""
        from pyspark.sql import functions as f

        frame = self.read(self.folder.write(name, table), ddl(table.schema))
        return f.broadcast(frame) if table.num_rows <= _SENT_ALONG else frame

    def close(self) -> None:
        """Remove the work folder; stop Spark where it was started for us."""
        self.folder.remove()
        self.session.close()

    def read(self, place: str, schema: str) -> Any:
        """Read Parquet whose schema is known, so that Spark need not look."""
        return self.session.spark.read.schema(schema).parquet(place)

    def _kept(self) -> Any:
        return self.read(self.folder.spark(_KEPT), self._schema)

    def _table(self, name: str) -> Any:
        from pyspark.errors import AnalysisException, ParseException

        try:
            return self.session.spark.table(name.removeprefix(CATALOGUE))
        except (AnalysisException, ParseException) as error:
            what = f"Spark finds no such table ({shown(error.getCondition())})"
            fix = f"write {CATALOGUE}catalog.schema.table as Spark's SHOW TABLES lists it"
            raise DataRefused([Problem("no-table", name, what, fix)]) from error

    def _files(self, path: Path) -> Any:
        """A Parquet file, its rows numbered as in the file, or a folder of them."""
        from pyspark.sql import functions as f

        first = path if path.is_file() else min(path.rglob("*.parquet"))
        old = _unzoned(first)
        frame = self.session.spark.read.parquet(f"file:{path}")
        self._numbered = path.is_file()
        if self._numbered:
            frame = frame.select("*", (f.col("_metadata.row_index") + 1).alias(ROW))
        for name in old & set(frame.columns):
            frame = frame.withColumn(name, _named(name).cast("timestamp_ntz"))
        return frame


def ddl(schema: pa.Schema) -> str:
    """Write an Arrow schema as Spark's."""
    return ", ".join(f"{_quoted(field.name)} {_spark_type(field.type)}" for field in schema)


def _spark_type(kind: pa.DataType) -> str:
    if pa.types.is_struct(kind):
        return f"struct<{', '.join(f'{_quoted(field.name)}: {_spark_type(field.type)}' for field in kind)}>"
    return _SPARK_TYPES[kind]


def _unzoned(path: Path) -> set[str]:
    """Columns of INT96, which name no zone: Spark takes them for instants, a local reading does not.

    Raises
    ------
    DataRefused
        Times are nanoseconds.
    """
    with pq.ParquetFile(path) as file:
        columns = [file.schema.column(i) for i in range(len(file.schema))]
        schema = file.schema_arrow
    old = {c.path for c in columns if c.physical_type == "INT96"}
    fine = [f.name for f in schema if pa.types.is_timestamp(f.type) and f.type.unit == "ns" and f.name not in old]
    if fine:
        what = "the times are nanoseconds, which Spark does not read"
        fix = "store microseconds, or use --engine local"
        raise DataRefused([Problem("time-type", path.name, what, fix, column=name) for name in fine])
    return old


def _linked(rows: Any, links: Any) -> Any:
    """Replace merged and foreign ids by the lead they belong to from ``valid_from`` on."""
    from pyspark.sql import functions as f

    links = links.select("other_id", f.col("lead_id").alias("linked"), "valid_from")
    joined = rows.join(links, rows["lead_id"] == links["other_id"], "left")
    holds = f.expr("linked IS NOT NULL AND (valid_from IS NULL OR occurred_at >= valid_from)")
    lead = f.when(holds, f.col("linked")).otherwise(f.col("lead_id"))
    return joined.withColumn("lead_id", lead).drop("other_id", "linked", "valid_from")


def _judged(rows: Any, known: Any) -> Any:
    """Add each lead's status, and whether the event lies before its creation."""
    from pyspark.sql import functions as f

    joined = rows.join(known, "lead_id", "left")
    return joined.withColumns(
        {
            "status": f.coalesce(f.col("status").cast("int"), f.lit(UNKNOWN)),
            "early": f.coalesce(f.col("occurred_at") < f.col("created_at"), f.lit(False)),  # noqa: FBT003
        }
    ).drop("created_at")


def _suppressed(rows: Any, suppressed: Any) -> Any:
    from pyspark.sql import functions as f

    if suppressed is None:
        return rows.withColumn("suppressed", f.lit(False))  # noqa: FBT003
    marked = suppressed.distinct().withColumn("suppressed", f.lit(True))  # noqa: FBT003
    return rows.join(marked, "lead_id", "left").fillna({"suppressed": False})


def _named(name: str) -> Any:
    from pyspark.sql import functions as f

    return f.col(_quoted(name))


def _quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"
