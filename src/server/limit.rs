//! How much each peer may have: tokens that come back with time, and places for connections. Pure;
//! time is an argument.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::peer::PeerKey;

/// What is inside, also after a panic elsewhere: counters stay usable.
pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

// ---------------------------------------------------------------------------------------- tokens

/// A bucket of tokens for each peer, filled at a steady rate.
#[derive(Debug)]
pub(super) struct Buckets {
    burst: f64,
    per_second: f64,
    most: usize,
    peers: HashMap<PeerKey, Bucket>,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    tokens: f64,
    at: Instant,
}

impl Buckets {
    pub(super) fn new(burst: u32, per_second: u32, most: usize) -> Self {
        Self {
            burst: f64::from(burst),
            per_second: f64::from(per_second),
            most,
            peers: HashMap::new(),
        }
    }

    /// Takes a token, or says how long it takes until there is one.
    pub(super) fn take(&mut self, peer: PeerKey, now: Instant) -> Result<(), Duration> {
        if !self.peers.contains_key(&peer) && self.peers.len() >= self.most {
            self.forget(now);
        }
        let (burst, per_second) = (self.burst, self.per_second);
        let bucket = self.peers.entry(peer).or_insert(Bucket { tokens: burst, at: now });
        let passed = now.saturating_duration_since(bucket.at).as_secs_f64();
        bucket.tokens = (bucket.tokens + passed * per_second).min(burst);
        bucket.at = now;
        if bucket.tokens < 1.0 {
            return Err(Duration::from_secs_f64((1.0 - bucket.tokens) / per_second));
        }
        bucket.tokens -= 1.0;
        Ok(())
    }

    /// Gives a token back.
    pub(super) fn give_back(&mut self, peer: PeerKey) {
        if let Some(bucket) = self.peers.get_mut(&peer) {
            bucket.tokens = (bucket.tokens + 1.0).min(self.burst);
        }
    }

    /// Forgets every peer whose bucket is full again, or else the one with most tokens.
    fn forget(&mut self, now: Instant) {
        let (burst, per_second) = (self.burst, self.per_second);
        let tokens = |bucket: &Bucket| {
            bucket.tokens + now.saturating_duration_since(bucket.at).as_secs_f64() * per_second
        };
        self.peers.retain(|_, bucket| tokens(bucket) < burst);
        if self.peers.len() < self.most {
            return;
        }
        let fullest = self
            .peers
            .iter()
            .max_by(|(_, a), (_, b)| tokens(a).total_cmp(&tokens(b)))
            .map(|(peer, _)| *peer);
        if let Some(peer) = fullest {
            self.peers.remove(&peer);
        }
    }
}

// ----------------------------------------------------------------------------------- connections

/// The open connections.
#[derive(Debug)]
pub(super) struct Connections {
    most: usize,
    most_per_peer: usize,
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    /// Numbers everything that happens, so that the oldest is the smallest.
    clock: u64,
    open: BTreeMap<u64, Open>,
}

#[derive(Debug)]
struct Open {
    peer: PeerKey,
    /// When it began to wait for a request; none while one is answered.
    waiting: Option<u64>,
    close: Arc<Notify>,
}

impl Connections {
    pub(super) fn new(most: usize, most_per_peer: usize) -> Arc<Self> {
        Arc::new(Self { most, most_per_peer, table: Mutex::default() })
    }

    /// A place for a connection. When there is none, the connection that has waited longest for a
    /// request is told to end; none is given when every one of them is being answered.
    pub(super) fn admit(self: &Arc<Self>, peer: PeerKey) -> Option<Place> {
        let mut table = locked(&self.table);
        let own = table.open.values().filter(|open| open.peer == peer).count();
        let crowds = matches!(peer, PeerKey::There(_)) && own >= self.most_per_peer;
        if crowds {
            table.end_idlest(|open| open.peer == peer)?;
        } else if table.open.len() >= self.most {
            table.end_idlest(|_| true)?;
        }
        table.clock += 1;
        let number = table.clock;
        let close = Arc::new(Notify::new());
        table.open.insert(number, Open { peer, waiting: Some(number), close: Arc::clone(&close) });
        drop(table);
        Some(Place { connections: Arc::clone(self), number, close })
    }
}

impl Table {
    fn end_idlest(&mut self, among: impl Fn(&Open) -> bool) -> Option<()> {
        let idlest = self
            .open
            .iter()
            .filter(|(_, open)| among(open))
            .filter_map(|(number, open)| Some((open.waiting?, *number)))
            .min();
        let (_, number) = idlest?;
        // Its task ends soon; its place is free now.
        self.open.remove(&number)?.close.notify_one();
        Some(())
    }
}

/// A connection's place, free again when this is dropped.
#[derive(Debug)]
pub(super) struct Place {
    connections: Arc<Connections>,
    number: u64,
    close: Arc<Notify>,
}

impl Place {
    /// Completes when the place is wanted by another connection.
    pub(super) async fn wanted(&self) {
        self.close.notified().await;
    }

    /// Marks that a request is being answered, or that the next one is waited for.
    pub(super) fn answers(&self, answers: bool) {
        let mut table = locked(&self.connections.table);
        table.clock += 1;
        let now = table.clock;
        if let Some(open) = table.open.get_mut(&self.number) {
            open.waiting = (!answers).then_some(now);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        locked(&self.connections.table).open.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use futures_util::FutureExt as _;

    use super::*;

    fn peer(last: u8) -> PeerKey {
        PeerKey::There(IpAddr::from([10, 0, 0, last]))
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a test needs a point in time to count from")]
    fn tokens_come_back_with_time() {
        let start = Instant::now();
        let mut buckets = Buckets::new(2, 10, 3);
        assert_eq!(buckets.take(peer(1), start), Ok(()));
        assert_eq!(buckets.take(peer(1), start), Ok(()));
        assert_eq!(buckets.take(peer(1), start), Err(Duration::from_millis(100)));
        assert_eq!(buckets.take(peer(2), start), Ok(()), "each has its own");
        let later = start + Duration::from_millis(100);
        assert_eq!(buckets.take(peer(1), later), Ok(()));
        assert!(buckets.take(peer(1), later).is_err());
        buckets.give_back(peer(1));
        assert_eq!(buckets.take(peer(1), later), Ok(()));
        // However many come, no more than three are remembered, and the greedy one stays.
        for last in 3..200 {
            assert_eq!(buckets.take(peer(last), later), Ok(()));
            assert!(buckets.peers.len() <= 3);
        }
        assert!(buckets.take(peer(1), later).is_err());
    }

    #[test]
    fn the_idlest_connection_makes_room() {
        let connections = Connections::new(3, 2);
        let [first, second] = [1, 1].map(|_| connections.admit(peer(1)).unwrap());
        let other = connections.admit(peer(2)).unwrap();
        first.answers(true);
        // This peer has its share: its own idle connection goes, not the other's.
        let third = connections.admit(peer(1)).unwrap();
        assert!(second.wanted().now_or_never().is_some());
        assert!(other.wanted().now_or_never().is_none());
        third.answers(true);
        assert!(connections.admit(peer(1)).is_none(), "both of its connections are answered");
        // All places are taken: whoever waits longest goes.
        first.answers(false);
        let _new = connections.admit(peer(3)).unwrap();
        assert!(other.wanted().now_or_never().is_some());
        let _newer = connections.admit(peer(3)).unwrap();
        assert!(first.wanted().now_or_never().is_some());
        drop((first, second, third, other));
        assert_eq!(locked(&connections.table).open.len(), 2);
    }

    #[test]
    fn this_machine_may_have_all_places() {
        let connections = Connections::new(3, 1);
        let places: Vec<Place> =
            (0..3).map(|_| connections.admit(PeerKey::Here).unwrap()).collect();
        for place in &places {
            place.answers(true);
        }
        assert!(connections.admit(PeerKey::Here).is_none());
        drop(places);
        assert!(connections.admit(PeerKey::Here).is_some());
    }
}
