-- Budgets that all workers share, outages, and the class of each attempt.

-- How much of a connection's rate is spent, and until when its partner asked to be left alone (durable/rates.py).
create table rate_budgets (
    tenant_id text not null,
    connection_id text not null,
    paid_at {big} not null default 0,
    paused_until {big} not null default 0,
    primary key (tenant_id, connection_id)
){without_rowid};

-- A connection whose partner is away, declared by a person or detected; ended_at is null while it lasts.
create table outages (
    tenant_id text not null,
    outage_id text not null,
    connection_id text not null,
    cause text not null,
    action text not null,
    fallback_connection text not null default '',
    reason text not null default '',
    began_by text not null default '',
    began_at {big} not null,
    ended_by text not null default '',
    ended_at {big},
    diverted integer not null default 0,
    superseded integer not null default 0,
    primary key (tenant_id, outage_id)
){without_rowid};

create unique index outages_open on outages (tenant_id, connection_id) where ended_at is null;

alter table attempts add column error_class text not null default '';

-- The connection an effect was made for, when it went out through another one during an outage.
alter table outbound_messages add column diverted_from text not null default '';

-- The newer update that was sent in place of this one.
alter table outbound_messages add column superseded_by text not null default '';

create index outbound_messages_diverted on outbound_messages (tenant_id, request_key, diverted_from) where diverted_from <> '';
