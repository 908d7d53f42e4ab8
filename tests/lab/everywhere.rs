//! Whether the table on the terminal and the page tell the same findings as the JSON.

use anyhow::{Result, ensure};

use crate::daemon::Daemon;
use crate::lab::Lab;
use crate::plan::{Check, Plan};
use crate::program;
use crate::report::{Finding, Report};
use crate::world::World;

/// Every way in which the table or the page tells something else than the report.
pub(crate) fn differences(
    lab: &Lab,
    world: &World,
    plan: &Plan,
    report: &Report,
) -> Result<Vec<String>> {
    let config = lab.config(world)?;
    let mut wrong = Vec::new();
    let arguments = ["check", "--config", &config.to_string_lossy()];
    let output = lab.run_in_client(program(), &arguments)?;
    let table = squeezed(&String::from_utf8_lossy(&output.stdout));
    let told = table.matches(" cause ").count();
    if told != report.findings.len() {
        wrong.push(format!("the table tells {told} findings: {table}"));
    }
    for finding in &report.findings {
        if !table.contains(&squeezed(&finding.title)) {
            wrong.push(format!("the table lacks the finding `{}`", finding.title));
        }
        for check in explained(plan, finding) {
            let row = format!("{} {} {}", check.authority(), check.kind, finding.cause);
            if !table.contains(&row) {
                wrong.push(format!("the table lacks `{row}`"));
            }
        }
    }
    let daemon = Daemon::ready(lab, &config)?;
    let page = daemon.get("/")?;
    let articles: Vec<&str> = page.split("<article class=\"finding ").skip(1).collect();
    if articles.len() != report.findings.len() {
        wrong.push(format!("the page tells {} findings", articles.len()));
    }
    for finding in &report.findings {
        let code = format!("#cause-{}\"", finding.cause);
        // Its list of checks has an entry of its own for each.
        let fits = |article: &&&str| {
            let article = article.split("</article>").next().unwrap_or_default();
            article.contains(&code)
                && explained(plan, finding)
                    .iter()
                    .all(|check| article.contains(&format!("<code>{}</code>", check.authority())))
                && list_of(article).matches("<li>").count() == finding.explains.len()
        };
        if articles.iter().filter(fits).count() != 1 {
            wrong.push(format!("the page does not have `{}` with its checks", finding.title));
        }
    }
    ensure!(!report.findings.is_empty(), "a world without findings has nothing to show everywhere");
    Ok(wrong)
}

/// The page's list of what a finding explains.
fn list_of(article: &str) -> &str {
    article
        .split("<ul class=\"hosts\">")
        .nth(1)
        .and_then(|rest| rest.split("</ul>").next())
        .unwrap_or_default()
}

fn explained<'a>(plan: &'a Plan, finding: &Finding) -> Vec<&'a Check> {
    plan.checks().filter(|check| finding.explains.contains(&check.id)).collect()
}

/// One line, one space between words.
fn squeezed(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
