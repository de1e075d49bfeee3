//! Administrative commands: words to types.
//!
//! Most subcommands may be abbreviated: the reference compares as many bytes as the client sent,
//! so `stats s` is `stats settings`. The order of the comparisons is therefore part of the
//! protocol.

use super::tokens::Tokens;
use crate::protocol::admin::{
    Admin, Automove, Checked, CrawlTarget, Crawler, Detail, Lru, Stats, WatchStreams,
};
use crate::protocol::number;
use crate::protocol::parser::{Step, reject};
use crate::protocol::reply::line;

/// Classes are numbered 1..=63.
const CLASSES_MAX: u32 = 64;
/// More of a class list is cut off, as in the reference.
const CLASS_LIST_BYTES_MAX: usize = 511;

type Parsed<'a> = Result<Admin<'a>, &'static [u8]>;

/// A line whose command is none of those about keys. These commands know noreply, and are found
/// behind leading spaces too.
pub(super) fn other<'a>(tokens: &Tokens<'a>, consumed: usize) -> Step<'a> {
    let noreply = tokens.noreply();
    let admin = match tokens.get(0) {
        Some(b"flush_all") => Ok(flush_all(tokens, noreply)),
        Some(b"verbosity") => verbosity(tokens, noreply),
        Some(b"shutdown") => Ok(shutdown(tokens, noreply)),
        Some(b"cache_memlimit") => cache_memlimit(tokens, noreply),
        Some(b"slabs") => slabs(tokens, noreply),
        Some(b"lru") => lru(tokens).map(|setting| Admin::Lru { setting, noreply }),
        Some(b"lru_crawler") => crawler(tokens).map(|command| Admin::Crawler { command, noreply }),
        Some(b"refresh_certs") => Ok(Admin::RefreshCerts { noreply }),
        // Somebody mistook the port for a web server; an answer would only confuse him.
        _ if tokens.len() > 1 && tokens.last().is_some_and(|word| word.starts_with(b"HTTP/")) => {
            return super::close(None);
        }
        _ => Err(line::ERROR),
    };
    match admin {
        Ok(admin) => super::admin_request(admin, consumed),
        Err(line) => reject(line, noreply, consumed),
    }
}

fn flush_all<'a>(tokens: &Tokens<'a>, noreply: bool) -> Admin<'a> {
    let words_without_delay = if noreply { 2 } else { 1 };
    let delay = if tokens.len() == words_without_delay {
        Ok(0)
    } else {
        tokens.get(1).and_then(number::exptime_token).ok_or(line::INVALID_EXPTIME)
    };
    Admin::FlushAll { delay, noreply }
}

fn verbosity<'a>(tokens: &Tokens<'a>, noreply: bool) -> Parsed<'a> {
    const LEVEL_MAX: u32 = 2;
    let level = tokens.get(1).and_then(number::u32_token).ok_or(line::BAD_FORMAT)?;
    Ok(Admin::Verbosity { level: level.min(LEVEL_MAX) as u8, noreply })
}

fn shutdown<'a>(tokens: &Tokens<'a>, noreply: bool) -> Admin<'a> {
    let graceful = match (tokens.len(), tokens.get(1)) {
        (1, _) => Ok(false),
        (2, Some(word)) if abbreviates(word, b"graceful") => Ok(true),
        _ => Err(line::SHUTDOWN_INVALID),
    };
    Admin::Shutdown { graceful, noreply }
}

fn cache_memlimit<'a>(tokens: &Tokens<'a>, noreply: bool) -> Parsed<'a> {
    const MEGABYTES_MIN: u32 = 8;
    const MEGABYTES_MAX: u32 = 1_000_000_000;
    match tokens.get(1).and_then(number::u32_token) {
        None => Err(line::ERROR),
        Some(..MEGABYTES_MIN) => Err(line::MEMLIMIT_TOO_SMALL),
        Some(megabytes @ MEGABYTES_MIN..=MEGABYTES_MAX) => {
            Ok(Admin::CacheMemlimit { megabytes, noreply })
        }
        Some(_) => Err(line::MEMLIMIT_NOT_BYTES),
    }
}

fn slabs<'a>(tokens: &Tokens<'a>, noreply: bool) -> Parsed<'a> {
    let word = tokens.get(1).ok_or(line::ERROR)?;
    if tokens.len() == 4 && abbreviates(word, b"reassign") {
        let class = |index| tokens.get(index).and_then(number::i32_token).ok_or(line::BAD_FORMAT);
        let classes = class(2).and_then(|source| Ok((source, class(3)?)));
        Ok(Admin::SlabsReassign { classes, noreply })
    } else if tokens.len() >= 3 && abbreviates(word, b"automove") {
        Ok(Admin::SlabsAutomove { setting: automove(tokens)?, noreply })
    } else {
        Err(line::ERROR)
    }
}

fn automove(tokens: &Tokens<'_>) -> Result<Automove, &'static [u8]> {
    let word = tokens.get(2).ok_or(line::BAD_FORMAT)?;
    let ratio = || tokens.get(3).and_then(number::f64_token).ok_or(line::ERROR);
    if abbreviates(word, b"ratio") {
        Ok(Automove::Ratio(ratio()?))
    } else if abbreviates(word, b"freeratio") {
        Ok(Automove::FreeRatio(ratio()?))
    } else if abbreviates(word, b"window") {
        let window = tokens.get(3).and_then(number::u32_token).ok_or(line::BAD_FORMAT)?;
        if (3..=1800).contains(&window) {
            Ok(Automove::Window(window))
        } else {
            Err(line::AUTOMOVE_WINDOW)
        }
    } else {
        match number::u32_token(word).ok_or(line::BAD_FORMAT)? {
            mode @ 0..=2 => Ok(Automove::Mode(mode as u8)),
            _ => Err(line::ERROR),
        }
    }
}

fn lru(tokens: &Tokens<'_>) -> Result<Lru, &'static [u8]> {
    let word = tokens.get(1).ok_or(line::ERROR)?;
    if abbreviates(word, b"tune") && tokens.len() >= 6 {
        lru_tune(tokens)
    } else if abbreviates(word, b"mode") && tokens.len() >= 3 {
        match tokens.get(2) {
            Some(word) if abbreviates(word, b"flat") => Ok(Lru::Segmented(false)),
            Some(word) if abbreviates(word, b"segmented") => Ok(Lru::Segmented(true)),
            _ => Err(line::ERROR),
        }
    } else if abbreviates(word, b"temp_ttl") && tokens.len() >= 3 {
        let ttl = tokens.get(2).and_then(number::i32_token).ok_or(line::ERROR)?;
        Ok(Lru::TempTtl(u32::try_from(ttl).ok()))
    } else {
        Err(line::ERROR)
    }
}

fn lru_tune(tokens: &Tokens<'_>) -> Result<Lru, &'static [u8]> {
    const PCTS_MAX: u64 = 80;
    let pct = |index| tokens.get(index).and_then(number::u32_token).ok_or(line::ERROR);
    let factor = |index| tokens.get(index).and_then(number::f64_token).ok_or(line::ERROR);
    let (hot_pct, warm_pct) = (pct(2)?, pct(3)?);
    let (hot_factor, warm_factor) = (factor(4)?, factor(5)?);
    if u64::from(hot_pct) + u64::from(warm_pct) > PCTS_MAX {
        return Err(line::LRU_PCTS);
    }
    if hot_factor <= 0.0 || warm_factor <= 0.0 {
        return Err(line::LRU_FACTORS);
    }
    let (hot_pct, warm_pct) = (hot_pct as u8, warm_pct as u8);
    Ok(Lru::Tune { hot_pct, warm_pct, hot_factor, warm_factor })
}

fn crawler(tokens: &Tokens<'_>) -> Result<Crawler, &'static [u8]> {
    let word = tokens.get(1).ok_or(line::ERROR)?;
    match (tokens.len(), tokens.get(2)) {
        (3, Some(argument)) => crawler_with(word, argument),
        (2, _) if abbreviates(word, b"enable") => Ok(Crawler::Enable),
        (2, _) if abbreviates(word, b"disable") => Ok(Crawler::Disable),
        _ => Err(line::ERROR),
    }
}

fn crawler_with(word: &[u8], argument: &[u8]) -> Result<Crawler, &'static [u8]> {
    const SLEEP_US_MAX: u32 = 1_000_000;
    let count = || number::u32_token(argument).ok_or(line::BAD_FORMAT);
    if abbreviates(word, b"crawl") {
        Ok(Crawler::Crawl(crawl_target(argument)))
    } else if abbreviates(word, b"metadump") {
        Ok(Crawler::Metadump(crawl_target(argument)))
    } else if abbreviates(word, b"mgdump") {
        Ok(Crawler::Mgdump(crawl_target(argument)))
    } else if abbreviates(word, b"tocrawl") {
        Ok(Crawler::Tocrawl(count()?))
    } else if abbreviates(word, b"sleep") {
        match count()? {
            sleep_us @ ..=SLEEP_US_MAX => Ok(Crawler::Sleep(sleep_us)),
            _ => Err(line::CRAWLER_SLEEP),
        }
    } else {
        Err(line::ERROR)
    }
}

fn crawl_target(list: &[u8]) -> Checked<CrawlTarget> {
    match list {
        b"all" => return Ok(CrawlTarget::All),
        b"hash" => return Ok(CrawlTarget::Hash),
        _ => {}
    }
    let list = &list[..list.len().min(CLASS_LIST_BYTES_MAX)];
    let mut classes = 0u64;
    for word in list.split(|byte| *byte == b',').filter(|word| !word.is_empty()) {
        // The reference reads these with strtoul into 32 bits.
        match number::c_unsigned(word).map(|class| class as u32) {
            Some(class @ 1..CLASSES_MAX) => classes |= 1 << class,
            _ => return Err(line::CRAWLER_BAD_CLASS),
        }
    }
    Ok(CrawlTarget::Classes(classes))
}

/// The words behind `stats`.
pub(super) fn stats<'a>(tokens: &Tokens<'a>) -> Stats<'a> {
    let Some(word) = tokens.get(1) else { return Stats::General };
    match word {
        _ if abbreviates(word, b"reset") => Stats::Reset,
        _ if abbreviates(word, b"detail") => Stats::Detail(detail(tokens.get(2))),
        _ if abbreviates(word, b"settings") => Stats::Settings,
        _ if abbreviates(word, b"cachedump") => Stats::Cachedump(cachedump(tokens)),
        _ if abbreviates(word, b"conns") => Stats::Conns,
        _ if abbreviates(word, b"extstore") => Stats::Extstore,
        b"items" => Stats::Items,
        b"slabs" => Stats::Slabs,
        b"sizes" => Stats::Sizes,
        b"cores" => Stats::Cores,
        _ => Stats::Other(word),
    }
}

fn detail(word: Option<&[u8]>) -> Checked<Detail> {
    match word {
        Some(word) if abbreviates(word, b"on") => Ok(Detail::On),
        Some(word) if abbreviates(word, b"off") => Ok(Detail::Off),
        Some(word) if abbreviates(word, b"dump") => Ok(Detail::Dump),
        _ => Err(line::DETAIL_USAGE),
    }
}

fn cachedump(tokens: &Tokens<'_>) -> Checked<(u8, u32)> {
    if tokens.len() < 4 {
        return Err(line::BAD_LINE);
    }
    let number = |index| tokens.get(index).and_then(number::u32_token).ok_or(line::BAD_FORMAT);
    let (class, limit) = (number(2)?, number(3)?);
    if class >= CLASSES_MAX { Err(line::CACHEDUMP_CLASS) } else { Ok((class as u8, limit)) }
}

/// The words behind `watch`.
pub(super) fn watch(tokens: &Tokens<'_>) -> Checked<WatchStreams> {
    const STREAMS: [(&[u8], WatchStreams); 10] = [
        (b"rawcmds", WatchStreams::RAWCMDS),
        (b"evictions", WatchStreams::EVICTIONS),
        (b"fetchers", WatchStreams::FETCHERS),
        (b"mutations", WatchStreams::MUTATIONS),
        (b"sysevents", WatchStreams::SYSEVENTS),
        (b"connevents", WatchStreams::CONNEVENTS),
        (b"proxyreqs", WatchStreams::PROXYREQS),
        (b"proxyevents", WatchStreams::PROXYEVENTS),
        (b"proxyuser", WatchStreams::PROXYUSER),
        (b"deletions", WatchStreams::DELETIONS),
    ];
    if tokens.len() == 1 {
        return Ok(WatchStreams::FETCHERS);
    }
    let mut streams = WatchStreams::default();
    for word in (1..tokens.len()).filter_map(|index| tokens.get(index)) {
        let known = STREAMS.iter().find(|(name, _)| abbreviates(word, name));
        let (_, stream) = known.ok_or(line::ERROR)?;
        streams.0 |= stream.0;
    }
    Ok(streams)
}

fn abbreviates(word: &[u8], name: &[u8]) -> bool {
    name.starts_with(word)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::testing::text_parser;
    use crate::protocol::{Refusal, Request};

    fn parse(line: &str) -> Result<Admin<'_>, &'static [u8]> {
        match text_parser().next(line.as_bytes()) {
            Step::Request { request: Request::Admin(admin), consumed } => {
                assert_eq!(consumed, line.len());
                Ok(admin)
            }
            Step::Reject { refusal: Refusal::Line(line), .. } => Err(line),
            Step::Skip { .. } => Err(b""),
            step => panic!("{line:?}: {step:?}"),
        }
    }

    fn stats_of(words: &str) -> Stats<'static> {
        let line: &'static str = format!("stats{words}\r\n").leak();
        match parse(line) {
            Ok(Admin::Stats(stats)) => stats,
            other => panic!("{line:?}: {other:?}"),
        }
    }

    #[test]
    fn stats_may_be_abbreviated_where_the_reference_compares_prefixes() {
        assert_eq!(stats_of(""), Stats::General);
        assert_eq!(stats_of(" s"), Stats::Settings);
        assert_eq!(stats_of(" settings x"), Stats::Settings);
        assert_eq!(stats_of(" items"), Stats::Items);
        assert_eq!(stats_of(" item"), Stats::Other(b"item"));
        assert_eq!(stats_of(" slabs"), Stats::Slabs);
        assert_eq!(stats_of(" sizes"), Stats::Sizes);
        assert_eq!(stats_of(" r"), Stats::Reset);
        assert_eq!(stats_of(" co"), Stats::Conns);
        assert_eq!(stats_of(" cores"), Stats::Cores);
        assert_eq!(stats_of(" cor"), Stats::Other(b"cor"));
        assert_eq!(stats_of(" noreply"), Stats::Other(b"noreply"));
        assert_eq!(stats_of(" detail"), Stats::Detail(Err(line::DETAIL_USAGE)));
        assert_eq!(stats_of(" detail of"), Stats::Detail(Ok(Detail::Off)));
        assert_eq!(stats_of(" d dump"), Stats::Detail(Ok(Detail::Dump)));
        assert_eq!(stats_of(" cachedump 63 0"), Stats::Cachedump(Ok((63, 0))));
        assert_eq!(stats_of(" cachedump 64 0"), Stats::Cachedump(Err(line::CACHEDUMP_CLASS)));
        assert_eq!(stats_of(" cachedump x 0"), Stats::Cachedump(Err(line::BAD_FORMAT)));
        assert_eq!(stats_of(" cachedump 1"), Stats::Cachedump(Err(line::BAD_LINE)));
    }

    #[test]
    fn commands_of_the_whole_server() {
        let flush = |delay, noreply| Ok(Admin::FlushAll { delay, noreply });
        assert_eq!(parse("flush_all\r\n"), flush(Ok(0), false));
        assert_eq!(parse("  flush_all\n"), flush(Ok(0), false));
        assert_eq!(parse("flush_all noreply\r\n"), flush(Ok(0), true));
        assert_eq!(parse("flush_all -5 noreply\r\n"), flush(Ok(-5), true));
        assert_eq!(parse("flush_all x\r\n"), flush(Err(line::INVALID_EXPTIME), false));
        assert_eq!(parse("version noreply\r\n"), Ok(Admin::Version));
        assert_eq!(parse("quit foo\r\n"), Ok(Admin::Quit));
        assert_eq!(parse("verbosity 9\r\n"), Ok(Admin::Verbosity { level: 2, noreply: false }));
        assert_eq!(parse("verbosity\r\n"), Err(line::BAD_FORMAT));
        assert_eq!(parse("verbosity foo bar my\r\n"), Err(line::BAD_FORMAT));
        assert_eq!(parse("verbosity noreply\r\n"), Err(&b""[..]));
        let shutdown = |graceful| Ok(Admin::Shutdown { graceful, noreply: false });
        assert_eq!(parse("shutdown\r\n"), shutdown(Ok(false)));
        assert_eq!(parse("shutdown g\r\n"), shutdown(Ok(true)));
        assert_eq!(parse("shutdown now\r\n"), shutdown(Err(line::SHUTDOWN_INVALID)));
        let limit = |megabytes| Ok(Admin::CacheMemlimit { megabytes, noreply: false });
        assert_eq!(parse("cache_memlimit 8\r\n"), limit(8));
        assert_eq!(parse("cache_memlimit 7\r\n"), Err(line::MEMLIMIT_TOO_SMALL));
        assert_eq!(parse("cache_memlimit 1000000001\r\n"), Err(line::MEMLIMIT_NOT_BYTES));
        assert_eq!(parse("cache_memlimit\r\n"), Err(line::ERROR));
        assert_eq!(parse("refresh_certs\r\n"), Ok(Admin::RefreshCerts { noreply: false }));
    }

    #[test]
    fn slabs_and_lru() {
        let reassign = |classes| Ok(Admin::SlabsReassign { classes, noreply: false });
        assert_eq!(parse("slabs reassign -1 5\r\n"), reassign(Ok((-1, 5))));
        assert_eq!(parse("slabs reassign 1 x\r\n"), reassign(Err(line::BAD_FORMAT)));
        assert_eq!(parse("slabs reassign 1\r\n"), Err(line::ERROR));
        assert_eq!(parse("slabs\r\n"), Err(line::ERROR));
        let automove = |setting| Ok(Admin::SlabsAutomove { setting, noreply: false });
        assert_eq!(parse("slabs automove 2\r\n"), automove(Automove::Mode(2)));
        assert_eq!(parse("slabs automove 3\r\n"), Err(line::ERROR));
        assert_eq!(parse("slabs automove ratio 0.5\r\n"), automove(Automove::Ratio(0.5)));
        assert_eq!(parse("slabs automove ratio\r\n"), Err(line::ERROR));
        assert_eq!(parse("slabs automove window 3\r\n"), automove(Automove::Window(3)));
        assert_eq!(parse("slabs automove window 0\r\n"), Err(line::AUTOMOVE_WINDOW));
        assert_eq!(parse("slabs automove window\r\n"), Err(line::BAD_FORMAT));
        let lru = |setting| Ok(Admin::Lru { setting, noreply: false });
        let tune = Lru::Tune { hot_pct: 10, warm_pct: 25, hot_factor: 0.1, warm_factor: 2.0 };
        assert_eq!(parse("lru tune 10 25 0.1 2.0\r\n"), lru(tune));
        assert_eq!(parse("lru tune 4294967295 2 1 1\r\n"), Err(line::LRU_PCTS));
        assert_eq!(parse("lru tune 10 25 0 2.0\r\n"), Err(line::LRU_FACTORS));
        assert_eq!(parse("lru tune 10 25 0\r\n"), Err(line::ERROR));
        assert_eq!(parse("lru mode flat\r\n"), lru(Lru::Segmented(false)));
        assert_eq!(parse("lru mode\r\n"), Err(line::ERROR));
        assert_eq!(parse("lru temp_ttl -1\r\n"), lru(Lru::TempTtl(None)));
        assert_eq!(parse("lru temp_ttl 61\r\n"), lru(Lru::TempTtl(Some(61))));
        assert_eq!(parse("lru temp_ttl\r\n"), Err(line::ERROR));
        assert_eq!(parse("lru\r\n"), Err(line::ERROR));
    }

    #[test]
    fn crawler_and_watchers() {
        let crawler = |command| Ok(Admin::Crawler { command, noreply: false });
        let target = |target| crawler(Crawler::Metadump(target));
        assert_eq!(parse("lru_crawler enable\r\n"), crawler(Crawler::Enable));
        assert_eq!(parse("lru_crawler enable noreply\r\n"), Err(&b""[..]));
        assert_eq!(parse("lru_crawler sleep 1000000\r\n"), crawler(Crawler::Sleep(1_000_000)));
        assert_eq!(parse("lru_crawler sleep 1000001\r\n"), Err(line::CRAWLER_SLEEP));
        assert_eq!(parse("lru_crawler tocrawl x\r\n"), Err(line::BAD_FORMAT));
        assert_eq!(parse("lru_crawler metadump all\r\n"), target(Ok(CrawlTarget::All)));
        assert_eq!(parse("lru_crawler m hash\r\n"), target(Ok(CrawlTarget::Hash)));
        let classes = Ok(CrawlTarget::Classes(1 << 1 | 1 << 63));
        assert_eq!(parse("lru_crawler metadump 1,63,\r\n"), target(classes));
        for list in ["0", "64", "1,x", "-1"] {
            let line = format!("lru_crawler metadump {list}\r\n");
            assert_eq!(parse(line.leak()), target(Err(line::CRAWLER_BAD_CLASS)));
        }
        let all = Ok(CrawlTarget::All);
        assert_eq!(parse("lru_crawler mgdump all\r\n"), crawler(Crawler::Mgdump(all)));
        assert_eq!(parse("lru_crawler crawl all\r\n"), crawler(Crawler::Crawl(all)));
        assert_eq!(parse("lru_crawler\r\n"), Err(line::ERROR));
        assert_eq!(parse("watch\r\n"), Ok(Admin::Watch(Ok(WatchStreams::FETCHERS))));
        let both = WatchStreams(WatchStreams::EVICTIONS.0 | WatchStreams::DELETIONS.0);
        assert_eq!(parse("watch evictions del\r\n"), Ok(Admin::Watch(Ok(both))));
        assert_eq!(parse("watch nothing\r\n"), Ok(Admin::Watch(Err(line::ERROR))));
    }
}
