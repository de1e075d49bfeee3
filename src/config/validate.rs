//! From flags to `Config`: what must hold between values, and the defaults.
//!
//! A value that is wrong together with another one is refused with one line; a value that can be
//! lowered to what works is lowered, and a note says so. Nothing here touches the process or the
//! machine (names after `-l` are looked up, nothing else), so every rule has a test below that
//! needs no set-up.

use std::path::{Path, PathBuf};

use super::exit::Failure;
use super::flags::Flags;
use super::limits;
use super::listen;
use super::settings::{Binding, Config, Host, ListenAddress, Manner, Note};
use super::suboptions::{self, Extended};
use super::tls::{PeerCheck, TlsSettings};
use super::values::{Port, size_text};

impl Config {
    /// Checks `flags` as a whole and fills in the defaults.
    ///
    /// # Errors
    /// A [`Failure`] of one line with exit code 64.
    pub fn new(flags: &Flags, host: &Host) -> Result<Self, Failure> {
        assert!(!host.cpus.is_empty(), "a process runs on at least one CPU");
        let mut extended = suboptions::read(&flags.extended)?;
        check_lru(&extended)?;
        let mut notes = std::mem::take(&mut extended.notes);

        let mut tls = std::mem::take(&mut extended.tls);
        tls.settle(flags.enable_ssl)?;

        let protocol = protocol(flags)?;
        let manner = Manner { protocol, tls: tls.enabled.then(|| tls.peer_check()) };
        let network = network(flags, manner, &mut notes)?;
        note_tls(&tls, &network, &mut notes);
        let memory = memory(flags, &extended)?;
        let threads = threads(flags, host, &memory, &mut notes)?;
        let cpus = host.cpus.iter().copied().cycle().take(threads).collect();
        note_differences(flags, threads, &mut notes);
        note_idle_flags(flags, &mut notes);

        Ok(Self {
            tcp_port: network.tcp_port,
            listen: network.listen,
            listen_text: (!flags.listen.is_empty()).then(|| flags.listen.join(",")),
            unix_path: network.unix_path,
            unix_mask: flags.unix_mask.unwrap_or(limits::UNIX_MASK_DEFAULT),
            backlog: flags.listen_backlog.unwrap_or(limits::BACKLOG_DEFAULT),
            udp_port: network.udp_port,
            udp_listen: network.udp_listen,
            tls,
            socket_mark: extended.socket_mark,
            threads,
            cpus,
            memory_bytes: memory.bytes,
            item_bytes_max: memory.item_bytes_max,
            chunk_bytes_min: flags.slab_min_size.unwrap_or(limits::CHUNK_BYTES_MIN_DEFAULT),
            growth_factor: flags.slab_growth_factor.unwrap_or(limits::GROWTH_FACTOR_DEFAULT),
            slab_sizes: extended.slab_sizes,
            slab_chunk_bytes_max: memory.chunk_bytes_max,
            evict: !flags.disable_evictions,
            cas: !flags.disable_cas,
            large_pages: flags.enable_largepages,
            lock_memory: flags.lock_memory,
            hash_power: extended.hash_power,
            index_grows: extended.index_grows,
            hash_algorithm: "xxh3",
            lru: extended.lru,
            slab_reassign: extended.slab_reassign,
            slab_automove: extended.slab_automove,
            slab_automove_ratio: extended.slab_automove_ratio,
            slab_automove_window: extended.slab_automove_window,
            crawler: extended.crawler,
            tail_repair_time_s: extended.tail_repair_time_s,
            track_sizes: extended.track_sizes,
            memory_file: flags.memory_file.as_deref().map(absolute).transpose()?,
            connections_max: flags.conn_limit.unwrap_or(limits::CONNECTIONS_DEFAULT),
            maxconns_fast: extended.maxconns_fast,
            idle_timeout_s: extended.idle_timeout_s,
            requests_per_event: flags
                .max_reqs_per_event
                .unwrap_or(limits::REQUESTS_PER_EVENT_DEFAULT),
            read_buffer_bytes_limit: extended.read_buffer_mb_limit as usize * limits::MIB,
            protocol,
            shutdown_enabled: flags.enable_shutdown,
            flush_enabled: !flags.disable_flush_all,
            dump_enabled: !flags.disable_dumping,
            watch_enabled: !flags.disable_watch,
            sasl: flags.enable_sasl,
            sasl_file: sasl_file(flags, host)?,
            auth_file: flags.auth_file.as_deref().map(absolute).transpose()?,
            verbosity: flags.verbose,
            prefix_delimiter: flags.delimiter.unwrap_or(b':'),
            detail_enabled: flags.delimiter.is_some(),
            watcher_logbuf_bytes: extended.watcher_logbuf_kb as usize * limits::KIB,
            worker_logbuf_bytes: extended.worker_logbuf_kb as usize * limits::KIB,
            napi_ids: flags.napi_ids.unwrap_or(0),
            daemonize: flags.daemon,
            pid_file: flags.pidfile.as_deref().map(absolute).transpose()?,
            user: flags.user.clone(),
            core_dumps: flags.enable_coredumps,
            port_file: host.port_file.as_deref().map(absolute).transpose()?,
            notes,
        })
    }
}

fn check_lru(extended: &Extended) -> Result<(), Failure> {
    let lru = &extended.lru;
    if lru.hot_pct + lru.warm_pct > limits::LRU_PCT_SUM_MOST {
        return Err(Failure::usage(format!(
            "-o hot_lru_pct={} and warm_lru_pct={}: together they may be at most {}",
            lru.hot_pct,
            lru.warm_pct,
            limits::LRU_PCT_SUM_MOST
        )));
    }
    if lru.temporary_ttl.is_some() && !lru.segmented {
        return Err(Failure::usage("-o temporary_ttl: it needs lru_maintainer"));
    }
    Ok(())
}

/// Each way to authenticate has its protocol; a connection that spoke the other one would be let
/// in unasked.
fn protocol(flags: &Flags) -> Result<Binding, Failure> {
    let (needed, flag) = match (flags.enable_sasl, &flags.auth_file) {
        (true, Some(_)) => {
            return Err(Failure::usage(
                "-S authenticates the binary protocol and -Y the text protocol: choose one",
            ));
        }
        (true, None) => (Binding::Binary, "-S (SASL)"),
        (false, Some(_)) => (Binding::Ascii, "-Y (authentication by text)"),
        (false, None) => return Ok(flags.protocol.unwrap_or(Binding::Auto)),
    };
    match flags.protocol {
        None | Some(Binding::Auto) => Ok(needed),
        Some(given) if given == needed => Ok(needed),
        Some(given) => Err(Failure::usage(format!(
            "{flag} needs the {} protocol, not -B {}",
            needed.name(),
            given.name()
        ))),
    }
}

/// The users that SASL knows.
fn sasl_file(flags: &Flags, host: &Host) -> Result<Option<PathBuf>, Failure> {
    match (flags.enable_sasl, &host.sasl_file) {
        (false, _) => Ok(None),
        (true, Some(path)) => absolute(path).map(Some),
        (true, None) => Err(Failure::usage(
            "-S needs a file of user:password lines, named by the variable MEMCACHED_SASL_PWDB",
        )),
    }
}

#[derive(Default)]
struct Network {
    tcp_port: Option<u16>,
    listen: Vec<ListenAddress>,
    udp_port: Option<u16>,
    udp_listen: Vec<ListenAddress>,
    unix_path: Option<PathBuf>,
}

fn network(flags: &Flags, manner: Manner, notes: &mut Vec<Note>) -> Result<Network, Failure> {
    if let Some(path) = &flags.unix_socket {
        if !flags.listen.is_empty() || flags.port.is_some() {
            notes.push(Note::Verbose("-s turns the network off: -l and -p are not used".into()));
        }
        return Ok(Network { unix_path: Some(unix_path(path)?), ..Network::default() });
    }
    let udp_port = udp_port(flags, notes)?;
    let tcp_port = match flags.port {
        None => Some(udp_port.unwrap_or(limits::TCP_PORT_DEFAULT)),
        Some(Port::Fixed(port)) => Some(port),
        Some(Port::Any) => Some(0),
        Some(Port::Off) if udp_port.is_some() => None,
        Some(Port::Off) => {
            return Err(Failure::usage("-p 0 turns TCP off and there is no -s: nothing to serve"));
        }
    };
    if manner.tls.is_some() && tcp_port.is_none() {
        return Err(Failure::usage("-Z (TLS) needs a TCP port, and -p 0 turns TCP off"));
    }
    let authenticates = flags.enable_sasl || flags.auth_file.is_some();
    let usual = listen::Usual { manner, is_protocol_fixed: authenticates };
    let on = |port: Option<u16>, notes: &mut Vec<Note>| match port {
        Some(port) => listen::addresses(&flags.listen, port, usual, notes),
        None => Ok(Vec::new()),
    };
    // The second time there is nothing new to note.
    let (listen, udp_listen) = (on(tcp_port, notes)?, on(udp_port, &mut Vec::new())?);
    Ok(Network { tcp_port, listen, udp_port, udp_listen, unix_path: None })
}

/// The port of `-U`. Who receives datagrams is told what that means, in every case.
fn udp_port(flags: &Flags, notes: &mut Vec<Note>) -> Result<Option<u16>, Failure> {
    let port = match flags.udp_port {
        None | Some(Port::Off) => return Ok(None),
        Some(Port::Any) => 0,
        Some(Port::Fixed(port)) => port,
    };
    let authenticates = [(flags.enable_sasl, "-S"), (flags.auth_file.is_some(), "-Y")];
    if let Some((_, flag)) = authenticates.iter().find(|(is_on, _)| *is_on) {
        return Err(Failure::usage(format!("-U knows no authentication: it can't go with {flag}")));
    }
    notes.push(Note::Warning(
        "-U: anybody can send datagrams in anybody's name. Only hosts that have a TCP connection \
         here are sent more than three times what they sent"
            .into(),
    ));
    Ok(Some(port))
}

/// Where TLS is not what it may seem.
fn note_tls(tls: &TlsSettings, network: &Network, notes: &mut Vec<Note>) {
    if !tls.enabled {
        if *tls != TlsSettings::default() {
            notes.push(Note::Verbose("-o ssl_... has no effect without -Z".into()));
        }
        return;
    }
    if network.unix_path.is_some() {
        notes.push(Note::Warning("-Z: the Unix socket of -s speaks no TLS".into()));
    }
    if network.udp_port.is_some() {
        notes.push(Note::Warning("-Z: the datagrams of -U are in the clear".into()));
    }
    let checks = network.listen.iter().filter_map(|address| address.manner.tls);
    let checks = checks.filter(|check| *check != PeerCheck::Never).count();
    if checks > 0 && tls.authority_file.is_none() {
        notes.push(Note::Warning(
            "clients' certificates are to be checked, but -o ssl_ca_cert names no authority: \
             none will be found right"
                .into(),
        ));
    }
}

fn unix_path(path: &Path) -> Result<PathBuf, Failure> {
    let path = absolute(path)?;
    let bytes = path.as_os_str().len();
    if bytes > limits::UNIX_PATH_BYTES_MAX {
        return Err(Failure::usage(format!(
            "--unix-socket: the absolute path has {bytes} bytes; allowed are {}",
            limits::UNIX_PATH_BYTES_MAX
        )));
    }
    Ok(path)
}

struct Memory {
    bytes: usize,
    item_bytes_max: usize,
    chunk_bytes_max: usize,
}

impl Memory {
    /// Least part of `-m` that each core must get, so that its shard holds the largest item.
    fn shard_bytes_least(&self) -> usize {
        limits::SHARD_BYTES_MIN.max(self.item_bytes_max * limits::SHARD_PARTS_PER_ITEM)
    }
}

fn memory(flags: &Flags, extended: &Extended) -> Result<Memory, Failure> {
    let bytes = match flags.memory_limit {
        Some(mb) => mb as usize * limits::MIB,
        None => limits::MEMORY_BYTES_DEFAULT,
    };
    let item_bytes_max = flags.max_item_size.unwrap_or(limits::ITEM_BYTES_MAX_DEFAULT);
    if item_bytes_max > bytes / limits::SHARD_PARTS_PER_ITEM {
        return Err(Failure::usage(format!(
            "-m {} MB is too little for items of {} (-I): it must be twice that or more",
            bytes / limits::MIB,
            size_text(item_bytes_max)
        )));
    }
    let chunk_bytes_max = chunk_bytes_max(extended, item_bytes_max)?;
    Ok(Memory { bytes, item_bytes_max, chunk_bytes_max })
}

fn chunk_bytes_max(extended: &Extended, item_bytes_max: usize) -> Result<usize, Failure> {
    let page = limits::SLAB_PAGE_BYTES;
    if !extended.chunked_items {
        return Ok(item_bytes_max.next_power_of_two().min(page));
    }
    let Some(kb) = extended.slab_chunk_kb_max else {
        return Ok(limits::SLAB_CHUNK_BYTES_MAX_DEFAULT);
    };
    let bytes = kb as usize * limits::KIB;
    if !page.is_multiple_of(bytes) {
        return Err(Failure::usage(format!(
            "-o slab_chunk_max={kb}: it must divide a page of {} KB without rest",
            page / limits::KIB
        )));
    }
    Ok(bytes)
}

/// The number of cores: what was asked for, or every CPU allowed, but no more than `-m` has shares
/// for.
fn threads(
    flags: &Flags,
    host: &Host,
    memory: &Memory,
    notes: &mut Vec<Note>,
) -> Result<usize, Failure> {
    let asked = flags.threads.unwrap_or_else(|| host.cpus.len().min(limits::THREADS_MAX));
    let affordable = (memory.bytes / memory.shard_bytes_least()).max(1);
    let threads = asked.min(affordable);
    if threads < asked {
        let text = format!(
            "-t {asked} lowered to {threads}: each core needs {} of -m",
            size_text(memory.shard_bytes_least())
        );
        notes.push(match flags.threads {
            Some(_) => Note::Warning(text),
            None => Note::Verbose(text),
        });
    }
    if threads > host.cpus.len() {
        notes.push(Note::Warning(format!(
            "-t {threads} is more than the {} CPUs that this process may run on",
            host.cpus.len()
        )));
    }
    if threads > limits::THREADS_USUAL_MAX {
        notes.push(Note::Warning(format!("-t {threads} is an unusually high number of cores")));
    }
    if memory.bytes / threads > limits::SHARD_BYTES_MAX {
        return Err(Failure::usage(format!(
            "-m {} MB is too much for {threads} cores (-t): each can manage {}",
            memory.bytes / limits::MIB,
            size_text(limits::SHARD_BYTES_MAX)
        )));
    }
    Ok(threads)
}

/// Flags that are accepted, so that a start script goes on working, and mean nothing here.
fn note_idle_flags(flags: &Flags, notes: &mut Vec<Note>) {
    for (is_given, why) in [
        (
            flags.max_reqs_per_event.is_some(),
            "-R has no effect: a turn of the loop serves what every connection has sent",
        ),
        (
            flags.napi_ids.is_some_and(|ids| ids > 0),
            "-N has no effect: a connection goes to the core with the fewest",
        ),
    ] {
        if is_given {
            notes.push(Note::Verbose(why.into()));
        }
    }
}

/// The two defaults that are not memcached's.
fn note_differences(flags: &Flags, threads: usize, notes: &mut Vec<Note>) {
    let loopback = flags.listen.is_empty() && flags.unix_socket.is_none();
    let mut parts = Vec::new();
    if loopback {
        parts.push("listening on 127.0.0.1 and ::1 only (-l not given)".to_owned());
    }
    if flags.threads.is_none() {
        parts.push(format!("{threads} core(s), the CPUs allowed (-t not given)"));
    }
    if !parts.is_empty() {
        notes.push(Note::Difference(format!("unlike memcached: {}", parts.join("; "))));
    }
}

/// A path that still holds after the daemon has changed its directory.
fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path)
        .map_err(|error| Failure::usage(format!("path \"{}\": {error}", path.display())))
}

#[cfg(test)]
#[path = "validate_tests.rs"]
mod tests;
