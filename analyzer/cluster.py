"""The shards of a run on a cluster: the PySpark API drives `shards.judge_shard`, on Sail or on Spark, and everything stays in files.

A row of `contacts/` or `side/` goes to whoever has its shard (`groupBy("shard").applyInArrow`); its parts are written back as Parquet by
the cluster, and read from there piece by piece when the run is put together: nothing is collected by the driver. Driver and workers see
one storage under one path, and have one version of this program; who reads words with other lexicons is refused.

* A skewed borrower: a circle is never cut, so the shard it falls into is as large as it is; `dunaudit shard` says how large that is.
* A lost worker, a retried task: a shard is a pure function of its rows, and the cluster commits what a task wrote once. A shard that came
  twice or not at all is noticed when the run is put together, and nothing is published.
* A rule that fails in one shard is not evaluated in the run, as on one machine.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
from pyarrow import parquet

from analyzer.errors import UsageError
from analyzer.shards import Law, judge_shard

_SCHEMA = "shard int, name string, rows binary"


def judge_remotely(remote: str, folder: Path, law: Law, out: Path) -> Iterator[pa.Table]:
    """Have a cluster judge all shards of a folder into `out`, and give the parts one after another.

    Args:
        remote: a Spark Connect address, as sc://host:15002.
        folder: the folder of shards, under a path that every worker has.
        law: what they are judged by.
        out: where the cluster writes; likewise.

    Raises:
        UsageError: the extra `cluster` is not installed, or the cluster ends the job.
    """
    # The client's own test helpers, which it imports, end the process where they find no Spark; the client alone has none.
    os.environ.setdefault("SPARK_HOME", "-")
    try:
        from pyspark.errors import PySparkException
        from pyspark.sql.connect.session import SparkSession
    except ModuleNotFoundError as error:
        raise UsageError("cluster.not_installed") from error

    def judge(rows: pa.Table) -> pa.Table:
        return judge_shard(rows, law)

    try:
        spark = SparkSession.builder.remote(remote).create()
        try:
            contacts, side = (spark.read.parquet(str(folder.resolve() / name)) for name in ("contacts", "side"))
            rows = contacts.unionByName(side, allowMissingColumns=True)
            rows.groupBy("shard").applyInArrow(judge, _SCHEMA).write.mode("overwrite").parquet(str(out.resolve()))
        finally:
            spark.stop()
    except PySparkException as error:
        # Only the kind of failure is said: the message may quote a value of the logs.
        raise UsageError("cluster.failed", why=type(error).__name__) from error
    yield from parts_in(out)


def parts_in(folder: Path) -> Iterator[pa.Table]:
    """The parts that were written into a folder, a few at a time."""
    for path in sorted(folder.rglob("*.parquet")):
        with parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=4, columns=["shard", "name", "rows"]):
                yield pa.Table.from_batches([batch])
