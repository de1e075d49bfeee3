//! Several hosts under one load: a leader and agents that wait for its orders.
//!
//! One line of JSON for every message, over TCP. The leader sends its command line; each agent
//! builds the same plan with another place in it (its part of the arrivals, streams and keys of its
//! own), connects to the servers and says that it is ready. Then the leader, which loads as well,
//! names the moment: "in so many microseconds", less half of a round trip that was measured just
//! before, so clocks need not agree. At the end histograms come back in HDR's own form and are
//! added up.
//!
//! An agent does what a leader says, within limits: it loads, and it writes no files. A word that
//! both know keeps strangers out; it is no encryption.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream, ToSocketAddrs};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use clap::Parser;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::bench::Bench;
use crate::cli::args::{AgentArgs, Args};
use crate::cli::build;
use crate::engine::{Outcome, Silent, Start};
use crate::measure::remote::RemoteOutcome;
use crate::plan::Plan;

/// What a leader asks first.
#[derive(Debug, Serialize, Deserialize)]
struct Orders {
    token: String,
    /// The leader's command line.
    typed: Vec<String>,
    /// The agent's place and the number of hosts.
    place: usize,
    hosts: usize,
}

/// What a leader says afterwards.
#[derive(Debug, Serialize, Deserialize)]
enum Call {
    /// Answer at once.
    Ping,
    /// Begin after this time.
    StartIn { microseconds: u64 },
}

/// What an agent says.
#[derive(Debug, Serialize, Deserialize)]
enum Answer {
    /// All connections are up.
    Ready,
    /// The answer to a ping.
    Pong,
    /// It can't be done.
    Failed { problem: String },
    /// The result.
    Done { outcome: Box<RemoteOutcome> },
}

/// Longest time in which another host must answer a short message.
const PATIENCE: Duration = Duration::from_secs(10);
/// Pings whose shortest round trip counts.
const PINGS: usize = 8;
/// How far ahead the common start lies.
const START_AHEAD: Duration = Duration::from_millis(100);

/// A connection that carries lines of JSON.
struct Channel {
    reader: BufReader<TcpStream>,
    writer: TcpStream,
    peer: String,
}

impl Channel {
    fn new(stream: TcpStream, peer: String) -> Result<Self, String> {
        let prepare = || {
            stream.set_nodelay(true)?;
            stream.set_write_timeout(Some(PATIENCE))?;
            Ok::<_, std::io::Error>(BufReader::new(stream.try_clone()?))
        };
        let reader = prepare().map_err(|error| format!("{peer}: {error}"))?;
        Ok(Self { reader, writer: stream, peer })
    }

    fn send(&mut self, message: &impl Serialize) -> Result<(), String> {
        let mut line = serde_json::to_string(message).map_err(|error| error.to_string())?;
        line.push('\n');
        self.writer.write_all(line.as_bytes()).map_err(|error| format!("{}: {error}", self.peer))
    }

    /// Waits for a message, at most so long; without a time for as long as it takes.
    fn receive<T: DeserializeOwned>(&mut self, patience: Option<Duration>) -> Result<T, String> {
        let mut line = String::new();
        let read = self.writer.set_read_timeout(patience);
        let read = read.and_then(|()| self.reader.read_line(&mut line));
        let bytes = read.map_err(|error| format!("{}: {error}", self.peer))?;
        if bytes == 0 {
            return Err(format!("{} hung up", self.peer));
        }
        serde_json::from_str(&line).map_err(|_| format!("{} says what is no message", self.peer))
    }
}

/// Agents as their leader sees them.
pub struct Team {
    channels: Mutex<Vec<Channel>>,
    problem: Mutex<Option<String>>,
}

impl Team {
    /// Calls all agents, gives them their orders and waits until they are ready.
    pub fn call(addresses: &[String], token: &str, typed: &[String]) -> Result<Self, String> {
        let hosts = addresses.len() + 1;
        let mut channels = Vec::new();
        for (index, address) in addresses.iter().enumerate() {
            let mut channel = Channel::new(dial(address)?, format!("agent {address}"))?;
            let (typed, token) = (typed.to_vec(), token.to_owned());
            channel.send(&Orders { token, typed, place: index + 1, hosts })?;
            channels.push(channel);
        }
        for channel in &mut channels {
            match channel.receive(Some(PATIENCE * 3))? {
                Answer::Ready => {}
                Answer::Failed { problem } => return Err(format!("{}: {problem}", channel.peer)),
                _ => return Err(format!("{} is out of step", channel.peer)),
            }
        }
        Ok(Self { channels: Mutex::new(channels), problem: Mutex::default() })
    }

    /// Names the moment of the start to all and returns it; `None` if an agent is gone.
    pub fn start(&self) -> Option<Instant> {
        let mut channels = self.channels.lock().ok()?;
        let trips: Result<Vec<_>, String> = channels.iter_mut().map(round_trip).collect();
        let at = Instant::now() + START_AHEAD;
        let told = trips.and_then(|trips| {
            channels.iter_mut().zip(trips).try_for_each(|(channel, trip)| {
                let left = at.saturating_duration_since(Instant::now()).saturating_sub(trip / 2);
                channel.send(&Call::StartIn { microseconds: left.as_micros() as u64 })
            })
        });
        match told {
            Ok(()) => Some(at),
            Err(problem) => {
                *self.problem.lock().ok()? = Some(problem);
                None
            }
        }
    }

    /// Why no start could be agreed on, if so.
    pub fn problem(&self) -> Option<String> {
        self.problem.lock().ok()?.take()
    }

    /// Waits for the agents' results and adds them to the leader's.
    pub fn gather(&self, outcome: &mut Outcome) -> Result<(), String> {
        let mut channels = self.channels.lock().map_err(|_| "a thread of ours failed")?;
        for channel in channels.iter_mut() {
            // Its run ends when ours does, but for what it waits for at the end.
            match channel.receive(Some(PATIENCE * 6))? {
                Answer::Done { outcome: theirs } => outcome.merge(theirs.outcome()?),
                Answer::Failed { problem } => return Err(format!("{}: {problem}", channel.peer)),
                _ => return Err(format!("{} is out of step", channel.peer)),
            }
        }
        Ok(())
    }
}

fn dial(address: &str) -> Result<TcpStream, String> {
    let problem = |error: &dyn std::fmt::Display| format!("agent {address}: {error}");
    let mut resolved = address.to_socket_addrs().map_err(|error| problem(&error))?;
    let resolved = resolved.next().ok_or_else(|| problem(&"the name has no address"))?;
    TcpStream::connect_timeout(&resolved, PATIENCE).map_err(|error| problem(&error))
}

fn round_trip(channel: &mut Channel) -> Result<Duration, String> {
    let mut shortest = Duration::MAX;
    for _ in 0..PINGS {
        let sent = Instant::now();
        channel.send(&Call::Ping)?;
        match channel.receive(Some(PATIENCE))? {
            Answer::Pong => shortest = shortest.min(sent.elapsed()),
            Answer::Failed { problem } => return Err(format!("{}: {problem}", channel.peer)),
            _ => return Err(format!("{} is out of step", channel.peer)),
        }
    }
    Ok(shortest)
}

/// Serves leaders, one after the other.
pub fn serve(args: &AgentArgs) -> Result<(), String> {
    let listener = TcpListener::bind(&args.listen);
    let listener =
        listener.map_err(|error| format!("cannot listen on {}: {error}", args.listen))?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    println!("agent at {address}");
    let mut bench = Bench::default();
    for stream in listener.incoming() {
        let served = stream.map_err(|error| error.to_string()).and_then(|stream| {
            let peer =
                stream.peer_addr().map_or_else(|_| "a leader".into(), |peer| peer.to_string());
            obey(&mut bench, Channel::new(stream, peer)?, &args.agent_token)
        });
        if let Err(problem) = served {
            eprintln!("loadgen agent: {problem}");
        }
        if args.once {
            break;
        }
    }
    Ok(())
}

/// Serves one leader.
fn obey(bench: &mut Bench, mut channel: Channel, token: &str) -> Result<(), String> {
    let orders: Orders = channel.receive(Some(PATIENCE))?;
    let plan = if same(&orders.token, token) {
        ordered(&orders)
    } else {
        Err("the leader does not know the word (--agent-token)".to_owned())
    };
    let plan = match plan {
        Ok(plan) => Arc::new(plan),
        Err(problem) => {
            channel.send(&Answer::Failed { problem: problem.clone() })?;
            return Err(problem);
        }
    };
    let channel = Arc::new(Mutex::new(channel));
    let called = channel.clone();
    let start = Start::When(Box::new(move || wait_for_start(&mut *called.lock().ok()?)));
    let measured = bench.measure_from(&plan, &[], start, &mut Silent);
    let mut channel = channel.lock().map_err(|_| "a thread of ours failed")?;
    match measured {
        Ok(measured) => {
            let outcome = Box::new(RemoteOutcome::new(&measured.outcome)?);
            channel.send(&Answer::Done { outcome })
        }
        Err(error) => {
            let problem = error.to_string();
            channel.send(&Answer::Failed { problem: problem.clone() })?;
            Err(problem)
        }
    }
}

/// Whether two words are equal, in a time that does not tell where they differ.
fn same(a: &str, b: &str) -> bool {
    let differences = a.bytes().zip(b.bytes()).fold(0, |sum, (a, b)| sum | (a ^ b));
    a.len() == b.len() && differences == 0
}

fn wait_for_start(channel: &mut Channel) -> Option<Instant> {
    channel.send(&Answer::Ready).ok()?;
    loop {
        match channel.receive(Some(PATIENCE * 6)).ok()? {
            Call::Ping => channel.send(&Answer::Pong).ok()?,
            Call::StartIn { microseconds } => {
                return Some(Instant::now() + Duration::from_micros(microseconds));
            }
        }
    }
}

/// The plan of a command line from elsewhere, at this host's place.
fn ordered(orders: &Orders) -> Result<Plan, String> {
    let args = Args::try_parse_from(&orders.typed).map_err(|error| error.to_string())?;
    // Files are the leader's business: nothing here is read or written on a stranger's word.
    let reads_password = args.password.as_ref().is_some_and(|password| password.starts_with('@'));
    let checks = args.history.is_some() || args.verify;
    if args.trace.is_some() || args.tls_key.is_some() || reads_password {
        return Err("an agent takes no --trace, --tls-key or --password @FILE".into());
    }
    if checks {
        return Err("--verify and --history see one host only".into());
    }
    if orders.place == 0 || orders.place >= orders.hosts {
        return Err("the leader gave a place that is none".into());
    }
    let plan = build::plan(&args).map_err(|problem| problem.text().to_owned());
    let mut plan = plan?;
    plan.host = (orders.place, orders.hosts);
    Ok(plan)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn orders(line: &str) -> Orders {
        let typed = line.split(' ').map(str::to_owned).collect();
        Orders { token: String::new(), typed, place: 1, hosts: 2 }
    }

    #[test]
    fn agents_take_no_orders_about_files() {
        for line in ["--trace x.csv", "--history h", "--verify", "--user a --password @/etc/shadow"]
        {
            assert!(ordered(&orders(&format!("loadgen {line}"))).is_err(), "{line}");
        }
        let plan = ordered(&orders("loadgen --rate 1000 --agents x:1")).expect("a plan");
        assert_eq!(plan.host, (1, 2));
    }

    #[test]
    fn words_are_compared_whole() {
        assert!(same("", "") && same("word", "word"));
        assert!(!same("word", "wore") && !same("word", "wor") && !same("", "w"));
    }
}
