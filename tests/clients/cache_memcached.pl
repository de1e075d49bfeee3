# Perl's Cache::Memcached against the server at $ARGV[0].
use strict;
use warnings;
use Cache::Memcached;

my $client = Cache::Memcached->new({ servers => [$ARGV[0]], compress_threshold => 10_000 });

sub same {
    my ($found, $expected, $what) = @_;
    $found = 'undef' unless defined $found;
    die "$what: $found instead of $expected\n" unless "$found" eq "$expected";
}

$client->flush_all;
same($client->set('k', 'text'), 1, 'set');
same($client->get('k'), 'text', 'get');
same($client->add('k', 'other') || 0, 0, 'add to what is there');
same($client->replace('none', 'x') || 0, 0, 'replace of nothing');
same($client->append('k', '!'), 1, 'append');
same($client->prepend('k', '?'), 1, 'prepend');
same($client->get('k'), '?text!', 'get of what was joined');
$client->set('n', 40);
same($client->incr('n', 3), 43, 'incr');
same($client->decr('n', 1), 42, 'decr');
same($client->set('object', { list => [1, 2, 3] }), 1, 'set of an object');
same(join(',', @{ $client->get('object')->{list} }), '1,2,3', 'get of an object');
$client->set("many$_", "v$_") for 1 .. 200;
my $many = $client->get_multi(map { "many$_" } 1 .. 200);
same(scalar(keys %$many), 200, 'get_multi');
same($many->{many77}, 'v77', 'one of get_multi');
same($client->delete('k'), 1, 'delete');
same($client->get('k'), 'undef', 'get of what was deleted');
die "no stats\n" unless $client->stats(['misc'])->{hosts}{ $ARGV[0] }{misc}{total_items};
$client->disconnect_all;
print "Cache::Memcached: passed\n";
