-- Restores, and bytes that retention removed.

-- One row per restore and connection: from the instant of the backup on, nobody here knows what the partner got.
-- closed_at is null while the connection is in doubt: what is made for it is asked for before it is sent.
create table restores (
    tenant_id text not null,
    restore_id text not null,
    connection_id text not null,
    backup_id text not null,
    backed_up_at {big} not null,
    restored_at {big} not null,
    since_at {big} not null,
    last_message_id text not null default '',
    last_receipt_key text not null default '',
    last_name text not null default '',
    closed_at {big},
    closed_by text not null default '',
    primary key (tenant_id, restore_id, connection_id)
){without_rowid};

-- When retention removed the bytes of a message; digest and size stay.
alter table inbound_messages add column reclaimed_at {big};

alter table outbound_messages add column reclaimed_at {big};
