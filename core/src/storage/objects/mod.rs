//! Objects: S3, Google Cloud Storage, Azure, through `object_store`.
//!
//! That library is asynchronous; here is a face that is not, with threads of its own, so that it may be called from anywhere, from a thread
//! of another runtime, too.

mod reader;
#[cfg(test)]
mod tests;
mod upload;

use std::collections::{BTreeMap, HashMap};
use std::error::Error as StdError;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, bounded};
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::client::{HttpError, HttpErrorKind};
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::path::Path as Key;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt, RetryConfig};
use tokio::runtime::Runtime;

use self::reader::Reader;
use self::upload::NewObject;
use super::url::Scheme;
use crate::error::{Error, Result};
use crate::services::seams::{FileHandle, FileInfo, NewFile, OpenedFile};
use crate::sync::{Mutex, lock};

/// How object stores are reached, over what the environment says.
#[derive(Clone, Default)]
pub struct ObjectOptions {
    values: BTreeMap<String, String>,
}

impl ObjectOptions {
    /// Sets a value by the name that `object_store` gives it, such as `aws_endpoint`, `aws_access_key_id`, `allow_http`,
    /// `google_service_account`, `azure_storage_account_name`: the names of the variables in lower case.
    ///
    /// # Errors
    /// [`Error::UnknownName`].
    pub fn set(mut self, name: &str, value: impl Into<String>) -> Result<Self> {
        let known = name.parse::<AmazonS3ConfigKey>().is_ok()
            || name.parse::<GoogleConfigKey>().is_ok()
            || name.parse::<AzureConfigKey>().is_ok();
        if !known {
            return Err(Error::unknown_name(
                "setting of an object store",
                name,
                ["aws_endpoint", "aws_region", "allow_http"],
            ));
        }
        self.values.insert(name.to_owned(), value.into());
        Ok(self)
    }
}

impl std::fmt::Debug for ObjectOptions {
    /// Names alone: values may be secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.values.keys()).finish()
    }
}

/// The objects of all stores that URLs name. Connections and threads begin with the first one.
#[derive(Default)]
pub struct Objects {
    options: ObjectOptions,
    shared: Mutex<Shared>,
}

#[derive(Default)]
struct Shared {
    background: Option<Arc<Background>>,
    /// By the URL of the bucket.
    stores: HashMap<String, Arc<dyn ObjectStore>>,
}

/// Threads that wait for the network.
struct Background(Option<Runtime>);

impl Background {
    fn new() -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("puresound-objects")
            .enable_all()
            .build()?;
        Ok(Self(Some(runtime)))
    }

    /// Begins something; its result comes to the receiver.
    fn begin<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> Receiver<T> {
        let (answers, answer) = bounded(1);
        if let Some(runtime) = &self.0 {
            // Nobody listens when the caller is gone.
            runtime.spawn(async move { drop(answers.send(work.await)) });
        }
        answer
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        // Waiting here would be an error on a thread of another runtime.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// The answer of something that was begun.
fn answer<T>(receiver: &Receiver<object_store::Result<T>>) -> io::Result<T> {
    receiver.recv().map_err(|_| io::Error::other("the work for an object was dropped"))?.map_err(told)
}

/// One object, there or not.
#[derive(Clone)]
struct Object {
    store: Arc<dyn ObjectStore>,
    key: Key,
    background: Arc<Background>,
}

impl Object {
    /// Waits for something that is done with the store.
    fn wait<T: Send + 'static, F: Future<Output = object_store::Result<T>> + Send + 'static>(
        &self,
        work: impl FnOnce(Arc<dyn ObjectStore>, Key) -> F,
    ) -> io::Result<T> {
        answer(&self.background.begin(work(Arc::clone(&self.store), self.key.clone())))
    }

    fn head(&self) -> io::Result<ObjectMeta> {
        self.wait(|store, key| async move { store.head(&key).await })
    }

    /// What is known of it; none when it is not there.
    fn look(&self) -> io::Result<Option<ObjectMeta>> {
        match self.head() {
            Ok(meta) => Ok(Some(meta)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e),
        }
    }
}

impl Objects {
    /// Reaches stores as `options` say where the environment does not.
    pub fn new(options: ObjectOptions) -> Self {
        Self { options, shared: Mutex::default() }
    }

    fn object(&self, scheme: Scheme, root: &str, key: &str) -> io::Result<Object> {
        let key = Key::parse(key).map_err(|e| io::Error::new(io::ErrorKind::InvalidInput, e))?;
        let mut shared = lock(&self.shared);
        let background = match &shared.background {
            Some(background) => Arc::clone(background),
            None => Arc::clone(shared.background.insert(Arc::new(Background::new()?))),
        };
        let store = match shared.stores.get(root) {
            Some(store) => Arc::clone(store),
            None => {
                let store = self.connect(scheme, root).map_err(told)?;
                shared.stores.insert(root.to_owned(), Arc::clone(&store));
                store
            }
        };
        Ok(Object { store, key, background })
    }

    fn connect(&self, scheme: Scheme, root: &str) -> object_store::Result<Arc<dyn ObjectStore>> {
        // A caller waits: not for the three minutes that are usual there.
        let retry = RetryConfig { max_retries: 5, retry_timeout: Duration::from_secs(60), ..RetryConfig::default() };
        macro_rules! build {
            ($builder:ident, $key:ty) => {{
                let mut builder = $builder::from_env().with_url(root).with_retry(retry);
                for (name, value) in &self.options.values {
                    if let Ok(name) = name.parse::<$key>() {
                        builder = builder.with_config(name, value);
                    }
                }
                Arc::new(builder.build()?)
            }};
        }
        Ok(match scheme {
            Scheme::S3 => build!(AmazonS3Builder, AmazonS3ConfigKey),
            Scheme::Gcs => build!(GoogleCloudStorageBuilder, GoogleConfigKey),
            Scheme::Azure => build!(MicrosoftAzureBuilder, AzureConfigKey),
        })
    }

    pub(super) fn read(&self, scheme: Scheme, root: &str, key: &str, max_bytes: u64) -> io::Result<Vec<u8>> {
        let object = self.object(scheme, root, key)?;
        let reader = Reader::open(object)?;
        if reader.len() > max_bytes {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("larger than {max_bytes} bytes")));
        }
        reader.all()
    }

    pub(super) fn info(&self, scheme: Scheme, root: &str, key: &str) -> io::Result<FileInfo> {
        let meta = self.object(scheme, root, key)?.head()?;
        let modified_ns = meta.last_modified.timestamp_nanos_opt().and_then(|ns| u128::try_from(ns).ok()).unwrap_or(0);
        Ok(FileInfo { len: meta.size, modified_ns, number: 0, mode: None, folder: false })
    }

    /// What lies directly under a key, as in a folder.
    pub(super) fn list(&self, scheme: Scheme, root: &str, key: &str) -> io::Result<Vec<PathBuf>> {
        let object = self.object(scheme, root, key.trim_end_matches('/'))?;
        let found = object.wait(|store, key| async move { store.list_with_delimiter(Some(&key)).await })?;
        let keys = found.objects.into_iter().map(|meta| meta.location).chain(found.common_prefixes);
        let mut all: Vec<_> = keys.map(|key| PathBuf::from(format!("{root}/{key}"))).collect();
        all.sort();
        Ok(all)
    }

    pub(super) fn replace(&self, scheme: Scheme, root: &str, key: &str, bytes: &[u8]) -> io::Result<()> {
        let bytes = bytes.to_vec();
        let object = self.object(scheme, root, key)?;
        object.wait(|store, key| async move { store.put(&key, bytes.into()).await }).map(drop)
    }

    pub(super) fn open(&self, scheme: Scheme, root: &str, key: &str) -> io::Result<OpenedFile> {
        Ok(OpenedFile { file: Box::new(Reader::open(self.object(scheme, root, key)?)?), seekable: true })
    }

    pub(super) fn create(
        &self,
        scheme: Scheme,
        root: &str,
        key: &str,
        file: Box<dyn FileHandle>,
    ) -> io::Result<Box<dyn NewFile>> {
        if key.is_empty() || key.ends_with('/') {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{root}/{key} names no object")));
        }
        Ok(Box::new(NewObject::new(self.object(scheme, root, key)?, file)))
    }

    pub(super) fn remove(&self, scheme: Scheme, root: &str, key: &str) -> io::Result<()> {
        self.object(scheme, root, key)?.wait(|store, key| async move { store.delete(&key).await })
    }
}

/// An error of a store as one of the system.
fn told(error: object_store::Error) -> io::Error {
    use object_store::Error as E;
    let kind = match &error {
        E::NotFound { .. } => io::ErrorKind::NotFound,
        E::AlreadyExists { .. } => io::ErrorKind::AlreadyExists,
        E::PermissionDenied { .. } | E::Unauthenticated { .. } => io::ErrorKind::PermissionDenied,
        E::InvalidPath { .. } | E::UnknownConfigurationKey { .. } => io::ErrorKind::InvalidInput,
        E::NotSupported { .. } | E::NotImplemented { .. } => io::ErrorKind::Unsupported,
        other => network(other),
    };
    io::Error::new(kind, error)
}

/// What the network did, if it was that.
fn network(error: &object_store::Error) -> io::ErrorKind {
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(http) = error.downcast_ref::<HttpError>() {
            return match http.kind() {
                HttpErrorKind::Connect => io::ErrorKind::HostUnreachable,
                HttpErrorKind::Timeout => io::ErrorKind::TimedOut,
                HttpErrorKind::Interrupted | HttpErrorKind::Request => io::ErrorKind::ConnectionReset,
                _ => io::ErrorKind::Other,
            };
        }
        cause = error.source();
    }
    io::ErrorKind::Other
}
