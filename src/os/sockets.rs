//! The one socket option that the nix crate doesn't know.

#![allow(unsafe_code)]

use std::os::fd::{AsRawFd, OwnedFd};

use nix::errno::Errno;

use crate::config::CpuId;

/// Has a listener of a `SO_REUSEPORT` group preferred for connections whose first packet `cpu`
/// handles (`SO_INCOMING_CPU`, socket(7); for groups since Linux 6.2). A queue of a network card,
/// or a client on the same host, is then served on the CPU where its packets are.
///
/// # Errors
/// What `setsockopt(2)` answered. Without the option all works, spread by a hash.
pub fn prefer_for_cpu(socket: &OwnedFd, cpu: CpuId) -> nix::Result<()> {
    let value = libc::c_int::try_from(cpu.0).unwrap_or(-1);
    let length = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: the option takes an int, and the kernel copies it during the call.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_INCOMING_CPU,
            (&raw const value).cast(),
            length,
        )
    };
    Errno::result(result).map(drop)
}
