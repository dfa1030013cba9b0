// A Vendure shop for the tests, on SQLite and loopback: one article, one way to ship, a payment that settles at once.
// Runs where its packages lie, as a process of its own. usage: node server.js PORT FOLDER [populate]
const { bootstrap, DefaultJobQueuePlugin, DefaultLogger, DefaultSearchPlugin, LogLevel, dummyPaymentHandler } = require('@vendure/core');
const fs = require('fs');
const path = require('path');

const [port, folder, mode] = [Number(process.argv[2]), path.resolve(process.argv[3]), process.argv[4]];
const config = {
  apiOptions: { hostname: '127.0.0.1', port, adminApiPath: 'admin-api', shopApiPath: 'shop-api' },
  authOptions: {
    tokenMethod: ['bearer', 'cookie'],
    superadminCredentials: { identifier: 'superadmin', password: 'superadmin' },
    cookieOptions: { secret: 'of-a-shop-that-only-tests-see' },
    requireVerification: false,
  },
  dbConnectionOptions: { type: 'better-sqlite3', synchronize: true, logging: false, database: path.join(folder, 'shop.sqlite') },
  paymentOptions: { paymentMethodHandlers: [dummyPaymentHandler] },
  customFields: {},
  logger: new DefaultLogger({ level: LogLevel.Warn }),
  plugins: [DefaultJobQueuePlugin, DefaultSearchPlugin.init({ bufferUpdates: false })],
};
const initialData = {
  defaultLanguage: 'en',
  defaultZone: 'Americas',
  countries: [{ name: 'United States', code: 'US', zone: 'Americas' }],
  taxRates: [{ name: 'Standard', percentage: 10 }],
  shippingMethods: [{ name: 'Standard', price: 500 }],
  paymentMethods: [{ name: 'Dummy', handler: { code: dummyPaymentHandler.code, arguments: [{ name: 'automaticSettle', value: 'true' }] } }],
  collections: [],
};
const HEAD = 'name,slug,description,assets,facets,optionGroups,optionValues,sku,price,taxCategory,stockOnHand,trackInventory,variantAssets,variantFacets';

(async () => {
  if (mode === 'populate') {
    const { populate } = require('@vendure/core/cli');
    const goods = path.join(folder, 'goods.csv');
    const rows = [['Widget', 'NG-1001', '18.90'], ['Cup', 'NG-1105', '46.00']];
    fs.writeFileSync(goods, [HEAD, ...rows.map(([name, sku, price]) => `${name},${name.toLowerCase()},${name},,,,,${sku},${price},standard,1000,true,,`), ''].join('\n'));
    const app = await populate(() => bootstrap(config), initialData, goods);
    await app.close();
    process.exit(0);
  }
  await bootstrap(config);
})().catch(error => {
  console.error(error);
  process.exit(1);
});
