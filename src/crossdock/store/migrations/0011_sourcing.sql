-- How many fulfillment requests a site with a limited capacity was given on a day of its own calendar.
create table site_loads (
    tenant_id text not null,
    site text not null,
    day text not null,
    requests integer not null,
    primary key (tenant_id, site, day)
){without_rowid};
