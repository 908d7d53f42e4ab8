//! What ordinary tools see of a world.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Output;

use anyhow::Result;

use crate::lab::Lab;
use crate::plan::Plan;
use crate::world::{Proof, World};

/// Runs the commands of a world's file; a sentence for each that shows something else.
pub(crate) fn failing(lab: &Lab, world: &World) -> Result<Vec<String>> {
    let mut wrong = Vec::new();
    for proof in &world.proofs {
        let output = lab.run_in_client(Path::new("bash"), &["-c", &proof.run])?;
        wrong.extend(judge(proof, &output));
    }
    Ok(wrong)
}

fn judge(proof: &Proof, output: &Output) -> Option<String> {
    let said = text_of(output);
    let missing = proof.shows.iter().find(|text| !said.contains(*text));
    let unwanted = proof.lacks.iter().find(|text| said.contains(*text));
    let exit = proof.exit.filter(|wanted| output.status.code() != Some(*wanted));
    let reason = if let Some(missing) = missing {
        format!("does not show `{missing}`")
    } else if let Some(unwanted) = unwanted {
        format!("shows `{unwanted}`")
    } else if let Some(wanted) = exit {
        format!("ended with {} instead of {wanted}", output.status)
    } else {
        return None;
    };
    Some(format!("`{}` {reason}; it said:\n{said}", proof.run))
}

fn text_of(output: &Output) -> String {
    let (out, err) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    format!("{out}{err}")
}

/// In a healthy world: every planned check that ordinary tools do not pass.
pub(crate) fn unreachable(lab: &Lab, plan: &Plan) -> Result<Vec<String>> {
    let mut wrong = resolved_wrongly(lab, plan)?;
    let mut urls = BTreeSet::new();
    for check in plan.checks() {
        let scheme = match check.kind.as_str() {
            "http" => "http",
            "tls" | "https" | "websocket" => "https",
            _ => continue,
        };
        urls.insert(format!("{scheme}://{}/", check.authority()));
    }
    // One process for all: each answer is one line of its own.
    let list: Vec<String> = urls.iter().map(|url| format!("url = \"{url}\"")).collect();
    let config = lab.root_certificate().with_file_name("curl.conf");
    fs::write(&config, list.join("\n"))?;
    let script = format!(
        "curl --silent --show-error --cacert $LAB_CA --max-time 10 \
         --write-out '%{{url}} %{{http_code}} %{{errormsg}}\\n' --config {}",
        config.display()
    );
    let said = text_of(&lab.run_in_client(Path::new("bash"), &["-c", &script])?);
    for url in urls {
        // A service that wants credentials answers, too.
        let answers = |line: &str| {
            let status = line.strip_prefix(&format!("{url} "))?.split(' ').next()?;
            status.parse().ok().filter(|status| (200..500u16).contains(status))
        };
        if !said.lines().any(|line| answers(line).is_some()) {
            let line = said.lines().find(|line| line.contains(&url)).unwrap_or("nothing was said");
            wrong.push(format!("curl does not get {url}: {line}"));
        }
    }
    Ok(wrong)
}

/// Private hosts must end at a private address, public ones at a public one.
fn resolved_wrongly(lab: &Lab, plan: &Plan) -> Result<Vec<String>> {
    // A host that several checks name is held to the strictest of their words.
    let (lax, strict): (Vec<_>, Vec<_>) = plan.checks().partition(|check| check.expect == "any");
    let expectations: BTreeMap<&str, &str> = lax
        .into_iter()
        .chain(strict)
        .map(|check| (check.host.as_str(), check.expect.as_str()))
        .collect();
    let names: Vec<&str> = expectations.keys().copied().collect();
    let file = lab.root_certificate().with_file_name("names");
    fs::write(&file, names.join("\n"))?;
    let script = format!("dig +nocmd +noall +question +answer +comments -f {}", file.display());
    let said = text_of(&lab.run_in_client(Path::new("bash"), &["-c", &script])?);
    let mut wrong = Vec::new();
    for (name, expect) in expectations {
        let question = format!(";{name}.");
        let answer: Vec<&str> = said
            .lines()
            .skip_while(|line| !line.starts_with(&question))
            .skip(1)
            .take_while(|line| !line.starts_with(";; ->>HEADER"))
            .collect();
        let last = answer.iter().rev().find_map(|line| {
            let mut columns = line.split_whitespace().rev();
            let ip = columns.next()?;
            (columns.next() == Some("A")).then_some(ip)
        });
        let right = match expect {
            "private" => last.is_some_and(|ip| ip.starts_with("172.16.0.")),
            "public" => last.is_some_and(|ip| ip.starts_with("203.0.113.")),
            _ => last.is_some(),
        };
        if !right {
            wrong.push(format!("dig resolves {name} ({expect}) to {last:?}"));
        }
    }
    Ok(wrong)
}
