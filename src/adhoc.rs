//! Ad hoc probes that come over HTTP: what is asked for, and whether it may be.
//!
//! Whoever can have this machine connect somewhere can look around in its network. So without the
//! role for it, only what the plan probes anyway may be probed, and what is below a suffix that
//! the configuration names.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use ipnet::IpNet;
use serde::Deserialize;

use crate::check::Target;
use crate::limits;
use crate::model::{Expect, Host, printable};
use crate::plan::{ExtraProbe, Plan};
use crate::target::parse_target;

/// What is asked for, as it was written.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// Targets as `vnetprobe probe` takes them.
    pub targets: Vec<String>,
    /// What to expect of every name.
    #[serde(default = "any")]
    pub expect: Expect,
    /// Networks in which private addresses must lie.
    #[serde(default)]
    pub subnets: Vec<String>,
}

const fn any() -> Expect {
    Expect::Any
}

impl Request {
    /// Reads a JSON document; the error says where it is wrong.
    pub fn of_json(bytes: &[u8]) -> Result<Self, String> {
        // Through an object: a derived reader would take a list of the fields' values as well.
        serde_json::from_slice::<serde_json::Map<_, _>>(bytes)
            .and_then(|object| serde_json::from_value(object.into()))
            .map_err(|error| printable(&error.to_string()))
    }

    /// Reads a form's fields: `targets` (one a line), `expect` and `subnets`; others are ignored.
    pub fn of_form(bytes: &[u8]) -> Result<Self, String> {
        let mut request = Self { targets: Vec::new(), expect: Expect::Any, subnets: Vec::new() };
        let words = |value: &str| value.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        for (name, value) in url::form_urlencoded::parse(bytes) {
            match name.as_ref() {
                "targets" => request.targets.extend(words(&value)),
                "subnets" => request.subnets.extend(words(&value)),
                "expect" => {
                    request.expect =
                        value.parse().map_err(|error| printable(&format!("expect: {error}")))?;
                }
                _ => {}
            }
        }
        Ok(request)
    }

    /// The probes it amounts to, or everything that is wrong with it, one sentence each.
    pub fn probes(&self) -> Result<Vec<ExtraProbe>, Vec<String>> {
        let mut wrong = Vec::new();
        let count = self.targets.len();
        if count == 0 {
            wrong.push("no target is named".to_owned());
        }
        if count > limits::ADHOC_TARGETS {
            wrong.push(format!("{count} targets; {} at most", limits::ADHOC_TARGETS));
        }
        if self.subnets.len() > limits::LIST_ENTRIES {
            wrong.push(format!("more than {} subnets", limits::LIST_ENTRIES));
        }
        let mut subnets = Vec::new();
        for text in self.subnets.iter().take(limits::LIST_ENTRIES) {
            match text.trim().parse::<IpNet>() {
                Ok(network) => subnets.push(network),
                Err(_) => wrong
                    .push(format!("`{}` is not a network such as 10.20.0.0/16", printable(text))),
            }
        }
        let mut probes: Vec<ExtraProbe> = Vec::new();
        for text in self.targets.iter().take(limits::ADHOC_TARGETS) {
            match parse_target(text) {
                Ok(target) => {
                    let probe = ExtraProbe {
                        id: target.authority(),
                        target,
                        expect: self.expect,
                        subnets: subnets.clone(),
                        scenarios: Vec::new(),
                    };
                    if !probes.contains(&probe) {
                        probes.push(probe);
                    }
                }
                // A target with an `@` may hold a password, which is never repeated.
                Err(error) if text.contains('@') => wrong.push(error),
                Err(error) => wrong.push(format!("target `{}`: {error}", printable(text))),
            }
        }
        wrong.truncate(limits::CONFIG_ERRORS);
        if wrong.is_empty() { Ok(probes) } else { Err(wrong) }
    }
}

/// What may be probed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Allowed {
    /// Anything: the caller has the role for it.
    Everything,
    /// The plan's own and what is below a suffix.
    Only {
        /// Hosts and ports of the plan; without a port only the name may be looked up.
        targets: BTreeSet<(Host, Option<u16>)>,
        /// Domains that the configuration names, lower case, without a leading dot.
        suffixes: Vec<String>,
        /// DNS servers that the program asks anyway.
        dns_servers: Vec<SocketAddr>,
    },
}

impl Allowed {
    /// What a plan, the configured suffixes and the DNS servers in use allow.
    pub fn only(plan: &Plan, suffixes: &[String], dns_servers: &[SocketAddr]) -> Self {
        let bare = |text: &String| text.trim_start_matches('.').to_ascii_lowercase();
        Self::Only {
            targets: plan.targets.iter().map(|t| (t.host.clone(), t.port)).collect(),
            suffixes: suffixes.iter().map(bare).filter(|text| !text.is_empty()).collect(),
            dns_servers: dns_servers.to_vec(),
        }
    }

    /// Whether this host may be connected to at this port.
    pub fn connects(&self, host: &Host, port: u16) -> bool {
        match self {
            Self::Everything => true,
            Self::Only { targets, .. } => {
                targets.contains(&(host.clone(), Some(port))) || self.is_below_suffix(host)
            }
        }
    }

    /// Whether this name may be looked up.
    pub fn looks_up(&self, host: &Host) -> bool {
        match self {
            Self::Everything => true,
            Self::Only { targets, .. } => {
                targets.iter().any(|(planned, _)| planned == host) || self.is_below_suffix(host)
            }
        }
    }

    /// Whether this DNS server may be asked.
    pub fn asks(&self, host: &Host, port: u16) -> bool {
        let known = match (self, host) {
            (Self::Only { dns_servers, .. }, Host::Ip(ip)) => {
                dns_servers.contains(&SocketAddr::new(*ip, port))
            }
            _ => false,
        };
        known || self.connects(host, port)
    }

    /// Whether this target may be probed.
    pub fn probes(&self, target: &Target) -> bool {
        match target.port {
            Some(port) => self.connects(&target.host, port),
            None => self.looks_up(&target.host),
        }
    }

    fn is_below_suffix(&self, host: &Host) -> bool {
        let (Self::Only { suffixes, .. }, Some(name)) = (self, host.name()) else { return false };
        suffixes.iter().any(|suffix| {
            name.strip_suffix(suffix.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        })
    }

    /// Why this one may not be probed and what may, for the person who asked.
    pub fn refusal(&self, asked: &str) -> String {
        let below = match self {
            Self::Only { suffixes, .. } if !suffixes.is_empty() => {
                format!(", and any host below {}", suffixes.join(", "))
            }
            _ => ", and hosts below web.probe_suffixes, of which there are none".to_owned(),
        };
        format!(
            "`{}` may not be probed from here: allowed are the hosts and ports of the plan (see /api/v1/report){below}. A user or token named in web.probe_users may probe any host.",
            printable(asked)
        )
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn request(targets: &[&str]) -> Request {
        Request {
            targets: targets.iter().map(|t| (*t).to_owned()).collect(),
            expect: Expect::Any,
            subnets: Vec::new(),
        }
    }

    #[test]
    fn json_is_read_strictly() {
        let good = Request::of_json(br#"{"targets": ["a.example"], "expect": "private"}"#).unwrap();
        assert_eq!(good.expect, Expect::Private);
        for (bad, part) in [
            ("", "EOF"),
            ("[[\"a.example\"], \"any\", []]", "expected a map"),
            ("{}", "missing field `targets`"),
            (r#"{"targets": "a"}"#, "expected a sequence"),
            (r#"{"targets": [], "expect": "maybe"}"#, "unknown variant `maybe`"),
            (r#"{"targets": [], "target": 1}"#, "unknown field `target`"),
        ] {
            let error = Request::of_json(bad.as_bytes()).unwrap_err();
            assert!(error.contains(part), "{bad}: {error}");
        }
    }

    #[test]
    fn a_form_has_one_target_a_line() {
        let form = b"targets=a.example%3A443%0D%0Atcp%3A%2F%2Fb.example%3A22&expect=public&x=1";
        let request = Request::of_form(form).unwrap();
        assert_eq!(request.targets, ["a.example:443", "tcp://b.example:22"]);
        assert_eq!(request.expect, Expect::Public);
        assert!(Request::of_form(b"expect=odd").unwrap_err().contains("`odd` is not one of"));
    }

    #[test]
    fn everything_that_is_wrong_is_said_at_once() {
        let mut bad = request(&["a.example:0", "ftp://a", "https://bob:hunter2@a/"]);
        bad.subnets.push("10.0.0.0/99".to_owned());
        let wrong = bad.probes().unwrap_err();
        assert_eq!(wrong.len(), 4, "{wrong:?}");
        assert!(!wrong.join("").contains("hunter2"));
        assert_eq!(request(&[]).probes().unwrap_err(), ["no target is named"]);
        let many = vec!["a.example"; limits::ADHOC_TARGETS + 1];
        assert!(request(&many).probes().unwrap_err()[0].contains("at most"));
        assert_eq!(request(&["a.example", "a.example:443"]).probes().unwrap().len(), 1);
    }

    fn only(planned: &[&str], suffixes: &[&str]) -> Allowed {
        let targets = planned.iter().map(|text| Arc::new(parse_target(text).unwrap())).collect();
        let plan = Plan {
            cloud: crate::model::Cloud::None,
            catalog_date: String::new(),
            workspace: String::new(),
            vantage: crate::model::Vantage::Any,
            region: String::new(),
            scenarios: Vec::new(),
            requirements: Vec::new(),
            checks: Vec::new(),
            targets,
        };
        let suffixes: Vec<String> = suffixes.iter().map(|s| (*s).to_owned()).collect();
        Allowed::only(&plan, &suffixes, &["10.0.0.4:53".parse().unwrap()])
    }

    #[test]
    fn only_the_plan_and_the_suffixes() {
        let allowed =
            only(&["ml.azure.us:443", "10.0.0.9:22", "dns://names.example"], &[".Contoso.mil"]);
        for good in [
            "ml.azure.us",
            "https://ml.azure.us/any/path",
            "tcp://10.0.0.9:22",
            "dns://ml.azure.us",
            "dns://names.example",
            "contoso.mil:22",
            "a.b.contoso.mil",
        ] {
            assert!(allowed.probes(&parse_target(good).unwrap()), "{good}");
        }
        for bad in [
            "ml.azure.us:22",
            "names.example:443",
            "10.0.0.9:23",
            "169.254.169.254:80",
            "tcp://127.0.0.1:22",
            "evil-contoso.mil",
            "contoso.mil.evil.example",
            "dns://evil.example",
        ] {
            assert!(!allowed.probes(&parse_target(bad).unwrap()), "{bad}");
            assert!(Allowed::Everything.probes(&parse_target(bad).unwrap()));
        }
        let server = |text: &str| allowed.asks(&Host::Ip(text.parse().unwrap()), 53);
        assert!(server("10.0.0.4") && !server("10.0.0.5"));
    }

    #[test]
    fn a_refusal_says_what_is_allowed() {
        let said = only(&[], &["contoso.mil"]).refusal("evil\u{1b}[31m.example");
        assert!(said.contains("below contoso.mil") && said.contains("web.probe_users"), "{said}");
        assert!(!said.contains('\u{1b}'));
    }
}
