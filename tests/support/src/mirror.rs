//! A mirror of datasets on the loopback interface, which fails in a chosen way.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// Name of the largest of the four files, which most tests break.
pub const FIRST: &str = "train-images-idx3-ubyte.gz";

/// How a mirror fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Not at all.
    None,
    /// Closes the connection after this many bytes of the first file, the first time only.
    CutOnce(usize),
    /// Closes the connection after this many bytes of the first file, every time.
    CutAlways(usize),
    /// Ignores ranges and sends the whole file; cuts the first answer after this many bytes.
    IgnoresRange(usize),
    /// Answers every request with this status code.
    Status(u16),
    /// Sends a valid file with other contents.
    OtherContents,
    /// Sends only the beginning of the gzip file, as if it were complete.
    Shortened,
    /// Sends a file that never ends.
    Endless,
    /// Accepts the connection and sends nothing.
    Silent,
    /// Sends ten bytes every few milliseconds.
    Trickle,
}

/// A request as the server received it, and the number of body bytes sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The name of the file.
    pub file: String,
    /// The value of the header `Range`, if there was one.
    pub range: Option<String>,
    /// The number of body bytes sent.
    pub sent: usize,
}

/// A running mirror.
pub struct Mirror {
    /// The URL of the folder with the files.
    pub url: String,
    /// All requests so far.
    pub seen: Arc<Mutex<Vec<Seen>>>,
}

impl Mirror {
    /// Starts a mirror that serves `files` until the test's process ends.
    pub fn start(files: &[(String, Vec<u8>)], fault: Fault) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/sets/tiny", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (files, log) = (files.to_vec(), Arc::clone(&seen));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(stream) = stream else { return };
                serve(&stream, &files, fault, &log);
                if fault != Fault::Silent {
                    let _ = stream.shutdown(Shutdown::Both);
                } else {
                    // The connection is kept open so that the client waits.
                    std::mem::forget(stream);
                }
            }
        });
        Self { url, seen }
    }

    /// Returns all requests so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// Returns the range and the number of bytes sent, for each request for [`FIRST`].
    pub fn seen_of_first(&self) -> Vec<(Option<String>, usize)> {
        let of_first = |seen: Seen| (seen.file == FIRST).then_some((seen.range, seen.sent));
        self.seen().into_iter().filter_map(of_first).collect()
    }
}

/// Answers one request and logs it.
fn serve(
    mut stream: &TcpStream,
    files: &[(String, Vec<u8>)],
    fault: Fault,
    log: &Mutex<Vec<Seen>>,
) {
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    let Some(request) = lines.next() else { return };
    let headers: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
    let header = |name: &str| {
        headers.iter().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name)
                .then(|| value.trim().to_owned())
        })
    };
    let path = request.split(' ').nth(1).unwrap_or_default();
    let file = path
        .strip_prefix("/sets/tiny/")
        .unwrap_or_default()
        .to_owned();
    let range = header("range");
    let mut log = log.lock().unwrap();
    let first_time = log.iter().all(|seen| seen.file != file);
    let mut record = |sent| {
        log.push(Seen {
            file: file.clone(),
            range: range.clone(),
            sent,
        });
    };
    if fault == Fault::Silent {
        record(0);
        return;
    }
    let body = files
        .iter()
        .find(|(name, _)| *name == file)
        .map(|(_, bytes)| bytes.as_slice());
    let (status, mut body) = match (fault, body) {
        (Fault::Status(status), _) => (status, &b"<html>sorry</html>"[..]),
        (Fault::Shortened, Some(body)) => (200, &body[..body.len() / 2]),
        (_, Some(body)) => (200, body),
        (_, None) => (404, &b"no such file"[..]),
    };
    let whole = body.len();
    let mut head = format!("HTTP/1.1 {status} X\r\nConnection: close\r\n");
    let from: Option<usize> = range
        .as_ref()
        .and_then(|r| r.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok())
        .filter(|_| status == 200 && !matches!(fault, Fault::IgnoresRange(_)));
    if let Some(from) = from {
        if from >= whole {
            head = format!(
                "HTTP/1.1 416 X\r\nConnection: close\r\nContent-Range: bytes */{whole}\r\n"
            );
            body = &[];
        } else {
            head = "HTTP/1.1 206 X\r\nConnection: close\r\n".to_owned();
            head += &format!("Content-Range: bytes {from}-{}/{whole}\r\n", whole - 1);
            body = &body[from..];
        }
    }
    if fault == Fault::Endless {
        let _ = write!(stream, "{head}\r\n");
        while stream.write_all(&[0; 4096]).is_ok() {}
        record(usize::MAX);
        return;
    }
    if fault == Fault::Trickle {
        record(body.len());
        let _ = write!(stream, "{head}Content-Length: {}\r\n\r\n", body.len());
        for bytes in body.chunks(10) {
            if stream.write_all(bytes).is_err() {
                return;
            }
            thread::sleep(Duration::from_millis(5));
        }
        return;
    }
    let sent = match fault {
        Fault::CutOnce(n) | Fault::IgnoresRange(n) if file == FIRST && first_time => n,
        Fault::CutAlways(n) if file == FIRST => n,
        _ => body.len(),
    };
    record(sent);
    let _ = write!(stream, "{head}Content-Length: {}\r\n\r\n", body.len());
    let _ = stream.write_all(&body[..sent.min(body.len())]);
    let _ = stream.flush();
    // Closing with unread bytes would reset the connection and lose what was sent.
    let _ = stream.shutdown(Shutdown::Write);
    let _ = stream.read(&mut [0; 1]);
}
