//! Which service tags exist in which cloud, and what they may be used for.
//!
//! Read off the published service tag files of 2025 and 2026; the documents are wrong in places.

use crate::model::Cloud;

/// Where a tag is to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Use {
    /// An Azure Firewall network rule.
    Firewall,
    /// A network security group.
    Nsg,
}

/// What regional tags of a service are good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Regional {
    /// The same as the global one.
    Full,
    /// Network security groups only.
    NsgOnly,
    /// Nothing: listed, but without any network feature, or not there.
    Nothing,
}

struct Row {
    tag: &'static str,
    regional: Regional,
    /// In Azure operated by 21Vianet the tag carries no firewall feature.
    no_firewall_in_china: bool,
    public_only: bool,
}

const fn row(tag: &'static str, regional: Regional, no_firewall_in_china: bool) -> Row {
    Row { tag, regional, no_firewall_in_china, public_only: false }
}

const ROWS: &[Row] = &[
    row("AzureActiveDirectory", Regional::Nothing, false),
    row("AzureMachineLearning", Regional::Nothing, false),
    row("AzureResourceManager", Regional::Nothing, false),
    row("BatchNodeManagement", Regional::NsgOnly, true),
    row("AzureMonitor", Regional::NsgOnly, true),
    row("Storage", Regional::Full, true),
    row("AzureContainerRegistry", Regional::Full, true),
    row("AzureKeyVault", Regional::Full, true),
    row("MicrosoftContainerRegistry", Regional::Full, true),
    row("AzureFrontDoor.Frontend", Regional::Nothing, false),
    Row {
        tag: "AzureFrontDoor.FirstParty",
        regional: Regional::Nothing,
        no_firewall_in_china: true,
        public_only: true,
    },
];

/// Regions as tags spell them.
const REGIONS: &[&str] = &[
    "USGovVirginia",
    "USGovArizona",
    "USGovTexas",
    "USDoDEast",
    "USDoDCentral",
    "ChinaEast",
    "ChinaEast2",
    "ChinaEast3",
    "ChinaNorth",
    "ChinaNorth2",
    "ChinaNorth3",
    "EastUS",
    "EastUS2",
    "CentralUS",
    "NorthCentralUS",
    "SouthCentralUS",
    "WestCentralUS",
    "WestUS",
    "WestUS2",
    "WestUS3",
    "CanadaCentral",
    "CanadaEast",
    "BrazilSouth",
    "NorthEurope",
    "WestEurope",
    "UKSouth",
    "UKWest",
    "AustraliaEast",
    "AustraliaSoutheast",
    "JapanEast",
    "JapanWest",
    "KoreaCentral",
    "EastAsia",
    "SoutheastAsia",
    "CentralIndia",
    "SouthIndia",
];

/// The tag as a rule must spell it; nothing where no such tag exists or it cannot be used so.
pub(crate) fn usable(cloud: Cloud, tag: &str, purpose: Use) -> Option<String> {
    let (row, region) = ROWS.iter().find_map(|row| {
        let rest = tag.strip_prefix(row.tag)?;
        if rest.is_empty() {
            return Some((row, None));
        }
        Some((row, Some(rest.strip_prefix('.')?)))
    })?;
    let frontend = row.tag == "AzureFrontDoor.Frontend";
    if cloud == Cloud::None
        || (row.public_only && cloud != Cloud::Public)
        || (frontend && cloud == Cloud::China)
        || (row.no_firewall_in_china && cloud == Cloud::China && purpose == Use::Firewall)
    {
        return None;
    }
    let regional = match (row.regional, purpose) {
        (Regional::Full, _) | (Regional::NsgOnly, Use::Nsg) => region,
        (Regional::NsgOnly, Use::Firewall) | (Regional::Nothing, _) => None,
    };
    let spelled = regional
        .and_then(|region| REGIONS.iter().find(|known| known.eq_ignore_ascii_case(region)))
        .map_or_else(|| row.tag.to_owned(), |region| format!("{}.{region}", row.tag));
    Some(spelled)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_tags_that_truly_exist_are_named() {
        use Cloud::{China, None as Nowhere, Public, UsGovernment};
        use Use::{Firewall, Nsg};
        for (cloud, tag, purpose, expected) in [
            (UsGovernment, "Storage.usgovvirginia", Firewall, Some("Storage.USGovVirginia")),
            (UsGovernment, "Storage.usgovvirginia", Nsg, Some("Storage.USGovVirginia")),
            (UsGovernment, "AzureMachineLearning", Firewall, Some("AzureMachineLearning")),
            // Regional tags without any feature: the global one.
            (UsGovernment, "AzureMachineLearning.usgovvirginia", Nsg, Some("AzureMachineLearning")),
            (Public, "AzureResourceManager.eastus", Firewall, Some("AzureResourceManager")),
            // Good in security groups only.
            (
                UsGovernment,
                "BatchNodeManagement.usgovarizona",
                Nsg,
                Some("BatchNodeManagement.USGovArizona"),
            ),
            (
                UsGovernment,
                "BatchNodeManagement.usgovarizona",
                Firewall,
                Some("BatchNodeManagement"),
            ),
            (Public, "AzureMonitor.eastus", Firewall, Some("AzureMonitor")),
            // Not in every cloud.
            (UsGovernment, "AzureFrontDoor.FirstParty", Firewall, None),
            (UsGovernment, "AzureFrontDoor.FirstParty", Nsg, None),
            (China, "AzureFrontDoor.FirstParty", Nsg, None),
            (Public, "AzureFrontDoor.FirstParty", Firewall, Some("AzureFrontDoor.FirstParty")),
            (UsGovernment, "AzureFrontDoor.Frontend", Nsg, Some("AzureFrontDoor.Frontend")),
            (China, "AzureFrontDoor.Frontend", Nsg, None),
            // China: no firewall feature.
            (China, "Storage.chinaeast2", Firewall, None),
            (China, "Storage.chinaeast2", Nsg, Some("Storage.ChinaEast2")),
            (China, "AzureContainerRegistry", Firewall, None),
            (China, "AzureKeyVault.chinaeast2", Firewall, None),
            (China, "MicrosoftContainerRegistry", Firewall, None),
            (China, "AzureMonitor", Firewall, None),
            (China, "BatchNodeManagement", Firewall, None),
            (China, "AzureMachineLearning", Firewall, Some("AzureMachineLearning")),
            // A region whose spelling is not known: the global tag exists for sure.
            (Public, "Storage.atlantis", Nsg, Some("Storage")),
            (Public, "Keyvault.eastus", Nsg, None),
            (UsGovernment, "VirtualNetwork", Nsg, None),
            (Nowhere, "Storage", Nsg, None),
        ] {
            assert_eq!(
                usable(cloud, tag, purpose).as_deref(),
                expected,
                "{cloud} {tag} {purpose:?}"
            );
        }
    }
}
