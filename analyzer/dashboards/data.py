"""Data: what was read and what became of it; files uploaded and audited into a new run, which is whole or not there."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import streamlit as st

from analyzer import audit, intake, review, rules, summary
from analyzer.dashboards._blocks import ask, completeness_line, field, lang, picked_row, plain, run_path, sentence, shown, t, table, unveiled, whole_run
from analyzer.dashboards._identity import may, me
from analyzer.errors import DunAuditError
from analyzer.messages import keys

BATCHES = ("file", "table_name", "rows_read", "loaded", "rejected", "duplicate", "adds_up", "encoding", "zone", "date_order", "bytes")
REJECTS = ("file", "row_no", "reason", "detail", "original")
CELLS = ("file", "column_name", "problem", "cells", "first_row_no", "words")
KINDS = ["json", "html", "xml", "csv", "tsv", "txt", "xlsx", "xlsm", "xls", "ods", "jsonl", "ndjson", "parquet"]
MAPPINGS = ["yaml", "yml"]
ROWS = 50
ALL = 0


# What was read
def batches(rows: list[summary.Row]) -> None:
    st.subheader(t("page.data.batches"))
    told = summary.reconciled(rows)
    st.caption(t("page.data.adds_up" if told["adds_up"] else "page.data.adds_not_up", **{k: f"{told[k]:,}" for k in ("rows_read", "loaded", "rejected", "duplicate")}))
    lines = [r | {"adds_up": r["rows_read"] == r["loaded"] + r["rejected"] + r["duplicate"], "table_name": table_name(r["table_name"])} for r in rows]
    picked = picked_row(table(lines, BATCHES, t("page.data.batches"), on_select="rerun", selection_mode="single-row", key="data_batches", height=420 if len(lines) > 11 else "auto"), rows)
    for row in rows:
        if row["encoding_certain"] is False:
            st.caption(t("talk.uncertain", file=plain(row["file"]), encoding=plain(row["encoding"])))
    mapping(picked or rows[0])


def table_name(name: str) -> str:
    key = f"word.table_{name}"
    return t(key) if key in keys() else name


def mapping(batch: summary.Row) -> None:
    st.subheader(t("page.data.mapping", file=plain(batch["file"])))
    st.caption(t("page.data.mapping_help", mapping=plain(ask(summary.run)["mapping"]), zone=plain(batch["zone"]), whose=t(f"page.data.zone_{batch['zone_from']}")))
    lines = [{"canonical": field(name), "key": name, "in_file": t("page.comma").join(map(str, found)) if isinstance(found, list) else str(found)} for name, found in json.loads(batch["mapped"]).items()]
    table(lines, ("canonical", "in_file", "key"), t("page.data.mapping", file=batch["file"]), height=320 if len(lines) > 8 else "auto")
    unread = json.loads(batch["unmapped"])
    if unread:
        st.write(t("page.data.unmapped", count=len(unread)))
        st.dataframe([{t("inspect.in_file"): name} for name in unread], hide_index=True, alt=t("page.data.unmapped", count=len(unread)))


def rejects(rows: list[summary.Row]) -> None:
    st.subheader(t("page.data.rejects"))
    counts = ask(summary.rejected)
    if not counts:
        st.caption(t("page.data.no_rejects"))
        return
    table([r | {"reason": t(r["reason"])} for r in counts], ("file", "reason", "detail", "rows"), t("page.data.rejects"))
    names = {ALL: t("page.all")} | {r["batch_id"]: r["file"] for r in rows if r["rejected"]}
    batch = st.selectbox(t("column.file"), list(names), format_func=names.__getitem__, key="data_rejects_of", width=420)
    _, total = ask(summary.rejects, batch or None, 0, 0)
    pages = -(-total // ROWS)
    above = st.container()
    page = st.pagination(pages, key=f"data_rejects_page_{batch}") if pages > 1 else 1
    found, _ = ask(summary.rejects, batch or None, ROWS, (page - 1) * ROWS)
    with above:
        # Nobody knows whose names and numbers stand in a row that could not be read: all of it is covered.
        told = unveiled("rejects", f"{run_path().stem}/{batch}", t("page.data.reveal"), rows=total)
        found = found if told else [r | {"original": "＊" * len(r["original"] or "")} for r in found]
        st.caption(t("page.data.originals" if told else "page.data.covered", first=(page - 1) * ROWS + 1, last=(page - 1) * ROWS + len(found), total=f"{total:,}"))
        table([r | {"reason": t(r["reason"])} for r in found], REJECTS, t("page.data.rejects"))


def cells() -> None:
    st.subheader(t("page.data.cells"))
    found = ask(summary.cell_problems)
    if not found:
        st.caption(t("page.data.no_cells"))
        return
    table([r | {"column_name": field(r["column_name"]), "problem": t(f"word.{r['problem']}")} for r in found], CELLS, t("page.data.cells"))
    st.caption(t("page.data.cells_help"))


# A new run
def file_name(name: str, number: int, taken: set[str]) -> str:
    """A name for a file as it was uploaded: never a path, never hidden, never that of another (some systems take no notice of case)."""
    path = Path(re.sub(r"[\x00-\x1f/\\:]", "_", Path(name).name).lstrip(".~$") or f"file-{number}")
    names = (path.name, *(f"{path.stem}-{n}{path.suffix}" for n in range(2, len(taken) + 3)))
    found = next(one for one in names if one.casefold() not in taken)
    taken.add(found.casefold())
    return found


def make(files: Sequence[tuple[str, bytes]], house: bytes | None, to: Path, name: str, by_choice: Sequence[str], at: list[tuple[str, int, int]], who: str) -> audit.RunResult:
    """Audit uploaded files into a run, and say so in the action log. In a thread of its own: whoever leaves the page meanwhile does not cut it off; the files go with it."""
    with TemporaryDirectory(prefix="dunaudit-") as folder:
        given = Path(folder) / "files"
        given.mkdir()
        taken: set[str] = set()
        for number, (written, data) in enumerate(files, start=1):
            (given / file_name(written, number, taken)).write_bytes(data)
        mapping_ = None
        if house is not None:
            path = Path(folder) / "mapping.yaml"
            path.write_bytes(house)
            mapping_ = intake.load_mapping(path)

        result = audit.run([str(given)], to, mapping=mapping_, run_id=name, with_packs=by_choice, progress=lambda step, done, total: at.append((step, done, total)))
        review.Reviews(to).act(who, "audit", result.run_id, files=len(files), findings=result.findings)
        return result


def follow(job: Future[audit.RunResult], at: list[tuple[str, int, int]]) -> audit.RunResult:
    """Show how far it is until it is done."""
    bar = st.progress(0.0, t("page.data.begins"))
    while not job.done():
        if at:
            name, done, total = at[-1]
            # A step is named after the words, a rule (pack/id) or a file.
            step = t("talk.words") if name == "words" else t("page.data.judges") if "/" in name else t("page.data.reads")
            bar.progress(min(done / max(total, 1), 1.0), t("page.data.step", step=step, done=f"{done:,}", total=f"{total:,}"))
        time.sleep(0.2)
    bar.empty()
    return job.result()


@st.cache_data(show_spinner=False, max_entries=1)
def packs_by_choice() -> dict[str, dict[str, str]]:
    return {p.id: {"zh": p.title.zh, "en": p.title.en} for p in rules.load(rules.rules_folder())[0] if p.by_choice}


def new_run() -> None:
    st.subheader(t("page.data.new"))
    made = st.session_state.pop("data_made", None)
    if made:
        st.success(t("page.data.made", **{k: plain(v) for k, v in made.items()}))
    st.caption(t("page.data.new_help"))
    with st.form("data_new", clear_on_submit=False):
        files = st.file_uploader(t("page.data.files"), accept_multiple_files=True, type=KINDS, key="data_files")
        left, right = st.columns(2)
        name = left.text_input(t("page.data.name"), value=f"{datetime.now(UTC):%Y%m%dT%H%M}", key="data_name", max_chars=80)
        choice = packs_by_choice()
        with_packs = right.multiselect(t("page.data.by_choice"), list(choice), format_func={p: said[lang()] for p, said in choice.items()}.__getitem__, key="data_packs", placeholder=t("page.none"), select_all=False)
        house = st.file_uploader(t("page.data.house"), type=MAPPINGS, key="data_house")
        sent = st.form_submit_button(t("page.data.audit"), key="data_audit")
    if not sent:
        return
    if not files:
        st.error(t("page.data.no_files"))
        return
    at: list[tuple[str, int, int]] = []
    pool = ThreadPoolExecutor(1)
    try:
        given = [(f.name, f.getvalue()) for f in files]
        job = pool.submit(make, given, house.getvalue() if house else None, Path(st.session_state["folder"]), name.strip(), with_packs, at, me().id)
        result = follow(job, at)
    except DunAuditError as error:
        st.error(sentence(error))
        return
    finally:
        pool.shutdown(wait=False)
    # The page begins anew with the new run chosen.
    st.session_state["run_wanted"] = result.run_id
    st.session_state["data_made"] = {"run": result.run_id, "contacts": f"{sum(b.loaded for b in result.batches if b.table == 'contacts'):,}", "findings": f"{result.findings:,}", "rejected": f"{sum(b.rejected for b in result.batches):,}"}
    st.rerun()


def main() -> None:
    st.title(t("page.data"))
    if may("audit"):
        new_run()
    if "run_path" not in st.session_state or not Path(st.session_state["run_path"]).is_file():
        return
    # What was read, and what was refused of it, is nobody's part of a run.
    if not whole_run():
        return
    told = ask(summary.run)
    st.subheader(t("page.data.run", run=plain(told["run_id"])))
    st.caption(t("page.data.run_help", started=shown("at", told["started_utc"]), finished=shown("at", told["finished_utc"]), program=plain(told["program"])))
    rows = ask(summary.batches)
    if not rows:
        st.info(t("page.empty_run"))
        return
    batches(rows)
    completeness_line()
    rejects(rows)
    cells()


main()
