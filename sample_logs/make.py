"""Writes the sample logs: invented people, numbers and debts, with breaches planted on purpose (answers.csv names them).

python sample_logs/make.py [FOLDER] rewrites the data files of FOLDER (this folder if none is given), byte for byte the
same every time. The house format of the files is described in mapping.yaml, the planted rows in README.md.
"""

from __future__ import annotations

import csv
import io
import json
import random
import sys
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import xlsxwriter  # type: ignore[import-untyped]

HERE = Path(__file__).parent
START, DAYS = date(2026, 3, 1), 60
NY = "America/New_York"
CODES = {
    "conversation": "JT", "answered_dropped": "JTGJ", "no_answer": "WRJT", "switched_off": "GJ", "busy": "ZX", "invalid": "KH", "wrong_number": "CH",
    "voicemail": "YYXX", "recorded_message": "LYBB", "sent": "SUBMIT", "delivered": "DELIVRD", "failed": "UNDELIV", "met": "已见", "not_met": "未遇",
}  # fmt: skip
US_CODES = {
    "conversation": "RPC", "answered_dropped": "DROP", "no_answer": "NOANS", "busy": "BUSY", "invalid": "NIS", "voicemail": "LVM",
    "sent": "SUBMITTED", "delivered": "DELIVERED", "failed": "BOUNCED",
}  # fmt: skip
CHANNELS = {"call": "人工外呼", "ai_call": "智能外呼", "wechat": "企业微信", "email": "邮件", "letter": "信函", "visit": "外访", "legal": "法诉"}
TYPES = {"interactive": "JH", "notice": "GZ", "": ""}
RELATIONS = {
    "self": "本人", "spouse": "配偶", "parent": "父母", "sibling": "兄弟姐妹", "friend": "朋友", "colleague": "同事", "emergency_contact": "紧急联系人",
    "guarantor": "担保人",
}  # fmt: skip
CALLED = {"parent": "家属", "sibling": "亲属", "friend": "其朋友", "colleague": "其同事", "emergency_contact": "预留联系人", "spouse": "配偶"}
# name, code, team, vendor ("" is the lender itself)
AGENTS = [
    ("N01", "蒋文博", "自营一组", ""), ("N02", "罗思雨", "自营一组", ""), ("N03", "潘立群", "自营二组", ""), ("N04", "Grace Whitlow", "In-house", ""), ("N05", "田卫东", "自营二组", ""), ("N06", "方若兰", "自营二组", ""),
    ("Q11", "贺一鸣", "启衡一组", "启衡信息"), ("Q12", "尹晓棠", "启衡一组", "启衡信息"), ("Q13", "葛长青", "启衡二组", "启衡信息"), ("Q14", "邵佳宁", "启衡二组", "启衡信息"),
    ("H21", "Marcus Teller", "Team East", "Harbor Point Recovery"), ("H22", "Dana Orwell", "Team East", "Harbor Point Recovery"),
    ("H23", "Luis Ferrand", "Team West", "Harbor Point Recovery"), ("H24", "Ivy Brandt", "Team West", "Harbor Point Recovery"),
]  # fmt: skip
# Off duty since that day; in no rota.
LEFT = ("N07", "邹启明", "自营二组", "", "2026-04-10")
VENDOR = {code: vendor for code, _, _, vendor in AGENTS} | {LEFT[0]: LEFT[3]}
SURNAMES = "陆沈韩郑曹傅卞邱侯龚程陶柏万祝戚焦巫车尤雷岳康倪葛段严莫米宋"
GIVEN = ["子轩", "雨桐", "海涛", "丽娟", "志远", "晓峰", "佳怡", "建国", "文静", "立新", "秀兰", "俊杰", "欣然", "国庆", "梦洁", "永强", "红梅", "振华", "若溪", "明哲", "春燕", "少波", "雅琴", "向东"]
US_FIRST = ["Alan", "Beth", "Carl", "Donna", "Evan", "Faye", "Glen", "Hope", "Ira", "June", "Kurt", "Lena", "Miles", "Nora", "Owen", "Paige", "Quinn", "Rosa", "Seth", "Tara"]
US_LAST = ["Ashby", "Bexley", "Corwin", "Dunmore", "Elwood", "Farrow", "Gantry", "Holloway", "Ingram", "Jessop", "Kirby", "Larkin", "Mayfair", "Norwood", "Oakes"]
PLACES = [("New York", NY, "212"), ("Illinois", "America/Chicago", "312"), ("Colorado", "America/Denver", "303"), ("California", "America/Los_Angeles", "213"), ("Arizona", "America/Phoenix", "602")]
LENDERS = [("云杉消费金融", "消费金融", "云杉消金"), ("禾木小额贷款", "小贷", "禾木"), ("岭南江岸银行", "银行", "江岸")]

CIVIL = "cn-gbt-45251/civil-language"
BANK_WORDS = [
    (("cn-cpm-2023/posing-as-authority", "cn-cpm-2023/fraud", CIVIL), "我是区法院执行局的，你的案子归我管，今天之内联系我。", "冒充法院", "posed as the court"),
    (("cn-cpm-2023/posing-as-authority", "cn-cpm-2023/fraud", CIVIL), "这里是经侦大队，你的账户已被我们立案侦查，速回电。", "冒充公安", "posed as the police"),
    (("cn-cpm-2023/violence-and-intimidation", CIVIL, "lender-playbook/polite-language"), "再不还钱，打断你的腿信不信。", "暴力威胁", "threat of violence"),
    (("cn-cpm-2023/violence-and-intimidation", CIVIL, "lender-playbook/polite-language"), "会给你家送花圈，在你家门口放哀乐。", "恐吓", "intimidation"),
    (("cn-cpm-2023/fraud",), "今天还清，我帮你把征信逾期记录全部删掉。", "虚假承诺", "false promise"),
    (("cn-cpm-2023/fraud", CIVIL), "不还就让你坐牢，今晚派出所上门抓人。", "虚假法律后果", "false legal consequence"),
    ((), "逾期信息会如实报送征信；确有困难，可以申请分期，审批结果以通知为准。", "", ""),
]

# Parts of notes and messages; each text is put together from one of each list.
TALK = [
    ["本人接听，", "致电KH本人，", "接通，核对身份后", "{tool}接通，本人在，", "回拨，本人接，", "拨打{tool}，KH接听，", "表明机构与工号后，"],
    ["告知本期应还{amt}元、逾期{dpd}天", "说明账单{amt}元及扣款安排", "提醒尾号{tail}账户存入{amt}元", "核对剩余期数，本期{amt}元未入账", "KH确认收到{ago}的提醒，金额{amt}元"],
    ["，客户称{why}", "，KH表示{why}", "，对方语气平和，说{why}", "，原因：{why}", "，KH称{why}"],
    ["，承诺{date}前还{half}元。", "，约{date}再联系。", "，PTP {date} {half}元 银行转账。", "，请其拨打人工客服办理分期，{date}跟进。", "，愿先还{half}元，余款{date}。", "，已登记，{date}复核入账。"],
]  # fmt: skip
WHY = [
    "工资还没发", "外地出差卡未随身", "生意回款慢", "家中有人住院", "刚换工作，首月薪资未发", "以为已自动扣款", "银行卡换卡未更新", "忘记日期", "正在和客服协商延期", "前几天把提醒当成垃圾短信删了",
    "装修占用资金", "手机停机两天", "孩子开学缴费", "货款压在平台", "{ago}已还过一笔请核对",
]  # fmt: skip
HEARD = [
    TALK[0], TALK[1],
    ["，客户反映之前的催收爆通讯录", "，客户称再打电话就弄死你", "，客户问不还钱会不会坐牢，已解释属民事责任", "，客户担心我们联系他公司，已说明不会", "，KH称有人冒充法院给他发短信，已提示谨防诈骗", "，客户骂坐席王八蛋"],
    ["，已安抚并登记。", "，礼貌结束，{date}再联系。", "，已上报，编号{tail}{n}。", "，按流程登记投诉，{date}前回复。"],
]  # fmt: skip
MISS = [
    ["第{n}次拨打{tool}，", "{clock}拨{tool}，", "拨打尾号{tail}，", "{tool}{tail}，", "今日第{n}通，"],
    ["响铃{sec}秒无人接听", "响{sec}秒未接", "无人接，等待{sec}秒"],
    ["，择时再拨。", "，{date}再试。", "，改发短信。", "，换时段联系。", "，已记。"],
]  # fmt: skip
OFF = [MISS[0], ["提示已关机", "关机", "提示不在服务区"], MISS[2]]
BUSY = [MISS[0], ["占线", "正在通话中", "{sec}秒后转忙音"], MISS[2]]
DROPPED = [["接通即挂断", "接起即挂，未及核身", "{clock}接通后对方挂断"], ["，{date}再联系。", "，未及说明事由，{date}换时段。", "，按规定当日不再拨打，{date}跟进。"]]
NOTICE = [["自动播报：", "告知式外呼：", "语音通知："], ["尾号{tail}账单{amt}元", "本期应还{amt}元", "{date}应还{amt}元"], ["，请及时处理，如需人工请按零。", "，请按时存入，垃圾短信拦截可能漏收提醒。", "，详情请登录APP查看（{clock}播完）。"]]
THIRD = [
    ["致电{who}{name}，", "{clock}联系{who}{name}，", "拨打{who}{tail}，{name}接听，", "{who}{name}接，"],
    ["询问近况", "核实是否还能联系上本人", "问是否有新的联系方式", "确认号码归属", "礼貌说明来意仅为联系本人"],
    ["，请其转告本人方便时回电，未说明事由。", "，仅请转告回电，未透露任何信息。", "，对方答应转告，{date}再看。", "，其称偶尔见面，会转告，已致谢。", "，说明是私人事务只能与本人沟通，请转告回电。", "，未提及债务，请其转告{date}前回电。", "，对方问是不是要他出钱，已说明无需替他还款，只请转告回电。"],
]  # fmt: skip
SMS = [
    ["【{brand}】{name}您好，", "【{brand}】尊敬的{name}：", "【{brand}】提醒：{name}，"],
    ["您尾号{tail}的借款本期{amt}元", "您本期账单{amt}元", "您{date}应还{amt}元", "您的借款已逾期{dpd}天，应还{amt}元"],
    ["，请于{date}前存入还款账户", "，请及时处理，如已还款请忽略", "，如有困难可申请分期协商", "，可登录APP查看明细"],
    ["。拨打人工客服请按零。", "。谨防冒充我司的诈骗。", "。我们不会要求您向个人账户转账。", "。回T退订。", "。"],
]  # fmt: skip
SMS_THIRD = [["【{brand}】您好，", "【{brand}】打扰了，"], ["请转告{name}方便时", "若您能见到{name}，请其于{date}前", "麻烦告知{name}"], ["给我们回个电话", "与我们联系", "回电我司工号{tail}"], ["，谢谢。", "，如号码有误请回复N，不再打扰。"]]
CHAT = [["{name}您好，", "您好，我是{brand}专员{tail}，"], ["本期账单{amt}元已生成", "您约定{date}还{half}元，想确认一下安排", "分期申请材料已收到，{date}前反馈", "您上传的收入证明已转审核，编号{n}{tail}"], ["，有问题随时留言。", "，祝生活愉快。", "，请留意消息。", "，方便时回复即可。"]]
LETTER = [["致{name}：", "{name}先生/女士：", "函告{name}："], ["截至发函日，您的借款逾期{dpd}天，应还{amt}元", "您与我司的借款合同本期{amt}元尚未入账"], ["，请于收函后七日内处理。", "，如有异议请书面联系我司，编号{tail}。", "，如协商不成，我司可能依法提起诉讼。"]]
LEGAL = [["向有管辖权的法院递交立案材料", "提交诉前调解申请", "递交补充证据"], ["，标的{amt}元", "，本息合计{amt}元"], ["，等待通知（{date}）。", "，编号尾号{tail}。"]]
VISIT = [["双人外访登记地址，", "两名专员持工作证上门，", "{clock}到达登记地址，两人同行，"], ["小区门口核实身份", "出示证件并全程录像", "说明来意，语气平和"], ["，{end}"]]
MET = ["本人在家，沟通{sec}分钟，愿{date}还{half}元。", "见到本人，交付告知函，承诺{date}答复。", "本人签收分期方案，首期{half}元。"]
AWAY = ["家中无人，未留任何张贴物，{clock}离开。", "敲门无应答，保安称近日未见，{clock}返回。", "无人在家，未与邻居交谈，{date}再定。"]
TALK_US = [
    ["Spoke with customer, ", "RPC, verified identity, ", "Customer answered, gave agency name, ", "Connected, mini-Miranda given, "],
    ["discussed balance of ${amt}", "reviewed payment options for ${amt}", "went over the ${amt} past due", "confirmed last payment and ${amt} open"],
    ["; customer said {why}", "; customer states {why}", "; reason given: {why}"],
    [". Promised ${half} by {date}.", ". Will look at it again {date}.", ". Sent plan, first part ${half}.", ". No promise, noted {date}."],
]  # fmt: skip
WHY_US = ["hours were cut at work", "a medical bill came first", "payday is {date}", "autopay was thought to be on", "the card was replaced", "rent went up", "the letter went to an old address", "tax refund is on its way", "a new job starts {date}"]
HEARD_US = [TALK_US[0], TALK_US[1], ["; customer said he will kill you if you call again", "; customer asked whether he could go to jail, explained this is civil", "; customer claims another agency told him he will be arrested", "; customer says he will tell your boss about this call"], [". Call ended politely, noted {date}.", ". Logged, supervisor informed, ref {n}{tail}."]]
MISS_US = [["Dialed {tail}, ", "Attempt {n} to {tail}, ", "Rang {tail}, "], ["no answer after {sec}s", "rang out, {sec} seconds", "no pickup in {sec}s"], ["; next try {date}.", "; noted {clock}.", "."]]
BUSY_US = [MISS_US[0], ["busy signal", "line busy", "busy tone after {sec}s"], MISS_US[2]]
DROP_US = [MISS_US[0], ["picked up and hung up", "answered, then dropped"], MISS_US[2]]
VM_US = [["Hi {name}, ", "Message for {name}: ", "Hello {name}, "], ["this is {agent} of Harbor Point", "{agent} from Harbor Point here"], [", please call me back when convenient, ref {tail}.", ", kindly return my call by {date}, ref {tail}."]]
SMS_US = [["Harbor Point: {name}, ", "{name}, this is Harbor Point: "], ["${amt} is open on ref {tail}", "your plan option for ${amt} is ready", "a payment of ${half} is set for {date}"], [". Reply STOP to opt out.", ". Questions? Reply HELP. Reply STOP to opt out."]]
THIRD_US = [["Reached {who} {name}, ", "{who} {name} answered, "], ["gave own name only and asked for a number where the customer can be reached", "confirming location information, nothing else discussed", "said it is a personal matter"], [", asked to have the customer call back, {clock}.", ", will pass on the message by {date}.", "; has not seen the customer since {date}."]]


@dataclass
class Person:
    """Somebody tied to a case."""

    id: str
    name: str
    relation: str
    number: str
    kind: str = "手机"
    knows: date | None = None
    zone: str = ""
    extra: str = ""


@dataclass
class Case:
    """One debt; `due` is the due date of its oldest unpaid instalment."""

    id: str
    debtor_id: str
    us: bool
    place: str
    zones: list[str]
    lender: tuple[str, str, str]
    due: date
    amount: float
    agent: str
    no: int
    people: list[Person] = field(default_factory=list)
    paid: date | None = None

    @property
    def debtor(self) -> Person:
        """The borrower."""
        return self.people[0]

    def other(self, relation: str) -> Person:
        """The first person of that relation."""
        return next(p for p in self.people if p.relation == relation)


@dataclass
class Contact:
    """One row of a contact log. `breaks` is what it was planted for: rule, reason in Chinese, reason in English."""

    case: Case
    person: Person | None
    at: datetime
    channel: str
    outcome: str
    text: str
    call_type: str = ""
    direction: str = "outbound"
    agent: str = ""
    staff: int = 0
    recording: bool = True
    number: str = ""
    knows: str = ""
    breaks: list[tuple[str, str, str]] = field(default_factory=list)
    id: str = ""


def day(offset: int) -> date:
    """The date so many days after the first."""
    return START + timedelta(days=offset)


class World:
    """Everything that will be written. The same seed makes the same world."""

    def __init__(self, seed: int, cn: int, us: int) -> None:
        """`cn` and `us` are how many ordinary cases there are."""
        self.rng = random.Random(seed)
        self.cases: list[Case] = []
        self.contacts: list[Contact] = []
        self.events: list[list[str]] = []
        self.payments: list[list[object]] = []
        self.promises: list[list[object]] = []
        self._said: set[str] = set()
        self._phones: dict[str, int] = {}
        for _ in range(cn):
            self.ordinary_cn(self.case(self._dpd(), lost := self.rng.random() < 0.3), lost)
        for _ in range(us):
            self.ordinary_us(self.case(self.rng.randint(5, 120), lost := self.rng.random() < 0.25, us=True), lost)

    def _dpd(self) -> int:
        r = self.rng
        return r.choices([-r.randint(3, 45), r.randint(0, 15), r.randint(16, 45), r.randint(46, 110)], [25, 40, 20, 15])[0]

    def case(self, dpd: int, lost: bool = False, us: bool = False, who: Sequence[str] = (), zones: Sequence[str] = (), of: Case | None = None) -> Case:
        """A new case, `dpd` days past due on the first day; `of` is another case of the same debtor."""
        r, n = self.rng, len(self.cases) + 1
        place, zone, area = next(p for p in PLACES if p[1] == zones[0]) if zones else r.choice(PLACES)
        due = START - timedelta(days=dpd)
        amount = round(r.randint(300, 4000) + r.choice([0.0, 0.5, 0.36, 0.88]), 2)
        agent = r.choice(["H21", "H22", "H23", "H24", "H22", "N04"] if us else ["N01", "N02", "N03", "Q11", "Q12", "Q13", "Q14"])
        lender = ("Larkspur Bank", "银行", "Larkspur") if us else r.choice(LENDERS)
        made = Case(f"{'LB' if us else 'JK'}2026{n:04}", of.debtor_id if of else f"D{n:05}", us, place if us else r.choice(["江苏", "四川", "河南", "福建", "湖北"]), (list(zones) or [zone]) if us else [], lender, due, amount, of.agent if of else agent, r.randint(2, 8))  # fmt: skip
        made.people.append(Person(f"{made.id}-1", of.debtor.name if of else self._name(us), "self", of.debtor.number if of else self._phone(us, area)))
        others = list(who) or r.sample(["parent", "sibling", "friend", "colleague", "emergency_contact"], r.randint(2, 3) if lost else r.randint(0, 2))
        for i, relation in enumerate(others, start=2):
            knows = START - timedelta(days=r.randint(20, 200)) if r.random() < 0.1 else None
            made.people.append(Person(f"{made.id}-{i}", self._name(us), relation, self._phone(us, area), "单位电话" if relation == "colleague" else "手机", knows, made.zones[0] if us else ""))  # fmt: skip
        self.cases.append(made)
        for k in range(1, made.no):
            on = month(made.due, k - made.no)
            self.payments.append([made.id, datetime.combine(on - timedelta(days=r.randint(0, 3)), time(r.randint(9, 20), r.randint(0, 59))), amount, r.choice(["银行代扣", "主动还款"])])
        return made

    def _name(self, us: bool) -> str:
        r = self.rng
        return f"{r.choice(US_FIRST)} {r.choice(US_LAST)}" if us else r.choice(SURNAMES) + r.choice(GIVEN)

    def _phone(self, us: bool, area: str) -> str:
        area = area if us else ""
        self._phones[area] = n = self._phones.get(area, -1) + 1
        return f"{area}-555-01{n:02}" if us else f"1990000{n:04}"

    def words(self, parts: Sequence[Sequence[str]], case: Case, at: datetime, person: Person | None = None, **more: str) -> str:
        """A text put together from one of each part, if possible one that nobody has said yet."""
        r = self.rng
        whom = person or case.debtor
        name = case.debtor.name if parts is SMS_THIRD else whom.name
        for _ in range(12):
            facts = {
                "amt": f"{case.amount:.2f}", "half": str(r.randint(2, 18) * 50), "dpd": str((at.date() - case.due).days), "date": _short(at.date() + timedelta(days=r.randint(1, 9)), case.us), "ago": _short(at.date() - timedelta(days=r.randint(2, 6)), case.us),
                "tail": whom.number[-4:], "n": str(r.randint(1, 4)), "sec": str(r.randint(12, 58)), "clock": f"{at:%H:%M}", "tool": r.choice(["手机", "座机", "预留号码", "主号"]),
                "brand": case.lender[2], "name": name, "who": "the " + whom.relation.replace("_", " ") if case.us else CALLED.get(whom.relation, "联系人"), "agent": next(a[1] for a in AGENTS if a[0] == case.agent).split()[0],
            }  # fmt: skip
            facts |= {k: v.format(**facts) for k, v in more.items()}
            facts["why"] = r.choice(WHY_US if case.us else WHY).format(**facts)
            text = "".join(r.choice(part) for part in parts).format(**facts)
            text = text if int(facts["dpd"]) > 0 or "逾期" not in text else self.words(NOTICE, case, at, person)
            if text not in self._said:
                break
        self._said.add(text)
        return text

    def add(self, case: Case, person: Person | None, at: datetime, channel: str, outcome: str, text: str, breaks: Sequence[tuple[str, str, str]] = (), **more: object) -> Contact:  # fmt: skip
        """Put a contact into the world."""
        contact = Contact(case, person, at, channel, outcome, text, agent=case.agent, breaks=list(breaks))
        if channel == "visit":
            contact.staff = 2
        if channel in ("call", "ai_call") and not case.us:
            contact.call_type = "notice" if channel == "ai_call" else "interactive"
        for key, value in more.items():
            setattr(contact, key, value)
        self.contacts.append(contact)
        return contact

    def event(self, case: Case, kind: str, at: datetime, person: Person | None = None, ended: str = "", agreed: tuple[str, str] = ("", ""), vendor: str = "") -> None:
        """Put an event of a case into the world; `vendor`: to whom, or by whom, where it was an agency."""
        stamp = at.isoformat() if case.us else f"{at:%Y-%m-%d %H:%M:%S}"
        self.events.append([case.id, person.id if person else "", kind, stamp, ended, *agreed, vendor])

    def clock(self, case: Case, on: date, first: int = 9, last: int = 19) -> datetime:
        """A permitted time of that day, also where the debtor may be in two zones."""
        if len(case.zones) > 1:
            first, last = 12, 18
        at = datetime.combine(on, time(self.rng.randint(first, last), self.rng.randint(0, 59), self.rng.randint(1, 59)))
        return at.replace(tzinfo=ZoneInfo(case.zones[0])) if case.us else at

    def at(self, case: Case, offset: int, clock: str) -> datetime:
        """That moment by the debtor's clock."""
        at = datetime.combine(day(offset), time.fromisoformat(clock))
        return at.replace(tzinfo=ZoneInfo(case.zones[0])) if case.us else at

    def say(self, case: Case, offset: int, clock: str, channel: str, outcome: str, text: str | None = None, who: str = "", breaks: Sequence[tuple[str, str, str]] = (), **more: object) -> Contact:  # fmt: skip
        """Put a planted contact into the world; without `text` it gets an ordinary one, a clock without seconds gets some."""
        person, at = case.other(who) if who else case.debtor, self.at(case, offset, clock)
        at += timedelta(seconds=self.rng.randint(1, 59) if len(clock) == 5 else 0)
        if text is None:
            parts = {"conversation": (THIRD, THIRD_US) if who else (TALK, TALK_US), "answered_dropped": (DROPPED, DROP_US), "switched_off": (OFF, MISS_US), "busy": (BUSY, BUSY_US), "recorded_message": (NOTICE, VM_US), "voicemail": (MISS, VM_US),
                     "delivered": (SMS_THIRD if who else SMS, SMS_US), "sent": (LEGAL if channel == "legal" else LETTER, SMS_US)}.get(outcome, (MISS, MISS_US))[case.us]  # fmt: skip
            text = self.words(parts, case, at, person) if channel != "visit" else self.words(VISIT, case, at, end=self.rng.choice(MET if outcome == "met" else AWAY))
        return self.add(case, person, at, channel, outcome, text, breaks, **more)

    def planted(self, offset: int, dpd: int, lost: bool | None = None, who: Sequence[str] = ("parent",)) -> Case:
        """A domestic case for planting, `dpd` days past due on day `offset`; with `lost` given it has an ordinary past."""
        case = self.case(dpd - offset, who=who)
        if lost is not None:
            self.ordinary_cn(case, lost, until=24)
        return case

    def planted_us(self, zones: Sequence[str] = (), who: Sequence[str] = ("parent",)) -> Case:
        """A US case for planting with an ordinary past that ends long enough before day 32."""
        case = self.case(60, us=True, who=who, zones=zones)
        self.ordinary_us(case, False, until=20)
        return case

    def lose(self, case: Case, offset: int) -> None:
        """Three failed attempts on the three days before."""
        for i, outcome in enumerate(["no_answer", "switched_off", "no_answer"]):
            self.say(case, offset - 3 + i, f"1{i}:12:0{i}", "call", outcome)

    def ordinary_cn(self, case: Case, lost: bool, until: int = DAYS) -> None:
        """Lawful contacts of a domestic case: to the debtor, and to others only while he is out of reach."""
        r = self.rng
        if not lost and 0 < (START - case.due).days < 18 and r.random() < 0.3 and until == DAYS:
            case.paid = day(r.randint(4, 10))
            self.payments.append([case.id, datetime.combine(case.paid, time(11, 30)), case.amount, "主动还款"])
        others = [p for p in case.people if p.relation != "self"]
        fails, at = 0, r.randint(0, 6)
        while at < until and not (case.paid and day(at) >= case.paid):
            dpd = (day(at) - case.due).days
            for hour in r.sample([9, 11, 14, 16, 19], r.choice([1, 1, 2]) if dpd > 0 else 1):
                when = self.clock(case, day(at), hour, hour)
                if lost and fails >= 4 and dpd > 30 and others and r.random() < 0.45:
                    self._third_cn(case, r.choice(others), when)
                elif self._debtor_cn(case, when, dpd, lost):
                    fails += 1
            at += r.randint(3, 9)

    def _third_cn(self, case: Case, person: Person, when: datetime) -> None:
        kind = self.rng.choices(["call", "miss", "sms"], [5, 3, 2])[0]
        if kind == "miss":
            self.add(case, person, when, "call", "no_answer", self.words(MISS, case, when, person))
        elif kind == "sms":
            self.add(case, person, when, "sms", "delivered", self.words(SMS_THIRD, case, when, person))
        else:
            self.add(case, person, when, "call", "conversation", self.words(THIRD, case, when, person))

    def _debtor_cn(self, case: Case, when: datetime, dpd: int, lost: bool) -> bool:
        """One contact with the debtor; whether it was a failed attempt to reach him."""
        r, me = self.rng, case.debtor
        kinds = {"sms": 25, "ai_call": 20} if dpd <= 0 else {"call": 62, "sms": 16, "ai_call": 8, "wechat": 5, "email": 2, "visit": 5 if dpd > 30 else 0, "letter": 5 if dpd > 30 else 0, "legal": 3 if dpd > 60 else 0}  # fmt: skip
        channel = r.choices(list(kinds), list(kinds.values()))[0]
        if channel in ("call", "ai_call"):
            good = {"recorded_message": 6, "answered_dropped": 2} if channel == "ai_call" else {"conversation": 11, "answered_dropped": 2}
            bad = {"no_answer": 5, "switched_off": 2, "busy": 1}
            outcomes = bad if lost else good | bad
            outcome = r.choices(list(outcomes), list(outcomes.values()))[0]
            if outcome == "conversation" and r.random() < 0.07:
                self.add(case, me, when, "call", outcome, self.words([["KH来电，", "客户回电，"], *TALK[1:]], case, when), direction="inbound")
                return False
            talk = HEARD if r.random() < 0.08 else TALK
            parts = {"conversation": talk, "answered_dropped": DROPPED, "recorded_message": NOTICE, "switched_off": OFF, "busy": BUSY}.get(outcome, MISS)
            text = "" if outcome in bad and r.random() < 0.4 else self.words(parts, case, when)
            self.add(case, me, when, channel, outcome, text)
            return outcome != "conversation"
        if channel == "visit":
            met = not lost and r.random() < 0.6
            self.add(case, me, when, channel, "met" if met else "not_met", self.words(VISIT, case, when, end=r.choice(MET if met else AWAY)))
        elif channel in ("letter", "legal"):
            self.add(case, me, when, channel, r.choice(["sent", "delivered"]) if channel == "letter" else "sent", self.words(LETTER if channel == "letter" else LEGAL, case, when))
        else:
            outcome = r.choices(["delivered", "sent", "failed"], [8, 1, 1] if dpd > 0 else [8, 2, 0])[0]
            self.add(case, me, when, channel, outcome, self.words(SMS if channel == "sms" else CHAT, case, when))
            if not lost and channel == "wechat" and r.random() < 0.4:
                later = when + timedelta(minutes=r.randint(2, 40))
                self.add(case, me, later, channel, "delivered", r.choice(["好的，{d}发工资就还", "收到，我{d}处理", "能不能宽限到{d}"]).format(d=_short(later.date() + timedelta(days=r.randint(2, 9)), False)), direction="inbound")  # fmt: skip
        return False

    def ordinary_us(self, case: Case, lost: bool, until: int = DAYS) -> None:
        """Lawful contacts of a US case: one call in two days at most, none within seven dates of a conversation."""
        r, me = self.rng, case.debtor
        others = [p for p in case.people if p.relation != "self"]
        fails, wait, at = 0, date.min, r.randint(0, 4)
        while at < until:
            when = self.clock(case, day(at))
            if lost and fails >= 4 and others and r.random() < 0.3:
                who = others.pop()
                self.add(case, who, when, "call", "conversation", self.words(THIRD_US, case, when, who))
            elif day(at) >= wait and r.random() < 0.7:
                outcome = r.choices(["no_answer", "voicemail", "conversation", "answered_dropped", "busy"], [9, 4, 0 if lost else 5, 1, 1])[0]
                talk = HEARD_US if r.random() < 0.12 else TALK_US
                parts = {"conversation": talk, "voicemail": VM_US, "busy": BUSY_US, "answered_dropped": DROP_US}.get(outcome, MISS_US)
                self.add(case, me, when, "call", outcome, self.words(parts, case, when))
                fails += outcome != "conversation"
                wait = day(at + 7) if outcome == "conversation" else wait
            else:
                self.add(case, me, when, r.choice(["sms", "sms", "email"]), "delivered", self.words(SMS_US, case, when))
            at += r.randint(2, 6)


def month(on: date, months: int) -> date:
    """The same day so many months later, at most the 28th."""
    if not months:
        return on
    index = on.year * 12 + on.month - 1 + months
    return date(index // 12, index % 12 + 1, min(on.day, 28))


def _short(on: date, us: bool) -> str:
    return f"{on:%b} {on.day}" if us else f"{on.month}月{on.day}日"


# What breaks another rule as well, and at which kind of lender ("" is any).
ALSO = {
    "cn-gbt-45251/third-party-disclosure": ("", "cn-pipl/third-party-disclosure"),
    "cn-gbt-45251/third-party-pressure": ("消费金融", "cn-consumer-finance-2024/third-party-pressure"),
    "cn-gbt-45251/call-record": ("消费金融", "cn-consumer-finance-2024/traceable-record"),
}  # fmt: skip


def broken(contact: Contact) -> list[tuple[str, str, str]]:
    """What a contact was planted for, with the rules of other instruments that ask for the same."""
    found = list(contact.breaks)
    for rule, zh, en in contact.breaks:
        kind, other = ALSO.get(rule, ("-", ""))
        if kind in ("", contact.case.lender[1]):
            found.append((other, zh, en))
    return found


def cn(rule: str, zh: str, en: str) -> tuple[str, str, str]:
    """A planted breach of the national standard."""
    return f"cn-gbt-45251/{rule}", zh, en


def us(rule: str, zh: str, en: str) -> tuple[str, str, str]:
    """A planted breach of Regulation F."""
    return f"us-reg-f/{rule}", zh, en


def book(rule: str, zh: str, en: str) -> tuple[str, str, str]:
    """A planted breach of the lender's handbook."""
    return f"lender-playbook/{rule}", zh, en


def plant_hours_and_counts(w: World) -> None:
    """Quiet hours, interactive and notice calls, call records: each beside a near miss."""
    k = w.planted(34, 20, False)
    w.say(k, 33, "21:59:59", "call", "conversation")
    w.say(k, 34, "22:03:17", "call", "conversation", breaks=[cn("quiet-hours", "22:03 致电本人", "call at 22:03")])
    w.say(k, 36, "07:42:08", "sms", "delivered", breaks=[cn("quiet-hours", "07:42 发短信", "text message at 07:42")])
    w.event(k, "约定时间", w.at(k, 36, "12:00:00"), agreed=("09:00", "20:00"))
    w.say(k, 37, "08:00:00", "sms", "delivered", breaks=[cn("agreed-hours", "约定 09:00—20:00，08:00 发短信", "agreed hours were 09:00-20:00, text message at 08:00")])
    k = w.planted(40, 26, False)
    w.event(k, "约定时间", w.at(k, 30, "16:20:00"), agreed=("21:00", "23:00"))
    w.say(k, 40, "22:30", "call", "conversation")
    w.say(k, 41, "23:10:44", "call", "no_answer", breaks=[cn(rule, "约定 21:00—23:00，23:10 致电", "agreed hours were 21:00-23:00, call at 23:10") for rule in ("agreed-hours", "quiet-hours")])
    k = w.planted(35, 9, False)
    w.say(k, 35, "22:00:00", "ai_call", "recorded_message", breaks=[cn("quiet-hours", "正好 22:00:00 外呼", "call at exactly 22:00:00")])
    fourth = "同一借款人当日第四次", "fourth in one day to one debtor"
    k = w.planted(35, 45, False)
    for clock, agent in (("09:10:00", "N01"), ("11:20:30", "Q12"), ("14:31:05", "N01")):
        w.say(k, 35, clock, "call", "conversation", agent=agent)
        w.say(k, 37, clock, "call", "conversation", agent=agent)
    w.say(k, 35, "17:05:12", "call", "conversation", agent="Q12", breaks=[cn("interactive-calls", f"{fourth[0]}交互式通话，两机构合并", f"interactive call, {fourth[1]}, lender and agency together")])
    for clock, outcome in (("16:00:00", "no_answer"), ("17:40:00", "busy")):
        w.say(k, 37, clock, "call", outcome)
    w.say(k, 37, "18:15", "call", "conversation", "KH来电询问分期，告知办理方式，约定次日回复。", direction="inbound")
    k = w.planted(38, 33, False)
    twin = w.case(-2, who=(), of=k)
    for case, clock in ((k, "09:01:00"), (k, "11:03:00"), (twin, "14:02:00")):
        w.say(case, 38, clock, "call", "conversation")
    w.say(twin, 38, "16:30", "call", "conversation", breaks=[cn("interactive-calls", f"{fourth[0]}交互式通话，两案合并", f"interactive call, {fourth[1]} over two cases")])
    k = w.planted(35, 14, False)
    w.say(k, 35, "09:00:10", "call", "conversation", "告知本期账单金额与日期，KH称知道了。", call_type="notice", agent="N02")
    w.say(k, 35, "10:30:10", "call", "answered_dropped", call_type="notice", agent="Q11")
    w.say(k, 35, "13:00:10", "ai_call", "recorded_message", agent="N02")
    w.say(k, 35, "16:00:10", "call", "conversation", "告知扣款失败，请存入后联系，KH称稍后。", call_type="notice", agent="Q13",
          breaks=[cn("notice-calls", f"{fourth[0]}告知式接通，自营与委外合并", f"answered notice call, {fourth[1]}, lender and agency together")])  # fmt: skip
    for clock, outcome in (("09:00:00", "recorded_message"), ("10:00:00", "no_answer"), ("11:00:00", "recorded_message"), ("13:00:00", "busy"), ("15:00:00", "answered_dropped")):
        w.say(k, 37, clock, "ai_call", outcome)
    k = w.planted(36, 10, False)
    for hour in (9, 11, 14):
        w.say(k, 36, f"{hour:02}:15:20", "ai_call", "recorded_message")
    w.say(k, 36, "18:15:20", "ai_call", "recorded_message", breaks=[cn("notice-calls", f"{fourth[0]}告知式播报", f"played notice call, {fourth[1]}")])
    blank = "接通而没有催记", "conversation without a note"
    k = w.planted(34, 50, False)
    w.say(k, 34, "10:10:10", "call", "conversation", "", breaks=[cn("call-record", *blank)])
    w.say(k, 35, "10:40:10", "call", "conversation", "  ", breaks=[cn("call-record", "催记只有空格", "the note is blanks only")])
    w.say(k, 36, "15:00:10", "call", "conversation", "补记：本人接听，愿分两次处理。")
    w.say(k, 37, "15:00:10", "call", "no_answer", "")
    w.say(k, 38, "15:30", "visit", "met", "", breaks=[cn("call-record", "外访见到本人而没有记录", "debtor met on a visit, no note"), book("visit-record", "外访没有记录", "visit without a note")])


def plant_third_parties(w: World) -> None:
    """The gate, disclosure, pressure and refusal by the national standard: each beside a near miss."""
    k = w.planted(35, 44, False, ("colleague",))
    w.say(k, 34, "10:00", "call", "conversation")
    w.say(k, 35, "10:30", "call", "conversation", who="colleague", breaks=[cn("third-party-gate", "前一天刚与本人通过话", "debtor reached the day before")])
    k = w.planted(35, 70, None, ("friend",))
    w.say(k, 35, "11:00", "sms", "delivered", who="friend", breaks=[cn("third-party-gate", "从未联系过本人就发给朋友", "friend written to, debtor never tried")])
    k = w.planted(35, 52, True)
    w.lose(k, 34)
    w.say(k, 34, "10:20", "call", "conversation", who="parent")
    w.say(k, 36, "09:30", "call", "conversation", "KH来电，称之前手机坏了，留新的联系时间。", direction="inbound")
    w.say(k, 38, "10:20", "call", "no_answer", who="parent", breaks=[cn("third-party-gate", "本人已来电恢复联系", "debtor had called back")])
    told = "告知其贷款逾期未还，请其转告KH尽快处理"
    k = w.planted(35, 60, True, ("colleague", "friend", "guarantor"))
    w.lose(k, 34)
    w.say(k, 35, "10:00", "call", "conversation", f"致电同事，{told}。", "colleague", [cn("third-party-disclosure", "告诉同事贷款逾期", "colleague told of the overdue loan")])
    w.say(k, 35, "14:00", "sms", "delivered", "您好，您的朋友借款逾期未还，尚欠五千余元，请转告其处理。", "friend", [cn("third-party-disclosure", "短信告诉朋友欠款金额", "friend told the amount by text message")])
    w.say(k, 36, "14:00", "sms", "delivered", "您好，您的借款逾期未还，请尽快处理。")
    w.say(k, 36, "15:00", "call", "conversation", f"致电担保人，{told}。", "guarantor")
    k = w.planted(36, 48, False)
    w.event(k, "第三人愿意还款", w.at(k, 33, "10:00:00"), k.other("parent"))
    w.say(k, 36, "10:00", "call", "conversation", "其父主动来问，告知逾期金额及还款方式。", "parent")
    k = w.planted(37, 75, True, ("parent", "sibling"))
    w.lose(k, 36)
    w.say(k, 37, "10:00", "call", "conversation", "对其父说：你是他父亲，你替他还，别推。", "parent", [cn("third-party-pressure", "要求父亲替他还", "father told to pay for him")])
    w.say(k, 38, "10:00", "sms", "delivered", "你是他亲弟，联系不上他你也得还，今天给个说法。", "sibling", [cn("third-party-pressure", "短信要求弟弟承担", "brother told by text that he must pay")])
    w.say(k, 39, "10:00", "call", "conversation", "其弟问要不要他出钱，已告知家属无需代偿，只请转告回电。", "sibling")
    k = w.planted(38, 80, True, ("parent", "sibling"))
    w.lose(k, 34)
    w.say(k, 34, "10:00", "call", "conversation", who="parent")
    w.event(k, "要求停止联系", w.at(k, 34, "15:00:00"), k.other("parent"))
    w.say(k, 36, "10:00", "call", "no_answer", who="parent", agent="Q14", breaks=[cn("stop-on-refusal", "其父已要求停止联系，另一人又打", "father had refused, another agent called")])
    w.say(k, 38, "16:00", "sms", "delivered", who="parent", breaks=[cn("stop-on-refusal", "其父拒绝后又发短信", "text message after the father's refusal")])
    w.say(k, 36, "11:00", "call", "conversation", who="sibling")


def plant_words(w: World) -> None:
    """Uncivil words to debtors, and their lawful look-alikes."""
    rule, rude = "civil-language", "polite-language"
    k = w.planted(34, 38, False)
    w.say(k, 34, "10:00", "call", "conversation", "你个老赖，借的时候怎么不这样，今天必须处理。", breaks=[cn(rule, "辱骂", "insult"), book(rude, "辱骂", "insult")])
    w.say(k, 35, "10:00", "call", "conversation", "客户骂坐席王八蛋，未回应，礼貌结束。")
    w.say(k, 36, "15:20", "sms", "delivered", "最后说一次，今天不还就打断你的腿。", breaks=[cn(rule, "暴力威胁", "threat of violence"), book(rude, "暴力威胁", "threat of violence"), ("cn-consumer-finance-2024/threats-and-harassment", "暴力威胁", "threat of violence")])
    w.say(k, 37, "15:20", "wechat", "delivered", "合规提醒：不得对客户说打断你的腿等威胁性语言，如遇请投诉。")
    k = w.planted(36, 66, False)
    w.say(k, 36, "11:00", "wechat", "delivered", "五点前不处理就联系你单位领导，让全公司都知道你欠钱。", breaks=[(name, "以告知单位相威胁", "threat to tell the employer") for name in (f"cn-gbt-45251/{rule}", "cn-microloan-2024/exposure", "cn-pipl/public-exposure")])
    w.say(k, 37, "11:00", "call", "conversation", "客户担心联系他单位，已解释不会联系您的单位。")
    w.say(k, 38, "11:00", "call", "conversation", "告知已涉嫌信用卡诈骗，今天移交公安机关。", breaks=[cn(rule, "虚假法律后果", "false legal consequence"), ("cn-microloan-2024/false-claims", "虚假法律后果", "false legal consequence")])
    w.say(k, 39, "11:00", "sms", "delivered", "如协商不成，我司可能依法提起诉讼；如遇冒充公安的来电请拨打人工核实，垃圾短信请勿点击。")


def plant_playbook(w: World) -> None:
    """The lender's own handbook, by days past due: each rule beside a near miss."""
    told = ("告知其家人贷款逾期，请其转告。", "说明借款未还情况，请其转告KH。")
    shut = cn("third-party-disclosure", "向第三人透露欠款", "third party told of the debt")
    k = w.planted(35, 3, False, ("colleague",))
    w.event(k, "失联", w.at(k, 33, "09:00:00"))
    w.say(k, 34, "10:00", "call", "conversation", who="colleague", knows="否")
    w.say(k, 35, "10:00", "call", "conversation", told[0], "colleague", [book("days-1-to-5", "逾期第 3 天透露", "told on day 3"), shut], knows="否")
    k = w.planted(35, 5, False)
    w.event(k, "第三人愿意还款", w.at(k, 33, "09:00:00"), k.other("parent"))
    w.say(k, 35, "10:30", "call", "conversation", told[1], "parent", [book("days-1-to-5", "逾期第 5 天透露，知情者也不例外", "told on day 5, though the person knew")], knows="是")
    w.say(k, 36, "10:30", "call", "conversation", told[0], "parent", knows="是")
    k = w.planted(35, 12, False)
    w.event(k, "第三人愿意还款", w.at(k, 33, "09:00:00"), k.other("parent"))
    w.say(k, 35, "10:30", "call", "conversation", told[0], "parent", [book("days-6-to-17", "第 12 天向不知情者透露", "a person who did not know was told on day 12")], knows="否")
    w.say(k, 37, "10:30", "call", "conversation", told[1], "parent", knows="是")
    k = w.planted(36, 17, None, ("friend",))
    w.event(k, "失联", w.at(k, 33, "09:00:00"))
    w.say(k, 36, "10:30", "call", "conversation", told[1], "friend", [book("days-6-to-17", "第 17 天向不知情者透露", "a person who did not know was told on day 17"), shut], knows="否")
    k = w.planted(36, 18, False)
    w.event(k, "第三人愿意还款", w.at(k, 33, "09:00:00"), k.other("parent"))
    w.say(k, 35, "10:30", "call", "conversation")
    w.say(k, 36, "10:30", "call", "conversation", told[0], "parent", [book("days-18-to-30", "第 18 天，本人联系得上", "day 18, debtor within reach")], knows="否")
    w.say(k, 38, "10:30", "call", "no_answer")
    w.say(k, 39, "10:30", "call", "switched_off")
    w.say(k, 40, "10:30", "call", "conversation", told[1], "parent", knows="否")
    k = w.planted(36, 30, False, ("friend",))
    w.say(k, 35, "10:30", "call", "conversation")
    w.say(k, 36, "10:30", "call", "conversation", told[1], "friend", [book("days-18-to-30", "第 30 天，本人联系得上", "day 30, debtor within reach"), shut, cn("third-party-gate", "前一天刚与本人通过话", "debtor reached the day before")], knows="否")
    k = w.planted(36, -2, False)
    w.event(k, "第三人愿意还款", w.at(k, 33, "09:00:00"), k.other("parent"))
    w.say(k, 35, "10:30", "call", "conversation")
    w.say(k, 36, "10:30", "call", "conversation", who="parent", breaks=[book("before-due", "到期前两天联系家人，本人联系得上", "parent called two days before the due date, debtor within reach")])
    w.say(k, 36, "15:30", "call", "no_answer", breaks=[book("reminder-mornings", "到期前两天下午致电提醒", "reminder call in the afternoon, two days before the due date"), book("text-after-no-answer", "提醒电话未接，当天没有发短信", "reminder call rang out, no text message that date")])
    w.say(k, 37, "09:30", "call", "switched_off", breaks=[book("text-after-no-answer", "提醒电话未接，当天没有发短信", "reminder call rang out, no text message that date")])
    w.say(k, 37, "10:30", "call", "conversation", who="parent")
    k = w.planted(36, 0, False, ("friend",))
    w.say(k, 35, "10:30", "call", "conversation")
    w.say(k, 36, "10:30", "sms", "delivered", who="friend", breaks=[book("before-due", "还款日当天联系朋友", "friend written to on the due date"), cn("third-party-gate", "前一天刚与本人通过话", "debtor reached the day before")])
    early = "逾期未满 31 天", "before day 31"
    k = w.planted(36, 20, False)
    w.say(k, 36, "15:00", "visit", "met", breaks=[book("visit-after-m1", f"第 20 天外访，{early[0]}", f"visit on day 20, {early[1]}")])
    k = w.planted(36, 30, False)
    w.say(k, 36, "15:00", "letter", "sent", breaks=[book("visit-after-m1", f"第 30 天发函，{early[0]}", f"letter on day 30, {early[1]}")])
    w.say(k, 37, "15:00", "visit", "not_met")
    k = w.planted(36, 60, False)
    w.say(k, 36, "10:00", "legal", "sent", breaks=[book("legal-after-m2", "第 60 天走法律程序", "legal step on day 60")])
    w.say(k, 37, "10:00", "legal", "sent")
    k = w.planted(36, 45, False)
    w.say(k, 36, "10:00", "legal", "sent", breaks=[book("legal-after-m2", "第 45 天走法律程序", "legal step on day 45")])
    for offset in (38, 41):
        w.say(k, offset, "16:00", "visit", "not_met", "", breaks=[book("visit-record", "外访没有记录", "visit without a note")])
    w.say(k, 43, "16:00", "visit", "not_met")


def plant_us(w: World) -> None:
    """Regulation F: hours, counts, waits, the written notice, disclosure and patterns, each beside a near miss."""
    la = "America/Los_Angeles"
    k = w.planted_us([la])
    w.say(k, 33, "21:12:09", "call", "no_answer", breaks=[us("inconvenient-hours", "当地 21:12 致电", "call at 21:12 at the consumer's place")])
    w.say(k, 34, "20:59:59", "sms", "delivered")
    w.say(k, 36, "07:55:30", "sms", "delivered", breaks=[us("inconvenient-hours", "当地 07:55 发短信", "text message at 07:55 at the consumer's place")])
    k = w.planted_us([NY, la])
    w.say(k, 33, "10:30", "call", "no_answer", breaks=[us("inconvenient-hours", "两个候选时区之一是 07:30", "07:30 in one of two possible zones")])
    w.say(k, 36, "11:30", "call", "no_answer")
    k = w.planted_us()
    w.event(k, "同意", w.at(k, 30, "12:00:00"))
    w.say(k, 33, "21:40", "sms", "delivered")
    w.say(k, 34, "21:00:00", "sms", "delivered")
    k = w.planted_us()
    w.say(k, 33, "21:00:00", "call", "no_answer", breaks=[us("hours-boundary", "正好 21:00:00", "exactly 21:00:00")])
    w.say(k, 35, "08:00:01", "call", "no_answer")
    w.say(k, 37, "08:00:00", "sms", "delivered", breaks=[us("hours-boundary", "正好 08:00:00", "exactly 08:00:00")])
    eighth = "七日内第八次致电", "eighth call within seven dates"
    k = w.planted_us()
    for i, offset in enumerate((33, 34, 34, 35, 36, 37, 38)):
        w.say(k, offset, f"{10 + i}:07:00", "call", "no_answer")
    w.say(k, 39, "10:30", "call", "voicemail", breaks=[us("seven-in-seven", *eighth)])
    k = w.planted_us()
    for offset in range(33, 41):
        w.say(k, offset, "11:07", "call", "no_answer")
    w.say(k, 39, "15:30", "call", "busy")
    k = w.planted_us()
    k.debtor.extra = w._phone(True, "646")
    for i, offset in enumerate((33, 34, 35, 36, 37, 38, 39)):
        w.say(k, offset, "12:09", "call", "no_answer", number=k.debtor.extra if i % 2 else "")
    w.say(k, 39, "17:30", "call", "no_answer", number=k.debtor.extra, breaks=[us("seven-in-seven", f"{eighth[0]}，两个号码合并", f"{eighth[1]}, both numbers together")])
    k = w.planted_us()
    w.say(k, 33, "10:00", "call", "no_answer")
    w.say(k, 33, "14:00", "call", "conversation")
    w.say(k, 39, "18:00", "call", "no_answer", breaks=[us("after-conversation", "通话后第 7 日", "seventh date after a conversation, that date included")])
    k = w.planted_us()
    w.say(k, 33, "14:00", "call", "conversation")
    w.say(k, 40, "09:00", "call", "no_answer")
    k = w.planted_us()
    w.say(k, 33, "14:00", "call", "conversation", "Customer called in, asked for the payoff letter; will mail it.", direction="inbound")
    w.say(k, 35, "10:00", "call", "voicemail", breaks=[us("after-conversation", "客户来电两天后致电", "two days after the consumer called in")])
    k = w.planted_us()
    w.say(k, 33, "14:00", "call", "conversation")
    w.event(k, "同意致电", w.at(k, 34, "09:00:00"), k.debtor)
    w.say(k, 36, "10:00", "call", "no_answer")
    k = w.planted_us()
    twin = w.case(60, us=True, who=(), zones=k.zones, of=k)
    w.say(k, 33, "08:40", "call", "no_answer")
    w.event(k, "书面要求停止", w.at(k, 33, "12:00:00"))
    w.say(k, 35, "10:00", "call", "no_answer", breaks=[us("written-cease", "书面要求停止之后致电", "call after the written notice")])
    w.say(k, 37, "10:00", "letter", "sent", "We still show this account as open; please call us.", breaks=[us("written-cease", "书面要求停止之后寄信", "letter after the written notice")])
    w.say(twin, 36, "10:00", "call", "no_answer")
    k = w.planted_us(who=("colleague", "parent", "spouse", "guarantor"))
    told = "Told {} that the customer has an unpaid loan with us."
    w.say(k, 33, "10:00", "call", "conversation", told.format("coworker"), "colleague", [us("third-party-disclosure", "告诉同事有欠款", "coworker told of the unpaid loan")])
    w.say(k, 34, "10:00", "call", "voicemail", "Please tell her to pay, the account is past due.", "parent", [us("third-party-disclosure", "给其母留言提到逾期", "voicemail to a parent names the past due account"), us("third-party-pressure", "要求其母催她还款", "parent asked to make her pay")])
    for i, relation in enumerate(("spouse", "guarantor")):
        w.say(k, 35 + i, "10:00", "call", "conversation", told.format(relation), relation)
    once = us("third-party-once", "同一第三人第二次通话", "second conversation with the same third person")
    k = w.planted_us(who=("sibling", "friend"))
    w.say(k, 33, "10:00", "call", "conversation", who="sibling")
    w.say(k, 34, "10:00", "call", "no_answer", who="friend")
    w.say(k, 35, "10:00", "call", "conversation", who="friend")
    w.say(k, 45, "10:00", "call", "conversation", who="sibling", breaks=[once])
    w.say(k, 47, "10:00", "call", "conversation", who="friend", breaks=[once])
    k = w.planted_us(who=("spouse", "sibling"))
    w.say(k, 33, "08:59:59", "call", "no_answer")
    w.event(k, "委托律师", w.at(k, 33, "09:00:00"))
    w.say(k, 35, "10:00", "call", "no_answer", breaks=[us("attorney-represented", "已知有律师后致电本人", "consumer called after the attorney was known")])
    w.say(k, 37, "10:00", "sms", "delivered", who="spouse", breaks=[us("attorney-represented", "已知有律师后给配偶发短信", "spouse written to after the attorney was known")], text="Harbor Point: please have us called back. Reply STOP to opt out.")
    w.say(k, 38, "10:00", "call", "no_answer", who="sibling")
    k = w.planted_us()
    w.say(k, 33, "10:00", "call", "conversation", "Agent: you are nothing but a deadbeat and everyone knows it.", breaks=[us("abusive-language", "辱骂", "insult")])
    w.say(k, 35, "10:00", "email", "delivered", "You wrote that another agency said you will be arrested; that is not so. Reply STOP to opt out.")
    w.say(k, 41, "10:00", "sms", "delivered", "Pay by tonight or we will break your legs.", breaks=[us("abusive-language", "暴力威胁", "threat of violence"), us("opt-out-notice", "没有写明怎样退订", "does not say how to opt out")])
    w.say(k, 43, "10:00", "call", "conversation", "Told customer I will shoot you an email with the payment plan.")
    k = w.planted_us()
    w.say(k, 33, "10:00", "call", "voicemail", "This is Officer Daniels, badge number 4471, call me today.", breaks=[us("false-representation", "冒充警察", "poses as a police officer")])
    w.say(k, 35, "10:00", "sms", "delivered", "You will go to jail if this is not settled by Friday.", breaks=[us("false-representation", "谎称坐牢", "jail named as a consequence"), us("opt-out-notice", "没有写明怎样退订", "does not say how to opt out")])
    w.say(k, 37, "10:00", "email", "delivered", "We are a debt collector, not a court; you cannot be arrested for failing to pay. Reply STOP to opt out.")
    k = w.planted_us()
    pair = us("call-pattern", "五分钟内对同一号码两次未接", "two unanswered calls to one number within five minutes")
    for clock in ("10:00:00", "10:05:00"):
        w.say(k, 33, clock, "call", "no_answer", breaks=[pair])
    for clock in ("11:00:00", "11:05:01"):
        w.say(k, 35, clock, "call", "no_answer")
    k = w.planted_us()
    for hour in range(9, 16):
        w.say(k, 33, f"{hour:02}:20:00", "call", "no_answer", breaks=[us("call-pattern", "一日之内七次", "seven calls in one day")])
    k = w.planted_us()
    for hour in range(9, 15):
        w.say(k, 33, f"{hour:02}:25:00", "call", "no_answer")
    w.say(k, 33, "16:25", "call", "busy")


def plant_open(w: World) -> None:
    """Contacts that nobody can judge, because a fact is missing."""
    k = w.planted(35, 13, False)
    for hour, outcome in ((9, "recorded_message"), (11, "recorded_message"), (14, "recorded_message"), (17, "")):
        w.say(k, 35, f"{hour:02}:30:00", "ai_call", outcome, None if outcome else "自动外呼，线路异常，结果未回传。")
    k = w.planted(35, 58, False)
    w.say(k, 32, "10:00", "call", "conversation")
    w.say(k, 33, "10:00", "call", "no_answer")
    w.say(k, 34, "10:00", "call", "no_answer")
    w.say(k, 35, "10:00", "call", "conversation", who="parent")
    k = w.planted(36, 40)
    w.say(k, 36, "10:00", "call", "conversation", "对方接听，称号码是新办的，不认识KH，已致歉。").number = "19900009999"
    w.contacts[-1].person = None
    k = w.planted_us()
    w.say(k, 33, "10:00", "call", "", "Dialer restarted, result not written back.")
    w.say(k, 35, "10:00", "call", "no_answer")


def plant_more(w: World) -> None:
    """Numbers, promises, identifiers, new debts, guarantors, training, order of steps: each beside a near miss."""
    for i, second in enumerate((False, False, True)):
        k = w.planted(40 + i, 50)
        k.debtor.extra = f"199000098{i:02}"
        w.say(k, 40 + i, "10:00", "call", "no_answer")
        said = [] if second else [book("two-numbers", "只打过一个号码就登记失联", "out of reach recorded after one number")]
        w.say(k, 40 + i, "15:00", "call", "switched_off", number=k.debtor.extra if second else "", breaks=said)
        w.event(k, "失联", w.at(k, 41 + i, "09:00:00"))
    for i, (due, amount, method) in enumerate((("2026-04-20", 500, ""), ("", 300, "银行转账"), ("2026-04-22", 400, "APP 还款"))):
        k = w.planted(42 + i, 40)
        said = [] if due and method else [book("promise-complete", "承诺没有方式" if due else "承诺没有日期", "promise without a method" if due else "promise without a date")]
        w.say(k, 42 + i, "10:00", "call", "conversation", breaks=said)
        w.promises.append([k.id, w.at(k, 42 + i, "10:04:00"), due, amount, method])
    rule = "cn-pipl/sensitive-identifiers"
    k = w.planted(44, 60, who=("parent", "friend"))
    w.lose(k, 44)
    w.say(k, 44, "10:00", "call", "conversation", "请其父转告回电，并报了本人证件号110101199003078515核对。", "parent", [(rule, "把身份证号告诉父亲", "ID number told to the father")])
    w.say(k, 45, "10:00", "sms", "delivered", "请转告本人回电，款项存入卡号6222021234567890128。", "friend", [(rule, "把卡号发给朋友", "card number sent to a friend")])
    w.say(k, 46, "10:00", "sms", "delivered", "请转告本人回电，工单号6222021234567890128。", "friend")
    w.say(k, 47, "10:00", "sms", "delivered", "您登记的证件号110101199003078515如有误请联系人工客服。")
    k = w.planted(44, 25)
    for at, text, bad in ((44, "实在不行先去别的平台借一笔来还这边。", True), (45, "你去办张信用卡套出来把这期还上。", True), (46, "请不要通过借新还旧来还款，如有困难可申请分期。", False)):
        w.say(k, at, "10:00", "wechat", "delivered", text, breaks=[cn("new-debt", "劝借新还旧", "urged to borrow anew")] if bad else [])
    for i, dpd in enumerate((3, 12, 40)):
        k = w.planted(44 + i, dpd, who=("guarantor",))
        w.say(k, 44 + i, "10:00", "call", "conversation", who="guarantor", breaks=[book("guarantor-15-days", f"逾期第 {dpd} 天就找担保人", f"guarantor called on day {dpd}")] if dpd < 15 else [], text="致电担保人，告知借款人逾期情况，请其提醒还款。")
    k = w.planted(46, 35)
    w.say(k, 46, "10:00", "call", "no_answer", agent="N05", breaks=[cn("yearly-training", "没有培训记录就上岗", "no training on record")])
    w.say(k, 47, "10:00", "call", "no_answer", agent="N06", breaks=[cn("yearly-training", "培训已满一年", "training passed more than a year ago")])
    w.say(k, 48, "10:00", "call", "no_answer", agent="N01")
    for i, reminded in enumerate((False, False, True)):
        k = w.planted(46 + i, -4)
        said = [] if reminded else [book("text-after-no-answer", "提醒电话未接，当天没有发短信", "reminder call rang out, no text message that date")]
        w.say(k, 46 + i, "10:00", "call", "no_answer", breaks=said)
        w.say(k, 46 + i + (0 if reminded else 1), "10:30", "sms", "delivered", f"您尾号{k.debtor.number[-4:]}的账户将于{_short(k.due, False)}扣款{k.amount:.2f}元，请提前存足。")
    k = w.planted(41, 12)
    for offset, gone in ((39, False), (42, True), (44, True)):
        w.say(k, offset, "10:00", "call", "no_answer", agent=LEFT[0], breaks=[book("off-duty", "停岗之后仍在作业", "still at work after the last day on duty")] if gone else [])
    rule, k = "cn-pipl/wrong-number", w.planted(46, 15)
    k.debtor.extra = "19900009901"
    w.say(k, 43, "10:00", "call", "wrong_number", "对方说打错了，不认识本人。")
    for offset, number in ((44, ""), (45, ""), (46, k.debtor.extra)):
        w.say(k, offset, "10:00", "call", "no_answer", number=number, breaks=[] if number else [(rule, "错号之后继续拨打", "dialled on after a wrong number")])

    def of_bank() -> Case:
        """A case of the bank's, 20 days past due on day 46."""
        while (case := w.planted(46, 20)).lender[1] != "银行":
            pass
        return case

    for i in range(2):
        k = of_bank()
        w.event(k, "委外告知", w.at(k, 45, "12:00:00"))
        w.say(k, 44 + i, "10:00", "call", "no_answer", agent="Q11", breaks=[("cn-cpm-2023/outsourcing-notice", "告知委外之前机构就联系", "the agency's contact before the notice of outsourcing")])
        w.say(k, 45 + i, "15:00", "call", "no_answer", agent="Q11")
    k = of_bank()
    for i, (rules_, text, zh, en) in enumerate(BANK_WORDS):
        w.say(k, 43 + i, "10:00", "wechat", "delivered", text, breaks=[(rule, zh, en) for rule in rules_])


def table(header: Sequence[str], rows: Iterable[Sequence[object]], encoding: str, title: str = "", bad: Sequence[tuple[int, str]] = ()) -> bytes:
    """A CSV; `bad` are lines put in as they are, each before that row."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    if title:
        out.write(title + "\r\n")
    writer.writerow(header)
    extra = dict(bad)
    for i, row in enumerate(rows):
        out.write(extra.get(i, ""))
        writer.writerow(["" if cell is None else cell for cell in row])
    return out.getvalue().encode(encoding)


def workbook(sheets: Sequence[tuple[str, Sequence[str], Iterable[Sequence[object]]]]) -> bytes:
    """An XLSX with typed dates; stored, not compressed, so that its bytes do not hang on the zlib at hand."""
    packed, plain = io.BytesIO(), io.BytesIO()
    book_ = xlsxwriter.Workbook(packed, {"in_memory": True, "strings_to_numbers": False})
    book_.set_properties({"created": datetime(2026, 5, 1)})
    moment, on = book_.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"}), book_.add_format({"num_format": "yyyy-mm-dd"})
    for name, header, rows in sheets:
        sheet = book_.add_worksheet(name)
        sheet.write_row(0, 0, header)
        for r, row in enumerate(rows, start=1):
            for c, cell in enumerate(row):
                if isinstance(cell, date):
                    sheet.write_datetime(r, c, cell, moment if isinstance(cell, datetime) else on)
                elif cell not in ("", None):
                    sheet.write(r, c, cell)
    book_.close()
    with zipfile.ZipFile(packed) as old, zipfile.ZipFile(plain, "w", zipfile.ZIP_STORED) as new:
        for info in old.infolist():
            new.writestr(zipfile.ZipInfo(info.filename, (1980, 1, 1, 0, 0, 0)), old.read(info))
    return plain.getvalue()


def number_contacts(w: World) -> dict[str, list[Contact]]:
    """The contacts by file, in order of time, with their ids."""
    files: dict[str, list[Contact]] = {"calls_2026-03.csv": [], "calls_2026-04.csv": [], "sms": [], "chat": [], "visits_letters.csv": [], "us_contacts.jsonl": []}
    prefix = {"calls_2026-03.csv": "TH03", "calls_2026-04.csv": "TH04", "sms": "DX", "chat": "XX", "visits_letters.csv": "WF", "us_contacts.jsonl": "US"}
    for c in w.contacts:
        kind = {"sms": "sms", "wechat": "chat", "email": "chat", "call": "calls", "ai_call": "calls"}.get(c.channel, "visits_letters.csv")
        files["us_contacts.jsonl" if c.case.us else f"calls_2026-0{c.at.month}.csv" if kind == "calls" else kind].append(c)
    for name, found in files.items():
        found.sort(key=lambda c: (c.at, c.case.id))
        for n, c in enumerate(found, start=1):
            c.id = f"{prefix[name]}{n:05}"
    return files


def contact_files(w: World, dirty: bool) -> dict[str, bytes]:
    """The logs of contacts. With `dirty` some rows are broken or repeated, as README.md lists them."""
    found, r, out = number_contacts(w), random.Random(2026), {}

    def seconds(c: Contact) -> int:
        spans = {"conversation": (35, 420), "answered_dropped": (2, 9), "recorded_message": (18, 40), "voicemail": (15, 40)}
        return r.randint(*spans[c.outcome]) if c.outcome in spans else 0

    def whom(c: Contact) -> str:
        return c.person.id if c.person else ""

    def dialled(c: Contact) -> str:
        return c.number or (c.person.number if c.person else "")

    for month_, bad in (("03", [(40, "TH03X0001,JK20260001,D00001\r\n"), (210, "TH03X0002,JK20260002,D00002,JK20260002-1,19900000003,N01,,人工外呼,呼出,2026/03/11 09:31:20,68,,JT,JH,本人接听,约明日再联系,LY03X0002\r\n")]),
                        ("04", [(77, "TH04X0001,JK20260005,D00005,JK20260005-1,19900000010,Q11,启衡信息,人工外呼,呼出,昨天下午,0,,WRJT,JH,无人接,\r\n")])):  # fmt: skip
        name = f"calls_2026-{month_}.csv"
        header = ["流水号", "案件编号", "客户编号", "联系人编号", "被叫号码", "坐席工号", "委外机构", "渠道", "呼叫方向", "通话开始时间", "通话时长(秒)", "是否知情", "通话结果", "通话类型", "催记内容", "录音编号"]
        rows: list[list[object]] = [
            [c.id, c.case.id, c.case.debtor_id, whom(c), dialled(c), c.agent, VENDOR[c.agent], CHANNELS[c.channel], "呼入" if c.direction == "inbound" else "呼出", f"{c.at:%Y/%m/%d %H:%M:%S}",
             seconds(c), c.knows, CODES.get(c.outcome, ""), TYPES[c.call_type], c.text, f"LY{c.id[2:]}" if c.outcome == "conversation" else ""] for c in found[name]
        ]  # fmt: skip
        if dirty and month_ == "04":
            rows.insert(121, rows[120])
        out[name] = table(header, rows, "gb18030", bad=bad if dirty else ())
    sms: list[list[object]] = [[c.id, c.case.id, dialled(c), c.agent, VENDOR[c.agent], "发", c.at, CODES[c.outcome], c.text, f"MB{len(c.text) % 7 + 1:02}"] for c in found["sms"]]
    chat: list[list[object]] = [[c.id, c.case.id, whom(c), CHANNELS[c.channel], "收" if c.direction == "inbound" else "发", c.at, CODES[c.outcome], c.text, c.agent, VENDOR[c.agent]] for c in found["chat"]]
    if dirty:
        sms.insert(61, sms[60])
        sms.insert(90, ["DX90001", "", "19900000003", "N01", "", datetime(2026, 3, 20, 10, 0, 0), "DELIVRD", "您本期账单已生成，请留意扣款。", "MB01"])
    out["messages.xlsx"] = workbook([
        ("说明", ["平台导出，时间为北京时间；状态 DELIVRD 送达，SUBMIT 已提交，UNDELIV 失败"], []),
        ("短信", ["短信编号", "案件编号", "接收号码", "坐席工号", "委外机构", "收发", "发送时间", "发送状态", "短信内容", "短信模板"], sms),
        ("微信与邮件", ["消息编号", "案件编号", "联系人编号", "渠道", "收发", "发送时间", "送达状态", "消息内容", "坐席工号", "委外机构"], chat),
    ])  # fmt: skip
    header = ["记录编号", "案件编号", "联系人编号", "与客户关系", "作业方式", "方向", "外访时间", "坐席工号", "委外机构", "外访人数", "联系结果", "备注", "影像编号"]
    rows = [
        [c.id, c.case.id, whom(c), RELATIONS[c.person.relation] if c.person else "", CHANNELS[c.channel], "发出", f"{c.at:%Y年%m月%d日 %H:%M}", c.agent, VENDOR[c.agent], c.staff or None,
         CODES[c.outcome], c.text, f"YX{c.id[2:]}" if c.channel == "visit" else ""] for c in found["visits_letters.csv"]
    ]  # fmt: skip
    out["visits_letters.csv"] = table(header, rows, "utf-8-sig", title="外访、信函与法诉登记表（2026年3月至4月）")
    lines = [
        {"record_id": c.id, "account_no": c.case.id, "contact_person_id": whom(c), "phone": dialled(c) if c.channel in ("call", "sms") else None, "agent": c.agent, "agency": VENDOR[c.agent] or None,
         "medium": {"call": "phone", "sms": "text"}.get(c.channel, c.channel), "call_direction": c.direction, "start_time": c.at.astimezone(ZoneInfo(NY)).isoformat(), "talk_time": seconds(c),
         "disposition": US_CODES.get(c.outcome), "notes": c.text, "recording": f"REC{c.id[2:]}" if c.outcome == "conversation" else None} for c in found["us_contacts.jsonl"]
    ]  # fmt: skip
    if dirty:
        lines.insert(51, lines[50])
    out["us_contacts.jsonl"] = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines).encode()
    return out


def master_files(w: World) -> dict[str, bytes]:
    """Cases, people, numbers, money, events and agents."""
    r = random.Random(7)
    cases, people, numbers, instalments = [], [], [], []
    for k in w.cases:
        terms, last = k.no + r.randint(3, 6), min(month(k.due, -k.no), START - timedelta(days=30))
        cases.append([k.id, k.debtor_id, k.debtor.name, r.choice(["Personal loan", "Card balance"] if k.us else ["消费分期", "现金贷", "循环额度"]), k.lender[0], k.lender[1], "US" if k.us else "CN", k.place,
                      ";".join(k.zones), round(k.amount * terms * 0.93, 2), round(k.amount * (terms - k.no + 1) * 0.95, 2), last, "是" if any(p.relation == "guarantor" for p in k.people) else "否"])  # fmt: skip
        for p in k.people:
            people.append([p.id, k.id, p.name, RELATIONS[p.relation], "是" if p.relation in ("self", "guarantor") else "否", p.knows, p.zone])
            numbers.append([k.id, p.id, p.number, p.kind, r.choice(["申请资料", "客户提供", "更新登记"])])
            if p.extra:
                numbers.append([k.id, p.id, p.extra, "单位电话", "更新登记"])
        instalments += [[k.id, n, month(k.due, n - k.no).isoformat(), f"{k.amount:.2f}"] for n in range(1, terms + 1)]
    payments = sorted(w.payments, key=lambda p: (str(p[1]), str(p[0])))
    events = sorted(w.events, key=lambda e: (e[3], e[0]))
    agents: list[list[object]] = [[code, name, team, vendor, "2024-06-03", ""] for code, name, team, vendor in AGENTS]
    agents.insert(3, ["N03", "潘立群", "自营一组", "", "2026-04-06", ""])
    agents.append([*LEFT[:4], "2024-06-03", LEFT[4]])
    return {
        "cases.xlsx": workbook([
            ("案件", ["案件编号", "客户编号", "客户姓名", "产品名称", "放款机构", "机构类型", "法域", "所在地", "时区", "贷款本金", "剩余本金", "放款日期", "是否担保"], cases),
            ("联系人", ["联系人编号", "案件编号", "姓名", "与客户关系", "是否有还款义务", "知晓日期", "时区"], people),
        ]),
        "numbers.csv": table(["案件编号", "联系人编号", "号码", "号码类型", "号码来源"], numbers, "utf-8"),
        "instalments.csv": table(["案件编号", "期次", "应还日期", "应还金额"], instalments, "gb18030"),
        "payments.csv": table(["还款编号", "案件编号", "还款时间", "还款金额", "还款方式"], [[f"HK{n:05}", p[0], f"{p[1]:%Y-%m-%d %H:%M:%S}", f"{p[2]:.2f}", p[3]] for n, p in enumerate(payments, start=1)], "utf-8-sig"),
        "case_events.csv": table(["事件编号", "案件编号", "联系人编号", "事件类型", "事件时间", "失效时间", "约定起", "约定止", "委外机构"], [[f"SJ{n:03}", *e] for n, e in enumerate(events, start=1)], "utf-8-sig"),
        "promises.csv": table(["承诺编号", "案件编号", "承诺时间", "承诺还款日期", "承诺金额", "承诺方式"], [[f"CN{n:03}", p[0], f"{p[1]:%Y-%m-%d %H:%M:%S}", *p[2:]] for n, p in enumerate(w.promises, start=1)], "utf-8-sig"),
        "trainings.csv": table(["坐席工号", "课程", "通过日期", "有效期至"], [[code, "催收业务与网络安全", "2025-04-12" if code == "N06" else "2025-06-02", ""] for code, *_ in [*AGENTS, LEFT] if code != "N05"], "utf-8"),
        "agents.csv": table(["坐席工号", "姓名", "小组", "委外机构", "入职日期", "离职日期"], agents, "utf-8-sig"),
    }  # fmt: skip


def small_talk(w: World) -> None:
    """Events that change nothing: a dispute, a hardship, a complaint, a plan."""
    for case in w.cases[:: len(w.cases) // 9]:
        kind = w.rng.choice(["异议", "困难申请", "投诉", "分期协议", "委外告知"])
        at = w.clock(case, day(w.rng.randint(0, 20))).replace(microsecond=0)
        # A complaint is answered within its first term.
        answered = at + timedelta(days=10)
        w.event(case, kind, at, ended=(answered.isoformat() if case.us else f"{answered:%Y-%m-%d %H:%M:%S}") if kind == "投诉" else "")


def notices(w: World) -> None:
    """A validation notice of each collector of a US debt, on the day after its first communication with the consumer."""
    first: dict[tuple[str, str], Contact] = {}
    for c in sorted((c for c in w.contacts if c.case.us and c.person and c.person.relation in ("self", "guarantor") and c.outcome in ("conversation", "met", "sent", "delivered")), key=lambda c: c.at):
        first.setdefault((c.case.id, VENDOR.get(c.agent, "")), c)
    for (_, vendor), c in first.items():
        w.event(c.case, "验证通知", (c.at + timedelta(days=1)).replace(hour=15, minute=0, second=0), vendor=vendor)


def build() -> dict[str, bytes]:
    """Every file to be written, by its path in the folder."""
    plants = (plant_hours_and_counts, plant_third_parties, plant_words, plant_playbook, plant_us, plant_open)
    w = World(2026, 138, 8)
    for plant in plants:
        plant(w)
    small_talk(w)
    plant_more(w)
    notices(w)
    files = {**contact_files(w, True), **master_files(w)}
    answers = sorted((rule, c.id, zh, en) for c in w.contacts for rule, zh, en in broken(c))
    files["answers.csv"] = table(["rule", "contact_id", "why_zh", "why_en"], answers, "utf-8")
    clean = World(2027, 27, 5)
    small_talk(clean)
    notices(clean)
    clean.promises.append([clean.cases[0].id, clean.at(clean.cases[0], 12, "16:00:00"), "2026-03-20", 300, "银行转账"])
    return files | {f"clean/{name}": data for name, data in {**contact_files(clean, False), **master_files(clean)}.items()}


def main(folder: Path) -> None:
    """Write the files into `folder`."""
    for name, data in build().items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)
