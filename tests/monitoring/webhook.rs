//! Somebody who is paged: takes what Alertmanager posts and keeps it.
#![expect(clippy::unwrap_used, reason = "a test stops where its world is not as it says")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::Value;

use crate::process::loopback::listener;

/// A receiver of notifications.
pub(crate) struct Webhook {
    pub(crate) port: u16,
    taken: Arc<Mutex<Vec<(String, Value)>>>,
}

impl Webhook {
    pub(crate) fn start() -> Self {
        let (listener, port) = listener();
        let taken = Arc::new(Mutex::new(Vec::new()));
        let shared = Arc::clone(&taken);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&shared);
                thread::spawn(move || serve(stream, &shared));
            }
        });
        Self { port, taken }
    }

    /// What came to a path until now, in the order in which it came.
    pub(crate) fn at(&self, path: &str) -> Vec<Value> {
        let taken = self.taken.lock().unwrap();
        taken.iter().filter(|(at, _)| at == path).map(|(_, said)| said.clone()).collect()
    }
}

/// Answers the requests of one connection until it ends.
fn serve(stream: TcpStream, taken: &Mutex<Vec<(String, Value)>>) -> Option<()> {
    let mut out = stream.try_clone().ok()?;
    let mut reader = BufReader::new(stream);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|count| *count > 0)?;
        let path = line.split(' ').nth(1)?.to_owned();
        let mut length = 0;
        loop {
            let mut header = String::new();
            reader.read_line(&mut header).ok().filter(|count| *count > 0)?;
            let header = header.trim().to_ascii_lowercase();
            if header.is_empty() {
                break;
            }
            if let Some(value) = header.strip_prefix("content-length:") {
                length = value.trim().parse().ok()?;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        taken.lock().unwrap().push((path, serde_json::from_slice(&body).unwrap()));
        out.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").ok()?;
    }
}
