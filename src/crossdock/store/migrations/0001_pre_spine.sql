-- The spine. One text for both engines: {bytes}, {big}, {position} and {without_rowid} are filled in by engine.py.
-- tenant_id leads every key. Instants are microseconds since 1970 UTC. Statements end with a semicolon at the line's end.

create table tenants (
    tenant_id text primary key,
    name text not null,
    operator text not null default '',
    created_at {big} not null
){without_rowid};

create table api_keys (
    tenant_id text not null,
    key_id text not null,
    digest text not null,
    label text not null default '',
    role text not null,
    connection_id text not null default '',
    created_at {big} not null,
    revoked_at {big},
    primary key (tenant_id, key_id)
){without_rowid};

create unique index api_keys_by_digest on api_keys (digest);

create table sessions (
    session_digest text primary key,
    tenant_id text not null,
    actor text not null,
    role text not null,
    created_at {big} not null,
    seen_at {big} not null,
    expires_at {big} not null
){without_rowid};

create table login_links (
    link_digest text primary key,
    tenant_id text not null,
    actor text not null,
    role text not null,
    created_at {big} not null,
    expires_at {big} not null
){without_rowid};

create table secrets (
    tenant_id text not null,
    name text not null,
    sealed {bytes} not null,
    created_at {big} not null,
    primary key (tenant_id, name)
){without_rowid};

create table releases (
    tenant_id text not null,
    release_id text not null,
    number integer not null,
    digest text not null,
    author text not null,
    note text not null default '',
    created_at {big} not null,
    files {bytes} not null,
    primary key (tenant_id, release_id)
){without_rowid};

create table active_releases (
    tenant_id text primary key,
    release_id text not null,
    since_at {big} not null
){without_rowid};

create table audit (
    tenant_id text not null,
    audit_id text not null,
    at {big} not null,
    actor text not null,
    action text not null,
    object text not null,
    reason text not null default '',
    detail {bytes},
    previous_hash text not null,
    hash text not null,
    primary key (tenant_id, audit_id)
){without_rowid};

-- Bytes as they came or went, out of the hot rows, under the message they belong to: ids grow, so the table only grows at
-- its end (docs/why/payloads.md). digest is the SHA-256 of the plain bytes. encoding: '' or 'zstd'.
create table payloads (
    tenant_id text not null,
    message_id text not null,
    digest {bytes} not null,
    encoding text not null default '',
    size_bytes integer not null,
    content {bytes} not null,
    primary key (tenant_id, message_id)
){without_rowid};

-- The receipt key of every message ever taken in; outlives the message itself.
create table receipts (
    tenant_id text not null,
    connection_id text not null,
    receipt_key text not null,
    message_id text not null,
    digest {bytes} not null,
    received_at {big} not null,
    primary key (tenant_id, connection_id, receipt_key)
){without_rowid};

create table inbound_messages (
    tenant_id text not null,
    message_id text not null,
    connection_id text not null,
    partner text not null,
    state text not null,
    receipt_key text not null,
    digest {bytes} not null,
    size_bytes integer not null,
    content_type text not null default '',
    name text not null default '',
    headers {bytes},
    received_at {big} not null,
    processed_at {big},
    release_id text not null default '',
    duplicate_of text not null default '',
    document_count integer not null default 0,
    error_code text not null default '',
    error text not null default '',
    traceparent text not null default '',
    attempts integer not null default 0,
    primary key (tenant_id, message_id)
){without_rowid};

create index inbound_messages_waiting on inbound_messages (tenant_id, message_id) where state = 'received';

create index inbound_messages_by_connection on inbound_messages (tenant_id, connection_id, message_id);

create table documents (
    tenant_id text not null,
    document_id text not null,
    message_id text not null,
    position integer not null,
    pointer text not null default '',
    type text not null,
    map text not null default '',
    object text not null default '',
    event_type text not null default '',
    state text not null,
    awaits text not null default '',
    subject text not null default '',
    business_key text not null default '',
    canonical {bytes},
    findings {bytes},
    release_id text not null default '',
    byte_offset integer not null default 0,
    byte_length integer not null default 0,
    replay_of text not null default '',
    updated_at {big} not null,
    primary key (tenant_id, document_id)
){without_rowid};

create index documents_by_message on documents (tenant_id, message_id, position);

create index documents_waiting on documents (tenant_id, awaits) where state in ('held', 'parked');

create index documents_by_subject on documents (tenant_id, subject) where subject <> '';

-- Interchanges read, for the duplicate matrix of X12 (key and digest).
create table interchanges (
    tenant_id text not null,
    sender text not null,
    receiver text not null,
    control_number text not null,
    usage text not null,
    digest {bytes} not null,
    message_id text not null,
    acknowledgment_id text not null default '',
    received_at {big} not null,
    primary key (tenant_id, sender, receiver, control_number, usage)
){without_rowid};

create index interchanges_by_number on interchanges (tenant_id, control_number);

-- The journal. Readers that follow it use the commit-safe cursor of store/journal.py, never "position greater than" alone.
create table events (
    {position},
    tenant_id text not null,
    event_id text not null,
    type text not null,
    subject text not null,
    data {bytes} not null,
    occurred_at {big} not null,
    recorded_at {big} not null,
    correlation_id text not null default '',
    causation_id text not null default '',
    message_id text not null default '',
    partner text not null default '',
    release_id text not null default '',
    traceparent text not null default ''
);

create index events_by_subject on events (tenant_id, subject, position);

-- The figures of a day; views/overview.py asks with exactly these words, or the index is not used.
create index events_headlines on events (tenant_id, type, position) where type in ('crossdock.order.created.v1', 'crossdock.fulfillment.requested.v1', 'crossdock.shipment.recorded.v1', 'crossdock.shipment.delivered.v1');

-- sites: every site that has a fulfillment of it, sorted, between commas: ',reno,swift,'.
create table aggregates (
    tenant_id text not null,
    kind text not null,
    key text not null,
    aggregate_id text not null,
    version integer not null,
    status text not null default '',
    customer text not null default '',
    region text not null default '',
    sites text not null default '',
    due_at {big},
    at_risk integer not null default 0,
    value_cents {big} not null default 0,
    created_at {big} not null,
    updated_at {big} not null,
    state {bytes} not null,
    primary key (tenant_id, kind, key)
){without_rowid};

create index aggregates_by_status on aggregates (tenant_id, kind, status, at_risk, sites, key);

create index aggregates_at_risk on aggregates (tenant_id, kind, due_at) where at_risk = 1;

-- Every name under which something is found. search_key is canonical.identifiers.search_key(value).
create table identifiers (
    tenant_id text not null,
    search_key text not null,
    type text not null,
    subject text not null,
    value text not null,
    primary key (tenant_id, search_key, type, subject)
){without_rowid};

create index identifiers_by_subject on identifiers (tenant_id, subject);

create table outbound_messages (
    tenant_id text not null,
    message_id text not null,
    connection_id text not null,
    partner text not null,
    document_type text not null,
    object text not null default '',
    subject text not null default '',
    lane text not null,
    request_key text not null,
    identity text not null,
    state text not null,
    ack_state text not null default 'none',
    ack_due_at {big},
    attempts integer not null default 0,
    next_attempt_at {big},
    digest {bytes} not null,
    size_bytes integer not null,
    content_type text not null default '',
    name text not null default '',
    headers {bytes},
    canonical {bytes},
    map text not null default '',
    release_id text not null default '',
    causation_id text not null default '',
    inbound_message_id text not null default '',
    created_at {big} not null,
    sent_at {big},
    error_class text not null default '',
    error_code text not null default '',
    error text not null default '',
    reference text not null default '',
    traceparent text not null default '',
    primary key (tenant_id, message_id)
){without_rowid};

create unique index outbound_messages_once on outbound_messages (tenant_id, request_key, connection_id);

create index outbound_messages_open on outbound_messages (tenant_id, connection_id, message_id) where state in ('pending', 'sending', 'unknown');

create index outbound_messages_by_subject on outbound_messages (tenant_id, subject) where subject <> '';

create index outbound_messages_answers on outbound_messages (tenant_id, inbound_message_id) where document_type = 'acknowledgment';

create index outbound_messages_awaiting_ack on outbound_messages (tenant_id, ack_due_at) where ack_state = 'awaited';

create table attempts (
    tenant_id text not null,
    message_id text not null,
    number integer not null,
    outcome text not null,
    started_at {big} not null,
    duration_ms real not null default 0,
    http_status integer,
    code text not null default '',
    detail text not null default '',
    response {bytes},
    primary key (tenant_id, message_id, number)
){without_rowid};

-- Control numbers of EDI envelopes we send; incremented in the transaction that writes the outbound row.
create table control_numbers (
    tenant_id text not null,
    sender text not null,
    receiver text not null,
    level text not null,
    last_number {big} not null,
    primary key (tenant_id, sender, receiver, level)
){without_rowid};

-- Transaction sets we sent, by what an acknowledgment names: exact keys, never substrings.
create table sent_sets (
    tenant_id text not null,
    sender text not null,
    receiver text not null,
    functional_id text not null,
    group_control_number text not null,
    set_control_number text not null,
    message_id text not null,
    primary key (tenant_id, sender, receiver, functional_id, group_control_number, set_control_number)
){without_rowid};

create index sent_sets_by_number on sent_sets (tenant_id, group_control_number);

create table timers (
    tenant_id text not null,
    subject text not null,
    name text not null,
    due_at {big} not null,
    primary key (tenant_id, subject, name)
){without_rowid};

create index timers_due on timers (due_at);

create table issues (
    tenant_id text not null,
    issue_id text not null,
    cause text not null,
    code text not null,
    title text not null,
    error_class text not null default '',
    state text not null,
    partner text not null default '',
    connection_id text not null default '',
    suggestion {bytes},
    first_seen_at {big} not null,
    last_seen_at {big} not null,
    closed_at {big},
    closed_by text not null default '',
    owner text not null default '',
    primary key (tenant_id, issue_id)
){without_rowid};

create unique index issues_open_by_cause on issues (tenant_id, cause) where state in ('open', 'acknowledged');

-- One business fault of one document, outbound message or order; grouped into an issue by cause.
create table exceptions (
    tenant_id text not null,
    exception_id text not null,
    issue_id text not null,
    object_kind text not null,
    object_id text not null,
    subject text not null default '',
    code text not null,
    detail text not null default '',
    pointer text not null default '',
    state text not null,
    created_at {big} not null,
    resolved_at {big},
    resolution text not null default '',
    primary key (tenant_id, exception_id)
){without_rowid};

create index exceptions_by_issue on exceptions (tenant_id, issue_id, state);

create index exceptions_by_object on exceptions (tenant_id, object_id, code) where state = 'open';

create table inventory (
    tenant_id text not null,
    site text not null,
    sku text not null,
    on_hand text not null,
    reserved text not null,
    as_of {big},
    updated_at {big} not null,
    primary key (tenant_id, site, sku)
){without_rowid};

-- What sites said of their stock and was applied: an adjustment by its number, a snapshot by its content. Once each.
create table stock_reports (
    tenant_id text not null,
    report text not null,
    site text not null,
    digest {bytes} not null,
    document_id text not null,
    recorded_at {big} not null,
    primary key (tenant_id, report, site)
){without_rowid};

-- What the hub knows of a connection's health; written when it changes, not per message.
create table connection_states (
    tenant_id text not null,
    connection_id text not null,
    circuit text not null default 'closed',
    failures integer not null default 0,
    probe_at {big},
    last_inbound_at {big},
    last_sent_at {big},
    last_error_at {big},
    last_error text not null default '',
    paused integer not null default 0,
    primary key (tenant_id, connection_id)
){without_rowid};

create table jobs (
    tenant_id text not null,
    job_id text not null,
    kind text not null,
    state text not null,
    actor text not null default '',
    filter {bytes},
    report {bytes},
    total integer not null default 0,
    done integer not null default 0,
    failed integer not null default 0,
    created_at {big} not null,
    ended_at {big},
    primary key (tenant_id, job_id)
){without_rowid};

create table idempotency_keys (
    tenant_id text not null,
    actor text not null,
    route text not null,
    key text not null,
    fingerprint {bytes} not null,
    status integer not null,
    response {bytes} not null,
    created_at {big} not null,
    primary key (tenant_id, actor, route, key)
){without_rowid};
