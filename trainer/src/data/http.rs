//! Downloads one file over HTTP to a partial file that later attempts resume.
//!
//! The bytes received are kept when an attempt fails, unless there are more than the file can
//! have. The next attempt, from this mirror or another one, requests only the rest (a `Range`
//! request) and starts over if the server ignores the range. This module does not know what the
//! file should contain: the caller verifies it.
//!
//! A separate thread waits for the network, so a request to stop takes effect at once even while a
//! server is silent. Proxies are those of the environment (`ALL_PROXY`, `HTTPS_PROXY`,
//! `HTTP_PROXY`, `NO_PROXY`); loopback addresses are reached without one.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, SyncSender};
use std::thread;
use std::time::{Duration, Instant};

use super::partial;
use crate::atomic::FileError;

/// Timeout for resolving a name, for connecting, and for each read.
const TIMEOUT: Duration = Duration::from_secs(20);

/// Timeout for the head of a response.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(40);

/// Interval at which the stop flag is polled while waiting.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// Bytes per read.
const CHUNK: usize = 1 << 16;

/// The minimum rate of a server: `bytes` in every `window`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MinimumRate {
    /// The minimum number of bytes per window.
    pub bytes: u64,
    /// The length of a window.
    pub window: Duration,
}

impl Default for MinimumRate {
    /// Returns 1 KiB per second, at which MNIST would take three hours.
    fn default() -> Self {
        let window = TIMEOUT;
        let bytes = 1024 * window.as_secs();
        Self { bytes, window }
    }
}

/// Why a download did not complete.
#[derive(Debug, thiserror::Error)]
pub enum DownloadError {
    /// The server cannot be reached or does not serve the file.
    #[error("{0}")]
    Refused(String),
    /// The connection closed before the end of the file.
    #[error("the connection closed after {received} bytes ({reason})")]
    Cut {
        /// Bytes received by this attempt.
        received: u64,
        /// The network's error.
        reason: String,
    },
    /// The server is slower than the [`MinimumRate`].
    #[error(
        "it is too slow: {bytes} bytes in {:.0} s, fewer than {} per second",
        .minimum.window.as_secs_f64(),
        (.minimum.bytes as f64 / .minimum.window.as_secs_f64()).round()
    )]
    Slow {
        /// Bytes received by this attempt.
        received: u64,
        /// Bytes received in the last window.
        bytes: u64,
        /// The rate that was required.
        minimum: MinimumRate,
    },
    /// The partial file could not be written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The user requested to stop.
    #[error("stopped")]
    Stopped,
}

/// A completed download.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Downloaded {
    /// Length of the partial file, in bytes.
    pub bytes: u64,
    /// Bytes that an earlier attempt had received.
    pub resumed_from: u64,
}

/// Downloads `url` to `part`, resuming from what `part` already holds.
///
/// `part` never grows beyond `limit` bytes, and the server must keep up with `minimum`.
/// `progress` is called with the bytes received so far and, once known, the total.
///
/// # Errors
/// Returns an error if the server, the network or the disk fails, if the server is too slow or
/// sends more than `limit` bytes, or if `stop` is set.
pub fn download(
    url: &str,
    part: &Path,
    limit: u64,
    minimum: MinimumRate,
    progress: &mut dyn FnMut(u64, Option<u64>),
    stop: &AtomicBool,
) -> Result<Downloaded, DownloadError> {
    let mut transfer = Transfer::new(part, limit);
    let (sender, receiver) = mpsc::sync_channel(4);
    let (address, from) = (url.to_owned(), transfer.from);
    // Not joined: the thread ends by itself, at the latest after its timeouts.
    thread::spawn(move || request(&address, from, &sender));
    loop {
        if stop.load(Ordering::Relaxed) {
            return Err(DownloadError::Stopped);
        }
        transfer.check_rate(minimum)?;
        let message = match receiver.recv_timeout(POLL_INTERVAL) {
            Ok(message) => message,
            Err(RecvTimeoutError::Timeout) => continue,
            Err(RecvTimeoutError::Disconnected) => {
                Message::Failed("the request ended unexpectedly".to_owned())
            }
        };
        if let Some(downloaded) = transfer.receive(message)? {
            return Ok(downloaded);
        }
        progress(transfer.bytes, transfer.total);
    }
}

/// The receiving side of one download.
struct Transfer<'a> {
    part: &'a Path,
    /// The most bytes that the file can have.
    limit: u64,
    /// Bytes that the request asks to skip.
    from: u64,
    /// The partial file; `None` until the head of the response has arrived.
    file: Option<File>,
    /// Bytes in the partial file.
    bytes: u64,
    /// Bytes in the partial file that this download did not receive.
    resumed_from: u64,
    /// Length of the whole file, once the server has stated it.
    total: Option<u64>,
    /// Start of the current rate window, and the bytes in the partial file at that time.
    window: (Instant, u64),
}

impl<'a> Transfer<'a> {
    /// Creates the transfer that resumes `part`, or starts over if `part` is already
    /// longer than `limit`.
    fn new(part: &'a Path, limit: u64) -> Self {
        let length = partial::length(part);
        Self {
            part,
            limit,
            from: if length > limit { 0 } else { length },
            file: None,
            bytes: 0,
            resumed_from: 0,
            total: None,
            window: (Instant::now(), 0),
        }
    }

    /// Checks the rate at the end of every window. The time before the response does not count.
    fn check_rate(&mut self, minimum: MinimumRate) -> Result<(), DownloadError> {
        let (start, before) = self.window;
        if start.elapsed() < minimum.window {
            return Ok(());
        }
        let bytes = self.bytes - before;
        if self.file.is_some() && bytes < minimum.bytes {
            return Err(DownloadError::Slow {
                received: self.bytes - self.resumed_from,
                bytes,
                minimum,
            });
        }
        self.window = (Instant::now(), self.bytes);
        Ok(())
    }

    /// Processes one message. Returns the result if the message was the last one.
    fn receive(&mut self, message: Message) -> Result<Option<Downloaded>, DownloadError> {
        match message {
            Message::Head(head) => self.begin(&head),
            Message::Chunk(chunk) => self.append(&chunk).map(|()| None),
            Message::End => self.end().map(Some),
            Message::Failed(reason) if self.file.is_some() => Err(DownloadError::Cut {
                received: self.bytes - self.resumed_from,
                reason,
            }),
            Message::Failed(reason) => Err(DownloadError::Refused(reason)),
        }
    }

    /// Opens the partial file as the head of the response requires. Returns the result if the
    /// server has nothing more to send.
    fn begin(&mut self, head: &Head) -> Result<Option<Downloaded>, DownloadError> {
        let from = self.from;
        let start = head.range.and_then(|range| range.start);
        let whole = head.range.and_then(|range| range.whole);
        match head.status {
            200 => {
                self.file = Some(partial::create(self.part).map_err(|e| self.written(e))?);
                self.total = head.length;
            }
            206 if from > 0 && start == Some(from) => {
                self.file = Some(partial::resume(self.part, from).map_err(|e| self.written(e))?);
                (self.bytes, self.resumed_from) = (from, from);
                self.total = whole.or(head.length.map(|rest| from + rest));
            }
            206 => {
                return Err(DownloadError::Refused(
                    "it sent a range that was not requested".into(),
                ));
            }
            // The server has nothing after these bytes. The caller checks whether they are the
            // file.
            416 if from > 0 && whole.is_none_or(|whole| whole <= from) => {
                return Ok(Some(Downloaded {
                    bytes: from,
                    resumed_from: from,
                }));
            }
            status => {
                let reason = format!("it answered with HTTP {status}");
                return Err(DownloadError::Refused(reason));
            }
        }
        self.window = (Instant::now(), self.bytes);
        Ok(None)
    }

    /// Appends `chunk` to the partial file.
    fn append(&mut self, chunk: &[u8]) -> Result<(), DownloadError> {
        let bytes = self.bytes + chunk.len() as u64;
        if bytes > self.limit {
            // This cannot be the file, so none of it is worth keeping.
            drop(self.file.take());
            fs::remove_file(self.part).map_err(|e| FileError::new("remove", self.part, e))?;
            let limit = self.limit;
            let reason = format!("it sends more than the {limit} bytes that the file can have");
            return Err(DownloadError::Refused(reason));
        }
        if let Some(file) = &mut self.file {
            let written = file.write_all(chunk);
            written.map_err(|e| self.written(e))?;
        }
        self.bytes = bytes;
        Ok(())
    }

    /// Flushes the partial file to disk.
    fn end(&self) -> Result<Downloaded, DownloadError> {
        if let Some(file) = &self.file {
            file.sync_all().map_err(|e| self.written(e))?;
        }
        Ok(Downloaded {
            bytes: self.bytes,
            resumed_from: self.resumed_from,
        })
    }

    /// Returns the error for a failed write.
    fn written(&self, error: std::io::Error) -> FileError {
        FileError::new("write", self.part, error)
    }
}

/// A message of the network thread.
enum Message {
    Head(Head),
    Chunk(Vec<u8>),
    End,
    Failed(String),
}

/// The parts of a response's head that matter here.
struct Head {
    status: u16,
    range: Option<ContentRange>,
    /// The header `Content-Length`.
    length: Option<u64>,
}

/// The header `Content-Range`: `bytes START-END/WHOLE` or `bytes */WHOLE`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct ContentRange {
    start: Option<u64>,
    whole: Option<u64>,
}

impl ContentRange {
    /// Parses the header's value. Returns `None` if its unit is not bytes.
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

/// Requests `url` from byte `from` on and sends the response until the receiver is dropped.
fn request(url: &str, from: u64, sender: &SyncSender<Message>) {
    if let Err(error) = send_response(url, from, sender) {
        // The receiver is gone if the user requested to stop.
        let _ = sender.send(Message::Failed(reason(&error)));
    }
}

/// Does the work of [`request`], which sends the returned error as a message.
fn send_response(url: &str, from: u64, sender: &SyncSender<Message>) -> Result<(), ureq::Error> {
    let mut config = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .user_agent(concat!("rarefy/", env!("CARGO_PKG_VERSION")))
        .timeout_resolve(Some(TIMEOUT))
        .timeout_connect(Some(TIMEOUT))
        .timeout_recv_response(Some(RESPONSE_TIMEOUT))
        .timeout_per_read(Some(TIMEOUT));
    if is_loopback(url) {
        config = config.proxy(None);
    }
    let agent = config.build().new_agent();
    // Without content encoding, lengths and positions mean the same on both sides.
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
    let head = Message::Head(Head {
        status: response.status().as_u16(),
        range: header("Content-Range").and_then(ContentRange::parse),
        length: header("Content-Length").and_then(|length| length.parse().ok()),
    });
    let mut body = response.into_body().into_reader();
    let mut open = sender.send(head).is_ok();
    while open {
        let mut chunk = vec![0; CHUNK];
        let read = body.read(&mut chunk).map_err(ureq::Error::from)?;
        chunk.truncate(read);
        let message = if read == 0 {
            Message::End
        } else {
            Message::Chunk(chunk)
        };
        open = sender.send(message).is_ok() && read > 0;
    }
    Ok(())
}

/// Describes an error of the request for messages.
fn reason(error: &ureq::Error) -> String {
    match error {
        ureq::Error::Io(error) => error.to_string(),
        ureq::Error::Timeout(what) => format!("no answer in time: {what}"),
        ureq::Error::HostNotFound => "there is no such host, or no network".to_owned(),
        ureq::Error::BadUri(_) => {
            "this is not a URL; URLs start with https:// or http://".to_owned()
        }
        other => other.to_string(),
    }
}

/// Returns whether `url` names this machine, for which a proxy would be wrong.
fn is_loopback(url: &str) -> bool {
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
    fn content_range_is_parsed() {
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
    fn loopback_needs_no_proxy() {
        for url in [
            "http://127.0.0.1:80/x",
            "http://localhost/x",
            "http://[::1]:8080/x",
        ] {
            assert!(is_loopback(url), "{url}");
        }
        for url in [
            "http://example.org/127.0.0.1",
            "https://localhost.example.org",
            "junk",
        ] {
            assert!(!is_loopback(url), "{url}");
        }
    }
}
