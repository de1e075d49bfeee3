//! Numbers as people write them: `10s`, `500ms`, `20k`, `1.5M`, `64`, `10-100`, `32:9,1000-2000:1`.

use std::time::Duration;

use crate::workload::facebook;
use crate::workload::mix::{Command, Mix};
use crate::workload::popularity::Popularity;
use crate::workload::size::Sizes;

/// A time: a number with ns, us, ms, s, m, h or d behind it; seconds without.
pub fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = split(text);
    let seconds = match unit {
        "ns" => 1e-9,
        "us" => 1e-6,
        "ms" => 1e-3,
        "s" | "" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        "d" => 86400.0,
        _ => return Err(format!("{unit:?} is no unit of time (ns us ms s m h d)")),
    };
    let value = number.parse::<f64>().map_err(|_| format!("{text:?} is no time"))? * seconds;
    Duration::try_from_secs_f64(value).map_err(|_| format!("{text:?} is no time"))
}

/// A count or a rate: k, M and G are decimal.
pub fn count(text: &str) -> Result<f64, String> {
    scaled(text, 1000.0)
}

/// A count without a fraction.
pub fn whole(text: &str) -> Result<u64, String> {
    Ok(count(text)?.round() as u64)
}

/// A length in bytes: k, M and G are powers of 1024.
pub fn bytes(text: &str) -> Result<u64, String> {
    Ok(scaled(text, 1024.0)?.round() as u64)
}

fn scaled(text: &str, base: f64) -> Result<f64, String> {
    let (number, unit) = split(text);
    let power = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kb" => 1,
        "m" | "mb" => 2,
        "g" | "gb" => 3,
        _ => return Err(format!("{unit:?} is no unit (k M G)")),
    };
    let value = number.parse::<f64>().map_err(|_| format!("{text:?} is no number"))?;
    if value < 0.0 || !value.is_finite() {
        return Err(format!("{text:?} is out of range"));
    }
    Ok(value * base.powi(power))
}

fn split(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    (text[..end].trim(), text[end..].trim())
}

/// Lengths: `64`, `10-100`, a list of these with weights, `32:9,1000-2000:1`, or a law: `fb-key`,
/// `fb-value`, `gev:LOCATION:SCALE:SHAPE`, `pareto:LOCATION:SCALE:SHAPE`,
/// `quantiles:0=1:0.5=100:1=9000`.
pub fn sizes(text: &str) -> Result<Sizes, String> {
    match text.split_once(':').unwrap_or((text, "")) {
        ("fb-key", "") => Ok(facebook::key_sizes()),
        ("fb-value", "") => Ok(facebook::value_sizes()),
        ("gev", numbers) => {
            let [location, scale, shape] = three(numbers)?;
            Ok(Sizes::ExtremeValue { location, scale, shape, min: 1, max: SIZE_MAX })
        }
        ("pareto", numbers) => {
            let [location, scale, shape] = three(numbers)?;
            Ok(Sizes::Pareto { location, scale, shape, max: SIZE_MAX })
        }
        ("quantiles", points) => quantiles(points),
        _ => weighted_sizes(text, bytes),
    }
}

/// Laws without an upper end are cut at memcached's largest item.
const SIZE_MAX: u64 = 1_000_000;

fn three(text: &str) -> Result<[f64; 3], String> {
    let numbers: Option<Vec<f64>> = text.split(':').map(|number| number.parse().ok()).collect();
    let numbers = numbers.and_then(|numbers| <[f64; 3]>::try_from(numbers).ok());
    let numbers = numbers.filter(|numbers| numbers[1] > 0.0 && numbers[2] != 0.0);
    numbers.ok_or_else(|| format!("{text:?} is not LOCATION:SCALE:SHAPE"))
}

fn quantiles(text: &str) -> Result<Sizes, String> {
    let point = |point: &str| {
        let (share, length) = point.split_once('=')?;
        Some((share.parse::<f64>().ok()?, bytes(length).ok()? as f64))
    };
    let points: Option<Vec<_>> = text.split(':').map(point).collect();
    let rising = |points: &Vec<(f64, f64)>| {
        points.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 <= pair[1].1)
    };
    let points = points.filter(rising);
    points
        .map(Sizes::Quantiles)
        .ok_or_else(|| format!("{text:?} is no list of rising SHARE=LENGTH"))
}

/// Times to live in seconds, with the same grammar: `60`, `1h-2h`, `0:9,60:1`.
pub fn expiries(text: &str) -> Result<Sizes, String> {
    weighted_sizes(text, |text| duration(text).map(|time| time.as_secs()))
}

fn weighted_sizes(
    text: &str,
    number: impl Fn(&str) -> Result<u64, String>,
) -> Result<Sizes, String> {
    let mut parts = Vec::new();
    for part in text.split(',') {
        let (range, weight) = part.split_once(':').unwrap_or((part, "1"));
        let weight = weight.parse::<f64>().map_err(|_| format!("{weight:?} is no weight"))?;
        let (low, high) = range.split_once('-').unwrap_or((range, range));
        parts.push((weight, number(low)?, number(high)?));
    }
    match parts[..] {
        [(_, low, high)] if low == high => Ok(Sizes::Fixed(low)),
        [(_, low, high)] if low < high => Ok(Sizes::Uniform(low, high)),
        _ => Sizes::weighted(&parts).ok_or_else(|| format!("{text:?} is no list of lengths")),
    }
}

/// A mix: `get=9,set=1`, or `9:1` for gets and sets.
pub fn mix(text: &str) -> Result<Mix, String> {
    let weight = |text: &str| text.parse::<f64>().map_err(|_| format!("{text:?} is no weight"));
    let mut weights = Vec::new();
    if let Some((gets, sets)) = text.split_once(':').filter(|_| !text.contains('=')) {
        weights.extend([(Command::Get, weight(gets)?), (Command::Set, weight(sets)?)]);
    } else {
        for part in text.split(',') {
            let (name, share) = part.split_once('=').unwrap_or((part, "1"));
            let command = Command::named(name).ok_or_else(|| unknown_command(name))?;
            weights.push((command, weight(share)?));
        }
    }
    Mix::new(&weights).ok_or_else(|| format!("{text:?} has no weight above zero"))
}

fn unknown_command(name: &str) -> String {
    let names: Vec<_> = Command::ALL.iter().map(|command| command.name()).collect();
    format!("{name:?} is no command ({})", names.join(" "))
}

/// A law of popularity: `uniform`, `zipf:0.99`, `hot:0.1:0.9`, `sequential`.
pub fn popularity(text: &str) -> Result<Popularity, String> {
    let number = |text: &str| {
        let number = text.parse::<f64>().ok().filter(|number| *number >= 0.0 && number.is_finite());
        number.ok_or_else(|| format!("{text:?} is no number"))
    };
    let parts: Vec<_> = text.split(':').collect();
    match parts[..] {
        ["uniform"] => Ok(Popularity::Uniform),
        ["sequential"] => Ok(Popularity::Sequential),
        ["zipf"] => Ok(Popularity::Zipf(0.99)),
        ["zipf", exponent] => Ok(Popularity::Zipf(number(exponent)?)),
        ["hot", keys, share] => {
            let (keys, share) = (number(keys)?, number(share)?);
            if keys > 1.0 || share > 1.0 {
                return Err("a hot set has two shares between 0 and 1".into());
            }
            Ok(Popularity::HotSet(keys, share))
        }
        _ => Err(format!("{text:?} is none of uniform, zipf:S, hot:KEYS:SHARE, sequential")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_counts() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
        assert_eq!(duration("10"), Ok(Duration::from_secs(10)));
        assert!(duration("10x").is_err() && duration("-1s").is_err() && duration("").is_err());
        assert_eq!(count("20k"), Ok(20_000.0));
        assert_eq!(whole("1.5M"), Ok(1_500_000));
        assert_eq!(bytes("10k"), Ok(10_240));
        assert!(count("-5").is_err() && count("nan").is_err());
    }

    #[test]
    fn lengths() {
        assert_eq!(sizes("64"), Ok(Sizes::Fixed(64)));
        assert_eq!(sizes("10-1k"), Ok(Sizes::Uniform(10, 1024)));
        let list = Sizes::Weighted(vec![(0.75, 32, 32), (1.0, 100, 200)]);
        assert_eq!(sizes("32:3,100-200:1"), Ok(list));
        assert!(sizes("gev:30:8:0.1").is_ok() && sizes("pareto:15:2").is_err());
        assert!(sizes("quantiles:0=1:0.5=10:1=100").is_ok() && sizes("quantiles:1=5:0=9").is_err());
        assert!(sizes("9-3").is_err() && sizes("a").is_err() && sizes("5:0").is_ok());
        assert_eq!(expiries("1h"), Ok(Sizes::Fixed(3600)));
    }

    #[test]
    fn mixes() {
        assert!((mix("9:1").expect("a mix").share(Command::Get) - 0.9).abs() < 1e-9);
        assert_eq!(mix("get"), Ok(Mix::only(Command::Get)));
        assert!(mix("get=1,delete=0.5").is_ok());
        assert!(mix("fetch=1").is_err() && mix("get=x").is_err() && mix("0:0").is_err());
    }

    #[test]
    fn laws_of_popularity() {
        assert_eq!(popularity("zipf:1.2"), Ok(Popularity::Zipf(1.2)));
        assert_eq!(popularity("hot:0.1:0.9"), Ok(Popularity::HotSet(0.1, 0.9)));
        assert!(popularity("hot:2:0.9").is_err() && popularity("zipf:-1").is_err());
    }
}
