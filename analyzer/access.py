"""Who may do what, and who sees which rows: one gate, one table of roles, and a connection that shows a person his part of a run and no more.

A person is known from a login (OIDC claims) or from a proxy's headers, and the users file says what he may do:

    login: oidc                # or proxy
    claims:                    # names of the claims, or of the proxy's headers
      user: email              # who it is: the name in the action log
      name: name               # how the page calls him
      role: roles              # only if roles are to come from the claims; likewise team, vendor, agent
      team: team
    roles: {ops-leads: team_lead}      # the provider's word -> a role; without this a claim must hold a role itself
    two_level: [critical, high]        # severities whose verdicts a second person confirms
    session_hours: 12                  # a login older than this is none
    people:                            # whoever stands here has this role and these rows, whatever the claims say
      wang@example.com: {name: 王主任, role: compliance_officer}
      li@example.com: {role: team_lead, teams: [一组], vendors: [甲公司]}
      a1@example.com: {role: agent, agents: [A1]}

Whoever cannot be placed sees nothing. Without a users file the pages serve one person on this machine, who may do everything.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import duckdb
import pyarrow as pa
import pyarrow.parquet as parquet
import pydantic
from pydantic import Field

from analyzer import redact, runs, store, yamlfile
from analyzer.errors import InputError, UsageError
from analyzer.model import LOCAL as LOCAL
from analyzer.model import Outcome
from analyzer.rules import SEVERITIES
from analyzer.sql import literal
from analyzer.yamlfile import Strict

Role = Literal["compliance_officer", "reviewer", "auditor", "team_lead", "agent", "administrator"]
ROLES: tuple[Role, ...] = get_args(Role)
ACTIONS = ("view", "judge", "bulk", "assign", "suppress", "appeal", "sample", "coach", "reveal", "export", "rules", "audit", "log")
"""view pages; judge findings; many at once; give tasks; suppress and approve; appeal; draw samples and examine contacts; set coaching tasks; reveal
names; take data away; change rules; audit new data; read the action log."""
# Who judges does not run the system, who runs it does not judge, who checks both only reads.
_ALLOWED: Mapping[str, frozenset[str]] = {
    "compliance_officer": frozenset(ACTIONS) - {"appeal"},
    "reviewer": frozenset({"view", "judge", "sample"}),
    "auditor": frozenset({"view", "export", "log"}),
    "team_lead": frozenset({"view", "assign", "coach"}),
    "agent": frozenset({"view", "appeal"}),
    "administrator": frozenset({"view", "rules", "audit", "log"}),
    LOCAL: frozenset(ACTIONS),
}
# Without these the role has no rows: its scope is what it is.
_NEEDS = {"team_lead": "teams", "agent": "agents"}


@dataclass(frozen=True)
class Scope:
    """Whose rows: a contact is shown if its team, vendor and collector are each among those named; None names all, an empty tuple nobody."""

    teams: tuple[str, ...] | None = None
    vendors: tuple[str, ...] | None = None
    agents: tuple[str, ...] | None = None

    @property
    def everything(self) -> bool:
        """Whether it leaves nothing out."""
        return self.teams is None and self.vendors is None and self.agents is None

    def condition(self, alias: str) -> str:
        """SQL over a table with the columns team, vendor and agent_id. Names become literals, since a view takes no parameters."""
        told = [(f"{alias}.{column}", names) for column, names in (("team", self.teams), ("vendor", self.vendors), ("agent_id", self.agents)) if names is not None]
        # A row whose team is not known belongs to no team.
        return " AND ".join(["true", *(f"coalesce({column} IN {literal(names)}, false)" if names else "false" for column, names in told)])


EVERYTHING = Scope()


@dataclass(frozen=True)
class User:
    """Somebody who was let in: `id` is who he is in the action log, `name` how the page calls him, `role` one of `ROLES` or `LOCAL`."""

    id: str
    name: str
    role: str
    rows: Scope = EVERYTHING
    two_level: tuple[str, ...] = ()


def allowed(role: str, action: str) -> bool:
    """Whether a role may do something; a role that is not known may do nothing.

    Raises:
        KeyError: there is no such action.
    """
    if action not in ACTIONS:
        raise KeyError(action)
    return action in _ALLOWED.get(role, frozenset())


def require(user: User, action: str) -> None:
    """The gate.

    Raises:
        UsageError: the user may not.
    """
    if not allowed(user.role, action):
        raise UsageError(f"access.denied_{action}")


def scope(user: User) -> Scope:
    """The rows a user sees. A role that is bound to a team or a collector and names none sees nothing."""
    needed = _NEEDS.get(user.role)
    if not allowed(user.role, "view") or (needed and getattr(user.rows, needed) is None):
        return Scope((), (), ())
    return user.rows


# The users file
_Names = Annotated[list[Annotated[str, Field(min_length=1)]], Field(min_length=1)]


class _Person(Strict):
    role: Role
    name: str = ""
    teams: _Names | None = None
    vendors: _Names | None = None
    agents: _Names | None = None

    @pydantic.model_validator(mode="after")
    def _has_rows(self) -> _Person:
        needed = _NEEDS.get(self.role)
        if needed and getattr(self, needed) is None:
            raise ValueError(f"{self.role} needs {needed}")
        return self


class _Claims(Strict):
    user: Annotated[str, Field(min_length=1)] = "email"
    name: str | None = None
    role: str | None = None
    team: str | None = None
    vendor: str | None = None
    agent: str | None = None


class Users(Strict):
    """A users file: see the module."""

    login: Literal["oidc", "proxy"]
    claims: _Claims = _Claims()
    roles: dict[str, Role] = Field(default_factory=dict)
    two_level: list[Literal["critical", "high", "medium", "low"]] = Field(default_factory=list)
    session_hours: Annotated[int, Field(ge=1, le=720)] = 12
    people: dict[str, _Person] = Field(default_factory=dict)

    @pydantic.model_validator(mode="after")
    def _reachable(self) -> Users:
        if not self.people and not self.claims.role:
            raise ValueError("nobody can get in: name people, or the claim that holds the role")
        if len({_key(name) for name in self.people}) != len(self.people):
            raise ValueError("people: two names are the same but for case or blanks")
        return self

    def meant(self, said: str, action: str) -> str:
        """The id of whoever is meant by an id or a name, blanks and case aside.

        Raises:
            UsageError: the file names everybody and nobody so, or he may not do that.
        """
        key = _key(said)
        found = [(name, person.role) for name, person in self.people.items() if key in (_key(name), _key(person.name))]
        if not found and self.claims.role:
            # Whom the provider gives a role need not be in the file.
            return said.strip()
        if len(found) != 1 or not allowed(found[0][1], action):
            raise UsageError(f"access.nobody_{action}", name=said.strip()[:80])
        return found[0][0]

    def headers(self) -> dict[str, str]:
        """The proxy's headers that are read, each kept under its own name; none unless the file says proxy."""
        told = self.claims.model_dump()
        return {header: header for header in told.values() if header} if self.login == "proxy" else {}


assert set(get_args(get_args(Users.model_fields["two_level"].annotation)[0])) == set(SEVERITIES)


def load_users(path: Path) -> Users:
    """Read a users file strictly.

    Raises:
        UsageError: it is not there, is not YAML, or holds an unknown key, role or severity, or a person without rows; the sentence says where.
    """
    # A key of `people` is somebody's address: the line says enough.
    return yamlfile.settings(path, Users, private="people")


def identify(users: Users, facts: Mapping[str, Any], now: float) -> User:
    """Who somebody is by what the provider or the proxy says of him.

    Args:
        users: the users file.
        facts: claims, or headers by name.
        now: seconds since 1970, for the age of a login.

    Raises:
        UsageError: nobody, a login that is too old, an address nobody has verified, no role or more than one, or a role without its rows.
    """
    if users.login == "oidc" and facts.get("is_logged_in") is not True:
        raise UsageError("access.login")
    who = facts.get(users.claims.user)
    if not isinstance(who, str) or not who.strip():
        raise UsageError("access.nobody")
    if users.login == "oidc":
        issued = facts.get("iat")
        # A time that is none, or lies ahead of our clock by more than clocks differ, says nothing of the login's age.
        if not isinstance(issued, int | float) or isinstance(issued, bool) or not -300 <= now - issued <= users.session_hours * 3600:
            raise UsageError("access.expired")
        if users.claims.user == "email" and facts.get("email_verified", True) not in (True, "true"):
            raise UsageError("access.unverified")
    person = next((p for name, p in users.people.items() if _key(name) == _key(who)), None)
    if person is None:
        person = _claimed(users, facts)
    rows = Scope(*(None if names is None else tuple(names) for names in (person.teams, person.vendors, person.agents)))
    called = facts.get(users.claims.name) if users.claims.name else None
    return User(who.strip(), person.name or (called.strip() if isinstance(called, str) else "") or who.strip(), person.role, rows, tuple(users.two_level))


def _claimed(users: Users, facts: Mapping[str, Any]) -> _Person:
    told = {name: _words(facts.get(claim)) if claim else [] for name, claim in users.claims.model_dump().items()}
    known = {users.roles.get(word) if users.roles else word for word in told["role"]} & set(ROLES)
    if len(known) != 1:
        raise UsageError("access.no_role" if not known else "access.two_roles")
    # A claim that is there and names no rows names nobody's; a reviewer of whom none is there is nobody's either, where the file has such claims.
    bounds = {name: claim for name, claim in users.claims.model_dump().items() if name in ("team", "vendor", "agent") and claim}
    if any(facts.get(claim) is not None and not told[name] for name, claim in bounds.items()) or (bounds and known == {"reviewer"} and not any(told[name] for name in bounds)):
        raise UsageError("access.no_rows")
    try:
        return _Person.model_validate({"role": known.pop(), **{f"{name}s": told[name] or None for name in ("team", "vendor", "agent")}})
    except pydantic.ValidationError as error:
        raise UsageError("access.no_rows") from error


def _words(value: object) -> list[str]:
    """The words of a claim: a list of texts, or one text with commas."""
    found = value if isinstance(value, list | tuple) else re.split(r"[,;]", value) if isinstance(value, str) else []
    return [word.strip() for word in found if isinstance(word, str) and word.strip()]


def _key(name: str) -> str:
    return name.strip().casefold()


# The part of a run that somebody sees
RUN = "run"
"""The name under which a connection made here has the whole file attached; only this module asks it."""
# Every name is a pseudonym made of the id it stands beside, so that it says nothing more than that does.
_PSEUDONYM = "CASE WHEN {name} IS NOT NULL THEN '{kind}-' || upper(left(sha256({of}), 6)) END"
_NAMES = {
    "cases": ("debtor_name", _PSEUDONYM.format(name="debtor_name", kind="D", of="debtor_id")),
    "persons": ("name", _PSEUDONYM.format(name="name", kind="P", of="case_id || '|' || person_id")),
    "agents": ("name", _PSEUDONYM.format(name="name", kind="A", of="agent_id")),
}
_OF_CASE = "case_id IN (SELECT case_id FROM main.seen_cases)"
# Tables of a scope: which rows. The counts of the batch a file was read in are the run's, whoever looks.
_ROWS = {
    "runs": "true", "batches": "true", "duplicates": "true", "cell_problems": "true", "provided": "true", "calendar_days": "true", "rules": "true",
    # A rejected row stands there as it was written, and nobody knows whose it is.
    "rejects": "false",
    **dict.fromkeys(("cases", "persons", "numbers", "instalments", "payments", "promises", "case_events", "arrears"), _OF_CASE),
    "agents": "{mine}", "trainings": "agent_id IN (SELECT agent_id FROM run.main.agents a WHERE {mine_a})",
    "contacts": "{mine}",
}  # fmt: skip
_MADE = ("signals", "findings", "finding_evidence", "rule_results")
_cubes = threading.Lock()


def connect(path: Path, rows: Scope = EVERYTHING, masked: bool = True) -> duckdb.DuckDBPyConnection:
    """A connection that has the tables of a run with the rows of a scope and pseudonyms for names; the caller closes it, `cursor` shares it.

    A finding is shown if one of its breaching contacts is; its collector, team, case and time are then those of the first of these, its
    ledger and its counts are of the contacts that are shown, and its measures and digests stay the whole finding's. Outcomes of rules are counted over the
    contacts shown, but judged over all, since a window may reach beyond them.

    Args:
        path: the run.
        rows: the scope.
        masked: False is for making a redacted edition and for nothing else: it has to know the names that it covers, so people and collectors are
            all there and called what they are called.

    Raises:
        InputError: the file is not a run of this version.
    """
    runs.connect(path).close()
    con = duckdb.connect(":memory:", config={"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"})
    try:
        con.execute("SET TimeZone = 'UTC'")
        con.execute(f"ATTACH {literal(str(path))} AS {RUN} (READ_ONLY)")
        if not rows.everything:
            _narrow(con, path, rows)
        for table, _ in store.schema():
            if not (table in _MADE and not rows.everything):
                name, pseudonym = _NAMES.get(table, ("", ""))
                chosen = f"* REPLACE ({pseudonym} AS {name})" if name and masked else "*"
                where = "true" if rows.everything or (not masked and table in (*_NAMES, "numbers")) else _ROWS[table].format(mine=rows.condition("t"), mine_a=rows.condition("a"))
                con.execute(f"CREATE VIEW main.{table} AS SELECT {chosen} FROM {RUN}.main.{table} t WHERE {where}")
        store.lock(con)
    except duckdb.Error as error:
        con.close()
        raise InputError("run.broken", name=path.name) from error
    return con


def _narrow(con: duckdb.DuckDBPyConnection, path: Path, rows: Scope) -> None:
    """The tables that must be made: the cases, findings, ledgers, signals and outcomes of the contacts that are shown."""
    con.execute(
        "CREATE TABLE seen AS SELECT seq, case_id, debtor_id, person_id, agent_id, team, vendor, channel, account_class, stage, at_utc, local_at, on_date"
        f" FROM {RUN}.main.contacts t WHERE {rows.condition('t')}"
    )
    con.execute("CREATE TABLE seen_cases AS SELECT DISTINCT case_id FROM seen")
    con.execute(f"CREATE TABLE signals AS SELECT s.* FROM {RUN}.main.signals s SEMI JOIN seen USING (seq)")
    con.execute(f"""
        CREATE TABLE findings AS
        SELECT f.* REPLACE (c.case_id AS case_id, c.debtor_id AS debtor_id, c.person_id AS person_id, c.agent_id AS agent_id, c.team AS team, c.vendor AS vendor,
                            c.channel::VARCHAR AS channel, c.account_class::VARCHAR AS account_class, c.stage::VARCHAR AS stage, c.at_utc AS first_utc,
                            c.local_at AS first_local, c.on_date AS on_date, m.breaches AS breaches, m.evidence AS evidence)
        FROM {RUN}.main.findings f
        JOIN (SELECT e.finding_id, arg_min(e.seq, e.ordinal) FILTER (WHERE e.role = 'breach') AS seq, count(DISTINCT e.seq) AS evidence,
                     count(DISTINCT e.seq) FILTER (WHERE e.role = 'breach') AS breaches
              FROM {RUN}.main.finding_evidence e SEMI JOIN seen USING (seq) GROUP BY e.finding_id HAVING breaches > 0) m USING (finding_id)
        JOIN seen c ON c.seq = m.seq
    """)
    con.execute(f"CREATE TABLE finding_evidence AS SELECT e.* FROM {RUN}.main.finding_evidence e SEMI JOIN findings USING (finding_id) SEMI JOIN seen USING (seq)")
    con.execute(f"CREATE TABLE rule_results AS SELECT * FROM {RUN}.main.rule_results LIMIT 0")
    con.register("cube_given", outcomes(path))
    size = int(con.execute("SELECT count(*) FROM seen").fetchall()[0][0])
    con.execute(f"INSERT INTO rule_results SELECT rule, outcome, missing, sum(contacts)::BIGINT, NULL FROM cube_given t WHERE {rows.condition('t')} GROUP BY ALL")
    con.unregister("cube_given")
    # What is the same for all contacts is not counted one by one.
    told = con.execute(f"SELECT rule, outcome, any_value(reason) FROM {RUN}.main.rule_results GROUP BY rule, outcome").fetchall()
    somewhere = {rule for rule, outcome, _ in told if outcome != Outcome.NOT_APPLICABLE.value}
    alike = [(rule, outcome, size, reason) for rule, outcome, reason in told if outcome == Outcome.NOT_EVALUATED.value or rule not in somewhere]
    for rule, outcome, contacts, reason in alike:
        con.execute("INSERT INTO rule_results VALUES (?, ?, NULL, ?, ?)", [rule, outcome, contacts, reason])
    con.execute("DROP TABLE seen")


CUBE = ".outcomes.parquet"
"""Beside a run, under its name: outcomes of its rules by team, vendor and collector, kept once they were counted."""


@lru_cache(maxsize=4)
def _cube(path: str, changed: int) -> Any:
    """That table. A run never changes, so it is counted once; where nothing can be kept beside the run, once for each server."""
    run = Path(path)
    kept = run.with_suffix(CUBE)
    con = runs.connect(run)
    try:
        # Whose outcomes they are stands in the file: another run may have been given this one's name.
        mark = "|".join(map(str, con.execute("SELECT run_id, program, finished_utc, data_digest, rules_digest FROM runs").fetchall()[0]))
        told = _kept_cube(kept, mark)
        if told is not None:
            return told
        cube = _counted(con).replace_schema_metadata({_MARK: mark})
    finally:
        con.close()
    making = kept.with_name(f".{kept.name}.{os.getpid()}")
    try:
        parquet.write_table(cube, making)
        making.replace(kept)
    except OSError:
        making.unlink(missing_ok=True)
    return cube


_MARK = b"run"


def _kept_cube(path: Path, mark: str) -> Any:
    """The table kept beside a run; None where there is none, it is of another run, or it cannot be read."""
    if not path.is_file():
        return None
    try:
        told = parquet.read_table(path)
    except (OSError, pa.ArrowException):
        return None
    return told if (told.schema.metadata or {}).get(_MARK) == mark.encode() else None


def outcomes(path: Path) -> pa.Table:
    """The outcomes of a run's rules by rule, outcome, missing fact, team, vendor and collector (`contacts`), of the whole run: for sums, never to be shown
    row by row to whoever sees a part.

    Raises:
        InputError: the file is not a run of this version.
    """
    with _cubes:
        return _cube(str(path), path.stat().st_mtime_ns)


def prepare(path: Path) -> None:
    """Count the outcomes of a run by team now, so that the first person with a part of it need not wait.

    Raises:
        InputError: the file is not a run of this version.
    """
    outcomes(path)


def _counted(con: duckdb.DuckDBPyConnection) -> Any:
    """Each rule judged again by the statements the run keeps; what is in scope and neither breach nor undetermined is clear."""
    judged = f"outcome NOT IN ({literal(Outcome.NOT_EVALUATED.value)}, {literal(Outcome.NOT_APPLICABLE.value)})"
    unjudged = f"SELECT rule FROM rule_results WHERE outcome = {literal(Outcome.NOT_EVALUATED.value)}"
    con.execute("CREATE TEMP TABLE places AS SELECT row_number() OVER () AS place, * FROM (SELECT DISTINCT team, vendor, agent_id FROM contacts)")
    con.execute(
        "CREATE TEMP TABLE whose AS SELECT c.seq, p.place FROM contacts c JOIN places p ON c.team IS NOT DISTINCT FROM p.team AND c.vendor IS NOT DISTINCT FROM p.vendor"
        " AND c.agent_id IS NOT DISTINCT FROM p.agent_id"
    )
    con.execute("CREATE TEMP TABLE counted (rule VARCHAR, outcome VARCHAR, missing VARCHAR, place BIGINT, contacts BIGINT)")
    for rule, hits, standing in con.execute(
        f"SELECT rule, hits_sql, standing_sql FROM rules WHERE rule IN (SELECT rule FROM rule_results WHERE {judged}) AND rule NOT IN ({unjudged}) ORDER BY rule"
    ).fetchall():
        con.execute(
            f"""
            INSERT INTO counted
            WITH told AS (SELECT t.role, t.missing, place, count(*) AS contacts FROM (
                    SELECT DISTINCT seq, role, CASE role WHEN 'undetermined' THEN missing END AS missing FROM ({hits})
                    WHERE role IN ('breach', 'undetermined')) t JOIN whose USING (seq) GROUP BY ALL),
            stands AS (SELECT CASE WHEN standing IN ('in_scope', 'undetermined') THEN 'clear' ELSE standing END AS standing, place, count(*) AS contacts
                       FROM ({standing}) JOIN whose USING (seq) GROUP BY ALL)
            SELECT $rule, role, missing, place, contacts FROM told
            UNION ALL SELECT $rule, standing, NULL, place, contacts FROM stands
            UNION ALL SELECT $rule, 'clear', NULL, place, -contacts FROM told
            """,
            {"rule": rule},
        )
    return con.sql(
        "SELECT rule, outcome, missing, team, vendor, agent_id, sum(contacts)::BIGINT AS contacts FROM counted JOIN places USING (place) GROUP BY ALL HAVING sum(contacts) <> 0"
    ).to_arrow_table()


# Names
# Whose names: those of a case's debtor stand in his other cases too, and whoever contacted is seen though his row of the staff list is not.
_WHOSE = {
    "cases": "debtor_id IN (SELECT debtor_id FROM main.cases WHERE case_id IN (SELECT unnest($ids::VARCHAR[])))",
    "persons": "case_id IN (SELECT case_id FROM main.cases WHERE case_id IN (SELECT unnest($ids::VARCHAR[])))",
    "agents": "agent_id IN (SELECT unnest($ids::VARCHAR[])) AND (agent_id IN (SELECT agent_id FROM main.agents) OR agent_id IN (SELECT agent_id FROM main.contacts))",
}


def names(con: duckdb.DuckDBPyConnection, case_ids: Iterable[str] = (), agent_ids: Iterable[str] = ()) -> list[tuple[str, str]]:
    """The names behind the pseudonyms of some cases and collectors, of those that the connection shows: (pseudonym, name), sorted. One id may have
    several names, and each is told. Showing one is a `reveal`."""
    found: set[tuple[str, str]] = set()
    for table, ids in (("cases", case_ids), ("persons", case_ids), ("agents", agent_ids)):
        column, pseudonym = _NAMES[table]
        chosen = [i for i in ids if i]
        if chosen:
            found |= set(con.execute(f"SELECT DISTINCT {pseudonym}, {column} FROM {RUN}.main.{table} WHERE {column} IS NOT NULL AND {_WHOSE[table]}", {"ids": chosen}).fetchall())
    return sorted(found)


def veiled(rows: Sequence[Mapping[str, Any]], hidden: Iterable[str]) -> list[dict[str, Any]]:
    """Rows with the names covered in their `text` and in the words of their `marks`, however they are written (see `redact.covered`).

    A text is as long as it was, so that marks keep their places.
    """
    names = [name for name in hidden if name and name.strip()]
    made = [dict(row) for row in rows]
    if not names:
        return made
    marks = [mark for row in made for mark in row.get("marks") or ()]
    texts = [row["text"] for row in made if row.get("text")]
    told = iter(redact.covered([*texts, *(mark["words"] for mark in marks if "words" in mark)], names))
    for row in made:
        if row.get("text"):
            row["text"] = next(told)
    for row in made:
        if row.get("marks"):
            row["marks"] = [mark | ({"words": next(told)} if "words" in mark else {}) for mark in row["marks"]]
    return made
