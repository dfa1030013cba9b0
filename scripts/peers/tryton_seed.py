"""Fill a fresh Tryton database with a small company, and print what a test has to know of it as JSON.

Runs in Tryton's own environment, never in Crossdock's: `tryton_seed.py DATABASE`, with TRYTOND_CONFIG set.
The company sells three goods to two customers in the United States, invoices what was shipped, and has stock.
"""

from __future__ import annotations

import datetime
import json
import os
import sys
from decimal import Decimal

from proteus import Model
from proteus import config as connection
from trytond.modules.account.tests.tools import create_chart, create_fiscalyear, get_accounts
from trytond.modules.account_invoice.tests.tools import create_payment_term, set_fiscalyear_invoice_sequences
from trytond.modules.company.tests.tools import create_company, get_company

GOODS = (
    ("NG-1001", "Espresso beans 1 kg", "18.90"),
    ("NG-1105", "Paper cups, box", "46.00"),
    ("NG-1301", "Milk jug", "17.50"),
)
CUSTOMERS = (
    ("Blue Fern Cafe", "12 Harbor Road", "68102", "Omaha", "NE"),
    ("Oak Street Kitchens", "4 Mill Lane", "66101", "Kansas City", "KS"),
)
GROUPS = ("Sales", "Stock", "Stock Force Assignment", "Accounting")
STOCK = 1_000


def main(database: str) -> None:
    connection.set_trytond(database=database, user="admin", config_file=os.environ["TRYTOND_CONFIG"])
    create_company()
    create_chart()
    # The year before and after as well: a test may run on the last day of December.
    year = datetime.datetime.now(datetime.UTC).year
    for each in (year - 1, year, year + 1):
        fiscal_year = create_fiscalyear(today=(datetime.date(each, 1, 1), datetime.date(each, 12, 31)))
        set_fiscalyear_invoice_sequences(fiscal_year).click("create_period")
    accounts = get_accounts()
    category = Model.get("product.category")(
        name="Goods", accounting=True, account_expense=accounts["expense"], account_revenue=accounts["revenue"]
    )
    category.save()
    (unit,) = Model.get("product.uom").find([("name", "=", "Unit")])
    products = {}
    for code, name, price in GOODS:
        template = Model.get("product.template")(
            name=name,
            default_uom=unit,
            type="goods",
            salable=True,
            list_price=Decimal(price),
            account_category=category,
        )
        template.code = code
        template.save()
        products[code] = template.products[0].id
    country = Model.get("country.country")(name="United States", code="US")
    for state in ("NE", "KS"):
        country.subdivisions.new(name=state, code=f"US-{state}", type="state")
    country.save()
    states = {one.code: one for one in country.subdivisions}
    parties = {}
    for name, street, postcode, city, state in CUSTOMERS:
        party = Model.get("party.party")(name=name)
        address = party.addresses[0] if party.addresses else party.addresses.new()
        address.street, address.postal_code, address.city = street, postcode, city
        address.country, address.subdivision = country, states[f"US-{state}"]
        party.save()
        parties[name] = {"party": party.id, "address": party.addresses[0].id}
    term = create_payment_term()
    term.save()
    (storage,) = Model.get("stock.location").find([("code", "=", "STO")])
    inventory = Model.get("stock.inventory")(location=storage)
    for product in products.values():
        line = inventory.lines.new(product=Model.get("product.product")(product))
        line.quantity = STOCK
    inventory.click("confirm")
    user_class, group_class = Model.get("res.user"), Model.get("res.group")
    user = user_class(name="Crossdock", login="crossdock")
    names = {group.name: group.id for group in group_class.find([])}
    for name in GROUPS:
        user.groups.append(group_class(names[name]))
    company = get_company()
    user.companies.append(Model.get("company.company")(company.id))
    user.company = Model.get("company.company")(company.id)
    user.save()
    application = Model.get("res.user.application")(user=user, application="rest")
    application.save()
    if application.state != "validated":
        application.click("validate_")
    print(
        json.dumps(
            {
                "key": application.key,
                "company": company.id,
                "unit": unit.id,
                "term": term.id,
                "storage": storage.id,
                "products": products,
                "customers": parties,
                "groups": sorted(names),
            }
        )
    )


main(sys.argv[1])
