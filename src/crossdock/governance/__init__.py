"""Who may do what under which configuration: tenants, partners, connections, releases, access, secrets, audit, brand."""
