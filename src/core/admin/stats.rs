//! `stats`: which family is asked for, and in which form it goes out.

use super::listing::{Form, Listing};
use super::registry::Seconds;
use super::{cachedump, classes, cores, facts, general, settings};
use crate::conn::ConnId;
use crate::core::state::State;
use crate::protocol::admin::{Detail, Stats};
use crate::protocol::reply::line;

impl State {
    /// Answers `stats` in the form of the protocol that asked; perhaps later.
    pub(in crate::core) fn statistics(&mut self, id: ConnId, stats: &Stats<'_>, form: Form) {
        if *stats == Stats::Sizes && self.shared.config.track_sizes {
            return self.begin_sizes(id, form);
        }
        let reply = self.list_statistics(id, stats, form);
        self.reply(id, &reply);
    }

    fn list_statistics(&mut self, id: ConnId, stats: &Stats<'_>, form: Form) -> Vec<u8> {
        let mut listing = Listing::new(form);
        let shared = &self.shared;
        match stats {
            Stats::General => general::list(shared, &mut listing),
            Stats::Settings => settings::list(shared, &mut listing),
            Stats::Items => classes::list_items(shared, &mut listing),
            Stats::Slabs => classes::list_slabs(shared, &mut listing),
            Stats::Sizes => listing.put("sizes_status", "disabled"),
            Stats::Cores => cores::list(shared, &mut listing),
            Stats::Conns => self.list_connections(id, &mut listing),
            Stats::Extstore => {}
            Stats::Reset => {
                facts::reset(shared);
                shared.admin.detail.clear();
                return listing.end_with(line::RESET);
            }
            Stats::Detail(detail) => match self.detail(*detail, &mut listing) {
                Ok(last) => return listing.end_with(last),
                Err(refusal) => return listing.refuse(refusal),
            },
            Stats::Cachedump(arguments) => {
                let arguments = if self.shared.config.dump_enabled {
                    *arguments
                } else {
                    Err(line::CACHEDUMP_NOT_ALLOWED)
                };
                match arguments {
                    Ok((class, limit)) => {
                        cachedump::list(shared, self.clock, class, limit, &mut listing);
                    }
                    Err(refusal) => return listing.refuse(refusal),
                }
            }
            Stats::Other(_) => return listing.refuse(line::ERROR),
        }
        listing.end()
    }

    fn list_connections(&self, asking: ConnId, listing: &mut Listing) {
        let seconds = Seconds { now: self.clock.now, uptime: self.shared.clock.uptime_s() };
        for (core, registry) in self.shared.admin.registries.iter().enumerate() {
            let asking = (core == self.index).then_some(asking);
            registry.list(asking, seconds, listing);
        }
    }

    /// `stats detail`: the line that ends the answer.
    fn detail(
        &self,
        command: Result<Detail, &'static [u8]>,
        listing: &mut Listing,
    ) -> Result<&'static [u8], &'static [u8]> {
        if !self.shared.config.dump_enabled {
            return Err(line::DETAIL_NOT_ALLOWED);
        }
        let detail = &self.shared.admin.detail;
        match command? {
            Detail::On => detail.switch(true),
            Detail::Off => detail.switch(false),
            Detail::Dump => {
                listing.put_lines(b"detailed", &detail.dump());
                return Ok(line::END);
            }
        }
        self.shared.admin.update_traced();
        Ok(line::OK)
    }
}
