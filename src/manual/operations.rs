//! # Operations
//!
//! What somebody who runs the server needs to know and cannot guess from memcached.
//!
//! ## Starting
//!
//! The flags are memcached's, short and long, joined or apart; `--help` lists them in groups and
//! `-v` says at start what differs from what was typed. Two defaults are not memcached's:
//!
//! | | memcached | here | to have it as there |
//! |---|---|---|---|
//! | addresses | all interfaces | 127.0.0.1, and ::1 where there is one | `-l '*'` |
//! | `-t` | 4 | the CPUs that the process may run on | `-t 4` |
//!
//! The server refuses to run as root unless `-u root` says so; with `-u NAME` it becomes that user
//! before it binds, so ports below 1024 need `CAP_NET_BIND_SERVICE`, and the directories of `-P`,
//! `-s` and `MEMCACHED_PORT_FILENAME` must be writable for that user. After that, no program
//! started from it can gain rights (no_new_privs).
//!
//! Start-up is one line of steps, and whatever fails ends it before a port is taken: flags, limits,
//! privileges, io_uring, background, memory, sockets, port file, pid file. With `-d` the command
//! returns when the last of them is done, with the exit code of the start: a script that goes on
//! after `ringcached -d` finds the port open. A wrong flag or value is one line on stderr.
//!
//! ## Memory
//!
//! `-m` bounds what memcached's `-m` does not: slab pages *and* index. What comes on top is of
//! fixed number and printed at `-v`:
//!
//! ```text
//! ringcached: memory budget 1082.5 MB: cache (arena and index) 1024 MB, rings ..., fixed 14 MB
//! ```
//!
//! Give a container that total, not `-m`. Each core works on its own part, `-m` divided by `-t`,
//! and an item must fit half of a part, so a large `-I` with a small `-m` lowers `-t`; a line at
//! start says so. `-k` locks everything and needs `ulimit -l unlimited` (systemd:
//! `LimitMEMLOCK=infinity`); when it cannot, a warning says what was allowed and what is needed,
//! and the server runs unlocked, as memcached does.
//!
//! `-L` takes huge pages reserved by `vm.nr_hugepages` if there are enough, else transparent ones,
//! else plain ones. `ringcached --check` prints what the host has.
//!
//! ## Connections and files
//!
//! `-c` connections need as many descriptors, 32 for the process and 8 for each core. The limit is
//! raised as far as it goes; where that is too little, `-c` is lowered and a warning gives the
//! figure for `ulimit -n` (systemd: `LimitNOFILE=`). `-r` raises the core file limit and fails
//! where that stays at 0, because it asks for nothing else.
//!
//! ## When io_uring is not there
//!
//! The server needs Linux 6.1 and a process that may call io_uring. It tries that before it binds,
//! as the user it will run as, and otherwise exits with 69 within 100 ms and three lines: what
//! failed, the likely cause, what helps. `--check` does only that and prints the host's facts.
//!
//! | shown | cause | helps |
//! |---|---|---|
//! | EPERM, `io_uring_disabled` 1 or 2 | hardened host | `sysctl -w kernel.io_uring_disabled=0` |
//! | EPERM or ENOSYS, seccomp filter | Docker 25, containerd 2, Kubernetes, systemd | see below |
//! | EPERM, neither | SELinux, AppArmor | the kernel log |
//! | ENOSYS, EINVAL, missing operations | kernel too old | Linux 6.1 or newer |
//! | ENOMEM | locked memory limit, before Linux 5.12 | `ulimit -l unlimited` |
//!
//! A seccomp profile must allow io_uring_setup, io_uring_enter and io_uring_register; the default
//! ones of those runtimes do not, and neither does a narrow `SystemCallFilter=` of systemd.
//!
//! ## Signals
//!
//! | signal | effect |
//! |---|---|
//! | SIGTERM, SIGINT, SIGUSR1 | accept no more, answer all received, exit 0 within 5 s |
//! | the same again | exit now |
//! | SIGHUP | read users and certificates again; what can't be read leaves the old ones in force |
//! | SIGPIPE | ignored |
//!
//! With `-e` the memory file is completed before the exit, which on a disk takes as long as writing
//! it does.
//!
//! ## Files it writes
//!
//! | file | when | holds |
//! |---|---|---|
//! | `-P FILE` | once it serves, with or without `-d`; removed at exit | process id |
//! | `MEMCACHED_PORT_FILENAME` | once it serves, renamed from `*.lck` | `TCP INET: 11211`, ... |
//! | `-e FILE` | all the time | the cache; see [`restart`](super::restart) |
//! | `-s FILE` | at bind | the Unix socket, with the permissions of `-a` |
//!
//! memcached writes the pid file for `-d` only. Paths may be relative: they are made absolute
//! before a daemon leaves its directory.
//!
//! ## Exit codes
//!
//! | code | meaning |
//! |---|---|
//! | 0 | drained after a signal; `--help`, `--check` and the like |
//! | 64 | wrong flag, value or combination; root without `-u`; certificates that can't be used |
//! | 67 | the user of `-u` does not exist |
//! | 69 | io_uring cannot be used |
//! | 71 | the system refused: limits, memory, an address in use |
//! | 73 | pid file, port file, Unix socket or memory file cannot be written |
//!
//! ## Flags that are accepted and change nothing
//!
//! `-v` names those that were given. All but the first two are options of `-o`.
//!
//! | flag | why |
//! |---|---|
//! | `-R` | a turn of the loop serves what every connection has sent |
//! | `-N` | a connection goes to the core with the fewest |
//! | `hash_algorithm` | keys are always hashed by xxh3, with a seed of the process's own |
//! | `read_buf_mem_limit` | buffers are of a fixed number, in the budget |
//! | `resp_obj_mem_limit`, `modern` | dead in memcached too |
//! | `inline_ascii_resp`, `no_inline_ascii_resp` | the same |
//! | `slab_automove_window` | ages are compared as they are, there are no samples |
//! | `slab_automove_freeratio` | keeps memory free for extstore, which is not there |
//! | `tail_repair_time` | no item can get stuck at the end of a list |
//! | `ssl_wbuf_size` | records are sealed right into the blocks that are sent |
//! | `ssl_kernel_tls` | each core seals its own records |
//! | `drop_privileges` | privileges are always dropped |
//! | `no_drop_privileges`, `relaxed_privileges` | no system call filter is installed |
//!
//! Options of extstore (`ext_*`) and of the Lua proxy (`proxy_*`) are refused by name.
