//! The manual: what each kind of run prints, and how to read it. There is no code here.
//!
//! Everything below was printed on 2026-11-28 by a guest with two CPUs of an Intel Xeon, Linux
//! 6.18, that was shared with other work; the server had CPU 0 (`taskset -c 0 ringcached -m 1024
//! -t 1`), the generator CPU 1 (`--pin 1`).
//!
//! # A closed loop: how much a server can do
//!
//! Every connection keeps `--depth` requests under way. The rate is the result; the latencies are
//! those of a server that is as busy as it can be.
//!
//! ```text
//! $ loadgen -c 50 --depth 4 -t 10s --pin 1
//! preload     100000 keys at 1.790 M/s, 0 errors, hit rate 100.0 %
//! requests    7191730 in 10.000 s
//! rate        719.2 k/s
//! reads       6471760 hits, 0 misses (100.00 %)
//!
//! latency (us)           count      p50      p90      p99    p99.9   p99.99      max
//! get response         6471760    253.7    362.5    482.6   1110.0   5070.8   5730.3
//! set response          719970    254.0    362.5    481.3   1166.3   5124.1   5730.3
//! response             7191730    253.7    362.5    482.6   1114.1   5070.8   5730.3
//! service              7191730    253.7    362.5    482.6   1114.1   5070.8   5730.3
//!
//! client CPU  1.276 us per request (0.245 user), 1.276 us per key
//! workers     busiest 92 % of a CPU, waited 1 % of the time for one
//! server CPU  1.288 us per request (0.192 user), 1.288 us per key, 0.93 cores
//! Run time: 10.0s Ops: 7191730 TPS: 719173 Net_rate: 82.4M/s
//! ```
//!
//! `response` counts from when a request was due, `service` from when it was handed to the kernel:
//! in a closed loop the same. `server CPU` stands there if the server runs on this host. The lines
//! `client CPU` and `workers` tell whether the generator set the pace: a thread that used nearly
//! all of a CPU did, and one that waited for a CPU was held up by other programs. The last line
//! is memaslap's, for scripts that look for it.
//!
//! # An open loop: what clients feel
//!
//! Requests are sent when they are due, `--rate` of them a second, whatever the server does. A
//! server that stops for half a second delays all that were due in it, and response times show
//! that.
//!
//! ```text
//! $ loadgen -c 50 --rate 50k --arrivals poisson -t 10s --pin 1 --plot run.png
//! preload     100000 keys at 2.474 M/s, 0 errors, hit rate 100.0 %
//! requests    499693 in 10.000 s
//! rate        50.0 k/s of 50.0 k asked
//! reads       449458 hits, 0 misses (100.00 %)
//!
//! latency (us)           count      p50      p90      p99    p99.9   p99.99      max
//! get response          449458    139.3    237.2    625.2   3543.0   4677.6   5038.1
//! set response           50235    139.4    236.5    630.8   3381.2   4345.9   4796.4
//! response              499693    139.3    237.1    626.7   3530.8   4669.4   5038.1
//! service               499693    113.2    209.8    544.8   3455.0   4649.0   4972.5
//!
//! client CPU  15.436 us per request (1.640 user), 15.436 us per key
//! workers     busiest 77 % of a CPU, waited 0 % of the time for one
//! sends       0.033 % late, worst lag 2782 us, 0 waits at the cap
//! server CPU  10.627 us per request (1.461 user), 10.627 us per key, 0.53 cores
//! Run time: 10.0s Ops: 499693 TPS: 49969 Net_rate: 5.7M/s
//! ```
//!
//! `sends` says how many requests went out more than `--lag` behind their time, and how often one
//! had to wait because `--in-flight` were under way; both count in the response time. A line
//! `doubt` names what may make a result the generator's rather than the server's, and `--strict`
//! turns it into exit code 3.
//!
//! `--plot` draws latency by percentile, latencies over time and the rate over time; `--csv` writes
//! the intervals, `--hdr` their histograms in HdrHistogram's log format, which can be merged, and
//! `--json` all that the table has and more.
//!
//! # A search: the highest rate that holds a promise
//!
//! ```text
//! $ loadgen -c 50 --search 'p99<1ms' --pin 1 --plot search.png
//! preload     100000 keys at 2.614 M/s, 0 errors, hit rate 100.0 %
//! fails  761.4 k/s asked  760.5 k/s achieved  4907 us
//! fails  380.7 k/s asked  380.3 k/s achieved  1196 us
//! fails  190.4 k/s asked  190.2 k/s achieved  1010 us
//! holds  95.2 k/s asked  95.1 k/s achieved  819 us
//! holds  142.8 k/s asked  142.8 k/s achieved  827 us
//! fails  166.6 k/s asked  166.4 k/s achieved  1445 us
//! holds  154.7 k/s asked  154.6 k/s achieved  874 us
//! holds  160.6 k/s asked  160.5 k/s achieved  667 us
//! holds  163.6 k/s asked  163.5 k/s achieved  368 us
//! holds  163.6 k/s asked  163.5 k/s achieved  428 us
//! p99<1ms holds up to 163.5 k/s
//! a closed loop delivers 1.523 M/s
//! ```
//!
//! A rate holds if the condition does, no request failed, and the rate was really delivered. The
//! highest that holds is tried twice.
//!
//! # A sweep: the same load over values of an option
//!
//! ```text
//! $ loadgen --pin 1 -t 3s --sweep connections=1,10,100,1000 --plot sweep.png
//!  connections     rate/s     keys/s    p50 us    p99 us  p99.9 us  errors  client us  server us
//!            1     10.6 k     10.6 k      87.7     161.3     362.5       0     37.259     37.941
//!           10     57.0 k     57.0 k     147.5     365.8    1454.1       0      8.175     10.757
//!          100    247.6 k    247.7 k     391.9     716.3    3303.4       0      3.951      3.715 ?
//!         1000    200.5 k    200.8 k    4513.8    8462.3   30867.5       0      4.714      4.697
//! ? in doubt: the client, rather than the server, may have set the pace
//! ```
//!
//! # A comparison: servers in turn under one load
//!
//! Each round runs every server once, so that what disturbs the host disturbs all of them. A cell
//! is the median of the rounds, with the lowest and the highest; ratios are to the first server,
//! round by round. Here the second one is Debian's memcached 1.6.18.
//!
//! ```text
//! $ loadgen -c 50 --pin 1 -t 3s --compare 127.0.0.1:11211 127.0.0.1:11212
//! round 1  127.0.0.1:11211  242.9 k/s  3.897 us CPU a key  p99 394 us
//! round 1  127.0.0.1:11212  162.1 k/s  6.088 us CPU a key  p99 695 us
//! ...
//!                                 127.0.0.1:11211              127.0.0.1:11212
//! keys/s                237.7 k (219.9 k-247.0 k)    162.9 k (157.8 k-165.9 k)
//! server CPU us/key           3.982 (3.872-4.150)          6.056 (5.968-6.272)
//! user us/request                0.12 (0.01-0.28)             1.27 (1.17-1.56)
//! p50 us                            189 (176-198)                269 (264-281)
//! p99 us                            433 (358-516)                657 (614-695)
//! p99.9 us                        1067 (816-1848)             2308 (1637-2478)
//! client CPU us/key           4.013 (3.894-4.370)          4.814 (4.707-4.888)
//! errors                                        0                            0
//! rate ratio                  1.000 (1.000-1.000)          0.696 (0.639-0.741)
//! server CPU ratio            1.000 (1.000-1.000)          1.503 (1.438-1.620)
//! ```
//!
//! # Checks
//!
//! `--verify` judges every value that comes back: right, missing (evicted, which is no fault),
//! stale, corrupt or another key's. `--history FILE` records every request and answer and checks
//! that they can all be true, evictions allowed and cas exact; `loadgen check FILE` does it again.
//! Either ends with 2 if the server lied.
//!
//! memcached 1.6.18, when it speaks TLS, forgets a request that begins in the record in which a
//! large value ends, until more bytes come: with `--tls`, values above 16 KB and a `--depth` above
//! 1 such requests time out, and it is the server that lost them.
//!
//! # Other words for the same
//!
//! memslap's and memaslap's options are understood: `--servers=A --concurrency=50
//! --execute-number=1000 --test=get`, or `-s A -T 4 -c 128 -t 20s -X 1024 -d 10 -S 5s`. Times are
//! `500ms`, `10s`, `2m`; counts and rates `20k`, `1.5M` (decimal), lengths `4k` (1024 bytes);
//! latencies are told in microseconds.
