"""The Spark engine: events are cleaned, sorted and played on executors, by the same code as on one machine."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from mqlml.errors import UsageError, shown
from mqlml.history.reading import read_history
from mqlml.tape.spark.folder import WorkFolder
from mqlml.tape.spark.session import OpenSession, SparkSettings, open_session
from mqlml.tape.spark.tape import SparkTape

if TYPE_CHECKING:
    from mqlml.config import Config
    from mqlml.history.contract import History
    from mqlml.tape.engine import Kinds

__all__ = ["SparkEngine", "SparkSettings"]


@dataclass(frozen=True)
class SparkEngine:
    """Spark, on this machine or a cluster.

    Parameters
    ----------
    settings : SparkSettings
    """

    settings: SparkSettings = field(default_factory=SparkSettings)

    def open(self, config: Config, *, kinds: Kinds | None = None) -> History:
        """Read a history whose events Spark reads and keeps until the history is closed.

        Raises
        ------
        DataRefused
            The data cannot be used.
        UsageError
            The executors of a cluster share no folder with this machine.
        EngineError
            Spark is missing, does not start or fails.
        """
        tape = self._start()
        try:
            history = read_history(config, kinds=kinds, remote=tape)
        except BaseException:
            tape.close()
            raise

        def cleanup() -> None:
            history.cleanup()
            tape.close()

        return replace(history, cleanup=cleanup)

    def _start(self) -> SparkTape:
        session = open_session(self.settings)
        try:
            if self.settings.folder is None and not session.is_local:
                _refuse_apart(session)
            return SparkTape(session, WorkFolder.make(self.settings.folder))
        except BaseException:
            session.close()
            raise


def _refuse_apart(session: OpenSession) -> None:
    master = session.spark.sparkContext.master
    raise UsageError(
        f"--spark-master {shown(master)}: this machine and the executors need a folder that both see.",
        hint="name one with --spark-folder, such as hdfs:///tmp or a mounted path",
    )
