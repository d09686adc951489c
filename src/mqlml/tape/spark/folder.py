"""The folder through which tables pass between this machine and the executors."""

from __future__ import annotations

import re
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.fs as pa_fs
import pyarrow.parquet as pq

from mqlml.errors import EngineError, UsageError, shown

__all__ = ["WorkFolder"]


@dataclass(frozen=True)
class WorkFolder:
    """A folder of its own, removed when the work is done.

    Parameters
    ----------
    files : pyarrow.fs.FileSystem
    path : str
        Within ``files``.
    prefix : str
        Before ``path`` as Spark is told.
    here : Path
        A folder of this machine, the same one where it can be.
    """

    files: pa_fs.FileSystem
    path: str
    prefix: str
    here: Path

    @classmethod
    def make(cls, place: str | None) -> WorkFolder:
        """Make a folder below ``place``, a path or an address that both Spark and pyarrow know (``hdfs://``, ``s3://``).

        Raises
        ------
        UsageError
            The address is of a kind that pyarrow does not know.
        EngineError
            The folder cannot be made.
        """
        name = f"mqlml-{uuid.uuid4().hex[:12]}"
        try:
            if place is None or "://" not in place:
                here = Path(tempfile.gettempdir() if place is None else place).resolve() / name
                here.mkdir(mode=0o700, parents=True)
                return cls(pa_fs.LocalFileSystem(), str(here), "file:", here)
            files, path = pa_fs.FileSystem.from_uri(re.sub("^s3[an]://", "s3://", place))
            here = Path(tempfile.mkdtemp(prefix="mqlml-spark-"))
            made = cls(files, f"{path.rstrip('/')}/{name}", place.removesuffix(path), here)
            files.create_dir(made.path)
        except pa.ArrowInvalid as error:
            raise UsageError(
                f"--spark-folder '{shown(place)}': this kind of address is not known.",
                hint="name a mounted folder, or an hdfs://, s3://, gs:// or abfss:// address",
            ) from error
        except OSError as error:
            raise EngineError(f"--spark-folder '{shown(place)}' cannot be written: {error}.") from error
        return made

    def spark(self, name: str) -> str:
        """Say where ``name`` is, for Spark."""
        return f"{self.prefix}{self.path}/{name}"

    def write(self, name: str, table: pa.Table | pa.RecordBatchReader) -> str:
        """Put a table there for Spark to read; returns where."""
        batches = table.to_batches() if isinstance(table, pa.Table) else table
        with pq.ParquetWriter(f"{self.path}/{name}.parquet", table.schema, filesystem=self.files) as writer:
            for batch in batches:
                writer.write_batch(batch)
        return self.spark(f"{name}.parquet")

    def parts(self, name: str) -> list[str]:
        """List the Parquet files that Spark wrote as ``name``, in the order of Spark's partitions."""
        selector = pa_fs.FileSelector(f"{self.path}/{name}", recursive=True)
        found = (entry.path for entry in self.files.get_file_info(selector) if entry.is_file)
        return sorted(path for path in found if path.endswith(".parquet"))

    def read(self, part: str) -> Iterator[pa.RecordBatch]:
        """Read a file of ``parts`` in batches."""
        with pq.ParquetFile(part, filesystem=self.files) as file:
            yield from file.iter_batches()

    def schema(self, part: str) -> pa.Schema:
        """Columns of a file of ``parts``."""
        return pq.read_schema(part, filesystem=self.files)

    def read_whole(self, part: str) -> pa.Table:
        """Read a file of ``parts``."""
        with pq.ParquetFile(part, filesystem=self.files) as file:
            return file.read()

    def remove(self) -> None:
        """Delete the folder with all that is in it."""
        shutil.rmtree(self.here, ignore_errors=True)
        if self.files.get_file_info(self.path).type != pa_fs.FileType.NotFound:
            self.files.delete_dir(self.path)
