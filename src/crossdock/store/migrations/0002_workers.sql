-- Several workers on one record. One process on SQLite uses none of it: the columns keep their defaults there.
-- A worker is a number that is used once, the fencing token: whoever loses its lease registers anew under a higher one.
-- All instants of these tables are the database's own time.

create table workers (
    worker {big} primary key,
    name text not null,
    role text not null,
    started_at {big} not null,
    expires_at {big} not null
){without_rowid};

-- Who works which slot; epoch grows each time it changes hands. Free for all: 0 it was given back, -1 its owner died.
create table slots (
    slot integer primary key,
    worker {big} not null default 0,
    epoch {big} not null default 0,
    since_at {big} not null default 0
);

{postgresql_only} create sequence worker_numbers;

{postgresql_only} insert into slots (slot) select generate_series(0, 63);

-- handed 1: it was made by a process that does not own its slot; the owner takes it from here into its memory.
alter table inbound_messages add column slot integer not null default 0;

alter table inbound_messages add column handed integer not null default 0;

alter table outbound_messages add column slot integer not null default 0;

alter table outbound_messages add column handed integer not null default 0;

-- The order in which sends of a lane were made, whoever made them: drawn while the lane's order is locked.
alter table outbound_messages add column made {serial};

{postgresql_only} create index inbound_messages_handed on inbound_messages (tenant_id, slot, message_id) where handed = 1 and state = 'received';

{postgresql_only} create index outbound_messages_handed on outbound_messages (slot, made) where handed = 1 and state in ('pending', 'sending', 'unknown');

{postgresql_only} create index inbound_messages_by_slot on inbound_messages (slot, tenant_id, message_id) where state = 'received';

{postgresql_only} create index outbound_messages_by_slot on outbound_messages (slot, made) where state in ('pending', 'sending', 'unknown');
