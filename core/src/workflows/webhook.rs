//! Notices over HTTP: which URLs may be called, and the call.
//!
//! Who writes a workflow is not who runs it, so a workflow cannot reach what its host did not allow. A URL has to lie below one that was
//! allowed, compared by its parts; its name is resolved once, every address that it has is looked at, and the connection goes to just
//! these; nothing is ever forwarded to another place. The request carries the headers of the Standard Webhooks specification 1.0.0
//! (standardwebhooks.com): `webhook-id`, the same whenever a step is done again, `webhook-timestamp`, and with a secret `webhook-signature`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::cancel::CancelToken;
use crate::config::Secret;
use crate::error::{Error, Result};

/// Where steps may send notices, and how. By default nowhere.
#[derive(Debug, Clone)]
pub struct WebhookOptions {
    /// URLs that may be called: those below one of these, with the same scheme, host and port. `https://hooks.example.org/audio` allows
    /// `https://hooks.example.org/audio/done`, and not `https://hooks.example.org/audiobooks`.
    pub allow: Vec<String>,
    /// Addresses of this machine, of private networks and of others that are not public may be called, too. Default false.
    pub private: bool,
    /// Longest time of a call, in milliseconds: 1 to 600,000. Default 10,000.
    pub timeout_ms: u64,
    /// Signs notices with HMAC-SHA256.
    pub secret: Option<Secret>,
}

impl Default for WebhookOptions {
    fn default() -> Self {
        Self { allow: Vec::new(), private: false, timeout_ms: 10_000, secret: None }
    }
}

/// One notice to be sent.
pub(super) struct Call<'a> {
    pub url: &'a str,
    /// Names it, whoever sends it again.
    pub id: &'a str,
    /// JSON.
    pub body: String,
    pub cancel: &'a CancelToken,
}

#[cfg(not(feature = "webhook"))]
pub(super) fn send(_: &WebhookOptions, call: &Call<'_>) -> Result<u16> {
    let _ = (call.id, &call.body, call.cancel);
    Err(Error::Unsupported {
        what: "webhook",
        value: call.url.into(),
        hint: Some("it needs a build with the feature webhook".into()),
    })
}

/// Sends a notice; the status of the answer.
///
/// # Errors
/// [`Error::InvalidValue`] for what is no URL; [`Error::Denied`] for one that is not allowed, or whose address is not;
/// [`Error::Unavailable`], which may pass, when nobody answers in time or the answer is 408, 425, 429 or 5xx, and [`Error::RetryLater`]
/// when that comes with `Retry-After`; [`Error::Conflict`] for other refusals, a redirection among them; [`Error::Cancelled`].
#[cfg(feature = "webhook")]
pub(super) fn send(options: &WebhookOptions, call: &Call<'_>) -> Result<u16> {
    use std::time::{Duration, SystemTime, UNIX_EPOCH};

    Error::check_range("timeout_ms", options.timeout_ms as f64, 1.0, 600_000.0, "ms")?;
    let url = allowed(options, call.url)?;
    let shown = shown(&url);
    let away = |what: String| Error::Unavailable { what: format!("{shown}: {what}") };
    let addresses = addresses(options, &url, &shown)?;
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |t| t.as_secs());
    let mut builder = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .referer(false)
        .user_agent(concat!("puresound/", env!("CARGO_PKG_VERSION")))
        .timeout(Duration::from_millis(options.timeout_ms));
    if let Some(name) = url.domain() {
        // The addresses that were looked at, and no others: a name may mean something else the next time.
        builder = builder.resolve_to_addrs(name, &addresses);
    }
    let client = builder.build().map_err(|e| away(in_words(e)))?;
    let mut request = client
        .post(url)
        .header("content-type", "application/json")
        .header("webhook-id", call.id)
        .header("webhook-timestamp", seconds.to_string());
    if let Some(secret) = &options.secret {
        request = request.header("webhook-signature", signature(secret, call.id, seconds, &call.body)?);
    }
    let request = request.body(call.body.clone());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|e| away(e.to_string()))?;
    let (status, retry_after) = runtime.block_on(async {
        let mut answer = std::pin::pin!(request.send());
        loop {
            match tokio::time::timeout(Duration::from_millis(50), &mut answer).await {
                Ok(answer) => {
                    let answer = answer.map_err(|e| away(in_words(e)))?;
                    let wait = answer.headers().get("retry-after").and_then(|value| value.to_str().ok());
                    return Ok((answer.status(), wait.and_then(|text| retry_after_ms(text, seconds * 1000))));
                }
                Err(_) => call.cancel.check()?,
            }
        }
    })?;
    match status.as_u16() {
        200..=299 => Ok(status.as_u16()),
        408 | 425 | 429 | 500..=599 => Err(match retry_after {
            Some(after_ms) => Error::RetryLater { what: format!("{shown}: answered {status}"), after_ms },
            None => away(format!("answered {status}")),
        }),
        300..=399 => Err(Error::Conflict { what: format!("{shown}: answered {status}: a notice is not redirected") }),
        _ => Err(Error::Conflict { what: format!("{shown}: answered {status}") }),
    }
}

/// Milliseconds from now on of a `Retry-After`: seconds, or a date (RFC 9110, sections 10.2.3 and 5.6.7; not its two obsolete forms).
#[cfg(feature = "webhook")]
fn retry_after_ms(text: &str, now_unix_ms: u64) -> Option<u64> {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let text = text.trim();
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        return Some(text.parse::<u64>().unwrap_or(u64::MAX).saturating_mul(1000));
    }
    let [_, day, month, year, time, "GMT"] = text.split(' ').collect::<Vec<_>>()[..] else { return None };
    let month = 1 + MONTHS.iter().position(|name| *name == month)?;
    let then_unix_ms = crate::jobs::parse_time(&format!("{year}-{month:02}-{day}T{time}Z")).ok()?;
    Some(then_unix_ms.saturating_sub(now_unix_ms))
}

/// The URL, when it lies below one that is allowed.
#[cfg(feature = "webhook")]
fn allowed(options: &WebhookOptions, text: &str) -> Result<reqwest::Url> {
    let wrong = |value: &str| Error::InvalidValue {
        name: "webhook".into(),
        value: value.into(),
        allowed: "a URL with https or http, without a user".into(),
    };
    let parse = |text: &str| {
        let url = reqwest::Url::parse(text).ok().filter(|url| {
            matches!(url.scheme(), "https" | "http")
                && url.has_host()
                && url.username().is_empty()
                && url.password().is_none()
        });
        url.ok_or_else(|| wrong(text))
    };
    let url = parse(text)?;
    for text in &options.allow {
        let allowed = parse(text)?;
        let folder = allowed.path().trim_end_matches('/');
        // Both paths are without `.` and `..`: reading a URL takes these out.
        let below = url.path().strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        let place = |url: &reqwest::Url| (url.scheme().to_owned(), url.host_str().map(str::to_owned), url.port());
        if below && place(&allowed) == place(&url) {
            return Ok(url);
        }
    }
    Err(Error::Denied { path: shown(&url), reason: "it is not among the webhooks that are allowed".into() })
}

/// The addresses behind a URL; none of them may be one that is not allowed.
#[cfg(feature = "webhook")]
fn addresses(options: &WebhookOptions, url: &reqwest::Url, shown: &str) -> Result<Vec<std::net::SocketAddr>> {
    // An address in the URL resolves to itself.
    let found = url.socket_addrs(|| None).map_err(|e| Error::Unavailable { what: format!("{shown}: {e}") })?;
    if found.is_empty() {
        return Err(Error::Unavailable { what: format!("{shown}: the name has no address") });
    }
    match found.iter().find(|address| !options.private && !is_public(address.ip())) {
        Some(address) => {
            Err(Error::Denied { path: shown.into(), reason: format!("{} is no public address", address.ip()) })
        }
        None => Ok(found),
    }
}

/// A URL for messages: what comes after the path may be secret.
#[cfg(feature = "webhook")]
fn shown(url: &reqwest::Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.set_fragment(None);
    url.to_string()
}

/// An error with its causes, without the URL.
#[cfg(feature = "webhook")]
fn in_words(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(next) = cause {
        text.push_str(&format!(": {next}"));
        cause = next.source();
    }
    text
}

/// Standard Webhooks 1.0.0, "Signature scheme": HMAC-SHA256 of `id.timestamp.body`.
#[cfg(feature = "webhook")]
fn signature(secret: &Secret, id: &str, seconds: u64, body: &str) -> Result<String> {
    use base64::Engine as _;
    use hmac::{Hmac, KeyInit, Mac};

    let mac = Hmac::<sha2::Sha256>::new_from_slice(secret.expose().as_bytes());
    let mut mac = mac.map_err(|e| Error::internal(format!("webhook: {e}")))?;
    mac.update(format!("{id}.{seconds}.{body}").as_bytes());
    Ok(format!("v1,{}", base64::engine::general_purpose::STANDARD.encode(mac.finalize().into_bytes())))
}

/// False for addresses that do not lead to a machine of the public internet: this machine, private networks, links, multicast, examples,
/// and what stands for one of those in IPv6. By the special-purpose registries of IANA (RFC 6890).
#[cfg_attr(not(feature = "webhook"), allow(dead_code, reason = "there is nobody to call"))]
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => is_public_v6(v6),
    }
}

#[cfg_attr(not(feature = "webhook"), allow(dead_code, reason = "there is nobody to call"))]
fn is_public_v4(v4: Ipv4Addr) -> bool {
    let [a, b, c, _] = v4.octets();
    let shared = a == 100 && (64..128).contains(&b);
    let protocol = (a, b, c) == (192, 0, 0);
    let relay = (a, b, c) == (192, 88, 99);
    let benchmark = a == 198 && (b == 18 || b == 19);
    !(a == 0
        || v4.is_loopback()
        || v4.is_private()
        || v4.is_link_local()
        || v4.is_documentation()
        || v4.is_multicast()
        || shared
        || protocol
        || relay
        || benchmark
        || a >= 240)
}

#[cfg_attr(not(feature = "webhook"), allow(dead_code, reason = "there is nobody to call"))]
fn is_public_v6(v6: Ipv6Addr) -> bool {
    let words = v6.segments();
    let inner = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match words {
        // IPv4-mapped, and translated (RFC 6052).
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => is_public_v4(inner(high, low)),
        // 6to4.
        [0x2002, high, low, ..] => is_public_v4(inner(high, low)),
        // Teredo, benchmarks, ORCHID, and others of the IETF; examples.
        [0x2001, second, ..] if second < 0x0200 || second == 0x0db8 => false,
        // Only these are given out as global addresses.
        [first, ..] => (0x2000..0x4000).contains(&first),
    }
}

#[cfg(test)]
#[cfg(feature = "webhook")]
mod tests {
    use std::io::{BufRead, BufReader, Read, Write};
    use std::net::TcpListener;
    use std::sync::mpsc;
    use std::time::{Duration, Instant};

    use super::*;

    /// Answers each request with the next of these; the requests, as they came.
    fn server(answers: &'static [&'static str]) -> (String, mpsc::Receiver<(Vec<String>, String)>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://127.0.0.1:{}/hooks", listener.local_addr().unwrap().port());
        let (tell, told) = mpsc::channel();
        std::thread::spawn(move || {
            for answer in answers {
                let (mut stream, _) = listener.accept().unwrap();
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                let mut lines = Vec::new();
                loop {
                    let mut line = String::new();
                    reader.read_line(&mut line).unwrap();
                    match line.trim_end() {
                        "" => break,
                        line => lines.push(line.to_owned()),
                    }
                }
                let length = lines.iter().find_map(|l| l.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
                let mut body = vec![0; length.unwrap_or(0)];
                reader.read_exact(&mut body).unwrap();
                tell.send((lines, String::from_utf8(body).unwrap())).unwrap();
                if answer.is_empty() {
                    // Silence, for longer than anybody waits here.
                    std::thread::sleep(Duration::from_secs(20));
                }
                let _ = stream.write_all(format!("HTTP/1.1 {answer}\r\ncontent-length: 0\r\n\r\n").as_bytes());
            }
        });
        (url, told)
    }

    fn options(url: &str) -> WebhookOptions {
        WebhookOptions { allow: vec![url.into()], private: true, ..WebhookOptions::default() }
    }

    fn call(options: &WebhookOptions, url: &str) -> Result<u16> {
        send(options, &Call { url, id: "run/step", body: "{\"a\":1}".into(), cancel: &CancelToken::new() })
    }

    #[test]
    fn a_notice_arrives_signed() {
        let (url, told) = server(&["204 No Content"]);
        let options = WebhookOptions { secret: Some(Secret::new("key")), ..options(&url) };
        assert_eq!(call(&options, &format!("{url}/done?x=1")).unwrap(), 204);
        let (lines, body) = told.recv().unwrap();
        assert_eq!((lines[0].as_str(), body.as_str()), ("POST /hooks/done?x=1 HTTP/1.1", "{\"a\":1}"));
        let header = |name: &str| {
            let find =
                |l: &String| l.split_once(": ").filter(|(n, _)| n.eq_ignore_ascii_case(name)).map(|p| p.1.to_owned());
            lines.iter().find_map(find).unwrap_or_else(|| panic!("{name} in {lines:?}"))
        };
        assert_eq!((header("webhook-id").as_str(), header("content-type").as_str()), ("run/step", "application/json"));
        let seconds = header("webhook-timestamp").parse().unwrap();
        assert_eq!(header("webhook-signature"), signature(&Secret::new("key"), "run/step", seconds, &body).unwrap());
        // RFC 4231 has no such message; this one is of `openssl dgst -sha256 -hmac key -binary | base64`.
        let known = signature(&Secret::new("key"), "id", 1, "body").unwrap();
        assert_eq!(known, "v1,sYA3/+8KvyXbe4KAKZy0QWKFoLKSHDq/QWu0xQZyY7s=");
    }

    #[test]
    fn only_what_is_allowed_is_called() {
        let rules = WebhookOptions {
            allow: vec!["https://hooks.example.org/audio/".into(), "http://127.0.0.1:9".into()],
            ..WebhookOptions::default()
        };
        for good in
            ["https://hooks.example.org/audio", "https://HOOKS.example.org:443/audio/a?b", "http://127.0.0.1:9/x"]
        {
            allowed(&rules, good).unwrap_or_else(|e| panic!("{good}: {e}"));
        }
        for bad in [
            "https://hooks.example.org/audiobooks",
            "https://hooks.example.org/audio/../other",
            "https://hooks.example.org/audio/%2e%2e/other",
            "https://hooks.example.org:8443/audio",
            "http://hooks.example.org/audio",
            "https://hooks.example.org.evil.org/audio",
            "https://hooks.example.org@evil.org/audio",
            "https://user@hooks.example.org/audio",
            "https://evil.org/https://hooks.example.org/audio",
            "file:///etc/passwd",
            "hooks.example.org/audio",
            "",
        ] {
            assert!(allowed(&rules, bad).is_err(), "{bad}");
        }
        assert!(allowed(&WebhookOptions::default(), "https://hooks.example.org/").is_err(), "nothing by default");
        // Allowed by its name, and refused by its address.
        let refused = call(&rules, "http://127.0.0.1:9/x").unwrap_err();
        assert!(refused.to_string().contains("127.0.0.1 is no public address"), "{refused}");
        assert_eq!(crate::jobs::JobError::from(&refused).class, crate::jobs::FailureClass::Permanent);
    }

    #[test]
    fn redirections_and_refusals_are_final_and_busy_servers_are_tried_again() {
        use crate::jobs::{FailureClass, JobError};
        let answers = &[
            "302 Found\r\nlocation: http://127.0.0.1:1/",
            "404 Not Found",
            "503 Busy",
            "429 Slow",
            "429 Slow\r\nretry-after: 120",
            "503 Busy\r\nretry-after: Thu, 01 Jan 1970 00:00:00 GMT",
            "503 Busy\r\nretry-after: soon",
        ];
        let (url, told) = server(answers);
        let options = options(&url);
        for class in [
            FailureClass::Permanent,
            FailureClass::Permanent,
            FailureClass::Transient,
            FailureClass::Transient,
            FailureClass::RetryAfter(120_000),
            FailureClass::RetryAfter(0),
            FailureClass::Transient,
        ] {
            let error = call(&options, &url).unwrap_err();
            assert_eq!(JobError::from(&error).class, class, "{error}");
            told.recv().unwrap();
        }
        // Nobody is there any more.
        let gone = call(&options, &url).unwrap_err();
        assert_eq!(JobError::from(&gone).class, FailureClass::Transient, "{gone}");
    }

    #[test]
    fn a_time_to_wait_is_read_in_seconds_or_as_a_date() {
        // The date of RFC 9110, section 5.6.7, is 784,111,777 s after 1970 by `date -u +%s`.
        let date = "Sun, 06 Nov 1994 08:49:37 GMT";
        assert_eq!(retry_after_ms(date, 784_111_777_000 - 90_000), Some(90_000));
        assert_eq!(retry_after_ms(date, u64::MAX), Some(0), "it is over");
        assert_eq!(retry_after_ms(" 7 ", 0), Some(7_000));
        assert_eq!(retry_after_ms("99999999999999999999999", 0), Some(u64::MAX));
        for wrong in ["", "-1", "1.5", "soon", "Sun, 06 Now 1994 08:49:37 GMT", "Sun, 31 Feb 1994 08:49:37 GMT"] {
            assert_eq!(retry_after_ms(wrong, 0), None, "{wrong}");
        }
    }

    #[test]
    fn a_silent_server_is_left_in_time_and_at_once_when_cancelled() {
        let (url, _told) = server(&[""]);
        let begun = Instant::now();
        let quick = WebhookOptions { timeout_ms: 300, ..options(&url) };
        assert!(matches!(call(&quick, &url), Err(Error::Unavailable { .. })));
        assert!(begun.elapsed() < Duration::from_secs(10));
        let (url, _told) = server(&[""]);
        let cancel = CancelToken::new();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(Duration::from_millis(100));
                cancel.cancel();
            });
            let call = Call { url: &url, id: "a", body: String::new(), cancel: &cancel };
            assert!(matches!(send(&options(&url), &call), Err(Error::Cancelled)));
        });
        assert!(begun.elapsed() < Duration::from_secs(15));
    }

    #[test]
    fn addresses_are_public_or_not() {
        for public in
            ["1.1.1.1", "100.63.255.255", "172.32.0.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]
        {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
        for private in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "192.168.1.1",
            "192.0.0.8",
            "198.18.0.1",
            "203.0.113.7",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "64:ff9b::a00:1",
            "2002:7f00:1::",
            "2001:db8::1",
            "fe80::1",
            "fc00::1",
            "ff02::1",
            "::7f00:1",
        ] {
            assert!(!is_public(private.parse().unwrap()), "{private}");
        }
    }
}
