"""Tryton as ERP: sales out; shipments, stock and invoices back."""
