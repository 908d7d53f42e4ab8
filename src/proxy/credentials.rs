//! Texts that are never shown, and what a proxy is told about who asks.

use std::fmt;

/// Shown in the place of anything secret.
const MASK: &str = "***";
/// A piece of a secret at the cut end of a text is taken out from this length on, in bytes.
const TELLING_PIECE: usize = 4;

/// A text that may hold a password.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Keeps a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for whoever parses it.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// The URL with `http://` in front where it has no scheme, as programs read the environment.
    pub(super) fn with_scheme(&self) -> String {
        let text = self.0.trim();
        if text.contains("://") { text.to_owned() } else { format!("http://{text}") }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

/// Credentials of basic authentication (RFC 7617). They are sent to the proxy and never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// `user:password` in Base64.
    token: String,
    /// Every form in which a stranger could repeat them, the longest first.
    forms: Vec<Vec<u8>>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

impl Credentials {
    /// From the part of a URL before `@`, with its percent escapes.
    pub(super) fn of_url(user: &str) -> Self {
        let (_, password) = user.split_once(':').unwrap_or((user, ""));
        let mut pair = unescaped(user);
        if !user.contains(':') {
            pair.push(b':');
        }
        let token = base64(&pair);
        let mut forms = vec![
            token.clone().into_bytes(),
            token.trim_end_matches('=').as_bytes().to_vec(),
            user.as_bytes().to_vec(),
            pair,
            password.as_bytes().to_vec(),
            unescaped(password),
        ];
        forms.retain(|form| !form.is_empty());
        forms.sort_by_key(|form| std::cmp::Reverse(form.len()));
        forms.dedup();
        Self { token, forms }
    }

    /// The value of `Proxy-Authorization`.
    pub fn header(&self) -> String {
        format!("Basic {}", self.token)
    }

    /// What a stranger said, without our credentials in it: some proxies repeat the request.
    pub fn scrub(&self, said: &[u8]) -> Vec<u8> {
        let mut clean = Vec::with_capacity(said.len());
        let mut rest = said;
        while let [first, after @ ..] = rest {
            let begins = |form: &&Vec<u8>| {
                // A text may have been cut in the middle of them.
                rest.starts_with(form) || (rest.len() >= TELLING_PIECE && form.starts_with(rest))
            };
            if let Some(form) = self.forms.iter().find(begins) {
                clean.extend(MASK.as_bytes());
                rest = rest.get(form.len()..).unwrap_or_default();
            } else {
                clean.push(*first);
                rest = after;
            }
        }
        clean
    }

    /// The same for a text.
    pub fn scrub_text(&self, said: &str) -> String {
        // Credentials begin and end at characters, so nothing is lost here.
        String::from_utf8_lossy(&self.scrub(said.as_bytes())).into_owned()
    }
}

/// A text with its percent escapes (RFC 3986 section 2.1) resolved; what is no escape stays.
fn unescaped(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let escape = match rest {
            [b'%', high, low, ..] => hex(*high).zip(hex(*low)),
            _ => None,
        };
        if let Some((high, low)) = escape {
            bytes.push(high << 4 | low);
            rest = rest.get(3..).unwrap_or_default();
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    bytes
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

/// RFC 4648 section 4.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let group = (0..3).fold(0, |group: u32, at| {
            group << 8 | chunk.get(at).map_or(0, |byte| u32::from(*byte))
        });
        for (at, shift) in [18, 12, 6, 0].into_iter().enumerate() {
            let digit = usize::try_from(group >> shift & 63).unwrap_or_default();
            let padding = at > chunk.len();
            let digit = DIGITS.get(digit).filter(|_| !padding).copied().unwrap_or(b'=');
            text.push(char::from(digit));
        }
    }
    text
}
