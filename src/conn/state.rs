//! The state of one connection: events in, operations out.

use std::os::fd::RawFd;

use crate::protocol::Parser;

/// Where a connection stands in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Life {
    /// Requests are read and answered.
    Open,
    /// Nothing more is read; what is to be sent is sent, then the connection closes.
    Finishing,
    /// Shut down as soon as may be; nothing more is sent.
    Closing,
}

/// What has to be submitted for a connection now. Several may be asked for at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Plan {
    /// Arm the receive.
    pub receive: bool,
    /// Disarm it: the connection has more to do than it should take in.
    pub cancel_receive: bool,
    /// Send what is ready.
    pub send: bool,
    /// Shut the socket down.
    pub shutdown: bool,
    /// Close it: nothing is in flight any more.
    pub close: bool,
}

/// One client's connection.
pub struct Connection {
    /// The socket.
    pub fd: RawFd,
    /// Where in its stream of requests it stands.
    pub parser: Parser,
    life: Life,
    /// A multishot receive is armed.
    receiving: bool,
    /// It was asked to end.
    cancelling: bool,
    /// A send is in flight.
    sending: bool,
    /// Output waits to be sent.
    ready: bool,
    /// Too much output waits: no more requests for now.
    paused: bool,
    /// The peer will send nothing more: when all it has sent is answered, the connection ends.
    peer_ended: bool,
    /// The peer is owed a last word before the end, beyond all replies.
    owes_last_word: bool,
    /// What was sent may still be on its way: not to be closed yet.
    held: bool,
    shutdown_sent: bool,
    shutdown_done: bool,
    close_sent: bool,
}

impl Connection {
    /// A connection just accepted.
    #[must_use]
    pub fn new(fd: RawFd, parser: Parser) -> Self {
        Self {
            fd,
            parser,
            life: Life::Open,
            receiving: false,
            cancelling: false,
            sending: false,
            ready: false,
            paused: false,
            peer_ended: false,
            owes_last_word: false,
            held: false,
            shutdown_sent: false,
            shutdown_done: false,
            close_sent: false,
        }
    }

    /// True while requests may be taken in and answered.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.life == Life::Open
    }

    /// True while replies may still be sent.
    #[must_use]
    pub fn may_send(&self) -> bool {
        self.life != Life::Closing
    }

    /// True if so much output waits that requests have to wait too.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.paused
    }

    /// True between a send's submission and its completion.
    #[must_use]
    pub fn is_sending(&self) -> bool {
        self.sending
    }

    /// True if nothing but further requests will be asked of the connection, whenever a send ends.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        let is_ending = self.peer_ended || self.owes_last_word || self.held;
        self.life == Life::Open && !self.paused && !is_ending
    }

    /// Event: the armed receive ended; it will be armed again if the connection is open.
    pub fn receive_ended(&mut self) {
        self.receiving = false;
        self.cancelling = false;
    }

    /// Event: there is output to send.
    pub fn output_ready(&mut self) {
        self.ready = true;
    }

    /// Event: the send ended. `left` says that output waits.
    pub fn sent(&mut self, left: bool) {
        self.sending = false;
        self.ready = left;
    }

    /// Event: the shutdown ended.
    pub fn shut(&mut self) {
        self.shutdown_done = true;
    }

    /// Stops taking requests in until [`Connection::resume`].
    pub fn pause(&mut self) {
        self.paused = true;
    }

    /// Takes requests in again.
    pub fn resume(&mut self) {
        self.paused = false;
    }

    /// Event: the peer has said that it will send no more.
    pub fn peer_ended(&mut self) {
        self.peer_ended = true;
    }

    /// From now on the connection ends with a last word, which counts as output: [`Plan::send`]
    /// asks for it when there is no other left.
    pub fn owe_last_word(&mut self) {
        self.owes_last_word = true;
    }

    /// There is nobody who would understand a last word.
    pub fn owe_nothing(&mut self) {
        self.owes_last_word = false;
    }

    /// Whether a last word has yet to be said.
    #[must_use]
    pub fn owes_last_word(&self) -> bool {
        self.owes_last_word
    }

    /// Keeps the socket open, though all may have been sent, until [`Connection::release`]. Closing
    /// a socket in which bytes lie unread resets the connection, and what the peer hasn't
    /// received by then is lost to it.
    pub fn hold(&mut self) {
        self.held = true;
    }

    /// Lets the connection close when it is due.
    pub fn release(&mut self) {
        self.held = false;
    }

    /// True if nothing keeps the connection open but [`Connection::hold`].
    #[must_use]
    pub fn is_only_held(&self) -> bool {
        let has_ended = self.life == Life::Finishing && self.has_sent_all();
        self.held && has_ended && !self.owes_last_word
    }

    /// Reads no more; closes when all output is sent.
    pub fn finish(&mut self) {
        if self.life == Life::Open {
            self.life = Life::Finishing;
        }
    }

    /// Closes without sending more.
    pub fn close(&mut self) {
        self.life = Life::Closing;
    }

    /// What to submit now. The caller submits all of it: the state counts it as in flight.
    pub fn plan(&mut self) -> Plan {
        let mut plan = Plan::default();
        // A connection that is paused has yet to produce what its last request is owed.
        if self.peer_ended && !self.paused {
            self.finish();
        }
        if self.life == Life::Finishing && self.has_sent_all() {
            if self.owes_last_word {
                self.owes_last_word = false;
                self.ready = true;
            } else if !self.held {
                self.life = Life::Closing;
            }
        }
        if self.life == Life::Closing {
            self.plan_end(&mut plan);
            return plan;
        }
        plan.send = self.ready && !self.sending;
        self.sending |= plan.send;
        self.ready &= !plan.send;
        if self.life == Life::Open {
            plan.receive = !self.receiving && !self.paused && !self.peer_ended;
            self.receiving |= plan.receive;
            plan.cancel_receive = self.paused && self.receiving && !self.cancelling;
            self.cancelling |= plan.cancel_receive;
        }
        plan
    }

    /// A connection that is paused has yet to produce what its last request is owed.
    fn has_sent_all(&self) -> bool {
        !self.ready && !self.sending && !self.paused
    }

    fn plan_end(&mut self, plan: &mut Plan) {
        if !self.shutdown_sent {
            self.shutdown_sent = true;
            plan.shutdown = true;
        } else if self.shutdown_done && !self.receiving && !self.sending && !self.close_sent {
            self.close_sent = true;
            plan.close = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::parser::{Binding, Gate, Limits};

    fn connection() -> Connection {
        let limits = Limits { item_bytes_max: 1024, line_bytes_max: 64, keys_bytes_min: 64 };
        Connection::new(3, Parser::new(Binding::Auto, Gate::Open, limits))
    }

    /// What a ring would hold in flight for the connection.
    #[derive(Default)]
    struct Flights {
        receive: bool,
        send: bool,
        shutdown: bool,
        closed: bool,
    }

    impl Flights {
        fn take(&mut self, plan: Plan) {
            assert!(!self.closed || plan == Plan::default(), "nothing follows the close");
            assert!(!(plan.receive && self.receive), "one receive at a time");
            assert!(!(plan.send && self.send), "one send at a time");
            assert!(!plan.cancel_receive || self.receive, "only what is armed can be disarmed");
            assert!(
                !plan.close || !(self.receive || self.send || self.shutdown),
                "close comes last"
            );
            self.receive |= plan.receive;
            self.send |= plan.send;
            self.shutdown |= plan.shutdown;
            self.closed |= plan.close;
        }
    }

    /// A small generator (Steele, Lea, Flood: SplitMix64), enough to pick events.
    fn random(state: &mut u64) -> u64 {
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb) >> 33
    }

    #[test]
    fn any_order_of_events_ends_in_one_close_after_all_completions() {
        for seed in 0..2_000 {
            let mut state = seed;
            let (mut conn, mut flights) = (connection(), Flights::default());
            for step in 0..60 {
                match random(&mut state) % 7 {
                    0 => conn.output_ready(),
                    1 if flights.send => {
                        flights.send = false;
                        conn.sent(random(&mut state).is_multiple_of(2));
                    }
                    2 if flights.receive => {
                        flights.receive = false;
                        conn.receive_ended();
                    }
                    3 => conn.pause(),
                    4 => conn.resume(),
                    5 if step > 20 && seed % 3 == 0 => conn.peer_ended(),
                    6 if seed % 5 == 0 => conn.owe_last_word(),
                    5 if step > 30 => conn.finish(),
                    6 if step > 45 => conn.close(),
                    _ => {}
                }
                flights.take(conn.plan());
            }
            conn.close();
            for _ in 0..8 {
                flights.take(conn.plan());
                if std::mem::take(&mut flights.shutdown) {
                    conn.shut();
                } else if std::mem::take(&mut flights.send) {
                    conn.sent(false);
                } else if std::mem::take(&mut flights.receive) {
                    conn.receive_ended();
                }
            }
            assert!(flights.closed, "seed {seed} never closed");
        }
    }

    #[test]
    fn what_came_before_the_peers_end_is_answered() {
        let mut conn = connection();
        let _ = conn.plan();
        conn.pause();
        conn.peer_ended();
        conn.receive_ended();
        conn.output_ready();
        assert_eq!(conn.plan(), Plan { send: true, ..Plan::default() });
        conn.sent(false);
        assert!(conn.is_open(), "there are requests left to answer");
        conn.resume();
        conn.output_ready();
        assert_eq!(conn.plan(), Plan { send: true, ..Plan::default() });
        conn.sent(false);
        assert_eq!(conn.plan(), Plan { shutdown: true, ..Plan::default() });
    }

    #[test]
    fn the_last_word_comes_last_and_once() {
        let mut conn = connection();
        conn.owe_last_word();
        conn.output_ready();
        conn.finish();
        assert_eq!(conn.plan(), Plan { send: true, ..Plan::default() });
        assert!(conn.owes_last_word(), "replies go first");
        conn.sent(false);
        assert_eq!(conn.plan(), Plan { send: true, ..Plan::default() });
        assert!(!conn.owes_last_word());
        conn.sent(false);
        assert_eq!(conn.plan(), Plan { shutdown: true, ..Plan::default() });
    }

    #[test]
    fn a_finished_connection_sends_all_first() {
        let mut conn = connection();
        conn.output_ready();
        conn.finish();
        assert_eq!(conn.plan(), Plan { send: true, ..Plan::default() });
        conn.sent(true);
        assert_eq!(conn.plan(), Plan { send: true, ..Plan::default() });
        conn.sent(false);
        assert_eq!(conn.plan(), Plan { shutdown: true, ..Plan::default() });
        conn.shut();
        assert_eq!(conn.plan(), Plan { close: true, ..Plan::default() });
    }

    #[test]
    fn a_held_connection_stays_until_it_is_released() {
        let mut conn = connection();
        conn.output_ready();
        conn.hold();
        conn.finish();
        assert!(!conn.is_only_held(), "it has something to send");
        assert_eq!(conn.plan(), Plan { send: true, ..Plan::default() });
        conn.sent(false);
        assert_eq!(conn.plan(), Plan::default());
        assert!(conn.is_only_held());
        conn.release();
        assert_eq!(conn.plan(), Plan { shutdown: true, ..Plan::default() });
    }
}
