"""Small companies of the packs' examples: an ERP that speaks JSON, and warehouses of several kinds, each with books."""
