-- Stock by lot and status, what moved it, what disagreed; what partners state of their books, and the comparisons.

-- What a site last said of one lot in one status, in the base unit of the item. Movements since are in stock_movements.
create table stock_lots (
    tenant_id text not null,
    site text not null,
    sku text not null,
    lot text not null,
    status text not null,
    quantity text not null,
    as_of {big} not null,
    primary key (tenant_id, site, sku, lot, status)
){without_rowid};

-- Every movement of stock, by the instant at which it happened at the site. Only ever added to.
create table stock_movements (
    tenant_id text not null,
    site text not null,
    moved_at {big} not null,
    movement_id text not null,
    sku text not null,
    lot text not null,
    status text not null,
    kind text not null,
    delta text not null,
    reference text not null,
    subject text not null,
    recorded_at {big} not null,
    primary key (tenant_id, site, moved_at, movement_id)
){without_rowid};

-- What shops were last told of an item: each change is a revision of its own.
create table stock_levels (
    tenant_id text not null,
    sku text not null,
    quantity text not null,
    revision {big} not null,
    told_at {big} not null,
    primary key (tenant_id, sku)
){without_rowid};

-- A snapshot that differs from what was expected: last snapshot and movements since, up to its own instant.
create table stock_drifts (
    tenant_id text not null,
    drift_id text not null,
    site text not null,
    sku text not null,
    lot text not null,
    status text not null,
    state text not null,
    kind text not null,
    expected text not null,
    reported text not null,
    from_at {big} not null,
    as_of {big} not null,
    due_at {big} not null,
    confidence {big} not null,
    suspect text not null,
    reason text not null,
    suspects {bytes} not null,
    opened_at {big} not null,
    closed_at {big},
    closed_by text not null default '',
    resolution text not null default '',
    primary key (tenant_id, drift_id)
){without_rowid};

create index stock_drifts_open on stock_drifts (tenant_id, site, sku) where state in ('new', 'timing', 'open');

-- The books of a partner as it states them; the rows are in the document.
create table statements (
    tenant_id text not null,
    statement_id text not null,
    partner text not null,
    kind text not null,
    site text not null,
    as_of {big} not null,
    from_at {big},
    row_count {big} not null,
    recorded_at {big} not null,
    primary key (tenant_id, statement_id)
){without_rowid};

create index statements_newest on statements (tenant_id, partner, kind, as_of);

create table reconciliation_runs (
    tenant_id text not null,
    run_id text not null,
    name text not null,
    state text not null,
    as_of {big} not null,
    ended_at {big} not null,
    matched {big} not null,
    timing {big} not null,
    differing {big} not null,
    report {bytes} not null,
    signature {bytes} not null,
    previous_digest text not null,
    primary key (tenant_id, run_id)
){without_rowid};

create table reconciliation_differences (
    tenant_id text not null,
    difference_id text not null,
    comparison text not null,
    kind text not null,
    record_key text not null,
    state text not null,
    detail {bytes} not null,
    first_seen_at {big} not null,
    last_seen_at {big} not null,
    run_id text not null,
    settled_at {big},
    settled_by text not null default '',
    reason text not null default '',
    primary key (tenant_id, difference_id)
){without_rowid};

create unique index reconciliation_differences_open on reconciliation_differences (tenant_id, comparison, record_key, kind) where state in ('open', 'accepted');
