"""The customer portal under the tenant's own brand: no word of Crossdock, no internal fact, no need of JavaScript."""
