//! Descriptors: which ones a process keeps, and handing them to another.
//!
//! **Invariant:** every descriptor made or received here is close-on-exec, and one message brings
//! at most [`MAX_FDS`] of them.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};

use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags,
    SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
};

use crate::sys;

/// The most descriptors one message carries.
pub const MAX_FDS: usize = 8;

/// What one receive call brought.
#[derive(Debug)]
pub struct Received {
    /// Bytes written to the buffer; 0 with no descriptors means that the peer is gone.
    pub len: usize,
    /// Descriptors that came along, all close-on-exec.
    pub fds: Vec<OwnedFd>,
}

/// Closes every descriptor of this process that is not listed.
///
/// For a process that has just been exec'ed or forked and drops what it inherited by accident. A
/// value in this process that still owns one of the closed descriptors must be forgotten, never
/// dropped or used.
///
/// # Errors
/// The system's reason; on kernels before 5.9 always `ENOSYS`.
pub fn close_all_except(keep: &[RawFd]) -> io::Result<()> {
    if crate::trial::without(crate::trial::Layer::Descriptors) {
        return Ok(());
    }
    let mut keep: Vec<RawFd> = keep.iter().copied().filter(|fd| *fd >= 0).collect();
    keep.sort_unstable();
    keep.dedup();
    let mut next = 0;
    for fd in keep {
        if next < fd {
            sys::close_range(next, fd - 1)?;
        }
        next = fd + 1;
    }
    sys::close_range(next, RawFd::MAX)
}

/// A connected pair of local stream sockets.
///
/// # Errors
/// The system's reason, usually `EMFILE`.
pub fn stream_pair() -> io::Result<(OwnedFd, OwnedFd)> {
    pair(SocketType::STREAM)
}

/// A connected pair of local sockets that keep message boundaries.
///
/// # Errors
/// The system's reason, usually `EMFILE`.
pub fn packet_pair() -> io::Result<(OwnedFd, OwnedFd)> {
    pair(SocketType::SEQPACKET)
}

fn pair(kind: SocketType) -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(rustix::net::socketpair(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None)?)
}

/// A pipe: the end to read from, and the one to write to.
///
/// # Errors
/// The system's reason, usually `EMFILE`.
pub fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?)
}

/// Lets a pipe hold this many bytes; how many it holds now.
///
/// # Errors
/// `EPERM` for a user who has too many large ones (pipe(7)).
pub fn widen(pipe: impl AsFd, bytes: usize) -> io::Result<usize> {
    Ok(rustix::pipe::fcntl_setpipe_size(pipe, bytes)?)
}

/// Sends bytes with descriptors attached to the first of them; says how many bytes went out. A
/// vanished peer is an `EPIPE` error, not a signal.
///
/// # Errors
/// `InvalidInput` for more than [`MAX_FDS`] descriptors or for no bytes, else the system's reason.
pub fn send_with_fds(socket: impl AsFd, bytes: &[u8], fds: &[impl AsFd]) -> io::Result<usize> {
    if fds.len() > MAX_FDS || bytes.is_empty() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let borrowed: Vec<BorrowedFd<'_>> = fds.iter().map(AsFd::as_fd).collect();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !borrowed.is_empty() && !control.push(SendAncillaryMessage::ScmRights(&borrowed)) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    loop {
        let sent = rustix::net::sendmsg(
            &socket,
            &[IoSlice::new(bytes)],
            &mut control,
            SendFlags::NOSIGNAL,
        );
        match sent {
            Err(rustix::io::Errno::INTR) => {}
            other => return other.map_err(Into::into),
        }
    }
}

/// Receives bytes and the descriptors that came with them.
///
/// # Errors
/// `InvalidData` when a message was cut short or carried more than [`MAX_FDS`] descriptors (those
/// that arrived are closed), else the system's reason.
pub fn recv_with_fds(socket: impl AsFd, buffer: &mut [u8]) -> io::Result<Received> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let message = loop {
        let received = rustix::net::recvmsg(
            &socket,
            &mut [IoSliceMut::new(buffer)],
            &mut control,
            RecvFlags::CMSG_CLOEXEC,
        );
        match received {
            Err(rustix::io::Errno::INTR) => {}
            other => break other?,
        }
    };
    let mut fds = Vec::new();
    for item in control.drain() {
        if let RecvAncillaryMessage::ScmRights(passed) = item {
            fds.extend(passed);
        }
    }
    if message.flags.intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC) {
        return Err(io::ErrorKind::InvalidData.into());
    }
    Ok(Received { len: message.bytes, fds })
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    #[test]
    fn a_descriptor_travels_with_its_bytes() {
        for pair in [stream_pair().unwrap(), packet_pair().unwrap()] {
            let (mut reader, writer) = std::io::pipe().unwrap();
            assert_eq!(send_with_fds(&pair.0, b"take", &[&writer]).unwrap(), 4);
            drop(writer);
            let mut buffer = [0; 16];
            let mut received = recv_with_fds(&pair.1, &mut buffer).unwrap();
            assert_eq!(&buffer[..received.len], b"take");
            let passed = received.fds.pop().unwrap();
            assert!(received.fds.is_empty());
            let flags = rustix::io::fcntl_getfd(&passed).unwrap();
            assert!(flags.contains(rustix::io::FdFlags::CLOEXEC));
            std::fs::File::from(passed).write_all(b"through").unwrap();
            let mut text = String::new();
            reader.read_to_string(&mut text).unwrap();
            assert_eq!(text, "through");
        }
    }

    #[test]
    fn a_vanished_peer_is_an_empty_message_or_a_broken_pipe() {
        let (ours, theirs) = stream_pair().unwrap();
        drop(theirs);
        let received = recv_with_fds(&ours, &mut [0; 4]).unwrap();
        assert!(received.len == 0 && received.fds.is_empty());
        let error = send_with_fds(&ours, b"x", &[] as &[OwnedFd]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    }

    #[test]
    fn a_cut_packet_and_too_many_descriptors_are_errors() {
        let (ours, theirs) = packet_pair().unwrap();
        send_with_fds(&ours, b"longer than the buffer", &[] as &[OwnedFd]).unwrap();
        let error = recv_with_fds(&theirs, &mut [0; 4]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        let many = [&ours; MAX_FDS + 1];
        let error = send_with_fds(&ours, b"x", &many).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    }
}
