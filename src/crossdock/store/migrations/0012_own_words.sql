-- What a cycle asks of our own words and of partners' names is found by an index, however many there are.
create index own_changes_by_key on own_changes (tenant_id, connection_id, key);

create index own_changes_by_age on own_changes (tenant_id, told_at);

create index cross_references_by_value on cross_references (tenant_id, value);

-- Drifts that wait to be judged, apart from the many that wait for a person.
create index stock_drifts_waiting on stock_drifts (tenant_id, state, due_at, drift_id) where state in ('new', 'timing');
