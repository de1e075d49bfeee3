//! TLS: how records flow, who makes handshakes, what is resumed, how certificates are renewed, and
//! what it costs.
//!
//! ```text
//! ringcached -Z -o ssl_chain_cert=chain.pem,ssl_key=key.pem
//! ```
//!
//! TLS 1.2 and 1.3 are spoken, by [rustls](https://docs.rs/rustls) with the cryptography of *ring*,
//! which builds with a C compiler alone. [`crate::tls`] holds sessions and certificates; it knows
//! no socket. [`crate::core`] feeds it (`core::secure`) and has handshakes made
//! (`core::handshakes`).
//!
//! # How records flow
//!
//! 1. A core takes its batch of completions as always. All that came for connections by TLS is
//!    opened first, side by side in one piece of memory; then plain text of these and bytes of
//!    other connections are parsed alike, and their requests form one group.
//! 2. Replies of such a connection gather in plain text. Large values stay pinned in the arena, as
//!    for anybody.
//! 3. When the connection may send, up to 32 KB of that is sealed, in records of 16,320 bytes,
//!    each of which fills a block with its header and tag. The rest waits for the next turn. So a
//!    reply of 64 MB holds nobody up for longer than 32 KB take, and no more than that lies there
//!    as cipher text.
//! 4. A client that does not read is paused at the same limits as without TLS; what it sends waits
//!    in the kernel.
//!
//! Connections in the clear pay nothing: without `-Z` a turn asks one question more, and nothing is
//! asked for each request.
//!
//! # Handshakes
//!
//! A signature with a key of RSA takes half a millisecond, in which a core answers a thousand
//! requests. So **no core makes a handshake, and none happens on the accept path**: there are as
//! many helper threads as cores, and whatever comes for a session that shakes hands goes with it to
//! one of them, through one queue. What the helper answers comes back to the core in its inbox.
//! Helpers run five steps behind the cores' priority and on any CPU: a core that has something to
//! do goes first, and a flood of handshakes makes handshakes slow. While a
//! helper has its session a connection receives nothing. One whose client does not go on with its
//! handshake is closed by `-o idle_timeout`.
//!
//! # Resumption
//!
//! Sessions are resumed by tickets, in both versions, on any core; the keys of the tickets are made
//! by the process and replaced every six hours. `-o ssl_session_cache` also keeps the last 4096
//! sessions for clients of TLS 1.2 that take no tickets, and has `stats` count `ssl_new_sessions`,
//! the handshakes that resumed nothing. Early data (0-RTT) is not taken: it could be sent twice.
//!
//! Whoever resumes a session does not show his certificate again. Therefore the ways of checking
//! clients (below) have tickets and caches of their own: what was begun on a `btls:` port can't be
//! resumed on an `mtls:` port. For the same reason none outlives the renewal of certificates.
//!
//! # Certificates of clients
//!
//! | `ssl_verify_mode` | prefix of `-l` | what a client has to do |
//! |---|---|---|
//! | 0 | `btls:` | nothing: it is not asked for a certificate |
//! | 1 | | if it shows a certificate, it must be right |
//! | 2, 3 | `mtls:` | show a right one |
//!
//! The mode holds for listeners without a prefix; `notls:` makes one speak in the clear. Right is a
//! certificate of X.509 version 3, within its time, that leads to an authority of `ssl_ca_cert` and
//! is, if it says what it is for, for clients. Mode 3 differs from 2 in OpenSSL when a client
//! renegotiates, which nobody may here. Without `ssl_ca_cert` no certificate is right, and a
//! warning says so at start.
//!
//! # Renewal
//!
//! SIGHUP and the command `refresh_certs` read chain, key and authorities again. New connections
//! get the new ones; those that are open stay. If anything is wrong with the files, the old ones
//! stay in force, and the reason goes to stderr or is the command's answer. No core waits for the
//! disk: for the command one of the helpers reads, and only the connection that gave it waits.
//! `stats` shows the age of what is in force (`time_since_server_cert_refresh`). At start the files
//! are read before privileges are dropped; for a renewal the user of `-u` must be able to read
//! them.
//!
//! # Ends and errors
//!
//! Both sides end by close_notify. The server sends its own after the last reply: on `quit`, after
//! the client's, at SIGTERM, after `idle_timeout`. What was received before the client's is
//! answered. A session that breaks is told why by an alert and closed; `ssl_handshake_errors`
//! counts those that broke before their handshake was done, such as plain text sent to the port,
//! `ssl_proto_errors` the later ones, and `watch connevents` shows each as `type=conntlserr`.
//!
//! # What it costs
//!
//! `cargo build --release --workspace && python3 benches/tls.py`: CPU time of the server for a
//! request (90:10 gets and sets of 100,000 keys), handshakes not counted, medians of three rounds
//! of 2 s on 2026-11-28, a machine of two CPUs that was busy with other work.
//!
//! | load | plain | TLS 1.3 | times |
//! |---|---|---|---|
//! | 50 connections, depth 1 | 3.36 us | 4.79 us | 1.43 |
//! | 50 connections, depth 16 | 0.54 us | 0.79 us | 1.46 |
//!
//! And what a get by TLS waits for every millisecond while others shake hands, resuming nothing, on
//! the same CPU: p99 of three rounds of 3 s each, in microseconds, the least and the most. That
//! the rounds without any handshake differ as much is the other work of the machine.
//!
//! | | key of RSA, 2048 | of EC, P-256 |
//! |---|---|---|
//! | no handshakes | 483-11,657 | 405-468 |
//! | 50 at once, every second | 4,098-8,886 | 483-4,169 |
//! | 50 at once, 370 to 570 a second | 2,243-3,456 | 1,188-12,461 |
//!
//! The median of the get stays what it is alone (133 to 237 us). The tail is the scheduler's: a
//! helper that has begun a signature is not always interrupted for the core. Without other work,
//! an earlier run showed 503 us beside 50 handshakes a second and 431 us beside 378 (EC), 962 us
//! alone. Prefer a key of EC: a signature takes it a tenth of the time.
//!
//! # What is not there
//!
//! | what | instead |
//! |---|---|
//! | TLS 1.0 and 1.1 (`ssl_min_version` 0 and 1) | 1.2, with a warning at start |
//! | `ssl_kernel_tls` | accepted: each core seals its own records |
//! | `ssl_wbuf_size` | accepted: records are sealed right into the blocks that are sent |
//! | suites without forward secrecy, CBC, SHA-1 | not offered, even if `ssl_ciphers` names them |
//! | renegotiation, compression, 0-RTT | never |
//! | keys under a passphrase, engines (`ssl_keyformat` 3) | refused at start |
//! | TLS over the Unix socket of `-s`, DTLS for `-U` | both stay in the clear, with a warning |
//! | `proto[proxy]` of `-l` | refused |
//!
//! `ssl_ciphers` chooses among the suites of TLS 1.2 by OpenSSL's grammar (names, words such as
//! `AESGCM`, `aRSA`, `HIGH`, signs `!`, `-`, `+`), and among those of 1.3 if it names some. A list
//! that leaves nothing is refused. A connection by TLS 1.2 with AES-GCM is closed after 2^24
//! records in one direction, as the cipher's limits demand; 1.3 changes its keys instead.
