//! A tunnel: whoever connects to it in the clear talks by TLS to the server behind it.
//!
//! So every test and every client that knows no TLS can be run over it. Each connection is a thread
//! that moves bytes while both sides let it: it holds little, so that whoever does not read at one
//! end is felt at the other one. The end of one side becomes the end of the other, by the word that
//! TLS has for it.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};

use super::Wire;

/// How the sessions of a tunnel have ended so far.
#[derive(Default)]
pub(crate) struct Endings {
    /// The server said goodbye first.
    pub(crate) proper: AtomicUsize,
    /// The connection ended without that word.
    pub(crate) cut: AtomicUsize,
}

/// A listener on a port of its own. The thread behind it ends with the test.
pub(crate) struct Tunnel {
    port: u16,
    pub(crate) endings: Arc<Endings>,
    is_over: Arc<AtomicBool>,
}

impl Tunnel {
    /// A tunnel to the server on `port`.
    pub(crate) fn to(port: u16, config: Arc<ClientConfig>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
        let own = listener.local_addr().expect("it is bound").port();
        let (endings, is_over) = (Arc::new(Endings::default()), Arc::new(AtomicBool::new(false)));
        let (told, over) = (Arc::clone(&endings), Arc::clone(&is_over));
        thread::spawn(move || {
            for stream in listener.incoming() {
                if over.load(Ordering::Acquire) {
                    return;
                }
                let (Ok(plain), told, config) = (stream, Arc::clone(&told), config.clone()) else {
                    continue;
                };
                thread::spawn(move || {
                    let was_proper = Pump::new(plain, port, config).and_then(Pump::run);
                    let counter =
                        if matches!(was_proper, Ok(true)) { &told.proper } else { &told.cut };
                    counter.fetch_add(1, Ordering::AcqRel);
                });
            }
        });
        Self { port: own, endings, is_over }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    #[track_caller]
    pub(crate) fn connect(&self) -> Wire {
        Wire::connect(self.port).expect("the tunnel listens")
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Release);
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
    }
}

/// One connection through the tunnel.
struct Pump {
    plain: TcpStream,
    sealed: TcpStream,
    session: ClientConnection,
    /// Plain text from the server that the client has not taken yet.
    rest: Vec<u8>,
    client_ended: bool,
    server_ended: bool,
    was_proper: bool,
}

/// Bytes that are moved at a time.
const STEP_BYTES: usize = 16 << 10;

impl Pump {
    fn new(plain: TcpStream, port: u16, config: Arc<ClientConfig>) -> io::Result<Self> {
        let sealed = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        for stream in [&plain, &sealed] {
            stream.set_nonblocking(true)?;
            stream.set_nodelay(true)?;
        }
        let name = ServerName::try_from("localhost").map_err(io::Error::other)?;
        let session = ClientConnection::new(config, name).map_err(io::Error::other)?;
        Ok(Self {
            plain,
            sealed,
            session,
            rest: Vec::new(),
            client_ended: false,
            server_ended: false,
            was_proper: false,
        })
    }

    /// Moves bytes until both ends are done; tells whether the server ended as TLS wants it.
    fn run(mut self) -> io::Result<bool> {
        while !(self.server_ended && self.rest.is_empty()) {
            self.wait()?;
            self.read_client()?;
            self.write_server()?;
            self.read_server()?;
            self.write_client()?;
        }
        let _ = self.plain.shutdown(Shutdown::Write);
        Ok(self.was_proper)
    }

    /// Whether there is room for more from the client; while hands are shaken there is little.
    fn takes_client(&self) -> bool {
        !self.client_ended && !self.session.wants_write() && !self.session.is_handshaking()
    }

    fn wait(&self) -> io::Result<()> {
        let mut plain = PollFlags::empty();
        plain.set(PollFlags::POLLIN, self.takes_client());
        plain.set(PollFlags::POLLOUT, !self.rest.is_empty());
        let mut sealed = PollFlags::empty();
        sealed.set(PollFlags::POLLIN, self.rest.is_empty() && !self.server_ended);
        sealed.set(PollFlags::POLLOUT, self.session.wants_write());
        let mut fds =
            [PollFd::new(self.plain.as_fd(), plain), PollFd::new(self.sealed.as_fd(), sealed)];
        poll(&mut fds, PollTimeout::from(1000_u16))?;
        Ok(())
    }

    fn read_client(&mut self) -> io::Result<()> {
        if !self.takes_client() {
            return Ok(());
        }
        let mut buffer = [0; STEP_BYTES];
        match unless_it_would_block(self.plain.read(&mut buffer))? {
            None => {}
            Some(0) => {
                self.client_ended = true;
                self.session.send_close_notify();
            }
            Some(count) => self.session.writer().write_all(&buffer[..count])?,
        }
        Ok(())
    }

    fn write_server(&mut self) -> io::Result<()> {
        while self.session.wants_write() {
            match unless_it_would_block(self.session.write_tls(&mut self.sealed)) {
                Ok(Some(_)) => {}
                Ok(None) => break,
                // A server that is gone may have left words to be read.
                Err(_) => {
                    self.client_ended = true;
                    break;
                }
            }
        }
        Ok(())
    }

    fn read_server(&mut self) -> io::Result<()> {
        if !self.rest.is_empty() || self.server_ended {
            return Ok(());
        }
        match unless_it_would_block(self.session.read_tls(&mut self.sealed))? {
            None => return Ok(()),
            Some(0) => self.server_ended = true,
            Some(_) => {
                let state = self.session.process_new_packets().map_err(io::Error::other)?;
                self.was_proper |= state.peer_has_closed();
                self.server_ended |= state.peer_has_closed();
                self.rest.resize(state.plaintext_bytes_to_read(), 0);
                self.session.reader().read_exact(&mut self.rest)?;
            }
        }
        Ok(())
    }

    fn write_client(&mut self) -> io::Result<()> {
        if !self.rest.is_empty()
            && let Some(count) = unless_it_would_block(self.plain.write(&self.rest))?
        {
            self.rest.drain(..count);
        }
        Ok(())
    }
}

fn unless_it_would_block<T>(outcome: io::Result<T>) -> io::Result<Option<T>> {
    match outcome {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error),
    }
}
