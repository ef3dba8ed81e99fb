//! Objects, against a real server that speaks S3.

use std::io::{Read, Seek, SeekFrom, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::json;

use super::*;
use crate::Engine;
use crate::audio::{Buffer, ChannelLayout, Spec};
use crate::formats::{ReadOptions, Source};
use crate::processing::Control;
use crate::services::seams::FileSystem;
use crate::storage::Files;

/// A bucket of its own on the server for tests.
struct Bucket {
    host: String,
    name: String,
}

impl Bucket {
    /// None without a server, which is said.
    fn new(test: &str) -> Option<Self> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let Some(server) = std::env::var("PURESOUND_TEST_S3").ok().filter(|text| !text.is_empty()) else {
            println!("skipped: {test} without an S3 server; set PURESOUND_TEST_S3, or use tests/with_services");
            return None;
        };
        let host = server.trim_start_matches("http://").trim_end_matches('/').to_owned();
        let name = format!("test-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let bucket = Self { host, name };
        assert!(bucket.ask("PUT", "", "").starts_with("HTTP/1.1 200"));
        Some(bucket)
    }

    /// A plain request to the server, for what is no business of the library.
    fn ask(&self, method: &str, query: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(&self.host).unwrap();
        write!(
            stream,
            "{method} /{}{query} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
            self.name,
            self.host,
            body.len()
        )
        .unwrap();
        let mut told = String::new();
        stream.read_to_string(&mut told).unwrap();
        told
    }

    fn options(&self) -> ObjectOptions {
        options(&format!("http://{}", self.host))
    }

    fn files(&self) -> Files {
        Files::default().with_objects(self.options())
    }

    fn url(&self, key: &str) -> PathBuf {
        format!("s3://{}/{key}", self.name).into()
    }

    /// Uploads in parts that were begun and neither finished nor given up.
    fn unfinished(&self) -> usize {
        self.ask("GET", "?uploads", "").matches("<UploadId>").count()
    }
}

fn options(endpoint: &str) -> ObjectOptions {
    [
        ("aws_endpoint", endpoint),
        ("allow_http", "true"),
        ("aws_access_key_id", "test"),
        ("aws_secret_access_key", "test"),
        ("aws_region", "us-east-1"),
    ]
    .into_iter()
    .fold(ObjectOptions::default(), |options, (name, value)| options.set(name, value).unwrap())
}

macro_rules! with_bucket {
    ($($name:ident |$bucket:ident| $body:block)*) => {
        $(#[test]
        fn $name() {
            let Some($bucket) = Bucket::new(stringify!($name)) else { return };
            let $bucket = &$bucket;
            $body
        })*
    };
}

/// Bytes that tell where they are.
fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 7 % 251) as u8 ^ (i >> 16) as u8).collect()
}

fn write(files: &Files, path: &Path, bytes: &[u8], replace: bool) -> io::Result<bool> {
    let new = files.create(path)?;
    new.handle()?.write_all(bytes)?;
    new.publish(replace)
}

fn kind<T>(result: io::Result<T>) -> io::ErrorKind {
    result.map(drop).unwrap_err().kind()
}

with_bucket! {
    what_is_written_is_read_in_one_request_and_in_parts |bucket| {
        let files = bucket.files();
        for (name, len) in [("empty", 0), ("a b#%20?.bin", 1000), ("deep/er/parts.bin", (20 << 20) + 12345)] {
            let (path, bytes) = (bucket.url(name), pattern(len));
            assert!(write(&files, &path, &bytes, true).unwrap(), "nothing was there");
            assert_eq!(files.info(&path).unwrap().len, len as u64);
            assert!(files.read(&path, u64::MAX).unwrap() == bytes, "{name}");
        }
        assert_eq!(bucket.unfinished(), 0);
        let listed = files.list(&bucket.url("deep")).unwrap();
        assert_eq!(listed, [bucket.url("deep/er")]);
        assert!(!write(&files, &bucket.url("empty"), b"1", true).unwrap(), "something was there");
        files.remove(&bucket.url("empty")).unwrap();
        assert_eq!(kind(files.info(&bucket.url("empty"))), io::ErrorKind::NotFound);
    }

    any_part_is_read_in_any_order |bucket| {
        let (files, path, bytes) = (bucket.files(), bucket.url("a"), pattern(9_500_000));
        write(&files, &path, &bytes, true).unwrap();
        let mut file = files.open(&path).unwrap().file;
        // Ends, borders of chunks, back and forth; more of them than are kept.
        for at in [0, 9_499_990, 1_048_570, 5_000_000, 5_000_010, 2_097_151, 8_388_600, 0, 3_145_720, 9_500_000] {
            let mut found = vec![0; 20.min(bytes.len() - at)];
            file.seek(SeekFrom::Start(at as u64)).unwrap();
            file.read_exact(&mut found).unwrap();
            assert_eq!(found, bytes[at..at + found.len()], "at {at}");
        }
        assert_eq!(file.seek(SeekFrom::End(-5)).unwrap(), 9_499_995);
        assert_eq!(kind(file.seek(SeekFrom::Current(-10_000_000))), io::ErrorKind::InvalidInput);
        let mut other = file.duplicate().unwrap();
        file.seek(SeekFrom::Start(7)).unwrap();
        assert_eq!(other.stream_position().unwrap(), 7, "handles share one position");
        let mut all = Vec::new();
        other.seek(SeekFrom::Start(0)).unwrap();
        other.read_to_end(&mut all).unwrap();
        assert!(all == bytes);
        assert!(file.write(b"x").is_err());
    }

    an_object_that_changes_while_it_is_read_is_an_error |bucket| {
        let (files, path) = (bucket.files(), bucket.url("a"));
        write(&files, &path, &pattern(3_000_000), true).unwrap();
        let mut file = files.open(&path).unwrap().file;
        file.read_exact(&mut [0; 10]).unwrap();
        write(&files, &path, &pattern(3_000_001), true).unwrap();
        file.seek(SeekFrom::Start(2_500_000)).unwrap();
        assert!(file.read_exact(&mut [0; 10]).is_err(), "half of the one and half of the other would be worse");
    }

    what_is_not_published_is_not_there_and_nothing_is_replaced_unasked |bucket| {
        let files = bucket.files();
        for (name, len) in [("small", 10), ("large", 9 << 20)] {
            let path = bucket.url(name);
            let new = files.create(&path).unwrap();
            new.handle().unwrap().write_all(&pattern(len)).unwrap();
            drop(new);
            assert_eq!(kind(files.info(&path)), io::ErrorKind::NotFound);
            write(&files, &path, b"theirs", false).unwrap();
            assert_eq!(kind(write(&files, &path, &pattern(len), false)), io::ErrorKind::AlreadyExists);
            assert_eq!(files.read(&path, 10).unwrap(), b"theirs");
        }
        assert_eq!(kind(files.read(&bucket.url("small"), 3)), io::ErrorKind::FileTooLarge);
        assert_eq!(bucket.unfinished(), 0);
    }

    an_upload_that_fails_leaves_no_parts |bucket| {
        let files = bucket.files();
        // Parts may come, the end may not.
        let object = files.create(&bucket.url("x")).unwrap();
        object.handle().unwrap().write_all(&pattern(17 << 20)).unwrap();
        let mut cut = object.handle().unwrap();
        let store = Objects::new(bucket.options());
        let place = store.object(Scheme::S3, &format!("s3://{}", bucket.name), "x").unwrap();
        let broken = Box::new(Breaks { file: cut.duplicate().unwrap(), left: 10 << 20 });
        cut.seek(SeekFrom::Start(0)).unwrap();
        assert!(Box::new(NewObject::new(place, broken)).publish(true).is_err());
        assert_eq!(kind(files.info(&bucket.url("x"))), io::ErrorKind::NotFound);
        assert_eq!(bucket.unfinished(), 0, "what had come was given up");
    }

    who_may_not_is_told_so |bucket| {
        let files = bucket.files();
        let path = bucket.url("secret.wav");
        write(&files, &path, b"123", true).unwrap();
        let policy = json!({ "Version": "2012-10-17", "Statement": [{
            "Effect": "Deny", "Principal": "*", "Action": ["s3:GetObject", "s3:PutObject"],
            "Resource": format!("arn:aws:s3:::{}/*", bucket.name),
        }]});
        let told = bucket.ask("PUT", "?policy", &policy.to_string());
        assert!(told.starts_with("HTTP/1.1 20"), "{told}");
        let engine = Engine::builder().files(Arc::new(bucket.files())).build().unwrap();
        let error = engine.probe(path.as_path().into(), &ReadOptions::default()).unwrap_err();
        assert!(matches!(error, Error::Denied { .. }), "{error:?}");
        assert_eq!(kind(write(&files, &bucket.url("new"), b"1", true)), io::ErrorKind::PermissionDenied);
    }

    a_recipe_reads_and_writes_objects |bucket| {
        let engine = Engine::builder().files(Arc::new(bucket.files())).build().unwrap();
        let mut audio = Buffer::new(Spec::new(48_000, ChannelLayout::STEREO), 96_000);
        for channel in 0..2 {
            for (i, sample) in audio.channel_mut(channel).iter_mut().enumerate() {
                *sample = (i as f32 * 0.05).sin() * 0.25;
            }
        }
        let folder = tempfile::tempdir().unwrap();
        let near = folder.path().join("in.wav");
        let mut bytes = Vec::new();
        Source::from_audio(&audio).unwrap().open(&crate::formats::Limits::default()).unwrap().0.read_to_end(&mut bytes).unwrap();
        std::fs::write(&near, &bytes).unwrap();
        write(&bucket.files(), &bucket.url("in.wav"), &bytes, true).unwrap();
        let run = |input: &Path, flac: &Path, opus: &Path| {
            let level = json!({ "measure": "loudness", "integrated_lufs": -20.0, "true_peak_dbtp": -1.0 });
            let request = json!({ "input": input, "output": [flac, opus], "level": level });
            engine.process(&engine.recipe(&request)?, &Control::default())
        };
        let (flac, opus) = (folder.path().join("out.flac"), folder.path().join("out.opus"));
        run(&near, &flac, &opus).unwrap();
        let report = run(&bucket.url("in.wav"), &bucket.url("o/out.flac"), &bucket.url("o/out.opus")).unwrap();
        assert_eq!(report.outputs[0].path, bucket.url("o/out.flac"));
        for (far, near) in [("o/out.flac", flac), ("o/out.opus", opus)] {
            let far = bucket.files().read(&bucket.url(far), u64::MAX).unwrap();
            assert!(far == std::fs::read(&near).unwrap(), "the same bytes as from and to files: {}", near.display());
        }
        let missing = run(&bucket.url("no.wav"), &bucket.url("x.flac"), &bucket.url("x.opus")).unwrap_err();
        assert!(matches!(missing, Error::NotFound { .. }), "{missing:?}");
        let same = run(&bucket.url("in.wav"), &bucket.url("in.wav"), &bucket.url("y.opus")).unwrap_err();
        assert!(matches!(same, Error::Conflict { .. }), "{same:?}");
        // The second output has no bucket: the first one is gone again.
        let lost = run(&bucket.url("in.wav"), &bucket.url("z.flac"), Path::new("s3://no-such-bucket-here/z.opus"));
        assert!(lost.is_err());
        assert_eq!(kind(bucket.files().info(&bucket.url("z.flac"))), io::ErrorKind::NotFound);
        assert_eq!(bucket.unfinished(), 0);
    }
}

/// A file that fails after so many bytes.
struct Breaks {
    file: Box<dyn FileHandle>,
    left: usize,
}

impl Read for Breaks {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(&mut buffer[..])?;
        self.left = self.left.checked_sub(count).ok_or_else(|| io::Error::other("broken"))?;
        Ok(count)
    }
}

impl Write for Breaks {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Seek for Breaks {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}

impl FileHandle for Breaks {
    fn duplicate(&self) -> io::Result<Box<dyn FileHandle>> {
        self.file.duplicate()
    }
    fn set_len(&mut self, bytes: u64) -> io::Result<()> {
        self.file.set_len(bytes)
    }
    fn sync(&self) -> io::Result<()> {
        self.file.sync()
    }
}

#[test]
fn a_server_that_is_not_there_is_a_failure_that_may_pass() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let files = Files::default().with_objects(options(&format!("http://127.0.0.1:{port}")));
    let path = Path::new("s3://bucket/a.wav");
    let error = Error::io("open", Some(path), files.info(path).unwrap_err());
    assert!(error.is_transient(), "{error:?}");
}

#[test]
fn settings_are_known_by_name_and_never_shown() {
    let options = options("http://h").set("google_service_account", "x").unwrap();
    assert!(!format!("{options:?}").contains("test"), "{options:?}");
    assert!(matches!(options.set("aws_endpont", ""), Err(Error::UnknownName { .. })));
    let files = Files::default();
    for wrong in ["s3://bucket", "s3://bucket/", "s3://bucket/a/"] {
        let refused = files.create(Path::new(wrong)).map(drop).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::InvalidInput, "{wrong}");
    }
    assert_eq!(kind(files.info(Path::new("s3://bucket/a/../b"))), io::ErrorKind::InvalidInput);
}
