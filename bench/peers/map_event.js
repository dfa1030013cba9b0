const o = e.order, c = e.carrier, s = e.shipTo, w = e.warehouse;
const m = {
  id: e.eventId, orderId: o.number, type: 'com.example.' + e.eventType.split('.')[1], time: e.occurredAt,
  source: 'wms/' + w.code.toLowerCase(), customer: o.customerRef,
  consignee: { name: s.name.toUpperCase(), addr: `${s.street}, ${s.zip} ${s.city}` },
  transport: { carrier: c.scac, level: c.service.toLowerCase(), trackingNo: c.tracking },
  location: { code: w.code, name: w.name, zone: w.timezone }, partnerCode: e.eventType,
  totalQty: e.lines.reduce((sum, line) => sum + line.qty, 0),
  items: e.lines.map(line => ({ line: line.lineNo, sku: line.sku, quantity: line.qty, lot: line.lot })),
};
