// memjs against the server at argv[2]: the binary protocol as node's clients speak it. argv[3] is the
// folder that holds the package.
const assert = require('assert');
const { createRequire } = require('module');
const memjs = createRequire(process.argv[3] + '/')('memjs');

async function main() {
  const client = memjs.Client.create(process.argv[2], { timeout: 5, retries: 0 });
  assert.ok(await client.flush());
  assert.strictEqual(await client.set('k', 'text', {}), true);
  assert.strictEqual((await client.get('k')).value.toString(), 'text');
  assert.strictEqual((await client.get('none')).value, null);
  assert.strictEqual(await client.add('k', 'other', {}), false);
  assert.strictEqual(await client.replace('none', 'x', {}), false);
  assert.strictEqual(await client.append('k', '!'), true);
  assert.strictEqual((await client.get('k')).value.toString(), 'text!');
  assert.strictEqual((await client.increment('n', 5, { initial: 40 })).value, 40);
  assert.strictEqual((await client.increment('n', 5, {})).value, 45);
  assert.strictEqual((await client.decrement('n', 3, {})).value, 42);
  assert.strictEqual(await client.touch('k', 100), true);
  const large = Buffer.alloc(900000, 'x');
  assert.strictEqual(await client.set('large', large, {}), true);
  assert.ok((await client.get('large')).value.equals(large));
  await Promise.all(Array.from({ length: 200 }, (_, n) => client.set(`many${n}`, `v${n}`, {})));
  const many = await Promise.all(Array.from({ length: 200 }, (_, n) => client.get(`many${n}`)));
  many.forEach((hit, n) => assert.strictEqual(hit.value.toString(), `v${n}`));
  assert.strictEqual(await client.delete('k'), true);
  assert.strictEqual((await client.get('k')).value, null);
  client.close();
  console.log('memjs: passed');
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
