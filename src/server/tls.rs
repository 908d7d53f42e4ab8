//! The server's certificate: read at the start, and again when its files change.
#![expect(clippy::disallowed_methods, reason = "this edge reads the files of the certificate")]

use std::io::Read as _;
use std::path::Path;
use std::sync::{Arc, Mutex};

use tokio::time::Instant;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::server::danger::ClientCertVerifier;
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{Error, RootCertStore, ServerConfig};
use x509_parser::parse_x509_certificate;

use crate::limits;
use crate::model::printable;
use crate::settings::web::{ClientAuth, MinVersion, Tls};

use super::limit::locked;

/// What the files said.
#[derive(Clone, PartialEq, Eq)]
struct Files {
    certificate: Vec<u8>,
    key: Vec<u8>,
    roots: Option<Vec<u8>>,
}

/// The certificate in use.
pub struct Certificates {
    settings: Tls,
    state: Mutex<State>,
}

struct State {
    config: Arc<ServerConfig>,
    files: Files,
    looked: Instant,
    /// Somebody looks at the files right now.
    looking: bool,
    /// What was said about the newest files when they could not be used.
    complaint: Option<String>,
}

impl std::fmt::Debug for Certificates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Certificates").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Certificates {
    /// Reads the files; the error names the file and the key of the configuration.
    pub fn load(settings: &Tls) -> Result<Self, String> {
        let files = read(settings)?;
        let config = build(settings, &files)?;
        let state =
            State { config, files, looked: Instant::now(), looking: false, complaint: None };
        Ok(Self { settings: settings.clone(), state: Mutex::new(state) })
    }

    /// What to answer the next client with. The files are looked at again when the last look is
    /// [`limits::CERTIFICATE_LOOK`] ago; bad ones leave the old ones in use and are told of once.
    pub(super) async fn current(
        self: &Arc<Self>,
        notice: &(dyn Fn(&str) + Sync),
    ) -> Arc<ServerConfig> {
        {
            let mut state = locked(&self.state);
            if state.looking || state.looked.elapsed() < limits::CERTIFICATE_LOOK {
                return Arc::clone(&state.config);
            }
            state.looked = Instant::now();
            state.looking = true;
        }
        let this = Arc::clone(self);
        // A file system can hang; then this client waits, and those after it get what is there.
        if let Ok(Some(said)) = tokio::task::spawn_blocking(move || this.look()).await {
            notice(&said);
        }
        Arc::clone(&locked(&self.state).config)
    }

    /// Reads the files again; says what there is to say.
    fn look(&self) -> Option<String> {
        let before = locked(&self.state).files.clone();
        let built = read(&self.settings).and_then(|files| {
            if files == before {
                return Ok(None);
            }
            Ok(Some((build(&self.settings, &files)?, files)))
        });
        let mut state = locked(&self.state);
        state.looking = false;
        match built {
            Ok(None) => {
                state.complaint = None;
                None
            }
            Ok(Some((config, files))) => {
                state.config = config;
                state.files = files;
                state.complaint = None;
                Some(format!("web.cert_file {} was read again", self.settings.cert_file.display()))
            }
            Err(error) if state.complaint.as_ref() == Some(&error) => None,
            Err(error) => {
                state.complaint = Some(error.clone());
                Some(format!("the old certificate stays in use: {error}"))
            }
        }
    }
}

fn read(settings: &Tls) -> Result<Files, String> {
    let file = |key: &str, path: &Path| {
        read_bounded(path).map_err(|error| {
            format!(
                "failed to read web.{key} {}: {error}; correct the path or the file's permissions",
                path.display()
            )
        })
    };
    let roots = match &settings.client_auth {
        ClientAuth::None => None,
        ClientAuth::IfGiven(path) | ClientAuth::Required(path) => {
            Some(file("client_ca_file", path)?)
        }
    };
    Ok(Files {
        certificate: file("cert_file", &settings.cert_file)?,
        key: file("key_file", &settings.key_file)?,
        roots,
    })
}

fn read_bounded(path: &Path) -> std::io::Result<Vec<u8>> {
    let file = std::fs::File::open(path)?;
    if !file.metadata()?.is_file() {
        return Err(std::io::Error::other("it is no file"));
    }
    let mut bytes = Vec::new();
    file.take(limits::FILE_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limits::FILE_BYTES {
        let message = format!("it is larger than {} bytes", limits::FILE_BYTES);
        return Err(std::io::Error::other(message));
    }
    Ok(bytes)
}

fn build(settings: &Tls, files: &Files) -> Result<Arc<ServerConfig>, String> {
    let (cert_file, key_file) = (settings.cert_file.display(), settings.key_file.display());
    let chain = certificates(&files.certificate)
        .map_err(|error| format!("web.cert_file {cert_file} {error}"))?;
    let key = PrivateKeyDer::from_pem_slice(&files.key).map_err(|_| {
        let encrypted = files.key.windows(9).any(|word| word == b"ENCRYPTED");
        let hint = if encrypted {
            "its key is encrypted; write it without a passphrase: openssl pkey -in KEY -out PLAIN"
        } else {
            "it begins with -----BEGIN PRIVATE KEY-----"
        };
        format!("web.key_file {key_file} holds no private key in PEM form: {hint}")
    })?;
    let provider = Arc::new(ring::default_provider());
    let versions: &[_] = match settings.min_version {
        MinVersion::Tls12 => &[&TLS12, &TLS13],
        MinVersion::Tls13 => &[&TLS13],
    };
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(versions)
        .map_err(|error| format!("web.min_version cannot be used: {error}"))?;
    let builder = match verifier(settings, files, provider)? {
        Some(verifier) => builder.with_client_cert_verifier(verifier),
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_single_cert(chain, key).map_err(|error| match error {
        Error::InconsistentKeys(_) => format!(
            "web.key_file {key_file} does not belong to web.cert_file {cert_file}: use the two that were issued together, with the server's own certificate first"
        ),
        error => format!("web.cert_file {cert_file} with web.key_file {key_file} cannot be used: {error}"),
    })?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let chain: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|error| format!("is not valid PEM: {error}"))?;
    if chain.is_empty() {
        return Err("holds no certificate: it begins with -----BEGIN CERTIFICATE-----".to_owned());
    }
    Ok(chain)
}

fn verifier(
    settings: &Tls,
    files: &Files,
    provider: Arc<CryptoProvider>,
) -> Result<Option<Arc<dyn ClientCertVerifier>>, String> {
    let (path, required) = match &settings.client_auth {
        ClientAuth::None => return Ok(None),
        ClientAuth::IfGiven(path) => (path, false),
        ClientAuth::Required(path) => (path, true),
    };
    let wrong = |error: String| format!("web.client_ca_file {} {error}", path.display());
    let mut roots = RootCertStore::empty();
    for root in certificates(files.roots.as_deref().unwrap_or_default()).map_err(wrong)? {
        roots.add(root).map_err(|error| wrong(format!("cannot be used: {error}")))?;
    }
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    let builder = if required { builder } else { builder.allow_unauthenticated() };
    builder.build().map(Some).map_err(|error| wrong(format!("cannot be used: {error}")))
}

/// What to call the owner of a verified certificate: its common name, or that there is none.
pub(super) fn owner(certificate: &CertificateDer<'_>) -> Arc<str> {
    let name = parse_x509_certificate(certificate.as_ref()).ok().and_then(|(_, certificate)| {
        let name = certificate.subject().iter_common_name().next()?.as_str().ok()?;
        Some(printable(name))
    });
    name.filter(|name| !name.is_empty()).unwrap_or_else(|| "client certificate".to_owned()).into()
}
