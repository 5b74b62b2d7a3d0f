-- The canonical tables of one run. The text behind each column becomes the column's comment in the file.
-- Times: *_utc is an instant in UTC, local_* is the recipient's wall clock, *_on is a calendar date.

-- Closed lists are ENUM types: a rule that asks for a word that does not exist does not bind, and scopes compare numbers.
CREATE TYPE channel_word AS ENUM ('call', 'ai_call', 'voicemail', 'sms', 'wechat', 'im', 'email', 'letter', 'visit', 'legal');
CREATE TYPE direction_word AS ENUM ('outbound', 'inbound');
CREATE TYPE outcome_word AS ENUM ('conversation', 'answered_dropped', 'no_answer', 'voicemail', 'recorded_message', 'busy', 'switched_off',
    'invalid', 'wrong_number', 'other_answered', 'sent', 'delivered', 'failed', 'met', 'not_met');
CREATE TYPE call_type_word AS ENUM ('interactive', 'notice');
CREATE TYPE relation_word AS ENUM ('self', 'spouse', 'parent', 'child', 'sibling', 'relative', 'emergency_contact', 'guarantor', 'co_borrower',
    'colleague', 'employer', 'friend', 'neighbour', 'village_committee', 'attorney', 'guardian', 'executor', 'unknown_third_party');
CREATE TYPE party_word AS ENUM ('debtor', 'obliged', 'third_party');
CREATE TYPE lender_kind_word AS ENUM ('bank', 'consumer_finance', 'microloan', 'auto_finance', 'agency', 'other');
CREATE TYPE class_word AS ENUM ('C', 'M1', 'M2', 'M3', 'M3+');
CREATE TYPE stage_word AS ENUM ('reminder', 'tracking', 'collection');

CREATE TABLE runs (
    run_id VARCHAR NOT NULL,            -- name of the run, also the file's name
    program VARCHAR NOT NULL,           -- name and version of the program
    command VARCHAR NOT NULL,           -- what was run: packs, mapping and settings, without paths
    started_utc TIMESTAMP NOT NULL,     -- when the run began
    finished_utc TIMESTAMP,             -- when the run was complete
    zone VARCHAR NOT NULL,              -- zone in which times without one were read, where a mapping says nothing
    jurisdiction VARCHAR NOT NULL,      -- jurisdiction of cases that state none
    mapping VARCHAR NOT NULL,           -- name of the mapping in use
    data_digest VARCHAR,                -- SHA-256 over the digests of all batches, sorted
    rules_digest VARCHAR,               -- SHA-256 over the digests of all packs, sorted
    words_digest VARCHAR                -- SHA-256 over what the texts were read with: lexicons, second reader, kinds of personal data
);

CREATE TABLE batches (
    batch_id INTEGER NOT NULL,          -- number of the batch in this run, in reading order
    file VARCHAR NOT NULL,              -- file name, with #sheet for a workbook
    sha256 VARCHAR NOT NULL,            -- digest of the whole file
    bytes BIGINT NOT NULL,              -- size of the file
    table_name VARCHAR NOT NULL,        -- canonical table its rows became
    kind VARCHAR NOT NULL,              -- csv, excel, jsonl or parquet
    encoding VARCHAR,                   -- encoding it was read in
    encoding_certain BOOLEAN,           -- false when the encoding is the likeliest, not known
    delimiter VARCHAR,                  -- delimiter it was read with
    header_row INTEGER NOT NULL,        -- 1-based row of the column names, 0 for none
    mapped VARCHAR NOT NULL,            -- canonical column <- column of the file, as JSON
    unmapped VARCHAR NOT NULL,          -- columns of the file that nothing reads, as JSON
    zone VARCHAR NOT NULL,              -- zone of its times without one
    zone_from VARCHAR NOT NULL,         -- who said so: mapping or setting; cells: every time of a contact states its own
    date_order VARCHAR,                 -- order of day, month and year, where it was not year first
    rows_read BIGINT NOT NULL,          -- rows of the file = loaded + rejected + duplicate
    loaded BIGINT NOT NULL,             -- rows that became rows of the canonical table
    rejected BIGINT NOT NULL,           -- rows in rejects
    duplicate BIGINT NOT NULL           -- rows in duplicates
);

CREATE TABLE rejects (
    batch_id INTEGER NOT NULL,          -- batch the row came in
    row_no BIGINT NOT NULL,             -- line of the file (row of the sheet) on which it starts
    reason VARCHAR NOT NULL,            -- why, a key of the message catalogue
    detail VARCHAR,                     -- the column, or the batch and line of the row it clashes with
    original VARCHAR                    -- the row's text as it stood
);

CREATE TABLE duplicates (
    batch_id INTEGER NOT NULL,          -- batch the row came in
    row_no BIGINT NOT NULL,             -- line of the file on which it starts
    first_batch_id INTEGER NOT NULL,    -- batch of the row it repeats
    first_row_no BIGINT NOT NULL        -- line of the row it repeats
);

CREATE TABLE cell_problems (
    batch_id INTEGER NOT NULL,          -- batch the cells came in
    column_name VARCHAR NOT NULL,       -- canonical column
    problem VARCHAR NOT NULL,           -- unreadable (kept as unknown), unmapped_word (no such word known), midnight (all are: taken as dates) or spelled_alike (names taken for one)
    cells BIGINT NOT NULL,              -- how many cells
    first_row_no BIGINT NOT NULL,       -- line of the first of them
    words VARCHAR                       -- the commonest words that are not known, where the column has a closed list
);

CREATE TABLE provided (
    batch_id INTEGER NOT NULL,          -- batch
    column_name VARCHAR NOT NULL        -- canonical column that the batch's file has at all
);

CREATE TABLE cases (
    case_id VARCHAR NOT NULL,           -- one debt in collection
    debtor_id VARCHAR NOT NULL,         -- who owes it; the case's own id where the data name nobody
    debtor_name VARCHAR,                -- name of the debtor
    product VARCHAR,                    -- product
    lender VARCHAR,                     -- lender
    lender_kind lender_kind_word,       -- bank, consumer_finance, microloan, auto_finance, agency or other
    jurisdiction VARCHAR NOT NULL,      -- jurisdiction whose law is asked
    jurisdiction_from VARCHAR NOT NULL, -- data or setting
    region VARCHAR,                     -- place of the debtor as written
    zones VARCHAR,                      -- candidate time zones of the debtor, joined by |
    principal DECIMAL(18, 2),           -- amount lent, in the loan's currency
    balance DECIMAL(18, 2),             -- principal still owed
    opened_on DATE,                     -- date of the loan
    due_on DATE,                        -- due date, for loans without instalments
    closed_on DATE,                     -- date on which the loan was settled
    guaranteed BOOLEAN,                 -- whether somebody guarantees it
    dpd INTEGER,                        -- days past due as stated
    dpd_on DATE,                        -- date of that statement
    batch_id INTEGER,                   -- batch
    row_no BIGINT                       -- line in the batch's file
);

CREATE TABLE persons (
    person_id VARCHAR NOT NULL,         -- a person tied to a case
    case_id VARCHAR NOT NULL,           -- the case
    name VARCHAR,                       -- name
    relation relation_word,             -- relation to the debtor: self, spouse, parent, colleague, guarantor ...
    obliged BOOLEAN,                    -- whether this person must pay
    knows_since DATE,                   -- date since which this person is known to know of the loan
    zones VARCHAR,                      -- candidate time zones, joined by |
    batch_id INTEGER,                   -- batch
    row_no BIGINT                       -- line in the batch's file
);

CREATE TABLE numbers (
    number VARCHAR NOT NULL,            -- digits of a phone number
    case_id VARCHAR NOT NULL,           -- case it belongs to
    person_id VARCHAR NOT NULL,         -- whose it is
    kind VARCHAR,                       -- mobile, work or home
    source VARCHAR,                     -- where it was obtained, as written
    zones VARCHAR,                      -- candidate time zones of the number, joined by |
    valid_from DATE,                    -- first day on which it was this person's
    valid_until DATE,                   -- last day on which it was this person's
    batch_id INTEGER,                   -- batch
    row_no BIGINT                       -- line in the batch's file
);

CREATE TABLE instalments (
    case_id VARCHAR NOT NULL,           -- case
    instalment_no INTEGER NOT NULL,     -- 1, 2, 3 ...
    due_on DATE NOT NULL,               -- due date
    amount DECIMAL(18, 2) NOT NULL,     -- amount due
    batch_id INTEGER,                   -- batch
    row_no BIGINT                       -- line in the batch's file
);

CREATE TABLE payments (
    payment_id VARCHAR NOT NULL,        -- payment
    case_id VARCHAR NOT NULL,           -- case it was for
    paid_utc TIMESTAMP NOT NULL,        -- instant of the payment
    paid_on DATE NOT NULL,              -- its date as written
    amount DECIMAL(18, 2) NOT NULL,     -- amount
    method VARCHAR,                     -- method as written
    batch_id INTEGER,                   -- batch
    row_no BIGINT                       -- line in the batch's file
);

CREATE TABLE promises (
    promise_id VARCHAR NOT NULL,        -- promise to pay
    case_id VARCHAR NOT NULL,           -- case
    made_utc TIMESTAMP NOT NULL,        -- instant at which it was given
    due_on DATE,                        -- promised date
    amount DECIMAL(18, 2),              -- promised amount
    method VARCHAR,                     -- promised method
    batch_id INTEGER,                   -- batch
    row_no BIGINT                       -- line in the batch's file
);

CREATE TABLE case_events (
    event_id VARCHAR NOT NULL,          -- event
    case_id VARCHAR NOT NULL,           -- case
    person_id VARCHAR,                  -- whom it concerns, where it concerns one person
    relation relation_word,             -- that person's relation to the debtor; NULL: it names nobody, or it is not known
    vendor VARCHAR,                     -- agency to which it was said; NULL: not known, or the lender
    kind VARCHAR,                       -- refusal, consent, agreed_time, unreachable, dispute, death, attorney ...
    occurred_utc TIMESTAMP,             -- instant from which it holds, where only the date is known the first of it; NULL: unknown, it may hold at any moment until its end
    occurred_by TIMESTAMP,              -- the same instant, where only the date is known the last of it
    occurred_on DATE,                   -- its date by the debtor's clock; as written where his zone or its hour is unknown
    ended_utc TIMESTAMP,                -- instant until which it holds, where only the date is known the first of it; NULL: without end
    ended_by TIMESTAMP,                 -- the same instant, where only the date is known the last of it
    ended_on DATE,                      -- its date, as that of occurred_on
    agreed_from TIME,                   -- for agreed_time: start of the agreed hours, debtor's clock
    agreed_to TIME,                     -- for agreed_time: end of the agreed hours
    batch_id INTEGER,                   -- batch
    row_no BIGINT                       -- line in the batch's file
);

CREATE TABLE agents (
    agent_id VARCHAR NOT NULL,          -- collector
    name VARCHAR,                       -- name
    team VARCHAR,                       -- team
    vendor VARCHAR,                     -- agency; NULL for the lender's own staff
    from_on DATE,                       -- first working day
    until_on DATE,                      -- last working day
    batch_id INTEGER,                   -- batch
    row_no BIGINT                       -- line in the batch's file
);

CREATE TABLE trainings (
    agent_id VARCHAR NOT NULL,          -- collector
    course VARCHAR NOT NULL,            -- course
    passed_on DATE NOT NULL,            -- date passed
    valid_until DATE,                   -- last day of validity
    batch_id INTEGER,                   -- batch
    row_no BIGINT                       -- line in the batch's file
);

CREATE TABLE arrears (
    case_id VARCHAR NOT NULL,           -- case
    from_on DATE NOT NULL,              -- first day on which this holds
    until_on DATE,                      -- first day on which it no longer holds
    reference_on DATE,                  -- due date from which days past due count on these days: the oldest unpaid one
    overdue BOOLEAN NOT NULL,           -- false: nothing is overdue; reference_on is then the next due date
    source VARCHAR NOT NULL             -- schedule (instalments and payments), due_date or stated
);

CREATE TABLE calendar_days (
    jurisdiction VARCHAR NOT NULL,      -- jurisdiction whose calendar it is; a day that is not here is not known
    on_date DATE NOT NULL,              -- day
    working BOOLEAN NOT NULL,           -- whether it is a working day, holidays and exchanged days taken into account
    nth BIGINT NOT NULL,                -- working days from the first day covered to this one, itself included
    name_zh VARCHAR,                    -- holiday, or the holiday a working day was exchanged for
    name_en VARCHAR                     -- the same
);

CREATE TABLE contacts (
    seq BIGINT NOT NULL,                -- row number in this file, used to join; not stable between runs
    contact_id VARCHAR NOT NULL,        -- id as logged; x- and a digest of the row where the log has none
    case_id VARCHAR NOT NULL,           -- case
    debtor_id VARCHAR NOT NULL,         -- debtor of the case
    debt_id VARCHAR,                    -- debt spoken about; the case where none of its contacts names one; NULL: others of the case do
    person_id VARCHAR,                  -- who was contacted; found by number where the log names nobody; self:<debtor> for the debtor without an id
    number VARCHAR,                     -- number dialled or written to, digits
    number_kind VARCHAR,                -- mobile, work or home, where the case has the number with one kind
    agent_id VARCHAR,                   -- collector
    team VARCHAR,                       -- collector's team on that date
    vendor VARCHAR,                     -- agency on that date; NULL for the lender itself
    collector VARCHAR,                  -- who collects: the agency, else the lender, else (unknown)
    lender VARCHAR,                     -- lender of the case
    creditor VARCHAR AS (coalesce(lender, '(unknown)')), -- lender, else (unknown): what joint counts of a lender and its agencies go by
    lender_kind lender_kind_word,       -- kind of lender
    jurisdiction VARCHAR NOT NULL,      -- jurisdiction of the case
    channel channel_word,               -- call, ai_call, voicemail, sms, wechat, im, email, letter, visit, legal
    direction direction_word,           -- outbound or inbound
    at_utc TIMESTAMP,                   -- instant of the contact; NULL when the log has no time
    zone VARCHAR,                       -- recipient's zone; the first of several candidates; NULL: unknown
    local_at TIMESTAMP,                 -- wall clock in that zone
    other_local_at TIMESTAMP[],         -- wall clock in each further candidate zone; NULL when there is one
    on_date DATE,                       -- calendar date of local_at: the contact's own date
    weekday UTINYINT,                   -- day of the week of on_date: 1 Monday to 7 Sunday
    working_day BOOLEAN,                -- whether on_date is a working day of the jurisdiction; NULL: no calendar covers it
    ended_utc TIMESTAMP,                -- instant of its end
    duration_s INTEGER,                 -- seconds
    outcome outcome_word,               -- conversation, answered_dropped, no_answer, voicemail, busy, delivered ...
    call_type call_type_word,           -- interactive or notice
    relation relation_word,             -- relation of the person contacted to the debtor
    human VARCHAR AS (CASE WHEN relation = 'self' THEN debtor_id ELSE person_id END), -- who was contacted, one in all cases: the debtor for the debtor himself, whatever his ids
    party party_word,                   -- debtor, obliged (guarantor, co-borrower) or third_party; NULL: unknown
    knows BOOLEAN,                      -- whether that person knew of the loan on that date; NULL: unknown
    text VARCHAR,                       -- note or message as logged
    silent BOOLEAN,                     -- whether the text says nothing: there is none, or only blanks, figures and punctuation, or a word for nothing
    recording_id VARCHAR,               -- recording, photograph or film
    recording_kept_until DATE,          -- day until which the recording is kept, or on which it was destroyed
    record_kept_until DATE,             -- the same of the record itself
    template_id VARCHAR,                -- template of the message
    staff_count INTEGER,                -- persons on a visit
    dpd INTEGER,                        -- days past due on that date; negative: days until the next due date; 0: all settled
    dpd_source VARCHAR,                 -- schedule, due_date, stated or logged
    account_class class_word,           -- C, M1, M2, M3 or M3+ on that date
    stage stage_word,                   -- reminder, tracking or collection on that date
    batch_id INTEGER NOT NULL,          -- batch
    row_no BIGINT NOT NULL              -- line in the batch's file
);

CREATE TABLE signals (
    signal_id BIGINT NOT NULL,          -- number of the signal in this file
    seq BIGINT NOT NULL,                -- contact
    concept VARCHAR NOT NULL,           -- lexicon that found it
    label VARCHAR NOT NULL,             -- conduct label
    detail VARCHAR NOT NULL,            -- group within the lexicon
    start_at INTEGER NOT NULL,          -- offset of the first character in the text as logged
    end_at INTEGER NOT NULL,            -- offset behind the last character
    words VARCHAR NOT NULL,             -- the characters between them
    speaker VARCHAR NOT NULL,           -- collector, or reported (said by somebody else)
    negated BOOLEAN NOT NULL,           -- forbidden or denied in the same clause
    counts BOOLEAN NOT NULL,            -- whether rules see it
    confidence DOUBLE NOT NULL,         -- how sure, 0 to 1
    why VARCHAR NOT NULL,               -- what was decided at each step
    lexicon_version VARCHAR NOT NULL    -- version of the lexicon
);

CREATE TABLE rules (
    rule VARCHAR NOT NULL,              -- pack/id
    pack VARCHAR NOT NULL,              -- pack
    digest VARCHAR NOT NULL,            -- SHA-256 of the rule's file
    kind VARCHAR NOT NULL,              -- kind of check
    severity VARCHAR NOT NULL,          -- critical, high, medium or low: how bad
    strength VARCHAR NOT NULL,          -- law, rule, standard, convention, guideline or policy: how binding
    effect VARCHAR NOT NULL,            -- prohibition, presumption, review or advisory
    known VARCHAR NOT NULL,             -- how well the text is known: of its best known citation
    title_zh VARCHAR NOT NULL,          -- title
    title_en VARCHAR NOT NULL,          -- title
    source VARCHAR NOT NULL,            -- the rule's file as it was used
    hits_sql VARCHAR NOT NULL,          -- the SELECT that finds its breaches in this file
    standing_sql VARCHAR NOT NULL       -- the SELECT that says which contacts it applies to
);

CREATE TABLE rule_results (
    rule VARCHAR NOT NULL,              -- pack/id
    outcome VARCHAR NOT NULL,           -- breach, clear, undetermined, not_applicable, not_in_force, not_evaluated
    missing VARCHAR,                    -- for undetermined: the fields that would decide it, joined by |
    contacts BIGINT NOT NULL,           -- contacts with this outcome
    reason VARCHAR                      -- for not_evaluated: why
);

CREATE TABLE findings (
    finding_id VARCHAR NOT NULL,        -- stable name: digest of rule and episode
    rule VARCHAR NOT NULL,              -- pack/id
    pack VARCHAR NOT NULL,              -- pack
    severity VARCHAR NOT NULL,          -- how bad
    strength VARCHAR NOT NULL,          -- how binding
    episode VARCHAR NOT NULL,           -- what makes it one episode: keys and dates
    case_id VARCHAR NOT NULL,           -- case of the first breaching contact
    debtor_id VARCHAR NOT NULL,         -- debtor
    person_id VARCHAR,                  -- person contacted first
    agent_id VARCHAR,                   -- collector of the first breaching contact
    team VARCHAR,                       -- team
    vendor VARCHAR,                     -- agency
    channel VARCHAR,                    -- channel of the first breaching contact
    account_class VARCHAR,              -- class at the first breaching contact
    stage VARCHAR,                      -- stage at the first breaching contact
    first_utc TIMESTAMP,                -- instant of the first breaching contact
    last_utc TIMESTAMP,                 -- instant of the last one
    first_local TIMESTAMP,              -- recipient's wall clock at the first one
    on_date DATE,                       -- date of the first one
    breaches BIGINT NOT NULL,           -- contacts that breach
    evidence BIGINT NOT NULL,           -- contacts in the ledger
    measured VARCHAR,                   -- what was measured, at its worst
    permitted VARCHAR,                  -- what is permitted
    rule_digest VARCHAR NOT NULL,       -- digest of the rule
    evidence_digest VARCHAR NOT NULL    -- digest over the ledger's contact ids and roles
);

CREATE TABLE finding_evidence (
    finding_id VARCHAR NOT NULL,        -- finding
    seq BIGINT NOT NULL,                -- contact
    contact_id VARCHAR NOT NULL,        -- contact's id
    role VARCHAR NOT NULL,              -- breach: breaches itself; counted: counts towards the limit; cause: what it follows
    ordinal BIGINT NOT NULL,            -- position in the ledger by time
    measured VARCHAR,                   -- what was measured at this contact
    signal_ids BIGINT[]                 -- signals that show it
);
