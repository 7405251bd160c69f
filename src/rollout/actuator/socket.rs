//! One question to `HAProxy`'s runtime socket, with a limit on everything.

use super::limit::{Limit, MoveError};
use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::time::Duration;

/// The longest answer that is read: a thousand servers take a fifth.
const ANSWER_MAX: u64 = 1 << 20;
/// Longest time for one step of the connection: a hung process must not take all of the time.
const STEP: Duration = Duration::from_secs(2);

/// The answer to a command, to its end: each one ends a line, so that an answer without one was cut.
pub(super) fn ask(address: &str, command: &str, limit: &Limit) -> Result<String, MoveError> {
    let failed = |error: std::io::Error| {
        let why = match error.kind() {
            std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut => "no answer in time".to_owned(),
            _ => error.to_string(),
        };
        MoveError::new(format!("the runtime socket {address} does not answer: {why}"))
    };
    let is_path = address.contains('/');
    #[cfg(unix)]
    if is_path {
        let stream = unix(address, limit)?.map_err(failed)?;
        stream.set_nonblocking(false).map_err(failed)?;
        let step = Some(limit.left()?.min(STEP));
        stream.set_read_timeout(step).and_then(|()| stream.set_write_timeout(step)).map_err(failed)?;
        return exchange(stream, command, limit).map_err(failed);
    }
    if is_path {
        return Err(MoveError::refused("sockets of the file system need Unix: use an address such as 127.0.0.1:9999"));
    }
    let mut addresses = address.to_socket_addrs().map_err(failed)?;
    let first = addresses.next().ok_or_else(|| failed(std::io::ErrorKind::AddrNotAvailable.into()))?;
    let stream = TcpStream::connect_timeout(&first, limit.left()?.min(STEP)).map_err(failed)?;
    let step = Some(limit.left()?.min(STEP));
    stream.set_read_timeout(step).and_then(|()| stream.set_write_timeout(step)).map_err(failed)?;
    exchange(stream, command, limit).map_err(failed)
}

fn exchange(mut stream: impl Read + Write, command: &str, limit: &Limit) -> std::io::Result<String> {
    stream.write_all(format!("{command}\n").as_bytes())?;
    let (mut answer, mut buffer) = (Vec::new(), [0; 16 * 1024]);
    loop {
        let count = match stream.read(&mut buffer) {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted && limit.left().is_ok() => continue,
            read => read?,
        };
        answer.extend_from_slice(&buffer[..count]);
        if count == 0 && !answer.ends_with(b"\n") {
            return Err(std::io::Error::other("it ended before its answer did"));
        }
        if count == 0 {
            return Ok(String::from_utf8_lossy(&answer).into_owned());
        }
        if answer.len() as u64 > ANSWER_MAX {
            return Err(std::io::Error::other("it answers with more than 1 MiB"));
        }
        if limit.left().is_err() {
            return Err(std::io::ErrorKind::TimedOut.into());
        }
    }
}

/// Connects without blocking: with a full backlog, which a hung process leaves, `connect` would block without a limit.
#[cfg(target_os = "linux")]
fn unix(path: &str, limit: &Limit) -> Result<std::io::Result<std::os::unix::net::UnixStream>, MoveError> {
    use rustix::io::Errno;
    use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
    const PAUSE: Duration = Duration::from_millis(10);
    let address = match SocketAddrUnix::new(path) {
        Ok(address) => address,
        Err(error) => return Ok(Err(error.into())),
    };
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let mut tries = 0;
    loop {
        let socket = match socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None) {
            Ok(socket) => socket,
            Err(error) => return Ok(Err(error.into())),
        };
        match connect(&socket, &address) {
            Ok(()) => return Ok(Ok(socket.into())),
            Err(Errno::AGAIN) if PAUSE * tries < STEP => {
                tries += 1;
                limit.pause(PAUSE)?;
            }
            Err(error) => return Ok(Err(error.into())),
        }
    }
}

#[cfg(all(unix, not(target_os = "linux")))]
fn unix(path: &str, limit: &Limit) -> Result<std::io::Result<std::os::unix::net::UnixStream>, MoveError> {
    limit.left()?;
    Ok(std::os::unix::net::UnixStream::connect(path))
}
