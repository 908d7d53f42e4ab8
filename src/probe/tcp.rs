//! TCP: one connect to one address, and what the error numbers mean.

#![expect(clippy::disallowed_methods, reason = "opens connections and reads the clock")]

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::OnceLock;
use std::time::Duration;

#[cfg(unix)]
use tokio::net::TcpSocket;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};

use crate::limits;
use crate::model::Elapsed;
use crate::observation::{ConnectFailure, LocalTrouble, NetworkError};

/// Addresses on the public internet (a.root-servers.net) by which a route off this machine is
/// told. Nothing is sent to them.
const FAR_AWAY: (Ipv4Addr, Ipv6Addr) =
    (Ipv4Addr::new(198, 41, 0, 4), Ipv6Addr::new(0x2001, 0x503, 0xba3e, 0, 0, 0, 2, 0x30));
/// The discard port: a socket must be connected to some port to ask for the route.
const ANY_PORT: u16 = 9;
/// Too many open files in this process or on this system, no buffer space (Linux, then Windows).
const EXHAUSTED: [i32; 5] = [24, 23, 105, 10_024, 10_055];
/// The address family does not exist on this machine (Linux, then Windows).
const NO_FAMILY: [i32; 2] = [97, 10_047];

/// Connects to one address; gives the stream and our end of it.
pub async fn connect(
    address: SocketAddr,
    limit: Duration,
) -> (Elapsed, Result<(TcpStream, SocketAddr), ConnectFailure>) {
    let start = Instant::now();
    let connected = timeout(limit, TcpStream::connect(address)).await;
    let elapsed = Elapsed(start.elapsed());
    let result = match connected {
        Err(_) => Err(ConnectFailure::Timeout),
        Ok(connected) => connected
            .and_then(|stream| {
                // Without it, a request waits for the acknowledgment of the TLS Finished before it.
                stream.set_nodelay(true)?;
                let local = stream.local_addr()?;
                Ok((stream, local))
            })
            .map_err(|error| classify(&error, address.ip())),
    };
    (elapsed, result)
}

/// Connects with small TCP segments both ways: our own, and those the other side may send, as the
/// size is announced in the SYN. Nothing where the system does not let a program choose.
#[cfg(unix)]
pub async fn connect_small(
    address: SocketAddr,
    segment: u32,
    limit: Duration,
) -> Option<Result<TcpStream, ConnectFailure>> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    };
    let socket = match socket {
        Ok(socket) => socket,
        Err(error) => return Some(Err(classify(&error, address.ip()))),
    };
    socket2::SockRef::from(&socket).set_tcp_mss(segment).ok()?;
    let connected = timeout(limit, socket.connect(address)).await;
    Some(match connected {
        Err(_) => Err(ConnectFailure::Timeout),
        Ok(connected) => connected.map_err(|error| classify(&error, address.ip())),
    })
}

/// Connects with small TCP segments: nothing here, where the system does not let a program choose.
#[cfg(not(unix))]
pub async fn connect_small(
    _address: SocketAddr,
    _segment: u32,
    _limit: Duration,
) -> Option<Result<TcpStream, ConnectFailure>> {
    None
}

/// Watches a fresh connection for [`limits::TCP_SETTLE`]; true when the peer closed or reset it
/// without sending a byte.
pub async fn settle(stream: &TcpStream) -> bool {
    let mut byte = [0];
    matches!(timeout_at(settled(Instant::now()), stream.peek(&mut byte)).await, Ok(Ok(0) | Err(_)))
}

/// When a connection made now was watched for long enough. Nothing is measured by it, so several
/// end at the same time rather than each wake the machine.
fn settled(now: Instant) -> Instant {
    static ORIGIN: OnceLock<Instant> = OnceLock::new();
    let until = now + limits::TCP_SETTLE;
    let step = limits::TCP_SETTLE_STEP.as_nanos();
    let past = until.saturating_duration_since(*ORIGIN.get_or_init(|| now)).as_nanos() % step;
    until + Duration::from_nanos(u64::try_from((step - past) % step).unwrap_or_default())
}

/// Says what an error of a socket call means; `ip` is where the call was going.
pub fn classify(error: &io::Error, ip: IpAddr) -> ConnectFailure {
    use ConnectFailure::{Local, Network};
    match error.kind() {
        ErrorKind::TimedOut => ConnectFailure::Timeout,
        ErrorKind::ConnectionRefused => Network(NetworkError::Refused),
        ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted => Network(NetworkError::Reset),
        ErrorKind::HostUnreachable => Network(NetworkError::HostUnreachable),
        ErrorKind::PermissionDenied => Network(NetworkError::Prohibited),
        ErrorKind::NetworkUnreachable if leaves_machine(ip) => {
            Network(NetworkError::NetworkUnreachable)
        }
        ErrorKind::NetworkUnreachable | ErrorKind::NetworkDown => Local(LocalTrouble::NoNetwork),
        // Either every local port is in use or, with IPv6 switched off, there is no address at all.
        ErrorKind::AddrNotAvailable if !has_route(ip) => Local(LocalTrouble::NoNetwork),
        // A datagram socket without a free port says that the address is in use.
        ErrorKind::AddrNotAvailable | ErrorKind::AddrInUse | ErrorKind::OutOfMemory => {
            Local(LocalTrouble::Exhausted)
        }
        _ => match error.raw_os_error() {
            Some(number) if EXHAUSTED.contains(&number) => Local(LocalTrouble::Exhausted),
            Some(number) if NO_FAMILY.contains(&number) => Local(LocalTrouble::NoNetwork),
            number => Network(NetworkError::Other(number.unwrap_or_default())),
        },
    }
}

/// The same for a datagram socket, where Windows says "reset" for what others call "refused": the
/// other side has said that nobody listens at the port.
pub fn classify_datagram(error: &io::Error, ip: IpAddr) -> ConnectFailure {
    match classify(error, ip) {
        ConnectFailure::Network(NetworkError::Reset) => {
            ConnectFailure::Network(NetworkError::Refused)
        }
        failure => failure,
    }
}

/// Whether some route leads to this address or, failing that, off this machine in its family:
/// without one, the fault is this machine's and not the network's.
fn leaves_machine(ip: IpAddr) -> bool {
    let far_away = match ip {
        IpAddr::V4(_) => IpAddr::V4(FAR_AWAY.0),
        IpAddr::V6(_) => IpAddr::V6(FAR_AWAY.1),
    };
    has_route(ip) || has_route(far_away)
}

/// Whether this machine has a route to an address. Connecting a UDP socket asks the routing table
/// and sends nothing.
pub fn has_route(ip: IpAddr) -> bool {
    let asked = UdpSocket::bind((unspecified(ip), 0)).and_then(|s| s.connect((ip, ANY_PORT)));
    match asked {
        Ok(()) => true,
        // Any other error (no sockets left, say) tells nothing about routes.
        Err(error) => {
            !matches!(
                error.kind(),
                ErrorKind::NetworkUnreachable
                    | ErrorKind::NetworkDown
                    | ErrorKind::AddrNotAvailable
            ) && !error.raw_os_error().is_some_and(|number| NO_FAMILY.contains(&number))
        }
    }
}

/// The address that binds a socket of the same family to no interface in particular.
pub(super) fn unspecified(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_connect() {
        use ConnectFailure::{Local, Network};
        let here = IpAddr::V4(Ipv4Addr::LOCALHOST);
        // Numbers as Linux gives them.
        for (number, expected) in [
            (111, Network(NetworkError::Refused)),
            (104, Network(NetworkError::Reset)),
            (113, Network(NetworkError::HostUnreachable)),
            (13, Network(NetworkError::Prohibited)),
            (1, Network(NetworkError::Prohibited)),
            // Loopback always has a route, so this one is the network's word.
            (101, Network(NetworkError::NetworkUnreachable)),
            (100, Local(LocalTrouble::NoNetwork)),
            (97, Local(LocalTrouble::NoNetwork)),
            (24, Local(LocalTrouble::Exhausted)),
            (23, Local(LocalTrouble::Exhausted)),
            (105, Local(LocalTrouble::Exhausted)),
            (12, Local(LocalTrouble::Exhausted)),
            (98, Local(LocalTrouble::Exhausted)),
            (99, Local(LocalTrouble::Exhausted)),
            (110, ConnectFailure::Timeout),
            (71, Network(NetworkError::Other(71))),
        ] {
            assert_eq!(classify(&io::Error::from_raw_os_error(number), here), expected, "{number}");
        }
    }

    #[test]
    fn nobody_resets_a_datagram() {
        let here = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let said = |kind: ErrorKind| classify_datagram(&io::Error::from(kind), here);
        let refused = ConnectFailure::Network(NetworkError::Refused);
        assert_eq!(said(ErrorKind::ConnectionReset), refused);
        assert_eq!(said(ErrorKind::ConnectionRefused), refused);
        assert_eq!(said(ErrorKind::TimedOut), ConnectFailure::Timeout);
    }

    #[test]
    fn loopback_has_a_route() {
        assert!(has_route(IpAddr::V4(Ipv4Addr::LOCALHOST)));
    }
}
