//! One file over HTTP, into a part that a later attempt continues.
//!
//! What has arrived stays in the part whatever happens; the next attempt, here or at another
//! mirror, asks for the rest only (a `Range` request) and starts over where the server ignores
//! that. Nothing here knows what the file should hold: the caller checks it.
//!
//! The network is waited for by a thread of its own, so that stopping takes effect at once
//! even when a server says nothing. Proxies are those of the environment (`ALL_PROXY`,
//! `HTTPS_PROXY`, `HTTP_PROXY`, `NO_PROXY`), except for this machine itself.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, SyncSender};
use std::thread;
use std::time::{Duration, Instant};

use super::part;
use crate::artifact::FileError;

/// Longest wait for a name, a connection or the next bytes.
const PATIENCE: Duration = Duration::from_secs(20);

/// Longest wait for the head of an answer.
const ANSWER_PATIENCE: Duration = Duration::from_secs(40);

/// How often the wish to stop is looked at while waiting.
const ATTENTION: Duration = Duration::from_millis(50);

/// The least that a server must send to be waited for: `bytes` in every `window`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// Bytes of the file.
    pub bytes: u64,
    /// How long the server has for them.
    pub window: Duration,
}

impl Default for Pace {
    /// 1 KiB a second: MNIST would take three hours.
    fn default() -> Self {
        let window = PATIENCE;
        let bytes = 1024 * window.as_secs();
        Self { bytes, window }
    }
}

/// Bytes read at a time.
const CHUNK: usize = 1 << 16;

/// A download that did not end.
#[derive(Debug, thiserror::Error)]
pub enum DownloadError {
    /// The server cannot be reached, or does not give the file.
    #[error("{0}")]
    Refused(String),
    /// The connection ended before the file did.
    #[error("the connection broke after {received} bytes ({reason})")]
    Cut {
        /// How many bytes this attempt brought.
        received: u64,
        /// What the network says.
        reason: String,
    },
    /// The server sends less than the [`Pace`] asks for.
    #[error(
        "it is too slow: {bytes} bytes in {:.0} s, fewer than {} a second",
        .pace.window.as_secs_f64(),
        (.pace.bytes as f64 / .pace.window.as_secs_f64()).round()
    )]
    Slow {
        /// How many bytes this attempt brought.
        received: u64,
        /// How many of them in the last window.
        bytes: u64,
        /// What was asked for.
        pace: Pace,
    },
    /// The part could not be written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The user wished to stop.
    #[error("stopped")]
    Stopped,
}

/// A download that ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Downloaded {
    /// The length of the part, in bytes.
    pub bytes: u64,
    /// How many of them were there before.
    pub resumed_from: u64,
}

/// What the network thread tells.
enum Message {
    Head {
        status: u16,
        range: Option<ContentRange>,
        length: Option<u64>,
    },
    Chunk(Vec<u8>),
    End,
    Failed(String),
}

/// The header `Content-Range`: `bytes START-END/WHOLE` or `bytes */WHOLE`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct ContentRange {
    start: Option<u64>,
    whole: Option<u64>,
}

impl ContentRange {
    fn parse(header: &str) -> Option<Self> {
        let (range, whole) = header
            .trim()
            .strip_prefix("bytes")?
            .trim()
            .split_once('/')?;
        let start = range
            .split_once('-')
            .and_then(|(start, _)| start.trim().parse().ok());
        Some(Self {
            start,
            whole: whole.trim().parse().ok(),
        })
    }
}

/// Downloads `url` into `part`, continuing what is there.
///
/// At most `most` bytes are taken, all attempts together, and no fewer than `pace` asks for.
/// `progress` is told the bytes there are and, if known, the bytes there will be.
///
/// # Errors
/// When the server, the network or the disk fails, the server is too slow, or `stop` is set.
pub fn download(
    url: &str,
    part: &Path,
    most: u64,
    pace: Pace,
    progress: &mut dyn FnMut(u64, Option<u64>),
    stop: &AtomicBool,
) -> Result<Downloaded, DownloadError> {
    let mut from = part::length(part);
    if from > most {
        from = 0;
    }
    let (sender, receiver) = mpsc::sync_channel(4);
    let address = url.to_owned();
    // Not joined: it ends by itself, at the latest when its patience does.
    thread::spawn(move || request(&address, from, &sender));

    let written = |e| FileError::new("write", part, e);
    let mut file: Option<File> = None;
    let mut bytes = 0;
    let mut resumed_from = 0;
    let mut total = None;
    let mut window = (Instant::now(), 0);
    loop {
        if stop.load(Ordering::Relaxed) {
            return Err(DownloadError::Stopped);
        }
        if window.0.elapsed() >= pace.window {
            let in_window = bytes - window.1;
            if file.is_some() && in_window < pace.bytes {
                return Err(DownloadError::Slow {
                    received: bytes - resumed_from,
                    bytes: in_window,
                    pace,
                });
            }
            window = (Instant::now(), bytes);
        }
        let message = match receiver.recv_timeout(ATTENTION) {
            Ok(message) => message,
            Err(RecvTimeoutError::Timeout) => continue,
            Err(RecvTimeoutError::Disconnected) => {
                Message::Failed("the request ended unexpectedly".to_owned())
            }
        };
        match message {
            Message::Head {
                status: 200,
                length,
                ..
            } => {
                file = Some(part::create(part).map_err(written)?);
                total = length;
                window = (Instant::now(), bytes);
            }
            Message::Head {
                status: 206,
                range,
                length,
            } if from > 0 && range.as_ref().and_then(|range| range.start) == Some(from) => {
                file = Some(part::resume(part, from).map_err(written)?);
                (bytes, resumed_from) = (from, from);
                window = (Instant::now(), bytes);
                total = range
                    .and_then(|range| range.whole)
                    .or(length.map(|rest| from + rest));
            }
            Message::Head { status: 206, .. } => {
                return Err(DownloadError::Refused(
                    "it sent another range than asked for".into(),
                ));
            }
            // Nothing after what is there. Whether that is the file, the caller finds out.
            Message::Head {
                status: 416, range, ..
            } if from > 0 && range.is_none_or(|r| r.whole.is_none_or(|w| w <= from)) => {
                return Ok(Downloaded {
                    bytes: from,
                    resumed_from: from,
                });
            }
            Message::Head { status, .. } => {
                return Err(DownloadError::Refused(format!(
                    "it answered with HTTP {status}"
                )));
            }
            Message::Chunk(chunk) => {
                if bytes + chunk.len() as u64 > most {
                    // Whatever this is, it is not the file: nothing of it is worth keeping.
                    drop(file.take());
                    fs::remove_file(part).map_err(|e| FileError::new("remove", part, e))?;
                    let reason = format!("it sends more than the {most} bytes the file can have");
                    return Err(DownloadError::Refused(reason));
                }
                if let Some(file) = &mut file {
                    file.write_all(&chunk).map_err(written)?;
                }
                bytes += chunk.len() as u64;
            }
            Message::End => {
                if let Some(file) = &file {
                    file.sync_all().map_err(written)?;
                }
                return Ok(Downloaded {
                    bytes,
                    resumed_from,
                });
            }
            Message::Failed(reason) if file.is_some() => {
                return Err(DownloadError::Cut {
                    received: bytes - resumed_from,
                    reason,
                });
            }
            Message::Failed(reason) => return Err(DownloadError::Refused(reason)),
        }
        progress(bytes, total);
    }
}

/// Asks for `url` from byte `from` on and sends what comes until the receiver goes away.
fn request(url: &str, from: u64, sender: &SyncSender<Message>) {
    let outcome = (|| -> Result<(), ureq::Error> {
        let mut config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .user_agent(concat!("rarefy/", env!("CARGO_PKG_VERSION")))
            .timeout_resolve(Some(PATIENCE))
            .timeout_connect(Some(PATIENCE))
            .timeout_recv_response(Some(ANSWER_PATIENCE))
            .timeout_per_read(Some(PATIENCE));
        if is_this_machine(url) {
            config = config.proxy(None);
        }
        let agent = config.build().new_agent();
        // The bytes as they are stored: a length and a position then mean the same on both sides.
        let mut request = agent.get(url).header("Accept-Encoding", "identity");
        if from > 0 {
            request = request.header("Range", format!("bytes={from}-"));
        }
        let response = request.call()?;
        let header = |name| {
            response
                .headers()
                .get(name)
                .and_then(|value| value.to_str().ok())
        };
        let head = Message::Head {
            status: response.status().as_u16(),
            range: header("Content-Range").and_then(ContentRange::parse),
            length: header("Content-Length").and_then(|length| length.parse().ok()),
        };
        let mut body = response.into_body().into_reader();
        let mut going = sender.send(head).is_ok();
        while going {
            let mut chunk = vec![0; CHUNK];
            let read = body.read(&mut chunk).map_err(ureq::Error::from)?;
            chunk.truncate(read);
            let message = if read == 0 {
                Message::End
            } else {
                Message::Chunk(chunk)
            };
            going = sender.send(message).is_ok() && read > 0;
        }
        Ok(())
    })();
    if let Err(error) = outcome {
        // Nobody is left to hear it when the user wished to stop.
        let _ = sender.send(Message::Failed(reason(&error)));
    }
}

/// What went wrong, in words.
fn reason(error: &ureq::Error) -> String {
    match error {
        ureq::Error::Io(error) => error.to_string(),
        ureq::Error::Timeout(what) => format!("no answer in time: {what}"),
        ureq::Error::HostNotFound => "there is no such host, or no network".to_owned(),
        ureq::Error::BadUri(_) => "this is not an address; one starts with https://".to_owned(),
        other => other.to_string(),
    }
}

/// Whether `url` is served by this machine, which no proxy can reach for it.
fn is_this_machine(url: &str) -> bool {
    let authority = url
        .split("://")
        .nth(1)
        .unwrap_or(url)
        .split('/')
        .next()
        .unwrap_or_default();
    let host = authority
        .rsplit_once(':')
        .map_or(authority, |(host, _)| host);
    host == "localhost" || host == "[::1]" || host.starts_with("127.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_range_of_an_answer_is_read() {
        let parse = ContentRange::parse;
        assert_eq!(
            parse("bytes 5-9/10"),
            Some(ContentRange {
                start: Some(5),
                whole: Some(10)
            })
        );
        assert_eq!(
            parse("bytes 5-9/*"),
            Some(ContentRange {
                start: Some(5),
                whole: None
            })
        );
        assert_eq!(
            parse("bytes */10"),
            Some(ContentRange {
                start: None,
                whole: Some(10)
            })
        );
        assert_eq!(parse("lines 5-9/10"), None);
        assert_eq!(parse("bytes"), None);
    }

    #[test]
    fn only_this_machine_is_asked_without_a_proxy() {
        for url in [
            "http://127.0.0.1:80/x",
            "http://localhost/x",
            "http://[::1]:8080/x",
        ] {
            assert!(is_this_machine(url), "{url}");
        }
        for url in [
            "http://example.org/127.0.0.1",
            "https://localhost.example.org",
            "junk",
        ] {
            assert!(!is_this_machine(url), "{url}");
        }
    }
}
