-- Lists of purchase orders, loads and claims by the party they are with.
-- One index a kind, so that orders, which are many and written most, do not pay for it.
create index purchases_by_party on aggregates (tenant_id, kind, status, at_risk, customer, key) where kind = 'purchase';

create index loads_by_party on aggregates (tenant_id, kind, status, at_risk, customer, key) where kind = 'load';

create index claims_by_party on aggregates (tenant_id, kind, status, at_risk, customer, key) where kind = 'claim';
