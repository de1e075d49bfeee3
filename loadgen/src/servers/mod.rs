//! Several servers: how they are written down, and which of them owns a key.

pub mod hash;
pub mod ketama;
pub mod list;

use hash::KeyHash;
use ketama::Continuum;

/// How keys are shared out over servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Distribution {
    /// Hash modulo the number of servers.
    Modula,
    /// libmemcached's consistent hashing: 100 points a server, weights ignored.
    Ketama,
    /// libmemcached's weighted ketama, also known as libketama compatible.
    KetamaWeighted,
    /// spymemcached's form of it.
    Spy,
}

impl Distribution {
    /// The distribution of a name.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "modula" | "modulo" => Self::Modula,
            "ketama" | "consistent" => Self::Ketama,
            "ketama-weighted" | "ketama_weighted" => Self::KetamaWeighted,
            "spy" => Self::Spy,
            _ => return None,
        })
    }
}

/// What routing needs to know of a server.
#[derive(Clone, Debug)]
pub struct Member {
    /// The host as it was given: rings hash the text, not the address.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The weight.
    pub weight: u32,
}

/// Finds the owner of a key.
#[derive(Clone, Debug)]
pub struct Router {
    servers: usize,
    hash: KeyHash,
    continuum: Option<Continuum>,
}

impl Router {
    /// A router over servers in the order given. The weighted forms always hash keys with MD5.
    pub fn new(members: &[Member], distribution: Distribution, hash: KeyHash) -> Self {
        let continuum = match distribution {
            Distribution::Modula => None,
            Distribution::Ketama => Some(Continuum::unweighted(members, hash)),
            Distribution::KetamaWeighted => Some(Continuum::weighted(members, "")),
            Distribution::Spy => Some(Continuum::weighted(members, "/")),
        };
        let hash = match distribution {
            Distribution::Modula | Distribution::Ketama => hash,
            Distribution::KetamaWeighted | Distribution::Spy => KeyHash::Md5,
        };
        Self { servers: members.len(), hash, continuum }
    }

    /// The index of the server that owns a key.
    pub fn owner(&self, key: &[u8]) -> usize {
        if self.servers == 1 {
            return 0;
        }
        let hash = self.hash.of(key);
        match &self.continuum {
            Some(continuum) => continuum.owner(hash),
            None => hash as usize % self.servers,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modula_is_the_hash_modulo_the_servers() {
        let member = |host: &str| Member { host: host.into(), port: 11211, weight: 1 };
        let members = ["a", "b", "c"].map(member);
        let router = Router::new(&members, Distribution::Modula, KeyHash::OneAtATime);
        for key in ["x", "foo", "key:00000000042"] {
            let hash = KeyHash::OneAtATime.of(key.as_bytes());
            assert_eq!(router.owner(key.as_bytes()), hash as usize % 3);
        }
    }
}
