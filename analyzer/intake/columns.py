"""The canonical input columns, the header names they go by, and the words their values go by.

A header is compared after `fold`: full width to half width, lower case, without blanks, underscores, units in
brackets. Aliases are the field's usual export headings, Chinese and English; a house format is mapped by a file.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import cache


@dataclass(frozen=True)
class Column:
    """One canonical column of one table.

    `type` is text, long_text, id, number (a phone number), integer, decimal, time, date, boolean, word (a closed list,
    see `WORDS`) or list (several values in one cell).
    """

    name: str
    type: str
    aliases: tuple[str, ...] = ()
    required: bool = False


@dataclass(frozen=True)
class Table:
    """One canonical table: its columns, and which of them tell its rows apart (none: the whole row does)."""

    name: str
    columns: tuple[Column, ...]
    key: tuple[str, ...] = ()

    def column(self, name: str) -> Column | None:
        """The column of that name."""
        return next((c for c in self.columns if c.name == name), None)


def _c(name: str, type_: str, aliases: str = "", required: bool = False) -> Column:
    return Column(name, type_, tuple(aliases.split()), required)


_CASE = "案件编号 案件号 案件id 合同编号 合同号 借据号 借据编号 贷款编号 委案编号 account_id account_no loan_id loan_no contract_no case_no 案件编码 借款合同号 借款编号 贷款账号 借据 案号 account_number acct_no case_number file_number loan_number contract_number acct account reference_no reference order_no 订单号 账号 账户"
_PERSON = "联系人编号 联系人id 人员编号 客户联系人编号 contact_person_id party_id"
_NUMBER = "号码 电话号码 联系电话 手机号 手机号码 被叫号码 被叫 拨打号码 接收号码 对方号码 phone phone_number dialled_number dialed_number callee to_number mobile 被叫电话 外呼号码 目标号码 联系人电话 联系号码 客户手机 客户电话 电话 手机 座机 called_number number_dialed dialed dnis mobile_number phone_no msisdn telephone tel cell destination recipient to"
_AGENT = "催收员 催收员工号 承办人 坐席 坐席工号 座席工号 工号 坐席编号 催收员编号 作业员 经办人 operator collector_id agent agent_no user_id 催员 催收人员 座席 坐席号 员工工号 员工号 agent_code employee_id collector"
_WORKER = _AGENT + " 外访员 外访人员 跟进人 处理人 客服 坐席姓名 操作员 操作人 worked_by rep agent_name username user created_by"
_VENDOR = "机构 委外机构 外包公司 催收机构 外包机构 催收公司 agency vendor_name collection_agency agency_name vendor_id"
_RELATION = "与借款人关系 与客户关系 与本人关系 关系 联系对象 对象关系 联系人关系 relationship relation_to_debtor role party_role 与债务人关系 与借款人的关系 与持卡人关系 关系类型 联系人类型 relationship_to_debtor relation_type party_type"
_ZONE = "时区 收件人时区 借款人时区 timezone time_zone tz zones"

TABLES: tuple[Table, ...] = (
    Table(
        "contacts",
        (
            _c("contact_id", "id", "记录编号 流水号 催记编号 催记id 通话流水号 短信编号 消息编号 record_id call_id message_id sms_id log_id id 编号 通话流水 通话流水号 呼叫流水号 登记号 外访编号 消息流水号 催记流水号"),
            _c("case_id", "id", _CASE, True),
            _c("debtor_id", "id", "借款人编号 客户编号 客户号 债务人编号 borrower_id customer_id"),
            _c("debt_id", "id", "债务编号 debt_no"),
            _c("person_id", "id", _PERSON),
            _c("number", "number", _NUMBER),
            _c("agent_id", "id", _WORKER + " 外呼工号 作业工号 坐席账号 拨打工号"),
            _c("vendor", "text", _VENDOR + " 委外公司 所属公司"),
            _c("channel", "word", "渠道 催收方式 方式 渠道类型 触达渠道 作业方式 联系渠道 联络方式 催收渠道 催收手段 触达方式 沟通方式 跟进方式 medium contact_type contact_method channel_type activity_type type method action 外呼方式 呼叫方式 拨打方式 发送方式 催收动作"),
            _c("direction", "word", "方向 呼叫方向 通话方向 呼入呼出 收发 呼叫类型 call_direction inbound_outbound 发送方向 收发方向 消息方向 短信方向 收发类型 上下行"),
            _c("started_at", "time", "通话时间 通话开始时间 开始时间 触达时间 作业时间 拨打时间 呼叫时间 联系时间 催收时间 发送时间 外访时间 发起时间 呼叫开始时间 外呼时间 接通时间 跟进时间 催记时间 start_time call_time sent_at call_start_time call_datetime call_start dial_time answer_time sent_time send_time contact_time date_time 通话日期 拨打日期 催收日期 联系日期 外访日期 发送日期 call_date contact_date activity_date action_date 记录时间 日期时间 datetime timestamp ts 时间 time start 日期 date 送达时间 提交时间 下发时间 外呼日期 呼叫日期 发送日期 外访日期", True),
            _c("ended_at", "time", "结束时间 通话结束时间 挂断时间 通话结束 挂机时间 end_time hangup_time"),
            _c("duration_s", "integer", "通话时长 时长 时长秒 通话秒数 接听时长 计费时长 录音时长 持续时间 通话时间长度 呼叫时长 duration duration_seconds talk_time seconds talk_duration billsec duration_sec call_duration call_length handle_time"),
            _c("outcome", "word", "结果 通话结果 联系结果 催收结果 接通状态 呼叫结果 拨打结果 外呼结果 跟进结果 沟通结果 外访结果 发送结果 结果码 行动代码 通话状态 呼叫状态 联系状态 发送状态 送达状态 短信状态 回执 状态 是否接通 催收状态 result disposition disposition_code dispo call_outcome result_code wrap_code call_status status delivery_status call_result status_code hangup_cause 状态报告 接听状态 触达结果 反馈结果 行动码"),
            _c("call_type", "word", "通话类型 催收类型 作业类型 告知或交互 calltype collection_type"),
            _c("relation", "word", _RELATION + " 催收对象 通话对象 拨打对象 见面对象 接听人 spoke_to 接收人关系 接收人身份 接听人关系 收件人关系 通话人关系 接收方关系 被叫人关系"),
            _c("knows", "boolean", "是否知晓贷款 是否知情 知情 knows_of_loan third_party_knows_loan 对方是否知情 是否知晓 联系人是否知情 第三人是否知情 对方是否知晓贷款"),
            _c("text", "long_text", "内容 催记 催记内容 短信内容 转写文本 通话内容 跟进内容 发送内容 催收记录 跟进记录 沟通记录 联系记录 外访情况 催收备注 通话小结 备注 通话备注 沟通内容 消息内容 正文 摘要 记录 详情 说明 描述 note notes call_notes agent_notes message_body sms_text body message content remark transcript transcription comments comment remarks narrative memo summary details description 催收小结 情况说明 小结 跟进小结 沟通小结 作业小结 催记备注"),
            _c("recording_id", "id", "录音编号 录音id 录音文件 录音 影像编号 录音地址 录音链接 recording recording_file media_id recording_url 录音文件名 录音名称 影音资料 录音文件编号"),
            _c("recording_kept_until", "date", "录音保存至 录音保存期限 录音销毁日期 recording_retention_date recording_deleted_on"),
            _c("record_kept_until", "date", "记录保存至 记录保存期限 记录销毁日期 retention_date record_deleted_on"),
            _c("template_id", "id", "模板编号 短信模板 模板id template"),
            _c("staff_count", "integer", "外访人数 人数 staff visitors"),
            _c("zone", "list", _ZONE),
            _c("dpd", "integer", "逾期天数 逾期日数 账龄天数 days_past_due overdue_days dpd_days days_overdue days_delinquent"),
        ),
        ("contact_id",),
    ),
    Table(
        "cases",
        (
            _c("case_id", "id", _CASE, True),
            _c("debtor_id", "id", "借款人编号 客户编号 客户号 债务人编号 borrower_id customer_id"),
            _c("debtor_name", "text", "借款人 借款人姓名 客户姓名 客户名称 债务人 borrower borrower_name customer_name name 姓名"),
            _c("product", "text", "产品 产品名称 贷款产品 product_name"),
            _c("lender", "text", "放款机构 贷款机构 出借人 资方 金融机构 资金方 委托方 委托机构 lender_name creditor"),
            _c("lender_kind", "word", "机构类型 放款机构类型 贷款机构类型 lender_type 委托方类型 委案方类型 委托机构类型 债权人类型 资金方类型 出借人类型 资方类型"),
            _c("jurisdiction", "id", "法域 国家 country"),
            _c("region", "text", "地区 省份 城市 所在地 province state city"),
            _c("zone", "list", _ZONE),
            _c("principal", "decimal", "本金 贷款本金 借款金额 贷款金额 loan_amount amount"),
            _c("balance", "decimal", "剩余本金 余额 欠款余额 欠款金额 outstanding outstanding_balance"),
            _c("opened_on", "date", "放款日期 借款日期 起息日 开户日期 opened open_date loan_date 放款日"),
            _c("due_on", "date", "到期日 应还日 应还日期 还款日 due_date"),
            _c("closed_on", "date", "结清日期 结清日 closed close_date settled_on"),
            _c("guaranteed", "boolean", "是否担保 有无担保 担保 guarantee has_guarantor 是否有担保 有担保 是否担保贷款"),
            _c("dpd", "integer", "逾期天数 逾期日数 账龄天数 days_past_due overdue_days days_overdue days_delinquent"),
            _c("dpd_on", "date", "逾期天数日期 数据日期 统计日期 as_of snapshot_date"),
        ),
        ("case_id",),
    ),
    Table(
        "persons",
        (
            _c("person_id", "id", _PERSON + " person id 编号", True),
            _c("case_id", "id", _CASE, True),
            _c("name", "text", "姓名 联系人姓名 联系人 名称 full_name person_name"),
            _c("relation", "word", _RELATION, True),
            _c("obliged", "boolean", "是否有还款义务 还款义务 是否共债 是否担保人 owes obligor liable"),
            _c("knows_since", "date", "知晓日期 知情日期 知晓贷款日期 knows_from"),
            _c("zone", "list", _ZONE),
        ),
        ("case_id", "person_id"),
    ),
    Table(
        "numbers",
        (
            _c("number", "number", _NUMBER, True),
            _c("case_id", "id", _CASE, True),
            _c("person_id", "id", _PERSON, True),
            _c("kind", "word", "号码类型 电话类型 类型 phone_type number_type"),
            _c("source", "text", "号码来源 来源 number_source"),
            _c("zone", "list", _ZONE),
            _c("valid_from", "date", "生效日期 登记日期 valid_since 日期 date"),
            _c("valid_until", "date", "失效日期 valid_to"),
        ),
        ("case_id", "number", "person_id"),
    ),
    Table(
        "instalments",
        (
            _c("case_id", "id", _CASE, True),
            _c("instalment_no", "integer", "期次 期数 期号 还款期数 instalment installment installment_no period", True),
            _c("due_on", "date", "应还日期 应还日 到期日 due_date 日期 date", True),
            _c("amount", "decimal", "应还金额 应还本息 期供 amount_due due_amount", True),
        ),
        ("case_id", "instalment_no"),
    ),
    Table(
        "payments",
        (
            _c("payment_id", "id", "还款编号 交易流水 payment_no receipt_no"),
            _c("case_id", "id", _CASE, True),
            _c("paid_at", "time", "还款时间 还款日期 实还日期 入账时间 回款日期 实际还款日 paid_on payment_date payment_time paid_date 交易日期 transaction_date 日期 date", True),
            _c("amount", "decimal", "还款金额 实还金额 回款金额 金额 paid_amount payment_amount", True),
            _c("method", "text", "还款方式 支付方式 payment_method"),
        ),
        ("payment_id",),
    ),
    Table(
        "promises",
        (
            _c("promise_id", "id", "承诺编号 ptp_id"),
            _c("case_id", "id", _CASE, True),
            _c("made_at", "time", "承诺时间 承诺登记时间 promised_at promise_time 日期 date", True),
            _c("due_on", "date", "承诺还款日 承诺日期 承诺还款日期 promise_date promised_date ptp_date"),
            _c("amount", "decimal", "承诺金额 承诺还款金额 promise_amount promised_amount ptp_amount"),
            _c("method", "text", "承诺方式 承诺还款方式 promise_method"),
        ),
        ("promise_id",),
    ),
    Table(
        "case_events",
        (
            _c("event_id", "id", "事件编号 event_no id 编号"),
            _c("case_id", "id", _CASE, True),
            _c("person_id", "id", _PERSON),
            _c("vendor", "text", _VENDOR),
            _c("kind", "word", "事件 事件类型 事件类别 类型 标记 event event_type event_kind flag", True),
            _c("occurred_at", "time", "事件时间 发生时间 发生日期 登记时间 投诉时间 event_time event_at at 日期 date", True),
            _c("ended_at", "time", "事件结束时间 失效时间 valid_until end_time"),
            _c("agreed_from", "clock", "约定开始时刻 约定起 agreed_start"),
            _c("agreed_to", "clock", "约定结束时刻 约定止 agreed_end"),
        ),
        ("event_id",),
    ),
    Table(
        "agents",
        (
            _c("agent_id", "id", _AGENT, True),
            _c("name", "text", "姓名 催收员姓名 坐席姓名 员工姓名 agent_name"),
            _c("team", "text", "小组 团队 班组 组别 催收团队 部门 team_name group"),
            _c("vendor", "text", _VENDOR),
            _c("from_on", "date", "入职日期 上岗日期 hired_on start_date"),
            _c("until_on", "date", "离职日期 离岗日期 left_on end_date"),
        ),
        ("agent_id", "from_on"),
    ),
    Table(
        "trainings",
        (
            _c("agent_id", "id", _AGENT + " username user", True),
            _c("course", "text", "课程 培训课程 培训名称 training course_name", True),
            _c("passed_on", "date", "通过日期 培训日期 考试日期 考核通过日期 考核日期 合格日期 passed completion_date 日期 date", True),
            _c("valid_until", "date", "有效期至 培训有效期 expires expires_on"),
        ),
        ("agent_id", "course", "passed_on"),
    ),
)

WORDS: dict[str, dict[str, str]] = {
    "channel": {
        "call": "电话 电话催收 电催 外呼 通话 语音 人工外呼 phone voice telephone tel dial 手机 座机 固话 人工 电话外呼 预测外呼 phone_call manual predictive 人工电话 网络电话 座机外呼 机构外呼",
        "ai_call": "智能语音 机器人外呼 ai外呼 智能外呼 bot robot ivr 自动外呼 ai ai电话 机器人 智能机器人 语音通知 robocall 群呼 语音群呼",
        "voicemail": "语音信箱 语音留言 voicemail voice_mail rvm",
        "sms": "短信 短信催收 短消息 text textmessage message 彩信 批量短信 群发短信 mms rcs 5g消息 短信通知",
        "wechat": "微信 企业微信 企微 wecom 微信消息 公众号 微信语音",
        "im": "即时消息 app消息 在线消息 chat qq push app推送 钉钉 站内信 whatsapp messenger webchat",
        "email": "邮件 电子邮件 邮箱 e-mail mail",
        "letter": "信函 信函催收 律师函 催收函 挂号信 快递 post ems 催款函 usps fax",
        "visit": "外访 上门 上门催收 实地 外访催收 fieldvisit field home_visit 家访 面访 door_knock in_person",
        "legal": "法律 诉讼 司法 法诉 仲裁 lawsuit court 法院 司法催收 支付令 公证",
    },
    "direction": {
        "outbound": "呼出 外呼 拨出 去电 主叫 发出 发送 下行 出 out outgoing send sent o 外拨 拨打 主动外呼 人工外呼 预测外呼 自动外呼 ob mt 发",
        "inbound": "呼入 来电 被叫 接收 上行 入 in incoming received receive i 进线 ib mo 收",
    },
    "outcome": {
        "conversation": "接通 已接通 通话 有效通话 本人接听 接听 已接听 接通本人 沟通 answered connected talked completed success contact rpc 承诺还款 拒绝还款 跳票 投诉 已接 是 ptp bp right_party_contact callback refused_to_pay paid 正常接通 谈判 可联 可联本人 本人接通",
        "answered_dropped": "接通即挂 接通后挂断 秒挂 接通挂断 挂断 hungup hang_up answered_then_dropped answereddropped 客户挂断 abandoned dropped",
        "no_answer": "无人接听 未接通 未接 无应答 无人接 未接听 拒接 noanswer rang_out unanswered missed not_answered 无法接听 来电提醒 无人应答 呼叫转移 未拨通 否 noans no_contact cancel no_user_response originator_cancel",
        "voicemail": "语音信箱 留言 转语音信箱 voice_mail left_message lm lvm vm am left_voicemail left_msg left_vm answering_machine 来电助手 智能助理接听 小秘书接听 来电秘书 语音助手接听",
        "recorded_message": "录音播报 recordedmessage",
        "busy": "占线 忙线 用户忙 通话中 busytone 正忙 fast_busy user_busy",
        "switched_off": "关机 停机 不在服务区 无法接通 poweroff unreachable out_of_service_area 已关机 已停机 暂停服务 欠费停机 暂时无法接通 停机保号 暂时无法接听 空闲无法接通",
        "invalid": "空号 号码无效 not_in_service notinservice disconnected bad_number invalid_number nis disc unallocated_number 无效号码 号码不存在 号码已注销",
        "other_answered": "他人接听 家人接听 家属接听 非本人接听 非本人 他人代接 转告 tpc third_party_contact third_party_answered answered_by_other",
        "wrong_number": "错号 号码错误 打错 打错了 号码非本人 wrongnumber wrong_party wrong_person wpc wn 非本人号码 号码已换人 机主已换",
        "sent": "已发送 发送成功 已寄出 寄出 已发 submitted mailed 提交成功",
        "delivered": "已送达 送达 送达成功 已签收 签收 received read 接收成功 已读 delivrd",
        "failed": "失败 发送失败 未送达 退回 拒收 退信 undelivered bounced error 呼叫失败 undeliv undeliverable hard_bounce returned expired rejectd congestion chanunavail",
        "met": "见面 面见 见到本人 已见 met_in_person 已见面 本人在家",
        "not_met": "未见 未遇 未见到 无人在家 nobody_home 家中无人 未见到人 搬离 已搬走 无人应门",
    },
    "call_type": {
        "interactive": "交互式 交互 人工 互动 interactive_call conversation",
        "notice": "告知式 告知 通知式 通知 播报 notification notice_call",
    },
    "relation": {
        "self": "本人 借款人 借款人本人 客户本人 客户 债务人 borrower debtor customer consumer 持卡人 申请人 primary account_holder cardholder applicant 主借人 主借款人 主贷人",
        "spouse": "配偶 丈夫 妻子 爱人 老公 老婆 夫妻 husband wife 太太",
        "parent": "父母 父亲 母亲 爸爸 妈妈 父 母 father mother 爸 妈 mom dad",
        "child": "子女 儿子 女儿 son daughter",
        "sibling": "兄弟姐妹 兄弟 姐妹 哥哥 弟弟 姐姐 妹妹 brother sister",
        "relative": "亲属 亲戚 家属 家人 其他亲属 family relatives 亲友 直系亲属 前妻 岳父 岳母 公公 婆婆 爷爷 奶奶 儿媳 女婿 叔叔 舅舅 表哥 嫂子 in-law cousin uncle aunt 前夫 堂弟 堂哥 堂姐 表弟 表姐 表妹 姑姑 姑父 姨妈 舅妈 侄子 外甥 嫂嫂 弟媳 姐夫 妹夫 奶奶爷爷 外公 外婆",
        "emergency_contact": "紧急联系人 联系人 预留联系人 emergency contact_person referee reference 第一联系人 第二联系人 联系人1 联系人2 紧急联系人1 紧急联系人2",
        "guarantor": "担保人 保证人 cosigner 连带担保人 连带责任保证人 连带保证人 反担保人",
        "co_borrower": "共同借款人 共借人 共债人 coborrower co_obligor joint_debtor 共同还款人 co-applicant",
        "colleague": "同事 同僚 coworker co_worker 单位同事",
        "employer": "单位 公司 雇主 单位领导 领导 老板 工作单位 hr boss company workplace 人事 前台 财务 supervisor manager",
        "friend": "朋友 好友 同学 室友 男朋友 女朋友 roommate 女友 男友 同乡 老乡",
        "neighbour": "邻居 neighbor 物业",
        "village_committee": "村委会 居委会 村委 村干部 社区 committee 村长 村支书 居委 村主任 村支部书记 社区工作人员",
        "attorney": "律师 代理律师 lawyer counsel",
        "guardian": "监护人",
        "executor": "遗产管理人 遗嘱执行人 administrator",
        "unknown_third_party": "第三人 第三方 三方 其他 其他人 陌生人 third_party other stranger 他人 非本人 房东 landlord 3rd_party",
    },
    "lender_kind": {
        "bank": "银行 商业银行 村镇银行 信用卡中心 credit_union 股份制银行 股份制商业银行 国有大行 国有银行 城商行 城市商业银行 农商行 农村商业银行 农信社 信用社 农村信用社 民营银行 外资银行 政策性银行 互联网银行 直销银行 信用卡",
        "consumer_finance": "消费金融 消金 消费金融公司 消金公司 持牌消金 持牌消费金融 持牌消费金融公司",
        "microloan": "小贷 小额贷款 小额贷款公司 小贷公司 micro_loan 网络小贷 互联网小贷 互联网小贷公司 网络小贷公司 网络小额贷款 网络小额贷款公司 小额贷款有限公司",
        "auto_finance": "汽车金融 汽车金融公司",
        "agency": "催收公司 第三方催收 debt_collector collection_agency",
        "other": "其他 debt_buyer amc 资产管理公司 资管公司 不良资产 信托 信托公司 融资担保 融资担保公司 担保公司 融资租赁 融资租赁公司 助贷 助贷平台 助贷机构 民间借贷 p2p 网贷平台 网贷 典当 典当行 个人 保理 商业保理",
    },
    "kind@numbers": {
        "mobile": "手机 移动电话 cell cellphone cellular",
        "work": "单位 单位电话 公司电话 办公电话 office 公司",
        "home": "家庭 家庭电话 住宅 住宅电话 landline 座机 固话 宅电",
    },
    "kind@case_events": {
        "refusal": "拒绝联系 要求停止联系 停止联系 不再联系 勿扰 cease cease_request opt_out stop do_not_contact do_not_call stop_calling 停催 停止催收 暂停催收 撤回同意 dnc consent_revoked 要求停止拨打 停止拨打 拒绝再联系 拒绝再次联系 要求不再联系 要求勿扰",
        "written_cease": "书面停止 书面要求停止 cease_letter written_stop cease_and_desist c&d",
        "consent": "同意 授权 同意联系 consented permission",
        "consent_call": "同意致电 同意回电 consent_to_call callback_consent",
        "agreed_time": "约定时间 约定联系时间 agreed_hours appointment 同意夜间联系 同意夜间催收 约定夜间联系",
        "inconvenient": "不便联系 不便时间 inconvenient_time",
        "offer_to_repay": "主动代偿 愿意代偿 第三人代偿 第三人愿意还款 offers_to_pay 第三方愿代偿 第三人愿代偿 愿代偿 同意代偿",
        "unreachable": "失联 联系不上 无法联系 lost lost_contact 登记失联 确认失联 已失联",
        "dispute": "异议 争议 债务异议 disputed written_dispute 金额有异议 金额异议 债务争议 提出异议 对账异议",
        "complaint": "投诉 complained 客诉 信访 监管投诉 12378投诉 客户投诉 银保监投诉 金融监管投诉 12345投诉 消保投诉",
        "hardship": "困难 困难申请 延期申请 重病 住院 失业 特殊困难 经济困难 困难申请受理 大病 重大疾病",
        "plan": "分期协议 还款协议 协商还款 payment_plan settlement 分期 协商分期 个性化分期 二次分期 停息挂账 个性化还款 分期还款协议 重组 展期",
        "death": "死亡 身故 去世 deceased 已故 客户死亡 客户去世 借款人死亡 借款人去世 债务人死亡 本人去世 本人死亡",
        "incapacity": "丧失行为能力 无行为能力 incapacitated 无民事行为能力 限制民事行为能力 丧失民事行为能力",
        "attorney": "委托律师 律师代理 represented attorney_represented 律师介入 代理律师 已委托律师 聘请律师",
        "outsourcing_notice": "委外告知 委外通知 outsourced_notice 委外告知书 委外告知函 委托催收告知",
        "validation_notice": "验证通知 债务验证通知 validation_letter g_notice",
        "verification": "债务核实 已核实 validated verified",
    },
}  # fmt: skip

# How a line begins that stands below a list: its totals, who made it.
TOTAL = r"^\s*(合计|总计|小计|共计|总数|(grand |sub)?total)\s*[:：]?\s*[0-9,]*\s*[条笔件个户]?\s*$"
FOOTER = r"^\s*(合计|总计|小计|共计|总数|备注[:：]|说明[:：]|注[:：]|制表|审核|打印|导出时间|以上数据|(grand |sub)?total\b|notes?:|printed|exported|prepared by|end of report)"

# Headers that speak of calls, and those that speak of anything else or of the way of a contact.
OF_CALLS = re.compile(r"通话|呼叫|外呼|拨打|接通|挂断|振铃|主叫|被叫|坐席|录音|call|dial|ring|talk|hang|record(ing)?_|billsec", re.IGNORECASE)
OF_OTHERS = re.compile(r"短信|微信|邮|发送|外访|上门|送达|信函|消息|sms|message|mail|visit|letter|chat|channel|type|method|medium|渠道|方式|手段", re.IGNORECASE)

TRUE_WORDS = frozenset(["1", "true", "t", "yes", "y", "是", "有", "已", "对", "真"])
FALSE_WORDS = frozenset(["0", "false", "f", "no", "n", "否", "无", "未", "没有", "不", "假"])
EMPTY_WORDS = (
    "", "null", "none", "n/a", "na", "nan", "-", "--", "\\n", "#n/a", "(null)", "(空)", "（空）", "无", "空", "#ref!", "#value!", "#null!", "#div/0!", "—", "/",
)  # fmt: skip

_BRACKETS = re.compile(r"[(（\[【](.*?)[)）\]】]")
_NOISE = re.compile(r"[\s_\-./:：*#]+")


def fold(cell: str) -> str:
    """A header cell or a closed-list value reduced to what is compared."""
    return _NOISE.sub("", _BRACKETS.sub("", unicodedata.normalize("NFKC", cell).lower()))


def bracketed(cell: str) -> str:
    """What stands in the brackets of a header or a value, folded; "" where it has none."""
    return fold(" ".join(_BRACKETS.findall(unicodedata.normalize("NFKC", cell).lower())))


@cache
def simplified(text: str) -> str:
    """A folded text in simplified script: 案件編號 is 案件编号."""
    if text.isascii():
        return text
    from opencc import OpenCC

    return str(OpenCC("t2s").convert(text))


# What a header says of its unit: seconds of a duration, how much of a sum, minutes east of UTC of a time.
SECONDS = {"分": 60, "分钟": 60, "min": 60, "mins": 60, "minute": 60, "minutes": 60, "毫秒": 0.001, "ms": 0.001, "msec": 0.001, "millis": 0.001, "小时": 3600, "h": 3600, "hr": 3600, "hrs": 3600, "hours": 3600}
SUMS = {"万": 10_000, "万元": 10_000, "千元": 1_000, "分": 0.01, "cents": 0.01, "cent": 0.01}
OFFSETS = {"utc": 0, "gmt": 0, "utc+0": 0, "gmt+0": 0, "utc+8": 480, "gmt+8": 480, "utc+08": 480, "utc+0800": 480, "gmt+0800": 480, "北京时间": 480, "北京": 480, "东八区": 480, "bjt": 480}
_UNITS = sorted({*SECONDS, *SUMS, *OFFSETS} - {"分", "万", "h", "min", "hr", "北京"}, key=len, reverse=True)
# Headers of contacts that may be a number or a channel, a time or a duration: their cells decide.
NUMBER_OR_CHANNEL, TIME_OR_DURATION = "联系方式", "通话时间"
# A number beside these is the caller's own.
OURS = frozenset(["主叫", "caller", "from", "我方", "坐席", "本机", "ani"])
_CALLER = frozenset(map(fold, ["主叫", "主叫号码", "主叫电话", "来电号码", "caller", "caller_number", "calling_number", "from", "from_number", "ani", "src"]))


def is_caller(header: str) -> bool:
    """Whether a header names who called: on an inbound call the person is there."""
    name = simplified(fold(header))
    return name in _CALLER or (bracketed(header) in OURS and name in header_aliases("contacts") and header_aliases("contacts")[name] == "number")


def named(known: dict[str, str], header: str) -> tuple[str | None, str]:
    """(the column that a header is known for, what it says of its unit): 通话时长(分钟) and duration_min are durations in minutes."""
    name = fold(header)
    for form in (name, simplified(name)):
        if form in known:
            return known[form], bracketed(header)
    for unit in _UNITS:
        if name.endswith(unit) and name[: -len(unit)] in known:
            return known[name[: -len(unit)]], unit
    return None, ""


# In brackets behind a word these turn its meaning.
_TURNED = re.compile("非|未|不|无|没|已故|死|前|代|假|not|non|ex|deceased|late|former|other")


def word_of(known: dict[str, str], text: str) -> str | None:
    """The canonical word of a cell, or None. What stands in brackets must not say something else: 接通（非本人）, 电话(微信)."""
    inside = bracketed(text)
    outer = _looked_up(known, fold(text))
    if not inside:
        return outer
    whole = _looked_up(known, fold(_BRACKETS.sub(lambda m: m[1], unicodedata.normalize("NFKC", text))))
    inner = _looked_up(known, inside)
    if whole or inner == outer:
        return whole or inner
    if inner and outer in ("no_answer", "failed", "not_met"):
        # Why it failed: 未接通(关机).
        return inner
    return None if inner or _TURNED.search(inside) else outer


def _looked_up(known: dict[str, str], name: str) -> str | None:
    return known.get(name) or known.get(simplified(name))


# Names of places beside their codes (ISO 3166 in two and three letters).
_PLACES = {
    "CN": "cn chn china prc 中国 中国大陆 大陆 中华人民共和国 内地", "US": "us usa unitedstates unitedstatesofamerica america 美国",
    "HK": "hk hkg hongkong 香港 中国香港", "TW": "tw twn taiwan 台湾 中国台湾", "SG": "sg sgp singapore 新加坡", "JP": "jp jpn japan 日本",
    "KR": "kr kor korea southkorea republicofkorea 韩国", "IN": "in ind india 印度", "PH": "ph phl philippines 菲律宾", "VN": "vn vnm vietnam 越南",
    "UK": "uk gb gbr unitedkingdom greatbritain england 英国", "AU": "au aus australia 澳大利亚 澳洲", "ID": "id idn indonesia 印度尼西亚 印尼",
    "MO": "mo mac macao macau 澳门", "MY": "my mys malaysia 马来西亚", "TH": "th tha thailand 泰国", "CA": "ca can canada 加拿大", "MX": "mx mex mexico 墨西哥",
    "DE": "de deu germany 德国", "FR": "fr fra france 法国", "NG": "ng nga nigeria 尼日利亚", "KE": "ke ken kenya 肯尼亚", "BR": "br bra brazil 巴西",
}  # fmt: skip
PLACES = {name: code for code, names in _PLACES.items() for name in names.split()}


def place_of(text: str) -> str | None:
    """The code of a jurisdiction from its code or name, with the part of it behind a dash as written (US-MA); None where it is not known."""
    country, dash, part = unicodedata.normalize("NFKC", text).strip().partition("-")
    code = PLACES.get(simplified(fold(country)))
    return None if code is None else f"{code}{dash}{part.strip().upper()}"


@cache
def table(name: str) -> Table:
    """The canonical table of that name.

    Raises:
        KeyError: there is none.
    """
    return {t.name: t for t in TABLES}[name]


@cache
def header_aliases(table_name: str) -> dict[str, str]:
    """Folded header -> canonical column, for one table. The canonical name itself always counts, and wins."""
    known: dict[str, str] = {}
    for column in table(table_name).columns:
        for alias in column.aliases:
            known.setdefault(fold(alias), column.name)
    known.update({fold(column.name): column.name for column in table(table_name).columns})
    return known


@cache
def _any_header() -> frozenset[str]:
    return frozenset(key for t in TABLES for key in header_aliases(t.name))


def is_known_header(cell: str) -> bool:
    """Whether a cell is the name of a column of any canonical table."""
    return bool(cell) and len(cell) < 60 and (fold(cell) in _any_header() or simplified(fold(cell)) in _any_header())


def word_list(table_name: str, column: str) -> dict[str, str]:
    """Folded value -> canonical word of a closed-list column; {} when the column has no closed list."""
    words = WORDS.get(f"{column}@{table_name}", WORDS.get(column, {}))
    known = {fold(alias): word for word, aliases in words.items() for alias in aliases.split()}
    known.update({fold(word): word for word in words})
    return known
