"""A run in shards: `shard`. Shards are judged by `audit --engine shards` or `audit --engine spark`."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from analyzer import audit, cluster, runs, shards
from analyzer.cli.auditing import mapping_of, settings_of
from analyzer.cli.shared import Json, Jurisdiction, MappingFile, Sources, Zone, emit_json, errors, help_, t, talk
from analyzer.errors import UsageError
from analyzer.legible import visible

app = typer.Typer(rich_markup_mode=None)


@app.command("shard", help=help_("shard"))
def shard_(
    sources: Sources,
    to: Annotated[Path, typer.Option("--to", help=help_("shard_to"))],
    count: Annotated[int, typer.Option("--shards", min=1, max=100_000, help=help_("shard_count"))] = 64,
    mapping: MappingFile = None,
    zone: Zone = None,
    jurisdiction: Jurisdiction = None,
    memory: Annotated[str | None, typer.Option("--memory", help=help_("memory"))] = None,
    json_: Json = False,
) -> None:
    """See the catalogue."""
    with errors():
        head = shards.prepare_shards(sources, to, count, mapping_of(mapping, sources), settings_of(zone, jurisdiction), memory)
    for file in head.left_out:
        talk(t("talk.left_out", file=visible(file)))
    if json_:
        emit_json({"folder": to.name, "contacts": head.contacts, "circles": head.circles, "shards": head.shards, "largest_circle": head.largest, "largest_shard": head.largest_shard, "left_out": head.left_out})
    else:
        talk(t("shards.prepared", name=to.name, contacts=head.contacts, circles=head.circles, shards=head.shards, largest=head.largest, shard=head.largest_shard))


def audit_shards(
    sources: Sequence[str], engine: str, remote: str | None, packs: Sequence[str], with_packs: Sequence[str], drafts: bool, to: Path, rules_folder: Path | None, memory: str | None, run_id: str | None,
) -> audit.RunResult:  # fmt: skip
    """Judge a folder of shards by an engine of `ENGINES` and publish the run.

    Raises:
        UsageError: no such engine, no address for it, or not exactly one folder.
    """
    if engine not in ENGINES:
        raise UsageError("cluster.engine", engine=engine[:40], have=", ".join(ENGINES))
    if len(sources) != 1:
        raise UsageError("shards.one_folder")
    folder, started = Path(sources[0]), datetime.now(UTC)
    law, every, loaded = shards.law_of(folder, packs, with_packs, drafts, rules_folder)
    command = f"audit engine={engine} packs={','.join(p.id for p in loaded)}{' drafts' if drafts else ''} shards={law.head.shards}"
    out = to / f".parts-{started:%Y%m%dT%H%M%S%fZ}"
    if engine == "spark":
        if not remote:
            raise UsageError("cluster.no_remote")
        to.mkdir(parents=True, exist_ok=True)
        parts = cluster.judge_remotely(remote, folder, law, out)
    else:
        parts = shards.judge_here(folder, law)
    try:
        result = shards.assemble(folder, parts, to, law, every, loaded, command, run_id, memory, started)
    finally:
        shutil.rmtree(out, ignore_errors=True)
    with runs.connect(result.path) as con:
        shards.write_findings(con, to / f"{result.run_id}.findings.parquet")
    return result


ENGINES = ("here", "shards", "spark")
