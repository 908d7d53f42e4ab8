//! Who asks, and what they may do: basic authentication with bcrypt, bearer tokens and client
//! certificates in the manner of the Prometheus exporter toolkit.
//!
//! A password costs bcrypt's time once; then it is known again by a keyed hash. An unknown user
//! costs the same time as a wrong password, and each peer has few wrong ones to try.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::{digest, hmac, rand};
use subtle::ConstantTimeEq as _;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::limits;
use crate::settings::web::{PasswordHash, Web};

use super::ServerState;
use super::limit::{Buckets, locked};
use super::peer::{Peer, PeerKey};
use super::problem::{problem, retry_later};

/// Salt and hash of no password, for users that do not exist.
const NOBODY: &str = "GZvVBvm/Sdk1CxZgkW5gu.ZwuFoQ0VHF8LUT0jmL5ow4J2Ck3SQpG";

/// What a caller may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Reads everything, and probes hosts of the plan.
    Read,
    /// Also probes any host, reloads, changes the log level.
    Probe,
}

/// Who sent a request; an extension of every request that reaches a handler.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The user's, token's or certificate's name; none when nobody had to say it.
    pub name: Option<Arc<str>>,
    /// What they may do.
    pub role: Role,
    /// They came through a listener that only this machine reaches, and authentication is off:
    /// whoever runs programs here may as well run ours.
    pub trusted_here: bool,
}

impl Caller {
    /// Refuses callers without the role `probe`: probes of any host, the log level.
    #[expect(clippy::result_large_err, reason = "the refusal is the answer")]
    pub fn require_probe(&self) -> Result<(), Response> {
        if self.role == Role::Probe {
            return Ok(());
        }
        Err(problem(
            StatusCode::FORBIDDEN,
            "This needs the role `probe`: list the user or token in web.probe_users.",
        ))
    }

    /// Refuses callers that may not steer this server: reload. They need the role `probe`, or
    /// come from this machine alone while authentication is off.
    #[expect(clippy::result_large_err, reason = "the refusal is the answer")]
    pub fn require_control(&self) -> Result<(), Response> {
        if self.trusted_here { Ok(()) } else { self.require_probe() }
    }

    /// Refuses callers that may not have hosts of the plan probed now: strangers from elsewhere
    /// while authentication is off.
    #[expect(clippy::result_large_err, reason = "the refusal is the answer")]
    pub fn require_known(&self) -> Result<(), Response> {
        if self.name.is_some() { Ok(()) } else { self.require_control() }
    }
}

/// Who may ask, replaceable while the server runs.
#[derive(Debug)]
pub struct Access {
    rules: RwLock<Arc<Rules>>,
    requests: Mutex<Buckets>,
    mistakes: Mutex<Buckets>,
    hashing: Arc<Semaphore>,
}

#[derive(Debug)]
struct Rules {
    web: Web,
    key: hmac::Key,
    /// What unknown users' passwords are compared with: as costly as the costliest known one.
    nobody: PasswordHash,
    /// The last accepted password of each user, under the key of this process.
    accepted: Mutex<HashMap<String, hmac::Tag>>,
}

impl Rules {
    fn new(web: Web) -> Result<Self, String> {
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &rand::SystemRandom::new())
            .map_err(|_| "the system gives no random numbers".to_owned())?;
        let cost =
            web.users.values().map(PasswordHash::cost).max().unwrap_or(limits::PASSWORD_COST.0);
        let nobody = PasswordHash::new(format!("$2b${cost:02}${NOBODY}"), cost);
        Ok(Self { web, key, nobody, accepted: Mutex::default() })
    }

    fn is_open(&self) -> bool {
        self.web.users.is_empty() && self.web.tokens.is_empty()
    }

    fn caller(&self, name: &str) -> Caller {
        let role = if self.web.probe_users.contains(name) { Role::Probe } else { Role::Read };
        Caller { name: Some(name.into()), role, trusted_here: false }
    }

    /// The name of a token, found without telling by time how near a guess was.
    fn token(&self, token: &str) -> Option<&str> {
        let hash = digest::digest(&digest::SHA256, token.as_bytes());
        let mut found = None;
        for (name, known) in &self.web.tokens {
            if bool::from(known.0.as_slice().ct_eq(hash.as_ref())) {
                found = Some(name.as_str());
            }
        }
        found
    }

    fn is_accepted(&self, user: &str, password: &[u8]) -> bool {
        let accepted = locked(&self.accepted).get(user).copied();
        accepted.is_some_and(|tag| hmac::verify(&self.key, password, tag.as_ref()).is_ok())
    }
}

/// Why a request is not answered.
enum Refused {
    /// Nobody said who asks, or what they said is wrong.
    Unknown,
    /// Too many wrong passwords came from there.
    TooMany(Duration),
}

impl Access {
    /// The access that the configuration gives.
    pub fn new(web: &Web) -> Result<Self, String> {
        Ok(Self {
            rules: RwLock::new(Arc::new(Rules::new(web.clone())?)),
            requests: Mutex::new(Buckets::new(
                limits::REQUEST_BURST,
                limits::REQUESTS_PER_SECOND,
                limits::COUNTED_PEERS,
            )),
            mistakes: Mutex::new(Buckets::new(limits::PASSWORD_BURST, 1, limits::COUNTED_PEERS)),
            hashing: Arc::new(Semaphore::new(limits::PASSWORDS_AT_ONCE)),
        })
    }

    /// Puts another configuration in the place of this one: names, users, tokens and roles hold
    /// from the next request on. Listeners and certificates stay.
    pub fn replace(&self, web: &Web) -> Result<(), String> {
        let rules = Arc::new(Rules::new(web.clone())?);
        *self.rules.write().unwrap_or_else(std::sync::PoisonError::into_inner) = rules;
        Ok(())
    }

    /// Whether this is a name that the configuration gives to this server.
    pub(super) fn has_name(&self, host: &str) -> bool {
        self.rules().web.names.iter().any(|name| name.eq_ignore_ascii_case(host))
    }

    fn rules(&self) -> Arc<Rules> {
        Arc::clone(&self.rules.read().unwrap_or_else(std::sync::PoisonError::into_inner))
    }

    /// Counts a request of this peer, or says when it may ask again. This machine's own are not
    /// counted: its users can make it busy without us.
    fn count(&self, peer: PeerKey, now: Instant) -> Result<(), Duration> {
        match peer {
            PeerKey::Here => Ok(()),
            PeerKey::There(_) => locked(&self.requests).take(peer, now.into_std()),
        }
    }

    async fn caller(&self, headers: &HeaderMap, peer: &Peer) -> Result<Caller, Refused> {
        let rules = self.rules();
        let mut credentials = headers.get_all(header::AUTHORIZATION).iter();
        match (credentials.next(), credentials.next()) {
            (Some(said), None) if !rules.is_open() => self.named(&rules, said, peer).await,
            (Some(_), Some(_)) => Err(Refused::Unknown),
            _ => match &peer.certificate {
                Some(name) => Ok(Caller {
                    name: Some(Arc::clone(name)),
                    role: Role::Read,
                    trusted_here: false,
                }),
                None if rules.is_open() => {
                    Ok(Caller { name: None, role: Role::Read, trusted_here: peer.local })
                }
                None => Err(Refused::Unknown),
            },
        }
    }

    async fn named(
        &self,
        rules: &Arc<Rules>,
        said: &HeaderValue,
        peer: &Peer,
    ) -> Result<Caller, Refused> {
        let (scheme, rest) =
            said.to_str().ok().and_then(|said| said.split_once(' ')).ok_or(Refused::Unknown)?;
        let rest = rest.trim();
        if scheme.eq_ignore_ascii_case("bearer") {
            return rules.token(rest).map(|name| rules.caller(name)).ok_or(Refused::Unknown);
        }
        if !scheme.eq_ignore_ascii_case("basic") || rules.web.users.is_empty() {
            return Err(Refused::Unknown);
        }
        let (user, password) = basic(rest).ok_or(Refused::Unknown)?;
        self.password(rules, user, password, PeerKey::of(peer.address)).await
    }

    async fn password(
        &self,
        rules: &Arc<Rules>,
        user: String,
        password: Vec<u8>,
        peer: PeerKey,
    ) -> Result<Caller, Refused> {
        if rules.is_accepted(&user, &password) {
            return Ok(rules.caller(&user));
        }
        let hashing = Arc::clone(&self.hashing).acquire_owned();
        let permit = hashing.await.map_err(|_| Refused::Unknown)?;
        // Of many first requests at the same time only one has to pay.
        if rules.is_accepted(&user, &password) {
            return Ok(rules.caller(&user));
        }
        locked(&self.mistakes).take(peer, now().into_std()).map_err(Refused::TooMany)?;
        let known = rules.web.users.get(&user);
        let hash = known.unwrap_or(&rules.nobody).clone();
        let tag = hmac::sign(&rules.key, &password);
        let right = tokio::task::spawn_blocking(move || {
            // Held to the end: a client that goes away does not stop the hashing.
            let _permit = permit;
            bcrypt::verify(password, hash.reveal())
        });
        let right = right.await;
        if known.is_none() || !matches!(right, Ok(Ok(true))) {
            return Err(Refused::Unknown);
        }
        locked(&self.mistakes).give_back(peer);
        let caller = rules.caller(&user);
        locked(&rules.accepted).insert(user, tag);
        Ok(caller)
    }

    /// What a client may answer with (RFC 7617, RFC 6750).
    fn challenges(&self) -> Vec<HeaderValue> {
        let rules = self.rules();
        let basic = HeaderValue::from_static("Basic realm=\"vnetprobe\", charset=\"UTF-8\"");
        let bearer = HeaderValue::from_static("Bearer realm=\"vnetprobe\"");
        [(!rules.web.users.is_empty(), basic), (!rules.web.tokens.is_empty(), bearer)]
            .into_iter()
            .filter_map(|(wanted, challenge)| wanted.then_some(challenge))
            .collect()
    }
}

#[expect(clippy::disallowed_methods, reason = "limits for requests count from when they come")]
fn now() -> Instant {
    Instant::now()
}

/// User and password of a basic authentication.
fn basic(text: &str) -> Option<(String, Vec<u8>)> {
    let bytes = STANDARD.decode(text).ok()?;
    let colon = bytes.iter().position(|byte| *byte == b':')?;
    let (user, password) = bytes.split_at_checked(colon)?;
    let (_, password) = password.split_first()?;
    if user.len().max(password.len()) > limits::CREDENTIAL_BYTES {
        return None;
    }
    Some((String::from_utf8(user.to_vec()).ok()?, password.to_vec()))
}

/// Answers only to peers within their limit and to callers that are known, and tells the handlers
/// who they are. `/-/healthy` says nothing, so everybody may hear it.
pub(super) async fn admit(
    State(state): State<Arc<ServerState>>,
    mut request: Request,
    next: Next,
) -> Response {
    let peer = request.extensions().get::<Peer>().cloned().unwrap_or_default();
    if let Err(wait) = state.access.count(PeerKey::of(peer.address), now()) {
        return retry_later(
            StatusCode::TOO_MANY_REQUESTS,
            "Too many requests came from there.",
            wait,
        );
    }
    if request.uri().path() == "/-/healthy"
        && matches!(*request.method(), Method::GET | Method::HEAD)
    {
        return next.run(request).await;
    }
    match state.access.caller(request.headers(), &peer).await {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(Refused::TooMany(wait)) => {
            let detail = "Too many wrong passwords came from there.";
            retry_later(StatusCode::TOO_MANY_REQUESTS, detail, wait)
        }
        Err(Refused::Unknown) => {
            let detail = "Say who asks: a user of web.basic_auth_users with the password, or a token of web.bearer_tokens.";
            let mut response = problem(StatusCode::UNAUTHORIZED, detail);
            for challenge in state.access.challenges() {
                response.headers_mut().append(header::WWW_AUTHENTICATE, challenge);
            }
            response
        }
    }
}
