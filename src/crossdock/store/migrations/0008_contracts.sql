-- What is expected of partners, the shapes of their documents, notices to people, and whose word counts.

-- One thing we asked a partner for and wait for: state waiting, warned or breached. A row goes when it is met.
create table expectations (
    tenant_id text not null,
    contract text not null,
    key text not null,
    subject text not null default '',
    message_id text not null default '',
    state text not null,
    since_at {big} not null,
    due_at {big} not null,
    next_at {big} not null,
    level integer not null default 0,
    primary key (tenant_id, contract, key)
){without_rowid};

create index expectations_next on expectations (tenant_id, contract, next_at);

-- How far each contract has looked, and where the feed it watches stands. asked_until: the newest send it has taken up.
create table contract_states (
    tenant_id text not null,
    contract text not null,
    state text not null default 'met',
    began_at {big} not null,
    asked_until text not null default '',
    last_heard_at {big},
    since_at {big},
    due_at {big},
    next_at {big},
    level integer not null default 0,
    primary key (tenant_id, contract)
){without_rowid};

-- The shapes of documents as partners send them: state accepted, warned, waiting (for approval) or refused.
create table document_shapes (
    tenant_id text not null,
    connection_id text not null,
    document_type text not null,
    digest text not null,
    state text not null,
    shape {bytes} not null,
    changes {bytes},
    seen_count {big} not null default 0,
    message_id text not null default '',
    release_id text not null default '',
    first_seen_at {big} not null,
    last_seen_at {big} not null,
    decided_by text not null default '',
    decided_at {big},
    primary key (tenant_id, connection_id, document_type, digest)
){without_rowid};

-- How many cases were opened on a day of the tenant, for the noise budget.
create table case_counts (
    tenant_id text not null,
    on_day text not null,
    opened integer not null,
    primary key (tenant_id, on_day)
){without_rowid};

-- What people are told: each thing once for each of them. state waiting, sent, merged (into a digest) or suppressed.
create table notices (
    tenant_id text not null,
    notice_id text not null,
    once_key text not null,
    rule text not null,
    recipient text not null,
    channel text not null,
    subject text not null default '',
    topic text not null default '',
    state text not null,
    reason text not null default '',
    title text not null,
    body text not null,
    due_at {big} not null,
    created_at {big} not null,
    sent_at {big},
    digest_id text not null default '',
    primary key (tenant_id, notice_id)
){without_rowid};

create unique index notices_once on notices (tenant_id, once_key);

create index notices_due on notices (tenant_id, due_at) where state = 'waiting';

create index notices_by_subject on notices (tenant_id, subject) where subject <> '';

-- How far the notification rules of a tenant have read the journal.
create table notice_cursors (
    tenant_id text primary key,
    cursor text not null
){without_rowid};

-- Who does not want to be told of a topic ('' is every topic). Kept when the rules change.
create table unsubscribes (
    tenant_id text not null,
    recipient text not null,
    topic text not null default '',
    since_at {big} not null,
    reason text not null default '',
    primary key (tenant_id, recipient, topic)
){without_rowid};

-- What a partner calls a thing of ours, and when. valid_until null: still.
create table cross_references (
    tenant_id text not null,
    partner text not null,
    type text not null,
    value text not null,
    ours text not null,
    valid_from {big} not null,
    valid_until {big},
    changed_by text not null default '',
    changed_at {big} not null,
    primary key (tenant_id, partner, type, value, valid_from)
){without_rowid};

create index cross_references_ours on cross_references (tenant_id, partner, type, ours);

-- What we wrote into a partner's system, by its content: what comes back the same is our own word, not the partner's.
create table own_changes (
    tenant_id text not null,
    connection_id text not null,
    object text not null,
    key text not null,
    digest {bytes} not null,
    told_at {big} not null,
    primary key (tenant_id, connection_id, object, key, digest)
){without_rowid};

-- The open faults of an order, whatever object they are of.
create index exceptions_by_subject on exceptions (tenant_id, subject) where state = 'open' and subject <> '';
