<?php
// PHP's two extensions against the server at argv[1], and a session kept by each of their handlers.
// The session's handler is named by php's own flags; argv[2] says which part to run.

[, $address, $part] = $argv;
[$host, $port] = explode(':', $address);

function same($found, $expected, string $what): void
{
    if ($found !== $expected) {
        fwrite(STDERR, "$what: " . var_export($found, true) . ' instead of ' . var_export($expected, true) . "\n");
        exit(1);
    }
}

function memcache(string $host, int $port): void
{
    $client = new Memcache();
    same($client->connect($host, $port), true, 'connect');
    same($client->flush(), true, 'flush');
    same($client->set('k', 'text'), true, 'set');
    same($client->get('k'), 'text', 'get');
    same($client->add('k', 'other'), false, 'add to what is there');
    same($client->replace('none', 'x'), false, 'replace of nothing');
    same($client->set('object', ['a' => [1, 2]]), true, 'set of an array');
    same($client->get('object'), ['a' => [1, 2]], 'get of an array');
    same($client->set('n', 40), true, 'set of a number');
    same($client->increment('n', 3), 43, 'increment');
    same($client->decrement('n', 1), 42, 'decrement');
    same($client->set('squeezed', str_repeat('x', 50000), MEMCACHE_COMPRESSED), true, 'set compressed');
    same($client->get('squeezed'), str_repeat('x', 50000), 'get of what was compressed');
    same($client->get(['k', 'none', 'n']), ['k' => 'text', 'n' => 42], 'get of several');
    same($client->delete('k'), true, 'delete');
    same($client->get('k'), false, 'get of what was deleted');
    same((int) $client->getStats()['curr_items'] > 0, true, 'getStats');
    same(str_starts_with($client->getVersion(), '1.6'), true, 'getVersion');
}

function memcached(string $host, int $port, bool $binary): void
{
    $client = new Memcached();
    $client->setOption(Memcached::OPT_BINARY_PROTOCOL, $binary);
    $client->addServer($host, $port);
    same($client->flush(), true, 'flush');
    same($client->set('k', 'text'), true, 'set');
    same($client->get('k'), 'text', 'get');
    same($client->add('k', 'other'), false, 'add to what is there');
    same($client->replace('none', 'x'), false, 'replace of nothing');
    same($client->set('n', 40), true, 'set of a number');
    same($client->increment('n', 3), 43, 'increment');
    same($client->decrement('n', 1), 42, 'decrement');
    if ($binary) {
        same($client->increment('fresh', 1, 7), 7, 'increment that makes its number');
    }
    same($client->touch('k', 100), true, 'touch');
    $many = [];
    for ($n = 0; $n < 200; $n++) {
        $many["many$n"] = "v$n";
    }
    same($client->setMulti($many), true, 'setMulti');
    same($client->getMulti(array_keys($many), Memcached::GET_PRESERVE_ORDER), $many, 'getMulti');
    $found = $client->get('k', null, Memcached::GET_EXTENDED);
    same($client->cas($found['cas'], 'k', 'swapped'), true, 'cas');
    same($client->cas($found['cas'], 'k', 'late'), false, 'cas that comes late');
    same($client->delete('k'), true, 'delete');
    same($client->get('k'), false, 'get of what was deleted');
    same($client->getResultCode(), Memcached::RES_NOTFOUND, 'result of a miss');
}

/** Opens a session, writes, closes, opens it again as another request would, reads and destroys. */
function session(): void
{
    session_id('0123456789abcdef0123456789abcdef');
    session_start();
    $_SESSION = ['user' => 'somebody', 'basket' => [1, 2, 3]];
    session_write_close();
    $_SESSION = [];
    session_start();
    same($_SESSION, ['user' => 'somebody', 'basket' => [1, 2, 3]], 'the session that was kept');
    session_destroy();
    session_start();
    same($_SESSION, [], 'the session that was destroyed');
    session_write_close();
}

match ($part) {
    'memcache' => memcache($host, (int) $port),
    'memcached' => memcached($host, (int) $port, false),
    'memcached-binary' => memcached($host, (int) $port, true),
    'session' => session(),
};
echo "php $part: passed\n";
