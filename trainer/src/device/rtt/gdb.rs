//! A client of the GDB remote protocol: breakpoints, memory, running and halting.
//!
//! The protocol is described in the appendix *GDB Remote Serial Protocol* of GDB's manual.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

/// How long the stub may take to appear, and to answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// A connection to a stub whose processor is halted.
pub(super) struct Gdb(UnixStream);

impl Gdb {
    /// Connects to the stub at `socket`, waiting until it exists.
    pub(super) fn connect(socket: &Path) -> Self {
        let start = Instant::now();
        let stream = loop {
            match UnixStream::connect(socket) {
                Ok(stream) => break stream,
                Err(error) => assert!(start.elapsed() < PATIENCE, "{error}"),
            }
            thread::sleep(Duration::from_millis(10));
        };
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut gdb = Self(stream);
        gdb.ask("?");
        gdb
    }

    /// Reads `length` bytes at `address`.
    pub(super) fn read(&mut self, address: u64, length: usize) -> Vec<u8> {
        let answer = self.ask(&format!("m{address:x},{length:x}"));
        let digits = answer.as_bytes().chunks(2);
        let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16);
        let bytes: Vec<u8> = digits.map(|pair| byte(pair).unwrap()).collect();
        assert_eq!(bytes.len(), length, "memory at {address:#x}: {answer}");
        bytes
    }

    /// Reads the word at `address`.
    pub(super) fn word(&mut self, address: u64) -> u32 {
        u32::from_le_bytes(self.read(address, 4).try_into().unwrap())
    }

    /// Writes `word` to `address`.
    pub(super) fn write(&mut self, address: u64, word: u32) {
        let digits = format!("{:08x}", word.swap_bytes());
        let answer = self.ask(&format!("M{address:x},4:{digits}"));
        assert_eq!(answer, "OK", "writing to {address:#x}");
    }

    /// Runs to the instruction at `address`.
    pub(super) fn run_to(&mut self, address: u64) {
        assert_eq!(self.ask(&format!("Z1,{address:x},2")), "OK");
        let stopped = self.ask("c");
        assert!(
            stopped.starts_with('T') || stopped.starts_with('S'),
            "{stopped}"
        );
        assert_eq!(self.ask(&format!("z1,{address:x},2")), "OK");
    }

    /// Runs for `time` and halts.
    pub(super) fn run_for(&mut self, time: Duration) {
        self.send("c");
        thread::sleep(time);
        self.0.write_all(b"\x03").unwrap();
        let stopped = self.receive();
        assert!(
            stopped.starts_with('T') || stopped.starts_with('S'),
            "{stopped}"
        );
    }

    /// Sends a packet and returns the answer.
    fn ask(&mut self, packet: &str) -> String {
        self.send(packet);
        self.receive()
    }

    /// Sends a packet.
    fn send(&mut self, packet: &str) {
        let sum = packet.bytes().fold(0_u8, u8::wrapping_add);
        write!(self.0, "${packet}#{sum:02x}").unwrap();
    }

    /// Receives a packet and acknowledges it.
    fn receive(&mut self) -> String {
        let mut byte = || {
            let mut one = [0];
            self.0.read_exact(&mut one).unwrap();
            one[0]
        };
        // Acknowledgements precede the packet.
        while byte() != b'$' {}
        let mut packet = Vec::new();
        loop {
            match byte() {
                b'#' => break,
                other => packet.push(other),
            }
        }
        let _checksum = [byte(), byte()];
        self.0.write_all(b"+").unwrap();
        String::from_utf8(packet).unwrap()
    }
}
