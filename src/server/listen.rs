//! Sockets to listen at: TCP, in the file system, or passed by systemd.
#![expect(clippy::disallowed_methods, reason = "this edge opens the listening sockets")]

use std::io;
use std::net::{IpAddr, SocketAddr};

use tokio::net::{TcpListener, TcpStream};
#[cfg(unix)]
use tokio::net::{UnixListener, UnixStream};

use crate::settings::web::Listen;

/// A socket that listens. One in the file system goes when this is dropped.
#[derive(Debug)]
pub struct Listener {
    pub(super) socket: Socket,
    at: Listen,
    local: bool,
    #[cfg(unix)]
    _file: Option<file::SocketFile>,
}

#[derive(Debug)]
pub(super) enum Socket {
    Tcp(TcpListener),
    #[cfg(unix)]
    Unix(UnixListener),
}

/// A connection that was accepted.
#[derive(Debug)]
pub(super) enum Stream {
    Tcp(TcpStream, IpAddr),
    #[cfg(unix)]
    Unix(UnixStream),
}

impl Listener {
    /// Opens a socket; the error names the place and what to do.
    pub async fn bind(at: &Listen) -> Result<Self, String> {
        let opened = match at {
            Listen::Tcp(address) => TcpListener::bind(address).await.and_then(Self::tcp),
            #[cfg(unix)]
            Listen::Unix(path) => file::bind(path).await.map(|(socket, file)| Self {
                socket: Socket::Unix(socket),
                at: at.clone(),
                local: true,
                _file: Some(file),
            }),
            #[cfg(not(unix))]
            Listen::Unix(_) => Err(io::Error::other("this system has no such sockets")),
        };
        opened.map_err(|error| {
            format!(
                "failed to listen on {at}: {error}; choose another address with --listen or web.listen"
            )
        })
    }

    /// The sockets that systemd passed to this process, if it did (sd_listen_fds(3)).
    #[cfg(unix)]
    pub fn passed() -> Result<Vec<Self>, String> {
        let mut passed = listenfd::ListenFd::from_env();
        (0..passed.len())
            .map(|number| {
                let wrong = |error: io::Error| {
                    format!("socket {number} passed by systemd cannot be used: {error}; ListenStream= passes the right kind")
                };
                if let Ok(Some(socket)) = passed.take_tcp_listener(number) {
                    socket.set_nonblocking(true).map_err(wrong)?;
                    return TcpListener::from_std(socket).and_then(Self::tcp).map_err(wrong);
                }
                let socket = passed
                    .take_unix_listener(number)
                    .and_then(|socket| socket.ok_or_else(|| io::Error::other("it was not passed")))
                    .map_err(wrong)?;
                socket.set_nonblocking(true).map_err(wrong)?;
                let socket = UnixListener::from_std(socket).map_err(wrong)?;
                let path = socket.local_addr().ok().and_then(|address| {
                    address.as_pathname().map(std::path::Path::to_path_buf)
                });
                let at = Listen::Unix(path.unwrap_or_default());
                Ok(Self { socket: Socket::Unix(socket), at, local: true, _file: None })
            })
            .collect()
    }

    /// Sockets are passed by systemd alone.
    #[cfg(not(unix))]
    pub fn passed() -> Result<Vec<Self>, String> {
        Ok(Vec::new())
    }

    /// A listener on a socket that is open.
    pub fn tcp(socket: TcpListener) -> io::Result<Self> {
        let address: SocketAddr = socket.local_addr()?;
        Ok(Self {
            socket: Socket::Tcp(socket),
            at: Listen::Tcp(address),
            local: address.ip().to_canonical().is_loopback(),
            #[cfg(unix)]
            _file: None,
        })
    }

    /// Where it listens, with the port that the system chose.
    pub fn at(&self) -> &Listen {
        &self.at
    }

    /// Whether only this machine reaches it.
    pub fn is_local(&self) -> bool {
        self.local
    }

    pub(super) async fn accept(&self) -> io::Result<Stream> {
        match &self.socket {
            Socket::Tcp(socket) => {
                let (stream, peer) = socket.accept().await?;
                // Answers go out whole; waiting for more to send would only delay their end.
                stream.set_nodelay(true)?;
                Ok(Stream::Tcp(stream, peer.ip()))
            }
            #[cfg(unix)]
            Socket::Unix(socket) => Ok(Stream::Unix(socket.accept().await?.0)),
        }
    }
}

#[cfg(unix)]
mod file {
    use std::fs::{self, Permissions};
    use std::io;
    use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
    use std::path::{Path, PathBuf};

    use tokio::net::{UnixListener, UnixStream};

    /// The owner and the group may connect.
    const MODE: u32 = 0o660;

    /// A socket's file, removed when this is dropped unless somebody else has put theirs there.
    #[derive(Debug)]
    pub(super) struct SocketFile {
        path: PathBuf,
        identity: (u64, u64),
    }

    impl Drop for SocketFile {
        fn drop(&mut self) {
            if identity(&self.path).is_ok_and(|identity| identity == self.identity) {
                // The process ends; there is nobody to tell.
                let _ = fs::remove_file(&self.path);
            }
        }
    }

    fn identity(path: &Path) -> io::Result<(u64, u64)> {
        fs::symlink_metadata(path).map(|file| (file.dev(), file.ino()))
    }

    pub(super) async fn bind(path: &Path) -> io::Result<(UnixListener, SocketFile)> {
        make_room(path).await?;
        let socket = UnixListener::bind(path)?;
        let file = SocketFile { path: path.to_owned(), identity: identity(path)? };
        fs::set_permissions(path, Permissions::from_mode(MODE))?;
        Ok((socket, file))
    }

    /// Removes the socket of a process that ended without doing so, and nothing else.
    async fn make_room(path: &Path) -> io::Result<()> {
        match fs::symlink_metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
            Ok(file) if !file.file_type().is_socket() => {
                return Err(io::Error::other("there is a file that is no socket"));
            }
            Ok(_) => {}
        }
        match UnixStream::connect(path).await {
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
            Err(error) => Err(error),
            Ok(_) => Err(io::Error::other("somebody answers there already")),
        }
    }
}
