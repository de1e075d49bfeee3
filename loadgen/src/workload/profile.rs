//! Named workloads: each is a row of options, as they would stand on the command line, so that a
//! profile can do nothing a user could not, and so that any option given beside it wins.
//!
//! Sources: the Facebook pools from Atikoglu et al., SIGMETRICS 2012 (ETC's formulas as mutilate
//! has them); the Twitter clusters from twitter/cache-trace (CC BY), Yang et al., OSDI 2020: key
//! and value length are the means it gives, popularity its Zipf exponent, TTLs the most common
//! ones; Meta's from the percentiles of CacheLib's 2024 key-value trace.

/// A named workload.
#[derive(Clone, Copy, Debug)]
pub struct Profile {
    /// Its name.
    pub name: &'static str,
    /// What it is, in a few words.
    pub about: &'static str,
    /// Its options, separated by blanks.
    pub options: &'static str,
}

/// All of them.
pub const PROFILES: &[Profile] = &[
    Profile {
        name: "uniform-small",
        about: "16-byte keys, 32-byte values, 95 % gets, all keys alike",
        options: "--mix get=95,set=5 --key-size 16 --value-size 32 --popularity uniform",
    },
    Profile {
        name: "ycsb-zipf99",
        about: "30-byte keys, 100-byte values, 95 % gets, Zipf 0.99",
        options: "--mix get=95,set=5 --key-size 30 --value-size 100 --popularity zipf:0.99",
    },
    Profile {
        name: "mget-100",
        about: "gets of 100 keys each",
        options: "--mix get --mget 100 --key-size 30 --value-size 100 --popularity zipf:0.99",
    },
    Profile {
        name: "etc",
        about: "Facebook's general pool: the published length formulas, 30 gets a set",
        options: "--mix get=30,set=1 --key-size fb-key --value-size fb-value \
                  --popularity zipf:0.99 --arrivals facebook",
    },
    Profile {
        name: "usr",
        about: "Facebook's user pool: keys of 16 and 21 bytes, values of 2, 99.8 % gets",
        options: "--mix get=99.8,set=0.2 --key-prefix u --key-size 16:1,21:1 --value-size 2 \
                  --popularity zipf:0.99 --arrivals facebook",
    },
    Profile {
        name: "meta-2401",
        about: "Meta's key-value cache of January 2024: small medians, long tails",
        options: "--mix get=83,set=17 --key-size 30-60 --value-size quantiles:0=4:0.01=8:0.05=12:\
                  0.25=47:0.5=249:0.75=1563:0.9=4301:0.99=21013:0.999=90638:1=200000 \
                  --popularity zipf:0.9",
    },
    Profile {
        name: "twitter-52",
        about: "reads, some adds and cas, very skewed",
        options: "--mix get=91,add=4,set=3,cas=2 --key-size 20 --value-size 273 \
                  --popularity zipf:1.21 --ttl 1d:65,14d:27,12h:8",
    },
    Profile {
        name: "twitter-18",
        about: "tiny values, extremely skewed",
        options: "--mix get=96,set=4 --key-size 18 --value-size 37 \
                  --popularity zipf:2.10 --ttl 12h",
    },
    Profile {
        name: "twitter-24",
        about: "nearly all reads",
        options: "--mix get=99,set=1 --key-size 32 --value-size 699 --popularity zipf:1.37 \
                  --ttl 14d:71,60s:19,1d:10",
    },
    Profile {
        name: "twitter-29",
        about: "a miss in five in production, TTLs of hours",
        options: "--mix get=86,set=14 --key-size 36 --value-size 799 --popularity zipf:1.23 \
                  --ttl 1h:67,2h:33",
    },
    Profile {
        name: "twitter-44",
        about: "tiny values that live for a month",
        options: "--mix get=98,set=2 --key-size 25 --value-size 22 \
                  --popularity zipf:1.41 --ttl 30d",
    },
    Profile {
        name: "twitter-25",
        about: "reads with cas, long keys, tiny values",
        options: "--mix get=95,cas=2,set=3 --key-size 49 --value-size 28 --popularity zipf:0.99 \
                  --ttl 30d",
    },
    Profile {
        name: "twitter-19",
        about: "a quarter sets, mild skew",
        options: "--mix get=75,set=25 --key-size 42 --value-size 101 --popularity zipf:0.74 \
                  --ttl 6h-8h",
    },
    Profile {
        name: "twitter-12",
        about: "write-heavy, values of 1 KB that live for five minutes",
        options: "--mix set=80,get=20 --key-size 44 --value-size 1030 --popularity zipf:0.30 \
                  --ttl 300s --growth 0.8",
    },
    Profile {
        name: "twitter-15",
        about: "sets of ever new keys that live for half a minute",
        options: "--mix set --key-size 18 --value-size 102 --popularity zipf:0.02 --ttl 30s \
                  --growth 0.99",
    },
    Profile {
        name: "twitter-37",
        about: "values of 20 KB that live for 20 seconds",
        options: "--mix get=63,set=37 --key-size 72 --value-size 20134 --popularity zipf:0.43 \
                  --ttl 20s:91,60s:9",
    },
    Profile {
        name: "twitter-23",
        about: "counters: a third each of get, set and incr",
        options: "--mix get=36,set=31,incr=30 --key-size 35 --value-size 224 \
                  --popularity zipf:0.27 --ttl 120s",
    },
    Profile {
        name: "twitter-14",
        about: "long keys, a fifth deletes",
        options: "--mix get=65,delete=22,set=13 --key-size 96 --value-size 414 \
                  --popularity zipf:1.30 --ttl 1d",
    },
    Profile {
        name: "twitter-45",
        about: "gets and adds, many keys seen once",
        options: "--mix get=85,add=15 --key-size 10 --value-size 120 --popularity zipf:0.64 \
                  --ttl 15d --key-prefix k",
    },
];

/// The options of a profile.
pub fn named(name: &str) -> Option<Vec<String>> {
    let profile = PROFILES.iter().find(|profile| profile.name == name)?;
    Some(profile.options.split_whitespace().map(str::to_owned).collect())
}

/// The options of a workload file: one a line, as `name value` or `name = value` without the
/// dashes; `#` starts a comment.
pub fn parse_file(text: &str) -> Vec<String> {
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or("").trim());
    let mut options = Vec::new();
    for line in lines.filter(|line| !line.is_empty()) {
        let end = line.find([' ', '=', '\t']).unwrap_or(line.len());
        let (name, value) = line.split_at(end);
        let value = value.trim_start_matches([' ', '\t']).trim_start_matches('=').trim();
        options.push(format!("--{}", name.trim_start_matches('-')));
        if !value.is_empty() {
            options.push(value.to_owned());
        }
    }
    options
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_known() {
        for (index, profile) in PROFILES.iter().enumerate() {
            assert!(named(profile.name).is_some_and(|options| !options.is_empty()));
            assert!(PROFILES[index + 1..].iter().all(|other| other.name != profile.name));
        }
        assert!(named("no-such-thing").is_none());
    }

    #[test]
    fn a_file_is_read_line_by_line() {
        let text =
            "# mine\nmix = get=9,set=1\nkey-size 16   # bytes\n\n--fill-misses\nvalue-size=10-20\n";
        let options =
            ["--mix", "get=9,set=1", "--key-size", "16", "--fill-misses", "--value-size", "10-20"];
        assert_eq!(parse_file(text), options);
    }
}
