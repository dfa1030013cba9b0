"""Who may do what under which configuration: tenants, packs, releases, access, secrets, audit, brand."""
