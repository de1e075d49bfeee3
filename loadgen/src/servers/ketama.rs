//! Consistent hashing as libmemcached does it: points on a circle, the next one clockwise owns the
//! key.
//!
//! The weighted form draws four points from each MD5 digest of `host-i` (with `:port` unless it is
//! 11211), a server having 40 digests in the mean, by weight. The number of points goes through
//! single precision because libmemcached's does, and one point more or less moves keys.

use super::Member;
use super::hash::{KeyHash, md5, md5_word};

/// Points of one server in the unweighted form.
const POINTS_UNWEIGHTED: u32 = 100;
/// Mean points of one server in the weighted form.
const POINTS_WEIGHTED: f32 = 160.0;
/// Points out of one digest.
const POINTS_PER_DIGEST: usize = 4;
const PORT_UNNAMED: u16 = 11211;

/// The circle: points in rising order with the server that owns what lies before each.
#[derive(Clone, Debug)]
pub struct Continuum(Vec<(u32, usize)>);

impl Continuum {
    /// One point for each of 100 names a server, by the hash given.
    pub fn unweighted(members: &[Member], hash: KeyHash) -> Self {
        let mut points = Vec::new();
        for (server, member) in members.iter().enumerate() {
            let name = |i| hash.of(point_name(member, "", i).as_bytes());
            points.extend((0..POINTS_UNWEIGHTED).map(|i| (name(i), server)));
        }
        Self::sorted(points)
    }

    /// Four points for each digest, as many digests as the weight asks for. `lead` stands before
    /// every name, and where it is not empty the port is always named: spymemcached's form.
    pub fn weighted(members: &[Member], lead: &str) -> Self {
        let total: u32 = members.iter().map(|member| member.weight).sum();
        let mut points = Vec::new();
        for (server, member) in members.iter().enumerate() {
            for i in 0..digests(member.weight, total, members.len()) {
                let digest = md5(point_name(member, lead, i).as_bytes());
                let words = (0..POINTS_PER_DIGEST).map(|word| md5_word(&digest, word));
                points.extend(words.map(|point| (point, server)));
            }
        }
        Self::sorted(points)
    }

    fn sorted(mut points: Vec<(u32, usize)>) -> Self {
        points.sort_unstable();
        Self(points)
    }

    /// The owner of a hash: the first point at or after it, or the first of all.
    pub fn owner(&self, hash: u32) -> usize {
        let at = self.0.partition_point(|(point, _)| *point < hash);
        self.0[at % self.0.len()].1
    }

    /// Points on the circle.
    pub fn points(&self) -> &[(u32, usize)] {
        &self.0
    }
}

fn digests(weight: u32, total: u32, servers: usize) -> u32 {
    let share = weight as f32 / total as f32;
    let digests = share * POINTS_WEIGHTED / POINTS_PER_DIGEST as f32 * servers as f32;
    (f64::from(digests) + 1e-10).floor() as u32
}

fn point_name(member: &Member, lead: &str, i: u32) -> String {
    if member.port == PORT_UNNAMED && lead.is_empty() {
        format!("{}-{i}", member.host)
    } else {
        format!("{lead}{}:{}-{i}", member.host, member.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::servers::{Distribution, Router};

    /// Keys, their hashes, the points that own them and the servers of these: the values that
    /// libmemcached's own tests hold it to (awesomized/libmemcached, test/fixtures/ketama.hpp),
    /// weighted and spy.
    const FIXTURE: &str = include_str!("ketama.fixture");
    const WEIGHTS: [u32; 8] = [600, 300, 200, 350, 1000, 800, 950, 100];

    fn members(weights: [u32; 8]) -> Vec<Member> {
        let member =
            |(i, weight)| Member { host: format!("10.0.1.{}", i + 1), port: 11211, weight };
        weights.into_iter().enumerate().map(member).collect()
    }

    struct Case {
        key: &'static str,
        hash: u32,
        point: u32,
        weighted: usize,
        spy: usize,
    }

    fn cases() -> Vec<Case> {
        let case = |line: &'static str| {
            let fields: Vec<_> = line.split('\t').collect();
            let number = |at: usize| fields[at].parse::<u32>().expect("a number");
            Case {
                key: fields[0],
                hash: number(1),
                point: number(2),
                weighted: number(3) as usize - 1,
                spy: number(4) as usize - 1,
            }
        };
        FIXTURE.lines().map(case).collect()
    }

    #[test]
    fn weighted_ketama_agrees_with_the_fixture() {
        let members = members(WEIGHTS);
        let continuum = Continuum::weighted(&members, "");
        let router = Router::new(&members, Distribution::KetamaWeighted, KeyHash::OneAtATime);
        let cases = cases();
        assert_eq!(cases.len(), 99);
        for Case { key, hash, point, weighted, .. } in cases {
            assert_eq!(KeyHash::Md5.of(key.as_bytes()), hash, "{key}");
            let at = continuum.points().partition_point(|(point, _)| *point < hash);
            assert_eq!(continuum.points()[at], (point, weighted), "{key}");
            assert_eq!(router.owner(key.as_bytes()), weighted, "{key}");
        }
    }

    #[test]
    fn weights_give_the_known_numbers_of_points() {
        let continuum = Continuum::weighted(&members(WEIGHTS), "");
        let count = |server| continuum.points().iter().filter(|point| point.1 == server).count();
        let counts: Vec<_> = (0..8).map(count).collect();
        assert_eq!(counts, [176, 88, 56, 104, 296, 236, 280, 28]);
    }

    #[test]
    fn a_hash_behind_the_last_point_wraps() {
        let members = members(WEIGHTS);
        let continuum = Continuum::weighted(&members, "");
        let hash = KeyHash::Md5.of(b"VDEAAAAA");
        assert_eq!(hash, 4_294_758_837);
        assert_eq!(continuum.points().last().expect("points").0, 4_294_696_831);
        assert_eq!(continuum.owner(hash), continuum.points()[0].1);
    }

    #[test]
    fn spy_agrees_with_the_fixture() {
        let router = Router::new(&members(WEIGHTS), Distribution::Spy, KeyHash::OneAtATime);
        for Case { key, spy, .. } in cases() {
            assert_eq!(router.owner(key.as_bytes()), spy, "{key}");
        }
    }

    #[test]
    fn unweighted_rings_have_a_hundred_points_a_server() {
        let continuum = Continuum::unweighted(&members([1; 8]), KeyHash::OneAtATime);
        assert_eq!(continuum.points().len(), 800);
        assert!(continuum.points().is_sorted());
    }
}
