"""Rules written and proved: `rules check`, `test`, `explain`, `new`, `keys`, `schema`, `coverage`, `hygiene`, `conflicts`."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from analyzer import casebook, coverage, explain, mutation, reference, rules, runs
from analyzer.cli.shared import Json, RulesFolder, RunFolder, RunName, emit_json, emit_table, errors, help_, language, listed, names, progress_bar, t, talk
from analyzer.errors import RuleErrors, UsageError
from analyzer.messages import say_row
from analyzer.model import ExitCode
from analyzer.tables import Sheet, csv_bytes
from analyzer.text import Words, load_words

app = typer.Typer(rich_markup_mode=None)


@app.command("check", help=help_("rules_check"))
def rules_check(folder: RulesFolder = None, json_: Json = False) -> None:
    """See the catalogue."""
    where = folder or rules.rules_folder()
    try:
        packs, prepared, words = casebook.check_all(where)
    except RuleErrors as error:
        if json_:
            emit_json([{"path": p.path, "line": p.line, "problem": p.text(language())} for p in error.problems])
        else:
            talk(error.text(language()))
        raise typer.Exit(error.exit_code) from error
    if json_:
        emit_json([])
    else:
        talk(t("talk.rules_ok", packs=len(packs), rules=len(prepared), lexicons=len(words.lexicons.items)))


@app.command("test", help=help_("rules_test"))
def rules_test(
    packs: Annotated[list[str] | None, typer.Argument(help=help_("packs"))] = None,
    mutate: Annotated[bool, typer.Option("--mutate", help=help_("mutate"))] = False,
    folder: RulesFolder = None, json_: Json = False,
) -> None:  # fmt: skip
    """See the catalogue."""
    with errors():
        where, chosen = folder or rules.rules_folder(), names(",".join(packs or []))
        words = load_words(rules.lexicon_folder(where))
        if mutate:
            _mutated(where, chosen, words, json_)
            return
        rules.select(where, chosen)
        # A near miss is of a rule of another pack, so all are loaded.
        loaded, problems = rules.load(where)
        results = casebook.run_cases(loaded, words, problems, where, chosen) + ([] if chosen else casebook.run_lexicon_examples(words.lexicons))
        failed = [r for r in results if not r.ok and not r.todo]
        if json_:
            emit_json({"cases": len(results), "failed": len(failed), "todo": sum(r.todo for r in results), "results": results})
        else:
            for result in failed:
                for contact, expected, found in result.wrong:
                    talk(t("talk.case_failed", rule=result.rule, case=result.case, contact=contact, expected=expected, found=found))
            talk(t("talk.cases", cases=len(results), failed=len(failed), todo=sum(r.todo for r in results)))
    if failed:
        raise typer.Exit(ExitCode.BAD_RULES)


def _mutated(where: Path, packs: Sequence[str], words: Words, json_: bool) -> None:
    """Changes that no case notices, and the share noticed by pack."""
    rules.select(where, [name.split("/")[0] for name in packs])
    loaded = rules.select(where)
    with progress_bar(json_) as progress:
        found = mutation.mutate(loaded, packs, words, where, lambda done, total: progress("mutate", done, total))
    scores = mutation.scores(found)
    if json_:
        emit_json({"packs": [dataclasses.asdict(s) | {"share": s.share} for s in scores], "unnoticed": [m for m in found if m.noticed is None]})
        return
    emit_table([t("column.rule"), t("column.change")], [[m.rule, m.what] for m in found if m.noticed is None])
    emit_table([t(f"column.{k}") for k in ("pack", "changes", "noticed", "share")], [[s.pack, s.changes, s.noticed, f"{s.share:.0%}"] for s in scores])


@app.command("explain", help=help_("rules_explain"))
def rules_explain(rule: Annotated[str, typer.Argument(help=help_("rule"))], folder: RulesFolder = None, json_: Json = False) -> None:
    """See the catalogue."""
    with errors():
        found = explain.find_rule(folder or rules.rules_folder(), rule)
        if json_:
            emit_json(listed(found) | {"why": found.why, "remedy": found.remedy, "not_covered": found.not_covered, "check": found.check, "examples": found.cases})
            return
        lang, console = language(), Console(highlight=False, width=None if sys.stdout.isatty() else 120)
        console.print(Text(f"{found.ref}  {found.title.in_(lang)}", style="bold"))
        console.print(Text("  ".join(t(f"word.{w}") for w in (found.severity, found.strength, found.effect, found.status))))
        for key, text in (("explain.why", found.why), ("explain.remedy", found.remedy), ("explain.not_covered", found.not_covered)):
            console.print(Text(t(key), style="bold"), Text(text.in_(lang)), sep="\n")
        for cite in found.citations:
            console.print(Text(t("explain.clause"), style="bold"), Text(f"{cite.instrument.in_(lang)}, {cite.clause.in_(lang)} ({t('word.' + cite.known)}, {cite.consulted})"), sep="\n")
        for value, spans in found.values.items():
            console.print(Text(f"{value}: " + "; ".join(f"{day} -> {v}" for day, v in spans)))
        for case in found.cases:
            console.print(Text(f"- {case['name']}: " + ", ".join(f"{t('word.' + str(o))} {', '.join(ids)}" for o, ids in case["expect"].items())))


@app.command("new", help=help_("rules_new"))
def rules_new(
    name: Annotated[str, typer.Argument(help=help_("new_name"))],
    target: Annotated[Path, typer.Option("--rules", help=help_("new_target"))],
    like: Annotated[str | None, typer.Option("--like", help=help_("new_like"))] = None,
    kind: Annotated[str, typer.Option("--kind", help=help_("new_kind"))] = "hours",
) -> None:
    """See the catalogue."""
    with errors():
        own = rules.rules_folder()
        shipped = [r for p in rules.select(own) for r in p.rules if r.kind == kind]
        if like is None and not shipped:
            raise UsageError("rules.unknown_kind", kind=kind[:40], have=", ".join(sorted({r.kind for p in rules.select(own) for r in p.rules})))
        path = explain.new_rule(name, explain.find_rule(own, like) if like else min(shipped, key=lambda r: (r.status != "stable", len(r.cases), r.ref)), target)
        talk(t("talk.rule_new", path=f"{path.parent.name}/{path.name}"))


@app.command("keys", help=help_("rules_keys"))
def rules_keys(markdown: Annotated[bool, typer.Option("--markdown", help=help_("markdown"))] = False, json_: Json = False) -> None:
    """See the catalogue."""
    found = reference.keys()
    if json_:
        emit_json(found)
    elif markdown:
        typer.echo(reference.markdown(), nl=False)
    else:
        lang = language()
        lines = [[k.within, k.key, k.type, "✓" if k.required else "", k.default, k.zh if lang == "zh" else k.en] for k in found]
        emit_table([t(f"column.{k}") for k in ("within", "key", "type", "required", "default", "meaning")], lines)


@app.command("schema", help=help_("rules_schema"))
def rules_schema() -> None:
    """See the catalogue."""
    emit_json(reference.schema())


@app.command("coverage", help=help_("rules_coverage"))
def rules_coverage(
    run: Annotated[Path | None, typer.Option("--run", "--runs", help=help_("run_folder"))] = None,
    markdown: Annotated[bool, typer.Option("--markdown", help=help_("markdown"))] = False,
    csv_: Annotated[bool, typer.Option("--csv", help=help_("coverage_csv"))] = False,
    folder: RulesFolder = None, json_: Json = False,
) -> None:  # fmt: skip
    """See the catalogue."""
    with errors():
        found, where = None, folder or rules.rules_folder()
        if run is not None:
            with runs.connect(runs.locate(run)) as con:
                found = coverage.findings_by_rule(con)
        rows, clauses = coverage.coverage(rules.select(where), found, coverage.measured(where))
    if json_:
        emit_json({"rows": rows, "clauses": clauses})
        return
    lang = language()
    by_row = [[say_row(r.row, lang), len(r.rules), r.cases, "-" if r.findings is None else r.findings, ", ".join(r.rules)] for r in rows]
    by_clause = [
        [c.pack, c.clause_zh if lang == "zh" else c.clause_en, t(f"word.{c.known}") if c.known != "-" else "-", t(f"word.{c.decided}"), len(c.rules), c.cases,
         "-" if c.findings is None else c.findings, "{:.2f} ({:.2f}-{:.2f})".format(*c.precision) if c.precision else "-"]
        for c in clauses
    ]  # fmt: skip
    tables: list[tuple[tuple[str, ...], list[list[Any]]]] = [
        (("serves", "rules", "cases", "findings", "rule"), by_row), (("pack", "clause", "known", "decided", "rules", "cases", "findings", "precision"), by_clause),
    ]  # fmt: skip
    if csv_:
        keys, lines = tables[1]
        typer.echo(csv_bytes(Sheet("coverage", tuple(t(f"column.{k}") for k in keys), [tuple(line) for line in lines])).decode("utf-8"), nl=False)
        return
    for keys, lines in tables:
        titles = [t(f"column.{k}") for k in keys]
        if markdown:
            typer.echo("\n".join(["| " + " | ".join(str(c).replace("|", "\\|") for c in line) + " |" for line in (titles, ["---"] * len(titles), *lines)]) + "\n")
        else:
            emit_table(titles, lines)


@app.command("hygiene", help=help_("rules_hygiene"))
def rules_hygiene(run: RunFolder = Path("runs"), name: RunName = None, json_: Json = False) -> None:
    """See the catalogue."""
    with errors(), runs.connect(runs.locate(run, name)) as con:
        found = coverage.hygiene(con)
    if json_:
        emit_json(found)
        return
    emit_table([t(f"column.{k}") for k in ("rule", "remark", "contacts", "out_of", "other")], [[r.rule, t(f"word.{r.what}"), r.contacts, r.of, r.other or ""] for r in found])


@app.command("conflicts", help=help_("rules_conflicts"))
def rules_conflicts(packs: Annotated[list[str] | None, typer.Argument(help=help_("packs"))] = None, folder: RulesFolder = None, json_: Json = False) -> None:
    """See the catalogue."""
    with errors():
        where = folder or rules.rules_folder()
        words = load_words(rules.lexicon_folder(where))
        with progress_bar(json_) as progress:
            found = coverage.conflicts(rules.select(where, names(",".join(packs or []))), words, lambda done, total: progress("conflicts", done, total))
    if json_:
        emit_json(found)
        return
    keys = ("policy", "against", "strength", "case", "contacts")
    emit_table([t(f"column.{k}") for k in keys], [[c.policy, c.against, t(f"word.{c.strength}"), c.case, ", ".join(c.contacts)] for c in found])
    talk(t("talk.conflicts", conflicts=len(found)))
