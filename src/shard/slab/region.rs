//! Address ranges reserved once and given memory step by step, so that nothing ever moves.
//!
//! A region reserves its whole address range at start, which costs no memory, and commits a
//! growing prefix of it. Everything that lies in a region is addressed by its distance from the
//! start, never by a pointer, so that it means the same wherever the region is mapped. Memory that
//! will be needed soon can be provided beforehand, see `ahead`.
//!
//! All raw memory access of the shard is in this file. Each access checks that it lies in the
//! committed prefix, and every type read from a region accepts any bytes ([`Plain`]), so the
//! functions here are safe to call with any arguments; a wrong one panics.
//!
//! A region may be a part of a file. It is mapped whole then, and before a range of it is used the
//! file system must have [provided](Region::provide) memory, because a page for which it has none
//! ends the process at first touch.

#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::sync::atomic::{Ordering::SeqCst, compiler_fence};
use std::task::Waker;

use super::ahead::Ahead;

/// Size of the large pages that the processor and the kernel offer.
pub(in crate::shard) const HUGE_PAGE_BYTES: usize = 2 << 20;

/// Size of the smallest pages that the kernel offers.
const PAGE_BYTES_MIN: usize = 4 << 10;

/// What kind of memory pages lie below a region. The order is that of preference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageKind {
    /// 2 MB pages from the pool that the administrator reserved.
    Reserved,
    /// 4 KB pages that the kernel was asked to join into 2 MB pages where it can.
    Transparent,
    /// 4 KB pages.
    Plain,
}

/// Types that any initialised bytes make a valid value of.
///
/// # Safety
/// Every bit pattern must be valid and there must be no padding.
pub(in crate::shard) unsafe trait Plain: Copy {}

// SAFETY: an integer.
unsafe impl Plain for u64 {}

/// The part of a file that a region is.
#[derive(Clone, Debug)]
pub struct FilePart {
    /// The file, open for reading and writing.
    pub file: Arc<File>,
    /// Where the part starts and how long it is: multiples of 2 MB.
    pub offset: u64,
    /// Its length.
    pub bytes: usize,
    /// What the file system's memory consists of: `Reserved` for hugetlbfs.
    pub kind: PageKind,
}

impl FilePart {
    /// Has the file system set memory aside for a range, or with `PUNCH` take it back.
    fn allocate(&self, mode: i32, offset: usize, bytes: usize) -> io::Result<()> {
        let from = (self.offset + offset as u64).cast_signed();
        // SAFETY: a system call on a descriptor of ours that touches no memory of this process;
        // `PUNCH` zeroes file contents that the region says nobody refers to.
        let result = unsafe {
            libc::fallocate(self.file.as_raw_fd(), mode, from, (bytes as u64).cast_signed())
        };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }
}

/// Mode of `fallocate(2)` that gives memory back.
const PUNCH: i32 = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE;

/// The reserved range itself; unmapped when the last holder goes.
#[derive(Debug)]
pub(in crate::shard) struct Mapping {
    start: NonNull<u8>,
    bytes: usize,
    /// First byte used, aligned to a huge page.
    base: NonNull<u8>,
}

// SAFETY: a mapping is an address range; who may touch which part of it is the business of
// `Region` (exclusive through `&mut`) and of pins and reservations (one chunk, one holder).
unsafe impl Send for Mapping {}
// SAFETY: see above; the mapping itself has no mutable state.
unsafe impl Sync for Mapping {}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the range was mapped by `Mapping::reserve` and nobody holds it any more.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.bytes) };
    }
}

impl Mapping {
    /// Reserves `bytes` of addresses from `base` on.
    fn reserve(bytes: usize) -> io::Result<Self> {
        let bytes = bytes + HUGE_PAGE_BYTES;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: a fresh anonymous mapping touches no existing memory.
        let start = unsafe { libc::mmap(ptr::null_mut(), bytes, libc::PROT_NONE, flags, -1, 0) };
        let start = match NonNull::new(start.cast::<u8>()) {
            Some(start) if start.as_ptr().cast() != libc::MAP_FAILED => start,
            _ => return Err(io::Error::last_os_error()),
        };
        let skip = start.as_ptr().align_offset(HUGE_PAGE_BYTES);
        // SAFETY: `skip` is below HUGE_PAGE_BYTES, by which the range is longer than asked for.
        let base = unsafe { start.add(skip) };
        Ok(Self { start, bytes, base })
    }

    /// Makes a range readable and writable. What it holds stays; fresh bytes are zero.
    ///
    /// # Errors
    /// What the kernel said when it had no memory.
    pub(super) fn open(&self, range: Range<usize>, kind: PageKind) -> io::Result<()> {
        let access = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: the range is ours; this only makes it accessible.
        let result =
            unsafe { libc::mprotect(self.address(range.start).cast(), range.len(), access) };
        if result != 0 {
            return Err(io::Error::last_os_error());
        }
        if kind == PageKind::Transparent {
            let start = range.start / HUGE_PAGE_BYTES * HUGE_PAGE_BYTES;
            self.advise(start..range.end, libc::MADV_HUGEPAGE);
        }
        Ok(())
    }

    /// Touches every page of an open range, which has the kernel provide it, while the range may
    /// be in use. The kernel's own way (`MADV_POPULATE_WRITE`) holds a lock of the whole process
    /// until it is done, which is long for a thread that gets no time; a touch does not.
    pub(super) fn touch(&self, range: Range<usize>) {
        range.step_by(PAGE_BYTES_MIN).for_each(|offset| self.touch_page(offset));
    }

    #[cfg(target_arch = "x86_64")]
    fn touch_page(&self, offset: usize) {
        let at = self.address(offset);
        // SAFETY: the byte is ours and open. In one step, so that nobody's store can be lost, it
        // gets the value that it has. The language has no such access, hence assembly.
        unsafe { core::arch::asm!("lock or byte ptr [{}], 0", in(reg) at, options(nostack)) };
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn touch_page(&self, offset: usize) {
        self.advise(offset..offset + PAGE_BYTES_MIN, libc::MADV_POPULATE_WRITE);
    }

    fn advise(&self, range: Range<usize>, advice: i32) -> bool {
        let at = self.address(range.start);
        // SAFETY: the range is ours, and no advice used here makes it inaccessible.
        unsafe { libc::madvise(at.cast(), range.len(), advice) == 0 }
    }

    fn address(&self, offset: usize) -> *mut u8 {
        self.base.as_ptr().wrapping_add(offset)
    }
}

/// A reserved range with a committed prefix.
#[derive(Debug)]
pub(in crate::shard) struct Region {
    /// First byte, aligned to a huge page. Valid as long as `mapping` lives.
    base: NonNull<u8>,
    /// Readable and writable bytes from `base`. `committed <= reserved`.
    committed: usize,
    reserved: usize,
    /// Bytes that are, or will soon be, in use.
    expected: usize,
    /// What is tried next; falls, never rises.
    kind: PageKind,
    mapping: Arc<Mapping>,
    /// With it, what is expected is provided by another thread.
    ahead: Option<Arc<Ahead>>,
    /// Where the contents lie, if it is not memory of the process alone.
    part: Option<FilePart>,
}

// SAFETY: the region owns its mapping's contents; exclusive access goes through `&mut self`.
unsafe impl Send for Region {}

impl Region {
    /// Reserves `bytes` of addresses; memory comes with [`Region::commit`].
    pub(in crate::shard) fn reserve(bytes: usize, kind: PageKind) -> io::Result<Self> {
        let reserved = bytes.next_multiple_of(HUGE_PAGE_BYTES);
        let mapping = Arc::new(Mapping::reserve(reserved)?);
        let kind = if kind == PageKind::Reserved { kind } else { transparent_or_plain(kind) };
        let base = mapping.base;
        let (committed, expected) = (0, 0);
        Ok(Self { base, committed, reserved, expected, kind, mapping, part: None, ahead: None })
    }

    /// From now on another thread provides what is expected, each time that `waker` wakes it.
    ///
    /// Opening memory later would have to wait for that thread, so all that may ever be used, up to
    /// `upto`, is opened now. The first huge page's worth stays small pages that are had when they
    /// are touched, because a huge page of which little is used would be a waste. Pages of the
    /// reserved pool are cleared by whoever touches them first.
    pub(in crate::shard) fn supply(&mut self, upto: usize, waker: &Waker) -> Option<Arc<Ahead>> {
        let from = self.committed.next_multiple_of(HUGE_PAGE_BYTES).max(HUGE_PAGE_BYTES);
        let upto = upto.next_multiple_of(HUGE_PAGE_BYTES).min(self.reserved);
        if self.kind == PageKind::Reserved || from >= upto {
            return None;
        }
        // Where the system won't promise so much, each part is opened when it is needed.
        let (open, small) = (self.committed..upto, self.committed..from.min(upto));
        if !small.is_empty() {
            self.mapping.open(small, PageKind::Plain).ok()?;
        }
        self.mapping.open(from..upto, self.kind).ok()?;
        let ahead = Ahead::new(Arc::clone(&self.mapping), open, from, waker.clone());
        let ahead = Arc::new(ahead);
        self.ahead = Some(Arc::clone(&ahead));
        Some(ahead)
    }

    /// Says that the prefix will soon reach `upto` bytes.
    #[inline]
    pub(in crate::shard) fn expect(&mut self, upto: usize) {
        let upto = upto.min(self.reserved);
        if upto <= self.expected() {
            return;
        }
        self.expected = upto;
        if let Some(ahead) = &self.ahead {
            ahead.expect(upto);
        }
    }

    /// Bytes that are, or will soon be, in use.
    pub(in crate::shard) const fn expected(&self) -> usize {
        if self.expected > self.committed { self.expected } else { self.committed }
    }

    /// Maps a part of a file, all of which counts as committed.
    pub(in crate::shard) fn of_file(part: FilePart) -> io::Result<Self> {
        assert!(part.bytes.is_multiple_of(HUGE_PAGE_BYTES), "parts are whole huge pages");
        let mut region = Self::reserve(part.bytes, PageKind::Plain)?;
        let access = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_SHARED | libc::MAP_FIXED;
        let (at, file) = (region.address(0).cast(), part.file.as_raw_fd());
        let from = part.offset.cast_signed();
        // SAFETY: the range is ours, uncommitted and so unreferenced; MAP_FIXED replaces it.
        let got = unsafe { libc::mmap(at, part.bytes, access, flags, file, from) };
        if got != at {
            return Err(io::Error::last_os_error());
        }
        region.kind = part.kind;
        region.committed = region.reserved;
        region.part = Some(part);
        Ok(region)
    }

    /// Whether the contents lie in a file.
    pub(in crate::shard) const fn is_file(&self) -> bool {
        self.part.is_some()
    }

    /// Bytes that may be accessed.
    pub(in crate::shard) const fn committed(&self) -> usize {
        self.committed
    }

    /// Bytes that may be committed at most.
    pub(in crate::shard) const fn reserved(&self) -> usize {
        self.reserved
    }

    /// The kind of page that the latest commit got.
    pub(in crate::shard) const fn kind(&self) -> PageKind {
        self.kind
    }

    /// The first byte. Valid as long as the mapping is held.
    pub(in crate::shard) const fn base(&self) -> NonNull<u8> {
        self.base
    }

    /// Keeps the address range mapped for as long as the result lives.
    pub(in crate::shard) fn mapping(&self) -> Arc<Mapping> {
        Arc::clone(&self.mapping)
    }

    /// Grows the committed prefix to `upto` bytes; new bytes are zero.
    ///
    /// # Errors
    /// What the kernel said when it had no memory; the prefix is then as before.
    pub(in crate::shard) fn commit(&mut self, upto: usize) -> io::Result<()> {
        assert!(upto <= self.reserved, "commit beyond the reserved range");
        if upto <= self.committed {
            return Ok(());
        }
        if self.kind == PageKind::Reserved {
            let upto = upto.next_multiple_of(HUGE_PAGE_BYTES);
            if self.commit_reserved(upto) {
                return Ok(());
            }
            self.kind = transparent_or_plain(PageKind::Transparent);
        }
        self.commit_anonymous(upto)
    }

    /// Maps pages of the reserved pool over the range; false when the pool is empty.
    fn commit_reserved(&mut self, upto: usize) -> bool {
        let from = self.committed.next_multiple_of(HUGE_PAGE_BYTES);
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED | libc::MAP_HUGETLB;
        let access = libc::PROT_READ | libc::PROT_WRITE;
        let at = self.address(from);
        // SAFETY: the range is ours, uncommitted and so unreferenced; MAP_FIXED replaces it.
        let got = unsafe { libc::mmap(at.cast(), upto - from, access, flags, -1, 0) };
        if got == at.cast() {
            self.committed = upto;
            return true;
        }
        // The failed attempt has unmapped the range. Take it again before somebody else does.
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED | libc::MAP_NORESERVE;
        // SAFETY: as above; the range holds nothing.
        let got = unsafe { libc::mmap(at.cast(), upto - from, libc::PROT_NONE, flags, -1, 0) };
        assert!(got == at.cast(), "the reserved range was lost: {}", io::Error::last_os_error());
        false
    }

    fn commit_anonymous(&mut self, upto: usize) -> io::Result<()> {
        if self.ahead.as_ref().is_none_or(|ahead| !ahead.covers(self.committed..upto)) {
            self.mapping.open(self.committed..upto, self.kind)?;
        }
        self.committed = upto;
        Ok(())
    }

    /// Commits the first `bytes` as small pages, for a part that is hardly touched.
    ///
    /// # Errors
    /// What the kernel said.
    pub(in crate::shard) fn skip(&mut self, bytes: usize) -> io::Result<()> {
        let kind = std::mem::replace(&mut self.kind, PageKind::Plain);
        let result = self.commit(bytes);
        self.kind = kind;
        result
    }

    /// Gives the memory of a range back; it reads as zero afterwards, and in a file must be
    /// [provided](Self::provide) again before it is used. False if the kernel would not, as it
    /// won't for a part of a reserved huge page.
    pub(in crate::shard) fn release(&mut self, offset: usize, bytes: usize) -> bool {
        self.check(offset, bytes);
        match &self.part {
            // hugetlbfs would only write zeroes.
            Some(part) if part.kind == PageKind::Reserved => false,
            Some(part) => part.allocate(PUNCH, offset, bytes).is_ok(),
            None => self.mapping.advise(offset..offset + bytes, libc::MADV_DONTNEED),
        }
    }

    /// Makes sure that the file system has memory for a range. Memory of the process alone is
    /// there when it is committed.
    ///
    /// # Errors
    /// What the file system said when it has none.
    pub(in crate::shard) fn provide(&mut self, offset: usize, bytes: usize) -> io::Result<()> {
        self.check(offset, bytes);
        self.part.as_ref().map_or(Ok(()), |part| part.allocate(0, offset, bytes))
    }

    /// Makes the kernel provide the memory of a range now rather than at first touch. That of a
    /// file is there, and to touch it would mean that it must be written to the disk.
    pub(in crate::shard) fn populate(&mut self, offset: usize, bytes: usize) {
        self.check(offset, bytes);
        if !self.is_file() {
            self.mapping.advise(offset..offset + bytes, libc::MADV_POPULATE_WRITE);
        }
    }

    fn address(&self, offset: usize) -> *mut u8 {
        self.mapping.address(offset)
    }

    #[inline]
    fn check(&self, offset: usize, bytes: usize) {
        let inside = offset <= self.committed && bytes <= self.committed - offset;
        assert!(inside, "outside the region");
    }

    /// The value at `offset`, which must be aligned for it.
    #[inline]
    pub(in crate::shard) fn get<T: Plain>(&self, offset: usize) -> &T {
        self.check(offset, size_of::<T>());
        assert!(offset.is_multiple_of(align_of::<T>()));
        // SAFETY: in the committed prefix, aligned, initialised (zero at first), any bits valid.
        unsafe { &*self.base.as_ptr().add(offset).cast::<T>() }
    }

    /// The value at `offset`, to be changed.
    #[inline]
    pub(in crate::shard) fn get_mut<T: Plain>(&mut self, offset: usize) -> &mut T {
        self.check(offset, size_of::<T>());
        assert!(offset.is_multiple_of(align_of::<T>()));
        // SAFETY: as in `get`, and `&mut self` makes it the only reference.
        unsafe { &mut *self.base.as_ptr().add(offset).cast::<T>() }
    }

    /// Stores a word in one step, after all that was written before and before all that follows.
    pub(in crate::shard) fn store_ordered(&mut self, offset: usize, word: u64) {
        let at: *mut u64 = self.get_mut(offset);
        compiler_fence(SeqCst);
        // SAFETY: from a reference just made; volatile, so that it stays one store in its place.
        unsafe { at.write_volatile(word) };
        compiler_fence(SeqCst);
    }

    /// `bytes` bytes from `offset` on.
    #[inline]
    pub(in crate::shard) fn slice(&self, offset: usize, bytes: usize) -> &[u8] {
        self.check(offset, bytes);
        // SAFETY: in the committed prefix and initialised.
        unsafe { std::slice::from_raw_parts(self.base.as_ptr().add(offset), bytes) }
    }

    /// `bytes` bytes from `offset` on, to be changed.
    #[inline]
    pub(in crate::shard) fn slice_mut(&mut self, offset: usize, bytes: usize) -> &mut [u8] {
        self.check(offset, bytes);
        // SAFETY: in the committed prefix, initialised, and `&mut self` makes it the only one.
        unsafe { std::slice::from_raw_parts_mut(self.base.as_ptr().add(offset), bytes) }
    }

    /// Copies within the region; the two ranges must not overlap.
    pub(in crate::shard) fn copy(&mut self, from: usize, to: usize, bytes: usize) {
        self.check(from, bytes);
        self.check(to, bytes);
        assert!(from.abs_diff(to) >= bytes, "overlapping copy");
        let base = self.base.as_ptr();
        // SAFETY: both ranges are in the committed prefix and do not overlap.
        unsafe { ptr::copy_nonoverlapping(base.add(from), base.add(to), bytes) };
    }

    /// The first `count` values of the region as an array.
    #[inline]
    pub(in crate::shard) fn array<T: Plain>(&self, count: usize) -> &[T] {
        self.check(0, count * size_of::<T>());
        // SAFETY: the base is aligned to 2 MB, the array lies in the committed prefix, and any
        // bits are valid.
        unsafe { std::slice::from_raw_parts(self.base.as_ptr().cast::<T>(), count) }
    }

    /// The first `count` values of the region as an array, to be changed.
    #[inline]
    pub(in crate::shard) fn array_mut<T: Plain>(&mut self, count: usize) -> &mut [T] {
        self.check(0, count * size_of::<T>());
        // SAFETY: as in `array`, and `&mut self` makes it the only reference.
        unsafe { std::slice::from_raw_parts_mut(self.base.as_ptr().cast::<T>(), count) }
    }

    /// Asks the processor to fetch the cache line at `offset`. Any offset is harmless.
    #[inline]
    pub(in crate::shard) fn prefetch(&self, offset: usize) {
        let at = self.address(offset);
        #[cfg(target_arch = "x86_64")]
        // SAFETY: a prefetch never faults, whatever the address.
        unsafe {
            core::arch::x86_64::_mm_prefetch::<{ core::arch::x86_64::_MM_HINT_T0 }>(at.cast());
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = at;
    }
}

/// Transparent huge pages unless they were not asked for or the host has switched them off.
fn transparent_or_plain(wanted: PageKind) -> PageKind {
    const SWITCH: &str = "/sys/kernel/mm/transparent_hugepage/enabled";
    let off = || std::fs::read_to_string(SWITCH).map_or(true, |text| text.contains("[never]"));
    if wanted == PageKind::Plain || off() { PageKind::Plain } else { PageKind::Transparent }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn committed_bytes_are_zero_and_keep_what_is_written() {
        let mut region = Region::reserve(16 << 20, PageKind::Transparent).unwrap();
        region.commit(4 << 20).unwrap();
        assert!(region.slice(0, 4 << 20).iter().all(|&byte| byte == 0));
        region.slice_mut(100, 5).copy_from_slice(b"hello");
        region.copy(100, 3 << 20, 5);
        region.commit(6 << 20).unwrap();
        assert_eq!(region.slice(3 << 20, 5), b"hello");
        assert!(region.release(2 << 20, 2 << 20));
        assert_eq!(region.slice(3 << 20, 5), [0; 5]);
        assert_eq!(region.slice(100, 5), b"hello");
    }

    #[test]
    fn reserved_pages_fall_back_when_the_pool_is_empty() {
        let mut region = Region::reserve(4 << 20, PageKind::Reserved).unwrap();
        region.commit(4 << 20).unwrap();
        region.slice_mut((4 << 20) - 1, 1)[0] = 1;
        assert_eq!(region.slice((4 << 20) - 1, 1), [1]);
    }

    #[test]
    fn the_mapping_outlives_the_region_while_held() {
        let region = Region::reserve(2 << 20, PageKind::Plain).unwrap();
        let held = region.mapping();
        drop(region);
        assert_eq!(Arc::strong_count(&held), 1);
    }
}
