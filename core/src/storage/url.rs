//! Tells URLs from paths.

use std::io;
use std::path::{Path, PathBuf};

/// A kind of object store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scheme {
    /// Amazon S3 and whatever speaks its protocol: `s3://bucket/key`.
    S3,
    /// Google Cloud Storage: `gs://bucket/key`.
    Gcs,
    /// Azure Blob Storage: `az://container/key`, `abfss://container@account.dfs.core.windows.net/key`.
    Azure,
}

/// Where something is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Place {
    /// A file of this machine.
    File(PathBuf),
    /// An object.
    Object {
        /// Which kind of store.
        scheme: Scheme,
        /// The URL up to the bucket, such as `s3://bucket`.
        root: String,
        /// The key in the bucket, as it is: nothing is decoded.
        key: String,
    },
}

impl Place {
    /// Reads a path or URL. What has no scheme that is known here is a path; `file:///a/b` is the path `/a/b`.
    ///
    /// # Errors
    /// `InvalidInput` for a URL without a bucket, and for a `file` URL with a host; `Unsupported` for `http` and `https`.
    pub fn of(path: &Path) -> io::Result<Self> {
        let file = || Ok(Self::File(path.to_path_buf()));
        let Some((scheme, rest)) = path.to_str().and_then(|text| text.split_once("://")) else { return file() };
        let kind = match scheme {
            "s3" | "s3a" => Scheme::S3,
            "gs" => Scheme::Gcs,
            "az" | "azure" | "abfs" | "abfss" | "adl" => Scheme::Azure,
            "file" => {
                let wrong = || invalid(format!("'{}': a file URL is file:///PATH", path.display()));
                return rest.starts_with('/').then(|| Self::File(rest.into())).ok_or_else(wrong);
            }
            "http" | "https" => {
                let text = format!(
                    "{scheme} URLs are not read; fetch {} first, or use the store's own scheme",
                    path.display()
                );
                return Err(io::Error::new(io::ErrorKind::Unsupported, text));
            }
            _ => return file(),
        };
        let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
        if bucket.is_empty() {
            return Err(invalid(format!("'{}' names no bucket", path.display())));
        }
        Ok(Self::Object { scheme: kind, root: format!("{scheme}://{bucket}"), key: key.into() })
    }
}

fn invalid(text: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_told_from_paths() {
        let object = |scheme, root: &str, key: &str| Place::Object { scheme, root: root.into(), key: key.into() };
        let cases = [
            ("a/b.wav", Place::File("a/b.wav".into())),
            ("/a:b//c", Place::File("/a:b//c".into())),
            ("what://b/c", Place::File("what://b/c".into())),
            ("file:///a/b%20c", Place::File("/a/b%20c".into())),
            ("s3://b/k/l m%20.wav", object(Scheme::S3, "s3://b", "k/l m%20.wav")),
            ("gs://b/k", object(Scheme::Gcs, "gs://b", "k")),
            ("az://c/k", object(Scheme::Azure, "az://c", "k")),
            ("abfss://c@a.dfs.core.windows.net/k", object(Scheme::Azure, "abfss://c@a.dfs.core.windows.net", "k")),
            ("s3://b", object(Scheme::S3, "s3://b", "")),
        ];
        for (text, place) in cases {
            assert_eq!(Place::of(Path::new(text)).unwrap(), place, "{text}");
        }
        let refused = [
            ("s3://", io::ErrorKind::InvalidInput),
            ("s3:///k", io::ErrorKind::InvalidInput),
            ("file://host/a", io::ErrorKind::InvalidInput),
            ("https://h/a", io::ErrorKind::Unsupported),
        ];
        for (text, kind) in refused {
            assert_eq!(Place::of(Path::new(text)).unwrap_err().kind(), kind, "{text}");
        }
    }
}
