//! The `[[probe]]` entries.

use std::collections::BTreeMap;

use super::reader::{Complaint, Field, Reader, quoted};
use super::tree::{Entries, Node, Value};
use super::{address, value};
use crate::limits;
use crate::model::Expect;
use crate::plan::ExtraProbe;
use crate::target::parse_target;

/// Every probe; what is wrong with one does not hide the others.
pub(super) fn read(reader: &mut Reader<'_>, root: &Entries) -> Vec<ExtraProbe> {
    let Some((_, node)) = root.iter().find(|(key, _)| key.name == "probe") else {
        return Vec::new();
    };
    let Value::List(items) = &node.value else {
        let found = node.value.type_name();
        let complaint = Complaint::new(format!("`probe` must be a list of tables, not {found}"));
        reader.report(&node.place, complaint.hint("begin each probe with `[[probe]]`"));
        return Vec::new();
    };
    if let Some(first) = items.get(limits::PROBES) {
        let message =
            format!("there are {} probes; at most {} are read", items.len(), limits::PROBES);
        reader.report(&first.place, Complaint::new(message));
    }
    let mut taken = BTreeMap::new();
    let read = |node| probe(reader, node, &mut taken);
    items.iter().take(limits::PROBES).filter_map(read).collect()
}

fn probe(
    reader: &mut Reader<'_>,
    node: &Node,
    taken: &mut BTreeMap<String, String>,
) -> Option<ExtraProbe> {
    reader.entries(node, "each `probe`")?;
    let section = reader.section(node, "probe");
    for key in ["name", "target"] {
        if section.field(key).is_none() {
            let example =
                if key == "name" { "artifact mirror" } else { "https://mirror.contoso.mil/" };
            let complaint = Complaint::new(format!("this probe has no `{key}`"));
            reader.report(&node.place, complaint.hint(format!("add `{key} = \"{example}\"`")));
        }
    }
    let id = name(reader, section.field("name"), taken);
    let target =
        reader.parsed(section.field("target"), |text| parse_target(text).map_err(Complaint::new));
    let expect = reader.parsed(section.field("expect"), value::word::<Expect>("an expectation"));
    let subnets = reader.list(section.field("subnets"), limits::LIST_ENTRIES, address::network);
    let scenarios = reader.list(section.field("scenarios"), limits::LIST_ENTRIES, value::scenario);
    if let (Some(field), None | Some(Expect::Any | Expect::Public)) =
        (section.field("subnets"), expect)
    {
        let complaint = Complaint::new("`subnets` says where a private address must lie");
        reader.report(&field.node.place, complaint.hint("add `expect = \"private\"`"));
    }
    Some(ExtraProbe {
        id: id?,
        target: target?,
        expect: expect.unwrap_or(Expect::Any),
        subnets: subnets.unwrap_or_default(),
        scenarios: scenarios.unwrap_or_default(),
    })
}

/// A probe's id: the slug of its name, which no other probe may share.
fn name(
    reader: &mut Reader<'_>,
    field: Option<Field<'_>>,
    taken: &mut BTreeMap<String, String>,
) -> Option<String> {
    let field = field?;
    let name = reader.text(&field)?;
    let slug = value::slug(name);
    let complaint = if name.chars().count() > limits::TEXT_CHARS {
        let length = name.chars().count();
        let most = limits::TEXT_CHARS;
        Complaint::new(format!("the name has {length} characters; at most {most} are allowed"))
    } else if slug.is_empty() {
        Complaint::new(format!("the name {} has no letter a-z and no digit", quoted(name)))
            .hint("its letters and digits become the probe's id")
    } else if let Some(other) = taken.get(&slug) {
        Complaint::new(format!("the name {} is taken", quoted(name)))
            .hint(format!("the probe {} has the id `{slug}` already", quoted(other)))
    } else {
        taken.insert(slug.clone(), name.to_owned());
        return Some(slug);
    };
    reader.report(&field.node.place, complaint);
    None
}
