//! What `-vv` tells at start: the slab classes, as memcached lists them, and what each core got.

use std::fmt::Write;

use crate::config::limits::MIB;
use crate::core::Shared;
use crate::shard::{ClassTable, PageKind, Shard};

/// One line per class and one per core.
pub(super) fn classes_and_cores(shared: &Shared) -> String {
    let mut text = String::new();
    for (core, lent) in shared.shards.iter().enumerate() {
        let cpu = shared.config.cpus[core].0;
        let memory_mb = shared.config.shard_bytes() / MIB;
        lent.run(&mut |shard: &mut Shard| {
            if core == 0 {
                text.push_str(&classes(shard.class_table()));
            }
            let (arena, index) = shard.page_kinds();
            let (arena, index) = (pages(arena), pages(index));
            let _ = writeln!(
                text,
                "core {core:3}: CPU {cpu}, {memory_mb} MB, arena on {arena}, index on {index}"
            );
        });
    }
    text
}

fn classes(table: &ClassTable) -> String {
    let mut text = String::new();
    for class in table.ids() {
        let (bytes, count) = (table.chunk_bytes(class), table.chunks_per_page(class));
        let number = class.0;
        let _ = writeln!(text, "slab class {number:3}: chunk size {bytes:9} perslab {count:7}");
    }
    text
}

fn pages(kind: PageKind) -> &'static str {
    match kind {
        PageKind::Reserved => "reserved 2 MB pages",
        PageKind::Transparent => "transparent huge pages",
        PageKind::Plain => "4 KB pages",
    }
}
