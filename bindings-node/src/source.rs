//! Inputs: a path, bytes, audio in memory, bytes that JavaScript brings as they come.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use napi::bindgen_prelude::{Either, Env, Object};
use napi_derive::napi;
use pure_sound::Error as CoreError;
use pure_sound::formats::Source as CoreSource;

use crate::error::{sync, to_js};
use crate::samples::{Planes, spec_of};
use crate::threads::Lane;

/// Bytes of a stream that may wait to be read before JavaScript is asked to pause.
const FULL_BYTES: usize = 1 << 20;

/// Tells JavaScript that a stream has room again.
type Waiter = napi::JsDeferred<bool, Box<dyn FnOnce(Env) -> napi::Result<bool> + Send>>;

#[derive(Default)]
struct Fed {
    chunks: VecDeque<Vec<u8>>,
    bytes: usize,
    /// Set at the end of the stream: how it ended.
    end: Option<Result<(), String>>,
    /// Nobody reads any more.
    unread: bool,
    waiter: Option<Waiter>,
}

/// The bytes between a stream of JavaScript and the thread that reads them.
#[derive(Default)]
struct Feed {
    state: Mutex<Fed>,
    wake: Condvar,
}

impl Feed {
    fn lock(&self) -> MutexGuard<'_, Fed> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self, how: Result<(), String>) {
        self.lock().end.get_or_insert(how);
        self.wake.notify_all();
    }
}

/// The end that is read from.
struct FeedReader {
    feed: Arc<Feed>,
    chunk: io::Cursor<Vec<u8>>,
}

impl Read for FeedReader {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            let count = self.chunk.read(into)?;
            if count > 0 || into.is_empty() {
                return Ok(count);
            }
            let mut state = self.feed.lock();
            while state.chunks.is_empty() {
                match &state.end {
                    Some(Ok(())) => return Ok(0),
                    Some(Err(reason)) => return Err(io::Error::other(reason.clone())),
                    None => state = self.feed.wake.wait(state).unwrap_or_else(PoisonError::into_inner),
                }
            }
            let next = state.chunks.pop_front().unwrap_or_default();
            state.bytes -= next.len();
            let waiter = if state.bytes <= FULL_BYTES / 2 { state.waiter.take() } else { None };
            drop(state);
            resolve(waiter);
            self.chunk = io::Cursor::new(next);
        }
    }
}

impl Drop for FeedReader {
    fn drop(&mut self) {
        let mut state = self.feed.lock();
        state.unread = true;
        state.chunks.clear();
        let waiter = state.waiter.take();
        drop(state);
        resolve(waiter);
    }
}

fn resolve(waiter: Option<Waiter>) {
    if let Some(waiter) = waiter {
        waiter.resolve(Box::new(|_| Ok(true)));
    }
}

/// An input for one call.
#[napi]
pub struct Source {
    source: Mutex<Option<CoreSource>>,
    feed: Option<Arc<Feed>>,
}

impl Source {
    fn of(source: CoreSource, feed: Option<Arc<Feed>>) -> Self {
        Self { source: Mutex::new(Some(source)), feed }
    }

    /// The input, and the lane for work that reads it.
    ///
    /// # Errors
    /// [`CoreError::Conflict`] the second time.
    pub fn take(&self, lane: Lane) -> pure_sound::Result<(CoreSource, Lane)> {
        let source = self.source.lock().unwrap_or_else(PoisonError::into_inner).take();
        let source = source.ok_or_else(|| CoreError::Conflict { what: "an input can be read once".into() })?;
        Ok((source, if self.feed.is_some() { Lane::Fed } else { lane }))
    }
}

#[napi]
impl Source {
    /// A file.
    #[napi(factory)]
    pub fn path(path: String) -> Self {
        Self::of(CoreSource::from(path.as_str()), None)
    }

    /// A whole file in memory. Copied, so that JavaScript may do with its bytes what it likes.
    #[napi(factory)]
    pub fn bytes(bytes: &[u8]) -> Self {
        Self::of(CoreSource::Bytes(bytes.into()), None)
    }

    /// Audio in memory.
    #[napi(factory)]
    pub fn audio(env: &Env, rate_hz: f64, layout: String, planes: Planes) -> napi::Result<Self> {
        sync(env, || {
            let buffer = planes.into_buffer(spec_of(rate_hz, &layout)?, false)?;
            Ok(Self::of(CoreSource::from_audio(&buffer)?, None))
        })
    }

    /// Bytes that come by [`Source::push`].
    #[napi(factory)]
    pub fn feed() -> Self {
        let feed = Arc::new(Feed::default());
        let reader = FeedReader { feed: Arc::clone(&feed), chunk: io::Cursor::default() };
        Self::of(CoreSource::Stream(Box::new(reader)), Some(feed))
    }

    /// Hands over bytes. False when nobody reads any more; else true, or a promise of it when the reader should catch up first.
    #[napi]
    pub fn push<'env>(&self, env: &'env Env, bytes: &[u8]) -> napi::Result<Either<bool, Object<'env>>> {
        let Some(feed) = &self.feed else { return Ok(Either::A(false)) };
        let mut state = feed.lock();
        if state.unread {
            return Ok(Either::A(false));
        }
        if state.end.is_some() {
            let error = CoreError::Conflict { what: "this stream has ended".into() };
            return Err(to_js(env, &error));
        }
        if !bytes.is_empty() {
            state.bytes += bytes.len();
            state.chunks.push_back(bytes.to_vec());
        }
        let full = state.bytes > FULL_BYTES;
        let promise = if full {
            let (waiter, promise) = env.create_deferred()?;
            state.waiter = Some(waiter);
            Some(promise)
        } else {
            None
        };
        drop(state);
        feed.wake.notify_all();
        Ok(promise.map_or(Either::A(true), Either::B))
    }

    /// No more bytes. With a reason: the stream broke.
    #[napi]
    pub fn end(&self, reason: Option<String>) {
        if let Some(feed) = &self.feed {
            feed.end(reason.map_or(Ok(()), Err));
        }
    }
}

impl Drop for Source {
    /// `index.js` holds it until it has ended the stream; when it goes before, the JavaScript environment ended.
    fn drop(&mut self) {
        self.end(Some("the stream was left".into()));
    }
}
