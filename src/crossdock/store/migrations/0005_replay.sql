-- Dead letters, amendments and bulk replays: what people do with messages that did not go through.

-- Each amended version of a dead letter: who made it of what, why, and the fields that differ. Neither side is ever edited.
create table amendments (
    tenant_id text not null,
    original_id text not null,
    new_id text not null,
    message_id text not null,
    part text not null,
    author text not null,
    reason text not null,
    differences {bytes} not null,
    created_at {big} not null,
    primary key (tenant_id, original_id, new_id)
){without_rowid};

create index amendments_by_new on amendments (tenant_id, new_id);

-- The messages of a job, in the order in which they run. planned: the states its dry run promised.
create table job_items (
    tenant_id text not null,
    job_id text not null,
    position integer not null,
    message_id text not null,
    planned text not null default '',
    state text not null default 'waiting',
    detail text not null default '',
    primary key (tenant_id, job_id, position)
){without_rowid};

create index jobs_open on jobs (tenant_id, job_id) where state in ('running', 'paused');

-- When somebody took an issue on: the end of the clock of its class.
alter table issues add column responded_at {big};

create index documents_rejected on documents (tenant_id, document_id) where state = 'rejected';

create index inbound_messages_failed on inbound_messages (tenant_id, message_id) where state = 'failed';

create index outbound_messages_dead on outbound_messages (tenant_id, message_id) where state = 'dead';

-- What was made for partners out of a message: a replay says what would be rendered otherwise.
create index outbound_messages_of_inbound on outbound_messages (tenant_id, inbound_message_id) where inbound_message_id <> '';
