//! Where files are: on this machine, or in a store of objects behind a URL.
//!
//! [`Files`] is what an [`Engine`](crate::Engine) opens inputs and publishes outputs with, unless it is given something else: a path is a
//! path, and `s3://bucket/key`, `gs://bucket/key`, `az://container/key` are objects, with the feature `object-store`. Either way an output
//! appears whole or not at all.

mod beneath;
mod files;
#[cfg(feature = "object-store")]
mod objects;
mod url;

pub use beneath::Beneath;
pub use files::Files;
#[cfg(feature = "object-store")]
pub use objects::{ObjectOptions, Objects};
pub use url::{Place, Scheme};
