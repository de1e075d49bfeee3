//! Makes a worker ready: its connections up, its handshakes done, its share of the plan cut out.
//!
//! First connections are made with blocking calls before the start, so that neither a handshake nor
//! a slow listener lies in the measured time, and so that a server that is down or refuses us is
//! told by name before anything else happens. Only lost connections are remade through the ring.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender};
use std::time::{Duration, Instant};

use nix::sys::socket::{setsockopt, sockopt};
use nix::sys::time::TimeVal;
use ringcached::ring::BlockPool;

use super::book::{Book, Window};
use super::conn::Conn;
use super::link::{Datagrams, Link, Sealed};
use super::source::{Filler, Source};
use super::worker::{Limits, Part, Schedule, Worker};
use super::{Phase, RunError};
use crate::arrivals::Arrivals;
use crate::measure::tally::Tally;
use crate::net::target::Transport;
use crate::net::tls::Session;
use crate::plan::{Load, Plan, Server, share};
use crate::value::Values;
use crate::wire::{self, Body, Decoded, Element, Encoder, Status, Verb};
use crate::workload::Generator;

/// Requests each client keeps under way while the server is filled.
const PRELOAD_DEPTH: usize = 32;
/// Keys that are looked up afterwards.
const PROBE_KEYS: u64 = 10_000;

/// Builds worker `index` of a run.
pub(super) fn worker(
    plan: &Arc<Plan>,
    phase: Phase,
    index: usize,
    parts: Sender<Part>,
    empties: Receiver<Box<Tally>>,
) -> Result<Worker, RunError> {
    let clients = plan.clients_of(index);
    let limits = limits(plan, phase, index);
    let arrivals = arrivals(plan, phase, index);
    let measure_ns = phase.warmup(plan).as_nanos() as u64;
    let time = plan.limit.time.filter(|_| phase == Phase::Measure);
    let window = Window {
        start_ns: measure_ns,
        end_ns: time.map_or(u64::MAX, |time| measure_ns + time.as_nanos() as u64),
    };
    let (stream, streams) = plan.stream(index);
    let filling = phase == Phase::Preload;
    Ok(Worker {
        plan: plan.clone(),
        index,
        encoder: Encoder {
            protocol: plan.protocol,
            keys: plan.spec.keys.clone(),
            values: Values::default(),
        },
        conns: connections(plan, clients.len(), limits.depth)?,
        source: source(plan, phase, index),
        book: Book::new(plan.clone(), window, arrivals.is_none()),
        arrivals,
        limits,
        parts,
        empties,
        clients: clients.len() as u32,
        client_first: (plan.host.0 * plan.clients + clients.start) as u64,
        clock: Instant::now(),
        pool: BlockPool::default(),
        version: plan.version_base + if filling { 0 } else { stream as u64 + 1 },
        version_step: if filling { 0 } else { streams as u64 },
        started: 0,
        dirty: Vec::new(),
        cancels: Vec::new(),
        next_client: 0,
        kernel_ops: 0,
        exhausted: false,
        stopped_ns: None,
        schedule: Schedule::new(measure_ns, plan.interval),
    })
}

fn connections(plan: &Plan, clients: usize, depth: usize) -> Result<Vec<Conn>, RunError> {
    let mut conns = Vec::with_capacity(clients * plan.servers.len());
    for _ in 0..clients {
        for (index, server) in plan.servers.iter().enumerate() {
            let mut conn = Conn::new(conns.len() as u32, index, depth);
            let up = establish(plan, server);
            let (fd, link) =
                up.map_err(|error| RunError::Connect { server: server.target.to_string(), error })?;
            (conn.fd, conn.link) = (Some(fd), link);
            conns.push(conn);
        }
    }
    Ok(conns)
}

/// A connection with its handshake and credentials behind it.
fn establish(plan: &Plan, server: &Server) -> io::Result<(OwnedFd, Link)> {
    let fd = server.target.connect(plan.transport, plan.no_delay, plan.connect_timeout)?;
    if plan.transport == Transport::Udp {
        return Ok((fd, Link::Udp(Datagrams::default())));
    }
    if plan.tls.is_none() && plan.credentials.is_none() {
        return Ok((fd, Link::Plain));
    }
    setsockopt(&fd, sockopt::ReceiveTimeout, &time_value(plan.connect_timeout))?;
    let mut socket = File::from(fd);
    let mut link = match &plan.tls {
        None => Link::Plain,
        Some(config) => {
            let mut session = Session::new(config, &server.member.host)?;
            session.shake_hands(&mut socket)?;
            Link::Tls(Sealed::new(session))
        }
    };
    if plan.credentials.is_some() {
        log_in(plan, &mut socket, &mut link)?;
    }
    setsockopt(&socket, sockopt::ReceiveTimeout, &TimeVal::new(0, 0))?;
    Ok((socket.into(), link))
}

fn log_in(plan: &Plan, socket: &mut File, link: &mut Link) -> io::Result<()> {
    let mut request = Vec::new();
    if let Some(credentials) = &plan.credentials {
        credentials.write(&mut request, plan.protocol);
    }
    match exchange(plan, socket, link, &request, Verb::Auth)? {
        Status::Success => Ok(()),
        _ => Err(io::Error::other("the server refused the user or the password")),
    }
}

/// Sends a request and waits for its reply.
fn exchange(
    plan: &Plan,
    socket: &mut File,
    link: &mut Link,
    request: &[u8],
    verb: Verb,
) -> io::Result<Status> {
    match link {
        Link::Tls(sealed) => socket.write_all(sealed.seal(request)?)?,
        _ => socket.write_all(request)?,
    }
    let (mut reply, mut bytes) = (Vec::new(), [0; 4096]);
    loop {
        let count = socket.read(&mut bytes)?;
        match link {
            Link::Tls(sealed) => sealed.session.open(&bytes[..count], &mut reply)?,
            _ => reply.extend_from_slice(&bytes[..count]),
        }
        match wire::decode(plan.protocol, verb, false, &reply) {
            Decoded::Need(_) if count > 0 => {}
            Decoded::Element(Element::End(status), _) => return Ok(status),
            _ => {
                return Err(io::Error::other("the server closed the connection or spoke nonsense"));
            }
        }
    }
}

/// Empties every server of a plan.
pub fn flush(plan: &Plan) -> Result<(), RunError> {
    let plan = Plan { transport: Transport::Stream, ..plan.clone() };
    let mut request = Vec::new();
    let encoder = Encoder {
        protocol: plan.protocol,
        keys: plan.spec.keys.clone(),
        values: Values::default(),
    };
    encoder.write(&mut request, Verb::FlushAll, &[], &Body::default());
    for server in &plan.servers {
        let flushed = establish(&plan, server).and_then(|(fd, mut link)| {
            setsockopt(&fd, sockopt::ReceiveTimeout, &time_value(plan.timeout))?;
            match exchange(&plan, &mut File::from(fd), &mut link, &request, Verb::FlushAll)? {
                Status::Success => Ok(()),
                _ => Err(io::Error::other("it refused to be flushed")),
            }
        });
        let server = server.target.to_string();
        flushed.map_err(|error| RunError::Connect { server, error })?;
    }
    Ok(())
}

/// At least a millisecond, since zero means for ever.
fn time_value(time: Duration) -> TimeVal {
    let time = time.max(Duration::from_millis(1));
    TimeVal::new(time.as_secs() as i64, i64::from(time.subsec_micros()))
}

fn source(plan: &Plan, phase: Phase, index: usize) -> Source {
    let count = plan.spec.keys.count;
    match phase {
        Phase::Preload => {
            let mut ranges = plan.spec.preload();
            for (_, range) in &mut ranges {
                let part = share(count as usize, index, plan.threads);
                *range = range.start + part.start as u64..range.start + part.end as u64;
            }
            Source::Preload(Box::new(Filler {
                spec: plan.spec.clone(),
                ranges,
                current: Vec::with_capacity(1),
            }))
        }
        Phase::Probe => {
            let part = share(count as usize, index, plan.threads);
            let keys = part.start as u64..part.end as u64;
            let step = (count / PROBE_KEYS).max(1) as usize;
            Source::Probe { keys, step, current: Vec::with_capacity(1) }
        }
        Phase::Measure => {
            if let Some(replay) = plan.replays.take(index) {
                return Source::Trace(replay);
            }
            let (stream, streams) = plan.stream(index);
            let generator = Generator::new(&plan.spec, plan.seed, stream as u64, streams as u64);
            Source::Drawn(Box::new(generator))
        }
    }
}

fn arrivals(plan: &Plan, phase: Phase, index: usize) -> Option<Arrivals> {
    match (phase, plan.load) {
        (Phase::Measure, Load::Open { rate, law }) => {
            let (stream, streams) = plan.stream(index);
            Some(Arrivals::new(law, rate, plan.seed, stream, streams))
        }
        _ => None,
    }
}

fn limits(plan: &Plan, phase: Phase, index: usize) -> Limits {
    let requests = plan.limit.requests.filter(|_| phase == Phase::Measure);
    let depth = match (phase, plan.load) {
        (Phase::Preload | Phase::Probe, _) => PRELOAD_DEPTH,
        (Phase::Measure, Load::Closed { depth }) => depth,
        (Phase::Measure, Load::Open { .. }) => 0,
    };
    let (stream, streams) = plan.stream(index);
    let part = |all: u64| share(all as usize, stream, streams).len() as u64;
    Limits {
        requests: requests.map_or(u64::MAX, part),
        depth,
        in_flight: plan.in_flight_max.div_ceil(streams).max(1),
    }
}
