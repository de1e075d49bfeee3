//! One session: a state machine over bytes, from its first handshake message to its last alert.

use std::sync::Arc;

use rustls::ServerConfig;
use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{
    ConnectionState, EncodeError, EncryptError, InsufficientSizeError, UnbufferedStatus,
};
use rustls::{Error, HandshakeKind};

/// The server's side of a session.
pub struct Session {
    connection: Box<UnbufferedServerConnection>,
    /// Received bytes whose record or handshake message is not all there yet. It has no memory
    /// while there are none.
    pending: Vec<u8>,
    /// The client has ended its side, or broken it: whatever still comes is not looked at.
    is_over: bool,
    /// The session has failed. rustls must not be asked for anything any more: it would want to
    /// send a second fatal alert, which it takes for a fault of ours.
    has_failed: bool,
}

/// What a session has made of received bytes.
#[derive(Debug, Default)]
pub struct Opened {
    /// The client has said that nothing more will come.
    pub is_closed: bool,
    /// The session has failed: no further bytes will be understood.
    pub failure: Option<Error>,
}

impl Session {
    /// A session whose handshake has yet to happen.
    ///
    /// # Errors
    /// None that a configuration of ours brings about.
    pub fn new(config: &Arc<ServerConfig>) -> Result<Self, Error> {
        let connection = Box::new(UnbufferedServerConnection::new(Arc::clone(config))?);
        Ok(Self { connection, pending: Vec::new(), is_over: false, has_failed: false })
    }

    /// False once requests and replies may be exchanged.
    #[must_use]
    pub fn is_shaking_hands(&self) -> bool {
        self.connection.is_handshaking()
    }

    /// True if its handshake was a whole one: no earlier session was resumed.
    #[must_use]
    pub fn is_new(&self) -> bool {
        !matches!(self.connection.handshake_kind(), None | Some(HandshakeKind::Resumed))
    }

    /// Takes received bytes in. Appends the plain text that they bring to `plain`, and what has to
    /// be sent in return to `answer`: messages of the handshake, the alert of a failure. `scratch`
    /// is memory to work in.
    pub fn open(
        &mut self,
        received: &[u8],
        scratch: &mut Vec<u8>,
        plain: &mut Vec<u8>,
        answer: &mut Vec<u8>,
    ) -> Opened {
        let mut opened = Opened::default();
        if self.is_over {
            return opened;
        }
        scratch.clear();
        scratch.append(&mut self.pending);
        scratch.extend_from_slice(received);
        let mut done = 0;
        loop {
            let status = self.connection.process_tls_records(&mut scratch[done..]);
            let UnbufferedStatus { mut discard, state } = status;
            let goes_on = match state {
                Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                    while let Some(Ok(record)) = traffic.next_record() {
                        discard += record.discard;
                        plain.extend_from_slice(record.payload);
                    }
                    true
                }
                Ok(ConnectionState::EncodeTlsData(mut data)) => {
                    append(answer, |room| data.encode(room).map_err(encode_room));
                    true
                }
                Ok(ConnectionState::TransmitTlsData(data)) => {
                    data.done();
                    true
                }
                Ok(ConnectionState::PeerClosed) => {
                    opened.is_closed = true;
                    true
                }
                // Blocked in the handshake, ready for traffic, or closed: all was looked at.
                Ok(_) => false,
                Err(error) => {
                    opened.failure = Some(error);
                    false
                }
            };
            done += discard;
            if !goes_on {
                break;
            }
        }
        if opened.failure.is_some() {
            self.take_last_words(&mut scratch[done..], answer);
            self.has_failed = true;
        }
        self.is_over = opened.is_closed || self.has_failed;
        self.keep(&scratch[done..]);
        opened
    }

    /// Appends what a session that has failed still wants to send: an alert that says why.
    fn take_last_words(&mut self, rest: &mut [u8], answer: &mut Vec<u8>) {
        while self.connection.wants_write() {
            match self.connection.process_tls_records(rest).state {
                Ok(ConnectionState::EncodeTlsData(mut data)) => {
                    append(answer, |room| data.encode(room).map_err(encode_room));
                }
                _ => return,
            }
        }
    }

    /// Keeps what could not be used yet.
    fn keep(&mut self, rest: &[u8]) {
        if rest.is_empty() || self.is_over {
            self.pending = Vec::new();
        } else {
            self.pending.extend_from_slice(rest);
        }
    }

    /// Makes one record of `plain`, at the front of `room`; tells its length. `room` must have
    /// [`TLS_RECORD_EXTRA_BYTES`] more than `plain`, which is at most [`TLS_RECORD_PLAIN_BYTES`].
    ///
    /// # Errors
    /// The session's keys are worn out or were never made.
    ///
    /// [`TLS_RECORD_EXTRA_BYTES`]: crate::config::limits::TLS_RECORD_EXTRA_BYTES
    /// [`TLS_RECORD_PLAIN_BYTES`]: crate::config::limits::TLS_RECORD_PLAIN_BYTES
    pub fn seal(&mut self, plain: &[u8], room: &mut [u8]) -> Result<usize, Error> {
        if self.has_failed {
            return Err(Error::General("the session has failed".to_owned()));
        }
        match self.connection.process_tls_records(&mut self.pending).state? {
            ConnectionState::WriteTraffic(mut traffic) => traffic
                .encrypt(plain, room)
                .map_err(|_| Error::General("the session's keys are worn out".to_owned())),
            _ => Err(Error::HandshakeNotComplete),
        }
    }

    /// Appends the word by which the client learns that nothing more will come.
    pub fn say_goodbye(&mut self, answer: &mut Vec<u8>) {
        if self.has_failed {
            return;
        }
        let state = self.connection.process_tls_records(&mut self.pending).state;
        if let Ok(ConnectionState::WriteTraffic(mut traffic)) = state {
            append(answer, |room| traffic.queue_close_notify(room).map_err(encrypt_room));
        }
    }
}

/// How much more room a message needs; `None` if it can't be had by more room.
type RoomNeeded = Option<usize>;

fn encode_room(error: EncodeError) -> RoomNeeded {
    match error {
        EncodeError::InsufficientSize(InsufficientSizeError { required_size }) => {
            Some(required_size)
        }
        EncodeError::AlreadyEncoded => None,
    }
}

fn encrypt_room(error: EncryptError) -> RoomNeeded {
    match error {
        EncryptError::InsufficientSize(InsufficientSizeError { required_size }) => {
            Some(required_size)
        }
        EncryptError::EncryptExhausted => None,
    }
}

/// Appends what `write` puts into the room that it asks for.
fn append(answer: &mut Vec<u8>, mut write: impl FnMut(&mut [u8]) -> Result<usize, RoomNeeded>) {
    let start = answer.len();
    if let Err(Some(needed)) = write(&mut []) {
        answer.resize(start + needed, 0);
        let written = write(&mut answer[start..]).unwrap_or(0);
        answer.truncate(start + written);
    }
}
