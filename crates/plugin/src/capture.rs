//! One captured stream of a child: read at descriptor level, kept up to a cap,
//! drained and dropped beyond it.
//!
//! Nobody waits for the output itself, so a program that goes on printing wakes
//! no reader: its pipe is looked at every [`PACE`], and made large enough to hold
//! what comes meanwhile.
//!
//! **Invariant:** never more than the cap is held, and the program never waits
//! for a reader longer than [`IDLE`].

use crate::answer::Captured;
use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;
use tokio::net::unix::pipe::Receiver;
use tokio::time::Instant;

/// A run shorter than this is read once, when it has ended: the pipe holds
/// 64 KiB meanwhile, and nobody is woken for a line of output.
pub const IDLE: Duration = Duration::from_millis(3);

/// How often a pipe is emptied while its program prints, and while it prints more than fits.
const PACE: Duration = IDLE;
const HASTE: Duration = Duration::from_millis(1);
/// What a pipe holds at first (pipe(7)), and what is read at once.
const PIPE: usize = 64 << 10;
/// What it holds once it was found full: `/proc/sys/fs/pipe-max-size`, which anybody may ask for.
const LARGE_PIPE: usize = 1 << 20;
/// From here on there is room for all that may come.
const MUCH: usize = 256 << 10;
/// The first read of a stream.
const SMALL: usize = 4 << 10;
/// Reads before other events are looked at again.
const READS_A_TURN: usize = 16;

/// One of a child's output streams.
#[derive(Debug)]
pub struct Capture {
    source: Source,
    kept: Vec<u8>,
    cap: usize,
    total: u64,
    /// What the pipe holds.
    holds: usize,
}

#[derive(Debug)]
enum Source {
    /// Not to be read before the end.
    Idle(OwnedFd),
    /// The first byte is waited for.
    Watched(Receiver),
    /// Being printed to, and looked at again at that time.
    Paced(OwnedFd, Instant),
    Ended,
}

impl Capture {
    /// Captures from the read end of a non-blocking pipe.
    #[must_use]
    pub fn new(fd: OwnedFd, cap: usize) -> Self {
        Self { source: Source::Idle(fd), kept: Vec::new(), cap, total: 0, holds: PIPE }
    }

    /// From now on [`Capture::fill`] waits for output.
    pub fn watch(&mut self) -> io::Result<()> {
        match std::mem::replace(&mut self.source, Source::Ended) {
            Source::Idle(fd) => {
                self.source = Source::Watched(Receiver::from_owned_fd_unchecked(fd)?);
            }
            other @ (Source::Watched(_) | Source::Paced(..) | Source::Ended) => self.source = other,
        }
        Ok(())
    }

    /// Waits for output and takes it; pends for ever once the stream has ended
    /// or while it is not watched.
    pub async fn fill(&mut self) -> io::Result<()> {
        match &self.source {
            Source::Watched(receiver) => receiver.readable().await?,
            Source::Paced(_, next) => tokio::time::sleep_until(*next).await,
            Source::Idle(_) | Source::Ended => return std::future::pending().await,
        }
        let before = self.total;
        self.drain()?;
        self.pace(usize::try_from(self.total - before).unwrap_or(usize::MAX))
    }

    /// When to look again, `read` bytes having been there.
    fn pace(&mut self, read: usize) -> io::Result<()> {
        let fd = match std::mem::replace(&mut self.source, Source::Ended) {
            Source::Paced(fd, _) if read == 0 => {
                self.source = Source::Watched(Receiver::from_owned_fd_unchecked(fd)?);
                return Ok(());
            }
            Source::Paced(fd, _) => fd,
            Source::Watched(receiver) if read > 0 => receiver.into_nonblocking_fd()?,
            other @ (Source::Idle(_) | Source::Watched(_) | Source::Ended) => {
                self.source = other;
                return Ok(());
            }
        };
        let full = read >= self.holds / 8 * 7;
        if full && self.holds < LARGE_PIPE {
            // Refused to a user who has many of them: then this one is slower.
            self.holds = sandbox::fds::widen(&fd, LARGE_PIPE).unwrap_or(PIPE);
        }
        self.source = Source::Paced(fd, Instant::now() + if full { HASTE } else { PACE });
        Ok(())
    }

    /// Takes what is there now, without waiting. One turn is bounded, so that
    /// a deadline is looked at in between.
    pub fn drain(&mut self) -> io::Result<()> {
        for _ in 0..READS_A_TURN {
            match self.read_once() {
                Ok(0) => {
                    self.source = Source::Ended;
                    return Ok(());
                }
                Ok(read) => self.total += read as u64,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn read_once(&mut self) -> io::Result<usize> {
        let start = self.kept.len();
        let room = self.cap.saturating_sub(start);
        if room == 0 || start == 0 {
            // Most programs print a line: no memory is made ready for more.
            return if room == 0 {
                self.read_through::<PIPE>(0)
            } else {
                self.read_through::<SMALL>(room)
            };
        }
        if start >= MUCH && self.kept.capacity() < self.cap {
            // At once: to grow by and by would move what is there, or leave it in small pages.
            let mut kept = sandbox::heap::room(self.cap);
            kept.append(&mut self.kept);
            self.kept = kept;
        }
        let room = room.min(PIPE);
        self.kept.resize(start + room, 0);
        let read = read(&self.source, self.kept.get_mut(start..).unwrap_or_default());
        self.kept.truncate(start + *read.as_ref().unwrap_or(&0));
        read
    }

    fn read_through<const SIZE: usize>(&mut self, room: usize) -> io::Result<usize> {
        let mut buffer = [0u8; SIZE];
        let read = read(&self.source, &mut buffer)?;
        self.kept.extend_from_slice(buffer.get(..read.min(room)).unwrap_or_default());
        Ok(read)
    }

    /// Bytes the program wrote, kept or not.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.total
    }

    /// The end: what was kept, what was written, and the pipe for a further run.
    pub fn finish(mut self) -> (Captured, u64, Option<OwnedFd>) {
        // The runtime's receiver knows of output once it has been told, which may be after the
        // child's last frame: the pipe itself is asked.
        self.source = match std::mem::replace(&mut self.source, Source::Ended) {
            Source::Watched(receiver) => {
                receiver.into_nonblocking_fd().map_or(Source::Ended, Source::Idle)
            }
            Source::Paced(fd, _) => Source::Idle(fd),
            other @ (Source::Idle(_) | Source::Ended) => other,
        };
        // A stream that can't be read any more has said all it will say.
        for _ in 0..64 {
            let before = self.total;
            if self.drain().is_err() || self.total == before {
                break;
            }
        }
        let truncated = self.total > self.kept.len() as u64;
        let fd = match self.source {
            Source::Idle(fd) => Some(fd),
            Source::Watched(_) | Source::Paced(..) | Source::Ended => None,
        };
        (Captured { bytes: self.kept, truncated }, self.total, fd)
    }
}

fn read(source: &Source, buffer: &mut [u8]) -> io::Result<usize> {
    match source {
        Source::Idle(fd) | Source::Paced(fd, _) => Ok(rustix::io::read(fd, buffer)?),
        Source::Watched(receiver) => receiver.try_read(buffer),
        Source::Ended => Ok(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    fn pipe() -> (OwnedFd, std::fs::File) {
        let (read, write) =
            rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).expect("a pipe");
        rustix::io::ioctl_fionbio(&read, true).expect("non-blocking");
        (read, write.into())
    }

    #[tokio::test]
    async fn output_beyond_the_cap_is_drained_and_said() {
        let (read, mut write) = pipe();
        let writer = std::thread::spawn(move || {
            for _ in 0..100 {
                write.write_all(&[b'x'; 10_000]).expect("a write");
            }
        });
        let mut capture = Capture::new(read, 25_000);
        capture.watch().expect("watched");
        while capture.total() < 1_000_000 {
            tokio::time::timeout(Duration::from_secs(5), capture.fill())
                .await
                .expect("in time")
                .expect("a read");
        }
        writer.join().expect("it wrote all");
        let (captured, total, _) = capture.finish();
        assert_eq!(captured.bytes.len(), 25_000);
        assert!(captured.truncated);
        assert_eq!(total, 1_000_000);
    }

    #[tokio::test]
    async fn what_was_written_just_before_the_end_is_there_though_nobody_was_told() {
        let (read, mut write) = pipe();
        let mut capture = Capture::new(read, 100);
        capture.watch().expect("watched");
        // the readiness that it began with is used up
        capture.drain().expect("nothing yet");
        write.write_all(b"late\n").expect("a write");
        let (captured, total, _) = capture.finish();
        assert_eq!((captured.bytes.as_slice(), total), (&b"late\n"[..], 5));
    }

    #[tokio::test]
    async fn a_program_that_goes_on_printing_is_read_at_a_pace_and_whole() {
        let (read, mut write) = pipe();
        let writer = std::thread::spawn(move || {
            for _ in 0..20_000 {
                write.write_all(&[b'y'; 101]).expect("a write");
            }
            std::thread::sleep(Duration::from_millis(50));
            write.write_all(b"the end").expect("a write");
        });
        let mut capture = Capture::new(read, 4 << 20);
        capture.watch().expect("watched");
        let (mut turns, began) = (0u32, Instant::now());
        while capture.total() < 2_020_007 {
            tokio::time::timeout(Duration::from_secs(5), capture.fill())
                .await
                .expect("in time")
                .expect("a read");
            turns += 1;
        }
        writer.join().expect("it wrote all");
        // One a pace, and some to find that nothing more comes.
        let most = began.elapsed().as_millis() / HASTE.as_millis() + 20;
        assert!(u128::from(turns) <= most, "{turns} turns, at most {most}");
        let (captured, total, _) = capture.finish();
        assert_eq!((total, captured.truncated), (2_020_007, false));
        assert!(captured.bytes.ends_with(b"ythe end"));
    }

    #[test]
    fn a_short_output_is_there_without_ever_being_watched() {
        let (read, mut write) = pipe();
        write.write_all(b"Hello\n").expect("a write");
        let (captured, total, _) = Capture::new(read, 100).finish();
        assert_eq!(
            (captured.bytes.as_slice(), captured.truncated, total),
            (&b"Hello\n"[..], false, 6)
        );
    }
}
