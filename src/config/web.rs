//! The `[web]` table: where the server listens, its certificate, and who may ask it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::str::FromStr as _;

use bcrypt::HashParts;

use super::address;
use super::reader::{Complaint, Field, Reader, Section, quoted};
use super::tree::{Entries, Node, Value};
use crate::limits;
use crate::model::Host;
use crate::settings::web::{ClientAuth, MinVersion, PasswordHash, Tls, TokenHash, Web};
use crate::{suggest, target};

/// How to make a bcrypt hash.
const MAKE_HASH: &str = "make one with `htpasswd -nBC 10 alice` and take what follows the colon";
/// How to make the hash of a token.
const MAKE_TOKEN_HASH: &str =
    "write its SHA-256 in hex: `printf %s \"$TOKEN\" | sha256sum | cut -c1-64`";

pub(super) fn read(reader: &mut Reader<'_>, root: &Entries) -> Web {
    let default = Web::default();
    let section = reader.table(root, "web");
    let listen = match section.field("listen") {
        Some(field) if matches!(field.node.value, Value::List(_)) => {
            let none = matches!(&field.node.value, Value::List(items) if items.is_empty());
            if none {
                let complaint = Complaint::new("there is no place to listen at in this list");
                reader.report(&field.node.place, complaint.hint("remove `listen` for the default"));
            }
            reader.list(Some(field), limits::LISTENERS, address::listener)
        }
        field => reader.parsed(field, address::listener).map(|one| vec![one]),
    };
    let names = reader.list(section.field("names"), limits::LIST_ENTRIES, name);
    let users = secrets(reader, &section, "basic_auth_users", password_hash);
    let tokens = secrets(reader, &section, "bearer_tokens", token_hash);
    if let Some((name, node)) = twice(&section, &users) {
        let complaint = Complaint::new(format!("{} is also a user's name", quoted(name)));
        reader.report(&node.place, complaint.hint("name the token differently: roles go by name"));
    }
    let known: BTreeSet<&str> = users.keys().chain(tokens.keys()).map(String::as_str).collect();
    let probe_users = reader.list(section.field("probe_users"), limits::LIST_ENTRIES, |text| {
        if known.contains(text) {
            return Ok(text.to_owned());
        }
        let names: Vec<&str> = known.iter().copied().collect();
        let hint = match names.as_slice() {
            [] => "there are no users: see web.basic_auth_users and web.bearer_tokens".to_owned(),
            names => suggest::hint(text, names),
        };
        Err(Complaint::new(format!("{} is neither a user nor a token", quoted(text))).hint(hint))
    });
    let suffixes = section.field("probe_suffixes");
    let suffixes = reader.list(suffixes, limits::LIST_ENTRIES, address::suffix);
    Web {
        probe_suffixes: suffixes.unwrap_or_default(),
        listen: listen.filter(|list| !list.is_empty()).unwrap_or(default.listen),
        names: names.unwrap_or_default(),
        tls: tls(reader, &section),
        probe_users: probe_users.unwrap_or_default().into_iter().collect(),
        users,
        tokens,
    }
}

/// A token that is named like a user.
fn twice<'n>(
    section: &Section<'n>,
    users: &BTreeMap<String, PasswordHash>,
) -> Option<(&'n str, &'n Node)> {
    let Value::Table(entries) = &section.field("bearer_tokens")?.node.value else { return None };
    let (key, node) = entries.iter().find(|(key, _)| users.contains_key(&key.name))?;
    Some((&key.name, node))
}

fn name(text: &str) -> Result<String, Complaint> {
    match target::host(text.trim()) {
        Ok(Host::Name(name)) => Ok(name),
        Ok(Host::Ip(_)) => Err(Complaint::new(format!("{} is an address", quoted(text)))
            .hint("addresses need no mention: this server answers under each of its own")),
        Err(error) => Err(Complaint::new(error).hint("write host names without scheme and port")),
    }
}

// --------------------------------------------------------------------------------------- secrets

/// A table of names and secrets. What stands there is never shown: it may be the secret itself.
fn secrets<T>(
    reader: &mut Reader<'_>,
    section: &Section<'_>,
    key: &str,
    parse: impl Fn(&str) -> Result<T, Complaint>,
) -> BTreeMap<String, T> {
    let Some(field) = section.field(key) else { return BTreeMap::new() };
    let Value::Table(entries) = &field.node.value else {
        let complaint = Complaint::new(format!("{} must be a table", field.name));
        let hint = format!("write it as {key} = {{ alice = \"...\" }}");
        reader.report_secret(&field.node.place, complaint.hint(hint));
        return BTreeMap::new();
    };
    if let Some((key, _)) = entries.get(limits::LIST_ENTRIES) {
        let message = format!("there are more than {} names here", limits::LIST_ENTRIES);
        reader.report(&key.place, Complaint::new(message));
    }
    let mut secrets = BTreeMap::new();
    for (name, node) in entries.iter().take(limits::LIST_ENTRIES) {
        let plain = |c: char| !c.is_control() && c != ':';
        let shown = name.name.chars().count() <= limits::TEXT_CHARS;
        if name.name.is_empty() || !shown || !name.name.chars().all(plain) {
            let complaint = Complaint::new(format!("{} cannot be a name here", quoted(&name.name)));
            reader.report(&name.place, complaint.hint("it has no colon and is not empty"));
            continue;
        }
        let Some(text) = secret_text(reader, node, &name.name) else { continue };
        match parse(text) {
            Ok(secret) => {
                secrets.insert(name.name.clone(), secret);
            }
            Err(complaint) => {
                let message = format!("{}: {}", quoted(&name.name), complaint.message);
                reader.report_secret(&node.place, Complaint { message, ..complaint });
            }
        }
    }
    secrets
}

fn secret_text<'n>(reader: &mut Reader<'_>, node: &'n Node, name: &str) -> Option<&'n str> {
    if let Value::Text(text) = &node.value {
        return Some(text);
    }
    let complaint = Complaint::new(format!("the value of {} must be a string", quoted(name)));
    reader.report_secret(&node.place, complaint.hint("write it in quotes"));
    None
}

fn password_hash(text: &str) -> Result<PasswordHash, Complaint> {
    let wrong = |what: &str| Complaint::new(format!("this is not a bcrypt hash: {what}"));
    if !["$2a$", "$2b$", "$2y$"].iter().any(|prefix| text.starts_with(prefix)) {
        return Err(wrong("it does not begin with $2a$, $2b$ or $2y$").hint(MAKE_HASH));
    }
    let parts = HashParts::from_str(text).map_err(|_| {
        let length = text.chars().count();
        let what = if length == 60 {
            "its characters are not those of one".to_owned()
        } else {
            format!("it has {length} characters instead of 60; a shell eats what follows a $ outside of single quotes")
        };
        wrong(&what).hint(MAKE_HASH)
    })?;
    let (least, most) = limits::PASSWORD_COST;
    let cost = parts.get_cost();
    if !(least..=most).contains(&cost) {
        let message = format!("the hash has cost {cost}; {least} to {most} are accepted");
        return Err(Complaint::new(message).hint("every first login costs that much time"));
    }
    Ok(PasswordHash::new(text, cost))
}

fn token_hash(text: &str) -> Result<TokenHash, Complaint> {
    let wrong = || Complaint::new("this is not the SHA-256 of a token").hint(MAKE_TOKEN_HASH);
    if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(wrong());
    }
    let mut hash = [0; 32];
    for (number, byte) in hash.iter_mut().enumerate() {
        let digits = text.get(2 * number..2 * number + 2).ok_or_else(wrong)?;
        *byte = u8::from_str_radix(digits, 16).map_err(|_| wrong())?;
    }
    Ok(TokenHash(hash))
}

// ------------------------------------------------------------------------------------------- TLS

/// The words of the exporter toolkit for client certificates.
const CLIENT_AUTH: [&str; 3] =
    ["NoClientCert", "VerifyClientCertIfGiven", "RequireAndVerifyClientCert"];

fn tls(reader: &mut Reader<'_>, section: &Section<'_>) -> Option<Tls> {
    let mut file = |key: &str| reader.optional(section.field(key), super::file);
    let cert_file = file("cert_file");
    let key_file = file("key_file");
    let ca_file = file("client_ca_file");
    let min_version = reader.parsed(section.field("min_version"), |text| match text {
        "TLS12" => Ok(MinVersion::Tls12),
        "TLS13" => Ok(MinVersion::Tls13),
        _ => Err(Complaint::new(format!("{} is not a TLS version spoken here", quoted(text)))
            .hint("write \"TLS12\" or \"TLS13\"; older ones are not safe")),
    });
    let client_auth = reader.parsed(section.field("client_auth_type"), |text| match text {
        word if CLIENT_AUTH.contains(&word) => Ok(word.to_owned()),
        "RequestClientCert" | "RequireAnyClientCert" => {
            Err(Complaint::new(format!("{} would take any certificate unverified", quoted(text)))
                .hint("write \"VerifyClientCertIfGiven\" or \"RequireAndVerifyClientCert\""))
        }
        _ => {
            Err(Complaint::new(format!("{} is not a kind of client authentication", quoted(text)))
                .hint(suggest::hint(text, &CLIENT_AUTH)))
        }
    });
    let client_auth = client_auth.unwrap_or_else(|| CLIENT_AUTH[0].to_owned());
    let verifies = client_auth != CLIENT_AUTH[0];
    let mut needs = |present: bool, key: &str, other: &str, hint: &str| {
        if let (true, Some(Field { node, .. })) = (present, section.field(key)) {
            let complaint = Complaint::new(format!("`{key}` is of no use without `{other}`"));
            reader.report(&node.place, complaint.hint(hint));
        }
    };
    let (has_cert, has_key, has_ca) = (cert_file.is_some(), key_file.is_some(), ca_file.is_some());
    needs(has_cert && !has_key, "cert_file", "key_file", "add the file of its private key");
    needs(has_key && !has_cert, "key_file", "cert_file", "add the file of its certificate");
    let hint = "add cert_file and key_file: client certificates need TLS";
    needs(has_ca && !has_cert && !has_key, "client_ca_file", "cert_file", hint);
    needs(verifies && !has_ca, "client_auth_type", "client_ca_file", "add the file of its roots");
    let hint = "add client_auth_type = \"RequireAndVerifyClientCert\"";
    needs(has_ca && !verifies, "client_ca_file", "client_auth_type", hint);
    Some(Tls {
        cert_file: cert_file?,
        key_file: key_file?,
        min_version: min_version.unwrap_or_default(),
        client_auth: client_auth_of(&client_auth, ca_file),
    })
}

fn client_auth_of(word: &str, ca_file: Option<PathBuf>) -> ClientAuth {
    match (word, ca_file) {
        ("VerifyClientCertIfGiven", Some(file)) => ClientAuth::IfGiven(file),
        ("RequireAndVerifyClientCert", Some(file)) => ClientAuth::Required(file),
        _ => ClientAuth::None,
    }
}
