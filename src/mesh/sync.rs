//! The primitives that loom replaces in its model, and the futex that it can't.

#[cfg(loom)]
pub(super) use loom::{
    cell::UnsafeCell,
    sync::atomic::{AtomicPtr, AtomicU32, Ordering, fence},
};
#[cfg(not(loom))]
pub(super) use std::sync::atomic::{AtomicPtr, AtomicU32, Ordering, fence};

/// `std`'s cell with loom's way of access.
#[cfg(not(loom))]
pub(super) struct UnsafeCell<T: ?Sized>(std::cell::UnsafeCell<T>);

#[cfg(not(loom))]
impl<T> UnsafeCell<T> {
    pub(super) fn new(value: T) -> Self {
        Self(std::cell::UnsafeCell::new(value))
    }

    pub(super) fn with_mut<R>(&self, access: impl FnOnce(*mut T) -> R) -> R {
        access(self.0.get())
    }
}

/// Sleeps while `word` holds `value`. May return early.
#[cfg(not(loom))]
pub(super) fn sleep_while(word: &AtomicU32, value: u32) {
    let operation = libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG;
    let timeout = std::ptr::null::<libc::timespec>();
    // SAFETY: the kernel reads the four bytes of `word`, which outlives the call.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), operation, value, timeout) };
}

/// Wakes who sleeps on the word at `address`. Only the address is used: the word may be gone.
#[cfg(not(loom))]
pub(super) fn wake(address: *const AtomicU32) {
    let operation = libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG;
    // SAFETY: FUTEX_WAKE doesn't read the word; an address that nobody waits on is harmless.
    unsafe { libc::syscall(libc::SYS_futex, address, operation, 1) };
}

#[cfg(loom)]
pub(super) fn sleep_while(_word: &AtomicU32, _value: u32) {
    loom::thread::yield_now();
}

#[cfg(loom)]
pub(super) fn wake(_address: *const AtomicU32) {}

/// Lets the other thread go on.
pub(super) fn pause() {
    #[cfg(loom)]
    loom::thread::yield_now();
    #[cfg(not(loom))]
    std::hint::spin_loop();
}
