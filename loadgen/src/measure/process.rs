//! Which process on this host listens at a port or a path.
//!
//! The socket's inode stands in the kernel's tables below /proc/net, and whose descriptor that is
//! stands in /proc/PID/fd. What this user may not see is not found.

use std::fs;
use std::path::Path;

const TCP_TABLES: [&str; 2] = ["/proc/net/tcp", "/proc/net/tcp6"];
const UNIX_TABLE: &str = "/proc/net/unix";
/// The state of a listening socket in the tables of TCP.
const LISTENING: &str = "0A";
/// The flag of a listening socket in the table of unix sockets.
const ACCEPTS: &str = "00010000";

/// The process that listens on a TCP port.
pub fn listening_at_port(port: u16) -> Option<u32> {
    let tables = TCP_TABLES.iter().filter_map(|table| fs::read_to_string(table).ok());
    holder(tables.flat_map(|table| tcp_inodes(&table, port)).collect())
}

/// The process that listens on a unix socket.
pub fn listening_at_path(path: &Path) -> Option<u32> {
    holder(unix_inodes(&fs::read_to_string(UNIX_TABLE).ok()?, path))
}

fn tcp_inodes(table: &str, port: u16) -> Vec<u64> {
    let rows = table.lines().skip(1).filter_map(|line| {
        let fields: Vec<_> = line.split_whitespace().collect();
        let (_, row_port) = fields.get(1)?.rsplit_once(':')?;
        let wanted = u16::from_str_radix(row_port, 16) == Ok(port) && *fields.get(3)? == LISTENING;
        if wanted { fields.get(9)?.parse().ok() } else { None }
    });
    rows.collect()
}

/// Num, reference count, protocol, flags, type, state, inode and, for sockets with a name, path.
fn unix_inodes(table: &str, path: &Path) -> Vec<u64> {
    let rows = table.lines().skip(1).filter_map(|line| {
        let fields: Vec<_> = line.split_whitespace().collect();
        let wanted = *fields.get(3)? == ACCEPTS && Path::new(fields.get(7)?) == path;
        if wanted { fields[6].parse().ok() } else { None }
    });
    rows.collect()
}

/// The first process that has one of these sockets open.
fn holder(inodes: Vec<u64>) -> Option<u32> {
    let sockets: Vec<_> = inodes.iter().map(|inode| format!("socket:[{inode}]")).collect();
    let processes = fs::read_dir("/proc").ok()?.flatten();
    let mut ids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    ids.find(|pid| holds_one_of(*pid, &sockets))
}

fn holds_one_of(pid: u32, sockets: &[String]) -> bool {
    let Ok(descriptors) = fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
    let mut targets = descriptors.flatten().filter_map(|entry| fs::read_link(entry.path()).ok());
    targets.any(|target| sockets.iter().any(|socket| target.as_os_str() == socket.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;
    use std::os::unix::net::UnixListener;

    #[test]
    fn the_listener_of_a_port_is_this_process() {
        let socket = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = socket.local_addr().expect("an address").port();
        assert_eq!(listening_at_port(port), Some(std::process::id()));
        drop(socket);
        assert_eq!(listening_at_port(port), None);
    }

    #[test]
    fn the_listener_of_a_path_is_this_process() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("socket");
        assert_eq!(listening_at_path(&path), None);
        let _socket = UnixListener::bind(&path).expect("a socket");
        assert_eq!(listening_at_path(&path), Some(std::process::id()));
    }
}
