//! What clients say and what they are told: the protocols, who is let in, and where this server
//! answers otherwise than memcached.
//!
//! The measure is memcached 1.6.45, byte for byte; `version` answers `VERSION 1.6.45 ringcached`,
//! and clients that parse the number find what they expect. [`crate::protocol`] says how requests
//! are parsed, [`crate::core`] how they are run.
//!
//! # Protocols on one port
//!
//! | protocol | how it is told | where it is run |
//! |---|---|---|
//! | text | any first byte but 0x80 | `core::execute::text` |
//! | meta (`mg ms md ma me mn`) | part of the text protocol | `core::execute::meta` |
//! | binary | the first byte of a connection is 0x80 | `core::execute::binary` |
//! | UDP (`-U`) | a datagram with a frame of 8 bytes, then any of the above | `core::datagrams` |
//!
//! `-B ascii` and `-B binary` allow only one; so do, for one address of `-l`, the prefixes
//! `proto[ascii]:` and `proto[binary]:`. `proto[negotiating]:` allows all again, but not where `-Y`
//! or `-S` have fixed the protocol: memcached would let clients of the other one in unasked there.
//! A new command on a key is a variant of [`Request`](crate::protocol::Request) and a function in
//! one of these files; a new command that concerns more than a key is answered in `core::admin`.
//!
//! # Meta commands
//!
//! All flags, modes and return codes are served. What is worth knowing beside the protocol's own
//! description:
//!
//! - Flags mean something in their order: `mg k t T60` tells the old time to live, `mg k T60 t` the
//!   new one.
//! - The tail of an `mg` is ` Z` (somebody has been told to fetch the value), ` X` (it is stale),
//!   ` W` (you are told to fetch it), in this order.
//! - `q` hides the nominal outcome only: a miss of `mg`, the `HD` of the others and the `VA` of
//!   `ma`. `mn` is answered in its place behind all that was asked before it.
//! - A key in base64 names the item of its decoded bytes. It is decoded when it is routed and again
//!   when it is run, each time into memory on the stack.
//!
//! # Authentication
//!
//! `-Y file` guards the text protocol: the first command must be `set` with `user password` as its
//! value. `-S` guards the binary protocol by SASL, mechanism PLAIN, with the file that the variable
//! `MEMCACHED_SASL_PWDB` names. Both files have `user:password` lines, as many as you like; empty
//! lines are skipped. For SASL a password may end at a further colon, as in Cyrus SASL's files.
//! Either flag fixes the protocol, because a connection that spoke the other one would be let in
//! unasked.
//!
//! Before a client is known nothing is parsed but the authentication (`-S`: and VERSION, and the
//! list of mechanisms). A check compares with every line of the file to its end, so its time tells
//! nothing. A client that authenticates itself anew is out until that is found right. SIGHUP reads
//! the file again and puts the new list in the old one's place in one step; if it can't be read,
//! that is told on stderr and the old list stays. Connections that are in stay in.
//!
//! # UDP, and whom it may flood
//!
//! UDP is off unless `-U` asks for it, and a warning at start says what it means: the source of a
//! datagram can be forged, so whoever sends a small request in somebody else's name has us send him
//! a large reply. In 2018 memcached servers multiplied traffic by 50,000 so.
//!
//! **The rule.** A host may be sent more than it sent only if it has been *seen to answer*: it has
//! a TCP connection to this server now, or its last one ended less than ten minutes ago. Nobody can
//! open a TCP connection in another host's name, because its opener has to answer what is sent to
//! that address. (The host's own loopback addresses always count.) Towards all others **no reply is
//! larger than three times its request**, frames included on both sides; instead of a larger one
//! they get `SERVER_ERROR connect by TCP first`, if that is small enough, else nothing. What
//! remains: somebody who knows a client of yours can flood that client with replies from your
//! server, so keep the port from the Internet.
//!
//! A request must be one datagram, and whole; all others are dropped. A reply is cut into datagrams
//! of 1400 bytes, numbered from 0. One of more than 2 MB is refused. `watch`, dumps, `stats sizes`
//! and `shutdown` are refused by UDP.
//!
//! # Where the answers differ from memcached's
//!
//! Each has a test; those that a request can show stand in `tests/differential/known.rs`.
//!
//! Where memcached itself has changed since Debian's 1.6.18, `known.rs` lists what it answered
//! before and what it answers now.
//!
//! Times:
//!
//! - Unix times between 2038 and 2106 are understood in every command. memcached takes those of
//!   stores for the past, and refuses those of others.
//! - A new time to live by `ma` holds even when the number grows by a digit; memcached gives it to
//!   the item that has just been replaced.
//!
//! Keys:
//!
//! - An item made by `mg N`, `ma N` or emptied by `md x` remembers that its key came in base64.
//!   memcached forgets it and prints the raw bytes, which may break a line. For the same reason a
//!   key with blanks or control bytes is printed in base64 to whoever asked in base64.
//! - A key that is too long spoils only its own request. In a `get`, memcached throws away all
//!   replies that have not been sent, and ends its error with an empty line.
//!
//! Words:
//!
//! - `stats cores` lists what each core has to do and what it has met with; to memcached it is an
//!   `ERROR`.
//! - `delete` without a key, or with more words than any client sends, is an `ERROR`: the
//!   conformance test of libmemcached wants it.
//! - An opaque (`O`) that is too long is noticed before the command is run, not after.
//! - Commands behind a dump are answered when the dump has ended; memcached drops them.
//! - `slabs reassign` knows other classes: chunk sizes begin lower, because headers are smaller.
//! - `stats cachedump` looks at every list of the class; memcached at COLD only.
//!
//! The binary protocol:
//!
//! - When memory for a counter is missing, the text of the error is always that of an increment.
//! - TOUCH, GAT, STAT or an unknown opcode with bytes behind what it takes: the bytes are
//!   swallowed, where memcached takes them for the next request.
//! - A DELETE whose CAS id differs counts among `delete_misses`, and a store that is too large
//!   among `store_too_large`, as in the text protocol.
//!
//! Statistics and logs:
//!
//! - A store whose data was not of the length it said is no `cmd_set`.
//! - Sizes, classes and `mem_requested` are those of our items, which are 33 to 37 bytes smaller.
//! - Watchers of `fetchers` see the reads of clients. memcached shows the lookups inside of stores,
//!   too. Watchers of `deletions` see binary deletes as well; memcached shows those of text only.
//! - A store that failed has `clsid=0`: it never had a chunk. `ttl=` of an item that is born dead
//!   is 0, not 2^32 less a few seconds.
//! - `rawcmds` and the streams of the proxy exist and stay silent, as in memcached without one.
//! - Items expire, and flushed ones go, when they are met; memcached takes those of the last second
//!   out of `curr_items` at once.
//!
//! UDP:
//!
//! - The rule above.
//! - All replies to one datagram are one message with one numbering. memcached numbers the reply
//!   for each key anew, so that a client can't tell which datagram belongs to which key.
//! - Large datagrams that memcached would try to send are refused.
//!
//! Authentication:
//!
//! - Every attempt is answered. memcached loses the reply to a text attempt when more is pipelined
//!   behind it.
//! - `-S` needs a file (`MEMCACHED_SASL_PWDB`) and offers PLAIN only: Cyrus SASL's other sources of
//!   users and its mechanisms are not there.
//! - `-Y` takes any number of users with lines of any length, where memcached takes eight of 256
//!   bytes. Empty lines are skipped; in memcached one makes the file invalid.
