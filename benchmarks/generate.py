"""Write a made-up loan-collection log of any size: `python benchmarks/generate.py ROWS FOLDER [--seed N]`.

Everything is invented. The density is *stated here, not observed*, so what is counted on it says nothing about a real
lender. Same rows and seed, same bytes. UTF-8 CSV, a header, quotes where RFC 4180 asks, LF, no line break in a field.

contacts     `rows` attempts in time order, evenly over 60 days from 2026-03-01, China local time. Call 70 %, sms 22 %,
             wechat 5 %, visit 1 %, letter 2 %; 5 % inbound (calls and messages only). 90 % reach the debtor, 10 %
             another person of the case. 96 % fall between 08:00 and 21:59 with office-hour peaks, 2 % on an exact
             edge (07:59:00 to 08:00:59, 21:59:00 to 22:00:59), 2 % at night. A case-day with calls has 1 to 3, in
             1.5 % of them 4 to 6. Outcomes: see CALL_ENDS; messages delivered 92 %, visits met 40 %. Conversations
             last 5 to 600 s (99 % recorded), dropped calls 5 to 20 s, all else 0. An agent's calls may overlap.
text         Empty for 8 % of all rows (unanswered calls). Else 70 % from the templates and 30 % from fragments below,
             filled with debtor, amount, date and days, so nearly all differ; about 50 characters on average. 1 % hold
             a prohibited phrase (never what a customer writes), 5 % an innocent look-alike, 3 % a mobile number,
             0.5 % a resident-ID-like number (right check digit, a district no person is given), 0.05 % full-width or
             traditional characters. Amounts and dates in texts do not follow the ledger.
cases        rows / 20; 5 % share debtor, name and numbers with the case before (person_id stays one per case).
instalments  three a month apart, the first due 2025-12-15 to 2026-03-20.
payments     one for 35 % of the cases, two for 25 %.
persons      self for each case and 0 to 3 others, 1.5 on average, 3 % of them guarantor; knows_since for 30 %.
numbers      a mobile for each person, work for 30 %, home for 10 %; arithmetic, so one that somebody owns is chance.
agents       rows / 5000, at least 8, with six vendors (the one without a name is in-house).
case_events  for 2 % of the cases, about one in seven from another person.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa  # type: ignore[import-untyped, unused-ignore]

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

DAYS = 60
START, DUE_FROM, DUE_TO = np.array(["2026-03-01", "2025-12-15", "2026-03-20"], "M8[D]").astype(np.int64).tolist()
MONTHS = np.array([0, 31, 61])  # the days from START on which March, April and May begin
HOURS = np.array([4, 9, 11, 10, 5, 6, 10, 11, 11, 9, 5, 6, 7, 4]) / 108  # weights of 08 to 21
EDGES = np.array([-60, -1, 0, 59, 50340, 50399, 50400, 50459]) + 8 * 3600  # seconds of the day

CHANNELS = {"call": 0.70, "sms": 0.22, "wechat": 0.05, "visit": 0.01, "letter": 0.02}
CALL_ENDS = {
    "conversation": 0.30, "answered_dropped": 0.07, "no_answer": 0.45, "busy": 0.12, "voicemail": 0.03, "invalid": 0.03,
}  # fmt: skip
OUTCOMES = [*CALL_ENDS, "delivered", "failed", "met", "not_met", "sent"]
CALLS_A_DAY = [0.55, 0.285, 0.15, 0.008, 0.004, 0.003]
OTHERS = {
    "spouse": 0.17, "parent": 0.20, "sibling": 0.12, "colleague": 0.18, "friend": 0.20, "emergency_contact": 0.10,
    "guarantor": 0.03,
}  # fmt: skip
RELATIONS = ["self", *OTHERS]
SPOKEN = ["本人", "配偶", "父母", "兄弟姐妹", "同事", "朋友", "紧急联系人", "担保人"]
EVENTS = ["refusal", "dispute", "complaint", "unreachable"]
VENDORS = [None, "甲木外包", "乙火外包", "丙土外包", "丁金外包", "戊水外包"]
LENDERS = ["样例小贷", "甲乙小贷", "虚构小贷", "示范消费金融", "演示消费金融", "例题银行", "试算银行"]
KINDS = ["microloan", "microloan", "microloan", "consumer_finance", "consumer_finance", "bank", "bank"]
PRODUCTS = ["现金分期", "经营周转贷", "惠农贷", "消费分期", "循环额度", "个人消费贷", "信用卡"]
PHONES = ["联系电话{0}。", "新号码{0}。", "可打{0}。", "微信同号{0}。", "备用{1}-{2}-{3}。", "电话{1} {2} {3}。"]
SIMPLE = "国还钱贷款逾话电联系请约账户时间发给这个说会为后号处须"
TRADITIONAL = "國還錢貸款逾話電聯繫請約賬戶時間發給這個說會為後號處須"

# Words are parted by "|" or a line end.
SURNAMES = "王李张刘陈杨黄赵周吴徐孙马朱胡郭何高林罗郑梁谢宋唐许韩冯邓曹彭曾肖田董袁潘蒋蔡余杜叶程苏魏吕丁任沈姚"
GIVEN = """
伟|芳|娜|敏|静|丽|强|磊|军|洋|勇|艳|杰|娟|涛|明|超|霞|平|刚|秀英|桂兰|建国|建华|志强|玉兰|小红|海燕|晓东|文博|子涵|雨桐|浩然|思远|佳怡|俊杰|雅婷
国庆|春梅|立新|振华|秋月|家豪|美玲|永康|东升|晨曦|若琳|嘉诚|梦瑶|天佑|一鸣|婉清|德海|少华|金凤|庆丰|雪梅|宏达|向阳
"""

# {n} debtor, {r} who was reached, {a} amount, {b} amount with a comma, {m} month, {d} day, {k} days overdue, {t} lender
TEMPLATES = {
    "talk": """
致电本人{n}，客户称{d}号前还{a}元，已告知逾期影响，客户表示理解，约定当日下午再次回访确认到账情况。|与{n}通话，现逾期{k}天，欠{a}元，称工资{m}月{d}日发放，到账后第一时间处理，已提醒按时足额存入还款卡。
PTP{m}/{d}，金额{a}元，KP{n}，逾{k}天，方式为APP主动还款，已核对卡尾号，提醒当日扣款前余额充足。|{n}接听，核身通过，说明来意后客户承认欠款{b}元，目前资金紧张，申请延至{m}月{d}日，已告知需提交申请。
客户{n}表示最近住院，无力一次还清{a}元，希望分三期，首期{m}月{d}日，已登记协商诉求并转专员评估。|本人接听，{n}称已于{m}月{d}日转账{a}元，系统暂未入账，请其提供凭证，待财务核实后回复客户结果。
{n}称不清楚逾期{k}天，已逐项说明本金和利息共{a}元，客户要求发送账单明细，已安排短信发送，{d}号跟进。|电话联系{n}，对罚息{a}元有异议，已解释合同约定的计收方式，客户要求书面说明，预计{m}月{d}日前回复。
RPC本人，{n}生意周转困难，逾期{k}天，先还{a}元，余款{m}月底结清，态度配合，建议持续跟进维护关系。|接通后{n}正在开会，约{d}号晚上再联系，简要提醒欠款{a}元、逾期{k}天，客户口头答应会尽快安排资金。
{n}反映APP无法登录导致未还{a}元，指导其重置密码并走对公账户还款，客户称{m}月{d}日前完成，已记录。|核实身份后告知{n}本期应还{a}元，客户称卡被锁，换绑新卡后{d}号扣款，提示可在还款页面自行操作换绑。
致电{n}，称季度奖{m}月{d}日到账，届时结清{a}元，询问能否减免部分罚息，已告知须按流程提交材料审批。|{n}情绪平稳，承认借款，逾期{k}天系失业所致，正在找工作，可先还{a}元，约{d}号回访了解入职进展。
客户说"{m}月{d}号之前肯定还{a}元"，逾期{k}天，{n}此前已两次失约，本次已请其确认金额、日期和还款方式。|本人{n}接听，称账单日与工资日错开，希望调整，已告知结清{a}元后可申请变更，客户预约{m}月{d}日处理。
与{n}核对账务，本金加利息合计{b}元，客户认可，称{d}号卖掉粮食后到网点柜台存入，已告知网点营业时间。|{n}在外地务工，逾期{k}天，欠{a}元，称{m}月{d}日回家后办理，提醒也可通过手机银行转入本人还款账户。
通话中{n}询问提前结清费用，已告知截至{m}月{d}日合计{a}元，以系统显示为准，客户考虑后再答复我司。|回访承诺：{n}原定{d}号还{a}元未到账，客户解释因货款被拖欠，改约{m}月底，已提醒再次失约将影响后续协商。
{n}接电，声音嘈杂，大意为逾期{k}天的事知道，{d}号发薪后先还{a}元，其余部分月底前想办法，已重复确认。|本人接听但不便说话，仅确认为{n}，约定{m}月{d}日上午十点再联系，届时沟通{a}元的还款安排，已设提醒。
客户{n}要求停止人工致电改用短信，已登记偏好，欠{a}元逾{k}天，后续以短信提醒为主，{d}号复核登记结果。|{n}提出家中老人手术花费较大，申请困难帮扶，提供诊断证明后可评估，欠款{a}元，材料预计{m}月{d}日补齐。
首次联系{n}，表明{t}身份并告知全程录音，逾期{k}天应还{a}元，客户称忘记还款日，稍后通过APP自行处理。|{t}委托催告，{n}本人接听，欠{a}元，称{d}号让公司提前预支工资，已提示通过官方渠道还款，勿转个人账户。
{n}表示已咨询{t}客服，答复可延期至{m}月{d}日，欠款{a}元，系统无延期记录，已提交工单核实，暂缓跟进。|今日第二次接通{n}，确认{d}号到账{a}元属实，已在系统登记部分还款，剩余款项{m}月内处理，客户表示感谢。
{n}换号后主动接听，更新联系方式，逾期{k}天，欠{a}元，称{m}月{d}日前可还一半，已发送还款路径短信。|客户称{t}的利率与宣传不一致，对{a}元费用存疑，{n}要求提供合同，已告知APP内可下载，{d}号前再沟通。
{n}称被朋友借名贷款，本人未用款，已告知合同主体责任，建议{m}月{d}日前提交书面异议，涉及金额{a}元。|客户{n}态度良好，逾期{k}天，先转{a}元，刚接到新工程预付款{m}月{d}日到，届时结清全部并申请结清证明。
提醒{n}{m}月{d}日为本期还款日，应还{b}元，客户表示已知晓，当日会存入足额资金，无需再次电话提醒。|本人{n}，欠{a}元，M1阶段，称配偶管钱需商量，{d}号给答复，已强调请勿透露验证码，只走官方还款渠道。
{n}对昨日短信有疑问，解释为系统自动发送，欠款{a}元准确，逾期{k}天，客户同意{m}月{d}日还款并接受回访。|接听人确认是{n}，称车祸误工两月，逾{k}天，可协商分期，每期约{a}元，首期{m}月{d}日，已提交分期审批。
客户来回推脱，只说会还{a}元，未给日期，{n}逾期{k}天，已礼貌提示会按合同约定如实报送还款信息，{d}号再拨。|{n}挂断前答应{m}月{d}日还{a}元，时长较短未能完成全部告知，后续补充说明还款账户与客服热线，逾{k}天。
通话确认{n}已离职，逾期{k}天，公积金提取预计{m}月{d}日到账，可还{a}元，请其到账后告知以便核销提醒。|联系{n}成功，客户表示{t}扣款失败两次，卡内有{a}元，疑似限额，建议拆分支付，{d}号前再试并反馈结果。
{n}希望只还本金{a}元，已说明减免须审批且不能口头承诺，客户同意{m}月{d}日前提交申请表和收入证明。
""",
    "third": """
致电{r}，接听人称认识{n}，未透露具体事由，仅请其转告{n}在{m}月{d}日前回电客服，通话结束，编号{a}。|{r}接听，称与{n}许久未联系，不清楚近况，已致歉并结束通话，未提及任何账务，{d}号前不再拨打，编号{a}。
接通{r}，表示可以转达，请{n}尽快联系{t}客服热线，未说明原因，对方同意，{m}月{d}日复核，单号{a}。|{r}称号码是新换的，与{n}无关，已登记为错误号码并申请停用，{m}月{d}日提交，流水{a}，以后不再联系。
{r}明确要求不要再打，已致歉并登记停止联系，{n}的事宜改由本人渠道跟进，登记日{m}月{d}日，编号{a}。|与{r}通话，对方主动问是否欠款{a}元，未予确认，只请转告{n}回电，对方称{d}号见面会说一声，通话礼貌。
{r}接听，担心是诈骗电话，已告知{t}名称和官方热线可核实，请其转告{n}在{m}月{d}日前回电，编号{a}。
""",
    "missed": """
拨打{r}号码无人接听，{n}逾期{k}天，欠{a}元，上次承诺{m}月{d}日未到账，计划明日换时段再次拨打。|{r}电话响铃超时未接，欠款{a}元，逾{k}天，已发提醒短信，约{d}号下午继续跟进，备用号码待核实。
致电{n}关机，逾期{k}天，应还{a}元，备用联系方式同样无法接通，{m}月{d}日再试，先以短信方式提醒。|{r}占线，五分钟后重拨仍占线，{n}应还{a}元，{d}号前需联系上确认还款意愿，已在系统内设置回拨提醒。
KP关机，{n}逾{k}天，余额{a}元，上次PTP{m}/{d}失约，转下一时段外呼，暂不联系其他人，等待系统分派。|{r}号码提示停机，{n}欠{a}元，已申请更新联系方式，{m}月{d}日前由系统复核，期间改用邮件和短信提醒。
呼叫{n}被转语音信箱，未留言，逾期{k}天，金额{a}元，今日不再拨打，{d}号上午九点后安排再次外呼。|{n}电话直接挂断，疑似不便接听，欠款{a}元，逾{k}天，已发短信说明来意，{m}月{d}日白天再行联系。
号码提示暂时无法接通，{n}可能在信号差的地区，应还{a}元，{d}号再呼，如仍未通按流程核实备用号码。|空号，{r}登记号码有误，{n}逾期{k}天，欠{a}元，已标记无效号码，{m}月{d}日前联系客户经理补充资料。
拨打三次无人接，间隔超过两小时，{n}欠{b}元，逾期{k}天，今日已达上限，{d}号重新排程，无其他备注。|{r}未接，彩铃响满一分钟，{n}本期应还{a}元，还款日{m}月{d}日，属提醒类外呼，系统将自动补发短信。
外呼{n}失败，线路返回忙音，欠款{a}元，逾{k}天，疑似线路问题，{m}月{d}日换线重拨，已报技术排查。|通知类外呼未接通，{n}，{t}，应还{a}元，逾期{k}天，机器人将于{d}号自动重呼一次，无需人工处理。
{n}来电提醒设置了免打扰，未能接通，{a}元待还，上期{m}月{d}日结清，信用一贯良好，优先短信沟通。|{r}手机呼入限制，无法接通，逾期{k}天，{n}欠{a}元，尝试座机亦无人应答，{d}号再核对单位登记电话。
响两声后挂断，{n}逾{k}天欠{a}元，可能在上班，备注下班后可接，计划{m}月{d}日十八点后再次联系。|客户{n}设置来电转接至秘书台，留言请其回电，未提及金额，系统欠款{a}元，{d}号前未回则再次外呼。
未接，{n}，{a}元，{k}天，{m}/{d}再拨。|NA，{n}逾{k}，余{a}，{d}号跟。
无人接听，短信已发，{n}欠{a}元，逾期{k}天，{t}案件，{m}月{d}日复呼，其间如客户来电请转本坐席。
""",
    "incoming": """
客户{n}来电询问还款账户，已告知官方渠道，应还{a}元，客户称{m}月{d}日处理，提醒勿向个人账户转账。|{n}主动来电，称{d}号可还{a}元，请求暂停外呼，已登记，逾期{k}天，到期未还再恢复正常提醒节奏。
来电人核身为{n}，反映一天接到多个电话，已致歉并核查频次，欠款{a}元，{m}月{d}日前书面答复客户。|{n}回电，未接来电为我司，说明逾期{k}天应还{a}元，客户称{d}号通过APP结清，并要求开具结清证明。
{n}来电要求更正预留号码，核身后已更新，顺带提醒{m}月{d}日应还{a}元，客户表示记得，会按时存入。
""",
    "message": """
【{t}】{n}您好，您的贷款已逾期{k}天，应还{a}元，请尽快通过APP还款，如已处理请忽略，客服热线见官网。|【{t}】尊敬的{n}，您本期账单{b}元，最后还款日{m}月{d}日，请确保还款卡余额充足，感谢您的支持与配合。
【{t}】{n}您好，截至{m}月{d}日您尚欠{a}元，逾期将产生罚息并如实报送征信，请及时登录官方APP处理。|【{t}】温馨提示：{n}，您的分期{a}元将于{m}月{d}日扣款，请提前存入，避免因余额不足造成逾期，谢谢。
【{t}】{n}，您承诺{m}月{d}日还款{a}元，我们尚未收到款项，如遇困难请致电客服协商，我们将尽力协助。|【{t}】{n}您好，系统显示您已逾期{k}天，欠款{b}元，可登录APP申请延期或分期，具体以审批结果为准。
【{t}】{n}，您今日部分还款已入账，剩余{a}元请于{m}月{d}日前结清，逾期{k}天记录将在结清后更新状态。|【{t}】还款提醒：{n}，应还{a}元，逾期{k}天。还款方式：APP主动还款或对公转账，请勿转入任何个人账户。
【{t}】{n}您好，您咨询的协商方案已受理，首期{a}元于{m}月{d}日支付，请按约履行，详情请登录APP查看。|【{t}】{n}，扣款失败，原因：余额不足。应扣{a}元，请于{d}号前补足，系统将再次发起扣款，避免影响信用。
【{t}】尊敬的{n}：您的合同项下欠款{b}元已逾期{k}天，请于{m}月{d}日前还清，对账务有疑问请联系客服。|【{t}】{n}您好，我司多次致电未能与您取得联系，您尚有{a}元逾期{k}天，请于{d}号前回电官方客服热线。
【{t}】{n}，最后还款日{m}月{d}日临近，本期{a}元，如已设置自动扣款请确认卡片状态正常，祝您生活愉快。|【{t}】账单通知：{n}，本金利息合计{a}元，逾期{k}天，点击APP首页查看明细，服务时间每日九点至十八点。
【{t}】{n}您好，系统升级于{m}月{d}日完成，还款功能已恢复，您的{a}元待还，逾期{k}天，请尽快安排。|【{t}】{n}，为保障您的权益，请认准官方渠道还款，待还{a}元，{m}月{d}日到期，谨防冒充客服的诈骗短信。
【{t}】{n}先生/女士，您申请的减免资料不全，请{m}月{d}日前补充，当前欠款{a}元，逾期{k}天，多谢配合。|【{t}】{n}您好，您的贷款{a}元逾期{k}天，现可享罚息优惠，活动至{m}月{d}日，是否适用以审批结果为准。
【{t}】通知：{n}的案件已委托合作机构跟进，逾期{k}天，欠款{a}元，如需核实请于{d}号前拨打官方热线。|【{t}】{n}，感谢您{m}月{d}日的还款，当前剩余{a}元未结清，请继续按计划履行，保持良好的信用记录。
【{t}】{n}您好，还款链接已失效，请从官方应用市场下载APP，应还{a}元，逾期{k}天，{d}号前完成还款。|【{t}】{n}，您的来电已登记，工单编号{a}，我们将在{m}月{d}日前答复，期间利息照常计算，请您知悉。
【{t}】尊敬的{n}，您的还款计划已生成：共三期，每期{a}元，首期{m}月{d}日，逾期将按合同约定处理。|【{t}】{n}您好，节假日期间扣款顺延，您的{a}元最迟{m}月{d}日入账即可，已逾期{k}天的账户不适用顺延。
{n}您好，我是{t}的工作人员，微信沟通留痕，您逾期{k}天欠{a}元，{d}号方便的话回复一下还款安排。|{n}，刚才电话里说好的{a}元，{m}月{d}日前走APP还款，还完截图发我这里就可以，有问题随时留言。
您好{n}，协商申请表发您了，填好后{d}号前回传，现欠{a}元，逾期{k}天，审批期间请留意官方通知。|提醒{n}：今天是约定还款日，{a}元请在晚上八点前存入还款卡，系统{m}月{d}日夜间自动扣款，谢谢。
""",
    "pass_on": """
【{t}】您好，请转告{n}于{m}月{d}日前回电官方客服，编号{a}，如您不便转达请忽略，打扰之处敬请谅解。|【{t}】您好，因无法与{n}取得联系，烦请代为转告其回电客服热线，业务编号{a}，{d}号前有效，谢谢您。
【{t}】打扰了，{n}登记您为联系人，请协助转告其尽快与我司联系，编号{a}，{m}月{d}日后不再打扰您。|您好，我是{t}工作人员，想请您转告{n}回个电话，没有别的事，编号{a}，{d}号前都可以，麻烦您了。
""",
    "reply": """
你好，我是{n}，{m}月{d}号发工资，到时先还{a}元，这两天别打电话了，上班接不了，谢谢理解。|{a}元已经转了，请查一下{m}月{d}日的流水，名字{n}，怎么还显示逾期{k}天，麻烦尽快更新一下。
我现在没钱，逾期{k}天我知道，{d}号前凑{a}元给你们，其余的能不能分期，{n}，请回复一下。|请问{n}这边结清一共多少，是不是{a}元，{m}月{d}日之前还能不能减免罚息，APP里看不到明细。
你们的短信我收到了，{a}元会还的，不用一天发好几条，{n}，{d}号之前处理完，有事微信留言。|我是{n}，换卡了，新卡绑好后扣款还是失败，{m}月{d}号应扣{a}元，麻烦看下是不是系统的问题。
""",
    "visit": """
外访{n}登记住址，两人同行并出示证件，{r}在场，说明来意后告知欠款{a}元，约定{m}月{d}日前答复，全程录音。|外访未遇，{n}住址无人应门，未张贴任何材料，未向邻居透露情况，欠{a}元，逾期{k}天，{d}号再评估是否复访。
{m}月{d}日预约外访，{n}本人接待，签收还款提示单，金额{a}元，逾{k}天，态度配合，承诺月底前处理完毕。|按地址核实，{n}已搬离，物业不掌握去向，外访结束，欠款{a}元，建议修复联系方式，{m}月{d}日完成报告。
""",
    "letter": """
致{n}：截至{m}月{d}日，您在{t}的借款逾期{k}天，应还{a}元，请于收函后七日内还款或联系我司协商，特此函告。|还款提示函：{n}，合同项下本息合计{b}元，到期日{m}月{d}日，请通过官方渠道还款，如已还清请忽略本函。
{t}函告{n}：您提交的异议经核实，账务{a}元无误，请于{m}月{d}日前履行，如仍有疑问可向监管渠道反映。|挂号信寄送{n}户籍地址，内容为债权转让通知，金额{a}元，逾期{k}天，寄出日{m}月{d}日，签收状态待回执。
""",
}
# The pools that take 30 % of their texts from three parts: who and how, what, what next, divided by "--".
FRAGMENTS = {
    "talk": """
致电本人{n}接听，|联系{n}成功，|{n}本人接电，|下午拨打{n}接通，|回访{n}，|核身后与{n}沟通，|接通{n}手机，|座机找到{n}，|外呼{n}接听，|二次联系{n}，
按约回拨{n}，|客户{n}接起，
--
逾期{k}天欠{a}元，称货款未收回，|承认欠{a}元，近期失业收入不稳，|欠{a}元，表示发薪后优先处理，|说家人住院，先还{a}元，|对{a}元账单无异议，|称{a}元已委托家里准备，
询问{a}元能否分期，|还款{a}元意愿较强但能力不足，|表示{a}元周末筹齐，|称忘了还款日，{a}元马上处理，|反映{a}元扣款失败，|逾{k}天，{a}元要等工程结算，|希望减免，应还{a}元，
--
约定{m}月{d}日还款，已提醒官方渠道。|{d}号再次回访，客户同意。|已告知逾期影响，{m}月{d}日跟进。|转协商专员，{d}号前答复。|已发送明细短信，等待客户确认。
客户情绪平稳，{m}月底前解决。|登记承诺{m}月{d}日，方式为APP还款。|告知客服热线，通话礼貌结束。|要求提供凭证，{d}号前上传系统。|已核对还款卡，提醒余额充足。
后续短信跟进，减少致电频次。
""",
    "missed": """
拨打{r}未接，|{r}关机，|{r}占线，|{r}停机，|呼叫{n}无人应答，|{n}来电转接，|{n}手机无法接通，|{r}响铃挂断，|外呼{n}失败，|{r}提示空号，|语音信箱，{n}未接，
座机无人，
--
{n}欠{a}元，逾期{k}天，|案件{n}余额{a}元，|本期{n}应还{a}元未到账，|{t}案件，{n}，{a}元，|{n}承诺还{a}元失约，|{n}尚余{a}元，逾{k}天，
{n}协商中，金额{a}元，|应还{a}元，{n}为首次逾期，|{n}上月还过，余{a}元，|待核{n}还款{a}元，
--
{m}月{d}日换时段再拨。|已补发短信，{d}号复呼。|核实备用号码后再联系。|今日不再外呼，{m}月{d}日排程。|登记无效，待更新联系方式。|转机器人提醒，{d}号查看结果。
无其他异常，{m}月{d}日跟进。|先以短信沟通，等待客户回电。|下一时段由同组坐席继续跟进。
""",
    "message": """
【{t}】{n}您好，|【{t}】尊敬的{n}，|【{t}】{n}先生/女士，|【{t}】还款提醒，{n}，|【{t}】{n}，|【{t}】账单提示：{n}，|【{t}】您好{n}，
【{t}】致{n}，|【{t}】客户{n}，
--
您的账单{a}元已逾期{k}天，|您有{a}元待还，|您本期应还{b}元，|系统未收到您的{a}元还款，|您的分期{a}元已出账，|您的剩余欠款为{a}元，|您约定的{a}元尚未到账，
您的账户逾期{k}天，金额{a}元，|自动扣款{a}元未成功，|还款计划首期{a}元，
--
请于{m}月{d}日前通过APP还款。|请尽快处理，已还请忽略。|最迟{m}月{d}日入账，谢谢配合。|如有困难请联系客服协商方案。|{d}号将再次扣款，请存足余额。|请认准官方渠道，勿转个人账户。
{m}月{d}日后将按合同计收罚息。|详情登录官方APP查看明细。|逾期信息将如实报送，请您知悉。
""",
}
PROHIBITED = """
你就是个无耻老赖|欠钱不还猪狗不如|你个王八蛋|你全家都是骗子|不要脸的东西|你妈没教你做人|人渣一个|废物东西还有脸说话|贱人装什么装|你还是不是人|死不要脸|畜生都比你强|活该穷一辈子
狗东西别装死|你这种垃圾早该滚|傻逼别跟我讲道理|老不死的赖账|缺德鬼断子绝孙|再不还打断你的腿|小心你全家的安全|弄死你信不信|让你走不出小区|你孩子在哪上学我们清楚|找人收拾你|今晚就去堵你家门
后果自负等着见血|砸你家玻璃|泼你家门油漆|让你横着出去|你老婆一个人在家吧|我们在道上有人|叫几个兄弟去你家坐坐|卸你一条胳膊|别逼我动手|让你家鸡犬不宁|你出门小心点|爆你通讯录|把你照片群发
让全村人都知道你欠钱|给你单位贴大字报|发到你朋友圈曝光|通知你所有亲友|在你小区拉横幅|把欠款信息发抖音|给你领导打电话让你丢工作|挂到网上让大家看看|群发给你同事|身份证照片贴到村口
打爆你所有联系人电话|明天警察上门抓你|我是法院执行局的|公安已经立案抓人|不还就坐牢|你已被列为网上通缉|冻结你家所有人的账户|你孩子以后不能上学|让你爸妈替你还|去借别的平台也要还
每天打你一百个电话|把钱转我个人微信
"""
INNOCENT = """
把提醒当成垃圾短信|建议拨打人工客服咨询|过去死活找不到人|经营废物回收站|手机弄死机后没看到|不要脸部识别认证|养狗场亏损|手机通讯录丢失|水果被贱卖|滚动账单已说明|孩子上学费用刚交
曾在法院旁边上班|住在公安路|产品曝光量下降|摄像头有安装死角|提到有人冒充警察诈骗已提醒|打断客户后致歉|绳子打死结误了工|全家福照相馆歇业
"""


def _words(text: str) -> list[str]:
    """Split at "|" and line ends."""
    return text.replace("|", "\n").split()


def _flatten(lists: Sequence[Sequence[str]]) -> tuple[list[str], Ints, Ints]:
    """All strings in one list, as DuckDB's `format` wants them, and where each given list starts and how long it is."""
    words = [word.replace("{b}", "{2:,}") for one in lists for word in one]
    for place, field in enumerate("nramdkt"):
        words = [word.replace(f"{{{field}}}", f"{{{place}}}") for word in words]
    sizes = np.array([len(one) for one in lists], np.int64)
    return words, np.cumsum(sizes) - sizes, sizes


NAMES = [surname + given for surname in SURNAMES for given in _words(GIVEN)]
CLAUSES = _words(PROHIBITED) + _words(INNOCENT)
BANNED = len(_words(PROHIBITED))
POOLS = list(TEMPLATES)
TALK, THIRD, MISSED, INCOMING, MESSAGE, PASS_ON, REPLY, VISIT, LETTER = range(len(POOLS))
_parts = [[_words(part) for part in FRAGMENTS.get(pool, "--\n--").split("--")] for pool in POOLS]
HEADS = _flatten([_words(text) for text in TEMPLATES.values()] + [part[0] for part in _parts])
MIDDLES, ENDS = (_flatten([part[place] for part in _parts]) for place in (1, 2))

# What is written of the columns drawn (`draws`), file by file.
QUERIES = {
    "cases": """SELECT printf('C%08d', c) AS case_id, printf('D%08d', debtor) AS debtor_id, product, lender,
        lender_kind, 'CN' AS jurisdiction, principal, opened_on FROM draws""",
    "instalments": """SELECT printf('C%08d', c) AS case_id, n AS instalment_no,
        (due + to_months(n - 1))::DATE AS due_on, (principal * 0.345)::DECIMAL(12, 2) AS amount
        FROM (SELECT *, unnest([1, 2, 3]) AS n FROM draws)""",
    "payments": """SELECT printf('C%08d', c) AS case_id, paid_at, cents * 0.01 AS amount
        FROM draws ORDER BY c, paid_at, cents""",
    "persons": """SELECT printf('P%08d', p) AS person_id, printf('C%08d', c) AS case_id, name, relation,
        relation IN ('self', 'guarantor') AS obliged, CASE WHEN known THEN knows END AS knows_since FROM draws""",
    "numbers": """SELECT number, printf('P%08d', p) AS person_id, printf('C%08d', c) AS case_id, kind, valid_from
        FROM draws ORDER BY p, slot""",
    "agents": """SELECT printf('A%05d', a) AS agent_id, name, printf('T%03d', team) AS team, vendor, from_on
        FROM draws""",
    "case_events": """SELECT printf('C%08d', c) AS case_id, printf('P%08d', p) AS person_id, kind, occurred_at
        FROM draws""",
    "contacts": f"""SELECT printf('K%09d', k) AS contact_id, printf('C%08d', c) AS case_id,
        printf('P%08d', p) AS person_id, number, printf('A%05d', a) AS agent_id, channel, direction, started_at,
        duration_s, outcome, call_type, CASE WHEN blank THEN NULL
            WHEN odd = 1 THEN translate(words, '0123456789元，', '０１２３４５６７８９圆,')
            WHEN odd = 2 THEN translate(words, '{SIMPLE}', '{TRADITIONAL}') ELSE words END AS text,
        CASE WHEN recorded THEN printf('R%09d', k) END AS recording_id
        FROM (SELECT *, concat(CASE WHEN front THEN clause || '，' END,
            format(concat(head, middle, ending), name, relation, amount, month, day, late, lender),
            CASE WHEN NOT front THEN clause || '。' END,
            CASE WHEN phone IS NOT NULL THEN format(phone, shown, shown[1:3], shown[4:7], shown[8:]) END,
            '身份证号' || id17 || '10X98765432'[id_sum + 1] || '。') AS words
            FROM (SELECT *, phone_no::VARCHAR AS shown FROM draws))""",
}


@dataclass(frozen=True)
class Book:
    """The portfolio: one entry per case, and one per person in the order of their cases, the debtor first."""

    due: Ints  # per case: the first due date, in days since 1970 like all dates here
    debtor: Ints
    lender: Ints
    first: Ints  # the debtor's place among the persons
    others: Ints
    case: Ints  # per person
    relation: Ints
    name: Ints
    line: Ints  # what the person's numbers are made from: the same in all cases of one debtor
    lines: Ints  # bit 1: has a work number, bit 2: has a home number
    agents: int


def _draw(rng: np.random.Generator, size: int, weights: Sequence[float] | npt.NDArray[np.float64]) -> Ints:
    """Places 0, 1, ... drawn with these weights, which add up to one."""
    return np.searchsorted(np.cumsum(weights)[:-1], rng.random(size), side="right").astype(np.int64)


def _below(rng: np.random.Generator, limits: Ints) -> Ints:
    """Whole numbers from 0, each below its limit (0 where the limit is 0)."""
    return (rng.random(len(limits)) * limits).astype(np.int64)


def _pick(values: Sequence[str | None], places: Ints) -> pa.DictionaryArray:
    """Take the values at these places; a negative place is empty."""
    return pa.DictionaryArray.from_arrays(pa.array(places.astype(np.int32), mask=places < 0), pa.array(values))


def _date(days: Ints) -> pa.Array:
    """Make dates of days since 1970."""
    return pa.array(days.astype(np.int32)).cast(pa.date32())


def _moment(days: Ints | int, seconds: Ints) -> pa.Array:
    """Make timestamps of days since 1970 and seconds of the day."""
    return pa.array(days * 86400 + seconds).cast(pa.timestamp("s"))


def _number(line: Ints, slot: Ints, seed: int) -> Ints:
    """Make a mobile (slot 0), work (1) or home (2) number, 13000000000 to 19999999999; no two alike."""
    return 13_000_000_000 + ((line * 3 + slot) * 2_654_435_761 + seed * 7_919) % 7_000_000_000


def _book(rows: int, rng: np.random.Generator) -> Book:
    """Draw the portfolio that goes with so many contacts."""
    cases = max(1, rows // 20)
    shared = rng.random(cases) < 0.05
    shared[0] = False
    debtor = np.cumsum(~shared) - 1
    others = _draw(rng, cases, [0.15, 0.35, 0.35, 0.15])
    first = np.cumsum(others + 1) - others - 1
    case = np.repeat(np.arange(cases), others + 1)
    place = np.arange(len(case))
    own = first[case] == place
    line = np.where(own, debtor[case], cases + place)
    name = rng.integers(0, len(NAMES), cases + len(case))
    lines = _draw(rng, len(name), [0.63, 0.27, 0.07, 0.03])
    relation = np.where(own, 0, 1 + _draw(rng, len(case), list(OTHERS.values())))
    due, lender = rng.integers(DUE_FROM, DUE_TO + 1, cases), rng.integers(0, len(LENDERS), cases)
    agents = max(8, rows // 5000)
    return Book(due, debtor, lender, first, others, case, relation, name[line], line, lines[line], agents)


def _tables(book: Book, rng: np.random.Generator, seed: int) -> Iterator[tuple[str, pa.Table]]:
    """Draw what each file but the contacts is written from."""
    cases, persons = len(book.due), len(book.case)
    opened, principal = book.due - rng.integers(25, 41, cases), rng.integers(10, 600, cases) * 100
    accounts = pa.table({
        "c": np.arange(1, cases + 1), "debtor": book.debtor + 1, "product": _pick(PRODUCTS, book.lender),
        "lender": _pick(LENDERS, book.lender), "lender_kind": _pick(KINDS, book.lender),
        "principal": principal, "opened_on": _date(opened), "due": _date(book.due),
    })  # fmt: skip
    yield "cases", accounts
    yield "instalments", accounts

    payer = np.repeat(np.arange(cases), _draw(rng, cases, [0.40, 0.35, 0.25]))
    paid = book.due[payer] + _below(rng, START + DAYS - book.due[payer])
    yield "payments", pa.table({
        "c": payer + 1, "paid_at": _moment(paid, rng.integers(8 * 3600, 22 * 3600, len(payer))),
        "cents": principal[payer] * rng.integers(5, 36, len(payer)),
    })  # fmt: skip

    knows = np.where(book.relation == 0, opened[book.case], START + rng.integers(-90, DAYS, persons))
    yield "persons", pa.table({
        "p": np.arange(1, persons + 1), "c": book.case + 1, "name": _pick(NAMES, book.name),
        "relation": _pick(RELATIONS, book.relation), "known": rng.random(persons) < 0.3, "knows": _date(knows),
    })  # fmt: skip

    owners = [np.arange(persons), np.flatnonzero(book.lines & 1), np.flatnonzero(book.lines & 2)]
    person, slot = np.concatenate(owners), np.repeat(np.arange(3), [len(some) for some in owners])
    yield "numbers", pa.table({
        "number": _number(book.line[person], slot, seed), "p": person + 1, "c": book.case[person] + 1, "slot": slot,
        "kind": _pick(["mobile", "work", "home"], slot), "valid_from": _date(opened[book.case[person]]),
    })  # fmt: skip

    agent = np.arange(book.agents)
    team = agent % max(len(VENDORS), book.agents // 12)
    yield "agents", pa.table({
        "a": agent + 1, "name": _pick(NAMES, rng.integers(0, len(NAMES), len(agent))), "team": team + 1,
        "vendor": _pick(VENDORS, team % len(VENDORS)), "from_on": _date(START - rng.integers(10, 800, len(agent))),
    })  # fmt: skip

    case = np.flatnonzero(rng.random(cases) < 0.02)
    other = (book.others[case] > 0) & (rng.random(len(case)) < 1 / 6)
    when = _moment(START + rng.integers(0, DAYS, len(case)), rng.integers(8 * 3600, 22 * 3600, len(case)))
    yield "case_events", pa.table({
        "c": case + 1, "p": book.first[case] + other + 1, "occurred_at": when,
        "kind": _pick(EVENTS, rng.integers(0, len(EVENTS), len(case))),
    })  # fmt: skip


def _day(book: Book, day: int, start: int, size: int, seed: int) -> pa.RecordBatch:
    """Draw what the `size` contacts of one day are written from, in time order."""
    rng = np.random.default_rng([seed, day + 1])

    def chance(share: float) -> Bools:
        return rng.random(size) < share

    def words(parts: tuple[list[str], Ints, Ints], pool: Ints, keep: Bools) -> pa.DictionaryArray:
        return _pick(parts[0], np.where(keep, parts[1][pool] + _below(rng, parts[2][pool]), -1))

    # Who and when. A case comes up once among the day's callers, which bounds its calls.
    calls, cases = int(rng.binomial(size, CHANNELS["call"])), len(book.due)
    callers = rng.permutation(cases)[:calls]
    called = np.repeat(callers, 1 + _draw(rng, len(callers), CALLS_A_DAY))[:calls]
    rest = np.array(list(CHANNELS.values())[1:]) / (1 - CHANNELS["call"])
    channel = np.concatenate([np.zeros(calls, np.int64), 1 + _draw(rng, size - calls, rest)])
    office = (8 + _draw(rng, size, HOURS)) * 3600 + rng.integers(0, 3600, size)
    night = (22 * 3600 + 60 + rng.integers(0, 10 * 3600 - 120, size)) % 86400
    when = np.choose(_draw(rng, size, [0.96, 0.02, 0.02]), [office, rng.choice(EDGES, size), night])
    order = np.argsort(when, kind="stable")
    case = np.concatenate([called, rng.integers(0, cases, size - calls)])[order]
    channel, when = channel[order], when[order]
    call, message, visit = channel == 0, (channel == 1) | (channel == 2), channel == 3

    inbound = (call | message) & chance(0.05 / 0.97)
    other = (book.others[case] > 0) & chance(0.1 / 0.85)
    person = book.first[case] + np.where(other, 1 + _below(rng, book.others[case]), 0)
    owned = book.lines[person]
    slot = np.where(chance(0.85), 0, np.where(owned & 1, 1, owned & 2))
    agent = np.where(chance(0.85), case % book.agents, rng.integers(0, book.agents, size))

    # How it ended.
    call_end, delivery, met = (_draw(rng, size, odds) for odds in (list(CALL_ENDS.values()), [0.92, 0.08], [0.4, 0.6]))
    outcome = np.select([call, message, visit], [call_end, 6 + delivery, 8 + met], 10)
    talked, dropped = outcome == 0, outcome == 1
    answered = talked | dropped
    talk = np.clip(rng.lognormal(4.2, 0.9, size), 5, 600).astype(np.int64)

    # What was written.
    note = np.select([inbound & answered, ~answered, other], [INCOMING, MISSED, THIRD], TALK)
    sent = np.select([inbound, other], [REPLY, PASS_ON], MESSAGE)
    pool = np.select([call, message, visit], [note, sent, VISIT], LETTER)
    joined = (MIDDLES[2][pool] > 0) & chance(0.323)
    clause = np.where(chance(0.05), rng.integers(BANNED, len(CLAUSES), size), -1)
    clause = np.where((pool != REPLY) & chance(0.01014), rng.integers(0, BANNED, size), clause)
    ahead = day + rng.integers(1, 15, size)
    month = np.searchsorted(MONTHS, ahead, side="right") - 1
    id17 = rng.integers(11, 66, size) * 10**15 + rng.integers(1960, 2006, size) * 10**7
    id17 += rng.integers(1, 13, size) * 10**5 + rng.integers(1, 29, size) * 1000 + rng.integers(1, 1000, size)
    id_sum = sum(id17 // 10 ** (16 - place) % 10 * (2 ** (17 - place) % 11) for place in range(17)) % 11

    return pa.RecordBatch.from_pydict({
        "k": np.arange(start + 1, start + size + 1), "c": case + 1, "p": person + 1, "a": agent + 1,
        "number": _number(book.line[person], slot, seed), "started_at": _moment(START + day, when),
        "channel": _pick(list(CHANNELS), channel), "direction": _pick(["outbound", "inbound"], inbound * 1),
        "duration_s": np.where(talked, talk, np.where(dropped, rng.integers(5, 21, size), 0)),
        "outcome": _pick(OUTCOMES, outcome), "recorded": talked & chance(0.99),
        "call_type": _pick(["interactive", "notice"], np.where(call, chance(0.3), -1)),
        "blank": call & ~answered & chance(0.08 / 0.441), "odd": _draw(rng, size, [0.9995, 0.00025, 0.00025]),
        "head": words(HEADS, pool + joined * len(POOLS), np.ones(size, np.bool_)),
        "middle": words(MIDDLES, pool, joined), "ending": words(ENDS, pool, joined),
        "clause": _pick(CLAUSES, clause), "front": (call | visit) & chance(0.5),
        "name": _pick(NAMES, book.name[book.first[case]]), "relation": _pick(SPOKEN, book.relation[person]),
        "amount": rng.integers(300, 60_000, size), "month": 3 + month, "day": 1 + ahead - MONTHS[month],
        "late": np.maximum(1, START + day - book.due[case]), "lender": _pick(LENDERS, book.lender[case]),
        "phone": _pick(PHONES, np.where(chance(0.03), rng.integers(0, len(PHONES), size), -1)),
        "phone_no": 13_000_000_000 + rng.integers(0, 7_000_000_000, size),
        "id17": pa.array(id17, mask=~chance(0.005)), "id_sum": id_sum,
    })  # fmt: skip


def generate(rows: int, folder: Path, seed: int = 7) -> None:
    """Write the eight files into `folder`, which is made if missing; files of the same names are replaced."""
    if rows < 1 or seed < 0:
        raise ValueError("rows must be at least 1 and the seed not negative")
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng([seed, 0])
    book = _book(rows, rng)
    edges = [rows * day // DAYS for day in range(DAYS + 1)]
    days = (_day(book, day, edges[day], edges[day + 1] - edges[day], seed) for day in range(DAYS))
    first = next(days)
    contacts = pa.RecordBatchReader.from_batches(first.schema, chain([first], days))
    # One thread: with more, DuckDB keeps the order by holding back most of the file in memory.
    with duckdb.connect(config={"threads": 1}) as con:
        con.execute("SET enable_progress_bar = false")
        for file, draws in chain(_tables(book, rng, seed), [("contacts", contacts)]):
            con.register("draws", draws)
            con.sql(QUERIES[file]).write_csv(str(folder / f"{file}.csv"), header=True)


def main() -> None:
    """Read the command line, write, and say how long it took."""
    parser = argparse.ArgumentParser(description="Write a made-up loan-collection log.")
    parser.add_argument("rows", type=int, help="contacts to write; the size of the other files follows")
    parser.add_argument("folder", type=Path, help="where the CSV files go")
    parser.add_argument("--seed", type=int, default=7, help="the same seed gives the same files (default 7)")
    given = parser.parse_args()
    began = time.perf_counter()
    try:
        generate(given.rows, given.folder, given.seed)
    except ValueError as error:
        parser.error(str(error))
    size = (given.folder / "contacts.csv").stat().st_size
    print(f"{given.rows} contacts, {size / 1e6:.1f} MB, {time.perf_counter() - began:.1f} s")


if __name__ == "__main__":
    main()
