//! What is known of this workspace: the values that fill the catalog's templates and conditions.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;

use crate::model::{Cloud, Host, Vantage, words};

words! {
    /// Optional parts of a workspace that add requirements.
    Feature {
        /// Created with `hbi_workspace = true`: the Batch service uses a key vault.
        Hbi = "hbi",
        /// RStudio on a compute instance.
        RStudio = "rstudio",
        /// Batch endpoints or ParallelRunStep: queue and table storage.
        BatchEndpoints = "batch_endpoints",
        /// A firewall stands between compute and the storage account's private endpoints.
        FirewallBetweenComputeAndStorage = "firewall_between_compute_and_storage",
        /// Kubernetes clusters are attached.
        Kubernetes = "kubernetes",
        /// Azure Monitor is reached through a private link scope.
        PrivateMonitor = "private_monitor",
        /// Compute instances or clusters have public addresses.
        PublicIpCompute = "public_ip_compute",
    }
}

/// What is known of the workspace and of where this machine stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameters {
    /// Which catalog applies.
    pub cloud: Cloud,
    /// Azure region, lower case without spaces.
    pub region: Option<String>,
    /// Workspace name.
    pub name: Option<String>,
    /// Workspace id (a GUID), lower case.
    pub id: Option<String>,
    /// Default storage account.
    pub storage_account: Option<String>,
    /// Key vault.
    pub key_vault: Option<String>,
    /// Container registry.
    pub container_registry: Option<String>,
    /// Compute instances.
    pub compute_instances: Vec<String>,
    /// Managed online endpoints.
    pub online_endpoints: Vec<String>,
    /// The workspace has a private endpoint: its own hosts must resolve privately.
    pub private_endpoint: bool,
    /// Optional parts in use.
    pub features: BTreeSet<Feature>,
    /// Where this machine stands.
    pub vantage: Vantage,
}

impl Default for Parameters {
    fn default() -> Self {
        Self {
            cloud: Cloud::UsGovernment,
            region: None,
            name: None,
            id: None,
            storage_account: None,
            key_vault: None,
            container_registry: None,
            compute_instances: Vec::new(),
            online_endpoints: Vec::new(),
            private_endpoint: true,
            features: BTreeSet::new(),
            vantage: Vantage::Any,
        }
    }
}

words! {
    /// A name that may stand in braces in a template.
    Placeholder {
        /// The region.
        Region = "region",
        /// The workspace's name.
        Name = "name",
        /// The workspace's id.
        Id = "id",
        /// The default storage account.
        StorageAccount = "storage_account",
        /// The key vault.
        KeyVault = "key_vault",
        /// The container registry.
        ContainerRegistry = "container_registry",
        /// Each compute instance.
        ComputeInstance = "compute_instance",
        /// Each managed online endpoint.
        OnlineEndpoint = "online_endpoint",
        /// First label of the notebook host, from name, region and id.
        NotebookLabel = "notebook_label",
    }
}

impl Placeholder {
    /// The keys of `[workspace]` that would fill it, for "set … to cover this".
    pub const fn config_keys(self) -> &'static str {
        match self {
            Self::Region => "workspace.region",
            Self::Name => "workspace.name",
            Self::Id => "workspace.id",
            Self::StorageAccount => "workspace.storage_account",
            Self::KeyVault => "workspace.key_vault",
            Self::ContainerRegistry => "workspace.container_registry",
            Self::ComputeInstance => "workspace.compute_instances",
            Self::OnlineEndpoint => "workspace.online_endpoints",
            Self::NotebookLabel => "workspace.name, workspace.region and workspace.id",
        }
    }
}

impl Parameters {
    /// The values of a placeholder; empty when the parameter is not known.
    pub fn values(&self, placeholder: Placeholder) -> Vec<String> {
        let one = |value: &Option<String>| value.iter().cloned().collect();
        match placeholder {
            Placeholder::Region => one(&self.region),
            Placeholder::Name => one(&self.name),
            Placeholder::Id => one(&self.id),
            Placeholder::StorageAccount => one(&self.storage_account),
            Placeholder::KeyVault => one(&self.key_vault),
            Placeholder::ContainerRegistry => one(&self.container_registry),
            Placeholder::ComputeInstance => self.compute_instances.clone(),
            Placeholder::OnlineEndpoint => self.online_endpoints.clone(),
            Placeholder::NotebookLabel => one(&self.notebook_label()),
        }
    }

    /// `ml-<name>-<region>-<id>`, the name cut so that the label keeps to 63 characters
    /// (custom-DNS article; a real record confirms it). The label is lower case like every name here.
    fn notebook_label(&self) -> Option<String> {
        let (name, region, id) = (self.name.as_ref()?, self.region.as_ref()?, self.id.as_ref()?);
        let fixed = "ml---".len() + region.len() + id.len();
        let room = crate::limits::LABEL_OCTETS.saturating_sub(fixed);
        let cut: String = name.chars().take(room).collect();
        Some(format!("ml-{cut}-{region}-{id}").to_lowercase())
    }
}

/// What is known of the network around this machine; nothing by default, so that no address is private.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NetworkFacts {
    /// What counts as private.
    pub private_ranges: Vec<IpNet>,
    /// Where private endpoints must lie; empty when not declared.
    pub endpoint_subnets: Vec<IpNet>,
    /// Exact addresses per host, where known.
    pub endpoint_addresses: BTreeMap<Host, Vec<IpAddr>>,
}

impl NetworkFacts {
    /// Whether an address counts as private here.
    pub fn is_private(&self, ip: IpAddr) -> bool {
        self.private_ranges.iter().any(|net| net.contains(&ip))
            || self.endpoint_subnets.iter().any(|net| net.contains(&ip))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workspace(name: &str, region: &str) -> Parameters {
        Parameters {
            name: Some(name.into()),
            region: Some(region.into()),
            id: Some("03ce50c0-2e18-48ad-9e4a-ca338f571072".into()),
            ..Parameters::default()
        }
    }

    #[test]
    fn notebook_labels_follow_the_documented_cut() {
        // The first is a record seen in the wild; the others follow the same rule.
        for (name, region, label) in [
            (
                "mlworkspace-portal02",
                "eastus",
                "ml-mlworkspace-port-eastus-03ce50c0-2e18-48ad-9e4a-ca338f571072",
            ),
            (
                "mlw-research",
                "usgovvirginia",
                "ml-mlw-resea-usgovvirginia-03ce50c0-2e18-48ad-9e4a-ca338f571072",
            ),
            ("short", "usgovarizona", "ml-short-usgovarizona-03ce50c0-2e18-48ad-9e4a-ca338f571072"),
        ] {
            let values = workspace(name, region).values(Placeholder::NotebookLabel);
            assert_eq!(values, [label]);
            assert!(label.len() <= 63);
        }
    }

    #[test]
    fn a_label_needs_all_three_parts() {
        let mut parameters = workspace("a", "eastus");
        parameters.id = None;
        assert!(parameters.values(Placeholder::NotebookLabel).is_empty());
    }
}
