-- Where each backbone stands: up to which cursor of the journal its stream is proven to hold every event.
-- One row per backbone of the installation, not per tenant: a stream carries the events of all of them in one order.
-- sequence: of the last proven event in the stream; event_id: that event. stream: which life of the stream it was.
-- head: sequence from which this life holds the whole retention. gaps: messages taken out of it that were made good.
create table backbone_places (
    backbone text primary key,
    cursor_transaction {big} not null default 0,
    cursor_position {big} not null default 0,
    sequence {big} not null default 0,
    event_id text not null default '',
    stream text not null default '',
    head {big} not null default 0,
    gaps {big} not null default 0,
    generation {big} not null default 0,
    epoch {big} not null default 0,
    holder text not null default '',
    held_until {big} not null default 0,
    moved_at {big} not null default 0
){without_rowid};

{journal_index};
