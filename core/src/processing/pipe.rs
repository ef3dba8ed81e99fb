//! Blocks from one thread to the next, over a bounded channel, with the buffers going round.

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::audio::{Buffer, Planar, Spec};
use crate::error::{Error, Result};
use crate::observe::Carrier;

/// Blocks in flight between two stages: enough to smooth uneven work, few enough to stay in cache.
const DEPTH: usize = 8;

/// Frames of a block.
pub(crate) const BLOCK_FRAMES: usize = 8192;

/// Memory of the blocks of one pipe, with one that each side works on, in bytes.
pub(crate) fn pipe_bytes(spec: Spec) -> u64 {
    ((DEPTH + 4) * BLOCK_FRAMES * 4) as u64 * spec.channels() as u64
}

/// Sends copies of blocks.
pub(crate) struct BlockSender<T> {
    full: Sender<Planar<T>>,
    free: Receiver<Planar<T>>,
}

/// Receives blocks.
pub(crate) struct BlockReceiver<T> {
    full: Receiver<Planar<T>>,
    free: Sender<Planar<T>>,
}

/// A pipe between two threads. Dropping one end stops the other.
pub(crate) fn block_pipe<T>() -> (BlockSender<T>, BlockReceiver<T>) {
    let (full_tx, full_rx) = bounded(DEPTH);
    let (free_tx, free_rx) = bounded(DEPTH + 2);
    (BlockSender { full: full_tx, free: free_rx }, BlockReceiver { full: full_rx, free: free_tx })
}

/// What a sender gets when the receiver is gone. The receiver's own error is the one that matters.
pub(crate) fn receiver_gone() -> Error {
    Error::Unavailable { what: "the next stage of the pipeline".into() }
}

impl<T: Copy + Default> BlockSender<T> {
    /// Sends a copy; waits while the pipe is full.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the receiver is gone.
    pub fn send(&self, block: &Planar<T>) -> Result<()> {
        let mut copy = self.free.try_recv().unwrap_or_else(|_| Planar::new(block.spec(), block.frames()));
        copy.reserve(block.spec(), block.frames());
        copy.copy_from(block, 0, block.frames());
        self.full.send(copy).map_err(|_| receiver_gone())
    }

    /// Sends `block` itself and leaves another one of unspecified content in its place. Waits while the pipe is full.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the receiver is gone.
    pub fn send_away(&self, block: &mut Planar<T>) -> Result<()> {
        let free = self.free.try_recv().unwrap_or_else(|_| Planar::new(block.spec(), block.capacity_frames()));
        self.full.send(std::mem::replace(block, free)).map_err(|_| receiver_gone())
    }
}

impl<T> BlockReceiver<T> {
    /// Calls `each` with every block, which it may change, until the sender is gone.
    ///
    /// # Errors
    /// Those of `each`.
    pub fn drain(self, each: &mut dyn FnMut(&mut Planar<T>) -> Result<()>) -> Result<()> {
        for mut block in &self.full {
            each(&mut block)?;
            // A full free list means that nobody needs it any more.
            let _ = self.free.try_send(block);
        }
        Ok(())
    }
}

/// Calls `each` with the frames of `block` in pieces of at most [`BLOCK_FRAMES`], copied to `work`, which it may change.
pub(crate) fn in_blocks(
    block: &Buffer,
    work: &mut Buffer,
    each: &mut dyn FnMut(&mut Buffer) -> Result<()>,
) -> Result<()> {
    let mut start = 0;
    while start < block.frames() {
        let count = BLOCK_FRAMES.min(block.frames() - start);
        work.copy_from(block, start, count);
        each(work)?;
        start += count;
    }
    Ok(())
}

/// The error that explains a failed pipeline: the first that is not a consequence of another stage's end.
pub(crate) fn first_cause(errors: impl IntoIterator<Item = Error>) -> Option<Error> {
    let mut consequence = None;
    for error in errors {
        if !matches!(error, Error::Unavailable { .. }) {
            return Some(error);
        }
        consequence.get_or_insert(error);
    }
    consequence
}

/// Runs `produce` on a thread of its own and `consume` here, with a pipe between. Returns both results.
///
/// # Errors
/// That of the stage that failed first in cause.
pub(crate) fn two_stages<T: Copy + Default + Send, A: Send, B>(
    produce: impl FnOnce(BlockSender<T>) -> Result<A> + Send,
    consume: impl FnOnce(BlockReceiver<T>) -> Result<B>,
) -> Result<(A, B)> {
    let (sender, receiver) = block_pipe();
    let carrier = Carrier::here();
    std::thread::scope(|scope| {
        let producer = scope.spawn(|| carrier.run(|| produce(sender)));
        let consumed = consume(receiver);
        let produced = producer.join().unwrap_or_else(|_| Err(Error::internal("a pipeline thread panicked")));
        match (produced, consumed) {
            (Ok(a), Ok(b)) => Ok((a, b)),
            (a, b) => {
                let cause = first_cause(a.err().into_iter().chain(b.err()));
                Err(cause.unwrap_or_else(|| Error::internal("pipeline")))
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::ChannelLayout;

    fn block(value: f32) -> Buffer {
        Buffer::from_channels(Spec::new(48_000, ChannelLayout::MONO), &[vec![value; 3]])
    }

    #[test]
    fn blocks_arrive_in_order() {
        let mut seen = Vec::new();
        two_stages::<f32, _, _>(
            |tx| (0..100).try_for_each(|i| tx.send(&block(i as f32))),
            |rx| {
                rx.drain(&mut |b| {
                    seen.push(b.channel(0)[2]);
                    Ok(())
                })
            },
        )
        .unwrap();
        assert!(seen.iter().enumerate().all(|(i, v)| *v == i as f32) && seen.len() == 100);
    }

    #[test]
    fn the_cause_is_told_whichever_side_fails() {
        let down: Result<((), ())> = two_stages::<f32, _, _>(
            |tx| {
                loop {
                    tx.send(&block(0.0))?;
                }
            },
            |_| Err(Error::Cancelled),
        );
        assert!(matches!(down, Err(Error::Cancelled)));
        let up: Result<((), ())> = two_stages::<f32, _, _>(|_| Err(Error::Empty), |rx| rx.drain(&mut |_| Ok(())));
        assert!(matches!(up, Err(Error::Empty)));
    }
}
