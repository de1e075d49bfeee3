//! A raw connection that never waits without a bound.
//!
//! It speaks bytes, not a protocol: the tests write what a client would send, whole or in pieces,
//! and read either up to an expected ending or until the server closes.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

/// How long a reply may take before a test fails.
pub(crate) const REPLY_WITHIN: Duration = Duration::from_secs(10);

/// A command that changes nothing, with a reply that no other has: what comes behind it is known to
/// be the answer to something later. It is older than `mn`, which serves meta clients for this.
pub(crate) const BARRIER: &str = "lru tune 50 50 0.1 2.0\r\n";
pub(crate) const BARRIER_REPLY: &str = "ERROR hot and warm pcts must not exceed 80\r\n";

/// One connection, with the bytes that were received but not yet asked for.
#[derive(Debug)]
pub(crate) struct Wire {
    stream: TcpStream,
    received: Vec<u8>,
}

/// How a conversation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The server closed the connection.
    Closed,
    /// The server reset the connection: it closed with bytes of ours unread.
    Reset,
    /// Nothing came for [`REPLY_WITHIN`], and the connection stayed open.
    Silent,
}

impl Wire {
    pub(crate) fn connect(port: u16) -> io::Result<Self> {
        Self::connect_to(Ipv4Addr::LOCALHOST.into(), port)
    }

    pub(crate) fn connect_to(host: IpAddr, port: u16) -> io::Result<Self> {
        let address = SocketAddr::from((host, port));
        let stream = TcpStream::connect_timeout(&address, Duration::from_secs(5))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(REPLY_WITHIN))?;
        stream.set_write_timeout(Some(REPLY_WITHIN))?;
        Ok(Self { stream, received: Vec::new() })
    }

    pub(crate) fn stream(&self) -> &TcpStream {
        &self.stream
    }

    #[track_caller]
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).expect("the server takes what is sent");
    }

    /// Sends `bytes` and reads one line, without its line ending.
    #[track_caller]
    pub(crate) fn ask(&mut self, bytes: impl AsRef<[u8]>) -> String {
        self.send(bytes);
        self.line()
    }

    /// Reads one line, without its line ending.
    #[track_caller]
    pub(crate) fn line(&mut self) -> String {
        let bytes = self.read_until(b"\r\n");
        String::from_utf8_lossy(&bytes[..bytes.len() - 2]).into_owned()
    }

    /// Reads up to and including `ending`.
    #[track_caller]
    pub(crate) fn read_until(&mut self, ending: &[u8]) -> Vec<u8> {
        let mut searched = 0;
        loop {
            if let Some(at) = find(&self.received[searched..], ending) {
                let rest = self.received.split_off(searched + at + ending.len());
                return std::mem::replace(&mut self.received, rest);
            }
            searched = self.received.len().saturating_sub(ending.len() - 1);
            self.receive_more(&format!("up to {}", ending.escape_ascii()));
        }
    }

    /// Reads exactly `count` bytes.
    #[track_caller]
    pub(crate) fn read_exactly(&mut self, count: usize) -> Vec<u8> {
        while self.received.len() < count {
            self.receive_more(&format!("{count} bytes"));
        }
        let rest = self.received.split_off(count);
        std::mem::replace(&mut self.received, rest)
    }

    /// Sends `request` and asserts that exactly `reply` comes back.
    #[track_caller]
    pub(crate) fn expect(&mut self, request: impl AsRef<[u8]>, reply: impl AsRef<[u8]>) {
        let (request, reply) = (request.as_ref(), reply.as_ref());
        self.send(request);
        while self.received.len() < reply.len() && reply.starts_with(&self.received) {
            let wanted = format!("{}, to {}", super::show_line(reply), super::show_line(request));
            self.receive_more(&wanted);
        }
        let found = self.received.len().min(reply.len());
        let rest = self.received.split_off(found);
        let found = std::mem::replace(&mut self.received, rest);
        super::assert_same_bytes(&super::show_line(request), reply, &found);
    }

    /// The same for requests and replies that fill the buffers between: sends while it reads.
    #[track_caller]
    pub(crate) fn exchange(&mut self, requests: &[u8], replies: &[u8]) {
        let mut writer = self.stream.try_clone().expect("a second handle");
        let found = thread::scope(|scope| {
            scope.spawn(move || writer.write_all(requests).expect("the server takes what is sent"));
            self.read_exactly(replies.len())
        });
        super::assert_same_bytes("a long exchange", replies, &found);
    }

    /// Asserts that nothing has come that was not read: the stream is where we think it is.
    #[track_caller]
    pub(crate) fn assert_in_step(&mut self) {
        self.expect(BARRIER, BARRIER_REPLY);
        assert!(self.received.is_empty(), "unread bytes: {}", super::show(&self.received));
    }

    /// Sends `pieces` while it reads, then says that no more will come and reads until the server
    /// closes.
    ///
    /// Each piece is a write of its own; a pause after every one gives the server the chance to see
    /// it alone. The end is told once the replies end with `ending`, or once nothing has come for
    /// `quiet`: memcached throws pending replies away where it meets the end in the middle of a
    /// value.
    pub(crate) fn converse(
        mut self,
        pieces: &[&[u8]],
        pause: Duration,
        ending: &[u8],
        quiet: Duration,
    ) -> (Vec<u8>, End) {
        let mut writer = self.stream.try_clone().expect("a second handle");
        thread::scope(|scope| {
            let all_sent = scope.spawn(move || {
                for piece in pieces {
                    // The server may close while we still send; what it replied is what counts.
                    if writer.write_all(piece).is_err() {
                        return;
                    }
                    if !pause.is_zero() {
                        thread::sleep(pause);
                    }
                }
            });
            let wait = quiet.max(Duration::from_millis(1));
            self.stream.set_read_timeout(Some(wait)).expect("a time-out can be set");
            let end = loop {
                let end = self.read_to(ending);
                if end != Some(End::Silent) || all_sent.is_finished() {
                    break end.filter(|&end| end != End::Silent);
                }
            };
            let _ = self.stream.shutdown(Shutdown::Write);
            self.stream.set_read_timeout(Some(REPLY_WITHIN)).expect("a time-out can be set");
            let end = end.unwrap_or_else(|| self.read_to_end());
            (std::mem::take(&mut self.received), end)
        })
    }

    /// Reads until the server closes or nothing more comes, keeping what came for the caller.
    pub(crate) fn read_to_end(&mut self) -> End {
        loop {
            if let Some(end) = self.read_some() {
                return end;
            }
        }
    }

    /// Reads `count` bytes, or fewer if the connection ends before; tells how it ended.
    pub(crate) fn take_until_end_or(&mut self, count: usize) -> (Vec<u8>, Option<End>) {
        let mut end = None;
        while self.received.len() < count && end.is_none() {
            end = self.read_some();
        }
        let rest = self.received.split_off(count.min(self.received.len()));
        (std::mem::replace(&mut self.received, rest), end)
    }

    /// The same, but it stops with nothing to tell once the bytes that came end with `ending`.
    fn read_to(&mut self, ending: &[u8]) -> Option<End> {
        while !self.received.ends_with(ending) {
            if let Some(end) = self.read_some() {
                return Some(end);
            }
        }
        None
    }

    fn read_some(&mut self) -> Option<End> {
        let mut buffer = [0; 32 << 10];
        match self.stream.read(&mut buffer) {
            Ok(0) => return Some(End::Closed),
            Ok(count) => self.received.extend_from_slice(&buffer[..count]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return Some(End::Reset),
            Err(error) if is_timeout(&error) => return Some(End::Silent),
            Err(error) => panic!("the connection failed: {error}"),
        }
        None
    }

    /// True if the server closes within `bound`; what it still sends is thrown away.
    pub(crate) fn closes_within(&mut self, bound: Duration) -> bool {
        let since = Instant::now();
        let mut buffer = [0; 4096];
        self.stream.set_read_timeout(Some(Duration::from_millis(50))).expect("a time-out");
        while since.elapsed() < bound {
            match self.stream.read(&mut buffer) {
                Ok(0) => return true,
                Err(error) if !is_timeout(&error) => return true,
                _ => {}
            }
        }
        false
    }

    /// True if nothing comes for `span`.
    pub(crate) fn is_silent_for(&mut self, span: Duration) -> bool {
        let mut buffer = [0; 4096];
        self.stream.set_read_timeout(Some(span)).expect("a time-out can be set");
        let outcome = self.stream.read(&mut buffer);
        self.stream.set_read_timeout(Some(REPLY_WITHIN)).expect("a time-out can be set");
        if let Ok(count) = outcome {
            self.received.extend_from_slice(&buffer[..count]);
        }
        self.received.is_empty() && outcome.is_err_and(|error| is_timeout(&error))
    }

    #[track_caller]
    fn receive_more(&mut self, wanted: &str) {
        let mut buffer = vec![0; 64 << 10];
        match self.stream.read(&mut buffer) {
            Ok(0) => panic!("closed, wanted {wanted}, have: {}", super::show(&self.received)),
            Ok(count) => self.received.extend_from_slice(&buffer[..count]),
            Err(error) => {
                panic!("{error}, wanted {wanted}, have: {}", super::show(&self.received))
            }
        }
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    memchr::memmem::find(haystack, needle)
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}
