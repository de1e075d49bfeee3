# Debian's Dalli against the server at ARGV[0]: the binary protocol. tests/meta.rs sends what Dalli 5 does.
require 'dalli'

def same(found, expected, what)
  raise "#{what}: #{found.inspect} instead of #{expected.inspect}" unless found == expected
end

client = Dalli::Client.new(ARGV[0], socket_timeout: 5)
client.flush_all
same(!!client.set('k', 'text'), true, 'set')
same(client.get('k'), 'text', 'get')
same(!!client.add('k', 'other'), false, 'add to what is there')
same(client.set('object', { a: [1, 2] }) && client.get('object'), { a: [1, 2] }, 'an object')
same(client.get('none'), nil, 'get of nothing')
same(client.incr('n', 5, 0, 40), 40, 'incr that makes its number')
same(client.incr('n', 5), 45, 'incr')
same(client.decr('n', 3), 42, 'decr')
same(client.set('raw', 'a', 0, raw: true) && client.append('raw', 'b'), true, 'append')
same(client.prepend('raw', '_'), true, 'prepend')
same(client.get('raw', raw: true), '_ab', 'get of what was joined')
same(!!client.touch('k', 100), true, 'touch')
same(client.gat('k', 100), 'text', 'gat')
same(!!client.cas('k') { |value| "#{value}!" }, true, 'cas')
same(client.get('k'), 'text!', 'get of what was swapped')
client.multi { 200.times { |n| client.set("many#{n}", "v#{n}") } }
same(client.get_multi(200.times.map { |n| "many#{n}" }).size, 200, 'get_multi')
same(client.set("\u00fcber_k\u00e9y", 'unicode') && client.get("\u00fcber_k\u00e9y"), 'unicode', 'a key beyond ASCII')
same(client.delete('k'), true, 'delete')
same(client.get('k'), nil, 'get of what was deleted')
same(client.stats.values.first.key?('curr_items'), true, 'stats')
client.close
puts "dalli: passed"
