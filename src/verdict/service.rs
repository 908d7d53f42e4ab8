//! Tells from an HTTP answer who gave it: the service, the service's own network rules, a firewall,
//! or something that answers in a service's place.

use std::net::IpAddr;

use crate::limits;
use crate::model::Service;

/// The status code Azure Firewall answers a denied plain HTTP request with; no service uses it.
const FIREWALL_DENY_STATUS: u16 = 470;
/// RFC 6585 section 6: sent by whoever wants a sign-in before it lets traffic through.
const NETWORK_AUTHENTICATION_REQUIRED: u16 = 511;
/// Where Key Vault says whom it sees (`x-ms-keyvault-network-info`) and asks for no token.
const HEALTH_STATUS: &str = "/healthstatus";

/// Headers that only the service itself, or Microsoft's edge in front of it, sends.
const SIGNS: [&str; 9] = [
    "x-ms-request-id",
    "x-ms-error-code",
    "x-ms-version",
    "x-ms-keyvault-network-info",
    "x-ms-keyvault-region",
    "x-azure-ref",
    "docker-distribution-api-version",
    "www-authenticate",
    "sec-websocket-accept",
];
/// How `server` begins when the service answered.
const SERVERS: [&str; 3] = ["windows-azure-", "microsoft-httpapi", "azurecontainerregistry"];

/// Products that answer in place of a service, as they name themselves in headers and pages.
const FILTERS: [&str; 20] = [
    "squid",
    "zscaler",
    "bluecoat",
    "blue coat",
    "proxysg",
    "fortigate",
    "fortiguard",
    "fortinet",
    "forcepoint",
    "websense",
    "netskope",
    "iboss",
    "opendns",
    "palo alto networks",
    "mcafee web gateway",
    "sophos",
    "barracuda",
    "ironport",
    "sonicwall",
    "watchguard",
];
/// What block pages say.
const BLOCKED: [&str; 7] = [
    "has been blocked",
    "page blocked",
    "access blocked",
    "is blocked",
    "access denied",
    "access to this site is",
    "blocked by",
];

/// Hosts that people are sent to for signing in.
const SIGN_IN: [&str; 4] = [
    "login.microsoftonline.",
    "login.partner.microsoftonline.",
    "login.chinacloudapi.cn",
    "login.windows.net",
];

/// An HTTP answer as evidence of who gave it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Answer<'a> {
    /// Its status code.
    pub(super) status: u16,
    /// Headers, with lower-case names.
    pub(super) headers: &'a [(String, String)],
    /// The beginning of its body.
    pub(super) body: &'a str,
}

/// A service's refusal of the network that a request came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    /// The service's own word for it.
    pub(super) word: &'static str,
    /// The address the service saw, if it tells.
    pub(super) sees: Option<IpAddr>,
}

impl<'a> Answer<'a> {
    /// The first header of this name.
    pub(super) fn header(&self, name: &str) -> Option<&'a str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    fn header_lowered(&self, name: &str) -> String {
        self.header(name).unwrap_or_default().to_ascii_lowercase()
    }

    /// Whether Azure Firewall wrote it.
    pub(super) fn is_firewall_deny(&self) -> bool {
        let body = self.body.trim_start();
        self.status == FIREWALL_DENY_STATUS
            || body.starts_with("Action: Deny")
            || (body.contains("Action: Deny") && body.contains("Reason: No rule matched"))
    }

    /// Whether the service's own network rules refuse it.
    pub(super) fn refusal(&self, expected: Option<Service>) -> Option<Refusal> {
        let body = self.body.to_ascii_lowercase();
        let code = self.header_lowered("x-ms-error-code");
        let says = |word: &str| code == word || body.contains(word);
        let refused = |word| Some(Refusal { word, sees: None });
        match self.status {
            403 if says("authorizationfailure") => refused("AuthorizationFailure"),
            401 | 403 if says("forbiddenbyfirewall") => refused("ForbiddenByFirewall"),
            401 | 403 if says("forbiddenbyconnection") => refused("ForbiddenByConnection"),
            403 if body.contains("client with ip") || body.contains("aka.ms/acr/firewall") => {
                Some(Refusal { word: "DENIED", sees: quoted_address(&body) })
            }
            403 if body.contains("\"denied\"") && expected == Some(Service::ContainerRegistry) => {
                refused("DENIED")
            }
            // Seen with 403 from the workspace and with 502 through Resource Manager.
            400..
                if body.contains("workspace private link configuration")
                    || body.contains("outside of the designated private link") =>
            {
                refused("workspace private link configuration")
            }
            _ => None,
        }
    }

    /// Whether it carries something only the service sends.
    pub(super) fn is_from_service(&self) -> bool {
        let server = self.header_lowered("server");
        SIGNS.iter().any(|name| self.header(name).is_some())
            || SERVERS.iter().any(|name| server.starts_with(name))
            || is_service_error(self.body)
    }

    /// What tells that something answered in the service's place; `None` also where nothing does.
    pub(super) fn impostor(
        &self,
        host: &str,
        path: &str,
        expected: Option<Service>,
    ) -> Option<String> {
        let named = |name: &str| self.header(name).map(|value| format!("{name}: {value}"));
        if let Some(error) = named("x-squid-error") {
            return Some(error);
        }
        if self.status == NETWORK_AUTHENTICATION_REQUIRED {
            return Some(format!("status {NETWORK_AUTHENTICATION_REQUIRED}"));
        }
        self.in_place_of(host, expected).or_else(|| {
            (expected == Some(Service::KeyVault) && self.is_health_status_of_nobody(path))
                .then(|| "no x-ms-keyvault-network-info".to_owned())
        })
    }

    /// What tells of an answer without any sign of a service that a filter or a proxy gave it.
    fn in_place_of(&self, host: &str, expected: Option<Service>) -> Option<String> {
        if self.is_from_service() || self.status == 101 {
            return None;
        }
        let named = |name: &str| self.header(name).map(|value| format!("{name}: {value}"));
        // A filter's own site names the filter, too.
        let is_filter = |text: &str| {
            FILTERS.iter().any(|filter| text.contains(filter) && !host.contains(filter))
        };
        let plain = expected.is_none() && (200..300).contains(&self.status);
        ["server", "proxy-agent", "location"]
            .into_iter()
            .filter(|name| !plain && is_filter(&self.header_lowered(name)))
            .find_map(named)
            .or_else(|| self.block_page(is_filter))
            .or_else(|| self.sign_missing(expected?))
    }

    fn is_health_status_of_nobody(&self, path: &str) -> bool {
        path == HEALTH_STATUS
            && (200..400).contains(&self.status)
            && self.header("x-ms-keyvault-network-info").is_none()
    }

    /// A page that says it is there to block.
    fn block_page(&self, is_filter: impl Fn(&str) -> bool) -> Option<String> {
        let body = self.body.to_ascii_lowercase();
        let blocks = BLOCKED.iter().any(|words| body.contains(words));
        (self.is_page() && blocks && is_filter(&body))
            .then(|| format!("a block page, {:?}", self.opening()))
    }

    /// Where a service signs all its answers: what the unsigned one is told by. A plain 2xx without
    /// any mark stays open: it proves nothing against whoever gave it.
    fn sign_missing(&self, expected: Service) -> Option<String> {
        let named = |name: &str| self.header(name).map(|value| format!("{name}: {value}"));
        let signs = match expected {
            Service::Storage | Service::KeyVault | Service::ContainerRegistry => true,
            // What the front door of a workspace answers to strangers is not written anywhere.
            Service::Workspace => false,
        };
        let odd = !(200..300).contains(&self.status) && self.status < 500;
        match named("via") {
            Some(via) => Some(via),
            None if signs && self.is_page() => Some(format!("a web page, {:?}", self.opening())),
            None if signs && odd => {
                named("location").or_else(|| named("server")).or(Some("no sign of it".to_owned()))
            }
            None => None,
        }
    }

    fn is_page(&self) -> bool {
        let body = self.body.trim_start().to_ascii_lowercase();
        self.header_lowered("content-type").contains("text/html")
            || body.starts_with("<!doctype html")
            || body.starts_with("<html")
    }

    /// The beginning of the body, short enough for a sentence.
    fn opening(&self) -> String {
        self.body.trim().chars().take(limits::SENTENCE_CHARS).collect()
    }

    /// Whether it sends people to sign in with their account.
    pub(super) fn asks_to_sign_in(&self) -> bool {
        let location = self.header_lowered("location");
        let host = location.strip_prefix("https://").unwrap_or_default();
        (300..400).contains(&self.status) && SIGN_IN.iter().any(|name| host.starts_with(name))
    }

    /// A middle man that says so, for statuses that are about what lies behind it.
    pub(super) fn middle_man(&self) -> Option<String> {
        if self.is_from_service() {
            return None;
        }
        ["via", "x-squid-error", "proxy-agent", "server"]
            .into_iter()
            .find_map(|name| self.header(name).map(|value| format!("{name}: {value}")))
    }

    /// The address that Key Vault says the request came from.
    pub(super) fn vault_sees(&self) -> Option<IpAddr> {
        let info = self.header("x-ms-keyvault-network-info")?;
        info.split(';').find_map(|part| part.trim().strip_prefix("addr=")?.trim().parse().ok())
    }
}

/// An error in the forms Azure's services use: XML with a code, or JSON.
fn is_service_error(body: &str) -> bool {
    let body = body.trim_start_matches('\u{feff}').trim_start().to_ascii_lowercase();
    body.contains("<error><code>")
        || body.contains("<error> <code>")
        || (body.starts_with('{')
            && ["\"error\"", "\"errors\"", "\"code\""].iter().any(|key| body.contains(key)))
}

/// The address between the first quotes after `client with ip`.
fn quoted_address(body: &str) -> Option<IpAddr> {
    // Some JSON writers escape the quotes.
    let plain = body.replace("\\u0027", "'");
    let (_, after) = plain.split_once("client with ip")?;
    after.split('\'').nth(1)?.trim().parse().ok()
}
