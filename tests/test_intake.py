"""Foreign columns to canonical ones; every row loaded, rejected or duplicate; nothing guessed in silence."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest
import xlsxwriter
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analyzer import audit, shards, summary
from analyzer.errors import DunAuditError, InputError, UsageError
from analyzer.intake import Mapping, Settings, is_known_header, load_mapping, values
from analyzer.intake.columns import TABLES, WORDS, fold, header_aliases, word_list
from tests.conftest import HEADER

Write = Callable[..., Path]
Run = Callable[..., tuple[audit.RunResult, duckdb.DuckDBPyConnection]]


def _one(sql: str, *params: Any) -> Any:
    with duckdb.connect() as con:
        con.execute("SET TimeZone = 'UTC'")
        return con.execute(sql, params or None).fetchall()[0][0]


@pytest.mark.parametrize(
    ("cell", "order", "expected"),
    [
        ("2026-03-01 09:05:07", "ymd", "2026-03-01 09:05:07"), ("2026/3/1 9:05", "ymd", "2026-03-01 09:05:00"),
        ("2026-03-01", "ymd", "2026-03-01 00:00:00"), ("2026.03.01 21:00", "ymd", "2026-03-01 21:00:00"),
        ("2026年3月1日 9时5分7秒", "ymd", "2026-03-01 09:05:07"), ("2026年3月1日下午9:05", "ymd", "2026-03-01 21:05:00"),
        ("２０２６－０３－０１　０９：０５", "ymd", "2026-03-01 09:05:00"), ("2026-03-01T09:05:07.123", "ymd", "2026-03-01 09:05:07"),
        ("01-09-2016 06:01:12", "dmy", "2016-09-01 06:01:12"), ("01/09/2016", "mdy", "2016-01-09 00:00:00"),
        ("13/09/16 12:30 AM", "dmy", "2016-09-13 00:30:00"), ("03/01/2026 9:05 PM", "mdy", "2026-03-01 21:05:00"),
        ("20260301", "ymd", "2026-03-01 00:00:00"), ("20260301 090507", "ymd", "2026-03-01 09:05:07"),
        ("46082.5", "ymd", "2026-03-01 12:00:00"), ("1-Mar-2026 09:05", "ymd", "2026-03-01 09:05:00"),
        ("1772355907", "ymd", "2026-03-01 09:05:07"),
        ("2026-02-30 09:00:00", "ymd", None), ("2026-03-01 25:99", "ymd", None), ("昨天", "ymd", None), ("13-13-2026", "dmy", None),
    ],
)  # fmt: skip
def test_shapes_of_time(cell: str, order: str, expected: str | None) -> None:
    found = _one(f"SELECT {values.time('x', order, False)} FROM (SELECT ?::VARCHAR AS x)", cell)
    assert (found.replace(microsecond=0) if found else None) == (datetime.fromisoformat(expected) if expected else None)


@pytest.mark.parametrize(
    ("cell", "minutes"),
    [("2026-03-01T09:05:07+08:00", 480), ("2026-03-01 09:05:07Z", 0), ("2026-03-01 09:05-0530", -330), ("2026-03-01 09:05:07", None), ("2026-03-01 09:05+08", 480)],
)
def test_offsets_a_cell_states(cell: str, minutes: int | None) -> None:
    assert _one(f"SELECT {values.offset('x', False)} FROM (SELECT ?::VARCHAR AS x)", cell) == minutes


@pytest.mark.parametrize(
    ("cell", "expected"),
    [("12", 12), ("1,234", 1234), (" 12.0 ", 12), ("(3)", -3), ("１２", 12), ("逾期30天", 30), ("0.5", None), ("30+", None), ("abc", None), ("", None)],
)
def test_whole_numbers(cell: str, expected: int | None) -> None:
    assert _one(f"SELECT {values.integer('x')} FROM (SELECT nullif(?, '')::VARCHAR AS x)", cell) == expected


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("200", 200), ("3.33", 3), ("03:25", 205), ("1:03:25", 3805), ("00:03:20.000", 200), ("3分25秒", 205), ("200s", 200), ("200 秒", 200), ("3m20s", 200), ("3'20\"", 200),
        ("3 min 20 sec", 200), ("3.5分钟", 210), ("PT3M20S", 200), ("0 days 00:03:20", 200), ("0.00231481", 200), ("-1", None), ("9999999999", None), ("abc", None),
    ],
)  # fmt: skip
def test_durations(cell: str, expected: int | None) -> None:
    assert _one(f"SELECT {values.seconds('x')} FROM (SELECT ?::VARCHAR AS x)", cell) == expected


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("13800138000", "13800138000"), ("13800138000.0", "13800138000"), ("1.38E+10", None), ("010-12345678-8001", "01012345678"), ("13800138000/13900139000", "13800138000"),
        ("+44 (0)20 7946 0958", "442079460958"), ("008613800138000", "13800138000"), ("013800138000", "13800138000"), ("13800138000(本人)", "13800138000"), ('="13800138000"', "13800138000"),
        ("\u202d13800138000\u202c", "13800138000"), ("+1 (212) 555-0101", "2125550101"), ("1-212-555-0101", "2125550101"), ("无", None), ("0", None), ("212-555-0101 ext 45", "2125550101"),
        ("(010)12345678", "01012345678"), ("+86-21-12345678", "02112345678"), ("021-12345678转801", "02112345678"), ("１３８ 0013 8000", "13800138000"),
    ],
)  # fmt: skip
def test_numbers(cell: str, expected: str | None) -> None:
    assert _one(f"SELECT {values.number('x')} FROM (SELECT ?::VARCHAR AS x)", cell) == expected


@pytest.mark.parametrize(
    ("cell", "expected"),
    [("1001.0", "1001"), ('="001"', "001"), ("８００１", "8001"), ("6.22202E+18", None), ("无", None), ("#REF!", None), ("(null)", None), ("A-1", "A-1"), ("001", "001"), ("12345678901", "12345678901")],
)
def test_ids(cell: str, expected: str | None) -> None:
    assert _one(f"SELECT {values.identifier('x')} FROM (SELECT ?::VARCHAR AS x)", cell) == expected


_TIMES = [
    ("2026-03-05 中午1:05", "2026-03-05 13:05:00"), ("2026-03-05 晚上12:30", None), ("2026-3-5 晚 11:30", "2026-03-05 23:30:00"), ("2026/3/5 20点半", "2026-03-05 20:30:00"),
    ("2026-03-05(周四) 20:05", "2026-03-05 20:05:00"), ("2026/3/5 12:05 上午", "2026-03-05 00:05:00"), ("5-Mar-26", "2026-03-05 00:00:00"), ("Mar 5, 2026 8:05 PM", "2026-03-05 20:05:00"),
    ("March 5, 2026", "2026-03-05 00:00:00"), ("05-MAR-26 08.05.00.000000 PM", "2026-03-05 20:05:00"), ("Mar 14 2026  8:05PM", "2026-03-14 20:05:00"), ("14MAR2026:20:05:00", "2026-03-14 20:05:00"),
    ("2026-03-05 8:05\u202fPM", "2026-03-05 20:05:00"), ("Thu, 05 Mar 2026 20:05:00 +0800", "2026-03-05 20:05:00"), ("202603052005", "2026-03-05 20:05:00"), ("20260314T200500Z", "2026-03-14 20:05:00"),
    ("2026-03-05-20.05.00.000000", "2026-03-05 20:05:00"), ("2026-03-05\u300020:05", "2026-03-05 20:05:00"), ("1772712300.5", "2026-03-05 12:05:00.5"), ("Thu Mar 05 20:05:00 CST 2026", None), ("夜里", None),
    ("Thu Mar 05 20:05:00 GMT 2026", "2026-03-05 20:05:00"), ("Thu Mar 05 2026 20:05:00 GMT+0800 (China Standard Time)", "2026-03-05 20:05:00"),
    ("民國115年3月5日 下午8:05", "2026-03-05 20:05:00"), ("中華民國 99年12月31日", "2010-12-31 00:00:00"), ("115/03/05 20:05", "2026-03-05 20:05:00"), ("1150305", "2026-03-05 00:00:00"),
    ("令和8年3月5日 20:05", "2026-03-05 20:05:00"), ("民國元年1月1日", "1912-01-01 00:00:00"), ("007/03/05 20:05", None), ("1151305", None),
]  # fmt: skip


@pytest.mark.parametrize(("cell", "expected"), _TIMES)
def test_times_as_people_and_systems_write_them(cell: str, expected: str | None) -> None:
    found = _one(f"SELECT ({values.time('x', 'dmy', False)})::VARCHAR FROM (SELECT ?::VARCHAR AS x)", cell)
    assert found == expected


@pytest.mark.parametrize(("cell", "expected"), [("5-Mar-26", True), ("2026-03-05 20:05", False), ("46086", True), ("46086.5", False), ("1772712300", False), ("2026年3月5日", True), ("20260305", True), ("202603052005", False)])
def test_which_times_are_dates_only(cell: str, expected: bool) -> None:
    assert _one(f"SELECT {values.date_only('x')} FROM (SELECT ?::VARCHAR AS x)", cell) == expected


@pytest.mark.parametrize(("cell", "expected"), [("¥1,234.50", 1234.50), ("(1 234.5)", -1234.5), ("1234.5元", 1234.5), ("1.234,50", 1234.5), ("1234,5", 1234.5), ("1,234", 1234), ("5万", 50000), ("HK$100", 100), ("100.00元整", 100), ("100-", -100), ("x", None)])
def test_amounts(cell: str, expected: float | None) -> None:
    found = _one(f"SELECT {values.decimal('x')} FROM (SELECT ?::VARCHAR AS x)", cell)
    assert (None if found is None else float(found)) == expected


@pytest.mark.parametrize(("cell", "expected"), [("(022)2895-2819", "02228952819"), ("78130 00821", "7813000821"), ("+86 199 0000 1234", "19900001234"), ("8619900001234", "19900001234")])
def test_phone_numbers(cell: str, expected: str) -> None:
    assert _one(f"SELECT {values.number('x')} FROM (SELECT ?::VARCHAR AS x)", cell) == expected


def test_every_row_has_an_end(write: Write, run: Run) -> None:
    text = HEADER + "\n" + "\n".join([
        "1,K1,P1,本人,电话,呼出,2026-03-01 09:00:00,接通,交互式,A1,好",
        "1,K1,P1,本人,电话,呼出,2026-03-01 09:00:00,接通,交互式,A1,好",
        "1,K1,P1,本人,电话,呼出,2026-03-01 09:00:00,接通,交互式,A1,不同",
        "2,,P1,本人,电话,呼出,2026-03-01 09:00:00,接通,交互式,A1,无案件",
        "3,K1,P1,本人,电话,呼出,不是时间,接通,交互式,A1,坏时间",
        "4,K1,P1,本人,电话,呼出,,接通,交互式,A1,没有时间",
        "5,K1,P1,本人,飞鸽,呼出,2026-03-01 10:00:00,接通,交互式,A1,没有这种渠道",
        "6,K1,P1",
        "7,K1,P1,本人,电话,呼出,0206-03-01 10:00:00,接通,交互式,A1,年份写错",
    ]) + "\n"  # fmt: skip
    result, con = run([write("calls.csv", text)])
    batch = result.batches[0]
    assert (batch.rows_read, batch.loaded, batch.rejected, batch.duplicate) == (9, 3, 5, 1)
    rejects = con.execute("SELECT row_no, reason, detail FROM rejects ORDER BY row_no").fetchall()
    assert rejects == [
        (4, "reject.same_id", "1:2"), (5, "reject.missing", "case_id"), (6, "reject.time", "started_at"), (9, "reject.too_few", None),
        (10, "reject.time_range", "started_at"),
    ]  # fmt: skip
    assert con.execute("SELECT * FROM duplicates").fetchall() == [(1, 3, 1, 2)]
    assert "无案件" in con.execute("SELECT original FROM rejects WHERE row_no = 5").fetchall()[0][0]
    assert con.execute("SELECT column_name, problem, cells, first_row_no FROM cell_problems").fetchall() == [("channel", "unmapped_word", 1, 8)]
    # The contact without a time is judged where it can be, and undetermined where it cannot.
    assert con.execute("SELECT contacts FROM rule_results WHERE rule = 'cn-gbt-45251/quiet-hours' AND outcome = 'undetermined' AND missing = 'started_at'").fetchall() == [(1,)]


def test_the_same_file_twice_changes_nothing(write: Write, run: Run) -> None:
    text = HEADER + "\n1,K1,P1,本人,电话,呼出,2026-03-01 23:00:00,接通,交互式,A1,好\n,K2,P2,本人,电话,呼出,2026-03-01 23:30:00,接通,交互式,A1,无编号\n"
    a, b = write("a.csv", text), write("b.csv", text)
    once, con1 = run([a])
    twice, con2 = run([a, b])
    assert [(x.loaded, x.duplicate) for x in twice.batches] == [(2, 0), (0, 2)]
    listing = "SELECT finding_id, episode, breaches, evidence_digest FROM findings ORDER BY 1"
    assert con1.execute(listing).fetchall() == con2.execute(listing).fetchall() and once.findings == 2


def test_an_event_without_a_readable_time_may_hold(write: Write, run: Run) -> None:
    """It is kept, counted, and what depends on it is undetermined: not clear, and not lost with the row."""
    calls = write("a.csv", HEADER + "\n1,K1,P2,母亲,电话,呼出,2026-03-02 10:00:00,接通,交互式,A1,您好\n")
    events = write("事件.csv", "案件编号,人员编号,事件类型,事件时间\nK1,P2,拒绝联系,上周三下午\nK1,P2,拒绝联系,\n")
    result, con = run([calls, events])
    assert [(b.loaded, b.rejected) for b in result.batches if b.table == "case_events"] == [(2, 0)]
    assert con.execute("SELECT column_name, problem, cells FROM cell_problems").fetchall() == [("occurred_at", "unreadable", 1)]
    found = con.execute("SELECT outcome, missing FROM rule_results WHERE rule = 'cn-gbt-45251/stop-on-refusal' AND contacts > 0").fetchall()
    assert found == [("undetermined", "case_events.occurred_at")]


@pytest.mark.parametrize(
    ("dates", "key"),
    [(["01/02/2026 09:00", "03/04/2026 10:00"], "input.two_date_orders"), (["13/02/2026 09:00", "03/14/2026 10:00"], "input.mixed_dates")],
)
def test_dates_that_fit_two_orders_are_an_error(dates: list[str], key: str, write: Write, run: Run) -> None:
    path = write("a.csv", "案件编号,通话时间,催记内容\n" + "".join(f"K{i},{d},x\n" for i, d in enumerate(dates)))
    with pytest.raises(InputError) as caught:
        run([path])
    assert caught.value.key == key and "通话时间" in caught.value.text("zh")
    assert not list((path.parent / "runs").glob("*")), "nothing half-written is left behind"
    said = write("m.yaml", 'name: m\ntables: [{match: ["a.csv"], table: contacts, date_order: dmy}]\n')
    result, con = run([path], mapping=load_mapping(said))
    assert con.execute("SELECT count(*) FROM contacts WHERE year(at_utc) = 2026").fetchall()[0][0] == result.batches[0].loaded > 0


@pytest.mark.parametrize(
    ("name", "column", "headers"),
    [
        ("contacts", "case_id", "案件编码 借款合同号 贷款账号 借据 订单号 账号 Account_Number Acct_# File_Number Loan-Number Reference"),
        ("contacts", "started_at", "通话日期 拨打日期 催收日期 跟进时间 催记时间 外呼时间 呼叫开始时间 接通时间 发送日期 记录时间 日期 Call_Date Call_Start Call_DateTime Dial_Time Date TS"),
        ("contacts", "number", "电话 手机 座机 客户手机 外呼号码 被叫电话 联系人电话 Dialed Called_Number MSISDN DNIS To Recipient"),
        ("contacts", "agent_id", "催员 催收人员 座席 员工号 跟进人 处理人 客服 坐席姓名 外访员 Collector Agent_Name Employee_ID Rep Worked_By Created_By"),
        ("contacts", "duration_s", "呼叫时长 计费时长 接听时长 Billsec Call_Duration Handle_Time"),
        ("contacts", "outcome", "催收状态 通话状态 拨打结果 行动代码 是否接通 短信状态 回执 外访结果 Disposition_Code Dispo Wrap_Code Hangup_Cause"),
        ("contacts", "text", "催收记录 跟进内容 通话小结 转写文本 外访情况 描述 Comment Remarks Call_Notes SMS_Text Transcription Description"),
        ("contacts", "relation", "与债务人关系 与持卡人关系 联系人类型 催收对象 接听人 Party_Type Spoke_To Relationship_to_Debtor"),
        ("contacts", "channel", "催收渠道 催收手段 触达方式 跟进方式 Contact_Method Activity_Type Method Action"),
        ("contacts", "direction", "呼叫类型"), ("contacts", "recording_id", "录音地址 录音链接 Recording_URL"),
        ("contacts", "dpd", "账龄天数 Days_Overdue Days_Delinquent"), ("contacts", "vendor", "Agency_Name Vendor_ID"),
        ("cases", "case_id", "案件编码 案号 Account_Number Contract_Number"), ("cases", "lender", "委托机构"), ("cases", "balance", "欠款金额"),
        ("persons", "relation", "与债务人关系 联系人类型"), ("numbers", "number", "电话 手机 座机 Telephone"),
        ("payments", "paid_at", "回款日期 实际还款日 交易日期 Paid_Date Transaction_Date"), ("payments", "amount", "回款金额"),
        ("promises", "due_on", "PTP_Date"), ("promises", "amount", "PTP_Amount"), ("case_events", "occurred_at", "投诉时间"),
        ("agents", "name", "员工姓名 坐席姓名 Agent_Name"), ("agents", "team", "部门"),
        ("trainings", "course", "Course_Name"), ("trainings", "passed_on", "Completion_Date"), ("trainings", "agent_id", "员工工号 Username"),
    ],
)  # fmt: skip
def test_headers_that_are_known(name: str, column: str, headers: str) -> None:
    known = header_aliases(name)
    assert {header: known.get(fold(header)) for header in headers.split()} == dict.fromkeys(headers.split(), column)


def test_no_name_means_two_things() -> None:
    for spec in TABLES:
        meant: dict[str, set[str]] = {}
        for column in spec.columns:
            for alias in (column.name, *column.aliases):
                meant.setdefault(fold(alias), set()).add(column.name)
        assert {alias: names for alias, names in meant.items() if len(names) > 1} == {}, spec.name
    for listing, words in WORDS.items():
        for word, spellings in words.items():
            name, _, table_name = listing.partition("@")
            known = word_list(table_name or "contacts", name)
            assert {s: known[fold(s)] for s in spellings.split() if known[fold(s)] != word} == {}, listing


@pytest.mark.parametrize("header", ["序号", "联系方式", "Right_Party", "挂断原因"])
def test_headers_that_say_too_little(header: str) -> None:
    """A line number restarts in every file; the others hold a number or a channel, yes or no, why a call that was held ended."""
    assert not is_known_header(header)


@pytest.mark.parametrize(
    ("name", "column", "word", "spellings"),
    [
        ("contacts", "outcome", "conversation", "承诺还款 PTP 拒绝还款 已接 是 Right_Party_Contact Callback Paid"),
        ("contacts", "outcome", "no_answer", "无法接听 来电提醒 无人应答 呼叫转移 未拨通 否 NOANS No_Contact CANCEL"),
        ("contacts", "outcome", "switched_off", "已关机 已停机 暂停服务 欠费停机 无法接通"), ("contacts", "outcome", "busy", "正忙 Fast_Busy"),
        ("contacts", "outcome", "voicemail", "LM LVM VM AM Left_Voicemail Answering_Machine"), ("contacts", "outcome", "answered_dropped", "客户挂断 Abandoned Dropped"),
        ("contacts", "outcome", "invalid", "NIS DISC Invalid_Number"), ("contacts", "outcome", "wrong_number", "WN"), ("contacts", "outcome", "other_answered", "他人接听 家人接听 非本人 转告 TPC"), ("contacts", "outcome", "sent", "提交成功"),
        ("contacts", "outcome", "delivered", "DELIVRD 接收成功 已读"), ("contacts", "outcome", "failed", "呼叫失败 UNDELIV EXPIRED REJECTD Hard_Bounce CONGESTION"),
        ("contacts", "outcome", "not_met", "家中无人"),
        ("contacts", "relation", "self", "持卡人 申请人 Account_Holder Cardholder"), ("contacts", "relation", "relative", "前妻 岳父 表哥 亲友 In-Law Cousin"),
        ("contacts", "relation", "parent", "爸 妈 Mom Dad"), ("contacts", "relation", "spouse", "太太"), ("contacts", "relation", "friend", "男朋友 同学 室友 Roommate"),
        ("contacts", "relation", "emergency_contact", "第一联系人 联系人2 紧急联系人1"), ("contacts", "relation", "guarantor", "Cosigner Co-Signer"),
        ("contacts", "relation", "co_borrower", "共同还款人 Co-Applicant"), ("contacts", "relation", "colleague", "单位同事"), ("contacts", "relation", "employer", "人事 前台 Supervisor"),
        ("contacts", "relation", "neighbour", "物业"), ("persons", "relation", "village_committee", "村长 村支书 居委"), ("persons", "relation", "unknown_third_party", "他人 非本人 房东 3rd_Party"),
        ("contacts", "channel", "call", "手机 座机 人工 预测外呼 Phone_Call Manual"), ("contacts", "channel", "ai_call", "自动外呼 AI AI电话 机器人 语音通知 Robocall"),
        ("contacts", "channel", "sms", "彩信 群发短信 MMS RCS"), ("contacts", "channel", "im", "钉钉 站内信 WhatsApp"), ("contacts", "channel", "letter", "EMS 催款函 USPS Fax"),
        ("contacts", "channel", "visit", "家访 面访 Door_Knock In_Person"), ("contacts", "channel", "legal", "法院"), ("contacts", "channel", "voicemail", "RVM"), ("contacts", "channel", "wechat", "公众号"),
        ("contacts", "direction", "outbound", "外拨 拨打 主动外呼 OB MT 发"), ("contacts", "direction", "inbound", "进线 IB MO 收"),
        ("numbers", "kind", "home", "座机 固话 宅电"), ("numbers", "kind", "work", "公司"), ("numbers", "kind", "mobile", "Cellular"),
        ("cases", "lender_kind", "bank", "村镇银行 信用卡中心 Credit_Union"), ("cases", "lender_kind", "consumer_finance", "消金公司"), ("cases", "lender_kind", "microloan", "网络小贷"),
        ("case_events", "kind", "refusal", "停催 停止催收 DNC 撤回同意"), ("case_events", "kind", "written_cease", "Cease_and_Desist C&D"), ("case_events", "kind", "complaint", "客诉 信访"),
        ("case_events", "kind", "hardship", "重病 住院 失业"), ("case_events", "kind", "death", "已故 客户死亡"), ("case_events", "kind", "plan", "分期"), ("case_events", "kind", "dispute", "Written_Dispute"),
    ],
)  # fmt: skip
def test_words_that_are_known(name: str, column: str, word: str, spellings: str) -> None:
    known = word_list(name, column)
    assert {spelling: known.get(fold(spelling)) for spelling in spellings.split()} == dict.fromkeys(spellings.split(), word)


@pytest.mark.parametrize(("column", "spelling"), [("outcome", "成功"), ("outcome", "查无此人"), ("relation", "机主"), ("relation", "法人")])
def test_words_that_say_too_little(column: str, spelling: str) -> None:
    """A message sent and a call answered both succeed; a number's owner is whoever's number it is."""
    assert fold(spelling) not in word_list("contacts", column)


@pytest.mark.parametrize(
    ("headers", "name"),
    [
        ("account_number,date,collector,action,result_code,comment", "contacts"), ("订单号,手机号,发送时间,发送内容,短信状态,回执", "contacts"),
        ("序号,案件编号,姓名,与客户关系,电话,催收时间,催收方式,催收结果,备注", "contacts"), ("acct_#,rep,call_date,phone,dispo,ptp_date,ptp_amount,remarks", "contacts"),
        ("案件编号,日期,承诺还款日期,承诺金额,催收员,催收结果,备注", "contacts"), ("借据号,客户姓名,外访日期,外访员,见面对象,外访结果,外访情况", "contacts"),
        ("案件编号,客户姓名,手机,产品名称,委托机构,欠款金额,逾期天数,放款日期,催员,催收状态,备注,创建时间", "cases"), ("account_number,borrower_name,balance,created_at,phone", "cases"),
        ("案件编号,姓名,手机号,委案金额,逾期天数,催收员,案件状态,创建时间", "cases"),
        ("案件编号,联系人编号,姓名,关系,手机号,创建时间", "persons"), ("account_number,party_id,full_name,relationship,phone,created_at", "persons"),
        ("案件编号,联系人编号,电话,类型,日期", "numbers"), ("合同号,期次,日期,应还金额", "instalments"),
        ("案件编号,日期,金额", "payments"), ("account_number,transaction_date,payment_amount,memo", "payments"), ("案件编号,还款日期,还款金额,催收员,备注,创建时间", "payments"),
        ("account_number,date,ptp_date,ptp_amount", "promises"), ("案件编号,承诺时间,承诺还款日期,承诺金额,催收员,备注,创建时间", "promises"),
        ("案件编号,事件类型,日期", "case_events"), ("案件编号,事件类型,事件时间,备注,操作人,创建时间", "case_events"),
        ("员工号,员工姓名,部门,入职日期", "agents"), ("username,course_name,completion_date", "trainings"),
    ],
)  # fmt: skip
def test_the_table_the_headers_speak_for(headers: str, name: str, write: Write) -> None:
    """A general name (a date, a phone, a remark) does not make a contact of what is none."""
    rows = "\n".join([headers, ",".join(f"x{i}" for i in range(headers.count(",") + 1))])
    assert audit.plan([str(write("a.csv", rows + "\n"))], Mapping())[0].table.name == name


@pytest.mark.parametrize(
    ("headers", "column", "header"),
    [
        ("date,call_start_time,account,notes", "started_at", "call_start_time"), ("日期,催收日期,案件编号,催记", "started_at", "催收日期"), ("ts,记录时间,拨打日期,案件编号", "started_at", "拨打日期"),
        ("账号,借据号,催收时间,催记", "case_id", "借据号"), ("to,phone,call_time,loan_no", "number", "phone"), ("座机,电话,联系电话,催收时间,案件编号", "number", "联系电话"),
        ("description,notes,call_time,loan_no", "text", "notes"), ("action,channel_type,call_time,loan_no", "channel", "channel_type"), ("created_by,collector,call_time,loan_no", "agent_id", "collector"),
        ("是否接通,通话状态,催收时间,案件编号", "outcome", "通话状态"),
    ],
)  # fmt: skip
def test_a_special_name_beats_a_general_one(headers: str, column: str, header: str, write: Write) -> None:
    path = write("a.csv", headers + "\n" + ",".join(f"x{i}" for i in range(headers.count(",") + 1)) + "\n")
    (plan,) = audit.plan([str(path)], Mapping())
    assert plan.table.name == "contacts" and plan.positions[column] == (headers.split(",").index(header),)


def test_missing_columns_are_named(write: Write) -> None:
    for text, key in (
        ("通话结果,催记内容,坐席工号\n接通,x,A1\n", "input.missing_columns"),
        ("甲,乙\n丙,丁\n", "input.unknown_table"),
        ("1,2\n3,4\n", "input.no_header"),
    ):
        with pytest.raises(InputError) as caught:
            audit.plan([str(write("a.csv", text))], Mapping())
        assert caught.value.key == key, text


@pytest.mark.parametrize(
    "text",
    ["name: [", "nonsense: 1", "tables: [{match: [x], table: nothing}]", "zone: CST", "tables: [{match: [x], table: contacts, columns: {nothing: A}}]",
     "tables: [{match: [x], table: contacts, values: {channel: {A: pigeon}}}]", "name: a\nname: b"],
)  # fmt: skip
def test_a_wrong_mapping_is_one_sentence(text: str, write: Write) -> None:
    with pytest.raises(UsageError) as caught:
        load_mapping(write("m.yaml", text))
    assert "m.yaml" in caught.value.text("en") and caught.value.exit_code == 2


def test_house_words_and_constants(write: Write, run: Run) -> None:
    path = write("a.csv", "合同,时刻,码\nK1,2026-03-01 09:00,A1\nK1,2026-03-01 10:00,Z9\n")
    mapping = write(
        "m.yaml",
        "name: house\ntables:\n  - match: ['a.csv']\n    table: contacts\n    columns: {case_id: 合同, started_at: 时刻, outcome: 码, channel: {const: call}, direction: {const: 呼出}}\n"
        "    values: {outcome: {A1: conversation}}\n",
    )
    _, con = run([path], mapping=load_mapping(mapping))
    assert con.execute("SELECT channel, direction, outcome FROM contacts ORDER BY at_utc").fetchall() == [("call", "outbound", "conversation"), ("call", "outbound", None)]


ROW = st.tuples(
    st.sampled_from(["1", "2", "3", "", "4"]), st.sampled_from(["K1", "K2", ""]),
    st.sampled_from(["2026-03-01 09:00:00", "2026-03-01 23:00:00", "x", "", "2026-03-02T08:00:00+08:00"]), st.sampled_from(["好", "坏", ""]),
)  # fmt: skip


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(ROW, min_size=1, max_size=8), min_size=1, max_size=3))
def test_rows_read_are_loaded_rejected_or_duplicate(tmp_path_factory: pytest.TempPathFactory, files: list[list[tuple[str, ...]]]) -> None:
    folder = tmp_path_factory.mktemp("p")
    for i, rows in enumerate(files):
        body = "".join(",".join(row) + "\n" for row in rows)
        (folder / f"f{i}.csv").write_text("流水号,案件编号,通话时间,催记内容\n" + body, encoding="utf-8")
    try:
        result = audit.run([str(folder)], folder / "runs", packs=["cn-gbt-45251"], run_id="r")
    except DunAuditError as error:
        pytest.fail(error.text("en"))
    with duckdb.connect(str(result.path), read_only=True) as con:
        for batch, rows in zip(result.batches, files, strict=True):
            # A row with nothing in any cell is none.
            assert batch.rows_read == sum(any(cell.strip() for cell in row) for row in rows) == batch.loaded + batch.rejected + batch.duplicate
        lines = con.execute("SELECT batch_id, row_no FROM contacts UNION ALL SELECT batch_id, row_no FROM rejects UNION ALL SELECT batch_id, row_no FROM duplicates").fetchall()
        assert sorted(lines) == [(i + 1, n + 2) for i, rows in enumerate(files) for n, row in enumerate(rows) if any(cell.strip() for cell in row)]
        assert con.execute("SELECT count(*) - count(DISTINCT contact_id) FROM contacts").fetchall()[0][0] == 0


def _contact(con: duckdb.DuckDBPyConnection, columns: str) -> list[tuple[Any, ...]]:
    return con.execute(f"SELECT {columns} FROM contacts ORDER BY row_no").fetchall()


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        (["26/3/5 23:30", "26/3/12 23:30"], ["2026-03-05 23:30:00", "2026-03-12 23:30:00"]), (["5/3/26 23:30", "12/3/26 23:30", "13/3/26 10:00"], ["2026-03-05 23:30:00", "2026-03-12 23:30:00", "2026-03-13 10:00:00"]),
        (["26-03-05 20:00", "26-03-31 20:00"], ["2026-03-05 20:00:00", "2026-03-31 20:00:00"]),
    ],
)  # fmt: skip
def test_a_year_of_two_figures_may_stand_first_or_last(times: list[str], expected: list[str], write: Write, run: Run) -> None:
    _, con = run([write("a.csv", "案件编号,通话时间,催记内容\n" + "".join(f"K{i},{t},x\n" for i, t in enumerate(times)))])
    assert [str(at) for (at,) in _contact(con, "local_at")] == expected


@pytest.mark.parametrize("times", [["26/3/5 23:30"], ["31/12/25 10:00", "31/1/26 10:00"], ["26/3/5 10:00", "26/3/6 10:00"], ["20/3/5 10:00", "26/3/12 10:00"]])
def test_short_dates_that_fit_two_orders_are_asked_about(times: list[str], write: Write, run: Run) -> None:
    with pytest.raises(InputError) as caught:
        run([write("a.csv", "案件编号,通话时间,催记内容\n" + "".join(f"K1,{t},x\n" for t in times))])
    assert caught.value.key == "input.two_date_orders" and "ymd" in caught.value.text("en")


def test_what_a_header_says_of_zone_and_unit_counts(write: Write, run: Run) -> None:
    _, con = run([write("a.csv", "案件编号,通话时间(UTC),通话时长(分钟),催记内容\nK1,2026-03-05 01:00:00,3,x\nK1,2026-03-05 16:30:00,03:20,y\n")])
    assert [(str(at), s) for at, s in _contact(con, "local_at, duration_s")] == [("2026-03-05 09:00:00", 180), ("2026-03-06 00:30:00", 200)]
    _, con = run([write("b.csv", "case_no,start_time_utc,duration_ms,note\nK1,2026-03-05 01:00:00,200000,x\n")])
    assert [(str(at), s) for at, s in _contact(con, "local_at, duration_s")] == [("2026-03-05 09:00:00", 200)]


def test_brackets_that_turn_a_word_leave_it_unknown_and_say_so(write: Write, run: Run) -> None:
    rows = ["本人（已故）,接通（非本人）,电话(微信)", "朋友,未接通(关机),电话（外呼）", "本人(RPC),接通,短信"]
    text = "案件编号,通话时间,关系,结果,渠道\n" + "".join(f"K1,2026-03-05 1{i}:00:00,{row}\n" for i, row in enumerate(rows))
    _, con = run([write("a.csv", text)])
    assert _contact(con, "relation, outcome, channel") == [(None, None, None), ("friend", "switched_off", "call"), ("self", "conversation", "sms")]
    assert dict(con.execute("SELECT column_name, words FROM cell_problems").fetchall()) == {"relation": "本人（已故）", "outcome": "接通（非本人）", "channel": "电话(微信)"}


def test_a_word_of_a_mapping_holds_for_itself_alone(write: Write, run: Run) -> None:
    said = load_mapping(write("m.yaml", 'name: m\ntables: [{match: ["a.csv"], table: contacts, values: {outcome: {"接通(非本人)": wrong_number, "甲": busy}}}]\n'))
    _, con = run([write("a.csv", "案件编号,通话时间,结果\nK1,2026-03-05 10:00:00,接通(非本人)\nK1,2026-03-05 11:00:00,接通\nK1,2026-03-05 12:00:00,甲\n")], mapping=said)
    assert _contact(con, "outcome") == [("wrong_number",), ("conversation",), ("busy",)]


@pytest.mark.parametrize(
    ("zone", "time", "utc"),
    [
        ("Asia/Shanghai", "Thu Mar 05 20:05:00 CST 2026", "2026-03-05 12:05:00"), ("America/New_York", "2026-07-05 20:05:00 CDT", "2026-07-06 01:05:00"),
        ("America/New_York", "2026-03-05 20:05:00 CST", "2026-03-06 02:05:00"), ("Asia/Kolkata", "05-Mar-2026 20:05:00 IST", "2026-03-05 14:35:00"),
        ("Asia/Shanghai", "2026-03-05 20:05:00 EST", "2026-03-06 01:05:00"), ("Europe/London", "2026-03-05 20:05:00 CST", None),
    ],
)  # fmt: skip
def test_words_for_zones_are_read_where_they_mean_one(zone: str, time: str, utc: str | None, write: Write, run: Run) -> None:
    _, con = run([write("a.csv", f"案件编号,通话时间,催记内容\nK1,{time},x\n")], settings=Settings(zone=zone))
    assert [str(at) for (at,) in con.execute("SELECT at_utc::VARCHAR FROM contacts").fetchall()] == ([utc] if utc else [])
    assert con.execute("SELECT count(*) FROM rejects").fetchall() == [(0 if utc else 1,)]


def test_merged_cells_are_filled_where_the_mapping_says_so(write: Write, run: Run) -> None:
    text = "案件编号,通话时间,催记内容\nK1,2026-03-05 20:05:01,x\n,2026-03-05 21:05:01,y\n,,\n ,2026-03-05 22:05:01,z\nK2,2026-03-05 22:06:01,z\n"
    _, con = run([write("a.csv", text)])
    assert con.execute("SELECT row_no, reason FROM rejects ORDER BY 1").fetchall() == [(3, "reject.missing"), (5, "reject.missing")]
    said = load_mapping(write("m.yaml", 'name: m\ntables: [{match: ["a.csv"], table: contacts, fill_down: [case_id]}]\n'))
    _, con = run([write("a.csv", text)], mapping=said)
    assert _contact(con, "row_no, case_id") == [(2, "K1"), (3, "K1"), (5, "K1"), (6, "K2")]
    with pytest.raises(UsageError) as caught:
        run([write("a.csv", text)], mapping=load_mapping(write("n.yaml", 'name: m\ntables: [{match: ["a.csv"], table: contacts, fill_down: [agent_id]}]\n')))
    assert caught.value.key == "mapping.fill_down"


def test_every_file_that_cannot_be_read_is_named(write: Write, run: Run) -> None:
    with pytest.raises(InputError) as caught:
        run([write("a.csv", "甲,乙\n1,2\n"), write("b.csv", "案件编号,通话时间\nK1,2026-03-05 20:05:01\n"), write("c.csv", "丙,丁\n1,2\n")])
    assert "a.csv" in caught.value.text("zh") and "c.csv" in caught.value.text("zh") and "b.csv" not in caught.value.text("zh")


def test_date_and_time_of_day_in_columns_of_their_own(write: Write, run: Run) -> None:
    _, con = run([write("a.csv", "案件编号,拨打日期,拨打时间,催记内容\nK1,2026-03-05,20:05:01,x\nK1,2026-03-05 00:00:00,0.8368,y\nK1,,20:05,z\n")])
    assert [str(at) for (at,) in _contact(con, "local_at")] == ["2026-03-05 20:05:01", "2026-03-05 20:05:00"]
    assert con.execute("SELECT reason FROM rejects").fetchall() == [("reject.time",)]


def test_a_header_with_two_meanings_is_told_by_its_cells(write: Write, run: Run) -> None:
    _, con = run([write("a.csv", "案件编号,开始时间,通话时间,联系方式,催记内容\nK1,2026-03-05 20:05:01,65,13800138000,x\nK1,2026-03-05 21:05:01,120,13900139000,y\n")])
    assert _contact(con, "duration_s, number") == [(65, "13800138000"), (120, "13900139000")]
    _, con = run([write("b.csv", "案件编号,通话时间,联系方式,催记内容\nK1,2026-03-05 20:05:01,短信,x\n")])
    assert _contact(con, "channel") == [("sms",)]


def test_who_called_in_is_the_number_of_the_person(write: Write, run: Run) -> None:
    _, con = run([write("a.csv", "案件编号,通话时间,主叫,被叫,呼叫方向\nK1,2026-03-05 20:05:01,4001,13800138000,呼出\nK1,2026-03-05 20:06:01,13800138000,4001,呼入\n")])
    assert _contact(con, "number") == [("13800138000",), ("13800138000",)]


def test_a_column_of_midnights_is_one_of_dates(write: Write, run: Run) -> None:
    text = "案件编号,通话时间,呼叫方向,催收方式\n" + "".join(f"K1,2026-03-0{i} 00:00:00,呼出,电话\n" for i in range(1, 6))
    result, con = run([write("a.csv", text)])
    assert result.findings == 0 and con.execute("SELECT problem, cells FROM cell_problems").fetchall() == [("midnight", 5)]
    assert summary.completeness(con)["unreadable_cells"] == 0
    assert con.execute("SELECT contacts FROM rule_results WHERE rule = 'cn-gbt-45251/quiet-hours' AND outcome = 'undetermined'").fetchall() == [(5,)]
    result, _ = run([write("b.csv", text + "K1,2026-03-06 10:00:00,呼出,电话\n")])
    assert result.findings == 5


def test_totals_and_blank_rows_are_no_contacts(write: Write, run: Run) -> None:
    result, con = run([write("a.csv", "案件编号,通话时间,催记内容\nK1,2026-03-05 20:05:01,x\n,,\n  , ,\n合计,,5条\n制表人：小明 审核：老王,,\n")])
    assert [(b.rows_read, b.loaded, b.rejected) for b in result.batches] == [(3, 1, 2)]
    assert con.execute("SELECT DISTINCT reason FROM rejects").fetchall() == [("reject.summary",)]


def test_one_known_header_is_no_table(write: Write) -> None:
    with pytest.raises(InputError) as caught:
        audit.plan([str(write("a.csv", "案件编号,甲,乙,丙\nK1,a,b,c\n"))], Mapping())
    assert caught.value.key == "input.unknown_table" and "案件编号" in caught.value.text("zh")


def test_traditional_headers_and_words(write: Write, run: Run) -> None:
    _, con = run([write("a.csv", "案件編號,通話時間,關係,結果\nK1,2026-03-05 20:05:01,父親,無人接聽\n", "big5")])
    assert _contact(con, "relation, outcome") == [("parent", "no_answer")]


def test_of_two_columns_the_one_that_holds_something_is_read(write: Write, run: Run) -> None:
    _, con = run([write("a.csv", "case_no,call_time,note,notes\nK1,2026-03-05 20:05:01,,real note\nK1,2026-03-05 20:06:01,,NULL\n")])
    assert _contact(con, "text") == [("real note",), (None,)]


@pytest.mark.parametrize(("text", "code"), [("中国", "CN"), ("usa", "US"), ("United States", "US"), ("CHN", "CN"), ("us-ma", "US-MA"), ("GB", "UK"), ("香港", "HK")])
def test_places_by_name_and_code(text: str, code: str, write: Write, run: Run) -> None:
    cases = write("cases.csv", f"案件编号,客户姓名,国家\nK1,甲,{text}\n")
    calls = write("a.csv", "案件编号,通话时间,催记内容\nK1,2026-03-05 20:05:01,x\n")
    _, con = run([calls, cases])
    assert _contact(con, "jurisdiction") == [(code,)]


def test_a_place_that_is_not_known_is_said_and_nothing_is_clear(write: Write, run: Run) -> None:
    cases = write("cases.csv", "案件编号,客户姓名,国家\nK1,甲,Atlantis\n")
    result, con = run([write("a.csv", "案件编号,通话时间,催记内容\nK1,2026-03-05 20:05:01,x\n"), cases])
    assert result.judged == 0 and result.exit_code == 5
    assert con.execute("SELECT column_name, problem, words FROM cell_problems").fetchall() == [("jurisdiction", "unmapped_word", "ATLANTIS")]
    with pytest.raises(UsageError):
        load_mapping(write("m.yaml", "name: m\njurisdiction: Atlantis\n"))


def test_a_run_may_have_a_chinese_name(write: Write, run: Run) -> None:
    result, _ = run([write("a.csv", "案件编号,通话时间,催记内容\nK1,2026-03-05 20:05:01,x\n")], run_id="三月")
    assert result.path.name == "三月.duckdb"


def test_a_log_by_another_clock_is_suspected(write: Write, run: Run) -> None:
    cases = write("cases.csv", "case_no,customer_name,country,zone\nK1,Ann,US,America/New_York\n")
    calls = write("a.csv", "case_no,call_time,note\nK1,2026-03-05 09:00:00,x\nK1,2026-03-05 10:00:00,y\n")
    _, con = run([calls, cases])
    assert [(r["file"], r["elsewhere"], r["there"]) for r in summary.elsewhere(con)] == [("a.csv", 2, "America/New_York")]
    stated = write("b.csv", "case_no,call_time,note\nK1,2026-03-05T09:00:00-05:00,x\n")
    _, con = run([stated, cases])
    assert not summary.elsewhere(con)


def test_a_sheet_of_ours_that_cannot_be_read_is_not_left_out(tmp_path: Path, run: Run) -> None:
    def book(name: str, header: list[str]) -> Path:
        with xlsxwriter.Workbook(str(tmp_path / name)) as made:
            for sheet, rows in (("3月", [["案件编号", "通话时间", "催记"], ["K1", "2026-03-05 10:00:00", "x"]]), ("说明", [header, ["a", "b", "c"]])):
                page = made.add_worksheet(sheet)
                for number, row in enumerate(rows):
                    page.write_row(number, 0, row)
        return tmp_path / name

    result, _ = run([book("a.xlsx", ["甲", "乙", "丙"])])
    assert result.left_out == ("a.xlsx#说明",) and [b.file for b in result.batches] == ["a.xlsx#3月"]
    assert shards.prepare_shards([str(tmp_path / "a.xlsx")], tmp_path / "shards", 1).left_out == ["a.xlsx#说明"]
    with pytest.raises(InputError) as caught:
        run([book("b.xlsx", ["案件编号", "乙", "丙"])])
    assert caught.value.key == "input.unknown_table"


def test_a_list_of_people_with_their_numbers_is_two_tables(write: Write, run: Run) -> None:
    people = "案件编号,联系人姓名,与借款人关系,联系电话\nK1,甲某,配偶,13800138000\nK1,甲某,配偶,13900139000\nK1,乙某,同事,13700137000\nK1,,朋友,13600136000\n"
    calls = "案件编号,通话时间,被叫号码,催记内容\nK1,2026-03-05 20:05:01,13700137000,x\nK1,2026-03-05 21:05:01,13900139000,y\n"
    result, con = run([write("people.csv", people), write("calls.csv", calls)])
    assert [(b.file, b.table, b.rows_read, b.loaded, b.rejected, b.duplicate, b.unmapped) for b in result.batches] == [
        ("people.csv", "persons", 4, 2, 1, 1, ()), ("people.csv", "numbers", 4, 3, 1, 0, ()), ("calls.csv", "contacts", 2, 2, 0, 0, ()),
    ]  # fmt: skip
    assert con.execute("SELECT name, relation FROM persons ORDER BY 2").fetchall() == [("甲某", "spouse"), ("乙某", "colleague")]
    assert _contact(con, "relation") == [("colleague",), ("spouse",)]
    assert con.execute("SELECT count(*) FROM provided WHERE column_name = 'person_id'").fetchall() == [(2,)]


def test_people_with_ids_may_have_their_numbers_beside_them(write: Write, run: Run) -> None:
    _, con = run([write("people.csv", "case_no,party_id,name,relationship,phone,phone_type\nK1,P1,Ann,spouse,2125550101,mobile\nK1,P1,Ann,spouse,2125550102,work\n"), write("calls.csv", "case_no,call_time,phone,note\nK1,2026-03-05 20:05:01,2125550102,x\n")])
    assert con.execute("SELECT number, person_id, kind FROM numbers ORDER BY 1").fetchall() == [("2125550101", "P1", "mobile"), ("2125550102", "P1", "work")]
    assert _contact(con, "relation") == [("spouse",)]


@pytest.mark.parametrize("rest", ["通话结果", "催记内容", "催收员"])
def test_a_list_of_contacts_without_their_times_is_no_list_of_people(rest: str, write: Write) -> None:
    with pytest.raises(InputError) as caught:
        audit.plan([str(write("a.csv", f"案件编号,姓名,关系,联系电话,{rest}\nK1,甲某,配偶,13800138000,x\n"))], Mapping())
    assert caught.value.key in ("input.missing_columns", "input.unknown_table")


def test_the_number_in_a_list_of_cases_is_the_borrowers_where_no_list_of_people_says_more(write: Write, run: Run) -> None:
    cases = write("cases.csv", "案件编号,客户姓名,手机号,欠款金额\nK1,甲某,13800138000,100\nK2,乙某,13900139000,100\n")
    calls = write("calls.csv", "案件编号,通话时间,被叫号码,催记内容\nK1,2026-03-05 20:05:01,13800138000,x\nK2,2026-03-05 21:05:01,13800138000,y\n")
    result, con = run([cases, calls])
    assert [(b.table, b.loaded, b.unmapped) for b in result.batches] == [("cases", 2, ()), ("persons", 2, ()), ("numbers", 2, ()), ("contacts", 2, ())]
    assert _contact(con, "relation") == [("self",), (None,)]
    people = write("people.csv", "案件编号,联系人姓名,与借款人关系,联系电话\nK1,丙某,配偶,13800138000\n")
    result, con = run([cases, calls, people])
    assert [b.table for b in result.batches] == ["cases", "contacts", "persons", "numbers"]
    assert _contact(con, "relation") == [("spouse",), (None,)]


def test_somebody_without_a_number_is_no_bad_row(write: Write, run: Run) -> None:
    result, con = run([write("people.csv", "案件编号,联系人姓名,与借款人关系,联系电话\nK1,甲某,配偶,13800138000\nK1,乙某,同事,无\n")])
    assert [(b.table, b.rows_read, b.loaded, b.rejected) for b in result.batches] == [("persons", 2, 2, 0), ("numbers", 1, 1, 0)]
    result, con = run([write("cases.csv", "案件编号,客户姓名,手机号,欠款金额\nK1,甲某,13800138000,100\nK2,,13900139000,100\nK3,丙某,,100\n")])
    assert [(b.table, b.rows_read, b.loaded, b.rejected) for b in result.batches] == [("cases", 3, 3, 0), ("persons", 2, 2, 0), ("numbers", 2, 1, 1)]
    assert con.execute("SELECT row_no, reason FROM rejects").fetchall() == [(3, "reject.missing")], "whose number it is, is not said"


def test_people_of_one_case_named_by_the_mapping_are_told_apart(write: Write, run: Run) -> None:
    said = load_mapping(write("m.yaml", 'name: m\ntables: [{match: ["p.csv"], table: persons, columns: {case_id: {const: K1}, name: 人, relation: 何人}}]\n'))
    _, con = run([write("p.csv", "人,何人,联系电话\n甲某,同事,13800138000\n乙某,同事,13900139000\n")], mapping=said)
    assert con.execute("SELECT count(DISTINCT person_id), count(*) FROM numbers").fetchall() == [(2, 2)]


@pytest.mark.parametrize(
    ("cell", "told"),
    [
        ("8:00", "08:00:00"), ("08:00:30", "08:00:30"), ("24:00", "24:00:00"), ("8:00 AM", "08:00:00"), ("12:30 a.m.", "00:30:00"), ("12:00 PM", "12:00:00"), ("8pm", "20:00:00"),
        ("0800", "08:00:00"), ("2130", "21:30:00"), ("20", "20:00:00"), ("下午8点", "20:00:00"), ("8点30分", "08:30:00"), ("上午9：15", "09:15:00"), ("晚上12点", "24:00:00"),
        ("25:00", None), ("13 pm", None), ("8:60", None), ("noon", None), ("", None),
    ],
)  # fmt: skip
def test_times_of_day(cell: str, told: str | None) -> None:
    found = duckdb.execute(f"SELECT ({values.clock('c')})::VARCHAR FROM (SELECT ? AS c)", [cell]).fetchall()[0][0]
    assert found == told


def test_agreed_hours_that_cannot_be_read_are_counted(run: Run, tmp_path: Path) -> None:
    files = {
        "cases.csv": "case_id,debtor_id\nK1,D1\n",
        "contacts.csv": "case_id,channel,started_at,direction\nK1,call,2026-03-02 09:00:00,outbound\n",
        "case_events.csv": "case_id,kind,occurred_at,agreed_from,agreed_to\nK1,agreed_time,2026-03-01 09:00:00,8:00 AM,noon\n",
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    _, con = run([tmp_path / name for name in files])
    assert con.execute("SELECT agreed_from::VARCHAR, agreed_to FROM case_events").fetchall() == [("08:00:00", None)]
    assert con.execute("SELECT column_name, problem, cells FROM cell_problems").fetchall() == [("agreed_to", "unreadable", 1)]


def test_a_sheet_that_the_mapping_leaves_out_is_told_and_keeps_nobody_from_the_rest(tmp_path: Path, run: Run) -> None:
    with xlsxwriter.Workbook(str(tmp_path / "a.xlsx")) as made:
        made.add_worksheet("催记").write_row(0, 0, ["案件编号", "时间", "渠道", "结果", "与客户关系", "内容"])
        made.worksheets()[0].write_row(1, 0, ["K1", "2026-04-01 10:00:00", "电话", "接通", "本人", "核实"])
        made.add_worksheet("培训").write_row(0, 0, ["坐席工号", "课程", "分数"])
        made.worksheets()[1].write_row(1, 0, ["A1", "合规", "90"])
    with pytest.raises(InputError) as refused:
        run([tmp_path / "a.xlsx"])
    assert "ignore" in refused.value.text("zh") and "ignore" in refused.value.text("en")
    result, _ = run([tmp_path / "a.xlsx"], mapping=Mapping(ignore=["a.xlsx#培训"]))
    assert result.left_out == ("a.xlsx#培训",) and [b.file for b in result.batches] == ["a.xlsx#催记"]


def test_an_event_says_to_which_agency_it_was_said(write: Write, run: Run) -> None:
    contacts = write("contacts.csv", f"{HEADER}\nc1,K1,,本人,电话,呼出,2026-04-01 10:00:00,接通,交互,A1,核实\n")
    events = write("events.csv", "编号,案件编号,事件,事件时间,委外机构\nE1,K1,同意致电,2026-04-01 09:00,启衡\nE2,K1,同意致电,2026-04-01 09:00,\n")
    _, con = run([contacts, events])
    assert con.execute("SELECT event_id, vendor FROM case_events ORDER BY 1").fetchall() == [("E1", "启衡"), ("E2", None)]


def test_a_total_in_the_first_column_is_no_contact(write: Write, run: Run) -> None:
    text = "记录编号,案件编号,与客户关系,渠道,方向,时间,结果,内容\n1,K1,本人,电话,呼出,2026-04-01 10:00,接通,核实\n合计,22,,,,,,\n总计：2条,,,,,,,\n制表：小明,,,,,,,\n"
    result, con = run([write("contacts.csv", text)])
    assert [(b.rows_read, b.loaded, b.rejected) for b in result.batches] == [(4, 1, 3)]
    # A note that opens a row is none, though its time is missing.
    result, _ = run([write("notes.csv", "内容,案件编号,与客户关系,渠道,方向,时间\n备注：客户拒接,K1,本人,电话,呼出,\n总计：客户欠三笔,K1,本人,电话,呼出,\n")])
    assert [(b.rows_read, b.loaded, b.rejected) for b in result.batches] == [(2, 2, 0)]
    assert {row[0] for row in con.execute("SELECT reason FROM rejects").fetchall()} == {"reject.summary"}


@pytest.mark.parametrize(("word", "told"), [("要求停止拨打", "breach"), ("某某事件", "undetermined"), ("还款提醒设置", "undetermined"), ("投诉", "clear")])
def test_an_event_of_a_kind_that_nobody_knows_may_be_any(word: str, told: str, write: Write, run: Run) -> None:
    rows = "".join(f"A{n},K1,本人,,电话,呼出,2026-04-01 1{n}:00,无人接听,x\n" for n in range(3)) + "A4,K1,朋友,P1,电话,呼出,2026-04-05 10:00,接通,请转告客户回电。\n"
    contacts = write("contacts.csv", "记录编号,案件编号,与客户关系,联系人编号,渠道,方向,时间,结果,内容\n" + rows)
    events = write("events.csv", f"编号,案件编号,联系人编号,事件,事件时间\nE1,K1,P1,{word},2026-04-03 10:00\nE2,K1,P1,,2026-04-03 10:00\n")
    result, con = run([contacts, events])
    # A kind that was read or not, the row is there; one that says none is not.
    assert [(b.rows_read, b.loaded, b.rejected) for b in result.batches if b.table == "case_events"] == [(2, 1, 1)]
    told_now = dict(con.execute("SELECT outcome, sum(contacts) FROM rule_results WHERE rule = 'cn-gbt-45251/stop-on-refusal' AND outcome <> 'not_applicable' GROUP BY ALL").fetchall())
    assert told_now == {told: 1}
    words = [(p["column_name"], p["problem"], p["words"]) for p in summary.cell_problems(con)]
    assert words == ([("kind", "unmapped_word", word)] if told == "undetermined" else [])
    if told == "undetermined":
        assert con.execute("SELECT DISTINCT missing FROM rule_results WHERE rule = 'cn-gbt-45251/stop-on-refusal' AND outcome = 'undetermined'").fetchall() == [("case_events.kind",)]


def test_a_word_for_which_a_row_was_rejected_is_named(write: Write, run: Run) -> None:
    contacts = write("contacts.csv", "记录编号,案件编号,与客户关系,渠道,方向,时间,结果,内容\n1,K1,本人,电话,呼出,2026-04-01 10:00,接通,核实\n")
    _, con = run([contacts, write("persons.csv", "联系人编号,案件编号,姓名,关系\nP1,K1,张三,本人\nP2,K1,李四,拜把子\n")])
    assert [(p["column_name"], p["words"]) for p in summary.cell_problems(con)] == [("relation", "拜把子")]


@pytest.mark.parametrize(("note", "told"), [("无", "breach"), ("。。。", "breach"), ("111", "breach"), ("同上", "breach"), ("  ", "breach"), ("👍", "clear"), ("核实本人", "clear"), ("PTP", "clear")])
def test_a_note_that_says_nothing_is_none(note: str, told: str, write: Write, run: Run) -> None:
    _, con = run([write("contacts.csv", f"记录编号,案件编号,与客户关系,渠道,方向,时间,结果,内容\n1,K1,本人,电话,呼出,2026-04-01 10:00,接通,{note}\n")])
    assert con.execute("SELECT outcome FROM rule_results WHERE rule = 'cn-gbt-45251/call-record'").fetchall() == [(told,)]


@pytest.mark.parametrize(("headers", "channel"), [
    ("外呼编号,案件编号,外呼号码,外呼时间,接通状态,通话秒数,呼叫方向", "call"), ("call_id,case_number,dialed_number,call_start,call_status,call_duration", "call"),
    ("编号,案件编号,号码,时间,结果,内容,备注", None), ("消息编号,案件编号,被叫号码,呼叫时间,接通状态,短信内容,方向", None),
])  # fmt: skip
def test_what_a_dialler_exports_is_calls(headers: str, channel: str | None, write: Write, run: Run) -> None:
    cells = ["1", "K1", "13800001111", "2026-04-01 10:00:00", "接通", "30", "呼出"][: len(headers.split(","))]
    _, con = run([write("contacts.csv", headers + "\n" + ",".join(cells) + "\n")])
    assert con.execute("SELECT channel::VARCHAR FROM contacts").fetchall() == [(channel,)]
    # It is said, as what a mapping sets is.
    assert ("= call" in con.execute("SELECT mapped FROM batches").fetchall()[0][0]) is (channel is not None)


@pytest.mark.parametrize(("word", "kind"), [
    ("股份制银行", "bank"), ("农商行", "bank"), ("持牌消金", "consumer_finance"), ("互联网小贷公司", "microloan"), ("资产管理公司", "other"), ("助贷平台", "other"), ("P2P", "other"), ("火星银号", None),
])  # fmt: skip
def test_kinds_of_lenders_as_people_call_them(word: str, kind: str | None, write: Write, run: Run) -> None:
    contacts = write("contacts.csv", "记录编号,案件编号,与客户关系,渠道,方向,时间,结果,内容\n1,K1,本人,电话,呼出,2026-04-01 10:00,接通,核实\n")
    _, con = run([contacts, write("cases.csv", f"案件编号,委托方类型,逾期天数\nK1,{word},3\n")])
    assert con.execute("SELECT lender_kind::VARCHAR FROM cases").fetchall() == [(kind,)]


def test_a_diallers_date_and_time_are_one(write: Write, run: Run) -> None:
    _, con = run([write("calls.csv", "案件编号,外呼号码,外呼日期,外呼时间,接听状态,通话秒数,呼叫方向\nK1,13800001111,2026-04-01,23:10:00,接通,30,呼出\n")])
    assert con.execute("SELECT local_at::VARCHAR, outcome::VARCHAR, channel::VARCHAR FROM contacts").fetchall() == [("2026-04-01 23:10:00", "conversation", "call")]
