//! Files for other programs: JSON, CSV and HDR logs. A disk that is full is told, with the file's
//! name.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{IntervalLogWriterBuilder, Tag};
use serde::Serialize;

use crate::measure::series::Row;
use crate::measure::tally::{Latencies, Tally};

fn problem(path: &Path, error: &dyn std::fmt::Display) -> String {
    format!("cannot write {}: {error}", path.display())
}

/// Writes a value as JSON; `-` is the standard output.
pub fn json(path: &Path, value: &impl Serialize) -> Result<(), String> {
    let mut text = serde_json::to_string_pretty(value).map_err(|error| problem(path, &error))?;
    text.push('\n');
    write(path, text.as_bytes())
}

/// Writes bytes; `-` is the standard output.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), String> {
    let written = if path == Path::new("-") {
        let mut out = io::stdout().lock();
        out.write_all(bytes).and_then(|()| out.flush())
    } else {
        // Closed without a look at the error, a file on a full disk would pass for written.
        File::create(path).and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
    };
    // A device or a pipe has nothing to synchronise.
    let written = written.or_else(|error| match error.raw_os_error() {
        Some(libc::EINVAL | libc::ENOTSUP) => Ok(()),
        _ => Err(error),
    });
    written.map_err(|error| problem(path, &error))
}

/// Writes a row for each interval.
pub fn csv(path: &Path, rows: &[Row]) -> Result<(), String> {
    let mut text = String::from(
        "at_s,length_s,requests,rate,hits,misses,errors,p50_us,p90_us,p99_us,p99_9_us,max_us,\
         service_p99_us\n",
    );
    for row in rows {
        let rate = row.rate();
        let Row { at_s, length_s, requests, hits, misses, errors, .. } = row;
        let Row { p50_us, p90_us, p99_us, p99_9_us, max_us, service_p99_us, .. } = row;
        text += &format!(
            "{at_s:.3},{length_s:.3},{requests},{rate:.1},{hits},{misses},{errors},\
             {p50_us:.1},{p90_us:.1},{p99_us:.1},{p99_9_us:.1},{max_us:.1},{service_p99_us:.1}\n"
        );
    }
    write(path, text.as_bytes())
}

/// A mergeable log: two histograms an interval, tagged `response` and `service`, in nanoseconds.
///
/// Intervals are kept in the log's compressed form while the run goes on and written at its end, so
/// that no disk gets into the measurement.
pub struct HdrLog {
    path: PathBuf,
    begun: SystemTime,
    intervals: Vec<(Duration, Duration, Latencies)>,
}

impl HdrLog {
    /// A log of a run that begins now.
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), begun: SystemTime::now(), intervals: Vec::new() }
    }

    /// Notes an interval.
    pub fn note(&mut self, row: &Row, tally: &Tally) {
        let start = Duration::from_secs_f64((row.at_s - row.length_s).max(0.0));
        self.intervals.push((start, Duration::from_secs_f64(row.length_s), tally.latencies()));
    }

    /// Writes the log.
    pub fn write(&self) -> Result<(), String> {
        let mut bytes = Vec::new();
        self.encode(&mut bytes).map_err(|error| problem(&self.path, &error))?;
        write(&self.path, &bytes)
    }

    fn encode(&self, bytes: &mut Vec<u8>) -> Result<(), String> {
        let mut out = BufWriter::new(bytes);
        let mut serializer = V2DeflateSerializer::new();
        let mut builder = IntervalLogWriterBuilder::new();
        builder.with_start_time(self.begun).with_base_time(self.begun);
        let mut log =
            builder.begin_log_with(&mut out, &mut serializer).map_err(|e| e.to_string())?;
        for (start, length, latencies) in &self.intervals {
            for (name, histogram) in
                [("response", &latencies.response), ("service", &latencies.service)]
            {
                let tag = Tag::new(name);
                log.write_histogram(histogram, *start, *length, tag)
                    .map_err(|e| format!("{e:?}"))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hdrhistogram::Histogram;
    use hdrhistogram::serialization::Deserializer;
    use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};

    #[test]
    fn a_log_is_read_back_and_merges() {
        let mut log = HdrLog::new(Path::new("unused"));
        for second in 0..3 {
            let mut tally = Tally::default();
            let request = crate::measure::tally::Finished {
                command: crate::workload::mix::Command::Get,
                keys: 1,
                hits: 1,
                intended_ns: 0,
                sent_ns: 500,
                done_ns: 1000 * (second + 1),
            };
            tally.finish(&request);
            log.note(&Row::new(second as usize, Duration::from_secs(1), &tally), &tally);
        }
        let mut bytes = Vec::new();
        log.encode(&mut bytes).expect("a log");
        let mut merged: Histogram<u64> = Latencies::default().response;
        for entry in IntervalLogIterator::new(&bytes) {
            let LogEntry::Interval(interval) = entry.expect("an entry") else { continue };
            if interval.tag().is_some_and(|tag| tag.as_str() == "response") {
                let raw = base64_decoded(interval.encoded_histogram());
                let one: Histogram<u64> =
                    Deserializer::new().deserialize(&mut raw.as_slice()).expect("a histogram");
                merged.add(one).expect("the same bounds");
            }
        }
        assert_eq!(merged.len(), 3);
        assert!(merged.max().abs_diff(3000) < 10);
    }

    fn base64_decoded(text: &str) -> Vec<u8> {
        use base64::Engine;
        base64::engine::general_purpose::STANDARD.decode(text).expect("base64")
    }

    #[test]
    fn a_full_disk_is_told() {
        let told = write(Path::new("/dev/full"), b"x").expect_err("no room");
        assert!(told.contains("/dev/full") && told.contains("space"), "{told}");
    }
}
