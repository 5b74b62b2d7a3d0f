"""Alerts: when a run has findings enough of a kind, say so where people look - and say nothing of anybody.

    lang: zh                                   # language of the messages: zh (default) or en
    channels:
      ops: {kind: webhook, url_env: OPS_HOOK, secret_env: OPS_SECRET}
      wecom: {kind: wecom, url_env: WECOM_HOOK}
      ding: {kind: dingtalk, url_env: DING_HOOK, secret_env: DING_SECRET}
      mail: {kind: email, host: mail.example.com, port: 587, sender: audit@example.com, to: [boss@example.com], user_env: MAIL_USER, password_env: MAIL_PASSWORD}
    alerts:
      - {name: 夜间联系, when: {rule: [cn-gbt-45251/quiet-hours]}, at_least: 1, to: [ops, mail]}
      - {name: 严重, when: {severity: [critical]}, new: false, at_least: 10, to: [wecom]}

`when` selects findings as everywhere (rule, pack, severity, strength, vendor, team, channel, class, stage), near misses only where it names
their rule or pack; of these `at_least` must be there, by default of those that the run before had not. An address or a password may stand in the environment instead of the file.
The message holds the alert's name, counts by severity and rule, and the run; no case, person, collector or text.
"""

from __future__ import annotations

import hmac
import json
import os
import smtplib
import ssl
import time
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from email.message import EmailMessage
from hashlib import sha256
from http.client import HTTPException
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.error import HTTPError
from urllib.parse import quote, urlsplit
from urllib.request import HTTPRedirectHandler, HTTPSHandler, ProxyHandler, Request, build_opener

import duckdb
import pydantic
from pydantic import Field

from analyzer import runs, store, summary, yamlfile
from analyzer.errors import UsageError
from analyzer.messages import say
from analyzer.model import Pack
from analyzer.rules import SEVERITIES, STRENGTHS
from analyzer.yamlfile import Strict

TRIES, FIRST_WAIT, TIMEOUT = 3, 1.0, 10.0
"""A message is tried so often, with twice the seconds in between each time, and given up after so many seconds."""
_MOST_RULES = 5
_SELECTORS = ("rule", "pack", "severity", "strength", "vendor", "team", "channel", "class", "stage")

_Name = Annotated[str, Field(min_length=1, max_length=60)]


class _Channel(Strict):
    kind: Literal["webhook", "wecom", "dingtalk", "email"]
    url: str | None = None
    url_env: str | None = None
    secret_env: str | None = None
    host: str | None = None
    port: Annotated[int, Field(ge=1, le=65535)] = 587
    tls: Literal["starttls", "tls", "none"] = "starttls"
    sender: str | None = None
    to: list[str] = Field(default_factory=list)
    user_env: str | None = None
    password_env: str | None = None

    @pydantic.model_validator(mode="after")
    def _whole(self) -> _Channel:
        if self.kind == "email":
            if not (self.host and self.sender and self.to):
                raise ValueError("email needs host, sender and to")
            if any("\n" in word or "\r" in word for word in (self.sender, *self.to)):
                raise ValueError("an address is one line")
        elif (self.url is None) == (self.url_env is None):
            raise ValueError("give url or url_env")
        elif self.url is not None and urlsplit(self.url).scheme not in ("http", "https"):
            raise ValueError("url must begin with http:// or https://")
        return self


class _Alert(Strict):
    name: _Name
    when: dict[str, list[str]] = Field(default_factory=dict)
    new: bool = True
    at_least: Annotated[int, Field(ge=1)] = 1
    to: Annotated[list[str], Field(min_length=1)]

    @pydantic.model_validator(mode="after")
    def _known(self) -> _Alert:
        if lost := sorted(set(self.when) - set(_SELECTORS)):
            raise ValueError(f"when: {', '.join(lost)} is none of {', '.join(_SELECTORS)}")
        lists = store.closed_lists()
        closed = {"severity": SEVERITIES, "strength": STRENGTHS, "channel": lists["channel_word"], "class": lists["class_word"], "stage": lists["stage_word"]}
        for name, have in closed.items():
            if lost := sorted(set(self.when.get(name, ())) - set(have)):
                raise ValueError(f"when.{name}: {', '.join(lost)} is none of {', '.join(have)}")
        return self


class Alerts(Strict):
    """An alerts file: see the module."""

    lang: Literal["zh", "en"] = "zh"
    channels: dict[_Name, _Channel]
    alerts: list[_Alert]

    @pydantic.model_validator(mode="after")
    def _joined(self) -> Alerts:
        if lost := sorted({name for alert in self.alerts for name in alert.to} - set(self.channels)):
            raise ValueError(f"no such channel: {', '.join(lost)}")
        if len({alert.name for alert in self.alerts}) != len(self.alerts):
            raise ValueError("two alerts have one name")
        return self


def load(path: Path) -> Alerts:
    """Read an alerts file strictly.

    Raises:
        UsageError: it is not there, is not YAML, or is no alerts file; the sentence says where.
    """
    return yamlfile.settings(path, Alerts)


def check_rules(settings: Alerts, packs: Iterable[Pack]) -> None:
    """Raises: UsageError: an alert waits for a rule or a pack that there is not; it would never be told."""
    have = {"pack": set[str](), "rule": set[str]()}
    for pack in packs:
        have["pack"].add(pack.id)
        have["rule"] |= {rule.ref for rule in pack.rules}
    for alert in settings.alerts:
        for kind, known in have.items():
            if lost := sorted(set(alert.when.get(kind, ())) - known):
                raise UsageError("alert.never", name=alert.name, what=", ".join(lost)[:200])


@dataclass(frozen=True)
class Message:
    """What is to be told: which alert, over which channel, in which words; `facts` are the same for a program."""

    alert: str
    channel: str
    text: str
    facts: dict[str, Any]


def due(settings: Alerts, run: Path, before: Path | None) -> list[Message]:
    """The messages that a run calls for.

    Args:
        settings: the alerts.
        run: the run's file.
        before: the run before it, whose findings are not new; None: all are new.
    """
    made = []
    with runs.connect(run) as con:
        name = summary.run(con)["run_id"]
        _known_before(con, before)
        for alert in settings.alerts:
            counts = _counts(con, alert)
            total = sum(row["findings"] for row in counts)
            if total < alert.at_least:
                continue
            severities = {s: n for s in SEVERITIES if (n := sum(r["findings"] for r in counts if r["severity"] == s))}
            rules = sorted(((r["rule"], r[f"title_{settings.lang}"], r["findings"]) for r in counts), key=lambda r: (-r[2], r[0]))
            text = _text(settings.lang, alert, name, total, severities, rules)
            facts = {"alert": alert.name, "run": name, "new": alert.new, "findings": total, "severity": severities, "rules": {rule: n for rule, _, n in rules}}
            made += [Message(alert.name, channel, text, facts) for channel in dict.fromkeys(alert.to)]
    return made


def _known_before(con: duckdb.DuckDBPyConnection, before: Path | None) -> None:
    con.execute("CREATE OR REPLACE TEMP TABLE known_before (finding_id VARCHAR)")
    if before is not None:
        with runs.connect(before) as old:
            con.register("given_before", old.sql("SELECT finding_id FROM findings").to_arrow_table())
        con.execute("INSERT INTO known_before SELECT * FROM given_before")
        con.unregister("given_before")


def _counts(con: duckdb.DuckDBPyConnection, alert: _Alert) -> list[dict[str, Any]]:
    where, params = summary.condition(alert.when)
    of = "findings" if {"rule", "pack"} & set(alert.when) else summary.BREACHES
    fresh = "AND finding_id NOT IN (SELECT finding_id FROM known_before)" if alert.new else ""
    return summary.rows(
        con,
        f"SELECT f.rule, f.severity, r.title_zh, r.title_en, count(*) AS findings FROM (SELECT * FROM {of} WHERE {where} {fresh}) f"
        " JOIN rules r ON r.rule = f.rule GROUP BY ALL ORDER BY f.rule",
        params,
    )


def _text(lang: str, alert: _Alert, run: str, total: int, severities: Mapping[str, int], rules: Sequence[tuple[str, str, int]]) -> str:
    comma = say("page.comma", lang)
    head = say("alert.new" if alert.new else "alert.all", lang, name=alert.name, findings=total, run=run)
    lines = [head, comma.join(f"{say(f'word.{s}', lang)} {n}" for s, n in severities.items()), *(f"{title} {n}" for _, title, n in rules[:_MOST_RULES])]
    if len(rules) > _MOST_RULES:
        lines.append(say("alert.more", lang, rules=len(rules) - _MOST_RULES))
    return "\n".join([*lines, say("alert.where", lang)])


class UndeliveredError(Exception):
    """A message did not arrive; `why` names neither address nor secret."""

    def __init__(self, why: str) -> None:
        """`why`: a class of error, or a status."""
        super().__init__(why)
        self.why = why


def deliver(settings: Alerts, message: Message, wait: Callable[[float], None] = time.sleep) -> None:
    """Send a message, and again if it fails.

    Raises:
        UsageError: the channel is gone, or the environment has not what it names.
        UndeliveredError: every try failed, or the answer says that none ever will succeed.
    """
    channel = settings.channels.get(message.channel)
    if channel is None:
        raise UsageError("alert.no_channel", channel=message.channel)
    send = {"webhook": _webhook, "wecom": _robot, "dingtalk": _dingtalk, "email": _mail}[channel.kind]
    for number in range(TRIES):
        try:
            return send(channel, message)
        except (OSError, HTTPException, smtplib.SMTPException) as error:
            # What the other side refuses for good is not asked for again.
            why = f"HTTP {error.code}" if isinstance(error, HTTPError) else type(error).__name__
            if number + 1 == TRIES or (isinstance(error, HTTPError) and error.code < 500 and error.code != 429):
                raise UndeliveredError(why) from error
            wait(FIRST_WAIT * 2**number)
    return None


def _of(channel: _Channel, key: str) -> str:
    name = getattr(channel, f"{key}_env")
    if name is None:
        return getattr(channel, key, None) or ""
    value = os.environ.get(name, "")
    if not value:
        raise UsageError("alert.no_variable", name=name)
    return value


class _Stays(HTTPRedirectHandler):
    """An address that sends elsewhere is not followed: what is told is for the one named only."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        """See urllib."""
        return


def _post(url: str, body: Mapping[str, Any], headers: Mapping[str, str] | None = None, data: bytes | None = None) -> bytes:
    request = Request(url, data or json.dumps(body, ensure_ascii=False).encode(), {"Content-Type": "application/json; charset=utf-8", **(headers or {})}, method="POST")
    with build_opener(_Stays, ProxyHandler(), HTTPSHandler(context=ssl.create_default_context())).open(request, timeout=TIMEOUT) as answer:
        found: bytes = answer.read(10_000)
        return found


def _webhook(channel: _Channel, message: Message) -> None:
    """JSON, with the HMAC-SHA256 of its bytes in X-DunAudit-Signature where there is a secret."""
    data = json.dumps({"text": message.text, **message.facts}, ensure_ascii=False).encode()
    secret = _of(channel, "secret") if channel.secret_env else ""
    signed = {"X-DunAudit-Signature": f"sha256={hmac.new(secret.encode(), data, sha256).hexdigest()}"} if secret else {}
    _post(_of(channel, "url"), {}, signed, data)


def _robot(channel: _Channel, message: Message, url: str = "") -> None:
    """A robot of WeCom or DingTalk, which answers 200 with an errcode."""
    answer = _post(url or _of(channel, "url"), {"msgtype": "text", "text": {"content": message.text}})
    try:
        code = json.loads(answer).get("errcode")
    except (ValueError, AttributeError):
        code = "?"
    if code != 0:
        raise UndeliveredError(f"errcode {code}")


def _dingtalk(channel: _Channel, message: Message) -> None:
    """Signed as DingTalk asks: the milliseconds and the secret, HMAC-SHA256 under the secret."""
    url = _of(channel, "url")
    if channel.secret_env:
        secret, stamp = _of(channel, "secret"), str(round(time.time() * 1000))
        sign = b64encode(hmac.new(secret.encode(), f"{stamp}\n{secret}".encode(), sha256).digest()).decode()
        url += f"{'&' if urlsplit(url).query else '?'}timestamp={stamp}&sign={quote(sign, safe='')}"
    _robot(channel, message, url)


def _mail(channel: _Channel, message: Message) -> None:
    letter = EmailMessage()
    letter["Subject"], letter["From"], letter["To"] = f"DunAudit: {' '.join(message.alert.split())}", channel.sender, ", ".join(channel.to)
    letter.set_content(message.text)
    kind = smtplib.SMTP_SSL if channel.tls == "tls" else smtplib.SMTP
    with kind(channel.host or "", channel.port, timeout=TIMEOUT) as server:
        if channel.tls == "starttls":
            server.starttls(context=ssl.create_default_context())
        if channel.user_env:
            server.login(_of(channel, "user"), _of(channel, "password"))
        server.send_message(letter)
