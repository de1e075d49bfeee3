//! `-o ssl_ciphers`: a list in OpenSSL's grammar, and the suites that it leaves.
//!
//! All suites that there are here are strong ones with forward secrecy. A list so can only make
//! them fewer. As with OpenSSL, it is about TLS 1.2; suites of TLS 1.3 stay, unless it names some
//! of them.

use rustls::SupportedCipherSuite;
use rustls::crypto::ring::cipher_suite as suites;

/// A suite, and the words of a list that mean it.
struct Suite {
    name: &'static str,
    words: &'static [&'static str],
    suite: SupportedCipherSuite,
}

/// Words that mean every suite of TLS 1.2.
const ALL: &[&str] =
    &["ALL", "DEFAULT", "HIGH", "ECDHE", "EECDH", "kECDHE", "kEECDH", "TLSv1.2", "FIPS"];

const SUITES_1_2: [Suite; 6] = [
    Suite {
        name: "ECDHE-ECDSA-AES256-GCM-SHA384",
        words: &["ECDSA", "aECDSA", "AESGCM", "AES", "AES256"],
        suite: suites::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    },
    Suite {
        name: "ECDHE-ECDSA-AES128-GCM-SHA256",
        words: &["ECDSA", "aECDSA", "AESGCM", "AES", "AES128"],
        suite: suites::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    },
    Suite {
        name: "ECDHE-ECDSA-CHACHA20-POLY1305",
        words: &["ECDSA", "aECDSA", "CHACHA20"],
        suite: suites::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    },
    Suite {
        name: "ECDHE-RSA-AES256-GCM-SHA384",
        words: &["RSA", "aRSA", "AESGCM", "AES", "AES256"],
        suite: suites::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
    },
    Suite {
        name: "ECDHE-RSA-AES128-GCM-SHA256",
        words: &["RSA", "aRSA", "AESGCM", "AES", "AES128"],
        suite: suites::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    },
    Suite {
        name: "ECDHE-RSA-CHACHA20-POLY1305",
        words: &["RSA", "aRSA", "CHACHA20"],
        suite: suites::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
    },
];

const SUITES_1_3: [Suite; 3] = [
    Suite { name: "TLS_AES_256_GCM_SHA384", words: &[], suite: suites::TLS13_AES_256_GCM_SHA384 },
    Suite { name: "TLS_AES_128_GCM_SHA256", words: &[], suite: suites::TLS13_AES_128_GCM_SHA256 },
    Suite {
        name: "TLS_CHACHA20_POLY1305_SHA256",
        words: &[],
        suite: suites::TLS13_CHACHA20_POLY1305_SHA256,
    },
];

impl Suite {
    /// Whether a term of a list means this suite: a name, a word, or several words joined by `+`.
    fn is_meant_by(&self, term: &str) -> bool {
        let is_of_1_2 = !self.words.is_empty();
        term.split('+').all(|word| {
            word == self.name || self.words.contains(&word) || (is_of_1_2 && ALL.contains(&word))
        })
    }
}

/// The suites to offer.
///
/// # Errors
/// The list leaves none.
pub(super) fn choose(list: Option<&str>) -> Result<Vec<SupportedCipherSuite>, String> {
    let of_1_2 = list.map_or_else(|| SUITES_1_2.iter().collect(), |list| pick(list, &SUITES_1_2));
    let mut of_1_3 = list.map_or_else(Vec::new, |list| pick(list, &SUITES_1_3));
    if of_1_2.is_empty() && of_1_3.is_empty() {
        let list = list.unwrap_or_default();
        return Err(format!("Error setting the provided cipher(s): {list}"));
    }
    if of_1_3.is_empty() {
        of_1_3 = SUITES_1_3.iter().collect();
    }
    Ok(of_1_3.into_iter().chain(of_1_2).map(|suite| suite.suite).collect())
}

/// What a list leaves of `suites`. A term adds, `-` takes away, `!` takes away for good, `+` moves
/// to the end; words that mean none of them are ignored, `@STRENGTH` and its like among them.
fn pick<'a>(list: &str, suites: &'a [Suite]) -> Vec<&'a Suite> {
    let mut chosen: Vec<&Suite> = Vec::new();
    let mut banned = Vec::new();
    for term in list.split([':', ',', ' ']) {
        let (sign, term) = match term.as_bytes().first() {
            Some(sign @ (b'!' | b'-' | b'+')) => (Some(sign), &term[1..]),
            _ => (None, term),
        };
        let is_meant = |suite: &Suite| suite.is_meant_by(term);
        match sign {
            Some(b'!') => banned.push(term),
            Some(b'+') => chosen.sort_by_key(|suite| is_meant(suite)),
            Some(_) => chosen.retain(|suite| !is_meant(suite)),
            None => {
                let is_new = |suite: &&Suite| !chosen.iter().any(|had| had.name == suite.name);
                let more: Vec<_> = suites.iter().filter(|s| is_meant(s)).filter(is_new).collect();
                chosen.extend(more);
            }
        }
    }
    chosen.retain(|suite| !banned.iter().any(|term| suite.is_meant_by(term)));
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The names of the suites of TLS 1.2 and 1.3 that a list leaves.
    fn left(list: &str) -> (Vec<&'static str>, usize) {
        let chosen = choose(Some(list)).unwrap_or_else(|error| panic!("{error}"));
        let name = |suite: &SupportedCipherSuite| {
            let found = SUITES_1_2.iter().find(|row| row.suite == *suite);
            found.map(|row| row.name)
        };
        let of_1_2: Vec<_> = chosen.iter().filter_map(name).collect();
        let of_1_3 = chosen.len() - of_1_2.len();
        (of_1_2, of_1_3)
    }

    #[test]
    fn without_a_list_all_are_offered() {
        assert_eq!(choose(None).map(|suites| suites.len()), Ok(9));
        assert_eq!(left("DEFAULT:@SECLEVEL=2").0.len(), 6);
        assert_eq!(left("HIGH:!aNULL:!MD5:!3DES").0.len(), 6);
    }

    #[test]
    fn names_and_words_choose() {
        assert_eq!(left("ECDHE-RSA-AES256-GCM-SHA384"), (vec!["ECDHE-RSA-AES256-GCM-SHA384"], 3));
        assert_eq!(left("ECDHE+AESGCM").0.len(), 4);
        assert_eq!(left("AES128+aRSA").0, ["ECDHE-RSA-AES128-GCM-SHA256"]);
        assert_eq!(left("ALL:!AES").0, left("CHACHA20").0);
        assert_eq!(left("ALL:-AES:AES256").0.len(), 4);
        assert_eq!(left("!CHACHA20:ALL:CHACHA20").0.len(), 4);
        assert_eq!(left("ALL:+CHACHA20").0[5], "ECDHE-RSA-CHACHA20-POLY1305");
        assert_eq!(left("RC4-SHA, AES256+ECDSA").0, ["ECDHE-ECDSA-AES256-GCM-SHA384"]);
    }

    #[test]
    fn suites_of_1_3_stay_unless_some_are_named() {
        assert_eq!(left("TLS_AES_128_GCM_SHA256"), (vec![], 1));
        assert_eq!(left("TLS_AES_128_GCM_SHA256:AES128+aRSA").1, 1);
    }

    #[test]
    fn a_list_that_leaves_nothing_is_refused() {
        for list in ["", "RC4-SHA", "ALL:!ALL", "aNULL:eNULL"] {
            assert!(choose(Some(list)).is_err(), "{list}");
        }
    }
}
