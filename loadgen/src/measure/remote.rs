//! A run's outcome as it travels between hosts: counters as JSON, histograms in HDR's compressed
//! form.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Deserializer, Serializer, V2DeflateSerializer};
use serde::{Deserialize, Serialize};

use super::cpu::CpuTime;
use super::series::Row;
use super::tally::{CommandTally, Counters, Latencies, Tally};
use crate::engine::Outcome;
use crate::workload::mix::Command;

/// An outcome in transit.
#[derive(Debug, Serialize, Deserialize)]
pub struct RemoteOutcome {
    commands: Vec<RemoteCommand>,
    counters: Counters,
    series: Vec<Row>,
    duration_s: f64,
    cpu_by_thread: Vec<CpuTime>,
    gave_up: bool,
}

#[derive(Debug, Serialize, Deserialize)]
struct RemoteCommand {
    name: String,
    requests: u64,
    keys: u64,
    hits: u64,
    misses: u64,
    response: String,
    service: String,
}

impl RemoteOutcome {
    /// Packs an outcome; a history does not travel.
    pub fn new(outcome: &Outcome) -> Result<Self, String> {
        let pack = |(command, tally): (Command, &CommandTally)| {
            Ok(RemoteCommand {
                name: command.name().to_owned(),
                requests: tally.requests,
                keys: tally.keys,
                hits: tally.hits,
                misses: tally.misses,
                response: packed(&tally.latencies.response)?,
                service: packed(&tally.latencies.service)?,
            })
        };
        Ok(Self {
            commands: outcome.tally.commands().map(pack).collect::<Result<_, String>>()?,
            counters: outcome.tally.counters,
            series: outcome.series.clone(),
            duration_s: outcome.duration.as_secs_f64(),
            cpu_by_thread: outcome.cpu_by_thread.clone(),
            gave_up: outcome.gave_up,
        })
    }

    /// Unpacks it. The error says that the other side sent what is none.
    pub fn outcome(self) -> Result<Outcome, String> {
        let mut tally = Tally::default();
        tally.counters = self.counters;
        for packed in self.commands {
            let command =
                Command::named(&packed.name).ok_or("an agent tells of unknown commands")?;
            let latencies = Latencies {
                response: unpacked(&packed.response)?,
                service: unpacked(&packed.service)?,
            };
            let RemoteCommand { requests, keys, hits, misses, .. } = packed;
            tally.insert(command, CommandTally { requests, keys, hits, misses, latencies });
        }
        let duration = std::time::Duration::try_from_secs_f64(self.duration_s);
        Ok(Outcome {
            tally,
            series: self.series,
            duration: duration.map_err(|_| "an agent's run took no sensible time")?,
            cpu_by_thread: self.cpu_by_thread,
            events: Vec::new(),
            gave_up: self.gave_up,
        })
    }
}

fn packed(histogram: &Histogram<u64>) -> Result<String, String> {
    let mut bytes = Vec::new();
    let serialized = V2DeflateSerializer::new().serialize(histogram, &mut bytes);
    serialized.map_err(|error| format!("{error:?}"))?;
    Ok(STANDARD.encode(bytes))
}

fn unpacked(text: &str) -> Result<Histogram<u64>, String> {
    let problem = "an agent sent a histogram that is none";
    let bytes = STANDARD.decode(text).map_err(|_| problem)?;
    let sent: Histogram<u64> =
        Deserializer::new().deserialize(&mut bytes.as_slice()).map_err(|_| problem)?;
    // Into one with our bounds, whatever theirs were.
    let mut own = Latencies::default().response;
    own.add(&sent).map_err(|_| problem)?;
    Ok(own)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::tally::{ErrorKind, Finished};

    #[test]
    fn an_outcome_arrives_as_it_was_sent() {
        let mut outcome = Outcome::default();
        for done_ns in [1000, 2000, 500_000] {
            let command = Command::Set;
            let (keys, hits, intended_ns, sent_ns) = (1, 1, 0, 200);
            outcome.tally.finish(&Finished { command, keys, hits, intended_ns, sent_ns, done_ns });
        }
        outcome.tally.fail(ErrorKind::Timeout, 3);
        outcome.duration = std::time::Duration::from_millis(1500);
        let sent = serde_json::to_string(&RemoteOutcome::new(&outcome).expect("packed"));
        let arrived: RemoteOutcome = serde_json::from_str(&sent.expect("json")).expect("a message");
        let mut arrived = arrived.outcome().expect("an outcome");
        assert_eq!(arrived.tally.requests(), 3);
        assert_eq!(arrived.tally.errors_total(), 3);
        assert_eq!(arrived.duration, outcome.duration);
        let response = |outcome: &Outcome| outcome.tally.latencies().response;
        assert_eq!(response(&arrived).max(), response(&outcome).max());
        arrived.merge(outcome.clone());
        assert_eq!(arrived.tally.requests(), 6);
    }
}
