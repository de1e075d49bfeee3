//! The sizes of chunks: a table made once from the configuration.
//!
//! Sizes grow by the factor `-f` from the smallest to the largest chunk, each rounded up to a
//! multiple of 8, as in memcached. With the default of 1.25 that leaves a ninth of each chunk
//! empty, for sizes that are evenly spread. More classes waste less, but each of them needs pages
//! of its own, and the fewer pages a class has, the more coarsely memory is divided. So small
//! items, which are most, have finer steps in shards that have the pages for it ([`Fineness`]).
//! Measured by `benches/hits.py`: with 64 MB and two steps for one, 4 to 8 % fewer misses; with 16
//! MB that costs as much as it gains. A class that has too few items for a page is a guest of a
//! larger one (see `Slabs::host_of`).
//!
//! memcached's smallest chunk is its 48 bytes of header plus `-n`; here it is 16 plus `-n`, because
//! the header is that much smaller and rounding costs less so.

use super::PAGE_BYTES;
use crate::shard::item::{HEADER_BYTES, LocUnit};

/// A slab class, numbered from 1 as the statistics show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClassId(pub u8);

/// Most classes there can be; ids are 1 to this.
pub const CLASS_COUNT_MAX: usize = 63;

/// What the smallest chunk has beyond `-n`.
const CHUNK_BASE_BYTES: usize = 16;
/// What sizes are multiples of, but for the small ones that a table lists and in shards so large
/// that locations have a larger unit.
const SIZE_UNIT_BYTES: usize = 8;

/// Bytes of memory from which on shards have another table than those with less.
pub const TABLE_MEMORY_BYTES: [usize; 3] = [0, 24 << 20, 128 << 20];

/// How finely the sizes of small chunks are stepped.
struct Fineness {
    /// Sizes after the smallest one, as far as they are larger and locations can name them.
    listed: &'static [usize],
    /// Steps that are taken instead of each one by the factor.
    steps: i32,
    /// Sizes from here on grow by the factor as it is.
    fine_below: usize,
}

/// For shards of each of [`TABLE_MEMORY_BYTES`]. The last has as many classes as there may be.
const FINENESS: [Fineness; TABLE_MEMORY_BYTES.len()] = [
    Fineness { listed: &[], steps: 1, fine_below: 0 },
    Fineness { listed: &[], steps: 2, fine_below: 6144 },
    Fineness {
        listed: &[72, 76, 80, 84, 88, 92, 96, 100, 104, 112, 120, 128],
        steps: 2,
        fine_below: 3072,
    },
];

impl Fineness {
    /// Sizes from the smallest to the last that is a step below the largest; as an error, as many
    /// of them as there may be classes.
    fn sizes(
        &self,
        smallest: usize,
        factor: f64,
        largest: usize,
        unit: LocUnit,
    ) -> Result<Vec<u32>, Vec<u32>> {
        let mut sizes = Vec::new();
        let mut size = smallest;
        while (size as f64) <= largest as f64 / factor {
            if sizes.len() + 1 == CLASS_COUNT_MAX {
                return Err(sizes);
            }
            sizes.push(size as u32);
            let follows = |&listed: &usize| listed > size && listed.is_multiple_of(unit.bytes());
            let listed = self.listed.iter().copied().find(follows);
            size = listed.unwrap_or_else(|| self.step(size, factor, unit));
        }
        Ok(sizes)
    }

    /// The size a step after another.
    fn step(&self, size: usize, factor: f64, unit: LocUnit) -> usize {
        let steps = if size < self.fine_below { self.steps } else { 1 };
        let times = factor.powf(1.0 / f64::from(steps));
        let unit_bytes = size_unit_bytes(unit);
        ((size as f64 * times) as usize).next_multiple_of(unit_bytes).max(size + unit_bytes)
    }
}

/// Sizes below this are looked up directly.
const DIRECT_BYTES: usize = 8192;
/// What all sizes are multiples of.
const DIRECT_UNIT_BYTES: usize = LocUnit::FINEST.bytes();

/// What sizes that are not listed are multiples of.
fn size_unit_bytes(unit: LocUnit) -> usize {
    unit.bytes().max(SIZE_UNIT_BYTES)
}

/// The chunk sizes of all classes.
#[derive(Clone, Debug)]
pub struct ClassTable {
    /// By class id; entry 0 is unused and 0.
    sizes: Vec<u32>,
    /// The class of every size below `DIRECT_BYTES`, by units of 4 bytes.
    direct: Box<[u8]>,
    unit: LocUnit,
}

impl ClassTable {
    /// Makes the table. `chunk_bytes_min` is `-n`, `factor` is `-f`; `memory_bytes` is what the
    /// shard has, for pages and index.
    ///
    /// # Panics
    /// If the largest chunk does not fit a page or the factor is not above 1.
    #[must_use]
    pub fn new(
        chunk_bytes_min: usize,
        factor: f64,
        chunk_bytes_max: usize,
        memory_bytes: usize,
    ) -> Self {
        assert!(chunk_bytes_max <= PAGE_BYTES, "a chunk fits a page");
        assert!(factor > 1.0, "sizes grow");
        let unit = LocUnit::of_shard(memory_bytes);
        let unit_bytes = size_unit_bytes(unit);
        let chunk_bytes_max = chunk_bytes_max / unit_bytes * unit_bytes;
        let smallest = (CHUNK_BASE_BYTES + chunk_bytes_min).max(HEADER_BYTES * 2);
        let smallest = smallest.next_multiple_of(unit_bytes);
        let tables = TABLE_MEMORY_BYTES.iter().filter(|&&bytes| bytes <= memory_bytes).count();
        // Where a small factor makes too many classes, coarser steps get farther.
        let sizes = FINENESS[..tables]
            .iter()
            .rev()
            .find_map(|fineness| fineness.sizes(smallest, factor, chunk_bytes_max, unit).ok())
            .unwrap_or_else(|| match FINENESS[0].sizes(smallest, factor, chunk_bytes_max, unit) {
                Ok(sizes) | Err(sizes) => sizes,
            });
        Self::with_sizes([&[0], &sizes[..], &[chunk_bytes_max as u32]].concat(), unit)
    }

    /// Makes the table of explicit sizes, in order; the largest chunk comes behind them.
    /// `memory_bytes` is what the shard has.
    ///
    /// # Panics
    /// If they do not rise, or there are too many.
    #[must_use]
    pub fn of(sizes: &[usize], chunk_bytes_max: usize, memory_bytes: usize) -> Self {
        assert!(chunk_bytes_max <= PAGE_BYTES, "a chunk fits a page");
        assert!(sizes.len() < CLASS_COUNT_MAX, "class ids end at {CLASS_COUNT_MAX}");
        assert!(sizes.is_sorted_by(|a, b| a < b), "sizes rise");
        let unit = LocUnit::of_shard(memory_bytes);
        let unit_bytes = size_unit_bytes(unit);
        let largest = chunk_bytes_max / unit_bytes * unit_bytes;
        let rounded = sizes.iter().map(|size| size.next_multiple_of(unit_bytes));
        let mut all = vec![0];
        all.extend(rounded.filter(|size| *size < largest).map(|size| size as u32));
        all.dedup();
        all.push(largest as u32);
        Self::with_sizes(all, unit)
    }

    fn with_sizes(sizes: Vec<u32>, unit: LocUnit) -> Self {
        let class = |bytes: usize| sizes[1..].partition_point(|&size| (size as usize) < bytes) + 1;
        let units = 0..=DIRECT_BYTES / DIRECT_UNIT_BYTES;
        let direct = units.map(|units| class(units * DIRECT_UNIT_BYTES) as u8).collect();
        Self { sizes, direct, unit }
    }

    /// What locations of these chunks count in.
    pub(in crate::shard) const fn unit(&self) -> LocUnit {
        self.unit
    }

    /// Number of classes.
    #[must_use]
    pub fn count(&self) -> usize {
        self.sizes.len() - 1
    }

    /// All classes, smallest first.
    pub fn ids(&self) -> impl Iterator<Item = ClassId> + use<> {
        (1..=self.count() as u8).map(ClassId)
    }

    /// Bytes of a chunk of the class.
    #[must_use]
    #[inline]
    pub fn chunk_bytes(&self, class: ClassId) -> usize {
        self.sizes[usize::from(class.0)] as usize
    }

    /// Chunks in a page of the class.
    #[must_use]
    pub fn chunks_per_page(&self, class: ClassId) -> u32 {
        (PAGE_BYTES / self.chunk_bytes(class)) as u32
    }

    /// Bytes of the largest chunk.
    #[must_use]
    #[inline]
    pub fn chunk_bytes_max(&self) -> usize {
        self.sizes[self.sizes.len() - 1] as usize
    }

    /// The class of the largest chunks.
    #[must_use]
    pub fn largest(&self) -> ClassId {
        ClassId(self.count() as u8)
    }

    /// The smallest class whose chunk holds `bytes`; at most the largest chunk may be asked for.
    #[must_use]
    #[inline]
    pub fn class_for(&self, bytes: usize) -> ClassId {
        debug_assert!(bytes <= self.chunk_bytes_max());
        if bytes <= DIRECT_BYTES {
            return ClassId(self.direct[bytes.div_ceil(DIRECT_UNIT_BYTES)]);
        }
        ClassId((self.sizes[1..].partition_point(|&size| (size as usize) < bytes) + 1) as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_table_starts_as_documented_and_ends_with_the_largest_chunk() {
        for (memory_mb, starts) in [
            (16, [64, 80, 104, 136, 176, 224, 280, 352, 440, 552]),
            (64, [64, 72, 80, 96, 112, 128, 144, 160, 184, 208]),
            (1024, [64, 72, 76, 80, 84, 88, 92, 96, 100, 104]),
            (16 << 10, [64, 72, 80, 88, 96, 104, 112, 120, 128, 144]),
            (32 << 10, [64, 80, 96, 112, 128, 144, 160, 192, 224, 256]),
        ] {
            let table = ClassTable::new(48, 1.25, 512 << 10, memory_mb << 20);
            let sizes: Vec<_> = table.ids().take(10).map(|id| table.chunk_bytes(id)).collect();
            assert_eq!(sizes, starts);
            assert_eq!(table.chunk_bytes(table.largest()), 512 << 10);
            assert!(table.count() <= CLASS_COUNT_MAX);
        }
    }

    #[test]
    fn a_small_factor_does_not_end_before_the_largest_chunks_for_the_sake_of_fine_steps() {
        for factor in [1.18, 1.2] {
            let table = ClassTable::new(48, factor, 512 << 10, 1 << 30);
            let last_but_one = table.chunk_bytes(ClassId(table.largest().0 - 1));
            assert!(last_but_one as f64 * factor * factor > f64::from(512 << 10), "{last_but_one}");
        }
    }

    #[test]
    fn explicit_sizes_are_rounded_up_and_end_with_the_largest_chunk() {
        let table = ClassTable::of(&[100, 101, 250, 1 << 20], 16 << 10, 1 << 30);
        let sizes: Vec<_> = table.ids().map(|id| table.chunk_bytes(id)).collect();
        assert_eq!(sizes, [104, 256, 16 << 10]);
        assert_eq!(table.class_for(105), ClassId(2));
    }

    #[test]
    fn every_size_gets_the_smallest_class_that_holds_it() {
        for (min, factor, max) in [(48, 1.25, 512 << 10), (1, 1.01, 1 << 20), (500, 2.0, 4096)] {
            let table = ClassTable::new(min, factor, max, 1 << 30);
            assert!(table.count() <= CLASS_COUNT_MAX);
            for bytes in (1..20_000).chain([max - 1, max]).filter(|&bytes| bytes <= max) {
                let class = table.class_for(bytes);
                assert!(table.chunk_bytes(class) >= bytes);
                let smaller = ClassId(class.0 - 1);
                assert!(smaller.0 == 0 || table.chunk_bytes(smaller) < bytes);
            }
        }
    }
}
