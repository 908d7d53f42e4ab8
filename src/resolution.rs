//! What an application on this machine would get for a name: the hosts file first, then the
//! servers in their order, as the system's resolver does it.

use std::net::IpAddr;

use crate::observation::{
    Alias, Answer, DnsObservation, Exchange, ExchangeOutcome, Rcode, ServerObservation, ServerRole,
};

/// The answer that counts, and where it came from.
#[derive(Debug, Clone, PartialEq)]
pub enum Resolution<'a> {
    /// The hosts file has the name.
    HostsFile(&'a [IpAddr]),
    /// This server decided: the first, in order, that said yes or no.
    Server(&'a ServerObservation),
    /// No server gave an answer that counts.
    Nobody,
}

/// Decides what an application would get.
pub fn effective(dns: &DnsObservation) -> Resolution<'_> {
    if !dns.hosts_file.is_empty() {
        return Resolution::HostsFile(&dns.hosts_file);
    }
    match dns.configured().find(|server| server.decides()) {
        Some(server) => Resolution::Server(server),
        None => Resolution::Nobody,
    }
}

impl Resolution<'_> {
    /// Addresses to connect to, IPv4 first, each once.
    pub fn addresses(&self) -> Vec<IpAddr> {
        match self {
            Self::HostsFile(addresses) => addresses.to_vec(),
            Self::Server(server) => server.addresses(),
            Self::Nobody => Vec::new(),
        }
    }
}

impl DnsObservation {
    /// The servers applications here ask.
    pub fn configured(&self) -> impl Iterator<Item = &ServerObservation> {
        self.servers.iter().filter(|server| server.role == ServerRole::Configured)
    }

    /// The reference server, when it was asked.
    pub fn reference(&self) -> Option<&ServerObservation> {
        self.servers.iter().find(|server| server.role == ServerRole::Reference)
    }
}

impl ServerObservation {
    /// Whether its answer ends the search: it gave an address, or said that the name does not exist
    /// or, for both families, that there is none. On SERVFAIL, REFUSED and silence the system's
    /// resolver goes on to the next server, also when only one of its two questions ended so.
    pub fn decides(&self) -> bool {
        let answers = || [&self.a, &self.aaaa].into_iter().filter_map(Exchange::answer);
        let of = |rcode| answers().filter(move |answer| answer.rcode == rcode);
        of(Rcode::NxDomain).next().is_some()
            || of(Rcode::NoError).any(|answer| !answer.addresses.is_empty() || answer.chain_loops)
            || of(Rcode::NoError).count() == 2
    }

    /// Addresses of both families, IPv4 first, each once.
    pub fn addresses(&self) -> Vec<IpAddr> {
        let mut addresses: Vec<IpAddr> = Vec::new();
        for record in [&self.a, &self.aaaa]
            .into_iter()
            .filter_map(Exchange::answer)
            .flat_map(|a| &a.addresses)
        {
            if !addresses.contains(&record.ip) {
                addresses.push(record.ip);
            }
        }
        addresses
    }

    /// The more telling of its two answers: the one with addresses, else the one with a chain, else
    /// the one that says whether the name exists.
    pub fn best_answer(&self) -> Option<&Answer> {
        let answers = || [&self.a, &self.aaaa].into_iter().filter_map(Exchange::answer);
        answers()
            .find(|a| !a.addresses.is_empty())
            .or_else(|| answers().find(|a| !a.chain.is_empty()))
            .or_else(|| answers().find(|a| matches!(a.rcode, Rcode::NoError | Rcode::NxDomain)))
            .or_else(|| answers().next())
    }

    /// The alias chain it showed.
    pub fn chain(&self) -> &[Alias] {
        self.best_answer().map_or(&[], |answer| &answer.chain)
    }
}

impl Exchange {
    /// The answer, if there was one.
    pub fn answer(&self) -> Option<&Answer> {
        match &self.outcome {
            ExchangeOutcome::Answer(answer) => Some(answer),
            ExchangeOutcome::Failed(_) => None,
        }
    }
}

/// The private DNS zone that a chain passes: everything from the `privatelink` label on.
pub fn privatelink_zone(chain: &[Alias]) -> Option<String> {
    chain.iter().find_map(|alias| {
        let at = format!(".{}", alias.to).find(".privatelink.")?;
        alias.to.get(at..).map(str::to_owned)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_zone_is_read_off_the_chain() {
        let step = |to: &str| Alias { from: "x".into(), to: to.into(), ttl: 60 };
        for (to, zone) in [
            (
                "mlstore.privatelink.blob.core.usgovcloudapi.net",
                Some("privatelink.blob.core.usgovcloudapi.net"),
            ),
            (
                "g.workspace.usgovvirginia.privatelink.api.ml.azure.us",
                Some("privatelink.api.ml.azure.us"),
            ),
            ("mlacr.usgovvirginia.data.privatelink.azurecr.us", Some("privatelink.azurecr.us")),
            ("privatelink.azurecr.us", Some("privatelink.azurecr.us")),
            ("notprivatelink.example", None),
        ] {
            assert_eq!(privatelink_zone(&[step(to)]).as_deref(), zone, "{to}");
        }
    }
}
