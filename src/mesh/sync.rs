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

const WAITING: u32 = 0;
const ASLEEP: u32 = 1;
const DONE: u32 = 2;

/// Tells one waiting thread, which owns it, that its job is done.
pub(super) struct Signal {
    state: AtomicU32,
    #[cfg(loom)]
    notify: loom::sync::Arc<loom::sync::Notify>,
}

impl Signal {
    pub(super) fn new() -> Self {
        Self {
            state: AtomicU32::new(WAITING),
            #[cfg(loom)]
            notify: loom::sync::Arc::new(loom::sync::Notify::new()),
        }
    }

    pub(super) fn is_done(&self) -> bool {
        self.state.load(Ordering::Acquire) == DONE
    }

    /// From now on [`Signal::finish`] wakes the owner.
    pub(super) fn announce_sleep(&self) {
        let _ = self.state.compare_exchange(WAITING, ASLEEP, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// Sleeps until finished, or for no reason.
    #[cfg(not(loom))]
    pub(super) fn sleep(&self) {
        let operation = libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG;
        let timeout = std::ptr::null::<libc::timespec>();
        let word = self.state.as_ptr();
        // SAFETY: the kernel reads the four bytes of the state, which outlives the call.
        unsafe { libc::syscall(libc::SYS_futex, word, operation, ASLEEP, timeout) };
    }

    #[cfg(loom)]
    pub(super) fn sleep(&self) {
        // The futex looks at the word before it sleeps; so does its stand-in.
        if self.state.load(Ordering::Relaxed) == ASLEEP {
            self.notify.wait();
        }
    }

    /// Says that the job is done, and wakes the owner if it sleeps. The signal may be gone as
    /// soon as the state has changed, so after that only its address is used.
    ///
    /// # Safety
    /// The signal is there and not yet finished.
    pub(super) unsafe fn finish(signal: *const Self) {
        // SAFETY: promised by the caller; the reference ends with the swap.
        let signal = unsafe { &*signal };
        #[cfg(loom)]
        let notify = loom::sync::Arc::clone(&signal.notify);
        #[cfg(not(loom))]
        let address = &raw const signal.state;
        if signal.state.swap(DONE, Ordering::Release) == ASLEEP {
            #[cfg(loom)]
            notify.notify();
            #[cfg(not(loom))]
            wake(address);
        }
    }
}

/// Wakes who sleeps on the word at `address`. The word itself may be gone.
#[cfg(not(loom))]
fn wake(address: *const AtomicU32) {
    let operation = libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG;
    // SAFETY: FUTEX_WAKE doesn't read the word; an address that nobody waits on is harmless.
    unsafe { libc::syscall(libc::SYS_futex, address, operation, 1) };
}

/// Lets the other thread go on.
pub(super) fn pause() {
    #[cfg(loom)]
    loom::thread::yield_now();
    #[cfg(not(loom))]
    std::hint::spin_loop();
}
